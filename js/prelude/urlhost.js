// Hosts of URLs (WHATWG URL Standard, section 3): names, IPv4 and IPv6 addresses.
import { decodeUtf8 } from "./host.js";
import { toAscii } from "./urlidna.js";

const FORBIDDEN_HOST = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_DOMAIN = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;

// The bytes that %XX stand for, read as UTF-8.  A run of them is decoded by itself: no character
// is made of bytes and characters.
export function percentDecode(text) {
  if (!text.includes("%")) {
    return text;
  }
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    const bytes = new Uint8Array(run.length / 3);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = parseInt(run.slice(3 * i + 1, 3 * i + 3), 16);
    }
    return decodeUtf8(bytes);
  });
}

// A part of an IPv4 address: decimal, octal or hexadecimal; NaN if it is none.
function ipv4Number(text) {
  if (text === "") {
    return NaN;
  }
  if (/^0x[0-9a-f]*$/i.test(text)) {
    return text.length === 2 ? 0 : parseInt(text, 16);
  }
  if (/^0[0-7]+$/.test(text)) {
    return parseInt(text, 8);
  }
  return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : NaN;
}

function endsInNumber(domain) {
  const parts = domain.split(".");
  if (parts.at(-1) === "" && parts.length > 1) {
    parts.pop();
  }
  return /^\d+$/.test(parts.at(-1)) || !Number.isNaN(ipv4Number(parts.at(-1)));
}

function parseIpv4(domain) {
  const parts = domain.split(".");
  if (parts.at(-1) === "" && parts.length > 1) {
    parts.pop();
  }
  const numbers = parts.map(ipv4Number);
  if (numbers.length > 4 || numbers.some(Number.isNaN)) {
    return null;
  }
  const last = numbers.pop();
  if (numbers.some((n) => n > 255) || last >= 256 ** (4 - numbers.length)) {
    return null;
  }
  const address = numbers.reduce((sum, n, i) => sum + n * 256 ** (3 - i), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

// An IPv4 address at the end of an IPv6 one, as two pieces.
function embeddedIpv4(text) {
  if (!/^((0|[1-9]\d{0,2})\.){3}(0|[1-9]\d{0,2})$/.test(text)) {
    return null;
  }
  const [a, b, c, d] = text.split(".").map(Number);
  return Math.max(a, b, c, d) > 255 ? null : [a * 256 + b, c * 256 + d];
}

function ipv6Side(text) {
  if (text === "") {
    return [];
  }
  const pieces = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 && part.includes(".") ? embeddedIpv4(part) : null;
    if (v4 !== null) {
      pieces.push(...v4);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      pieces.push(parseInt(part, 16));
    } else {
      return null;
    }
  }
  return pieces;
}

function parseIpv6(text) {
  const sides = text.split("::");
  const head = ipv6Side(sides[0]);
  const tail = sides.length === 2 ? ipv6Side(sides[1]) : [];
  if (sides.length > 2 || head === null || tail === null) {
    return null;
  }
  if (sides.length === 2 && sides[0].includes(".")) {
    return null; // IPv4 comes last
  }
  const missing = 8 - head.length - tail.length;
  if (sides.length === 2 ? missing < 1 : missing !== 0) {
    return null;
  }
  return [...head, ...new Array(missing).fill(0), ...tail];
}

// The first longest run of zeros, if longer than one, is written "::".
function writeIpv6(pieces) {
  let best = 0;
  let at = -1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && pieces[i + n] === 0) {
      n++;
    }
    if (n > best && n > 1) {
      best = n;
      at = i;
    }
  }
  const hex = (list) => list.map((n) => n.toString(16)).join(":");
  return at < 0 ? hex(pieces) : `${hex(pieces.slice(0, at))}::${hex(pieces.slice(at + best))}`;
}

// The host as it is written in the URL; null if it is none.
export function parseHost(text, special, encodeOpaque) {
  if (text.startsWith("[")) {
    const pieces = text.endsWith("]") ? parseIpv6(text.slice(1, -1)) : null;
    return pieces === null ? null : `[${writeIpv6(pieces)}]`;
  }
  if (!special) {
    return FORBIDDEN_HOST.test(text) ? null : encodeOpaque(text);
  }
  const domain = toAscii(percentDecode(text));
  if (domain === null || domain === "" || FORBIDDEN_DOMAIN.test(domain)) {
    return null;
  }
  return endsInNumber(domain) ? parseIpv4(domain) : domain;
}
