/* sqlite.c - SQLite's part of the embedded store: one file, one process.
 *
 * The tables are those of spec 03 section 7.3; they differ from that file's only in being
 * WITHOUT ROWID, so that a row lives in the tree of its primary key instead of in two trees.
 *
 * By itself it runs in WAL mode with synchronous=FULL: a commit appends to the write-ahead log and
 * syncs it once; reads never wait for it.  Behind the commit log (logged.c) nothing waits for a
 * sync.  One connection writes.  Readers come from a pool that grows to the number of threads that
 * read at the same moment and is not shrunk: those are the bounded worker pools.
 *
 * A lock on "<path>.lock" keeps a second process out; SQLite's own locks would let it in between
 * two commits, and both would assign timestamps.
 *
 * Format: a global "fresnel_format" {"version":1}.  A file without it is a new one, or comes
 * from the reference server, whose tables are the same.
 *
 * Thread: open and close: one.  Memory: struct sqlite_store.
 */
#include <stdio.h>

#include "base/json.h"
#include "os/file.h"
#include "runtime/thread.h"
#include "store/sqlite_int.h"

#define FORMAT_GLOBAL "fresnel_format"

static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS documents (id BLOB NOT NULL, ts INTEGER NOT NULL,"
    " table_id BLOB NOT NULL, json_value TEXT NULL, deleted INTEGER NOT NULL, prev_ts INTEGER NULL,"
    " PRIMARY KEY (ts, table_id, id)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS documents_by_table_and_id ON documents (table_id, id, ts);"
    "CREATE TABLE IF NOT EXISTS indexes (index_id BLOB NOT NULL, ts INTEGER NOT NULL,"
    " key BLOB NOT NULL, deleted INTEGER NOT NULL, table_id BLOB NULL, document_id BLOB NULL,"
    " PRIMARY KEY (index_id, key, ts)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS persistence_globals (key TEXT NOT NULL, json_value TEXT NOT NULL,"
    " PRIMARY KEY (key)) WITHOUT ROWID;";

/* Checkpoints are rare and large (the default of 1,000 pages costs a quarter of the
 * throughput), and the log file is kept at its size: overwriting it in place is cheaper than
 * growing it, because a sync then has no file size to write. */
static const char writer_sql[] = "PRAGMA journal_mode = WAL;"
				 "PRAGMA synchronous = FULL;"
				 "PRAGMA wal_autocheckpoint = 8192;"
				 "PRAGMA cache_size = -65536;"
				 "PRAGMA temp_store = MEMORY;";

static const char reader_sql[] = "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;";

enum { BUSY_TIMEOUT_MS = 5000 };

status
sqlite_fail(sqlite3 *db, struct err *e, const char *what)
{
	return err_internal(e, "sqlite: %s: %s (%d)", what, sqlite3_errmsg(db),
	    sqlite3_extended_errcode(db));
}

status
sqlite_refuse(sqlite3 *db, struct err *e, const char *path)
{
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

static status
connect_db(const char *path, int flags, const char *pragmas, sqlite3 **ret, struct err *e)
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
	st = connect_db(path, SQLITE_OPEN_READONLY, reader_sql, &r->db, e);
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
	mem_free(s->path);
	s->magic = 0;
	mem_free(s);
}

static const struct store_vtable sqlite_vtable = {
	.name = "sqlite",
	.write = sqlite_write,
	.scan = sqlite_scan,
	.log = sqlite_log,
	.global = sqlite_global,
	.max_ts = sqlite_max_ts,
	.close = sqlite_close,
};

/* The text of the format global; NULL if there is none (or no such table yet). */
static status
read_format(struct sqlite_store *s, struct arena *a, str *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int           rc;

	rc = sqlite3_prepare_v2(s->writer.db,
	    "SELECT 1 FROM sqlite_schema WHERE name = 'persistence_globals'", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	*ret = (str){ NULL, 0 };
	if (rc == SQLITE_DONE)
		return ST_OK;
	if (rc != SQLITE_ROW)
		return sqlite_refuse(s->writer.db, e, s->path);

	rc = sqlite3_prepare_v2(s->writer.db,
	    "SELECT json_value FROM persistence_globals WHERE key = '" FORMAT_GLOBAL "'", -1, &st,
	    NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = arena_str(a, sqlite_column_bytes(st, 0));
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK
						     : sqlite_refuse(s->writer.db, e, s->path);
}

static status
check_format(struct sqlite_store *s, uint32_t max_format, struct err *e)
{
	struct arena *a = arena_new();
	struct json  *j;
	str           text;
	uint32_t      version;
	status        st = read_format(s, a, &text, e);

	if (st != ST_OK || !text.p)
		goto out;
	if (json_parse(a, text, &j, NULL) != ST_OK || !json_get_u32(j, "version", &version))
		st = err_set(e, ST_OPERATIONAL, "DatabaseDamaged",
		    "the database '%s' has an unreadable " FORMAT_GLOBAL " entry", s->path);
	else if (version > max_format)
		st = err_set(e, ST_OPERATIONAL, "DatabaseTooNew",
		    "the database '%s' has format version %u; this program knows versions up to "
		    "%u: use the newer program that wrote it",
		    s->path, version, max_format);
out:
	arena_free(a);
	return st;
}

static status
create_tables(struct sqlite_store *s, struct err *e)
{
	char sql[sizeof schema_sql + 300];
	int n = snprintf(sql, sizeof sql,
	    "BEGIN IMMEDIATE; %s INSERT OR IGNORE INTO persistence_globals (key, json_value) "
	    "VALUES ('" FORMAT_GLOBAL "', '{\"version\":%d}'); COMMIT;",
	    schema_sql, SQLITE_FORMAT_VERSION);

	must(n > 0 && (size_t)n < sizeof sql);
	if (sqlite3_exec(s->writer.db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(s->writer.db, e, s->path);
	return ST_OK;
}

static status
take_lock(struct sqlite_store *s, struct err *e)
{
	size_t n = strlen(s->path) + sizeof ".lock";
	char  *path = mem_alloc(n);
	status st;

	snprintf(path, n, "%s.lock", s->path);
	st = file_lock(path, &s->lock_fd, e);
	mem_free(path);
	return st;
}

static status
open_writer(struct sqlite_store *s, uint32_t max_format, struct err *e)
{
	struct sqlite_writer *w = &s->writer;

	TRY(connect_db(s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, writer_sql, &w->db, e));
	TRY(check_format(s, max_format, e));
	TRY(create_tables(s, e));
	return sqlite_prepare(w->db, sqlite_write_sql, WRITE_STMTS, w->stmts, e);
}

/* SQLite's memory statistics are a global lock in every allocation; nobody reads them. */
static void
configure_once(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

status
sqlite_open(const char *path, uint32_t max_format, struct sqlite_store **ret, struct err *e)
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

	st = take_lock(s, e);
	if (st == ST_OK)
		st = open_writer(s, max_format, e);
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

	TRY(sqlite_open(path, SQLITE_FORMAT_VERSION, &s, e));
	*ret = (struct store){ &sqlite_vtable, s };
	return ST_OK;
}
