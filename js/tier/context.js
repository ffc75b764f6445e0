// Evaluated in each new context, before the prelude: makes the host object (js/prelude/host.js) and
// `Convex` over the bridge, and adds what the isolate's engine has and V8 does not.
//
// Everything here belongs to the context.  The bridge's functions belong to Node's realm: they are
// called through call(), so that not even their exceptions come out, and are seen by nobody else.
// User code may replace any global and any method of a prototype; nothing here depends on those
// after set-up, or else only the user's own function suffers.
import { addGlobals } from "./globals.js";
import { findRoute, runRequest } from "./http.js";
import { newConvex } from "./convex.js";
import { newHost } from "./host.js";
import { newOps } from "./ops.js";
import { describe } from "./thrown.js";

const { apply } = Reflect;
const { parse, stringify } = JSON;
const NativePromise = Promise;
const { then } = Promise.prototype;
const ERRORS = { __proto__: null, Error, TypeError, RangeError, SyntaxError };

function call(fn, a, b, c) {
  try {
    return fn(a, b, c);
  } catch {
    throw new ERRORS.RangeError("Maximum call stack size exceeded");
  }
}

export default function setUp(functions, natives) {
  const state = {
    __proto__: null,
    executing: false,
    action: false,
    request: undefined,
    observedTime: false,
    observedRng: false,
    entry: undefined,
    fn: undefined,
    route: undefined,
    promise: undefined,
    outcome: "new",
    result: undefined,
  };
  const bridge = {
    __proto__: null,
    send: (message, view) => call(functions.send, stringify(message), view),
    ask: (message, view) => parse(call(functions.ask, stringify(message), view)),
    answerBytes() {
      const bytes = new Uint8Array(call(functions.answerSize));
      call(functions.takeAnswer, bytes);
      return bytes;
    },
    call: (name, a, b, c) => call(functions[name], a, b, c),
  };
  const ops = newOps(bridge, state);
  globalThis.__host = newHost(bridge, state, ops, natives.split(" "));
  globalThis.Convex = newConvex(bridge, state, ops);
  Object.defineProperty(globalThis, "Convex", { enumerable: false });
  addGlobals(bridge, state);

  const settled = (outcome) => (result) => {
    state.outcome = outcome;
    state.result = result;
  };
  const metaPrototype = new Proxy(
    {},
    {
      get() {
        throw new ERRORS.TypeError("import.meta unsupported");
      },
    },
  );
  const setPrototypeOf = Object.setPrototypeOf;
  return {
    __proto__: null,
    ready() {
      // the prelude is there
    },
    begin(json) {
      state.request = parse(json);
      state.action = state.request.kind === "action" || state.request.kind === "http";
      state.random(state.request.importState);
    },
    error: (name, text) => new ERRORS[name](text),
    giveImported(meta) {
      meta.imported = (namespace) => {
        state.entry = namespace;
      };
    },
    spoilMeta(meta) {
      setPrototypeOf(meta, metaPrototype);
    },
    imported: () => state.entry !== undefined,
    // "ok", what the export is instead, or "thrown": see describeOutcome().
    find(name) {
      const kind = state.request.kind;
      if (kind === "http") {
        return findRoute(state);
      }
      let fn;
      try {
        fn = state.entry[name];
      } catch {
        return "absent"; // never initialised
      }
      if (!(name in state.entry)) {
        return "absent";
      }
      const has = (key) => ((typeof fn === "object" && fn !== null) || typeof fn === "function") && key in fn;
      state.fn = fn;
      const is = { __proto__: null, query: has("isQuery"), mutation: has("isMutation"), action: has("isAction") };
      return is[kind] ? "ok" : is.query ? "query" : is.mutation ? "mutation" : "other";
    },
    route: () => (typeof state.route === "string" ? state.route.toWellFormed() : undefined),
    executing: () => state.executing,
    execute(args) {
      const { kind, state: random } = state.request;
      const helper = { __proto__: null, query: "invokeQuery", mutation: "invokeMutation", action: "invokeAction" }[kind];
      state.executing = true;
      state.random(random);
      try {
        if (kind === "http") {
          state.promise = runRequest(state, args);
          return;
        }
        const fn = state.fn[helper];
        state.promise =
          kind === "action" ? apply(fn, globalThis, ["dummy_request_id", args]) : apply(fn, globalThis, [args]);
      } catch (e) {
        state.outcome = "thrown";
        state.result = e;
      }
    },
    // Looks at the promise only when the first rejections are known, because looking handles one.
    outcome() {
      if (state.outcome === "new") {
        state.outcome = "pending";
        try {
          apply(then, state.promise, [settled("value"), settled("thrown")]);
        } catch {
          state.outcome = "value"; // it is no promise
          state.result = state.promise;
        }
        return "new";
      }
      return state.outcome;
    },
    tell: () => state.tell(),
    describe: (thrown) => describe(thrown),
    describeOutcome: () => describe(state.result),
    // What is no text is left out of the message.
    response: () => (typeof state.result === "string" ? state.result.toWellFormed() : undefined),
    value: () => (typeof state.result === "string" ? `${state.result}`.toWellFormed() : "undefined"),
    complete: (json) => ops.complete(parse(json)),
    observed: () => stringify({ __proto__: null, time: state.observedTime, rng: state.observedRng }),
  };
}
