// Runs a program on one side and puts what came back into a form in which two sides can be compared: ids, creation times,
// cursors and commit timestamps by name, failures by kind.
import { convexToJson } from "convex/values";

// What a failure is, in the words of either side. A text that no line knows compares as itself.
const KINDS = [
  ["app", /^(app: \w+)/],
  ["filter value", /^Cannot (add|subtract|multiply|divide|mod|negate|use value|mix BigInt|convert|div|mul|sub)|Division by zero/],
  ["not an object", /Value must be an Object|expected object but got|Cannot read properties of null/],
  ["unique", /(unique\(\) query returned more than one result)/],
  ["no such document", /non-?existent doc/],
  ["id", /Invalid argument `id`|Unable to decode ID|Invalid argument `idString`/],
  ["validator", /^Validator error|does not match the schema|ArgumentValidationError/],
  ["index", /Cannot use index|Index \w+\.\w+ not found/],
  ["range", /in `withIndex`|index range|the index fields in order|range bound/],
  ["paginated twice", /single paginated query|multiple paginated queries/],
  ["returns", /Return value validation failed|ReturnsValidationError/],
  ["system field", /Provided `_id`|Provided `_creationTime`|Provided document ID|Provided creation time|isn't a valid document|Document's _\w+ field doesn't match/],
];

export function kindOf(text) {
  const plain = text.replace(/^\[Request ID: \w+\] Server Error\n?/, "").replace(/^(?:Uncaught (?:\w*Error: )?)+/, "").split("\n    at ")[0].trim();
  for (const [kind, pattern] of KINDS) if (pattern.test(plain)) return kind === "app" ? pattern.exec(plain)[1] : kind;
  return plain;
}

const isCommitTs = (n) => n > 10n ** 18n && n < 4n * 10n ** 18n;

export class Side {
  constructor(target) {
    this.target = target; // reset(), mutation(args), query(args), dump()
  }

  learn(env) {
    this.env = env;
    for (const [name, id] of Object.entries(env.ids)) this.names.set(id, `<${name}>`);
    for (const [name, time] of Object.entries(env.times)) this.times.set(time, `<created ${name}>`);
  }

  normal(value) {
    if (typeof value === "string") return this.names.get(value) ?? value;
    if (typeof value === "number") return this.times.get(value) ?? convexToJson(value);
    if (typeof value === "bigint" && isCommitTs(value)) {
      if (!this.commits.has(value)) this.commits.set(value, `<commit ${this.commits.size}>`);
      return this.commits.get(value);
    }
    if (Array.isArray(value)) return value.map((v) => this.normal(v));
    if (value === null || typeof value !== "object" || value instanceof ArrayBuffer) return convexToJson(value);
    if (typeof value.failed === "string") return { failed: kindOf(value.failed), ...("data" in value ? { data: this.normal(value.data) } : {}) };
    if (typeof value._id === "string" && !this.names.has(value._id)) { // nobody told its id: the first one seen, the second
      const name = `stranger ${this.strangers++}`;
      this.names.set(value._id, `<${name}>`);
      this.times.set(value._creationTime, `<created ${name}>`);
    }
    return Object.fromEntries(Object.keys(value).sort().map((name) => [`.${name}`, this.normal(value[name])]));
  }

  async transaction({ kind, ops, throws }) {
    try {
      const { results, env } = await this.target[kind]({ ops, env: this.env, throws: throws ?? null });
      this.learn(env);
      return results.map((r) => this.normal(r));
    } catch (e) {
      return [{ transaction: kindOf(String(e.message)), ...(e.data !== undefined ? { data: this.normal(e.data) } : {}) }];
    }
  }

  /** One list of results per transaction, and the tables afterwards. */
  async run(program) {
    this.names = new Map();
    this.times = new Map();
    this.commits = new Map();
    this.strangers = 0;
    this.env = { ids: {}, times: {}, cursors: {} };
    await this.target.reset();
    const out = [];
    for (const transaction of program) out.push(await this.transaction(transaction));
    out.push([this.normal(await this.target.dump())]);
    return out;
  }
}

/** Where two runs part, or null. */
export function difference(a, b) {
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < Math.max(a[i].length, b[i].length); j++) {
      const [x, y] = [JSON.stringify(a[i][j]), JSON.stringify(b[i][j])];
      if (x !== y) return { transaction: i, op: j, mock: x, fresnel: y };
    }
  }
  return null;
}

/** Smaller programs that still satisfy `differs`, until none does or the budget is used up. */
export async function shrink(program, differs, budget = 300) {
  const smaller = function* (list) {
    for (let size = Math.ceil(list.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let at = 0; at < list.length; at += size) yield [...list.slice(0, at), ...list.slice(at + size)];
    for (const [i, item] of list.entries()) {
      const inner = item.ops ? [...smaller(item.ops)].filter((ops) => ops.length > 0 || item.op).map((ops) => ({ ...item, ops })) : [];
      if (item.op === "call" && !item.throws) yield [...list.slice(0, i), ...item.ops, ...list.slice(i + 1)];
      if (item.filters?.length > 0) inner.push({ ...item, filters: item.filters.slice(1) }, { ...item, filters: item.filters.slice(0, -1) });
      if (item.value?.[0] === "obj") inner.push(...item.value[1].map((_, n) => ({ ...item, value: ["obj", item.value[1].filter((__, m) => m !== n)] })));
      if (item.range?.length > 0) inner.push({ ...item, range: item.range.slice(0, -1) });
      for (const one of inner) yield [...list.slice(0, i), one, ...list.slice(i + 1)];
    }
  };
  for (let progress = true; progress;) {
    progress = false;
    for (const candidate of smaller(program)) {
      if (budget-- <= 0) return program;
      if (candidate.length > 0 && (await differs(candidate))) {
        program = candidate;
        progress = true;
        break;
      }
    }
  }
  return program;
}

/** A program as text that can be pasted. */
export function show(program) {
  return program.map((t) => JSON.stringify(convexToJson(t))).join("\n");
}
