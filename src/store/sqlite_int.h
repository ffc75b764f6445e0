/* sqlite_int.h - what the files of the SQLite store share.
 *
 * sqlite.c        opening, format version, connections
 * sqlite_write.c  the write path: group commit
 * sqlite_read.c   scans, globals
 * sqlite_log.c    the document log
 *
 * Thread: the writer connection belongs to the thread that calls write(); a reader belongs to
 *         the thread that took it from the pool until it gives it back.
 * Memory: everything is owned by struct sqlite_store.
 */
#ifndef STORE_SQLITE_INT_H
#define STORE_SQLITE_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/arena.h"
#include "store/memtable.h"
#include "value/pack.h"

/* Version 2 is version 1 with a commit log beside it that has rows of its own: a program that
 * does not know the log must not open the file. */
enum { SQLITE_FORMAT_VERSION = 1, SQLITE_FORMAT_LOGGED = 2 };

enum write_stmt {
	WRITE_BEGIN,
	WRITE_COMMIT,
	WRITE_ROLLBACK,
	WRITE_DOC,
	WRITE_KEY,
	WRITE_BACKFILL,
	WRITE_GLOBAL,
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
	READ_GLOBAL,
	READ_MAX_TS,
	READ_BEGIN,
	READ_END,
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

struct sqlite_writer {
	sqlite3      *db;
	sqlite3_stmt *stmts[WRITE_STMTS];
	struct buf    json;
};

struct sqlite_store {
	unsigned              magic;
	char                 *path;
	int                   lock_fd; /* -1: not held */
	struct sqlite_writer  writer;
	pthread_mutex_t       pool_lock;
	struct sqlite_reader *pool; /* idle readers */
};

#define SQLITE_STORE_MAGIC 0x5c11e57eu

/* ST_INTERNAL with what SQLite says about its last failure. */
status sqlite_fail(sqlite3 *db, struct err *e, const char *what);
/* ST_OPERATIONAL: texts for the operator who starts the process. */
status sqlite_refuse(sqlite3 *db, struct err *e, const char *path);

NODISCARD status sqlite_prepare(sqlite3 *db, const char *const *sql, size_t n, sqlite3_stmt **ret,
    struct err *e);

NODISCARD status sqlite_reader_take(struct sqlite_store *s, struct sqlite_reader **ret,
    struct err *e);
void             sqlite_reader_give(struct sqlite_store *s, struct sqlite_reader *r);

/* The store without a log in front.  `max_format`: what the caller can read. */
NODISCARD status sqlite_open(const char *path, uint32_t max_format, struct sqlite_store **ret,
    struct err *e);
/* The same as a store of its own. */
NODISCARD status store_open_sqlite_plain(const char *path, struct store *ret, struct err *e);
void             sqlite_close(void *self);

extern const char *const sqlite_write_sql[WRITE_STMTS];
extern const char *const sqlite_read_sql[READ_STMTS];

/* The parts of a write, for a writer that makes its own transactions. */
status sqlite_run(struct sqlite_writer *w, enum write_stmt which, struct err *e);
void   sqlite_roll_back(struct sqlite_writer *w); /* if there is anything to roll back */
/* `json` without p: a tombstone. */
status sqlite_put_doc(struct sqlite_writer *w, ts_t ts, const struct uid *tablet,
    const struct uid *id, str json, ts_t prev_ts, struct err *e);
/* `which`: WRITE_KEY or WRITE_BACKFILL. */
status sqlite_put_key(struct sqlite_writer *w, enum write_stmt which, ts_t ts,
    const struct store_index_write *k, struct err *e);
status sqlite_put_global(struct sqlite_writer *w, const struct store_global *g, struct err *e);

/* Of stored rows: ST_INTERNAL, the database is damaged. */
status sqlite_bad_row(struct err *e, const char *what);
status sqlite_column_uid(sqlite3_stmt *st, int at, struct uid *ret, struct err *e);
/* Builds the document from stored JSON.  A table number of 0 is taken from the _id. */
status sqlite_parse_doc(struct sqlite_reader *r, str json, struct uid tablet, struct docid id,
    struct doc **ret, struct err *e);

/* Reads of SQLite with a view laid over it; the view must have been taken before the call. */
status sqlite_scan_under(struct sqlite_store *s, const struct memview *view,
    const struct store_scan *q, struct store_rows *ret, struct err *e);
status sqlite_log_under(struct sqlite_store *s, const struct memview *view, ts_t from, ts_t to,
    size_t limit, bool (*fn)(void *arg, const struct store_log_row *row), void *arg,
    struct err *e);

/* The members of the vtable. */
status sqlite_write(void *self, const struct store_batch *b, struct err *e);
status sqlite_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e);
status sqlite_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e);
status sqlite_global(void *self, str key, struct buf *ret_json, struct err *e);
status sqlite_max_ts(void *self, ts_t *ret, struct err *e);

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
