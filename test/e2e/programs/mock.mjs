// convex-test as a side: the package as it is, or a copy in which named weaknesses can be corrected one by one.
import { convexTest } from "convex-test";
import { anyApi } from "convex/server";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { WEAKNESSES } from "./weaknesses.mjs";

const api = anyApi.interpret;

class Mock {
  constructor(make, folder) {
    const load = (name) => () => import(pathToFileURL(join(folder, name)).href);
    this.make = async () => make((await load("schema.js")()).default, {
      "./_generated/server.js": load("_generated/server.js"), "./interpret.js": load("interpret.js"),
    });
  }

  async reset() { this.t = await this.make(); }
  mutation(args) { return this.t.mutation(api.write, args); }
  query(args) { return this.t.query(api.read, args); }
  dump() { return this.t.query(api.dump, {}); }
}

/** The package as it is published; `folder` holds the deployed functions. */
export function originalMock(folder) {
  return new Mock(convexTest, folder);
}

/** A copy whose weaknesses are corrected while `globalThis.corrected` has their names. */
export async function correctedMock(folder, packages, scratch) {
  const from = join(packages, "convex-test/dist");
  mkdirSync(scratch, { recursive: true });
  cpSync(join(from, "transactionMetrics.js"), join(scratch, "transactionMetrics.js"));
  symlinkSync(packages, join(scratch, "node_modules"));
  writeFileSync(join(scratch, "package.json"), `{"type":"module"}`);
  let text = readFileSync(join(from, "index.js"), "utf8");
  for (const { name, edits } of WEAKNESSES) {
    for (const [old, corrected] of edits) {
      if (text.split(old).length !== 2) throw new Error(`convex-test no longer contains, or contains twice, what "${name}" corrects:\n${old}`);
      text = text.replace(old, () => corrected.replaceAll("FIXED", `globalThis.corrected.has(${JSON.stringify(name)})`));
    }
  }
  writeFileSync(join(scratch, "index.js"), text);
  const copy = await import(pathToFileURL(join(scratch, "index.js")).href);
  return new Mock(copy.convexTest, folder);
}
