/* convert_test.c - values across the border, with the texts of the npm package.
 *
 * ctx_test.c compares with the package itself; here are the texts themselves, what no
 * function can do, and round trips.
 */
#include "isolate/bytecode.h"
#include "isolate/engine_int.h"
#include "world.h"

struct bench {
	struct world      w;
	struct engine    *en;
	struct import_env env;
	struct run        run;
	struct run_result res;
};

static void
bench_open(struct bench *b)
{
	struct err e = err_in(NULL);

	memset(b, 0, sizeof *b);
	world_open(&b->w);
	if (engine_new(b->w.iso, ENV_ANALYZE, &b->env, &b->en, &e) != ST_OK)
		fail_msg("engine: %.*s", STR_ARG(e.text));
	loglines_init(&b->res.logs, b->w.arena);
	b->run = (struct run){ .res = &b->res, .arena = b->w.arena, .cpu_limit_ns = 60000000000 };
	engine_enter(b->en, &b->run);
}

static void
bench_close(struct bench *b)
{
	engine_leave(b->en, NULL);
	engine_free(b->en);
	loglines_clear(&b->res.logs);
	world_close(&b->w);
}

/* The value of a script. */
static JSValue
eval(struct bench *b, const char *script)
{
	JSContext   *ctx = b->en->ctx;
	struct blob *code;
	struct err   e = err_in(NULL);
	JSValue      v;

	if (bytecode_get(CODE_SCRIPT, S("test.js"), str_z(script), STR_EMPTY, &code, &e) != ST_OK)
		fail_msg("%s: %.*s", script, STR_ARG(e.text));
	v = JS_EvalFunction(ctx, JS_ReadObject(ctx, (const uint8_t *)code->bytes, code->n,
	    JS_READ_OBJ_BYTECODE));
	blob_unref(code);
	return v;
}

/* JSON of the packed value, or "! " and the message. */
static str
convert(struct bench *b, JSValueConst v, int how, struct val *ret)
{
	JSContext *ctx = b->en->ctx;
	struct buf out;
	str        text;

	if (!js_to_val(ctx, v, how, b->w.arena, ret)) {
		JSValue e = JS_GetException(ctx);

		if (!js_text_of(ctx, e, "message", b->w.arena, &text))
			text = S("no message");
		JS_FreeValue(ctx, e);
		return arena_fmt(b->w.arena, "! %.*s", STR_ARG(text));
	}
	buf_init(&out, BUF_MAX_DEFAULT);
	vjson_write(&out, *ret, VJSON_ENCODED);
	text = arena_str(b->w.arena, buf_str(&out));
	buf_clear(&out);
	return text;
}

