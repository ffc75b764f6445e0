/* catalog_test.c - the first start's catalogue, and edits by documents.
 *
 * Thread: one.  Memory: everything is freed.
 */
#include "core_fixture.h"

static const struct uid root = { { 0 } };

/* A new store has every system table of spec 03 section 3.2 under its number, each with by_id
 * and, but for _index, by_creation_time; all indexes are enabled. */
TEST(first_start_makes_the_system_tables)
{
	static const struct {
		const char *name;
		uint32_t    number;
	} some[] = {
		{ "_tables", 513 }, { "_index", 514 }, { "_modules", 521 },
		{ "_session_requests", 529 }, { "_schemas", 532 }, { "_scheduled_jobs", 539 },
		{ "_file_storage", 540 }, { "_components", 544 }, { "_data_sync_progress", 553 },
	};
	struct fixture   f;
	struct snapshot *s;
	struct catalog  *c;

	fx_open(&f, 1);
	s = db_snapshot(f.db);
	c = snapshot_catalog(s);
	for (size_t i = 0; i < COUNT_OF(some); i++) {
		const struct table_info *t = catalog_table(c, root, str_z(some[i].name));

		CHECK(t != NULL);
		CHECK_EQ(t->number, some[i].number);
		CHECK(catalog_table_numbered(c, root, t->number) == t);
		CHECK(catalog_tablet(c, t->tablet) == t);
		CHECK(t->system && t->state == TABLE_ACTIVE && t->by_id);
		CHECK_EQ(t->by_creation_time != NULL, t->number != TABLE_NO_INDEX);
		for (size_t k = 0; k < t->nindexes; k++)
			CHECK_EQ(t->indexes[k].state, INDEX_ENABLED);
	}
	CHECK(table_index(catalog_table(c, root, S("_scheduled_jobs")), S("by_next_ts")) != NULL);
	CHECK_EQ(catalog_count_user_tables(c), 1);
	CHECK_EQ(catalog_next_table_number(c, root), 10002);
	snapshot_unref(s);
	fx_close(&f);
}

/* Numbers of the system tables are distinct, and ours avoids those of the specification. */
TEST(system_table_numbers_are_distinct)
{
	for (size_t i = 0; i < system_table_count; i++)
		for (size_t k = 0; k < i; k++)
			CHECK(system_tables[i].number != system_tables[k].number);
}

static size_t
count_rows(struct db *db, str table, str index)
{
	struct snapshot         *s = db_snapshot(db);
	const struct table_info *t = catalog_table(snapshot_catalog(s), root, table);
	const struct index_info *ix = table_index(t, index);
	struct buf               lo, hi;
	struct scan             *sc;
	struct doc              *d;
	str                      key;
	size_t                   n = 0;

	buf_init(&lo, 16);
	buf_init(&hi, 16);
	index_prefix(&lo, ix);
	buf_add(&hi, buf_str(&lo));
	hi.p[3]++;
	sc = scan_open(s, t, ix, buf_str(&lo), buf_str(&hi), false, 100);
	while (scan_next(sc, &key, &d, NULL) == ST_OK && d)
		n++;
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	snapshot_unref(s);
	return n;
}

/* The same from the store, whatever is in memory. */
static size_t
count_stored(struct fixture *f, str table, str index)
{
	struct snapshot         *s = db_snapshot(f->db);
	const struct table_info *t = catalog_table(snapshot_catalog(s), root, table);
	struct store_scan        q = { .index = table_index(t, index)->id, .tablet = t->tablet,
		       .table_number = t->number, .at = TS_MAX, .limit = 1000 };
	struct store_rows        rows;
	size_t                   n;

	store_rows_init(&rows);
	CHECK_EQ(store_scan(&f->store, &q, &rows, NULL), ST_OK);
	n = rows.rows.n;
	store_rows_clear(&rows);
	snapshot_unref(s);
	return n;
}

