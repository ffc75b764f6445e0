// Tests of the prelude, as functions.
import { cases, outcome } from "./cases.js";

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (s) => new TextEncoder().encode(s);
const all = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk instanceof Uint8Array ? text(chunk) : chunk);
  }
  return chunks;
};
const from = (...chunks) =>
  new ReadableStream({
    start(c) {
      chunks.forEach((chunk) => c.enqueue(chunk));
      c.close();
    },
  });

export const streams = cases([
  ["a stream is iterated asynchronously", () => all(from("a", "b")), ["a", "b"]],
  ["tee gives both all", async () => (await Promise.all(from("a", "b").tee().map(all))).flat(), ["a", "b", "a", "b"]],
  [
    "pipeThrough transforms",
    () => all(from(1, 2).pipeThrough(new TransformStream({ transform: (x, c) => c.enqueue(x * 2) }))),
    [2, 4],
  ],
  [
    "pipeTo writes and closes",
    async () => {
      const got = [];
      await from("x", "y").pipeTo(new WritableStream({ write: (x) => got.push(x), close: () => got.push("end") }));
      return got;
    },
    ["x", "y", "end"],
  ],
  [
    "pipeTo stops at an abort",
    async () => {
      const c = new AbortController();
      c.abort();
      await from(1).pipeTo(new WritableStream(), { signal: c.signal });
    },
    "AbortError: This operation was aborted",
  ],
  [
    "a reader of one's own buffers",
    async () => {
      const s = new ReadableStream({ type: "bytes", start: (c) => (c.enqueue(bytes("hello")), c.close()) });
      const reader = s.getReader({ mode: "byob" });
      const { value } = await reader.read(new Uint8Array(3));
      return [reader instanceof ReadableStreamBYOBReader, text(value)];
    },
    [true, "hel"],
  ],
  ["a locked stream has no second reader", () => { const s = from(); s.getReader(); s.getReader(); },
    "TypeError: This stream has already been locked for exclusive reading by another reader"],
  [
    "text is encoded, surrogates apart are joined",
    async () => (await all(from("a\ud83d", "\ude00b", "\ud83d").pipeThrough(new TextEncoderStream()))).join("|"),
    "a|\u{1f600}b|\ufffd",
  ],
  [
    "text is decoded, characters apart are joined",
    async () => (await all(from(bytes("€").slice(0, 1), bytes("€").slice(1), bytes("x")).pipeThrough(new TextDecoderStream()))).join("|"),
    "€|x",
  ],
  [
    "a fatal decoder errs at the end",
    () => all(from(new Uint8Array([0xe2])).pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))),
    "TypeError: The encoded data was not valid for the encoding",
  ],
  ["an error reaches the reader", () => all(new ReadableStream({ pull: (c) => c.error(new RangeError("no")) })), "RangeError: no"],
  ["cancel tells the source", async () => { let why; await new ReadableStream({ cancel: (r) => (why = r) }).cancel("w"); return why; }, "w"],
  ["names", () => [ReadableStream.name, String(from()), String(new TextEncoderStream()), new TextDecoderStream("latin1").encoding],
    ["ReadableStream", "[object ReadableStream]", "[object TextEncoderStream]", "windows-1252"]],
  ["back pressure: the source is asked once for each read", async () => {
    let n = 0;
    const r = new ReadableStream({ pull: (c) => c.enqueue(++n) }, { highWaterMark: 0 }).getReader();
    await r.read();
    await r.read();
    return n;
  }, 2],
]);

export const blobs = cases([
  ["parts of all kinds are joined", () => new Blob(["a", bytes("b"), bytes("c").buffer, new Blob(["d"]), 5, null]).text(), "abcd5null"],
  ["size and type", () => { const b = new Blob(["é"], { type: "Text/PLAIN" }); return [b.size, b.type]; }, [2, "text/plain"]],
  ["a type that is not ASCII is none", () => new Blob([], { type: "é" }).type, ""],
  ["slices count bytes, from the end too", () => Promise.all([new Blob(["hello"]).slice(1, 3).text(), new Blob(["hello"]).slice(-3, -1).text(), new Blob(["hello"]).slice(3, 1).text(), new Blob(["he", "ll", "o"]).slice(1, 4).text()]), ["el", "ll", "", "ell"]],
  ["a slice has the type it is given", () => [new Blob(["a"], { type: "x/y" }).slice().type, new Blob(["a"]).slice(0, 1, "a/b").type], ["", "a/b"]],
  ["later changes do not matter", async () => { const b = bytes("abc"); const blob = new Blob([b]); b[0] = 120; const first = new Uint8Array(await blob.arrayBuffer()); first[0] = 121; return blob.text(); }, "abc"],
  ["stream() gives the bytes", async () => (await all(new Blob(["ab", "c"]).stream())).join(""), "abc"],
  ["stream() can be read again", async () => { const b = new Blob(["x"]); await all(b.stream()); return all(b.stream()); }, ["x"]],
  ["large blobs come in pieces", async () => (await all(new Blob(["x".repeat(150000)]).stream())).map((s) => s.length), [65536, 65536, 18928]],
  ["lone surrogates are replaced, the byte order mark goes", () => Promise.all([new Blob(["\ud800"]).text(), new Blob(["\ufeffa"]).text()]), ["\ufffd", "a"]],
  ["line ends are kept unless asked", () => Promise.all([new Blob(["a\r\nb"]).text(), new Blob(["a\r\nb\rc"], { endings: "native" }).text()]), ["a\r\nb", "a\nb\nc"]],
  ["what is not a sequence is refused", () => new Blob("abc"), "TypeError: Failed to construct 'Blob': The provided value cannot be converted to a sequence."],
  ["there is no bytes()", () => [typeof Blob.prototype.bytes, typeof new Blob().arrayBuffer], ["undefined", "function"]],
  ["a file has a name and a time", () => { const f = new File(["a"], "n.txt", { type: "text/plain", lastModified: 7 }); return [f.name, f.lastModified, f.type, f.size, f instanceof Blob, String(f)]; }, ["n.txt", 7, "text/plain", 1, true, "[object File]"]],
  ["a file's time is the run's", () => new File([], "n").lastModified === Date.now(), true],
  ["a file needs a name", () => new File(["a"]), "TypeError: Failed to construct 'File': 2 arguments required, but only 1 present."],
  ["an object with a fake prototype is no blob", () => new Blob([Object.create(Blob.prototype)]).text().then((t) => t === "[object Blob]"), true],
]);

