// lib.mjs - what the benchmarks share: a server with bench/app pushed, the HTTP driver, /proc.
//
// FRESNEL names another binary than build/fresnel, BENCH_DIR another place for the data.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "..");
const binary = process.env.FRESNEL ?? join(root, "build/fresnel");
export const tools = join(root, "build/bench");
const secret = "be".repeat(32), name = "bench";

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
/** 0 if the process has just ended. */
export const rssMiB = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
export const makeWorkFolder = () => mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "fresnel-bench-"));

/** Compiles the C programs that drive and that mark the ceiling. */
export function buildTools() {
  mkdirSync(tools, { recursive: true });
  for (const program of ["bench_http", "bench_ceiling"]) {
    execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-o", join(tools, program), join(here, program + ".c"), "-lm", "-lsqlite3"], { stdio: "inherit" });
  }
}

export async function rpc(port, path, body, headers = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });
  return answer.json();
}

/** A function of bench/app; throws what it threw. */
export async function call(port, kind, path, args) {
  const done = await rpc(port, `/api/${kind}`, { path, args });
  if (done.status !== "success") throw new Error(done.errorMessage);
  return done.value;
}

export async function waitFor(port, path, body, pauseMs = 50) {
  for (let i = 0; i < 30000 / pauseMs; i++) {
    try {
      return await rpc(port, path, body);
    } catch {
      await sleep(pauseMs);
    }
  }
  throw new Error(`nothing answers on port ${port}`);
}

/** A server on the database in `work`; resolves when it answers. */
export async function startServer(work, port, flags = []) {
  const child = spawn(binary, ["--interface", "127.0.0.1", "--port", `${port}`, "--site-proxy-port", `${port + 99}`, "--instance-name", name,
    "--instance-secret", secret, "--local-storage", join(work, "storage"), ...flags, join(work, "fresnel.sqlite3")], { stdio: ["ignore", "ignore", "inherit"] });
  await waitFor(port, "/api/query_ts", {}, 2);
  return child;
}

/** Pushes bench/app with the official CLI. */
export function pushApp(work, port) {
  const key = execFileSync(binary, ["keygen", "admin-key", "--instance-name", name, "--instance-secret", secret]).toString().trim();
  const app = join(work, "app");
  cpSync(join(here, "app"), app, { recursive: true });
  symlinkSync(join(here, "node_modules"), join(app, "node_modules"));
  execFileSync(process.execPath, [join(here, "node_modules/convex/bin/main.js"), "dev", "--once", "--typecheck", "disable"],
    { cwd: app, env: { ...process.env, CI: "1", CONVEX_SELF_HOSTED_URL: `http://127.0.0.1:${port}`, CONVEX_SELF_HOSTED_ADMIN_KEY: key }, stdio: ["ignore", "ignore", "inherit"] });
}

/** One number of /metrics. */
export async function metric(port, metricName) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^${metricName} (\\d+)`, "m").exec(text)?.[1] ?? NaN);
}

/** bench_http: `connections` in a closed loop over `range` accounts, items or counters. */
export function driveHttp(port, kind, connections, seconds, alpha, range) {
  return new Promise((done, fail) => {
    const child = spawn(join(tools, "bench_http"), [port, kind, connections, seconds, alpha, range].map(String), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (part) => (text += part));
    child.on("exit", (code) => (code === 0 ? done(JSON.parse(text)) : fail(new Error(`driver failed on ${kind}`))));
  });
}

/** Ends all of them and removes the folder. */
export async function stop(children, work) {
  const gone = children.map((child) => new Promise((done) => (child.exitCode === null && child.signalCode === null ? child.once("exit", done) : done())));
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(gone);
  if (work) rmSync(work, { recursive: true, force: true });
}
