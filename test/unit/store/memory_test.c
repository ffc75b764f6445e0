/* memory_test.c - the memory store's crash, and the ordered set under it. */
#include "store_fixture.h"

#include "store/skiplist_int.h"

static str
global(struct store *s, struct buf *out)
{
	buf_reset(out);
	return s->v->global(s->self, S("g"), out, NULL) == ST_OK ? buf_str(out) : S("absent");
}

/* A commit of one document and one key together with a global of the same text. */
static void
put_with_global(struct store *s, ts_t ts, str text)
{
	struct doc                *d = doc_make(1, text);
	struct store_doc_write     dw = doc_write(1, d, 0);
	struct store_index_write   kw = key_write(1, S("k"), false, 1);
	struct store_commit c = { .ts = ts, .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw };
	const struct store_commit *list = &c;
	struct store_global        g = { S("g"), text };
	struct store_batch b = { .ncommits = 1, .commits = &list, .nglobals = 1, .globals = &g };

	CHECK_EQ(store_write(s, &b, NULL), ST_OK);
	doc_unref(d);
}

/* A crash forgets commits, entries, backfills and globals of all later writes, and nothing of
 * the earlier ones; life goes on from there. */
TEST(crash_forgets_a_suffix)
{
	struct store              s;
	struct buf                out;
	struct store_scan         q = scan_of(1, TS_MAX, S(""), S(""));
	struct store_scan         filled = scan_of(2, TS_MAX, S(""), S(""));
	struct store_backfill_row row = { .ts = 10, .key = key_write(2, S("b"), false, 1) };
	ts_t                      max = 0;

	buf_init(&out, BUF_MAX_DEFAULT);
	store_open_memory(&s);
	put_with_global(&s, 10, S("ten"));
	put_with_global(&s, 20, S("twenty"));
	CHECK_EQ(store_write(&s, &(struct store_batch){ .nbackfill = 1, .backfill = &row }, NULL),
	    ST_OK);
	put_with_global(&s, 30, S("thirty"));
	CHECK_STR(scan_text(&s, &q, &out), S("k=thirty"));

	store_memory_crash(&s, 30);
	CHECK_STR(scan_text(&s, &q, &out), S("k=thirty"));
	store_memory_crash(&s, 25);
	CHECK_STR(scan_text(&s, &q, &out), S("k=twenty"));
	CHECK_STR(scan_text(&s, &filled, &out), S("b=ten"));
	CHECK_STR(global(&s, &out), S("twenty"));
	CHECK_EQ(s.v->max_ts(s.self, &max, NULL), ST_OK);
	CHECK_EQ(max, 20);

	store_memory_crash(&s, 10);
	CHECK_STR(scan_text(&s, &q, &out), S("k=ten"));
	CHECK_STR(scan_text(&s, &filled, &out), S("")); /* was written after 20 */
	CHECK_STR(global(&s, &out), S("ten"));
	put_with_global(&s, 15, S("fifteen"));
	CHECK_STR(scan_text(&s, &q, &out), S("k=fifteen"));

	store_memory_crash(&s, 5);
	CHECK_STR(scan_text(&s, &q, &out), S(""));
	CHECK_STR(global(&s, &out), S("absent"));
	CHECK_EQ(s.v->max_ts(s.self, &max, NULL), ST_OK);
	CHECK_EQ(max, 0);
	store_close(&s);
	buf_clear(&out);
}

/* What a forgotten backfill had overwritten is there again, however often it was overwritten. */
TEST(crash_uncovers_overwritten_entries)
{
	struct store              s;
	struct buf                out;
	struct store_scan         q = scan_of(2, TS_MAX, S(""), S(""));
	struct store_backfill_row row = { .ts = 10, .key = key_write(2, S("b"), false, 1) };
	const struct store_batch  b = { .nbackfill = 1, .backfill = &row };
	struct {
		ts_t        durable;
		const char *want;
	} rows[] = { { 30, "" }, { 29, "b=ten" }, { 19, "" }, { 14, "b=ten" }, { 9, "" } };

	buf_init(&out, BUF_MAX_DEFAULT);
	store_open_memory(&s);
	put_with_global(&s, 10, S("ten"));
	CHECK_EQ(store_write(&s, &b, NULL), ST_OK);
	for (ts_t ts = 15; ts <= 30; ts += ts == 15 ? 5 : 10) { /* 15, 20, 30 */
		put_with_global(&s, ts, S("later"));
		row.key.deleted = ts != 20;
		CHECK_EQ(store_write(&s, &b, NULL), ST_OK);
	}
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		store_memory_crash(&s, rows[i].durable);
		CHECK_STRZ(scan_text(&s, &q, &out), rows[i].want);
	}
	store_close(&s);
	buf_clear(&out);
}