export const forms = cases([
  ["entries keep their order", () => { const f = new FormData(); f.append("a", 1); f.append("b", "2"); f.append("a", "3"); return [...f]; }, [["a", "1"], ["b", "2"], ["a", "3"]]],
  ["get, getAll, has, delete", () => { const f = new FormData(); f.append("a", "1"); f.append("a", "2"); const r = [f.get("a"), f.getAll("a"), f.has("a"), f.get("x")]; f.delete("a"); return [...r, f.has("a")]; }, ["1", ["1", "2"], true, null, false]],
  ["set replaces in place", () => { const f = new FormData(); f.append("a", "1"); f.append("b", "2"); f.append("a", "3"); f.set("a", "4"); f.set("c", "5"); return [...f]; }, [["a", "4"], ["b", "2"], ["c", "5"]]],
  ["a blob becomes a file", () => { const f = new FormData(); f.append("a", new Blob(["x"], { type: "t/u" })); f.append("b", new Blob(["x"]), "n"); return [f.get("a").name, f.get("a").type, f.get("b").name, f.get("b") instanceof File]; }, ["blob", "t/u", "n", true]],
  ["a file name goes with blobs only", () => new FormData().append("a", "b", "c"), "TypeError: Failed to execute 'append' on 'FormData': parameter 2 is not of type 'Blob'."],
  ["it becomes multipart/form-data", async () => {
    const f = new FormData();
    f.append('a"\r\n', "line\nline");
    f.append("f", new File(["data"], "n.txt", { type: "text/plain" }));
    const r = new Response(f);
    const boundary = r.headers.get("content-type").match(/^multipart\/form-data; boundary=(.*)$/)[1];
    return (await r.text()).replaceAll(boundary, "B");
  }, '--B\r\nContent-Disposition: form-data; name="a%22%0D%0A"\r\n\r\nline\r\nline\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\ndata\r\n--B--\r\n'],
  ["a URL-encoded form is read", async () => [...(await new Request("http://x/", { method: "POST", body: new URLSearchParams("a=1&b=%20+&a=2") }).formData())], [["a", "1"], ["b", "  "], ["a", "2"]]],
  ["a byte order mark is part of a name", async () => [...(await new Response("\ufefftest=\ufeff", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData())], [["\ufefftest", "\ufeff"]]],
  ["a multipart form is not, here", () => new Response(new FormData()).formData(), "Error: Can't use formData() in queries and mutations. Please consider using an action. See https://docs.convex.dev/functions/actions for more details."],
  ["other types are no forms", () => new Response("a=1").formData(), "TypeError: Failed to execute 'formData' on 'Response': the content type is not that of a form"],
  ["changes while iterating are seen", () => { const f = new FormData(); f.append("a", "1"); const seen = []; for (const [n] of f) { seen.push(n); if (seen.length < 3) f.append("b", "2"); } return seen; }, ["a", "b", "b"]],
]);

export const headers = cases([
  ["insertion order is kept, names are lowercased", () => [...new Headers([["B", "1"], ["a", "2"], ["B", "3"]])], [["b", "1"], ["a", "2"], ["b", "3"]]],
  ["get joins, set-cookie too", () => { const h = new Headers(); h.append("set-cookie", "a"); h.append("Set-Cookie", "b"); return [h.get("set-cookie"), h.getSetCookie()]; }, ["a, b", ["a", "b"]]],
  ["values are trimmed", () => new Headers({ a: " \t1 \r\n" }).get("a"), "1"],
  ["set replaces the first", () => { const h = new Headers([["a", "1"], ["b", "2"], ["a", "3"]]); h.set("A", "4"); return [...h]; }, [["a", "4"], ["b", "2"]]],
  ["names are tokens", () => new Headers({ "a b": "1" }), "TypeError: Invalid header name: 'a b'"],
  ["no line breaks inside", () => new Headers({ a: "1\r\nb: 2" }), "TypeError: Invalid header value: '1\r\nb: 2'"],
  ["values are bytes", () => new Headers({ a: "€" }), "TypeError: Invalid header value: '€'"],
  ["latin-1 is fine", () => new Headers({ a: "é" }).get("a"), "é"],
  ["copies are apart", () => { const a = new Headers({ x: "1" }); const b = new Headers(a); b.set("x", "2"); return a.get("x"); }, "1"],
  ["pairs have two members", () => new Headers([["a"]]), "TypeError: Failed to construct 'Headers': each header must be a name and a value"],
  ["forEach", () => { const r = []; new Headers({ a: "1" }).forEach((v, k) => r.push(k, v)); return r; }, ["a", "1"]],
  ["keys and values", () => { const h = new Headers({ a: "1", b: "2" }); return [[...h.keys()], [...h.values()]]; }, [["a", "b"], ["1", "2"]]],
]);

export const requests = cases([
  ["defaults", () => { const r = new Request("http://a/b?c#d"); return [r.method, r.url, r.body, r.bodyUsed, r.signal.aborted, [...r.headers]]; }, ["GET", "http://a/b?c#d", null, false, false, []]],
  ["the seven methods are upper-cased, others not", () => ["post", "patch", "Custom", "options"].map((method) => new Request("http://a", { method }).method), ["POST", "PATCH", "Custom", "OPTIONS"]],
  ["a method is a token", () => new Request("http://a", { method: "a b" }), "TypeError: 'a b' is not a valid HTTP method."],
  ["GET has no body", () => new Request("http://a", { body: "x" }), "TypeError: Failed to construct 'Request': Request with GET/HEAD method cannot have body."],
  ["other schemes", () => new Request("ftp://a/"), "TypeError: Unsupported URL scheme -- http and https are supported (scheme was ftp)"],
  ["relative URLs", async () => (await outcome(() => new Request("/x"))).split(":")[0], "TypeError"],
  ["a body implies its type", () => ["x", new URLSearchParams("a=1"), new Blob(["x"], { type: "a/b" }), bytes("x")].map((body) => new Request("http://a", { method: "POST", body }).headers.get("content-type")), ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded;charset=UTF-8", "a/b", null]],
  ["given types stay", () => new Request("http://a", { method: "POST", body: "x", headers: { "Content-Type": "t" } }).headers.get("content-type"), "t"],
  ["the second use fails", async () => { const r = new Request("http://a", { method: "POST", body: "x" }); await r.text(); await r.text(); }, "TypeError: Failed to execute 'text' on 'Request': body stream already read"],
  ["the others name themselves", async () => { const r = new Request("http://a", { method: "POST", body: "x" }); await r.text(); await r.json(); }, "TypeError: Failed to execute 'json' on 'Request': body stream already read"],
  ["no body can be read often", async () => { const r = new Request("http://a"); return [await r.text(), await r.text(), r.bodyUsed]; }, ["", "", false]],
  ["new Request(request) takes its body", async () => { const a = new Request("http://a", { method: "POST", body: "x" }); const b = new Request(a); return [a.bodyUsed, b.bodyUsed, await b.text()]; }, [true, false, "x"]],
  ["and what it is not told", () => { const a = new Request("http://a/p", { method: "PUT", headers: { x: "1" }, body: "b" }); const b = new Request(a, { headers: { y: "2" } }); return [b.url, b.method, [...b.headers]]; }, ["http://a/p", "PUT", [["y", "2"]]]],
  ["a used request cannot be taken", async () => { const a = new Request("http://a", { method: "POST", body: "x" }); await a.text(); new Request(a); }, "TypeError: Failed to construct 'Request': Cannot construct a Request with a Request object that has already been used."],
  ["clone() gives two bodies", async () => { const a = new Request("http://a", { method: "POST", body: from(bytes("s")) }); const b = a.clone(); return [await a.text(), await b.text()]; }, ["s", "s"]],
  ["signals are followed", () => { const c = new AbortController(); const r = new Request("http://a", { signal: c.signal }); c.abort(); return r.signal.aborted; }, true],
  ["there is no bytes()", () => typeof Request.prototype.bytes, "undefined"],
  ["a URL object will do", () => new Request(new URL("http://a/b")).url, "http://a/b"],
  ["bodies are read in every way", async () => { const r = () => new Request("http://a", { method: "POST", body: '{"a":1}', headers: { "content-type": "X/y" } }); const b = await r().blob(); return [(await r().json()).a, (await r().arrayBuffer()).byteLength, b.size, b.type, (await all(r().body)).join("")]; }, [1, 7, 7, "x/y", '{"a":1}']],
  ["a stream that is read counts as used", async () => { const r = new Request("http://a", { method: "POST", body: "abc" }); await r.body.getReader().read(); return [r.bodyUsed, await outcome(() => r.text())]; }, [true, "TypeError: Failed to execute 'text' on 'Request': body stream already read"]],
  ["chunks that are no bytes", () => new Request("http://a", { method: "POST", body: from("s") }).text(), "TypeError: Received a chunk that is not a Uint8Array"],
]);

export const responses = cases([
  ["defaults", () => { const r = new Response(); return [r.status, r.ok, r.statusText, r.type, r.url, r.redirected, r.body]; }, [200, true, "", "default", "", false, null]],
  ["status range", () => new Response("", { status: 199 }), "RangeError: Failed to construct 'Response': The status provided is outside the range [200, 599]."],
  ["numeric strings", () => new Response("", { status: "404" }).status, 404],
  ["no check of bodies without need", async () => new Response("x", { status: 204 }).text(), "x"],
  ["json()", async () => { const r = Response.json({ a: 1 }, { status: 201 }); return [r.status, r.headers.get("content-type"), await r.json()]; }, [201, "application/json", { a: 1 }]],
  ["json() of what is none", () => Response.json(undefined), "TypeError: Failed to execute 'json' on 'Response': The data is not JSON serializable"],
  ["redirect()", () => { const r = Response.redirect("http://a/b", 307); return [r.status, r.headers.get("location")]; }, [307, "http://a/b"]],
  ["redirect() with another status", () => Response.redirect("http://a/", 200), "RangeError: Failed to execute 'redirect' on 'Response': Invalid status code"],
  ["error()", () => [Response.error().type, Response.error().status], ["error", 0]],
  ["clone()", async () => { const a = new Response("x", { status: 418, headers: { b: "1" } }); const b = a.clone(); b.headers.set("b", "2"); return [await a.text(), await b.text(), b.status, a.headers.get("b")]; }, ["x", "x", 418, "1"]],
  ["clone() of a used one", async () => { const a = new Response("x"); await a.text(); a.clone(); }, "TypeError: Failed to execute 'clone' on 'Response': Response body is already used"],
  ["a stream is read to its end", () => new Response(from(bytes("a"), bytes("b"))).text(), "ab"],
  ["a locked stream is no body", () => { const s = from(); s.getReader(); new Response(s); }, "TypeError: The body stream is locked or has been read from already"],
  ["an error of the stream is that of the reader", () => new Response(new ReadableStream({ pull: () => { throw new RangeError("no"); } })).text(), "RangeError: no"],
  ["bad JSON", async () => (await outcome(() => new Response("{").json())).split(":")[0], "SyntaxError"],
  ["arrayBuffer() is one's own", async () => { const r = new Response("abc"); const c = r.clone(); new Uint8Array(await r.arrayBuffer())[0] = 0; return c.text(); }, "abc"],
]);

export const aborts = cases([
  ["abort has a reason", () => { const c = new AbortController(); c.abort(); return [c.signal.reason.name, c.signal.reason.message, c.signal.reason instanceof DOMException]; }, ["AbortError", "This operation was aborted", true]],
  ["or is given one", () => { const c = new AbortController(); c.abort("why"); return c.signal.reason; }, "why"],
  ["listeners hear once", () => { const c = new AbortController(); let n = 0; c.signal.addEventListener("abort", () => n++); c.signal.onabort = () => (n += 10); c.abort(); c.abort(); return n; }, 11],
  ["onabort can be taken away", () => { const c = new AbortController(); let n = 0; c.signal.onabort = () => n++; c.signal.onabort = null; c.abort(); return [n, c.signal.onabort]; }, [0, null]],
  ["any() follows each", () => { const a = new AbortController(), b = new AbortController(); const s = AbortSignal.any([a.signal, b.signal]); b.abort("b"); a.abort("a"); return [s.aborted, s.reason]; }, [true, "b"]],
  ["any() of an aborted one", () => { const a = new AbortController(); a.abort(1); return AbortSignal.any([new AbortController().signal, a.signal]).reason; }, 1],
  ["any() of any()", () => { const a = new AbortController(); const s = AbortSignal.any([AbortSignal.any([a.signal])]); a.abort(); return s.aborted; }, true],
  ["no static abort()", () => typeof AbortSignal.abort, "undefined"],
  ["no constructor", () => new AbortSignal(), "TypeError: Illegal constructor"],
  ["listeners go with a signal", () => { const c = new AbortController(); const t = new EventTarget(); let n = 0; t.addEventListener("x", () => n++, { signal: c.signal }); t.dispatchEvent(new Event("x")); c.abort(); t.dispatchEvent(new Event("x")); return n; }, 1],
]);

export const events = cases([
  ["an event tells its target", () => { const t = new EventTarget(); let r; t.addEventListener("x", (e) => (r = [e.type, e.target === t, e.currentTarget === t, e.eventPhase])); t.dispatchEvent(new Event("x")); return r; }, ["x", true, true, 2]],
  ["dispatchEvent() says whether it was prevented", () => { const t = new EventTarget(); t.addEventListener("x", (e) => e.preventDefault()); return [t.dispatchEvent(new Event("x")), t.dispatchEvent(new Event("x", { cancelable: true }))]; }, [true, false]],
  ["once, handleEvent, duplicates", () => { const t = new EventTarget(); let n = 0; const l = { handleEvent: () => n++ }; t.addEventListener("x", l); t.addEventListener("x", l); t.addEventListener("x", () => (n += 10), { once: true }); t.dispatchEvent(new Event("x")); t.dispatchEvent(new Event("x")); return n; }, 12],
  ["stopImmediatePropagation()", () => { const t = new EventTarget(); let n = 0; t.addEventListener("x", (e) => e.stopImmediatePropagation()); t.addEventListener("x", () => n++); t.dispatchEvent(new Event("x")); return n; }, 0],
  ["an event does not change with what it was made from", () => { const init = { cancelable: true }; const e = new Event("x", init); init.cancelable = false; init.bubbles = true; return [e.bubbles, e.cancelable, e.composed]; }, [false, true, false]],
  ["subclasses", () => { class T extends EventTarget {} class E extends Event { constructor() { super("x"); this.detail = 5; } } const t = new T(); let d; t.addEventListener("x", (e) => (d = e.detail)); t.dispatchEvent(new E()); return d; }, 5],
  ["the global object is a target", () => { let n = 0; const l = () => n++; addEventListener("x", l); dispatchEvent(new Event("x")); removeEventListener("x", l); dispatchEvent(new Event("x")); return [n, Object.prototype.toString.call(Object.getPrototypeOf(globalThis))]; }, [1, "[object Window]"]],
  ["no CustomEvent", () => typeof CustomEvent, "undefined"],
]);

/* 04 checklist 30 */
export const asyncContext = cases([
  ["there is none at first", () => new AsyncLocalStorage().getStore() === undefined, true],
  ["run() lasts as long as the function", () => { const s = new AsyncLocalStorage(); const r = s.run(1, () => s.getStore()); return [r, s.getStore() === undefined]; }, [1, true]],
  ["it survives await", () => { const s = new AsyncLocalStorage(); return s.run(1, async () => { await null; await new Promise((r) => Promise.resolve().then(r)); return s.getStore(); }); }, 1],
  ["it survives then, catch and finally", async () => { const s = new AsyncLocalStorage(); const r = []; let go; const p = new Promise((resolve) => (go = resolve)); const q = s.run("x", () => p.then(() => r.push(s.getStore())).then(() => { throw 1; }).catch(() => r.push(s.getStore())).finally(() => r.push(s.getStore()))); s.run("other", () => go()); await q; return r; }, ["x", "x", "x"]],
  ["what registers counts, not what resolves", async () => { const s = new AsyncLocalStorage(); let go; const p = new Promise((r) => (go = r)); const seen = s.run("registers", async () => { await p; return s.getStore(); }); s.run("resolves", () => go()); return seen; }, "registers"],
  ["two at a time are kept apart", async () => { const s = new AsyncLocalStorage(); const f = (n) => s.run(n, async () => { const r = []; for (let i = 0; i < 3; i++) { await null; r.push(s.getStore()); } return r.join(""); }); return Promise.all([f(1), f(2)]); }, ["111", "222"]],
  ["two storages are independent", () => { const a = new AsyncLocalStorage(), b = new AsyncLocalStorage(); return a.run(1, () => b.run(2, async () => { await null; return [a.getStore(), b.getStore()]; })); }, [1, 2]],
  ["it survives microtasks and thenables", async () => { const s = new AsyncLocalStorage(); return s.run(5, async () => { const a = await { then: (r) => r(s.getStore()) }; const b = await new Promise((r) => queueMicrotask(() => r(s.getStore()))); return [a, b]; }); }, [5, 5]],
  ["it survives async iteration and streams", async () => { const s = new AsyncLocalStorage(); return s.run(6, async () => { const seen = []; async function* g() { await null; yield s.getStore(); } for await (const x of g()) seen.push(x, s.getStore()); await all(from(1)); seen.push(s.getStore()); return seen; }); }, [6, 6, 6]],
  ["it survives the host's promises", async (db) => { const s = new AsyncLocalStorage(); return s.run(7, async () => { await Convex.asyncSyscall("1.0/count", '{"table":"none"}'); return s.getStore(); }); }, 7],
  ["exit() leaves", () => { const s = new AsyncLocalStorage(); return s.run(1, () => [s.exit(() => s.getStore() === undefined), s.getStore()]); }, [true, 1]],
  ["enterWith() stays until the function's end", async () => { const s = new AsyncLocalStorage(); const f = async () => { await null; s.enterWith(3); await null; return s.getStore(); }; return [await f(), s.getStore() === undefined]; }, [3, true]],
  ["disable() forgets", () => { const s = new AsyncLocalStorage(); return s.run(1, () => { s.disable(); return s.getStore() === undefined; }); }, true],
  ["bind() and snapshot()", () => { const s = new AsyncLocalStorage(); const [f, g] = s.run(4, () => [AsyncLocalStorage.bind(() => s.getStore()), AsyncLocalStorage.snapshot()]); return [f(), g(() => s.getStore()), g((a, b) => a + b, 1, 2)]; }, [4, 4, 3]],
  ["AsyncResource remembers where it was made", () => { const s = new AsyncLocalStorage(); const r = s.run(8, () => new AsyncResource("t")); const self = { x: 1 }; return [r.runInAsyncScope(function (a) { return [s.getStore(), this.x, a]; }, self, 9), r.bind(() => s.getStore())(), s.run(1, () => AsyncResource.bind(() => s.getStore()))()]; }, [[8, 1, 9], 8, 1]],
  ["an exception leaves too", () => { const s = new AsyncLocalStorage(); try { s.run(1, () => { throw 1; }); } catch {} return s.getStore() === undefined; }, true],
  ["both are not enumerable", () => Object.keys(globalThis).filter((k) => k.startsWith("Async")), []],
]);

const atImport = new AsyncLocalStorage();
atImport.enterWith("import");
export const enteredAtImport = cases([["what import entered is current", () => atImport.getStore(), "import"]]);

export const urls = cases([
  ["parts can be set", () => { const u = new URL("http://a/b"); u.host = "c:81"; u.username = "u"; u.password = "p"; u.pathname = "x y"; u.search = "q=1"; u.hash = "h"; u.protocol = "https"; return u.href; }, "https://u:p@c:81/x%20y?q=1#h"],
  ["parts can be read", () => { const u = new URL("https://u:p@h.com:8443/p/q?r=s#t"); return [u.origin, u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, JSON.stringify(u)]; }, ["https://h.com:8443", "https:", "u", "p", "h.com:8443", "h.com", "8443", "/p/q", "?r=s", "#t", '"https://u:p@h.com:8443/p/q?r=s#t"']],
  ["relative references (RFC 3986, section 5.4)", () => ["g", "./g", "../g", "../../../g", "/g", "//g", "?y", "#s", "", "g;x=1/../y", "http:g"].map((r) => new URL(r, "http://a/b/c/d;p?q").href), ["http://a/b/c/g", "http://a/b/c/g", "http://a/b/g", "http://a/g", "http://a/g", "http://g/", "http://a/b/c/d;p?y", "http://a/b/c/d;p?q#s", "http://a/b/c/d;p?q", "http://a/b/c/y", "http://a/b/c/g"]],
  ["hosts are normalised", () => ["http://EXAMPLE.com", "http://0x7f.1/", "http://[::1]:80/", "http://[1:0:0:2::3]/", "http://a%41.b", "http://münchen.de/", "http://faß.de/"].map((u) => new URL(u).host), ["example.com", "127.0.0.1", "[::1]", "[1:0:0:2::3]", "aa.b", "xn--mnchen-3ya.de", "xn--fa-hia.de"]],
  ["names are mapped as UTS 46 says", () => ["ΒΌΛΟΣ.gr", "ＷＷＷ．Ａ．com", "Straße.de", "☕.example", "xn--mnchen-3ya.DE", "a_b.c", "-a-.r3---x.com", "日本。jp"].map((n) => new URL(`http://${n}/`).host), ["xn--nxasmq6b.gr", "www.a.com", "xn--strae-oqa.de", "xn--53h.example", "xn--mnchen-3ya.de", "a_b.c", "-a-.r3---x.com", "xn--wgv71a.jp"]],
  ["what is no name", () => ["xn--", "xn--a", "a.xn--pokxncvks", "a\u200cb", "\u0644a", "\ufdd0x.com", "\u0301a", "a\u2488com", `${"ä".repeat(1001)}.de`].filter((n) => URL.canParse(`http://${n}/`)), []],
  ["a long name", () => new URL(`http://${`${"ä".repeat(100)}.`.repeat(20)}de`).host.length, 2142],
  ["a path without a host stays one", () => { const u = new URL("foo:/some/path"); u.pathname = ""; return u.href; }, "foo:/"],
  ["blanks at the end of an opaque path", () => ["search", "hash"].map((m) => { const u = new URL("data:space  ?q#f"); u[m] = ""; const first = u.pathname; u[m === "hash" ? "search" : "hash"] = ""; return [first, u.href]; }), [["space  ", "data:space"], ["space  ", "data:space"]]],
  ["names of a record that become the same", () => String(new URLSearchParams({ "\ud835x": "1", xx: "2", "\ud83dx": "3" })), "%EF%BF%BDx=3&xx=2"],
  ["bad ones", () => ["http://", "http://a b", "http://a:99999", "//x", "http://[::1", "http://1.2.3.256", "x"].map((u) => URL.canParse(u)), [false, false, false, false, false, false, false]],
  ["other schemes are opaque", () => { const u = new URL("mailto:a@b"); return [u.pathname, u.host, u.origin, new URL("data:text/plain,x y").href, new URL("blob:https://a/1").origin]; }, ["a@b", "", "null", "data:text/plain,x y", "https://a"]],
  ["parse() gives null", () => [URL.parse("nope"), URL.parse("b", "http://a/").href], [null, "http://a/b"]],
  ["an invalid URL is a TypeError", async () => (await outcome(() => new URL("nope"))).startsWith("TypeError"), true],
  ["searchParams is live both ways", () => { const u = new URL("http://a/?x=1"); u.searchParams.append("y", "ü &"); u.searchParams.delete("x"); const first = u.href; u.search = "?z=2"; return [first, u.searchParams.get("z"), u.searchParams.size]; }, ["http://a/?y=%C3%BC+%26", "2", 1]],
  ["URLSearchParams from all", () => [new URLSearchParams("?a=1&b=2&a=%zz"), new URLSearchParams([["a", "b"]]), new URLSearchParams({ a: "x y" }), new URLSearchParams(new URLSearchParams("q=+"))].map(String), ["a=1&b=2&a=%25zz", "a=b", "a=x+y", "q=+"]],
  ["sort, has and delete with values", () => { const p = new URLSearchParams("b=1&a=2&b=0"); p.sort(); p.delete("b", "0"); return [String(p), p.has("b", "1"), p.has("b", "0")]; }, ["a=2&b=1", true, false]],
  ["tabs and line breaks go", () => new URL(" ht\ntp://a/\tb ").href, "http://a/b"],
  ["default ports go", () => ["http://a:80/", "https://a:443/", "https://a:80/"].map((u) => new URL(u).href), ["http://a/", "https://a/", "https://a:80/"]],
  ["percent encoding by part", () => new URL("http://a/é <>`?é'\"#é`").href, "http://a/%C3%A9%20%3C%3E%60?%C3%A9%27%22#%C3%A9%60"],
]);

export const texts = cases([
  ["labels", () => ["UTF-8", " utf8 ", "latin1", "ascii", "utf-16", "utf-16be", "iso-8859-1"].map((l) => new TextDecoder(l).encoding), ["utf-8", "utf-8", "windows-1252", "windows-1252", "utf-16le", "utf-16be", "windows-1252"]],
  ["other labels", () => new TextDecoder("nope"), "RangeError: The encoding label provided ('nope') is invalid."],
  ["other encodings", () => Object.entries({
    ibm866: "Aфр│д┴╨■", "iso-8859-2": "Aäŕł¤ÁĐţ", cyrillic: "AфрГЄСаў", greek: "Aδΰ³€ΑΠώ", l9: "Aäà³€ÁÐþ", "koi8-r": "AДЮЁ╓апЧ",
    macintosh: "A‰‡≥§¡–˛", cp1250: "Aäŕł¤ÁĐţ", cp1251: "Aдаі¤БРю", latin5: "Aäà³¤ÁĞş",
    "x-mac-cyrillic": "Aда≥§Ѕ–ю", gb2312: "A溧长列\ufffd", big5: "A魡酗蹈\ufffd", "euc-jp": "A籥海双\ufffd",
    sjis: "A萵ｳ､ﾁﾐ\ufffd", "euc-kr": "A菴낀죗\ufffd",
  }).filter(([l, want]) => new TextDecoder(l).decode(new Uint8Array([0x41, 0xe4, 0xe0, 0xb3, 0xa4, 0xc1, 0xd0, 0xfe])) !== want).map(([l]) => l), []],
  ["other encodings, in pieces", () => { const d = new TextDecoder("shift_jis"); const b = new Uint8Array([0x93, 0xfa, 0x96, 0x7b]); const one = [...b].map((_, i) => d.decode(b.subarray(i, i + 1), { stream: true })).join("|"); const j = new TextDecoder("iso-2022-jp"); const e = new Uint8Array([0x1b, 0x24, 0x42, 0x46, 0x7c, 0x4b, 0x5c, 0x1b, 0x28, 0x42, 0x41]); j.decode(e.subarray(0, 4), { stream: true }); return [one, d.decode(), new TextDecoder("sjis").encoding, j.decode(e.subarray(4))]; }, ["|日||本", "", "shift_jis", "日本A"]],
  ["the euro sign of GBK", async () => Promise.all([new Uint8Array([0x80, 0x81, 0x80, 0x41]), new Uint8Array([0xff])].flatMap((b) => [false, true].map((fatal) => outcome(() => new TextDecoder("gbk", { fatal }).decode(b))))), ["€亐A", "€亐A", "\ufffd", "TypeError: The encoded data was not valid for the encoding"]],
  ["other encodings, fatal", () => new TextDecoder("gbk", { fatal: true }).decode(new Uint8Array([0xff])), "TypeError: The encoded data was not valid for the encoding"],
  ["nothing is nothing", () => [new TextDecoder().decode(), new TextDecoder().decode(undefined), new TextEncoder().encode().length], ["", "", 0]],
  ["streaming", () => { const d = new TextDecoder(); return [d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), d.decode(new Uint8Array([0xac]), { stream: true }), d.decode()]; }, ["", "€", ""]],
  ["the byte order mark", () => [new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 65])), new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 65])).length], ["A", 2]],
  ["encodeInto stops in time", () => { const b = new Uint8Array(4); const r = new TextEncoder().encodeInto("a€€", b); return [r, [...b]]; }, [{ read: 2, written: 4 }, [97, 226, 130, 172]]],
  ["encodeInto fills nothing but Uint8Array", async () => Promise.all([new DataView(new ArrayBuffer(4)), new Int8Array(4), new Uint8ClampedArray(4), new Float64Array(4), new ArrayBuffer(4), null, { length: 4 }].map((x) => outcome(() => new TextEncoder().encodeInto("a", x)))).then((all) => [...new Set(all)]), ["TypeError: Failed to execute 'encodeInto' on 'TextEncoder': parameter 2 is not of type 'Uint8Array'."]],
  ["a DataView and an offset", () => new TextDecoder().decode(new DataView(bytes("abc").buffer, 1, 1)), "b"],
]);

