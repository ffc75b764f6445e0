/* disk.h - the file operations that durability depends on.
 *
 * The commit log touches its files through this table and nothing else, so that the tests can
 * put a disk under it that fails, fills up or loses what was not synced (test/disk).
 *
 * Calls behave as the system calls of the same names: -1 and errno.  None is repeated by the
 * table: who calls decides what EINTR means to him.  A descriptor belongs to the disk that opened
 * it.
 *
 * Thread: any; the real table is stateless.  Memory: paths are borrowed for the call.
 */
#ifndef OS_DISK_H
#define OS_DISK_H

#include <stddef.h>
#include <sys/types.h>

struct disk {
	void *arg;
	int (*open)(void *arg, const char *path, int flags); /* new files with mode 0666 */
	int (*close)(void *arg, int fd);
	ssize_t (*pread)(void *arg, int fd, void *p, size_t n, off_t at);
	ssize_t (*pwrite)(void *arg, int fd, const void *p, size_t n, off_t at);
	/* Only a call that succeeds at once says anything: after a failure the pages may be gone
	 * although the next call succeeds. */
	int (*fdatasync)(void *arg, int fd);
	int (*ftruncate)(void *arg, int fd, off_t size);
	int (*fallocate)(void *arg, int fd, off_t size); /* of the whole file */
	off_t (*size)(void *arg, int fd);
	int (*rename)(void *arg, const char *from, const char *to);
	int (*unlink)(void *arg, const char *path);
	int (*access)(void *arg, const char *path); /* 0: there is such a file */
	/* Makes the names in a directory durable: what was created, renamed, unlinked. */
	int (*sync_dir)(void *arg, const char *dir);
	/* Calls fn for each name in a directory, in any order. */
	int (*list)(void *arg, const char *dir, void (*fn)(void *fn_arg, const char *name),
	    void *fn_arg);
};

const struct disk *disk_real(void);

#endif
