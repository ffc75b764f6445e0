/* verify.c - opening a database for inspection; pages, globals, single rows.
 *
 * Thread and memory: verify.h.
 */
#include "store/verify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "os/disk.h"
#include "os/file.h"
#include "store/commitlog.h"
#include "store/logrecord.h"
#include "store/verify_int.h"

enum { QUICK_CHECK_LINES = 20 };

/* --- telling --- */

void
verify_problem(struct verify *v, const char *fmt, ...)
{
	struct buf text;
	char       line[2000];
	va_list    ap;
	int        n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	must(n >= 0);
	buf_init(&text, sizeof line);
	buf_addz(&text, line);
	v->sink.problem(v->sink.arg, buf_str(&text));
	buf_clear(&text);
}

void
verify_name(struct verify *v, struct buf *out, struct uid tablet, struct uid id)
{
	if (v->sink.name && v->sink.name(v->sink.arg, out, tablet, id))
		return;
	buf_addz(out, "document ");
	uid_format(out, id);
	buf_addz(out, " of table ");
	uid_format(out, tablet);
}

status
verify_prepare(struct verify *v, const char *sql, sqlite3_stmt **ret, struct err *e)
{
	if (sqlite3_prepare_v2(v->db, sql, -1, ret, NULL) != SQLITE_OK)
		return sqlite_refuse(v->db, e, v->path);
	return ST_OK;
}

/* --- rows --- */

static bool
read_uid(sqlite3_stmt *st, int at, struct uid *ret)
{
	str s = sqlite_column_bytes(st, at);

	if (s.n != sizeof ret->b)
		return false;
	memcpy(ret->b, s.p, sizeof ret->b);
	return true;
}

bool
verify_read_doc(struct verify *v, sqlite3_stmt *st, struct doc **ret)
{
	struct docid id = { 0 };
	struct uid   tablet;
	struct doc  *d;

	if (!read_uid(st, 0, &tablet) || !read_uid(st, 1, &id.uid) ||
	    sqlite_try_doc(&v->parser, sqlite_column_bytes(st, 3), tablet, id, &d) != ST_OK)
		return false;
	d->id.uid = id.uid;
	d->ts = (ts_t)sqlite3_column_int64(st, 2);
	*ret = d;
	return true;
}

bool
verify_read_entry(struct verify *v, sqlite3_stmt *st, struct verify_entry *ret, bool *ret_deleted)
{
	*ret_deleted = sqlite3_column_int(st, 3) != 0;
	*ret = (struct verify_entry){
		.key = sqlite_column_bytes(st, 1), .ts = (ts_t)sqlite3_column_int64(st, 2)
	};
	if (read_uid(st, 0, &ret->index) &&
	    (*ret_deleted || (read_uid(st, 4, &ret->tablet) && read_uid(st, 5, &ret->doc))))
		return true;
	verify_problem(v, "an id in the table 'indexes' does not have 16 bytes");
	return false;
}

status
verify_entry(struct verify *v, struct uid index, str key, struct verify_entry *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;
	bool          deleted = true;
	status        res = ST_NOT_FOUND;

	TRY(verify_prepare(v,
	    VERIFY_ENTRIES("WHERE index_id = ?1 AND key = ?2")
	    " ORDER BY ts DESC, src DESC LIMIT 1",
	    &st, e));
	sqlite_bind_uid(st, 1, &index);
	sqlite_bind_bytes(st, 2, key);
	if (sqlite3_step(st) == SQLITE_ROW && verify_read_entry(v, st, ret, &deleted) && !deleted) {
		ret->key = key;
		res = ST_OK;
	}
	sqlite3_finalize(st);
	return res;
}

status
verify_document(struct verify *v, struct uid tablet, struct uid id, struct doc **ret,
    struct err *e)
{
	sqlite3_stmt *st = NULL;
	status        res = ST_NOT_FOUND;

	TRY(verify_prepare(v,
	    VERIFY_DOCUMENTS("NULL", "WHERE table_id = ?1 AND id = ?2") " ORDER BY ts DESC LIMIT 1",
	    &st, e));
	sqlite_bind_uid(st, 1, &tablet);
	sqlite_bind_uid(st, 2, &id);
	if (sqlite3_step(st) == SQLITE_ROW && !sqlite3_column_int(st, 4) &&
	    verify_read_doc(v, st, ret))
		res = ST_OK;
	sqlite3_finalize(st);
	return res;
}

status
verify_global(struct verify *v, str key, struct buf *ret_json, struct err *e)
{
	sqlite3_stmt *st = NULL;
	status        res = ST_NOT_FOUND;

	TRY(verify_prepare(v,
	    "SELECT json_value, 1 FROM temp.log_globals WHERE key = ?1 UNION ALL"
	    " SELECT json_value, 0 FROM main.persistence_globals WHERE key = ?1"
	    " ORDER BY 2 DESC LIMIT 1",
	    &st, e));
	sqlite3_bind_text64(st, 1, key.p, key.n, SQLITE_STATIC, SQLITE_UTF8);
	if (sqlite3_step(st) == SQLITE_ROW) {
		buf_add(ret_json, sqlite_column_bytes(st, 0));
		res = ST_OK;
	}
	sqlite3_finalize(st);
	return res;
}

