/* deep_test.c - recursion through everything that calls back, and values and sources that are
 * nested deeply: a RangeError at worst, never a crash. */
#include "world.h"

/* Ways to get to f() again.  Each shape takes two of them in turn. */
static const char *const ways[] = {
	"f()",
	"f.call(1)",
	"f.bind(1)()",
	"Reflect.apply(f, 1, [])",
	"new f()",
	"Reflect.construct(class { constructor() { f() } }, [])",
	"new class extends Object { constructor() { super(); f() } }",
	"f`x`",
	"[1].map(f)",
	"[2, 1].sort(f)",
	"[1, 2].reduce(f)",
	"[1].flatMap(f)",
	"Array.from([1], f)",
	"Object.groupBy([1], f)",
	"[].concat({ get [Symbol.isConcatSpreadable]() { return f() } })",
	"String([{ toString: f }])",
	"new Uint8Array(2).map(f)",
	"new Uint8Array(2).sort(f)",
	"Uint8Array.from({ length: 1, get 0() { return f() } })",
	"new Map([[1, 1]]).forEach(f)",
	"JSON.stringify({ toJSON: f })",
	"JSON.stringify({ get a() { return f() } })",
	"JSON.stringify([1], f)",
	"JSON.parse('[1]', f)",
	"'x'.replace('x', f)",
	"'x'.replace(/x/, f)",
	"'x'.split({ [Symbol.split]: f })",
	"/x/.exec({ toString: f })",
	"`${{ toString: f }}`",
	"+{ valueOf: f }",
	"({ [Symbol.toPrimitive]: f }) + 1",
	"({ get a() { return f() } }).a",
	"({ set a(v) { f() } }).a = 1",
	"Object.assign({ set a(v) { f() } }, { a: 1 })",
	"({ ...{ get a() { return f() } } })",
	"Object.defineProperty({}, 'a', { get value() { return f() } })",
	"new Proxy({}, { get: f }).a",
	"'a' in new Proxy({}, { has: f })",
	"Object.keys(new Proxy({}, { ownKeys: f }))",
	"Object.getPrototypeOf(new Proxy({}, { getPrototypeOf: f }))",
	"new Proxy(() => 0, { apply: f })()",
	"new (new Proxy(class {}, { construct: f }))()",
	"[...{ *[Symbol.iterator]() { f() } }]",
	"{ const [x] = { [Symbol.iterator]: f } }",
	"{ const { x = f() } = {} }",
	"for (const x of { [Symbol.iterator]: f });",
	"(function* () { yield* (function* () { f() })() })().next()",
	"1 instanceof { [Symbol.hasInstance]: f }",
	"parseInt({ toString: f })",
	"new Date({ [Symbol.toPrimitive]: f })",
	"Math.max({ valueOf: f })",
	"(class { static x = f() })",
	"new Error('', { get cause() { return f() } })",
	"structuredClone({ get a() { return f() } })",
	"new URL({ toString: f })",
	"new Headers({ a: { toString: f } })",
	"console.log({ toJSON: f, toString: f, get a() { return f() }, inspect: f })",
	"new TextEncoder().encode({ toString: f })",
	"btoa({ toString: f })",
	"new AbortController().abort({ get a() { return f() } }) || f()",
	"ctx.db.query('t').withIndex('by_creation_time', f)",
	"ctx.db.query('t').filter(f)",
	"ctx.db.query('t').withIndex('by_id', (q) => q.eq('a', { get a() { return f() } }))",
};

static const size_t distances[] = { 0, 1, 5, 17 }; /* between the two of a pair */

static void
push_pairs(struct world *w, size_t a)
{
	static char source[20000];
	size_t      at = (size_t)snprintf(source, sizeof source, HELPERS "let ctx;\n");

	for (size_t i = 0; i < COUNT_OF(distances); i++)
		at += (size_t)snprintf(source + at, sizeof source - at,
		    "export const f%zu = query((c) => { ctx = c; let i = 0; function f() {"
		    " if (i++ %% 2) { %s } else { %s } return '' }"
		    " try { f(); return 'no error' } catch (e) {"
		    " return e instanceof RangeError ? 'caught' : String(e) } });\n",
		    i, ways[a], ways[(a + distances[i]) % COUNT_OF(ways)]);
	assert_true(at < sizeof source);
	world_push(w, "m.js", source);
}

