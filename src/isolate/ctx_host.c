/* ctx_host.c - the members of ctx beside db: auth, storage, scheduler, meta, calls.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include <math.h>

#include "isolate/ctx_int.h"

/* JSON that an operation wrote, as a value; frees `b`. */
static JSValue
json_result(JSContext *ctx, struct buf *b)
{
	UNDO_ON_JUMP(undo_buf, b);
	JSValue ret = js_from_json(ctx, buf_str(b));

	buf_clear(b);
	return ret;
}

/* --- calls --- */

/* functionReference[symbol] as text; p == NULL if it is falsy. */
static bool
symbol_text(JSContext *ctx, JSValueConst ref, JSAtom symbol, str *ret)
{
	struct run *r = engine_of(ctx)->run;
	JSValue     v = JS_GetProperty(ctx, ref, symbol);
	size_t      n;
	const char *text;

	*ret = (str){ NULL, 0 };
	if (JS_IsException(v))
		return false;
	if (JS_ToBool(ctx, v) > 0) {
		text = JS_ToCStringLen(ctx, &n, v);
		if (text)
			*ret = arena_str(r->arena, str_of(text, n));
		JS_FreeCString(ctx, text);
		JS_FreeValue(ctx, v);
		return text;
	}
	JS_FreeValue(ctx, v);
	return true;
}

static bool
refuse_reference(JSContext *ctx, JSValueConst ref)
{
	const char *text = JS_ToCString(ctx, ref);

	if (text)
		js_throw_fmt(ctx, JSE_ERROR, "%s is not a functionReference", text);
	JS_FreeCString(ctx, text);
	return false;
}

/* getFunctionAddress() */
static bool
function_address(JSContext *ctx, JSValueConst ref, struct nested_call *c)
{
	struct engine *en = engine_of(ctx);
	str            text;

	c->name = c->reference = c->handle = STR_EMPTY;
	if (JS_IsString(ref)) {
		if (!js_to_str(ctx, ref, en->run->arena, &text))
			return false;
		*(str_starts(text, S("function://")) ? &c->handle : &c->name) = text;
		return true;
	}
	if (!symbol_text(ctx, ref, en->cx->function_name, &text))
		return false;
	if (text.p) {
		c->name = text;
		return true;
	}
	if (!symbol_text(ctx, ref, en->cx->reference_path, &text))
		return false;
	if (!text.p)
		return refuse_reference(ctx, ref);
	c->reference = text;
	return true;
}

/* parseArgs() and convexToJson() */
static bool
function_args(JSContext *ctx, JSValueConst args, const char *method, struct val *ret)
{
	const char *text;
	int         simple;

	if (JS_IsUndefined(args)) {
		*ret = val_empty_object;
		return true;
	}
	if (JS_IsNull(args)) {
		js_throw_text(ctx, JSE_TYPE, S("Cannot convert undefined or null to object"));
		return false;
	}
	simple = js_is_simple(ctx, args);
	if (simple > 0)
		return js_to_val_arg(
		    ctx, args, TO_VAL, "args", method, engine_of(ctx)->run->arena, ret);
	if (simple < 0)
		return false;
	text = JS_ToCString(ctx, args);
	if (text)
		js_throw_fmt(ctx, JSE_ERROR,
		    "The arguments to a Convex function must be an object. Received: %s", text);
	JS_FreeCString(ctx, text);
	return false;
}

static bool
limits_of(JSContext *ctx, JSValueConst options, const struct json **ret)
{
	struct engine *en = engine_of(ctx);
	JSValue        limits, text;
	struct json   *j;
	str            s;
	bool           ok = true;

	limits = JS_GetProperty(ctx, options, en->cx->atoms.transactionLimits);
	if (JS_IsException(limits))
		return false;
	text = JS_ToBool(ctx, limits) > 0 ?
	    JS_JSONStringify(ctx, limits, JS_UNDEFINED, JS_UNDEFINED) : JS_UNDEFINED;
	JS_FreeValue(ctx, limits);
	if (JS_IsException(text))
		return false;
	if (JS_IsString(text)) {
		ok = js_to_str(ctx, text, en->run->arena, &s) &&
		    json_parse(en->run->arena, s, &j, NULL) == ST_OK;
		if (ok)
			*ret = j;
	}
	JS_FreeValue(ctx, text);
	return ok;
}

