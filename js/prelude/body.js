// Bodies of Request and Response: one of nothing, bytes, a blob, what the host has, a stream.
// The stream that `body` shows is made when somebody asks for it.
import { concat, decodeText, encodeText, viewOf, wellFormed } from "./host.js";
import { blobOf, bytesNow, bytesOfBlob, isBlob, streamingBlob, streamOfBlob } from "./blob.js";
import { FormData, formFrom, multipartOf } from "./form.js";
import { HostSource, pieces, readAll, streamOf } from "./hoststream.js";
import { isDisturbed, ReadableStream } from "./streams.js";
import { URLSearchParams } from "./url.js";

async function readStream(stream) {
  const reader = stream.getReader();
  const chunks = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return chunks;
    }
    const bytes = value instanceof Uint8Array ? value : undefined;
    if (bytes === undefined) {
      const error = new TypeError("Received a chunk that is not a Uint8Array");
      await reader.cancel(error);
      throw error;
    }
    chunks.push(bytes);
  }
}

// Streams of other implementations will do as well.
const isStream = (value) =>
  value instanceof ReadableStream ||
  (typeof value === "object" && typeof value.getReader === "function" && typeof value.tee === "function");

export class Body {
  bytes = null;
  blob = null;
  source = null; // HostSource
  stream = null; // user's, or made from one of the above
  streamed = false; // given as a stream: cannot be sent again
  length = null; // known length in bytes
  used = false;
  // Takes what new Response(body) and friends take; sets the type that it implies.
  static extract(value, headers) {
    const body = new Body();
    let type = null;
    if (isStream(value)) {
      if (value.locked || isDisturbed(value)) {
        throw new TypeError("The body stream is locked or has been read from already");
      }
      body.stream = value;
      body.streamed = true;
      return body;
    }
    if (isBlob(value)) {
      type = value.type || null;
      body.setBlob(value);
    } else if (value instanceof FormData) {
      const blob = multipartOf(value);
      type = blob.type;
      body.setBlob(blob);
    } else if (value instanceof URLSearchParams) {
      type = "application/x-www-form-urlencoded;charset=UTF-8";
      body.setBytes(encodeText(String(value)));
    } else {
      const view = viewOf(value);
      type = view === undefined ? "text/plain;charset=UTF-8" : null;
      body.setBytes(view === undefined ? encodeText(wellFormed(value)) : view.slice());
    }
    if (type !== null && !headers.has("content-type")) {
      headers.set("content-type", type);
    }
    return body;
  }
  static ofHost(streamId, length) {
    const body = new Body();
    body.source = new HostSource(streamId);
    body.length = length;
    return body;
  }
  setBytes(bytes) {
    this.bytes = bytes;
    this.length = bytes.length;
  }
  setBlob(blob) {
    const bytes = bytesNow(blob);
    if (bytes === undefined) {
      this.blob = blob;
      this.streamed = true;
    } else {
      this.bytes = bytes;
    }
    this.length = blob.size;
  }
  get isUsed() {
    return this.used || (this.stream !== null && isDisturbed(this.stream));
  }
  get isLocked() {
    return this.stream !== null && this.stream.locked;
  }
  get readable() {
    if (this.stream === null) {
      if (this.bytes !== null) {
        this.stream = streamOf(pieces(this.bytes));
      } else {
        this.stream = this.blob === null ? this.source.stream() : streamOfBlob(this.blob);
      }
      if (this.used) {
        this.stream.getReader(); // spent: show it locked
      }
    }
    return this.stream;
  }
  // All of it, once.
  async take() {
    this.used = true;
    if (this.stream !== null) {
      return concat(await readStream(this.stream));
    }
    if (this.bytes !== null) {
      return this.bytes;
    }
    return this.blob !== null ? await bytesOfBlob(this.blob) : concat(await readAll(this.source));
  }
  // The same body once more; what can be read only once is split.
  clone() {
    const copy = new Body();
    copy.length = this.length;
    if (this.bytes !== null && this.stream === null) {
      copy.bytes = this.bytes;
      return copy;
    }
    copy.streamed = this.streamed = true;
    [this.stream, copy.stream] = this.readable.tee();
    return copy;
  }
  // For somebody else, who reads it from now on.
  transfer() {
    const taken = new Body();
    Object.assign(taken, this);
    taken.used = false;
    if (this.stream !== null && this.bytes !== null) {
      taken.stream = null; // untouched, since it is not used
    }
    this.used = true;
    return taken;
  }
}

// The methods that Request and Response share; stateOf(object) has `body` (or null) and headers.
export function mixBody(cls, className, stateOf, streamingBlobs) {
  const take = async (object, method) => {
    const { body } = stateOf(object);
    if (body === null) {
      return new Uint8Array(0);
    }
    if (body.isUsed || body.isLocked) {
      throw new TypeError(`Failed to execute '${method}' on '${className}': body stream already read`);
    }
    return await body.take();
  };
  const typeOf = (object) => stateOf(object).headers.get("content-type") ?? "";
  const mixin = {
    get body() {
      return stateOf(this).body?.readable ?? null;
    },
    get bodyUsed() {
      return stateOf(this).body?.isUsed ?? false;
    },
    async arrayBuffer() {
      return (await take(this, "arrayBuffer")).slice().buffer;
    },
    async blob() {
      const { body } = stateOf(this);
      const type = typeOf(this);
      if (streamingBlobs && body?.source && !body.stream && body.length !== null && !body.isUsed) {
        body.used = true;
        return streamingBlob(body.source, body.length, type);
      }
      return blobOf(await take(this, "blob"), type);
    },
    async formData() {
      const { body } = stateOf(this);
      if (body?.isUsed) {
        await take(this, "formData");
      }
      return await formFrom(typeOf(this), className, () => take(this, "formData"));
    },
    async json() {
      return JSON.parse(decodeText(await take(this, "json")));
    },
    async text() {
      return decodeText(await take(this, "text"));
    },
  };
  Object.defineProperties(cls.prototype, Object.getOwnPropertyDescriptors(mixin));
}
