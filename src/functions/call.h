/* call.h - a function call and its result, as they travel between threads.
 *
 * A call is built on the loop thread and read by the worker; a result is built by the
 * worker and then immutable and shared (live queries hand one result to every session).
 *
 * Thread: see above.  Memory: reference-counted, each with an arena of its own.
 */
#ifndef FUNCTIONS_CALL_H
#define FUNCTIONS_CALL_H

#include "database/txn.h"
#include "functions/identity.h"
#include "isolate/isolate.h"
#include "value/vjson.h"

struct action_state;

enum fn_caller { CALLER_SYNC, CALLER_HTTP_API, CALLER_TESTER, CALLER_ACTION, CALLER_SCHEDULER,
	CALLER_CRON };

/* What a call has to do with the scheduled function (spec 05 section 2) of its job_id, or the cron
 * (section 3) of its cron_id. */
enum job_step {
	JOB_STEP_NONE, /* at most: it runs on that one's behalf */
	JOB_STEP_TAKE, /* the worker reads the job; a mutation runs, an action is marked as begun */
	JOB_STEP_RUN   /* the action itself */
};

enum fn_want { WANT_QUERY, WANT_MUTATION, WANT_ACTION, WANT_ANY };

struct fn_call {
	_Atomic uint32_t refs;
	struct arena    *arena;          /* owned; everything below lives in it */
	enum fn_want     want;
	str              path;           /* canonical: "messages.js:list" (fn_path_parse) */
	str              component;      /* component path; empty: root */
	str              args_json;      /* any JSON value; wrapped into an array if it is none */
	str              journal;        /* p == NULL: none */
	struct identity *identity;       /* one reference */
	enum fn_caller   caller;
	struct action_state *parent;     /* the action that called this, one reference; or NULL */
	bool             internal_ok;    /* server-internal: visibility is not checked */
	bool             as_http_missing; /* "... find function for" instead of "public function" */
	str              request_id;     /* 16 hex digits; n == 0: a fresh random one each run */
	str              session_id;     /* p == NULL: not idempotent */
	uint32_t         session_request;
	str              job_id;         /* n == 0: not scheduled, nor called by one that is */
	str              cron_id;        /* of its next run; n == 0: not a cron's */
	enum job_step    job_step;
	enum vjson_format format;        /* of the result's value */
	str              client_ip, client_user_agent; /* p == NULL: unknown */
	bool             redact;         /* error text ends after "Server Error", no log lines */
	/* An HTTP action (http_action.h), one reference, when `path` is "GET /x", for logs. */
	struct http_request *http;
	/* Set by the worker, so that a session can keep spec 01 section 5 rule 6: true from
	 * before the commit is asked for (until a conflict); then its timestamp, 0 before. */
	_Atomic bool     committing;
	_Atomic ts_t     commit_ts;
};

struct fn_call *fn_call_new(void); /* one reference; fill it before the first submit */
struct fn_call *fn_call_ref(struct fn_call *c);
/* Whoever waits for this action, or for one that does, is over.  Any thread. */
bool            call_unwanted(const struct fn_call *c);
void            fn_call_unref(struct fn_call *c);
/* A new call that differs in identity and journal only; takes a reference to `i`. */
struct fn_call *fn_call_copy(const struct fn_call *c, struct identity *i, str journal);

struct fn_result {
	_Atomic uint32_t refs;
	struct arena    *arena;     /* owned */
	status           st;        /* OK: the function ran; else the server failed */
	str              code, text; /* st != OK */
	bool             ok;        /* the function's outcome, when st == OK */
	str              value_json; /* ok: in the call's format */
	str              error;     /* !ok: the client's errorMessage, with the request id line */
	str              plain_error; /* !ok: the same without that line, never redacted */
	str              error_data; /* !ok: JSON in the call's format; p == NULL: none */
	struct loglines  logs;
	size_t           nlines;
	str             *lines;     /* logs, in the clients' pretty form */
	str              journal;   /* p == NULL: null */
	ts_t             ts;        /* mutation: commit; query: snapshot.  Leaves when durable */
	struct readset  *reads;     /* queries: one reference; NULL: depends on nothing */
	bool             observed_identity, observed_time;
	uint8_t          hash[32];  /* queries: of outcome and lines (spec 01 section 7.4) */
	uint64_t         run_ns, user_ns;
	enum udf_kind    kind;      /* of the function that ran */
	bool             kind_known;
	int              http;      /* status that an HTTP action answered with; 0: none */
	str              route;     /* that its request matched; p == NULL: none */
	bool             told;      /* the lines of an action went out while it ran: fn_progress */
	bool             job_begun; /* JOB_STEP_TAKE of an action: run it; the value: arguments */
	bool             is_action; /* nothing ran: it belongs on an action's thread */
	int              retries;   /* attempts lost to conflicts before this one */
	struct conflict *conflict;  /* st == OCC: in the arena */
};

/* Lines of an action that still runs, or of its end; borrowed by who is told. */
struct fn_progress {
	const struct fn_call  *call;
	enum udf_kind          kind;
	const struct loglines *lines;
};

struct fn_result *fn_result_new(void);
struct fn_result *fn_result_ref(struct fn_result *r);
void              fn_result_unref(struct fn_result *r);
/* {"status":...}, the response of spec 01 section 9.2. */
void              fn_result_write(struct buf *b, const struct fn_result *r);

/* Canonical form of a function path (spec 01 section 1.2): "a/b:f" -> "a/b.js:f", "a" ->
 * "a.js:default".  BAD_REQUEST BadConvexFunctionIdentifier. */
NODISCARD status fn_path_parse(struct arena *a, str path, str *ret_canonical, struct err *e);
/* "messages.js:list" -> "messages:list", ":default" dropped: for "could not find" texts. */
str fn_path_display(struct arena *a, str canonical);
/* 16 hex digits: random, or of a session's request (spec 01 section 11.4). */
str fn_request_id(struct arena *a, const struct os *os);
str fn_session_request_id(struct arena *a, str session_id, uint32_t request);

#endif
