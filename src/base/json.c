/* json.c - the JSON parser.
 *
 * One recursive descent over the text.  The members of open containers gather on a stack
 * and are copied to the arena when their container closes, so that every node's children
 * are one array.  Error texts and positions are those of serde_json, which the reference
 * uses: users compare them with what they find on the web.
 *
 * Thread: any.  Memory: the tree in the caller's arena; the stack is freed before return.
 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/double.h"
#include "base/hash.h"
#include "base/vec.h"

#define DEPTH_MAX 128 /* spec 01 section 1.1 */

struct parser {
	struct arena    *arena;
	const char      *start;
	const char      *at;
	const char      *end;
	VEC(struct json) items; /* children of the open containers */
	VEC(str)         keys;  /* as many; empty for array elements */
	int              depth;
	const char      *error; /* NULL: none yet */
	const char      *error_at;
};

/* Notes the error; `at` is the first byte that serde_json has not consumed. */
static bool
fail(struct parser *p, const char *at, const char *what)
{
	p->error = what;
	p->error_at = at < p->end ? at : p->end;
	return false;
}

static bool
fail_peek(struct parser *p, const char *what)
{
	return fail(p, p->at < p->end ? p->at + 1 : p->end, what);
}

static void
skip_space(struct parser *p)
{
	while (p->at < p->end &&
	    (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

/* --- strings --- */

/* Skips bytes that stand for themselves: not '"', not '\', not a control character. */
static const char *
skip_plain(const char *at, const char *end, bool *non_ascii)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t tops = 0x8080808080808080u;

	while (end - at >= 8) {
		uint64_t w, quote, slash;

		memcpy(&w, at, 8);
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
			((w - ones * 0x20) & ~w) | w) & tops)
			break;
		at += 8;
	}
	for (; at < end && (uint8_t)*at >= 0x20 && *at != '"' && *at != '\\'; at++)
		if ((uint8_t)*at >= 0x80)
			*non_ascii = true;
	return at;
}

static bool
read_hex4(struct parser *p, uint32_t *ret)
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
read_unicode_escape(struct parser *p, char **out)
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
read_escape(struct parser *p, char **out)
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
read_escaped(struct parser *p, const char *start, bool *non_ascii, str *ret)
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
read_string(struct parser *p, str *ret)
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
slow_double(struct parser *p, str text)
{
	char  room[64];
	char *z = text.n < sizeof room ? room : arena_alloc(p->arena, text.n + 1);

	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return strtod(z, NULL);
}

static bool
is_digit(const struct parser *p)
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
read_digits(struct parser *p, struct decimal *d, int exponent_each)
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
read_exponent(struct parser *p, struct decimal *d)
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
read_decimal(struct parser *p, struct decimal *d, bool *integral)
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
read_number(struct parser *p, struct json *ret)
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
	ret->kind = JSON_NUMBER;
	ret->number = negative ? -v : v;
	return true;
}

/* --- containers --- */

static bool read_value(struct parser *p, struct json *ret);

/* Of members with the same name the last value stays, in the first one's place.  Small
 * objects are compared pairwise, large ones through a table of hashes. */
static void
drop_duplicates(struct json *j)
{
	size_t    nslots = 64;
	uint32_t *slots = NULL;
	size_t    n = 0;

	if (j->n > 16) {
		while (nslots < j->n * 2)
			nslots *= 2;
		slots = mem_zalloc(nslots * sizeof *slots);
	}
	for (size_t i = 0; i < j->n; i++) {
		size_t seen = n;

		if (slots) {
			size_t h = hash_bytes(j->keys[i]) & (nslots - 1);

			while (slots[h] && !str_eq(j->keys[slots[h] - 1], j->keys[i]))
				h = (h + 1) & (nslots - 1);
			if (slots[h])
				seen = slots[h] - 1;
			else
				slots[h] = (uint32_t)n + 1;
		} else {
			for (seen = 0; seen < n && !str_eq(j->keys[seen], j->keys[i]);)
				seen++;
		}
		j->keys[seen] = j->keys[i];
		j->items[seen] = j->items[i];
		n += seen == n;
	}
	j->n = n;
	mem_free(slots);
}

/* Moves the members from `first` on off the stack into the node. */
static void
close_container(struct parser *p, struct json *ret, enum json_kind kind, size_t first)
{
	size_t n = p->items.n - first;

	ret->kind = kind;
	ret->n = n;
	if (n) {
		ret->items = arena_alloc(p->arena, n * sizeof *ret->items);
		memcpy(ret->items, p->items.v + first, n * sizeof *ret->items);
	}
	if (n && kind == JSON_OBJECT) {
		ret->keys = arena_alloc(p->arena, n * sizeof *ret->keys);
		memcpy(ret->keys, p->keys.v + first, n * sizeof *ret->keys);
		drop_duplicates(ret);
	}
	p->items.n = p->keys.n = first;
	p->at++; /* the closing bracket */
	p->depth--;
}

