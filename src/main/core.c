/* core.c - the core's turns: see core.h.
 *
 * Thread: the loop thread; worker_main(), store_main(), background_main() and
 *         retention_main() are their own.
 * Memory: queues; jobs and posts belong to whoever sent them.
 */
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "database/ddl.h"
#include "database/retention.h"
#include "main/core.h"
#include "runtime/queue.h"
#include "runtime/thread.h"

#define JOBS_CAP        4096
#define DONE_AT_ONCE    256
#define BATCH_ROWS      20000 /* rows in one transaction of the store */
#define WORKER_STACK    ((size_t)24 << 20) /* 2 MiB for each of nine nested runs, and ours */
#define IDLE_NS         (5ull * 1000000000ull) /* of the store, between promises */
#define STORE_STACK     ((size_t)1 << 20)
#define DRAIN_NS        (10ull * 1000000000ull)
#define STOP_POLL_NS    20000000ull
#define BACKGROUND_NS   (5ull * 1000000000ull) /* between looks when nothing wakes it */
#define BACKGROUND_MORE_NS 1000000ull /* between its steps: the store needs time, too */
#define BACKGROUND_NICE 10

struct core {
	struct core_opts opts;
	struct runner   *runner;
	struct api      *api;
	struct db       *db;
	struct retention *retention;
	struct http_server *server;

	struct post         *posts, **posts_end; /* since the last turn, oldest first */
	struct queue        *done;  /* struct job: they have run */
	struct queue        *jobs;  /* struct job */
	VEC(struct job *)    overflow; /* jobs that found the queue full, oldest first */
	size_t               overflow_at;
	VEC(struct thread *) workers;

	struct queue  *store_wake, *background_wake, *retention_wake; /* nothing is ever pushed */
	struct thread *store, *background, *retention_thread;
	atomic_bool    store_stop, background_stop;

	atomic_bool commits;  /* published since the core looked */
	atomic_bool durable;  /* the store wrote since the core looked */
	atomic_bool stop;
	uint64_t    drain_end_ns; /* 0: not stopping yet */
	bool        drained;
	bool        deferred;
	uint64_t    catalog_version;
};

struct core *
core_new(const struct core_opts *opts)
{
	struct core *c = MEM_NEW(struct core);

	c->opts = *opts;
	c->posts_end = &c->posts;
	c->done = queue_new(JOBS_CAP);
	c->jobs = queue_new(JOBS_CAP);
	c->store_wake = queue_new(1);
	c->background_wake = queue_new(1);
	c->retention_wake = queue_new(1);
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
	must(c->overflow.n == c->overflow_at && !c->posts);
	vec_clear(&c->workers);
	vec_clear(&c->overflow);
	queue_free(c->done);
	queue_free(c->jobs);
	queue_free(c->store_wake);
	queue_free(c->background_wake);
	queue_free(c->retention_wake);
	mem_free(c);
}

/* --- from other threads --- */

void
core_on_commit(void *arg)
{
	struct core *c = arg;

	if (!atomic_exchange(&c->commits, true))
		queue_wake(c->done);
	queue_wake(c->store_wake);
}

void
core_stop(struct core *c)
{
	atomic_store(&c->stop, true);
	queue_wake(c->done);
}

/* --- posts --- */

static void
port_post(void *arg, struct post *p)
{
	struct core *c = arg;

	p->next = NULL;
	*c->posts_end = p;
	c->posts_end = &p->next;
}

struct core_port
core_port(struct core *c)
{
	return (struct core_port){ c, port_post };
}

