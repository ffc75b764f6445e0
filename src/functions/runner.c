/* runner.c - jobs out, results in, nothing shown before it is durable.
 *
 * Callbacks run from three doors only: runner_job_done(), runner_commits() with
 * runner_durable(), and runner_flush().  What becomes ready inside any other call is put off to
 * the next of these, so that whoever calls into the runner is never called back in between.
 *
 * Thread: the loop thread, except job_run().
 * Memory: jobs are recycled.
 */
#include <stdio.h>

#include "functions/functions_int.h"
#include "functions/action_int.h"
#include "functions/runner_int.h"
#include "runtime/metrics.h"

#define CACHE_MAX_BYTES_DEFAULT ((size_t)100 << 20)
#define EXPIRE_EVERY_NS         (3600ull * 1000000000ull)

static struct metric runs =
    METRIC_COUNTER("fresnel_function_runs_total", "function calls executed");
static struct metric cached_calls =
    METRIC_COUNTER("fresnel_function_cached_total", "query calls answered without a run");

static struct metric conflict_retries = METRIC_COUNTER(
    "fresnel_conflict_retries_total", "attempts of mutations lost to conflicts and run again");
static struct metric conflict_failures = METRIC_COUNTER(
    "fresnel_conflict_failures_total", "mutations that failed after their last retry");

struct durable_wait {
	struct link link;
	ts_t        ts;
	void (*fn)(void *arg);
	void *arg;
};

/* A finished task whose timestamp is not durable yet. */
struct task_wait {
	struct link    link; /* in runner.task_waits */
	struct runner *r;
	void (*done)(void *arg);
	void *arg;
};

struct runner *
runner_new(const struct runner_opts *opts)
{
	struct runner *r = MEM_NEW(struct runner);

	r->functions = opts->functions;
	r->db = functions_db(opts->functions);
	r->os = opts->os;
	r->executor = opts->executor;
	r->on_finished = opts->on_finished;
	r->on_finished_arg = opts->on_finished_arg;
	r->on_deferred = opts->on_deferred;
	r->on_deferred_arg = opts->on_deferred_arg;
	r->cache_max_bytes =
	    opts->cache_max_bytes ? opts->cache_max_bytes : CACHE_MAX_BYTES_DEFAULT;
	r->subs = subs_new();
	r->entries = map_new();
	r->lanes = map_new();
	r->processed = db_latest_ts(r->db);
	r->durable = db_durable_ts(r->db);
	r->expire_due_ns = os_mono_ns(r->os) + EXPIRE_EVERY_NS;
	link_init(&r->once);
	link_init(&r->again);
	link_init(&r->results);
	link_init(&r->dirty);
	link_init(&r->notify);
	link_init(&r->later);
	link_init(&r->waits);
	link_init(&r->task_waits);
	return r;
}

void
runner_free(struct runner *r)
{
	if (!r)
		return;
	must(r->jobs_out == 0);
	live_free(r);
	for (struct link *l; (l = link_first(&r->waits)) != NULL;) {
		link_leave(l);
		mem_free(LINK_OWNER(l, struct durable_wait, link));
	}
	for (struct link *l; (l = link_first(&r->task_waits)) != NULL;) {
		link_leave(l);
		mem_free(LINK_OWNER(l, struct task_wait, link));
	}
	while (r->free_jobs) {
		struct job *j = r->free_jobs;

		r->free_jobs = j->next_free;
		mem_free(j);
	}
	subs_free(r->subs);
	must(map_count(r->lanes) == 0);
	map_free(r->lanes);
	map_free(r->entries);
	mem_free(r);
}

/* --- jobs --- */

struct job *
job_new(struct runner *r, enum job_kind kind)
{
	struct job *j = r->free_jobs;

	if (j)
		r->free_jobs = j->next_free;
	else
		j = mem_alloc(sizeof *j);
	*j = (struct job){ .kind = kind, .runner = r };
	return j;
}

void
job_submit(struct runner *r, struct job *j)
{
	r->jobs_out++;
	r->executor.submit(r->executor.arg, j);
}

bool
job_is_action(const struct job *j)
{
	return j->action;
}

