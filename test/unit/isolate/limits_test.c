/* limits_test.c - what a run may not exceed: CPU, memory, stack; and that the process, the
 * isolate and the next run do not notice. */
#include "world.h"

#include <pthread.h>
#include <time.h>

#define TIMEOUT "! Function execution timed out (maximum duration: 0.1s)"
#define OOM     "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)"

#ifdef FRESNEL_SANITIZE
#define SMALL_STACK ((size_t)3 << 20) /* a sanitizer keeps things of its own there */
#else
#define SMALL_STACK ((size_t)1 << 20)
#endif

static void
open_quick(struct world *w)
{
	world_open(w);
	isolate_free(w->iso);
	w->iso = isolate_new(&(struct isolate_opts){ .os = os_real(),
	    .user_time_ns = 100000000 });
}

/* 04 checklist 34: every way to burn CPU ends with the text, catch and finally or not; the
 * next run is unaffected. */
TEST(cpu_time)
{
	const char *const bodies[] = {
		"while (true) {}",
		"try { while (true) {} } catch { return 'caught' } finally { while (true) {} }",
		"await null; for (;;) {}",
		"const f = () => Promise.resolve().then(f); await f();",
		"const f = async () => { for (;;) await null }; await f();",
		"return /^(a+)+$/.test('a'.repeat(40) + 'b')",
		"[...Array(1000).keys()].sort(() => { for (;;) {} })",
		"return [1].map(() => { for (;;) {} })",
		"function* g() { for (;;) yield 1 } for (const x of g()) {}",
		"const p = new Proxy({}, { get() { for (;;) {} } }); return p.x",
		"return { get a() { for (;;) {} } }",
		"throw { get name() { for (;;) {} }, __proto__: Error.prototype }",
		"return `${{ toString() { for (;;) {} } }}`",
		"(async () => { for (;;) await null })(); return 1",
	};
	struct world w;

	open_quick(&w);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[3000];

		print_message("  %s\n", bodies[i]);
		snprintf(source, sizeof source,
		    HELPERS "export const f = query(async () => { %s });\n"
			    "export const ok = query(() => 'fine');",
		    bodies[i]);
		world_push(&w, "m.js", source);
		EXPECT(&w, "f", TIMEOUT);
		CHECK(w.res.user_ns >= 100000000 && w.res.user_ns < 900000000);
		EXPECT(&w, "ok", "\"fine\"");
	}
	world_close(&w);
}

/* 04 checklist 34: the same in module scope. */
TEST(cpu_time_of_the_import)
{
	struct world w;

	open_quick(&w);
	world_push(&w, "m.js", HELPERS "while (true) {} export const f = query(() => 1);");
	EXPECT(&w, "f", TIMEOUT);
	world_push(&w, "m.js", HELPERS "export const f = query(() => 1);");
	EXPECT(&w, "f", "1.0");
	world_close(&w);
}

static status
slow_callee(void *arg, const struct nested_call *c, struct run_result *caller, struct val *ret,
    struct err *e)
{
	struct timespec t = { .tv_nsec = 50000000 };

	(void)arg, (void)caller, (void)e;
	CHECK(c->system_left_ns > 0 && c->system_left_ns <= 200000000);
	nanosleep(&t, NULL);
	*ret = val_null;
	return ST_OK;
}

/* 04 checklist 34: operations do not use up the function's time but have a budget of their own,
 * whose end nothing catches. */
TEST(system_time)
{
	const char *const bodies[] = {
		"let e = ctx.db.query('t').filter((q) => { let e = q.eq(1, 1);"
		"  for (let i = 0; i < 40; i++) e = q.and(e, e); return e });"
		"try { await e.collect() } catch { return 'caught' } finally { for (;;) {} }",
		"for (;;) try { await ctx.runQuery('a:b', {}) } catch {}",
		"for (;;) ctx.runQuery('a:b', {})",
	};
	struct world w;

	world_open(&w);
	isolate_free(w.iso);
	w.iso = isolate_new(&(struct isolate_opts){ .os = os_real(),
	    .user_time_ns = 100000000, .system_time_ns = 200000000 });
	w.host.nested = slow_callee;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct err e = err_in(w.arena);
		char       source[3000];

		snprintf(source, sizeof source,
		    HELPERS "export const add = mutation((ctx) => ctx.db.insert('t', {}));\n"
			    "export const f = query(async (ctx) => { %s });\n"
			    "export const three = query(async (ctx) => {"
			    "  for (let i = 0; i < 3; i++) await ctx.runQuery('a:b', {});"
			    "  return 'fine' });",
		    bodies[i]);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_MUTATION, "m.js", "add", "[{}]");
		CHECK_EQ(world_run_in(&w, NULL, UDF_QUERY, "m.js", "f", "[{}]", &e),
		    ST_BAD_REQUEST);
		CHECK_STRZ(e.code, "SystemTimeoutError");
		CHECK_STRZ(e.text,
		    "Your request timed out performing too many system operations.");
		EXPECT(&w, "three", "\"fine\"");
		CHECK(w.res.user_ns < 100000000);
	}
	world_close(&w);
}

