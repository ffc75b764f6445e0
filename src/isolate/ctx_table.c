/* ctx_table.c - what ctx.db.query("table") gives: a query with nothing chained onto it yet.
 *
 * The npm package's QueryInitializerImpl: withIndex() and withSearchIndex() choose the source,
 * every other method is the same method on a full table scan.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/ctx_query_int.h"

/* A query over this table with nothing chained yet; NULL with an exception. */
static struct cquery *
fresh_query(JSContext *ctx, JSValueConst this_val)
{
	struct run    *r = ctx_run(ctx);
	JSValue        name;
	struct cquery *cq;

	if (!r)
		return NULL;
	name = JS_GetProperty(ctx, this_val, engine_of(ctx)->cx->atoms.tableName);
	cq = ARENA_NEW(r->arena, struct cquery);
	cq->spec.index = STR_EMPTY;
	if (JS_IsException(name) || !js_to_str(ctx, name, r->arena, &cq->spec.table))
		cq = NULL;
	else if (identifier_check(cq->spec.table, NULL) != ST_OK)
		cquery_set_bad(r, cq, "FullTableScan", STR_EMPTY, STR_EMPTY);
	JS_FreeValue(ctx, name);
	return cq;
}

/* String(v) in the run's arena. */
static bool
text_of(JSContext *ctx, JSValueConst v, str *ret)
{
	size_t      n;
	const char *text = JS_ToCStringLen(ctx, &n, v);

	if (!text)
		return false;
	*ret = arena_str(engine_of(ctx)->run->arena, str_of(text, n));
	JS_FreeCString(ctx, text);
	return true;
}

static JSValue
with_index(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst   index = js_arg(argc, argv, 0);
	struct cquery *cq;
	struct ranges  ranges;

	(void)magic;
	if (!js_arg_given(ctx, index, 1, "withIndex", "indexName"))
		return JS_EXCEPTION;
	cq = fresh_query(ctx, this_val);
	if (!cq || !ctx_ranges_of(ctx, js_arg(argc, argv, 1), &ranges) ||
	    !text_of(ctx, index, &cq->spec.index))
		return JS_EXCEPTION;
	cq->spec.source = QUERY_INDEX_RANGE;
	cq->spec.range = ranges.v;
	cq->spec.nrange = ranges.n;
	cq->bad.p = NULL;
	if (ranges.bad.p || identifier_check(cq->spec.index, NULL) != ST_OK ||
	    identifier_check(cq->spec.table, NULL) != ST_OK)
		cquery_set_bad(engine_of(ctx)->run, cq, "IndexRange",
		    ranges.bad.p ? ranges.bad : STR_EMPTY, STR_EMPTY);
	return cquery_object(ctx, cq);
}

static JSValue
with_search_index(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst   index = js_arg(argc, argv, 0), callback = js_arg(argc, argv, 1);
	struct cquery *cq;
	struct run    *r;
	str            name, filters;
	struct buf     b;

	(void)magic;
	if (!js_arg_given(ctx, index, 1, "withSearchIndex", "indexName") ||
	    !js_arg_given(ctx, callback, 2, "withSearchIndex", "searchFilter"))
		return JS_EXCEPTION;
	cq = fresh_query(ctx, this_val);
	if (!cq || !text_of(ctx, index, &name) || !ctx_search_of(ctx, callback, &filters))
		return JS_EXCEPTION;
	r = engine_of(ctx)->run;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"type\":\"Search\",\"indexName\":");
	json_write_str(
	    &b, arena_fmt(r->arena, "%.*s.%.*s", STR_ARG(cq->spec.table), STR_ARG(name)));
	buf_addz(&b, ",\"filters\":[");
	buf_add(&b, filters);
	buf_addz(&b, "]}");
	cq->search = arena_str(r->arena, buf_str(&b));
	cq->bad.p = NULL;
	buf_clear(&b);
	return cquery_object(ctx, cq);
}

static JSValue
full_table_scan(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct cquery *cq = fresh_query(ctx, this_val);

	(void)argc, (void)argv, (void)magic;
	return cq ? cquery_object(ctx, cq) : JS_EXCEPTION;
}

/* The same operator on a full table scan. */
static JSValue
scan_then(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int method)
{
	JSValue scan = full_table_scan(ctx, this_val, 0, NULL, 0), ret;

	if (JS_IsException(scan))
		return method >= Q_NEXT ? js_promise_of_read(ctx, scan) : scan;
	ret = cquery_method(ctx, scan, argc, argv, method);
	JS_FreeValue(ctx, scan);
	return ret;
}

static JSValue
count_documents(JSContext *ctx, JSValueConst this_val)
{
	struct cquery *cq = fresh_query(ctx, this_val);
	struct run    *r = engine_of(ctx)->run;
	struct err     e;
	double         n;

	if (!cq)
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_count(engine_of(ctx), cq->spec.table, &n, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return JS_NewNumber(ctx, n);
}

static JSValue
count(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)argc, (void)argv, (void)magic;
	return js_promise_of(ctx, count_documents(ctx, this_val));
}

JSValue
ctx_initializer_new(JSContext *ctx, JSValueConst table_name)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           ret = JS_NewObjectProto(ctx, cx->initializer_proto);

	if (JS_IsException(ret) ||
	    js_put(ctx, ret, cx->atoms.tableName, JS_DupValue(ctx, table_name)))
		return ret;
	JS_FreeValue(ctx, ret);
	return JS_EXCEPTION;
}

bool
ctx_result_ok(JSContext *ctx, JSValueConst v)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           proto;
	bool              is_query;

	if (!JS_IsObject(v) || JS_IsProxy(v))
		return true;
	proto = JS_GetPrototype(ctx, v);
	is_query = JS_GetClassID(v) == cx->query || (JS_IsObject(proto) &&
	    JS_VALUE_GET_PTR(proto) == JS_VALUE_GET_PTR(cx->initializer_proto));
	JS_FreeValue(ctx, proto);
	if (is_query)
		js_throw_text(ctx, JSE_ERROR,
		    S("Return value is a Query. Results must be retrieved with "
		      "`.collect()`, `.take(n), `.unique()`, or `.first()`."));
	return !is_query;
}

/* --- set-up --- */

bool
ctx_initializer_install(struct engine *en)
{
	static const struct method methods[] = {
		{ "withIndex", 2, with_index, 0 }, { "withSearchIndex", 2, with_search_index, 0 },
		{ "fullTableScan", 0, full_table_scan, 0 }, { "order", 1, scan_then, Q_ORDER },
		{ "count", 0, count, 0 }, { "filter", 1, scan_then, Q_FILTER },
		{ "limit", 1, scan_then, Q_LIMIT }, { "collect", 0, scan_then, Q_COLLECT },
		{ "take", 1, scan_then, Q_TAKE }, { "paginate", 1, scan_then, Q_PAGINATE },
		{ "first", 0, scan_then, Q_FIRST }, { "unique", 0, scan_then, Q_UNIQUE },
		{ "@@asyncIterator", 0, scan_then, Q_START },
	};
	struct ctx_state *cx = en->cx;

	cx->initializer_proto = JS_NewObject(en->ctx);
	return js_methods(en->ctx, cx->initializer_proto, methods, COUNT_OF(methods), false);
}
