// Actions with the official clients: calls to other functions, errors, timers, what is left behind, time limits, identity, environment,
// import() (spec 04 sections 2.6, 5.1, 8.2; spec 01 section 3.3).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi as api } from "convex/server";
import { ConvexError } from "convex/values";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";

const files = {
  "convex/data.ts": `
import { query, mutation, internalMutation, internalQuery } from "./_generated/server";
import { ConvexError, v } from "convex/values"; import { anyApi, createFunctionHandle } from "convex/server";
export const list = query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).map((n) => n.text) });
export const add = internalMutation({ args: { text: v.string() }, handler: async (ctx, { text }) => await ctx.db.insert("notes", { text }) });
export const note = mutation({ args: { text: v.string() }, handler: async (ctx, { text }) => { await ctx.db.insert("asides", { text }); } });
export const refuse = internalMutation({ args: {}, handler: async (ctx) => { await ctx.db.insert("notes", { text: "never" }); throw new ConvexError({ n: 7n, why: "said so" }); } });
export const broken = internalQuery({ args: {}, handler: async () => { throw new RangeError("inner"); } });
export const who = internalQuery({ args: {}, handler: async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null });
export const bump = internalMutation({ args: {}, handler: async (ctx) => {
  const row = await ctx.db.query("counter").first();
  if (row) await ctx.db.patch(row._id, { n: row.n + 1 }); else await ctx.db.insert("counter", { n: 1 });
} });
export const count = query({ args: {}, handler: async (ctx) => (await ctx.db.query("counter").first())?.n ?? 0 });
export const goes = internalMutation({ args: { text: v.string() }, handler: async (ctx, { text }) => { await ctx.db.insert("notes", { text }); return "gone"; } });
export const handles = query({ args: {}, handler: async () => Promise.all([createFunctionHandle(anyApi.data.list as any), createFunctionHandle(anyApi.data.goes as any), createFunctionHandle(anyApi.acts.hidden as any)]) });
export const listBy = query({ args: { handle: v.string() }, handler: async (ctx, { handle }) => await ctx.runQuery(handle as any, {}) });
export const later = mutation({ args: { handle: v.string(), text: v.string() }, handler: async (ctx, { handle, text }) => { await ctx.scheduler.runAfter(0, handle as any, { text }); return await ctx.runMutation(handle as any, { text: text + " now" }); } });
export const missing = query({ args: {}, handler: async () => { try { return await createFunctionHandle(anyApi.data.nothing as any); } catch (e) { return (e as any).message; } } });
export const wrong = query({ args: {}, returns: v.string(), handler: async () => 1 as any });
`,
  "convex/lazy.ts": `export const state = { n: 0 }; export const value = "loaded late";\n`,
  "convex/acts.ts": `
import { action, internalAction, query } from "./_generated/server";
import { anyApi, createFunctionHandle, makeFunctionReference } from "convex/server"; import { ConvexError, v } from "convex/values";
const api = anyApi;
export const handle = action(async (ctx) => createFunctionHandle(api.data.goes as any));
export const byHandle = action({ args: { list: v.string(), goes: v.string(), hidden: v.string(), text: v.string() }, handler: async (ctx, a): Promise<any> => [
  await ctx.runMutation(a.goes as any, { text: a.text }), (await ctx.runQuery(a.list as any, {})).includes(a.text), await ctx.runAction(a.hidden as any, {}),
  typeof await ctx.scheduler.runAfter(0, a.goes as any, { text: a.text + " later" }), await say(() => ctx.runQuery("function://nonsense" as any, {}))] });
const wait = (ms: number) => new Promise((r) => setTimeout(r, ms));
const say = async (f) => { try { return await f(); } catch (e) { return (e as any).message; } };

export const plain = action({ args: { n: v.number() }, returns: v.number(), handler: async (_, { n }) => n + 1 });
export const nothing = action(async () => {});
export const hidden = internalAction({ args: {}, handler: async () => "hidden" });
export const wrongResult = action({ args: {}, returns: v.string(), handler: async () => 1 as any });
export const ids = action({ args: { id: v.id("notes") }, returns: v.id("notes"), handler: async (_, { id }) => id });

export const nested = action({ args: { text: v.string() }, handler: async (ctx, { text }) => {
  const before: string[] = await ctx.runQuery(api.data.list, {});
  const id: string = await ctx.runMutation(api.data.add, { text });
  const now: string[] = await ctx.runQuery(api.data.list, {});
  const inner: string = await ctx.runAction(api.acts.hidden, {});
  return [before.includes(text), now.includes(text), typeof id, inner];
} });
export const nestedData = action(async (ctx) => { try { await ctx.runMutation(api.data.refuse, {}); } catch (e) {
  return [e instanceof ConvexError, (e as any).data.why, String((e as any).data.n), (e as any).message]; } });
export const nestedThrow = action(async (ctx) => { await ctx.runMutation(api.data.refuse, {}); });
export const nestedText = action(async (ctx) => say(() => ctx.runQuery(api.data.broken, {})));
export const nestedWrong = action(async (ctx) => [
  await say(() => ctx.runQuery(api.data.nothing, {})), await say(() => ctx.runQuery(api.data.add, { text: "x" })),
  await say(() => ctx.runMutation(api.data.add, { text: 1 })), await say(() => ctx.runQuery(api.data.wrong, {})),
  await say(() => ctx.runAction(makeFunctionReference("acts:none"), {}))]);
export const nestedDeep = internalAction({ args: { left: v.number() }, handler: async (ctx, { left }): Promise<number> =>
  left === 0 ? 0 : 1 + await ctx.runAction(api.acts.nestedDeep, { left: left - 1 }) });
export const deep = action({ args: { left: v.number() }, handler: async (ctx, { left }): Promise<number> => ctx.runAction(api.acts.nestedDeep, { left }) });
export const many = action({ args: { n: v.number() }, handler: async (ctx, { n }) => {
  await Promise.all(Array.from({ length: n }, () => ctx.runMutation(api.data.bump, {}))); return await ctx.runQuery(api.data.count, {}); } });

export const flood = action({ args: { n: v.number() }, handler: async (ctx, { n }) => (await Promise.all(Array.from({ length: n }, () => ctx.runQuery(api.data.count, {})))).length });
export const tree = action({ args: {}, handler: async (ctx) => { await Promise.all(Array.from({ length: 4 }, () => ctx.runAction(api.acts.tree, {}))); } });
export const convexError = action(async () => { throw new ConvexError({ code: 7, big: 1n }); });
export const typeError = action(async () => { await wait(1); throw new TypeError("plain"); });
export const adrift = action(async () => { void Promise.reject(new Error("nobody caught this")); await wait(50); return 1; });

export const slept = action({ args: { ms: v.number() }, handler: async (_, { ms }) => { const t = Date.now(); await wait(ms); return Date.now() - t; } });
export const ordered = action(async () => { const seen: number[] = []; await Promise.all([60, 20, 40].map(async (ms) => { await wait(ms); seen.push(ms); })); return seen; });
export const left = action(async (ctx) => { console.log("before"); void ctx.runQuery(api.data.list, {}); void ctx.runMutation(api.data.add, { text: "left" }); void wait(100000); return 1; });
export const never = action(async () => { await new Promise(() => {}); });
export const loop = action(async () => { for (;;); });

export const who = action(async (ctx) => [(await ctx.auth.getUserIdentity())?.subject ?? null, await ctx.runQuery(api.data.who, {}),
  await ctx.runAction(api.acts.whoInner, {})]);
export const whoInner = internalAction(async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null);
export const vars = action(async () => [process.env.COLOUR ?? null, process.env.CONVEX_SITE_URL ?? null, process.env.NONE ?? null]);
export const lazy = action(async () => { const m = await import("./lazy"); return [m.value, ++m.state.n, (await import("./lazy")) === m]; });
export const context = action(async (ctx) => { const als = new (globalThis as any).AsyncLocalStorage();
  return await Promise.all([1, 2].map((n) => als.run(n, async () => { await wait(5); await ctx.runQuery(api.data.list, {}); return als.getStore(); }))); });
let counter = 0;
export const fresh = action(async () => { await wait(1); counter++; (globalThis as any).seen = ((globalThis as any).seen ?? 0) + 1; return [counter, (globalThis as any).seen]; });
export const dates = action(async () => { const t = Date.now(); await wait(30); return Date.now() - t >= 25; });
export const big = action({ args: { n: v.number() }, handler: async (_, { n }) => "x".repeat(n) });
export const eats = action(async () => { const all: any[] = []; for (;;) all.push(new Array(1000).fill({})); });
export const fromQuery = query(async (ctx) => say(() => (ctx as any).runAction(api.acts.plain, { n: 1 })));
export const unknown = action(async () => say(() => (globalThis as any).Convex.asyncSyscall("1.0/noSuchThing", "{}")));
export const chatty = action(async (ctx) => { console.log("first"); await ctx.runQuery(api.data.list, {}); await wait(1000); console.log("second"); });
export const metadata = action(async (ctx) => Object.keys(ctx).sort());
`,
};

