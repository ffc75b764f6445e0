/* page_model_test.c - lists of live pages against a sorted array (spec 03 section 6.5).
 *
 * A client like usePaginatedQuery: it loads page after page, subscribes again to each with its
 * cursor and journal whenever something changed, and splits pages, on advice or on a whim, into
 * two that begin and end where the page did.  Meanwhile rows come, go and move, also across the
 * borders of pages, and the server restarts, with its clock set back, or forgets what it holds in
 * memory.  At each moment the pages together must hold each row once and in order, from the
 * first row to the border of the last.
 *
 * Thread: one.  Memory: the fixture's arena, page by page.
 */
#include "restart_fixture.h"

#define ROWS_MAX  400
#define PAGES_MAX 200

static const char schema[] =
    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":[{\"indexDescriptor\":\"by_n\","
    "\"fields\":[\"n\"]}],\"documentType\":null}]}";

#define SOURCE_N(order) "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t.by_n\"," \
	"\"range\":[],\"order\":\"" order "\"},\"operators\":"
#define SOURCE_TIME "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":null}," \
	"\"operators\":"
#define ODD "[{\"filter\":{\"$eq\":[{\"$mod\":[{\"$field\":\"n\"},{\"$literal\":2}]}," \
	"{\"$literal\":1}]}}]}"

static const struct list_kind {
	const char *query;
	bool        by_n, desc, odd;
} kinds[] = {
	{ SOURCE_N("asc") "[]}", true, false, false },
	{ SOURCE_N("desc") "[]}", true, true, false },
	{ SOURCE_N("asc") ODD, true, false, true },
	{ SOURCE_N("desc") ODD, true, true, true },
	{ SOURCE_TIME "[]}", false, false, false },
};

struct row {
	bool   there;
	double n, time;
	char   id[ID_TEXT_MAX];
};

struct live {
	str  cursor, end, journal; /* n == 0: none */
	str  border;               /* continueCursor of the last run */
	bool done;
};

struct got {
	size_t      n;
	char      (*ids)[ID_TEXT_MAX];
	str         border, split, journal;
	const char *status;
	bool        done;
};

struct model {
	struct fix              f;
	struct kept_store       store;
	const struct list_kind *kind;
	uint64_t                dice;
	size_t                  nrows, npages;
	struct row              rows[ROWS_MAX];
	struct live             pages[PAGES_MAX];
	size_t                  shown; /* rows in all pages, when they were last run */
	size_t                  splits, advised, restarts;
};

static size_t
draw(struct model *m, size_t below)
{
	return (size_t)(fix_draw(&m->dice) >> 16) % below;
}

/* --- rows --- */

static void
insert_row(struct model *m, struct txn *t)
{
	struct row  *r = &m->rows[m->nrows++];
	struct docid id;
	struct doc  *d;

	r->n = (double)draw(m, 60); /* many are equal: their order is by time and id */
	CHECK_EQ(txn_insert(t, S("t"),
		     fix_val(&m->f, arena_z(m->f.arena, arena_fmt(m->f.arena, "{\"n\":%g}", r->n))),
		     &id, &m->f.err),
	    ST_OK);
	id_format(id, r->id);
	CHECK_EQ(txn_get(t, STR_EMPTY, str_z(r->id), false, &d, &m->f.err), ST_OK);
	r->time = d->creation_time;
	r->there = true;
}

static void
change_row(struct model *m, struct txn *t)
{
	struct row *r = m->nrows ? &m->rows[draw(m, m->nrows)] : NULL;
	struct doc *d;
	const char *json;

	if (m->nrows < ROWS_MAX && (!r || !r->there || draw(m, 3) == 0)) {
		insert_row(m, t);
	} else if (r->there && draw(m, 2)) {
		CHECK_EQ(txn_delete(t, STR_EMPTY, str_z(r->id), &d, &m->f.err), ST_OK);
		r->there = false;
	} else if (r->there) {
		r->n = (double)draw(m, 60);
		json = arena_z(m->f.arena, arena_fmt(m->f.arena, "{\"n\":%g}", r->n));
		CHECK_EQ(txn_patch(t, STR_EMPTY, str_z(r->id), fix_val(&m->f, json), &d, &m->f.err),
		    ST_OK);
	}
}

static void
change_rows(struct model *m, size_t n)
{
	struct txn *t = fix_begin(&m->f);

	while (n-- > 0)
		change_row(m, t);
	CHECK_EQ(fix_end(&m->f, t), ST_OK);
	if (draw(m, 3) == 0)
		fix_pump(&m->f);
}

static const struct list_kind *sort_kind; /* of by_kind(): qsort() has no argument for it */

static int
by_kind(const void *pa, const void *pb)
{
	const struct row *a = *(const struct row *const *)pa, *b = *(const struct row *const *)pb;
	int               c = sort_kind->by_n ? (a->n > b->n) - (a->n < b->n) : 0;

	c = c ? c : (a->time > b->time) - (a->time < b->time);
	c = c ? c : strcmp(a->id, b->id);
	return sort_kind->desc ? -c : c;
}

static size_t
expected(struct model *m, const struct row **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nrows; i++)
		if (m->rows[i].there && (!m->kind->odd || (int)m->rows[i].n % 2 == 1))
			ret[n++] = &m->rows[i];
	sort_kind = m->kind;
	qsort(ret, n, sizeof *ret, by_kind);
	return n;
}

/* --- pages --- */

