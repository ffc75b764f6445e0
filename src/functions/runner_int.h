/* runner_int.h - the core's side of functions, as its three files see it.
 *
 * runner.c: jobs, tasks, durability, the loop's odds and ends.  calls.c: single calls and the
 * order of those that repeat each other.  live.c: queries and their results, from the question
 * "what is f(args) at this snapshot" to who must hear that the answer changed.
 *
 *   live_watch --eval--> entry (one per path, arguments, journal and identity)
 *        |                  |  newest
 *        +------holds------> vres (a result, its subscription, since when it is invalid)
 *
 * An eval waits at an entry while the entry's flight (at most one run at a time) is out.
 *
 * Thread: the loop thread.
 */
#ifndef FUNCTIONS_RUNNER_INT_H
#define FUNCTIONS_RUNNER_INT_H

#include "base/hash.h"
#include "base/map.h"
#include "database/subs.h"
#include "functions/runner.h"

#define LIVE_KEY 32 /* bytes: SHA-256 of what identifies a query */

struct live_key {
	uint8_t b[LIVE_KEY];
};

enum job_kind { JOB_NONE, JOB_CALL, JOB_QUERY, JOB_TASK };

struct job {
	enum job_kind     kind;
	struct runner    *runner;
	struct job       *next_free;
	struct fn_call   *call; /* CALL, QUERY: one reference */
	struct snapshot  *at;   /* QUERY: one reference */
	struct fn_result *res;  /* what came back: one reference */
	struct pending_call *pending; /* CALL */
	bool              action;     /* CALL: for an action's thread */
	struct entry     *entry;      /* QUERY */
	struct live_key   own, shared; /* QUERY: keys of `call` */
	task_fn           task;       /* TASK */
	void (*task_done)(void *arg);
	void *task_arg;
	ts_t  task_ts;
};

struct runner {
	struct functions *functions;
	struct db        *db;
	const struct os  *os;
	struct executor   executor;
	void (*on_finished)(void *arg, const struct fn_call *c, const struct fn_result *r,
	    bool cached);
	void *on_finished_arg;
	void (*on_deferred)(void *arg);
	void *on_deferred_arg;

	struct subs *subs;
	ts_t         processed; /* all commits up to here have met the subscriptions */
	ts_t         walk_ts;   /* during a walk: the commit it is at */
	ts_t         durable;   /* last known */

	struct map  *entries;   /* live_key -> struct entry */
	struct link  once, again; /* entries, least recently used first; asked for again or not */
	struct link  results;   /* all vres */
	struct link  dirty;     /* vres that a walk found invalid */
	struct link  notify;    /* watches to be told */
	struct link  later;     /* struct deferred */
	struct link  task_waits; /* struct task_wait */
	struct link  waits;     /* struct durable_wait, ascending ts, then in order of arrival */
	size_t       cache_bytes, cache_max_bytes;
	size_t       again_bytes; /* of cache_bytes */

	uint64_t     expire_due_ns; /* monotonic; when old _session_requests are next deleted */
	bool         expiring, expire_more;

	struct map  *lanes;     /* session and request -> struct lane, while one runs */

	struct job  *free_jobs;
	size_t       jobs_out, calls, tasks;
	bool         settling, woken;
};

struct vres;

/* The question of one asker. */
struct eval {
	struct link       link;    /* in entry.evals while waiting */
	struct runner    *r;
	struct fn_call   *c;       /* borrowed from the owner */
	struct live_key   own, shared; /* with and without identity */
	struct snapshot  *at;      /* one reference while active */
	bool              active;
	/* `v` is NULL for results that are not shared (failures of the server).  ran: this asker
	 * is answered from a run that it waited for. */
	void (*done)(struct eval *ev, struct fn_result *res, struct vres *v, bool ran);
};

/* --- live.c --- */

void live_keys(const struct fn_call *c, str journal, struct live_key *own, struct live_key *shared);
void eval_start(struct eval *ev, struct snapshot *at); /* keeps a reference to `at` */
void eval_stop(struct eval *ev);                       /* not active: no effect */
void live_job_done(struct runner *r, struct job *j);
void live_walk(struct runner *r);   /* meets the new commits */
bool live_notify(struct runner *r); /* tells one watch; false: none to tell */
void live_free(struct runner *r);
void live_check(const struct runner *r);

/* --- runner.c --- */

struct job *job_new(struct runner *r, enum job_kind kind);
void        job_submit(struct runner *r, struct job *j);
void        runner_wake(struct runner *r); /* something waits for the next flush */
/* Counts the run and tells the function log. */
void runner_finished(struct runner *r, const struct fn_call *c, const struct fn_result *res,
    bool cached);

/* --- calls.c --- */

void call_job_done(struct runner *r, struct job *j);

#endif
