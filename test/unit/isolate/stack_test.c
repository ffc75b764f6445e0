/* stack_test.c - error texts, mapped frames, ConvexError data; source maps; log lines. */
#include "world.h"

#include "isolate/srcmap.h"

/* The generated text of a module whose line N (from 1, after HELPERS) came from line N of
 * ../convex/m.ts, except its last line, which is the npm helper's. */
#define MAP(lines) "{\"version\":3,\"sources\":[\"../convex/m.ts\","                           \
	"\"../../node_modules/convex/src/server/impl/registration_impl.ts\"],"                \
	"\"mappings\":\";;" lines "\"}"

#define CONVEX_ERROR                                                          \
	"class ConvexError extends Error { name = 'ConvexError'; constructor(d) {"       \
	" super(typeof d === 'string' ? d : JSON.stringify(d)); this.data = d;"         \
	" this[Symbol.for('ConvexError')] = true } }\n"

/* 04 checklist 17: `Uncaught Name: message`, then frames of the user's own sources. */
TEST(frames_are_mapped_and_trimmed)
{
	struct world w;

	world_open(&w);
	world_push_map(&w, "m.js", HELPERS
	    "function inner() {\n"
	    "  throw new TypeError('bad');\n"
	    "}\n"
	    "export const f = query(async () => {\n"
	    "  [1].map(() => inner());\n"
	    "});\n"
	    "export const g = query(() => helper(() => inner()));\n"
	    "const helper = (x) => x();\n",
	    MAP("AAAA;AACA;AACA;AACA;AACA;AACA;AACA;ACAA"));
	world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
	CHECK_STRZ(w.res.error, "Uncaught TypeError: bad\n"
				"    at inner (../convex/m.ts:2:1)\n"
				"    at ../convex/m.ts:5:1\n"
				"    at Array.map (<anonymous>)\n"
				"    at ../convex/m.ts:5:1\n");
	/* The helper in the middle stays; at either end it would go. */
	world_run(&w, UDF_QUERY, "m.js", "g", "[{}]");
	CHECK(str_starts(
	    w.res.error, S("Uncaught TypeError: bad\n    at inner (../convex/m.ts:2:1)\n")));
	world_close(&w);
}

/* "    at f (../convex/m.ts:3:1)" as "f 3". */
static void
short_frames(struct buf *b, str error)
{
	size_t at, nl;

	while (str_find_char(error, '\n', &nl)) {
		str line = str_head(error, nl);

		error = str_from(error, nl + 1);
		if (!str_starts(line, S("    at ")))
			continue;
		if (b->n)
			buf_add_byte(b, '\n');
		line = str_from(line, 7);
		if (str_find(line, S(" (<anonymous>)"), &at)) {
			buf_add(b, str_head(line, at));
		} else if (str_find(line, S("../convex/m.ts:"), &at)) {
			str name = str_head(line, at), number = str_from(line, at + 15);

			if (str_ends(name, S(" (")))
				name.n -= 1;
			buf_add(b, name);
			while (number.n && *number.p >= '0' && *number.p <= '9') {
				buf_add_byte(b, (uint8_t)*number.p);
				number = str_from(number, 1);
			}
		} else {
			buf_add(b, line);
		}
	}
}

