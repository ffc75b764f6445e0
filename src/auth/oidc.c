/* oidc.c - tokens of OpenID Connect providers (spec 05 sections 5.4 and 5.5).
 *
 * Thread: the loop thread.  Memory: the caller's arena.
 */
#include <math.h>
#include <time.h>

#include "auth/auth_int.h"

/* OpenID Connect Core 1.0 section 5.1, and what functions see of it. */
static const struct claim {
	const char    *name, *attribute;
	enum json_kind kind;
} standard_claims[] = {
	{ "name", "name", JSON_STRING },
	{ "given_name", "givenName", JSON_STRING },
	{ "family_name", "familyName", JSON_STRING },
	{ "middle_name", NULL, JSON_STRING },
	{ "nickname", "nickname", JSON_STRING },
	{ "preferred_username", "preferredUsername", JSON_STRING },
	{ "profile", "profileUrl", JSON_STRING },
	{ "picture", "pictureUrl", JSON_STRING },
	{ "website", "websiteUrl", JSON_STRING },
	{ "email", "email", JSON_STRING },
	{ "email_verified", "emailVerified", JSON_BOOL },
	{ "gender", "gender", JSON_STRING },
	{ "birthdate", "birthday", JSON_STRING },
	{ "zoneinfo", "timezone", JSON_STRING },
	{ "locale", "language", JSON_STRING },
	{ "phone_number", "phoneNumber", JSON_STRING },
	{ "phone_number_verified", "phoneNumberVerified", JSON_BOOL },
	{ "address", "address", JSON_OBJECT },
	{ "updated_at", "updatedAt", JSON_NUMBER },
};

/* Of the token and not of the user, or different after each refresh: cached results would be
 * lost. */
static const char *const dropped_claims[] = { "iss", "sub", "aud", "exp", "iat", "nbf", "jti",
	"auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash", "fva", "tokenIdentifier",
	"subject", "issuer" };

static const char code[] = "Unauthenticated";

str
oidc_discovery_url(struct arena *a, str iss)
{
	return arena_fmt(a, "%.*s/.well-known/openid-configuration",
	    STR_ARG(canonical_issuer(a, iss)));
}

/* --- the identity --- */

static void
write_time(struct buf *out, double unix_s)
{
	time_t    t = (time_t)unix_s;
	struct tm tm;
	char      text[64] = "";

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &tm);
	json_write_str(out, str_z(text));
}

/* A standard claim that is not of its type is left out, but for a time that is text already. */
static void
write_standard(struct buf *out, const struct claim *c, const struct json *v)
{
	str  text;
	bool is_time = c->kind == JSON_NUMBER;

	if (c->kind == JSON_OBJECT) {
		if (json_get_str(v, "formatted", &text)) {
			json_key(out, c->attribute);
			json_write_str(out, text);
		}
		return;
	}
	if (v->kind != c->kind && !(is_time && v->kind == JSON_STRING))
		return;
	if (is_time && v->kind == JSON_NUMBER && !(fabs(v->number) < 1e11))
		return;
	json_key(out, c->attribute);
	if (is_time && v->kind == JSON_NUMBER)
		write_time(out, v->number);
	else
		json_write(out, v);
}

static const struct claim *
standard_claim(str name)
{
	for (size_t i = 0; i < COUNT_OF(standard_claims); i++) {
		if (str_eq(name, str_z(standard_claims[i].name)))
			return &standard_claims[i];
	}
	return NULL;
}

/* Attributes of standard claims come first: another claim of that name does not replace one. */
static bool
is_other_claim(str name)
{
	for (size_t i = 0; i < COUNT_OF(dropped_claims); i++) {
		if (str_eq(name, str_z(dropped_claims[i])))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(standard_claims); i++) {
		const struct claim *c = &standard_claims[i];

		if (str_eq(name, str_z(c->name)) ||
		    (c->attribute && str_eq(name, str_z(c->attribute))))
			return false;
	}
	return true;
}

