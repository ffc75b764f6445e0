// Crons with the official CLI and clients (spec 05 section 3, its checklist 20 to 22): when they run, what they leave in
// their logs, what a push changes, and that kill -9 loses and doubles nothing.
//
//   KILLS=4   how often the server is killed
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { App, Server, sleep, until } from "./lib.mjs";

const KILLS = Number(process.env.KILLS ?? 4);

const functions = `
import { internalAction, internalMutation, internalQuery, query } from "./_generated/server"; import { v } from "convex/values";
import { anyApi } from "convex/server";
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const add = (ctx, text) => ctx.db.insert("notes", { text });
export const note = internalMutation({ args: { text: v.string() }, handler: async (ctx, { text }) => {
  console.log("noting", { text }); return await add(ctx, text); } });
export const fails = internalMutation({ args: {}, handler: async (ctx) => { await add(ctx, "never"); throw new Error("on purpose"); } });
export const large = internalMutation({ args: {}, handler: async () => { for (let i = 0; i < 5; i++) console.log("x".repeat(300)); return "y".repeat(2000); } });
export const slow = internalAction({ args: { ms: v.number(), text: v.string() }, handler: async (ctx, { ms, text }) => {
  await ctx.runMutation(anyApi.jobs.note, { text: text + " begins" }); await wait(ms); await ctx.runMutation(anyApi.jobs.note, { text: text + " ends" });
  return { id: await ctx.auth.getUserIdentity(), later: await ctx.scheduler.runAfter(0, anyApi.jobs.note, { text: text + " schedules" }) }; } });
export const read = internalQuery({ args: {}, handler: async () => 1 });
export const notes = query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).map((n) => n.text) });
export const ids = query({ args: { text: v.string() }, handler: async (ctx, { text }) =>
  (await ctx.db.query("notes").collect()).filter((n) => n.text === text).map((n) => n._id) });
`;
const crons = (lines) => `
import { cronJobs, anyApi } from "convex/server"; const crons = cronJobs(), jobs = anyApi.jobs;
${lines}
export default crons;`;

let server, app, http;

const jobs = () => http.query(anyApi["_system/frontend/listCronJobs"].default, {});
const runs = async (name) => (await http.query(anyApi["_system/frontend/listCronJobRuns"].default, {})).filter((r) => r.name === name);
const noted = async (text) => (await http.query(anyApi.jobs.notes, {})).filter((n) => n === text).length;
const push = async (lines) => {
  app.write({ "convex/crons.ts": crons(lines) });
  return (await app.deploy(server)).all;
};
const connect = () => {
  http = new ConvexHttpClient(server.url, { logger: false });
  http.setAdminAuth(server.adminKey);
};

before(async () => {
  server = await new Server({ name: "crons" }).start();
  app = new App({ "convex/jobs.ts": functions });
  connect();
});

after(async () => {
  await server?.remove();
  app?.remove();
});

test("an interval begins at the push and comes again; its rows and logs", async () => {
  const begun = Date.now();
  await push(`crons.interval("every second", { seconds: 1 }, jobs.note, { text: "tick" });`);
  await until(async () => (await noted("tick")) >= 3, "three runs");
  assert.ok(Date.now() - begun > 2000);
  const [job] = await jobs();
  assert.equal(job.name, "every second");
  assert.equal(job.cronSpec.udfPath, "jobs.js:note");
  assert.equal(Buffer.from(job.cronSpec.udfArgs).toString(), `[{"text":"tick"}]`);
  assert.deepEqual(job.cronSpec.cronSchedule, { type: "interval", seconds: 1n });
  assert.deepEqual(job.nextRun.state, { type: "pending" });
  assert.equal(job.nextRun.nextTs - job.nextRun.prevTs, 1_000_000_000n);
  const [log] = await runs("every second");
  assert.equal(log.udfPath, "jobs.js:note");
  assert.equal(log.status.type, "success");
  assert.equal(log.status.result.type, "default");
  assert.ok((await http.query(anyApi.jobs.ids, { text: "tick" })).includes(JSON.parse(log.status.result.value)));
  assert.deepEqual(log.logLines, { logLines: ["[LOG] 'noting' {\n  text: 'tick'\n}"], isTruncated: false });
  assert.ok(log.executionTime > 0 && log.executionTime < 1);
  const lines = await (await fetch(`${server.url}/api/stream_function_logs?cursor=0`, { headers: server.admin() })).json();
  const entry = lines.entries.find((e) => e.identifier === "jobs:note");
  assert.equal(entry.caller, "Cron");
  assert.match(entry.requestId, /^[0-9a-f]{16}$/);
});

