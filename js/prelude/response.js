// Response (section 3.5).
import { define, encodeText, enumerable, tag } from "./host.js";
import { Body, mixBody } from "./body.js";
import { Headers } from "./headers.js";
import { URL } from "./url.js";

const key = Symbol();
const { stringify } = JSON;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
let stateOf;

function statusOf(value) {
  const status = value === undefined ? 200 : Math.trunc(Number(value));
  if (!(status >= 200 && status <= 599)) {
    throw new RangeError(
      "Failed to construct 'Response': The status provided is outside the range [200, 599].",
    );
  }
  return status;
}

function textOf(value) {
  const text = value === undefined ? "" : String(value);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) {
    throw new TypeError("Failed to construct 'Response': Invalid statusText");
  }
  return text;
}

function stateFrom(body, init) {
  const headers = new Headers(init.headers);
  return {
    type: "default",
    url: "",
    redirected: false,
    status: statusOf(init.status),
    statusText: textOf(init.statusText),
    headers,
    body: body === undefined || body === null ? null : Body.extract(body, headers),
  };
}

class Response {
  #state;
  static {
    stateOf = (response) => response.#state;
    Response.is = (value) => typeof value === "object" && value !== null && #state in value;
  }
  constructor(body, init, state) {
    if (init !== undefined && init !== null && typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Failed to construct 'Response': The provided value is not of type 'ResponseInit'.");
    }
    this.#state = body === key ? state : stateFrom(body, init ?? {});
  }
  static error() {
    const state = { ...stateFrom(null, {}), type: "error", status: 0 };
    return new Response(key, undefined, state);
  }
  static json(data, init) {
    const text = stringify(data);
    if (text === undefined) {
      throw new TypeError("Failed to execute 'json' on 'Response': The data is not JSON serializable");
    }
    const state = stateFrom(null, init ?? {});
    if (!state.headers.has("content-type")) {
      state.headers.set("content-type", "application/json");
    }
    state.body = new Body();
    state.body.setBytes(encodeText(text));
    return new Response(key, undefined, state);
  }
  static redirect(url, status = 302) {
    const parsed = new URL(String(url));
    if (!REDIRECTS.has(Math.trunc(Number(status)))) {
      throw new RangeError("Failed to execute 'redirect' on 'Response': Invalid status code");
    }
    return new Response(null, { status, headers: { location: parsed.href } });
  }
  get type() {
    return this.#state.type;
  }
  get url() {
    return this.#state.url;
  }
  get redirected() {
    return this.#state.redirected;
  }
  get status() {
    return this.#state.status;
  }
  get ok() {
    return this.#state.status >= 200 && this.#state.status <= 299;
  }
  get statusText() {
    return this.#state.statusText;
  }
  get headers() {
    return this.#state.headers;
  }
  clone() {
    const { body, headers } = this.#state;
    if (body !== null && (body.isUsed || body.isLocked)) {
      throw new TypeError("Failed to execute 'clone' on 'Response': Response body is already used");
    }
    return new Response(key, undefined, {
      ...this.#state,
      headers: new Headers(headers),
      body: body === null ? null : body.clone(),
    });
  }
}
const isResponse = Response.is;
delete Response.is;
mixBody(Response, "Response", (response) => stateOf(response), true);
enumerable(Response);
tag(Response, "Response");
define({ Response });

export { isResponse };
export const responseState = (response) => stateOf(response);
export const responseOf = (state) => new Response(key, undefined, state);
