// AsyncLocalStorage and AsyncResource.  The host keeps one current value per context, and gives each
// promise reaction the value of when it was registered (tools/quickjs-async-value.patch).  Here
// that value is an immutable map from storage to what is stored.
import host, { define } from "./host.js";

const current = () => host.asyncValue();

function runWith(value, fn, thisArg, args) {
  const before = current();
  host.setAsyncValue(value);
  try {
    return Reflect.apply(fn, thisArg, args);
  } finally {
    host.setAsyncValue(before);
  }
}

function having(storage, store) {
  const map = new Map(current());
  map.set(storage, store);
  return map;
}

function without(storage) {
  const map = new Map(current());
  map.delete(storage);
  return map;
}

function callable(fn, what) {
  if (typeof fn !== "function") {
    throw new TypeError(`The "${what}" argument must be of type function.`);
  }
}

function bound(fn, value, thisArg, fixed) {
  const result = function (...args) {
    return runWith(value, fn, fixed ? thisArg : this, args);
  };
  Object.defineProperty(result, "length", { value: fn.length, configurable: true });
  Object.defineProperty(result, "name", { value: `bound ${fn.name}`, configurable: true });
  return result;
}

class AsyncLocalStorage {
  #defaultValue;
  #name;
  constructor(options) {
    this.#defaultValue = options?.defaultValue;
    this.#name = options?.name === undefined ? "" : String(options.name);
  }
  static bind(fn) {
    callable(fn, "fn");
    return bound(fn, current());
  }
  static snapshot() {
    const value = current();
    return (fn, ...args) => runWith(value, fn, undefined, args);
  }
  get name() {
    return this.#name;
  }
  run(store, fn, ...args) {
    return runWith(having(this, store), fn, undefined, args);
  }
  exit(fn, ...args) {
    return runWith(without(this), fn, undefined, args);
  }
  getStore() {
    const map = current();
    return map !== undefined && map.has(this) ? map.get(this) : this.#defaultValue;
  }
  enterWith(store) {
    host.setAsyncValue(having(this, store));
  }
  disable() {
    host.setAsyncValue(without(this));
  }
}

class AsyncResource {
  #value = current();
  static bind(fn, _type, thisArg) {
    callable(fn, "fn");
    return bound(fn, current(), thisArg, thisArg !== undefined);
  }
  runInAsyncScope(fn, thisArg, ...args) {
    return runWith(this.#value, fn, thisArg, args);
  }
  bind(fn, thisArg) {
    callable(fn, "fn");
    return bound(fn, this.#value, thisArg, thisArg !== undefined);
  }
  emitDestroy() {
    return this;
  }
}

define({ AsyncLocalStorage, AsyncResource });
