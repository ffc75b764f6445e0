/* executor_test.c - "use node" actions in real processes of Node.js, with a host of the test's.
 *
 * Skipped, with a word, where there is no Node.js.
 *
 * Thread: several at once where the case is about that.
 */
#include "node/executor.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/nframe.h"
#include "node/package_int.h"
#include "os/file.h"
#include "os/os.h"
#include "runtime/thread.h"
#include "test.h"
#include "value/vjson.h"

/* --- a host: answers at once, or never --- */

struct host {
	struct async_op *done; /* newest first */
	unsigned started, cancelled;
	unsigned streams, chunks, streamed_bytes, ended;
	unsigned reads;
	bool stop;
	struct action_host table;
};

static void
answer(struct host *h, struct async_op *op, status st, const char *text)
{
	op->st = st;
	op->err = err_in(op->arena);
	if (st == ST_OK)
		op->ret_json = arena_str(op->arena, str_z(text));
	else
		(void)err_set(&op->err, st, "Test", "%s", text);
	op->next = h->done;
	h->done = op;
}

static void
perform_syscall(struct host *h, struct async_op *op)
{
	if (str_eq(op->name, S("1.0/actions/mutation"))) {
		answer(h, op, ST_OK, arena_z(op->arena, op->json));
	} else if (str_eq(op->name, S("1.0/data"))) {
		answer(h, op, ST_BAD_REQUEST, "with data");
		op->err.data = S("{\"a\":1}");
	} else if (str_eq(op->name, S("1.0/never")) || str_eq(op->name, S("1.0/storageGetUrl"))) {
		async_op_free(op);
	} else {
		answer(h, op, ST_BAD_REQUEST, "Unknown async operation");
	}
}

static void
host_start(void *arg, struct async_op *op)
{
	struct host *h = arg;

	h->started++;
	switch (op->kind) {
	case OP_SYSCALL:
		perform_syscall(h, op);
		break;
	case OP_STORAGE_STORE:
		answer(h, op, ST_OK,
		    op->bytes.p
			? arena_fmt(op->arena, "{\"storageId\":\"whole %zu\"}", op->bytes.n).p
			: "{\"storageId\":\"streamed\"}");
		break;
	case OP_STORAGE_GET:
		answer(h, op, ST_OK, "{\"streamId\":\"7\",\"contentType\":\"text/x\",\"size\":6}");
		break;
	case OP_READ:
		if (h->reads++ < 2) {
			buf_init(&op->ret_bytes, 64);
			buf_addz(&op->ret_bytes, "abc");
			op->has_bytes = true;
			answer(h, op, ST_OK, "{\"done\":false}");
		} else {
			answer(h, op, ST_OK, "{\"done\":true}");
		}
		break;
	default:
		answer(h, op, ST_BAD_REQUEST, "not in Node.js");
	}
}

static void
host_cancel(void *arg, uint32_t id)
{
	struct host *h = arg;

	(void)id;
	h->cancelled++;
}

static struct async_op *
host_wait(void *arg, uint64_t until_ns, int fd)
{
	struct host *h = arg;
	struct async_op *op = h->done;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)until_ns;
	if (op)
		h->done = op->next;
	else
		(void)poll(&p, 1, 20);
	return op;
}

static bool
host_cancelled(void *arg)
{
	return ((struct host *)arg)->stop;
}

static uint64_t
host_stream_new(void *arg)
{
	return 100 + ((struct host *)arg)->streams++;
}

static bool
host_stream_write(void *arg, uint64_t id, str bytes, bool done, str why)
{
	struct host *h = arg;

	CHECK(id >= 100);
	(void)why;
	h->chunks++;
	h->streamed_bytes += (unsigned)bytes.n;
	h->ended += done;
	return true;
}

static void
host_stream_drop(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
}

static void
host_init(struct host *h)
{
	memset(h, 0, sizeof *h);
	h->table = (struct action_host){ .arg = h,
		.start = host_start,
		.cancel = host_cancel,
		.wait = host_wait,
		.cancelled = host_cancelled,
		.stream_new = host_stream_new,
		.stream_write = host_stream_write,
		.stream_drop = host_stream_drop };
}

