/* txn_schema.c - documents against schemas, at each write.
 *
 * Spec 03 section 4.3: the active schema refuses the write; a pending or validated one that
 * does not fit is itself failed, in the same transaction, and the write goes through.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/txn_int.h"

static status
check(struct txn *t, const struct schema_info *s, str table, const struct doc *d, struct err *e)
{
	const struct table_def *def;
	struct table_names      names;

	if (!s || !s->schema->validate)
		return ST_OK;
	def = schema_table(s->schema, table);
	if (!def || !def->document || validator_is_any(def->document))
		return ST_OK;
	names = catalog_table_names(t->catalog, &t->component);
	return validator_check_doc(def->document, doc_val(d), &names, e);
}

static status
check_coming(struct txn *t, enum schema_state state, str table, const struct doc *d,
    struct err *e)
{
	const struct schema_info *s = catalog_schema(t->catalog, t->component, state);
	struct err                why = err_in(t->arena);

	if (check(t, s, table, d, &why) == ST_OK)
		return ST_OK;
	return txn_fail_schema(t, s,
	    arena_fmt(t->arena,
		"New document in table \"%.*s\" does not match the schema: %.*s", STR_ARG(table),
		STR_ARG(why.text)),
	    table, e);
}

status
txn_enforce_schema(struct txn *t, const struct table_info *info, const struct doc *d,
    struct err *e)
{
	struct err why = err_in(t->arena);

	if (check(t, catalog_schema(t->catalog, t->component, SCHEMA_ACTIVE), info->name, d,
		&why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "SchemaEnforcementError",
		    "Failed to insert or update a document in table \"%.*s\" because it does not "
		    "match the schema: %.*s",
		    STR_ARG(info->name), STR_ARG(why.text));
	TRY(check_coming(t, SCHEMA_PENDING, info->name, d, e));
	return check_coming(t, SCHEMA_VALIDATED, info->name, d, e);
}

/* {state: {state: "failed", error, table_name}, schema: as it was} */
status
txn_fail_schema(struct txn *t, const struct schema_info *s, str error, str table, struct err *e)
{
	struct doc *row;
	struct val  body;

	TRY(txn_sys_get(t, s->id, &row, e));
	if (!row)
		return err_internal(e, "schema row is gone");
	pack_reset(&t->pack);
	t->pack.trusted = true;
	pack_object(&t->pack);
	pack_key(&t->pack, S("state"));
	pack_object(&t->pack);
	pack_key(&t->pack, S("state"));
	pack_str(&t->pack, S("failed"));
	pack_key(&t->pack, S("error"));
	pack_str(&t->pack, error);
	pack_key(&t->pack, S("table_name"));
	pack_str(&t->pack, table);
	pack_end(&t->pack);
	pack_key(&t->pack, S("schema"));
	pack_val(&t->pack, val_get(doc_val(row), S("schema")));
	pack_end(&t->pack);
	TRY(pack_done_in(&t->pack, t->arena, &body, e));
	return txn_sys_replace(t, s->id, body, e);
}
