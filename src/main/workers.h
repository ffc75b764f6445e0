/* workers.h - the function workers: threads that run jobs, as many as it takes.
 *
 * Normally there are as many as processors.  A job that takes long must not stop the others: after
 * a few milliseconds of CPU its thread steps back (a higher niceness), and while jobs wait another
 * thread takes its place, up to a maximum (spec 04 section 5.4).  Threads in excess end when there
 * is nothing to do.
 *
 * Jobs wait in one queue, in order.  What comes from clients is refused when the queue is full or
 * when it waited for too long; what the server itself needs is always taken.
 *
 * Thread: as stated.
 */
#ifndef MAIN_WORKERS_H
#define MAIN_WORKERS_H

#include "functions/runner.h"

struct workers;

struct workers_opts {
	const struct os *os;
	int              normal;      /* threads; at least 1 */
	int              max;         /* threads; at least `normal` */
	size_t           queue_max;   /* jobs that can be refused; 0: 2,000 */
	uint64_t         wait_max_ns; /* 0: 5 s */
	/* Makes a worker's own things, on a worker's thread. */
	struct fn_worker *(*worker_new)(void *arg);
	void *worker_arg;
	/* For a worker that has nothing else to do, on its thread; may be NULL. */
	void (*idle)(struct fn_worker *fn);
	/* The job has run, or was refused after all; on a worker's thread. */
	void (*done)(void *arg, struct job *j);
	void *done_arg;
};

struct workers *workers_new(const struct workers_opts *opts);
void            workers_start(struct workers *w);
/* The loop thread's.  False: refused at once; the job has its result, done() is not called. */
bool workers_submit(struct workers *w, struct job *j);
/* Runs what was submitted, ends all threads. */
void workers_free(struct workers *w);

struct workers_stats {
	int    threads, idle, slow;
	size_t waiting;
};
struct workers_stats workers_stats(struct workers *w);

#endif
