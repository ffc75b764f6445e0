/* natives_crypto.c - digests and HMAC for crypto.subtle.
 *
 * Thread: the isolate's.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "isolate/natives_int.h"

/* "SHA-256" to OpenSSL's description; NULL with an exception. */
static const EVP_MD *
digest_named(JSContext *ctx, JSValueConst v)
{
	const char   *name = JS_ToCString(ctx, v);
	const EVP_MD *md = NULL;

	if (!name)
		return NULL;
	if (strcmp(name, "SHA-1") == 0)
		md = EVP_sha1();
	else if (strcmp(name, "SHA-256") == 0)
		md = EVP_sha256();
	else if (strcmp(name, "SHA-384") == 0)
		md = EVP_sha384();
	else if (strcmp(name, "SHA-512") == 0)
		md = EVP_sha512();
	else
		js_throw_text(ctx, JSE_ERROR, S("Unrecognized algorithm name"));
	JS_FreeCString(ctx, name);
	return md;
}

static JSValue
native_digest(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const EVP_MD *md = digest_named(ctx, js_arg(argc, argv, 0));
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned int  n;
	str           data;

	(void)this_val, (void)magic;
	if (!md || !js_bytes(ctx, js_arg(argc, argv, 1), &data))
		return JS_EXCEPTION;
	must(EVP_Digest(data.p, data.n, out, &n, md, NULL) == 1);
	return JS_NewArrayBufferCopy(ctx, out, n);
}

static JSValue
native_hmac(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	const EVP_MD *md = digest_named(ctx, js_arg(argc, argv, 0));
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned int  n;
	str           key, data;

	(void)this_val, (void)magic;
	if (!md || !js_bytes(ctx, js_arg(argc, argv, 1), &key) ||
	    !js_bytes(ctx, js_arg(argc, argv, 2), &data))
		return JS_EXCEPTION;
	must(HMAC(md, key.p, (int)key.n, (const unsigned char *)data.p, data.n, out, &n));
	return JS_NewArrayBufferCopy(ctx, out, n);
}

const struct method natives_crypto[] = {
	{ "digest", 2, native_digest, 0 },
	{ "hmac", 3, native_hmac, 0 },
};
const size_t natives_crypto_count = COUNT_OF(natives_crypto);
