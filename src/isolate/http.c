/* http.c - one run of an HTTP action (spec 04 sections 2.3, 6.2, 6.4).
 *
 * The router of http.js is asked in the import phase, and then run.  When its promise settles the
 * head goes out; the run goes on until the body that it promised has ended.
 *
 * Thread: the action's.  Memory: the request's arena.
 */
#include "isolate/action_int.h"

void
http_refuse(const struct run_request *req, struct run_result *ret, enum http_refusal why)
{
	static const char *const texts[] = {
		[HTTP_NO_DEFAULT] = "Couldn't find default export in module \"http.js\".\n",
		[HTTP_NO_ROUTER] = "The default export of `convex/http.js` is not a Router.\n",
		[HTTP_NO_RESPONSE] = "HTTP action returned something that is not a response\n",
	};

	ret->ok = why == HTTP_NO_ROUTE;
	if (why == HTTP_NO_ROUTE)
		req->actions->respond_text(
		    req->actions->arg, 404, S("No matching routes found"));
	else
		ret->error = str_z(texts[why]);
}

bool
http_respond(const struct run_request *req, struct run_result *ret, str json)
{
	struct err e = err_in(req->arena);

	if (req->actions->respond(req->actions->arg, json, &e) == ST_OK)
		return true;
	ret->ok = false;
	ret->error = arena_fmt(req->arena, "%.*s\n", STR_ARG(e.text));
	return false;
}

/* The default export, if it is a router; else the run has failed. */
static bool
find_router(struct action *a, JSValue *ret)
{
	const struct image *im = a->en->im;
	JSContext          *ctx = a->en->ctx;
	JSValue             is;
	bool                yes;

	*ret = JS_UNDEFINED;
	for (size_t i = 0; i < im->exports.n; i++)
		if (str_eq(im->exports.v[i].name, S("default")))
			*ret = im->exports.v[i].fn;
	if (JS_IsUndefined(*ret)) {
		http_refuse(a->req, a->ret, HTTP_NO_DEFAULT);
		return false;
	}
	is = JS_IsObject(*ret) ? JS_GetPropertyStr(ctx, *ret, "isRouter") : JS_UNDEFINED;
	if (JS_IsException(is)) {
		run_fail_exception(a->en);
		return false;
	}
	yes = JS_IsBool(is) && JS_ToBool(ctx, is) == 1;
	if (!yes)
		http_refuse(a->req, a->ret, HTTP_NO_ROUTER);
	return yes;
}

/* router.NAME(one, two) */
static JSValue
call_router(struct action *a, JSValueConst router, const char *name, str one, str two)
{
	JSContext *ctx = a->en->ctx;
	JSValue    fn = JS_GetPropertyStr(ctx, router, name), args[2];

	if (JS_IsException(fn))
		return fn;
	args[0] = js_from_str(ctx, one);
	args[1] = js_from_str(ctx, two);
	if (JS_IsException(args[0]) || JS_IsException(args[1]))
		return JS_EXCEPTION;
	return JS_Call(ctx, fn, router, 2, args);
}

/* lookup() returns [handler, method, route]; a router of the user's own may not. */
static void
note_route(struct action *a, JSValueConst found)
{
	JSContext *ctx = a->en->ctx;
	JSValue    route = JS_GetPropertyUint32(ctx, found, 2);

	if (!JS_IsString(route) || !js_to_str(ctx, route, a->req->arena, &a->ret->route))
		JS_FreeValue(ctx, JS_GetException(ctx));
}

/* False: the run is over, its reply a 404 or a failure. */
static bool
look_up(struct action *a, JSValueConst router)
{
	const struct http_call *h = a->req->http;
	JSValue                 found;

	a->en->phase = PHASE_IMPORT;
	found = call_router(a, router, "lookup", h->path, h->method);
	a->en->phase = PHASE_EXECUTE;
	if (JS_IsException(found)) {
		run_fail_exception(a->en);
		return false;
	}
	if (JS_IsObject(found)) {
		note_route(a, found);
		return true;
	}
	http_refuse(a->req, a->ret, HTTP_NO_ROUTE);
	return false;
}

/* What runRequest() returned goes out as the head. */
static bool
respond(struct action *a, JSValue settled)
{
	JSContext *ctx = a->en->ctx;
	str        json;

	if (JS_IsPromise(settled))
		settled = JS_PromiseResult(ctx, settled);
	if (!JS_IsString(settled)) {
		http_refuse(a->req, a->ret, HTTP_NO_RESPONSE);
		return false;
	}
	if (!js_to_str(ctx, settled, a->req->arena, &json)) {
		run_fail_exception(a->en);
		return false;
	}
	return http_respond(a->req, a->ret, json);
}

/* The body: until it has ended. */
static void
stream(struct action *a)
{
	const struct action_host *h = a->req->actions;

	while (h->responding(h->arg)) {
		if (!run_drain(a->en))
			return;
		if (h->responding(h->arg) && !action_wait(a))
			return;
	}
	a->ret->ok = true;
}

void
http_main(void *arg)
{
	struct action *a = arg;
	JSValue        router, promise;

	if (!find_router(a, &router) || !look_up(a, router))
		return;
	promise = call_router(a, router, "runRequest", a->req->http->json, a->req->http->path);
	if (JS_IsException(promise)) {
		run_fail_exception(a->en);
		return;
	}
	if (!action_settle(a, promise))
		return;
	run_stay(a->en->run); /* it cannot be begun anew any more */
	if (respond(a, promise))
		stream(a);
}
