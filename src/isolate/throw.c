/* throw.c - errors on their way into JavaScript (spec 04 section 1.2).
 *
 * Deterministic kinds become an Error with the human text alone; all others end the run.  What
 * ends a run is thrown as an uncatchable error and remembered in the run, so that run.c knows
 * it no matter how the stack unwinds.
 *
 * Thread: the isolate's.  Memory: the heap; texts that outlive the stack go to the run's arena.
 */
#include <stdarg.h>
#include <stdio.h>

#include "isolate/ctx_int.h"
#include "isolate/engine_int.h"

#define STRINGIFY_MAX 16384 /* UTF-16 units, as in the npm package */
#define TEXT_MAX      ((size_t)8 << 20)

JSValue
js_throw_text(JSContext *ctx, enum js_error kind, str text)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValueConst      ctor = kind == JSE_TYPE ? cx->type_error_ctor :
	    kind == JSE_RANGE ? cx->range_error_ctor : cx->error_ctor;
	JSValue           message = js_from_str(ctx, text), error;

	if (JS_IsException(message))
		return JS_EXCEPTION;
	error = JS_CallConstructor(ctx, ctor, 1, &message);
	JS_FreeValue(ctx, message);
	return JS_IsException(error) ? error : JS_Throw(ctx, error);
}

