/* query_parse.c - query JSON (spec 03 section 6.2) to a query_spec.
 *
 * Thread: any.  Memory: the given arena.
 */
#include "database/range_int.h"
#include "database/txn_int.h"
#include "value/vjson.h"

#define OPERATORS_MAX 256

static status
malformed(struct err *e, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument", "%s", what);
}

/* "messages.by_channel" */
static status
parse_index_name(struct arena *a, const struct json *source, struct query_spec *q, struct err *e)
{
	str    ref;
	size_t dot, second;

	if (!json_get_str(source, "indexName", &ref))
		return malformed(e, "missing field `indexName`");
	if (!str_find_char(ref, '.', &dot))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Insufficient components in index name %.*s", STR_ARG(ref));
	q->table = arena_str(a, str_head(ref, dot));
	q->index = arena_str(a, str_from(ref, dot + 1));
	if (str_find_char(q->index, '.', &second))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Too many components in index name %.*s", STR_ARG(ref));
	TRY(identifier_check(q->table, e));
	return identifier_check(q->index, e);
}

static status
parse_order(const struct json *source, struct query_spec *q, struct err *e)
{
	const struct json *order = json_get(source, "order");

	if (json_is_null(order))
		return ST_OK;
	if (order->kind != JSON_STRING)
		return malformed(e, "`order` must be \"asc\", \"desc\" or null");
	q->desc = str_eq(order->string, S("desc"));
	if (!q->desc && !str_eq(order->string, S("asc")))
		return malformed(e, "`order` must be \"asc\", \"desc\" or null");
	return ST_OK;
}

static status
parse_range_value(struct arena *a, const struct json *j, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	if (!j)
		return malformed(e, "missing field `value`");
	pack_init(&p);
	st = vjson_read(&p, j, VJSON_UNDEFINED | VJSON_COMMIT_TS, e);
	if (st == ST_OK)
		st = pack_done_in(&p, a, ret, e);
	pack_clear(&p);
	return st;
}

static status
parse_range_expr(struct arena *a, const struct json *j, struct range_expr *ret, struct err *e)
{
	static const str names[] = { [RANGE_EQ] = { "Eq", 2 }, [RANGE_GT] = { "Gt", 2 },
		[RANGE_GTE] = { "Gte", 3 }, [RANGE_LT] = { "Lt", 2 }, [RANGE_LTE] = { "Lte", 3 } };
	str    type, path;
	size_t op = 0;

	if (!json_get_str(j, "type", &type) || !json_get_str(j, "fieldPath", &path))
		return malformed(e, "a range expression needs `type` and `fieldPath`");
	while (op < COUNT_OF(names) && !str_eq(type, names[op]))
		op++;
	if (op == COUNT_OF(names))
		return malformed(e, "unknown type of range expression");
	ret->op = (enum range_op)op;
	TRY(field_path_check(path, &path, e));
	ret->field = arena_str(a, path);
	return parse_range_value(a, json_get(j, "value"), &ret->value, e);
}

static status
parse_range(struct arena *a, const struct json *source, struct query_spec *q, struct err *e)
{
	const struct json *range = json_get(source, "range");
	struct range_expr *exprs;

	if (!range || range->kind != JSON_ARRAY)
		return malformed(e, "missing field `range`");
	exprs = ARENA_ARRAY(a, struct range_expr, range->n + 1);
	for (size_t i = 0; i < range->n; i++)
		TRY(parse_range_expr(a, &range->items[i], &exprs[i], e));
	q->range = exprs;
	q->nrange = range->n;
	return ST_OK;
}

static status
parse_source(struct arena *a, const struct json *source, struct query_spec *q, struct err *e)
{
	str type = STR_EMPTY;

	(void)json_get_str(source, "type", &type);
	if (str_eq(type, S("FullTableScan"))) {
		q->source = QUERY_FULL_SCAN;
		if (!json_get_str(source, "tableName", &q->table))
			return malformed(e, "missing field `tableName`");
		q->table = arena_str(a, q->table);
		TRY(identifier_check(q->table, e));
		return parse_order(source, q, e);
	}
	if (str_eq(type, S("IndexRange"))) {
		q->source = QUERY_INDEX_RANGE;
		TRY(parse_index_name(a, source, q, e));
		TRY(parse_order(source, q, e));
		return parse_range(a, source, q, e);
	}
	if (!str_eq(type, S("Search")))
		return malformed(e, "unknown type of query source");
	q->source = QUERY_SEARCH;
	return parse_index_name(a, source, q, e);
}

static status
parse_operator(struct arena *a, const struct json *j, struct query_op *ret, struct err *e)
{
	const struct json *filter = json_get(j, "filter");
	double             limit;

	if (filter)
		return expr_parse(a, filter, &ret->filter, e);
	if (!json_get_num(j, "limit", &limit) || !(limit >= 0) || limit > 9007199254740992.0 ||
	    limit != (double)(uint64_t)limit)
		return malformed(e, "an operator is a `filter` or a `limit`");
	ret->limit = (uint64_t)limit;
	return ST_OK;
}

static status
parse_operators(struct arena *a, const struct json *j, struct query_spec *q, struct err *e)
{
	const struct json *list = json_get(j, "operators");
	struct query_op   *ops;

	if (!list || list->kind != JSON_ARRAY)
		return malformed(e, "missing field `operators`");
	if (list->n > OPERATORS_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Can't construct query with more than %d operators", OPERATORS_MAX);
	ops = ARENA_ARRAY(a, struct query_op, list->n + 1);
	for (size_t i = 0; i < list->n; i++)
		TRY(parse_operator(a, &list->items[i], &ops[i], e));
	q->ops = ops;
	q->nops = list->n;
	return ST_OK;
}

status
query_spec_parse(struct arena *a, const struct json *j, const char *method,
    struct query_spec *ret, struct err *e)
{
	struct query_spec q;
	status            st;

	memset(&q, 0, sizeof q);
	st = parse_source(a, json_get(j, "source"), &q, e);
	if (st == ST_OK)
		st = parse_operators(a, j, &q, e);
	if (st != ST_OK)
		return bad_argument(e, "query", method);
	*ret = q;
	return ST_OK;
}
