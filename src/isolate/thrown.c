/* thrown.c - what a thrown value looks like outside: text, data (spec 04 section 2.7).
 *
 * Nothing here trusts a thrown value: getters may throw, names may be anything.
 *
 * Thread: the isolate's.  Memory: results in the caller's arena.
 */
#include "isolate/engine_int.h"
#include "value/vjson.h"

#define MESSAGE_MAX 65536

static void
drop_exception(JSContext *ctx)
{
	JS_FreeValue(ctx, JS_GetException(ctx));
}

/* The engine writes lone surrogates as three bytes that are not UTF-8. */
static str
copy_valid(struct arena *a, const char *p, size_t n)
{
	char *out;

	if (str_utf8_valid(str_of(p, n)))
		return arena_str(a, str_of(p, n));
	out = arena_alloc(a, n + 1);
	memcpy(out, p, n);
	out[n] = 0;
	for (size_t i = 0; i + 2 < n; i++)
		if ((uint8_t)out[i] == 0xed && (uint8_t)out[i + 1] >= 0xa0)
			memcpy(out + i, "\xef\xbf\xbd", 3);
	return str_of(out, n);
}

bool
js_text(JSContext *ctx, JSValueConst v, struct arena *a, str *ret)
{
	size_t      n;
	const char *p = JS_ToCStringLen(ctx, &n, v);

	if (!p) {
		drop_exception(ctx);
		return false;
	}
	*ret = copy_valid(a, p, n);
	JS_FreeCString(ctx, p);
	return true;
}

/* Undefined if reading it throws. */
static JSValue
get_quietly(JSContext *ctx, JSValueConst obj, const char *name)
{
	JSValue v = JS_GetPropertyStr(ctx, obj, name);

	if (!JS_IsException(v))
		return v;
	drop_exception(ctx);
	return JS_UNDEFINED;
}

bool
js_text_of(JSContext *ctx, JSValueConst obj, const char *name, struct arena *a, str *ret)
{
	JSValue v = get_quietly(ctx, obj, name);
	bool    ok = JS_IsString(v) && js_text(ctx, v, a, ret);

	JS_FreeValue(ctx, v);
	return ok;
}

/* --- texts --- */


static bool
is_error(struct engine *en, JSValueConst v)
{
	JSContext *ctx = en->ctx;
	JSValue    at;
	bool       found = false;

	if (!JS_IsObject(v))
		return false;
	if (JS_IsError(v))
		return true;
	at = JS_DupValue(ctx, v);
	for (int depth = 0; depth < 1000 && JS_IsObject(at) && !found; depth++) {
		JSValue up = JS_GetPrototype(ctx, at);

		JS_FreeValue(ctx, at);
		at = up;
		found = JS_IsObject(at) &&
		    JS_VALUE_GET_PTR(at) == JS_VALUE_GET_PTR(en->im->error_proto);
	}
	if (JS_IsException(at))
		drop_exception(ctx);
	else
		JS_FreeValue(ctx, at);
	return found;
}

/* How V8 prints objects that nobody made printable: #<Name>. */
static str
object_text(JSContext *ctx, JSValueConst v, struct arena *a)
{
	JSValue ctor;
	str     name = STR_EMPTY;

	if (JS_IsArray(v))
		return S("[object Array]");
	if (JS_IsFunction(ctx, v) && js_text(ctx, v, a, &name))
		return name;
	ctor = get_quietly(ctx, v, "constructor");
	if (!JS_IsObject(ctor) || !js_text_of(ctx, ctor, "name", a, &name) || name.n == 0)
		name = S("Object");
	JS_FreeValue(ctx, ctor);
	return arena_fmt(a, "#<%.*s>", STR_ARG(name));
}

static str
value_text(JSContext *ctx, JSValueConst v, struct arena *a)
{
	str text = STR_EMPTY;

	if (JS_IsSymbol(v)) {
		str description;

		if (!js_text_of(ctx, v, "description", a, &description))
			description = STR_EMPTY;
		return arena_fmt(a, "Symbol(%.*s)", STR_ARG(description));
	}
	if (JS_IsObject(v))
		return object_text(ctx, v, a);
	return js_text(ctx, v, a, &text) ? text : STR_EMPTY;
}

static str
error_message(struct engine *en, JSValueConst thrown, struct arena *a)
{
	str name, message;

	if (!is_error(en, thrown)) {
		message = value_text(en->ctx, thrown, a);
		name = STR_EMPTY;
	} else {
		if (!js_text_of(en->ctx, thrown, "name", a, &name))
			name = S("Error");
		if (!js_text_of(en->ctx, thrown, "message", a, &message))
			message = STR_EMPTY;
	}
	return error_text(a, name, message);
}