static void
host_clear(struct host *h)
{
	while (h->done) {
		struct async_op *op = h->done;

		h->done = op->next;
		async_op_free(op);
	}
}

/* --- the modules under test --- */

/* js/test/node-actions.js as the CLI would bundle it. */
static const char bundle[] = JS_BUILD_DIR "/test-node-actions.js";

struct bench {
	struct node_executor *x;
	struct node_package *package;
	struct host host;
	char folder[64];
};

static bool
bench_open_with(struct bench *b, uint64_t timeout_ns, str source, str map)
{
	struct node_module modules[] = { { S("m.js"), source, map } };
	struct node_content content = { COUNT_OF(modules), modules, 0, NULL };
	struct node_executor_opts opts = {
		.folder = b->folder, .timeout_ns = timeout_ns, .os = os_real()
	};

	memset(b, 0, sizeof *b);
	memcpy(b->folder, "/tmp/node-test-XXXXXX", 22);
	must(mkdtemp(b->folder));
	host_init(&b->host);
	b->x = node_executor_new(&opts);
	if (node_executor_check(b->x, NULL) != ST_OK) {
		print_message("no Node.js here: skipped\n");
		node_executor_free(b->x);
		must(rmdir(b->folder) == 0);
		return false;
	}
	CHECK_EQ(node_executor_make(b->x, &content, &b->package, NULL), ST_OK);
	return true;
}

static bool
bench_open_for(struct bench *b, uint64_t timeout_ns)
{
	struct buf source, map;
	char path[sizeof bundle + 4];
	bool opened;

	buf_init(&source, BUF_MAX_DEFAULT);
	buf_init(&map, BUF_MAX_DEFAULT);
	(void)snprintf(path, sizeof path, "%s.map", bundle);
	must(file_read(bundle, &source, NULL) == ST_OK && file_read(path, &map, NULL) == ST_OK);
	opened = bench_open_with(b, timeout_ns, buf_str(&source), buf_str(&map));
	buf_clear(&source);
	buf_clear(&map);
	return opened;
}

static bool
bench_open(struct bench *b)
{
	return bench_open_for(b, 0);
}

static void
bench_close(struct bench *b)
{
	node_package_unref(b->package);
	node_executor_free(b->x);
	host_clear(&b->host);
	folder_remove(b->folder);
}

struct outcome {
	struct arena *arena;
	struct run_result res;
	status st;
	str value; /* JSON */
};

static void
run_with(struct bench *b, struct host *h, const char *function, str args, const char *who,
    struct outcome *ret)
{
	struct env_var vars[] = { { S("WHO"), str_z(who) }, { S("WHO"), S("shadowed") } };
	struct node_run r = { .package = b->package,
		.module = S("m.js"),
		.function = str_z(function),
		.args_json = args,
		.vars = vars,
		.nvars = COUNT_OF(vars),
		.host = &h->table };
	struct buf text;

	memset(ret, 0, sizeof *ret);
	ret->arena = r.arena = arena_new();
	loglines_init(&ret->res.logs, ret->arena);
	ret->st = node_run_action(b->x, &r, &ret->res, NULL);
	if (ret->st == ST_OK && ret->res.ok) {
		buf_init(&text, BUF_MAX_DEFAULT);
		vjson_write(&text, ret->res.value, VJSON_CLEAN);
		ret->value = arena_str(ret->arena, buf_str(&text));
		buf_clear(&text);
	}
}

static void
run(struct bench *b, const char *function, const char *args, struct outcome *ret)
{
	run_with(b, &b->host, function, str_z(args), "us", ret);
}

static void
outcome_clear(struct outcome *o)
{
	loglines_clear(&o->res.logs);
	arena_free(o->arena);
}

