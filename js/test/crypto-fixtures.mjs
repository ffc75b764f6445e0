// Makes js/test/crypto-fixtures.json: keys, and signatures and ciphertexts that differ each time they
// are made.  node js/test/crypto-fixtures.mjs > js/test/crypto-fixtures.json
const { subtle } = globalThis.crypto;
const hex = (b) => Buffer.from(b).toString("hex");
const data = new TextEncoder().encode("The quick brown fox");
const HASHES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];
const fixtures = { keys: {}, pss: {}, oaep: {}, ecdsa: {} };

const make = async (name, algorithm, usages) => {
  const pair = await subtle.generateKey(algorithm, true, usages);
  const { key_ops, ext, alg, ...jwk } = await subtle.exportKey("jwk", pair.privateKey);
  fixtures.keys[name] = jwk;
};
const rsa = (name, modulusLength) =>
  make(name, { name: "RSA-PSS", hash: "SHA-256", modulusLength, publicExponent: new Uint8Array([1, 0, 1]) }, ["sign"]);
await rsa("rsa", 2048);
await rsa("rsa1024", 1024);
for (const namedCurve of ["P-256", "P-384", "P-521"]) {
  await make(namedCurve, { name: "ECDSA", namedCurve }, ["sign"]);
  await make(`${namedCurve}b`, { name: "ECDSA", namedCurve }, ["sign"]);
}
await make("Ed25519", { name: "Ed25519" }, ["sign"]);
await make("X25519", { name: "X25519" }, ["deriveBits"]);
await make("X25519b", { name: "X25519" }, ["deriveBits"]);

const { d, p, q, dp, dq, qi, ...rsaPublic } = fixtures.keys.rsa;
for (const hash of HASHES) {
  const signing = await subtle.importKey("jwk", fixtures.keys.rsa, { name: "RSA-PSS", hash }, false, ["sign"]);
  fixtures.pss[hash] = hex(await subtle.sign({ name: "RSA-PSS", saltLength: 20 }, signing, data));
  const sealing = await subtle.importKey("jwk", rsaPublic, { name: "RSA-OAEP", hash }, false, ["encrypt"]);
  fixtures.oaep[hash] = {
    plain: hex(await subtle.encrypt({ name: "RSA-OAEP" }, sealing, data)),
    labelled: hex(await subtle.encrypt({ name: "RSA-OAEP", label: data }, sealing, data)),
  };
  for (const namedCurve of ["P-256", "P-384", "P-521"]) {
    const key = await subtle.importKey("jwk", fixtures.keys[namedCurve], { name: "ECDSA", namedCurve }, false, ["sign"]);
    fixtures.ecdsa[`${namedCurve} ${hash}`] = hex(await subtle.sign({ name: "ECDSA", hash }, key, data));
  }
}
console.log(JSON.stringify(fixtures, null, 1));