static void
run_posts(struct core *c)
{
	struct post *p = c->posts, *next;

	c->posts = NULL;
	c->posts_end = &c->posts;
	for (; p; p = next) {
		next = p->next;
		p->run(p);
	}
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
			job_run(item, w);
			queue_push_wait(c->done, item);
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

/* True if there may be more. */
static bool
take_done(struct core *c)
{
	void  *items[DONE_AT_ONCE];
	size_t n = queue_pop(c->done, items, DONE_AT_ONCE, 0);

	refill_jobs(c);
	for (size_t i = 0; i < n; i++)
		runner_job_done(c->runner, items[i]);
	return n == DONE_AT_ONCE;
}

static void
submit(void *arg, struct job *j)
{
	struct core *c = arg;

	if (c->overflow.n > 0 || !queue_push(c->jobs, j))
		vec_push(&c->overflow, j);
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
		if ((b ? db_write_batch(c->db, b, &e) : db_idle(c->db, &e)) != ST_OK)
			log_fatal(
			    "writing to the database failed, its state is unknown: %.*s. Stopping; "
			    "what was acknowledged is on disk",
			    STR_ARG(e.text));
		if (!b)
			(void)queue_pop(c->store_wake, &item, 1, IDLE_NS);
		else if (!atomic_exchange(&c->durable, true))
			queue_wake(c->done);
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
		(void)queue_pop(c->background_wake, &item, 1,
		    more && st == ST_OK ? BACKGROUND_MORE_NS : BACKGROUND_NS);
	}
}

/* --- retention --- */

/* Not nice, unlike the work above: under load it must erase as fast as others write. */
static void
retention_main(void *arg)
{
	struct core *c = arg;
	void        *item;

	while (!atomic_load(&c->background_stop)) {
		struct err e = err_in(NULL);
		uint64_t   wait;

		if (retention_step(c->retention, &wait, &e) != ST_OK) {
			log_warn("erasing history failed and will be tried again: %.*s",
			    STR_ARG(e.text));
			wait = BACKGROUND_NS;
		}
		if (wait > 0)
			(void)queue_pop(c->retention_wake, &item, 1, wait);
	}
}

void
core_start_store(struct core *c, struct db *db, struct retention *r)
{
	c->db = db;
	c->retention = r;
	c->store = thread_start("store", STORE_STACK, store_main, c);
	c->background = thread_start("background", STORE_STACK, background_main, c);
	c->retention_thread = thread_start("retention", STORE_STACK, retention_main, c);
}

static void
stop_store(struct core *c)
{
	atomic_store(&c->background_stop, true);
	queue_wake(c->background_wake);
	queue_wake(c->retention_wake);
	thread_join_free(c->background);
	thread_join_free(c->retention_thread);
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

/* Stopping: long polls end at once, calls that run may finish; then the server stops. */
static uint64_t
drain(struct core *c, uint64_t now)
{
	if (c->drain_end_ns == 0) {
		c->drain_end_ns = now + DRAIN_NS;
		http_server_refuse_new(c->server);
		api_stop(c->api);
	}
	if (!c->drained && runner_busy(c->runner) + api_busy(c->api) > 0 && now < c->drain_end_ns)
		return now + STOP_POLL_NS;
	if (!c->drained && now >= c->drain_end_ns)
		log_warn("stopping although %zu calls still run", runner_busy(c->runner));
	if (!c->drained)
		http_server_stop(c->server);
	c->drained = true;
	return UINT64_MAX;
}

uint64_t
core_turn(void *arg)
{
	struct core *c = arg;
	uint64_t     now = os_mono_ns(c->opts.os), due;
	bool         more;

	run_posts(c);
	more = take_done(c);
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
	due = api_tick(c->api, now);
	if (atomic_load(&c->stop)) {
		uint64_t look = drain(c, now);

		due = look < due ? look : due;
	}
	return more || c->deferred ? now : due;
}

static void
wake_loop(void *server)
{
	http_server_wake(server);
}

void
core_run(struct core *c, struct runner *r, struct api *a, struct http_server *s)
{
	c->runner = r;
	c->api = a;
	c->server = s;
	queue_set_notify(c->done, wake_loop, s);
	queue_wake(c->done); /* what came before there was somebody to wake */
	http_server_run(s);
	run_posts(c); /* what the server posted last */
	api_settle(a);
	stop_store(c);
	if (runner_busy(r) > 0)
		_exit(0); /* their threads cannot be joined; everything acknowledged is on disk */
	queue_set_notify(c->done, NULL, NULL);
}
