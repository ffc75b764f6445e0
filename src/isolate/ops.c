/* ops.c - host operations below both faces of the ctx: the native one and the syscalls.
 *
 * What an operation takes is the run's system time (spec 04 section 5.1), not its user time.  It is
 * measured by the monotonic clock: reading a thread's CPU time is a system call.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/ctx_int.h"
#include "isolate/engine_int.h"

/* --- system time --- */

static uint64_t
now(const struct engine *en)
{
	return os_mono_ns(en->iso->opts.os);
}

static status
system_left(const struct run *r, uint64_t *ret, struct err *e)
{
	if (r->system_ns >= r->system_limit_ns)
		return err_set(e, ST_OPERATIONAL, TXN_SLOW, "%s", SYSTEM_TIME_TEXT);
	*ret = r->system_limit_ns - r->system_ns;
	return ST_OK;
}

/* The run's clock stands still until end(). */
static status
begin(struct engine *en, uint64_t *ret_since, struct err *e)
{
	struct run *r = en->run;
	uint64_t    left = 0;

	TRY(system_left(r, &left, e));
	*ret_since = now(en);
	r->clock_paused = true;
	if (r->txn)
		txn_deadline(r->txn, *ret_since + left);
	return ST_OK;
}

static status
end(struct engine *en, uint64_t since, status st)
{
	struct run *r = en->run;
	uint64_t    took = now(en) - since;

	if (r->txn)
		txn_deadline(r->txn, 0);
	r->system_ns += took;
	r->cpu_paused_ns += took;
	r->clock_paused = false;
	return st;
}

/* --- documents --- */

status
op_get(struct engine *en, str table, str id, bool is_system, struct doc **ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, txn_get(en->run->txn, table, id, is_system, ret, e));
}

status
op_insert(struct engine *en, str table, struct val v, struct docid *ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, txn_insert(en->run->txn, table, v, ret, e));
}

status
op_update(struct engine *en, op_update_fn *update, str table, str id, struct val v,
    struct doc **ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, update(en->run->txn, table, id, v, ret, e));
}

status
op_delete(struct engine *en, str table, str id, struct doc **ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, txn_delete(en->run->txn, table, id, ret, e));
}

status
op_count(struct engine *en, str table, double *ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, txn_count(en->run->txn, table, ret, e));
}

status
op_query_open(struct engine *en, const struct query_spec *spec, struct query **ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, query_open(en->run->txn, spec, ret, e));
}

status
op_query_next(struct engine *en, struct query *q, struct doc **ret, struct err *e)
{
	uint64_t since;

	TRY(begin(en, &since, e));
	return end(en, since, query_next(q, ret, e));
}

/* --- calls to other functions (spec 04 section 8.1) --- */

static const char *
call_kind_name(const struct nested_call *c)
{
	return c->snapshot_query ? "SnapshotQuery" : udf_kind_name(c->kind);
}

status
op_run_udf(struct engine *en, struct nested_call *c, struct val *ret, struct err *e)
{
	struct run            *r = en->run;
	const struct run_host *host = r->req->host;
	uint64_t               since;
	status                 st;

	if (c->kind != UDF_QUERY && c->kind != UDF_MUTATION)
		goto refuse;
	if (r->req->kind == UDF_QUERY && (c->kind == UDF_MUTATION || c->snapshot_query))
		goto refuse;
	if (!host || !host->nested)
		return err_set(e, ST_BAD_REQUEST, "InvalidFunctionCall",
		    "Calls to other functions are not available here.");
	TRY(system_left(r, &c->system_left_ns, e));
	since = now(en);
	run_pause_clock(r);
	st = host->nested(host->arg, c, r->res, ret, e);
	run_resume_clock(r);
	r->system_ns += now(en) - since;
	return st;
refuse:
	return err_set(e, ST_BAD_REQUEST, "InvalidFunctionCall",
	    "Cannot call a %s function from a %s function", call_kind_name(c),
	    udf_kind_name(r->req->kind));
}

status
op_create_handle(struct engine *en, const struct nested_call *c, str *ret, struct err *e)
{
	const struct run_host *host = en->run->req->host;
	uint64_t               since;

	if (c->handle.n) { /* echoed, not checked */
		*ret = c->handle;
		return ST_OK;
	}
	if (!host || !host->create_handle)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "Function handles are not available on this server yet.");
	TRY(begin(en, &since, e));
	return end(en, since, host->create_handle(host->arg, c, ret, e));
}

/* --- the scheduler --- */

static status
check_can_write(struct engine *en, const char *what, struct err *e)
{
	if (en->run->req->kind != UDF_QUERY)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "ReadOnlyTransaction",
	    "`%s` is not allowed here: queries cannot write to the database", what);
}

status
op_schedule(struct engine *en, const struct nested_call *c, double ts_seconds, str *ret_id,
    struct err *e)
{
	const struct run_host *host = en->run->req->host;
	uint64_t               since;

	TRY(check_can_write(en, "scheduler", e));
	if (!(ts_seconds > -1e12 && ts_seconds < 1e12))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `ts` for `scheduler`: expected a timestamp in seconds");
	if (!host || !host->schedule)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "Scheduled functions are not available on this server yet.");
	TRY(begin(en, &since, e));
	return end(en, since, host->schedule(host->arg, c, ts_seconds, ret_id, e));
}

status
op_cancel_job(struct engine *en, str id, struct err *e)
{
	const struct run_host *host = en->run->req->host;
	uint64_t               since;

	TRY(check_can_write(en, "scheduler", e));
	if (!host || !host->cancel_job)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "Scheduled functions are not available on this server yet.");
	TRY(begin(en, &since, e));
	return end(en, since, host->cancel_job(host->arg, id, e));
}

