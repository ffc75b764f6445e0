/* action_int.h - one running action on the side of the server: action_run.c, action_host.c and the
 * performers of its operations (action_ops_*.c) share it.
 *
 * What an action starts may outlive it, so that the state is reference-counted: by the action, and
 * by each operation that is out.
 *
 * Thread: stated at each declaration.
 */
#ifndef FUNCTIONS_ACTION_INT_H
#define FUNCTIONS_ACTION_INT_H

#include <stdatomic.h>

#include "functions/functions_int.h"
#include "functions/runner.h"
#include "functions/http_action.h"
#include "isolate/async.h"
#include "runtime/stream.h"

struct outcall;
struct transfer;

/* A request whose response has not begun. */
struct outgoing {
	uint32_t         id; /* of the operation */
	struct transfer *t;
};

struct numbered_stream {
	uint64_t       id;
	struct stream *s; /* one reference */
	bool           written; /* by JavaScript: its reader may not be through yet */
	bool           claimed; /* by fetch() or storage: not the body of a reply */
};

/* What an HTTP action has answered so far (http_run.c). */
struct http_reply {
	int            http; /* status; 0: no head yet */
	struct stream *body; /* one reference, until http_end(); NULL: none is written */
	bool           too_large;
	size_t         refused; /* bytes beyond the bound, and a fee for each piece */
	bool           left; /* the client did, at left_ns */
	uint64_t       left_ns;
};

struct action_state {
	_Atomic uint32_t  refs;
	struct functions *f;
	const struct os  *os;
	atomic_bool      *stop;     /* the server's: all actions end */
	int               event;    /* eventfd: something is ready */
	struct fn_call   *call;     /* one reference */
	str               request_id;
	str               identity; /* JSON; p == NULL: none */
	str               identity_error; /* p == NULL: none */

	pthread_mutex_t   lock;     /* of what follows */
	atomic_bool       over;     /* completions have nobody to go to */
	struct async_op  *done, **done_end; /* in the order of arrival */

	/* the action's thread only */
	VEC(struct async_op *)      sleepers;
	size_t                      calls_out; /* action_ops_call.c */
	VEC(struct outcall *)       calls;     /* that wait until fewer are out */
	VEC(struct numbered_stream) streams;
	uint64_t                    next_stream;
	size_t                      unchecked; /* bytes written since their sum was looked at */
	VEC(struct async_op *)      readers; /* READ, CLOSED and ROOM that wait */
	bool                        streams_first; /* the next time */
	VEC(uint32_t)               cancelled;
	VEC(struct outgoing)        outgoing;
	struct http_reply           reply;
	struct loglines            *lines; /* action_lines.c; NULL: not yet */
	size_t                      told;  /* of these */
	bool                        may_leave; /* the run may begin anew elsewhere */
};

/* --- action_host.c --- */

/* One reference.  `stop` is looked at while the action waits and runs. */
struct action_state *action_state_new(struct functions *f, struct fn_call *c, str request_id,
    atomic_bool *stop);
struct action_state *action_state_ref(struct action_state *a);
void                 action_state_unref(struct action_state *a);
/* The action has ended: what is still out comes back to nobody. */
void                 action_state_end(struct action_state *a);
struct action_host   action_host_of(struct action_state *a);

/* Any thread: the operation is complete.  Takes it and a reference to the state. */
void action_complete(struct action_state *a, struct async_op *op);
/* The same as a failure with this text. */
void action_fail(struct action_state *a, struct async_op *op, const char *code, const char *fmt,
    ...) PRINTF(4, 5);
void action_fail_err(struct action_state *a, struct async_op *op, const struct err *e);
/* Answers with JSON. */
void action_answer(struct action_state *a, struct async_op *op, str json);

