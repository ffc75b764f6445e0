/* worker.c - one call, from its transaction to its result.
 *
 * An attempt is a transaction: look the session's request up, find the function, check the
 * arguments, run, check the result, commit.  A conflict throws the attempt away and starts
 * another one at once on the winner's snapshot, which costs one re-run instead of a wait
 * (spec 03 section 5.7 sleeps between attempts; here the loser has already been told which
 * commit it lost against, and sees it).
 *
 * Thread: one worker.  Memory: the result's arena; scratch that lives for the call.
 */
#include <stdatomic.h>

#include "functions/scheduled_int.h"

#define MOVES_MAX 8 /* functions of one call that turn out to be heavy, until it has to do */

/* One top-level call on its way. */
struct run {
	struct fn_worker *w;
	struct fn_call   *c;
	struct fn_result *r;          /* of this attempt */
	struct txn       *t;          /* of this attempt */
	str               request_id;
	struct val        args;       /* VAL_NONE until parsed; same for all attempts */
	uint64_t          now_ns;     /* of this attempt */
	str               outcome;    /* value or error, as the hash covers it */
	bool              redact;
	bool              conflicted;
	bool              moved;      /* a function runs elsewhere next time: begin anew */
	struct scheduled_row job;     /* JOB_STEP_TAKE: its row, */
	struct cron_row   cron;       /* or that of a cron */
};

struct fn_worker *
fn_worker_new(struct functions *f, struct isolate *iso)
{
	struct fn_worker *w = MEM_NEW(struct fn_worker);

	w->f = f;
	w->iso = iso;
	w->modules = map_new();
	w->scratch = arena_new();
	pack_init(&w->pack);
	buf_init(&w->made, BUF_MAX_DEFAULT);
	return w;
}

struct fn_worker *
fn_worker_new_shared(struct functions *f, struct isolate *iso, atomic_bool *stop)
{
	struct fn_worker *w = fn_worker_new(f, iso);

	w->shared = true;
	w->stop = stop;
	return w;
}

void
fn_worker_free(struct fn_worker *w)
{
	if (!w)
		return;
	if (w->iso && !w->shared)
		isolate_free(w->iso);
	module_cache_free(w);
	arena_free(w->scratch);
	pack_clear(&w->pack);
	buf_clear(&w->made);
	mem_free(w);
}

struct isolate *
fn_worker_isolate(struct fn_worker *w)
{
	return w->iso;
}

struct functions *
fn_worker_functions(struct fn_worker *w)
{
	return w->f;
}

/* The function failed: a result like any other. */
static void
finish_failure(struct run *x, str message, str data)
{
	result_set_error(x->r, x->request_id, message, x->redact);
	x->r->error_data = error_data_json(x->r->arena, data, x->c->format);
	result_set_lines(x->r, x->redact);
	x->outcome = message;
}

/* The disk has no space for what the function wrote.  That is no reason to close a connection whose
 * queries go on: the call fails as one that threw, and says why also where errors are hidden. */
static void
finish_full(struct run *x, str message)
{
	result_set_error(x->r, x->request_id, message, false);
	result_set_lines(x->r, x->redact);
	x->outcome = message;
}

/* The server failed the function.  Of what is its own business it tells nothing (spec 01
 * section 11.2). */
static void
finish_refused(struct run *x, const struct err *e, status st)
{
	x->r->st = st;
	if (st == ST_OPERATIONAL || st == ST_OUT_OF_RETENTION) {
		x->r->code = S("InternalServerError");
		x->r->text = S("Your request couldn't be completed. Try again later.");
		return;
	}
	x->r->code = arena_str(x->r->arena, e->code);
	x->r->text = arena_str(x->r->arena, e->text);
}

/* This request was answered before: the same answer again. */
static status
replay(struct run *x, const struct stored_request *s, struct err *e)
{
	struct fn_result *r = x->r;
	struct val        v;

	TRY(vjson_parse(x->w->scratch, s->result_json, VJSON_COMMIT_TS, &v, e));
	r->ok = true;
	r->kind = UDF_MUTATION;
	r->kind_known = true;
	r->ts = s->ts;
	r->value_json = value_json(r->arena, &x->w->pack, v, x->c->format, s->ts);
	r->nlines = x->redact ? 0 : s->nlines;
	r->lines = ARENA_ARRAY(r->arena, str, r->nlines + 1);
	for (size_t i = 0; i < r->nlines; i++)
		r->lines[i] = arena_str(r->arena, s->lines[i]);
	return ST_OK;
}

/* Commits what the function wrote.  The flag on the call goes up first: whoever sees a
 * snapshot with this commit in it also sees the flag. */