static struct got
run_page(struct model *m, const struct live *p, double size, double max_rows)
{
	struct page_opts o = { .cursor = p->cursor, .end_cursor = p->end, .journal = p->journal,
		.page_size = size, .max_rows = max_rows, .max_rows_given = max_rows > 0 };
	struct arena    *a = m->f.arena;
	struct txn      *t = fix_begin_query(&m->f);
	struct page      page;
	struct got       g;

	CHECK_EQ(query_page(t, fix_spec(&m->f, m->kind->query), &o, &page, &m->f.err), ST_OK);
	g = (struct got){ .n = page.docs.n, .done = page.is_done, .status = page.status,
		.ids = arena_alloc(a, (page.docs.n + 1) * sizeof *g.ids),
		.border = arena_str(a, page.continue_cursor),
		.journal = arena_str(a, page.next_journal),
		.split = page.split_cursor.p ? arena_str(a, page.split_cursor) : STR_EMPTY };
	for (size_t i = 0; i < g.n; i++)
		id_format(page.docs.v[i]->id, g.ids[i]);
	vec_clear(&page.docs);
	txn_free(t);
	return g;
}

/* The page that was loaded, from then on live: its journal holds its end. */
static void
load_more(struct model *m)
{
	const struct row *want[ROWS_MAX];
	size_t            size = 1 + draw(m, 12), max = draw(m, 3) ? 0 : 1 + draw(m, 8), nwant;
	struct live      *p = &m->pages[m->npages];
	struct got        g;

	if (m->npages == PAGES_MAX || (m->npages && p[-1].done))
		return;
	*p = (struct live){ .cursor = m->npages ? p[-1].border : STR_EMPTY };
	g = run_page(m, p, (double)size, (double)max);
	nwant = expected(m, want);
	CHECK(g.n <= size && (max == 0 || g.n <= max));
	CHECK(m->shown + g.n <= nwant && (!g.done || m->shown + g.n == nwant));
	for (size_t k = 0; k < g.n; k++)
		CHECK_STRZ(str_z(g.ids[k]), want[m->shown + k]->id);
	p->journal = g.journal;
	p->border = g.border;
	p->done = g.done;
	m->npages++;
}

/* (start, split] and (split, end], which together are what the page was.  False: too small. */
static bool
split_page(struct model *m, size_t i, const struct got *whole)
{
	struct live *p = &m->pages[i];
	struct got   left, right;

	if (m->npages == PAGES_MAX || !whole->split.n)
		return false;
	memmove(p + 2, p + 1, (m->npages - i - 1) * sizeof *p);
	m->npages++;
	p[1] = (struct live){ .cursor = whole->split, .end = p->border, .border = p->border,
		.done = p->done };
	p[0] = (struct live){ .cursor = p->cursor, .end = whole->split, .border = whole->split };
	left = run_page(m, &p[0], 1, 1);
	right = run_page(m, &p[1], 1, 1);
	CHECK_EQ(left.n + right.n, whole->n);
	for (size_t k = 0; k < whole->n; k++)
		CHECK_STRZ(str_z(whole->ids[k]),
		    k < left.n ? left.ids[k] : right.ids[k - left.n]);
	/* The ends that were asked for, and journals that keep them from then on. */
	CHECK_STR(left.border, whole->split);
	CHECK_STR(right.border, p[1].border);
	CHECK_EQ(right.done, p[1].done);
	p[0].journal = left.journal;
	p[1].journal = right.journal;
	if (draw(m, 2))
		p[0].end = p[1].end = STR_EMPTY;
	m->splits++;
	return true;
}

/* Runs every page again and lays the rows side by side. */
static void
check_list(struct model *m)
{
	const struct row *want[ROWS_MAX];
	size_t            nwant = expected(m, want), at = 0;

	for (size_t i = 0; i < m->npages; i++) {
		struct live *p = &m->pages[i];
		struct got   g = run_page(m, p, (double)(1 + draw(m, 3)), (double)draw(m, 3));

		CHECK_STR(g.border, p->border);
		CHECK_EQ(g.done, p->done);
		CHECK(at + g.n <= nwant);
		for (size_t k = 0; k < g.n; k++)
			CHECK(strcmp(g.ids[k], want[at + k]->id) == 0);
		at += g.n;
		p->journal = g.journal;
		if (g.status)
			m->advised++;
		if ((g.status || draw(m, 12) == 0) && split_page(m, i, &g))
			i++; /* both halves were just run */
	}
	if (m->npages && m->pages[m->npages - 1].done)
		CHECK_EQ(at, nwant);
	m->shown = at;
}

static void
live_list(struct model *m, uint64_t seed)
{
	memset(m, 0, sizeof *m);
	m->kind = &kinds[seed % COUNT_OF(kinds)];
	m->dice = seed * 0x9e3779b97f4a7c15u;
	kept_open(&m->store, &m->f);
	fix_push(&m->f, schema);
	change_rows(m, 60);
	for (int round = 0; round < 40; round++) {
		change_rows(m, draw(m, 12));
		check_list(m);
		load_more(m);
		if (draw(m, 8) == 0) {
			kept_restart(&m->store, &m->f);
			m->restarts++;
		} else if (draw(m, 4) == 0) {
			kept_evict(&m->f, draw(m, 2) ? SIZE_MAX : draw(m, 20000));
		}
		check_list(m);
	}
	kept_close(&m->store, &m->f);
}

/* 03 checklist 41, 42 and 44: no gap, no overlap, stable borders, halves that reunite, cursors
 * that outlive restarts. */
TEST(live_pages_agree_with_a_sorted_array)
{
	struct model *m = MEM_NEW(struct model);
	size_t        splits = 0, restarts = 0, advised = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		print_message("  seed %d\n", (int)seed);
		live_list(m, seed);
		splits += m->splits;
		restarts += m->restarts;
		advised += m->advised;
	}
	CHECK(splits > 100);
	CHECK(restarts > 10);
	CHECK(advised > 20);
	mem_free(m);
}

TEST_RUN(T(live_pages_agree_with_a_sorted_array))