test("05 checklist 21: five log rows are kept, and failures are logged", async () => {
  await push(`crons.interval("every second", { seconds: 1 }, jobs.note, { text: "tick" });
    crons.interval("bad", { seconds: 1 }, jobs.fails); crons.interval("large", { seconds: 1 }, jobs.large);`);
  await until(async () => (await runs("bad")).length === 5 && (await noted("tick")) >= 8, "five failures");
  await sleep(1500);
  assert.equal((await runs("every second")).length, 5);
  const bad = await runs("bad");
  assert.equal(bad.length, 5);
  assert.equal(bad[0].status.type, "err");
  assert.match(bad[0].status.error, /^Uncaught Error: on purpose/);
  assert.equal(await noted("never"), 0);
  const [large] = await runs("large");
  assert.deepEqual(large.status, { type: "success", result: { type: "truncated", truncated_log: `"${"y".repeat(999)}` } });
  assert.deepEqual([large.logLines.logLines.length, large.logLines.isTruncated], [3, true]);
});

test("05 checklist 21: runs of a cron never overlap, and what is missed is counted", async () => {
  await push(`crons.interval("slow", { seconds: 1 }, jobs.slow, { ms: 2500, text: "slow" });`);
  await until(async () => (await noted("slow schedules")) >= 2, "two runs", 20000);
  const notes = (await http.query(anyApi.jobs.notes, {})).filter((n) => /^slow (begins|ends)/.test(n));
  notes.forEach((n, i) => assert.equal(n, i % 2 ? "slow ends" : "slow begins"));
  const logs = await runs("slow");
  const ended = logs.find((l) => l.status.type === "success");
  assert.equal(JSON.parse(ended.status.result.value).id, null, "18: nobody is logged in");
  const skipped = logs.find((l) => l.status.type === "canceled");
  assert.equal(skipped.status.num_canceled, 2n);
  assert.equal(skipped.ts - ended.ts, 1_000_000_000n);
});

test("05 checklist 22: what a push changes", async () => {
  const keep = `crons.cron("keep", "0 0 1 1 *", jobs.note, { text: "keep" });`;
  await push(keep + `crons.daily("old", { hourUTC: 3 }, jobs.note, { text: "a" });`);
  const first = await jobs();
  assert.deepEqual(first.map((j) => j.name), ["keep", "old"]);
  assert.equal(first[0].lastRun, null);
  assert.deepEqual(await runs("slow"), [], "the logs go with the cron");

  await push(keep + `crons.daily("new", { hourUTC: 3 }, jobs.note, { text: "b" });`);
  const second = await jobs();
  assert.deepEqual(second.map((j) => j.name), ["keep", "new"]);
  assert.deepEqual(second[0], first[0], "untouched");
  assert.notEqual(second[1].nextRun._id, first[1].nextRun._id);

  await push(keep + `crons.daily("new", { hourUTC: 3 }, jobs.fails);`);
  const third = await jobs();
  assert.deepEqual(third[1].nextRun, second[1].nextRun, "another function: the same time");
  assert.equal(third[1].cronSpec.udfPath, "jobs.js:fails");

  await push(keep + `crons.monthly("new", { day: 28, hourUTC: 3, minuteUTC: 5 }, jobs.fails);`);
  const fourth = await jobs();
  const at = new Date(Number(fourth[1].nextRun.nextTs / 1_000_000n));
  assert.deepEqual([at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes()], [28, 3, 5]);
  assert.equal(fourth[1].nextRun._id, third[1].nextRun._id);
  assert.ok(at > Date.now() && at < Date.now() + 32 * 24 * 3600e3);
});

