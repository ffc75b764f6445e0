/* runner.h - from calls to results, in the core.
 *
 * The runner hands calls to the workers, shares one execution among all who watch the same
 * query, learns from the committer's log which live queries changed, and lets no result out
 * before what it depends on is durable.
 *
 * A live query is one (path, arguments, identity, journal), however many sessions watch it.
 * Its last result stays valid until a commit touches its read set; then it is run once for
 * everybody, at the next transition of anyone who still watches.
 *
 * It does no I/O, blocks on nothing and reads no clock but through os: the simulator drives
 * it with an executor of its own.
 *
 * Thread: the loop thread, except where stated.
 */
#ifndef FUNCTIONS_RUNNER_H
#define FUNCTIONS_RUNNER_H

#include "functions/link.h"
#include "functions/worker.h"

struct runner;
struct job; /* a unit of work for a worker */

/* Where jobs go.  Real: a queue to the worker threads.  Simulated: a list in virtual time. */
struct executor {
	void *arg;
	/* Takes the job; it comes back through runner_job_done() on the loop thread. */
	void (*submit)(void *arg, struct job *j);
};

struct runner_opts {
	struct functions *functions;
	struct executor   executor;
	const struct os  *os;
	size_t            cache_max_bytes; /* results of queries nobody watches; 0: 100 MiB */
	/* A finished top-level run, for the function log; may be NULL.  Result is borrowed. */
	void (*on_finished)(void *arg, const struct fn_call *c, const struct fn_result *r,
	    bool cached);
	void *on_finished_arg;
	/* Something became ready inside a call into the runner (a cached result, an invalidated
	 * query): call runner_flush() from the core's loop, soon.  Called on the loop thread; must
	 * only remember it.  NULL: the runner sends itself an empty job through the executor. */
	void (*on_deferred)(void *arg);
	void *on_deferred_arg;
};

struct runner *runner_new(const struct runner_opts *opts);
void           runner_free(struct runner *r);

/* True: the job is for a thread of actions.h, else for a worker. */
bool job_is_action(const struct job *j);
/* Worker side: executes the job on this worker.  Any worker thread. */
void job_run(struct job *j, struct fn_worker *w);
/* In place of job_run(), on any thread: there is no room for what a client asked for.  False: this
 * one must run all the same. */
bool job_refuse(struct job *j, str code, str text);
/* The same for an action that waited for a thread (spec 04 section 5.4): there are `max`. */
bool job_refuse_action(struct job *j, size_t max);
/* Nobody waits for this action any more. */
bool job_unwanted(const struct job *j);
/* The same without a condition: the server stops, or it is unwanted. */
void job_drop(struct job *j);
/* Core side: the job came back. */
void runner_job_done(struct runner *r, struct job *j);
/* Core side: there may be new commits (after db_opts.on_commit). */
void runner_commits(struct runner *r);
/* Core side: db_durable_ts() may have advanced. */
void runner_durable(struct runner *r);
/* Core side: runs what was put off inside other calls; see on_deferred.  runner_job_done(),
 * runner_commits() and runner_durable() end with it. */
void runner_flush(struct runner *r);

/* A callback to come from the runner's next flush, never from inside runner_defer().  The
 * owner embeds it, zeroed at first, with fn and arg set; it may be deferred again then. */
struct deferred {
	struct link link; /* private */
	void (*fn)(void *arg);
	void *arg;
};
void runner_defer(struct runner *r, struct deferred *d); /* already waiting: no effect */
void runner_undefer(struct deferred *d);

typedef void (*fn_done)(void *arg, struct fn_result *res); /* res is borrowed */

/* One call: query at the newest snapshot (served from a valid live or cached result where
 * possible), mutation, or whatever the path is (WANT_ANY).  Takes a reference to c.  `done` is
 * called on the loop thread, never from inside this call, when the outcome is durable. */
struct pending_call;
struct pending_call *runner_call(struct runner *r, struct fn_call *c, fn_done done, void *arg);
/* A query at one given snapshot (query_batch, query_at_ts).  Keeps a reference to `at`. */
struct pending_call *runner_query_at(struct runner *r, struct fn_call *c, struct snapshot *at,
    fn_done done, void *arg);
/* `fn` is called with the arg of `done` when the call ran, before its outcome is durable: for
 * callers that want to start the next one of a sequence.  Not for queries. */
void runner_on_executed(struct pending_call *p, fn_done fn);
/* The caller is gone: `done` will not be called.  A running mutation is not undone. */
void runner_abandon(struct pending_call *p);

/* Any other work that needs a worker (pushes): fn runs on one, with transactions of its own;
 * done runs on the loop thread once the timestamp that fn returned is durable (0: nothing to
 * wait for). */
typedef ts_t (*task_fn)(struct fn_worker *w, void *arg);
void runner_task(struct runner *r, task_fn fn, void (*done)(void *arg), void *arg);

/* --- live queries --- */

struct live;
struct live_watch;

/* Starts watching.  `invalidated(arg)` is called on the loop thread when the newest result
 * handed to this watch stopped being valid; it may be called again only after the next
 * live_eval().  Takes a reference to c. */
struct live_watch *live_watch(struct runner *r, struct fn_call *c, void (*invalidated)(void *arg),
    void *arg);
void live_unwatch(struct live_watch *w);
/* The result as of snapshot `at` (never older than the one asked before): `done` comes on the
 * loop thread, at once or later.  Durability is the caller's: a transition leaves when its
 * timestamp is durable.  One at a time per watch; live_unwatch() cancels. */
void live_eval(struct live_watch *w, struct snapshot *at, fn_done done, void *arg);
/* True if the last result handed out is still valid at the newest processed commit. */
bool live_valid(const struct live_watch *w);

ts_t runner_latest_ts(struct runner *r); /* newest processed commit */
/* Newest; one reference; processes commits first. */
struct snapshot *runner_snapshot(struct runner *r);
bool runner_is_durable(struct runner *r, ts_t ts);
/* Calls fn(arg) on the loop thread once ts is durable; at once, returning NULL, if it is.  The
 * wait is gone when fn is called. */
struct durable_wait *runner_when_durable(struct runner *r, ts_t ts, void (*fn)(void *arg),
    void *arg);
void runner_forget(struct durable_wait *w); /* NULL is fine */

/* Aborts if an invariant of subscriptions and results is broken (simulation, after each step). */
void runner_check(const struct runner *r);
size_t runner_busy(const struct runner *r); /* jobs out and calls waiting: 0 when drained */

#endif
