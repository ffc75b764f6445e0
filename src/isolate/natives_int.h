/* natives_int.h - the C functions behind the prelude (js/prelude/host.js).
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_NATIVES_INT_H
#define ISOLATE_NATIVES_INT_H

#include "isolate/ctx_int.h"

/* Bytes of a Uint8Array argument, valid until JavaScript runs again; false with an exception. */
bool js_bytes(JSContext *ctx, JSValueConst v, str *ret);

/* natives_text.c: encode, encodeInto, decode, incompleteTail */
extern const struct method natives_text[];
extern const size_t        natives_text_count;
/* natives_crypto.c: digest, hmac */
extern const struct method natives_crypto[];
extern const size_t        natives_crypto_count;

#endif
