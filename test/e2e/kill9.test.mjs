// kill -9 under load: what was acknowledged is there afterwards, exactly once, in the table and in every index
// (spec 01 checklist 17; spec 03 checklist 33, 35, 36).
//
//   KILLS=15 SEED=1   how many kills in each test; when they come
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";
import { random } from "./programs/generate.mjs";

const KILLS = Number(process.env.KILLS ?? 15);
const SEED = Number(process.env.SEED ?? 1);
const CLIENTS = 32;
const FILL = 20000;

/** `more`: the second index, whose backfill the kills shall meet. */
const schema = (more) => `
  import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
  export default defineSchema({ entries: defineTable({ client: v.number(), key: v.string(), pad: v.string() }).index("by_key", ["key"])
    ${more ? `.index("by_client", ["client", "key"])` : ""}, totals: defineTable({ n: v.number() }) });`;

const functions = `
  import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
  /** Two tables and, every fourth time, a row that another call wrote: all of it or nothing. */
  export const put = mutation({ args: { client: v.number(), serial: v.number() }, handler: async (ctx, { client, serial }) => {
    const total = await ctx.db.query("totals").first();
    if (total === null) await ctx.db.insert("totals", { n: 1 }); else await ctx.db.patch(total._id, { n: total.n + 1 });
    await ctx.db.insert("entries", { client, key: client + "-" + serial, pad: "x".repeat(500) });
    if (serial % 4 === 3) {
      const old = await ctx.db.query("entries").withIndex("by_key", (q) => q.eq("key", client + "-" + (serial - 2))).unique();
      if (old !== null) await ctx.db.patch(old._id, { pad: "y".repeat(700) });
    }
    return total?.n ?? 0;
  } });
  /** Rows for a backfill to be busy with. */
  export const fill = mutation({ args: { from: v.number(), to: v.number() }, handler: async (ctx, { from, to }) => {
    for (let i = from; i < to; i++) await ctx.db.insert("entries", { client: -1, key: "f-" + i, pad: "z".repeat(100) });
    const total = await ctx.db.query("totals").first();
    if (total === null) await ctx.db.insert("totals", { n: to - from }); else await ctx.db.patch(total._id, { n: total.n + to - from });
  } });
  export const list = query({ args: { index: v.union(v.literal("by_creation_time"), v.literal("by_key"), v.literal("by_client")), cursor: v.union(v.string(), v.null()) },
    handler: async (ctx, { index, cursor }) => {
      const { page, ...rest } = await ctx.db.query("entries").withIndex(index as any).paginate({ numItems: 2000, cursor });
      return { keys: page.map((e) => e.key), ...rest };
    } });
  export const total = query({ args: {}, handler: async (ctx) => (await ctx.db.query("totals").first())?.n ?? 0 });`;

async function keysOf(server, index) {
  const keys = [];
  for (let cursor = null, done = false; !done;) {
    const { json } = await server.post("/api/query", { path: "log:list", args: { index, cursor } });
    assert.equal(json.status, "success", json.errorMessage);
    keys.push(...json.value.keys);
    cursor = json.value.continueCursor;
    done = json.value.isDone;
  }
  return keys;
}

/** 32 clients that put entries until told to stop; what they sent and what they were told. */
class Writers {
  constructor(server) {
    this.acknowledged = new Set();
    this.sent = new Set();
    this.refused = [];
    this.clients = [];
    this.stopped = false;
    this.running = Promise.all(Array.from({ length: CLIENTS }, (_, client) => (client % 4 === 3 ? this.overHttp(server, client) : this.overSocket(server, client))));
  }

  async overSocket(server, client) {
    const socket = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    this.clients.push(socket);
    for (let serial = 0; !this.stopped; serial++) {
      this.sent.add(`${client}-${serial}`);
      await socket.mutation(anyApi.log.put, { client, serial });
      this.acknowledged.add(`${client}-${serial}`);
    }
  }

