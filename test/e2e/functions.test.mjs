// What calling functions promises, over HTTP and WebSocket with the official clients: visibility, validators, limits, nested calls, what is
// cached for whom, cursors, one-off queries (spec 04 sections 2, 5, 8, 9, 12).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
    export default defineSchema({ rows: defineTable({ n: v.number(), text: v.optional(v.string()) }).index("by_n", ["n"]), big: defineTable(v.any()) });`,
  "convex/a.ts": `
import { query, mutation, internalQuery, internalMutation } from "./_generated/server";
import { anyApi, makeFunctionReference } from "convex/server"; import { ConvexError, v } from "convex/values";

export const hidden = internalQuery({ args: {}, handler: async () => "hidden" });
export const plain = query({ args: {}, handler: async () => "plain" });
export const checked = query({ args: { n: v.number() }, returns: v.string(), handler: async (_, { n }) => (n === 0 ? (0 as any) : String(n)) });
export const loose = query(async (_, args) => args);
export const notFunction = 7;

export const add = mutation({ args: { n: v.number() }, handler: async (ctx, { n }) => await ctx.db.insert("rows", { n }) });
export const list = query({ args: {}, handler: async (ctx) => (await ctx.db.query("rows").withIndex("by_n").collect()).map((r) => r.n) });
export const addAndFail = internalMutation({ args: { n: v.number() }, handler: async (ctx, { n }) => { await ctx.db.insert("rows", { n }); throw new ConvexError({ n }); } });
export const outer = mutation({ args: { n: v.number() }, handler: async (ctx, { n }) => {
  await ctx.db.insert("rows", { n });
  let data = null;
  try { await ctx.runMutation(anyApi.a.addAndFail, { n: n + 1 }); } catch (e) { data = (e as any).data; }
  await ctx.db.insert("rows", { n: n + 2 });
  return data;
} });
export const wrongResult = mutation({ args: { n: v.number() }, returns: v.string(), handler: async (ctx, { n }) => { await ctx.db.insert("rows", { n }); return 1 as any; } });

export const stale = mutation({ args: {}, handler: async (ctx) => {
  await ctx.db.insert("rows", { n: 1000 });
  const now = await ctx.runQuery(anyApi.a.list, {});
  const before = await ctx.runQuery(anyApi.a.list, {}, { useStaleSnapshot: true } as any);
  return [now.includes(1000), before.includes(1000)];
} });

export const deep = query({ args: { left: v.number() }, handler: async (ctx, { left }): Promise<number> => left === 0 ? 0 : 1 + await ctx.runQuery(anyApi.a.deep, { left: left - 1 }) });
export const deeper = query({ args: {}, handler: async (ctx) => { try { return await ctx.runQuery(anyApi.a.deep, { left: 20 }); } catch (e) { return (e as any).message; } } });
export const nowhere = query({ args: {}, handler: async (ctx) => {
  const say = async (ref) => { try { return await ctx.runQuery(ref, {}); } catch (e) { return (e as any).message.split("\\n")[0]; } };
  return [await say(makeFunctionReference("a:missing")), await say("function://k17zzzzzzzzzzzzzzzzzzzzzzzzzzzzz" as any),
    await say({ [Symbol.for("toReferencePath")]: "_reference/childComponent/none/lib/f" } as any)];
} });

export const fill = mutation({ args: { from: v.number(), count: v.number() }, handler: async (ctx, { from, count }) => { for (let i = 0; i < count; i++) await ctx.db.insert("big", { i: from + i }); } });
export const readTooMuch = query({ args: {}, handler: async (ctx) => { try { return (await ctx.db.query("big").collect()).length; } catch (e) { return (e as any).message; } } });
export const readMost = query({ args: {}, handler: async (ctx) => (await ctx.db.query("big").take(26000)).length });
export const writeTooMuch = mutation({ args: {}, handler: async (ctx) => { try { for (;;) await ctx.db.insert("big", {}); } catch (e) { throw new ConvexError((e as any).message); } } });
export const bytesTooMany = mutation({ args: {}, handler: async (ctx) => { const s = "x".repeat(1000000); try { for (;;) await ctx.db.insert("big", { s }); } catch (e) { throw new ConvexError((e as any).message); } } });
export const ranges = query({ args: {}, handler: async (ctx) => { try { for (let i = 0; ; i++) await ctx.db.query("rows").withIndex("by_n", (q) => q.eq("n", -i)).first(); } catch (e) { return (e as any).message; } } });
export const longLog = query({ args: {}, handler: async () => { for (let i = 0; i < 300; i++) console.log(i); } });

