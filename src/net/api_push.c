/* api_push.c - the CLI's requests (spec 02 section 2.5) as tasks on function workers.
 *
 * Even parsing the body is the worker's: a push is up to 200 MB of JSON.  wait_for_schema is a
 * long poll that holds no worker: while the answer is "inProgress" the request waits here, and
 * asks again when the catalogue changed (spec 02 section 7.1).
 *
 * Thread: the loop thread; run_task() on a worker.
 * Memory: struct push_call in the exchange's arena.
 */
#include "base/json.h"
#include "net/api_int.h"

struct push_call {
	struct link              waiting; /* in api.schema_polls */
	struct api              *api;
	struct http_exchange    *x;
	const struct push_route *route;
	struct identity         *identity; /* the exchange's arena holds the reference */
	const struct json       *body;     /* NULL: none, or not parsed yet */
	status                   st;
	struct err               e;
	uint64_t                 deadline_ns; /* 0: not yet set */
	uint64_t                 catalog;     /* version that the answer is not older than */
};

static ts_t
run_task(struct fn_worker *w, void *arg)
{
	struct push_call      *c = arg;
	struct deploy_request  q = { .deploy = c->api->opts.deploy, .identity = c->identity,
		.arena = c->x->arena };
	ts_t                   ts = 0;

	buf_reset(&c->x->reply);
	c->st = ST_OK;
	if (!c->body && c->x->verb == VERB_POST)
		c->st = api_json(c->x, &c->body, &c->e);
	q.body = c->body;
	if (c->st == ST_OK)
		c->st = c->route->fn(w, &q, &c->x->reply, &ts, &c->e);
	return c->st == ST_OK ? ts : 0;
}

static void
answer(struct push_call *c)
{
	struct http_exchange *x = c->x;

	if (c->st != ST_OK)
		http_reply_err(x, &c->e);
	else if (x->reply.n == 0)
		http_reply_empty(x, 200);
	else
		http_reply_json(x, 200);
	api_answer(c->api, x);
}

static bool
in_progress(const struct push_call *c)
{
	size_t at;

	return c->st == ST_OK &&
	    str_find(str_head(buf_str(&c->x->reply), 64), S("\"type\":\"inProgress\""), &at);
}

static uint64_t
catalog_now(struct api *a)
{
	struct snapshot *s = runner_snapshot(a->opts.runner);
	uint64_t         version = catalog_version(snapshot_catalog(s));

	snapshot_unref(s);
	return version;
}

static void task_done(void *arg);

static void
ask(struct push_call *c)
{
	if (c->route->waits)
		c->catalog = catalog_now(c->api);
	runner_task(c->api->opts.runner, run_task, task_done, c);
}

static void
task_done(void *arg)
{
	struct push_call *c = arg;
	struct api       *a = c->api;
	uint64_t          now = os_mono_ns(a->opts.os);

	if (!c->route->waits || !in_progress(c)) {
		answer(c);
		return;
	}
	if (c->deadline_ns == 0)
		c->deadline_ns = now + deploy_wait_ms(c->body) * 1000000u;
	if (now >= c->deadline_ns || a->stopping) {
		answer(c);
		return;
	}
	if (catalog_now(a) != c->catalog) { /* it changed while the worker looked */
		ask(c);
		return;
	}
	link_before(&a->schema_polls, &c->waiting);
	if (c->deadline_ns < a->next_tick_ns)
		a->next_tick_ns = c->deadline_ns;
}

static void
run_push(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct push_call     *c = x->state;

	if (api_enter(c->api, x))
		ask(c);
}

void
api_push_settle(struct api *a)
{
	uint64_t     catalog = catalog_now(a);
	struct link  waiting;
	struct link *l;

	link_take_all(&waiting, &a->schema_polls);
	while ((l = link_first(&waiting))) {
		struct push_call *c = LINK_OWNER(l, struct push_call, waiting);

		link_leave(l);
		if (c->catalog == catalog)
			link_before(&a->schema_polls, l);
		else
			ask(c);
	}
}

uint64_t
api_push_tick(struct api *a, uint64_t mono_ns)
{
	uint64_t     next = UINT64_MAX;
	struct link *l, *following;

	for (l = link_first(&a->schema_polls); l && l != &a->schema_polls; l = following) {
		struct push_call *c = LINK_OWNER(l, struct push_call, waiting);

		following = l->next;
		if (mono_ns >= c->deadline_ns) {
			link_leave(l);
			answer(c);
		} else if (c->deadline_ns < next) {
			next = c->deadline_ns;
		}
	}
	return next;
}

void
api_push_stop(struct api *a)
{
	struct link *l;

	while ((l = link_first(&a->schema_polls))) {
		struct push_call *c = LINK_OWNER(l, struct push_call, waiting);

		link_leave(l);
		api_refuse(a, c->x);
	}
}

static void
unref_identity(void *identity)
{
	identity_unref(identity);
}

void
api_push(struct api *a, struct http_exchange *x)
{
	struct push_call *c = ARENA_NEW(x->arena, struct push_call);
	status            st;

	c->api = a;
	c->x = x;
	c->route = x->route->arg;
	c->e = err_in(x->arena);
	st = api_identity(a, x, &c->identity, &c->e);
	if (st != ST_OK && c->route->key_in_body) {
		c->e = err_in(x->arena);
		c->identity = identity_none(); /* the key in the body decides */
	} else if (st != ST_OK) {
		api_fail(x, &c->e);
		return;
	}
	arena_on_free(x->arena, unref_identity, c->identity);
	x->state = c;
	api_post(a, x, run_push);
}
