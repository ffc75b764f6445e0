/* escape_test.c - functions that try to get out: to code from text, to another run, to a server
 * that trusts what they handed it. */
#include "world.h"

#include "isolate/engine_int.h"
#include "isolate/heap_int.h"

struct escape {
	const char *why, *body, *want;
};

static int
try_all(struct world *w, enum udf_kind kind, const struct escape *v, size_t n)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		char source[6000];
		str  got;

		snprintf(source, sizeof source,
		    HELPERS "export const f = %s(async (ctx, args) => { %s });"
			    "export const ok = query(async (ctx) => {"
			    "  const a = [1, { b: 'c' }, new Map([[1, 2]]).get(1)];"
			    "  return JSON.stringify([a, Object.keys(globalThis).includes('leak'),"
			    "    typeof Object.prototype.leak, await (async () => 5)()]) });",
		    kind == UDF_MUTATION ? "mutation" : "query", v[i].body);
		world_push(w, "m.js", source);
		world_run(w, kind, "m.js", "f", "[{\"x\":[1,2,3],\"y\":{\"z\":\"s\"}}]");
		got = world_outcome(w);
		if (!str_starts(got, str_z(v[i].want))) {
			print_error("  %s\n    got  %.*s\n    want %s\n", v[i].why,
			    STR_ARG(str_head(got, got.n < 300 ? got.n : 300)), v[i].want);
			bad++;
		}
		EXPECT(w, "ok", "\"[[1,{\\\"b\\\":\\\"c\\\"},2],false,\\\"undefined\\\",5]\"");
	}
	return bad;
}

/* 04 checklist 26: there is no way from text to code. */
#define NO_CODE(what) "try { " what "; return 'ran' } catch (e) { return e.constructor.name }"
static const struct escape from_text[] = {
	{ "eval", NO_CODE("eval('1')"), "\"EvalError\"" },
	{ "indirect eval", NO_CODE("(0, eval)('1')"), "\"EvalError\"" },
	{ "Function", NO_CODE("new Function('return this')()"), "\"EvalError\"" },
	{ "Function()", NO_CODE("Function('return this')()"), "\"EvalError\"" },
	{ "constructor chain", NO_CODE("({}).constructor.constructor('return this')()"),
	    "\"EvalError\"" },
	{ "of an async function", NO_CODE("(async () => {}).constructor('return this')()"),
	    "\"EvalError\"" },
	{ "of a generator", NO_CODE("(function* () {}).constructor('yield this')().next()"),
	    "\"EvalError\"" },
	{ "of an async generator", NO_CODE("(async function* () {}).constructor('yield 1')()"),
	    "\"EvalError\"" },
	{ "Reflect.construct", NO_CODE("Reflect.construct(Function, ['return this'])()"),
	    "\"EvalError\"" },
	{ "with a new.target", NO_CODE("Reflect.construct(Function, ['return 1'], class {})"),
	    "\"EvalError\"" },
	{ "bound", NO_CODE("Function.bind(null, 'return this')()()"), "\"EvalError\"" },
	{ "through a proxy", NO_CODE("new (new Proxy(Function, {}))('return this')()"),
	    "\"EvalError\"" },
	{ "a subclass", NO_CODE("new (class extends Function {})('return this')()"),
	    "\"EvalError\"" },
	{ "native functions", NO_CODE("ctx.db.query.constructor('return this')()"),
	    "\"EvalError\"" },
	{ "of a bound native", NO_CODE("console.log.constructor.call(null, 'return 1')()"),
	    "\"EvalError\"" },
	{ "a timer's text", NO_CODE("const t = setTimeout('globalThis.leak = 1', 0)"), "" },
	{ "ShadowRealm", "return typeof ShadowRealm", "\"undefined\"" },
	{ "the engine's own modules",
	    "return [typeof std, typeof os, typeof bjson, typeof scriptArgs, typeof print].join()",
	    "\"undefined,undefined,undefined,undefined,undefined\"" },
	{ "of an Error's stack",
	    "try { Error.prepareStackTrace = (e, s) => s.map((x) => String(x.getThis && "
	    "x.getThis()));"
	    " return String(new Error('x').stack).includes('object') } catch { return false }",
	    "false" },
	{ "arguments.callee.caller",
	    "return (function () { try { return String(arguments.callee.caller) } catch { return "
	    "'no' } })()",
	    "" },
	{ "blocking",
	    "try { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); return 1 } catch "
	    "(e) { return e.name }",
	    "\"TypeError\"" },
};

