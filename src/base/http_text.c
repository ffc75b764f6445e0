/* http_text.c - see http_text.h. */
#include "base/http_text.h"

#include <http_parser.h>
#include <string.h>

bool
http_is_token(str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return s.n > 0;
}

bool
http_is_one_line(str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return false;
	return true;
}

str
http_reason(int status)
{
	switch (status) {
#define XX(num, name, string)                                                 \
	case num:                                                             \
		return S(#string);
		HTTP_STATUS_MAP(XX)
#undef XX
	default:
		return STR_EMPTY;
	}
}

#define SECONDS_MAX ((uint64_t)366 * 24 * 3600) /* what is larger is meant to be for ever */

/* name=123 or name="123". */
static bool
directive_seconds(str directive, str name, uint64_t *ret)
{
	str value = str_from(directive, name.n);

	if (!str_eq_nocase(str_head(directive, name.n), name) || value.n < 2 || value.p[0] != '=')
		return false;
	value = str_from(value, 1);
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		value = str_of(value.p + 1, value.n - 2);
	if (!str_to_u64(value, ret))
		return false;
	if (*ret > SECONDS_MAX)
		*ret = SECONDS_MAX;
	return true;
}

struct http_freshness
http_freshness(str cache_control, str age)
{
	struct http_freshness f = { 0, 0 };
	uint64_t              old_s = 0;
	bool                  never = false;

	while (cache_control.n > 0) {
		size_t at = cache_control.n;
		str    one;

		(void)str_find_char(cache_control, ',', &at);
		one = str_trim(str_head(cache_control, at));
		cache_control = str_from(cache_control, at + 1);
		never = never || str_eq_nocase(one, S("no-store")) ||
		    str_eq_nocase(one, S("no-cache"));
		if (!directive_seconds(one, S("max-age"), &f.fresh_s))
			(void)directive_seconds(one, S("stale-if-error"), &f.stale_if_error_s);
	}
	(void)str_to_u64(str_trim(age), &old_s);
	if (never)
		return (struct http_freshness){ 0, 0 };
	f.fresh_s = old_s < f.fresh_s ? f.fresh_s - old_s : 0;
	return f;
}
