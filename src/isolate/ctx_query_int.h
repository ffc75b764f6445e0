/* ctx_query_int.h - query objects: what ctx_query.c and ctx_table.c share.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#ifndef ISOLATE_CTX_QUERY_INT_H
#define ISOLATE_CTX_QUERY_INT_H

#include "isolate/ctx_int.h"

enum query_state { PREPARING, EXECUTING, CLOSED, CONSUMED };

struct cquery {
	enum query_state  state;
	struct query_spec spec;
	bool              ordered;
	str               search; /* JSON of a search source; p == NULL: none */
	str               bad;    /* query JSON to be refused at the start; p == NULL: none */
	struct query     *q;      /* EXECUTING */
};

enum query_method {
	Q_ORDER, Q_FILTER, Q_LIMIT, Q_START, Q_NEXT, Q_RETURN, Q_PAGINATE, Q_COLLECT, Q_TAKE,
	Q_FIRST, Q_UNIQUE
};

/* A new object around `cq`. */
JSValue cquery_object(JSContext *ctx, struct cquery *cq);
/* Leaves a malformed part to the parser: a range expression or an operator, as JSON. */
void cquery_set_bad(struct run *r, struct cquery *cq, const char *source, str range, str operator);
/* One of the methods above on a query object. */
JSValue cquery_method(
    JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int method);
bool    ctx_initializer_install(struct engine *en);

#endif
