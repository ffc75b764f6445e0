// URL and URLSearchParams (WHATWG URL Standard); the parser is in urlparse.js.
import { define, enumerable, tag, wellFormed } from "./host.js";
import { percentDecode } from "./urlhost.js";
import {
  cannotHavePort, encodeUserinfo, hostOf, isSpecial, originOf, parse, pathOf, setFragment, setHost, setPath, setPort,
  setQuery, setScheme, write,
} from "./urlparse.js";

/* --- application/x-www-form-urlencoded --- */

const decodePlus = (text) => percentDecode(text.replaceAll("+", " "));

function parseForm(text) {
  const list = [];
  for (const piece of text.split("&")) {
    if (piece !== "") {
      const at = piece.indexOf("=");
      const name = at < 0 ? piece : piece.slice(0, at);
      list.push([decodePlus(name), at < 0 ? "" : decodePlus(piece.slice(at + 1))]);
    }
  }
  return list;
}

const encodeForm = (text) =>
  encodeURIComponent(text)
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");

const writeForm = (list) => list.map(([n, v]) => `${encodeForm(n)}=${encodeForm(v)}`).join("&");

function listFrom(init) {
  if (typeof init !== "object" && typeof init !== "function") {
    const text = wellFormed(init);
    return parseForm(text.startsWith("?") ? text.slice(1) : text);
  }
  if (init === null) {
    return parseForm("null");
  }
  if (typeof init[Symbol.iterator] !== "function") {
    const record = new Map();
    for (const name of Reflect.ownKeys(init)) {
      if (Object.getOwnPropertyDescriptor(init, name)?.enumerable) {
        record.set(wellFormed(name), wellFormed(init[name]));
      }
    }
    return [...record];
  }
  const list = [];
  for (const pair of init) {
    if (pair === null || typeof pair !== "object" || typeof pair[Symbol.iterator] !== "function") {
      throw new TypeError("Failed to construct 'URLSearchParams': The provided value cannot be converted to a sequence.");
    }
    const items = [...pair];
    if (items.length !== 2) {
      throw new TypeError(
        "Failed to construct 'URLSearchParams': Sequence initializer must only contain pair elements",
      );
    }
    list.push(items.map(wellFormed));
  }
  return list;
}

let fill; // replaces the list behind a URLSearchParams
let follow; // calls back with the text when it changes

