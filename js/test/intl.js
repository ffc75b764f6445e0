// Intl against what Node.js made of the same rows (intl-golden.mjs), and what only the server has to keep to.
import { queryGeneric as query } from "convex/server";
import { cases } from "./cases.js";
import { groups, outcomes } from "./intl-cases.js";
import golden from "./intl-golden.json";

function differences(group) {
  const wrong = [];
  const got = outcomes(group);
  for (const row of Object.keys(golden[group])) {
    const want = golden.older[row]?.here ?? golden[group][row];
    if (JSON.stringify(got[row]) !== JSON.stringify(want)) {
      wrong.push(`${row}: ${JSON.stringify(got[row])} instead of ${JSON.stringify(want)}`);
    }
  }
  return wrong;
}
const against = (group) => query(() => differences(group));

export const dates = against("dates");
export const numbers = against("numbers");
export const texts = against("texts");
export const names = against("names");
export const shapes = against("shapes");

// --- what only the server has to keep to ---

const { RangeError: R } = globalThis;
let seed = 7;
const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
const pick = (...list) => list[random(list.length)];

function* randomOptions() {
  const locales = ["en", "de-CH", "ja", "ar-EG", "hi", "pt-PT", "sv", "zh-TW", "fa", "cs"];
  for (let i = 0; i < 150; i++) {
    const date = {};
    for (const [key, ...values] of [["weekday", "long", "short"], ["era", "short"], ["year", "numeric", "2-digit"], ["month", "long", "short", "numeric", "narrow"], ["day", "numeric"], ["hour", "numeric", "2-digit"], ["minute", "2-digit"], ["second", "numeric"], ["hour12", true, false], ["timeZoneName", "short", "longOffset"], ["fractionalSecondDigits", 1, 3], ["dayPeriod", "long"]]) {
      if (random(3) === 0) {
        date[key] = pick(...values);
      }
    }
    const l = pick(...locales);
    yield [l, new Intl.DateTimeFormat(l, { ...date, timeZone: pick("UTC", "Asia/Kathmandu", "America/St_Johns") }), random(2 ** 31) * 1000];
    const number = { notation: pick("standard", "compact", "scientific"), signDisplay: pick("auto", "always", "exceptZero"), maximumFractionDigits: random(5), useGrouping: pick("always", "min2", false) };
    yield [l, new Intl.NumberFormat(l, { ...number, ...pick({}, { style: "percent" }, { style: "currency", currency: pick("EUR", "JPY", "INR") }, { style: "unit", unit: "byte", unitDisplay: "long" }) }), (random(2 ** 31) - 2 ** 30) / 10 ** random(12)];
  }
}

function partsJoined() {
  const wrong = [];
  for (const [l, f, value] of randomOptions()) {
    const plain = f.format(value);
    const joined = f.formatToParts(value).map((p) => p.value).join("");
    // V8 keeps narrow spaces in parts alone.
    if ((f instanceof Intl.DateTimeFormat ? joined.replaceAll("\u202f", " ") : joined) !== plain) {
      wrong.push([l, f.resolvedOptions(), value, plain, joined]);
    }
  }
  return wrong;
}

// The table for ASCII beside ICU.
function asciiOrder() {
  const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const { compare } = new Intl.Collator("en", { numeric: false });
  const wrong = [];
  for (const a of all) {
    for (const b of all) {
      for (const [x, y] of [[a, b], [a + b, b + a], [a + "x", b], ["B" + a, "b" + b]]) {
        if (x.localeCompare(y) !== compare(x, y)) {
          wrong.push(x + " " + y);
        }
      }
    }
  }
  return wrong;
}