/* --- pages and globals --- */

static status
check_globals(struct verify *v, struct err *e)
{
	sqlite3_stmt *st = NULL;
	struct arena *a = arena_new();
	status        res;

	res = verify_prepare(v, "SELECT key, json_value FROM main.persistence_globals", &st, e);
	while (res == ST_OK && sqlite3_step(st) == SQLITE_ROW) {
		str          key = sqlite_column_bytes(st, 0);
		struct json *j;

		if (json_parse(a, sqlite_column_bytes(st, 1), &j, NULL) != ST_OK)
			verify_problem(v, "the global '%.*s' is not JSON", STR_ARG(key));
		arena_reset(a);
	}
	sqlite3_finalize(st);
	arena_free(a);
	return res;
}

status
verify_pages(struct verify *v, struct err *e)
{
	char          sql[64];
	sqlite3_stmt *st = NULL;
	int           rc;

	snprintf(sql, sizeof sql, "PRAGMA main.quick_check(%d)", QUICK_CHECK_LINES);
	TRY(verify_prepare(v, sql, &st, e));
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		str line = sqlite_column_bytes(st, 0);

		if (!str_eq(line, S("ok")))
			verify_problem(v, "the database file is damaged: %.*s", STR_ARG(line));
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		verify_problem(v, "the database file is damaged: %s", sqlite3_errmsg(v->db));
	return check_globals(v, e);
}

/* --- the commit log --- */

static int
open_for_reading(void *arg, const char *path, int flags)
{
	(void)flags;
	return disk_real()->open(arg, path, O_RDONLY | O_CLOEXEC);
}

static ssize_t
write_nothing(void *arg, int fd, const void *p, size_t n, off_t at)
{
	(void)arg;
	(void)fd;
	(void)p;
	(void)at;
	return (ssize_t)n;
}

static int
sync_nothing(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

/* Opening a log makes sure of what it has read by writing it again; here it must not. */
static struct disk
reading_disk(void)
{
	struct disk d = *disk_real();

	d.open = open_for_reading;
	d.pwrite = write_nothing;
	d.fdatasync = sync_nothing;
	return d;
}

struct overlay {
	struct verify *v;
	sqlite3_stmt  *doc, *key, *global;
};

static status
put_row(struct overlay *o, enum logrecord_kind kind, const struct logrecord_row *r)
{
	sqlite3_stmt *st = kind == LOGRECORD_DOC ? o->doc
	    : kind == LOGRECORD_GLOBAL           ? o->global
						 : o->key;
	int rc;

	if (kind == LOGRECORD_GLOBAL) {
		sqlite3_bind_text64(st, 1, r->key.p, r->key.n, SQLITE_STATIC, SQLITE_UTF8);
		sqlite3_bind_text64(st, 2, r->json.p, r->json.n, SQLITE_STATIC, SQLITE_UTF8);
	} else {
		sqlite_bind_uid(st, 1, kind == LOGRECORD_DOC ? &r->tablet : &r->index);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)r->ts);
		sqlite3_bind_int(st, 3, r->deleted);
		sqlite_bind_uid(st, 4, &r->id);
	}
	if (kind == LOGRECORD_DOC) {
		if (!r->deleted)
			sqlite3_bind_text64(
			    st, 5, r->json.p, r->json.n, SQLITE_STATIC, SQLITE_UTF8);
		sqlite3_bind_int64(st, 6, (sqlite3_int64)r->prev_ts);
	} else if (kind != LOGRECORD_GLOBAL) {
		sqlite_bind_bytes(st, 5, r->key);
		sqlite_bind_uid(st, 6, &r->tablet);
	}
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE ? ST_OK : ST_INTERNAL;
}

static status
take_record(void *arg, const struct commitlog_record *record, struct err *e)
{
	struct overlay         *o = arg;
	struct logrecord_reader r;
	struct logrecord_row    row;
	enum logrecord_kind     kind = LOGRECORD_END;
	status                  st;

	logrecord_reader_init(&r, record->payload);
	do {
		st = logrecord_next(&r, &kind, &row);
		if (st == ST_OK && kind != LOGRECORD_END)
			st = put_row(o, kind, &row);
	} while (st == ST_OK && kind != LOGRECORD_END);
	logrecord_reader_clear(&r);
	o->v->log_records++;
	if (st == ST_OK)
		return ST_OK;
	return err_set(e, ST_OPERATIONAL, "CommitLogDamaged",
	    "the commit log of '%s' holds a record that cannot be read: number %llu", o->v->path,
	    (unsigned long long)record->sequence);
}

