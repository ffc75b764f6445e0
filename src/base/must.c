/* must.c - what happens when our own code breaks its word.
 *
 * The process aborts, so that a core file shows the stack and a restart recovers from
 * what was made durable: continuing with broken invariants could acknowledge lies.
 *
 * Thread: any.  Memory: none.
 */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void
must_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: expectation broken: %s\n", file, line, what);
	abort();
}
