/* page_test.c - pagination (spec 03 section 6.5): cursors, journals, splitting, and pages that
 * stay adjacent while rows move.
 */
#include "db_fixture.h"

static const char schema[] =
    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":[{\"indexDescriptor\":\"by_n\","
    "\"fields\":[\"n\"]}],\"documentType\":null}]}";

#define BY_N(order, ops) "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t.by_n\"," \
	"\"range\":[],\"order\":\"" order "\"},\"operators\":[" ops "]}"

static void
open_numbers(struct fix *f, int upto)
{
	struct txn *t;

	fix_open(f);
	fix_push(f, schema);
	t = fix_begin(f);
	for (int n = 0; n < upto; n++)
		fix_insert(f, t, "t", arena_z(f->arena, arena_fmt(f->arena, "{\"n\":%d}", n)));
	CHECK_EQ(fix_end(f, t), ST_OK);
}

struct got {
	str    rows;
	bool   is_done;
	str    cursor, split, journal;
	const char *status;
};

/* Runs one page in a transaction of its own and copies what came out. */
static status
page_in(struct fix *f, struct txn *t, const char *query, struct page_opts o, struct got *ret)
{
	struct page p;
	struct buf  b;

	TRY(query_page(t, fix_spec(f, query), &o, &p, &f->err));
	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < p.docs.n; i++)
		buf_fmt(&b, "%s%g", i ? " " : "",
		    val_float64(val_get(doc_val(p.docs.v[i]), S("n"))));
	ret->rows = arena_str(f->arena, buf_str(&b));
	buf_clear(&b);
	vec_clear(&p.docs);
	ret->is_done = p.is_done;
	ret->cursor = arena_str(f->arena, p.continue_cursor);
	ret->split = p.split_cursor.p ? arena_str(f->arena, p.split_cursor) : (str){ NULL, 0 };
	ret->journal = arena_str(f->arena, p.next_journal);
	ret->status = p.status;
	return ST_OK;
}

static status
page(struct fix *f, const char *query, struct page_opts o, struct got *ret)
{
	struct txn *t = fix_begin_query(f);
	status      st = page_in(f, t, query, o, ret);

	txn_free(t);
	return st;
}

/* Pages follow each other to the end, in both directions, and the last one says so. */
TEST(pages_follow_each_other)
{
	static const struct {
		const char *query;
		const char *pages[4];
		bool        done[4];
	} rows[] = {
		{ BY_N("asc", ""), { "0 1 2", "3 4 5", "6", NULL }, { false, false, true } },
		{ BY_N("desc", ""), { "6 5 4", "3 2 1", "0", NULL }, { false, false, true } },
		{ BY_N("asc", "{\"filter\":{\"$gt\":[{\"$field\":\"n\"},{\"$literal\":3}]}}"),
		    { "4 5 6", "", NULL }, { false, true } },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":null},"
		  "\"operators\":[]}",
		    { "0 1 2", "3 4 5", "6", NULL }, { false, false, true } },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"none\",\"order\":null},"
		  "\"operators\":[]}",
		    { "", NULL }, { true } },
	};
	struct fix f;

	open_numbers(&f, 7);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct page_opts o = { .page_size = 3 };
		struct got       g;

		for (size_t k = 0; rows[i].pages[k]; k++) {
			CHECK_EQ(page(&f, rows[i].query, o, &g), ST_OK);
			CHECK_STRZ(g.rows, rows[i].pages[k]);
			CHECK_EQ(g.is_done, rows[i].done[k]);
			o.cursor = g.cursor;
		}
		/* The end stays the end. */
		CHECK_EQ(page(&f, rows[i].query, o, &g), ST_OK);
		CHECK_STRZ(g.rows, "");
		CHECK(g.is_done);
		CHECK_STR(g.cursor, o.cursor);
	}
	fix_close(&f);
}

