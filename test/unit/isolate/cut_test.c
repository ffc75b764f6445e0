/* cut_test.c - runs that are cut off at any moment: no memory of the host is lost (the sanitizer
 * build looks), no lock stays held, the next run is right.
 *
 * A second thread sends the watchdog's signal at random times, much more often than the watchdog
 * does, and runs get random times to live. */
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/watchdog.h"

#if defined(__SANITIZE_THREAD__)
#define NO_CUTS 1 /* this sanitizer holds signals back until a system call */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_CUTS 1
#endif
#endif

/* Each spends its time in another corner of the engine and of what calls it. */
static const char *const programs[] = {
	"[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
	"const s = JSON.stringify(Array(3000).fill({ a: 1.5, b: 'x' })); for (;;) JSON.parse(s)",
	"const o = Array(3000).fill({ a: 1.5, b: 'x' }); for (;;) JSON.stringify(o)",
	"for (;;) { let o = {}; for (let i = 0; i < 50; i++) o = { o, i, [`k${i}`]: [i] } }",
	"for (;;) await ctx.db.insert('t', { a: Array(300).fill('x'), b: { c: Array.from({ length: "
	"60 }, (_, i) => ({ i })) } })",
	"for (;;) { const id = await ctx.db.insert('t', { a: 'x' }); await ctx.db.get(id); await "
	"ctx.db.patch(id, { a: 'y' }); await ctx.db.delete(id) }",
	"for (let i = 0; i < 200; i++) await ctx.db.insert('t', { a: 'x'.repeat(100) + i }); for "
	"(;;) await ctx.db.query('t').collect()",
	"for (let i = 0; i < 100; i++) await ctx.db.insert('t', { i }); for (;;) { for await "
	"(const d of ctx.db.query('t')) d.i } ",
	"for (let i = 0; i < 100; i++) await ctx.db.insert('t', { i }); for (;;) await "
	"ctx.db.query('t').paginate({ cursor: null, numItems: 50 })",
	"for (;;) await ctx.db.query('t').filter((q) => q.or(q.eq(q.field('a'), 1), "
	"q.lt(q.field('b'), { c: [1, 2, 3] }))).first()",
	"for (;;) try { ctx.db.query('t').withIndex('by_creation_time', (q) => q.eq('a', { a: "
	"undefined, b: () => 0 })) } catch (e) { String(e.stack) }",
	"for (;;) try { await ctx.db.insert('t', { a: new Map([[1, { b: 2 }]]) }) } catch (e) { "
	"e.message }",
	"for (;;) try { await ctx.db.insert('t', { 'b\\u00e4d': 1 }) } catch (e) { e.message }",
	"for (;;) try { await ctx.db.insert('t', { a: [[[{ b: new (class Foo { x = 1 })() }]]] }) "
	"} catch (e) { e.message }",
	"for (;;) console.log('x', { a: [1, 2, 3], b: new Map([[1, 2]]) }, new Error('e'))",
	"for (;;) new TextDecoder().decode(new Uint8Array(3000).fill(200))",
	"for (;;) new TextDecoder('utf-16le').decode(new TextEncoder().encode('x'.repeat(5000)))",
	"for (;;) new TextDecoder('windows-1252').decode(new Uint8Array(5000).fill(200))",
	"for (;;) try { new URL('http://ex\\u00e4mple.com/' + 'x'.repeat(1000)) } catch {}",
	"for (;;) structuredClone({ a: [1, new Map([[1, new Uint8Array(100)]])], d: new Date() })",
	"const f = (n) => { try { f(n + 1) } finally { new Error('x').stack } }; for (;;) try { "
	"f(0) } catch {}",
	"for (;;) try { null.x } catch (e) { e.stack }",
	"for (;;) process.env.SOMETHING",
	"for (;;) try { Convex.syscall('1.0/queryStream', JSON.stringify({ query: { source: { "
	"type: 'FullTableScan', tableName: 't', order: null }, operators: [] }, version: '1.48.0' "
	"})) } catch {}",
	"for (;;) await Convex.asyncSyscall('1.0/insert', JSON.stringify({ table: 't', value: { a: "
	"'x'.repeat(500) } }))",
	"for (;;) await Convex.asyncSyscall('1.0/count', JSON.stringify({ table: 't' }))",
	"for (;;) await Promise.all(Array.from({ length: 100 }, async (_, i) => { await null; "
	"return i }))",
	"for (;;) { const p = Promise.reject(new Error('x')); await p.catch(() => 0) }",
	"for (;;) 'ab'.repeat(2000).replace(/(a)(b)/g, (m, a, b) => b + "
	"a).split('b').sort().join()",
	"const a = []; for (let i = 0; ; i++) { a.push(new Uint8Array(10000)); if (i % 50 == 0) "
	"a.length = 0 }",
	"const a = []; for (;;) a.push({ a: 'x'.repeat(100) })",
	"const a = []; for (;;) a.push(new Array(1000).fill(1)) ",
	"return Array.from({ length: 5000 }, (_, i) => ({ i, a: ['x'.repeat(20), { b: i }] }))",
	"throw Object.assign(new Error('x'), { [Symbol.for('ConvexError')]: true, data: "
	"Array(5000).fill({ a: 'x' }) })",
	"for (;;) crypto.getRandomValues(new Uint8Array(60000))",
	"for (;;) btoa(atob(btoa('x'.repeat(9000))))",
};

