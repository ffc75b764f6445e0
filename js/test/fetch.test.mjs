// fetch, timers, HTTP actions' values and stored files, over a host made of JavaScript.
import assert from "node:assert/strict";
import test from "node:test";
import { FakeHost, web } from "./fakehost.mjs";

const plain = (value) => JSON.parse(JSON.stringify(value));
const fails = async (promise, name, message) => {
  const e = await promise.then(
    () => assert.fail("it did not fail"),
    (reason) => reason,
  );
  assert.equal(`${e.name}: ${e.message}`, `${name}: ${message}`);
};
const redirect = (status, location) => ({ status, headers: location === undefined ? [] : [["Location", location]] });

/* 04 checklist 43: the redirect table of section 7. */
test("redirects change method and body by the table", async () => {
  const rows = [
    // status, method, method afterwards, the body and its type stay
    [301, "POST", "GET", false],
    [302, "POST", "GET", false],
    [303, "POST", "GET", false],
    [303, "PUT", "GET", false],
    [303, "HEAD", "HEAD", false],
    [307, "POST", "POST", true],
    [308, "POST", "POST", true],
    [301, "PUT", "PUT", true],
    [302, "DELETE", "DELETE", true],
    [302, "GET", "GET", false],
  ];
  for (const [status, method, then, keeps] of rows) {
    const seen = [];
    const host = web((args, body) => {
      seen.push([args.method, body, args.headers]);
      return seen.length === 1 ? redirect(status, "/next") : { chunks: ["done"] };
    });
    const body = method === "GET" || method === "HEAD" ? undefined : "data";
    const result = await host.eval(`
      const r = await fetch("http://a/start", { method: "${method}", body: ${JSON.stringify(body)},
        headers: { "content-language": "en", "x-y": "1" } });
      return [r.redirected, r.url, r.status, await r.text()]`);
    assert.deepEqual(plain(result), [true, "http://a/next", 200, "done"]);
    assert.equal(seen[1][0], then, `${status} ${method}`);
    assert.equal(seen[1][1], keeps ? "data" : undefined, `${status} ${method}`);
    const names = seen[1][2].map(([n]) => n);
    const drops = then !== method;
    assert.equal(names.includes("content-language"), !drops, `${status} ${method}`);
    assert.ok(names.includes("x-y"));
    assert.equal([...host.streams.values()][0].dropped, true, "the first body is not read");
  }
});

test("the twentieth hop is too many", async () => {
  for (const [hops, good] of [[19, true], [20, false]]) {
    let n = 0;
    const host = web(() => (n++ < hops ? redirect(302, `/${n}`) : { chunks: ["end"] }));
    const result = host.eval(`return (await fetch("http://a/")).text()`);
    if (good) {
      assert.equal(await result, "end");
    } else {
      await fails(result, "TypeError", "fetch too many redirects");
    }
  }
});

test("redirect: manual and error, and answers without Location", async () => {
  const run = (status, location, option) =>
    web(() => redirect(status, location)).eval(`return (await fetch("http://a/", { redirect: "${option}" })).status`);
  assert.equal(await run(302, "/x", "manual"), 302);
  assert.equal(await run(302, undefined, "follow"), 302);
  assert.equal(await run(304, "/x", "follow"), 304);
  await fails(run(302, "/x", "error"), "TypeError", "fetch attempted redirect");
  await fails(run(302, undefined, "error"), "TypeError", "fetch attempted redirect");
  await fails(run(302, "ftp://x/", "follow"), "TypeError",
    "Unsupported URL scheme -- http and https are supported (scheme was ftp)");
});

test("another origin does not get the authorization", async () => {
  for (const [to, keeps] of [["http://a/x", true], ["http://a:81/x", false], ["https://a/x", false], ["http://b/x", false]]) {
    const seen = [];
    const host = web((args) => {
      seen.push(args.headers.map(([n]) => n));
      return seen.length === 1 ? redirect(307, to) : {};
    });
    await host.eval(`await fetch("http://a/", { headers: { Authorization: "x", cookie: "c" } })`);
    assert.deepEqual(seen[1], keeps ? ["authorization", "cookie"] : ["cookie"], to);
  }
});

test("a streamed body cannot be sent twice", async () => {
  const code = (status) => [status, `
    const body = new Blob(["abc"]).stream();
    return (await fetch("http://a/", { method: "POST", body })).status`];
  for (const [status, source] of [301, 307].map(code)) {
    await fails(web((args) => (args.url === "http://a/" ? redirect(status, "/b") : {})).eval(source),
      "TypeError", "fetch cannot redirect with streamed body");
  }
  assert.equal(await web((args) => (args.url === "http://a/" ? redirect(303, "/b") : {})).eval(code(303)[1]), 200);
});

