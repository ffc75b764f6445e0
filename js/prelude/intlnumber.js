// Intl.NumberFormat and Intl.PluralRules: options become a number skeleton of ICU's.
import {
  canonicalList,
  coerceOptions,
  defaultNumber,
  icu,
  intlClass,
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
  typeOption,
} from "./intlcore.js";

// As they are now: users may replace them.
const { Math, Number, Object, Symbol } = globalThis;

const units = once(() =>
  "acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare hour inch kilobit kilobyte kilogram kilometer liter megabit megabyte meter microsecond mile mile-scandinavian milliliter millimeter millisecond minute month nanosecond ounce percent petabyte pound second stone terabit terabyte week yard year".split(" "),
);
export const unitNames = () => [...units()];
function isUnit(unit) {
  const at = unit.indexOf("-per-");
  const known = (name) => units().includes(name);
  return known(unit) || (at > 0 && known(unit.slice(0, at)) && known(unit.slice(at + 5)));
}

const INCREMENTS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000];
const MODES = {
  ceil: "ceiling",
  floor: "floor",
  expand: "up",
  trunc: "down",
  halfCeil: "half-ceiling",
  halfFloor: "half-floor",
  halfExpand: "half-up",
  halfTrunc: "half-down",
  halfEven: "half-even",
};

// --- options ---

// SetNumberFormatDigitOptions of ECMA-402.
function digitOptions(s, options, minDefault, maxDefault, service) {
  s.minimumIntegerDigits = numberOption(options, "minimumIntegerDigits", 1, 21, 1);
  let minF = options.minimumFractionDigits;
  let maxF = options.maximumFractionDigits;
  let minS = options.minimumSignificantDigits;
  let maxS = options.maximumSignificantDigits;
  const priority = stringOption(options, "roundingPriority", service, ["auto", "morePrecision", "lessPrecision"], "auto");
  s.roundingIncrement = numberOption(options, "roundingIncrement", 1, 5000, 1);
  if (!INCREMENTS.includes(s.roundingIncrement)) {
    throw new NativeRangeError("roundingIncrement value is out of range.");
  }
  s.roundingMode = stringOption(options, "roundingMode", service, Object.keys(MODES), "halfExpand");
  s.trailingZeroDisplay = stringOption(options, "trailingZeroDisplay", service, ["auto", "stripIfInteger"], "auto");
  const hasS = minS !== undefined || maxS !== undefined;
  const hasF = minF !== undefined || maxF !== undefined;
  const needS = priority !== "auto" || hasS;
  const needF = priority !== "auto" || !(hasS || (!hasF && s.notation === "compact"));
  if (s.roundingIncrement !== 1) {
    maxDefault = minDefault;
  }
  if (needS) {
    minS = hasS ? defaultNumber(minS, 1, 21, 1, "minimumSignificantDigits") : 1;
    maxS = hasS ? defaultNumber(maxS, minS, 21, 21, "maximumSignificantDigits") : 21;
    [s.minS, s.maxS] = [minS, maxS];
  }
  if (needF) {
    minF = defaultNumber(minF, 0, 20, undefined, "minimumFractionDigits");
    maxF = defaultNumber(maxF, 0, 20, undefined, "maximumFractionDigits");
    if (minF !== undefined && maxF !== undefined && minF > maxF) {
      throw new NativeRangeError("maximumFractionDigits value is out of range.");
    }
    s.minF = minF ?? Math.min(minDefault, maxF ?? minDefault);
    s.maxF = maxF ?? Math.max(maxDefault, s.minF);
  }
  s.roundingPriority = priority;
  if (!needS && !needF) {
    [s.minS, s.maxS, s.minF, s.maxF, s.roundingPriority] = [1, 2, 0, 0, "morePrecision"];
  }
  if (s.roundingIncrement !== 1) {
    if (needS || !needF) {
      throw new NativeTypeError("roundingIncrement value is invalid.");
    }
    if (s.minF !== s.maxF) {
      throw new NativeRangeError("roundingIncrement value is out of range.");
    }
  }
}

