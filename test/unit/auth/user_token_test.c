/* user_token_test.c - users' JWTs against the providers in _auth. */
#include "test.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "auth/auth.h"
#include "base/enc.h"
#include "database/txn.h"
#include "os/os.h"
#include "value/vjson.h"

static EVP_PKEY *rsa, *ec;

static void
b64(struct buf *out, str s)
{
	enc_base64url(out, s);
}

static void
add_number(struct buf *out, const char *name, EVP_PKEY *key, const char *param, int n)
{
	unsigned char bytes[512];
	BIGNUM       *v = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &v), 1);
	if (n == 0)
		n = BN_num_bytes(v);
	assert_true(BN_bn2binpad(v, bytes, n) == n);
	buf_fmt(out, ",\"%s\":\"", name);
	b64(out, str_of(bytes, (size_t)n));
	buf_add_byte(out, '"');
	BN_free(v);
}

/* The key set of both keys as a data: URL. */
static void
jwks_url(struct buf *out)
{
	struct buf json;

	buf_init(&json, 1 << 16);
	buf_addz(&json, "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\",\"alg\":\"RS256\"");
	add_number(&json, "n", rsa, OSSL_PKEY_PARAM_RSA_N, 0);
	add_number(&json, "e", rsa, OSSL_PKEY_PARAM_RSA_E, 0);
	buf_addz(&json, "},{\"kid\":\"e\",\"kty\":\"EC\",\"crv\":\"P-256\"");
	add_number(&json, "x", ec, OSSL_PKEY_PARAM_EC_PUB_X, 32);
	add_number(&json, "y", ec, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
	buf_addz(&json, "}]}");
	buf_addz(out, "data:application/json;base64,");
	enc_base64(out, buf_str(&json));
	buf_clear(&json);
}

static void
sign(struct buf *out, EVP_PKEY *key, str text)
{
	EVP_MD_CTX          *md = EVP_MD_CTX_new();
	unsigned char        sig[1024], raw[64];
	const unsigned char *p = sig;
	size_t               n = sizeof sig;

	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &n, (const unsigned char *)text.p, text.n), 1);
	EVP_MD_CTX_free(md);
	if (key == ec) {
		ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);

		BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, 32);
		BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + 32, 32);
		ECDSA_SIG_free(s);
		b64(out, str_of(raw, 64));
	} else {
		b64(out, str_of(sig, n));
	}
}

static void
make_jwt(struct buf *out, EVP_PKEY *key, const char *header, const char *claims)
{
	buf_reset(out);
	b64(out, str_z(header));
	buf_add_byte(out, '.');
	b64(out, str_z(claims));
	{
		struct buf sig;

		buf_init(&sig, 4096);
		sign(&sig, key, buf_str(out));
		buf_add_byte(out, '.');
		buf_add(out, buf_str(&sig));
		buf_clear(&sig);
	}
}

static void
add_provider(struct db *db, const char *json)
{
	struct txn     *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db),
	        .writable = true, .system = true, .writer = S("test") });
	struct arena   *a = arena_new();
	struct conflict conflict;
	struct docid    id;
	struct val      v;
	ts_t            ts;

	assert_int_equal(vjson_parse(a, str_z(json), VJSON_PLAIN, &v, NULL), ST_OK);
	assert_int_equal(txn_sys_insert(t, S("_auth"), v, &id, NULL), ST_OK);
	assert_int_equal(txn_commit(t, &ts, &conflict, NULL), ST_OK);
	txn_free(t);
	arena_free(a);
}

static struct db *
open_db(void)
{
	struct db_opts opts = { .os = os_real(), .instance_name = S("carnitas") };
	struct db     *db = NULL;
	struct buf     url, row;

	store_open_memory(&opts.store);
	assert_int_equal(db_open(&opts, &db, NULL), ST_OK);
	buf_init(&url, 1 << 16);
	buf_init(&row, 1 << 16);
	jwks_url(&url);
	buf_fmt(&row,
	    "{\"type\":\"customJwt\",\"applicationID\":null,\"issuer\":\"https://rsa.example\","
	    "\"jwks\":\"%.*s\",\"algorithm\":\"\\\"RS256\\\"\"}",
	    STR_ARG(buf_str(&url)));
	buf_add_byte(&row, 0);
	add_provider(db, row.p);
	buf_reset(&row);
	buf_fmt(&row,
	    "{\"type\":\"customJwt\",\"applicationID\":\"app\",\"issuer\":\"https://ec.example\","
	    "\"jwks\":\"%.*s\",\"algorithm\":\"\\\"ES256\\\"\"}",
	    STR_ARG(buf_str(&url)));
	buf_add_byte(&row, 0);
	add_provider(db, row.p);
	add_provider(db, "{\"domain\":\"https://oidc.example\",\"applicationID\":\"app\"}");
	buf_clear(&url);
	buf_clear(&row);
	return db;
}

#define RS "{\"alg\":\"RS256\",\"kid\":\"r\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"e\"}"
#define RSA_ISS "\"iss\":\"https://rsa.example\",\"sub\":\"u1\""
#define LATER "\"exp\":99999999999"

