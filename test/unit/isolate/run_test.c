/* run_test.c - calling functions: checks, values, the run loop, images and what keeps them. */
#include "world.h"

#include <pthread.h>

#define Q UDF_QUERY
#define M UDF_MUTATION

/* Arguments and results are Convex values; undefined becomes null in the helper, never in us. */
TEST(values_go_in_and_out)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "export const id = query(async (ctx, args) => args);\n"
	    "export const sync = query((ctx, args) => args.x);\n"
	    "export const nothing = query(async () => {});\n"
	    "export const thenable = query(() => ({ then(f) { f(7n) } }));\n"
	    "export const many = query((ctx, a, b) => [a, b]);\n"
	    "export const many2 = Object.assign(query(() => 0), { _handler: (ctx, ...a) => a });\n"
	    "export const sees = query(function () { return this === undefined });\n"
	    "export default query(() => 'default');\n");
	EXPECT_RUN(&w, Q, "id",
	    "[{\"a\":1,\"b\":{\"$integer\":\"AQAAAAAAAAA=\"},\"c\":[null,true]}]",
	    "{\"a\":1.0,\"b\":{\"$integer\":\"AQAAAAAAAAA=\"},\"c\":[null,true]}");
	EXPECT_RUN(&w, Q, "sync", "[{\"x\":\"h\xc3\xa9\"}]", "\"h\xc3\xa9\"");
	EXPECT(&w, "nothing", "null");
	EXPECT(&w, "sync", "null");
	EXPECT(&w, "thenable", "{\"$integer\":\"BwAAAAAAAAA=\"}");
	EXPECT_RUN(&w, Q, "many2", "[1,\"two\",[3]]", "[1.0,\"two\",[3.0]]"); /* 04 checklist 10 */
	EXPECT(&w, "default", "\"default\"");
	world_close(&w);
}

/* 04 checklist 8: the checks that are made once the module is loaded, with their texts. */
TEST(what_is_called_must_be_what_it_is_called_as)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "export const q = query(() => 1), m = mutation(() => 2), f = () => 3, o = { a: 1 };\n"
	    "export const plain = 5;\n");
	EXPECT_RUN(&w, M, "m", "[{}]", "2.0");
	EXPECT(&w, "none", "! Couldn't find \"none\" in module \"m.js\".");
	EXPECT(&w, "f",
	    "! Function m.js:f is neither a query or mutation. Did you forget to wrap it "
	    "with `query` or `mutation`?");
	EXPECT(&w, "plain",
	    "! Function m.js:plain is neither a query or mutation. Did you forget to "
	    "wrap it with `query` or `mutation`?");
	EXPECT(
	    &w, "m", "! Function m.js:m is registered as a mutation but is being run as a query.");
	EXPECT_RUN(&w, M, "q", "[{}]",
	    "! Function m.js:q is registered as a query but is being run as a mutation.");
	world_run(&w, Q, "absent.js", "f", "[{}]");
	CHECK_STRZ(world_outcome(&w),
	    "! Couldn't find JavaScript module 'absent.js'. Did you forget "
	    "to run `npx convex dev`?");
	world_close(&w);
}

