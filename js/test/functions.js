// Functions that the unit tests run both through the native ctx and through the npm package's
// helpers: whatever they return, throw or log must be the same.
import { internalQueryGeneric as internalQuery, mutationGeneric as mutation, queryGeneric as query, makeFunctionReference } from "convex/server";
import { ConvexError, convexToJson, v } from "convex/values";

// Bundlers rename what the npm package calls its variables.
const message = (e) => String(e.message).replace(/^\w+(?=(\.\w+)* is not a function$)/, "variable");

// What an expression does: its value, or the error's class, message and data.
async function outcome(run) {
  try {
    const value = await run();
    return value === undefined ? "undefined" : value;
  } catch (e) {
    return {
      error: message(e),
      name: e.name,
      data: e.data === undefined ? null : e.data,
      convex: e instanceof ConvexError,
      type: e instanceof TypeError,
    };
  }
}

// A synchronous failure stays apart from a rejection.
async function outcomes(...runs) {
  const result = [];
  for (const run of runs) {
    let promise;
    try {
      promise = run();
    } catch (e) {
      result.push({ thrown: message(e), type: e instanceof TypeError });
      continue;
    }
    result.push(await outcome(() => promise));
  }
  return result;
}

const strip = (doc) => {
  if (doc === null) return null;
  const { _id, _creationTime, ...rest } = doc;
  return rest;
};

/* --- writes and reads --- */

export const seed = mutation(async ({ db }) => {
  for (let i = 0; i < 20; i++) {
    await db.insert("items", { n: i, even: i % 2 === 0, tag: "t" + (i % 3) });
  }
  await db.insert("others", { big: 7n, list: [1, "two", null], bytes: new ArrayBuffer(3) });
});

export const insertAll = mutation(async ({ db }, { value }) => {
  const id = await db.insert("values", value);
  return [typeof id, strip(await db.get(id)), strip(await db.get("values", id))];
});

export const kinds = mutation(async ({ db }) => {
  const value = {
    i: 123n, min: -(2n ** 63n), max: 2n ** 63n - 1n,
    f: 1.5, zero: 0, negative: -0, nan: NaN, inf: Infinity, ninf: -Infinity,
    s: "€\u0000𝄞", empty: "", b: true, no: false, nil: null,
    bytes: new Uint8Array([1, 2, 255]).buffer,
    a: [1, [2n], []], o: { x: { y: {} } }, gone: undefined, 10: 1, 9: 2, Z: 1, a1: 1,
  };
  const id = await db.insert("values", value);
  const doc = await db.get(id);
  return {
    doc: strip(doc),
    keys: Object.keys(doc),
    types: Object.fromEntries(Object.entries(doc).map(([k, x]) => [k, typeof x])),
    buffer: doc.bytes instanceof ArrayBuffer && new Uint8Array(doc.bytes)[2],
    minus: Object.is(doc.negative, -0),
  };
});

class Point {
  x = 1;
}

export const badValues = mutation(async ({ db }) => {
  const cyclicArray = [];
  cyclicArray.push(cyclicArray);
  const nested = (n) => (n === 0 ? 1 : { a: nested(n - 1) });
  const hole = [1, , 3];
  const values = [
    undefined, null, 1, "x", [], true,
    { a: new Set([1, 2]) }, { a: new Map([[1, 2]]) }, { a: new Date(0) }, { a: new Point() },
    new Point(), { a: () => 1 }, { a: Symbol("s") }, { a: [1, undefined] }, { a: { b: [{ c: undefined }] } },
    { $a: 1 }, { "a\tb": 1 }, { "é": 1 }, { ["x".repeat(1025)]: 1 }, { _a: 1 },
    { a: 2n ** 63n }, { a: -(2n ** 63n) - 1n }, { a: /x/ }, { a: new Uint8Array(2) }, { a: Promise.resolve(1) },
    { a: class Foo {} }, { a: async () => 1 }, { a: Object.create({ x: 1 }) }, { a: Object.create(null) },
    { a: hole }, nested(15), nested(17), nested(70), { a: new Array(9000).fill(1) },
    { get a() { throw new Error("getter"); } },
    { a: new Proxy({ z: 1, y: 2 }, {}) }, { a: new Proxy([1, 2], {}) },
    { a: new Proxy({}, { ownKeys() { throw new RangeError("keys"); } }) },
    { a: new Error("boom") }, { a: new Number(1) }, { a: { toJSON() { return 1; } } },
    { a: new Set([1n]), b: Symbol("q") }, { z: undefined, a: 1 }, new Proxy(new Point(), {}),
  ];
  const results = [];
  for (const value of values) {
    const r = await outcome(() => db.insert("values", value));
    results.push(typeof r === "string" ? "inserted" : r);
  }
  results.push((await outcome(() => db.insert("values", { a: cyclicArray }))).name);
  return results;
});

