/* query_int.h - an open query, for query.c and page.c.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef DATABASE_QUERY_INT_H
#define DATABASE_QUERY_INT_H

#include "database/query.h"
#include "database/range_int.h"
#include "database/txn_int.h"

struct query {
	struct txn              *t;
	struct query            *prev, *next; /* among the transaction's open queries */
	const struct query_spec *spec;
	struct ttable           *table;   /* NULL: no such table, so no rows */
	const struct index_info *index;
	enum virtual_kind        virt;
	enum npm_age             npm;     /* of who opened it */
	struct key_range         range;   /* what is left to read, lo >= hi: nothing */
	struct tscan             scan;
	bool                     desc;    /* the spec may be gone when the rest is recorded */
	bool                     started; /* `scan` is open */
	bool                     done;
	bool                     exhausted; /* the whole range was read */
	bool                     dirty;   /* read something that is not recorded yet */
	str                      last;    /* key of the last row pulled; p == NULL: none */
	uint64_t                *left;    /* by operator: rows that a limit still lets through */
	struct expr_run          run;
};

/* How page.c looks over a query's shoulder. */
struct query_observer {
	/* Before each pull: false ends the call with *ret NULL; the query is not exhausted. */
	bool (*more)(void *arg);
	/* After each pull, before the operators: the row's full key, good for the call. */
	void (*pulled)(void *arg, str key, struct doc *row);
	void *arg;
};
/* The next row that survives the operators, *ret NULL at the end.  `o` may be NULL. */
NODISCARD status query_step(struct query *q, const struct query_observer *o, struct doc **ret,
    struct err *e);
/* Records what was read so far; checks no limit. */
void query_flush(struct query *q);

#endif