test("bodies of known size go as bytes, streams as streams, none as nothing", async () => {
  const seen = [];
  const host = web((args, body) => (seen.push([args.streamId !== null, body, args.headers]), {}));
  await host.eval(`
    await fetch("http://a/", { method: "POST", body: "é" });
    await fetch("http://a/", { method: "POST", body: new Blob(["x", "y"]) });
    await fetch("http://a/", { method: "POST", body: new Blob(["z".repeat(100000)]).stream() });
    await fetch("http://a/#fragment", { headers: { "User-Agent": "me" } });
    await fetch(new Request("http://a/", { method: "PUT", body: new Uint8Array([1]) }));`);
  assert.deepEqual(seen[0], [false, "\u00c3\u00a9", [["content-type", "text/plain;charset=UTF-8"]]]);
  assert.deepEqual(seen[1], [false, "xy", []]);
  assert.deepEqual([seen[2][0], seen[2][1].length], [true, 100000]);
  assert.deepEqual(seen[3], [false, undefined, [["user-agent", "me"]]]);
  assert.deepEqual(seen[4], [false, "\u0001", []]);
  assert.equal(host.ops.findLast(([k, a]) => k === "fetch" && a.headers.length === 1)[1].url, "http://a/");
});

/* 04 checklist 43: abort. */
test("aborting", async () => {
  const text = "The signal has been aborted";
  const early = web(() => ({}));
  await fails(early.eval(`const c = new AbortController(); c.abort(); await fetch("http://a/", { signal: c.signal })`),
    "AbortError", text);
  assert.equal(early.ops.length, 0, "nothing was sent");

  const waiting = web(() => ({ hang: true }));
  await fails(waiting.eval(`
    const c = new AbortController(); const p = fetch("http://a/", { signal: c.signal });
    await null; c.abort("reason"); await p`), "AbortError", text);
  assert.deepEqual(waiting.cancelled, ["fetch"]);

  const body = web(() => ({ chunks: ["a"], open: true }));
  await fails(body.eval(`
    const c = new AbortController(); const r = await fetch("http://a/", { signal: c.signal });
    const reader = r.body.getReader(); await reader.read(); const next = reader.read();
    await new Promise((r) => setTimeout(r, 5)); c.abort(); await next`), "AbortError", text);
  assert.deepEqual(body.cancelled, ["read"]);
  assert.equal([...body.streams.values()][0].dropped, true);

  const unread = web(() => ({ chunks: ["a"], open: true }));
  await fails(unread.eval(`
    const c = new AbortController(); const r = await fetch(new Request("http://a/", { signal: c.signal }));
    c.abort(); await r.text()`), "AbortError", text);

  const after = web(() => ({ chunks: ["a"] }));
  assert.equal(await after.eval(`
    const c = new AbortController(); const r = await fetch("http://a/", { signal: c.signal });
    const t = await r.text(); c.abort(); return t`), "a");
});

test("failures are what the host says", async () => {
  const host = new FakeHost(async () => {
    throw new Error("connection refused");
  });
  await fails(host.eval(`await fetch("http://a/")`), "Error", "connection refused");
  const broken = web(() => ({ chunks: ["a"], open: true }));
  const result = broken.eval(`const r = await fetch("http://a/"); return r.text()`);
  await new Promise(setImmediate);
  broken.change([...broken.streams.keys()][0], { error: "reset" });
  await fails(result, "Error", "reset");
});

test("response bodies", async () => {
  const host = web(() => ({ chunks: ["ab", "c"], headers: [["Content-Length", "3"], ["Set-Cookie", "x"], ["set-cookie", "y"]] }));
  assert.deepEqual(plain(await host.eval(`
    const r = await fetch("http://a/");
    const b = await r.blob();
    let again; try { await b.text(); await b.text() } catch (e) { again = e.name + ": " + e.message }
    const s = await fetch("http://a/"); const t = s.clone();
    return [b.size, again, r.bodyUsed, await t.text(), await s.text(), s.headers.getSetCookie(), s.type, s.statusText]`)),
    [3, "TypeError: Can't re-read streaming Blob", true, "abc", "abc", ["x", "y"], "basic", "T"]);
  assert.deepEqual(plain(await web(() => ({ status: 204, chunks: null })).eval(
    `const r = await fetch("http://a/"); return [r.body, await r.text()]`)), [null, ""]);
  assert.equal(await web(() => ({ chunks: ["ab", "cd", "ef"], headers: [["content-length", "6"]] })).eval(
    `return (await (await fetch("http://a/")).blob()).slice(1, 4).text()`), "bcd");
});

