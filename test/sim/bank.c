/* bank.c - the functions that the simulated clients call.
 *
 * accounts {owner: Int64, balance: Int64} with indexes by owner and by balance, ops {op:
 * string} with an index by op.  Reads go through index ranges, so that accounts which do not
 * exist are read too; balances are read through an index that pushes bring and take away
 * (admin.c), if there is one at the moment.  Every function writes down what it saw, for the
 * checker.  Between any two steps other workers may run.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#include <stdio.h>

#include "bank.h"

#define OPENING_BALANCE 100

/* --- packing --- */

struct val
int_val(struct arena *a, int64_t n)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_int64(&p, n);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

static struct val
account_val(struct arena *a, uint32_t owner, int64_t balance)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("owner"));
	pack_int64(&p, owner);
	pack_key(&p, S("balance"));
	pack_int64(&p, balance);
	pack_end(&p);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

struct val
text_val(struct arena *a, const char *field, str text)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	if (field) {
		pack_object(&p);
		pack_key(&p, str_z(field));
	}
	pack_str(&p, text);
	if (field)
		pack_end(&p);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

/* --- reading --- */

/* Balances and ids of owners [lo, hi), through the index or from the whole table. */
static status
read_accounts(struct txn *t, uint32_t lo, uint32_t hi, bool desc, bool full, struct bank *ret,
    struct account *ids, struct err *e)
{
	struct range_expr range[2] = {
		{ RANGE_GTE, S("owner"), int_val(txn_arena(t), lo) },
		{ RANGE_LT, S("owner"), int_val(txn_arena(t), hi) },
	};
	struct query_spec spec = { .source = full ? QUERY_FULL_SCAN : QUERY_INDEX_RANGE,
		.table = S("accounts"), .index = S("by_owner"), .desc = desc,
		.nrange = full ? 0 : 2, .range = range };
	struct query     *q;
	struct doc       *d;

	for (uint32_t i = lo; i < hi; i++) {
		ret->balance[i] = -1;
		if (ids)
			ids[i].id[0] = '\0';
	}
	TRY(query_open(t, &spec, &q, e));
	for (;;) {
		int64_t owner;

		TRY(query_next(q, &d, e));
		if (!d)
			break;
		owner = val_int64(val_get(doc_val(d), S("owner")));
		if (full && (owner < lo || owner >= hi))
			continue;
		must(owner >= lo && owner < hi && ret->balance[owner] == -1);
		ret->balance[owner] = val_int64(val_get(doc_val(d), S("balance")));
		if (ids)
			id_format(d->id, ids[owner].id);
	}
	query_close(q);
	return ST_OK;
}

status
bank_read(struct txn *t, uint32_t lo, uint32_t hi, struct bank *ret, struct err *e)
{
	return read_accounts(t, lo, hi, false, false, ret, NULL, e);
}

size_t
bank_count_ops(struct txn *t, const char *op)
{
	struct range_expr range = { RANGE_EQ, S("op"), text_val(txn_arena(t), NULL, str_z(op)) };
	struct query_spec spec = { .source = QUERY_INDEX_RANGE, .table = S("ops"),
		.index = S("by_op"), .nrange = 1, .range = &range };
	struct query     *q;
	struct doc       *d;
	size_t            n = 0;

	must(query_open(t, &spec, &q, NULL) == ST_OK);
	while (query_next(q, &d, NULL) == ST_OK && d)
		n++;
	query_close(q);
	return n;
}

/* --- by balance --- */

/* The range [lo, hi) of balances in an index whose fields before `balance` are not set. */
static void
balance_range(struct txn *t, uint32_t lo, uint32_t hi, bool kind, struct query_spec *q)
{
	struct range_expr *r = ARENA_ARRAY(txn_arena(t), struct range_expr, 3);

	r[0] = (struct range_expr){ RANGE_GTE, S("balance"), int_val(txn_arena(t), lo) };
	r[1] = (struct range_expr){ RANGE_LT, S("balance"), int_val(txn_arena(t), hi) };
	r[2] = (struct range_expr){ RANGE_EQ, S("kind"), val_undefined };
	q->source = QUERY_INDEX_RANGE;
	q->nrange = kind ? 3 : 2;
	q->range = r;
}

/* How balances are read now: through what a push has brought, by the index that is always
 * there, or from the whole table. */