str
error_text(struct arena *a, str name, str message)
{
	str parts[] = { S("Uncaught"), name.n ? S(" ") : name, str_utf8_cut(name, MESSAGE_MAX),
		message.n == 0 ? message : name.n ? S(": ") : S(" "),
		str_utf8_cut(message, MESSAGE_MAX) };

	return arena_join(a, parts, COUNT_OF(parts));
}

/* True if obj[symbol] is true; `symbol` is taken. */
static bool
has_mark(JSContext *ctx, JSValueConst obj, JSValue symbol)
{
	JSAtom  atom = JS_ValueToAtom(ctx, symbol);
	JSValue v = JS_GetProperty(ctx, obj, atom);
	bool    yes = JS_IsBool(v) && JS_ToBool(ctx, v) == 1;

	if (JS_IsException(v))
		drop_exception(ctx);
	else
		JS_FreeValue(ctx, v);
	JS_FreeAtom(ctx, atom);
	JS_FreeValue(ctx, symbol);
	return yes;
}

/* Data that the npm helper turned into JSON text already. */
static bool
data_from_text(struct engine *en, JSValueConst thrown, struct arena *a, str *ret, struct err *e)
{
	str        text;
	struct val v;
	struct buf b;

	if (!js_text_of(en->ctx, thrown, "data", a, &text)) {
		err_set(e, ST_BAD_REQUEST, "InvalidData", "data is not a string");
		return false;
	}
	if (vjson_parse(a, text, VJSON_COMMIT_TS, &v, e) != ST_OK)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, VJSON_ENCODED);
	*ret = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return true;
}

/* Data of a ConvexError that nobody serialized: the native path. */
static bool
data_from_value(struct engine *en, JSValueConst thrown, struct arena *a, str *ret, struct err *e)
{
	JSValue    data = get_quietly(en->ctx, thrown, "data");
	struct val v = val_null;
	struct buf b;
	bool       ok = JS_IsUndefined(data) || js_to_val(en->ctx, data, TO_VAL, a, &v);

	JS_FreeValue(en->ctx, data);
	if (!ok) {
		JSValue why = JS_GetException(en->ctx);
		str     text = STR_EMPTY;

		js_text_of(en->ctx, why, "message", a, &text);
		JS_FreeValue(en->ctx, why);
		err_set_str(e, ST_BAD_REQUEST, "NotConvertible", text);
		return false;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, VJSON_ENCODED);
	*ret = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return true;
}

/* *ret_data stays p == NULL if it is no ConvexError.  False: bad data, see e. */
static bool
convex_data(struct engine *en, JSValueConst thrown, struct arena *a, str *ret_data, struct err *e)
{
	JSValue symbol;

	*ret_data = str_of(NULL, 0);
	if (!JS_IsObject(thrown))
		return true;
	symbol = get_quietly(en->ctx, thrown, "ConvexErrorSymbol");
	if (JS_IsSymbol(symbol) && has_mark(en->ctx, thrown, JS_DupValue(en->ctx, symbol))) {
		JS_FreeValue(en->ctx, symbol);
		return data_from_text(en, thrown, a, ret_data, e);
	}
	JS_FreeValue(en->ctx, symbol);
	if (has_mark(en->ctx, thrown, JS_NewSymbol(en->ctx, "ConvexError", true)))
		return data_from_value(en, thrown, a, ret_data, e);
	return true;
}

void
error_describe(struct engine *en, JSValueConst thrown, struct arena *a, str *ret_text,
    str *ret_data)
{
	struct err e = err_in(a);
	struct buf b;
	str        stack, data;

	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	if (convex_data(en, thrown, a, &data, &e))
		buf_add(&b, error_message(en, thrown, a));
	else if (str_eq(e.code, S("NotConvertible"))) /* what the npm helper throws in its place */
		buf_fmt(&b, "Uncaught Error: %.*s", STR_ARG(e.text));
	else
		buf_fmt(&b, "ConvexError with invalid data: %.*s", STR_ARG(e.text));
	buf_add_byte(&b, '\n');
	if (is_error(en, thrown) && js_text_of(en->ctx, thrown, "stack", a, &stack))
		frames_write(en, stack, &b);
	*ret_text = arena_str(a, buf_str(&b));
	*ret_data = data;
	buf_clear(&b);
}
