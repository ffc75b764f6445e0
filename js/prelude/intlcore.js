// What the classes of Intl share: options, locales and their extensions, hidden state.  Formatting itself is the
// host's (src/isolate/intl.c); an engine that has an Intl of its own has no host.intl.
import host from "./host.js";

// As they are now: users may replace them.
const { Boolean, Map, Math, Number, Object, Reflect, RegExp, Symbol } = globalThis;

export const icu = host.intl;

const { create, defineProperty, getOwnPropertyDescriptors } = Object;
const { construct } = Reflect;
const NativeObject = Object;
export const NativeRangeError = RangeError;
export const NativeTypeError = TypeError;
const NativeString = String;

// --- hidden state: a private field on an object that is not of the class ---

class Identity {
  constructor(object) {
    return object;
  }
}
class Slots extends Identity {
  #slots;
  constructor(object, slots) {
    super(object);
    this.#slots = slots;
  }
  static of(object) {
    return typeof object === "object" && object !== null && #slots in object ? object.#slots : undefined;
  }
}
// What takes a while to make is made at its first use.
export function once(make) {
  let value;
  return () => (value ??= make());
}

export const slotsOf = (object) => Slots.of(object);
export const hide = (object, slots) => new Slots(object, slots);

export function describe(value) {
  return typeof value === "object" && value !== null ? "#<Object>" : NativeString(value);
}

// The state behind `this` of a method.
export function slots(object, kind, method) {
  const found = Slots.of(object);
  if (found?.kind !== kind) {
    throw new NativeTypeError(`Method Intl.${kind}.prototype.${method} called on incompatible receiver ${describe(object)}`);
  }
  return found;
}

// Members as the language's own objects have them: not enumerable.
export function members(target, source) {
  const all = getOwnPropertyDescriptors(source);
  for (const key of Reflect.ownKeys(all)) {
    defineProperty(target, key, { ...all[key], enumerable: false });
  }
}

export const tagAs = (target, value) =>
  defineProperty(target, Symbol.toStringTag, { value, writable: false, enumerable: false, configurable: true });

// init(locales, options, its name in messages) makes the state.
export function intlClass(kind, { length = 0, callable = false, init, statics, proto, locales = true }) {
  const C = function (...args) {
    if (new.target === undefined && !callable) {
      throw new NativeTypeError(`Constructor Intl.${kind} requires 'new'`);
    }
    const self = construct(NativeObject, [], new.target ?? C);
    const state = init(args[0], args[1], "Intl." + kind);
    state.kind = kind;
    hide(self, state);
    return self;
  };
  defineProperty(C, "name", { value: kind, configurable: true });
  defineProperty(C, "length", { value: length, configurable: true });
  defineProperty(C, "prototype", { writable: false });
  members(C.prototype, proto);
  tagAs(C.prototype, "Intl." + kind);
  if (locales) {
    members(C, {
      supportedLocalesOf(locales) {
        return supportedLocales(SERVICES[kind] ?? "", locales, arguments[1], kind);
      },
    });
    defineProperty(C.supportedLocalesOf, "length", { value: 1, configurable: true });
  }
  members(C, statics ?? {});
  return C;
}

// Collation and plural rules have lists of their own of what they know.
const SERVICES = { Collator: "collator", PluralRules: "plural" };

// --- options ---

export function toObject(value) {
  if (value === undefined || value === null) {
    throw new NativeTypeError("Cannot convert undefined or null to object");
  }
  return NativeObject(value);
}
export const coerceOptions = (options, service) => {
  if (options === undefined) {
    return create(null);
  }
  if (options === null) {
    throw new NativeTypeError(`${service} called on null or undefined`);
  }
  return NativeObject(options);
};
export function getOptionsObject(options) {
  if (options === undefined) {
    return create(null);
  }
  if ((typeof options !== "object" && typeof options !== "function") || options === null) {
    throw new NativeTypeError("invalid_argument");
  }
  return options;
}

export function stringOption(options, name, service, values, fallback) {
  const value = options[name];
  if (value === undefined) {
    return fallback;
  }
  const text = `${value}`;
  if (values && !values.includes(text)) {
    throw new NativeRangeError(`Value ${text} out of range for ${service} options property ${name}`);
  }
  return text;
}
export const booleanOption = (options, name) => (options[name] === undefined ? undefined : Boolean(options[name]));

