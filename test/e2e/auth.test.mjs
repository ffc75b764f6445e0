// Users of auth providers (spec 05 sections 5.2 to 5.5): OpenID Connect with discovery, customJwt with keys at an address,
// and an application that is its own issuer.  The providers are real servers beside this test.
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { App, Server, sleep, until } from "./lib.mjs";

const functions = `
import { query, mutation, action } from "./_generated/server";
const handler = async (ctx) => await ctx.auth.getUserIdentity();
export const who = query({ args: {}, handler });
export const whoWrites = mutation({ args: {}, handler });
export const whoActs = action({ args: {}, handler });
`;
const http = `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";
const http = httpRouter();
const json = (text) => new Response(text, { headers: { "content-type": "application/json", "cache-control": "public, max-age=15" } });
http.route({ path: "/who", method: "GET", handler: httpAction(async (ctx) => Response.json(await ctx.auth.getUserIdentity())) });
http.route({ path: "/.well-known/openid-configuration", method: "GET", handler: httpAction(async () => json(JSON.stringify({
  issuer: process.env.CONVEX_SITE_URL, jwks_uri: process.env.CONVEX_SITE_URL + "/.well-known/jwks.json" }))) });
http.route({ path: "/.well-known/jwks.json", method: "GET", handler: httpAction(async () => json(process.env.JWKS)) });
export default http;
`;

/** Keys by name, as a provider has them. */
class Keys {
  all = new Map();
  add(kid, kind = "rsa") {
    const pair = kind === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) :
      kind === "ec" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
    this.all.set(kid, { ...pair, alg: { rsa: "RS256", ec: "ES256" }[kind] ?? "EdDSA" });
    return this;
  }
  set() {
    return { keys: [...this.all].map(([kid, k]) => ({ ...k.publicKey.export({ format: "jwk" }), kid, alg: k.alg, use: "sig" })) };
  }
  token(kid, claims, header = {}) {
    const { privateKey, alg } = this.all.get(kid);
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const body = `${encode({ alg, kid, typ: "JWT", ...header })}.${encode({ sub: "ada", iat: now, exp: now + 600, ...claims })}`;
    const key = alg === "ES256" ? { key: privateKey, dsaEncoding: "ieee-p1363" } : createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }));
    return `${body}.${sign(alg === "EdDSA" ? null : "sha256", Buffer.from(body), key).toString("base64url")}`;
  }
}

/** An issuer whose answers a test may change; `asked` counts them by path. */
class Issuer {
  headers = { "content-type": "application/json" }; // no Cache-Control: nobody may keep it
  asked = {};
  keys = new Keys().add("r").add("d", "ed25519").add("e", "ec");
  status = 200;
  delay = 0;
  async start() {
    this.server = createServer(async (request, response) => {
      this.asked[request.url] = (this.asked[request.url] ?? 0) + 1;
      if (this.delay === Infinity) return;
      await sleep(this.delay);
      const body = request.url === "/.well-known/openid-configuration" ?
        { issuer: this.name ?? this.url, jwks_uri: `${this.url}/keys` } : this.keys.set();
      response.writeHead(this.status, this.headers).end(this.text ?? JSON.stringify(body));
    });
    await new Promise((done) => this.server.listen(this.port ?? 0, "127.0.0.1", done));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }
  stop() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }
  token(kid, claims, header) {
    return this.keys.token(kid, { iss: this.url, aud: "app", ...claims }, header);
  }
  reset() {
    Object.assign(this, { headers: { "content-type": "application/json" }, asked: {}, status: 200, delay: 0, text: undefined, name: undefined });
  }
}

