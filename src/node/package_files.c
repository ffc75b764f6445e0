/* package_files.c - folders that come and go.
 *
 * Thread: any; callers hold struct node_packages.making.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "node/package_int.h"

#define WALK_DESCRIPTORS 16

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)remove(path);
	return 0;
}

void
folder_remove(const char *path)
{
	(void)nftw(path, remove_one, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

static _Thread_local uint64_t walked_bytes; /* nftw() has no argument to pass on */

static int
count_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)path;
	(void)at;
	if (kind == FTW_F)
		walked_bytes += (uint64_t)st->st_size;
	return 0;
}

uint64_t
folder_bytes(const char *path)
{
	walked_bytes = 0;
	(void)nftw(path, count_one, WALK_DESCRIPTORS, FTW_PHYS);
	return walked_bytes;
}

void
folder_touch(const char *path)
{
	(void)utimensat(AT_FDCWD, path, NULL, 0);
}

struct folder {
	char name[80];
	int64_t used_s;
};

static int
newest_first(const void *a, const void *b)
{
	const struct folder *x = a, *y = b;

	return (x->used_s < y->used_s) - (x->used_s > y->used_s);
}

void
folder_trim(const char *path, size_t keep, bool (*keep_it)(void *arg, str name), void *arg)
{
	VEC(struct folder) found = { 0 };
	struct arena *a = arena_new();
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir)) != NULL) {
		struct folder f;
		struct stat st;

		size_t length = strlen(entry->d_name);

		if (entry->d_name[0] == '.' || length >= sizeof f.name ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		memcpy(f.name, entry->d_name, length + 1);
		f.used_s = st.st_mtim.tv_sec;
		vec_push(&found, f);
	}
	if (dir)
		(void)closedir(dir);
	if (found.n)
		qsort(found.v, found.n, sizeof *found.v, newest_first);
	for (size_t i = keep; i < found.n; i++)
		if (!keep_it(arg, str_z(found.v[i].name)))
			folder_remove(arena_fmt(a, "%s/%s", path, found.v[i].name).p);
	vec_clear(&found);
	arena_free(a);
}

status
folder_new(struct arena *a, const char *path, const char **ret, struct err *e)
{
	char *template = arena_z(a, arena_fmt(a, "%s/.new-XXXXXX", path));

	if (!mkdtemp(template))
		return err_os(e, "cannot make a folder in", path);
	*ret = template;
	return ST_OK;
}
