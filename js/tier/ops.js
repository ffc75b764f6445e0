// Operations that an action waits for (src/isolate/async.h): started here, performed by the server,
// settled when nothing else is left to do.
const { parse, stringify } = JSON;
const NativePromise = Promise;
const NativeError = Error;
const ERRORS = { __proto__: null, Error, TypeError, RangeError };

export function newOps(bridge, state) {
  const waiting = new Map();
  const { get, set, delete: remove } = Map.prototype;
  const { apply } = Reflect;
  let last;

  function start(message, view, text) {
    return new NativePromise((resolve, reject) => {
      last ??= state.request.firstOp;
      const id = ++last;
      bridge.call("start", stringify({ __proto__: null, t: "op", id, some: view !== undefined, ...message }), view);
      apply(set, waiting, [id, { __proto__: null, resolve, reject, text }]);
    });
  }
  function errorOf({ message, data, errorClass }) {
    if (errorClass !== undefined && ERRORS[errorClass] === undefined) {
      return new state.DOMException(message, errorClass);
    }
    const error = new (ERRORS[errorClass] ?? NativeError)(message);
    if (data !== undefined) {
      error.data = parse(data);
    }
    return error;
  }
  return {
    last: () => last ?? 0,
    start: (kind, args, view) => start({ __proto__: null, kind, args }, view, false),
    syscall: (name, args) => start({ __proto__: null, kind: "syscall", name, args }, undefined, true),
    cancel(id) {
      if (apply(remove, waiting, [id])) {
        bridge.send({ __proto__: null, t: "cancel", id });
        bridge.call("forget");
      }
    },
    complete(answer) {
      const op = apply(get, waiting, [answer.id]);
      const bytes = answer.bytes ? bridge.answerBytes() : undefined;
      apply(remove, waiting, [answer.id]);
      if (op === undefined) {
        return;
      }
      if (answer.ok === undefined) {
        op.reject(errorOf(answer));
      } else {
        op.resolve(op.text ? answer.ok : [answer.ok, bytes]);
      }
    },
  };
}
