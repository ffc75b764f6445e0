// 64 clients at one counter: losers queue behind winners, so that every call succeeds and none of them shows a conflict to its
// client (spec 03 sections 5.3, 5.7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server } from "./lib.mjs";

const CLIENTS = 64;
const SECONDS = Number(process.env.SECONDS ?? 3);
// What one counter may cost against 64 of them.
const RATIO = Number(process.env.RATIO ?? 2);

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
    export default defineSchema({ counters: defineTable({ name: v.string(), n: v.number() }).index("by_name", ["name"]) });`,
  "convex/counters.ts": `import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
    const find = (ctx, name) => ctx.db.query("counters").withIndex("by_name", (q) => q.eq("name", name)).unique();
    export const make = mutation({ args: { names: v.array(v.string()) }, handler: async (ctx, { names }) => {
      for (const name of names) await ctx.db.insert("counters", { name, n: 0 }); } });
    export const add = mutation({ args: { name: v.string() }, handler: async (ctx, { name }) => {
      const row = await find(ctx, name);
      await ctx.db.patch(row!._id, { n: row!.n + 1 });
      return row!.n + 1; } });
    export const sum = query({ args: {}, handler: async (ctx) =>
      Object.fromEntries((await ctx.db.query("counters").collect()).map(({ name, n }) => [name, n])) });`,
};

/** Every client adds to `nameOf(client)` for a while, four calls at a time; what they were told. */
async function load(clients, nameOf, ms) {
  const end = performance.now() + ms, values = [];
  const begun = performance.now();
  await Promise.all(clients.flatMap((client, i) => Array.from({ length: client instanceof ConvexClient ? 4 : 1 }, async () => {
    while (performance.now() < end) values.push(await client.mutation(anyApi.counters.add, { name: nameOf(i) }));
  })));
  return { values, perSecond: (values.length * 1000) / (performance.now() - begun) };
}

test(`${CLIENTS} clients increment one counter, none of them sees a conflict`, async () => {
  const server = await new Server().start();
  const app = new App(files);
  const sockets = [];
  try {
    await app.deploy(server);
    const own = Array.from({ length: CLIENTS }, (_, i) => `own${i}`);
    await server.post("/api/mutation", { path: "counters:make", args: { names: ["one", ...own] } });
    const clients = own.map((_, i) => {
      if (i % 2 === 0) return new ConvexHttpClient(server.url, { logger: false });
      sockets.push(new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false }));
      return sockets.at(-1);
    });
    await load(clients, (i) => own[i], SECONDS * 200); // warm
    const turns = [];
    let ones = 0;
    for (let turn = 0; turn < 2; turn++) { // alternately, so that a busy moment hits both
      const apart = await load(clients, (i) => own[i], SECONDS * 500);
      const together = await load(clients, () => "one", SECONDS * 500);
      assert.deepEqual([...together.values].sort((a, b) => a - b), together.values.map((_, i) => ones + i + 1), "each increment was told once");
      ones += together.values.length;
      turns.push({ apart: apart.perSecond, together: together.perSecond });
    }
    const counters = (await server.post("/api/query", { path: "counters:sum", args: {} })).json.value;
    assert.equal(counters.one, ones, "every increment counted");
    for (const client of sockets) assert.equal(client.connectionState().connectionCount, 1, "no connection was closed for a conflict");
    const [apart, together] = ["apart", "together"].map((how) => turns.reduce((sum, turn) => sum + turn[how], 0) / turns.length);
    console.log(`# ${CLIENTS} clients: ${apart.toFixed(0)}/s on counters of their own, ${together.toFixed(0)}/s on one, ${(apart / together).toFixed(2)} times`);
    assert.ok(apart < RATIO * together, `one counter is ${(apart / together).toFixed(2)} times slower than ${CLIENTS}`);
  } finally {
    for (const client of sockets) await client.close();
    await server.remove();
    app.remove();
  }
});