/* Everything that is a value comes back as it went. */
TEST(values_make_the_round_trip)
{
	static const struct {
		const char *script, *want;
	} rows[] = {
		{ "null", "null" },
		{ "[true, false]", "[true,false]" },
		{ "0", "0.0" },
		{ "-0", "{\"$float\":\"AAAAAAAAAIA=\"}" },
		{ "0/0", "{\"$float\":\"AAAAAAAA+H8=\"}" },
		{ "2**53", "9007199254740992.0" },
		{ "-1n", "{\"$integer\":\"//////////8=\"}" },
		{ "2n**63n-1n", "{\"$integer\":\"/////////38=\"}" },
		{ "-(2n**63n)", "{\"$integer\":\"AAAAAAAAAIA=\"}" },
		{ "'\\0€\\ud83d\\ude00'", "\"\\u0000€\360\237\230\200\"" },
		{ "new ArrayBuffer(2)", "{\"$bytes\":\"AAA=\"}" },
		{ "new ArrayBuffer(0)", "{\"$bytes\":\"\"}" },
		{ "({b: 1, a: {}, '': [], 2: 'x', 10: 'y'})",
		    "{\"\":[],\"10\":\"y\",\"2\":\"x\",\"a\":{},\"b\":1.0}" },
		{ "({gone: undefined, here: null})", "{\"here\":null}" },
		{ "[1,,3]", "[1.0,null,3.0]" },
		{ "'a'.repeat(5) + 'b'.repeat(9000).slice(8999)", "\"aaaaab\"" },
		{ "Object.create(null, {x: {value: 1, enumerable: true}})", "{\"x\":1.0}" },
		{ "({get a() { return [1] }})", "{\"a\":[1.0]}" },
		{ "({[Symbol('s')]: 1, a: 2})", "{\"a\":2.0}" },
		{ "({__proto__: null, ['__proto__']: 1})", "{\"__proto__\":1.0}" },
		{ "new Proxy({z: 1, a: [new Proxy([2], {})]}, {})", "{\"a\":[[2.0]],\"z\":1.0}" },
	};
	struct bench b;

	bench_open(&b);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct val there, back;
		JSValue    v = eval(&b, rows[i].script), again;

		CHECK_STRZ(convert(&b, v, TO_VAL, &there), rows[i].want);
		again = js_from_val(b.en->ctx, there);
		CHECK(!JS_IsException(again));
		CHECK_STRZ(convert(&b, again, TO_VAL, &back), rows[i].want);
		CHECK(val_eq(there, back));
		JS_FreeValue(b.en->ctx, v);
		JS_FreeValue(b.en->ctx, again);
	}
	bench_close(&b);
}

#define TYPES " To learn about Convex's supported types, see https://docs.convex.dev/using/types."

/* The refusals of convexToJson(). */
TEST(refusals_have_the_npm_texts)
{
	static const struct {
		const char *script, *want;
	} rows[] = {
		{ "undefined", "! undefined is not a valid Convex value." TYPES },
		{ "[undefined]",
		    "! undefined is not a valid Convex value (present at path [0] in original "
		    "object [\"undefined\"])." TYPES },
		{ "({a: [{b: undefined}], f: () => 1, s: Symbol('x'), n: 1n, u: [undefined]})",
		    "! Function \"[Function]\" is not a supported Convex type (present at path .f "
		    "in original "
		    "object "
		    "{\"a\":[{\"b\":\"undefined\"}],\"f\":\"[Function]\",\"s\":\"Symbol(x)\",\"n\":"
		    "\"1n\","
		    "\"u\":[\"undefined\"]})." TYPES },
		{ "new Set([1, 'a'])", "! Set[1,\"a\"] is not a supported Convex type." },
		{ "[new Map([[1, 2]])]",
		    "! Map[[1,2]] is not a supported Convex type (present at path [0] in "
		    "original object [{}])." TYPES },
		{ "new Date(0)",
		    "! Date \"1970-01-01T00:00:00.000Z\" is not a supported Convex type." },
		{ "Symbol('x')", "! Symbol \"Symbol(x)\" is not a supported Convex type." },
		{ "new (class {})", "! {} is not a supported Convex type." },
		{ "new Uint8Array(1)", "! Uint8Array {\"0\":0} is not a supported Convex type." },
		{ "2n**63n",
		    "! BigInt 9223372036854775808 does not fit into a 64-bit signed integer." },
		{ "({$a: 1})", "! Field name $a starts with a '$', which is reserved." },
		{ "({'a\\nb': 1})",
		    "! Field name a\nb has invalid character '\n': Field names can only contain "
		    "non-control ASCII characters" },
		{ "({'€': 1})",
		    "! Field name € has invalid character '€': Field names can only contain "
		    "non-control ASCII characters" },
		{ "'\\ud800'", "! Received invalid json: lone surrogate in a string" },
		{ "new Array(8193).fill(0)",
		    "! Array length is too long (8193 > maximum length 8192)" },
		{ "new Array(4294967295)",
		    "! Array length is too long (4294967295 > maximum length 8192)" },
		{ "Object.fromEntries(Array.from({length: 1025}, (_, i) => ['f' + i, 1]))",
		    "! Object has too many fields (1025 > maximum number 1024)" },
		{ "let d = 1; for (let i = 0; i < 65; i++) d = [d]; d",
		    "! Value is too nested (nested 65 levels deep > maximum nesting 64)" },
		{ "const c = {}; c.a = [c]; c", "! Maximum call stack size exceeded" },
		{ "({get a() { throw new Error('getter') }})", "! getter" },
		{ "new Proxy({}, {ownKeys() { throw new Error('keys') }})", "! keys" },
		{ "new Proxy({}, {getPrototypeOf() { throw new Error('proto') }})", "! proto" },
		{ "new Proxy([], {get() { throw new Error('length') }})", "! length" },
		{ "const p = Proxy.revocable({}, {}); p.revoke(); p.proxy", NULL },
		{ "({a: {toString() { throw 1 }, toJSON() { throw new Error('json') }, f() {}}, b: "
		  "new Set()})",
		    NULL },
		{ "class T {} Object.defineProperty(T.prototype, 'constructor',"
		  "{get() { throw new Error('ctor') }}); new T()",
		    "! ctor" },
	};
	struct bench b;

	bench_open(&b);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct val unused;
		JSValue    v = eval(&b, rows[i].script);
		str        got = convert(&b, v, TO_VAL, &unused);

		if (rows[i].want)
			CHECK_STRZ(got, rows[i].want);
		else
			CHECK(str_starts(got, S("! ")));
		JS_FreeValue(b.en->ctx, v);
	}
	bench_close(&b);
}

