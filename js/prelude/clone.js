// structuredClone: the values that have no host behind them.
import host, { define } from "./host.js";

const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const toString = Object.prototype.toString;

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
  const copy = new (ERRORS[value.name] ?? Error)();
  seen.set(value, copy);
  for (const name of ["message", "stack", "cause"]) {
    if (Object.hasOwn(value, name)) {
      Object.defineProperty(copy, name, {
        value: name === "cause" ? clone(value.cause, seen) : String(value[name]),
        writable: true,
        configurable: true,
      });
    }
  }
  return copy;
}

function cloneView(value, seen) {
  const buffer = clone(value.buffer, seen);
  const length = value instanceof DataView ? value.byteLength : value.length;
  return new globalThis[toString.call(value).slice(8, -1)](buffer, value.byteOffset, length);
}

function cloneMembers(value, result, seen) {
  seen.set(value, result);
  for (const key of Object.keys(value)) {
    Object.defineProperty(result, key, {
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

function cloneObject(value, seen) {
  if (Array.isArray(value)) {
    const result = new Array(value.length);
    return cloneMembers(value, result, seen);
  }
  if (ArrayBuffer.isView(value)) {
    return cloneView(value, seen);
  }
  if (value instanceof Error) {
    return cloneError(value, seen);
  }
  switch (toString.call(value)) {
    case "[object Boolean]":
    case "[object Number]":
    case "[object String]":
    case "[object BigInt]":
      return Object(value.valueOf());
    case "[object Date]":
      return new Date(value.getTime());
    case "[object RegExp]":
      return new RegExp(value.source, value.flags);
    case "[object ArrayBuffer]":
      return value.slice(0);
    case "[object Map]":
      return cloneMap(value, seen);
    case "[object Set]":
      return cloneSet(value, seen);
    case "[object Promise]":
    case "[object WeakMap]":
    case "[object WeakSet]":
    case "[object WeakRef]":
      return fail(value);
  }
  return cloneMembers(value, {}, seen);
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

define({
  structuredClone(value, options) {
    if (arguments.length === 0) {
      throw new TypeError("structuredClone: 1 argument required, but only 0 present");
    }
    if (options !== undefined) {
      host.uncatchable("structuredClone with transfer not supported");
    }
    return clone(value, new Map());
  },
});
