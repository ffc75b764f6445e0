/* natives_cipher.c - AES for crypto.subtle: CBC, CTR and GCM (NIST SP 800-38A and 38D).
 *
 * Thread: the isolate's.  Memory: results go to Uint8Arrays of the prelude's.
 */
#include "base/enc.h"
#include "isolate/crypto_int.h"

enum mode { CBC, CTR, GCM };

__extension__ typedef unsigned __int128 u128;

static const EVP_CIPHER *
cipher_of(enum mode mode, size_t key_bytes)
{
	switch (key_bytes) {
	case 16:
		return mode == CBC ? EVP_aes_128_cbc() : mode == CTR ? EVP_aes_128_ctr() :
		    EVP_aes_128_gcm();
	case 24:
		return mode == CBC ? EVP_aes_192_cbc() : mode == CTR ? EVP_aes_192_ctr() :
		    EVP_aes_192_gcm();
	default:
		must(key_bytes == 32);
		return mode == CBC ? EVP_aes_256_cbc() : mode == CTR ? EVP_aes_256_ctr() :
		    EVP_aes_256_gcm();
	}
}

struct job {
	enum mode mode;
	bool      encrypt;
	str       key, iv, data, aad;
	int       bits; /* CTR: of the counter; GCM: of the tag */
};

static const unsigned char *
bytes(str s)
{
	return (const unsigned char *)s.p;
}

/* Runs `data` through, with what the mode appends at the end. */
static bool
run_cipher(EVP_CIPHER_CTX *c, str data, struct key_out *out)
{
	int n = 0, tail = 0;

	if (data.n && EVP_CipherUpdate(c, out->p + out->n, &n, bytes(data), (int)data.n) != 1)
		return false;
	if (EVP_CipherFinal_ex(c, out->p + out->n + n, &tail) != 1)
		return false;
	out->n += (size_t)n + (size_t)tail;
	return true;
}

static bool
run_cbc(EVP_CIPHER_CTX *c, const struct job *j, struct key_out *out)
{
	return EVP_CipherInit_ex(c, cipher_of(CBC, j->key.n), NULL, bytes(j->key), bytes(j->iv),
	           j->encrypt) == 1 &&
	    run_cipher(c, j->data, out);
}

/* --- CTR --- */

static u128
load_counter(str iv)
{
	u128 ret = 0;

	for (size_t i = 0; i < 16; i++)
		ret = ret << 8 | (uint8_t)iv.p[i];
	return ret;
}

static bool
ctr_part(EVP_CIPHER_CTX *c, const struct job *j, u128 counter, str data, struct key_out *out)
{
	uint8_t iv[16];

	for (size_t i = 16; i > 0; i--) {
		iv[i - 1] = (uint8_t)counter;
		counter >>= 8;
	}
	return EVP_CipherInit_ex(c, cipher_of(CTR, j->key.n), NULL, bytes(j->key), iv, 1) == 1 &&
	    run_cipher(c, data, out);
}

/* Only the last `bits` bits count, so the data may have to be cut where they are all ones. */
static bool
run_ctr(EVP_CIPHER_CTX *c, const struct job *j, struct key_out *out)
{
	u128   counter = load_counter(j->iv), mask = j->bits == 128 ? 0 : (u128)1 << j->bits;
	u128   left = mask - (counter & (mask - 1)); /* blocks before it is all zeroes again */
	size_t blocks = (j->data.n + 15) / 16;

	if (mask == 0 || blocks <= left)
		return ctr_part(c, j, counter, j->data, out);
	return blocks <= mask &&
	    ctr_part(c, j, counter, str_head(j->data, (size_t)left * 16), out) &&
	    ctr_part(c, j, counter & ~(mask - 1), str_from(j->data, (size_t)left * 16), out);
}

/* --- GCM --- */

static bool
gcm_start(EVP_CIPHER_CTX *c, const struct job *j)
{
	int n;

	return j->iv.n > 0 && j->iv.n <= INT32_MAX &&
	    EVP_CipherInit_ex(c, cipher_of(GCM, j->key.n), NULL, NULL, NULL, j->encrypt) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)j->iv.n, NULL) == 1 &&
	    EVP_CipherInit_ex(c, NULL, NULL, bytes(j->key), bytes(j->iv), j->encrypt) == 1 &&
	    (!j->aad.n || EVP_CipherUpdate(c, NULL, &n, bytes(j->aad), (int)j->aad.n) == 1);
}

static bool
run_gcm(EVP_CIPHER_CTX *c, const struct job *j, struct key_out *out)
{
	int     tag_bytes = j->bits / 8;
	uint8_t tag[16];
	str     data = j->data;

	if (!gcm_start(c, j))
		return false;
	if (j->encrypt) {
		if (!run_cipher(c, data, out) ||
		    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag) != 1)
			return false;
		memcpy(out->p + out->n, tag, (size_t)tag_bytes);
		out->n += (size_t)tag_bytes;
		return true;
	}
	if (data.n < (size_t)tag_bytes)
		return false;
	data.n -= (size_t)tag_bytes;
	memcpy(tag, data.p + data.n, (size_t)tag_bytes);
	return EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag) == 1 &&
	    run_cipher(c, data, out);
}

static bool
job_fits(const struct job *j)
{
	if ((j->key.n != 16 && j->key.n != 24 && j->key.n != 32) || j->data.n > INT32_MAX - 16 ||
	    j->aad.n > INT32_MAX)
		return false;
	switch (j->mode) {
	case CBC:
		return j->iv.n == 16;
	case CTR:
		return j->iv.n == 16 && j->bits >= 1 && j->bits <= 128;
	case GCM:
		return j->bits > 0 && j->bits <= 128 && j->bits % 8 == 0;
	}
	return false;
}

/* aes(mode, encrypt, key, iv, data, aad, bits, out) */
CRYPTO_NATIVE(native_aes)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct job         j = { 0 };
	struct key_out     out;
	EVP_CIPHER_CTX    *c;
	bool               ok;

	(void)this_val, (void)magic;
	j.mode = (enum mode)crypto_int(&a);
	j.encrypt = crypto_int(&a) != 0;
	j.key = crypto_bytes(&a);
	j.iv = crypto_bytes(&a);
	j.data = crypto_bytes(&a);
	j.aad = crypto_bytes(&a);
	j.bits = crypto_int(&a);
	out = crypto_out(&a);
	crypto_check(&a, job_fits(&j) && out.max >= j.data.n + 16);
	if (a.bad)
		return JS_EXCEPTION;
	c = EVP_CIPHER_CTX_new();
	must(c != NULL);
	ok = j.mode == CBC ? run_cbc(c, &j, &out) : j.mode == CTR ? run_ctr(c, &j, &out) :
	    run_gcm(c, &j, &out);
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		OPENSSL_cleanse(out.p, out.max); /* what was decrypted before the tag was checked */
	return crypto_result(&a, ok, &out);
}
