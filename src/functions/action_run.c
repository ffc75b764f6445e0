/* action_run.c - one call of an action, on its thread (spec 04 sections 2.1, 2.6, 8.2).
 *
 * A read-only transaction on the newest snapshot finds the function, checks the arguments, and
 * reads modules and variables; it is over before the function runs.  The result is checked in
 * another one.  Nothing is retried: an action has effects.
 *
 * Thread: the action's.  Memory: the result's arena.
 */
#include "functions/action_int.h"
#include "node/package.h"

struct act {
	struct fn_worker    *w;
	struct fn_call      *c;
	struct fn_result    *r;
	struct action_state *state;
	str                  request_id;
	bool                 redact;
	uint64_t             now_ns;
	struct target        g;
	struct val           args;
	VEC(struct env_var)  vars;
	struct node_package *package; /* of a function for Node.js: one reference; else NULL */
	struct placed        placed;
};

static void
fail(struct act *x, str message, str data)
{
	result_set_error(x->r, x->request_id, message, x->redact);
	x->r->error_data = error_data_json(x->r->arena, data, x->c->format);
}

/* An error of deterministic kind is the function's own. */
static void
fail_err(struct act *x, const struct err *e, status st)
{
	if (status_deterministic(st)) {
		fail(x, e->text, e->data);
		return;
	}
	x->r->st = st;
	x->r->code = arena_str(x->r->arena, e->code);
	x->r->text = arena_str(x->r->arena, e->text);
}

/* --- the start --- */

static bool
add_var(void *arg, struct doc *d)
{
	struct act    *x = arg;
	struct val     name = val_get(doc_val(d), S("name"));
	struct val     value = val_get(doc_val(d), S("value"));
	struct env_var v;

	if (val_kind(name) != VAL_STRING || val_kind(value) != VAL_STRING)
		return true;
	v.name = arena_str(x->r->arena, val_str(name));
	v.value = arena_str(x->r->arena, val_str(value));
	vec_push(&x->vars, v);
	return true;
}

/* User variables first: they win (spec 04 section 3.7). */
static status
read_vars(struct act *x, struct txn *t, struct err *e)
{
	struct functions *f = x->w->f;

	TRY(txn_sys_each(t, S("_environment_variables"), S("by_name"), NULL, 0, add_var, x, e));
	vec_push(&x->vars, ((struct env_var){ S("CONVEX_CLOUD_URL"), f->cloud_url }));
	vec_push(&x->vars, ((struct env_var){ S("CONVEX_SITE_URL"), f->site_url }));
	return ST_OK;
}

static status
resolve(struct act *x, struct txn *t, struct err *e)
{
	struct fn_call *c = x->c;
	struct lookup   l = { .path = arena_str(x->r->arena, c->path), .component = c->component,
		  .want = c->want, .identity = c->identity, .any_visibility = c->internal_ok,
		  .as_http_missing = c->as_http_missing };

	if (c->http)
		TRY(http_resolve(x->w, t, &x->g, e));
	else
		TRY(target_resolve(x->w, t, &l, &x->g, e));
	x->r->kind = x->g.kind;
	x->r->kind_known = true;
	if (c->http)
		return read_vars(x, t, e);
	if (x->g.kind != UDF_ACTION)
		return err_internal(e, "%.*s is no action", STR_ARG(c->path));
	TRY(args_parse(x->w, x->r->arena, c->path, c->args_json, &x->args, e));
	TRY(args_check(&x->g, t, x->args, e));
	return read_vars(x, t, e);
}

static struct txn *
import_txn(void *arg)
{
	return action_txn(((struct act *)arg)->w, false, S("action"));
}

static struct run_request
request(struct act *x, struct txn *t, const struct action_host *host)
{
	struct run_request q = { .kind = x->g.kind, .module = x->g.module,
		.function = x->g.function, .args = x->args, .txn = t, .request_id = x->request_id,
		.now_ns = x->now_ns, .arena = x->r->arena, .instance_name = x->w->f->instance_name,
		.actions = host, .action_ns = x->w->f->services.timeout_ns, .vars = x->vars.v,
		.nvars = x->vars.n, .import_txn = import_txn, .import_arg = x };

	os_random(x->state->os, q.seed, sizeof q.seed);
	return q;
}

/* --- the run --- */

static status
run_native(struct act *x, struct run_result *rr, struct err *e)
{
	const struct native_call c = { .arena = x->r->arena, .args = val_at(x->args, 0),
		.identity = x->c->identity, .call = x->c, .res = rr, .arg = x->g.native->arg };
	struct val               value = val_null;

	TRY(x->g.native->run(&c, &value, e));
	rr->ok = true;
	rr->value = value;
	return ST_OK;
}

/* In the full engine after all; nothing that it may have done before is left. */
static status
run_elsewhere(struct act *x, struct run_request *q, struct run_result *rr, struct err *e)
{
	struct engine *en = NULL;
	status         st;

	action_forget_lines(x->state);
	q->first_op = rr->last_op;
	st = placement_run_action(x->w->f->placement, x->w, &x->placed, q, rr, e);
	if (st == ST_FEATURE_UNAVAILABLE) {
		q->leave_after_ns = 0;
		q->txn = import_txn(x);
		rr->left = false;
		st = isolate_action_take(x->w->iso, q, &en, &rr->error, e);
		txn_free(q->txn);
		q->txn = NULL;
		if (st == ST_OK && en)
			st = isolate_action_run(en, q, rr, e);
	}
	action_state_end(x->state);
	return st;
}

