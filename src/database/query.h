/* query.h - queries over one table (spec 03 section 6).
 *
 * A query_spec is what a function asked for; query_open() compiles it against the
 * transaction's catalogue and fails with the errors of sections 4.5 and 6.3.  Nothing is read
 * before query_next().
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef DATABASE_QUERY_H
#define DATABASE_QUERY_H

#include "base/json.h"
#include "database/txn.h"

enum query_source { QUERY_FULL_SCAN, QUERY_INDEX_RANGE, QUERY_SEARCH };
enum range_op { RANGE_EQ, RANGE_GT, RANGE_GTE, RANGE_LT, RANGE_LTE };

struct range_expr {
	enum range_op op;
	str           field;
	struct val    value; /* may be undefined or COMMIT_TS */
};

enum expr_op {
	EXPR_EQ, EXPR_NEQ, EXPR_LT, EXPR_LTE, EXPR_GT, EXPR_GTE,
	EXPR_ADD, EXPR_SUB, EXPR_MUL, EXPR_DIV, EXPR_MOD, EXPR_NEG,
	EXPR_AND, EXPR_OR, EXPR_NOT, EXPR_FIELD, EXPR_LITERAL
};

struct expr {
	enum expr_op       op;
	size_t             n;
	const struct expr **args;
	str                field;   /* EXPR_FIELD */
	struct val         literal; /* EXPR_LITERAL */
};

struct query_op {
	const struct expr *filter; /* NULL: a limit */
	uint64_t           limit;
};

struct query_spec {
	enum query_source       source;
	str                     table;
	str                     index;  /* QUERY_INDEX_RANGE, QUERY_SEARCH: name alone */
	bool                    desc;
	size_t                  nrange;
	const struct range_expr *range;
	size_t                  nops;
	const struct query_op   *ops;   /* at most 256 */
};

/* From the query JSON of section 6.2; lives in `a`.  InvalidArgument texts name `method`
 * ("queryStream", "queryPage"). */
NODISCARD status query_spec_parse(struct arena *a, const struct json *j, const char *method,
    struct query_spec *ret, struct err *e);
/* One filter expression. */
NODISCARD status expr_parse(struct arena *a, const struct json *j, const struct expr **ret,
    struct err *e);
/* Evaluating many expressions: it ends with OPERATIONAL TXN_SLOW when the monotonic clock has
 * passed *deadline_ns; 0: never. */
struct expr_run {
	struct arena    *arena; /* of values that are made */
	const uint64_t  *deadline_ns;
	const struct os *os;    /* whose clock it is */
	unsigned         steps; /* since the last look at the clock */
};
/* Evaluates to a value: EvalError texts of section 6.4. */
NODISCARD status expr_eval(const struct expr *x, struct val doc, struct expr_run *run,
    struct val *ret, struct err *e);
/* As much was done as evaluating so many operators. */
NODISCARD status expr_spend(struct expr_run *run, unsigned steps, struct err *e);

struct query;

/* `spec` and what it points to must live as long as the query. */
NODISCARD status query_open(struct txn *t, const struct query_spec *spec, struct query **ret,
    struct err *e);
/* *ret NULL at the end.  Borrowed until txn_free(). */
NODISCARD status query_next(struct query *q, struct doc **ret, struct err *e);
void query_close(struct query *q); /* optional: the transaction closes what is open */
/* For functions within functions, whose specs end before the transaction does: the newest query
 * that is open (NULL: none), and the end of those that were opened after it. */
struct query *query_newest(const struct txn *t);
void          query_close_since(struct txn *t, const struct query *newest);

struct page_opts {
	str    cursor;     /* n == 0: from the beginning */
	str    end_cursor; /* n == 0: none; takes precedence over the journal */
	str    journal;    /* n == 0: none */
	double page_size;
	double max_rows;   /* 0: absent */
	double max_bytes;  /* 0: absent */
	bool   max_rows_given, max_bytes_given; /* so that an explicit 0 can be refused */
};

struct page {
	VEC(struct doc *) docs; /* borrowed until txn_free(); vec_clear() when done */
	bool        is_done;
	str         continue_cursor;
	str         split_cursor; /* p == NULL: null */
	const char *status;       /* NULL, "SplitRecommended", "SplitRequired" */
	str         next_journal;
};

/* Section 6.5, one page.  Strings live in the transaction's arena.  The rule of one paginated
 * query per function is the caller's. */
NODISCARD status query_page(struct txn *t, const struct query_spec *spec,
    const struct page_opts *opts, struct page *ret, struct err *e);

#endif
