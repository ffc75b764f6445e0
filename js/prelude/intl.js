// Intl, and what of String, Number, BigInt, Date and Array depends on locales.  Formatting is the host's, over ICU;
// an engine that brings an Intl of its own keeps it.
import host, { define } from "./host.js";
import { canonicalList, icu, members, tagAs } from "./intlcore.js";
import { dateState, dateTimeFormat, formatDate } from "./intldate.js";
import { functions, locale } from "./intllocale.js";
import { formatNumber, numberFormat, numberState, pluralRules } from "./intlnumber.js";
import { collator, collatorState, compare, displayNames, listFormat, relativeTimeFormat, segmenter } from "./intltext.js";

// As they are now: users may replace them.
const { Math, Number, Object } = globalThis;

const { valueOf: numberValue } = Number.prototype;
const { valueOf: bigintValue } = BigInt.prototype;
const { getTime } = Date.prototype;
const NativeTypeError = TypeError;

// Formats without options are made once in a run for each locale.
const made = new Map();
function remembered(key, locales, options, make) {
  if (options !== undefined || (locales !== undefined && typeof locales !== "string")) {
    return make();
  }
  const name = `${key} ${locales}`;
  let state = made.get(name);
  if (state === undefined) {
    made.set(name, (state = make()));
  }
  return state;
}

// --- String ---

function textOf(value, method) {
  if (value === undefined || value === null) {
    throw new NativeTypeError(`String.prototype.${method} called on null or undefined`);
  }
  return `${value}`;
}

// What the host's localeCompare() leaves to JavaScript.
function slowCompare(self, that, locales, options) {
  const a = textOf(self, "localeCompare");
  const b = `${that}`;
  const service = "String.prototype.localeCompare";
  const s = remembered("compare", locales, options, () => collatorState(locales, options, service));
  return compare(s, a, b);
}

const ASCII = /^[\0-\x7f]*$/;
const SPECIAL = /^(tr|az|lt|el)(-|$)/; // languages with rules of their own
const { toUpperCase, toLowerCase } = String.prototype;

function changeCase(self, locales, upper) {
  const text = textOf(self, upper ? "toLocaleUpperCase" : "toLocaleLowerCase");
  const tag = locales === undefined ? "en" : canonicalList(locales)[0] ?? "en";
  if (!SPECIAL.test(tag) || (ASCII.test(text) && !/^(tr|az|lt)/.test(tag))) {
    return (upper ? toUpperCase : toLowerCase).call(text);
  }
  return icu.case(tag, upper ? 1 : 0, text);
}

const stringMembers = {
  toLocaleUpperCase() {
    "use strict";
    return changeCase(this, arguments[0], true);
  },
  toLocaleLowerCase() {
    "use strict";
    return changeCase(this, arguments[0], false);
  },
};

// --- Number, BigInt, Date ---

function numberText(value, locales, options, service) {
  return formatNumber(
    remembered("number", locales, options, () => numberState(locales, options, service)),
    value,
  );
}

const numberMembers = {
  toLocaleString() {
    let value;
    try {
      value = numberValue.call(this);
    } catch {
      throw new NativeTypeError("Number.prototype.toLocaleString requires that 'this' be a Number");
    }
    return numberText(value, arguments[0], arguments[1], "Number.prototype.toLocaleString");
  },
};
const bigintMembers = {
  toLocaleString() {
    let value;
    try {
      value = bigintValue.call(this);
    } catch {
      throw new NativeTypeError("BigInt.prototype.toLocaleString requires that 'this' be a BigInt");
    }
    return numberText(value, arguments[0], arguments[1], "BigInt.prototype.toLocaleString");
  },
};

function dateText(self, locales, options, method, required, defaults) {
  const time = getTime.call(self);
  if (Number.isNaN(time)) {
    return "Invalid Date";
  }
  const service = `Date.prototype.${method}`;
  const make = () => dateState(locales, options, service, required, defaults);
  return formatDate(remembered(method, locales, options, make), time);
}

const dateMembers = {
  toLocaleString() {
    return dateText(this, arguments[0], arguments[1], "toLocaleString", "any", "all");
  },
  toLocaleDateString() {
    return dateText(this, arguments[0], arguments[1], "toLocaleDateString", "date", "date");
  },
  toLocaleTimeString() {
    return dateText(this, arguments[0], arguments[1], "toLocaleTimeString", "time", "time");
  },
};

// --- arrays ---

const busy = []; // arrays that are being joined: one inside of itself is empty

function joined(array, length, locales, options) {
  if (busy.includes(array)) {
    return "";
  }
  busy.push(array);
  try {
    let text = "";
    for (let i = 0; i < length; i++) {
      const item = array[i];
      text += (i > 0 ? "," : "") + (item === undefined || item === null ? "" : `${item.toLocaleString(locales, options)}`);
    }
    return text;
  } finally {
    busy.pop();
  }
}

const arrayMembers = {
  toLocaleString() {
    const array = Object(this);
    const length = Math.min(Math.max(Math.trunc(+array.length) || 0, 0), Number.MAX_SAFE_INTEGER);
    return joined(array, length, arguments[0], arguments[1]);
  },
};
const typedLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "length").get;
const typedMembers = {
  toLocaleString() {
    return joined(this, typedLength.call(this), arguments[0], arguments[1]);
  },
};

// --- installation ---

if (icu) {
  host.slowCompare = slowCompare;
  const Intl = {};
  tagAs(Intl, "Intl");
  members(Intl, functions);
  members(Intl, {
    DateTimeFormat: dateTimeFormat(),
    NumberFormat: numberFormat(),
    Collator: collator(),
    PluralRules: pluralRules(),
    RelativeTimeFormat: relativeTimeFormat(),
    ListFormat: listFormat(),
    Locale: locale(),
    DisplayNames: displayNames(),
    Segmenter: segmenter(),
  });
  define({ Intl });
  define({ localeCompare: icu.localeCompare }, String.prototype);
  define(stringMembers, String.prototype);
  define(numberMembers, Number.prototype);
  define(bigintMembers, BigInt.prototype);
  define(dateMembers, Date.prototype);
  define(arrayMembers, Array.prototype);
  define(typedMembers, Object.getPrototypeOf(Uint8Array.prototype));
}
