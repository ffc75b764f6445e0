/* core.c - the core thread's loop: see core.h.
 *
 * Thread: the core thread; worker_main(), store_main() and background_main() are their own.
 * Memory: one struct job_post per job that is out.
 */
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "database/ddl.h"
#include "main/core.h"
#include "runtime/queue.h"
#include "runtime/thread.h"

#define INBOX_CAP       65536
#define JOBS_CAP        4096
#define POSTS_AT_ONCE   256
#define BATCH_ROWS      20000 /* rows in one transaction of the store */
#define WORKER_STACK    ((size_t)24 << 20) /* 2 MiB for each of nine nested runs, and ours */
#define STORE_STACK     ((size_t)1 << 20)
#define DRAIN_NS        (10ull * 1000000000ull)
#define STOP_POLL_NS    20000000ull
#define BACKGROUND_NS   (5ull * 1000000000ull) /* between looks when nothing wakes it */
#define BACKGROUND_NICE 10

struct job_post {
	struct post  post;
	struct core *core;
	struct job  *job;
};

struct core {
	struct core_opts opts;
	struct runner   *runner;
	struct api      *api;
	struct db       *db;

	struct queue        *inbox; /* struct post */
	struct queue        *jobs;  /* struct job_post */
	VEC(struct job_post *) overflow; /* jobs that found the queue full, oldest first */
	size_t               overflow_at;
	VEC(struct thread *) workers;

	struct queue  *store_wake, *background_wake; /* nothing is ever pushed */
	struct thread *store, *background;
	atomic_bool    store_stop, background_stop;

	atomic_bool commits;  /* published since the core looked */
	atomic_bool durable;  /* the store wrote since the core looked */
	atomic_bool stop;
	bool        deferred;
	uint64_t    catalog_version;
};

struct core *
core_new(const struct core_opts *opts)
{
	struct core *c = MEM_NEW(struct core);

	c->opts = *opts;
	c->inbox = queue_new(INBOX_CAP);
	c->jobs = queue_new(JOBS_CAP);
	c->store_wake = queue_new(1);
	c->background_wake = queue_new(1);
	return c;
}

void
core_free(struct core *c)
{
	if (!c)
		return;
	queue_close(c->jobs);
	for (size_t i = 0; i < c->workers.n; i++)
		thread_join_free(c->workers.v[i]);
	must(c->overflow.n == c->overflow_at);
	vec_clear(&c->workers);
	vec_clear(&c->overflow);
	queue_free(c->inbox);
	queue_free(c->jobs);
	queue_free(c->store_wake);
	queue_free(c->background_wake);
	mem_free(c);
}

/* --- from other threads --- */

void
core_on_commit(void *arg)
{
	struct core *c = arg;

	if (!atomic_exchange(&c->commits, true))
		queue_wake(c->inbox);
	queue_wake(c->store_wake);
}

static void
port_post(void *arg, struct post *p)
{
	struct core *c = arg;

	queue_push_wait(c->inbox, p);
}

struct core_port
core_port(struct core *c)
{
	return (struct core_port){ c, port_post };
}

void
core_stop(struct core *c)
{
	atomic_store(&c->stop, true);
	queue_wake(c->inbox);
}

/* --- workers --- */

static void
worker_main(void *arg)
{
	struct core      *c = arg;
	struct fn_worker *w = c->opts.worker_new(c->opts.worker_arg);
	void             *item;

	for (;;) {
		size_t n = queue_pop(c->jobs, &item, 1, UINT64_MAX);

		if (n > 0) {
			struct job_post *p = item;

			job_run(p->job, w);
			queue_push_wait(c->inbox, &p->post);
		} else if (queue_closed(c->jobs)) {
			break;
		}
	}
	fn_worker_free(w);
}

void
core_start_workers(struct core *c)
{
	for (int i = 0; i < c->opts.workers; i++)
		vec_push(&c->workers, thread_start("worker", WORKER_STACK, worker_main, c));
}

/* The core must not wait for the workers, so what does not fit stays here. */
static void
refill_jobs(struct core *c)
{
	while (c->overflow_at < c->overflow.n &&
	    queue_push(c->jobs, c->overflow.v[c->overflow_at]))
		c->overflow_at++;
	if (c->overflow_at == c->overflow.n)
		c->overflow.n = c->overflow_at = 0;
}

static void
job_back(struct post *post)
{
	struct job_post *p = LINK_OWNER(post, struct job_post, post);
	struct core     *c = p->core;
	struct job      *j = p->job;

	mem_free(p);
	refill_jobs(c);
	runner_job_done(c->runner, j);
}

static void
submit(void *arg, struct job *j)
{
	struct core     *c = arg;
	struct job_post *p = MEM_NEW(struct job_post);

	p->post.run = job_back;
	p->core = c;
	p->job = j;
	if (c->overflow.n > 0 || !queue_push(c->jobs, p))
		vec_push(&c->overflow, p);
}

