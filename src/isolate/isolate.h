/* isolate.h - running JavaScript functions.
 *
 * An isolate belongs to one worker thread.  It keeps heap images (heap.h): an engine with the
 * prelude and one entry module's graph evaluated.  A run restores the image that fits, calls
 * the function with the native ctx and takes the result; a run can never see what an earlier
 * one left behind.
 *
 * What import observed (modules, environment variables, import-phase seed and time: spec 04
 * section 11.1) is kept with the image, joins the read set of each run, and an image whose
 * observations changed is rebuilt, never patched.
 *
 * Modules come from the system tables _modules and _module_sources through the transaction,
 * variables from _environment_variables, seed and time from _udf_config.
 *
 * Thread: the owning worker.  Memory: results live in the caller's arena.
 */
#ifndef ISOLATE_ISOLATE_H
#define ISOLATE_ISOLATE_H

#include "database/query.h"
#include "database/txn.h"
#include "isolate/async.h"
#include "isolate/logline.h"

enum udf_kind { UDF_QUERY, UDF_MUTATION, UDF_ACTION, UDF_HTTP_ACTION };
const char *udf_kind_name(enum udf_kind k); /* "Query", "Mutation", "Action", "HttpAction" */

struct isolate;

struct env_var {
	str name, value;
};

struct isolate_opts {
	size_t   heap_bytes;     /* 0: 64 MiB */
	size_t   images_max;     /* idle ones; 0: 16 */
	size_t   images_bytes;   /* of theirs, unless it is one; 0: 64 MiB */
	size_t   burst_max;      /* the same until isolate_trim(); 0: as above */
	size_t   burst_bytes;
	uint64_t user_time_ns;   /* 0: 1 s of thread CPU in JavaScript per query or mutation */
	uint64_t system_time_ns; /* 0: 15 s in the operations that they ask for */
	str      cache_dir;      /* bytecode on disk; n == 0: in memory only.  Copied */
	str      cloud_url;      /* CONVEX_CLOUD_URL; copied */
	str      site_url;       /* CONVEX_SITE_URL; copied */
	bool     full_engine;    /* there may be one with WebAssembly (node/tier.h) */
	const struct os *os;
};

struct isolate *isolate_new(const struct isolate_opts *opts);
void            isolate_free(struct isolate *iso);
/* For idle moments: evaluates the prelude ahead of the next function that is called for the first
 * time. */
void            isolate_prepare(struct isolate *iso);
/* After a burst: drops the images beyond the usual bounds, if idle for so long.  Any thread. */
void            isolate_trim(struct isolate *iso, uint64_t idle_ns);

/* A call to another function, as runQuery and friends make it (spec 04 section 1.3). */
struct nested_call {
	enum udf_kind kind;
	bool          snapshot_query;
	str           name, reference, handle; /* exactly one has n > 0 */
	struct val    args;                    /* an object */
	const struct json *limits;             /* transactionLimits or NULL */
	struct arena *arena;                   /* runUdf: for the callee and its result */
	uint64_t      system_left_ns;          /* runUdf: of the caller's budget */
};

/* An operation on stored files (spec 04 section 1.6, spec 05 section 1.2). */
enum storage_op {
	STORAGE_GET_URL,
	STORAGE_GET_METADATA,
	STORAGE_GENERATE_UPLOAD_URL,
	STORAGE_DELETE,
	STORAGE_STORE,
	STORAGE_GET
};

struct storage_call {
	enum storage_op op;
	str             id;           /* all but GENERATE_UPLOAD_URL and STORE */
	str             blob;         /* STORE: bytes */
	str             content_type; /* STORE; n == 0: none */
	str             sha256;       /* STORE: base64; p == NULL: not given */
};

struct run_result;

/* What a run needs from above (functions/).  Errors that are deterministic become exceptions
 * in the calling function; all others end it. */
struct run_host {
	void *arg;
	/* Runs the callee inside the same transaction; its value in *ret, in the call's arena.  A
	 * failed callee: BAD_REQUEST with its error text and err.data, there too. */
	status (*nested)(void *arg, const struct nested_call *c, struct run_result *caller,
	    struct val *ret, struct err *e);
	status (*schedule)(void *arg, const struct nested_call *c, double ts_seconds, str *ret_id,
	    struct err *e);
	status (*cancel_job)(void *arg, str id, struct err *e);
	status (*create_handle)(void *arg, const struct nested_call *c, str *ret, struct err *e);
	/* Appends the result's JSON. */
	status (*storage)(void *arg, const struct storage_call *c, struct buf *ret, struct err *e);
	/* Appends a compact JWT; claims NULL: none. */
	status (*sign_jwt)(void *arg, const struct json *claims, double seconds, struct buf *ret,
	    struct err *e);
};

/* What an HTTP action is asked (spec 04 section 6.3). */
struct http_call {
	str method, path, json;
};