static struct query_spec
balance_query(struct run *r, uint32_t lo, uint32_t hi)
{
	struct txn              *t = r->c->txn;
	const struct table_info *info =
	    catalog_table(txn_catalog(t), txn_component(t), S("accounts"));
	const struct index_info *ix = table_index(info, S("by_extra"));
	struct query_spec        q = { .source = QUERY_FULL_SCAN, .table = S("accounts"),
		       .desc = draw(r->s, 2) };
	uint32_t                 how = draw(r->s, 4);

	if (ix && ix->state == INDEX_ENABLED && how != 0) {
		balance_range(t, lo, hi, str_eq(ix->def.fields[0], S("kind")), &q);
		q.index = S("by_extra");
	} else if (how != 1) {
		balance_range(t, lo, hi, false, &q);
		q.index = S("by_balance");
	}
	return q;
}

static status
read_balances(struct run *r, uint32_t lo, uint32_t hi, struct read *rd, struct err *e)
{
	struct query_spec spec = balance_query(r, lo, hi);
	struct query     *q;
	struct doc       *d;
	int64_t           before = -1;

	for (uint32_t i = 0; i < ACCOUNTS; i++)
		rd->seen.balance[i] = NOT_SEEN;
	trace(r->s, "balances %u..%u by %.*s%s at %llu", lo, hi, STR_ARG(spec.index),
	    spec.desc ? ", desc" : "", (unsigned long long)txn_ts(r->c->txn));
	TRY(query_open(r->c->txn, &spec, &q, e));
	for (;;) {
		int64_t owner, balance;

		TRY(query_next(q, &d, e));
		if (!d)
			break;
		owner = val_int64(val_get(doc_val(d), S("owner")));
		balance = val_int64(val_get(doc_val(d), S("balance")));
		if (spec.nrange > 0) {
			must(before < 0 || (spec.desc ? balance <= before : balance >= before));
			before = balance;
		}
		if (balance < lo || balance >= hi) {
			must(spec.nrange == 0);
			continue;
		}
		must(rd->seen.balance[owner] == NOT_SEEN);
		rd->seen.balance[owner] = balance;
		id_format(d->id, r->ids[owner].id);
	}
	query_close(q);
	return ST_OK;
}

/* --- the running attempt --- */

uint32_t
arg_u32(const struct native_call *c, const char *name)
{
	return (uint32_t)val_float64(val_get(c->args, str_z(name)));
}

/* The simulator is found through the database's os table: natives have no other context. */
void
run_begin(struct run *r, const struct native_call *c)
{
	struct val op = val_get(c->args, S("op"));

	r->c = c;
	r->s = db_os(snapshot_db(txn_snapshot(c->txn)))->arg;
	r->a = &sim_worker(r->s)->attempt;
	if (val_some(op) && str_eq(val_str(op), str_z(r->a->op)))
		r->s->nretries++;
	memset(r->a, 0, sizeof *r->a);
	r->full = val_some(val_get(c->args, S("full")));
	r->a->snapshot = txn_ts(c->txn);
	if (val_some(op))
		snprintf(r->a->op, sizeof r->a->op, "%.*s", STR_ARG(val_str(op)));
	sim_pause(r->s, MS / 5);
}

struct read *
run_note(struct run *r, enum read_kind kind, uint32_t lo, uint32_t hi)
{
	struct read *rd = &r->a->reads[r->a->nreads];

	must(r->a->nreads < COUNT_OF(r->a->reads));
	rd->kind = kind;
	rd->lo = lo;
	rd->hi = hi;
	return rd;
}

static status
run_read(struct run *r, uint32_t lo, uint32_t hi, struct bank **ret, struct err *e)
{
	struct read *rd = run_note(r, READ_OWNERS, lo, hi);

	TRY(read_accounts(r->c->txn, lo, hi, draw(r->s, 2), r->full, &rd->seen,
	    r->ids, e));
	r->a->nreads++;
	*ret = &rd->seen;
	sim_pause(r->s, MS / 5);
	return ST_OK;
}

static status
run_read_balances(struct run *r, uint32_t lo, uint32_t hi, struct bank **ret, struct err *e)
{
	struct read *rd = run_note(r, READ_BALANCES, lo, hi);

	TRY(read_balances(r, lo, hi, rd, e));
	r->a->nreads++;
	*ret = &rd->seen;
	sim_pause(r->s, MS / 5);
	return ST_OK;
}

