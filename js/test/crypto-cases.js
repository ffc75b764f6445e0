// The same program for every implementation of crypto.subtle: rows of [name, what to do].  What comes
// of each is text: a result, or the name of an error.  Nothing here is random, but for the rows of
// randomCases(), whose results are not.
import fixtures from "./crypto-fixtures.json";

const { subtle } = globalThis.crypto;
const utf8 = (s) => new TextEncoder().encode(s);
const hex = (b) => Array.from(new Uint8Array(b), (x) => x.toString(16).padStart(2, "0")).join("");
const unhex = (s) => Uint8Array.from(s.match(/../g) ?? [], (x) => parseInt(x, 16));
const count = (n, from = 0) => Uint8Array.from({ length: n }, (_, i) => from + i);
const sorted = (o) => JSON.stringify(o.key_ops ? { ...o, key_ops: [...o.key_ops].sort() } : o, Object.keys(o).sort());
const data = utf8("The quick brown fox");
const HASHES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];
const CURVES = ["P-256", "P-384", "P-521"];
const { keys } = fixtures;

const publicOf = ({ d, p, q, dp, dq, qi, ...rest }) => rest;
const described = (key) => {
  const { publicExponent, ...rest } = key.algorithm;
  const exponent = publicExponent ? ` e=${hex(publicExponent)}` : "";
  return `${key.type} ${key.extractable} ${JSON.stringify(rest, ["name", "hash", "length", "modulusLength", "namedCurve"])}${exponent} ${[...key.usages].sort()}`;
};
const importing = async (...args) => described(await subtle.importKey(...args));

const rows = [];
const add = (name, run) => rows.push([name, run]);

/* --- digests --- */

for (const hash of HASHES) {
  for (const n of [0, 1, 55, 64, 111, 1000]) {
    add(`digest ${hash} of ${n} bytes`, async () => hex(await subtle.digest(hash, count(n))));
  }
}
for (const [name, algorithm] of [["lower case", "sha-256"], ["an object", { name: "Sha-1" }], ["unknown", "MD5"], ["empty", ""],
  ["no name", {}], ["null", null], ["undefined", undefined], ["a number", 5], ["not a digest", "HMAC"], ["SHA256", "SHA256"]]) {
  add(`digest: name is ${name}`, async () => hex(await subtle.digest(algorithm, data)));
}
for (const [name, source] of [["a string", "abc"], ["an array", [1]], ["null", null], ["a buffer", data.buffer], ["a DataView", new DataView(data.buffer, 3, 4)],
  ["a view with an offset", data.subarray(2, 7)], ["floats", new Float64Array([1, 2])]]) {
  add(`digest of ${name}`, async () => hex(await subtle.digest("SHA-1", source)));
}
add("digest without data", async () => hex(await subtle.digest("SHA-1")));
add("a method of nothing", async () => (0, subtle.digest)("SHA-1", data));

/* --- HMAC --- */

