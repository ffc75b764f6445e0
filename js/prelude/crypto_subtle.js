// crypto.subtle (section 3.4).  All of it is computed at once; only the results are promises.
import host, { notImplemented, refuse, tag } from "./host.js";
import {
  badUsages, fail, format, normalize, onlyUsages, source, usages as usageList,
} from "./crypto_algorithm.js";
import { COORDINATE, KIND, filled, look, newKey, publicHalf } from "./crypto_key.js";
import {
  PAIR_USAGES, SECRET_USAGES, checkCurve, exportKey, importKey, isAesLength, keyData, rsaDescription,
} from "./crypto_import.js";

const Bytes = Uint8Array;
const NOTHING = new Bytes(0);
const HASH = { "SHA-1": 0, "SHA-256": 1, "SHA-384": 2, "SHA-512": 3 };
const DIGEST = { "SHA-1": 20, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 };
const BLOCK_BITS = { "SHA-1": 512, "SHA-256": 512, "SHA-384": 1024, "SHA-512": 1024 };
const SCHEME = { "RSASSA-PKCS1-v1_5": 0, "RSA-PSS": 1, ECDSA: 2, Ed25519: 3 };
const MODE = { "AES-CBC": 0, "AES-CTR": 1, "AES-GCM": 2 };
const TAG_LENGTHS = [32, 64, 96, 104, 112, 120, 128];
const DERIVED_MAX = 64 << 10; // bytes
const OVERDUE = -2;

const failed = () => fail("OperationError", "The operation failed for an operation-specific reason");

function needs(args, n, method) {
  if (args.length < n) {
    throw new TypeError(
      `Failed to execute '${method}' on 'SubtleCrypto': ${n} arguments required, but only ${args.length} present`,
    );
  }
}

// Refuses what needs randomness that cannot be drawn again (section 1.10).
function needRandomness() {
  if (!host.systemRandomness()) {
    refuse("cryptographic randomness");
  }
}

// The host stopped because the run's time is up: the engine ends it at the next occasion.
function unlessOverdue(n) {
  while (n === OVERDUE);
  return n;
}

const output = (size, write) => filled(size, write) ?? failed();

/* --- digests and signatures --- */

export const digest = (name, data) => output(DIGEST[name], (out) => host.digest(HASH[name], data, out)).buffer;

// The key, if it may be used for this with that algorithm.
function usable(algorithm, key, usage) {
  const k = look(key);
  if (k.algorithm.name !== algorithm.name) {
    fail("InvalidAccessError", "The requested operation is not valid for the provided key");
  }
  if (!k.usages.includes(usage)) {
    fail("InvalidAccessError", `The key may not be used to ${usage}`);
  }
  return k;
}

const hmac = (k, data) => {
  const hash = k.algorithm.hash.name;
  return output(DIGEST[hash], (out) => host.hmac(HASH[hash], k.bytes, data, out));
};

// The arguments that the host's signing functions begin with.
function signing(algorithm, k) {
  const hash = (algorithm.hash ?? k.algorithm.hash)?.name ?? "SHA-512";
  const salt = Math.min(algorithm.saltLength ?? 0, 1 << 20);
  return [SCHEME[algorithm.name], HASH[hash], salt, k.kind, k.type === "private" ? 1 : 0, k.bytes];
}

function sign(algorithm, k, data) {
  if (algorithm.name === "HMAC") {
    return hmac(k, data);
  }
  if (algorithm.name === "ECDSA" || algorithm.name === "RSA-PSS") {
    needRandomness();
  }
  return output(1024, (out) => host.keySign(...signing(algorithm, k), data, out));
}

function verify(algorithm, k, signature, data) {
  if (algorithm.name === "HMAC") {
    return host.sameBytes(hmac(k, data), signature);
  }
  return host.keyVerify(...signing(algorithm, k), signature, data) === 0;
}

/* --- encryption --- */

const lengthIs = (bytes, n, what) => bytes.length === n || fail("OperationError", `${what} must have length ${n} bytes`);

function aesParameters(algorithm) {
  const { name } = algorithm;
  if (name === "AES-CBC") {
    lengthIs(algorithm.iv, 16, "Initialization vector");
    return [algorithm.iv, NOTHING, 0];
  }
  if (name === "AES-CTR") {
    lengthIs(algorithm.counter, 16, "Counter block");
    if (algorithm.length === 0 || algorithm.length > 128) {
      fail("OperationError", "Counter length must be between 1 and 128 bits");
    }
    return [algorithm.counter, NOTHING, algorithm.length];
  }
  const bits = algorithm.tagLength ?? 128;
  if (!TAG_LENGTHS.includes(bits)) {
    fail("OperationError", "Invalid tag length");
  }
  return [algorithm.iv, algorithm.additionalData ?? NOTHING, bits];
}

function aes(algorithm, k, encrypt, data) {
  const [iv, aad, bits] = aesParameters(algorithm);
  return output(data.length + 16, (out) => host.aes(MODE[algorithm.name], encrypt, k.bytes, iv, data, aad, bits, out));
}