let server, app, http;

before(async () => {
  server = await new Server({ name: "actions" }).start();
  app = new App(files);
  await app.deploy(server);
  http = new ConvexHttpClient(server.url, { logger: false });
});

after(async () => {
  await server?.remove();
  app?.remove();
});

const message = async (promise) => promise.then((v) => assert.fail(`answered ${JSON.stringify(v)}`), (e) => e.message);
const call = (path, args = {}, headers = {}) => server.post("/api/action", { path, args, format: "json" }, headers);
const socket = () => new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });

test("arguments and results are checked like those of other functions", async () => {
  assert.equal(await http.action(api.acts.plain, { n: 1 }), 2);
  assert.equal(await http.action(api.acts.nothing), null);
  assert.match(await message(http.action(api.acts.plain, { n: "1" })), /^\[Request ID: [0-9a-f]{16}\] Server Error\nArgumentValidationError: /);
  assert.match(await message(http.action(api.acts.wrongResult)), /ReturnsValidationError: /);
  assert.match(await message(http.action(api.acts.ids, { id: "nonsense" })), /ArgumentValidationError: /);
  assert.match(await message(http.action(api.acts.hidden)), /Could not find public function for 'acts:hidden'\./);
  assert.match(await message(http.action(api.data.list)), /Trying to execute data\.js:list as Action, but it is defined as Query\./);
  assert.match(await message(http.query(api.acts.plain, { n: 1 })), /Trying to execute acts\.js:plain as Query, but it is defined as Action\./);
  assert.equal((await call("acts:hidden", {}, server.admin())).json.value, "hidden");
  assert.match(await message(http.action(api.acts.big, { n: 17 << 20 })), /return value is too large \(actual: 17\.?\d* MiB, limit: 16 MiB\)/);
});