/* Spec 05 sections 5.3 and 5.4, one rule per row. */
TEST(tokens_are_verified) /* 05 checklist 29 */
{
	const struct {
		const char *why;
		EVP_PKEY  **key;
		const char *header, *claims;
		status      st;
		const char *code;
		const char *attributes; /* NULL: not looked at */
	} rows[] = {
		{ "RS256, nested claims become dotted", &rsa, RS,
		    "{" RSA_ISS "," LATER
		    ",\"role\":\"admin\",\"org\":{\"id\":7},\"fva\":[1],\"jti\":\"j\"}",
		    ST_OK, NULL,
		    "{\"tokenIdentifier\":\"https://rsa.example|u1\",\"subject\":\"u1\","
		    "\"issuer\":\"https://rsa.example\",\"role\":\"admin\",\"org.id\":7}" },
		{ "trailing slash of the issuer", &rsa, RS,
		    "{\"iss\":\"https://rsa.example/\",\"sub\":\"u1\"," LATER "}", ST_OK, NULL,
		    "{\"tokenIdentifier\":\"https://rsa.example/|u1\",\"subject\":\"u1\","
		    "\"issuer\":\"https://rsa.example/\"}" },
		{ "ES256 with its audience", &ec, ES,
		    "{\"iss\":\"https://ec.example\",\"aud\":[\"x\",\"app\"],\"sub\":\"u2\"," LATER
		    "}",
		    ST_OK, NULL, NULL },
		{ "other audience", &ec, ES,
		    "{\"iss\":\"https://ec.example\",\"aud\":\"x\",\"sub\":\"u2\"," LATER "}",
		    ST_UNAUTHENTICATED, "NoAuthProvider", NULL },
		{ "other issuer", &rsa, RS,
		    "{\"iss\":\"https://x.example\",\"sub\":\"u\"," LATER "}", ST_UNAUTHENTICATED,
		    "NoAuthProvider", NULL },
		{ "no issuer", &rsa, RS, "{\"sub\":\"u\"," LATER "}", ST_UNAUTHENTICATED,
		    "InvalidAuthHeader", NULL },
		{ "expired", &rsa, RS, "{" RSA_ISS ",\"exp\":1000}", ST_UNAUTHENTICATED,
		    "InvalidAuthHeader", NULL },
		{ "no expiry", &rsa, RS, "{" RSA_ISS "}", ST_UNAUTHENTICATED, "InvalidAuthHeader",
		    NULL },
		{ "not yet", &rsa, RS, "{" RSA_ISS "," LATER ",\"nbf\":99999999998}",
		    ST_UNAUTHENTICATED, "InvalidAuthHeader", NULL },
		{ "no subject", &rsa, RS, "{\"iss\":\"https://rsa.example\"," LATER "}",
		    ST_UNAUTHENTICATED, "InvalidAuthHeader", NULL },
		{ "no kid", &rsa, "{\"alg\":\"RS256\"}", "{" RSA_ISS "," LATER "}",
		    ST_UNAUTHENTICATED, "InvalidAuthHeader", NULL },
		{ "unknown kid", &rsa, "{\"alg\":\"RS256\",\"kid\":\"z\"}",
		    "{" RSA_ISS "," LATER "}", ST_UNAUTHENTICATED, "InvalidAuthHeader", NULL },
		{ "alg none", &rsa, "{\"alg\":\"none\",\"kid\":\"r\"}", "{" RSA_ISS "," LATER "}",
		    ST_UNAUTHENTICATED, "InvalidAuthHeader", NULL },
		{ "signed with another key", &ec, RS, "{" RSA_ISS "," LATER "}", ST_UNAUTHENTICATED,
		    "InvalidAuthHeader", NULL },
		{ "nothing was downloaded", &rsa, RS,
		    "{\"iss\":\"https://oidc.example\",\"aud\":\"app\",\"sub\":\"u\"," LATER "}",
		    ST_BAD_REQUEST, "AuthProviderDiscoveryFailed", NULL },
	};
	struct db   *db;
	struct auth *a;
	struct buf   jwt;

	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	db = open_db();
	a = auth_new(
	    &(struct auth_opts){ .instance_name = S("carnitas"), .db = db, .os = os_real() });
	buf_init(&jwt, 1 << 16);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct identity *id = NULL;
		struct err       e = err_in(NULL);

		fprintf(stderr, "  %s\n", rows[i].why);
		make_jwt(&jwt, *rows[i].key, rows[i].header, rows[i].claims);
		CHECK_EQ(auth_user_token(a, buf_str(&jwt), &id, &e), rows[i].st);
		if (rows[i].code)
			CHECK_STRZ(e.code, rows[i].code);
		else
			CHECK_EQ(id->kind, IDENTITY_USER);
		if (id) { /* 05 checklist 6: a user is no administrator */
			CHECK_EQ(identity_require(id, "ViewLogs", &e), ST_FORBIDDEN);
			CHECK_STRZ(e.code, "BadDeployKey");
		}
		if (rows[i].attributes)
			CHECK_STRZ(blob_str(id->attributes), rows[i].attributes);
		identity_unref(id);
	}
	/* one flipped bit of a good token */
	make_jwt(&jwt, rsa, RS, "{" RSA_ISS "," LATER "}");
	jwt.p[jwt.n - 20] = jwt.p[jwt.n - 20] == 'A' ? 'B' : 'A';
	{
		struct identity *id = NULL;

		CHECK_EQ(auth_user_token(a, buf_str(&jwt), &id, NULL), ST_UNAUTHENTICATED);
	}
	buf_clear(&jwt);
	auth_free(a);
	db_close(db);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
}

TEST_RUN(T(tokens_are_verified))
