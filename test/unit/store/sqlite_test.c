/* sqlite_test.c - the file: its tables, its format version, its lock, its damages; without the
 * commit log, which has tests of its own. */
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_fixture.h"

#include "base/enc.h"
#include "os/file.h"
#include "store/sqlite_int.h"
#include "value/vjson.h"

static char dir[64];
static char path[128];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/fresnel-sqlite-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	static const char *const ends[] = { "", ".lock", "-wal", "-shm", ".lock.lock" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	return rmdir(dir);
}

static struct store
open_store(void)
{
	struct store s;

	CHECK_EQ(store_open_sqlite_plain(path, &s, NULL), ST_OK);
	return s;
}

/* Runs SQL on the file behind the store's back. */
static void
sql(const char *text)
{
	sqlite3 *db;
	char    *why = NULL;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

/* The first column of all rows, joined by newlines. */
static void
check_sql(const char *query, const char *want)
{
	sqlite3      *db;
	sqlite3_stmt *st;
	struct buf    got;

	buf_init(&got, BUF_MAX_DEFAULT);
	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_EQ(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (got.n)
			buf_add_byte(&got, '\n');
		buf_addz(&got, (const char *)sqlite3_column_text(st, 0));
	}
	CHECK_EQ(sqlite3_finalize(st), SQLITE_OK);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
	CHECK_STRZ(buf_str(&got), want);
	buf_clear(&got);
}

static void
check_scan(struct store *s, const char *want)
{
	struct store_scan q = scan_of(1, TS_MAX, S(""), S(""));
	struct buf        out;

	buf_init(&out, BUF_MAX_DEFAULT);
	CHECK_STRZ(scan_text(s, &q, &out), want);
	buf_clear(&out);
}

/* Everything is there again after a close and an open. */
TEST(reopen)
{
	struct store s = open_store();
	ts_t         max = 0;

	put(&s, 10, S("a"), 1, S("one"));
	put(&s, 20, S("b"), 2, S("two"));
	put(&s, 30, S("a"), 1, GONE);
	store_close(&s);
	CHECK(s.v == NULL);
	s = open_store();
	check_scan(&s, "b=two");
	CHECK_EQ(s.v->max_ts(s.self, &max, NULL), ST_OK);
	CHECK_EQ(max, 30);
	CHECK_EQ(try_put(&s, 30, S("a"), 1, S("again")), ST_INTERNAL);
	put(&s, 40, S("a"), 1, S("again"));
	check_scan(&s, "a=again b=two");
	store_close(&s);
}

/* There is one writer process: a second opener gets CONFLICT and the first goes on. */
TEST(second_opener_is_refused)
{
	struct store s = open_store(), other = { NULL, NULL };
	struct err   e = err_in(NULL);

	CHECK_EQ(store_open_sqlite_plain(path, &other, &e), ST_CONFLICT);
	CHECK(other.v == NULL);
	put(&s, 1, S("a"), 1, S("one"));
	store_close(&s);
	other = open_store();
	check_scan(&other, "a=one");
	store_close(&other);
}

/* The write-ahead log is on, and the tables hold what spec 03 section 7.3 shows for its
 * example: raw ids, wire JSON, NULLs for tombstones. */
TEST(tables_as_specified)
{
	struct uid               row = uid_of(0, 0);
	struct docid             id = { TABLE_NUMBER, row };
	struct arena            *a = arena_new();
	struct store             s = open_store();
	struct val               v;
	struct store_doc_write   dw = { .tablet = tablet_uid(), .prev_ts = 0 };
	struct store_index_write kw = key_write(1, S("\x10" "bob\0"), false, 0);
	struct store_commit c = {
		.ts = 1700000000123456789, .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw
	};
	struct buf               hex;

	buf_init(&hex, 64);
	CHECK(dec_hex(&hex, S("000102030405060708090a0b0c0d4fe6")));
	memcpy(id.uid.b, hex.p, 16);
	dw.id = id;
	kw.doc = id.uid;
	CHECK_EQ(vjson_parse(a, S("{\"name\":\"bob\",\"_id\":\"j57000820c20a1g7104gm2rc1n7ycvv1\","
				  "\"_creationTime\":1700000000123.4568}"),
		     VJSON_PLAIN, &v, NULL), ST_OK);
	dw.doc = doc_new(tablet_uid(), id, 1700000000123.4568, v);
	CHECK_EQ(write_one(&s, &c, NULL), ST_OK);
	doc_unref(dw.doc);
	dw.doc = NULL;
	dw.prev_ts = c.ts++;
	kw.deleted = true;
	CHECK_EQ(write_one(&s, &c, NULL), ST_OK);
	check_sql("PRAGMA journal_mode", "wal");
	store_close(&s);

	check_sql("SELECT hex(id) || ' ' || ts || ' ' || hex(table_id) || ' ' || "
		  "ifnull(json_value, 'NULL')"
		  " || ' ' || deleted || ' ' || ifnull(prev_ts, 'NULL') FROM documents",
	    "000102030405060708090A0B0C0D4FE6 1700000000123456789 74000000000000000000000000000001 "
	    "{\"_creationTime\":1700000000123.4568,\"_id\":\"j57000820c20a1g7104gm2rc1n7ycvv1\","
	    "\"name\":\"bob\"} 0 NULL\n"
	    "000102030405060708090A0B0C0D4FE6 1700000000123456790 74000000000000000000000000000001 "
	    "NULL 1 1700000000123456789");
	check_sql("SELECT hex(index_id) || ' ' || ts || ' ' || hex(key) || ' ' || deleted || ' ' ||"
		  " ifnull(hex(table_id), 'NULL') || ' ' || ifnull(hex(document_id), 'NULL')"
		  " FROM indexes",
	    "69000000000000000000000000000001 1700000000123456789 10626F6200 0 "
	    "74000000000000000000000000000001 000102030405060708090A0B0C0D4FE6\n"
	    "69000000000000000000000000000001 1700000000123456790 10626F6200 1  ");
	check_sql("SELECT typeof(document_id) FROM indexes WHERE deleted", "null");
	check_sql("SELECT typeof(id) || typeof(ts) || typeof(table_id) || typeof(json_value) ||"
		  " typeof(deleted) FROM documents WHERE NOT deleted",
	    "blobintegerblobtextinteger");
	check_sql("SELECT name FROM sqlite_schema WHERE name LIKE 'documents_by%'",
	    "documents_by_table_and_id");
	check_sql("SELECT json_value FROM persistence_globals", "{\"version\":3}");
	buf_clear(&hex);
	arena_free(a);
}

static void
check_plan(sqlite3 *db, const char *query)
{
	char          text[600];
	sqlite3_stmt *st;

	snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", query);
	CHECK_EQ(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *plan = (const char *)sqlite3_column_text(st, 3);

		if ((!strstr(plan, "SEARCH") && !strstr(plan, "SUBQUERY")) ||
		    strstr(plan, "TEMP"))
			fail_msg("%s: %s", query, plan);
	}
	sqlite3_finalize(st);
}

/* The lookups of a scan and of the log, and what erases history, go through keys: none of them
 * reads a whole table or sorts. */
TEST(no_query_scans_a_table)
{
	struct store             s = open_store();
	sqlite3                 *db;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < READ_BEGIN; i++)
		check_plan(db, sqlite_read_sql[i]);
	for (size_t i = WRITE_PRUNE_KEY; i < WRITE_STMTS; i++)
		check_plan(db, sqlite_write_sql[i]);
	sqlite3_close(db);
	store_close(&s);
}

