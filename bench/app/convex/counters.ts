import { v } from "convex/values";
import { mutation } from "./_generated/server";

export const increment = mutation({
  args: { id: v.number() },
  handler: async (ctx, { id }) => {
    const counter = await ctx.db
      .query("counters")
      .withIndex("by_counter_id", (q) => q.eq("id", id))
      .unique();
    if (counter) await ctx.db.patch(counter._id, { value: counter.value + 1 });
    else await ctx.db.insert("counters", { id, value: 1 });
  },
});
