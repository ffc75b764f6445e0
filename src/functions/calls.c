/* calls.c - one call each: its run, its turn, its wait for the disk.
 *
 * A query is a question to live.c; anything else is a job of its own.  The outcome is handed
 * out when what it shows is durable.
 *
 * Thread: the loop thread.
 * Memory: a pending call lives until its `done`, or until it is abandoned and its job is back.
 */
#include "functions/runner_int.h"

struct pending_call {
	struct runner    *r;
	struct fn_call   *c;      /* one reference */
	struct fn_result *res;    /* one reference, once there */
	struct eval       eval;   /* queries */
	struct deferred   later;
	struct durable_wait *wait;
	fn_done           executed; /* NULL: nobody asked */
	fn_done           done;
	void             *arg;
	struct link       turn;      /* in lane.waiting */
	bool              job_out, abandoned, starting, cached;
};

/* Runs of one request of one client session follow one another: a run that a lost connection
 * left behind may still be retrying when the client sends the request again, and must have
 * committed or failed before the new run decides which. */
struct lane {
	struct link waiting; /* of struct pending_call */
};

#define LANE_KEY_MAX 64

static void
pending_free(struct pending_call *p)
{
	p->r->calls--;
	link_leave(&p->turn);
	eval_stop(&p->eval);
	runner_undefer(&p->later);
	runner_forget(p->wait);
	fn_call_unref(p->c);
	fn_result_unref(p->res);
	mem_free(p);
}

static void
pending_finish(void *arg)
{
	struct pending_call *p = arg;

	p->wait = NULL;
	p->done(p->arg, p->res);
	pending_free(p);
}

/* The result is there; it may leave when what it shows is durable. */
static void
pending_ready(void *arg)
{
	struct pending_call *p = arg;
	struct durable_wait *w;

	if (p->cached)
		runner_finished(p->r, p->c, p->res, true);
	if (runner_is_durable(p->r, p->res->ts)) {
		pending_finish(p);
		return;
	}
	w = runner_when_durable(p->r, p->res->ts, pending_finish, p);
	p->wait = w;
}

static void
pending_result(struct pending_call *p, struct fn_result *res)
{
	p->res = fn_result_ref(res);
	if (p->starting)
		runner_defer(p->r, &p->later);
	else
		pending_ready(p);
}

static void
pending_eval_done(struct eval *ev, struct fn_result *res, struct vres *v, bool ran)
{
	struct pending_call *p = LINK_OWNER(ev, struct pending_call, eval);

	(void)v;
	p->cached = !ran;
	pending_result(p, res);
}

static struct pending_call *
pending_new(struct runner *r, struct fn_call *c, fn_done done, void *arg)
{
	struct pending_call *p = MEM_NEW(struct pending_call);

	p->r = r;
	p->c = fn_call_ref(c);
	p->done = done;
	p->arg = arg;
	p->later.fn = pending_ready;
	p->later.arg = p;
	r->calls++;
	return p;
}

struct pending_call *
runner_query_at(struct runner *r, struct fn_call *c, struct snapshot *at, fn_done done, void *arg)
{
	struct pending_call *p = pending_new(r, c, done, arg);

	p->eval.r = r;
	p->eval.c = p->c;
	p->eval.done = pending_eval_done;
	live_keys(c, c->journal, &p->eval.own, &p->eval.shared);
	p->starting = true;
	eval_start(&p->eval, at);
	p->starting = false;
	return p;
}

static void
call_start(struct pending_call *p, bool action)
{
	struct job *j = job_new(p->r, JOB_CALL);

	j->action = action;
	j->call = fn_call_ref(p->c);
	j->pending = p;
	p->job_out = true;
	job_submit(p->r, j);
}

static str
lane_key(char room[LANE_KEY_MAX], const struct fn_call *c)
{
	must(c->session_id.n + sizeof c->session_request <= LANE_KEY_MAX);
	memcpy(room, &c->session_request, sizeof c->session_request);
	memcpy(room + sizeof c->session_request, c->session_id.p, c->session_id.n);
	return str_of(room, sizeof c->session_request + c->session_id.n);
}

/* True if the call must wait for an earlier run of the same request. */
static bool
lane_enter(struct pending_call *p)
{
	char         room[LANE_KEY_MAX];
	str          key;
	struct lane *lane;

	if (!p->c->session_id.p || p->c->want != WANT_MUTATION)
		return false;
	key = lane_key(room, p->c);
	lane = map_get(p->r->lanes, key);
	if (lane) {
		link_before(&lane->waiting, &p->turn);
		return true;
	}
	lane = MEM_NEW(struct lane);
	link_init(&lane->waiting);
	(void)map_put(p->r->lanes, key, lane);
	return false;
}

/* The run of this call is over: the next of its lane. */
static void
lane_leave(struct runner *r, const struct fn_call *c)
{
	char                 room[LANE_KEY_MAX];
	struct lane         *lane;
	struct pending_call *next;
	struct link         *l;

	if (!c->session_id.p || c->want != WANT_MUTATION)
		return;
	lane = map_get(r->lanes, lane_key(room, c));
	l = link_first(&lane->waiting);
	if (l) {
		next = LINK_OWNER(l, struct pending_call, turn);
		link_leave(l);
		call_start(next, false);
		return;
	}
	(void)map_del(r->lanes, lane_key(room, c));
	mem_free(lane);
}

struct pending_call *
runner_call(struct runner *r, struct fn_call *c, fn_done done, void *arg)
{
	struct pending_call *p;

	if (c->want == WANT_QUERY) {
		struct snapshot *at = runner_snapshot(r);

		p = runner_query_at(r, c, at, done, arg);
		snapshot_unref(at);
		return p;
	}
	p = pending_new(r, c, done, arg);
	if (!lane_enter(p))
		call_start(p, c->want == WANT_ACTION && functions_run_actions(r->functions));
	return p;
}

void
runner_abandon(struct pending_call *p)
{
	if (p->job_out)
		p->abandoned = true;
	else
		pending_free(p);
}

void
runner_on_executed(struct pending_call *p, fn_done fn)
{
	must(!p->res && p->c->want != WANT_QUERY);
	p->executed = fn;
}

void
call_job_done(struct runner *r, struct job *j)
{
	struct pending_call *p = j->pending;

	if (j->res->is_action && !p->abandoned) { /* found out on a worker */
		call_start(p, true);
		return;
	}
	runner_finished(r, j->call, j->res, false);
	lane_leave(r, j->call);
	if (!p->abandoned && p->executed)
		p->executed(p->arg, j->res);
	p->job_out = false;
	if (p->abandoned)
		pending_free(p);
	else
		pending_result(p, j->res);
}