TEST(no_code_from_text)
{
	struct world w;

	world_open(&w);
	CHECK_EQ(try_all(&w, UDF_QUERY, from_text, COUNT_OF(from_text)), 0);
	world_close(&w);
}

/* 04 checklist 16 and 23: builtins that a function replaced are its own business: what the server
 * does with its values does not depend on them, and the next run has the original ones. */
#define TRAP "() => { globalThis.leak = (globalThis.leak ?? 0) + 1; throw new Error('trap') }"
static const struct escape replaced[] = {
	{ "setters on Object.prototype",
	    "for (const k of ['a', 'page', 'then', '_id', 'value', 'isDone', 'message', 'name', "
	    "'z'])"
	    " Object.defineProperty(Object.prototype, k, { __proto__: null, set: " TRAP
	    ", configurable: true });"
	    " const id = await ctx.db.insert('t', { ['a']: 1 }); const d = await ctx.db.get(id); "
	    "return typeof d._id",
	    "\"string\"" },
	{ "accessors on Object.prototype",
	    "Object.defineProperty(Object.prototype, 'leak', { get() { return 7 }, configurable: "
	    "true });"
	    " return { a: args.y }",
	    "{\"a\":{\"z\":\"s\"}}" },
	{ "values on Object.prototype", "Object.prototype.leak = 1; return { a: 1 }",
	    "{\"a\":1.0}" },
	{ "Array.prototype setters",
	    "Object.defineProperty(Array.prototype, 0, { set: " TRAP ", get: " TRAP
	    ", configurable: true });"
	    " return (await ctx.db.query('t').collect()).length >= 0",
	    "true" },
	{ "Array iteration", "Array.prototype[Symbol.iterator] = " TRAP "; return args.x",
	    "[1.0,2.0,3.0]" },
	{ "Array.prototype methods",
	    "for (const k of ['map', 'push', 'join', 'forEach', 'sort', 'slice', 'filter', "
	    "'includes'])"
	    " Array.prototype[k] = " TRAP
	    "; await ctx.db.query('t').filter((q) => q.eq(q.field('a'), 1)).collect(); return [1]",
	    "[1.0]" },
	{ "Promise.prototype.then", "Promise.prototype.then = " TRAP "; return 1", "1.0" },
	{ "Promise.resolve",
	    "Promise.resolve = " TRAP
	    "; Promise.reject = Promise.resolve; await ctx.db.query('t').first(); return 1",
	    "1.0" },
	{ "Promise.prototype.constructor",
	    "Promise.prototype.constructor = class { constructor() { throw 1 } }; return 1",
	    "1.0" },
	{ "JSON", "JSON.stringify = JSON.parse = " TRAP "; return { a: [1, 'x'] }",
	    "{\"a\":[1.0,\"x\"]}" },
	{ "toJSON",
	    "Object.prototype.toJSON = () => 'trap'; String.prototype.toJSON = " TRAP
	    "; return { a: ['x'] }",
	    "{\"a\":[\"x\"]}" },
	{ "toPrimitive", "Object.prototype[Symbol.toPrimitive] = " TRAP "; return { a: 1 }",
	    "{\"a\":1.0}" },
	{ "Map.prototype",
	    "for (const k of ['get', 'set', 'has', 'delete']) { Map.prototype[k] = " TRAP
	    "; Set.prototype[k] = Map.prototype[k]; WeakMap.prototype[k] = Map.prototype[k] }"
	    " console.log({ a: new URL('http://a/') }); return 1",
	    "1.0" },
	{ "Function.prototype",
	    "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = " TRAP
	    ";"
	    " return (await ctx.db.query('t').collect()).length >= 0",
	    "true" },
	{ "Reflect and Object",
	    "for (const [o, list] of [Object, Reflect].map((o) => [o, "
	    "Object.getOwnPropertyNames(o)])) for (const k of list) try { o[k] = " TRAP
	    " } catch {}"
	    " return { a: 1 }",
	    "{\"a\":1.0}" },
	{ "Error.prepareStackTrace", "Error.prepareStackTrace = " TRAP "; throw new Error('x')",
	    "! Uncaught Error: x" },
	{ "Error.prototype",
	    "Object.defineProperty(Error.prototype, 'message', { get: " TRAP
	    " }); throw new Error('x')",
	    "! Uncaught " },
	{ "Error's stack",
	    "Object.defineProperty(Error.prototype, 'stack', { get: " TRAP
	    " }); throw new Error('x')",
	    "! Uncaught Error: x" },
	{ "Error.captureStackTrace",
	    "Error.captureStackTrace = " TRAP
	    "; Error.stackTraceLimit = 1e9; throw new TypeError('x')",
	    "! Uncaught TypeError: x" },
	{ "stackTraceLimit",
	    "Object.defineProperty(Error, 'stackTraceLimit', { get: " TRAP
	    " }); throw new Error('x')",
	    "! Uncaught " },
	{ "globals",
	    "for (const k of Object.getOwnPropertyNames(globalThis)) try { globalThis[k] = " TRAP
	    " } catch {} return { a: [1] }",
	    "{\"a\":[1.0]}" },
	{ "deleted globals",
	    "for (const k of Object.getOwnPropertyNames(globalThis)) try { delete globalThis[k] } "
	    "catch {} return (await ctx.db.query('t').collect()).length >= 0",
	    "true" },
	{ "the global's prototype",
	    "try { Object.setPrototypeOf(globalThis, new Proxy({}, { get: " TRAP
	    " })) } catch {} return 1",
	    "1.0" },
	{ "ctx itself", "ctx.db = null; ctx.leak = 1; return 1", "1.0" },
	{ "a frozen world",
	    "for (const k of Object.getOwnPropertyNames(globalThis)) { const v = globalThis[k]; if "
	    "(v && (typeof v === 'object' || typeof v === 'function') && v !== globalThis) {"
	    " Object.freeze(v); if (v.prototype) Object.freeze(v.prototype) } } return { a: [1, { "
	    "b: 2 }] }",
	    "{\"a\":[1.0,{\"b\":2.0}]}" },
	{ "species",
	    "class A extends Array { static get [Symbol.species]() { throw 1 } } return new A(1, "
	    "2, 3)",
	    "[1.0,2.0,3.0]" },
	{ "no prototype at all", "Object.setPrototypeOf(Array.prototype, null); return [[1]]",
	    "[[1.0]]" },
};