function crypt(algorithm, k, encrypt, data) {
  if (algorithm.name !== "RSA-OAEP") {
    return aes(algorithm, k, encrypt, data);
  }
  if (encrypt) {
    needRandomness();
  }
  const hash = HASH[k.algorithm.hash.name];
  const label = algorithm.label ?? NOTHING;
  return output(1024, (out) =>
    host.keyOaep(encrypt, hash, k.kind, k.type === "private" ? 1 : 0, k.bytes, label, data, out));
}

/* --- derivation --- */

// Length of what a key derivation function is asked for, in bytes.
function derivedSize(length, max) {
  if (length === null || length % 8 !== 0) {
    fail("OperationError", "Invalid length");
  }
  const size = length / 8;
  return size > max ? fail("OperationError", `Cannot derive more than ${max} bytes`) : size;
}

function hkdf(algorithm, k, length) {
  const { hash, salt, info } = algorithm;
  const size = derivedSize(length, Math.min(DERIVED_MAX, 255 * DIGEST[hash.name]));
  return output(size, (out) => unlessOverdue(host.hkdf(HASH[hash.name], k.bytes, salt, info, out)));
}

function pbkdf2(algorithm, k, length) {
  const { hash, salt, iterations } = algorithm;
  const size = derivedSize(length, DERIVED_MAX);
  if (iterations === 0) {
    fail("OperationError", "The number of iterations must not be zero");
  }
  return output(size, (out) => unlessOverdue(host.pbkdf2(HASH[hash.name], k.bytes, salt, iterations, out)));
}

function agree(algorithm, k, length) {
  const peer = look(algorithm.public);
  if (peer.type !== "public" || k.type !== "private") {
    fail("InvalidAccessError", "The keys are not a private and a public one");
  }
  if (peer.algorithm.name !== k.algorithm.name || peer.kind !== k.kind) {
    fail("InvalidAccessError", "The keys are not of the same algorithm and curve");
  }
  const secret = output(COORDINATE[k.algorithm.namedCurve] ?? 32, (out) =>
    host.keyAgree(k.kind, 1, k.bytes, peer.kind, 0, peer.bytes, out));
  if (length === null) {
    return secret;
  }
  const size = Math.ceil(length / 8);
  if (size > secret.length) {
    fail("OperationError", "The secret is shorter than that");
  }
  const result = secret.slice(0, size);
  if (length % 8 !== 0) {
    result[size - 1] &= 0xff << (8 - (length % 8));
  }
  return result;
}

const DERIVE = { HKDF: hkdf, PBKDF2: pbkdf2, ECDH: agree, X25519: agree };

// How many bits a key of this algorithm takes; null: any number.
function keyLength({ name, hash, length }) {
  if (name === "HKDF" || name === "PBKDF2") {
    return null;
  }
  if (name !== "HMAC") {
    return isAesLength(length) ? length : fail("OperationError", "Invalid key length");
  }
  if (length === 0) {
    throw new TypeError("Invalid key length");
  }
  return length ?? BLOCK_BITS[hash.name];
}

/* --- generation --- */

function randomBytes(n) {
  return output(n, (out) => host.systemRandom(out));
}

function generateSecret(algorithm, extractable, usages) {
  const { name } = algorithm;
  onlyUsages(usages, SECRET_USAGES[name]);
  const length = algorithm.length ?? BLOCK_BITS[algorithm.hash?.name];
  if (name === "HMAC" ? length === 0 : !isAesLength(length)) {
    fail("OperationError", "Invalid key length");
  }
  if (usages.length === 0) {
    badUsages();
  }
  needRandomness();
  const bytes = randomBytes(Math.ceil(length / 8));
  if (length % 8 !== 0) {
    bytes[bytes.length - 1] &= 0xff << (8 - (length % 8));
  }
  const described = name === "HMAC" ? { name, hash: algorithm.hash, length } : { name, length };
  return newKey("secret", described, extractable, usages, undefined, bytes);
}

// The exponent as a number; 0 if it is none that OpenSSL should search primes for.
function exponentOf(bytes) {
  let e = 0;
  for (const b of bytes) {
    e = e * 256 + b;
  }
  return e < 2 ** 32 && e > 1 && e % 2 === 1 ? e : 0;
}

function generateBytes(algorithm) {
  const { name, namedCurve, modulusLength, publicExponent } = algorithm;
  const kind = KIND[namedCurve] ?? KIND[name] ?? KIND.RSA;
  const e = kind === KIND.RSA ? exponentOf(publicExponent) : 0;
  if (kind === KIND.RSA && (e === 0 || modulusLength < 512 || modulusLength > 8192)) {
    fail("OperationError", "Invalid modulus length or public exponent");
  }
  needRandomness();
  return [kind, output(8192, (out) => unlessOverdue(host.keyGenerate(kind, modulusLength ?? 0, e | 0, out)))];
}

