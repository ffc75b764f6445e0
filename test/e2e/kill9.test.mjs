// kill -9 under load: what was acknowledged is there afterwards, exactly once
// (spec 01 checklist 17; spec 03 checklist 36).
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep } from "./lib.mjs";

const ROUNDS = Number(process.env.KILLS ?? 8);
const CLIENTS = 12;

test("acknowledged mutations survive kill -9, each exactly once", async () => {
  const server = await new Server().start();
  const app = new App({
    "convex/log.ts": `
      import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
      export const put = mutation({ args: { key: v.string() }, handler: async (ctx, { key }) => {
        const total = await ctx.db.query("total").first();
        if (total === null) await ctx.db.insert("total", { n: 1 }); else await ctx.db.patch(total._id, { n: total.n + 1 });
        await ctx.db.insert("entries", { key });
      } });
      export const page = query({ args: { cursor: v.union(v.string(), v.null()) }, handler: async (ctx, { cursor }) =>
        await ctx.db.query("entries").paginate({ numItems: 1000, cursor }) });
      export const total = query({ args: {}, handler: async (ctx) => (await ctx.db.query("total").first())?.n ?? 0 });`,
  });
  const clients = [];
  try {
    await app.deploy(server);
    const acknowledged = new Set(), pending = new Set();
    let stop = false, serial = 0;
    const workers = Array.from({ length: CLIENTS }, async (_, i) => {
      const client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
      clients.push(client);
      while (!stop) {
        const key = `${i}-${serial++}`;
        pending.add(key);
        await client.mutation(anyApi.log.put, { key });
        acknowledged.add(key);
        pending.delete(key);
      }
    });
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(100 + Math.random() * 400);
      await server.kill();
      await server.start();
      const before = acknowledged.size;
      for (let waited = 0; acknowledged.size < before + CLIENTS && waited < 20000; waited += 50) await sleep(50);
      assert.ok(acknowledged.size > before, "clients went on after the restart");
    }
    stop = true;
    await Promise.all(workers);
    const counts = new Map();
    for (let cursor = null, done = false; !done;) {
      const { json } = await server.post("/api/query", { path: "log:page", args: { cursor } });
      assert.equal(json.status, "success", json.errorMessage);
      for (const { key } of json.value.page) counts.set(key, (counts.get(key) ?? 0) + 1);
      cursor = json.value.continueCursor;
      done = json.value.isDone;
    }
    const lost = [...acknowledged].filter((key) => !counts.has(key));
    const doubled = [...counts].filter(([, n]) => n !== 1);
    assert.deepEqual(lost, [], "nothing acknowledged is lost");
    assert.deepEqual(doubled, [], "nothing is there twice");
    const total = (await server.post("/api/query", { path: "log:total", args: {} })).json.value;
    assert.equal(total, counts.size, "both tables of each mutation agree");
    assert.ok(acknowledged.size > ROUNDS * CLIENTS);
  } finally {
    for (const client of clients) await client.close();
    await server.remove();
    app.remove();
  }
});
