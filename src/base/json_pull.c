/* json_pull.c - the JSON parser: text to tokens.
 *
 * A small state machine knows what may come next; brackets are matched on a stack of bits.
 * Error texts and positions are those of serde_json, which the reference uses: users
 * compare them with what they find on the web.
 *
 * Thread: any.  Memory: decoded strings in the caller's arena.
 */
#include "base/json_pull.h"

#include <math.h>
#include <stdlib.h>

#include "base/double.h"

enum state {
	AT_VALUE, /* a value must come: at the start, behind a colon */
	AT_FIRST, /* behind an opening bracket */
	AT_NEXT,  /* behind a member: comma or closing bracket */
	AT_END    /* behind the whole value */
};

/* Notes the error; `at` is the first byte that serde_json has not consumed. */
static bool
fail(struct json_pull *p, const char *at, const char *what)
{
	p->error = what;
	p->error_at = at < p->end ? at : p->end;
	return false;
}

static bool
fail_peek(struct json_pull *p, const char *what)
{
	return fail(p, p->at < p->end ? p->at + 1 : p->end, what);
}

static inline void
skip_space(struct json_pull *p)
{
	while (p->at < p->end &&
	    (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

/* --- strings --- */

/* Skips bytes that stand for themselves: not '"', not '\\', not a control character.
 * Eight at a time: the lowest bit of the mask marks the first byte that may be something
 * else (borrows only disturb the bytes above it). */
static const char *
skip_plain(const char *at, const char *end, bool *non_ascii)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t tops = 0x8080808080808080u;

	while (at < end) {
		if (end - at >= 8) {
			uint64_t w, quote, slash, mask;

			memcpy(&w, at, 8);
			quote = w ^ ones * '"';
			slash = w ^ ones * '\\';
			mask = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
				   ((w - ones * 0x20) & ~w) | w) & tops;
			if (!mask) {
				at += 8;
				continue;
			}
			at += __builtin_ctzll(mask) / 8;
		}
		if ((uint8_t)*at < 0x20 || *at == '"' || *at == '\\')
			break;
		if ((uint8_t)*at >= 0x80)
			*non_ascii = true;
		at++;
	}
	return at;
}

static bool
read_hex4(struct json_pull *p, uint32_t *ret)
{
	uint32_t v = 0;

	if (p->end - p->at < 4)
		return fail(p, p->end, "EOF while parsing a string");
	for (int i = 0; i < 4; i++) {
		char c = *p->at++;

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
		else
			return fail(p, p->at, "invalid escape");
	}
	*ret = v;
	return true;
}

static char *
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
}

/* Behind "\u".  Surrogates must come as a pair. */
static bool
read_unicode_escape(struct json_pull *p, char **out)
{
	uint32_t c, low;

	if (!read_hex4(p, &c))
		return false;
	if (c >= 0xDC00 && c <= 0xDFFF)
		return fail(p, p->at, "lone leading surrogate in hex escape");
	if (c >= 0xD800 && c <= 0xDBFF) {
		if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
			return fail(p, p->at, "unexpected end of hex escape");
		p->at += 2;
		if (!read_hex4(p, &low))
			return false;
		if (low < 0xDC00 || low > 0xDFFF)
			return fail(p, p->at, "lone leading surrogate in hex escape");
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
	}
	*out = put_utf8(*out, c);
	return true;
}

static bool
read_escape(struct json_pull *p, char **out)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char       *which;
	char              c;

	p->at++; /* the backslash */
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a string");
	c = *p->at++;
	if (c == 'u')
		return read_unicode_escape(p, out);
	which = c ? strchr(letters, c) : NULL;
	if (!which)
		return fail(p, p->at, "invalid escape");
	*(*out)++ = meanings[which - letters];
	return true;
}

/* From the first escape on: copies to the arena.  A decoded string is never longer than
 * its source. */
static bool
read_escaped(struct json_pull *p, const char *start, bool *non_ascii, str *ret)
{
	const char *close = p->at;
	char       *room, *out;

	/* The closing quote bounds the copy; escapes are checked below. */
	while (close < p->end && *close != '"')
		close += *close == '\\' && close + 1 < p->end ? 2 : 1;
	room = arena_alloc(p->arena, (size_t)(close - start));
	memcpy(room, start, (size_t)(p->at - start));
	out = room + (p->at - start);
	while (p->at < p->end && *p->at != '"') {
		const char *plain = p->at;

		if (*plain == '\\') {
			if (!read_escape(p, &out))
				return false;
			continue;
		}
		if ((uint8_t)*plain < 0x20)
			break;
		p->at = skip_plain(plain, p->end, non_ascii);
		memcpy(out, plain, (size_t)(p->at - plain));
		out += p->at - plain;
	}
	*ret = str_of(room, (size_t)(out - room));
	return true;
}