/* Spec 04 section 2.5: microtasks are drained, then the outcome is looked at. */
TEST(the_run_loop)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS
	    "export const awaits = query(async () => { let n = 0; for (let i = 0; i < 50; i++)"
	    "  n += await Promise.resolve(i); return n });\n"
	    "export const never = query(() => new Promise(() => {}));\n"
	    "export const floating = query(async () => { Promise.reject(new Error('adrift')); "
	    "return 1 });\n"
	    "export const handled = query(async () => { const p = Promise.reject(new Error('no'));"
	    "  await null; try { await p } catch (e) { return e.message } });\n"
	    "export const late = query(async () => { Promise.resolve().then(() => {"
	    "  throw new TypeError('late') }); return 1 });\n"
	    "export const tooLate = query(async (ctx) => { const p = Promise.reject(new "
	    "Error('late')); await ctx.db.query('t').first(); p.catch(() => 0); return 1 });\n"
	    "export const nul = query(async () => { throw new Error('a\\0b') });\n"
	    "export const rejects = query(async () => { throw new RangeError('r') });\n"
	    "export const insert = mutation(async (ctx) => { ctx.db.insert('t', { a: 1 }) });\n"
	    "export const count = query(async (ctx) => (await "
	    "ctx.db.query('t').collect()).length);\n"
	    "export const abandoned = query(async (ctx) => ctx.db.query('t'));\n");
	EXPECT(&w, "awaits", "1225.0");
	EXPECT(&w, "never", "! Returned promise will never resolve");       /* 04 checklist 14 */
	EXPECT(&w, "floating", "! Uncaught Error: adrift");                 /* 04 checklist 15 */
	EXPECT(&w, "handled", "\"no\"");
	EXPECT(&w, "late", "! Uncaught TypeError: late");
	EXPECT(&w, "tooLate", "! Uncaught Error: late"); /* 04 checklist 15 */
	EXPECT(&w, "rejects", "! Uncaught RangeError: r");
	world_run(&w, Q, "m.js", "nul", "[{}]");
	CHECK(str_starts(w.res.error, S("Uncaught Error: a\0b")));
	EXPECT_RUN(&w, M, "insert", "[{}]", "null");                        /* 04 checklist 13 */
	EXPECT(&w, "count", "1.0");
	EXPECT(&w, "abandoned",
	    "! Uncaught Error: Return value is a Query. Results must be retrieved "
	    "with `.collect()`, `.take(n), `.unique()`, or `.first()`.");
	world_close(&w);
}

/* 04 checklist 23: nothing that a run changes is seen by the next. */
TEST(every_run_starts_from_the_same_heap)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "let counter = 0; const cache = new Map();\n"
	    "export const global = query(() => { const old = globalThis.x; globalThis.x = 1;"
	    "  return old === undefined });\n"
	    "export const count = query(() => ++counter);\n"
	    "export const map = query(() => { cache.set(cache.size, {}); return cache.size });\n"
	    "export const proto = query(() => { const old = Array.prototype.zap;"
	    "  Array.prototype.zap = 1; return old === undefined });\n"
	    "export const boom = query(() => { counter += 10; globalThis.x = 2; throw 1 });\n");
	for (int i = 0; i < 3; i++) {
		EXPECT(&w, "global", "true");
		EXPECT(&w, "count", "1.0");
		EXPECT(&w, "map", "1.0");
		EXPECT(&w, "proto", "true");
		EXPECT(&w, "boom", "! Uncaught 1");
	}
	world_close(&w);
}

static str
log_of(struct world *w, size_t i)
{
	if (i >= w->res.logs.lines.n)
		return S("(none)");
	return w->res.logs.lines.v[i].messages[0];
}

/* 04 checklist 23: what the import phase saw and did is the same in every run. */
TEST(import_phase_effects_repeat)
{
	struct world w;
	str          first;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "const r = Math.random(), t = Date.now(); let later = 0;\n"
	    "console.log('imported');\n"
	    "Promise.resolve().then(() => { later = Date.now() });\n"
	    "export const random = query(() => r);\n"
	    "export const time = query(() => t);\n"
	    "export const pending = query(async () => { await null; return later });\n"
	    "export const quiet = query(() => { console.log('ran') });\n");
	world_run(&w, Q, "m.js", "random", "[{}]");
	CHECK(!w.res.observed_rng); /* the time is observed: by the microtask, see below */
	first = world_outcome(&w);
	for (int i = 0; i < 2; i++) {
		struct arena *keep = arena_new();
		str           want = arena_str(keep, first);

		world_run(&w, Q, "m.js", "random", "[{}]");
		CHECK_STR(world_outcome(&w), want);
		first = arena_str(w.arena, want);
		arena_free(keep);
	}
	EXPECT(&w, "time", "1700000000000.0");
	w.now_ns = 1800000000123000000ULL;
	EXPECT(&w, "pending", "1800000000123.0"); /* the run's time, not the import's */
	CHECK(w.res.observed_time);
	for (int i = 0; i < 2; i++) {
		EXPECT(&w, "quiet", "null");
		CHECK_EQ(w.res.logs.lines.n, 2);
		CHECK_STRZ(log_of(&w, 0), "'imported'");
		CHECK_STRZ(log_of(&w, 1), "'ran'");
		CHECK_EQ(w.res.logs.lines.v[0].timestamp_ms, 1800000000123);
	}
	world_close(&w);
}

