/* syscall_host.c - syscalls beside the database: calls, scheduling, identity, metadata.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "base/enc.h"
#include "isolate/engine_int.h"
#include "isolate/syscall_int.h"

/* --- calls --- */

/* The one address of section 1.3. */
static status
address(const struct json *args, const char *method, struct nested_call *c, struct err *e)
{
	TRY(syscall_opt_str(args, "name", method, &c->name, e));
	TRY(syscall_opt_str(args, "reference", method, &c->reference, e));
	TRY(syscall_opt_str(args, "functionHandle", method, &c->handle, e));
	if (c->handle.n)
		c->name = c->reference = STR_EMPTY;
	else if (c->reference.n)
		c->name = STR_EMPTY;
	if (!c->name.n && !c->reference.n && !c->handle.n)
		return err_set(
		    e, ST_BAD_REQUEST, "InvalidArgument", "Missing required argument 'name'");
	return ST_OK;
}

static status
udf_type(const struct json *args, struct nested_call *c, struct err *e)
{
	str type;

	TRY(syscall_str(args, "udfType", "runUdf", &type, e));
	if (str_eq(type, S("query")) || str_eq(type, S("snapshotQuery"))) {
		c->kind = UDF_QUERY;
		c->snapshot_query = !str_eq(type, S("query"));
	} else if (str_eq(type, S("mutation"))) {
		c->kind = UDF_MUTATION;
	} else if (str_eq(type, S("action"))) {
		c->kind = UDF_ACTION; /* refused with the others */
	} else {
		err_set(e, ST_BAD_REQUEST, "InvalidArgument", "unknown type of function");
		return syscall_bad(e, "udfType", "runUdf");
	}
	return ST_OK;
}

static status
run_udf(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct nested_call c = { 0 };
	struct val         ret;
	status             st;

	TRY(udf_type(args, &c, e));
	TRY(syscall_object(en, args, "args", "runUdf", VJSON_COMMIT_TS, &c.args, e));
	TRY(address(args, "runUdf", &c, e));
	if (!json_is_null(json_get(args, "transactionLimits")))
		c.limits = json_get(args, "transactionLimits");
	c.arena = arena_new();
	st = op_run_udf(en, &c, &ret, e);
	if (st == ST_OK)
		vjson_write(out, ret, VJSON_ENCODED);
	else if (e->data.p)
		e->data = arena_str(en->run->arena, e->data);
	arena_free(c.arena);
	return st;
}

static status
schedule(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct nested_call c = { 0 };
	double             ts;
	str                id;

	TRY(address(args, "scheduler", &c, e));
	if (!json_get_num(args, "ts", &ts))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `ts` for `scheduler`: expected a timestamp in seconds");
	TRY(syscall_object(en, args, "args", "scheduler", VJSON_PLAIN, &c.args, e));
	TRY(op_schedule(en, &c, ts, &id, e));
	json_write_str(out, id);
	return ST_OK;
}

static status
cancel_job(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	str id;

	TRY(syscall_str(args, "id", "db.cancel_job", &id, e));
	TRY(op_cancel_job(en, id, e));
	buf_addz(out, "null");
	return ST_OK;
}

static status
create_handle(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct nested_call c = { 0 };
	str                handle;

	TRY(address(args, "createFunctionHandle", &c, e));
	TRY(op_create_handle(en, &c, &handle, e));
	json_write_str(out, handle);
	return ST_OK;
}

/* --- who and where --- */

static status
get_user_identity(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	str json;

	(void)args;
	TRY(op_identity(en, &json, e));
	buf_add(out, json.p ? json : S("null"));
	return ST_OK;
}

static status
function_metadata(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args, (void)e;
	op_function_metadata(en, out);
	return ST_OK;
}

static status
deployment_metadata(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args, (void)e;
	op_deployment_metadata(en, out);
	return ST_OK;
}

static status
transaction_metrics(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args, (void)e;
	op_transaction_metrics(en, out);
	return ST_OK;
}

static status
request_metadata(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args;
	return op_request_metadata(en, out, e);
}

static status
snapshot_ts_call(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args, (void)e;
	buf_addz(out, "{\"$integer\":\"");
	enc_u64_base64(out, (uint64_t)op_snapshot_ts(en));
	buf_addz(out, "\"}");
	return ST_OK;
}