static JSValue
call_udf(JSContext *ctx, enum udf_kind kind, bool snapshot, int argc, JSValueConst *argv)
{
	struct run        *r = ctx_run(ctx);
	JSValueConst       options = js_arg(argc, argv, 2);
	struct nested_call c = { .kind = kind, .snapshot_query = snapshot };
	struct err         e;
	struct val         ret;
	JSValue            result;

	if (!r)
		return JS_EXCEPTION;
	if (JS_IsObject(options) && !limits_of(ctx, options, &c.limits))
		return JS_EXCEPTION;
	if (!function_args(ctx, js_arg(argc, argv, 1), "runUdf", &c.args) ||
	    !function_address(ctx, js_arg(argc, argv, 0), &c))
		return JS_EXCEPTION;
	c.arena = arena_new();
	UNDO_ON_JUMP(undo_arena, c.arena);
	e = err_in(c.arena);
	result = op_run_udf(engine_of(ctx), &c, &ret, &e) == ST_OK ? js_from_val(ctx, ret) :
								      ctx_throw_err(ctx, &e);
	arena_free(c.arena);
	return result;
}

/* options?.useStaleSnapshot: 1, 0, or -1 with an exception. */
static int
stale_snapshot(JSContext *ctx, JSValueConst options)
{
	JSValue v;
	int     ret;

	if (!JS_IsObject(options))
		return 0;
	v = JS_GetProperty(ctx, options, engine_of(ctx)->cx->atoms.useStaleSnapshot);
	ret = JS_ToBool(ctx, v);
	JS_FreeValue(ctx, v);
	return ret;
}

static JSValue
run_query(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int in_mutation)
{
	int stale = stale_snapshot(ctx, js_arg(argc, argv, 2));

	(void)this_val;
	if (stale < 0)
		return JS_EXCEPTION;
	if (stale && !in_mutation) /* not an async function: it throws at the call */
		return js_throw_text(ctx, JSE_ERROR,
		    S("`useStaleSnapshot` is only supported in mutations, not queries."));
	return js_promise_of(ctx, call_udf(ctx, UDF_QUERY, stale, argc, argv));
}

static JSValue
run_mutation(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)magic;
	return js_promise_of(ctx, call_udf(ctx, UDF_MUTATION, false, argc, argv));
}

/* --- scheduler --- */

static bool
delay_seconds(JSContext *ctx, JSValueConst delay, double *ret)
{
	double ms;

	if (!JS_IsNumber(delay)) {
		js_throw_text(ctx, JSE_ERROR, S("`delayMs` must be a number"));
		return false;
	}
	if (JS_ToFloat64(ctx, &ms, delay) < 0)
		return false;
	if (!isfinite(ms) || ms < 0) {
		js_throw_fmt(ctx, JSE_ERROR, "`delayMs` must be %s",
		    isfinite(ms) ? "non-negative" : "a finite number");
		return false;
	}
	*ret = ms;
	return true;
}

