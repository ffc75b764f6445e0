/* watchdog.h - one thread that looks after threads which may be too busy to look themselves.
 *
 * A thread that is watched says two things by plain stores: the value of its CPU clock from which
 * on it must be interrupted, and whether it is in the middle of a piece of work.  The watchdog
 * ticks while any of them says one of these, reads their CPU clocks, sends WATCHDOG_SIGNAL to
 * whoever is past its time (again and again, until it changes its mind: the handler may have come
 * at a bad moment), and tells the owner of a thread whose work takes long.  While nothing is
 * watched it sleeps; who begins then wakes it.  So in the steady state being watched costs no
 * system call.
 *
 * Thread: as stated.  Memory: struct watch belongs to its owner and stays until watch_leave().
 */
#ifndef RUNTIME_WATCHDOG_H
#define RUNTIME_WATCHDOG_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_SIGNAL  SIGURG /* ignored where nobody handles it */
#define WATCHDOG_TICK_NS ((uint64_t)5000000)
#define WATCH_NEVER      UINT64_MAX

struct watch {
	struct watch    *next, **back; /* the watchdog's list */
	pthread_t        thread;
	clockid_t        clock;      /* CPU time of the thread */
	_Atomic uint64_t due_cpu_ns; /* WATCH_NEVER: nothing to interrupt */
	_Atomic uint64_t work;       /* odd: in a piece of work */
	/* Called at each tick while a piece of work lasts, with what it took so far, from the
	 * second tick on; on the watchdog's thread, with its lock held.  May be NULL. */
	void (*on_long)(void *arg, uint64_t cpu_ns, uint64_t wall_ns);
	void *arg;

	/* the watchdog's own */
	uint64_t seen_work, seen_cpu_ns, seen_mono_ns;
};

/* The calling thread is watched from now on; the first one starts the watchdog.  WATCHDOG_SIGNAL
 * can reach this thread now: its handler must be in place. */
void watch_join(
    struct watch *w, void (*on_long)(void *arg, uint64_t cpu_ns, uint64_t wall_ns), void *arg);
/* By the same thread; no callback runs any more.  The last one ends the watchdog. */
void watch_leave(struct watch *w);

void               watchdog_wake(void); /* private */
extern atomic_bool watchdog_asleep;     /* private */

static inline void
watch_stir(void)
{
	if (__builtin_expect(atomic_load(&watchdog_asleep), 0))
		watchdog_wake();
}

/* The rest: by the thread itself. */

static inline void
watch_due(struct watch *w, uint64_t cpu_ns)
{
	atomic_store(&w->due_cpu_ns, cpu_ns);
	if (cpu_ns != WATCH_NEVER)
		watch_stir();
}

static inline void
watch_begin(struct watch *w)
{
	atomic_fetch_add(&w->work, 1);
	watch_stir();
}

static inline void
watch_end(struct watch *w)
{
	atomic_fetch_add(&w->work, 1);
}

#endif