static bool
read_member(struct parser *p, str key)
{
	struct json item;

	if (!read_value(p, &item))
		return false;
	vec_push(&p->items, item);
	vec_push(&p->keys, key);
	skip_space(p);
	return true;
}

static bool
read_array(struct parser *p, struct json *ret)
{
	size_t first = p->items.n;

	p->at++;
	skip_space(p);
	if (p->at < p->end && *p->at == ']') {
		close_container(p, ret, JSON_ARRAY, first);
		return true;
	}
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a list");
	for (;;) {
		if (!read_member(p, STR_EMPTY))
			return false;
		if (p->at == p->end)
			return fail(p, p->end, "EOF while parsing a list");
		if (*p->at == ']')
			break;
		if (*p->at != ',')
			return fail_peek(p, "expected `,` or `]`");
		p->at++;
		skip_space(p);
		if (p->at < p->end && *p->at == ']')
			return fail_peek(p, "trailing comma");
	}
	close_container(p, ret, JSON_ARRAY, first);
	return true;
}

/* "name" : and the white space around them. */
static bool
read_key(struct parser *p, str *ret)
{
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (*p->at != '"')
		return fail_peek(p, "key must be a string");
	if (!read_string(p, ret))
		return false;
	skip_space(p);
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing an object");
	if (*p->at != ':')
		return fail_peek(p, "expected `:`");
	p->at++;
	skip_space(p);
	return true;
}

static bool
read_object(struct parser *p, struct json *ret)
{
	size_t first = p->items.n;
	str    key;

	p->at++;
	skip_space(p);
	if (p->at < p->end && *p->at == '}') {
		close_container(p, ret, JSON_OBJECT, first);
		return true;
	}
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing an object");
	for (;;) {
		if (!read_key(p, &key) || !read_member(p, key))
			return false;
		if (p->at == p->end)
			return fail(p, p->end, "EOF while parsing an object");
		if (*p->at == '}')
			break;
		if (*p->at != ',')
			return fail_peek(p, "expected `,` or `}`");
		p->at++;
		skip_space(p);
		if (p->at < p->end && *p->at == '}')
			return fail_peek(p, "trailing comma");
	}
	close_container(p, ret, JSON_OBJECT, first);
	return true;
}

/* --- values --- */

static bool
read_word(struct parser *p, str word)
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
read_by_first_byte(struct parser *p, struct json *ret)
{
	switch (*p->at) {
	case '{':
	case '[':
		if (++p->depth > DEPTH_MAX)
			return fail_peek(p, "recursion limit exceeded");
		return *p->at == '{' ? read_object(p, ret) : read_array(p, ret);
	case '"':
		ret->kind = JSON_STRING;
		return read_string(p, &ret->string);
	case 't':
		ret->kind = JSON_BOOL;
		ret->boolean = true;
		return read_word(p, S("true"));
	case 'f':
		ret->kind = JSON_BOOL;
		return read_word(p, S("false"));
	case 'n':
		return read_word(p, S("null"));
	default:
		if (*p->at == '-' || is_digit(p))
			return read_number(p, ret);
		return fail_peek(p, "expected value");
	}
}

static bool
read_value(struct parser *p, struct json *ret)
{
	const char *start = p->at;

	memset(ret, 0, sizeof *ret);
	if (p->at == p->end)
		return fail(p, p->end, "EOF while parsing a value");
	if (!read_by_first_byte(p, ret))
		return false;
	ret->source = str_of(start, (size_t)(p->at - start));
	return true;
}

static status
report(const struct parser *p, struct err *e)
{
	size_t      line = 1;
	const char *line_start = p->start;

	for (const char *c = p->start; c < p->error_at; c++) {
		if (*c == '\n') {
			line++;
			line_start = c + 1;
		}
	}
	return err_set(e, ST_BAD_REQUEST, "BadJsonBody", "%s at line %zu column %zu", p->error, line,
	    (size_t)(p->error_at - line_start));
}

status
json_parse(struct arena *a, str text, struct json **ret, struct err *e)
{
	const char   *start = text.p ? text.p : "";
	struct parser p = { .arena = a, .start = start, .at = start, .end = start + text.n };
	struct json  *root = ARENA_NEW(a, struct json);
	bool          ok;

	skip_space(&p);
	ok = read_value(&p, root);
	if (ok) {
		skip_space(&p);
		if (p.at < p.end)
			ok = fail_peek(&p, "trailing characters");
	}
	vec_clear(&p.items);
	vec_clear(&p.keys);
	if (!ok)
		return report(&p, e);
	*ret = root;
	return ST_OK;
}
