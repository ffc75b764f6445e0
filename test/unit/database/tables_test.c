/* tables_test.c - how tables come and go (spec 03 section 3.5): created by name up to the limit,
 * deleted and erased, filled while hidden and swapped in; and what retention cleans besides.
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "db_fixture.h"

#include <time.h>

#include "database/db_int.h"
#include "database/ddl_int.h"
#include "database/import.h"
#include "database/retention.h"

#define ROOT   ((struct uid){ { 0 } })
#define SECOND RETENTION_SECOND
#define DAY    (86400 * SECOND)
#define SCAN(table)                                                                                \
	"{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"" table                           \
	"\",\"order\":null},\"operators\":[]}"
#define BY_N(table)                                                                                \
	"{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"" table                              \
	".by_n\",\"range\":[],\"order\":null},\"operators\":[]}"

static struct txn *
system_txn(struct fix *f)
{
	return fix_begin_as(f, true, true, ROOT);
}

static str
insert(struct fix *f, const char *table, const char *json)
{
	struct txn *t = fix_begin(f);
	str         id = fix_insert(f, t, table, json);

	CHECK_EQ(fix_end(f, t), ST_OK);
	return id;
}

static void
delete_table(struct fix *f, const char *name)
{
	struct txn *t = system_txn(f);

	CHECK_EQ(ddl_delete_table(t, str_z(name), &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
}

/* --- many --- */

/* 03 checklist 12: numbers go on from 10001; a deleted table keeps its own while its row
 * exists. */
TEST(numbers_go_on)
{
	struct fix   f;
	struct docid a, b, c;

	fix_open(&f);
	CHECK_EQ(id_parse(insert(&f, "a", "{}"), &a, NULL), ST_OK);
	CHECK_EQ(id_parse(insert(&f, "b", "{}"), &b, NULL), ST_OK);
	CHECK_EQ(a.table, 10001);
	CHECK_EQ(b.table, 10002);
	delete_table(&f, "a");
	CHECK_EQ(id_parse(insert(&f, "a", "{}"), &c, NULL), ST_OK);
	CHECK_EQ(c.table, 10003);
	fix_close(&f);
}