static bool
read_string(struct json_pull *p, str *ret)
{
	const char *start = ++p->at; /* behind the quote */
	bool        non_ascii = false;
	str         s;

	p->at = skip_plain(start, p->end, &non_ascii);
	if (p->at < p->end && *p->at == '\\') {
		if (!read_escaped(p, start, &non_ascii, &s))
			return false;
	} else {
		s = str_of(start, (size_t)(p->at - start));
	}
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a string");
	if (*p->at != '"')
		return fail(p, p->at + 1,
		    "control character (\\u0000-\\u001F) found while parsing a string");
	if (non_ascii && !str_utf8_valid(s))
		return fail(p, p->at, "invalid unicode code point");
	p->at++;
	*ret = s;
	return true;
}

/* --- numbers --- */

/* What double_nearest() cannot decide: more than 19 digits, extreme exponents. */
static double
slow_double(struct json_pull *p, str text)
{
	char  room[64];
	char *z = text.n < sizeof room ? room : arena_alloc(p->arena, text.n + 1);

	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return strtod(z, NULL);
}

static bool
is_digit(const struct json_pull *p)
{
	return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

/* The digits of a number as they are read: value = digits * 10^exponent if not `cut`. */
struct decimal {
	uint64_t digits;
	int      ndigits;
	int      exponent;
	bool     cut; /* more than 19 significant digits or a silly exponent */
};

static void
read_digits(struct json_pull *p, struct decimal *d, int exponent_each)
{
	for (; is_digit(p); p->at++) {
		if (d->ndigits == 19) {
			d->cut = true;
			continue;
		}
		d->digits = d->digits * 10 + (uint64_t)(*p->at - '0');
		d->ndigits += d->digits != 0;
		d->exponent += exponent_each;
	}
}

static bool
read_exponent(struct json_pull *p, struct decimal *d)
{
	bool negative = false;
	int  e = 0;

	p->at++; /* e */
	if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
		negative = *p->at++ == '-';
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (!is_digit(p))
		return fail_peek(p, "invalid number");
	for (; is_digit(p); p->at++) {
		if (e < 100000)
			e = e * 10 + (*p->at - '0');
		else
			d->cut = true;
	}
	d->exponent += negative ? -e : e;
	return true;
}

/* Digits, point and exponent; the sign is behind us. */
static bool
read_decimal(struct json_pull *p, struct decimal *d, bool *integral)
{
	*integral = true;
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (!is_digit(p))
		return fail_peek(p, "invalid number");
	if (*p->at == '0') {
		p->at++;
		if (is_digit(p))
			return fail_peek(p, "invalid number");
	} else {
		read_digits(p, d, 0);
	}
	if (p->at < p->end && *p->at == '.') {
		*integral = false;
		p->at++;
		if (p->at == p->end)
			return fail(p, p->end, "EOF while parsing a value");
		if (!is_digit(p))
			return fail_peek(p, "invalid number");
		read_digits(p, d, -1);
	}
	if (p->at < p->end && (*p->at | 32) == 'e') {
		*integral = false;
		return read_exponent(p, d);
	}
	return true;
}

static bool
read_number(struct json_pull *p, struct json_token *ret)
{
	const char    *start = p->at;
	bool           negative = *p->at == '-';
	struct decimal d = { 0 };
	double         v;

	if (negative)
		p->at++;
	if (!read_decimal(p, &d, &ret->integral))
		return false;
	if (d.exponent == 0 && !d.cut && d.digits < (uint64_t)1 << 53)
		v = (double)d.digits;
	else if (d.cut || !double_nearest(d.digits, d.exponent, &v))
		v = fabs(slow_double(p, str_of(start, (size_t)(p->at - start))));
	if (isinf(v))
		return fail(p, p->at, "number out of range");
	ret->kind = JSON_T_NUMBER;
	ret->number = negative ? -v : v;
	return true;
}

/* --- structure --- */

static bool
in_object(const struct json_pull *p)
{
	return p->object[p->depth - 1];
}

/* A value is complete. */
static void
advance(struct json_pull *p)
{
	p->state = p->depth ? AT_NEXT : AT_END;
}

static bool
open_container(struct json_pull *p, struct json_token *ret, bool object)
{
	if (p->depth == JSON_MAX_DEPTH)
		return fail_peek(p, "recursion limit exceeded");
	p->object[p->depth++] = object;
	p->state = AT_FIRST;
	p->at++;
	ret->kind = object ? JSON_T_OBJECT : JSON_T_ARRAY;
	return true;
}

static bool
close_container(struct json_pull *p, struct json_token *ret)
{
	p->at++;
	p->depth--;
	advance(p);
	ret->kind = JSON_T_CLOSE;
	return true;
}

static bool
read_word(struct json_pull *p, str word)
{
	for (size_t i = 0; i < word.n; i++) {
		if (p->at == p->end)
			return fail(p, p->end, "EOF while parsing a value");
		if (*p->at++ != word.p[i])
			return fail(p, p->at, "expected ident");
	}
	return true;
}

static bool
read_scalar(struct json_pull *p, struct json_token *ret)
{
	switch (*p->at) {
	case '"':
		ret->kind = JSON_T_STRING;
		return read_string(p, &ret->string);
	case 't':
		ret->kind = JSON_T_BOOL;
		ret->boolean = true;
		return read_word(p, S("true"));
	case 'f':
		ret->kind = JSON_T_BOOL;
		ret->boolean = false;
		return read_word(p, S("false"));
	case 'n':
		ret->kind = JSON_T_NULL;
		return read_word(p, S("null"));
	default:
		if (*p->at == '-' || is_digit(p))
			return read_number(p, ret);
		return fail_peek(p, "expected value");
	}
}

static bool
read_value(struct json_pull *p, struct json_token *ret)
{
	const char *start = p->at;

	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (*p->at == '{' || *p->at == '[')
		return open_container(p, ret, *p->at == '{');
	if (!read_scalar(p, ret))
		return false;
	ret->source = str_of(start, (size_t)(p->at - start));
	advance(p);
	return true;
}

/* "name" : */
static bool
read_key(struct json_pull *p, struct json_token *ret)
{
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (*p->at != '"')
		return fail_peek(p, "key must be a string");
	if (!read_string(p, &ret->string))
		return false;
	skip_space(p);
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing an object");
	if (*p->at != ':')
		return fail_peek(p, "expected `:`");
	p->at++;
	p->state = AT_VALUE;
	ret->kind = JSON_T_KEY;
	return true;
}

/* Inside a container: its end, or what its next member starts with. */
static bool
read_member(struct json_pull *p, struct json_token *ret)
{
	bool object = in_object(p);
	char closing = object ? '}' : ']';

	if (p->at == p->end)
		return fail(p, p->end,
		    object ? "EOF while parsing an object" : "EOF while parsing a list");
	if (*p->at == closing)
		return close_container(p, ret);
	if (p->state == AT_NEXT) {
		if (*p->at != ',')
			return fail_peek(p, object ? "expected `,` or `}`" : "expected `,` or `]`");
		p->at++;
		skip_space(p);
		if (p->at < p->end && *p->at == closing)
			return fail_peek(p, "trailing comma");
	}
	return object ? read_key(p, ret) : read_value(p, ret);
}

void
json_pull_init(struct json_pull *p, struct arena *a, str text)
{
	p->arena = a;
	p->start = p->at = text.p ? text.p : "";
	p->end = p->start + text.n;
	p->error = NULL;
	p->depth = 0;
	p->state = AT_VALUE;
}

bool
json_pull_next(struct json_pull *p, struct json_token *ret)
{
	if (UNLIKELY(p->error))
		return false;
	skip_space(p);
	switch ((enum state)p->state) {
	case AT_VALUE:
		return read_value(p, ret);
	case AT_FIRST:
	case AT_NEXT:
		return read_member(p, ret);
	case AT_END:
		break;
	}
	if (p->at < p->end)
		return fail_peek(p, "trailing characters");
	ret->kind = JSON_T_END;
	return true;
}

status
json_pull_error(const struct json_pull *p, struct err *e)
{
	size_t      line = 1;
	const char *line_start = p->start;

	must(p->error);
	for (const char *c = p->start; c < p->error_at; c++) {
		if (*c == '\n') {
			line++;
			line_start = c + 1;
		}
	}
	return err_set(e, ST_BAD_REQUEST, "BadJsonBody", "%s at line %zu column %zu", p->error,
	    line, (size_t)(p->error_at - line_start));
}
