/* db.h - snapshots and commits.
 *
 * The database is one copy-on-write B+tree over full keys (readset.h), a cache over the
 * store: it knows which key ranges are resident, and readers load the rest from the store at
 * their snapshot's timestamp.  A snapshot is a timestamp, a root and a catalogue; taking one
 * costs a reference, reading it takes no lock.
 *
 * The committer is a monitor: whichever thread finished a mutation calls db_commit(), which
 * under one lock checks the read set against the write log, assigns the timestamp, splices
 * the writes into the tree, publishes the new snapshot and queues the rows for the store.
 * So a loser of a conflict learns it at once and runs again on the winner's snapshot,
 * without a hop between threads.  What was committed may leave the process only when
 * db_durable_ts() has reached its timestamp.
 *
 * Thread: any, where not stated otherwise.
 */
#ifndef DATABASE_DB_H
#define DATABASE_DB_H

#include "database/catalog.h"
#include "database/readset.h"
#include "os/os.h"
#include "store/store.h"

struct db;
struct snapshot;

struct db_opts {
	const struct os *os;
	struct store     store;          /* owned by the db from db_open on */
	size_t           wlog_max_bytes; /* 0: 200 MiB */
	size_t           cache_bytes;    /* of resident ranges (evict.h); 0: no limit */
	uint8_t          cursor_key[16]; /* seals cursors: key broker label "cursor" */
	uint8_t          journal_key[16]; /* label "query journal" */
	str              instance_name;  /* inside cursors; copied */
	/* Called under the commit lock after each commit was published: must only wake others. */
	void (*on_commit)(void *arg);
	void  *on_commit_arg;
};

/* Creates the bootstrap tables in an empty store, else loads the catalogue and the resident
 * system tables (spec 03 sections 7.2 and 8). */
NODISCARD status db_open(const struct db_opts *opts, struct db **ret, struct err *e);
void db_close(struct db *db); /* all snapshots released, store thread stopped */

const struct os *db_os(const struct db *db);
ts_t db_latest_ts(struct db *db);  /* newest published */
ts_t db_durable_ts(struct db *db); /* everything up to it survives a crash */

/* Drops up to so many bytes of what is resident, used or not, whatever the budget: tests want to
 * read it back. */
void db_evict_now(struct db *db, size_t max_bytes);

/* --- snapshots --- */

/* The newest one; one reference for the caller. */
struct snapshot *db_snapshot(struct db *db);
/* The one at exactly `ts`, kept for 10 s after a db_pin_latest(); OUT_OF_RETENTION otherwise;
 * INTERNAL if ts is in the future. */
NODISCARD status db_snapshot_at(struct db *db, ts_t ts, struct snapshot **ret, struct err *e);
/* The newest timestamp, which db_snapshot_at() will find for 10 s (query_ts). */
ts_t db_pin_latest(struct db *db);

struct snapshot *snapshot_ref(struct snapshot *s);
void             snapshot_unref(struct snapshot *s);
ts_t             snapshot_ts(const struct snapshot *s);
struct catalog  *snapshot_catalog(const struct snapshot *s); /* borrowed */
struct db       *snapshot_db(const struct snapshot *s);

/* A scan of [lo, hi) of one index.  Absent ranges are read from the store and handed to the
 * db to install.  Full keys; the interval lies inside one index. */
struct scan;
struct scan *scan_open(struct snapshot *s, const struct table_info *t, const struct index_info *ix,
    str lo, str hi, bool desc, size_t size_hint);
/* *ret_doc NULL at the end.  Key and doc are borrowed until scan_close(). */
NODISCARD status scan_next(struct scan *sc, str *ret_key, struct doc **ret_doc, struct err *e);
void scan_close(struct scan *sc);
/* One key (by_id and the like).  *ret NULL if absent; one reference for the caller. */
NODISCARD status snapshot_get(struct snapshot *s, const struct table_info *t,
    const struct index_info *ix, str full_key, struct doc **ret, struct err *e);

/* --- commits --- */

struct write_key { /* one index entry that changes */
	const struct index_info *index; /* of the writing transaction's catalogue */
	str old_key; /* full key before; n == 0: none */
	str new_key; /* full key after; n == 0: none.  Equal to old_key: the body changed */
};

struct write {
	const struct table_info *table;
	struct docid      id;
	struct doc       *old; /* NULL: inserted */
	struct doc       *new; /* NULL: deleted */
	size_t            nkeys;
	struct write_key *keys; /* every index of the table, backfilling ones included */
};

/* Built by a transaction; everything in it is borrowed until db_commit() returns. */
struct commit {
	struct snapshot      *base;     /* what it read */
	const struct readset *reads;
	size_t                nwrites;
	struct write         *writes;   /* in dependency order: spec 03 section 3.5 */
	struct catalog       *catalog;  /* with the transaction's own DDL; NULL: unchanged */
	str                   writer;   /* function path for conflict reports */
};

struct conflict {
	char  table[65];
	char  index[65];
	char  doc[ID_TEXT_MAX]; /* of the document that changed; empty if unknown */
	char  writer[160];      /* function that changed it; empty if unknown */
	ts_t  ts;
	bool  system_table;
};

/* OK: *ret_ts is the commit's timestamp (the base's if there are no writes).
 * OCC: *ret_conflict says what changed; nothing was written.
 * CONFLICT/BAD_REQUEST: id reuse (spec 03 section 2.5). */
NODISCARD status db_commit(struct db *db, const struct commit *c, ts_t *ret_ts,
    struct conflict *ret_conflict, struct err *e);

/* True if a commit in (after, until] touched `reads`, or if that cannot be known any more.
 * *ret_at (may be NULL): the first such commit, 0 if unknown. */
bool db_changed(struct db *db, const struct readset *reads, ts_t after, ts_t until, ts_t *ret_at);

/* The full keys written by commits in (after, latest], in timestamp order.  False if the log
 * no longer reaches back to `after`: everything must be treated as changed. */
bool db_changes(struct db *db, ts_t after, void (*fn)(void *arg, ts_t ts, str full_key), void *arg);

/* --- the store's side: one thread (the store thread, or the simulator) --- */

struct pending_batch; /* commits published but not yet written */
/* Everything queued so far, up to max_rows document rows; NULL if there is nothing. */
struct pending_batch *db_take_batch(struct db *db, size_t max_rows);
/* Writes it, then lets the durable timestamp advance.  Frees it.  On error the process must
 * stop: the outcome is unknown. */
NODISCARD status db_write_batch(struct db *db, struct pending_batch *b, struct err *e);
size_t db_pending_commits(struct db *db);
/* To be called every few seconds while there is nothing to take: writes the promise that all up
 * to now is known, 5 s after a commit and every hour (spec 03 section 5.9).  Errors as above. */
NODISCARD status db_idle(struct db *db, struct err *e);

/* Index backfill (spec 03 section 4.6): entries at the documents' own timestamps; queued
 * ahead of any later commit.  Rows are copied.  The index may become readable only when a
 * commit that came after them is durable: absent ranges are read from the store. */
void db_queue_backfill(struct db *db, const struct store_backfill_row *rows, size_t n);

#endif
