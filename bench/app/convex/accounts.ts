import { v } from "convex/values";
import { query } from "./_generated/server";

export const get_account = query({
  args: { id: v.number() },
  handler: async (ctx, { id }) => {
    const account = await ctx.db
      .query("accounts")
      .withIndex("by_account_id", (q) => q.eq("id", id))
      .unique();
    return account === null ? null : { id: account.id, balance: account.balance };
  },
});

/** One page of the invariant's check: the sum of all balances never changes. */
export const sum_page = query({
  args: { from: v.number(), to: v.number() },
  handler: async (ctx, { from, to }) => {
    let sum = 0;
    for (const account of await ctx.db
      .query("accounts")
      .withIndex("by_account_id", (q) => q.gte("id", from).lt("id", to))
      .collect()) {
      sum += account.balance;
    }
    return sum;
  },
});
