/* async.c - operations that outlive the call which starts them (spec 04 sections 1.7, 2.6).
 *
 * A promise is made for each; its resolving functions wait in the action's list until the host
 * brings the completion.  What crosses is copied into the operation's own arena.
 *
 * Thread: the action's.  Memory: see async.h.
 */
#include "base/json.h"
#include "isolate/action_int.h"
#include "isolate/natives_int.h"

struct async_op *
async_op_new(uint32_t id, enum op_kind kind)
{
	struct arena    *a = arena_new();
	struct async_op *op = ARENA_NEW(a, struct async_op);

	op->arena = a;
	op->id = id;
	op->kind = kind;
	op->err = err_in(a);
	op->name = op->json = STR_EMPTY;
	op->bytes = (str){ NULL, 0 };
	buf_init(&op->ret_bytes, BUF_MAX_DEFAULT);
	return op;
}

void
async_op_free(struct async_op *op)
{
	if (!op)
		return;
	buf_clear(&op->ret_bytes);
	if (op->stream)
		stream_close(op->stream); /* nobody took it: whoever fills it stops */
	stream_unref(op->stream);
	arena_free(op->arena);
}

static void
undo_op(void *op)
{
	async_op_free(op);
}

/* "1.0/actions/query" -> "query"; some have the names of their methods. */
static str
syscall_label(str name)
{
	static const struct {
		const char *name, *label;
	} renamed[] = { { "shallowMerge", "patch" }, { "queryPage", "paginate" } };

	if (str_starts(name, S("1.0/")))
		name = str_from(name, 4);
	if (str_starts(name, S("actions/")))
		name = str_from(name, 8);
	for (size_t i = 0; i < COUNT_OF(renamed); i++)
		if (str_eq(name, str_z(renamed[i].name)))
			return str_z(renamed[i].label);
	return name;
}

str
async_op_label(const struct async_op *op)
{
	switch (op->kind) {
	case OP_FETCH:
		return S("fetch");
	case OP_READ:
		return S("ReadableStream");
	case OP_STORAGE_STORE:
		return S("storage.store");
	case OP_STORAGE_GET:
		return S("storage.get");
	case OP_SYSCALL:
		return syscall_label(op->name);
	case OP_SLEEP:
	case OP_CLOSED:
	case OP_ROOM:
		break;
	}
	return (str){ NULL, 0 };
}

struct action *
action_of(JSContext *ctx)
{
	struct engine *en = engine_of(ctx);

	return en->run && en->phase == PHASE_EXECUTE ? en->run->action : NULL;
}

/* --- starting one --- */

/* The promise, with its resolving functions in *p. */
static JSValue
promise_new(JSContext *ctx, struct pending_op *p)
{
	JSValue both[2], promise = JS_NewPromiseCapability(ctx, both);

	if (!JS_IsException(promise)) {
		p->resolve = both[0];
		p->reject = both[1];
	}
	return promise;
}

/* Takes the operation; nothing of the engine is called any more. */
static void
start(struct action *a, struct pending_op *p, struct async_op *op)
{
	str label = async_op_label(op);

	p->id = op->id;
	p->kind = op->kind;
	p->bytes = op->json.n + op->bytes.n;
	a->pending_bytes += p->bytes;
	p->label = label.p ? arena_str(a->en->run->arena, label) : label;
	vec_push(&a->pending, *p);
	if (op->kind != OP_SLEEP && op->kind != OP_CLOSED)
		run_stay(a->en->run); /* it cannot be begun anew any more */
	a->req->actions->start(a->req->actions->arg, op);
}

bool
async_kind_named(str name, enum op_kind *ret)
{
	static const char *const names[] = { [OP_SLEEP] = "sleep", [OP_FETCH] = "fetch",
		[OP_READ] = "read", [OP_CLOSED] = "closed", [OP_ROOM] = "room",
		[OP_STORAGE_STORE] = "storageStore", [OP_STORAGE_GET] = "storageGet" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!str_eq(name, str_z(names[i])))
			continue;
		*ret = (enum op_kind)i;
		return true;
	}
	return false;
}

/* How many there are is bounded, and what they take and leave. */
static bool
room(JSContext *ctx, const struct action *a)
{
	if (a->pending.n >= OPERATIONS_MAX) {
		js_throw_text(ctx, JSE_ERROR,
		    S("Too many concurrent operations. See "
		      "https://docs.convex.dev/functions/actions#limits for more information."));
		return false;
	}
	if (arena_bytes(a->en->run->arena) + a->pending_bytes <= OP_BYTES_MAX)
		return true;
	js_throw_memory(ctx);
	return false;
}

