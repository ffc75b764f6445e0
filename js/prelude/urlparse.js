// The URL parser (WHATWG URL Standard, section 4.4), by its states.  A record is
// { scheme, username, password, host, port, path, query, fragment }: host null if there is none,
// path a list of segments, or a string if it is opaque.
import { parseHost } from "./urlhost.js";

const DEFAULT_PORTS = { __proto__: null, ftp: 21, file: null, http: 80, https: 443, ws: 80, wss: 443 };
export const isSpecial = (url) => url.scheme in DEFAULT_PORTS;

// Characters that are written %XX, besides those beyond ASCII.
const C0 = /[\0-\x1f\x7f-\u{10ffff}]/gu;
const FRAGMENT = /[\0-\x20"<>`\x7f-\u{10ffff}]/gu;
const QUERY = /[\0-\x20"#<>\x7f-\u{10ffff}]/gu;
const SPECIAL_QUERY = /[\0-\x20"#'<>\x7f-\u{10ffff}]/gu;
const PATH = /[\0-\x20"#<>?`{}\x7f-\u{10ffff}]/gu;
const USERINFO = /[\0-\x20"#/:;<=>?@[\\\]^`{|}\x7f-\u{10ffff}]/gu;

const percent = (c) =>
  c.codePointAt(0) < 128
    ? `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
    : encodeURIComponent(c);
const encode = (text, set) => text.replace(set, percent);
const encodeOpaqueHost = (text) => encode(text, C0);
export const encodeUserinfo = (text) => encode(text, USERINFO);

const DRIVE = /^[A-Za-z][:|]$/;
const startsWithDrive = (text) => /^[A-Za-z][:|]([/\\?#]|$)/.test(text);
const isSingleDot = (s) => s === "." || /^%2e$/i.test(s);
const isDoubleDot = (s) => /^(\.|%2e)(\.|%2e)$/i.test(s);

function shorten(url) {
  if (url.scheme === "file" && url.path.length === 1 && /^[A-Za-z]:$/.test(url.path[0])) {
    return;
  }
  url.path.pop();
}

export function parsePort(text, url) {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) {
    return false;
  }
  url.port = port === DEFAULT_PORTS[url.scheme] ? null : port;
  return true;
}

// "user:password@host:port", which ends where the path begins.
function parseAuthority(url, text) {
  const at = text.lastIndexOf("@");
  if (at >= 0) {
    const userinfo = text.slice(0, at);
    const colon = userinfo.indexOf(":");
    url.username = encodeUserinfo(colon < 0 ? userinfo : userinfo.slice(0, colon));
    url.password = colon < 0 ? "" : encodeUserinfo(userinfo.slice(colon + 1));
  }
  return parseHostPort(url, text.slice(at + 1), at >= 0);
}

function parseHostPort(url, text, mustHave) {
  const colon = portColon(text);
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === "" && (isSpecial(url) || colon >= 0 || mustHave)) {
    return false;
  }
  url.host = name === "" ? "" : parseHost(name, isSpecial(url), encodeOpaqueHost);
  if (url.host === null) {
    return false;
  }
  const port = colon < 0 ? "" : text.slice(colon + 1);
  return port === "" || parsePort(port, url);
}

// The colon that is not inside of brackets, or -1.
export function portColon(text) {
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "[" || c === "]") {
      inside = c === "[";
    } else if (c === ":" && !inside) {
      return i;
    }
  }
  return -1;
}

export function setPath(url, text) {
  const special = isSpecial(url);
  const segments = (special ? text.replaceAll("\\", "/") : text).split("/");
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (isDoubleDot(segment)) {
      shorten(url);
      if (last) {
        url.path.push("");
      }
    } else if (isSingleDot(segment)) {
      if (last) {
        url.path.push("");
      }
    } else if (url.scheme === "file" && url.path.length === 0 && DRIVE.test(segment)) {
      url.path.push(`${segment[0]}:`);
    } else {
      url.path.push(encode(segment, PATH));
    }
  }
}

export function setQuery(url, text) {
  url.query = encode(text, isSpecial(url) ? SPECIAL_QUERY : QUERY);
}

export function setFragment(url, text) {
  url.fragment = encode(text, FRAGMENT);
}

// What is left at each step: the path, with query and fragment taken off.
function takeTail(url, rest) {
  const hash = rest.indexOf("#");
  if (hash >= 0) {
    setFragment(url, rest.slice(hash + 1));
    rest = rest.slice(0, hash);
  }
  const question = rest.indexOf("?");
  if (question >= 0) {
    setQuery(url, rest.slice(question + 1));
    rest = rest.slice(0, question);
  }
  return rest;
}

const newUrl = (scheme) => ({
  scheme, username: "", password: "", host: null, port: null, path: [], query: null, fragment: null,
});

const isSlash = (url, c) => c === "/" || (c === "\\" && isSpecial(url));

// After "//": the authority up to the path.
function parseFromAuthority(url, rest) {
  const end = rest.search(isSpecial(url) ? /[/\\?#]/ : /[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (!parseAuthority(url, authority)) {
    return null;
  }
  return parsePathStart(url, end < 0 ? "" : rest.slice(end));
}

function parsePathStart(url, rest) {
  const path = takeTail(url, rest);
  if (isSpecial(url) || path !== "") {
    setPath(url, path !== "" && isSlash(url, path[0]) ? path.slice(1) : path);
  }
  return url;
}

function parseFileHost(url, rest) {
  const end = rest.search(/[/\\?#]/);
  const name = end < 0 ? rest : rest.slice(0, end);
  if (DRIVE.test(name)) {
    return parsePathStart(url, rest); // a drive letter is no host
  }
  url.host = name === "" ? "" : parseHost(name, true, encodeOpaqueHost);
  if (url.host === null) {
    return null;
  }
  if (url.host === "localhost") {
    url.host = "";
  }
  return parsePathStart(url, end < 0 ? "" : rest.slice(end));
}

function parseFile(url, rest, base) {
  url.host = "";
  if (rest !== "" && isSlash(url, rest[0])) {
    if (rest.length > 1 && isSlash(url, rest[1])) {
      return parseFileHost(url, rest.slice(2));
    }
    if (base?.scheme === "file") {
      url.host = base.host;
      if (!startsWithDrive(rest.slice(1)) && /^[A-Za-z]:$/.test(base.path[0] ?? "")) {
        url.path.push(base.path[0]);
      }
    }
    return parsePathStart(url, rest);
  }
  if (base?.scheme !== "file") {
    return parsePathStart(url, rest);
  }
  return parseOnto(url, rest, base, startsWithDrive(rest));
}

// A reference without a scheme of its own and without a leading slash.
function parseOnto(url, rest, base, forgetPath) {
  Object.assign(url, base, { path: [...base.path], query: base.query, fragment: null });
  if (rest === "" || rest[0] === "#") {
    takeTail(url, rest);
    return url;
  }
  url.query = null;
  const path = takeTail(url, rest);
  if (rest[0] === "?") {
    return url;
  }
  if (forgetPath) {
    url.path = [];
  } else {
    shorten(url);
  }
  setPath(url, path);
  return url;
}

function parseRelative(base, rest) {
  const url = newUrl(base.scheme);
  if (base.scheme === "file") {
    return parseFile(url, rest, base);
  }
  if (rest === "" || !isSlash(url, rest[0])) {
    return parseOnto(url, rest, base, false);
  }
  if (rest.length > 1 && isSlash(url, rest[1])) {
    return parseFromAuthority(url, isSpecial(url) ? rest.slice(2).replace(/^[/\\]+/, "") : rest.slice(2));
  }
  Object.assign(url, { username: base.username, password: base.password, host: base.host, port: base.port });
  return parsePathStart(url, rest);
}

function parseAbsolute(scheme, rest, base) {
  const url = newUrl(scheme);
  if (scheme === "file") {
    return parseFile(url, rest, base);
  }
  if (isSpecial(url)) {
    if (base?.scheme === scheme && !/^\/\//.test(rest)) {
      return parseRelative(base, rest);
    }
    return parseFromAuthority(url, rest.replace(/^[/\\]+/, ""));
  }
  if (rest.startsWith("//")) {
    return parseFromAuthority(url, rest.slice(2));
  }
  if (rest.startsWith("/")) {
    return parsePathStart(url, rest);
  }
  const path = takeTail(url, rest);
  url.path = encode(path, C0);
  return url;
}

// The record, or null if it is not a URL.
export function parse(input, base) {
  const text = input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "").replace(/[\t\n\r]/g, "");
  const m = /^([A-Za-z][A-Za-z0-9+\-.]*):/.exec(text);
  if (m !== null) {
    return parseAbsolute(m[1].toLowerCase(), text.slice(m[0].length), base);
  }
  if (base === null) {
    return null;
  }
  if (typeof base.path === "string") {
    if (text[0] !== "#") {
      return null;
    }
    const url = { ...base };
    takeTail(url, text);
    return url;
  }
  return parseRelative(base, text);
}

export function pathOf(url) {
  return typeof url.path === "string" ? url.path : url.path.map((segment) => `/${segment}`).join("");
}

export const hostOf = (url) => (url.host ?? "") + (url.port === null ? "" : `:${url.port}`);

export function write(url) {
  let out = `${url.scheme}:`;
  if (url.host !== null) {
    out += "//";
    if (url.username !== "" || url.password !== "") {
      out += `${url.username}${url.password === "" ? "" : `:${url.password}`}@`;
    }
    out += hostOf(url);
  } else if (typeof url.path !== "string" && url.path.length > 1 && url.path[0] === "") {
    out += "/.";
  }
  out += pathOf(url);
  if (url.query !== null) {
    out += `?${url.query}`;
  }
  return url.fragment === null ? out : `${out}#${url.fragment}`;
}

export function originOf(url) {
  if (url.scheme === "blob" && typeof url.path === "string") {
    const inner = parse(url.path, null);
    return inner?.scheme === "http" || inner?.scheme === "https" ? originOf(inner) : "null";
  }
  return isSpecial(url) && url.scheme !== "file" ? `${url.scheme}://${hostOf(url)}` : "null";
}

// The setters' half of the parser: each changes the record or leaves it as it is.
export function setScheme(url, text) {
  const m = /^([A-Za-z][A-Za-z0-9+\-.]*)(:|$)/.exec(text);
  const next = m && { ...url, scheme: m[1].toLowerCase() };
  if (
    next === null ||
    isSpecial(next) !== isSpecial(url) ||
    (next.scheme === "file" && (url.username !== "" || url.password !== "" || url.port !== null)) ||
    (url.scheme === "file" && url.host === "")
  ) {
    return;
  }
  url.scheme = next.scheme;
  if (url.port === DEFAULT_PORTS[url.scheme]) {
    url.port = null;
  }
}

export const cannotHavePort = (url) => url.host === null || url.host === "" || url.scheme === "file";

export function setHost(url, text, withPort) {
  text = text.replace(/[\t\n\r]/g, "");
  const end = text.search(isSpecial(url) ? /[/\\?#]/ : /[/?#]/);
  const authority = end < 0 ? text : text.slice(0, end);
  const colon = portColon(authority);
  const name = colon < 0 ? authority : authority.slice(0, colon);
  if (colon >= 0 && (!withPort || name === "" || url.scheme === "file")) {
    return;
  }
  if (name === "" && ((isSpecial(url) && url.scheme !== "file") || url.username !== "" || url.password !== "" || url.port !== null)) {
    return;
  }
  const host = name === "" ? "" : parseHost(name, isSpecial(url), encodeOpaqueHost);
  if (host === null) {
    return;
  }
  url.host = url.scheme === "file" && host === "localhost" ? "" : host;
  if (colon >= 0) {
    setPort(url, authority.slice(colon + 1));
  }
}

export function setPort(url, text) {
  const digits = /^\d+/.exec(text.replace(/[\t\n\r]/g, ""));
  if (digits !== null) {
    parsePort(digits[0], url);
  }
}