function generatePair(algorithm, extractable, usages) {
  const { name, hash, namedCurve } = algorithm;
  const allowed = PAIR_USAGES[name];
  onlyUsages(usages, [...allowed.public, ...allowed.private]);
  if (namedCurve !== undefined) {
    checkCurve(namedCurve);
  }
  const privateUsages = usages.filter((u) => allowed.private.includes(u));
  if (privateUsages.length === 0) {
    badUsages();
  }
  const [kind, bytes] = generateBytes(algorithm);
  const described =
    kind === KIND.RSA ? rsaDescription(name, hash, bytes) : namedCurve ? { name, namedCurve } : { name };
  const publicUsages = usages.filter((u) => allowed.public.includes(u));
  return {
    publicKey: newKey("public", described, true, publicUsages, kind, publicHalf(kind, bytes)),
    privateKey: newKey("private", described, extractable, privateUsages, kind, bytes),
  };
}

/* --- the interface --- */

const secret = Symbol();

// AES-KW exists in the standard only; libraries must not take its absence for a passing failure.
function supported(algorithm) {
  if (algorithm.name === "AES-KW") {
    notImplemented("AES-KW", "SubtleCrypto");
  }
  return algorithm;
}

class SubtleCrypto {
  #brand = true;
  constructor(given) {
    if (given !== secret) {
      host.uncatchable("Illegal constructor: SubtleCrypto");
    }
  }
  async digest(algorithm, data) {
    this.#brand;
    needs(arguments, 2, "digest");
    const bytes = source(data);
    return digest(normalize("digest", algorithm).name, bytes);
  }
  async importKey(keyFormat, data, algorithm, extractable, keyUsages) {
    this.#brand;
    needs(arguments, 5, "importKey");
    const form = format(keyFormat);
    const key = keyData(form, data);
    const usages = usageList(keyUsages);
    return importKey(form, key, supported(normalize("importKey", algorithm)), !!extractable, usages);
  }
  async exportKey(keyFormat, key) {
    this.#brand;
    needs(arguments, 2, "exportKey");
    const form = format(keyFormat);
    return exportKey(form, look(key));
  }
  async sign(algorithm, key, data) {
    this.#brand;
    needs(arguments, 3, "sign");
    look(key);
    const bytes = source(data);
    const a = normalize("sign", algorithm);
    return sign(a, usable(a, key, "sign"), bytes).buffer;
  }
  async verify(algorithm, key, signature, data) {
    this.#brand;
    needs(arguments, 4, "verify");
    look(key);
    const given = source(signature);
    const bytes = source(data);
    const a = normalize("verify", algorithm);
    return verify(a, usable(a, key, "verify"), given, bytes);
  }
  async encrypt(algorithm, key, data) {
    this.#brand;
    needs(arguments, 3, "encrypt");
    look(key);
    const bytes = source(data);
    const a = normalize("encrypt", algorithm);
    return crypt(a, usable(a, key, "encrypt"), true, bytes).buffer;
  }
  async decrypt(algorithm, key, data) {
    this.#brand;
    needs(arguments, 3, "decrypt");
    look(key);
    const bytes = source(data);
    const a = normalize("decrypt", algorithm);
    return crypt(a, usable(a, key, "decrypt"), false, bytes).buffer;
  }
  async deriveBits(algorithm, baseKey, length = null) {
    this.#brand;
    needs(arguments, 2, "deriveBits");
    look(baseKey);
    const bits = length === null ? null : length >>> 0;
    const a = normalize("deriveBits", algorithm);
    return DERIVE[a.name](a, usable(a, baseKey, "deriveBits"), bits).buffer;
  }
  async deriveKey(algorithm, baseKey, derivedKeyType, extractable, keyUsages) {
    this.#brand;
    needs(arguments, 5, "deriveKey");
    look(baseKey);
    const usages = usageList(keyUsages);
    const a = normalize("deriveBits", algorithm);
    const importing = supported(normalize("importKey", derivedKeyType));
    const wanted = normalize("get key length", derivedKeyType);
    const k = usable(a, baseKey, "deriveKey");
    const bytes = DERIVE[a.name](a, k, keyLength(wanted));
    return importKey("raw", bytes, importing, !!extractable, usages);
  }
  async generateKey(algorithm, extractable, keyUsages) {
    this.#brand;
    needs(arguments, 3, "generateKey");
    const usages = usageList(keyUsages);
    const a = supported(normalize("generateKey", algorithm));
    const generate = Object.hasOwn(SECRET_USAGES, a.name) ? generateSecret : generatePair;
    return generate(a, !!extractable, usages);
  }
  async wrapKey(_format, _key, _wrappingKey, _algorithm) {
    notImplemented("wrapKey", "SubtleCrypto");
  }
  async unwrapKey(_format, _key, _unwrappingKey, _algorithm, _keyAlgorithm, _extractable, _usages) {
    notImplemented("unwrapKey", "SubtleCrypto");
  }
}
tag(SubtleCrypto, "SubtleCrypto");

export { SubtleCrypto };
export const subtle = new SubtleCrypto(secret);
