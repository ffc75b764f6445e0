/* txn_table.c - finding tables, and recording that the answer mattered.
 *
 * Each look into the catalogue is a read (spec 03 section 5.2): of a table's row, of an
 * index's row, of everything if nothing was found.  They are recorded once per transaction
 * and table, apart from the reads that count toward limits.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/txn_int.h"
#include "value/sortkey.h"

static const struct {
	enum virtual_kind kind;
	str               name, backing;
	uint32_t          number;
} virtuals[] = {
	{ VIRTUAL_STORAGE, { "_storage", 8 }, { "_file_storage", 13 }, TABLE_NO_FILE_STORAGE },
	{ VIRTUAL_SCHEDULED, { "_scheduled_functions", 20 }, { "_scheduled_jobs", 15 },
	    TABLE_NO_SCHEDULED_JOBS },
};

enum virtual_kind
virtual_named(str table, str *ret_backing)
{
	for (size_t i = 0; i < COUNT_OF(virtuals); i++)
		if (str_eq(table, virtuals[i].name)) {
			*ret_backing = virtuals[i].backing;
			return virtuals[i].kind;
		}
	return VIRTUAL_NONE;
}

enum virtual_kind
virtual_numbered(uint32_t number, str *ret_name)
{
	for (size_t i = 0; i < COUNT_OF(virtuals); i++)
		if (number == virtuals[i].number) {
			*ret_name = virtuals[i].name;
			return virtuals[i].kind;
		}
	return VIRTUAL_NONE;
}

static struct buf *
key_buf(struct txn *t, const struct index_info *ix)
{
	buf_reset(&t->key);
	index_prefix(&t->key, ix);
	return &t->key;
}

str
txn_by_id_key(struct txn *t, const struct table_info *info, struct docid id)
{
	char text[ID_TEXT_MAX];

	sortkey_add_str(key_buf(t, info->by_id), str_of(text, id_format(id, text)));
	return buf_str(&t->key);
}

/* Everything that begins with `prefix`; one copy serves both ends. */
static void
note_prefix(struct txn *t, str prefix)
{
	char *p = arena_alloc(t->arena, prefix.n + 1);

	memcpy(p, prefix.p, prefix.n);
	p[prefix.n] = (char)0xff;
	vec_push(&t->derived.ranges,
	    ((struct key_range){ str_of(p, prefix.n), str_of(p, prefix.n + 1) }));
}

static void
note_row(struct txn *t, const struct table_info *of, struct uid row)
{
	readlog_point(&t->derived,
	    txn_by_id_key(t, of, (struct docid){ .table = of->number, .uid = row }));
}

void
txn_note_all_tables(struct txn *t)
{
	if (t->noted_tables)
		return;
	t->noted_tables = true;
	note_prefix(t, buf_str(key_buf(t, t->root_tables->by_id)));
}

void
txn_note_all_indexes(struct txn *t)
{
	if (t->noted_indexes)
		return;
	t->noted_indexes = true;
	note_prefix(t, buf_str(key_buf(t, t->root_index->by_id)));
}

void
txn_note_index(struct txn *t, struct ttable *tt, const struct index_info *ix)
{
	size_t i = (size_t)(ix - tt->info->indexes);

	if (t->noted_indexes || (i < 64 && (tt->noted_indexes >> i & 1)))
		return;
	if (i < 64)
		tt->noted_indexes |= (uint64_t)1 << i;
	note_row(t, t->root_index, ix->id);
}

/* The rows of _schemas in one state: a write must meet whoever changes them.  Written out,
 * the sort key of {state: "..."}: every mutation records three of these. */
static void
note_schema_state(struct txn *t, const struct index_info *by_state, const char *state)
{
	struct buf *b = key_buf(t, by_state);

	buf_add(b, S("\x15state\0\x10"));
	buf_addz(b, state);
	buf_add(b, S("\0\0"));
	note_prefix(t, buf_str(b));
}

void
txn_note_schemas(struct txn *t)
{
	const struct table_info *schemas;
	const struct index_info *by_state;

	for (size_t i = 0; i < t->noted_schemas.n; i++)
		if (uid_eq(t->noted_schemas.v[i], t->component))
			return;
	vec_push(&t->noted_schemas, t->component);
	schemas = catalog_table(t->catalog, t->component, S("_schemas"));
	if (!schemas) {
		txn_note_all_tables(t);
		return;
	}
	by_state = table_index(schemas, S("by_state"));
	must(by_state);
	note_schema_state(t, by_state, "active");
	note_schema_state(t, by_state, "pending");
	note_schema_state(t, by_state, "validated");
}

/* That no index of the table appears or goes unnoticed is seen to by the committer, which
 * compares the tables written to with those of the newest catalogue. */
void
txn_note_write(struct txn *t, struct ttable *tt, bool schemas)
{
	if (schemas)
		txn_note_schemas(t);
	if (tt->noted_write)
		return;
	tt->noted_write = true;
	if (catalog_shaped_by(tt->info) && !str_eq(tt->info->name, S("_schemas"))) {
		txn_note_all_tables(t);
		txn_note_all_indexes(t);
	}
}

struct ttable *
ttable_of(struct txn *t, const struct table_info *info)
{
	struct ttable *tt = NULL;

	for (size_t i = 0; i < t->tables.n; i++) {
		struct ttable *other = t->tables.v[i];

		if (other->info == info)
			return other;
		if (uid_eq(other->tablet, info->tablet))
			tt = other;
	}
	if (!tt) {
		tt = ARENA_NEW(t->arena, struct ttable);
		tt->tablet = info->tablet;
		tt->fresh = t->catalog_gen &&
		    !catalog_tablet(snapshot_catalog(t->snap), info->tablet);
		vec_push(&t->tables, tt);
	}
	tt->info = info;
	tt->noted_indexes = 0;
	return tt;
}

/* The same, with its row of _tables in the read set. */
static struct ttable *
noted(struct txn *t, const struct table_info *info)
{
	struct ttable *tt;

	if (!info) {
		txn_note_all_tables(t);
		return NULL;
	}
	tt = ttable_of(t, info);
	if (!tt->noted) {
		tt->noted = true;
		if (!t->noted_tables)
			note_row(t, t->root_tables, tt->tablet);
	}
	return tt;
}

struct ttable *
ttable_named(struct txn *t, struct uid component, str name)
{
	return noted(t, catalog_table(t->catalog, component, name));
}

struct ttable *
ttable_numbered(struct txn *t, struct uid component, uint32_t number)
{
	return noted(t, catalog_table_numbered(t->catalog, component, number));
}

/* Most system tables exist once; a component that lacks one of its own must not be given the
 * root's. */
static const struct table_info *
unless_per_component(const struct table_info *info)
{
	const struct system_table *sys = info ? system_table_find(info->name) : NULL;

	return info && info->system && !(sys && sys->per_component) ? info : NULL;
}

struct ttable *
ttable_system(struct txn *t, str name)
{
	const struct table_info *info = catalog_table(t->catalog, t->component, name);

	if (!info && !uid_is_zero(t->component))
		info = unless_per_component(catalog_table(t->catalog, (struct uid){ 0 }, name));
	return noted(t, info);
}

struct ttable *
ttable_system_numbered(struct txn *t, uint32_t number)
{
	const struct table_info *info = catalog_table_numbered(t->catalog, t->component, number);

	if (!info && !uid_is_zero(t->component))
		info = unless_per_component(
		    catalog_table_numbered(t->catalog, (struct uid){ 0 }, number));
	return noted(t, info);
}
