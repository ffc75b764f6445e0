// What bench/read.mjs measures: a query that reads a thousand documents and returns them.
import { queryGeneric as query } from "convex/server";

export const read = query(async (ctx) => await ctx.db.query("items").collect());
