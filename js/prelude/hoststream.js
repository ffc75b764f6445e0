// Streams between JavaScript and the host: bodies that come, bodies that go.
import host, { op, startOp, wellFormed } from "./host.js";
import { ReadableStream } from "./streams.js";

const PIECE = 65536;
const TURN_PIECES = 256; // written before the host has a turn,
const TURN_BYTES = 1 << 20; // or bytes

// Bytes that the host has; each is read once, by read() or through stream().
export class HostSource {
  #id;
  #reading = null; // the operation under way
  #controller = null;
  #failure = null;
  #ended = false;
  onEnd = null;
  constructor(id) {
    this.#id = id;
  }
  // The next bytes; null at the end.
  async read() {
    if (this.#failure !== null) {
      throw this.#failure.reason;
    }
    if (this.#ended) {
      return null;
    }
    this.#reading = startOp("read", { streamId: this.#id });
    try {
      const [{ done }, bytes] = await this.#reading.promise;
      if (done) {
        this.#end();
      }
      return bytes === undefined && done ? null : (bytes ?? new Uint8Array(0));
    } catch (e) {
      this.#failure ??= { reason: e };
      throw e;
    } finally {
      this.#reading = null;
    }
  }
  #end() {
    this.#ended = true;
    this.onEnd?.();
  }
  drop() {
    if (!this.#ended) {
      this.#end();
      host.dropStream(this.#id);
    }
  }
  // What reads or will read it fails with this.
  fail(reason) {
    if (this.#ended || this.#failure !== null) {
      return;
    }
    this.#failure = { reason };
    this.#reading?.cancel(reason);
    host.dropStream(this.#id);
    this.#controller?.error(reason);
  }
  stream() {
    const source = this;
    return new ReadableStream(
      {
        type: "bytes",
        start(controller) {
          source.#controller = controller;
          if (source.#failure !== null) {
            controller.error(source.#failure.reason);
          }
        },
        async pull(controller) {
          let bytes;
          do {
            bytes = await source.read();
          } while (bytes?.length === 0);
          if (bytes === null) {
            controller.close();
            controller.byobRequest?.respond(0);
          } else {
            controller.enqueue(bytes);
          }
        },
        cancel() {
          source.drop();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

export async function readAll(source) {
  const chunks = [];
  for (let bytes; (bytes = await source.read()) !== null; ) {
    chunks.push(bytes);
  }
  return chunks;
}

// A ReadableStream of what an async iterator of bytes yields.
export function streamOf(iterator) {
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else {
          controller.enqueue(value);
        }
      },
      async cancel() {
        await iterator.return();
      },
    },
    { highWaterMark: 0 },
  );
}

// Bytes in pieces that a reader may keep or transfer.
export async function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += PIECE) {
    yield bytes.slice(at, at + PIECE);
  }
}

const describe = (e) => {
  try {
    return wellFormed(e);
  } catch {
    return "Error";
  }
};

// A stream of the host's that gets all of a ReadableStream, from now on; its number.  failed(e)
// hears of an error of the ReadableStream, which ends the host's as well.  One whose pieces are
// always there at once would leave no turn to anybody else, not even to whoever sends them.
export function pump(stream, failed) {
  const id = host.newStream();
  const reader = stream.getReader();
  const run = async () => {
    let count = 0;
    let bytes = 0;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) {
          host.writeStream(id, undefined, true);
          return;
        }
        if (!(value instanceof Uint8Array)) {
          throw new TypeError("Received a chunk that is not a Uint8Array");
        }
        if (host.writeStream(id, value, false) === false) {
          await reader.cancel(); // nobody reads any more
          return;
        }
        bytes += value.length;
        if (++count >= TURN_PIECES || bytes >= TURN_BYTES) {
          await op("room", { streamId: id });
          count = bytes = 0;
        }
      }
    } catch (e) {
      host.failStream(id, describe(e));
      failed?.(e);
    }
  };
  run();
  return id;
}

// One that holds these bytes (or nothing) and ends.
export function wholeStream(bytes) {
  const id = host.newStream();
  host.writeStream(id, bytes, true);
  return id;
}

export const watchClosed = (streamId) => op("closed", { streamId });
