/* bombs_test.c - engine functions written in C that take as long as they like: each ends at the
 * limit all the same, uncatchably, and the next run does not notice. */
#include "world.h"

#include <pthread.h>

#include "isolate/heap.h"
#include "os/memory.h"

#define LIMIT_NS ((uint64_t)100000000)
#ifdef FRESNEL_SANITIZE
#define GRACE_NS ((uint64_t)5000000000) /* its own memchr() and the like are never cut */
#else
#define GRACE_NS ((uint64_t)50000000)
#endif
#define TIMEOUT  "! Function execution timed out (maximum duration: 0.1s)"
#define OOM      "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)"

#if defined(__SANITIZE_THREAD__)
#define NO_CUTS 1 /* this sanitizer holds signals back until a system call */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_CUTS 1
#endif
#endif

static void
open_with(struct world *w, uint64_t limit_ns)
{
	world_open(w);
	isolate_free(w->iso);
	w->iso = isolate_new(&(struct isolate_opts){ .os = os_real(), .user_time_ns = limit_ns });
}

static void
push_body(struct world *w, const char *prelude, const char *body)
{
	char source[4000];

	snprintf(source, sizeof source,
	    HELPERS
	    "%s\nexport const f = query(async (ctx) => {"
	    " try { %s } catch (e) { return 'caught ' + e } finally { globalThis.x = 1 } });\n"
	    "export const ok = query(() => globalThis.x ?? 'fine');",
	    prelude, body);
	world_push(w, "m.js", source);
}