export const updates = mutation(async ({ db }) => {
  const id = await db.insert("values", { a: 1, b: { c: 1 }, gone: 1, undef: 2 });
  const steps = [];
  const step = async (run) => {
    steps.push(await outcome(run), strip(await db.get(id)));
  };
  await step(() => db.patch(id, { b: { d: 2 }, gone: undefined }));
  await step(() => db.patch("values", id, { undef: undefined, e: [1] }));
  await step(() => db.replace(id, { x: 1, y: undefined }));
  await step(() => db.replace("values", id, { z: 1n }));
  await step(async () => db.replace(id, { ...(await db.get(id)), more: true }));
  await step(() => db.delete("others", id));
  await step(() => db.delete("values", id));
  return steps;
});

export const badWrites = mutation(async ({ db }) => {
  const id = await db.insert("values", { a: 1 });
  const gone = await db.insert("values", { a: 2 });
  await db.delete(gone);
  const swap = (text) => text.replaceAll(id, "ID").replaceAll(gone, "GONE");
  const result = await outcomes(
    () => db.insert(), () => db.insert("values"), () => db.insert("_storage", {}),
    () => db.insert("values", 5), () => db.insert("bad name", {}), () => db.insert(5, {}),
    () => db.patch(), () => db.patch(id), () => db.patch(5, {}), () => db.patch(id, 5),
    () => db.patch(id, { _id: "x" }), () => db.patch(gone, { a: 1 }), () => db.patch("others", id, {}),
    () => db.patch(id, { a: { b: undefined, c: new Set() } }), () => db.patch(id, { a: new Date(0) }),
    () => db.replace(id), () => db.replace(gone, {}), () => db.replace(id, null), () => db.replace("x", {}),
    () => db.delete(), () => db.delete(gone), () => db.delete("nope"), () => db.delete({}),
    () => db.delete("others", id), () => db.replace({ a: new Point() }, {}),
  );
  return JSON.parse(swap(JSON.stringify(result)));
});

export const gets = query(async ({ db }) => {
  const doc = await db.query("items").first();
  const swap = (text) => text.replaceAll(doc._id, "ID");
  const result = await outcomes(
    () => db.get(), () => db.get(5), () => db.get(null), () => db.get({}), () => db.get([]), () => db.get("nonsense"),
    () => db.get(doc._id).then(strip), () => db.get("items", doc._id).then(strip),
    () => db.get("others", doc._id), () => db.get("items", "nonsense"), () => db.system.get(doc._id),
    () => db.get(Symbol("x")), () => db.get(() => 1), () => db.get(1n),
    () => db.normalizeId("items", doc._id), () => db.normalizeId("others", doc._id),
    () => db.normalizeId("items", "bad"), () => db.normalizeId("nope", doc._id),
    () => db.normalizeId("_storage", doc._id), () => db.system.normalizeId("_storage", doc._id),
    () => db.system.normalizeId("items", doc._id), () => db.normalizeId(), () => db.normalizeId("items"),
    () => db.system.get(), () => db.get(undefined, doc._id),
  );
  return JSON.parse(swap(JSON.stringify(result)));
});

