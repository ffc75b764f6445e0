/* file.c - whole files, directories and locks.
 *
 * What SQLite does not do for us.  Replacing a file goes through a temporary neighbour that
 * is synced, renamed over the old one, and made durable by syncing the directory: a crash at
 * any moment leaves the old or the new content.
 *
 * Thread: any; two writers of one path must agree among themselves.  Memory: the caller's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/file.h"

enum { READ_CHUNK = 64 * 1024 };

/* Descriptors are closed on exec, so that child processes inherit neither files nor locks. */
static int
open_retry(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* A full buffer is asked for one byte more than it may hold, to see whether the file ends. */
static status
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	for (;;) {
		size_t  left = out->max - out->n;
		size_t  want = left < READ_CHUNK ? left : READ_CHUNK;
		char    spare;
		char   *room = want ? buf_reserve(out, want) : &spare;
		ssize_t n = read(fd, room, want ? want : 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_os(e, "read", path);
		if (n == 0)
			return ST_OK;
		if (want == 0)
			return err_set(e, ST_OPERATIONAL, "FileTooLarge",
			    "'%s' is larger than %zu bytes", path, out->max);
		out->n += (size_t)n;
	}
}

status
file_read(const char *path, struct buf *out, struct err *e)
{
	size_t before = out->n;
	int    fd = open_retry(path, O_RDONLY);
	status st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ST_NOT_FOUND, "FileNotFound", "there is no file '%s'", path);
	if (fd < 0)
		return err_os(e, "open", path);
	st = read_all(fd, path, out, e);
	if (st != ST_OK)
		out->n = before;
	close(fd);
	return st;
}

static status
write_all(int fd, const char *path, str s, struct err *e)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_os(e, "write", path);
		s = str_from(s, (size_t)n);
	}
	return fsync(fd) == 0 ? ST_OK : err_os(e, "fsync", path);
}

/* The directory part of `path`, as the caller's memory. */
static char *
dir_of(const char *path)
{
	str    s = str_z(path);
	size_t slash;
	char  *dir;

	if (!str_rfind_char(s, '/', &slash))
		s = S(".");
	else
		s = str_head(s, slash ? slash : 1);
	dir = mem_alloc(s.n + 1);
	memcpy(dir, s.p, s.n);
	dir[s.n] = '\0';
	return dir;
}

static status
sync_dir_of(const char *path, struct err *e)
{
	char  *dir = dir_of(path);
	int    fd = open_retry(dir, O_RDONLY | O_DIRECTORY);
	status st = ST_OK;

	if (fd < 0 || fsync(fd) != 0)
		st = err_os(e, "fsync", dir);
	if (fd >= 0)
		close(fd);
	mem_free(dir);
	return st;
}

status
file_write_atomic(const char *path, str content, struct err *e)
{
	size_t n = strlen(path) + sizeof ".XXXXXX";
	char  *tmp = mem_alloc(n);
	int    fd;
	status st;

	snprintf(tmp, n, "%s.XXXXXX", path);
	fd = mkostemp(tmp, O_CLOEXEC); /* two threads may write the same file */
	if (fd < 0) {
		st = err_os(e, "open", tmp);
		goto out;
	}
	st = write_all(fd, tmp, content, e);
	close(fd);
	if (st == ST_OK && rename(tmp, path) != 0)
		st = err_os(e, "rename", path);
	if (st == ST_OK)
		st = sync_dir_of(path, e);
	else
		unlink(tmp);
out:
	mem_free(tmp);
	return st;
}

static status
mkdir_one(const char *path, struct err *e)
{
	struct stat sb;

	if (mkdir(path, 0777) == 0)
		return ST_OK;
	if (errno == EEXIST && stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
		return ST_OK;
	return err_os(e, "mkdir", path);
}

status
file_mkdirs(const char *path, struct err *e)
{
	size_t n = strlen(path);
	char  *part = mem_alloc(n + 1);
	status st = ST_OK;

	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n && st == ST_OK; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		st = mkdir_one(part, e);
		part[i] = path[i];
	}
	mem_free(part);
	return st;
}

bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

const char *
file_resolve(const char *path, struct arena *a)
{
	char room[PATH_MAX];

	return realpath(path, room) ? arena_z(a, str_z(room)) : path;
}

/* flock() and not fcntl(): it belongs to this open file, so a second opener inside the same
 * process is refused too, and closing an unrelated descriptor does not drop it. */
status
file_lock(const char *path, int *ret_fd, struct err *e)
{
	int fd = open_retry(path, O_RDWR | O_CREAT);

	if (fd < 0)
		return err_set(e, ST_OPERATIONAL, "FileNotLockable",
		    "cannot write the lock '%s': %s", path, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int why = errno;

		if (why == EINTR)
			continue;
		close(fd);
		if (why == EWOULDBLOCK)
			return err_set(e, ST_CONFLICT, "FileLocked",
			    "'%s' is locked: another process is using it", path);
		errno = why;
		return err_os(e, "flock", path);
	}
	*ret_fd = fd;
	return ST_OK;
}

void
file_unlock(int fd)
{
	close(fd);
}
