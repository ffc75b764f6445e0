/* budget.c - see budget.h.
 *
 * Thread: any.  Memory: none.
 */
#include "main/budget.h"

#include "os/memory.h"

#define MIB ((size_t)1 << 20)

/* The idle process: program and libraries as far as they are touched, threads, the heap images of
 * two workers, catalogue, commit log. */
#define PROCESS_BYTES (16 * MIB)

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t
budget_default(void)
{
	size_t quarter = memory_available() / 4;

	return quarter < 64 * MIB ? 64 * MIB : quarter;
}

struct budget
budget_split(size_t bytes)
{
	struct budget b;
	size_t        process = least(PROCESS_BYTES, bytes / 2);

	b.wlog = least(200 * MIB, bytes / 16);    /* of which a quarter: spec 03 section 5.8 */
	b.results = least(100 * MIB, bytes / 16); /* spec 03 section 8 */
	b.store = least(128 * MIB, bytes / 8);
	b.tree = bytes - process - b.wlog - b.results - b.store;
	return b;
}
