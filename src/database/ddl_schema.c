/* ddl_schema.c - the life of a schema (spec 03 section 4.4, spec 02 section 7.2).
 *
 * Per component at most one row is pending or validated and at most one active; the others
 * are history.  Equality is of parsed schemas, not of texts.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/ddl_int.h"

/* {state: {state}, schema: as in `row`} */
static status
write_state(struct txn *t, const struct doc *row, const char *state, struct err *e)
{
	struct pack *p = ddl_row(t);
	struct val   body;

	pack_key(p, S("state"));
	pack_object(p);
	pack_key(p, S("state"));
	pack_str(p, str_z(state));
	pack_end(p);
	pack_key(p, S("schema"));
	pack_val(p, val_get(doc_val(row), S("schema")));
	TRY(ddl_row_done(t, &body, e));
	return txn_sys_replace(t, row->id, body, e);
}

status
ddl_set_schema_state(struct txn *t, struct docid id, const char *state, struct err *e)
{
	struct doc *row;

	TRY(txn_sys_get(t, id, &row, e));
	if (!row)
		return err_internal(e, "no such schema row");
	return write_state(t, row, state, e);
}

static status
overwrite_coming(struct txn *t, struct err *e)
{
	static const enum schema_state states[] = { SCHEMA_PENDING, SCHEMA_VALIDATED };

	for (size_t i = 0; i < COUNT_OF(states); i++) {
		const struct schema_info *s = catalog_schema(t->catalog, t->component, states[i]);

		if (s)
			TRY(ddl_set_schema_state(t, s->id, "overwritten", e));
	}
	return ST_OK;
}

static status
insert_pending(struct txn *t, const struct schema *s, struct docid *ret, struct err *e)
{
	struct pack *p = ddl_row(t);
	struct buf   text;
	struct val   row;

	buf_init(&text, BUF_MAX_DEFAULT);
	schema_json(&text, s);
	pack_key(p, S("state"));
	pack_object(p);
	pack_key(p, S("state"));
	pack_str(p, S("pending"));
	pack_end(p);
	pack_key(p, S("schema"));
	pack_str(p, buf_str(&text));
	buf_clear(&text);
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_insert(t, S("_schemas"), row, ret, e);
}

static bool
stands_for(const struct schema_info *have, const struct schema *s)
{
	return have && schema_equal(have->schema, s);
}

status
ddl_submit_schema(struct txn *t, const struct schema *s, struct docid *ret, struct err *e)
{
	const struct schema_info *have;
	const struct table_info  *info;

	txn_note_schemas(t);
	for (size_t i = 0; i < s->ntables; i++)
		TRY(ddl_ensure_table(t, s->tables[i].name, 0, &info, e));
	have = catalog_schema(t->catalog, t->component, SCHEMA_ACTIVE);
	if (stands_for(have, s)) {
		*ret = have->id;
		return overwrite_coming(t, e);
	}
	have = catalog_schema(t->catalog, t->component, SCHEMA_PENDING);
	if (!stands_for(have, s))
		have = catalog_schema(t->catalog, t->component, SCHEMA_VALIDATED);
	if (stands_for(have, s)) {
		*ret = have->id;
		return ST_OK;
	}
	TRY(overwrite_coming(t, e));
	return insert_pending(t, s, ret, e);
}

/* --- activation --- */

