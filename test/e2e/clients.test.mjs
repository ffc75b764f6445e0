// ConvexClient (WebSocket) and ConvexHttpClient from the official package in Node
// (spec 01 section 18).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { ConvexError } from "convex/values";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";

const functions = `
import { query, mutation, internalQuery } from "./_generated/server";
import { ConvexError, v } from "convex/values";
export const get = query({ args: { name: v.string() }, handler: async (ctx, { name }) =>
  (await ctx.db.query("counters").withIndex("by_name", (q) => q.eq("name", name)).unique())?.n ?? 0 });
export const both = query({ args: {}, handler: async (ctx) => (await ctx.db.query("counters").collect()).map((c) => c.n) });
export const add = mutation({ args: { name: v.string(), by: v.number() }, handler: async (ctx, { name, by }) => {
  const row = await ctx.db.query("counters").withIndex("by_name", (q) => q.eq("name", name)).unique();
  if (row === null) await ctx.db.insert("counters", { name, n: by }); else await ctx.db.patch(row._id, { n: row.n + by });
  return (row?.n ?? 0) + by;
} });
export const move = mutation({ args: {}, handler: async (ctx) => {
  const [a, b] = await ctx.db.query("counters").withIndex("by_name").take(2);
  await ctx.db.patch(a._id, { n: a.n - 1 }); await ctx.db.patch(b._id, { n: b.n + 1 });
} });
export const nothing = mutation({ args: {}, handler: async () => null });
export const echo = query({ args: { value: v.any() }, handler: async (_ctx, { value }) => value });
export const fails = query({ args: {}, handler: async () => { throw new Error("boom"); } });
export const failsWell = query({ args: {}, handler: async () => { throw new ConvexError({ code: 7 }); } });
export const mutationFails = mutation({ args: {}, handler: async (ctx) => {
  await ctx.db.insert("counters", { name: "never", n: 1 }); throw new ConvexError("no");
} });
export const logs = query({ args: {}, handler: async () => { console.log("hi", { a: 1 }); return 1; } });
export const secret = internalQuery({ args: {}, handler: async () => "hidden" });
export const who = query({ args: {}, handler: async (ctx) => await ctx.auth.getUserIdentity() });
`;
const schema = `
import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
export default defineSchema({ counters: defineTable({ name: v.string(), n: v.number() }).index("by_name", ["name"]) });`;

