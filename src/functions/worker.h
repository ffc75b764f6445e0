/* worker.h - what happens on a function worker.
 *
 * A job carries everything its worker needs; the worker carries an isolate.  fn_worker_run()
 * begins a transaction on the newest snapshot (or the job's own), runs the function, commits,
 * runs again at once after a conflict, and leaves a result.
 *
 * Native functions are C functions under a path, called like any other: the system functions
 * of admin/ and deploy/, and the workloads of the simulator.
 *
 * Thread: one worker each.
 */
#ifndef FUNCTIONS_WORKER_H
#define FUNCTIONS_WORKER_H

#include <stdatomic.h>

#include "functions/call.h"
#include "functions/gate.h"

struct native_call {
	struct txn            *txn;
	struct arena          *arena;
	struct val             args;      /* the single argument object */
	const struct identity *identity;
	const struct fn_call  *call;
	struct run_result     *res;       /* for log lines */
	void                  *arg;       /* of the native_fn */
};

struct native_fn {
	const char   *path; /* canonical, "_system/cli/tables.js:default" */
	enum udf_kind kind;
	/* Errors of deterministic kinds become the function's failure. */
	status (*run)(const struct native_call *c, struct val *ret, struct err *e);
	void *arg;
};

struct fetch;
struct runner;
struct storage;
struct node_executor;
struct tier;
struct functions; /* shared by all workers and the runner; immutable after start */

struct functions_opts {
	struct db              *db;
	const struct native_fn *natives;  /* borrowed */
	size_t                  nnatives;
	str                     cloud_url, site_url, instance_name; /* copied */
	bool                    redact;
	const struct storage   *storage;  /* borrowed; NULL: no file storage (simulator) */
	/* Appends a signed JWT with this payload; NULL: none (simulator). */
	void (*sign_jwt)(const void *arg, str payload, struct buf *out);
	const void             *sign_jwt_arg;
	struct node_executor   *node;     /* borrowed; NULL: no "use node" functions */
	struct tier            *tier;     /* borrowed; NULL: everything runs in the isolate */
	/* Workers are threads: a mutation that lost all but its last attempt runs that one alone,
	 * so that contention costs time, not failures. */
	bool                    last_try_alone;
};

struct functions *functions_new(const struct functions_opts *opts);
void              functions_free(struct functions *f);
/* What actions use of the rest of the server; before the first call. */
struct action_services {
	struct gate    gate;
	struct runner *runner;
	struct fetch  *fetch;
	uint64_t       timeout_ns; /* of a run */
	/* What actions write to their consoles; on the loop thread.  NULL: nobody listens. */
	void (*on_progress)(void *arg, const struct fn_progress *p);
	void *on_progress_arg;
};
void              functions_set_services(struct functions *f, const struct action_services *s);
/* False: there is no core (simulator). */
bool              functions_run_actions(const struct functions *f);
struct db        *functions_db(const struct functions *f);

struct fn_worker;

/* iso may be NULL: then only native functions run (simulator).  Owns iso. */
struct fn_worker *fn_worker_new(struct functions *f, struct isolate *iso);
void              fn_worker_free(struct fn_worker *w);
/* For an action's thread: borrows `iso`; actions end when *stop becomes true. */
struct fn_worker *fn_worker_new_shared(struct functions *f, struct isolate *iso, atomic_bool *stop);
struct isolate   *fn_worker_isolate(struct fn_worker *w);
struct functions *fn_worker_functions(struct fn_worker *w);

/* Runs a query in a transaction of the caller's, with what that wrote, and commits nothing. */
struct fn_result *fn_worker_run_in(struct fn_worker *w, struct fn_call *c, struct txn *t);

/* Runs the call to its end, conflicts retried (spec 03 section 5.7: 4 retries, at once).
 * `at` NULL: the newest snapshot; else a query at exactly this one (reference kept).
 * The result is not durable yet: see fn_result.ts. */
struct fn_result *fn_worker_run(struct fn_worker *w, struct fn_call *c, struct snapshot *at);

#endif