/* The action's thread: a stream gets a number (takes the reference); the one of a number. */
uint64_t       action_stream_add(struct action_state *a, struct stream *s);
struct stream *action_stream(struct action_state *a, uint64_t id); /* borrowed; NULL: none */
/* Takes the transfer. */
void           action_transfer_add(struct action_state *a, uint32_t op, struct transfer *t);

/* --- performers; each takes the operation and a reference to the state --- */

/* action_ops_call.c: queries, mutations, actions */
void action_op_call(struct action_state *a, struct async_op *op, const struct json *args,
    enum fn_want want);
/* The action's thread: one that op->counted is about has come back; one need not begin (false:
 * it has begun); none of those that wait will. */
void action_call_over(struct action_state *a);
bool action_call_cancel(struct action_state *a, uint32_t id);
void action_calls_end(struct action_state *a);
/* action_ops_txn.c: what needs a transaction of its own */
void action_op_schedule(struct action_state *a, struct async_op *op, const struct json *args);
void action_op_cancel_job(struct action_state *a, struct async_op *op, const struct json *args);
void action_op_storage(struct action_state *a, struct async_op *op, const struct json *args,
    enum storage_op what);
/* action_ops_files.c */
void action_op_store(struct action_state *a, struct async_op *op);
void action_op_load(struct action_state *a, struct async_op *op);
/* action_ops_fetch.c */
void action_op_fetch(struct action_state *a, struct async_op *op);
/* action_ops_syscall.c: by name */
void action_op_syscall(struct action_state *a, struct async_op *op);

/* Work for a worker on the way, with a transaction of its own, on behalf of an operation; used by
 * the performers above.  `work` runs on a worker and fills in the answer. */
struct action_task {
	struct gate_post     post;
	struct action_state *a;
	struct async_op     *op;
	status (*work)(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e);
	const struct json   *args;
	struct storage_call  storage;
	struct file_info     put;  /* action_ops_files.c */
	struct stored_file   found;
};
void action_task_start(struct action_task *t); /* any thread */

/* A transaction at the newest snapshot for such work. */
struct txn *action_txn(struct fn_worker *w, bool writable, str writer);
/* The one address of spec 04 section 1.3 as a canonical path. */
status action_address(struct txn *t, const struct json *args, struct arena *a, str *ret_path,
    struct err *e);
/* The same in a transaction of its own; *ret_handle: that of the function, if it is asked for. */
status action_address_now(struct action_state *a, const struct json *args, struct arena *arena,
    str *ret_path, str *ret_handle, struct err *e);

/* --- action_node.c --- */

struct node_package;
/* The package of a function that is for Node.js, one reference; *ret NULL: it is none. */
status action_node_open(struct fn_worker *w, struct txn *t, const struct target *g,
    struct node_package **ret, struct err *e);
/* As isolate_action_run(). */
status action_node_run(struct functions *f, struct node_package *p, const struct run_request *q,
    struct run_result *rr, struct err *e);

/* --- action_lines.c --- */

/* The action's thread: lines that were added go to the function log now. */
void action_tell_lines(struct action_state *a);
/* The lines so far are forgotten: the run begins anew elsewhere. */
void action_forget_lines(struct action_state *a);

/* --- http_run.c: calls with an http_request --- */

/* http.js; ret->module.n == 0: there is none. */
status http_resolve(struct fn_worker *w, struct txn *t, struct target *ret, struct err *e);
/* Gives the request's streams their numbers. */
struct http_call http_begin(struct action_state *a, struct arena *arena);
void http_host(struct action_host *h); /* adds what only they have */
/* To what is, or may become, the reply's body. */
bool http_write(struct action_state *a, struct stream *s, str bytes);
/* The client left so long ago that the run ends. */
bool http_abandoned(struct action_state *a);
/* All is over: log lines about the reply. */
void http_end(struct action_state *a, struct run_result *rr);

/* --- action_run.c --- */

/* Runs an action's call to its end, on its thread. */
struct fn_result *fn_action_run(struct fn_worker *w, struct fn_call *c);

#endif
