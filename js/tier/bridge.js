// What a context may ask of this realm.  Strings, numbers and booleans go both ways, and typed arrays
// that the context made come to be read or filled; objects of this realm never go there.
import { AsyncLocalStorage } from "node:async_hooks";
import { ask, own, quit, receive, send } from "./wire.js";

const encoder = new TextEncoder();
const decoders = new Map();

function decoderOf(label, fatal) {
  const key = `${label} ${fatal}`;
  let decoder = decoders.get(key);
  if (decoder === undefined) {
    decoder = new TextDecoder(label, { fatal, ignoreBOM: true });
    decoders.set(key, decoder);
  }
  return decoder;
}

export function newBridge() {
  let answer; // bytes of the last answer
  let pending = 0; // operations under way
  let store; // made at its first use: it makes promises slower
  const asked = (json, view) => {
    const { text, bytes } = ask(json, view === undefined ? undefined : own(view));
    answer = bytes;
    return text;
  };
  const functions = {
    __proto__: null,
    send(json, view) {
      send(json, view === undefined ? undefined : own(view));
    },
    ask: asked,
    start(json, view) {
      send(json, view === undefined ? undefined : own(view));
      pending++;
    },
    forget() {
      pending--;
    },
    answerSize: () => answer.length,
    takeAnswer(view) {
      own(view).set(answer);
    },
    utf8Size: (text) => Buffer.byteLength(text),
    utf8Write(text, view) {
      encoder.encodeInto(text, own(view));
    },
    utf8Fill(text, view) {
      const { read, written } = encoder.encodeInto(text, own(view));
      return read * 2 ** 32 + written;
    },
    decode: (label, view, fatal) => decoderOf(label, fatal).decode(own(view)),
    latin1OfBase64: (text) => Buffer.from(text, "base64").toString("latin1"),
    base64OfLatin1: (text) => Buffer.from(text, "latin1").toString("base64"),
    find: (view, wanted, from) => {
      const bytes = own(view);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(own(wanted), from);
    },
    detach(buffer) {
      structuredClone(undefined, { transfer: [buffer] });
    },
    now: () => Date.now(),
    asyncValue: () => store?.getStore(),
    setAsyncValue(value) {
      store ??= new AsyncLocalStorage();
      store.enterWith(value);
    },
    end(json) {
      send(json);
      receive(); // never comes: the server ends us
      quit(70);
    },
  };
  return {
    functions,
    close() {
      store?.disable();
    },
    // Settles the next operation; false: there is none.  An action without one waits for its end.
    wait(inside, always) {
      if (pending === 0 && !always) {
        return false;
      }
      const { text, bytes } = ask('{"t":"wait"}');
      answer = bytes;
      pending--;
      inside.complete(text);
      return true;
    },
  };
}
