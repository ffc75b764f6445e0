// HTTP actions from outside (spec 04 section 6): routing, bodies in both directions, failures, clients that leave, and what
// apps build of it: webhooks, server-sent events, proxies, CORS.  All of it in both engines: a module that names
// WebAssembly has its routes run in V8.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { App, Server, sleep, until } from "./lib.mjs";

const http = `
import { httpRouter } from "convex/server";
import { ConvexError } from "convex/values";
import { httpAction } from "./_generated/server";
import { internal } from "./_generated/api";

const http = httpRouter();
const text = (t, init) => new Response(t, init);
const get = (path, handler) => http.route({ path, method: "GET", handler: httpAction(handler) });
const post = (path, handler) => http.route({ path, method: "POST", handler: httpAction(handler) });
const prefix = (pathPrefix, method, handler) => http.route({ pathPrefix, method, handler: httpAction(handler) });

get("/exact", async () => text("exact"));
prefix("/exact/", "GET", async () => text("prefix that looks exact"));
prefix("/a/", "GET", async () => text("short"));
prefix("/a/b/", "GET", async (ctx, r) => text("long " + new URL(r.url).pathname));
get("/a/b/c", async () => text("exactly"));
get("/method", async (ctx, r) => text(r.method, { headers: { "x-method": r.method } }));
post("/method", async (ctx, r) => text(r.method));
for (const method of ["PUT", "PATCH", "DELETE"]) {
  http.route({ path: "/method", method, handler: httpAction(async (ctx, r) => text(r.method + " " + (await r.text()))) });
}

post("/echo", async (ctx, r) => new Response(await r.arrayBuffer(), { headers: { "content-type": r.headers.get("content-type") ?? "none" } }));
get("/request", async (ctx, r) => Response.json({ url: r.url, headers: [...r.headers], body: r.body === null }));
post("/empty", async (ctx, r) => Response.json({ body: r.body === null, text: await r.text() }));
get("/nothing", async () => new Response(null, { status: 204 }));
get("/headers", async () => {
  const headers = new Headers([["x-a", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2; Path=/"]]);
  headers.append("x-latin", "caf\\u00e9");
  return new Response("h", { status: 418, statusText: "ignored", headers });
});
get("/binary", async () => new Response(Uint8Array.from({ length: 256 }, (_, i) => i)));
get("/blob", async () => new Response(new Blob(["ab", "cd"], { type: "text/x-blob" })));
post("/form", async (ctx, r) => {
  const form = await r.formData();
  return Response.json([...form].map(([k, v]) => [k, typeof v === "string" ? v : v.name + ":" + v.size]));
});

get("/stream", async () => {
  const { readable, writable } = new TransformStream();
  (async () => {
    const writer = writable.getWriter();
    for (let i = 0; i < 5; i++) {
      await writer.write(new TextEncoder().encode("part" + i + ";"));
      await new Promise((done) => setTimeout(done, 100));
    }
    await writer.close();
  })();
  return new Response(readable);
});
get("/endless", async (ctx, r) => {
  const size = Number(new URL(r.url).searchParams.get("size"));
  return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(size)); } }));
});
get("/breaks", async () => new Response(new ReadableStream({
  start(c) { c.enqueue(new TextEncoder().encode("some")); },
  async pull() { await new Promise((done) => setTimeout(done, 50)); throw new Error("broken stream"); },
})));
post("/lines", async (ctx, r) => { // answers each piece as it comes
  const reader = r.body.getReader();
  return new Response(new ReadableStream({
    async pull(c) {
      const { value, done } = await reader.read();
      if (done) c.close();
      else c.enqueue(new TextEncoder().encode("<" + new TextDecoder().decode(value) + ">"));
    },
  }));
});
post("/count", async (ctx, r) => {
  let n = 0;
  for await (const chunk of r.body) n += chunk.length;
  return text(String(n));
});
post("/ignore", async () => text("not read", { status: 401 }));

get("/throws", async () => { throw new Error("boom"); });
get("/convexError", async () => { throw new ConvexError({ code: 7n, why: "because" }); });
get("/deepError", async (ctx) => { await ctx.runMutation(internal.store.fails, {}); return text("no"); });
get("/noResponse", async () => "hello");
get("/forever", async () => { await new Promise(() => {}); });
get("/huge", async () => {
  const piece = new Uint8Array(6 << 20);
  let n = 0;
  return new Response(new ReadableStream({ pull(c) { if (n++ < 5) c.enqueue(piece); else { c.enqueue(new Uint8Array(1000)); c.close(); } } }));
});

get("/user", async (ctx) => {
  try {
    return Response.json({ user: await ctx.auth.getUserIdentity() });
  } catch (e) {
    return Response.json({ error: String(e) });
  }
});

get("/wait", async (ctx, r) => {
  const name = new URL(r.url).searchParams.get("name");
  r.signal.addEventListener("abort", () => { ctx.runMutation(internal.store.note, { name: name + " aborted" }); });
  await ctx.runMutation(internal.store.note, { name: name + " began" });
  await new Promise((done) => setTimeout(done, 1500));
  await ctx.runMutation(internal.store.note, { name: name + " finished" });
  return text("too late");
});
get("/notes", async (ctx) => Response.json(await ctx.runQuery(internal.store.notes, {})));

post("/webhook", async (ctx, r) => { // as payment services sign theirs
  const body = await r.text();
  const [t, v1] = r.headers.get("x-signature").split(",").map((part) => part.split("=")[1]);
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("whsec"), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const signature = Uint8Array.from(v1.match(/../g), (hex) => parseInt(hex, 16));
  const good = await crypto.subtle.verify("HMAC", key, signature, new TextEncoder().encode(t + "." + body));
  if (!good) return text("bad signature", { status: 400 });
  await ctx.runMutation(internal.store.note, { name: "paid " + JSON.parse(body).amount });
  return new Response(null, { status: 200 });
});

get("/events", async () => {
  let n = 0;
  return new Response(new ReadableStream({
    async pull(c) {
      await new Promise((done) => setTimeout(done, 20));
      c.enqueue(new TextEncoder().encode("event: tick\\ndata: " + JSON.stringify({ n }) + "\\n\\n"));
      if (++n === 5) c.close();
    },
  }), { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
});

const proxy = httpAction(async (ctx, r) => {
  const url = new URL(r.url);
  const hasBody = r.method !== "GET" && r.method !== "HEAD";
  const answer = await fetch(process.env.ORIGIN + url.pathname.slice("/proxy".length) + url.search,
    { method: r.method, headers: { "x-proxied": "yes", "content-type": r.headers.get("content-type") ?? "" }, body: hasBody ? r.body : undefined });
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
});
for (const method of ["GET", "POST"]) http.route({ pathPrefix: "/proxy/", method, handler: proxy });

http.route({ path: "/cors", method: "OPTIONS", handler: httpAction(async (ctx, r) => new Response(null, {
  status: 204,
  headers: { "Access-Control-Allow-Origin": r.headers.get("Origin"), "Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "60", Vary: "origin" },
})) });
post("/cors", async () => text("ok", { headers: { "Access-Control-Allow-Origin": "*" } }));

export default http;
`;

