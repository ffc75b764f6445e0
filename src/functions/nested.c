/* nested.c - functions that a running query or mutation calls (spec 04 section 8.1).
 *
 * A callee runs on the caller's worker, inside the caller's transaction and in a fresh image.
 * A failed mutation's writes are rolled back; what it read stays in the read set, because the
 * caller may have acted on the failure.  A snapshot query runs in a transaction of its own on
 * the same snapshot: it sees none of the caller's writes and leaves no trace in its reads.
 *
 * Thread: the worker's.  Memory: values and texts in the arena of the run's result.
 */
#include "functions/handle.h"
#include "functions/scheduled_int.h"

static status nested_call(void *arg, const struct nested_call *c, struct run_result *caller,
    struct val *ret, struct err *e);
static status address_resolve(struct nest *n, const struct nested_call *c, struct arena *a,
    str *ret_path, struct err *e);

static status
nested_schedule(void *arg, const struct nested_call *c, double ts_seconds, str *ret_id,
    struct err *e)
{
	struct nest *n = arg;
	str          path;

	TRY(address_resolve(n, c, n->arena, &path, e));
	return schedule_function(n->w, n->txn, n->call, path, c->args, ts_seconds,
	    n->req->now_ns, ret_id, e);
}

/* Spec 04 section 1.6: a job that cancels itself is told off and goes on. */
static status
cancels_itself(struct nest *n)
{
	str message = S("A scheduled mutation canceling itself is deprecated and will throw an "
			"error in a future version of Convex.");

	loglines_add(&n->res->logs, &(struct logline){ .level = LINE_WARN, .nmessages = 1,
	    .messages = &message, .timestamp_ms = os_now_ns(db_os(n->w->f->db)) / 1000000 });
	return ST_OK;
}

static status
nested_cancel(void *arg, str id, struct err *e)
{
	struct nest *n = arg;

	if (n->call->job_id.n && str_eq(id, n->call->job_id))
		return cancels_itself(n);
	return scheduled_cancel(n->txn, id, n->req->now_ns, e);
}

static status
nested_handle(void *arg, const struct nested_call *c, str *ret, struct err *e)
{
	struct nest *n = arg;
	str          path;

	TRY(address_resolve(n, c, n->arena, &path, e));
	return handle_create(n->txn, path, n->arena, ret, e);
}

static status
nested_storage(void *arg, const struct storage_call *c, struct buf *ret, struct err *e)
{
	struct nest *n = arg;

	if (!n->w->f->storage)
		return err_internal(e, "this server stores no files");
	return storage_call(n->w->f->storage, n->txn, c, &n->w->made, ret, e);
}

static status
nested_sign_jwt(void *arg, const struct json *claims, double seconds, struct buf *ret,
    struct err *e)
{
	struct nest *n = arg;

	return jwt_issue(n->w->f, n->req->now_ns, claims, seconds, ret, e);
}

void
nest_init(struct nest *n, struct fn_worker *w, struct fn_call *c, struct txn *t, struct arena *a,
    int depth)
{
	*n = (struct nest){ .w = w, .call = c, .txn = t, .arena = a, .depth = depth };
	n->host = (struct run_host){ .arg = n, .nested = nested_call,
		.schedule = nested_schedule, .cancel_job = nested_cancel,
		.create_handle = nested_handle, .storage = nested_storage,
		.sign_jwt = nested_sign_jwt };
}

static status
native_run(struct nest *n, const struct target *g, const struct run_request *req,
    struct run_result *ret, struct err *e)
{
	const struct native_call c = { .txn = n->txn, .arena = n->arena,
		.args = val_at(req->args, 0), .identity = n->call->identity, .call = n->call,
		.res = ret, .arg = g->native->arg };
	struct val               value = val_null;
	status                   st = g->native->run(&c, &value, e);

	if (st != ST_OK && !status_deterministic(st))
		return st;
	ret->ok = st == ST_OK;
	if (ret->ok) {
		ret->value = value;
	} else {
		ret->error = arena_str(n->arena, e->text);
		ret->error_data = e->data;
	}
	return ST_OK;
}

status
nest_run(struct nest *n, const struct target *g, const struct run_request *req,
    struct run_result *ret, struct err *e)
{
	status st;

