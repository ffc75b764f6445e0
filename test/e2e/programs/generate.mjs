// Random programs for interpret.js, each determined by its seed.

/** mulberry32: small, seedable, good enough to pick operations with. */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, chance: (p) => next() < p, pick: (list) => list[below(list.length)],
    weighted: (pairs) => {
      let at = next() * pairs.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, what] of pairs) if ((at -= weight) < 0) return what;
      return pairs.at(-1)[1];
    } };
}

const bytes = (...list) => new Uint8Array(list).buffer;
// Few values, so that ranges hit and equalities meet; the corners of every type among them.
const NUMBERS = [0, -0, 1, -1, 1.5, 2, 5e-324, 1e21, NaN, Infinity, -Infinity];
const INTS = [0n, 1n, -1n, 2n, 127n, -129n, 2n ** 63n - 1n, -(2n ** 63n)];
const STRINGS = ["", "a", "a\u0000b", "ab", "b", "\u00e9", "\uffff", "\u{10000}", "\u{1f600}"];
const BYTES = [bytes(), bytes(0), bytes(0, 1, 255), bytes(255)];
const SCALARS = [null, true, false, ...NUMBERS, ...INTS, ...STRINGS, ...BYTES];
const COMMON = [null, true, 0, -0, 1, 2, 1n, 2n, "a", "b"];
const COMPOUND = [[], [null], [1, "a"], [[1n], []], {}, { x: 1 }, { x: 1, y: { z: 2 } }, { "": 1n }, { x: "a", y: [] }, { "a b": -0 }];
const GARBAGE = ["", "garbage", "j57000820c20a1g7104gm2rc1n7ycvv2", "J57", "\u{1f600}"];

const TABLES = ["any", "strict", "union", "loose"];
const INDEXES = {
  any: { by_a: ["a"], by_a_b: ["a", "b"], by_nested: ["o.x", "b", "o.y.z"] },
  strict: { by_s_n: ["s", "n"], by_u: ["u.k", "u"], by_ts: ["ts"] },
  union: { by_kind: ["kind", "n", "s"] },
  loose: {},
};
const FIELDS = {
  any: ["a", "b", "c", "o", "o.x", "o.y", "o.y.z", "a.x", "_creationTime", "_id"],
  strict: ["s", "n", "u", "u.k", "r", "r.x", "ref", "b", "ts", "_creationTime", "_id"],
  union: ["kind", "n", "s", "_creationTime", "_id"],
  loose: ["a", "b", "o.x", "_creationTime", "_id"],
};

class Generator {
  constructor(seed) {
    this.r = random(seed);
    this.docs = []; // [name, table]
    this.paged = []; // queries that left a cursor
    this.serial = 0;
  }

  anyDoc(table) {
    const mine = this.docs.filter(([, of]) => !table || of === table);
    return mine.length > 0 ? this.r.pick(mine) : undefined;
  }

  id(table) {
    if (this.r.chance(0.01)) return ["v", this.r.pick(GARBAGE)];
    const doc = this.anyDoc(this.r.chance(0.95) ? table : undefined) ?? this.anyDoc();
    return doc ? ["id", doc[0]] : ["v", this.r.pick(GARBAGE)];
  }

  value(depth = 0) {
    const { r } = this;
    return r.weighted([
      [10, () => ["v", r.pick(COMMON)]], [5, () => ["v", r.pick(SCALARS)]], [2, () => ["v", r.pick(COMPOUND)]],
      [depth < 2 ? 1 : 0, () => ["arr", this.many(3, () => this.value(depth + 1))]],
      [depth < 2 ? 2 : 0, () => this.object(["x", "y", "z", "", "a b"], depth + 1)],
    ])();
  }

  many(most, make) {
    return Array.from({ length: this.r.below(most + 1) }, make);
  }

  object(names, depth) {
    return ["obj", names.filter(() => this.r.chance(0.5)).map((name) => [name, this.value(depth)])];
  }

