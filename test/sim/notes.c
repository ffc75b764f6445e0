/* notes.c - tables that come and go, and rows that a schema allows or not.
 *
 * notes0.. hold {v: Int64} or {v: string}.  They begin with the first row; admin.c deletes
 * them, and pushes schemas that allow integers only.  A bad row is refused exactly while such
 * a schema is active; while one is only pending, the row goes in and the schema fails.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#include "bank.h"

str
notes_table(uint32_t table)
{
	static const char *const names[] = { "notes0", "notes1", "notes2" };

	must(table < COUNT_OF(names) && COUNT_OF(names) == NOTES);
	return str_z(names[table]);
}

/* Counts the rows; `victim` (may be NULL) becomes the id of one, a text if there is any. */
static status
read_rows(struct txn *t, uint32_t table, struct notes *ret, bool desc, struct docid *victim,
    struct err *e)
{
	struct query_spec spec = { .source = QUERY_FULL_SCAN, .table = notes_table(table),
		.desc = desc };
	struct query     *q;
	struct doc       *d;

	memset(ret, 0, sizeof *ret);
	TRY(query_open(t, &spec, &q, e));
	for (;;) {
		bool text;

		TRY(query_next(q, &d, e));
		if (!d)
			break;
		text = val_kind(val_get(doc_val(d), S("v"))) == VAL_STRING;
		if (victim && (ret->ints + ret->texts == 0 || text))
			*victim = d->id;
		ret->ints += !text;
		ret->texts += text;
	}
	query_close(q);
	return ST_OK;
}

status
notes_read(struct txn *t, uint32_t table, struct notes *ret, struct err *e)
{
	return read_rows(t, table, ret, false, NULL, e);
}

static struct val
row_val(struct arena *a, bool text)
{
	struct pack p;
	struct val  v;

	if (text)
		return text_val(a, "v", S("text"));
	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("v"));
	pack_int64(&p, 7);
	pack_end(&p);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

status
notes_add(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     table = arg_u32(c, "table");
	bool         text = arg_u32(c, "text"), strict;
	struct docid id;
	struct run   r;
	status       st;

	run_begin(&r, c);
	st = txn_insert(c->txn, notes_table(table), row_val(c->arena, text), &id, e);
	if (!r.s->server.up)
		return st;
	strict = checker_at(r.s, r.a->snapshot)->strict[table];
	if (text) {
		run_note(&r, READ_STRICT, table, 0)->seen.strict[table] = strict;
		r.a->nreads++;
	}
	if (st == ST_OK && text && strict)
		sim_fail(r.s, "%s: a row went by the schema", r.a->op);
	if (st != ST_OK && !(text && strict && str_eq(e->code, S("SchemaEnforcementError"))))
		sim_fail(r.s, "%s: refused: %.*s", r.a->op, STR_ARG(e->text));
	TRY(st);
	r.a->table = table;
	r.a->added = (struct notes){ !text, text };
	sim_pause(r.s, MS / 5);
	return run_end(&r, text, ret, e);
}

static status
read_notes(struct run *r, uint32_t table, struct docid *victim, struct notes *ret, struct err *e)
{
	struct read *rd = run_note(r, READ_NOTES, table, 0);

	TRY(read_rows(r->c->txn, table, ret, draw(r->s, 2), victim, e));
	rd->seen.notes[table] = *ret;
	r->a->nreads++;
	sim_pause(r->s, MS / 5);
	return ST_OK;
}

status
notes_forget(const struct native_call *c, struct val *ret, struct err *e)
{
	uint32_t     table = arg_u32(c, "table");
	char         id[ID_TEXT_MAX];
	struct docid victim;
	struct notes n;
	struct run   r;
	struct doc  *d;

	run_begin(&r, c);
	TRY(read_notes(&r, table, &victim, &n, e));
	if (n.ints + n.texts > 0) {
		id_format(victim, id);
		TRY(txn_delete(c->txn, notes_table(table), str_z(id), &d, e));
		r.a->table = table;
		r.a->added = (struct notes){ n.texts ? 0 : -1, n.texts ? -1 : 0 };
	}
	return run_end(&r, n.ints * 1000 + n.texts, ret, e);
}

status
notes_count(const struct native_call *c, struct val *ret, struct err *e)
{
	struct notes n;
	struct run   r;

	run_begin(&r, c);
	TRY(read_notes(&r, arg_u32(c, "lo"), NULL, &n, e));
	return run_end(&r, n.ints * 1000 + n.texts, ret, e);
}
