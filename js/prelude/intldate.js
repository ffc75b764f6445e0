// Intl.DateTimeFormat: options become a skeleton of fields, the host finds the locale's pattern for it.  Hour
// cycles are put into patterns here, as V8 does.
import {
  booleanOption,
  canonicalList,
  icu,
  intlClass,
  isCalendar,
  isNumberingSystem,
  joinExtension,
  matcher,
  NativeRangeError,
  NativeTypeError,
  numberingSystem,
  numberOption,
  once,
  partsOf,
  rangePartsOf,
  resolve,
  slots,
  stringOption,
  toObject,
  typeOption,
} from "./intlcore.js";
import host from "./host.js";

// As they are now: users may replace them.
const { Map, Math, Object } = globalThis;

const STYLES = ["full", "long", "medium", "short"];
const CYCLES = ["h11", "h12", "h23", "h24"];
const LETTERS = { h11: "K", h12: "h", h23: "H", h24: "k" };
const NUMERIC = ["2-digit", "numeric"];
const NAMES = ["narrow", "long", "short"];

// Each field's letters in skeletons and patterns, most specific first.
const widths = (letter, names = { narrow: 5, long: 4, short: 3 }) =>
  Object.entries(names).map(([name, n]) => [letter.repeat(n), name]);
const digits = (letter) => [[letter + letter, "2-digit"], [letter, "numeric"]];
const allFields = once(() => [
  ["weekday", [...widths("E"), ...widths("c")], NAMES],
  ["era", widths("G"), NAMES],
  ["year", digits("y"), NUMERIC],
  ["month", [...widths("M"), ...digits("M"), ...widths("L"), ...digits("L")], [...NUMERIC, ...NAMES]],
  ["day", digits("d"), NUMERIC],
  ["dayPeriod", [...widths("B", { narrow: 5, long: 4, short: 1 }), ...widths("b", { narrow: 5, long: 4, short: 1 })], NAMES],
  ["hour", ["H", "h", "k", "K"].flatMap(digits), NUMERIC],
  ["minute", digits("m"), NUMERIC],
  ["second", digits("s"), NUMERIC],
  [
    "timeZoneName",
    [
      ["zzzz", "long"],
      ["z", "short"],
      ["OOOO", "longOffset"],
      ["O", "shortOffset"],
      ["vvvv", "longGeneric"],
      ["v", "shortGeneric"],
    ],
    ["long", "short", "longOffset", "shortOffset", "longGeneric", "shortGeneric"],
  ],
]);
const DATE_FIELDS = ["weekday", "year", "month", "day"];
const TIME_FIELDS = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];

// --- zones ---

const zones = new Map([["UTC", "UTC"]]);

function zoneOption(value) {
  if (value === undefined) {
    return "UTC";
  }
  const name = `${value}`;
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = /^[\w+\-/]+$/.test(name) ? icu.timeZone(name) : undefined;
    if (zone === undefined) {
      throw new NativeRangeError(`Invalid time zone specified: ${name}`);
    }
    zone = ["Etc/UTC", "Etc/GMT", "GMT"].includes(zone) ? "UTC" : zone;
    zones.set(name, zone);
  }
  return zone;
}

// --- patterns ---

