/* run.c - one run of one function (spec 04 sections 2.1, 2.3, 2.5).
 *
 * A registered function carries its handler as `_handler`: it is called directly, with the
 * native ctx and arguments made from packed values.  Without one (or when asked to) the
 * helper of the npm package is called, JSON text both ways.
 *
 * The loop is: call, drain the jobs, look, let the host's next answers in (jobs.c).
 *
 * Thread: the isolate's.  Memory: results in the request's arena; the heap is reset before
 * isolate_run() returns.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "isolate/engine_int.h"
#include "value/vjson.h"

#define RESULT_MAX      ((size_t)16 << 20)
#define RESULT_MAX_SYS  ((size_t)24 << 20)
#define STACK_TO_START  ((size_t)192 << 10)

struct call {
	struct engine            *en;
	const struct run_request *req;
	struct run_result        *ret;
	const struct exported    *x;
	bool                      native;
};

/* --- the outcome --- */

void
run_fail_text(const struct run_request *req, struct run_result *ret, str text)
{
	const str parts[] = { text, S("\n") };

	ret->ok = false;
	ret->value = VAL_NONE;
	ret->error = arena_join(req->arena, parts, COUNT_OF(parts));
	ret->error_data = str_of(NULL, 0);
}

static void PRINTF(2, 3)
fail_fmt(struct call *c, const char *fmt, ...)
{
	char    text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	run_fail_text(c->req, c->ret, str_z(text));
}

void
run_fail_thrown(struct engine *en, JSValue thrown)
{
	const struct run *r = en->run;
	str               ended = run_ended_by(en), text, data;

	if (!ended.p) {
		error_describe(en, thrown, r->arena, &text, &data);
		ended = run_ended_by(en); /* a getter may have used up what was left */
	}
	if (ended.p) {
		run_fail_text(r->req, r->res, ended);
	} else {
		r->res->ok = false;
		r->res->error = text;
		r->res->error_data = data;
	}
	JS_FreeValue(en->ctx, thrown);
}

void
run_fail_exception(struct engine *en)
{
	run_fail_thrown(en, JS_GetException(en->ctx));
}

bool
run_drain(struct engine *en)
{
	str ended;

	do {
		engine_drain(en);
		ended = run_ended_by(en);
		if (ended.p) {
			run_fail_text(en->run->req, en->run->res, ended);
			return false;
		}
		if (en->im->rejected.n) {
			run_fail_thrown(en, JS_DupValue(en->ctx, en->im->rejected.v[0].reason));
			return false;
		}
	} while (engine_tell(en));
	return true;
}

/* --- what is being called --- */

static const char *
kind_lower(enum udf_kind k)
{
	static const char *const names[] = { "query", "mutation", "action", "HTTP action" };

	return names[k];
}

static bool
is_kind(const struct exported *x, enum udf_kind k)
{
	switch (k) {
	case UDF_QUERY:
		return x->is_query;
	case UDF_MUTATION:
		return x->is_mutation;
	case UDF_ACTION:
		return x->is_action;
	case UDF_HTTP_ACTION:
		break;
	}
	return false;
}

/* The texts of section 2.1's second table. */
static void
refuse(struct call *c)
{
	str module = c->req->module, name = c->req->function;

	if (!c->x)
		fail_fmt(c, "Couldn't find \"%.*s\" in module \"%.*s\".", STR_ARG(name),
		    STR_ARG(module));
	else if (c->x->is_query || c->x->is_mutation)
		fail_fmt(c, "Function %.*s:%.*s is registered as a %s but is being run as a %s.",
		    STR_ARG(module), STR_ARG(name), c->x->is_query ? "query" : "mutation",
		    kind_lower(c->req->kind));
	else
		fail_fmt(c, "Function %.*s:%.*s is neither a query or mutation. Did you forget to "
		            "wrap it with `query` or `mutation`?", STR_ARG(module), STR_ARG(name));
}

static bool
find_export(struct call *c)
{
	const struct image *im = c->en->im;

	for (size_t i = 0; i < im->exports.n && !c->x; i++)
		if (str_eq(im->exports.v[i].name, c->req->function))
			c->x = &im->exports.v[i];
	if (c->x && is_kind(c->x, c->req->kind))
		return true;
	refuse(c);
	return false;
}

/* --- calling it --- */

