// fetch() in actions against a real server (spec 04 section 7): methods, bodies both ways, redirects, compression, abort.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { after, before, test } from "node:test";
import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { App, Server, sleep, until } from "./lib.mjs";

const files = {
  "convex/f.ts": `
import { action, query } from "./_generated/server"; import { v } from "convex/values";
export const get = action({ args: { url: v.string(), init: v.optional(v.any()) }, handler: async (_, { url, init }) => {
  const r = await fetch(url, init);
  return { status: r.status, text: await r.text(), type: r.headers.get("content-type"), redirected: r.redirected, url: r.url };
} });
export const stream = action({ args: { url: v.string() }, handler: async (_, { url }) => {
  const r = await fetch(url); const seen: number[] = []; const start = Date.now(); let bytes = 0;
  for await (const chunk of r.body as any) { seen.push(Date.now() - start); bytes += chunk.length; }
  return { chunks: seen.length, spread: seen[seen.length - 1] - seen[0], bytes };
} });
export const upload = action({ args: { url: v.string() }, handler: async (_, { url }) => {
  let n = 0;
  const body = new ReadableStream({ async pull(c) { if (n++ === 5) { c.close(); return; } await new Promise((r) => setTimeout(r, 5)); c.enqueue(new TextEncoder().encode("part" + n)); } });
  return await (await fetch(url, { method: "POST", body, duplex: "half" } as any)).text();
} });
export const big = action({ args: { url: v.string(), bytes: v.number() }, handler: async (_, { url, bytes }) => {
  const r = await fetch(url, { method: "POST", body: new Uint8Array(bytes).fill(65) });
  return (await r.arrayBuffer()).byteLength;
} });
export const abort = action({ args: { url: v.string() }, handler: async (_, { url }) => {
  const c = new AbortController(); setTimeout(() => c.abort(), 30);
  try { await fetch(url, { signal: c.signal }); return "answered"; } catch (e) { return [(e as any).name, (e as any).message]; }
} });
export const form = action({ args: { url: v.string() }, handler: async (_, { url }) => {
  const f = new FormData(); f.append("a", "1"); f.append("file", new Blob(["content"], { type: "text/plain" }), "x.txt");
  const sent = JSON.parse(await (await fetch(url, { method: "POST", body: f })).text());
  const back = await new Response(sent.body, { headers: { "content-type": sent.headers["content-type"] } }).formData();
  return [back.get("a"), (back.get("file") as File).name, await (back.get("file") as File).text()];
} });
export const refused = action({ args: {}, handler: async () => { try { await fetch("http://127.0.0.1:1/"); } catch (e) { return [(e as any).name, typeof (e as any).message]; } } });
export const inQuery = query({ args: { what: v.string() }, handler: async (_, { what }) => { if (what === "fetch") { try { await fetch("http://x/"); } catch (e) { return (e as any).message; } } setTimeout(() => {}, 1); return "x"; } });
`,
};

let server, app, http, peer, peerUrl;

async function answer(req, res) {
  const { pathname } = new URL(req.url, "http://x");
  if (pathname === "/echo") {
    const parts = [];
    for await (const c of req) parts.push(c);
    res.setHeader("content-type", "application/json").end(JSON.stringify({ method: req.method, headers: req.headers, body: Buffer.concat(parts).toString() }));
  } else if (pathname === "/mirror") {
    req.pipe(res);
  } else if (pathname === "/gzip") {
    res.setHeader("content-encoding", "gzip").end(gzipSync("squeezed"));
  } else if (pathname === "/slow") {
    for (let i = 0; i < 6; i++) {
      res.write("x".repeat(1000));
      await sleep(40);
    }
    res.end();
  } else if (pathname === "/hang") {
    res.on("close", () => (peer.hung = (peer.hung ?? 0) + 1));
  } else if (pathname.startsWith("/redirect/")) {
    const [, , status, left] = pathname.split("/");
    res.writeHead(Number(status), { location: Number(left) > 1 ? `/redirect/${status}/${Number(left) - 1}` : "/echo" }).end();
  } else {
    res.writeHead(404).end("no");
  }
}

before(async () => {
  server = await new Server({ name: "fetch" }).start();
  app = new App(files);
  await app.deploy(server);
  http = new ConvexHttpClient(server.url, { logger: false });
  peer = createServer(answer);
  await new Promise((done) => peer.listen(0, "127.0.0.1", done));
  peerUrl = `http://127.0.0.1:${peer.address().port}`;
});

