/* intl.c - the native side of js/prelude/intl*.js: arguments in, results out, ICU in between.
 *
 * Every operation goes the same way: its arguments are copied out of the heap, then it runs
 * without the engine, then its result becomes a value.  See intl_int.h.
 *
 * Thread: the isolate's.  Memory: the thread's call arena, which outlives a jump.
 */
#include "isolate/intl_int.h"
#include "isolate/natives_int.h"

static const struct intl_op *const tables[] = { intl_number_ops, intl_date_ops, intl_locale_ops,
	intl_text_ops, intl_names_ops };

#define OP_TABLE(magic) ((magic) >> 8)
#define OP_INDEX(magic) ((magic) & 0xff)

/* --- arguments --- */

/* Units of text in one call.  A list can have the same string a million times, so what the heap
 * bounds is not what the copies take. */
#define UNITS_MAX ((size_t)32 << 20)

static bool
admit(JSContext *ctx, size_t n, size_t *units)
{
	*units += n;
	if (*units <= UNITS_MAX)
		return true;
	js_throw_text(ctx, JSE_RANGE, S("Invalid string length"));
	return false;
}

static bool
arg_utf8(JSContext *ctx, JSValueConst v, struct arena *a, size_t *units, const char **ret)
{
	size_t      n;
	const char *z = JS_ToCStringLen(ctx, &n, v);

	if (!z || !admit(ctx, n, units))
		return false;
	*ret = arena_z(a, str_of(z, n));
	JS_FreeCString(ctx, z);
	return true;
}

static bool
arg_utf16(JSContext *ctx, JSValueConst v, struct arena *a, size_t *units, struct utext16 *ret)
{
	size_t          n;
	const uint16_t *p = JS_ToCStringLenUTF16(ctx, &n, v);
	UChar          *copy;

	if (!p || !admit(ctx, n, units))
		return false;
	copy = arena_alloc(a, (n + 1) * sizeof *copy);
	memcpy(copy, p, n * sizeof *copy);
	copy[n] = 0;
	*ret = (struct utext16){ copy, n };
	JS_FreeCStringUTF16(ctx, p);
	return true;
}

static bool
arg_list(JSContext *ctx, JSValueConst v, struct arena *a, size_t *units, struct intl_arg *ret)
{
	int64_t n;

	if (JS_GetLength(ctx, v, &n) < 0 || !admit(ctx, (size_t)n, units))
		return false;
	ret->list = ARENA_ARRAY(a, struct utext16, n + 1);
	for (int64_t i = 0; i < n; i++) {
		JSValue item = JS_GetPropertyInt64(ctx, v, i);
		bool    ok = !JS_IsException(item) && arg_utf16(ctx, item, a, units, &ret->list[i]);

		JS_FreeValue(ctx, item);
		if (!ok)
			return false;
	}
	ret->nlist = (size_t)n;
	return true;
}

static bool
arg_of(JSContext *ctx, JSValueConst v, char type, struct arena *a, size_t *units,
    struct intl_arg *ret)
{
	switch (type) {
	case 's':
		return arg_utf8(ctx, v, a, units, &ret->z);
	case 'u':
		return arg_utf16(ctx, v, a, units, &ret->u);
	case 'l':
		return arg_list(ctx, v, a, units, ret);
	default:
		if (type == 'v' && !JS_IsNumber(v))
			return arg_utf8(ctx, v, a, units, &ret->z);
		return JS_ToFloat64(ctx, &ret->number, v) == 0;
	}
}

/* --- results --- */

static JSValue
value_of(JSContext *ctx, const struct intl_item *item)
{
	if (item->z)
		return JS_NewString(ctx, item->z);
	if (item->u.p)
		return JS_NewStringUTF16(ctx, (const uint16_t *)item->u.p, item->u.n);
	return JS_NewNumber(ctx, item->number);
}

static JSValue
list_of(JSContext *ctx, const struct intl_out *out)
{
	JSValue ret = JS_NewArray(ctx);

	for (size_t i = 0; i < out->items.n && !JS_IsException(ret); i++) {
		JSValue v = value_of(ctx, &out->items.v[i]);

		if (JS_IsException(v) ||
		    JS_DefinePropertyValueUint32(ctx, ret, (uint32_t)i, v, JS_PROP_C_W_E) < 0)
			return JS_EXCEPTION;
	}
	return ret;
}

