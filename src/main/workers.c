/* workers.c - the function workers: see workers.h.
 *
 * The watchdog (runtime/watchdog.h) sees a job that takes long from outside, so a job that does not
 * costs nothing but two stores.  A thread that stepped back may be unable to step forward again
 * (that takes a privilege); then it ends after its job, hands what it owns (an isolate with its
 * images) to the next thread, and a new thread begins in its place.
 *
 * A waiting disk makes a job long, too: it gets a substitute without stepping back.
 *
 * Thread: struct workers is guarded by its lock; on_long() is the watchdog's, under the watchdog's
 *         lock, which is taken before ours.
 * Memory: jobs belong to the runner.
 */
#include "main/workers.h"

#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"
#include "runtime/watchdog.h"

#define WORKER_STACK ((size_t)24 << 20) /* 2 MiB for each of nine nested runs, and ours */
#define QUEUE_MAX    2000
#define WAIT_MAX_NS  (5ull * 1000000000ull)
#define LONG_NS      (20ull * 1000000ull) /* then jobs need not wait for it */
#define SLOW_CPU_NS  (12ull * 1000000ull) /* then others go first */
#define SLOW_NICE    10
#define IDLE_NS      (10ull * 1000000000ull) /* of threads in excess, before they end */
#define REFUSED_TEXT                                                                               \
	"Too many concurrent requests in a short period of time. Spread out your "                 \
	"requests out over time or throttle them to avoid errors."

static struct metric refused_jobs =
    METRIC_COUNTER("fresnel_jobs_refused_total", "calls refused: the queue was full, or they "
						 "waited in it for too long");
static struct metric slow_jobs =
    METRIC_COUNTER("fresnel_jobs_slow_total", "jobs whose thread stepped back for others");
static struct metric worker_threads =
    METRIC_GAUGE("fresnel_worker_threads", "function workers, substitutes included");
static struct metric queue_wait =
    METRIC_HISTOGRAM("fresnel_job_wait_seconds", "time that jobs waited for a worker");

struct waiting {
	struct job *job;
	uint64_t    since_ns;
};

struct worker {
	struct workers   *w;
	struct worker    *next;
	struct thread    *thread;
	struct fn_worker *fn;
	pid_t             tid;
	bool              is_long, is_slow; /* its job */
	struct watch      watch;
};

struct workers {
	struct workers_opts opts;

	pthread_mutex_t lock;
	pthread_cond_t  not_empty;
	struct waiting *ring; /* its size is a power of two */
	size_t          cap, head, n;
	int             threads, idle, longs, slow;
	bool            closing;
	struct worker  *all;           /* running */
	struct worker  *finished;      /* to be joined */
	VEC(struct fn_worker *) spare; /* of threads that ended */
};

static void worker_main(void *arg);

/* --- threads; under the lock --- */

static void
start_one(struct workers *w)
{
	struct worker *me = MEM_NEW(struct worker);

	me->w = w;
	me->next = w->all;
	w->all = me;
	metric_set(&worker_threads, ++w->threads);
	me->thread = thread_start("worker", WORKER_STACK, worker_main, me);
}

/* Nobody is free, and too few will be soon. */
static void
substitute(struct workers *w)
{
	if (w->n > 0 && w->idle == 0 && !w->closing && w->threads < w->opts.max &&
	    w->threads - w->longs < w->opts.normal)
		start_one(w);
}

static void
on_long(void *arg, uint64_t cpu_ns, uint64_t wall_ns)
{
	struct worker  *me = arg;
	struct workers *w = me->w;
	MUTEX_GUARD(&w->lock);

	if (atomic_load(&me->watch.work) % 2 == 0)
		return; /* over meanwhile: recover() must come after this */
	if (!me->is_slow && cpu_ns >= SLOW_CPU_NS) {
		me->is_slow = true;
		w->slow++;
		metric_add(&slow_jobs, 1);
		(void)setpriority(PRIO_PROCESS, (id_t)me->tid, SLOW_NICE);
	}
	if (!me->is_long && wall_ns >= LONG_NS) {
		me->is_long = true;
		w->longs++;
	}
	if (me->is_long)
		substitute(w);
}