static status
commit(struct run *x, struct err *e)
{
	struct conflict conflict = { 0 };
	ts_t            ts = 0;
	status          st;

	atomic_store(&x->c->committing, true);
	st = txn_commit(x->t, &ts, &conflict, e);
	if (st == ST_OK) {
		atomic_store(&x->c->commit_ts, ts);
		x->r->ts = ts;
		return ST_OK;
	}
	atomic_store(&x->c->committing, false);
	if (st == ST_OCC) {
		result_set_conflict(x->r, x->c->path, &conflict);
		x->conflicted = true;
	}
	return st;
}

/* What becomes of the row, in the mutation's own commit. */
static status
job_succeeded(struct run *x, struct val value, struct err *e)
{
	uint64_t           now = os_now_ns(db_os(x->w->f->db));
	struct cron_report report = { .ok = true, .logs = &x->r->logs, .run_ns = now - x->now_ns };

	if (x->c->cron_id.n == 0)
		return scheduled_finish(
		    x->t, &x->job, SCHEDULED_SUCCESS, STR_EMPTY, x->now_ns, e);
	report.value_json = value_json_raw(x->r->arena, value, VJSON_ENCODED);
	return cron_finish(x->t, &x->cron, &report, now, e);
}

static status
finish_mutation(struct run *x, struct val value, struct err *e)
{
	struct fn_result *r = x->r;
	struct arena     *a = r->arena;
	bool              pending = val_has_commit_ts(value);
	bool              encoded = x->c->format == VJSON_ENCODED;
	str               json;

	result_set_lines(r, x->redact);
	if (x->c->job_step == JOB_STEP_TAKE)
		TRY(job_succeeded(x, value, e));
	if (x->c->session_id.p || (encoded && !pending)) {
		json = value_json_raw(a, value, VJSON_ENCODED);
		if (x->c->session_id.p)
			TRY(request_record(x->w, x->t, x->c, json, r, e));
	}
	TRY(commit(x, e));
	if (encoded && !pending)
		r->value_json = json;
	else
		r->value_json = value_json(a, &x->w->pack, value, x->c->format, r->ts);
	return ST_OK;
}

static status
finish_value(struct run *x, const struct target *g, const struct run_result *rr, struct err *e)
{
	struct fn_result *r = x->r;

	TRY(value_check(g, rr->value, false, e));
	TRY(returns_check(g, x->t, rr->value, e));
	if (!g->system)
		usage_warn(&r->logs, x->t, x->now_ns / 1000000, x->args, rr->value, rr->user_ns);
	if (g->kind == UDF_MUTATION) {
		TRY(finish_mutation(x, rr->value, e));
	} else {
		result_set_lines(r, x->redact);
		r->value_json = value_json_raw(r->arena, rr->value, x->c->format);
		if (rr->journal.p)
			r->journal = arena_str(r->arena, rr->journal);
	}
	r->ok = true;
	x->outcome = r->value_json;
	return ST_OK;
}

static str
identity_json(const struct identity *i)
{
	return i->attributes ? blob_str(i->attributes) : (str){ NULL, 0 };
}

static status
execute(struct run *x, const struct target *g, struct run_result *rr, struct err *e)
{
	struct functions  *f = x->w->f;
	struct fn_call    *c = x->c;
	struct err         auth = err_in(NULL);
	struct nest        n;
	struct run_request req = { .kind = g->kind, .module = g->module, .function = g->function,
		.args = x->args, .txn = x->t, .identity = identity_json(c->identity),
		.request_id = x->request_id, .journal = c->journal, .now_ns = x->now_ns,
		.arena = x->r->arena, .instance_name = f->instance_name,
		.client_ip = c->client_ip, .client_user_agent = c->client_user_agent };

	nest_init(&n, x->w, c, x->t, x->r->arena, 0);
	req.host = &n.host;
	if (c->identity->error) {
		auth.st = ST_UNAUTHENTICATED;
		auth.code = S("Unauthenticated");
		auth.text = blob_str(c->identity->error);
		req.identity_error = &auth;
	}
	os_random(db_os(f->db), req.seed, sizeof req.seed);
	return nest_run(&n, g, &req, rr, e);
}

/* What the run left, also when it failed. */
static void
take_observations(struct fn_result *r, const struct run_result *rr)
{
	r->logs = rr->logs;
	r->observed_identity = rr->observed_identity;
	r->observed_time = rr->observed_time;
	r->user_ns = rr->user_ns;
}

static status
run_target(struct run *x, const struct target *g, struct err *e)
{
	struct run_result rr = { .logs = x->r->logs };
	status            st;

	st = execute(x, g, &rr, e);
	take_observations(x->r, &rr);
	TRY(st);
	if (rr.ok)
		return finish_value(x, g, &rr, e);
	if (!g->system)
		usage_warn(&x->r->logs, x->t, x->now_ns / 1000000, x->args, VAL_NONE, rr.user_ns);
	finish_failure(x, rr.error, rr.error_data);
	return ST_OK;
}

