/* http_text_test.c - what stands in the head of a message of HTTP. */
#include "test.h"

#include "base/http_text.h"
#include "base/must.h"

/* RFC 9111 sections 4.2.1 and 5.2.2, RFC 5861 section 4. */
TEST(freshness)
{
	const struct {
		const char *control, *age;
		uint64_t    fresh_s, stale_s;
	} rows[] = {
		{ "", "", 0, 0 },
		{ "public", "", 0, 0 },
		{ "max-age=60", "", 60, 0 },
		{ "public, max-age=60, must-revalidate", "", 60, 0 },
		{ "Max-Age=\"60\"", "", 60, 0 },
		{ "max-age=60", "20", 40, 0 },
		{ "max-age=60", " 20 ", 40, 0 },
		{ "max-age=60", "61", 0, 0 },
		{ "max-age=60", "-1", 60, 0 },
		{ " max-age=15 ,stale-while-revalidate=15,stale-if-error=86400 ", "", 15, 86400 },
		{ "no-store, max-age=60", "", 0, 0 },
		{ "max-age=60, stale-if-error=5, NO-CACHE", "", 0, 0 },
		{ "s-maxage=60", "", 0, 0 },
		{ "max-age", "", 0, 0 },
		{ "max-age=", "", 0, 0 },
		{ "max-age=\"", "", 0, 0 },
		{ "max-age=-5", "", 0, 0 },
		{ "max-age=1.5", "", 0, 0 },
		{ "max-age=99999999999999999", "", 31622400, 0 }, /* a year is for ever */
		{ "max-age=99999999999999999999999", "", 0, 0 },
		{ ",,,", "x", 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_freshness f =
		    http_freshness(str_z(rows[i].control), str_z(rows[i].age));

		fprintf(stderr, "  %s\n", rows[i].control);
		CHECK_EQ(f.fresh_s, rows[i].fresh_s);
		CHECK_EQ(f.stale_if_error_s, rows[i].stale_s);
	}
}

TEST_RUN(T(freshness))
