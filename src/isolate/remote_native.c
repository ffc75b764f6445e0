/* remote_native.c - natives of the prelude, called for an engine in another process.
 *
 * The isolate keeps one engine whose context has the host object and otherwise runs nothing.
 * Arguments are numbers, strings, booleans and Uint8Arrays, some of which are filled; results are
 * one of the first three, or bytes.
 *
 * Thread: the isolate's.  Memory: the engine's heap, reset after each call; the run's scratch.
 */
#include "isolate/natives_int.h"
#include "isolate/remote_int.h"
#include "runtime/thread.h"

#define ARGS_MAX 16

struct native_call {
	struct remote     *r;
	struct engine     *en;
	const struct json *header;
	str                bytes;
	struct buf        *ret_header, *ret_bytes;
};

struct byte_arg {
	str given;
	int at;
};

static JSValue
scalar(JSContext *ctx, const struct json *j)
{
	switch (j->kind) {
	case JSON_STRING:
		return js_from_str(ctx, j->string);
	case JSON_NUMBER:
		return JS_NewNumber(ctx, j->number);
	case JSON_BOOL:
		return JS_NewBool(ctx, j->boolean);
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return JS_UNDEFINED;
}

/* Builds the arguments; the Uint8Arrays are noted in `b`.  How many there are of them; -1: the
 * header lies about its bytes. */
static int
build(struct native_call *c, JSValue *args, struct byte_arg *b)
{
	const struct json *a = json_get(c->header, "args");
	str                rest = c->bytes;
	int                n = 0;

	for (size_t i = 0; i < a->n; i++) {
		uint32_t size;

		if (a->items[i].kind != JSON_OBJECT) {
			args[i] = scalar(c->en->ctx, &a->items[i]);
			continue;
		}
		if (!json_get_u32(&a->items[i], "b", &size) || size > rest.n)
			return -1;
		args[i] = JS_NewUint8ArrayCopy(c->en->ctx, (const uint8_t *)rest.p, size);
		b[n++] = (struct byte_arg){ .given = str_head(rest, size), .at = (int)i };
		rest = str_from(rest, size);
	}
	return n;
}

static void
write_changed(struct native_call *c, const JSValue *args, const struct byte_arg *b, int n)
{
	buf_addz(c->ret_header, "{\"changed\":[");
	for (int i = 0; i < n; i++) {
		size_t   size;
		uint8_t *p = JS_GetUint8Array(c->en->ctx, &size, args[b[i].at]);

		if (!p || size != b[i].given.n || memcmp(p, b[i].given.p, size) == 0)
			continue;
		json_comma(c->ret_header);
		buf_fmt(c->ret_header, "%d", i);
		buf_add(c->ret_bytes, str_of(p, size));
	}
	buf_addz(c->ret_header, "]");
}

static void
write_bytes(struct native_call *c, const uint8_t *p, size_t n, bool buffer)
{
	buf_fmt(c->ret_header, ",\"bytes\":%zu,\"buffer\":%s", n, buffer ? "true" : "false");
	buf_add(c->ret_bytes, str_of(p, n));
}

static void
write_result(struct native_call *c, JSValueConst v)
{
	JSContext *ctx = c->en->ctx;
	str        text;
	size_t     n;
	double     d;

	if (JS_IsString(v) && js_text(ctx, v, c->r->scratch, &text)) {
		buf_addz(c->ret_header, ",\"value\":");
		json_write_str(c->ret_header, text);
	} else if (JS_IsBool(v)) {
		buf_fmt(c->ret_header, ",\"value\":%s", JS_ToBool(ctx, v) ? "true" : "false");
	} else if (JS_IsNumber(v) && JS_ToFloat64(ctx, &d, v) == 0) {
		buf_fmt(c->ret_header, ",\"value\":%.17g", d);
	} else if (JS_IsArrayBuffer(v)) {
		const uint8_t *p = JS_GetArrayBuffer(ctx, &n, v);

		write_bytes(c, p, n, true);
	} else if (JS_IsObject(v)) {
		const uint8_t *p = JS_GetUint8Array(ctx, &n, v);

		if (p)
			write_bytes(c, p, n, false);
	}
	buf_addz(c->ret_header, "}");
}

static void
write_thrown(struct native_call *c)
{
	JSValue thrown = JS_GetException(c->en->ctx);
	str     name = S("Error"), message = STR_EMPTY;

	(void)js_text_of(c->en->ctx, thrown, "name", c->r->scratch, &name);
	(void)js_text_of(c->en->ctx, thrown, "message", c->r->scratch, &message);
	buf_addz(c->ret_header, "{\"thrown\":{\"name\":");
	json_write_str(c->ret_header, name);
	buf_addz(c->ret_header, ",\"message\":");
	json_write_str(c->ret_header, message);
	buf_addz(c->ret_header, "}}");
}

/* Runs inside guard_call(). */
static void
call(void *arg)
{
	struct native_call *c = arg;
	JSContext          *ctx = c->en->ctx;
	JSValue             args[ARGS_MAX], fn, result;
	struct byte_arg     bytes[ARGS_MAX];
	const struct json  *a = json_get(c->header, "args");
	str                 name;
	int                 n;

	if (!json_get_str(c->header, "name", &name) || !a || a->kind != JSON_ARRAY ||
	    a->n > ARGS_MAX)
		return;
	fn = JS_GetPropertyStr(ctx, c->en->natives, arena_str(c->r->scratch, name).p);
	n = build(c, args, bytes);
	if (n < 0 || !JS_IsFunction(ctx, fn))
		return;
	result = JS_Call(ctx, fn, JS_UNDEFINED, (int)a->n, args);
	if (JS_IsException(result)) {
		write_thrown(c);
		return;
	}
	write_changed(c, args, bytes, n);
	write_result(c, result);
}

static struct engine *
natives_swap(struct isolate *iso, struct engine *en)
{
	struct engine *before;

	MUTEX_GUARD(&iso->lock);
	before = iso->natives;
	iso->natives = en;
	return before;
}

static status
natives_take(struct isolate *iso, struct engine **ret, struct err *e)
{
	*ret = natives_swap(iso, NULL);
	if (*ret)
		return ST_OK;
	TRY(engine_new(iso, ENV_UDF, NULL, ret, e));
	engine_seal(*ret);
	return ST_OK;
}

void
remote_native(struct remote *r, const struct json *header, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct isolate    *iso = r->en.iso;
	struct err         e = err_in(r->req->arena);
	struct native_call c = { .r = r, .header = header, .bytes = bytes,
		.ret_header = ret_header, .ret_bytes = ret_bytes };
	struct run        *run = r->en.run;
	enum jump          why;

	if (natives_take(iso, &c.en, &e) != ST_OK) {
		run_fail(&r->en, &e);
		return;
	}
	c.en->phase = r->en.phase;
	run->cpu_paused_ns = 0;
	run->cpu_before_ns = r->spent_ns + r->native_ns;
	engine_enter(c.en, run);
	why = guard_call(c.en, call, &c);
	if (why != JUMP_NONE)
		(void)run_broken(c.en, why);
	r->native_ns = run_user_ns(run) - r->spent_ns;
	engine_leave(c.en, NULL);
	if (why == JUMP_NONE) {
		engine_reset(c.en);
		c.en = natives_swap(iso, c.en); /* one is enough */
	}
	engine_free(c.en);
	if (ret_header->n == 0 && !run->terminated) {
		(void)err_internal(&e, "a native of the full engine that does not exist");
		run_fail(&r->en, &e);
	}
}

str
remote_prelude(void)
{
	return str_of(prelude_js, prelude_js_len);
}

static void
add_names(struct buf *b, const struct method *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_comma(b);
		json_write_str(b, str_z(m[i].name));
	}
}

void
remote_natives(struct buf *b)
{
	add_names(b, natives_text, natives_text_count);
	add_names(b, natives_encoding, natives_encoding_count);
	add_names(b, natives_domain, natives_domain_count);
	add_names(b, natives_crypto, natives_crypto_count);
}
