/* convert.c - values across the border between the engine and the server.
 *
 * js_to_val() has the semantics and the error texts of the npm package's convexToJson(), and
 * js_from_val() those of jsonToConvex(), but no JSON lies between them: an object's members are
 * enumerated and packed, and packed values become engine values in place.
 *
 * Conversion runs foreign code (getters, proxies), so each conversion owns its packer, and
 * nothing is held across a call but counted references.  Depth is bounded by the nesting limit
 * of values; a cycle reads as the stack overflow that it is for the npm package.
 *
 * Thread: the isolate's.  Memory: packed values in the caller's arena, the rest in the heap.
 */
#include <math.h>
#include <stdlib.h>

#include "isolate/ctx_int.h"

#define MEMBERS_ON_STACK 32
#define CLASS_OBJECT     1 /* the engine's JS_CLASS_OBJECT */

/* Where a value sits, for the texts: linked from the inside out, on the C stack. */
struct at {
	const struct at *up;
	JSValueConst     container;
	str              key;   /* p == NULL: an element */
	uint32_t         index;
};

struct conv {
	JSContext    *ctx;
	struct pack  *p;
	JSValueConst  root;
	int           depth;
	struct err    err;  /* a violated limit; else failures are pending exceptions */
};

struct member {
	str     name;
	JSValue v;
};

static bool conv_value(struct conv *c, JSValueConst v, const struct at *at, int how);

/* --- error texts --- */

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

static bool
fail_undefined(struct conv *c, const struct at *at)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
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
static int
constructor_named(JSContext *ctx, JSValueConst v, const char *want)
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
static bool
fail_not_simple(struct conv *c, JSValueConst v, const struct at *at)
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
	if (text)
		buf_fmt(&type, "%s ", text);
	JS_FreeCString(c->ctx, text);
	fail_unsupported(c, buf_str(&type), v, at);
	buf_clear(&type);
	return false;
}

/* [...v] of a Set or Map, then the refusal. */
static bool
fail_collection(struct conv *c, const char *type, JSValueConst v, const struct at *at)
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

/* validateObjectField() */
static bool
check_name(struct conv *c, str k)
{
	struct buf b;

	if (k.n > FIELD_NAME_MAX)
		js_throw_fmt(c->ctx, JSE_ERROR,
		    "Field name %.*s exceeds maximum field name length 1024.", STR_ARG(k));
	else if (k.n && k.p[0] == '$')
		js_throw_fmt(c->ctx, JSE_ERROR,
		    "Field name %.*s starts with a '$', which is reserved.", STR_ARG(k));
	else
		goto characters;
	return false;
characters:
	for (size_t i = 0; i < k.n; i++) {
		unsigned char ch = (unsigned char)k.p[i];
		size_t        n = ch < 0x80 ? 1 : ch < 0xe0 ? 2 : ch < 0xf0 ? 3 : 4;

		if (ch >= 32 && ch < 127)
			continue;
		buf_init(&b, BUF_MAX_DEFAULT);
		buf_addz(&b, "Field name ");
		buf_add(&b, k);
		buf_addz(&b, " has invalid character '");
		buf_add(&b, str_head(str_from(k, i), n));
		buf_addz(&b, "': Field names can only contain non-control ASCII characters");
		js_throw_text(c->ctx, JSE_ERROR, buf_str(&b));
		buf_clear(&b);
		return false;
	}
	return true;
}

/* --- to packed --- */

static bool
conv_string(struct conv *c, JSValueConst v)
{
	size_t      n;
	const char *text = JS_ToCStringLen(c->ctx, &n, v);
	bool        ok;

	if (!text)
		return false;
	ok = str_utf8_valid(str_of(text, n));
	if (ok)
		pack_str(c->p, str_of(text, n));
	else
		js_throw_text(
		    c->ctx, JSE_ERROR, S("Received invalid json: lone surrogate in a string"));
	JS_FreeCString(c->ctx, text);
	return ok;
}

static bool
conv_bigint(struct conv *c, JSValueConst v)
{
	int64_t     n;
	JSValue     back;
	bool        same;
	const char *text;

	if (JS_ToBigInt64(c->ctx, &n, v) < 0)
		return false;
	if (JS_VALUE_GET_TAG(v) != JS_TAG_SHORT_BIG_INT) {
		back = JS_NewBigInt64(c->ctx, n);
		same = JS_IsStrictEqual(c->ctx, back, v);
		JS_FreeValue(c->ctx, back);
		if (!same) {
			text = JS_ToCString(c->ctx, v);
			if (text)
				js_throw_fmt(c->ctx, JSE_ERROR,
				    "BigInt %s does not fit into a 64-bit signed integer.", text);
			JS_FreeCString(c->ctx, text);
			return false;
		}
	}
	pack_int64(c->p, n);
	return true;
}

