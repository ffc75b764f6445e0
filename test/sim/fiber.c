/* fiber.c - see fiber.h.
 *
 * Each suspension has a number, which the event that ends it repeats: who was made to go on
 * earlier, because somebody waited for its lock or the server died, is not woken twice.
 *
 * Thread: one.  Memory: see fiber.h.
 */
#include <pthread.h>
#include <ucontext.h>

#include "runtime/pause.h"
#include "sim.h"

#define STACK_BYTES ((size_t)512 << 10)
#define LOCK_WAIT_NS 20000

struct coroutine {
	ucontext_t self, back;
	char      *stack;
};

static struct fiber *starting; /* makecontext() passes ints: the fiber goes through here */

static void
body(void)
{
	struct fiber *f = starting;

	for (;;) {
		f->run(f);
		f->active = false;
		swapcontext(&f->co->self, &f->co->back);
	}
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
fiber_init(struct fiber *f, struct sim *s, void (*run)(struct fiber *f),
    void (*done)(struct fiber *f))
{
	*f = (struct fiber){ .s = s, .run = run, .done = done, .co = MEM_NEW(struct coroutine) };
	coroutine_init(f->co);
	must(s->nfibers < COUNT_OF(s->fibers));
	s->fibers[s->nfibers++] = f;
}

void
fiber_clear(struct fiber *f)
{
	struct sim *s = f->s;

	must(!f->active && f->locks == 0);
	for (size_t i = 0; i < s->nfibers; i++)
		if (s->fibers[i] == f)
			s->fibers[i] = s->fibers[--s->nfibers];
	mem_free(f->co->stack);
	mem_free(f->co);
}

/* Runs the fiber until it pauses or its work is done. */
static void
resume(struct fiber *f)
{
	struct sim *s = f->s;

	must(!s->fiber && f->active);
	f->turn = 0;
	s->fiber = f;
	starting = f;
	swapcontext(&f->co->back, &f->co->self);
	s->fiber = NULL;
	if (!f->active && f->done)
		f->done(f);
}

static void
turn_event(struct sim *s, void *arg, uint64_t turn)
{
	for (size_t i = 0; i < s->nfibers; i++)
		if (s->fibers[i] == arg && s->fibers[i]->turn == turn)
			resume(s->fibers[i]);
}

static void
wake_after(struct fiber *f, uint64_t delay)
{
	f->turn = ++f->s->turns;
	after(f->s, delay, turn_event, f, f->turn);
}

void
fiber_start(struct fiber *f, uint64_t delay)
{
	must(!f->active);
	f->active = true;
	wake_after(f, delay);
}

void
fiber_finish(struct fiber *f)
{
	struct sim *s = f->s;

	s->calm++;
	while (f->active)
		resume(f);
	s->calm--;
}

static void
put_aside(struct fiber *f, uint64_t ns)
{
	wake_after(f, ns);
	swapcontext(&f->co->self, &f->co->back);
}

void
sim_pause(struct sim *s, uint64_t usual)
{
	struct fiber *f = s->fiber;

	if (!f || s->calm)
		return;
	/* Now and then one stalls for seconds. */
	if (!s->ending && draw(s, 4000) == 0)
		put_aside(f, (1000 + draw(s, 3000)) * MS);
	else
		put_aside(f, latency(s, usual));
}

/* A fiber that holds locks and was put aside; NULL: none. */
static struct fiber *
some_holder(struct sim *s, const struct fiber *but)
{
	for (size_t i = 0; i < s->nfibers; i++)
		if (s->fibers[i]->locks > 0 && s->fibers[i] != but)
			return s->fibers[i];
	return NULL;
}

void
fiber_unlock(struct fiber *f)
{
	struct fiber *other;

	while (f->locks > 0) {
		f->hurried = true;
		resume(f);
		if (f->locks > 0 && (other = some_holder(f->s, f)))
			fiber_unlock(other);
	}
}

/* --- what the product calls --- */

static struct sim *world;
/* Only one thread has fibers; the logged store has threads of its own. */
static __thread bool simulated;

static void
on_pause_point(const char *name)
{
	struct sim *s = simulated ? world : NULL;

	if (!s || !s->fiber || s->calm || s->fiber->hurried || draw(s, s->nerves))
		return;
	trace(s, "pause %s", name);
	s->npauses++;
	if (s->fiber->locks > 0) /* those who wait ask often */
		put_aside(s->fiber, latency(s, MS / 8));
	else
		sim_pause(s, draw(s, 8) ? MS / 4 : 5 * MS);
}

void
fiber_world(struct sim *s)
{
	world = s;
	simulated = s != NULL;
	pause_hook = s ? on_pause_point : NULL;
}

int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);

int
__wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	struct sim   *s = simulated ? world : NULL;
	struct fiber *holder;

	if (!s)
		return __real_pthread_mutex_lock(m);
	while (pthread_mutex_trylock(m) != 0) {
		holder = some_holder(s, s->fiber);
		if (!holder)
			return __real_pthread_mutex_lock(m);
		must(!s->calm);
		if (s->fiber)
			put_aside(s->fiber, latency(s, LOCK_WAIT_NS));
		else
			fiber_unlock(holder);
	}
	if (s->fiber)
		s->fiber->locks++;
	return 0;
}

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct fiber *f = simulated && world ? world->fiber : NULL;
	int           rc = __real_pthread_mutex_unlock(m);

	if (f && f->locks > 0 && --f->locks == 0 && f->hurried) {
		f->hurried = false;
		if (!f->s->calm)
			put_aside(f, latency(f->s, LOCK_WAIT_NS));
	}
	return rc;
}