/* 04 checklist 23: a module-level rejection that nobody handles fails every run. */
TEST(import_phase_rejections_fail_every_run)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS "const p = Promise.reject(new Error('at import'));\n"
		    "export const f = query(() => 1);\n"
		    "export const handles = query(async () => { try { await p } catch (e) { return "
		    "2 } });\n");
	for (int i = 0; i < 2; i++) {
		EXPECT(&w, "f", "! Uncaught Error: at import");
		EXPECT(&w, "handles", "2.0");
	}
	world_push(
	    &w, "m.js", HELPERS "throw new TypeError('top'); export const f = query(() => 1);");
	EXPECT(&w, "f", "! Uncaught TypeError: top");
	world_close(&w);
}

/* A pushed module, a changed variable or configuration replaces the image; the reads of the
 * import are in every run's read set, so live queries notice (04 checklist 23, 27). */
TEST(images_follow_what_import_observed)
{
	struct world    w;
	struct txn     *t;
	struct readset *reads[2];
	struct err      e = err_in(NULL);
	ts_t            at;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "const x = process.env.X ?? 'unset', u = process.env.CONVEX_CLOUD_URL;\n"
	    "export const env = query(() => x); export const url = query(() => u);");
	EXPECT(&w, "env", "\"unset\"");
	EXPECT(&w, "url", "\"http://127.0.0.1:3210\"");
	for (int i = 0; i < 2; i++) {
		t = world_begin(&w, false);
		CHECK_EQ(world_run_in(&w, t, Q, "m.js", "env", "[{}]", &e), ST_OK);
		reads[i] = txn_readset(t);
		txn_free(t);
	}
	CHECK_EQ(reads[0]->n, reads[1]->n);
	at = db_latest_ts(w.db);
	world_put(&w, "_environment_variables", "by_name", "name",
	    S("{\"name\":\"OTHER\",\"value\":\"1\"}"));
	CHECK(!db_changed(w.db, reads[1], at, db_latest_ts(w.db), NULL));
	world_env(&w, "X", "one");
	CHECK(db_changed(w.db, reads[1], at, db_latest_ts(w.db), NULL));
	EXPECT(&w, "env", "\"one\"");
	world_env(&w, "X", "two");
	EXPECT(&w, "env", "\"two\"");
	at = db_latest_ts(w.db);
	world_push(&w, "m.js", HELPERS "export const env = query(() => 'pushed');");
	CHECK(db_changed(w.db, reads[1], at, db_latest_ts(w.db), NULL));
	EXPECT(&w, "env", "\"pushed\"");
	readset_unref(reads[0]);
	readset_unref(reads[1]);
	world_close(&w);
}

/* An older snapshot gets the module of its own time. */
TEST(images_fit_the_snapshot)
{
	struct world w;
	struct txn  *old;
	struct err   e = err_in(NULL);

	world_open(&w);
	world_push(&w, "m.js", HELPERS "export const f = query(() => 1);");
	old = world_begin(&w, false);
	world_push(&w, "m.js", HELPERS "export const f = query(() => 2);");
	EXPECT(&w, "f", "2.0");
	CHECK_EQ(world_run_in(&w, old, Q, "m.js", "f", "[{}]", &e), ST_OK);
	CHECK_STRZ(world_outcome(&w), "1.0");
	EXPECT(&w, "f", "2.0");
	txn_free(old);
	world_close(&w);
}

