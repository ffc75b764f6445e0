/* crypto_int.h - what the natives of crypto.subtle share (spec 04 section 3.4).
 *
 * The prelude has checked names, usages and ranges; what arrives here are small numbers and
 * Uint8Arrays.  The prelude may run in another process, though (remote_native.c), so whatever
 * could do harm is checked again: such arguments throw.  Results go into a Uint8Array that the
 * prelude has made, so that no function here allocates in the engine's heap: nothing can jump out
 * of it while OpenSSL's objects exist.  They return how many bytes they wrote, or FAILED, which
 * the prelude turns into the exception that fits.
 *
 * Thread: the isolate's.  Memory: OpenSSL's, for one call.
 */
#ifndef ISOLATE_CRYPTO_INT_H
#define ISOLATE_CRYPTO_INT_H

#include <openssl/err.h>
#include <openssl/evp.h>

#include "isolate/key.h"
#include "isolate/natives_int.h"

#define CRYPTO_FAILED  (-1)
#define CRYPTO_OVERDUE (-2) /* the run has used up its time */

/* The arguments of a call, read from the front. */
struct crypto_args {
	JSContext    *ctx;
	JSValueConst *v;
	int           n, at;
	bool          bad; /* an exception is pending */
};

int  crypto_int(struct crypto_args *a);
str  crypto_bytes(struct crypto_args *a);
struct key_out crypto_out(struct crypto_args *a);
/* A hash by its number: 0 SHA-1, 1 SHA-256, 2 SHA-384, 3 SHA-512. */
const EVP_MD *crypto_hash(struct crypto_args *a);
/* One of enum key_kind. */
enum key_kind crypto_kind(struct crypto_args *a);
/* kind, whether it is private, packed bytes. */
struct key crypto_key(struct crypto_args *a);

static inline struct crypto_args
crypto_args(JSContext *ctx, int argc, JSValueConst *argv)
{
	return (struct crypto_args){ .ctx = ctx, .v = argv, .n = argc };
}

/* An exception is pending, unless the arguments are fine. */
void crypto_check(struct crypto_args *a, bool fine);
/* The result: what went to `out`, unless `ok` is false.  Empties OpenSSL's queue of errors. */
JSValue crypto_result(const struct crypto_args *a, bool ok, const struct key_out *out);
bool    crypto_is_over(void *engine); /* for long computations: the run has to end */

/* --- kdf.c --- */

/* Each fills `out`; false: stop() said so, which it is asked now and then. */
enum kdf_hash { KDF_SHA1, KDF_SHA256, KDF_SHA384, KDF_SHA512 };
bool pbkdf2(enum kdf_hash hash, str password, str salt, uint32_t iterations, uint8_t *out,
    size_t n, bool (*stop)(void *arg), void *arg);
/* At most 255 digests. */
bool hkdf(enum kdf_hash hash, str key, str salt, str info, uint8_t *out, size_t n,
    bool (*stop)(void *arg), void *arg);

/* --- natives_cipher.c, natives_key.c: members of natives_crypto.c's table --- */

#define CRYPTO_NATIVE(name)                                                   \
	JSValue name(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)

CRYPTO_NATIVE(native_aes);
CRYPTO_NATIVE(native_key_parse);
CRYPTO_NATIVE(native_key_write);
CRYPTO_NATIVE(native_key_complete);
CRYPTO_NATIVE(native_key_generate);
CRYPTO_NATIVE(native_key_sign);
CRYPTO_NATIVE(native_key_verify);
CRYPTO_NATIVE(native_key_oaep);
CRYPTO_NATIVE(native_key_agree);

#endif
