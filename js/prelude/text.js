// TextEncoder and TextDecoder: the labels here, the bytes in C.
import { CONVERTERS, encodingOf, NATIVE } from "./encodings.js";
import host, { define, enumerable, tag, viewOf } from "./host.js";

function bytesOf(input) {
  const bytes = input === undefined ? new Uint8Array(0) : viewOf(input);
  if (bytes === undefined) {
    throw new TypeError("The provided value is not of type '(ArrayBuffer or ArrayBufferView)'");
  }
  return bytes;
}

const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag,
).get;

class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(input = "") {
    return host.encode(String(input));
  }
  encodeInto(source, destination) {
    if (kindOf.call(destination) !== "Uint8Array") {
      throw new TypeError("Failed to execute 'encodeInto' on 'TextEncoder': parameter 2 is not of type 'Uint8Array'.");
    }
    const [read, written] = host.encodeInto(String(source), destination);
    return { read, written };
  }
}
enumerable(TextEncoder);
tag(TextEncoder, "TextEncoder");

// Bytes at the end that begin a character.  An encoding with states is decoded at its end.
function incompleteTail(encoding, bytes) {
  if (encoding === "iso-2022-jp") {
    return bytes.length;
  }
  return NATIVE.has(encoding)
    ? host.incompleteTail(encoding, bytes)
    : host.legacyTail(CONVERTERS[encoding] ?? encoding, bytes);
}

function decode(encoding, bytes, fatal) {
  return NATIVE.has(encoding)
    ? host.decode(encoding, bytes, fatal)
    : host.legacyDecode(CONVERTERS[encoding] ?? encoding, bytes, fatal);
}

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #pending = null; // bytes of an incomplete character, between calls with stream: true
  #bomSeen = false;
  constructor(label = "utf-8", options = {}) {
    const name = encodingOf(label);
    if (name === undefined) {
      throw new RangeError(`The encoding label provided ('${label}') is invalid.`);
    }
    this.#encoding = name;
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }
  get encoding() {
    return this.#encoding;
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBOM;
  }
  decode(input, options = {}) {
    let bytes = bytesOf(input);
    const stream = !!options?.stream;
    if (this.#pending !== null) {
      const joined = new Uint8Array(this.#pending.length + bytes.length);
      joined.set(this.#pending);
      joined.set(bytes, this.#pending.length);
      bytes = joined;
      this.#pending = null;
    }
    if (stream) {
      const tail = incompleteTail(this.#encoding, bytes);
      if (tail > 0) {
        this.#pending = bytes.slice(bytes.length - tail);
        bytes = bytes.subarray(0, bytes.length - tail);
      }
    }
    let text;
    try {
      text = decode(this.#encoding, bytes, this.#fatal);
    } catch (e) {
      this.#bomSeen = false;
      throw e;
    }
    if (!this.#ignoreBOM && !this.#bomSeen && text.length > 0) {
      if (text.charCodeAt(0) === 0xfeff && this.#encoding.startsWith("utf-")) {
        text = text.slice(1);
      }
      this.#bomSeen = true;
    }
    if (!stream) {
      this.#bomSeen = false;
    }
    return text;
  }
}
enumerable(TextDecoder);
tag(TextDecoder, "TextDecoder");

define({ TextEncoder, TextDecoder });
export { TextDecoder };
