/* str.h - a borrowed run of bytes.
 *
 * A str is passed by value and never owns anything: it lives as long as what it
 * points into.  It is not NUL-terminated; terminate at the border to the
 * operating system only.
 *
 * Thread: any.  Memory: none.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct str {
	const char *p; /* may be NULL when n is 0 */
	size_t      n; /* bytes */
} str;

/* S("literal") */
#define S(lit) ((str){ (lit), sizeof(lit) - 1 })
#define STR_EMPTY ((str){ "", 0 })
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).n, (s).p

static inline str
str_of(const void *p, size_t n)
{
	return (str){ p, n };
}

static inline str
str_z(const char *z) /* NULL gives the empty str */
{
	return z ? (str){ z, strlen(z) } : STR_EMPTY;
}

static inline bool
str_eq(str a, str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* memcmp order; a proper prefix sorts first.  <0, 0, >0 */
static inline int
str_cmp(str a, str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int    c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool
str_starts(str s, str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool
str_ends(str s, str suffix)
{
	return s.n >= suffix.n &&
	    (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

/* Clamped: from > n gives the empty tail. */
static inline str
str_from(str s, size_t from)
{
	return from >= s.n ? str_of(s.p ? s.p + s.n : s.p, 0) : str_of(s.p + from, s.n - from);
}

static inline str
str_head(str s, size_t n)
{
	return str_of(s.p, n < s.n ? n : s.n);
}

bool str_eq_nocase(str a, str b);           /* ASCII only */
bool str_find(str hay, str needle, size_t *ret_at);
bool str_rfind_char(str s, char c, size_t *ret_at);
bool str_find_char(str s, char c, size_t *ret_at);
str  str_trim(str s);                       /* ASCII white space, both ends */
bool str_to_u64(str s, uint64_t *ret);      /* decimal digits only, no sign, no overflow */
bool str_to_i64(str s, int64_t *ret);       /* optional leading '-' */
bool str_utf8_valid(str s);                 /* no surrogates, no overlong forms */
/* Longest prefix of at most max bytes that ends on a UTF-8 character border. */
str  str_utf8_cut(str s, size_t max);

#endif
