// Domain names in ASCII: what matters of UTS 46 (folding, normalisation, ignored characters), and
// Punycode (RFC 3492).
const BASE = 36;
const SKEW = 38;
const DAMP = 700;
const T_MAX = 26;

const digit = (n) => String.fromCharCode(n < 26 ? n + 97 : n + 22);

function adapt(delta, count, first) {
  delta = Math.floor(delta / (first ? DAMP : 2));
  delta += Math.floor(delta / count);
  let k = 0;
  for (; delta > ((BASE - 1) * T_MAX) >> 1; k += BASE) {
    delta = Math.floor(delta / (BASE - 1));
  }
  return k + Math.floor((BASE * delta) / (delta + SKEW));
}

function threshold(k, bias) {
  return Math.min(Math.max(k - bias, 1), T_MAX);
}

function variableLength(delta, bias) {
  let out = "";
  for (let k = BASE; ; k += BASE) {
    const t = threshold(k, bias);
    if (delta < t) {
      return out + digit(delta);
    }
    out += digit(t + ((delta - t) % (BASE - t)));
    delta = Math.floor((delta - t) / (BASE - t));
  }
}

function punycode(label) {
  const points = Array.from(label, (c) => c.codePointAt(0));
  const basic = points.filter((c) => c < 128);
  let out = String.fromCharCode(...basic);
  if (basic.length > 0) {
    out += "-";
  }
  let n = 128;
  let delta = 0;
  let bias = 72;
  for (let done = basic.length; done < points.length; ) {
    const next = Math.min(...points.filter((c) => c >= n));
    delta += (next - n) * (done + 1);
    n = next;
    for (const c of points) {
      if (c < n) {
        delta++;
      } else if (c === n) {
        out += variableLength(delta, bias);
        bias = adapt(delta, done + 1, done === basic.length);
        delta = 0;
        done++;
      }
    }
    delta++;
    n++;
  }
  return out;
}

const IGNORED = /[\u00ad\u034f\u180b-\u180d\u200b\u2060\u2064\ufe00-\ufe0f\ufeff]/g;

export function toAscii(domain) {
  if (/^[\0-\x7f]*$/.test(domain)) {
    return domain.toLowerCase();
  }
  const folded = domain.replace(IGNORED, "").toLowerCase().normalize("NFKC").toLowerCase().normalize("NFC");
  const labels = folded.replace(/[\u3002\uff61]/g, ".").split(".");
  if (labels.some((label) => /^\p{M}|\ufffd/u.test(label) || label.length > 1000)) {
    return null;
  }
  return labels.map((label) => (/[^\0-\x7f]/.test(label) ? `xn--${punycode(label)}` : label)).join(".");
}
