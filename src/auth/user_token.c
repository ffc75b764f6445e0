/* user_token.c - from a user's JWT to an identity (spec 05 sections 5.2 to 5.5).
 *
 * The providers are the rows of _auth.  Their keys are in a data: URL, or in documents that
 * auth_token_wait() has downloaded before (documents.h).
 *
 * Thread: the loop thread.  Memory: one scratch arena per call.
 */
#include "auth/auth_int.h"
#include "base/enc.h"
#include "base/mem.h"
#include "base/url.h"
#include "database/txn.h"

/* A token that names an unknown key may have been signed after a rotation; no stranger makes us
 * ask for the keys more often than that. */
#define KEYS_RENEW_NS (10ull * 1000000000ull)

struct provider {
	bool custom;
	str  issuer; /* OIDC: the domain */
	str  application_id; /* p == NULL: none */
	str  jwks;
	str  algorithm;
};

/* One token, on its way. */
struct check {
	struct arena *arena;
	VEC(struct provider) v;
	struct jwt    jwt;
	str           iss;
	const struct provider *provider;
};

static str
row_str(struct arena *a, struct val row, const char *name)
{
	struct val v = val_get(row, str_z(name));

	return val_kind(v) == VAL_STRING ? arena_str(a, val_str(v)) : (str){ NULL, 0 };
}

static bool
add_provider(void *arg, struct doc *d)
{
	struct check   *c = arg;
	struct val            row = doc_val(d);
	struct provider       p = { 0 };

	p.custom = str_eq(row_str(c->arena, row, "type"), S("customJwt"));
	p.issuer = row_str(c->arena, row, p.custom ? "issuer" : "domain");
	p.application_id = row_str(c->arena, row, "applicationID");
	p.jwks = row_str(c->arena, row, "jwks");
	p.algorithm = row_str(c->arena, row, "algorithm");
	/* stored with its quotes (spec 05 section 5.2) */
	if (p.algorithm.n >= 2 && p.algorithm.p[0] == '"')
		p.algorithm = str_of(p.algorithm.p + 1, p.algorithm.n - 2);
	vec_push(&c->v, p);
	return true;
}

static status
load_providers(struct auth *a, struct check *c, struct err *e)
{
	struct txn_opts opts = { .system = true, .writer = S("auth") };
	struct txn     *t;
	status          st;

	if (!a->db)
		return ST_OK;
	opts.snapshot = db_snapshot(a->db);
	t = txn_begin(&opts);
	st = txn_sys_each(t, S("_auth"), S("by_id"), NULL, 0, add_provider, c, e);
	txn_free(t);
	return st;
}

str
canonical_issuer(struct arena *a, str s)
{
	size_t at;

	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	if (str_find(s, S("://"), &at))
		return s;
	return arena_fmt(a, "https://%.*s", STR_ARG(s));
}

static bool
audience_has(const struct json *aud, str application_id)
{
	if (!aud)
		return false;
	if (aud->kind == JSON_STRING)
		return str_eq(aud->string, application_id);
	for (size_t i = 0; aud->kind == JSON_ARRAY && i < aud->n; i++) {
		if (aud->items[i].kind == JSON_STRING &&
		    str_eq(aud->items[i].string, application_id))
			return true;
	}
	return false;
}

static const struct provider *
match(const struct check *c)
{
	const struct json *aud = json_get(c->jwt.claims, "aud");
	str                iss = canonical_issuer(c->arena, c->iss);

	for (size_t i = 0; i < c->v.n; i++) {
		const struct provider *p = &c->v.v[i];

		if (p->application_id.p && !audience_has(aud, p->application_id))
			continue;
		if (str_eq(iss, canonical_issuer(c->arena, p->issuer)))
			return p;
	}
	return NULL;
}

/* The key set inside "data:<media type>[;base64],<data>". */
static status
data_jwks(struct arena *a, str url, const struct json **ret, struct err *e)
{
	struct json *j = NULL;
	struct buf   bytes;
	size_t       comma;
	bool         ok = false;

	buf_init(&bytes, 1 << 20);
	if (str_starts(url, S("data:")) && str_find_char(url, ',', &comma)) {
		str data = str_from(url, comma + 1);

		ok = str_ends(str_head(url, comma), S(";base64")) ? dec_base64(&bytes, data) :
		                                                    url_decode(&bytes, data, false);
	}
	ok = ok && json_parse(a, arena_str(a, buf_str(&bytes)), &j, NULL) == ST_OK;
	buf_clear(&bytes);
	if (!ok)
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not read the key set of the auth provider: its `jwks` is a data: URL "
		    "without JSON");
	*ret = j;
	return ST_OK;
}