static JSValue
schedule(JSContext *ctx, struct nested_call *c, double seconds)
{
	struct run *r = engine_of(ctx)->run;
	struct err  e = err_in(r->arena);
	str         id;

	if (op_schedule(engine_of(ctx), c, seconds, &id, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return js_from_str(ctx, id);
}

static JSValue
do_run_after(JSContext *ctx, int argc, JSValueConst *argv)
{
	struct nested_call c = { 0 };
	double             ms;

	if (!ctx_run(ctx) || !delay_seconds(ctx, js_arg(argc, argv, 0), &ms) ||
	    !function_args(ctx, js_arg(argc, argv, 2), "scheduler", &c.args) ||
	    !function_address(ctx, js_arg(argc, argv, 1), &c))
		return JS_EXCEPTION;
	return schedule(ctx, &c, (run_now_ms(engine_of(ctx)) + ms) / 1000.0);
}

static JSValue
do_run_at(JSContext *ctx, int argc, JSValueConst *argv)
{
	JSValueConst       when = js_arg(argc, argv, 0);
	struct nested_call c = { 0 };
	double             ms;

	if (!ctx_run(ctx))
		return JS_EXCEPTION;
	if (!JS_IsDate(when) && !JS_IsNumber(when))
		return js_throw_text(
		    ctx, JSE_ERROR, S("The invoke time must a Date or a timestamp"));
	if (JS_ToFloat64(ctx, &ms, when) < 0 || !function_address(ctx, js_arg(argc, argv, 1), &c) ||
	    !function_args(ctx, js_arg(argc, argv, 2), "scheduler", &c.args))
		return JS_EXCEPTION;
	return schedule(ctx, &c, ms / 1000.0);
}

static JSValue
do_cancel(JSContext *ctx, int argc, JSValueConst *argv)
{
	struct run  *r = ctx_run(ctx);
	JSValueConst id = js_arg(argc, argv, 0);
	struct err   e;
	str          text;

	if (!r || !js_arg_given(ctx, id, 1, "cancel", "id") ||
	    !ctx_arg_str(ctx, id, "id", "db.cancel_job", &text))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_cancel_job(engine_of(ctx), text, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return JS_UNDEFINED;
}

enum { SCHEDULER_AFTER, SCHEDULER_AT, SCHEDULER_CANCEL };

static JSValue
scheduler_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val;
	return js_promise_of(ctx, magic == SCHEDULER_AFTER ? do_run_after(ctx, argc, argv) :
	    magic == SCHEDULER_AT ? do_run_at(ctx, argc, argv) : do_cancel(ctx, argc, argv));
}

/* --- auth and storage --- */

static JSValue
do_identity(JSContext *ctx)
{
	struct run *r = ctx_run(ctx);
	struct err  e;
	str         json;

	if (!r)
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_identity(engine_of(ctx), &json, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return json.p ? js_from_json(ctx, json) : JS_NULL;
}

static JSValue
get_user_identity(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return js_promise_of(ctx, do_identity(ctx));
}

/* The options as the npm helper sends them: as JSON. */
static bool
sign_options(JSContext *ctx, JSValueConst v, struct arena *a, struct json **ret)
{
	JSValue    text = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
	struct err e = err_in(a);
	str        json = S("null");

	if (JS_IsException(text) || (JS_IsString(text) && !js_to_str(ctx, text, a, &json)))
		return false;
	JS_FreeValue(ctx, text);
	if (json_parse(a, json, ret, &e) == ST_OK)
		return true;
	js_throw_err(ctx, &e);
	return false;
}

static JSValue
do_sign_jwt(JSContext *ctx, JSValueConst options)
{
	struct run  *r = ctx_run(ctx);
	struct err   e;
	struct json *args;
	struct buf   out;

	if (!r || !sign_options(ctx, options, r->arena, &args))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	buf_init(&out, BUF_MAX_DEFAULT);
	if (op_sign_jwt(engine_of(ctx), args, &out, &e) == ST_OK)
		return json_result(ctx, &out);
	buf_clear(&out);
	return ctx_throw_err(ctx, &e);
}

static JSValue
sign_jwt(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)magic;
	return js_promise_of(ctx, do_sign_jwt(ctx, js_arg(argc, argv, 0)));
}

static const char *const storage_names[] = { [STORAGE_GET_URL] = "storage.getUrl",
	[STORAGE_GET_METADATA] = "storage.getMetadata", [STORAGE_DELETE] = "storage.delete" };

static JSValue
storage_failed(JSContext *ctx, int op, struct err *e)
{
	if (str_eq(e->code, S("InvalidArgument")))
		err_prefix(e, "Invalid argument `storageId` for `%s`: ", storage_names[op]);
	return ctx_throw_err(ctx, e);
}

static JSValue
do_storage(JSContext *ctx, int argc, JSValueConst *argv, int op)
{
	struct storage_call c = { .op = (enum storage_op)op };
	struct run         *r = ctx_run(ctx);
	struct err          e;
	struct buf          b;

	if (!r || (op == STORAGE_GET_URL &&
	    !js_arg_given(ctx, js_arg(argc, argv, 0), 1, "getUrl", "storageId")))
		return JS_EXCEPTION;
	if (op != STORAGE_GENERATE_UPLOAD_URL &&
	    !ctx_arg_str(ctx, js_arg(argc, argv, 0), "storageId", storage_names[op], &c.id))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	buf_init(&b, BUF_MAX_DEFAULT);
	if (op_storage(engine_of(ctx), &c, &b, &e) == ST_OK) {
		str json = arena_str(r->arena, buf_str(&b));

		buf_clear(&b);
		return op == STORAGE_DELETE ? JS_UNDEFINED : js_from_json(ctx, json);
	}
	buf_clear(&b);
	return storage_failed(ctx, op, &e);
}

static JSValue
storage_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val;
	return js_promise_of(ctx, do_storage(ctx, argc, argv, magic));
}

/* --- meta --- */

enum { META_FUNCTION, META_TRANSACTION, META_DEPLOYMENT, META_REQUEST };

/* {name, componentPath, type, visibility} */
static void
function_metadata(struct engine *en, struct buf *b)
{
	op_function_metadata(en, b);
	b->n--;
	buf_fmt(b, ",\"type\":\"%s\",\"visibility\":\"%s\"}",
	    en->run->req->kind == UDF_MUTATION ? "mutation" : "query",
	    en->run->internal ? "internal" : "public");
}

static JSValue
do_meta(JSContext *ctx, int what)
{
	struct engine *en = engine_of(ctx);
	struct run    *r = ctx_run(ctx);
	struct buf     b;
	struct err     e;

	if (!r)
		return JS_EXCEPTION;
	e = err_in(r->arena);
	buf_init(&b, BUF_MAX_DEFAULT);
	switch (what) {
	case META_FUNCTION:
		function_metadata(en, &b);
		break;
	case META_TRANSACTION:
		op_transaction_metrics(en, &b);
		break;
	case META_DEPLOYMENT:
		op_deployment_metadata(en, &b);
		break;
	default:
		if (op_request_metadata(en, &b, &e) != ST_OK) {
			buf_clear(&b);
			return ctx_throw_err(ctx, &e);
		}
	}
	return json_result(ctx, &b);
}

static JSValue
meta_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv;
	return js_promise_of(ctx, do_meta(ctx, magic));
}