	n->req = req;
	n->res = ret;
	if (g->native)
		return native_run(n, g, req, ret, e);
	if (!n->w->iso)
		return err_internal(e, "%.*s needs an isolate", STR_ARG(g->path));
	st = placement_run(n->w->f->placement, n, g, req, ret, e);
	if (st == ST_OK || !status_deterministic(st))
		return st;
	ret->ok = false;
	ret->error = arena_str(n->arena, e->text);
	ret->error_data = e->data;
	return ST_OK;
}

static const char *
callee_name(const struct nested_call *c)
{
	return c->snapshot_query ? "SnapshotQuery" : udf_kind_name(c->kind);
}

static status
kind_check(const struct nest *n, const struct nested_call *c, struct err *e)
{
	bool query = c->kind == UDF_QUERY && !c->snapshot_query;
	bool ok = query || (n->req->kind == UDF_MUTATION &&
			       (c->kind == UDF_QUERY || c->kind == UDF_MUTATION));

	if (ok)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidFunctionCall",
	    "Cannot call a %s function from a %s function", callee_name(c),
	    udf_kind_name(n->req->kind));
}

/* Spec 04 section 1.3: there are no components. */
static status
address_resolve(struct nest *n, const struct nested_call *c, struct arena *a, str *ret_path,
    struct err *e)
{
	const str function = S("_reference/function/");

	if (c->name.n)
		return fn_path_parse(a, c->name, ret_path, e);
	if (c->handle.n)
		return handle_resolve(n->txn, c->handle, a, ret_path, e);
	if (str_starts(c->reference, function) &&
	    fn_path_parse(a, str_from(c->reference, function.n), ret_path, NULL) == ST_OK)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidReference", "Couldn't resolve %.*s",
	    STR_ARG(c->reference));
}

/* The argument array of one object. */
static status
args_wrap(struct nest *n, const struct nested_call *c, struct val *ret, struct err *e)
{
	struct pack *p = &n->w->pack;

	pack_reset(p);
	pack_array(p);
	pack_val(p, c->args);
	pack_end(p);
	return pack_done_in(p, c->arena, ret, e);
}

/* Finds the callee and checks the arguments, with all visibility (code InvalidArgs). */
static status
callee_prepare(struct nest *n, const struct nested_call *c, struct target *g, struct val *args,
    struct err *e)
{
	struct lookup l = { .want = c->kind == UDF_MUTATION ? WANT_MUTATION : WANT_QUERY,
		.identity = n->call->identity, .any_visibility = true };
	status        st;

	TRY(kind_check(n, c, e));
	TRY(address_resolve(n, c, c->arena, &l.path, e));
	st = target_resolve(n->w, n->txn, &l, g, e);
	if (st == ST_OK)
		st = args_wrap(n, c, args, e);
	if (st == ST_OK)
		st = args_check(g, n->txn, *args, e);
	if (st == ST_BAD_REQUEST && e)
		e->code = S("InvalidArgs");
	TRY(st);
	if (n->depth + 1 > NESTED_DEPTH_MAX)
		return err_set(e, ST_BAD_REQUEST, "MaximumCallDepthExceeded",
		    "Cross component call depth limit exceeded. Do you have an infinite loop in "
		    "your app?");
	return ST_OK;
}

static uint64_t
budget(const struct json *j, const char *name, uint64_t used, uint64_t fallback, uint64_t limit)
{
	double   d;
	uint64_t own = fallback;

	if (json_get_num(j, name, &d) && d >= 0)
		own = d < 1e18 ? (uint64_t)d : UINT64_MAX / 2;
	return used + own < limit ? used + own : limit;
}

/* Spec 03 section 5.5: a callee's own budget can only tighten the caller's limits. */
static struct txn_limits
limits_for(struct txn *t, const struct json *j)
{
	const struct txn_usage  *u = txn_usage(t);
	const struct txn_limits *m = txn_limits(t);

	return (struct txn_limits){
		.bytes_read = budget(j, "bytesRead", u->bytes_read, 16 << 20, m->bytes_read),
		.docs_read = budget(j, "documentsRead", u->docs_read, 32000, m->docs_read),
		.intervals = budget(j, "databaseQueries", u->intervals, 4096, m->intervals),
		.bytes_written =
		    budget(j, "bytesWritten", u->bytes_written, 16 << 20, m->bytes_written),
		.docs_written =
		    budget(j, "documentsWritten", u->docs_written, 16000, m->docs_written),
		.functions_scheduled = budget(j, "functionsScheduled", u->functions_scheduled, 1000,
		    m->functions_scheduled),
		.scheduled_args_bytes = budget(j, "scheduledFunctionArgsBytes",
		    u->scheduled_args_bytes, 16 << 20, m->scheduled_args_bytes),
	};
}

