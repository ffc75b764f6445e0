/* natives_encoding.c - TextDecoder's legacy encodings: all but utf-8, utf-16 and windows-1252.
 *
 * ICU's converters know the tables.  A converter lives as long as the call: JavaScript keeps the
 * bytes of an incomplete character between two calls (js/prelude/text.js).
 *
 * Thread: the isolate's.  Memory: units in the host's memory until they are a string.
 */
#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>

#include "isolate/guard.h"
#include "isolate/natives_int.h"

/* What stands for nothing is U+FFFD (ICU's own substitution writes U+001A for single bytes), or the
 * end if the decoder is fatal.  GB18030 and GBK have a byte here that ICU lacks: 0x80 is U+20AC. */
struct invalid {
	bool fatal, euro;
};

static void
on_invalid(const void *arg, UConverterToUnicodeArgs *to, const char *units, int32_t n,
    UConverterCallbackReason reason, UErrorCode *code)
{
	const struct invalid *how = arg;
	bool                  euro = how->euro && n == 1 && (uint8_t)units[0] == 0x80;
	UChar                 c = euro ? 0x20ac : 0xfffd;

	if (reason > UCNV_IRREGULAR || (how->fatal && !euro))
		return; /* reset, close, clone; or *code stays as it is */
	*code = U_ZERO_ERROR;
	ucnv_cbToUWriteUChars(to, &c, 1, 0, code);
}

static void
undo_converter(void *cnv)
{
	ucnv_close(cnv);
}

/* The converter of this name; false with an exception. */
static bool
open_converter(JSContext *ctx, JSValueConst name, bool fatal, UConverter **ret)
{
	static const struct invalid hows[] = {
		{ false, false }, { false, true }, { true, false }, { true, true }
	};
	const char *text = JS_ToCString(ctx, name);
	UErrorCode  code = U_ZERO_ERROR;
	bool        euro = text && strcmp(text, "gb18030") == 0;

	if (!text)
		return false;
	*ret = ucnv_open(text, &code);
	JS_FreeCString(ctx, text);
	if (U_FAILURE(code)) {
		js_throw_text(ctx, JSE_RANGE, S("The encoding is not available"));
		return false;
	}
	ucnv_setToUCallBack(*ret, on_invalid, &hows[2 * fatal + euro], NULL, NULL, &code);
	return true;
}

/* Bytes at the end that could begin a character, at most all of them. */
static size_t
pending(UConverter *cnv, str in)
{
	UChar       units[1024];
	const char *from = in.p, *end = in.p + in.n;
	UErrorCode  code = U_BUFFER_OVERFLOW_ERROR;
	int32_t     n;

	while (code == U_BUFFER_OVERFLOW_ERROR) {
		UChar *to = units;

		code = U_ZERO_ERROR;
		ucnv_toUnicode(
		    cnv, &to, units + COUNT_OF(units), &from, end, NULL, false, &code);
	}
	code = U_ZERO_ERROR;
	n = ucnv_toUCountPending(cnv, &code);
	return U_FAILURE(code) || n < 0 ? 0 : (size_t)n;
}

/* legacyTail(name, bytes) */
static JSValue
native_legacy_tail(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	UConverter *cnv;
	str         in;
	size_t      n;

	(void)this_val, (void)magic;
	if (!open_converter(ctx, js_arg(argc, argv, 0), false, &cnv))
		return JS_EXCEPTION;
	UNDO_ON_JUMP(undo_converter, cnv);
	if (!js_bytes(ctx, js_arg(argc, argv, 1), &in)) {
		ucnv_close(cnv);
		return JS_EXCEPTION;
	}
	n = pending(cnv, in);
	ucnv_close(cnv);
	return JS_NewInt64(ctx, (int64_t)n);
}

/* No encoding here makes more than one unit of a byte; if one did, it would be refused. */
static JSValue
decode_all(JSContext *ctx, UConverter *cnv, str in)
{
	size_t      room = in.n + 16;
	UChar      *units = mem_alloc(room * sizeof *units), *to = units;
	const char *from = in.p;
	UErrorCode  code = U_ZERO_ERROR;
	JSValue     ret;

	UNDO_ON_JUMP(undo_mem, &units);
	ucnv_toUnicode(cnv, &to, units + room, &from, in.p + in.n, NULL, true, &code);
	if (U_FAILURE(code))
		ret = js_throw_text(
		    ctx, JSE_TYPE, S("The encoded data was not valid for the encoding"));
	else
		ret = JS_NewStringUTF16(ctx, (const uint16_t *)units, (size_t)(to - units));
	mem_free(units);
	return ret;
}

/* legacyDecode(name, bytes, fatal) */
static JSValue
native_legacy_decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic)
{
	bool        fatal = JS_ToBool(ctx, js_arg(argc, argv, 2)) > 0;
	UConverter *cnv;
	str         in;
	JSValue     ret = JS_EXCEPTION;

	(void)this_val, (void)magic;
	if (!open_converter(ctx, js_arg(argc, argv, 0), fatal, &cnv))
		return JS_EXCEPTION;
	UNDO_ON_JUMP(undo_converter, cnv);
	if (js_bytes(ctx, js_arg(argc, argv, 1), &in))
		ret = decode_all(ctx, cnv, in);
	ucnv_close(cnv);
	return ret;
}

const struct method natives_encoding[] = {
	{ "legacyTail", 2, native_legacy_tail, 0 },
	{ "legacyDecode", 3, native_legacy_decode, 0 },
};
const size_t natives_encoding_count = COUNT_OF(natives_encoding);