TEST(replaced_builtins)
{
	struct world w;

	world_open(&w);
	CHECK_EQ(try_all(&w, UDF_MUTATION, replaced, COUNT_OF(replaced)), 0);
	world_close(&w);
}

/* 04 checklist 16: values that look back while they are read. */
static const struct escape values[] = {
	{ "a getter that throws", "return { get a() { throw new Error('g') } }",
	    "! Uncaught Error: g" },
	{ "a getter that changes its object",
	    "const o = { get a() { delete o.b; o.c = 3; return 1 }, b: 2 }; return o", "" },
	{ "a getter that grows its array",
	    "const a = [0, 1]; Object.defineProperty(a, 0, { get() { for (let i = 0; i < 1e5; i++) "
	    "a.push(i); return 5 } }); return a.length",
	    "2.0" },
	{ "the same while it is read",
	    "const a = [0, 1]; Object.defineProperty(a, 0, { get() { a.length = 1; return 5 } }); "
	    "return a",
	    "[5.0,null]" },
	{ "an array that shrinks",
	    "const a = [{ get x() { a.length = 0; return 1 } }, 2, 3]; return a",
	    "[{\"x\":1.0},null,null]" },
	{ "holes", "return [1, , 3]", "[1.0,null,3.0]" },
	{ "a length of its own",
	    "return Object.setPrototypeOf({ length: 2 ** 53 }, Array.prototype)", "" },
	{ "a proxied array's length",
	    "return new Proxy([1], { get: (t, k) => k === 'length' ? 2 ** 40 : t[k] })", "! " },
	{ "a negative length",
	    "return new Proxy([1], { get: (t, k) => k === 'length' ? -5 : t[k] })", "" },
	{ "a proxy of everything",
	    "return new Proxy({}, { get: () => 1, ownKeys: () => ['a', 'b'], "
	    "getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) "
	    "})",
	    "" },
	{ "a revoked proxy", "const r = Proxy.revocable({}, {}); r.revoke(); return r.proxy",
	    "! " },
	{ "a revoked array", "const r = Proxy.revocable([], {}); r.revoke(); return [r.proxy]",
	    "! " },
	{ "a cycle", "const a = []; a[0] = a; return a", "! Uncaught RangeError" },
	{ "a cycle through getters",
	    "const o = { get o() { return { get o() { return o } } } }; return o", "! " },
	{ "endless getters", "const f = () => ({ get o() { return f() } }); return f()", "! " },
	{ "thenables within", "return { a: { then: 1 } }", "{\"a\":{\"then\":1.0}}" },
	{ "a thenable", "return { then(f) { f(5) } }", "5.0" },
	{ "a thenable that never answers", "return { then() {} }",
	    "! Returned promise will never resolve" },
	{ "a thenable that answers twice", "return { then(f, r) { f(1); f(2); r(3) } }", "1.0" },
	{ "endless thenables", "const t = () => ({ then(f) { f(t()) } }); return t()",
	    "! Function execution timed out" },
	{ "a then getter that throws", "return { get then() { throw new TypeError('t') } }",
	    "! Uncaught TypeError: t" },
	{ "a detached buffer", "const b = new ArrayBuffer(8); b.transfer(); return b", "" },
	{ "a detached buffer in a getter",
	    "const b = new ArrayBuffer(1 << 20); return [{ get a() { b.transfer(); return 1 } }, "
	    "b]",
	    "" },
	{ "a resizable buffer",
	    "const b = new ArrayBuffer(8, { maxByteLength: 100 }); b.resize(100); return "
	    "b.byteLength",
	    "100.0" },
	{ "one that shrinks while it is read",
	    "const b = new ArrayBuffer(100, { maxByteLength: 100 }), u = new Uint8Array(b); return "
	    "[{ get a() { b.resize(0); return 1 } }, b]",
	    "" },
	{ "a shared buffer", "return new SharedArrayBuffer(8)", "! " },
	{ "typed arrays", "return new Uint8Array(4)", "! " },
	{ "a detached buffer for natives",
	    "const u = new Uint8Array(1000), b = u.buffer.transfer(); try { new "
	    "TextDecoder().decode(u) } catch {} try { crypto.getRandomValues(u) } catch {} return "
	    "b.byteLength",
	    "1000.0" },
	{ "one that is detached by an argument",
	    "const u = new Uint8Array(1e5); try { new TextEncoder().encodeInto({ toString() { "
	    "u.buffer.transfer(); return 'x'.repeat(1e5) } }, u) } catch {} return 1",
	    "1.0" },
	{ "one that is detached by an option",
	    "const u = new Uint8Array(1e5); try { new TextDecoder({ toString() { "
	    "u.buffer.transfer(0); return 'utf-8' } }).decode(u, { get stream() { "
	    "u.buffer.transfer?.(); return true } }) } catch {} return 1",
	    "1.0" },
	{ "symbols", "return { [Symbol('x')]: 1, a: Symbol.iterator }", "! " },
	{ "functions", "return { f() {} }", "! " },
	{ "class instances", "return new (class A { x = 1 })()", "! " },
	{ "a null prototype", "return Object.assign(Object.create(null), { a: 1 })",
	    "{\"a\":1.0}" },
	{ "__proto__", "return JSON.parse('{\"__proto__\": 1}')", "" },
	{ "a name with $", "return { $a: 1 }", "! " },
	{ "a lone surrogate", "return '\\ud800'", "! " },
	{ "numbers", "return [NaN, -0, Infinity, 1e308 * 10]", "[{\"$float\":" },
	{ "big BigInts", "return 2n ** 63n", "! " },
	{ "1025 fields",
	    "return Object.fromEntries(Array.from({ length: 1025 }, (_, i) => ['k' + i, 1]))",
	    "! " },
	{ "8193 elements", "return Array(8193).fill(1)", "! " },
	{ "65 levels", "let o = 1; for (let i = 0; i < 65; i++) o = [o]; return o", "! " },
	{ "throw null", "throw null", "! Uncaught null" },
	{ "throw undefined", "throw undefined", "! Uncaught undefined" },
	{ "throw {}", "throw {}", "! Uncaught #<Object>" },
	{ "throw a proxy",
	    "throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 }, has() { throw "
	    "3 } })",
	    "! " },
	{ "throw a proxied Error", "throw new Proxy(new Error('x'), { get() { throw 1 } })", "! " },
	{ "throw a function", "throw () => {}", "! " },
	{ "throw a symbol", "throw Symbol('x')", "! " },
	{ "throw a cycle", "const e = new Error('x'); e.cause = e; e.data = e; throw e",
	    "! Uncaught Error: x" },
	{ "a ConvexError by name",
	    "throw Object.assign(new Error('x'), { [Symbol.for('ConvexError')]: true, data: { get "
	    "a() { throw 1 } } })",
	    "! " },
	{ "one with bad data",
	    "throw Object.assign(new Error('x'), { ConvexErrorSymbol: Symbol.for('ConvexError'), "
	    "[Symbol.for('ConvexError')]: true, data: '{' })",
	    "! " },
	{ "one whose data never ends",
	    "const f = () => ({ get o() { return f() } }); throw Object.assign(new Error('x'), { "
	    "[Symbol.for('ConvexError')]: true, data: f() })",
	    "! " },
	{ "console with a trap",
	    "console.log(new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 } })); return 1",
	    "" },
};

