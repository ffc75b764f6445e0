// Bun and bun:sqlite, the strongest durable JavaScript peer.   bun bun-sqlite.mjs PORT FILE ACCOUNTS
import { Database } from "bun:sqlite";
import * as bank from "./bank.sql.mjs";

const [port, file, accounts] = process.argv.slice(2);
const db = new Database(file, { create: true });
for (const pragma of bank.pragmas) db.exec("pragma " + pragma);
db.exec(bank.create);
const get = db.query(bank.select), set = db.query(bank.update), insert = db.query(bank.insert);
db.transaction(() => {
  for (let id = 0; id < accounts; id++) insert.run(id);
})();
const transfer = db.transaction(bank.transferWith((id) => get.get(id), (balance, id) => set.run(balance, id)));

Bun.serve({
  port: Number(port),
  hostname: "127.0.0.1",
  async fetch(request) {
    const { name, args } = await request.json();
    if (name === "transfer") transfer.immediate(args.from_id, args.to_id, args.amount);
    else if (name === "getAccount") return Response.json({ ok: true, result: get.get(args.id) });
    else if (name === "sum") return Response.json({ ok: true, result: db.query(bank.sum).get().s });
    return Response.json({ ok: true });
  },
});
