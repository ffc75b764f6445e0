// Intl.Collator, ListFormat, RelativeTimeFormat, DisplayNames and Segmenter.
import {
  booleanOption,
  canonicalList,
  canonicalTag,
  coerceOptions,
  describe,
  getOptionsObject,
  hide,
  icu,
  intlClass,
  isNumberingSystem,
  joinExtension,
  matcher,
  members,
  NativeRangeError,
  NativeTypeError,
  numberingSystem,
  partsOf,
  resolve,
  slots,
  slotsOf,
  splitExtension,
  stringOption,
  tagAs,
  typeOption,
} from "./intlcore.js";

// As they are now: users may replace them.
const { Math, Number, Object, Symbol } = globalThis;

const STYLES = ["long", "short", "narrow"];

// --- Collator ---

const isCollation = (value, locale) =>
  value !== "standard" && value !== "search" && icu.preferred("co", locale).includes(value);
const isCaseFirst = (value) => ["upper", "lower", "false"].includes(value);
const isBoolean = (value) => value === "true" || value === "false";

export function collatorState(locales, options, service) {
  const requested = canonicalList(locales);
  const o = coerceOptions(options, "Intl.Collator");
  const s = { usage: stringOption(o, "usage", service, ["sort", "search"], "sort") };
  matcher(o, service);
  const co = typeOption(o, "collation");
  const numeric = booleanOption(o, "numeric");
  const kf = stringOption(o, "caseFirst", service, ["upper", "lower", "false"]);
  const kn = numeric === undefined ? undefined : `${numeric}`;
  const r = resolve("collator", requested, { co, kn, kf }, { co: isCollation, kn: isBoolean, kf: isCaseFirst });
  s.sensitivity = stringOption(o, "sensitivity", service, ["base", "accent", "case", "variant"], "variant");
  s.ignorePunctuation = booleanOption(o, "ignorePunctuation");
  s.r = r;
  if (s.usage === "search") {
    r.values.co = "search";
    delete r.kept.co;
    r.locale = joinExtension(r.base, r.kept);
  }
  s.icuLocale = joinExtension(r.base, r.values.co ? { co: r.values.co } : {});
  s.spec =
    s.sensitivity[0] +
    { true: "1", false: "0", undefined: "-" }[r.values.kn] +
    { upper: "u", lower: "l", false: "f", undefined: "-" }[r.values.kf] +
    { true: "1", false: "0", undefined: "-" }[s.ignorePunctuation];
  return s;
}

export const compare = (s, a, b) => icu.compare(s.icuLocale, s.spec, `${a}`, `${b}`);

const collator_ = (self, method) => slots(self, "Collator", method);

export const collator = () =>
  intlClass("Collator", {
    callable: true,
    init: collatorState,
    proto: {
      resolvedOptions() {
        const s = collator_(this, "resolvedOptions");
        const { values } = s.r;
        return {
          locale: s.r.locale,
          usage: s.usage,
          sensitivity: s.sensitivity,
          ignorePunctuation: s.ignorePunctuation ?? icu.ignoresPunctuation(s.icuLocale) !== 0,
          collation: (s.usage === "sort" && values.co) || "default",
          numeric: values.kn === "true",
          caseFirst: values.kf ?? icu.caseFirst(s.icuLocale),
        };
      },
      get compare() {
        const s = collator_(this, "compare");
        return (s.bound ??= [(x, y) => compare(s, x, y)])[0];
      },
    },
  });

// --- ListFormat ---

function listState(locales, options, service) {
  const requested = canonicalList(locales);
  const o = getOptionsObject(options);
  matcher(o, service);
  const s = { r: resolve("", requested, {}, {}) };
  s.type = stringOption(o, "type", service, ["conjunction", "disjunction", "unit"], "conjunction");
  s.style = stringOption(o, "style", service, STYLES, "long");
  return s;
}

function stringsOf(iterable) {
  const result = [];
  if (iterable !== undefined) {
    for (const item of iterable) {
      if (typeof item !== "string") {
        throw new NativeTypeError(`Iterable yielded ${describe(item)} which is not a string`);
      }
      result.push(item);
    }
  }
  return result;
}

const formatList = (s, list, parts) => icu.list(s.r.base, s.type, s.style, stringsOf(list), parts);

export const listFormat = () =>
  intlClass("ListFormat", {
    init: listState,
    proto: {
      resolvedOptions() {
        const { r, type, style } = slots(this, "ListFormat", "resolvedOptions");
        return { locale: r.locale, type, style };
      },
      format(list) {
        return formatList(slots(this, "ListFormat", "format"), list, 0);
      },
      formatToParts(list) {
        return partsOf(formatList(slots(this, "ListFormat", "formatToParts"), list, 1));
      },
    },
  });

