// The tables of the random programs: one that takes anything, two that do not. A fourth table, "loose", is used without
// being declared.
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  any: defineTable(v.any()).index("by_a", ["a"]).index("by_a_b", ["a", "b"]).index("by_nested", ["o.x", "b", "o.y.z"]),
  strict: defineTable({
    s: v.string(),
    n: v.optional(v.number()),
    u: v.optional(v.union(v.literal("x"), v.literal(5n), v.literal(true), v.null(), v.object({ k: v.int64(), l: v.optional(v.array(v.boolean())) }))),
    r: v.optional(v.record(v.string(), v.number())),
    ref: v.optional(v.id("any")),
    b: v.optional(v.bytes()),
    ts: v.optional(v.commitTs()),
  }).index("by_s_n", ["s", "n"]).index("by_u", ["u.k", "u"]).index("by_ts", ["ts"]),
  union: defineTable(v.union(v.object({ kind: v.literal("a"), n: v.number() }), v.object({ kind: v.literal("b"), s: v.optional(v.string()) })))
    .index("by_kind", ["kind", "n", "s"]),
});
