/* hash.c - digests (OpenSSL), SipHash-1-3 and CRC-32C.
 *
 * Thread: any; the siphash key is written once, before threads start.
 * Memory: OpenSSL's contexts only.
 */
#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "base/must.h"

/* --- SipHash-1-3 --- */

static uint64_t key0, key1;

void
hash_seed(uint64_t k0, uint64_t k1)
{
	key0 = k0;
	key1 = k1;
}

static inline uint64_t
rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

uint64_t
hash_keyed(uint64_t k0, uint64_t k1, str s)
{
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
	uint64_t last = (uint64_t)s.n << 56;
	uint64_t m;
	size_t   i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t j = 0; i + j < s.n; j++)
		last |= (uint64_t)(uint8_t)s.p[i + j] << (8 * j);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int round = 0; round < 3; round++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
hash_bytes(str s)
{
	return hash_keyed(key0, key1, s);
}

/* --- digests: OpenSSL refuses only when memory is gone or the algorithm is missing --- */

void
sha1(str s, uint8_t ret[20])
{
	must(EVP_Digest(s.p, s.n, ret, NULL, EVP_sha1(), NULL) == 1);
}

void
sha256(str s, uint8_t ret[32])
{
	must(EVP_Digest(s.p, s.n, ret, NULL, EVP_sha256(), NULL) == 1);
}

void
hmac_sha256(str key, str s, uint8_t ret[32])
{
	must(key.n <= INT32_MAX);
	must(HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, (const uint8_t *)s.p, s.n, ret,
		 NULL));
}

struct sha256 {
	EVP_MD_CTX *ctx;
};

struct sha256 *
sha256_new(void)
{
	struct sha256 *h = MEM_NEW(struct sha256);

	h->ctx = EVP_MD_CTX_new();
	must(h->ctx);
	must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1);
	return h;
}

void
sha256_add(struct sha256 *h, str s)
{
	must(EVP_DigestUpdate(h->ctx, s.p, s.n) == 1);
}

void
sha256_end_free(struct sha256 *h, uint8_t ret[32])
{
	must(EVP_DigestFinal_ex(h->ctx, ret, NULL) == 1);
	EVP_MD_CTX_free(h->ctx);
	mem_free(h);
}

/* --- CRC-32C, reflected polynomial 82F63B78 --- */

static uint32_t
crc_soft(uint32_t c, const uint8_t *p, size_t n)
{
	/* One nibble at a time: the table is readable and the path is for machines
	 * without the instruction only. */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		c = c >> 4 ^ table[c & 15];
		c = c >> 4 ^ table[c & 15];
	}
	return c;
}

#ifdef __x86_64__
static __attribute__((target("sse4.2"))) uint32_t
crc_hard(uint32_t c, const uint8_t *p, size_t n)
{
	uint64_t wide = c;
	uint64_t m;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&m, p, 8);
		wide = __builtin_ia32_crc32di(wide, m);
	}
	c = (uint32_t)wide;
	for (; n; p++, n--)
		c = __builtin_ia32_crc32qi(c, *p);
	return c;
}
#endif

uint32_t
crc32c(uint32_t crc, str s)
{
	const uint8_t *p = (const uint8_t *)s.p;

#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_hard(~crc, p, s.n);
#endif
	return ~crc_soft(~crc, p, s.n);
}
