// What convex-test is known to do otherwise than the backend it stands in for, each with the spec's word on it and the correction
// that makes a copy of it do the same. In a correction FIXED stands for "this one is switched on".
//
// What programs leave out altogether (generate.mjs, interpret.js), because neither side is wrong: in which order ids sort; by_id of a
// table that never was; a cursor of one query given to another, which the mock does not notice; names of Object.prototype as
// fields; a non-object written to an id that is wrong as well.
const INT64 = [-(2n ** 63n), 2n ** 63n - 1n];

/** Arithmetic of filters: spec 03 section 6.4. */
function arithmetic(op, a, b) {
  const fail = () => {
    throw new Error(`Cannot ${op} these`);
  };
  const both = (type) => typeof a === type && typeof b === type;
  if (both("number")) return { add: a + b, sub: a - b, mul: a * b, div: a / b, mod: a % b }[op];
  if (!both("bigint") || (b === 0n && (op === "div" || op === "mod"))) fail();
  const n = { add: () => a + b, sub: () => a - b, mul: () => a * b, div: () => a / b, mod: () => a % b }[op]();
  return n < INT64[0] || n > INT64[1] || (op === "mod" && a === INT64[0] && b === -1n) ? fail() : n;
}

function negate(a) {
  if ((typeof a !== "number" && typeof a !== "bigint") || a === INT64[0]) throw new Error("Cannot negate this");
  return -a;
}

function condition(a) {
  if (typeof a !== "boolean") throw new Error("Cannot use value as a Boolean");
  return a;
}

/** Which expressions make an index range: spec 03 section 6.3. */
function checkRange({ range }, fields) {
  const equal = range.filter((r) => r.type === "Eq").map((r) => r.fieldPath);
  const lower = range.filter((r) => r.type[0] === "G"), upper = range.filter((r) => r.type[0] === "L");
  const bounded = new Set([...lower, ...upper].map((r) => r.fieldPath));
  const prefix = fields.slice(0, equal.length);
  if (lower.length > 1 || upper.length > 1 || bounded.size > 1 || !prefix.every((f) => equal.includes(f)) || new Set(equal).size !== equal.length
    || equal.some((f) => !prefix.includes(f)) || [...bounded].some((f) => f !== fields[equal.length])) throw new Error("not an index range");
}

/** The record of validateValidator: spec 03 section 4.2. */
function checkRecord(validator, value, check) {
  if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof ArrayBuffer) throw new Error("Validator error");
  for (const [name, v] of Object.entries(value)) {
    check(validator.keys, name);
    check(validator.values.fieldType, v);
  }
}

/** What the corrections call. */
globalThis.spec = { arithmetic, negate, condition, checkRange, checkRecord };

const comparison = (name, sign) => [
  `return (evaluateFilter(document, filter.$${name}[0]) ${sign}
            evaluateFilter(document, filter.$${name}[1]));`,
  `return FIXED ? compareValues(evaluateFilter(document, filter.$${name}[0]), evaluateFilter(document, filter.$${name}[1])) ${sign} 0
      : evaluateFilter(document, filter.$${name}[0]) ${sign} evaluateFilter(document, filter.$${name}[1]);`,
];
const calculation = (name, sign) => [
  `return (evaluateFilter(document, filter.$${name}[0]) ${sign}
            evaluateFilter(document, filter.$${name}[1]));`,
  `return FIXED ? spec.arithmetic("${name}", evaluateFilter(document, filter.$${name}[0]), evaluateFilter(document, filter.$${name}[1]))
      : evaluateFilter(document, filter.$${name}[0]) ${sign} evaluateFilter(document, filter.$${name}[1]);`,
];

