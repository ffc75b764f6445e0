/* readset_test.c - intervals: merging, points, membership.
 *
 * Thread: one.  Memory: everything is freed.
 */
#include "test.h"

#include "database/readset.h"

/* Overlapping and touching intervals are one, empty ones none (spec 03 section 5.2). */
TEST(intervals_merge)
{
	static const struct {
		const char *why;
		const char *in;   /* "lo-hi lo-hi" */
		const char *want;
	} rows[] = {
		{ "nothing", "", "" },
		{ "one", "a-c", "a-c" },
		{ "apart", "e-g a-c", "a-c e-g" },
		{ "overlapping", "a-d c-f", "a-f" },
		{ "touching", "c-e a-c", "a-e" },
		{ "inside", "a-z c-d", "a-z" },
		{ "the same twice", "b-c b-c", "b-c" },
		{ "the wider one second", "b-c b-d", "b-d" },
		{ "the longer one second", "a-d c-d", "a-d" },
		{ "empty", "c-c d-b", "" },
		{ "bridged later", "a-b e-f b-e", "a-f" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct arena   *a = arena_new();
		struct readlog  l;
		struct readset *r;
		char            got[64] = "";

		print_message("  %s\n", rows[i].why);
		readlog_init(&l, a);
		for (const char *p = rows[i].in; *p; p += p[3] ? 4 : 3)
			readlog_add(&l, str_of(p, 1), str_of(p + 2, 1));
		r = readlog_freeze(&l);
		CHECK_EQ(readlog_count(&l), r->n);
		for (size_t k = 0; k < r->n; k++)
			snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s-%.*s",
			    k ? " " : "", STR_ARG(r->ranges[k].lo), STR_ARG(r->ranges[k].hi));
		CHECK_STRZ(str_z(got), rows[i].want);
		readset_unref(r);
		readlog_clear(&l);
		arena_free(a);
	}
}

/* A point holds its key and nothing else, not even its longer relatives. */
TEST(a_point_is_one_key)
{
	struct arena   *a = arena_new();
	struct readlog  l;
	struct readset *r;

	readlog_init(&l, a);
	readlog_point(&l, S("key"));
	r = readlog_freeze(&l);
	CHECK(readset_has(r, S("key")));
	CHECK(!readset_has(r, S("ke")));
	CHECK(!readset_has(r, str_of("key\0", 4)));
	CHECK(!readset_has(r, S("kez")));
	readset_unref(r);
	readlog_clear(&l);
	arena_free(a);
}

/* Membership agrees with asking every interval, for many intervals in any order; the count
 * is that of the merged ones, so neighbours do not add up. */
TEST(many_intervals_are_searched_and_counted)
{
	struct arena   *a = arena_new();
	struct readlog  l;
	struct readset *r;
	char            key[4] = "k";

	readlog_init(&l, a);
	for (unsigned i = 0; i < 4000; i++) { /* every even number, shuffled */
		unsigned k = i * 1607 % 4000 * 2;
		char     hi[4];

		key[1] = (char)(k >> 8), key[2] = (char)k;
		memcpy(hi, key, 4);
		hi[2]++;
		readlog_add(&l, str_of(key, 3), str_of(hi, 3));
	}
	CHECK_EQ(readlog_count(&l), 4000);
	r = readlog_freeze(&l);
	for (unsigned k = 0; k < 8000; k++) {
		key[1] = (char)(k >> 8), key[2] = (char)k;
		CHECK_EQ(readset_has(r, str_of(key, 3)), k % 2 == 0);
	}
	readset_unref(r);
	readlog_clear(&l);
	arena_free(a);
}

TEST(the_empty_set_has_nothing)
{
	struct readset *r = readset_empty();

	CHECK(!readset_has(r, S("")));
	CHECK(!readset_has(r, S("a")));
	readset_unref(r);
}

TEST_RUN(T(intervals_merge), T(a_point_is_one_key), T(many_intervals_are_searched_and_counted),
    T(the_empty_set_has_nothing))
