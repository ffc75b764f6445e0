/* actions.c - see actions.h.
 *
 * An action that waits for another one holds its thread, so that a full house may wait for itself;
 * that nobody waits longer than WAIT_NS for a thread resolves it (spec 04 section 5.4).
 *
 * Thread: action_main() is an action's; the rest as stated.
 * Memory: a thread each, with a stack of which little is touched.
 */
#include "functions/actions.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "base/vec.h"
#include "functions/action_int.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"

#define STACK       ((size_t)4 << 20) /* 2 MiB for JavaScript, and ours */
#define IDLE_S      5
#define SECOND      ((uint64_t)1000000000)
#define WAIT_NS     (10 * SECOND)
#define NICENESS    3 /* queries go first */

static struct metric running = METRIC_GAUGE("fresnel_actions_running", "actions that run now");
static struct metric waiting =
    METRIC_GAUGE("fresnel_actions_waiting", "actions that wait for a thread");

static struct metric expired = METRIC_COUNTER(
    "fresnel_actions_expired_total", "actions refused because they waited too long for a thread");

struct waiting {
	struct job *j;
	uint64_t    until_ns; /* monotonic; UINT64_MAX: for ever */
};

struct actions {
	struct actions_opts opts;
	const struct os    *os;
	atomic_bool         cancel;
	pthread_mutex_t     lock;
	pthread_cond_t      work;  /* jobs, or the end */
	pthread_cond_t      ended; /* a thread did */
	VEC(struct waiting) jobs;  /* oldest first */
	uint64_t            look_ns; /* until then nothing expires */
	size_t              threads, idle;
	size_t              leaving; /* threads that take no more jobs */
	bool                stop;
};

struct actions *
actions_new(const struct actions_opts *opts)
{
	struct actions    *a = MEM_NEW(struct actions);
	pthread_condattr_t attr;

	a->opts = *opts;
	if (a->opts.max == 0)
		a->opts.max = ACTIONS_MAX_DEFAULT;
	a->os = db_os(functions_db(opts->functions));
	a->look_ns = UINT64_MAX;
	must(pthread_mutex_init(&a->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&a->work, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	must(pthread_cond_init(&a->ended, NULL) == 0);
	return a;
}

static void
note(struct actions *a)
{
	metric_set(&running, (int64_t)(a->threads - a->idle));
	metric_set(&waiting, (int64_t)a->jobs.n);
}

/* With the lock.  NULL: nothing came for a while, or the end. */
static struct job *
next_job(struct actions *a)
{
	struct timespec until;
	struct job     *j;
	int             rc = 0;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += IDLE_S;
	a->idle++;
	note(a);
	while (a->jobs.n == 0 && !a->stop && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&a->work, &a->lock, &until);
	a->idle--;
	if (a->jobs.n == 0)
		return NULL;
	j = a->jobs.v[0].j;
	a->jobs.n--;
	memmove(a->jobs.v, a->jobs.v + 1, a->jobs.n * sizeof a->jobs.v[0]);
	note(a);
	return j;
}

static void
work(struct actions *a, struct fn_worker *w)
{
	struct job *j;

	must(pthread_mutex_lock(&a->lock) == 0);
	while ((j = next_job(a)) != NULL) {
		must(pthread_mutex_unlock(&a->lock) == 0);
		if (atomic_load(&a->cancel) || job_unwanted(j))
			job_drop(j);
		else
			job_run(j, w);
		a->opts.done(a->opts.done_arg, j);
		must(pthread_mutex_lock(&a->lock) == 0);
	}
	a->threads--;
	a->leaving++;
	note(a);
	must(pthread_mutex_unlock(&a->lock) == 0);
}

static void *
action_main(void *arg)
{
	struct actions   *a = arg;
	struct fn_worker *w;

	pthread_setname_np(pthread_self(), "action");
	(void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux the thread's own */
	w = fn_worker_new_shared(a->opts.functions, a->opts.isolate, &a->cancel);
	work(a, w);
	fn_worker_free(w);
	isolate_trim(a->opts.isolate, (IDLE_S - 1) * SECOND);
	must(pthread_mutex_lock(&a->lock) == 0);
	a->leaving--;
	must(pthread_cond_signal(&a->ended) == 0);
	must(pthread_mutex_unlock(&a->lock) == 0);
	return NULL;
}

/* With the lock: one more, if there is work for it.  Threads end by themselves, so nobody joins
 * them.  If the system has no more of them, those that run take what waits when they are done;
 * actions_tick() tries again. */
static void
start_thread(struct actions *a)
{
	if (a->idle >= a->jobs.n || a->threads >= a->opts.max)
		return;
	pthread_attr_t attr;
	pthread_t      t;

	must(pthread_attr_init(&attr) == 0);
	must(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	must(pthread_attr_setstacksize(&attr, STACK) == 0);
	if (pthread_create(&t, &attr, action_main, a) == 0)
		a->threads++;
	must(pthread_attr_destroy(&attr) == 0);
}

void
actions_submit(struct actions *a, struct job *j)
{
	struct waiting w = { j, os_mono_ns(a->os) + WAIT_NS };
	MUTEX_GUARD(&a->lock);

	vec_push(&a->jobs, w);
	if (w.until_ns < a->look_ns)
		a->look_ns = w.until_ns;
	start_thread(a);
	note(a);
	must(pthread_cond_signal(&a->work) == 0);
}

/* With the lock.  True: it waits no longer. */
static bool
expire(struct actions *a, struct waiting *w, uint64_t now_ns)
{
	if (w->until_ns > now_ns)
		return false;
	if (job_refuse_action(w->j, a->opts.max)) {
		metric_add(&expired, 1);
		a->opts.refused(a->opts.done_arg, w->j);
		return true;
	}
	w->until_ns = UINT64_MAX;
	return false;
}

uint64_t
actions_tick(struct actions *a, uint64_t now_ns)
{
	MUTEX_GUARD(&a->lock);
	size_t kept = 0;

	if (a->jobs.n == 0)
		a->look_ns = UINT64_MAX;
	if (now_ns < a->look_ns)
		return a->look_ns;
	a->look_ns = UINT64_MAX;
	for (size_t i = 0; i < a->jobs.n; i++) {
		struct waiting *w = &a->jobs.v[i];

		if (expire(a, w, now_ns))
			continue;
		if (w->until_ns < a->look_ns)
			a->look_ns = w->until_ns;
		a->jobs.v[kept++] = *w;
	}
	a->jobs.n = kept;
	start_thread(a);
	note(a);
	return a->look_ns;
}

void
actions_cancel(struct actions *a)
{
	atomic_store(&a->cancel, true);
}

void
actions_free(struct actions *a)
{
	if (!a)
		return;
	actions_cancel(a);
	must(pthread_mutex_lock(&a->lock) == 0);
	a->stop = true;
	must(pthread_cond_broadcast(&a->work) == 0);
	while (a->threads + a->leaving > 0)
		must(pthread_cond_wait(&a->ended, &a->lock) == 0);
	must(pthread_mutex_unlock(&a->lock) == 0);
	isolate_free(a->opts.isolate);
	vec_clear(&a->jobs);
	must(pthread_cond_destroy(&a->work) == 0);
	must(pthread_cond_destroy(&a->ended) == 0);
	must(pthread_mutex_destroy(&a->lock) == 0);
	mem_free(a);
}

struct actions_stats
actions_stats(struct actions *a)
{
	MUTEX_GUARD(&a->lock);
	return (struct actions_stats){ a->threads - a->idle, a->jobs.n, a->threads };
}
