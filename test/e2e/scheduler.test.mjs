// Scheduled functions with the official clients: times, arguments, failures, cancelling, who calls; exactly once for mutations and at most
// once for actions across kill -9 (spec 05 section 2; its checklist 13 to 18).
//
//   KILLS=6 SEED=1   how many kills; when they come
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import WebSocket from "ws";
import { App, Server, sleep, until } from "./lib.mjs";
import { random } from "./programs/generate.mjs";

const KILLS = Number(process.env.KILLS ?? 6);
const SEED = Number(process.env.SEED ?? 1);
const DAY = 24 * 3600 * 1000;

const files = {
  "convex/jobs.ts": `
import { action, internalAction, internalMutation, internalQuery, mutation, query } from "./_generated/server"; import { v } from "convex/values";
import { anyApi, makeFunctionReference } from "convex/server";
const jobs = anyApi.jobs, named = (name) => makeFunctionReference<any>("jobs:" + name);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const say = async (f) => { try { return await f(); } catch (e) { return (e as any).message; } };

export const note = internalMutation({ args: { text: v.string() }, handler: async (ctx, { text }) => { await ctx.db.insert("notes", { text, at: Date.now() }); } });
export const who = internalMutation(async (ctx) => { await ctx.db.insert("notes", { text: "who " + JSON.stringify(await ctx.auth.getUserIdentity()), at: 0 }); });
export const fails = internalMutation(async (ctx) => { await ctx.db.insert("notes", { text: "never", at: 0 }); throw new Error("on purpose"); });
export const act = internalAction({ args: { text: v.string(), ms: v.optional(v.number()) }, handler: async (ctx, { text, ms }) => {
  await ctx.runMutation(jobs.note, { text: text + " begins" }); await wait(ms ?? 0);
  await ctx.scheduler.runAfter(0, jobs.note, { text: text + " schedules" }); await ctx.runMutation(jobs.note, { text: text + " ends" });
  return JSON.stringify(await ctx.auth.getUserIdentity()); } });
export const actFails = internalAction(async () => { throw new TypeError("an action's"); });
export const justRead = internalQuery(async () => 1);
export const selfCancel = internalMutation(async (ctx) => {
  const self = (await ctx.db.system.query("_scheduled_functions").collect()).find((f) => f.name === "jobs.js:selfCancel" && f.state.kind !== "success");
  await ctx.scheduler.cancel(self!._id); await ctx.db.insert("notes", { text: "cancelled itself", at: 0 }); });
export const bump = internalMutation({ args: {}, handler: async (ctx) => { const row = await ctx.db.query("counter").first();
  if (row) await ctx.db.patch(row._id, { n: row.n + 1 }); else await ctx.db.insert("counter", { n: 1 }); } });

export const after = mutation({ args: { ms: v.number(), fn: v.string(), args: v.any() }, handler: (ctx, { ms, fn, args }) => ctx.scheduler.runAfter(ms, named(fn), args) });
export const at = mutation({ args: { at: v.number(), fn: v.string(), args: v.any() }, handler: (ctx, { at, fn, args }) => ctx.scheduler.runAt(at, named(fn), args) });
export const afterInAction = action({ args: { ms: v.number(), fn: v.string(), args: v.any(), fail: v.boolean() }, handler: async (ctx, { ms, fn, args, fail }) => {
  const id = await ctx.scheduler.runAfter(ms, named(fn), args); if (fail) throw new Error("later: " + id); return id; } });
export const cancel = mutation({ args: { id: v.string() }, handler: (ctx, { id }) => ctx.scheduler.cancel(id as any) });
export const cancelInAction = action({ args: { id: v.string() }, handler: (ctx, { id }) => ctx.scheduler.cancel(id as any) });
export const scheduleAndFail = mutation(async (ctx) => { await ctx.scheduler.runAfter(0, jobs.note, { text: "never" }); throw new Error("no"); });
export const many = mutation({ args: { n: v.number() }, handler: async (ctx, { n }) => { for (let i = 0; i < n; i++) await ctx.scheduler.runAfter(0, jobs.bump, {}); } });
export const series = mutation({ args: { n: v.number(), fn: v.string() }, handler: async (ctx, { n, fn }) => {
  for (let i = 0; i < n; i++) await ctx.scheduler.runAfter(i, named(fn), { text: "s" + String(i).padStart(3, "0") }); } });
export const refused = mutation(async (ctx) => [
  await say(() => ctx.scheduler.runAfter(-1, jobs.note, { text: "" })), await say(() => ctx.scheduler.runAfter(Infinity, jobs.note, { text: "" })),
  await say(() => ctx.scheduler.runAfter(6 * 366 * ${DAY}, jobs.note, { text: "" })), await say(() => ctx.scheduler.runAt(1, jobs.note, { text: "" })),
  await say(() => ctx.scheduler.runAfter(0, named("none"), {})), await say(() => ctx.scheduler.runAfter(0, makeFunctionReference<any>("nowhere:none"), {})),
  await say(() => ctx.scheduler.cancel("nonsense" as any)), await say(async () => ctx.scheduler.cancel(await ctx.db.insert("notes", { text: "an id", at: 0 }) as any))]);

export const notes = query(async (ctx) => (await ctx.db.query("notes").collect()).map((n) => n.text));
export const count = query(async (ctx) => (await ctx.db.query("counter").first())?.n ?? 0);
export const get = query({ args: { id: v.string() }, handler: (ctx, { id }) => ctx.db.system.get(id as any) });
export const all = query({ args: {}, handler: (ctx) => ctx.db.system.query("_scheduled_functions").collect() });
`,
};

