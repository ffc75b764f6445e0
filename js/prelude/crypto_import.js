// importKey and exportKey of crypto.subtle, with the checks of the Web Cryptography API in its
// order: usages, then format, then the key's data.
import host, { viewOf } from "./host.js";
import { badUsages, copy, fail, isObject, onlyUsages, source, strings } from "./crypto_algorithm.js";
import {
  COORDINATE, KIND, fromBase64url, fromFields, newKey, parseDer, toBase64url, toFields, writeDer,
} from "./crypto_key.js";

const Bytes = Uint8Array;

export const AES_USAGES = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
export const SECRET_USAGES = { HMAC: ["sign", "verify"], "AES-CBC": AES_USAGES, "AES-CTR": AES_USAGES, "AES-GCM": AES_USAGES };
const signs = { public: ["verify"], private: ["sign"] };
const agrees = { public: [], private: ["deriveKey", "deriveBits"] };
export const PAIR_USAGES = {
  "RSASSA-PKCS1-v1_5": signs,
  "RSA-PSS": signs,
  "RSA-OAEP": { public: ["encrypt", "wrapKey"], private: ["decrypt", "unwrapKey"] },
  ECDSA: signs,
  ECDH: agrees,
  Ed25519: signs,
  X25519: agrees,
};

const badData = (message) => fail("DataError", message);
const badFormat = () => fail("NotSupportedError", "Unsupported key format");

/* --- JSON Web Keys --- */

const TEXTS = ["kty", "use", "alg", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "k"];

// The dictionary JsonWebKey.
export function readJwk(value) {
  if (!isObject(value) || viewOf(value) !== undefined) {
    throw new TypeError("The key data of format 'jwk' is not a JsonWebKey");
  }
  const jwk = {};
  for (const member of TEXTS) {
    const given = value[member];
    if (given !== undefined) {
      jwk[member] = `${given}`;
    }
  }
  if (value.ext !== undefined) {
    jwk.ext = !!value.ext;
  }
  if (value.key_ops !== undefined) {
    jwk.key_ops = strings(value.key_ops, "key_ops");
  }
  if (value.oth !== undefined) {
    jwk.oth = true;
  }
  return jwk;
}

function checkJwk(jwk, kty, use, extractable, usages) {
  if (jwk.kty !== kty) {
    badData(`The JWK's "kty" is not "${kty}"`);
  }
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) {
    badData(`The JWK's "use" is not "${use}"`);
  }
  if (jwk.key_ops !== undefined) {
    if (new Set(jwk.key_ops).size !== jwk.key_ops.length || !usages.every((u) => jwk.key_ops.includes(u))) {
      badData(`The JWK's "key_ops" do not have the usages asked for`);
    }
  }
  if (jwk.ext === false && extractable) {
    badData("The JWK is not extractable");
  }
}

function checkAlg(jwk, ...allowed) {
  if (jwk.alg !== undefined && !allowed.includes(jwk.alg)) {
    badData(`The JWK's "alg" does not fit the algorithm`);
  }
}

const member = (jwk, name) => fromBase64url(jwk[name] ?? badData(`The JWK has no "${name}"`));

/* --- secret keys --- */

function secretBytes(format, data, name, extractable, usages, alg) {
  if (format === "raw") {
    return data;
  }
  if (format !== "jwk") {
    badFormat();
  }
  checkJwk(data, "oct", name === "HMAC" ? "sig" : "enc", extractable, usages);
  const bytes = member(data, "k");
  checkAlg(data, alg(bytes));
  return bytes;
}

const HMAC_ALG = { "SHA-1": "HS1", "SHA-256": "HS256", "SHA-384": "HS384", "SHA-512": "HS512" };

function importHmac(format, data, algorithm, extractable, usages) {
  const hash = algorithm.hash;
  const bytes = secretBytes(format, data, "HMAC", extractable, usages, () => HMAC_ALG[hash.name]);
  const bits = bytes.length * 8;
  if (bits === 0) {
    badData("HMAC key data must not be empty");
  }
  const length = algorithm.length ?? bits;
  if (length > bits || length <= bits - 8) {
    badData("The length does not fit the HMAC key's data");
  }
  if (length < bits) {
    bytes[bytes.length - 1] &= 0xff << (bits - length);
  }
  return newKey("secret", { name: "HMAC", hash, length }, extractable, usages, undefined, bytes);
}

const aesAlg = (name, bytes) => `A${bytes.length * 8}${name.slice(4)}`;
export const isAesLength = (bits) => bits === 128 || bits === 192 || bits === 256;

