// console: nine methods, arguments formatted one by one by object-inspect (section 2.8).
import inspect from "object-inspect";
import host, { define } from "./host.js";

const options = { maxStringLength: 32768, indent: 2, customInspect: true };
const format = (args) => args.map((arg) => inspect(arg, options));

const LEVELS = { debug: "DEBUG", error: "ERROR", info: "INFO", log: "LOG", warn: "WARN" };
const timers = new Map();

function elapsed(label, rest, remove) {
  label = label === undefined ? "default" : String(label);
  const start = timers.get(label);
  if (start === undefined) {
    host.log("WARN", [`Timer '${label}' does not exist`]);
    return;
  }
  if (remove) {
    timers.delete(label);
  }
  host.log("INFO", [`${label}: ${host.realNow() - start}ms`, ...format(rest)]);
}

const console = {};
for (const [name, level] of Object.entries(LEVELS)) {
  console[name] = {
    [name](...args) {
      host.log(level, format(args));
    },
  }[name];
}
Object.assign(console, {
  trace(...args) {
    const messages = format(args);
    messages.push("\n" + new Error().stack);
    host.log("LOG", messages);
  },
  time(label) {
    label = label === undefined ? "default" : String(label);
    if (timers.has(label)) {
      host.log("WARN", [`Timer '${label}' already exists`]);
      return;
    }
    timers.set(label, host.realNow());
  },
  timeLog(label, ...rest) {
    elapsed(label, rest, false);
  },
  timeEnd(label, ...rest) {
    elapsed(label, rest, true);
  },
});
define({ console });