struct run_request {
	enum udf_kind kind;
	str           module;    /* canonical, "messages.js" */
	str           function;  /* export name */
	struct val    args;      /* the argument array */
	struct txn   *txn;
	const struct run_host *host;
	str           identity;  /* JSON of the user's attributes; p == NULL: none */
	const struct err *identity_error; /* getUserIdentity() throws this; NULL: none */
	str           request_id;
	str           journal;   /* of the previous run; p == NULL: none */
	uint64_t      now_ns;    /* what Date.now() says */
	uint8_t       seed[32];
	struct arena *arena;     /* for the result */
	bool          force_syscalls; /* invokeQuery/invokeMutation instead of _handler (tests) */
	uint64_t      leave_after_ns; /* CPU after which it is better off elsewhere, as it is
	                               * without memory; 0: never */
	uint64_t      import_leave_ns; /* the same for the import; 0: half a second */
	uint64_t      system_left_ns; /* its caller's; 0: isolate_opts.system_time_ns */
	str           instance_name;
	str           client_ip, client_user_agent; /* p == NULL: unknown */
	/* actions and HTTP actions */
	const struct action_host *actions;
	uint64_t      action_ns; /* wall time that it may take */
	uint32_t      first_op;  /* its operations are numbered from behind this one */
	const struct http_call *http; /* HTTP actions */
	const struct env_var *vars; /* user and system ones, of the start */
	size_t        nvars;
	/* A transaction for import(); the caller frees it. */
	struct txn *(*import_txn)(void *arg);
	void         *import_arg;
};

struct run_result {
	bool       ok;
	struct val value;        /* ok: the returned value (may contain COMMIT_TS in mutations) */
	str        error;        /* !ok: message and frames, without the request id line */
	str        error_data;   /* !ok: encoded JSON of ConvexError data; p == NULL: none */
	str        journal;      /* p == NULL: none */
	bool       paginated;
	bool       left;         /* !ok, because of leave_after_ns: run it elsewhere */
	bool       wants_wasm;   /* it looked at WebAssembly */
	uint32_t   last_op;      /* actions: the number of the last operation */
	str        route;        /* HTTP actions: what the router found; p == NULL: nothing */
	bool       observed_identity, observed_time, observed_rng;
	struct loglines logs;
	uint64_t   user_ns;      /* thread CPU spent in JavaScript */
	uint64_t   import_ns;    /* the part of it that evaluating modules took */
};

/* --- actions --- */

/* The engine for an action, with its module evaluated; it leaves the isolate until
 * isolate_action_run().  *ret NULL: the import failed, *ret_error says why.  Afterwards the
 * transaction of the request may end: set txn to NULL and vars to what it read.
 * Thread: any, also at the same time. */
struct engine;
NODISCARD status isolate_action_take(struct isolate *iso, const struct run_request *req,
    struct engine **ret, str *ret_error, struct err *e);
/* The import failed because the action is better off elsewhere (leave_after_ns). */
bool isolate_action_left(str error);
/* Runs it to its end; blocks in req->actions->wait().  It leaves only before
 * its first operation but timers.  As isolate_run() otherwise. */
NODISCARD status isolate_action_run(struct engine *en, const struct run_request *req,
    struct run_result *ret, struct err *e);

/* OK: the function ran; its own failure is in *ret.  Anything else is an infrastructure
 * failure (deterministic kinds become the function's result at the caller).
 * `ret->logs` must be initialised. */
NODISCARD status isolate_run(struct isolate *iso, const struct run_request *req,
    struct run_result *ret, struct err *e);

/* --- pushes --- */

struct module_source {
	str  path;
	str  source;
	str  source_map; /* p == NULL: none */
	bool node;
};

struct import_env {
	const struct module_source *modules; /* importable from one another */
	size_t                      nmodules;
	uint8_t                     seed[32];
	uint64_t                    now_ns;
	/* environment variables, user ones over system ones; value NULL ends */
	const struct env_var *vars;
	size_t                      nvars;
};

/* Spec 02 section 11, spec 04 section 2.2: the AnalyzedModule JSON of spec 02 section 5.2 for
 * each isolate module outside _deps/ (auth.config.js: empty lists), as one JSON object path ->
 * module in `ret`.  BAD_REQUEST with "Failed to analyze PATH: ...". */
NODISCARD status isolate_analyze(struct isolate *iso, const struct import_env *env,
    struct arena *a, struct buf *ret, struct err *e);

enum isolate_eval_kind { EVAL_SCHEMA, EVAL_AUTH_CONFIG, EVAL_APP_DEFINITION };
/* Evaluates the module alone: the schema's JSON, the auth config's JSON, the app definition's
 * export() as JSON.  Errors of spec 02 sections 11.5, 11.6. */
NODISCARD status isolate_eval(struct isolate *iso, enum isolate_eval_kind kind,
    const struct module_source *m, const struct import_env *env, struct arena *a, str *ret,
    struct err *e);

#endif