status
op_storage(struct engine *en, const struct storage_call *c, struct buf *ret_json, struct err *e)
{
	const struct run_host *host = en->run->req->host;
	uint64_t               since;

	if (c->op != STORAGE_GET_URL && c->op != STORAGE_GET_METADATA)
		TRY(check_can_write(en, "storage", e));
	if (!host || !host->storage)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "File storage is not available here.");
	TRY(begin(en, &since, e));
	return end(en, since, host->storage(host->arg, c, ret_json, e));
}

status
op_sign_jwt(struct engine *en, const struct json *args, struct buf *ret_json, struct err *e)
{
	const struct run_host *host = en->run->req->host;
	const struct json     *claims = json_get(args, "claims");
	double                 seconds;
	uint64_t               since;

	TRY(check_can_write(en, "auth.signJwt", e));
	if (!host || !host->sign_jwt)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "Tokens are not signed here.");
	if (!json_get_num(args, "expiresInSeconds", &seconds))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `expiresInSeconds` for `auth.signJwt`: expected a number");
	buf_add_byte(ret_json, '"'); /* nothing in a token needs an escape */
	TRY(begin(en, &since, e));
	TRY(end(en, since, host->sign_jwt(host->arg, json_is_null(claims) ? NULL : claims, seconds,
	    ret_json, e)));
	buf_add_byte(ret_json, '"');
	return ST_OK;
}

/* --- pages --- */

status
op_page(struct engine *en, const struct query_spec *spec, struct page_opts *o, struct page *ret,
    struct err *e)
{
	struct run *r = en->run;
	uint64_t    since;

	if (r->res->paginated)
		return err_set(e, ST_BAD_REQUEST, "MultiplePaginatedDatabaseQueries",
		    "This query or mutation function ran multiple paginated queries. Convex only "
		    "supports "
		    "a single paginated query in each function.");
	if (r->req->journal.p)
		o->journal = r->req->journal;
	TRY(begin(en, &since, e));
	TRY(end(en, since, query_page(r->txn, spec, o, ret, e)));
	r->res->paginated = true;
	r->res->journal = arena_str(r->arena, ret->next_journal);
	return ST_OK;
}

/* --- who calls, and where --- */

status
op_identity(struct engine *en, str *ret_json, struct err *e)
{
	const struct run_request *req = en->run->req;

	en->run->res->observed_identity = true;
	if (req->identity_error) {
		*e = *req->identity_error;
		return e->st;
	}
	*ret_json = req->identity;
	return ST_OK;
}

static void
member_str(struct buf *b, const char *key, str s)
{
	json_key(b, key);
	if (s.p)
		json_write_str(b, s);
	else
		buf_addz(b, "null");
}

status
op_request_metadata(struct engine *en, struct buf *b, struct err *e)
{
	const struct run_request *req = en->run->req;

	if (req->kind == UDF_QUERY)
		return err_set(e, ST_BAD_REQUEST, "RequestMetadataNotAllowed",
		    "Cannot get request metadata in a Query");
	en->run->res->observed_identity = true;
	buf_add_byte(b, '{');
	member_str(b, "ip", req->client_ip);
	member_str(b, "userAgent", req->client_user_agent);
	member_str(b, "requestId", req->request_id);
	member_str(b, "scheduledFunctionId", (str){ NULL, 0 });
	member_str(b, "authToken", (str){ NULL, 0 });
	buf_add_byte(b, '}');
	return ST_OK;
}

void
op_function_metadata(struct engine *en, struct buf *b)
{
	const struct run_request *req = en->run->req;
	str                       module = req->module;
	char                      name[512];
	int                       n;

	if (str_ends(module, S(".js")))
		module.n -= 3;
	if (str_eq(req->function, S("default")))
		n = snprintf(name, sizeof name, "%.*s", STR_ARG(module));
	else
		n = snprintf(
		    name, sizeof name, "%.*s:%.*s", STR_ARG(module), STR_ARG(req->function));
	buf_add_byte(b, '{');
	member_str(b, "name", str_head(str_z(name), (size_t)n));
	member_str(b, "componentPath", STR_EMPTY);
	buf_add_byte(b, '}');
}

void
op_deployment_metadata(struct engine *en, struct buf *b)
{
	buf_add_byte(b, '{');
	member_str(b, "name", en->run->req->instance_name);
	member_str(b, "region", (str){ NULL, 0 });
	member_str(b, "class", S("s16"));
	buf_add_byte(b, '}');
}

static void
metric(struct buf *b, const char *key, uint64_t used, uint64_t limit)
{
	json_key(b, key);
	buf_fmt(b, "{\"used\":%llu,\"remaining\":%llu}", (unsigned long long)used,
	    (unsigned long long)(used < limit ? limit - used : 0));
}

void
op_transaction_metrics(struct engine *en, struct buf *b)
{
	const struct txn_usage  *u = txn_usage(en->run->txn);
	const struct txn_limits *l = txn_limits(en->run->txn);

	buf_add_byte(b, '{');
	metric(b, "bytesRead", u->bytes_read, l->bytes_read);
	metric(b, "bytesWritten", u->bytes_written, l->bytes_written);
	metric(b, "databaseQueries", u->intervals, l->intervals);
	metric(b, "documentsRead", u->docs_read, l->docs_read);
	metric(b, "documentsWritten", u->docs_written, l->docs_written);
	metric(b, "functionsScheduled", u->functions_scheduled, l->functions_scheduled);
	metric(b, "scheduledFunctionArgsBytes", u->scheduled_args_bytes, l->scheduled_args_bytes);
	buf_add_byte(b, '}');
}

int64_t
op_snapshot_ts(struct engine *en)
{
	en->run->res->observed_time = true; /* its result differs at every timestamp */
	return (int64_t)txn_ts(en->run->txn);
}