static JSValue
get_snapshot_ts(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return ctx_run(ctx) ? JS_NewBigInt64(ctx, op_snapshot_ts(engine_of(ctx))) : JS_EXCEPTION;
}

/* --- set-up --- */

static const struct method auth_methods[] = {
	{ "getUserIdentity", 0, get_user_identity, 0 },
	{ "signJwt", 1, sign_jwt, 0 }, /* mutations only */
};
static const struct method storage_writers[] = {
	{ "generateUploadUrl", 0, storage_method, STORAGE_GENERATE_UPLOAD_URL },
	{ "delete", 1, storage_method, STORAGE_DELETE },
};
static const struct method storage_readers[] = {
	{ "getUrl", 1, storage_method, STORAGE_GET_URL },
	{ "getMetadata", 1, storage_method, STORAGE_GET_METADATA },
};
static const struct method scheduler_methods[] = {
	{ "runAfter", 3, scheduler_method, SCHEDULER_AFTER },
	{ "runAt", 3, scheduler_method, SCHEDULER_AT },
	{ "cancel", 1, scheduler_method, SCHEDULER_CANCEL },
};
static const struct method meta_methods[] = {
	{ "getFunctionMetadata", 0, meta_method, META_FUNCTION },
	{ "getTransactionMetrics", 0, meta_method, META_TRANSACTION },
	{ "getDeploymentMetadata", 0, meta_method, META_DEPLOYMENT },
};
static const struct method request_metadata[] = {
	{ "getRequestMetadata", 0, meta_method, META_REQUEST },
};
static const struct method snapshot_methods[] = {
	{ "getSnapshotTs", 0, get_snapshot_ts, 0 },
};