function unitOptions(s, options, service) {
  s.style = stringOption(options, "style", service, ["decimal", "percent", "currency", "unit"], "decimal");
  const currency = stringOption(options, "currency", service);
  if (currency !== undefined && !/^[a-z]{3}$/i.test(currency)) {
    throw new NativeRangeError(`Invalid currency code : ${currency}`);
  }
  if (s.style === "currency" && currency === undefined) {
    throw new NativeTypeError("Currency code is required with currency style.");
  }
  const currencyDisplay = stringOption(options, "currencyDisplay", service, ["code", "symbol", "narrowSymbol", "name"], "symbol");
  const currencySign = stringOption(options, "currencySign", service, ["standard", "accounting"], "standard");
  const unit = stringOption(options, "unit", service);
  if (unit === undefined ? s.style === "unit" : !isUnit(unit)) {
    const E = unit === undefined ? NativeTypeError : NativeRangeError;
    throw new E(`Invalid unit argument for Intl.NumberFormat() '${unit ?? ""}'`);
  }
  const unitDisplay = stringOption(options, "unitDisplay", service, ["short", "narrow", "long"], "short");
  if (s.style === "currency") {
    Object.assign(s, { currency: currency.toUpperCase(), currencyDisplay, currencySign });
  } else if (s.style === "unit") {
    Object.assign(s, { unit, unitDisplay });
  }
}

function grouping(options, fallback, service) {
  const value = options.useGrouping;
  if (value === undefined) {
    return fallback;
  }
  if (value === true) {
    return "always";
  }
  if (!value) {
    return false;
  }
  const text = `${value}`;
  if (text === "true" || text === "false") {
    return fallback;
  }
  return stringOption({ useGrouping: text }, "useGrouping", service, ["min2", "auto", "always"]);
}

const SIGNS = ["auto", "never", "always", "exceptZero", "negative"];

export function numberState(locales, options, service) {
  const requested = canonicalList(locales);
  const o = coerceOptions(options, "Intl.NumberFormat");
  matcher(o, service);
  const nu = typeOption(o, "numberingSystem");
  const r = resolve("", requested, { nu }, { nu: isNumberingSystem });
  const s = { r };
  unitOptions(s, o, service);
  s.notation = stringOption(o, "notation", service, ["standard", "scientific", "engineering", "compact"], "standard");
  let [min, max] = s.style === "percent" ? [0, 0] : [0, 3];
  if (s.style === "currency" && s.notation === "standard") {
    min = max = s.currency === "USD" || s.currency === "EUR" ? 2 : icu.currencyDigits(s.currency);
  } else if (s.style === "currency") {
    [min, max] = [0, 0];
  }
  digitOptions(s, o, min, max, service);
  const compactDisplay = stringOption(o, "compactDisplay", service, ["short", "long"], "short");
  if (s.notation === "compact") {
    s.compactDisplay = compactDisplay;
  }
  s.useGrouping = grouping(o, s.notation === "compact" ? "min2" : "auto", service);
  s.signDisplay = stringOption(o, "signDisplay", service, SIGNS, "auto");
  s.icuLocale = joinExtension(r.base, r.values.nu ? { nu: r.values.nu } : {});
  s.skeleton = skeletonOf(s);
  return s;
}

// --- skeletons (ICU's user guide, "Number Skeletons") ---

const WIDTHS = {
  code: "unit-width-iso-code",
  name: "unit-width-full-name",
  narrowSymbol: "unit-width-narrow",
  symbol: "",
  long: "unit-width-full-name",
  short: "unit-width-short",
  narrow: "unit-width-narrow",
};
const GROUPS = { always: "group-on-aligned", min2: "group-min2", false: "group-off" };

