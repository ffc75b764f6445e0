/* natives_int.h - the C functions behind the prelude (js/prelude/host.js).
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_NATIVES_INT_H
#define ISOLATE_NATIVES_INT_H

#include "isolate/ctx_int.h"

/* Bytes of a Uint8Array argument, valid until JavaScript runs again; false with an exception. */
bool js_bytes(JSContext *ctx, JSValueConst v, str *ret);

/* natives_text.c: encode, encodeInto, decode, incompleteTail, find */
extern const struct method natives_text[];
extern const size_t        natives_text_count;
/* natives_encoding.c: legacyTail, legacyDecode */
extern const struct method natives_encoding[];
extern const size_t        natives_encoding_count;
/* natives_domain.c: domainToAscii */
extern const struct method natives_domain[];
extern const size_t        natives_domain_count;
/* natives_crypto.c: crypto.subtle (crypto_int.h) */
extern const struct method natives_crypto[];
extern const size_t        natives_crypto_count;
/* intl.c: the member "intl" (intl_int.h); false with an exception. */
bool natives_intl_install(JSContext *ctx, JSValueConst host);

/* async.c: op and its like */
extern const struct method natives_async[];
extern const size_t        natives_async_count;

/* wasm.c: the stand-in for WebAssembly */
JSValue wasm_provide(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic);

#endif
