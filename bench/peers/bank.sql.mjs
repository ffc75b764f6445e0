// The statements that both JavaScript peers prepare: the same table, WAL, synchronous=FULL.
export const pragmas = ["journal_mode=wal", "synchronous=full", "cache_size=-64000"];
export const create = "create table if not exists accounts(id integer primary key, balance integer not null)";
export const select = "select id, balance from accounts where id = ?";
export const update = "update accounts set balance = ? where id = ?";
export const insert = "insert into accounts values (?, 1000000000)";
export const sum = "select sum(balance) s from accounts";

export function transferWith(get, set) {
  return (from, to, amount) => {
    const a = get(from), b = get(to);
    if (!a || !b) throw new Error("no such account");
    if (from === to || a.balance < amount) return;
    set(a.balance - amount, from);
    set(b.balance + amount, to);
  };
}
