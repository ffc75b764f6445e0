/* catalog_doc.c - catalogue rows to structures and back (spec 03 section 3.3).
 *
 * Rows come from our own writes or from a database made by the reference, so what does not
 * parse is corruption, reported as INTERNAL with the row's id in the log.
 *
 * Thread, memory: see catalog_doc.h and catalog_int.h.
 */
#include "database/catalog_doc.h"

#include "database/catalog_int.h"

static status
bad_row(struct err *e, const struct doc *d, const char *table, const char *field)
{
	char id[ID_TEXT_MAX];

	id_format(d->id, id);
	return err_internal(e, "row %s of %s: cannot understand '%s'", id, table, field);
}

static bool
get_str(struct val obj, str name, str *ret)
{
	struct val v = val_get(obj, name);

	if (val_kind(v) != VAL_STRING)
		return false;
	*ret = val_str(v);
	return true;
}

/* Integers of system documents are Int64; floats are read too. */
static bool
get_u32(struct val obj, str name, uint32_t *ret)
{
	struct val v = val_get(obj, name);
	int64_t    n;

	if (val_kind(v) == VAL_INT64)
		n = val_int64(v);
	else if (val_kind(v) == VAL_FLOAT64 && val_float64(v) >= 0 && val_float64(v) <= UINT32_MAX)
		n = (int64_t)val_float64(v);
	else
		return false;
	if (n < 0 || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool
get_bool(struct val obj, str name)
{
	struct val v = val_get(obj, name);

	return val_kind(v) == VAL_BOOL && val_bool(v);
}

/* --- _tables --- */

static const char *const table_states[] = {
	[TABLE_ACTIVE] = "active",
	[TABLE_HIDDEN] = "hidden",
	[TABLE_DELETING] = "deleting",
};

/* The namespace names a row of _components: its id text, or the bare internal id. */
static bool
read_component(struct val namespace, struct uid *ret)
{
	struct docid id;
	str          text;

	if (!get_str(namespace, S("id"), &text))
		return false;
	if (id_parse(text, &id, NULL) == ST_OK) {
		*ret = id.uid;
		return true;
	}
	return uid_parse(text, ret);
}

status
table_row_read(const struct doc *d, struct table_row *ret, struct err *e)
{
	struct table_row row = { .number = 0 };
	struct val       v = doc_val(d), namespace = val_get(v, S("namespace"));
	str              state;
	size_t           i;

	if (!get_str(v, S("name"), &row.name) || row.name.n == 0)
		return bad_row(e, d, "_tables", "name");
	if (!get_u32(v, S("number"), &row.number) || row.number == 0)
		return bad_row(e, d, "_tables", "number");
	if (!get_str(v, S("state"), &state))
		return bad_row(e, d, "_tables", "state");
	for (i = 0; i < COUNT_OF(table_states) && !str_eq(state, str_z(table_states[i])); i++)
		;
	if (i == COUNT_OF(table_states))
		return bad_row(e, d, "_tables", "state");
	row.state = (enum table_state)i;
	if (val_kind(namespace) == VAL_OBJECT && !read_component(namespace, &row.component))
		return bad_row(e, d, "_tables", "namespace");
	*ret = row;
	return ST_OK;
}

void
catalog_pack_table(struct pack *p, str name, uint32_t number, enum table_state state,
    struct uid component)
{
	char   id[ID_TEXT_MAX];
	size_t n;

	pack_key(p, S("name"));
	pack_str(p, name);
	pack_key(p, S("number"));
	pack_int64(p, number);
	pack_key(p, S("state"));
	pack_str(p, str_z(table_states[state]));
	if (uid_is_zero(component))
		return;
	n = id_format((struct docid){ TABLE_NO_COMPONENTS, component }, id);
	pack_key(p, S("namespace"));
	pack_object(p);
	pack_key(p, S("kind"));
	pack_str(p, S("byComponent"));
	pack_key(p, S("id"));
	pack_str(p, str_of(id, n));
	pack_end(p);
}

/* --- _index: reading --- */

static bool
read_paths(struct arena *a, struct val v, size_t *ret_n, str **ret)
{
	size_t n;
	str   *paths;

	if (val_kind(v) != VAL_ARRAY)
		return false;
	n = val_count(v);
	paths = ARENA_ARRAY(a, str, n);
	for (size_t i = 0; i < n; i++) {
		struct val item = val_at(v, i);

		if (val_kind(item) != VAL_STRING)
			return false;
		paths[i] = arena_str(a, val_str(item));
	}
	*ret_n = n;
	*ret = paths;
	return true;
}

/* Database indexes name their state `type`, search and vector indexes `state`. */
static bool
read_state(struct val disk, struct index_row *row)
{
	static const struct {
		const char      *name;
		enum index_state state;
		bool             staged;
	} names[] = {
		{ "Backfilling", INDEX_BACKFILLING, false },
		{ "Backfilled2", INDEX_BACKFILLED, false },
		{ "Enabled", INDEX_ENABLED, false },
		{ "Disabled", INDEX_BACKFILLED, true },
		{ "backfilling", INDEX_BACKFILLING, false },
		{ "backfilling2", INDEX_BACKFILLING, false },
		{ "backfilled2", INDEX_BACKFILLED, false },
		{ "backfilled", INDEX_BACKFILLED, false },
		{ "snapshotted", INDEX_ENABLED, false },
	};
	str name;

	if (!get_str(disk, S("type"), &name) && !get_str(disk, S("state"), &name))
		return false;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!str_eq(name, str_z(names[i].name)))
			continue;
		row->state = names[i].state;
		row->staged = names[i].staged || get_bool(disk, S("staged")) ||
		    get_bool(val_get(disk, S("backfillState")), S("staged"));
		return true;
	}
	return false;
}

