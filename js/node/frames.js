// Frames on a socket: u32 length of the header, u32 length of the bytes (big endian), the header
// as JSON, the bytes.  src/node/frame.h is the other end.
const HEADER_MAX = 256 << 20;
const BYTES_MAX = 64 << 20;

// Halves of characters, which JSON can write and no other end reads, become U+FFFD.
function wellFormed(_key, value) {
  if (typeof value !== "string" || !/[\ud800-\udfff]/.test(value)) return value;
  return Buffer.from(value).toString();
}

export function encode(header, bytes) {
  const text = Buffer.from(JSON.stringify(header, wellFormed));
  const prefix = Buffer.allocUnsafe(8);
  prefix.writeUInt32BE(text.length, 0);
  prefix.writeUInt32BE(bytes ? bytes.byteLength : 0, 4);
  const parts = [prefix, text];
  if (bytes) parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return Buffer.concat(parts);
}

/** Calls onFrame(header, bytes) for each frame of what push() is given. */
export class Decoder {
  #chunks = [];
  #held = 0;
  #onFrame;

  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= 8) {
      const prefix = this.#peek(8);
      const header = prefix.readUInt32BE(0);
      const bytes = prefix.readUInt32BE(4);
      if (header > HEADER_MAX || bytes > BYTES_MAX) throw new RangeError("frame too large");
      if (this.#held < 8 + header + bytes) return;
      const frame = this.#take(8 + header + bytes);
      this.#onFrame(
        JSON.parse(frame.toString("utf8", 8, 8 + header)),
        new Uint8Array(frame.subarray(8 + header)),
      );
    }
  }

  #peek(n) {
    if (this.#chunks[0].length < n) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }

  #take(n) {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#held -= n;
    this.#chunks = this.#held ? [all.subarray(n)] : [];
    return all.subarray(0, n);
  }
}