test("functions that an action calls", async () => {
  assert.deepEqual(await http.action(api.acts.nested, { text: "one" }), [false, true, "string", "hidden"]);
  assert.ok((await http.query(api.data.list)).includes("one"));
  assert.equal(await http.action(api.acts.deep, { left: 20 }), 20);
  assert.equal(await http.action(api.acts.many, { n: 40 }), 40); // conflicts are retried, none is lost
  assert.match(await http.query(api.acts.fromQuery), /runAction|not a function|Action/);
});

// 04 checklist 3 and 18: texts without the request id, data of ConvexErrors as it was thrown
test("many calls at once do not keep others waiting", async () => {
  const flood = http.action(api.acts.flood, { n: 5000 });
  const waits = [];
  let over = false;
  flood.then(() => (over = true), () => (over = true));
  while (!over) {
    const begun = performance.now();
    await http.mutation(api.data.note, { text: "beside" });
    waits.push(performance.now() - begun);
  }
  assert.equal(await flood, 5000);
  assert.ok(Math.max(...waits) < 1000, `${waits}`);
});

// Spec 04 section 5.4: nobody waits for a place longer than ten seconds; what was called by an action that is over does not begin.
test("actions that call themselves without end", async () => {
  assert.match(await message(http.action(api.acts.tree)), /Too many concurrent requests\. Your backend is limited to 256 concurrent actions/);
  const begun = performance.now();
  assert.equal(await http.action(api.acts.plain, { n: 1 }), 2);
  assert.ok(performance.now() - begun < 3000);
  await until(async () => /fresnel_actions_running 0\n/.test(await (await fetch(`${server.url}/metrics`)).text()), "the storm to be over");
});

test("errors of functions that an action calls", async () => {
  const [isConvexError, why, n, text] = await http.action(api.acts.nestedData);
  assert.deepEqual([isConvexError, why, n], [true, "said so", "7"]);
  assert.doesNotMatch(text, /Request ID/);
  assert.match(await http.action(api.acts.nestedText), /^Uncaught RangeError: inner\n {4}at handler \(\.\.\/convex\/data\.ts:\d+:\d+\)/);
  const [missing, kind, args, result, action] = await http.action(api.acts.nestedWrong);
  assert.match(missing, /Could not find public function for 'data:nothing'/);
  assert.match(kind, /Trying to execute data\.js:add as Query, but it is defined as Mutation/);
  assert.match(args, /ArgumentValidationError/);
  assert.match(result, /ReturnsValidationError/);
  assert.match(action, /Could not find public function for 'acts:none'/);
  assert.ok(!(await http.query(api.data.list)).includes("never"));
});