describe("auth providers", () => {
  let server, app, oidc, kept, custom, down;

  before(async () => {
    [oidc, kept, custom, down] = await Promise.all([1, 2, 3, 4].map(() => new Issuer().start()));
    await down.stop();
    server = await new Server().start();
    app = new App({ "convex/users.ts": functions, "convex/http.ts": http, "convex/auth.config.ts": `export default { providers: [
      { domain: "${oidc.url}/", applicationID: "app" },
      { domain: "${kept.url}", applicationID: "app" },
      { domain: "${down.url}", applicationID: "app" },
      { domain: process.env.CONVEX_SITE_URL, applicationID: "convex" },
      { type: "customJwt", issuer: "${custom.url}", jwks: "${custom.url}/keys", algorithm: "ES256" },
    ] };` });
    await app.deploy(server);
  });
  after(async () => {
    await server?.remove();
    app?.remove();
    await Promise.all([oidc, kept, custom].map((issuer) => issuer?.stop()));
  });

  const ask = (token, path = "users:who") =>
    server.post(path === "users:who" ? "/api/query" : "/api/action", { path, args: {}, format: "json" }, { authorization: `Bearer ${token}` });
  const user = async (token) => {
    const answer = await ask(token);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.value;
  };
  const refused = async (token) => {
    const { status, json } = await ask(token);
    return [status, json.code];
  };

  test("05 checklist 28: RS256 and EdDSA tokens of a discovered issuer", async () => {
    oidc.reset();
    for (const kid of ["r", "d"]) {
      assert.deepEqual(await user(oidc.token(kid)), { tokenIdentifier: `${oidc.url}|ada`, subject: "ada", issuer: oidc.url });
    }
    assert.deepEqual(await refused(oidc.token("e")), [401, "Unauthenticated"], "ES256 is for customJwt");
    assert.equal((await ask(oidc.token("r"), "users:whoActs")).json.value.subject, "ada");
    const answer = await fetch(`${server.siteUrl}/who`, { headers: { authorization: `Bearer ${oidc.token("d")}` } });
    assert.equal((await answer.json()).subject, "ada");
  });

  test("05 checklist 28: what is wrong with a token", async () => {
    oidc.reset();
    const now = Math.floor(Date.now() / 1000);
    const forged = new Keys().add("r").token("r", { iss: oidc.url, aud: "app" });
    const cases = [
      [oidc.token("r", { exp: now - 1 }), 401, "Unauthenticated"],
      [oidc.token("r", { aud: "other" }), 401, "NoAuthProvider"],
      [oidc.token("r", { aud: ["app", "other"] }), 401, "Unauthenticated"],
      [oidc.token("r", { iss: "https://elsewhere.example" }), 401, "NoAuthProvider"],
      [oidc.token("r", { sub: undefined }), 401, "Unauthenticated"],
      [oidc.token("r", { iss: `${oidc.url}/` }), 400, "AuthProviderDiscoveryFailed"], // the document names another
      [oidc.token("r", {}, { kid: "unknown" }), 401, "Unauthenticated"],
      [oidc.token("r", {}, { alg: "none" }), 401, "Unauthenticated"],
      [forged, 401, "Unauthenticated"],
      ["not a token", 401, "InvalidAuthHeader"],
    ];
    for (const [token, status, code] of cases) assert.deepEqual(await refused(token), [status, code]);
    assert.equal((await user(oidc.token("r", { aud: ["app"] }))).subject, "ada");
  });

  test("05 checklist 30: the identity of standard and other claims", async () => {
    oidc.reset();
    const identity = await user(oidc.token("r", {
      name: "Ada L", given_name: "Ada", family_name: "L", nickname: "al", preferred_username: "ada", profile: "https://p", picture: "https://i",
      website: "https://w", email: "a@b.c", email_verified: true, gender: "f", birthdate: "1815-12-10", zoneinfo: "Europe/London", locale: "en-GB",
      phone_number: "+44", phone_number_verified: false, address: { formatted: "St James's Square", country: "GB" }, updated_at: 1700000000,
      jti: "j", nonce: "n", fva: [1, 2], at_hash: "h", role: "admin", org: { id: 7, tags: ["a"] } }));
    assert.deepEqual(identity, {
      tokenIdentifier: `${oidc.url}|ada`, subject: "ada", issuer: oidc.url, name: "Ada L", givenName: "Ada", familyName: "L", nickname: "al",
      preferredUsername: "ada", profileUrl: "https://p", pictureUrl: "https://i", websiteUrl: "https://w", email: "a@b.c", emailVerified: true,
      gender: "f", birthday: "1815-12-10", timezone: "Europe/London", language: "en-GB", phoneNumber: "+44", phoneNumberVerified: false,
      address: "St James's Square", updatedAt: "2023-11-14T22:13:20+00:00", role: "admin", org: { id: 7, tags: ["a"] } });
  });

  test("05 checklist 28: keys are kept as long as Cache-Control says", async () => {
    const both = { "/.well-known/openid-configuration": 1, "/keys": 1 };
    kept.headers["cache-control"] = "no-store";
    await user(kept.token("r"));
    kept.asked = {};
    await user(kept.token("r"));
    assert.deepEqual(kept.asked, both, "no-store: asked each time");
    kept.delay = 200;
    kept.asked = {};
    await Promise.all(Array.from({ length: 30 }, () => user(kept.token("r"))));
    assert.deepEqual(kept.asked, both, "who comes meanwhile waits for the same answer");
    kept.delay = 0;
    kept.headers["cache-control"] = "public, max-age=3, stale-if-error=600";
    await user(kept.token("r"));
    kept.asked = {};
    for (let i = 0; i < 5; i++) await user(kept.token("r"));
    assert.deepEqual(kept.asked, {}, "max-age: kept");
    await sleep(3100);
    kept.status = 500;
    await user(kept.token("r"));
    assert.deepEqual(kept.asked, both, "stale-if-error: asked again, and the old ones serve on");
    kept.reset();
    kept.headers["cache-control"] = "max-age=3600";
    await sleep(1100); // failures are not repeated sooner
    await user(kept.token("r"));
    kept.keys.add("new");
    assert.deepEqual(await refused(kept.token("new")), [401, "Unauthenticated"], "nobody makes us ask all the time");
    await sleep(10100);
    assert.equal((await user(kept.token("new"))).subject, "ada", "but a new key is found");
  });

  test("customJwt: keys at an address, and how they must be labelled", async () => {
    custom.reset();
    assert.deepEqual(await user(custom.token("e", { aud: undefined, org: { id: 7 } })),
      { tokenIdentifier: `${custom.url}|ada`, subject: "ada", issuer: custom.url, "org.id": 7 });
    assert.deepEqual(custom.asked, { "/keys": 1 });
    assert.deepEqual(await refused(custom.token("r")), [401, "InvalidAuthHeader"], "not the configured algorithm");
    for (const type of ["application/jwk-set+json", "application/json; charset=UTF-8"]) {
      custom.headers["content-type"] = type;
      await user(custom.token("e"));
    }
    for (const type of ["text/html", "application/json; charset=latin1"]) {
      custom.headers["content-type"] = type;
      assert.deepEqual(await refused(custom.token("e")), [401, "InvalidAuthHeader"], type);
    }
    for (const [change, reason] of [[{ status: 503 }, /503/], [{ text: "<html>" }, /not JSON/], [{ text: " ".repeat(3 << 20) }, /larger/]]) {
      custom.reset();
      Object.assign(custom, change);
      await sleep(1100);
      const { status, json } = await ask(custom.token("e"));
      assert.deepEqual([status, json.code], [401, "InvalidAuthHeader"]);
      assert.match(json.message, reason);
    }
    custom.reset();
    await sleep(1100);
    await user(custom.token("e"));
  });

  test("an issuer that fails: the kind of its answer", async () => {
    const cases = [[500, 503], [429, 429], [404, 404], [403, 400]];
    for (const [answer, status] of cases) {
      await sleep(1100);
      oidc.reset();
      oidc.status = answer;
      assert.deepEqual(await refused(oidc.token("r")), [status, "AuthProviderDiscoveryFailed"]);
    }
    assert.deepEqual(await refused(down.keys.token("r", { iss: down.url, aud: "app" })), [400, "AuthProviderDiscoveryFailed"]);
    const answer = await fetch(`${server.siteUrl}/who`, { headers: { authorization: `Bearer ${oidc.token("r")}` } });
    assert.equal(answer.status, 500, "an HTTP action runs, and hears of it when it asks");
    oidc.reset();
    await sleep(1100);
    assert.equal((await user(oidc.token("r"))).subject, "ada");
  });

  test("a WebSocket waits for the keys, and what is behind the token with it", async () => {
    oidc.reset();
    oidc.delay = 500;
    const client = new ConvexClient(server.url, { unsavedChangesWarning: false });
    const states = [];
    const seen = [];
    try {
      client.setAuth(async () => oidc.token("r"), (ok) => states.push(ok));
      client.onUpdate(anyApi.users.who, {}, (value) => seen.push(value?.subject ?? null));
      assert.equal((await client.mutation(anyApi.users.whoWrites, {})).subject, "ada");
      assert.equal((await client.action(anyApi.users.whoActs, {})).subject, "ada");
      await until(() => seen.length > 0, "the query");
      assert.deepEqual(seen, ["ada"]);
      assert.ok(states.length > 0 && states.every(Boolean)); // the client asks twice: a new token follows the first
    } finally {
      await client.close();
    }
  });

  test("a WebSocket client hears of an issuer that cannot be reached, and reconnects to one that is ill", async () => {
    const states = [];
    const connect = (token) => {
      const client = new ConvexClient(server.url, { unsavedChangesWarning: false });
      client.setAuth(token, (ok) => states.push(ok));
      return client;
    };
    let client = connect(async () => down.keys.token("r", { iss: down.url, aud: "app" }));
    try {
      await until(() => states.length > 0, "the refusal");
      assert.deepEqual(states, [false]);
      await client.close();
      oidc.reset();
      oidc.status = 503;
      states.length = 0;
      client = connect(async () => oidc.token("r"));
      await until(() => oidc.asked["/.well-known/openid-configuration"] >= 2, "a second attempt");
      assert.deepEqual(states, []);
      oidc.status = 200;
      await until(() => states.length > 0, "the issuer to recover");
      assert.equal(states[0], true);
    } finally {
      await client.close();
    }
  });

  test("an application that is its own issuer", async () => {
    const keys = new Keys().add("own");
    const set = await app.cli(server, ["env", "set", "JWKS", JSON.stringify(keys.set())]);
    assert.equal(set.code, 0, set.all);
    const token = keys.token("own", { iss: server.siteUrl, aud: "convex" });
    assert.equal((await user(token)).tokenIdentifier, `${server.siteUrl}|ada`);
    const client = new ConvexHttpClient(server.url, { logger: false });
    client.setAuth(token);
    assert.equal((await client.action(anyApi.users.whoActs, {})).issuer, server.siteUrl);
  });

  test("clients that leave and a server that stops do not wait for an issuer", async () => {
    oidc.reset();
    oidc.delay = Infinity;
    const left = new AbortController();
    const one = fetch(`${server.url}/api/query`, { method: "POST", signal: left.signal, body: JSON.stringify({ path: "users:who", args: {} }),
      headers: { "content-type": "application/json", authorization: `Bearer ${oidc.token("r")}` } }).catch((error) => error.name);
    const client = new ConvexClient(server.url, { unsavedChangesWarning: false });
    client.setAuth(async () => oidc.token("r"));
    await until(() => oidc.asked["/.well-known/openid-configuration"], "the download");
    await sleep(300);
    left.abort();
    assert.equal(await one, "AbortError");
    await client.close();
    const two = ask(oidc.token("r")).then((answer) => answer.status, () => "closed");
    await sleep(300);
    const begun = Date.now();
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - begun < 3000, `stopped in ${Date.now() - begun} ms`);
    assert.ok([500, 401, 400, "closed"].includes(await two));
  });
});

