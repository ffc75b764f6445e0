// A query that reads a thousand documents and returns them: here, and the same bundle in a warm Node.js process whose documents are
// ready-made texts behind the npm package's JSON syscalls.  Ratios below 1: we are faster.
//
//     node bench/read.mjs [ROUNDS]        needs build/run_bench and the bundles of tools/js-build
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bundle = join(process.env.JS_BUILD_DIR ?? join(root, "build/deps/js"), "bench-read.js");
const program = process.env.RUN_BENCH ?? join(root, "build/run_bench");
const ROUNDS = Number(process.argv[2] ?? 5);
const RUNS = 400;

const answers = Array.from({ length: 1000 }, (_, i) => JSON.stringify({
  value: { _creationTime: 1700000000000 + i, _id: `k17${String(i).padStart(29, "0")}`, at: { x: i + 0.5, y: null }, even: i % 2 === 0, n: i, name: `item number ${i} of the list`, tags: ["a", "b", "c"] },
  done: false,
}));
const end = JSON.stringify({ value: null, done: true });
const places = new Map();
let next = 0;
globalThis.Convex = {
  syscall(name, args) {
    if (name === "1.0/queryStream") {
      places.set(next, 0);
      return JSON.stringify({ queryId: next++ });
    }
    return JSON.stringify(places.delete(JSON.parse(args).queryId));
  },
  async asyncSyscall(name, args) {
    const { queryId } = JSON.parse(args);
    const at = places.get(queryId);
    places.set(queryId, at + 1);
    return at < answers.length ? answers[at] : end;
  },
};

const { read } = await import(pathToFileURL(bundle).href);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

async function inNode() {
  const times = [];
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await read.invokeQuery("[{}]");
    times.push((performance.now() - start) * 1000);
  }
  return median(times);
}

const ratios = [];
let kept = "";
for (let round = 0; round < ROUNDS; round++) {
  const theirs = await inNode();
  const text = execFileSync(program, ["read", bundle], { encoding: "utf8" });
  const ours = Number(/median\s+([\d.]+) us/.exec(text)[1]);
  kept = /memory.*/.exec(text)[0];
  ratios.push(ours / theirs);
  console.log(`1,000 documents: ${ours.toFixed(0)} us, Node.js ${theirs.toFixed(0)} us, ratio ${(ours / theirs).toFixed(2)}`);
}
console.log(`median ratio ${median(ratios).toFixed(2)}; ${kept}`);
