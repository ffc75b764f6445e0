/* range_test.c - the Range header (RFC 9110 section 14.2; spec 05 section 1.4). */
#include "test.h"

#include "base/must.h"
#include "net/range.h"

/* One range is given as far as there are bytes; what is not understood is ignored. */
TEST(ranges)
{
	static const struct {
		const char        *why, *header;
		uint64_t           size;
		enum range_verdict verdict;
		uint64_t           at, n;
	} cases[] = {
		{ "no header", NULL, 10, RANGE_WHOLE, 0, 0 },
		{ "first bytes", "bytes=0-0", 10, RANGE_PART, 0, 1 },
		{ "in the middle", "bytes=2-4", 10, RANGE_PART, 2, 3 },
		{ "to the end", "bytes=7-", 10, RANGE_PART, 7, 3 },
		{ "all of it", "bytes=0-", 10, RANGE_PART, 0, 10 },
		{ "beyond the end", "bytes=5-100", 10, RANGE_PART, 5, 5 },
		{ "far beyond it", "bytes=5-99999999999999999999999", 10, RANGE_PART, 5, 5 },
		{ "the largest end", "bytes=5-18446744073709551615", 10, RANGE_PART, 5, 5 },
		{ "behind the end", "bytes=10-", 10, RANGE_REFUSED, 0, 0 },
		{ "far behind it", "bytes=99999999999999999999999-", 10, RANGE_REFUSED, 0, 0 },
		{ "the last ones", "bytes=-3", 10, RANGE_PART, 7, 3 },
		{ "more than there are", "bytes=-30", 10, RANGE_PART, 0, 10 },
		{ "the last none", "bytes=-0", 10, RANGE_REFUSED, 0, 0 },
		{ "two", "bytes=0-1,3-4", 10, RANGE_REFUSED, 0, 0 },
		{ "two, of which one could be", "bytes=0-1, 30-", 10, RANGE_REFUSED, 0, 0 },
		{ "empty elements", "bytes=, 1-2 ,,", 10, RANGE_PART, 1, 2 },
		{ "nothing", "bytes=", 10, RANGE_WHOLE, 0, 0 },
		{ "only commas", "bytes=,,", 10, RANGE_WHOLE, 0, 0 },
		{ "the unit's case", "Bytes=1-2", 10, RANGE_PART, 1, 2 },
		{ "another unit", "lines=1-2", 10, RANGE_WHOLE, 0, 0 },
		{ "no unit", "1-2", 10, RANGE_WHOLE, 0, 0 },
		{ "backwards", "bytes=4-2", 10, RANGE_WHOLE, 0, 0 },
		{ "letters", "bytes=a-b", 10, RANGE_WHOLE, 0, 0 },
		{ "a sign", "bytes=+1-2", 10, RANGE_WHOLE, 0, 0 },
		{ "a dash alone", "bytes=-", 10, RANGE_WHOLE, 0, 0 },
		{ "two dashes", "bytes=--1", 10, RANGE_WHOLE, 0, 0 },
		{ "one bad among good", "bytes=0-1,x", 10, RANGE_WHOLE, 0, 0 },
		{ "an empty file", "bytes=0-", 0, RANGE_WHOLE, 0, 0 },
		{ "two of an empty file", "bytes=0-,1-", 0, RANGE_REFUSED, 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t at = 0, n = 0;
		str      h = cases[i].header ? str_z(cases[i].header) : (str){ NULL, 0 };

		print_message("%s\n", cases[i].why);
		CHECK_EQ(range_parse(h, cases[i].size, &at, &n), cases[i].verdict);
		CHECK_EQ(at, cases[i].at);
		CHECK_EQ(n, cases[i].n);
	}
}

TEST_RUN(T(ranges))