const store = `
import { ConvexError, v } from "convex/values";
import { internalMutation, internalQuery } from "./_generated/server";
export const note = internalMutation({ args: { name: v.string() }, handler: async (ctx, { name }) => { await ctx.db.insert("notes", { name }); } });
export const notes = internalQuery({ handler: async (ctx) => (await ctx.db.query("notes").collect()).map((n) => n.name) });
export const fails = internalMutation({ handler: async () => { throw new ConvexError("deep"); } });
`;

for (const engine of ["the isolate", "V8"]) {
  describe(`in ${engine}`, () => {
    let server, app, origin, site;

    before(async () => {
      origin = createServer((req, res) => {
        if (req.url.startsWith("/slow")) {
          res.writeHead(200, { "content-type": "text/plain", "x-origin": "yes" });
          let n = 0;
          const timer = setInterval(() => { res.write("tick" + n + ";"); if (++n === 4) { clearInterval(timer); res.end(); } }, 80);
          return;
        }
        res.writeHead(201, { "x-seen": req.headers["x-proxied"], "x-length": req.headers["content-length"] ?? "none" });
        req.pipe(res);
      });
      await new Promise((done) => origin.listen(0, "127.0.0.1", done));
      server = await new Server().start();
      app = new App({ "convex/http.ts": engine === "V8" ? http + "export const full = () => typeof WebAssembly;" : http, "convex/store.ts": store });
      const none = await fetch(server.siteUrl + "/exact");
      assert.equal(none.status, 404);
      assert.equal(await none.text(), "This Convex deployment does not have HTTP actions enabled."); // 04 checklist 39
      await app.cli(server, ["env", "set", "ORIGIN", `http://127.0.0.1:${origin.address().port}`]);
      await app.deploy(server);
      site = server.siteUrl;
    });

    after(async () => {
      await server?.remove();
      app?.remove();
      origin?.close();
      origin?.closeAllConnections();
    });

    const body = async (path, init) => (await fetch(site + path, init)).text();
    const notes = async () => (await fetch(site + "/notes")).json();

    /** A raw exchange: what comes back until the peer closes. */
    function raw(text, { keep = 0 } = {}) {
      return new Promise((done, fail) => {
        const socket = connect(server.sitePort, "127.0.0.1", () => socket.write(text));
        let got = "";
        socket.setEncoding("latin1");
        socket.on("data", (d) => (got += d));
        socket.on("close", () => done(got));
        socket.on("error", fail);
        if (keep) setTimeout(() => socket.destroy(), keep);
      });
    }

    /** Log entries of the server that fit. */
    async function logs(fits) {
      return until(async () => {
        const answer = await fetch(`${server.url}/api/stream_function_logs?cursor=0`, { headers: server.admin() });
        const found = (await answer.json()).entries.filter(fits);
        return found.length > 0 && found;
      }, "a log entry");
    }

    test("exact before prefix, the longest prefix, HEAD as GET, the 404 texts (04 checklist 39)", async () => {
      assert.equal(await body("/exact"), "exact");
      assert.equal(await body("/exact/more"), "prefix that looks exact");
      assert.equal(await body("/a/x"), "short");
      assert.equal(await body("/a/b/x"), "long /a/b/x");
      assert.equal(await body("/a/b/c"), "exactly");
      const head = await fetch(site + "/method", { method: "HEAD" });
      assert.equal(head.headers.get("x-method"), "HEAD");
      assert.equal(head.headers.get("content-length"), "4");
      assert.equal(await head.text(), "");
      for (const method of ["GET", "POST"]) assert.equal(await body("/method", { method }), method);
      for (const method of ["PUT", "PATCH", "DELETE"]) assert.equal(await body("/method", { method, body: "x" }), method + " x");
      for (const [path, method] of [["/nowhere", "GET"], ["/exact", "DELETE"], ["/", "GET"]]) {
        const none = await fetch(site + path, { method });
        assert.equal(none.status, 404);
        assert.equal(await none.text(), "No matching routes found");
        assert.equal(none.headers.get("content-type"), "text/plain; charset=utf-8");
      }
      assert.match(await raw("TRACE /exact HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), /^HTTP\/1.1 405 /);
    });

    test("the same routes are on the main port below /http", async () => {
      assert.equal(await (await fetch(server.url + "/http/a/b/x?y=1")).text(), "long /a/b/x");
    });

    test("a request's URL, headers and body are as sent", async () => {
      const one = await (await fetch(site + "/request?a=b%20c", { headers: { "x-one": "1", "x-forwarded-proto": "https" } })).json();
      assert.equal(one.url, site.replace("http:", "https:") + "/request?a=b%20c");
      assert.deepEqual(one.headers.find(([k]) => k === "x-one"), ["x-one", "1"]);
      assert.equal(one.body, true); // null
      const two = await raw("GET /request HTTP/1.1\r\nHost: example.com:81\r\nForwarded: for=x;proto=https\r\nX-L: caf\xe9\r\nX-L: 2\r\nConnection: close\r\n\r\n");
      const json = JSON.parse(Buffer.from(two.slice(two.indexOf("{"), two.lastIndexOf("}") + 1), "latin1").toString());
      assert.equal(json.url, "https://example.com:81/request");
      assert.equal(json.headers.filter(([k]) => k === "x-l").length, 2);
      assert.deepEqual(await (await fetch(site + "/empty", { method: "POST" })).json(), { body: false, text: "" });
    });

    test("bodies of bytes, forms and blobs survive both ways", async () => {
      const bytes = Uint8Array.from({ length: 300000 }, (_, i) => (i * 7) % 256);
      const back = await fetch(site + "/echo", { method: "POST", body: bytes, headers: { "content-type": "x/y" } });
      assert.equal(back.headers.get("content-type"), "x/y");
      assert.deepEqual(new Uint8Array(await back.arrayBuffer()), bytes);
      assert.deepEqual(new Uint8Array(await (await fetch(site + "/binary")).arrayBuffer()), Uint8Array.from({ length: 256 }, (_, i) => i));
      const blob = await fetch(site + "/blob");
      assert.equal(blob.headers.get("content-type"), "text/x-blob");
      assert.equal(blob.headers.get("content-length"), "4");
      assert.equal(await blob.text(), "abcd");
      const form = new FormData();
      form.append("a", "1");
      form.append("file", new Blob(["xyz"]), "n.txt");
      assert.deepEqual(await (await fetch(site + "/form", { method: "POST", body: form })).json(), [["a", "1"], ["file", "n.txt:3"]]);
      const nothing = await fetch(site + "/nothing");
      assert.equal(nothing.status, 204);
      assert.equal(await nothing.text(), "");
    });

    test("response headers keep duplicates and bytes; nothing is added to them", async () => {
      const answer = await raw("GET /headers HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\nConnection: close\r\n\r\n");
      assert.match(answer, /^HTTP\/1.1 418 /);
      assert.match(answer, /\r\nset-cookie: a=1\r\n(.*\r\n)*set-cookie: b=2; Path=\/\r\n/);
      assert.match(answer, /x-latin: caf\xe9\r\n/);
      assert.doesNotMatch(answer, /access-control/i);
    });

    test("a streamed response arrives as it is written (04 checklist 40)", async () => {
      const begun = performance.now();
      const answer = await fetch(site + "/stream");
      const times = [];
      let all = "";
      for await (const chunk of answer.body) {
        times.push(performance.now() - begun);
        all += new TextDecoder().decode(chunk);
      }
      assert.equal(all, "part0;part1;part2;part3;part4;");
      assert.ok(times.length >= 4, `in ${times.length} pieces`);
      assert.ok(times.at(-1) - times[0] > 250, `from ${times[0]} to ${times.at(-1)} ms`);
    });

    test("an error behind the head cuts the connection and is logged (04 checklist 40)", async () => {
      const answer = await fetch(site + "/breaks");
      assert.equal(answer.status, 200);
      await assert.rejects(answer.text());
      const [entry] = await logs((e) => e.identifier === "GET /breaks");
      assert.equal(entry.udfType, "HttpAction");
    });

    test("a streamed request is read while it is sent, and answered in between", async () => {
      const pieces = [];
      const done = new Promise((resolve, reject) => {
        const req = request(site + "/lines", { method: "POST" }, (res) => {
          res.setEncoding("utf8");
          res.on("data", (d) => {
            pieces.push(d);
            if (pieces.length < 4) req.write("p" + pieces.length);
            else req.end();
          });
          res.on("end", resolve);
        });
        req.on("error", reject);
        req.write("p0");
      });
      await done;
      assert.equal(pieces.join(""), "<p0><p1><p2><p3>");
    });

    test("large request bodies flow through", async () => {
      const size = 30 << 20;
      const before = server.rss();
      assert.equal(await body("/count", { method: "POST", body: new Uint8Array(size) }), String(size));
      assert.ok(server.rss() - before < 60 << 10, `${server.rss() - before} KiB more`);
      assert.equal(await body("/ignore", { method: "POST", body: new Uint8Array(1000) }), "not read");
    });

    test("failures before the head (04 checklist 18)", async () => {
      const plain = await fetch(site + "/throws");
      assert.equal(plain.status, 500);
      const json = await plain.json();
      assert.match(json.code, /^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught Error: boom$/);
      assert.match(json.trace, /^Uncaught Error: boom\n {4}at .*convex\/http\.ts/);
      const convex = await (await fetch(site + "/convexError")).json();
      assert.deepEqual(convex.data, { code: { $integer: "BwAAAAAAAAA=" }, why: "because" });
      assert.match(convex.code, /Uncaught ConvexError/);
      const deep = await (await fetch(site + "/deepError")).json();
      assert.equal(deep.data, "deep");
      const none = await fetch(site + "/noResponse");
      assert.equal(none.status, 500);
      assert.match((await none.json()).code, /HTTP actions must return a Response/);
    });

    test("a body of more than 20 MiB loses the pieces beyond it (04 checklist 42)", async () => {
      const answer = await fetch(site + "/huge");
      assert.equal((await answer.arrayBuffer()).byteLength, 3 * (6 << 20) + 1000);
      const [entry] = await logs((e) => e.identifier === "GET /huge" && e.logLines.length > 0);
      assert.match(JSON.stringify(entry.logLines), /HttpResponseTooLarge: HTTP actions support responses up to 20 MiB/);
    });

    // Spec 04 sections 5.2, 6.5: pieces that are there at once are sent while more of them come.
    test("a body without end that never waits (04 checklist 42)", async () => {
      const gone = new AbortController();
      const trickle = await fetch(site + "/endless?size=1", { signal: gone.signal });
      assert.ok((await trickle.body.getReader().read()).value.length > 0);
      gone.abort();
      const begun = performance.now();
      const answer = await fetch(site + "/endless?size=65536");
      assert.equal((await answer.arrayBuffer()).byteLength, 20 << 20);
      assert.ok(performance.now() - begun < 15000);
      const [entry] = await logs((e) => e.identifier === "GET /endless" && e.logLines.length > 0);
      assert.match(JSON.stringify(entry.logLines), /HttpResponseTooLarge: HTTP actions support responses up to 20 MiB/);
    });

    test("an invalid token reaches the handler, whose getUserIdentity() throws (04 checklist 41)", async () => {
      assert.deepEqual(await (await fetch(site + "/user")).json(), { user: null });
      for (const authorization of ["Bearer nonsense", "Bearer a.b.c", "Whatever", "Convex wrong|key"]) {
        const answer = await fetch(site + "/user", { headers: { authorization } });
        assert.equal(answer.status, 200);
        assert.match((await answer.json()).error, /^Error: /, authorization);
      }
    });

    test("a client that leaves aborts request.signal; the handler goes on (04 checklist 42)", async () => {
      const gone = new AbortController();
      const left = fetch(site + "/wait?name=left", { signal: gone.signal }).catch((e) => e.name);
      await until(async () => (await notes()).includes("left began"), "the handler to begin");
      gone.abort();
      assert.equal(await left, "AbortError");
      await until(async () => (await notes()).includes("left aborted"), "the abort");
      await until(async () => (await notes()).includes("left finished"), "the end");
      const [entry] = await logs((e) => e.identifier === "GET /wait" && e.logLines.length > 0);
      assert.match(JSON.stringify(entry.logLines), /The client disconnected before the response was complete/);
      assert.equal(await body("/wait?name=stayed"), "too late");
      assert.ok(!(await notes()).includes("stayed aborted"));
    });

    test("the function log names the route; what matched none, the path", async () => {
      await body("/a/b/logged");
      await body("/nothing/logged");
      const [entry] = await logs((e) => e.kind === "Completion" && e.identifier === "GET /a/b/*");
      assert.deepEqual(entry.success, { status: "200" });
      const [none] = await logs((e) => e.kind === "Completion" && e.identifier === "GET /nothing/logged");
      assert.deepEqual(none.success, { status: "404" });
    });

    test("a webhook's signature is checked", async () => {
      const payload = JSON.stringify({ amount: 42 });
      const sign = (secret) => "t=1700000000,v1=" + createHmac("sha256", secret).update("1700000000." + payload).digest("hex");
      const send = (signature) => fetch(site + "/webhook", { method: "POST", body: payload, headers: { "x-signature": signature } });
      assert.equal((await send(sign("wrong"))).status, 400);
      assert.equal((await send(sign("whsec"))).status, 200);
      assert.ok((await notes()).includes("paid 42"));
    });

    test("server-sent events reach a reader one by one", async () => {
      const answer = await fetch(site + "/events");
      assert.equal(answer.headers.get("content-type"), "text/event-stream");
      const seen = [];
      let rest = "";
      for await (const chunk of answer.body) {
        rest += new TextDecoder().decode(chunk);
        for (let at; (at = rest.indexOf("\n\n")) >= 0; rest = rest.slice(at + 2)) seen.push(JSON.parse(/data: (.*)/.exec(rest.slice(0, at))[1]).n);
      }
      assert.deepEqual(seen, [0, 1, 2, 3, 4]);
    });

    test("a response of fetch() is passed on, streams and all", async () => {
      const slow = await fetch(site + "/proxy/slow");
      assert.equal(slow.headers.get("x-origin"), "yes");
      const reader = slow.body.getReader();
      assert.match(new TextDecoder().decode((await reader.read()).value), /^tick0;/);
      let rest = "";
      for (let r; !(r = await reader.read()).done; ) rest += new TextDecoder().decode(r.value);
      assert.match(rest, /tick3;$/);
      const posted = await fetch(site + "/proxy/echo", { method: "POST", body: "through" });
      assert.equal(posted.status, 201);
      assert.equal(posted.headers.get("x-seen"), "yes");
      assert.equal(await posted.text(), "through");
    });

    test("CORS is the application's", async () => {
      const preflight = await fetch(site + "/cors", { method: "OPTIONS", headers: { origin: "http://page", "access-control-request-method": "POST" } });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), "http://page");
      assert.equal(preflight.headers.get("access-control-max-age"), "60");
      assert.equal((await fetch(site + "/cors", { method: "POST" })).headers.get("access-control-allow-origin"), "*");
      assert.equal((await fetch(site + "/method", { method: "OPTIONS" })).status, 404);
    });

    test("requests that are pipelined on one connection are answered in order", async () => {
      const got = await raw("GET /wait?name=first HTTP/1.1\r\nHost: x\r\n\r\nGET /exact HTTP/1.1\r\nHost: x\r\n\r\n" +
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
      assert.ok(got.indexOf("too late") < got.indexOf("\r\n\r\nexact"));
      assert.match(got, /abc$/);
    });

    test("HTTP/1.0 clients get a body that ends with the connection", async () => {
      const got = await raw("GET /stream HTTP/1.0\r\n\r\n");
      assert.doesNotMatch(got, /transfer-encoding/i);
      assert.match(got, /part4;$/);
    });

    test("200 streams at once, and memory comes back", { skip: engine === "V8" && "a process for each" }, async () => {
      await body("/stream");
      const begun = performance.now();
      const all = await Promise.all(Array.from({ length: 200 }, () => body("/stream")));
      assert.ok(all.every((t) => t === "part0;part1;part2;part3;part4;"));
      assert.ok(performance.now() - begun < 20000);
      for (let i = 0; i < 30; i++) { // clients that come and go
        const gone = new AbortController();
        fetch(site + "/stream", { signal: gone.signal }).catch(() => {});
        setTimeout(() => gone.abort(), i * 5);
      }
      await sleep(1500);
      assert.equal(await body("/exact"), "exact");
    });

    test("the engine is the one that was meant", { skip: engine !== "V8" }, async () => {
      const metrics = await (await fetch(`${server.url}/metrics`, { headers: server.admin() })).text();
      assert.ok(Number(/^fresnel_tier_runs_total (\d+)$/m.exec(metrics)[1]) > 50);
    });
  });
}
