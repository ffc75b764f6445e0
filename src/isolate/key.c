/* key.c - packed keys, their checks, and OpenSSL's view of them.
 *
 * Thread: any.  Memory: OpenSSL's objects are freed before a function returns, but for the result
 * of key_open().
 */
#include "isolate/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "base/must.h"

#define RSA_BITS_MIN 512
#define RSA_BITS_MAX 8192

static const struct {
	const char *name;
	int         nid;
	size_t      coordinate;
} curves[KEY_KINDS] = {
	[KEY_P256] = { "P-256", NID_X9_62_prime256v1, 32 },
	[KEY_P384] = { "P-384", NID_secp384r1, 48 },
	[KEY_P521] = { "P-521", NID_secp521r1, 66 },
};

size_t
key_coordinate(enum key_kind kind)
{
	return curves[kind].coordinate;
}

/* --- the packed form --- */

bool
key_unpack(str packed, enum key_kind kind, bool is_private, struct key *ret)
{
	*ret = (struct key){ .kind = kind, .is_private = is_private,
		.n = kind == KEY_RSA ? (is_private ? 8 : 2) : (is_private ? 2 : 1) };
	for (size_t i = 0; i < ret->n; i++) {
		size_t n;

		if (packed.n < 2)
			return false;
		n = (size_t)(uint8_t)packed.p[0] << 8 | (uint8_t)packed.p[1];
		packed = str_from(packed, 2);
		if (n > packed.n || n > KEY_FIELD_MAX)
			return false;
		ret->f[i] = str_head(packed, n);
		packed = str_from(packed, n);
	}
	return packed.n == 0;
}

void
key_pack(const struct key *k, struct key_out *out)
{
	for (size_t i = 0; i < k->n; i++) {
		str f = k->f[i];

		out->overflow |= f.n > KEY_FIELD_MAX || f.n + 2 > out->max - out->n;
		if (out->overflow)
			return;
		out->p[out->n] = (uint8_t)(f.n >> 8);
		out->p[out->n + 1] = (uint8_t)f.n;
		if (f.n)
			memcpy(out->p + out->n + 2, f.p, f.n);
		out->n += f.n + 2;
	}
}

/* --- RSA --- */

static BIGNUM *
number(str s)
{
	BIGNUM *ret = BN_bin2bn((const unsigned char *)s.p, (int)s.n, NULL);

	must(ret != NULL);
	return ret;
}

/* Without leading zeroes. */
static str
shortest(str s)
{
	while (s.n && s.p[0] == 0)
		s = str_from(s, 1);
	return s;
}

/* n is the product of the primes, and nothing is there that OpenSSL would divide by in vain. */
static bool
rsa_private_fits(const struct key *k)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *n = number(k->f[0]), *p = number(k->f[3]), *q = number(k->f[4]);
	BIGNUM *product = BN_new();
	bool    ok;

	must(ctx && product);
	ok = BN_is_odd(p) && BN_is_odd(q) && !BN_is_one(p) && !BN_is_one(q) &&
	    BN_mul(product, p, q, ctx) == 1 && BN_cmp(product, n) == 0;
	for (size_t i = 2; ok && i < k->n; i++)
		ok = k->f[i].n > 0 && k->f[i].n <= k->f[0].n;
	BN_clear_free(p);
	BN_clear_free(q);
	BN_free(n);
	BN_free(product);
	BN_CTX_free(ctx);
	return ok;
}

/* Numbers without leading zeroes that make a key. */
static bool
rsa_fits(const struct key *k)
{
	str    n = k->f[0], e = k->f[1];
	size_t bits = n.n * 8;

	for (size_t i = 0; i < k->n; i++)
		if (!k->f[i].n || k->f[i].n > KEY_FIELD_MAX || k->f[i].p[0] == 0)
			return false;
	for (uint8_t top = (uint8_t)n.p[0]; top < 0x80; top = (uint8_t)(top << 1))
		bits--;
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || !(n.p[n.n - 1] & 1) ||
	    !(e.p[e.n - 1] & 1) || (e.n == 1 && e.p[0] == 1) || e.n > n.n)
		return false;
	return !k->is_private || rsa_private_fits(k);
}

static bool
rsa_complete(const struct key *k, struct key_out *out)
{
	struct key whole = *k;

	for (size_t i = 0; i < whole.n; i++)
		whole.f[i] = shortest(k->f[i]);
	if (!rsa_fits(&whole))
		return false;
	key_pack(&whole, out);
	return !out->overflow;
}

static EVP_PKEY *
open_with(const char *type, OSSL_PARAM_BLD *bld, bool is_private)
{
	OSSL_PARAM   *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY     *ret = NULL;
	int           what = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &ret, what, params) != 1)
		ret = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return ret;
}

static const char *const rsa_params[KEY_FIELDS] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };

