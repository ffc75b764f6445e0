/* action_ops_call.c - functions that an action calls (spec 04 section 8.2).
 *
 * Each is a call like any client's, with all visibility: its own transaction, its own retries, and
 * an answer that comes when what it shows is durable.  The action's thread waits; nobody else does.
 * Of the queries and mutations that one action starts without waiting a few are under way at once;
 * the others stay here, so that they do not fill the queue that everybody shares.
 *
 * Thread: the action's, then the loop thread.  Memory: struct outcall, until the answer.
 */
#include "base/json.h"
#include "functions/action_int.h"

#define UNDER_WAY_MAX 64

struct outcall {
	struct gate_post     post;
	struct action_state *a;  /* one reference */
	struct async_op     *op;
	struct fn_call      *c;  /* one reference */
};

static void
call_done(void *arg, struct fn_result *r)
{
	struct outcall  *x = arg;
	struct async_op *op = x->op;
	struct err       e = err_in(op->arena);

	if (r->st == ST_OK && r->ok) {
		action_answer(x->a, op, r->value_json);
	} else {
		str text = r->st == ST_OK ? r->plain_error : r->text;

		err_set_str(&e, r->st == ST_OK ? ST_BAD_REQUEST : r->st, "NestedFunctionFailed",
		    arena_str(op->arena, text));
		e.data = r->error_data;
		action_fail_err(x->a, op, &e);
	}
	fn_call_unref(x->c);
	mem_free(x);
}

static void
run_call(struct gate_post *p)
{
	struct outcall *x = LINK_OWNER(p, struct outcall, post);

	(void)runner_call(x->a->f->services.runner, x->c, call_done, x);
}

/* The caller's identity goes along: there is one component (spec 04 section 8.2). */
static struct fn_call *
call_new(struct action_state *a, enum fn_want want, str path, const struct json *args)
{
	struct fn_call    *c = fn_call_new();
	const struct json *value = json_get(args, "args");

	c->want = want;
	c->path = arena_str(c->arena, path);
	c->args_json = value ? arena_str(c->arena, value->source) : S("{}");
	c->identity = identity_ref(a->call->identity);
	c->caller = CALLER_ACTION;
	c->internal_ok = true;
	if (want == WANT_ACTION)
		c->parent = action_state_ref(a); /* spec 04 section 2.6: the rest is cancelled */
	c->request_id = arena_str(c->arena, a->request_id);
	c->job_id = arena_str(c->arena, a->call->job_id);
	if (a->call->client_ip.p)
		c->client_ip = arena_str(c->arena, a->call->client_ip);
	if (a->call->client_user_agent.p)
		c->client_user_agent = arena_str(c->arena, a->call->client_user_agent);
	return c;
}

static void
submit(struct outcall *x)
{
	const struct gate *g = &x->a->f->services.gate;

	x->post.run = run_call;
	g->post(g->arg, &x->post);
}

/* --- the line before the core's --- */

static void
submit_counted(struct action_state *a, struct outcall *x)
{
	a->calls_out++;
	x->op->counted = true;
	submit(x);
}

/* Out of the line. */
static struct outcall *
line_take(struct action_state *a, size_t i)
{
	struct outcall *x = a->calls.v[i];

	a->calls.n--;
	memmove(&a->calls.v[i], &a->calls.v[i + 1], (a->calls.n - i) * sizeof(struct outcall *));
	return x;
}

static void
outcall_free(struct outcall *x)
{
	fn_call_unref(x->c);
	async_op_free(x->op);
	action_state_unref(x->a);
	mem_free(x);
}

void
action_call_over(struct action_state *a)
{
	a->calls_out--;
	if (a->calls.n > 0)
		submit_counted(a, line_take(a, 0));
}

bool
action_call_cancel(struct action_state *a, uint32_t id)
{
	for (size_t i = 0; i < a->calls.n; i++) {
		if (a->calls.v[i]->op->id != id)
			continue;
		outcall_free(line_take(a, i));
		return true;
	}
	return false;
}

void
action_calls_end(struct action_state *a)
{
	for (size_t i = 0; i < a->calls.n; i++)
		outcall_free(a->calls.v[i]);
	vec_clear(&a->calls);
}

void
action_op_call(struct action_state *a, struct async_op *op, const struct json *args,
    enum fn_want want)
{
	struct err      e = err_in(op->arena);
	struct outcall *x;
	str             path;

	if (action_address_now(a, args, op->arena, &path, NULL, &e) != ST_OK) {
		action_fail_err(a, op, &e);
		return;
	}
	x = MEM_NEW(struct outcall);
	x->a = a;
	x->op = op;
	x->c = call_new(a, want, path, args);
	if (want == WANT_ACTION)
		submit(x); /* these have a line of their own (actions.h) */
	else if (a->calls_out < UNDER_WAY_MAX)
		submit_counted(a, x);
	else
		vec_push(&a->calls, x);
}