/* 03 checklist 45 and the other argument checks. */
TEST(page_arguments)
{
	static const struct {
		struct page_opts o;
		const char      *code, *text;
	} rows[] = {
		{ { .page_size = 0 }, "NoDocumentsForPagination",
		    "Must request at least 1 document while paginating" },
		{ { .page_size = 32001 }, "PageSizeTooLarge", "Requested too many items: 32001" },
		{ { .page_size = 1.5 }, "InvalidArgument",
		    "Invalid argument `pageSize` for `queryPage`: expected a positive integer" },
		{ { .page_size = 1, .max_rows_given = true }, "InvalidPaginationLimit",
		    "maximumRowsRead and maximumBytesRead must be greater than 0" },
		{ { .page_size = 1, .max_bytes_given = true }, "InvalidPaginationLimit",
		    "maximumRowsRead and maximumBytesRead must be greater than 0" },
		{ { .page_size = 1, .cursor = { "zz", 2 } }, "InvalidCursor",
		    "Failed to parse cursor" },
		{ { .page_size = 1, .end_cursor = { "07", 2 } }, "InvalidCursor",
		    "Failed to parse cursor" },
	};
	struct fix  f;
	struct txn *t;
	struct got  g;

	open_numbers(&f, 3);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_FAILS(&f, page(&f, BY_N("asc", ""), rows[i].o, &g), rows[i].code,
		    rows[i].text);
	t = fix_begin_as(&f, false, false, (struct uid){ { 9 } });
	CHECK_FAILS(&f,
	    page_in(&f, t, BY_N("asc", ""), (struct page_opts){ .page_size = 1 }, &g),
	    "PaginationUnsupportedInComponents",
	    "paginate() is only supported in the app. Learn more at "
	    "https://docs.convex.dev/components/authoring#pagination");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 43: a cursor of another query is refused with data that survives redaction; one
 * of another deployment, and one with any bit changed, are refused too. */
TEST(foreign_cursors)
{
	struct fix       f, other;
	struct got       g;
	struct page_opts o = { .page_size = 1 };
	char            *broken;

	open_numbers(&f, 3);
	CHECK_EQ(page(&f, BY_N("asc", ""), o, &g), ST_OK);
	o.cursor = g.cursor;
	CHECK_FAILS(&f, page(&f, BY_N("desc", ""), o, &g), "InvalidCursor",
	    "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this "
	    "cursor is from a different query.");
	CHECK_STRZ(f.err.data,
	    "{\"isConvexSystemError\":true,\"paginationError\":\"InvalidCursor\"}");
	CHECK_EQ(page(&f, BY_N("asc", "{\"limit\":5}"), o, &g), ST_BAD_REQUEST);
	CHECK_EQ(page(&f, BY_N("asc", ""), o, &g), ST_OK);
	for (size_t i = 0; i < o.cursor.n; i++) {
		broken = arena_z(f.arena, o.cursor);
		broken[i] = broken[i] == '3' ? '4' : '3';
		CHECK_FAILS(&f,
		    page(&f, BY_N("asc", ""),
			(struct page_opts){ .page_size = 1, .cursor = str_z(broken) }, &g),
		    "InvalidCursor", "Failed to parse cursor");
	}
	fix_open_named(&other, S("elsewhere"));
	fix_push(&other, schema);
	CHECK_FAILS(&other, page(&other, BY_N("asc", ""), o, &g), "InvalidCursor",
	    "Key is invalid for instance \"elsewhere\"");
	fix_close(&other);
	fix_close(&f);
}

/* 03 checklist 44: the same position is the same text, also in another process. */
TEST(cursors_are_deterministic)
{
	struct fix       f, again;
	struct got       a, b;
	struct page_opts o = { .page_size = 2 };

	open_numbers(&f, 5);
	open_numbers(&again, 5);
	CHECK_EQ(page(&f, BY_N("asc", ""), o, &a), ST_OK);
	CHECK_EQ(page(&f, BY_N("asc", ""), o, &b), ST_OK);
	CHECK_STR(a.cursor, b.cursor);
	CHECK_EQ(page(&again, BY_N("asc", ""), o, &b), ST_OK);
	CHECK_STR(a.cursor, b.cursor);
	CHECK(str_starts(a.cursor, S("07")));
	CHECK(str_starts(a.journal, S("07")));
	fix_close(&again);
	fix_close(&f);
}

static void
write_number(struct fix *f, double n, bool insert)
{
	struct txn        *t = fix_begin(f);
	char               json[64];
	struct range_expr  r = { .op = RANGE_EQ, .field = S("n") };
	struct query_spec  s = { .source = QUERY_INDEX_RANGE, .table = S("t"),
		 .index = S("by_n"), .nrange = 1, .range = &r };
	struct query      *q;
	struct doc        *d;
	char               id[ID_TEXT_MAX];

	if (insert) {
		snprintf(json, sizeof json, "{\"n\":%g}", n);
		fix_insert(f, t, "t", json);
	} else {
		snprintf(json, sizeof json, "%g", n);
		r.value = fix_val(f, json);
		CHECK_EQ(query_open(t, &s, &q, &f->err), ST_OK);
		CHECK_EQ(query_next(q, &d, &f->err), ST_OK);
		CHECK(d != NULL);
		id_format(d->id, id);
		CHECK_EQ(txn_delete(t, STR_EMPTY, str_z(id), &d, &f->err), ST_OK);
	}
	CHECK_EQ(fix_end(f, t), ST_OK);
}

/* 03 checklist 41: a page that is run again with its journal keeps its borders: it grows with
 * insertions and shrinks with deletions, and the next page stays adjacent. */
TEST(journals_keep_borders)
{
	struct fix       f;
	struct got       first, second, g;
	struct page_opts a = { .page_size = 3 }, b = { .page_size = 3 };

	open_numbers(&f, 8);
	CHECK_EQ(page(&f, BY_N("asc", ""), a, &first), ST_OK);
	a.journal = first.journal;
	b.cursor = first.cursor;
	CHECK_EQ(page(&f, BY_N("asc", ""), b, &second), ST_OK);
	CHECK_STRZ(second.rows, "3 4 5");
	b.journal = second.journal;

	write_number(&f, 0.5, true);
	write_number(&f, 1.5, true);
	CHECK_EQ(page(&f, BY_N("asc", ""), a, &g), ST_OK);
	CHECK_STRZ(g.rows, "0 0.5 1 1.5 2");
	CHECK_STR(g.cursor, first.cursor);
	CHECK_STR(g.journal, a.journal); /* run(args, J') gives J' again */
	write_number(&f, 2, false);
	write_number(&f, 3, false);
	write_number(&f, 2.5, true);
	CHECK_EQ(page(&f, BY_N("asc", ""), a, &g), ST_OK);
	CHECK_STRZ(g.rows, "0 0.5 1 1.5");
	CHECK_EQ(page(&f, BY_N("asc", ""), b, &g), ST_OK);
	CHECK_STRZ(g.rows, "2.5 4 5");
	CHECK_STR(g.cursor, second.cursor);
	/* Without its journal the page is cut anew. */
	a.journal = STR_EMPTY;
	CHECK_EQ(page(&f, BY_N("asc", ""), a, &g), ST_OK);
	CHECK_STRZ(g.rows, "0 0.5 1");
	fix_close(&f);
}

/* 03 checklist 42: an end cursor overrides the size; the split cursor parts a page into two
 * that make the same rows; the status says when a client should part it. */
TEST(split_pages)
{
	struct fix       f;
	struct got       whole, left, right;
	struct page_opts o = { .page_size = 7 };

	open_numbers(&f, 10);
	for (int desc = 0; desc < 2; desc++) {
		const char *q = desc ? BY_N("desc", "") : BY_N("asc", "");

		CHECK_EQ(page(&f, q, o, &whole), ST_OK);
		CHECK(whole.split.p != NULL);
		CHECK(whole.status == NULL);
		CHECK_EQ(page(&f, q,
			     (struct page_opts){ .page_size = 1, .end_cursor = whole.split },
			     &left),
		    ST_OK);
		CHECK_EQ(page(&f, q,
			     (struct page_opts){ .page_size = 1, .cursor = whole.split,
			         .end_cursor = whole.cursor },
			     &right),
		    ST_OK);
		CHECK_STR(arena_fmt(f.arena, "%.*s %.*s", STR_ARG(left.rows), STR_ARG(right.rows)),
		    whole.rows);
		CHECK_STRZ(left.rows, desc ? "9 8 7 6" : "0 1 2 3");
		CHECK_STR(left.cursor, whole.split);
		CHECK_STR(right.cursor, whole.cursor);
	}
	CHECK_EQ(page(&f, BY_N("asc", ""), (struct page_opts){ .page_size = 2 }, &whole), ST_OK);
	CHECK(whole.split.p == NULL);
	fix_close(&f);
}

TEST(page_status)
{
	static const struct {
		const char *why;
		double      size, rows, bytes;
		const char *want_rows, *want;
	} rows[] = {
		{ "nothing special", 5, 0, 0, "0 1 2 3 4", NULL },
		{ "the maximum comes first", 5, 3, 0, "0 1 2", "SplitRequired" },
		{ "the page fills at the maximum", 4, 4, 0, "0 1 2 3", "SplitRecommended" },
		{ "three quarters are not more than three quarters", 3, 4, 0, "0 1 2", NULL },
		{ "bytes, 74 for each row", 5, 0, 200, "0 1 2", "SplitRequired" },
		{ "one row is always read", 5, 0, 1, "0", "SplitRequired" },
		{ "many bytes", 5, 0, 400, "0 1 2 3 4", "SplitRecommended" },
	};
	struct fix f;
	struct got g;

	open_numbers(&f, 10);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct page_opts o = { .page_size = rows[i].size, .max_rows = rows[i].rows,
			.max_rows_given = rows[i].rows > 0, .max_bytes = rows[i].bytes,
			.max_bytes_given = rows[i].bytes > 0 };

		print_message("  %s\n", rows[i].why);
		CHECK_EQ(page(&f, BY_N("asc", ""), o, &g), ST_OK);
		CHECK_STRZ(g.rows, rows[i].want_rows);
		CHECK_STRZ(str_z(g.status), rows[i].want ? rows[i].want : "");
		CHECK(!g.is_done);
		/* With the page's own end the maxima do not stop it. */
		o.end_cursor = g.cursor;
		o.page_size = 1;
		CHECK_EQ(page(&f, BY_N("asc", ""), o, &g), ST_OK);
		CHECK_STRZ(g.rows, rows[i].want_rows);
		CHECK(!g.status || strcmp(g.status, "SplitRecommended") == 0);
	}
	fix_close(&f);
}

