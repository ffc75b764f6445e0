import { paginationOptsValidator } from "convex/server";
import { ConvexError, v } from "convex/values";
import { mutation, query } from "./_generated/server";

/** One page of a channel, newest first. */
export const list = query({
  args: { channel: v.string(), paginationOpts: paginationOptsValidator },
  handler: (ctx, args) =>
    ctx.db
      .query("messages")
      .withIndex("by_channel", (q) => q.eq("channel", args.channel))
      .order("desc")
      .paginate(args.paginationOpts),
});

/** How many messages each channel has. */
export const counts = query({
  args: {},
  returns: v.record(v.string(), v.number()),
  handler: async (ctx) => {
    const result: Record<string, number> = {};
    for await (const channel of ctx.db.query("channels")) {
      result[channel.name] = channel.messages;
    }
    return result;
  },
});

export const send = mutation({
  args: { channel: v.string(), author: v.string(), body: v.string() },
  returns: v.id("messages"),
  handler: async (ctx, args) => {
    if (args.body.length > 1000) {
      throw new ConvexError({ code: "TooLong", limit: 1000 });
    }
    const channel = await ctx.db
      .query("channels")
      .withIndex("by_name", (q) => q.eq("name", args.channel))
      .unique();
    if (channel === null) {
      await ctx.db.insert("channels", { name: args.channel, messages: 1 });
    } else {
      await ctx.db.patch(channel._id, { messages: channel.messages + 1 });
    }
    return await ctx.db.insert("messages", args);
  },
});
