// The functions of the random programs: an interpreter of operations on ctx.db. The same file is deployed to the server
// and loaded into convex-test.
//
// Ids, cursors and creation times go by symbolic names; `env` holds what they stand for on this side.
import { internalMutation, internalQuery, mutation, query } from "./_generated/server.js";
import { internal } from "./_generated/api.js";
import { ConvexError, v } from "convex/values";

const indexes = {
  any: ["by_a", "by_a_b", "by_nested", "by_creation_time", "by_id"],
  strict: ["by_s_n", "by_u", "by_ts", "by_creation_time", "by_id"],
  union: ["by_kind", "by_creation_time", "by_id"],
  loose: [],
};

class Skip extends Error {}

function look(env, kind, name) {
  if (!(name in env[kind])) throw new Skip(`no ${name}`);
  return env[kind][name];
}

function evaluate(ctx, env, [kind, of]) {
  switch (kind) {
    case "v": return of;
    case "undef": return undefined;
    case "id": return look(env, "ids", of);
    case "time": return look(env, "times", of);
    case "commitTs":
      if (!ctx.db.vars) throw new Skip("a query has none");
      return ctx.db.vars.commitTs;
    case "arr": return of.map((e) => evaluate(ctx, env, e));
    case "obj": return Object.fromEntries(of.map(([name, e]) => [name, evaluate(ctx, env, e)]));
    default: throw new Error(`app: no value ${kind}`);
  }
}

function expression(ctx, env, q, [kind, ...of]) {
  if (kind === "field") return q.field(of[0]);
  if (kind === "lit") return evaluate(ctx, env, of[0]);
  return q[kind](...of.map((e) => expression(ctx, env, q, e)));
}

async function runQuery(ctx, env, op) {
  let q = ctx.db.query(op.table);
  if (op.index) {
    q = q.withIndex(op.index, (r) => {
      for (const [comparison, field, value] of op.range) r = r[comparison](field, evaluate(ctx, env, value));
      return r;
    });
  }
  if (op.order) q = q.order(op.order);
  for (const f of op.filters) q = q.filter((b) => expression(ctx, env, b, f));
  const [end, n] = op.end;
  if (end === "take") return await q.take(n);
  if (end === "iterate") {
    const out = [];
    for await (const doc of q) {
      out.push(doc);
      if (out.length === n) break;
    }
    return out;
  }
  if (end !== "paginate") return await q[end]();
  const { as, cursor, endCursor, ...options } = n;
  const result = await q.paginate({ ...options, cursor: cursor ? look(env, "cursors", cursor) : null,
    ...(endCursor ? { endCursor: look(env, "cursors", endCursor) } : {}) });
  env.cursors[as] = result.continueCursor;
  if (result.splitCursor !== null) env.cursors[`${as}s`] = result.splitCursor;
  return { page: result.page, isDone: result.isDone, split: result.splitCursor !== null, status: result.pageStatus };
}

async function call(ctx, env, op) {
  const args = { ops: op.ops, env, throws: op.throws ?? null };
  let result;
  if (op.kind === "mutation") result = await ctx.runMutation(internal.interpret.childMutation, args);
  else result = await ctx.runQuery(internal.interpret.childQuery, args, op.kind === "snapshot" ? { useStaleSnapshot: true } : undefined);
  for (const kind of ["ids", "times", "cursors"]) Object.assign(env[kind], result.env[kind]);
  return result.results;
}

async function perform(ctx, env, op) {
  const value = (e) => evaluate(ctx, env, e);
  const at = (e) => (op.table ? [op.table, value(e)] : [value(e)]);
  switch (op.op) {
    case "insert": {
      const id = await ctx.db.insert(op.table, value(op.value));
      env.ids[op.as] = id;
      env.times[op.as] = (await ctx.db.get(id))._creationTime;
      return id;
    }
    case "patch": return await ctx.db.patch(...at(op.id), value(op.value));
    case "replace": return await ctx.db.replace(...at(op.id), value(op.value));
    case "delete": return await ctx.db.delete(...at(op.id));
    case "get": return await ctx.db.get(...at(op.id));
    case "normalizeId": return ctx.db.normalizeId(op.table, value(op.id));
    case "query": return await runQuery(ctx, env, op);
    case "call": return await call(ctx, env, op);
    case "typed": return await ctx.runQuery(internal.interpret.typed, value(op.args));
    case "typedWrite": return await ctx.runMutation(internal.interpret.typedWrite, { ret: value(op.ret) });
    case "value": return value(op.value);
    default: throw new Error(`app: no operation ${op.op}`);
  }
}

async function interpret(ctx, { ops, env, throws }) {
  const results = [];
  for (const op of ops) {
    try {
      results.push((await perform(ctx, env, op)) ?? null);
    } catch (e) {
      if (e instanceof Skip) results.push("skipped");
      else if (op.catches) results.push({ failed: String(e.message), ...(e instanceof ConvexError ? { data: e.data } : {}) });
      else throw e;
    }
  }
  if (throws) throw throws[0] === "ConvexError" ? new ConvexError(throws[1]) : new Error(throws[1]);
  return { results, env };
}

const args = { ops: v.array(v.any()), env: v.any(), throws: v.any() };
export const write = mutation({ args, handler: interpret });
export const read = query({ args, handler: interpret });
export const childMutation = internalMutation({ args, handler: interpret });
export const childQuery = internalQuery({ args, handler: interpret });
export const typed = internalQuery({
  args: { n: v.number(), s: v.optional(v.union(v.string(), v.null())), ret: v.any() },
  returns: v.union(v.number(), v.array(v.string()), v.object({ a: v.optional(v.int64()) })),
  handler: async (_ctx, { ret }) => ret,
});
/** Writes, and then may answer what it must not. */
export const typedWrite = internalMutation({ args: { ret: v.any() }, returns: v.number(), handler: async (ctx, { ret }) => {
  await ctx.db.insert("loose", { typed: true });
  return ret;
} });

/** Every table, and every index of it. */
export const dump = query({ args: {}, handler: async (ctx) => {
  const out = {};
  for (const [table, names] of Object.entries(indexes)) {
    out[table] = await ctx.db.query(table).collect();
    for (const name of names) {
      const ids = (await ctx.db.query(table).withIndex(name).collect()).map((doc) => doc._id);
      out[`${table}.${name}`] = name === "by_id" ? ids.length : ids; // in which order ids come is chance
    }
  }
  return out;
} });

/** Also brings the undeclared table into being: whether a table that never was has a by_id is not what programs are about. */
export const wipe = mutation({ args: {}, handler: async (ctx) => {
  await ctx.db.insert("loose", {});
  for (const table of Object.keys(indexes)) for (const doc of await ctx.db.query(table).collect()) await ctx.db.delete(doc._id);
} });