/* Starting again adds nothing and changes nothing. */
TEST(a_restart_reads_the_same_catalogue)
{
	struct fixture f;
	size_t         tables, indexes;
	struct uid     tablet;

	fx_open(&f, 1);
	tables = count_rows(f.db, S("_tables"), S("by_id"));
	indexes = count_rows(f.db, S("_index"), S("by_id"));
	CHECK_EQ(tables, system_table_count + 1);
	CHECK_EQ(count_rows(f.db, S("_backend_state"), S("by_id")), 1);
	CHECK_EQ(count_rows(f.db, S("_db"), S("by_id")), 1);
	tablet = f.tablet;
	db_close(f.db);
	fx_start(&f);
	CHECK_EQ(count_rows(f.db, S("_tables"), S("by_id")), tables);
	CHECK_EQ(count_rows(f.db, S("_index"), S("by_id")), indexes);
	CHECK_EQ(count_rows(f.db, S("_backend_state"), S("by_id")), 1);
	{
		struct snapshot *s = db_snapshot(f.db);

		CHECK(uid_eq(fx_things(s)->tablet, tablet));
		CHECK_EQ(fx_things(s)->nindexes, 3);
		snapshot_unref(s);
	}
	fx_close(&f);
}

/* --- edits --- */

static struct doc *
table_doc(const struct catalog *c, struct uid tablet, str name, uint32_t number,
    enum table_state state, struct uid component)
{
	const struct table_info *tables = catalog_table(c, root, S("_tables"));
	struct pack              p;
	struct doc              *d;

	pack_init(&p);
	pack_object(&p);
	catalog_pack_table(&p, name, number, state, component);
	d = fx_doc(&p, tables->tablet, (struct docid){ TABLE_NO_TABLES, tablet }, 1);
	pack_clear(&p);
	return d;
}

static struct doc *
index_doc(const struct catalog *c, struct uid id, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged)
{
	const struct table_info *index = catalog_table(c, root, S("_index"));
	struct pack              p;
	struct doc              *d;

	pack_init(&p);
	pack_object(&p);
	catalog_pack_index(&p, tablet, def, state, staged, 5);
	d = fx_doc(&p, index->tablet, (struct docid){ TABLE_NO_INDEX, id }, 1);
	pack_clear(&p);
	return d;
}

/* A table is found by name and number while it is active, by tablet always; its number stays
 * occupied until its row is gone (03 checklist 12). */
TEST(tables_come_change_and_go)
{
	struct fixture   f;
	struct snapshot *s;
	struct catalog  *c;
	struct uid       id = { { 1 } }, component = { { 9 } };
	struct doc      *active, *hidden, *other;

	fx_open(&f, 1);
	s = db_snapshot(f.db);
	c = catalog_copy(snapshot_catalog(s));
	active = table_doc(c, id, S("t"), 10002, TABLE_ACTIVE, root);
	hidden = table_doc(c, id, S("t"), 10002, TABLE_HIDDEN, root);
	other = table_doc(c, (struct uid){ { 2 } }, S("t"), 10001, TABLE_ACTIVE, component);
	CHECK_EQ(catalog_apply(c, NULL, active, NULL), ST_OK);
	CHECK_EQ(catalog_apply(c, NULL, other, NULL), ST_OK);
	CHECK(catalog_table(c, root, S("t")) == catalog_tablet(c, id));
	CHECK_EQ(catalog_table(c, component, S("t"))->number, 10001);
	CHECK_EQ(catalog_next_table_number(c, component), 10002);
	CHECK_EQ(catalog_next_table_number(c, root), 10003);
	CHECK_EQ(catalog_count_user_tables(c), 3);
	CHECK_EQ(catalog_apply(c, active, hidden, NULL), ST_OK);
	CHECK(catalog_table(c, root, S("t")) == NULL);
	CHECK(catalog_table_numbered(c, root, 10002) == NULL);
	CHECK_EQ(catalog_tablet(c, id)->state, TABLE_HIDDEN);
	CHECK_EQ(catalog_next_table_number(c, root), 10003);
	CHECK_EQ(catalog_apply(c, hidden, NULL, NULL), ST_OK);
	CHECK(catalog_tablet(c, id) == NULL);
	CHECK_EQ(catalog_next_table_number(c, root), 10002);
	doc_unref(active);
	doc_unref(hidden);
	doc_unref(other);
	catalog_unref(c);
	snapshot_unref(s);
	fx_close(&f);
}

/* Of two definitions with one name the enabled one answers; a state change keeps the index's
 * tree, another definition gets a new one; untouched tables are the same pointer. */
