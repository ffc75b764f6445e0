/* range_int.h - index range expressions to intervals of keys (spec 03 section 6.3).
 *
 * Thread: any.  Memory: results live in the given arena.
 */
#ifndef DATABASE_RANGE_INT_H
#define DATABASE_RANGE_INT_H

#include "database/query.h"
#include "database/readset.h"

/* [lo, hi) of full keys; lo >= hi if nothing can match.  BAD_REQUEST with the four errors;
 * `table` is the name for their texts, `room` is scratch. */
NODISCARD status range_compile(struct arena *a, struct buf *room, str table,
    const struct index_info *ix, const struct range_expr *exprs, size_t n, struct key_range *ret,
    struct err *e);
/* A filter's result as a boolean; EvalError if it is none. */
NODISCARD status expr_bool(struct val v, struct arena *a, bool *ret, struct err *e);
/* Trims dots and checks each part (section 1.3). */
NODISCARD status field_path_check(str path, str *ret, struct err *e);

#endif
