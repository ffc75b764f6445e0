/* push_test.c - the parts of a push that need no engine: hashes, auth config, the push table. */
#include "deploy/deploy_int.h"
#include "test.h"

/* A module's hash is SHA-256 of its source followed by its source map, if it has one (spec 02
 * section 4.6, test vectors; 02 checklist 9). */
TEST(module_hashes_match_the_cli)
{
	struct arena *a = arena_new();

	CHECK_STR(module_sha256(a, S("export const x = 1;\n"), (str){ NULL, 0 }),
	    S("b40dedde60828bf61d1fadbfc3bb7ea2e0421e9511d22f1b5fb44ae5ba07dbb3"));
	CHECK_STR(module_sha256(a, S("export const x = 1;\n"), S("{\"version\":3}")),
	    S("7e1b6ae56531d533188b4d06cac376b61df7553928c7ae2e23cf09001ecc7022"));
	arena_free(a);
}

/* auth.config.js may list OIDC and customJwt providers; anything else is refused with a hint
 * (spec 02 section 11.6). */
TEST(auth_config_shapes)
{
	const struct {
		const char *why, *in, *out; /* out NULL: refused */
	} rows[] = {
		{ "no providers", "{\"providers\":[]}", "[]" },
		{ "oidc without type",
		    "{\"providers\":[{\"domain\":\"https://a.test\",\"applicationID\":\"x\"}]}",
		    "[{\"applicationID\":\"x\",\"domain\":\"https://a.test\"}]" },
		{ "a domain gets https",
		    "{\"providers\":[{\"domain\":\"a.test\",\"applicationID\":\"x\"}]}",
		    "[{\"applicationID\":\"x\",\"domain\":\"https://a.test\"}]" },
		{ "customJwt",
		    "{\"providers\":[{\"type\":\"customJwt\",\"issuer\":\"https://i.test\","
		    "\"jwks\":\"https://i.test/jwks\",\"algorithm\":\"RS256\"}]}",
		    "[{\"type\":\"customJwt\",\"applicationID\":null,\"issuer\":\"https://i.test\","
		    "\"jwks\":\"https://i.test/jwks\",\"algorithm\":\"RS256\"}]" },
		{ "misspelt applicationID",
		    "{\"providers\":[{\"domain\":\"https://a.test\",\"applicationId\":\"x\"}]}",
		    NULL },
		{ "domain on customJwt",
		    "{\"providers\":[{\"type\":\"customJwt\",\"domain\":\"https://a.test\"}]}",
		    NULL },
		{ "issuer on oidc",
		    "{\"providers\":[{\"issuer\":\"https://a.test\",\"applicationID\":\"x\"}]}",
		    NULL },
		{ "unknown type", "{\"providers\":[{\"type\":\"saml\"}]}", NULL },
		{ "unknown algorithm",
		    "{\"providers\":[{\"type\":\"customJwt\",\"issuer\":\"https://i.test\","
		    "\"jwks\":\"https://i.test/jwks\",\"algorithm\":\"HS256\"}]}",
		    NULL },
		{ "no list", "{}", NULL },
		{ "a quoted domain",
		    "{\"providers\":[{\"domain\":\"\\\"a.test\\\"\",\"applicationID\":\"x\"}]}",
		    NULL },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = err_in(a);
		str        out = STR_EMPTY;
		status     st = auth_config_check(a, str_z(rows[i].in), &out, &e);

		fprintf(stderr, "  %s\n", rows[i].why);
		CHECK_EQ(st, rows[i].out ? ST_OK : ST_BAD_REQUEST);
		if (rows[i].out)
			CHECK_STRZ(out, rows[i].out);
		else
			CHECK_STR(e.code, S("InvalidAuthConfig"));
	}
	arena_free(a);
}

/* The table of started pushes forgets the oldest; a forgotten token finds nothing (which
 * becomes RaceDetected). */
TEST(push_table_is_bounded)
{
	struct deploy *d =
	    deploy_new(&(struct deploy_opts){ .cloud_url = S("u"), .site_url = S("s") });

	for (int i = 0; i < PUSHES_MAX + 3; i++) {
		struct push *p = push_new();

		p->token = arena_fmt(p->arena, "t%d", i);
		push_remember(d, p);
		push_unref(p);
	}
	CHECK(push_find(d, S("t0")) == NULL);
	CHECK(push_find(d, S("t2")) == NULL);
	struct push *kept = push_find(d, S("t3"));

	CHECK(kept != NULL);
	push_forget(d, S("t3"));
	CHECK(push_find(d, S("t3")) == NULL);
	CHECK_STR(kept->token, S("t3")); /* our reference keeps it alive */
	push_unref(kept);
	deploy_free(d);
}

TEST_RUN(T(module_hashes_match_the_cli), T(auth_config_shapes), T(push_table_is_bounded))