export const misc = cases([
  [
    "the last match of a regular expression",
    () => {
      const { $1: none } = RegExp;
      /(a)(b)?(c)/.test("xxaczz");
      const first = [RegExp.$1, RegExp.$2, RegExp.$3, RegExp.$4, RegExp["$&"], RegExp.lastParen, RegExp["$`"], RegExp.rightContext];
      "é日本".replace(/日(本)/, "x");
      /nothing/.test("q");
      RegExp.$1 = "kept";
      return [none, first, RegExp.$1, RegExp.leftContext, RegExp.input];
    },
    ["", ["a", "", "c", "", "ac", "c", "xx", "zz"], "本", "é", "é日本"],
  ],
  ["DOMException's codes", () => ["IndexSizeError", "NotFoundError", "SyntaxError", "AbortError", "TimeoutError", "DataCloneError", "QuotaExceededError", "OperationError"].map((n) => new DOMException("m", n).code), [1, 8, 12, 20, 23, 25, 22, 0]],
  ["DOMException is an error", () => { const e = new DOMException("m", "N"); return [e instanceof Error, e.name, e.message, DOMException.ABORT_ERR, e.ABORT_ERR, new DOMException().name, Object.prototype.toString.call(e), typeof e.stack]; }, [true, "N", "m", 20, 20, "Error", "[object DOMException]", "string"]],
  ["structuredClone", () => { const s = structuredClone({ d: new Date(1), u: undefined, n: [1, , 2], e: new RangeError("x", { cause: 1 }) }); return [s.d.getTime(), "u" in s, 1 in s.n, s.e.name, s.e.cause]; }, [1, true, false, "RangeError", 1]],
  ["structuredClone of cycles and shares", () => { const a = []; const o = structuredClone({ a, b: a, m: new Map([[a, 1]]) }); return [o.a === o.b, o.m.has(o.a)]; }, [true, true]],
  ["structuredClone loses classes", () => { class A { x = 1; get y() { return 2; } } const c = structuredClone(new A()); return [c.constructor === Object, c]; }, [true, { x: 1 }]],
  ["structuredClone is not misled", () => { const fake = structuredClone({ [Symbol.toStringTag]: "Map", a: 1 }); class M extends Map { get [Symbol.toStringTag]() { return "Date"; } } class B extends Uint8Array { get [Symbol.toStringTag]() { return "process"; } } const m = structuredClone(new M([[1, 2]])); const b = structuredClone(new B([7])); return [fake, m instanceof Map, m.get(1), b.constructor === Uint8Array, b[0]]; }, [{ a: 1 }, true, 2, true, 7]],
  ["structuredClone of wrappers", () => [Object(5), Object("s"), Object(true), Object(1n)].map((x) => { const c = structuredClone(x); return [typeof c, String(c), c === x]; }), [["object", "5", false], ["object", "s", false], ["object", "true", false], ["object", "1", false]]],
  ["structuredClone of what has no copy", async () => Promise.all([new WeakMap(), Promise.resolve(), () => 1, new WeakSet(), { f() {} }].map((x) => outcome(() => structuredClone(x)))).then((all) => all.map((t) => t.split(":")[0])), ["DataCloneError", "DataCloneError", "DataCloneError", "DataCloneError", "DataCloneError"]],
  ["structuredClone of deep values ends in a RangeError", async () => { let o = {}; for (let i = 0; i < 100000; i++) o = { o }; return (await outcome(() => structuredClone(o))).split(":")[0]; }, "RangeError"],
  ["structuredClone of symbols", () => structuredClone(Symbol("s")), "DataCloneError: Symbol(s) could not be cloned."],
  ["typed arrays keep their buffer", () => { const b = new ArrayBuffer(4); const c = structuredClone([new Uint8Array(b, 1, 2), new Uint16Array(b)]); return [c[0].buffer === c[1].buffer, c[0].byteOffset, c[0].length, c[1] instanceof Uint16Array]; }, [true, 1, 2, true]],
  ["globals are writable, configurable and hidden", () => ["fetch", "URL", "Blob", "console", "crypto", "setTimeout", "AbortSignal", "structuredClone", "ReadableStream", "Response", "TextDecoder", "performance", "process", "Convex"].filter((k) => { const d = Object.getOwnPropertyDescriptor(globalThis, k); return !d || !d.writable || !d.configurable; }), []],
  ["functions have their names", () => [fetch.name, setTimeout.name, structuredClone.name, URL.name, Headers.prototype.get.name, Request.name, fetch.length, Date.name, Date.length], ["fetch", "setTimeout", "structuredClone", "URL", "get", "Request", 1, "Date", 7]],
  ["tags", () => [new Request("http://a"), new Response(), new Headers(), new FormData(), new Blob(), new AbortController(), new Event("x"), new URL("http://a"), new URLSearchParams(), performance].map(String), ["[object Request]", "[object Response]", "[object Headers]", "[object FormData]", "[object Blob]", "[object AbortController]", "[object Event]", "http://a/", "", "[object Performance]"]],
  ["members of web classes are enumerable", () => [Object.keys(Headers.prototype).includes("append"), Object.keys(Response.prototype).includes("status"), Object.keys(Response.prototype).includes("constructor")], [true, true, false]],
  ["absent", () => ["navigator", "WebSocket", "EventSource", "CustomEvent", "MessageChannel", "BroadcastChannel", "CompressionStream", "DecompressionStream", "setImmediate", "Buffer", "global", "require", "module", "URLPattern", "reportError", "XMLHttpRequest", "window", "document", "localStorage", "Worker", "importScripts", "__host", "gc", "print", "std", "os", "bjson", "scriptArgs"].filter((k) => k in globalThis), []],
  ["Date", () => [typeof Date(), new Date(0).toString(), new Date(2020, 0, 1).toISOString(), Date.UTC(2020, 0), new Date(0) instanceof Date, new Date(0).constructor === Date, class extends Date {}.name, new (class extends Date {})(5).getTime()], ["string", "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)", "2020-01-01T00:00:00.000Z", 1577836800000, true, true, "", 5]],
  ["process.env", () => { const before = [Object.keys(process.env), "CONVEX_CLOUD_URL" in process.env]; process.env.X = 1; return [...before, process.env.X === undefined, typeof process.env.CONVEX_CLOUD_URL, process.env.inspect()]; }, [[], false, true, "string", "[process.env]"]],
  ["performance", () => { performance.mark("a"); performance.mark("b", { startTime: 5, detail: 1 }); const m = performance.measure("m", "b", "a"); const r = [m.startTime, m.entryType, performance.getEntriesByName("b")[0].detail, performance.getEntriesByType("mark").length]; performance.clearMarks("a"); performance.clearMeasures(); return [...r, performance.getEntries().length, Object.keys(performance.toJSON())]; }, [5, "measure", 1, 2, 1, ["timeOrigin"]]],
  ["performance.measure by start, end and duration", () => { performance.clearMarks(); const s = (m) => [m.startTime, m.duration]; return [s(performance.measure("a", { start: 1, end: 4 })), s(performance.measure("b", { start: 1, duration: 2 })), s(performance.measure("c", { end: 5, duration: 2 })), performance.measure("d", { start: 0, end: 0, detail: { x: 1 } }).toJSON()]; }, [[1, 3], [1, 2], [3, 2], { name: "d", entryType: "measure", startTime: 0, duration: 0, detail: { x: 1 } }]],
  ["performance.measure with too much", () => performance.measure("a", { start: 1, end: 2, duration: 1 }), "TypeError: Failed to execute 'measure' on 'Performance': too many of start, end and duration"],
  ["performance.measure of unknown marks", () => performance.measure("m", "nope"), "SyntaxError: The mark 'nope' does not exist."],
  ["Atomics.wait cannot block", async () => (await outcome(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))).split(":")[0], "TypeError"],
  ["jsSyscall: what store() is given", () => Convex.jsSyscall("storage/storeBlob", { blob: "x" }), "Error: store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input."],
  ["jsSyscall: what get() is given", () => Convex.jsSyscall("storage/getBlob", { storageId: 5 }), "Error: storage.get requires a string storageId but received 5"],
  ["jsSyscall: no blobs here", () => Convex.jsSyscall("storage/storeBlob", { blob: new Blob(["x"]) }), "Error: Can't use storage.store() in queries and mutations. Please consider using an action. See https://docs.convex.dev/functions/actions for more details."],
  ["jsSyscall: what is no response", () => Convex.jsSyscall("convexJsonFromResponse", { response: {} }), "Error: HTTP actions must return a Response"],
  ["jsSyscall: a request", async () => { const r = Convex.jsSyscall("requestFromConvexJson", { convexJson: { headerPairs: [["X-A", "\u00e9"], ["x-a", "2"]], url: "http://h/p?q", method: "GET", streamId: null, signal: null } }); return [r instanceof Request, r.url, r.method, [...r.headers], r.body, await r.text()]; }, [true, "http://h/p?q", "GET", [["x-a", "é"], ["x-a", "2"]], null, ""]],
]);

