// Intl.Locale, Intl.getCanonicalLocales and Intl.supportedValuesOf.
import {
  calendars,
  canonicalList,
  canonicalTag,
  coerceOptions,
  icu,
  intlClass,
  joinExtension,
  NativeRangeError,
  NativeTypeError,
  slots,
  slotsOf,
  splitExtension,
  stringOption,
} from "./intlcore.js";
import { unitNames } from "./intlnumber.js";

// As they are now: users may replace them.
const { Boolean, Object, Set } = globalThis;

const incorrect = () => {
  throw new NativeRangeError("Incorrect locale information provided");
};

// A subtag or a value from options, checked.
function subtag(options, name, pattern) {
  const value = stringOption(options, name);
  return value === undefined || pattern.test(value) ? value : incorrect();
}

const TYPE = /^[a-z0-9]{3,8}(-[a-z0-9]{3,8})*$/i;

function withSubtags(tag, options) {
  const language = subtag(options, "language", /^([a-z]{2,3}|[a-z]{5,8})$/i);
  const script = subtag(options, "script", /^[a-z]{4}$/i);
  const region = subtag(options, "region", /^([a-z]{2}|[0-9]{3})$/i);
  const [, l, s, r, rest] = /^([^-]+)(?:-([a-z]{4})(?=-|$))?(?:-([a-z]{2}|[0-9]{3})(?=-|$))?(.*)$/i.exec(tag);
  const id = [language ?? l, script ?? s, region ?? r].filter((x) => x !== undefined).join("-");
  return canonicalTag(id + rest);
}

function localeState(tag, options, service) {
  if (typeof tag !== "string" && (typeof tag !== "object" || tag === null)) {
    throw new NativeTypeError("First argument to Intl.Locale constructor can't be empty or missing");
  }
  const own = slotsOf(tag);
  let text = own?.kind === "Locale" ? own.tag : canonicalTag(`${tag}`);
  const o = coerceOptions(options, service);
  text = withSubtags(text, o);
  const [base, keywords] = splitExtension(text);
  const chosen = {
    ca: subtag(o, "calendar", TYPE),
    co: subtag(o, "collation", TYPE),
    hc: stringOption(o, "hourCycle", "locale", ["h11", "h12", "h23", "h24"]),
    kf: stringOption(o, "caseFirst", "locale", ["upper", "lower", "false"]),
    kn: o.numeric === undefined ? undefined : `${Boolean(o.numeric)}`,
    nu: subtag(o, "numberingSystem", TYPE),
  };
  for (const key of Object.keys(chosen)) {
    if (chosen[key] !== undefined) {
      keywords[key] = chosen[key];
    }
  }
  return stateOf(canonicalTag(withAttributes(text, base, keywords)));
}

// Attributes of a Unicode extension, which have no keys, stay.
function withAttributes(text, base, keywords) {
  const attributes = /-u((?:-[a-z0-9]{3,8})+)(?=-|$)/i.exec(text.split("-x-")[0])?.[1];
  const joined = joinExtension(base, keywords);
  return attributes ? joined.replace(/-u(?=-)|$/, (m) => (m ? m + attributes : `-u${attributes}`)) : joined;
}

function stateOf(tag) {
  const [base, keywords] = splitExtension(tag);
  const name = base.split(/-[a-z0-9](?=-)/i)[0];
  const [, language, script, region] = /^([^-]+)(?:-([a-z]{4})(?=-|$))?(?:-([a-z]{2}|[0-9]{3})(?=-|$))?/i.exec(name);
  return { tag, base, name, language, script, region, keywords };
}

const own = (self, method) => slots(self, "Locale", method);
const keyword = (self, method, key) => {
  const value = own(self, method).keywords[key];
  return value === "" && key !== "kf" ? "true" : value;
};
// The value in the tag alone, or what is usual there.
const usual = (self, method, key) => {
  const s = own(self, method);
  return s.keywords[key] ? [s.keywords[key]] : icu.preferred(key, s.base);
};

export const locale = () => {
  const derived = (self, method, minimize) => new Locale(icu.likely(own(self, method).tag, minimize));
  const Locale = intlClass("Locale", {
    length: 1,
    locales: false,
    init: localeState,
    proto: {
      toString() {
        return own(this, "toString").tag;
      },
      maximize() {
        return derived(this, "maximize", 0);
      },
      minimize() {
        return derived(this, "minimize", 1);
      },
      get language() {
        const { language } = own(this, "language");
        return language === "und" ? undefined : language;
      },
      get script() {
        return own(this, "script").script;
      },
      get region() {
        return own(this, "region").region;
      },
      get baseName() {
        return own(this, "baseName").name;
      },
      get calendar() {
        return keyword(this, "calendar", "ca");
      },
      get caseFirst() {
        return keyword(this, "caseFirst", "kf");
      },
      get collation() {
        return keyword(this, "collation", "co");
      },
      get hourCycle() {
        return keyword(this, "hourCycle", "hc");
      },
      get numeric() {
        return keyword(this, "numeric", "kn") === "true";
      },
      get numberingSystem() {
        return keyword(this, "numberingSystem", "nu");
      },
      get calendars() {
        return usual(this, "calendars", "ca");
      },
      get collations() {
        const list = usual(this, "collations", "co").filter((x) => x !== "standard" && x !== "search");
        return list.sort();
      },
      get hourCycles() {
        const s = own(this, "hourCycles");
        return [s.keywords.hc ?? icu.hourCycle(s.base)];
      },
      get numberingSystems() {
        return usual(this, "numberingSystems", "nu");
      },
      get textInfo() {
        return { direction: icu.rightToLeft(own(this, "textInfo").base) ? "rtl" : "ltr" };
      },
      get timeZones() {
        const s = own(this, "timeZones");
        return s.region === undefined ? undefined : [...new Set(icu.preferred("tz", s.base))].sort();
      },
      get weekInfo() {
        const [firstDay, minimalDays, ...weekend] = icu.weekInfo(own(this, "weekInfo").tag);
        return { firstDay, weekend, minimalDays };
      },
    },
  });
  return Locale;
};

// --- functions ---

const VALUES = {
  calendar: () => [...calendars()],
  collation: () => icu.values("collation").filter((x) => x !== "standard" && x !== "search"),
  currency: () => icu.values("currency"),
  numberingSystem: () => icu.values("numberingSystem"),
  timeZone: () => icu.values("timeZone").filter((x) => x !== "UTC"),
  unit: unitNames,
};

export const functions = {
  getCanonicalLocales(locales) {
    return canonicalList(locales);
  },
  supportedValuesOf(key) {
    const name = `${key}`;
    if (!Object.hasOwn(VALUES, name)) {
      throw new NativeRangeError(`Invalid key : ${name}`);
    }
    const list = VALUES[name]();
    return [...new Set(list)].sort();
  },
};
