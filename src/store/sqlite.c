/* sqlite.c - SQLite's part of the embedded store: one file, one process.
 *
 * By itself it runs in WAL mode with synchronous=FULL: a commit appends to the write-ahead log and
 * syncs it once; reads never wait for it.  Behind the commit log (logged.c) nothing waits for a
 * sync.  One connection writes.  Readers come from a pool that grows to the number of threads that
 * read at the same moment and is not shrunk: those are the bounded worker pools.
 *
 * A lock on "<path>.lock" keeps a second process out; SQLite's own locks would let it in between
 * two commits, and both would assign timestamps.
 *
 * Format: sqlite_format.c.
 *
 * Thread: open and close: one.  Memory: struct sqlite_store.
 */
#include <errno.h>
#include <stdio.h>

#include "os/file.h"
#include "runtime/thread.h"
#include "store/sqlite_int.h"

/* Checkpoints are rare and large (the default of 1,000 pages costs a quarter of the
 * throughput), and the log file is kept at its size: overwriting it in place is cheaper than
 * growing it, because a sync then has no file size to write. */
static const char writer_sql[] = "PRAGMA journal_mode = WAL;"
				 "PRAGMA synchronous = FULL;"
				 "PRAGMA wal_autocheckpoint = 8192;"
				 "PRAGMA cache_size = -65536;"
				 "PRAGMA temp_store = MEMORY;";

static const char reader_sql[] = "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;";

static size_t backlog_max = SIZE_MAX;

/* Above its soft limit SQLite's page caches reuse what they have: the sizes above are then
 * upper bounds.  Rows in a memtable take about twice their bytes in the log. */
void
store_limit_memory(size_t bytes)
{
	sqlite3_soft_heap_limit64((sqlite3_int64)(bytes / 2));
	backlog_max = bytes / 4;
}

size_t
sqlite_backlog_max(void)
{
	return backlog_max;
}

enum { BUSY_TIMEOUT_MS = 5000 };

status
sqlite_fail(sqlite3 *db, struct err *e, const char *what)
{
	int rc = sqlite3_extended_errcode(db);

	if (rc == SQLITE_FULL ||
	    (rc == SQLITE_IOERR_SHMSIZE && sqlite3_system_errno(db) == ENOSPC))
		return store_full(e);
	return err_internal(e, "sqlite: %s: %s (%d)", what, sqlite3_errmsg(db), rc);
}

status
sqlite_refuse(sqlite3 *db, struct err *e, const char *path)
{
	if (db && (sqlite3_errcode(db) & 0xff) == SQLITE_CORRUPT)
		return err_set(e, ST_OPERATIONAL, "DatabaseDamaged",
		    "the database '%s' is damaged: %s", path, sqlite3_errmsg(db));
	return err_set(e, ST_OPERATIONAL, "DatabaseUnavailable",
	    "cannot open the database '%s': %s", path, db ? sqlite3_errmsg(db) : "out of memory");
}

status
sqlite_prepare(sqlite3 *db, const char *const *sql, size_t n, sqlite3_stmt **ret, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &ret[i], NULL) !=
		    SQLITE_OK)
			return sqlite_fail(db, e, sql[i]);
	return ST_OK;
}

