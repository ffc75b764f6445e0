/* ctx_query.c - query objects: what ctx.db.query("t") gives and what is chained onto it.
 *
 * The states are those of the npm package's QueryImpl: preparing until it is chained (closed)
 * or iterated (executing, then consumed).  The spec grows with each operator in the run's
 * arena; the object's opaque pointer is its struct cquery there.
 *
 * Thread: the isolate's.  Memory: the run's arena; open queries belong to the transaction.
 */
#include <math.h>

#include "isolate/ctx_query_int.h"

#define OPERATORS_MAX 256

JSValue
cquery_object(JSContext *ctx, struct cquery *cq)
{
	JSValue object = JS_NewObjectClass(ctx, engine_of(ctx)->cx->query);

	if (!JS_IsException(object))
		JS_SetOpaque(object, cq);
	return object;
}

static struct cquery *
query_of(JSContext *ctx, JSValueConst this_val)
{
	if (!ctx_run(ctx))
		return NULL;
	return ctx_payload_this(ctx, this_val, engine_of(ctx)->cx->query);
}

/* --- malformed parts: refused by the parser, at the start --- */

void
cquery_set_bad(struct run *r, struct cquery *cq, const char *source, str range, str operator)
{
	struct buf b;

	if (cq->bad.p)
		return;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "{\"source\":{\"type\":\"%s\",\"tableName\":", source);
	json_write_str(&b, cq->spec.table);
	buf_addz(&b, ",\"indexName\":");
	json_write_str(&b, arena_fmt(r->arena, "%.*s.%.*s", STR_ARG(cq->spec.table),
	    STR_ARG(cq->spec.index)));
	buf_fmt(&b, ",\"range\":[%.*s]},\"operators\":[%.*s]}", STR_ARG(range), STR_ARG(operator));
	cq->bad = arena_str(r->arena, buf_str(&b));
	buf_clear(&b);
}

static status
parse_query(struct run *r, str text, const char *method, struct query_spec *ret, struct err *e)
{
	struct json *j;

	TRY(json_parse(r->arena, text, &j, e));
	return query_spec_parse(r->arena, j, method, ret, e);
}

/* Settles what building left to the parser. */
static status
check_spec(struct run *r, struct cquery *cq, const char *method, struct err *e)
{
	struct query_spec parsed;

	if (cq->spec.nops > OPERATORS_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `query` for `%s`: Can't construct query with more than %d "
		    "operators",
		    method, OPERATORS_MAX);
	if (cq->search.p) {
		TRY(parse_query(r, arena_fmt(r->arena, "{\"source\":%.*s,\"operators\":[]}",
		    STR_ARG(cq->search)), method, &parsed, e));
		parsed.ops = cq->spec.ops;
		parsed.nops = cq->spec.nops;
		cq->spec = parsed;
	}
	if (!cq->bad.p)
		return ST_OK;
	TRY(parse_query(r, cq->bad, method, &parsed, e));
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument", "Invalid argument `query` for `%s`",
	    method);
}

/* --- states --- */

static bool
throw_closed(JSContext *ctx, const struct cquery *cq)
{
	js_throw_text(ctx, JSE_ERROR, cq->state == CONSUMED ?
	    S("This query is closed and can't emit any more values.") :
	    S("This query has been chained with another operator and can't be reused."));
	return false;
}

/* takeQuery(): this object is spent, `*ret` is a copy to go on with. */
static bool
take_query(JSContext *ctx, struct cquery *cq, struct cquery **ret)
{
	struct run *r = engine_of(ctx)->run;

	if (cq->state != PREPARING) {
		js_throw_text(ctx, JSE_ERROR,
		    S("A query can only be chained once and can't be chained "
		      "after iteration begins."));
		return false;
	}
	cq->state = CLOSED;
	*ret = ARENA_NEW(r->arena, struct cquery);
	**ret = *cq;
	(*ret)->state = PREPARING;
	return true;
}

static bool
start_query(JSContext *ctx, struct cquery *cq)
{
	struct run *r = engine_of(ctx)->run;
	struct err  e = err_in(r->arena);

	if (cq->state == EXECUTING) {
		js_throw_text(ctx, JSE_ERROR, S("Iteration can only begin on a query once."));
		return false;
	}
	if (cq->state != PREPARING)
		return throw_closed(ctx, cq);
	if (check_spec(r, cq, "queryStream", &e) != ST_OK ||
	    op_query_open(engine_of(ctx), &cq->spec, &cq->q, &e) != ST_OK) {
		js_throw_err(ctx, &e);
		return false;
	}
	cq->state = EXECUTING;
	return true;
}

