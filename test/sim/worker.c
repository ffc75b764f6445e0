/* worker.c - the server's threads as fibers: function workers, the store's, the background's.
 *
 * A worker runs the real job_run(); the store's fiber takes and writes batches and the
 * background's makes steps of index backfills, schema checks and retention as the threads of
 * main/core.c do.
 *
 * Thread: one.  Memory: a fiber each.
 */
#include "database/ddl.h"
#include "sim.h"

#define BACKGROUND_NS (500 * MS) /* between looks when nothing wakes it */

/* --- workers --- */

struct worker *
sim_worker(struct sim *s)
{
	for (size_t i = 0; i < WORKERS; i++)
		if (s->fiber == &s->server.workers[i].fiber)
			return &s->server.workers[i];
	return NULL;
}

static void
run_job(struct fiber *f)
{
	struct worker *w = (struct worker *)f;

	job_run(w->job, w->fn);
}

static void next_job(struct sim *s, void *arg, uint64_t life);

static void
hand_back(struct sim *s, void *arg, uint64_t life)
{
	struct worker *w = arg;
	struct job    *j = w->job;

	if (life != s->server.life)
		return;
	w->job = NULL;
	runner_job_done(s->server.runner, j);
	next_job(s, w, life);
}

static void
job_ran(struct fiber *f)
{
	if (f->s->server.up)
		after(f->s, latency(f->s, MS / 20), hand_back, f, f->s->server.life);
}

static void
next_job(struct sim *s, void *arg, uint64_t life)
{
	struct worker *w = arg;
	struct server *v = &s->server;

	if (life != v->life || w->job || v->jobs.n == 0)
		return;
	w->job = v->jobs.v[0];
	v->jobs.n--;
	memmove(v->jobs.v, v->jobs.v + 1, v->jobs.n * sizeof(struct job *));
	memset(&w->attempt, 0, sizeof w->attempt);
	fiber_start(&w->fiber, latency(s, MS / 20));
}

void
workers_submit(void *arg, struct job *j)
{
	struct sim *s = arg;

	vec_push(&s->server.jobs, j);
	for (size_t i = 0; i < WORKERS; i++)
		next_job(s, &s->server.workers[i], s->server.life);
}

/* --- the store's thread --- */

static void
durable_event(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (life == s->server.life)
		runner_durable(s->server.runner);
}

static void
store_failed(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (life == s->server.life)
		server_crash(s);
}

/* As store_main() of main/core.c, until there is nothing to write. */
static void
run_store(struct fiber *f)
{
	struct sim           *s = f->s;
	struct server        *v = &s->server;
	struct pending_batch *b;

	while ((b = db_take_batch(v->db, 1 + draw(s, 20))) != NULL) {
		if (db_write_batch(v->db, b, NULL) != ST_OK) {
			if (v->up)
				after(s, 0, store_failed, NULL, v->life);
			return;
		}
		trace(s, "durable %llu", (unsigned long long)db_durable_ts(v->db));
		if (v->up)
			after(s, latency(s, MS / 50), durable_event, NULL, v->life);
	}
	if (v->up && db_idle(v->db, NULL) != ST_OK && v->up)
		after(s, 0, store_failed, NULL, v->life);
}

void
store_wake(struct sim *s)
{
	if (s->server.up && !s->server.storer.active && !s->disk.dead)
		fiber_start(&s->server.storer, latency(s, MS / 50));
}

/* Now and then it looks although nobody has called. */
static void
idle_event(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (life != s->server.life || !s->server.up)
		return;
	store_wake(s);
	after(s, latency(s, 100 * MS), idle_event, NULL, life);
}

static void
store_rest(struct fiber *f)
{
	/* What was queued after it looked for the last time. */
	if (f->s->server.up && db_pending_commits(f->s->server.db) > 0)
		store_wake(f->s);
}

/* --- the background thread --- */

static void
run_background(struct fiber *f)
{
	struct sim    *s = f->s;
	struct server *v = &s->server;
	struct err     e = err_in(NULL);
	bool           more = false;
	uint64_t       wait = BACKGROUND_NS;
	status         st = ddl_background_step(v->db, &more, &e);

	if (st == ST_OK && v->retention)
		st = retention_step(v->retention, &wait, &e);
	if (st != ST_OK && st != ST_OVERLOADED && st != ST_OUT_OF_RETENTION && v->up &&
	    !s->disk.dead)
		sim_fail(s, "background: %.*s", STR_ARG(e.text));
	store_wake(s);
	sim_pause(s, more || wait < 2 * MS ? 2 * MS : wait < BACKGROUND_NS ? wait : BACKGROUND_NS);
}

static void
background_again(struct fiber *f)
{
	if (f->s->server.up)
		fiber_start(f, 0);
}

/* --- all of them --- */

void
workers_start(struct sim *s)
{
	struct server *v = &s->server;

	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &v->workers[i];

		memset(w, 0, sizeof *w);
		w->s = s;
		w->fn = fn_worker_new(v->functions, NULL);
		fiber_init(&w->fiber, s, run_job, job_ran);
	}
	fiber_init(&v->storer, s, run_store, store_rest);
	fiber_init(&v->background, s, run_background, background_again);
	fiber_start(&v->background, latency(s, 5 * MS));
	after(s, latency(s, 100 * MS), idle_event, NULL, v->life);
}

void
workers_drain(struct sim *s)
{
	struct server *v = &s->server;

	for (size_t i = 0; i < s->nfibers; i++)
		fiber_unlock(s->fibers[i]);
	for (size_t i = 0; i < WORKERS; i++)
		fiber_finish(&v->workers[i].fiber);
	fiber_finish(&v->storer);
	while (db_pending_commits(v->db) > 0 && !s->disk.dead) {
		v->storer.active = true;
		fiber_finish(&v->storer);
	}
}

/* What waited for a worker runs into the dead server. */
static void
bury_jobs(struct sim *s)
{
	struct server *v = &s->server;

	for (size_t i = 0; i < WORKERS; i++) {
		if (v->workers[i].job)
			runner_job_done(v->runner, v->workers[i].job);
		v->workers[i].job = NULL;
	}
	while (v->jobs.n > 0) {
		struct worker *w = &v->workers[0];

		w->job = v->jobs.v[--v->jobs.n];
		w->fiber.active = true;
		fiber_finish(&w->fiber);
		runner_job_done(v->runner, w->job);
		w->job = NULL;
	}
}

void
workers_stop(struct sim *s)
{
	struct server *v = &s->server;

	must(!v->up);
	fiber_finish(&v->storer);
	fiber_finish(&v->background);
	for (size_t i = 0; i < WORKERS; i++)
		fiber_finish(&v->workers[i].fiber);
	bury_jobs(s);
	for (size_t i = 0; i < WORKERS; i++) {
		fn_worker_free(v->workers[i].fn);
		fiber_clear(&v->workers[i].fiber);
	}
	fiber_clear(&v->storer);
	fiber_clear(&v->background);
}