static bool
conv_bytes(struct conv *c, JSValueConst v)
{
	size_t   n;
	uint8_t *bytes = JS_GetArrayBuffer(c->ctx, &n, v);

	if (!bytes && JS_HasException(c->ctx))
		return false;
	pack_bytes(c->p, str_of(bytes ? (const char *)bytes : "", n));
	return true;
}

/* Array.isArray(), which looks through proxies. */
static bool
is_array(JSContext *ctx, JSValueConst v)
{
	while (UNLIKELY(JS_IsProxy(v))) {
		JSValue target = JS_GetProxyTarget(ctx, v);

		JS_FreeValue(ctx, target); /* the proxy keeps it alive */
		v = target;
	}
	return JS_IsArray(v);
}

/* True if v is one of the containers around it. */
static bool
is_cycle(const struct at *at, JSValueConst v)
{
	for (; at; at = at->up)
		if (JS_VALUE_GET_PTR(at->container) == JS_VALUE_GET_PTR(v))
			return true;
	return false;
}

static bool
enter(struct conv *c, JSValueConst v, const struct at *at)
{
	if (++c->depth <= VALUE_MAX_NESTING)
		return true;
	if (is_cycle(at, v)) {
		js_throw_text(c->ctx, JSE_RANGE, S("Maximum call stack size exceeded"));
		return false;
	}
	(void)err_set(&c->err, ST_BAD_REQUEST, "TooNestedError",
	    "Value is too nested (nested %d levels deep > maximum nesting %d)", c->depth,
	    VALUE_MAX_NESTING);
	return false;
}

static bool
conv_element(struct conv *c, JSValueConst v, uint32_t i, const struct at *at)
{
	struct at here = { at, v, { NULL, 0 }, i };
	JSValue   element = JS_GetPropertyUint32(c->ctx, v, i);
	bool      ok;
	int       has;

	if (JS_IsException(element))
		return false;
	if (JS_IsUndefined(element)) { /* a hole becomes null, as JSON.stringify() makes it */
		JSAtom atom = JS_NewAtomUInt32(c->ctx, i);

		has = JS_HasProperty(c->ctx, v, atom);
		JS_FreeAtom(c->ctx, atom);
		if (has < 0)
			return false;
		if (!has) {
			pack_null(c->p);
			return true;
		}
	}
	ok = conv_value(c, element, &here, TO_VAL);
	JS_FreeValue(c->ctx, element);
	return ok && c->p->err.st == ST_OK;
}

static bool
conv_array(struct conv *c, JSValueConst v, const struct at *at)
{
	int64_t n;

	if (!enter(c, v, at) || JS_GetLength(c->ctx, v, &n) < 0)
		return false;
	if (n > ARRAY_MAX_LENGTH) { /* before any work: the length may be anything */
		(void)err_set(&c->err, ST_BAD_REQUEST, "ArrayTooLong",
		    "Array length is too long (%lld > maximum length %d)", (long long)n,
		    ARRAY_MAX_LENGTH);
		return false;
	}
	pack_array(c->p);
	for (uint32_t i = 0; i < (uint32_t)n; i++)
		if (!conv_element(c, v, i, at))
			return false;
	pack_end(c->p);
	c->depth--;
	return true;
}

static int
member_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

/* Names and values, fetched in the object's own order (getters may look), then sorted. */
static bool
fetch_members(struct conv *c, JSValueConst v, const JSPropertyEnum *tab, uint32_t n,
    struct member *m, uint32_t *ret_n)
{
	bool sorted = true;

	for (*ret_n = 0; *ret_n < n; ++*ret_n) {
		uint32_t i = *ret_n;
		size_t   len;

		m[i].v = JS_GetProperty(c->ctx, v, tab[i].atom);
		if (JS_IsException(m[i].v))
			return false;
		m[i].name.p = JS_AtomToCStringLen(c->ctx, &len, tab[i].atom);
		if (!m[i].name.p) {
			JS_FreeValue(c->ctx, m[i].v);
			return false;
		}
		m[i].name.n = len;
		if (i && str_cmp(m[i - 1].name, m[i].name) > 0)
			sorted = false;
	}
	if (!sorted)
		qsort(m, n, sizeof *m, member_cmp);
	return true;
}

static bool
conv_members(struct conv *c, JSValueConst v, const struct member *m, uint32_t n,
    const struct at *at, int how)
{
	pack_object(c->p);
	for (uint32_t i = 0; i < n; i++) {
		struct at here = { at, v, m[i].name, 0 };

		if (JS_IsUndefined(m[i].v) && how != TO_VAL_PATCH)
			continue;
		if (!check_name(c, m[i].name))
			return false;
		pack_key(c->p, m[i].name);
		if (JS_IsUndefined(m[i].v))
			pack_undefined(c->p);
		else if (!conv_value(c, m[i].v, &here, TO_VAL) || c->p->err.st != ST_OK)
			return false;
	}
	pack_end(c->p);
	return true;
}

