// The `Convex` global of Node actions (spec 04 sections 1.1, 1.7 and 1.8): what the npm helpers call.
import { owner } from "./invocation.js";

const CHUNK_BYTES = 1 << 20;

// "1.0/actions/query" -> "query", "1.0/storageGetUrl" -> "storage GetUrl".
function label(name) {
  return name.replace(/^1\.0\//, "").replace(/^actions\//, "").replace(/^storage(?=[A-Z])/, "storage ");
}

function requestIdOf(argsJson) {
  const args = JSON.parse(argsJson);
  return typeof args?.requestId === "string" ? args.requestId : "";
}

async function asyncSyscall(name, argsJson) {
  const invocation = owner(requestIdOf(argsJson));
  const [json] = await invocation.operation(label(name), { kind: "syscall", name, json: argsJson });
  return json;
}

function isBlob(value) {
  return (
    value instanceof Blob ||
    (typeof value === "object" &&
      value !== null &&
      (value[Symbol.toStringTag] === "Blob" || value[Symbol.toStringTag] === "File") &&
      typeof value.arrayBuffer === "function")
  );
}

// A large blob goes in pieces, while the host stores what has arrived.
async function storeInPieces(invocation, blob, args) {
  const [opened] = await invocation.operation("storage.store", { kind: "stream" });
  const { streamId } = JSON.parse(opened);
  const json = JSON.stringify({ ...args, streamId });
  const stored = invocation.operation("storage.store", { kind: "storageStore", json });
  const pieces = (async () => {
    for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
      const piece = new Uint8Array(await blob.slice(at, at + CHUNK_BYTES).arrayBuffer());
      invocation.send({ t: "chunk", streamId, done: false }, piece);
      await invocation.sent();
    }
    invocation.send({ t: "chunk", streamId, done: true });
  })();
  pieces.catch((error) => invocation.send({ t: "chunk", streamId, done: true, why: String(error) }));
  return await stored;
}

async function storeBlob({ requestId, blob, options }) {
  if (!isBlob(blob))
    throw new Error(
      "store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input.",
    );
  const invocation = owner(requestId);
  const args = { contentType: blob.type || null, sha256: options?.sha256 ?? null, streamId: null };
  let answer;
  if (blob.size > CHUNK_BYTES) {
    answer = await storeInPieces(invocation, blob, args);
  } else {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const store = { kind: "storageStore", json: JSON.stringify(args), whole: true };
    answer = await invocation.operation("storage.store", store, bytes);
  }
  return JSON.parse(answer[0]).storageId;
}

async function getBlob({ requestId, storageId }) {
  if (typeof storageId !== "string")
    throw new Error(`storage.get requires a string storageId but received ${storageId}`);
  const invocation = owner(requestId);
  const json = JSON.stringify({ storageId });
  const [found] = await invocation.operation("storage.get", { kind: "storageGet", json });
  const file = JSON.parse(found);
  if (file === null) return null;
  const read = { kind: "read", json: JSON.stringify({ streamId: file.streamId }) };
  const pieces = [];
  for (;;) {
    const [state, bytes] = await invocation.operation("storage.get", read);
    if (JSON.parse(state).done) return new Blob(pieces, { type: file.contentType ?? "" });
    pieces.push(bytes);
  }
}

export const Convex = {
  syscall(name) {
    throw new Error(`Unknown operation ${name}`);
  },
  asyncSyscall,
  async jsSyscall(name, args) {
    if (name === "storage/storeBlob") return await storeBlob(args);
    if (name === "storage/getBlob") return await getBlob(args);
    throw new Error(`Unknown JS syscall: ${name}`);
  },
};
