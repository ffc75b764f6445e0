/* issue_jwt.c - what ctx.auth.signJwt() signs, and for whom (spec 04 section 1.6, spec 05 section
 * 5.6).
 *
 * Thread: the worker's.  Memory: the arena of the run's result.
 */
#include <math.h>

#include "functions/functions_int.h"

#define SECONDS_MAX 3600

static status
bad(struct err *e, const char *arg, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
	    "Invalid argument `%s` for `auth.signJwt`: %s", arg, what);
}

static bool
has_prefix(str name, str prefix)
{
	return name.n >= prefix.n && str_eq_nocase(str_head(name, prefix.n), prefix);
}

/* Ours to set, or to set some day. */
static bool
is_reserved(str name)
{
	static const str names[] = { { "iss", 3 }, { "iat", 3 }, { "exp", 3 }, { "nbf", 3 } };

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (str_eq(name, names[i]))
			return true;
	return has_prefix(name, S("convex")) || has_prefix(name, S("cvx"));
}

static status
check(const struct json *claims, double seconds, struct err *e)
{
	if (!(seconds >= 1 && seconds <= SECONDS_MAX))
		return bad(e, "expiresInSeconds", "must be between 1 and 3600 seconds");
	if (!claims)
		return ST_OK;
	if (claims->kind != JSON_OBJECT)
		return bad(e, "claims", "must be an object");
	for (size_t i = 0; i < claims->n; i++)
		if (is_reserved(claims->keys[i]))
			return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
			    "Invalid argument `claims` for `auth.signJwt`: the claim `%.*s` is "
			    "reserved", STR_ARG(claims->keys[i]));
	return ST_OK;
}

status
jwt_issue(const struct functions *f, uint64_t now_ns, const struct json *claims, double seconds,
    struct buf *ret, struct err *e)
{
	uint64_t   now = now_ns / 1000000000u;
	struct buf payload;

	if (!f->sign_jwt)
		return err_set(e, ST_BAD_REQUEST, "FeatureUnavailable",
		    "Tokens are not signed here.");
	TRY(check(claims, seconds, e));
	buf_init(&payload, BUF_MAX_DEFAULT);
	buf_addz(&payload, "{\"iss\":");
	json_write_str(&payload, f->cloud_url);
	buf_fmt(&payload, ",\"iat\":%llu,\"exp\":%llu", (unsigned long long)now,
	    (unsigned long long)(now + (uint64_t)floor(seconds)));
	for (size_t i = 0; claims && i < claims->n; i++) {
		buf_add_byte(&payload, ',');
		json_write_str(&payload, claims->keys[i]);
		buf_add_byte(&payload, ':');
		json_write(&payload, &claims->items[i]);
	}
	buf_add_byte(&payload, '}');
	f->sign_jwt(f->sign_jwt_arg, buf_str(&payload), ret);
	buf_clear(&payload);
	return ST_OK;
}
