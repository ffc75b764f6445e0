// Random programs of queries and mutations against convex-test, the mock that applications test with, and against this server:
// the same functions, the same arguments, the same answers.
//
// Where they differ, the program runs once more on a copy of the mock in which its known weaknesses (programs/weaknesses.mjs) are
// corrected; only if that copy then agrees with the server is the difference excused, and put down to the corrections it needed.
//
//   PROGRAMS=2000 SEED=1   how many, and the seed of the first one; the others follow it
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { App, Server, filesOf, here, tempDir } from "./lib.mjs";
import { Side, difference, show, shrink } from "./programs/compare.mjs";
import { generate } from "./programs/generate.mjs";
import { WEAKNESSES } from "./programs/weaknesses.mjs";

const PROGRAMS = Number(process.env.PROGRAMS ?? 2000);
const ATTRIBUTED = 30; // excused programs of which the corrections are counted, which takes some runs each
const SEED = Number(process.env.SEED ?? 1);

class Fresnel {
  constructor(url) {
    this.client = new ConvexHttpClient(url, { logger: false });
  }

  reset() { return this.client.mutation(anyApi.interpret.wipe, {}); }
  mutation(args) { return this.client.mutation(anyApi.interpret.write, args); }
  query(args) { return this.client.query(anyApi.interpret.read, args); }
  dump() { return this.client.query(anyApi.interpret.dump, {}); }
}

/** A mock in a thread; with a scratch folder the corrected copy. */
class Mock {
  constructor(folder, scratch) {
    this.worker = new Worker(new URL("./programs/worker.mjs", import.meta.url),
      { workerData: { folder, packages: join(here, "node_modules"), scratch } });
  }

  async run(program, names = []) {
    this.worker.postMessage({ program, names });
    const [{ results, passed, error }] = await once(this.worker, "message");
    if (error) throw new Error(error);
    return { results, passed };
  }
}

/** The fewest corrections, by leaving out one after the other of those that ran, with which the copy agrees. */
async function needed(corrected, program, results, names) {
  for (const name of [...names]) {
    const rest = names.filter((n) => n !== name);
    if (!difference((await corrected.run(program, rest)).results, results)) names = rest;
  }
  return names;
}

test(`${PROGRAMS} random programs agree with convex-test`, async () => {
  const server = await new Server().start();
  const app = new App(filesOf(join(here, "programs"), ["schema.js", "interpret.js"]));
  const mocks = [], scratch = tempDir();
  try {
    await app.deploy(server);
    const folder = join(app.dir, "convex");
    const original = new Mock(folder), corrected = new Mock(folder, join(scratch, "mock")), fresnel = new Side(new Fresnel(server.url));
    mocks.push(original, corrected);
    const excused = new Map();
    let compared = 0, failed = 0, same = 0, attributed = 0, differing = 0;
    for (let i = 0; i < PROGRAMS && differing < 5; i++) {
      const program = generate(SEED + i);
      const [a, b] = await Promise.all([original.run(program), fresnel.run(program)]);
      compared += b.flat().length;
      failed += b.flat().filter((r) => r?.failed !== undefined || r?.transaction !== undefined).length;
      if (!difference(a.results, b)) {
        same++;
        continue;
      }
      const all = WEAKNESSES.map((w) => w.name);
      const { results, passed } = await corrected.run(program, all);
      if (!difference(results, b)) {
        if (attributed++ < ATTRIBUTED) for (const name of await needed(corrected, program, b, passed)) excused.set(name, (excused.get(name) ?? 0) + 1);
        continue;
      }
      differing++;
      const differs = async (p) => difference((await corrected.run(p, all)).results, await fresnel.run(p));
      const small = await shrink(program, differs);
      console.log(`# seed ${SEED + i} disagrees; the smallest program that does:\n${show(small)}\n${JSON.stringify(await differs(small), null, 1)}`);
    }
    console.log(`# ${PROGRAMS} programs from seed ${SEED}: ${compared} results compared, ${failed} of them failures; ${same} programs agree with the mock as it is`);
    console.log(`# of the first ${Math.min(attributed, ATTRIBUTED)} of ${attributed} others: ${[...excused].map(([name, n]) => `${name} ${n}`).join(", ")}`);
    assert.equal(differing, 0, `${differing} programs disagree`);
  } finally {
    for (const { worker } of mocks) await worker.terminate();
    rmSync(scratch, { recursive: true, force: true });
    await server.remove();
    app.remove();
  }
});