describe("Convex Auth", () => {
  let server, app;
  const call = (client, params) => client.action(anyApi.auth.signIn, params);
  const password = (flow, word = "12345678") => ({ provider: "password", params: { flow, email: "ada@example.com", password: word } });

  before(async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    server = await new Server().start();
    app = new App({
      "convex/auth.ts": `import { convexAuth } from "@convex-dev/auth/server"; import { Password } from "@convex-dev/auth/providers/Password";
export const { auth, signIn, signOut, store, isAuthenticated } = convexAuth({ providers: [Password] });`,
      "convex/auth.config.ts": `export default { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }] };`,
      "convex/http.ts": `import { httpRouter } from "convex/server"; import { auth } from "./auth";
const http = httpRouter(); auth.addHttpRoutes(http); export default http;`,
      "convex/schema.ts": `import { defineSchema } from "convex/server"; import { authTables } from "@convex-dev/auth/server"; export default defineSchema({ ...authTables });`,
      "convex/me.ts": `import { query } from "./_generated/server"; import { getAuthUserId } from "@convex-dev/auth/server";
export const email = query({ args: {}, handler: async (ctx) => { const id = await getAuthUserId(ctx); return id && (await ctx.db.get(id)).email; } });` });
    const variables = { JWT_PRIVATE_KEY: privateKey.export({ format: "pem", type: "pkcs8" }).trimEnd().replace(/\n/g, " "),
      JWKS: JSON.stringify({ keys: [{ use: "sig", ...publicKey.export({ format: "jwk" }) }] }), SITE_URL: "http://localhost:5173" };
    for (const [name, value] of Object.entries(variables)) {
      const set = await app.cli(server, ["env", "set", "--", name, value]);
      assert.equal(set.code, 0, set.all);
    }
    await app.deploy(server);
  });
  after(async () => {
    await server?.remove();
    app?.remove();
  });

  test("a password: sign up, queries over HTTP and WebSocket, sign in, refresh, sign out", async () => {
    const client = new ConvexHttpClient(server.url, { logger: false });
    assert.equal(await client.query(anyApi.me.email, {}), null);
    const { tokens } = await call(client, password("signUp"));
    client.setAuth(tokens.token);
    assert.equal(await client.query(anyApi.me.email, {}), "ada@example.com");
    const live = new ConvexClient(server.url, { unsavedChangesWarning: false });
    const seen = [];
    live.setAuth(async () => tokens.token);
    live.onUpdate(anyApi.me.email, {}, (email) => seen.push(email));
    await until(() => seen.length > 0, "the query");
    await live.close();
    assert.deepEqual(seen, ["ada@example.com"]);

    const other = new ConvexHttpClient(server.url, { logger: false });
    await assert.rejects(call(other, password("signIn", "wrong678")), /InvalidSecret/);
    const again = await call(other, password("signIn"));
    const refreshed = await call(other, { refreshToken: again.tokens.refreshToken });
    other.setAuth(refreshed.tokens.token);
    assert.equal(await other.query(anyApi.me.email, {}), "ada@example.com");
    await client.action(anyApi.auth.signOut, {});
    await assert.rejects(call(client, { refreshToken: "nonsense" }));
  });
});
