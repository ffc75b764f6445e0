/* transition.c - from one consistent state of all queries to the next (spec 01 section 7.3).
 *
 * A transition has one snapshot.  It applies the modifications received so far, keeps every
 * query whose result still holds at the snapshot, runs the others at the snapshot, and leaves
 * as one message when the snapshot's timestamp is durable and no own mutation that it shows
 * still waits for its response.  Only one is under way; what happens meanwhile goes into the
 * next one, so a slow reader gets fewer and larger steps instead of a queue.
 *
 * Thread: the loop thread.
 * Memory: queries live until they are removed; results are shared with all who watch them.
 */
#include "sync/session_int.h"

static void pump(struct session *s);

/* --- queries --- */

/* By id; *ret_at: where it is or would be inserted. */
struct query *
session_query(struct session *s, uint32_t id, size_t *ret_at)
{
	size_t lo = 0, hi = s->queries.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->queries.v[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_at = lo;
	return lo < s->queries.n && s->queries.v[lo]->id == id ? s->queries.v[lo] : NULL;
}

static void
on_invalidated(void *arg)
{
	struct query *q = arg;

	q->s->update_scheduled = true;
	session_step(q->s);
}

static void
query_watch(struct query *q, struct fn_call *c)
{
	live_unwatch(q->watch);
	fn_call_unref(q->call);
	q->call = c;
	q->watch = live_watch(q->s->opts.runner, c, on_invalidated, q);
}

static struct fn_call *
query_call(struct session *s, const struct client_call *m)
{
	struct fn_call *c = fn_call_new();

	c->want = WANT_QUERY;
	c->path = arena_str(c->arena, m->path);
	c->component = arena_str(c->arena, m->component);
	c->args_json = arena_str(c->arena, m->args);
	if (m->journal.p)
		c->journal = arena_str(c->arena, m->journal);
	c->identity = identity_ref(s->identity);
	c->caller = CALLER_SYNC;
	c->redact = s->opts.redact;
	return c;
}

static void
query_free(struct query *q)
{
	live_unwatch(q->watch);
	fn_call_unref(q->call);
	fn_result_unref(q->fresh);
	blob_unref(q->journal);
	mem_free(q);
}

static void
query_add(struct session *s, const struct client_mod *m)
{
	struct query *q = MEM_NEW(struct query);
	size_t        at;

	q->s = s;
	q->id = m->id;
	must(session_query(s, m->id, &at) == NULL);
	vec_push(&s->queries, q);
	memmove(s->queries.v + at + 1, s->queries.v + at,
	    (s->queries.n - 1 - at) * sizeof *s->queries.v);
	s->queries.v[at] = q;
	query_watch(q, query_call(s, &m->call));
}

static void
query_remove(struct session *s, uint32_t id)
{
	size_t        at;
	struct query *q = session_query(s, id, &at);

	must(q);
	query_free(q);
	s->queries.n--;
	memmove(s->queries.v + at, s->queries.v + at + 1,
	    (s->queries.n - at) * sizeof *s->queries.v);
	vec_push(&s->t.removed, id);
}

/* The modifications received so far.  Their arena is swapped: more may come meanwhile. */
static void
apply_mods(struct session *s)
{
	struct arena *a = s->mods_arena;

	s->t.removed.n = 0;
	for (size_t i = 0; i < s->pending_mods.n; i++) {
		if (s->pending_mods.v[i].add)
			query_add(s, &s->pending_mods.v[i]);
		else
			query_remove(s, s->pending_mods.v[i].id);
	}
	s->pending_mods.n = 0;
	s->mods_arena = s->mods_arena_next;
	s->mods_arena_next = a;
	arena_reset(a);
}

/* A new identity: nobody's earlier result counts any more. */
static void
rewatch_all(struct session *s)
{
	for (size_t i = 0; i < s->queries.n; i++) {
		struct query *q = s->queries.v[i];
		str           journal = q->journal ? blob_str(q->journal) : q->call->journal;

		query_watch(q, fn_call_copy(q->call, s->identity, journal));
	}
}

/* --- errors of evaluations --- */

static void
fail(struct session *s, const struct fn_result *res)
{
	session_fail(s, res->st, res->code, res->text);
}

static void
query_failed(struct query *q, const struct fn_result *res)
{
	struct session *s = q->s;
	uint64_t        now = os_mono_ns(s->opts.os);

	switch (res->st) {
	case ST_OVERLOADED:
	case ST_OPERATIONAL:
	case ST_MISDIRECTED:
	case ST_REJECTED:
		q->state = QUERY_RETRY;
		q->retry_ns = now + session_backoff_ns(s, 500000000ull, q->retries++);
		s->t.retrying++;
		break;
	case ST_OUT_OF_RETENTION:
		q->state = QUERY_WAITING;
		s->t.restart_ns = now + session_backoff_ns(s, 3000000000ull, s->t.restarts++);
		break;
	case ST_FEATURE_UNAVAILABLE:
		if (q->has_result) {
			session_fail(s, ST_INTERNAL, S("InternalServerError"), STR_EMPTY);
			return;
		}
		q->state = QUERY_KEPT;
		s->unavailable_ns = now + UNAVAILABLE_RETRY_NS;
		break;
	default:
		fail(s, res);
	}
}

/* --- evaluation --- */

static void
on_result(void *arg, struct fn_result *res)
{
	struct query   *q = arg;
	struct session *s = q->s;

	if (s->closed)
		return;
	s->t.running--;
	if (res->st != ST_OK) {
		query_failed(q, res);
	} else {
		q->state = QUERY_FRESH;
		q->retries = 0;
		fn_result_unref(q->fresh);
		q->fresh = fn_result_ref(res);
		blob_unref(q->journal);
		q->journal = res->journal.p ? blob_new(res->journal) : NULL;
	}
	pump(s);
}

static void
on_durable(void *arg)
{
	struct session *s = arg;

	s->t.wait = NULL;
	s->t.durable = true;
	transition_try_send(s);
}

/* Starts evaluations, at most 20 at a time; when all results are there, waits for the disk. */
static void
pump(struct session *s)
{
	struct transition *t = &s->t;

	if (t->pumping || !t->active || t->computed)
		return;
	t->pumping = true;
	while (!s->closed && !t->restart_ns && t->running < QUERIES_AT_ONCE &&
	    t->cursor < s->queries.n) {
		struct query *q = s->queries.v[t->cursor++];

		if (q->state != QUERY_WAITING)
			continue;
		q->state = QUERY_RUNNING;
		t->running++;
		live_eval(q->watch, t->at, on_result, q);
	}
	t->pumping = false;
	if (s->closed || t->restart_ns || t->running || t->retrying || t->cursor < s->queries.n)
		return;
	t->computed = true;
	t->durable = runner_is_durable(s->opts.runner, t->to.ts);
	if (t->durable)
		transition_try_send(s);
	else
		t->wait = runner_when_durable(s->opts.runner, t->to.ts, on_durable, s);
}

/* Takes the newest snapshot and finds out which results still hold there. */
static void
take_snapshot(struct session *s)
{
	struct transition *t = &s->t;

	if (t->at)
		snapshot_unref(t->at);
	t->at = runner_snapshot(s->opts.runner);
	t->to.ts = snapshot_ts(t->at);
	t->cursor = 0;
	t->retrying = 0;
	t->restart_ns = 0;
	for (size_t i = 0; i < s->queries.n; i++) {
		struct query *q = s->queries.v[i];

		q->state = live_valid(q->watch) ? QUERY_KEPT : QUERY_WAITING;
	}
}

void
transition_begin(struct session *s)
{
	struct transition *t = &s->t;

	if (!session_identity_valid(s))
		return;
	must(!t->active);
	t->active = true;
	t->computed = t->durable = false;
	t->restarts = 0;
	t->to.query_set = s->received_query_set;
	t->to.identity = s->received_identity;
	if (t->to.identity > s->current.identity)
		rewatch_all(s);
	apply_mods(s);
	take_snapshot(s);
	s->update_scheduled = false;
	pump(s);
}

void
transition_try_send(struct session *s)
{
	struct transition *t = &s->t;

	if (s->closed || !t->active || !t->computed || !t->durable || request_holds(s, t->to.ts))
		return;
	frame_transition(s);
	if (s->closed)
		return;
	s->current = t->to;
	t->active = false;
	snapshot_unref(t->at);
	t->at = NULL;
	session_step(s);
}

/* --- time --- */

void
transition_tick(struct session *s, uint64_t now_ns)
{
	struct transition *t = &s->t;

	if (!t->active || t->computed)
		return;
	if (t->restart_ns && now_ns >= t->restart_ns && t->running == 0) {
		take_snapshot(s);
		pump(s);
		return;
	}
	for (size_t i = 0; t->retrying && i < s->queries.n; i++) {
		struct query *q = s->queries.v[i];

		if (q->state != QUERY_RETRY || now_ns < q->retry_ns)
			continue;
		q->state = QUERY_WAITING;
		t->retrying--;
		if (t->cursor > i)
			t->cursor = i;
	}
	pump(s);
}

/* 0: nothing to wait for. */
uint64_t
transition_next_ns(const struct session *s)
{
	const struct transition *t = &s->t;
	uint64_t                 next = t->active ? t->restart_ns : 0;

	if (!t->active || t->retrying == 0)
		return next;
	for (size_t i = 0; i < s->queries.n; i++) {
		const struct query *q = s->queries.v[i];

		if (q->state == QUERY_RETRY && (next == 0 || q->retry_ns < next))
			next = q->retry_ns;
	}
	return next;
}

void
transition_free(struct session *s)
{
	runner_forget(s->t.wait);
	for (size_t i = 0; i < s->queries.n; i++)
		query_free(s->queries.v[i]);
	vec_clear(&s->queries);
	vec_clear(&s->t.removed);
	if (s->t.at)
		snapshot_unref(s->t.at);
}