/* One run of the callee at its own level. */
static status
callee_run(struct nest *n, const struct nested_call *c, struct txn *t, const struct target *g,
    struct val args, struct run_result *ret, struct err *e)
{
	struct nest        child;
	struct run_request req = *n->req;

	nest_init(&child, n->w, n->call, t, c->arena, n->depth + 1);
	req.kind = g->kind;
	req.module = g->module;
	req.function = g->function;
	req.args = args;
	req.txn = t;
	req.host = &child.host;
	req.journal = (str){ NULL, 0 };
	req.arena = c->arena;
	req.system_left_ns = c->system_left_ns;
	os_random(db_os(n->w->f->db), req.seed, sizeof req.seed);
	return nest_run(&child, g, &req, ret, e);
}

/* What the callee answered: its value, else an error for the caller. */
static status
callee_outcome(const struct target *g, const struct run_result *res, struct err *e)
{
	status st;

	if (res->ok)
		return value_check(g, res->value, true, e);
	st = err_set_str(e, ST_BAD_REQUEST, "NestedFunctionFailed", res->error);
	if (e)
		e->data = res->error_data;
	return st;
}

/* A callee that answers too much has failed like one that throws: nothing of its writes stays. */
static status
run_in_caller(struct nest *n, const struct nested_call *c, const struct target *g, struct val args,
    struct run_result *ret, bool *ret_ran, struct err *e)
{
	struct txn_mark  *mark = g->kind == UDF_MUTATION ? txn_mark(n->txn) : NULL;
	struct query     *newest = query_newest(n->txn);
	struct txn_limits old;
	status            st;

	if (c->limits) {
		struct txn_limits own = limits_for(n->txn, c->limits);

		old = txn_set_limits(n->txn, &own);
	}
	st = callee_run(n, c, n->txn, g, args, ret, e);
	query_close_since(n->txn, newest);
	if (c->limits)
		(void)txn_set_limits(n->txn, &old);
	*ret_ran = st == ST_OK;
	if (st == ST_OK)
		st = callee_outcome(g, ret, e);
	if (mark && st == ST_OK)
		txn_release(n->txn, mark);
	else if (mark)
		txn_rollback(n->txn, mark);
	return st;
}

static status
run_on_snapshot(struct nest *n, const struct nested_call *c, const struct target *g,
    struct val args, struct run_result *ret, bool *ret_ran, struct err *e)
{
	const struct txn_opts o = { .snapshot = snapshot_ref(txn_snapshot(n->txn)),
		.component = txn_component(n->txn), .writer = g->path };
	struct txn           *t = txn_begin(&o);
	status                st = callee_run(n, c, t, g, args, ret, e);

	txn_free(t);
	*ret_ran = st == ST_OK;
	return st == ST_OK ? callee_outcome(g, ret, e) : st;
}

/* What the callee observed and printed becomes the caller's. */
static void
merge(struct run_result *caller, const struct run_result *callee, str path)
{
	caller->observed_identity |= callee->observed_identity;
	caller->observed_time |= callee->observed_time;
	caller->observed_rng |= callee->observed_rng;
	for (size_t i = 0; i < callee->logs.lines.n; i++) {
		struct logline line = callee->logs.lines.v[i];

		if (!line.udf_path.p) {
			line.component = STR_EMPTY;
			line.udf_path = path;
		}
		loglines_add(&caller->logs, &line);
	}
}

static status
nested_call(void *arg, const struct nested_call *c, struct run_result *caller, struct val *ret,
    struct err *e)
{
	struct nest      *n = arg;
	struct run_result res = { 0 };
	struct target     g;
	struct val        args;
	bool              ran = false;
	status            st;

	TRY(callee_prepare(n, c, &g, &args, e));
	loglines_init(&res.logs, c->arena);
	st = c->snapshot_query ? run_on_snapshot(n, c, &g, args, &res, &ran, e)
			       : run_in_caller(n, c, &g, args, &res, &ran, e);
	if (ran)
		merge(caller, &res, g.path);
	loglines_clear(&res.logs);
	TRY(st);
	/* The writes are the caller's by now, whatever the validator says (spec 04 section 8.1). */
	st = returns_check(&g, n->txn, res.value, e);
	if (st == ST_BAD_REQUEST && e)
		e->code = S("InvalidReturnValue");
	if (st == ST_OK)
		*ret = res.value;
	return st;
}
