/* placement.h - which engine a function runs in: the isolate's, or the full one (node/tier.h).
 *
 * Functions begin in the isolate.  A query or mutation that has used up some tens of milliseconds
 * of CPU there, or touches WebAssembly, is given up, unseen by anyone: what it wrote is in a
 * transaction that is thrown away.  The function is remembered, and the whole top-level call begins
 * anew, with the function in the full engine this time.  A function that turns out to need little
 * there is forgotten again.  One whose modules take long to evaluate is tried in the isolate once
 * more, for as long as V8 needs for its modules alone.
 *
 * Thread: any.
 */
#ifndef FUNCTIONS_PLACEMENT_H
#define FUNCTIONS_PLACEMENT_H

#include "isolate/isolate.h"

struct tier;
struct nest;
struct http_request;
struct target;
struct placement;

/* `tier` is borrowed. */
struct placement *placement_new(struct tier *tier);
void              placement_free(struct placement *p); /* NULL is fine */

/* The code of the error (not deterministic) by which a call that must begin anew ends. */
#define PLACEMENT_MOVED "FunctionMoved"

/* isolate_run() or tier_run(), or the error above. */
NODISCARD status placement_run(struct placement *p, struct nest *n, const struct target *g,
    const struct run_request *req, struct run_result *ret, struct err *e);

/* --- actions, of HTTP and others: one that has begun something stays where it is --- */

struct fn_worker;

struct placed {
	str      key;
	bool     elsewhere;      /* begins in the full engine */
	uint64_t leave_after_ns, import_leave_ns; /* else: for run_request */
};
/* `http` is what an HTTP action is asked, for each is on its own; NULL: it is none. */
NODISCARD status placement_action(struct placement *p, struct fn_worker *w, struct txn *t,
    const struct target *g, const struct http_request *http, struct arena *a,
    struct placed *ret, struct err *e);
/* It left the isolate, or was placed elsewhere.  FEATURE_UNAVAILABLE: it did not begin. */
NODISCARD status placement_run_action(struct placement *p, struct fn_worker *w,
    const struct placed *at, const struct run_request *req, struct run_result *ret,
    struct err *e);
/* After its run in the isolate: where it goes next time. */
void placement_learn(struct placement *p, const struct placed *at, const struct run_result *ret);

#endif