static JSValue
call_handler(struct call *c)
{
	JSContext *ctx = c->en->ctx;
	size_t     n = val_kind(c->req->args) == VAL_ARRAY ? val_count(c->req->args) : 0;
	JSValue   *argv = ARENA_ARRAY(c->req->arena, JSValue, n + 1);

	argv[0] = c->req->kind == UDF_MUTATION ? c->en->im->ctx_mutation : c->en->im->ctx_query;
	for (size_t i = 0; i < n; i++) {
		argv[i + 1] = js_from_val(ctx, val_at(c->req->args, i));
		if (JS_IsException(argv[i + 1]))
			return JS_EXCEPTION;
	}
	/* Arguments are not freed: the reset takes them. */
	return JS_Call(ctx, c->x->handler, JS_UNDEFINED, (int)n + 1, argv);
}

static JSValue
call_helper(struct call *c)
{
	static const char *const names[] = { "invokeQuery", "invokeMutation", "invokeAction",
		"invokeHttpAction" };
	JSContext *ctx = c->en->ctx;
	JSValue    fn = JS_GetPropertyStr(ctx, c->x->fn, names[c->req->kind]), ret, args[2];
	JSValue    global = JS_GetGlobalObject(ctx);
	struct buf b;
	int        n = 0;

	if (JS_IsException(fn))
		return fn;
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	vjson_write(&b, c->req->args, VJSON_ENCODED);
	if (c->req->kind == UDF_ACTION)
		args[n++] = JS_NewString(ctx, "dummy_request_id");
	args[n++] = js_from_str(ctx, buf_str(&b));
	buf_clear(&b);
	ret = JS_IsException(args[n - 1]) ? JS_EXCEPTION : JS_Call(ctx, fn, global, n, args);
	JS_FreeValue(ctx, global);
	return ret;
}

/* A handler's result: a promise to wait for, or a value already.  Takes v. */
static JSValue
awaited(JSContext *ctx, JSValue v)
{
	JSValue then;

	if (!JS_IsObject(v) || JS_IsPromise(v))
		return v;
	then = JS_GetPropertyStr(ctx, v, "then");
	if (JS_IsException(then)) {
		JS_FreeValue(ctx, v);
		return then;
	}
	if (JS_IsFunction(ctx, then))
		v = engine_promise(ctx, v);
	JS_FreeValue(ctx, then);
	return v;
}

/* --- the result --- */

static void
print_mib(struct buf *b, size_t bytes)
{
	double mib = (double)bytes / (1 << 20);

	if (mib == (double)(long)mib)
		buf_fmt(b, "%ld MiB", (long)mib);
	else
		buf_fmt(b, "%.2f MiB", mib);
}

static void
accept(struct call *c, struct val v)
{
	str    m = c->req->module, f = c->req->function;
	size_t max = str_starts(m, S("_system/")) ? RESULT_MAX_SYS : RESULT_MAX;

	/* Packed values are never much smaller than what limits count. */
	if (v.n > max / 4 && val_size(v) > max) {
		struct buf b;

		buf_init(&b, 1024);
		buf_fmt(&b, "Function %.*s:%.*s return value is too large (actual: ", STR_ARG(m),
		    STR_ARG(f));
		print_mib(&b, val_size(v));
		buf_addz(&b, ", limit: ");
		print_mib(&b, max);
		buf_addz(&b, ")");
		run_fail_text(c->req, c->ret, buf_str(&b));
		buf_clear(&b);
	} else {
		c->ret->ok = true;
		c->ret->value = v;
	}
}

static void
accept_value(struct call *c, JSValueConst v)
{
	JSContext *ctx = c->en->ctx;
	struct val out = val_null;

	if (!ctx_result_ok(ctx, v) ||
	    (!JS_IsUndefined(v) && !js_to_val(ctx, v, TO_VAL, c->req->arena, &out)))
		run_fail_exception(c->en);
	else
		accept(c, out);
}

static void
accept_text(struct call *c, str text)
{
	struct err   e = err_in(c->req->arena);
	str          m = c->req->module, f = c->req->function;
	struct json *j;
	struct pack  p;
	struct val   out;

	if (json_parse(c->req->arena, text, &j, &e) != ST_OK) {
		fail_fmt(c, "Function %.*s:%.*s failed. Could not parse return value as json: %.*s",
		    STR_ARG(m), STR_ARG(f), STR_ARG(e.text));
		return;
	}
	pack_init(&p);
	if (vjson_read(&p, j, VJSON_COMMIT_TS, &e) != ST_OK ||
	    pack_done_in(&p, c->req->arena, &out, &e) != ST_OK)
		fail_fmt(c, "Function %.*s:%.*s return value invalid: %.*s", STR_ARG(m), STR_ARG(f),
		    STR_ARG(e.text));
	else
		accept(c, out);
	pack_clear(&p);
}

static void
accept_json(struct call *c, JSValueConst v)
{
	str text = S("undefined");

	if (JS_IsString(v) && !js_to_str(c->en->ctx, v, c->req->arena, &text))
		run_fail_exception(c->en);
	else
		accept_text(c, text);
}

