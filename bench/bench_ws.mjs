// The official client as a closed-loop driver.   node bench_ws.mjs URL CLIENTS SECONDS ALPHA ACCOUNTS
import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";

const [url, clients, seconds, alpha, accounts] = process.argv.slice(2).map((v, i) => (i ? Number(v) : v));
let cumulative = null;
if (alpha > 0) {
  const weights = Array.from({ length: accounts }, (_, i) => 1 / (i + 1) ** alpha);
  const total = weights.reduce((a, b) => a + b);
  let sum = 0;
  cumulative = weights.map((w) => (sum += w / total));
}
const pick = () => {
  if (!cumulative) return Math.floor(Math.random() * accounts);
  const u = Math.random();
  let lo = 0, hi = accounts - 1;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (cumulative[mid] < u) lo = mid + 1;
    else hi = mid;
  }
  return lo;
};
const latencies = [];
let errors = 0;
const open = Array.from({ length: clients }, () => new ConvexClient(url, { webSocketConstructor: WebSocket, logger: false }));
await Promise.all(open.map((client) => client.query(anyApi.accounts.get_account, { id: 0 })));
const begun = performance.now();
await Promise.all(open.map(async (client) => {
  while (performance.now() - begun < seconds * 1000) {
    const from_id = pick();
    let to_id = pick();
    while (to_id === from_id) to_id = pick();
    const sent = performance.now();
    try {
      await client.mutation(anyApi.transfer.transfer, { amount: 1, from_id, to_id });
    } catch {
      errors++;
    }
    latencies.push(performance.now() - sent);
  }
}));
const took = (performance.now() - begun) / 1000;
latencies.sort((a, b) => a - b);
console.log(JSON.stringify({ ops: latencies.length, per_second: latencies.length / took, p50_ms: latencies[latencies.length >> 1],
  p99_ms: latencies[Math.floor(latencies.length * 0.99)], errors }));
for (const client of open) await client.close();
