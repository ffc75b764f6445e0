/* retention_test.c - what may be forgotten, and that nothing else is (retention.h).
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "core_fixture.h"

#include <stdlib.h>

#include "database/retention.h"

#define THINGS 24
#define SECOND RETENTION_SECOND

struct state {
	ts_t    ts;
	int64_t n[THINGS]; /* -1: no such document */
};

struct world {
	struct fixture    f;
	struct retention *r;
	VEC(struct state) history; /* ascending */
	ts_t     durable;
	uint64_t erased;
};

/* --- a store that fails now and then, and that notes from where its log is read --- */

static const struct store_vtable *real;
static uint32_t                   failures; /* in 100 */
static uint64_t                   dice = 1;
static ts_t                       first_read; /* oldest revision that a walk asked for */

static status
flaky_prune(void *self, const struct store_prune *p, struct err *e)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	if ((dice >> 33) % 100 < failures)
		return err_set(e, ST_INTERNAL, "NoLuck", "no");
	return real->prune(self, p, e);
}

static status
noted_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e)
{
	if (from > 0 && from < first_read)
		first_read = from;
	return real->log(self, from, to, limit, fn, arg, e);
}

static void
open_retention(struct world *w)
{
	struct retention_opts o = { .index_ns = SECOND / 3,
		.document_ns = SECOND,
		.chunk_rows = 5 };

	CHECK_EQ(retention_open(w->f.db, &o, &w->r, NULL), ST_OK);
}

static void
open_world(struct world *w, uint64_t seed)
{
	struct state first;

	memset(w, 0, sizeof *w);
	fx_open(&w->f, seed);
	real = w->f.store.v;
	w->f.kept.prune = flaky_prune;
	w->f.kept.log = noted_log;
	open_retention(w);
	memset(first.n, 0xff, sizeof first.n);
	first.ts = w->durable = db_durable_ts(w->f.db);
	vec_push(&w->history, first);
}

static void
close_world(struct world *w)
{
	retention_close(w->r);
	fx_close(&w->f);
	vec_clear(&w->history);
}

static void
commit(struct world *w)
{
	struct state     next = w->history.v[w->history.n - 1];
	struct fx_commit c;
	uint32_t         n = 1 + fx_draw(&w->f, 4), first = fx_draw(&w->f, THINGS);

	if (fx_draw(&w->f, 3)) /* else the clock stands still */
		w->f.now += (uint64_t)fx_draw(&w->f, 100) * 1000000;
	fx_begin(&w->f, &c);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = (first + k * 5) % THINGS;

		/* Few values, so that keys come back. */
		next.n[i] = (int64_t)fx_draw(&w->f, 6) - 2;
		if (next.n[i] < 0)
			next.n[i] = -1;
		fx_set(&c, i, next.n[i]);
	}
	CHECK_EQ(fx_end(&w->f, &c, S("test"), &next.ts, NULL), ST_OK);
	if (next.ts > w->history.v[w->history.n - 1].ts)
		vec_push(&w->history, next);
}

static void
flush(struct world *w)
{
	fx_flush(&w->f);
	w->durable = db_durable_ts(w->f.db);
}

static void
step(struct world *w)
{
	uint64_t wait;
	status   st = retention_step(w->r, &wait, NULL);

	CHECK(st == ST_OK || (failures && st == ST_INTERNAL));
}

static void
restart(struct world *w, bool crash)
{
	w->erased += retention_state(w->r).keys_erased;
	retention_close(w->r);
	if (!crash)
		flush(w);
	db_close(w->f.db);
	if (crash) {
		store_memory_crash(&w->f.store, w->durable);
		while (w->history.v[w->history.n - 1].ts > w->durable)
			w->history.n--;
	}
	fx_start(&w->f);
	open_retention(w);
}

/* --- comparing with the model --- */

/* The rows of one index at a moment: each document there is once, with what it was then. */
static void
check_scan(struct world *w, const struct state *s, ts_t at, const struct table_info *t,
    const struct index_info *ix)
{
	struct store_scan q = { .index = ix->id,
		.tablet = t->tablet,
		.table_number = t->number,
		.at = at,
		.limit = 1000 };
	struct store_rows rows;
	size_t            live = 0;

	store_rows_init(&rows);
	CHECK_EQ(store_scan(&w->f.store, &q, &rows, NULL), ST_OK);
	for (uint32_t i = 0; i < THINGS; i++) {
		size_t found = 0;

		for (size_t k = 0; k < rows.rows.n; k++) {
			const struct doc *d = rows.rows.v[k].doc;

			if (!uid_eq(d->id.uid, thing_id(i).uid))
				continue;
			found++;
			CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), s->n[i]);
		}
		CHECK_EQ(found, s->n[i] >= 0);
		live += s->n[i] >= 0;
	}
	CHECK_EQ(rows.rows.n, live);
	store_rows_clear(&rows);
}

