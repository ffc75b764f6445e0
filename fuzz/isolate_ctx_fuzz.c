/* isolate_ctx_fuzz.c - small programs for the native ctx, made of arbitrary bytes.
 *
 * A function in a real engine reads the bytes: some choose an operation of ctx, the others the
 * values that it gets, among them all that look back, change while they are read or are no values
 * at all.  Whatever one operation throws, the next one follows.  Nothing is committed.
 */
#include "isolate_world.h"

static const char source[] =
    "const f = async (ctx, { code }) => {"
    "  const bytes = new Uint8Array(code), kept = [];"
    "  let at = 0;"
    "  const next = () => at < bytes.length ? bytes[at++] : 0;"
    "  const keep = (v) => { if (kept.length < 50) kept.push(v); return v };"
    "  const text = () => { let s = ''; for (let n = next() % 12; n > 0; n--) s +="
    "    String.fromCharCode(next() * (next() % 3 ? 1 : 257)); return s };"
    "  const list = (d) => { const a = []; for (let n = next() % 5; n > 0; n--) a.push(value(d)); "
    "return a };"
    "  const object = (d) => { const o = {}; for (let n = next() % 5; n > 0; n--) o[next() % 3 ? "
    "'abcdef'[next() % 6] : text()] = value(d); return o };"
    "  const act = (d) => { const which = next(), v = kept[next() % (kept.length || 1)]; try {"
    "    if (which % 4 == 0) v.length = next();"
    "    if (which % 4 == 1) v[Object.keys(v)[0]] = value(d);"
    "    if (which % 4 == 2) delete v[Object.keys(v)[0]];"
    "    if (which % 4 == 3) v.resize ? v.resize(next()) : v.transfer() } catch {} };"
    "  const value = (d) => { if (d > 6) return 1; switch (next() % 32) {"
    "    case 0: return null; case 1: return undefined; case 2: return next();"
    "    case 3: return [NaN, -0, Infinity, 2 ** 53, 1e308, 5e-324][next() % 6];"
    "    case 4: return text(); case 5: return BigInt(next()) << BigInt(next() % 70);"
    "    case 6: return keep(list(d + 1)); case 7: case 8: return keep(object(d + 1));"
    "    case 9: return keep(new ArrayBuffer(next(), { maxByteLength: 255 }));"
    "    case 10: return keep(new Uint8Array(next()).buffer); case 11: return new "
    "Uint8Array(next());"
    "    case 12: return keep(new Proxy(object(d + 1), {})); case 13: return keep(new Proxy(list(d "
    "+ 1), {}));"
    "    case 14: return new Proxy({}, { get: () => value(d + 1), ownKeys: () => list(d + "
    "1).map(String), getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: "
    "true }) });"
    "    case 15: return { get a() { act(d + 1); return value(d + 1) }, b: value(d + 1) };"
    "    case 16: { const a = keep(list(d + 1)); Object.defineProperty(a, 0, { get() { act(d + 1); "
    "return value(d + 1) }, configurable: true, enumerable: true }); return a }"
    "    case 17: return new Map([[value(d + 1), value(d + 1)]]); case 18: return new Set(list(d + "
    "1));"
    "    case 19: return new Date(next()); case 20: return Symbol(text()); case 21: return /x/;"
    "    case 22: return (...args) => { keep(args[0]); act(d + 1); return value(d + 1) };"
    "    case 23: return (q) => { let x = q; for (let n = next() % 6; n > 0; n--) { const g = "
    "['eq', 'lt', 'lte', 'gt', 'gte', 'field', 'and', 'or', 'not', 'add', 'neg', 'search'][next() "
    "% 12];"
    "      try { const y = x[g](value(d + 1), value(d + 1)); keep(y); if (next() % 2) x = y } "
    "catch {} } return next() % 8 ? x : value(d + 1) };"
    "    case 24: return Promise.resolve(next()); case 25: return { then(f) { act(d + 1); "
    "f(value(d + 1)) } };"
    "    case 26: { const o = keep(object(d + 1)); o.self = o; return o } case 27: return ctx; "
    "case 28: return new (class A { x = 1 })();"
    "    case 29: return Object.assign(Object.create(null), object(d + 1)); case 30: return "
    "Object.create(object(d + 1));"
    "    default: return kept[next() % (kept.length || 1)] } };";

