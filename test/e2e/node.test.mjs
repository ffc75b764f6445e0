// "use node" functions, pushed and run by the official CLI and client (04 checklist 48).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createSign, generateKeyPairSync } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { ConvexHttpClient } from "convex/browser";
import { anyApi as api } from "convex/server";
import { App, here, Server, sleep, tempDir, until } from "./lib.mjs";

const data = `
import { query, mutation, internalMutation, internalQuery } from "./_generated/server";
import { v } from "convex/values";
export const list = query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).map((n) => n.text) });
export const add = internalMutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => { await ctx.db.insert("notes", { text }); return text.length; },
});
export const refuse = internalMutation({ args: {}, handler: async () => { throw new Error("refused"); } });
export const who = internalQuery({
  args: {}, handler: async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null });
`;

const acts = `
"use node";
import { action, internalAction } from "./_generated/server";
import { internal, api } from "./_generated/api";
import { ConvexError, v } from "convex/values";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { label } from "./shared";

export const hash = action({
  args: { text: v.string() }, returns: v.string(),
  handler: async (_ctx, { text }) => createHash("sha256").update(text).digest("hex"),
});
export const shared = action(async () => label("node"));
export const wrongResult = action({ args: {}, returns: v.string(), handler: async () => 1 as any });
export const variable = action(async () => [process.env.COLOUR ?? null, process.env.CONVEX_SITE_URL ?? null]);
export const nested = action({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    const n: number = await ctx.runMutation(internal.data.add, { text });
    const all: string[] = await ctx.runQuery(api.data.list, {});
    const inner: string = await ctx.runAction(internal.acts.inner, {});
    return [n, all.length, inner];
  },
});
export const inner = internalAction(async () => "inside");
export const nestedError = action(async (ctx) => {
  try { await ctx.runMutation(internal.data.refuse, {}); return null; } catch (e: any) { return e.message; }
});
export const convexError = action(async () => { throw new ConvexError({ code: 7, why: "said so" }); });
export const plainError = action(async () => { throw new TypeError("plain"); });
export const stray = action(async () => {
  void Promise.reject(new Error("nobody caught this"));
  await new Promise((r) => setTimeout(r, 100));
});
export const exit = action(async () => { process.exit(2); });
export const size = action({ args: { text: v.string() }, handler: async (_ctx, { text }) => text.length });
export const dangling = action(async (ctx) => { void ctx.runQuery(api.data.list, {}); return "done"; });
export const logs = action(async () => { console.log("a line", { deep: [1, { x: 2 }] }); console.warn("careful"); return null; });
export const whoAmI = action({
  args: { ms: v.number() },
  handler: async (ctx, { ms }) => {
    const before = (await ctx.auth.getUserIdentity())?.subject ?? null;
    await new Promise((r) => setTimeout(r, ms));
    const later: string | null = await ctx.runQuery(internal.data.who, {});
    return [before, later];
  },
});
export const files = action({
  args: { bytes: v.number() },
  handler: async (ctx, { bytes }) => {
    const id = await ctx.storage.store(new Blob([new Uint8Array(bytes).fill(65)], { type: "text/plain" }));
    const back = await ctx.storage.get(id);
    const text = await back!.text();
    const meta = await ctx.storage.getMetadata(id);
    const url = await ctx.storage.getUrl(id);
    await ctx.storage.delete(id);
    const gone = await ctx.storage.get(id);
    return [text.length, text.slice(0, 3), back!.type, meta!.size, url!.startsWith("http"), gone];
  },
});
export const later = action({
  args: { text: v.string() },
  handler: async (ctx, { text }) => { await ctx.scheduler.runAfter(0, internal.data.add, { text }); },
});
export const builtins = action(async () => typeof readFileSync + typeof (globalThis as any).require);
`;

const shared = `export const label = (who: string) => "for " + who;`;

const base = { "convex/data.ts": data, "convex/acts.ts": acts, "convex/shared.ts": shared };

// What the registry of these tests has: one package that needs the other.
const packages = {
  "tiny-odd": {
    "package.json": JSON.stringify({ name: "tiny-odd", version: "1.2.3", main: "index.js", dependencies: { "tiny-even": "^2.0.0" } }),
    "index.js": `const isEven = require("tiny-even"); module.exports = (n) => !isEven(n);`,
  },
  "tiny-even": {
    "package.json": JSON.stringify({ name: "tiny-even", version: "2.0.1", main: "index.js" }),
    "index.js": "module.exports = (n) => n % 2 === 0;",
  },
};

