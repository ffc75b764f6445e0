// performance (section 3.3): the clock is the host's.
import host, { define, notImplemented, tag } from "./host.js";
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
tag(PerformanceEntry, "PerformanceEntry");

class PerformanceMark extends PerformanceEntry {
  #detail;
  constructor(name, options = {}) {
    super(key, String(name), "mark", options.startTime ?? host.performanceNow(), 0);
    this.#detail = options.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}
tag(PerformanceMark, "PerformanceMark");

class PerformanceMeasure extends PerformanceEntry {
  #detail;
  constructor(secret, name, start, end, detail) {
    super(secret, name, "measure", start, end - start);
    this.#detail = detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}
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
  #at(mark, otherwise) {
    if (mark === undefined) {
      return otherwise;
    }
    if (typeof mark === "number") {
      return mark;
    }
    const found = this.#entries.findLast((e) => e.entryType === "mark" && e.name === mark);
    if (found === undefined) {
      throw new DOMException(`The mark '${mark}' does not exist.`, "SyntaxError");
    }
    return found.startTime;
  }
  measure(name, startOrOptions, endMark) {
    const options = typeof startOrOptions === "object" && startOrOptions !== null ? startOrOptions : {};
    const start = this.#at(typeof startOrOptions === "object" ? options.start : startOrOptions, 0);
    const end =
      options.duration !== undefined
        ? start + options.duration
        : this.#at(options.end ?? endMark, host.performanceNow());
    const measure = new PerformanceMeasure(key, String(name), start, end, options.detail);
    this.#entries.push(measure);
    return measure;
  }
  getEntries() {
    return this.#entries.toSorted((a, b) => a.startTime - b.startTime);
  }
  getEntriesByName(name, type) {
    return this.getEntries().filter(
      (e) => e.name === name && (type === undefined || e.entryType === type),
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
tag(Performance, "Performance");

define({
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  performance: new Performance(key),
});
