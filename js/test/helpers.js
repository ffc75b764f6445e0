// Library code over ctx: convex-helpers wraps database readers, queries and contexts in most of
// the ways that applications do.
import { defineSchema, defineTable, internalMutationGeneric, mutationGeneric, queryGeneric } from "convex/server";
import { v } from "convex/values";
import { asyncMap } from "convex-helpers";
import { customCtx, customMutation, customQuery } from "convex-helpers/server/customFunctions";
import { filter } from "convex-helpers/server/filter";
import { getPage, paginator } from "convex-helpers/server/pagination";
import { getAll, getManyFrom, getManyVia, getOneFrom } from "convex-helpers/server/relationships";
import { wrapDatabaseReader, wrapDatabaseWriter } from "convex-helpers/server/rowLevelSecurity";
import { mergedStream, stream } from "convex-helpers/server/stream";
import { Triggers } from "convex-helpers/server/triggers";

export const schema = defineSchema({
  items: defineTable({ n: v.number(), even: v.boolean(), tag: v.string() })
    .index("by_n", ["n"])
    .index("by_tag", ["tag", "n"])
    .index("tag", ["tag"]),
  links: defineTable({ fromId: v.id("items"), toId: v.id("items") }).index("fromId", ["fromId"]),
  log: defineTable(v.any()),
  values: defineTable(v.any()),
  others: defineTable(v.any()),
});
export const schemaText = queryGeneric(() => schema.export());

const names = (rows) => rows.map((d) => d.n);

export const indexed = queryGeneric(async ({ db }) => {
  const q = (range) => db.query("items").withIndex("by_tag", range);
  return {
    eq: names(await q((r) => r.eq("tag", "t1")).collect()),
    range: names(await q((r) => r.eq("tag", "t1").gt("n", 4).lte("n", 13)).collect()),
    gte: names(await q((r) => r.eq("tag", "t1").gte("n", 4).lt("n", 13)).order("desc").collect()),
    prefix: names(await q((r) => r.gt("tag", "t1")).take(2)),
    both: names(await db.query("items").withIndex("by_n", (r) => r.lt("n", 3)).filter((f) => f.eq(f.field("even"), true)).collect()),
    missing: names(await db.query("items").withIndex("by_n", (r) => r.eq("n", undefined)).collect()),
    unique: (await db.query("items").withIndex("by_n", (r) => r.eq("n", 5)).unique()).n,
    whole: names(await db.query("items").withIndex("by_n").order("desc").take(1)),
  };
});

export const filtered = queryGeneric(async ({ db }) => {
  const q = () => filter(db.query("items"), async (d) => (await db.get(d._id)).n % 3 === 0);
  return [
    names(await q().collect()), names(await q().take(2)), (await q().first()).n,
    names(await q().order("desc").take(2)), names((await q().paginate({ numItems: 4, cursor: null })).page),
    (await filter(db.query("items"), (d) => d.n === 5).unique()).n,
  ];
});

export const relate = mutationGeneric(async ({ db }) => {
  const items = await db.query("items").take(4);
  for (let i = 1; i < 4; i++) await db.insert("links", { fromId: items[0]._id, toId: items[i]._id });
  return [
    names(await getAll(db, "items", items.map((d) => d._id))),
    (await getOneFrom(db, "items", "by_n", 3, "n")).n,
    names(await getManyFrom(db, "items", "tag", "t2")),
    names(await getManyVia(db, "links", "toId", "fromId", items[0]._id)),
    await asyncMap(items, async (d) => (await db.get("items", d._id)).n),
  ];
});

export const pages = queryGeneric(async (ctx) => {
  const first = await getPage(ctx, { table: "items", schema, index: "by_n", targetMaxRows: 3 });
  const second = await getPage(ctx, {
    table: "items", schema, index: "by_n", targetMaxRows: 3, startIndexKey: first.indexKeys.at(-1),
  });
  const p = await paginator(ctx.db, schema).query("items").withIndex("by_tag", (q) => q.eq("tag", "t1"))
    .paginate({ numItems: 3, cursor: null });
  return [names(first.page), first.hasMore, names(second.page), names(p.page), p.isDone];
});

export const streams = queryGeneric(async (ctx) => {
  const by = (tag) => stream(ctx.db, schema).query("items").withIndex("by_tag", (q) => q.eq("tag", tag));
  const merged = mergedStream([by("t0"), by("t1")], ["n"]);
  return [
    names(await merged.collect()), names(await merged.take(3)),
    names(await by("t2").filterWith(async (d) => d.even).collect()),
    names((await merged.paginate({ numItems: 4, cursor: null })).page),
  ];
});

const withUser = customQuery(queryGeneric, {
  args: { as: v.string() },
  input: async (ctx, { as }) => ({ ctx: { ...ctx, user: as }, args: { as } }),
});
export const customized = withUser({
  args: { n: v.number() },
  handler: async (ctx, { n, as }) => {
    const d = await ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", n)).unique();
    return [ctx.user, as, d.n, typeof ctx.runQuery];
  },
});

const rules = {
  items: {
    read: async (_ctx, d) => d.even,
    modify: async (_ctx, d) => d.n < 10,
    insert: async (_ctx, d) => d.n >= 0,
  },
};
export const secured = queryGeneric(async (ctx) => {
  const db = wrapDatabaseReader(ctx, ctx.db, rules);
  const odd = await ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", 3)).unique();
  return [
    names(await db.query("items").collect()), await db.get(odd._id), await db.get("items", odd._id),
    names(await db.query("items").withIndex("by_n", (q) => q.gt("n", 5)).take(2)),
    db.normalizeId("items", odd._id) === odd._id,
  ];
});
export const securedWrites = mutationGeneric(async (ctx) => {
  const db = wrapDatabaseWriter(ctx, ctx.db, rules);
  const id = await db.insert("items", { n: 100, even: true, tag: "new" });
  const results = [];
  for (const run of [() => db.patch(id, { n: 101 }), () => db.insert("items", { n: -1, even: true, tag: "" }), () => db.delete(id)]) {
    results.push(await run().then(() => "done", (e) => String(e.data ?? e.message).replaceAll(id, "ID")));
  }
  await ctx.db.delete(id);
  return results;
});

const triggers = new Triggers();
triggers.register("items", async (ctx, change) => {
  await ctx.db.insert("log", { operation: change.operation, n: change.newDoc?.n ?? null, before: change.oldDoc?.n ?? null });
});
const mutation = customMutation(mutationGeneric, customCtx(triggers.wrapDB));
export const triggered = mutation({
  args: {},
  handler: async (ctx) => {
    const id = await ctx.db.insert("items", { n: 50, even: true, tag: "x" });
    await ctx.db.patch(id, { n: 51 });
    await ctx.db.replace("items", id, { n: 52, even: true, tag: "y" });
    await ctx.db.delete(id);
    return (await ctx.db.query("log").collect()).map(({ operation, n, before }) => [operation, n, before]);
  },
});
export const internalWrite = internalMutationGeneric(async ({ db }) => {
  await db.insert("items", { n: "not a number" });
});
