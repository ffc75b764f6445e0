/* ctx_test.c - the native ctx and the npm helpers' contract must not differ.
 *
 * The functions of functions.h are run both ways, on databases of its own; results, errors and log
 * lines must be the same.
 */
#include "functions.h"

/* 04 checklist 5, 6, 9, 10, 13: whatever a function does, it cannot tell which way it was
 * called. */
TEST(both_ways_are_the_same)
{
	struct world native, syscalls;
	int          differ = 0;

	open_world(&native, false, NULL, NULL);
	open_world(&syscalls, true, NULL, NULL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *args = rows[i].args ? rows[i].args : "[{}]";
		char       *a = report(&native, rows[i].kind, rows[i].function, args);
		char       *b = report(&syscalls, rows[i].kind, rows[i].function, args);

		if (getenv("SHOW"))
			fprintf(stderr, "--- %s %s\n%s\n", rows[i].function, args, a);
		if (strcmp(a, b) != 0) {
			differ++;
			fprintf(stderr, "=== %s %s\n    native:   %s\n    syscalls: %s\n",
			    rows[i].function, args, a, b);
		}
		mem_free(a);
		mem_free(b);
	}
	CHECK_EQ(differ, 0);
	world_close(&native);
	world_close(&syscalls);
}

TEST_RUN(T(both_ways_are_the_same))