/* Frames are named as V8 names them; functions that wait follow (04 checklist 17). */
TEST(frames_are_those_of_v8)
{
	const struct {
		const char *code,
		    *want; /* lines of the handler, from 3; frames without "    at " */
	} rows[] = {
		{ "throw new Sub('s');", "f1 3" },
		{ "new K();", "new K 1\nf1 3" },
		{ "K.stat();", "K.stat 1\nf1 3" },
		{ "Object.create(K.prototype).\n meth(\n 1);", "K.meth 1\nf1 4" },
		{ "Object.create(K.prototype).acc;", "get acc [as acc] 1\nf1 3" },
		{ "({ go: K.stat }).go();", "Object.stat [as go] 1\nf1 3" },
		{ "[1].map(() => {\n null.x });", "4\nArray.map\nf1 3" },
		{ "`${{ toString() { throw new Error('t') } }}`;", "Object.toString 3\nf1 3" },
		{ "new Promise(() => null.x).then();\n null.y;", "f1 4" },
		{ "sync.call(undefined);", "sync 1\nf1 3" },
		{ "JSON.parse('{');", "f1 3" },
		{ "JSON.parse('1', () => null.x);", "Object.<anonymous> 3\nJSON.parse\nf1 3" },
		{ "await later();", "later 1\nasync f1 3" },
		{ "const two = async () => {\n await later() };\n await two();",
		    "later 1\nasync two 4\nasync f1 5" },
		{ "const two = async () => later();\n await two();", "later 1\nasync f1 4" },
		{ "await Promise.all([\n 1, later()]);",
		    "later 1\nasync Promise.all (index 1)\nasync f1 3" },
		{ "await Promise.all([Promise.allSettled([1]), Promise.all([later()])]);",
		    "later 1\nasync Promise.all (index 0)\nasync Promise.all (index 1)\n"
		    "async f1 3" },
		{ "await Promise.race([later()]);", "later 1\nasync f1 3" },
		{ "await later().finally(() => 1);", "later 1\nasync f1 3" },
		{ "await tick().then(() => {\n null.x });", "4\nasync f1 3" },
		{ "const k = Object.create(K.prototype);\n await k.wait();",
		    "K.wait 1\nasync f1 4" },
		{ "for await (const x of gen());", "gen 1\nasync f1 3" },
		{ "async function* outer() { yield* gen() }\n await outer().next();",
		    "gen 1\nasync outer 3\nasync f1 4" },
		{ "const p = later();\n p.catch(() => 1);\n await p;", "later 1" },
		{ "try { await later() } catch { }\n null.x;", "f1 4" },
		{ "const deep = async (n) => n ? await deep(n - 1) : await later();\n await "
		  "deep(12);",
		    "later 1\nasync deep 3\nasync deep 3\nasync deep 3\nasync deep 3\nasync deep "
		    "3\n"
		    "async deep 3\nasync deep 3\nasync deep 3\nasync deep 3" },
	};
	struct world w;
	int differ = 0;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char source[3000];
		struct buf b;

		snprintf(source, sizeof source, "%s%s%s\n}\nexport const f = query(f1);\n", HELPERS,
		    "const tick = async () => { await null }; class Sub extends Error { "
		    "constructor(m) {"
		    " super(m) } }; const later = async () => { await tick(); throw new Error('l') "
		    "};"
		    " class K { constructor() { null.x } static stat() { null.x } meth() { null.x }"
		    " get acc() { return null.x } async wait() { await tick(); null.x } };"
		    " async function* gen() { await tick(); throw new Error('g') }"
		    " function sync() { null.x }\n"
		    "async function f1() {\n",
		    rows[i].code);
		world_push_map(&w, "m.js", source, MAP("AAAA;AACA;AACA;AACA;AACA;AACA;AACA"));
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		buf_init(&b, 10000);
		short_frames(&b, w.res.error);
		if (!str_eq(buf_str(&b), str_z(rows[i].want))) {
			differ++;
			print_message("--- %s\n%.*s\n--- want\n%s\n", rows[i].code,
			    STR_ARG(buf_str(&b)), rows[i].want);
		}
		buf_clear(&b);
	}
	CHECK_EQ(differ, 0);
	world_close(&w);
}

/* Frames of modules without a source map are dropped; at most ten are shown. */
TEST(frames_are_limited)
{
	struct world w;
	size_t       lines = 0;

	world_open(&w);
	world_push(&w, "m.js", HELPERS "export const f = query(() => { throw new Error('x') });");
	world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
	CHECK_STRZ(w.res.error, "Uncaught Error: x\n");
	world_push_map(&w, "m.js",
	    HELPERS "export const f = query(() => { const r = (n) => n ? r(n - 1) + 1 : nope(); "
		    "return r(30) });",
	    MAP("AAAA"));
	world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
	for (size_t i = 0; i < w.res.error.n; i++)
		lines += w.res.error.p[i] == '\n';
	CHECK_EQ(lines, 11);
	CHECK(str_starts(
	    w.res.error, S("Uncaught ReferenceError: nope is not defined\n    at r (../")));
	world_close(&w);
}

/* error.stack as code sees it: frames alone, mapped, no newline at the end. */
TEST(error_stack_is_headerless)
{
	struct world w;

	world_open(&w);
	world_push_map(&w, "m.js",
	    HELPERS
	    "export const f = query(() => new Error('m').stack);\n"
	    "export const g = query(() => { const o = {}; Error.captureStackTrace(o); return "
	    "o.stack });\n"
	    "export const h = query(() => { const e = new Error('m'); e.stack = 'mine'; return "
	    "e.stack });\n"
	    "export const k = query(() => { class E extends Error { constructor() { super('k');"
	    " Error.captureStackTrace(this, E) } } throw new E() });\n",
	    MAP("AAAA;AACA;AACA;AACA"));
	EXPECT(&w, "f", "\"    at ../convex/m.ts:1:1\"");
	EXPECT(&w, "g", "\"    at ../convex/m.ts:2:1\"");
	EXPECT(&w, "h", "\"mine\"");
	EXPECT(&w, "k", "! Uncaught Error: k\n    at ../convex/m.ts:4:1");
	world_close(&w);
}

