// Start-up time, memory and latency, with room for a busy machine.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, until } from "./lib.mjs";

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
    export default defineSchema({ items: defineTable({ n: v.number(), text: v.string() }).index("by_n", ["n"]) });`,
  "convex/items.ts": `import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
    export const fill = mutation({ args: { from: v.number(), count: v.number() }, handler: async (ctx, { from, count }) => {
      for (let i = 0; i < count; i++) await ctx.db.insert("items", { n: from + i, text: "item " + (from + i) }); } });
    export const get = query({ args: { n: v.number() }, handler: (ctx, { n }) =>
      ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", n)).unique() });
    export const set = mutation({ args: { n: v.number(), text: v.string() }, handler: async (ctx, { n, text }) => {
      const item = await ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", n)).unique();
      await ctx.db.patch(item!._id, { text }); } });`,
};

test("100,000 documents: ready under 500 ms after kill -9, idle under 40 MiB, a push under 10 ms", async () => {
  const server = await new Server().start();
  const app = new App(files);
  const clients = [];
  try {
    await app.deploy(server);
    for (let from = 0; from < 100000; from += 2000) {
      const filled = await server.post("/api/mutation", { path: "items:fill", args: { from, count: 2000 } });
      assert.equal(filled.json?.status, "success", filled.text);
    }
    await server.kill();
    await server.start();
    const ready = server.startMs;
    const found = await server.post("/api/query", { path: "items:get", args: { n: 99999 } });
    assert.equal(found.json.value.text, "item 99999");

    const reader = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    const writer = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    clients.push(reader, writer);
    let seen;
    reader.onUpdate(anyApi.items.get, { n: 5 }, (item) => (seen = item?.text));
    await until(() => seen !== undefined, "the subscription");
    const times = [];
    for (let i = 0; i < 100; i++) {
      const begun = performance.now();
      const arrived = new Promise((done) => {
        const poll = () => (seen === `v${i}` ? done() : setImmediate(poll));
        poll();
      });
      void writer.mutation(anyApi.items.set, { n: 5, text: `v${i}` });
      await arrived;
      times.push(performance.now() - begun);
    }
    for (const client of clients.splice(0)) await client.close();
    // What replaying the log took goes back two seconds after the last write.
    await new Promise((done) => setTimeout(done, 4000));
    const idle = server.rss() / 1024;
    const median = times.sort((a, b) => a - b)[50];
    console.log(`# ready ${ready.toFixed(0)} ms, idle ${idle.toFixed(1)} MiB, mutation seen by another client: median ${median.toFixed(2)} ms`);
    assert.ok(ready < 500, `ready after ${ready} ms`);
    assert.ok(idle < 40, `${idle} MiB resident`);
    assert.ok(median < 10, `median ${median} ms`);
  } finally {
    for (const client of clients) await client.close();
    await server.remove();
    app.remove();
  }
});

test("SIGTERM drains and stops with status 0", async () => {
  const server = await new Server().start();
  try {
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
  } finally {
    await server.remove();
  }
});
