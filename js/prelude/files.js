// storage.store and storage.get of mutations (spec 04 section 1.6): the npm package's own are
// written the same way, over syscalls with base64.
import host from "./host.js";

const asyncSyscall = Convex.asyncSyscall;
const { parse, stringify } = JSON;
const toBase64 = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

async function call(name, args) {
  try {
    return parse(await asyncSyscall(name, stringify({ requestId: "", version: "1.48.0", ...args })));
  } catch (e) {
    throw new Error(e.message);
  }
}

async function store(blob, options) {
  if (!(blob instanceof Blob)) {
    throw new Error(
      "store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input.",
    );
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return await call("1.0/storageStore", {
    blob: toBase64(bytes),
    contentType: blob.type,
    sha256: options?.sha256,
  });
}

async function get(storageId) {
  const file = await call("1.0/storageGet", { storageId });
  if (file === null) {
    return null;
  }
  return new Blob([fromBase64(file.blob)], { type: file.contentType ?? "" });
}

host.provideFiles(store, get);
