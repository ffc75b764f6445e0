// What WebAssembly is while a push is analysed: everything that is asked of it is this again.
// Results of analysis are names and validators, which no module computes with it.
import host from "./host.js";

const anything = new Proxy(function () {}, {
  get: (_target, key) => (key === Symbol.toPrimitive ? () => 0 : key === "then" ? undefined : anything),
  apply: () => anything,
  construct: () => anything,
});
host.provideWasm?.(anything);
