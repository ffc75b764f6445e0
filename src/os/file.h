/* file.h - the few file operations that are not SQLite's.
 *
 * Thread: any.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends; NOT_FOUND if absent. */
NODISCARD status file_read(const char *path, struct buf *out, struct err *e);
/* Through a temporary file, fsync and rename: afterwards the old or the new content is there. */
NODISCARD status file_write_atomic(const char *path, str content, struct err *e);
NODISCARD status file_mkdirs(const char *path, struct err *e); /* existing ones are fine */
bool file_exists(const char *path);
/* A folder as a cache: removes the files with the oldest times of change until at most `keep` bytes
 * are left; file_touch() makes one the youngest.  Not what is below sub-folders. */
NODISCARD status file_sweep(const char *dir, uint64_t keep, struct err *e);
void             file_touch(const char *path);
/* Where `path` leads once symbolic links are followed, so that what lies beside a file has one
 * name; `path` itself if there is nothing. */
const char *file_resolve(const char *path, struct arena *a);
/* An exclusive lock on `path` (created if needed) until file_unlock() or the end of the process.
 * CONFLICT if another process, or this one by another call, holds it. */
NODISCARD status file_lock(const char *path, int *ret_fd, struct err *e);
void             file_unlock(int fd); /* the file stays */

#endif
