/* expr.c - filter expressions: reading and evaluating them (spec 03 section 6.4).
 *
 * Comparisons use the total order of values, undefined included; arithmetic works on two
 * Int64 (checked) or two Float64 (IEEE) and on nothing else.
 *
 * Thread: any.  Memory: the given arena.
 */
#include <math.h>

#include "database/range_int.h"
#include "os/os.h"
#include "value/vjson.h"

#define STEPS_BETWEEN_LOOKS 4096u /* at the clock: some tens of microseconds */

static const struct {
	const char  *name;
	enum expr_op op;
	size_t       arity; /* 0: any */
} operators[] = {
	{ "$eq", EXPR_EQ, 2 }, { "$neq", EXPR_NEQ, 2 }, { "$lt", EXPR_LT, 2 },
	{ "$lte", EXPR_LTE, 2 }, { "$gt", EXPR_GT, 2 }, { "$gte", EXPR_GTE, 2 },
	{ "$add", EXPR_ADD, 2 }, { "$sub", EXPR_SUB, 2 }, { "$mul", EXPR_MUL, 2 },
	{ "$div", EXPR_DIV, 2 }, { "$mod", EXPR_MOD, 2 }, { "$neg", EXPR_NEG, 1 },
	{ "$and", EXPR_AND, 0 }, { "$or", EXPR_OR, 0 }, { "$not", EXPR_NOT, 1 },
};

static const char *
verb(enum expr_op op)
{
	switch (op) {
	case EXPR_ADD:
		return "add";
	case EXPR_SUB:
		return "subtract";
	case EXPR_MUL:
		return "multiply";
	case EXPR_DIV:
		return "divide";
	default:
		return "mod";
	}
}

/* --- reading --- */

static status
malformed(struct err *e, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument", "invalid filter expression: %s",
	    what);
}

static status
parse_field(struct arena *a, const struct json *j, struct expr *x, struct err *e)
{
	str path;

	if (j->kind != JSON_STRING)
		return malformed(e, "$field must be a string");
	TRY(field_path_check(j->string, &path, e));
	x->op = EXPR_FIELD;
	x->field = arena_str(a, path);
	return ST_OK;
}

static status
parse_literal(struct arena *a, const struct json *j, struct expr *x, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	x->op = EXPR_LITERAL;
	st = vjson_read(&p, j, VJSON_UNDEFINED, e);
	if (st == ST_OK)
		st = pack_done_in(&p, a, &x->literal, e);
	pack_clear(&p);
	return st;
}

static status
parse_args(struct arena *a, const struct json *j, size_t arity, struct expr *x, struct err *e)
{
	bool               single = arity == 1 && j->kind != JSON_ARRAY;
	size_t             n = single ? 1 : j->n;
	const struct expr **args;

	if (!single && j->kind != JSON_ARRAY)
		return malformed(e, "operands must be an array");
	if (arity && n != arity)
		return malformed(e, "wrong number of operands");
	args = ARENA_ARRAY(a, const struct expr *, n + 1);
	for (size_t i = 0; i < n; i++)
		TRY(expr_parse(a, single ? j : &j->items[i], &args[i], e));
	x->n = n;
	x->args = args;
	return ST_OK;
}

status
expr_parse(struct arena *a, const struct json *j, const struct expr **ret, struct err *e)
{
	struct expr *x = ARENA_NEW(a, struct expr);

	if (!j || j->kind != JSON_OBJECT || j->n != 1)
		return malformed(e, "expected an object with one operator");
	*ret = x;
	if (str_eq(j->keys[0], S("$field")))
		return parse_field(a, &j->items[0], x, e);
	if (str_eq(j->keys[0], S("$literal")))
		return parse_literal(a, &j->items[0], x, e);
	for (size_t i = 0; i < COUNT_OF(operators); i++)
		if (str_eq(j->keys[0], str_z(operators[i].name))) {
			x->op = operators[i].op;
			return parse_args(a, &j->items[0], operators[i].arity, x, e);
		}
	return malformed(e, "unknown operator");
}

/* --- evaluating --- */

static str
printed(struct arena *a, struct val v)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	val_print(&b, v);
	s = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return s;
}

static status
number(struct arena *a, bool is_float, int64_t i, double d, struct val *ret)
{
	struct pack p;
	status      st;

	pack_init(&p);
	if (is_float)
		pack_float64(&p, d);
	else
		pack_int64(&p, i);
	st = pack_done_in(&p, a, ret, NULL);
	pack_clear(&p);
	return st;
}

static bool
int_op(enum expr_op op, int64_t l, int64_t r, int64_t *ret)
{
	switch (op) {
	case EXPR_ADD:
		return !__builtin_add_overflow(l, r, ret);
	case EXPR_SUB:
		return !__builtin_sub_overflow(l, r, ret);
	case EXPR_MUL:
		return !__builtin_mul_overflow(l, r, ret);
	default:
		if (r == 0 || (l == INT64_MIN && r == -1))
			return false;
		*ret = op == EXPR_DIV ? l / r : l % r;
		return true;
	}
}

static double
float_op(enum expr_op op, double l, double r)
{
	switch (op) {
	case EXPR_ADD:
		return l + r;
	case EXPR_SUB:
		return l - r;
	case EXPR_MUL:
		return l * r;
	case EXPR_DIV:
		return l / r;
	default:
		return fmod(l, r);
	}
}

