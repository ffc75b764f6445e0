/* intl_test.c - Intl, over ICU, beside Node.js (js/test/intl.js).
 *
 * The exports of the bundle are queries that return what was not as expected; the rows of the
 * first five are in js/test/intl-golden.json with Node's results.
 */
#include "webapi.h"

#define INTL JS_BUILD_DIR "/test-intl.js"

/* Spec 04 section 3.5: Intl with full data. */
TEST(dates)
{
	check_tables(INTL, (const char *const[]){ "dates", NULL });
}

TEST(numbers)
{
	check_tables(INTL, (const char *const[]){ "numbers", NULL });
}

/* Spec 04 section 14.2: localeCompare and the toLocale methods are ICU's. */
TEST(texts)
{
	check_tables(INTL, (const char *const[]){ "texts", NULL });
}

TEST(names)
{
	check_tables(INTL, (const char *const[]){ "names", NULL });
}

/* Names, attributes and errors are V8's. */
TEST(shapes)
{
	check_tables(INTL, (const char *const[]){ "shapes", NULL });
}

TEST(the_server_has_its_own_rules)
{
	check_tables(INTL, (const char *const[]){ "server", NULL });
}

/* Spec 04 section 14.3: the prelude does not depend on globals that users overwrite. */
TEST(overwritten_globals_do_no_harm)
{
	check_tables(INTL, (const char *const[]){ "robust", NULL });
}

/* Spec 04 section 5.1: a run that ends between two of ICU's formats leaves nothing behind. */
TEST(ended_runs_leave_nothing_behind)
{
	struct world w;

	world_open(&w);
	push_bundle(&w, INTL);
	for (int i = 0; i < 3; i++) {
		world_run(&w, UDF_QUERY, "m.js", "hoard", "[{}]");
		CHECK_STRZ(world_outcome(&w),
		    "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)");
		world_run(&w, UDF_QUERY, "m.js", "shapes", "[{}]");
		CHECK_STRZ(world_outcome(&w), "[]");
	}
	world_run(&w, UDF_QUERY, "m.js", "forever", "[{}]");
	CHECK(!w.res.ok);
	world_run(&w, UDF_QUERY, "m.js", "server", "[{}]");
	CHECK_STRZ(world_outcome(&w), "[]");
	world_close(&w);
}

TEST_RUN(T(dates), T(numbers), T(texts), T(names), T(shapes), T(the_server_has_its_own_rules),
    T(overwritten_globals_do_no_harm), T(ended_runs_leave_nothing_behind))
