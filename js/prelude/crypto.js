// crypto: random numbers from the run's generator here, the rest in crypto_subtle.js (section 3.4).
import host, { define, enumerable, tag } from "./host.js";
import { fail } from "./crypto_algorithm.js";
import { CryptoKey } from "./crypto_key.js";
import { SubtleCrypto, subtle } from "./crypto_subtle.js";

const secret = Symbol();
const Bytes = Uint8Array;
const INTEGER_ARRAYS = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
  BigInt64Array, BigUint64Array,
];

class Crypto {
  #subtle = subtle;
  constructor(given) {
    if (given !== secret) {
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
    host.randomBytes(new Bytes(array.buffer, array.byteOffset, array.byteLength));
    return array;
  }
  randomUUID() {
    const b = new Bytes(16);
    host.randomBytes(b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
tag(Crypto, "Crypto");
for (const cls of [CryptoKey, SubtleCrypto, Crypto]) {
  enumerable(cls);
}

define({ CryptoKey, SubtleCrypto, Crypto, crypto: new Crypto(secret) });