static status
run_isolate(struct act *x, struct run_request *q, struct engine *en, struct run_result *rr,
    struct err *e)
{
	status st = isolate_action_run(en, q, rr, e);

	if (st == ST_OK && rr->left)
		return run_elsewhere(x, q, rr, e);
	placement_learn(x->w->f->placement, &x->placed, rr);
	action_state_end(x->state);
	return st;
}

static status
run_node(struct act *x, const struct run_request *q, struct run_result *rr, struct err *e)
{
	status st = action_node_run(x->w->f, x->package, q, rr, e);

	action_state_end(x->state);
	return st;
}

/* The transaction is over when the engine is there. */
static status
start(struct act *x, struct run_request *q, struct action_host *host, struct engine **ret,
    str *ret_error, struct err *e)
{
	struct txn *t = action_txn(x->w, false, x->c->path);
	status      st = resolve(x, t, e);

	if (st == ST_OK)
		st = action_node_open(x->w, t, &x->g, &x->package, e);
	if (st == ST_OK && !x->g.native)
		*q = request(x, t, host);
	if (st == ST_OK && !x->g.native && !x->package && x->g.module.n > 0) {
		st = placement_action(
		    x->w->f->placement, x->w, t, &x->g, x->c->http, x->r->arena, &x->placed, e);
		q->leave_after_ns = x->placed.leave_after_ns;
		q->import_leave_ns = x->placed.import_leave_ns;
		x->state->may_leave = q->leave_after_ns != 0;
		if (st == ST_OK && !x->placed.elsewhere)
			st = isolate_action_take(x->w->iso, q, ret, ret_error, e);
	}
	q->txn = NULL;
	txn_free(t);
	return st;
}

static status
check_value(struct act *x, struct val value, struct err *e)
{
	struct txn *t;
	status      st;

	TRY(value_check(&x->g, value, false, e));
	t = action_txn(x->w, false, x->c->path);
	st = returns_check(&x->g, t, value, e);
	txn_free(t);
	return st;
}

static status
run(struct act *x, struct run_result *rr, struct err *e)
{
	struct action_host host = action_host_of(x->state);
	struct run_request q;
	struct http_call   http;
	struct engine     *en = NULL;
	str                error = { NULL, 0 };

	if (x->c->http)
		http_host(&host);
	TRY(start(x, &q, &host, &en, &error, e));
	if (x->g.native)
		return run_native(x, rr, e);
	if (x->package)
		return run_node(x, &q, rr, e);
	if (x->g.module.n == 0) {
		host.respond_text(host.arg, 404,
		    S("This Convex deployment does not have HTTP actions enabled."));
		rr->ok = true;
		return ST_OK;
	}
	if (x->c->http) {
		http = http_begin(x->state, x->r->arena);
		q.http = &http;
	}
	if (!en && (x->placed.elsewhere || isolate_action_left(error)))
		return run_elsewhere(x, &q, rr, e);
	if (!en) {
		rr->error = error;
		return ST_OK;
	}
	return run_isolate(x, &q, en, rr, e);
}

static void
finish(struct act *x, const struct run_result *rr)
{
	struct err e = err_in(x->r->arena);
	status     st;

	if (!rr->ok) {
		fail(x, rr->error, rr->error_data);
		return;
	}
	if (x->c->http) {
		x->r->ok = true;
		x->r->value_json = S("null");
		return;
	}
	st = check_value(x, rr->value, &e);
	if (st != ST_OK) {
		fail_err(x, &e, st);
		return;
	}
	x->r->ok = true;
	x->r->value_json = value_json_raw(x->r->arena, rr->value, x->c->format);
}

/* The end has lines of its own. */
static void
tell_rest(struct act *x)
{
	x->state->lines = &x->r->logs;
	x->state->may_leave = false;
	action_tell_lines(x->state);
	x->state->lines = NULL;
	x->r->told = !x->g.native && x->w->f->services.on_progress;
}

struct fn_result *
fn_action_run(struct fn_worker *w, struct fn_call *c)
{
	struct act        x = { .w = w, .c = c, .r = fn_result_new(), .args = VAL_NONE,
		       .redact = c->redact || w->f->redact };
	struct run_result rr = { .logs = x.r->logs, .route = { NULL, 0 } };
	struct err        e = err_in(x.r->arena);
	const struct os  *os = db_os(w->f->db);
	uint64_t          start_ns = os_mono_ns(os);
	status            st;

	arena_reset(w->scratch);
	module_cache_trim(w);
	x.now_ns = os_now_ns(os);
	x.request_id = c->request_id.n ? c->request_id : fn_request_id(x.r->arena, os);
	x.state = action_state_new(w->f, c, x.request_id, w->stop);
	x.state->lines = &rr.logs;
	st = run(&x, &rr, &e);
	if (c->http)
		http_end(x.state, &rr);
	x.r->http = x.state->reply.http;
	x.r->route = rr.route;
	x.r->logs = rr.logs;
	x.r->user_ns = rr.user_ns;
	if (st != ST_OK)
		fail_err(&x, &e, st);
	else
		finish(&x, &rr);
	x.r->run_ns = os_mono_ns(os) - start_ns;
	if (!c->http)
		usage_warn_action(&x.r->logs, os_now_ns(os) / 1000000, x.args,
		    x.r->ok ? rr.value : VAL_NONE, x.r->run_ns, w->f->services.timeout_ns);
	tell_rest(&x);
	result_set_lines(x.r, x.redact);
	action_state_unref(x.state);
	node_package_unref(x.package);
	vec_clear(&x.vars);
	return x.r;
}
