// The host object that the prelude is written against (js/prelude/host.js).  What is not here, the
// server does with the isolate's own functions, by their names.
import { newRandom } from "./random.js";

const { isView } = ArrayBuffer;
const { floor } = Math;
const { apply } = Reflect;
const { indexOf } = String.prototype;
const { slice } = Uint8Array.prototype;
const getLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "byteLength").get;
const NativeError = Error;
const ERRORS = { __proto__: null, Error, TypeError, RangeError, SyntaxError };
const LINES_MAX = 300; // of a run; the server keeps fewer

export function newHost(bridge, state, ops, natives) {
  let random;
  let lines = 0;
  state.random = (words) => {
    random = newRandom(words);
  };
  const now = () => {
    if (!state.executing) {
      return state.request?.importMs ?? 0;
    }
    state.observedTime = true;
    return state.action ? bridge.call("now") : state.request.nowMs;
  };
  const host = {
    now,
    realNow: () => bridge.call("now"),
    timeOrigin: () => state.request?.importMs ?? 0,
    performanceNow() {
      if (!state.executing) {
        return 0;
      }
      let ms = now();
      if (state.request.kind !== "query") {
        ms = bridge.call("now");
      }
      ms -= state.request.importMs;
      return ms > 0 ? floor(ms * 10) / 10 : 0;
    },
    random() {
      state.observedRng ||= state.executing;
      return random.number();
    },
    randomBytes(bytes) {
      state.observedRng ||= state.executing;
      random.fill(bytes, apply(getLength, bytes, []));
    },
    asyncValue: () => bridge.call("asyncValue"),
    setAsyncValue: (value) => bridge.call("setAsyncValue", value),
    env(name) {
      const answer = bridge.ask({ __proto__: null, t: "env", name: `${name}`.toWellFormed() });
      if (answer.message !== undefined) {
        throw new NativeError(answer.message);
      }
      return answer.value;
    },
    refusal: (what) =>
      state.action
        ? `${what} unsupported at import time`
        : `Can't use ${what} in queries and mutations. Please consider using an action. See https://docs.convex.dev/functions/actions for more details.`,
    uncatchable: (text) => bridge.call("end", JSON.stringify({ __proto__: null, t: "uncatchable", text: `${text}`.toWellFormed() })),
    log(level, messages) {
      if (lines++ < LINES_MAX) {
        bridge.send({ __proto__: null, t: "log", level, messages: messages.map((m) => m.toWellFormed()) });
      }
    },
    encode(text) {
      text = `${text}`;
      const bytes = new Uint8Array(bridge.call("utf8Size", text));
      bridge.call("utf8Write", text, bytes);
      return bytes;
    },
    encodeInto(text, bytes) {
      const both = bridge.call("utf8Fill", `${text}`, bytes);
      return [floor(both / 2 ** 32), both % 2 ** 32];
    },
    decode(label, bytes, fatal) {
      try {
        return bridge.call("decode", `${label}`, bytes, !!fatal);
      } catch {
        throw new ERRORS.TypeError("The encoded data was not valid for the encoding");
      }
    },
    find: (bytes, wanted, from) => bridge.call("find", bytes, wanted, from),
    provideFiles() {
      // the isolate's own ctx does not exist here
    },
    inAction: () => state.action && state.executing,
    op: (kind, args, bytes) => ops.start(kind, args, bytes),
    lastOp: () => ops.last(),
    cancelOp: (id) => ops.cancel(id),
    newStream: () => bridge.ask({ __proto__: null, t: "newstream" }).id,
    writeStream: (id, bytes, done) =>
      bridge.ask({ __proto__: null, t: "writestream", id, done: !!done, some: bytes !== undefined }, bytes).ok,
    failStream: (id, message) =>
      bridge.send({ __proto__: null, t: "failstream", id, message: `${message}`.toWellFormed() }),
    dropStream: (id) => bridge.send({ __proto__: null, t: "dropstream", id }),
  };
  for (const name of natives) {
    host[name] ??= native(bridge, name, state);
  }
  return host;
}

// --- the isolate's own functions ---

// They take numbers, strings, booleans and Uint8Arrays, some of which they fill, and return one of
// the first three or bytes.
function native(bridge, name, state) {
  return (...args) => {
    const views = [];
    let size = 0;
    const values = args.map((arg) => {
      if (!isView(arg)) {
        return typeof arg === "string" ? arg.toWellFormed() : (arg ?? null);
      }
      views.push(arg);
      size += arg.length;
      return { __proto__: null, b: arg.length };
    });
    const all = new Uint8Array(size);
    let at = 0;
    for (const view of views) {
      all.set(view, at);
      at += view.length;
    }
    const answer = bridge.ask({ __proto__: null, t: "native", name, args: values }, all);
    if (answer.thrown !== undefined) {
      throw errorOf(answer.thrown, state);
    }
    const bytes = bridge.answerBytes();
    at = 0;
    const take = (n) => apply(slice, bytes, [at, (at += n)]);
    for (const i of answer.changed) {
      views[i].set(take(views[i].length));
    }
    return answer.bytes === undefined ? answer.value : answer.buffer ? take(answer.bytes).buffer : take(answer.bytes);
  };
}

function errorOf({ name, message }, state) {
  return ERRORS[name] === undefined ? new state.DOMException(message, name) : new ERRORS[name](message);
}