static int
run_pairs(struct world *w, size_t a)
{
	int bad = 0;

	for (size_t i = 0; i < COUNT_OF(distances); i++) {
		char name[20];
		str  out;

		snprintf(name, sizeof name, "f%zu", i);
		world_run(w, UDF_QUERY, "m.js", name, "[{}]");
		out = world_outcome(w);
		if (str_eq(out, S("\"caught\"")))
			continue;
		print_error("  %s\n  %s\n    %.*s\n", ways[a],
		    ways[(a + distances[i]) % COUNT_OF(ways)],
		    STR_ARG(str_head(out, out.n < 150 ? out.n : 150)));
		bad++;
	}
	return bad;
}

/* 04 checklist 36: whatever calls back, deep recursion is a RangeError that can be caught. */
TEST(recursion)
{
	struct world w;
	int          bad = 0;

	world_open(&w);
	for (size_t a = 0; a < COUNT_OF(ways); a++) {
		push_pairs(&w, a);
		bad += run_pairs(&w, a);
	}
	world_close(&w);
	CHECK_EQ(bad, 0);
}

/* Deep values, and what walks them. */
static const char *const makers[] = {
	"for (let i = 0; i < N; i++) o = { o }",
	"for (let i = 0; i < N; i++) o = [o]",
	"for (let i = 0; i < N; i++) o = new Map([[1, o]])",
	"for (let i = 0; i < N; i++) o = new Set([o])",
	"for (let i = 0; i < N; i++) o = new Proxy(o, {})",
	"for (let i = 0; i < N; i++) o = Object.create(o)",
	"for (let i = 0; i < N; i++) o = new Error('x', { cause: o })",
	"for (let i = 0; i < N; i++) o = Object.assign(() => 0, { o })",
	"for (let i = 0; i < N; i++) { const p = o; o = { get o() { return p } } }",
	"for (let i = 0; i < N; i++) { const p = o; o = { toJSON: () => p, toString: () => "
	"String(p) } }",
	"for (let i = 0; i < N; i++) { const p = o; o = { then: (f) => f(p) } }",
	"o = () => 0; for (let i = 0; i < N; i++) o = o.bind(o)",
	"o = () => 0; for (let i = 0; i < N; i++) { const p = o; o = () => p() }",
	"o = (function* () {})(); for (let i = 0; i < N; i++) o = (function* (p) { yield* p })(o)",
	"o = Promise.resolve(1); for (let i = 0; i < N; i++) o = Promise.resolve({ then: (f) => "
	"f(o) })",
	"o = 'x'; for (let i = 0; i < N; i++) o = o + 'y'",
	"o = 'x'; for (let i = 0; i < N; i++) o = 'y' + o",
	"o = '['.repeat(N)",
	"o = '{\"a\":'.repeat(N)",
	"o = '('.repeat(N) + ')'.repeat(N)",
	"o = '(?:a|'.repeat(N) + ')'.repeat(N)",
	"o = '[['.repeat(N)",
};

static const char *const walkers[] = {
	"JSON.stringify(o)",
	"JSON.parse(o)",
	"structuredClone(o)",
	"console.log(o)",
	"String(o)",
	"o.flat(Infinity)",
	"return o",
	"throw o",
	"throw Object.assign(new Error('x'), { data: o })",
	"new RegExp(o)",
	"new RegExp(o).test(o)",
	"o.x",
	"'x' in o",
	"Object.keys(o)",
	"o()",
	"[...o]",
	"await o",
	"o.charCodeAt(5)",
	"o = null",
	"return { a: [o] }",
	"ctx.db.normalizeId('t', o)",
	"await ctx.db.get(o)",
	"await ctx.db.query('t').filter((q) => q.eq(o, o)).collect()",
	"ctx.db.query('t').withIndex('by_creation_time', (q) => q.gt('_creationTime', o))",
	"Convex.syscall('1.0/queryStream', o)",
	"new Headers(o)",
	"new URL(o)",
	"new Blob([o])",
	"new TextEncoder().encode(o)",
	"o instanceof o",
	"Promise.all([o])",
	"o.localeCompare(o + 'x')",
};

/* Depths that no real value has: an error, or none, but an answer. */
TEST(deep_values)
{
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(makers); i++) {
		static char source[100000];
		size_t      at = (size_t)snprintf(source, sizeof source, HELPERS);

		print_message("  %s\n", makers[i]);
		for (size_t j = 0; j < COUNT_OF(walkers); j++)
			at += (size_t)snprintf(source + at, sizeof source - at,
			    "export const f%zu = query(async (ctx, { N }) => { let o = {};"
			    " try { %s; %s } catch (e) { if (%d) throw e } return 1 });\n",
			    j, makers[i], walkers[j], strstr(walkers[j], "throw") != NULL);
		assert_true(at < sizeof source);
		world_push(&w, "m.js", source);
		for (size_t j = 0; j < COUNT_OF(walkers); j++) {
			char name[20];

			snprintf(name, sizeof name, "f%zu", j);
			world_run(&w, UDF_QUERY, "m.js", name, "[{\"N\":100}]");
			world_run(&w, UDF_QUERY, "m.js", name, "[{\"N\":100000}]");
			CHECK(w.res.ok || w.res.error.n > 0);
		}
	}
	world_close(&w);
}