static void
close_query(struct cquery *cq)
{
	if (cq->state == EXECUTING)
		query_close(cq->q);
	cq->q = NULL;
	cq->state = CONSUMED;
}

/* --- operators --- */

static void
add_operator(struct run *r, struct cquery *cq, struct query_op op)
{
	struct query_op *ops;

	if (cq->spec.nops > OPERATORS_MAX) /* refused at the start: one too many is enough */
		return;
	ops = ARENA_ARRAY(r->arena, struct query_op, cq->spec.nops + 1);
	if (cq->spec.nops)
		memcpy(ops, cq->spec.ops, cq->spec.nops * sizeof *ops);
	ops[cq->spec.nops++] = op;
	cq->spec.ops = ops;
}

static JSValue
do_order(JSContext *ctx, struct cquery *cq, int argc, JSValueConst *argv)
{
	JSValueConst order = js_arg(argc, argv, 0);
	const char  *text;

	if (!js_arg_given(ctx, order, 1, "order", "order") || !take_query(ctx, cq, &cq))
		return JS_EXCEPTION;
	if (cq->search.p)
		return js_throw_text(ctx, JSE_ERROR,
		    S("Search queries must always be in relevance order. Can not set order "
		      "manually."));
	if (cq->ordered)
		return js_throw_text(ctx, JSE_ERROR,
		    S("Queries may only specify order at most once"));
	cq->ordered = !JS_IsNull(order);
	text = JS_IsString(order) ? JS_ToCString(ctx, order) : "";
	if (!text)
		return JS_EXCEPTION;
	cq->spec.desc = strcmp(text, "desc") == 0;
	if (cq->ordered && !cq->spec.desc && strcmp(text, "asc") != 0 && !cq->bad.p)
		cq->bad =
		    S("{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":1}}");
	if (JS_IsString(order))
		JS_FreeCString(ctx, text);
	return cquery_object(ctx, cq);
}

static JSValue
do_filter(JSContext *ctx, struct cquery *cq, int argc, JSValueConst *argv)
{
	struct ctx_state  *cx = engine_of(ctx)->cx;
	struct run        *r = engine_of(ctx)->run;
	JSValueConst       predicate = js_arg(argc, argv, 0);
	const struct expr *x;
	JSValue            result;
	str                bad;
	bool               ok;

	if (!js_arg_given(ctx, predicate, 1, "filter", "predicate") || !take_query(ctx, cq, &cq))
		return JS_EXCEPTION;
	if (cq->spec.nops >= OPERATORS_MAX)
		return js_throw_fmt(ctx, JSE_ERROR,
		    "Can't construct query with more than %d operators", OPERATORS_MAX);
	result = ctx_call(ctx, predicate, "predicate", 1, &cx->filter_builder);
	ok = !JS_IsException(result) && ctx_expr_of(ctx, result, &x, &bad);
	JS_FreeValue(ctx, result);
	if (!ok)
		return JS_EXCEPTION;
	if (bad.p)
		cquery_set_bad(r, cq, "FullTableScan", STR_EMPTY,
		    arena_fmt(r->arena, "{\"filter\":%.*s}", STR_ARG(bad)));
	add_operator(r, cq, (struct query_op){ .filter = x });
	return cquery_object(ctx, cq);
}

static JSValue
do_limit(JSContext *ctx, struct cquery *cq, int argc, JSValueConst *argv)
{
	struct run  *r = engine_of(ctx)->run;
	JSValueConst n = js_arg(argc, argv, 0);
	double       d = -1;

	if (!js_arg_given(ctx, n, 1, "limit", "n") || !take_query(ctx, cq, &cq))
		return JS_EXCEPTION;
	if (JS_IsNumber(n) && JS_ToFloat64(ctx, &d, n) < 0)
		return JS_EXCEPTION;
	if (!(d >= 0) || d > 9007199254740992.0 || d != floor(d)) {
		cquery_set_bad(r, cq, "FullTableScan", STR_EMPTY, S("{\"limit\":-1}"));
		d = 0;
	}
	add_operator(r, cq, (struct query_op){ .limit = (uint64_t)d });
	return cquery_object(ctx, cq);
}

/* --- reading --- */

static JSValue
do_start(JSContext *ctx, JSValueConst this_val, struct cquery *cq)
{
	return start_query(ctx, cq) ? JS_DupValue(ctx, this_val) : JS_EXCEPTION;
}