/* 04 checklist 31: chunks, cycles, shared chunks evaluated once, and the ways to fail. */
TEST(modules)
{
	const struct {
		const char *why, *source, *want;
	} rows[] = {
		{ "a chunk", "import { a } from './_deps/X.js'; export const f = query(() => a);",
		    "1.0" },
		{ "from a folder",
		    "import { d } from './dir/sub.js'; export const f = query(() => d);", "1.0" },
		{ "a cycle",
		    "import { viaA } from './c1.js'; export const f = query(() => viaA());",
		    "\"c1c2\"" },
		{ "shared chunks run once",
		    "import { n } from './s1.js'; import './s2.js';"
		    "export const f = query(() => n());",
		    "1.0" },
		{ "URL form",
		    "import { a } from 'convex:/_deps/X.js'; export const f = query(() => a);",
		    "1.0" },
		{ "import *",
		    "import * as x from './_deps/X.js'; export const f = query(() => x.a);",
		    "1.0" },
		{ "missing", "import './nope.js'; export const f = query(() => 1);",
		    "! Couldn't find JavaScript module 'nope.js'. Did you forget to run `npx "
		    "convex dev`?" },
		{ "node:", "import fs from 'node:fs'; export const f = query(() => 1);",
		    "! Unsupported scheme (node) in node:fs" },
		{ "bare", "import 'lodash'; export const f = query(() => 1);",
		    "! Relative import path \"lodash\" not prefixed with / or ./ or ../" },
		{ "no such export",
		    "import { zz } from './_deps/X.js'; export const f = query(() => zz);",
		    "! Uncaught SyntaxError: Could not find export 'zz' in module "
		    "'convex:/_deps/X.js'" },
		{ "top-level await", "await null; export const f = query(() => 1);",
		    "! Top-level awaits in source files are unsupported" },
		{ "import.meta", "export const f = query(() => import.meta.url);",
		    "! Uncaught TypeError: import.meta unsupported" },
		{ "import()",
		    "export const f = query(async () => { await import('./_deps/X.js') });",
		    "! Uncaught TypeError: dynamic module import unsupported" },
		{ "import() at import",
		    "const p = import('./_deps/X.js'); export const f = query(async () =>"
		    " { try { await p } catch (e) { return e.message } });",
		    "\"dynamic module import unsupported\"" },
		{ "eval is absent, catchably",
		    "export const f = query(() => { try { return eval('1') }"
		    " catch (e) { return e instanceof EvalError } });",
		    "true" },
		{ "Function too",
		    "export const f = query(() => { try { return new Function('return 1')() }"
		    " catch (e) { return e.name } });",
		    "\"EvalError\"" }, /* 04 checklist 26 */
	};
	struct world w;

	world_open(&w);
	world_push(&w, "_deps/X.js", "export const a = 1;");
	world_push(&w, "dir/sub.js", "export { a as d } from '../_deps/X.js';");
	world_push(&w, "c1.js", "import { b } from './c2.js'; export const a = () => 'c1';"
	                        "export const viaA = () => b();");
	world_push(&w, "c2.js", "import { a } from './c1.js'; export const b = () => a() + 'c2';");
	world_push(
	    &w, "count.js", "let n = 0; export const bump = () => ++n; export const n2 = () => n;");
	world_push(&w, "once.js", "import { bump } from './count.js'; bump();");
	world_push(&w, "s1.js", "import './once.js'; export { n2 as n } from './count.js';");
	world_push(&w, "s2.js", "import './once.js';");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b;

		print_message("  %s\n", rows[i].why);
		buf_init(&b, 1 << 20);
		buf_fmt(&b, "%s%s%c", HELPERS, rows[i].source, 0);
		world_push(&w, "m.js", b.p);
		EXPECT(&w, "f", rows[i].want);
		buf_clear(&b);
	}
	world_close(&w);
}

/* A syntax error names the place. */
TEST(syntax_errors)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", "export const f = 1;\nlet = = 3;");
	world_run(&w, Q, "m.js", "f", "[{}]");
	CHECK(str_starts(world_outcome(&w), S("! convex:/m.js:2:")));
	world_close(&w);
}

