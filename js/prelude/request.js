// Request (section 3.5).
import { define, enumerable, notImplemented, quietly, tag } from "./host.js";
import { abort, isSignal, newSignal } from "./abort.js";
import { Body, mixBody } from "./body.js";
import { Headers, headersOfHost } from "./headers.js";
import { watchClosed } from "./hoststream.js";
import { URL } from "./url.js";

const key = Symbol();
const STANDARD = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
let stateOf;

export function checkScheme(url) {
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== "http" && scheme !== "https") {
    throw new TypeError(
      `Unsupported URL scheme -- http and https are supported (scheme was ${scheme})`,
    );
  }
}

function methodOf(method) {
  method = String(method);
  if (!TOKEN.test(method)) {
    throw new TypeError(`'${method}' is not a valid HTTP method.`);
  }
  const upper = method.toUpperCase();
  return STANDARD.has(upper) ? upper : method;
}

function signalOf(signal) {
  if (signal === undefined || signal === null) {
    return null;
  }
  if (!isSignal(signal) && typeof signal.addEventListener !== "function") {
    throw new TypeError("Failed to construct 'Request': member signal is not of type 'AbortSignal'.");
  }
  return signal;
}

function stateFrom(input, init) {
  const from = isRequest(input) ? stateOf(input) : null;
  let url;
  if (from === null) {
    url = new URL(String(input));
    checkScheme(url);
  }
  const method = init.method === undefined ? (from?.method ?? "GET") : methodOf(init.method);
  const state = {
    url: from === null ? url.href : from.url,
    method,
    headers: new Headers(init.headers ?? from?.headers),
    signal: init.signal === undefined ? (from && from.getSignal()) : signalOf(init.signal),
    body: null,
    getSignal,
  };
  const given = init.body !== undefined && init.body !== null;
  if ((given || (from?.body ?? null) !== null) && (method === "GET" || method === "HEAD")) {
    throw new TypeError("Failed to construct 'Request': Request with GET/HEAD method cannot have body.");
  }
  if (given) {
    state.body = Body.extract(init.body, state.headers);
  } else if (from?.body) {
    if (from.body.isUsed || from.body.isLocked) {
      throw new TypeError(
        "Failed to construct 'Request': Cannot construct a Request with a Request object that has already been used.",
      );
    }
    state.body = from.body.transfer();
  }
  return state;
}

function getSignal() {
  return (this.signal ??= newSignal());
}

class Request {
  #state;
  static {
    stateOf = (request) => request.#state;
    Request.is = (value) => typeof value === "object" && value !== null && #state in value;
  }
  constructor(input, init, state) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'Request': 1 argument required, but only 0 present.");
    }
    if (init !== undefined && init !== null && typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Failed to construct 'Request': The provided value is not of type 'RequestInit'.");
    }
    this.#state = input === key ? state : stateFrom(input, init ?? {});
  }
  get url() {
    return this.#state.url;
  }
  get method() {
    return this.#state.method;
  }
  get headers() {
    return this.#state.headers;
  }
  get signal() {
    return this.#state.getSignal();
  }
  clone() {
    const { body, headers } = this.#state;
    if (body !== null && (body.isUsed || body.isLocked)) {
      throw new TypeError("Failed to execute 'clone' on 'Request': Request body is already used");
    }
    return new Request(key, undefined, {
      ...this.#state,
      signal: this.signal,
      headers: new Headers(headers),
      body: body === null ? null : body.clone(),
    });
  }
}
const isRequest = Request.is;
delete Request.is;
mixBody(Request, "Request", (request) => stateOf(request), false);
for (const member of [
  "destination", "referrer", "referrerPolicy", "mode", "credentials", "cache", "redirect",
  "integrity", "keepalive", "isReloadNavigation", "isHistoryNavigation", "duplex",
]) {
  Object.defineProperty(Request.prototype, member, {
    get() {
      return notImplemented(`get ${member}`, "Request");
    },
    configurable: true,
  });
}
enumerable(Request);
tag(Request, "Request");
define({ Request });

export { Request };
export const requestState = (request) => stateOf(request);

// The signal of an HTTP action's request: the host is asked once somebody wants it.
function getClientSignal() {
  if (this.signal === null) {
    this.signal = newSignal();
    const watch = async () => {
      await watchClosed(this.closing);
      abort(this.signal);
    };
    quietly(watch());
  }
  return this.signal;
}

// Section 6.3.
export function requestOfHost({ headerPairs, url, method, streamId, signal }) {
  return new Request(key, undefined, {
    url,
    method,
    headers: headersOfHost(headerPairs),
    body: typeof streamId === "string" ? Body.ofHost(streamId, null) : null,
    signal: null,
    closing: signal,
    getSignal: typeof signal === "string" ? getClientSignal : getSignal,
  });
}