/* A limit of the function ends a page that has rows, and only fails one that has none. */
TEST(limits_split_pages)
{
	struct fix        f;
	struct txn       *t;
	struct txn_limits l;
	struct got        g, all;

	open_numbers(&f, 10);
	t = fix_begin_query(&f);
	l = *txn_limits(t);
	l.docs_read = 4;
	(void)txn_set_limits(t, &l);
	CHECK_EQ(page_in(&f, t, BY_N("asc", ""), (struct page_opts){ .page_size = 8 }, &g), ST_OK);
	CHECK_STRZ(g.rows, "0 1 2 3");
	CHECK_STRZ(str_z(g.status), "SplitRequired");
	CHECK_EQ(page_in(&f, t, BY_N("asc", ""), (struct page_opts){ .page_size = 8 }, &g),
	    ST_PAGINATION_LIMIT);
	txn_free(t);
	/* With an end cursor the position is still that end: the client must split. */
	CHECK_EQ(page(&f, BY_N("asc", ""), (struct page_opts){ .page_size = 8 }, &all), ST_OK);
	t = fix_begin_query(&f);
	(void)txn_set_limits(t, &l);
	CHECK_EQ(page_in(&f, t, BY_N("asc", ""),
		     (struct page_opts){ .page_size = 8, .end_cursor = all.cursor }, &g),
	    ST_OK);
	CHECK_STRZ(str_z(g.status), "SplitRequired");
	CHECK_STR(g.cursor, all.cursor);
	CHECK(g.split.p != NULL);
	txn_free(t);
	fix_close(&f);
}

