/* action_test.c - the run loop of actions (spec 04 section 2.6) over a host that plays by script:
 * its clock jumps to whatever is due next, so that nothing here waits.
 */
#include <stdlib.h>

#include "world.h"

#include "isolate/async.h"
#include "os/os.h"

#define ACTION_NS 600000000000ull

/* An action as convex/server makes it, with the two faces of the syscalls. */
#define ACTIONS                                                                                    \
	"const action = (f) => ({ isAction: true, isPublic: true, _handler: f,\n"                  \
	"  exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null',\n"                 \
	"  async invokeAction(id, args) {\n"                                                       \
	"    const r = await f.call(this, ...JSON.parse(args), id);\n"                             \
	"    return JSON.stringify(r === undefined ? null : r) } });\n"                            \
	"const call = async (name, args = {}) => JSON.parse(\n"                                    \
	"  await Convex.asyncSyscall('1.0/' + name, JSON.stringify(args)));\n"                     \
	"const sleep = (ms) => new Promise((r) => setTimeout(r, ms));\n"

struct slept {
	uint64_t due_ms;
	struct async_op *op;
};

struct script {
	struct world *w;
	uint64_t now_ms;
	VEC(struct async_op *) done, held;
	VEC(struct slept) sleeps;
	struct buf log; /* what was asked for, and cancelled */
	bool stop;      /* as soon as the action waits for nothing */
	int txns;
};

static void
note(struct script *s, const char *verb, const struct async_op *op)
{
	static const char *const kinds[] = { [OP_SLEEP] = "sleep", [OP_FETCH] = "fetch",
		[OP_READ] = "read", [OP_CLOSED] = "closed", [OP_ROOM] = "room",
		[OP_STORAGE_STORE] = "store", [OP_STORAGE_GET] = "get", [OP_SYSCALL] = "" };

	if (s->log.n)
		buf_add_byte(&s->log, ' ');
	buf_addz(&s->log, verb);
	buf_addz(&s->log, kinds[op->kind]);
	buf_add(&s->log, op->name);
}

/* Answers: "echo" its arguments, "say:X" JSON text X, "fail" an error with data, else: nothing. */
static void
start_syscall(struct script *s, struct async_op *op)
{
	if (str_eq(op->name, S("1.0/echo"))) {
		op->ret_json = op->json;
	} else if (str_starts(op->name, S("1.0/say:"))) {
		op->ret_json = str_from(op->name, 8);
	} else if (str_eq(op->name, S("1.0/fail"))) {
		op->st = err_set(&op->err, ST_BAD_REQUEST, "X", "Uncaught Error: inner\n");
		op->err.data = S("{\"n\":{\"$integer\":\"BwAAAAAAAAA=\"}}");
	} else {
		vec_push(&s->held, op);
		return;
	}
	vec_push(&s->done, op);
}

static void
host_start(void *arg, struct async_op *op)
{
	struct script *s = arg;
	struct slept z = { s->now_ms, op };
	struct json *j;
	double ms = 0;

	note(s, "", op);
	switch (op->kind) {
	case OP_SLEEP:
		assert_int_equal(json_parse(op->arena, op->json, &j, NULL), ST_OK);
		assert_true(json_get_num(j, "ms", &ms));
		z.due_ms += (uint64_t)ms;
		op->ret_json = S("{}");
		vec_push(&s->sleeps, z);
		return;
	case OP_FETCH:
	case OP_READ:
	case OP_CLOSED:
	case OP_ROOM:
	case OP_STORAGE_STORE:
	case OP_STORAGE_GET:
		vec_push(&s->held, op);
		return;
	case OP_SYSCALL:
		start_syscall(s, op);
	}
}

/* The sleeper that is due first; s->sleeps.n: there is none. */
static size_t
first_sleep(const struct script *s)
{
	size_t first = s->sleeps.n;

	for (size_t i = 0; i < s->sleeps.n; i++)
		if (first == s->sleeps.n || s->sleeps.v[i].due_ms < s->sleeps.v[first].due_ms)
			first = i;
	return first;
}

