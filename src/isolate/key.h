/* key.h - key material of crypto.subtle: its packed form, DER and OpenSSL (spec 04 section 3.4).
 *
 * JavaScript holds a key as bytes, so that heap images restore it like any other value: fields
 * one behind the other, each with its length in two bytes, big endian.
 *
 *   RSA       n, e; private ones also d, p, q, dp, dq, qi
 *   EC        point (04 x y); private ones also d, as long as x
 *   OKP       public key; private ones also the seed
 *
 * OpenSSL objects live for one call: making one of these fields takes a few microseconds, parsing
 * DER with OpenSSL ten times that.
 *
 * Thread: any.  Memory: a struct key borrows the bytes it was read from.
 */
#ifndef ISOLATE_KEY_H
#define ISOLATE_KEY_H

#include <openssl/evp.h>

#include "base/str.h"

#define KEY_FIELDS    8
#define KEY_FIELD_MAX ((size_t)1024)        /* 8192 bits */
#define KEY_BYTES_MAX ((size_t)8 * 1024)    /* packed or DER */

/* The numbers are the prelude's (js/prelude/crypto_key.js). */
enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_X25519, KEY_KINDS };

struct key {
	enum key_kind kind;
	bool          is_private;
	str           f[KEY_FIELDS];
	size_t        n;
};

/* A fixed piece of memory that is written from its front. */
struct key_out {
	uint8_t *p;
	size_t   n, max;
	bool     overflow;
};

size_t key_coordinate(enum key_kind kind); /* bytes of x; 0: not an elliptic curve */
bool   key_unpack(str packed, enum key_kind kind, bool is_private, struct key *ret);
void   key_pack(const struct key *k, struct key_out *out);

/* --- key_der.c --- */

/* SubjectPublicKeyInfo (RFC 5280) and PrivateKeyInfo (RFC 5208, 5958); false: not DER of such a
 * key.  `point` of a private EC key may be missing: then f[0].n == 0. */
bool key_from_der(str der, enum key_kind kind, bool is_private, struct key *ret);
void key_to_der(const struct key *k, struct key_out *out);

/* --- key.c --- */

/* The numbers make a key: RSA moduli of 512 to 8192 bits, points on the curve, private parts that
 * belong to the public ones.  Points may come compressed or be missing in private keys; the whole
 * key, packed, goes to `out`.  Leaves no error in OpenSSL's queue. */
bool key_complete(const struct key *k, struct key_out *out);
/* NULL: it is none that key_complete() made. */
EVP_PKEY *key_open(const struct key *k);
/* `stop` is asked now and then while primes are sought: true ends the search, and the result is
 * false.  `bits` and `e` for RSA only. */
bool key_generate(enum key_kind kind, unsigned bits, uint64_t e, bool (*stop)(void *arg), void *arg,
    struct key_out *out);

#endif
