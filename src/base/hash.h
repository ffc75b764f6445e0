/* hash.h - digests and table hashes.
 *
 * SHA-1, SHA-256 and HMAC are OpenSSL's; siphash is SipHash-1-3 (Aumasson and Bernstein,
 * 2012) with a per-process key that hash_seed() sets: from the operating system for real,
 * from the seed in simulation.
 *
 * Thread: any, after hash_seed().
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

void     hash_seed(uint64_t k0, uint64_t k1);
uint64_t hash_bytes(str s);
/* The same with a key of the caller's: for hashes that outlive the process. */
uint64_t hash_keyed(uint64_t k0, uint64_t k1, str s);

void sha1(str s, uint8_t ret[20]);
void sha256(str s, uint8_t ret[32]);
void hmac_sha256(str key, str s, uint8_t ret[32]);

struct sha256; /* streaming */
struct sha256 *sha256_new(void);
void           sha256_add(struct sha256 *h, str s);
void           sha256_end_free(struct sha256 *h, uint8_t ret[32]); /* frees h */

/* CRC-32C (Castagnoli), for checksums of what we write to disk. */
uint32_t crc32c(uint32_t crc, str s);

#endif
