/* crypto_test.c - crypto.subtle (spec 04 section 3.4): beside Node's, on published vectors, under
 * packages that use it, and where it is not allowed (js/test/crypto*.js). */
#include "webapi.h"

#include "isolate/engine_int.h"
#include "isolate/natives_int.h"

/* Runs each function of a bundle as this kind; all failures are shown before the test fails. */
static void
check_bundle(const char *bundle, enum udf_kind kind, const char *const *functions)
{
	struct world w;
	bool         good = true;

	world_open(&w);
	push_bundle(&w, bundle);
	for (; *functions; functions++) {
		world_run(&w, kind, "m.js", *functions, "[{}]");
		if (str_eq(world_outcome(&w), S("[]")))
			continue;
		print_error("%s: %.*s\n", *functions, STR_ARG(world_outcome(&w)));
		good = false;
	}
	world_close(&w);
	assert_true(good);
}

/* About thirteen hundred operations come out as in Node, but for where Node is not the standard. */
TEST(as_in_node)
{
	check_bundle(JS_BUILD_DIR "/test-crypto.js", UDF_QUERY,
	    (const char *const[]){ "plain0", "plain1", "plain2", "plain3", NULL });
	check_bundle(JS_BUILD_DIR "/test-crypto.js", UDF_ACTION,
	    (const char *const[]){ "random", NULL });
}

TEST(published_vectors)
{
	check_bundle(JS_BUILD_DIR "/test-crypto-vectors.js", UDF_QUERY,
	    (const char *const[]){ "derivation", "encryption", "signatures", NULL });
}

TEST(packages_that_sign_and_encrypt)
{
	check_bundle(JS_BUILD_DIR "/test-crypto-libs.js", UDF_QUERY,
	    (const char *const[]){ "verifying", NULL });
	check_bundle(JS_BUILD_DIR "/test-crypto-libs.js", UDF_ACTION,
	    (const char *const[]){ "signing", NULL });
}

/* Runs `body` as a function of this kind. */
static str
eval(struct world *w, enum udf_kind kind, const char *top, const char *body)
{
	static const char *const names[] = { "query", "mutation", "action" };
	struct buf               b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, HELPERS "const bytes = new Uint8Array(32).fill(7), s = crypto.subtle;\n"
	            "const reg2 = (k) => k === 'action' ? Object.assign(() => 0, { isAction: true, "
	            "isPublic: true, invokeAction: async (id, args) => JSON.stringify(await "
	            "run() ?? "
	            "null), exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => "
	            "'null' }) : "
	            "(k === 'query' ? query : mutation)(() => run());\n"
	            "%s\nconst run = async () => { %s };\nexport const f = reg2('%s');\n",
	    top, body, names[kind]);
	buf_add_byte(&b, 0);
	world_push(w, "m.js", b.p);
	buf_clear(&b);
	world_run(w, kind, "m.js", "f", "[{}]");
	return world_outcome(w);
}

#define REFUSED                                                                  \
	"\"Error: Can't use cryptographic randomness in queries and mutations. Please " \
	"consider using an action. See https://docs.convex.dev/functions/actions for more " \
	"details.\""
#define TRY_TEXT(js) "try { await " js "; return 'done' } catch (e) { return String(e) }"

#define EC_KEY                                                                   \
	"{ kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: " \
	"'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0', d: " \
	"'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI' }"
#define SIGN_ES256                                                               \
	"s.sign({ name: 'ECDSA', hash: 'SHA-256' }, await s.importKey('jwk', " EC_KEY        \
	", { name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']), bytes)"

/* 04 checklist 29: digests, HMAC and verification in queries; what needs system randomness is
 * refused there with the words of section 1.10, catchably, and works in actions. */
