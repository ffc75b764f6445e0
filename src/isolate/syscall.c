/* syscall.c - Convex.syscall, Convex.asyncSyscall, Convex.jsSyscall (spec 04 section 1).
 *
 * The contract of the npm package's server helpers: a name and a JSON text in, a JSON text or
 * an Error out.  It serves library code that calls it directly and versions of the package
 * that the native ctx does not know; both run the same operations.
 *
 * An asynchronous operation is performed at the call and its promise is settled at once, so
 * promises settle in the order of the calls.  One issued while modules are evaluated waits in
 * the job queue, and with it in the image, until the run executes.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/action_int.h"
#include "isolate/syscall_int.h"

#define RESULT_MAX ((size_t)64 << 20)

/* --- members of the arguments --- */

status
syscall_bad(struct err *e, const char *arg, const char *method)
{
	status st = e->st;

	err_prefix(e, "Invalid argument `%s` for `%s`: ", arg, method);
	return st;
}

static status
missing(const char *key, const char *method, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
	    "Invalid arguments for `%s`: missing field `%s`", method, key);
}

status
syscall_opt_str(const struct json *args, const char *key, const char *method, str *ret,
    struct err *e)
{
	const struct json *j = json_get(args, key);

	*ret = (str){ NULL, 0 };
	if (json_is_null(j))
		return ST_OK;
	if (j->kind != JSON_STRING)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `%s` for `%s`: expected a string", key, method);
	*ret = j->string;
	return ST_OK;
}

status
syscall_str(const struct json *args, const char *key, const char *method, str *ret, struct err *e)
{
	TRY(syscall_opt_str(args, key, method, ret, e));
	return ret->p ? ST_OK : missing(key, method, e);
}

/* The members of a patch: {"$undefined":null} may stand for a member, not inside of one. */
static status
read_patch(struct pack *p, const struct json *j, struct err *e)
{
	pack_object(p);
	for (size_t i = 0; i < j->n; i++) {
		const struct json *v = &j->items[i];

		pack_key(p, j->keys[i]);
		if (v->kind == JSON_OBJECT && v->n == 1 && str_eq(v->keys[0], S("$undefined")))
			pack_undefined(p);
		else
			TRY(vjson_read(p, v, VJSON_COMMIT_TS, e));
	}
	pack_end(p);
	return ST_OK;
}

status
syscall_object(struct engine *en, const struct json *args, const char *key, const char *method,
    int allow, struct val *ret, struct err *e)
{
	const struct json *j = json_get(args, key);
	struct pack        p;
	status             st;

	if (!j)
		return missing(key, method, e);
	if (j->kind != JSON_OBJECT) {
		err_set(e, ST_BAD_REQUEST, "InvalidArgument", "Value must be an Object");
		return syscall_bad(e, key, method);
	}
	pack_init(&p);
	st = allow & VJSON_UNDEFINED ? read_patch(&p, j, e) : vjson_read(&p, j, allow, e);
	if (st == ST_OK)
		st = pack_done_in(&p, en->run->arena, ret, e);
	pack_clear(&p);
	return st == ST_OK ? st : syscall_bad(e, key, method);
}

/* --- dispatch --- */

static syscall_fn *
find_in(const struct syscall *table, size_t n, str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name, str_z(table[i].name)))
			return table[i].fn;
	return NULL;
}

static syscall_fn *
find(str name, bool async)
{
	syscall_fn *fn = async ?
	    find_in(syscalls_db_async, syscalls_db_async_count, name) :
	    find_in(syscalls_db_sync, syscalls_db_sync_count, name);

	if (fn)
		return fn;
	return async ? find_in(syscalls_host_async, syscalls_host_async_count, name) :
	    find_in(syscalls_host_sync, syscalls_host_sync_count, name);
}

/* True in both phases of actions and HTTP actions. */
static bool
run_of_action(const struct engine *en)
{
	return en->env == ENV_UDF && en->run && en->run->req &&
	    en->run->req->kind >= UDF_ACTION;
}

/* Operations that module evaluation may not use (section 1.10). */
static status
refuse_at_import(struct engine *en, str name, struct err *e)
{
	const char *where = "at import time", *code = "NoSyscallDuringImport";

	if (en->env == ENV_UDF && !run_of_action(en))
		return err_set(e, ST_BAD_REQUEST, "NoDbDuringImport",
		    "Can't use database at import time");
	if (en->env == ENV_SCHEMA) {
		where = "when evaluating schema";
		code = "NoSyscallInSchema";
	} else if (en->env == ENV_AUTH) {
		where = "when evaluating auth config file";
		code = "NoSyscallDuringAuthConfig";
	} else if (en->env == ENV_APP) {
		where = "when evaluating app definition";
		code = "NoSyscallDuringAppDefinitionEvaluation";
	}
	return err_set(
	    e, ST_BAD_REQUEST, code, "Syscall %.*s unsupported %s", STR_ARG(name), where);
}

static bool
executing(const struct engine *en)
{
	return en->run && (en->run->txn || en->run->action) && en->phase == PHASE_EXECUTE;
}

status
syscall_perform(struct engine *en, str name, str text, bool async, struct buf *out, struct err *e)
{
	syscall_fn  *fn = find(name, async);
	struct json *args;
	status       st;

	if (run_of_action(en) && async) /* else it went to the host */
		return refuse_at_import(en, name, e);
	if (run_of_action(en) && !str_eq(name, S("1.0/componentArgument")))
		fn = NULL;
	if (!fn && async)
		return err_set(e, ST_BAD_REQUEST, "UnknownAsyncOperation",
		    "Unknown async operation %.*s", STR_ARG(name));
	if (!fn)
		return err_set(e, ST_BAD_REQUEST, "UnknownOperation", "Unknown operation %.*s",
		    STR_ARG(name));
	if (!executing(en))
		return refuse_at_import(en, name, e);
	st = json_parse(en->run->arena, text, &args, e);
	if (st != ST_OK) {
		err_prefix(e, "Received invalid json: ");
		e->code = S("SyscallArgsInvalidJson");
		return st;
	}
	return fn(en, args, out, e);
}

