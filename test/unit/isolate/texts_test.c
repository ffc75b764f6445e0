/* texts_test.c - the texts of errors that the engine itself makes: V8's (spec 04 section 2.7).
 *
 * What is expected was said by Node.js 20 of the same code; JSON.parse's "(line 1 column 2)" is
 * that of later ones.
 */
#include <stdio.h>

#include "world.h"

/* What the rows use. */
#define NAMES                                                                   \
	"let u, n = null, five = 5, sym = Symbol('s'); const args = {};\n"        \
	"class A { go = 1 }; const f = (x) => x;\n"                               \
	"const ctx = { db: { query() { return {} } } };\n"                        \
	"const o = { a: { b: {} }, f() { return {} }, go: 5, meth: () => 1 };\n"

/* The body of an async method, and what it throws: a TypeError if it says nothing else. */
static const struct row {
	const char *code, *want;
} rows[] = {
	{ "return u.b", "Cannot read properties of undefined (reading 'b')" },
	{ "return null.b", "Cannot read properties of null (reading 'b')" },
	{ "return u[0]", "Cannot read properties of undefined (reading '0')" },
	{ "return u[sym]", "Cannot read properties of undefined (reading 'Symbol(s)')" },
	{ "return u.b = 1", "Cannot set properties of undefined (setting 'b')" },
	{ "return n.b = 1", "Cannot set properties of null (setting 'b')" },
	{ "return u()", "u is not a function" },
	{ "return five()", "five is not a function" },
	{ "return o.go()", "o.go is not a function" },
	{ "return o.a.b.c()", "o.a.b.c is not a function" },
	{ "return o.a[u]()", "o.a[u] is not a function" },
	{ "return o[\"x\"]()", "o.x is not a function" },
	{ "return o[five]()", "o[five] is not a function" },
	{ "return o.f().x()", "o.f(...).x is not a function" },
	{ "return f(1, o.a ? 2 : 3).x()", "f(...).x is not a function" },
	{ "return f(1)(2)", "f(...) is not a function" },
	{ "return (0, o.x)()", "(0 , o.x) is not a function" },
	{ "return (u || n)()", "(u || n) is not a function" },
	{ "return (u ?? n)()", "(u ?? n) is not a function" },
	{ "return o.go?.x()", "o.go?.x is not a function" },
	{ "return o.go?.(1).x()", "o.go is not a function" },
	{ "return o.x(...[1])", "o.x is not a function" },
	{ "return u`a`", "u is not a function" },
	{ "return \"abc\".x()", "\"abc\".x is not a function" },
	{ "return (5).x()", "5.x is not a function" },
	{ "return this.x()", "this.x is not a function" },
	{ "return new A().go()", "(intermediate value).go is not a function" },
	{ "return Math.max().x()", "Math.max(...).x is not a function" },
	{ "return globalThis.q()", "globalThis.q is not a function" },
	{ "return ctx.db.query(\"x\").foo().collect()",
	    "ctx.db.query(...).foo is not a function" },
	{ "return [1, 2].map(x => x.foo())", "x.foo is not a function" },
	{ "return o.f(o.x())", "o.x is not a function" },
	{ "try { throw 1 } catch (e) { e.x() }", "e.x is not a function" },
	{ "for (const q of [1]) { q.x() }", "q.x is not a function" },
	{ "const z = { a: 1, b: o.x() }", "o.x is not a function" },
	{ "const z = five ? o.x() : 2", "o.x is not a function" },
	{ "switch (five) { case 5: o.x() }", "o.x is not a function" },
	{ "const gx = o.x; gx()", "gx is not a function" },
	{ "let gx = o.x; (() => gx())()", "gx is not a function" },
	{ "async function af() { await 1; o.x() } await af()", "o.x is not a function" },
	{ "class B extends A { m() { super.x() } } new B().m()",
	    "(intermediate value).x is not a function" },
	{ "return (await 5)()", "(intermediate value) is not a function" },
	{ "return (function () { arguments.x() })()", "arguments.x is not a function" },
	{ "return new u()", "u is not a constructor" },
	{ "return new five()", "five is not a constructor" },
	{ "return new o.x()", "o.x is not a constructor" },
	{ "return new o.meth()", "o.meth is not a constructor" },
	{ "return new Symbol()", "Symbol is not a constructor" },
	{ "return new 5()", "5 is not a constructor" },
	{ "return new u(...[1])", "u is not a constructor" },
	{ "return new (f(1))()", "f(...) is not a constructor" },
	{ "return class extends five {}",
	    "Class extends value 5 is not a constructor or null" },
	{ "return A()", "Class constructor A cannot be invoked without 'new'" },
	{ "return Map()", "Constructor Map requires 'new'" },
	{ "return Promise()", "Promise constructor cannot be invoked without 'new'" },
	{ "return new Promise()", "Promise resolver undefined is not a function" },
	{ "return [...u]", "u is not iterable" },
	{ "return [...o.a]", "o.a is not iterable" },
	{ "return f(...five)",
	    "Spread syntax requires ...iterable[Symbol.iterator] to be a function" },
	{ "return Math.max(...five)",
	    "Spread syntax requires ...iterable[Symbol.iterator] to be a function" },
	{ "for (const x of u) ;", "u is not iterable" },
	{ "for (const x of o.a.b) ;", "o.a.b is not iterable" },
	{ "for (const x of f(1)) ;",
	    "f is not a function or its return value is not iterable" },
	{ "for (const [a, b] of [1]) ;", ".for is not iterable" },
	{ "for await (const x of five) ;", "five is not async iterable" },
	{ "const [a] = u", "u is not iterable" },
	{ "const [a] = o.x",
	    "undefined is not iterable (cannot read property Symbol(Symbol.iterator))" },
	{ "const [a, b] = f(1)", "f is not a function or its return value is not iterable" },
	{ "return (([a]) => a)()",
	    "undefined is not iterable (cannot read property Symbol(Symbol.iterator))" },
	{ "return (([a]) => a)(5)",
	    "number 5 is not iterable (cannot read property Symbol(Symbol.iterator))" },
	{ "return new Map(5)",
	    "number 5 is not iterable (cannot read property Symbol(Symbol.iterator))" },
	{ "return new Map([1])", "Iterator value 1 is not an entry object" },
	{ "return Promise.all()",
	    "undefined is not iterable (cannot read property Symbol(Symbol.iterator))" },
	{ "for (const x of { [Symbol.iterator]() { return { next() { return 5 } } } }) ;",
	    "Iterator result 5 is not an object" },
	{ "const { a } = u", "Cannot destructure property 'a' of 'u' as it is undefined." },
	{ "const { a } = n", "Cannot destructure property 'a' of 'n' as it is null." },
	{ "const { a, b } = o.x",
	    "Cannot destructure property 'a' of 'o.x' as it is undefined." },
	{ "const { x: { b } } = o", "Cannot read properties of undefined (reading 'b')" },
	{ "const { a = 1 } = u", "Cannot read properties of undefined (reading 'a')" },
	{ "const { [five]: c } = u", "Cannot destructure 'u' as it is undefined." },
	{ "const {} = null", "Cannot destructure 'null' as it is null." },
	{ "const { a } = await u",
	    "Cannot destructure property 'a' of '(intermediate value)' as it is undefined." },
	{ "let a; ({ a } = u)", "Cannot destructure property 'a' of 'u' as it is undefined." },
	{ "return (({ a }) => a)()",
	    "Cannot destructure property 'a' of 'undefined' as it is undefined." },
	{ "return (({ a }) => a)(null)",
	    "Cannot destructure property 'a' of 'object null' as it is null." },
	{ "for (const {a} of [u]) ;",
	    "Cannot destructure property 'a' of '.for' as it is undefined." },
	{ "return zz", "ReferenceError: zz is not defined" },
	{ "lex; let lex = 1", "ReferenceError: Cannot access 'lex' before initialization" },
	{ "const k = 1; k = 2", "Assignment to constant variable." },
	{ "const k = 1; k++", "Assignment to constant variable." },
	{ "const kk = 1; (() => { kk = 1 })()", "Assignment to constant variable." },
	{ "return 1n + 1", "Cannot mix BigInt and other types, use explicit conversions" },
	{ "return 1n * 2.5", "Cannot mix BigInt and other types, use explicit conversions" },
	{ "return 1n & 1", "Cannot mix BigInt and other types, use explicit conversions" },
	{ "return +1n", "Cannot convert a BigInt value to a number" },
	{ "return Math.max(1n)", "Cannot convert a BigInt value to a number" },
	{ "return 1n / 0n", "RangeError: Division by zero" },
	{ "return BigInt(1.5)",
	    "RangeError: The number 1.5 cannot be converted to a BigInt because it is not "
	    "an integer" },
	{ "return BigInt(\"x\")", "SyntaxError: Cannot convert x to a BigInt" },
	{ "return Symbol() + \"\"", "Cannot convert a Symbol value to a string" },
	{ "return +Symbol(\"d\")", "Cannot convert a Symbol value to a number" },
	{ "return String(Object.create(null))", "Cannot convert object to primitive value" },
	{ "return JSON.stringify({ a: [1n] })", "Do not know how to serialize a BigInt" },
	{ "return \"a\" in 5", "Cannot use 'in' operator to search for 'a' in 5" },
	{ "return five in u", "Cannot use 'in' operator to search for '5' in undefined" },
	{ "return ({}) instanceof 5", "Right-hand side of 'instanceof' is not an object" },
	{ "return ({}) instanceof ({})", "Right-hand side of 'instanceof' is not callable" },
	{ "return decodeURIComponent(\"%\")", "URIError: URI malformed" },
	{ "return encodeURIComponent(\"\\ud800\")", "URIError: URI malformed" },
	{ "return new Date(NaN).toISOString()", "RangeError: Invalid time value" },
	{ "const c = {}; c.a = c; JSON.stringify(c)",
	    "Converting circular structure to JSON\n    --> starting at object with "
	    "constructor 'Object'\n    --- property 'a' closes the circle" },
	{ "const c = []; c[0] = c; JSON.stringify(c)",
	    "Converting circular structure to JSON\n    --> starting at object with "
	    "constructor 'Array'\n    --- index 0 closes the circle" },
	{ "const c = { b: { d: 1 } }; c.b.e = c; JSON.stringify(c)",
	    "Converting circular structure to JSON\n    --> starting at object with "
	    "constructor 'Object'\n    |     property 'b' -> object with constructor "
	    "'Object'\n    --- property 'e' closes the circle" },
	{ "const c = { b: { d: { e: { f: {} } } } }; c.b.d.e.f.g = c; JSON.stringify(c)",
	    "Converting circular structure to JSON\n    --> starting at object with "
	    "constructor 'Object'\n    |     property 'b' -> object with constructor "
	    "'Object'\n    |     property 'd' -> object with constructor 'Object'\n    |   "
	    "  ...\n    |     property 'f' -> object with constructor 'Object'\n    --- "
	    "property 'g' closes the circle" },
	{ "return new Array(-1)", "RangeError: Invalid array length" },
	{ "return [].length = 1.5", "RangeError: Invalid array length" },
	{ "return [].reduce((a, b) => a)", "Reduce of empty array with no initial value" },
	{ "return Promise.any([])", "AggregateError: All promises were rejected" },
	{ "return \"a\".repeat(-1)", "RangeError: Invalid count value: -1" },
	{ "return \"ab\".repeat(2 ** 30)", "RangeError: Invalid string length" },
	{ "return (1).toFixed(101)",
	    "RangeError: toFixed() digits argument must be between 0 and 100" },
	{ "return (1).toPrecision(0)",
	    "RangeError: toPrecision() argument must be between 1 and 100" },
	{ "return [1].map(5)", "5 is not a function" },
	{ "return [1].map()", "undefined is not a function" },
	{ "return [1].map(o)", "#<Object> is not a function" },
	{ "return [1].sort(5)",
	    "The comparison function must be either a function or undefined" },
	{ "return \"a\".startsWith(/a/)",
	    "First argument to String.prototype.startsWith must not be a regular expression" },
	{ "return \"\".trim.call(u)", "String.prototype.trim called on null or undefined" },
	{ "return Object.freeze([1, 2, 3]).push(4)",
	    "Cannot add property 3, object is not extensible" },
	{ "return Object.freeze({ a: 1 }).a = 2",
	    "Cannot assign to read only property 'a' of object '#<Object>'" },
	{ "return Object.preventExtensions({}).b = 1",
	    "Cannot add property b, object is not extensible" },
	{ "return Object.freeze([1])[0] = 2",
	    "Cannot assign to read only property '0' of object '[object Array]'" },
	{ "return delete Object.freeze({ a: 1 }).a",
	    "Cannot delete property 'a' of #<Object>" },
	{ "return ({ get a() { return 1 } }).a = 2",
	    "Cannot set property a of #<Object> which has only a getter" },
	{ "return \"abc\".length = 1",
	    "Cannot assign to read only property 'length' of string 'abc'" },
	{ "return (5).foo = 1", "Cannot create property 'foo' on number '5'" },
	{ "return Object.keys(u)", "Cannot convert undefined or null to object" },
	{ "class B { #p; static t(x) { return x.#p } } B.t({})",
	    "Cannot read private member #p from an object whose class did not declare it" },
	{ "function* g() { i.next() } const i = g(); i.next()",
	    "Generator is already running" },
	{ "return new RegExp(\"(\")",
	    "SyntaxError: Invalid regular expression: /(/: Unterminated group" },
	{ "return new RegExp(\"[\")",
	    "SyntaxError: Invalid regular expression: /[/: Unterminated character class" },
	{ "return new RegExp(\"a\", \"zz\")",
	    "SyntaxError: Invalid flags supplied to RegExp constructor 'zz'" },
	{ "return new Proxy({}, null)",
	    "Cannot create proxy with a non-object as target or handler" },
	{ "return JSON.parse(\"\")", "SyntaxError: Unexpected end of JSON input" },
	{ "return JSON.parse(\"hello\")",
	    "SyntaxError: Unexpected token 'h', \"hello\" is not valid JSON" },
	{ "return JSON.parse(undefined)", "SyntaxError: \"undefined\" is not valid JSON" },
	{ "return JSON.parse('{\"a\":}')",
	    "SyntaxError: Unexpected token '}', \"{\"a\":}\" is not valid JSON" },
	{ "return JSON.parse('{\"a\":')", "SyntaxError: Unexpected end of JSON input" },
	{ "return JSON.parse('[1,]')",
	    "SyntaxError: Unexpected token ']', \"[1,]\" is not valid JSON" },
	{ "return JSON.parse('trux')",
	    "SyntaxError: Unexpected token 'x', \"trux\" is not valid JSON" },
	{ "return JSON.parse('[\"some long text that goes on and on for more than forty chars\", "
	  "x')",
	    "SyntaxError: Unexpected token 'x', ...\"y chars\", x\" is not valid JSON" },
	{ "return JSON.parse(\"{\")",
	    "SyntaxError: Expected property name or '}' in JSON at position 1 (line 1 "
	    "column 2)" },
	{ "return JSON.parse('{\"a\":1,}')",
	    "SyntaxError: Expected double-quoted property name in JSON at position 7 (line "
	    "1 column 8)" },
	{ "return JSON.parse('{\"a\"}')",
	    "SyntaxError: Expected ':' after property name in JSON at position 4 (line 1 "
	    "column 5)" },
	{ "return JSON.parse('{\"a\":1 \"b\"}')",
	    "SyntaxError: Expected ',' or '}' after property value in JSON at position 7 "
	    "(line 1 column 8)" },
	{ "return JSON.parse('[1 2]')",
	    "SyntaxError: Expected ',' or ']' after array element in JSON at position 3 "
	    "(line 1 column 4)" },
	{ "return JSON.parse('\"a')",
	    "SyntaxError: Unterminated string in JSON at position 2 (line 1 column 3)" },
	{ "return JSON.parse('1 2')",
	    "SyntaxError: Unexpected non-whitespace character after JSON at position 2 "
	    "(line 1 column 3)" },
	{ "return JSON.parse('\\n\\n{\"a\":1,\\n  b}')",
	    "SyntaxError: Expected double-quoted property name in JSON at position 12 "
	    "(line 4 column 3)" },
};