/* --- queries --- */

const names = (rows) => rows.map((d) => d.n);

export const reads = query(async ({ db }) => {
  const q = () => db.query("items");
  const collected = [];
  for await (const d of q()) collected.push(d.n);
  const stopped = [];
  for await (const d of q().order("desc")) {
    stopped.push(d.n);
    if (stopped.length === 3) break;
  }
  return {
    collected,
    stopped,
    all: names(await q().collect()),
    desc: names(await q().order("desc").take(3)),
    asc: names(await q().order("asc").take(2)),
    none: names(await q().take(0)),
    first: (await q().first()).n,
    unique: (await q().filter((f) => f.eq(f.field("n"), 7)).unique()).n,
    missing: await q().filter((f) => f.eq(f.field("n"), 99)).unique(),
    firstMissing: await db.query("nothing").first(),
    filtered: names(await q().filter((f) => f.and(f.eq(f.field("even"), true), f.gt(f.field("n"), 9))).collect()),
    chained: names(await q().filter((f) => f.field("even")).filter((f) => f.lt(f.field("n"), 6)).collect()),
    limited: names(await q().limit(4).filter((f) => f.field("even")).collect()),
    arithmetic: names(await q().filter((f) => f.eq(f.mod(f.field("n"), 5), 0)).collect()),
    not: names(await q().filter((f) => f.not(f.or(f.eq(f.field("tag"), "t0"), f.eq(f.field("tag"), "t1")))).collect()),
    neg: names(await q().filter((f) => f.gte(f.neg(f.field("n")), -2)).collect()),
    more: names(await q().filter((f) => f.lte(f.add(f.mul(f.field("n"), 2), f.sub(1, f.div(4, 2))), 5)).collect()),
    undef: names(await q().filter((f) => f.eq(f.field("nope"), undefined)).take(2)),
    neq: names(await q().filter((f) => f.neq(f.field("n"), 0)).take(2)),
    byTime: names(await q().withIndex("by_creation_time").order("desc").take(2)),
    byTimeRange: names(await q().withIndex("by_creation_time", (r) => r.gt("_creationTime", 0)).take(2)),
    table: names(await db.table("items").query().take(2)),
    count: await q().count(),
    countMissing: await db.query("nothing").count(),
    literal: names(await q().filter(() => true).take(1)),
    nothing: names(await q().filter(() => false).take(1)),
  };
});

export const byId = query(async ({ db }) => {
  const d = await db.query("items").order("desc").first();
  const found = await db.query("items").withIndex("by_id", (q) => q.eq("_id", d._id)).unique();
  return [found.n, strip(await db.table("items").get(d._id))];
});

