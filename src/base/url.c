/* url.c - percent-encoding and query strings: see url.h.
 *
 * Thread: any.  Memory: the caller's.
 */
#include "base/url.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
url_decode(struct buf *out, str text, bool plus)
{
	size_t before = out->n;

	for (size_t i = 0; i < text.n; i++) {
		int hi, lo;

		if (text.p[i] != '%') {
			buf_add_byte(out, plus && text.p[i] == '+' ? ' ' : (uint8_t)text.p[i]);
			continue;
		}
		hi = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
		lo = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
		if (hi < 0 || lo < 0) {
			out->n = before;
			return false;
		}
		buf_add_byte(out, (uint8_t)(hi << 4 | lo));
		i += 2;
	}
	return true;
}

bool
url_param(struct arena *a, str query, str name, str *ret)
{
	struct buf b;
	bool       found = false;

	buf_init(&b, BUF_MAX_DEFAULT);
	while (query.n > 0 && !found) {
		size_t end = query.n, eq;
		str    pair;

		(void)str_find_char(query, '&', &end);
		pair = str_head(query, end);
		query = str_from(query, end + 1);
		if (!str_find_char(pair, '=', &eq))
			eq = pair.n;
		buf_reset(&b);
		if (!url_decode(&b, str_head(pair, eq), true) || !str_eq(buf_str(&b), name))
			continue;
		buf_reset(&b);
		if (!url_decode(&b, str_from(pair, eq + 1), true))
			break;
		*ret = arena_str(a, buf_str(&b));
		found = true;
	}
	buf_clear(&b);
	return found;
}