  /** A call over HTTP that meets a kill has an unknown outcome; it is not sent again. */
  async overHttp(server, client) {
    const http = new ConvexHttpClient(server.url, { logger: false });
    for (let serial = 0; !this.stopped; serial++) {
      this.sent.add(`${client}-${serial}`);
      try {
        await http.mutation(anyApi.log.put, { client, serial });
        this.acknowledged.add(`${client}-${serial}`);
      } catch (e) {
        if (!/fetch failed|terminated|socket/.test(String(e.message))) this.refused.push(e.message);
        await sleep(20);
      }
    }
  }
}

/** Whether the second index is being built right now. */
async function building(server) {
  const { json } = await server.post("/api/query", { path: "log:list", args: { index: "by_client", cursor: null } });
  return json?.errorMessage?.includes("backfilling") ?? false;
}

/** One kill, at a moment of its own: soon after the start, under load, while starting, while an index is built. */
async function killOnce(server, app, r, round, state) {
  if (round % 3 === 0) {
    state.more = !state.more;
    app.write({ "convex/schema.ts": schema(state.more) });
    state.push = app.cli(server, ["dev", "--once", "--typecheck", "disable", "--codegen", "disable"]);
    if (!state.more) await sleep(500 + r.below(1500));
    for (let end = Date.now() + 4000; state.more && Date.now() < end; await sleep(1)) {
      if (!(await building(server))) continue;
      state.builds++;
      await sleep(r.below(20));
      break;
    }
  } else {
    await sleep(r.chance(0.3) ? r.below(50) : 50 + r.below(400));
  }
  await server.kill();
  for (let again = r.chance(0.4) ? 1 + r.below(2) : 0; again > 0; again--) { // and while it recovers
    state.starts++;
    await server.launch();
    await sleep(r.below(50));
    await server.kill();
  }
  await server.start();
  await state.push;
  state.push = undefined;
}

async function underKills(kills, extra, seed) {
  const server = await new Server({ extra }).start();
  const app = new App({ "convex/schema.ts": schema(false), "convex/log.ts": functions });
  let writers;
  try {
    await app.deploy(server);
    for (let from = 0; from < FILL; from += 2000) {
      const filled = await server.post("/api/mutation", { path: "log:fill", args: { from, to: from + 2000 } });
      assert.equal(filled.json?.status, "success", filled.text);
    }
    writers = new Writers(server);
    for (let i = 0; i < FILL; i++) for (const keys of [writers.sent, writers.acknowledged]) keys.add(`f-${i}`);
    const r = random(seed), state = { more: false, starts: 0, builds: 0 };
    for (let round = 0; round < kills; round++) {
      const before = writers.acknowledged.size;
      await killOnce(server, app, r, round, state);
      await until(() => writers.acknowledged.size > before, "the clients to go on after the restart", 30000);
    }
    writers.stopped = true;
    await writers.running;
    app.write({ "convex/schema.ts": schema(true) });
    await app.deploy(server);

    const keys = await keysOf(server, "by_creation_time"), there = new Set(keys);
    assert.deepEqual([...writers.acknowledged].filter((key) => !there.has(key)), [], "nothing acknowledged is lost");
    assert.equal(keys.length, there.size, "nothing is there twice");
    assert.deepEqual(keys.filter((key) => !writers.sent.has(key)), [], "nothing is there that nobody sent");
    for (const index of ["by_key", "by_client"]) assert.deepEqual((await keysOf(server, index)).sort(), [...keys].sort(), `${index} agrees with the table`);
    assert.equal((await server.post("/api/query", { path: "log:total", args: {} })).json.value, keys.length, "both tables of each mutation agree");
    assert.deepEqual(writers.refused, [], "no call was refused");
    await server.kill();
    const verified = await server.tool("verify");
    assert.equal(verified.code, 0, verified.all);
    console.log(`# ${kills} kills, ${state.builds} of them while an index was built, and ${state.starts} more while starting; ${writers.acknowledged.size} acknowledged, ${keys.length} there; ${verified.stdout.trim().split("\n").at(-2)}`);
  } finally {
    for (const client of writers?.clients ?? []) await client.close();
    await server.remove();
    app.remove();
  }
}

test("acknowledged mutations survive kill -9, each exactly once", () => underKills(KILLS, [], SEED));

test("the same with a small cache and short histories", () =>
  underKills(Math.ceil(KILLS / 2), ["--cache-bytes", "32M", "--index-retention", "2", "--document-retention", "4"], SEED + 1));