struct executor
core_executor(struct core *c)
{
	return (struct executor){ c, submit };
}

void
core_on_deferred(void *arg)
{
	struct core *c = arg;

	c->deferred = true;
}

/* --- the store --- */

/* Whatever was queued while the last batch was written is the next one: under load, many
 * commits share one fsync; without, a commit waits for nobody. */
static void
store_main(void *arg)
{
	struct core *c = arg;
	struct err   e = err_in(NULL);
	void        *item;

	for (;;) {
		bool                  last = atomic_load(&c->store_stop);
		struct pending_batch *b = db_take_batch(c->db, BATCH_ROWS);

		if (!b && last)
			break;
		if (!b) {
			(void)queue_pop(c->store_wake, &item, 1, UINT64_MAX);
			continue;
		}
		if (db_write_batch(c->db, b, &e) != ST_OK)
			log_fatal(
			    "writing to the database failed, its state is unknown: %.*s. Stopping; "
			    "what was acknowledged is on disk",
			    STR_ARG(e.text));
		if (!atomic_exchange(&c->durable, true))
			queue_wake(c->inbox);
	}
}

/* --- index backfills and schema checks --- */

static void
background_main(void *arg)
{
	struct core *c = arg;
	void        *item;

	/* on Linux the niceness is the thread's own */
	(void)setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE);
	while (!atomic_load(&c->background_stop)) {
		struct err e = err_in(NULL);
		bool       more = false;
		status     st = ddl_background_step(c->db, &more, &e);

		if (st != ST_OK)
			log_warn("a background step on indexes and schemas failed and will be "
				 "repeated: %.*s",
			    STR_ARG(e.text));
		if (!more || st != ST_OK)
			(void)queue_pop(c->background_wake, &item, 1, BACKGROUND_NS);
	}
}

void
core_start_store(struct core *c, struct db *db)
{
	c->db = db;
	c->store = thread_start("store", STORE_STACK, store_main, c);
	c->background = thread_start("background", STORE_STACK, background_main, c);
}

static void
stop_store(struct core *c)
{
	atomic_store(&c->background_stop, true);
	queue_wake(c->background_wake);
	thread_join_free(c->background);
	atomic_store(&c->store_stop, true);
	queue_wake(c->store_wake);
	thread_join_free(c->store);
}

/* --- the loop --- */

static void
look_at_catalog(struct core *c)
{
	struct snapshot *s = runner_snapshot(c->runner);
	uint64_t         version = catalog_version(snapshot_catalog(s));

	snapshot_unref(s);
	if (version == c->catalog_version)
		return;
	c->catalog_version = version;
	queue_wake(c->background_wake);
}

/* One round: waits until `until_ns` at most, then handles everything that is there. */
static void
turn(struct core *c, uint64_t until_ns)
{
	void    *items[POSTS_AT_ONCE];
	uint64_t now = os_mono_ns(c->opts.os);
	uint64_t due = api_tick(c->api, now);
	uint64_t wait;
	size_t   n;

	if (until_ns < due)
		due = until_ns;
	wait = due == UINT64_MAX ? UINT64_MAX : due > now ? due - now : 0;
	n = queue_pop(c->inbox, items, POSTS_AT_ONCE, c->deferred ? 0 : wait);
	for (size_t i = 0; i < n; i++) {
		struct post *p = items[i];

		p->run(p);
	}
	if (atomic_exchange(&c->commits, false)) {
		runner_commits(c->runner);
		look_at_catalog(c);
		api_commits(c->api);
	}
	if (atomic_exchange(&c->durable, false))
		runner_durable(c->runner);
	if (c->deferred) {
		c->deferred = false;
		runner_flush(c->runner);
	}
	api_settle(c->api);
}

static void
drain(struct core *c, struct http_server *s)
{
	uint64_t end = os_mono_ns(c->opts.os) + DRAIN_NS;

	http_server_refuse_new(s);
	api_stop(c->api);
	while (runner_busy(c->runner) > 0 || api_busy(c->api) > 0) {
		uint64_t now = os_mono_ns(c->opts.os);

		if (now >= end) {
			log_warn("stopping although %zu calls still run", runner_busy(c->runner));
			break;
		}
		turn(c, now + STOP_POLL_NS);
	}
	http_server_stop(s);
	while (!http_server_ended(s))
		turn(c, os_mono_ns(c->opts.os) + STOP_POLL_NS);
	turn(c, 0); /* what the server posted last */
}

void
core_run(struct core *c, struct runner *r, struct api *a, struct http_server *s)
{
	c->runner = r;
	c->api = a;
	while (!atomic_load(&c->stop))
		turn(c, UINT64_MAX);
	drain(c, s);
	stop_store(c);
	if (runner_busy(r) > 0)
		_exit(0); /* their threads cannot be joined; everything acknowledged is on disk */
}
