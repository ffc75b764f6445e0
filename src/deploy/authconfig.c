/* authconfig.c - auth.config.js: which issuers' tokens are accepted (spec 02 section 11.6).
 *
 * Thread: function workers.  Memory: the caller's arena.
 */
#include "base/map.h"
#include "deploy/deploy_int.h"

static status
invalid(struct err *e, const char *why)
{
	return err_set(
	    e, ST_BAD_REQUEST, "InvalidAuthConfig", "The pushed auth config is invalid: %s", why);
}

static bool
has_scheme(str url)
{
	size_t at;

	return str_find(url, S("://"), &at) || str_starts(url, S("data:"));
}

static status
check_url(str url, struct err *e)
{
	if (str_starts(url, S("https://")) || str_starts(url, S("http://")) ||
	    str_starts(url, S("data:")))
		return ST_OK;
	if (url.n && url.p[0] != '"' && !has_scheme(url))
		return ST_OK; /* gets https:// */
	return err_set(e, ST_BAD_REQUEST, "InvalidAuthConfig",
	    "The pushed auth config is invalid: Invalid provider domain URL \"%.*s\"",
	    STR_ARG(url));
}

static void
write_url(struct buf *b, struct arena *a, str url)
{
	if (!has_scheme(url))
		url = arena_fmt(a, "https://%.*s", STR_ARG(url));
	json_write_str(b, url);
}

static status
custom_jwt(struct buf *b, struct arena *a, const struct json *p, struct err *e)
{
	str issuer, jwks, algorithm, application;

	if (json_get(p, "domain"))
		return invalid(e, "a customJwt provider has `issuer`, not `domain`");
	if (!json_get_str(p, "issuer", &issuer) || !json_get_str(p, "jwks", &jwks) ||
	    !json_get_str(p, "algorithm", &algorithm))
		return invalid(e, "a customJwt provider needs `issuer`, `jwks` and `algorithm`");
	if (!str_eq(algorithm, S("RS256")) && !str_eq(algorithm, S("ES256")))
		return invalid(e, "`algorithm` must be RS256 or ES256");
	TRY(check_url(issuer, e));
	TRY(check_url(jwks, e));
	buf_add(b, S("{\"type\":\"customJwt\",\"applicationID\":"));
	if (json_get_str(p, "applicationID", &application))
		json_write_str(b, application);
	else
		buf_add(b, S("null"));
	json_key(b, "issuer");
	write_url(b, a, issuer);
	json_key(b, "jwks");
	write_url(b, a, jwks);
	json_key(b, "algorithm");
	json_write_str(b, algorithm);
	buf_add(b, S("}"));
	return ST_OK;
}

static status
oidc(struct buf *b, struct arena *a, const struct json *p, struct err *e)
{
	str domain, application;

	if (json_get(p, "applicationId"))
		return invalid(e, "the key is spelt `applicationID`");
	if (json_get(p, "issuer"))
		return invalid(e, "an OIDC provider has `domain`, not `issuer`");
	if (!json_get_str(p, "domain", &domain) || !json_get_str(p, "applicationID", &application))
		return invalid(e, "a provider needs `domain` and `applicationID`");
	TRY(check_url(domain, e));
	buf_add(b, S("{\"applicationID\":"));
	json_write_str(b, application);
	json_key(b, "domain");
	write_url(b, a, domain);
	buf_add(b, S("}"));
	return ST_OK;
}

static status
provider(struct buf *b, struct arena *a, const struct json *p, struct err *e)
{
	str type;

	if (p->kind != JSON_OBJECT)
		return invalid(e, "each provider must be an object");
	if (!json_get_str(p, "type", &type) || str_eq(type, S("oidc")))
		return oidc(b, a, p, e);
	if (str_eq(type, S("customJwt")))
		return custom_jwt(b, a, p, e);
	return invalid(e, "`type` must be oidc or customJwt");
}

status
auth_config_check(struct arena *a, str evaluated, str *ret_providers, struct err *e)
{
	const struct json *list;
	struct json       *j;
	struct buf         b;
	status             st = ST_OK;

	TRY(json_parse(a, evaluated, &j, e));
	list = json_get(j, "providers");
	if (!list || list->kind != JSON_ARRAY)
		return invalid(e, "the default export must be an object with a `providers` array");
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("["));
	for (size_t i = 0; st == ST_OK && i < list->n; i++) {
		json_comma(&b);
		st = provider(&b, a, &list->items[i], e);
	}
	buf_add(&b, S("]"));
	if (st == ST_OK)
		*ret_providers = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return st;
}

struct current {
	struct arena *a;
	struct map   *rows; /* JSON text without system fields -> doc */
};

static str
row_text(struct arena *a, struct val row)
{
	struct pack p;
	struct val  v;
	str         text;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	for (size_t i = 0; i < val_count(row); i++) {
		str        name;
		struct val field = val_field_at(row, i, &name);

		if (str_starts(name, S("_")))
			continue;
		pack_key(&p, name);
		pack_val(&p, field);
	}
	pack_end(&p);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	text = deploy_json_of(a, v);
	pack_clear(&p);
	return text;
}

static bool
collect(void *arg, struct doc *d)
{
	struct current *c = arg;

	map_put(c->rows, row_text(c->a, doc_val(d)), d);
	return true;
}

/* Adds what is new, deletes what is gone; the diff lists hold each provider's JSON as a string. */
status
auth_config_store(struct txn *t, str providers, str *ret_added, str *ret_removed, struct err *e)
{
	struct arena  *a = txn_arena(t);
	struct current c = { a, map_new() };
	struct buf     added, removed;
	struct json   *list;
	size_t         pos = 0;
	str            text;
	void          *row;
	status         st;

	buf_init(&added, BUF_MAX_DEFAULT);
	buf_init(&removed, BUF_MAX_DEFAULT);
	buf_add(&added, S("["));
	buf_add(&removed, S("["));
	st = json_parse(a, providers, &list, e);
	if (st == ST_OK)
		st = txn_sys_each(t, S("_auth"), S("by_creation_time"), NULL, 0, collect, &c, e);
	for (size_t i = 0; st == ST_OK && i < list->n; i++) {
		struct docid id;
		struct val   v;

		st = vjson_parse(a, list->items[i].source, VJSON_PLAIN, &v, e);
		if (st != ST_OK || map_del(c.rows, deploy_json_of(a, v)))
			continue;
		st = txn_sys_insert(t, S("_auth"), v, &id, e);
		json_comma(&added);
		json_write_str(&added, list->items[i].source);
	}
	while (st == ST_OK && map_next(c.rows, &pos, &text, &row)) {
		st = txn_sys_delete(t, ((struct doc *)row)->id, e);
		json_comma(&removed);
		json_write_str(&removed, text);
	}
	buf_add(&added, S("]"));
	buf_add(&removed, S("]"));
	*ret_added = arena_str(a, buf_str(&added));
	*ret_removed = arena_str(a, buf_str(&removed));
	buf_clear(&added);
	buf_clear(&removed);
	map_free(c.rows);
	return st;
}
