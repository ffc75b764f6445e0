/* call.c - calls and results: birth, sharing, death.
 *
 * Each is one arena with its own struct inside, so that a call or result with all its texts
 * is freed at once by whoever lets go last.
 *
 * Thread: any; the counts are atomic.  Memory: one arena each.
 */
#include <stdatomic.h>

#include "functions/action_int.h"

struct fn_call *
fn_call_new(void)
{
	struct arena   *a = arena_new();
	struct fn_call *c = ARENA_NEW(a, struct fn_call);

	atomic_init(&c->refs, 1);
	c->arena = a;
	c->format = VJSON_ENCODED;
	return c;
}

struct fn_call *
fn_call_ref(struct fn_call *c)
{
	must(atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed) > 0);
	return c;
}

void
fn_call_unref(struct fn_call *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	identity_unref(c->identity);
	http_request_unref(c->http);
	if (c->parent)
		action_state_unref(c->parent);
	arena_free(c->arena);
}

bool
call_unwanted(const struct fn_call *c)
{
	for (; c->parent; c = c->parent->call)
		if (atomic_load_explicit(&c->parent->over, memory_order_relaxed))
			return true;
	return false;
}

/* NULL stays NULL. */
static str
copy(struct arena *a, str s)
{
	return s.p ? arena_str(a, s) : s;
}

struct fn_call *
fn_call_copy(const struct fn_call *c, struct identity *i, str journal)
{
	struct fn_call *n = fn_call_new();

	n->want = c->want;
	n->path = copy(n->arena, c->path);
	n->component = copy(n->arena, c->component);
	n->args_json = copy(n->arena, c->args_json);
	n->journal = copy(n->arena, journal);
	n->identity = identity_ref(i);
	n->caller = c->caller;
	n->internal_ok = c->internal_ok;
	n->as_http_missing = c->as_http_missing;
	n->request_id = copy(n->arena, c->request_id);
	n->session_id = copy(n->arena, c->session_id);
	n->session_request = c->session_request;
	n->job_id = copy(n->arena, c->job_id);
	n->cron_id = copy(n->arena, c->cron_id);
	n->job_step = c->job_step;
	n->format = c->format;
	n->client_ip = copy(n->arena, c->client_ip);
	n->client_user_agent = copy(n->arena, c->client_user_agent);
	n->redact = c->redact;
	return n;
}

struct fn_result *
fn_result_new(void)
{
	struct arena     *a = arena_new();
	struct fn_result *r = ARENA_NEW(a, struct fn_result);

	atomic_init(&r->refs, 1);
	r->arena = a;
	loglines_init(&r->logs, a);
	return r;
}

struct fn_result *
fn_result_ref(struct fn_result *r)
{
	must(atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed) > 0);
	return r;
}

void
fn_result_unref(struct fn_result *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	readset_unref(r->reads);
	loglines_clear(&r->logs);
	arena_free(r->arena);
}
