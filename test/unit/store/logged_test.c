/* logged_test.c - the commit log in front of SQLite: reads across both, replay, failures.
 *
 * The memory store is the model: what both are given, both must answer.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_fixture.h"

#include "os/file.h"
#include "store/logged_int.h"

static char dir[64];
static char path[128];

static int bad_sync_in;

static int
maybe_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd; /* kill -9 is all that these tests do */
	if (bad_sync_in > 0 && --bad_sync_in == 0) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static struct disk test_disk;

static int
make_dir(void **state)
{
	(void)state;
	test_disk = *disk_real();
	test_disk.fdatasync = maybe_sync;
	snprintf(dir, sizeof dir, "/tmp/fresnel-logged-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	static const char *const ends[] = { "", ".lock", "-wal", "-shm" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	commitlog_delete(disk_real(), path);
	return rmdir(dir);
}

static struct logged_opts
small(bool paused)
{
	return (struct logged_opts){ .segment_bytes = 64 << 10,
		.backlog_bytes = 4 << 20,
		.checkpoint_frames = 50,
		.disk = &test_disk,
		.paused = paused };
}

static struct store
open_store(bool paused)
{
	struct logged_opts o = small(paused);
	struct store       s;

	CHECK_EQ(store_open_logged_with(path, &o, &s, NULL), ST_OK);
	return s;
}

static void
check_refused(const char *code)
{
	struct logged_opts o = small(false);
	struct err         e = err_in(NULL);
	struct store       s;

	CHECK_EQ(store_open_logged_with(path, &o, &s, &e), ST_OPERATIONAL);
	CHECK_STRZ(e.code, code);
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

/* Runs SQL on the file behind the store's back; the first column of the last row. */
static int
sql(const char *text)
{
	sqlite3      *db;
	sqlite3_stmt *st;
	int           got = -1;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_EQ(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		got = sqlite3_column_int(st, 0);
	CHECK_EQ(sqlite3_finalize(st), SQLITE_OK);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
	return got;
}

static bool
has_log(void)
{
	for (int n = 1; n < 50; n++) {
		char file[200];

		snprintf(file, sizeof file, "%s.log.%d", path, n);
		if (file_exists(file))
			return true;
	}
	return false;
}

/* --- the model --- */

enum { KEYS = 24, INDEXES = 3, STEPS = 1500 };

static uint32_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static str
key_name(uint32_t n)
{
	static char names[KEYS][16];

	/* Some share their first bytes, some are short. */
	snprintf(names[n], sizeof names[n], n % 3 ? "key-and-more-%u" : "%u", n);
	return str_z(names[n]);
}

struct pair {
	struct store  real, model;
	ts_t          ts;
	struct buf    a, b;
};

static void
write_both(struct pair *p, const struct store_batch *b)
{
	CHECK_EQ(store_write(&p->real, b, NULL), ST_OK);
	CHECK_EQ(store_write(&p->model, b, NULL), ST_OK);
}

/* Up to three commits with a few documents each; sometimes globals, sometimes old entries written
 * again (only for documents that exist: bodies are joined). */
static void
random_batch(struct pair *p)
{
	enum { COMMITS = 3, ROWS = 4 };
	struct store_commit        commits[COMMITS];
	const struct store_commit *list[COMMITS];
	struct store_doc_write     docs[COMMITS][ROWS];
	struct store_index_write   keys[COMMITS][ROWS];
	struct store_backfill_row  old[2];
	struct store_global        g = { draw(2) ? S("one") : S("two"), S("") };
	struct store_batch         batch = { .ncommits = 1 + draw(COMMITS), .commits = list };
	char                       json[16];

	for (size_t i = 0; i < batch.ncommits; i++) {
		uint32_t first = draw(KEYS), n = 1 + draw(ROWS);

		p->ts += 1 + draw(3);
		commits[i] = (struct store_commit){
			.ts = p->ts, .ndocs = n, .docs = docs[i], .nkeys = n, .keys = keys[i]
		};
		list[i] = &commits[i];
		for (uint32_t j = 0; j < n; j++) {
			uint32_t doc = (first + j * 5) % KEYS;
			bool     gone = draw(4) == 0;
			char     body[32];

			snprintf(body, sizeof body, "%u@%d", doc, (int)p->ts);
			docs[i][j] = doc_write(doc, gone ? NULL : doc_make(doc, str_z(body)),
			    draw(2) ? p->ts - 1 : 0);
			keys[i][j] = key_write(draw(INDEXES), key_name(doc), gone, doc);
		}
		if (i == 0 && docs[0][0].doc && draw(3) == 0) {
			old[0].ts = p->ts;
			old[0].key = key_write(INDEXES, key_name(draw(4)), false, first);
			old[1] = old[0];
			old[1].key.deleted = draw(2);
			batch.nbackfill = 1 + draw(2);
			batch.backfill = old;
		}
	}
	g.json = str_of(json, (size_t)snprintf(json, sizeof json, "%d", (int)p->ts));
	if (draw(5) == 0) {
		batch.nglobals = 1;
		batch.globals = &g;
	}
	write_both(p, &batch);
	for (size_t i = 0; i < batch.ncommits; i++)
		for (size_t j = 0; j < commits[i].ndocs; j++)
			doc_unref(docs[i][j].doc);
}

/* What the model's "more" says of keys that have no version at the time is its own: it is asked
 * with the same words as the store, so the texts are compared whole. */
static void
compare_scans(struct pair *p)
{
	ts_t              at = draw(3) ? p->ts : draw((uint32_t)p->ts + 1);
	struct store_scan q = scan_of(draw(INDEXES + 1), at,
	    draw(3) ? S("") : key_name(draw(KEYS)), draw(3) ? S("") : key_name(draw(KEYS)));

	q.desc = draw(2);
	q.limit = draw(3) ? 1 + draw(6) : SIZE_MAX;
	scan_text(&p->real, &q, &p->a);
	scan_text(&p->model, &q, &p->b);
	CHECK_STR(buf_str(&p->a), buf_str(&p->b));
}

static bool
add_log_row(void *arg, const struct store_log_row *row)
{
	struct buf *b = arg;

	buf_fmt(b, "%d:%d<%d", (int)row->ts, row->id.b[15], (int)row->prev_ts);
	if (row->doc)
		buf_add(b, doc_body(row->doc));
	buf_add_byte(b, ' ');
	doc_unref(row->doc);
	return true;
}

static void
compare_logs(struct pair *p)
{
	ts_t   from = draw((uint32_t)p->ts + 1), to = from + draw(200), max[2];
	size_t limit = 1 + draw(50);

	buf_reset(&p->a);
	buf_reset(&p->b);
	CHECK_EQ(p->real.v->log(p->real.self, from, to, limit, add_log_row, &p->a, NULL), ST_OK);
	CHECK_EQ(p->model.v->log(p->model.self, from, to, limit, add_log_row, &p->b, NULL), ST_OK);
	CHECK_STR(buf_str(&p->a), buf_str(&p->b));
	CHECK_EQ(p->real.v->max_ts(p->real.self, &max[0], NULL), ST_OK);
	CHECK_EQ(p->model.v->max_ts(p->model.self, &max[1], NULL), ST_OK);
	CHECK_EQ(max[0], max[1]);
}

static void
compare_globals(struct pair *p)
{
	str    name = draw(2) ? S("one") : S("two");
	status st;

	buf_reset(&p->a);
	buf_reset(&p->b);
	st = p->real.v->global(p->real.self, name, &p->a, NULL);
	CHECK_EQ(p->model.v->global(p->model.self, name, &p->b, NULL), st);
	CHECK_STR(buf_str(&p->a), buf_str(&p->b));
}

/* Whatever part of the log SQLite has, and however often the process died in between, reads
 * answer as if there were one store.  Each record is applied once: a second time would fail. */
TEST(reads_across_log_and_sqlite)
{
	struct pair p = { .ts = 0 };

	seed = (uint32_t)getpid();
	print_message("  seed %u\n", seed);
	buf_init(&p.a, BUF_MAX_DEFAULT);
	buf_init(&p.b, BUF_MAX_DEFAULT);
	store_open_memory(&p.model);
	p.real = open_store(false);
	for (int step = 0; step < STEPS; step++) {
		uint32_t what = draw(100);

		random_batch(&p);
		if (what < 10)
			logged_pause(&p.real, what < 5);
		for (int i = 0; i < 3; i++)
			compare_scans(&p);
		compare_logs(&p);
		compare_globals(&p);
		if (what == 98) {
			logged_abandon(&p.real);
			p.real = open_store(draw(2));
		} else if (what == 99) {
			store_close(&p.real);
			CHECK(!has_log());
			p.real = open_store(draw(2));
		}
	}
	store_close(&p.real);
	store_close(&p.model);
	buf_clear(&p.a);
	buf_clear(&p.b);
}

/* --- opening and closing --- */

/* A closed store is a plain SQLite database; the plain store's databases open, and go on. */
TEST(plain_databases_in_both_directions)
{
	struct store s;

	CHECK_EQ(store_open_sqlite_plain(path, &s, NULL), ST_OK);
	put(&s, 10, S("a"), 1, S("one"));
	store_close(&s);
	s = open_store(true);
	check_scan(&s, "a=one");
	CHECK_EQ(try_put(&s, 10, S("b"), 2, S("two")), ST_INTERNAL);
	put(&s, 20, S("b"), 2, S("two"));
	check_scan(&s, "a=one b=two");
	CHECK(has_log());
	store_close(&s);
	CHECK(!has_log());
	CHECK_EQ(sql("SELECT count(*) FROM sqlite_schema WHERE name = 'fresnel_log'"), 0);
	CHECK_EQ(sql("SELECT json_value = '{\"version\":3}' FROM persistence_globals"
		     " WHERE key = 'fresnel_format'"), 1);
	CHECK_EQ(store_open_sqlite_plain(path, &s, NULL), ST_OK);
	check_scan(&s, "a=one b=two");
	store_close(&s);
}

/* While the log has rows of its own, a program that does not know it does not open the file. */
TEST(the_log_guards_the_database)
{
	struct store s = open_store(true);
	struct err   e = err_in(NULL);

	put(&s, 10, S("a"), 1, S("one"));
	logged_abandon(&s);
	CHECK_EQ(store_open_sqlite_plain(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseNotClosed"));
	s = open_store(true);
	check_scan(&s, "a=one");
	logged_abandon(&s);
	commitlog_delete(disk_real(), path);
	check_refused("CommitLogMissing");
	sql("DROP TABLE fresnel_log"); /* as the message says */
	s = open_store(false);
	check_scan(&s, "");
	store_close(&s);
}

/* One process at a time; newer formats are refused; the product's own opening works. */
TEST(opening_as_the_product_does)
{
	struct store s, other;
	struct err   e = err_in(NULL);
	size_t       at;

	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	CHECK_EQ(store_open_sqlite(path, &other, &e), ST_CONFLICT);
	put(&s, 10, S("a"), 1, S("one"));
	check_scan(&s, "a=one");
	store_close(&s);
	sql("UPDATE persistence_globals SET json_value = '{\"version\":5}'"
	    " WHERE key = 'fresnel_format'");
	CHECK_EQ(store_open_sqlite(path, &s, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	CHECK(str_find(e.text, S("this program knows versions up to 4"), &at));
}

/* A log that its database does not know (it was deleted, or replaced by a copy) is not replayed
 * into another one. */
TEST(stale_logs_are_not_replayed)
{
	struct store s = open_store(true);

	put(&s, 10, S("a"), 1, S("one"));
	logged_abandon(&s);
	CHECK_EQ(unlink(path), 0);
	s = open_store(false);
	check_scan(&s, "");
	put(&s, 5, S("b"), 2, S("two"));
	store_close(&s);
	CHECK(!has_log());
}

/* What is applied is known in the same transaction: a replay begins behind it.  The newest time
 * is known even if SQLite has no document of that time. */
TEST(replay_begins_where_sqlite_ends)
{
	struct store             s = open_store(false);
	struct store_index_write kw = key_write(1, S("x"), true, 0);
	struct store_commit      c = { .ts = 30, .nkeys = 1, .keys = &kw };

	put(&s, 10, S("a"), 1, S("one"));
	CHECK_EQ(write_one(&s, &c, NULL), ST_OK);
	logged_drain(&s);
	logged_pause(&s, true);
	put(&s, 40, S("b"), 2, S("two"));
	logged_abandon(&s);
	CHECK_EQ(sql("SELECT applied FROM fresnel_log"), 2);
	CHECK_EQ(sql("SELECT count(*) FROM documents"), 1);
	s = open_store(false);
	check_scan(&s, "a=one b=two");
	CHECK_EQ(try_put(&s, 35, S("c"), 3, S("three")), ST_INTERNAL);
	logged_drain(&s);
	store_close(&s);
	CHECK_EQ(sql("SELECT count(*) FROM documents"), 2);
}

/* What a killed process has left in the log may be as old as the documents whose entries it
 * backfills: until it is in SQLite nothing may be erased, however old. */
TEST(nothing_is_settled_during_a_replay)
{
	struct store              s = open_store(false);
	struct store_backfill_row row = { 10, key_write(2, S("k"), false, 1) };

	put(&s, 10, S("a"), 1, S("one"));
	put(&s, 20, S("a"), 1, S("two"));
	logged_drain(&s);
	CHECK_EQ(s.v->settled_ts(s.self), 20);
	logged_pause(&s, true);
	/* Read before 20 was committed, on its way only after that. */
	CHECK_EQ(store_write(&s, &(struct store_batch){ .nbackfill = 1, .backfill = &row }, NULL),
	    ST_OK);
	logged_abandon(&s);
	s = open_store(true);
	CHECK(s.v->settled_ts(s.self) < 10);
	logged_pause(&s, false);
	logged_drain(&s);
	CHECK_EQ(s.v->settled_ts(s.self), 20);
	store_close(&s);
	s = open_store(true);
	CHECK_EQ(s.v->settled_ts(s.self), 20);
	store_close(&s);
}

/* After a sync that failed nothing is acknowledged and nothing is seen. */
TEST(a_failed_sync_is_not_acknowledged)
{
	struct store s = open_store(true);

	put(&s, 10, S("a"), 1, S("one"));
	bad_sync_in = 1;
	CHECK_EQ(try_put(&s, 20, S("b"), 2, S("two")), ST_INTERNAL);
	check_scan(&s, "a=one");
	CHECK_EQ(try_put(&s, 30, S("c"), 3, S("three")), ST_INTERNAL);
	store_close(&s);
	CHECK(has_log());
	s = open_store(false);
	put(&s, 40, S("d"), 4, S("four"));
	store_close(&s);
}

/* What SQLite refuses stays in the log: writes fail, reads go on, and the next opening tries
 * again. */
TEST(a_failed_applier_loses_nothing)
{
	struct store s = open_store(true);
	status       st = ST_OK;

	put(&s, 10, S("a"), 1, S("one"));
	put(&s, 11, S("b"), 2, S("two"));
	sql("CREATE TRIGGER no BEFORE INSERT ON documents BEGIN SELECT RAISE(ABORT, 'no'); END");
	logged_pause(&s, false);
	for (ts_t ts = 20; ts < 5000 && st == ST_OK; ts++) {
		st = try_put(&s, ts, S("b"), 2, S("two"));
		usleep(1000);
	}
	CHECK_EQ(st, ST_INTERNAL);
	check_scan(&s, "a=one b=two");
	store_close(&s);
	CHECK(has_log());
	sql("DROP TRIGGER no");
	s = open_store(false);
	check_scan(&s, "a=one b=two");
	store_close(&s);
	CHECK(sql("SELECT count(*) FROM documents") > 1);
}

struct late {
	struct store *s;
};

static void
resume_later(void *arg)
{
	struct late *l = arg;

	usleep(50000);
	logged_pause(l->s, false);
}

/* Above the bound of the backlog a write waits for the applier. */
TEST(writes_wait_for_the_applier)
{
	struct logged_opts o = small(true);
	struct late        late;
	struct thread     *t;
	struct store       s;
	ts_t               ts = 1;

	o.backlog_bytes = 64 << 10;
	CHECK_EQ(store_open_logged_with(path, &o, &s, NULL), ST_OK);
	for (; ts <= 17; ts++) /* 4 KiB each: one above the bound */
		put(&s, ts, S("a"), 1, S("x"));
	CHECK_EQ(((struct logged_store *)s.self)->backlog, 68 << 10);
	late.s = &s;
	t = thread_start("late", 0, resume_later, &late);
	for (; ts < 300; ts++)
		put(&s, ts, S("a"), 1, S("x"));
	thread_join_free(t);
	store_close(&s);
	CHECK_EQ(sql("SELECT count(*) FROM documents"), 299);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(reads_across_log_and_sqlite),
		IN_DIR(plain_databases_in_both_directions),
		IN_DIR(the_log_guards_the_database),
		IN_DIR(opening_as_the_product_does),
		IN_DIR(stale_logs_are_not_replayed),
		IN_DIR(replay_begins_where_sqlite_ends),
		IN_DIR(nothing_is_settled_during_a_replay),
		IN_DIR(a_failed_sync_is_not_acknowledged),
		IN_DIR(a_failed_applier_loses_nothing),
		IN_DIR(writes_wait_for_the_applier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
