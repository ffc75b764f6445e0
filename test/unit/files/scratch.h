/* scratch.h - removing the flat folder of a test. */
#ifndef UNIT_FILES_SCRATCH_H
#define UNIT_FILES_SCRATCH_H

#include <dirent.h>
#include <unistd.h>

/* 0, or the test has left something that is no file. */
static inline int
scratch_remove(const char *dir)
{
	DIR           *d = opendir(dir);
	struct dirent *x;

	while (d && (x = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), x->d_name, 0); /* "." and ".." stay */
	if (d)
		closedir(d);
	return rmdir(dir);
}

#endif