static void
add_row(struct buf *b, const char *code)
{
	buf_addz(b, "  async () => (async function () { ");
	buf_addz(b, code);
	buf_addz(b, "\n}).call({}),\n");
}

TEST(texts_are_those_of_v8)
{
	struct world w;
	struct buf   b;
	int          differ = 0;

	world_open(&w);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, HELPERS NAMES "const rows = [\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		add_row(&b, rows[i].code);
	buf_addz(&b, "];\nexport const f1 = query(async (_, { i }) => {\n"
	             "  try { await rows[i](); return 'nothing' } catch (e) {\n"
	             "    return (e.name === 'TypeError' ? '' : e.name + ': ')"
	             " + e.message } });\n");
	buf_add_byte(&b, 0);
	world_push(&w, "m.js", b.p);
	buf_clear(&b);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char call[40];

		snprintf(call, sizeof call, "[{\"i\":%zu}]", i);
		world_run(&w, UDF_QUERY, "m.js", "f1", call);
		if (!w.res.ok || !str_eq(val_str(w.res.value), str_z(rows[i].want))) {
			differ++;
			print_message("  %s\n    got  %.*s\n    want %s\n", rows[i].code,
			    STR_ARG(world_outcome(&w)), rows[i].want);
		}
	}
	CHECK_EQ(differ, 0);
	world_close(&w);
}

