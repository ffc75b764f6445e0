/* convert.c - values across the border between the engine and the server.
 *
 * js_to_val() has the semantics and the error texts of the npm package's convexToJson(), and
 * js_from_val() (convert_from.c) those of jsonToConvex(), but no JSON lies between them: an
 * object's members are enumerated and packed, and packed values become engine values in place.
 *
 * Conversion runs foreign code (getters, proxies), so each conversion owns its packer, and
 * nothing is held across a call but counted references.  Depth is bounded by the nesting limit
 * of values; a cycle reads as the stack overflow that it is for the npm package.
 *
 * Thread: the isolate's.  Memory: packed values in the caller's arena, the rest in the heap.
 */
#include <math.h>
#include <stdlib.h>

#include "isolate/convert_int.h"

#define MEMBERS_ON_STACK 32

struct member {
	str     name;
	JSValue v;
};

static bool conv_value(struct conv *c, JSValueConst v, const struct at *at, int how);

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
		if (!conv_check_name(c, m[i].name))
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
	struct member   few[MEMBERS_ON_STACK], *m = few, *many = NULL;
	JSPropertyEnum *tab;
	uint32_t        n, fetched = 0;
	bool            ok = false;
	UNDO_ON_JUMP(undo_mem, &many);

	if (!enter(c, v, at))
		return false;
	if (JS_GetOwnPropertyNames(c->ctx, &tab, &n, v, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) < 0)
		return false;
	if (n > MEMBERS_ON_STACK)
		m = many = mem_alloc(n * sizeof *m);
	if (fetch_members(c, v, tab, n, m, &fetched))
		ok = conv_members(c, v, m, n, at, how);
	for (uint32_t i = 0; i < fetched; i++) {
		JS_FreeCString(c->ctx, m[i].name.p);
		JS_FreeValue(c->ctx, m[i].v);
	}
	mem_free(many);
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
		ret = js_constructor_named(ctx, proto, "Object");
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
		return conv_fail_collection(c, "Set", v, at);
	if (JS_IsMap(v))
		return conv_fail_collection(c, "Map", v, at);
	is = js_is_simple(c->ctx, v);
	if (is > 0)
		return conv_object(c, v, at, how);
	if (is < 0)
		return false;
	/* The npm package's own placeholder, from a bundle that called jsonToConvex(). */
	is = js_constructor_named(c->ctx, v, "CommitTsPlaceholder");
	if (is > 0)
		pack_commit_ts(c->p);
	else if (is == 0)
		conv_fail_not_simple(c, v, at);
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
			return conv_fail_undefined(c, at);
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
		return conv_fail_not_simple(c, v, at);
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