/* The value or the error's beginning, depending on which is given. */
static void
expect(struct bench *b, const char *why, const char *function, const char *args, const char *value,
    const char *error)
{
	struct outcome o;

	run(b, function, args, &o);
	if (o.st != ST_OK || o.res.ok != (value != NULL) ||
	    (value && !str_eq(o.value, str_z(value))) ||
	    (error && !str_starts(o.res.error, str_z(error)))) {
		print_error("%s: %s gave \"%.*s\", \"%.*s\"\n", why, function, STR_ARG(o.value),
		    STR_ARG(o.res.error));
		outcome_clear(&o);
		fail();
	}
	outcome_clear(&o);
}

/* --- the cases --- */

/* What an action returns, throws, reads and calls is what a client sees. 04 checklist 48 */
TEST(actions_run)
{
	static const struct {
		const char *why, *function, *args, *value, *error;
	} cases[] = {
		{ "a value", "echo", "[{\"x\":[1,\"\\u00e9\",null]}]",
		    "{\"x\":[1.0,\"\xc3\xa9\",null]}", NULL },
		{ "nothing is null", "nothing", "[{}]", "null", NULL },
		{ "modules are evaluated once", "count", "[{}]", "1.0", NULL },
		{ "a process serves many runs", "count", "[{}]", "2.0", NULL },
		{ "variables are those of the run, the first of a name, and no others", "env",
		    "[{}]", "[\"us\",\"us\",\"none\"]", NULL },
		{ "CommonJS globals", "globals", "[{}]",
		    "[\"function\",\"object\",\"object\",true,\"/\",\"function\"]", NULL },
		{ "data of a failed call", "data", "[{}]", "[\"with data\",{\"a\":1.0}]", NULL },
		{ "an operation that there is not", "unknown", "[{}]", NULL,
		    "Uncaught Error: Unknown async operation\n" },
		{ "an error has class and message", "fails", "[{}]", NULL,
		    "Uncaught RangeError: boom\n" },
		{ "a thrown text", "throwsText", "[{}]", NULL, "Uncaught text\n" },
		{ "a thrown object", "throwsObject", "[{}]", NULL, "Uncaught #<Object>\n" },
		{ "a thrown trap", "throwsTrap", "[{}]", NULL, "Uncaught #<Object>\n" },
		{ "half a character", "halves", "[{}]", NULL,
		    "Uncaught Error: half \xef\xbf\xbd\n" },
		{ "a long message", "longError", "[{}]", NULL, "Uncaught Error:     at ((((" },
		{ "no such export", "absent", "[{}]", NULL,
		    "Couldn't find \"absent\" in module \"m.js\".\n" },
		{ "an export that is no function", "plain", "[{}]", NULL,
		    "Function m.js:plain is not an action." },
		{ "a result that is no JSON", "notJson", "[{}]", NULL,
		    "Function m.js:notJson failed. Could not parse return value as json: " },
		{ "bad ConvexError data", "badConvexError", "[{}]", NULL,
		    "ConvexError with invalid data: " },
		{ "not a blob", "storesText", "[{}]", NULL,
		    "Uncaught Error: store() expects a Blob. " },
		{ "a small file goes whole", "stores", "[10]", "\"whole 10\"", NULL },
		{ "an empty file as well", "stores", "[0]", "\"whole 0\"", NULL },
		{ "a file is read in pieces", "loads", "[{}]", "[\"abcabc\",\"text/x\",6.0]",
		    NULL },
		{ "pending operations have a limit", "manyOps", "[{}]",
		    "\"Too many concurrent operations. See "
		    "https://docs.convex.dev/functions/actions#limits for more information.\"",
		    NULL },
	};
	struct bench b;

	if (!bench_open(&b))
		return;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect(&b, cases[i].why, cases[i].function, cases[i].args, cases[i].value,
		    cases[i].error);
	bench_close(&b);
}

/* 04 checklist 18: data of a ConvexError reaches the caller of a Node action. */
TEST(convex_errors_have_data)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	run(&b, "convexError", "[{}]", &o);
	CHECK(!o.res.ok);
	CHECK_STRZ(o.res.error_data, "{\"code\":7.0}");
	CHECK(str_starts(o.res.error, S("Uncaught ConvexError: {\"code\":7}\n")));
	outcome_clear(&o);
	bench_close(&b);
}

