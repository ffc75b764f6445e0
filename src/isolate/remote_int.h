/* remote_int.h - what remote.c and remote_native.c share. */
#ifndef ISOLATE_REMOTE_INT_H
#define ISOLATE_REMOTE_INT_H

#include "base/json.h"
#include "isolate/action_int.h"
#include "isolate/remote.h"

/* One run.  `en` is an engine without a heap: syscalls need none. */
struct remote {
	struct engine             en;
	struct run                import, execute;
	const struct run_request *req;
	struct run_result        *ret;
	struct arena             *scratch; /* of one header */
	struct action              action;  /* actions: what is out */
	struct txn                *txn;     /* actions: ours, while modules are evaluated */
	uint64_t                   spent_ns, native_ns; /* CPU: the engine's, our natives' */
};

/* The engine broke the rules: nothing that it says counts any more. */
enum remote_step remote_break(struct remote *r, const char *why);

typedef enum remote_step remote_fn(struct remote *r, const struct json *h, str bytes,
    struct buf *ret_header, struct buf *ret_bytes);

/* remote_action.c */
remote_fn remote_op, remote_cancel, remote_wait, remote_new_stream, remote_write_stream,
    remote_fail_stream, remote_drop_stream, remote_respond, remote_responding, remote_responded;

/* Calls the native `name` of an engine that the isolate keeps for this. */
void remote_native(struct remote *r, const struct json *header, str bytes, struct buf *ret_header,
    struct buf *ret_bytes);

#endif
