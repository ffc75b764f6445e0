// crypto: random numbers from the run's generator, digests and HMAC in C (section 3.4).
import host, { define, refuse, tag } from "./host.js";

const key = Symbol();
const INTEGER_ARRAYS = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
  BigInt64Array, BigUint64Array,
];
const BLOCK = { "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128 };

const fail = (name, message) => {
  throw new DOMException(message, name);
};

function hashName(algorithm) {
  const name = String(typeof algorithm === "string" ? algorithm : algorithm?.name).toUpperCase();
  if (!(name in BLOCK)) {
    fail("NotSupportedError", "Unrecognized algorithm name");
  }
  return name;
}

function nameOf(algorithm) {
  return String(typeof algorithm === "string" ? algorithm : algorithm?.name).toUpperCase();
}

function copyOf(data) {
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  }
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data.slice(0));
  }
  throw new TypeError("The provided value is not of type '(ArrayBuffer or ArrayBufferView)'");
}

class CryptoKey {
  #type;
  #extractable;
  #algorithm;
  #usages;
  #bytes;
  constructor(secret, type, extractable, algorithm, usages, bytes) {
    if (secret !== key) {
      throw new TypeError("Illegal constructor");
    }
    this.#type = type;
    this.#extractable = extractable;
    this.#algorithm = algorithm;
    this.#usages = usages;
    this.#bytes = bytes;
  }
  get type() {
    return this.#type;
  }
  get extractable() {
    return this.#extractable;
  }
  get algorithm() {
    return this.#algorithm;
  }
  get usages() {
    return this.#usages;
  }
  static bytes(k) {
    return k.#bytes;
  }
}
const bytesOf = CryptoKey.bytes;
delete CryptoKey.bytes;
tag(CryptoKey, "CryptoKey");

const fromBase64Url = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toBase64Url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function hmacBytes(format, data, hash) {
  if (format === "raw") {
    return copyOf(data);
  }
  if (format !== "jwk") {
    fail("NotSupportedError", "Unsupported key format");
  }
  if (typeof data !== "object" || data === null || data.kty !== "oct" || typeof data.k !== "string") {
    fail("DataError", "Invalid JWK");
  }
  if (data.alg !== undefined && data.alg !== "HS" + hash.slice(4)) {
    fail("DataError", "The JWK's alg does not match the algorithm");
  }
  try {
    return fromBase64Url(data.k);
  } catch {
    return fail("DataError", "Invalid JWK");
  }
}

function importHmac(format, data, algorithm, extractable, usages) {
  const hash = hashName(algorithm?.hash);
  if (usages.some((u) => u !== "sign" && u !== "verify")) {
    fail("SyntaxError", "invalid key usages");
  }
  const bytes = hmacBytes(format, data, hash);
  if (bytes.length === 0) {
    fail("DataError", "HMAC key data must not be empty");
  }
  if (usages.length === 0) {
    fail("SyntaxError", "invalid key usages");
  }
  const described = { name: "HMAC", hash: { name: hash }, length: bytes.length * 8 };
  return new CryptoKey(key, "secret", !!extractable, described, [...new Set(usages)], bytes);
}

function hmac(algorithm, k, usage, data) {
  if (nameOf(algorithm) !== "HMAC") {
    fail("NotSupportedError", "Unrecognized algorithm name");
  }
  if (k.algorithm.name !== "HMAC" || !k.usages.includes(usage)) {
    fail("InvalidAccessError", "The requested operation is not valid for the provided key");
  }
  return new Uint8Array(host.hmac(k.algorithm.hash.name, bytesOf(k), copyOf(data)));
}

class SubtleCrypto {
  constructor(secret) {
    if (secret !== key) {
      host.uncatchable("Illegal constructor: SubtleCrypto");
    }
  }
  async digest(algorithm, data) {
    return host.digest(hashName(algorithm), copyOf(data));
  }
  async importKey(format, data, algorithm, extractable, usages) {
    if (nameOf(algorithm) !== "HMAC") {
      fail("NotSupportedError", "Unrecognized algorithm name");
    }
    return importHmac(format, data, algorithm, extractable, [...usages]);
  }
  async exportKey(format, k) {
    if (!k.extractable) {
      fail("InvalidAccessError", "key is not extractable");
    }
    if (format === "raw") {
      return bytesOf(k).slice().buffer;
    }
    if (format !== "jwk") {
      fail("NotSupportedError", "Unsupported key format");
    }
    return {
      kty: "oct",
      k: toBase64Url(bytesOf(k)),
      alg: "HS" + k.algorithm.hash.name.slice(4),
      key_ops: k.usages,
      ext: true,
    };
  }
  async sign(algorithm, k, data) {
    return hmac(algorithm, k, "sign", data).buffer;
  }
  async verify(algorithm, k, signature, data) {
    const want = hmac(algorithm, k, "verify", data);
    const got = copyOf(signature);
    let differ = want.length ^ got.length;
    for (let i = 0; i < want.length; i++) {
      differ |= want[i] ^ got[i];
    }
    return differ === 0;
  }
  async generateKey() {
    refuse("cryptographic randomness");
  }
}
for (const name of ["encrypt", "decrypt", "deriveBits", "deriveKey", "wrapKey", "unwrapKey"]) {
  define(
    {
      [name]: {
        async [name]() {
          fail("NotSupportedError", `crypto.subtle.${name} is not available on this server yet`);
        },
      }[name],
    },
    SubtleCrypto.prototype,
  );
}
tag(SubtleCrypto, "SubtleCrypto");

class Crypto {
  #subtle = new SubtleCrypto(key);
  constructor(secret) {
    if (secret !== key) {
      host.uncatchable("Illegal constructor: Crypto");
    }
  }
  get subtle() {
    return this.#subtle;
  }
  getRandomValues(array) {
    if (!INTEGER_ARRAYS.some((type) => array instanceof type)) {
      if (ArrayBuffer.isView(array)) {
        fail("TypeMismatchError", "The provided ArrayBufferView is not an integer array type");
      }
      throw new TypeError("Failed to execute 'getRandomValues' on 'Crypto': parameter 1 is not of type 'ArrayBufferView'");
    }
    if (array.byteLength > 65536) {
      throw new TypeError(
        `Byte length (${array.byteLength}) exceeds the number of bytes of entropy available via this API (65536)`,
      );
    }
    host.randomBytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return array;
  }
  randomUUID() {
    const b = new Uint8Array(16);
    host.randomBytes(b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
tag(Crypto, "Crypto");

define({ CryptoKey, SubtleCrypto, Crypto, crypto: new Crypto(key) });
