/* memtable.h - what is logged but not yet in SQLite.
 *
 * A memtable holds the rows of consecutive records, sorted as SQLite will store them.  One is
 * filled; when the applier takes it, another one is begun; when its rows are committed in SQLite
 * it is dropped as a whole.  So there are two at most, and nothing is ever removed from one.
 *
 * A reader works on a view: the tables of one moment and the number of the newest row that was
 * durable then.  Rows with higher numbers do not exist for it.
 *
 * Thread: one fills a table; any read it meanwhile (lists that grow under readers, see
 *         skiplist_int.h).  Counted: whoever drops the last reference frees it.
 * Memory: an arena per table, with the payloads; rows point into them.
 */
#ifndef STORE_MEMTABLE_H
#define STORE_MEMTABLE_H

#include "store/store.h"

struct mem_key { /* an index entry */
	/* The index and the first bytes of the key as numbers that sort like them: most
	 * comparisons end here, without a look at the key (a cache miss each). */
	uint64_t   rank[4];
	struct uid index;
	str        key;
	ts_t       ts;
	uint64_t   number; /* of the row, over all tables */
	bool       deleted;
	bool       backfill;
	bool       past_end; /* a probe behind all keys of its index */
	struct uid tablet, doc;
};

struct mem_revision {
	ts_t       ts;
	struct uid tablet, id;
	uint64_t   number;
	bool       deleted;
	ts_t       prev_ts;
	str        json;
};

struct mem_global {
	str      name, json;
	uint64_t number;
};

struct skiplist;
struct bulk;

struct memtable {
	_Atomic unsigned refs;
	struct arena    *arena;
	struct skiplist *keys;      /* by index, key; newest time first, newest row first */
	struct skiplist *revisions; /* by ts, tablet, id */
	struct skiplist *globals;   /* by name; newest row first */
	struct bulk     *bulk;      /* NULL except during recovery */
	uint64_t         sequence;  /* of its newest record; 0: empty */
	ts_t             newest;    /* timestamp of any commit */
	ts_t             max_ts;    /* of a document */
	bool             has_docs;

	/* The owner's. */
	size_t bytes;   /* of its records on disk */
	size_t records; /* 0: nothing to apply */
};

struct memtable *memtable_new(void);
struct memtable *memtable_ref(struct memtable *t);
void             memtable_unref(struct memtable *t); /* NULL is fine */
/* Recovery adds hundreds of thousands of rows at once: between these two calls they are only
 * collected, nobody may read the table, and the second one sorts them, in a tenth of the time.
 * INTERNAL: a revision is there twice. */
void             memtable_begin_bulk(struct memtable *t); /* of an empty table */
NODISCARD status memtable_end_bulk(struct memtable *t);
/* Adds a record's rows, numbering them on from *number.  INTERNAL: not a payload, or a
 * revision is there twice; the table is then of no use. */
NODISCARD status memtable_add(struct memtable *t, uint64_t sequence, str payload,
    uint64_t *number);

/* Of a view that is all zeros: nothing. */
struct memview {
	struct memtable *tables[2]; /* each a reference, or NULL */
	uint64_t         visible;
};

void memview_clear(struct memview *v);
/* NULL: not in the view. */
const struct mem_revision *memview_revision(const struct memview *v, ts_t ts, struct uid tablet,
    struct uid id);
/* The newest one <= at of a document: a walk through all rows. */
const struct mem_revision *memview_newest_revision(const struct memview *v, struct uid tablet,
    struct uid id, ts_t at);
const struct mem_global   *memview_global(const struct memview *v, str name);
/* The first revision at or behind (ts, tablet, id), or behind it if `after`. */
const struct mem_revision *memview_next_revision(const struct memview *v, ts_t ts,
    struct uid tablet, struct uid id, bool after);

/* Walks the keys of a scan's range, in its direction. */
struct memcursor {
	const struct memview    *view;
	const struct store_scan *q;
	const struct mem_key    *at; /* some version of the key; NULL: at the end */
};

void memcursor_open(struct memcursor *c, const struct memview *v, const struct store_scan *q);
void memcursor_next(struct memcursor *c);
/* The newest version of the key not above q->at; NULL: none. */
const struct mem_key *memcursor_version(const struct memcursor *c);

#endif
