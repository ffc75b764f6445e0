// FormData, and multipart/form-data both ways (sections 3.5 and 5.2).
import host, { decodeText, decodeUtf8, define, encodeText, enumerable, inAction, refuse, tag, wellFormed } from "./host.js";
import { Blob, fileOf, isBlob, isFile, renamed } from "./blob.js";
import { URLSearchParams } from "./url.js";

const MULTIPART_MAX = 20 * 1024 * 1024;

class FormData {
  #entries = [];
  constructor(form) {
    if (form !== undefined) {
      throw new TypeError("Failed to construct 'FormData': parameter 1 is not of type 'HTMLFormElement'.");
    }
  }
  static #entry(method, args) {
    let [name, value, filename] = args;
    if (args.length < 2) {
      throw new TypeError(
        `Failed to execute '${method}' on 'FormData': 2 arguments required, but only ${args.length} present.`,
      );
    }
    if (!isBlob(value)) {
      if (args.length > 2) {
        throw new TypeError(`Failed to execute '${method}' on 'FormData': parameter 2 is not of type 'Blob'.`);
      }
      return [wellFormed(name), wellFormed(value)];
    }
    if (filename !== undefined) {
      value = renamed(value, filename);
    } else if (!isFile(value)) {
      value = renamed(value, "blob");
    }
    return [wellFormed(name), value];
  }
  append(...args) {
    this.#entries.push(FormData.#entry("append", args));
  }
  delete(name) {
    name = wellFormed(name);
    this.#entries = this.#entries.filter(([n]) => n !== name);
  }
  get(name) {
    name = wellFormed(name);
    return this.#entries.find(([n]) => n === name)?.[1] ?? null;
  }
  getAll(name) {
    name = wellFormed(name);
    return this.#entries.filter(([n]) => n === name).map(([, v]) => v);
  }
  has(name) {
    name = wellFormed(name);
    return this.#entries.some(([n]) => n === name);
  }
  set(...args) {
    const entry = FormData.#entry("set", args);
    const at = this.#entries.findIndex(([n]) => n === entry[0]);
    if (at < 0) {
      this.#entries.push(entry);
      return;
    }
    this.#entries = this.#entries.filter(([n], i) => i <= at || n !== entry[0]);
    this.#entries[at] = entry;
  }
  forEach(callback, thisArg) {
    for (const [name, value] of this) {
      callback.call(thisArg, value, name, this);
    }
  }
  *entries() {
    for (let i = 0; i < this.#entries.length; i++) {
      const [name, value] = this.#entries[i];
      yield [name, value];
    }
  }
  *keys() {
    for (const [name] of this.entries()) {
      yield name;
    }
  }
  *values() {
    for (const [, value] of this.entries()) {
      yield value;
    }
  }
}
enumerable(FormData);
define({ [Symbol.iterator]: FormData.prototype.entries }, FormData.prototype);
tag(FormData, "FormData");
define({ FormData });
export { FormData };

const newlines = (text) => text.replace(/\r\n?|\n/g, "\r\n");
const quoted = (text) => text.replace(/\r\n?|\n/g, "%0D%0A").replace(/"/g, "%22");

// The form as a body, its type included.
export function multipartOf(form) {
  let boundary = "----convex-form-";
  for (let i = 0; i < 4; i++) {
    boundary += Math.floor(host.random() * 0x10000).toString(16).padStart(4, "0");
  }
  const parts = [];
  for (const [name, value] of form) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(newlines(name))}"`;
    if (typeof value === "string") {
      parts.push(`${head}\r\n\r\n${newlines(value)}\r\n`);
    } else {
      head += `; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}`;
      parts.push(`${head}\r\n\r\n`, value, "\r\n");
    }
  }
  parts.push(`--${boundary}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

const malformed = (why) => new TypeError(`Failed to parse multipart form: ${why}`);

// `name="value"` parameters of a header, escapes of browsers undone.
function parametersOf(header) {
  const result = new Map();
  for (const m of header.matchAll(/;\s*([^\s=;]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;]*))/g)) {
    const value = m[2] === undefined ? m[3].trim() : m[2].replace(/\\(["\\])/g, "$1");
    const name = m[1].toLowerCase();
    if (!result.has(name)) {
      result.set(name, value);
    }
  }
  return result;
}

const unescaped = (text) =>
  text.replace(/%0d%0a/gi, "\r\n").replace(/%0a/gi, "\n").replace(/%0d/gi, "\r").replace(/%22/g, '"');

function extendedName(text) {
  const m = /^utf-8'[^']*'(.*)$/i.exec(text ?? "");
  try {
    return m ? decodeURIComponent(m[1]) : undefined;
  } catch {
    return undefined;
  }
}

function addPart(form, head, bytes) {
  const headers = new Map();
  for (const line of decodeText(head).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) {
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
  }
  const disposition = headers.get("content-disposition") ?? "";
  const parameters = parametersOf(disposition);
  const name = parameters.get("name");
  if (!/^form-data\s*(;|$)/i.test(disposition) || name === undefined) {
    throw malformed("a part has no name");
  }
  const filename = extendedName(parameters.get("filename*")) ?? parameters.get("filename");
  if (filename === undefined) {
    form.append(unescaped(name), decodeText(bytes));
  } else {
    const type = headers.get("content-type") ?? "text/plain";
    form.append(unescaped(name), fileOf(bytes.slice(), unescaped(filename), type));
  }
}

const CRLF = encodeText("\r\n");
const BLANK_LINE = encodeText("\r\n\r\n");
const DASHES = 0x2d;

function parseMultipart(bytes, boundary) {
  const form = new FormData();
  const first = encodeText(`--${boundary}`);
  const delimiter = encodeText(`\r\n--${boundary}`);
  let at = host.find(bytes, first, 0);
  if (at < 0) {
    throw malformed("the boundary does not occur");
  }
  at += first.length;
  while (bytes[at] !== DASHES || bytes[at + 1] !== DASHES) {
    const line = host.find(bytes, CRLF, at); // blanks may follow a boundary
    const blank = line < 0 ? -1 : host.find(bytes, BLANK_LINE, line);
    const end = blank < 0 ? -1 : host.find(bytes, delimiter, blank + 2);
    if (end < 0) {
      throw malformed("it ends too early");
    }
    addPart(form, bytes.subarray(line + 2, blank), bytes.subarray(Math.min(blank + 4, end), end));
    at = end + delimiter.length;
  }
  return form;
}

// What formData() makes of a body.
export async function formFrom(contentType, className, readBytes) {
  const essence = contentType.split(";")[0].trim().toLowerCase();
  if (essence === "application/x-www-form-urlencoded") {
    const form = new FormData();
    for (const [name, value] of new URLSearchParams(decodeUtf8(await readBytes()))) {
      form.append(name, value);
    }
    return form;
  }
  const boundary = parametersOf(contentType).get("boundary");
  if (essence !== "multipart/form-data" || !boundary) {
    throw new TypeError(
      `Failed to execute 'formData' on '${className}': the content type is not that of a form`,
    );
  }
  if (!inAction()) {
    refuse("formData()");
  }
  const bytes = await readBytes();
  if (bytes.length > MULTIPART_MAX) {
    throw new Error(`InvalidMultiPartForm: the form is too large (actual: ${bytes.length} bytes, limit: ${MULTIPART_MAX} bytes)`);
  }
  return parseMultipart(bytes, boundary);
}
