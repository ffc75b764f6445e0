// Convex.jsSyscall: what the npm package asks of the prelude rather than of the host (section 1.8).
import host, { define, op } from "./host.js";
import { bytesNow, isBlob, streamingBlob, streamOfBlob } from "./blob.js";
import { headerPairs } from "./headers.js";
import { HostSource, pump, wholeStream } from "./hoststream.js";
import { requestOfHost } from "./request.js";
import { isResponse, responseState } from "./response.js";

// Starts sending the body; the head is the answer.
function convexJsonFromResponse({ response }) {
  if (!isResponse(response)) {
    throw new Error("HTTP actions must return a Response");
  }
  const { headers, status, url, body } = responseState(response);
  const result = { headerPairs: headerPairs(headers), status, streamId: undefined };
  if (body === null) {
    result.streamId = wholeStream(undefined);
  } else {
    if (body.isUsed || body.isLocked) {
      throw new TypeError("The body of the Response was already read");
    }
    const { bytes, stream } = body;
    const whole = bytes !== null && stream === null;
    const readable = whole ? null : body.readable;
    body.used = true;
    result.streamId = whole ? wholeStream(bytes) : pump(readable);
    if (body.length !== null && !headers.has("content-length")) {
      result.headerPairs.push(["content-length", String(body.length)]);
    }
  }
  if (url !== "") {
    result.url = url;
  }
  return result;
}

async function storeBlob({ blob, options }) {
  if (!isBlob(blob)) {
    throw new Error(
      "store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input.",
    );
  }
  const bytes = bytesNow(blob);
  const args = {
    contentType: blob.type === "" ? null : blob.type,
    sha256: options?.sha256 ?? null,
    streamId: bytes === undefined ? pump(streamOfBlob(blob)) : null,
  };
  const [{ storageId }] = await op("storageStore", args, bytes);
  return storageId;
}

async function getBlob({ storageId }) {
  if (typeof storageId !== "string") {
    throw new Error(`storage.get requires a string storageId but received ${storageId}`);
  }
  const [found] = await op("storageGet", { storageId });
  if (found === null) {
    return null;
  }
  const { streamId, size, contentType } = found;
  return streamingBlob(new HostSource(streamId), size, contentType ?? "");
}

const SYSCALLS = {
  __proto__: null,
  requestFromConvexJson: ({ convexJson }) => requestOfHost(convexJson),
  convexJsonFromResponse,
  "storage/storeBlob": storeBlob,
  "storage/getBlob": getBlob,
};

define(
  {
    jsSyscall(name, args) {
      const fn = SYSCALLS[name];
      if (fn === undefined) {
        host.uncatchable(`Unknown JS syscall: ${name}`);
      }
      return fn(args);
    },
  },
  Convex,
);
