/* sign_jwt.h - JWTs that the server signs: ctx.auth.signJwt() (spec 05 section 5.6).
 *
 * ES256 with a P-256 key that follows from the instance secret: nothing is stored, and a server
 * that is set up again with the same secret verifies the tokens of the one before.
 *
 * Thread: any; immutable.
 */
#ifndef AUTH_SIGN_JWT_H
#define AUTH_SIGN_JWT_H

#include "base/buf.h"

struct jwt_signer;

struct jwt_signer *jwt_signer_new(const uint8_t secret[32]);
void               jwt_signer_free(struct jwt_signer *s); /* NULL is fine */

/* Appends header.payload.signature; `payload` is JSON. */
void jwt_sign(const struct jwt_signer *s, str payload, struct buf *out);
/* Appends {"keys":[...]}: the public key as a JSON Web Key Set (RFC 7517). */
void jwt_signer_jwks(const struct jwt_signer *s, struct buf *out);

#endif
