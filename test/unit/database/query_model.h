/* query_model.h - values and filter expressions once more, written from the specification
 * alone, for query_model_test.c.
 *
 * Nothing here calls val_cmp(), expr_eval() or range_compile(): strings are compared by code
 * points, floats by sign and magnitude, integers in 128 bits.  What both sides share is JSON:
 * the model prints its values and expressions, the database reads them.
 *
 * Thread: the test's.  Memory: the model's arena.
 */
#ifndef TEST_UNIT_DATABASE_QUERY_MODEL_H
#define TEST_UNIT_DATABASE_QUERY_MODEL_H

#include "restart_fixture.h"

#include <math.h>

#include "base/enc.h"

/* Ranks of spec 03 section 1.1. */
enum mkind { M_UNDEFINED, M_NULL, M_INT, M_FLOAT, M_BOOL, M_STRING, M_BYTES, M_ARRAY, M_OBJECT };

struct mval {
	enum mkind         kind;
	int64_t            i;
	double             d;
	bool               b;
	str                s;     /* string, bytes */
	size_t             n;     /* array, object */
	const str         *names; /* object: in order */
	const struct mval *items;
};

static const struct mval m_undefined = { .kind = M_UNDEFINED };

/* --- order --- */

static inline uint32_t
m_code_point(str s, size_t *at)
{
	uint8_t  c = (uint8_t)s.p[(*at)++];
	int      more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t cp = more == 0 ? c : more == 1 ? c & 0x1fu : more == 2 ? c & 0x0fu : c & 0x07u;

	while (more-- > 0)
		cp = cp << 6 | ((uint8_t)s.p[(*at)++] & 0x3fu);
	return cp;
}

static inline int
m_cmp_strings(str a, str b)
{
	size_t i = 0, k = 0;

	while (i < a.n && k < b.n) {
		uint32_t x = m_code_point(a, &i), y = m_code_point(b, &k);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (i < a.n) - (k < b.n);
}

static inline int
m_cmp_bytes(str a, str b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++)
		if (a.p[i] != b.p[i])
			return (uint8_t)a.p[i] < (uint8_t)b.p[i] ? -1 : 1;
	return (a.n > b.n) - (a.n < b.n);
}

/* IEEE totalOrder: negative ones by falling magnitude, then positive ones by rising. */
static inline int
m_cmp_floats(double a, double b)
{
	uint64_t x, y;

	memcpy(&x, &a, sizeof x);
	memcpy(&y, &b, sizeof y);
	if (signbit(a) != signbit(b))
		return signbit(a) ? -1 : 1;
	return (signbit(a) ? -1 : 1) * ((x > y) - (x < y));
}

static inline int
m_cmp(const struct mval *a, const struct mval *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case M_UNDEFINED:
	case M_NULL:
		return 0;
	case M_INT:
		return (a->i > b->i) - (a->i < b->i);
	case M_FLOAT:
		return m_cmp_floats(a->d, b->d);
	case M_BOOL:
		return a->b - b->b;
	case M_STRING:
		return m_cmp_strings(a->s, b->s);
	case M_BYTES:
		return m_cmp_bytes(a->s, b->s);
	default:
		break;
	}
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int c = a->kind == M_OBJECT ? m_cmp_bytes(a->names[i], b->names[i]) : 0;

		c = c ? c : m_cmp(&a->items[i], &b->items[i]);
		if (c)
			return c;
	}
	return (a->n > b->n) - (a->n < b->n);
}

/* Walks objects only. */
static inline const struct mval *
m_path(const struct mval *v, str path)
{
	while (path.n) {
		size_t             dot = path.n;
		const struct mval *next = &m_undefined;

		(void)str_find_char(path, '.', &dot);
		for (size_t i = 0; v->kind == M_OBJECT && i < v->n; i++)
			if (str_eq(v->names[i], str_head(path, dot)))
				next = &v->items[i];
		v = next;
		path = dot < path.n ? str_from(path, dot + 1) : STR_EMPTY;
	}
	return v;
}

