/* request.c - mutations and actions of one client (spec 01 sections 3.3, 5, 6.1).
 *
 * Mutations run one at a time in the order of arrival.  The next one starts when its
 * predecessor committed, without waiting for the disk: responses come when they are durable,
 * which keeps the order, and a burst of mutations shares its disk flushes.  Actions start at
 * once.
 *
 * Rule 6 of section 5, "the response before its effects", is kept by request_holds(): the
 * worker raises a flag on the call before it asks for the commit, so whoever has a snapshot
 * that contains the commit can also see the flag.
 *
 * Thread: the loop thread.  Memory: one struct per request until its response is sent.
 */
#include <stdatomic.h>

#include "sync/session_int.h"

static void
request_free(struct request *q)
{
	if (q->pending)
		runner_abandon(q->pending);
	link_leave(&q->link);
	if (q->mutation)
		q->s->nmutations--;
	else
		q->s->nactions--;
	q->s->request_bytes -= q->call->args_json.n;
	fn_call_unref(q->call);
	mem_free(q);
}

static struct fn_call *
call_build(struct session *s, const struct client_message *m)
{
	struct fn_call *c = fn_call_new();

	c->want = m->kind == CLIENT_MUTATION ? WANT_MUTATION : WANT_ACTION;
	c->path = arena_str(c->arena, m->call.path);
	c->component = arena_str(c->arena, m->call.component);
	c->args_json = arena_str(c->arena, m->call.args);
	c->identity = identity_ref(s->identity);
	c->caller = CALLER_SYNC;
	c->redact = s->opts.redact;
	if (s->session_id[0]) {
		c->session_id = arena_str(c->arena, str_z(s->session_id));
		c->session_request = m->request;
		c->request_id = fn_session_request_id(c->arena, c->session_id, m->request);
	} else {
		c->request_id = fn_request_id(c->arena, s->opts.os);
	}
	if (s->opts.ip.p)
		c->client_ip = arena_str(c->arena, s->opts.ip);
	if (s->opts.user_agent.p)
		c->client_user_agent = arena_str(c->arena, s->opts.user_agent);
	return c;
}

static void mutation_next(struct session *s);

/* It ran: the next one may start.  Its response waits for the disk. */
static void
mutation_executed(void *arg, struct fn_result *res)
{
	struct request *q = arg;
	struct session *s = q->s;

	q->ts = res->ts;
	s->running = NULL;
	link_before(&s->executed, &q->link);
	if (res->st == ST_OK && !s->closed)
		mutation_next(s);
}

static void
mutation_done(void *arg, struct fn_result *res)
{
	struct request *q = arg;
	struct session *s = q->s;

	q->pending = NULL;
	if (s->closed) {
		request_free(q);
		return;
	}
	if (res->st != ST_OK) {
		session_fail(s, res->st, res->code, res->text);
		request_free(q);
		return;
	}
	frame_response(s, q, res);
	/* Spec 01 section 5 rule 5: a transition that shows it must follow the response.  One
	 * that is under way and has not left yet will do. */
	if (!s->t.active || s->t.to.ts < res->ts)
		s->update_scheduled = true;
	request_free(q);
	transition_try_send(s);
	session_step(s);
}

static void
mutation_next(struct session *s)
{
	struct link    *l = link_first(&s->waiting);
	struct request *q;

	if (s->running || !l)
		return;
	q = LINK_OWNER(l, struct request, link);
	link_leave(l);
	s->running = q;
	s->running_since_ns = os_mono_ns(s->opts.os);
	q->pending = runner_call(s->opts.runner, q->call, mutation_done, q);
	runner_on_executed(q->pending, mutation_executed);
}

static void
action_done(void *arg, struct fn_result *res)
{
	struct request *q = arg;
	struct session *s = q->s;

	q->pending = NULL;
	if (s->closed) {
		request_free(q);
		return;
	}
	if (res->st != ST_OK) {
		session_fail(s, res->st, res->code, res->text);
		request_free(q);
		return;
	}
	frame_response(s, q, res);
	s->update_scheduled = true;
	request_free(q);
	session_step(s);
}

static void
add_mutation(struct session *s, struct request *q)
{
	s->nmutations++;
	if (s->nmutations > MUTATIONS_MAX || s->request_bytes > REQUEST_BYTES_MAX) {
		session_fail(s, ST_RATE_LIMITED, S("TooManyConcurrentMutations"),
		    S("Too many concurrent mutations"));
		request_free(q);
		return;
	}
	link_before(&s->waiting, &q->link);
	mutation_next(s);
}

static void
add_action(struct session *s, struct request *q)
{
	s->nactions++;
	if (s->nactions > ACTIONS_MAX || s->request_bytes > REQUEST_BYTES_MAX) {
		session_fail(s, ST_RATE_LIMITED, S("TooManyInflightActionsForSingleClient"),
		    S("Too many in-flight actions"));
		request_free(q);
		return;
	}
	link_before(&s->actions, &q->link);
	q->pending = runner_call(s->opts.runner, q->call, action_done, q);
}

void
request_add(struct session *s, const struct client_message *m)
{
	struct request *q = MEM_NEW(struct request);

	q->s = s;
	q->id = m->request;
	q->mutation = m->kind == CLIENT_MUTATION;
	q->call = call_build(s, m);
	s->request_bytes += q->call->args_json.n;
	link_init(&q->link);
	if (q->mutation)
		add_mutation(s, q);
	else
		add_action(s, q);
}

bool
request_holds(struct session *s, ts_t ts)
{
	struct link *l = link_first(&s->executed);

	if (l && LINK_OWNER(l, struct request, link)->ts <= ts)
		return true;
	if (s->running && atomic_load(&s->running->call->committing)) {
		ts_t at = atomic_load(&s->running->call->commit_ts);

		return at == 0 || at <= ts;
	}
	return false;
}

static void
free_all(struct link *head)
{
	struct link *l;

	while ((l = link_first(head)) != NULL)
		request_free(LINK_OWNER(l, struct request, link));
}

void
requests_free(struct session *s)
{
	if (s->running)
		request_free(s->running);
	s->running = NULL;
	free_all(&s->waiting);
	free_all(&s->executed);
	free_all(&s->actions);
}