for (const hash of HASHES) {
  for (const n of [1, 20, 64, 65, 128, 129]) {
    add(`HMAC ${hash}, key of ${n}`, async () => {
      const key = await subtle.importKey("raw", count(n), { name: "HMAC", hash }, true, ["sign", "verify"]);
      const mac = await subtle.sign("HMAC", key, data);
      const wrong = unhex(hex(mac));
      wrong[3] ^= 1;
      return [described(key), hex(mac), await subtle.verify("hmac", key, mac, data), await subtle.verify("HMAC", key, wrong, data),
        await subtle.verify("HMAC", key, mac.slice(1), data), await subtle.verify("HMAC", key, new Uint8Array(), data),
        sorted(await subtle.exportKey("jwk", key)), hex(await subtle.exportKey("raw", key))].join();
    });
  }
}
const hmac256 = { name: "HMAC", hash: "SHA-256" };
const k16 = "AAECAwQFBgcICQoLDA0ODw";
for (const [name, ...args] of [
  ["an empty key", "raw", new Uint8Array(), hmac256, true, ["sign"]],
  ["no usages", "raw", count(9), hmac256, true, []],
  ["a usage of others", "raw", count(9), hmac256, true, ["encrypt"]],
  ["an unknown usage", "raw", count(9), hmac256, true, ["sing"]],
  ["usages that are no list", "raw", count(9), hmac256, true, "sign"],
  ["usages null", "raw", count(9), hmac256, true, null],
  ["usages twice", "raw", count(9), hmac256, true, ["verify", "sign", "verify"]],
  ["usages of a set", "raw", count(9), hmac256, true, new Set(["verify"])],
  ["no hash", "raw", count(9), { name: "HMAC" }, true, ["sign"]],
  ["an unknown hash", "raw", count(9), { name: "HMAC", hash: "MD5" }, true, ["sign"]],
  ["a hash as an object", "raw", count(9), { name: "HMAC", hash: { name: "sha-384" } }, true, ["sign"]],
  ["its length", "raw", count(9), { ...hmac256, length: 72 }, true, ["sign"]],
  ["a length beyond", "raw", count(9), { ...hmac256, length: 73 }, true, ["sign"]],
  ["a length that leaves bytes", "raw", count(9), { ...hmac256, length: 64 }, true, ["sign"]],
  ["format spki", "spki", count(9), hmac256, true, ["sign"]],
  ["format pkcs8", "pkcs8", count(9), hmac256, true, ["sign"]],
  ["an unknown format", "der", count(9), hmac256, true, ["sign"]],
  ["extractable by conversion", "raw", count(9), hmac256, 1, ["sign"]],
  ["not extractable by conversion", "raw", count(9), hmac256, "", ["sign"]],
  ["jwk", "jwk", { kty: "oct", k: k16 }, hmac256, true, ["sign"]],
  ["jwk as bytes", "jwk", count(9), hmac256, true, ["sign"]],
  ["raw as an object", "raw", { kty: "oct", k: k16 }, hmac256, true, ["sign"]],
  ["jwk without k", "jwk", { kty: "oct" }, hmac256, true, ["sign"]],
  ["jwk without kty", "jwk", { k: k16 }, hmac256, true, ["sign"]],
  ["jwk of another kty", "jwk", { kty: "RSA", k: k16 }, hmac256, true, ["sign"]],
  ["jwk with alg", "jwk", { kty: "oct", k: k16, alg: "HS256" }, hmac256, true, ["sign"]],
  ["jwk with another alg", "jwk", { kty: "oct", k: k16, alg: "HS512" }, hmac256, true, ["sign"]],
  ["jwk with use", "jwk", { kty: "oct", k: k16, use: "sig" }, hmac256, true, ["sign"]],
  ["jwk with another use", "jwk", { kty: "oct", k: k16, use: "enc" }, hmac256, true, ["sign"]],
  ["jwk with key_ops", "jwk", { kty: "oct", k: k16, key_ops: ["sign", "verify"] }, hmac256, true, ["sign"]],
  ["jwk with key_ops that lack one", "jwk", { kty: "oct", k: k16, key_ops: ["verify"] }, hmac256, true, ["sign"]],
  ["jwk with key_ops twice", "jwk", { kty: "oct", k: k16, key_ops: ["sign", "sign"] }, hmac256, true, ["sign"]],
  ["jwk with ext false", "jwk", { kty: "oct", k: k16, ext: false }, hmac256, true, ["sign"]],
  ["jwk with ext false, not extractable", "jwk", { kty: "oct", k: k16, ext: false }, hmac256, false, ["sign"]],
]) {
  add(`HMAC import: ${name}`, () => importing(...args));
}
add("import: too few arguments", () => importing("raw", count(9), hmac256, true));
add("import: unknown algorithm", () => importing("raw", count(9), "FOO", true, ["sign"]));
add("import: an algorithm without keys", () => importing("raw", count(9), "SHA-256", true, ["sign"]));

/* --- AES --- */

