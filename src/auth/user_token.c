/* user_token.c - from a user's JWT to an identity (spec 05 sections 5.2 to 5.5).
 *
 * The providers are the rows of _auth.  A customJwt provider whose keys are in a data: URL is
 * verified here; the others need outgoing HTTP, which this server does not have: they are
 * refused with the errors that an unreachable issuer gives.
 *
 * Thread: any.  Memory: one scratch arena per call.
 */
#include "auth/auth_int.h"
#include "base/enc.h"
#include "base/mem.h"
#include "base/url.h"
#include "database/txn.h"

#define LEEWAY_S 5

struct provider {
	bool custom;
	str  issuer; /* OIDC: the domain */
	str  application_id; /* p == NULL: none */
	str  jwks;
	str  algorithm;
};

struct provider_list {
	struct arena *arena;
	VEC(struct provider) v;
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
	struct provider_list *list = arg;
	struct val            row = doc_val(d);
	struct provider       p = { 0 };

	p.custom = str_eq(row_str(list->arena, row, "type"), S("customJwt"));
	p.issuer = row_str(list->arena, row, p.custom ? "issuer" : "domain");
	p.application_id = row_str(list->arena, row, "applicationID");
	p.jwks = row_str(list->arena, row, "jwks");
	p.algorithm = row_str(list->arena, row, "algorithm");
	/* stored with its quotes (spec 05 section 5.2) */
	if (p.algorithm.n >= 2 && p.algorithm.p[0] == '"')
		p.algorithm = str_of(p.algorithm.p + 1, p.algorithm.n - 2);
	vec_push(&list->v, p);
	return true;
}

static status
load_providers(struct auth *a, struct provider_list *list, struct err *e)
{
	struct txn_opts opts = { .system = true, .writer = S("auth") };
	struct txn     *t;
	status          st;

	if (!a->db)
		return ST_OK;
	opts.snapshot = db_snapshot(a->db);
	t = txn_begin(&opts);
	st = txn_sys_each(t, S("_auth"), S("by_id"), NULL, 0, add_provider, list, e);
	txn_free(t);
	return st;
}

/* "https://a.example/" and "a.example" name the same issuer. */
static str
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
match(struct arena *a, const struct provider_list *list, const struct json *claims, str iss)
{
	const struct json *aud = json_get(claims, "aud");

	for (size_t i = 0; i < list->v.n; i++) {
		const struct provider *p = &list->v.v[i];

		if (p->application_id.p && !audience_has(aud, p->application_id))
			continue;
		if (str_eq(canonical_issuer(a, iss), canonical_issuer(a, p->issuer)))
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
		    "Could not read the key set of the auth provider: `jwks` must be a data: URL "
		    "with JSON"
		    " on this server");
	*ret = j;
	return ST_OK;
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

static struct identity *
user_identity(struct arena *a, const struct json *claims, str iss, str sub, double exp)
{
	str              token_id = arena_fmt(a, "%.*s|%.*s", STR_ARG(iss), STR_ARG(sub));
	struct buf       b;
	struct identity *id;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, '{');
	json_key(&b, "tokenIdentifier");
	json_write_str(&b, token_id);
	json_key(&b, "subject");
	json_write_str(&b, sub);
	json_key(&b, "issuer");
	json_write_str(&b, iss);
	write_claims(&b, claims, STR_EMPTY, a);
	buf_add_byte(&b, '}');
	id = auth_identity(IDENTITY_USER, false, auth_user_label(a, "user", token_id, buf_str(&b)),
	    buf_str(&b));
	id->expires_s = exp < 1e18 ? (uint64_t)exp : UINT64_MAX;
	buf_clear(&b);
	return id;
}

static status
verify_custom(struct auth *auth, struct arena *a, const struct provider *p, const struct jwt *t,
    str iss, struct identity **ret, struct err *e)
{
	const struct json *jwks = NULL;
	double             exp = 0;
	str                sub;

	TRY(data_jwks(a, p->jwks, &jwks, e));
	TRY(jwks_verify(jwks, t, p->algorithm, e));
	TRY(check_times(t->claims, (double)os_now_ns(auth->os) / 1e9, &exp, e));
	if (!json_get_str(t->claims, "sub", &sub))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has no subject (sub)");
	*ret = user_identity(a, t->claims, iss, sub, exp);
	return ST_OK;
}

static status
no_provider(const struct provider_list *list, const struct json *claims, str iss, struct err *e)
{
	struct buf aud, known;
	status     st;

	buf_init(&aud, 512);
	buf_init(&known, 4096);
	if (json_get(claims, "aud"))
		json_write(&aud, json_get(claims, "aud"));
	for (size_t i = 0; i < list->v.n; i++) {
		const struct provider *p = &list->v.v[i];

		buf_fmt(&known, "%s%.*s (applicationID %.*s)", i ? ", " : "", STR_ARG(p->issuer),
		    STR_ARG(p->application_id.p ? p->application_id : S("any")));
	}
	st = err_set(e, ST_UNAUTHENTICATED, "NoAuthProvider",
	    "No auth provider found matching the given token: its issuer is '%.*s', its audience "
	    "is %.*s. Configured in auth.config: %.*s.", STR_ARG(iss),
	    STR_ARG(aud.n ? buf_str(&aud) : S("absent")),
	    STR_ARG(known.n ? buf_str(&known) : S("no providers")));
	buf_clear(&aud);
	buf_clear(&known);
	return st;
}

static status
user_token(struct auth *auth, struct provider_list *list, str token, struct identity **ret,
    struct err *e)
{
	const struct provider *p;
	struct jwt             t;
	str                    iss;

	TRY(jwt_parse(list->arena, token, &t, e));
	if (!json_get_str(t.claims, "iss", &iss))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    "Could not verify JWT: it has no issuer (iss)");
	TRY(load_providers(auth, list, e));
	p = match(list->arena, list, t.claims, iss);
	if (!p)
		return no_provider(list, t.claims, iss, e);
	if (!p->custom)
		return err_set(e, ST_BAD_REQUEST, "AuthProviderDiscoveryFailed",
		    "Auth provider discovery of %.*s failed: this server makes no outgoing HTTP "
		    "requests;"
		    " configure a customJwt provider whose `jwks` is a data: URL",
		    STR_ARG(p->issuer));
	return verify_custom(auth, list->arena, p, &t, iss, ret, e);
}

status
auth_user_token(struct auth *a, str token, struct identity **ret, struct err *e)
{
	struct provider_list list = { .arena = arena_new() };
	status               st = user_token(a, &list, token, ret, e);

	vec_clear(&list.v);
	arena_free(list.arena);
	return st;
}
