// The CLI's anonymous mode with our binary under the name convex-local-backend, offline
// (spec 02 section 1.4.6; 02 checklist 56 to 59).
import assert from "node:assert/strict";
import { test } from "node:test";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { App, binary, freePorts, portFree, run, tempDir } from "./lib.mjs";

const version = "precompiled-2026-01-01-xyz";

test("02 checklist 56: dev --once, run, env list start and stop the binary", async () => {
  const home = tempDir();
  const app = new App({
    "convex/hello.ts": `import { query } from "./_generated/server"; export const world = query({ args: {}, handler: async () => "hello" });`,
  }, { name: "shop" });
  const folder = join(home, ".cache/convex/binaries", version);
  mkdirSync(folder, { recursive: true });
  copyFileSync(binary, join(folder, "convex-local-backend"));
  const dashboard = join(home, ".cache/convex/dashboard");
  mkdirSync(join(dashboard, "out"), { recursive: true });
  writeFileSync(join(dashboard, "config.json"), JSON.stringify({ version }));
  writeFileSync(join(dashboard, "out/index.html"), "<p>none</p>");
  const name = "anonymous-shop", secret = "5e".repeat(32);
  const key = (await run(binary, ["keygen", "admin-key", "--instance-name", name, "--instance-secret", secret])).stdout.trim();
  const [cloud, site] = await freePorts();
  const state = join(app.dir, ".convex/local/default");
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, "config.json"), JSON.stringify({
    ports: { cloud, site }, backendVersion: version, adminKey: key, instanceSecret: secret, deploymentName: name,
  }));
  const env = { ...process.env, HOME: home, CI: "1", CONVEX_AGENT_MODE: "", CONVEX_DEPLOYMENT: "" };
  delete env.CONVEX_AGENT_MODE;
  delete env.CONVEX_DEPLOYMENT;
  const pushed = await app.cli(null, ["dev", "--once", "--typecheck", "disable", "--local-backend-version", version], { env });
  assert.equal(pushed.code, 0, pushed.all);
  assert.match(app.read(".env.local"), /CONVEX_DEPLOYMENT=anonymous:anonymous-shop/);
  assert.ok(await portFree(cloud), "the server was stopped");
  const ran = await app.cli(null, ["run", "hello:world"], { env });
  assert.match(ran.stdout, /hello/, ran.all);
  assert.equal((await app.cli(null, ["env", "set", "A", "1"], { env })).code, 0);
  assert.match((await app.cli(null, ["env", "list"], { env })).stdout, /A=1/);
  assert.ok(await portFree(cloud), "and stopped again");
  app.remove();
});

test("02 checklist 57, 59: --help with the full argument list exits 0 and touches nothing", async () => {
  const dir = tempDir();
  const result = await run(binary, ["--port", "3310", "--site-proxy-port", "3311", "--sentry-identifier", "x", "--instance-name", "anonymous-app",
    "--instance-secret", "00".repeat(32), "--local-storage", join(dir, "s"), "--beacon-tag", "cli-anonymous-dev", join(dir, "d.sqlite3"),
    "--beacon-fields", "{}", "--control-plane-url", "http://127.0.0.1:1", "--help"]);
  assert.equal(result.code, 0, result.all);
  assert.match(result.stdout, /--instance-secret/);
  assert.ok(!existsSync(join(dir, "d.sqlite3")) && !existsSync(join(dir, "s")));
});
