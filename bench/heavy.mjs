// What functions that compute cost: in the isolate, in V8 (the full-engine tier), in plain Node.js.
//
//     FRESNEL_BIN=build/fresnel node bench/heavy.mjs
//
// Needs `npm ci` in test/e2e.  Without Node.js in its PATH the server has only the isolate.
import { performance } from "node:perf_hooks";
import { createRequire } from "node:module";
import { App, here, Server } from "../test/e2e/lib.mjs";

const require = createRequire(`${here}/package.json`);
const bcrypt = require("bcryptjs");
const { ConvexHttpClient } = require("convex/browser");
const { anyApi: api } = require("convex/server");

const source = `
import { query, action } from "./_generated/server";
import bcrypt from "bcryptjs";
export const sort = query(async (ctx, { n }) => {
  const items = Array.from({ length: n }, (_, i) => ({ id: (i * 7919) % n, group: i % 100, name: "item " + i }));
  items.sort((a, b) => a.id - b.id);
  const groups = new Map();
  for (const item of items) groups.set(item.group, (groups.get(item.group) ?? 0) + 1);
  return groups.size;
});
export const hash = action(async () => (await bcrypt.hash("secret", 10)).length);
export const nothing = query(async () => 1);
`;

async function time(name, rounds, call) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const begun = performance.now();
    try {
      await call(i);
    } catch (error) {
      console.log(`${name}: ${error.message.split("\n")[1] ?? error.message}`);
      return;
    }
    times.push(performance.now() - begun);
  }
  const later = times.slice(1).sort((a, b) => a - b);
  console.log(`${name}: first ${times[0].toFixed(0)} ms, then ${later[later.length >> 1].toFixed(1)} ms`);
}

async function measure(label, path) {
  const own = process.env.PATH;
  const server = new Server();
  process.env.PATH = path;
  await server.start();
  process.env.PATH = own;
  const app = new App({ "convex/heavy.ts": source });
  await app.deploy(server);
  const client = new ConvexHttpClient(server.url);
  await client.query(api.heavy.nothing, {});
  await time(`${label}, bcryptjs at cost 10`, 6, () => client.action(api.heavy.hash, {}));
  await time(`${label}, 200,000 objects sorted and grouped`, 6, (i) => client.query(api.heavy.sort, { n: 200000 + i }));
  await server.remove();
  app.remove();
}

await time("plain Node.js, bcryptjs at cost 10", 6, () => bcrypt.hash("secret", 10));
await measure("with Node.js", process.env.PATH);
await measure("isolate only", "/nowhere");
