// Libraries that Convex apps commonly bring along, bundled as the CLI does, each put to its usual
// work.
import { addDays, differenceInCalendarDays, format, formatISO, parseISO, startOfMonth } from "date-fns";
import { createParser } from "eventsource-parser";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { AutoRouter, error as ittyError, json as ittyJson } from "itty-router";
import * as jose from "jose";
import { customAlphabet, nanoid } from "nanoid";
import qs from "qs";
import superjson from "superjson";
import { v4, v5, v7, validate, version } from "uuid";
import { z } from "zod";
import { cases } from "./cases.js";

const bytes = (s) => new TextEncoder().encode(s);

/* --- validation and serialisation --- */

const User = z.object({
  name: z.string().min(1).trim(),
  email: z.email(),
  age: z.coerce.number().int().positive().optional(),
  role: z.enum(["admin", "user"]).default("user"),
  tags: z.array(z.string()).max(3),
});

export const zod = cases([
  ["what fits is parsed", () => User.parse({ name: " A ", email: "a@b.co", age: "5", tags: ["x"] }), { name: "A", email: "a@b.co", age: 5, role: "user", tags: ["x"] }],
  ["what does not is explained", () => User.safeParse({ name: "", email: "no", tags: [1] }).error.issues.map((i) => [i.path.join("."), i.code]), [["name", "too_small"], ["email", "invalid_format"], ["tags.0", "invalid_type"]]],
  ["unions, transforms, refinements", () => z.union([z.string().transform((s) => s.length), z.number().refine((n) => n > 1)]).array().parse(["abc", 5]), [3, 5]],
  ["asynchronous refinements", async () => (await z.string().refine(async (s) => s === "x").safeParseAsync("y")).success, false],
  ["JSON schema", () => z.toJSONSchema(z.object({ a: z.string() })).required, ["a"]],
]);

export const serialising = cases([
  ["superjson goes there and back", () => { const v = superjson.parse(superjson.stringify({ d: new Date(0), m: new Map([[1, new Set(["a"])]]), b: 1n, u: undefined, r: /x/g })); return [v.d.toISOString(), [...v.m.get(1)], String(v.b), "u" in v, String(v.r)]; }, ["1970-01-01T00:00:00.000Z", ["a"], "1", true, "/x/g"]],
  ["qs", () => [qs.stringify({ a: [1, 2], b: { c: "d e" } }, { arrayFormat: "brackets" }), qs.parse("a[]=1&a[]=2&b[c]=d%20e")], ["a%5B%5D=1&a%5B%5D=2&b%5Bc%5D=d%20e", { a: ["1", "2"], b: { c: "d e" } }]],
]);

/* --- dates and ids --- */

export const dates = cases([
  ["date-fns formats in UTC", () => format(new Date(Date.UTC(2024, 1, 29, 13, 5)), "yyyy-MM-dd HH:mm EEEE do MMM"), "2024-02-29 13:05 Thursday 29th Feb"],
  ["date-fns computes", () => [formatISO(addDays(parseISO("2024-02-28T00:00:00Z"), 2)), differenceInCalendarDays(new Date(86400000 * 3), new Date(0)), startOfMonth(new Date(1e12)).toISOString()], ["2024-03-01T00:00:00Z", 3, "2001-09-01T00:00:00.000Z"]],
]);

export const ids = cases([
  ["nanoid", () => [nanoid().length, /^[\w-]{21}$/.test(nanoid()), nanoid() !== nanoid(), /^[ab]{5}$/.test(customAlphabet("ab", 5)())], [21, true, true, true]],
  ["uuid", () => [validate(v4()), version(v4()), version(v7()), v5("a", v5.URL)], [true, 4, 7, v5("a", v5.URL)]],
]);

/* --- tokens --- */

const secret = bytes("a secret that is long enough for HS256");

export const tokens = cases([
  ["jose signs and verifies HS256", async () => {
    const jwt = await new jose.SignJWT({ role: "x" }).setProtectedHeader({ alg: "HS256" }).setSubject("me").setIssuedAt(1000).setExpirationTime("1000y").sign(secret);
    const { payload, protectedHeader } = await jose.jwtVerify(jwt, secret);
    return [payload.sub, payload.role, protectedHeader.alg];
  }, ["me", "x", "HS256"]],
  ["a token that was changed is refused", async () => {
    const jwt = await new jose.SignJWT({}).setProtectedHeader({ alg: "HS256" }).sign(secret);
    await jose.jwtVerify(jwt.slice(0, -2) + "xx", secret);
  }, "JWSSignatureVerificationFailed: signature verification failed"],
  ["so is one that expired", async () => {
    const jwt = await new jose.SignJWT({}).setProtectedHeader({ alg: "HS256" }).setExpirationTime(1000).sign(secret);
    await jose.jwtVerify(jwt, secret);
  }, "JWTExpired: \"exp\" claim timestamp check failed"],
  ["base64url and decoding", () => [jose.base64url.encode("hi?>"), jose.decodeJwt("e30.eyJhIjoxfQ.")], ["aGk_Pg", { a: 1 }]],
]);