/* An action has a thread of its own (action_run.c), where all of this is done again. */
static status
leave_to_actions(struct run *x, struct err *e)
{
	if (!functions_run_actions(x->w->f))
		return err_set(e, ST_BAD_REQUEST, "ActionsUnavailable",
		    "Actions are not supported by this server yet.");
	x->r->is_action = true;
	return ST_OK;
}

/* On the WebSocket arguments are an array; a client that sends anything else has a bug that no
 * data can mend, so nothing is read. */
static status
args_are_array(const struct fn_call *c, struct err *e)
{
	if (c->caller != CALLER_SYNC || str_starts(str_trim(c->args_json), S("[")))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidArguments", "Invalid arguments provided");
}

/* --- scheduled functions and crons (spec 05 sections 2.3 and 3.3) --- */

/* There was nothing to do, or all that was to do is written. */
static status
job_done(struct run *x, struct err *e)
{
	x->r->ok = true;
	x->r->value_json = S("null");
	return txn_has_writes(x->t) ? commit(x, e) : ST_OK;
}

static str
job_args(const struct run *x)
{
	return x->c->cron_id.n ? x->cron.args_json : x->job.args_json;
}

/* An action is marked as begun before it runs, which is another call. */
static status
job_begin_action(struct run *x, struct err *e)
{
	str execution = fn_request_id(x->w->scratch, db_os(x->w->f->db));

	if (x->c->cron_id.n)
		TRY(cron_begin(x->t, &x->cron, x->request_id, execution, e));
	else
		TRY(scheduled_begin(x->t, &x->job, x->request_id, execution, e));
	TRY(commit(x, e));
	x->r->ok = x->r->job_begun = true;
	x->r->kind_known = false; /* nothing ran yet */
	x->r->value_json = arena_str(x->r->arena, job_args(x));
	return ST_OK;
}

static status
job_take(struct run *x, bool *ret_take, struct err *e)
{
	if (x->c->cron_id.n)
		TRY(cron_take(x->w, x->t, x->c, &x->cron, ret_take, e));
	else
		TRY(scheduled_take(x->w, x->t, x->c, &x->job, ret_take, e));
	if (*ret_take && !val_some(x->args))
		TRY(args_parse(x->w, x->w->scratch, x->c->path, job_args(x), &x->args, e));
	return ST_OK;
}

static status
job_begin(struct run *x, const struct target *g, struct err *e)
{
	if (g->kind == UDF_MUTATION)
		return x->c->cron_id.n ?
		    ST_OK :
		    scheduled_begin(x->t, &x->job, x->request_id, x->request_id, e);
	return err_set(e, ST_BAD_REQUEST, "UnsupportedScheduledFunction",
	    "%.*s is a %s: only mutations and actions can be scheduled", STR_ARG(g->path),
	    udf_kind_name(g->kind));
}

/* Everything inside the transaction.  Errors of deterministic kinds become the function's. */
static status
attempt_steps(struct run *x, struct err *e)
{
	struct fn_call *c = x->c;
	struct lookup   l = { .path = c->path, .component = c->component, .want = c->want,
		  .identity = c->identity, .any_visibility = c->internal_ok,
		  .as_http_missing = c->as_http_missing };
	struct target   g;
	bool            take = true;
	status          st;

	TRY(args_are_array(c, e));
	if (c->job_step == JOB_STEP_TAKE)
		TRY(job_take(x, &take, e));
	if (!take)
		return job_done(x, e);
	if (c->session_id.p && c->want == WANT_MUTATION) {
		struct stored_request s;
		bool                  found;

		TRY(request_find(x->t, c->session_id, c->session_request, &found, &s, e));
		if (found)
			return replay(x, &s, e);
	}
	st = target_resolve(x->w, x->t, &l, &g, e);
	if (st != ST_OK && c->job_step == JOB_STEP_TAKE && backend_running(x->t, NULL) != ST_OK)
		return job_done(x, e); /* it waits until the deployment runs again */
	TRY(st);
	x->r->kind = g.kind;
	x->r->kind_known = true;
	if (c->job_step == JOB_STEP_TAKE && g.kind == UDF_ACTION)
		return job_begin_action(x, e);
	if (g.kind == UDF_ACTION || g.kind == UDF_HTTP_ACTION)
		return leave_to_actions(x, e);
	if (!val_some(x->args))
		TRY(args_parse(x->w, x->w->scratch, c->path, c->args_json, &x->args, e));
	TRY(args_check(&g, x->t, x->args, e));
	if (c->job_step == JOB_STEP_TAKE)
		TRY(job_begin(x, &g, e));
	return run_target(x, &g, e);
}