  /** A document's fields; for a patch some of them, some removed. */
  fields(table, partial = false) {
    const { r } = this;
    const wrong = r.chance(0.08);
    const take = (p) => r.chance(partial ? p * 0.6 : p);
    const out = [];
    const put = (name, make) => out.push([name, partial && r.chance(0.2) ? ["undef"] : wrong && r.chance(0.3) ? this.value() : make()]);
    if (table === "strict") {
      if (take(1)) put("s", () => ["v", r.pick(STRINGS)]);
      if (take(0.6)) put("n", () => ["v", r.pick(NUMBERS)]);
      if (take(0.6)) put("u", () => r.pick([["v", "x"], ["v", "x"], ["v", r.chance(0.1) ? 5n : true], ["v", null], ["v", { k: r.pick(INTS) }], ["v", { k: 1n, l: [true] }]]));
      if (take(0.2)) put("r", () => ["v", r.pick([{}, { x: 1 }, { x: NaN, "a b": 2 }, { "": 0 }])]);
      if (take(0.3)) put("ref", () => this.id("any"));
      if (take(0.2)) put("b", () => ["v", r.pick(BYTES)]);
      if (take(0.2)) put("ts", () => (r.chance(0.7) ? ["commitTs"] : ["v", r.pick(INTS)]));
    } else if (table === "union") {
      const kind = r.pick(["a", "b"]);
      if (take(1)) put("kind", () => ["v", kind]);
      if (kind === "a" && take(1)) put("n", () => ["v", r.pick(NUMBERS)]);
      if (kind === "b" && take(0.5)) put("s", () => ["v", r.pick(STRINGS)]);
    } else {
      for (const name of ["a", "b"]) if (take(0.8)) put(name, () => this.value());
      if (take(0.3)) put("c", () => (r.chance(0.4) ? this.id() : this.value())); // no index has it: what an id sorts after is chance
      if (take(0.5)) put("o", () => ["obj", [...(r.chance(0.7) ? [["x", this.value(2)]] : []), ...(r.chance(0.5) ? [["y", this.object(["z"], 1)]] : [])]]);
    }
    if (r.chance(0.006)) out.push([r.pick(["_x", "$x", "\u00e9", "a.b", "", " "]), ["v", 1]]);
    if (r.chance(0.006)) out.push(this.systemField(table));
    return ["obj", out];
  }

  systemField(table) {
    const doc = this.anyDoc(table);
    if (!doc || this.r.chance(0.2)) return this.r.pick([["_id", ["v", "garbage"]], ["_creationTime", ["v", 5]]]);
    return this.r.pick([["_id", ["id", doc[0]]], ["_creationTime", ["time", doc[0]]]]);
  }

  /** A value to compare `field` with. */
  bound(table, field) {
    const { r } = this;
    if (field === "_creationTime") return this.anyDoc(table) && r.chance(0.9) ? ["time", this.anyDoc(table)[0]] : this.value(2);
    if (field === "_id") return this.id(table);
    if (r.chance(0.1)) return ["undef"];
    if (r.chance(0.25)) return this.value(1);
    if (field === "s" || field === "kind") return ["v", r.pick(["a", "b", ...STRINGS])];
    if (field === "n") return ["v", r.pick(NUMBERS)];
    if (field === "u.k" || field === "ts") return ["v", r.pick(INTS)];
    return ["v", r.pick(COMMON)];
  }

  range(table, fields) {
    const { r } = this;
    const out = [];
    let at = 0;
    const bound = (field) => (field === "ts" && r.chance(0.4) ? ["commitTs"] : this.bound(table, field));
    while (at < fields.length && r.chance(0.45)) out.push(["eq", fields[at], bound(fields[at++])]);
    if (at < fields.length && r.chance(0.5)) {
      const both = fields[at] === "_id" ? "neither" : r.weighted([[3, "lower"], [3, "upper"], [4, "both"]]);
      if (both === "neither") return out;
      if (both !== "upper") out.push([r.pick(["gt", "gte"]), fields[at], bound(fields[at])]);
      if (both !== "lower") out.push([r.pick(["lt", "lte"]), fields[at], bound(fields[at])]);
      if (both === "both" && r.chance(0.3)) out.push(out.splice(-2, 1)[0]); // the upper one first
    }
    if (r.chance(0.04)) out.push([r.pick(["eq", "gt", "lt"]), r.pick([...fields, "nothing"]), ["v", 1]]);
    if (r.chance(0.02)) out.reverse();
    return out;
  }

