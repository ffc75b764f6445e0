/* format_test.c - files of older programs open and are brought up to date; newer ones are
 * refused.  And what a store writes adds up: the totals of the document log after any writes,
 * erasures and kills. */
#include "store_each.h"

#include <sqlite3.h>

#include "store/verify.h"

static char dir[64];
static char path[128];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/fresnel-format-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	static const char *const ends[] = { "", ".lock", "-wal", "-shm", ".log.1", ".log.2",
		".log.3", ".log.4" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	return rmdir(dir);
}

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

static void
check_sql(const char *query, const char *want)
{
	sqlite3      *db;
	sqlite3_stmt *st;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_EQ(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	CHECK_EQ(sqlite3_step(st), SQLITE_ROW);
	CHECK_STRZ(str_z((const char *)sqlite3_column_text(st, 0)), want);
	sqlite3_finalize(st);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

static void
check_store(struct store *s, const char *want)
{
	struct store_scan q = scan_of(1, TS_MAX, S(""), S(""));
	struct buf        out;

	buf_init(&out, BUF_MAX_DEFAULT);
	CHECK_STRZ(scan_text(s, &q, &out), want);
	buf_clear(&out);
}

/* --- verifying --- */

static void
on_problem(void *arg, str text)
{
	(void)arg;
	fail_msg("problem: %.*s", STR_ARG(text));
}

static status
ignore_doc(void *arg, struct doc *d, struct err *e)
{
	(void)arg;
	(void)d;
	(void)e;
	return ST_OK;
}

static struct verify_counts
check_totals(void)
{
	const struct verify_sink sink = { .problem = on_problem };
	struct verify_counts     counts;
	struct verify           *v;

	CHECK_EQ(verify_open(path, &sink, &v, NULL), ST_OK);
	CHECK_EQ(verify_pages(v, NULL), ST_OK);
	CHECK_EQ(verify_revisions(v, ignore_doc, NULL, &counts, NULL), ST_OK);
	verify_close(v);
	return counts;
}

/* --- old files --- */

/* The tables of version 1 as they were written, with one document of two revisions. */
static void
write_version_1(void)
{
	char id[ID_TEXT_MAX], text[2000];

	id_format((struct docid){ TABLE_NUMBER, doc_uid(1) }, id);
	snprintf(text, sizeof text,
	    "PRAGMA journal_mode = WAL;"
	    "CREATE TABLE documents (id BLOB NOT NULL, ts INTEGER NOT NULL,"
	    " table_id BLOB NOT NULL, json_value TEXT NULL, deleted INTEGER NOT NULL,"
	    " prev_ts INTEGER NULL, PRIMARY KEY (ts, table_id, id)) WITHOUT ROWID;"
	    "CREATE INDEX documents_by_table_and_id ON documents (table_id, id, ts);"
	    "CREATE TABLE indexes (index_id BLOB NOT NULL, ts INTEGER NOT NULL,"
	    " key BLOB NOT NULL, deleted INTEGER NOT NULL, table_id BLOB NULL,"
	    " document_id BLOB NULL, PRIMARY KEY (index_id, key, ts)) WITHOUT ROWID;"
	    "CREATE TABLE persistence_globals (key TEXT NOT NULL, json_value TEXT NOT NULL,"
	    " PRIMARY KEY (key)) WITHOUT ROWID;"
	    "INSERT INTO persistence_globals VALUES ('fresnel_format', '{\"version\":1}');"
	    "INSERT INTO documents VALUES (x'64000000000000000000000000000001', 5,"
	    " x'74000000000000000000000000000001',"
	    " '{\"_id\":\"%s\",\"_creationTime\":1.5,\"body\":\"old\"}', 0, NULL);"
	    "INSERT INTO documents VALUES (x'64000000000000000000000000000001', 6,"
	    " x'74000000000000000000000000000001',"
	    " '{\"_id\":\"%s\",\"_creationTime\":1.5,\"body\":\"new\"}', 0, 5);"
	    "INSERT INTO indexes VALUES (x'69000000000000000000000000000001', 6, x'6b', 0,"
	    " x'74000000000000000000000000000001', x'64000000000000000000000000000001');",
	    id, id);
	sql(text);
}

/* Version 1 opens, in place: what was there has no checksums, what comes has. */
TEST(version_1_opens)
{
	struct verify_counts c;
	struct store         s;

	write_version_1();
	c = check_totals(); /* also before it was brought up to date */
	CHECK_EQ(c.unsummed, 2);
	CHECK_EQ(c.documents, 1);
	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	check_store(&s, "k=new");
	put(&s, 7, S("l"), 2, S("newer"));
	check_store(&s, "k=new l=newer");
	store_close(&s);
	check_sql("SELECT json_value FROM persistence_globals WHERE key = 'fresnel_format'",
	    "{\"version\":3}");
	check_sql("SELECT count FROM fresnel_totals", "1");
	c = check_totals();
	CHECK_EQ(c.unsummed, 2);
	CHECK_EQ(c.revisions, 3);
	CHECK_EQ(store_open_sqlite_plain(path, &s, NULL), ST_OK);
	check_store(&s, "k=new l=newer");
	store_close(&s);
}

/* Version 2, killed with a commit log full of rows, opens: they are not lost and get checksums. */
TEST(version_2_opens_with_its_log)
{
	const struct logged_opts opts = { .segment_bytes = 1 << 20, .paused = true };
	struct store             s;

	CHECK_EQ(store_open_logged_with(path, &opts, &s, NULL), ST_OK);
	put(&s, 10, S("a"), 1, S("one"));
	put(&s, 20, S("b"), 2, S("two"));
	logged_abandon(&s);
	sql("ALTER TABLE documents DROP COLUMN sum; DROP TABLE fresnel_totals;"
	    "UPDATE persistence_globals SET json_value = '{\"version\":2}'");
	CHECK_EQ(check_totals().log_records, 2);
	CHECK_EQ(store_open_logged_with(path, &opts, &s, NULL), ST_OK);
	check_store(&s, "a=one b=two");
	check_sql("SELECT json_value FROM persistence_globals WHERE key = 'fresnel_format'",
	    "{\"version\":4}");
	store_close(&s);
	CHECK_EQ(check_totals().unsummed, 0);
	check_sql("SELECT count FROM fresnel_totals", "2");
}

/* A newer version is refused by every way in, and stays as it is. */
TEST(newer_versions_are_refused)
{
	const struct verify_sink sink = { .problem = on_problem };
	struct err               e = err_in(NULL);
	struct verify           *v;
	struct store             s;
	size_t                   at;

	write_version_1();
	sql("UPDATE persistence_globals SET json_value = '{\"version\":5}'");
	CHECK_EQ(store_open_sqlite(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	CHECK(str_find(
	    e.text, S("has format version 5; this program knows versions up to 4"), &at));
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	CHECK_EQ(verify_open(path, &sink, &v, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	check_sql("SELECT count(*) FROM pragma_table_info('documents')", "6");
	/* A commit log that this way in does not read. */
	sql("UPDATE persistence_globals SET json_value = '{\"version\":4}'");
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseNotClosed"));
}

/* --- sums --- */

enum { DOCS = 20, STEPS = 400 };

struct history {
	struct store s;
	bool         plain;
	uint64_t     dice;
	ts_t         ts, newest[DOCS]; /* 0: the document is not there */
};

static uint32_t
draw(struct history *h, uint32_t below)
{
	h->dice = h->dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(h->dice >> 33) % below;
}

static void
open_history(struct history *h)
{
	const struct logged_opts opts = { .segment_bytes = 1 << 18, .checkpoint_frames = 20 };

	CHECK_EQ(h->plain ? store_open_sqlite_plain(path, &h->s, NULL)
			  : store_open_logged_with(path, &opts, &h->s, NULL),
	    ST_OK);
}

static void
write_some(struct history *h)
{
	uint32_t                 n = draw(h, DOCS);
	bool                     gone = h->newest[n] && draw(h, 4) == 0;
	struct doc              *d = gone ? NULL : doc_make(n, S("some body"));
	struct store_doc_write   dw = doc_write(n, d, h->newest[n]);
	char                     key[16];
	struct store_index_write kw;
	struct store_commit      c = { .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw };

	snprintf(key, sizeof key, "%02u", n);
	kw = key_write(1, str_z(key), gone, n);
	c.ts = ++h->ts;
	CHECK_EQ(write_one(&h->s, &c, NULL), ST_OK);
	h->newest[n] = gone ? 0 : h->ts;
	doc_unref(d);
}

/* The same revision again, with another one before it: all of the batch is refused. */
static void
write_twice(struct history *h)
{
	struct doc                *d = doc_make(0, S("again"));
	struct store_doc_write     dw = doc_write(0, d, 0);
	const struct store_commit  fresh = { .ts = h->ts + 1, .ndocs = 1, .docs = &dw };
	const struct store_commit  stale = { .ts = h->newest[0], .ndocs = 1, .docs = &dw };
	const struct store_commit *both[] = { &fresh, &stale };

	if (h->newest[0])
		CHECK_EQ(store_write(&h->s,
			     &(struct store_batch){ .ncommits = 2, .commits = both }, NULL),
		    ST_INTERNAL);
	doc_unref(d);
}

/* As retention does it: all but the newest one that is settled. */
static void
prune_some(struct history *h)
{
	struct store_dead_doc dead[DOCS];
	struct store_prune    p = { .docs = dead };
	ts_t                  settled = h->s.v->settled_ts(h->s.self);

	for (uint32_t n = 0; n < DOCS; n++)
		if (h->newest[n] > 1 && h->newest[n] <= settled)
			dead[p.ndocs++] = (struct store_dead_doc){ tablet_uid(), doc_uid(n),
				h->newest[n] - 1 };
	CHECK_EQ(h->s.v->prune(h->s.self, &p, NULL), ST_OK);
}

static void
run_history(bool plain, uint64_t seed)
{
	struct history h = { .plain = plain, .dice = seed };

	open_history(&h);
	for (int step = 0; step < STEPS; step++) {
		uint32_t what = draw(&h, 100);

		if (what < 88) {
			write_some(&h);
		} else if (what < 90) {
			write_twice(&h);
		} else if (what < 97) {
			prune_some(&h);
		} else {
			if (!plain && draw(&h, 2))
				logged_abandon(&h.s);
			else
				store_close(&h.s);
			(void)check_totals();
			open_history(&h);
		}
	}
	store_close(&h.s);
	(void)check_totals();
	CHECK_EQ(drop_dir(NULL), 0);
	CHECK_EQ(make_dir(NULL), 0);
}

/* Whatever is written, refused, erased, closed and killed: every revision has its checksum,
 * follows the one before it, and all of them add up to the totals. */
TEST(totals_follow_every_change)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		run_history(true, seed);
		run_history(false, seed);
	}
}

static void
erase_whole_table(bool plain)
{
	struct history h = { .plain = plain, .dice = 9 };
	size_t         n = 1;

	open_history(&h);
	for (int i = 0; i < 50; i++)
		write_some(&h);
	while (h.s.v->settled_ts(h.s.self) < h.ts)
		usleep(1000);
	while (n > 0)
		CHECK_EQ(h.s.v->erase_table(h.s.self, tablet_uid(), 7, &n, NULL), ST_OK);
	store_close(&h.s);
	CHECK_EQ(check_totals().revisions, 0);
	check_sql("SELECT count || ' ' || sum FROM fresnel_totals", "0 0");
	CHECK_EQ(drop_dir(NULL), 0);
	CHECK_EQ(make_dir(NULL), 0);
}

/* After the last revision the totals are nothing. */
TEST(totals_of_nothing)
{
	erase_whole_table(true);
	erase_whole_table(false);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(version_1_opens),
		IN_DIR(version_2_opens_with_its_log),
		IN_DIR(newer_versions_are_refused),
		IN_DIR(totals_follow_every_change),
		IN_DIR(totals_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
