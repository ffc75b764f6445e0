/* stack.c - what an error looks like outside: text, frames, data (spec 04 section 2.7).
 *
 * The engine notes frames as text, "    at f (convex:/messages.js:3:8)", without a header.
 * Frames are mapped through source maps when somebody looks: error.stack has a getter of ours
 * over the engine's, Error.captureStackTrace maps at once, and error_describe() maps what it
 * finds.  Mapped frames no longer begin with our scheme, so mapping twice is harmless.
 *
 * Nothing here trusts a thrown value: getters may throw, names may be anything.
 *
 * Thread: the isolate's.  Memory: results in the caller's arena; parsed maps stay with their
 * module, outside the heap.
 */
#include "base/json.h"
#include "isolate/engine_int.h"
#include "value/vjson.h"

#define FRAMES_MAX   10
#define MESSAGE_MAX  65536
#define STACK_TEXT_MAX ((size_t)1 << 20)

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

/* --- frames --- */

struct frame {
	str      func; /* n == 0: none */
	str      file; /* p == NULL: no position */
	uint32_t line, col; /* from 1 */
	bool     dropped;
};

/* Takes ":number" off the end. */
static bool
cut_number(str *s, uint32_t *ret)
{
	size_t   at;
	uint64_t v;

	if (!str_rfind_char(*s, ':', &at) || !str_to_u64(str_from(*s, at + 1), &v) ||
	    v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	*s = str_head(*s, at);
	return true;
}

static bool
location_parse(str text, struct frame *f)
{
	if (str_eq(text, S("native")) || str_eq(text, S("<anonymous>"))) {
		f->file.p = NULL;
		return true;
	}
	f->file = text;
	return cut_number(&f->file, &f->col) && cut_number(&f->file, &f->line) && f->file.n;
}

/* "at f (file:1:2)" or "at file:1:2". */
static bool
frame_parse(str text, struct frame *f)
{
	size_t open;

	memset(f, 0, sizeof *f);
	text = str_trim(text);
	if (!str_starts(text, S("at ")))
		return false;
	text = str_from(text, 3);
	if (!str_ends(text, S(")")))
		return location_parse(text, f);
	if (!str_rfind_char(text, '(', &open) || open < 1)
		return false;
	f->func = str_trim(str_head(text, open));
	if (str_eq(f->func, S("<anonymous>")) || str_eq(f->func, S("<eval>")))
		f->func = STR_EMPTY;
	return location_parse(str_of(text.p + open + 1, text.n - open - 2), f);
}

static struct srcmap *
module_map(struct module *m)
{
	if (!m->map_tried) {
		m->map_tried = true;
		if (m->source_map.p)
			m->map = srcmap_parse(m->source_map);
	}
	return m->map;
}

bool
module_position(struct module *m, uint32_t line, uint32_t col, uint32_t *ret_line,
    uint32_t *ret_col)
{
	str file;

	return line && col && module_map(m) &&
	    srcmap_find(m->map, line - 1, col - 1, &file, ret_line, ret_col);
}

static bool
is_runtime_file(str file)
{
	size_t at;

	return str_find(file, S("udf-runtime/src"), &at) ||
	    str_find(file, S("convex/src/server/impl"), &at);
}

static void
frame_map(struct engine *en, struct frame *f)
{
	struct module *m;
	uint32_t       line, col;

	if (!f->file.p || !str_starts(f->file, S(SPECIFIER_PREFIX)))
		return;
	m = module_by_specifier(en, f->file);
	if (!m || !module_map(m) || f->line == 0 || f->col == 0 ||
	    !srcmap_find(m->map, f->line - 1, f->col - 1, &f->file, &line, &col)) {
		f->dropped = true;
		return;
	}
	f->line = line + 1;
	f->col = col + 1;
}

static bool
frame_at_edge(const struct frame *f) /* not shown at either end */
{
	return !f->file.p || is_runtime_file(f->file);
}

static void
frame_write(struct buf *b, const struct frame *f)
{
	buf_addz(b, "    at ");
	if (f->func.n) {
		buf_add(b, f->func);
		buf_addz(b, " (");
	}
	if (f->file.p)
		buf_fmt(b, "%.*s:%u:%u", STR_ARG(f->file), f->line, f->col);
	else
		buf_addz(b, "<anonymous>");
	buf_addz(b, f->func.n ? ")\n" : "\n");
}

/* The lines of `raw`, mapped, each with a newline. */
static void
frames_write(struct engine *en, str raw, struct buf *b)
{
	struct frame f[64];
	size_t       n = 0, first = 0, end;

	while (raw.n && n < COUNT_OF(f)) {
		size_t nl;
		str    text = str_find_char(raw, '\n', &nl) ? str_head(raw, nl) : raw;

		raw = str_from(raw, text.n + 1);
		if (!frame_parse(text, &f[n]))
			continue;
		frame_map(en, &f[n]);
		if (!f[n].dropped)
			n++;
	}
	while (first < n && frame_at_edge(&f[first]))
		first++;
	for (end = n; end > first && frame_at_edge(&f[end - 1]);)
		end--;
	if (end - first > FRAMES_MAX)
		end = first + FRAMES_MAX;
	for (size_t i = first; i < end; i++)
		frame_write(b, &f[i]);
}

/* --- error.stack --- */

static JSValue
mapped_stack(JSContext *ctx, JSValue raw)
{
	size_t      n;
	const char *p;
	struct buf  b;
	JSValue     ret;

	if (!JS_IsString(raw))
		return raw;
	p = JS_ToCStringLen(ctx, &n, raw);
	JS_FreeValue(ctx, raw);
	if (!p)
		return JS_EXCEPTION;
	buf_init(&b, STACK_TEXT_MAX);
	frames_write(engine_of(ctx), str_of(p, n), &b);
	JS_FreeCString(ctx, p);
	ret = JS_NewStringLen(ctx, b.p ? b.p : "", b.n ? b.n - 1 : 0);
	buf_clear(&b);
	return ret;
}

static JSValue
stack_get(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic,
    JSValueConst *data)
{
	JSValue raw = JS_Call(ctx, data[0], this_val, 0, NULL);

	(void)argc;
	(void)argv;
	(void)magic;
	return JS_IsException(raw) ? raw : mapped_stack(ctx, raw);
}

/* Any value may be assigned; it becomes an own property. */
static JSValue
stack_set(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	if (!JS_IsObject(this_val) || argc < 1)
		return JS_UNDEFINED;
	if (JS_DefinePropertyValueStr(ctx, this_val, "stack", JS_DupValue(ctx, argv[0]),
	        JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) < 0)
		return JS_EXCEPTION;
	return JS_UNDEFINED;
}

/* Error.captureStackTrace: the engine's, then mapped in place. */
static JSValue
stack_capture(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic,
    JSValueConst *data)
{
	JSValueConst args[2] = { argc > 0 ? argv[0] : JS_UNDEFINED,
		argc > 1 ? argv[1] : JS_UNDEFINED };
	JSValue      done = JS_Call(ctx, data[0], this_val, 2, args), stack;

	(void)magic;
	if (JS_IsException(done))
		return done;
	stack = mapped_stack(ctx, JS_GetPropertyStr(ctx, args[0], "stack"));
	if (JS_IsException(stack))
		return stack;
	if (!JS_IsString(stack)) {
		JS_FreeValue(ctx, stack);
		return done;
	}
	if (JS_DefinePropertyValueStr(ctx, args[0], "stack", stack,
	        JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) < 0)
		return JS_EXCEPTION;
	return done;
}

static void
install_getter(JSContext *ctx, JSValueConst proto)
{
	JSAtom               atom = JS_NewAtom(ctx, "stack");
	JSPropertyDescriptor d;
	JSValue              get, set = JS_NewCFunction(ctx, stack_set, "set stack", 1);

	must(JS_GetOwnProperty(ctx, &d, proto, atom) == 1);
	get = JS_NewCFunctionData2(ctx, stack_get, "get stack", 0, 0, 1, &d.getter);
	must(JS_DefinePropertyGetSet(ctx, proto, atom, get, set, JS_PROP_CONFIGURABLE) >= 0);
	JS_FreeValue(ctx, d.getter);
	JS_FreeValue(ctx, d.setter);
	JS_FreeValue(ctx, d.value);
	JS_FreeAtom(ctx, atom);
}

void
stack_install(struct engine *en)
{
	JSContext *ctx = en->ctx;
	JSValue    global = JS_GetGlobalObject(ctx);
	JSValue    error = JS_GetPropertyStr(ctx, global, "Error");
	JSValue    capture = JS_GetPropertyStr(ctx, error, "captureStackTrace"), ours;

	en->im->error_proto = JS_GetPropertyStr(ctx, error, "prototype");
	install_getter(ctx, en->im->error_proto);
	ours = JS_NewCFunctionData2(ctx, stack_capture, "captureStackTrace", 2, 0, 1, &capture);
	must(JS_DefinePropertyValueStr(ctx, error, "captureStackTrace", ours,
	         JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE) >= 0);
	JS_FreeValue(ctx, capture);
	JS_FreeValue(ctx, error);
	JS_FreeValue(ctx, global);
}

/* --- thrown values --- */

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
	message = str_utf8_cut(message, MESSAGE_MAX);
	if (name.n && message.n)
		return arena_fmt(a, "Uncaught %.*s: %.*s", STR_ARG(name), STR_ARG(message));
	if (name.n || message.n)
		return arena_fmt(a, "Uncaught %.*s", STR_ARG(name.n ? name : message));
	return S("Uncaught");
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
		err_set(e, ST_BAD_REQUEST, "NotConvertible", "%.*s", STR_ARG(text));
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