const AES = [["AES-CBC", { iv: count(16, 7) }], ["AES-CTR", { counter: count(16, 240), length: 64 }], ["AES-GCM", { iv: count(12, 3) }]];
const aesKey = (name, n, usages = ["encrypt", "decrypt"]) => subtle.importKey("raw", count(n, 1), name, true, usages);
for (const [name, params] of AES) {
  for (const bytes of [16, 24, 32]) {
    for (const n of [0, 1, 15, 16, 17, 100]) {
      add(`${name} with ${bytes * 8} bits, ${n} bytes there and back`, async () => {
        const key = await aesKey(name, bytes);
        const sealed = await subtle.encrypt({ name, ...params }, key, count(n));
        return `${hex(sealed)} ${hex(await subtle.decrypt({ name, ...params }, key, sealed))}`;
      });
    }
    add(`${name} with ${bytes * 8} bits: export`, async () => {
      const key = await aesKey(name, bytes);
      const jwk = await subtle.exportKey("jwk", key);
      return `${sorted(jwk)} ${hex(await subtle.exportKey("raw", key))} ${await importing("jwk", jwk, name, false, ["decrypt"])}`;
    });
  }
  for (const n of [0, 1, 15, 23, 33]) {
    add(`${name} import of ${n} bytes`, () => importing("raw", count(n), name, true, ["encrypt"]));
  }
  const alg = `A128${name.slice(4)}`;
  for (const [what, jwk] of [["its alg", { alg }], ["another alg", { alg: "A256GCM" }], ["use enc", { use: "enc" }], ["use sig", { use: "sig" }], ["padding", { k: `${k16}==` }]]) {
    add(`${name} jwk with ${what}`, () => importing("jwk", { kty: "oct", k: k16, ...jwk }, name, true, ["encrypt"]));
  }
  add(`${name} import without usages`, () => importing("raw", count(16), name, true, []));
  add(`${name} import to sign`, () => importing("raw", count(16), name, true, ["sign"]));
  add(`${name} import to wrap`, () => importing("raw", count(16), name, true, ["wrapKey", "unwrapKey"]));
  add(`${name} import of pkcs8`, () => importing("pkcs8", count(16), name, true, ["encrypt"]));
  add(`${name} without parameters`, async () => hex(await subtle.encrypt(name, await aesKey(name, 16), data)));
  add(`${name} with a key of another mode`, async () => hex(await subtle.encrypt({ name, ...params }, await aesKey(name === "AES-CBC" ? "AES-GCM" : "AES-CBC", 16), data)));
  add(`${name} with a key that only decrypts`, async () => hex(await subtle.encrypt({ name, ...params }, await aesKey(name, 16, ["decrypt"]), data)));
  add(`${name} with a key that only encrypts`, async () => hex(await subtle.decrypt({ name, ...params }, await aesKey(name, 16, ["encrypt"]), data)));
}
for (const n of [0, 15, 17]) {
  add(`AES-CBC, iv of ${n}`, async () => hex(await subtle.encrypt({ name: "AES-CBC", iv: count(n) }, await aesKey("AES-CBC", 16), data)));
  add(`AES-CTR, counter of ${n}`, async () => hex(await subtle.encrypt({ name: "AES-CTR", counter: count(n), length: 8 }, await aesKey("AES-CTR", 16), data)));
}
for (const n of [0, 15, 16, 17, 32]) {
  add(`AES-CBC decrypts ${n} bytes that nobody encrypted`, async () => hex(await subtle.decrypt({ name: "AES-CBC", iv: count(16) }, await aesKey("AES-CBC", 16), count(n))));
  add(`AES-GCM decrypts ${n} bytes that nobody encrypted`, async () => hex(await subtle.decrypt({ name: "AES-GCM", iv: count(12) }, await aesKey("AES-GCM", 16), count(n))));
}
for (const length of [-1, 0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256]) {
  for (const [what, counter] of [["at its end", new Uint8Array(16).fill(255)], ["before its end", unhex("fffffffffffffffffffffffffffffffd")], ["from zero", new Uint8Array(16)]]) {
    add(`AES-CTR, ${length} bits of counter ${what}`, async () => hex(await subtle.encrypt({ name: "AES-CTR", counter, length }, await aesKey("AES-CTR", 32), count(100))));
  }
}
for (const tagLength of [0, 8, 32, 64, 72, 96, 104, 112, 120, 128, 129, 136, 256]) {
  add(`AES-GCM, tag of ${tagLength}`, async () => {
    const params = { name: "AES-GCM", iv: count(12), tagLength, additionalData: utf8("head") };
    const key = await aesKey("AES-GCM", 32);
    const sealed = await subtle.encrypt(params, key, data);
    return `${hex(sealed)} ${hex(await subtle.decrypt(params, key, sealed))}`;
  });
}
for (const n of [1, 7, 8, 11, 12, 13, 16, 60, 128]) {
  add(`AES-GCM, iv of ${n}`, async () => hex(await subtle.encrypt({ name: "AES-GCM", iv: count(n) }, await aesKey("AES-GCM", 16), data)));
}
for (const [what, change] of [["tag", (s) => (s[s.length - 1] ^= 1)], ["text", (s) => (s[0] ^= 128)]]) {
  add(`AES-GCM, another ${what}`, async () => {
    const key = await aesKey("AES-GCM", 16);
    const sealed = new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv: count(12) }, key, data));
    change(sealed);
    return hex(await subtle.decrypt({ name: "AES-GCM", iv: count(12) }, key, sealed));
  });
}
add("AES-GCM, other additional data", async () => {
  const key = await aesKey("AES-GCM", 16);
  const sealed = await subtle.encrypt({ name: "AES-GCM", iv: count(12), additionalData: count(5) }, key, data);
  return hex(await subtle.decrypt({ name: "AES-GCM", iv: count(12) }, key, sealed));
});

/* --- derivation --- */

