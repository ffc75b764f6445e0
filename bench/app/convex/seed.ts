import { v } from "convex/values";
import { mutation } from "./_generated/server";

export const seed_range = mutation({
  args: { from: v.number(), to: v.number(), balance: v.number() },
  handler: async (ctx, { from, to, balance }) => {
    for (let id = from; id < to; id++) await ctx.db.insert("accounts", { id, balance });
  },
});