describe("clients", () => {
  let server, app, warnings;
  const clients = [];
  const open = () => {
    const client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    clients.push(client);
    return client;
  };
  before(async () => {
    server = await new Server().start();
    app = new App({ "convex/schema.ts": schema, "convex/c.ts": functions });
    await app.deploy(server);
  });
  after(async () => {
    for (const client of clients) await client.close();
    await server?.remove();
    app?.remove();
  });

  test("01 checklist 1, 3: a subscription sees another client's write", async () => {
    const [reader, writer] = [open(), open()];
    const seen = [];
    reader.onUpdate(anyApi.c.get, { name: "a" }, (n) => seen.push(n));
    await until(() => seen.length === 1, "the first value");
    assert.equal(await writer.mutation(anyApi.c.add, { name: "a", by: 2 }), 2);
    await until(() => seen.at(-1) === 2, "the update");
    assert.deepEqual(seen, [0, 2]);
  });

  test("01 checklist 11: a mutation resolves with no subscription and with nothing written", async () => {
    assert.equal(await open().mutation(anyApi.c.nothing, {}), null);
  });

  test("01 checklist 13: fifty mutations without awaiting run in order", async () => {
    const client = open();
    const results = await Promise.all(Array.from({ length: 50 }, () => client.mutation(anyApi.c.add, { name: "ordered", by: 1 })));
    assert.deepEqual(results, Array.from({ length: 50 }, (_, i) => i + 1));
  });

  test("01 checklist 4: two queries over the same rows are never from different moments", async () => {
    const client = open();
    for (const name of ["x1", "x2"]) await client.mutation(anyApi.c.add, { name, by: 100 });
    const mover = new ConvexHttpClient(server.url, { logger: false });
    const watch = open();
    let all = null, torn = 0, moves = 0;
    watch.onUpdate(anyApi.c.both, {}, (rows) => {
      const sum = rows.reduce((a, b) => a + b, 0);
      if (all !== null && sum !== all) torn++;
      all = sum;
    });
    await until(() => all !== null, "the first sum");
    for (; moves < 100; moves++) await mover.mutation(anyApi.c.move, {});
    assert.equal(torn, 0);
  });

  test("01 checklist 9: every type round-trips", async () => {
    const client = open();
    const value = { i: [-(2n ** 63n), 2n ** 63n - 1n, 0n], f: [NaN, Infinity, -Infinity, -0, 0.1, 1e21], b: new Uint8Array([0, 16, 131]).buffer,
      s: "\u{1f600} é \u0000", "": null, o: { nested: [[[{}]]] }, t: true };
    const back = await client.query(anyApi.c.echo, { value });
    assert.deepEqual(back, value);
    assert.ok(Object.is(back.f[3], -0));
  });

  test("01 checklist 14, 15: errors and ConvexErrors reach the client, with nothing written", async () => {
    const client = open();
    await assert.rejects(client.query(anyApi.c.fails, {}), /boom/);
    await assert.rejects(client.query(anyApi.c.failsWell, {}), (e) => e instanceof ConvexError && e.data.code === 7);
    await assert.rejects(client.mutation(anyApi.c.mutationFails, {}), (e) => e instanceof ConvexError && e.data === "no");
    assert.equal(await client.query(anyApi.c.get, { name: "never" }), 0);
  });

  test("stack frames point into the TypeScript source", async () => {
    const answer = await server.post("/api/query", { path: "c:fails", args: {} });
    assert.match(answer.json.errorMessage, /^\[Request ID: [0-9a-f]{16}\] Server Error\nUncaught Error: boom\n/);
    assert.match(answer.json.errorMessage, /at handler \(\.\.\/convex\/c\.ts:\d+:\d+\)/);
  });

  test("01 checklist 10: log lines arrive", async () => {
    const answer = await server.post("/api/query", { path: "c:logs", args: {} });
    assert.deepEqual(answer.json.logLines, ["[LOG] 'hi' {\n  a: 1\n}"]);
  });

  test("01 checklist 41: ConvexHttpClient", async () => {
    const client = new ConvexHttpClient(server.url, { logger: false });
    assert.equal(await client.mutation(anyApi.c.add, { name: "http", by: 3 }), 3);
    assert.equal(await client.query(anyApi.c.get, { name: "http" }), 3);
    assert.equal(await client.consistentQuery(anyApi.c.get, { name: "http" }), 3);
    await assert.rejects(client.query(anyApi.c.missing, {}), /Could not find public function for 'c:missing'/);
    await assert.rejects(client.query(anyApi.c.secret, {}), /Could not find public function/);
    await assert.rejects(client.query(anyApi.c.add, { name: "x", by: 1 }), /Trying to execute c\.js:add as Query, but it is defined as Mutation/);
    await assert.rejects(client.query(anyApi.c.get, {}), /ArgumentValidationError/);
  });

  test("01 checklist 28: admin key and acting as a user over HTTP", async () => {
    const hidden = await server.post("/api/query", { path: "c:secret", args: {} }, server.admin());
    assert.equal(hidden.json.value, "hidden");
    const acting = Buffer.from(JSON.stringify({ subject: "s", issuer: "https://i", tokenIdentifier: "https://i|s" })).toString("base64");
    const who = await server.post("/api/query", { path: "c:who", args: {} }, { authorization: `Convex ${server.adminKey}:${acting}` });
    assert.equal(who.json.value.subject, "s");
  });

  test("01 checklist 42, 43: formats, argument shapes, bad bodies", async () => {
    const int = { $integer: "ewAAAAAAAAA=" };
    const clean = await server.post("/api/query", { path: "c:echo", args: { value: int } });
    assert.equal(clean.json.value, "123");
    const encoded = await server.post("/api/query", { path: "c:echo", args: [{ value: int }], format: "convex_encoded_json" });
    assert.deepEqual(encoded.json.value, int);
    const bad = await server.post("/api/query", { path: "c:echo", args: {}, format: "nope" });
    assert.equal(bad.status, 400);
    assert.equal((await server.post("/api/query", "{")).json.code, "BadJsonBody");
    assert.equal((await server.post("/api/query", { path: "c:get" })).json.code, "BadJsonBody");
    assert.equal((await server.post("/api/query", { path: "c:get", args: {} }, { "content-type": "text/plain" })).json.code, "BadJsonBody");
  });

  test("01 checklist 45, 46: query_at_ts and query_batch", async () => {
    const { json: { ts } } = await server.post("/api/query_ts", {});
    assert.match(ts, /^[A-Za-z0-9+/]{11}=$/);
    const at = async () => (await server.post("/api/query_at_ts", { path: "c:get", args: { name: "http" }, ts })).json.value;
    const before = await at();
    await server.post("/api/mutation", { path: "c:add", args: { name: "http", by: 1 } });
    assert.equal(await at(), before);
    const batch = await server.post("/api/query_batch", { queries: [{ path: "c:get", args: { name: "http" } }, { path: "c:fails", args: {} }] });
    assert.equal(batch.json.results[0].value, before + 1);
    assert.equal(batch.json.results[1].status, "error");
    const stale = await server.post("/api/query_at_ts", { path: "c:get", args: { name: "http" }, ts: "AQAAAAAAAAA=" });
    assert.equal(stale.status, 503);
  });

  test("01 checklist 50: CORS on answers, errors and preflights", async () => {
    const simple = await server.post("/api/query", { path: "c:get", args: { name: "a" } }, { origin: "http://elsewhere.test" });
    assert.equal(simple.headers.get("access-control-allow-origin"), "http://elsewhere.test");
    const error = await server.post("/api/query", "{", { origin: "http://elsewhere.test" });
    assert.equal(error.headers.get("access-control-allow-origin"), "http://elsewhere.test");
    const preflight = await fetch(`${server.url}/api/query`, { method: "OPTIONS", headers: { origin: "http://elsewhere.test",
      "access-control-request-method": "POST", "access-control-request-headers": "content-type, convex-client" } });
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers.get("access-control-allow-headers"), "content-type, convex-client");
  });

  test("01 checklist 8: a deploy brings a failed subscription to life", async () => {
    const client = open();
    const seen = [];
    client.onUpdate(anyApi.later.value, {}, (v) => seen.push(v), (e) => seen.push(e.message));
    await until(() => seen.length === 1, "the failure");
    assert.match(seen[0], /Could not find public function/);
    app.write({ "convex/later.ts": `import { query } from "./_generated/server"; export const value = query({ args: {}, handler: async () => 42 });` });
    await app.deploy(server);
    await until(() => seen.at(-1) === 42, "the value after the deploy");
  });

  test("01 checklist 39: clients reconnect after a restart and lose nothing", async () => {
    const client = open();
    let value;
    client.onUpdate(anyApi.c.get, { name: "restart" }, (n) => (value = n));
    await client.mutation(anyApi.c.add, { name: "restart", by: 1 });
    await until(() => value === 1, "the first value");
    await server.kill();
    const waiting = client.mutation(anyApi.c.add, { name: "restart", by: 1 });
    await sleep(100);
    await server.start();
    assert.equal(await waiting, 2);
    await until(() => value === 2, "the value after the restart");
    await until(() => client.connectionState().connectionRetries === 0, "the backoff to reset");
  });

  test("01 checklist 51: /version, /instance_name, /echo", async () => {
    assert.equal((await (await fetch(`${server.url}/instance_name`)).text()), server.name);
    assert.equal((await fetch(`${server.url}/version`)).status, 200);
    const body = "x".repeat(4 << 20);
    const echo = await fetch(`${server.url}/echo`, { method: "POST", body });
    assert.equal(await echo.text(), body);
  });
});
