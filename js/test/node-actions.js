// The actions that test/unit/node/executor_test.c runs in Node.js, with a helper like that of npm.
import { readFileSync } from 'node:fs';

const action = (handler, more) => Object.assign(() => {}, {
  isAction: true, isPublic: true, _handler: handler,
  exportArgs: () => '{"type":"any"}', exportReturns: () => 'null',
  invokeAction: async (requestId, args) =>
    JSON.stringify((await handler(...JSON.parse(args), requestId)) ?? null),
  ...more });
const call = async (name, args) =>
  JSON.parse(await Convex.asyncSyscall(name, JSON.stringify(args)));

let runs = 0;
const evaluated = process.env.WHO;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
export const echo = action(async (x) => x);
export const count = action(async () => ++runs);
export const pid = action(async () => process.pid);
export const env = action(async () => [evaluated, process.env.WHO, process.env.HOME ?? 'none']);
export const globals = action(async () => [typeof require, typeof module, typeof exports,
  __filename.startsWith(__dirname), require('node:path').sep, typeof readFileSync]);
export const say = action(async () => { console.log('a', { b: [1] }); console.error(new Map()); });
export const flood = action(async () => { for (let i = 0; i < 300; i++) console.log(i); });
export const large = action(async () => {
  for (let i = 0; i < 200; i++) console.log('x'.repeat(9000)); });
export const nested = action(async (x, id) => await call('1.0/actions/mutation', { x, requestId: id }));
export const data = action(async () => {
  try { await call('1.0/data', {}); } catch (e) { return [e.message, e.data]; } });
export const unknown = action(async () => await call('1.0/nothing', {}));
export const fails = action(async () => { throw new RangeError('boom'); });
export const throwsText = action(async () => { throw 'text'; });
export const throwsObject = action(async () => { throw { a: 1 }; });
export const throwsTrap = action(async () => { throw { get name() { throw 1; }, get [Symbol.toPrimitive]() { throw 2; } }; });
const mark = Symbol.for('ConvexError');
class ConvexError extends Error { name = 'ConvexError'; ConvexErrorSymbol = mark; [mark] = true;
  constructor(data) { super(String(data)); this.data = data; } }
export const convexError = action(async () => { throw new ConvexError('{"code":7}'); });
export const badConvexError = action(async () => { throw new ConvexError('{'); });
export const rejects = action(async () => { void Promise.reject(new Error('stray')); await sleep(50); });
export const rejectsLate = action(async () => { void Promise.reject(new Error('late')); });
export const raises = action(async () => { setTimeout(() => { throw new Error('raised'); }, 1); await sleep(500); });
export const exits = action(async () => { process.exit(3); });
export const exitsPlainly = action(async () => { process.exit(); });
export const dies = action(async () => { process.kill(process.pid, 'SIGKILL'); await sleep(5000); });
export const dangles = action(async () => { void call('1.0/never', {}); void call('1.0/storageGetUrl', {}); await 1; });
export const hangs = action(async () => { await new Promise(() => {}); });
export const spins = action(async () => { for (;;); });
export const sleeps = action(async (ms) => { await sleep(ms); return ms; });
let kept;
export const keeps = action(async (_x, id) => { kept = id; });
export const uses = action(async () => {
  try { await call('1.0/actions/mutation', { requestId: kept }); } catch (e) { return e.message; } });
export const stores = action(async (n) => await Convex.jsSyscall('storage/storeBlob',
  { blob: new Blob([new Uint8Array(n)], { type: 'a/b' }) }));
export const storesText = action(async () => await Convex.jsSyscall('storage/storeBlob', { blob: 'x' }));
export const loads = action(async () => { const b = await Convex.jsSyscall('storage/getBlob',
  { storageId: 'kg1' }); return [await b.text(), b.type, b.size]; });
export const nothing = action(async () => undefined);
export const notJson = Object.assign(action(async () => 1), { invokeAction: async () => 'x{' });
export const manyOps = action(async () => { for (let i = 0; i < 1001; i++) call('1.0/never', {}).catch(() => {});
  try { await call('1.0/never', {}); } catch (e) { return e.message; } });
export const halves = action(async () => { console.log({ [Symbol.for('nodejs.util.inspect.custom')]: () => '\ud800' });
  throw new Error('half \udc00'); });
export const longError = action(async () => { throw new Error('    at ' + '('.repeat(1 << 20)); });
export const plain = 1;
