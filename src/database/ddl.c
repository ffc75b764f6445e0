/* ddl.c - tables: created by whoever names them first, deleted in two steps.
 *
 * Spec 03 section 3.5.  Everything here is writes of rows of _tables and _index; the
 * transaction's catalogue follows them (txn_put).
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/ddl_int.h"

#define TABLES_MAX 10000

struct pack *
ddl_row(struct txn *t)
{
	pack_reset(&t->pack);
	t->pack.trusted = true;
	pack_object(&t->pack);
	return &t->pack;
}

status
ddl_row_done(struct txn *t, struct val *ret, struct err *e)
{
	pack_end(&t->pack);
	return pack_done_in(&t->pack, t->arena, ret, e);
}

/* --- indexes as rows --- */

status
ddl_insert_index(struct txn *t, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged, struct err *e)
{
	struct val   row;
	struct docid id;

	catalog_pack_index(ddl_row(t), tablet, def, state, staged, txn_ts(t));
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_insert(t, S("_index"), row, &id, e);
}

/* The timestamp that a backfill began at, which a change of the staged flag must keep. */
static ts_t
lower_bound(struct txn *t, const struct doc *row)
{
	struct val v = val_path(doc_val(row),
	    S("config.onDiskState.backfillState.indexCreatedLowerBound"));

	return val_kind(v) == VAL_INT64 ? (ts_t)val_int64(v) : txn_ts(t);
}

status
ddl_set_index(struct txn *t, const struct table_info *table, const struct index_info *ix,
    enum index_state state, bool staged, struct err *e)
{
	struct docid id = { .table = TABLE_NO_INDEX, .uid = ix->id };
	struct doc  *old;
	struct val   row;

	TRY(txn_sys_get(t, id, &old, e));
	if (!old)
		return err_internal(e, "no row of index %.*s", STR_ARG(ix->def.name));
	catalog_pack_index(ddl_row(t), table->tablet, &ix->def, state, staged,
	    lower_bound(t, old));
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_replace(t, id, row, e);
}

status
ddl_fill_index(struct txn *t, const struct table_info *table, const struct index_info *ix,
    bool *ret_was, struct err *e)
{
	struct docid id = { .table = TABLE_NO_INDEX, .uid = ix->id };
	struct doc  *old;
	struct val   row;

	TRY(txn_sys_get(t, id, &old, e));
	if (!old)
		return err_internal(e, "no row of index %.*s", STR_ARG(ix->def.name));
	row = val_path(doc_val(old), S("config.onDiskState.backfillState.retentionStarted"));
	*ret_was = val_kind(row) == VAL_BOOL && val_bool(row);
	if (*ret_was)
		return ST_OK;
	catalog_pack_filled_index(ddl_row(t), table->tablet, &ix->def, ix->staged,
	    lower_bound(t, old));
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_replace(t, id, row, e);
}

static status
string_val(struct txn *t, struct docid id, struct val *ret, struct err *e)
{
	char text[ID_TEXT_MAX];

	pack_reset(&t->pack);
	pack_str(&t->pack, str_of(text, id_format(id, text)));
	return pack_done_in(&t->pack, t->arena, ret, e);
}

status
ddl_backfill_row(struct txn *t, struct uid index, struct doc **ret, struct err *e)
{
	struct val key;

	TRY(string_val(t, (struct docid){ .table = TABLE_NO_INDEX, .uid = index }, &key, e));
	return txn_sys_first(t, S("_index_backfills"), S("by_index_id"), &key, 1, ret, e);
}

status
ddl_validation_row(struct txn *t, struct docid schema, struct doc **ret, struct err *e)
{
	struct val key;

	TRY(string_val(t, schema, &key, e));
	return txn_sys_first(t, S("_schema_validation_progress"), S("by_schema_id"), &key, 1, ret,
	    e);
}

status
ddl_drop_index(struct txn *t, const struct index_info *ix, struct err *e)
{
	struct doc *progress = NULL;

	if (ix->state == INDEX_BACKFILLING)
		TRY(ddl_backfill_row(t, ix->id, &progress, e));
	if (progress)
		TRY(txn_sys_delete(t, progress->id, e));
	return txn_sys_delete(t, (struct docid){ .table = TABLE_NO_INDEX, .uid = ix->id }, e);
}