static status
arithmetic_error(enum expr_op op, struct val l, struct val r, struct arena *a, struct err *e)
{
	str pl = printed(a, l), pr = printed(a, r);

	if (val_kind(l) != VAL_INT64 || val_kind(r) != VAL_INT64)
		return err_set(e, ST_BAD_REQUEST, "EvalError",
		    "Cannot %s %.*s (type %s) and %.*s (type %s)", verb(op), STR_ARG(pl),
		    val_type_name(l), STR_ARG(pr), val_type_name(r));
	if ((op == EXPR_DIV || op == EXPR_MOD) && val_int64(r) == 0)
		return err_set(e, ST_BAD_REQUEST, "EvalError", "Cannot %s %.*s by zero", verb(op),
		    STR_ARG(pl));
	return err_set(e, ST_BAD_REQUEST, "EvalError",
	    "Cannot %s %.*s and %.*s: the result is out of range for Int64", verb(op), STR_ARG(pl),
	    STR_ARG(pr));
}

static status
arithmetic(enum expr_op op, struct val l, struct val r, struct arena *a, struct val *ret,
    struct err *e)
{
	enum val_kind kl = val_kind(l), kr = val_kind(r);
	int64_t       i = 0;

	if (kl == VAL_FLOAT64 && kr == VAL_FLOAT64)
		return number(a, true, 0, float_op(op, val_float64(l), val_float64(r)), ret);
	if (kl == VAL_INT64 && kr == VAL_INT64 && int_op(op, val_int64(l), val_int64(r), &i))
		return number(a, false, i, 0, ret);
	return arithmetic_error(op, l, r, a, e);
}

static status
negate(struct val v, struct arena *a, struct val *ret, struct err *e)
{
	str p;

	if (val_kind(v) == VAL_FLOAT64)
		return number(a, true, 0, -val_float64(v), ret);
	p = printed(a, v);
	if (val_kind(v) != VAL_INT64)
		return err_set(e, ST_BAD_REQUEST, "EvalError", "Cannot negate %.*s (type %s)",
		    STR_ARG(p), val_type_name(v));
	if (val_int64(v) == INT64_MIN)
		return err_set(e, ST_BAD_REQUEST, "EvalError",
		    "Cannot negate %.*s: the result is out of range for Int64", STR_ARG(p));
	return number(a, false, -val_int64(v), 0, ret);
}

status
expr_bool(struct val v, struct arena *a, bool *ret, struct err *e)
{
	str p;

	if (LIKELY(val_kind(v) == VAL_BOOL)) {
		*ret = val_bool(v);
		return ST_OK;
	}
	p = printed(a, v);
	return err_set(e, ST_BAD_REQUEST, "EvalError",
	    "Cannot use value %.*s (type %s) as a Boolean", STR_ARG(p), val_type_name(v));
}

static bool
compare(enum expr_op op, struct val l, struct val r)
{
	int c = val_cmp(l, r);

	switch (op) {
	case EXPR_EQ:
		return c == 0;
	case EXPR_NEQ:
		return c != 0;
	case EXPR_LT:
		return c < 0;
	case EXPR_LTE:
		return c <= 0;
	case EXPR_GT:
		return c > 0;
	default:
		return c >= 0;
	}
}

/* Left to right, as far as needed. */
static status
junction(const struct expr *x, struct val doc, struct expr_run *run, struct val *ret, struct err *e)
{
	bool stop = x->op == EXPR_OR;

	for (size_t i = 0; i < x->n; i++) {
		struct val v;
		bool       b;

		TRY(expr_eval(x->args[i], doc, run, &v, e));
		TRY(expr_bool(v, run->arena, &b, e));
		if (b == stop) {
			*ret = b ? val_true : val_false;
			return ST_OK;
		}
	}
	*ret = stop ? val_false : val_true;
	return ST_OK;
}

static status
unary(const struct expr *x, struct val doc, struct expr_run *run, struct val *ret, struct err *e)
{
	struct val v;
	bool       b;

	TRY(expr_eval(x->args[0], doc, run, &v, e));
	if (x->op == EXPR_NEG)
		return negate(v, run->arena, ret, e);
	TRY(expr_bool(v, run->arena, &b, e));
	*ret = b ? val_false : val_true;
	return ST_OK;
}

static status
binary(const struct expr *x, struct val doc, struct expr_run *run, struct val *ret, struct err *e)
{
	struct val l, r;

	TRY(expr_eval(x->args[0], doc, run, &l, e));
	TRY(expr_eval(x->args[1], doc, run, &r, e));
	if (x->op >= EXPR_ADD)
		return arithmetic(x->op, l, r, run->arena, ret, e);
	*ret = compare(x->op, l, r) ? val_true : val_false;
	return ST_OK;
}

status
expr_spend(struct expr_run *run, unsigned steps, struct err *e)
{
	run->steps += steps;
	if (run->steps < STEPS_BETWEEN_LOOKS)
		return ST_OK;
	run->steps = 0;
	if (*run->deadline_ns && os_mono_ns(run->os) > *run->deadline_ns)
		return err_set(e, ST_OPERATIONAL, TXN_SLOW, "the query takes too long");
	return ST_OK;
}

status
expr_eval(
    const struct expr *x, struct val doc, struct expr_run *run, struct val *ret, struct err *e)
{
	TRY(expr_spend(run, 1, e));
	switch (x->op) {
	case EXPR_FIELD:
		*ret = val_path(doc, x->field);
		return ST_OK;
	case EXPR_LITERAL:
		*ret = x->literal;
		return ST_OK;
	case EXPR_AND:
	case EXPR_OR:
		return junction(x, doc, run, ret, e);
	case EXPR_NEG:
	case EXPR_NOT:
		return unary(x, doc, run, ret, e);
	default:
		return binary(x, doc, run, ret, e);
	}
}