struct part {
	const struct method *methods;
	size_t               n;
};

/* object[name] = an object with all methods of the parts. */
static bool
put_group(JSContext *ctx, JSValueConst object, const char *name, const struct part *parts, size_t n)
{
	JSValue group = JS_NewObject(ctx);
	bool    ok = !JS_IsException(group);

	for (size_t i = 0; i < n; i++)
		ok = ok && js_methods(ctx, group, parts[i].methods, parts[i].n, true);
	if (ok)
		return JS_DefinePropertyValueStr(ctx, object, name, group, JS_PROP_C_W_E) >= 0;
	JS_FreeValue(ctx, group);
	return false;
}

#define PART(m) { (m), COUNT_OF(m) }

JSValue
ctx_provide_files(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ctx_state *cx = engine_of(ctx)->cx;

	(void)this_val, (void)magic;
	cx->file_store = JS_DupValue(ctx, js_arg(argc, argv, 0));
	cx->file_get = JS_DupValue(ctx, js_arg(argc, argv, 1));
	return JS_UNDEFINED;
}

/* The storage object of a mutation, its members in the order of the npm package's. */
static bool
put_storage(JSContext *ctx, JSValueConst object)
{
	const struct part writers = PART(storage_writers);
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           group;
	bool              ok;

	if (!put_group(ctx, object, "storage", &writers, 1))
		return false;
	group = JS_GetPropertyStr(ctx, object, "storage");
	ok = JS_IsObject(group) &&
	    JS_DefinePropertyValueStr(ctx, group, "store", JS_DupValue(ctx, cx->file_store),
		JS_PROP_C_W_E) >= 0 &&
	    JS_DefinePropertyValueStr(ctx, group, "get", JS_DupValue(ctx, cx->file_get),
		JS_PROP_C_W_E) >= 0 &&
	    js_methods(ctx, group, storage_readers, COUNT_OF(storage_readers), true);
	JS_FreeValue(ctx, group);
	return ok;
}

bool
ctx_host_install(struct engine *en, JSValueConst object, enum udf_kind kind)
{
	bool                       mutation = kind == UDF_MUTATION;
	const struct part          auth[] = { { auth_methods, mutation ? 2 : 1 } };
	const struct part          reader[] = { PART(storage_readers) };
	const struct part          scheduler[] = { PART(scheduler_methods) };
	const struct part          meta[] = { PART(meta_methods), PART(request_metadata),
		PART(snapshot_methods) };
	const struct part          query_meta[] = { PART(meta_methods), PART(snapshot_methods) };
	static const struct method in_query[] = { { "runQuery", 3, run_query, false } };
	static const struct method in_mutation[] = {
		{ "runQuery", 3, run_query, true }, { "runMutation", 3, run_mutation, 0 },
	};
	JSContext *ctx = en->ctx;

	if (!mutation)
		return put_group(ctx, object, "auth", auth, 1) &&
		    put_group(ctx, object, "storage", reader, 1) &&
		    put_group(ctx, object, "meta", query_meta, 2) &&
		    js_methods(ctx, object, in_query, COUNT_OF(in_query), true);
	return put_group(ctx, object, "auth", auth, 1) &&
	    put_storage(ctx, object) &&
	    put_group(ctx, object, "scheduler", scheduler, 1) &&
	    put_group(ctx, object, "meta", meta, 3) &&
	    js_methods(ctx, object, in_mutation, COUNT_OF(in_mutation), true);
}