const hkdfKey = (n = 22) => subtle.importKey("raw", count(n, 11), "HKDF", false, ["deriveBits", "deriveKey"]);
const pbkdf2Key = (n = 8) => subtle.importKey("raw", count(n, 97), "PBKDF2", false, ["deriveBits", "deriveKey"]);
for (const hash of HASHES) {
  for (const length of [8, 128, 160, 1024, 2040]) {
    add(`HKDF ${hash}, ${length} bits`, async () => hex(await subtle.deriveBits({ name: "HKDF", hash, salt: count(13), info: count(10, 240) }, await hkdfKey(), length)));
    add(`PBKDF2 ${hash}, ${length} bits`, async () => hex(await subtle.deriveBits({ name: "PBKDF2", hash, salt: count(9), iterations: 3 }, await pbkdf2Key(), length)));
  }
  add(`HKDF ${hash} of nothing`, async () => hex(await subtle.deriveBits({ name: "HKDF", hash, salt: count(0), info: count(0) }, await hkdfKey(1), 256)));
  add(`HKDF ${hash} of too much`, async () => hex(await subtle.deriveBits({ name: "HKDF", hash, salt: count(0), info: count(0) }, await hkdfKey(), 8 * 64 * 256)));
  add(`PBKDF2 ${hash} of a long password`, async () => hex(await subtle.deriveBits({ name: "PBKDF2", hash, salt: count(0), iterations: 5000 }, await pbkdf2Key(200), 256)));
}
for (const length of [undefined, null, 1, 7, 9, -8, 2 ** 33]) {
  add(`HKDF, length ${length}`, async () => hex(await subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: count(0), info: count(0) }, await hkdfKey(), length)));
  add(`PBKDF2, length ${length}`, async () => hex(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: count(0), iterations: 1 }, await pbkdf2Key(), length)));
}
for (const [what, params] of [["no iterations", { iterations: 0 }], ["negative iterations", { iterations: -1 }], ["iterations missing", { iterations: undefined }],
  ["no hash", { hash: undefined }], ["unknown hash", { hash: "SHA-3" }], ["no salt", { salt: undefined }], ["salt as text", { salt: "x" }]]) {
  add(`PBKDF2: ${what}`, async () => hex(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: count(0), iterations: 1, ...params }, await pbkdf2Key(), 256)));
}
for (const name of ["HKDF", "PBKDF2"]) {
  add(`${name} import, extractable`, () => importing("raw", count(5), name, true, ["deriveBits"]));
  add(`${name} import`, () => importing("raw", count(5), name, false, ["deriveBits"]));
  add(`${name} import to sign`, () => importing("raw", count(5), name, false, ["sign"]));
  add(`${name} import without usages`, () => importing("raw", count(5), name, false, []));
  add(`${name} import as jwk`, () => importing("jwk", { kty: "oct", k: k16 }, name, false, ["deriveBits"]));
  const params = { name, hash: "SHA-256", salt: count(3), info: count(2), iterations: 2 };
  const from = name === "HKDF" ? hkdfKey : pbkdf2Key;
  for (const [what, type, usages] of [["AES-GCM 256", { name: "AES-GCM", length: 256 }, ["encrypt"]], ["AES-CBC 128", { name: "AES-CBC", length: 128 }, ["decrypt"]],
    ["AES of a bad length", { name: "AES-GCM", length: 100 }, ["encrypt"]], ["AES without length", { name: "AES-GCM" }, ["encrypt"]],
    ["HMAC", { name: "HMAC", hash: "SHA-256" }, ["sign"]], ["HMAC SHA-512", { name: "HMAC", hash: "SHA-512" }, ["sign"]], ["HMAC 256", { name: "HMAC", hash: "SHA-1", length: 256 }, ["sign"]],
    ["without usages", { name: "AES-GCM", length: 256 }, []], ["with the usages of others", { name: "AES-GCM", length: 256 }, ["sign"]], ["unknown", { name: "FOO" }, ["sign"]],
    ["ECDSA", { name: "ECDSA", namedCurve: "P-256" }, ["sign"]]]) {
    add(`${name} to a key: ${what}`, async () => {
      const key = await subtle.deriveKey(params, await from(), type, true, usages);
      return `${described(key)} ${hex(await subtle.exportKey("raw", key))}`;
    });
  }
  add(`${name} with a key of others`, async () => hex(await subtle.deriveBits(params, await (name === "HKDF" ? pbkdf2Key : hkdfKey)(), 64)));
  add(`${name}: export`, async () => subtle.exportKey("raw", await from()));
  add(`${name}: deriveKey only`, async () => hex(await subtle.deriveBits(params, await subtle.importKey("raw", count(5), name, false, ["deriveKey"]), 64)));
}

/* --- pairs --- */

const RSA = ["RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP"];
const usagesOf = (name) =>
  name === "RSA-OAEP" ? { public: ["encrypt"], private: ["decrypt"] }
  : name === "ECDH" || name === "X25519" ? { public: [], private: ["deriveBits", "deriveKey"] }
  : { public: ["verify"], private: ["sign"] };
const pairs = [];
for (const name of RSA) {
  for (const hash of HASHES) {
    pairs.push([{ name, hash }, keys.rsa]);
  }
}
for (const name of ["ECDSA", "ECDH"]) {
  for (const namedCurve of CURVES) {
    pairs.push([{ name, namedCurve }, keys[namedCurve]]);
  }
}
pairs.push([{ name: "Ed25519" }, keys.Ed25519], [{ name: "X25519" }, keys.X25519]);