// --- RelativeTimeFormat ---

// In the order of URelativeDateTimeUnit.
const UNITS = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

function relativeState(locales, options, service) {
  const requested = canonicalList(locales);
  const o = coerceOptions(options, service);
  matcher(o, service);
  const nu = typeOption(o, "numberingSystem");
  const r = resolve("", requested, { nu }, { nu: isNumberingSystem });
  const s = { r, style: stringOption(o, "style", service, STYLES, "long") };
  s.numeric = stringOption(o, "numeric", service, ["always", "auto"], "always");
  s.icuLocale = joinExtension(r.base, r.values.nu ? { nu: r.values.nu } : {});
  return s;
}

function formatRelative(s, value, unit, method, parts) {
  const number = +value;
  const name = `${unit}`;
  const index = UNITS.indexOf(name.endsWith("s") ? name.slice(0, -1) : name);
  if (index < 0) {
    throw new NativeRangeError(`Invalid unit argument for Intl.RelativeTimeFormat.prototype.${method}() '${name}'`);
  }
  if (!Number.isFinite(number)) {
    throw new NativeRangeError(`Value need to be finite number for Intl.RelativeTimeFormat.prototype.${method}()`);
  }
  return [icu.relative(s.icuLocale, s.style, s.numeric === "auto" ? 1 : 0, number, index, parts), UNITS[index]];
}

export const relativeTimeFormat = () =>
  intlClass("RelativeTimeFormat", {
    init: relativeState,
    proto: {
      resolvedOptions() {
        const { r, style, numeric } = slots(this, "RelativeTimeFormat", "resolvedOptions");
        return { locale: r.locale, style, numeric, numberingSystem: numberingSystem(r) };
      },
      format(value, unit) {
        return formatRelative(slots(this, "RelativeTimeFormat", "format"), value, unit, "format", 0)[0];
      },
      formatToParts(value, unit) {
        const s = slots(this, "RelativeTimeFormat", "formatToParts");
        const [flat, name] = formatRelative(s, value, unit, "formatToParts", 1);
        return partsOf(flat).map((p) => (p.type === "literal" ? p : { ...p, unit: name }));
      },
    },
  });

// --- DisplayNames ---

// UDateTimePatternField's numbers.
const FIELDS = {
  era: 0, year: 1, quarter: 2, month: 3, weekOfYear: 4, weekday: 6, day: 9, dayPeriod: 10, hour: 11, minute: 12,
  second: 13, timeZoneName: 15,
};
const CALENDARS = { gregory: "gregorian", ethioaa: "ethiopic-amete-alem" };
const KINDS = ["language", "region", "script", "currency", "calendar", "dateTimeField"];
const bad = () => {
  throw new NativeRangeError("invalid_argument");
};

function namesState(locales, options, service) {
  const requested = canonicalList(locales);
  if (options === undefined) {
    throw new NativeTypeError("invalid_argument");
  }
  const o = getOptionsObject(options);
  matcher(o, service);
  const s = { style: stringOption(o, "style", service, ["narrow", "short", "long"], "long") };
  s.type = stringOption(o, "type", service, KINDS);
  if (s.type === undefined) {
    throw new NativeTypeError("invalid_argument");
  }
  s.fallback = stringOption(o, "fallback", service, ["code", "none"], "code");
  s.r = resolve("", requested, {}, {});
  const dialect = stringOption(o, "languageDisplay", service, ["dialect", "standard"], "dialect");
  if (s.type === "language") {
    s.languageDisplay = dialect;
  }
  s.spec = s.style[0] + dialect[0] + "n";
  return s;
}

function languageName(code, named) {
  let tag;
  try {
    tag = splitExtension(canonicalTag(code))[0];
  } catch {
    bad();
  }
  return [named("language", tag), tag];
}

// Name and canonical code.
function nameOf(s, code) {
  const named = (kind, what) => icu.displayName(s.r.base, s.spec, kind, what);
  switch (s.type) {
    case "language":
      return languageName(code, named);
    case "region":
      return /^([a-z]{2}|[0-9]{3})$/i.test(code) ? [named("region", code), code] : bad();
    case "script":
      return /^[a-z]{4}$/i.test(code) ? [named("script", code), code] : bad();
    case "currency": {
      const upper = /^[a-z]{3}$/i.test(code) ? code.toUpperCase() : bad();
      return [icu.currencyName(s.r.base, upper), upper];
    }
    case "calendar": {
      const lower = /^[a-z0-9]{3,8}(-[a-z0-9]{3,8})*$/i.test(code) ? code.toLowerCase() : bad();
      const name = named("calendar", CALENDARS[lower] ?? lower);
      return [name === lower ? undefined : name, lower];
    }
    default:
      return [Object.hasOwn(FIELDS, code) ? icu.fieldName(s.r.base, s.style, FIELDS[code]) : bad(), code];
  }
}