static bool
conv_object(struct conv *c, JSValueConst v, const struct at *at, int how)
{
	struct member   few[MEMBERS_ON_STACK], *m = few;
	JSPropertyEnum *tab;
	uint32_t        n, fetched = 0;
	bool            ok = false;

	if (!enter(c, v, at))
		return false;
	if (JS_GetOwnPropertyNames(c->ctx, &tab, &n, v, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0)
		return false;
	if (n > MEMBERS_ON_STACK)
		m = mem_alloc(n * sizeof *m);
	if (fetch_members(c, v, tab, n, m, &fetched))
		ok = conv_members(c, v, m, n, at, how);
	for (uint32_t i = 0; i < fetched; i++) {
		JS_FreeCString(c->ctx, m[i].name.p);
		JS_FreeValue(c->ctx, m[i].v);
	}
	if (m != few)
		mem_free(m);
	JS_FreePropertyEnum(c->ctx, tab, n);
	c->depth--;
	return ok;
}

int
js_is_simple(JSContext *ctx, JSValueConst v)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           proto;
	int               ret;

	if (!JS_IsObject(v))
		return 0;
	proto = JS_GetPrototype(ctx, v);
	if (JS_IsException(proto))
		return -1;
	if (JS_IsNull(proto) || JS_VALUE_GET_PTR(proto) == cx->object_proto)
		ret = !JS_IsFunction(ctx, v);
	else if (JS_IsFunction(ctx, v))
		ret = 0;
	else
		ret = constructor_named(ctx, proto, "Object");
	JS_FreeValue(ctx, proto);
	return ret;
}

static bool
conv_compound(struct conv *c, JSValueConst v, const struct at *at, int how)
{
	struct ctx_state *cx = engine_of(c->ctx)->cx;
	int               is;

	if (JS_IsArrayBuffer(v))
		return conv_bytes(c, v);
	if (JS_VALUE_GET_PTR(v) == JS_VALUE_GET_PTR(cx->commit_ts)) {
		pack_commit_ts(c->p);
		return true;
	}
	if (is_array(c->ctx, v))
		return conv_array(c, v, at);
	if (JS_IsSet(v))
		return fail_collection(c, "Set", v, at);
	if (JS_IsMap(v))
		return fail_collection(c, "Map", v, at);
	is = js_is_simple(c->ctx, v);
	if (is > 0)
		return conv_object(c, v, at, how);
	if (is < 0)
		return false;
	/* The npm package's own placeholder, from a bundle that called jsonToConvex(). */
	is = constructor_named(c->ctx, v, "CommitTsPlaceholder");
	if (is > 0)
		pack_commit_ts(c->p);
	else if (is == 0)
		fail_not_simple(c, v, at);
	return is > 0;
}

static bool
conv_value(struct conv *c, JSValueConst v, const struct at *at, int how)
{
	double d;

	switch (JS_VALUE_GET_NORM_TAG(v)) {
	case JS_TAG_INT:
		pack_float64(c->p, JS_VALUE_GET_INT(v));
		return true;
	case JS_TAG_FLOAT64:
		d = JS_VALUE_GET_FLOAT64(v);
		pack_float64(c->p, isnan(d) ? (double)NAN : d);
		return true;
	case JS_TAG_BOOL:
		pack_bool(c->p, JS_VALUE_GET_BOOL(v));
		return true;
	case JS_TAG_NULL:
		pack_null(c->p);
		return true;
	case JS_TAG_UNDEFINED:
		if (how != TO_VAL_UNDEFINED_OK)
			return fail_undefined(c, at);
		pack_undefined(c->p);
		return true;
	case JS_TAG_STRING:
	case JS_TAG_STRING_ROPE:
		return conv_string(c, v);
	case JS_TAG_BIG_INT:
	case JS_TAG_SHORT_BIG_INT:
		return conv_bigint(c, v);
	case JS_TAG_OBJECT:
		return conv_compound(c, v, at, how);
	default:
		return fail_not_simple(c, v, at);
	}
}

static bool
throw_limit(JSContext *ctx, struct err *e, const char *arg, const char *method)
{
	if (arg)
		err_prefix(e, "Invalid argument `%s` for `%s`: ", arg, method);
	js_throw_err(ctx, e);
	return false;
}