for (const [algorithm, jwk] of pairs) {
  const usages = usagesOf(algorithm.name);
  const title = Object.values(algorithm).join(" ");
  add(`${title}: private, all formats`, async () => {
    const key = await subtle.importKey("jwk", jwk, algorithm, true, usages.private);
    const der = await subtle.exportKey("pkcs8", key);
    const again = await subtle.importKey("pkcs8", der, algorithm, true, usages.private);
    return `${described(key)} ${hex(der)} ${sorted(await subtle.exportKey("jwk", again))}`;
  });
  add(`${title}: public, all formats`, async () => {
    const key = await subtle.importKey("jwk", publicOf(jwk), algorithm, true, usages.public);
    const der = await subtle.exportKey("spki", key);
    const again = await subtle.importKey("spki", der, algorithm, true, usages.public);
    return `${described(key)} ${hex(der)} ${sorted(await subtle.exportKey("jwk", again))}`;
  });
  add(`${title}: public, raw`, async () => {
    const raw = await subtle.exportKey("raw", await subtle.importKey("jwk", publicOf(jwk), algorithm, true, usages.public));
    return `${hex(raw)} ${await importing("raw", raw, algorithm, false, usages.public)}`;
  });
  for (const format of ["raw", "spki", "pkcs8"]) {
    const key = (which) => subtle.importKey("jwk", which === "private" ? jwk : publicOf(jwk), algorithm, true, usages[which]);
    for (const which of ["private", "public"].filter((w) => (w === "private") === (format !== "pkcs8"))) {
      add(`${title}: ${which} key as ${format}`, async () => hex(await subtle.exportKey(format, await key(which))));
    }
    for (const [what, bytes] of [["nothing", new Uint8Array()], ["noise", count(64)]]) {
      add(`${title}: ${format} of ${what}`, () => importing(format, bytes, algorithm, true, usages[format === "pkcs8" ? "private" : "public"]));
    }
  }
  add(`${title}: not extractable`, async () => hex(await subtle.exportKey("jwk", await subtle.importKey("jwk", jwk, algorithm, false, usages.private))));
  add(`${title}: private without usages`, () => importing("jwk", jwk, algorithm, true, []));
  add(`${title}: public without usages`, () => importing("jwk", publicOf(jwk), algorithm, true, []));
  add(`${title}: public with usages of the private`, () => importing("jwk", publicOf(jwk), algorithm, true, usages.private));
  add(`${title}: private with usages of others`, () => importing("jwk", jwk, algorithm, true, ["encrypt", "sign"]));
  for (const [what, change] of [["kty", { kty: "oct" }], ["use", { use: "x" }], ["key_ops", { key_ops: ["wrapKey"] }], ["ext", { ext: false }],
    ["alg", { alg: "HS256" }], ["d", { d: "****" }], ["crv", { crv: "P-999" }], ["key_ops twice", { key_ops: [...usages.private, ...usages.private] }]]) {
    if (what === "d" && jwk.kty === "RSA" || what === "crv" && jwk.kty === "RSA") {
      continue;
    }
    if (what === "alg" && (algorithm.name === "ECDH" || algorithm.name === "X25519")) {
      continue;
    }
    add(`${title}: jwk with another ${what}`, () => importing("jwk", { ...jwk, ...change }, algorithm, true, usages.private));
  }
  for (const member of Object.keys(publicOf(jwk))) {
    add(`${title}: jwk without ${member}`, () => importing("jwk", { ...publicOf(jwk), [member]: undefined }, algorithm, true, usages.public));
  }
  if (jwk.kty === "RSA") {
    for (const member of ["p", "q", "dp", "dq", "qi"]) {
      add(`${title}: private jwk without ${member}`, () => importing("jwk", { ...jwk, [member]: undefined }, algorithm, true, usages.private));
    }
  }
  add(`${title}: trailing byte in spki`, async () => {
    const der = new Uint8Array(await subtle.exportKey("spki", await subtle.importKey("jwk", publicOf(jwk), algorithm, true, usages.public)));
    return importing("spki", der.slice(0, -1), algorithm, true, usages.public);
  });
}
for (const namedCurve of CURVES) {
  const algorithm = { name: "ECDSA", namedCurve };
  add(`${namedCurve}: the key of another curve`, () => importing("jwk", keys[namedCurve === "P-256" ? "P-384" : "P-256"], algorithm, true, ["sign"]));
  add(`${namedCurve}: a point beside the curve`, () => importing("jwk", { ...publicOf(keys[namedCurve]), y: keys[namedCurve].x }, algorithm, true, ["verify"]));
  add(`${namedCurve}: raw, beside the curve`, () => importing("raw", count(namedCurve === "P-256" ? 65 : namedCurve === "P-384" ? 97 : 133, 4), algorithm, true, ["verify"]));
  add(`${namedCurve}: raw, infinity`, () => importing("raw", count(1), algorithm, true, ["verify"]));
}
for (const namedCurve of ["P-257", "secp256k1", undefined, "p-256"]) {
  add(`ECDSA: curve ${namedCurve}`, () => importing("jwk", keys["P-256"], { name: "ECDSA", namedCurve }, true, ["sign"]));
}
for (const format of ["spki", "pkcs8"]) {
  const which = format === "spki" ? "public" : "private";
  add(`the ${format} of an RSA key is none of ECDSA, nor of Ed25519`, async () => {
    const der = await subtle.exportKey(format, await subtle.importKey("jwk", which === "public" ? publicOf(keys.rsa) : keys.rsa,
      { name: "RSA-PSS", hash: "SHA-1" }, true, usagesOf("RSA-PSS")[which]));
    const names = [];
    for (const algorithm of [{ name: "ECDSA", namedCurve: "P-256" }, { name: "Ed25519" }, { name: "X25519" }]) {
      try {
        names.push(await importing(format, der, algorithm, true, usagesOf(algorithm.name)[which]));
      } catch (e) {
        names.push(e.name);
      }
    }
    return names.join();
  });
}