export const badQueries = query(async ({ db }) => {
  const q = () => db.query("items");
  const used = q().order("asc");
  used.take(1);
  const iterated = q().order("asc");
  iterated[Symbol.asyncIterator]();
  const consumed = q().fullTableScan();
  await consumed.collect();
  const returned = q().fullTableScan();
  await returned.next();
  const done = await returned.return();
  const chainedTwice = q().filter(() => true);
  chainedTwice.limit(1);
  const range = {};
  q().withIndex("by_creation_time", (r) => (range.r = r).gt("_creationTime", 1));
  const ended = q().limit(1);
  const steps = [await ended.next().then((s) => s.done), await ended.next(), await outcome(() => ended.next())];
  return [
    done, steps,
    await outcomes(
      () => db.query(), () => db.query(5), () => db.query("_storage"), () => db.system.query("items"),
      () => q().take(), () => q().take(-1), () => q().take(1.5), () => q().take("1"), () => q().take(Infinity),
      () => q().order(), () => q().order("asc").order("asc"), () => q().order("up").first(),
      () => q().filter(), () => q().filter(5), () => q().filter(() => { throw new Error("predicate"); }),
      () => q().filter((f) => f.eq(f.field("n"), new Set())), () => q().filter(() => "x").collect(),
      () => q().filter((f) => f.field("bad path")).first(), () => q().filter((f) => f.field(5)).first(),
      () => q().filter((f) => f.add(f.field("n"), "x")).first(), () => q().filter(() => undefined).first(),
      () => q().limit(), () => q().limit(-1).collect(), () => q().limit("x").collect(),
      () => q().unique(),
      () => q().withIndex(), () => q().withIndex("nope").first(), () => q().withIndex("by_id", (r) => r.eq("n", 1)).first(),
      () => q().withIndex("by_creation_time", (r) => { r.gt("_creationTime", 1); return r; }),
      () => q().withIndex("by_creation_time", () => undefined),
      () => q().withIndex("by_creation_time", (r) => r.eq("_creationTime", new Point())),
      () => q().withIndex("by_creation_time", (r) => r.gt("_creationTime", 1).gt("_creationTime", 2)).first(),
      () => q().withIndex("bad name").first(), () => q().withIndex("by_id", (r) => r.eq(5, 1)).first(),
      () => db.query("bad name").first(), () => db.query("nothing").withIndex("x").first(),
      () => range.r.lt("_creationTime", 1),
      () => used.first(), () => chainedTwice.collect(), () => iterated[Symbol.asyncIterator](),
      () => iterated.first(), () => consumed.next(), () => consumed.first(), () => returned.next(),
      () => q().paginate(), () => q().paginate({}), () => q().paginate({ numItems: -1 }),
      () => q().paginate({ numItems: "1" }), () => q().paginate(null), () => q().paginate({ numItems: 0, cursor: null }),
      () => q().paginate({ numItems: 1, cursor: "garbage" }), () => q().paginate({ numItems: 1, cursor: 5 }),
    ),
  ];
});

export const manyOperators = query(async ({ db }) => {
  let q = db.query("items").fullTableScan();
  for (let i = 0; i < 256; i++) q = q.filter(() => true);
  return outcomes(() => q.filter(() => true));
});

export const paginate = query(async ({ db }, { cursor, numItems, end }) => {
  const page = await db.query("items").paginate({ numItems, cursor, ...(end ? { endCursor: end } : {}) });
  return { ...page, page: names(page.page) };
});

export const paginateTwice = query(async ({ db }) => {
  await db.query("items").paginate({ numItems: 1, cursor: null });
  return outcome(() => db.query("items").paginate({ numItems: 1, cursor: null }));
});

/* --- the shape of ctx --- */

const shape = (object) =>
  Object.fromEntries(
    Object.entries(object).map(([k, x]) => [k, typeof x === "object" && x !== null ? shape(x) : typeof x]),
  );
const order = (object) =>
  Object.entries(object).map(([k, x]) => (typeof x === "object" && x !== null ? [k, order(x)] : k));

export const queryShape = query(async (ctx) => [shape(ctx), order(ctx)]);
export const mutationShape = mutation(async (ctx) => {
  const { vars, ...db } = ctx.db;
  return [shape({ ...ctx, db }), order({ ...ctx, db }), Object.keys(vars)];
});

export const unbound = query(async ({ db }) => {
  const { query: q, get } = db;
  const wrapped = { ...db, get: (...a) => db.get(...a) };
  const first = await q("items").first();
  return [(await get(first._id)).n, (await wrapped.get(first._id)).n, (await wrapped.query("items").first()).n];
});

export const proxied = query(async ({ db }) => {
  const wrap = (o) => new Proxy(o, {});
  const q = wrap(wrap(db.query("items")).withIndex("by_creation_time", (r) => wrap(r).gt("_creationTime", 0)));
  return (await wrap(q.filter((f) => f.lt(f.field("n"), 2))).collect()).map((d) => d.n);
});

