/* gcmsiv.c - AES-128-GCM-SIV after RFC 8452.
 *
 * AES is OpenSSL's; POLYVAL is a bit-serial multiplication without branches on data.  What
 * we seal is a few hundred bytes, so that a table or carry-less multiply would buy nothing.
 *
 * Thread: any.  Memory: OpenSSL's cipher context for the duration of a call.
 */
#include "base/gcmsiv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"

#define BLOCK 16

__extension__ typedef unsigned __int128 u128;

struct keys {
	uint8_t         auth[BLOCK];
	EVP_CIPHER_CTX *aes; /* with the message encryption key */
};

static void
aes_block(EVP_CIPHER_CTX *aes, const uint8_t in[BLOCK], uint8_t out[BLOCK])
{
	int n = 0;

	must(EVP_EncryptUpdate(aes, out, &n, in, BLOCK) == 1 && n == BLOCK);
}

static EVP_CIPHER_CTX *
aes_new(const uint8_t key[BLOCK])
{
	EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();

	must(aes);
	must(EVP_EncryptInit_ex(aes, EVP_aes_128_ecb(), NULL, key, NULL) == 1);
	must(EVP_CIPHER_CTX_set_padding(aes, 0) == 1);
	return aes;
}

/* RFC 8452 section 4: both message keys come from the nonce, eight bytes a block. */
static void
derive(struct keys *k, const uint8_t key[BLOCK], const uint8_t nonce[GCMSIV_NONCE])
{
	EVP_CIPHER_CTX *master = aes_new(key);
	uint8_t         in[BLOCK] = { 0 };
	uint8_t         out[BLOCK];
	uint8_t         derived[2 * BLOCK];

	memcpy(in + 4, nonce, GCMSIV_NONCE);
	for (uint8_t i = 0; i < 4; i++) {
		in[0] = i;
		aes_block(master, in, out);
		memcpy(derived + (size_t)8 * i, out, 8);
	}
	EVP_CIPHER_CTX_free(master);
	memcpy(k->auth, derived, BLOCK);
	k->aes = aes_new(derived + BLOCK);
	OPENSSL_cleanse(derived, sizeof derived);
}

static void
keys_clear(struct keys *k)
{
	EVP_CIPHER_CTX_free(k->aes);
	OPENSSL_cleanse(k, sizeof *k);
}

static u128
load(const uint8_t p[BLOCK])
{
	u128 v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* a * b * x^-128 in the field of POLYVAL. */
static u128
dot(u128 a, u128 b)
{
	const u128 reduce = (u128)0xE100000000000000u << 64; /* x^127 + x^126 + x^125 + x^120 */
	u128       r = 0;

	for (int i = 0; i < 128; i++) {
		r ^= b & -(a >> i & 1);
		r = r >> 1 ^ (reduce & -(r & 1));
	}
	return r;
}

static u128
polyval_add(u128 sum, u128 h, str data)
{
	for (size_t i = 0; i < data.n; i += BLOCK) {
		uint8_t block[BLOCK] = { 0 };
		size_t  n = data.n - i < BLOCK ? data.n - i : BLOCK;

		memcpy(block, data.p + i, n);
		sum = dot(sum ^ load(block), h);
	}
	return sum;
}

static void
make_tag(const struct keys *k, const uint8_t nonce[GCMSIV_NONCE], str aad, str plain,
    uint8_t ret[GCMSIV_TAG])
{
	u128    h = load(k->auth);
	u128    lengths = (u128)((uint64_t)plain.n * 8) << 64 | (uint64_t)aad.n * 8;
	u128    sum = polyval_add(polyval_add(0, h, aad), h, plain);
	uint8_t block[BLOCK];

	sum = dot(sum ^ lengths, h);
	memcpy(block, &sum, sizeof block);
	for (int i = 0; i < GCMSIV_NONCE; i++)
		block[i] ^= nonce[i];
	block[15] &= 0x7F;
	aes_block(k->aes, block, ret);
}

/* Counter mode from the tag; its own inverse. */
static void
stream(const struct keys *k, const uint8_t tag[GCMSIV_TAG], str in, char *out)
{
	uint8_t  counter[BLOCK], pad[BLOCK];
	uint32_t n;

	memcpy(counter, tag, sizeof counter);
	counter[15] |= 0x80;
	for (size_t i = 0; i < in.n; i++) {
		if (i % BLOCK == 0) {
			aes_block(k->aes, counter, pad);
			memcpy(&n, counter, sizeof n);
			n++;
			memcpy(counter, &n, sizeof n);
		}
		out[i] = (char)((uint8_t)in.p[i] ^ pad[i % BLOCK]);
	}
}

void
gcmsiv_seal(const uint8_t key[16], const uint8_t nonce[GCMSIV_NONCE], str aad, str plain,
    struct buf *out)
{
	struct keys k;
	uint8_t     tag[GCMSIV_TAG];
	char       *at = buf_reserve(out, plain.n + sizeof tag);

	if (!at)
		return;
	derive(&k, key, nonce);
	make_tag(&k, nonce, aad, plain, tag);
	stream(&k, tag, plain, at);
	memcpy(at + plain.n, tag, sizeof tag);
	out->n += plain.n + sizeof tag;
	keys_clear(&k);
}

bool
gcmsiv_open(const uint8_t key[16], const uint8_t nonce[GCMSIV_NONCE], str aad, str sealed,
    struct buf *out)
{
	struct keys    k;
	uint8_t        tag[GCMSIV_TAG];
	const uint8_t *want;
	str            body;
	char          *at;
	bool           ok;

	if (sealed.n < sizeof tag)
		return false;
	body = str_head(sealed, sealed.n - sizeof tag);
	want = (const uint8_t *)sealed.p + body.n;
	at = buf_reserve(out, body.n);
	if (!at)
		return false;
	derive(&k, key, nonce);
	stream(&k, want, body, at);
	make_tag(&k, nonce, aad, str_of(at, body.n), tag);
	ok = CRYPTO_memcmp(tag, want, sizeof tag) == 0;
	if (ok)
		out->n += body.n;
	else
		OPENSSL_cleanse(at, body.n);
	keys_clear(&k);
	return ok;
}

void
kbkdf16(const uint8_t secret[32], str label, uint8_t ret[16])
{
	struct buf b;
	uint8_t    mac[32];

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_u32be(&b, 1);
	buf_add(&b, label);
	hmac_sha256(str_of(secret, 32), buf_str(&b), mac);
	memcpy(ret, mac, 16);
	OPENSSL_cleanse(mac, sizeof mac);
	buf_clear(&b);
}
