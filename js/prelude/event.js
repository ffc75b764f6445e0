// Event and EventTarget, and the listeners of the global object itself.
import { define, enumerable, tag } from "./host.js";

// A listener that throws does not keep the others from running: what it threw is an error that
// nobody handled, and fails the run as such.
export async function report(error) {
  throw error;
}

let stateOf; // what dispatching changes

class Event {
  #type;
  #init;
  #state = {
    target: null,
    current: null,
    dispatching: false,
    held: false, // stopPropagation(): there is nothing above
    stopped: false,
    passive: false,
    prevented: false,
  };
  static {
    stateOf = (event) => event.#state;
  }
  constructor(type, init = {}) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'Event': 1 argument required, but only 0 present.");
    }
    this.#type = String(type);
    const { bubbles, cancelable, composed } = init ?? {};
    this.#init = { bubbles: !!bubbles, cancelable: !!cancelable, composed: !!composed };
  }
  get type() {
    return this.#type;
  }
  get target() {
    return this.#state.target;
  }
  get srcElement() {
    return this.#state.target;
  }
  get currentTarget() {
    return this.#state.current;
  }
  get eventPhase() {
    return this.#state.current === null ? 0 : 2;
  }
  get bubbles() {
    return this.#init.bubbles;
  }
  get cancelable() {
    return this.#init.cancelable;
  }
  get composed() {
    return this.#init.composed;
  }
  get defaultPrevented() {
    return this.#state.prevented;
  }
  get returnValue() {
    return !this.#state.prevented;
  }
  get isTrusted() {
    return false;
  }
  get timeStamp() {
    return 0;
  }
  composedPath() {
    return this.#state.current === null ? [] : [this.#state.current];
  }
  get cancelBubble() {
    return this.#state.stopped || this.#state.held;
  }
  set cancelBubble(value) {
    this.#state.held ||= !!value;
  }
  preventDefault() {
    if (this.cancelable && !this.#state.passive) {
      this.#state.prevented = true;
    }
  }
  stopPropagation() {
    this.#state.held = true;
  }
  stopImmediatePropagation() {
    this.#state.held = this.#state.stopped = true;
  }
}
for (const [name, value] of [["NONE", 0], ["CAPTURING_PHASE", 1], ["AT_TARGET", 2], ["BUBBLING_PHASE", 3]]) {
  Object.defineProperty(Event, name, { value, enumerable: true });
  Object.defineProperty(Event.prototype, name, { value, enumerable: true });
}
enumerable(Event);
tag(Event, "Event");

const lists = new WeakMap();
const captureOf = (options) => (typeof options === "boolean" ? options : !!options?.capture);

function listenersOf(target) {
  let list = lists.get(target);
  if (list === undefined) {
    lists.set(target, (list = []));
  }
  return list;
}

class EventTarget {
  addEventListener(type, callback, options) {
    const self = this ?? globalThis;
    if (callback === null || callback === undefined) {
      return;
    }
    const signal = typeof options === "object" ? options?.signal : undefined;
    if (signal?.aborted) {
      return;
    }
    const entry = {
      type: String(type),
      callback,
      capture: captureOf(options),
      once: !!options?.once,
      passive: !!options?.passive,
      removed: false,
    };
    const list = listenersOf(self);
    if (
      list.some(
        (l) => l.type === entry.type && l.callback === callback && l.capture === entry.capture,
      )
    ) {
      return;
    }
    list.push(entry);
    signal?.addEventListener("abort", () => self.removeEventListener(type, callback, options));
  }
  removeEventListener(type, callback, options) {
    const list = listenersOf(this ?? globalThis);
    const capture = captureOf(options);
    const at = list.findIndex(
      (l) => l.type === String(type) && l.callback === callback && l.capture === capture,
    );
    if (at >= 0) {
      list[at].removed = true;
      list.splice(at, 1);
    }
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) {
      throw new TypeError("Failed to execute 'dispatchEvent' on 'EventTarget': parameter 1 is not of type 'Event'.");
    }
    const self = this ?? globalThis;
    const state = stateOf(event);
    if (state.dispatching) {
      throw new DOMException("The event is already being dispatched.", "InvalidStateError");
    }
    state.dispatching = true;
    state.target = state.current = self;
    for (const l of [...listenersOf(self)]) {
      if (l.type !== event.type || l.removed) {
        continue;
      }
      if (l.once) {
        self.removeEventListener(l.type, l.callback, l.capture);
      }
      state.passive = l.passive;
      try {
        if (typeof l.callback === "function") {
          l.callback.call(self, event);
        } else {
          l.callback.handleEvent(event);
        }
      } catch (e) {
        report(e);
      }
      state.passive = false;
      if (state.stopped) {
        break;
      }
    }
    state.current = null;
    state.dispatching = state.held = state.stopped = false;
    return !event.defaultPrevented;
  }
}
enumerable(EventTarget);
tag(EventTarget, "EventTarget");

// The global object inherits the listeners' methods, as a window does.
const windowPrototype = Object.create(EventTarget.prototype);
Object.defineProperty(windowPrototype, Symbol.toStringTag, { value: "Window", configurable: true });
Object.setPrototypeOf(globalThis, windowPrototype);

define({ Event, EventTarget });
export { Event, EventTarget };
