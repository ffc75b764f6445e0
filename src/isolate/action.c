/* action.c - one run of an action (spec 04 sections 2.3, 2.6).
 *
 * The thread belongs to the action: it drains the jobs, looks whether the promise settled, and
 * waits for the next completion.  An engine is taken out of the isolate with the transaction of the
 * start; that one is over while the action runs.
 *
 * Thread: the action's.  Memory: results in the request's arena.
 */
#include <stdlib.h>

#include "isolate/action_int.h"
#include "value/vjson.h"

static void
take_result(struct action *a, JSValueConst v)
{
	str text = S("undefined");

	if (JS_IsString(v) && !js_to_str(a->en->ctx, v, a->req->arena, &text))
		run_fail_exception(a->en);
	else
		run_take_json(a->req, a->ret, text);
}

/* --- the loop --- */

str
action_end_text(const struct run_request *req)
{
	return req->actions->cancelled(req->actions->arg) ? S("The server is stopping") :
	    limits_time_text(req->arena, req->action_ns);
}

bool
action_wait(struct action *a)
{
	const struct action_host *h = a->req->actions;
	struct async_op          *op = h->wait(h->arg, a->deadline_ns, -1);

	if (op) {
		async_complete(a, op);
		return true;
	}
	run_fail_text(a->req, a->ret, action_end_text(a->req));
	return false;
}

bool
action_settle(struct action *a, JSValueConst promise)
{
	JSContext *ctx = a->en->ctx;

	for (;;) {
		if (!run_drain(a->en))
			return false;
		switch (JS_PromiseState(ctx, promise)) {
		case JS_PROMISE_FULFILLED:
		case JS_PROMISE_NOT_A_PROMISE:
			return true;
		case JS_PROMISE_REJECTED:
			JS_PromiseMarkAsHandled(ctx, promise);
			run_fail_thrown(a->en, JS_PromiseResult(ctx, promise));
			return false;
		case JS_PROMISE_PENDING:
			break;
		}
		if (!action_wait(a))
			return false;
	}
}

/* --- the call --- */

static const struct exported *
find_export(struct action *a)
{
	const struct image *im = a->en->im;

	for (size_t i = 0; i < im->exports.n; i++) {
		const struct exported *x = &im->exports.v[i];

		if (!str_eq(x->name, a->req->function))
			continue;
		if (x->is_action)
			return x;
		run_refuse(a->req, a->ret, x);
		return NULL;
	}
	run_refuse(a->req, a->ret, NULL);
	return NULL;
}

static JSValue
invoke(struct action *a, const struct exported *x)
{
	JSContext *ctx = a->en->ctx;
	JSValue    fn = JS_GetPropertyStr(ctx, x->fn, "invokeAction"), global, args[2], ret;
	struct buf b;

	if (JS_IsException(fn))
		return fn;
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	vjson_write(&b, a->req->args, VJSON_ENCODED);
	global = JS_GetGlobalObject(ctx);
	args[0] = JS_NewString(ctx, "dummy_request_id");
	args[1] = js_from_str(ctx, buf_str(&b));
	buf_clear(&b);
	ret = JS_IsException(args[1]) ? JS_EXCEPTION : JS_Call(ctx, fn, global, 2, args);
	JS_FreeValue(ctx, global);
	return ret;
}

/* Runs inside guard_call(). */
static void
action_main(void *arg)
{
	struct action         *a = arg;
	const struct exported *x = find_export(a);
	JSValue                promise;

	if (!x)
		return;
	promise = invoke(a, x);
	if (JS_IsException(promise)) {
		run_fail_exception(a->en);
		return;
	}
	if (!action_settle(a, promise))
		return;
	if (JS_IsPromise(promise))
		promise = JS_PromiseResult(a->en->ctx, promise);
	take_result(a, promise);
}

/* --- what is left --- */

static int
by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

