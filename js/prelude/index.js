// The prelude: what a run finds on its global object beside the engine's own (spec 04 sections
// 3 and 14).  It is evaluated once, into the base image; nothing here reads the clock, draws
// random numbers or looks at variables while it is set up.
//
// Order matters (section 14.3): libraries capture globals when they are evaluated.
import { refuse } from "./host.js";
import "./date.js";
import "./misc.js";
import "./url.js";
import "./crypto.js";
import "./console.js";
import "./event.js";
import "./clone.js";
import "./timers.js";
import "./abort.js";
import "./text.js";
import "./headers.js";
import "./performance.js";
import { define } from "./host.js";

define({
  async fetch(_input, _init) {
    refuse("fetch()");
  },
});