static void
settle(struct call *c, JSValue result)
{
	JSContext *ctx = c->en->ctx;

	if (JS_IsPromise(result)) {
		JSPromiseStateEnum state = JS_PromiseState(ctx, result);

		if (state == JS_PROMISE_PENDING) {
			run_fail_text(c->req, c->ret, S("Returned promise will never resolve"));
			return;
		}
		result = JS_PromiseResult(ctx, result);
		if (state == JS_PROMISE_REJECTED) {
			run_fail_thrown(c->en, result);
			return;
		}
	}
	if (c->native)
		accept_value(c, result);
	else
		accept_json(c, result);
}

/* Runs inside guard_call(). */
static void
run_main(void *arg)
{
	struct call   *c = arg;
	struct engine *en = c->en;
	JSValue        result;
	str            ended;

	if (!find_export(c))
		return;
	en->run->internal = c->x->is_internal;
	c->native = !c->req->force_syscalls && c->req->kind <= UDF_MUTATION &&
	    JS_IsFunction(en->ctx, c->x->handler);
	result = c->native ? awaited(en->ctx, call_handler(c)) : call_helper(c);
	if (JS_IsException(result)) {
		/* Jobs that are queued still belong to the run, but it has failed already. */
		run_fail_exception(c->en);
		return;
	}
	if (run_drain(en))
		settle(c, result);
	ended = run_ended_by(en); /* converting the result may run getters */
	if (ended.p && c->ret->ok)
		run_fail_text(c->req, c->ret, ended);
}

/* Console lines of the import are the first lines of each run, with its time. */
static void
replay_logs(const struct image *im, struct run_result *ret, uint64_t now_ns)
{
	for (size_t i = 0; i < im->logs.lines.n; i++) {
		struct logline line = im->logs.lines.v[i];

		line.timestamp_ms = now_ns / 1000000;
		loglines_add(&ret->logs, &line);
	}
}

static status
run_in(struct engine *en, const struct run_request *req, struct run_result *ret, struct err *e)
{
	struct run  r = { .req = req, .res = ret, .arena = req->arena, .txn = req->txn,
		 .cpu_limit_ns = en->iso->opts.user_time_ns,
		 .leave_after_ns = req->leave_after_ns,
		 .system_limit_ns = run_system_limit(en->iso, req) };
	struct call c = { .en = en, .req = req, .ret = ret };
	enum jump   why;

	run_seed(&r, req->seed);
	r.now_ms = (double)(req->now_ns / 1000000);
	replay_logs(en->im, ret, req->now_ns);
	en->phase = PHASE_EXECUTE;
	engine_enter(en, &r);
	why = guard_call(en, run_main, &c);
	if (why != JUMP_NONE)
		run_fail_text(req, ret, run_broken(en, why));
	ret->left = r.left;
	ret->user_ns = run_user_ns(&r);
	engine_leave(en, NULL);
	image_give(en, why != JUMP_ABORT || heap_oom(en->heap));
	return r.fatal.st == ST_OK ? ST_OK : err_copy(e, &r.fatal);
}

/* --- for engines elsewhere (remote.c) --- */

void
run_refuse(const struct run_request *req, struct run_result *ret, const struct exported *x)
{
	refuse(&(struct call){ .req = req, .ret = ret, .x = x });
}

void
run_take_json(const struct run_request *req, struct run_result *ret, str text)
{
	accept_text(&(struct call){ .req = req, .ret = ret }, text);
}

uint64_t
run_system_limit(const struct isolate *iso, const struct run_request *req)
{
	return req->system_left_ns ? req->system_left_ns : iso->opts.system_time_ns;
}

status
isolate_run(struct isolate *iso, const struct run_request *req, struct run_result *ret,
    struct err *e)
{
	uint64_t       begun_ns = os_thread_cpu_ns();
	struct engine *en;
	str            error;

	ret->ok = false;
	ret->value = VAL_NONE;
	ret->error_data = str_of(NULL, 0);
	ret->import_ns = 0; /* the image keeps it: it is of no run */
	/* A nested run whose callers used up the stack. */
	if (engine_stack_size() < STACK_TO_START) {
		ret->error = S("Uncaught RangeError: Maximum call stack size exceeded\n");
		return ST_OK;
	}
	TRY(image_get(iso, req, &en, &error, e));
	if (!en) {
		ret->error = error;
		ret->left = error.p == image_left.p;
		ret->user_ns = ret->import_ns = os_thread_cpu_ns() - begun_ns;
		return ST_OK;
	}
	return run_in(en, req, ret, e);
}
