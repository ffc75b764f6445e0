/* remote.h - runs whose JavaScript is executed by an engine in another process.
 *
 * That engine computes; all that a function asks for is done here, on the worker's thread and in
 * its transaction, by the same code as for functions of the isolate: modules, variables, syscalls,
 * console lines, frames, the natives of the prelude.  It asks with frames of a JSON header and
 * bytes; node/tier.h brings them.  What they say is not trusted: whatever a header asks
 * for, it gets no more than the function may have.
 *
 * Headers from the engine, by "t"; those with an answer wait for it:
 *
 *   module {base, name}          -> {specifier, hash} or {failed}      base "": name is a path
 *   source {specifier}           -> {} + source
 *   whyunloaded                  -> {text}
 *   syscall, asyncsyscall {name, args}  -> {ok} or {message, data}
 *   env {name}                   -> {value} or {} or {message}
 *   frames {raw}                 -> {text}
 *   native {name, args} + bytes  -> {value, changed, bytes, buffer} + bytes, or {thrown}
 *   log {level, messages}        none
 *   op {id, kind, name, args} + bytes  none; async.h.  cancel {id}  none
 *   wait                         -> {id, ok, bytes} or {id, message, data, errorClass}, + bytes
 *   newstream                    -> {id}
 *   writestream {id, some, done} + bytes  -> {ok}
 *   failstream {id, message}, dropstream {id}  none
 *   respond {json}               -> {}   HTTP actions: the reply's head
 *   responding                   -> {yes} its body has not ended
 *   execute {route}              none; module evaluation is over
 *   unloaded, toplevelawait, wrong {what}, thrown {what}, never, value {value}, responded,
 *   uncatchable {text}, arity {what}   the end; with {time, rng}: what was observed
 *
 * Thread: the isolate's.  Memory: the request's arena.
 */
#ifndef ISOLATE_REMOTE_H
#define ISOLATE_REMOTE_H

#include "isolate/isolate.h"

struct remote;

enum remote_step {
	REMOTE_ANSWER,  /* send what `ret_header` and `ret_bytes` got */
	REMOTE_NOTHING,
	REMOTE_DONE,    /* the outcome is there; the engine waits for its next run */
	REMOTE_BROKEN   /* the outcome is there; the engine is of no use any more */
};

/* `ret->logs` must be initialised, as for isolate_run(). */
NODISCARD status remote_begin(struct isolate *iso, const struct run_request *req,
    struct run_result *ret, struct remote **out, struct err *e);
/* The header that starts it in the engine. */
void remote_request(struct remote *r, struct buf *header);
/* `header` and `bytes` live for the call. */
enum remote_step remote_take(struct remote *r, str header, str bytes, struct buf *ret_header,
    struct buf *ret_bytes);
/* The engine did not come to an end: why, as the function's failure. */
void remote_fail(struct remote *r, str text);
void remote_fail_time(struct remote *r);
void remote_fail_memory(struct remote *r);
void remote_fail_deadline(struct remote *r); /* actions: of wall time, or the server stops */
uint64_t remote_time_ns(const struct remote *r); /* CPU that the run may use */
/* Says from time to time how much of it the engine has used; what the natives here took comes on
 * top.  True if the run has had its time; then it has failed. */
bool remote_spent(struct remote *r, uint64_t ns);
/* True once the modules are evaluated and the function was called. */
bool remote_executes(const struct remote *r);
/* True if an action has had its time; then it has failed. */
bool remote_overdue(struct remote *r);
/* Frees it.  Not OK: the run failed for a reason that is not the function's. */
NODISCARD status remote_end(struct remote *r, struct err *e);

/* The prelude's text. */
str remote_prelude(void);
/* The natives that an engine need not have itself: their names, with commas and in quotes. */
void remote_natives(struct buf *b);

#endif
