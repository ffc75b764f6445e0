// AbortController and AbortSignal (no static abort(): section 3.5).
import { define, enumerable, tag } from "./host.js";
import { Event, EventTarget, report } from "./event.js";
import { setTimeout } from "./timers.js";

const key = Symbol();
let stateOf;

class AbortSignal extends EventTarget {
  #state = { aborted: false, reason: undefined, watchers: new Set() };
  #onabort = null;
  static {
    stateOf = (signal) => signal.#state;
  }
  constructor(secret) {
    super();
    if (secret !== key) {
      throw new TypeError("Illegal constructor");
    }
  }
  get aborted() {
    return this.#state.aborted;
  }
  get reason() {
    return this.#state.reason;
  }
  get onabort() {
    return this.#onabort;
  }
  set onabort(handler) {
    const before = this.#onabort;
    this.#onabort = typeof handler === "function" ? handler : null;
    if (before === null && this.#onabort !== null) {
      this.addEventListener("abort", this.#callHandler);
    } else if (before !== null && this.#onabort === null) {
      this.removeEventListener("abort", this.#callHandler);
    }
  }
  #callHandler = (event) => {
    this.#onabort?.call(this, event);
  };
  throwIfAborted() {
    if (this.#state.aborted) {
      throw this.#state.reason;
    }
  }
  static timeout(ms) {
    const signal = new AbortSignal(key);
    setTimeout(() => abort(signal, new DOMException("signal timed out", "TimeoutError")), ms);
    return signal;
  }
  static any(signals) {
    const result = new AbortSignal(key);
    const sources = [...signals];
    for (const signal of sources) {
      if (signal.aborted) {
        abort(result, signal.reason);
        return result;
      }
    }
    const offs = sources.map((signal) =>
      onAbort(signal, () => {
        offs.forEach((off) => off());
        abort(result, signal.reason);
      }),
    );
    return result;
  }
}
enumerable(AbortSignal);
tag(AbortSignal, "AbortSignal");

// Watchers come before listeners, and signals that depend on this one are aborted by theirs.
function abort(signal, reason) {
  const state = stateOf(signal);
  if (state.aborted) {
    return;
  }
  state.aborted = true;
  state.reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
  for (const watcher of [...state.watchers]) {
    try {
      watcher();
    } catch (e) {
      report(e);
    }
  }
  state.watchers.clear();
  signal.dispatchEvent(new Event("abort"));
}

export const isSignal = (value) => value instanceof AbortSignal;
export const newSignal = () => new AbortSignal(key);
export { abort };

// Calls back once, when it is aborted; returns what undoes that.  Signals of other libraries do.
export function onAbort(signal, callback) {
  if (isSignal(signal)) {
    const { watchers } = stateOf(signal);
    const watcher = () => callback(); // the same callback may watch twice
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }
  signal.addEventListener("abort", callback, { once: true });
  return () => signal.removeEventListener("abort", callback);
}

class AbortController {
  #signal = new AbortSignal(key);
  get signal() {
    return this.#signal;
  }
  abort(reason) {
    abort(this.#signal, reason);
  }
}
enumerable(AbortController);
tag(AbortController, "AbortController");

define({ AbortController, AbortSignal });