static str
member(struct val v, str name)
{
	v = val_get(v, name);
	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static status
stored_row(struct txn *t, struct docid id, struct doc **ret, str *ret_state, struct err *e)
{
	char text[ID_TEXT_MAX];

	*ret = NULL;
	if (ttable_system(t, S("_schemas")) &&
	    id.table == ttable_system(t, S("_schemas"))->info->number)
		TRY(txn_sys_get(t, id, ret, e));
	if (!*ret) {
		id_format(id, text);
		return err_set(e, ST_BAD_REQUEST, "InvalidSchemaId", "Invalid schema id: %s",
		    text);
	}
	*ret_state = member(val_get(doc_val(*ret), S("state")), S("state"));
	return ST_OK;
}

static status
check_activable(const struct doc *row, str state, struct err *e)
{
	str error = member(val_get(doc_val(row), S("state")), S("error"));

	if (str_eq(state, S("validated")) || str_eq(state, S("active")))
		return ST_OK;
	if (str_eq(state, S("failed")))
		return err_set(e, ST_BAD_REQUEST, "SchemaAlreadyFailed",
		    "Schema has already been failed with error: %.*s", STR_ARG(error));
	if (str_eq(state, S("overwritten")))
		return err_set(e, ST_BAD_REQUEST, "SchemaAlreadyOverwritten",
		    "Schema has already been overwritten.");
	return err_internal(e, "schema is still %.*s", STR_ARG(state));
}

/* Takes the active schema, if there is one, off its place. */
static status
retire(struct txn *t, str *ret_text, struct err *e)
{
	const struct schema_info *active =
	    catalog_schema(t->catalog, t->component, SCHEMA_ACTIVE);
	struct doc *row;

	if (!active)
		return ST_OK;
	TRY(txn_sys_get(t, active->id, &row, e));
	if (!row)
		return err_internal(e, "the active schema has no row");
	*ret_text = member(doc_val(row), S("schema"));
	return write_state(t, row, "overwritten", e);
}

status
ddl_activate_schema(struct txn *t, const struct docid *id, str *ret_prev, str *ret_next,
    struct err *e)
{
	str         prev = { NULL, 0 }, next = { NULL, 0 }, state;
	struct doc *row = NULL;

	txn_note_schemas(t);
	if (id) {
		TRY(stored_row(t, *id, &row, &state, e));
		TRY(check_activable(row, state, e));
		next = member(doc_val(row), S("schema"));
	}
	if (row && str_eq(state, S("active"))) {
		prev = next;
	} else {
		TRY(retire(t, &prev, e));
		if (row)
			TRY(write_state(t, row, "active", e));
	}
	*ret_prev = prev;
	*ret_next = next;
	return ST_OK;
}

/* --- progress --- */

static void
count_indexes(struct txn *t, struct ddl_state *s)
{
	const struct table_info *info;

	txn_note_all_tables(t);
	txn_note_all_indexes(t);
	for (size_t i = 0; (info = catalog_table_at(t->catalog, i)); i++) {
		if (info->system || info->state != TABLE_ACTIVE ||
		    !uid_eq(info->component, t->component))
			continue;
		for (size_t k = 0; k < info->nindexes; k++) {
			const struct index_info *ix = &info->indexes[k];

			if (ix->staged || ix == info->by_id || ix == info->by_creation_time)
				continue;
			s->indexes_total++;
			s->indexes_complete += ix->state != INDEX_BACKFILLING;
		}
	}
}

static status
schema_progress(struct txn *t, struct docid id, struct ddl_state *s, struct err *e)
{
	struct doc *row;
	struct val  table;
	str         state;

	TRY(stored_row(t, id, &row, &state, e));
	s->schema_complete = str_eq(state, S("validated")) || str_eq(state, S("active"));
	if (str_eq(state, S("overwritten")))
		s->progress = DDL_RACE;
	if (!str_eq(state, S("failed")))
		return ST_OK;
	s->progress = DDL_FAILED;
	s->error = member(val_get(doc_val(row), S("state")), S("error"));
	table = val_path(doc_val(row), S("state.table_name"));
	s->table = val_kind(table) == VAL_STRING ? val_str(table) : (str){ NULL, 0 };
	return ST_OK;
}

status
ddl_schema_state(struct txn *t, const struct docid *schema_id, struct ddl_state *ret,
    struct err *e)
{
	struct ddl_state s = { .progress = DDL_IN_PROGRESS, .schema_complete = true,
		.error = STR_EMPTY, .table = { NULL, 0 } };

	if (schema_id)
		TRY(schema_progress(t, *schema_id, &s, e));
	if (s.progress == DDL_IN_PROGRESS) {
		count_indexes(t, &s);
		if (s.schema_complete && s.indexes_complete == s.indexes_total)
			s.progress = DDL_COMPLETE;
	}
	*ret = s;
	return ST_OK;
}
