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

#include "functions/runner.h"
#include "net/api.h"

struct core;
struct retention;

struct core_opts {
	const struct os *os;
	int              workers;
	/* Makes the worker's own things, on its thread. */
	struct fn_worker *(*worker_new)(void *arg);
	void *worker_arg;
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
void core_run(struct core *c, struct runner *r, struct api *a, struct http_server *s);
/* Any thread. */
void core_stop(struct core *c);

#endif