static const char overlay_sql[] =
    "CREATE TEMP TABLE log_documents (id BLOB, ts INTEGER, table_id BLOB, json_value TEXT,"
    " deleted INTEGER, prev_ts INTEGER, PRIMARY KEY (table_id, id, ts)) WITHOUT ROWID;"
    "CREATE TEMP TABLE log_indexes (index_id BLOB, ts INTEGER, key BLOB, deleted INTEGER,"
    " table_id BLOB, document_id BLOB, PRIMARY KEY (index_id, key, ts)) WITHOUT ROWID;"
    "CREATE TEMP TABLE log_globals (key TEXT PRIMARY KEY, json_value TEXT) WITHOUT ROWID;"
    "BEGIN;";

/* What is wrong with the log is a problem like others; what came before it counts. */
static status
lay_over(struct verify *v, uint64_t id, uint64_t applied, struct err *e)
{
	struct disk           disk = reading_disk();
	struct commitlog_opts opts = { .path = v->path, .id = id, .disk = &disk };
	struct overlay        o = { .v = v };
	struct arena         *a = arena_new();
	struct err            why = err_in(a);
	struct commitlog     *log = NULL;
	status                st;

	st = verify_prepare(v,
	    "INSERT INTO temp.log_documents (table_id, ts, deleted, id, json_value, prev_ts)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &o.doc, e);
	if (st == ST_OK)
		st = verify_prepare(v,
		    "INSERT OR REPLACE INTO temp.log_indexes (index_id, ts, deleted, document_id,"
		    " key, table_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &o.key, e);
	if (st == ST_OK)
		st = verify_prepare(
		    v, "INSERT OR REPLACE INTO temp.log_globals VALUES (?1, ?2)", &o.global, e);
	if (st == ST_OK && commitlog_open(&opts, applied, take_record, &o, &log, &why) != ST_OK)
		verify_problem(v, "%.*s", STR_ARG(why.text));
	commitlog_close(log);
	sqlite3_finalize(o.doc);
	sqlite3_finalize(o.key);
	sqlite3_finalize(o.global);
	arena_free(a);
	return st;
}

static status
open_log(struct verify *v, struct err *e)
{
	sqlite3_stmt *st = NULL;
	uint64_t      id = 0, applied = 0;
	int           rc;

	TRY(verify_prepare(v, "SELECT id, applied FROM main.fresnel_log", &st, e));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		id = (uint64_t)sqlite3_column_int64(st, 0);
		applied = (uint64_t)sqlite3_column_int64(st, 1);
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_ROW)
		return lay_over(v, id, applied, e);
	verify_problem(v, "the database says that it has a commit log, and not which");
	return ST_OK;
}

/* --- opening --- */

static status
has_row(struct verify *v, const char *sql, bool *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;

	TRY(verify_prepare(v, sql, &st, e));
	*ret = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_finalize(st);
	return ST_OK;
}

static status
open_all(struct verify *v, struct err *e)
{
	uint32_t format;
	bool     log, ours;

	if (access(v->path, F_OK) != 0)
		return err_set(e, ST_NOT_FOUND, "DatabaseNotFound", "there is no database '%s'",
		    v->path);
	TRY(sqlite_take_lock(v->path, &v->lock_fd, e));
	TRY(sqlite_connect(v->path, SQLITE_OPEN_READONLY, "PRAGMA cache_size = -65536", &v->db, e));
	TRY(has_row(v, "SELECT 1 FROM main.sqlite_schema WHERE name = 'persistence_globals'", &ours,
	    e));
	if (!ours)
		return err_set(e, ST_OPERATIONAL, "DatabaseEmpty",
		    "'%s' is no database of this program: its tables are missing", v->path);
	TRY(sqlite_read_format(v->db, v->path, &format, e));
	if (sqlite3_exec(v->db, overlay_sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(v->db, e, v->path);
	v->sums = format >= SQLITE_FORMAT_VERSION;
	TRY(has_row(v, "SELECT 1 FROM main.sqlite_schema WHERE name = 'fresnel_log'", &log, e));
	return log ? open_log(v, e) : ST_OK;
}

status
verify_open(const char *path, const struct verify_sink *sink, struct verify **ret, struct err *e)
{
	struct verify *v = MEM_NEW(struct verify);
	size_t         n = strlen(path) + 1;
	status         st;

	v->path = mem_alloc(n);
	memcpy(v->path, path, n);
	v->lock_fd = -1;
	v->sink = *sink;
	pack_init(&v->parser.pack);
	v->parser.pack.trusted = true;
	v->parser.arena = arena_new();
	st = open_all(v, e);
	if (st != ST_OK) {
		verify_close(v);
		return st;
	}
	*ret = v;
	return ST_OK;
}

void
verify_close(struct verify *v)
{
	if (!v)
		return;
	sqlite3_close(v->db);
	pack_clear(&v->parser.pack);
	arena_free(v->parser.arena);
	if (v->lock_fd >= 0)
		file_unlock(v->lock_fd);
	mem_free(v->path);
	mem_free(v);
}
