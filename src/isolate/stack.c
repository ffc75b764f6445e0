/* stack.c - frames: from the engine's text, through source maps (spec 04 section 2.7).
 *
 * The engine notes frames as text, "    at async f (convex:/messages.js:3:8)", without a header.
 * Frames are mapped through source maps when somebody looks: error.stack has a getter of ours
 * over the engine's, Error.captureStackTrace maps at once, and error_describe() (thrown.c) maps
 * what it finds.  Mapped frames no longer begin with our scheme, so mapping twice is harmless.
 *
 * Thread: the isolate's.  Memory: results in the caller's arena; parsed maps stay with their
 * module, outside the heap.
 */
#include "isolate/engine_int.h"

#define FRAMES_MAX   10
#define STACK_TEXT_MAX ((size_t)1 << 20)

/* --- frames --- */

struct frame {
	str      func; /* n == 0: none */
	str      file; /* p == NULL: no position, */
	str      place; /* but this: "<anonymous>", "index 0" */
	uint32_t line, col; /* from 1 */
	bool     async; /* it waits for the one before */
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
	if (str_starts(text, S("index "))) { /* of Promise.all's array */
		f->place = text;
		return true;
	}
	if (str_eq(text, S("native")) || str_eq(text, S("<anonymous>"))) {
		f->place = S("<anonymous>");
		return true;
	}
	f->file = text;
	return cut_number(&f->file, &f->col) && cut_number(&f->file, &f->line) && f->file.n;
}

/* "at [async ]f (file:1:2)" or "at [async ]file:1:2". */
static bool
frame_parse(str text, struct frame *f)
{
	size_t open;

	memset(f, 0, sizeof *f);
	text = str_trim(text);
	if (!str_starts(text, S("at ")))
		return false;
	text = str_from(text, 3);
	f->async = str_starts(text, S("async "));
	if (f->async)
		text = str_from(text, 6);
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
	buf_addz(b, f->async ? "    at async " : "    at ");
	if (f->func.n) {
		buf_add(b, f->func);
		buf_addz(b, " (");
	}
	if (f->file.p)
		buf_fmt(b, "%.*s:%u:%u", STR_ARG(f->file), f->line, f->col);
	else
		buf_add(b, f->place);
	buf_addz(b, f->func.n ? ")\n" : "\n");
}

void
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
	UNDO_ON_JUMP(undo_buf, &b);
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
