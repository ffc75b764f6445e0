/* eval_int.h - evaluating modules outside of runs: what eval.c, analyze.c and crons.c share.
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_EVAL_INT_H
#define ISOLATE_EVAL_INT_H

#include "base/json.h"
#include "isolate/engine_int.h"

/* One evaluation: an engine of its own, one module imported into it. */
struct eval {
	struct isolate          *iso;
	enum environment         environment;
	const struct import_env *env;
	str                      path;
	uint64_t                 limit_ns;
	struct arena            *arena;
	/* Looks at the module; called with the engine entered, errors into `e`. */
	status (*look)(struct eval *ev, struct err *e);
	void                    *arg;
	struct engine           *en;
	struct run_result        res;     /* console lines */
	bool                     thrown;  /* the failure is the module's own, by an exception */
};

/* BAD_REQUEST with the text of what the module threw, or with look()'s error. */
NODISCARD status eval_run(struct eval *ev, struct err *e);
/* The pending exception as an error, code "Error". */
status eval_exception(struct eval *ev, struct err *e);
/* The module's export `default`; undefined if there is none. */
JSValue eval_default(struct eval *ev);
/* obj[name] called with `this_val`; JS_EXCEPTION with a pending exception. */
JSValue eval_invoke(struct eval *ev, JSValueConst obj, const char *name, JSValueConst this_val);
/* True if obj[name] === true. */
bool    eval_is_true(struct eval *ev, JSValueConst obj, const char *name);

/* --- crons.c --- */

/* The export of crons.js to cronSpecs of spec 02 section 5.2, a JSON array.  `targets` get one
 * entry per cron.  InvalidCron. */
struct cron_target {
	str identifier, path; /* canonical: "messages.js:clear" */
};
struct cron_targets {
	VEC(struct cron_target) v;
};
NODISCARD status crons_convert(struct arena *a, str json, struct buf *ret,
    struct cron_targets *targets, struct err *e);

#endif