/* There is no eval; a string too long to name is cut, not a crash; deep and long functions. */
TEST(odd_places)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js", HELPERS
	    "const text = (f) => { try { f() } catch (e) { return `${e.name}: ${e.message}` } };\n"
	    "export const ev = query(() => text(() => new Function('return 1')));\n"
	    "export const ev2 = query(() => text(() => (0, eval)('1')));\n"
	    "export const long = query(() => { const o = {}, k = 'x'.repeat(3000);\n"
	    "  return [text(() => undefined[k]).length > 100, text(() => o[k]()),\n"
	    "    text(() => Object.freeze({})[k] = 1).length > 100] });\n"
	    "export const stack = query(() => text(() => { const r = () => r() + 1; r() }));\n"
	    "export const trap = query(() => { const o = new Proxy({}, { get() { throw 1 } });\n"
	    "  return [text(() => new o()), text(() => [...Object.create(null)]),\n"
	    "    text(() => [1].map(Object.create({ get constructor() { throw 1 } })))] });\n");
	EXPECT(&w, "ev", "\"EvalError: Code generation from strings disallowed for this context\"");
	EXPECT(&w, "ev2",
	    "\"EvalError: Code generation from strings disallowed for this context\"");
	EXPECT(&w, "long", "[true,\"TypeError: o[k] is not a function\",true]");
	EXPECT(&w, "stack", "\"RangeError: Maximum call stack size exceeded\"");
	EXPECT(&w, "trap",
	    "[\"TypeError: o is not a constructor\","
	    "\"TypeError: Object.create is not a function or its return value is not iterable"
	    "\","
	    "\"TypeError: #<Object> is not a function\"]");
	world_close(&w);
}

TEST_RUN(T(texts_are_those_of_v8), T(odd_places))
