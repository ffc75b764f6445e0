/* commitlog_int.h - what the files of the commit log share.
 *
 * commitlog.c          appending, recycling
 * commitlog_recover.c  finding the segments, reading them back
 *
 * Thread and memory: commitlog.h.
 */
#ifndef STORE_COMMITLOG_INT_H
#define STORE_COMMITLOG_INT_H

#include <pthread.h>

#include "store/commitlog.h"

struct segment {
	char    *path;
	int      fd;
	size_t   bytes;
	uint64_t last; /* sequence number of its newest record; 0: may be overwritten */
};

struct commitlog {
	unsigned                   magic;
	char                      *path;
	uint64_t                   id;
	size_t                     segment_bytes;
	const struct commitlog_io *io;
	bool                       failed;

	/* Of the appending thread. */
	struct segment *tail; /* the one that is written; NULL: none yet */
	size_t          at;   /* where in the tail the next record goes */
	uint64_t        sequence; /* of the newest record */
	uint32_t        check;    /* its head checksum */

	pthread_mutex_t lock; /* the list, the `last` of its segments, the number of the next */
	unsigned        next_number;
	VEC(struct segment *) segments;
};

#define COMMITLOG_MAGIC 0xc0331706u

/* A segment of at least `need` bytes, written with zeros and durable, and in the list. */
NODISCARD status commitlog_add_segment(struct commitlog *l, size_t need, struct segment **ret,
    struct err *e);
void commitlog_segment_free(struct segment *s);
/* Finds the files and opens them, unread.  `last` of each is 0. */
NODISCARD status commitlog_find_segments(struct commitlog *l, struct err *e);
NODISCARD status commitlog_sync_dir(const char *path, struct err *e);
struct commitlog *commitlog_new(const struct commitlog_opts *opts);

#endif
