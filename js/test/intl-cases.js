// What Intl is asked in the tests: tables of locales, options and values, each row a call.  The same
// rows run in Node.js (intl-golden.mjs) and in a function (intl.js).
const LOCALES = ["en-US", "en-GB", "de-DE", "fr-FR", "ja-JP", "ar-EG", "hi-IN", "pt-BR", "es", "zh-CN", "tr", "sv", "ko", "ru", "pl", "th", "he", "fa", "nl"];
const FEW = ["en-US", "de-DE", "fr-FR", "ja-JP", "ar-EG", "hi-IN", "es"];
const MOMENT = Date.UTC(2024, 1, 3, 16, 5, 6, 789);
const LATER = Date.UTC(2024, 2, 9, 7, 30);

const outcome = (run) => {
  try {
    const v = run();
    return v === undefined ? "undefined" : v;
  } catch (e) {
    return `${e.name}: ${e.message}`;
  }
};
const options = (o) => Object.entries(o).map(([k, v]) => `${k}=${v}`).join(",");

const dateFormats = [
  {},
  { dateStyle: "full", timeStyle: "full" },
  { dateStyle: "long", timeStyle: "long" },
  { dateStyle: "medium", timeStyle: "medium" },
  { dateStyle: "short", timeStyle: "short" },
  { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  { month: "short", day: "numeric" },
  { year: "2-digit", month: "2-digit", day: "2-digit" },
  { hour: "numeric", minute: "2-digit" },
  { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false },
  { hour: "numeric", minute: "2-digit", timeZone: "America/New_York", timeZoneName: "short" },
];
const moreDateFormats = [
  { weekday: "narrow", era: "short", year: "numeric", month: "narrow", day: "numeric" },
  { era: "long", year: "numeric", month: "long" },
  { hour: "numeric", hour12: true },
  { hour: "numeric", hourCycle: "h24", minute: "numeric" },
  { hour: "numeric", hourCycle: "h11", minute: "numeric" },
  { timeStyle: "short", hour12: true },
  { timeStyle: "medium", hour12: false },
  { minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 },
  { hour: "numeric", dayPeriod: "long" },
  { hour: "numeric", dayPeriod: "short", minute: "numeric", hour12: true },
  { timeZone: "Asia/Kolkata", timeZoneName: "long", hour: "numeric" },
  { timeZone: "America/Los_Angeles", timeZoneName: "longOffset", hour: "numeric" },
  { timeZone: "Europe/Berlin", timeZoneName: "shortOffset", day: "numeric" },
  { timeZone: "Europe/London", timeZoneName: "longGeneric" },
  { timeZone: "America/Chicago", timeZoneName: "shortGeneric" },
  { calendar: "buddhist", dateStyle: "long" },
  { calendar: "japanese", dateStyle: "medium" },
  { calendar: "hebrew", dateStyle: "long" },
  { calendar: "islamic-umalqura", dateStyle: "long" },
  { calendar: "chinese", dateStyle: "long" },
  { calendar: "persian", dateStyle: "short" },
  { numberingSystem: "arab", dateStyle: "short" },
  { numberingSystem: "thai", timeStyle: "short" },
  { month: "long" },
  { weekday: "short" },
  { year: "numeric" },
  { day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" },
];

const numberFormats = [
  {},
  { style: "percent", maximumFractionDigits: 1 },
  { style: "currency", currency: "USD" },
  { style: "currency", currency: "EUR" },
  { style: "currency", currency: "JPY" },
  { style: "unit", unit: "kilometer-per-hour" },
  { notation: "compact" },
  { notation: "compact", compactDisplay: "long" },
  { minimumFractionDigits: 2, maximumFractionDigits: 2 },
];
const moreNumberFormats = [
  { style: "currency", currency: "USD", currencyDisplay: "name" },
  { style: "currency", currency: "USD", currencyDisplay: "code" },
  { style: "currency", currency: "CAD", currencyDisplay: "narrowSymbol" },
  { style: "currency", currency: "USD", currencySign: "accounting" },
  { style: "currency", currency: "USD", currencySign: "accounting", signDisplay: "exceptZero" },
  { style: "currency", currency: "BHD" },
  { style: "currency", currency: "EUR", notation: "compact" },
  { style: "currency", currency: "EUR", minimumFractionDigits: 0 },
  { style: "currency", currency: "USD", trailingZeroDisplay: "stripIfInteger" },
  { style: "unit", unit: "liter", unitDisplay: "long" },
  { style: "unit", unit: "megabyte", unitDisplay: "narrow" },
  { style: "unit", unit: "celsius" },
  { style: "unit", unit: "percent" },
  { notation: "scientific" },
  { notation: "engineering", maximumSignificantDigits: 4 },
  { notation: "compact", maximumFractionDigits: 1 },
  { notation: "compact", minimumSignificantDigits: 3, maximumSignificantDigits: 3 },
  { useGrouping: false },
  { useGrouping: "always" },
  { useGrouping: "min2" },
  { signDisplay: "always" },
  { signDisplay: "never" },
  { signDisplay: "exceptZero" },
  { signDisplay: "negative" },
  { maximumSignificantDigits: 3 },
  { minimumSignificantDigits: 6 },
  { minimumIntegerDigits: 4, useGrouping: false },
  { minimumIntegerDigits: 12 },
  { maximumFractionDigits: 0 },
  { maximumFractionDigits: 20 },
  { roundingMode: "ceil", maximumFractionDigits: 0 },
  { roundingMode: "trunc", maximumFractionDigits: 1 },
  { roundingMode: "halfEven", maximumFractionDigits: 0 },
  { roundingIncrement: 5, minimumFractionDigits: 2, maximumFractionDigits: 2 },
  { roundingIncrement: 50, maximumFractionDigits: 0 },
  { roundingPriority: "lessPrecision", maximumFractionDigits: 2, maximumSignificantDigits: 3 },
  { roundingPriority: "morePrecision", maximumFractionDigits: 2, maximumSignificantDigits: 3 },
  { style: "percent", signDisplay: "always" },
  { numberingSystem: "deva" },
  { numberingSystem: "hanidec", style: "percent" },
];
const NUMBERS = [0, 1, -1234.567, 1234567.891, 0.004567, 2.5];
const MORE_NUMBERS = [-0, NaN, -Infinity, 1e21, 12345678901234567890n, "12345678901234567890.123456789", " -0x10 ", 0.5, 1.005, 999999, -0.4, "1e400", "-1e-400", "7".repeat(400), 7n ** 60n, "0.1234567890123456789012345678901234567890", "", "1_000"];

const WORDS = ["a", "A", "á", "b", "B", "z", "Z", "ä", "ö", "ø", "å", "æ", "ñ", "n", "ch", "c", "d", "10", "9", "2", "_", "-", " ", "", "ß", "ss", "resume", "résumé", "Resume", "co-op", "coop", "ı", "i", "I", "İ", "ص", "あ", "ア", "中", "文", "😀", "l·l", "ll"];

const resolved = (C, l, o) => JSON.stringify(new C(l, o).resolvedOptions());

function* dateRows() {
  for (const [locales, formats] of [[LOCALES, dateFormats], [FEW, moreDateFormats]]) {
    for (const l of locales) {
      for (const o of formats) {
        yield [`date ${l} ${options(o)}`, () => new Intl.DateTimeFormat(l, o).format(MOMENT)];
      }
    }
  }
  for (const o of [...dateFormats, ...moreDateFormats]) {
    yield [`date parts ${options(o)}`, () => JSON.stringify(new Intl.DateTimeFormat("en-US", o).formatToParts(MOMENT))];
    yield [`date resolved ${options(o)}`, () => FEW.map((l) => resolved(Intl.DateTimeFormat, l, o)).join("\n")];
  }
  for (const l of FEW) {
    for (const o of [{}, { dateStyle: "medium" }, { hour: "numeric", minute: "numeric" }, { month: "long", day: "numeric", year: "numeric" }, { timeStyle: "short", dateStyle: "short" }]) {
      yield [`date range ${l} ${options(o)}`, () => { const f = new Intl.DateTimeFormat(l, o); return [f.formatRange(MOMENT, LATER), f.formatRange(MOMENT, MOMENT + 3600000), f.formatRange(MOMENT, MOMENT)].join("|"); }];
      yield [`date range parts ${l} ${options(o)}`, () => JSON.stringify(new Intl.DateTimeFormat(l, o).formatRangeToParts(MOMENT, LATER))];
    }
    for (const m of ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"]) {
      yield [`${m} ${l}`, () => [new Date(MOMENT)[m](l), new Date(MOMENT)[m](l, { month: "long" }), new Date(MOMENT)[m](l, { hour: "numeric" }), new Date(MOMENT)[m](l, { timeZone: "Pacific/Auckland" })].join("|")];
    }
  }
  for (const t of [0, -1, Date.UTC(1582, 9, 10), Date.UTC(-500, 0, 1), -62198755200000, 8.64e15, -8.64e15, 1e12 + 0.7]) {
    yield [`time ${t}`, () => new Intl.DateTimeFormat("en-US", { dateStyle: "long", timeStyle: "medium", era: undefined }).format(t) + new Intl.DateTimeFormat("en", { era: "short", year: "numeric", month: "numeric", day: "numeric" }).format(t)];
  }
  for (const tz of ["america/new_york", "Etc/UTC", "GMT", "utc", "Asia/Calcutta", "Asia/Kolkata", "EST", "Etc/GMT+5", "xx", "", "GMT+5", "US/Pacific", "UCT", "Zulu", "+05:30"]) {
    yield [`zone ${tz}`, () => { const f = new Intl.DateTimeFormat("en", { timeZone: tz, timeZoneName: "short" }); return f.resolvedOptions().timeZone + " " + f.format(0); }];
  }
}

function* numberRows() {
  for (const [locales, formats] of [[LOCALES, numberFormats], [FEW, moreNumberFormats]]) {
    for (const l of locales) {
      for (const o of formats) {
        yield [`number ${l} ${options(o)}`, () => { const f = new Intl.NumberFormat(l, o); return NUMBERS.map((x) => f.format(x)).join("|"); }];
      }
    }
  }
  for (const o of [...numberFormats, ...moreNumberFormats]) {
    yield [`number parts ${options(o)}`, () => { const f = new Intl.NumberFormat("en-US", o); return JSON.stringify([...NUMBERS, ...MORE_NUMBERS].map((x) => f.formatToParts(x).map((p) => p.type + ":" + p.value).join(";"))); }];
    yield [`number resolved ${options(o)}`, () => FEW.map((l) => resolved(Intl.NumberFormat, l, o)).join("\n")];
  }
  for (const l of FEW) {
    yield [`more numbers ${l}`, () => MORE_NUMBERS.map((x) => new Intl.NumberFormat(l).format(x)).join("|")];
    yield [`toLocaleString ${l}`, () => [(1234.5).toLocaleString(l), 123456789n.toLocaleString(l, { style: "currency", currency: "EUR" }), [1.5, null, new Date(0), "x", 2n].toLocaleString(l), new Float64Array([1234.5, 2]).toLocaleString(l)].join("|")];
    for (const o of [{}, { style: "currency", currency: "EUR", maximumFractionDigits: 0 }, { style: "unit", unit: "meter" }, { notation: "compact" }]) {
      yield [`number range ${l} ${options(o)}`, () => { const f = new Intl.NumberFormat(l, o); return [f.formatRange(3, 5), f.formatRange(2.9, 3.1), f.formatRange(1, 1), f.formatRange("1000", 20000n), f.formatRange(-5, 5)].join("|") + JSON.stringify(f.formatRangeToParts(1200, 3500)); }];
    }
  }
  for (const [type, values] of [["cardinal", [0, 1, 1.5, 2, 3, 5, 11, 21, 100, 1e6]], ["ordinal", [1, 2, 3, 4, 11, 21, 22, 23, 101]]]) {
    for (const l of LOCALES) {
      yield [`plural ${type} ${l}`, () => { const p = new Intl.PluralRules(l, { type }); return values.map((x) => p.select(x)).join() + p.resolvedOptions().pluralCategories + p.selectRange(1, 2); }];
    }
  }
  yield ["plural digits", () => [{ minimumFractionDigits: 1 }, { maximumFractionDigits: 0 }, { minimumSignificantDigits: 2 }].map((o) => new Intl.PluralRules("en", o).select(1) + resolved(Intl.PluralRules, "en", o)).join("|")];
}

function* textRows() {
  const sorted = (l, o) => [...WORDS].sort(new Intl.Collator(l, o).compare).join(" ");
  for (const l of [...LOCALES, "da", "lt", "ca", "es-u-co-trad", "de-u-co-phonebk", "de-u-kn-kf-upper"]) {
    yield [`sort ${l}`, () => sorted(l)];
    yield [`collator resolved ${l}`, () => resolved(Intl.Collator, l) + resolved(Intl.Collator, l, { usage: "search", numeric: true, sensitivity: "base" })];
  }
  for (const o of [{ sensitivity: "base" }, { sensitivity: "accent" }, { sensitivity: "case" }, { numeric: true }, { caseFirst: "upper" }, { ignorePunctuation: true }, { usage: "search", sensitivity: "base" }]) {
    yield [`collate ${options(o)}`, () => { const { compare } = new Intl.Collator("en", o); return WORDS.map((a) => WORDS.map((b) => "<=>"[compare(a, b) + 1]).join("")).join("\n"); }];
  }
  yield ["localeCompare", () => WORDS.map((a) => WORDS.map((b) => "<=>"[a.localeCompare(b) + 1]).join("")).join("\n")];
  yield ["localeCompare with options", () => ["a".localeCompare("A", "en", { sensitivity: "base" }), "10".localeCompare("9", undefined, { numeric: true }), "ä".localeCompare("z", "sv"), "ä".localeCompare("z", "de"), "a".localeCompare(), "1".localeCompare(1)].join()];
  for (const l of ["tr", "az", "lt", "el", "nl", "hy", "en", "de", "tr-TR-u-nu-latn"]) {
    yield [`case ${l}`, () => ["iIıİ", "ΑΣ ΌΣΟΣ άό", "ß ijs Ĳ", "J́ í Į́", "և ﬁ"].map((s) => s.toLocaleUpperCase(l) + " " + s.toLocaleLowerCase(l)).join("|")];
  }
  for (const l of LOCALES) {
    for (const type of ["conjunction", "disjunction", "unit"]) {
      yield [`list ${l} ${type}`, () => ["long", "short", "narrow"].map((style) => { const f = new Intl.ListFormat(l, { type, style }); return [[], ["A"], ["A", "B"], ["A", "B", "C"], ["A", "i", "hielo", "8"]].map((x) => f.format(x)).join(";"); }).join("|")];
    }
    yield [`relative ${l}`, () => ["always", "auto"].map((numeric) => { const f = new Intl.RelativeTimeFormat(l, { numeric }); return [[-1, "day"], [0, "days"], [1, "week"], [2, "months"], [-3.5, "hour"], [1000, "year"], [-0, "second"], [5, "quarter"], [-1, "minute"]].map(([n, u]) => f.format(n, u)).join(";"); }).join("|") + ["short", "narrow"].map((style) => new Intl.RelativeTimeFormat(l, { style }).format(-5, "month")).join("|")];
  }
  yield ["list parts", () => JSON.stringify([new Intl.ListFormat("en").formatToParts(["a", "b", "c"]), new Intl.ListFormat("en").format("abc"), new Intl.ListFormat("en").format()])];
  yield ["relative parts", () => JSON.stringify([new Intl.RelativeTimeFormat("en").formatToParts(-12345.5, "days"), new Intl.RelativeTimeFormat("en", { numeric: "auto" }).formatToParts(-1, "days"), new Intl.RelativeTimeFormat("de").formatToParts(3, "week")])];
  const TEXT = "Hello, wörld! It's 3.14 o'clock. नमस्ते 👩‍👩‍👧‍👦🇩🇪e\u0301 日本語のテキスト. Mr. Smith? Yes.\r\nสวัสดีชาวโลก";
  for (const granularity of ["grapheme", "word", "sentence"]) {
    for (const l of ["en", "ja", "th"]) {
      yield [`segments ${l} ${granularity}`, () => [...new Intl.Segmenter(l, { granularity }).segment(TEXT)].map((s) => s.segment + (s.isWordLike === undefined ? "" : s.isWordLike ? "+" : "-")).join("|")];
    }
    yield [`long segments ${granularity}`, () => { let n = 0, sum = 0, last; for (const s of new Intl.Segmenter("en", { granularity }).segment(TEXT.repeat(200))) { n++; sum = (sum * 31 + s.index) % 1e9; last = s.segment; } return [n, sum, last].join(); }];
    yield [`containing ${granularity}`, () => JSON.stringify([0, 8, 1.7, -1, 1e9, NaN, undefined, 20000].map((i) => new Intl.Segmenter("en", { granularity }).segment(TEXT.repeat(200)).containing(i)?.index ?? null))];
  }
}

function* nameRows() {
  const codes = { language: ["en", "en-GB", "zh-Hans-SG", "pt-BR", "xx", "de-AT", "fil"], region: ["US", "419", "UN", "ZZ", "QX", "DE"], script: ["Latn", "Arab", "Hans", "Zxxx"], currency: ["USD", "eur", "JPY", "ZZZ"], calendar: ["gregory", "buddhist", "ethioaa", "islamic-umalqura", "iso8601"], dateTimeField: ["era", "year", "quarter", "month", "weekOfYear", "weekday", "day", "dayPeriod", "hour", "minute", "second", "timeZoneName"] };
  for (const l of FEW) {
    for (const type of Object.keys(codes)) {
      yield [`names ${l} ${type}`, () => ["long", "short", "narrow"].map((style) => codes[type].map((c) => new Intl.DisplayNames(l, { type, style, fallback: style === "short" ? "none" : "code" }).of(c)).join(";")).join("|")];
    }
    yield [`standard names ${l}`, () => ["en-GB", "zh-Hant", "pt-PT"].map((c) => new Intl.DisplayNames(l, { type: "language", languageDisplay: "standard" }).of(c)).join(";")];
  }
  for (const [type, code] of [["region", "xyzw"], ["language", "a"], ["currency", "xx"], ["script", "x"], ["calendar", "x"], ["dateTimeField", "x"], ["language", "en-u-ca-buddhist"]]) {
    yield [`bad name ${type} ${code}`, () => new Intl.DisplayNames("en", { type }).of(code)];
  }
  for (const t of ["en-XX", "no", "nn", "zh-TW", "zh-Hant", "sr-Latn", "iw", "xx", "en-US-u-nu-arab", "de-u-nu-foo", "pt-PT", "es-419", "fil", "tl", "en-US-posix", "zh-Hans-CN", "zz-ZZ", "mo", "sh", "en-DE", "fr-XX-u-nu-latn", "de-1996", "ja-JP-u-ca-japanese", "ca-valencia", "hi-Latn", "uz-UZ", "de-u-co-phonebk", "de-DE-u-hc-h12-nu-latn-ca-buddhist-kn-kf-upper", "en-u-hc-h23", "th-u-nu-thai", "ar-u-nu-latn"]) {
    yield [`resolve ${t}`, () => [Intl.NumberFormat, Intl.DateTimeFormat, Intl.Collator, Intl.PluralRules, Intl.ListFormat, Intl.Segmenter, Intl.RelativeTimeFormat].map((C) => JSON.stringify(new C(t).resolvedOptions())).join("\n") + Intl.NumberFormat.supportedLocalesOf(t)];
  }
  for (const t of ["en-u-kn-true", "en-u-kn-false", "en-US-u-ca-islamicc", "de-u-kf", "sl-rozaj-biske-1994", "en-x-foo", "x-foo", "i-klingon", "zh-min-nan", "cmn", "zh-cmn", "art-lojban", "en-GB-oed", "aa-saaho", "EN-latn-us", "de-DD", "und-SU", "ru-SU", "sr-CS", "en-BU", "de-1996-1996", "en-a-bb-a-cc", "en-a-bb-x-a-a", "en-t-de-t0-und", "en-u-attr-ca-buddhist", "ja-Latn-hepburn-heploc", "no-NO", "tl-PH", "in-ID", "mo", "zh-HK", "cmn-hans-cn", "en-us-u-rg-gbzzzz", "e", "", "en-", "abcd", "abcde", "123", "en-US-US", "u-en", "en-u", "und", "root", "posix", "ca-ES-valencia", "sh", "hy-arevmda", "zh-guoyu", "zh-hakka", "fr-CH-fonipa-1994", "ja-heploc", "de_DE", "en-US ", "en\0", "é"]) {
    yield [`canonical ${t}`, () => Intl.getCanonicalLocales(t)];
  }
  for (const t of ["ar", "fa-AF", "ja-JP", "th", "he-IL", "de", "zh-TW", "und", "en-Latn-US-u-ca-gregory-hc-h12-kn-kf-upper-co-phonebk-nu-latn", "sr", "pt", "en-GB-oxendict", "en-x-a"]) {
    yield [`locale ${t}`, () => { const l = new Intl.Locale(t); return JSON.stringify(["language", "script", "region", "baseName", "calendar", "caseFirst", "collation", "hourCycle", "numeric", "numberingSystem", "calendars", "hourCycles", "numberingSystems", "textInfo", "weekInfo"].map((k) => l[k] ?? null)) + l.maximize() + " " + l.minimize() + " " + l; }];
  }
  for (const a of [["en", { calendar: "buddhist", numeric: true }], ["en-u-kn", { numeric: false }], ["en-GB-oxendict-x-y", { language: "de", script: "latn", region: "at" }], ["en-US-u-ca-gregory", { calendar: "japanese" }], ["en", { caseFirst: "false" }], ["en", { hourCycle: "h11", numberingSystem: "arab", collation: "emoji" }], ["en", { language: "x" }], ["en", { region: "x" }], ["en", { calendar: "x" }], ["en", { hourCycle: "x" }], [5], [null], ["en", null]]) {
    yield [`new Locale ${JSON.stringify(a)}`, () => new Intl.Locale(...a).toString()];
  }
}

// Names of the constructors, their members and the errors of wrong arguments.
function* shapeRows() {
  const shape = (o) => Reflect.ownKeys(o).sort((a, b) => (String(a) < String(b) ? -1 : 1)).map((k) => { const d = Object.getOwnPropertyDescriptor(o, k); return `${String(k)} ${"value" in d ? typeof d.value + (typeof d.value === "function" ? d.value.name + d.value.length : "") : `get ${d.get.name}`} ${d.writable} ${d.enumerable} ${d.configurable}`; }).join("\n");
  yield ["Intl", () => shape(Intl).replace(/^DurationFormat.*\n|^v8.*\n/gm, "")];
  yield ["Intl on the global", () => { const d = Object.getOwnPropertyDescriptor(globalThis, "Intl"); return [d.writable, d.enumerable, d.configurable].join(); }];
  for (const name of ["DateTimeFormat", "NumberFormat", "Collator", "PluralRules", "ListFormat", "RelativeTimeFormat", "Segmenter", "DisplayNames", "Locale"]) {
    yield [`${name} itself`, () => shape(Intl[name])];
    yield [`${name}.prototype`, () => shape(Intl[name].prototype)];
    const o = name === "DisplayNames" ? { type: "region" } : undefined;
    const tries = { plain: () => Intl[name](), bad: () => new Intl[name]("a"), underscore: () => new Intl[name]("de_DE"), nothing: () => new Intl[name](null), list: () => new Intl[name](name === "Locale" ? undefined : ["en", 5]), options: () => new Intl[name]("en", null), matcher: () => new Intl[name]("en", { localeMatcher: "x" }), tag: () => Object.prototype.toString.call(new Intl[name]("en", o)), proxy: () => class extends Intl[name] {}.name + (new (class extends Intl[name] {})("en", o) instanceof Intl[name]) };
    for (const k of Object.keys(tries)) {
      yield [`${name} ${k}`, () => String(tries[k]())];
    }
  }
  const d = new Date(MOMENT);
  const failures = [
    () => new Intl.DateTimeFormat("en").format(NaN), () => new Intl.DateTimeFormat("en").format(8.65e15), () => new Intl.DateTimeFormat("en", { dateStyle: "full", day: "numeric" }),
    () => d.toLocaleDateString("en", { timeStyle: "full" }), () => d.toLocaleTimeString("en", { dateStyle: "full" }), () => new Intl.NumberFormat("en", { style: "currency" }),
    () => new Intl.NumberFormat("en", { style: "currency", currency: "x" }), () => new Intl.NumberFormat("en", { style: "unit" }), () => new Intl.NumberFormat("en", { style: "unit", unit: "foo" }),
    () => new Intl.NumberFormat("en", { minimumFractionDigits: 5, maximumFractionDigits: 2 }), () => new Intl.NumberFormat("en", { maximumFractionDigits: 101 }), () => new Intl.NumberFormat("en", { style: "x" }),
    () => new Intl.NumberFormat("en", { roundingIncrement: 3 }), () => new Intl.NumberFormat("en", { useGrouping: "x" }), () => new Intl.NumberFormat("en", { currency: "zz" }), () => new Intl.NumberFormat("en", { numberingSystem: "x" }),
    () => new Intl.DateTimeFormat("en", { calendar: "x" }), () => new Intl.NumberFormat("en").formatRange(NaN, 1), () => new Intl.NumberFormat("en").formatRange(1), () => new Intl.DateTimeFormat("en").formatRange(d),
    () => new Intl.DateTimeFormat("en").formatRange(d, NaN), () => new Intl.DateTimeFormat("en", { fractionalSecondDigits: 5 }), () => new Intl.RelativeTimeFormat("en").format(1, "foo"), () => new Intl.RelativeTimeFormat("en").format(Infinity, "day"),
    () => new Intl.ListFormat("en").format([1]), () => new Intl.PluralRules("en").selectRange(1), () => new Intl.PluralRules("en").selectRange(1, NaN), () => new Intl.DisplayNames("en", {}), () => Intl.supportedValuesOf("x"),
    () => Intl.getCanonicalLocales(null), () => "a".localeCompare("b", "xx_"), () => "a".toLocaleUpperCase("x_"), () => (1).toLocaleString("en", { style: "z" }), () => new Intl.Segmenter("en", { granularity: "x" }),
    () => Intl.DateTimeFormat.supportedLocalesOf(["en", "xx"], { localeMatcher: "y" }), () => Intl.DateTimeFormat.supportedLocalesOf(["en", "xx", "de-u-nu-latn", "en"]).join(), () => Number.prototype.toLocaleString.call("x"), () => BigInt.prototype.toLocaleString.call(1),
    () => String.prototype.localeCompare.call(null), () => String.prototype.toLocaleLowerCase.call(undefined), () => new Date(NaN).toLocaleString(), () => [Date.prototype.toLocaleString.length, Number.prototype.toLocaleString.length, "".localeCompare.length, "".toLocaleUpperCase.length, [].toLocaleString.length].join(),
    () => new Intl.NumberFormat("en", { maximumFractionDigits: "2", minimumFractionDigits: null }).format(1.256), () => new Intl.NumberFormat(undefined, { style: undefined }).format("1,5"), () => new Intl.NumberFormat([]).format(true), () => new Intl.NumberFormat(["xx", "de"]).format(1.5),
    () => [1, 2, 3].map(new Intl.NumberFormat("en", { style: "percent" }).format).join(), () => { const a = [1]; a.push(a); return a.toLocaleString(); }, () => Intl.NumberFormat("de").format({ valueOf: () => 1234.5 }),
    () => new Intl.NumberFormat("en", { minimumIntegerDigits: 22 }), () => new Intl.NumberFormat("en", { minimumSignificantDigits: 0 }), () => new Intl.NumberFormat("en", { minimumSignificantDigits: 5, maximumSignificantDigits: 3 }), () => new Intl.DateTimeFormat("en", { hourCycle: "h99" }),
    () => new Intl.DateTimeFormat("en", { month: "x" }), () => new Intl.DateTimeFormat("en", { timeZone: null }), () => new Intl.Collator("en", { sensitivity: "x" }), () => new Intl.PluralRules("en").select("x"), () => new Intl.PluralRules("en").select(Infinity), () => new Intl.NumberFormat("en", { unit: "x-per-y" }),
  ];
  for (const [i, f] of failures.entries()) {
    yield [`failure ${i}`, f];
  }
  yield ["values", () => ["calendar", "unit"].map((k) => Intl.supportedValuesOf(k)).join("\n")];
  yield ["currencies", () => ["USD", "EUR", "XAU"].map((c) => Intl.supportedValuesOf("currency").includes(c)).join()];
  yield ["zones", () => ["America/New_York", "Asia/Calcutta", "UTC", "Etc/GMT+5"].map((c) => Intl.supportedValuesOf("timeZone").includes(c)).join()];
}

export const groups = { dates: dateRows, numbers: numberRows, texts: textRows, names: nameRows, shapes: shapeRows };

export function outcomes(group) {
  const result = {};
  for (const [name, run] of groups[group]()) {
    result[name] = outcome(run);
  }
  return result;
}