// Made once by jose in Node.js.
const issued = {
  RS256: {
    key: {"kty": "RSA", "n": "vmwORyaYGmc1Ndwa_0Ot6S-LYh2PRQ1Oy51ykwjryTBTZm3OK7D9tP-AwoKCQ-zFOKm1yB_QwWeCA3nVvv1RrWsNWgvUOgl1s96h0X0ml5Ub5clmzvZrutJ4g4hOzj0eAD_1FTKaTb7DQjNf1T32mNmmvNih3SJypViuWb52zmqsYeFeQE0MzemtWLfZtYRukdqN__JO5zWiIgTZJRtGA0JBS9JR6GBqLrTytqbEsay9YXU5ZbrnpZl2Q-uv31rCo8Gp2BBva3djmroKJJjzI43v36lMVDO4tgMlfKcfZ6lE1DElFgGALqF0714j3CyvrI0ZiFdZ9dZ6mhTMrravFQ", "e": "AQAB"},
    token: "eyJhbGciOiJSUzI1NiJ9.eyJhIjoiUlMyNTYiLCJpc3MiOiJpIn0.CsgMrlWEi-C1fg5Mh6FKiWid8JxbkubgyT6_-IOgub76wr2hvEI0LtfjlVBUthbe1U4Th8zf_3TsWzp_2OfyS9buvav9vYv-NZ53UsVlaY3MtrbG8KTCvvfPHwLL2C-MW7wrOHe9qt7zdu3eWMQhe9ROSZkL1kMeZ4uIHvnRJOSXHs5vHX41SqaO-8eZqMlsZa0ErU5gDX6uZ2BTCCdKfNEmhEsAiLPMXxVK0C69OrqJEbMmBZHHKtMGC6NlCOdBWYsnM_cBJ5DdLh_78Ie9SUK9HQmIi2DxhHUFDvL28d5DFjNUFibPO6EdRh_PU7jnoaPU8XOrfnMqVHulA910HA",
  },
  ES256: {
    key: {"kty": "EC", "x": "H6upYbyQKH4gfGYMtYWOygSDu3yYqx_8dBvzputkRMk", "y": "nB1b6h2eSDGuuN5c1QIEFtCnOuJsrIGTT-leVLJiQYU", "crv": "P-256"},
    token: "eyJhbGciOiJFUzI1NiJ9.eyJhIjoiRVMyNTYiLCJpc3MiOiJpIn0.M3rdLsxwc1P8innFy4zfMKZkThwcoxXmPkVwmguMfC8OUPUuEzZlVhoAlYLNrkxhmItpE26bqdKQzobLtqyCeA",
  },
  EdDSA: {
    key: {"crv": "Ed25519", "x": "rJ13BSWW3lnlX5bSDbmD_K-78RB0xeCnjvaXoRNaTVo", "kty": "OKP"},
    token: "eyJhbGciOiJFZERTQSJ9.eyJhIjoiRWREU0EiLCJpc3MiOiJpIn0.Pt8-dqaBjxY7e4cZ5qP65IUpNn-OfKrL_q4IXtHOoBq0MhhGj0WYiCT_Ten1xOattb9WQoHnYSQJzrSrAQAmBg",
  },
};
const rsaPrivate = `-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC+bA5HJpgaZzU1
3Br/Q63pL4tiHY9FDU7LnXKTCOvJMFNmbc4rsP20/4DCgoJD7MU4qbXIH9DBZ4ID
edW+/VGtaw1aC9Q6CXWz3qHRfSaXlRvlyWbO9mu60niDiE7OPR4AP/UVMppNvsNC
M1/VPfaY2aa82KHdInKlWK5ZvnbOaqxh4V5ATQzN6a1Yt9m1hG6R2o3/8k7nNaIi
BNklG0YDQkFL0lHoYGoutPK2psSxrL1hdTlluuelmXZD66/fWsKjwanYEG9rd2Oa
ugokmPMjje/fqUxUM7i2AyV8px9nqUTUMSUWAYAuoXTvXiPcLK+sjRmIV1n11nqa
FMyutq8VAgMBAAECggEADPaTNEHK2gVLqIp+5gDH/pdngDrt7W/9/LuPuLXDQ3OA
QflYrz3Bz8gTDmrPDmu4c2aOQvzze68duTnalMFvBYTDqG0kufy54BBYaMgB0BDt
EMQYtR8ub03zuVSWtNCRUcgI2bQTsBY7+a5AqGYq+vXaNYHz5vd44Yu7ds2SDfQz
2Y4F58FsQU3KsyXk0uBM7zj1I4R75kNUJHWT9pfVTQ/svtV7nmsyfq3GUmya035s
0V+yACbSQs/8rn1d+KFijwnnKj90J75glThCdZDMld6HjZccSR4F3XGizzqi1BF3
jEhuNgRRPlrk4MHlq3QKC/KeUZ3OIiIFk8dIQBkT0wKBgQD4ePRCFun0Tn9hkyMi
+ovxzw8Q2hMBwggEoS+ZOp8jUZ9ZrGd3kBBU9JOo8nlJfjJlLWXVzUuJsnF1D43f
nJsCoB+0wmDO9nXoMbJznhJSiue6bn1iw7ChUNXvT7eryvZhUUxcIfwQdxGo92JV
I+bPB7NJ89ca839l5EWG9sxA6wKBgQDEMONFi5LkeEwkhwgT15/ut0SKHgES+gP2
gvGDf+KJLiM3kQ8w/n7Lh6J6jnIX16CKptkADN5uPO62GIF6MPDbN3Lk7HOrooGQ
UdQbqBtgNNvzC/kNYpcs4sfr9mYjcNf6ZDm1GlIUs+kCTHWoXrhDn/bNEhHN6sbf
loRcgUzP/wKBgQDIV25K44Lb83cNy79m8rFn1VYGdm8g2bvxT627VOL/bU6Y1UPP
yZ8BgPqWHHvi4BfuMH6NtywS6IhGpLX1+KWbplQqQRghh+NlxrxmMKwBVfKmBXSf
7705NJ5qiNJFeC7UJOL23ogJFphsrprgn0P45fKPzEZCetbb5wSQX+os5QKBgGeh
Dxs3+1I0/Ls6nBinB7J3GXv/F0An0ZoPVnTIQyeEuFNsiuKtOtpU/YzQ2xEe84zp
TqwJICCIjOqgjRu26DJS2pxzDTI2t0s8/dXR+QvbP+bkhxv73LB35XQNBaxouZxn
/ldb3MlUspplOqzBw4Ds6NcvWTo0bfHCNo4KOkGPAoGBANJlWOrsA9n2MobouVkc
3itr3/sor6sVR8A4yjB608DxaRJpHpa69I9QyJGoN/o/A1kE11lU8Y4vYGJ2F6ja
dlgUY9AXotw0dYeezPXTVuqALfWCzOHvOLd7cCKbsRRlg22Wlp/SZkAoA9MvB1/8
KbdPD528Z3c/S1EpaMCGB0Xf
-----END PRIVATE KEY-----`;
const edPrivate = {"crv": "Ed25519", "d": "N4GkEkLESHvCer7PRhU1tuilwpmLYj9tRLIsRNNEGpg", "x": "rJ13BSWW3lnlX5bSDbmD_K-78RB0xeCnjvaXoRNaTVo", "kty": "OKP"};

