/* convert_from.c - packed values as engine values, and strings both ways.
 *
 * Objects get their members in the order of names, as the JSON of the reference has them.
 *
 * Thread: the isolate's.  Memory: the heap.
 */
#include "isolate/ctx_int.h"

#define ITEMS_ON_STACK 32

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
	UNDO_ON_JUMP(undo_buf, &b);
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
	JSValue few[ITEMS_ON_STACK], *items = few, *many = NULL, ret = JS_EXCEPTION;
	UNDO_ON_JUMP(undo_mem, &many);

	if (n > ITEMS_ON_STACK)
		items = many = mem_alloc(n * sizeof *items);
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
	mem_free(many);
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
