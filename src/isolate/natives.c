/* natives.c - what the prelude asks of the host: clock, randomness, variables, console.
 *
 * The functions are members of a global `__host` that the prelude takes and deletes before any
 * other code runs.
 *
 * Thread: the isolate's.  Memory: log lines go to the run's result.
 */
#include <math.h>

#include "isolate/engine_int.h"
#include "isolate/guard.h"
#include "isolate/natives_int.h"

bool
js_bytes(JSContext *ctx, JSValueConst v, str *ret)
{
	size_t   n;
	uint8_t *p = JS_GetUint8Array(ctx, &n, v);

	if (!p && JS_HasException(ctx))
		return false;
	*ret = str_of(p ? (const char *)p : "", n);
	return true;
}

/* --- clock and randomness (spec 04 sections 3.2 and 3.3) --- */

static JSValue
native_now(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_NewNumber(ctx, floor(run_now_ms(engine_of(ctx))));
}

static double
real_ms(struct engine *en)
{
	return (double)(os_now_ns(en->iso->opts.os) / 1000) / 1000.0;
}

static JSValue
native_real_now(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_NewNumber(ctx, floor(real_ms(engine_of(ctx))));
}

/* The push timestamp: what the import phase sees as the time. */
static double
import_ms(struct engine *en)
{
	struct val ns;

	if (en->import)
		return (double)(en->import->now_ns / 1000000);
	if (!en->im->config)
		return 0;
	ns = val_get(doc_val(en->im->config), S("importPhaseUnixTimestamp"));
	return val_kind(ns) == VAL_INT64 ? (double)(val_int64(ns) / 1000000) : 0;
}

/* Section 3.3: without a recorded configuration there is no origin. */
static bool
performance_ok(JSContext *ctx)
{
	struct engine *en = engine_of(ctx);

	if (en->import || en->im->config)
		return true;
	js_throw_text(
	    ctx, JSE_ERROR, S("The Performance API is not supported in this module"));
	return false;
}

static JSValue
native_time_origin(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	if (!performance_ok(ctx))
		return JS_EXCEPTION;
	return JS_NewNumber(ctx, import_ms(engine_of(ctx)));
}

/* 0 at import, constant in queries, else the real clock; in steps of 0.1 ms. */
static JSValue
native_performance_now(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic)
{
	struct engine *en = engine_of(ctx);
	double         ms = 0;

	(void)this_val, (void)argc, (void)argv, (void)magic;
	if (!performance_ok(ctx))
		return JS_EXCEPTION;
	if (en->phase == PHASE_EXECUTE && en->run && en->run->req) {
		ms = run_now_ms(en); /* notes that time was observed */
		if (en->run->req->kind != UDF_QUERY)
			ms = real_ms(en);
		ms -= import_ms(en);
	}
	return JS_NewNumber(ctx, ms > 0 ? floor(ms * 10) / 10 : 0);
}

static JSValue
native_random(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_NewFloat64(ctx, run_random(engine_of(ctx)));
}

static JSValue
native_random_bytes(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	size_t   n;
	uint8_t *p = JS_GetUint8Array(ctx, &n, js_arg(argc, argv, 0));

	(void)this_val, (void)magic;
	if (!p && JS_HasException(ctx))
		return JS_EXCEPTION;
	if (n)
		run_random_bytes(engine_of(ctx), p, n);
	return JS_UNDEFINED;
}

/* --- the async value, which promise reactions carry along --- */

static JSValue
native_async_value(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_GetAsyncValue(ctx);
}

static JSValue
native_set_async_value(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic)
{
	(void)this_val, (void)magic;
	JS_SetAsyncValue(ctx, JS_DupValue(ctx, js_arg(argc, argv, 0)));
	return JS_UNDEFINED;
}

/* --- variables --- */

static JSValue
native_env(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct arena *a = arena_new();
	struct err    e = err_in(a);
	JSValue       ret = JS_EXCEPTION;
	bool          found;
	str           name, value;

	UNDO_ON_JUMP(undo_arena, a);
	(void)this_val, (void)magic;
	if (js_to_str(ctx, js_arg(argc, argv, 0), a, &name)) {
		if (run_env_var(engine_of(ctx), name, &found, &value, &e) != ST_OK)
			js_throw_err(ctx, &e);
		else
			ret = found ? js_from_str(ctx, value) : JS_UNDEFINED;
	}
	arena_free(a);
	return ret;
}

/* --- refusals (spec 04 section 1.10) --- */