let server, app, http;

const client = (s) => new ConvexHttpClient(s.url, { logger: false });
const call = (kind, name, args = {}) => http[kind](anyApi.jobs[name], args);
const schedule = (ms, fn, args = {}) => call("mutation", "after", { ms, fn, args });
const job = (id) => call("query", "get", { id });
const kind = async (id) => (await job(id)).state.kind;
const settled = (id, ms) => until(async () => !["pending", "inProgress"].includes(await kind(id)), `job ${id}`, ms).then(() => job(id));
const noted = async (text) => (await call("query", "notes")).filter((n) => n === text).length;

before(async () => {
  server = await new Server({ name: "scheduler" }).start();
  app = new App(files);
  await app.deploy(server);
  http = client(server);
});

after(async () => {
  await server?.remove();
  app?.remove();
});

// 05 checklist 16
test("a mutation at its time, and what its row says before and after", async () => {
  const begun = Date.now();
  const id = await schedule(400, "note", { text: "timed" });
  const before = await job(id);
  assert.deepEqual([before.name, before.args, before.state, before.completedTime], ["jobs.js:note", [{ text: "timed" }], { kind: "pending" }, undefined]);
  assert.ok(before.scheduledTime >= begun + 390 && before.scheduledTime < begun + 2400, `${before.scheduledTime - begun}`);
  assert.equal(await noted("timed"), 0);
  const done = await settled(id);
  assert.deepEqual([done.state, done.args, done.scheduledTime], [{ kind: "success" }, [{ text: "timed" }], before.scheduledTime]);
  assert.ok(done.completedTime >= done.scheduledTime && done.completedTime < done.scheduledTime + 2000);
  assert.equal(await noted("timed"), 1);
});

test("an absolute time; one in the past is now", async () => {
  const ids = [await call("mutation", "at", { at: Date.now() + 300, fn: "note", args: { text: "at" } }), await call("mutation", "at", { at: Date.now() - DAY, fn: "note", args: { text: "past" } })];
  await settled(ids[1]);
  assert.deepEqual(await Promise.all(["at", "past"].map(noted)), [0, 1]);
  await settled(ids[0]);
  assert.equal(await noted("at"), 1);
});

test("fifty at fifty times, each once", async () => {
  await call("mutation", "series", { n: 50, fn: "note" });
  const series = async () => (await call("query", "notes")).filter((n) => /^s\d+$/.test(n));
  await until(async () => (await series()).length === 50, "the series");
  assert.deepEqual([...(await series())].sort(), Array.from({ length: 50 }, (_, i) => `s${String(i).padStart(3, "0")}`));
});

// 05 checklist 14 and 18
test("actions: before, while and after they run", async () => {
  const id = await call("action", "afterInAction", { ms: 0, fn: "act", args: { text: "action", ms: 500 }, fail: false });
  await until(async () => (await kind(id)) === "inProgress", "the action to run");
  assert.equal((await settled(id)).state.kind, "success");
  await until(async () => (await noted("action schedules")) === 1, "what it scheduled");
  assert.deepEqual([await noted("action begins"), await noted("action ends")], [1, 1]);
  const text = await call("action", "afterInAction", { ms: 0, fn: "note", args: { text: "kept" }, fail: true }).catch((e) => e.message);
  await settled(/later: (\w+)/.exec(text)[1]);
  assert.equal(await noted("kept"), 1); // an action that throws has scheduled all the same
  const all = (await call("query", "all")).length;
  await assert.rejects(call("mutation", "scheduleAndFail"));
  assert.equal((await call("query", "all")).length, all);
  await settled(await schedule(0, "who"));
  assert.equal(await noted("who null"), 1);
});

