// What a thrown value looks like outside: text, ConvexError data, frames of the package's modules
// (spec 04 section 2.7).  Nothing here trusts a thrown value: getters may throw, anything may be
// anything.
import { fileURLToPath } from "node:url";
import { types } from "node:util";

const FRAMES_MAX = 40;
const LINE_MAX = 4096; // what is longer is no frame, and costs the expression below dearly
const MESSAGE_MAX = 65536; // of UTF-8, which the server counts

function quietly(fn, otherwise) {
  try {
    return fn();
  } catch {
    return otherwise;
  }
}

function textOf(value) {
  if (typeof value === "function") return quietly(() => String(value), "function");
  if (Array.isArray(value)) return "[object Array]";
  if (typeof value === "object" && value !== null) {
    const name = quietly(() => value.constructor?.name, undefined);
    return `#<${typeof name === "string" && name ? name : "Object"}>`;
  }
  return quietly(() => String(value), "");
}

function isError(value) {
  return quietly(() => types.isNativeError(value) || value instanceof Error, false);
}

function messageOf(thrown) {
  if (!isError(thrown)) return `Uncaught ${textOf(thrown)}`.trimEnd().slice(0, MESSAGE_MAX);
  const name = quietly(() => thrown.name, undefined);
  const message = quietly(() => thrown.message, undefined);
  const parts = [typeof name === "string" ? name : "Error", typeof message === "string" ? message : ""];
  return ["Uncaught", parts.filter(Boolean).join(": ")].filter(Boolean).join(" ").slice(0, MESSAGE_MAX);
}

// "    at async f (file:///…/modules/a.js:3:8)" and "    at file:///…/modules/a.js:3:8".
const FRAME = /^ +at (?:(.*) \()?((?:file:\/\/)?\/.*?):(\d+):(\d+)\)?$/;

/** Frames in modules below `folder`, a path that ends in a slash. */
function framesOf(thrown, folder) {
  const stack = quietly(() => thrown.stack, undefined);
  if (typeof stack !== "string") return [];
  const frames = [];
  for (const line of stack.split("\n")) {
    const match = line.length < LINE_MAX && FRAME.exec(line);
    if (!match || frames.length >= FRAMES_MAX) continue;
    const file = quietly(
      () => (match[2].startsWith("file:") ? fileURLToPath(match[2]) : match[2]),
      "",
    );
    if (!file.startsWith(folder)) continue;
    frames.push({
      func: match[1] ?? "",
      path: file.slice(folder.length),
      line: Number(match[3]),
      col: Number(match[4]),
    });
  }
  return frames;
}

/** {message, frames, data?}: data is JSON text that the npm helper made. */
export function describe(thrown, folder) {
  const described = { message: messageOf(thrown), frames: isError(thrown) ? framesOf(thrown, folder) : [] };
  const isConvexError = quietly(() => thrown[thrown.ConvexErrorSymbol] === true, false);
  if (isConvexError) {
    const data = quietly(() => thrown.data, undefined);
    described.data = typeof data === "string" ? data : "";
  }
  return described;
}
