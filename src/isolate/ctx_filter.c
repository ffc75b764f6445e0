/* ctx_filter.c - the builder of filter expressions: q => q.eq(q.field("a"), 1).
 *
 * An expression object points to its struct expr in the run's arena.  serialize() gives the
 * JSON that the npm package's ExpressionImpl would.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/ctx_int.h"

#define DEPTH_MAX 60 /* two levels of JSON each, of the 128 that a syscall may have */

struct expression {
	struct expr x;
	int         depth;
	str         bad; /* JSON of a part that only the parser can judge; p == NULL: none */
};

static const struct {
	const char  *method, *key;
	enum expr_op op;
	int          arity; /* -1: any */
} operators[] = {
	{ "eq", "$eq", EXPR_EQ, 2 },
	{ "neq", "$neq", EXPR_NEQ, 2 },
	{ "lt", "$lt", EXPR_LT, 2 },
	{ "lte", "$lte", EXPR_LTE, 2 },
	{ "gt", "$gt", EXPR_GT, 2 },
	{ "gte", "$gte", EXPR_GTE, 2 },
	{ "add", "$add", EXPR_ADD, 2 },
	{ "sub", "$sub", EXPR_SUB, 2 },
	{ "mul", "$mul", EXPR_MUL, 2 },
	{ "div", "$div", EXPR_DIV, 2 },
	{ "mod", "$mod", EXPR_MOD, 2 },
	{ "neg", "$neg", EXPR_NEG, 1 },
	{ "and", "$and", EXPR_AND, -1 },
	{ "or", "$or", EXPR_OR, -1 },
	{ "not", "$not", EXPR_NOT, 1 },
};

bool
ctx_path_ok(str path)
{
	size_t dot;

	while (str_find_char(path, '.', &dot)) {
		if (identifier_check(str_head(path, dot), NULL) != ST_OK)
			return false;
		path = str_from(path, dot + 1);
	}
	return identifier_check(path, NULL) == ST_OK;
}

/* A literal: any value, or undefined. */
static bool
literal_of(JSContext *ctx, JSValueConst v, struct expression *ret)
{
	struct run *r = engine_of(ctx)->run;

	ret->x.op = EXPR_LITERAL;
	if (!js_to_val(ctx, v, TO_VAL_UNDEFINED_OK, r->arena, &ret->x.literal))
		return false;
	if (val_kind(ret->x.literal) == VAL_COMMIT_TS)
		ret->bad = S("{\"$literal\":{\"$commitTs\":null}}");
	return true;
}

static const struct expression *
expression_of(JSContext *ctx, JSValueConst v)
{
	struct engine     *en = engine_of(ctx);
	struct expression *x = ctx_payload(ctx, v, en->cx->expr);

	if (x)
		return x;
	x = ARENA_NEW(en->run->arena, struct expression);
	return literal_of(ctx, v, x) ? x : NULL;
}

/* Evaluating and printing recurse: false with an exception if that would go too deep. */
static bool
shallow(JSContext *ctx, const struct expression *x)
{
	if (x->depth <= DEPTH_MAX)
		return true;
	js_throw_text(ctx, JSE_ERROR, S("Received invalid json: recursion limit exceeded"));
	return false;
}

bool
ctx_expr_of(JSContext *ctx, JSValueConst v, const struct expr **ret, str *ret_bad)
{
	const struct expression *x = expression_of(ctx, v);

	if (!x)
		return false;
	if (!shallow(ctx, x))
		return false;
	*ret = &x->x;
	*ret_bad = x->bad;
	return true;
}

/* A new expression object around `x`. */
static JSValue
expression_object(JSContext *ctx, struct expression *x)
{
	JSValue object = JS_NewObjectClass(ctx, engine_of(ctx)->cx->expr);

	if (!JS_IsException(object))
		JS_SetOpaque(object, x);
	return object;
}