/* The rest of it: a string literal has a longest length. */
static const char source_end[] =
    "  const id = await ctx.db.insert('t', { a: 1 }); keep(id);"
    "  const query = () => { let q = ctx.db.query(next() % 4 ? 't' : value(0)); for (let n = "
    "next() % 4; n > 0; n--) {"
    "    const m = ['withIndex', 'filter', 'order', 'fullTableScan', 'withSearchIndex', "
    "'limit'][next() % 6];"
    "    q = keep(q[m](next() % 2 ? ['by_creation_time', 'by_id', 'asc', 'desc'][next() % 4] : "
    "value(0), value(0))) } return q };"
    "  const end = async (q) => { const m = ['collect', 'first', 'unique', 'take', 'paginate', "
    "'next', 'count'][next() % 7];"
    "    return keep(await q[m](next() % 2 ? { cursor: next() % 2 ? null : value(0), numItems: "
    "next() } : value(0))) };"
    "  const ops = ["
    "    () => ctx.db.get(value(0)), () => ctx.db.get(value(0), value(0)), () => ctx.db.get('t', "
    "id),"
    "    () => ctx.db.insert('t', value(0)), () => ctx.db.insert(value(0), value(0)),"
    "    () => ctx.db.patch(id, value(0)), () => ctx.db.patch(value(0), value(0)), () => "
    "ctx.db.patch('t', id, value(0)),"
    "    () => ctx.db.replace(id, value(0)), () => ctx.db.replace(value(0), value(0), value(0)),"
    "    () => ctx.db.delete(value(0)), () => ctx.db.normalizeId(value(0), value(0)), () => "
    "ctx.db.system.get(value(0)),"
    "    () => ctx.db.system.query(value(0)).collect(), () => end(query()), () => end(query()), () "
    "=> end(query()),"
    "    async () => { for await (const d of query()) { keep(d); act(0) } }, () => "
    "ctx.db.table?.(value(0)).get(value(0)),"
    "    () => ctx.storage.getUrl(value(0)), () => ctx.storage.getMetadata(value(0)), () => "
    "ctx.storage.delete(value(0)),"
    "    () => ctx.scheduler.runAfter(value(0), value(0), value(0)), () => "
    "ctx.scheduler.runAt(value(0), value(0), value(0)), () => ctx.scheduler.cancel(value(0)),"
    "    () => ctx.runQuery(value(0), value(0), value(0)), () => ctx.runMutation(value(0), "
    "value(0), value(0)), () => ctx.auth.getUserIdentity(value(0)),"
    "    () => Convex.syscall(value(0), value(0)), () => Convex.asyncSyscall(value(0), value(0)), "
    "() => Convex.jsSyscall(value(0), value(0)),"
    "    () => console.log(value(0), value(0)), () => structuredClone(value(0)), () => "
    "keep(value(0)), () => act(0),"
    "    () => new TextDecoder(value(0), value(0)).decode(value(0)), () => new "
    "TextEncoder().encodeInto(value(0), value(0)),"
    "    () => crypto.getRandomValues(value(0)), () => JSON.stringify(value(0)), () => { "
    "globalThis[text()] = value(0) },"
    "  ];"
    "  while (at < bytes.length) { const op = ops[next() % ops.length]; try { keep(next() % 4 ? "
    "await op() : op()) } catch (e) { try { keep(e.message) } catch {} } }"
    "  if (next() % 2) throw value(0);"
    "  return value(0) };"
    "export const call = Object.assign(() => 0, {isMutation: true, isPublic: true, _handler: f,"
    "  exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null'});";
static struct val
call_args(struct arena *a, str code)
{
	struct val  ret;
	struct pack p;

	pack_init(&p);
	pack_array(&p);
	pack_object(&p);
	pack_key(&p, S("code"));
	pack_bytes(&p, code);
	pack_end(&p);
	pack_end(&p);
	must(pack_done_in(&p, a, &ret, NULL) == ST_OK);
	pack_clear(&p);
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new();

	if (!db)
		set_up(arena_fmt(a, "%s%s", source, source_end), 200000000);
	if (n <= 4096)
		run_mutation(a, call_args(a, str_of(data, n)));
	arena_free(a);
	return 0;
}