/* Times that add up to much more than the limit, each in one call. */
static const char *const long_calls[] = {
	"[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
	"[].lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
	"[].includes.call({ length: 2 ** 53 - 1 }, 1)",
	"[].join.call({ length: 2 ** 53 - 1 })",
	"[].reverse.call({ length: 2 ** 53 - 1 })",
	"[].forEach.call({ length: 2 ** 53 - 1 }, () => 0)",
	"[].some.call({ length: 2 ** 53 - 1 }, () => false)",
	"[].find.call({ length: 2 ** 53 - 1 }, () => false)",
	"[].reduce.call({ length: 2 ** 53 - 1 }, () => 0)",
	"[].at.call(new Proxy([], { get: (t, k) => { for (;;); } }), 0)",
	"[].copyWithin.call({ length: 2 ** 53 - 1 }, 1, 0)",
	"[].splice.call({ length: 2 ** 53 - 1 }, 0, 1)",
	"[].shift.call({ length: 2 ** 53 - 1 })",
	"[].unshift.call({ length: 2 ** 53 - 100 }, 1)",
	"[].sort.call({ length: 2 ** 32 - 2 })",
	"const a = []; a.length = 2 ** 32 - 1; a.indexOf(1)",
	"const a = []; a.length = 2 ** 32 - 1; a.forEach(() => 0)",
	"const a = []; a.length = 2 ** 32 - 1; [...a.keys()].length",
	"const a = []; a.length = 2 ** 32 - 1; a.every(() => 0)",
	"const a = []; a.length = 2 ** 32 - 1; a.flat()",
	"const a = []; a.length = 2 ** 32 - 1; a.sort()",
	"const a = []; a.length = 2 ** 32 - 1; JSON.stringify(a)",
	"const a = Array(30000).fill('x'); const b = Array(2000).fill(a); JSON.stringify(b).length",
	"const a = Array(400).fill(0.1234567); const b = Array(400).fill(a); for (;;) "
	"JSON.stringify(b)",
	"const s = JSON.stringify(Array(300000).fill(1.5)); for (;;) JSON.parse(s)",
	"const s = '[' + '1,'.repeat(5e5) + '1]'; for (;;) JSON.parse(s)",
	"let b = 3n; for (;;) b *= b",
	"let b = 3n ** 400000n; for (;;) b % 7919n",
	"const b = 7n ** 300000n; b.toString()",
	"const a = new Uint8Array(3e7); for (;;) a.indexOf(1)",
	"const a = new Float64Array(4e6); for (let i = 0; i < a.length; i += 1) a[i] = i * 7 % "
	"1009; for (;;) a.sort()",
	"const a = new Float64Array(4e6); for (;;) a.fill(1.5)",
	"const a = new Uint8Array(3e7); for (;;) a.reverse()",
	"const a = new Uint8Array(6e7); for (;;) new Uint8Array(100).set(a.subarray(0, 100)), "
	"a.join === 1 || a.lastIndexOf(1)",
	"const a = new Uint8Array(2e6).fill(7); for (;;) a.join()",
	"const s = 'a'.repeat(1e6); for (;;) s.indexOf('b')",
	"const s = 'a'.repeat(3e6) + 'b'; s.indexOf('a'.repeat(1e6) + 'c')",
	"const s = 'a'.repeat(1e6); for (;;) s.split('')",
	"const s = 'ab'.repeat(1e6); for (;;) s.split('a').length",
	"const s = 'ab'.repeat(1e6); for (;;) s.replaceAll('a', 'c')",
	"const s = 'ab'.repeat(1e6); for (;;) s.toUpperCase()",
	"const s = '\\u0130\\u00e9'.repeat(1e6); for (;;) s.normalize('NFD')",
	"const s = ' '.repeat(5e6) + 'x'; for (;;) s.trimEnd() + s.trim()",
	"const s = 'x'.repeat(1e6); for (;;) s.padStart(2e6, 'ab')",
	"const s = 'x'.repeat(1e6); for (;;) encodeURIComponent(s)",
	"const s = 'x'.repeat(1e6); for (;;) escape(s)",
	"const s = 'x'.repeat(1e6); for (;;) btoa(s)",
	"const s = 'x'.repeat(1e6), t = 'x'.repeat(999999) + 'y'; for (;;) s < t",
	"const s = 'x'.repeat(1e6); for (;;) s.localeCompare(s + 'y')",
	"const s = 'x'.repeat(1e6); for (;;) [...s].length",
	"return /(a*)*b/.test('a'.repeat(1e5))",
	"return 'a'.repeat(1e5).match(/(?=(a+))\\1*b/)",
	"return 'x'.repeat(1e6).replace(/x/g, '$&$&').length * 'a'.repeat(5e4).search(/(.*)*z/)",
	"for (;;) new RegExp('(?:a|b)'.repeat(1e4))",
	"for (;;) new RegExp('[' + 'a-z'.repeat(1e5) + ']')",
	"const m = new Map(Array.from({ length: 3e5 }, (_, i) => [i, i])); for (;;) new Map(m)",
	"const s = new Set(Array.from({ length: 3e5 }, (_, i) => i)); for (;;) s.union(s)",
	"const s = new Set(Array.from({ length: 3e5 }, (_, i) => i)); for (;;) s.isSubsetOf(s)",
	"const o = {}; for (let i = 0; i < 1e5; i++) o['k' + i] = i; for (;;) Object.keys(o)",
	"const o = {}; for (let i = 0; i < 1e5; i++) o['k' + i] = i; for (;;) Object.entries(o)",
	"const o = {}; for (let i = 0; i < 1e5; i++) o['k' + i] = i; for (;;) Object.freeze(o)",
	"const o = {}; for (let i = 0; i < 1e5; i++) o['k' + i] = i; for (;;) ({ ...o })",
	"const a = Array.from({ length: 1e6 }, (_, i) => i); for (;;) [...a]",
	"const a = Array(2e5).fill(1); for (;;) a.concat(a, a)",
	"const a = Array(1e5).fill(1); for (;;) Math.max(...a.slice(0, 60000))",
	"const a = Array.from({ length: 1e6 }, (_, i) => (i * 7919) % 1000003); for (;;) "
	"a.slice().sort()",
	"const a = Array.from({ length: 3e5 }, (_, i) => 'k' + i * 7919 % 999983); for (;;) "
	"a.toSorted()",
	"let o = {}; for (let i = 0; i < 300; i++) o = { o, a: [i] }; for (;;) structuredClone(o)",
	"for (;;) structuredClone(new Uint8Array(1e7))",
	"const o = Array(1e5).fill({ a: 1 }); for (;;) structuredClone(o)",
	"const p = Array(1e5).fill(Promise.resolve(1)); for (;;) Promise.all(p)",
	"Array.from({ length: 1e9 })",
	"Array.from({ length: 1e9 }, () => 1)",
	"new Array(2 ** 32 - 1).fill(0)",
	"Reflect.ownKeys(new Proxy({}, { ownKeys: () => { for (;;); } }))",
	"let p = {}; for (let i = 0; i < 1e5; i++) p = Object.create(p); for (;;) p.missing",
	"const d = new Date(0); for (;;) Array(1e4).fill(d).map(String)",
	"for (;;) new TextDecoder().decode(new Uint8Array(2e7))",
	"for (;;) new TextEncoder().encode('x'.repeat(1e6))",
	"for (;;) console.log(Array(1e4).fill('x').join())",
	"for (;;) new URL('http://a/' + 'x'.repeat(1e6))",
	"const o = { get then() { return [].indexOf.call({ length: 2 ** 53 - 1 }, 1) } }; await o",
	"ctx.db.query('t').withIndex('by_creation_time', (q) => q.eq('_creationTime',"
	" { get a() { return [].indexOf.call({ length: 2 ** 53 - 1 }, 1) } }))",
	"return { get a() { return [].indexOf.call({ length: 2 ** 53 - 1 }, 1) } }",
	"return [[[{ toJSON: 1, get a() { return [].lastIndexOf.call({ length: 2 ** 53 - 1 }, 1) } "
	"}]]]",
	"throw { get name() { return [].indexOf.call({ length: 2 ** 53 - 1 }, 1) }, __proto__: "
	"Error.prototype }",
	"throw Object.assign(new Error('x'), { get stack() { [].indexOf.call({ length: 2 ** 53 - 1 "
	"}) } })",
};