/* Section 2.7: frames go through source maps; those of Node.js are not shown. */
TEST(errors_have_frames)
{
	struct bench b;
	struct outcome o;
	size_t at;

	if (!bench_open(&b))
		return;
	run(&b, "fails", "[{}]", &o);
	CHECK(str_starts(o.res.error, S("Uncaught RangeError: boom\n    at ")));
	CHECK(str_find(o.res.error, S("js/test/node-actions.js:"), &at));
	CHECK(!str_find(o.res.error, S("node:internal"), &at));
	CHECK(!str_find(o.res.error, S("executor.cjs"), &at));
	outcome_clear(&o);
	bench_close(&b);
}

/* Nested calls go to the host with the arguments that the npm helper wrote. */
TEST(nested_calls)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	run(&b, "nested", "[5]", &o);
	CHECK(o.res.ok);
	CHECK(str_starts(o.value, S("{\"requestId\":\"")));
	CHECK(str_ends(o.value, S(",\"x\":5.0}")));
	CHECK_EQ(b.host.started, 1);
	outcome_clear(&o);
	bench_close(&b);
}

/* Section 2.8: util.inspect, 256 lines, 1,048,576 characters. */
TEST(console)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	run(&b, "say", "[{}]", &o);
	CHECK_EQ(o.res.logs.lines.n, 2);
	CHECK_EQ(o.res.logs.lines.v[0].level, LINE_LOG);
	CHECK_EQ(o.res.logs.lines.v[0].nmessages, 2);
	CHECK_STRZ(o.res.logs.lines.v[0].messages[0], "'a'");
	CHECK_STRZ(o.res.logs.lines.v[0].messages[1], "{ b: [ 1 ] }");
	CHECK_EQ(o.res.logs.lines.v[1].level, LINE_ERROR);
	CHECK_STRZ(o.res.logs.lines.v[1].messages[0], "Map(0) {}");
	outcome_clear(&o);
	run(&b, "flood", "[{}]", &o);
	CHECK(o.res.ok);
	CHECK_EQ(o.res.logs.lines.n, 256);
	CHECK_STRZ(o.res.logs.lines.v[255].messages[0],
	    "Log overflow (maximum 256). Remaining log lines omitted.");
	outcome_clear(&o);
	run(&b, "large", "[{}]", &o);
	CHECK_EQ(o.res.logs.lines.n, 1048576 / 9002 + 1);
	CHECK_STRZ(o.res.logs.lines.v[o.res.logs.lines.n - 1].messages[0],
	    "Log overflow (maximum 1M characters). Remaining log lines omitted.");
	outcome_clear(&o);
	bench_close(&b);
}

/* Section 10.2: what nobody catches ends the run, and the process is not used again. */
TEST(a_poisoned_process_is_replaced)
{
	static const struct {
		const char *function, *error;
	} cases[] = {
		{ "rejects", "Uncaught Error: stray\n" },
		{ "rejectsLate", "Uncaught Error: late\n" },
		{ "raises", "Uncaught Error: raised\n" },
		{ "exits", "Uncaught Error: process.exit() called with exit code 3\n" },
		{ "exitsPlainly", "Uncaught Error: process.exit() called with no exit code\n" },
		{ "dies", "The Node.js process that ran this action exited unexpectedly." },
	};
	struct bench b;

	if (!bench_open(&b))
		return;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		expect(&b, "fresh", "count", "[{}]", "1.0", NULL);
		expect(&b, "poison", cases[i].function, "[{}]", NULL, cases[i].error);
	}
	expect(&b, "fresh", "count", "[{}]", "1.0", NULL);
	bench_close(&b);
}