/* There may be 10,000 tables, and the last one is made about as fast as the first. */
TEST(ten_thousand_tables)
{
	struct fix               f;
	const struct table_info *info;
	struct txn              *t;
	struct timespec          begin, end;
	double                   ms;

	fix_open(&f);
	for (int i = 0; i < 9990; i += 90) {
		t = system_txn(&f);
		for (int k = 0; k < 90; k++)
			CHECK_EQ(ddl_ensure_table(t, arena_fmt(f.arena, "t%d", i + k), 0, &info,
				     &f.err),
			    ST_OK);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		fix_pump(&f);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 9990; i < 10000; i++) {
		t = fix_begin(&f);
		fix_insert(&f, t, arena_fmt(f.arena, "t%d", i).p, "{}");
		CHECK_EQ(fix_end(&f, t), ST_OK);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	ms =
	    (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
	print_message("creating a table among 10,000: %.2f ms\n", ms / 10);
	CHECK(ms / 10 < 50); /* sanitizers and a busy machine allowed for */

	t = fix_begin(&f);
	{
		struct docid id;

		CHECK_FAILS(&f, txn_insert(t, S("one_more"), fix_val(&f, "{}"), &id, &f.err),
		    "TooManyTables", "Number of tables cannot exceed 10000.");
	}
	txn_free(t);
	delete_table(&f, "t17");
	insert(&f, "one_more", "{}");
	t = fix_begin(&f);
	info = catalog_table(txn_catalog(t), ROOT, S("one_more"));
	CHECK_EQ(info->number, 20001); /* 10017's row is still there */
	CHECK_EQ(catalog_count_user_tables(txn_catalog(t)), 10000);
	txn_free(t);
	fix_close(&f);
}

/* --- deletion --- */

struct life {
	struct fix        f;
	struct retention *r;
};

static void
life_open(struct life *l)
{
	struct retention_opts o = { .index_ns = 10 * SECOND, .document_ns = DAY };

	fix_open(&l->f);
	CHECK_EQ(retention_open(l->f.db, &o, &l->r, NULL), ST_OK);
}

static void
life_close(struct life *l)
{
	retention_close(l->r);
	fix_close(&l->f);
}

/* Time passes, and a commit with it: bounds stay below the newest one. */
static void
pass(struct life *l, uint64_t ns)
{
	uint64_t wait;

	l->f.now += ns;
	insert(&l->f, "clock", "{}");
	fix_pump(&l->f);
	for (int i = 0; i < 60; i++) {
		l->f.now += SECOND / 2;
		CHECK_EQ(retention_step(l->r, &wait, &l->f.err), ST_OK);
		fix_pump(&l->f);
	}
}

static bool
count_row(void *arg, const struct store_log_row *row)
{
	struct {
		struct uid tablet;
		size_t     n;
	} *c = arg;

	c->n += uid_eq(row->tablet, c->tablet);
	doc_unref(row->doc);
	return true;
}

static size_t
log_rows(struct fix *f, struct uid tablet)
{
	struct store *s = &f->db->store;
	struct {
		struct uid tablet;
		size_t     n;
	} c = { tablet, 0 };

	CHECK_EQ(s->v->log(s->self, 0, TS_MAX, 1u << 20, count_row, &c, NULL), ST_OK);
	return c.n;
}

static size_t
index_rows(struct fix *f, const struct table_info *t, struct uid index)
{
	struct store_scan q = { .index = index,
		.tablet = t->tablet,
		.table_number = t->number,
		.at = TS_MAX,
		.limit = 1u << 20 };
	struct store_rows rows;
	size_t            n;

	store_rows_init(&rows);
	CHECK_EQ(store_scan(&f->db->store, &q, &rows, NULL), ST_OK);
	n = rows.rows.n;
	store_rows_clear(&rows);
	return n;
}

static const struct table_info *
table(struct fix *f, struct snapshot *s, const char *name)
{
	const struct table_info *t = catalog_table(snapshot_catalog(s), ROOT, str_z(name));

	(void)f;
	CHECK(t != NULL);
	return t;
}

/* 03 checklist 49: a deleted table is gone at once; its rows are there for readers of the past
 * until the window of documents has passed, then they are erased, and the number is free. */
TEST(deleted_tables_are_erased)
{
	struct life              l;
	struct snapshot         *old;
	const struct table_info *t;
	struct uid               tablet, by_id;
	struct txn              *txn;
	struct doc              *d;
	uint32_t                 number;
	str                      id;

	life_open(&l);
	for (int i = 0; i < 5; i++)
		id = insert(&l.f, "gone", "{\"n\":1}");
	fix_pump(&l.f);
	old = db_snapshot(l.f.db);
	t = table(&l.f, old, "gone");
	tablet = t->tablet;
	by_id = t->by_id->id;
	number = t->number;
	delete_table(&l.f, "gone");
	fix_pump(&l.f);
	txn = fix_begin(&l.f);
	CHECK_QUERY(&l.f, txn, SCAN("gone"), "n", "");
	CHECK_EQ(txn_get(txn, STR_EMPTY, id, false, &d, &l.f.err), ST_OK);
	CHECK(!d);
	txn_free(txn);
	CHECK_EQ(log_rows(&l.f, tablet), 5);

	pass(&l, 60 * SECOND); /* the window of indexes is over, but somebody still reads */
	CHECK_EQ(index_rows(&l.f, t, by_id), 5);
	snapshot_unref(old);
	pass(&l, 60 * SECOND);
	{
		struct table_info same = { .tablet = tablet, .number = number };

		CHECK_EQ(index_rows(&l.f, &same, by_id), 0);
	}
	CHECK_EQ(log_rows(&l.f, tablet), 5);
	old = db_snapshot(l.f.db);
	CHECK(catalog_tablet(snapshot_catalog(old), tablet) != NULL);
	snapshot_unref(old);

	pass(&l, 2 * DAY);
	pass(&l, 3600 * SECOND);
	CHECK_EQ(log_rows(&l.f, tablet), 0);
	old = db_snapshot(l.f.db);
	CHECK(catalog_tablet(snapshot_catalog(old), tablet) == NULL);
	snapshot_unref(old);
	insert(&l.f, "next", "{}");
	old = db_snapshot(l.f.db);
	CHECK_EQ(table(&l.f, old, "next")->number, number);
	snapshot_unref(old);
	life_close(&l);
}

/* --- imports --- */

#define SCHEMA                                                                                     \
	"{\"tables\":[{\"tableName\":\"t\",\"indexes\":[{\"indexDescriptor\":\"by_n\",\"fields\":" \
	"["                                                                                        \
	"\"n\"]}],\"documentType\":null}],\"schemaValidation\":false}"

static struct uid
begin_import(struct fix *f, const char *name, uint32_t number)
{
	struct txn *t = system_txn(f);
	struct uid  tablet;

	CHECK_EQ(import_begin(t, str_z(name), number, &tablet, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
	return tablet;
}

static str
import(struct fix *f, struct uid tablet, str json)
{
	struct txn  *t;
	struct docid id;
	char         text[ID_TEXT_MAX];

	fix_pump(f);
	t = system_txn(f);
	CHECK_EQ(import_insert(t, tablet, fix_val(f, json.p), &id, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
	return arena_str(f->arena, str_of(text, id_format(id, text)));
}

static status
activate(struct fix *f, struct uid tablet)
{
	struct txn *t = system_txn(f);
	status      st = import_activate(t, tablet, &f->err);

	if (st == ST_OK)
		return fix_end(f, t);
	txn_free(t);
	return st;
}

/* The content of a table is replaced at once: who reads sees the old one or the new one, ids
 * and creation times are those that were given, and the indexes go on. */
TEST(imports_replace_tables)
{
	struct fix  f;
	struct uid  tablet;
	struct txn *before, *t;
	struct doc *d;
	str         id, fresh;

	fix_open(&f);
	id = insert(&f, "t", "{\"n\":1}");
	fix_push(&f, SCHEMA);
	for (int again = 0; again < 2; again++) { /* also over what an import brought */
		fix_pump(&f);
		before = fix_begin_query(&f);
		tablet = begin_import(&f, "t", 10001);
		import(&f, tablet,
		    arena_fmt(f.arena,
			"{\"_id\":\"%.*s\",\"_creationTime\":5.5,"
			"\"n\":9}",
			STR_ARG(id)));
		fresh = import(&f, tablet, S("{\"n\":8}"));
		t = fix_begin_query(&f);
		CHECK_QUERY(&f, t, BY_N("t"), "n", again ? "8.0 9.0" : "1.0");
		txn_free(t);
		CHECK_EQ(activate(&f, tablet), ST_OK);
		CHECK_QUERY(&f, before, BY_N("t"), "n", again ? "8.0 9.0" : "1.0");
		txn_free(before);
		t = fix_begin_query(&f);
		CHECK_QUERY(&f, t, BY_N("t"), "n", "8.0 9.0");
		CHECK_EQ(txn_get(t, S("t"), id, false, &d, &f.err), ST_OK);
		CHECK(d && d->creation_time == 5.5);
		CHECK(val_float64(val_get(doc_val(d), S("n"))) == 9);
		CHECK_EQ(txn_get(t, S("t"), fresh, false, &d, &f.err), ST_OK);
		CHECK(d != NULL);
		txn_free(t);
	}
	fix_close(&f);
}

/* A number that ids bring along may be another table's: the texts of section 3.5. */
TEST(imported_numbers_conflict)
{
	static const struct {
		const char *why, *table;
		uint32_t    number;
		const char *text; /* NULL: fine */
	} rows[] = {
		{ "its own", "t", 10001, NULL },
		{ "free", "fresh", 10050, NULL },
		{ "of a system table", "t", 513,
		    "New table `t` has IDs that conflict with existing system table" },
		{ "of another table", "t", 10002,
		    "New table `t` has IDs that conflict with existing table `u`. To delete all "
		    "existing tables, import with `npx convex import --replace-all`." },
		{ "of a table being deleted", "t", 10003,
		    "New table `t` has IDs that conflict with existing internal table. Consider "
		    "importing this table without `_id` fields or import into a new deployment." },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fix f;
		struct uid tablet;

		print_message("  %s\n", rows[i].why);
		fix_open(&f);
		insert(&f, "t", "{}");
		insert(&f, "u", "{}");
		insert(&f, "v", "{}");
		delete_table(&f, "v");
		tablet = begin_import(&f, rows[i].table, rows[i].number);
		if (rows[i].text)
			CHECK_FAILS(&f, activate(&f, tablet), "TableConflict", rows[i].text);
		else
			CHECK_EQ(activate(&f, tablet), ST_OK);
		fix_close(&f);
	}
}

/* Imports that are late: another push changed the indexes, or the table was given up. */
TEST(imports_meet_changes)
{
	struct fix  f;
	struct uid  tablet;
	struct txn *t;

	fix_open(&f);
	insert(&f, "t", "{\"n\":1}");
	tablet = begin_import(&f, "t", 0);
	fix_push(&f, SCHEMA);
	CHECK_EQ(activate(&f, tablet), ST_CONFLICT);
	CHECK_STRZ(f.err.code, "ImportIndexesChanged");
	t = system_txn(&f);
	CHECK_EQ(import_abandon(t, tablet, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	CHECK_EQ(activate(&f, tablet), ST_CONFLICT);
	CHECK_STRZ(f.err.code, "ImportedTableGone");
	fix_close(&f);
}

/* Sections 2.5 and 3.5: what a document may bring along. */
TEST(imported_documents_are_checked)
{
	struct fix   f;
	struct uid   tablet;
	struct txn  *t;
	struct docid id;
	struct doc  *d;
	str          mine, other;

	fix_open(&f);
	mine = insert(&f, "t", "{}");
	other = insert(&f, "u", "{}");
	fix_pump(&f);
	t = system_txn(&f);
	tablet = catalog_table(txn_catalog(t), ROOT, S("t"))->tablet;
#define REFUSED(json, code, text)                                                                  \
	CHECK_FAILS(&f, import_insert(t, tablet, fix_val(&f, (json).p), &id, &f.err), code, text)
	REFUSED(S("{\"_id\":1}"), "InvalidDocumentError",
	    "Document(value: {_id: 1.0}) isn't a valid document: The '_id' field 1.0 must be an "
	    "Id");
	REFUSED(S("{\"_creationTime\":\"x\"}"), "InvalidDocumentError",
	    "Document(value: {_creationTime: \"x\"}) isn't a valid document: The '_creationTime' "
	    "field should be a float, is \"x\"");
	REFUSED(S("{\"_creationTime\":-1}"), "InvalidDocumentError",
	    "Document(value: {_creationTime: -1.0}) isn't a valid document: The '_creationTime' "
	    "field should be a timestamp in milliseconds, is -1.0");
	REFUSED(arena_fmt(f.arena, "{\"_id\":\"%.*s\"}", STR_ARG(other)), "InvalidDocumentError",
	    arena_fmt(f.arena,
		"Document(value: {_id: \"%.*s\"}) isn't a valid document: The document belongs to "
		"a different table than its '_id' field",
		STR_ARG(other))
		.p);
	REFUSED(arena_fmt(f.arena, "{\"_id\":\"%.*s\"}", STR_ARG(mine)), "DocumentExists",
	    arena_fmt(f.arena,
		"Cannot create document with _id %.*s that already exists. Try to update it with "
		"`db.patch` or `db.replace`.",
		STR_ARG(mine))
		.p);
	txn_free(t);

	t = fix_begin(&f);
	CHECK_EQ(txn_delete(t, STR_EMPTY, mine, &d, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	for (int written = 0; written < 2; written++) {
		t = system_txn(&f);
		CHECK_EQ(import_insert(t, tablet,
			     fix_val(&f, arena_fmt(f.arena, "{\"_id\":\"%.*s\"}", STR_ARG(mine)).p),
			     &id, &f.err),
		    ST_OK);
		if (written) {
			CHECK_FAILS(&f, fix_end(&f, t), "DocumentDeleted",
			    arena_fmt(f.arena,
				"Cannot recreate document with _id %.*s that was deleted. Try to "
				"insert it without an _id or insert into another table.",
				STR_ARG(mine))
				.p);
		} else {
			CHECK_EQ(fix_end(&f, t), ST_OCC); /* the store has not heard of it yet */
		}
		fix_pump(&f);
	}
	fix_close(&f);
}

/* 03 checklist 49: an id that was deleted stays unusable while its revisions are retained, and
 * no longer. */
TEST(deleted_ids_come_back_after_retention)
{
	struct life              l;
	const struct table_info *info;
	struct txn              *t;
	struct docid             id;
	struct doc              *d;
	str                      text;

	life_open(&l);
	text = insert(&l.f, "t", "{}");
	t = fix_begin(&l.f);
	CHECK_EQ(txn_delete(t, STR_EMPTY, text, &d, &l.f.err), ST_OK);
	CHECK_EQ(fix_end(&l.f, t), ST_OK);
	for (int over = 0; over < 2; over++) {
		pass(&l, over ? 2 * DAY : 3600 * SECOND);
		t = system_txn(&l.f);
		info = catalog_table(txn_catalog(t), ROOT, S("t"));
		CHECK_EQ(import_insert(t, info->tablet,
			     fix_val(&l.f,
				 arena_fmt(l.f.arena, "{\"_id\":\"%.*s\"}", STR_ARG(text)).p),
			     &id, &l.f.err),
		    ST_OK);
		CHECK_EQ(fix_end(&l.f, t), over ? ST_OK : ST_BAD_REQUEST);
	}
	t = fix_begin_query(&l.f);
	CHECK_EQ(txn_get(t, S("t"), text, false, &d, &l.f.err), ST_OK);
	CHECK(d != NULL);
	txn_free(t);
	life_close(&l);
}

/* --- what else is cleaned --- */

static size_t
count_docs(struct fix *f, const char *name)
{
	struct txn *t = system_txn(f);
	double      n;

	CHECK_EQ(txn_count(t, str_z(name), &n, &f->err), ST_OK);
	txn_free(t);
	return (size_t)n;
}

static bool
keep_none(void *arg, struct doc *d)
{
	(void)d;
	++*(size_t *)arg;
	return true;
}

static size_t
count_system(struct fix *f, str name)
{
	struct txn *t = system_txn(f);
	size_t      n = 0;

	CHECK_EQ(txn_sys_each(t, name, S("by_id"), NULL, 0, keep_none, &n, &f->err), ST_OK);
	txn_free(t);
	return n;
}

/* Section 3.5: an import that nobody finished is deleted after 14 days, remembered requests
 * are forgotten then, and progress rows of backfills that are over go at once. */
TEST(leftovers_are_cleaned)
{
	struct life  l;
	struct uid   tablet;
	struct txn  *t;
	struct docid id;

	life_open(&l);
	insert(&l.f, "t", "{}");
	tablet = begin_import(&l.f, "t", 0);
	t = system_txn(&l.f);
	for (int i = 0; i < 300; i++)
		CHECK_EQ(txn_sys_insert(t, S("_session_requests"),
			     fix_val(&l.f, "{\"sessionId\":\"s\",\"requestId\":1}"), &id, &l.f.err),
		    ST_OK);
	CHECK_EQ(txn_sys_insert(t, S("_index_backfills"), fix_val(&l.f, "{\"indexId\":\"x\"}"), &id,
		     &l.f.err),
	    ST_OK);
	CHECK_EQ(fix_end(&l.f, t), ST_OK);
	pass(&l, 13 * DAY);
	CHECK_EQ(count_system(&l.f, S("_session_requests")), 300);
	CHECK_EQ(count_system(&l.f, S("_index_backfills")), 0);
	t = system_txn(&l.f);
	CHECK_EQ(catalog_tablet(txn_catalog(t), tablet)->state, TABLE_HIDDEN);
	CHECK_EQ(txn_sys_insert(t, S("_session_requests"),
		     fix_val(&l.f, "{\"sessionId\":\"s\",\"requestId\":2}"), &id, &l.f.err),
	    ST_OK);
	CHECK_EQ(fix_end(&l.f, t), ST_OK);
	pass(&l, 1 * DAY + 3600 * SECOND);
	pass(&l, 3600 * SECOND);
	CHECK_EQ(count_system(&l.f, S("_session_requests")), 1);
	t = system_txn(&l.f);
	CHECK_EQ(catalog_tablet(txn_catalog(t), tablet)->state, TABLE_DELETING);
	txn_free(t);
	CHECK_EQ(count_docs(&l.f, "t"), 1);
	life_close(&l);
}

TEST_RUN(T(numbers_go_on), T(ten_thousand_tables), T(deleted_tables_are_erased),
    T(imports_replace_tables), T(imported_numbers_conflict), T(imports_meet_changes),
    T(imported_documents_are_checked), T(deleted_ids_come_back_after_retention),
    T(leftovers_are_cleaned))
