/* wasm.c - the global WebAssembly, which this engine does not have.
 *
 * Whoever touches it is better off in the full engine (node/tier.h), if there is one that this run
 * may leave for; else it is undefined, as in an engine that never heard of it.
 *
 * While a push is analysed nothing can be left: there it is a stand-in (js/prelude/wasm.js), so
 * that modules which compile and instantiate while they are evaluated can be looked at.
 *
 * Thread: the isolate's.
 */
#include "isolate/engine_int.h"
#include "isolate/natives_int.h"

static JSValue
wasm_get(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	struct engine *en = engine_of(ctx);

	(void)this_val, (void)argc, (void)argv;
	if (en->run && en->run->res)
		en->run->res->wants_wasm = true;
	if (en->run && en->run->leave_after_ns) {
		run_leave(en->run);
		return js_throw_uncatchable(ctx, "WebAssembly");
	}
	if (en->env == ENV_ANALYZE && en->iso->opts.full_engine && !JS_IsUndefined(en->wasm))
		return JS_DupValue(ctx, en->wasm);
	return JS_UNDEFINED;
}

/* Any value may be assigned; it becomes an ordinary property. */
static JSValue
wasm_set(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	(void)argc;
	if (JS_DefinePropertyValueStr(ctx, this_val, "WebAssembly", JS_DupValue(ctx, argv[0]),
	        JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) < 0)
		return JS_EXCEPTION;
	return JS_UNDEFINED;
}

JSValue
wasm_provide(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)magic;
	engine_of(ctx)->wasm = JS_DupValue(ctx, js_arg(argc, argv, 0));
	return JS_UNDEFINED;
}

void
wasm_install(struct engine *en, JSValueConst global)
{
	JSAtom  atom = JS_NewAtom(en->ctx, "WebAssembly");
	JSValue get = JS_NewCFunction(en->ctx, wasm_get, "get WebAssembly", 0);
	JSValue set = JS_NewCFunction(en->ctx, wasm_set, "set WebAssembly", 1);

	en->wasm = JS_UNDEFINED;
	must(JS_DefinePropertyGetSet(en->ctx, global, atom, get, set, JS_PROP_CONFIGURABLE) >= 0);
	JS_FreeAtom(en->ctx, atom);
}