  /** `ordered`: not an id, whose order is chance. */
  scalar(table, depth, ordered) {
    const { r } = this;
    const fields = FIELDS[table].filter((f) => !ordered || !["_id", "ref", "c"].includes(f));
    return r.weighted([
      [6, () => ["field", r.pick(fields)]],
      [5, () => ["lit", this.bound(table, r.pick(fields))]],
      [depth > 0 ? 1 : 0, () => [r.pick(["add", "sub", "mul", "div", "mod"]), this.scalar(table, depth - 1), this.scalar(table, depth - 1)]],
      [depth > 0 ? 0.2 : 0, () => ["neg", this.scalar(table, depth - 1)]],
    ])();
  }

  condition(table, depth) {
    const { r } = this;
    return r.weighted([
      [4, () => [r.pick(["eq", "neq"]), this.scalar(table, 1), this.scalar(table, 1)]],
      [2, () => [r.pick(["lt", "lte", "gt", "gte"]), this.scalar(table, 1, true), this.scalar(table, 1, true)]],
      [3, () => [r.pick(["lt", "lte", "gt", "gte"]), ["field", "_creationTime"], ["lit", this.bound(table, "_creationTime")]]],
      [depth > 0 ? 4 : 0, () => [r.pick(["and", "or"]), ...this.many(3, () => this.condition(table, depth - 1))]],
      [depth > 0 ? 2 : 0, () => ["not", this.condition(table, depth - 1)]],
      [0.4, () => this.scalar(table, 1)],
    ])();
  }

  query(table = this.r.pick(TABLES)) {
    const { r } = this;
    const indexes = Object.keys(INDEXES[table]);
    const op = { op: "query", table, filters: [], catches: r.chance(0.8) };
    const how = r.weighted([[3, "scan"], [6, "index"], [1, "by_creation_time"], [0.5, "by_id"], [0.1, "by_nothing"]]);
    if (how !== "scan" && !(how === "index" && indexes.length === 0)) {
      op.index = how === "index" ? r.pick(indexes) : how;
      const fields = { by_creation_time: ["_creationTime", "_id"], by_id: ["_id"] }[op.index] ?? [...(INDEXES[table][op.index] ?? []), "_creationTime", "_id"];
      op.range = this.range(table, fields);
      if (how === "by_id" && op.range.length === 0) op.range = [["eq", "_id", this.id(table)]]; // in which order ids come is chance
    }
    if (r.chance(0.5)) op.order = r.pick(["asc", "desc"]);
    while (r.chance(0.3)) op.filters.push(this.condition(table, 2));
    op.end = r.weighted([[5, ["collect"]], [2, ["first"]], [1, ["unique"]], [3, ["take", r.below(5)]], [1, ["iterate", 1 + r.below(3)]], [4, null]]);
    if (op.end === null) return this.page(op);
    return op;
  }

  page(op) {
    const { r } = this;
    const as = `c${this.serial++}`;
    const options = { as, numItems: r.chance(0.01) ? 0 : 1 + r.below(r.pick([4, 12])) };
    if (r.chance(0.05)) options.maximumRowsRead = 1 + r.below(6);
    const paged = { ...op, end: ["paginate", options] };
    this.paged.push({ op: paged, cursors: [as] });
    return paged;
  }

  /** The same query again, from one of the cursors it left. */
  nextPage() {
    const { r } = this;
    if (this.paged.length === 0) return this.page(this.query());
    const chosen = r.pick(this.paged);
    const as = `c${this.serial++}`;
    const options = { as, numItems: 1 + r.below(r.pick([4, 12])), ...(r.chance(0.8) ? { cursor: r.pick(chosen.cursors) } : {}) };
    if (r.chance(0.25)) options.endCursor = r.pick(chosen.cursors);
    chosen.cursors.push(as);
    return { ...chosen.op, end: ["paginate", options] };
  }

