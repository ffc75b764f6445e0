// examples/chat in headless Chromium: two pages talk, live, across a kill -9 of the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createServer } from "node:http";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { root, run, Server, tempDir, until } from "./lib.mjs";

const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

function serveFolder(folder) {
  return new Promise((done) => {
    const server = createServer((request, response) => {
      const path = new URL(request.url, "http://x").pathname;
      const file = join(folder, path === "/" ? "index.html" : path);
      try {
        const body = readFileSync(file);
        response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" }).end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    server.listen(0, "127.0.0.1", () => done(server));
  });
}

test("two browsers chat through the server, across a kill -9", { timeout: 180000 }, async () => {
  const server = await new Server().start();
  const dir = join(tempDir(), "chat");
  const source = join(root, "examples/chat");
  cpSync(source, dir, { recursive: true, filter: (path) => !path.includes("node_modules") && !path.endsWith(".env.local") });
  symlinkSync(join(source, "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, ".env.local"),
    `CONVEX_SELF_HOSTED_URL=${server.url}\nCONVEX_SELF_HOSTED_ADMIN_KEY=${server.adminKey}\n`);
  let browser, pages;
  try {
    const env = { ...process.env, CI: "1" };
    const deployed = await run("node", [join(dir, "node_modules/convex/bin/main.js"), "dev", "--once"], { cwd: dir, env });
    assert.equal(deployed.code, 0, deployed.all);
    const built = await run("node", [join(dir, "node_modules/vite/bin/vite.js"), "build"], { cwd: dir, env });
    assert.equal(built.code, 0, built.all);
    for (let i = 0; i < 15; i++) {
      const sent = await server.post("/api/mutation", { path: "messages:send", args: { channel: "general", author: "old", body: `before ${i}` } });
      assert.equal(sent.json?.status, "success", sent.text);
    }
    pages = await serveFolder(join(dir, "dist"));
    const origin = `http://127.0.0.1:${pages.address().port}`;

    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu",
      "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
    const complaints = [];
    let killed = false;
    const visit = async (name) => {
      const page = await (await browser.newContext()).newPage();
      page.on("console", (line) => {
        const text = line.text();
        if (["warning", "error"].includes(line.type()) && !killed && !/favicon/.test(text + line.location().url)) complaints.push(text);
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      await page.goto(`${origin}/?as=${name}`);
      await page.waitForFunction(() => document.querySelector("#state")?.textContent === "connected");
      return page;
    };
    const say = async (page, text) => {
      await page.fill("#text", text);
      await page.click("#send");
    };
    const hears = (page, text) => page.waitForFunction((t) => document.querySelector("#messages")?.textContent.includes(t), text, { timeout: 30000 });

    const ada = await visit("ada"), grace = await visit("grace");
    await say(ada, "hello grace");
    await hears(grace, "ada: hello grace");
    await say(grace, "hello ada");
    await hears(ada, "grace: hello ada");
    await ada.waitForFunction(() => document.querySelector("#count-general").textContent === "17");

    // The first page ends where it ended when it was loaded, however much comes in on top.
    for (let i = 0; i < 12; i++) await say(ada, `line ${i}`);
    await hears(grace, "line 11");
    assert.equal((await grace.textContent("#messages")).includes("before 0"), false);
    await grace.click("#more");
    await hears(grace, "old: before 0");
    const shown = await grace.evaluate(() => [...document.querySelectorAll("#messages li")].map((li) => li.textContent));
    assert.equal(new Set(shown).size, 15 + 2 + 12, "no gap and no overlap between pages");

    killed = true;
    await server.kill();
    await say(ada, "said while the server was down");
    await server.start();
    await hears(grace, "said while the server was down");
    await hears(ada, "said while the server was down");
    await say(grace, "still here");
    await hears(ada, "grace: still here");
    const times = await grace.evaluate(() => [...document.querySelectorAll("#messages li")].map((li) => li.textContent));
    assert.equal(times.filter((t) => t.includes("said while the server was down")).length, 1);
    assert.deepEqual(complaints, [], "the client logged nothing");
  } finally {
    await browser?.close();
    pages?.close();
    await server.remove();
  }
});