static void
check_revisions(struct world *w, const struct state *s, ts_t at, const struct table_info *t)
{
	for (uint32_t i = 0; i < THINGS; i++) {
		struct store_log_row row = { .doc = NULL };
		status st = w->f.store.v->revision(w->f.store.self, t->tablet, t->number,
		    thing_id(i).uid, at, &row, NULL);

		CHECK(st == ST_OK || st == ST_NOT_FOUND);
		CHECK_EQ(st == ST_OK && row.doc, s->n[i] >= 0);
		if (st == ST_OK && row.doc)
			CHECK_EQ(val_int64(val_get(doc_val(row.doc), S("n"))), s->n[i]);
		if (st == ST_OK)
			doc_unref(row.doc);
	}
}

/* Everything at or above the bounds, as of commits and of moments between them. */
static void
check_history(struct world *w)
{
	struct retention_state   now = retention_state(w->r);
	struct snapshot         *snap = db_snapshot(w->f.db);
	const struct table_info *t = fx_things(snap);

	for (size_t i = 0; i < w->history.n; i++) {
		const struct state *s = &w->history.v[i];
		ts_t                end = i + 1 < w->history.n ? s[1].ts - 1 : s->ts;

		if (s->ts > w->durable)
			break;
		for (size_t k = 0; k < t->nindexes; k++) {
			if (s->ts >= now.index_bound)
				check_scan(w, s, s->ts, t, &t->indexes[k]);
			if (end >= now.index_bound)
				check_scan(w, s, end, t, &t->indexes[k]);
		}
		if (end >= now.document_bound)
			check_revisions(w, s, end, t);
	}
	snapshot_unref(snap);
}

/* 03 checklist 48: whatever is written, moved back and forth, deleted and made again: scans and
 * revisions at every timestamp that can still be read are what they were, through restarts and
 * crashes between any two steps. */
TEST(readable_history_is_left_alone)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct world w;

		open_world(&w, seed);
		failures = seed % 3 ? 0 : 20; /* a step that fails is made again */
		for (int i = 0; i < 400; i++) {
			uint32_t what = fx_draw(&w.f, 100);

			if (what < 45)
				commit(&w);
			else if (what < 60)
				flush(&w);
			else if (what < 95)
				step(&w);
			else if (what < 98)
				restart(&w, fx_draw(&w.f, 2));
			if (what >= 60 && i % 4 == 0)
				check_history(&w);
		}
		check_history(&w);
		CHECK(w.erased + retention_state(w.r).keys_erased > 0);
		close_world(&w);
	}
	failures = 0;
}

static bool
count_thing(void *arg, const struct store_log_row *row)
{
	struct {
		struct uid tablet;
		size_t     n;
	} *c = arg;

	c->n += uid_eq(row->tablet, c->tablet);
	doc_unref(row->doc);
	return true;
}

static size_t
log_rows(struct store *s, struct uid tablet)
{
	struct {
		struct uid tablet;
		size_t     n;
	} c = { tablet, 0 };

	CHECK_EQ(s->v->log(s->self, 0, TS_MAX, 1u << 20, count_thing, &c, NULL), ST_OK);
	return c.n;
}

/* When every window has passed, what is left are the present documents, an entry of each in each
 * index, and nothing else. */
TEST(nothing_but_the_present_is_left)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct world w;
		struct uid   indexes[3], tablet;
		size_t       live = 0, n;

		open_world(&w, seed);
		failures = seed % 2 ? 0 : 20;
		for (int i = 0; i < 150; i++) {
			commit(&w);
			if (i % 20 == 0)
				flush(&w);
			if (i % 7 == 0)
				step(&w);
			if (i == 90)
				restart(&w, true);
		}
		w.f.now += 60 * SECOND; /* the bounds must wait for the store */
		for (int i = 0; i < 100; i++)
			step(&w);
		CHECK(retention_state(w.r).index_bound <= w.durable);
		flush(&w);
		w.f.now += SECOND;
		for (int i = 0; i < 200; i++)
			step(&w);
		CHECK_EQ(retention_state(w.r).index_done, w.durable);
		CHECK_EQ(retention_state(w.r).document_done, w.durable);
		check_history(&w);
		for (size_t i = 0; i < THINGS; i++)
			live += w.history.v[w.history.n - 1].n[i] >= 0;
		{
			struct snapshot         *snap = db_snapshot(w.f.db);
			const struct table_info *t = fx_things(snap);

			tablet = t->tablet;
			for (size_t k = 0; k < 3; k++)
				indexes[k] = t->indexes[k].id;
			snapshot_unref(snap);
		}
		CHECK_EQ(log_rows(&w.f.store, tablet), live);
		for (size_t k = 0; k < 3; k++) {
			CHECK_EQ(w.f.store.v->erase_index(w.f.store.self, indexes[k], 100000, &n,
				     NULL),
			    ST_OK);
			CHECK_EQ(n, live);
		}
		close_world(&w);
	}
	failures = 0;
}