static bool
read_config(struct arena *a, struct val config, struct index_def *def)
{
	str kind, field;

	if (!get_str(config, S("type"), &kind))
		return false;
	if (str_eq(kind, S("database"))) {
		def->kind = INDEX_DATABASE;
		return read_paths(a, val_get(config, S("fields")), &def->nfields, &def->fields);
	}
	if (str_eq(kind, S("search"))) {
		def->kind = INDEX_SEARCH;
		if (!get_str(config, S("searchField"), &field))
			return false;
	} else if (str_eq(kind, S("vector"))) {
		def->kind = INDEX_VECTOR;
		if (!get_str(config, S("vectorField"), &field) ||
		    !get_u32(config, S("dimensions"), &def->dimensions))
			return false;
	} else {
		return false;
	}
	def->field = arena_str(a, field);
	return read_paths(a, val_get(config, S("filterFields")), &def->nfilters, &def->filters);
}

status
index_row_read(struct arena *a, const struct doc *d, struct index_row *ret, struct err *e)
{
	struct index_row row = { .state = INDEX_BACKFILLING };
	struct val       v = doc_val(d), config = val_get(v, S("config"));
	str              text;

	if (!get_str(v, S("table_id"), &text) || !uid_parse(text, &row.tablet))
		return bad_row(e, d, "_index", "table_id");
	if (!get_str(v, S("descriptor"), &text))
		return bad_row(e, d, "_index", "descriptor");
	row.def.name = arena_str(a, text);
	if (!read_config(a, config, &row.def))
		return bad_row(e, d, "_index", "config");
	if (!read_state(val_get(config, S("onDiskState")), &row))
		return bad_row(e, d, "_index", "onDiskState");
	row.def.staged = row.staged;
	*ret = row;
	return ST_OK;
}

/* --- _index: writing --- */

static void
pack_paths(struct pack *p, str key, const str *paths, size_t n)
{
	pack_key(p, key);
	pack_array(p);
	for (size_t i = 0; i < n; i++)
		pack_str(p, paths[i]);
	pack_end(p);
}

static void
pack_named(struct pack *p, str key, str text)
{
	pack_key(p, key);
	pack_str(p, text);
}

static void
pack_flag(struct pack *p, str key, bool flag)
{
	pack_key(p, key);
	pack_bool(p, flag);
}

static void
pack_database_state(struct pack *p, enum index_state state, bool staged, bool retention,
    ts_t lower_bound)
{
	switch (state) {
	case INDEX_BACKFILLING:
		pack_named(p, S("type"), S("Backfilling"));
		pack_key(p, S("backfillState"));
		pack_object(p);
		pack_key(p, S("indexCreatedLowerBound"));
		pack_int64(p, (int64_t)lower_bound);
		pack_flag(p, S("retentionStarted"), retention);
		pack_flag(p, S("staged"), staged);
		pack_end(p);
		break;
	case INDEX_BACKFILLED:
		pack_named(p, S("type"), S("Backfilled2"));
		pack_flag(p, S("staged"), staged);
		break;
	case INDEX_ENABLED:
		pack_named(p, S("type"), S("Enabled"));
		break;
	}
}

