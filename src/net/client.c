/* client.c - the Convex-Client header: see client.h.
 *
 * Thread: any.  Memory: none.
 */
#include "net/client.h"

static bool
number(str *in, uint32_t *ret)
{
	size_t   n = 0;
	uint64_t v = 0;

	while (n < in->n && in->p[n] >= '0' && in->p[n] <= '9' && n < 9)
		v = v * 10 + (uint64_t)(in->p[n++] - '0');
	if (n == 0 || (n > 1 && in->p[0] == '0') ||
	    (n < in->n && in->p[n] >= '0' && in->p[n] <= '9'))
		return false;
	*in = str_from(*in, n);
	*ret = (uint32_t)v;
	return true;
}

static bool
identifier_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-';
}

/* Dot-separated identifiers of a pre-release or of build metadata. */
static bool
identifiers(str *in)
{
	size_t n = 0, start = 0;

	for (;; n++) {
		if (n < in->n && identifier_char(in->p[n]))
			continue;
		if (n == start)
			return false;
		if (n == in->n || in->p[n] != '.')
			break;
		start = n + 1;
	}
	*in = str_from(*in, n);
	return true;
}

static bool
semver(str s, uint32_t ret[3])
{
	for (int i = 0; i < 3; i++) {
		if (i > 0) {
			if (!str_starts(s, S(".")))
				return false;
			s = str_from(s, 1);
		}
		if (!number(&s, &ret[i]))
			return false;
	}
	if (str_starts(s, S("-"))) {
		s = str_from(s, 1);
		if (!identifiers(&s))
			return false;
	}
	if (str_starts(s, S("+"))) {
		s = str_from(s, 1);
		if (!identifiers(&s))
			return false;
	}
	return s.n == 0;
}

bool
client_is(const struct client *c, const char *name)
{
	return str_eq_nocase(c->name, str_z(name)) ||
	    (strcmp(name, "python") == 0 && str_eq_nocase(c->name, S("python-convex")));
}

static bool
at_most(const struct client *c, uint32_t major, uint32_t minor, uint32_t patch)
{
	const uint32_t limit[3] = { major, minor, patch };

	if (!c->has_version)
		return true;
	for (int i = 0; i < 3; i++) {
		if (c->version[i] != limit[i])
			return c->version[i] < limit[i];
	}
	return true;
}

static bool
is_npm(const struct client *c)
{
	return client_is(c, "npm") || client_is(c, "npm-cli") || client_is(c, "actions");
}

static bool
unsupported(const struct client *c)
{
	return (is_npm(c) && at_most(c, 0, 19, 1)) ||
	       (client_is(c, "python") && at_most(c, 0, 2, 0)) ||
	       (client_is(c, "rust") && at_most(c, 0, 0, 1));
}

status
client_parse(str header, struct client *ret, struct err *e)
{
	struct client c = { .name = STR_EMPTY };
	size_t        first;

	if (!header.p) {
		*ret = c;
		return ST_OK;
	}
	if (!str_find_char(header, '-', &first))
		return err_set(e, ST_BAD_REQUEST, "InvalidClientVersion",
		    "Invalid Convex-Client header '%.*s': expected <name>-<version>",
		    STR_ARG(header));
	c.name = str_head(header, first);
	for (size_t i = first; i < header.n; i++) {
		if (header.p[i] == '-' && semver(str_from(header, i + 1), c.version)) {
			c.name = str_head(header, i);
			c.has_version = true;
			break;
		}
	}
	if (unsupported(&c))
		return err_set(e, ST_BAD_REQUEST, "ClientVersionUnsupported",
		    "The client '%.*s' is no longer supported by this server. Update it: npm "
		    "install "
		    "convex@latest",
		    STR_ARG(header));
	*ret = c;
	return ST_OK;
}

status
client_parse_path(str segment, struct client *ret, struct err *e)
{
	struct client c = { .name = S("npm"), .has_version = true };

	if (!semver(segment, c.version))
		return err_set(e, ST_BAD_REQUEST, "InvalidClientVersion",
		    "Invalid client version '%.*s' in the path", STR_ARG(segment));
	if (unsupported(&c))
		return err_set(e, ST_BAD_REQUEST, "ClientVersionUnsupported",
		    "The client version %.*s is no longer supported by this server. Update it: npm "
		    "install convex@latest", STR_ARG(segment));
	*ret = c;
	return ST_OK;
}

bool
client_wants_encoded(const struct client *c)
{
	return (is_npm(c) && at_most(c, 1, 4, 0)) ||
	       (client_is(c, "python") && at_most(c, 0, 4, 65535));
}