  write() {
    const { r } = this;
    const insert = () => {
      const table = r.weighted([[5, "any"], [4, "strict"], [2, "union"], [1, "loose"]]);
      const op = { op: "insert", table, as: `d${this.serial++}`, value: this.fields(table), catches: r.chance(0.8) };
      this.docs.push([op.as, table]);
      return op;
    };
    if (r.chance(0.02)) return { op: "typedWrite", catches: r.chance(0.8), ret: r.chance(0.5) ? ["v", 1] : this.value() };
    if (this.docs.length < 4 || r.chance(0.45)) return insert();
    const [, table] = this.anyDoc();
    const op = r.weighted([[4, "patch"], [2, "replace"], [2, "delete"]]);
    const out = { op, id: this.id(table), catches: r.chance(0.8) };
    if (r.chance(0.3)) out.table = r.chance(0.9) ? table : r.pick(TABLES);
    if (op === "delete") return out;
    if (r.chance(0.01)) return { op, id: ["id", this.anyDoc()[0]], value: ["v", r.pick([1, null, [], "a"])], catches: true };
    return { ...out, value: this.fields(table, op === "patch") };
  }

  read() {
    const { r } = this;
    return r.weighted([
      [2, () => ({ op: "get", id: this.id(), catches: r.chance(0.8), ...(r.chance(0.3) ? { table: r.pick(TABLES) } : {}) })],
      [1, () => ({ op: "normalizeId", table: r.pick([...TABLES, "nowhere"]), id: this.id(), catches: true })],
      [8, () => this.query()],
      [3, () => this.nextPage()],
      [0.5, () => ({ op: "typed", catches: true, args: ["obj", [["n", r.chance(0.8) ? ["v", r.pick(NUMBERS)] : this.value(1)],
        ...(r.chance(0.5) ? [["s", r.pick([["v", "a"], ["v", null], ["undef"], ["v", 1]])]] : []), ...(r.chance(0.05) ? [["t", ["v", 1]]] : []),
        ["ret", r.pick([["v", 1], ["v", ["a"]], ["v", {}], ["v", { a: 1n }], ["v", { a: 1 }], this.value(1)])]]] })],
      [0.3, () => ({ op: "value", catches: true, value: r.chance(0.8) ? this.value() : ["arr", [["commitTs"], this.value()]] })],
    ])();
  }

  call(kind, depth) {
    const { r } = this;
    const child = kind === "mutation" ? r.weighted([[5, "mutation"], [2, "query"], [1, "snapshot"]]) : "query";
    const op = { op: "call", kind: child, catches: r.chance(0.85), ops: this.ops(child === "snapshot" ? "query" : child, depth + 1) };
    if (r.chance(0.35)) op.throws = r.pick([["Error", "app: child"], ["ConvexError", r.pick(["no", { code: 7 }, ["no", null], r.chance(0.2) ? { code: 7n, why: [null] } : true])]]);
    return op;
  }

  ops(kind, depth = 0) {
    const { r } = this;
    const one = () => r.weighted([
      [kind === "mutation" ? 6 : 0, () => this.write()], [5, () => this.read()], [depth < 3 ? 1.2 : 0, () => this.call(kind, depth)],
    ])();
    return [one(), ...this.many(depth === 0 ? 6 : 3, one)];
  }

  program() {
    const { r } = this;
    const fill = { kind: "mutation", ops: Array.from({ length: 3 + r.below(6) }, () => this.write()) };
    const rest = Array.from({ length: 2 + r.below(5) }, () => {
      const kind = r.chance(0.7) ? "mutation" : "query";
      return { kind, ops: this.ops(kind), ...(r.chance(0.08) ? { throws: r.pick([["Error", "app: top"], ["ConvexError", { a: 1n }]]) } : {}) };
    });
    return [fill, ...rest];
  }
}

/** A program: a list of transactions {kind, ops, throws}. */
export function generate(seed) {
  return new Generator(seed).program();
}
