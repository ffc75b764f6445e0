/* natives_text.c - TextEncoder and TextDecoder's bytes: utf-8, utf-16, windows-1252.
 *
 * Decoding follows the WHATWG Encoding Standard: each maximal part of an invalid sequence
 * becomes one U+FFFD, or the whole call fails when the decoder is fatal.
 *
 * Thread: the isolate's.
 */
#include "isolate/guard.h"
#include "isolate/natives_int.h"

#define REPLACEMENT S("\xef\xbf\xbd")

/* --- utf-8 --- */

/* Length of the sequence at p, of which n bytes exist: *ret_ok whether it is valid.  An invalid
 * one gives its maximal part; *ret_cut says that the bytes ended too early. */
static size_t
utf8_step(const uint8_t *p, size_t n, bool *ret_ok, bool *ret_cut)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t  need = p[0] < 0x80 ? 0 : p[0] >= 0xc2 && p[0] <= 0xdf ? 1 :
	    (p[0] & 0xf0) == 0xe0 ? 2 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 3 : 4;

	*ret_ok = *ret_cut = false;
	if (need == 4)
		return 1;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	for (size_t i = 1; i <= need; i++) {
		if (i == n) {
			*ret_cut = true;
			return i;
		}
		if (p[i] < lo || p[i] > hi)
			return i;
		lo = 0x80;
		hi = 0xbf;
	}
	*ret_ok = true;
	return need + 1;
}

static JSValue
invalid_data(JSContext *ctx)
{
	return js_throw_text(ctx, JSE_TYPE, S("The encoded data was not valid for the encoding"));
}

static JSValue
decode_utf8(JSContext *ctx, str in, bool fatal)
{
	struct buf b;
	JSValue    ret;

	if (str_utf8_valid(in))
		return js_from_str(ctx, in);
	if (fatal)
		return invalid_data(ctx);
	buf_init(&b, BUF_MAX_DEFAULT);
	UNDO_ON_JUMP(undo_buf, &b);
	while (in.n) {
		bool   ok, cut;
		size_t n = utf8_step((const uint8_t *)in.p, in.n, &ok, &cut);

		buf_add(&b, ok ? str_head(in, n) : REPLACEMENT);
		in = str_from(in, n);
	}
	ret = js_from_str(ctx, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* Bytes at the end that could begin a character. */
static size_t
utf8_tail(str in)
{
	for (size_t back = 1; back <= 3 && back <= in.n; back++) {
		const uint8_t *p = (const uint8_t *)in.p + in.n - back;
		bool           ok, cut;

		if ((*p & 0xc0) == 0x80)
			continue;
		return utf8_step(p, back, &ok, &cut) == back && cut ? back : 0;
	}
	return 0;
}

/* --- utf-16 and windows-1252 --- */

static uint16_t
unit_at(str in, size_t i, bool big)
{
	uint8_t a = (uint8_t)in.p[2 * i], b = (uint8_t)in.p[2 * i + 1];

	return (uint16_t)(big ? a << 8 | b : b << 8 | a);
}

static bool
is_high(uint16_t u)
{
	return (u & 0xfc00) == 0xd800;
}

static bool
is_low(uint16_t u)
{
	return (u & 0xfc00) == 0xdc00;
}

static JSValue
decode_utf16(JSContext *ctx, str in, bool big, bool fatal)
{
	size_t    n = in.n / 2, out = 0;
	uint16_t *units = mem_alloc((n + 1) * sizeof *units);
	bool      bad = in.n % 2;
	JSValue   ret;

	UNDO_ON_JUMP(undo_mem, &units);
	for (size_t i = 0; i < n; i++) {
		uint16_t u = unit_at(in, i, big);

		if (is_high(u) && i + 1 < n && is_low(unit_at(in, i + 1, big))) {
			units[out++] = u;
			units[out++] = unit_at(in, ++i, big);
			continue;
		}
		bad |= is_high(u) || is_low(u);
		units[out++] = is_high(u) || is_low(u) ? 0xfffd : u;
	}
	if (in.n % 2)
		units[out++] = 0xfffd;
	ret = bad && fatal ? invalid_data(ctx) : JS_NewStringUTF16(ctx, units, out);
	mem_free(units);
	return ret;
}

static size_t
utf16_tail(str in, bool big)
{
	size_t odd = in.n % 2, n = in.n / 2;

	return n && is_high(unit_at(in, n - 1, big)) ? odd + 2 : odd;
}

static JSValue
decode_latin1(JSContext *ctx, str in)
{
	static const uint16_t high[32] = {
		0x20ac,
		0x81,
		0x201a,
		0x192,
		0x201e,
		0x2026,
		0x2020,
		0x2021,
		0x2c6,
		0x2030,
		0x160,
		0x2039,
		0x152,
		0x8d,
		0x17d,
		0x8f,
		0x90,
		0x2018,
		0x2019,
		0x201c,
		0x201d,
		0x2022,
		0x2013,
		0x2014,
		0x2dc,
		0x2122,
		0x161,
		0x203a,
		0x153,
		0x9d,
		0x17e,
		0x178,
	};
	uint16_t *units = mem_alloc((in.n + 1) * sizeof *units);
	JSValue   ret;

	UNDO_ON_JUMP(undo_mem, &units);
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = (uint8_t)in.p[i];

		units[i] = c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c;
	}
	ret = JS_NewStringUTF16(ctx, units, in.n);
	mem_free(units);
	return ret;
}

/* --- the functions --- */

enum encoding { UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252 };

static bool
encoding_of(JSContext *ctx, JSValueConst v, enum encoding *ret)
{
	const char *name = JS_ToCString(ctx, v);

	if (!name)
		return false;
	*ret = strcmp(name, "utf-8") == 0 ? UTF_8 : strcmp(name, "utf-16le") == 0 ? UTF_16LE :
	    strcmp(name, "utf-16be") == 0 ? UTF_16BE : WINDOWS_1252;
	JS_FreeCString(ctx, name);
	return true;
}

/* decode(encoding, bytes, fatal) */
static JSValue
native_decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	bool          fatal = JS_ToBool(ctx, js_arg(argc, argv, 2)) > 0;
	enum encoding encoding;
	str           in;

	(void)this_val, (void)magic;
	if (!encoding_of(ctx, js_arg(argc, argv, 0), &encoding) ||
	    !js_bytes(ctx, js_arg(argc, argv, 1), &in))
		return JS_EXCEPTION;
	switch (encoding) {
	case UTF_8:
		return decode_utf8(ctx, in, fatal);
	case WINDOWS_1252:
		return decode_latin1(ctx, in);
	default:
		return decode_utf16(ctx, in, encoding == UTF_16BE, fatal);
	}
}

