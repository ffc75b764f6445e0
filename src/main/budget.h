/* budget.h - what --cache-bytes is spent on.
 *
 * The promise: the process stays within the budget and a fifth (allocator's losses), with the
 * exception of what functions and clients occupy while they are served: heaps of workers beyond
 * their idle state, bodies and results in flight, and snapshots held for long.
 *
 * Thread: any.
 */
#ifndef MAIN_BUDGET_H
#define MAIN_BUDGET_H

#include <stddef.h>

#define BUDGET_MIN ((size_t)32 << 20)

struct budget {
	size_t tree;    /* documents, index entries and their nodes */
	size_t wlog;    /* keys of recent commits */
	size_t results; /* of queries */
	size_t store;   /* page caches, and rows on their way into SQLite */
};

/* A quarter of the memory that this process may use, at least 64 MiB. */
size_t        budget_default(void);
struct budget budget_split(size_t bytes);

#endif
