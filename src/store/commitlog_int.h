/* commitlog_int.h - what the files of the commit log share.
 *
 * commitlog.c          records, appending
 * commitlog_segment.c  making and recycling segments, promises of room
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
	size_t   bytes;    /* a multiple of COMMITLOG_ALIGN */
	uint64_t last; /* sequence number of its newest record; 0: may be overwritten */
};

struct commitlog {
	unsigned                   magic;
	char                      *path;
	uint64_t                   id;
	size_t                     segment_bytes;
	const struct disk         *disk;
	bool                       failed;

	/* Of the appending thread. */
	uint64_t        sequence; /* of the newest record */
	uint32_t        check;    /* its head checksum */

	pthread_mutex_t grow_lock; /* held while a segment is made; taken before `lock` */
	pthread_mutex_t lock; /* the list, the `last` of its segments, the number of the next, and
	                       * where the tail is for all but the appending thread */
	unsigned        next_number;
	VEC(struct segment *) segments;
	struct segment *tail; /* the one that is written; NULL: none yet */
	size_t          at;   /* where in the tail the next record goes */

	/* Promises: kept while reserved <= room.  A record's room goes before its promise does, so
	 * the sum errs on the safe side. */
	_Atomic size_t room;     /* for records, in segments that are there */
	_Atomic size_t reserved; /* of that */
};

#define COMMITLOG_MAGIC 0xc0331706u

/* What a payload of that size takes on disk. */
static inline size_t
commitlog_padded(size_t payload)
{
	return (COMMITLOG_HEAD + payload + COMMITLOG_ALIGN - 1) / COMMITLOG_ALIGN * COMMITLOG_ALIGN;
}

/* A segment of at least `need` bytes, written with zeros and durable, and in the list. */
NODISCARD status commitlog_add_segment(struct commitlog *l, size_t need, struct err *e);
/* The tail has no room for `need` bytes: goes on in another segment. */
NODISCARD status commitlog_change_tail(struct commitlog *l, size_t need, struct err *e);
void commitlog_segment_free(struct commitlog *l, struct segment *s);
/* Under the lock, after a change of segments or tail. */
void commitlog_count_room(struct commitlog *l);
NODISCARD status commitlog_write_all(struct commitlog *l, const struct segment *s, str bytes,
    size_t at, struct err *e);
NODISCARD status commitlog_sync(struct commitlog *l, const struct segment *s, struct err *e);
/* Makes the names of the segments durable. */
NODISCARD status commitlog_sync_dir(struct commitlog *l, struct err *e);
/* Finds the files and opens them, unread.  `last` of each is 0. */
NODISCARD status commitlog_find_segments(struct commitlog *l, struct err *e);
/* err_os(), but OVERLOADED DatabaseFull if it is space that lacks. */
status commitlog_fail(struct err *e, const char *what, const char *path);
struct commitlog *commitlog_new(const struct commitlog_opts *opts);

#endif