/* --- signatures, encryption, agreement --- */

const rsa = (name, hash, which) => subtle.importKey("jwk", which === "private" ? keys.rsa : publicOf(keys.rsa), { name, hash }, true, usagesOf(name)[which]);
for (const hash of HASHES) {
  add(`RSASSA-PKCS1-v1_5 ${hash} signs`, async () => {
    const signature = await subtle.sign("RSASSA-PKCS1-v1_5", await rsa("RSASSA-PKCS1-v1_5", hash, "private"), data);
    const key = await rsa("RSASSA-PKCS1-v1_5", hash, "public");
    const ok = await subtle.verify("RSASSA-PKCS1-v1_5", key, signature, data);
    return [hex(signature), ok, await subtle.verify("RSASSA-PKCS1-v1_5", key, signature, count(3)), await subtle.verify("RSASSA-PKCS1-v1_5", key, count(256), data),
      await subtle.verify("RSASSA-PKCS1-v1_5", key, count(3), data)].join();
  });
  for (const saltLength of [20, 0, 32, 500]) {
    add(`RSA-PSS ${hash} verifies with a salt of ${saltLength}`, async () =>
      subtle.verify({ name: "RSA-PSS", saltLength }, await rsa("RSA-PSS", hash, "public"), unhex(fixtures.pss[hash]), data));
  }
  add(`RSA-OAEP ${hash} decrypts`, async () => {
    const key = await rsa("RSA-OAEP", hash, "private");
    const { plain, labelled } = fixtures.oaep[hash];
    return hex(await subtle.decrypt({ name: "RSA-OAEP" }, key, unhex(plain))) + hex(await subtle.decrypt({ name: "RSA-OAEP", label: data }, key, unhex(labelled)));
  });
  add(`RSA-OAEP ${hash} with another label`, async () => subtle.decrypt({ name: "RSA-OAEP" }, await rsa("RSA-OAEP", hash, "private"), unhex(fixtures.oaep[hash].labelled)));
  add(`RSA-OAEP ${hash} of noise`, async () => subtle.decrypt({ name: "RSA-OAEP" }, await rsa("RSA-OAEP", hash, "private"), count(256)));
  for (const namedCurve of CURVES) {
    add(`ECDSA ${namedCurve} ${hash} verifies`, async () => {
      const key = await subtle.importKey("jwk", publicOf(keys[namedCurve]), { name: "ECDSA", namedCurve }, true, ["verify"]);
      const signature = unhex(fixtures.ecdsa[`${namedCurve} ${hash}`]);
      const check = (s, d = data) => subtle.verify({ name: "ECDSA", hash }, key, s, d);
      return [await check(signature), await check(signature, count(4)), await check(signature.slice(1)), await check(new Uint8Array(signature.length)),
        await check(new Uint8Array(signature.length).fill(255)), await check(new Uint8Array())].join();
    });
  }
}
add("RSA-PSS without saltLength", async () => subtle.verify("RSA-PSS", await rsa("RSA-PSS", "SHA-256", "public"), count(256), data));
add("ECDSA without hash", async () => subtle.verify("ECDSA", await subtle.importKey("jwk", publicOf(keys["P-256"]), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]), count(64), data));
add("a small RSA key cannot sign SHA-512 with PSS that long", async () => {
  const key = await subtle.importKey("jwk", publicOf(keys.rsa1024), { name: "RSA-PSS", hash: "SHA-512" }, true, ["verify"]);
  return subtle.verify({ name: "RSA-PSS", saltLength: 64 }, key, count(128), data);
});
add("Ed25519 signs", async () => {
  const key = await subtle.importKey("jwk", keys.Ed25519, "Ed25519", false, ["sign"]);
  const open = await subtle.importKey("jwk", publicOf(keys.Ed25519), "ed25519", true, ["verify"]);
  const signature = await subtle.sign("Ed25519", key, data);
  return [hex(signature), await subtle.verify("Ed25519", open, signature, data), await subtle.verify("Ed25519", open, signature, count(1)),
    await subtle.verify("Ed25519", open, count(64), data), await subtle.verify("Ed25519", open, count(3), data)].join();
});
for (const namedCurve of [...CURVES, "X25519"]) {
  const name = namedCurve === "X25519" ? "X25519" : "ECDH";
  const algorithm = { name, namedCurve };
  const own = () => subtle.importKey("jwk", keys[namedCurve], algorithm, false, ["deriveBits", "deriveKey"]);
  const theirs = () => subtle.importKey("jwk", publicOf(keys[`${namedCurve}b`]), algorithm, true, []);
  for (const length of [undefined, null, 8, 100, 128, 256, 384, 528, 536, 1000]) {
    add(`${name} ${namedCurve}, ${length} bits`, async () => hex(await subtle.deriveBits({ name, public: await theirs() }, await own(), length)));
  }
  add(`${name} ${namedCurve} to a key`, async () => hex(await subtle.exportKey("raw", await subtle.deriveKey({ name, public: await theirs() }, await own(), { name: "AES-GCM", length: 256 }, true, ["encrypt"]))));
  add(`${name} ${namedCurve} to a key for HKDF`, async () => hex(await subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: count(1), info: count(1) },
    await subtle.deriveKey({ name, public: await theirs() }, await own(), "HKDF", false, ["deriveBits"]), 256)));
  add(`${name} ${namedCurve} with itself`, async () => hex(await subtle.deriveBits({ name, public: await own() }, await own(), 128)));
  add(`${name} ${namedCurve} with no key`, async () => hex(await subtle.deriveBits({ name, public: {} }, await own(), 128)));
  add(`${name} ${namedCurve} without a key`, async () => hex(await subtle.deriveBits({ name }, await own(), 128)));
}
add("ECDH with another curve", async () => hex(await subtle.deriveBits({ name: "ECDH", public: await subtle.importKey("jwk", publicOf(keys["P-384"]), { name: "ECDH", namedCurve: "P-384" }, true, []) },
  await subtle.importKey("jwk", keys["P-256"], { name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]), 128)));