static JSValue
native_refusal(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const char *what = JS_ToCString(ctx, js_arg(argc, argv, 0));
	struct buf  b;
	JSValue     ret;

	(void)this_val, (void)magic;
	if (!what)
		return JS_EXCEPTION;
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	if (engine_of(ctx)->env == ENV_UDF)
		buf_fmt(&b,
		    "Can't use %s in queries and mutations. Please consider using an action. See "
		    "https://docs.convex.dev/functions/actions for more details.",
		    what);
	else if (strcmp(what, "cryptographic randomness") == 0)
		buf_addz(&b, "Cannot use cryptographic randomness at import time");
	else
		buf_fmt(&b, "%s unsupported at import time", what);
	JS_FreeCString(ctx, what);
	ret = js_from_str(ctx, buf_str(&b));
	buf_clear(&b);
	return ret;
}

static JSValue
native_uncatchable(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const char *text = JS_ToCString(ctx, js_arg(argc, argv, 0));

	(void)this_val, (void)magic;
	if (!text)
		return JS_EXCEPTION;
	js_throw_uncatchable(ctx, "%s", text);
	JS_FreeCString(ctx, text);
	return JS_EXCEPTION;
}

/* --- the console's sink --- */

static bool
log_level(const char *name, enum log_line_level *ret)
{
	static const char *const names[] = { [LINE_DEBUG] = "DEBUG", [LINE_ERROR] = "ERROR",
		[LINE_WARN] = "WARN", [LINE_INFO] = "INFO", [LINE_LOG] = "LOG" };

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(names[i], name) == 0) {
			*ret = (enum log_line_level)i;
			return true;
		}
	return false;
}

/* The strings of an array; lone surrogates become U+FFFD. */
static bool
read_messages(JSContext *ctx, JSValueConst array, struct arena *a, struct logline *line)
{
	int64_t n;

	if (JS_GetLength(ctx, array, &n) < 0)
		return false;
	line->messages = ARENA_ARRAY(a, str, n + 1);
	for (int64_t i = 0; i < n; i++) {
		JSValue v = JS_GetPropertyInt64(ctx, array, i);
		bool    ok = !JS_IsException(v) && js_text(ctx, v, a, &line->messages[i]);

		JS_FreeValue(ctx, v);
		if (!ok)
			return false;
	}
	line->nmessages = (size_t)n;
	return true;
}

static JSValue
native_log(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct run    *r = engine_of(ctx)->run;
	struct logline line = { .level = LINE_LOG };
	struct arena  *a;
	const char    *level;

	(void)this_val, (void)magic;
	if (!r || !r->res)
		return JS_UNDEFINED;
	level = JS_ToCString(ctx, js_arg(argc, argv, 0));
	if (!level)
		return JS_EXCEPTION;
	must(log_level(level, &line.level));
	JS_FreeCString(ctx, level);
	a = arena_new();
	UNDO_ON_JUMP(undo_arena, a);
	if (read_messages(ctx, js_arg(argc, argv, 1), a, &line)) {
		line.timestamp_ms =
		    (uint64_t)(r->action ? real_ms(engine_of(ctx)) : r->now_ms);
		loglines_add(&r->res->logs, &line);
	}
	arena_free(a);
	return JS_HasException(ctx) ? JS_EXCEPTION : JS_UNDEFINED;
}

void
natives_install(struct engine *en, JSValueConst global)
{
	static const struct method methods[] = {
		{ "now", 0, native_now, 0 }, { "realNow", 0, native_real_now, 0 },
		{ "timeOrigin", 0, native_time_origin, 0 },
		{ "performanceNow", 0, native_performance_now, 0 },
		{ "random", 0, native_random, 0 }, { "randomBytes", 1, native_random_bytes, 0 },
		{ "asyncValue", 0, native_async_value, 0 },
		{ "setAsyncValue", 1, native_set_async_value, 0 },
		{ "env", 1, native_env, 0 }, { "refusal", 1, native_refusal, 0 },
		{ "uncatchable", 1, native_uncatchable, 0 }, { "log", 2, native_log, 0 },
		{ "provideFiles", 2, ctx_provide_files, 0 },
		{ "provideWasm", 1, wasm_provide, 0 },
	};
	JSValue host = JS_NewObject(en->ctx);

	must(js_methods(en->ctx, host, methods, COUNT_OF(methods), true) &&
	    js_methods(en->ctx, host, natives_text, natives_text_count, true) &&
	    js_methods(en->ctx, host, natives_encoding, natives_encoding_count, true) &&
	    js_methods(en->ctx, host, natives_domain, natives_domain_count, true) &&
	    js_methods(en->ctx, host, natives_async, natives_async_count, true) &&
	    js_methods(en->ctx, host, natives_crypto, natives_crypto_count, true) &&
	    natives_intl_install(en->ctx, host));
	en->natives = JS_DupValue(en->ctx, host);
	must(JS_DefinePropertyValueStr(en->ctx, global, "__host", host, JS_PROP_C_W_E) >= 0);
}