static status
downloaded_jwks(const struct auth *auth, str url, const struct json **ret, struct err *e)
{
	const struct document *d = documents_get(auth->documents, url);
	str                    why = S("it was not downloaded");

	if (d && d->json && d->json_type) {
		*ret = d->json;
		return ST_OK;
	}
	if (d)
		why = d->json ? S("its Content-Type is neither application/json nor "
				  "application/jwk-set+json") :
		                d->why;
	return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
	    "Could not read the key set of the auth provider at %.*s: %.*s", STR_ARG(url),
	    STR_ARG(why));
}

static status
check_times(const struct json *claims, double now_s, double *ret_exp, struct err *e)
{
	double exp, other;

	if (!json_get_num(claims, "exp", &exp))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has no expiry (exp)");
	if (exp + LEEWAY_S < now_s)
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has expired");
	if ((json_get_num(claims, "nbf", &other) && other > now_s + LEEWAY_S) ||
	    (json_get_num(claims, "iat", &other) && other > now_s + LEEWAY_S))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it is not valid yet");
	*ret_exp = exp;
	return ST_OK;
}

/* Private claims, nested objects with dotted names. */
static void
write_claims(struct buf *out, const struct json *claims, str prefix, struct arena *a)
{
	static const char *const registered[] = { "iss", "sub", "aud", "exp", "nbf", "iat", "jti",
		"fva", "tokenIdentifier", "subject", "issuer" };

	for (size_t i = 0; i < claims->n; i++) {
		const struct json *v = &claims->items[i];
		str                name = claims->keys[i];
		bool               skip = false;

		for (size_t k = 0; prefix.n == 0 && k < COUNT_OF(registered); k++)
			skip = skip || str_eq(name, str_z(registered[k]));
		if (skip)
			continue;
		if (prefix.n > 0)
			name = arena_fmt(a, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(name));
		if (v->kind == JSON_OBJECT) {
			write_claims(out, v, name, a);
			continue;
		}
		json_comma(out);
		json_write_str(out, name);
		buf_add_byte(out, ':');
		json_write(out, v);
	}
}

void
user_attributes(struct buf *out, struct arena *a, str iss, str sub)
{
	json_key(out, "tokenIdentifier");
	json_write_str(out, arena_fmt(a, "%.*s|%.*s", STR_ARG(iss), STR_ARG(sub)));
	json_key(out, "subject");
	json_write_str(out, sub);
	json_key(out, "issuer");
	json_write_str(out, iss);
}

struct identity *
user_identity(struct arena *a, str iss, str sub, str attributes, double exp)
{
	str              token_id = arena_fmt(a, "%.*s|%.*s", STR_ARG(iss), STR_ARG(sub));
	struct identity *id = auth_identity(
	    IDENTITY_USER, false, auth_user_label(a, "user", token_id, attributes), attributes);

	id->expires_s = exp < 1e18 ? (uint64_t)exp : UINT64_MAX;
	return id;
}

static struct identity *
custom_identity(const struct check *c, str sub, double exp)
{
	struct identity *id;
	struct buf       b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, '{');
	user_attributes(&b, c->arena, c->iss, sub);
	write_claims(&b, c->jwt.claims, STR_EMPTY, c->arena);
	buf_add_byte(&b, '}');
	id = user_identity(c->arena, c->iss, sub, buf_str(&b), exp);
	buf_clear(&b);
	return id;
}

static bool
is_data_url(str url)
{
	return str_starts(url, S("data:"));
}

static status
verify_custom(struct auth *auth, const struct check *c, struct identity **ret, struct err *e)
{
	const struct provider *p = c->provider;
	const struct json     *jwks = NULL;
	double                 exp = 0;
	str                    sub;

	if (is_data_url(p->jwks))
		TRY(data_jwks(c->arena, p->jwks, &jwks, e));
	else
		TRY(downloaded_jwks(auth, p->jwks, &jwks, e));
	TRY(jwks_verify(jwks, &c->jwt, p->algorithm, e));
	TRY(check_times(c->jwt.claims, (double)os_now_ns(auth->os) / 1e9, &exp, e));
	if (!json_get_str(c->jwt.claims, "sub", &sub))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has no subject (sub)");
	*ret = custom_identity(c, sub, exp);
	return ST_OK;
}

