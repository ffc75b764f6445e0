/* limits_test.c - the limits of spec 03 section 5.6 and the thresholds of 6.5 at their real sizes.
 *
 * isolation_test.c tries each limit with small numbers; here a table is filled until the numbers
 * that applications meet are reached, once for all tests.
 *
 * Thread: one.  Memory: the fixture's arena.
 */
#include "db_fixture.h"

#define ROWS       32001
#define BIG        900000 /* bytes of a large document */
#define HINT " Consider using smaller limits in your queries, paginating your queries, or using " \
	"indexed queries with a selective index range expressions."

static struct fix f;
static str        ids[ROWS];

static struct val
padded(size_t n)
{
	char      *p = mem_alloc(n + 32);
	struct val v;
	size_t     at = (size_t)snprintf(p, 32, "{\"a\":\"");

	memset(p + at, 'x', n);
	memcpy(p + at + n, "\"}", 3);
	v = fix_val(&f, p);
	mem_free(p);
	return v;
}

static void
query(struct txn *t, struct query **ret, const char *table)
{
	const char *json = arena_z(f.arena,
	    arena_fmt(f.arena,
		"{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"%s\",\"order\":null},"
		"\"operators\":[]}",
		table));

	CHECK_EQ(query_open(t, fix_spec(&f, json), ret, &f.err), ST_OK);
}

/* 03 checklist 34: 16,000 documents are written, one more is not. */
TEST(documents_written)
{
	size_t n = 0;

	while (n < ROWS) {
		struct txn  *t = fix_begin(&f);
		struct docid id;

		for (size_t i = 0; i < 16000 && n < ROWS; i++)
			ids[n++] = fix_insert(&f, t, "rows", "{}");
		if (n % 16000 == 0)
			CHECK_FAILS(&f,
			    txn_insert(t, S("rows"), fix_val(&f, "{}"), &id, &f.err),
			    "TooManyWrites",
			    "Too many writes in a single function execution (limit: 16000)");
		CHECK_EQ(fix_end(&f, t), ST_OK);
		fix_pump(&f);
	}
}

/* 03 checklist 34: 32,000 documents are read, one more is not. */
TEST(documents_read)
{
	struct txn   *t = fix_begin_query(&f);
	struct query *q;
	struct doc   *d;

	query(t, &q, "rows");
	for (int i = 0; i < 32000; i++)
		CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(d != NULL);
	CHECK_FAILS(&f, query_next(q, &d, &f.err), "TooManyDocumentsRead",
	    "Too many documents read in a single function execution (limit: 32000)." HINT);
	CHECK_FAILS(&f, txn_get(t, STR_EMPTY, ids[0], false, &d, &f.err), "TooManyDocumentsRead",
	    "Too many documents read in a single function execution (limit: 32000)." HINT);
	txn_free(t);
}

/* 03 checklist 34: 4,096 scattered gets are intervals enough; one more, or a query of its own,
 * is not.  What lies inside an interval that was read costs nothing. */
TEST(intervals_read)
{
	struct txn *t = fix_begin_query(&f);
	struct doc *d;

	for (int i = 0; i < 4096; i++)
		CHECK_EQ(txn_get(t, STR_EMPTY, ids[i], false, &d, &f.err), ST_OK);
	CHECK_EQ(txn_get(t, STR_EMPTY, ids[7], false, &d, &f.err), ST_OK);
	CHECK_EQ(txn_usage(t)->intervals, 4096);
	CHECK_FAILS(&f, txn_get(t, STR_EMPTY, ids[5000], false, &d, &f.err), "TooManyReads",
	    "Too many reads in a single function execution (limit: 4096)." HINT);
	txn_free(t);
}

/* 03 checklist 34: bytes, written and read: 18 documents of 900,067 bytes are below 16 MiB, the
 * nineteenth is above. */
TEST(bytes)
{
	struct txn   *t = fix_begin(&f);
	struct val    v = padded(BIG);
	struct query *q;
	struct docid  id;
	struct doc   *d;

	for (int i = 0; i < 18; i++)
		CHECK_EQ(txn_insert(t, S("big"), v, &id, &f.err), ST_OK);
	CHECK_EQ(txn_usage(t)->bytes_written, 18 * (BIG + 67));
	CHECK_FAILS(&f, txn_insert(t, S("big"), v, &id, &f.err), "TooManyBytesWritten",
	    "Too many bytes written in a single function execution (limit: 16 MiB)");
	CHECK_EQ(fix_end(&f, t), ST_OK); /* those that passed, if the function goes on */
	t = fix_begin(&f);
	CHECK_EQ(txn_insert(t, S("big"), v, &id, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_query(&f);
	query(t, &q, "big");
	for (int i = 0; i < 18; i++)
		CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK_FAILS(&f, query_next(q, &d, &f.err), "TooManyBytesRead",
	    "Too many bytes read in a single function execution (limit: 16777216 bytes)." HINT);
	txn_free(t);
}

#define ROWS_QUERY(filter) "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"rows\"," \
	"\"order\":null},\"operators\":[" filter "]}"
#define NOTHING "{\"filter\":{\"$literal\":false}}"

/* 03 checklist 42: the thresholds of pageStatus: 6,144 rows in the page, three quarters of 32,000
 * rows read and of 16 MiB; the limits themselves. */
TEST(page_thresholds)
{
	static const struct {
		const char *why, *query;
		double      size, max_rows;
		const char *want;
		size_t      rows;
	} rows[] = {
		{ "6144 rows", ROWS_QUERY(""), 6144, 0, NULL, 6144 },
		{ "6145 rows", ROWS_QUERY(""), 6145, 0, "SplitRecommended", 6145 },
		{ "a limit operator", ROWS_QUERY("{\"limit\":6000}"), 7000, 0, NULL, 6000 },
		{ "24000 filtered rows", ROWS_QUERY("{\"limit\":24000}," NOTHING), 1, 0, NULL, 0 },
		{ "24001 filtered rows", ROWS_QUERY("{\"limit\":24001}," NOTHING), 1, 0,
		    "SplitRecommended", 0 },
		{ "a maximum of the client", ROWS_QUERY(NOTHING), 1, 100, "SplitRequired", 0 },
		{ "all that may be read", ROWS_QUERY(NOTHING), 1, 0, "SplitRequired", 0 },
		{ "13 large documents of 16 MiB",
		    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"big\",\"order\":"
		    "null},\"operators\":[]}",
		    13, 0, NULL, 13 },
		{ "14 large documents of 16 MiB",
		    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"big\",\"order\":"
		    "null},\"operators\":[]}",
		    14, 0, "SplitRecommended", 14 },
		{ "19 large documents of 16 MiB",
		    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"big\",\"order\":"
		    "null},\"operators\":[]}",
		    100, 0, "SplitRequired", 18 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct page_opts o = { .page_size = rows[i].size, .max_rows = rows[i].max_rows,
			.max_rows_given = rows[i].max_rows > 0 };
		struct txn      *t = fix_begin_query(&f);
		struct page      p;

		print_message("  %s\n", rows[i].why);
		CHECK_EQ(query_page(t, fix_spec(&f, rows[i].query), &o, &p, &f.err), ST_OK);
		CHECK_EQ(p.docs.n, rows[i].rows);
		CHECK_STRZ(str_z(p.status), rows[i].want ? rows[i].want : "");
		vec_clear(&p.docs);
		txn_free(t);
	}
}

static int
setup(void **state)
{
	(void)state;
	fix_open(&f);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fix_close(&f);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(documents_written), T(documents_read),
		T(intervals_read), T(bytes), T(page_thresholds) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