test("schedules of each kind come at their times", async () => {
  await push(`crons.hourly("hourly", { minuteUTC: 17 }, jobs.note, { text: "" }); crons.daily("daily", { hourUTC: 5, minuteUTC: 9 }, jobs.note, { text: "" });
    crons.weekly("weekly", { dayOfWeek: "tuesday", hourUTC: 5, minuteUTC: 9 }, jobs.note, { text: "" });
    crons.monthly("monthly", { day: 3, hourUTC: 5, minuteUTC: 9 }, jobs.note, { text: "" }); crons.cron("cron", "*/10 * * * *", jobs.note, { text: "" });`);
  const next = Object.fromEntries((await jobs()).map((j) => [j.name, new Date(Number(j.nextRun.nextTs / 1_000_000n))]));
  const parts = (d) => [d.getUTCMinutes(), d.getUTCHours(), d.getUTCDay(), d.getUTCDate()];
  assert.deepEqual(parts(next.hourly).slice(0, 1), [17]);
  assert.deepEqual(parts(next.daily).slice(0, 2), [9, 5]);
  assert.deepEqual(parts(next.weekly).slice(0, 3), [9, 5, 2]);
  assert.deepEqual([next.monthly.getUTCDate(), ...parts(next.monthly).slice(0, 2)], [3, 9, 5]);
  assert.equal(next.cron.getUTCMinutes() % 10, 0);
  const ahead = { hourly: 1 / 24, daily: 1, weekly: 7, monthly: 31, cron: 1 / 144 };
  for (const [name, days] of Object.entries(ahead)) {
    const ms = next[name] - Date.now();
    assert.ok(ms > -1000 && ms <= days * 24 * 3600e3, `${name} in ${ms} ms`);
  }
});

test("kill -9: each run of a mutation is there once, a lost action is not repeated, an overdue cron runs once", async () => {
  await push(`crons.interval("tick", { seconds: 1 }, jobs.note, { text: "killed" });
    crons.interval("act", { seconds: 2 }, jobs.slow, { ms: 1500, text: "act" });`);
  for (let i = 0; i < KILLS; i++) {
    await sleep(800 + Math.random() * 1500);
    await server.kill();
    if (i === 0) await sleep(3500);
    await server.start();
    connect();
    if (i > 0) continue;
    await until(async () => (await runs("tick")).some((l) => l.status.type === "canceled"), "what was missed");
  }
  await until(async () => (await runs("act")).length > 0, "a log of the action");
  await push("");
  const ids = await http.query(anyApi.jobs.ids, { text: "killed" });
  assert.equal(new Set(ids).size, ids.length);
  const begun = await noted("act begins");
  assert.ok((await noted("act ends")) <= begun);
  assert.deepEqual(await jobs(), []);
  await sleep(1500);
  assert.equal((await http.query(anyApi.jobs.ids, { text: "killed" })).length, ids.length, "removed crons are still");
});

test("every log row of the newest runs names a document, across kills", async () => {
  await push(`crons.interval("exact", { seconds: 1 }, jobs.note, { text: "exact" });`);
  for (let i = 0; i < 2; i++) {
    await sleep(1200 + Math.random() * 900);
    await server.kill();
    await server.start();
    connect();
  }
  await until(async () => (await noted("exact")) >= 5, "runs");
  const [ids, logs] = await Promise.all([http.query(anyApi.jobs.ids, { text: "exact" }), runs("exact")]);
  const done = logs.filter((l) => l.status.type === "success").map((l) => JSON.parse(l.status.result.value));
  assert.ok(done.length > 0);
  for (const id of done) assert.ok(ids.includes(id));
  assert.equal(new Set(logs.map((l) => l.ts)).size, logs.length, "no time ran twice");
  await push("");
});
