// The C functions behind the prelude.  They come as a global that is removed at once, so that
// user code never sees them.
const host = globalThis.__host;
delete globalThis.__host;
export default host;

// What the prelude needs of the engine's own globals while functions run: users may replace theirs.
const { parse, stringify } = JSON;
const NativePromise = Promise;

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

export const inAction = () => host.inAction();

// An asynchronous operation that this environment does not have (section 1.10).
export function refuse(what) {
  throw new Error(host.refusal(what));
}

const REFUSED = { fetch: "fetch()", storageStore: "storage.store()", storageGet: "storage.get()" };

// An operation of the host: [its JSON, its bytes].  started(id) hears its number.
export async function op(kind, args, bytes, started) {
  if (!inAction()) {
    refuse(REFUSED[kind] ?? args.name ?? "ReadableStream");
  }
  const result = host.op(kind, stringify(args), bytes);
  started?.(host.lastOp());
  const [json, data] = await result;
  return [parse(json), data];
}

export function withResolvers() {
  const result = {};
  result.promise = new NativePromise((resolve, reject) => {
    result.resolve = resolve;
    result.reject = reject;
  });
  return result;
}

// The same, for those that may be abandoned: cancel(reason) rejects the promise and stops the work.
export function startOp(kind, args, bytes) {
  const { promise, resolve, reject } = withResolvers();
  let id = 0;
  const settle = async () => {
    try {
      resolve(await op(kind, args, bytes, (n) => (id = n)));
    } catch (e) {
      reject(e);
    }
  };
  settle();
  const forget = () => id > 0 && host.cancelOp(id); // the promise never settles
  const cancel = (reason) => {
    forget();
    reject(reason);
  };
  return { promise, cancel, forget };
}

// A promise that nobody awaits and whose failure nobody wants to hear of.
export async function quietly(promise) {
  try {
    await promise;
  } catch {
    // that is the point
  }
}

// Ends the run: libraries must not swallow it (section 3.6).
export function notImplemented(member, className) {
  host.uncatchable(
    `Not implemented: ${member} for ${className}. Consider calling an action defined in Node.js instead (https://docs.convex.dev/functions/actions).`,
  );
}

// What Object.prototype.toString says, and the name, which bundling may have changed.
export function tag(cls, name) {
  Object.defineProperty(cls, "name", { value: name, configurable: true });
  Object.defineProperty(cls.prototype, Symbol.toStringTag, { value: name, configurable: true });
}

// Members of web classes are enumerable (WebIDL).
const ENUMERABLE = { enumerable: true };
const ORDINARY = new Set(["constructor", "length", "name", "prototype"]);
export function enumerable(cls) {
  for (const target of [cls, cls.prototype]) {
    for (const key of Object.getOwnPropertyNames(target)) {
      if (!ORDINARY.has(key) || (target !== cls && key !== "constructor")) {
        Object.defineProperty(target, key, ENUMERABLE);
      }
    }
  }
}

// Bytes of a BufferSource, in place.
const NativeBytes = Uint8Array;
const { isView } = ArrayBuffer;

export function viewOf(data) {
  if (isView(data)) {
    return new NativeBytes(data.buffer, data.byteOffset, data.byteLength);
  }
  if (isBuffer(data)) {
    return new NativeBytes(data);
  }
  return undefined;
}

// ArrayBuffer.prototype's getter knows a buffer by its nature, whatever its prototype is.
const byteLength = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength").get;
const sharedByteLength = Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength").get;

function isBuffer(data) {
  for (const getter of [byteLength, sharedByteLength]) {
    try {
      getter.call(data);
      return true;
    } catch {
      // not this kind
    }
  }
  return false;
}

export function concat(chunks) {
  if (chunks.length === 1) {
    return chunks[0];
  }
  let size = 0;
  for (const chunk of chunks) {
    size += chunk.length;
  }
  const result = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    result.set(chunk, at);
    at += chunk.length;
  }
  return result;
}

export const wellFormed = (value) => String(value).toWellFormed();
export const encodeText = (text) => host.encode(text);

export const decodeUtf8 = (bytes) => host.decode("utf-8", bytes, false);

// UTF-8 as fetch decodes it: without the byte order mark.
export function decodeText(bytes) {
  const text = decodeUtf8(bytes);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