void
job_run(struct job *j, struct fn_worker *w)
{
	switch (j->kind) {
	case JOB_NONE:
		break;
	case JOB_CALL:
	case JOB_QUERY:
		j->res = j->action ? fn_action_run(w, j->call) : fn_worker_run(w, j->call, j->at);
		break;
	case JOB_TASK:
		j->task_ts = j->task(w, j->task_arg);
		break;
	}
}

static void
refuse(struct job *j, status st, str code, str text)
{
	j->res = fn_result_new();
	j->res->st = st;
	j->res->code = arena_str(j->res->arena, code);
	j->res->text = arena_str(j->res->arena, text);
}

static bool
is_scheduled(const struct fn_call *c)
{
	return c->caller == CALLER_SCHEDULER || c->caller == CALLER_CRON;
}

/* Scheduled functions and what actions call have waited for their turn elsewhere. */
static bool
waited_elsewhere(const struct fn_call *c)
{
	return is_scheduled(c) || c->caller == CALLER_ACTION;
}

bool
job_refuse(struct job *j, str code, str text)
{
	if ((j->kind != JOB_CALL && j->kind != JOB_QUERY) || waited_elsewhere(j->call))
		return false;
	refuse(j, ST_OVERLOADED, code, text);
	return true;
}

bool
job_refuse_action(struct job *j, size_t max)
{
	char text[160];

	if (is_scheduled(j->call))
		return false;
	snprintf(text, sizeof text, "Too many concurrent requests. Your backend is limited to %zu "
	    "concurrent actions. If you need more resources, please contact support.", max);
	refuse(j, ST_RATE_LIMITED, S("TooManyConcurrentRequests"), str_z(text));
	return true;
}

bool
job_unwanted(const struct job *j)
{
	return call_unwanted(j->call);
}

void
job_drop(struct job *j)
{
	refuse(j, ST_OVERLOADED, S("Cancelled"), S("The action was cancelled before it began."));
}

static void
job_recycle(struct runner *r, struct job *j)
{
	fn_call_unref(j->call);
	fn_result_unref(j->res);
	if (j->at)
		snapshot_unref(j->at);
	j->next_free = r->free_jobs;
	r->free_jobs = j;
}

void
runner_finished(struct runner *r, const struct fn_call *c, const struct fn_result *res, bool cached)
{
	metric_add(cached ? &cached_calls : &runs, 1);
	metric_add(&conflict_retries, res->retries);
	metric_add(&conflict_failures, res->conflict != NULL);
	if (r->on_finished)
		r->on_finished(r->on_finished_arg, c, res, cached);
}

/* --- what was put off --- */

void
runner_wake(struct runner *r)
{
	if (r->settling || r->woken)
		return;
	r->woken = true;
	if (r->on_deferred)
		r->on_deferred(r->on_deferred_arg);
	else
		job_submit(r, job_new(r, JOB_NONE));
}

void
runner_defer(struct runner *r, struct deferred *d)
{
	if (link_joined(&d->link))
		return;
	link_before(&r->later, &d->link);
	runner_wake(r);
}

void
runner_undefer(struct deferred *d)
{
	link_leave(&d->link);
}

/* Until nothing waits any more; what callbacks add comes along. */
static void
settle(struct runner *r)
{
	if (r->settling)
		return;
	r->settling = true;
	for (;;) {
		struct link *l;

		if (live_notify(r))
			continue;
		if ((l = link_first(&r->later)) == NULL)
			break;
		struct deferred *d = LINK_OWNER(l, struct deferred, link);

		link_leave(l);
		d->fn(d->arg);
	}
	r->settling = false;
	r->woken = false;
}

void
runner_flush(struct runner *r)
{
	settle(r);
}

/* --- durability --- */

bool
runner_is_durable(struct runner *r, ts_t ts)
{
	if (ts > r->durable)
		r->durable = db_durable_ts(r->db);
	return ts <= r->durable;
}

