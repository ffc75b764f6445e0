/* sqlite_int.h - what the files of the SQLite store share.
 *
 * sqlite.c         opening, connections
 * sqlite_format.c  tables, format versions, migration
 * sqlite_write.c   the write path: group commit, checksums
 * sqlite_prune.c   erasing history
 * sqlite_read.c    scans
 * sqlite_log.c     the document log
 * sqlite_lookup.c  single rows: revisions, globals, figures
 *
 * Thread: the writer connection belongs to whoever has the lock that its store has for it; a
 *         reader belongs to the thread that took it from the pool until it gives it back.
 * Memory: everything is owned by struct sqlite_store.
 */
#ifndef STORE_SQLITE_INT_H
#define STORE_SQLITE_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/arena.h"
#include "store/memtable.h"
#include "value/pack.h"

/* Versions 1 and 2 had no checksums.  The even versions have a commit log beside them that has
 * rows of its own: a program that does not know the log must not open the file. */
enum { SQLITE_FORMAT_VERSION = 3, SQLITE_FORMAT_LOGGED = 4, SQLITE_FORMAT_NEWEST = 4 };
#define SQLITE_FORMAT_GLOBAL "fresnel_format"

enum write_stmt {
	WRITE_BEGIN,
	WRITE_COMMIT,
	WRITE_ROLLBACK,
	WRITE_DOC,
	WRITE_KEY,
	WRITE_BACKFILL,
	WRITE_GLOBAL,
	WRITE_TOTALS,
	WRITE_PRUNE_KEY,
	WRITE_PRUNE_DOC,
	WRITE_ERASE_INDEX,
	WRITE_ERASE_TABLE,
	WRITE_STMTS
};

enum read_stmt {
	READ_WALK_ASC,      /* keys of [lo, hi), versions oldest first */
	READ_WALK_ASC_OPEN, /* keys of [lo, ...) */
	READ_WALK_DESC,     /* keys downwards, versions newest first */
	READ_WALK_DESC_OPEN,
	READ_NEWEST, /* the newest version <= at of one key */
	READ_BODY,
	READ_LOG,
	READ_REVISION,
	READ_GLOBAL,
	READ_MAX_TS,
	READ_BEGIN,
	READ_END,
	READ_FREE,
	READ_STMTS
};

/* One connection for reading, with what its user needs to build documents. */
struct sqlite_reader {
	struct sqlite_reader *next; /* in the pool */
	sqlite3              *db;
	sqlite3_stmt         *stmts[READ_STMTS];
	struct pack           pack;  /* trusted */
	struct arena         *arena; /* scratch for JSON trees; reset after each document */
	struct buf            key;   /* the key that a scan is at */
	struct buf            bound; /* where a scan goes on after it has left a key */
};

/* What the document log adds up to: how many rows have a checksum, and the sum of these modulo
 * 2^64.  A row that was lost, added or changed shows in it, whatever the order of the writes
 * (an incremental multiset hash: Clarke et al., 2003, against accidents only). */
struct sqlite_totals {
	uint64_t count, sum;
};

struct sqlite_writer {
	sqlite3             *db;
	sqlite3_stmt        *stmts[WRITE_STMTS];
	struct buf           json;
	struct sqlite_totals totals;    /* with what the transaction has done so far */
	struct sqlite_totals committed; /* what the database says */
};

struct sqlite_store {
	unsigned              magic;
	char                 *path;
	int                   lock_fd; /* -1: not held */
	struct sqlite_writer  writer;
	pthread_mutex_t       write_lock; /* the writer's; logged.c has one of its own for it */
	pthread_mutex_t       pool_lock;
	struct sqlite_reader *pool; /* idle readers */
};

#define SQLITE_STORE_MAGIC 0x5c11e57eu

/* ST_INTERNAL with what SQLite says about its last failure; OVERLOADED DatabaseFull if it is space
 * that lacks. */
status sqlite_fail(sqlite3 *db, struct err *e, const char *what);
/* ST_OPERATIONAL: texts for the operator who starts the process. */
status sqlite_refuse(sqlite3 *db, struct err *e, const char *path);

NODISCARD status sqlite_prepare(sqlite3 *db, const char *const *sql, size_t n, sqlite3_stmt **ret,
    struct err *e);

NODISCARD status sqlite_reader_take(struct sqlite_store *s, struct sqlite_reader **ret,
    struct err *e);
void             sqlite_reader_give(struct sqlite_store *s, struct sqlite_reader *r);

/* The store without a log in front.  `logged`: the caller sees to the log if there is one. */
NODISCARD status sqlite_open(const char *path, bool logged, struct sqlite_store **ret,
    struct err *e);
/* The parts of opening.  Checks the format of an open database, and brings an older one up to
 * date. */
NODISCARD status sqlite_connect(const char *path, int flags, const char *pragmas, sqlite3 **ret,
    struct err *e);
/* "<path>.lock", so that one process has the database.  CONFLICT: another one has it. */
NODISCARD status sqlite_take_lock(const char *path, int *ret_fd, struct err *e);
/* The version; 0: a new file or one of the reference server's.  OPERATIONAL DatabaseTooNew,
 * DatabaseDamaged. */
