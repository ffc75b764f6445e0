/* kdf.c - PBKDF2 (RFC 8018 section 5.2) and HKDF (RFC 5869), with HMAC.
 *
 * OpenSSL's own cannot be interrupted, and the caller chooses the number of iterations: a run that
 * asks for four thousand million must end when its time is up.  An iteration here is two
 * compressions, from copies of the states behind the key's pads.
 *
 * Thread: any.  Memory: none.
 */
#define OPENSSL_API_COMPAT 0x10100000L /* the hashes' plain states, which copy cheaply */

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/must.h"
#include "isolate/crypto_int.h"

#define ITERATIONS_BETWEEN 2048 /* questions whether to stop */
#define BLOCK_MAX          SHA512_CBLOCK

struct state {
	enum kdf_hash hash;
	union {
		SHA_CTX    sha1;
		SHA256_CTX sha256;
		SHA512_CTX sha512; /* SHA-384 as well */
	};
};

static const struct {
	size_t digest, block;
} sizes[] = { { 20, 64 }, { 32, 64 }, { 48, 128 }, { 64, 128 } };

static void
state_init(struct state *s, enum kdf_hash hash)
{
	s->hash = hash;
	switch (hash) {
	case KDF_SHA1:
		SHA1_Init(&s->sha1);
		break;
	case KDF_SHA256:
		SHA256_Init(&s->sha256);
		break;
	case KDF_SHA384:
		SHA384_Init(&s->sha512);
		break;
	case KDF_SHA512:
		SHA512_Init(&s->sha512);
		break;
	}
}

static void
state_add(struct state *s, const void *p, size_t n)
{
	switch (s->hash) {
	case KDF_SHA1:
		SHA1_Update(&s->sha1, p, n);
		break;
	case KDF_SHA256:
		SHA256_Update(&s->sha256, p, n);
		break;
	case KDF_SHA384:
	case KDF_SHA512:
		SHA512_Update(&s->sha512, p, n);
		break;
	}
}

static void
state_end(struct state *s, uint8_t *ret)
{
	switch (s->hash) {
	case KDF_SHA1:
		SHA1_Final(ret, &s->sha1);
		break;
	case KDF_SHA256:
		SHA256_Final(ret, &s->sha256);
		break;
	case KDF_SHA384:
		SHA384_Final(ret, &s->sha512);
		break;
	case KDF_SHA512:
		SHA512_Final(ret, &s->sha512);
		break;
	}
}

/* HMAC with a fixed key: the states behind its pads. */
struct prf {
	struct state inner, outer;
	size_t       digest;
};

static void
prf_init(struct prf *p, enum kdf_hash hash, str key)
{
	size_t  block = sizes[hash].block;
	uint8_t pad[BLOCK_MAX] = { 0 };

	p->digest = sizes[hash].digest;
	if (key.n > block) {
		state_init(&p->inner, hash);
		state_add(&p->inner, key.p, key.n);
		state_end(&p->inner, pad);
	} else if (key.n) {
		memcpy(pad, key.p, key.n);
	}
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36;
	state_init(&p->inner, hash);
	state_add(&p->inner, pad, block);
	for (size_t i = 0; i < block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	state_init(&p->outer, hash);
	state_add(&p->outer, pad, block);
	OPENSSL_cleanse(pad, sizeof pad);
}

static void
prf_end(const struct prf *p, struct state *inner, uint8_t ret[SHA512_DIGEST_LENGTH])
{
	struct state outer = p->outer;

	state_end(inner, ret);
	state_add(&outer, ret, p->digest);
	state_end(&outer, ret);
}

/* Block number `i` of the result. */
static bool
derive_block(const struct prf *p, str salt, uint32_t i, uint32_t iterations, uint8_t *sum,
    bool (*stop)(void *arg), void *arg)
{
	const uint8_t number[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
		(uint8_t)i };
	struct state  inner = p->inner;
	uint8_t       u[SHA512_DIGEST_LENGTH];

	state_add(&inner, salt.p, salt.n);
	state_add(&inner, number, sizeof number);
	prf_end(p, &inner, u);
	memcpy(sum, u, p->digest);
	for (uint32_t k = 1; k < iterations; k++) {
		if (k % ITERATIONS_BETWEEN == 0 && stop(arg))
			return false;
		inner = p->inner;
		state_add(&inner, u, p->digest);
		prf_end(p, &inner, u);
		for (size_t j = 0; j < p->digest; j++)
			sum[j] ^= u[j];
	}
	return !stop(arg);
}

bool
pbkdf2(enum kdf_hash hash, str password, str salt, uint32_t iterations, uint8_t *out, size_t n,
    bool (*stop)(void *arg), void *arg)
{
	struct prf p;
	uint8_t    sum[SHA512_DIGEST_LENGTH];
	bool       ok = true;

	prf_init(&p, hash, password);
	for (uint32_t i = 1; ok && n > 0; i++) {
		size_t take = n < p.digest ? n : p.digest;

		ok = derive_block(&p, salt, i, iterations, sum, stop, arg);
		memcpy(out, sum, take);
		out += take;
		n -= take;
	}
	OPENSSL_cleanse(&p, sizeof p);
	OPENSSL_cleanse(sum, sizeof sum);
	return ok;
}

bool
hkdf(enum kdf_hash hash, str key, str salt, str info, uint8_t *out, size_t n,
    bool (*stop)(void *arg), void *arg)
{
	struct prf   p;
	struct state inner;
	uint8_t      t[SHA512_DIGEST_LENGTH];
	bool         ok = true;

	prf_init(&p, hash, salt);
	inner = p.inner;
	state_add(&inner, key.p, key.n);
	prf_end(&p, &inner, t);
	prf_init(&p, hash, str_of(t, p.digest));
	for (uint8_t i = 1; ok && n > 0; i++) {
		size_t take = n < p.digest ? n : p.digest;

		inner = p.inner;
		if (i > 1)
			state_add(&inner, t, p.digest);
		state_add(&inner, info.p, info.n);
		state_add(&inner, &i, 1);
		prf_end(&p, &inner, t);
		memcpy(out, t, take);
		out += take;
		n -= take;
		ok = !stop(arg);
	}
	OPENSSL_cleanse(&p, sizeof p);
	OPENSSL_cleanse(t, sizeof t);
	return ok;
}