export function defaultNumber(value, min, max, fallback, name) {
  if (value === undefined) {
    return fallback;
  }
  const number = +value;
  if (!(number >= min && number <= max)) {
    throw new NativeRangeError(`${name} value is out of range.`);
  }
  return Math.floor(number);
}
export const numberOption = (options, name, min, max, fallback) =>
  defaultNumber(options[name], min, max, fallback, name);

export const MATCHERS = ["lookup", "best fit"];
export const matcher = (options, service) => stringOption(options, "localeMatcher", service, MATCHERS, "best fit");

// A value of a Unicode extension, such as a calendar.
const TYPE = /^[a-z0-9]{3,8}(-[a-z0-9]{3,8})*$/i;
export function typeOption(options, name) {
  const value = stringOption(options, name);
  if (value !== undefined && !TYPE.test(value)) {
    throw new NativeRangeError(`Invalid ${name} : ${value}`);
  }
  return value?.toLowerCase();
}

// --- tags ---

const ALNUM = "[a-z0-9]";
const LANGUAGE = "(?:[a-z]{2,3}|[a-z]{5,8})";
const VARIANT = `(?:${ALNUM}{5,8}|[0-9]${ALNUM}{3})`;
const ID = `${LANGUAGE}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-${VARIANT})*`;
const UNICODE = `u(?:(?:-${ALNUM}{3,8})+(?:-${ALNUM}[a-z](?:-${ALNUM}{3,8})*)*|(?:-${ALNUM}[a-z](?:-${ALNUM}{3,8})*)+)`;
const FIELDS = `(?:-[a-z][0-9](?:-${ALNUM}{3,8})+)`;
const TRANSFORMED = `t(?:-${ID}${FIELDS}*|${FIELDS}+)`;
const OTHER = `[0-9a-svwyz](?:-${ALNUM}{2,8})+`;
const PRIVATE = `x(?:-${ALNUM}{1,8})+`;
const tagPattern = once(() => new RegExp(`^${ID}(?:-(?:${UNICODE}|${TRANSFORMED}|${OTHER}))*(?:-${PRIVATE})?$`, "i"));
const beginning = once(() => new RegExp(`^${ID}(?:-(?:${ALNUM}(?:-.*)?)?)?$`, "i")); // the rest is at fault

const repeated = (list) => list.some((x, i) => list.indexOf(x) !== i);

function noDoubles(tag) {
  const parts = tag.toLowerCase().split(/-x(?:-|$)/)[0].split("-");
  const singleton = parts.findIndex((x, i) => i > 0 && x.length === 1);
  const id = singleton < 0 ? parts : parts.slice(0, singleton);
  const variants = id.slice(1).filter((x) => x.length >= 5 || /^[0-9].../.test(x));
  return !repeated(variants) && !repeated(parts.filter((x, i) => i > 0 && x.length === 1));
}

const seen = new Map();

export function canonicalTag(text) {
  let canonical = seen.get(text);
  if (canonical === undefined) {
    canonical = tagPattern().test(text) && noDoubles(text) ? icu.canonical(text) : undefined;
    if (canonical === undefined) {
      throw new NativeRangeError(
        beginning().test(text) ? `Invalid language tag: ${text}` : "Incorrect locale information provided",
      );
    }
    seen.set(text, canonical);
  }
  return canonical;
}

function canonicalElement(value) {
  if (typeof value !== "string" && (typeof value !== "object" || value === null) && typeof value !== "function") {
    throw new NativeTypeError("Language ID should be string or object.");
  }
  const own = slotsOf(value);
  return own?.kind === "Locale" ? own.tag : canonicalTag(`${value}`);
}

export function canonicalList(locales) {
  if (locales === undefined) {
    return [];
  }
  if (typeof locales === "string" || slotsOf(locales)?.kind === "Locale") {
    return [canonicalElement(locales)];
  }
  const list = toObject(locales);
  const length = Math.min(Math.max(Math.trunc(+list.length) || 0, 0), Number.MAX_SAFE_INTEGER);
  const result = [];
  for (let i = 0; i < length; i++) {
    if (i in list) {
      const tag = canonicalElement(list[i]);
      if (!result.includes(tag)) {
        result.push(tag);
      }
    }
  }
  return result;
}