/* The result as a string, or an exception. */
static JSValue
perform_js(JSContext *ctx, JSValueConst name, JSValueConst text, bool async)
{
	struct engine *en = engine_of(ctx);
	struct arena  *own = en->run ? NULL : arena_new(), *a = own ? own : en->run->arena;
	struct err     e = err_in(a);
	struct buf     out;
	JSValue        ret = JS_EXCEPTION;
	str            n, t;

	if (executing(en) && !ctx_run(ctx)) /* the arena is full */
		return JS_EXCEPTION;
	buf_init(&out, RESULT_MAX);
	UNDO_ON_JUMP(undo_buf, &out);
	UNDO_ON_JUMP(undo_arena, own);
	if (js_to_str(ctx, name, a, &n) && js_to_str(ctx, text, a, &t)) {
		if (!str_utf8_valid(t))
			err_set(&e, ST_BAD_REQUEST, "SyscallArgsInvalidJson",
			    "Received invalid json: lone surrogate in a string");
		else if (syscall_perform(en, n, t, async, &out, &e) == ST_OK && !buf_ok(&out))
			err_set(&e, ST_BAD_REQUEST, "SyscallResultTooLarge",
			    "The result of %.*s is larger than %zu bytes", STR_ARG(n), RESULT_MAX);
		ret = e.st == ST_OK ? js_from_str(ctx, buf_str(&out)) : js_throw_err(ctx, &e);
	}
	buf_clear(&out);
	arena_free(own);
	return ret;
}

static JSValue
wrong_arity(JSContext *ctx, const char *what)
{
	struct engine *en = engine_of(ctx);
	struct err     e = err_in(en->run ? en->run->arena : NULL);

	(void)err_internal(&e, "%s() takes 2 arguments", what);
	return js_throw_err(ctx, &e);
}

static JSValue
convex_syscall(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)magic;
	return argc == 2 ? perform_js(ctx, argv[0], argv[1], false) : wrong_arity(ctx, "syscall");
}

/* The job of an operation that was issued at import: data is name and text. */
static JSValue
deferred(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic,
    JSValueConst *data)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return perform_js(ctx, data[0], data[1], true);
}

static JSValue
defer(JSContext *ctx, JSValueConst *argv)
{
	JSValue now = JS_NewSettledPromise(ctx, false, JS_UNDEFINED), job, ret;

	if (JS_IsException(now))
		return now;
	job = JS_NewCFunctionData(ctx, deferred, 0, 0, 2, argv);
	ret = JS_IsException(job) ? job : JS_PromiseThen(ctx, now, job, JS_UNDEFINED);
	JS_FreeValue(ctx, job);
	JS_FreeValue(ctx, now);
	return ret;
}

static bool
is_read(JSContext *ctx, JSValueConst name)
{
	size_t      n;
	const char *text = JS_IsString(name) ? JS_ToCStringLen(ctx, &n, name) : NULL;
	bool        is = text && (str_eq(str_of(text, n), S("1.0/get")) ||
	    str_eq(str_of(text, n), S("1.0/queryStreamNext")));

	JS_FreeCString(ctx, text);
	return is;
}

static JSValue
convex_async_syscall(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct engine *en = engine_of(ctx);
	JSValue        result;

	(void)this_val, (void)magic;
	if (argc != 2)
		return wrong_arity(ctx, "asyncSyscall");
	if (action_of(ctx))
		return js_promise_of(ctx, async_syscall(ctx, argv[0], argv[1]));
	if (en->env == ENV_UDF && en->phase == PHASE_IMPORT && !run_of_action(en))
		return defer(ctx, argv);
	result = perform_js(ctx, argv[0], argv[1], true);
	return is_read(ctx, argv[0]) ? js_promise_of_read(ctx, result) :
				       js_promise_of(ctx, result);
}

/* jsSyscall(name, args) before the prelude puts its own in this place. */
static JSValue
convex_js_syscall(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const char *name = JS_ToCString(ctx, js_arg(argc, argv, 0));
	const char *what = NULL;

	(void)this_val, (void)magic;
	if (!name)
		return JS_EXCEPTION;
	if (strcmp(name, "storage/storeBlob") == 0)
		what = "storage.store()";
	else if (strcmp(name, "storage/getBlob") == 0)
		what = "storage.get()";
	if (what)
		js_throw_fmt(ctx, JSE_ERROR,
		    "Can't use %s in queries and mutations. Please consider using "
		    "an action. See https://docs.convex.dev/functions/actions for more details.",
		    what);
	else
		js_throw_uncatchable(ctx, "Unknown JS syscall: %s", name);
	JS_FreeCString(ctx, name);
	return what ? js_promise_of(ctx, JS_EXCEPTION) : JS_EXCEPTION;
}

void
syscalls_install(struct engine *en, JSValueConst convex)
{
	static const struct method methods[] = {
		{ "syscall", 2, convex_syscall, 0 },
		{ "asyncSyscall", 2, convex_async_syscall, 0 },
		{ "jsSyscall", 2, convex_js_syscall, 0 },
	};

	must(js_methods(en->ctx, convex, methods, COUNT_OF(methods), true));
}