/* Section 10.2: a warning for each kind of operation that nobody awaited; the host stops them. */
TEST(outstanding_operations_are_told)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	run(&b, "dangles", "[{}]", &o);
	CHECK(o.res.ok);
	CHECK_EQ(o.res.logs.lines.n, 2);
	CHECK_EQ(o.res.logs.lines.v[0].level, LINE_WARN);
	CHECK(str_starts(o.res.logs.lines.v[0].messages[0],
	    S("You have an outstanding never call. Operations should be awaited or they might not "
	      "run. ")));
	CHECK(str_starts(
	    o.res.logs.lines.v[1].messages[0], S("You have an outstanding storage GetUrl call. ")));
	CHECK_EQ(b.host.cancelled, 2);
	outcome_clear(&o);
	bench_close(&b);
}

/* Section 10.2: calls with another run's request id. */
TEST(leftover_state)
{
	struct bench b;

	if (!bench_open(&b))
		return;
	expect(&b, "keeps its id", "keeps", "[{}]", "null", NULL);
	expect(&b, "which is good for nothing later", "uses", "[{}]",
	    "\"Leftover state detected. This typically happens if there are dangling promises from "
	    "a "
	    "previous request. Did you forget to await your promises?\"",
	    NULL);
	bench_close(&b);
}

/* Section 5.2: arguments of at most 5 MiB. 04 checklist 48 */
TEST(arguments_have_a_limit)
{
	struct bench b;
	struct outcome o;
	struct buf args;

	if (!bench_open(&b))
		return;
	buf_init(&args, BUF_MAX_DEFAULT);
	buf_addz(&args, "[\"");
	while (args.n < ((size_t)5 << 20) - 2)
		buf_add_byte(&args, 'x');
	buf_addz(&args, "\"]");
	run_with(&b, &b.host, "sleeps", S("[1]"), "us", &o);
	CHECK(o.res.ok);
	outcome_clear(&o);
	run_with(&b, &b.host, "echo", buf_str(&args), "us", &o);
	CHECK(o.res.ok);
	outcome_clear(&o);
	buf_addz(&args, " ");
	run_with(&b, &b.host, "echo", buf_str(&args), "us", &o);
	CHECK(!o.res.ok);
	CHECK(str_starts(o.res.error,
	    S("Node actions arguments size is too large. The maximum size is 5 MiB. ")));
	outcome_clear(&o);
	buf_clear(&args);
	bench_close(&b);
}

/* Large files do not travel in one piece. */
TEST(large_files_are_streamed)
{
	struct bench b;

	if (!bench_open(&b))
		return;
	expect(&b, "a large file", "stores", "[3000000]", "\"streamed\"", NULL);
	CHECK_EQ(b.host.streams, 1);
	CHECK(b.host.chunks >= 1);
	CHECK_EQ(b.host.ended, 1);
	bench_close(&b);
}

/* Section 10.1: other variables, other module state; the old process ends when it is idle. */
TEST(variables_evaluate_modules_again)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	expect(&b, "as it was", "count", "[{}]", "1.0", NULL);
	run_with(&b, &b.host, "env", S("[{}]"), "them", &o);
	CHECK_STRZ(o.value, "[\"them\",\"them\",\"none\"]");
	outcome_clear(&o);
	run_with(&b, &b.host, "count", S("[{}]"), "them", &o);
	CHECK_STRZ(o.value, "1.0");
	outcome_clear(&o);
	bench_close(&b);
}

/* Section 5.1: 600 s; a run that spins does not take its thread with it. */
TEST(runs_have_a_deadline)
{
	struct bench b;

	if (!bench_open_for(&b, 1500000000u))
		return;
	expect(&b, "waits for ever", "hangs", "[{}]", NULL,
	    "Action `m.js:hangs` execution timed out (maximum duration 1s)\n");
	expect(&b, "spins", "spins", "[{}]", NULL,
	    "Action `m.js:spins` execution timed out (maximum duration 1s)\n");
	expect(&b, "others run", "count", "[{}]", "1.0", NULL);
	bench_close(&b);
}

struct worker {
	struct bench *b;
	struct host host;
	struct outcome o;
	const char *function, *args;
};

static void
worker_main(void *arg)
{
	struct worker *w = arg;

	run_with(w->b, &w->host, w->function, str_z(w->args), "us", &w->o);
}

