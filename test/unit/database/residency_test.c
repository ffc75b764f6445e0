/* residency_test.c - snapshots, loads and commits against a model of all versions.
 *
 * Random commits, scans, gets, store writes, evictions, restarts and crashes; at any moment every
 * snapshot that is held must read exactly what the model had at its timestamp, whatever is
 * resident and however far the store has come.
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "core_fixture.h"

#include <stdlib.h>

#define THINGS 240 /* more than one load brings */
#define HELD   5

struct state {
	ts_t    ts;
	int64_t n[THINGS]; /* -1: no such document */
};

struct world {
	struct fixture f;
	VEC(struct state) history; /* ascending */
	struct {
		struct snapshot *s;
		struct state     state;
	} held[HELD];
};

static const struct state *
newest(const struct world *w)
{
	return &w->history.v[w->history.n - 1];
}

static void
release(struct world *w, size_t i)
{
	snapshot_unref(w->held[i].s);
	w->held[i].s = NULL;
}

static void
hold(struct world *w, size_t i)
{
	w->held[i].s = db_snapshot(w->f.db);
	w->held[i].state = *newest(w);
}

static void
random_commit(struct world *w)
{
	struct fx_commit c;
	struct state     next = *newest(w);
	uint32_t         n = 1 + fx_draw(&w->f, 3), first = fx_draw(&w->f, THINGS);

	w->f.now += fx_draw(&w->f, 3) * 500; /* sometimes the clock stands still */
	fx_begin(&w->f, &c);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = (first + k * 11) % THINGS;
		int64_t  value = (int64_t)fx_draw(&w->f, 14) - 4;

		fx_set(&c, i, value);
		next.n[i] = value < 0 ? -1 : value;
	}
	CHECK_EQ(fx_end(&w->f, &c, S("test"), &next.ts, NULL), ST_OK);
	CHECK(next.ts >= newest(w)->ts);
	if (next.ts > newest(w)->ts)
		vec_push(&w->history, next);
}

static void
write_some(struct world *w)
{
	struct pending_batch *b = db_take_batch(w->f.db, 1 + fx_draw(&w->f, 6));

	if (b)
		CHECK_EQ(db_write_batch(w->f.db, b, NULL), ST_OK);
}

/* --- late loads --- */

static struct {
	status (*real)(void *self, const struct store_scan *q, struct store_rows *ret,
	    struct err *e);
	struct world *world; /* NULL: the store answers at once */
} late;

/* Between the store's answer and its installation others commit, write and evict. */
static status
late_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	status        st = late.real(self, q, ret, e);
	struct world *w = late.world;

	late.world = NULL; /* not within what happens meanwhile */
	for (uint32_t n = w ? fx_draw(&w->f, 4) : 0; n > 0; n--) {
		random_commit(w);
		write_some(w);
		if (fx_draw(&w->f, 2))
			db_evict_now(w->f.db, 1 + fx_draw(&w->f, 1 << 16));
	}
	late.world = w;
	return st;
}

/* --- scans --- */

struct row {
	str      key;
	uint32_t thing;
};

static int
row_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

/* The rows of the model in [lo, hi), ascending, keys in `a`. */
static size_t
model_rows(const struct state *st, const struct table_info *t, const struct index_info *ix,
    str lo, str hi, struct arena *a, struct row ret[THINGS])
{
	size_t n = 0;

	for (uint32_t i = 0; i < THINGS; i++) {
		struct fx_commit room = { .arena = a };
		struct doc      *d;
		str              key;

		if (st->n[i] < 0)
			continue;
		d = thing_doc(t, i, st->n[i]);
		key = fx_key(&room, ix, d);
		doc_unref(d);
		if (str_cmp(key, lo) >= 0 && str_cmp(key, hi) < 0)
			ret[n++] = (struct row){ key, i };
	}
	qsort(ret, n, sizeof *ret, row_cmp);
	return n;
}