export const WEAKNESSES = [
  {
    name: "filter order",
    why: "q.lt and its like are JavaScript's operators: no order across types, UTF-16 for strings, none for -0, NaN, undefined, objects (spec 03 section 6.4)",
    edits: [comparison("gt", ">"), comparison("gte", ">="), comparison("lt", "<"), comparison("lte", "<=")],
  },
  {
    name: "filter arithmetic",
    why: "q.add and its like are JavaScript's: they join strings, take null for 0 and leave Int64 (spec 03 section 6.4)",
    edits: [calculation("add", "+"), calculation("sub", "-"), calculation("mul", "*"), calculation("div", "/"), calculation("mod", "%")],
  },
  {
    name: "filter neg",
    why: "q.neg is not implemented",
    edits: [["    if (filter.$field !== undefined) {", `    if (FIXED && filter.$neg !== undefined) return spec.negate(evaluateFilter(document, filter.$neg));
    if (filter.$field !== undefined) {`]],
  },
  {
    name: "filter truth",
    why: "and, or, not and the filter's result take any value for a boolean instead of failing (spec 03 section 6.4)",
    edits: [
      ["return filter.$and.every((child) => evaluateFilter(document, child));", "return filter.$and.every((child) => (FIXED ? spec.condition : Boolean)(evaluateFilter(document, child)));"],
      ["return filter.$or.some((child) => evaluateFilter(document, child));", "return filter.$or.some((child) => (FIXED ? spec.condition : Boolean)(evaluateFilter(document, child)));"],
      ["return !evaluateFilter(document, filter.$not);", "return !(FIXED ? spec.condition : Boolean)(evaluateFilter(document, filter.$not));"],
      ["const filterFn = (doc) => filters.every((f) => evaluateFilter(doc, f));", "const filterFn = (doc) => filters.every((f) => (FIXED ? spec.condition : Boolean)(evaluateFilter(doc, f)));"],
    ],
  },
  {
    name: "page of no rows",
    why: "numItems 0 gives an empty page instead of the error of spec 03 section 6.5",
    edits: [["        const { sortedDocs, filterFn, fieldPathsToSortBy, order } = this._resolveQuerySource(query);\n", `        if (FIXED && pageSize === 0) throw new Error("Must request at least 1 document while paginating");
        const { sortedDocs, filterFn, fieldPathsToSortBy, order } = this._resolveQuerySource(query);\n`]],
  },
  {
    name: "done one page early",
    why: "a full page that ends at the last row is done; the backend has not looked further and says so on the next page (spec 03 section 6.5)",
    edits: [["                if (isLastDoc) {\n", "                if (isLastDoc && !FIXED) {\n"]],
  },
  {
    name: "end cursor",
    why: "the maxima count though an end cursor is given, and a page is done when the row of its end cursor is gone (spec 03 section 6.5)",
    edits: [
      ["if (maximumRowsRead && rowsRead", "if (maximumRowsRead && !(FIXED && endCursor) && rowsRead"],
      ["if (maximumBytesRead && bytesRead", "if (maximumBytesRead && !(FIXED && endCursor) && bytesRead"],
      [`        if (continueCursor === "_end_cursor") {`, `        if (FIXED && endCursor) continueCursor = endCursor;
        if (continueCursor === "_end_cursor") {`],
    ],
  },
  {
    name: "split and status",
    why: "split cursors come only with a status and from another row, a full page is SplitRequired, SplitRecommended depends on the page size (spec 03 section 6.5)",
    edits: [
      ["            if (hitLimit) {\n", "            if (hitLimit && !(FIXED && page.length >= pageSize)) {\n"],
      ["        // Compute splitCursor at midpoint when limits are hit\n        if (", `        if (FIXED) {
            if (readDocCursors.length > 2) splitCursor = readDocCursors[Math.floor(readDocCursors.length / 2)];
            if (pageStatus === null && rowsRead > 0.75 * (maximumRowsRead ?? 32000)) pageStatus = "SplitRecommended";
        }
        else if (`],
    ],
  },
  {
    name: "ConvexError of a nested call",
    why: "its data reaches the caller's library decoded, which decodes it once more and fails on anything but JSON",
    edits: [["            return getConvexGlobal().asyncSyscall;\n", `            const { asyncSyscall } = getConvexGlobal();
            if (!FIXED) return asyncSyscall;
            return async (op, args) => {
                try {
                    return await asyncSyscall(op, args);
                } catch (e) {
                    if (Symbol.for("ConvexError") in e) e.data = convexToJson(e.data);
                    throw e;
                }
            };\n`]],
  },
  {
    name: "underscores",
    why: "an insert may bring _id and _creationTime, any write other fields that begin with an underscore (spec 03 section 2.5)",
    edits: [["    _validate(tableName, doc) {\n", `    _validate(tableName, doc) {
        if (FIXED && Object.keys(doc).some((name) => name.startsWith("_") && doc[name] !== undefined)) throw new Error("isn't a valid document");\n`]],
  },
  {
    name: "patch that removes",
    why: "a removed field stays as an undefined one, which the validator takes for an extra field",
    edits: [["        const merged = { ...fields, ...convexValue };\n", `        const merged = { ...fields, ...convexValue };
        if (FIXED) for (const name of Object.keys(merged)) if (merged[name] === undefined) delete merged[name];\n`]],
  },
  {
    name: "eager filters",
    why: "filters see every row of the source, those behind the limit as well, and fail there",
    edits: [["        let results = sortedDocs.filter(filterFn);\n", `        if (FIXED) {
            let at = 0, left = limit ?? Infinity;
            const seek = () => {
                while (left > 0 && at < sortedDocs.length && !filterFn(sortedDocs[at])) at++;
            };
            return {
                get length() { seek(); return left > 0 && at < sortedDocs.length ? 1 : 0; },
                shift() { seek(); left--; return sortedDocs[at++]; },
            };
        }
        let results = sortedDocs.filter(filterFn);\n`]],
  },
  {
    name: "failed paginate",
    why: "a paginate that failed counts as the one that a function may call",
    edits: [
      ["                    ctx.paginatedQueries += 1;\n                    if (ctx.paginatedQueries > 1) {", `                    if (!FIXED) ctx.paginatedQueries += 1;
                    if (FIXED ? ctx.paginatedQueries > 0 : ctx.paginatedQueries > 1) {`],
      ["                if (tracker) {\n                    tracker.trackIndexRange();\n", `                if (FIXED) ctx.paginatedQueries += 1;
                if (tracker) {
                    tracker.trackIndexRange();\n`],
    ],
  },
  {
    name: "Int64 literals",
    why: "v.literal(5n) accepts nothing: the exported form is compared with the value",
    edits: [["            if (value !== validator.value) {", "            if (value !== (FIXED ? jsonToConvex(validator.value) : validator.value)) {"]],
  },
  {
    name: "malformed ids",
    why: "get takes any string for an id without a document, patch, replace and delete report a missing document; the backend reports the id (spec 03 section 2.2)",
    edits: [[`        if (expectedTableName === undefined) {
            return;
        }
        if (typeof expectedTableName`, `        if (expectedTableName === undefined) {
            if (FIXED && tableNameFromId(id) === null) throw new Error("Unable to decode ID");
            return;
        }
        if (typeof expectedTableName`]],
  },
  {
    name: "records",
    why: "v.record accepts everything",
    edits: [[`        case "array": {
            if (!Array.isArray(value)) {`, `        case "record":
            if (FIXED) spec.checkRecord(validator, value, validateValidator);
            return;
        case "array": {
            if (!Array.isArray(value)) {`]],
  },
  {
    name: "arrays for objects",
    why: "patch and replace take an array for an object without fields and look for the document before they look at null",
    edits: ["patch", "replace"].map((method) => [`        if (typeof value !== "object") {
            throw new Error(\`Invalid argument \\\`value\\\` in \\\`db.${method}\\\``, `        if (typeof value !== "object" || (FIXED && (value === null || Array.isArray(value)))) {
            throw new Error(\`Invalid argument \\\`value\\\` in \\\`db.${method}\\\``]),
  },
  {
    name: "order of range expressions",
    why: "equalities must come first and in the order of the index; the backend takes them in any (spec 03 section 6.3)",
    edits: [["                validateIndexRangeExpression(source, fields);", "                (FIXED ? spec.checkRange : validateIndexRangeExpression)(source, fields);"]],
  },
];
