// Which algorithms crypto.subtle knows for what, and what their parameters are converted to
// (section 3.4, and "normalizing an algorithm" of the Web Cryptography API).
import { viewOf } from "./host.js";

const { create, freeze } = Object;
const Bytes = Uint8Array;

export const fail = (name, message) => {
  throw new DOMException(message, name);
};

// Bytes of a BufferSource where they are: only for work that is done before JavaScript goes on.
export function source(value) {
  const view = viewOf(value);
  if (view === undefined) {
    throw new TypeError("The provided value is not of type '(ArrayBuffer or ArrayBufferView)'");
  }
  return view;
}

export const copy = (value) => new Bytes(source(value));

// WebIDL's [EnforceRange] integers.
const integer = (bits) => (value, name) => {
  const n = Math.trunc(Number(value));
  if (!(n >= 0 && n < 2 ** bits)) {
    throw new TypeError(`'${name}' is outside of the accepted range`);
  }
  return n;
};
const ulong = integer(32);
const ushort = integer(16);
const octet = integer(8);

const text = (value) => `${value}`;
const hash = (value) => ({ name: normalize("digest", value).name });
const bytes = (value) => copy(value);
const bigInteger = (value) => {
  if (!(value instanceof Bytes)) {
    throw new TypeError("'publicExponent' is not a Uint8Array");
  }
  return copy(value);
};
const key = (value) => value; // looked at where it is used

// Members of parameter dictionaries; those with a question mark may be missing.
const none = {};
const hashed = { hash };
const curve = { namedCurve: text };
const rsaKeyGen = { hash, modulusLength: ulong, publicExponent: bigInteger };
const aesKey = { length: ushort };
const hmacKey = { hash, "length?": ulong };
const peer = { public: key };

const rsaKeys = { generateKey: rsaKeyGen, importKey: hashed, exportKey: none };
const ecKeys = { generateKey: curve, importKey: curve, exportKey: none };
const okpKeys = { generateKey: none, importKey: none, exportKey: none };
const aesKeys = { generateKey: aesKey, importKey: none, exportKey: none, "get key length": aesKey };
const kdfKeys = { importKey: none, "get key length": none };
const both = (params) => ({ encrypt: params, decrypt: params });
const signing = (params) => ({ sign: params, verify: params });
const aesGcm = { iv: bytes, "additionalData?": bytes, "tagLength?": octet };

const ALGORITHMS = {
  "SHA-1": { digest: none },
  "SHA-256": { digest: none },
  "SHA-384": { digest: none },
  "SHA-512": { digest: none },
  HMAC: { generateKey: hmacKey, importKey: hmacKey, exportKey: none, "get key length": hmacKey, ...signing(none) },
  "AES-CBC": { ...aesKeys, ...both({ iv: bytes }) },
  "AES-CTR": { ...aesKeys, ...both({ counter: bytes, length: octet }) },
  "AES-GCM": { ...aesKeys, ...both(aesGcm) },
  "AES-KW": aesKeys,
  "RSASSA-PKCS1-v1_5": { ...rsaKeys, ...signing(none) },
  "RSA-PSS": { ...rsaKeys, ...signing({ saltLength: ulong }) },
  "RSA-OAEP": { ...rsaKeys, ...both({ "label?": bytes }) },
  ECDSA: { ...ecKeys, ...signing(hashed) },
  ECDH: { ...ecKeys, deriveBits: peer },
  Ed25519: { ...okpKeys, ...signing(none) },
  X25519: { ...okpKeys, deriveBits: peer },
  PBKDF2: { ...kdfKeys, deriveBits: { hash, iterations: ulong, salt: bytes } },
  HKDF: { ...kdfKeys, deriveBits: { hash, info: bytes, salt: bytes } },
};

const upper = String.prototype.toUpperCase;
const upperCase = (s) => Reflect.apply(upper, s, []);
const NAMES = create(null);
for (const name of Object.keys(ALGORITHMS)) {
  NAMES[upperCase(name)] = name;
}
freeze(NAMES);
const endsWith = String.prototype.endsWith;
const slice = String.prototype.slice;

// Members in the order of their names, as WebIDL converts dictionaries.
const PARAMS = new Map();
function membersOf(params) {
  return PARAMS.get(params) ?? [];
}
for (const algorithm of Object.values(ALGORITHMS)) {
  for (const params of Object.values(algorithm)) {
    if (!PARAMS.has(params)) {
      const members = Object.keys(params).map((given) => {
        const optional = Reflect.apply(endsWith, given, ["?"]);
        return { name: optional ? Reflect.apply(slice, given, [0, -1]) : given, optional, convert: params[given] };
      });
      PARAMS.set(params, members);
    }
  }
}

export const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

// The algorithm with its registered name and converted parameters, in a new object.
export function normalize(operation, algorithm) {
  let given = algorithm;
  let name = given;
  if (isObject(given)) {
    name = given.name;
    if (name === undefined) {
      throw new TypeError("Algorithm: name: Missing or not a string");
    }
  } else {
    given = {};
  }
  const known = NAMES[upperCase(text(name))];
  const params = known === undefined ? undefined : ALGORITHMS[known][operation];
  if (params === undefined) {
    fail("NotSupportedError", "Unrecognized algorithm name");
  }
  const result = { name: known };
  for (const { name: member, optional, convert } of membersOf(params)) {
    const value = given[member];
    if (value !== undefined) {
      result[member] = convert(value, member);
    } else if (!optional) {
      throw new TypeError(`Missing required parameter '${member}' of ${known}`);
    }
  }
  return result;
}

/* --- usages and formats --- */

const USAGES = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];
const FORMATS = ["raw", "pkcs8", "spki", "jwk"];

export function format(value) {
  const name = text(value);
  if (!FORMATS.includes(name)) {
    throw new TypeError(`The provided value '${name}' is not a valid enum value of type KeyFormat`);
  }
  return name;
}

export function strings(value, what) {
  if (!isObject(value)) {
    throw new TypeError(`${what} is not a sequence`);
  }
  const result = [];
  for (const item of value) {
    result.push(text(item));
  }
  return result;
}

// The usages given, each once and in the standard's order.
export function usages(value) {
  const given = strings(value, "keyUsages");
  for (const usage of given) {
    if (!USAGES.includes(usage)) {
      throw new TypeError(`The provided value '${usage}' is not a valid enum value of type KeyUsage`);
    }
  }
  return USAGES.filter((usage) => given.includes(usage));
}

export const badUsages = () => fail("SyntaxError", "invalid key usages");

export function onlyUsages(given, allowed) {
  if (!given.every((usage) => allowed.includes(usage))) {
    badUsages();
  }
}