/* A bound: the index's beginning or end, or around some document's key. */
static str
random_bound(struct world *w, const struct table_info *t, const struct index_info *ix,
    struct arena *a, bool end)
{
	struct fx_commit room = { .arena = a };
	struct doc      *d;
	struct buf       b;
	str              key;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (fx_draw(&w->f, 3) == 0) {
		buf_add_u32be(&b, end ? ix->no + 1 : ix->no);
		key = arena_str(a, buf_str(&b));
	} else {
		d = thing_doc(t, fx_draw(&w->f, THINGS), fx_draw(&w->f, 10));
		key = fx_key(&room, ix, d);
		doc_unref(d);
		if (fx_draw(&w->f, 3) == 0)
			key = str_of(arena_z(a, key), key.n + 1); /* successor */
		else if (fx_draw(&w->f, 3) == 0)
			key = str_head(key, 8);
	}
	buf_clear(&b);
	return key;
}

static void
random_scan(struct world *w, struct snapshot *s, const struct state *st)
{
	const struct table_info *t = fx_things(s);
	const struct index_info *ix = &t->indexes[fx_draw(&w->f, 3)];
	struct arena            *a = arena_new();
	str                      lo = random_bound(w, t, ix, a, false);
	str                      hi = random_bound(w, t, ix, a, true), key;
	bool                     desc = fx_draw(&w->f, 2);
	struct row               rows[THINGS];
	size_t                   n, stop;
	struct scan             *sc;
	struct doc              *d;

	if (str_cmp(lo, hi) > 0) {
		str x = lo;

		lo = hi;
		hi = x;
	}
	n = model_rows(st, t, ix, lo, hi, a, rows);
	stop = fx_draw(&w->f, 2) ? n : fx_draw(&w->f, (uint32_t)n + 1);
	sc = scan_open(s, t, ix, lo, hi, desc, 1 + fx_draw(&w->f, 200));
	for (size_t i = 0; i < stop; i++) {
		struct row *want = &rows[desc ? n - 1 - i : i];

		CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK);
		CHECK(d != NULL);
		CHECK_STR(key, want->key);
		CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), st->n[want->thing]);
		CHECK(d->ts <= st->ts);
	}
	if (stop == n) {
		CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK);
		CHECK(d == NULL);
	}
	scan_close(sc);
	arena_free(a);
}

static void
random_get(struct world *w, struct snapshot *s, const struct state *st)
{
	uint32_t    i = fx_draw(&w->f, THINGS);
	struct doc *d = fx_get(s, i);

	CHECK_EQ(d != NULL, st->n[i] >= 0);
	if (d)
		CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), st->n[i]);
	doc_unref(d);
}

/* --- the store --- */

/* Everything that was not durable is gone; what was is there. */
static void
crash_and_restart(struct world *w)
{
	ts_t durable = db_durable_ts(w->f.db);

	for (size_t i = 0; i < HELD; i++)
		if (w->held[i].s)
			release(w, i);
	db_close(w->f.db);
	while (newest(w)->ts > durable)
		w->history.n--;
	fx_start(&w->f);
	CHECK(db_latest_ts(w->f.db) >= durable);
}

/* A load that was under way when the world went on: its result arrives late. */
static void
load_across(struct world *w)
{
	struct snapshot *s = db_snapshot(w->f.db);
	struct state     st = *newest(w);

	late.world = w;
	random_scan(w, s, &st);
	late.world = NULL;
	snapshot_unref(s);
}

static void
step(struct world *w)
{
	size_t slot = fx_draw(&w->f, HELD);

	switch (fx_draw(&w->f, 18)) {
	case 0: case 1: case 2:
		random_commit(w);
		break;
	case 3: case 4:
		write_some(w);
		break;
	case 5:
		if (w->held[slot].s)
			release(w, slot);
		else
			hold(w, slot);
		break;
	case 6:
		if (fx_draw(&w->f, 12) == 0)
			crash_and_restart(w);
		break;
	case 7:
		db_evict_now(w->f.db, 1 + fx_draw(&w->f, 1 << 16));
		break;
	case 8:
		load_across(w);
		break;
	default:
		if (!w->held[slot].s)
			hold(w, slot);
		if (fx_draw(&w->f, 2))
			random_scan(w, w->held[slot].s, &w->held[slot].state);
		else
			random_get(w, w->held[slot].s, &w->held[slot].state);
	}
	res_check(w->f.db->tree);
	tree_check(w->f.db->tree, &(size_t){ 0 }, &(size_t){ 0 });
}

