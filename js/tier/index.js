// The full-engine tier: a process of Node.js that runs functions of the default runtime in V8, one
// at a time, each in a fresh context (spec 04 section 3.1).  The server does everything that a
// function asks for; this process computes.
//
// A context holds V8's own globals, the same prelude as the isolate's engine, and nothing of
// Node.js: context.js makes the host object inside of it, over functions that take and return
// primitive values.  Should an object of this realm get out nevertheless, it is frozen, and code
// cannot be made from strings here.
//
// Descriptor 3 is the server.  First it sends the scripts for the contexts, then runs.
import v8 from "node:v8";
import vm from "node:vm";
import { newBridge } from "./bridge.js";
import { Graph } from "./graph.js";
import { ask, quit, receive, send } from "./wire.js";

const GARBAGE = 32 << 20; // of a run, that is not left lying around until the next
const KEPT = 24 << 20; // of earlier runs, that makes a process old
const setup = {};
const rejections = []; // reasons of promises without a handler, in their order

process.on("unhandledRejection", (reason, promise) => rejections.push({ reason, promise }));
process.on("rejectionHandled", (promise) => {
  const at = rejections.findIndex((r) => r.promise === promise);
  if (at >= 0) {
    rejections.splice(at, 1);
  }
});
process.on("uncaughtException", () => quit(70));

// Until everything that is queued has run, and the rejections are known.
const turn = () => new Promise((resolve) => setImmediate(resolve));

function newContext() {
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
    codeGeneration: { strings: false, wasm: true },
  });
  const bridge = newBridge();
  const inside = setup.context.runInContext(context)(bridge.functions, setup.natives);
  setup.prelude.runInContext(context);
  inside.ready();
  return { context, bridge, inside };
}

// Why the entry module could not be used, as the server wants to hear it; or undefined.
function evaluate(graph, inside) {
  graph.evaluate();
  if (graph.failed) {
    return { t: "thrown", what: inside.describe(graph.error) };
  }
  return inside.imported() ? undefined : { t: "toplevelawait" };
}

const asked = (message) => JSON.parse(ask(JSON.stringify(message)).text);

// After the head of an HTTP action's reply: until its body has ended.
async function awaitBody({ bridge, inside }) {
  while (asked({ t: "responding" }).yes) {
    await turn();
    if (rejections.length > 0) {
      return { t: "thrown", what: inside.describe(rejections[0].reason) };
    }
    if (asked({ t: "responding" }).yes) {
      bridge.wait(inside, true);
    }
  }
  return { t: "responded" };
}

async function awaitOutcome({ bridge, inside }, graph, action) {
  for (;;) {
    await turn();
    if (rejections.length > 0) {
      return { t: "thrown", what: inside.describe(rejections[0].reason) };
    }
    const outcome = inside.outcome();
    if (outcome === "new") {
      continue; // whether it has settled is known after the next turn
    }
    if (outcome === "thrown") {
      return { t: "thrown", what: inside.describeOutcome() };
    }
    if (inside.tell()) {
      continue;
    }
    if (outcome !== "pending") {
      return { t: "value", value: inside.value() };
    }
    if (graph.loading > 0) {
      continue;
    }
    if (!bridge.wait(inside, action)) {
      return { t: "never" };
    }
  }
}

async function run(world, request) {
  const { context, bridge, inside } = world;
  const http = request.kind === "http";
  const action = http || request.kind === "action";
  const graph = new Graph(context, inside, setup.code, action);
  inside.begin(JSON.stringify(request));
  if (!(await graph.link(request.entry))) {
    return { t: "unloaded" };
  }
  await turn();
  rejections.length = 0;
  const failure = evaluate(graph, inside);
  if (failure !== undefined) {
    return failure;
  }
  const found = inside.find(request.function);
  if (found === "thrown") {
    return { t: "thrown", what: inside.describeOutcome() };
  }
  if (found !== "ok") {
    return { t: "wrong", what: found };
  }
  send(JSON.stringify({ t: "execute", route: inside.route() }));
  inside.execute(request.args);
  const outcome = await awaitOutcome(world, graph, action);
  if (!http || outcome.t !== "value") {
    return outcome;
  }
  ask(JSON.stringify({ t: "respond", json: inside.response() }));
  return await awaitBody(world);
}

// True if another run would not have the memory that it may use: Node.js never gives back a context
// in which modules were compiled (github.com/nodejs/node/issues/33439).
function tidy() {
  const { used_heap_size: used, external_memory: external } = v8.getHeapStatistics();
  if (used + external <= GARBAGE) {
    return false;
  }
  setup.collect();
  return v8.getHeapStatistics().used_heap_size > KEPT;
}

// V8's gc(), without giving it to every context.
function collector() {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc");
  v8.setFlagsFromString("--no-expose-gc");
  return collect;
}

async function main() {
  const { text, bytes } = receive();
  const { sizes, natives } = JSON.parse(text);
  const source = bytes.toString("utf8", 0, sizes[0]);
  const options = { filename: "convex:/_system/setup.js" };
  setup.context = new vm.Script(source, { filename: "convex:/_system/tier.js" });
  setup.prelude = new vm.Script(bytes.toString("utf8", sizes[0]), options);
  setup.natives = natives.join(" ");
  setup.code = new Map();
  setup.collect = collector();
  for (;;) {
    let world = newContext();
    send('{"t":"ready"}');
    const outcome = await run(world, JSON.parse(receive().text));
    send(JSON.stringify({ ...outcome, ...JSON.parse(world.inside.observed()) }));
    world.bridge.close();
    world = undefined;
    if (tidy()) {
      send('{"t":"old"}');
      receive(); // never comes: the server ends us
      quit(0);
    }
  }
}

main().catch(() => quit(70));