function cycleOf(pattern) {
  const letter = /[HhKk]/.exec(pattern.replace(/'[^']*'/g, ""))?.[0];
  return CYCLES.find((c) => LETTERS[c] === letter);
}

// V8's ReplaceHourCycleInPattern: outside of quotes; a day right before it gets a space.
function withCycle(pattern, cycle) {
  if (cycle === undefined) {
    return pattern;
  }
  let result = "";
  let plain = true;
  let last = "";
  for (const c of pattern) {
    if (c === "'") {
      plain = !plain;
    }
    if (/[HhKk]/.test(c)) {
      result += (plain && last === "d" ? " " : "") + (plain ? LETTERS[cycle] : c);
    } else {
      result += c;
    }
    last = c;
  }
  return result;
}

const bestPattern = (locale, skeleton, cycle) => withCycle(icu.datePattern(locale, skeleton), cycle);

function stylePattern(s) {
  const pattern = icu.dateStylePattern(s.icuLocale, s.dateStyle ?? "", s.timeStyle ?? "");
  if (s.timeStyle === undefined || cycleOf(pattern) === s.hourCycle) {
    s.styles = `=${s.dateStyle?.[0] ?? "-"}${s.timeStyle?.[0] ?? "-"}`;
    return pattern;
  }
  const skeleton = icu.dateSkeleton(pattern).replace(/[abB]/g, "").replace(/[hHkK]/g, LETTERS[s.hourCycle]);
  return bestPattern(s.icuLocale, skeleton, s.hourCycle);
}

function skeletonOf(fields, cycle) {
  let result = "";
  for (const [name, letters] of allFields()) {
    if (name === "timeZoneName" && fields.fractionalSecondDigits) {
      result += "S".repeat(fields.fractionalSecondDigits);
    }
    const value = fields[name];
    if (value !== undefined && name === "hour") {
      result += LETTERS[cycle].repeat(value === "2-digit" ? 2 : 1);
    } else if (value !== undefined) {
      result += letters.find((x) => x[1] === value)[0];
    }
  }
  return result;
}

// --- options ---

function hourCycleOf(hour12, hourCycle, r) {
  if (hour12 === undefined) {
    return hourCycle ?? r.values.hc ?? icu.hourCycle(r.base);
  }
  const from0 = ["h11", "h23"].includes(icu.hourCycle(r.base));
  return hour12 ? (from0 ? "h11" : "h12") : from0 ? "h23" : "h24";
}

function readFields(options, service) {
  const fields = {};
  for (const [name, , values] of allFields()) {
    if (name === "timeZoneName") {
      fields.fractionalSecondDigits = numberOption(options, "fractionalSecondDigits", 1, 3, undefined);
    }
    fields[name] = stringOption(options, name, service, values);
  }
  return fields;
}

// What a format without fields shows: ToDateTimeOptions of ECMA-402.
function addDefaults(fields, required, defaults) {
  const wanted = [...(required !== "time" ? DATE_FIELDS : []), ...(required !== "date" ? TIME_FIELDS : [])];
  if (wanted.some((name) => fields[name] !== undefined)) {
    return;
  }
  if (defaults !== "time") {
    fields.year = fields.month = fields.day = "numeric";
  }
  if (defaults !== "date") {
    fields.hour = fields.minute = fields.second = "numeric";
  }
}

function checkStyles(s, fields, required) {
  const style = s.dateStyle !== undefined ? "dateStyle" : "timeStyle";
  const clash = Object.keys(fields).find((name) => fields[name] !== undefined);
  if (clash !== undefined) {
    throw new NativeTypeError(`Can't set option ${clash} when ${style} is used`);
  }
  for (const [kind, name] of [["date", "timeStyle"], ["time", "dateStyle"]]) {
    if (required === kind && s[name] !== undefined) {
      throw new NativeTypeError(`Invalid option : ${name}`);
    }
  }
}

const isCycle = (value) => CYCLES.includes(value);

export function dateState(locales, options, service, required = "any", defaults = "date") {
  const requested = canonicalList(locales);
  const o = options === undefined ? Object.create(null) : toObject(options);
  matcher(o, service);
  const ca = typeOption(o, "calendar");
  const nu = typeOption(o, "numberingSystem");
  const hour12 = booleanOption(o, "hour12");
  const hourCycle = stringOption(o, "hourCycle", service, CYCLES);
  const r = resolve("", requested, { ca, nu }, { ca: isCalendar, hc: isCycle, nu: isNumberingSystem });
  if ((hour12 !== undefined || (hourCycle !== undefined && hourCycle !== r.kept.hc)) && r.kept.hc) {
    delete r.kept.hc;
    r.locale = joinExtension(r.base, r.kept);
  }
  const s = { r, timeZone: zoneOption(o.timeZone) };
  const fields = readFields(o, service);
  stringOption(o, "formatMatcher", service, ["best fit", "basic"]);
  s.dateStyle = stringOption(o, "dateStyle", service, STYLES);
  s.timeStyle = stringOption(o, "timeStyle", service, STYLES);
  s.keywords = {};
  for (const key of ["ca", "nu"]) {
    if (r.values[key] !== undefined) {
      s.keywords[key] = r.values[key];
    }
  }
  s.icuLocale = joinExtension(r.base, s.keywords);
  if (s.dateStyle !== undefined || s.timeStyle !== undefined) {
    checkStyles(s, fields, required);
    s.hourCycle = s.timeStyle === undefined ? undefined : hourCycleOf(hour12, hourCycle, r);
    s.pattern = stylePattern(s);
  } else {
    addDefaults(fields, required, defaults);
    s.hourCycle = fields.hour === undefined ? undefined : hourCycleOf(hour12, hourCycle, r);
    s.pattern = bestPattern(s.icuLocale, skeletonOf(fields, s.hourCycle), s.hourCycle);
  }
  return s;
}

// --- formatting ---

function toTime(value) {
  const time = +value;
  if (!(Math.abs(time) <= 8.64e15)) {
    throw new NativeRangeError("Invalid time value");
  }
  return Math.trunc(time) + 0;
}

export const formatDate = (s, value, parts = 0) =>
  icu.date(s.icuLocale, s.styles ?? s.pattern, s.timeZone, toTime(value === undefined ? host.now() : value), parts);

function formatRange(s, start, end, parts) {
  if (start === undefined || end === undefined) {
    throw new NativeTypeError("Invalid time value");
  }
  const [x, y] = [toTime(start), toTime(end)];
  s.skeleton ??= icu.dateSkeleton(s.pattern);
  s.rangeLocale ??= joinExtension(s.r.base, s.hourCycle ? { ...s.keywords, hc: s.hourCycle } : s.keywords);
  return icu.dateRange(s.rangeLocale, s.skeleton, s.timeZone, x, y, parts);
}

// What the pattern shows, by its letters.
function shown(s) {
  const result = {};
  for (const [name, letters] of allFields()) {
    const n = name === "timeZoneName" ? /S+/.exec(s.pattern.replace(/'[^']*'/g, ""))?.[0].length : undefined;
    if (n) {
      result.fractionalSecondDigits = n;
    }
    const found = letters.find(([text]) => s.pattern.includes(text));
    if (found) {
      result[name] = found[1];
    }
  }
  return result;
}

const CALENDAR_NAMES = { gregorian: "gregory", "ethiopic-amete-alem": "ethioaa" };
const own = (self, method) => slots(self, "DateTimeFormat", method);

export const dateTimeFormat = () =>
  intlClass("DateTimeFormat", {
    callable: true,
    init: (locales, options, service) => dateState(locales, options, service),
    proto: {
      resolvedOptions() {
        const s = own(this, "resolvedOptions");
        const calendar = s.r.values.ca ?? icu.calendar(s.icuLocale);
        const result = {
          locale: s.r.locale,
          calendar: CALENDAR_NAMES[calendar] ?? calendar,
          numberingSystem: numberingSystem(s.r),
          timeZone: s.timeZone,
        };
        if (s.hourCycle !== undefined) {
          result.hourCycle = s.hourCycle;
          result.hour12 = s.hourCycle === "h11" || s.hourCycle === "h12";
        }
        if (s.dateStyle === undefined && s.timeStyle === undefined) {
          return Object.assign(result, shown(s));
        }
        for (const key of ["dateStyle", "timeStyle"]) {
          if (s[key] !== undefined) {
            result[key] = s[key];
          }
        }
        return result;
      },
      formatToParts(date) {
        return partsOf(formatDate(own(this, "formatToParts"), date, 1));
      },
      get format() {
        const s = own(this, "format");
        return (s.bound ??= [(date) => formatDate(s, date)])[0];
      },
      formatRange(startDate, endDate) {
        const s = own(this, "formatRange");
        return formatRange(s, startDate, endDate, 0) ?? formatDate(s, startDate);
      },
      formatRangeToParts(startDate, endDate) {
        const s = own(this, "formatRangeToParts");
        const flat = formatRange(s, startDate, endDate, 1);
        return flat ? rangePartsOf(flat) : partsOf(formatDate(s, startDate, 1)).map((p) => ({ ...p, source: "shared" }));
      },
    },
  });
