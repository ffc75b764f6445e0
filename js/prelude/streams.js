// Streams: the polyfill's classes, and those of text on top of them (section 3.5).
import {
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultReader,
  TransformStream,
  WritableStream,
  WritableStreamDefaultWriter,
} from "web-streams-polyfill/ponyfill/es2018";
import { define, encodeText, tag, enumerable } from "./host.js";
import { TextDecoder } from "./text.js";

class TextEncoderStream {
  #transform;
  constructor() {
    let high = ""; // a surrogate that waits for its other half
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        let text = high + String(chunk);
        const last = text.charCodeAt(text.length - 1);
        high = "";
        if (last >= 0xd800 && last <= 0xdbff) {
          high = text.slice(-1);
          text = text.slice(0, -1);
        }
        if (text !== "") {
          controller.enqueue(encodeText(text));
        }
      },
      flush(controller) {
        if (high !== "") {
          controller.enqueue(encodeText(high));
        }
      },
    });
  }
  get encoding() {
    return "utf-8";
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
enumerable(TextEncoderStream);
tag(TextEncoderStream, "TextEncoderStream");

class TextDecoderStream {
  #decoder;
  #transform;
  constructor(label = "utf-8", options = {}) {
    const decoder = (this.#decoder = new TextDecoder(label, options));
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== "") {
          controller.enqueue(text);
        }
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== "") {
          controller.enqueue(text);
        }
      },
    });
  }
  get encoding() {
    return this.#decoder.encoding;
  }
  get fatal() {
    return this.#decoder.fatal;
  }
  get ignoreBOM() {
    return this.#decoder.ignoreBOM;
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
enumerable(TextDecoderStream);
tag(TextDecoderStream, "TextDecoderStream");

// The polyfill keeps both where they can be asked for without a reader.
export const isDisturbed = (stream) => stream._disturbed;

define({
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultReader,
  TransformStream,
  WritableStream,
  WritableStreamDefaultWriter,
  TextEncoderStream,
  TextDecoderStream,
});
export { ReadableStream };
