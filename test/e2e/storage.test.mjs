// File storage with the official client: upload URLs, secret download URLs, metadata, storing and loading in mutations and actions
// (spec 05 section 1; its checklist 7 to 11).
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { connect } from "node:net";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";

const files = {
  "convex/s.ts": `
import { action, mutation, query } from "./_generated/server"; import { v } from "convex/values";
export const url = mutation({ args: {}, handler: (ctx) => ctx.storage.generateUploadUrl() });
export const urlInAction = action({ args: {}, handler: (ctx) => ctx.storage.generateUploadUrl() });
export const get = query({ args: { id: v.string() }, handler: async (ctx, { id }) => [await ctx.storage.getUrl(id as any), await ctx.storage.getMetadata(id as any), await ctx.db.system.get(id as any)] });
export const list = query({ args: {}, handler: async (ctx) => (await ctx.db.system.query("_storage").collect()).length });
export const remove = mutation({ args: { id: v.id("_storage") }, handler: async (ctx, { id }) => await ctx.storage.delete(id) });
export const storeInMutation = mutation({ args: { text: v.string(), fail: v.boolean() }, handler: async (ctx, { text, fail }) => {
  const id = await (ctx.storage as any).store(new Blob([text], { type: "text/plain" }));
  const back = await (ctx.storage as any).get(id);
  if (fail) throw new Error("no");
  return [id, await back.text(), back.type];
} });
export const storeTyped = mutation({ args: { type: v.string() }, handler: async (ctx, { type }) =>
  await (globalThis as any).Convex.asyncSyscall("1.0/storageStore", JSON.stringify({ requestId: "", version: "1.48.0", blob: "eA==", contentType: type })) });
export const storeInAction = action({ args: { bytes: v.number() }, handler: async (ctx, { bytes }) => {
  const id = await ctx.storage.store(new Blob([new Uint8Array(bytes).fill(7)], { type: "application/x-sevens" }));
  const back = await ctx.storage.get(id);
  const data = new Uint8Array(await back!.arrayBuffer());
  return [id, back!.size, back!.type, data.length, data.every((x) => x === 7), await ctx.storage.getUrl(id)];
} });
export const wrongDigest = action({ args: {}, handler: async (ctx) => { try { await ctx.storage.store(new Blob(["x"]), { sha256: "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" }); } catch (e) { return (e as any).message; } } });
export const copy = action({ args: { url: v.string() }, handler: async (ctx, { url }) => { const r = await fetch(url); return await ctx.storage.store(await r.blob()); } });
export const missing = action({ args: { id: v.string() }, handler: async (ctx, { id }) => { await ctx.storage.delete(id as any); return [await ctx.storage.get(id as any), await ctx.storage.getUrl(id as any)]; } });
`,
};

let server, app, http;

before(async () => {
  server = await new Server({ name: "storage" }).start();
  app = new App(files);
  await app.deploy(server);
  http = new ConvexHttpClient(server.url, { logger: false });
});

after(async () => {
  await server?.remove();
  app?.remove();
});

const upload = async (body, headers = {}) => {
  const answer = await fetch(await http.mutation(anyApi.s.url), { method: "POST", body, headers, duplex: "half" });
  return { status: answer.status, json: await answer.json() };
};
const digest = (bytes) => createHash("sha256").update(bytes).digest();

