/* action_ops_call.c - functions that an action calls (spec 04 section 8.2).
 *
 * Each is a call like any client's, with all visibility: its own transaction, its own retries, and
 * an answer that comes when what it shows is durable.  The action's thread waits; nobody else does.
 *
 * Thread: the action's, then the loop thread.  Memory: struct outcall, until the answer.
 */
#include "base/json.h"
#include "functions/action_int.h"

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
call_new(const struct action_state *a, enum fn_want want, str path, const struct json *args)
{
	struct fn_call    *c = fn_call_new();
	const struct json *value = json_get(args, "args");

	c->want = want;
	c->path = arena_str(c->arena, path);
	c->args_json = value ? arena_str(c->arena, value->source) : S("{}");
	c->identity = identity_ref(a->call->identity);
	c->caller = CALLER_ACTION;
	c->internal_ok = true;
	c->request_id = arena_str(c->arena, a->request_id);
	c->job_id = arena_str(c->arena, a->call->job_id);
	if (a->call->client_ip.p)
		c->client_ip = arena_str(c->arena, a->call->client_ip);
	if (a->call->client_user_agent.p)
		c->client_user_agent = arena_str(c->arena, a->call->client_user_agent);
	return c;
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
	x->post.run = run_call;
	a->f->services.gate.post(a->f->services.gate.arg, &x->post);
}