/* 04 checklist 25: what queries and mutations may not. */
test("outside of actions nothing starts", async () => {
  const host = web(() => ({}));
  host.action = false;
  await fails(host.eval(`await fetch("http://a/")`), "Error", "refused: fetch()");
  await fails(host.eval(`await Convex.jsSyscall("storage/getBlob", { storageId: "x" })`), "Error", "refused: storage.get()");
  assert.equal(host.ops.length, 0);
});

test("timers", async () => {
  const host = web(() => ({}));
  assert.deepEqual(plain(await host.eval(`
    const seen = [];
    const first = setTimeout((a, b) => seen.push(a + b), 20, "late", "r");
    setTimeout(() => seen.push("soon"), -5);
    const never = setTimeout(() => seen.push("never"), 1);
    clearTimeout(never);
    let n = 0;
    await new Promise((done) => { const id = setInterval(() => { if (++n === 3) { clearInterval(id); done() } }, 1) });
    await new Promise((done) => setTimeout(done, 40));
    clearTimeout(12345); clearTimeout(); clearInterval(first);
    return [first, never, n, seen]`)), [1, 3, 3, ["soon", "later"]]);
  assert.deepEqual(host.ops[0], ["sleep", { ms: 20, name: "setTimeout" }, undefined]);
  assert.deepEqual(host.ops[1][1], { ms: 0, name: "setTimeout" });
  assert.deepEqual(host.cancelled, ["sleep"]);
  await assert.rejects(host.eval(`setTimeout("code", 1)`), /uncatchable: setTimeout with a string handler/);
  assert.equal(await host.eval(`
    const s = AbortSignal.timeout(1); await new Promise((r) => s.addEventListener("abort", r)); return s.reason.name`),
    "TimeoutError");
});

/* 04 checklist 40 and 42: what crosses the boundary of an HTTP action. */
test("HTTP actions: the response goes on after its head", async () => {
  const host = web(() => ({}));
  const head = (code) => host.eval(`return Convex.jsSyscall("convexJsonFromResponse", { response: ${code} })`);
  const whole = await head(`new Response("héllo", { status: 201, headers: { "X-A": "1" } })`);
  assert.deepEqual(plain(whole.headerPairs), [["x-a", "1"], ["content-type", "text/plain;charset=UTF-8"], ["content-length", "6"]]);
  assert.equal(whole.status, 201);
  assert.deepEqual(Object.keys(plain(whole)), ["headerPairs", "status", "streamId"]);
  assert.equal(await host.written(whole.streamId), "h\u00c3\u00a9llo");

  const none = await head(`new Response(null, { status: 204 })`);
  assert.deepEqual(plain(none.headerPairs), []);
  assert.equal(await host.written(none.streamId), "");

  const given = await head(`new Response("ab", { headers: { "content-length": "2" } })`);
  assert.equal(given.headerPairs.filter(([n]) => n === "content-length").length, 1);

  const streamed = await head(`new Response(new ReadableStream({ async pull(c) {
      this.n = (this.n ?? 0) + 1; c.enqueue(new TextEncoder().encode("<" + this.n + ">"));
      await new Promise((r) => setTimeout(r, 1)); if (this.n === 3) c.close() } }))`);
  assert.ok(!streamed.headerPairs.some(([n]) => n === "content-length"));
  assert.equal(await host.written(streamed.streamId), "<1><2><3>");

  const broken = await head(`new Response(new ReadableStream({ async pull(c) {
      if (this.n) throw new RangeError("boom"); this.n = 1; c.enqueue(new Uint8Array([65])) } }))`);
  assert.equal(await host.written(broken.streamId), "A ! RangeError: boom");

  const strings = await head(`new Response(new ReadableStream({ start(c) { c.enqueue("text") } }))`);
  assert.equal(await host.written(strings.streamId), " ! TypeError: Received a chunk that is not a Uint8Array");

  const proxied = await head(`await fetch("http://a/")`);
  assert.equal(proxied.url, "http://a/");
});

test("HTTP actions: a client that goes away aborts the request's signal", async () => {
  let close;
  const host = new FakeHost((kind) => new Promise((resolve) => (close = () => resolve([{}]))));
  const result = await host.eval(`
    const r = Convex.jsSyscall("requestFromConvexJson", { convexJson: { headerPairs: [["a", "1"]], url: "http://h/",
      method: "POST", streamId: null, signal: "sig" } });
    globalThis.request = r;
    return [r.signal.aborted, r.signal === r.signal]`);
  assert.deepEqual(plain(result), [false, true]);
  assert.deepEqual(host.ops, [["closed", { streamId: "sig" }, undefined]]);
  close();
  assert.equal(await host.eval(`
    await new Promise((r) => request.signal.addEventListener("abort", r)); return request.signal.reason.name`), "AbortError");
});