/* A file of the reference server, with its plain tables and without our format entry, opens. */
TEST(adopted_file)
{
	char         id[ID_TEXT_MAX], text[1000];
	struct store s;

	id_format((struct docid){ TABLE_NUMBER, doc_uid(1) }, id);
	snprintf(text, sizeof text,
	    "CREATE TABLE documents (id BLOB NOT NULL, ts INTEGER NOT NULL, table_id BLOB NOT NULL,"
	    " json_value TEXT NULL, deleted INTEGER NOT NULL, prev_ts INTEGER,"
	    " PRIMARY KEY (ts, table_id, id));"
	    "CREATE INDEX documents_by_table_and_id ON documents (table_id, id, ts);"
	    "CREATE TABLE indexes (index_id BLOB NOT NULL, ts INTEGER NOT NULL, key BLOB NOT NULL,"
	    " deleted INTEGER NOT NULL, table_id BLOB NULL, document_id BLOB NULL,"
	    " PRIMARY KEY (index_id, key, ts));"
	    "CREATE TABLE persistence_globals (key TEXT NOT NULL, json_value TEXT NOT NULL,"
	    " PRIMARY KEY (key));"
	    "INSERT INTO documents VALUES (x'64000000000000000000000000000001', 5,"
	    " x'74000000000000000000000000000001', "
	    "'{\"_id\":\"%s\",\"_creationTime\":1.5,\"body\":\"b\"}',"
	    " 0, NULL);"
	    "INSERT INTO indexes VALUES (x'69000000000000000000000000000001', 5, x'6b', 0,"
	    " x'74000000000000000000000000000001', x'64000000000000000000000000000001');",
	    id);
	sql(text);
	s = open_store();
	check_scan(&s, "k=b");
	put(&s, 6, S("k"), 1, S("c"));
	put(&s, 6, S("l"), 2, S("d"));
	check_scan(&s, "k=c l=d");
	store_close(&s);
}

