/* scheduler.h - runs scheduled functions and crons when their time comes (spec 05 sections 2.3
 * and 3.3).
 *
 * The scheduler is one more client of the runner: it watches a live query, "which jobs come
 * next", and calls the ones that are due.  So a job that any commit adds, cancels or deletes
 * reaches it the way changes reach everybody.
 *
 * A mutation's run is one call: the worker reads the job, runs the function and marks the job in
 * the same transaction (worker.c, scheduled_run.c, cron_run.c).  An action takes two steps around
 * its run.
 *
 * Thread: the loop thread.  Memory: a list of what comes next, a flight for each job that runs.
 */
#ifndef FUNCTIONS_SCHEDULER_H
#define FUNCTIONS_SCHEDULER_H

#include "functions/runner.h"

struct scheduler;

struct scheduler_opts {
	struct runner   *runner;
	const struct os *os;
	size_t           parallel; /* jobs that run at once; 0: 64 */
};

struct scheduler *scheduler_new(const struct scheduler_opts *opts); /* starts at once */
void              scheduler_free(struct scheduler *s); /* NULL is fine; no task may be out */
/* Time passes.  Returns the monotonic ns of what is due next; UINT64_MAX: nothing. */
uint64_t scheduler_tick(struct scheduler *s, uint64_t mono_ns);
void     scheduler_stop(struct scheduler *s); /* starts no more jobs */
size_t   scheduler_busy(const struct scheduler *s);

#endif
