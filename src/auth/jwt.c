/* jwt.c - compact JWTs and the public keys that sign them.
 *
 * RS256, ES256 and EdDSA (Ed25519) over OpenSSL.  Keys come as a JSON Web Key Set.
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

static EVP_PKEY *
okp_key(struct arena *a, const struct json *jwk)
{
	str x, crv;

	if (!json_get_str(jwk, "crv", &crv) || !str_eq(crv, S("Ed25519")) ||
	    !key_bytes(a, jwk, "x", &x) || x.n != 32)
		return NULL;
	return EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
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

static const struct algorithm {
	const char *name, *kty;
	EVP_PKEY *(*key)(struct arena *a, const struct json *jwk);
	const EVP_MD *(*digest)(void); /* NULL: the algorithm's own */
	bool        raw_ec;            /* signatures are r and s */
	bool        openid;            /* accepted without being configured */
} algorithms[] = {
	{ "RS256", "RSA", rsa_key, EVP_sha256, false, true },
	{ "EdDSA", "OKP", okp_key, NULL, false, true },
	{ "ES256", "EC", ec_key, EVP_sha256, true, false },
};

static bool
verify_with(const struct algorithm *alg, EVP_PKEY *key, str text, const unsigned char *sig,
    size_t nsig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool        ok;

	ok = md &&
	    EVP_DigestVerifyInit(md, NULL, alg->digest ? alg->digest() : NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(md, sig, nsig, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

static bool
verify(const struct algorithm *alg, const struct json *jwk, const struct jwt *t)
{
	struct arena        *scratch = arena_new();
	EVP_PKEY            *key = alg->key(scratch, jwk);
	const unsigned char *sig = (const unsigned char *)t->signature.p;
	unsigned char       *der = NULL;
	size_t               n = t->signature.n;
	bool                 ok = key != NULL;

	if (ok && alg->raw_ec) {
		ok = ec_signature_der(t->signature, &der, &n);
		sig = der;
	}
	ok = ok && verify_with(alg, key, t->signed_part, sig, n);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	arena_free(scratch);
	return ok;
}

static const struct algorithm *
find_algorithm(const struct jwt *t, str configured)
{
	str name;

	if (!json_get_str(t->header, "alg", &name) || (configured.p && !str_eq(name, configured)))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		if (str_eq(name, str_z(algorithms[i].name)) &&
		    (configured.p || algorithms[i].openid))
			return &algorithms[i];
	}
	return NULL;
}

static bool
key_fits(const struct json *jwk, const struct algorithm *alg, str kid)
{
	str id, kty, use;

	if (json_get_str(jwk, "use", &use) && str_eq(use, S("enc")))
		return false;
	if (alg && (!json_get_str(jwk, "kty", &kty) || !str_eq(kty, str_z(alg->kty))))
		return false;
	return !kid.p || (json_get_str(jwk, "kid", &id) && str_eq(id, kid));
}

/* The first key that fits; `alg` NULL: of any kind; kid p == NULL: of any name. */
static const struct json *
find_key(const struct json *jwks, const struct algorithm *alg, str kid, size_t *ret_n)
{
	const struct json *keys = json_get(jwks, "keys"), *found = NULL;

	*ret_n = 0;
	for (size_t i = 0; keys && keys->kind == JSON_ARRAY && i < keys->n; i++) {
		if (!key_fits(&keys->items[i], alg, kid))
			continue;
		if (!found)
			found = &keys->items[i];
		++*ret_n;
	}
	return found;
}

bool
jwks_has_key(const struct json *jwks, const struct jwt *t)
{
	str    kid;
	size_t n;

	return !json_get_str(t->header, "kid", &kid) || find_key(jwks, NULL, kid, &n) != NULL;
}

status
jwks_verify(const struct json *jwks, const struct jwt *t, str alg, struct err *e)
{
	const struct algorithm *algorithm = find_algorithm(t, alg);
	const char             *failed = alg.p ? code : "Unauthenticated";
	const struct json      *key;
	str                     kid = { NULL, 0 };
	size_t                  n;

	if (!algorithm)
		return err_set(e, ST_UNAUTHENTICATED, failed,
		    "Could not verify JWT: its algorithm is not %.*s",
		    STR_ARG(alg.p ? alg : S("RS256 or EdDSA")));
	if (!json_get_str(t->header, "kid", &kid) && alg.p)
		return err_set(
		    e, ST_UNAUTHENTICATED, failed, "Could not verify JWT: it names no key (kid)");
	key = find_key(jwks, algorithm, kid, &n);
	if (!key)
		return err_set(e, ST_UNAUTHENTICATED, failed,
		    "Could not verify JWT: no key '%.*s' in the key set", STR_ARG(kid));
	if (!kid.p && n > 1)
		return err_set(e, ST_UNAUTHENTICATED, failed,
		    "Could not verify JWT: it names no key (kid), and there are several");
	if (!verify(algorithm, key, t))
		return err_set(e, ST_UNAUTHENTICATED, failed,
		    "Could not verify JWT: the signature does not fit");
	return ST_OK;
}