function importAes(format, data, { name }, extractable, usages) {
  const bytes = secretBytes(format, data, name, extractable, usages, (k) => aesAlg(name, k));
  const length = bytes.length * 8;
  if (!isAesLength(length)) {
    badData("Invalid key length");
  }
  return newKey("secret", { name, length }, extractable, usages, undefined, bytes);
}

function importForDerivation(format, data, { name }, extractable, usages) {
  if (format !== "raw") {
    badFormat();
  }
  onlyUsages(usages, ["deriveKey", "deriveBits"]);
  if (extractable) {
    fail("SyntaxError", "Keys to derive others from are not extractable");
  }
  return newKey("secret", { name }, false, usages, undefined, data);
}

/* --- pairs --- */

// Whether what comes is the public or the private key; usages that it cannot have are refused.
function typeOf(format, data, name, usages) {
  const isPrivate = format === "pkcs8" || (format === "jwk" && data.d !== undefined);
  const type = isPrivate ? "private" : "public";
  onlyUsages(usages, PAIR_USAGES[name][type]);
  return type;
}

const RSA_ALG = {
  "RSASSA-PKCS1-v1_5": { "SHA-1": "RS1", "SHA-256": "RS256", "SHA-384": "RS384", "SHA-512": "RS512" },
  "RSA-PSS": { "SHA-1": "PS1", "SHA-256": "PS256", "SHA-384": "PS384", "SHA-512": "PS512" },
  "RSA-OAEP": { "SHA-1": "RSA-OAEP", "SHA-256": "RSA-OAEP-256", "SHA-384": "RSA-OAEP-384", "SHA-512": "RSA-OAEP-512" },
};
const RSA_PUBLIC = ["n", "e"];
const RSA_ALL = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

function rsaJwk(jwk, name, hash, type, extractable, usages) {
  checkJwk(jwk, "RSA", name === "RSA-OAEP" ? "enc" : "sig", extractable, usages);
  checkAlg(jwk, RSA_ALG[name][hash.name]);
  if (jwk.oth !== undefined) {
    fail("NotSupportedError", "RSA keys of more than two primes are not supported");
  }
  const names = type === "private" ? RSA_ALL : RSA_PUBLIC;
  return fromFields(KIND.RSA, type, names.map((n) => member(jwk, n)));
}

function bitsOf(modulus) {
  return modulus.length * 8 - (Math.clz32(modulus[0]) - 24);
}

export function rsaDescription(name, hash, bytes) {
  const [n, e] = toFields(bytes);
  return { name, modulusLength: bitsOf(n), publicExponent: e.slice(), hash };
}

function importRsa(format, data, { name, hash }, extractable, usages) {
  if (format === "raw") {
    badFormat();
  }
  const type = typeOf(format, data, name, usages);
  const bytes = format === "jwk" ? rsaJwk(data, name, hash, type, extractable, usages) : parseDer(KIND.RSA, type, data);
  return newKey(type, rsaDescription(name, hash, bytes), extractable, usages, KIND.RSA, bytes);
}

export function checkCurve(name) {
  if (!Object.hasOwn(COORDINATE, name)) {
    fail("NotSupportedError", "Unrecognized namedCurve");
  }
}

const EC_ALG = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

function ecJwk(jwk, name, curve, type, extractable, usages) {
  checkJwk(jwk, "EC", name === "ECDSA" ? "sig" : "enc", extractable, usages);
  if (name === "ECDSA") {
    checkAlg(jwk, EC_ALG[curve]);
  }
  if (jwk.crv !== curve) {
    badData(`The JWK's "crv" is not the curve asked for`);
  }
  const size = COORDINATE[curve];
  const [x, y] = [member(jwk, "x"), member(jwk, "y")];
  if (x.length !== size || y.length !== size) {
    badData("The JWK's coordinates do not have the curve's length");
  }
  const point = new Bytes(1 + 2 * size);
  point[0] = 4;
  point.set(x, 1);
  point.set(y, 1 + size);
  return fromFields(KIND[curve], type, type === "private" ? [point, member(jwk, "d")] : [point]);
}

function importEc(format, data, { name, namedCurve }, extractable, usages) {
  checkCurve(namedCurve);
  const kind = KIND[namedCurve];
  const type = typeOf(format, data, name, usages);
  const bytes =
    format === "jwk" ? ecJwk(data, name, namedCurve, type, extractable, usages)
    : format === "raw" ? fromFields(kind, type, [data])
    : parseDer(kind, type, data);
  return newKey(type, { name, namedCurve }, extractable, usages, kind, bytes);
}