static struct async_op *
take(struct script *s, size_t i)
{
	struct async_op *op = s->done.v[i];

	s->done.n--;
	memmove(&s->done.v[i], &s->done.v[i + 1], (s->done.n - i) * sizeof op);
	return op;
}

static struct async_op *
take_sleep(struct script *s, size_t i)
{
	struct slept z = s->sleeps.v[i];

	s->now_ms = z.due_ms;
	s->sleeps.n--;
	memmove(&s->sleeps.v[i], &s->sleeps.v[i + 1], (s->sleeps.n - i) * sizeof z);
	return z.op;
}

static struct async_op *
host_wait(void *arg, uint64_t until_mono_ns, int fd)
{
	struct script *s = arg;
	size_t i = first_sleep(s);

	assert_int_equal(fd, -1);
	assert_true(until_mono_ns > 0);
	if (s->done.n > 0)
		return take(s, 0);
	return i < s->sleeps.n ? take_sleep(s, i) : NULL;
}

static void
host_cancel(void *arg, uint32_t id)
{
	struct script *s = arg;

	for (size_t i = 0; i < s->sleeps.n; i++) {
		if (s->sleeps.v[i].op->id != id)
			continue;
		note(s, "-", s->sleeps.v[i].op);
		async_op_free(s->sleeps.v[i].op);
		s->sleeps.v[i] = s->sleeps.v[--s->sleeps.n];
		return;
	}
	for (size_t i = 0; i < s->held.n; i++) {
		if (s->held.v[i]->id != id)
			continue;
		note(s, "-", s->held.v[i]);
		async_op_free(s->held.v[i]);
		s->held.v[i] = s->held.v[--s->held.n];
		return;
	}
}

static bool
host_cancelled(void *arg)
{
	return ((struct script *)arg)->stop;
}

static uint64_t
host_stream_new(void *arg)
{
	(void)arg;
	return 7;
}

static bool
host_stream_write(void *arg, uint64_t id, str bytes, bool done, str why)
{
	struct script *s = arg;

	assert_int_equal(id, 7);
	buf_fmt(&s->log, "%swrite:", s->log.n ? " " : "");
	if (bytes.p)
		buf_add(&s->log, bytes);
	if (why.p)
		buf_add(&s->log, why);
	if (done)
		buf_add_byte(&s->log, '.');
	return true;
}

static void
host_stream_drop(void *arg, uint64_t id)
{
	struct script *s = arg;

	buf_fmt(&s->log, "%sdrop:%d", s->log.n ? " " : "", (int)id);
}

static struct txn *
import_txn(void *arg)
{
	struct script *s = arg;

	s->txns++;
	return world_begin(s->w, false);
}

static void
free_ops(struct script *s)
{
	for (size_t i = 0; i < s->done.n; i++)
		async_op_free(s->done.v[i]);
	for (size_t i = 0; i < s->held.n; i++)
		async_op_free(s->held.v[i]);
	for (size_t i = 0; i < s->sleeps.n; i++)
		async_op_free(s->sleeps.v[i].op);
	vec_clear(&s->done);
	vec_clear(&s->held);
	vec_clear(&s->sleeps);
}

