/* natives_crypto.c - digests, HMAC, key derivation and system randomness for crypto.subtle, and
 * what all natives of it share (crypto_int.h).
 *
 * Thread: the isolate's.  Memory: results go to Uint8Arrays of the prelude's.
 */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/enc.h"
#include "isolate/crypto_int.h"
#include "isolate/engine_int.h"

/* --- arguments and results --- */

static JSValueConst
next(struct crypto_args *a)
{
	return js_arg(a->n, a->v, a->at++);
}

int
crypto_int(struct crypto_args *a)
{
	int32_t n = 0;

	if (!a->bad && JS_ToInt32(a->ctx, &n, next(a)) < 0)
		a->bad = true;
	return n;
}

str
crypto_bytes(struct crypto_args *a)
{
	str ret = STR_EMPTY;

	if (!a->bad && !js_bytes(a->ctx, next(a), &ret))
		a->bad = true;
	return ret;
}

struct key_out
crypto_out(struct crypto_args *a)
{
	struct key_out ret = { 0 };

	if (!a->bad) {
		ret.p = JS_GetUint8Array(a->ctx, &ret.max, next(a));
		a->bad = !ret.p && JS_HasException(a->ctx);
	}
	return ret;
}

const EVP_MD *
crypto_hash(struct crypto_args *a)
{
	switch (crypto_int(a)) {
	case 0:
		return EVP_sha1();
	case 1:
		return EVP_sha256();
	case 2:
		return EVP_sha384();
	default:
		return EVP_sha512();
	}
}

void
crypto_check(struct crypto_args *a, bool fine)
{
	if (fine || a->bad)
		return;
	js_throw_text(a->ctx, JSE_TYPE, S("the prelude's arguments do not fit"));
	a->bad = true;
}

enum key_kind
crypto_kind(struct crypto_args *a)
{
	int  kind = crypto_int(a);
	bool fine = kind >= 0 && kind < KEY_KINDS;

	crypto_check(a, fine);
	return fine ? (enum key_kind)kind : KEY_RSA;
}

struct key
crypto_key(struct crypto_args *a)
{
	enum key_kind kind = crypto_kind(a);
	bool          is_private = crypto_int(a) != 0;
	str           packed = crypto_bytes(a);
	struct key    ret = { 0 };

	if (!a->bad)
		crypto_check(a, key_unpack(packed, kind, is_private, &ret));
	return ret;
}

/* Room for a digest. */
static void
check_room(struct crypto_args *a, const EVP_MD *md, const struct key_out *out)
{
	crypto_check(a, out->max >= (size_t)EVP_MD_get_size(md));
}

static enum kdf_hash
kdf_hash(struct crypto_args *a)
{
	int  hash = crypto_int(a);
	bool fine = hash >= 0 && hash <= KDF_SHA512;

	crypto_check(a, fine);
	return fine ? (enum kdf_hash)hash : KDF_SHA1;
}

JSValue
crypto_result(const struct crypto_args *a, bool ok, const struct key_out *out)
{
	if (a->bad)
		return JS_EXCEPTION;
	if (!ok || out->overflow) {
		ERR_clear_error();
		return JS_NewInt32(a->ctx, CRYPTO_FAILED);
	}
	return JS_NewInt64(a->ctx, (int64_t)out->n);
}

/* --- digests --- */

/* digest(hash, data, out) */
static CRYPTO_NATIVE(native_digest)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	const EVP_MD      *md = crypto_hash(&a);
	str                data = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	unsigned int       n = 0;

	(void)this_val, (void)magic;
	check_room(&a, md, &out);
	if (!a.bad) {
		must(EVP_Digest(data.p, data.n, out.p, &n, md, NULL) == 1);
		out.n = n;
	}
	return crypto_result(&a, true, &out);
}

/* hmac(hash, key, data, out) */
static CRYPTO_NATIVE(native_hmac)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	const EVP_MD      *md = crypto_hash(&a);
	str                key = crypto_bytes(&a), data = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	unsigned int       n = 0;

	(void)this_val, (void)magic;
	check_room(&a, md, &out);
	if (!a.bad) {
		must(HMAC(md, key.p, (int)key.n, (const unsigned char *)data.p, data.n, out.p, &n));
		out.n = n;
	}
	return crypto_result(&a, true, &out);
}

/* sameBytes(a, b), in a time that says nothing about where they differ */
static CRYPTO_NATIVE(native_same_bytes)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	str                x = crypto_bytes(&a), y = crypto_bytes(&a);

	(void)this_val, (void)magic;
	if (a.bad)
		return JS_EXCEPTION;
	return JS_NewBool(ctx, x.n == y.n && CRYPTO_memcmp(x.p, y.p, x.n) == 0);
}

/* --- derivation --- */

bool
crypto_is_over(void *en)
{
	return run_must_end(en);
}