class URLSearchParams {
  #list = [];
  #changed = null;
  static {
    fill = (params, query) => {
      params.#list = parseForm(query);
    };
    follow = (params, changed) => {
      params.#changed = changed;
    };
  }
  constructor(init) {
    if (init !== undefined) {
      this.#list = listFrom(init);
    }
  }
  #update() {
    this.#changed?.(writeForm(this.#list));
  }
  get size() {
    return this.#list.length;
  }
  append(name, value) {
    this.#list.push([wellFormed(name), wellFormed(value)]);
    this.#update();
  }
  delete(name, value) {
    name = wellFormed(name);
    value = value === undefined ? undefined : wellFormed(value);
    this.#list = this.#list.filter(([n, v]) => n !== name || (value !== undefined && v !== value));
    this.#update();
  }
  get(name) {
    name = wellFormed(name);
    return this.#list.find(([n]) => n === name)?.[1] ?? null;
  }
  getAll(name) {
    name = wellFormed(name);
    return this.#list.filter(([n]) => n === name).map(([, v]) => v);
  }
  has(name, value) {
    name = wellFormed(name);
    value = value === undefined ? undefined : wellFormed(value);
    return this.#list.some(([n, v]) => n === name && (value === undefined || v === value));
  }
  set(name, value) {
    name = wellFormed(name);
    const at = this.#list.findIndex(([n]) => n === name);
    if (at < 0) {
      this.#list.push([name, wellFormed(value)]);
    } else {
      this.#list = this.#list.filter(([n], i) => i <= at || n !== name);
      this.#list[at] = [name, wellFormed(value)];
    }
    this.#update();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#update();
  }
  forEach(callback, thisArg) {
    for (const [name, value] of this) {
      callback.call(thisArg, value, name, this);
    }
  }
  *entries() {
    for (let i = 0; i < this.#list.length; i++) {
      const [name, value] = this.#list[i];
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
  toString() {
    return writeForm(this.#list);
  }
}
enumerable(URLSearchParams);
define({ [Symbol.iterator]: URLSearchParams.prototype.entries }, URLSearchParams.prototype);
tag(URLSearchParams, "URLSearchParams");

/* --- URL --- */

function parseWith(input, base) {
  const from = base === undefined ? null : parse(wellFormed(base), null);
  return base !== undefined && from === null ? null : parse(wellFormed(input), from);
}

// Blanks at the end of an opaque path would not come back when the URL is parsed again.
function stripOpaque(url) {
  if (typeof url.path === "string" && url.query === null && url.fragment === null) {
    url.path = url.path.replace(/ +$/, "");
  }
}

const withoutTabs = (text) => text.replace(/[\t\n\r]/g, "");
const key = Symbol();

class URL {
  #url;
  #params = null;
  constructor(input, base) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'URL': 1 argument required, but only 0 present.");
    }
    this.#url = input === key ? base : parseWith(input, base);
    if (this.#url === null) {
      throw new TypeError("Invalid URL");
    }
  }
  static canParse(input, base) {
    return parseWith(input, base) !== null;
  }
  static parse(input, base) {
    const url = parseWith(input, base);
    return url === null ? null : new URL(key, url);
  }
  #refill() {
    if (this.#params !== null) {
      fill(this.#params, this.#url.query ?? "");
    }
  }
  get href() {
    return write(this.#url);
  }
  set href(value) {
    const url = parse(wellFormed(value), null);
    if (url === null) {
      throw new TypeError("Invalid URL");
    }
    this.#url = url;
    this.#refill();
  }
  get origin() {
    return originOf(this.#url);
  }
  get protocol() {
    return `${this.#url.scheme}:`;
  }
  set protocol(value) {
    setScheme(this.#url, withoutTabs(wellFormed(value)));
  }
  get username() {
    return this.#url.username;
  }
  set username(value) {
    if (!cannotHavePort(this.#url)) {
      this.#url.username = encodeUserinfo(wellFormed(value));
    }
  }
  get password() {
    return this.#url.password;
  }
  set password(value) {
    if (!cannotHavePort(this.#url)) {
      this.#url.password = encodeUserinfo(wellFormed(value));
    }
  }
  get host() {
    return hostOf(this.#url);
  }
  set host(value) {
    if (typeof this.#url.path !== "string") {
      setHost(this.#url, wellFormed(value), true);
    }
  }
  get hostname() {
    return this.#url.host ?? "";
  }
  set hostname(value) {
    if (typeof this.#url.path !== "string") {
      setHost(this.#url, wellFormed(value), false);
    }
  }
  get port() {
    return this.#url.port === null ? "" : String(this.#url.port);
  }
  set port(value) {
    const text = wellFormed(value);
    if (cannotHavePort(this.#url)) {
      return;
    }
    if (text === "") {
      this.#url.port = null;
    } else {
      setPort(this.#url, text);
    }
  }
  get pathname() {
    return pathOf(this.#url);
  }
  set pathname(value) {
    const url = this.#url;
    if (typeof url.path === "string") {
      return;
    }
    const text = withoutTabs(wellFormed(value));
    url.path = [];
    const slash = text !== "" && (text[0] === "/" || (text[0] === "\\" && isSpecial(url)));
    if (isSpecial(url) || text !== "" || url.host === null) {
      setPath(url, slash ? text.slice(1) : text);
    }
  }
  get search() {
    const { query } = this.#url;
    return query === null || query === "" ? "" : `?${query}`;
  }
  set search(value) {
    const text = wellFormed(value);
    if (text === "") {
      this.#url.query = null;
      stripOpaque(this.#url);
    } else {
      setQuery(this.#url, withoutTabs(text).replace(/^\?/, ""));
    }
    this.#refill();
  }
  get searchParams() {
    if (this.#params === null) {
      this.#params = new URLSearchParams(this.#url.query === null ? "" : `?${this.#url.query}`);
      follow(this.#params, (text) => {
        this.#url.query = text === "" ? null : text;
        stripOpaque(this.#url);
      });
    }
    return this.#params;
  }
  get hash() {
    const { fragment } = this.#url;
    return fragment === null || fragment === "" ? "" : `#${fragment}`;
  }
  set hash(value) {
    const text = wellFormed(value);
    if (text === "") {
      this.#url.fragment = null;
      stripOpaque(this.#url);
    } else {
      setFragment(this.#url, withoutTabs(text).replace(/^#/, ""));
    }
  }
  toString() {
    return write(this.#url);
  }
  toJSON() {
    return write(this.#url);
  }
}
enumerable(URL);
tag(URL, "URL");

define({ URL, URLSearchParams });
export { URL, URLSearchParams };
