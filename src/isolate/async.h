/* async.h - operations that an action waits for, and the host that performs them.
 *
 * An action runs on a thread of its own (functions/actions.h) and blocks there: it calls into
 * JavaScript until nothing is left to do, then waits for the next completion.  What it waits for is
 * described by text: JSON in, JSON out, with bytes beside them, so that the same host serves every
 * engine that runs actions: the isolate, the V8 tier and Node.js (node/).
 *
 * Kinds and their JSON (js/prelude speaks them as host.op(kind, json, bytes)):
 *
 *   SLEEP          {ms, name}                                    -> {}
 *   FETCH          {url, method, headers, streamId} + bytes      -> {url, status, statusText,
 *                                                                    headers, streamId}
 *   READ           {streamId}                                    -> {done} + bytes
 *   CLOSED         {streamId}                                    -> {}
 *   ROOM           {streamId}                                    -> {} when there is room to write
 *   STORAGE_STORE  {contentType, sha256, streamId} + bytes       -> {storageId}
 *   STORAGE_GET    {storageId}                                   -> null or {streamId,
 *                                                                    contentType, size}
 *   SYSCALL        the arguments of syscall `name` (spec 04 section 1.7) -> its result
 *
 * Thread: the action's, but async_op_free().
 */
#ifndef ISOLATE_ASYNC_H
#define ISOLATE_ASYNC_H

#include "base/buf.h"
#include "base/err.h"
#include "runtime/stream.h"

enum op_kind {
	OP_SLEEP,
	OP_FETCH,
	OP_READ,
	OP_CLOSED,
	OP_ROOM,
	OP_STORAGE_STORE,
	OP_STORAGE_GET,
	OP_SYSCALL
};

/* One operation on its way there and back.  Its starter fills in the question, its performer the
 * answer; one holder at a time. */
struct async_op {
	struct async_op *next;  /* the holder's */
	struct arena    *arena; /* owned: the texts below */
	uint64_t         number, when_ns; /* the host's: of its stream; when it is complete */
	bool             counted;         /* the host's */
	uint32_t         id;    /* unique in its run, from 1 */
	enum op_kind     kind;
	str              name;  /* SYSCALL: "1.0/actions/query" */
	str              json;
	str              bytes; /* p == NULL: none */

	status           st;    /* OK, or why it failed: what the promise rejects with */
	struct err       err;   /* text and data, in the arena */
	const char      *error_class; /* "TypeError", or the name of a DOMException; NULL: Error */
	str              ret_json;
	struct buf       ret_bytes;
	bool             has_bytes;
	/* A stream to be read: gets its number when the completion is taken, in the place of the
	 * last member of ret_json, which lacks it and the brace.  One reference; NULL: none. */
	struct stream   *stream;
};

struct async_op *async_op_new(uint32_t id, enum op_kind kind);
void             async_op_free(struct async_op *op); /* NULL is fine */

struct action_host {
	void *arg;
	/* Takes the operation; it comes back from wait(), in any order.  Must not block. */
	void (*start)(void *arg, struct async_op *op);
	/* It need not come back, and its work stops if that is possible. */
	void (*cancel)(void *arg, uint32_t id);
	/* The next completion; NULL: `until_mono_ns` has passed, or the run was cancelled (see
	 * cancelled()).  `fd` >= 0: returns NULL also when it becomes readable (engines in other
	 * processes speak through it). */
	struct async_op *(*wait)(void *arg, uint64_t until_mono_ns, int fd);
	bool (*cancelled)(void *arg); /* nobody wants the outcome any more: end the run */

	/* Streams, by number; reading goes through READ. */
	uint64_t (*stream_new)(void *arg); /* one that JavaScript writes */
	/* bytes.p == NULL: nothing to add; `why` p != NULL: fails it.  False: write no more. */
	bool     (*stream_write)(void *arg, uint64_t id, str bytes, bool done, str why);
	void     (*stream_drop)(void *arg, uint64_t id); /* JavaScript reads it no more */

	/* HTTP actions (isolate/http.c); else NULL. */
	/* What runRequest() settled with: the head goes out.  BAD_REQUEST: it is none. */
	status (*respond)(void *arg, str json, struct err *e);
	void   (*respond_text)(void *arg, int http, str text);
	bool   (*responding)(void *arg); /* the body has not ended */
};

/* The names of what a finished action left behind, for the warning of spec 04 section 2.6:
 * "fetch", "query", ...; p == NULL: not worth one (sleeps, watching for the client). */
str async_op_label(const struct async_op *op);

#endif
