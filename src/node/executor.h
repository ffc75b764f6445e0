/* executor.h - functions of "use node" modules, run by Node.js (spec 04 section 10).
 *
 * A process of Node.js belongs to one package of modules and one set of environment variables: a
 * push or a changed variable means another process, and the old one ends with its last run.  It
 * runs as many actions at once as there are; each has a connection of its own, over a Unix socket
 * in a folder that only we can enter, and what it asks for is done by the same action_host as for
 * other actions.  Nothing listens on a port, and there are no tokens.
 *
 * A process in which something went wrong that no handler caught (a rejection, an exception, the
 * wish to exit, a run past its time) is not used again: the runs in it finish, and it ends.
 * One that hangs or dies takes its runs with it; those that had not begun are run elsewhere.
 *
 * Thread: any; runs block the caller's.  Memory: results in the caller's arena.
 */
#ifndef NODE_EXECUTOR_H
#define NODE_EXECUTOR_H

#include "isolate/async.h"
#include "isolate/isolate.h"
#include "node/package.h"

#define NODE_ARGS_MAX_BYTES ((size_t)5 << 20)

struct node_executor_opts {
	const char      *folder;     /* for packages; made when it is first needed */
	uint64_t         timeout_ns; /* of a run; 0: 600 s */
	uint64_t         idle_ns;    /* a process without runs ends after it; 0: 5 minutes */
	const char      *node;       /* the program; NULL: "node" of PATH */
	const struct os *os;
};

struct node_executor;

struct node_executor *node_executor_new(const struct node_executor_opts *opts);
void                  node_executor_free(struct node_executor *x); /* NULL is fine; nothing runs */

/* BAD_REQUEST DeploymentNotConfiguredForNodeActions if there is no Node.js of a version that we
 * can use. */
NODISCARD status node_executor_check(struct node_executor *x, struct err *e);

/* The package of a push, and that of a deployed module as the transaction sees it: package.h. */
NODISCARD status node_executor_make(struct node_executor *x, const struct node_content *c,
    struct node_package **ret, struct err *e);
NODISCARD status node_executor_open(struct node_executor *x, struct txn *t, str module,
    struct node_package **ret, struct err *e);

/* What the modules register.  BAD_REQUEST "Failed to analyze PATH: ..." with frames. */
struct node_function {
	str  name;
	bool has_pos;
	uint32_t line, col; /* from 0, in the bundle */
	str  visibility;    /* "public", "internal"; n == 0: neither */
	str  args, returns; /* validator JSON; p == NULL: none */
};
struct node_analyzed {
	str                   path;
	size_t                nfunctions;
	struct node_function *functions;
};
NODISCARD status node_analyze(struct node_executor *x, struct node_package *p,
    const struct env_var *vars, size_t nvars, const str *paths, size_t npaths, struct arena *a,
    struct node_analyzed **ret, struct err *e);

struct node_run {
	struct node_package      *package;
	str                       module, function; /* "a.js", "run" */
	str                       args_json;        /* the text of an array */
	const struct env_var     *vars; /* the first of a name counts */
	size_t                    nvars;
	const struct action_host *host;
	uint64_t                  timeout_ns; /* 0: that of the executor */
	struct arena             *arena; /* of the result */
};

/* As isolate_run(): OK if the function ran; its own failure is in *ret.  `ret->logs` must be
 * initialised.  Operations that are still under way at the end are cancelled. */
NODISCARD status node_run_action(struct node_executor *x, const struct node_run *r,
    struct run_result *ret, struct err *e);

#endif
