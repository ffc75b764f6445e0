/* limits.c - entering an engine: CPU, memory, stack, jobs, and what happens at their ends.
 *
 * Host state of the engine (stack limit) is set at each entry, because a reset brings back
 * what it was at the seal.
 *
 * Out of memory ends a run by a jump: the engine's own recovery from it is full of holes (null
 * dereferences, abort()), and nothing needs unwinding, since the heap is dropped as a whole.
 * The allocator calls engine_abort() at the first refusal; the engine is compiled with abort
 * replaced by it too.  So code that calls the engine keeps what it must not lose in arenas.
 *
 * Thread: the isolate's.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

#include "isolate/engine_int.h"

#define JS_STACK      ((size_t)2 << 20)
#define STACK_RESERVE ((size_t)256 << 10) /* for our own frames below the engine's */
#define STACK_LEAST   ((size_t)16 << 10)  /* enough to throw "Maximum call stack size exceeded" */
#define TIMEOUT_TEXT  "Function execution timed out (maximum duration: %gs)"
#define OOM_TEXT      "JavaScript execution ran out of memory (maximum memory usage: %zu MB)"

/* --- abort --- */

struct guard {
	jmp_buf       back;
	struct guard *outer;
};

static _Thread_local struct guard *guard;

void
engine_abort(void)
{
	if (guard)
		longjmp(guard->back, 1);
	abort();
}

bool
engine_protect(void (*fn)(void *arg), void *arg)
{
	struct guard g = { .outer = guard };

	if (setjmp(g.back)) {
		guard = g.outer;
		return false;
	}
	guard = &g;
	fn(arg);
	guard = g.outer;
	return true;
}

/* --- CPU and memory --- */

static void
end_run(struct run *r, str text)
{
	r->terminated = true;
	if (!r->uncatchable.p)
		r->uncatchable = text;
}

static void
end_for_memory(struct engine *en)
{
	end_run(en->run, arena_fmt(en->run->arena, OOM_TEXT, en->iso->opts.heap_bytes >> 20));
}

static int
on_interrupt(JSRuntime *rt, void *opaque)
{
	struct engine *en = opaque;
	struct run    *r = en->run;

	(void)rt;
	if (!r)
		return 0;
	if (r->terminated)
		return 1;
	if (heap_oom(en->heap))
		end_for_memory(en);
	else if (os_thread_cpu_ns() - r->cpu_start_ns - r->cpu_paused_ns > r->cpu_limit_ns)
		end_run(r, arena_fmt(r->arena, TIMEOUT_TEXT, (double)r->cpu_limit_ns / 1e9));
	return r->terminated;
}

void
run_pause_clock(struct run *r)
{
	r->cpu_paused_ns -= os_thread_cpu_ns();
}

void
run_resume_clock(struct run *r)
{
	r->cpu_paused_ns += os_thread_cpu_ns();
}

str
run_ended_by(struct engine *en)
{
	if (!en->run->terminated && heap_oom(en->heap))
		end_for_memory(en);
	if (!en->run->terminated)
		return str_of(NULL, 0);
	return en->run->uncatchable.p ? en->run->uncatchable : S("terminated");
}

str
run_broken(struct engine *en)
{
	if (heap_oom(en->heap))
		end_for_memory(en);
	else
		end_run(en->run, S("JavaScript execution failed inside the engine"));
	return en->run->uncatchable;
}

/* --- stack --- */

/* Bytes of C stack below the caller. */
static size_t
stack_left(void)
{
	static _Thread_local uintptr_t low;
	uintptr_t                      here = (uintptr_t)__builtin_frame_address(0);

	if (!low) {
		pthread_attr_t attr;
		void          *addr;
		size_t         size, guard_size;

		must(pthread_getattr_np(pthread_self(), &attr) == 0);
		must(pthread_attr_getstack(&attr, &addr, &size) == 0);
		must(pthread_attr_getguardsize(&attr, &guard_size) == 0);
		pthread_attr_destroy(&attr);
		low = (uintptr_t)addr + guard_size;
	}
	return here > low ? here - low : 0;
}

size_t
engine_stack_size(void)
{
	size_t left = stack_left();

	if (left < STACK_RESERVE + STACK_LEAST)
		return STACK_LEAST;
	return left < STACK_RESERVE + JS_STACK ? left - STACK_RESERVE : JS_STACK;
}

struct run *
engine_enter(struct engine *en, struct run *r)
{
	struct run *before = en->run;

	en->run = r;
	r->cpu_start_ns = os_thread_cpu_ns();
	JS_SetMaxStackSize(en->rt, engine_stack_size());
	JS_UpdateStackTop(en->rt);
	return before;
}

void
engine_leave(struct engine *en, struct run *before)
{
	en->run = before;
}

/* --- promises and jobs --- */

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
engine_install_limits(struct engine *en)
{
	JS_SetInterruptHandler(en->rt, on_interrupt, en);
	JS_SetHostPromiseRejectionTracker(en->rt, on_rejection, NULL);
}

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

JSValue
js_promise_of(JSContext *ctx, JSValue result)
{
	JSValue reason, promise;

	if (!JS_IsException(result))
		return engine_promise(ctx, result);
	reason = JS_GetException(ctx);
	if (JS_IsUncatchableError(reason))
		return JS_Throw(ctx, reason);
	promise = JS_NewSettledPromise(ctx, true, reason);
	JS_FreeValue(ctx, reason);
	return promise;
}
