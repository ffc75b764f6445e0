/* sign_jwt.c - the server's own signing key (RFC 7515, 7517, 7518, 7638).
 *
 * Thread: any; OpenSSL shares keys between threads that only read them.  Memory: struct jwt_signer
 * owns its key.
 */
#include "auth/sign_jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include "base/enc.h"
#include "base/hash.h"
#include "base/mem.h"

#define LABEL      "jwt signing key"
#define COORDINATE 32
#define TEXT_MAX   43 /* base64url of 32 bytes */

struct jwt_signer {
	EVP_PKEY *key; /* owned */
	char      x[TEXT_MAX + 1], y[TEXT_MAX + 1];
	char      kid[TEXT_MAX + 1]; /* thumbprint */
};

/* --- the key --- */

/* The first number of a series that is a scalar of the curve: all but one in 2^32 are. */
static BIGNUM *
derive_scalar(const uint8_t secret[32], const EC_GROUP *group)
{
	char    label[] = LABEL "\0"; /* the counter comes last */
	uint8_t bytes[COORDINATE];
	BIGNUM *d = BN_secure_new();

	must(d != NULL);
	do {
		label[sizeof LABEL - 1]++;
		hmac_sha256(str_of(secret, 32), str_of(label, sizeof LABEL), bytes);
		must(BN_bin2bn(bytes, COORDINATE, d) != NULL);
	} while (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0);
	OPENSSL_cleanse(bytes, sizeof bytes);
	return d;
}

static EVP_PKEY *
make_key(const BIGNUM *d, const uint8_t point[1 + 2 * COORDINATE])
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX   *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY       *ret = NULL;
	OSSL_PARAM     *params;

	must(bld && ctx);
	must(OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * COORDINATE) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1);
	params = OSSL_PARAM_BLD_to_param(bld);
	must(params && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &ret, EVP_PKEY_KEYPAIR, params) == 1);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_BLD_free(bld);
	return ret;
}

static void
base64url_32(const uint8_t bytes[32], char ret[TEXT_MAX + 1])
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	enc_base64url(&b, str_of(bytes, 32));
	must(b.n == TEXT_MAX);
	memcpy(ret, b.p, TEXT_MAX);
	ret[TEXT_MAX] = 0;
	buf_clear(&b);
}

/* Spec 05 section 5.6: the key's name is its thumbprint (RFC 7638). */
static void
name_key(struct jwt_signer *s, const uint8_t point[1 + 2 * COORDINATE])
{
	uint8_t    digest[32];
	struct buf b;

	base64url_32(point + 1, s->x);
	base64url_32(point + 1 + COORDINATE, s->y);
	buf_init(&b, 256);
	buf_fmt(&b, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", s->x, s->y);
	sha256(buf_str(&b), digest);
	buf_clear(&b);
	base64url_32(digest, s->kid);
}

struct jwt_signer *
jwt_signer_new(const uint8_t secret[32])
{
	struct jwt_signer *s = MEM_NEW(struct jwt_signer);
	EC_GROUP          *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT          *point = group ? EC_POINT_new(group) : NULL;
	uint8_t            bytes[1 + 2 * COORDINATE];
	BIGNUM            *d;

	must(point != NULL);
	d = derive_scalar(secret, group);
	must(EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
	    EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof bytes,
		NULL) == sizeof bytes);
	s->key = make_key(d, bytes);
	name_key(s, bytes);
	BN_clear_free(d);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return s;
}

void
jwt_signer_free(struct jwt_signer *s)
{
	if (!s)
		return;
	EVP_PKEY_free(s->key);
	mem_free(s);
}

/* --- tokens --- */

/* JWTs carry r and s side by side, OpenSSL makes DER of them. */
static void
signature(const struct jwt_signer *s, str text, uint8_t ret[2 * COORDINATE])
{
	EVP_MD_CTX          *c = EVP_MD_CTX_new();
	unsigned char        der[128];
	const unsigned char *p = der;
	size_t               n = sizeof der;
	ECDSA_SIG           *sig;

	must(c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, s->key) == 1 &&
	    EVP_DigestSign(c, der, &n, (const unsigned char *)text.p, text.n) == 1);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	must(sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, COORDINATE) == COORDINATE &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + COORDINATE, COORDINATE) == COORDINATE);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(c);
}

void
jwt_sign(const struct jwt_signer *s, str payload, struct buf *out)
{
	size_t     from = out->n;
	uint8_t    sig[2 * COORDINATE];
	struct buf header;

	buf_init(&header, 256);
	buf_fmt(&header, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", s->kid);
	enc_base64url(out, buf_str(&header));
	buf_clear(&header);
	buf_add_byte(out, '.');
	enc_base64url(out, payload);
	if (!buf_ok(out))
		return;
	signature(s, str_from(buf_str(out), from), sig);
	buf_add_byte(out, '.');
	enc_base64url(out, str_of(sig, sizeof sig));
}

void
jwt_signer_jwks(const struct jwt_signer *s, struct buf *out)
{
	buf_fmt(out, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\","
	             "\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"%s\"}]}", s->x, s->y, s->kid);
}
