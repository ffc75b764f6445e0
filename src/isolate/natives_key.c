/* natives_key.c - asymmetric keys for crypto.subtle: import, export, signatures, RSA-OAEP,
 * agreement (spec 04 section 3.4).
 *
 * A key arrives as three arguments: its kind, whether it is private, its packed form (key.h).
 *
 * Thread: the isolate's.  Memory: results go to Uint8Arrays of the prelude's.
 */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "base/enc.h"
#include "isolate/crypto_int.h"
#include "isolate/engine_int.h"

/* --- import, export, generate --- */

/* The key with everything that can be computed, into `out`. */
static JSValue
completed(const struct crypto_args *a, bool ok, const struct key *k, struct key_out *out)
{
	return crypto_result(a, !a->bad && ok && key_complete(k, out), out);
}

/* keyParse(kind, private, DER, out) */
CRYPTO_NATIVE(native_key_parse)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	enum key_kind      kind = crypto_kind(&a);
	bool               is_private = crypto_int(&a) != 0;
	str                der = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	struct key         k;
	bool               ok;

	(void)this_val, (void)magic;
	ok = !a.bad && key_from_der(der, kind, is_private, &k);
	return completed(&a, ok, &k, &out);
}

/* keyComplete(kind, private, packed, out): of numbers from elsewhere */
CRYPTO_NATIVE(native_key_complete)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	enum key_kind      kind = crypto_kind(&a);
	bool               is_private = crypto_int(&a) != 0;
	str                packed = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	struct key         k;
	bool               ok;

	(void)this_val, (void)magic;
	ok = !a.bad && key_unpack(packed, kind, is_private, &k);
	return completed(&a, ok, &k, &out);
}

/* keyWrite(kind, private, packed, out): DER */
CRYPTO_NATIVE(native_key_write)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct key         k = crypto_key(&a);
	struct key_out     out = crypto_out(&a);

	(void)this_val, (void)magic;
	if (!a.bad)
		key_to_der(&k, &out);
	return crypto_result(&a, true, &out);
}

/* keyGenerate(kind, bits, exponent, out): the private key; exponents of up to 32 bits */
CRYPTO_NATIVE(native_key_generate)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	enum key_kind      kind = crypto_kind(&a);
	unsigned           bits = (unsigned)crypto_int(&a);
	uint32_t           e = (uint32_t)crypto_int(&a);
	struct key_out     out = crypto_out(&a);
	bool               ok;

	(void)this_val, (void)magic;
	ok = !a.bad && key_generate(kind, bits, e, crypto_is_over, engine_of(ctx), &out);
	if (!ok && !a.bad && run_must_end(engine_of(ctx)))
		return JS_NewInt32(ctx, CRYPTO_OVERDUE);
	return crypto_result(&a, ok, &out);
}

/* --- signatures --- */

enum scheme { PKCS1, PSS, ECDSA, ED25519 };

struct signing {
	enum scheme   scheme;
	const EVP_MD *md;
	int           salt; /* PSS: its length */
	struct key    key;
	EVP_PKEY     *pkey; /* owned */
	EVP_MD_CTX   *c;    /* owned */
};

/* False: exceptions, or OpenSSL does not take the key. */
static bool
signing_open(struct signing *s, struct crypto_args *a)
{
	s->scheme = (enum scheme)crypto_int(a);
	s->md = crypto_hash(a);
	s->salt = crypto_int(a);
	s->key = crypto_key(a);
	if (s->scheme == ED25519)
		s->md = NULL;
	s->pkey = a->bad ? NULL : key_open(&s->key);
	s->c = s->pkey ? EVP_MD_CTX_new() : NULL;
	return s->c != NULL;
}

static void
signing_close(struct signing *s)
{
	EVP_MD_CTX_free(s->c);
	EVP_PKEY_free(s->pkey);
}

static bool
signing_padding(const struct signing *s, EVP_PKEY_CTX *pc)
{
	if (s->scheme == PSS)
		return s->salt >= 0 &&
		    EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, s->salt) == 1;
	return s->scheme != PKCS1 || EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PADDING) == 1;
}

/* r and s side by side, as WebCrypto has them, from DER. */
static bool
ecdsa_to_raw(const uint8_t *der, size_t n, size_t coordinate, struct key_out *out)
{
	const unsigned char *p = der;
	ECDSA_SIG           *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	int                  size = (int)coordinate;
	bool                 ok;

	ok = sig && out->max >= 2 * coordinate &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out->p, size) == size &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out->p + size, size) == size;
	out->n = 2 * coordinate;
	ECDSA_SIG_free(sig);
	return ok;
}