/* Many at once in one process, and a failure of one is not that of the others. */
TEST(runs_are_concurrent)
{
	struct worker w[40];
	struct thread *threads[COUNT_OF(w)];
	struct bench b;
	uint64_t began;

	if (!bench_open(&b))
		return;
	expect(&b, "warm", "count", "[{}]", "1.0", NULL);
	began = os_mono_ns(os_real());
	for (size_t i = 0; i < COUNT_OF(w); i++) {
		w[i].b = &b;
		host_init(&w[i].host);
		w[i].function = i == 7 ? "rejects" : "sleeps";
		w[i].args = "[400]";
		threads[i] = thread_start("run", 0, worker_main, &w[i]);
	}
	for (size_t i = 0; i < COUNT_OF(w); i++)
		thread_join_free(threads[i]);
	CHECK(os_mono_ns(os_real()) - began < 4000000000u);
	for (size_t i = 0; i < COUNT_OF(w); i++) {
		CHECK_EQ(w[i].o.st, ST_OK);
		CHECK_EQ(w[i].o.res.ok, i != 7);
		host_clear(&w[i].host);
		outcome_clear(&w[i].o);
	}
	bench_close(&b);
}

/* A run whose caller is gone ends at once. */
TEST(cancelled_runs_end)
{
	struct bench b;
	struct outcome o;

	if (!bench_open(&b))
		return;
	b.host.stop = true;
	run(&b, "hangs", "[{}]", &o);
	CHECK_EQ(o.st, ST_REJECTED);
	outcome_clear(&o);
	bench_close(&b);
}

/* Spec 02 section 11.7: names, positions, validators; only actions. */
TEST(modules_are_analysed)
{
	static const char good[] =
	    "const action = (more) => Object.assign(() => {}, { isAction: true, _handler: async () "
	    "=> 1,\n"
	    "  exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null', ...more });\n"
	    "export const c = action({ isInternal: true });\n"
	    "export const b = action({ isPublic: true, _handler: async () => 2 });\n"
	    "export const a = action({ isPublic: true, isInternal: true });\n"
	    "export const none = 4;\n";
	struct bench b;
	struct arena *a = arena_new();
	struct node_analyzed *got;
	str paths[] = { S("m.js") };

	if (bench_open_with(&b, 0, str_z(good), (str){ NULL, 0 })) {
		CHECK_EQ(node_analyze(b.x, b.package, NULL, 0, paths, 1, a, &got, NULL), ST_OK);
		CHECK_STRZ(got[0].path, "m.js");
		CHECK_EQ(got[0].nfunctions, 2); /* `a` has both marks: skipped */
		CHECK_STRZ(got[0].functions[1].name, "c");
		CHECK_STRZ(got[0].functions[1].visibility, "internal");
		CHECK_STRZ(got[0].functions[0].name, "b");
		CHECK_STRZ(got[0].functions[0].visibility, "public");
		CHECK_STRZ(got[0].functions[0].args, "{\"type\":\"any\"}");
		CHECK_STRZ(got[0].functions[0].returns, "null");
		CHECK(got[0].functions[0].has_pos);
		CHECK_EQ(got[0].functions[0].line, 3);
		bench_close(&b);
	}
	arena_free(a);
}