function precision(s) {
  const fraction = s.maxF === undefined ? "" : "." + "0".repeat(s.minF) + "#".repeat(s.maxF - s.minF);
  const significant = s.maxS === undefined ? "" : "@".repeat(s.minS) + "#".repeat(s.maxS - s.minS);
  let result = fraction || significant;
  if (s.roundingIncrement !== 1) {
    const digits = `${s.roundingIncrement}`.padStart(s.maxF + 1, "0");
    const at = digits.length - s.maxF;
    result = "precision-increment/" + digits.slice(0, at) + (s.maxF > 0 ? "." + digits.slice(at) : "");
  } else if (fraction && significant) {
    result = `${fraction === "." ? "precision-integer" : fraction}/${significant}${s.roundingPriority === "lessPrecision" ? "s" : "r"}`;
  } else if (fraction === ".") {
    result = "precision-integer";
  }
  return s.trailingZeroDisplay === "stripIfInteger" ? result + "/w" : result;
}

function sign(s) {
  const kind = { always: "always", never: "never", exceptZero: "except-zero", negative: "negative" }[s.signDisplay];
  if (s.currencySign === "accounting" && kind !== "never") {
    return kind ? `sign-accounting-${kind}` : "sign-accounting";
  }
  return kind ? `sign-${kind}` : "";
}

function skeletonOf(s) {
  const stems = [];
  if (s.style === "percent") {
    stems.push("percent", "scale/100");
  } else if (s.style === "currency") {
    stems.push(`currency/${s.currency}`, WIDTHS[s.currencyDisplay]);
  } else if (s.style === "unit") {
    stems.push(`unit/${s.unit}`, WIDTHS[s.unitDisplay]);
  }
  if (s.notation === "compact") {
    stems.push(`compact-${s.compactDisplay}`);
  } else if (s.notation !== "standard" && s.notation !== undefined) {
    stems.push(s.notation);
  }
  stems.push(precision(s), `rounding-mode-${MODES[s.roundingMode]}`, GROUPS[s.useGrouping] ?? "", sign(s));
  if (s.minimumIntegerDigits > 1) {
    stems.push("integer-width/+" + "0".repeat(s.minimumIntegerDigits));
  }
  return stems.filter((x) => x !== "").join(" ");
}

// --- values ---

function toPrimitive(value) {
  const exotic = value[Symbol.toPrimitive];
  const tries = exotic === undefined || exotic === null ? [value.valueOf, value.toString] : [exotic];
  for (const f of tries) {
    const result = typeof f === "function" ? f.call(value, "number") : value;
    if ((typeof result !== "object" && typeof result !== "function") || result === null) {
      return result;
    }
  }
  throw new NativeTypeError("Cannot convert object to primitive value");
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?(\d+))?$/i;
const EXPONENT_MAX = 1000; // in numerals: it may be written out as zeroes

// What the host formats: a double, or a decimal numeral as text.
function toNumeral(value) {
  let v = value;
  if ((typeof v === "object" && v !== null) || typeof v === "function") {
    v = toPrimitive(v);
  }
  if (typeof v === "bigint") {
    return `${v}`;
  }
  if (typeof v !== "string") {
    return +v;
  }
  const text = v.trim();
  const number = +text;
  const m = Number.isFinite(number) ? DECIMAL.exec(text) : null;
  return m && !(m[1] > EXPONENT_MAX) ? text.replace(/^\+/, "") : number;
}

function toNumeralPair(start, end, names) {
  for (const [i, v] of [start, end].entries()) {
    if (v === undefined) {
      throw new NativeTypeError(`Invalid ${names[i]} : undefined`);
    }
  }
  let pair = [toNumeral(start), toNumeral(end)];
  for (const [i, v] of pair.entries()) {
    if (Number.isNaN(v)) {
      throw new NativeRangeError(`Invalid ${names[i]} : NaN`);
    }
  }
  if (typeof pair[0] !== typeof pair[1]) {
    const finite = pair.every((x) => typeof x === "string" || Number.isFinite(x));
    pair = pair.map(finite ? String : Number);
  }
  return pair;
}

