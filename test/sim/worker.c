/* worker.c - function workers as coroutines.
 *
 * A worker runs the real job_run().  Its functions and its reads from the store call
 * sim_pause(), which puts the worker aside for a random time; so transactions overlap in
 * every way that threads could make them overlap at those points, in an order that the seed
 * decides.
 *
 * Thread: one; ucontext(3) switches stacks.  Memory: a stack per worker.
 */
#include <ucontext.h>

#include "sim.h"

#define STACK_BYTES ((size_t)512 << 10)

struct coroutine {
	ucontext_t self, back;
	char      *stack;
};

struct worker *
sim_worker(struct sim *s)
{
	return s->server.running;
}

/* makecontext() passes ints: the worker goes through here. */
static struct worker *starting;

static void
body(void)
{
	struct worker *w = starting;

	for (;;) {
		job_run(w->job, w->fn);
		w->finished = true;
		swapcontext(&w->co->self, &w->co->back);
	}
}

/* Runs the worker until it pauses or its job is done. */
static void
resume(struct worker *w)
{
	struct sim *s = w->s;

	must(!s->server.running);
	s->server.running = w;
	starting = w;
	swapcontext(&w->co->back, &w->co->self);
	s->server.running = NULL;
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
go_on(struct sim *s, void *arg, uint64_t life)
{
	struct worker *w = arg;

	if (life != s->server.life)
		return;
	resume(w);
	if (w->finished)
		after(s, latency(s, MS / 20), hand_back, w, life);
	else
		after(s, latency(s, w->pause), go_on, w, life);
}

void
sim_pause(struct sim *s, uint64_t usual)
{
	struct worker *w = s->server.running;

	if (!w || !s->server.up)
		return;
	w->pause = usual;
	swapcontext(&w->co->self, &w->co->back);
}

static void
next_job(struct sim *s, void *arg, uint64_t life)
{
	struct worker *w = arg;

	if (life != s->server.life || w->job || s->server.jobs.n == 0)
		return;
	w->job = s->server.jobs.v[0];
	s->server.jobs.n--;
	memmove(s->server.jobs.v, s->server.jobs.v + 1, s->server.jobs.n * sizeof(struct job *));
	w->finished = false;
	memset(&w->attempt, 0, sizeof w->attempt);
	after(s, latency(s, MS / 20), go_on, w, life);
}

void
workers_submit(void *arg, struct job *j)
{
	struct sim *s = arg;

	vec_push(&s->server.jobs, j);
	for (size_t i = 0; i < WORKERS; i++)
		next_job(s, &s->server.workers[i], s->server.life);
}

/* A function of its own: getcontext() returns twice as far as the compiler knows, and then no
 * local of a loop around it is safe. */
static __attribute__((noinline)) void
coroutine_init(struct coroutine *co)
{
	co->stack = mem_alloc(STACK_BYTES);
	must(getcontext(&co->self) == 0);
	co->self.uc_stack.ss_sp = co->stack;
	co->self.uc_stack.ss_size = STACK_BYTES;
	makecontext(&co->self, body, 0);
}

void
workers_start(struct sim *s)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &s->server.workers[i];

		memset(w, 0, sizeof *w);
		w->s = s;
		w->fn = fn_worker_new(s->server.functions, NULL);
		w->co = MEM_NEW(struct coroutine);
		coroutine_init(w->co);
	}
}

void
workers_stop(struct sim *s)
{
	struct server *v = &s->server;

	must(!v->up);
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &v->workers[i];

		if (w->job && !w->finished)
			resume(w); /* to its end: nothing pauses any more */
		if (w->job)
			runner_job_done(v->runner, w->job);
		w->job = NULL;
	}
	while (v->jobs.n > 0) {
		struct job *j = v->jobs.v[--v->jobs.n];

		v->running = &v->workers[0];
		job_run(j, v->workers[0].fn);
		v->running = NULL;
		runner_job_done(v->runner, j);
	}
	for (size_t i = 0; i < WORKERS; i++) {
		fn_worker_free(v->workers[i].fn);
		mem_free(v->workers[i].co->stack);
		mem_free(v->workers[i].co);
	}
}
