/* functions_int.h - what the files of this folder share.
 *
 * registry.c keeps what is known about functions, resolve.c finds and checks the one that a
 * call names, args.c its arguments and result, worker.c runs it to its end, nested.c runs
 * what it calls, request.c makes mutations exactly-once, outcome.c writes results, usage.c
 * warns; runner.c and live.c are the core's side.
 *
 * Thread: a worker's things belong to that worker; `struct functions` is immutable.
 */
#ifndef FUNCTIONS_FUNCTIONS_INT_H
#define FUNCTIONS_FUNCTIONS_INT_H

#include <pthread.h>

#include "base/hash.h"
#include "base/map.h"
#include "functions/placement.h"
#include "functions/storage.h"
#include "functions/worker.h"
#include "os/os.h"

#define ARGS_MAX_BYTES          ((size_t)16 << 20)
#define RESULT_MAX_BYTES        ((size_t)16 << 20)
#define SYSTEM_RESULT_MAX_BYTES ((size_t)24 << 20)
#define OCC_RETRIES             4
#define NESTED_DEPTH_MAX        8

struct functions {
	/* Attempts of mutations share it; the last one of a loser has it alone, so that it cannot
	 * lose again.  NULL: the executor runs attempts interleaved on one thread. */
	pthread_rwlock_t *turns;
	struct db    *db;
	struct map   *natives; /* canonical path -> const struct native_fn * */
	struct arena *arena;
	str           cloud_url, site_url, instance_name;
	bool          redact;
	const struct storage *storage; /* NULL: none */
	struct action_services services; /* gate.post NULL: no actions */
	void (*sign_jwt)(const void *arg, str payload, struct buf *out); /* NULL: none */
	const void   *sign_jwt_arg;
	struct node_executor *node;    /* NULL: none */
	struct placement     *placement; /* owned; NULL: everything runs in the isolate */
};

enum udf_visibility { VISIBLE_NOT, VISIBLE_PUBLIC, VISIBLE_INTERNAL };

/* One function as analysis saw it (spec 03 section 3.4, _modules.analyzeResult). */
struct udf_info {
	str                     name;
	enum udf_kind           kind;
	enum udf_visibility     visibility;
	const struct validator *args;    /* NULL: any */
	const struct validator *returns; /* NULL: any */
};

/* One revision of a _modules document, parsed.  Immutable; owned by the worker's cache. */
struct module_info {
	struct docid     id;
	ts_t             ts;
	struct arena    *arena;
	bool             node; /* bundled for Node.js */
	size_t           nfunctions;
	struct udf_info *functions;
};

struct fn_worker {
	struct functions *f;
	struct isolate   *iso;     /* owned, but for `shared`; may be NULL */
	bool              shared;
	atomic_bool      *stop;    /* of actions; NULL on function workers */
	struct map       *modules; /* path -> struct module_info *, owned */
	struct arena     *scratch; /* of the current top-level call */
	struct pack       pack;
	struct buf        made;    /* files stored by this attempt: storage_call() */
	uint64_t          spent_ns; /* CPU of this call's runs that were given up (placement.h) */
	bool              stays;   /* this call's functions stay in the isolate */
};

/* --- registry.c --- */

/* *ret NULL: no such module.  The read is in the transaction's read set.  Valid until
 * module_cache_trim(). */
status module_find(struct fn_worker *w, struct txn *t, str path, const struct module_info **ret,
    struct err *e);
const struct udf_info *module_function(const struct module_info *m, str name);
void module_cache_trim(struct fn_worker *w); /* between calls only */
void module_cache_free(struct fn_worker *w);

/* --- resolve.c --- */

struct target {
	enum udf_kind           kind;
	str                     path;   /* canonical */
	str                     module, function;
	const struct native_fn *native; /* NULL: a module's function */
	const struct udf_info  *udf;    /* NULL: a native function */
	bool                    system; /* below _system/ */
};

struct lookup {
	str                    path; /* canonical */
	str                    component;
	enum fn_want           want;
	const struct identity *identity;
	bool                   any_visibility;
	bool                   as_http_missing;
};

