// URL and URLSearchParams beside Node's own, on random input.
import assert from "node:assert/strict";
import test from "node:test";
import vm from "node:vm";
import { FakeHost } from "./fakehost.mjs";

const { URL: Ours, URLSearchParams: OurParams } = vm.runInContext(
  "({ URL, URLSearchParams })",
  new FakeHost(async () => [{}]).context,
);

const PIECES = [
  "http:", "https:", "ftp:", "file:", "ws:", "foo:", "mailto:", "blob:", "data:", "//", "/", "\\", "?", "#", "@", ":", "a", "b.c",
  "..", ".", "%2e", "%2E%2e", "%41", "%", "é", "ß", "ü.de", " ", "\t", "[::1]", "[1:2:3:4:5:6:7:8]", "[::1.2.3.4]", "[:", "]",
  "1.2.3.4", "0x7f.1", "256", "1.2.3", "08", "C:", "C|", "localhost", "user", "80", "443", "8080", "99999", "&", "=", "+", "'",
  '"', "<", ">", "`", "{", "}", "|", "~", "$", ";", ",", "!", "*", "(", ")", "_", "-", "EXAMPLE.com", "\u{1f600}", "。",
  "\u00ad", "?q=1", "#h", ":80",
];
const BASES = [undefined, "http://a/b/c?d#e", "file:///C:/x/y", "foo://h/p/q", "foo:/p/q", "https://u:p@h:81/x/"];
const MEMBERS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

function generator(seed) {
  const below = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  const pick = (list) => list[below(list.length)];
  const text = (max) => Array.from({ length: 1 + below(max) }, () => pick(PIECES)).join("");
  return { below, pick, text };
}

const parts = (URL, input, base) => {
  try {
    const url = new URL(input, base);
    return MEMBERS.map((m) => url[m]).join(" | ");
  } catch {
    return "no URL";
  }
};

test("parsing", () => {
  const { below, pick, text } = generator(1);
  for (let i = 0; i < 20000; i++) {
    const input = (below(2) ? pick(PIECES.slice(0, 9)) + (below(2) ? "//" : "") : "") + text(7);
    const base = pick(BASES);
    assert.equal(parts(Ours, input, base), parts(URL, input, base), JSON.stringify([input, base]));
  }
});

// Not the port, nor hosts and paths of other schemes: Node 20 differs from the standard there.
test("setters", () => {
  const { pick, text } = generator(2);
  const urls = ["http://a/b", "https://u:p@h:81/x?q#f", "file:///C:/x", "foo://h/p", "foo:op", "foo:/x"];
  for (let i = 0; i < 10000; i++) {
    const url = pick(urls);
    const member = pick(MEMBERS.filter((m) => m !== "origin" && m !== "port" && !(/^(host|path)/.test(m) && url.startsWith("foo"))));
    const value = member.startsWith("host") ? text(4).replaceAll(":", "") : text(4);
    const set = (URL) => {
      try {
        const u = new URL(url);
        u[member] = value;
        return u.href;
      } catch {
        return "no URL";
      }
    };
    assert.equal(set(Ours), set(URL), JSON.stringify([url, member, value]));
  }
});

// Without percent signs beside what is not ASCII: Node 20 takes the latter for bytes then.
test("parameters", () => {
  const { text } = generator(3);
  for (let i = 0; i < 10000; i++) {
    const input = text(8);
    if (/%/.test(input) && /[^\0-\x7f]/.test(input)) {
      continue;
    }
    assert.equal(String(new OurParams(input)), String(new URLSearchParams(input)), JSON.stringify(input));
    assert.deepEqual(JSON.stringify([...new OurParams(input)]), JSON.stringify([...new URLSearchParams(input)]));
  }
});
