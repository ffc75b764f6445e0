// Frames between this process and the server, over descriptor 3 (src/node/nframe.h): two lengths,
// a header of JSON, bytes.  Both directions block: this process does one thing at a time.
//
// Runs in the main realm.  What goes wrong between a question and its answer ends the process,
// because nobody could say any more which answer belongs to which question.
import fs from "node:fs";

const LINK = 3;
const PREFIX = 8;
const DEPTH = 400; // frames of stack that must be free before anything is sent

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const getter = (key) => {
  const { get } = Object.getOwnPropertyDescriptor(typedArray, key);
  return (view) => Reflect.apply(get, view, []);
};
const bufferOf = getter("buffer");
const offsetOf = getter("byteOffset");
const lengthOf = getter("byteLength");

// The bytes of another realm's typed array, without asking that realm for anything.
export function own(view) {
  return new Uint8Array(bufferOf(view), offsetOf(view), lengthOf(view));
}

// Functions that recurse without bound meet the end of the stack anywhere: it must not be between a
// question and its answer.
function probe(depth) {
  return depth === 0 ? 0 : probe(depth - 1) + 1;
}

export function quit(code) {
  process.reallyExit(code);
}

function write(bytes) {
  for (let at = 0; at < bytes.length; ) {
    at += fs.writeSync(LINK, bytes, at, bytes.length - at);
  }
}

function read(n) {
  const bytes = Buffer.allocUnsafeSlow(n);
  for (let at = 0; at < n; ) {
    const got = fs.readSync(LINK, bytes, at, n - at, null);
    if (got === 0) {
      quit(0); // the server is gone, or does not need us
    }
    at += got;
  }
  return bytes;
}

function frame(json, bytes) {
  const n = Buffer.byteLength(json);
  const all = Buffer.allocUnsafeSlow(PREFIX + n + (bytes === undefined ? 0 : bytes.length));
  all.writeUInt32BE(n, 0);
  all.writeUInt32BE(all.length - PREFIX - n, 4);
  all.write(json, PREFIX);
  if (bytes !== undefined) {
    all.set(bytes, PREFIX + n);
  }
  return all;
}

// { text: the header's JSON, bytes }
export function receive() {
  const prefix = read(PREFIX);
  const text = read(prefix.readUInt32BE(0)).toString();
  return { text, bytes: read(prefix.readUInt32BE(4)) };
}

export function send(json, bytes) {
  const all = frame(json, bytes);
  probe(DEPTH);
  try {
    write(all);
  } catch {
    quit(71);
  }
}

export function ask(json, bytes) {
  const all = frame(json, bytes);
  probe(DEPTH);
  try {
    write(all);
    return receive();
  } catch {
    quit(71);
  }
}
