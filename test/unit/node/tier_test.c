/* tier_test.c - functions in V8: the same results as in the isolate and limits, no way out. */
#include "../isolate/functions.h"

#include <unistd.h>

#include "node/tier.h"

/* As world.h's, with the helpers that are called in V8. */
#define HELPERS_V8                                                            \
	"const reg = (kind, f) => Object.assign(() => {}, { ['is' + kind]: true,"   \
	"  isPublic: true,"                                                         \
	"  ['invoke' + kind]: async (args) => JSON.stringify((await f({}, ...JSON.parse(args)))"  \
	"  ?? null) });\n"                                                         \
	"const query = (f) => reg('Query', f), mutation = (f) => reg('Mutation', f);\n"

static status
in_tier(void *arg, struct isolate *iso, const struct run_request *q, struct run_result *ret,
    struct err *e)
{
	return tier_run(arg, &(struct tier_run){ .iso = iso, .req = q }, ret, e);
}

static struct tier *
new_tier(void)
{
	return tier_new(&(struct tier_opts){ .os = os_real(), .calls_max = 2 });
}

/* Opens a world whose functions run in V8. */
static struct tier *
open_tier(struct world *w)
{
	struct tier *t = new_tier();

	world_open(w);
	w->elsewhere = in_tier;
	w->elsewhere_arg = t;
	return t;
}

static void
close_tier(struct world *w, struct tier *t)
{
	world_close(w);
	tier_free(t);
}

static void
compare(const char *function, const char *a, const char *b, int *differ)
{
	if (strcmp(a, b) == 0)
		return;
	(*differ)++;
	fprintf(stderr, "=== %s\n    isolate: %s\n    V8:      %s\n", function, a, b);
}

/* A function cannot tell which engine runs it: what it returns, throws, logs and observes. */
TEST(both_engines_are_the_same)
{
	struct world isolate, v8;
	struct tier *t = new_tier();
	int          differ = 0;

	open_world(&isolate, true, NULL, NULL);
	open_world(&v8, true, in_tier, t);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *args = rows[i].args ? rows[i].args : "[{}]";
		char       *a = report(&isolate, rows[i].kind, rows[i].function, args);
		char       *b = report(&v8, rows[i].kind, rows[i].function, args);

		compare(rows[i].function, a, b, &differ);
		mem_free(a);
		mem_free(b);
	}
	CHECK_EQ(differ, 0);
	world_close(&isolate);
	close_tier(&v8, t);
}


/* 04 checklist 8, 14, 15, 16: the run loop, and what can be wrong with it. */
TEST(the_run_loop)
{
	struct world w;
	struct tier *t = open_tier(&w);

	world_push(&w, "m.js",
	    HELPERS_V8
	    "export const one = query(async () => 1);\n"
	    "export const never = query(() => new Promise(() => {}));\n"
	    "export const floating = query(async () => { Promise.reject(new Error('adrift')); "
	    "return 1 });\n"
	    "export const handled = query(async () => { const p = Promise.reject(new Error('no'));"
	    "  await null; try { await p } catch (e) { return e.message } });\n"
	    "export const late = query(async () => { Promise.resolve().then(() => {"
	    "  throw new TypeError('late') }); return 1 });\n"
	    "export const text = query(async () => { throw 'x' });\n"
	    "export const object = query(async () => { throw {} });\n"
	    "export const getter = query(async () => { const e = new Error('m');"
	    "  Object.defineProperty(e, 'name', { get() { throw 1 } }); throw e });\n"
	    "export const timer = query(async () => { setTimeout(() => {}, 1); return 1 });\n"
	    "export const unimplemented = query(async () => { try { performance.timing } catch {}"
	    "  return 1 });\n"
	    "export const m = mutation(() => 1), f = () => 2;\n");
	EXPECT(&w, "one", "1.0");
	EXPECT(&w, "never", "! Returned promise will never resolve");
	EXPECT(&w, "floating", "! Uncaught Error: adrift");
	EXPECT(&w, "handled", "\"no\"");
	EXPECT(&w, "late", "! Uncaught TypeError: late");
	EXPECT(&w, "text", "! Uncaught x");
	EXPECT(&w, "object", "! Uncaught #<Object>");
	EXPECT(&w, "getter", "! Uncaught Error: m");
	EXPECT(&w, "timer",
	    "! Uncaught Error: Can't use setTimeout in queries and mutations. Please consider "
	    "using an action. See https://docs.convex.dev/functions/actions for more details.");
	EXPECT(&w, "unimplemented",
	    "! Not implemented: get timing for Performance. Consider calling an action defined in "
	    "Node.js instead (https://docs.convex.dev/functions/actions).");
	EXPECT(&w, "none", "! Couldn't find \"none\" in module \"m.js\".");
	EXPECT(
	    &w, "m", "! Function m.js:m is registered as a mutation but is being run as a query.");
	EXPECT(&w, "f",
	    "! Function m.js:f is neither a query or mutation. Did you forget to wrap it with "
	    "`query` or `mutation`?");
	EXPECT(&w, "one", "1.0");
	close_tier(&w, t);
}

