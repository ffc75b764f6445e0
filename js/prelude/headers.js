// Headers: names lowercased, insertion order kept, duplicates apart (section 3.5).
import { define, enumerable, tag } from "./host.js";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function nameOf(name) {
  name = String(name);
  if (!TOKEN.test(name)) {
    throw new TypeError(`Invalid header name: '${name}'`);
  }
  return name.toLowerCase();
}

// Header values are bytes, as characters up to U+00FF.
function valueOf(value) {
  value = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\n\r]|[^\0-\xff]/.test(value)) {
    throw new TypeError(`Invalid header value: '${value}'`);
  }
  return value;
}

let pairsOf;

class Headers {
  #pairs = [];
  static {
    pairsOf = (headers) => headers.#pairs;
  }
  constructor(init) {
    if (init === undefined || init === null) {
      return;
    }
    if (typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Failed to construct 'Headers': the provided value is not an object");
    }
    if (#pairs in init) {
      this.#pairs = init.#pairs.map(([name, value]) => [name, value]);
    } else if (typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const [name, value, ...rest] = [...pair];
        if (rest.length > 0 || value === undefined) {
          throw new TypeError("Failed to construct 'Headers': each header must be a name and a value");
        }
        this.append(name, value);
      }
    } else {
      for (const name of Object.keys(init)) {
        this.append(name, init[name]);
      }
    }
  }
  append(name, value) {
    this.#pairs.push([nameOf(name), valueOf(value)]);
  }
  delete(name) {
    name = nameOf(name);
    this.#pairs = this.#pairs.filter(([n]) => n !== name);
  }
  get(name) {
    name = nameOf(name);
    const values = this.#pairs.filter(([n]) => n === name).map(([, v]) => v);
    return values.length === 0 ? null : values.join(", ");
  }
  getSetCookie() {
    return this.#pairs.filter(([n]) => n === "set-cookie").map(([, v]) => v);
  }
  has(name) {
    name = nameOf(name);
    return this.#pairs.some(([n]) => n === name);
  }
  set(name, value) {
    name = nameOf(name);
    value = valueOf(value);
    const at = this.#pairs.findIndex(([n]) => n === name);
    if (at < 0) {
      this.#pairs.push([name, value]);
      return;
    }
    this.#pairs[at] = [name, value];
    this.#pairs = this.#pairs.filter(([n], i) => n !== name || i === at);
  }
  forEach(callback, thisArg) {
    for (const [name, value] of this) {
      callback.call(thisArg, value, name, this);
    }
  }
  *entries() {
    for (let i = 0; i < this.#pairs.length; i++) {
      const [name, value] = this.#pairs[i];
      yield [name, value];
    }
  }
  *keys() {
    for (const [name] of this.entries()) {
      yield name;
    }
  }
  *values() {
    for (const [, value] of this.entries()) {
      yield value;
    }
  }
}
enumerable(Headers);
define({ [Symbol.iterator]: Headers.prototype.entries }, Headers.prototype);
tag(Headers, "Headers");

// What the host says, as it stands; names are lowercased.
export function headersOfHost(pairs) {
  const headers = new Headers();
  for (const [name, value] of pairs) {
    pairsOf(headers).push([name.toLowerCase(), value]);
  }
  return headers;
}
export const headerPairs = (headers) => pairsOf(headers).map(([name, value]) => [name, value]);

define({ Headers });
export { Headers };
