/* sqlite_lookup.c - single rows: the newest revision of a document, globals; figures.
 *
 * Thread: any; each call has a reader of its own.  Memory: what is asked for.
 */
#include <sys/stat.h>

#include "store/sqlite_int.h"

/* --- revisions --- */

static status
to_row(struct sqlite_reader *r, const struct sqlite_which *which, ts_t ts, ts_t prev_ts, str json,
    struct store_log_row *ret, struct err *e)
{
	struct store_log_row row = {
		.ts = ts, .tablet = which->tablet, .id = which->id.uid, .prev_ts = prev_ts
	};

	if (json.p) {
		TRY(sqlite_parse_doc(r, json, which->tablet, which->id, &row.doc, e));
		row.doc->ts = ts;
	}
	*ret = row;
	return ST_OK;
}

static status
stored_revision(struct sqlite_reader *r, const struct sqlite_which *which,
    struct store_log_row *ret, struct err *e)
{
	sqlite3_stmt *get = r->stmts[READ_REVISION];
	ts_t          at = which->at > TS_MAX ? TS_MAX : which->at;
	int           rc;

	rc = sqlite_bind_uid(get, 1, &which->tablet);
	rc |= sqlite_bind_uid(get, 2, &which->id.uid);
	rc |= sqlite3_bind_int64(get, 3, (sqlite3_int64)at);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(get);
	if (rc == SQLITE_DONE)
		return store_no_revision(e);
	if (rc != SQLITE_ROW)
		return sqlite_fail(r->db, e, sqlite_read_sql[READ_REVISION]);
	return to_row(r, which, (ts_t)sqlite3_column_int64(get, 0),
	    (ts_t)sqlite3_column_int64(get, 3),
	    sqlite3_column_int(get, 2) ? (str){ NULL, 0 } : sqlite_column_bytes(get, 1), ret, e);
}

status
sqlite_revision_under(struct sqlite_store *store, const struct memview *view, ts_t settled,
    const struct sqlite_which *which, struct store_log_row *ret, struct err *e)
{
	const struct mem_revision *m = NULL;
	struct sqlite_reader      *r;
	status                     st;

	TRY(sqlite_reader_take(store, &r, e));
	if (which->at > settled)
		m = memview_newest_revision(view, which->tablet, which->id.uid, which->at);
	if (m) {
		st = to_row(r, which, m->ts, m->prev_ts, m->deleted ? (str){ NULL, 0 } : m->json,
		    ret, e);
	} else {
		st = stored_revision(r, which, ret, e);
		sqlite3_reset(r->stmts[READ_REVISION]);
	}
	sqlite_reader_give(store, r);
	return st;
}

status
sqlite_revision(void *self, struct uid tablet, uint32_t table_number, struct uid id, ts_t at,
    struct store_log_row *ret, struct err *e)
{
	const struct sqlite_which which = { tablet, { table_number, id }, at };

	return sqlite_revision_under(self, &(struct memview){ 0 }, TS_MAX, &which, ret, e);
}

/* --- figures --- */

static uint64_t
size_of_file(const char *path, const char *suffix)
{
	struct stat info;
	struct buf  name;
	uint64_t    n = 0;

	buf_init(&name, BUF_MAX_DEFAULT);
	buf_addz(&name, path);
	buf_add(&name, str_of(suffix, strlen(suffix) + 1));
	if (stat(name.p, &info) == 0)
		n = (uint64_t)info.st_size;
	buf_clear(&name);
	return n;
}

status
sqlite_stats(void *self, struct store_stats *ret, struct err *e)
{
	struct sqlite_store  *store = self;
	struct sqlite_reader *r;
	sqlite3_stmt         *get;
	status                st = ST_OK;

	TRY(sqlite_reader_take(store, &r, e));
	get = r->stmts[READ_FREE];
	if (sqlite3_step(get) == SQLITE_ROW)
		*ret = (struct store_stats){
			.file_bytes = size_of_file(store->path, "") +
			    size_of_file(store->path, "-wal"),
			.free_bytes = (uint64_t)sqlite3_column_int64(get, 0),
			.data_bytes = (uint64_t)sqlite3_column_int64(get, 1),
		};
	else
		st = sqlite_fail(r->db, e, sqlite_read_sql[READ_FREE]);
	sqlite3_reset(get);
	sqlite_reader_give(store, r);
	return st;
}

/* --- globals --- */

status
sqlite_global(void *self, str key, struct buf *ret_json, struct err *e)
{
	struct sqlite_store  *store = self;
	struct sqlite_reader *r;
	sqlite3_stmt         *get;
	int                   rc;
	status                st = ST_OK;

	TRY(sqlite_reader_take(store, &r, e));
	get = r->stmts[READ_GLOBAL];
	sqlite3_bind_text64(get, 1, key.p, key.n, SQLITE_STATIC, SQLITE_UTF8);
	rc = sqlite3_step(get);
	if (rc == SQLITE_ROW)
		buf_add(ret_json, sqlite_column_bytes(get, 0));
	else if (rc == SQLITE_DONE)
		st = err_set(e, ST_NOT_FOUND, "GlobalNotFound", "there is no global '%.*s'",
		    STR_ARG(key));
	else
		st = sqlite_fail(r->db, e, sqlite_read_sql[READ_GLOBAL]);
	sqlite3_reset(get);
	sqlite_reader_give(store, r);
	return st;
}

status
sqlite_max_ts(void *self, ts_t *ret, struct err *e)
{
	struct sqlite_store  *store = self;
	struct sqlite_reader *r;
	sqlite3_stmt         *get;
	status                st = ST_OK;

	TRY(sqlite_reader_take(store, &r, e));
	get = r->stmts[READ_MAX_TS];
	if (sqlite3_step(get) == SQLITE_ROW)
		*ret = (ts_t)sqlite3_column_int64(get, 0);
	else
		st = sqlite_fail(r->db, e, sqlite_read_sql[READ_MAX_TS]);
	sqlite3_reset(get);
	sqlite_reader_give(store, r);
	return st;
}
