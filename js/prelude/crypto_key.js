// CryptoKey, and the bytes inside of it.
//
// A key is its kind and its bytes (src/isolate/key.h), which live in the heap like any other
// value: so images have them, and no run has those of another.
import host, { tag, decodeText } from "./host.js";
import { fail } from "./crypto_algorithm.js";

const Bytes = Uint8Array;
const secret = Symbol();

// Kinds of the host's keys; symmetric ones have none.
export const KIND = { RSA: 0, "P-256": 1, "P-384": 2, "P-521": 3, Ed25519: 4, X25519: 5 };
export const COORDINATE = { "P-256": 32, "P-384": 48, "P-521": 66 };
const KEY_BYTES_MAX = 8192;

const clone = (algorithm) => {
  const result = { ...algorithm };
  if (result.hash) {
    result.hash = { ...result.hash };
  }
  if (result.publicExponent) {
    result.publicExponent = new Bytes(result.publicExponent);
  }
  return result;
};

export class CryptoKey {
  #type;
  #extractable;
  #algorithm;
  #usages;
  #kind;
  #bytes;
  #shownAlgorithm;
  #shownUsages;
  constructor(given, fields) {
    if (given !== secret) {
      throw new TypeError("Illegal constructor");
    }
    this.#type = fields.type;
    this.#extractable = fields.extractable;
    this.#algorithm = fields.algorithm;
    this.#usages = fields.usages;
    this.#kind = fields.kind;
    this.#bytes = fields.bytes;
  }
  get type() {
    return this.#type;
  }
  get extractable() {
    return this.#extractable;
  }
  // What the program sees is the same object each time, and not the one that counts.
  get algorithm() {
    return (this.#shownAlgorithm ??= clone(this.#algorithm));
  }
  get usages() {
    return (this.#shownUsages ??= [...this.#usages]);
  }
  static look(key) {
    if (typeof key !== "object" || key === null || !(#bytes in key)) {
      throw new TypeError("The provided value is not of type 'CryptoKey'");
    }
    return {
      type: key.#type,
      extractable: key.#extractable,
      algorithm: key.#algorithm,
      usages: key.#usages,
      kind: key.#kind,
      bytes: key.#bytes,
    };
  }
}
// All there is to know of a key; a TypeError if it is none.
export const look = CryptoKey.look;
delete CryptoKey.look;
tag(CryptoKey, "CryptoKey");

export const newKey = (type, algorithm, extractable, usages, kind, bytes) =>
  new CryptoKey(secret, { type, algorithm, extractable, usages, kind, bytes });

/* --- packed keys --- */

const isPrivate = (type) => (type === "private" ? 1 : 0);

// What the host wrote, or undefined if it did not like its arguments.
export function filled(size, write) {
  const out = new Bytes(size);
  const n = write(out);
  return n < 0 ? undefined : n === size ? out : out.slice(0, n);
}

const orData = (bytes) => bytes ?? fail("DataError", "The key's data is not valid");

export const parseDer = (kind, type, der) =>
  orData(filled(KEY_BYTES_MAX, (out) => host.keyParse(kind, isPrivate(type), der, out)));

export const writeDer = ({ kind, type, bytes }) =>
  filled(KEY_BYTES_MAX, (out) => host.keyWrite(kind, isPrivate(type), bytes, out));

// From its numbers; points may be left out of private keys.
export function fromFields(kind, type, fields) {
  let size = 0;
  for (const field of fields) {
    size += 2 + field.length;
  }
  const packed = new Bytes(size);
  let at = 0;
  for (const field of fields) {
    if (field.length > 1024) {
      orData(undefined);
    }
    packed[at] = field.length >> 8;
    packed[at + 1] = field.length & 255;
    packed.set(field, at + 2);
    at += 2 + field.length;
  }
  return orData(filled(KEY_BYTES_MAX, (out) => host.keyComplete(kind, isPrivate(type), packed, out)));
}

export function toFields(packed) {
  const fields = [];
  for (let at = 0; at < packed.length; ) {
    const end = at + 2 + ((packed[at] << 8) | packed[at + 1]);
    fields.push(packed.subarray(at + 2, end));
    at = end;
  }
  return fields;
}

// The public half: its fields come first.
export const publicHalf = (kind, packed) => {
  const fields = toFields(packed);
  const n = kind === KIND.RSA ? 2 : 1;
  let size = 0;
  for (let i = 0; i < n; i++) {
    size += 2 + fields[i].length;
  }
  return packed.slice(0, size);
};

/* --- base64url --- */

export function toBase64url(bytes) {
  return decodeText(filled(Math.ceil((bytes.length * 4) / 3), (out) => host.toBase64url(bytes, out)));
}

export function fromBase64url(text) {
  const ascii = host.encode(text);
  return filled(Math.ceil((ascii.length * 3) / 4), (out) => host.fromBase64url(ascii, out)) ??
    fail("DataError", "The JWK has a member that is not base64url");
}