static status
no_provider(const struct check *c, struct err *e)
{
	const struct json *claims = c->jwt.claims;
	struct buf         aud, known;
	status             st;

	buf_init(&aud, 512);
	buf_init(&known, 4096);
	if (json_get(claims, "aud"))
		json_write(&aud, json_get(claims, "aud"));
	for (size_t i = 0; i < c->v.n; i++) {
		const struct provider *p = &c->v.v[i];

		buf_fmt(&known, "%s%.*s (applicationID %.*s)", i ? ", " : "", STR_ARG(p->issuer),
		    STR_ARG(p->application_id.p ? p->application_id : S("any")));
	}
	st = err_set(e, ST_UNAUTHENTICATED, "NoAuthProvider",
	    "No auth provider found matching the given token: its issuer is '%.*s', its audience "
	    "is %.*s. Configured in auth.config: %.*s.", STR_ARG(c->iss),
	    STR_ARG(aud.n ? buf_str(&aud) : S("absent")),
	    STR_ARG(known.n ? buf_str(&known) : S("no providers")));
	buf_clear(&aud);
	buf_clear(&known);
	return st;
}

/* Whose token it is said to be. */
static status
check_begin(struct auth *auth, struct check *c, str token, struct err *e)
{
	TRY(jwt_parse(c->arena, token, &c->jwt, e));
	if (!json_get_str(c->jwt.claims, "iss", &c->iss))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has no issuer (iss)");
	TRY(load_providers(auth, c, e));
	c->provider = match(c);
	return c->provider ? ST_OK : no_provider(c, e);
}

static void
check_end(struct check *c)
{
	vec_clear(&c->v);
	arena_free(c->arena);
}

static status
user_token(struct auth *auth, struct check *c, str token, struct identity **ret, struct err *e)
{
	TRY(check_begin(auth, c, token, e));
	if (c->provider->custom)
		return verify_custom(auth, c, ret, e);
	return oidc_verify(auth, c->arena, &c->jwt, ret, e);
}

status
auth_user_token(struct auth *a, str token, struct identity **ret, struct err *e)
{
	struct check c = { .arena = arena_new() };
	status       st = user_token(a, &c, token, ret, e);

	check_end(&c);
	return st;
}

/* --- keys that must be downloaded first --- */

static bool
key_set_wait(struct auth *a, const struct check *c, str url, struct auth_wait *w)
{
	const struct document *d;

	if (documents_wait(a->documents, url, w))
		return true;
	d = documents_get(a->documents, url);
	return d && d->json && !jwks_has_key(d->json, &c->jwt) &&
	    documents_renew(a->documents, url, KEYS_RENEW_NS, w);
}

static bool
missing(struct auth *a, struct check *c, str token, struct auth_wait *w)
{
	const struct document *d;
	str                    url;

	if (check_begin(a, c, token, NULL) != ST_OK)
		return false; /* the check will say why */
	if (c->provider->custom)
		return !is_data_url(c->provider->jwks) &&
		    key_set_wait(a, c, c->provider->jwks, w);
	url = oidc_discovery_url(c->arena, c->iss);
	if (documents_wait(a->documents, url, w))
		return true;
	d = documents_get(a->documents, url);
	return d && json_get_str(d->json, "jwks_uri", &url) && key_set_wait(a, c, url, w);
}

static bool
wait_on(struct auth_wait *w, str token)
{
	struct check c = { .arena = arena_new() };
	bool         waits = missing(w->auth, &c, token, w);

	check_end(&c);
	return waits;
}

bool
auth_token_wait(struct auth *a, str token, struct auth_wait *w)
{
	w->auth = a;
	w->since_ns = os_mono_ns(a->os);
	link_init(&w->link);
	if (!wait_on(w, token))
		return false;
	w->token = blob_new(token);
	return true;
}

void
token_again(struct auth_wait *w)
{
	if (wait_on(w, blob_str(w->token)))
		return;
	auth_wait_cancel(w);
	w->ready(w->arg);
}

void
auth_wait_cancel(struct auth_wait *w)
{
	link_leave(&w->link);
	blob_unref(w->token);
	w->token = NULL;
}
