// Packages that live on crypto.subtle, at their usual work.
import { verifyECDSASignature, decodeIEEEP1363ECDSASignature, ECDSAPublicKey, p256 } from "@oslojs/crypto/ecdsa";
import { hmac } from "@oslojs/crypto/hmac";
import { SHA256, sha256 } from "@oslojs/crypto/sha2";
import { encodeHexLowerCase } from "@oslojs/encoding";
import { actionGeneric as action } from "convex/server";
import * as jose from "jose";
import * as oauth from "oauth4webapi";
import { cases, outcome } from "./cases.js";
import fixtures from "./crypto-fixtures.json";

const utf8 = (s) => new TextEncoder().encode(s);
const { keys } = fixtures;
const publicOf = ({ d, p, q, dp, dq, qi, ...rest }) => rest;
const secret = utf8("a secret of thirty-two characters");

// Rows as in cases.js, run by an action.
const actionCases = (rows) =>
  action(async () => {
    const wrong = [];
    for (const [reason, run, want] of rows) {
      const got = JSON.stringify(await outcome(run));
      if (got !== JSON.stringify(want)) {
        wrong.push(`${reason}: ${got} instead of ${JSON.stringify(want)}`);
      }
    }
    return wrong;
  });

const signed = async (alg, key, open) => {
  const jwt = await new jose.SignJWT({ role: "admin" }).setProtectedHeader({ alg }).setSubject("u1").setIssuer("i").setAudience("a")
    .setIssuedAt().setExpirationTime("2h").sign(key);
  const { payload, protectedHeader } = await jose.jwtVerify(jwt, open, { issuer: "i", audience: "a" });
  const [head, body, signature] = jwt.split(".");
  const forged = [head, body.slice(0, -3) + (body.at(-3) === "A" ? "B" : "A") + body.slice(-2), signature].join(".");
  let refused;
  try {
    await jose.jwtVerify(forged, open);
  } catch (e) {
    refused = e.code;
  }
  return [payload.sub, payload.role, protectedHeader.alg, refused];
};
const want = (alg) => ["u1", "admin", alg, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"];

// What Convex Auth, Clerk's and WorkOS' libraries do with tokens in queries: verify them.
export const verifying = cases([
  ["jose HS256", () => signed("HS256", secret, secret), want("HS256")],
  ["jose RS256", async () => signed("RS256", await jose.importJWK(keys.rsa, "RS256"), await jose.importJWK(publicOf(keys.rsa), "RS256")), want("RS256")],
  ["jose EdDSA", async () => signed("EdDSA", await jose.importJWK(keys.Ed25519, "EdDSA"), await jose.importJWK(publicOf(keys.Ed25519), "EdDSA")), want("EdDSA")],
  ["jose with a local key set", async () => {
    const jwt = await new jose.SignJWT({}).setProtectedHeader({ alg: "RS256", kid: "k" }).sign(await jose.importJWK(keys.rsa, "RS256"));
    const set = jose.createLocalJWKSet({ keys: [{ ...publicOf(keys["P-256"]), kid: "e" }, { ...publicOf(keys.rsa), kid: "k", alg: "RS256", use: "sig" }] });
    return (await jose.jwtVerify(jwt, set)).protectedHeader.kid;
  }, "k"],
  ["jose reads PEM", async () => {
    const pem = await jose.exportPKCS8(await jose.importJWK({ ...keys.rsa, ext: true }, "RS256", { extractable: true }));
    const spki = await jose.exportSPKI(await jose.importJWK({ ...publicOf(keys.rsa), ext: true }, "RS256"));
    return [pem.split("\n")[0], ...(await signed("RS256", await jose.importPKCS8(pem, "RS256"), await jose.importSPKI(spki, "RS256")))];
  }, ["-----BEGIN PRIVATE KEY-----", ...want("RS256")]],
  ["jose's thumbprint", () => jose.calculateJwkThumbprint({
    kty: "RSA", e: "AQAB",
    n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
  }), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"],
  ["oauth4webapi's PKCE", () => oauth.calculatePKCECodeChallenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
  ["oauth4webapi's random texts", () => [oauth.generateRandomState().length, oauth.generateRandomNonce() !== oauth.generateRandomNonce()], [43, true]],
  ["oslo's hashes agree with the host's", async () => {
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const hex = (b) => encodeHexLowerCase(new Uint8Array(b));
    return [hex(sha256(secret)) === hex(await crypto.subtle.digest("SHA-256", secret)),
      hex(hmac(SHA256, secret, utf8("x"))) === hex(await crypto.subtle.sign("HMAC", key, utf8("x")))];
  }, [true, true]],
  ["a webhook in the manner of Svix", async () => {
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify", "sign"]);
    const mac = await crypto.subtle.sign("HMAC", key, utf8("msg_1.1700000000.{}"));
    return crypto.subtle.verify("HMAC", key, mac, utf8("msg_1.1700000000.{}"));
  }, true],
]);

export const signing = actionCases([
  ["jose ES256", async () => signed("ES256", await jose.importJWK(keys["P-256"], "ES256"), await jose.importJWK(publicOf(keys["P-256"]), "ES256")), want("ES256")],
  ["jose ES512", async () => signed("ES512", await jose.importJWK(keys["P-521"], "ES512"), await jose.importJWK(publicOf(keys["P-521"]), "ES512")), want("ES512")],
  ["jose PS256", async () => signed("PS256", await jose.importJWK(keys.rsa, "PS256"), await jose.importJWK(publicOf(keys.rsa), "PS256")), want("PS256")],
  ["jose generates", async () => { const { privateKey, publicKey } = await jose.generateKeyPair("ES256"); return signed("ES256", privateKey, publicKey); }, want("ES256")],
  ["jose encrypts, A256GCM", async () => {
    const key = (await crypto.subtle.digest("SHA-256", secret));
    const jwe = await new jose.EncryptJWT({ a: 1 }).setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(new Uint8Array(key));
    return (await jose.jwtDecrypt(jwe, new Uint8Array(key))).payload;
  }, { a: 1 }],
  ["jose encrypts, A128CBC-HS256", async () => {
    const jwe = await new jose.EncryptJWT({ a: 2 }).setProtectedHeader({ alg: "dir", enc: "A128CBC-HS256" }).encrypt(secret.slice(0, 32));
    return (await jose.jwtDecrypt(jwe, secret.slice(0, 32))).payload;
  }, { a: 2 }],
  ["jose encrypts, ECDH-ES", async () => {
    const alg = "ECDH-ES";
    const jwe = await new jose.CompactEncrypt(utf8("hi")).setProtectedHeader({ alg, enc: "A256GCM" }).encrypt(await jose.importJWK(publicOf(keys["P-256"]), alg));
    return new TextDecoder().decode((await jose.compactDecrypt(jwe, await jose.importJWK(keys["P-256"], alg))).plaintext);
  }, "hi"],
  ["oauth4webapi proves possession", async () => {
    const pair = await oauth.generateKeyPair("ES256");
    const client = { client_id: "c" };
    let proof;
    await oauth.protectedResourceRequest("token", "GET", new URL("https://api.example/x"), undefined, undefined, {
      DPoP: oauth.DPoP(client, pair),
      [oauth.customFetch]: async (_url, { headers }) => {
        proof = new Headers(headers).get("dpop");
        return new Response("");
      },
    });
    const { payload, protectedHeader } = await jose.jwtVerify(proof, jose.EmbeddedJWK);
    return [payload.htm, payload.htu, protectedHeader.typ];
  }, ["GET", "https://api.example/x", "dpop+jwt"]],
  ["oauth4webapi asserts the client", async () => {
    const key = await jose.importJWK(keys["P-256"], "ES256");
    const as = { issuer: "https://as.example", token_endpoint: "https://as.example/token" };
    const body = new URLSearchParams();
    await oauth.PrivateKeyJwt(key)(as, { client_id: "c" }, body, new Headers());
    const { payload } = await jose.jwtVerify(body.get("client_assertion"), await jose.importJWK(publicOf(keys["P-256"]), "ES256"));
    return [payload.iss, payload.sub, payload.aud];
  }, ["c", "c", "https://as.example"]],
  ["oslo verifies what the host signs", async () => {
    const key = await crypto.subtle.importKey("jwk", keys["P-256"], { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    const raw = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, secret));
    const big = (b) => BigInt(`0x${encodeHexLowerCase(b)}`);
    const coordinate = (t) => big(jose.base64url.decode(t));
    const open = new ECDSAPublicKey(p256, coordinate(keys["P-256"].x), coordinate(keys["P-256"].y));
    return verifyECDSASignature(open, sha256(secret), decodeIEEEP1363ECDSASignature(p256, raw));
  }, true],
]);