add("ECDH with a key of ECDSA", async () => hex(await subtle.deriveBits({ name: "ECDH", public: await subtle.importKey("jwk", publicOf(keys["P-256"]), { name: "ECDSA", namedCurve: "P-256" }, true, []) },
  await subtle.importKey("jwk", keys["P-256"], { name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]), 128)));

/* --- what fits what --- */

for (const name of ["sign", "verify", "encrypt", "decrypt", "deriveBits"]) {
  for (const algorithm of ["HMAC", "AES-GCM", "Ed25519", "SHA-256", "FOO", { name: "ECDSA", hash: "SHA-1" }]) {
    add(`${name} with ${algorithm.name ?? algorithm} and a key of RSA`, async () =>
      subtle[name](algorithm, await rsa("RSASSA-PKCS1-v1_5", "SHA-256", "public"), count(4), count(4)));
  }
  add(`${name} with no key`, async () => subtle[name]("HMAC", {}, count(4), count(4)));
  add(`${name} with nothing`, async () => subtle[name]());
}
add("keys have tags and types", async () => {
  const key = await subtle.importKey("raw", count(16), hmac256, false, ["sign"]);
  key.algorithm.name = "AES-GCM";
  return [String(key), key instanceof CryptoKey, key.usages === key.usages, hex(await subtle.sign("HMAC", key, data))].join();
});
add("CryptoKey is not constructed", async () => new CryptoKey());

export const plainCases = rows.splice(0);

/* --- what needs randomness: there and back --- */