static atomic_bool over;
static pthread_t   target;

static void *
hail(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (!atomic_load(&over)) {
		struct timespec t = { .tv_nsec = 20000 + rand_r(&seed) % 200000 };

		nanosleep(&t, NULL);
		(void)pthread_kill(target, WATCHDOG_SIGNAL);
	}
	return NULL;
}

static void
push_programs(struct world *w)
{
	static char source[20000];
	size_t      at = (size_t)snprintf(source, sizeof source,
		 HELPERS "export const ok = query(async (ctx) => (await "
			      "ctx.db.query('t').collect()).length);\n");

	for (size_t i = 0; i < COUNT_OF(programs); i++)
		at += (size_t)snprintf(source + at, sizeof source - at,
		    "export const f%zu = mutation(async (ctx) => { try { %s } catch (e) { throw e }"
		    " finally { globalThis.leak = 1 } });\n",
		    i, programs[i]);
	assert_true(at < sizeof source);
	world_push(w, "m.js", source);
}

/* Times from almost nothing to a few milliseconds. */
TEST(any_moment_will_do)
{
	struct world w;
	pthread_t    t;
	unsigned     seed = 7, cut = 0, runs = 0;
	time_t       end = time(NULL) + 15;

#ifdef NO_CUTS
	skip();
#endif
	world_open(&w);
	push_programs(&w);
	EXPECT(&w, "ok", "0.0");
	target = pthread_self();
	CHECK_EQ(pthread_create(&t, NULL, hail, NULL), 0);
	while (time(NULL) < end) {
		char name[20];

		snprintf(name, sizeof name, "f%zu", (size_t)rand_r(&seed) % COUNT_OF(programs));
		w.leave_after_ns = 20000 + (uint64_t)(rand_r(&seed) % 4000) * 1000;
		world_run(&w, UDF_MUTATION, "m.js", name, "[{}]");
		w.leave_after_ns = 0;
		cut += w.res.left;
		if (++runs % 16 == 0)
			EXPECT(&w, "ok", "0.0");
	}
	atomic_store(&over, true);
	CHECK_EQ(pthread_join(t, NULL), 0);
	world_close(&w);
	print_message("  %u runs, %u of them cut\n", runs, cut);
	CHECK(cut > runs / 2);
}

/* A run that is better off elsewhere says so instead of timing out; it is not a failure of time. */
TEST(leaving_beats_the_timeout)
{
	const char *const bodies[] = { "for (;;);", "[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
		"try { for (;;); } catch { return 1 } finally { for (;;); }" };
	struct world      w;

#ifdef NO_CUTS
	skip();
#endif
	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		char source[1000];

		snprintf(source, sizeof source,
		    HELPERS "export const f = query(() => { %s });"
			    "export const g = query(() => 5);",
		    bodies[i]);
		world_push(&w, "m.js", source);
		w.leave_after_ns = 50000000;
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK(!w.res.ok && w.res.left);
		CHECK(w.res.user_ns >= 50000000 && w.res.user_ns < 100000000);
		EXPECT(&w, "g", "5.0");
		CHECK(!w.res.left);
	}
	world_close(&w);
}

TEST_RUN(T(any_moment_will_do), T(leaving_beats_the_timeout))
