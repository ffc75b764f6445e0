/* db_int.h - what the files of db.h share.
 *
 *     db.c      opening, closing, snapshots, pins
 *     boot.c    the first start, and loading the catalogue
 *     scan.c    reading snapshots, loading absent ranges
 *     commit.c  checking, splicing and publishing a commit
 *     batch.c   the queue to the store
 *     evict.c   dropping what nobody asks for (evict.h)
 *
 * Two locks.  `lock` guards the tree, the published state and the write log; it is held for
 * microseconds and never while the store works.  `queue_lock` guards what waits for the
 * store; it may be taken inside `lock`, never the other way round.
 *
 * Thread: any, under those locks.
 */
#ifndef DATABASE_DB_INT_H
#define DATABASE_DB_INT_H

#include "database/catalog_int.h"
#include "database/counts.h"
#include "database/db.h"
#include "database/evict.h"
#include "database/resident.h"
#include "database/tree.h"
#include "database/wlog.h"
#include "runtime/thread.h"

struct snapshot {
	_Atomic uint32_t  refs;
	struct db        *db;
	ts_t              ts;
	struct catalog   *catalog; /* one reference */
	struct tree_snap *view;    /* one reference */
	/* A later view of the same moment, in which more is resident; under the db's lock. */
	struct tree_snap *fresh;
	struct snapshot  *older, *newer; /* the live ones, by timestamp; under the db's lock */
};

struct pin {
	struct snapshot *snapshot;
	uint64_t         until_ns; /* monotonic */
};

/* What commits left behind in the store, for retention: an estimate. */
struct db_history {
	uint64_t rows;  /* revisions that were replaced or deleted */
	uint64_t bytes; /* of those, or of their index entries */
};

/* One commit on its way to the store; everything is in its arena. */
struct pending_commit {
	struct pending_commit    *next;
	struct arena             *arena;
	struct wlog_record       *record; /* owns the bytes of the keys; one reference */
	struct db_history         dead_docs, dead_keys; /* what the commit leaves behind */
	struct store_commit       rows;
	struct store_doc_write   *docs;   /* rows.docs; a reference to each document */
	struct store_index_write *keys;   /* rows.keys */
};

struct db {
	const struct os *os;
	struct store     store;
	uint8_t          cursor_key[16];
	uint8_t          journal_key[16];
	char            *instance_name;
	void           (*on_commit)(void *arg);
	void            *on_commit_arg;

	pthread_mutex_t  lock;
	struct tree     *tree;
	struct catalog  *catalog;   /* of the newest commit; one reference */
	_Atomic ts_t     latest;
	ts_t             promised;  /* nothing will be committed at or below it */
	struct snapshot *current;   /* of `latest`, made on demand; NULL: not made */
	struct evictor   evict;
	struct wlog     *wlog;
	struct counts    counts;
	VEC(struct pin)  pins;
	struct snapshot *oldest, *newest;  /* of the live ones; NULL: none */
	struct db_history dead_docs, dead_keys;
	VEC(uint32_t)    dropped;   /* numbers of dropped indexes whose entries are still there */

	pthread_mutex_t        queue_lock;
	struct pending_commit *first, *last;
	size_t                 queued; /* commits */
	size_t                 taken;  /* of those in a batch that is being written */
	VEC(struct store_backfill_row) backfill; /* keys owned */
	_Atomic ts_t           durable;
	ts_t                   repeatable; /* max_repeatable_ts as last written */

	/* Timestamps below are not read any more (spec 03 section 7.6). */
	_Atomic ts_t index_bound, document_bound;
	/* queue_lock: index entries of documents as of `from` are on their way to the store, and
	 * there when a commit at `until` is.  from == 0: none. */
	struct {
		ts_t     from, until;
		uint64_t turn; /* of the backfill */
	} filling;
};

#define GLOBAL_REPEATABLE   S("max_repeatable_ts")
#define GLOBAL_INDEX_BOUND     S("min_snapshot_ts")
#define GLOBAL_INDEX_DONE      S("confirmed_deleted_ts")
#define GLOBAL_DOCUMENT_BOUND  S("document_min_snapshot_ts")
#define GLOBAL_DOCUMENT_DONE   S("document_confirmed_deleted_ts")
#define GLOBAL_HISTORY         S("retention_history") /* an estimate: retention.c */
#define GLOBAL_TABLES_BY_ID S("tables_by_id")
#define GLOBAL_INDEX_BY_ID  S("index_by_id")
#define GLOBAL_TABLES       S("tables_table_id")
#define GLOBAL_INDEX        S("index_table_id")

/* What page.c seals cursors and journals with: 16 bytes each. */
const uint8_t *db_cursor_key(const struct db *db);
const uint8_t *db_journal_key(const struct db *db);
str            db_instance_name(const struct db *db);

/* Fills an empty store, or adds the system tables and indexes that it lacks; then loads
 * catalogue and resident tables into db->catalog and db->tree. */
NODISCARD status db_boot(struct db *db, struct err *e);
/* Is the whole table held in memory, always (spec 03 section 8)? */
bool table_is_resident(const struct table_info *t);

/* A reader asks behind each look into the store, so that it never takes for complete what was
 * erased meanwhile (spec 03 section 7.6): OUT_OF_RETENTION. */
NODISCARD status db_check_bound(struct db *db, ts_t at, struct err *e);
/* The timestamp of the oldest live snapshot, or the newest one. */
ts_t db_oldest_ts(struct db *db);

/* Under the lock: the next db_snapshot() makes a new one. */
void db_forget_current(struct db *db);
/* A newer view of `s` than `than`, in which the range at `key` (desc: just before it) is
 * resident; one reference, or NULL if there is none. */
struct tree_snap *snapshot_fresh(struct snapshot *s, const struct tree_snap *than, str key,
    bool desc);
/* What has become resident since the view of `s` was taken: true if it tells about the key. */
bool snapshot_peek(struct snapshot *s, str full_key, struct doc **ret);
void              snapshot_release_view(struct db *db, struct tree_snap *v);
/* What the store said at the snapshot about [lo, hi) of one index.  Takes the rows. */
void db_install_take(struct snapshot *s, str lo, str hi, struct entry **rows, size_t n);
/* Under the lock: ends with freeing what was collected.  Unlocks. */
void db_unlock_and_free(struct db *db);

/* Takes it. */
void db_enqueue_take(struct db *db, struct pending_commit *p);
void pending_commit_free(struct pending_commit *p);
/* A bounded bit of work left behind: dropped indexes, old pins. */
void db_tidy(struct db *db);

#endif