for (const hash of HASHES) {
  for (const saltLength of [0, 32, 500]) {
    add(`RSA-PSS ${hash} signs with a salt of ${saltLength}`, async () => {
      const signature = await subtle.sign({ name: "RSA-PSS", saltLength }, await rsa("RSA-PSS", hash, "private"), data);
      return `${signature.byteLength} ${await subtle.verify({ name: "RSA-PSS", saltLength }, await rsa("RSA-PSS", hash, "public"), signature, data)}`;
    });
  }
  for (const n of [0, 10, 100, 190, 191, 300]) {
    add(`RSA-OAEP ${hash} encrypts ${n} bytes`, async () => {
      const sealed = await subtle.encrypt({ name: "RSA-OAEP", label: count(n) }, await rsa("RSA-OAEP", hash, "public"), count(n));
      return `${sealed.byteLength} ${hex(await subtle.decrypt({ name: "RSA-OAEP", label: count(n) }, await rsa("RSA-OAEP", hash, "private"), sealed))}`;
    });
  }
  for (const namedCurve of CURVES) {
    add(`ECDSA ${namedCurve} ${hash} signs`, async () => {
      const key = await subtle.importKey("jwk", keys[namedCurve], { name: "ECDSA", namedCurve }, true, ["sign"]);
      const signature = await subtle.sign({ name: "ECDSA", hash }, key, data);
      const open = await subtle.importKey("jwk", publicOf(keys[namedCurve]), { name: "ECDSA", namedCurve }, true, ["verify"]);
      return `${signature.byteLength} ${await subtle.verify({ name: "ECDSA", hash }, open, signature, data)}`;
    });
  }
}
const e65537 = new Uint8Array([1, 0, 1]);
for (const [algorithm, usages] of [
  [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 1024, publicExponent: e65537 }, ["sign", "verify"]],
  [{ name: "RSA-OAEP", hash: "SHA-1", modulusLength: 1024, publicExponent: e65537 }, ["encrypt", "decrypt", "wrapKey", "unwrapKey"]],
  [{ name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024, publicExponent: e65537 }, ["verify"]],
  [{ name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024, publicExponent: e65537 }, ["encrypt"]],
  [{ name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024, publicExponent: new Uint8Array([2]) }, ["sign"]],
  [{ name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024, publicExponent: [1, 0, 1] }, ["sign"]],
  [{ name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024 }, ["sign"]],
  [{ name: "RSA-PSS", modulusLength: 1024, publicExponent: e65537 }, ["sign"]],
  ...CURVES.flatMap((namedCurve) => [[{ name: "ECDSA", namedCurve }, ["sign", "verify"]], [{ name: "ECDH", namedCurve }, ["deriveBits"]], [{ name: "ECDH", namedCurve }, []]]),
  [{ name: "ECDSA", namedCurve: "P-1" }, ["sign"]],
  [{ name: "ECDSA", namedCurve: "P-256" }, ["verify"]],
  [{ name: "Ed25519" }, ["sign", "verify"]],
  [{ name: "Ed25519" }, ["deriveBits"]],
  [{ name: "X25519" }, ["deriveKey"]],
]) {
  add(`generate ${JSON.stringify(algorithm)} to ${usages}`, async () => {
    const pair = await subtle.generateKey(algorithm, false, usages);
    return `${Object.keys(pair).sort()} ${described(pair.publicKey)} ${described(pair.privateKey)}`;
  });
}
for (const [algorithm, usages] of [
  ...[128, 192, 256, 0, 100, 512].map((length) => [{ name: "AES-GCM", length }, ["encrypt"]]),
  [{ name: "AES-CBC", length: 128 }, []],
  [{ name: "AES-CTR", length: 128 }, ["sign"]],
  [{ name: "AES-CTR" }, ["encrypt"]],
  ...HASHES.map((hash) => [{ name: "HMAC", hash }, ["sign", "verify"]]),
  [{ name: "HMAC", hash: "SHA-256", length: 0 }, ["sign"]],
  [{ name: "HMAC", hash: "SHA-256", length: 128 }, ["verify"]],
  [{ name: "HMAC", hash: "SHA-256" }, []],
  [{ name: "HMAC" }, ["sign"]],
  ["PBKDF2", ["deriveBits"]],
  ["FOO", ["sign"]],
]) {
  add(`generate ${JSON.stringify(algorithm)} to ${usages}`, async () => {
    const key = await subtle.generateKey(algorithm, true, usages);
    return `${described(key)} ${(await subtle.exportKey("raw", key)).byteLength}`;
  });
}
for (const name of ["Ed25519", "X25519", "P-256", "P-521", "RSA"]) {
  add(`a generated key of ${name} works, exported and imported`, async () => {
    const algorithm = name === "RSA" ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 1024, publicExponent: e65537 }
      : name[0] === "P" ? { name: "ECDSA", namedCurve: name, hash: "SHA-256" } : { name };
    const usages = usagesOf(algorithm.name);
    const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, [...usages.public, ...usages.private]);
    const mine = await subtle.importKey("pkcs8", await subtle.exportKey("pkcs8", privateKey), algorithm, false, usages.private);
    const open = await subtle.importKey("jwk", await subtle.exportKey("jwk", publicKey), algorithm, false, usages.public);
    if (name === "X25519") {
      return (await subtle.deriveBits({ name, public: open }, mine, 256)).byteLength;
    }
    return subtle.verify(algorithm, open, await subtle.sign(algorithm, mine, data), data);
  });
}

export const randomCases = rows;

export async function outcomes(list) {
  const result = {};
  for (const [name, run] of list) {
    try {
      const value = await run();
      result[name] = typeof value === "string" ? value : Object.prototype.toString.call(value) + String(value);
    } catch (e) {
      result[name] = `! ${e?.name}`;
    }
  }
  return result;
}
