// What the modules of a package register (spec 04 sections 2.2 and 10.3).
import { Session } from "node:inspector";
import { describe } from "./errors.js";

class Refused extends Error {}

// Where functions begin: the engine's debugger knows it exactly.
class Positions {
  #session = new Session();
  #urls = new Map();

  constructor() {
    this.#session.connect();
    this.#session.on("Debugger.scriptParsed", ({ params }) => this.#urls.set(params.scriptId, params.url));
    this.#session.post("Debugger.enable");
  }

  #post(method, params) {
    let result;
    this.#session.post(method, params, (error, value) => {
      result = error ? {} : value;
    });
    return result ?? {};
  }

  of(fn, url) {
    const name = `__position_${process.pid}`;
    globalThis[name] = fn;
    const { result } = this.#post("Runtime.evaluate", { expression: `globalThis.${name}` });
    delete globalThis[name];
    const { internalProperties } = this.#post("Runtime.getProperties", {
      objectId: result?.objectId,
      ownProperties: true,
    });
    const at = internalProperties?.find((p) => p.name === "[[FunctionLocation]]")?.value?.value;
    if (!at || this.#urls.get(at.scriptId) !== url) return null;
    return { line: at.lineNumber, col: at.columnNumber };
  }

  close() {
    this.#session.disconnect();
  }
}

function kindOf(value) {
  const kinds = [
    ["isQuery", "Query"],
    ["isMutation", "Mutation"],
    ["isAction", "Action"],
  ].filter(([mark]) => mark in value);
  return kinds.length === 1 ? kinds[0][1] : null;
}

function exported(value, method, where) {
  const fn = value[method];
  if (fn === undefined) return null;
  if (typeof fn !== "function") throw new Refused(`${where}.${method} is not a function or \`undefined\`.`);
  const text = fn.call(value);
  if (typeof text !== "string")
    throw new Refused(`Invalid ${method} return value: ${where}.${method}() didn't return a string.`);
  return text;
}

function lookAt(name, value, path, url, positions) {
  const kind = kindOf(value);
  if (!kind || ("isPublic" in value && "isInternal" in value)) return null;
  if (kind !== "Action")
    throw new Refused(
      `\`${name}\` defined in \`${path}\` is a ${kind} function. Only actions can be defined in Node.js. ` +
        "See https://docs.convex.dev/functions/actions for more details.",
    );
  const handler = value._handler === undefined ? value : value._handler;
  if (typeof handler !== "function") throw new Refused(`\`${path}:${name}\`.handler is not a function.`);
  return {
    name,
    pos: positions.of(handler, url),
    visibility: "isPublic" in value ? "public" : "isInternal" in value ? "internal" : null,
    args: exported(value, "exportArgs", `${path}:${name}`),
    returns: exported(value, "exportReturns", `${path}:${name}`),
  };
}

async function analyzeModule(path, load, positions) {
  const { namespace, url } = await load(path);
  const functions = [];
  for (const name of Object.keys(namespace)) {
    const value = namespace[name];
    if (value === null || (typeof value !== "object" && typeof value !== "function")) continue;
    const found = lookAt(name, value, path, url, positions);
    if (found) functions.push(found);
  }
  return functions;
}

/** {ok: true, modules: {path: [...]}} or {ok: false, path, message, frames}. */
export async function analyze(paths, load, folder) {
  const positions = new Positions();
  const modules = {};
  try {
    for (const path of paths) {
      try {
        modules[path] = await analyzeModule(path, load, positions);
      } catch (error) {
        if (error instanceof Refused) return { ok: false, path, message: error.message, frames: [] };
        return { ok: false, path, ...describe(error, folder) };
      }
    }
    return { ok: true, modules };
  } finally {
    positions.close();
  }
}
