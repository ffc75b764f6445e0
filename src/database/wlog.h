/* wlog.h - the log of recent commits, in memory (spec 03 sections 5.3 and 5.8).
 *
 * One immutable record per commit, in timestamp order: the full keys that it changed and, for
 * reports, which document and function.  A record is kept for 30 s, then until it is 300 s old
 * or the log takes more than a quarter of its bytes; when they are used up, it forgets even younger
 * ones, whose transactions then start again.
 *
 * Thread: the log itself under the db's lock; records are reference-counted and may be read
 *         anywhere, so that long checks happen outside the lock on a slice of references.
 * Memory: one block per record, together at most max_bytes.
 * Format: none; nothing here is written to disk.
 */
#ifndef DATABASE_WLOG_H
#define DATABASE_WLOG_H

#include "database/readset.h"
#include "value/doc.h"

struct wlog_key {
	str      key;   /* full key */
	uint32_t write; /* position in writes */
};

struct wlog_write {
	struct uid   tablet;
	struct docid id;
};

struct wlog_record {
	_Atomic uint32_t   refs;
	ts_t               ts; /* set when appended */
	size_t             bytes;
	str                writer;
	size_t             nwrites;
	struct wlog_write *writes;
	size_t             nkeys;
	struct wlog_key   *keys;
};

/* One block with room for all of it; the caller fills in writes and keys, using *ret_room
 * for the bytes of the keys.  One reference for the caller. */
struct wlog_record *wlog_record_new(str writer, size_t nwrites, size_t nkeys, size_t key_bytes,
    char **ret_room);
struct wlog_record *wlog_record_ref(struct wlog_record *r);
void                wlog_record_unref(struct wlog_record *r); /* NULL is fine */
/* The first key inside `reads`, or NULL. */
const struct wlog_key *wlog_record_hit(const struct wlog_record *r, const struct readset *reads);

struct wlog;

/* Knows all commits after `floor`. */
struct wlog *wlog_new(size_t max_bytes, ts_t floor);
void         wlog_free(struct wlog *w);
/* Takes the reference; ts must be above all before.  Forgets what is too old. */
void         wlog_append_take(struct wlog *w, struct wlog_record *r, ts_t ts);
ts_t         wlog_floor(const struct wlog *w); /* commits at or below it are forgotten */
size_t       wlog_count_after(const struct wlog *w, ts_t after);

#define WLOG_SLICE 32
struct wlog_slice {
	size_t              n;
	struct wlog_record *v[WLOG_SLICE]; /* a reference each */
};
/* The oldest records after `after`, as many as fit. */
void wlog_slice_take(struct wlog *w, ts_t after, struct wlog_slice *ret);
void wlog_slice_clear(struct wlog_slice *s);

#endif