/* 04 checklist 34: every function of the engine that loops in C ends at the limit. */
TEST(long_calls_end_in_time)
{
	struct world w;
	int          bad = 0;

#ifdef NO_CUTS
	skip();
#endif
	open_with(&w, LIMIT_NS);
	for (size_t i = 0; i < COUNT_OF(long_calls); i++) {
		str out;

		push_body(&w, "", long_calls[i]);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		out = world_outcome(&w);
		if ((!str_eq(out, S(TIMEOUT)) && !str_eq(out, S(OOM))) ||
		    w.res.user_ns > LIMIT_NS + GRACE_NS) {
			print_error("  %s\n    %.*s after %.1f ms\n", long_calls[i],
			    STR_ARG(str_head(out, out.n < 100 ? out.n : 100)),
			    (double)w.res.user_ns / 1e6);
			bad++;
		}
		EXPECT(&w, "ok", "\"fine\"");
	}
	world_close(&w);
	CHECK_EQ(bad, 0);
}

/* The same at import. */
TEST(long_calls_at_import_end_in_time)
{
	struct world w;

#ifdef NO_CUTS
	skip();
#endif
	open_with(&w, LIMIT_NS);
	for (size_t i = 0; i < 20; i++) {
		char source[3000];

		snprintf(source, sizeof source,
		    HELPERS "try { (() => { %s })() } catch {} export const f = query(() => 1);",
		    long_calls[i]);
		world_push(&w, "m.js", source);
		EXPECT(&w, "f", TIMEOUT);
	}
	world_push(&w, "m.js", HELPERS "export const f = query(() => 1);");
	EXPECT(&w, "f", "1.0");
	world_close(&w);
}

/* The values themselves may be as large as what the limits allow, but not larger. */
static const char *const hungry[] = {
	"const a = []; for (;;) a.push({ x: a.length })",
	"const a = []; for (;;) a.push(new ArrayBuffer(1 << 20))",
	"const a = []; for (;;) a.push(new ArrayBuffer(100))",
	"const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))",
	"new ArrayBuffer(200 << 20)",
	"new ArrayBuffer(2 ** 31 - 1)",
	"new ArrayBuffer(10, { maxByteLength: 2 ** 31 - 1 }).resize(2 ** 30)",
	"const b = new ArrayBuffer(1, { maxByteLength: 2 ** 30 }); for (let n = 1;; n *= 2) "
	"b.resize(n)",
	"new SharedArrayBuffer(100 << 20)",
	"new Float64Array(1e7)",
	"const a = []; for (;;) a.push(new Uint8Array(5000).slice())",
	"const a = []; for (;;) a.push(structuredClone(new Uint8Array(1e6)))",
	"let s = 'x'; for (;;) { s += s; s.charCodeAt(0) }",
	"let s = 'x'; for (;;) s = s.concat(s, s).toUpperCase()",
	"'x'.repeat(100 << 20)",
	"'x'.padEnd(2 ** 29)",
	"const a = []; for (;;) a.push(Symbol('x'.repeat(1000)))",
	"const o = {}; for (let i = 0;; i++) o['k' + i] = i",
	"const a = []; for (let i = 0;; i++) a[i * 1000] = [i]",
	"const m = new Map(); for (let i = 0;; i++) m.set('k' + i, [i])",
	"const s = new Set(); for (let i = 0;; i++) s.add('x'.repeat(50) + i)",
	"const w = new WeakMap(), k = []; for (;;) { const o = {}; k.push(o); w.set(o, [o]) }",
	"let f = () => 0; for (;;) f = f.bind(null, f)",
	"let p = {}; for (;;) p = new Proxy(p, {})",
	"const a = []; for (;;) a.push(function* () { yield a }())",
	"const a = []; for (;;) a.push(async () => { await new Promise(() => {}) }), a[a.length - "
	"1]()",
	"const f = async (n) => { await null; return [await f(n + 1), n] }; await f(0)",
	"const a = []; for (;;) a.push(Promise.resolve(a))",
	"JSON.stringify(new Array(20 << 20).fill(1))",
	"JSON.parse('[' + '[],'.repeat(3e6) + '[]]')",
	"Array.from({ length: 1e9 })",
	"Array.from('x'.repeat(2e7))",
	"new Array(1e8).fill({})",
	"[...'x'.repeat(2e7)].map((c) => [c])",
	"'x'.repeat(2e7).split('')",
	"'x'.repeat(1e7).replace(/x/g, 'yyyyyyyyyyyyyyyyyyyy')",
	"'ab'.repeat(1e6).matchAll(/(a)(b)/g).toArray()",
	"const a = Array(1e6).fill(1); const b = []; for (;;) b.push(a.slice())",
	"const a = [1]; for (;;) a.push(...a.slice(0, 50000))",
	"let b = 3n; const a = []; for (;;) { a.push(b); b = b * 3n + 1n << 100n }",
	"const a = []; for (;;) a.push(new Date(), /x/g, new Error('x'))",
	"const a = []; for (;;) a.push(new TextEncoder().encode('x'.repeat(100000)))",
	"const t = new TextDecoder(), b = new Uint8Array(3e7).fill(97), a = []; for (;;) "
	"a.push(t.decode(b))",
	"const a = []; for (;;) a.push(btoa('x'.repeat(1e6)))",
	"const a = []; for (;;) a.push(new Blob(['x'.repeat(1e6)]))",
	"const a = []; for (;;) try { for (;;) a.push(new Array(1000)) } catch { } finally { "
	"a.push(1) }",
};