static bool
is_query(const struct run *x)
{
	return x->c->want == WANT_QUERY || (x->r->kind_known && x->r->kind == UDF_QUERY);
}

/* One attempt in the transaction x->t; x->r holds its result. */
static void
attempt_in(struct run *x)
{
	struct db *db = x->w->f->db;
	struct err e = err_in(x->r->arena);
	uint64_t   start = os_mono_ns(db_os(db));
	status     st;

	x->r->ts = txn_ts(x->t);
	x->now_ns = os_now_ns(db_os(db));
	x->conflicted = x->moved = false;
	st = attempt_steps(x, &e);
	/* Spec 01 section 11.2: for actions only what ran, or was refused after it was found, is
	 * the function's. */
	if (st != ST_OK && status_deterministic(st) &&
	    (x->c->want != WANT_ACTION || args_are_array(x->c, NULL) == ST_OK))
		finish_failure(x, e.text, e.data);
	else if (st == ST_OVERLOADED && str_eq(e.code, S("DatabaseFull")) &&
	    x->c->job_step != JOB_STEP_TAKE)
		finish_full(x, e.text);
	else if (st == ST_OPERATIONAL && str_eq(e.code, S(PLACEMENT_MOVED)))
		x->moved = true;
	else if (st != ST_OK && !x->conflicted)
		finish_refused(x, &e, st);
	if (is_query(x) && x->r->st == ST_OK && !x->moved) {
		x->r->reads = txn_readset(x->t);
		result_hash(x->r, x->outcome, x->redact);
	}
	if (x->w->made.n > 0 && !(x->r->st == ST_OK && x->r->ok))
		storage_undo(x->w->f->storage, &x->w->made);
	buf_reset(&x->w->made);
	x->r->run_ns = os_mono_ns(db_os(db)) - start;
}

static void
attempt(struct run *x, struct snapshot *at)
{
	x->t = txn_begin(&(struct txn_opts){
	    .snapshot = at ? snapshot_ref(at) : db_snapshot(x->w->f->db),
	    .writable = x->c->want != WANT_QUERY, .writer = x->c->path,
	    .system = str_starts(x->c->path, S("_system/")) });
	attempt_in(x);
	txn_free(x->t);
	x->t = NULL;
}

/* Mutations take part in the turns (functions_int.h); queries cannot lose. */
static pthread_rwlock_t *
turn_take(struct run *x, bool alone)
{
	pthread_rwlock_t *turns = x->c->want == WANT_QUERY ? NULL : x->w->f->turns;

	if (turns)
		must((alone ? pthread_rwlock_wrlock(turns) : pthread_rwlock_rdlock(turns)) == 0);
	return turns;
}

static struct run
run_new(struct fn_worker *w, struct fn_call *c)
{
	struct run x = { .w = w, .c = c, .args = VAL_NONE, .redact = c->redact || w->f->redact };

	must(c->identity && c->path.n);
	arena_reset(w->scratch);
	module_cache_trim(w);
	w->spent_ns = 0;
	w->stays = false;
	x.request_id = c->request_id;
	if (x.request_id.n == 0)
		x.request_id = fn_request_id(w->scratch, db_os(w->f->db));
	return x;
}

struct fn_result *
fn_worker_run_in(struct fn_worker *w, struct fn_call *c, struct txn *t)
{
	struct run x = run_new(w, c);

	must(c->want == WANT_QUERY);
	w->stays = true; /* what the transaction holds cannot be had a second time */
	x.t = t;
	x.r = fn_result_new();
	attempt_in(&x);
	return x.r;
}

struct fn_result *
fn_worker_run(struct fn_worker *w, struct fn_call *c, struct snapshot *at)
{
	struct run x = run_new(w, c);
	int        moves = 0;

	for (int tries = 0;;) {
		pthread_rwlock_t *turn = turn_take(&x, tries == OCC_RETRIES);

		x.r = fn_result_new();
		attempt(&x, at);
		x.r->retries = tries;
		if (turn)
			must(pthread_rwlock_unlock(turn) == 0);
		if (x.moved)
			w->stays = ++moves > MOVES_MAX;
		else if (!x.conflicted || tries++ == OCC_RETRIES)
			break;
		else
			w->spent_ns = 0;
		fn_result_unref(x.r);
	}
	if (c->job_step == JOB_STEP_TAKE && x.r->st == ST_OK && !x.r->ok)
		(c->cron_id.n ? cron_fail : scheduled_fail)(w, c, x.r);
	return x.r;
}
