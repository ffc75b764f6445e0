/* ctx_range.c - the builders of index ranges and of search filters.
 *
 * q => q.eq("channel", c).gt("_creationTime", t): each step consumes its builder and gives a
 * new one; withIndex() takes what the callback returns.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/ctx_int.h"

struct search_filters { /* the payload of a search filter builder: JSON array elements */
	bool consumed;
	str  json;
};

#define CLAUSES_MAX 64 /* no index has half as many fields: more of them never compile */
#define SEARCH_MAX  ((size_t)64 << 10) /* bytes of JSON */

static const char *const op_names[] = { "Eq", "Gt", "Gte", "Lt", "Lte" }; /* enum range_op */

static bool
consume(JSContext *ctx, bool *consumed, bool search)
{
	if (!*consumed) {
		*consumed = true;
		return true;
	}
	js_throw_text(ctx, JSE_ERROR, search ?
	    S("SearchFilterBuilder has already been used! Chain your method calls like "
	      "`q => q.search(...).eq(...)`.") :
	    S("IndexRangeBuilder has already been used! Chain your method calls like "
	      "`q => q.eq(...).eq(...)`. See https://docs.convex.dev/using/indexes"));
	return false;
}

static JSValue
builder_object(JSContext *ctx, JSClassID id, void *payload)
{
	JSValue object = JS_NewObjectClass(ctx, id);

	if (!JS_IsException(object))
		JS_SetOpaque(object, payload);
	return object;
}

/* Appends JSON.stringify(v); "null" if that is undefined. */
static bool
add_json(JSContext *ctx, struct buf *b, JSValueConst v)
{
	JSValue     json = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
	const char *text;

	if (JS_IsException(json))
		return false;
	text = JS_IsUndefined(json) ? NULL : JS_ToCString(ctx, json);
	buf_addz(b, text ? text : "null");
	JS_FreeCString(ctx, text);
	JS_FreeValue(ctx, json);
	return true;
}

/* {"type":"Eq","fieldPath":f,"value":v} as the npm package would send it; into the arena. */
static bool
clause_json(JSContext *ctx, const char *type, JSValueConst field, struct val value, str *ret)
{
	struct buf b;
	bool       ok;

	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_fmt(&b, "{\"type\":\"%s\",\"fieldPath\":", type);
	ok = add_json(ctx, &b, field);
	buf_addz(&b, ",\"value\":");
	vjson_write(&b, value, VJSON_ENCODED);
	buf_add_byte(&b, '}');
	if (ok)
		*ret = arena_str(engine_of(ctx)->run->arena, buf_str(&b));
	buf_clear(&b);
	return ok;
}

/* --- index ranges --- */

static struct ranges *
ranges_copy(struct run *r, const struct ranges *from)
{
	struct ranges *to = ARENA_NEW(r->arena, struct ranges);

	*to = *from;
	to->consumed = false;
	return to;
}

static JSValue
range_step(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ctx_state  *cx = engine_of(ctx)->cx;
	struct ranges     *from = ctx_payload_this(ctx, this_val, cx->range), *to;
	struct run        *r = from ? ctx_run(ctx) : NULL;
	struct range_expr *v, *last;
	JSValueConst       field = js_arg(argc, argv, 0);

	if (!r || !consume(ctx, &from->consumed, false))
		return JS_EXCEPTION;
	if (from->n >= CLAUSES_MAX)
		return builder_object(ctx, cx->range, ranges_copy(r, from));
	v = ARENA_ARRAY(r->arena, struct range_expr, from->n + 1);
	last = &v[from->n];
	if (from->n)
		memcpy(v, from->v, from->n * sizeof *v);
	last->op = (enum range_op)magic;
	last->field = STR_EMPTY;
	if (!js_to_val(ctx, js_arg(argc, argv, 1), TO_VAL_UNDEFINED_OK, r->arena, &last->value))
		return JS_EXCEPTION;
	if (JS_IsString(field) && !js_to_str(ctx, field, r->arena, &last->field))
		return JS_EXCEPTION;
	to = ranges_copy(r, from);
	to->v = v;
	to->n++;
	if (!to->bad.p && !ctx_path_ok(last->field) &&
	    !clause_json(ctx, op_names[magic], field, last->value, &to->bad))
		return JS_EXCEPTION;
	return builder_object(ctx, cx->range, to);
}