static status
run_write(struct run *r, uint32_t owner, int64_t before, int64_t after_, struct err *e)
{
	struct txn  *t = r->c->txn;
	struct val   v = account_val(r->c->arena, owner, after_ < 0 ? 0 : after_);
	struct docid id;
	struct doc  *d;
	str          text = str_z(r->ids[owner].id);

	must(r->a->nwrites < COUNT_OF(r->a->writes));
	r->a->writes[r->a->nwrites].owner = owner;
	r->a->writes[r->a->nwrites++].balance = after_;
	if (before < 0)
		TRY(txn_insert(t, S("accounts"), v, &id, e));
	else if (after_ < 0)
		TRY(txn_delete(t, S("accounts"), text, &d, e));
	else if (draw(r->s, 2))
		TRY(txn_patch(t, S("accounts"), text, v, &d, e));
	else
		TRY(txn_replace(t, S("accounts"), text, v, &d, e));
	sim_pause(r->s, MS / 5);
	return ST_OK;
}

status
run_end(struct run *r, int64_t result, struct val *ret, struct err *e)
{
	struct docid id;
	struct pack  p;

	if (r->s->server.up) /* what a dead server still does is not in the model */
		checker_reads(r->s, r->a);
	r->a->result = result;
	if (r->a->op[0])
		TRY(txn_insert(r->c->txn, S("ops"),
		    text_val(r->c->arena, "op", str_z(r->a->op)), &id, e));
	sim_pause(r->s, MS / 5);
	pack_init(&p);
	pack_float64(&p, (double)result);
	TRY(pack_done_in(&p, r->c->arena, ret, e));
	pack_clear(&p);
	return ST_OK;
}

/* --- the functions --- */

static status
transfer(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     from = arg_u32(c, "from"), to = arg_u32(c, "to");
	int64_t      amount = arg_u32(c, "amount");
	struct bank *a, *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read(&r, from, from + 1, &a, e));
	TRY(run_read(&r, to, to + 1, &b, e));
	if (b->balance[to] < 0)
		return err_set(e, ST_BAD_REQUEST, "NoAccount", "no account %u", to);
	TRY(run_write(&r, to, b->balance[to], b->balance[to] + amount, e));
	/* Found out late, so that something is there to be thrown away. */
	if (a->balance[from] < amount)
		return err_set(e, ST_BAD_REQUEST, "NotEnough", "not enough money");
	TRY(run_write(&r, from, a->balance[from], a->balance[from] - amount, e));
	return run_end(&r, a->balance[from] - amount, ret, e);
}

/* A transfer that was scheduled.  One that fails has left nothing to be found in the commit which
 * says so. */
static status
due(const struct native_call *c, struct val *ret, struct err *e)
{
	struct sim *s = db_os(snapshot_db(txn_snapshot(c->txn)))->arg;
	status      st = transfer(c, ret, e);

	if (st != ST_OK)
		memset(&sim_worker(s)->attempt, 0, sizeof sim_worker(s)->attempt);
	return st;
}

/* Opens the account, or closes it if it is empty: what range reads must notice. */
static status
toggle(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     owner = arg_u32(c, "owner");
	struct bank *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read(&r, owner, owner + 1, &b, e));
	if (b->balance[owner] < 0)
		TRY(run_write(&r, owner, -1, 0, e));
	else if (b->balance[owner] == 0)
		TRY(run_write(&r, owner, 0, -1, e));
	return run_end(&r, b->balance[owner], ret, e);
}

/* Levels two neighbours by what a whole range holds: reads much, writes little. */
static status
level(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     lo = arg_u32(c, "lo"), hi = arg_u32(c, "hi"), poor = hi, rich = hi;
	struct bank *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read(&r, lo, hi, &b, e));
	for (uint32_t i = lo; i < hi; i++) {
		if (b->balance[i] < 0)
			continue;
		if (poor == hi || b->balance[i] < b->balance[poor])
			poor = i;
		if (rich == hi || b->balance[i] > b->balance[rich])
			rich = i;
	}
	if (poor < hi && b->balance[rich] > b->balance[poor] + 1) {
		TRY(run_write(&r, poor, b->balance[poor], b->balance[poor] + 1, e));
		TRY(run_write(&r, rich, b->balance[rich], b->balance[rich] - 1, e));
	}
	return run_end(&r, bank_sum(b, lo, hi), ret, e);
}

static status
sum(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     lo = arg_u32(c, "lo"), hi = arg_u32(c, "hi"), mid = (lo + hi) / 2;
	struct bank *a, *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read(&r, lo, mid, &a, e));
	TRY(run_read(&r, mid, hi, &b, e));
	return run_end(&r, bank_sum(a, lo, mid) + bank_sum(b, mid, hi), ret, e);
}

