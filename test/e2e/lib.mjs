// lib.mjs - a server, an application and the official CLI, for the tests beside this file.
//
// Everything listens on loopback, lives in a temporary folder and is stopped by its process id.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const here = dirname(fileURLToPath(import.meta.url));
export const root = resolve(here, "../..");
export const binary = process.env.FRESNEL_BIN ?? join(root, "build/fresnel");

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls until `probe` returns something truthy. */
export async function until(probe, what, ms = 15000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await sleep(25);
  }
}

export function tempDir() {
  return mkdtempSync(join(tmpdir(), "fresnel-test-"));
}

/** A free port whose neighbour is free as well. */
export async function freePorts() {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 20000);
    if ((await portFree(port)) && (await portFree(port + 1))) return [port, port + 1];
  }
}

export function portFree(port) {
  return new Promise((done) => {
    const probe = createServer();
    probe.once("error", () => done(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => done(true)));
  });
}

export function run(file, args, options = {}) {
  return new Promise((done) => {
    const child = execFile(file, args, { maxBuffer: 64 << 20, timeout: 120000, ...options },
      (error, stdout, stderr) => done({ code: error ? (error.code ?? 1) : 0, stdout, stderr, all: stdout + stderr }));
    child.stdin.on("error", () => {}); // it may have ended without reading
    child.stdin.end(options.input ?? "");
  });
}

export class Server {
  constructor(options = {}) {
    this.dir = options.dir ?? tempDir();
    this.name = options.name ?? "e2e";
    this.secret = options.secret ?? "ab".repeat(32);
    this.extra = options.extra ?? [];
  }

  /** The process, which does not answer yet. */
  async launch() {
    if (!this.port) [this.port, this.sitePort] = await freePorts();
    this.url = `http://127.0.0.1:${this.port}`;
    this.siteUrl = `http://127.0.0.1:${this.sitePort}`;
    if (!this.adminKey) {
      const made = await run(binary, ["keygen", "admin-key", "--instance-name", this.name, "--instance-secret", this.secret]);
      if (made.code !== 0) throw new Error(made.all);
      this.adminKey = made.stdout.trim();
    }
    this.output = "";
    this.child = spawn(binary, ["--interface", "127.0.0.1", "--port", `${this.port}`, "--site-proxy-port", `${this.sitePort}`,
      "--instance-name", this.name, "--instance-secret", this.secret, "--local-storage", join(this.dir, "storage"),
      join(this.dir, "db.sqlite3"), ...this.extra], { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout.on("data", (text) => (this.output += text));
    this.child.stderr.on("data", (text) => (this.output += text));
    this.exited = new Promise((done) => this.child.once("exit", (code, signal) => done({ code, signal })));
  }

  async start() {
    const begun = performance.now();
    await this.launch();
    let gone = false;
    this.exited.then(() => (gone = true));
    await until(async () => {
      if (gone) throw new Error(`the server ended at once:\n${this.output}`);
      try {
        const answer = await fetch(`${this.url}/instance_name`);
        return (await answer.text()) === this.name;
      } catch {
        return false;
      }
    }, "the server to answer");
    this.startMs = performance.now() - begun;
    return this;
  }

  /** kill -9 */
  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return undefined;
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), 10000);
    const how = await this.exited;
    clearTimeout(late);
    return how;
  }

  /** A sub-command on the database of the stopped server. */
  tool(name) {
    return run(binary, [name, join(this.dir, "db.sqlite3")]);
  }

  async remove() {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Resident memory in KiB. */
  rss() {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"))[1]);
  }

  async post(path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: answer.status, text, json, headers: answer.headers };
  }

  admin() {
    return { authorization: `Convex ${this.adminKey}` };
  }
}

/** A project folder with the npm package installed and the given files. */
export class App {
  constructor(files, options = {}) {
    this.dir = join(options.parent ?? tempDir(), options.name ?? "app");
    mkdirSync(this.dir, { recursive: true });
    symlinkSync(join(here, "node_modules"), join(this.dir, "node_modules"));
    this.write({
      "package.json": JSON.stringify({ name: "app", type: "module", dependencies: { convex: "1.48.0" } }),
      ...files,
    });
  }

  write(files) {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.dir, name)), { recursive: true });
      writeFileSync(join(this.dir, name), text);
    }
  }

  delete(name) {
    rmSync(join(this.dir, name));
  }

  read(name) {
    return readFileSync(join(this.dir, name), "utf8");
  }

  /** The official CLI against `server`. */
  cli(server, args, options = {}) {
    const env = { ...process.env, CI: "1", NO_COLOR: "1", ...options.env };
    if (server) {
      env.CONVEX_SELF_HOSTED_URL = server.url;
      env.CONVEX_SELF_HOSTED_ADMIN_KEY = options.key ?? server.adminKey;
    }
    return run(process.execPath, [join(here, "node_modules/convex/bin/main.js"), ...args], { cwd: this.dir, env, ...options, env });
  }

  async deploy(server, args = []) {
    const result = await this.cli(server, ["dev", "--once", "--typecheck", "disable", ...args]);
    if (result.code !== 0) throw new Error(`deploy failed:\n${result.all}`);
    return result;
  }

  remove() {
    rmSync(dirname(this.dir), { recursive: true, force: true });
  }
}

/** Reads an example or test application's functions from disk. */
export function filesOf(folder, names, prefix = "convex/") {
  return Object.fromEntries(names.map((name) => [prefix + name, readFileSync(join(folder, name), "utf8")]));
}
