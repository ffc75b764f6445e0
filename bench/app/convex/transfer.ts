import { v } from "convex/values";
import { mutation } from "./_generated/server";

export const transfer = mutation({
  args: { amount: v.number(), from_id: v.number(), to_id: v.number() },
  handler: async (ctx, { amount, from_id, to_id }) => {
    const from = await ctx.db
      .query("accounts")
      .withIndex("by_account_id", (q) => q.eq("id", from_id))
      .unique();
    const to = await ctx.db
      .query("accounts")
      .withIndex("by_account_id", (q) => q.eq("id", to_id))
      .unique();
    if (from === null || to === null) throw new Error("no such account");
    if (from_id === to_id || from.balance < amount) return null;
    await ctx.db.patch(from._id, { balance: from.balance - amount });
    await ctx.db.patch(to._id, { balance: to.balance + amount });
    return null;
  },
});
