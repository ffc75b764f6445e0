/* tier.h - the full-engine tier: functions of the default runtime, run in V8.
 *
 * The isolate's engine has no JIT and no WebAssembly.  Few functions miss them, but those that do
 * run in a process of Node.js, in a fresh context each, with the same prelude (js/tier).  A process
 * does one run at a time, and asks for everything else over a socket: remote.h answers.
 * A run that is past its CPU time or memory is ended with its process.
 *
 * Processes are started when they are needed, and end when they are idle for some time.
 *
 * Thread: any.  Memory: the request's arena.
 */
#ifndef NODE_TIER_H
#define NODE_TIER_H

#include "isolate/isolate.h"

struct tier;

struct tier_opts {
	const char *node;      /* the program; NULL: "node" of PATH */
	size_t      calls_max;   /* top-level queries and mutations at once; 0: processors + 2 */
	size_t      actions_max; /* at once; 0: what half of the memory carries, 4 to 64 */
	uint64_t    idle_ns;   /* a process without runs ends after it; 0: 30 s */
	const struct os *os;
};

struct tier *tier_new(const struct tier_opts *opts);
void         tier_free(struct tier *t); /* NULL is fine; nothing runs */

/* False: there is no Node.js that can do it; it is no use to leave the isolate.  NULL: false. */
bool tier_available(struct tier *t);
/* A function would have been better off here: says so in the log, once. */
void tier_regret(struct tier *t);

size_t tier_processes(struct tier *t); /* alive now */

/* Runs of each kind have places of their own; nested ones need none, because their callers may
 * hold one. */
enum tier_kind { TIER_CALL, TIER_NESTED, TIER_ACTION, TIER_KINDS };

struct tier_run {
	struct isolate           *iso;      /* of this thread */
	const struct run_request *req;
	uint64_t                  spent_ns; /* CPU that it has used elsewhere */
	enum tier_kind            kind;
};

/* As isolate_run().  FEATURE_UNAVAILABLE: it did not begin, since there is no process for it. */
NODISCARD status tier_run(struct tier *t, const struct tier_run *run, struct run_result *ret,
    struct err *e);

#endif