/* One document or *ret_done; false with an exception. */
static bool
read_one(JSContext *ctx, struct cquery *cq, bool *ret_done, JSValue *ret)
{
	struct err  e = err_in(engine_of(ctx)->run->arena);
	struct doc *d;

	if (op_query_next(engine_of(ctx), cq->q, &d, &e) != ST_OK) {
		ctx_throw_err(ctx, &e);
		return false;
	}
	*ret_done = !d;
	*ret = d ? js_from_val(ctx, doc_val(d)) : JS_NULL;
	return !JS_IsException(*ret);
}

static JSValue
iteration(JSContext *ctx, JSValue value, bool done)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           ret = JS_NewObject(ctx);

	if (!js_put(ctx, ret, cx->atoms.value, value) ||
	    !js_put(ctx, ret, cx->atoms.done, JS_NewBool(ctx, done))) {
		JS_FreeValue(ctx, ret);
		return JS_EXCEPTION;
	}
	return ret;
}

static JSValue
do_next(JSContext *ctx, struct cquery *cq)
{
	JSValue v;
	bool    done;

	if (cq->state == CLOSED || cq->state == CONSUMED) {
		throw_closed(ctx, cq);
		return JS_EXCEPTION;
	}
	if (cq->state == PREPARING && !start_query(ctx, cq))
		return JS_EXCEPTION;
	if (!read_one(ctx, cq, &done, &v))
		return JS_EXCEPTION;
	if (done)
		close_query(cq);
	return iteration(ctx, v, done);
}

static JSValue
do_return(JSContext *ctx, struct cquery *cq)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           ret = JS_NewObject(ctx);

	close_query(cq);
	if (!js_put(ctx, ret, cx->atoms.done, JS_TRUE) ||
	    !js_put(ctx, ret, cx->atoms.value, JS_UNDEFINED)) {
		JS_FreeValue(ctx, ret);
		return JS_EXCEPTION;
	}
	return ret;
}

/* Everything that is left, as a C array: `rows` is the caller's to free. */
struct rows {
	VEC(JSValue) v;
};

static void
rows_free(JSContext *ctx, struct rows *rows)
{
	for (size_t i = 0; i < rows->v.n; i++)
		JS_FreeValue(ctx, rows->v.v[i]);
	vec_clear(&rows->v);
}

static bool
read_rows(JSContext *ctx, struct cquery *cq, struct rows *ret)
{
	JSValue v;
	bool    done = false;

	if (!start_query(ctx, cq))
		return false;
	for (;;) {
		if (!read_one(ctx, cq, &done, &v))
			return false;
		if (done)
			break;
		vec_push(&ret->v, v);
	}
	close_query(cq);
	return true;
}

static JSValue
do_collect(JSContext *ctx, struct cquery *cq)
{
	struct rows rows = { 0 };
	JSValue     ret = JS_EXCEPTION;
	UNDO_ON_JUMP(undo_mem, &rows.v.v);

	if (read_rows(ctx, cq, &rows)) {
		ret = JS_NewArrayFrom(ctx, (int)rows.v.n, rows.v.v);
		rows.v.n = 0; /* now the array's */
	}
	rows_free(ctx, &rows);
	return ret;
}

/* limit(n) and then everything. */
static struct cquery *
take_limited(JSContext *ctx, struct cquery *cq, uint64_t n)
{
	if (!take_query(ctx, cq, &cq))
		return NULL;
	add_operator(engine_of(ctx)->run, cq, (struct query_op){ .limit = n });
	return cq;
}

static JSValue
do_take(JSContext *ctx, struct cquery *cq, int argc, JSValueConst *argv)
{
	JSValueConst n = js_arg(argc, argv, 0);
	double       d = -1;

	if (!js_arg_given(ctx, n, 1, "take", "n"))
		return JS_EXCEPTION;
	if (JS_IsNumber(n) && JS_ToFloat64(ctx, &d, n) < 0)
		return JS_EXCEPTION;
	if (!(d >= 0) || isinf(d) || d != floor(d))
		return js_throw_text(ctx, JSE_TYPE,
		    S("Arg 1 `n` to `take` must be a non-negative integer"));
	cq = take_limited(ctx, cq, d > 9007199254740992.0 ? UINT64_MAX : (uint64_t)d);
	return cq ? do_collect(ctx, cq) : JS_EXCEPTION;
}

static JSValue
do_first(JSContext *ctx, struct cquery *cq)
{
	struct rows rows = { 0 };
	JSValue     ret = JS_EXCEPTION;

	cq = take_limited(ctx, cq, 1);
	if (cq && read_rows(ctx, cq, &rows))
		ret = rows.v.n ? JS_DupValue(ctx, rows.v.v[0]) : JS_NULL;
	rows_free(ctx, &rows);
	return ret;
}