export const tables = mutation(async ({ db }) => {
  const t = db.table("values");
  const id = await t.insert({ a: 1 });
  await t.patch(id, { b: 2 });
  const one = strip(await t.get(id));
  await t.replace(id, { c: 3 });
  const two = strip(await t.get(id));
  const n = (await t.query().collect()).length > 0;
  await t.delete(id);
  return [one, two, n, await t.get(id)];
});

/* --- identity, meta, and what does not exist yet --- */

export const identity = query(async ({ auth }) => auth.getUserIdentity());
export const meta = query(async ({ db, meta: m }) => {
  await db.query("items").take(2);
  const { databaseQueries, documentsRead } = await m.getTransactionMetrics();
  return [
    await m.getFunctionMetadata(), await m.getDeploymentMetadata(), databaseQueries, documentsRead,
    typeof m.getSnapshotTs(), m.getSnapshotTs() > 0n,
  ];
});
export const internalMeta = internalQuery(async ({ meta: m }) => m.getFunctionMetadata());
export default query(async ({ meta: m }) => m.getFunctionMetadata());
export const requestMeta = mutation(async ({ meta: m }) => m.getRequestMetadata());

export const unavailable = mutation(async ({ storage, scheduler, auth }) => {
  const f = makeFunctionReference("m:seed");
  return outcomes(
    () => storage.getUrl(), () => storage.getUrl("x"), () => storage.generateUploadUrl(),
    () => storage.delete("x"), () => storage.getMetadata("x"),
    () => scheduler.runAfter("1", f), () => scheduler.runAfter(-1, f), () => scheduler.runAfter(Infinity, f),
    () => scheduler.runAfter(1, {}), () => scheduler.runAfter(1, f, 5), () => scheduler.runAfter(1, f, { a: new Set() }),
    () => scheduler.runAt("x", f), () => scheduler.runAt(new Date(5), {}), () => scheduler.cancel(),
    () => scheduler.runAfter(5, f, { x: 1 }), () => scheduler.runAt(new Date(5000), f), () => scheduler.cancel("id"),
    () => auth.signJwt({ expiresInSeconds: 5 }), () => auth.signJwt(),
  );
});

/* --- calls --- */

export const calls = mutation(async ({ runQuery, runMutation }) => {
  const f = makeFunctionReference("m:double");
  return outcomes(
    () => runQuery(f, { x: 4 }), () => runQuery("m:double", { x: 4n }), () => runQuery(f),
    () => runMutation(f, { x: undefined }), () => runQuery("function://abc", {}),
    () => runQuery({ [Symbol.for("toReferencePath")]: "_reference/childComponent/c/f" }, {}),
    () => runQuery({}, {}), () => runQuery(undefined, {}), () => runQuery(f, 5), () => runQuery(f, []),
    () => runQuery(f, null), () => runQuery(f, { a: new Map() }), () => runQuery("fail:plain", {}),
    () => runQuery("fail:data", {}), () => runQuery(f, {}, { useStaleSnapshot: true }),
    () => runQuery(f, {}, { transactionLimits: { documentsRead: 5 } }),
  );
});
export const callsInQuery = query(async ({ runQuery }) =>
  outcomes(
    () => runQuery("m:double", { x: 1 }), () => runQuery("m:double", {}, { useStaleSnapshot: true }),
  ),
);

/* --- results and errors of the function itself --- */