TEST(indexes_come_change_and_go)
{
	static str              fields[] = { { "a", 1 }, { "b", 1 } };
	const struct index_def  one = { .name = S("ix"), .nfields = 1, .fields = fields };
	const struct index_def  two = { .name = S("ix"), .nfields = 2, .fields = fields };
	struct uid              id1 = { { 1 } }, id2 = { { 2 } };
	struct fixture          f;
	struct snapshot        *s;
	struct catalog         *c;
	struct doc             *d[4];
	const struct table_info *before;
	uint32_t                no;

	fx_open(&f, 1);
	s = db_snapshot(f.db);
	c = catalog_copy(snapshot_catalog(s));
	d[0] = index_doc(c, id1, f.tablet, &one, INDEX_BACKFILLING, true);
	d[1] = index_doc(c, id1, f.tablet, &one, INDEX_BACKFILLED, false);
	d[2] = index_doc(c, id1, f.tablet, &one, INDEX_ENABLED, false);
	d[3] = index_doc(c, id2, f.tablet, &two, INDEX_BACKFILLING, false);
	before = catalog_tablet(c, f.tablet);
	CHECK_EQ(catalog_apply(c, NULL, d[0], NULL), ST_OK);
	CHECK(catalog_tablet(c, f.tablet) != before);
	CHECK_EQ(before->nindexes, 3); /* old pointers stay readable */
	CHECK(table_index(catalog_tablet(c, f.tablet), S("ix"))->staged);
	no = table_index(catalog_tablet(c, f.tablet), S("ix"))->no;
	CHECK_EQ(catalog_apply(c, d[0], d[1], NULL), ST_OK);
	CHECK(!table_index(catalog_tablet(c, f.tablet), S("ix"))->staged);
	CHECK_EQ(catalog_apply(c, d[1], d[2], NULL), ST_OK);
	CHECK_EQ(catalog_apply(c, NULL, d[3], NULL), ST_OK);
	before = catalog_tablet(c, f.tablet);
	CHECK_EQ(table_index(before, S("ix"))->state, INDEX_ENABLED);
	CHECK_EQ(table_index(before, S("ix"))->no, no);
	CHECK_EQ(table_index_in(before, S("ix"), false)->def.nfields, 2);
	CHECK(table_index_in(before, S("ix"), false)->no != no);
	CHECK_EQ(catalog_apply(c, d[2], NULL, NULL), ST_OK);
	CHECK_EQ(table_index(catalog_tablet(c, f.tablet), S("ix"))->def.nfields, 2);
	CHECK(catalog_table(c, root, S("_db")) ==
	    catalog_table(snapshot_catalog(s), root, S("_db")));
	for (size_t i = 0; i < COUNT_OF(d); i++)
		doc_unref(d[i]);
	catalog_unref(c);
	snapshot_unref(s);
	fx_close(&f);
}

/* Search and vector indexes survive the way through their documents. */
TEST(other_kinds_of_indexes_round_trip)
{
	static str             filters[] = { { "x", 1 }, { "y", 1 } };
	const struct index_def defs[] = {
		{ .name = S("s"), .kind = INDEX_SEARCH, .field = S("body"), .nfilters = 2,
		    .filters = filters },
		{ .name = S("v"), .kind = INDEX_VECTOR, .field = S("emb"), .dimensions = 1536 },
	};
	struct fixture   f;
	struct snapshot *s;

	fx_open(&f, 1);
	s = db_snapshot(f.db);
	for (size_t i = 0; i < COUNT_OF(defs); i++) {
		for (int state = INDEX_BACKFILLING; state <= INDEX_ENABLED; state++) {
			struct catalog          *c = catalog_copy(snapshot_catalog(s));
			const struct index_info *ix;
			struct doc              *d;

			d = index_doc(c, (struct uid){ { 1 } }, f.tablet, &defs[i],
			    (enum index_state)state, state == INDEX_BACKFILLED);
			CHECK_EQ(catalog_apply(c, NULL, d, NULL), ST_OK);
			ix = table_index(catalog_tablet(c, f.tablet), defs[i].name);
			CHECK(index_def_equal(&ix->def, &defs[i]));
			CHECK_EQ(ix->state, state);
			CHECK_EQ(ix->staged, state == INDEX_BACKFILLED);
			doc_unref(d);
			catalog_unref(c);
		}
	}
	snapshot_unref(s);
	fx_close(&f);
}