static EVP_PKEY *
rsa_open(const struct key *k)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM         *v[KEY_FIELDS] = { NULL };
	EVP_PKEY       *ret = NULL;
	bool            ok = bld && rsa_fits(k);

	for (size_t i = 0; ok && i < k->n; i++) {
		v[i] = number(k->f[i]);
		ok = OSSL_PARAM_BLD_push_BN(bld, rsa_params[i], v[i]) == 1;
	}
	if (ok)
		ret = open_with("RSA", bld, k->is_private);
	for (size_t i = 0; i < k->n; i++)
		BN_clear_free(v[i]);
	OSSL_PARAM_BLD_free(bld);
	return ret;
}

static bool
rsa_pack(EVP_PKEY *pkey, struct key_out *out)
{
	uint8_t    bytes[KEY_FIELDS][KEY_FIELD_MAX];
	struct key k = { .kind = KEY_RSA, .is_private = true, .n = KEY_FIELDS };
	bool       ok = true;

	for (size_t i = 0; ok && i < k.n; i++) {
		BIGNUM *v = NULL;

		ok = EVP_PKEY_get_bn_param(pkey, rsa_params[i], &v) == 1 &&
		    BN_num_bytes(v) <= (int)KEY_FIELD_MAX;
		if (ok)
			k.f[i] = str_of(bytes[i], (size_t)BN_bn2bin(v, bytes[i]));
		BN_clear_free(v);
	}
	if (ok)
		key_pack(&k, out);
	OPENSSL_cleanse(bytes, sizeof bytes);
	return ok && !out->overflow;
}

struct search {
	bool (*stop)(void *arg);
	void *arg;
};

static int
search_goes_on(EVP_PKEY_CTX *ctx)
{
	const struct search *s = EVP_PKEY_CTX_get_app_data(ctx);

	return !s->stop(s->arg);
}

static bool
rsa_generate(unsigned bits, uint64_t e, const struct search *s, struct key_out *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM       *exponent = BN_new();
	EVP_PKEY     *pkey = NULL;
	bool          ok = false;

	must(ctx && exponent);
	if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && e > 1 && (e & 1) &&
	    BN_set_word(exponent, e) == 1 && EVP_PKEY_keygen_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) == 1 &&
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent) == 1) {
		EVP_PKEY_CTX_set_app_data(ctx, (void *)(uintptr_t)s);
		EVP_PKEY_CTX_set_cb(ctx, search_goes_on);
		ok = EVP_PKEY_generate(ctx, &pkey) == 1 && rsa_pack(pkey, out);
	}
	EVP_PKEY_free(pkey);
	BN_free(exponent);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* --- elliptic curves --- */

#define POINT_MAX (1 + 2 * 66)

/* The point of `bytes` (p == NULL: of the scalar d), uncompressed. */
static bool
ec_point(enum key_kind kind, str bytes, const BIGNUM *d, uint8_t ret[POINT_MAX])
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(curves[kind].nid);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	size_t    n = 1 + 2 * curves[kind].coordinate;
	bool      ok;

	must(point != NULL);
	if (bytes.p)
		ok = EC_POINT_oct2point(
			 group, point, (const unsigned char *)bytes.p, bytes.n, NULL) == 1;
	else
		ok = BN_cmp(d, EC_GROUP_get0_order(group)) < 0 && !BN_is_zero(d) &&
		    EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1;
	ok = ok && !EC_POINT_is_at_infinity(group, point) &&
	    EC_POINT_point2oct(
		group, point, POINT_CONVERSION_UNCOMPRESSED, ret, POINT_MAX, NULL) == n;
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return ok;
}

/* Only the forms that WebCrypto knows: not X9.62's hybrid. */
static bool
point_form_known(str point, size_t coordinate)
{
	if (point.n == 1 + coordinate)
		return point.p[0] == 2 || point.p[0] == 3;
	return point.n == 1 + 2 * coordinate && point.p[0] == 4;
}

static bool
ec_complete(const struct key *k, struct key_out *out)
{
	size_t     coordinate = curves[k->kind].coordinate;
	struct key whole = *k;
	uint8_t    given[POINT_MAX], point[POINT_MAX];
	BIGNUM    *d = NULL;
	bool       has_point = k->f[0].n > 0, ok = true;

	if (has_point)
		ok = point_form_known(k->f[0], coordinate) &&
		    ec_point(k->kind, k->f[0], NULL, given);
	else
		ok = k->is_private;
	if (ok && k->is_private) {
		ok = k->f[1].n == coordinate;
		if (ok) {
			d = BN_secure_new();
			must(d && BN_bin2bn((const unsigned char *)k->f[1].p, (int)k->f[1].n, d));
			BN_set_flags(d, BN_FLG_CONSTTIME);
			ok = ec_point(k->kind, str_of(NULL, 0), d, point) &&
			    (!has_point || memcmp(point, given, 1 + 2 * coordinate) == 0);
		}
	}
	BN_clear_free(d);
	if (!ok)
		return false;
	whole.f[0] = str_of(k->is_private ? point : given, 1 + 2 * coordinate);
	key_pack(&whole, out);
	return !out->overflow;
}

