// The prelude over a host made of JavaScript, in a context of its own: tests of what only actions
// can do, without a server.
import { readFileSync } from "node:fs";
import { domainToASCII } from "node:url";
import vm from "node:vm";

const folder = process.env.JS_BUILD_DIR ?? new URL("../../build/deps/js", import.meta.url).pathname;
const script = new vm.Script(readFileSync(`${folder}/prelude.js`, "utf8"), { filename: "prelude.js" });

export class FakeHost {
  streams = new Map(); // id -> { chunks, done, error, dropped, wake }
  ops = []; // [kind, args, bytes as text] in the order of their start
  cancelled = [];
  uncatchable = [];
  action = true;
  #nextOp = 0;
  #nextStream = 0;
  #waiting = new Map();

  // perform(kind, args, bytes) gives [result, bytes] for all but read and closed.
  constructor(perform) {
    this.perform = perform;
    const context = vm.createContext({ DOMException, atob, btoa, queueMicrotask });
    this.context = context;
    context.__host = new Proxy(this.#natives(), { get: (natives, key) => natives[key] ?? (() => undefined) });
    context.Convex = vm.runInContext("({})", context);
    script.runInContext(context);
    this.eval = (code) => vm.runInContext(`(async () => {${code}})()`, context);
  }
  bytes(data) {
    const Bytes = vm.runInContext("Uint8Array", this.context);
    return Bytes.from(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }
  // One that JavaScript reads: these chunks, then its end, unless it stays open.
  stream(chunks, open = false) {
    const id = `s${++this.#nextStream}`;
    this.streams.set(id, { chunks: chunks.map((c) => this.bytes(c)), done: !open, dropped: false });
    return id;
  }
  async #read(id) {
    const s = this.streams.get(id);
    while (s.chunks.length === 0 && !s.done && !s.error) {
      await new Promise((resolve) => (s.wake = resolve));
    }
    if (s.chunks.length > 0) {
      return [{ done: false }, s.chunks.shift()];
    }
    if (s.error) {
      throw new Error(s.error);
    }
    return [{ done: true }, undefined];
  }
  change(id, how) {
    const s = this.streams.get(id);
    Object.assign(s, how);
    s.wake?.();
  }
  // What JavaScript wrote, to its end.
  async written(id) {
    const s = this.streams.get(id);
    let text = "";
    for (;;) {
      while (s.chunks.length > 0) {
        text += Buffer.from(s.chunks.shift()).toString("latin1");
      }
      if (s.error) {
        return `${text} ! ${s.error}`;
      }
      if (s.done) {
        return text;
      }
      await new Promise((resolve) => (s.wake = resolve));
    }
  }
  #natives() {
    return {
      log: (level, messages) => console.log(level, ...messages),
      now: () => 1000,
      random: () => 0.5,
      refusal: (what) => `refused: ${what}`,
      uncatchable: (text) => {
        this.uncatchable.push(text);
        throw new Error(`uncatchable: ${text}`);
      },
      encode: (text) => this.bytes(Buffer.from(String(text).toWellFormed(), "utf8")),
      decode: (label, bytes, fatal) => new TextDecoder(label, { fatal, ignoreBOM: true }).decode(bytes),
      domainToAscii: (name) => domainToASCII(name),
      incompleteTail: () => 0,
      find: (bytes, wanted, from) => Buffer.from(bytes).indexOf(Buffer.from(wanted), from),
      inAction: () => this.action,
      lastOp: () => this.#nextOp,
      op: (kind, json, bytes) => this.#start(kind, JSON.parse(json), bytes),
      cancelOp: (id) => {
        this.cancelled.push(this.#waiting.get(id));
        this.#waiting.delete(id);
      },
      newStream: () => {
        const id = this.stream([], true);
        return id;
      },
      writeStream: (id, bytes, done) => {
        const s = this.streams.get(id);
        if (bytes !== undefined) {
          s.chunks.push(bytes.slice());
        }
        this.change(id, { done });
        return !s.dropped;
      },
      failStream: (id, error) => this.change(id, { error }),
      dropStream: (id) => this.change(id, { dropped: true }),
    };
  }
  #start(kind, args, bytes) {
    const id = ++this.#nextOp;
    this.ops.push([kind, args, bytes && Buffer.from(bytes).toString("latin1")]);
    this.#waiting.set(id, kind);
    return new Promise((resolve, reject) => {
      const run = async () => (kind === "read" ? await this.#read(args.streamId) : await this.perform(kind, args, bytes));
      const settle = (fn) => (value) => this.#waiting.delete(id) && fn(value);
      run().then(settle(([result, data]) => resolve([JSON.stringify(result), data])), settle(reject));
    });
  }
}

// A host whose fetch answers by this function: (args, body text) -> { status, headers, body, ... }.
export function web(answer) {
  const host = new FakeHost(async (kind, args, bytes) => {
    if (kind === "sleep") {
      await new Promise((resolve) => setTimeout(resolve, args.ms));
      return [{}];
    }
    const body = args.streamId ? await host.written(args.streamId) : bytes && Buffer.from(bytes).toString("latin1");
    const { status = 200, headers = [], chunks = [], open = false, hang = false } = await answer(args, body);
    if (hang) {
      await new Promise(() => {});
    }
    return [{ url: args.url, status, statusText: "T", headers, streamId: chunks === null ? null : host.stream(chunks, open) }];
  });
  return host;
}