/* One from each of some accounts that the whole range of balances was searched for. */
static status
tax(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     lo = arg_u32(c, "lo"), hi = arg_u32(c, "hi"), to = arg_u32(c, "to");
	int64_t      taken = 0;
	struct bank *rich, *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read_balances(&r, lo < 1 ? 1 : lo, hi, &rich, e));
	TRY(run_read(&r, to, to + 1, &b, e));
	if (b->balance[to] < 0)
		return err_set(e, ST_BAD_REQUEST, "NoAccount", "no account %u", to);
	for (uint32_t i = 0; i < ACCOUNTS && taken < 3; i++) {
		if (i == to || rich->balance[i] == NOT_SEEN)
			continue;
		TRY(run_write(&r, i, rich->balance[i], rich->balance[i] - 1, e));
		taken++;
	}
	TRY(run_write(&r, to, b->balance[to], b->balance[to] + taken, e));
	return run_end(&r, taken, ret, e);
}

static status
rich(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     lo = arg_u32(c, "lo"), hi = arg_u32(c, "hi");
	struct bank *b;
	struct run   r;

	run_begin(&r, c);
	TRY(run_read_balances(&r, lo, hi, &b, e));
	return run_end(&r, bank_rich(b, lo, hi), ret, e);
}

const struct native_fn sim_functions[] = {
	{ "bank.js:transfer", UDF_MUTATION, transfer, NULL },
	{ "bank.js:later", UDF_MUTATION, later_schedule, NULL },
	{ "bank.js:due", UDF_MUTATION, due, NULL },
	{ "bank.js:beat", UDF_MUTATION, beat, NULL },
	{ "bank.js:toggle", UDF_MUTATION, toggle, NULL },
	{ "bank.js:level", UDF_MUTATION, level, NULL },
	{ "bank.js:tax", UDF_MUTATION, tax, NULL },
	{ "bank.js:note", UDF_MUTATION, notes_add, NULL },
	{ "bank.js:forget", UDF_MUTATION, notes_forget, NULL },
	{ "bank.js:sum", UDF_QUERY, sum, NULL },
	{ "bank.js:rich", UDF_QUERY, rich, NULL },
	{ "bank.js:page", UDF_QUERY, pages_read, NULL },
	{ "bank.js:count", UDF_QUERY, notes_count, NULL },
};
const size_t sim_function_count = COUNT_OF(sim_functions);

/* --- the first day --- */

static const char schema_text[] =
    "{\"tables\":[{\"tableName\":\"accounts\",\"indexes\":[{\"indexDescriptor\":\"by_owner\","
    "\"fields\":[\"owner\"]},"
    "{\"indexDescriptor\":\"by_balance\",\"fields\":[\"balance\"]}],"
    "\"documentType\":{\"type\":\"any\"}},{\"tableName\":\"ops\","
    "\"indexes\":[{\"indexDescriptor\":\"by_op\",\"fields\":[\"op\"]}],"
    "\"documentType\":{\"type\":\"any\"}}],\"schemaValidation\":true}";

static status
setup(struct txn *t, const struct bank *b, struct err *e)
{
	const struct schema *schema;
	struct index_diff    diff = { 0 };
	struct json         *j;
	struct docid         id;

	TRY(json_parse(txn_arena(t), str_z(schema_text), &j, e));
	TRY(schema_parse(txn_arena(t), j, &schema, e));
	TRY(ddl_prepare_indexes(t, schema, false, &diff, e));
	TRY(ddl_commit_indexes(t, schema, &diff, e));
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		if (b->balance[i] >= 0)
			TRY(txn_insert(t, S("accounts"),
			    account_val(txn_arena(t), i, b->balance[i]), &id, e));
	return beats_setup(t, e);
}

void
bank_setup(struct sim *s, struct db *db)
{
	struct txn_opts o = { .snapshot = db_snapshot(db), .writable = true, .system = true,
		.writer = S("setup") };
	struct txn     *t = txn_begin(&o);
	struct err      e = err_in(txn_arena(t));
	struct conflict conflict;
	struct bank     b = { 0 };
	ts_t            ts;

	for (uint32_t i = 0; i < ACCOUNTS; i++)
		b.balance[i] = i % 3 == 2 ? -1 : OPENING_BALANCE;
	if (setup(t, &b, &e) != ST_OK || txn_commit(t, &ts, &conflict, &e) != ST_OK)
		sim_fail(s, "setup: %.*s", STR_ARG(e.text));
	txn_free(t);
	checker_start(s, ts, &b);
}
