/* store.h - the persistence seam (spec 03 section 7).
 *
 * A store keeps two logs: documents by (ts, table, id) and index entries by (index, key, ts).
 * It promises: a write call is atomic and durable when it returns; reads see a snapshot at
 * the asked timestamp; there is one writer process.
 *
 * Document bodies travel as struct doc: the store does the JSON.
 *
 * Thread: write calls come from one thread at a time; reads from any thread, concurrently
 *         with a write.
 * Memory: results hold references that the caller releases (store_rows_clear).
 * Format: the tables of spec 03 section 7.3 in SQLite.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/vec.h"
#include "value/doc.h"

/* One document revision of a commit. */
struct store_doc_write {
	struct uid  tablet;
	struct docid id;
	struct doc *doc;     /* NULL: deleted.  Borrowed for the call */
	ts_t        prev_ts; /* 0: none */
};

struct store_index_write {
	struct uid index;
	str        key;     /* borrowed */
	bool       deleted; /* tombstone */
	struct uid tablet;  /* of the document, if not deleted */
	struct uid doc;
};

/* What one commit writes at one timestamp. */
struct store_commit {
	ts_t                            ts;
	size_t                          ndocs;
	const struct store_doc_write   *docs;
	size_t                          nkeys;
	const struct store_index_write *keys;
	size_t                          reserved; /* what reserve() promised for it; 0: nothing */
};

/* An index entry at an older document's own timestamp (index backfill). */
struct store_backfill_row {
	ts_t                     ts;
	struct store_index_write key;
};

struct store_global {
	str key;
	str json;
};

struct store_batch {
	size_t                           ncommits;
	const struct store_commit *const *commits; /* ascending timestamps; keys collide: error */
	size_t                           nbackfill;
	const struct store_backfill_row *backfill; /* overwrite semantics */
	size_t                           nglobals;
	const struct store_global       *globals;
};

struct store_row {
	str         key; /* owned by the rows' arena */
	struct doc *doc; /* one reference, owned by the rows */
};

struct store_rows {
	VEC(struct store_row) rows;
	struct arena         *arena; /* owned; NULL while empty */
	bool                  more;  /* `limit` rows were found and the range holds further keys,
	                              * be they only tombstones */
};

void store_rows_init(struct store_rows *r);
void store_rows_clear(struct store_rows *r); /* frees; as after store_rows_init */

struct store_scan {
	struct uid index;
	struct uid tablet;
	uint32_t   table_number; /* to build docids */
	ts_t       at;
	str        lo;           /* inclusive */
	str        hi;           /* exclusive; n == 0: no end */
	bool       desc;
	size_t     limit;        /* counts returned rows; at least 1 */
};

struct store_log_row {
	ts_t        ts;
	struct uid  tablet;
	struct uid  id;
	struct doc *doc; /* NULL: tombstone.  The callback owns the reference */
	ts_t        prev_ts;
};

/* History that nobody may read any more (spec 03 section 7.7): every entry of one key, every
 * revision of one document, up to a timestamp. */
struct store_dead_key {
	struct uid index;
	str        key; /* borrowed */
	ts_t       upto;
};

struct store_dead_doc {
	struct uid tablet;
	struct uid id;
	ts_t       upto;
};

struct store_prune {
	size_t                       nkeys;
	const struct store_dead_key *keys;
	size_t                       ndocs;
	const struct store_dead_doc *docs;
	size_t                       nglobals; /* in the same transaction: bounds, checkpoints */
	const struct store_global   *globals;
};

struct store_stats {
	uint64_t file_bytes;  /* what the database takes on disk, its logs included */
	uint64_t free_bytes;  /* of those: not in use, will be overwritten before the file grows */
	uint64_t data_bytes;  /* of those: rows, live ones and history */
};