/* --- bounds --- */

/* A snapshot that somebody holds can be read to its end, from the store, too; when it is
 * released its history goes. */
TEST(live_snapshots_are_waited_for)
{
	struct world     w;
	struct snapshot *s;
	struct state     then;

	open_world(&w, 3);
	for (int i = 0; i < 40; i++)
		commit(&w);
	restart(&w, false); /* nothing is resident any more */
	s = db_snapshot(w.f.db);
	then = w.history.v[w.history.n - 1];
	for (int i = 0; i < 200; i++) {
		commit(&w);
		flush(&w);
		step(&w);
	}
	CHECK_EQ(retention_state(w.r).index_bound, snapshot_ts(s));
	for (uint32_t i = 0; i < THINGS; i++) {
		struct doc *d = fx_get(s, i);

		CHECK_EQ(d != NULL, then.n[i] >= 0);
		if (d)
			CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), then.n[i]);
		doc_unref(d);
	}
	snapshot_unref(s);
	w.f.now += SECOND;
	step(&w);
	CHECK(retention_state(w.r).index_bound > then.ts);
	close_world(&w);
}

/* 03 checklist 47: who comes too late learns it (HTTP 503), and gets nothing instead of a part. */
TEST(reads_below_the_bound_fail)
{
	struct world             w;
	struct snapshot         *s, *late;
	const struct table_info *t;
	struct scan             *scan;
	struct doc              *d = NULL, *probe;
	struct buf               lo, hi;
	struct err               e = err_in(NULL);
	str                      key;
	ts_t                     ts;

	open_world(&w, 5);
	for (int i = 0; i < 40; i++)
		commit(&w);
	restart(&w, false);
	s = db_snapshot(w.f.db);
	ts = snapshot_ts(s);
	t = fx_things(s);
	/* As if retention had not waited for it. */
	atomic_store(&w.f.db->index_bound, ts + 1);

	buf_init(&lo, 64);
	buf_init(&hi, 64);
	index_prefix(&lo, t->by_id);
	index_prefix(&hi, t->by_id);
	buf_add_byte(&hi, 0xff);
	scan = scan_open(s, t, t->by_id, buf_str(&lo), buf_str(&hi), false, 100);
	CHECK_EQ(scan_next(scan, &key, &d, &e), ST_OUT_OF_RETENTION);
	CHECK(d == NULL);
	CHECK_EQ(status_http(ST_OUT_OF_RETENTION), 503);
	CHECK_STRZ(e.text, "Your request couldn't be completed. Try again later.");
	scan_close(scan);
	probe = thing_doc(t, THINGS - 1, 0);
	buf_reset(&lo);
	index_key(&lo, t->by_id, doc_val(probe));
	CHECK_EQ(snapshot_get(s, t, t->by_id, buf_str(&lo), &d, &e), ST_OUT_OF_RETENTION);
	doc_unref(probe);
	snapshot_unref(s);
	atomic_store(&w.f.db->index_bound, ts);
	while (db_latest_ts(w.f.db) == ts)
		commit(&w);
	e = err_in(NULL);
	CHECK_EQ(db_snapshot_at(w.f.db, ts, &late, &e), ST_OUT_OF_RETENTION);
	buf_clear(&lo);
	buf_clear(&hi);
	close_world(&w);
}

/* After a restart the walk goes on where it was. */
TEST(checkpoints_survive)
{
	struct world           w;
	struct retention_state before;

	open_world(&w, 7);
	for (int i = 0; i < 100; i++) {
		commit(&w);
		flush(&w);
		step(&w);
	}
	w.f.now += 5 * SECOND;
	for (int i = 0; i < 100; i++)
		step(&w);
	before = retention_state(w.r);
	CHECK(before.document_done > w.history.v[50].ts);
	restart(&w, false);
	CHECK_EQ(retention_state(w.r).index_bound, before.index_bound);
	CHECK_EQ(retention_state(w.r).index_done, before.index_done);
	CHECK_EQ(retention_state(w.r).document_done, before.document_done);
	for (int i = 0; i < 20; i++)
		commit(&w);
	flush(&w);
	w.f.now += 5 * SECOND;
	first_read = TS_MAX;
	for (int i = 0; i < 50; i++)
		step(&w);
	CHECK(first_read > before.document_done && first_read < TS_MAX);
	close_world(&w);
}

