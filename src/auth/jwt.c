/* jwt.c - compact JWTs and the public keys that sign them.
 *
 * RS256 and ES256 over OpenSSL.  Keys come as a JSON Web Key Set.
 *
 * Thread: any.  Memory: the caller's arena; OpenSSL objects live for one call.
 */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "auth/auth_int.h"
#include "base/enc.h"

static const char code[] = "InvalidAuthHeader";

static status
decode_part(struct arena *a, str part, str *ret)
{
	struct buf bytes;
	status     st = ST_BAD_REQUEST;

	buf_init(&bytes, 1 << 20);
	if (dec_base64url(&bytes, part) && buf_ok(&bytes)) {
		*ret = arena_str(a, buf_str(&bytes));
		st = ST_OK;
	}
	buf_clear(&bytes);
	return st;
}

static status
decode_json(struct arena *a, str part, const struct json **ret)
{
	struct json *j;
	str          text;

	TRY(decode_part(a, part, &text));
	TRY(json_parse(a, text, &j, NULL));
	if (j->kind != JSON_OBJECT)
		return ST_BAD_REQUEST;
	*ret = j;
	return ST_OK;
}

status
jwt_parse(struct arena *a, str token, struct jwt *ret, struct err *e)
{
	size_t first, second;
	str    rest;

	if (str_find_char(token, '.', &first)) {
		rest = str_from(token, first + 1);
		if (str_find_char(rest, '.', &second) &&
		    decode_json(a, str_head(token, first), &ret->header) == ST_OK &&
		    decode_json(a, str_head(rest, second), &ret->claims) == ST_OK &&
		    decode_part(a, str_from(rest, second + 1), &ret->signature) == ST_OK) {
			ret->signed_part = str_head(token, first + 1 + second);
			return ST_OK;
		}
	}
	return err_set(e, ST_UNAUTHENTICATED, code, "Could not parse JWT: it is not of the form "
	    "header.payload.signature in base64url of JSON");
}

/* A member of a key that holds bytes. */
static bool
key_bytes(struct arena *a, const struct json *key, const char *name, str *ret)
{
	str text;

	return json_get_str(key, name, &text) && decode_part(a, text, ret) == ST_OK && ret->n > 0 &&
	    ret->n <= 1024;
}

static EVP_PKEY *
key_from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM   *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY     *key = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *
rsa_key(struct arena *a, const struct json *jwk)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM         *n = NULL, *exp = NULL;
	EVP_PKEY       *key = NULL;
	str             nb, eb;

	must(bld != NULL);
	if (key_bytes(a, jwk, "n", &nb) && key_bytes(a, jwk, "e", &eb)) {
		n = BN_bin2bn((const unsigned char *)nb.p, (int)nb.n, NULL);
		exp = BN_bin2bn((const unsigned char *)eb.p, (int)eb.n, NULL);
		if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exp) == 1)
			key = key_from_params("RSA", bld);
	}
	BN_free(n);
	BN_free(exp);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

static EVP_PKEY *
ec_key(struct arena *a, const struct json *jwk)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY       *key = NULL;
	unsigned char   point[65] = { 4 }; /* uncompressed */
	str             x, y, crv;

	must(bld != NULL);
	if (json_get_str(jwk, "crv", &crv) && str_eq(crv, S("P-256")) &&
	    key_bytes(a, jwk, "x", &x) && key_bytes(a, jwk, "y", &y) && x.n == 32 && y.n == 32) {
		memcpy(point + 1, x.p, 32);
		memcpy(point + 33, y.p, 32);
		if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ==
			1 &&
		    OSSL_PARAM_BLD_push_octet_string(
			bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
			key = key_from_params("EC", bld);
	}
	OSSL_PARAM_BLD_free(bld);
	return key;
}

/* JWTs carry r and s side by side, OpenSSL wants them in DER. */
static bool
ec_signature_der(str raw, unsigned char **ret, size_t *ret_n)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int        n = -1;

	if (raw.n == 64 && sig) {
		BIGNUM *r = BN_bin2bn((const unsigned char *)raw.p, 32, NULL);
		BIGNUM *s = BN_bin2bn((const unsigned char *)raw.p + 32, 32, NULL);

		must(ECDSA_SIG_set0(sig, r, s) == 1);
		*ret = NULL;
		n = i2d_ECDSA_SIG(sig, ret);
	}
	ECDSA_SIG_free(sig);
	if (n <= 0)
		return false;
	*ret_n = (size_t)n;
	return true;
}

static bool
verify_with(EVP_PKEY *key, str text, const unsigned char *sig, size_t nsig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool        ok;

	ok = md && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(md, sig, nsig, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

static bool
verify(struct arena *a, const struct json *jwk, const struct jwt *t, bool ec)
{
	EVP_PKEY      *key = ec ? ec_key(a, jwk) : rsa_key(a, jwk);
	unsigned char *der = NULL;
	size_t         n = 0;
	bool           ok = false;

	if (key && !ec)
		ok = verify_with(key, t->signed_part, (const unsigned char *)t->signature.p,
		    t->signature.n);
	else if (key && ec_signature_der(t->signature, &der, &n))
		ok = verify_with(key, t->signed_part, der, n);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return ok;
}

status
jwks_verify(const struct json *jwks, const struct jwt *t, str alg, struct err *e)
{
	const struct json *keys = json_get(jwks, "keys");
	bool               ec = str_eq(alg, S("ES256"));
	str                kid, got;
	struct arena      *scratch;
	bool               ok;

	if (!json_get_str(t->header, "alg", &got) || !str_eq(got, alg))
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify JWT: its algorithm is not %.*s", STR_ARG(alg));
	if (!json_get_str(t->header, "kid", &kid))
		return err_set(
		    e, ST_UNAUTHENTICATED, code, "Could not verify JWT: it names no key (kid)");
	for (size_t i = 0; keys && keys->kind == JSON_ARRAY && i < keys->n; i++) {
		const struct json *jwk = &keys->items[i];
		str                id, kty;

		if (!json_get_str(jwk, "kid", &id) || !str_eq(id, kid) ||
		    !json_get_str(jwk, "kty", &kty) || !str_eq(kty, ec ? S("EC") : S("RSA")))
			continue;
		scratch = arena_new();
		ok = verify(scratch, jwk, t, ec);
		arena_free(scratch);
		if (ok)
			return ST_OK;
		return err_set(e, ST_UNAUTHENTICATED, code,
		    "Could not verify JWT: the signature does not fit");
	}
	return err_set(e, ST_UNAUTHENTICATED, code,
	    "Could not verify JWT: no key '%.*s' in the key set", STR_ARG(kid));
}
