import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  accounts: defineTable({ id: v.number(), balance: v.number() }).index("by_account_id", ["id"]),
  counters: defineTable({ id: v.number(), value: v.number() }).index("by_counter_id", ["id"]),
  items: defineTable({ n: v.number(), body: v.string() }).index("by_n", ["n"]),
});