TEST(values_that_look_back)
{
	struct world w;

	world_open(&w);
	CHECK_EQ(try_all(&w, UDF_QUERY, values, COUNT_OF(values)), 0);
	world_close(&w);
}

/* Spec 04 section 5.1: an error's text is bounded, whatever part of it is large. */
TEST(errors_are_bounded)
{
	static const char *const bodies[] = {
		"throw new Error('x'.repeat(1e6))",
		"throw Object.assign(new Error('m'), { name: 'n'.repeat(1e6) })",
		"throw 'x'.repeat(1e6)",
		"throw Symbol('x'.repeat(1e6))",
		"throw new (Object.defineProperty(class {}, 'name', { value: 'n'.repeat(1e6) }))()",
		"throw Object.assign(new Error('m'), { stack: '    at x (y:1:1)\\n'.repeat(1e5) })",
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[1000];

		snprintf(source, sizeof source, HELPERS "export const f = query(() => { %s });",
		    bodies[i]);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK(!w.res.ok && w.res.error.n > 5 && w.res.error.n < 70000);
	}
	world_close(&w);
}

/* 04 checklist 23: whatever a run left behind, the next one begins with the same heap: each global
 * and each prototype looks as it did at first. */
TEST(nothing_survives)
{
	static const char *const census =
	    "const seen = new Map(); const look = (o, path, out) => {"
	    " if ((typeof o !== 'object' && typeof o !== 'function') || o === null || seen.has(o)) "
	    "return;"
	    " seen.set(o, 1); out.push(path + ':' + Object.isExtensible(o));"
	    " for (const k of Reflect.ownKeys(o)) { const d = Reflect.getOwnPropertyDescriptor(o, "
	    "k);"
	    "  const name = path + '.' + String(k);"
	    "  out.push(name + ':' + typeof d.value + d.writable + d.enumerable + d.configurable"
	    "   + (typeof d.value === 'object' ? '' : String(d.value).slice(0, 40)));"
	    "  if (path.length < 60) { look(d.value, name, out); look(d.get, name + '#', out); } }"
	    " look(Object.getPrototypeOf(o), path + '^', out) };"
	    "const hash = (list) => { let h = 0; for (const s of list) for (let i = 0; i < "
	    "s.length; i++)"
	    "  h = (h * 31 + s.charCodeAt(i)) | 0; return list.length + ':' + h };"
	    "export const count = query((ctx) => { const out = []; look(globalThis, '', out);"
	    " look(ctx, 'ctx', out); look(mine, 'mine', out); return hash(out) });"
	    "const mine = { list: [1, 2, 3], map: new Map(), f() {} };";
	static const char *const vandal =
	    "export const spoil = query(async (ctx) => {"
	    " globalThis.leak = 1; mine.list.push(4); mine.leak = 2; Object.prototype.leak = 3;"
	    " for (const k of Reflect.ownKeys(globalThis)) { const v = globalThis[k];"
	    "  if (v && v !== globalThis && (typeof v === 'object' || typeof v === 'function')) "
	    "try { v.leak = 1;"
	    "   if (v.prototype) { v.prototype.leak = 1; Object.freeze(v.prototype) } "
	    "Object.freeze(v) } catch {} }"
	    " try { ctx.leak = 1; Object.setPrototypeOf(ctx, null) } catch {} delete "
	    "globalThis.JSON; mine.map.set(1, ctx);"
	    " if (how === 0) return 1; if (how === 1) throw new Error('x'); if (how === 2) for "
	    "(;;);"
	    " if (how === 3) [].indexOf.call({ length: 2 ** 53 - 1 }, 1);"
	    " const a = []; for (;;) a.push(new Array(1000)) });";
	struct world w;

	world_open(&w);
	isolate_free(w.iso);
	w.iso = isolate_new(&(struct isolate_opts){ .os = os_real(), .user_time_ns = 200000000 });
	for (int how = 0; how < 5; how++) {
		char source[6000], first[200];

		snprintf(
		    source, sizeof source, HELPERS "%s const how = %d; %s", census, how, vandal);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_QUERY, "m.js", "count", "[{}]");
		CHECK(w.res.ok);
		snprintf(first, sizeof first, "%.*s", STR_ARG(world_outcome(&w)));
		for (int i = 0; i < 3; i++) {
			world_run(&w, UDF_QUERY, "m.js", "spoil", "[{}]");
			if (w.res.ok != (how == 0))
				print_error("%.*s\n", STR_ARG(world_outcome(&w)));
			CHECK_EQ(w.res.ok, how == 0);
			EXPECT(&w, "count", first);
		}
	}
	world_close(&w);
}