// 05 checklist 8 and 9
test("up, and down again", async () => {
  const { status, json } = await upload("hello", { "content-type": "text/plain", digest: `sha-256=${digest("hello").toString("base64")}` });
  assert.equal(status, 200);
  const [url, metadata, document] = await http.query(anyApi.s.get, { id: json.storageId });
  assert.match(url, new RegExp(`^${server.url}/api/storage/[0-9a-f-]{36}$`));
  assert.deepEqual([metadata.sha256, metadata.size, metadata.contentType], [digest("hello").toString("hex"), 5, "text/plain"]);
  assert.deepEqual([document.sha256, document.size, document.contentType], [digest("hello").toString("base64"), 5, "text/plain"]);
  const down = await fetch(url);
  assert.deepEqual([await down.text(), down.headers.get("content-type"), down.headers.get("content-length"), down.headers.get("cache-control")],
    ["hello", "text/plain", "5", "private, max-age=2592000"]);
  assert.equal(down.headers.get("digest"), `sha-256=${digest("hello").toString("base64")}`);
  const head = await fetch(url, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length"), await head.text()], [200, "5", ""]);
  await http.mutation(anyApi.s.remove, { id: json.storageId });
  assert.deepEqual(await http.query(anyApi.s.get, { id: json.storageId }), [null, null, null]);
  assert.equal((await fetch(url)).status, 404);
});

test("ranges", async () => {
  const { json } = await upload("0123456789");
  const [url] = await http.query(anyApi.s.get, { id: json.storageId });
  const cases = [["bytes=2-4", 206, "234", "bytes 2-4/10"], ["bytes=7-", 206, "789", "bytes 7-9/10"], ["bytes=-3", 206, "789", "bytes 7-9/10"], ["bytes=5-100", 206, "56789", "bytes 5-9/10"],
    ["bytes=10-", 416, "", "bytes */10"], ["bytes=0-1,3-4", 416, "", "bytes */10"], ["lines=1-2", 200, "0123456789", null], ["bytes=x", 200, "0123456789", null]];
  for (const [range, status, text, content] of cases) {
    const answer = await fetch(url, { headers: { range } });
    assert.deepEqual([range, answer.status, await answer.text(), answer.headers.get("content-range")], [range, status, text, content]);
  }
  const empty = (await upload("")).json;
  const none = await fetch((await http.query(anyApi.s.get, { id: empty.storageId }))[0], { headers: { range: "bytes=0-" } });
  assert.deepEqual([none.status, await none.text()], [200, ""]);
});

test("refusals", async () => {
  const wrong = await upload("other", { digest: `sha-256=${digest("hello").toString("base64")}` });
  assert.deepEqual([wrong.status, wrong.json.code], [400, "Sha256Mismatch"]);
  assert.equal((await upload("x", { digest: "md5=1" })).json.code, "BadHeader");
  assert.equal((await upload("x", { "content-type": "nonsense" })).json.code, "BadHeader");
  const bad = await fetch(`${server.url}/api/storage/upload?token=00`, { method: "POST", body: "x" });
  assert.deepEqual([bad.status, (await bad.json()).code], [401, "StorageTokenInvalid"]);
  const path = await fetch(`${server.url}/api/storage/not-a-uuid`);
  assert.deepEqual([path.status, (await path.json()).code], [400, "InvalidStoragePath"]);
  const preflight = await fetch(await http.mutation(anyApi.s.url), { method: "OPTIONS", headers: { origin: "https://app", "access-control-request-method": "POST" } });
  assert.equal(preflight.headers.get("access-control-allow-origin"), "https://app");
});

test("large files pass through little memory", async () => {
  const rest = server.rss();
  const bytes = randomBytes(48 << 20);
  const { json } = await upload(bytes, { "content-type": "application/octet-stream" });
  const [url, metadata] = await http.query(anyApi.s.get, { id: json.storageId });
  assert.equal(metadata.sha256, digest(bytes).toString("hex"));
  assert.ok(server.rss() < rest + 24 * 1024, `${server.rss()} after ${rest}`);
  assert.ok(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes));
  assert.ok(server.rss() < rest + 24 * 1024, `${server.rss()} after ${rest}`);
});

// 04 checklist 2: storageStore and storageGet of mutations; 05 checklist 11
test("in mutations", async () => {
  const [id, text, type] = await http.mutation(anyApi.s.storeInMutation, { text: "in a mutation", fail: false });
  assert.deepEqual([text, type], ["in a mutation", "text/plain"]);
  assert.equal(await (await fetch((await http.query(anyApi.s.get, { id }))[0])).text(), "in a mutation");
  const before = await http.query(anyApi.s.list);
  await assert.rejects(http.mutation(anyApi.s.storeInMutation, { text: "gone", fail: true }));
  assert.equal(await http.query(anyApi.s.list), before);
});

