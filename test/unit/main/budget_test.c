/* budget_test.c - what the memory is spent on. */
#include "test.h"

#include "base/must.h"
#include "main/budget.h"
#include "os/memory.h"

#define MIB ((size_t)1 << 20)

/* The parts never add up to more than the whole, and most of it is for documents. */
TEST(the_parts_fit_into_the_whole)
{
	static const size_t sizes[] = { BUDGET_MIN, 64 * MIB, 500 * MIB, 4096 * MIB, 1 << 20 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct budget b = budget_split(sizes[i]);

		CHECK(b.tree > 0 && b.wlog > 0 && b.results > 0 && b.store > 0);
		CHECK(b.tree + b.wlog + b.results + b.store < sizes[i]);
		CHECK(b.tree >= sizes[i] / 4);
		CHECK(b.wlog <= 200 * MIB && b.results <= 100 * MIB && b.store <= 128 * MIB);
	}
	CHECK(budget_split(4096 * MIB).tree > 3584 * MIB);
}

/* A quarter of what there is, at least 64 MiB. */
TEST(default_size)
{
	CHECK(budget_default() >= 64 * MIB);
	CHECK(budget_default() == 64 * MIB || budget_default() == memory_available() / 4);
}

TEST_RUN(T(the_parts_fit_into_the_whole), T(default_size))
