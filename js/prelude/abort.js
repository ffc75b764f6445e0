// AbortController and AbortSignal (no static abort(): section 3.5).
import { define, tag } from "./host.js";
import { Event, EventTarget } from "./event.js";
import { setTimeout } from "./timers.js";

const key = Symbol();
const abortSignal = (signal, reason) => signal[key](reason);

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #dependents = [];
  onabort = null;
  constructor(secret) {
    super();
    if (secret !== key) {
      throw new TypeError("Illegal constructor");
    }
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  throwIfAborted() {
    if (this.#aborted) {
      throw this.#reason;
    }
  }
  [key](reason) {
    if (this.#aborted) {
      return;
    }
    this.#aborted = true;
    this.#reason =
      reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    const event = new Event("abort");
    if (typeof this.onabort === "function") {
      this.onabort.call(this, event);
    }
    this.dispatchEvent(event);
    for (const dependent of this.#dependents) {
      dependent[key](this.#reason);
    }
  }
  static timeout(ms) {
    const signal = new AbortSignal(key);
    setTimeout(() => signal[key](new DOMException("signal timed out", "TimeoutError")), ms);
    return signal;
  }
  static any(signals) {
    const result = new AbortSignal(key);
    for (const signal of signals) {
      if (signal.aborted) {
        result[key](signal.reason);
        return result;
      }
    }
    for (const signal of signals) {
      signal.#dependents.push(result);
    }
    return result;
  }
}
tag(AbortSignal, "AbortSignal");

class AbortController {
  #signal = new AbortSignal(key);
  get signal() {
    return this.#signal;
  }
  abort(reason) {
    abortSignal(this.#signal, reason);
  }
}
tag(AbortController, "AbortController");

define({ AbortController, AbortSignal });
