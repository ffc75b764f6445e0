// What one-off queries import (spec 04 section 12): convex:/_system/repl/wrappers.js.
export { queryGeneric as query, internalQueryGeneric as internalQuery } from "convex/server";
