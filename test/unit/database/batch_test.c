/* batch_test.c - from published to durable: promises of room in the store, batches of a size, the
 * promise about time.
 */
#include "db_fixture.h"

enum { SECOND = 1000000000 };

#define ALL_NOTES                                                             \
	"{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"notes\",\"order\":null}," \
	"\"operators\":[]}"

/* The memory store, with a count of what is promised and a disk that can be full. */
static struct store_vtable counting;
static status (*write_through)(void *self, const struct store_batch *b, struct err *e);
static size_t promised, largest, written;
static bool   full;

static status
count_reserve(void *self, size_t bytes, struct err *e)
{
	(void)self;
	if (full)
		return store_full(e);
	promised += bytes;
	return ST_OK;
}

static void
count_release(void *self, size_t bytes)
{
	(void)self;
	CHECK(promised >= bytes);
	promised -= bytes;
}

static status
count_write(void *self, const struct store_batch *b, struct err *e)
{
	size_t bytes = 0;

	for (size_t i = 0; i < b->ncommits; i++)
		bytes += b->commits[i]->reserved;
	CHECK(promised >= bytes);
	promised -= bytes;
	if (b->ncommits > 1 && bytes > largest)
		largest = bytes;
	written++;
	return write_through(self, b, e);
}

static void
open_counting(struct fix *f)
{
	struct store s;

	store_open_memory(&s);
	counting = *s.v;
	write_through = counting.write;
	counting.reserve = count_reserve;
	counting.release = count_release;
	counting.write = count_write;
	s.v = &counting;
	promised = largest = written = 0;
	full = false;
	fix_open_store(f, S("carnitas"), s);
	fix_pump(f);
	CHECK_EQ(promised, 0);
}

static status
add(struct fix *f, const char *json)
{
	struct txn *t = fix_begin(f);

	(void)fix_insert(f, t, "notes", json);
	return fix_end(f, t);
}

/* A commit is promised room before it is published; the write uses the promise up, a conflict gives
 * it back, and a full disk refuses the commit, which then has not happened. */
TEST(each_promise_is_used_or_given_back)
{
	struct fix  f;
	struct txn *a, *b;

	open_counting(&f);
	CHECK_EQ(add(&f, "{\"n\": 1}"), ST_OK);
	CHECK(promised > 0);
	fix_pump(&f);
	CHECK_EQ(promised, 0);

	a = fix_begin(&f);
	b = fix_begin(&f);
	CHECK_QUERY(&f, b, ALL_NOTES, "n", "1.0");
	(void)fix_insert(&f, a, "notes", "{\"n\": 2}");
	(void)fix_insert(&f, b, "notes", "{\"n\": 3}");
	CHECK_EQ(fix_end(&f, a), ST_OK);
	CHECK_EQ(fix_end(&f, b), ST_OCC);
	fix_pump(&f);
	CHECK_EQ(promised, 0);

	full = true;
	CHECK_EQ(add(&f, "{\"n\": 4}"), ST_OVERLOADED);
	CHECK_STRZ(f.err.code, "DatabaseFull");
	CHECK_EQ(db_pending_commits(f.db), 0);
	a = fix_begin_query(&f);
	CHECK_QUERY(&f, a, ALL_NOTES, "n", "1.0 2.0");
	txn_free(a);
	full = false;
	CHECK_EQ(add(&f, "{\"n\": 5}"), ST_OK);
	fix_close(&f);
	CHECK_EQ(promised, 0);
}

/* A batch of several commits stays small enough for the promise to hold; a commit that is larger
 * goes by itself. */
TEST(batches_have_a_size)
{
	struct fix f;
	struct buf json;

	open_counting(&f);
	buf_init(&json, BUF_MAX_DEFAULT);
	buf_addz(&json, "{\"pad\": \"");
	for (int i = 0; i < 200000; i++)
		buf_add_byte(&json, 'x');
	buf_addz(&json, "\"}");
	buf_add_byte(&json, '\0');
	for (int i = 0; i < 12; i++)
		CHECK_EQ(add(&f, json.p), ST_OK);
	fix_pump(&f);
	CHECK(largest > 0 && largest <= (size_t)1 << 20);
	CHECK_EQ(promised, 0);
	buf_clear(&json);
	fix_close(&f);
}

/* Spec 03 section 5.9: five seconds after a commit, and every hour, it is written up to when
 * nothing will be committed any more; later commits keep that promise. */
TEST(idle_databases_promise_that_time_has_passed)
{
	struct fix f;
	size_t     before;
	uint64_t   now;

	open_counting(&f);
	CHECK_EQ(add(&f, "{\"n\": 1}"), ST_OK);
	fix_pump(&f);
	before = written;
	CHECK_EQ(db_idle(f.db, NULL), ST_OK);
	CHECK_EQ(written, before); /* too early */
	f.now += 6 * (uint64_t)SECOND;
	CHECK_EQ(db_idle(f.db, NULL), ST_OK);
	CHECK_EQ(written, before + 1);
	CHECK_EQ(db_idle(f.db, NULL), ST_OK);
	CHECK_EQ(written, before + 1); /* it is said */

	f.now += 3700 * (uint64_t)SECOND;
	full = true;
	CHECK_EQ(db_idle(f.db, NULL), ST_OK);
	CHECK_EQ(written, before + 1);
	full = false;
	CHECK_EQ(db_idle(f.db, NULL), ST_OK);
	CHECK_EQ(written, before + 2);
	now = f.now;
	f.now -= 60 * (uint64_t)SECOND; /* the clock is set back */
	CHECK_EQ(add(&f, "{\"n\": 2}"), ST_OK);
	CHECK(db_latest_ts(f.db) >= now);
	fix_close(&f);
}

TEST_RUN(T(each_promise_is_used_or_given_back), T(batches_have_a_size),
    T(idle_databases_promise_that_time_has_passed))