after(async () => {
  peer?.closeAllConnections();
  peer?.close();
  await server?.remove();
  app?.remove();
});

const get = (path, init) => http.action(anyApi.f.get, { url: peerUrl + path, init });
const failure = async (args) => (await server.post("/api/action", { path: "f:get", args, format: "json" })).json.errorMessage;

test("requests and responses", async () => {
  const echo = await get("/echo", { method: "POST", headers: { "x-a": "1" }, body: "hello" });
  const seen = JSON.parse(echo.text);
  assert.deepEqual([seen.method, seen.body, seen.headers["x-a"], seen.headers["content-length"], seen.headers["user-agent"]], ["POST", "hello", "1", "5", "Convex/1.0"]);
  assert.equal(echo.type, "application/json");
  assert.equal((await get("/nothing")).status, 404);
  assert.deepEqual(await http.action(anyApi.f.refused), ["Error", "string"]);
  assert.match(await failure({ url: "ftp://x/" }), /Unsupported URL scheme -- http and https are supported \(scheme was ftp\)/);
});

// 04 checklist 43: gzip is decoded; loopback is allowed
test("compression", async () => {
  assert.equal((await get("/gzip")).text, "squeezed");
});

// 04 checklist 43: the redirect table
test("redirects", async () => {
  const moved = await get("/redirect/302/3", { method: "POST", body: "x" });
  assert.deepEqual([moved.redirected, JSON.parse(moved.text).method, moved.url], [true, "GET", `${peerUrl}/echo`]);
  assert.equal(JSON.parse((await get("/redirect/307/1", { method: "POST", body: "x" })).text).body, "x");
  assert.equal((await get("/redirect/302/1", { redirect: "manual" })).status, 302);
  assert.match(await failure({ url: `${peerUrl}/redirect/302/25` }), /fetch too many redirects/);
  assert.match(await failure({ url: `${peerUrl}/redirect/302/1`, init: { redirect: "error" } }), /fetch attempted redirect/);
});

test("streams both ways", async () => {
  const streamed = await http.action(anyApi.f.stream, { url: `${peerUrl}/slow` });
  assert.ok(streamed.bytes === 6000 && streamed.chunks >= 4 && streamed.spread > 100, JSON.stringify(streamed));
  assert.equal(JSON.parse(await http.action(anyApi.f.upload, { url: `${peerUrl}/echo` })).body, "part1part2part3part4part5");
  assert.equal(await http.action(anyApi.f.big, { url: `${peerUrl}/mirror`, bytes: 8 << 20 }), 8 << 20);
  assert.deepEqual(await http.action(anyApi.f.form, { url: `${peerUrl}/echo` }), ["1", "x.txt", "content"]);
});

// 04 checklist 43: abort
test("abort", async () => {
  assert.deepEqual(await http.action(anyApi.f.abort, { url: `${peerUrl}/hang` }), ["AbortError", "The signal has been aborted"]);
  await until(() => peer.hung > 0, "the aborted request to be closed");
});

// 04 checklist 25
test("not in queries", async () => {
  assert.match(await http.query(anyApi.f.inQuery, { what: "fetch" }), /^Can't use fetch\(\) in queries and mutations\. Please consider using an action\./);
  const timer = await server.post("/api/query", { path: "f:inQuery", args: { what: "timer" }, format: "json" });
  assert.match(timer.json.errorMessage, /Can't use setTimeout in queries and mutations/);
});

// --convex-http-proxy (spec 04 section 7): everything goes through it, and what it refuses with 407 is forbidden.
test("through a proxy", async () => {
  const seen = [];
  const proxy = createServer((req, res) => {
    seen.push(req.url);
    if (req.url.includes("forbidden")) return res.writeHead(407).end();
    res.end("by proxy");
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  const behind = await new Server({ name: "behind", extra: ["--convex-http-proxy", `http://127.0.0.1:${proxy.address().port}`] }).start();
  try {
    await app.deploy(behind);
    const client = new ConvexHttpClient(behind.url, { logger: false });
    assert.equal((await client.action(anyApi.f.get, { url: "http://elsewhere.example/a" })).text, "by proxy");
    const refused = await behind.post("/api/action", { path: "f:get", args: { url: "http://elsewhere.example/forbidden" }, format: "json" });
    assert.match(refused.json.errorMessage, /Request to http:\/\/elsewhere\.example\/forbidden forbidden/);
    assert.deepEqual(seen, ["http://elsewhere.example/a", "http://elsewhere.example/forbidden"]);
  } finally {
    proxy.close();
    await behind.remove();
  }
});