export const shared = query({ args: {}, handler: async (ctx) => { console.log(Math.random()); return (await ctx.db.query("rows").collect()).length; } });
export const me = query({ args: {}, handler: async (ctx) => { console.log(Math.random()); return await ctx.auth.getUserIdentity(); } });
export const viaChild = query({ args: {}, handler: async (ctx) => { console.log(Math.random()); return await ctx.runQuery(anyApi.a.me, {}); } });
export const clock = query({ args: {}, handler: async () => { console.log(Math.random()); return Date.now(); } });
export const page = query({ args: { opts: v.any() }, handler: async (ctx, { opts }) => await ctx.db.query("rows").withIndex("by_n").paginate(opts) });
export const otherPage = query({ args: { opts: v.any() }, handler: async (ctx, { opts }) => await ctx.db.query("rows").withIndex("by_n", (q) => q.gt("n", 3)).paginate(opts) });
export const twoPages = query({ args: {}, handler: async (ctx) => { const o = { numItems: 1, cursor: null }; await ctx.db.query("rows").paginate(o); await ctx.db.query("rows").paginate(o); } });
`,
};

let server, app, http;

before(async () => {
  server = await new Server({ name: "functions" }).start();
  app = new App(files);
  await app.deploy(server);
  http = new ConvexHttpClient(server.url, { logger: false });
});

after(async () => {
  await server?.remove();
  app?.remove();
});

const call = (kind, path, args = {}, headers = {}) => server.post(`/api/${kind}`, { path, args, format: "json" }, headers);
const message = async (promise) => promise.then((v) => assert.fail(`answered ${JSON.stringify(v)}`), (e) => e.message);

// 04 checklist 8: what the public may not call looks as if it were missing; administrators may call it; wrong types have their text
test("visibility and types", async () => {
  const missing = (await call("query", "a:missing")).json.errorMessage;
  const hidden = (await call("query", "a:hidden")).json.errorMessage;
  assert.match(missing, /Could not find public function for 'a:missing'\./);
  assert.match(hidden, /Could not find public function for 'a:hidden'\./);
  assert.equal((await call("query", "a:hidden", {}, server.admin())).json.value, "hidden");
  assert.match((await call("mutation", "a:plain")).json.errorMessage, /Trying to execute a\.js:plain as Mutation, but it is defined as Query\./);
  assert.match((await call("query", "a:notFunction")).json.errorMessage, /Could not find public function/);
  assert.match((await call("query", "nothing:here")).json.errorMessage, /Could not find public function for 'nothing:here'\./);
});

// 04 checklist 12 and 11: both validators, each with its name in front; a mutation with a wrong result has written nothing
test("validators", async () => {
  assert.equal(await http.query(anyApi.a.checked, { n: 3 }), "3");
  assert.match(await message(http.query(anyApi.a.checked, { n: "x" })), /^\[Request ID: [0-9a-f]{16}\] Server Error\nArgumentValidationError: /);
  assert.match(await message(http.query(anyApi.a.checked, { n: 1, more: 2 })), /ArgumentValidationError: Object contains extra field/);
  assert.match(await message(http.query(anyApi.a.checked, { n: 0 })), /ReturnsValidationError: /);
  assert.match(await message(http.mutation(anyApi.a.wrongResult, { n: 555 })), /ReturnsValidationError: /);
  assert.ok(!(await http.query(anyApi.a.list)).includes(555));
  assert.deepEqual((await call("query", "a:loose", { x: 1 })).json.value, { x: 1 });
});

// 04 checklist 7: addresses that lead nowhere say so
test("addresses", async () => {
  const [name, handle, reference] = await http.query(anyApi.a.nowhere);
  assert.match(name, /Could not find public function for 'a:missing'/);
  assert.match(handle, /Function handle not found/);
  assert.match(reference, /Couldn't resolve _reference\/childComponent\/none\/lib\/f/);
});

// 04 checklist 37: eight levels and no more
test("depth of nested calls", async () => {
  assert.equal(await http.query(anyApi.a.deep, { left: 8 }), 8);
  assert.match(await http.query(anyApi.a.deeper), /Cross component call depth limit exceeded\. Do you have an infinite loop in your app\?/);
});

// 04 checklist 44: a failed child leaves nothing, its caller goes on
test("failed children", async () => {
  assert.deepEqual(await http.mutation(anyApi.a.outer, { n: 10 }), { n: 11 });
  const rows = await http.query(anyApi.a.list);
  assert.deepEqual([10, 11, 12].map((n) => rows.includes(n)), [true, false, true]);
});

// 04 checklist 45: a stale snapshot sees nothing of its caller and does not conflict with it
test("stale snapshots", async () => {
  assert.deepEqual(await http.mutation(anyApi.a.stale), [true, false]);
  const rounds = Array.from({ length: 20 }, () => http.mutation(anyApi.a.stale));
  for (const r of await Promise.all(rounds)) assert.equal(r[0], true);
});

// 04 checklist 38 and 22: limits of a transaction can be caught and have their texts; 80 % of one is a warning
test("limits", async () => {
  for (let i = 0; i < 33000; i += 11000) await http.mutation(anyApi.a.fill, { from: i, count: 11000 });
  assert.equal(await http.query(anyApi.a.readTooMuch),
    "Too many documents read in a single function execution (limit: 32000). Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.");
  const most = await call("query", "a:readMost");
  assert.equal(most.json.value, 26000);
  assert.match(most.json.logLines.join("\n"), /^\[WARN\] Many documents read in a single function execution \(actual: 26000, limit: 32000\)\. Consider using smaller limits/);
  const data = async (f) => (await call("mutation", f)).json.errorData;
  assert.equal(await data("a:writeTooMuch"), "Too many writes in a single function execution (limit: 16000)");
  assert.equal(await data("a:bytesTooMany"), "Too many bytes written in a single function execution (limit: 16 MiB)");
  assert.match(await http.query(anyApi.a.ranges), /^Too many reads in a single function execution \(limit: 4096\)\. Consider/);
  const log = (await call("query", "a:longLog")).json.logLines;
  assert.equal(log.length, 256);
  assert.equal(log[255], "[ERROR] Log overflow (maximum 256). Remaining log lines omitted.");
});

// A token that says who somebody is; the server knows the issuer by a data: URL.
const asUser = (name) => ({ authorization: `Convex ${server.adminKey}:${Buffer.from(JSON.stringify({ name, subject: name, issuer: "https://x" })).toString("base64")}` });

// 04 checklist 46: who asks counts only where it is looked at, also by a child; results that read the clock do not stay
test("what is shared among whom", async () => {
  const line = async (path, headers) => (await call("query", path, {}, headers)).json.logLines[0];
  assert.equal(await line("a:shared", asUser("bob")), await line("a:shared", asUser("ann")));
  assert.notEqual(await line("a:me", asUser("ann")), await line("a:me", asUser("bob")));
  assert.equal(await line("a:me", asUser("ann")), await line("a:me", asUser("ann")));
  assert.notEqual(await line("a:viaChild", asUser("ann")), await line("a:viaChild", asUser("bob")));
  const first = (await call("query", "a:clock")).json.value;
  assert.equal((await call("query", "a:clock")).json.value, first);
  await sleep(17500);
  assert.ok((await call("query", "a:clock")).json.value > first);
});

// 04 checklist 47: cursors of other queries, nonsense, a second page in one function
test("cursors", async () => {
  const { continueCursor } = await http.query(anyApi.a.page, { opts: { numItems: 1, cursor: null } });
  const other = await call("query", "a:otherPage", { opts: { numItems: 1, cursor: continueCursor } });
  assert.match(other.json.errorMessage, /InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a different query\./);
  assert.deepEqual(other.json.errorData, { isConvexSystemError: true, paginationError: "InvalidCursor" });
  assert.match(await message(http.query(anyApi.a.page, { opts: { numItems: 1, cursor: "nonsense" } })), /Failed to parse cursor/);
  assert.match(await message(http.query(anyApi.a.twoPages)), /This query or mutation function ran multiple paginated queries\. Convex only supports a single paginated query in each function\./);
});

// 04 checklist 49: a one-off query sees the data and leaves nothing
test("one-off queries", async () => {
  const ask = (source) => server.post("/api/run_test_function", { adminKey: server.adminKey, args: {}, bundle: { path: "testQuery.js", source }, format: "convex_encoded_json" });
  const wrappers = `import { query, internalQuery } from "convex:/_system/repl/wrappers.js";\n`;
  const found = await ask(`${wrappers}export default query({ handler: async (ctx) => { console.log("hi"); return [(await ctx.db.query("rows").first()) !== null, await ctx.runQuery("a:plain", {})]; } });`);
  assert.deepEqual(found.json, { status: "success", value: [true, "plain"], logLines: ["[LOG] 'hi'"] });
  const failed = await ask(`${wrappers}export default query({ handler: async () => { throw new Error("no"); } });`);
  assert.equal(failed.json.status, "error");
  assert.match(failed.json.errorMessage, /Uncaught Error: no/);
  assert.deepEqual((await ask(`${wrappers}export const x = query({ handler: async () => 1 });`)).json, { code: "InvalidTestQuery", message: "Only `export default` is supported." });
  assert.equal((await ask(`export default 7;`)).json.code, "InvalidTestQuery");
  assert.match((await ask(`syntax error`)).json.message, /^Could not analyze the given module:\n/);
  assert.equal((await server.post("/api/run_test_function", { adminKey: "wrong|00", args: {}, bundle: { path: "t.js", source: "" } })).status, 401);
  assert.match((await call("query", "testQuery:default")).json.errorMessage, /Could not find public function/);
  const spec = await app.cli(server, ["function-spec"]);
  assert.ok(!spec.stdout.includes("testQuery"), spec.all);
  const inline = await app.cli(server, ["run", "--inline-query", "return (await ctx.db.query('rows').take(1)).length"]);
  assert.equal(inline.code, 0, inline.all);
  assert.equal(inline.stdout.trim(), "1");
});

// The same over a WebSocket: an error of a query is told and goes away when the data does.
test("errors of live queries", async () => {
  const client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
  let error = null, value;
  const stop = client.onUpdate(anyApi.a.checked, { n: 0 }, (v) => (value = v), (e) => (error = e));
  await until(() => error, "the error");
  assert.match(error.message, /ReturnsValidationError/);
  assert.equal(value, undefined);
  stop();
  await client.close();
});
