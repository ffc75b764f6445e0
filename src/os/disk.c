/* disk.c - the real disk (disk.h).
 *
 * Thread: any.  Memory: none.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/disk.h"

static int
real_open(void *arg, const char *path, int flags)
{
	(void)arg;
	return open(path, flags | O_CLOEXEC, 0666);
}

static int
real_close(void *arg, int fd)
{
	(void)arg;
	return close(fd);
}

static ssize_t
real_pread(void *arg, int fd, void *p, size_t n, off_t at)
{
	(void)arg;
	return pread(fd, p, n, at);
}

static ssize_t
real_pwrite(void *arg, int fd, const void *p, size_t n, off_t at)
{
	(void)arg;
	return pwrite(fd, p, n, at);
}

static int
real_fdatasync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd);
}

static int
real_ftruncate(void *arg, int fd, off_t size)
{
	(void)arg;
	return ftruncate(fd, size);
}

static int
real_fallocate(void *arg, int fd, off_t size)
{
	(void)arg;
	return fallocate(fd, 0, 0, size);
}

static off_t
real_size(void *arg, int fd)
{
	struct stat sb;

	(void)arg;
	return fstat(fd, &sb) == 0 ? sb.st_size : -1;
}

static int
real_rename(void *arg, const char *from, const char *to)
{
	(void)arg;
	return rename(from, to);
}

static int
real_unlink(void *arg, const char *path)
{
	(void)arg;
	return unlink(path);
}

static int
real_access(void *arg, const char *path)
{
	(void)arg;
	return access(path, F_OK);
}

static int
real_sync_dir(void *arg, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc, why;

	(void)arg;
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	why = errno;
	close(fd);
	errno = why;
	return rc;
}

static int
real_list(void *arg, const char *dir, void (*fn)(void *fn_arg, const char *name), void *fn_arg)
{
	DIR           *list = opendir(dir);
	struct dirent *d;

	(void)arg;
	if (!list)
		return -1;
	while ((d = readdir(list)))
		fn(fn_arg, d->d_name);
	closedir(list);
	return 0;
}

const struct disk *
disk_real(void)
{
	static const struct disk real = {
		.open = real_open,
		.close = real_close,
		.pread = real_pread,
		.pwrite = real_pwrite,
		.fdatasync = real_fdatasync,
		.ftruncate = real_ftruncate,
		.fallocate = real_fallocate,
		.size = real_size,
		.rename = real_rename,
		.unlink = real_unlink,
		.access = real_access,
		.sync_dir = real_sync_dir,
		.list = real_list,
	};

	return &real;
}