/* --- JSON --- */

static inline void
m_wrap8(struct buf *b, const char *key, const void *eight)
{
	buf_fmt(b, "{\"%s\":\"", key);
	enc_base64(b, str_of(eight, 8));
	buf_addz(b, "\"}");
}

static inline void
m_json(struct buf *b, const struct mval *v)
{
	switch (v->kind) {
	case M_UNDEFINED:
		buf_addz(b, "{\"$undefined\":null}");
		return;
	case M_NULL:
		buf_addz(b, "null");
		return;
	case M_INT: /* the tests run on little-endian machines, like the product */
		m_wrap8(b, "$integer", &v->i);
		return;
	case M_FLOAT:
		if (isfinite(v->d) && !(v->d == 0 && signbit(v->d)))
			buf_fmt(b, "%.17g", v->d);
		else
			m_wrap8(b, "$float", &v->d);
		return;
	case M_BOOL:
		buf_addz(b, v->b ? "true" : "false");
		return;
	case M_STRING:
		json_write_str(b, v->s);
		return;
	case M_BYTES:
		buf_addz(b, "{\"$bytes\":\"");
		enc_base64(b, v->s);
		buf_addz(b, "\"}");
		return;
	default:
		break;
	}
	buf_add_byte(b, v->kind == M_ARRAY ? '[' : '{');
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			buf_add_byte(b, ',');
		if (v->kind == M_OBJECT) {
			json_write_str(b, v->names[i]);
			buf_add_byte(b, ':');
		}
		m_json(b, &v->items[i]);
	}
	buf_add_byte(b, v->kind == M_ARRAY ? ']' : '}');
}

/* --- expressions --- */

enum mop {
	X_EQ, X_NEQ, X_LT, X_LTE, X_GT, X_GTE, X_ADD, X_SUB, X_MUL, X_DIV, X_MOD, X_NEG,
	X_AND, X_OR, X_NOT, X_FIELD, X_LITERAL
};

static const char *const mop_names[] = { "$eq", "$neq", "$lt", "$lte", "$gt", "$gte", "$add",
	"$sub", "$mul", "$div", "$mod", "$neg", "$and", "$or", "$not" };

struct mexpr {
	enum mop                   op;
	size_t                     n;
	const struct mexpr *const *args;
	str                        field;
	const struct mval         *literal;
};

static inline void
x_json(struct buf *b, const struct mexpr *x)
{
	bool unary = x->op == X_NEG || x->op == X_NOT;

	if (x->op == X_FIELD) {
		buf_fmt(b, "{\"$field\":\"%.*s\"}", STR_ARG(x->field));
		return;
	}
	if (x->op == X_LITERAL) {
		buf_addz(b, "{\"$literal\":");
		m_json(b, x->literal);
		buf_add_byte(b, '}');
		return;
	}
	buf_fmt(b, "{\"%s\":%s", mop_names[x->op], unary ? "" : "[");
	for (size_t i = 0; i < x->n; i++) {
		if (i)
			buf_add_byte(b, ',');
		x_json(b, x->args[i]);
	}
	buf_addz(b, unary ? "}" : "]}");
}

/* What goes wrong: the beginning and the end of its text (spec 03 section 6.4). */
struct mfault {
	const char *head, *tail;
};

static const char *const mop_verbs[] = { [X_ADD] = "Cannot add ", [X_SUB] = "Cannot subtract ",
	[X_MUL] = "Cannot multiply ", [X_DIV] = "Cannot divide ", [X_MOD] = "Cannot mod ",
	[X_NEG] = "Cannot negate " };

__extension__ typedef __int128 wide_int;

static const char out_of_range[] = "the result is out of range for Int64";

static inline bool
x_fail(struct mfault *f, const char *head, const char *tail)
{
	*f = (struct mfault){ head, tail };
	return false;
}