bool
js_to_val_arg(JSContext *ctx, JSValueConst v, int how, const char *arg, const char *method,
    struct arena *a, struct val *ret)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	struct conv       c = { .ctx = ctx, .root = v, .err = err_in(a) };
	bool              ok;

	if (cx->packs_busy == PACKS_MAX) {
		js_throw_text(ctx, JSE_RANGE, S("Maximum call stack size exceeded"));
		return false;
	}
	c.p = &cx->packs[cx->packs_busy++];
	pack_reset(c.p);
	ok = conv_value(&c, v, NULL, how);
	if (ok || (c.err.st == ST_OK && c.p->err.st != ST_OK && !JS_HasException(ctx)))
		ok = pack_done_in(c.p, a, ret, &c.err) == ST_OK;
	cx->packs_busy--;
	if (!ok && c.err.st != ST_OK && !JS_HasException(ctx))
		return throw_limit(ctx, &c.err, arg, method);
	return ok;
}

bool
js_to_val(JSContext *ctx, JSValueConst v, int how, struct arena *a, struct val *ret)
{
	return js_to_val_arg(ctx, v, how, NULL, NULL, a, ret);
}

/* --- from packed --- */

JSValue
js_from_str(JSContext *ctx, str s)
{
	return JS_NewStringLen(ctx, s.n ? s.p : "", s.n);
}

JSValue
js_from_json(JSContext *ctx, str json)
{
	struct buf b;
	JSValue    ret;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, json);
	buf_add_byte(&b, 0);
	ret = JS_ParseJSON(ctx, b.p, b.n - 1, "<json>");
	buf_clear(&b);
	return ret;
}

static JSValue
array_from(JSContext *ctx, struct val v)
{
	size_t  n = val_count(v), i;
	JSValue few[MEMBERS_ON_STACK], *items = few, ret = JS_EXCEPTION;

	if (n > MEMBERS_ON_STACK)
		items = mem_alloc(n * sizeof *items);
	for (i = 0; i < n; i++) {
		items[i] = js_from_val(ctx, val_at(v, i));
		if (JS_IsException(items[i]))
			break;
	}
	if (i == n) {
		ret = JS_NewArrayFrom(ctx, (int)n, items);
	} else {
		while (i-- > 0)
			JS_FreeValue(ctx, items[i]);
	}
	if (items != few)
		mem_free(items);
	return ret;
}

static JSValue
object_from(JSContext *ctx, struct val v)
{
	size_t  n = val_count(v);
	JSValue ret = JS_NewObject(ctx);

	if (JS_IsException(ret))
		return ret;
	for (size_t i = 0; i < n; i++) {
		str     name;
		JSValue member = js_from_val(ctx, val_field_at(v, i, &name));
		JSAtom  atom;
		int     ok = -1;

		if (!JS_IsException(member)) {
			atom = JS_NewAtomLen(ctx, name.n ? name.p : "", name.n);
			ok = atom == JS_ATOM_NULL ? -1 :
			    JS_DefinePropertyValue(ctx, ret, atom, member, JS_PROP_C_W_E);
			JS_FreeAtom(ctx, atom);
		}
		if (ok < 0) {
			JS_FreeValue(ctx, ret);
			return JS_EXCEPTION;
		}
	}
	return ret;
}

JSValue
js_from_val(JSContext *ctx, struct val v)
{
	str s;

	switch (val_kind(v)) {
	case VAL_UNDEFINED:
		return JS_UNDEFINED;
	case VAL_NULL:
		return JS_NULL;
	case VAL_INT64:
		return JS_NewBigInt64(ctx, val_int64(v));
	case VAL_FLOAT64:
		return JS_NewNumber(ctx, val_float64(v));
	case VAL_BOOL:
		return JS_NewBool(ctx, val_bool(v));
	case VAL_STRING:
		return js_from_str(ctx, val_str(v));
	case VAL_BYTES:
		s = val_str(v);
		return JS_NewArrayBufferCopy(ctx, (const uint8_t *)s.p, s.n);
	case VAL_ARRAY:
		return array_from(ctx, v);
	case VAL_OBJECT:
		return object_from(ctx, v);
	case VAL_COMMIT_TS:
		return JS_DupValue(ctx, engine_of(ctx)->cx->commit_ts);
	}
	return JS_UNDEFINED;
}

bool
js_to_str(JSContext *ctx, JSValueConst v, struct arena *a, str *ret)
{
	size_t      n;
	const char *text;

	if (!JS_IsString(v)) {
		js_throw_text(ctx, JSE_TYPE, S("expected a string"));
		return false;
	}
	text = JS_ToCStringLen(ctx, &n, v);
	if (!text)
		return false;
	*ret = arena_str(a, str_of(text, n));
	JS_FreeCString(ctx, text);
	return true;
}
