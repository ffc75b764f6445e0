// Live pages under movement: the official client's paginated query, which remembers journals and splits pages that grow, over
// rows that two writers insert, delete and move, with a kill -9 in between. At every transition the pages are, without gap or
// overlap, the beginning of the list as it was at one moment (03 checklist 41, 42; spec 03 section 6.5).
//
//   MOVES=400 SEED=1   how many mutations, and which
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";
import { random } from "./programs/generate.mjs";

const MOVES = Number(process.env.MOVES ?? 400);
const SEED = Number(process.env.SEED ?? 1);
const KEYS = 50; // few, so that rows share them

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
    export default defineSchema({ rows: defineTable({ k: v.number(), name: v.string() }).index("by_k", ["k", "name"]), moment: defineTable({ n: v.number() }) });`,
  "convex/rows.ts": `import { query, mutation } from "./_generated/server"; import { v } from "convex/values"; import { paginationOptsValidator } from "convex/server";
    /** The steps of one mutation: rows are named by their rank, so that two writers need not know of one another. Returns the moment it made. */
    export const move = mutation({ args: { steps: v.array(v.object({ what: v.string(), rank: v.number(), k: v.number(), name: v.string() })) }, handler: async (ctx, { steps }) => {
      for (const { what, rank, k, name } of steps) {
        const rows = await ctx.db.query("rows").withIndex("by_k").collect();
        if (what === "insert") await ctx.db.insert("rows", { k, name });
        else if (rows.length === 0) continue;
        else if (what === "delete") await ctx.db.delete(rows[rank % rows.length]._id);
        else await ctx.db.patch(rows[rank % rows.length]._id, { k });
      }
      const moment = await ctx.db.query("moment").first();
      if (moment === null) await ctx.db.insert("moment", { n: 1 }); else await ctx.db.patch(moment._id, { n: moment.n + 1 });
      return (moment?.n ?? 0) + 1;
    } });
    export const moment = query({ args: {}, handler: async (ctx) => (await ctx.db.query("moment").first())?.n ?? 0 });
    export const page = query({ args: { paginationOpts: paginationOptsValidator, order: v.union(v.literal("asc"), v.literal("desc")), odd: v.boolean() },
      handler: async (ctx, { paginationOpts, order, odd }) => {
        let rows: any = ctx.db.query("rows").withIndex("by_k").order(order);
        if (odd) rows = rows.filter((q) => q.eq(q.mod(q.field("k"), 2), 1));
        return await rows.paginate(paginationOpts);
      } });`,
};

const before = (a, b) => a.k - b.k || (a.name < b.name ? -1 : 1);

/** The list after `steps`: what the mutation does, on an array. */
function step(rows, steps) {
  let list = [...rows];
  for (const { what, rank, k, name } of steps) {
    if (what === "insert") list = [...list, { k, name }].sort(before);
    else if (list.length === 0) continue;
    else if (what === "delete") list.splice(rank % list.length, 1);
    else list = list.map((row, i) => (i === rank % list.length ? { ...row, k } : row)).sort(before);
  }
  return list;
}

/** Watches the list page by page and notes, at each transition, the moment and what the pages show. */
class Watcher {
  constructor(server, view, r) {
    Object.assign(this, { view, r, seen: [], loading: 0, failures: [] });
    this.client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    const changed = (value) => {
      if (value !== undefined) this.pages = value;
      queueMicrotask(() => this.note());
    };
    this.stop = this.client.onPaginatedUpdate_experimental(anyApi.rows.page, { order: view.order, odd: view.odd }, { initialNumItems: view.items }, changed,
      (e) => this.failures.push(e.message));
    this.moment = this.client.onUpdate(anyApi.rows.moment, {}, () => changed());
  }

  note() {
    const n = this.moment.getCurrentValue();
    if (n === undefined || this.pages === undefined) return;
    const { results, status } = this.pages;
    if (status.startsWith("Loading")) this.loading++;
    else this.seen.push({ n, status, names: results.map((row) => `${row.k}/${row.name}`) });
    if (status === "CanLoadMore" && this.r.chance(0.5)) this.pages.loadMore(1 + this.r.below(2 * this.view.items));
  }

  /** How many transitions show what the model had at that moment. */
  check(moments) {
    for (const { n, status, names } of this.seen) {
      const rows = moments[n].filter((row) => !this.view.odd || row.k % 2 === 1);
      const model = (this.view.order === "asc" ? rows : rows.reverse()).map((row) => `${row.k}/${row.name}`);
      const what = `moment ${n}, ${JSON.stringify(this.view)}, ${status}`;
      assert.deepEqual(names, model.slice(0, names.length), what);
      if (status === "Exhausted") assert.equal(names.length, model.length, what);
    }
    assert.deepEqual(this.failures, []);
    return this.seen.length;
  }
}

test("live pages neither gap nor overlap while rows move", async () => {
  const server = await new Server().start();
  const app = new App(files);
  const clients = [], watchers = [];
  try {
    await app.deploy(server);
    const writers = [0, 1].map(() => new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false }));
    clients.push(...writers);
    const done = []; // steps by the moment that they made
    let serial = 0;
    const write = async (writer, r, inserts) => {
      const steps = Array.from({ length: 1 + r.below(4) }, () => ({ what: r.weighted([[inserts, "insert"], [4, "delete"], [5, "move"]]), rank: r.below(1000),
        k: r.below(KEYS), name: `n${serial++}` }));
      const n = await writer.mutation(anyApi.rows.move, { steps });
      assert.equal(done[n], undefined, "a moment is made once");
      done[n] = steps;
    };
    const r = random(SEED);
    while (serial < 120) await write(writers[0], r, 30);
    watchers.push(...[{ order: "asc", odd: false, items: 4 }, { order: "desc", odd: false, items: 7 }, { order: "asc", odd: true, items: 3 }]
      .map((view, i) => new Watcher(server, view, random(SEED + i))));
    clients.push(...watchers.map((w) => w.client));
    let left = MOVES;
    const writing = Promise.all(writers.map(async (writer, i) => {
      const own = random(SEED + 10 + i);
      while (left-- > 0) {
        await write(writer, own, own.chance(0.5) ? 2 : 7);
        if (own.chance(0.3)) await sleep(own.below(20));
      }
    }));
    for (const at of [0.4, 0.7]) {
      await until(() => left < MOVES * at, "half of the moves", 60000);
      await server.kill();
      await sleep(50);
      await server.start();
    }
    await writing;
    const last = done.length - 1;
    await until(() => watchers.every((w) => w.seen.at(-1)?.n === last && w.seen.at(-1).status === "Exhausted"), "every watcher to have seen the end", 20000);
    const moments = [[]];
    for (let n = 1; n <= last; n++) moments.push(step(moments[n - 1], done[n]));
    const checked = watchers.map((w) => w.check(moments));
    console.log(`# ${last} mutations, ${checked.join(" + ")} transitions compared, ${watchers.map((w) => w.loading).join(" + ")} while loading, ${moments[last].length} rows at the end`);
    for (const n of checked) assert.ok(n > 20, "transitions were seen");
  } finally {
    for (const client of clients) await client.close();
    await server.remove();
    app.remove();
  }
});