/* The value in an error message is cut at 16,384 units. */
TEST(values_in_messages_are_cut)
{
	struct bench b;
	struct val   unused;
	JSValue      v;
	str          got;

	bench_open(&b);
	v = eval(&b, "({a: 'x'.repeat(20000), b: undefined, c: Symbol()})");
	got = convert(&b, v, TO_VAL, &unused);
	CHECK(str_ends(got, S("[...truncated])." TYPES)));
	CHECK(got.n < 17000);
	JS_FreeValue(b.en->ctx, v);
	bench_close(&b);
}

/* undefined is a value where filters and ranges take it, and a removal in a patch. */
TEST(undefined_has_its_places)
{
	struct bench b;
	struct val   out;
	JSValue      v;

	bench_open(&b);
	CHECK_STRZ(convert(&b, JS_UNDEFINED, TO_VAL_UNDEFINED_OK, &out), "{\"$undefined\":null}");
	CHECK_EQ(val_kind(out), VAL_UNDEFINED);
	v = eval(&b, "({a: undefined, b: {c: undefined}, d: 1})");
	CHECK_STRZ(
	    convert(&b, v, TO_VAL_PATCH, &out), "{\"a\":{\"$undefined\":null},\"b\":{},\"d\":1.0}");
	CHECK_STRZ(convert(&b, v, TO_VAL_UNDEFINED_OK, &out), "{\"b\":{},\"d\":1.0}");
	JS_FreeValue(b.en->ctx, v);
	v = eval(&b, "[undefined]");
	CHECK(str_starts(convert(&b, v, TO_VAL_UNDEFINED_OK, &out), S("! ")));
	JS_FreeValue(b.en->ctx, v);
	bench_close(&b);
}

/* A value that shares its parts grows exponentially: the limit on sizes stops it early. */
TEST(shared_parts_cannot_explode)
{
	struct bench b;
	struct val   out;
	JSValue      v;
	str          got;

	bench_open(&b);
	v = eval(&b, "let x = ['some text']; for (let i = 0; i < 60; i++) x = [x, x]; x");
	got = convert(&b, v, TO_VAL, &out);
	CHECK(str_starts(got, S("! Value is too large (")));
	JS_FreeValue(b.en->ctx, v);
	bench_close(&b);
}

TEST_RUN(T(values_make_the_round_trip), T(refusals_have_the_npm_texts),
    T(values_in_messages_are_cut), T(undefined_has_its_places), T(shared_parts_cannot_explode))