static void
write_attributes(struct buf *out, struct arena *a, const struct json *claims, str iss, str sub)
{
	buf_add_byte(out, '{');
	user_attributes(out, a, iss, sub);
	for (size_t i = 0; i < claims->n; i++) {
		const struct claim *c = standard_claim(claims->keys[i]);

		if (c && c->attribute)
			write_standard(out, c, &claims->items[i]);
	}
	for (size_t i = 0; i < claims->n; i++) {
		if (!is_other_claim(claims->keys[i]))
			continue;
		json_comma(out);
		json_write_str(out, claims->keys[i]);
		buf_add_byte(out, ':');
		json_write(out, &claims->items[i]);
	}
	buf_add_byte(out, '}');
}

/* --- the check --- */

static status
discovery_failed(str iss, const struct document *d, const char *why, struct err *e)
{
	int    http = d && !d->json ? d->http : 0;
	status st = ST_BAD_REQUEST;
	str    text = str_z(why);

	if (http >= 500)
		st = ST_OVERLOADED;
	else if (http == 429)
		st = ST_RATE_LIMITED;
	else if (http == 404)
		st = ST_NOT_FOUND;
	if (d && !d->json)
		text = d->why;
	return err_set(e, st, "AuthProviderDiscoveryFailed",
	    "Auth provider discovery of %.*s failed: %.*s", STR_ARG(iss), STR_ARG(text));
}

static status
find_keys(const struct auth *auth, struct arena *a, str iss, const struct json **ret,
    struct err *e)
{
	const struct document *d = documents_get(auth->documents, oidc_discovery_url(a, iss));
	str                    issuer, url;

	if (!d || !d->json)
		return discovery_failed(iss, d, "its configuration was not downloaded", e);
	if (!json_get_str(d->json, "issuer", &issuer) || !json_get_str(d->json, "jwks_uri", &url))
		return discovery_failed(iss, d, "its configuration lacks issuer or jwks_uri", e);
	if (!str_eq(issuer, iss))
		return discovery_failed(
		    iss, d, "its configuration is of another issuer than the token", e);
	d = documents_get(auth->documents, url);
	if (!d || !d->json)
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not read the key set of the auth provider at %.*s: %.*s", STR_ARG(url),
		    STR_ARG(d ? d->why : S("it was not downloaded")));
	*ret = d->json;
	return ST_OK;
}

static status
check_claims(const struct json *claims, double now_s, str *ret_sub, double *ret_exp, struct err *e)
{
	const struct json *aud = json_get(claims, "aud");
	double             not_before;

	if (aud && aud->kind == JSON_ARRAY && aud->n > 1)
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify OIDC token claim: it has several audiences (aud)");
	if (!json_get_num(claims, "exp", ret_exp) || !(*ret_exp > now_s))
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify OIDC token claim: it has expired (exp)");
	if (json_get_num(claims, "nbf", &not_before) && not_before > now_s + LEEWAY_S)
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify OIDC token claim: it is not valid yet (nbf)");
	if (!json_get_str(claims, "sub", ret_sub))
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify OIDC token claim: it has no subject (sub)");
	return ST_OK;
}

status
oidc_verify(struct auth *auth, struct arena *a, const struct jwt *t, struct identity **ret,
    struct err *e)
{
	const struct json *jwks = NULL;
	struct buf         b;
	double             exp = 0;
	str                iss, sub;

	must(json_get_str(t->claims, "iss", &iss)); /* a provider was found by it */
	TRY(find_keys(auth, a, iss, &jwks, e));
	TRY(jwks_verify(jwks, t, (str){ NULL, 0 }, e));
	TRY(check_claims(t->claims, (double)os_now_ns(auth->os) / 1e9, &sub, &exp, e));
	buf_init(&b, BUF_MAX_DEFAULT);
	write_attributes(&b, a, t->claims, iss, sub);
	*ret = user_identity(a, iss, sub, buf_str(&b), exp);
	buf_clear(&b);
	return ST_OK;
}