// "de-u-co-phonebk-x-a": ["de-x-a", { co: "phonebk" }].
export function splitExtension(tag) {
  const parts = tag.split("-");
  const at = parts.indexOf("u", 1);
  const last = parts.indexOf("x", 1);
  if (at < 0 || (last >= 0 && last < at)) {
    return [tag, {}];
  }
  let end = at + 1;
  const keywords = {};
  let key;
  for (; end < parts.length && parts[end].length > 1; end++) {
    const part = parts[end];
    if (part.length === 2) {
      key = part;
      keywords[key] ??= "";
    } else if (key !== undefined) {
      keywords[key] += (keywords[key] && "-") + part;
    }
  }
  parts.splice(at, end - at);
  return [parts.join("-"), keywords];
}

export function joinExtension(base, keywords) {
  const keys = Object.keys(keywords).sort();
  if (keys.length === 0) {
    return base;
  }
  const text = "-u-" + keys.map((k) => (keywords[k] === "" || keywords[k] === "true" ? k : `${k}-${keywords[k]}`)).join("-");
  const at = base.search(/-x-/);
  return at < 0 ? base + text : base.slice(0, at) + text + base.slice(at);
}

// --- negotiation ---

const DEFAULT = "en-US";
const known = new Map([["en-US", "en-US"]]);

function bestAvailable(service, tag) {
  const key = service + tag;
  if (known.has(key)) {
    return known.get(key);
  }
  let candidate = tag;
  while (candidate !== undefined && !icu.available(service, candidate)) {
    const parts = candidate.split("-");
    parts.pop();
    if (parts.at(-1)?.length === 1) {
      parts.pop();
    }
    candidate = parts.length > 0 ? parts.join("-") : undefined;
  }
  known.set(key, candidate);
  return candidate;
}

// The first locale that is available, with the extension keys that matter and are valid.  `chosen` has
// the values that options give; valid[key](value, locale) judges.
export function resolve(service, requested, chosen, valid) {
  let base = DEFAULT;
  let wanted = {};
  let posix = {}; // the one variant that is a locale
  for (const tag of requested) {
    const [plain, keywords] = splitExtension(tag);
    const found = bestAvailable(service, plain);
    if (found !== undefined) {
      base = found;
      wanted = keywords;
      posix = keywords.va === "posix" && plain === "en-US" ? { va: "posix" } : {};
      break;
    }
  }
  const values = {};
  const kept = posix;
  for (const key of Object.keys(valid)) {
    let value = wanted[key];
    if (value === "") {
      value = "true";
    }
    if (value !== undefined && valid[key](value, base)) {
      values[key] = kept[key] = value;
    }
    const option = chosen[key];
    if (option !== undefined && valid[key](option, base) && option !== values[key]) {
      values[key] = option;
      delete kept[key];
    }
  }
  return { base, values, kept, locale: joinExtension(base, kept) };
}

function supportedLocales(service, locales, options, kind) {
  const list = canonicalList(locales);
  if (options !== undefined) {
    matcher(toObject(options), `Intl.${kind}.supportedLocalesOf`);
  }
  return list.filter((tag) => bestAvailable(service, splitExtension(tag)[0]) !== undefined);
}

// --- values of extensions ---

const numberingSystems = once(() =>
  "adlm ahom arab arabext bali beng bhks brah cakm cham deva diak fullwide gong gonm gujr guru hanidec hmng hmnp java kali kawi khmr knda lana lanatham laoo latn lepc limb mathbold mathdbl mathmono mathsanb mathsans mlym modi mong mroo mtei mymr mymrshan mymrtlng nagm newa nkoo olck orya osma rohg saur segment shrd sind sinh sora sund takr talu tamldec telu thai tibt tirh tnsa vaii wara wcho".split(" "),
);
export const isNumberingSystem = (value) => numberingSystems().includes(value);
export const calendars = once(() =>
  "buddhist chinese coptic dangi ethioaa ethiopic gregory hebrew indian islamic islamic-civil islamic-rgsa islamic-tbla islamic-umalqura iso8601 japanese persian roc".split(" "),
);
export const isCalendar = (value) => calendars().includes(value);

export function numberingSystem(r) {
  return r.values.nu ?? (/^(en|de|fr|es|it|pt)(-|$)/.test(r.base) ? "latn" : icu.preferred("nu", r.base)[0]);
}

// [type, text, type, text, ...] as JavaScript has it.
export function partsOf(flat) {
  const result = [];
  for (let i = 0; i < flat.length; i += 2) {
    result.push({ type: flat[i], value: flat[i + 1] });
  }
  return result;
}
export function rangePartsOf(flat) {
  const result = [];
  for (let i = 0; i < flat.length; i += 3) {
    result.push({ type: flat[i], value: flat[i + 1], source: flat[i + 2] });
  }
  return result;
}
