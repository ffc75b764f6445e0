// TextEncoder and TextDecoder: the labels here, the bytes in C.
import host, { define, tag } from "./host.js";

const LABELS = {
  "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
  "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
  "utf-16be": "unicodefffe utf-16be",
  "windows-1252":
    "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
};
const encodings = new Map();
for (const [name, labels] of Object.entries(LABELS)) {
  for (const label of labels.split(" ")) {
    encodings.set(label, name);
  }
}

function bytesOf(input) {
  if (input === undefined) {
    return new Uint8Array(0);
  }
  if (ArrayBuffer.isView(input)) {
    return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  }
  if (input instanceof ArrayBuffer || input instanceof SharedArrayBuffer) {
    return new Uint8Array(input);
  }
  throw new TypeError("The provided value is not of type '(ArrayBuffer or ArrayBufferView)'");
}

class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(input = "") {
    return host.encode(String(input));
  }
  encodeInto(source, destination) {
    const [read, written] = host.encodeInto(String(source), destination);
    return { read, written };
  }
}
tag(TextEncoder, "TextEncoder");

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #pending = null; // bytes of an incomplete character, between calls with stream: true
  #bomSeen = false;
  constructor(label = "utf-8", options = {}) {
    const name = encodings.get(String(label).trim().toLowerCase());
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
      const tail = host.incompleteTail(this.#encoding, bytes);
      if (tail > 0) {
        this.#pending = bytes.slice(bytes.length - tail);
        bytes = bytes.subarray(0, bytes.length - tail);
      }
    }
    let text;
    try {
      text = host.decode(this.#encoding, bytes, this.#fatal);
    } catch (e) {
      this.#bomSeen = false;
      throw e;
    }
    if (!this.#ignoreBOM && !this.#bomSeen && text.length > 0) {
      if (text.charCodeAt(0) === 0xfeff && this.#encoding !== "windows-1252") {
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
tag(TextDecoder, "TextDecoder");

define({ TextEncoder, TextDecoder });