/* 04 checklist 35: running out of memory ends the run however it is tried. */
TEST(memory)
{
	const char *const bodies[] = {
		"const a = []; for (;;) a.push({ x: a.length })",
		"const a = []; for (;;) a.push(new ArrayBuffer(1 << 20))",
		"return new ArrayBuffer(200 << 20)",
		"let s = 'x'; for (;;) { s += s; s.charCodeAt(0) }",
		"try { for (const a = [];;) a.push(new Array(1000).fill(1)) } catch { return 1 }",
		"const m = new Map(); for (let i = 0;; i++) m.set('k' + i, [i])",
		"const f = async (n) => { await null; return [await f(n + 1), n] }; await f(0)",
		"const a = []; for (;;) { a.push((async () => { await null; return a })()) }",
		"return 'x'.repeat(100 << 20)",
		"const a = []; for (;;) { try { a.push('y'.repeat(1000) + a.length) } catch {} }",
		"const a = new Uint8Array(40 << 20), b = a.slice(); return b.length",
		"return JSON.stringify(new Array(8 << 20).fill(1))",
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[3000];

		print_message("  %s\n", bodies[i]);
		snprintf(source, sizeof source,
		    HELPERS "export const f = query(async () => { %s });\n"
			    "export const ok = query(() => 'fine');",
		    bodies[i]);
		world_push(&w, "m.js", source);
		EXPECT(&w, "f", OOM);
		EXPECT(&w, "ok", "\"fine\"");
		EXPECT(&w, "f", OOM);
	}
	world_close(&w);
}

/* Memory that a run used up to the limit is there again for the next one. */
TEST(memory_is_back)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS "export const f = query(() => {"
	    "  const a = new Uint8Array(45 << 20); a.fill(1); return a.length });");
	for (int i = 0; i < 5; i++)
		EXPECT(&w, "f", "47185920.0");
	world_close(&w);
}

/* 04 checklist 36: deep recursion is a RangeError that can be caught. */
static void
deep(void *arg)
{
	const char *const bodies[] = {
		"const f = (n) => f(n + 1) + 1; return f(0)",
		"const f = async (n) => { await f(n + 1) }; await f(0)",
		"let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return JSON.stringify(o)",
		"let s = '['.repeat(2e5); return JSON.parse(s)",
		"const p = new Proxy({}, { get(t, k, r) { return r[k] } }); return p.x",
		"const o = { get a() { return this.a } }; return o.a",
		"const a = []; a[0] = a; const f = () => [1].map(f); return f()",
		"class A { constructor() { new A() } } new A()",
		"const o = { toString() { return `${o}` } }; return `${o}`",
		"let o = {}; for (let i = 0; i < 1e5; i++) o = [o]; return o.flat(Infinity).length",
	};
	struct world w;

	(void)arg;
	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[3000];

		print_message("  %s\n", bodies[i]);
		snprintf(source, sizeof source, HELPERS "const body = async () => { %s };"
		    "export const f = query(async () => { try { await body(); return 'no error' }"
		    " catch (e) { return e instanceof RangeError || e instanceof SyntaxError ?"
		    " 'caught' : String(e) } });\n", bodies[i]);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK_STRZ(world_outcome(&w), "\"caught\"");
	}
	world_close(&w);
}

TEST(stack)
{
	deep(NULL);
}

static void *
small_thread(void *arg)
{
	deep(arg);
	return NULL;
}

/* The limit adapts to what the thread has. */
TEST(stack_of_a_small_thread)
{
	pthread_attr_t attr;
	pthread_t      t;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, SMALL_STACK), 0);
	CHECK_EQ(pthread_create(&t, &attr, small_thread, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	pthread_attr_destroy(&attr);
}

/* Two isolates on two threads, faulting and failing at the same time. */
static void *
busy(void *arg)
{
	struct world w;

	(void)arg;
	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS
	    "const big = Array.from({ length: 20000 }, (_, i) => ({ i }));\n"
	    "export const touch = query((ctx, { n }) => { let s = 0; for (let i = 0; i < n; i++) {"
	    "  big[i].i++; s += big[i].i } return s });\n"
	    "export const oom = query(() => { const a = []; for (;;) a.push(new Array(1000)) "
	    "});\n");
	for (int i = 0; i < 30; i++) {
		EXPECT_RUN(&w, UDF_QUERY, "touch", "[{\"n\":20000}]", "200010000.0");
		EXPECT_RUN(&w, UDF_QUERY, "touch", "[{\"n\":3}]", "6.0");
		if (i % 10 == 0)
			EXPECT(&w, "oom", OOM);
	}
	world_close(&w);
	return NULL;
}

TEST(two_isolates_on_two_threads)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, busy, NULL), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

TEST_RUN(T(cpu_time), T(cpu_time_of_the_import), T(system_time), T(memory),
    T(memory_is_back), T(stack),
    T(stack_of_a_small_thread), T(two_isolates_on_two_threads))