test("errors of actions", async () => {
  for (const failing of [api.acts.convexError, api.acts.nestedThrow]) {
    const e = await http.action(failing).catch((e) => e);
    assert.ok(e instanceof ConvexError);
    assert.ok(e.data.code === 7 || e.data.why === "said so");
  }
  assert.match(await message(http.action(api.acts.typeError)), /^\[Request ID: [0-9a-f]{16}\] Server Error\nUncaught TypeError: plain\n {4}at /);
  assert.match(await message(http.action(api.acts.adrift)), /Uncaught Error: nobody caught this/); // 04 checklist 15
  assert.equal(await http.action(api.acts.unknown), "Unknown async operation 1.0/noSuchThing"); // 04 checklist 2
});

test("timers", async () => {
  assert.ok((await http.action(api.acts.slept, { ms: 50 })) >= 49);
  assert.deepEqual(await http.action(api.acts.ordered), [20, 40, 60]);
  assert.equal(await http.action(api.acts.dates), true);
});

test("300 actions that sleep do it at the same time, and give their memory back", async () => {
  const all = () => Promise.all(Array.from({ length: 300 }, () => http.action(api.acts.slept, { ms: 300 })));
  const rss = server.rss();
  await all(); // each of them makes its heap image
  const begun = performance.now();
  await all();
  const took = performance.now() - begun;
  assert.ok(took < 1800, `took ${took} ms`);
  await until(() => server.rss() < rss + 40 * 1024, `${rss} KiB once more, not ${server.rss()}`, 20000);
});

// 04 checklist 13
test("what nobody awaited", async () => {
  const { json } = await call("acts:left");
  assert.equal(json.value, 1);
  assert.equal(json.logLines.length, 2);
  assert.match(json.logLines[1], /2 unawaited operations: \[mutation, query\]\. Async operations should be awaited or they might not run\./);
});

test("who calls", async () => {
  assert.deepEqual(await http.action(api.acts.who), [null, null, null]);
  const admin = new ConvexHttpClient(server.url, { logger: false });
  admin.setAdminAuth(server.adminKey, { subject: "ann", issuer: "https://idp.test" });
  assert.deepEqual(await admin.action(api.acts.who), ["ann", "ann", "ann"]);
});

test("variables", async () => {
  assert.deepEqual(await http.action(api.acts.vars), [null, server.siteUrl, null]);
  assert.equal((await app.cli(server, ["env", "set", "COLOUR", "red"])).code, 0);
  assert.deepEqual(await http.action(api.acts.vars), ["red", server.siteUrl, null]);
});

// 04 checklist 31 and 30
test("import() and contexts", async () => {
  for (let i = 0; i < 3; i++) assert.deepEqual(await http.action(api.acts.lazy), ["loaded late", 1, true]);
  assert.deepEqual(await http.action(api.acts.context), [1, 2]);
});

// 04 checklist 23
// spec 04 section 8.3; 04 checklist 7
test("function handles", async () => {
  const [list, goes, hidden] = await http.query(api.data.handles);
  assert.match(list, /^function:\/\/[0-9a-z]{32}$/);
  assert.equal(await http.action(api.acts.handle), goes);
  assert.match(await http.query(api.data.missing), /Function handle not found/);
  assert.deepEqual(await http.query(api.data.listBy, { handle: list }), await http.query(api.data.list));
  assert.equal(await http.mutation(api.data.later, { handle: goes, text: "scheduled" }), "gone");
  assert.deepEqual(await http.action(api.acts.byHandle, { list, goes, hidden, text: "called" }), ["gone", true, "hidden", "string", "Function handle not found"]);
  await until(async () => {
    const seen = await http.query(api.data.list);
    return ["scheduled", "scheduled now", "called later"].every((t) => seen.includes(t));
  }, "scheduled functions to run");
  // A push keeps the handles; that of a function which goes is gone, and comes back with it.
  const text = app.read("convex/data.ts");
  app.write({ "convex/data.ts": text.replace("export const goes", "export const went") });
  await app.deploy(server);
  assert.match(await message(http.query(api.data.handles)), /Function handle not found/);
  assert.match(await message(http.mutation(api.data.later, { handle: goes, text: "x" })), /Function handle not found/);
  app.write({ "convex/data.ts": text });
  await app.deploy(server);
  assert.deepEqual(await http.query(api.data.handles), [list, goes, hidden]);
});

test("every run begins with the same heap", async () => {
  const runs = Array.from({ length: 30 }, () => http.action(api.acts.fresh));
  for (const run of await Promise.all(runs)) assert.deepEqual(run, [1, 1]);
});