static JSValue
build_operator(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct run         *r = ctx_run(ctx);
	int                 n = operators[magic].arity < 0 ? argc : operators[magic].arity;
	struct expression  *x;
	const struct expr **args;

	(void)this_val;
	if (!r)
		return JS_EXCEPTION;
	x = ARENA_NEW(r->arena, struct expression);
	args = ARENA_ARRAY(r->arena, const struct expr *, n + 1);
	x->x = (struct expr){ .op = operators[magic].op, .n = (size_t)n, .args = args };
	for (int i = 0; i < n; i++) {
		const struct expression *part = expression_of(ctx, js_arg(argc, argv, i));

		if (!part)
			return JS_EXCEPTION;
		args[i] = &part->x;
		if (part->depth >= x->depth)
			x->depth = part->depth + 1;
		if (part->bad.p && !x->bad.p)
			x->bad = part->bad;
	}
	return expression_object(ctx, x);
}

/* {"$field":v} for a path that is no path. */
static bool
bad_field(JSContext *ctx, JSValueConst v, struct expression *x)
{
	struct run *r = engine_of(ctx)->run;
	JSValue     json = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
	const char *text;

	if (JS_IsException(json))
		return false;
	text = JS_IsUndefined(json) ? NULL : JS_ToCString(ctx, json);
	x->bad = text ? arena_fmt(r->arena, "{\"$field\":%s}", text) : S("{}");
	JS_FreeCString(ctx, text);
	JS_FreeValue(ctx, json);
	return true;
}

static JSValue
build_field(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst       path = js_arg(argc, argv, 0);
	struct run        *r = ctx_run(ctx);
	struct expression *x;

	(void)this_val, (void)magic;
	if (!r)
		return JS_EXCEPTION;
	x = ARENA_NEW(r->arena, struct expression);
	x->x.op = EXPR_FIELD;
	x->x.field = STR_EMPTY;
	if (JS_IsString(path) && !js_to_str(ctx, path, r->arena, &x->x.field))
		return JS_EXCEPTION;
	if (!ctx_path_ok(x->x.field) && !bad_field(ctx, path, x))
		return JS_EXCEPTION;
	return expression_object(ctx, x);
}

/* --- serialize() --- */

static void
write_expr(struct buf *b, const struct expr *x)
{
	size_t i = 0;

	if (x->op == EXPR_FIELD) {
		buf_addz(b, "{\"$field\":");
		json_write_str(b, x->field);
		buf_add_byte(b, '}');
		return;
	}
	if (x->op == EXPR_LITERAL) {
		buf_addz(b, "{\"$literal\":");
		vjson_write(b, x->literal, VJSON_ENCODED);
		buf_add_byte(b, '}');
		return;
	}
	while (operators[i].op != x->op)
		i++;
	buf_fmt(b, "{\"%s\":", operators[i].key);
	if (operators[i].arity != 1)
		buf_add_byte(b, '[');
	for (size_t k = 0; k < x->n; k++) {
		if (k)
			buf_add_byte(b, ',');
		write_expr(b, x->args[k]);
	}
	if (operators[i].arity != 1)
		buf_add_byte(b, ']');
	buf_add_byte(b, '}');
}

static JSValue
expression_serialize(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic)
{
	struct expression *x = ctx_payload_this(ctx, this_val, engine_of(ctx)->cx->expr);
	struct buf         b;
	JSValue            ret;

	(void)argc, (void)argv, (void)magic;
	if (!x || !shallow(ctx, x))
		return JS_EXCEPTION;
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	write_expr(&b, &x->x);
	ret = js_from_json(ctx, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* --- set-up --- */

bool
ctx_filter_install(struct engine *en)
{
	static const JSClassDef    def = { .class_name = "ExpressionImpl" };
	static const struct method members[] = { { "serialize", 0, expression_serialize, 0 } };
	static const struct method field = { "field", 1, build_field, 0 };
	struct ctx_state *cx = en->cx;
	JSContext        *ctx = en->ctx;
	JSValue           proto = JS_NewObject(ctx);
	bool              ok = js_methods(ctx, proto, members, COUNT_OF(members), false);

	JS_NewClassID(en->rt, &cx->expr);
	ok = ok && JS_NewClass(en->rt, cx->expr, &def) == 0;
	JS_SetClassProto(ctx, cx->expr, proto);
	cx->filter_builder = JS_NewObject(ctx);
	for (size_t i = 0; ok && i < COUNT_OF(operators); i++) {
		struct method m = { operators[i].method,
			operators[i].arity < 0 ? 0 : operators[i].arity, build_operator, (int)i };

		ok = js_methods(ctx, cx->filter_builder, &m, 1, true);
	}
	return ok && js_methods(ctx, cx->filter_builder, &field, 1, true);
}
