// A full disk: mutations are refused with words, queries and subscriptions go on, and when there is space again writes work, in the
// same process; nothing acknowledged is lost.  The database lies on a small tmpfs of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, tempDir, until } from "./lib.mjs";

const files = {
  "convex/notes.ts": `import { query, mutation } from "./_generated/server"; import { v } from "convex/values";
    export const add = mutation({ args: { n: v.number(), pad: v.string() }, handler: async (ctx, note) => { await ctx.db.insert("notes", note); } });
    export const count = query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).length });`,
};

/** A file system of so many MiB; undefined: this user may not mount one. */
function smallDisk(mib) {
  const dir = tempDir();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", dir], { stdio: "ignore" });
    return dir;
  } catch {
    rmSync(dir, { recursive: true });
    return undefined;
  }
}

const metric = async (server, name) => Number(new RegExp(`^${name} (.*)$`, "m").exec(await (await fetch(`${server.url}/metrics`)).text())?.[1] ?? 0);

test("a full disk refuses writes and nothing else, and passes", async (t) => {
  const dir = smallDisk(64);
  if (!dir) return t.skip("may not mount a tmpfs");
  const server = new Server({ dir });
  const app = new App(files);
  let socket;
  try {
    await server.start();
    await app.deploy(server);
    const http = new ConvexHttpClient(server.url, { logger: false });
    socket = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
    let seen = -1, acknowledged = 0;
    socket.onUpdate(anyApi.notes.count, {}, (n) => (seen = n));
    const pad = "x".repeat(20000);
    const add = (client) => client.mutation(anyApi.notes.add, { n: acknowledged, pad }).then(() => acknowledged++);
    for (let i = 0; i < 20; i++) await add(i % 2 ? http : socket);

    // Somebody else fills the disk.
    const filler = join(dir, "filler");
    assert.throws(() => writeFileSync(filler, Buffer.alloc(64 << 20)), /ENOSPC/);
    let refusal;
    for (let i = 0; i < 3000 && !refusal; i++) await add(i % 2 ? http : socket).catch((e) => (refusal = e));
    assert.match(refusal.message, /The disk that holds the database is full: writes are refused until there is space again\. Reads go on\./);
    for (let i = 0; i < 20; i++) { // small ones may fit; large ones do not
      await assert.rejects(http.mutation(anyApi.notes.add, { n: -1, pad: pad.repeat(30) }), /database is full/);
      await assert.rejects(socket.mutation(anyApi.notes.add, { n: -1, pad: pad.repeat(30) }), /database is full/);
      assert.equal(await http.query(anyApi.notes.count, {}), acknowledged);
      assert.equal(await socket.query(anyApi.notes.count, {}), acknowledged);
    }
    await sleep(1500);
    assert.equal(await http.query(anyApi.notes.count, {}), acknowledged);
    assert.ok((await metric(server, "fresnel_store_disk_full")) > 0);

    rmSync(filler);
    await until(() => http.mutation(anyApi.notes.add, { n: -1, pad: pad.repeat(30) }).then(() => (acknowledged++, true), () => false), "writes to be accepted again");
    for (let i = 0; i < 50; i++) await add(i % 2 ? http : socket);
    await until(() => seen === acknowledged, "the subscription to catch up");
    // SQLite tries again once a second; the log has room before.
    await until(async () => (await metric(server, "fresnel_store_disk_full")) === 0, "SQLite to have space again");
    assert.equal(server.output.match(/is full: writes are refused/g).length, 1, server.output);
    assert.equal(server.output.match(/has space again/g).length, 1);

    await server.kill();
    await server.start();
    assert.equal(await http.query(anyApi.notes.count, {}), acknowledged);
  } finally {
    await socket?.close();
    await server.stop();
    execFileSync("umount", [dir]);
    rmSync(dir, { recursive: true, force: true });
  }
});
