// The executor of "use node" functions (spec 04 section 10): runs in Node.js, one process for each
// package of modules and set of environment variables, as many actions at once as the server wants.
//
//     node executor.cjs SOCKET PACKAGE
//
// The server listens to nothing: it connects to SOCKET, once for each invocation, and the
// connection carries the function's operations.  Descriptor 3 is the server's end of life: when it
// closes, so do we.  Everything this file needs of the realm it takes before user code is there.
import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, Socket } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { webcrypto } from "node:crypto";
import { analyze } from "./analyze.js";
import { Convex } from "./convex.js";
import { describe } from "./errors.js";
import { Decoder, encode } from "./frames.js";
import { current, fail, installConsole, Invocation } from "./invocation.js";

const KEPT_VARIABLES = ["PATH", "PWD", "LANG", "NODE_PATH", "TZ", "UTC"];

const [socketPath, packageFolder] = process.argv.slice(2);
const folder = join(packageFolder, "modules") + "/";
const exitNow = process.reallyExit.bind(process);
const nextTurn = setImmediate;
const control = new Socket({ fd: 3 });

class Missing extends Error {}

async function load(path) {
  const url = pathToFileURL(folder + path).href;
  return { namespace: await import(url), url };
}

async function findFunction({ module, function: name }) {
  const { namespace } = await load(module);
  const fn = namespace[name];
  if (fn === undefined) throw new Missing(`Couldn't find "${name}" in module "${module}".`);
  if (typeof fn.invokeAction !== "function")
    throw new Missing(
      `Function ${module}:${name} is not an action. Did you forget to wrap it with \`action\`?`,
    );
  return fn;
}

async function run(invocation, request) {
  const fn = await findFunction(request);
  // From here on it has run: the server will not start it a second time.
  invocation.send({ t: "started" });
  return await fn.invokeAction(invocation.id, request.args);
}

async function execute(invocation, request) {
  let outcome;
  try {
    const value = await current.run(invocation, run, invocation, request);
    outcome = { ok: true, value: typeof value === "string" ? value : String(value) };
  } catch (error) {
    if (error instanceof Missing) outcome = { ok: false, message: error.message, frames: [] };
    else outcome = { ok: false, ...describe(error, folder) };
  }
  // Rejections that nobody handled are told after the microtasks: let them come first.
  await new Promise((resolve) => nextTurn(resolve));
  if (invocation.over) return;
  invocation.warnOutstanding();
  invocation.end(outcome);
}

async function examine(invocation, request) {
  const outcome = await current.run(invocation, analyze, request.paths, load, folder);
  invocation.end({ ...outcome });
}

function accept(socket) {
  const invocation = new Invocation(socket);
  const decoder = new Decoder((header, bytes) => {
    if (header.t === "execute") void execute(invocation, header);
    else if (header.t === "analyze") void examine(invocation, header);
    else if (header.t === "answer") invocation.answer(header, bytes);
  });
  socket.on("data", (chunk) => decoder.push(chunk));
  socket.on("error", () => {});
  socket.on("close", () => invocation.abandon());
  invocation.send({ t: "hello" });
}

// After any of these nothing that follows can be trusted: the run ends, the server lets the others
// finish and replaces the process.
function poisoned(thrown) {
  if (!fail(thrown, folder)) {
    process.stderr.write(`${describe(thrown, folder).message}\n`);
    control.write(encode({ t: "poisoned" }));
  }
}

function installGlobals() {
  const require = createRequire(pathToFileURL(folder + "index.js"));
  const module = { exports: {} };
  Object.assign(globalThis, {
    Convex,
    require,
    module,
    exports: module.exports,
    __dirname: folder.slice(0, -1),
    __filename: folder + "index.js",
  });
  if (!globalThis.crypto) globalThis.crypto = webcrypto;
}

function installEnvironment(variables) {
  const kept = KEPT_VARIABLES.filter((name) => process.env[name] !== undefined);
  process.env = { ...Object.fromEntries(kept.map((name) => [name, process.env[name]])), ...variables };
}

function start(variables) {
  installEnvironment(variables);
  installGlobals();
  installConsole();
  Error.stackTraceLimit = 30;
  process.on("unhandledRejection", poisoned);
  process.on("uncaughtException", poisoned);
  process.exit = (code) => {
    const given = code ?? process.exitCode;
    const text = given === undefined ? "with no exit code" : `with exit code ${given}`;
    const error = new Error(`process.exit() called ${text}`);
    poisoned(error);
    throw error;
  };
  createServer(accept).listen(socketPath, () => {
    control.write(encode({ t: "ready", version: process.version }));
  });
}

// The server is gone without having ended us: nobody else removes its temporary folder.
function bereaved() {
  try {
    rmSync(dirname(socketPath), { recursive: true, force: true });
  } finally {
    exitNow(0);
  }
}

mkdirSync(folder, { recursive: true });
control.on("data", (chunk) => decoder.push(chunk));
control.on("error", bereaved);
control.on("close", bereaved);
const decoder = new Decoder((header) => {
  if (header.t === "start") start(header.variables);
});