/* What was pruned stays pruned, and the globals that say so stay with it. */
TEST(crash_keeps_what_was_pruned)
{
	const struct store_dead_key dead = { index_uid(1), S("k"), 19 };
	const struct store_global   g = { S("bound"), S("20") };
	struct store                s;
	struct buf                  out;
	struct store_scan           q = scan_of(1, 15, S(""), S(""));

	buf_init(&out, BUF_MAX_DEFAULT);
	store_open_memory(&s);
	put_with_global(&s, 10, S("ten"));
	put_with_global(&s, 20, S("twenty"));
	put_with_global(&s, 30, S("thirty"));
	CHECK_EQ(
	    s.v->prune(s.self, &(struct store_prune){ 1, &dead, 0, NULL, 1, &g }, NULL), ST_OK);
	store_memory_crash(&s, 20);
	CHECK_STR(scan_text(&s, &q, &out), S(""));
	q.at = TS_MAX;
	CHECK_STR(scan_text(&s, &q, &out), S("k=twenty"));
	buf_reset(&out);
	CHECK_EQ(s.v->global(s.self, S("bound"), &out, NULL), ST_OK);
	CHECK_STR(buf_str(&out), S("20"));
	store_close(&s);
	buf_clear(&out);
}

static int
int_cmp(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
keep(void *item)
{
	(void)item;
}

/* The set finds neighbours on both sides of present and absent probes, against the obvious
 * table of which numbers are in. */
TEST(ordered_set_agrees_with_a_table)
{
	enum { RANGE = 300, STEPS = 20000 };
	static int       numbers[RANGE];
	bool             in[RANGE] = { false };
	struct skiplist *l = skiplist_new(int_cmp);
	uint32_t         x = 12345;
	int              first = 0, last = RANGE - 1;

	for (int i = 0; i < RANGE; i++)
		numbers[i] = i;
	for (int step = 0; step < STEPS; step++) {
		int at, below, above;

		x = x * 1664525u + 1013904223u;
		at = (int)((x >> 8) % RANGE);
		if (x >> 31) {
			CHECK_EQ(skiplist_insert(l, &numbers[at]), !in[at]);
			in[at] = true;
		} else {
			CHECK_EQ(skiplist_remove(l, &at), in[at]);
			in[at] = false;
		}
		for (below = at - 1; below >= 0 && !in[below]; below--)
			;
		for (above = at + 1; above < RANGE && !in[above]; above++)
			;
		CHECK(skiplist_get(l, &at) == (in[at] ? &numbers[at] : NULL));
		CHECK(skiplist_last_lt(l, &at) == (below >= 0 ? &numbers[below] : NULL));
		CHECK(skiplist_first_gt(l, &at) == (above < RANGE ? &numbers[above] : NULL));
		CHECK(skiplist_first_ge(l, &at) ==
		    (in[at] ? &numbers[at] : skiplist_first_gt(l, &at)));
	}
	while (!in[first])
		first++;
	while (!in[last])
		last--;
	CHECK(skiplist_first(l) == &numbers[first]);
	CHECK(skiplist_last(l) == &numbers[last]);
	skiplist_free(l, keep);
}

/* In the middle of a search, at one of its comparisons, somebody else inserts. */
static struct {
	struct skiplist *list;
	int             *item;
	int              in; /* comparisons; 0: has happened */
} intruder;

static int
interrupted_cmp(const void *a, const void *b)
{
	if (intruder.in > 0 && --intruder.in == 0)
		CHECK(skiplist_insert(intruder.list, intruder.item));
	return int_cmp(a, b);
}

/* Searches may run during insertions: what was in the set before is found, and nothing on the
 * wrong side of the probe is taken for it. */
TEST(searches_are_not_misled_by_insertions)
{
	void *(*const searches[])(const struct skiplist *l, const void *probe) = {
		skiplist_first_ge, skiplist_get, skiplist_first_gt, skiplist_last_lt
	};
	int numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = i;
	for (int i = 0; i < 19 * 11 * 4; i++) {
		int              which = i % 4, moment = 1 + i / 4 % 11, n = 2 + i / 44 * 2;
		struct skiplist *l = skiplist_new(interrupted_cmp);
		const int       *hit;

		for (int k = 0; k <= n; k += 2)
			CHECK(skiplist_insert(l, &numbers[k]));
		/* It comes right before what is looked for; or right behind the probe. */
		intruder.list = l;
		intruder.item = &numbers[n - 1];
		intruder.in = moment;
		hit = searches[which](l, &numbers[which == 2 ? n - 2 : n]);
		intruder.in = 0;
		if (which < 2)
			CHECK(hit == &numbers[n]);
		else
			CHECK(hit == &numbers[n - 1] || hit == &numbers[which == 2 ? n : n - 2]);
		skiplist_free(l, keep);
	}
}

TEST_RUN(T(crash_forgets_a_suffix), T(crash_uncovers_overwritten_entries),
    T(crash_keeps_what_was_pruned), T(ordered_set_agrees_with_a_table),
    T(searches_are_not_misled_by_insertions))
