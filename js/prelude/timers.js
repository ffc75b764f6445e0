// Timers over the host's one operation "sleep".  Queries, mutations and module evaluation have
// none: the refusal is an unhandled rejection, because the operation sits inside a promise that
// nobody awaits (section 2.5).
import host, { define, startOp } from "./host.js";

let next = 1;
const active = new Map(); // id -> { sleep }

function start(name, handler, ms, args, again) {
  if (typeof handler === "string") {
    host.uncatchable(`${name} with a string handler is not supported`);
  }
  const id = next++;
  ms = Number(ms);
  ms = ms > 0 && ms < Infinity ? ms : 0;
  const timer = { sleep: null };
  active.set(id, timer);
  const run = async () => {
    do {
      timer.sleep = startOp("sleep", { ms, name });
      await timer.sleep.promise;
      timer.sleep = null;
      if (!again) {
        active.delete(id);
      }
      handler.apply(globalThis, args);
    } while (active.has(id));
  };
  run();
  return id;
}

export function setTimeout(handler, ms = 0, ...args) {
  return start("setTimeout", handler, ms, args, false);
}

export function setInterval(handler, ms = 0, ...args) {
  return start("setInterval", handler, ms, args, true);
}

// Its promise never settles: whoever waits inside start() is forgotten.
function clear(id) {
  const timer = active.get(Number(id));
  if (timer !== undefined) {
    active.delete(Number(id));
    timer.sleep?.forget();
  }
}

export function clearTimeout(id) {
  clear(id);
}

export function clearInterval(id) {
  clear(id);
}

define({ setTimeout, setInterval, clearTimeout, clearInterval });