/* Runs the action with one object of arguments; its operations are gone afterwards. */
static void
run_for(struct script *s, const char *function, const char *args, uint64_t ns)
{
	struct world *w = s->w;
	struct err e = err_in(w->arena);
	const struct env_var colour = { S("COLOUR"), S("red") };
	const struct action_host host = { .arg = s,
		.start = host_start,
		.cancel = host_cancel,
		.wait = host_wait,
		.cancelled = host_cancelled,
		.stream_new = host_stream_new,
		.stream_write = host_stream_write,
		.stream_drop = host_stream_drop };
	struct run_request q = { .kind = UDF_ACTION,
		.module = S("m.js"),
		.function = str_z(function),
		.request_id = S("0123456789abcdef"),
		.now_ns = w->now_ns,
		.actions = &host,
		.action_ns = ns,
		.vars = &colour,
		.nvars = 1,
		.import_txn = import_txn,
		.import_arg = s };
	struct engine *en;
	str error;

	buf_reset(&s->log);
	s->txns = 0;
	loglines_clear(&w->res.logs);
	arena_reset(w->arena);
	memset(&w->res, 0, sizeof w->res);
	loglines_init(&w->res.logs, w->arena);
	q.arena = w->arena;
	memset(q.seed, (int)++w->runs, sizeof q.seed);
	assert_int_equal(vjson_parse(w->arena, str_z(args), VJSON_PLAIN, &q.args, &e), ST_OK);
	q.txn = world_begin(w, false);
	assert_int_equal(isolate_action_take(w->iso, &q, &en, &error, &e), ST_OK);
	txn_free(q.txn);
	q.txn = NULL;
	if (en)
		assert_int_equal(isolate_action_run(en, &q, &w->res, &e), ST_OK);
	else
		w->res.error = error;
	free_ops(s);
}

static void
run(struct script *s, const char *function)
{
	run_for(s, function, "[{}]", ACTION_NS);
}

static void
open_script(struct script *s, struct world *w, const char *source)
{
	world_open(w);
	memset(s, 0, sizeof *s);
	s->w = w;
	buf_init(&s->log, BUF_MAX_DEFAULT);
	world_push(w, "m.js", source);
}

static void
close_script(struct script *s)
{
	buf_clear(&s->log);
	world_close(s->w);
}

#define SAYS(s, function, want)                                                                    \
	do {                                                                                       \
		run((s), (function));                                                              \
		CHECK_STRZ(world_outcome((s)->w), (want));                                         \
	} while (0)
#define ASKED(s, want) CHECK_STRZ(buf_str(&(s)->log), (want))

static str
line_of(const struct script *s, size_t i)
{
	const struct loglines *l = &s->w->res.logs;

	return i < l->lines.n ? l->lines.v[i].messages[0] : S("(none)");
}

/* 04 checklist 9: the arguments as the text of an array, `this` is the global object, any id. */
TEST(calling_convention)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS "export const id = action(async (args, id) => [args, id]);\n"
		    "export const self = action(function () { return this === globalThis });\n"
		    "export const nothing = action(async () => {});\n"
		    "export const vars = action(async () => [process.env.COLOUR, process.env.NONE "
		    "?? null]);\n"
		    "export const raw = { isAction: true, isPublic: true, invokeAction: () => 'not "
		    "json' };\n"
		    "export const bad = { isAction: true, isPublic: true,\n"
		    "  invokeAction: async () => '{\"$x\":1}' };\n"
		    "export const q = { isQuery: true, isPublic: true }, f = () => 1;\n");
	run_for(&s, "id", "[{\"x\":{\"$integer\":\"AQAAAAAAAAA=\"}}]", ACTION_NS);
	CHECK_STRZ(
	    world_outcome(&w), "[{\"x\":{\"$integer\":\"AQAAAAAAAAA=\"}},\"dummy_request_id\"]");
	SAYS(&s, "self", "true");
	SAYS(&s, "nothing", "null");
	SAYS(&s, "vars", "[\"red\",null]");
	run(&s, "raw"); /* 04 checklist 11 */
	CHECK(str_starts(world_outcome(&w),
	    S("! Function m.js:raw failed. Could not parse return value as json: ")));
	run(&s, "bad");
	CHECK(str_starts(world_outcome(&w), S("! Function m.js:bad return value invalid: ")));
	SAYS(&s, "none", "! Couldn't find \"none\" in module \"m.js\".");
	SAYS(&s, "q", "! Function m.js:q is registered as a query but is being run as a action.");
	SAYS(&s, "f",
	    "! Function m.js:f is neither a query or mutation. Did you forget to wrap it "
	    "with `query` or `mutation`?");
	close_script(&s);
}