test("over a WebSocket", async () => {
  const client = socket();
  try {
    assert.equal(await client.action(api.acts.plain, { n: 1 }), 2);
    const begun = performance.now();
    const late = client.action(api.acts.slept, { ms: 1000 }).then(() => performance.now() - begun);
    await client.action(api.acts.slept, { ms: 10 }); // does not wait for the other
    const first = performance.now() - begun;
    assert.ok(first < 900, `took ${first} ms`);
    assert.ok((await late) >= 990);
    const e = await client.action(api.acts.convexError).catch((e) => e);
    assert.ok(e instanceof ConvexError);
    assert.equal(e.data.big, 1n);
    const seen = [];
    client.onUpdate(api.data.list, {}, (v) => seen.push(v));
    await client.action(api.acts.nested, { text: "watched" });
    await until(() => seen.some((v) => v.includes("watched")), "the query to hear of the action's mutation");
    assert.match(await message(client.action(api.acts.typeError)), /Uncaught TypeError: plain/);
  } finally {
    await client.close();
  }
});

test("a client that leaves does not disturb the rest", async () => {
  const client = socket();
  void client.action(api.acts.slept, { ms: 60000 }).catch(() => {});
  await client.query(api.data.list);
  await sleep(100);
  await client.close();
  assert.equal(await http.action(api.acts.plain, { n: 2 }), 3);
});

test("the official CLI", async () => {
  const done = await app.cli(server, ["run", "acts:plain", '{"n":41}']);
  assert.equal(done.code, 0, done.all);
  assert.match(done.stdout, /42/);
  const failed = await app.cli(server, ["run", "acts:typeError"]);
  assert.notEqual(failed.code, 0);
  assert.match(failed.all, /Uncaught TypeError: plain/);
  assert.match((await app.cli(server, ["run", "acts:hidden"])).stdout, /hidden/);
});

test("what an action prints is in the function log while it runs", async () => {
  const read = async (path) =>
    (await (await fetch(`${server.url}${path}?cursor=0`, { headers: { ...server.admin(), "convex-client": "npm-cli-1.48.0" } })).json())
      .entries.filter((e) => e.identifier === "acts:chatty");
  let over = false;
  const run = http.action(api.acts.chatty).then(() => (over = true));
  const [early] = await until(async () => { const found = await read("/api/stream_function_logs"); return found.length > 0 && found; }, "the first line");
  assert.equal(over, false);
  assert.equal(early.kind, "Progress");
  assert.deepEqual(early.logLines[0].messages, ["'first'"]);
  await run;
  const all = await read("/api/stream_function_logs");
  assert.deepEqual(all.map((e) => [e.kind, e.logLines.map((l) => l.messages[0])]), [["Progress", ["'first'"]], ["Progress", ["'second'"]], ["Completion", []]]);
  const [whole, ...rest] = await read("/api/stream_udf_execution");
  assert.deepEqual([whole.kind, whole.logLines, rest], ["Completion", ["[LOG] 'first'", "[LOG] 'second'"], []]);
});

test("memory has a bound", async () => {
  assert.match(await message(http.action(api.acts.eats)), /JavaScript execution ran out of memory \(maximum memory usage: 64 MB\)/);
  assert.equal(await http.action(api.acts.plain, { n: 1 }), 2);
});

// 04 checklist 14: one second instead of ten minutes
test("time has a bound, and stopping does not wait for it", async () => {
  process.env.ACTION_TIMEOUT_SECONDS = "1";
  const other = new Server({ name: "hasty" });
  try {
    await other.start();
    delete process.env.ACTION_TIMEOUT_SECONDS;
    await app.deploy(other);
    const client = new ConvexHttpClient(other.url, { logger: false });
    for (const late of [api.acts.never, api.acts.loop]) {
      const begun = performance.now();
      assert.match(await message(client.action(late)), /Function execution timed out \(maximum duration: 1s\)/);
      assert.ok(performance.now() - begun < 1900);
    }
    assert.match(await message(client.action(api.acts.slept, { ms: 60000 })), /timed out/);
    assert.equal(await client.action(api.acts.plain, { n: 1 }), 2);
  } finally {
    delete process.env.ACTION_TIMEOUT_SECONDS;
    await other.remove();
  }
});

test("stopping waits for actions that are about to end", async () => {
  const other = await new Server({ name: "drained" }).start();
  try {
    await app.deploy(other);
    const client = new ConvexHttpClient(other.url, { logger: false });
    const last = client.action(api.acts.slept, { ms: 800 });
    await sleep(300);
    const stopped = other.stop();
    assert.ok((await last) >= 800);
    assert.equal((await stopped).code, 0);
  } finally {
    await other.remove();
  }
});
