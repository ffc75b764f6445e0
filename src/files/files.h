/* files.h - the bytes of stored files: a folder of objects under random keys.
 *
 * What a file is called, who may see it and whether it exists at all is said by rows of
 * _file_storage (spec 05 section 1.1); this is only where its bytes are.  An object is written
 * under a temporary name, synced, and renamed: whoever has a key has the whole object, durable.
 *
 * One thread moves bytes between streams and disk, so that nobody else waits for one.
 *
 * Thread: any; callbacks come on the files thread, or from inside the call that fails at once,
 *         and must not block.
 * Memory: 256 KiB per transfer.
 */
#ifndef FILES_FILES_H
#define FILES_FILES_H

#include "base/err.h"
#include "os/os.h"
#include "runtime/stream.h"

#define FILE_KEY 36 /* a version 4 UUID as text */

struct files;

struct file_info {
	char     key[FILE_KEY + 1];
	uint8_t  sha256[32];
	uint64_t size; /* bytes */
};

/* Makes the folder if needed and removes what was being written when the process ended. */
NODISCARD status files_open(const char *dir, const struct os *os, struct files **ret,
    struct err *e);
/* Unfinished transfers fail; there must be no new ones.  files_close() does it too. */
void             files_stop(struct files *f); /* NULL is fine */
void             files_close(struct files *f); /* NULL is fine */

/* Once: the object is durable, or why there is none (OVERLOADED StorageFull, BAD_REQUEST
 * BodyIncomplete if the stream failed, INTERNAL). */
typedef void (*files_done)(void *arg, const struct file_info *put, const struct err *e);

/* Reads `from` to its end into a new object.  Takes a reference. */
void files_put(struct files *f, struct stream *from, files_done done, void *arg);
/* The same with bytes at hand; blocks for the disk. */
NODISCARD status files_put_now(struct files *f, str bytes, struct file_info *ret, struct err *e);

/* Bytes [at, at + n) of an object into `to`, as fast as its reader takes them, then its end; a
 * missing or shorter object fails it.  Takes a reference. */
void files_get(struct files *f, str key, uint64_t at, uint64_t n, struct stream *to);
/* The whole object, appended; NOT_FOUND, OPERATIONAL FileTooLarge beyond ret->max. */
NODISCARD status files_get_now(struct files *f, str key, struct buf *ret, struct err *e);

/* Gone at once for newcomers; transfers that read it go on.  A missing one is fine. */
void files_remove(struct files *f, str key);

/* A random version 4 UUID as text. */
void files_uuid(const struct os *os, char ret[FILE_KEY + 1]);
/* True if `s` is written like a UUID. */
bool files_is_uuid(str s);

#endif
