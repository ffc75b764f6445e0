// Domain names in ASCII (WHATWG URL Standard, section 3.3).  Most are no others, and need no UTS 46.
import host from "./host.js";

// No name is longer than 253 bytes, but one that is percent-encoded or full of ignored characters
// may be.  Punycode takes time in the square of a label's length.
const NAME_MAX = 10000;
const LABEL_MAX = 1000;
const DOTS = /[.\u3002\uff0e\uff61]/;

// null: it is no domain name.
export function toAscii(domain) {
  const name = domain.toLowerCase();
  if (/^[\0-\x7f]*$/.test(domain) && !/(^|\.)xn--/.test(name)) {
    return name;
  }
  if (domain.length > NAME_MAX || domain.split(DOTS).some((label) => label.length > LABEL_MAX)) {
    return null;
  }
  return host.domainToAscii(domain) || null;
}