/* The same, looked at from below: after each run every page of the image is byte for byte what it
 * was when it was sealed. */
TEST(every_page_is_back)
{
	static const char *const bodies[] = {
		"for (const k of Reflect.ownKeys(globalThis)) try { globalThis[k].leak = 1 } catch "
		"{}",
		"const a = []; for (let i = 0; i < 1e5; i++) a.push({ i }); big.push(...a.slice(0, "
		"500))",
		"const a = []; for (;;) a.push(new Array(1000).fill(1))",
		"big.fill(7); big.sort(); big.reverse(); big.map((x) => ({ x }))",
		"[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
		"for (;;) big.push(new Uint8Array(10000))",
		"const f = () => f(); f()",
		"await Promise.all(big.map(async (x) => { await null; await ctx.db.insert('t', { x "
		"}) }))",
		"console.log(big); structuredClone(big); JSON.stringify(big); throw new Error('x')",
	};
	struct world w;
	struct heap *h;
	size_t       n;
	char        *sealed;

	world_open(&w);
	isolate_free(w.iso);
	w.iso = isolate_new(&(struct isolate_opts){ .os = os_real(), .user_time_ns = 200000000 });
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[3000];

		snprintf(source, sizeof source,
		    HELPERS "const big = Array.from({ length: 2000 }, (_, i) => i);"
			    "export const ok = query(() => 1);"
			    "export const f = mutation(async (ctx) => { %s });",
		    bodies[i]);
		world_push(&w, "m.js", source);
		EXPECT(&w, "ok", "1.0");
		CHECK_EQ(w.iso->engines.n, 1);
		h = w.iso->engines.v[0]->heap;
		n = (size_t)h->sealed_pages * HEAP_PAGE;
		sealed = mem_alloc(n);
		memcpy(sealed, h->base, n);
		for (int run = 0; run < 3; run++) {
			world_run(&w, UDF_MUTATION, "m.js", "f", "[{}]");
			CHECK_EQ(w.iso->engines.n, 1);
			CHECK(w.iso->engines.v[0]->heap == h); /* kept, whatever ended the run */
			for (size_t page = 0; page < n; page += HEAP_PAGE)
				if (memcmp(sealed + page, h->base + page, HEAP_PAGE) != 0)
					fail_msg(
					    "%s: page %zu differs", bodies[i], page / HEAP_PAGE);
		}
		mem_free(sealed);
	}
	world_close(&w);
}

TEST_RUN(T(no_code_from_text), T(replaced_builtins), T(values_that_look_back),
    T(errors_are_bounded), T(nothing_survives), T(every_page_is_back))
