/* convert_error.c - what is no Convex value, in the words of the npm package.
 *
 * Texts name the path to the offending part and show the whole value, printed by
 * js_stringify_for_error().
 *
 * Thread: the isolate's.
 */
#include "isolate/convert_int.h"

/* ".a[0].b"; empty at the top. */
static void
add_path(struct buf *b, const struct at *at)
{
	if (!at)
		return;
	add_path(b, at->up);
	if (at->key.p) {
		buf_add_byte(b, '.');
		buf_add(b, at->key);
	} else {
		buf_fmt(b, "[%u]", at->index);
	}
}

/* Appends stringifyValueForError(v); false with an exception. */
static bool
add_value(struct conv *c, struct buf *b, JSValueConst v)
{
	JSValue     s = js_stringify_for_error(c->ctx, v);
	const char *text = JS_IsException(s) ? NULL : JS_ToCString(c->ctx, s);

	JS_FreeValue(c->ctx, s);
	if (!text)
		return false;
	buf_addz(b, text);
	JS_FreeCString(c->ctx, text);
	return true;
}

/* " (present at path P in original object O)"; nothing at the top. */
static bool
add_context(struct conv *c, struct buf *b, const struct at *at)
{
	if (!at)
		return true;
	buf_addz(b, " (present at path ");
	add_path(b, at);
	buf_addz(b, " in original object ");
	if (!add_value(c, b, c->root))
		return false;
	buf_add_byte(b, ')');
	return true;
}

#define SEE_TYPES                                                                                  \
	"To learn about Convex's supported types, see https://docs.convex.dev/using/types."

bool
conv_fail_undefined(struct conv *c, const struct at *at)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_addz(&b, "undefined is not a valid Convex value");
	if (add_context(c, &b, at)) {
		buf_addz(&b, ". " SEE_TYPES);
		js_throw_text(c->ctx, JSE_ERROR, buf_str(&b));
	}
	buf_clear(&b);
	return false;
}

/* errorMessageForUnsupportedType(): `type` is "Set", "Map", "Foo " or "". */
static bool
fail_unsupported(struct conv *c, str type, JSValueConst v, const struct at *at)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_add(&b, type);
	if (add_value(c, &b, v)) {
		buf_addz(&b, " is not a supported Convex type");
		if (!at)
			buf_add_byte(&b, '.');
		if (add_context(c, &b, at)) {
			if (at)
				buf_addz(&b, ". " SEE_TYPES);
			js_throw_text(c->ctx, JSE_ERROR, buf_str(&b));
		}
	}
	buf_clear(&b);
	return false;
}

/* constructor.name of a value; undefined if it has none, exceptions pass. */
static JSValue
constructor_name(JSContext *ctx, JSValueConst v)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           ctor = JS_GetProperty(ctx, v, cx->atoms.constructor), name;

	if (JS_IsException(ctor) || JS_IsUndefined(ctor) || JS_IsNull(ctor))
		return JS_IsException(ctor) ? ctor : JS_UNDEFINED;
	name = JS_GetProperty(ctx, ctor, cx->atoms.name);
	JS_FreeValue(ctx, ctor);
	return name;
}

/* Is v.constructor.name this text?  -1 with an exception. */
int
js_constructor_named(JSContext *ctx, JSValueConst v, const char *want)
{
	JSValue     name = constructor_name(ctx, v);
	const char *text;
	int         ret = 0;

	if (JS_IsException(name))
		return -1;
	if (JS_IsString(name)) {
		text = JS_ToCString(ctx, name);
		ret = text ? strcmp(text, want) == 0 : -1;
		JS_FreeCString(ctx, text);
	}
	JS_FreeValue(ctx, name);
	return ret;
}

/* A class instance, a function or a symbol. */
bool
conv_fail_not_simple(struct conv *c, JSValueConst v, const struct at *at)
{
	JSValue     name = constructor_name(c->ctx, v);
	const char *text = NULL;
	struct buf  type;
	bool        truthy;

	if (JS_IsException(name))
		return false;
	truthy = JS_ToBool(c->ctx, name) > 0;
	if (truthy)
		text = JS_ToCString(c->ctx, name);
	JS_FreeValue(c->ctx, name);
	if (truthy && !text)
		return false;
	buf_init(&type, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &type);
	if (text)
		buf_fmt(&type, "%s ", text);
	JS_FreeCString(c->ctx, text);
	fail_unsupported(c, buf_str(&type), v, at);
	buf_clear(&type);
	return false;
}

/* [...v] of a Set or Map, then the refusal. */
bool
conv_fail_collection(struct conv *c, const char *type, JSValueConst v, const struct at *at)
{
	JSContext *ctx = c->ctx;
	JSValue    global = JS_GetGlobalObject(ctx), array, from, list;

	array = JS_GetPropertyStr(ctx, global, "Array");
	from = JS_GetPropertyStr(ctx, array, "from");
	list = JS_Call(ctx, from, array, 1, &v);
	JS_FreeValue(ctx, from);
	JS_FreeValue(ctx, array);
	JS_FreeValue(ctx, global);
	if (!JS_IsException(list))
		fail_unsupported(c, str_z(type), list, at);
	JS_FreeValue(ctx, list);
	return false;
}

static bool
fail_character(struct conv *c, str k, str character)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	buf_addz(&b, "Field name ");
	buf_add(&b, k);
	buf_addz(&b, " has invalid character '");
	buf_add(&b, character);
	buf_addz(&b, "': Field names can only contain non-control ASCII characters");
	js_throw_text(c->ctx, JSE_ERROR, buf_str(&b));
	buf_clear(&b);
	return false;
}

bool
conv_check_name(struct conv *c, str k)
{
	if (k.n > FIELD_NAME_MAX) {
		js_throw_fmt(c->ctx, JSE_ERROR,
		    "Field name %.*s exceeds maximum field name length 1024.", STR_ARG(k));
		return false;
	}
	if (k.n && k.p[0] == '$') {
		js_throw_fmt(c->ctx, JSE_ERROR,
		    "Field name %.*s starts with a '$', which is reserved.", STR_ARG(k));
		return false;
	}
	for (size_t i = 0; i < k.n; i++) {
		unsigned char ch = (unsigned char)k.p[i];
		size_t        n = ch < 0x80 ? 1 : ch < 0xe0 ? 2 : ch < 0xf0 ? 3 : 4;

		if (ch < 32 || ch >= 127)
			return fail_character(c, k, str_head(str_from(k, i), n));
	}
	return true;
}