export const returns = query(async (_ctx, { what }) => {
  switch (what) {
    case "undefined": return undefined;
    case "plain": return { a: 1n, b: [undefined === 1, null] };
    case "set": return new Set([1]);
    case "nested": return { a: { b: undefined, c: [1, new Map()] } };
    case "hole": return [1, , 2];
    case "undefinedElement": return [undefined];
    case "class": return new Point();
    case "function": return () => 1;
    case "float": return [-0, NaN, 1e300];
  }
});
export const returnsQuery = query(async ({ db }) => db.query("items"));
export const returnsChained = query(async ({ db }) => db.query("items").order("desc"));
export const notAsync = query(() => 5);
export const throwsPlain = query(async () => { throw new Error("plain"); });
export const throwsType = query(() => { throw new TypeError("sync"); });
export const throwsConvex = query(async () => { throw new ConvexError({ code: 1n, list: [1] }); });
export const throwsConvexText = query(async () => { throw new ConvexError("words"); });
export const throwsBadData = query(async () => { throw new ConvexError(new Set()); });
export const throwsNul = query(async () => { throw new Error("before\0after"); });
export const throwsConvexNul = query(async () => { throw new ConvexError("before\0after"); });
export const throwsText = query(async () => { throw "text"; });
export const throwsFromDb = query(async ({ db }) => db.get(5));
export const rethrows = mutation(async ({ runQuery }) => runQuery("fail:data", {}));
export const floating = mutation(async ({ db }) => {
  db.insert("values", { floating: true });
  return "done";
});
export const floatingCheck = query(async ({ db }) =>
  (await db.query("values").filter((q) => q.eq(q.field("floating"), true)).collect()).length);
// What the host answers comes after all jobs: whoever attaches a handler later than that is late.
const late = (operation) => query(async (ctx) => {
  const p = Promise.reject(new Error("late"));
  await operation(ctx);
  p.catch(() => {});
  return 1;
});
export const lateRead = late(({ db }) => db.query("values").first());
export const lateCount = late(({ db }) => db.query("values").collect());
export const lateIdentity = late(({ auth }) => auth.getUserIdentity());
export const lateCall = late(({ runQuery }) => runQuery(makeFunctionReference("m:double"), {}));
export const inTime = query(async ({ db }) => {
  const p = Promise.reject(new Error("in time"));
  const read = db.query("values").first();
  await null;
  p.catch(() => {});
  await read;
  return 1;
});
// Reads are answered together, other operations each on their own.
export const turns = mutation(async ({ db }) => {
  const log = [];
  const two = async (name, operation) => {
    await operation();
    log.push(`${name} 1`);
    await null;
    log.push(`${name} 2`);
  };
  const id = await db.insert("values", { turns: true });
  await Promise.all([two("a", () => db.get(id)), two("b", () => db.get(id))]);
  await Promise.all([two("c", () => db.patch(id, { n: 1 })), two("d", () => db.patch(id, { n: 2 }))]);
  await db.delete(id);
  return log;
});
export const floatingError = query(async ({ db }) => {
  db.get(5);
  return "done";
});
export const parallel = query(async ({ db }) => {
  const ids = (await db.query("items").take(3)).map((d) => d._id);
  const seen = [];
  const docs = await Promise.all(ids.map(async (id, i) => {
    const d = await db.get(id);
    seen.push(i);
    return d.n;
  }));
  return [docs, seen, await Promise.race(ids.map((id) => db.get(id).then((d) => d.n)))];
});

/* --- commit timestamps --- */

export const commitTs = mutation(async ({ db }) => {
  const id = await db.insert("values", { at: db.vars.commitTs, list: [db.vars.commitTs] });
  const doc = await db.get(id);
  return [
    doc.at === db.vars.commitTs, String(doc.at), await outcome(async () => doc.at + 1), `${doc.at}`,
    await outcome(async () => JSON.stringify(doc)), JSON.stringify(convexToJson({ a: doc._id })).length > 10,
  ];
});
export const returnsCommitTs = mutation(async ({ db }) => ({ at: db.vars.commitTs }));

/* --- the console --- */

export const logs = query(async () => {
  console.log("hi", 1, { a: [1] });
  console.error(new Error("boom"));
  console.warn();
  console.debug(null, undefined);
  console.info("a\nb'c");
});

export const validated = query({
  args: { a: v.number() },
  returns: v.string(),
  handler: async (_ctx, { a }) => String(a),
});

export * from "./helpers.js";