export const displayNames = () =>
  intlClass("DisplayNames", {
    length: 2,
    init: namesState,
    proto: {
      resolvedOptions() {
        const { r, style, type, fallback, languageDisplay } = slots(this, "DisplayNames", "resolvedOptions");
        const result = { locale: r.locale, style, type, fallback };
        return languageDisplay ? { ...result, languageDisplay } : result;
      },
      of(code) {
        const s = slots(this, "DisplayNames", "of");
        const [name, canonical] = nameOf(s, `${code}`);
        return name ?? (s.fallback === "code" ? canonical : undefined);
      },
    },
  });

// --- Segmenter ---

const CHUNK = 1 << 14;
const CONTEXT = 1 << 10; // borders this close to the end of a chunk depend on what follows

// Where the segments of a text end: found a chunk at a time, since texts are long and breaks come early.
class Breaks {
  constructor(s, text) {
    this.s = s;
    this.text = text;
    this.ends = [];
    this.words = [];
  }
  more() {
    const from = this.ends.at(-1) ?? 0;
    for (let size = CHUNK; ; size *= 4) {
      const to = Math.min(from + size, this.text.length);
      const whole = to === this.text.length;
      const found = icu.segments(this.s.r.base, this.s.granularity, this.text.slice(from, to));
      const before = this.ends.length;
      for (const x of found) {
        const end = Math.floor(x / 2);
        if (whole || end < size - CONTEXT) {
          this.ends.push(from + end);
          this.words.push(x % 2 === 1);
        }
      }
      if (whole || this.ends.length > before) {
        return;
      }
    }
  }
  // The segment number i, or undefined behind the last one.
  at(i) {
    while (i >= this.ends.length && (this.ends.at(-1) ?? 0) < this.text.length) {
      this.more();
    }
    if (i >= this.ends.length) {
      return undefined;
    }
    const index = i === 0 ? 0 : this.ends[i - 1];
    const result = { segment: this.text.slice(index, this.ends[i]), index, input: this.text };
    if (this.s.granularity === "word") {
      result.isWordLike = this.words[i];
    }
    return result;
  }
  containing(n) {
    while ((this.ends.at(-1) ?? 0) <= n) {
      this.more();
    }
    let low = 0;
    let high = this.ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] > n) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return this.at(low);
  }
}

const segmentsProto = {};
const iteratorProto = Object.create(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())));

function internal(object, kind, method) {
  const found = slotsOf(object);
  if (found?.kind !== kind) {
    throw new NativeTypeError(`Method ${kind}.${method} called on incompatible receiver ${describe(object)}`);
  }
  return found;
}

members(segmentsProto, {
  containing(index) {
    const { breaks } = internal(this, "%SegmentsPrototype%", "containing");
    const n = Math.trunc(+index) || 0;
    return n < 0 || n >= breaks.text.length ? undefined : breaks.containing(n);
  },
  [Symbol.iterator]() {
    const { breaks } = internal(this, "%SegmentsPrototype%", "[Symbol.iterator]");
    const iterator = Object.create(iteratorProto);
    hide(iterator, { kind: "%SegmentIterator.prototype%", breaks: new Breaks(breaks.s, breaks.text), i: 0 });
    return iterator;
  },
});
members(iteratorProto, {
  next() {
    const s = internal(this, "%SegmentIterator.prototype%", "next");
    const value = s.breaks.at(s.i++);
    return { value, done: value === undefined };
  },
});
tagAs(iteratorProto, "Segmenter String Iterator");

export const segmenter = () =>
  intlClass("Segmenter", {
    init(locales, options, service) {
      const requested = canonicalList(locales);
      const o = getOptionsObject(options);
      matcher(o, service);
      const r = resolve("", requested, {}, {});
      return { r, granularity: stringOption(o, "granularity", service, ["grapheme", "word", "sentence"], "grapheme") };
    },
    proto: {
      resolvedOptions() {
        const { r, granularity } = slots(this, "Segmenter", "resolvedOptions");
        return { locale: r.locale, granularity };
      },
      segment(input) {
        const s = slots(this, "Segmenter", "segment");
        const segments = Object.create(segmentsProto);
        hide(segments, { kind: "%SegmentsPrototype%", breaks: new Breaks(s, `${input}`) });
        return segments;
      },
    },
  });