struct durable_wait *
runner_when_durable(struct runner *r, ts_t ts, void (*fn)(void *arg), void *arg)
{
	struct durable_wait *w;
	struct link         *at = &r->waits;

	if (runner_is_durable(r, ts)) {
		fn(arg);
		return NULL;
	}
	w = MEM_NEW(struct durable_wait);
	w->ts = ts;
	w->fn = fn;
	w->arg = arg;
	/* Timestamps come nearly in order: the place is at or next to the end. */
	while (at->prev != &r->waits && LINK_OWNER(at->prev, struct durable_wait, link)->ts > ts)
		at = at->prev;
	link_before(at, &w->link);
	return w;
}

void
runner_forget(struct durable_wait *w)
{
	if (!w)
		return;
	link_leave(&w->link);
	mem_free(w);
}

void
runner_durable(struct runner *r)
{
	struct link *l;

	r->durable = db_durable_ts(r->db);
	while ((l = link_first(&r->waits)) != NULL) {
		struct durable_wait *w = LINK_OWNER(l, struct durable_wait, link);
		void (*fn)(void *) = w->fn;
		void *arg = w->arg;

		if (w->ts > r->durable)
			break;
		runner_forget(w);
		fn(arg);
	}
	settle(r);
}

/* --- tasks --- */

void
runner_task(struct runner *r, task_fn fn, void (*done)(void *arg), void *arg)
{
	struct job *j = job_new(r, JOB_TASK);

	j->task = fn;
	j->task_done = done;
	j->task_arg = arg;
	r->tasks++;
	job_submit(r, j);
}

static void
task_finish(void *arg)
{
	struct task_wait *t = arg;

	link_leave(&t->link);
	t->r->tasks--;
	t->done(t->arg);
	mem_free(t);
}

static void
task_done(struct runner *r, const struct job *j)
{
	struct task_wait *t = MEM_NEW(struct task_wait);

	t->r = r;
	t->done = j->task_done;
	t->arg = j->task_arg;
	link_before(&r->task_waits, &t->link);
	(void)runner_when_durable(r, j->task_ts, task_finish, t);
}

/* Old session requests, once an hour while there is work at all (spec 01 section 6.1). */
static ts_t
expire_task(struct fn_worker *w, void *arg)
{
	return requests_expire(w, &((struct runner *)arg)->expire_more);
}

static void
expire_done(void *arg)
{
	struct runner *r = arg;

	r->expiring = false;
	r->expire_due_ns = os_mono_ns(r->os) + (r->expire_more ? 0 : EXPIRE_EVERY_NS);
}

static void
expire_sometimes(struct runner *r)
{
	if (r->expiring || os_mono_ns(r->os) < r->expire_due_ns)
		return;
	r->expiring = true;
	runner_task(r, expire_task, expire_done, r);
}

/* --- doors --- */

void
runner_job_done(struct runner *r, struct job *j)
{
	must(j->runner == r && r->jobs_out > 0);
	r->jobs_out--;
	live_walk(r);
	switch (j->kind) {
	case JOB_NONE:
		break;
	case JOB_CALL:
		call_job_done(r, j);
		expire_sometimes(r);
		break;
	case JOB_QUERY:
		runner_finished(r, j->call, j->res, false);
		live_job_done(r, j);
		break;
	case JOB_TASK:
		task_done(r, j);
		break;
	}
	job_recycle(r, j);
	settle(r);
}

void
runner_commits(struct runner *r)
{
	live_walk(r);
	settle(r);
}

ts_t
runner_latest_ts(struct runner *r)
{
	return r->processed;
}

/* The newest snapshot whose commits have all met the subscriptions: what live_valid() says is
 * then true at exactly this snapshot. */
struct snapshot *
runner_snapshot(struct runner *r)
{
	for (;;) {
		struct snapshot *s;

		live_walk(r);
		s = db_snapshot(r->db);
		if (snapshot_ts(s) <= r->processed)
			return s;
		snapshot_unref(s);
	}
}

void
runner_check(const struct runner *r)
{
	ts_t last = 0;

	subs_check(r->subs);
	live_check(r);
	for (struct link *l = r->waits.next; l != &r->waits; l = l->next) {
		const struct durable_wait *w = LINK_OWNER(l, struct durable_wait, link);

		must(w->ts >= last);
		last = w->ts;
	}
}

size_t
runner_busy(const struct runner *r)
{
	return r->jobs_out + r->calls + r->tasks;
}