static EVP_PKEY *
ec_open(const struct key *k)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM         *d = NULL;
	EVP_PKEY       *ret = NULL;
	bool            ok = bld &&
	    OSSL_PARAM_BLD_push_utf8_string(
		bld, OSSL_PKEY_PARAM_GROUP_NAME, curves[k->kind].name, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		bld, OSSL_PKEY_PARAM_PUB_KEY, k->f[0].p, k->f[0].n) == 1;

	if (ok && k->is_private) {
		d = number(k->f[1]);
		ok = OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1;
	}
	if (ok)
		ret = open_with("EC", bld, k->is_private);
	BN_clear_free(d);
	OSSL_PARAM_BLD_free(bld);
	return ret;
}

static bool
ec_generate(enum key_kind kind, struct key_out *out)
{
	EC_GROUP  *group = EC_GROUP_new_by_curve_name(curves[kind].nid);
	BIGNUM    *d = BN_secure_new();
	size_t     coordinate = curves[kind].coordinate;
	uint8_t    scalar[66];
	struct key k = { .kind = kind, .is_private = true, .n = 2 };
	bool       ok;

	must(group && d);
	do
		must(BN_priv_rand_range(d, EC_GROUP_get0_order(group)) == 1);
	while (BN_is_zero(d));
	must(BN_bn2binpad(d, scalar, (int)coordinate) == (int)coordinate);
	k.f[0] = STR_EMPTY;
	k.f[1] = str_of(scalar, coordinate);
	ok = ec_complete(&k, out);
	OPENSSL_cleanse(scalar, sizeof scalar);
	BN_clear_free(d);
	EC_GROUP_free(group);
	return ok;
}

/* --- Ed25519 and X25519 --- */

static int
okp_type(enum key_kind kind)
{
	return kind == KEY_ED25519 ? EVP_PKEY_ED25519 : EVP_PKEY_X25519;
}

static EVP_PKEY *
okp_open(const struct key *k)
{
	str                  f = k->f[k->is_private ? 1 : 0];
	const unsigned char *p = (const unsigned char *)f.p;

	if (f.n != 32)
		return NULL;
	if (k->is_private)
		return EVP_PKEY_new_raw_private_key(okp_type(k->kind), NULL, p, 32);
	return EVP_PKEY_new_raw_public_key(okp_type(k->kind), NULL, p, 32);
}

static bool
okp_complete(const struct key *k, struct key_out *out)
{
	struct key whole = *k;
	uint8_t    public[32];
	size_t     n = sizeof public;
	EVP_PKEY  *pkey;
	bool       ok;

	if ((k->f[0].n != 32 && !(k->is_private && k->f[0].n == 0)) ||
	    (k->is_private && k->f[1].n != 32))
		return false;
	pkey = okp_open(k);
	ok = pkey && EVP_PKEY_get_raw_public_key(pkey, public, &n) == 1 &&
	    (k->f[0].n == 0 || memcmp(public, k->f[0].p, 32) == 0);
	EVP_PKEY_free(pkey);
	if (!ok)
		return false;
	whole.f[0] = str_of(public, 32);
	key_pack(&whole, out);
	return !out->overflow;
}

static bool
okp_generate(enum key_kind kind, struct key_out *out)
{
	uint8_t    seed[32];
	struct key k = { .kind = kind, .is_private = true, .n = 2 };
	bool       ok;

	must(RAND_priv_bytes(seed, sizeof seed) == 1);
	k.f[0] = STR_EMPTY;
	k.f[1] = str_of(seed, sizeof seed);
	ok = okp_complete(&k, out);
	OPENSSL_cleanse(seed, sizeof seed);
	return ok;
}

/* --- all kinds --- */

bool
key_complete(const struct key *k, struct key_out *out)
{
	bool ok = k->kind == KEY_RSA ? rsa_complete(k, out) :
	    key_coordinate(k->kind) ? ec_complete(k, out) : okp_complete(k, out);

	if (!ok)
		ERR_clear_error();
	return ok;
}

EVP_PKEY *
key_open(const struct key *k)
{
	return k->kind == KEY_RSA ? rsa_open(k) : key_coordinate(k->kind) ? ec_open(k) :
	    okp_open(k);
}

bool
key_generate(enum key_kind kind, unsigned bits, uint64_t e, bool (*stop)(void *arg), void *arg,
    struct key_out *out)
{
	const struct search s = { stop, arg };
	bool                ok = kind == KEY_RSA ? rsa_generate(bits, e, &s, out) :
	    key_coordinate(kind) ? ec_generate(kind, out) : okp_generate(kind, out);

	if (!ok)
		ERR_clear_error();
	return ok;
}