/* Spec 04 section 2.6: one line about what nobody waited for. */
static void
warn_unawaited(struct action *a)
{
	struct buf     b;
	size_t         n = 0, named = 0;
	str           *labels = ARENA_ARRAY(a->req->arena, str, a->pending.n + 1), text;
	struct logline line = { .level = LINE_WARN, .nmessages = 1, .messages = &text,
		.system_code = S("UnawaitedOperations") };

	for (size_t i = 0; i < a->pending.n; i++)
		if (a->pending.v[i].label.p)
			labels[n++] = a->pending.v[i].label;
	if (n == 0)
		return;
	qsort(labels, n, sizeof *labels, by_text);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "%zu unawaited operation%s: [", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && str_eq(labels[i], labels[i - 1]))
			continue;
		buf_fmt(&b, "%s%.*s", named++ ? ", " : "", STR_ARG(labels[i]));
	}
	buf_addz(&b, "]. Async operations should be awaited or they might not run. See "
		     "https://docs.convex.dev/functions/actions#dangling-promises for more "
		     "information.");
	text = arena_str(a->req->arena, buf_str(&b));
	line.timestamp_ms = os_now_ns(a->en->iso->opts.os) / 1000000;
	loglines_add(&a->ret->logs, &line);
	buf_clear(&b);
}

static void
cancel_rest(struct action *a)
{
	for (size_t i = 0; i < a->pending.n; i++)
		a->req->actions->cancel(a->req->actions->arg, a->pending.v[i].id);
	vec_clear(&a->pending);
}

void
action_finish(struct action *a)
{
	if (a->ret->ok)
		warn_unawaited(a);
	cancel_rest(a);
}

/* --- life --- */

static void
replay_logs(const struct action *a)
{
	for (size_t i = 0; i < a->en->im->logs.lines.n; i++) {
		struct logline line = a->en->im->logs.lines.v[i];

		line.timestamp_ms = a->req->now_ns / 1000000;
		loglines_add(&a->ret->logs, &line);
	}
}

status
isolate_action_take(struct isolate *iso, const struct run_request *req, struct engine **ret,
    str *ret_error, struct err *e)
{
	TRY(image_get(iso, req, ret, ret_error, e));
	/* Later it may have begun something, and could not leave any more. */
	if (*ret && (*ret)->im->names_wasm && req->leave_after_ns) {
		image_give(*ret, true);
		*ret = NULL;
		*ret_error = image_left;
	}
	return ST_OK;
}

bool
isolate_action_left(str error)
{
	return error.p == image_left.p;
}

status
isolate_action_run(struct engine *en, const struct run_request *req, struct run_result *ret,
    struct err *e)
{
	struct action a = { .en = en, .req = req, .ret = ret,
		.deadline_ns = os_mono_ns(en->iso->opts.os) + req->action_ns,
		.next_id = req->first_op };
	struct run    r = { .req = req, .res = ret, .arena = req->arena, .action = &a,
		   .cpu_limit_ns = req->action_ns, .leave_after_ns = req->leave_after_ns };
	size_t        modules = en->im->modules.n;
	enum jump     why;

	ret->ok = false;
	ret->value = VAL_NONE;
	ret->error_data = str_of(NULL, 0);
	run_seed(&r, req->seed);
	r.now_ms = (double)(req->now_ns / 1000000);
	replay_logs(&a);
	en->phase = PHASE_EXECUTE;
	engine_enter(en, &r);
	why = guard_call(en, req->kind == UDF_HTTP_ACTION ? http_main : action_main, &a);
	if (why != JUMP_NONE)
		run_fail_text(req, ret, run_broken(en, why));
	ret->user_ns = run_user_ns(&r);
	engine_leave(en, NULL);
	ret->left = r.left;
	ret->last_op = a.next_id;
	action_finish(&a);
	/* What was imported on the way is in the list of modules, and no longer in the heap. */
	image_give(en, (why != JUMP_ABORT || heap_oom(en->heap)) && en->im->modules.n == modules);
	return r.fatal.st == ST_OK ? ST_OK : err_copy(e, &r.fatal);
}
