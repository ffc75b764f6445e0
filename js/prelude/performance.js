// performance (section 3.3): the clock is the host's.
import host, { define, enumerable, notImplemented, tag } from "./host.js";
import { structuredCloneOf } from "./clone.js";
import { EventTarget } from "./event.js";

const key = Symbol();

class PerformanceEntry {
  #name;
  #entryType;
  #startTime;
  #duration;
  constructor(secret, name, entryType, startTime, duration) {
    if (secret !== key) {
      throw new TypeError("Illegal constructor");
    }
    this.#name = name;
    this.#entryType = entryType;
    this.#startTime = startTime;
    this.#duration = duration;
  }
  get name() {
    return this.#name;
  }
  get entryType() {
    return this.#entryType;
  }
  get startTime() {
    return this.#startTime;
  }
  get duration() {
    return this.#duration;
  }
  toJSON() {
    return {
      name: this.#name,
      entryType: this.#entryType,
      startTime: this.#startTime,
      duration: this.#duration,
    };
  }
}
enumerable(PerformanceEntry);
tag(PerformanceEntry, "PerformanceEntry");

function startOf(options) {
  const start = options?.startTime;
  if (start === undefined) {
    return host.performanceNow();
  }
  if (!(Number(start) >= 0)) {
    throw new TypeError(`Failed to execute 'mark' on 'Performance': '${start}' is not a valid startTime`);
  }
  return Number(start);
}

const detailOf = (options) => (options?.detail == null ? null : structuredCloneOf(options.detail));

class PerformanceMark extends PerformanceEntry {
  #detail;
  constructor(name, options) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'PerformanceMark': 1 argument required, but only 0 present.");
    }
    super(key, String(name), "mark", startOf(options), 0);
    this.#detail = detailOf(options);
  }
  get detail() {
    return this.#detail;
  }
  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}
enumerable(PerformanceMark);
tag(PerformanceMark, "PerformanceMark");

class PerformanceMeasure extends PerformanceEntry {
  #detail;
  constructor(secret, name, start, end, detail) {
    super(secret, name, "measure", start, end - start);
    this.#detail = detail;
  }
  get detail() {
    return this.#detail;
  }
  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}
enumerable(PerformanceMeasure);
tag(PerformanceMeasure, "PerformanceMeasure");

class Performance extends EventTarget {
  #entries = [];
  constructor(secret) {
    super();
    if (secret !== key) {
      throw new TypeError("Illegal constructor");
    }
  }
  get timeOrigin() {
    return host.timeOrigin();
  }
  now() {
    return host.performanceNow();
  }
  mark(name, options) {
    const mark = new PerformanceMark(name, options);
    this.#entries.push(mark);
    return mark;
  }
  #at(mark) {
    if (typeof mark === "number") {
      return mark;
    }
    const name = String(mark);
    const found = this.#entries.findLast((e) => e.entryType === "mark" && e.name === name);
    if (found === undefined) {
      throw new DOMException(`The mark '${name}' does not exist.`, "SyntaxError");
    }
    return found.startTime;
  }
  // Start and end from any two of start, end and duration (User Timing, section 2.1.3).
  #span({ start, end, duration }) {
    const length = duration === undefined ? undefined : Number(duration);
    const to =
      end !== undefined
        ? this.#at(end)
        : start !== undefined && length !== undefined
          ? this.#at(start) + length
          : host.performanceNow();
    const from =
      start !== undefined ? this.#at(start) : length !== undefined && end !== undefined ? to - length : 0;
    return [from, to];
  }
  measure(name, startOrOptions, endMark) {
    const given = typeof startOrOptions === "object" && startOrOptions !== null;
    const options = given ? startOrOptions : { start: startOrOptions, end: endMark };
    const { start, end, duration } = options;
    if (given && (endMark !== undefined || [start, end, duration].every((x) => x !== undefined))) {
      throw new TypeError("Failed to execute 'measure' on 'Performance': too many of start, end and duration");
    }
    const [from, to] = this.#span(options);
    const measure = new PerformanceMeasure(key, String(name), from, to, detailOf(options));
    this.#entries.push(measure);
    return measure;
  }
  getEntries() {
    return this.#entries.toSorted((a, b) => a.startTime - b.startTime);
  }
  getEntriesByName(name, type) {
    return this.getEntries().filter(
      (e) => e.name === String(name) && (type === undefined || e.entryType === type),
    );
  }
  getEntriesByType(type) {
    return this.getEntries().filter((e) => e.entryType === type);
  }
  #clear(type, name) {
    this.#entries = this.#entries.filter(
      (e) => e.entryType !== type || (name !== undefined && e.name !== name),
    );
  }
  clearMarks(name) {
    this.#clear("mark", name);
  }
  clearMeasures(name) {
    this.#clear("measure", name);
  }
  toJSON() {
    return { timeOrigin: this.timeOrigin };
  }
}
for (const member of ["eventCounts", "timing", "navigation"]) {
  Object.defineProperty(Performance.prototype, member, {
    get() {
      notImplemented(`get ${member}`, "Performance");
    },
    configurable: true,
  });
}
enumerable(Performance);
tag(Performance, "Performance");

define({
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  performance: new Performance(key),
});
