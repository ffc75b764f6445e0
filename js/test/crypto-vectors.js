// Published vectors for crypto.subtle.
import { cases } from "./cases.js";

const { subtle } = crypto;
const utf8 = (s) => new TextEncoder().encode(s);
const hex = (b) => Array.from(new Uint8Array(b), (x) => x.toString(16).padStart(2, "0")).join("");
const unhex = (s) => Uint8Array.from(s.replace(/\s/g, "").match(/../g) ?? [], (x) => parseInt(x, 16));
const fromBase64url = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

const derive = async (name, key, params, bytes) =>
  hex(await subtle.deriveBits({ name, ...params }, await subtle.importKey("raw", key, name, false, ["deriveBits"]), bytes * 8));

export const derivation = cases([
  ["RFC 5869 A.1", () => derive("HKDF", unhex("0b".repeat(22)), { hash: "SHA-256", salt: unhex("000102030405060708090a0b0c"), info: unhex("f0f1f2f3f4f5f6f7f8f9") }, 42),
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"],
  ["RFC 5869 A.3", () => derive("HKDF", unhex("0b".repeat(22)), { hash: "SHA-256", salt: unhex(""), info: unhex("") }, 42),
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"],
  ["RFC 5869 A.4", () => derive("HKDF", unhex("0b".repeat(11)), { hash: "SHA-1", salt: unhex("000102030405060708090a0b0c"), info: unhex("f0f1f2f3f4f5f6f7f8f9") }, 42),
    "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"],
  ["RFC 6070, 1 iteration", () => derive("PBKDF2", utf8("password"), { hash: "SHA-1", salt: utf8("salt"), iterations: 1 }, 20), "0c60c80f961f0e71f3a9b524af6012062fe037a6"],
  ["RFC 6070, 4096 iterations", () => derive("PBKDF2", utf8("password"), { hash: "SHA-1", salt: utf8("salt"), iterations: 4096 }, 20), "4b007901b765489abead49d926f721d065a429c1"],
  ["RFC 6070, two blocks", () => derive("PBKDF2", utf8("passwordPASSWORDpassword"), { hash: "SHA-1", salt: utf8("saltSALTsaltSALTsaltSALTsaltSALTsalt"), iterations: 4096 }, 25),
    "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"],
  ["RFC 6070, zeroes inside", () => derive("PBKDF2", utf8("pass\0word"), { hash: "SHA-1", salt: utf8("sa\0lt"), iterations: 4096 }, 16), "56fa6aa75548099dcc37d7f03425e0c3"],
  ["RFC 7914 section 11, 1 iteration", () => derive("PBKDF2", utf8("passwd"), { hash: "SHA-256", salt: utf8("salt"), iterations: 1 }, 64),
    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"],
  ["RFC 7914 section 11, 80000 iterations", () => derive("PBKDF2", utf8("Password"), { hash: "SHA-256", salt: utf8("NaCl"), iterations: 80000 }, 64),
    "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"],
]);

const aes = async (name, key, params, data, decrypt) => {
  const k = await subtle.importKey("raw", unhex(key), name, false, ["encrypt", "decrypt"]);
  return hex(await subtle[decrypt ? "decrypt" : "encrypt"]({ name, ...params }, k, unhex(data)));
};
const gcmKey = "feffe9928665731c6d6a8f9467308308";
const gcmText = `d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
  1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`;
const gcmHead = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");

export const encryption = cases([
  ["GCM specification, test case 1", () => aes("AES-GCM", "00".repeat(16), { iv: new Uint8Array(12) }, ""), "58e2fccefa7e3061367f1d57a4e7455a"],
  ["GCM, test case 2", () => aes("AES-GCM", "00".repeat(16), { iv: new Uint8Array(12) }, "00".repeat(16)), "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"],
  ["GCM, test case 4: additional data", () => aes("AES-GCM", gcmKey, { iv: unhex("cafebabefacedbaddecaf888"), additionalData: gcmHead }, gcmText),
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"],
  ["GCM, test case 5: 8 bytes of initialization vector", () => aes("AES-GCM", gcmKey, { iv: unhex("cafebabefacedbad"), additionalData: gcmHead }, gcmText),
    "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c742373806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f45983612d2e79e3b0785561be14aaca2fccb"],
  ["GCM, test case 14: 256 bits", () => aes("AES-GCM", "00".repeat(32), { iv: new Uint8Array(12) }, "00".repeat(16)), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"],
  ["SP 800-38A F.2.1, CBC", () => aes("AES-CBC", "2b7e151628aed2a6abf7158809cf4f3c", { iv: unhex("000102030405060708090a0b0c0d0e0f") }, "6bc1bee22e409f96e93d7e117393172a").then((s) => s.slice(0, 32)),
    "7649abac8119b246cee98e9b12e9197d"],
  ["SP 800-38A F.5.5, CTR with 256 bits", () => aes("AES-CTR", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", { counter: unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), length: 128 },
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"), "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"],
]);

const hmac = async (hash, key, data) => hex(await subtle.sign("HMAC", await subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]), data));

const ed = (x, d) => ({ kty: "OKP", crv: "Ed25519", x: toBase64url(unhex(x)), ...(d && { d: toBase64url(unhex(d)) }) });
const toBase64url = (b) => btoa(String.fromCharCode(...b)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const edSign = async (seed, x, message) => {
  const key = await subtle.importKey("jwk", ed(x, seed), "Ed25519", false, ["sign"]);
  const open = await subtle.importKey("raw", unhex(x), "Ed25519", false, ["verify"]);
  const signature = await subtle.sign("Ed25519", key, unhex(message));
  return [hex(signature), await subtle.verify("Ed25519", open, signature, unhex(message))];
};

// RFC 7515 appendix A.2 and A.3: the same payload with RS256 and ES256.
const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const rsa7515 = {
  kty: "RSA", e: "AQAB",
  n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
};
const rs256 = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ec7515 = { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" };
const es256 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

export const signatures = cases([
  ["RFC 4231, case 2", () => hmac("SHA-256", utf8("Jefe"), utf8("what do ya want for nothing?")), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
  ["RFC 4231, case 6: a key longer than a block", () => hmac("SHA-512", unhex("aa".repeat(131)), utf8("Test Using Larger Than Block-Size Key - Hash Key First")),
    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"],
  ["RFC 8032, test 1", () => edSign("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", ""),
    ["e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", true]],
  ["RFC 8032, test 3", () => edSign("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82"),
    ["6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a", true]],
  ["RFC 7515 A.2, RS256", async () => subtle.verify("RSASSA-PKCS1-v1_5", await subtle.importKey("jwk", rsa7515, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, ["verify"]),
    fromBase64url(rs256), utf8(`eyJhbGciOiJSUzI1NiJ9.${payload}`)), true],
  ["RFC 7515 A.3, ES256", async () => subtle.verify({ name: "ECDSA", hash: "SHA-256" }, await subtle.importKey("jwk", ec7515, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]),
    fromBase64url(es256), utf8(`eyJhbGciOiJFUzI1NiJ9.${payload}`)), true],
  ["RFC 7748 section 6.1, X25519", async () => hex(await subtle.deriveBits({ name: "X25519",
    public: await subtle.importKey("raw", unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"), "X25519", false, []) },
    await subtle.importKey("pkcs8", unhex("302e020100300506032b656e042204205dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), "X25519", false, ["deriveBits"]), null)),
    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"],
]);