/* --- creation --- */

status
ddl_check_table_name(str name, struct err *e)
{
	if (identifier_check(name, NULL) == ST_OK)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidTableName",
	    "Invalid table name: \"%.*s\". Identifiers must start with a letter and can only "
	    "contain letters, digits, and underscores.",
	    STR_ARG(name));
}

status
ddl_check_table_count(struct txn *t, str name, struct err *e)
{
	if (str_starts(name, S("_")) || catalog_count_user_tables(t->catalog) < TABLES_MAX)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "TooManyTables", "Number of tables cannot exceed %d.",
	    TABLES_MAX);
}

/* " in component a/b", in the arena; empty for the root. */
static str
in_component(struct txn *t)
{
	struct docid id = { .table = TABLE_NO_COMPONENTS, .uid = t->component };
	str          path = STR_EMPTY;
	struct doc  *row;
	struct val   name, parent;

	for (int depth = 0; depth < 64 && !uid_is_zero(id.uid); depth++) {
		if (txn_sys_get(t, id, &row, NULL) != ST_OK || !row)
			break;
		name = val_get(doc_val(row), S("name"));
		parent = val_get(doc_val(row), S("parent"));
		if (val_kind(name) == VAL_STRING)
			path = arena_fmt(t->arena, "%.*s%s%.*s", STR_ARG(val_str(name)),
			    path.n ? "/" : "", STR_ARG(path));
		if (val_kind(parent) != VAL_STRING || id_parse(val_str(parent), &id, NULL) != ST_OK)
			break;
	}
	return path.n ? arena_fmt(t->arena, " in component %.*s", STR_ARG(path)) : STR_EMPTY;
}

status
ddl_number_conflict(struct txn *t, str name, const struct table_info *other, struct err *e)
{
	str where = in_component(t);

	if (other->system)
		return err_set(e, ST_BAD_REQUEST, "TableConflict",
		    "New table `%.*s`%.*s has IDs that conflict with existing system table",
		    STR_ARG(name), STR_ARG(where));
	if (other->state != TABLE_ACTIVE)
		return err_set(e, ST_BAD_REQUEST, "TableConflict",
		    "New table `%.*s`%.*s has IDs that conflict with existing internal table. "
		    "Consider importing this table without `_id` fields or import into a new "
		    "deployment.",
		    STR_ARG(name), STR_ARG(where));
	return err_set(e, ST_BAD_REQUEST, "TableConflict",
	    "New table `%.*s`%.*s has IDs that conflict with existing table `%.*s`%.*s. To delete "
	    "all existing tables, import with `npx convex import --replace-all`.",
	    STR_ARG(name), STR_ARG(where), STR_ARG(other->name), STR_ARG(where));
}

/* A number that was asked for must be free. */
static status
check_number(struct txn *t, str name, uint32_t number, struct err *e)
{
	const struct table_info *other = catalog_numbered(t->catalog, t->component, number, 0);

	return other ? ddl_number_conflict(t, name, other, e) : ST_OK;
}

static status
choose_number(struct txn *t, str name, uint32_t *number, struct err *e)
{
	const struct system_table *sys = system_table_find(name);

	if (*number)
		return check_number(t, name, *number, e);
	if (sys) {
		*number = sys->number;
		return ST_OK;
	}
	if (str_starts(name, S("_")))
		return err_internal(e, "no system table %.*s", STR_ARG(name));
	*number = catalog_next_table_number(t->catalog, t->component);
	return ST_OK;
}

status
ddl_insert_table(struct txn *t, str name, uint32_t number, enum table_state state,
    struct docid *ret, struct err *e)
{
	const struct system_table *sys = system_table_find(name);
	struct index_def           own[2] = { index_def_by_id(), index_def_by_creation_time() };
	struct index_def          *defs = own;
	size_t                     n = COUNT_OF(own);
	struct val                 row;