export const asymmetricTokens = cases([
  ...Object.entries(issued).map(([alg, { key, token }]) => [`jose verifies ${alg}`, async () => (await jose.jwtVerify(token, await jose.importJWK(key, alg), { issuer: "i" })).payload.a, alg]),
  ["a key set finds its key", async () => (await jose.jwtVerify(issued.ES256.token, jose.createLocalJWKSet({ keys: Object.values(issued).map(({ key }) => key) }))).payload.a, "ES256"],
  ["another key does not fit", async () => { const [h, p, s] = issued.RS256.token.split("."); await jose.jwtVerify([h, jose.base64url.encode('{"a":"x"}'), s].join("."), await jose.importJWK(issued.RS256.key, "RS256")); }, "JWSSignatureVerificationFailed: signature verification failed"],
  ["jose signs RS256 with a PEM key", async () => { const jwt = await new jose.SignJWT({ b: 1 }).setProtectedHeader({ alg: "RS256" }).sign(await jose.importPKCS8(rsaPrivate, "RS256")); return (await jose.jwtVerify(jwt, await jose.importJWK(issued.RS256.key, "RS256"))).payload.b; }, 1],
  ["jose signs EdDSA", async () => { const jwt = await new jose.SignJWT({ c: 1 }).setProtectedHeader({ alg: "EdDSA" }).sign(await jose.importJWK(edPrivate, "EdDSA")); return (await jose.jwtVerify(jwt, await jose.importJWK(issued.EdDSA.key, "EdDSA"))).payload.c; }, 1],
]);