static inline bool
x_int(enum mop op, int64_t l, int64_t r, struct mval *ret, struct mfault *f)
{
	wide_int a = l, b = r, c;

	if ((op == X_DIV || op == X_MOD) && r == 0)
		return x_fail(f, mop_verbs[op], " by zero");
	c = op == X_ADD ? a + b : op == X_SUB ? a - b : op == X_MUL ? a * b : a / b;
	if (c > INT64_MAX || c < INT64_MIN)
		return x_fail(f, mop_verbs[op], out_of_range);
	*ret = (struct mval){ .kind = M_INT, .i = (int64_t)(op == X_MOD ? a % b : c) };
	return true;
}

static inline bool
x_arithmetic(enum mop op, const struct mval *l, const struct mval *r, struct mval *ret,
    struct mfault *f)
{
	volatile double a = l->d, b = r->d;

	if (l->kind == M_INT && r->kind == M_INT)
		return x_int(op, l->i, r->i, ret, f);
	if (l->kind != M_FLOAT || r->kind != M_FLOAT)
		return x_fail(f, mop_verbs[op], ")");
	*ret = (struct mval){ .kind = M_FLOAT };
	ret->d = op == X_ADD ? a + b : op == X_SUB ? a - b : op == X_MUL ? a * b
	       : op == X_DIV ? a / b : fmod(a, b);
	return true;
}

static inline bool
x_negate(const struct mval *v, struct mval *ret, struct mfault *f)
{
	*ret = *v;
	if (v->kind == M_FLOAT) {
		ret->d = -v->d;
		return true;
	}
	if (v->kind != M_INT)
		return x_fail(f, mop_verbs[X_NEG], ")");
	if (v->i == INT64_MIN)
		return x_fail(f, mop_verbs[X_NEG], out_of_range);
	ret->i = -v->i;
	return true;
}

static inline bool
x_truth(const struct mval *v, bool *ret, struct mfault *f)
{
	*ret = v->b;
	return v->kind == M_BOOL || x_fail(f, "Cannot use value ", ") as a Boolean");
}

static inline bool
x_compare(enum mop op, int c)
{
	switch (op) {
	case X_EQ:
		return c == 0;
	case X_NEQ:
		return c != 0;
	case X_LT:
		return c < 0;
	case X_LTE:
		return c <= 0;
	case X_GT:
		return c > 0;
	default:
		return c >= 0;
	}
}

/* False: *f says what went wrong. */
static inline bool
x_eval(const struct mexpr *x, const struct mval *doc, struct mval *ret, struct mfault *f)
{
	struct mval l, r;
	bool        b;

	if (x->op == X_FIELD || x->op == X_LITERAL) {
		*ret = x->op == X_FIELD ? *m_path(doc, x->field) : *x->literal;
		return true;
	}
	if (x->op == X_AND || x->op == X_OR) {
		*ret = (struct mval){ .kind = M_BOOL, .b = x->op == X_AND };
		for (size_t i = 0; i < x->n && ret->b == (x->op == X_AND); i++) {
			if (!x_eval(x->args[i], doc, &l, f) || !x_truth(&l, &b, f))
				return false;
			ret->b = b;
		}
		return true;
	}
	if (!x_eval(x->args[0], doc, &l, f))
		return false;
	if (x->op == X_NEG)
		return x_negate(&l, ret, f);
	if (x->op == X_NOT) {
		if (!x_truth(&l, &b, f))
			return false;
		*ret = (struct mval){ .kind = M_BOOL, .b = !b };
		return true;
	}
	if (!x_eval(x->args[1], doc, &r, f))
		return false;
	if (x->op >= X_ADD)
		return x_arithmetic(x->op, &l, &r, ret, f);
	*ret = (struct mval){ .kind = M_BOOL, .b = x_compare(x->op, m_cmp(&l, &r)) };
	return true;
}

#endif