/* Spec 04 section 3.2: both engines go on with the same generator and the same clocks; import and
 * run have their own. */
TEST(randomness_and_time_are_the_same)
{
	static const char source[] = HELPERS_V8
	    "const early = [Math.random(), Date.now(), crypto.randomUUID()];\n"
	    "let queued; Promise.resolve().then(() => { queued = Date.now() });\n"
	    "export const f = query(async () => { await null; await null;"
	    "  return [...early, queued, Math.random(), Date.now(), crypto.randomUUID(),"
	    "  performance.now(), performance.timeOrigin, String(new Date()),"
	    "  [...crypto.getRandomValues(new Uint8Array(20))]] });\n";
	struct world a, b;
	struct tier *t = open_tier(&b);

	world_open(&a);
	a.syscalls = true;
	world_push(&a, "m.js", source);
	world_push(&b, "m.js", source);
	for (int i = 0; i < 2; i++) {
		world_run(&a, UDF_QUERY, "m.js", "f", "[{}]");
		world_run(&b, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK_STR(world_outcome(&b), world_outcome(&a));
		CHECK_EQ(b.res.observed_rng, true);
		CHECK_EQ(b.res.observed_time, true);
	}
	world_close(&a);
	close_tier(&b, t);
}

/* Modules: their graph, what import may not do, what it observes. */
TEST(modules)
{
	struct world w;
	struct tier *t = open_tier(&w);

	world_push(&w, "_deps/a.js", "import { n } from './b.js'; export const m = n + 1;\n");
	world_push(&w, "_deps/b.js", "export const n = 1; export const env = process.env.WHO;\n");
	world_push(&w, "m.js", HELPERS_V8
	    "import { m } from './_deps/a.js'; import { env } from './_deps/b.js';\n"
	    "console.log('import', m);\n"
	    "export const f = query(async () => [m, env, process.env.WHO]);\n"
	    "export const g = query(async () => { try { await import('./_deps/a.js') }"
	    "  catch (e) { return [e instanceof TypeError, e.message] } });\n"
	    "export const meta = query(async () => { try { import.meta.url } catch (e) {"
	    "  return e.message } });\n");
	world_push(&w, "await.js", "await 1; export const f = 1;\n");
	world_push(&w, "missing.js", "import './nowhere.js'; export const f = 1;\n");
	world_push(&w, "node.js", "import 'node:fs'; export const f = 1;\n");
	world_push(&w, "throws.js", "throw new RangeError('at import');\n");
	world_push(&w, "db.js", "Convex.syscall('1.0/queryStream', '{}');\n");
	world_env(&w, "WHO", "me");
	EXPECT(&w, "f", "[2.0,\"me\",\"me\"]");
	CHECK_EQ(w.res.logs.lines.n, 1);
	CHECK_STRZ(w.res.logs.lines.v[0].messages[0], "'import'");
	EXPECT(&w, "g", "[true,\"dynamic module import unsupported\"]");
	EXPECT(&w, "meta", "\"import.meta unsupported\"");
	world_run(&w, UDF_QUERY, "await.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w), "! Top-level awaits in source files are unsupported");
	world_run(&w, UDF_QUERY, "missing.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w), "! Couldn't find JavaScript module 'nowhere.js'. Did you "
	                              "forget to run `npx convex dev`?");
	world_run(&w, UDF_QUERY, "node.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w), "! Unsupported scheme (node) in node:fs");
	world_run(&w, UDF_QUERY, "throws.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w), "! Uncaught RangeError: at import");
	world_run(&w, UDF_QUERY, "db.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w), "! Uncaught Error: Can't use database at import time");
	close_tier(&w, t);
}

/* 04 checklist 34, 35 and 36: what ends a run in V8, and that it is over then. */
TEST(bombs)
{
	static const struct {
		const char *body, *want;
	} bombs[] = {
		{ "while (true) {}", "! Function execution timed out (maximum duration: 1s)" },
		{ "for (;;) await null",
		    "! Function execution timed out (maximum duration: 1s)" },
		{ "/^(a+)+$/.test('a'.repeat(40) + 'b')",
		    "! Function execution timed out (maximum duration: 1s)" },
		{ "[].indexOf.call({ length: 2 ** 53 }, 1)",
		    "! Function execution timed out (maximum duration: 1s)" },
		{ "try { while (true) {} } finally { return 1 }",
		    "! Function execution timed out (maximum duration: 1s)" },
		/* in large pieces: with small ones the second is over first on a busy machine */
		{ "const a = []; for (;;) a.push(Array(100000).fill(a))",
		    "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)" },
		{ "const a = []; try { for (;;) a.push(new Uint8Array(1 << 20).fill(1)) } catch {}",
		    "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)" },
		{ "const r = () => r() + 1; try { r() } catch (e) {"
		  "  return e instanceof RangeError }",
		    "true" },
		{ "for (;;) console.log(1)",
		    "! Function execution timed out (maximum duration: 1s)" },
		{ "return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
		    "! Uncaught TypeError: cannot block in this thread" },
	};
	struct world w;
	struct tier *t = open_tier(&w);

	for (size_t i = 0; i < COUNT_OF(bombs); i++) {
		char source[2000];

		snprintf(source, sizeof source,
		    HELPERS_V8 "export const f = query(async () => { %s });\n"
		               "export const g = query(async () => 1);\n", bombs[i].body);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK_STRZ(world_outcome(&w), bombs[i].want);
		assert_true(w.res.user_ns < 1200000000u);
		EXPECT(&w, "g", "1.0");
	}
	close_tier(&w, t);
}

/* Functions reach nothing but their context, and leave nothing behind in the process. */
TEST(there_is_no_way_out)
{
	static const char *const ways[] = {
		"({}).constructor.constructor('return process')()",
		"globalThis.constructor.constructor('return process')()",
		"eval('1')",
		"(async () => {}).constructor('return process')()",
		"(function* () {}).constructor('return process')()",
		"Reflect.construct(Function, ['return process'])()",
		"(() => { const p = import('x'); p.catch(() => {});"
		"  return p.constructor.constructor('return process')() })()",
		"console.log.constructor('return process')()",
		"Convex.syscall.constructor('return process')()",
		"(() => { const e = new Error(); e.name = Symbol(); try { e.stack } catch (x) {"
		"  return x.constructor.constructor('return process')() }"
		"  throw new EvalError() })()",
		"(() => { function f() { try { return f() } catch (e) { const c = e.constructor"
		"  .constructor; return c('return process')() } } return f() })()",
		"(() => { let found; const old = Error.prepareStackTrace; Error.prepareStackTrace ="
		"  (e, sites) => { for (const s of sites) { const f = s.getFunction?.();"
		"  if (f && !String(f).includes('found')) found = f } return '' };"
		"  new Error().stack; if (found) return found.constructor('return process')();"
		"  throw new EvalError() })()",
	};
	struct world w;
	struct tier *t = open_tier(&w);
	struct buf   b;

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		buf_init(&b, BUF_MAX_DEFAULT);
		buf_fmt(&b, HELPERS_V8 "export const f = query(async () => { try { return"
		               " Object.prototype.toString.call(%s) } catch (e) {"
		               "  return e.name } });\n", ways[i]);
		buf_add_byte(&b, 0);
		world_push(&w, "m.js", b.p);
		buf_clear(&b);
		EXPECT(&w, "f", "\"EvalError\"");
	}
	world_push(&w, "m.js", HELPERS_V8
	    "export const set = query(async () => { globalThis.x = 1; Array.prototype.x = 1;"
	    "  new AsyncLocalStorage().enterWith(1); return 1 });\n"
	    "export const get = query(async () => [typeof x, typeof [].x, typeof require,"
	    "  typeof process.version, typeof Buffer, typeof global, typeof gc, typeof module,"
	    "  typeof setImmediate, typeof __host, typeof SharedArrayBuffer, typeof WebAssembly,"
	    "  Object.keys(globalThis).join()]);\n");
	EXPECT(&w, "set", "1.0");
	EXPECT(&w, "get", "[\"undefined\",\"undefined\",\"undefined\",\"undefined\",\"undefined\","
	                  "\"undefined\",\"undefined\",\"undefined\",\"undefined\",\"undefined\","
	                  "\"function\",\"object\",\"\"]");
	close_tier(&w, t);
}

TEST(web_assembly)
{
	struct world w;
	struct tier *t = open_tier(&w);

	world_push(&w, "m.js", HELPERS_V8
	    "const m = new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,"
	    "127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]));\n"
	    "export const f = query(async () => {"
	    "  const i = await WebAssembly.instantiate(m); return i.exports.add(2, 3) });\n");
	EXPECT(&w, "f", "5.0");
	close_tier(&w, t);
}

/* Without Node.js nothing begins. */
TEST(no_node)
{
	struct world w;
	struct tier *t = tier_new(&(struct tier_opts){ .os = os_real(), .node = "/bin/false" });
	struct err   e = err_in(NULL);

	world_open(&w);
	w.elsewhere = in_tier;
	w.elsewhere_arg = t;
	world_push(&w, "m.js", HELPERS_V8 "export const f = query(async () => 1);\n");
	CHECK(tier_available(t));
	CHECK_EQ(world_run_in(&w, NULL, UDF_QUERY, "m.js", "f", "[{}]", &e),
	    ST_FEATURE_UNAVAILABLE);
	CHECK(!tier_available(t));
	close_tier(&w, t);
}

/* A process that nobody needs ends; the next run has another. */
TEST(idle_processes_end)
{
	struct tier *t = tier_new(&(struct tier_opts){ .os = os_real(), .idle_ns = 100000000 });
	struct world w;

	world_open(&w);
	w.elsewhere = in_tier;
	w.elsewhere_arg = t;
	world_push(&w, "m.js", HELPERS_V8 "export const f = query(async () => 1);\n");
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(tier_processes(t), 0);
		EXPECT(&w, "f", "1.0");
		CHECK_EQ(tier_processes(t), 1);
		for (int n = 0; n < 500 && tier_processes(t) > 0; n++)
			usleep(10000);
	}
	CHECK_EQ(tier_processes(t), 0);
	close_tier(&w, t);
}

/* Node.js keeps what runs leave behind: no run may find its memory taken by others. */
TEST(old_processes_are_replaced)
{
	struct world w;
	struct tier *t = open_tier(&w);

	world_push(&w, "m.js",
	    HELPERS_V8 "const table = Array.from({ length: 100000 }, (_, i) => ({ i }));\n"
	               "export const f = query(async () => table[7].i);\n");
	for (int i = 0; i < 60; i++) {
		EXPECT(&w, "f", "7.0");
		CHECK(tier_processes(t) <= 2);
	}
	close_tier(&w, t);
}

/* What recent JavaScript has, wherever a function runs. */
TEST(both_engines_have_the_same_globals)
{
	static const char source[] = HELPERS_V8
	    "const has = (path) => { let at = globalThis; for (const key of path.split('.'))"
	    "  at = at?.[key]; return at !== undefined };\n"
	    "export const f = query(async () => ['Object.groupBy', 'Map.groupBy', 'Iterator.from',"
	    "  'Iterator.prototype.map', 'Set.prototype.union', 'Promise.withResolvers',"
	    "  'Promise.try', 'Array.fromAsync', 'RegExp.escape', 'Error.isError',"
	    "  'Uint8Array.fromBase64', 'Math.sumPrecise', 'DisposableStack', 'Symbol.dispose',"
	    "  'ArrayBuffer.prototype.transfer', 'Map.prototype.getOrInsert', 'DOMException',"
	    "  'atob', 'queueMicrotask', 'structuredClone', 'URL', 'fetch', 'crypto.subtle',"
	    "  'AsyncLocalStorage', 'ReadableStream', 'Intl.NumberFormat'"
	    "].filter((x) => !has(x)));\n"
	    "export const g = query(async () => { const a = new Uint8Array([1, 2, 3]);"
	    "  const b = a.buffer.transfer(2); return [a.length, [...new Uint8Array(b)]] });\n"
	    "export const named = query(async () => Object.getOwnPropertyNames(globalThis)"
	    "  .filter((k) => k !== 'WebAssembly' && typeof globalThis[k] === 'function'"
	    "    && globalThis[k].name !== k));\n";
	struct world w;
	struct tier *t = open_tier(&w);

	world_push(&w, "m.js", source);
	EXPECT(&w, "f", "[]");
	EXPECT(&w, "g", "[0.0,[1.0,2.0]]");
	EXPECT(&w, "named", "[]");
	w.elsewhere = NULL;
	EXPECT(&w, "f", "[]");
	EXPECT(&w, "named", "[]");
	w.syscalls = true;
	EXPECT(&w, "g", "[0.0,[1.0,2.0]]");
	close_tier(&w, t);
}

TEST_RUN(T(both_engines_are_the_same), T(the_run_loop), T(randomness_and_time_are_the_same),
    T(modules), T(bombs), T(there_is_no_way_out), T(web_assembly), T(no_node),
    T(old_processes_are_replaced), T(idle_processes_end), T(both_engines_have_the_same_globals))