status
sqlite_connect(const char *path, int flags, const char *pragmas, sqlite3 **ret, struct err *e)
{
	/* No mutex inside: a connection has one user at a time.  Private caches: readers must not
	 * block the writer. */
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	if (sqlite3_open_v2(path, ret, flags, NULL) != SQLITE_OK)
		return sqlite_refuse(*ret, e, path);
	sqlite3_busy_timeout(*ret, BUSY_TIMEOUT_MS);
	if (sqlite3_exec(*ret, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(*ret, e, path);
	return ST_OK;
}

static void
reader_free(struct sqlite_reader *r)
{
	for (size_t i = 0; i < READ_STMTS; i++)
		sqlite3_finalize(r->stmts[i]);
	sqlite3_close(r->db);
	pack_clear(&r->pack);
	arena_free(r->arena);
	buf_clear(&r->key);
	buf_clear(&r->bound);
	mem_free(r);
}

static status
reader_new(const char *path, struct sqlite_reader **ret, struct err *e)
{
	struct sqlite_reader *r = MEM_NEW(struct sqlite_reader);
	status                st;

	pack_init(&r->pack);
	r->pack.trusted = true;
	r->arena = arena_new();
	buf_init(&r->key, BUF_MAX_DEFAULT);
	buf_init(&r->bound, BUF_MAX_DEFAULT);
	st = sqlite_connect(path, SQLITE_OPEN_READONLY, reader_sql, &r->db, e);
	if (st == ST_OK)
		st = sqlite_prepare(r->db, sqlite_read_sql, READ_STMTS, r->stmts, e);
	if (st != ST_OK) {
		reader_free(r);
		return st;
	}
	*ret = r;
	return ST_OK;
}

status
sqlite_reader_take(struct sqlite_store *s, struct sqlite_reader **ret, struct err *e)
{
	struct sqlite_reader *r;

	must(s->magic == SQLITE_STORE_MAGIC);
	mutex_lock_(&s->pool_lock);
	r = s->pool;
	if (r)
		s->pool = r->next;
	must(pthread_mutex_unlock(&s->pool_lock) == 0);
	if (!r)
		return reader_new(s->path, ret, e);
	*ret = r;
	return ST_OK;
}

void
sqlite_reader_give(struct sqlite_store *s, struct sqlite_reader *r)
{
	MUTEX_GUARD(&s->pool_lock);
	r->next = s->pool;
	s->pool = r;
}

void
sqlite_close(void *self)
{
	struct sqlite_store *s = self;

	must(s->magic == SQLITE_STORE_MAGIC);
	while (s->pool) {
		struct sqlite_reader *next = s->pool->next;

		reader_free(s->pool);
		s->pool = next;
	}
	for (size_t i = 0; i < WRITE_STMTS; i++)
		sqlite3_finalize(s->writer.stmts[i]);
	/* The last connection: moves the log into the database and deletes it. */
	sqlite3_close(s->writer.db);
	buf_clear(&s->writer.json);
	if (s->lock_fd >= 0)
		file_unlock(s->lock_fd);
	pthread_mutex_destroy(&s->pool_lock);
	pthread_mutex_destroy(&s->write_lock);
	mem_free(s->path);
	s->magic = 0;
	mem_free(s);
}

/* The last commit is in the file as soon as it is there at all. */
static ts_t
sqlite_settled_ts(void *self)
{
	ts_t newest = 0;

	return sqlite_max_ts(self, &newest, NULL) == ST_OK ? newest : 0;
}

static const struct store_vtable sqlite_vtable = {
	.name = "sqlite",
	.write = sqlite_write,
	.scan = sqlite_scan,
	.log = sqlite_log,
	.revision = sqlite_revision,
	.prune = sqlite_prune,
	.erase_index = sqlite_erase_index,
	.erase_table = sqlite_erase_table,
	.settled_ts = sqlite_settled_ts,
	.stats = sqlite_stats,
	.global = sqlite_global,
	.max_ts = sqlite_max_ts,
	.close = sqlite_close,
};

status
sqlite_take_lock(const char *path, int *ret_fd, struct err *e)
{
	size_t n = strlen(path) + sizeof ".lock";
	char  *name = mem_alloc(n);
	status st;

	snprintf(name, n, "%s.lock", path);
	st = file_lock(name, ret_fd, e);
	mem_free(name);
	return st;
}

static status
open_writer(struct sqlite_store *s, bool logged, struct err *e)
{
	struct sqlite_writer *w = &s->writer;

	TRY(sqlite_connect(
	    s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, writer_sql, &w->db, e));
	TRY(sqlite_migrate(w, s->path, logged, e));
	return sqlite_prepare(w->db, sqlite_write_sql, WRITE_STMTS, w->stmts, e);
}

/* SQLite's memory statistics are a global lock in every allocation; nobody reads them. */
static void
configure_once(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

status
sqlite_open(const char *path, bool logged, struct sqlite_store **ret, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite_store  *s = MEM_NEW(struct sqlite_store);
	size_t                n = strlen(path) + 1;
	status                st;

	pthread_once(&once, configure_once);
	s->magic = SQLITE_STORE_MAGIC;
	s->lock_fd = -1;
	s->path = mem_alloc(n);
	memcpy(s->path, path, n);
	buf_init(&s->writer.json, BUF_MAX_DEFAULT);
	must(pthread_mutex_init(&s->pool_lock, NULL) == 0);
	must(pthread_mutex_init(&s->write_lock, NULL) == 0);

	st = sqlite_take_lock(s->path, &s->lock_fd, e);
	if (st == ST_OK)
		st = open_writer(s, logged, e);
	if (st != ST_OK) {
		sqlite_close(s);
		return st;
	}
	*ret = s;
	return ST_OK;
}

status
store_open_sqlite_plain(const char *path, struct store *ret, struct err *e)
{
	struct sqlite_store *s;

	TRY(sqlite_open(path, false, &s, e));
	*ret = (struct store){ &sqlite_vtable, s };
	return ST_OK;
}