function okpJwk(jwk, name, type, extractable, usages) {
  checkJwk(jwk, "OKP", name === "Ed25519" ? "sig" : "enc", extractable, usages);
  if (jwk.crv !== name) {
    badData(`The JWK's "crv" is not "${name}"`);
  }
  if (name === "Ed25519") {
    checkAlg(jwk, "EdDSA", "Ed25519");
  }
  const x = member(jwk, "x");
  if (x.length !== 32) {
    badData("The JWK's key does not have the curve's length");
  }
  return fromFields(KIND[name], type, type === "private" ? [x, member(jwk, "d")] : [x]);
}

function importOkp(format, data, { name }, extractable, usages) {
  const type = typeOf(format, data, name, usages);
  const bytes =
    format === "jwk" ? okpJwk(data, name, type, extractable, usages)
    : format === "raw" ? fromFields(KIND[name], type, data.length === 32 ? [data] : badData("Invalid key length"))
    : parseDer(KIND[name], type, data);
  return newKey(type, { name }, extractable, usages, KIND[name], bytes);
}

const IMPORT = {
  HMAC: importHmac,
  "AES-CBC": importAes,
  "AES-CTR": importAes,
  "AES-GCM": importAes,
  HKDF: importForDerivation,
  PBKDF2: importForDerivation,
  "RSASSA-PKCS1-v1_5": importRsa,
  "RSA-PSS": importRsa,
  "RSA-OAEP": importRsa,
  ECDSA: importEc,
  ECDH: importEc,
  Ed25519: importOkp,
  X25519: importOkp,
};

// `data` is a copy: bytes, or what readJwk() made.
export function importKey(format, data, algorithm, extractable, usages) {
  const { name } = algorithm;
  if (Object.hasOwn(SECRET_USAGES, name)) {
    onlyUsages(usages, SECRET_USAGES[name]);
  }
  const key = IMPORT[name](format, data, algorithm, extractable, usages);
  if (usages.length === 0 && key.type !== "public") {
    badUsages();
  }
  // Public keys are never secret, but what the caller asked for is what `extractable` says.
  return key;
}

export const keyData = (format, data) => (format === "jwk" ? readJwk(data) : copy(data));

/* --- export --- */

const wrongType = () => fail("InvalidAccessError", "The key is not of the type that the format needs");

function exportRaw(key) {
  if (key.type === "secret") {
    return key.bytes.slice().buffer;
  }
  if (key.kind === KIND.RSA) {
    badFormat();
  }
  return key.type === "public" ? toFields(key.bytes)[0].slice().buffer : wrongType();
}

function exportDer(key, type) {
  if (key.type === "secret") {
    badFormat();
  }
  return key.type === type ? writeDer(key).buffer : wrongType();
}

function exportJwk(key) {
  const { name, hash, namedCurve } = key.algorithm;
  const jwk = {};
  if (key.type === "secret") {
    jwk.kty = "oct";
    jwk.k = toBase64url(key.bytes);
    jwk.alg = name === "HMAC" ? HMAC_ALG[hash.name] : aesAlg(name, key.bytes);
  } else if (key.kind === KIND.RSA) {
    jwk.kty = "RSA";
    jwk.alg = RSA_ALG[name][hash.name];
    toFields(key.bytes).forEach((field, i) => (jwk[RSA_ALL[i]] = toBase64url(field)));
  } else {
    const [point, d] = toFields(key.bytes);
    const size = COORDINATE[namedCurve];
    jwk.kty = size ? "EC" : "OKP";
    jwk.crv = namedCurve ?? name;
    jwk.x = toBase64url(size ? point.subarray(1, 1 + size) : point);
    if (size) {
      jwk.y = toBase64url(point.subarray(1 + size));
    }
    if (d) {
      jwk.d = toBase64url(d);
    }
    if (name === "Ed25519") {
      jwk.alg = name;
    }
  }
  jwk.key_ops = [...key.usages];
  jwk.ext = key.extractable;
  return jwk;
}

// `key` is what look() says.
export function exportKey(format, key) {
  const { name } = key.algorithm;
  if (name === "HKDF" || name === "PBKDF2") {
    fail("NotSupportedError", "Keys to derive others from are not exported");
  }
  if (!key.extractable) {
    fail("InvalidAccessError", "key is not extractable");
  }
  switch (format) {
    case "raw":
      return exportRaw(key);
    case "spki":
      return exportDer(key, "public");
    case "pkcs8":
      return exportDer(key, "private");
    default:
      return exportJwk(key);
  }
}