/* Row 2: not paused, disabled or suspended; else BAD_REQUEST BackendIsNotRunning. */
status backend_running(struct txn *t, struct err *e);
/* Rows 1 to 7 of spec 04 section 2.1; everything read is in the read set. */
status target_resolve(struct fn_worker *w, struct txn *t, const struct lookup *l,
    struct target *ret, struct err *e);

/* --- args.c --- */

/* The call's argument array, from its text. */
status args_parse(struct fn_worker *w, struct arena *a, str path, str json, struct val *ret,
    struct err *e);
status args_check(const struct target *g, struct txn *t, struct val args, struct err *e);
/* ReturnsValidationError of spec 04 section 2.4. */
status returns_check(const struct target *g, struct txn *t, struct val value, struct err *e);
/* Size, and no unresolved commit timestamp from a query that is not nested: within a mutation
 * such tokens may cross (spec 04 section 8.1). */
status value_check(const struct target *g, struct val value, bool nested, struct err *e);
bool val_has_commit_ts(struct val v);
/* "17 MiB", "16.50 MiB": sizes as error texts print them. */
const char *size_text(char room[32], uint64_t bytes);

/* --- outcome.c --- */

void result_set_error(struct fn_result *r, str request_id, str message, bool redact);
void result_set_lines(struct fn_result *r, bool redact);
void result_hash(struct fn_result *r, str outcome, bool redact);
/* The value's JSON, as it is and with commit timestamps resolved to `ts`. */
str  value_json_raw(struct arena *a, struct val v, enum vjson_format f);
str  value_json(struct arena *a, struct pack *p, struct val v, enum vjson_format f, ts_t ts);
/* Error data, which is encoded JSON, in the call's format. */
str  error_data_json(struct arena *a, str encoded, enum vjson_format f);
/* Spec 03 section 5.7: the text after the last retry. */
void result_set_conflict(struct fn_result *r, str path, const struct conflict *c);

/* --- usage.c --- */

/* Spec 04 section 2.8: a warning line for each limit used to more than 80 %. */
void usage_warn(struct loglines *l, struct txn *t, uint64_t now_ms, struct val args,
    struct val value, uint64_t user_ns);
/* The same of an action that ran for `wall_ns`. */
void usage_warn_action(struct loglines *l, uint64_t now_ms, struct val args, struct val value,
    uint64_t wall_ns, uint64_t limit_ns);

/* --- request.c --- */

struct stored_request {
	str     result_json; /* encoded JSON; may hold {"$commitTs":null} */
	size_t  nlines;
	str    *lines;
	ts_t    ts;          /* of the original commit */
};
/* Spec 01 section 6.1.  *ret_found false: this is the first time. */
status request_find(struct txn *t, str session_id, uint32_t request, bool *ret_found,
    struct stored_request *ret, struct err *e);
status request_record(struct fn_worker *w, struct txn *t, const struct fn_call *c, str result_json,
    const struct fn_result *r, struct err *e);

/* Deletes old rows, a bounded number; returns what must become durable (0: nothing).  *ret_more:
 * there may be more of them. */
ts_t requests_expire(struct fn_worker *w, bool *ret_more);

/* --- nested.c --- */

/* What a running function calls back for; one per level. */
struct nest {
	struct fn_worker *w;
	struct fn_call   *call;
	struct txn       *txn;
	struct arena     *arena;      /* of the run's result */
	const struct run_request *req; /* the caller's */
	struct run_result *res;       /* the same run's */
	int               depth;      /* levels above the running function */
	struct run_host   host;
};

/* Appends what ctx.auth.signJwt() answers.  claims NULL: none.  BAD_REQUEST InvalidArgument. */
status jwt_issue(const struct functions *f, uint64_t now_ns, const struct json *claims,
    double seconds, struct buf *ret, struct err *e);

/* Runs `g` at the level of `n` (n->txn, n->arena): native or in the isolate. */
status nest_run(struct nest *n, const struct target *g, const struct run_request *req,
    struct run_result *ret, struct err *e);
void nest_init(struct nest *n, struct fn_worker *w, struct fn_call *c, struct txn *t,
    struct arena *a, int depth);

#endif
