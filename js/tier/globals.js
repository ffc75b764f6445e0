// Globals that the isolate's engine has and a bare V8 context does not, and what must not be there.
import "./newer.js";

const NAMES = {
  __proto__: null,
  IndexSizeError: 1,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
};
const CODES = {
  INDEX_SIZE_ERR: 1,
  DOMSTRING_SIZE_ERR: 2,
  HIERARCHY_REQUEST_ERR: 3,
  WRONG_DOCUMENT_ERR: 4,
  INVALID_CHARACTER_ERR: 5,
  NO_DATA_ALLOWED_ERR: 6,
  NO_MODIFICATION_ALLOWED_ERR: 7,
  NOT_FOUND_ERR: 8,
  NOT_SUPPORTED_ERR: 9,
  INUSE_ATTRIBUTE_ERR: 10,
  INVALID_STATE_ERR: 11,
  SYNTAX_ERR: 12,
  INVALID_MODIFICATION_ERR: 13,
  NAMESPACE_ERR: 14,
  INVALID_ACCESS_ERR: 15,
  VALIDATION_ERR: 16,
  TYPE_MISMATCH_ERR: 17,
  SECURITY_ERR: 18,
  NETWORK_ERR: 19,
  ABORT_ERR: 20,
  URL_MISMATCH_ERR: 21,
  QUOTA_EXCEEDED_ERR: 22,
  TIMEOUT_ERR: 23,
  INVALID_NODE_TYPE_ERR: 24,
  DATA_CLONE_ERR: 25,
};

function hidden(target, members) {
  for (const key of Object.keys(members)) {
    Object.defineProperty(target, key, {
      value: members[key],
      writable: true,
      enumerable: false,
      configurable: true,
    });
  }
}

// An error by its prototype chain and its stack, as in the isolate's engine.
class DOMException {
  #name;
  #message;
  constructor(message = "", options = "Error") {
    const given = typeof options === "object" && options !== null;
    this.#message = `${message}`;
    this.#name = given ? `${options.name ?? "Error"}` : `${options}`;
    if (given && "cause" in options) {
      hidden(this, { cause: options.cause });
    }
    Error.captureStackTrace(this, DOMException);
  }
  get name() {
    return this.#name;
  }
  get message() {
    return this.#message;
  }
  get code() {
    return NAMES[this.#name] ?? 0;
  }
}
Object.setPrototypeOf(DOMException.prototype, Error.prototype);
for (const key of ["name", "message", "code"]) {
  Object.defineProperty(DOMException.prototype, key, { enumerable: true });
}
for (const target of [DOMException, DOMException.prototype]) {
  for (const key of Object.keys(CODES)) {
    Object.defineProperty(target, key, { value: CODES[key], enumerable: true });
  }
}
Object.defineProperty(DOMException, "name", { value: "DOMException", configurable: true }); // bundling changed it
Object.defineProperty(DOMException.prototype, Symbol.toStringTag, { value: "DOMException", configurable: true });

const { toLatin1 } = {
  toLatin1(text, what) {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) > 255) {
        throw new DOMException(`${what}: the string has a character outside of Latin1`, "InvalidCharacterError");
      }
    }
    return text;
  },
};

// WebAssembly without other threads: results that depend on nothing but the program.
function tameWebAssembly(scope) {
  const { Module, Instance } = scope;
  const api = {
    async compile(bytes) {
      return new Module(bytes);
    },
    async instantiate(source, imports) {
      if (source instanceof Module) {
        return new Instance(source, imports);
      }
      const module = new Module(source);
      return { module, instance: new Instance(module, imports) };
    },
  };
  hidden(scope, api);
  delete scope.compileStreaming;
  delete scope.instantiateStreaming;
}

export function addGlobals(bridge, state) {
  const { resolve } = Promise;
  const { then } = Promise.prototype;
  const { apply } = Reflect;
  const NativePromise = Promise;
  hidden(globalThis, {
    DOMException,
    atob(data) {
      const text = `${data}`.replace(/[\t\n\f\r ]/g, "");
      const core = text.length % 4 === 0 ? text.replace(/==?$/, "") : text;
      if (core.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(core)) {
        throw new DOMException("The string to be decoded is not correctly encoded.", "InvalidCharacterError");
      }
      return bridge.call("latin1OfBase64", core);
    },
    btoa(data) {
      return bridge.call("base64OfLatin1", toLatin1(`${data}`, "btoa"));
    },
    queueMicrotask(callback) {
      if (typeof callback !== "function") {
        throw new TypeError("not a function");
      }
      apply(then, apply(resolve, NativePromise, []), [() => callback()]);
    },
  });
  state.DOMException = DOMException;
  hidden(Atomics, {
    wait() {
      throw new TypeError("cannot block in this thread");
    },
  });
  delete Atomics.waitAsync;
  if (ArrayBuffer.prototype.transfer === undefined) {
    addTransfer(bridge);
  }
  if (globalThis.WebAssembly !== undefined) {
    tameWebAssembly(WebAssembly);
  }
  mapStacks(bridge);
}

// ArrayBuffer.prototype.transfer(): a copy, and the original is detached by Node's realm.
function addTransfer(bridge) {
  const NativeArrayBuffer = ArrayBuffer;
  const { min, trunc } = Math;
  const length = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength").get;
  const { apply } = Reflect;
  function move(buffer, size) {
    const old = apply(length, buffer, []);
    const n = size === undefined ? old : trunc(Number(size)) || 0;
    const from = new Uint8Array(buffer, 0, min(old, n));
    const result = new NativeArrayBuffer(n);
    new Uint8Array(result).set(from);
    bridge.call("detach", buffer);
    return result;
  }
  hidden(ArrayBuffer.prototype, {
    transfer(newLength) {
      return move(this, newLength);
    },
    transferToFixedLength(newLength) {
      return move(this, newLength);
    },
  });
}

// error.stack: frames only, through source maps (spec 04 section 2.7).  V8 asks for it when somebody
// looks at it.  A function of the user's, if there is one, gets the call sites as ever.
function mapStacks(bridge) {
  const NativeError = Error;
  const LINES_MAX = 64;
  let users;
  function line(site) {
    const file = site.getFileName() ?? site.getScriptNameOrSourceURL();
    const name = site.getFunctionName();
    const shown = `${site.isAsync() ? "async " : ""}${site.isConstructor() ? "new " : ""}${name ?? "<anonymous>"}`;
    if (typeof file !== "string" || file === "") {
      return `    at ${shown} (native)\n`;
    }
    return file.startsWith("convex:/")
      ? `    at ${shown} (${file}:${site.getLineNumber()}:${site.getColumnNumber()})\n`
      : "";
  }
  function prepare(error, sites) {
    if (typeof users === "function") {
      return users(error, sites);
    }
    let raw = "";
    for (let i = 0; i < sites.length && i < LINES_MAX; i++) {
      raw += line(sites[i]);
    }
    return raw === "" ? "" : bridge.ask({ __proto__: null, t: "frames", raw: raw.toWellFormed() }).text;
  }
  Object.defineProperty(NativeError, "prepareStackTrace", {
    get: () => prepare,
    set: (value) => {
      users = value;
    },
    enumerable: false,
    configurable: false,
  });
}
