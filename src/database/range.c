/* range.c - from q.eq("a", 1).gt("b", 2) to an interval of keys (range_int.h).
 *
 * Equalities, in any order, must name the first fields of the index; then one more field may
 * have a lower and an upper bound.  The end of "everything that begins with K" is K FF,
 * which is exact (spec 03 section 1.5).
 *
 * Thread: any.  Memory: the given arena.
 */
#include "database/range_int.h"
#include "value/sortkey.h"

#define FIELDS_MAX 18 /* 16 of the index, and _id */

struct compiler {
	struct arena            *a;
	struct buf              *room;
	str                      table;
	const struct index_info *ix;
	str                      fields[FIELDS_MAX]; /* of the index, then _id */
	size_t                   nfields;
	struct val               eq[FIELDS_MAX];     /* by position; VAL_NONE: no equality */
	bool                     has_eq[FIELDS_MAX];
	const struct range_expr *lower, *upper;
};

static str
quoted_list(struct arena *a, const str *names, size_t n)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, '[');
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s\"%.*s\"", i ? ", " : "", STR_ARG(names[i]));
	buf_add_byte(&b, ']');
	s = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return s;
}

/* The index's own fields: what messages call its fields leaves out _id. */
static str
index_fields(const struct compiler *c)
{
	return quoted_list(c->a, c->fields, c->nfields - 1);
}

static status
already_defined(const struct compiler *c, const char *what, const struct range_expr *x,
    struct val value, struct err *e)
{
	static const char *const ops[] = { [RANGE_EQ] = "==", [RANGE_GT] = ">",
		[RANGE_GTE] = ">=", [RANGE_LT] = "<", [RANGE_LTE] = "<=" };
	struct buf               b;
	str                      printed;

	buf_init(&b, BUF_MAX_DEFAULT);
	val_print(&b, value);
	printed = arena_str(c->a, buf_str(&b));
	buf_clear(&b);
	return err_set(e, ST_BAD_REQUEST, "AlreadyDefinedBound",
	    "Already defined %s bound in index range. Can't add \"%.*s\" %s %.*s.", what,
	    STR_ARG(x->field), ops[x->op], STR_ARG(printed));
}

static status
field_not_in_index(const struct compiler *c, str field, struct err *e)
{
	str fields = index_fields(c);

	return err_set(e, ST_BAD_REQUEST, "FieldNotInIndex",
	    "The index range included a comparison with \"%.*s\", but %.*s.%.*s with fields %.*s "
	    "doesn't index this field. For more information see "
	    "https://docs.convex.dev/using/indexes.",
	    STR_ARG(field), STR_ARG(c->table), STR_ARG(c->ix->def.name), STR_ARG(fields));
}

static status
bounds_on_multiple(const struct compiler *c, str a, str b, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "BoundsOnMultipleFields",
	    "Upper and lower bounds in `range` can only be applied to a single index field. This "
	    "query against index %.*s.%.*s attempted to set a range bound on both \"%.*s\" and "
	    "\"%.*s\". Consider using `filter` instead. See "
	    "https://docs.convex.dev/using/indexes for more info.",
	    STR_ARG(c->table), STR_ARG(c->ix->def.name), STR_ARG(a), STR_ARG(b));
}

static const struct range_expr *
bounded(const struct compiler *c)
{
	return c->lower ? c->lower : c->upper;
}

static status
out_of_order(const struct compiler *c, struct err *e)
{
	str    used[FIELDS_MAX + 1], fields = index_fields(c), query, wrong = STR_EMPTY;
	size_t n = 0;

	for (size_t i = 0; i < c->nfields; i++)
		if (c->has_eq[i])
			used[n++] = c->fields[i];
	if (bounded(c))
		used[n++] = bounded(c)->field;
	for (size_t i = 0; i < n && !wrong.n; i++)
		if (i >= c->nfields || !str_eq(used[i], c->fields[i]))
			wrong = used[i];
	query = quoted_list(c->a, used, n);
	return err_set(e, ST_BAD_REQUEST, "InvalidIndexRange",
	    "Tried to query index %.*s.%.*s but the query didn't use the index fields in order.\n"
	    "Index fields: %.*s\nQuery fields: %.*s\nFirst incorrect field: \"%.*s\"\n"
	    "For more information see https://docs.convex.dev/using/indexes.",
	    STR_ARG(c->table), STR_ARG(c->ix->def.name), STR_ARG(fields), STR_ARG(query),
	    STR_ARG(wrong));
}