test("HTTP actions: request bodies are read on demand", async () => {
  const host = web(() => ({}));
  host.context.id = host.stream(["ab", "", "cd"]);
  assert.equal(await host.eval(`
    const r = Convex.jsSyscall("requestFromConvexJson", { convexJson: { headerPairs: [], url: "http://h/", method: "POST",
      streamId: id, signal: null } });
    return (await r.clone().text()) + (await r.text())`), "abcdabcd");
});

test("forms are parsed in actions", async () => {
  const host = web(() => ({}));
  const body = [
    'preamble', '--B', 'Content-Disposition: form-data; name="a"', '', 'one\r\ntwo', '--B  ',
    'content-disposition: form-data; name="f%22"; filename="x \\"y\\".txt"', 'Content-Type: text/plain', '', 'da\0ta', '--B',
    'Content-Disposition: form-data; name=plain', '', '', '--B--', 'epilogue'].join("\r\n");
  host.context.body = body;
  const read = (text, type) => {
    host.context.body = text;
    return host.eval(`
    const f = await new Response(body, { headers: { "content-type": ${JSON.stringify(type)} } }).formData();
    const result = [];
    for (const [name, v] of f) result.push(typeof v === "string" ? [name, v] : [name, v.name, v.type, await v.text()]);
    return result`);
  };
  assert.deepEqual(plain(await read(body, "multipart/form-data; boundary=B")),
    [["a", "one\r\ntwo"], ['f"', 'x "y".txt', "text/plain", "da\0ta"], ["plain", ""]]);
  for (const bad of ["", "--B", "--B\r\n", "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
    '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', "--B\r\n\r\nx\r\n--B--", "--B\r\n--B\r\n--B--"]) {
    await assert.rejects(read(bad, 'multipart/form-data; boundary="B"'), /Failed to parse multipart form/, bad);
  }
  assert.deepEqual(plain(await host.eval(`
    const f = new FormData(); f.append("k", "v\\n"); f.append("b", new File([new Uint8Array([0, 255])], "n"));
    const g = await new Response(f).formData();
    return [g.get("k"), g.get("b").name, [...new Uint8Array(await g.get("b").arrayBuffer())]]`)), ["v\r\n", "n", [0, 255]]);
  await assert.rejects(host.eval(`
    const f = new FormData(); f.append("a", "x".repeat(21 * 1024 * 1024)); await new Response(f).formData()`),
    /InvalidMultiPartForm/);
});

test("stored files", async () => {
  const stored = [];
  const host = new FakeHost(async (kind, args, bytes) => {
    if (kind === "storageStore") {
      stored.push([args.contentType, args.sha256, args.streamId ? await host.written(args.streamId) : Buffer.from(bytes).toString()]);
      return [{ storageId: "id" }];
    }
    if (args.storageId === "none") {
      return [null];
    }
    return [{ streamId: host.stream(["he", "llo"]), contentType: "a/b", size: 5 }];
  });
  assert.deepEqual(plain(await host.eval(`
    const store = (blob, options) => Convex.jsSyscall("storage/storeBlob", { requestId: "", version: "1", blob, options });
    const get = (storageId) => Convex.jsSyscall("storage/getBlob", { requestId: "", version: "1", storageId });
    const ids = [await store(new Blob(["x"], { type: "t/u" })), await store(new Blob([]), { sha256: "abc=" }), await store(await get("a"))];
    const b = await get("a");
    return [ids, await get("none"), b.size, b.type, await b.text()]`)), [["id", "id", "id"], null, 5, "a/b", "hello"]);
  assert.deepEqual(stored, [["t/u", null, "x"], [null, "abc=", ""], ["a/b", null, "hello"]]);
});

/* Section 3.6: these end the run. */
test("members that are not there", async () => {
  const host = web(() => ({}));
  await assert.rejects(host.eval(`new Request("http://a").mode`), /Not implemented: get mode for Request\. Consider calling/);
  await assert.rejects(host.eval(`Convex.jsSyscall("nope", {})`), /uncatchable: Unknown JS syscall: nope/);
  await assert.rejects(host.eval(`structuredClone(1, { transfer: [] })`), /structuredClone with transfer not supported/);
});
