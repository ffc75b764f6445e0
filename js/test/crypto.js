// crypto.subtle against what Node made of the same rows (crypto-golden.mjs).
import { actionGeneric as action, queryGeneric as query } from "convex/server";
import { outcomes, plainCases, randomCases } from "./crypto-cases.js";
import golden from "./crypto-golden.json";

// Where Node is not what the standard says, or not what browsers do.
const OURS = [
  ["Node's own name of the exception", /: not extractable$/, "! InvalidAccessError"],
  ["HKDF and PBKDF2 keys have no export at all", /^(HKDF|PBKDF2): export$/, "! NotSupportedError"],
  ["RSA keys have no raw form", /^RSA.*: (public, raw|(private|public) key as raw)$/, "! NotSupportedError"],
  ["base64url has no padding", /^AES-... jwk with padding$/, "! DataError"],
  ["what is no JsonWebKey fails its conversion", /^HMAC import: jwk as bytes$/, "! TypeError"],
  ["Node's internal error", /^HMAC import: format (spki|pkcs8)$/, "! NotSupportedError"],
  ["a salt that cannot be is not in the signature", /^RSA-PSS .* verifies with a salt of 500$/, "[object Boolean]false"],
  ["the same", /^a small RSA key cannot sign/, "[object Boolean]false"],
  ["Node does not look at alg here", /^RSA.* SHA-256: jwk with another alg$/, "! DataError"],
  ["short initialization vectors are allowed", /^AES-GCM, iv of (1|7|8|11)$/, /^[0-9a-f]{70}$/],
  ["usages are a set", /^HMAC import: usages twice$/, / sign,verify$/],
  ["what the program does to key.algorithm changes nothing", /^keys have tags and types$/, /^\[object CryptoKey\],true,true,[0-9a-f]{64}$/],
];

const fits = (got, want) => (want instanceof RegExp ? want.test(got) : got === want);

const differences = async (list, nodes) => {
  const wrong = [];
  const got = await outcomes(list);
  for (const name of Object.keys(got)) {
    const ours = OURS.find(([, which]) => which.test(name));
    const want = ours ? ours[2] : nodes[name];
    if (!fits(got[name], want)) {
      wrong.push(`${name}: ${got[name]} instead of ${want}`);
    }
  }
  return wrong;
};

// In parts: a query has a second, and sanitizers make that short.
const PARTS = 4;
const part = (i) => query(() => differences(plainCases.filter((_, n) => n % PARTS === i), golden.plain));
export const [plain0, plain1, plain2, plain3] = [0, 1, 2, 3].map(part);
export const random = action(() => differences(randomCases, golden.random));
