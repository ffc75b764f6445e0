// Timers.  Queries, mutations and module evaluation have none: the refusal is an unhandled
// rejection, because the host's operation sits inside a promise that nobody awaits (section 2.5).
import host, { define, refuse } from "./host.js";

let next = 1;

function start(name, handler) {
  if (typeof handler === "string") {
    host.uncatchable(`${name} with a string handler is not supported`);
  }
  (async () => refuse(name))();
  return next++;
}

export function setTimeout(handler, _ms, ..._args) {
  return start("setTimeout", handler);
}

function setInterval(handler, _ms, ..._args) {
  return start("setInterval", handler);
}

function clearTimeout(_id) {}
function clearInterval(_id) {}

define({ setTimeout, setInterval, clearTimeout, clearInterval });