/* --- the rest --- */

/* --- files --- */

/* An operation on the file that `storageId` names. */
static status
of_file(struct engine *en, const struct json *args, enum storage_op op, const char *method,
    struct buf *out, struct err *e)
{
	struct storage_call c = { .op = op };
	status              st;

	TRY(syscall_str(args, "storageId", method, &c.id, e));
	st = op_storage(en, &c, out, e);
	if (st != ST_OK && e && str_eq(e->code, S("InvalidArgument")))
		return syscall_bad(e, "storageId", method);
	return st;
}

static status
storage_get_url(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return of_file(en, args, STORAGE_GET_URL, "storage.getUrl", out, e);
}

static status
storage_get_metadata(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return of_file(en, args, STORAGE_GET_METADATA, "storage.getMetadata", out, e);
}

static status
storage_delete(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return of_file(en, args, STORAGE_DELETE, "storage.delete", out, e);
}

static status
storage_get(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return of_file(en, args, STORAGE_GET, "storage.get", out, e);
}

static status
storage_upload_url(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args;
	return op_storage(en, &(struct storage_call){ .op = STORAGE_GENERATE_UPLOAD_URL }, out, e);
}

static status
storage_store(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct storage_call c = { .op = STORAGE_STORE };
	struct buf          blob;
	status              st;
	str                 text;

	TRY(syscall_str(args, "blob", "storage.store", &text, e));
	TRY(syscall_opt_str(args, "contentType", "storage.store", &c.content_type, e));
	TRY(syscall_opt_str(args, "sha256", "storage.store", &c.sha256, e));
	buf_init(&blob, BUF_MAX_DEFAULT);
	if (dec_base64(&blob, text)) {
		c.blob = buf_str(&blob);
		st = op_storage(en, &c, out, e);
	} else {
		err_set(e, ST_BAD_REQUEST, "InvalidArgument", "expected base64");
		st = syscall_bad(e, "blob", "storage.store");
	}
	buf_clear(&blob);
	return st;
}

static status
sign_jwt(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return op_sign_jwt(en, args, out, e);
}

/* Accepted and dropped: nothing here reads audit logs. */
static status
audit_log(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)en, (void)args, (void)e;
	buf_addz(out, "null");
	return ST_OK;
}

static status
component_argument(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args;
	if (uid_is_zero(en->im->component))
		return err_set(e, ST_BAD_REQUEST, "NoComponentArgs",
		    "Component arguments are not available within the app");
	buf_addz(out, "{}");
	return ST_OK;
}

/* Whether the caller may do what a system function does is checked before it runs. */
static status
require_operation(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	(void)args, (void)e;
	en->run->res->observed_identity = true;
	buf_addz(out, "{}");
	return ST_OK;
}

const struct syscall syscalls_host_sync[] = {
	{ "1.0/componentArgument", component_argument },
	{ "1.0/requireOperation", require_operation },
	{ "1.0/getSnapshotTs", snapshot_ts_call },
};
const size_t syscalls_host_sync_count = COUNT_OF(syscalls_host_sync);

const struct syscall syscalls_host_async[] = {
	{ "1.0/runUdf", run_udf },
	{ "1.0/schedule", schedule },
	{ "1.0/cancel_job", cancel_job },
	{ "1.0/getUserIdentity", get_user_identity },
	{ "1.0/storageGetUrl", storage_get_url },
	{ "1.0/storageGetMetadata", storage_get_metadata },
	{ "1.0/storageGenerateUploadUrl", storage_upload_url },
	{ "1.0/storageDelete", storage_delete },
	{ "1.0/storageStore", storage_store },
	{ "1.0/storageGet", storage_get },
	{ "1.0/createFunctionHandle", create_handle },
	{ "1.0/getFunctionMetadata", function_metadata },
	{ "1.0/getDeploymentMetadata", deployment_metadata },
	{ "1.0/getTransactionMetrics", transaction_metrics },
	{ "1.0/getRequestMetadata", request_metadata },
	{ "1.0/auditLog", audit_log },
	{ "1.0/signJwt", sign_jwt },
};
const size_t syscalls_host_async_count = COUNT_OF(syscalls_host_async);