/* Ids are named for v.id(): virtual names for 539 and 540, nothing for unknown components. */
TEST(tables_are_named_by_number)
{
	const struct {
		uint32_t        number;
		enum table_kind kind;
		const char     *name;
	} rows[] = {
		{ 10001, TABLE_USER, "things" },
		{ 539, TABLE_SYSTEM, "_scheduled_functions" },
		{ 540, TABLE_SYSTEM, "_storage" },
		{ 521, TABLE_SYSTEM, "_modules" },
		{ 12345, TABLE_UNKNOWN, "" },
	};
	struct uid       stranger = { { 7 } };
	struct fixture   f;
	struct snapshot *s;

	fx_open(&f, 1);
	s = db_snapshot(f.db);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct table_names n = catalog_table_names(snapshot_catalog(s), &root);
		str                name = STR_EMPTY;

		CHECK_EQ(n.by_number(n.arg, rows[i].number, &name), rows[i].kind);
		CHECK_STRZ(name, rows[i].name);
		n = catalog_table_names(snapshot_catalog(s), &stranger);
		CHECK_EQ(n.by_number(n.arg, rows[i].number, &name), TABLE_UNKNOWN);
	}
	snapshot_unref(s);
	fx_close(&f);
}

/* --- whole rows of the catalogue --- */

/* Removes the row of _index that defines this index. */
static void
drop_index(struct fx_commit *c, const struct table_info *t, str name)
{
	struct catalog          *now = snapshot_catalog(c->base);
	const struct table_info *index = catalog_table(now, root, S("_index"));
	const struct index_info *ix = table_index(t, name);
	struct doc              *row;
	struct buf               key;

	row = index_doc(now, ix->id, t->tablet, &ix->def, INDEX_ENABLED, false);
	buf_init(&key, BUF_MAX_DEFAULT);
	index_key(&key, index->by_id, doc_val(row));
	doc_unref(row);
	CHECK_EQ(snapshot_get(c->base, index, index->by_id, buf_str(&key), &row, NULL), ST_OK);
	buf_clear(&key);
	CHECK(row != NULL);
	if (!c->catalog)
		c->catalog = catalog_copy(now);
	CHECK_EQ(catalog_apply(c->catalog, row, NULL, NULL), ST_OK);
	fx_write_take(c, index, row, NULL);
}

/* A dropped index leaves the tree bit by bit, behind the batches that are written. */
TEST(dropped_indexes_leave_the_tree)
{
	struct fixture   f;
	struct fx_commit c;
	size_t           before;
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &c);
	for (uint32_t i = 0; i < 200; i++)
		fx_set(&c, i, i);
	CHECK_EQ(fx_end(&f, &c, S("t"), &ts, NULL), ST_OK);
	fx_flush(&f);
	before = tree_count(f.db->tree);
	fx_begin(&f, &c);
	drop_index(&c, fx_things(c.base), S("by_n"));
	CHECK_EQ(fx_end(&f, &c, S("ddl"), &ts, NULL), ST_OK);
	for (uint32_t i = 0; i < 20; i++) {
		fx_begin(&f, &c);
		fx_set(&c, i, 1);
		CHECK_EQ(fx_end(&f, &c, S("t"), &ts, NULL), ST_OK);
		fx_flush(&f);
	}
	/* 200 rows and the index's mark, and the row of _index. */
	CHECK_EQ(tree_count(f.db->tree), before - 200 - 1 - 1);
	fx_close(&f);
}

/* A store made by a program that did not know an index of a system table gets it at the next
 * start, with all rows. */
TEST(missing_system_indexes_are_built_at_start)
{
	struct fixture           f;
	struct fx_commit         c;
	struct snapshot         *s;
	const struct table_info *tables;
	ts_t                     ts;

	fx_open(&f, 1);
	fx_begin(&f, &c);
	drop_index(&c, catalog_table(snapshot_catalog(c.base), root, S("_tables")),
	    S("by_name"));
	CHECK_EQ(fx_end(&f, &c, S("old program"), &ts, NULL), ST_OK);
	fx_flush(&f);
	db_close(f.db);
	fx_start(&f);
	s = db_snapshot(f.db);
	tables = catalog_table(snapshot_catalog(s), root, S("_tables"));
	CHECK(table_index(tables, S("by_name")) != NULL);
	CHECK_EQ(table_index(tables, S("by_name"))->state, INDEX_ENABLED);
	snapshot_unref(s);
	CHECK_EQ(count_rows(f.db, S("_tables"), S("by_name")), system_table_count + 1);
	CHECK_EQ(count_stored(&f, S("_tables"), S("by_name")), system_table_count + 1);
	fx_close(&f);
}

TEST_RUN(T(first_start_makes_the_system_tables), T(system_table_numbers_are_distinct),
    T(a_restart_reads_the_same_catalogue), T(tables_come_change_and_go),
    T(indexes_come_change_and_go), T(other_kinds_of_indexes_round_trip),
    T(tables_are_named_by_number), T(dropped_indexes_leave_the_tree),
    T(missing_system_indexes_are_built_at_start))
