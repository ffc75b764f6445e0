// The C functions behind the prelude.  They come as a global that is removed at once, so that
// user code never sees them.
const host = globalThis.__host;
delete globalThis.__host;
export default host;

// Globals as the web defines them: writable, configurable, not enumerable.
export function define(members, target = globalThis) {
  for (const key of Reflect.ownKeys(members)) {
    Object.defineProperty(target, key, {
      value: members[key],
      writable: true,
      enumerable: false,
      configurable: true,
    });
  }
}

// An asynchronous operation that this environment does not have (section 1.10).
export function refuse(what) {
  throw new Error(host.refusal(what));
}

// Ends the run: libraries must not swallow it (section 3.6).
export function notImplemented(member, className) {
  host.uncatchable(
    `Not implemented: ${member} for ${className}. Consider calling an action defined in Node.js instead (https://docs.convex.dev/functions/actions).`,
  );
}

export function tag(cls, name) {
  Object.defineProperty(cls.prototype, Symbol.toStringTag, { value: name, configurable: true });
}
