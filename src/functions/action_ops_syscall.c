/* action_ops_syscall.c - the syscalls of actions by name (spec 04 section 1.7).
 *
 * Thread: the action's.  Memory: the operation's arena.
 */
#include "base/json.h"
#include "functions/action_int.h"

typedef void (*answer_fn)(struct action_state *a, struct async_op *op, const struct json *args);

static void
query(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_call(a, op, args, WANT_QUERY);
}

static void
mutation(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_call(a, op, args, WANT_MUTATION);
}

static void
action(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_call(a, op, args, WANT_ACTION);
}

static void
storage_get_url(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_storage(a, op, args, STORAGE_GET_URL);
}

static void
storage_get_metadata(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_storage(a, op, args, STORAGE_GET_METADATA);
}

static void
storage_upload_url_call(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_storage(a, op, args, STORAGE_GENERATE_UPLOAD_URL);
}

static void
storage_delete(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_op_storage(a, op, args, STORAGE_DELETE);
}

/* --- who and where --- */

static void
get_user_identity(struct action_state *a, struct async_op *op, const struct json *args)
{
	(void)args;
	if (a->identity_error.p)
		action_fail(a, op, "Unauthenticated", "%.*s", STR_ARG(a->identity_error));
	else
		action_answer(a, op, a->identity.p ? a->identity : S("null"));
}

static void
member(struct buf *b, const char *key, str s)
{
	json_key(b, key);
	if (s.p && s.n)
		json_write_str(b, s);
	else
		buf_addz(b, "null");
}

static void
answer_buf(struct action_state *a, struct async_op *op, struct buf *b)
{
	buf_add_byte(b, '}');
	action_answer(a, op, buf_str(b));
	buf_clear(b);
}

static void
get_function_metadata(struct action_state *a, struct async_op *op, const struct json *args)
{
	struct buf b;

	(void)args;
	buf_init(&b, 4096);
	buf_add_byte(&b, '{');
	member(&b, "name", fn_path_display(op->arena, a->call->path));
	json_key(&b, "componentPath");
	buf_addz(&b, "\"\"");
	answer_buf(a, op, &b);
}

static void
get_deployment_metadata(struct action_state *a, struct async_op *op, const struct json *args)
{
	struct buf b;

	(void)args;
	buf_init(&b, 4096);
	buf_add_byte(&b, '{');
	member(&b, "name", a->f->instance_name);
	member(&b, "region", STR_EMPTY);
	member(&b, "class", S("s16"));
	answer_buf(a, op, &b);
}

static void
get_request_metadata(struct action_state *a, struct async_op *op, const struct json *args)
{
	struct buf b;

	(void)args;
	buf_init(&b, 1 << 20);
	buf_add_byte(&b, '{');
	member(&b, "ip", a->call->client_ip);
	member(&b, "userAgent", a->call->client_user_agent);
	member(&b, "requestId", a->request_id);
	member(&b, "scheduledFunctionId", a->call->job_id);
	member(&b, "authToken", STR_EMPTY);
	answer_buf(a, op, &b);
}

static void
create_function_handle(struct action_state *a, struct async_op *op, const struct json *args)
{
	struct err e = err_in(op->arena);
	struct buf b;
	str        path, handle;

	if (!json_get_str(args, "functionHandle", &handle) && /* which is echoed as it is */
	    action_address_now(a, args, op->arena, &path, &handle, &e) != ST_OK) {
		action_fail_err(a, op, &e);
		return;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	json_write_str(&b, handle);
	action_answer(a, op, buf_str(&b));
	buf_clear(&b);
}

/* --- what there is not --- */

static void
vector_search(struct action_state *a, struct async_op *op, const struct json *args)
{
	(void)args;
	action_fail(a, op, "SearchUnavailable",
	    "Vector search is not supported by this server yet.");
}

static void
audit_log(struct action_state *a, struct async_op *op, const struct json *args)
{
	(void)args;
	action_fail(a, op, "AuditLogNotSupportedInAction",
	    "Audit logging is not yet supported in actions");
}

static void
no_service(struct action_state *a, struct async_op *op, const struct json *args)
{
	(void)args;
	action_fail(a, op, "ServiceUnavailable",
	    "Services of the hosted product are not available on this server.");
}

/* --- dispatch --- */

static const struct {
	const char *name;
	answer_fn   fn;
} syscalls[] = {
	{ "1.0/actions/query", query },
	{ "1.0/actions/mutation", mutation },
	{ "1.0/actions/action", action },
	{ "1.0/actions/schedule", action_op_schedule },
	{ "1.0/actions/cancel_job", action_op_cancel_job },
	{ "1.0/actions/vectorSearch", vector_search },
	{ "1.0/getUserIdentity", get_user_identity },
	{ "1.0/storageGetUrl", storage_get_url },
	{ "1.0/storageGetMetadata", storage_get_metadata },
	{ "1.0/storageGenerateUploadUrl", storage_upload_url_call },
	{ "1.0/storageDelete", storage_delete },
	{ "1.0/createFunctionHandle", create_function_handle },
	{ "1.0/getFunctionMetadata", get_function_metadata },
	{ "1.0/getDeploymentMetadata", get_deployment_metadata },
	{ "1.0/getRequestMetadata", get_request_metadata },
	{ "1.0/auditLog", audit_log },
	{ "1.0/createServiceToken", no_service },
	{ "1.0/getServiceUrl", no_service },
};

void
action_op_syscall(struct action_state *a, struct async_op *op)
{
	struct json *args;

	for (size_t i = 0; i < COUNT_OF(syscalls); i++) {
		if (!str_eq(op->name, str_z(syscalls[i].name)))
			continue;
		if (json_parse(op->arena, op->json, &args, NULL) == ST_OK)
			syscalls[i].fn(a, op, args);
		else
			action_fail(a, op, "SyscallArgsInvalidJson", "Received invalid json");
		return;
	}
	action_fail(a, op, "UnknownAsyncOperation", "Unknown async operation %.*s",
	    STR_ARG(op->name));
}