/* History may take twice what is alive and the slack; beyond that the windows shrink in
 * proportion, but not below 15 seconds. */
TEST(windows_yield_to_size)
{
	const uint64_t M = 1 << 20, none = UINT64_MAX;
	const struct {
		const char *why;
		uint64_t    used, dead, span, want;
	} rows[] = {
		{ "nothing dead", 100 * M, 0, 3600, none },
		{ "empty", 0, 0, 0, none },
		{ "within the slack", 70 * M, 64 * M, 60, none },
		{ "exactly the most", 364 * M, 264 * M, 3600, none },
		{ "twice the most", 628 * M, 528 * M, 3600, 1350 },
		{ "the floor", 100000 * M, 99900 * M, 3600, 15 },
		{ "more dead than there is room", 100 * M, 200 * M, 1000, 240 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t got =
		    retention_window(rows[i].used, rows[i].dead, 64 * M, rows[i].span * SECOND);

		print_message("  %s\n", rows[i].why);
		if (rows[i].want == none)
			CHECK(got == none);
		else
			CHECK_EQ(got / SECOND, rows[i].want);
	}
}

/* A bound that could not be written does not count: after a crash older timestamps would be
 * served again, from what is left (spec 03 section 7.7). */
TEST(bounds_are_written_before_they_count)
{
	struct world w;
	ts_t         before;

	open_world(&w, 11);
	for (int i = 0; i < 20; i++)
		commit(&w);
	flush(&w);
	before = retention_state(w.r).index_bound;
	w.f.now += 5 * SECOND;
	failures = 100;
	for (int i = 0; i < 5; i++)
		step(&w);
	CHECK_EQ(retention_state(w.r).index_bound, before);
	CHECK_EQ(w.f.db->index_bound, before);
	failures = 0;
	for (int i = 0; i < 5; i++)
		step(&w);
	CHECK(w.f.db->index_bound > before);
	close_world(&w);
}

/* Commits that only deleted may be erased without a trace: time goes on above them nevertheless,
 * also when the clock was set back before a restart (spec 03 section 5.1). */
TEST(erased_deletions_keep_time)
{
	struct world     w;
	struct fx_commit c;
	ts_t             deleted, newest;

	open_world(&w, 13);
	for (int64_t n = 1; n >= -1; n -= 2) {
		fx_begin(&w.f, &c);
		fx_set(&c, 3, n);
		CHECK_EQ(fx_end(&w.f, &c, S("test"), &deleted, NULL), ST_OK);
		w.f.now += SECOND;
	}
	flush(&w);
	w.f.now += 60 * SECOND;
	for (int i = 0; i < 50; i++)
		step(&w);
	CHECK_EQ(w.f.store.v->max_ts(w.f.store.self, &newest, NULL), ST_OK);
	CHECK(newest < deleted);
	w.f.now -= 3600 * SECOND;
	restart(&w, false);
	CHECK(db_latest_ts(w.f.db) >= deleted);
	CHECK(db_latest_ts(w.f.db) >= retention_state(w.r).index_bound);
	close_world(&w);
}

/* What an index is being filled from stays readable until its entries are in the store. */
TEST(backfills_are_waited_for)
{
	struct world w;
	ts_t         from;

	open_world(&w, 12);
	for (int i = 0; i < 10; i++)
		commit(&w);
	flush(&w);
	from = db_latest_ts(w.f.db);
	w.f.db->filling.from = from;
	w.f.db->filling.until = from + 3600 * SECOND;
	for (int i = 0; i < 20; i++) {
		commit(&w);
		flush(&w);
		w.f.now += SECOND;
		step(&w);
	}
	CHECK(retention_state(w.r).index_bound <= from);
	w.f.db->filling.until = from;
	for (int i = 0; i < 5; i++) {
		w.f.now += SECOND;
		step(&w);
	}
	CHECK(retention_state(w.r).index_bound > from);
	close_world(&w);
}

TEST_RUN(T(readable_history_is_left_alone), T(nothing_but_the_present_is_left),
    T(live_snapshots_are_waited_for), T(reads_below_the_bound_fail), T(checkpoints_survive),
    T(bounds_are_written_before_they_count), T(backfills_are_waited_for),
    T(erased_deletions_keep_time), T(windows_yield_to_size))
