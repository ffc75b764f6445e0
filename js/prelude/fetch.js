// fetch (section 7): redirects and aborting here, the connection in the host.
import host, { decodeText, define, startOp } from "./host.js";
import { onAbort } from "./abort.js";
import { Body } from "./body.js";
import { headerPairs, headersOfHost } from "./headers.js";
import { pump } from "./hoststream.js";
import { checkScheme, Request, requestState } from "./request.js";
import { responseOf } from "./response.js";
import { URL } from "./url.js";

const HOPS_MAX = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type"];
const aborted = () => new DOMException("The signal has been aborted", "AbortError");

// One request's way through its hops; abort() ends whatever is under way.
class Exchange {
  #op = null;
  #source = null; // of the response's body
  isAborted = false;
  constructor(request, redirect) {
    const { url, method, headers, body } = requestState(request);
    Object.assign(this, { url: new URL(url), method, headers, body, redirect });
  }
  abort() {
    this.isAborted = true;
    this.#op?.cancel(aborted());
    this.#source?.fail(aborted());
  }
  // Calls back when nothing is left to abort.
  whenRead(callback) {
    if (this.#source === null) {
      callback();
    } else {
      this.#source.onEnd = callback;
    }
  }
  #body() {
    const { body } = this;
    if (body === null) {
      return {};
    }
    if (!body.streamed && body.stream === null) {
      body.used = true;
      return { bytes: body.bytes };
    }
    const stream = body.readable;
    body.used = true;
    return { streamId: pump(stream, (e) => this.#op?.cancel(e)) };
  }
  async #send() {
    const { bytes, streamId = null } = this.#body();
    const href = this.url.href.split("#")[0];
    const args = { url: href, method: this.method, headers: headerPairs(this.headers), streamId };
    this.#op = startOp("fetch", args, bytes);
    try {
      return (await this.#op.promise)[0];
    } finally {
      this.#op = null;
    }
  }
  async run() {
    for (let hops = 0; ; hops++) {
      if (this.isAborted) {
        throw aborted();
      }
      const head = await this.#send();
      const headers = headersOfHost(head.headers);
      if (hops === HOPS_MAX) {
        this.#drop(head);
        throw new TypeError("fetch too many redirects");
      }
      if (!this.#follows(head, headers)) {
        return this.#response(head, headers, hops > 0);
      }
      this.#drop(head);
      this.#hop(head.status, headers.get("location"));
    }
  }
  #drop({ streamId }) {
    if (streamId !== null) {
      host.dropStream(streamId);
    }
  }
  #follows(head, headers) {
    if (!REDIRECTS.has(head.status)) {
      return false;
    }
    if (this.redirect === "error") {
      this.#drop(head);
      throw new TypeError("fetch attempted redirect");
    }
    return this.redirect === "follow" && headers.has("location");
  }
  // Becomes the request that the answer asks for.
  #hop(status, location) {
    const bytes = Uint8Array.from(location, (c) => c.charCodeAt(0));
    const to = new URL(decodeText(bytes), this.url);
    checkScheme(to);
    if (status !== 303 && this.body !== null && (this.body.streamed || this.body.stream !== null)) {
      throw new TypeError("fetch cannot redirect with streamed body");
    }
    const { method } = this;
    const drops = status === 303 ? method !== "GET" && method !== "HEAD" : status <= 302 && method === "POST";
    if (drops) {
      this.method = "GET";
      this.body = null;
      BODY_HEADERS.forEach((name) => this.headers.delete(name));
      this.headers.delete("content-length");
    }
    if (to.origin !== this.url.origin) {
      this.headers.delete("authorization");
    }
    this.url = to;
  }
  #response(head, headers, redirected) {
    let body = null;
    if (head.streamId !== null) {
      const length = headers.get("content-length");
      const known = length !== null && /^\d+$/.test(length) && !headers.has("content-encoding");
      body = Body.ofHost(head.streamId, known ? Number(length) : null);
      this.#source = body.source;
    }
    return responseOf({
      type: "basic",
      url: head.url.split("#")[0],
      redirected,
      status: head.status,
      statusText: head.statusText,
      headers,
      body,
    });
  }
}

async function fetch(input, init = undefined) {
  const request = new Request(input, init);
  const redirect = init?.redirect === undefined ? "follow" : String(init.redirect);
  if (redirect !== "follow" && redirect !== "manual" && redirect !== "error") {
    throw new TypeError(`'${redirect}' is not a valid value of RequestInit.redirect`);
  }
  const { signal } = requestState(request);
  if (signal?.aborted) {
    throw aborted();
  }
  const exchange = new Exchange(request, redirect);
  if (signal === null) {
    return await exchange.run();
  }
  const off = onAbort(signal, () => exchange.abort());
  try {
    const response = await exchange.run();
    exchange.whenRead(off);
    return response;
  } catch (e) {
    off();
    throw e;
  }
}

define({ fetch });