export const server = cases([
  ["parts joined are the text", partsJoined, []],
  ["ASCII is in ICU's order", asciiOrder, []],
  ["characters that ICU ignores", () => ["a\0b".localeCompare("ab"), "\t".localeCompare(" "), "\x7fa".localeCompare("a")], [0, -1, 0]],
  ["localeCompare of what is no string", () => [String.prototype.localeCompare.call(12, "9"), "null".localeCompare(null), "undefined".localeCompare(), "a".localeCompare({ toString: () => "b" })], [-1, 0, 0, -1]],
  ["lone surrogates", () => ["\ud800".localeCompare("a"), "\ud800".toLocaleUpperCase("tr"), [...new Intl.Segmenter().segment("a\ud800b")].length, new Intl.ListFormat("en").format(["\udfff"])], [1, "\ud800", 3, "\udfff"]],
  ["without an argument it is now", () => [Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "full" }).format() === new Date().toLocaleString("en", { dateStyle: "full", timeStyle: "full" }), Intl.DateTimeFormat().format(undefined) === Intl.DateTimeFormat().format(Date.now())], [true, true]],
  ["zone and locale of the server", () => { const o = Intl.DateTimeFormat().resolvedOptions(); return [o.timeZone, o.locale, String(new Date(0)), new Date(0).toTimeString()]; }, ["UTC", "en-US", "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)", "00:00:00 GMT+0000 (Coordinated Universal Time)"]],
  ["methods may be taken off", () => { const { format } = new Intl.NumberFormat("de"); const { compare } = new Intl.Collator("de"); return [[1.5, 2000].map(format), ["z", "ä"].sort(compare), new Intl.NumberFormat("de").format.name]; }, [["1,5", "2.000"], ["ä", "z"], ""]],
  ["a subclass", () => { class F extends Intl.NumberFormat { euro(x) { return this.format(x) + "!"; } } return [new F("en").euro(1000), Object.prototype.toString.call(new F())]; }, ["1,000!", "[object Intl.NumberFormat]"]],
  ["members of other objects", () => Object.getOwnPropertyDescriptor(Intl.NumberFormat.prototype, "format").get.call(new Intl.Collator()), "TypeError: Method Intl.NumberFormat.prototype.format called on incompatible receiver #<Object>"],
  ["a list of one long string many times", () => new Intl.ListFormat("en").format(Array(1000).fill("x".repeat(1e6))), "RangeError: Invalid string length"],
  ["long numbers", () => [(10n ** 5000n).toLocaleString().length, new Intl.NumberFormat().format("1e-999999999"), new Intl.NumberFormat().format("1e999999999"), new Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format("9".repeat(300) + ".995").length], [6667, "0", "∞", 401]],
  ["long tags", () => Intl.getCanonicalLocales("en" + "-abcde".repeat(1000)).length, "RangeError: Invalid language tag: en" + "-abcde".repeat(1000)],
  ["tags that are long but for their length fine", () => Intl.getCanonicalLocales("en-x" + "-abcde".repeat(100)).length, `RangeError: Invalid language tag: en-x${"-abcde".repeat(100)}`],
  ["many formatters", () => { const all = []; for (let i = 0; i < 200; i++) all.push(new Intl.NumberFormat("en", { minimumFractionDigits: i % 20, maximumFractionDigits: 20, minimumIntegerDigits: 1 + (i % 21) })); return all.every((f, i) => f.format(0).replaceAll(",", "").length === 1 + (i % 21) + (i % 20 > 0 ? 1 + (i % 20) : 0)); }, true],
  ["arrays within themselves, with holes, of arrays", () => { const a = [1, , [2000, null]]; a.push(a); return a.toLocaleString("en"); }, "1,,2,000,,"],
  ["an item's own method", () => [{ toLocaleString: (...args) => args.join("+") }].toLocaleString("x", "y"), "x+y"],
  ["a segmenter's iterator has a prototype of its own", () => { const i = new Intl.Segmenter().segment("ab")[Symbol.iterator](); return [String(i), i[Symbol.iterator]() === i, JSON.stringify(i.next()), i.next().value.segment, JSON.stringify(i.next())]; }, ["[object Segmenter String Iterator]", true, '{"value":{"segment":"a","index":0,"input":"ab"},"done":false}', "b", '{"done":true}']],
]);

// Users may overwrite globals (spec 04 section 14.3).
export const robust = query(() => {
  const before = (1234.5).toLocaleString("de", { style: "currency", currency: "EUR" });
  for (const name of ["Intl", "Object", "Reflect", "Map", "Set", "Math", "Number", "RegExp", "Symbol", "Boolean", "Date", "TypeError", "RangeError"]) {
    globalThis[name] = undefined;
  }
  const wrong = [];
  if ((1234.5).toLocaleString("de", { style: "currency", currency: "EUR" }) !== before || "a".localeCompare("b", "sv", { numeric: true }) !== -1) {
    wrong.push("numbers");
  }
  try {
    (1).toLocaleString("x_");
  } catch (e) {
    if (!(e instanceof R)) {
      wrong.push(`${e}`);
    }
  }
  return wrong;
});

// The heap ends in the middle of it.
export const hoard = query(() => {
  const all = [];
  const long = 10n ** 6000n;
  for (;;) {
    all.push(new Intl.NumberFormat("en").formatToParts(long));
  }
});
export const forever = query(() => {
  for (let i = 0; ; i++) {
    new Date(i).toLocaleString("en", { dateStyle: "full", timeZone: "Asia/Tokyo" });
  }
});