test("failures", async () => {
  const cases = [["fails", /^Uncaught Error: on purpose/], ["actFails", /^Uncaught TypeError: an action's/], ["justRead", /query|Query/], ["act", /ArgumentValidationError/]];
  for (const [fn, text] of cases) {
    const { state } = await settled(await schedule(0, fn));
    assert.equal(state.kind, "failed", fn);
    assert.match(state.error, text);
    assert.doesNotMatch(state.error, /Request ID/);
  }
  assert.equal(await noted("never"), 0);
});

// 05 checklist 13
test("refusals", async () => {
  const texts = await call("mutation", "refused");
  const expected = [/`delayMs` must be non-negative/, /`delayMs` must be a finite number|finite/, /more than 5 years in the future/, /more than 5 years in the past/, /no exported function/,
    /nonexistent path/, /id|ID/, /another table/];
  for (const [i, text] of expected.entries()) assert.match(String(texts[i]), text);
  const all = (await call("query", "all")).length;
  await assert.rejects(call("mutation", "many", { n: 1001 }), /1000|TooManyFunctionsScheduled/);
  assert.equal((await call("query", "all")).length, all);
});

// 05 checklist 17
test("cancelling: what waits, what runs, what is over", async () => {
  const waits = await schedule(300, "note", { text: "cancelled" });
  await call("mutation", "cancel", { id: waits });
  assert.deepEqual([(await job(waits)).state.kind, typeof (await job(waits)).completedTime], ["canceled", "number"]);
  const runs = await schedule(0, "act", { text: "cancelled action", ms: 400 });
  await until(async () => (await noted("cancelled action begins")) === 1, "the action to run");
  await call("action", "cancelInAction", { id: runs });
  assert.equal(await kind(runs), "canceled");
  await until(async () => (await noted("cancelled action ends")) === 1, "the action to end");
  const child = (await call("query", "all")).find((f) => f.args[0].text === "cancelled action schedules");
  assert.equal(child.state.kind, "canceled");
  const over = await schedule(0, "note", { text: "over" });
  await settled(over);
  await call("mutation", "cancel", { id: over });
  assert.deepEqual([await kind(over), await kind(runs)], ["success", "canceled"]);
  await sleep(300);
  assert.deepEqual([await noted("cancelled"), await noted("cancelled action schedules")], [0, 0]);
  const self = await schedule(0, "selfCancel");
  assert.equal((await settled(self)).state.kind, "success");
  assert.equal(await noted("cancelled itself"), 1);
});

// 05 checklist 19
test("administrators cancel one, those of a function, those of a time, all", async () => {
  const admin = (path, body) => server.post(path, body, server.admin());
  const kinds = (ids) => Promise.all(ids.map(kind));
  const text = { text: "not for long" };
  const ids = [await schedule(DAY, "note", text), await schedule(DAY, "bump"), await schedule(2 * DAY, "note", text), await schedule(3 * DAY, "bump"), await schedule(DAY, "note", text)];
  const one = await admin("/api/cancel_job", { id: ids[4], componentId: null });
  assert.deepEqual([one.status, one.text, ...(await kinds(ids))], [200, "", "pending", "pending", "pending", "pending", "canceled"]);
  assert.equal((await admin("/api/cancel_all_jobs", { udfPath: "jobs:bump", startNextTs: (Date.now() + 2.5 * DAY) * 1e6 })).status, 200);
  assert.deepEqual(await kinds(ids), ["pending", "pending", "pending", "canceled", "canceled"]);
  assert.equal((await admin("/api/cancel_all_jobs", { componentId: null, componentPath: "", udfPath: "jobs.js:note" })).status, 200);
  assert.deepEqual(await kinds(ids), ["canceled", "pending", "canceled", "canceled", "canceled"]);
  await admin("/api/cancel_all_jobs", { udfPath: "jobs.js:bump", componentPath: "other" });
  await admin("/api/cancel_all_jobs", { endNextTs: String(Date.now() * 1e6) });
  assert.equal(await kind(ids[1]), "pending");
  assert.equal((await admin("/api/cancel_all_jobs", {})).status, 200);
  assert.equal(await kind(ids[1]), "canceled");
  for (const [path, body, status, code] of [["/api/cancel_job", { id: "nonsense" }, 400, undefined], ["/api/cancel_job", {}, 400, "BadJsonBody"], ["/api/cancel_all_jobs", { udfPath: "a b" }, 400, "InvaildUdfPath"],
    ["/api/cancel_all_jobs", { startNextTs: "x" }, 400, "InvalidStartNextTs"], ["/api/cancel_all_jobs", { endNextTs: 1.5 }, 400, "InvalidEndNextTs"], ["/api/cancel_all_jobs", { componentId: "none" }, 400, "InvalidComponentId"]]) {
    const answer = await admin(path, body);
    assert.deepEqual([answer.status, code && answer.json.code], [status, code], answer.text);
  }
  assert.equal((await server.post("/api/cancel_all_jobs", {})).status, 403);
});

test("the table of jobs is emptied, in steps", async () => {
  await Promise.all([0, 1, 2].map(() => call("mutation", "series", { n: 700, fn: "note" })));
  const later = await schedule(DAY, "note", { text: "never" });
  assert.equal((await server.post("/api/delete_scheduled_functions_table", {}, server.admin())).status, 200);
  await until(async () => (await call("query", "all")).length === 0, "no jobs", 5000);
  assert.equal(await job(later), null);
  await settled(await schedule(0, "note", { text: "afterwards" }));
  assert.equal(await noted("afterwards"), 1);
});

test("a thousand that all want the same row; live queries follow", async () => {
  const socket = new ConvexClient(server.url, { webSocketConstructor: WebSocket, logger: false });
  try {
    let seen = 0;
    socket.onUpdate(anyApi.jobs.count, {}, (n) => (seen = n));
    await call("mutation", "many", { n: 1000 });
    await until(() => seen === 1000, "all of them", 30000);
    await sleep(200);
    assert.equal(seen, 1000);
  } finally {
    await socket.close();
  }
});

test("what came due while the server was down", async () => {
  const ids = [await schedule(200, "note", { text: "overdue" }), await schedule(DAY, "note", { text: "far" })];
  await server.stop();
  await sleep(300);
  await server.start();
  assert.equal((await settled(ids[0])).state.kind, "success");
  assert.deepEqual([await noted("overdue"), await kind(ids[1])], [1, "pending"]);
});

/** Everything is over: no job waits, none runs. */
const quiet = (ms = 30000) => until(async () => (await call("query", "all")).every((f) => !["pending", "inProgress"].includes(f.state.kind) || f.args[0].text === "far"), "all jobs to end", ms);

// 05 checklist 15
test("kill -9: mutations once, actions at most once", async () => {
  const r = random(SEED), accepted = new Set();
  let stop = false, n = 0;
  const writers = Promise.all(Array.from({ length: 8 }, async (_, w) => {
    while (!stop) {
      const text = `k${w}-${n++}`, action = w % 4 === 3;
      await schedule(r.below(200), action ? "act" : "note", action ? { text, ms: r.below(100) } : { text }).then(() => accepted.add(text), () => sleep(20));
    }
  }));
  for (let i = 0; i < KILLS; i++) {
    await sleep(100 + r.below(500));
    await server.kill();
    await server.start();
  }
  stop = true;
  await writers;
  await quiet();
  const counts = new Map(), jobs = await call("query", "all");
  for (const text of await call("query", "notes")) counts.set(text, (counts.get(text) ?? 0) + 1);
  const mine = jobs.filter((f) => /^k\d-\d+$/.test(f.args[0].text ?? "")), there = new Set(mine.map((f) => f.args[0].text));
  assert.deepEqual([...accepted].filter((text) => !there.has(text)), [], "what was acknowledged is scheduled");
  let lost = 0;
  for (const { name, args: [{ text }], state } of mine) {
    const began = counts.get(`${text} begins`) ?? 0, ended = counts.get(`${text} ends`) ?? 0, scheduled = counts.get(`${text} schedules`) ?? 0;
    if (name === "jobs.js:note" && !text.includes(" ")) assert.deepEqual([text, counts.get(text), state.kind], [text, 1, "success"]);
    if (name !== "jobs.js:act") continue;
    assert.ok(began <= 1 && ended <= 1 && scheduled <= 1, `${text}: ${began} ${ended} ${scheduled}`);
    if (state.kind === "success") assert.deepEqual([text, began, ended, scheduled], [text, 1, 1, 1]);
    else assert.deepEqual([text, state], [text, { kind: "failed", error: "Transient error while executing action" }]);
    lost += state.kind !== "success";
  }
  console.log(`# ${KILLS} kills, ${mine.length} jobs, ${lost} actions lost`);
  assert.equal((await server.stop()).code, 0);
  const verified = await server.tool("verify");
  assert.equal(verified.code, 0, verified.all);
});
