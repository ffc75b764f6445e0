// Node.js and better-sqlite3: a hand-written HTTP server, one transaction per request, committed
// (fsync) before the answer.   node node-sqlite.mjs PORT FILE ACCOUNTS
import { createServer } from "node:http";
import Database from "better-sqlite3";
import * as bank from "./bank.sql.mjs";

const [port, file, accounts] = process.argv.slice(2);
const db = new Database(file);
for (const pragma of bank.pragmas) db.pragma(pragma);
db.exec(bank.create);
const get = db.prepare(bank.select), set = db.prepare(bank.update), insert = db.prepare(bank.insert);
db.transaction(() => {
  for (let id = 0; id < accounts; id++) insert.run(id);
})();
const transfer = db.transaction(bank.transferWith((id) => get.get(id), (balance, id) => set.run(balance, id)));
const ok = JSON.stringify({ ok: true });

createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { name, args } = JSON.parse(Buffer.concat(parts));
    let body = ok;
    if (name === "transfer") transfer.immediate(args.from_id, args.to_id, args.amount);
    else if (name === "getAccount") body = JSON.stringify({ ok: true, result: get.get(args.id) });
    else if (name === "sum") body = JSON.stringify({ ok: true, result: db.prepare(bank.sum).get().s });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  });
}).listen(port, "127.0.0.1");