test("in actions", async () => {
  const [id, size, type, length, same, url] = await http.action(anyApi.s.storeInAction, { bytes: 3 << 20 });
  assert.deepEqual([size, type, length, same], [3 << 20, "application/x-sevens", 3 << 20, true]);
  assert.equal((await (await fetch(url)).arrayBuffer()).byteLength, 3 << 20);
  const copy = await http.action(anyApi.s.copy, { url });
  assert.equal((await http.query(anyApi.s.get, { id: copy }))[1].contentType, "application/x-sevens");
  assert.deepEqual(await http.action(anyApi.s.missing, { id }), [null, null]);
  assert.match(await http.action(anyApi.s.wrongDigest), /does not match the digest/);
  assert.equal((await fetch(await http.action(anyApi.s.urlInAction), { method: "POST", body: "x" })).status, 200);
});

// 05 checklist 7
test("tokens are good for more than one upload, and only as they are", async () => {
  const url = await http.mutation(anyApi.s.url);
  const [a, b] = await Promise.all(["a", "b"].map(async (body) => (await (await fetch(url, { method: "POST", body })).json()).storageId));
  assert.ok(a !== b && a.startsWith("kg2") && b.startsWith("kg2"));
  const before = await http.query(anyApi.s.list);
  const altered = url.slice(0, -1) + (url.endsWith("0") ? "1" : "0");
  for (const [bad, status, code] of [[altered, 401, "StorageTokenInvalid"], [url.slice(0, -2), 401, "StorageTokenInvalid"], [url.replace(/=.*/, "="), 401, "StorageTokenInvalid"],
    [url.replace(/\?.*/, ""), 400, "BadQueryArgs"]]) {
    const answer = await fetch(bad, { method: "POST", body: "x" });
    assert.deepEqual([answer.status, (await answer.json()).code], [status, code]);
  }
  assert.equal((await fetch(url, { method: "PUT", body: "x" })).status, 405);
  const wrong = await upload("not hello", { digest: `sha-256=${digest("hello").toString("base64")}` });
  assert.equal(wrong.json.code, "Sha256Mismatch");
  assert.equal(await http.query(anyApi.s.list), before);
});

// 05 checklist 8
test("what is no secret path", async () => {
  const { storageId } = (await upload("secret")).json;
  const [url] = await http.query(anyApi.s.get, { id: storageId });
  const uuid = url.split("/").at(-1);
  for (const [path, status, code] of [[storageId, 400, "InvalidStoragePath"], ["", 400, "InvalidStoragePath"], [`${uuid}/`, 400, "InvalidStoragePath"], [`../storage/${uuid}x`, 400, "InvalidStoragePath"],
    ["01234567-89ab-4def-8123-456789abcdef", 404, "FileNotFound"], [`${uuid}?component=none`, 404, "FileNotFound"]]) {
    const answer = await fetch(`${server.url}/api/storage/${path}`);
    assert.deepEqual([path, answer.status, (await answer.json()).code], [path, status, code]);
  }
  const upper = await fetch(`${server.url}/api/storage/${uuid.toUpperCase()}`, { headers: { origin: "https://app.example" } });
  assert.deepEqual([upper.status, await upper.text(), upper.headers.get("access-control-allow-origin")], [200, "secret", "https://app.example"]);
  assert.equal((await fetch(url, { headers: { range: "bytes=1-2", "if-range": '"v1"' } })).status, 200);
  assert.equal((await fetch(url, { method: "HEAD", headers: { range: "bytes=1-2" } })).status, 200);
  const part = await fetch(url, { headers: { range: "bytes=1-3" } });
  assert.deepEqual([part.status, await part.text(), part.headers.get("digest"), part.headers.get("accept-ranges")], [206, "ecr", null, "bytes"]);
});

