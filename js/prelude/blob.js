// Blob and File (section 3.5; no bytes()).  A blob is a list of parts: bytes, shared and never
// changed, or a range of a stream of the host's, which can be read once.
import host, { concat, decodeText, define, encodeText, enumerable, tag, viewOf, wellFormed } from "./host.js";
import { pieces, readAll, streamOf } from "./hoststream.js";

const key = Symbol();
let partsOf;

const sizeOf = (part) => (part.bytes ? part.bytes.length : part.end - part.start);
const typeOf = (type) => (/[^\x20-\x7e]/.test(type) ? "" : type.toLowerCase());

function partsFrom(value, endings) {
  if (isBlob(value)) {
    return partsOf(value);
  }
  const view = viewOf(value);
  if (view !== undefined) {
    return [{ bytes: view.slice() }];
  }
  let text = wellFormed(value);
  if (endings === "native") {
    text = text.replace(/\r\n?/g, "\n");
  }
  return [{ bytes: encodeText(text) }];
}

function allParts(sequence, endings) {
  if (
    (typeof sequence !== "object" && typeof sequence !== "function") ||
    sequence === null ||
    typeof sequence[Symbol.iterator] !== "function"
  ) {
    throw new TypeError("Failed to construct 'Blob': The provided value cannot be converted to a sequence.");
  }
  const parts = [];
  for (const value of sequence) {
    for (const part of partsFrom(value, endings)) {
      if (sizeOf(part) > 0) {
        parts.push(part);
      }
    }
  }
  return parts;
}

function cut(parts, start, end) {
  const result = [];
  let at = 0;
  for (const part of parts) {
    const size = sizeOf(part);
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, size);
    if (from < to) {
      result.push(
        part.bytes
          ? { bytes: part.bytes.subarray(from, to) }
          : { once: part.once, start: part.start + from, end: part.start + to },
      );
    }
    at += size;
  }
  return result;
}

function takeSource({ once }) {
  if (once.used) {
    throw new TypeError("Can't re-read streaming Blob");
  }
  once.used = true;
  return once.source;
}

async function* partChunks(part) {
  if (part.bytes) {
    yield* pieces(part.bytes);
    return;
  }
  const source = takeSource(part);
  let at = 0;
  for (let bytes; at < part.end && (bytes = await source.read()) !== null; ) {
    const chunk = bytes.subarray(Math.max(part.start - at, 0), part.end - at);
    at += bytes.length;
    if (chunk.length > 0) {
      yield chunk;
    }
  }
  source.drop();
}

async function* chunksOf(parts) {
  for (const part of parts) {
    yield* partChunks(part);
  }
}

async function bytesOf(parts) {
  const chunks = [];
  for (const part of parts) {
    if (part.bytes) {
      chunks.push(part.bytes);
      continue;
    }
    const all = concat(await readAll(takeSource(part)));
    chunks.push(all.subarray(part.start, part.end));
  }
  return concat(chunks);
}

class Blob {
  #parts;
  #size = 0;
  #type;
  static {
    partsOf = (blob) => blob.#parts;
    Blob.isBlob = (value) => typeof value === "object" && value !== null && #parts in value;
  }
  constructor(sequence, options, parts) {
    if (options !== undefined && options !== null && typeof options !== "object" && typeof options !== "function") {
      throw new TypeError("Failed to construct 'Blob': The provided value is not of type 'BlobPropertyBag'.");
    }
    if (sequence === key) {
      this.#parts = parts;
    } else {
      this.#parts = sequence === undefined ? [] : allParts(sequence, options?.endings);
    }
    this.#type = typeOf(String(options?.type ?? ""));
    for (const part of this.#parts) {
      this.#size += sizeOf(part);
    }
  }
  get size() {
    return this.#size;
  }
  get type() {
    return this.#type;
  }
  slice(start = 0, end = this.#size, type = "") {
    const clamp = (n) => {
      n = Math.trunc(Number(n)) || 0;
      return n < 0 ? Math.max(this.#size + n, 0) : Math.min(n, this.#size);
    };
    return new Blob(key, { type: String(type) }, cut(this.#parts, clamp(start), clamp(end)));
  }
  stream() {
    return streamOf(chunksOf(this.#parts));
  }
  async arrayBuffer() {
    return (await bytesOf(this.#parts)).slice().buffer;
  }
  async text() {
    return decodeText(await bytesOf(this.#parts));
  }
}
export const isBlob = Blob.isBlob;
delete Blob.isBlob;
enumerable(Blob);
tag(Blob, "Blob");

class File extends Blob {
  #name;
  #lastModified;
  constructor(sequence, name, options, parts) {
    if (arguments.length < 2) {
      throw new TypeError(
        `Failed to construct 'File': 2 arguments required, but only ${arguments.length} present.`,
      );
    }
    super(sequence, options, parts);
    this.#name = wellFormed(name);
    const modified = options?.lastModified;
    this.#lastModified = modified === undefined ? host.now() : Math.trunc(Number(modified)) || 0;
  }
  get name() {
    return this.#name;
  }
  get lastModified() {
    return this.#lastModified;
  }
}
enumerable(File);
tag(File, "File");
export const isFile = (value) => isBlob(value) && value instanceof File;

// Blobs that take over what they are given.
export const blobOf = (bytes, type) => new Blob(key, { type }, [{ bytes }]);
export const fileOf = (bytes, name, type) => new File(key, name, { type }, [{ bytes }]);
export const renamed = (blob, name) => new File(key, name, { type: blob.type }, partsOf(blob));
export const streamingBlob = (source, size, type) =>
  new Blob(key, { type }, [{ once: { source, used: false }, start: 0, end: size }]);

export const bytesOfBlob = (blob) => bytesOf(partsOf(blob));
export const isStreaming = (blob) => partsOf(blob).some((part) => part.once);

// All of it, if it is there already.
export function bytesNow(blob) {
  const parts = partsOf(blob);
  return parts.some((part) => part.once) ? undefined : concat(parts.map((part) => part.bytes));
}
export const streamOfBlob = (blob) => streamOf(chunksOf(partsOf(blob)));

define({ Blob, File });
export { Blob, File };
