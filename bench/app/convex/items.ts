import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";

/** Some numbers without order: neighbours in the index are not neighbours in time. */
export const seed = mutation({
  args: { numbers: v.array(v.number()), bytes: v.number() },
  handler: async (ctx, { numbers, bytes }) => {
    for (const n of numbers) await ctx.db.insert("items", { n, body: `${n} `.padEnd(bytes, "abcdefghij") });
  },
});

export const get = query({
  args: { n: v.number() },
  handler: async (ctx, { n }) => {
    const item = await ctx.db
      .query("items")
      .withIndex("by_n", (q) => q.eq("n", n))
      .unique();
    return item?.body ?? null;
  },
});

/** One page of a walk over everything; answers how many rows, not the rows. */
export const page = query({
  args: { paginationOpts: paginationOptsValidator },
  handler: async (ctx, { paginationOpts }) => {
    const { page, isDone, continueCursor } = await ctx.db.query("items").paginate(paginationOpts);
    return { rows: page.length, isDone, continueCursor };
  },
});
