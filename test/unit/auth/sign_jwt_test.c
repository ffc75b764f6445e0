/* sign_jwt_test.c - the server's own tokens (spec 05 section 5.6). */
#include "test.h"

#include "auth/auth_int.h"
#include "base/mem.h"

static const uint8_t secret[32] = { 1, 2, 3 };

static struct json *
parsed(struct arena *a, str text)
{
	struct json *j;
	struct err   e = err_in(a);

	if (json_parse(a, text, &j, &e) != ST_OK)
		fail_msg("%.*s: %.*s", STR_ARG(text), STR_ARG(e.text));
	return j;
}

/* What is signed verifies with the published key, names it, and carries the payload as it was. */
TEST(tokens_verify_with_the_key_set)
{
	struct arena      *a = arena_new();
	struct jwt_signer *s = jwt_signer_new(secret);
	struct err         e = err_in(a);
	struct buf         token, jwks;
	struct jwt         t;
	str                claim;

	buf_init(&token, BUF_MAX_DEFAULT);
	buf_init(&jwks, BUF_MAX_DEFAULT);
	jwt_signer_jwks(s, &jwks);
	for (int i = 0; i < 50; i++) {
		buf_reset(&token);
		jwt_sign(s, S("{\"iss\":\"http://x\",\"n\":1.5}"), &token);
		assert_int_equal(jwt_parse(a, buf_str(&token), &t, &e), ST_OK);
		assert_int_equal(
		    jwks_verify(parsed(a, buf_str(&jwks)), &t, S("ES256"), &e), ST_OK);
		assert_true(json_get_str(t.claims, "iss", &claim));
		CHECK_STRZ(claim, "http://x");
		assert_int_equal(t.signature.n, 64);
	}
	token.p[token.n - 80] ^= 1; /* in the payload */
	if (jwt_parse(a, buf_str(&token), &t, &e) == ST_OK)
		assert_int_equal(jwks_verify(parsed(a, buf_str(&jwks)), &t, S("ES256"), &e),
		    ST_UNAUTHENTICATED);
	buf_clear(&token);
	buf_clear(&jwks);
	jwt_signer_free(s);
	arena_free(a);
}

/* The key follows from the secret alone. */
TEST(one_secret_one_key)
{
	const uint8_t      other[32] = { 1, 2, 4 };
	struct jwt_signer *s[3] = { jwt_signer_new(secret), jwt_signer_new(secret),
		jwt_signer_new(other) };
	struct buf         b[3];

	for (int i = 0; i < 3; i++) {
		buf_init(&b[i], BUF_MAX_DEFAULT);
		jwt_signer_jwks(s[i], &b[i]);
	}
	CHECK(str_eq(buf_str(&b[0]), buf_str(&b[1])));
	CHECK(!str_eq(buf_str(&b[0]), buf_str(&b[2])));
	for (int i = 0; i < 3; i++) {
		buf_clear(&b[i]);
		jwt_signer_free(s[i]);
	}
}

TEST_RUN(T(tokens_verify_with_the_key_set), T(one_secret_one_key))
