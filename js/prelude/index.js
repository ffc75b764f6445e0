// The prelude: what a run finds on its global object beside the engine's own (spec 04 sections
// 3 and 14).  It is evaluated once, into the base image; nothing here reads the clock, draws
// random numbers or looks at variables while it is set up.
//
// Order matters (section 14.3): libraries capture globals when they are evaluated.
import "./date.js";
import "./misc.js";
import "./intl.js";
import "./url.js";
import "./crypto.js";
import "./console.js";
import "./event.js";
import "./clone.js";
import "./timers.js";
import "./abort.js";
import "./async.js";
import "./text.js";
import "./streams.js";
import "./blob.js";
import "./headers.js";
import "./form.js";
import "./request.js";
import "./response.js";
import "./fetch.js";
import "./performance.js";
import "./jssyscall.js";
import "./files.js";
import "./wasm.js";
