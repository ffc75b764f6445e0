/* sqlite_format.c - the tables, their version, and what brings an older file up to date.
 *
 * The tables are those of spec 03 section 7.3.  They differ in being WITHOUT ROWID, so that a
 * row lives in the tree of its primary key instead of in two trees, and in a checksum for each
 * row of the document log, with the totals of all of them in fresnel_totals.
 *
 * Format: a global "fresnel_format" {"version":N}.
 *   none  a new file, or one of the reference server, whose tables are the same
 *   1, 2  without checksums; 2 with a commit log beside it
 *   3, 4  with them; 4 with a commit log beside it
 * An older file gets the column, empty in the rows that are there, and its version raised.
 *
 * Thread: the one that opens.  Memory: none that stays.
 */
#include <stdio.h>

#include "base/json.h"
#include "store/sqlite_int.h"

const char sqlite_schema_sql[] =
    "CREATE TABLE IF NOT EXISTS documents (id BLOB NOT NULL, ts INTEGER NOT NULL,"
    " table_id BLOB NOT NULL, json_value TEXT NULL, deleted INTEGER NOT NULL, prev_ts INTEGER NULL,"
    " sum INTEGER NULL, PRIMARY KEY (ts, table_id, id)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS documents_by_table_and_id ON documents (table_id, id, ts);"
    "CREATE TABLE IF NOT EXISTS indexes (index_id BLOB NOT NULL, ts INTEGER NOT NULL,"
    " key BLOB NOT NULL, deleted INTEGER NOT NULL, table_id BLOB NULL, document_id BLOB NULL,"
    " PRIMARY KEY (index_id, key, ts)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS persistence_globals (key TEXT NOT NULL, json_value TEXT NOT NULL,"
    " PRIMARY KEY (key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS fresnel_totals (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " count INTEGER NOT NULL, sum INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO fresnel_totals VALUES (1, 0, 0);";

/* The first column of the first row; *ret NULL: no row. */
static status
query_text(sqlite3 *db, const char *path, const char *sql, struct arena *a, str *ret,
    struct err *e)
{
	sqlite3_stmt *st = NULL;
	int           rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	*ret = (str){ NULL, 0 };
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = arena_str(a, sqlite_column_bytes(st, 0));
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : sqlite_refuse(db, e, path);
}

static status
read_format(sqlite3 *db, const char *path, struct arena *a, uint32_t *ret, struct err *e)
{
	struct json *j;
	str          text;

	*ret = 0;
	TRY(query_text(db, path,
	    "SELECT 'yes' FROM sqlite_schema WHERE name = 'persistence_globals'", a, &text, e));
	if (!text.p)
		return ST_OK;
	TRY(query_text(db, path,
	    "SELECT json_value FROM persistence_globals WHERE key = '" SQLITE_FORMAT_GLOBAL "'", a,
	    &text, e));
	if (!text.p)
		return ST_OK;
	if (json_parse(a, text, &j, NULL) != ST_OK || !json_get_u32(j, "version", ret) || *ret == 0)
		return err_set(e, ST_OPERATIONAL, "DatabaseDamaged",
		    "the database '%s' has an unreadable " SQLITE_FORMAT_GLOBAL " entry", path);
	if (*ret > SQLITE_FORMAT_NEWEST)
		return err_set(e, ST_OPERATIONAL, "DatabaseTooNew",
		    "the database '%s' has format version %u; this program knows versions up to "
		    "%d: use the newer program that wrote it",
		    path, *ret, SQLITE_FORMAT_NEWEST);
	return ST_OK;
}

status
sqlite_read_format(sqlite3 *db, const char *path, uint32_t *ret, struct err *e)
{
	struct arena *a = arena_new();
	uint32_t      version;
	status        st = read_format(db, path, a, &version, e);

	arena_free(a);
	if (st == ST_OK)
		*ret = version;
	return st;
}

static status
has_sums(struct sqlite_writer *w, const char *path, bool *ret, struct err *e)
{
	static const char sql[] =
	    "SELECT 'yes' FROM pragma_table_info('documents') WHERE name = 'sum'";
	struct arena *a = arena_new();
	str           found = STR_EMPTY;
	status        st = query_text(w->db, path, sql, a, &found, e);

	*ret = found.p != NULL;
	arena_free(a);
	return st;
}

/* In one transaction: what is missing of the tables, the column, the version. */
static status
bring_up(struct sqlite_writer *w, const char *path, bool logged, struct err *e)
{
	char sql[300];
	bool sums;
	int  n;

	if (sqlite3_exec(w->db, sqlite_schema_sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(w->db, e, path);
	TRY(has_sums(w, path, &sums, e));
	n = snprintf(sql, sizeof sql,
	    "%s INSERT INTO persistence_globals (key, json_value)"
	    " VALUES ('" SQLITE_FORMAT_GLOBAL "', '{\"version\":%d}')"
	    " ON CONFLICT DO UPDATE SET json_value = excluded.json_value; COMMIT;",
	    sums ? "" : "ALTER TABLE documents ADD COLUMN sum INTEGER NULL;",
	    logged ? SQLITE_FORMAT_LOGGED : SQLITE_FORMAT_VERSION);
	must(n > 0 && (size_t)n < sizeof sql);
	if (sqlite3_exec(w->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(w->db, e, path);
	return ST_OK;
}

static status
load_totals(struct sqlite_writer *w, const char *path, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(w->db, "SELECT count, sum FROM fresnel_totals", -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		w->committed.count = (uint64_t)sqlite3_column_int64(st, 0);
		w->committed.sum = (uint64_t)sqlite3_column_int64(st, 1);
		w->totals = w->committed;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? ST_OK : sqlite_refuse(w->db, e, path);
}

status
sqlite_migrate(struct sqlite_writer *w, const char *path, bool logged, struct err *e)
{
	uint32_t version;
	status   st = ST_OK;

	TRY(sqlite_read_format(w->db, path, &version, e));
	if (version > 0 && version % 2 == 0 && !logged)
		return err_set(e, ST_OPERATIONAL, "DatabaseNotClosed",
		    "the database '%s' has a commit log: open it with the server first", path);
	if (version < SQLITE_FORMAT_VERSION) {
		if (sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
			return sqlite_refuse(w->db, e, path);
		st = bring_up(w, path, version == 2, e);
		if (st != ST_OK)
			sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return st == ST_OK ? load_totals(w, path, e) : st;
}
