/* ctx.c - the ctx object of queries and mutations, and what its files share.
 *
 * It has the members, the argument checks and the error texts of the object that the npm
 * package builds (its registration_impl.ts), but they are C functions over engine values: no
 * JSON and no chain of promises per call.  Prototypes and ctx objects are made once, into the
 * image; the run that a call belongs to is found through the context.
 *
 * Members do not look at `this`, as the closures of the npm package do not: wrappers spread
 * and destructure them.
 *
 * Thread: the isolate's.  Memory: the image; struct ctx_state beside the engine.
 */
#include "isolate/ctx_int.h"

#define PACK_KEEP     ((size_t)1 << 20)   /* bytes of a packer between runs */

bool
js_put(JSContext *ctx, JSValueConst object, JSAtom atom, JSValue value)
{
	if (JS_IsException(value))
		return false;
	return JS_DefinePropertyValue(ctx, object, atom, value, JS_PROP_C_W_E) >= 0;
}

bool
js_methods(JSContext *ctx, JSValueConst object, const struct method *m, size_t n, bool own)
{
	struct ctx_state *cx = engine_of(ctx)->cx;

	for (size_t i = 0; i < n; i++) {
		bool    symbol = m[i].name[0] == '@';
		JSAtom atom =
		    symbol ? JS_DupAtom(ctx, cx->async_iterator) : JS_NewAtom(ctx, m[i].name);
		JSValue fn = JS_NewCFunctionMagic(ctx, m[i].fn,
		    symbol ? "[Symbol.asyncIterator]" : m[i].name, m[i].length,
		    JS_CFUNC_generic_magic, m[i].magic);
		int     ok = JS_IsException(fn) ? -1 : JS_DefinePropertyValue(ctx, object, atom, fn,
		    own ? JS_PROP_C_W_E : JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);

		JS_FreeAtom(ctx, atom);
		if (ok < 0)
			return false;
	}
	return true;
}

struct run *
ctx_run(JSContext *ctx)
{
	struct engine *en = engine_of(ctx);

	if (LIKELY(en->run && (en->run->txn || en->run->action) && en->phase == PHASE_EXECUTE)) {
		if (LIKELY(arena_bytes(en->run->arena) <= RUN_ARENA_MAX))
			return en->run;
		js_throw_memory(ctx);
		return NULL;
	}
	js_throw_text(ctx, JSE_ERROR, S("Can't use database at import time"));
	return NULL;
}

JSValue
ctx_call(JSContext *ctx, JSValueConst fn, const char *name, int argc, JSValueConst *argv)
{
	return JS_IsFunction(ctx, fn) ? JS_Call(ctx, fn, JS_UNDEFINED, argc, argv) :
	    js_throw_fmt(ctx, JSE_TYPE, "%s is not a function", name);
}

JSValue
ctx_invoke(JSContext *ctx, JSValueConst v, const char *name, const char *method, int argc,
    JSValueConst *argv)
{
	JSValue fn = JS_GetPropertyStr(ctx, v, method), ret = JS_EXCEPTION;

	if (JS_IsFunction(ctx, fn))
		ret = JS_Call(ctx, fn, v, argc, argv);
	else if (!JS_IsException(fn))
		js_throw_fmt(ctx, JSE_TYPE, "%s.%s is not a function", name, method);
	JS_FreeValue(ctx, fn);
	return ret;
}

bool
ctx_arg_str(JSContext *ctx, JSValueConst v, const char *arg, const char *method, str *ret)
{
	struct run *r = engine_of(ctx)->run;
	struct val  unused;

	if (JS_IsString(v)) {
		if (!js_to_str(ctx, v, r->arena, ret))
			return false;
		if (str_utf8_valid(*ret))
			return true;
	} else if (!js_to_val(ctx, v, TO_VAL, r->arena, &unused)) {
		return false;
	}
	js_throw_fmt(
	    ctx, JSE_ERROR, "Invalid argument `%s` for `%s`: expected a string", arg, method);
	return false;
}

void *
ctx_payload(JSContext *ctx, JSValueConst v, JSClassID id)
{
	while (UNLIKELY(JS_IsProxy(v))) {
		JSValue target = JS_GetProxyTarget(ctx, v);

		JS_FreeValue(ctx, target); /* the proxy keeps it alive */
		v = target;
	}
	return JS_IsObject(v) ? JS_GetOpaque(v, id) : NULL;
}

void *
ctx_payload_this(JSContext *ctx, JSValueConst this_val, JSClassID id)
{
	void *ret = ctx_payload(ctx, this_val, id);

	if (!ret)
		js_throw_text(ctx, JSE_TYPE, S("this is not an object of the right class"));
	return ret;
}

/* --- db.vars.commitTs --- */

enum { PLACEHOLDER_PRIMITIVE, PLACEHOLDER_VALUE, PLACEHOLDER_STRING };

static JSValue
placeholder_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const char *hint = NULL;
	bool        string = magic == PLACEHOLDER_STRING;

	(void)this_val;
	if (magic == PLACEHOLDER_PRIMITIVE) {
		hint = JS_ToCString(ctx, js_arg(argc, argv, 0));
		string = hint && strcmp(hint, "string") == 0;
		JS_FreeCString(ctx, hint);
	}
	if (string)
		return JS_NewString(ctx, "[unresolved commit timestamp]");
	return js_throw_text(ctx, JSE_ERROR,
	    S("This commit timestamp is unresolved: its value is assigned when the mutation "
	      "commits. "
	      "Read the document after the mutation completes to get its value."));
}