static JSValue
throw_not_unique(JSContext *ctx, const struct cquery *cq, const struct rows *rows)
{
	JSValue     id0 = JS_GetPropertyStr(ctx, rows->v.v[0], "_id");
	JSValue     id1 = JS_GetPropertyStr(ctx, rows->v.v[1], "_id");
	const char *text0 = JS_ToCString(ctx, id0), *text1 = JS_ToCString(ctx, id1);

	if (text0 && text1)
		js_throw_fmt(ctx, JSE_ERROR,
		    "unique() query returned more than one result from table %.*s:\n [%s, %s, ...]",
		    STR_ARG(cq->spec.table), text0, text1);
	JS_FreeCString(ctx, text0);
	JS_FreeCString(ctx, text1);
	JS_FreeValue(ctx, id0);
	JS_FreeValue(ctx, id1);
	return JS_EXCEPTION;
}

static JSValue
do_unique(JSContext *ctx, struct cquery *cq)
{
	struct rows rows = { 0 };
	JSValue     ret = JS_EXCEPTION;

	cq = take_limited(ctx, cq, 2);
	if (cq && read_rows(ctx, cq, &rows))
		ret = rows.v.n > 1 ? throw_not_unique(ctx, cq, &rows) :
		    rows.v.n ? JS_DupValue(ctx, rows.v.v[0]) : JS_NULL;
	rows_free(ctx, &rows);
	return ret;
}

static JSValue
do_paginate(JSContext *ctx, struct cquery *cq, int argc, JSValueConst *argv)
{
	struct run      *r = engine_of(ctx)->run;
	struct err       e = err_in(r->arena);
	struct page_opts opts;

	if (!ctx_page_opts(ctx, js_arg(argc, argv, 0), &opts) || !take_query(ctx, cq, &cq) ||
	    !ctx_page_cursors(ctx, js_arg(argc, argv, 0), &opts))
		return JS_EXCEPTION;
	if (check_spec(r, cq, "queryPage", &e) != ST_OK)
		return js_throw_err(ctx, &e);
	return ctx_page(ctx, &cq->spec, &opts);
}

/* --- QueryImpl --- */

static JSValue
query_do(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int method)
{
	struct cquery *cq = query_of(ctx, this_val);

	if (!cq)
		return JS_EXCEPTION;
	switch ((enum query_method)method) {
	case Q_ORDER:
		return do_order(ctx, cq, argc, argv);
	case Q_FILTER:
		return do_filter(ctx, cq, argc, argv);
	case Q_LIMIT:
		return do_limit(ctx, cq, argc, argv);
	case Q_START:
		return do_start(ctx, this_val, cq);
	case Q_NEXT:
		return do_next(ctx, cq);
	case Q_RETURN:
		return do_return(ctx, cq);
	case Q_PAGINATE:
		return do_paginate(ctx, cq, argc, argv);
	case Q_COLLECT:
		return do_collect(ctx, cq);
	case Q_TAKE:
		return do_take(ctx, cq, argc, argv);
	case Q_FIRST:
		return do_first(ctx, cq);
	case Q_UNIQUE:
		return do_unique(ctx, cq);
	}
	return JS_UNDEFINED;
}

JSValue
cquery_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int method)
{
	JSValue ret = query_do(ctx, this_val, argc, argv, method);

	return method >= Q_NEXT ? js_promise_of_read(ctx, ret) : ret;
}

/* --- set-up --- */

bool
ctx_query_install(struct engine *en)
{
	static const JSClassDef    def = { .class_name = "QueryImpl" };
	static const struct method query[] = {
		{ "order", 1, cquery_method, Q_ORDER },
		{ "filter", 1, cquery_method, Q_FILTER },
		{ "limit", 1, cquery_method, Q_LIMIT },
		{ "@@asyncIterator", 0, cquery_method, Q_START },
		{ "next", 0, cquery_method, Q_NEXT },
		{ "return", 0, cquery_method, Q_RETURN },
		{ "paginate", 1, cquery_method, Q_PAGINATE },
		{ "collect", 0, cquery_method, Q_COLLECT },
		{ "take", 1, cquery_method, Q_TAKE },
		{ "first", 0, cquery_method, Q_FIRST },
		{ "unique", 0, cquery_method, Q_UNIQUE },
	};
	struct ctx_state *cx = en->cx;
	JSValue           proto = JS_NewObject(en->ctx);
	bool              ok;

	JS_NewClassID(en->rt, &cx->query);
	ok = JS_NewClass(en->rt, cx->query, &def) == 0 &&
	    js_methods(en->ctx, proto, query, COUNT_OF(query), false);
	JS_SetClassProto(en->ctx, cx->query, proto);
	return ok && ctx_initializer_install(en);
}
