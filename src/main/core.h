/* core.h - the core thread's loop, and the threads around it that are not the net thread.
 *
 *   net thread --posts--> core --jobs--> function workers --posts--> core
 *                          |  commits (any worker)  |
 *                          +--wakes--> store thread: one batch, one fsync --wakes--> core
 *                          +--wakes--> background thread: index backfills, schema checks
 *
 * The core waits for posts, for wakes and for the next timer, and never for anything else.
 *
 * Thread: core_run() is the core thread: the main one.
 */
#ifndef MAIN_CORE_H
#define MAIN_CORE_H

#include "functions/runner.h"
#include "net/api.h"

struct core;

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
/* For runner_opts. */
struct executor core_executor(struct core *c);
void core_on_deferred(void *core);

/* The store and background threads begin. */
void core_start_store(struct core *c, struct db *db);
void core_start_workers(struct core *c);

/* Runs until core_stop(), then drains: long polls end, calls that run finish (at most 10 s), the
 * server stops, the store has written everything. */
void core_run(struct core *c, struct runner *r, struct api *a, struct http_server *s);
/* Any thread. */
void core_stop(struct core *c);

#endif