/* Every snapshot reads its own moment: resident or not, written or not, before and after
 * crashes. */
TEST(snapshots_equal_the_model_whatever_is_resident)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world w = { 0 };
		struct state start;

		fx_open(&w.f, seed);
		late.real = w.f.kept.scan;
		w.f.kept.scan = late_scan;
		if (seed % 2)
			w.f.cache_bytes = 90000; /* from the first crash on: a part of it all */
		start.ts = db_latest_ts(w.f.db);
		for (size_t i = 0; i < THINGS; i++)
			start.n[i] = -1;
		vec_push(&w.history, start);
		for (int i = 0; i < 600; i++)
			step(&w);
		for (size_t i = 0; i < HELD; i++)
			if (w.held[i].s)
				release(&w, i);
		vec_clear(&w.history);
		fx_close(&w.f);
	}
}

static struct {
	const struct store_vtable *real;
	int                        scans;
} counted;

static status
counting_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	counted.scans++;
	return counted.real->scan(self, q, ret, e);
}

/* What was read once is read from memory afterwards, absence included, by the same snapshot
 * and by later ones. */
TEST(a_second_read_does_not_ask_the_store)
{
	struct fixture   f;
	struct fx_commit c;
	struct snapshot *s;
	ts_t             ts;

	fx_open(&f, 3);
	fx_begin(&f, &c);
	for (uint32_t i = 0; i < 10; i++)
		fx_set(&c, i, i);
	CHECK_EQ(fx_end(&f, &c, S("test"), &ts, NULL), ST_OK);
	fx_flush(&f);
	db_close(f.db);
	counted.real = f.store.v;
	f.kept.scan = counting_scan;
	fx_start(&f);
	counted.scans = 0;
	s = db_snapshot(f.db);
	for (int pass = 0; pass < 3; pass++) {
		for (uint32_t i = 5; i < 15; i++) {
			struct doc *d = fx_get(s, i);

			CHECK_EQ(d != NULL, i < 10);
			doc_unref(d);
		}
		CHECK_EQ(counted.scans, 10);
		if (pass == 1) { /* on to a later snapshot */
			snapshot_unref(s);
			fx_begin(&f, &c);
			fx_set(&c, 5, 100);
			CHECK_EQ(fx_end(&f, &c, S("test"), &ts, NULL), ST_OK);
			s = db_snapshot(f.db);
		}
	}
	snapshot_unref(s);
	fx_close(&f);
}

/* An index scan brings the documents' by_id entries along. */
TEST(a_scanned_document_can_be_got_without_the_store)
{
	struct fixture           f;
	struct fx_commit         c;
	struct snapshot         *s;
	const struct table_info *t;
	struct scan             *sc;
	struct doc              *d, *again;
	struct buf               lo, hi;
	str                      key;
	ts_t                     ts;

	fx_open(&f, 4);
	fx_begin(&f, &c);
	fx_set(&c, 7, 70);
	CHECK_EQ(fx_end(&f, &c, S("test"), &ts, NULL), ST_OK);
	fx_flush(&f);
	db_close(f.db);
	counted.real = f.store.v;
	f.kept.scan = counting_scan;
	fx_start(&f);
	s = db_snapshot(f.db);
	t = fx_things(s);
	buf_init(&lo, 16);
	buf_init(&hi, 16);
	index_prefix(&lo, table_index(t, S("by_n")));
	buf_add(&hi, buf_str(&lo));
	hi.p[3]++;
	sc = scan_open(s, t, table_index(t, S("by_n")), buf_str(&lo), buf_str(&hi), false, 10);
	CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK);
	counted.scans = 0;
	again = fx_get(s, 7);
	CHECK(again == d); /* one blob, shared */
	CHECK_EQ(counted.scans, 0);
	doc_unref(again);
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	snapshot_unref(s);
	fx_close(&f);
}

TEST_RUN(T(snapshots_equal_the_model_whatever_is_resident),
    T(a_second_read_does_not_ask_the_store), T(a_scanned_document_can_be_got_without_the_store))