/* The array of clauses that the npm package's builder exports. */
static JSValue
range_export(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ranges *from = ctx_payload_this(ctx, this_val, engine_of(ctx)->cx->range);
	struct buf     b;
	JSValue        ret;

	(void)argc, (void)argv, (void)magic;
	if (!from || !consume(ctx, &from->consumed, false))
		return JS_EXCEPTION;
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_add_byte(&b, '[');
	for (size_t i = 0; i < from->n; i++) {
		buf_fmt(
		    &b, "%s{\"type\":\"%s\",\"fieldPath\":", i ? "," : "", op_names[from->v[i].op]);
		json_write_str(&b, from->v[i].field);
		buf_addz(&b, ",\"value\":");
		vjson_write(&b, from->v[i].value, VJSON_ENCODED);
		buf_add_byte(&b, '}');
	}
	buf_add_byte(&b, ']');
	ret = js_from_json(ctx, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* What a callback returned that is not our builder: only its export() counts. */
static bool
refuse_foreign(JSContext *ctx, JSValueConst v)
{
	JSValue exported;

	if (JS_IsUndefined(v) || JS_IsNull(v)) {
		js_throw_fmt(ctx, JSE_TYPE, "Cannot read properties of %s (reading 'export')",
		    JS_IsNull(v) ? "null" : "undefined");
		return false;
	}
	exported = ctx_invoke(ctx, v, "range", "export", 0, NULL);
	if (!JS_IsException(exported))
		js_throw_text(ctx, JSE_TYPE, S("the builder's own methods must make the range"));
	JS_FreeValue(ctx, exported);
	return false;
}

bool
ctx_ranges_of(JSContext *ctx, JSValueConst callback, struct ranges *ret)
{
	struct engine *en = engine_of(ctx);
	struct ranges *r;
	JSValue        builder, result;
	bool           ok;

	*ret = (struct ranges){ 0 };
	if (JS_IsUndefined(callback))
		return true;
	builder = builder_object(ctx, en->cx->range, ARENA_NEW(en->run->arena, struct ranges));
	if (JS_IsException(builder))
		return false;
	result = ctx_call(ctx, callback, "indexRange", 1, &builder);
	JS_FreeValue(ctx, builder);
	if (JS_IsException(result))
		return false;
	r = ctx_payload(ctx, result, en->cx->range);
	ok = r ? consume(ctx, &r->consumed, false) : refuse_foreign(ctx, result);
	if (ok)
		*ret = *r;
	JS_FreeValue(ctx, result);
	return ok;
}

/* --- search filters --- */

enum { SEARCH_SEARCH, SEARCH_EQ };

static bool
search_args(JSContext *ctx, int argc, JSValueConst *argv, int magic)
{
	if (magic == SEARCH_SEARCH)
		return js_arg_given(ctx, js_arg(argc, argv, 0), 1, "search", "fieldName") &&
		    js_arg_given(ctx, js_arg(argc, argv, 1), 2, "search", "query");
	if (!js_arg_given(ctx, js_arg(argc, argv, 0), 1, "eq", "fieldName"))
		return false;
	/* An explicit undefined is allowed. */
	return argc == 2 || js_arg_given(ctx, js_arg(argc, argv, 1), 2, "search", "value");
}

static JSValue
search_step(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ctx_state      *cx = engine_of(ctx)->cx;
	struct search_filters *from = ctx_payload_this(ctx, this_val, cx->search), *to;
	struct run            *r = from ? ctx_run(ctx) : NULL;
	struct val             value;
	str                    clause;

	if (!r || !search_args(ctx, argc, argv, magic) || !consume(ctx, &from->consumed, true))
		return JS_EXCEPTION;
	if (!js_to_val(ctx, js_arg(argc, argv, 1), TO_VAL_UNDEFINED_OK, r->arena, &value) ||
	    !clause_json(ctx, magic == SEARCH_EQ ? "Eq" : "Search", argv[0], value, &clause))
		return JS_EXCEPTION;
	if (from->json.n + clause.n > SEARCH_MAX)
		return js_throw_text(ctx, JSE_ERROR, S("The search filter is too large"));
	to = ARENA_NEW(r->arena, struct search_filters);
	to->json = from->json.n ?
	    arena_fmt(r->arena, "%.*s,%.*s", STR_ARG(from->json), STR_ARG(clause)) : clause;
	return builder_object(ctx, cx->search, to);
}

bool
ctx_search_of(JSContext *ctx, JSValueConst callback, str *ret_filters)
{
	struct engine         *en = engine_of(ctx);
	struct search_filters *s;
	JSValue                builder, result;
	bool                   ok;

	builder = builder_object(ctx, en->cx->search,
	    ARENA_NEW(en->run->arena, struct search_filters));
	if (JS_IsException(builder))
		return false;
	result = ctx_call(ctx, callback, "searchFilter", 1, &builder);
	JS_FreeValue(ctx, builder);
	if (JS_IsException(result))
		return false;
	s = ctx_payload(ctx, result, en->cx->search);
	ok = s ? consume(ctx, &s->consumed, true) : refuse_foreign(ctx, result);
	if (ok)
		*ret_filters = s->json.p ? s->json : STR_EMPTY;
	JS_FreeValue(ctx, result);
	return ok;
}

/* --- set-up --- */

bool
ctx_range_install(struct engine *en)
{
	static const JSClassDef    range = { .class_name = "IndexRangeBuilderImpl" };
	static const JSClassDef    search = { .class_name = "SearchFilterBuilderImpl" };
	static const struct method range_methods[] = {
		{ "eq", 2, range_step, RANGE_EQ }, { "gt", 2, range_step, RANGE_GT },
		{ "gte", 2, range_step, RANGE_GTE }, { "lt", 2, range_step, RANGE_LT },
		{ "lte", 2, range_step, RANGE_LTE }, { "export", 0, range_export, 0 },
	};
	static const struct method search_methods[] = {
		{ "search", 2, search_step, SEARCH_SEARCH }, { "eq", 2, search_step, SEARCH_EQ },
	};
	struct ctx_state *cx = en->cx;
	JSValue           range_proto = JS_NewObject(en->ctx), search_proto = JS_NewObject(en->ctx);
	bool              ok;

	ok = js_methods(en->ctx, range_proto, range_methods, COUNT_OF(range_methods), false) &&
	    js_methods(en->ctx, search_proto, search_methods, COUNT_OF(search_methods), false);
	JS_NewClassID(en->rt, &cx->range);
	JS_NewClassID(en->rt, &cx->search);
	ok = ok && JS_NewClass(en->rt, cx->range, &range) == 0 &&
	    JS_NewClass(en->rt, cx->search, &search) == 0;
	JS_SetClassProto(en->ctx, cx->range, range_proto);
	JS_SetClassProto(en->ctx, cx->search, search_proto);
	return ok;
}