static void
pack_segments(struct pack *p, bool data)
{
	if (data) {
		pack_key(p, S("data"));
		pack_object(p);
		pack_named(p, S("data_type"), S("MultiSegment"));
	}
	pack_paths(p, S("segments"), NULL, 0);
	if (data)
		pack_end(p);
}

static void
pack_version(struct pack *p, bool vector, ts_t ts)
{
	pack_segments(p, true);
	pack_key(p, S("ts"));
	pack_int64(p, (int64_t)ts);
	if (!vector) {
		pack_key(p, S("version"));
		pack_int64(p, 2);
	}
}

/* Segments are private to the search implementation: what we write here has none. */
static void
pack_search_state(struct pack *p, bool vector, enum index_state state, bool staged, ts_t ts)
{
	static const char *const names[] = { "backfilling", "backfilled2", "snapshotted" };

	pack_named(p, S("state"), str_z(names[state]));
	if (state == INDEX_ENABLED) {
		pack_version(p, vector, ts);
		return;
	}
	if (state == INDEX_BACKFILLED) {
		pack_key(p, S("snapshot"));
		pack_object(p);
		pack_version(p, vector, ts);
		pack_end(p);
	} else if (vector) {
		pack_segments(p, false);
		pack_key(p, S("table_scan_cursor"));
		pack_null(p);
		pack_key(p, S("last_segment_ts"));
		pack_null(p);
	}
	pack_flag(p, S("staged"), staged);
}

static void
pack_config(struct pack *p, const struct index_def *def)
{
	switch (def->kind) {
	case INDEX_DATABASE:
		pack_named(p, S("type"), S("database"));
		pack_paths(p, S("fields"), def->fields, def->nfields);
		return;
	case INDEX_SEARCH:
		pack_named(p, S("type"), S("search"));
		pack_named(p, S("searchField"), def->field);
		break;
	case INDEX_VECTOR:
		pack_named(p, S("type"), S("vector"));
		pack_named(p, S("vectorField"), def->field);
		pack_key(p, S("dimensions"));
		pack_int64(p, def->dimensions);
		break;
	}
	pack_paths(p, S("filterFields"), def->filters, def->nfilters);
}

static void
pack_index(struct pack *p, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged, bool retention, ts_t lower_bound)
{
	struct buf id;

	buf_init(&id, 64);
	uid_format(&id, tablet);
	pack_named(p, S("table_id"), buf_str(&id));
	buf_clear(&id);
	pack_named(p, S("descriptor"), def->name);
	pack_key(p, S("config"));
	pack_object(p);
	pack_config(p, def);
	pack_key(p, S("onDiskState"));
	pack_object(p);
	if (def->kind == INDEX_DATABASE)
		pack_database_state(p, state, staged, retention, lower_bound);
	else
		pack_search_state(p, def->kind == INDEX_VECTOR, state, staged, lower_bound);
	pack_end(p);
	pack_end(p);
}

void
catalog_pack_index(struct pack *p, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged, ts_t lower_bound)
{
	pack_index(p, tablet, def, state, staged, false, lower_bound);
}

void
catalog_pack_filled_index(struct pack *p, struct uid tablet, const struct index_def *def,
    bool staged, ts_t lower_bound)
{
	pack_index(p, tablet, def, INDEX_BACKFILLING, staged, true, lower_bound);
}

/* --- _schemas --- */

status
schema_row_read(struct arena *a, const struct doc *d, bool *ret_live,
    enum schema_state *ret_state, const struct schema **ret, struct err *e)
{
	str state, text;

	if (!get_str(val_get(doc_val(d), S("state")), S("state"), &state))
		return bad_row(e, d, "_schemas", "state");
	*ret_live = true;
	if (str_eq(state, S("pending")))
		*ret_state = SCHEMA_PENDING;
	else if (str_eq(state, S("validated")))
		*ret_state = SCHEMA_VALIDATED;
	else if (str_eq(state, S("active")))
		*ret_state = SCHEMA_ACTIVE;
	else
		*ret_live = false;
	if (!*ret_live)
		return ST_OK;
	if (!get_str(doc_val(d), S("schema"), &text))
		return bad_row(e, d, "_schemas", "schema");
	return schema_parse_stored(a, arena_str(a, text), ret, e);
}