/* pbkdf2(hash, password, salt, iterations, out) */
static CRYPTO_NATIVE(native_pbkdf2)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	enum kdf_hash      hash = kdf_hash(&a);
	str                password = crypto_bytes(&a), salt = crypto_bytes(&a);
	uint32_t           iterations = (uint32_t)crypto_int(&a);
	struct key_out     out = crypto_out(&a);

	(void)this_val, (void)magic;
	if (!a.bad && !pbkdf2(hash, password, salt, iterations, out.p, out.max, crypto_is_over,
	    engine_of(ctx)))
		return JS_NewInt32(ctx, CRYPTO_OVERDUE);
	out.n = out.max;
	return crypto_result(&a, true, &out);
}

/* hkdf(hash, key, salt, info, out) */
static CRYPTO_NATIVE(native_hkdf)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	enum kdf_hash      hash = kdf_hash(&a);
	str                key = crypto_bytes(&a), salt = crypto_bytes(&a), info = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);

	(void)this_val, (void)magic;
	if (!a.bad && !hkdf(hash, key, salt, info, out.p, out.max, crypto_is_over, engine_of(ctx)))
		return JS_NewInt32(ctx, CRYPTO_OVERDUE);
	out.n = out.max;
	return crypto_result(&a, true, &out);
}

/* --- system randomness --- */

/* Section 1.10: actions may, also while they are imported. */
static bool
randomness_allowed(const struct engine *en)
{
	const struct run_request *req = en->run ? en->run->req : NULL;

	return en->env == ENV_UDF && req &&
	    (req->kind == UDF_ACTION || req->kind == UDF_HTTP_ACTION);
}

/* systemRandomness(): whether this run may use it.  An import that asks is no image's: the answer
 * depends on the kind of run, and what is drawn must not be the same in each of them. */
static CRYPTO_NATIVE(native_system_randomness)
{
	struct engine *en = engine_of(ctx);

	(void)this_val, (void)argc, (void)argv, (void)magic;
	if (en->phase == PHASE_IMPORT)
		engine_taint(en);
	return JS_NewBool(ctx, randomness_allowed(en));
}

/* systemRandom(out) */
static CRYPTO_NATIVE(native_system_random)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	struct key_out     out = crypto_out(&a);
	uint8_t            bytes[256]; /* not straight into the heap: its pages may be protected */

	(void)this_val, (void)magic;
	while (out.n < out.max) {
		size_t take = out.max - out.n < sizeof bytes ? out.max - out.n : sizeof bytes;

		must(RAND_priv_bytes(bytes, (int)take) == 1);
		memcpy(out.p + out.n, bytes, take);
		out.n += take;
	}
	OPENSSL_cleanse(bytes, sizeof bytes);
	return crypto_result(&a, true, &out);
}

/* --- base64url, for JSON Web Keys --- */

static JSValue
write_out(const struct crypto_args *a, struct key_out *out, struct buf *b, bool ok)
{
	ok = ok && b->n <= out->max;
	if (ok && b->n)
		memcpy(out->p, b->p, b->n);
	out->n = b->n;
	buf_clear(b);
	return crypto_result(a, ok, out);
}

/* toBase64url(bytes, out): ASCII */
static CRYPTO_NATIVE(native_to_base64url)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	str                in = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	struct buf         b;

	(void)this_val, (void)magic;
	buf_init(&b, BUF_MAX_DEFAULT);
	enc_base64url(&b, in);
	return write_out(&a, &out, &b, true);
}

/* fromBase64url(ASCII, out): strict */
static CRYPTO_NATIVE(native_from_base64url)
{
	struct crypto_args a = crypto_args(ctx, argc, argv);
	str                in = crypto_bytes(&a);
	struct key_out     out = crypto_out(&a);
	struct buf         b;
	bool               ok;

	(void)this_val, (void)magic;
	buf_init(&b, BUF_MAX_DEFAULT);
	ok = dec_base64url(&b, in);
	return write_out(&a, &out, &b, ok);
}

const struct method natives_crypto[] = {
	{ "digest", 3, native_digest, 0 },
	{ "hmac", 4, native_hmac, 0 },
	{ "sameBytes", 2, native_same_bytes, 0 },
	{ "pbkdf2", 5, native_pbkdf2, 0 },
	{ "hkdf", 5, native_hkdf, 0 },
	{ "systemRandomness", 0, native_system_randomness, 0 },
	{ "systemRandom", 1, native_system_random, 0 },
	{ "toBase64url", 2, native_to_base64url, 0 },
	{ "fromBase64url", 2, native_from_base64url, 0 },
	{ "aes", 8, native_aes, 0 },
	{ "keyParse", 4, native_key_parse, 0 },
	{ "keyWrite", 4, native_key_write, 0 },
	{ "keyComplete", 4, native_key_complete, 0 },
	{ "keyGenerate", 4, native_key_generate, 0 },
	{ "keySign", 8, native_key_sign, 0 },
	{ "keyVerify", 8, native_key_verify, 0 },
	{ "keyOaep", 8, native_key_oaep, 0 },
	{ "keyAgree", 7, native_key_agree, 0 },
};
const size_t natives_crypto_count = COUNT_OF(natives_crypto);