/* The texts go into the operation's own arena: an action may start a great many of them. */
static bool
read_op(JSContext *ctx, struct async_op *op, JSValueConst name, JSValueConst json)
{
	return js_to_str(ctx, name, op->arena, &op->name) &&
	    js_to_str(ctx, json, op->arena, &op->json);
}

/* The promise of an operation whose texts are read; takes it. */
static JSValue
launch(JSContext *ctx, struct action *a, struct async_op *op)
{
	struct pending_op p = { 0 };
	JSValue           promise = promise_new(ctx, &p);

	if (JS_IsException(promise)) {
		async_op_free(op);
		return promise;
	}
	op->id = ++a->next_id;
	start(a, &p, op);
	return promise;
}

static bool
read_host_op(JSContext *ctx, struct async_op *op, int argc, JSValueConst *argv)
{
	JSValueConst data = js_arg(argc, argv, 2);
	str          bytes;

	if (!read_op(ctx, op, js_arg(argc, argv, 0), js_arg(argc, argv, 1)))
		return false;
	if (!async_kind_named(op->name, &op->kind)) {
		js_throw_fmt(ctx, JSE_TYPE, "no operation %.*s", STR_ARG(op->name));
		return false;
	}
	op->name = STR_EMPTY;
	if (!JS_IsObject(data))
		return true;
	if (!js_bytes(ctx, data, &bytes))
		return false;
	op->bytes = arena_str(op->arena, bytes);
	return true;
}

/* host.op(kind, json, bytes) */
static JSValue
native_op(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action   *a = action_of(ctx);
	struct async_op *op;

	(void)this_val, (void)magic;
	if (!a)
		return js_throw_text(ctx, JSE_TYPE, S("not in an action"));
	if (!room(ctx, a))
		return JS_EXCEPTION;
	op = async_op_new(0, OP_SLEEP);
	UNDO_ON_JUMP(undo_op, op);
	if (read_host_op(ctx, op, argc, argv))
		return launch(ctx, a, op);
	async_op_free(op);
	return JS_EXCEPTION;
}

JSValue
async_syscall(JSContext *ctx, JSValueConst name, JSValueConst args)
{
	struct action   *a = action_of(ctx);
	struct async_op *op;

	if (!room(ctx, a))
		return JS_EXCEPTION;
	op = async_op_new(0, OP_SYSCALL);
	UNDO_ON_JUMP(undo_op, op);
	if (read_op(ctx, op, name, args))
		return launch(ctx, a, op);
	async_op_free(op);
	return JS_EXCEPTION;
}

static JSValue
native_last_op(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);

	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_NewInt32(ctx, a ? (int32_t)a->next_id : 0);
}

static JSValue
native_cancel_op(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);
	uint32_t       id;

	(void)this_val, (void)magic;
	if (JS_ToUint32(ctx, &id, js_arg(argc, argv, 0)) < 0)
		return JS_EXCEPTION;
	for (size_t i = 0; a && i < a->pending.n; i++) {
		if (a->pending.v[i].id != id)
			continue;
		a->pending_bytes -= a->pending.v[i].bytes;
		a->pending.v[i] = a->pending.v[--a->pending.n];
		a->req->actions->cancel(a->req->actions->arg, id);
		break;
	}
	return JS_UNDEFINED;
}

static JSValue
native_in_action(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)argc, (void)argv, (void)magic;
	return JS_NewBool(ctx, action_of(ctx) != NULL);
}

/* --- streams --- */

static bool
stream_id(JSContext *ctx, JSValueConst v, uint64_t *ret)
{
	size_t      n;
	const char *text = JS_IsString(v) ? JS_ToCStringLen(ctx, &n, v) : NULL;
	bool        ok = text && str_to_u64(str_of(text, n), ret);

	JS_FreeCString(ctx, text);
	if (!ok)
		js_throw_text(ctx, JSE_TYPE, S("no such stream"));
	return ok;
}

static JSValue
native_new_stream(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);
	char           text[24];

	(void)this_val, (void)argc, (void)argv, (void)magic;
	if (!a)
		return js_throw_text(ctx, JSE_TYPE, S("not in an action"));
	snprintf(text, sizeof text, "%llu",
	    (unsigned long long)a->req->actions->stream_new(a->req->actions->arg));
	return JS_NewString(ctx, text);
}