/* The other way; false: not of the curve's length. */
static bool
ecdsa_to_der(str raw, size_t coordinate, unsigned char **ret, size_t *ret_n)
{
	ECDSA_SIG *sig;
	BIGNUM    *r, *s;
	int        n;

	if (raw.n != 2 * coordinate)
		return false;
	sig = ECDSA_SIG_new();
	r = BN_bin2bn((const unsigned char *)raw.p, (int)coordinate, NULL);
	s = BN_bin2bn((const unsigned char *)raw.p + coordinate, (int)coordinate, NULL);
	must(sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1);
	*ret = NULL;
	n = i2d_ECDSA_SIG(sig, ret);
	ECDSA_SIG_free(sig);
	*ret_n = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool
sign(const struct signing *s, str data, struct key_out *out)
{
	EVP_PKEY_CTX *pc;
	uint8_t       sig[KEY_FIELD_MAX];
	size_t        n = sizeof sig;

	if (EVP_DigestSignInit(s->c, &pc, s->md, NULL, s->pkey) != 1 || !signing_padding(s, pc) ||
	    EVP_DigestSign(s->c, sig, &n, (const unsigned char *)data.p, data.n) != 1)
		return false;
	if (s->scheme == ECDSA)
		return ecdsa_to_raw(sig, n, key_coordinate(s->key.kind), out);
	if (n > out->max)
		return false;
	memcpy(out->p, sig, n);
	out->n = n;
	return true;
}

/* keySign(scheme, hash, salt, kind, private, packed, data, out) */
CRYPTO_NATIVE(native_key_sign)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct signing     s;
	bool               ok = signing_open(&s, &a);
	str                data = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);

	(void)this_val, (void)magic;
	ok = ok && !a.bad && sign(&s, data, &out);
	signing_close(&s);
	return crypto_result(&a, ok, &out);
}

static bool
verify(const struct signing *s, str signature, str data)
{
	EVP_PKEY_CTX        *pc;
	const unsigned char *sig = (const unsigned char *)signature.p;
	unsigned char       *der = NULL;
	size_t               n = signature.n;
	bool                 ok;

	if (EVP_DigestVerifyInit(s->c, &pc, s->md, NULL, s->pkey) != 1 || !signing_padding(s, pc))
		return false;
	if (s->scheme == ECDSA) {
		if (!ecdsa_to_der(signature, key_coordinate(s->key.kind), &der, &n))
			return false;
		sig = der;
	}
	ok = EVP_DigestVerify(s->c, sig, n, (const unsigned char *)data.p, data.n) == 1;
	OPENSSL_free(der);
	return ok;
}

/* keyVerify(scheme, hash, salt, kind, private, packed, signature, data): 0 or FAILED */
CRYPTO_NATIVE(native_key_verify)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct signing     s;
	bool               ok = signing_open(&s, &a);
	str                signature = crypto_bytes(&a), data = crypto_bytes(&a);

	(void)this_val, (void)magic;
	ok = ok && !a.bad && verify(&s, signature, data);
	signing_close(&s);
	return crypto_result(&a, ok, &(struct key_out){ 0 });
}

/* --- RSA-OAEP --- */

static bool
oaep_setup(EVP_PKEY_CTX *c, bool encrypt, const EVP_MD *md, str label)
{
	void *copy;

	if ((encrypt ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c)) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(c, md) != 1 || EVP_PKEY_CTX_set_rsa_mgf1_md(c, md) != 1)
		return false;
	if (!label.n)
		return true;
	copy = OPENSSL_memdup(label.p, label.n); /* becomes the context's */
	must(copy != NULL);
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(c, copy, (int)label.n) == 1)
		return true;
	OPENSSL_free(copy);
	return false;
}

static bool
oaep(EVP_PKEY *pkey, bool encrypt, const EVP_MD *md, str label, str data, struct key_out *out)
{
	EVP_PKEY_CTX        *c = EVP_PKEY_CTX_new(pkey, NULL);
	const unsigned char *in = (const unsigned char *)data.p;
	uint8_t              bytes[KEY_FIELD_MAX];
	size_t               n = sizeof bytes;
	bool                 ok;

	must(c != NULL);
	ok = oaep_setup(c, encrypt, md, label) &&
	    (encrypt ? EVP_PKEY_encrypt(c, bytes, &n, in, data.n)
	             : EVP_PKEY_decrypt(c, bytes, &n, in, data.n)) == 1;
	EVP_PKEY_CTX_free(c);
	ok = ok && n <= out->max;
	if (ok) {
		memcpy(out->p, bytes, n);
		out->n = n;
	}
	OPENSSL_cleanse(bytes, sizeof bytes);
	return ok;
}

/* keyOaep(encrypt, hash, kind, private, packed, label, data, out) */
CRYPTO_NATIVE(native_key_oaep)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	bool               encrypt = crypto_int(&a) != 0;
	const EVP_MD      *md = crypto_hash(&a);
	struct key         k = crypto_key(&a);
	str                label = crypto_bytes(&a), data = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	EVP_PKEY          *pkey = a.bad ? NULL : key_open(&k);
	bool               ok = pkey && label.n <= INT32_MAX &&
	    oaep(pkey, encrypt, md, label, data, &out);

	(void)this_val, (void)magic;
	EVP_PKEY_free(pkey);
	return crypto_result(&a, ok, &out);
}

/* --- ECDH and X25519 --- */

static bool
agree(EVP_PKEY *own, EVP_PKEY *peer, struct key_out *out)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
	size_t        n = out->max;
	bool          ok;

	must(c != NULL);
	ok = EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, peer) == 1 &&
	    EVP_PKEY_derive(c, out->p, &n) == 1;
	EVP_PKEY_CTX_free(c);
	out->n = n;
	return ok;
}

/* keyAgree(kind, private, packed, kind, private, packed, out): the secret of the two */
CRYPTO_NATIVE(native_key_agree)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct key         k = crypto_key(&a), theirs = crypto_key(&a);
	struct key_out     out = crypto_out(&a);
	EVP_PKEY          *own = a.bad ? NULL : key_open(&k);
	EVP_PKEY          *peer = own ? key_open(&theirs) : NULL;
	bool               ok = peer && agree(own, peer, &out);

	(void)this_val, (void)magic;
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
	return crypto_result(&a, ok, &out);
}
