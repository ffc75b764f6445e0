// What a thrown value looks like outside (spec 04 section 2.7; src/isolate/thrown.c does the same in
// the isolate).  Nothing here trusts it: getters may throw, names may be anything.
const { stringify } = JSON;
const { getPrototypeOf } = Object;
const { isArray } = Array;
const errorPrototype = Error.prototype;
const text = (value) => `${value}`.toWellFormed();
const { apply } = Reflect;
const functionText = Function.prototype.toString;
const wellFormed = String.prototype.toWellFormed;
const mark = Symbol.for("ConvexError");

const isObject = (v) => (typeof v === "object" && v !== null) || typeof v === "function";

function get(object, key) {
  try {
    return object[key];
  } catch {
    return undefined;
  }
}

function textOf(object, key) {
  const value = get(object, key);
  return typeof value === "string" ? apply(wellFormed, value, []) : undefined;
}

function isError(value) {
  if (!isObject(value)) {
    return false;
  }
  try {
    for (let at = value, depth = 0; at !== null && depth < 1000; at = getPrototypeOf(at), depth++) {
      if (at === errorPrototype) {
        return true;
      }
    }
  } catch {
    // a proxy that does not want to be looked at
  }
  return false;
}

function objectText(value) {
  if (isArray(value)) {
    return "[object Array]";
  }
  if (typeof value === "function") {
    return text(apply(functionText, value, []));
  }
  const constructor = get(value, "constructor");
  const name = isObject(constructor) ? textOf(constructor, "name") : undefined;
  return `#<${name || "Object"}>`;
}

function valueText(value) {
  if (typeof value === "symbol") {
    return `Symbol(${textOf(value, "description") ?? ""})`;
  }
  return isObject(value) ? objectText(value) : text(value);
}

// { data } of a ConvexError, as JSON text; { bad } why it has none; or nothing.
function dataOf(thrown) {
  if (!isObject(thrown)) {
    return undefined;
  }
  const symbol = get(thrown, "ConvexErrorSymbol");
  if (typeof symbol === "symbol" && get(thrown, symbol) === true) {
    const data = textOf(thrown, "data");
    return data === undefined ? { bad: "data is not a string" } : { data };
  }
  if (get(thrown, mark) !== true) {
    return undefined;
  }
  try {
    return { data: text(stringify(get(thrown, "data") ?? null)) };
  } catch {
    return { bad: "data is no JSON" };
  }
}

export function describe(thrown) {
  const result = { __proto__: null, ...dataOf(thrown) };
  if (isError(thrown)) {
    result.name = textOf(thrown, "name") ?? "Error";
    result.message = textOf(thrown, "message") ?? "";
    result.stack = textOf(thrown, "stack");
  } else {
    result.name = "";
    result.message = valueText(thrown);
  }
  return stringify(result);
}