export const formatNumber = (s, value) => icu.number(s.icuLocale, s.skeleton, toNumeral(value), 0);

function formatRange(s, start, end, parts) {
  const [x, y] = toNumeralPair(start, end, ["start", "end"]);
  return icu.numberRange(s.icuLocale, s.skeleton, x, y, parts);
}

function digitsResolved(s) {
  const result = { minimumIntegerDigits: s.minimumIntegerDigits };
  if (s.maxS !== undefined) {
    Object.assign(result, { minimumSignificantDigits: s.minS, maximumSignificantDigits: s.maxS });
  }
  if (s.maxF !== undefined) {
    Object.assign(result, { minimumFractionDigits: s.minF, maximumFractionDigits: s.maxF });
  }
  return result;
}

const own = (self, method) => slots(self, "NumberFormat", method);

export const numberFormat = () =>
  intlClass("NumberFormat", {
    callable: true,
    init: numberState,
    proto: {
      resolvedOptions() {
        const s = own(this, "resolvedOptions");
        const result = { locale: s.r.locale, numberingSystem: numberingSystem(s.r), style: s.style };
        for (const key of ["currency", "currencyDisplay", "currencySign", "unit", "unitDisplay"]) {
          if (s[key] !== undefined) {
            result[key] = s[key];
          }
        }
        Object.assign(result, digitsResolved(s), { useGrouping: s.useGrouping, notation: s.notation });
        if (s.compactDisplay !== undefined) {
          result.compactDisplay = s.compactDisplay;
        }
        const { signDisplay, roundingMode, roundingIncrement, trailingZeroDisplay, roundingPriority } = s;
        return Object.assign(result, { signDisplay, roundingMode, roundingIncrement, trailingZeroDisplay, roundingPriority });
      },
      formatToParts(value) {
        const s = own(this, "formatToParts");
        return partsOf(icu.number(s.icuLocale, s.skeleton, toNumeral(value), 1));
      },
      get format() {
        const s = own(this, "format");
        return (s.bound ??= [(value) => formatNumber(s, value)])[0];
      },
      formatRange(start, end) {
        return formatRange(own(this, "formatRange"), start, end, 0);
      },
      formatRangeToParts(start, end) {
        return rangePartsOf(formatRange(own(this, "formatRangeToParts"), start, end, 1));
      },
    },
  });

// --- plural rules ---

function pluralState(locales, options, service) {
  const requested = canonicalList(locales);
  const o = coerceOptions(options, service);
  matcher(o, service);
  const s = { type: stringOption(o, "type", service, ["cardinal", "ordinal"], "cardinal"), notation: "standard" };
  digitOptions(s, o, 0, 3, service);
  s.r = resolve("plural", requested, {}, {});
  s.skeleton = skeletonOf({ ...s, style: "decimal", useGrouping: "auto", signDisplay: "auto" });
  return s;
}

const plural = (self, method) => slots(self, "PluralRules", method);

export const pluralRules = () =>
  intlClass("PluralRules", {
    init: pluralState,
    proto: {
      resolvedOptions() {
        const s = plural(this, "resolvedOptions");
        return {
          locale: s.r.locale,
          type: s.type,
          ...digitsResolved(s),
          pluralCategories: icu.pluralCategories(s.r.base, s.type),
        };
      },
      select(value) {
        const s = plural(this, "select");
        const number = +value;
        return icu.plural(s.r.base, s.type, s.skeleton, number);
      },
      selectRange(start, end) {
        const s = plural(this, "selectRange");
        const [x, y] = toNumeralPair(start, end, ["startRange", "endRange"]);
        return icu.pluralRange(s.r.base, s.type, s.skeleton, x, y);
      },
    },
  });
