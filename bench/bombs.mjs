// bombs.mjs - what functions that burn CPU or memory do to everybody else.   node bombs.mjs [SECONDS [BOMBS]]
//
// Latencies of a small query, one after the other, while bombs of one kind run beside it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { call, makeWorkFolder, pushApp, rpc, rssMiB, sleep, startServer, stop } from "./lib.mjs";

const seconds = Number(process.argv[2] ?? 5), together = Number(process.argv[3] ?? 1), port = 3460;
const bombs = {
  none: "return 0",
  loop: "for (;;);",
  promises: "const f = () => Promise.resolve().then(f); return f()",
  regexp: "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
  indexOf: "return [].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
  parse: "const s = JSON.stringify(Array(300000).fill(1.5)); for (;;) JSON.parse(s)",
  sort: "const a = Array.from({ length: 1e6 }, (_, i) => (i * 7919) % 1000003); for (;;) a.slice().sort()",
  memory: "const a = []; for (;;) a.push(new Array(1000).fill(1))",
  buffers: "const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))",
};

async function latencies(ms) {
  const list = [], end = performance.now() + ms;
  while (performance.now() < end) {
    const sent = performance.now();
    await rpc(port, "/api/query", { path: "bombs:small", args: { n: list.length } });
    list.push(performance.now() - sent);
    await sleep(1);
  }
  return list.sort((a, b) => a - b);
}

const work = makeWorkFolder();
mkdirSync(join(work, "app/convex"), { recursive: true });
writeFileSync(join(work, "app/convex/bombs.ts"), `import { query } from "./_generated/server";
export const small = query({ handler: async (ctx: any, { n }: any) => n });
${Object.entries(bombs).map(([name, body]) => `export const ${name === "none" ? "none" : "b_" + name} = query({ handler: async (ctx: any, { k }: any): Promise<any> => { ${body} } });`).join("\n")}
`);
const server = await startServer(work, port, process.argv.slice(4));
pushApp(work, port);
await latencies(500);
let base;
for (const name of Object.keys(bombs)) {
  let on = true, ended = 0, slowest = 0, error = "";
  const beside = Array.from({ length: name === "none" ? 0 : together }, async (_, lane) => {
    while (on) {
      const sent = performance.now();
      const answer = await rpc(port, "/api/query", { path: `bombs:b_${name}`, args: { k: lane + ended * 8 } });
      slowest = Math.max(slowest, performance.now() - sent);
      error = (answer.errorMessage ?? "").split("\n")[1] ?? JSON.stringify(answer);
      ended++;
    }
  });
  await sleep(300);
  const list = await latencies(seconds * 1000);
  on = false;
  await Promise.all(beside);
  const at = (q) => list[Math.floor(list.length * q)].toFixed(2);
  base ??= Number(at(0.99));
  console.log(`${name.padEnd(9)} query p50 ${at(0.5)} p90 ${at(0.9)} p99 ${at(0.99)} max ${at(0.9999)} ms (${(Number(at(0.99)) / base).toFixed(1)}x)` +
    `   bombs ${ended}, slowest ${slowest.toFixed(0)} ms, server ${rssMiB(server.pid).toFixed(0)} MiB  ${error}`);
}
await stop([server], work);