struct store_vtable {
	const char *name;
	/* Atomic and durable on ST_OK.  Any failure leaves the outcome unknown: the caller
	 * must stop the process and recover (spec 03 section 5.3). */
	status (*write)(void *self, const struct store_batch *b, struct err *e);
	/* Newest entry <= at for each key of the range, tombstones skipped, joined with its body.
	 * `ret` is empty before, and after a failure. */
	status (*scan)(void *self, const struct store_scan *q, struct store_rows *ret,
	    struct err *e);
	/* Revisions with from <= ts < to, ascending (ts, tablet, id), at most limit; calls fn for
	 * each, stops when it returns false.  table numbers of docids come from the _id field. */
	status (*log)(void *self, ts_t from, ts_t to, size_t limit,
	    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e);
	/* The newest revision <= at of one document, tombstones included; NOT_FOUND if there is
	 * none.  The caller owns the reference in *ret.  table_number as in store_scan. */
	status (*revision)(void *self, struct uid tablet, uint32_t table_number, struct uid id,
	    ts_t at, struct store_log_row *ret, struct err *e);
	/* Erases history, atomically.  It need not be durable at once, but what an earlier call
	 * wrote is never lost without what a later one wrote.  Any thread, beside write calls;
	 * every `upto` is at or below settled_ts(), and so is the commit that ended the backfill
	 * of an index whose entries are erased: its rows may be on their way at any older time.
	 * Globals that go through here never go through write().  What it costs is a page per key
	 * and per document, whatever the number of versions: bring many versions at once. */
	status (*prune)(void *self, const struct store_prune *p, struct err *e);
	/* All rows of a dropped index, of a deleted table's documents: up to `limit`; *ret_erased
	 * < limit: nothing is left.  Nobody has written to it since settled_ts().  Thread and
	 * durability as prune. */
	status (*erase_index)(void *self, struct uid index, size_t limit, size_t *ret_erased,
	    struct err *e);
	status (*erase_table)(void *self, struct uid tablet, size_t limit, size_t *ret_erased,
	    struct err *e);
	/* Rows at or below it may be pruned: later ones may still be on their way. */
	ts_t (*settled_ts)(void *self);
	/* Any thread, microseconds.  Promises that a commit of about `bytes` (documents and keys)
	 * will find room on disk.  OVERLOADED DatabaseFull if it would not: the commit must be
	 * refused before it is published.  What was promised is used up by the write call that
	 * brings the commit. */
	status (*reserve)(void *self, size_t bytes, struct err *e);
	/* What was promised is not needed: the commit was given up.  Any thread. */
	void (*release)(void *self, size_t bytes);
	status (*stats)(void *self, struct store_stats *ret, struct err *e);
	/* NOT_FOUND if absent. */
	status (*global)(void *self, str key, struct buf *ret_json, struct err *e);
	/* 0 if the log is empty. */
	status (*max_ts)(void *self, ts_t *ret, struct err *e);
	void (*close)(void *self);
};

struct store {
	const struct store_vtable *v;
	void                      *self;
};

/* `path` is created if absent, with a commit log "<path>.log.N" in front of it while it is open
 * (commitlog.h); exclusive lock.  CONFLICT if another process has it open; OPERATIONAL if the
 * database or its log is damaged, missing or of a newer format.  A commit's timestamp must be
 * above those of all commits before it: the same time again is a collision. */
NODISCARD status store_open_sqlite(const char *path, struct store *ret, struct err *e);
/* What the SQLite stores of the process may take together: half of it for page caches, half for
 * rows that wait to be applied.  Before the first of them is opened. */
void store_limit_memory(size_t bytes);
/* For tests and the simulator: everything that was written, in memory. */
void store_open_memory(struct store *ret);
/* The simulator's crash: forgets the writes whose timestamps are above `durable`
 * (memory store only). */
void store_memory_crash(struct store *s, ts_t durable);

static inline status
store_write(struct store *s, const struct store_batch *b, struct err *e)
{
	return s->v->write(s->self, b, e);
}

static inline status
store_scan(struct store *s, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	return s->v->scan(s->self, q, ret, e);
}

/* As the members reserve and release, which a store that never refuses does not have. */
static inline status
store_reserve(struct store *s, size_t bytes, struct err *e)
{
	return s->v->reserve ? s->v->reserve(s->self, bytes, e) : ST_OK;
}

static inline void
store_release(struct store *s, size_t bytes)
{
	if (s->v->release)
		s->v->release(s->self, bytes);
}

void store_close(struct store *s);
/* OVERLOADED DatabaseFull and NOT_FOUND, with the texts that every store has for them. */
status store_full(struct err *e);
status store_no_revision(struct err *e);

#endif