TEST(randomness_is_for_actions)
{
	static const struct {
		const char   *what;
		enum udf_kind kind;
		const char   *js, *want;
	} rows[] = {
		{ "generateKey in a query", UDF_QUERY,
		    "s.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt'])", REFUSED },
		{ "generateKey of a pair in a mutation", UDF_MUTATION,
		    "s.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign'])",
		    REFUSED },
		{ "generateKey in an action", UDF_ACTION,
		    "s.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt'])",
		    "\"done\"" },
		{ "ECDSA signs in a mutation", UDF_MUTATION, SIGN_ES256, REFUSED },
		{ "ECDSA signs in an action", UDF_ACTION, SIGN_ES256, "\"done\"" },
		{ "the wrong usage is the first thing to be wrong", UDF_QUERY,
		    "s.generateKey('Ed25519', true, ['encrypt'])",
		    "\"SyntaxError: invalid key usages\"" },
		{ "AES encrypts in a query", UDF_QUERY,
		    "s.encrypt({ name: 'AES-GCM', iv: bytes }, await s.importKey('raw', bytes, "
		    "'AES-GCM', false, ['encrypt']), bytes)", "\"done\"" },
		{ "HMAC signs in a query", UDF_QUERY,
		    "s.sign('HMAC', await s.importKey('raw', bytes, { name: 'HMAC', hash: "
		    "'SHA-1' }, false, ['sign']), bytes)", "\"done\"" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[2048];

		snprintf(body, sizeof body, TRY_TEXT("%s"), rows[i].js);
		fprintf(stderr, "  %s\n", rows[i].what);
		CHECK_STRZ(eval(&w, rows[i].kind, "", body), rows[i].want);
	}
	world_close(&w);
}

/* Section 11.1: randomness that is drawn at import is new in each run; what needs none is the
 * same, and part of the image: keys are restored with it. */
TEST(keys_made_at_import)
{
	struct world w;
	char         first[64];

	world_open(&w);
	snprintf(first, sizeof first, "%.*s", STR_ARG(eval(&w, UDF_ACTION,
	    "const made = s.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']);",
	    "return (await s.exportKey('jwk', await made)).k")));
	CHECK(w.res.ok);
	world_run(&w, UDF_ACTION, "m.js", "f", "[{}]");
	CHECK(w.res.ok && !str_eq(world_outcome(&w), str_z(first)));
	CHECK_STRZ(eval(&w, UDF_QUERY,
		       "const made = s.generateKey({ name: 'AES-GCM', length: 128 }, true, "
		       "['encrypt']).catch(String);", "return await made"), REFUSED);
	CHECK_STRZ(eval(&w, UDF_ACTION,
		       "const made = s.generateKey({ name: 'AES-GCM', length: 128 }, true, "
		       "['encrypt']).catch(String);", "return (await made).type"), "\"secret\"");
	for (int i = 0; i < 3; i++)
		CHECK_STRZ(eval(&w, UDF_QUERY,
			       "const key = s.importKey('raw', bytes, { name: 'HMAC', hash: "
			       "'SHA-256' }, false, ['sign']); let calls = 0;",
			       "return [++calls, new Uint8Array(await s.sign('HMAC', await key, "
			       "bytes))[0]]"), "[1.0,194.0]");
	world_close(&w);
}

/* Section 3.6, 04 checklist 28: what is not there ends the run, whatever the program catches. */
TEST(missing_operations_end_the_run)
{
#define MISSING(member)                                                          \
	"! Not implemented: " member " for SubtleCrypto. Consider calling an action defined in " \
	"Node.js instead (https://docs.convex.dev/functions/actions)."
	static const struct {
		const char *js, *want;
	} rows[] = {
		{ "s.wrapKey('raw', 0, 0, 'AES-KW')", MISSING("wrapKey") },
		{ "s.unwrapKey('raw', bytes, 0, 'AES-KW', 'AES-GCM', true, [])",
		    MISSING("unwrapKey") },
		{ "s.importKey('raw', bytes, 'AES-KW', true, ['wrapKey'])", MISSING("AES-KW") },
		{ "s.generateKey({ name: 'aes-kw', length: 128 }, true, ['wrapKey'])",
		    MISSING("AES-KW") },
		{ "new SubtleCrypto()", "! Illegal constructor: SubtleCrypto" },
		{ "new Crypto()", "! Illegal constructor: Crypto" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[512];

		snprintf(body, sizeof body, TRY_TEXT("%s"), rows[i].js);
		CHECK_STRZ(eval(&w, UDF_QUERY, "", body), rows[i].want);
	}
	world_close(&w);
#undef MISSING
}

/* 04 checklist 34: computing in the host does not escape the limit of a run's time. */
TEST(long_computations_end_with_the_run)
{
	static const char *const rows[] = {
		"s.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: bytes, iterations: "
		"4294967295 }, await s.importKey('raw', bytes, 'PBKDF2', false, "
		"['deriveBits']), 512)",
		"s.deriveBits({ name: 'HKDF', hash: 'SHA-1', salt: bytes, info: new "
		"Uint8Array(20000000) }, await s.importKey('raw', bytes, 'HKDF', false, "
		"['deriveBits']), 40800)",
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[512];

		snprintf(body, sizeof body, TRY_TEXT("%s"), rows[i]);
		CHECK_STRZ(eval(&w, UDF_QUERY, "", body),
		    "! Function execution timed out (maximum duration: 1s)");
		CHECK(w.res.user_ns < (uint64_t)4000000000);
	}
	world_close(&w);
}

/* Other programs' tricks: views of other memory, changed globals, methods without their object. */
TEST(awkward_callers)
{
	static const struct {
		const char *js, *want;
	} rows[] = {
		{ "const d = s.digest; return d('SHA-1', bytes).catch((e) => e.name)",
		    "\"TypeError\"" },
		{ "globalThis.Uint8Array = globalThis.ArrayBuffer = null; "
		  "return (await s.digest('SHA-256', bytes)).byteLength", "32.0" },
		{ "const b = new ArrayBuffer(8); const v = new Uint8Array(b); b.transfer(); return "
		  "s.digest('SHA-1', v).catch((e) => e.name)", "\"TypeError\"" },
		{ "const b = new ArrayBuffer(8, { maxByteLength: 16 }); const v = new "
		  "Uint8Array(b, 4, "
		  "4); b.resize(2); return (await s.digest('SHA-1', v)).byteLength", "20.0" },
		{ "return s.digest({ get name() { bytes.buffer.transfer(); return 'SHA-1' } }, "
		  "bytes).catch((e) => e.name)", "\"TypeError\"" },
		{ "const k = await s.importKey('raw', bytes, 'HKDF', false, "
		  "['deriveBits']); return "
		  "s.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: bytes, info: bytes "
		  "}, k, 8 * "
		  "65537).catch((e) => e.name)", "\"OperationError\"" },
		{ "const k = await s.importKey('raw', bytes, 'AES-GCM', false, ['encrypt']); "
		  "k.usages.push('decrypt'); return s.decrypt({ name: 'AES-GCM', iv: bytes }, k, "
		  "bytes).catch((e) => e.name)", "\"InvalidAccessError\"" },
		{ "return Object.keys(Object.getPrototypeOf(crypto)).sort().join()",
		    "\"getRandomValues,randomUUID,subtle\"" },
		{ "return s.importKey('jwk', { kty: 'RSA', n: 'AQ', e: 'AQAB' }, { name: "
		  "'RSA-PSS', "
		  "hash: 'SHA-1' }, true, ['verify']).catch((e) => e.name)", "\"DataError\"" },
		{ "return s.importKey('jwk', { kty: 'RSA', n: 'A'.repeat(1e6), e: 'AQAB' }, "
		  "{ name: "
		  "'RSA-PSS', hash: 'SHA-1' }, true, ['verify']).catch((e) => e.name)",
		    "\"DataError\"" },
		{ "return s.importKey('jwk', { kty: 'oct', get k() { throw new "
		  "RangeError('x') } }, "
		  "'AES-GCM', true, ['encrypt']).catch((e) => e.name)", "\"RangeError\"" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fprintf(stderr, "  %.60s\n", rows[i].js);
		CHECK_STRZ(eval(&w, UDF_QUERY, "", rows[i].js), rows[i].want);
	}
	world_close(&w);
}

struct silly {
	struct engine *en;
	uint64_t       seed;
	int            answered;
};

static uint32_t
pick(struct silly *s, uint32_t n)
{
	s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->seed >> 33) % n;
}

static JSValue
silly_argument(struct silly *s)
{
	static const int32_t  numbers[] = { -1, 0, 1, 2, 3, 4, 5, 6, 7, 64, 128, 1024, INT32_MAX };
	static const uint32_t sizes[] = { 0, 1, 12, 16, 24, 32, 34, 65, 67, 135, 1100, 9000 };
	uint8_t               bytes[9000];
	uint32_t              size = sizes[pick(s, COUNT_OF(sizes))];

	if (pick(s, 2))
		return JS_NewInt32(s->en->ctx, numbers[pick(s, COUNT_OF(numbers))]);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(pick(s, 4) ? 0 : pick(s, 256));
	if (size > 34) {
		bytes[1] = (uint8_t)(size - 2); /* a packed key of one field */
		bytes[0] = (uint8_t)((size - 2) >> 8);
	}
	return JS_NewUint8ArrayCopy(s->en->ctx, bytes, size);
}

static void
silly_calls(void *arg)
{
	struct silly *s = arg;
	JSContext    *ctx = s->en->ctx;

	for (int round = 0; round < 400; round++) {
		for (size_t i = 0; i < natives_crypto_count; i++) {
			JSValue args[8], fn, ret;

			if (strcmp(natives_crypto[i].name, "keyGenerate") == 0)
				continue; /* takes long whatever it is given */
			for (size_t k = 0; k < COUNT_OF(args); k++)
				args[k] = silly_argument(s);
			if (strcmp(natives_crypto[i].name, "pbkdf2") == 0) {
				JS_FreeValue(ctx, args[3]);
				args[3] = JS_NewInt32(ctx, 3); /* iterations */
			}
			fn = JS_GetPropertyStr(ctx, s->en->natives, natives_crypto[i].name);
			ret = JS_Call(ctx, fn, JS_UNDEFINED, (int)pick(s, 9), args);
			s->answered += !JS_IsException(ret);
			if (JS_IsException(ret))
				JS_FreeValue(ctx, JS_GetException(ctx));
			for (size_t k = 0; k < COUNT_OF(args); k++)
				JS_FreeValue(ctx, args[k]);
			JS_FreeValue(ctx, fn);
		}
	}
}

/* The prelude may run in another process: whatever that sends, the natives answer or throw. */
TEST(natives_take_any_arguments)
{
	struct world w;
	struct silly s = { .seed = 7 };
	struct err   e = err_in(NULL);

	world_open(&w);
	assert_int_equal(engine_new(w.iso, ENV_UDF, NULL, &s.en, &e), ST_OK);
	assert_int_equal(guard_call(s.en, silly_calls, &s), JUMP_NONE);
	CHECK(s.answered > 100);
	engine_free(s.en);
	world_close(&w);
}

TEST_RUN(T(as_in_node), T(published_vectors), T(packages_that_sign_and_encrypt),
    T(randomness_is_for_actions), T(keys_made_at_import), T(missing_operations_end_the_run),
    T(long_computations_end_with_the_run), T(awkward_callers),
    T(natives_take_any_arguments))