NODISCARD status sqlite_read_format(sqlite3 *db, const char *path, uint32_t *ret, struct err *e);
NODISCARD status sqlite_migrate(struct sqlite_writer *w, const char *path, bool logged,
    struct err *e);
extern const char sqlite_schema_sql[];
/* The same as a store of its own. */
NODISCARD status store_open_sqlite_plain(const char *path, struct store *ret, struct err *e);
void             sqlite_close(void *self);

extern const char *const sqlite_write_sql[WRITE_STMTS];
extern const char *const sqlite_read_sql[READ_STMTS];

/* Bytes in the log: what store_limit_memory() has left for rows that wait. */
size_t sqlite_backlog_max(void);

/* The parts of a write, for a writer that makes its own transactions. */
status sqlite_run(struct sqlite_writer *w, enum write_stmt which, struct err *e);
void   sqlite_roll_back(struct sqlite_writer *w); /* if there is anything to roll back */
status sqlite_commit(struct sqlite_writer *w, struct err *e); /* with the totals */
/* `json` without p: a tombstone. */
status sqlite_put_doc(struct sqlite_writer *w, ts_t ts, const struct uid *tablet,
    const struct uid *id, str json, ts_t prev_ts, struct err *e);
/* `which`: WRITE_KEY or WRITE_BACKFILL. */
status sqlite_put_key(struct sqlite_writer *w, enum write_stmt which, ts_t ts,
    const struct store_index_write *k, struct err *e);
status sqlite_put_global(struct sqlite_writer *w, const struct store_global *g, struct err *e);

/* A transaction each. */
status sqlite_prune_rows(struct sqlite_writer *w, const struct store_prune *p, struct err *e);
/* `which`: WRITE_ERASE_INDEX or WRITE_ERASE_TABLE. */
status sqlite_erase_rows(struct sqlite_writer *w, enum write_stmt which, struct uid owner,
    size_t limit, size_t *ret_erased, struct err *e);

/* The checksum of a row of the document log; `json` without p: a tombstone. */
uint64_t sqlite_sum(ts_t ts, const struct uid *tablet, const struct uid *id, str json,
    ts_t prev_ts);

/* Of stored rows: ST_INTERNAL, the database is damaged. */
status sqlite_bad_row(struct err *e, const char *what);
status sqlite_column_uid(sqlite3_stmt *st, int at, struct uid *ret, struct err *e);
/* Builds the document from stored JSON.  A table number of 0 is taken from the _id.  try: without
 * a word if it cannot be read. */
status sqlite_try_doc(struct sqlite_reader *r, str json, struct uid tablet, struct docid id,
    struct doc **ret);
status sqlite_parse_doc(struct sqlite_reader *r, str json, struct uid tablet, struct docid id,
    struct doc **ret, struct err *e);

/* The newest revision <= at of a document. */
struct sqlite_which {
	struct uid   tablet;
	struct docid id;
	ts_t         at;
};

/* Reads of SQLite with a view laid over it; the view must have been taken before the call. */
status sqlite_scan_under(struct sqlite_store *s, const struct memview *view,
    const struct store_scan *q, struct store_rows *ret, struct err *e);
status sqlite_log_under(struct sqlite_store *s, const struct memview *view, ts_t from, ts_t to,
    size_t limit, bool (*fn)(void *arg, const struct store_log_row *row), void *arg,
    struct err *e);

/* `settled`: the view has nothing at or below it that SQLite has not.  Above it the view is
 * walked through: up to milliseconds. */
status sqlite_revision_under(struct sqlite_store *s, const struct memview *view, ts_t settled,
    const struct sqlite_which *which, struct store_log_row *ret, struct err *e);

/* The members of the vtable. */
status sqlite_write(void *self, const struct store_batch *b, struct err *e);
status sqlite_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e);
status sqlite_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e);
status sqlite_global(void *self, str key, struct buf *ret_json, struct err *e);
status sqlite_max_ts(void *self, ts_t *ret, struct err *e);
status sqlite_revision(void *self, struct uid tablet, uint32_t table_number, struct uid id,
    ts_t at, struct store_log_row *ret, struct err *e);
status sqlite_prune(void *self, const struct store_prune *p, struct err *e);
status sqlite_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased,
    struct err *e);
status sqlite_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased,
    struct err *e);
/* Without the commit log. */
status sqlite_stats(void *self, struct store_stats *ret, struct err *e);

/* Binds bytes that stay where they are until the statement is reset. */
static inline int
sqlite_bind_bytes(sqlite3_stmt *st, int at, str s)
{
	return sqlite3_bind_blob64(st, at, s.p ? s.p : "", s.n, SQLITE_STATIC);
}

static inline int
sqlite_bind_uid(sqlite3_stmt *st, int at, const struct uid *u)
{
	return sqlite3_bind_blob(st, at, u->b, sizeof u->b, SQLITE_STATIC);
}

/* Valid until the next step or reset.  A blob of no bytes reads as NULL in SQLite. */
static inline str
sqlite_column_bytes(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);

	return p ? str_of(p, (size_t)sqlite3_column_bytes(st, at)) : STR_EMPTY;
}

#endif