// Users may replace what they like; the prelude keeps working.
export const robust = cases([
  ["overwritten globals", async () => {
    const saved = {};
    for (const k of ["URL", "Headers", "Blob", "ReadableStream", "TextDecoder", "TextEncoder", "URLSearchParams", "Event", "FormData", "Request", "setTimeout"]) {
      saved[k] = globalThis[k];
      globalThis[k] = class Fake {};
    }
    const then = Promise.prototype.then;
    Promise.prototype.then = () => {
      throw new Error("then");
    };
    try {
      const r = new Response("x", { headers: { a: "1" } });
      const c = new AbortController();
      c.abort();
      return [await r.text(), r.headers.get("a"), await new saved.Request("http://a", { method: "POST", body: "y" }).text()];
    } finally {
      Promise.prototype.then = then;
      Object.assign(globalThis, saved);
    }
  }, ["x", "1", "y"]],
  ["methods on foreign objects throw", async () => Promise.all([
    () => Object.getOwnPropertyDescriptor(Request.prototype, "url").get.call({}),
    () => Headers.prototype.get.call({}, "a"),
    () => Response.prototype.text.call({}),
    () => Blob.prototype.slice.call(null),
    () => Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted").get.call({}),
    () => TextDecoder.prototype.decode.call({}),
    () => FormData.prototype.append.call({}, "a", "b"),
  ].map(async (f) => (await outcome(f)).split(":")[0])), ["TypeError", "TypeError", "TypeError", "TypeError", "TypeError", "TypeError", "TypeError"]],
]);
