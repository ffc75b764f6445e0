// The official CLI, unmodified, against a server with nothing in it (spec 02 section 20).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { App, root, Server } from "./lib.mjs";

const schema = `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  notes: defineTable({ title: v.string(), stars: v.optional(v.number()) }).index("by_title", ["title"]),
});`;

const notes = `
import { query, mutation, internalMutation } from "./_generated/server";
import { v } from "convex/values";
export const list = query({ args: {}, handler: async (ctx) => await ctx.db.query("notes").collect() });
export const byTitle = query({
  args: { title: v.string() },
  handler: (ctx, { title }) => ctx.db.query("notes").withIndex("by_title", (q) => q.eq("title", title)).unique(),
});
export const add = mutation({
  args: { title: v.string(), stars: v.optional(v.number()) },
  returns: v.id("notes"),
  handler: async (ctx, args) => { console.log("adding", args.title); return await ctx.db.insert("notes", args); },
});
export const clear = internalMutation({
  args: {},
  handler: async (ctx) => { for (const n of await ctx.db.query("notes").collect()) await ctx.db.delete(n._id); },
});`;

describe("cli", () => {
  let server, app;
  before(async () => {
    server = await new Server().start();
    app = new App({ "convex/schema.ts": schema, "convex/notes.ts": notes });
  });
  after(async () => {
    await server?.remove();
    app?.remove();
  });

  test("02 checklist 1, 2: dev --once on an empty deployment writes .env.local and generated code", async () => {
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.equal(result.code, 0, result.all);
    const env = app.read(".env.local");
    assert.match(env, new RegExp(`CONVEX_URL=${server.url}`));
    assert.match(env, new RegExp(`CONVEX_SITE_URL=${server.siteUrl}`));
    for (const file of ["api.d.ts", "api.js", "dataModel.d.ts", "server.d.ts", "server.js"]) {
      assert.ok(existsSync(join(app.dir, "convex/_generated", file)), file);
    }
    assert.match(result.all, /notes\.by_title/, "the added index is printed");
  });

  test("generated types check against the functions", async () => {
    app.write({ "convex/tsconfig.json": readFileSync(join(root, "examples/chat/convex/tsconfig.json"), "utf8") });
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "enable"]);
    assert.equal(result.code, 0, result.all);
  });

  test("02 checklist 48: run calls public and internal functions with validated arguments", async () => {
    const added = await app.cli(server, ["run", "notes:add", JSON.stringify({ title: "a", stars: 5 })]);
    assert.equal(added.code, 0, added.all);
    assert.match(JSON.parse(added.stdout), /^[0-9a-z]{32}$/);
    assert.match(added.all, /adding/);
    const found = await app.cli(server, ["run", "notes:byTitle", '{"title":"a"}']);
    assert.equal(JSON.parse(found.stdout).stars, 5);
    const bad = await app.cli(server, ["run", "notes:add", '{"title":7}']);
    assert.notEqual(bad.code, 0);
    assert.match(bad.all, /ArgumentValidationError/);
    const missing = await app.cli(server, ["run", "notes:nope"]);
    assert.notEqual(missing.code, 0);
    assert.match(missing.all, /Could not find function/);
    assert.match(missing.all, /notes:list/, "the available functions are listed");
    const cleared = await app.cli(server, ["run", "notes:clear"]);
    assert.equal(cleared.code, 0, cleared.all);
    const empty = await app.cli(server, ["run", "notes:list"]);
    assert.deepEqual(JSON.parse(empty.stdout), []);
  });

  test("02 checklist 9, 10: a second push sends unchanged modules as hashes", async () => {
    const again = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.equal(again.code, 0, again.all);
    const hashes = await server.post("/api/get_config_hashes", { version: "1.48.0", adminKey: server.adminKey });
    assert.equal(hashes.status, 200);
    const paths = hashes.json.moduleHashes.map((m) => m.path);
    assert.ok(paths.includes("notes.js"), paths.join());
    for (const m of hashes.json.moduleHashes) assert.match(m.hash, /^[0-9a-f]{64}$/);
  });

  test("02 checklist 12: a deleted file's functions are gone", async () => {
    app.write({ "convex/extra.ts": `import { query } from "./_generated/server"; export const one = query({ args: {}, handler: async () => 1 });` });
    await app.deploy(server);
    assert.equal((await app.cli(server, ["run", "extra:one"])).stdout.trim(), "1");
    app.delete("convex/extra.ts");
    await app.deploy(server);
    assert.match((await app.cli(server, ["run", "extra:one"])).all, /Could not find function/);
  });

  test("deploy, codegen, function-spec", async () => {
    const deployed = await app.cli(server, ["deploy", "--typecheck", "disable", "-y"]);
    assert.equal(deployed.code, 0, deployed.all);
    const generated = await app.cli(server, ["codegen", "--typecheck", "disable"]);
    assert.equal(generated.code, 0, generated.all);
    const spec = await app.cli(server, ["function-spec"]);
    assert.equal(spec.code, 0, spec.all);
    const functions = JSON.parse(spec.stdout).functions;
    assert.ok(functions.some((f) => f.identifier === "notes.js:add" && f.functionType === "Mutation"), spec.stdout);
  });

  test("02 checklist 50: env set, get, list, remove; queries that read a variable see the change", async () => {
    app.write({ "convex/env.ts": `import { query } from "./_generated/server"; export const colour = query({ args: {}, handler: async () => process.env.COLOUR ?? null });` });
    await app.deploy(server);
    assert.equal((await app.cli(server, ["run", "env:colour"])).stdout.trim(), ""); // null prints nothing
    assert.equal((await app.cli(server, ["env", "set", "COLOUR", "blue"])).code, 0);
    assert.equal((await app.cli(server, ["env", "get", "COLOUR"])).stdout.trim(), "blue");
    assert.match((await app.cli(server, ["env", "list"])).stdout, /COLOUR=blue/);
    assert.match((await app.cli(server, ["run", "env:colour"])).stdout, /blue/);
    assert.equal((await app.cli(server, ["env", "remove", "COLOUR"])).code, 0);
    assert.equal((await app.cli(server, ["run", "env:colour"])).stdout.trim(), ""); // null prints nothing
  });

  test("02 checklist 51: data lists tables and documents", async () => {
    await app.cli(server, ["run", "notes:add", '{"title":"shown"}']);
    const tables = await app.cli(server, ["data"]);
    assert.match(tables.stdout, /notes/, tables.all);
    const rows = await app.cli(server, ["data", "notes", "--limit", "3", "--order", "asc"]);
    assert.match(rows.stdout, /shown/, rows.all);
  });

  test("02 checklist 21: a module that throws is refused with its message and the old code keeps running", async () => {
    app.write({ "convex/broken.ts": `export const x = 1; throw new Error("on purpose");` });
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.notEqual(result.code, 0);
    assert.match(result.all, /on purpose/);
    app.delete("convex/broken.ts");
    assert.equal((await app.cli(server, ["run", "notes:list"])).code, 0);
    await app.deploy(server);
  });

  test("03 checklist 21, 02 checklist 29: a schema that existing documents violate is refused, naming one", async () => {
    app.write({ "convex/schema.ts": schema.replace("title: v.string()", "title: v.number()") });
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.notEqual(result.code, 0);
    assert.match(result.all, /does not match the schema/);
    app.write({ "convex/schema.ts": schema });
    await app.deploy(server);
  });

  test("02 checklist 32: an index added later covers the documents that were there before", async () => {
    const withIndex = schema.replace(`.index("by_title", ["title"])`, `.index("by_title", ["title"]).index("by_stars", ["stars"])`);
    app.write({
      "convex/schema.ts": withIndex,
      "convex/stars.ts": `import { query } from "./_generated/server"; import { v } from "convex/values";
        export const atLeast = query({ args: { n: v.number() }, handler: (ctx, { n }) =>
          ctx.db.query("notes").withIndex("by_stars", (q) => q.gte("stars", n)).collect() });`,
    });
    for (let i = 0; i < 5; i++) await server.post("/api/mutation", { path: "notes:add", args: { title: `s${i}`, stars: i } });
    const pushed = await app.deploy(server);
    assert.match(pushed.all, /by_stars/);
    const found = JSON.parse((await app.cli(server, ["run", "stars:atLeast", '{"n":2}'])).stdout);
    assert.deepEqual(found.map((n) => n.stars), [2, 3, 4]);
  });

  test("02 checklist 5: a wrong key stops the CLI at once", async () => {
    const begun = Date.now();
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"], { key: `${server.name}|${"0".repeat(90)}` });
    assert.notEqual(result.code, 0);
    assert.ok(Date.now() - begun < 10000, "no retries");
  });

  test("02 checklist 13: an unknown route is an instant 404", async () => {
    const begun = performance.now();
    const answer = await server.post("/api/deploy2/evaluate_schema", {});
    assert.equal(answer.status, 404);
    assert.ok(performance.now() - begun < 50);
  });

  test("logs show what ran", async () => {
    await app.cli(server, ["run", "notes:add", '{"title":"logged"}']);
    const answer = await fetch(`${server.url}/api/stream_function_logs?cursor=0`, {
      headers: { ...server.admin(), "convex-client": "npm-cli-1.48.0" },
    });
    const { entries } = await answer.json();
    const entry = entries.findLast((e) => e.identifier === "notes:add");
    assert.equal(entry.udfType, "Mutation");
    assert.deepEqual(entry.logLines[0].messages, ["'adding'", "'logged'"]);
  });

  test("components and node actions are refused clearly until they are supported", async () => {
    app.write({
      "convex/convex.config.ts": `import { defineApp } from "convex/server"; import c from "./counter/convex.config"; const app = defineApp(); app.use(c); export default app;`,
      "convex/counter/convex.config.ts": `import { defineComponent } from "convex/server"; export default defineComponent("counter");`,
    });
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.notEqual(result.code, 0);
    assert.match(result.all, /[Cc]omponents are not supported/);
    app.delete("convex/convex.config.ts");
    app.delete("convex/counter/convex.config.ts");
    await app.deploy(server);
  });
});
