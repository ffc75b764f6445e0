/* test.h - what a unit test needs, over cmocka.
 *
 *     TEST(ids_round_trip) { CHECK_EQ(1 + 1, 2); }
 *     TEST_RUN(T(ids_round_trip))
 *
 * A failing check prints both sides, file and line, and ends that test.
 */
#ifndef TEST_TEST_H
#define TEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

#define TEST(name) static void name(void **unused_state_ __attribute__((unused)))

#define CHECK(cond)      assert_true(cond)
#define CHECK_EQ(a, b)   assert_int_equal((a), (b))
#define CHECK_STR(a, b)  check_str((a), (b), __FILE__, __LINE__)
#define CHECK_STRZ(a, z) check_str((a), str_z(z), __FILE__, __LINE__)

static inline void
check_str(str got, str want, const char *file, int line)
{
	if (str_eq(got, want))
		return;
	print_error("got  \"%.*s\"\nwant \"%.*s\"\n", STR_ARG(got), STR_ARG(want));
	_fail(file, line);
}

#define TEST_RUN(...)                                                         \
	int main(void)                                                        \
	{                                                                     \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };            \
		return cmocka_run_group_tests(tests, NULL, NULL);             \
	}
/* TEST_RUN(T(a), T(b)) */
#define T(name) cmocka_unit_test(name)

#endif