	catalog_pack_table(ddl_row(t), name, number, state, t->component);
	TRY(ddl_row_done(t, &row, e));
	TRY(txn_sys_insert(t, S("_tables"), row, ret, e));
	if (sys)
		defs = system_table_indexes(t->arena, sys, &n);
	for (size_t i = 0; i < n; i++)
		TRY(ddl_insert_index(t, ret->uid, &defs[i], INDEX_ENABLED, false, e));
	return ST_OK;
}

status
ddl_ensure_table(struct txn *t, str name, uint32_t number, const struct table_info **ret,
    struct err *e)
{
	struct ttable *tt = ttable_named(t, t->component, name);
	struct docid   id;

	if (tt) {
		*ret = tt->info;
		return ST_OK;
	}
	TRY(ddl_check_table_name(name, e));
	TRY(ddl_check_table_count(t, name, e));
	TRY(choose_number(t, name, &number, e));
	TRY(ddl_insert_table(t, name, number, TABLE_ACTIVE, &id, e));
	*ret = catalog_table(t->catalog, t->component, name);
	must(*ret);
	return ST_OK;
}

status
ddl_create_namespace(struct txn *t, struct err *e)
{
	const struct table_info *info;

	for (size_t i = 0; i < system_table_count; i++)
		if (system_tables[i].per_component)
			TRY(ddl_ensure_table(t, str_z(system_tables[i].name), 0, &info, e));
	return ST_OK;
}

/* --- deletion --- */

struct id_search {
	str  wanted;
	bool found;
};

static void
compare_id(void *arg, str table)
{
	struct id_search *s = arg;

	s->found |= str_eq(s->wanted, table);
}

/* Why the schema needs the table, in the arena; p == NULL: it does not. */
static str
needed_by(struct txn *t, const struct schema_info *s, str name)
{
	const struct table_def *own = s ? schema_table(s->schema, name) : NULL;

	if (own && own->document)
		return arena_fmt(t->arena,
		    "Failed to delete table \"%.*s\" because it appears in the schema",
		    STR_ARG(name));
	for (size_t i = 0; s && i < s->schema->ntables; i++) {
		const struct table_def *def = &s->schema->tables[i];
		struct id_search        search = { .wanted = name };

		if (def->document)
			validator_each_id(def->document, compare_id, &search);
		if (search.found)
			return arena_fmt(t->arena,
			    "Failed to delete table \"%.*s\" because `v.id(\"%.*s\")` appears in "
			    "the schema of table \"%.*s\"",
			    STR_ARG(name), STR_ARG(name), STR_ARG(def->name));
	}
	return (str){ NULL, 0 };
}

static status
check_schemas(struct txn *t, str name, struct err *e)
{
	static const enum schema_state coming[] = { SCHEMA_PENDING, SCHEMA_VALIDATED };
	str why = needed_by(t, catalog_schema(t->catalog, t->component, SCHEMA_ACTIVE), name);

	txn_note_schemas(t);
	if (why.p)
		return err_set(e, ST_BAD_REQUEST, "SchemaEnforcementError", "%.*s", STR_ARG(why));
	for (size_t i = 0; i < COUNT_OF(coming); i++) {
		const struct schema_info *s = catalog_schema(t->catalog, t->component, coming[i]);

		why = needed_by(t, s, name);
		if (why.p)
			TRY(txn_fail_schema(t, s, why, name, e));
	}
	return ST_OK;
}

status
ddl_discard_table(struct txn *t, const struct table_info *info, struct err *e)
{
	struct val row;

	for (size_t i = 0; i < info->nindexes; i++)
		TRY(ddl_drop_index(t, &info->indexes[i], e));
	catalog_pack_table(ddl_row(t), info->name, info->number, TABLE_DELETING, info->component);
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_replace(t, (struct docid){ .table = TABLE_NO_TABLES, .uid = info->tablet },
	    row, e);
}

status
ddl_delete_table(struct txn *t, str name, struct err *e)
{
	struct ttable *tt = ttable_named(t, t->component, name);

	if (!tt || tt->info->system)
		return err_set(e, ST_BAD_REQUEST, "TableDoesNotExist", "Table '%.*s' not found",
		    STR_ARG(name));
	TRY(check_schemas(t, name, e));
	return ddl_discard_table(t, tt->info, e);
}
