/* json_write.c - JSON text, appended to a buf.
 *
 * Strings leave as raw UTF-8; only '"', '\' and control characters are escaped (spec 01
 * section 1.1).  Doubles are the shortest text that reads back, laid out as the reference's
 * printer does: plain notation for 1e-5 <= |d| < 1e16, otherwise with an exponent.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>

#include "base/double.h"

#define EXACT_INT_MAX 9007199254740992.0 /* 2^53 */
#define DOUBLE_ROOM   32                 /* sign, 17 digits, point, zeros, exponent */

/* Length of the head of s that needs no escape; eight bytes at a time, see json_pull.c. */
static size_t
plain_head(const char *p, size_t n)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t tops = 0x8080808080808080u;
	size_t         i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w, quote, slash, mask;

		memcpy(&w, p + i, 8);
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		mask = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
			   ((w - ones * 0x20) & ~w)) & tops;
		if (mask)
			return i + (size_t)__builtin_ctzll(mask) / 8;
	}
	while (i < n && (uint8_t)p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

static void
write_escape(struct buf *b, uint8_t c)
{
	static const char short_forms[32] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};

	if (c == '"' || c == '\\') {
		buf_add_byte(b, '\\');
		buf_add_byte(b, c);
	} else if (short_forms[c]) {
		buf_add_byte(b, '\\');
		buf_add_byte(b, (uint8_t)short_forms[c]);
	} else {
		buf_fmt(b, "\\u%04x", c);
	}
}

void
json_write_str(struct buf *b, str s)
{
	buf_add_byte(b, '"');
	for (;;) {
		size_t plain = plain_head(s.p, s.n);

		buf_add(b, str_head(s, plain));
		s = str_from(s, plain);
		if (s.n == 0)
			break;
		write_escape(b, (uint8_t)s.p[0]);
		s = str_from(s, 1);
	}
	buf_add_byte(b, '"');
}

/* Writes the decimal digits of v at p; returns how many. */
static size_t
put_digits(char *p, uint64_t v)
{
	char   room[20];
	size_t n = 0;

	do {
		room[sizeof room - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(p, room + sizeof room - n, n);
	return n;
}

void
json_write_u64(struct buf *b, uint64_t v)
{
	char *at = buf_reserve(b, 20);

	if (at)
		b->n += put_digits(at, v);
}

void
json_write_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_add_byte(b, '-');
	json_write_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static char *
put_exponent(char *at, int exponent)
{
	*at++ = 'e';
	if (exponent < 0)
		*at++ = '-';
	return at + put_digits(at, (uint64_t)(exponent < 0 ? -exponent : exponent));
}

/* digits * 10^exponent, without a sign; `at` has room for DOUBLE_ROOM characters. */
static char *
put_decimal(char *at, uint64_t digits, int exponent)
{
	char   text[20];
	size_t n = put_digits(text, digits);
	int    point = (int)n + exponent; /* place of the decimal point, counted from the left */

	if (exponent >= 0 && point <= 16) { /* 12300.0 */
		memcpy(at, text, n);
		memset(at + n, '0', (size_t)exponent);
		memcpy(at + point, ".0", 2);
		return at + point + 2;
	}
	if (point > 0 && point <= 16) { /* 12.3 */
		memcpy(at, text, (size_t)point);
		at[point] = '.';
		memcpy(at + point + 1, text + point, n - (size_t)point);
		return at + n + 1;
	}
	if (point > -5 && point <= 0) { /* 0.00123 */
		memcpy(at, "0.0000", 6);
		memcpy(at + 2 - point, text, n);
		return at + 2 - point + n;
	}
	*at++ = text[0]; /* 1.23e45 */
	if (n > 1) {
		*at++ = '.';
		memcpy(at, text + 1, n - 1);
		at += n - 1;
	}
	return put_exponent(at, point - 1);
}

void
json_write_double(struct buf *b, double d)
{
	char    *at = buf_reserve(b, DOUBLE_ROOM);
	char    *start = at;
	uint64_t digits;
	int      exponent;

	must(isfinite(d));
	if (!at)
		return;
	if (signbit(d)) {
		*at++ = '-';
		d = -d;
	}
	if (d < EXACT_INT_MAX && d == (double)(uint64_t)d) {
		at += put_digits(at, (uint64_t)d);
		memcpy(at, ".0", 2);
		at += 2;
	} else {
		double_digits(d, &digits, &exponent);
		at = put_decimal(at, digits, exponent);
	}
	b->n += (size_t)(at - start);
}

void
json_write_number(struct buf *b, double d)
{
	json_write_double(b, d);
	if (buf_ok(b) && b->n >= 2 && memcmp(b->p + b->n - 2, ".0", 2) == 0)
		b->n -= 2;
}

void
json_write(struct buf *b, const struct json *j)
{
	switch (j->kind) {
	case JSON_NULL:
		buf_add(b, S("null"));
		return;
	case JSON_BOOL:
		buf_add(b, j->boolean ? S("true") : S("false"));
		return;
	case JSON_NUMBER:
		buf_add(b, j->source); /* as it was */
		return;
	case JSON_STRING:
		json_write_str(b, j->string);
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	buf_add_byte(b, j->kind == JSON_ARRAY ? '[' : '{');
	for (size_t i = 0; i < j->n; i++) {
		if (i)
			buf_add_byte(b, ',');
		if (j->kind == JSON_OBJECT) {
			json_write_str(b, j->keys[i]);
			buf_add_byte(b, ':');
		}
		json_write(b, &j->items[i]);
	}
	buf_add_byte(b, j->kind == JSON_ARRAY ? ']' : '}');
}

void
json_comma(struct buf *b)
{
	if (b->n && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[')
		buf_add_byte(b, ',');
}

void
json_key(struct buf *b, const char *key)
{
	json_comma(b);
	json_write_str(b, str_z(key));
	buf_add_byte(b, ':');
}