JSValue
js_throw_fmt(JSContext *ctx, enum js_error kind, const char *fmt, ...)
{
	struct arena *a = arena_new();
	char          small[512];
	va_list       ap, again;
	int           n;
	JSValue       ret;
	char         *text = small;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(small, sizeof small, fmt, ap);
	must(n >= 0);
	if ((size_t)n >= sizeof small) {
		text = arena_alloc(a, (size_t)n + 1);
		vsnprintf(text, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	va_end(ap);
	ret = js_throw_text(ctx, kind, str_of(text, (size_t)n));
	arena_free(a);
	return ret;
}

/* An error that neither catch nor finally nor a promise sees. */
static JSValue
throw_uncatchable(JSContext *ctx, const char *text)
{
	JSValue error = JS_NewInternalError(ctx, "%s", text);

	if (JS_IsException(error))
		return JS_EXCEPTION;
	JS_SetUncatchableError(ctx, error);
	return JS_Throw(ctx, error);
}

JSValue
js_throw_uncatchable(JSContext *ctx, const char *fmt, ...)
{
	struct run *r = engine_of(ctx)->run;
	char        text[1024];
	va_list     ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (r && !r->terminated) {
		r->uncatchable = arena_str(r->arena, str_z(text));
		r->terminated = true;
	}
	return throw_uncatchable(ctx, "terminated");
}

JSValue
js_throw_memory(JSContext *ctx)
{
	struct engine *en = engine_of(ctx);

	return js_throw_uncatchable(
	    ctx, "%.*s", STR_ARG(limits_memory_text(en->run->arena, en->iso)));
}

void
run_fail(struct engine *en, const struct err *e)
{
	struct run *r = en->run;

	must(e->st != ST_OK);
	if (!r || r->terminated)
		return;
	r->terminated = true;
	r->fatal = err_in(r->arena);
	if (e->st == ST_OPERATIONAL && str_eq(e->code, S(TXN_SLOW))) {
		(void)err_set(
		    &r->fatal, ST_BAD_REQUEST, "SystemTimeoutError", "%s", SYSTEM_TIME_TEXT);
		return;
	}
	r->fatal.st = e->st;
	r->fatal.code = arena_str(r->arena, e->code);
	r->fatal.text = arena_str(r->arena, e->text);
	if (e->data.p)
		r->fatal.data = arena_str(r->arena, e->data);
}

static JSValue
fail_run(JSContext *ctx, const struct err *e)
{
	run_fail(engine_of(ctx), e);
	return throw_uncatchable(ctx, "terminated");
}

/* A pending error gets `data` as a property; takes `data`. */
static JSValue
throw_with(JSContext *ctx, str text, JSAtom key, JSValue data, bool convex)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           error;
	int               ok;

	if (JS_IsException(data))
		return JS_EXCEPTION;
	js_throw_text(ctx, JSE_ERROR, text);
	error = JS_GetException(ctx);
	if (!JS_IsObject(error)) {
		JS_FreeValue(ctx, data);
		return JS_Throw(ctx, error);
	}
	ok = JS_DefinePropertyValue(ctx, error, key, data, JS_PROP_C_W_E);
	if (ok >= 0 && convex)
		ok = JS_DefinePropertyValue(ctx, error, cx->atoms.name,
		    JS_NewString(ctx, "ConvexError"), JS_PROP_C_W_E);
	if (ok >= 0 && convex)
		ok = JS_DefinePropertyValue(ctx, error, cx->convex_error, JS_TRUE, JS_PROP_C_W_E);
	if (ok < 0) {
		JS_FreeValue(ctx, error);
		return JS_EXCEPTION;
	}
	return JS_Throw(ctx, error);
}

JSValue
js_throw_err(JSContext *ctx, const struct err *e)
{
	if (!status_deterministic(e->st))
		return fail_run(ctx, e);
	if (e->data.p)
		return throw_with(ctx, e->text, engine_of(ctx)->cx->atoms.data,
		    js_from_json(ctx, e->data), false);
	return js_throw_text(ctx, JSE_ERROR, e->text);
}

JSValue
ctx_throw_err(JSContext *ctx, const struct err *e)
{
	struct arena *a;
	struct val    v;
	JSValue       data;

	if (!e->data.p || !status_deterministic(e->st))
		return js_throw_err(ctx, e);
	a = arena_new();
	if (vjson_parse(a, e->data, VJSON_COMMIT_TS, &v, NULL) != ST_OK)
		data = js_from_json(ctx, e->data);
	else
		data = js_from_val(ctx, v);
	arena_free(a);
	return throw_with(ctx, e->text, engine_of(ctx)->cx->atoms.data, data, true);
}

bool
js_arg_given(JSContext *ctx, JSValueConst v, int n, const char *method, const char *name)
{
	if (!JS_IsUndefined(v))
		return true;
	js_throw_fmt(ctx, JSE_TYPE, "Must provide arg %d `%s` to `%s`", n, name, method);
	return false;
}

/* before + String(v) + after; takes `v`. */
static JSValue
wrap_text(JSContext *ctx, const char *before, JSValue v, const char *after)
{
	const char *text = JS_ToCString(ctx, v);
	struct buf  b;
	JSValue     ret;

	JS_FreeValue(ctx, v);
	if (!text)
		return JS_EXCEPTION;
	buf_init(&b, TEXT_MAX);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_fmt(&b, "%s%s%s", before, text, after);
	JS_FreeCString(ctx, text);
	ret = js_from_str(ctx, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* The replacer of stringifyValueForError(). */
static JSValue
replacer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	JSValueConst v = argc > 1 ? argv[1] : JS_UNDEFINED;
	JSValue      description;

	(void)this_val;
	if (JS_IsUndefined(v))
		return JS_NewString(ctx, "undefined");
	if (JS_IsFunction(ctx, v))
		return JS_NewString(ctx, "[Function]");
	if (JS_IsBigInt(v))
		return wrap_text(ctx, "", JS_DupValue(ctx, v), "n");
	if (!JS_IsSymbol(v))
		return JS_DupValue(ctx, v);
	description = JS_GetPropertyStr(ctx, v, "description");
	if (JS_IsUndefined(description))
		description = JS_NewString(ctx, "");
	return wrap_text(ctx, "Symbol(", description, ")");
}

/* The first STRINGIFY_MAX units with a remark at the end; takes `text`. */
static JSValue
cut_text(JSContext *ctx, JSValue text)
{
	static const char rest[] = "[...truncated]";
	size_t            n, at = STRINGIFY_MAX - (sizeof rest - 1);
	const uint16_t   *units = JS_ToCStringLenUTF16(ctx, &n, text);
	uint16_t          cut[STRINGIFY_MAX];

	if (!units || n <= STRINGIFY_MAX) {
		JS_FreeCStringUTF16(ctx, units);
		return text;
	}
	JS_FreeValue(ctx, text);
	if ((units[at - 1] & 0xfc00) == 0xd800 && (units[at] & 0xfc00) == 0xdc00)
		at--;
	memcpy(cut, units, at * sizeof *cut);
	for (size_t i = 0; i < sizeof rest - 1; i++)
		cut[at + i] = (uint8_t)rest[i];
	JS_FreeCStringUTF16(ctx, units);
	return JS_NewStringUTF16(ctx, cut, at + sizeof rest - 1);
}

JSValue
js_stringify_for_error(JSContext *ctx, JSValueConst v)
{
	JSValue fn = JS_NewCFunction(ctx, replacer, "", 2), text;

	if (JS_IsException(fn))
		return fn;
	text = JS_JSONStringify(ctx, v, fn, JS_UNDEFINED);
	JS_FreeValue(ctx, fn);
	return JS_IsString(text) ? cut_text(ctx, text) : text;
}
