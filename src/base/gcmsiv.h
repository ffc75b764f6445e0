/* gcmsiv.h - AES-128-GCM-SIV (RFC 8452), which OpenSSL 3.0 lacks.
 *
 * Admin keys, cursors and journals are sealed with it (spec 05 section 6): misuse resistant,
 * so that cursors may use a constant nonce.
 *
 * Thread: any.
 */
#ifndef BASE_GCMSIV_H
#define BASE_GCMSIV_H

#include "base/buf.h"
#include "base/must.h"

#define GCMSIV_TAG   16
#define GCMSIV_NONCE 12

/* Appends ciphertext and tag. */
void gcmsiv_seal(const uint8_t key[16], const uint8_t nonce[GCMSIV_NONCE], str aad, str plain,
    struct buf *out);
/* Appends the plaintext; false (nothing appended) if the tag does not fit. */
NODISCARD bool gcmsiv_open(const uint8_t key[16], const uint8_t nonce[GCMSIV_NONCE], str aad,
    str sealed, struct buf *out);

/* KBKDF in counter mode, one block: first 16 bytes of
 * HMAC-SHA256(secret, 00 00 00 01 || label)  (spec 02 section 15.2). */
void kbkdf16(const uint8_t secret[32], str label, uint8_t ret[16]);

#endif
