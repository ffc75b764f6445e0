// More data than memory: random reads, writes and pages of many clients agree with a model while nearly everything that they ask
// for has to be loaded, and the process stays inside what --cache-bytes allows it.
//
//   DOCS=50000 BYTES=6500 SECONDS=8 SEED=1   how much data, for how long
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server } from "./lib.mjs";
import { random } from "./programs/generate.mjs";

const DOCS = Number(process.env.DOCS ?? 50000);
const BYTES = Number(process.env.BYTES ?? 6500);
const SECONDS = Number(process.env.SECONDS ?? 8);
const SEED = Number(process.env.SEED ?? 1);
const CACHE = Number(process.env.CACHE_MIB ?? 32);
const CLIENTS = 8;

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
    export default defineSchema({ items: defineTable({ n: v.number(), version: v.number(), half: v.number(), pad: v.string() })
      .index("by_n", ["n"]).index("by_half", ["half", "n"]) });`,
  "convex/items.ts": `import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
    const find = (ctx, n) => ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", n)).unique();
    const row = (n, version, bytes) => ({ n, version, half: (n + version) % 2, pad: "x".repeat(bytes) });
    export const fill = mutation({ args: { from: v.number(), to: v.number(), bytes: v.number() }, handler: async (ctx, { from, to, bytes }) => {
      for (let n = from; n < to; n++) await ctx.db.insert("items", row(n, 0, bytes)); } });
    export const get = query({ args: { n: v.number() }, handler: async (ctx, { n }) => {
      const item = await find(ctx, n);
      return item && { version: item.version, bytes: item.pad.length }; } });
    /** Gives an item its next version; null removes it. */
    export const set = mutation({ args: { n: v.number(), version: v.union(v.number(), v.null()), bytes: v.number() }, handler: async (ctx, { n, version, bytes }) => {
      const item = await find(ctx, n);
      if (version === null) { if (item) await ctx.db.delete(item._id); }
      else if (item) await ctx.db.replace(item._id, row(n, version, bytes));
      else await ctx.db.insert("items", row(n, version, bytes)); } });
    export const page = query({ args: { from: v.number(), half: v.union(v.number(), v.null()), items: v.number() }, handler: async (ctx, { from, half, items }) => {
      const q = half === null ? ctx.db.query("items").withIndex("by_n", (q) => q.gte("n", from))
        : ctx.db.query("items").withIndex("by_half", (q) => q.eq("half", half).gte("n", from));
      const { page, isDone } = await q.paginate({ numItems: items, cursor: null });
      return { rows: page.map(({ n, version, half }) => ({ n, version, half })), isDone }; } });`,
};

/** One client, which alone writes the items of its residue class and therefore knows them. */
class Worker {
  constructor(server, i, model) {
    Object.assign(this, { i, model, r: random(SEED + i), done: { reads: 0, writes: 0, pages: 0 } });
    this.client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
  }

  mine() {
    return this.i + CLIENTS * this.r.below(Math.floor(DOCS / CLIENTS));
  }

  async read() {
    const n = this.mine(), item = await this.client.query(anyApi.items.get, { n });
    assert.deepEqual(item, this.model[n] === null ? null : { version: this.model[n], bytes: BYTES }, `item ${n}`);
    this.done.reads++;
  }

  async write() {
    const n = this.mine(), version = this.r.chance(0.1) ? null : (this.versions = (this.versions ?? 0) + 1);
    await this.client.mutation(anyApi.items.set, { n, version, bytes: BYTES });
    this.model[n] = version;
    this.done.writes++;
  }

  async page() {
    const from = this.r.below(DOCS), half = this.r.pick([null, 0, 1]);
    const { rows, isDone } = await this.client.query(anyApi.items.page, { from, half, items: 40 });
    const upTo = isDone ? DOCS : rows.at(-1).n, seen = new Map(rows.map((row) => [row.n, row.version]));
    rows.forEach((row, at) => assert.ok(row.n >= from && (at === 0 || row.n > rows[at - 1].n) && row.half === (row.n + row.version) % 2, "rows are in order"));
    for (let n = from; n <= upTo && n < DOCS; n++) {
      if (n % CLIENTS !== this.i) continue;
      const version = this.model[n];
      const expected = version === null || (half !== null && (n + version) % 2 !== half) ? undefined : version;
      assert.equal(seen.get(n), expected, `item ${n} in a page from ${from}`);
    }
    this.done.pages++;
  }

  async work(end) {
    while (performance.now() < end) await this[this.r.weighted([[5, "read"], [3, "write"], [2, "page"]])]();
  }
}

/** The whole table, or both halves of the other index, against the model. */
async function checkAll(server, model, halves) {
  for (const half of halves) {
    const seen = [];
    for (let from = 0, done = false; !done;) {
      const { json } = await server.post("/api/query", { path: "items:page", args: { from, half, items: 250 } });
      assert.equal(json.status, "success", json.errorMessage);
      seen.push(...json.value.rows.map(({ n, version }) => `${n}:${version}`));
      done = json.value.isDone;
      from = done ? 0 : json.value.rows.at(-1).n + 1;
    }
    const expected = model.map((version, n) => (version === null || (half !== null && (n + version) % 2 !== half) ? null : `${n}:${version}`)).filter((x) => x !== null);
    assert.deepEqual(seen, expected);
  }
}

test(`${DOCS} documents of ${BYTES} bytes through a cache of ${CACHE} MiB`, async () => {
  const server = await new Server({ extra: ["--cache-bytes", `${CACHE}M`] }).start();
  const app = new App(files);
  const workers = [];
  let peak = 0;
  const sample = setInterval(() => {
    try {
      peak = Math.max(peak, server.rss() / 1024);
    } catch {
      // between two processes
    }
  }, 50);
  try {
    await app.deploy(server);
    const chunk = Math.floor(1e6 / BYTES), begun = performance.now();
    for (let from = 0; from < DOCS; from += chunk) {
      const filled = await server.post("/api/mutation", { path: "items:fill", args: { from, to: Math.min(from + chunk, DOCS), bytes: BYTES } });
      assert.equal(filled.json?.status, "success", filled.text);
    }
    const filling = (performance.now() - begun) / 1000, model = Array.from({ length: DOCS }, () => 0);
    workers.push(...Array.from({ length: CLIENTS }, (_, i) => new Worker(server, i, model)));
    const peakFilling = peak;
    peak = 0;
    await Promise.all(workers.map((w) => w.work(performance.now() + SECONDS * 500)));
    await server.kill();
    await server.start();
    await checkAll(server, model, [null]);
    await Promise.all(workers.map((w) => w.work(performance.now() + SECONDS * 500)));
    await checkAll(server, model, [0, 1]);
    const count = (what) => workers.reduce((sum, w) => sum + w.done[what], 0);
    console.log(`# ${((DOCS * BYTES) / 2 ** 20).toFixed(0)} MiB filled in ${filling.toFixed(1)} s; ${count("reads")} reads, ${count("writes")} writes, ${count("pages")} pages in ${SECONDS} s; `
      + `resident ${peakFilling.toFixed(0)} MiB at most while filling, ${peak.toFixed(0)} MiB afterwards, ${(server.rss() / 1024).toFixed(0)} MiB at the end; ready ${server.startMs.toFixed(0)} ms after kill -9`);
    assert.ok(Math.max(peak, peakFilling) < 1.2 * CACHE + 32, "the budget, a fifth more, and what a transaction of each worker may hold");
  } finally {
    clearInterval(sample);
    for (const { client } of workers) await client.close();
    await server.remove();
    app.remove();
  }
});
