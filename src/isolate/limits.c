/* limits.c - entering an engine: CPU, memory, stack, and what happens at their ends.
 *
 * Host state of the engine (stack limit) is set at each entry, because a reset brings back
 * what it was at the seal.
 *
 * User time is the thread's CPU time without what the host's operations took, whose time is system
 * time (ops.c).  The engine's interrupt handler ends a run that is past its limit
 * by an exception that nothing catches; where the engine does not ask for too long, guard.c cuts
 * it off.
 *
 * Out of memory ends a run by a jump: the engine's own recovery from it is full of holes (null
 * dereferences, abort()), and nothing needs unwinding, since the heap is dropped as a whole.
 * The allocator calls engine_abort() at the first refusal; the engine is compiled with abort
 * replaced by it too.
 *
 * Thread: the isolate's.
 */
#include <pthread.h>

#include "isolate/action_int.h"
#include "runtime/metrics.h"
#include "runtime/watchdog.h"

#define JS_STACK      ((size_t)2 << 20)
#define STACK_RESERVE ((size_t)256 << 10) /* for our own frames below the engine's */
#define STACK_LEAST   ((size_t)16 << 10)  /* enough to throw "Maximum call stack size exceeded" */
#define CUT_AFTER_NS  ((uint64_t)3000000) /* past the limit: the handler had its chance */
#define OOM_TEXT      "JavaScript execution ran out of memory (maximum memory usage: %zu MB)"

/* --- the watchdog --- */

static _Thread_local struct watch watch;
static _Thread_local bool         watched;
static pthread_key_t              watch_key; /* its destructor runs when a thread ends */
static pthread_once_t             watch_once = PTHREAD_ONCE_INIT;

static void
watch_end_of_thread(void *w)
{
	watch_leave(w);
}

static void
watch_set_up(void)
{
	guard_install();
	must(pthread_key_create(&watch_key, watch_end_of_thread) == 0);
}

static void
watch_this_thread(void)
{
	if (watched)
		return;
	must(pthread_once(&watch_once, watch_set_up) == 0);
	watch_join(&watch, NULL, NULL);
	must(pthread_setspecific(watch_key, &watch) == 0);
	watched = true;
}

/* --- CPU and memory --- */

static void
end_run(struct run *r, str text)
{
	r->terminated = true;
	if (!r->uncatchable.p)
		r->uncatchable = text;
}

str
limits_time_text(struct arena *a, uint64_t limit_ns)
{
	return arena_fmt(
	    a, "Function execution timed out (maximum duration: %gs)", (double)limit_ns / 1e9);
}

str
limits_memory_text(struct arena *a, const struct isolate *iso)
{
	return arena_fmt(a, OOM_TEXT, iso->opts.heap_bytes >> 20);
}

/* The same objects take less room in the full engine. */
static void
end_for_memory(struct engine *en)
{
	if (en->run->leave_after_ns)
		en->run->left = true;
	end_run(en->run, limits_memory_text(en->run->arena, en->iso));
}

uint64_t
run_user_ns(const struct run *r)
{
	uint64_t cpu = os_thread_cpu_ns() - r->cpu_start_ns;

	/* Operations are measured by another clock, which also counts while others compute. */
	return r->cpu_before_ns + (cpu > r->cpu_paused_ns ? cpu - r->cpu_paused_ns : 0);
}

static bool
wants_to_leave(const struct run *r, uint64_t used_ns)
{
	return r->leave_after_ns && used_ns > r->leave_after_ns;
}

bool
run_is_over(const struct engine *en)
{
	const struct run *r = en->run;
	uint64_t          used;

	if (!r || r->clock_paused)
		return false;
	used = run_user_ns(r);
	return used > r->cpu_limit_ns || wants_to_leave(r, used);
}

/* The watchdog signals when this run is past its time and the engine has not noticed.  It may be
 * early, as it does not hear of operations. */
static void
set_alarm(const struct run *r)
{
	uint64_t after = r->cpu_limit_ns;

	if (r->leave_after_ns && r->leave_after_ns < after)
		after = r->leave_after_ns;
	after = after > r->cpu_before_ns ? after - r->cpu_before_ns : 0;
	after += r->cpu_start_ns + r->cpu_paused_ns;
	watch_due(&watch, after + CUT_AFTER_NS);
}

void
run_leave(struct run *r)
{
	r->left = true;
	end_run(r, S("left"));
}

void
run_stay(struct run *r)
{
	if (!r->leave_after_ns)
		return;
	r->leave_after_ns = 0;
	set_alarm(r); /* else the watchdog would ring from the old time on */
}

/* Leaving beats the timeout: whoever asked for it runs the function again elsewhere. */
void
run_out_of_time(struct run *r)
{
	if (wants_to_leave(r, run_user_ns(r)))
		r->left = true;
	end_run(r, limits_time_text(r->arena, r->cpu_limit_ns));
}

/* Its time is the clock's, and whoever waits for it may be gone. */
static bool
action_is_over(const struct run *r)
{
	const struct action *a = r->action;

	return a && (os_mono_ns(a->en->iso->opts.os) > a->deadline_ns ||
	    a->req->actions->cancelled(a->req->actions->arg));
}

bool
run_must_end(const struct engine *en)
{
	return run_is_over(en) || (en->run && action_is_over(en->run));
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
	else if (run_must_end(en))
		run_out_of_time(r);
	return r->terminated;
}

void
run_pause_clock(struct run *r)
{
	must(!r->clock_paused);
	r->clock_paused = true;
	r->cpu_paused_ns -= os_thread_cpu_ns();
	watch_due(&watch, WATCH_NEVER);
}

void
run_resume_clock(struct run *r)
{
	r->cpu_paused_ns += os_thread_cpu_ns();
	r->clock_paused = false;
	set_alarm(r);
}

static struct metric run_cuts = METRIC_COUNTER(
    "fresnel_runs_cut_total", "runs past their time that were cut off inside the engine");
static struct metric run_ooms = METRIC_COUNTER(
    "fresnel_runs_out_of_memory_total", "runs that needed more memory than they may use");

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
run_broken(struct engine *en, enum jump why)
{
	metric_add(heap_oom(en->heap) ? &run_ooms : &run_cuts, 1);
	if (heap_oom(en->heap))
		end_for_memory(en);
	else if (why == JUMP_TIME)
		run_out_of_time(en->run);
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

	watch_this_thread();
	en->run = r;
	r->cpu_start_ns = os_thread_cpu_ns();
	set_alarm(r);
	JS_SetMaxStackSize(en->rt, engine_stack_size());
	JS_UpdateStackTop(en->rt);
	return before;
}

void
engine_leave(struct engine *en, struct run *before)
{
	watch_due(&watch, WATCH_NEVER);
	en->run = before;
}

void
engine_buffers(void *opaque, bool on)
{
	if (opaque) /* else the compiler's */
		heap_buffers(opaque, on);
}

void
engine_install_limits(struct engine *en)
{
	JS_SetInterruptHandler(en->rt, on_interrupt, en);
}