/* host.writeStream(id, bytes, done): false when nobody reads any more. */
static JSValue
native_write_stream(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);
	str            bytes = { NULL, 0 }, none = { NULL, 0 };
	uint64_t       id;

	(void)this_val, (void)magic;
	if (!a || !stream_id(ctx, js_arg(argc, argv, 0), &id) ||
	    (JS_IsObject(js_arg(argc, argv, 1)) && !js_bytes(ctx, argv[1], &bytes)))
		return JS_EXCEPTION;
	return JS_NewBool(ctx, a->req->actions->stream_write(a->req->actions->arg, id, bytes,
	    JS_ToBool(ctx, js_arg(argc, argv, 2)) > 0, none));
}

static JSValue
native_fail_stream(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);
	str            why, none = { NULL, 0 };
	uint64_t       id;

	(void)this_val, (void)magic;
	if (!a || !stream_id(ctx, js_arg(argc, argv, 0), &id) ||
	    !js_to_str(ctx, js_arg(argc, argv, 1), a->en->run->arena, &why))
		return JS_EXCEPTION;
	(void)a->req->actions->stream_write(a->req->actions->arg, id, none, false, why);
	return JS_UNDEFINED;
}

static JSValue
native_drop_stream(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct action *a = action_of(ctx);
	uint64_t       id;

	(void)this_val, (void)magic;
	if (!a || !stream_id(ctx, js_arg(argc, argv, 0), &id))
		return JS_EXCEPTION;
	a->req->actions->stream_drop(a->req->actions->arg, id);
	return JS_UNDEFINED;
}

const struct method natives_async[] = {
	{ "op", 3, native_op, 0 },
	{ "lastOp", 0, native_last_op, 0 },
	{ "cancelOp", 1, native_cancel_op, 0 },
	{ "inAction", 0, native_in_action, 0 },
	{ "newStream", 0, native_new_stream, 0 },
	{ "writeStream", 3, native_write_stream, 0 },
	{ "failStream", 2, native_fail_stream, 0 },
	{ "dropStream", 1, native_drop_stream, 0 },
};
const size_t natives_async_count = COUNT_OF(natives_async);

/* --- completions --- */

static JSValue
bytes_value(JSContext *ctx, str bytes)
{
	JSValue ab = JS_NewArrayBufferCopy(ctx, (const uint8_t *)bytes.p, bytes.n), ret;

	if (JS_IsException(ab))
		return ab;
	ret = JS_NewTypedArray(ctx, 1, &ab, JS_TYPED_ARRAY_UINT8);
	JS_FreeValue(ctx, ab);
	return ret;
}

/* [json, bytes], or the JSON alone for a syscall. */
static JSValue
answer(JSContext *ctx, const struct async_op *op)
{
	JSValue json = js_from_str(ctx, op->ret_json), list;

	if (op->kind == OP_SYSCALL || JS_IsException(json))
		return json;
	list = JS_NewArray(ctx);
	if (JS_IsException(list) || JS_SetPropertyUint32(ctx, list, 0, json) < 0)
		return JS_EXCEPTION;
	if (op->has_bytes &&
	    JS_SetPropertyUint32(ctx, list, 1, bytes_value(ctx, buf_str(&op->ret_bytes))) < 0)
		return JS_EXCEPTION;
	return list;
}

/* Spec 04 section 1.2: in actions every failure is an Error with the text for users. */
static JSValue
failure(JSContext *ctx, const struct async_op *op)
{
	bool    type = op->error_class && strcmp(op->error_class, "TypeError") == 0;
	JSValue error;

	(void)js_throw_text(ctx, type ? JSE_TYPE : JSE_ERROR, op->err.text);
	error = JS_GetException(ctx);
	if (op->err.data.p && JS_IsObject(error))
		(void)js_put(ctx, error, engine_of(ctx)->cx->atoms.data,
		    js_from_json(ctx, op->err.data));
	return error;
}

void
async_complete(struct action *a, struct async_op *op)
{
	JSContext        *ctx = a->en->ctx;
	struct pending_op p = { .id = 0 };
	JSValue           v;

	UNDO_ON_JUMP(undo_op, op);
	for (size_t i = 0; i < a->pending.n && p.id == 0; i++) {
		if (a->pending.v[i].id != op->id)
			continue;
		p = a->pending.v[i];
		a->pending_bytes -= p.bytes;
		a->pending.n--;
		memmove(&a->pending.v[i], &a->pending.v[i + 1], (a->pending.n - i) * sizeof p);
	}
	if (p.id != 0) {
		v = op->st == ST_OK ? answer(ctx, op) : failure(ctx, op);
		if (JS_IsException(v))
			v = JS_GetException(ctx);
		JS_FreeValue(ctx,
		    JS_Call(ctx, op->st == ST_OK ? p.resolve : p.reject, JS_UNDEFINED, 1, &v));
		JS_FreeValue(ctx, v);
	}
	async_op_free(op);
}