static bool
placeholder_install(JSContext *ctx, struct ctx_state *cx)
{
	static const struct method methods[] = {
		{ "valueOf", 0, placeholder_method, PLACEHOLDER_VALUE },
		{ "toJSON", 0, placeholder_method, PLACEHOLDER_VALUE },
		{ "toString", 0, placeholder_method, PLACEHOLDER_STRING },
	};
	JSValue proto = JS_NewObject(ctx), fn, ctor;
	bool    ok;

	ok = js_methods(ctx, proto, methods, COUNT_OF(methods), false);
	fn = JS_NewCFunctionMagic(ctx, placeholder_method, "[Symbol.toPrimitive]", 1,
	    JS_CFUNC_generic_magic, PLACEHOLDER_PRIMITIVE);
	ok = ok &&
	     JS_DefinePropertyValue(ctx, proto, cx->to_primitive, fn, JS_PROP_CONFIGURABLE) >= 0;
	/* The name of its class is how a bundle's own placeholder is recognised as well. */
	ctor = JS_NewCFunctionMagic(ctx, placeholder_method, "CommitTsPlaceholder", 0,
	    JS_CFUNC_generic_magic, PLACEHOLDER_VALUE);
	ok = ok && JS_DefinePropertyValue(ctx, proto, cx->atoms.constructor, ctor,
	    JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE) >= 0;
	cx->commit_ts = JS_NewObjectProto(ctx, proto);
	JS_FreeValue(ctx, proto);
	return ok && !JS_IsException(cx->commit_ts);
}

/* --- set-up --- */

static JSAtom
symbol_atom(JSContext *ctx, JSValue symbol)
{
	JSAtom atom = JS_ValueToAtom(ctx, symbol);

	JS_FreeValue(ctx, symbol);
	return atom;
}

static JSAtom
well_known(JSContext *ctx, JSValueConst global, const char *name)
{
	JSValue ctor = JS_GetPropertyStr(ctx, global, "Symbol");
	JSValue symbol = JS_GetPropertyStr(ctx, ctor, name);

	JS_FreeValue(ctx, ctor);
	return symbol_atom(ctx, symbol);
}

static void
install_atoms(JSContext *ctx, struct ctx_state *cx)
{
	JSValue global = JS_GetGlobalObject(ctx), object;

#define X(n) cx->atoms.n = JS_NewAtom(ctx, #n);
	CTX_ATOMS(X)
#undef X
	cx->convex_error = symbol_atom(ctx, JS_NewSymbol(ctx, "ConvexError", true));
	cx->reference_path = symbol_atom(ctx, JS_NewSymbol(ctx, "toReferencePath", true));
	cx->function_name = symbol_atom(ctx, JS_NewSymbol(ctx, "functionName", true));
	cx->async_iterator = well_known(ctx, global, "asyncIterator");
	cx->to_primitive = well_known(ctx, global, "toPrimitive");
	cx->error_ctor = JS_GetPropertyStr(ctx, global, "Error");
	cx->type_error_ctor = JS_GetPropertyStr(ctx, global, "TypeError");
	cx->range_error_ctor = JS_GetPropertyStr(ctx, global, "RangeError");
	object = JS_GetPropertyStr(ctx, global, "Object");
	JS_FreeValue(ctx, object);
	object = JS_NewObject(ctx);
	{
		JSValue proto = JS_GetPrototype(ctx, object);

		cx->object_proto = JS_VALUE_GET_PTR(proto);
		JS_FreeValue(ctx, proto);
	}
	JS_FreeValue(ctx, object);
	JS_FreeValue(ctx, global);
}

void
ctx_install_classes(struct engine *en)
{
	struct ctx_state *cx = MEM_NEW(struct ctx_state);

	en->cx = cx;
	for (size_t i = 0; i < PACKS_MAX; i++)
		pack_init(&cx->packs[i]);
	install_atoms(en->ctx, cx);
	must(placeholder_install(en->ctx, cx));
	must(ctx_filter_install(en) && ctx_range_install(en) && ctx_query_install(en) &&
	    ctx_db_install(en));
}

void
ctx_reset(struct engine *en)
{
	for (size_t i = 0; i < PACKS_MAX; i++) {
		struct pack *p = &en->cx->packs[i];

		if (p->out.cap > PACK_KEEP)
			pack_clear(p);
	}
	en->cx->packs_busy = 0; /* the run may have ended in the middle of a conversion */
}

void
ctx_uninstall(struct engine *en)
{
	if (!en->cx)
		return;
	for (size_t i = 0; i < PACKS_MAX; i++)
		pack_clear(&en->cx->packs[i]);
	mem_free(en->cx);
	en->cx = NULL;
}

JSValue
ctx_new(struct engine *en, enum udf_kind kind)
{
	JSContext *ctx = en->ctx;
	JSValue    object = JS_NewObject(ctx);
	JSAtom     db = JS_NewAtom(ctx, "db");
	bool       ok = js_put(ctx, object, db, ctx_db_new(en, kind == UDF_MUTATION));

	JS_FreeAtom(ctx, db);
	if (ok && ctx_host_install(en, object, kind))
		return object;
	JS_FreeValue(ctx, object);
	return JS_EXCEPTION;
}
