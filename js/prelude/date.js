// Date reads the run's clock and lives in UTC (sections 3.2 and 14.2).
import host, { define } from "./host.js";

const RealDate = Date;
const prototype = RealDate.prototype;
const plainToString = prototype.toString;
const plainToTimeString = prototype.toTimeString;

function withZone(text) {
  return text.endsWith("GMT+0000") ? text + " (Coordinated Universal Time)" : text;
}

define(
  {
    toString() {
      return withZone(plainToString.call(this));
    },
    toTimeString() {
      return withZone(plainToTimeString.call(this));
    },
  },
  prototype,
);

const construct = Reflect.construct;

function FresnelDate(...args) {
  if (new.target === undefined) {
    return new RealDate(host.now()).toString();
  }
  return construct(
    RealDate,
    args.length === 0 ? [host.now()] : args,
    new.target === FresnelDate ? RealDate : new.target,
  );
}

Object.defineProperty(FresnelDate, "name", { value: "Date", configurable: true });
Object.defineProperty(FresnelDate, "length", { value: 7, configurable: true });
Object.defineProperty(FresnelDate, "prototype", { value: prototype, writable: false });
define(
  {
    now() {
      return host.now();
    },
    parse: RealDate.parse,
    UTC: RealDate.UTC,
  },
  FresnelDate,
);
define({ constructor: FresnelDate }, prototype);
define({ Date: FresnelDate });