/* Operations run at the same time; promises settle in the order in which answers come. */
TEST(operations_come_back_in_their_order)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "export const echo = action(async () => call('echo', { a: [1] }));\n"
	    "export const order = action(async () => { const seen = [];\n"
	    "  await Promise.all([30, 10, 20].map(async (ms) => { await sleep(ms); seen.push(ms) "
	    "}));\n"
	    "  return seen });\n"
	    "export const same = action(async () => { const seen = [];\n"
	    "  await Promise.all([1, 2, 3].map(async (n) => { await sleep(5); seen.push(n) }));\n"
	    "  return seen });\n"
	    "export const mixed = action(async () => { const seen = [];\n"
	    "  const a = sleep(1).then(() => seen.push('slept'));\n"
	    "  const b = call('say:1').then((x) => seen.push(x));\n"
	    "  const c = call('say:2').then((x) => seen.push(x)).then(() => seen.push('after'));\n"
	    "  await a; await b; await c; return seen });\n"
	    "export const interval = action(async () => { let n = 0;\n"
	    "  await new Promise((done) => { const i = setInterval(() => {\n"
	    "    if (++n === 4) { clearInterval(i); done() } }, 10) }); return n });\n"
	    "export const cleared = action(async () => { let ran = false;\n"
	    "  const t = setTimeout(() => { ran = true }, 10); clearTimeout(t);\n"
	    "  await sleep(100); return ran });\n");
	SAYS(&s, "echo", "{\"a\":[1.0]}");
	SAYS(&s, "order", "[10.0,20.0,30.0]");
	ASKED(&s, "sleep sleep sleep");
	SAYS(&s, "same", "[1.0,2.0,3.0]");
	SAYS(&s, "mixed", "[1.0,2.0,\"after\",\"slept\"]");
	SAYS(&s, "interval", "4.0");
	SAYS(&s, "cleared", "false");
	ASKED(&s, "sleep -sleep sleep");
	close_script(&s);
}

/* 04 checklist 3: a rejection has the text, and the data of a ConvexError as parsed JSON. */
TEST(rejections)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "export const caught = action(async () => { try { await call('fail') } catch (e) {\n"
	    "  return [e instanceof Error, e.name, e.message, e.data.n.$integer] } });\n"
	    "export const thrown = action(async () => { await sleep(1); throw new RangeError('r') "
	    "});\n"
	    "export const text = action(async () => { throw 'x' });\n"
	    "export const data = action(async () => { const s = Symbol.for('ConvexError');\n"
	    "  throw Object.assign(new Error('m'), { name: 'ConvexError', data: '{\"a\":1}',\n"
	    "    ConvexErrorSymbol: s, [s]: true }) });\n"
	    "export const sync = { isAction: true, isPublic: true,\n"
	    "  invokeAction() { throw new TypeError('at once') } };\n");
	SAYS(&s, "caught", "[true,\"Error\",\"Uncaught Error: inner\\n\",\"BwAAAAAAAAA=\"]");
	SAYS(&s, "thrown", "! Uncaught RangeError: r");
	SAYS(&s, "text", "! Uncaught x");
	SAYS(&s, "sync", "! Uncaught TypeError: at once");
	SAYS(&s, "data", "! Uncaught ConvexError: m"); /* 04 checklist 18 */
	CHECK_STRZ(w.res.error_data, "{\"a\":1.0}");
	close_script(&s);
}

/* 04 checklist 15: a rejection that nobody handled before the jobs are done ends the action, even
 * if its own promise would still have been fulfilled. */