/* A page sees what its transaction wrote (03 checklist 30). */
TEST(pages_see_own_writes)
{
	struct fix  f;
	struct txn *t;
	struct got  g;

	open_numbers(&f, 4);
	t = fix_begin(&f);
	fix_insert(&f, t, "t", "{\"n\":1.5}");
	CHECK_EQ(page_in(&f, t, BY_N("asc", ""), (struct page_opts){ .page_size = 3 }, &g), ST_OK);
	CHECK_STRZ(g.rows, "0 1 1.5");
	txn_free(t);
	fix_close(&f);
}

/* --- at random --- */

#define PAGES 40

struct live {
	struct page_opts opts; /* cursor and journal of this page */
	struct got       got;
};

static void
collect(struct fix *f, struct buf *b, str rows)
{
	(void)f;
	if (rows.n && b->n)
		buf_add_byte(b, ' ');
	buf_add(b, rows);
}

/* However rows come, go and move, the live pages of a list, each re-run with its cursor and
 * journal, together hold every row once, in order, up to the border of the last page. */
TEST(live_pages_neither_gap_nor_overlap)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct fix  f;
		struct live pages[PAGES];
		size_t      n = 0;
		bool        desc = seed % 2 == 0, done = false;
		const char *q = desc ? BY_N("desc", "") : BY_N("asc", "");
		uint64_t    dice = seed * 0x9e3779b97f4a7c15u;
		bool        present[200];

		memset(pages, 0, sizeof pages);
		memset(present, 0, sizeof present);
		open_numbers(&f, 0);
		for (int round = 0; round < 60; round++) {
			struct buf want, have;
			struct got g;

			for (int i = 0; i < 5; i++) {
				size_t at = (size_t)(fix_draw(&dice) >> 20) % COUNT_OF(present);

				write_number(&f, (double)at, !present[at]);
				present[at] = !present[at];
			}
			buf_init(&want, BUF_MAX_DEFAULT);
			buf_init(&have, BUF_MAX_DEFAULT);
			for (size_t i = 0; i < n; i++) {
				CHECK_EQ(page(&f, q, pages[i].opts, &g), ST_OK);
				CHECK_STR(g.cursor, pages[i].got.cursor);
				collect(&f, &have, g.rows);
			}
			if (n < PAGES && !done) {
				struct live *p = &pages[n];

				p->opts = (struct page_opts){
					.page_size = (double)(1 + (fix_draw(&dice) >> 20) % 9) };
				if (n)
					p->opts.cursor = pages[n - 1].got.cursor;
				CHECK_EQ(page(&f, q, p->opts, &p->got), ST_OK);
				p->opts.journal = p->got.journal;
				done = p->got.is_done;
				collect(&f, &have, p->got.rows);
				n++;
			}
			/* The rows of all pages must be a prefix of all rows; all, once done. */
			for (size_t i = 0; i < COUNT_OF(present); i++) {
				size_t at = desc ? COUNT_OF(present) - 1 - i : i;

				if (present[at])
					buf_fmt(&want, "%s%zu", want.n ? " " : "", at);
			}
			CHECK(str_starts(buf_str(&want), buf_str(&have)));
			if (done)
				CHECK_STR(buf_str(&have), buf_str(&want));
			buf_clear(&want);
			buf_clear(&have);
		}
		CHECK(done || n > 10);
		fix_close(&f);
	}
}

TEST_RUN(T(pages_follow_each_other), T(page_arguments), T(foreign_cursors),
    T(cursors_are_deterministic), T(journals_keep_borders), T(split_pages), T(page_status),
    T(limits_split_pages), T(pages_see_own_writes), T(live_pages_neither_gap_nor_overlap))
