/* range.c - the Range header: see range.h.
 *
 * Several ranges are refused, as the service that this one stands for does (spec 05 section 1.4);
 * a list may hold empty elements (RFC 9110 section 5.6.1).
 *
 * Thread: any.
 */
#include "net/range.h"

struct spec {
	bool     suffix;    /* the last `first` bytes */
	bool     open;      /* to the end */
	uint64_t first, last;
};

/* Decimal digits of any length; what is too large for a file is as good as the largest. */
static bool
number(str s, uint64_t *ret)
{
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	if (!str_to_u64(s, ret))
		*ret = UINT64_MAX;
	return true;
}

static bool
parse_spec(str s, struct spec *ret)
{
	size_t dash;
	str    last;

	*ret = (struct spec){ .suffix = false };
	if (!str_find_char(s, '-', &dash))
		return false;
	last = str_from(s, dash + 1);
	if (dash == 0) {
		ret->suffix = true;
		return number(last, &ret->first);
	}
	if (!number(str_head(s, dash), &ret->first))
		return false;
	ret->open = last.n == 0;
	return ret->open || (number(last, &ret->last) && ret->last >= ret->first);
}

/* All of them must parse; how many there are. */
static size_t
parse_list(str list, struct spec *ret)
{
	size_t n = 0, comma;

	for (bool more = true; more;) {
		str         element = list;
		struct spec one;

		more = str_find_char(list, ',', &comma);
		if (more) {
			element = str_head(list, comma);
			list = str_from(list, comma + 1);
		}
		element = str_trim(element);
		if (element.n == 0)
			continue;
		if (!parse_spec(element, &one))
			return 0;
		*ret = one;
		n++;
	}
	return n;
}

enum range_verdict
range_parse(str header, uint64_t size, uint64_t *ret_at, uint64_t *ret_n)
{
	struct spec s = { .suffix = false };
	size_t      n, eq;
	uint64_t    at, end = size;

	if (!header.p || !str_find_char(header, '=', &eq) ||
	    !str_eq_nocase(str_trim(str_head(header, eq)), S("bytes")))
		return RANGE_WHOLE;
	n = parse_list(str_from(header, eq + 1), &s);
	if (n == 0 || (n == 1 && size == 0))
		return RANGE_WHOLE;
	if (n > 1)
		return RANGE_REFUSED;
	if (s.suffix)
		at = s.first < size ? size - s.first : 0;
	else
		at = s.first;
	if (!s.suffix && !s.open && s.last < size)
		end = s.last + 1;
	if (at >= size || (s.suffix && s.first == 0))
		return RANGE_REFUSED;
	*ret_at = at;
	*ret_n = end - at;
	return RANGE_PART;
}