TEST(unhandled_rejections)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "export const floating = action(async () => { Promise.reject(new Error('adrift'));\n"
	    "  await sleep(10); return 1 });\n"
	    "export const later = action(async () => { setTimeout(() => { throw new Error('late') "
	    "}, 5);\n"
	    "  await sleep(10); return 1 });\n"
	    "export const call1 = action(async () => { call('fail'); await sleep(10); return 1 "
	    "});\n"
	    "export const handled = action(async () => { const p = Promise.reject(new "
	    "Error('no'));\n"
	    "  await null; p.catch(() => {}); await sleep(10); return 1 });\n"
	    "export const tooLate = action(async () => { const p = Promise.reject(new "
	    "Error('no'));\n"
	    "  await sleep(1); p.catch(() => {}); return 1 });\n"
	    "export const after = action(async () => { setTimeout(() => { throw 1 }, 5); return 2 "
	    "});\n");
	SAYS(&s, "floating", "! Uncaught Error: adrift");
	ASKED(&s, "sleep -sleep");
	SAYS(&s, "later", "! Uncaught Error: late");
	SAYS(&s, "call1", "! Uncaught Error: Uncaught Error: inner\n");
	SAYS(&s, "handled", "1.0");
	SAYS(&s, "tooLate", "! Uncaught Error: no");
	SAYS(&s, "after", "2.0"); /* it was over before */
	close_script(&s);
}

/* 04 checklist 13: what nobody awaited is cancelled, with one warning that names it; sleeps are not
 * worth one. */
TEST(unawaited_operations)
{
	static const struct {
		const char *why, *function, *line, *asked;
	} cases[] = {
		{ "nothing was left", "none", "(none)", "1.0/echo" },
		{ "one", "one",
		    "1 unawaited operation: [query]. Async operations should be awaited "
		    "or they might not run. See https://docs.convex.dev/functions/actions#dangling-"
		    "promises for more information.",
		    "1.0/actions/query -1.0/actions/query" },
		{ "sorted, once each", "many",
		    "4 unawaited operations: [fetch, mutation, paginate, "
		    "patch]. Async operations should be awaited or they might not run. See "
		    "https://docs.convex.dev/functions/actions#dangling-promises for more "
		    "information.",
		    NULL },
		{ "twice the same", "twice",
		    "2 unawaited operations: [schedule]. Async operations "
		    "should be awaited or they might not run. See "
		    "https://docs.convex.dev/functions/"
		    "actions#dangling-promises for more information.",
		    NULL },
		{ "a sleep", "slept", "(none)", "sleep -sleep" },
		{ "the action failed", "failed", "(none)", NULL },
	};
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "export const none = action(async () => { await call('echo'); return 1 });\n"
	    "export const one = action(async () => { call('actions/query') });\n"
	    "export const many = action(async () => { call('shallowMerge'); call('queryPage');\n"
	    "  call('actions/mutation'); fetch('http://a.test/') });\n"
	    "export const twice = action(async () => { call('actions/schedule');\n"
	    "  call('actions/schedule') });\n"
	    "export const slept = action(async () => { sleep(1000) });\n"
	    "export const failed = action(async () => { call('actions/query'); throw 1 });\n");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		run(&s, cases[i].function);
		if (!str_eq(line_of(&s, 0), str_z(cases[i].line)))
			print_error("%s\n", cases[i].why);
		CHECK_STRZ(line_of(&s, 0), cases[i].line);
		if (cases[i].asked)
			ASKED(&s, cases[i].asked);
		CHECK_EQ(w.res.logs.lines.n, cases[i].line[0] == '(' ? 0 : 1);
		if (w.res.logs.lines.n) {
			CHECK_EQ(w.res.logs.lines.v[0].level, LINE_WARN);
			CHECK_STRZ(w.res.logs.lines.v[0].system_code, "UnawaitedOperations");
		}
	}
	close_script(&s);
}

/* 04 checklist 14: a promise that never settles waits for the end of the action's time; a loop
 * meets the same end; so does a loop of jobs. */
