/* jobs.c - promises, and the order in which jobs and the host take turns (spec 04 section 2.5).
 *
 * In queries and mutations the host performs an operation when it is called, in the order of the
 * calls.  Its promise hears of that only when all jobs are done and no rejection is left without a
 * handler: so a function that is late with its handler fails, wherever its promises come from.
 *
 * Thread: the isolate's.  Memory: the answers' values are the heap's.
 */
#include "isolate/engine_int.h"

#define BATCH_MAX 16 /* answers of one kind that are told together */

/* --- rejections --- */

/* Keeps the rejections without a handler, in the order of their appearance. */
static void
on_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled,
    void *opaque)
{
	struct image *im = engine_of(ctx)->im;

	(void)opaque;
	if (!is_handled) {
		struct rejection r = { JS_DupValue(ctx, promise), JS_DupValue(ctx, reason) };

		vec_push(&im->rejected, r);
		return;
	}
	for (size_t i = 0; i < im->rejected.n; i++) {
		struct rejection r = im->rejected.v[i];

		if (JS_VALUE_GET_PTR(r.promise) != JS_VALUE_GET_PTR(promise))
			continue;
		im->rejected.n--;
		memmove(
		    &im->rejected.v[i], &im->rejected.v[i + 1], (im->rejected.n - i) * sizeof r);
		JS_FreeValue(ctx, r.promise);
		JS_FreeValue(ctx, r.reason);
		return;
	}
}

void
engine_install_jobs(struct engine *en)
{
	JS_SetHostPromiseRejectionTracker(en->rt, on_rejection, NULL);
}

/* --- jobs --- */

void
engine_drain(struct engine *en)
{
	JSContext *ctx;
	int        rc;

	while (!en->run->terminated && (rc = JS_ExecutePendingJob(en->rt, &ctx)) != 0)
		if (rc < 0)
			JS_FreeValue(en->ctx, JS_GetException(en->ctx));
}

JSValue
engine_promise(JSContext *ctx, JSValue v)
{
	JSValue promise;

	if (JS_IsPromise(v))
		return v;
	promise = JS_NewSettledPromise(ctx, false, v);
	JS_FreeValue(ctx, v);
	return promise;
}

/* --- answers of the host --- */

static JSValue
answer_later(JSContext *ctx, bool failed, JSValue value, enum answer_kind kind)
{
	struct image *im = engine_of(ctx)->im;
	JSValue       both[2], promise = JS_NewPromiseCapability(ctx, both);
	struct answer a = { .tell = both[failed], .value = value, .kind = kind };

	if (JS_IsException(promise)) {
		JS_FreeValue(ctx, value);
		return promise;
	}
	JS_FreeValue(ctx, both[!failed]);
	vec_push(&im->answers, a);
	return promise;
}

static JSValue
settled(JSContext *ctx, bool failed, JSValue value, enum answer_kind kind)
{
	const struct engine *en = engine_of(ctx);
	JSValue              promise;

	if (en->run && en->phase == PHASE_EXECUTE && !en->run->action)
		return answer_later(ctx, failed, value, kind);
	promise = JS_NewSettledPromise(ctx, failed, value);
	JS_FreeValue(ctx, value);
	return promise;
}

static JSValue
promise_of(JSContext *ctx, JSValue result, enum answer_kind kind)
{
	JSValue reason;

	if (!JS_IsException(result))
		return JS_IsPromise(result) ? result : settled(ctx, false, result, kind);
	reason = JS_GetException(ctx);
	if (JS_IsUncatchableError(reason))
		return JS_Throw(ctx, reason);
	return settled(ctx, true, reason, kind);
}

JSValue
js_promise_of(JSContext *ctx, JSValue result)
{
	return promise_of(ctx, result, ANSWER_ALONE);
}

JSValue
js_promise_of_read(JSContext *ctx, JSValue result)
{
	return promise_of(ctx, result, ANSWER_READ);
}

bool
engine_tell(struct engine *en)
{
	struct image *im = en->im;
	size_t        n = 0;

	if (im->told == im->answers.n) {
		im->told = im->answers.n = 0;
		return false;
	}
	do {
		struct answer a = im->answers.v[im->told++];

		JS_FreeValue(en->ctx, JS_Call(en->ctx, a.tell, JS_UNDEFINED, 1, &a.value));
		JS_FreeValue(en->ctx, a.value);
		JS_FreeValue(en->ctx, a.tell);
	} while (im->told < im->answers.n && ++n < BATCH_MAX &&
	    im->answers.v[im->told - 1].kind == ANSWER_READ &&
	    im->answers.v[im->told].kind == ANSWER_READ);
	return true;
}
