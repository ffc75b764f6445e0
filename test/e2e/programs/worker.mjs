// A thread with convex-test, as it is or corrected: the package keeps state in globals, so that two copies need two threads.
import { parentPort, workerData } from "node:worker_threads";
import { Side } from "./compare.mjs";
import { correctedMock, originalMock } from "./mock.mjs";

/** Which corrections are on, and which of those that are were passed by. */
class Switches {
  constructor(names) {
    this.on = new Set(names);
    this.passed = new Set();
  }

  has(name) {
    if (this.on.has(name)) this.passed.add(name);
    return this.on.has(name);
  }
}

globalThis.corrected = new Switches([]);
const { folder, packages, scratch } = workerData;
const side = new Side(scratch ? await correctedMock(folder, packages, scratch) : originalMock(folder));
parentPort.on("message", async ({ program, names }) => {
  globalThis.corrected = new Switches(names);
  try {
    parentPort.postMessage({ results: await side.run(program), passed: [...globalThis.corrected.passed] });
  } catch (e) {
    parentPort.postMessage({ error: String(e.stack) });
  }
});
