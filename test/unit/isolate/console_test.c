/* console_test.c - the console and the other globals of the prelude. */
#include "world.h"

/* Runs the body of a query and gives its result as JSON. */
static str
eval(struct world *w, const char *body)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, HELPERS "export const f = query(async (ctx, args) => {");
	buf_addz(&b, body);
	buf_addz(&b, "});");
	buf_add_byte(&b, 0);
	world_push(w, "m.js", b.p);
	buf_clear(&b);
	world_run(w, UDF_QUERY, "m.js", "f", "[{}]");
	return world_outcome(w);
}

#define EVAL(body, want) CHECK_STRZ(eval(&w, (body)), (want))

/* 04 checklist 19: the table of section 2.8. */
TEST(console_formats_like_object_inspect)
{
	static const struct {
		const char *expression, *want;
	} rows[] = {
		{ "\"a\\nb'c\"", "'a\\nb\\'c'" },
		{ "undefined", "undefined" },
		{ "null", "null" },
		{ "1.5", "1.5" },
		{ "-0", "-0" },
		{ "10n", "10n" },
		{ "Symbol('s')", "Symbol(s)" },
		{ "{}", "{}" },
		{ "[]", "[]" },
		{ "[1,[2,3]]", "[ 1, [ 2, 3 ] ]" },
		{ "{a:1,b:{c:'x'}}", "{\n  a: 1,\n  b: {\n    c: 'x'\n  }\n}" },
		{ "[{a:1}]", "[\n  {\n    a: 1\n  }\n]" },
		{ "new Map([['k',1]])", "Map (1) {\n  'k' => 1\n}" },
		{ "new Set([1])", "Set (1) {\n  1\n}" },
		{ "new Error('boom')", "[Error: boom]" },
		{ "Object.assign(new TypeError('t'), {code: 1})", "{ [TypeError: t] code: 1 }" },
		{ "function foo(){}", "[Function: foo]" },
		{ "(() => 1)", "[Function (anonymous)]" },
		{ "new (class Foo { x = 1 })", "Foo {\n  x: 1\n}" },
		{ "Object.create(null)", "[Object: null prototype] {}" },
		{ "new Uint8Array([1,2])", "Uint8Array [Uint8Array] {\n  0: 1,\n  1: 2\n}" },
		{ "Promise.resolve()", "Promise [Promise] {}" },
		{ "new WeakMap()", "WeakMap { ? }" },
		{ "(() => { const a = {}; a.a = a; return a })()", "{\n  a: [Circular]\n}" },
		{ "{a:{a:{a:{a:{a:{a:{}}}}}}}", "{\n  a: {\n    a: {\n      a: {\n        a: {\n"
		    "          a: [Object]\n        }\n      }\n    }\n  }\n}" },
		{ "'x'.repeat(3)", "'xxx'" },
		{ "true", "true" },
		{ "/x/g", "/x/g" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[400];

		snprintf(body, sizeof body, "console.log(%s)", rows[i].expression);
		CHECK_STRZ(eval(&w, body), "null");
		CHECK_EQ(w.res.logs.lines.n, 1);
		CHECK_EQ(w.res.logs.lines.v[0].nmessages, 1);
		CHECK_STRZ(w.res.logs.lines.v[0].messages[0], rows[i].want);
	}
	world_close(&w);
}

static const struct logline *
line(struct world *w, size_t i)
{
	assert_true(i < w->res.logs.lines.n);
	return &w->res.logs.lines.v[i];
}

/* 04 checklist 19, 21: nine methods and their levels; the others do not exist. */
TEST(console_has_nine_methods)
{
	struct world w;

	world_open(&w);
	EVAL("console.debug(1); console.error(2); console.info(3); console.log(4, 'b'); "
	     "console.warn();"
	     "return [Object.keys(console).sort().join(), typeof console.table]",
	    "[\"debug,error,info,log,time,timeEnd,timeLog,trace,warn\",\"undefined\"]");
	CHECK_EQ(w.res.logs.lines.n, 5);
	CHECK_EQ(line(&w, 0)->level, LINE_DEBUG);
	CHECK_EQ(line(&w, 1)->level, LINE_ERROR);
	CHECK_EQ(line(&w, 2)->level, LINE_INFO);
	CHECK_EQ(line(&w, 3)->level, LINE_LOG);
	CHECK_STRZ(line(&w, 3)->messages[1], "'b'");
	CHECK_EQ(line(&w, 4)->level, LINE_WARN);
	CHECK_EQ(line(&w, 4)->nmessages, 0);
	CHECK_EQ(line(&w, 0)->timestamp_ms, w.now_ns / 1000000);
	world_close(&w);
}

/* 04 checklist 21: timers and traces. */
TEST(console_times_and_traces)
{
	struct world w;

	world_open(&w);
	EVAL("console.time('x'); console.time('x'); console.timeLog('x', {}); console.timeEnd('x');"
	     "console.timeEnd('x'); console.time(); console.timeEnd(); console.trace('here', 1)",
	    "null");
	CHECK_EQ(w.res.logs.lines.n, 6);
	CHECK_EQ(line(&w, 0)->level, LINE_WARN);
	CHECK_STRZ(line(&w, 0)->messages[0], "Timer 'x' already exists");
	CHECK_EQ(line(&w, 1)->level, LINE_INFO);
	CHECK(str_starts(line(&w, 1)->messages[0], S("x: ")));
	CHECK(str_ends(line(&w, 1)->messages[0], S("ms")));
	CHECK_STRZ(line(&w, 1)->messages[1], "{}");
	CHECK_STRZ(line(&w, 3)->messages[0], "Timer 'x' does not exist");
	CHECK(str_starts(line(&w, 4)->messages[0], S("default: ")));
	CHECK_EQ(line(&w, 5)->level, LINE_LOG);
	CHECK_EQ(line(&w, 5)->nmessages, 3);
	CHECK(str_starts(line(&w, 5)->messages[2], S("\n")));
	world_close(&w);
}

/* 04 checklist 20: line and run limits reach the result. */
TEST(console_is_bounded)
{
	struct world w;

	world_open(&w);
	EVAL("for (let i = 0; i < 300; i++) console.log(i)", "null");
	CHECK_EQ(w.res.logs.lines.n, 256);
	CHECK_STRZ(line(&w, 255)->messages[0],
	    "Log overflow (maximum 256). Remaining log lines omitted.");
	EVAL("console.log('€'.repeat(20000))", "null");
	CHECK(line(&w, 0)->truncated);
	world_close(&w);
}

/* 04 section 14.4: the smoke test of a prelude. */
TEST(prelude_passes_the_smoke_test)
{
	struct world w;

	world_open(&w);
	EVAL("return [typeof Convex.asyncSyscall === 'function', self === globalThis, typeof "
	     "crypto.subtle,"
	     "typeof fetch, typeof Buffer, typeof window, new DOMException('m','AbortError') "
	     "instanceof Error,"
	     "new Date(0).toISOString(), Object.prototype.toString.call(new URL('http://a/')),"
	     "new TextEncoder().encode('€').length]",
	    "[true,true,\"object\",\"function\",\"undefined\",\"undefined\",true,"
	    "\"1970-01-01T00:00:00.000Z\",\"[object URL]\",3.0]");
	world_close(&w);
}

/* 04 checklist 24: the clock stands still, randomness works, both are noticed. */
TEST(time_and_randomness_come_from_the_run)
{
	struct world w;

	world_open(&w);
	EVAL("return [Date.now(), new Date().getTime(), Date.now() === Date.now(), typeof Date()]",
	    "[1700000000123.0,1700000000123.0,true,\"string\"]");
	CHECK(w.res.observed_time && !w.res.observed_rng);
	EVAL("const r = Math.random(); return [r >= 0 && r < 1, r !== Math.random()]",
	    "[true,true]");
	CHECK(w.res.observed_rng && !w.res.observed_time);
	EVAL("const a = crypto.getRandomValues(new Uint32Array(4));"
	     "return [a.some((x) => x > 0), "
	     "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/"
	     ".test(crypto.randomUUID())]",
	    "[true,true]");
	CHECK(w.res.observed_rng);
	EVAL("try { crypto.getRandomValues(new Float64Array(1)) } catch (e) { return e.name }",
	    "\"TypeMismatchError\"");
	EVAL("try { crypto.getRandomValues(new Uint8Array(65537)) } catch (e) { return e.message }",
	    "\"Byte length (65537) exceeds the number of bytes of entropy available via this API "
	    "(65536)\"");
	world_close(&w);
}

/* Date lives in UTC and prints like other engines. */
TEST(dates_are_utc)
{
	struct world w;

	world_open(&w);
	EVAL("class D extends Date {}; const d = new Date(2024, 0, 15, 10);"
	     "return [String(d), d.toTimeString(), d.toISOString(), d.getTimezoneOffset(), new "
	     "D(5) instanceof D,"
	     "new D() instanceof Date, Date.name, Date.length, d.constructor === Date,"
	     "String(new Date(NaN)), Date.UTC(1970, 0, 1), typeof Date.parse('2024-01-01T00:00')]",
	    "[\"Mon Jan 15 2024 10:00:00 GMT+0000 (Coordinated Universal Time)\","
	    "\"10:00:00 GMT+0000 (Coordinated Universal "
	    "Time)\",\"2024-01-15T10:00:00.000Z\",0.0,true,true,"
	    "\"Date\",7.0,true,\"Invalid Date\",0.0,\"number\"]");
	world_close(&w);
}

/* 04 checklist 25: what needs an action is refused, timers as unhandled rejections. */
TEST(actions_only_operations_are_refused)
{
	static const char *const text =
	    "! Uncaught Error: Can't use %s in queries and mutations. Please "
	    "consider using an action. See https://docs.convex.dev/functions/actions for more "
	    "details.";
	struct world w;
	char         want[300];

	world_open(&w);
	snprintf(want, sizeof want, text, "fetch()");
	EVAL("await fetch('http://x/')", want);
	snprintf(want, sizeof want, text, "setTimeout");
	EVAL("setTimeout(() => 1, 5); return 'not reached by the caller'", want);
	snprintf(want, sizeof want, text, "setInterval");
	EVAL("try { setInterval(() => 1, 5) } catch {}", want);
	snprintf(want, sizeof want, text, "cryptographic randomness");
	EVAL("await crypto.subtle.generateKey({name: 'HMAC', hash: 'SHA-256'}, true, ['sign'])",
	    want);
	EVAL("clearTimeout(1); clearInterval(2); return 1", "1.0");
	world_close(&w);
}

/* 04 checklist 26: no code from strings, and no half of Node or a browser. */
TEST(eval_throws_and_foreign_globals_are_absent)
{
	struct world w;

	world_open(&w);
	EVAL("const r = []; for (const f of [() => eval('1'), () => new Function('return 1'),"
	     "() => (0, eval)('1'), () => new (async () => {}).constructor('')])"
	     "{ try { f(); r.push('ran') } catch (e) { r.push(e instanceof Error) } } return r",
	    "[true,true,true,true]");
	EVAL(
	    "return [typeof Buffer, typeof window, typeof require, typeof navigator, typeof global,"
	    "typeof setImmediate, typeof WebSocket, typeof CustomEvent, typeof __host]",
	    "[\"undefined\",\"undefined\",\"undefined\",\"undefined\",\"undefined\",\"undefined\","
	    "\"undefined\",\"undefined\",\"undefined\"]");
	world_close(&w);
}

/* 04 checklist 27: process.env answers look-ups and nothing else. */
TEST(process_env_is_a_proxy)
{
	struct world w;

	world_open(&w);
	world_env(&w, "A_VARIABLE", "value");
	EVAL("process.env.STORED = 'x'; return [process.env.A_VARIABLE, typeof process.env.NOPE,"
	     "process.env.CONVEX_CLOUD_URL, Object.keys(process.env).filter((k) => k !== "
	     "'STORED').length,"
	     "'A_VARIABLE' in process.env, typeof process.env.inspect, typeof "
	     "process.env[Symbol.iterator],"
	     "typeof process.env.STORED]",
	    "[\"value\",\"undefined\",\"http://"
	    "127.0.0.1:3210\",0.0,false,\"function\",\"undefined\","
	    "\"undefined\"]");
	EVAL("try { process.env['bad name'] } catch (e) { return e instanceof Error }", "true");
	world_close(&w);
}

/* 04 checklist 28: members that do not exist here end the run; nothing catches that. */
TEST(missing_members_end_the_run)
{
	struct world w;

	world_open(&w);
	EVAL("try { performance.timing } catch {} finally { console.log('finally') } return 1",
	    "! Not implemented: get timing for Performance. Consider calling an action defined in "
	    "Node.js "
	    "instead (https://docs.convex.dev/functions/actions).");
	CHECK_EQ(w.res.logs.lines.n, 0);
	EVAL("structuredClone(1, {transfer: []})", "! structuredClone with transfer not supported");
	EVAL("try { new Crypto() } catch {}", "! Illegal constructor: Crypto");
	EVAL("Convex.jsSyscall('nope', {})", "! Unknown JS syscall: nope");
	world_close(&w);
}

/* 04 checklist 29: digests and HMAC in queries (vectors of FIPS 180 and RFC 4231). */
TEST(subtle_digests_and_signs)
{
	struct world w;

	world_open(&w);
#define HEX                                                                                        \
	"const hex = (b) => Array.from(new Uint8Array(b), (x) => x.toString(16).padStart(2, "      \
	"'0')).join('');"                                                                          \
	"const text = (s) => new TextEncoder().encode(s);"
	EVAL(HEX "return hex(await crypto.subtle.digest('SHA-256', text('abc')))",
	    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
	EVAL(HEX "return hex(await crypto.subtle.digest({name: 'sha-1'}, text('abc').buffer))",
	    "\"a9993e364706816aba3e25717850c26c9cd0d89d\"");
	EVAL(HEX "return (await crypto.subtle.digest('SHA-512', text('abc'))).byteLength", "64.0");
	EVAL(HEX "const k = await crypto.subtle.importKey('raw', text('Jefe'), {name: 'HMAC', "
		 "hash: 'SHA-256'},"
		 "true, ['sign', 'verify']); const data = text('what do ya want for nothing?');"
		 "const s = await crypto.subtle.sign('HMAC', k, data);"
		 "return [hex(s), await crypto.subtle.verify('HMAC', k, s, data),"
		 "await crypto.subtle.verify('HMAC', k, new Uint8Array(32), data),"
		 "(await crypto.subtle.exportKey('jwk', k)).k, k.algorithm.length, k instanceof "
		 "CryptoKey]",
	    "[\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\",true,false,"
	    "\"SmVmZQ\",32.0,true]");
	EVAL("try { await crypto.subtle.digest('MD5', new Uint8Array()) } catch (e) { return "
	     "e.name }",
	    "\"NotSupportedError\"");
	EVAL("try { new CryptoKey() } catch (e) { return String(e) }",
	    "\"TypeError: Illegal constructor\"");
	world_close(&w);
}

/* The Encoding Standard's own examples of broken input. */
TEST(text_codecs_follow_the_standard)
{
	struct world w;

	world_open(&w);
	EVAL("const d = (...b) => new TextDecoder().decode(new Uint8Array(b));"
	     "return [d(0xef, 0xbb, 0xbf, 0x61), d(0xf0, 0x9f, 0x92, 0xa9), d(0xf0, 0x9f, 0x41), "
	     "d(0xc0, 0x80),"
	     "d(0xed, 0xa0, 0x80).length, d(0xff), d(), new TextDecoder().decode(undefined)]",
	    "[\"a\",\"\360\237\222\251\",\"\357\277\275A\",\"\357\277\275\357\277\275\",3.0,"
	    "\"\357\277\275\",\"\",\"\"]");
	EVAL("const d = new TextDecoder(); const r = []; for (const b of [[0xe2], [0x82], [0xac, "
	     "0x21]])"
	     "r.push(d.decode(new Uint8Array(b), {stream: true})); r.push(d.decode()); return r",
	    "[\"\",\"\",\"€!\",\"\"]");
	EVAL("try { new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255])) } catch "
	     "(e) { return e.name }",
	    "\"TypeError\"");
	EVAL("const d = new TextDecoder('utf-16le'); return [d.decode(new Uint8Array([0x3d, 0xd8, "
	     "0xa9, 0xdc])),"
	     "d.decode(new Uint8Array([0x00, 0xd8])), new TextDecoder('LATIN1 ').decode(new "
	     "Uint8Array([0xe9, 0x80])),"
	     "new TextDecoder('utf-16be').decode(new Uint8Array([0x20, 0xac])), d.encoding]",
	    "[\"\360\237\222\251\",\"\357\277\275\",\"é€\",\"€\",\"utf-16le\"]");
	EVAL(
	    "try { new TextDecoder('nope') } catch (e) { return e instanceof RangeError }", "true");
	EVAL("const e = new TextEncoder(); const u = new Uint8Array(5); const r = "
	     "e.encodeInto('a€€', u);"
	     "return [Array.from(e.encode('\\ud800x')), r.read, r.written, e.encode().length]",
	    "[[239.0,191.0,189.0,120.0],2.0,4.0,0.0]");
	world_close(&w);
}

/* Small web classes, as far as queries use them. */
TEST(web_classes_work)
{
	struct world w;

	world_open(&w);
	EVAL("const u = new URL('../b?x=1&y=%20#h', 'https://u:p@Example.com:8080/a/c/d');"
	     "u.searchParams.append('z', 'é'); return [u.href, u.host, "
	     "[...u.searchParams.keys()].join(),"
	     "URL.canParse('nope'), new URLSearchParams({a: '1 2'}).toString(), new "
	     "URLSearchParams('a=1&a=2').getAll('a')]",
	    "[\"https://u:p@example.com:8080/a/"
	    "b?x=1&y=+&z=%C3%A9#h\",\"example.com:8080\",\"x,y,z\",false,"
	    "\"a=1+2\",[\"1\",\"2\"]]");
	EVAL("const c = new AbortController(); let n = 0; c.signal.addEventListener('abort', () => "
	     "n++);"
	     "c.abort(); c.abort(); let name; try { c.signal.throwIfAborted() } catch (e) { name = "
	     "e.name }"
	     "return [n, c.signal.aborted, name, typeof AbortSignal.abort, "
	     "AbortSignal.any([c.signal]).aborted]",
	    "[1.0,true,\"AbortError\",\"undefined\",true]");
	EVAL("const t = new EventTarget(); const r = []; t.addEventListener('x', (e) => "
	     "r.push(e.type), {once: true});"
	     "t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x'));"
	     "return [r.length, typeof addEventListener, new Event('a', {cancelable: "
	     "true}).cancelable]",
	    "[1.0,\"function\",true]");
	EVAL("const h = new Headers({B: '1', a: ' 2 '}); h.append('b', '3'); "
	     "h.append('set-cookie', 'x');"
	     "return [[...h], h.get('B'), h.getSetCookie(), h.has('nope')]",
	    "[[[\"b\",\"1\"],[\"a\",\"2\"],[\"b\",\"3\"],[\"set-cookie\",\"x\"]],\"1, "
	    "3\",[\"x\"],false]");
	EVAL("const m = new Map([[{a: 1}, new Set([1n])]]); const o = {m, d: new Date(5), r: "
	     "/x/gi, e: new TypeError('t'),"
	     "b: new Uint8Array([1, 2]).buffer}; o.self = o; const c = structuredClone(o);"
	     "let failed; try { structuredClone(() => 1) } catch (e) { failed = e.name }"
	     "return [c !== o, c.self === c, [...c.m.keys()][0].a, c.d.getTime(), String(c.r), c.e "
	     "instanceof TypeError,"
	     "c.e.message, c.b.byteLength, failed]",
	    "[true,true,1.0,5.0,\"/x/gi\",true,\"t\",2.0,\"DataCloneError\"]");
	EVAL("const w = new WeakRef({a: 1}); let n = 0; const f = new FinalizationRegistry(() => "
	     "n++);"
	     "f.register({}, 1); return [w.deref().a, n, f.unregister({})]",
	    "[1.0,0.0,false]");
	EVAL("return [atob(btoa('hi')), performance.now() >= 0, performance.timeOrigin > 0,"
	     "performance.mark('m').entryType, performance.getEntries().length]",
	    "[\"hi\",true,true,\"mark\",1.0]");
	EVAL("try { atob('*') } catch (e) { return e.name }", "\"InvalidCharacterError\"");
	world_close(&w);
}

TEST_RUN(T(console_formats_like_object_inspect), T(console_has_nine_methods),
    T(console_times_and_traces), T(console_is_bounded), T(prelude_passes_the_smoke_test),
    T(time_and_randomness_come_from_the_run), T(dates_are_utc),
    T(actions_only_operations_are_refused), T(eval_throws_and_foreign_globals_are_absent),
    T(process_env_is_a_proxy), T(missing_members_end_the_run), T(subtle_digests_and_signs),
    T(text_codecs_follow_the_standard), T(web_classes_work))
