// Small things: Math.random, self, process, WeakRef, FinalizationRegistry.
import host, { define, tag } from "./host.js";

define(
  {
    random() {
      return host.random();
    },
  },
  Math,
);
define({ self: globalThis });

// A Proxy with a `get` trap only (section 3.5): no enumeration.
const env = new Proxy(
  {},
  {
    get(_target, key) {
      if (typeof key !== "string") {
        return undefined;
      }
      const value = host.env(key);
      if (value === undefined && key === "inspect") {
        return () => "[process.env]";
      }
      return value;
    },
  },
);
define({ process: { env } });

// Nothing observes the garbage collector: references are strong, registries never call back.
function canBeHeld(value) {
  return (
    (typeof value === "object" && value !== null) ||
    typeof value === "function" ||
    (typeof value === "symbol" && Symbol.keyFor(value) === undefined)
  );
}

class WeakRef {
  #target;
  constructor(target) {
    if (!canBeHeld(target)) {
      throw new TypeError("WeakRef: target must be an object");
    }
    this.#target = target;
  }
  deref() {
    return this.#target;
  }
}
tag(WeakRef, "WeakRef");

class FinalizationRegistry {
  constructor(cleanup) {
    if (typeof cleanup !== "function") {
      throw new TypeError("FinalizationRegistry: cleanup must be callable");
    }
  }
  register(target, held) {
    if (!canBeHeld(target)) {
      throw new TypeError("FinalizationRegistry.prototype.register: invalid target");
    }
    if (Object.is(target, held)) {
      throw new TypeError(
        "FinalizationRegistry.prototype.register: target and holdings must not be same",
      );
    }
  }
  unregister(token) {
    if (!canBeHeld(token)) {
      throw new TypeError("Invalid unregisterToken ('" + String(token) + "')");
    }
    return false;
  }
}
tag(FinalizationRegistry, "FinalizationRegistry");

define({ WeakRef, FinalizationRegistry });

// Errors with ConvexError data that the host makes cannot be instances of the class in the
// user's bundle, so the inherited test of that class knows them by their mark.
const ordinary = Function.prototype[Symbol.hasInstance];
const mark = Symbol.for("ConvexError");
Object.defineProperty(Error, Symbol.hasInstance, {
  value(value) {
    return (
      ordinary.call(this, value) ||
      (typeof value === "object" && value !== null && value[mark] === true && this.name === "ConvexError")
    );
  },
  writable: true,
  configurable: true,
});