/* 04 checklist 24: random numbers differ between runs, the clock stands still within one. */
TEST(randomness_and_time_of_a_run)
{
	struct world  w;
	struct arena *keep = arena_new();
	str           a;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "export const random = query(() => Math.random());\n"
	    "export const clock = query(async () => { const a = Date.now(); await null;"
	    "  return a === Date.now() && a === +new Date() ? a : -1 });\n"
	    "export const none = query(() => 1);\n");
	world_run(&w, Q, "m.js", "random", "[{}]");
	CHECK(w.res.observed_rng && !w.res.observed_time);
	a = arena_str(keep, world_outcome(&w));
	world_run(&w, Q, "m.js", "random", "[{}]");
	CHECK(!str_eq(a, world_outcome(&w)));
	EXPECT(&w, "clock", "1700000000123.0");
	CHECK(w.res.observed_time && !w.res.observed_rng);
	EXPECT(&w, "none", "1.0");
	CHECK(!w.res.observed_time && !w.res.observed_rng && !w.res.observed_identity);
	arena_free(keep);
	world_close(&w);
}

/* Results: 04 checklist 11, the texts for what cannot be returned. */
TEST(results_that_are_refused)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS
	    "export const big = query(() => 'x'.repeat(17 << 20));\n"
	    "const raw = (f) => Object.assign(() => 0, { isQuery: true, isPublic: true, "
	    "invokeQuery: f });\n"
	    "export const json = raw(async (args) => JSON.stringify(JSON.parse(args)[0]));\n"
	    "export const self = raw(async function () { return String(this === json) });\n"
	    "export const bad = raw(async () => 'nope');\n"
	    "export const invalid = raw(async () => '{\"$bytes\":1}');\n"
	    "export const undef = raw(async () => undefined);\n");
	EXPECT(&w, "big",
	    "! Function m.js:big return value is too large (actual: 17.00 MiB, limit: 16 MiB)");
	EXPECT_RUN(&w, Q, "json", "[{\"a\":{\"$integer\":\"AQAAAAAAAAA=\"}}]",
	    "{\"a\":{\"$integer\":\"AQAAAAAAAAA=\"}}");                    /* 04 checklist 9 */
	world_run(&w, Q, "m.js", "bad", "[{}]");
	CHECK(str_starts(world_outcome(&w),
	    S("! Function m.js:bad failed. Could not parse return value as json: ")));
	world_run(&w, Q, "m.js", "undef", "[{}]");
	CHECK(str_starts(world_outcome(&w),
	    S("! Function m.js:undef failed. Could not parse return value as json: ")));
	world_run(&w, Q, "m.js", "invalid", "[{}]");
	CHECK(str_starts(world_outcome(&w), S("! Function m.js:invalid return value invalid: ")));
	world_close(&w);
}

struct nest {
	struct world *w;
	int           depth, depth_max;
};

static status
nested(void *arg, const struct nested_call *c, struct run_result *caller, struct val *ret,
    struct err *e)
{
	struct nest      *n = arg;
	struct run_result res = { 0 };
	struct arena     *a = arena_new();
	struct txn       *t = world_begin(n->w, false);
	struct run_request q = { .kind = UDF_QUERY, .module = S("m.js"), .txn = t,
		.host = &n->w->host, .identity = { NULL, 0 }, .now_ns = n->w->now_ns, .arena = a,
		.request_id = S("x") };
	struct pack       p;
	status            st;
	size_t            at;

	(void)caller;
	if (++n->depth > n->depth_max)
		n->depth_max = n->depth;
	CHECK(str_find_char(c->name, ':', &at));
	q.function = str_from(c->name, at + 1);
	loglines_init(&res.logs, a);
	pack_init(&p);
	pack_array(&p);
	pack_val(&p, c->args);
	pack_end(&p);
	CHECK_EQ(pack_done_in(&p, a, &q.args, e), ST_OK);
	pack_clear(&p);
	st = isolate_run(n->w->iso, &q, &res, e);
	if (st == ST_OK && !res.ok)
		st = err_set_str(e, ST_BAD_REQUEST, "Nested", res.error);
	if (st == ST_OK) {
		uint8_t *copy = arena_alloc(n->w->arena, res.value.n);

		memcpy(copy, res.value.p, res.value.n);
		*ret = (struct val){ copy, res.value.n };
	}
	loglines_clear(&res.logs);
	txn_free(t);
	arena_free(a);
	n->depth--;
	return st;
}

