/* core.c - the core's turns: see core.h.
 *
 * Thread: the loop thread; store_main(), background_main() and retention_main() are their
 *         own, worker_done() is a worker's.
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
#include "main/workers.h"
#include "runtime/queue.h"
#include "runtime/thread.h"

#define JOBS_CAP        4096
#define DONE_AT_ONCE    256
#define BATCH_ROWS      20000 /* rows in one transaction of the store */
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
	struct scheduler *scheduler;
	struct db       *db;
	struct retention *retention;
	struct http_server *server;

	struct post         *posts, **posts_end; /* since the last turn, oldest first */
	pthread_mutex_t      gate_lock;           /* of the next line */
	struct gate_post    *gate, **gate_end;   /* the same, from other threads */
	struct actions      *actions;
	struct workers      *workers;
	struct queue        *done;    /* struct job: they have run */
	VEC(struct job *)    refused; /* jobs that did not get to the workers */

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

/* A worker's thread. */
static void
worker_done(void *arg, struct job *j)
{
	queue_push_wait(((struct core *)arg)->done, j);
}

struct core *
core_new(const struct core_opts *opts)
{
	struct core *c = MEM_NEW(struct core);

	c->opts = *opts;
	c->posts_end = &c->posts;
	must(pthread_mutex_init(&c->gate_lock, NULL) == 0);
	c->gate_end = &c->gate;
	c->done = queue_new(JOBS_CAP);
	c->workers = workers_new(&(struct workers_opts){
	    .os = opts->os,
	    .normal = opts->workers,
	    .max = opts->workers_max,
	    .worker_new = opts->worker_new,
	    .worker_arg = opts->worker_arg,
	    .idle = opts->worker_idle,
	    .done = worker_done,
	    .done_arg = c,
	});
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
	workers_free(c->workers);
	must(c->refused.n == 0 && !c->posts);
	must(pthread_mutex_destroy(&c->gate_lock) == 0);
	vec_clear(&c->refused);
	queue_free(c->done);
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

/* --- the gate --- */

static void
gate_post(void *arg, struct gate_post *p)
{
	struct core *c = arg;
	bool         first;

	must(pthread_mutex_lock(&c->gate_lock) == 0);
	first = !c->gate;
	p->next = NULL;
	*c->gate_end = p;
	c->gate_end = &p->next;
	must(pthread_mutex_unlock(&c->gate_lock) == 0);
	if (first)
		queue_wake(c->done);
}

struct gate
core_gate(struct core *c)
{
	return (struct gate){ c, gate_post };
}

static void
run_gate(struct core *c)
{
	struct gate_post *p, *next;

	must(pthread_mutex_lock(&c->gate_lock) == 0);
	p = c->gate;
	c->gate = NULL;
	c->gate_end = &c->gate;
	must(pthread_mutex_unlock(&c->gate_lock) == 0);
	for (; p; p = next) {
		next = p->next;
		p->run(p);
	}
}

/* --- workers and actions --- */

/* An action's thread. */
void
core_action_done(void *core, struct job *j)
{
	worker_done(core, j);
}

/* From inside of the core's turn. */
void
core_action_refused(void *core, struct job *j)
{
	struct core *c = core;

	vec_push(&c->refused, j);
}

void
core_set_actions(struct core *c, struct actions *a)
{
	c->actions = a;
}

void
core_start_workers(struct core *c)
{
	workers_start(c->workers);
}

/* What the last turns could not hand to the workers. */
static void
take_refused(struct core *c)
{
	VEC(struct job *) refused = { 0 };

	if (c->refused.n == 0)
		return;
	for (size_t i = 0; i < c->refused.n; i++)
		vec_push(&refused, c->refused.v[i]);
	c->refused.n = 0;
	for (size_t i = 0; i < refused.n; i++)
		runner_job_done(c->runner, refused.v[i]);
	vec_clear(&refused);
}

/* What came through the gate, and finished jobs.  A job's thread may have posted before it was
 * done: that comes first.  True if there may be more. */
static bool
take_done(struct core *c)
{
	void  *items[DONE_AT_ONCE];
	size_t n = queue_pop(c->done, items, DONE_AT_ONCE, 0);

	run_gate(c);
	for (size_t i = 0; i < n; i++)
		runner_job_done(c->runner, items[i]);
	take_refused(c);
	return n == DONE_AT_ONCE;
}

static void
submit(void *arg, struct job *j)
{
	struct core *c = arg;

	if (job_is_action(j))
		actions_submit(c->actions, j);
	else if (!workers_submit(c->workers, j))
		vec_push(&c->refused, j);
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
		scheduler_stop(c->scheduler);
	}
	if (now >= c->drain_end_ns - DRAIN_NS / 2) /* the rest of the time is for their ends */
		actions_cancel(c->actions);
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
	uint64_t     now = os_mono_ns(c->opts.os), due, look;
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
	look = scheduler_tick(c->scheduler, now);
	due = look < due ? look : due;
	look = actions_tick(c->actions, now);
	due = look < due ? look : due;
	if (atomic_load(&c->stop)) {
		look = drain(c, now);
		due = look < due ? look : due;
	}
	return more || c->deferred || c->refused.n ? now : due;
}

static void
wake_loop(void *server)
{
	http_server_wake(server);
}

void
core_run(struct core *c, struct runner *r, struct api *a, struct scheduler *sched,
    struct http_server *s)
{
	c->scheduler = sched;
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