static JSValue
native_tail(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	enum encoding encoding;
	str           in;
	size_t        n;

	(void)this_val, (void)magic;
	if (!encoding_of(ctx, js_arg(argc, argv, 0), &encoding) ||
	    !js_bytes(ctx, js_arg(argc, argv, 1), &in))
		return JS_EXCEPTION;
	n = encoding == UTF_8 ? utf8_tail(in) : encoding == WINDOWS_1252 ? 0 :
	    utf16_tail(in, encoding == UTF_16BE);
	return JS_NewInt32(ctx, (int32_t)n);
}

/* UTF-8 of a string, lone surrogates replaced in place: they have three bytes as well. */
static char *
utf8_of(JSContext *ctx, JSValueConst v, size_t *ret_n)
{
	const char *text = JS_ToCStringLen(ctx, ret_n, v);
	char       *copy;

	if (!text)
		return NULL;
	copy = mem_alloc(*ret_n + 1);
	memcpy(copy, text, *ret_n);
	UNDO_ON_JUMP(undo_mem, &copy);
	JS_FreeCString(ctx, text);
	for (size_t i = 0; i + 2 < *ret_n; i++)
		if ((uint8_t)copy[i] == 0xed && (uint8_t)copy[i + 1] >= 0xa0)
			memcpy(copy + i, REPLACEMENT.p, 3);
	return copy;
}

static JSValue
native_encode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	size_t  n;
	char   *bytes = utf8_of(ctx, js_arg(argc, argv, 0), &n);
	JSValue ret;

	UNDO_ON_JUMP(undo_mem, &bytes);
	(void)this_val, (void)magic;
	if (!bytes)
		return JS_EXCEPTION;
	ret = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)bytes, n);
	mem_free(bytes);
	return ret;
}

/* encodeInto(text, bytes): [units read, bytes written], whole characters only. */
static JSValue
native_encode_into(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	size_t   n, room, units = 0, at = 0;
	char    *bytes = utf8_of(ctx, js_arg(argc, argv, 0), &n);
	uint8_t *out;
	JSValue  pair[2];

	UNDO_ON_JUMP(undo_mem, &bytes);
	(void)this_val, (void)magic;
	out = bytes ? JS_GetUint8Array(ctx, &room, js_arg(argc, argv, 1)) : NULL;
	if (!bytes || (!out && JS_HasException(ctx))) {
		mem_free(bytes);
		return JS_EXCEPTION;
	}
	while (at < n) {
		uint8_t c = (uint8_t)bytes[at];
		size_t  size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (at + size > room)
			break;
		memcpy(out + at, bytes + at, size);
		at += size;
		units += size == 4 ? 2 : 1;
	}
	mem_free(bytes);
	bytes = NULL;
	pair[0] = JS_NewInt64(ctx, (int64_t)units);
	pair[1] = JS_NewInt64(ctx, (int64_t)at);
	return JS_NewArrayFrom(ctx, 2, pair);
}

/* find(bytes, wanted, from): where `wanted` begins, or -1. */
static JSValue
native_find(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	str         in, wanted;
	int64_t     from;
	const char *at;

	(void)this_val, (void)magic;
	if (JS_ToInt64(ctx, &from, js_arg(argc, argv, 2)) < 0 ||
	    !js_bytes(ctx, js_arg(argc, argv, 0), &in) ||
	    !js_bytes(ctx, js_arg(argc, argv, 1), &wanted))
		return JS_EXCEPTION;
	if (from < 0 || (size_t)from > in.n)
		return JS_NewInt32(ctx, -1);
	at = memmem(in.p + from, in.n - (size_t)from, wanted.p, wanted.n);
	return JS_NewInt64(ctx, at ? at - in.p : -1);
}

const struct method natives_text[] = {
	{ "encode", 1, native_encode, 0 },
	{ "encodeInto", 2, native_encode_into, 0 },
	{ "decode", 3, native_decode, 0 },
	{ "incompleteTail", 2, native_tail, 0 },
	{ "find", 3, native_find, 0 },
};
const size_t natives_text_count = COUNT_OF(natives_text);