/* Position of a field in the index; nfields if it is not there. */
static size_t
position(const struct compiler *c, str field)
{
	size_t i = 0;

	while (i < c->nfields && !str_eq(c->fields[i], field))
		i++;
	return i;
}

static status
add(struct compiler *c, const struct range_expr *x, struct err *e)
{
	bool   lower = x->op == RANGE_GT || x->op == RANGE_GTE;
	size_t at = position(c, x->field);

	if (at == c->nfields)
		return field_not_in_index(c, x->field, e);
	if (x->op == RANGE_EQ) {
		if (c->has_eq[at])
			return already_defined(c, "equality", x, c->eq[at], e);
		if (bounded(c) && str_eq(bounded(c)->field, x->field))
			return already_defined(c, "inequality", x, x->value, e);
		c->has_eq[at] = true;
		c->eq[at] = x->value;
		return ST_OK;
	}
	if (c->has_eq[at])
		return already_defined(c, "equality", x, x->value, e);
	if (bounded(c) && !str_eq(bounded(c)->field, x->field))
		return bounds_on_multiple(c, bounded(c)->field, x->field, e);
	if (lower ? c->lower : c->upper)
		return already_defined(c, lower ? "lower" : "upper", x, x->value, e);
	if (lower)
		c->lower = x;
	else
		c->upper = x;
	return ST_OK;
}

/* P, with the bound's value if there is one, with what ends it.  P stays in c->room. */
static str
edge(struct compiler *c, const struct range_expr *bound, int tail)
{
	size_t n = c->room->n;
	str    s;

	if (bound)
		sortkey_add(c->room, bound->value);
	if (tail >= 0)
		buf_add_byte(c->room, (uint8_t)tail);
	s = arena_str(c->a, buf_str(c->room));
	c->room->n = n;
	return s;
}

static void
interval(struct compiler *c, size_t neq, struct key_range *ret)
{
	/* A key with all fields and _id has nothing behind it: its successor is K 00. */
	int succ = neq + (bounded(c) ? 1 : 0) == c->nfields ? 0x00 : 0xff;

	buf_reset(c->room);
	index_prefix(c->room, c->ix);
	for (size_t i = 0; i < neq; i++)
		sortkey_add(c->room, c->eq[i]);
	ret->lo = edge(c, c->lower, c->lower && c->lower->op == RANGE_GT ? succ : -1);
	if (!c->upper)
		ret->hi = edge(c, NULL, neq == c->nfields ? 0x00 : 0xff);
	else
		ret->hi = edge(c, c->upper, c->upper->op == RANGE_LTE ? succ : -1);
}

status
range_compile(struct arena *a, struct buf *room, str table, const struct index_info *ix,
    const struct range_expr *exprs, size_t n, struct key_range *ret, struct err *e)
{
	struct compiler c;
	size_t          neq = 0, total = 0;

	memset(&c, 0, sizeof c);
	c.a = a;
	c.room = room;
	c.table = table;
	c.ix = ix;
	must(ix->def.nfields + 1 < FIELDS_MAX);
	for (size_t i = 0; i < ix->def.nfields; i++)
		c.fields[c.nfields++] = ix->def.fields[i];
	c.fields[c.nfields++] = S("_id");
	for (size_t i = 0; i < n; i++)
		TRY(add(&c, &exprs[i], e));
	for (size_t i = 0; i < c.nfields; i++)
		total += c.has_eq[i];
	while (neq < c.nfields && c.has_eq[neq])
		neq++;
	if (neq < total || (bounded(&c) && position(&c, bounded(&c)->field) != neq))
		return out_of_order(&c, e);
	interval(&c, neq, ret);
	return ST_OK;
}

status
field_path_check(str path, str *ret, struct err *e)
{
	str rest;

	while (path.n && path.p[0] == '.')
		path = str_from(path, 1);
	while (path.n && path.p[path.n - 1] == '.')
		path.n--;
	*ret = rest = path;
	for (;;) {
		size_t dot = rest.n;

		(void)str_find_char(rest, '.', &dot);
		TRY(identifier_check(str_head(rest, dot), e));
		if (dot == rest.n)
			return ST_OK;
		rest = str_from(rest, dot + 1);
	}
}
