// What Node's crypto.subtle makes of crypto-cases.js; long results as digests.
// node js/test/crypto-golden.mjs, in js/ after `npm ci`, writes js/test/crypto-golden.json.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const bundle = execFileSync(here("../node_modules/.bin/esbuild"), [here("crypto-cases.js"), "--bundle", "--format=esm"], { maxBuffer: 1 << 26 });
const { plainCases, randomCases, outcomes } = await import(`data:text/javascript;base64,${bundle.toString("base64")}`);
const golden = { plain: await outcomes(plainCases), random: await outcomes(randomCases) };
writeFileSync(here("crypto-golden.json"), JSON.stringify(golden, null, 1) + "\n");
console.log(Object.keys(golden.plain).length, Object.keys(golden.random).length, "cases");
