/* str.c - searching, numbers and UTF-8 over borrowed bytes.
 *
 * UTF-8 here is the strict form of RFC 3629: strings of the value model hold Unicode scalar
 * values only (spec 03 section 1.1), so surrogates and overlong forms are refused.
 *
 * Thread: any.  Memory: none.
 */
#include "base/str.h"

#include "base/must.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool
str_eq_nocase(str a, str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower((uint8_t)a.p[i]) != lower((uint8_t)b.p[i]))
			return false;
	return true;
}

bool
str_find(str hay, str needle, size_t *ret_at)
{
	const char *at;

	if (needle.n == 0) {
		*ret_at = 0;
		return true;
	}
	if (hay.n < needle.n)
		return false;
	at = memmem(hay.p, hay.n, needle.p, needle.n);
	if (!at)
		return false;
	*ret_at = (size_t)(at - hay.p);
	return true;
}

bool
str_rfind_char(str s, char c, size_t *ret_at)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

	if (!at)
		return false;
	*ret_at = (size_t)(at - s.p);
	return true;
}

bool
str_find_char(str s, char c, size_t *ret_at)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	if (!at)
		return false;
	*ret_at = (size_t)(at - s.p);
	return true;
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

str
str_trim(str s)
{
	while (s.n && is_space(s.p[0]))
		s = str_from(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
str_to_u64(str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)((uint8_t)s.p[i] - '0');

		if (digit > 9)
			return false;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return true;
}

bool
str_to_i64(str s, int64_t *ret)
{
	bool     negative = s.n > 0 && s.p[0] == '-';
	uint64_t v;

	if (!str_to_u64(negative ? str_from(s, 1) : s, &v))
		return false;
	if (v > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* The length of the well-formed character at p, 0 if there is none before `end`.
 * Table 3-7 of the Unicode standard, row by row. */
static size_t
utf8_char(const uint8_t *p, const uint8_t *end)
{
	size_t  left = (size_t)(end - p);
	uint8_t lo = 0x80, hi = 0xBF;
	size_t  n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF) {
		n = 2;
	} else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
		n = 3;
		if (p[0] == 0xE0)
			lo = 0xA0;
		if (p[0] == 0xED)
			hi = 0x9F;
	} else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		n = 4;
		if (p[0] == 0xF0)
			lo = 0x90;
		if (p[0] == 0xF4)
			hi = 0x8F;
	} else {
		return 0;
	}
	if (left < n || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

bool
str_utf8_valid(str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	const uint8_t *end = s.n ? p + s.n : p;

	while (p < end) {
		uint64_t eight;
		size_t   n;

		if (end - p >= 8) { /* most text is ASCII: eight at a time */
			memcpy(&eight, p, 8);
			if (!(eight & 0x8080808080808080u)) {
				p += 8;
				continue;
			}
		}
		n = utf8_char(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

str
str_utf8_cut(str s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	while (n > 0 && ((uint8_t)s.p[n] & 0xC0) == 0x80)
		n--;
	return str_head(s, n);
}