TEST(bad_modules_are_refused)
{
	static const struct {
		const char *why, *source, *error;
	} cases[] = {
		{ "a query",
		    "export const q = Object.assign(() => {}, { isQuery: true, isPublic: true });",
		    "Failed to analyze m.js: `q` defined in `m.js` is a Query function. Only "
		    "actions can "
		    "be defined in Node.js. See https://docs.convex.dev/functions/actions for more "
		    "details." },
		{ "a module that throws", "console.log('look'); throw new Error('at import');",
		    "Failed to analyze m.js: Uncaught Error: at import" },
		{ "a package that is not there", "import 'there-is-no-such-package';",
		    "Failed to analyze m.js: Uncaught Error: Cannot find package" },
		{ "no JavaScript", "export const = 1;",
		    "Failed to analyze m.js: Uncaught SyntaxError: " },
		{ "one that exits", "process.exit(1);",
		    "Failed to analyze : Uncaught Error: process.exit() called with exit code 1" },
		{ "one that dies", "process.reallyExit(1);",
		    "Failed to analyze the Node.js modules: the process exited unexpectedly" },
	};
	str paths[] = { S("m.js") };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct bench b;
		struct arena *a = arena_new();
		struct err e = err_in(a);
		struct node_analyzed *got;

		if (bench_open_with(&b, 0, str_z(cases[i].source), (str){ NULL, 0 })) {
			CHECK_EQ(node_analyze(b.x, b.package, NULL, 0, paths, 1, a, &got, &e),
			    ST_BAD_REQUEST);
			if (!str_starts(e.text, str_z(cases[i].error)))
				print_error("%s\n", cases[i].why);
			CHECK_STR(str_head(e.text, strlen(cases[i].error)), str_z(cases[i].error));
			bench_close(&b);
		}
		arena_free(a);
	}
}

/* Without Node.js, or with one that is too old, a push says so. */
TEST(node_is_asked_for)
{
	static const struct {
		const char *why, *script;
	} cases[] = { { "too old", "#!/bin/sh\necho v16.20.2\n" },
		{ "18 before .19", "#!/bin/sh\necho v18.18.0\n" },
		{ "something else", "#!/bin/sh\necho hello\n" },
		{ "fails", "#!/bin/sh\nexit 1\n" } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char path[] = "/tmp/node-test-XXXXXX";
		struct node_executor_opts opts = {
			.folder = "/nowhere", .node = path, .os = os_real()
		};
		struct node_executor *x;
		struct err e = err_in(NULL);
		int fd = mkstemp(path);

		must(fd >= 0 && write(fd, cases[i].script, strlen(cases[i].script)) > 0);
		must(fchmod(fd, 0700) == 0 && close(fd) == 0);
		x = node_executor_new(&opts);
		CHECK_EQ(node_executor_check(x, &e), ST_BAD_REQUEST);
		CHECK_STRZ(e.code, "DeploymentNotConfiguredForNodeActions");
		node_executor_free(x);
		must(unlink(path) == 0);
	}
}

/* Frames are taken whole, and refused when their lengths cannot be. */
TEST(frames)
{
	struct buf b;
	struct nframe f;
	size_t size = 0;

	buf_init(&b, 1024);
	nframe_add(&b, S("{}"), S("abc"));
	nframe_add(&b, S("[]"), STR_EMPTY);
	for (size_t n = 0; n < 13; n++)
		CHECK_EQ(nframe_next(str_head(buf_str(&b), n), &f, &size), NFRAME_MORE);
	CHECK_EQ(nframe_next(buf_str(&b), &f, &size), NFRAME_ONE);
	CHECK_EQ(size, 13);
	CHECK_STRZ(f.header, "{}");
	CHECK_STRZ(f.bytes, "abc");
	CHECK_EQ(nframe_next(str_from(buf_str(&b), size), &f, &size), NFRAME_ONE);
	CHECK_STRZ(f.header, "[]");
	CHECK_EQ(f.bytes.n, 0);
	CHECK_EQ(nframe_next(S("\xff\xff\xff\xff\0\0\0\0"), &f, &size), NFRAME_BAD);
	CHECK_EQ(nframe_next(S("\0\0\0\1\xff\0\0\0"), &f, &size), NFRAME_BAD);
	buf_clear(&b);
}

TEST_RUN(T(actions_run), T(convex_errors_have_data), T(errors_have_frames), T(nested_calls),
    T(console), T(a_poisoned_process_is_replaced), T(outstanding_operations_are_told),
    T(leftover_state), T(arguments_have_a_limit), T(large_files_are_streamed),
    T(variables_evaluate_modules_again), T(runs_have_a_deadline), T(runs_are_concurrent),
    T(cancelled_runs_end), T(modules_are_analysed), T(bad_modules_are_refused),
    T(node_is_asked_for), T(frames))