TEST(the_end_of_the_time)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS "export const never = action(() => new Promise(() => {}));\n"
		    "export const loop = action(async () => { for (;;); });\n"
		    "export const jobs = action(async () => { for (;;) await null });\n"
		    "export const slow = action(async () => { await call('held') });\n"
		    "export const well = action(async () => 1);\n");
	run_for(&s, "never", "[{}]", 50000000);
	CHECK_STRZ(world_outcome(&w), "! Function execution timed out (maximum duration: 0.05s)");
	run_for(&s, "loop", "[{}]", 50000000);
	CHECK_STRZ(world_outcome(&w), "! Function execution timed out (maximum duration: 0.05s)");
	run_for(&s, "jobs", "[{}]", 50000000);
	CHECK_STRZ(world_outcome(&w), "! Function execution timed out (maximum duration: 0.05s)");
	SAYS(&s, "slow", "! Function execution timed out (maximum duration: 600s)");
	ASKED(&s, "1.0/held -1.0/held");
	SAYS(&s, "well", "1.0");
	close_script(&s);
}

/* When the server stops, an action that waits or computes ends. */
TEST(cancelled)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS "export const waits = action(async () => { await call('held') });\n"
		    "export const computes = action(async () => { for (;;); });\n");
	s.stop = true;
	run(&s, "waits");
	CHECK(!w.res.ok);
	run(&s, "computes");
	CHECK(!w.res.ok);
	close_script(&s);
}

/* 04 checklist 31: import() loads through the loader when the action asks for it, from what is
 * deployed by then; a second one evaluates nothing; the next run begins without it. */
TEST(dynamic_import)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "import { base } from './_deps/base.js';\n"
	    "export const lazy = action(async () => { const m = await import('./_deps/lazy.js');\n"
	    "  const again = await import('./_deps/lazy.js');\n"
	    "  return [m.value, m === again, m.base === base, ++m.state.n] });\n"
	    "export const missing = action(async () => { try { await import('./_deps/no.js') }\n"
	    "  catch (e) { return e.message } });\n"
	    "export const node = action(async () => { try { await import('node:fs') }\n"
	    "  catch (e) { return e.message } });\n"
	    "export const broken = action(async () => { try { await import('./_deps/broken.js') }\n"
	    "  catch (e) { return [e.name, e.message] } });\n"
	    "export const meta = action(async () => { try { return import.meta.url }\n"
	    "  catch (e) { return e.message } });\n");
	world_push(&w, "_deps/base.js", "export const base = {};\n");
	world_push(&w, "_deps/lazy.js",
	    "import { base } from './base.js'; export { base };\n"
	    "export const value = 'loaded', state = { n: 0 };\n");
	world_push(&w, "_deps/broken.js", "throw new RangeError('at import');\n");
	for (int i = 0; i < 3; i++) {
		SAYS(&s, "lazy", "[\"loaded\",true,true,1.0]");
		CHECK_EQ(s.txns, 1);
	}
	SAYS(&s, "missing",
	    "\"Couldn't find JavaScript module '_deps/no.js'. Did you forget to run "
	    "`npx convex dev`?\"");
	SAYS(&s, "node", "\"Unsupported scheme (node) in node:fs\"");
	SAYS(&s, "broken", "[\"RangeError\",\"at import\"]");
	SAYS(&s, "meta", "\"import.meta unsupported\"");
	close_script(&s);
}

/* 04 checklist 30: the context follows await, then(), timers and operations of the host. */
TEST(async_context)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "const als = new AsyncLocalStorage();\n"
	    "export const kept = action(async () => Promise.all([1, 2].map((n) => als.run(n, async "
	    "() => {\n"
	    "  const seen = [als.getStore()];\n"
	    "  await sleep(10 - n); seen.push(als.getStore());\n"
	    "  await call('echo'); seen.push(als.getStore());\n"
	    "  await new Promise((r) => setTimeout(() => { seen.push(als.getStore()); r() }, n));\n"
	    "  await call('echo').then(() => seen.push(als.getStore()));\n"
	    "  return seen }))));\n"
	    "export const outside = action(async () => { const p = als.run(1, () => sleep(1));\n"
	    "  await p; return als.getStore() ?? null });\n");
	SAYS(&s, "kept", "[[1.0,1.0,1.0,1.0,1.0],[2.0,2.0,2.0,2.0,2.0]]");
	SAYS(&s, "outside", "null");
	close_script(&s);
}

