/* action_node.c - actions of "use node" modules: from here to node/executor.h.
 *
 * Thread: the action's.  Memory: the result's arena.
 */
#include "functions/action_int.h"
#include "node/executor.h"

status
action_node_open(struct fn_worker *w, struct txn *t, const struct target *g,
    struct node_package **ret, struct err *e)
{
	const struct module_info *m = NULL;

	*ret = NULL;
	if (g->native)
		return ST_OK;
	TRY(module_find(w, t, g->module, &m, e));
	if (!m || !m->node)
		return ST_OK;
	if (!w->f->node)
		return err_set(e, ST_BAD_REQUEST, "DeploymentNotConfiguredForNodeActions",
		    "Deployment is not configured to deploy \"use node\" actions.");
	return node_executor_open(w->f->node, t, g->module, ret, e);
}

status
action_node_run(struct functions *f, struct node_package *p, const struct run_request *q,
    struct run_result *rr, struct err *e)
{
	struct node_run r = { .package = p,
		.module = q->module,
		.function = q->function,
		.args_json = value_json_raw(q->arena, q->args, VJSON_ENCODED),
		.vars = q->vars,
		.nvars = q->nvars,
		.host = q->actions,
		.timeout_ns = q->action_ns,
		.arena = q->arena };

	return node_run_action(f->node, &r, rr, e);
}