// As small session libraries do it: a token, its hash in the database, a cookie.
const hex = (data) => [...new Uint8Array(data)].map((b) => b.toString(16).padStart(2, "0")).join("");
export const sessions = cases([
  ["a session token is random, its hash is not", async () => {
    const token = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(20))));
    const hash = async (t) => hex(await crypto.subtle.digest("SHA-256", bytes(t)));
    return [token.length, (await hash(token)) === (await hash(token)), await hash("abc")];
  }, [28, true, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]],
  ["a webhook's signature", async () => {
    const key = await crypto.subtle.importKey("raw", bytes("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
    const signature = await crypto.subtle.sign("HMAC", key, bytes("The quick brown fox jumps over the lazy dog"));
    return [hex(signature), await crypto.subtle.verify("HMAC", key, signature, bytes("x"))];
  }, ["f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8", false]],
]);

/* --- streams of events, as models' answers come --- */

const chunked = (text, size) => {
  const data = bytes(text);
  let at = 0;
  return new ReadableStream({
    pull(c) {
      if (at >= data.length) {
        c.close();
      } else {
        c.enqueue(data.slice(at, (at += size)));
      }
    },
  });
};
const answer = 'data: {"t":"Hé"}\n\n: ping\n\nevent: delta\nid: 7\ndata: {"t":"llo"}\ndata:\n\ndata: [DONE]\n\n';

export const eventStreams = cases([
  ["eventsource-parser", () => { const seen = []; const p = createParser({ onEvent: (e) => seen.push([e.event ?? null, e.data]) }); p.feed(answer.slice(0, 9)); p.feed(answer.slice(9)); return seen; }, [[null, '{"t":"Hé"}'], ["delta", '{"t":"llo"}\n'], [null, "[DONE]"]]],
  ["a response's body through the parser's stream, cut anywhere", async () => {
    for (let size = 1; size < 12; size++) {
      let text = "";
      const body = new Response(chunked(answer, size)).body;
      for await (const { data } of body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
        if (data !== "[DONE]") text += JSON.parse(data).t;
      }
      if (text !== "Héllo") return [size, text];
    }
    return "all";
  }, "all"],
  ["lines by hand with a reader and a streaming decoder", async () => {
    const reader = new Response(chunked("a\nbé\nc", 2)).body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    const lines = [];
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const parts = rest.split("\n");
      rest = parts.pop();
      lines.push(...parts);
      if (done) return [...lines, rest];
    }
  }, ["a", "bé", "c"]],
]);

/* --- routers over Request and Response --- */

const app = new Hono();
app.use("/api/*", cors());
app.get("/api/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q") ?? null }));
app.post("/api/echo", async (c) => c.text((await c.req.json()).text, 201, { "X-Custom": "1" }));
app.get("/stream", () => new Response(chunked("abc", 1)));
app.onError((e, c) => c.text(`failed: ${e.message}`, 500));
app.get("/boom", () => {
  throw new Error("boom");
});

const router = AutoRouter({ base: "/v1" });
router.get("/things/:id", ({ params, query }) => ({ ...params, ...query }));
router.post("/things", async (request) => ittyJson(await request.json(), { status: 201 }));
router.get("/gone", () => ittyError(410, "no more"));

const seen = async (response) => [response.status, await response.text()];

export const routers = cases([
  ["hono routes", async () => seen(await app.fetch(new Request("http://h/api/users/5?q=x%20y"))), [200, '{"id":"5","q":"x y"}']],
  ["hono reads bodies", async () => { const r = await app.fetch(new Request("http://h/api/echo", { method: "POST", body: JSON.stringify({ text: "hé" }), headers: { "content-type": "application/json" } })); return [...(await seen(r)), r.headers.get("x-custom"), r.headers.get("access-control-allow-origin")]; }, [201, "hé", "1", "*"]],
  ["hono answers preflights, 404 and errors", async () => [(await app.fetch(new Request("http://h/api/x", { method: "OPTIONS", headers: { Origin: "http://o" } }))).status, await seen(await app.fetch(new Request("http://h/none"))), await seen(await app.fetch(new Request("http://h/boom")))], [204, [404, "404 Not Found"], [500, "failed: boom"]]],
  ["hono streams", async () => (await app.request("/stream")).text(), "abc"],
  ["itty routes", async () => seen(await router.fetch(new Request("http://h/v1/things/7?a=b"))), [200, '{"id":"7","a":"b"}']],
  ["itty reads bodies", async () => seen(await router.fetch(new Request("http://h/v1/things", { method: "POST", body: '{"x":1}' }))), [201, '{"x":1}']],
  ["itty's errors", async () => [await seen(await router.fetch(new Request("http://h/v1/gone"))), (await router.fetch(new Request("http://h/else"))).status], [[410, '{"status":410,"error":"no more"}'], 404]],
]);