/* 04 checklist 16: whatever is thrown, a sane message and never a crash. */
TEST(thrown_values)
{
	const struct {
		const char *thrown, *want;
	} rows[] = {
		{ "'x'", "! Uncaught x" },
		{ "''", "! Uncaught" },
		{ "1.5", "! Uncaught 1.5" },
		{ "null", "! Uncaught null" },
		{ "undefined", "! Uncaught undefined" },
		{ "Symbol('s')", "! Uncaught Symbol(s)" },
		{ "10n", "! Uncaught 10" },
		{ "{}", "! Uncaught #<Object>" },
		{ "new (class Foo {})", "! Uncaught #<Foo>" },
		{ "[1]", "! Uncaught [object Array]" },
		{ "Object.create(null)", "! Uncaught #<Object>" },
		{ "new Error()", "! Uncaught Error" },
		{ "new Error('two\\nlines')", "! Uncaught Error: two\nlines" },
		{ "Object.assign(new Error('m'), { name: '' })", "! Uncaught m" },
		{ "Object.assign(new Error(''), { name: '' })", "! Uncaught" },
		{ "new (class Mine extends RangeError { name = 'Mine' })('m')",
		    "! Uncaught Mine: m" },
		{ "Object.create(Error.prototype, { message: { value: 'p' } })",
		    "! Uncaught Error: p" },
		{ "{ __proto__: Error.prototype, get message() { throw 1 } }", "! Uncaught Error" },
		{ "{ __proto__: Error.prototype, get name() { throw 1 }, message: 'm' }",
		    "! Uncaught Error: m" },
		{ "new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })",
		    "! Uncaught #<Object>" },
		{ "new Proxy(new Error('p'), {})", "! Uncaught Error: p" },
		{ "Object.assign(new Error('s'), { stack: 5 })", "! Uncaught Error: s" },
		{ "Object.assign(new Error('s'), { stack: '    at (((\\n    at x:y:z\\n  at )' })",
		    "! Uncaught Error: s" },
		{ "new Error('\\ud800')", "! Uncaught Error: \xef\xbf\xbd" },
		{ "new DOMException('m', 'AbortError')", "! Uncaught AbortError: m" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char source[3000];

		print_message("  %s\n", rows[i].thrown);
		snprintf(source, sizeof source,
		    HELPERS "export const f = query(() => { throw %s }); export const g = "
			    "query(async () => {"
			    " await null; throw %s });",
		    rows[i].thrown, rows[i].thrown);
		world_push(&w, "m.js", source);
		EXPECT(&w, "f", rows[i].want);
		EXPECT(&w, "g", rows[i].want);
		CHECK(w.res.error_data.p == NULL);
	}
	world_close(&w);
}

/* The message is cut at 65,536 bytes on a character border. */
TEST(long_messages)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "export const f = query(() => { throw new Error('x' + '\xc3\xa9'.repeat(50000)) });");
	world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
	CHECK_EQ(w.res.error.n, sizeof "Uncaught Error: \n" - 1 + 65535);
	CHECK(str_utf8_valid(w.res.error));
	world_close(&w);
}

/* 04 checklist 18: data of a ConvexError, from the native path and in the helper's own form. */
TEST(convex_errors)
{
	const struct {
		const char *thrown, *want, *data;
	} rows[] = {
		{ "new ConvexError('text')", "! Uncaught ConvexError: text", "\"text\"" },
		{ "Object.assign(new ConvexError(0), { data: { b: 1n, a: 'x' } })",
		    "! Uncaught ConvexError: 0",
		    "{\"a\":\"x\",\"b\":{\"$integer\":\"AQAAAAAAAAA=\"}}" },
		{ "new ConvexError(undefined)", NULL, "null" },
		{ "Object.assign(new ConvexError('t'), { data: '{\"a\":1}', ConvexErrorSymbol:"
		  " Symbol.for('ConvexError') })",
		    "! Uncaught ConvexError: t", "{\"a\":1.0}" },
		{ "Object.assign(new ConvexError('t'), { data: '{', ConvexErrorSymbol:"
		  " Symbol.for('ConvexError') })",
		    "! ConvexError with invalid data: *", NULL },
		{ "Object.assign(new ConvexError('t'), { data: () => 1 })",
		    "! Uncaught Error: Function *", NULL },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char source[3000];
		str  got;

		print_message("  %s\n", rows[i].thrown);
		snprintf(source, sizeof source, HELPERS CONVEX_ERROR
		    "export const f = query(() => { throw %s });", rows[i].thrown);
		world_push(&w, "m.js", source);
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		got = world_outcome(&w);
		if (rows[i].want && str_ends(str_z(rows[i].want), S("*")))
			CHECK(str_starts(
			    got, str_head(str_z(rows[i].want), strlen(rows[i].want) - 1)));
		else if (rows[i].want)
			CHECK_STRZ(got, rows[i].want);
		if (rows[i].data)
			CHECK_STRZ(w.res.error_data, rows[i].data);
		else
			CHECK(w.res.error_data.p == NULL);
	}
	world_close(&w);
}

