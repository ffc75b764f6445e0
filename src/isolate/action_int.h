/* action_int.h - a running action, as action.c, async.c and http.c see it.
 *
 * Thread: the action's.  Memory: host memory; JSValues are references into the heap, which is put
 * back as a whole at the end.
 */
#ifndef ISOLATE_ACTION_INT_H
#define ISOLATE_ACTION_INT_H

#include "isolate/async.h"
#include "isolate/engine_int.h"

#define OPERATIONS_MAX 10000 /* at once; Node.js has 1000 (spec 04 section 5.2) */
#define OP_BYTES_MAX   ((size_t)256 << 20) /* of texts, outside of the heap */

/* An operation that is out. */
struct pending_op {
	uint32_t     id;
	enum op_kind kind;
	str          label;          /* async_op_label(); in the run's arena */
	size_t       bytes;          /* of its question */
	JSValue      resolve, reject;
	bool         cancelled;      /* its promise never settles */
};

struct action {
	struct engine            *en;
	const struct run_request *req;
	struct run_result        *ret;
	VEC(struct pending_op)    pending;
	size_t                    pending_bytes;
	uint32_t                  next_id;
	uint64_t                  deadline_ns; /* monotonic */
};

/* --- action.c: steps, inside guard_call() --- */

/* Why no completion comes any more: time, or the server's end. */
str action_end_text(const struct run_request *req);
/* Waits for one completion and settles its promise.  False: the action failed with that text. */
bool action_wait(struct action *a);
/* Both until the promise is fulfilled.  False: as above (also when it is rejected). */
bool action_settle(struct action *a, JSValueConst promise);
/* At the end: a line about what nobody waited for, if it succeeded; cancels it. */
void action_finish(struct action *a);

/* --- http.c --- */

/* An HTTP action from its router to the end of its reply's body, inside guard_call(). */
void http_main(void *action);

enum http_refusal { HTTP_NO_DEFAULT, HTTP_NO_ROUTER, HTTP_NO_ROUTE, HTTP_NO_RESPONSE };
/* The outcome of a request that no handler answers; without a route it is a 404. */
void http_refuse(const struct run_request *req, struct run_result *ret, enum http_refusal why);
/* What runRequest() settled with goes out as the head.  False: the run has failed. */
bool http_respond(const struct run_request *req, struct run_result *ret, str json);

/* --- async.c --- */

/* Settles the promise of a completion, which it takes; no job has run yet. */
void async_complete(struct action *a, struct async_op *op);
/* "sleep" ...; false: there is none of that name. */
bool async_kind_named(str name, enum op_kind *ret);
/* A syscall in an action (spec 04 section 1.7): its promise, or an exception. */
JSValue async_syscall(JSContext *ctx, JSValueConst name, JSValueConst args);
/* The action that executes in this engine; NULL: none does. */
struct action *action_of(JSContext *ctx);

#endif