/* After a job.  False: the thread must end, its niceness stays. */
static bool
recover(struct worker *me)
{
	struct workers *w = me->w;
	bool            ok = true;
	MUTEX_GUARD(&w->lock);

	if (me->is_slow) {
		ok = setpriority(PRIO_PROCESS, (id_t)me->tid, 0) == 0;
		w->slow--;
	}
	if (me->is_long)
		w->longs--;
	me->is_slow = me->is_long = false;
	return ok;
}

/* --- the queue; under the lock --- */

static void
put(struct workers *w, struct waiting item)
{
	if (w->n == w->cap) {
		size_t          cap = w->cap ? 2 * w->cap : 256;
		struct waiting *ring = mem_alloc(cap * sizeof *ring);

		for (size_t i = 0; i < w->n; i++)
			ring[i] = w->ring[(w->head + i) & (w->cap - 1)];
		mem_free(w->ring);
		w->ring = ring;
		w->cap = cap;
		w->head = 0;
	}
	w->ring[(w->head + w->n++) & (w->cap - 1)] = item;
}

static struct timespec
idle_end(void)
{
	struct timespec at;

	must(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
	at.tv_sec += (time_t)(IDLE_NS / 1000000000u);
	return at;
}

/* False: this thread must end. */
static bool
take(struct worker *me, struct waiting *ret)
{
	struct workers *w = me->w;
	MUTEX_GUARD(&w->lock);

	while (w->n == 0 && !w->closing) {
		bool            excess = w->threads > w->opts.normal;
		struct timespec until = idle_end();
		int             rc;

		w->idle++;
		rc = excess ? pthread_cond_timedwait(&w->not_empty, &w->lock, &until)
			    : pthread_cond_wait(&w->not_empty, &w->lock);
		w->idle--;
		if (rc != 0 && w->n == 0 && w->threads > w->opts.normal)
			return false;
	}
	if (w->n == 0)
		return false;
	*ret = w->ring[w->head & (w->cap - 1)];
	w->head++;
	w->n--;
	return true;
}

/* --- jobs --- */

static bool
refuse(struct job *j, str code)
{
	if (!job_refuse(j, code, S(REFUSED_TEXT)))
		return false;
	metric_add(&refused_jobs, 1);
	return true;
}

/* False: see recover(). */
static bool
run_one(struct worker *me, const struct waiting *item)
{
	struct workers *w = me->w;
	uint64_t        waited = os_mono_ns(w->opts.os) - item->since_ns;
	bool            ok = true;

	metric_observe_ns(&queue_wait, waited);
	if (waited <= w->opts.wait_max_ns || !refuse(item->job, S("ExpiredInQueue"))) {
		watch_begin(&me->watch);
		job_run(item->job, me->fn);
		watch_end(&me->watch);
		ok = recover(me);
	}
	w->opts.done(w->opts.done_arg, item->job);
	return ok;
}

bool
workers_submit(struct workers *w, struct job *j)
{
	struct waiting item = { j, os_mono_ns(w->opts.os) };
	bool           signal;

	must(pthread_mutex_lock(&w->lock) == 0);
	if (w->n >= w->opts.queue_max && refuse(j, S("ExecuteFullError"))) {
		must(pthread_mutex_unlock(&w->lock) == 0);
		return false;
	}
	put(w, item);
	signal = w->idle > 0;
	must(pthread_mutex_unlock(&w->lock) == 0);
	if (signal)
		pthread_cond_signal(&w->not_empty);
	return true;
}

/* --- a thread's life --- */

static struct fn_worker *
spare_or_new(struct workers *w)
{
	struct fn_worker *fn = NULL;

	must(pthread_mutex_lock(&w->lock) == 0);
	if (w->spare.n)
		fn = w->spare.v[--w->spare.n];
	must(pthread_mutex_unlock(&w->lock) == 0);
	return fn ? fn : w->opts.worker_new(w->opts.worker_arg);
}

static void
join_finished(struct workers *w)
{
	struct worker *list, *next;

	must(pthread_mutex_lock(&w->lock) == 0);
	list = w->finished;
	w->finished = NULL;
	must(pthread_mutex_unlock(&w->lock) == 0);
	for (; list; list = next) {
		next = list->next;
		thread_join_free(list->thread);
		mem_free(list);
	}
}

/* This thread has left the watchdog already. */
static void
end_self(struct worker *me, bool hand_on)
{
	struct workers *w = me->w;
	struct worker **at;
	MUTEX_GUARD(&w->lock);

	if (hand_on)
		vec_push(&w->spare, me->fn);
	for (at = &w->all; *at != me; at = &(*at)->next)
		;
	*at = me->next;
	me->next = w->finished;
	w->finished = me;
	metric_set(&worker_threads, --w->threads);
	if (w->threads < w->opts.normal && !w->closing)
		start_one(w);
	else
		substitute(w);
}

static void
use_leisure(struct worker *me)
{
	struct workers *w = me->w;
	bool            busy;

	if (!w->opts.idle)
		return;
	must(pthread_mutex_lock(&w->lock) == 0);
	busy = w->n > 0 || w->closing;
	must(pthread_mutex_unlock(&w->lock) == 0);
	if (!busy)
		w->opts.idle(me->fn);
}

static void
worker_main(void *arg)
{
	struct worker *me = arg;
	struct waiting item;
	bool           whole = true;

	me->tid = gettid();
	me->fn = spare_or_new(me->w);
	join_finished(me->w);
	watch_join(&me->watch, on_long, me);
	use_leisure(me);
	while (whole && take(me, &item)) {
		whole = run_one(me, &item);
		use_leisure(me);
	}
	watch_leave(&me->watch);
	if (whole)
		fn_worker_free(me->fn);
	end_self(me, !whole);
}

/* --- all of them --- */

struct workers *
workers_new(const struct workers_opts *opts)
{
	struct workers    *w = MEM_NEW(struct workers);
	pthread_condattr_t attr;

	must(opts->normal >= 1 && opts->max >= opts->normal);
	w->opts = *opts;
	if (w->opts.queue_max == 0)
		w->opts.queue_max = QUEUE_MAX;
	if (w->opts.wait_max_ns == 0)
		w->opts.wait_max_ns = WAIT_MAX_NS;
	must(pthread_mutex_init(&w->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&w->not_empty, &attr) == 0);
	pthread_condattr_destroy(&attr);
	return w;
}

void
workers_start(struct workers *w)
{
	MUTEX_GUARD(&w->lock);

	while (w->threads < w->opts.normal)
		start_one(w);
}

struct workers_stats
workers_stats(struct workers *w)
{
	MUTEX_GUARD(&w->lock);

	return (struct workers_stats){
		.threads = w->threads, .idle = w->idle, .slow = w->slow, .waiting = w->n
	};
}

/* The last one to end may still be on its way to the list of the finished. */
static bool
all_ended(struct workers *w)
{
	MUTEX_GUARD(&w->lock);

	return w->threads == 0;
}

void
workers_free(struct workers *w)
{
	if (!w)
		return;
	must(pthread_mutex_lock(&w->lock) == 0);
	w->closing = true;
	must(pthread_mutex_unlock(&w->lock) == 0);
	pthread_cond_broadcast(&w->not_empty);
	while (!all_ended(w)) {
		join_finished(w);
		usleep(1000);
	}
	join_finished(w);
	must(w->n == 0);
	for (size_t i = 0; i < w->spare.n; i++)
		fn_worker_free(w->spare.v[i]);
	vec_clear(&w->spare);
	pthread_cond_destroy(&w->not_empty);
	pthread_mutex_destroy(&w->lock);
	mem_free(w->ring);
	mem_free(w);
}