/* 04 checklist 35: no catch and no finally sees the end of memory. */
TEST(memory)
{
	struct world w;
	int          bad = 0;

	open_with(&w, 30 * 1000000000ull); /* some take their time */
	for (size_t i = 0; i < COUNT_OF(hungry); i++) {
		str out;

		push_body(&w, "", hungry[i]);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		out = world_outcome(&w);
		if (!str_eq(out, S(OOM))) {
			print_error("  %s\n    %.*s\n", hungry[i],
			    STR_ARG(str_head(out, out.n < 100 ? out.n : 100)));
			bad++;
		}
		EXPECT(&w, "ok", "\"fine\"");
	}
	world_close(&w);
	CHECK_EQ(bad, 0);
}

/* Spec 04 section 5.1: 64 MiB of buffers beside 64 MiB of everything else; both counts begin with
 * what the image holds. */
TEST(buffers_are_counted_separately)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS "const held = new Uint8Array(20 << 20).fill(1);"
		    "const fill = (mib) => { const a = []; for (let i = 0; i < mib; i++)"
		    "  a.push(new Uint8Array(1 << 20)); return a.length };"
		    "const stuff = (n) => { const a = []; for (let i = 0; i < n; i++)"
		    "  a.push(new Array(16384).fill(1)); return a.length };"
		    "export const f = query((ctx, { buffers, arrays }) => fill(buffers) + "
		    "stuff(arrays) + held[5]);");
	EXPECT_RUN(&w, UDF_QUERY, "f", "[{\"buffers\":42,\"arrays\":0}]", "43.0");
	EXPECT_RUN(&w, UDF_QUERY, "f", "[{\"buffers\":0,\"arrays\":200}]", "201.0");
	EXPECT_RUN(&w, UDF_QUERY, "f", "[{\"buffers\":42,\"arrays\":200}]", "243.0");
	EXPECT_RUN(&w, UDF_QUERY, "f", "[{\"buffers\":45,\"arrays\":0}]", OOM);
	EXPECT_RUN(&w, UDF_QUERY, "f", "[{\"buffers\":0,\"arrays\":300}]", OOM);
	world_close(&w);
}

static size_t
resident(void)
{
	unsigned long long pages = 0;
	FILE              *f = fopen("/proc/self/statm", "r");

	CHECK(f && fscanf(f, "%*u %llu", &pages) == 1);
	fclose(f);
	return (size_t)pages * 4096;
}

/* 04 checklist 35: what a bomb took is given back when it ends, also the last time. */
TEST(memory_goes_back)
{
	struct world w;
	size_t       before = 0;

#ifdef FRESNEL_SANITIZE
	skip();
#endif
	open_with(&w, 30 * 1000000000ull);
	for (int round = 0; round < 12; round++) {
		for (size_t i = 0; i < COUNT_OF(hungry); i += 4) {
			push_body(&w, "", hungry[i]);
			world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
			CHECK_STRZ(world_outcome(&w), OOM);
			if (round == 1 && i == 0)
				before = resident();
		}
	}
	print_message("  %zu KiB before, %zu KiB after\n", before >> 10, resident() >> 10);
	CHECK(resident() < before + ((size_t)12 << 20));
	world_close(&w);
}

TEST_RUN(T(long_calls_end_in_time), T(long_calls_at_import_end_in_time), T(memory),
    T(buffers_are_counted_separately), T(memory_goes_back))