/* Each run of an action starts from the same heap, with time and chance of its own. */
TEST(runs_are_apart)
{
	struct world w;
	struct script s;
	str first;

	open_script(&s, &w,
	    ACTIONS
	    "let n = 0; console.log('imported');\n"
	    "export const count = action(async () => { await sleep(1); globalThis.x = (globalThis.x"
	    "  ?? 0) + 1; return [++n, globalThis.x] });\n"
	    "export const chance = action(async () => Math.random());\n"
	    "export const clock = action(async () => { const t = Date.now();\n"
	    "  for (let i = 0; Date.now() === t && i < 1e7; i++); return Date.now() > t });\n"
	    "export const left = action(async () => { call('held'); setTimeout(() => { n = 100 }, "
	    "1) });\n");
	for (int i = 0; i < 3; i++) {
		SAYS(&s, "count", "[1.0,1.0]");
		CHECK_STRZ(line_of(&s, 0), "'imported'");
		run(&s, "left");
	}
	run(&s, "chance");
	first = arena_str(w.arena, world_outcome(&w));
	CHECK(!str_starts(first, S("!")));
	SAYS(&s, "clock", "true");
	close_script(&s);
}

/* 04 checklist 2: in actions asynchronous names are the host's, and of the others there is one; at
 * import there is none. */
TEST(syscalls_go_to_the_host)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS "const say = (f) => { try { return f() } catch (e) { return e.message } };\n"
		    "const early = [say(() => Convex.syscall('1.0/queryStream', '{}')), ''];\n"
		    "Convex.asyncSyscall('1.0/actions/query', '{}').catch((e) => { early[1] = "
		    "e.message });\n"
		    "export const atImport = action(async () => early);\n"
		    "export const sync = action(async () => [\n"
		    "  say(() => Convex.syscall('1.0/queryStream', '{}')),\n"
		    "  say(() => Convex.syscall('1.0/componentArgument', '{\"name\":\"a\"}'))]);\n"
		    "export const many = action(async () => { let n = 0;\n"
		    "  await Promise.all(Array.from({ length: 500 }, async (_, i) => {\n"
		    "    const r = await call('echo', { i }); n += r.i })); return n });\n");
	SAYS(&s, "atImport",
	    "[\"Unknown operation 1.0/queryStream\","
	    "\"Syscall 1.0/actions/query unsupported at import time\"]");
	SAYS(&s, "sync",
	    "[\"Unknown operation 1.0/queryStream\","
	    "\"Component arguments are not available within the app\"]");
	SAYS(&s, "many", "124750.0");
	close_script(&s);
}

/* What an action has started and not yet heard of is bounded, by number and by bytes. */
TEST(too_many_operations)
{
	struct world w;
	struct script s;

	open_script(&s, &w,
	    ACTIONS
	    "export const number = action(async () => { const said = new Set();\n"
	    "  for (let i = 0; i < 10003; i++) call('held').catch((e) => said.add(e.message));\n"
	    "  for (let i = 0; i < 10; i++) await null;\n"
	    "  return [...said] });\n"
	    "export const bytes = action(async () => { const x = 'x'.repeat(1e6);\n"
	    "  for (let i = 0; i < 1000; i++) call('held', { x }); await sleep(1) });\n");
	SAYS(&s, "number",
	    "[\"Too many concurrent operations. See "
	    "https://docs.convex.dev/functions/actions#limits for more information.\"]");
	CHECK_EQ(s.log.n, 10000 * (strlen("1.0/held") + 1 + strlen("-1.0/held") + 1) - 1);
	SAYS(
	    &s, "bytes", "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)");
	close_script(&s);
}

TEST_RUN(T(calling_convention), T(operations_come_back_in_their_order), T(rejections),
    T(unhandled_rejections), T(unawaited_operations), T(the_end_of_the_time), T(cancelled),
    T(dynamic_import), T(async_context), T(runs_are_apart), T(syscalls_go_to_the_host),
    T(too_many_operations))