/* A newer format is refused with a text for the operator; so are a damaged entry and a file
 * that is something else.  The lock is free again afterwards. */
TEST(foreign_formats_are_refused)
{
	struct store s = open_store();
	struct err   e = err_in(NULL);
	size_t       at;

	put(&s, 1, S("a"), 1, S("one"));
	store_close(&s);
	sql("UPDATE persistence_globals SET json_value = '{\"version\":5}' WHERE key = "
	    "'fresnel_format'");
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	CHECK(
	    str_find(e.text, S("has format version 5; this program knows versions up to 4"), &at));
	sql("UPDATE persistence_globals SET json_value = '{' WHERE key = 'fresnel_format'");
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseDamaged"));
	sql("UPDATE persistence_globals SET json_value = '{\"version\":1}'");
	s = open_store();
	check_scan(&s, "a=one");
	store_close(&s);

	CHECK_EQ(file_write_atomic(path,
		     S("this is not a database, but it is long enough to look"
		       " like one: it has more than a hundred bytes in it.."),
		     NULL),
	    ST_OK);
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseUnavailable"));
	CHECK_EQ(store_open_sqlite_plain(dir, &s, &e), ST_OPERATIONAL);
	snprintf(path, sizeof path, "%s.lock", dir); /* made by the attempt above */
	unlink(path);
	snprintf(path, sizeof path, "%s/db", dir);
	CHECK_EQ(store_open_sqlite_plain("/nonexistent/db", &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("FileNotLockable"));
}

static bool
drop_row(void *arg, const struct store_log_row *row)
{
	(void)arg;
	doc_unref(row->doc);
	return true;
}

/* What a damaged file holds is an error of the call that meets it, never a crash or a silent
 * gap. */
TEST(damage_is_reported)
{
	const struct {
		const char *what;
		status      scan, log;
	} rows[] = {
		{ "DELETE FROM documents WHERE ts = 2", ST_INTERNAL, ST_OK },
		{ "UPDATE documents SET json_value = '{\"_id\":' WHERE ts = 2", ST_INTERNAL,
		    ST_INTERNAL },
		{ "UPDATE documents SET json_value = '7' WHERE ts = 2", ST_INTERNAL, ST_INTERNAL },
		{ "UPDATE documents SET json_value = '{\"_id\":\"x\"}' WHERE ts = 2", ST_OK,
		    ST_INTERNAL },
		{ "UPDATE documents SET json_value = NULL WHERE ts = 2", ST_INTERNAL, ST_INTERNAL },
		{ "UPDATE indexes SET document_id = x'00' WHERE ts = 2", ST_INTERNAL, ST_OK },
		{ "UPDATE documents SET table_id = x'00' WHERE ts = 2", ST_INTERNAL, ST_INTERNAL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store      s = open_store();
		struct store_rows got;
		struct store_scan q = scan_of(1, TS_MAX, S(""), S(""));

		print_message("  %s\n", rows[i].what);
		put(&s, 1, S("a"), 1, S("one"));
		put(&s, 2, S("b"), 2, S("two"));
		store_close(&s);
		sql(rows[i].what);
		s = open_store();
		store_rows_init(&got);
		CHECK_EQ(store_scan(&s, &q, &got, NULL), rows[i].scan);
		if (rows[i].scan != ST_OK)
			CHECK_EQ(got.rows.n, 0);
		store_rows_clear(&got);
		CHECK_EQ(s.v->log(s.self, 0, 9, 9, drop_row, NULL, NULL), rows[i].log);
		store_close(&s);
		CHECK_EQ(unlink(path), 0);
	}
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(reopen),
		IN_DIR(second_opener_is_refused),
		IN_DIR(tables_as_specified),
		IN_DIR(no_query_scans_a_table),
		IN_DIR(adopted_file),
		IN_DIR(foreign_formats_are_refused),
		IN_DIR(damage_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
