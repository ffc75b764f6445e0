/* core.h - the core's turns on the loop thread, and the threads around it.
 *
 *   sockets --posts--> core --jobs--> function workers --done--> core
 *                       |  commits (any worker)  |
 *                       +--wakes--> store thread: one batch, one fsync --wakes--> core
 *                       +--wakes--> background thread: index backfills, schema checks
 *                             retention thread: erases history at its own pace
 *
 * The loop (net/http_server.h) reads sockets, gives the core a turn, writes, and sleeps until a
 * socket, a wake or the core's next timer; the core itself never waits.
 *
 * Thread: core_run() is the loop thread: the main one.
 */
#ifndef MAIN_CORE_H
#define MAIN_CORE_H

#include "functions/actions.h"
#include "functions/gate.h"
#include "functions/runner.h"
#include "functions/scheduler.h"
#include "net/api.h"

struct core;
struct retention;

struct core_opts {
	const struct os *os;
	int              workers, workers_max; /* threads: see main/workers.h */
	/* Makes the worker's own things, on its thread. */
	struct fn_worker *(*worker_new)(void *arg);
	void *worker_arg;
	void (*worker_idle)(struct fn_worker *fn); /* see main/workers.h */
};

struct core *core_new(const struct core_opts *opts);
/* The queues and threads end; nothing may be running. */
void core_free(struct core *c);

/* For db_opts: a commit was published.  Any thread. */
void core_on_commit(void *core);
/* For http_server_opts and api_opts. */
struct core_port core_port(struct core *c);
uint64_t core_turn(void *core); /* as http_server_opts.turn */
/* For runner_opts. */
struct executor core_executor(struct core *c);
void core_on_deferred(void *core);

/* The store, background and retention threads begin.  `r` belongs to the last one from now until
 * core_run() returns. */
void core_start_store(struct core *c, struct db *db, struct retention *r);
void core_start_workers(struct core *c);

/* Serves until core_stop(), then drains: long polls end, calls that run finish (at most 10 s), the
 * server stops, the store has written everything. */
void core_run(struct core *c, struct runner *r, struct api *a, struct scheduler *sched,
    struct http_server *s);
/* The way from any thread into the core's turns. */
struct gate core_gate(struct core *c);
/* The threads of actions, before the first call; their callbacks are these, with the core. */
void core_set_actions(struct core *c, struct actions *a);
void core_action_done(void *core, struct job *j);
void core_action_refused(void *core, struct job *j);
/* Any thread. */
void core_stop(struct core *c);

#endif