/* A nested run has an engine of its own while its caller waits, eight levels deep. */
TEST(nested_runs)
{
	struct world w;
	struct nest  n = { &w, 0, 0 };

	world_open(&w);
	w.host = (struct run_host){ .arg = &n, .nested = nested };
	world_push(&w, "m.js",
	    HELPERS
	    "let state = 0;\n"
	    "export const down = query(async (ctx, { n }) => { state++; const below = n > 0 ?"
	    "  await ctx.runQuery('m:down', { n: n - 1 }) : 0; return below + state });\n"
	    "export const fails = query(() => { throw new Error('inner') });\n"
	    "export const catches = query(async (ctx) => { try { await ctx.runQuery('m:fails', {}) "
	    "}"
	    "  catch (e) { return e.message.split('\\n')[0] } });\n");
	for (int i = 0; i < 2; i++) {
		EXPECT_RUN(&w, Q, "down", "[{\"n\":7}]", "8.0");
		CHECK_EQ(n.depth_max, 7);
	}
	EXPECT(&w, "catches", "\"Uncaught Error: inner\"");
	world_close(&w);
}

static void *
nest_deeply(void *arg)
{
	struct world w;
	struct nest  n = { &w, 0, 0 };

	(void)arg;
	world_open(&w);
	w.host = (struct run_host){ .arg = &n, .nested = nested };
	world_push(&w, "m.js",
	    HELPERS
	    "const rec = (n, f) => n > 0 ? rec(n - 1, f) : f();\n"
	    "const deepest = (f) => { let r; const go = () => { let x; try { x = go() } catch {"
	    "  x = 0 } if (x === 0) { try { r = f(); x = 1 } catch { } } return x }; go(); return "
	    "r };\n"
	    "export const down = query((ctx, { n }) => n === 0 ? 'end' :"
	    "  deepest(() => ctx.runQuery('m:down', { n: n - 1 })));\n");
	for (int i = 0; i < 3; i++) {
		world_run(&w, Q, "m.js", "down", "[{\"n\":6}]");
		CHECK(w.res.ok ? str_eq(world_outcome(&w), S("\"end\"")) :
		                 str_find(w.res.error, S("stack"), &(size_t){ 0 }));
	}
	world_close(&w);
	return NULL;
}

/* 04 checklist 36: runs that nest from the end of their stack find less of it, not none. */
TEST(nested_runs_on_a_used_up_stack)
{
	pthread_attr_t attr;
	pthread_t      t;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, (size_t)4 << 20), 0);
	CHECK_EQ(pthread_create(&t, &attr, nest_deeply, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	pthread_attr_destroy(&attr);
}

/* More modules than an isolate keeps: the oldest image goes, results stay right. */
TEST(images_are_evicted)
{
	struct world w;

	world_open(&w);
	for (int i = 0; i < 12; i++) {
		char path[20], source[2000];

		snprintf(path, sizeof path, "m%d.js", i);
		snprintf(source, sizeof source, HELPERS "export const f = query(() => %d);", i);
		world_push(&w, path, source);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 12; i++) {
			char path[20], want[20];

			snprintf(path, sizeof path, "m%d.js", i);
			snprintf(want, sizeof want, "%d.0", i);
			world_run(&w, Q, path, "f", "[{}]");
			CHECK_STRZ(world_outcome(&w), want);
		}
	}
	world_close(&w);
}

TEST_RUN(T(values_go_in_and_out), T(what_is_called_must_be_what_it_is_called_as), T(the_run_loop),
    T(every_run_starts_from_the_same_heap), T(import_phase_effects_repeat),
    T(import_phase_rejections_fail_every_run), T(images_follow_what_import_observed),
    T(images_fit_the_snapshot), T(modules), T(syntax_errors), T(randomness_and_time_of_a_run),
    T(results_that_are_refused), T(nested_runs), T(nested_runs_on_a_used_up_stack),
    T(images_are_evicted))