/* Positions between segments belong to the one before; broken maps are no maps. */
TEST(source_maps)
{
	const struct {
		const char *why, *json;
		bool        ok;
	} rows[] = {
		{ "minimal", "{\"sources\":[\"a\"],\"mappings\":\"AAAA\"}", true },
		{ "no mappings", "{\"sources\":[\"a\"]}", false },
		{ "not JSON", "AAAA", false },
		{ "a bad digit", "{\"sources\":[\"a\"],\"mappings\":\"AA!A\"}", false },
		{ "endless quantity", "{\"sources\":[\"a\"],\"mappings\":\"gggggggggggggggA\"}",
		    false },
		{ "below zero", "{\"sources\":[\"a\"],\"mappings\":\"DAAA\"}", false },
		{ "six fields", "{\"sources\":[\"a\"],\"mappings\":\"AAAAAA\"}", false },
		{ "two fields", "{\"sources\":[\"a\"],\"mappings\":\"AA\"}", false },
		{ "no sources", "{\"mappings\":\"AAAA\"}", false },
	};
	struct srcmap *m;
	str            source;
	uint32_t       line, col;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("  %s\n", rows[i].why);
		m = srcmap_parse(str_z(rows[i].json));
		CHECK_EQ(m != NULL, rows[i].ok);
		srcmap_free(m);
	}
	/* line 0: col 0 -> a 0:0, col 10 -> b 4:2, col 20 unmapped; line 2: col 0 -> b 5:2 */
	m = srcmap_parse(S("{\"sources\":[\"a\",\"b\"],\"sourceRoot\":\"r\","
	                   "\"mappings\":\"AAAA,UCIE,U;;AACA\"}"));
	CHECK(m);
	CHECK(srcmap_find(m, 0, 9, &source, &line, &col) && line == 0 && col == 0);
	CHECK_STRZ(source, "r/a");
	CHECK(srcmap_find(m, 0, 10, &source, &line, &col) && line == 4 && col == 2);
	CHECK_STRZ(source, "r/b");
	CHECK(!srcmap_find(m, 0, 25, &source, &line, &col));
	CHECK(srcmap_find(m, 9, 9, &source, &line, &col) && line == 5 && col == 2);
	srcmap_free(m);
}

static void
add_line(struct loglines *l, str text)
{
	loglines_add(l, &(struct logline){ .level = LINE_WARN, .nmessages = 1, .messages = &text,
	    .timestamp_ms = 1700000000123 });
}

/* 04 checklist 20: 32,768 bytes a line on a character border; 255 lines, then the overflow line. */
TEST(log_lines)
{
	struct arena   *a = arena_new();
	struct loglines l;
	struct buf      b;
	char           *big = arena_alloc(a, 40001);
	str             two[2] = { str_of(big, 20000), str_of(big, 20000) };

	memset(big, 'x', 40000);
	for (int i = 0; i < 40000; i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	buf_init(&b, 1 << 20);
	loglines_init(&l, a);
	add_line(&l, S("hi"));
	loglines_add(&l, &(struct logline){ .level = LINE_LOG, .nmessages = 2, .messages = two });
	CHECK(l.lines.v[1].truncated && l.lines.v[1].messages[1].n == 12766);
	for (int i = 0; i < 300; i++)
		add_line(&l, S("more"));
	CHECK_EQ(l.lines.n, 256);
	CHECK_EQ(l.lines.v[255].level, LINE_ERROR);
	CHECK_STRZ(l.lines.v[255].messages[0],
	    "Log overflow (maximum 256). Remaining log lines omitted.");
	logline_pretty(&b, &l.lines.v[0]);
	CHECK_STRZ(buf_str(&b), "[WARN] hi");
	buf_reset(&b);
	logline_pretty(&b, &l.lines.v[1]);
	CHECK(str_ends(buf_str(&b), S(" (truncated due to length)")));
	buf_reset(&b);
	logline_json(&b, &l.lines.v[0]);
	CHECK_STRZ(buf_str(&b),
	    "{\"messages\":[\"hi\"],\"isTruncated\":false,"
	    "\"timestamp\":1700000000123,\"level\":\"WARN\",\"systemMetadata\":null}");
	buf_clear(&b);
	loglines_clear(&l);
	arena_free(a);
}

TEST_RUN(T(frames_are_mapped_and_trimmed), T(frames_are_those_of_v8), T(frames_are_limited),
    T(error_stack_is_headerless), T(thrown_values), T(long_messages), T(convex_errors),
    T(source_maps), T(log_lines))