/** A registry of npm on loopback, as far as `npm install` asks. */
async function openRegistry() {
  const folder = tempDir();
  const registry = { asked: 0 };
  for (const [name, files] of Object.entries(packages)) {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name, file)), { recursive: true });
      writeFileSync(join(folder, name, file), text);
    }
    execFileSync("npm", ["pack", `./${name}`, "--silent"], { cwd: folder });
  }
  registry.server = createServer((request, response) => {
    registry.asked++;
    const name = decodeURIComponent(request.url.slice(1));
    if (name.endsWith(".tgz")) return response.end(readFileSync(join(folder, name)));
    if (!packages[name]) {
      response.statusCode = 404;
      return response.end("{}");
    }
    const manifest = JSON.parse(packages[name]["package.json"]);
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify({
      name,
      "dist-tags": { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist: { tarball: `${registry.url}/${name}-${manifest.version}.tgz` } } },
    }));
  });
  await new Promise((done) => registry.server.listen(0, "127.0.0.1", done));
  registry.url = `http://127.0.0.1:${registry.server.address().port}`;
  registry.close = () => {
    registry.server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return registry;
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

describe("use node", () => {
  let server, app, client, registry;

  async function push(expected = 0) {
    const result = await app.cli(server, ["dev", "--once", "--typecheck", "disable"]);
    assert.equal(result.code, expected, result.all);
    return result;
  }

  function useExternal(dependencies) {
    app.write({
      "package.json": JSON.stringify({ name: "app", type: "module", dependencies: { convex: "1.48.0", ...dependencies } }),
      "convex.json": JSON.stringify({ node: { externalPackages: Object.keys(dependencies) } }),
    });
  }

  before(async () => {
    registry = await openRegistry();
    process.env.npm_config_registry = registry.url; // the server's npm is configured so
    server = await new Server().start();
    app = new App(base);
    await push();
    client = new ConvexHttpClient(server.url, { logger: false });
  });
  after(async () => {
    await server?.remove();
    app?.remove();
    registry?.close();
  });

  test("04 checklist 48: an action in Node.js", async () => {
    assert.equal(await client.action(api.acts.hash, { text: "abc" }),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.equal(await client.action(api.acts.shared), "for node");
    assert.equal(await client.action(api.acts.builtins), "functionfunction");
    const wrong = await failure(client.action(api.acts.wrongResult));
    assert.match(wrong.message, /ReturnsValidationError/);
    const bad = await failure(client.action(api.acts.hash, { text: 1 }));
    assert.match(bad.message, /ArgumentValidationError/);
    const ran = await app.cli(server, ["run", "acts:hash", '{"text":"abc"}']);
    assert.equal(ran.code, 0, ran.all);
    assert.match(ran.stdout, /ba7816bf/);
  });

  test("it is a Node.js action: queries and mutations there are refused, and where it may not be", async () => {
    app.write({ "convex/bad.ts": `"use node";\nimport { query } from "./_generated/server";\nexport const q = query(async () => 1);\n` });
    const refused = await push(1);
    assert.match(refused.all, /`q` defined in `bad.js` is a Query function. Only actions can be defined in Node.js/);
    app.write({ "convex/bad.ts": `"use node";\nthrow new Error("at import");\nexport const x = 1;\n` });
    const thrown = await push(1);
    assert.match(thrown.all, /Failed to analyze bad.js: Uncaught Error: at import/);
    app.write({ "convex/bad.ts": "export {};\n" });
    await push();
  });

  test("04 checklist 48: environment variables, and their changes", async () => {
    assert.deepEqual(await client.action(api.acts.variable), [null, server.siteUrl]);
    const set = await app.cli(server, ["env", "set", "COLOUR", "green"]);
    assert.equal(set.code, 0, set.all);
    assert.deepEqual(await client.action(api.acts.variable), ["green", server.siteUrl]);
  });

  test("04 checklist 48: nested calls", async () => {
    const [n, all, inner] = await client.action(api.acts.nested, { text: "hello" });
    assert.deepEqual([n, inner], [5, "inside"]);
    assert.equal(all, (await client.query(api.data.list)).length);
    assert.match(await client.action(api.acts.nestedError), /^Uncaught Error: refused/);
  });

  test("04 checklist 18, 48: a ConvexError has its data, other errors their frames", async () => {
    const error = await failure(client.action(api.acts.convexError));
    assert.deepEqual(error.data, { code: 7, why: "said so" });
    const plain = await failure(client.action(api.acts.plainError));
    assert.match(plain.message, /Uncaught TypeError: plain\n +at .*\.\.\/convex\/acts\.ts:\d+:\d+/);
  });

  test("04 checklist 48: an unhandled rejection and process.exit end the action, not the server", async () => {
    const stray = await failure(client.action(api.acts.stray));
    assert.match(stray.message, /nobody caught this/);
    assert.equal(await client.action(api.acts.shared), "for node");
    const exit = await failure(client.action(api.acts.exit));
    assert.match(exit.message, /process\.exit\(\) called with exit code 2/);
    assert.equal(await client.action(api.acts.shared), "for node");
  });

  test("04 checklist 48: arguments of at most 5 MiB", async () => {
    assert.equal(await client.action(api.acts.size, { text: "x".repeat(5 << 19) }), 5 << 19);
    const error = await failure(client.action(api.acts.size, { text: "x".repeat(5 << 20) }));
    assert.match(error.message, /Node actions arguments size is too large\. The maximum size is 5 MiB/);
  });

  test("console lines and dangling operations", async () => {
    const shown = await app.cli(server, ["run", "acts:logs"]);
    assert.match(shown.all, /'a line'/);
    assert.match(shown.all, /\{ deep: \[ 1, \{ x: 2 \} \] \}/);
    const dangling = await app.cli(server, ["run", "acts:dangling"]);
    assert.match(dangling.all, /You have an outstanding query call\./);
  });

  test("04 checklist 48: files go into storage and come back", async () => {
    assert.deepEqual(await client.action(api.acts.files, { bytes: 1000 }), [1000, "AAA", "text/plain", 1000, true, null]);
    assert.deepEqual(await client.action(api.acts.files, { bytes: 3000000 }),
      [3000000, "AAA", "text/plain", 3000000, true, null]);
  });

  test("a Node.js action schedules", async () => {
    await client.action(api.acts.later, { text: "scheduled" });
    await until(async () => (await client.query(api.data.list)).includes("scheduled"), "the scheduled mutation");
  });

  test("04 checklist 48: external packages", async () => {
    rmSync(join(app.dir, "node_modules"));
    mkdirSync(join(app.dir, "node_modules"));
    for (const name of readdirSync(join(here, "node_modules")))
      symlinkSync(join(here, "node_modules", name), join(app.dir, "node_modules", name));
    for (const name of Object.keys(packages))
      app.write(Object.fromEntries(Object.entries(packages[name]).map(([file, text]) => [`node_modules/${name}/${file}`, text])));
    useExternal({ "tiny-odd": "1.2.3" });
    app.write({
      "convex/odd.ts": `"use node";\nimport { action } from "./_generated/server";\nimport isOdd from "tiny-odd";\n` +
        `export const odd = action(async () => [isOdd(3), isOdd(4)]);\n`,
    });
    await push();
    assert.deepEqual(await client.action(api.odd.odd), [true, false]);
    const folders = readdirSync(join(server.dir, "storage/node/deps"));
    assert.equal(folders.length, 1);
    const asked = registry.asked;
    app.write({ "convex/shared.ts": `export const label = (who: string) => "still for " + who;` });
    await push();
    assert.equal(registry.asked, asked, "unchanged dependencies are not installed again");
    assert.equal(await client.action(api.acts.shared), "still for node");
    assert.deepEqual(await client.action(api.odd.odd), [true, false]);
  });

  test("an external package that the registry does not have", async () => {
    useExternal({ "tiny-odd": "1.2.3", "tiny-none": "^9.0.0" });
    app.write({
      "node_modules/tiny-none/package.json": JSON.stringify({ name: "tiny-none", version: "9.9.9", main: "index.js" }),
      "node_modules/tiny-none/index.js": "module.exports = 1;",
      "convex/none.ts": `"use node";\nimport { action } from "./_generated/server";\nimport none from "tiny-none";\n` +
        `export const none2 = action(async () => none);\n`,
    });
    const refused = await push(1);
    assert.match(refused.all, /npm install of the external packages failed:/);
    assert.match(refused.all, /tiny-none/);
    app.delete("convex/none.ts");
    useExternal({ "tiny-odd": "1.2.3" });
    await push();
  });

  test("everything is there again after a restart", async () => {
    await server.stop();
    await server.start();
    assert.match(await client.action(api.acts.shared), /for node/);
    await server.kill();
    await sleep(300);
    await server.start();
    assert.match(await client.action(api.acts.shared), /for node/);
  });
});

describe("pushes that Node.js has no part in", () => {
  const module = { path: "a.js", source: "export const x = 1;", environment: "node" };

  function startPush(server, more, modules = [module]) {
    return server.post("/api/deploy2/start_push", {
      adminKey: server.adminKey,
      dryRun: false,
      functions: "convex/",
      appDefinition: { definition: null, dependencies: [], schema: null, changedModules: modules, unchangedModuleHashes: [], udfServerVersion: "1.48.0" },
      componentDefinitions: [],
      nodeDependencies: [],
      ...more,
    });
  }

  test("02 checklist 39: versions, places and packages that cannot be", async () => {
    const server = await new Server().start();
    try {
      const old = await startPush(server, { nodeVersion: "18" });
      assert.deepEqual([old.status, old.json.code], [400, "InvalidConfig"]);
      assert.match(old.json.message, /^Node 18 is no longer supported/);
      const crons = await startPush(server, {}, [{ ...module, path: "crons.js" }]);
      assert.deepEqual([crons.status, crons.json.code], [400, "InvalidConfig"]);
      const named = await startPush(server, { nodeDependencies: [{ name: "--prefix=/", version: "1.0.0" }] });
      assert.deepEqual([named.status, named.json.code], [400, "InvalidExternalModules"]);
      const fine = await startPush(server, { nodeVersion: "22" });
      assert.equal(fine.status, 200, fine.text);
      assert.deepEqual(fine.json.analysis[""].functions["a.js"].functions, []);
    } finally {
      await server.remove();
    }
  });

  test("02 checklist 39: without Node.js a push says so", async () => {
    const path = process.env.PATH;
    const server = new Server();
    process.env.PATH = "/nowhere";
    try {
      await server.start();
      const refused = await startPush(server, {});
      assert.deepEqual([refused.status, refused.json.code], [400, "DeploymentNotConfiguredForNodeActions"]);
      assert.match(refused.json.message, /Node\.js .* is not installed on the server/);
      const without = await startPush(server, {}, [{ ...module, environment: "isolate" }]);
      assert.equal(without.status, 200, without.text);
    } finally {
      process.env.PATH = path;
      await server.remove();
    }
  });
});

describe("use node with identities", () => {
  let server, app, keys;
  const issuer = "https://issuer.example.com";
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

  function token(seconds) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: "app", sub: "ada", iat: now, exp: now + seconds };
    const body = `${encode({ alg: "RS256", typ: "JWT", kid: "k" })}.${encode(claims)}`;
    return `${body}.${createSign("RSA-SHA256").update(body).sign(keys.privateKey).toString("base64url")}`;
  }

  before(async () => {
    keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const jwk = { ...keys.publicKey.export({ format: "jwk" }), kid: "k", alg: "RS256", use: "sig" };
    const jwks = `data:text/plain;charset=utf-8;base64,${Buffer.from(JSON.stringify({ keys: [jwk] })).toString("base64")}`;
    const provider = { type: "customJwt", issuer, jwks, algorithm: "RS256", applicationID: "app" };
    server = await new Server().start();
    app = new App({ ...base, "convex/auth.config.ts": `export default { providers: [${JSON.stringify(provider)}] };` });
    await app.deploy(server);
  });
  after(async () => {
    await server?.remove();
    app?.remove();
  });

  test("04 checklist 48: a token that expires while the action runs", async () => {
    const client = new ConvexHttpClient(server.url, { logger: false });
    client.setAuth(token(3));
    assert.deepEqual(await client.action(api.acts.whoAmI, { ms: 4000 }), ["ada", "ada"]);
  });
});