/* Sources that nest: `open` n times, `middle`, `close` n times. */
static const struct {
	const char *open, *middle, *close;
} sources[] = {
	{ "[", "1", "]" },
	{ "(", "1", ")" },
	{ "{a:", "1", "}" },
	{ "!", "1", "" },
	{ "-", "1", "" },
	{ "typeof ", "1", "" },
	{ "1?", "1", ":1" },
	{ "1?1:", "1", "" },
	{ "1+(", "1", ")" },
	{ "1**", "1", "" },
	{ "a=", "1", "" },
	{ "a=>", "1", "" },
	{ "()=>{return ", "1", "}" },
	{ "async()=>await ", "1", "" },
	{ "function(){return ", "1", "}" },
	{ "function*(){yield ", "1", "}" },
	{ "class extends ", "Object", "{}" },
	{ "class{static x=", "1", "}" },
	{ "class{[", "1", "](){}}" },
	{ "`${", "1", "}`" },
	{ "new ", "Object", "" },
	{ "new (", "Object", ")()" },
	{ "f(", "1", ")" },
	{ "a[", "1", "]" },
	{ "[...", "[]", "]" },
	{ "({...", "{}", "})" },
	{ "a?.[", "1", "]" },
	{ "1,(", "1", ")" },
	{ "({a:", "b", "}={})" },
	{ "([", "b", "]=[])" },
	{ "(a=", "1", ")=>1" },
	{ "delete ", "a.b", "" },
	{ "1?"
	  "?(",
	    "1", ")" },
	{ "1&&", "1", "" },
	{ "a.b.", "c", "" },
	{ "a\n.b", "", "" },
	{ "/", "a", "/" },
};

static const struct {
	const char *open, *middle, *close;
} statements[] = {
	{ "{", "", "}" },
	{ "if(1)", ";", "" },
	{ "if(1);else ", ";", "" },
	{ "for(;;)", ";", "" },
	{ "while(0)", ";", "" },
	{ "do ", ";", " while(0);" },
	{ "try{", "", "}finally{}" },
	{ "try{}catch{", "", "}" },
	{ "switch(1){case 1:", "", "}" },
	{ "function f(){", "", "}" },
	{ "a:", ";", "" },
	{ "class A{static{", "", "}}" },
	{ "let [", "a", "]=[];" },
	{ "let {a:", "a", "}={};" },
};

static void
push_nested(struct world *w, const char *before, const char *open, const char *middle,
    const char *close, size_t n, const char *after)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, HELPERS "export const ok = query(() => 1);\n");
	buf_addz(&b, before);
	for (size_t i = 0; i < n; i++)
		buf_addz(&b, open);
	buf_addz(&b, middle);
	for (size_t i = 0; i < n; i++)
		buf_addz(&b, close);
	buf_addz(&b, after);
	buf_add_byte(&b, 0);
	world_push(w, "m.js", b.p);
	buf_clear(&b);
}

/* 04 checklist 36: the compiler refuses what it cannot nest; the process goes on. */
TEST(deep_sources)
{
	const size_t depths[] = { 10, 3000, 200000 };
	struct world w;

	world_open(&w);
	for (size_t d = 0; d < COUNT_OF(depths); d++) {
		for (size_t i = 0; i < COUNT_OF(sources); i++) {
			push_nested(&w, "let a = {}, b = 1, f = (x) => x; export const x = () => (",
			    sources[i].open, sources[i].middle, sources[i].close, depths[d], ");");
			world_run(&w, UDF_QUERY, "m.js", "ok", "[{}]");
			CHECK(w.res.ok || w.res.error.n > 0);
		}
		for (size_t i = 0; i < COUNT_OF(statements); i++) {
			push_nested(&w, "export const x = () => {", statements[i].open,
			    statements[i].middle, statements[i].close, depths[d], "};");
			world_run(&w, UDF_QUERY, "m.js", "ok", "[{}]");
			CHECK(w.res.ok || w.res.error.n > 0);
		}
	}
	world_push(&w, "m.js", HELPERS "export const ok = query(() => 1);");
	EXPECT(&w, "ok", "1.0");
	world_close(&w);
}

TEST_RUN(T(recursion), T(deep_values), T(deep_sources))
