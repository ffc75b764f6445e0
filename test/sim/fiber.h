/* fiber.h - threads of the simulated server, as coroutines of one thread.
 *
 * A fiber runs until it pauses: in the simulated store, between the steps of the bank's
 * functions, and at the pause points of the product (runtime/pause.h), where the seed decides
 * whether it is put aside and for how long.  A fiber that is put aside may hold a lock; whoever
 * wants that lock is put aside in turn, and the core, which is no fiber, lets the holder run
 * until the lock is free: pthread_mutex_lock() and _unlock() are wrapped (CMakeLists.txt).
 *
 * Thread: one; ucontext(3) switches stacks.  Memory: a stack per fiber.
 */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct coroutine;

struct fiber {
	struct sim       *s;
	struct coroutine *co;
	void            (*run)(struct fiber *f);  /* one piece of work */
	void            (*done)(struct fiber *f); /* on the core, after each; may be NULL */
	uint64_t          turn;   /* number of the event that lets it go on; 0: none */
	size_t            locks;  /* held */
	bool              active; /* run() has begun and not ended */
	bool              hurried; /* somebody waits for its locks */
};

void fiber_init(struct fiber *f, struct sim *s, void (*run)(struct fiber *f),
    void (*done)(struct fiber *f));
void fiber_clear(struct fiber *f); /* not active */
/* Begins a piece of work after `delay` ns; not active. */
void fiber_start(struct fiber *f, uint64_t delay);
/* Runs it to the end of its work without any pause. */
void fiber_finish(struct fiber *f);
/* Runs it on until it holds no lock. */
void fiber_unlock(struct fiber *f);

/* Lets others run for about `usual` ns; no effect outside of fibers. */
void sim_pause(struct sim *s, uint64_t usual);
/* From now on this thread's locks and pause points are the simulation's.  NULL: no longer. */
void fiber_world(struct sim *s);

#endif