static JSValue
native_intl(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const struct intl_op *op = &tables[OP_TABLE(magic)][OP_INDEX(magic)];
	struct intl_call      c = intl_begin();
	struct intl_arg       v[INTL_ARGS_MAX] = { 0 };
	size_t                units = 0;

	(void)this_val;
	for (int i = 0; op->args[i]; i++)
		if (!arg_of(ctx, js_arg(argc, argv, i), op->args[i], c.arena, &units, &v[i]))
			return JS_EXCEPTION;
	c.v = v;
	if (!op->fn(&c))
		return js_throw_text(ctx, JSE_RANGE, S("Internal error. Icu error."));
	switch (c.out->shape) {
	case INTL_LIST:
		return list_of(ctx, c.out);
	case INTL_ONE:
		return value_of(ctx, &c.out->items.v[0]);
	default:
		return JS_UNDEFINED;
	}
}

/* --- String.prototype.localeCompare --- */

/* Locales that order ASCII as the root does and need no negotiation: the tag is the collator's. */
static const char *const plain_locales[] = { "en", "en-US", "en-GB", "de", "de-DE", "de-AT", "fr",
	"fr-FR", "es", "es-ES", "it", "it-IT", "pt", "pt-BR", "pt-PT", "nl", "nl-NL", "ca", "fi",
	"id", "ms", "pl", "ro", "sl", "sv", "sw" };

/* The collator's tag; NULL: it takes JavaScript to find it out. */
static const char *
plain_locale(JSContext *ctx, int argc, JSValueConst *argv)
{
	const char *ret = NULL, *tag;

	if (argc > 2 && !JS_IsUndefined(argv[2]))
		return NULL;
	if (argc < 2 || JS_IsUndefined(argv[1]))
		return "en-US";
	tag = JS_IsString(argv[1]) ? JS_ToCString(ctx, argv[1]) : NULL;
	for (size_t i = 0; tag && !ret && i < COUNT_OF(plain_locales); i++)
		if (strcmp(tag, plain_locales[i]) == 0)
			ret = plain_locales[i];
	JS_FreeCString(ctx, tag);
	return ret;
}

/* The rest is in JavaScript: other receivers, other arguments. */
static JSValue
slow_compare(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	JSValue      fn = JS_GetPropertyStr(ctx, engine_of(ctx)->natives, "slowCompare"), ret;
	JSValueConst args[4] = { this_val, js_arg(argc, argv, 0), js_arg(argc, argv, 1),
		js_arg(argc, argv, 2) };

	if (JS_IsException(fn))
		return fn;
	ret = JS_Call(ctx, fn, JS_UNDEFINED, COUNT_OF(args), args);
	JS_FreeValue(ctx, fn);
	return ret;
}

/* Between two calls of the engine there is nothing to undo: strings of the heap may be left. */
static JSValue
native_locale_compare(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic)
{
	const char *a, *b, *tag = NULL;
	str         x, y;
	int         order;

	(void)magic;
	if (argc >= 1 && JS_IsString(this_val) && JS_IsString(argv[0]))
		tag = plain_locale(ctx, argc, argv);
	if (!tag && JS_HasException(ctx))
		return JS_EXCEPTION;
	if (!tag)
		return slow_compare(ctx, this_val, argc, argv);
	a = JS_ToCStringLen(ctx, &x.n, this_val);
	b = a ? JS_ToCStringLen(ctx, &y.n, argv[0]) : NULL;
	if (!b)
		return JS_EXCEPTION;
	x.p = a;
	y.p = b;
	order = intl_compare(tag, x, y);
	JS_FreeCString(ctx, a);
	JS_FreeCString(ctx, b);
	return JS_NewInt32(ctx, order);
}

bool
natives_intl_install(JSContext *ctx, JSValueConst host)
{
	static const struct method compare[] = { { "localeCompare", 1, native_locale_compare, 0 } };
	JSValue                    object = JS_NewObject(ctx);

	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (size_t i = 0; tables[t][i].name; i++) {
			struct method m = { tables[t][i].name, 0, native_intl, (int)(t << 8 | i) };

			if (!js_methods(ctx, object, &m, 1, true))
				return false;
		}
	return js_methods(ctx, object, compare, COUNT_OF(compare), true) &&
	    JS_DefinePropertyValueStr(ctx, host, "intl", object, JS_PROP_C_W_E) >= 0;
}
