// One run of an action: its connection, its operations and its console.
import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { describe } from "./errors.js";
import { encode } from "./frames.js";

const LINES_MAX = 256;
const CHARACTERS_MAX = 1048576;
const OPERATIONS_MAX = 1000;
const LIMITS_URL = "https://docs.convex.dev/functions/actions#limits";

/** Which invocation the running code belongs to. */
export const current = new AsyncLocalStorage();
const running = new Map(); // request id -> Invocation
let newest = null;

export class Invocation {
  id = randomUUID();
  over = false;
  #socket;
  #pending = new Map(); // id -> {resolve, reject, label}
  #nextId = 1;
  #lines = 0;
  #characters = 0;

  constructor(socket) {
    this.#socket = socket;
    running.set(this.id, this);
    newest = this;
  }

  send(header, bytes) {
    return this.#socket.write(encode(header, bytes));
  }

  /** Resolves when what was written has left, so that large bodies do not pile up. */
  async sent() {
    if (!this.#socket.writableNeedDrain) return;
    await new Promise((resolve) => {
      this.#socket.once("drain", resolve);
      this.#socket.once("close", resolve);
    });
  }

  /** The last frame. After it nothing that was started settles any more. */
  end(outcome) {
    if (this.over) return;
    this.over = true;
    running.delete(this.id);
    this.#pending.clear();
    this.#socket.end(encode({ t: "done", ...outcome }));
  }

  /** The host went away: it gave up on this run. */
  abandon() {
    this.over = true;
    running.delete(this.id);
    this.#pending.clear();
  }

  operation(label, header, bytes) {
    if (this.over) throw leftover();
    if (this.#pending.size >= OPERATIONS_MAX)
      throw new Error(`Too many concurrent operations. See ${LIMITS_URL} for more information.`);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, label });
      this.send({ t: "op", id, ...header }, bytes);
    });
  }

  /** An answer of the host. */
  answer(header, bytes) {
    const pending = this.#pending.get(header.id);
    if (!pending) return;
    this.#pending.delete(header.id);
    if (header.ok) {
      pending.resolve([header.json, bytes]);
      return;
    }
    const error = new Error(header.message);
    if (header.class === "TypeError") Object.setPrototypeOf(error, TypeError.prototype);
    if (header.data !== undefined) error.data = JSON.parse(header.data);
    pending.reject(error);
  }

  warnOutstanding() {
    for (const label of new Set([...this.#pending.values()].map((p) => p.label)))
      this.log("WARN", [
        `You have an outstanding ${label} call. Operations should be awaited or they might not run. ` +
          "Not awaiting promises might result in unexpected failures. " +
          "See https://docs.convex.dev/functions/actions#dangling-promises for more information.",
      ]);
  }

  log(level, messages) {
    if (this.over || this.#lines >= LINES_MAX) return;
    this.#lines++;
    this.#characters += messages.reduce((n, m) => n + m.length, 0);
    if (this.#characters > CHARACTERS_MAX) {
      this.#lines = LINES_MAX;
      level = "ERROR";
      messages = ["Log overflow (maximum 1M characters). Remaining log lines omitted."];
    }
    this.send({ t: "log", level, messages, ts: Date.now() });
  }
}

export function leftover() {
  return new Error(
    "Leftover state detected. This typically happens if there are dangling promises from a previous " +
      "request. Did you forget to await your promises?",
  );
}

/** The invocation that a call belongs to: named by its request id, else by the async context. */
export function owner(requestId) {
  const found = requestId ? running.get(requestId) : (current.getStore() ?? newest);
  if (!found || found.over) throw leftover();
  return found;
}

/** Whom a stray failure is reported to; undefined: nobody is running. */
export function suspect() {
  const found = current.getStore();
  if (found) return found.over ? undefined : found;
  return newest && !newest.over ? newest : undefined;
}

export function installConsole() {
  const levels = { debug: "DEBUG", info: "INFO", log: "LOG", warn: "WARN", error: "ERROR" };
  for (const [method, level] of Object.entries(levels)) {
    const native = console[method].bind(console);
    console[method] = (...args) => {
      const invocation = current.getStore();
      if (invocation) invocation.log(level, args.map((arg) => inspect(arg)));
      else native(...args);
    };
  }
}

/** Ends the run that a failure nobody caught belongs to; tells whether there was one. */
export function fail(thrown, folder) {
  const invocation = suspect();
  invocation?.end({ ok: false, ...describe(thrown, folder), exiting: true });
  return invocation !== undefined;
}
