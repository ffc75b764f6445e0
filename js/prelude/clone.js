// structuredClone: the values that have no host behind them.
import host, { define } from "./host.js";

const ERRORS = { __proto__: null, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const ARRAYS = {
  __proto__: null, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
  Float32Array, Float64Array, BigInt64Array, BigUint64Array, Float16Array: globalThis.Float16Array,
};
const { isArray } = Array;
const { isView } = ArrayBuffer;
const { getPrototypeOf, keys, hasOwn, defineProperty } = Object;
const objectPrototype = Object.prototype;

// What an object really is, whatever it calls itself: each getter or method fails for all but one kind.
const getter = (prototype, name) => Object.getOwnPropertyDescriptor(prototype, name).get;
const arrayKind = getter(getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);
const { slice } = ArrayBuffer.prototype;
const KINDS = [
  [Date.prototype.getTime, (value) => new Date(getTime.call(value))],
  [getter(Map.prototype, "size"), cloneMap],
  [getter(Set.prototype, "size"), cloneSet],
  [getter(ArrayBuffer.prototype, "byteLength"), (value) => slice.call(value, 0)],
  [getter(SharedArrayBuffer.prototype, "byteLength"), (value) => value],
  [Boolean.prototype.valueOf, (value) => new Object(Boolean.prototype.valueOf.call(value))],
  [Number.prototype.valueOf, (value) => new Object(Number.prototype.valueOf.call(value))],
  [String.prototype.valueOf, (value) => new Object(String.prototype.valueOf.call(value))],
  [BigInt.prototype.valueOf, (value) => new Object(BigInt.prototype.valueOf.call(value))],
  [Symbol.prototype.valueOf, fail],
  [WeakMap.prototype.has, fail],
  [WeakSet.prototype.has, fail],
  [WeakRef.prototype.deref, fail],
];
const { getTime } = Date.prototype;

function fail(value) {
  let text;
  try {
    text = typeof value === "symbol" ? value.toString() : String(value);
  } catch {
    text = "#<Object>";
  }
  throw new DOMException(`${text} could not be cloned.`, "DataCloneError");
}

function cloneError(value, seen) {
  if (value instanceof DOMException) {
    return new DOMException(String(value.message), String(value.name));
  }
  const copy = new (ERRORS[value.name] ?? Error)();
  seen.set(value, copy);
  for (const name of ["message", "stack", "cause"]) {
    if (hasOwn(value, name)) {
      const member = name === "cause" ? clone(value.cause, seen) : String(value[name]);
      defineProperty(copy, name, { value: member, writable: true, configurable: true });
    }
  }
  return copy;
}

function cloneView(value, seen) {
  const buffer = clone(value.buffer, seen);
  const kind = arrayKind.call(value);
  if (kind === undefined) {
    return new DataView(buffer, value.byteOffset, value.byteLength);
  }
  return new ARRAYS[kind](buffer, value.byteOffset, value.length);
}

function cloneMembers(value, result, seen) {
  seen.set(value, result);
  for (const key of keys(value)) {
    defineProperty(result, key, {
      value: clone(value[key], seen),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return result;
}

function cloneMap(value, seen) {
  const result = new Map();
  seen.set(value, result);
  for (const [k, v] of [...value]) {
    result.set(clone(k, seen), clone(v, seen));
  }
  return result;
}

function cloneSet(value, seen) {
  const result = new Set();
  seen.set(value, result);
  for (const v of [...value]) {
    result.add(clone(v, seen));
  }
  return result;
}

function isKind(method, value) {
  try {
    method.call(value, objectPrototype);
    return true;
  } catch {
    return false;
  }
}

// Objects with an internal nature of their own; undefined: it is none of them.
function cloneExotic(value, seen) {
  for (const [method, copy] of KINDS) {
    if (isKind(method, value)) {
      return copy(value, seen);
    }
  }
  const tag = objectPrototype.toString.call(value);
  if (tag === "[object RegExp]" && value instanceof RegExp) {
    return new RegExp(value.source, value.flags);
  }
  return tag === "[object Promise]" ? fail(value) : undefined;
}

function cloneObject(value, seen) {
  const prototype = getPrototypeOf(value);
  if (isArray(value)) {
    return cloneMembers(value, new Array(value.length), seen);
  }
  if (prototype === objectPrototype || prototype === null) {
    return cloneMembers(value, {}, seen);
  }
  if (isView(value)) {
    return cloneView(value, seen);
  }
  if (value instanceof Error) {
    return cloneError(value, seen);
  }
  return cloneExotic(value, seen) ?? cloneMembers(value, {}, seen);
}

function clone(value, seen) {
  if (typeof value === "function" || typeof value === "symbol") {
    return fail(value);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (seen.has(value)) {
    return seen.get(value);
  }
  const result = cloneObject(value, seen);
  seen.set(value, result);
  return result;
}

function structuredCloneOf(value, options) {
  if (arguments.length === 0) {
    throw new TypeError("structuredClone: 1 argument required, but only 0 present");
  }
  if (options !== undefined) {
    host.uncatchable("structuredClone with transfer not supported");
  }
  return clone(value, new Map());
}
defineProperty(structuredCloneOf, "name", { value: "structuredClone", configurable: true });
defineProperty(structuredCloneOf, "length", { value: 1, configurable: true });

define({ ["structuredClone"]: structuredCloneOf });
export { structuredCloneOf };
