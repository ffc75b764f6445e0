/* actions.h - the threads that run actions.
 *
 * An action holds a thread while it runs, which mostly waits: for timers, for answers to requests,
 * for the functions it calls.  There are as many threads as actions run, up to a bound; beyond it
 * actions wait in line.  A thread that finds nothing to do for a while ends.
 *
 * Engines come from one isolate that all of them share: a suspended action keeps its engine, and
 * only a few idle ones are kept.
 *
 * Thread: as stated.
 */
#ifndef FUNCTIONS_ACTIONS_H
#define FUNCTIONS_ACTIONS_H

#include "functions/runner.h"

struct actions;

#define ACTIONS_MAX_DEFAULT 256

struct actions_opts {
	struct functions *functions;
	struct isolate   *isolate;  /* owned */
	size_t            max;      /* actions that run at once; 0: ACTIONS_MAX_DEFAULT */
	/* The job has run; on its action's thread. */
	void (*done)(void *arg, struct job *j);
	/* The job waited too long; from inside of actions_tick(). */
	void (*refused)(void *arg, struct job *j);
	void *done_arg;
};

struct actions *actions_new(const struct actions_opts *opts);
/* Any thread. */
void            actions_submit(struct actions *a, struct job *j);
/* Refuses those that wait too long; when to call it next (monotonic).  The loop thread. */
uint64_t        actions_tick(struct actions *a, uint64_t now_ns);
/* Those that run end as soon as they look; any thread. */
void            actions_cancel(struct actions *a);
/* Waits for all of them; cancel first. */
void            actions_free(struct actions *a); /* NULL is fine */

struct actions_stats {
	size_t running, waiting, threads;
};
struct actions_stats actions_stats(struct actions *a);

#endif