test("types are kept as media types are compared, and make no headers of their own", async () => {
  for (const [sent, kept] of [["Text/HTML; Charset=UTF-8", "text/html; charset=utf-8"], ['multipart/x; Boundary="A;B"', 'multipart/x; boundary="A;B"']]) {
    const { storageId } = (await upload("x", { "content-type": sent })).json;
    assert.equal((await http.query(anyApi.s.get, { id: storageId }))[1].contentType, kept);
  }
  const bytes = await upload(new Uint8Array([1, 2]));
  const [url, metadata] = await http.query(anyApi.s.get, { id: bytes.json.storageId });
  assert.equal(metadata.contentType, null);
  assert.equal((await fetch(url)).headers.get("content-type"), null);
  const id = JSON.parse(await http.mutation(anyApi.s.storeTyped, { type: "text/plain\r\nx-evil: 1" }));
  const evil = await fetch((await http.query(anyApi.s.get, { id }))[0]);
  assert.deepEqual([evil.status, evil.headers.get("x-evil"), evil.headers.get("content-type")], [200, null, null]);
});

// 05 checklist 10
test("live queries hear of what is deleted; nothing is deleted twice", async () => {
  const client = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
  try {
    const { storageId } = (await upload("watched")).json, seen = [];
    client.onUpdate(anyApi.s.get, { id: storageId }, ([url]) => seen.push(url));
    await until(() => seen.length > 0, "the URL");
    await client.mutation(anyApi.s.remove, { id: storageId });
    await until(() => seen.at(-1) === null, "the query to hear of it");
    await assert.rejects(client.mutation(anyApi.s.remove, { id: storageId }), /storage id .* not found/);
  } finally {
    await client.close();
  }
});

/** Sends the head and what `pieces` yields, then hangs up. */
async function interrupted(url, head, pieces) {
  const { port, pathname, search } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  await new Promise((done) => socket.once("connect", done));
  socket.on("error", () => {});
  socket.write(`POST ${pathname}${search} HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`);
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(20);
  }
  socket.destroy();
}

test("uploads that break off leave nothing", async () => {
  const before = await http.query(anyApi.s.list);
  const url = await http.mutation(anyApi.s.url);
  await interrupted(url, "Content-Length: 100000", ["x".repeat(50000)]);
  await interrupted(url, "Transfer-Encoding: chunked", ["5\r\nhello\r\n", "ffff\r\nabc"]);
  await interrupted(url, "Content-Length: 10", []);
  await sleep(200);
  assert.equal(await http.query(anyApi.s.list), before);
  const { readdirSync } = await import("node:fs");
  assert.deepEqual(readdirSync(`${server.dir}/storage/files`).filter((name) => name.endsWith(".tmp")), []);
});

test("a stream of unknown length, and clients that read slowly", async () => {
  const piece = randomBytes(1 << 20), rest = server.rss();
  const body = new ReadableStream({ n: 0, pull(c) { if (this.n++ < 30) c.enqueue(piece); else c.close(); } });
  const { json } = await upload(body);
  const [url, metadata] = await http.query(anyApi.s.get, { id: json.storageId });
  assert.equal(metadata.size, 30 << 20);
  const slow = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(url)).body.getReader()));
  for (const reader of slow) await reader.read();
  await sleep(500);
  assert.ok(server.rss() < rest + 32 * 1024, `${server.rss()} after ${rest}`);
  await Promise.all(slow.map((reader) => reader.cancel()));
  assert.equal((await fetch(url)).headers.get("content-length"), String(30 << 20));
});

test("stopping does not wait for uploads that hang", async () => {
  const url = await http.mutation(anyApi.s.url);
  const { port, pathname, search } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`POST ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
  await sleep(200);
  const begun = performance.now();
  assert.equal((await server.stop()).code, 0);
  assert.ok(performance.now() - begun < 5000);
  socket.destroy();
  await server.start();
});

test("what was acknowledged survives kill -9", async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await upload(`file ${i}`)).json.storageId));
  await server.kill();
  await server.start();
  for (const [i, id] of ids.entries()) {
    const [url] = await http.query(anyApi.s.get, { id });
    assert.equal(await (await fetch(url)).text(), `file ${i}`);
  }
});
