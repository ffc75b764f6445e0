/* txn_test.c - the syscalls of a transaction: what they do, whom they refuse, in which words.
 */
#include "db_fixture.h"

#include "database/db_int.h"

#define SCAN "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"notes\",\"order\":null}," \
	"\"operators\":[]}"

static void
check_doc(struct fix *f, const struct doc *d, const char *want_without_system_fields)
{
	struct val want = fix_val(f, want_without_system_fields);
	size_t     n = val_count(want);

	CHECK(d != NULL);
	CHECK_EQ(val_count(doc_val(d)), n + 2);
	for (size_t i = 0; i < n; i++) {
		str        name;
		struct val v = val_field_at(want, i, &name);

		CHECK(val_eq(val_get(doc_val(d), name), v));
	}
}

/* 03 checklist 15: an insertion into a missing table creates it; a query of a missing table is
 * empty; an index of a missing table is not found. */
TEST(first_insert_creates_the_table)
{
	struct fix  f;
	struct txn *t;
	str         got;

	fix_open(&f);
	t = fix_begin(&f);
	CHECK_QUERY(&f, t, SCAN, "n", "");
	CHECK_FAILS(&f,
	    fix_query(&f, t,
		"{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"notes.by_n\",\"range\":[],"
		"\"order\":null},\"operators\":[]}",
		"n", &got),
	    "IndexNotFoundError", "Index notes.by_n not found.");
	fix_insert(&f, t, "notes", "{\"n\":1}");
	fix_insert(&f, t, "notes", "{\"n\":2}");
	CHECK_QUERY(&f, t, SCAN, "n", "1.0 2.0");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_query(&f);
	CHECK_QUERY(&f, t, SCAN, "n", "1.0 2.0");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	fix_close(&f);
}

/* 03 checklist 12: the first user table is number 10001, later ones count up, and a deleted
 * table keeps its number while its row exists. */
TEST(table_numbers_count_up_and_are_not_reused)
{
	struct fix               f;
	struct txn              *t;
	const struct table_info *info;

	fix_open(&f);
	t = fix_begin(&f);
	CHECK_EQ(ddl_ensure_table(t, S("a"), 0, &info, &f.err), ST_OK);
	CHECK_EQ(info->number, 10001);
	CHECK_EQ(ddl_ensure_table(t, S("b"), 0, &info, &f.err), ST_OK);
	CHECK_EQ(info->number, 10002);
	CHECK_EQ(ddl_ensure_table(t, S("a"), 0, &info, &f.err), ST_OK);
	CHECK_EQ(info->number, 10001);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(ddl_delete_table(t, S("b"), &f.err), ST_OK);
	CHECK(!catalog_table(txn_catalog(t), (struct uid){ { 0 } }, S("b")));
	CHECK_EQ(ddl_ensure_table(t, S("b"), 0, &info, &f.err), ST_OK);
	CHECK_EQ(info->number, 10003);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(ddl_delete_table(t, S("b"), &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(ddl_ensure_table(t, S("c"), 0, &info, &f.err), ST_OK);
	CHECK_EQ(info->number, 10004);
	CHECK_FAILS(&f, ddl_delete_table(t, S("b"), &f.err), "TableDoesNotExist",
	    "Table 'b' not found");
	CHECK_FAILS(&f, ddl_ensure_table(t, S("x y"), 0, &info, &f.err), "InvalidTableName",
	    "Invalid table name: \"x y\". Identifiers must start with a letter and can only "
	    "contain letters, digits, and underscores.");
	CHECK_FAILS(&f, ddl_ensure_table(t, S("d"), 10001, &info, &f.err), "TableConflict",
	    "New table `d` has IDs that conflict with existing table `a`. To delete all existing "
	    "tables, import with `npx convex import --replace-all`.");
	CHECK_FAILS(&f, ddl_ensure_table(t, S("d"), 540, &info, &f.err), "TableConflict",
	    "New table `d` has IDs that conflict with existing system table");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 13: creation times strictly increase inside a mutation and from one mutation to
 * the next; they are the doubles right behind each other. */
TEST(creation_times_increase)
{
	struct fix  f;
	struct txn *t;
	double      last = 0;

	fix_open(&f);
	for (int round = 0; round < 3; round++) {
		str         ids[4];
		struct doc *d;

		t = fix_begin(&f);
		for (int i = 0; i < 4; i++)
			ids[i] = fix_insert(&f, t, "notes", "{}");
		for (int i = 0; i < 4; i++) {
			CHECK_EQ(txn_get(t, STR_EMPTY, ids[i], false, &d, &f.err), ST_OK);
			CHECK(d->creation_time > last);
			if (i)
				CHECK(d->creation_time - last < 0.001);
			last = d->creation_time;
			CHECK(val_float64(val_get(doc_val(d), S("_creationTime"))) == last);
		}
		CHECK_EQ(fix_end(&f, t), ST_OK);
	}
	fix_close(&f);
}

/* 03 checklist 11: ids that lead nowhere give null; a wrong explicit table and a malformed id
 * are errors. */
TEST(get_of_what_is_not_there)
{
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id, gone;

	fix_open(&f);
	t = fix_begin(&f);
	id = fix_insert(&f, t, "notes", "{\"n\":1}");
	gone = fix_insert(&f, t, "notes", "{\"n\":2}");
	fix_insert(&f, t, "tasks", "{}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	check_doc(&f, d, "{\"n\":1}");
	CHECK_EQ(txn_get(t, S("notes"), id, false, &d, &f.err), ST_OK);
	CHECK(d != NULL);
	CHECK_EQ(txn_get(t, STR_EMPTY, S("g2002001081g81860w40j2gb1g6gw3vs74"), false, &d, &f.err),
	    ST_OK);
	CHECK(d == NULL);
	CHECK_EQ(txn_delete(t, STR_EMPTY, gone, &d, &f.err), ST_OK);
	check_doc(&f, d, "{\"n\":2}");
	CHECK_EQ(txn_get(t, STR_EMPTY, gone, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_FAILS(&f, txn_get(t, S("tasks"), id, false, &d, &f.err), "InvalidArgument",
	    "Invalid argument `id` for `db.get`: expected to be an Id<\"tasks\">, got "
	    "Id<\"notes\"> instead.");
	CHECK_FAILS(&f, txn_get(t, STR_EMPTY, S("xyz"), false, &d, &f.err), "InvalidArgument",
	    "Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 3");
	CHECK_FAILS(&f, txn_get(t, STR_EMPTY, id, true, &d, &f.err), "SystemTableError",
	    "User tables cannot be accessed with db.system.");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, gone, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_FAILS(&f, txn_delete(t, STR_EMPTY, gone, &d, &f.err), "NonexistentDocument",
	    arena_z(f.arena, arena_fmt(f.arena, "Delete on nonexistent document ID %.*s",
			STR_ARG(gone))));
	CHECK_FAILS(&f, txn_patch(t, STR_EMPTY, gone, fix_val(&f, "{}"), &d, &f.err),
	    "NonexistentDocument",
	    arena_z(f.arena, arena_fmt(f.arena, "Update on nonexistent document ID %.*s",
			STR_ARG(gone))));
	CHECK_FAILS(&f, txn_replace(t, STR_EMPTY, gone, fix_val(&f, "{}"), &d, &f.err),
	    "NonexistentDocument",
	    arena_z(f.arena, arena_fmt(f.arena, "Replace on nonexistent document ID %.*s",
			STR_ARG(gone))));
	CHECK_FAILS(&f,
	    txn_patch(t, STR_EMPTY, S("g2002001081g81860w40j2gb1g6gw3vs74"), fix_val(&f, "{}"),
		&d, &f.err),
	    "InvalidArgument",
	    "Invalid argument `id` for `db.patch`: Table for ID "
	    "\"g2002001081g81860w40j2gb1g6gw3vs74\" not found");
	txn_free(t);
	fix_close(&f);
}

/* A patch merges top-level members, replaces nested ones whole and removes what is undefined;
 * a replace leaves only what it brings.  What a transaction wrote it reads. */
TEST(patch_and_replace)
{
	static const struct {
		const char *why, *before, *patch, *after;
	} rows[] = {
		{ "adds", "{\"b\":1}", "{\"a\":2,\"c\":3}", "{\"a\":2,\"b\":1,\"c\":3}" },
		{ "overwrites", "{\"a\":1,\"b\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
		{ "removes", "{\"a\":1,\"b\":1}", "{\"a\":{\"$undefined\":null}}", "{\"b\":1}" },
		{ "removes nothing", "{\"a\":1}", "{\"z\":{\"$undefined\":null}}", "{\"a\":1}" },
		{ "nested whole", "{\"o\":{\"x\":1,\"y\":2}}", "{\"o\":{\"z\":3}}",
		    "{\"o\":{\"z\":3}}" },
		{ "upper case sorts before _", "{\"A\":1}", "{\"B\":2}", "{\"A\":1,\"B\":2}" },
		{ "nothing", "{\"a\":1}", "{}", "{\"a\":1}" },
	};
	struct fix  f;
	struct txn *t;
	struct doc *d;

	fix_open(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		str id;

		print_message("  %s\n", rows[i].why);
		t = fix_begin(&f);
		id = fix_insert(&f, t, "notes", rows[i].before);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		t = fix_begin(&f);
		CHECK_EQ(txn_patch(t, STR_EMPTY, id, fix_val(&f, rows[i].patch), &d, &f.err),
		    ST_OK);
		check_doc(&f, d, rows[i].after);
		CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
		check_doc(&f, d, rows[i].after);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		t = fix_begin(&f);
		CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
		check_doc(&f, d, rows[i].after);
		CHECK_EQ(txn_replace(t, STR_EMPTY, id, fix_val(&f, "{\"r\":[1]}"), &d, &f.err),
		    ST_OK);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		t = fix_begin(&f);
		CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
		check_doc(&f, d, "{\"r\":[1]}");
		txn_free(t);
	}
	fix_close(&f);
}

/* A patch that changes nothing writes nothing. */
TEST(idle_patch_commits_nothing)
{
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id;

	fix_open(&f);
	t = fix_begin(&f);
	id = fix_insert(&f, t, "notes", "{\"a\":1}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(txn_patch(t, STR_EMPTY, id, fix_val(&f, "{\"a\":1}"), &d, &f.err), ST_OK);
	CHECK(!txn_has_writes(t));
	CHECK_EQ(txn_usage(t)->docs_written, 1);
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 14: a replace may repeat _id and _creationTime, nothing else. */
TEST(system_fields_may_only_be_repeated)
{
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id, other;
	const char *json;

	fix_open(&f);
	t = fix_begin(&f);
	id = fix_insert(&f, t, "notes", "{\"a\":1}");
	other = fix_insert(&f, t, "notes", "{\"a\":2}");
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK_EQ(txn_replace(t, STR_EMPTY, id, doc_val(d), &d, &f.err), ST_OK);
	check_doc(&f, d, "{\"a\":1}");
	json = arena_z(f.arena, arena_fmt(f.arena, "{\"_id\":\"%.*s\"}", STR_ARG(other)));
	CHECK_FAILS(&f, txn_replace(t, STR_EMPTY, id, fix_val(&f, json), &d, &f.err),
	    "InvalidIdError",
	    arena_z(f.arena, arena_fmt(f.arena,
			"Provided document ID \"%.*s\" doesn't match '_id' field \"%.*s\"",
			STR_ARG(id), STR_ARG(other))));
	assert_true(txn_replace(t, STR_EMPTY, id, fix_val(&f, "{\"_creationTime\":5}"), &d,
			&f.err) == ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "InvalidCreationTimeError");
	CHECK(str_ends(f.err.text,
	    S(" doesn't match '_creationTime' field in {_creationTime: 5.0}")));
	CHECK_FAILS(&f,
	    txn_replace(t, STR_EMPTY, id,
		fix_val(&f, "{\"_creationTime\":5,\"c\":{\"$commitTs\":null}}"), &d, &f.err),
	    "InvalidDocumentError", "Document's _creationTime field doesn't match");
	assert_true(txn_insert(t, S("notes"), fix_val(&f, json), &(struct docid){ 0 }, &f.err) ==
	    ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "InvalidIdError");
	txn_free(t);
	fix_close(&f);
}

/* What an application may not write, and where.  03 checklist 8: no top-level field may begin with
 * an underscore, nested ones may. */
TEST(refused_writes)
{
	static const struct {
		const char *table, *value, *code, *text;
	} rows[] = {
		{ "_x", "{}", "SystemTableError",
		    "System tables can only be accessed with db.system." },
		{ "_storage", "{}", "SystemTableError",
		    "System tables can only be accessed with db.system." },
		{ "a b", "{}", "InvalidArgument",
		    "Invalid argument `table` for `db.insert`: Identifier a b has invalid "
		    "character ' ': Identifiers can only contain alphanumeric characters or "
		    "underscores" },
		{ "notes", "[1]", "InvalidArgument",
		    "Invalid argument `value` for `db.insert`: Value must be an Object" },
	};
	struct fix   f;
	struct txn  *t;
	struct docid id;
	struct doc  *d;
	str          text;

	fix_open(&f);
	t = fix_begin(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_FAILS(&f,
		    txn_insert(t, str_z(rows[i].table), fix_val(&f, rows[i].value), &id, &f.err),
		    rows[i].code, rows[i].text);
	assert_true(txn_insert(t, S("notes"), fix_val(&f, "{\"_x\":1}"), &id, &f.err) ==
	    ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "InvalidDocumentError");
	CHECK(str_ends(f.err.text,
	    S("}) isn't a valid document: Field '_x' starts with an underscore, which is only "
	      "allowed for system fields like '_id'")));
	CHECK(str_starts(f.err.text, S("Document(value: {")));
	text = fix_insert(&f, t, "notes", "{\"o\":{\"_x\":1}}"); /* nested ones are fine */
	txn_free(t);
	t = fix_begin_query(&f);
	CHECK_EQ(txn_insert(t, S("notes"), fix_val(&f, "{}"), &id, &f.err), ST_BAD_REQUEST);
	CHECK_EQ(txn_delete(t, STR_EMPTY, text, &d, &f.err), ST_BAD_REQUEST);
	CHECK(!txn_has_writes(t));
	txn_free(t);
	fix_close(&f);
}

static struct val
nested(struct fix *f, int levels)
{
	struct buf b;
	struct val v;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"a\":");
	for (int i = 1; i < levels; i++)
		buf_addz(&b, "[");
	buf_addz(&b, levels > 1 ? "" : "1");
	for (int i = 1; i < levels; i++)
		buf_addz(&b, "]");
	buf_addz(&b, "}");
	v = fix_val(f, arena_z(f->arena, buf_str(&b)));
	buf_clear(&b);
	return v;
}

static struct val
padded(struct fix *f, size_t n)
{
	char      *p = mem_alloc(n + 32);
	struct val v;
	size_t     at = (size_t)snprintf(p, 32, "{\"a\":\"");

	memset(p + at, 'x', n);
	memcpy(p + at + n, "\"}", 3);
	v = fix_val(f, p);
	mem_free(p);
	return v;
}

/* 03 checklist 6 and 7, for documents: nesting 16 and 1 MiB pass, one more does not. */
TEST(document_bounds)
{
	/* 63 for the empty document, name and terminator, 2 for the string. */
	const size_t fits = ((size_t)1 << 20) - 63 - 2 - 2;
	struct fix   f;
	struct txn  *t;
	struct docid id;

	fix_open(&f);
	t = fix_begin(&f);
	CHECK_EQ(txn_insert(t, S("notes"), nested(&f, 16), &id, &f.err), ST_OK);
	CHECK_EQ(txn_insert(t, S("notes"), nested(&f, 17), &id, &f.err), ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "InvalidDocumentError");
	CHECK(str_ends(f.err.text,
	    S("Document is too nested (nested 17 levels deep > maximum nesting 16)")));
	CHECK_EQ(txn_insert(t, S("notes"), padded(&f, fits), &id, &f.err), ST_OK);
	CHECK_FAILS(&f, txn_insert(t, S("notes"), padded(&f, fits + 1), &id, &f.err),
	    "ValueTooLargeError", "Value is too large (1.00 MiB > maximum size 1 MiB)");
	txn_free(t);
	fix_close(&f);
}

static str
sys_insert(struct fix *f, struct txn *t, const char *table, struct val v)
{
	char         text[ID_TEXT_MAX];
	struct docid id;

	CHECK_EQ(txn_sys_insert(t, str_z(table), v, &id, &f->err), ST_OK);
	return arena_str(f->arena, str_of(text, id_format(id, text)));
}

/* 03 checklist 16: the virtual tables are read through db.system only, have the shapes of
 * section 3.1 and cannot be written. */
TEST(virtual_tables)
{
	struct fix   f;
	struct txn  *t;
	struct doc  *d;
	struct docid id;
	str          file, job;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	file = sys_insert(&f, t, "_file_storage",
	    fix_val(&f,
		"{\"storageId\":\"u-u-i-d\",\"storageKey\":\"k\",\"sha256\":{\"$bytes\":\"AQID\"},"
		"\"size\":{\"$integer\":\"BQAAAAAAAAA=\"},\"contentType\":null}"));
	job = sys_insert(&f, t, "_scheduled_jobs",
	    fix_val(&f,
		"{\"component\":null,\"udfPath\":\"a.js:b\",\"udfArgs\":{\"$bytes\":"
		"\"W3sieCI6MX1d\"},\"argsId\":null,\"state\":{\"type\":\"failed\","
		"\"error\":\"boo\"},"
		"\"nextTs\":null,\"completedTs\":{\"$integer\":\"Fc2FPf6clxc=\"},"
		"\"originalScheduledTs\":{\"$integer\":\"Fc2FPf6clxc=\"},\"attempts\":{}}"));
	CHECK_EQ(fix_end(&f, t), ST_OK);

	t = fix_begin(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, file, true, &d, &f.err), ST_OK);
	check_doc(&f, d, "{\"contentType\":null,\"sha256\":\"AQID\",\"size\":5}");
	CHECK_EQ(txn_get(t, S("_storage"), file, true, &d, &f.err), ST_OK);
	CHECK_EQ(txn_get(t, STR_EMPTY, job, true, &d, &f.err), ST_OK);
	check_doc(&f, d,
	    "{\"name\":\"a.js:b\",\"args\":[{\"x\":1}],\"state\":{\"kind\":\"failed\",\"error\":"
	    "\"boo\"},\"scheduledTime\":1700000000123.4568,\"completedTime\":1700000000123.4568}");
	CHECK_FAILS(&f, txn_get(t, STR_EMPTY, file, false, &d, &f.err), "SystemTableError",
	    "System tables can only be accessed with db.system.");
	CHECK_FAILS(&f, txn_get(t, S("_storage"), file, false, &d, &f.err), "SystemTableError",
	    "System tables can only be accessed with db.system.");
	CHECK_FAILS(&f, txn_patch(t, STR_EMPTY, file, fix_val(&f, "{}"), &d, &f.err),
	    "SystemTableError", "System tables can only be accessed with db.system.");
	CHECK_FAILS(&f, txn_delete(t, S("_storage"), file, &d, &f.err), "SystemTableError",
	    "System tables can only be accessed with db.system.");
	CHECK_QUERY(&f, t,
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_storage\",\"order\":null},"
	    "\"operators\":[{\"filter\":{\"$eq\":[{\"$field\":\"size\"},{\"$literal\":5}]}}]}",
	    "sha256", "\"AQID\"");
	CHECK_QUERY(&f, t,
	    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"_storage.by_creation_time\","
	    "\"range\":[],\"order\":null},\"operators\":[]}",
	    "size", "5.0");
	txn_free(t);

	/* Admin and system callers get through the first door, not through the second. */
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	CHECK_FAILS(&f, txn_insert(t, S("_storage"), fix_val(&f, "{}"), &id, &f.err),
	    "ReadOnlyTable", "_storage is a read-only table");
	CHECK_FAILS(&f, txn_insert(t, S("_modules"), fix_val(&f, "{}"), &id, &f.err),
	    "InvalidTableName", "Invalid table name _modules starts with metadata prefix '_'");
	CHECK_EQ(txn_delete(t, STR_EMPTY, file, &d, &f.err), ST_FORBIDDEN);
	CHECK_STRZ(f.err.code, "SystemIdentityRequired");
	CHECK_STRZ(f.err.text, "Operation delete not permitted");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 16: packages before 1.6.1 are told to upgrade, those before 1.9.0 read hashes in
 * hex; an open query stays what it was opened as. */
TEST(virtual_tables_for_old_packages)
{
	static const struct {
		enum npm_age age;
		const char  *sha256; /* NULL: refused */
	} rows[] = {
		{ NPM_CURRENT, "\"AQID\"" },
		{ NPM_BEFORE_1_9, "\"010203\"" },
		{ NPM_BEFORE_1_6_1, NULL },
	};
	static const char scan[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_storage\",\"order\":null},"
	    "\"operators\":[]}";
	static const char upgrade[] =
	    "Upgrade to NPM version 1.6.1 or above to access system tables";
	struct fix    f;
	struct txn   *t;
	struct doc   *d;
	struct query *q;
	str           file, got;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	file = sys_insert(&f, t, "_file_storage",
	    fix_val(&f,
		"{\"storageId\":\"u-u-i-d\",\"storageKey\":\"k\",\"sha256\":{\"$bytes\":\"AQID\"},"
		"\"size\":{\"$integer\":\"BQAAAAAAAAA=\"},\"contentType\":null}"));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_query(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		txn_set_npm(t, rows[i].age);
		if (!rows[i].sha256) {
			CHECK_FAILS(&f, txn_get(t, STR_EMPTY, file, true, &d, &f.err),
			    "InvalidClientVersion", upgrade);
			CHECK_FAILS(&f, fix_query(&f, t, scan, "sha256", &got),
			    "InvalidClientVersion", upgrade);
			continue;
		}
		CHECK_EQ(txn_get(t, STR_EMPTY, file, true, &d, &f.err), ST_OK);
		got = val_str(val_get(doc_val(d), S("sha256")));
		CHECK_STR(arena_fmt(f.arena, "\"%.*s\"", STR_ARG(got)), str_z(rows[i].sha256));
		CHECK_QUERY(&f, t, scan, "sha256", rows[i].sha256);
	}
	txn_set_npm(t, NPM_BEFORE_1_9);
	CHECK_EQ(query_open(t, fix_spec(&f, scan), &q, &f.err), ST_OK);
	txn_set_npm(t, NPM_CURRENT);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK_STRZ(val_str(val_get(doc_val(d), S("sha256"))), "010203");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 17: private system tables are absent for applications, present for system
 * functions. */
TEST(private_system_tables)
{
	static const char query[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_environment_variables\","
	    "\"order\":null},\"operators\":[]}";
	static const char index[] =
	    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"_environment_variables.by_name\","
	    "\"range\":[],\"order\":null},\"operators\":[]}";
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id, got;
	char        text[ID_TEXT_MAX];
	bool        ok;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	id = sys_insert(&f, t, "_environment_variables",
	    fix_val(&f, "{\"name\":\"A\",\"value\":\"b\"}"));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_query(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_EQ(txn_get(t, STR_EMPTY, id, true, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_QUERY(&f, t, query, "name", "");
	CHECK_FAILS(&f, fix_query(&f, t, index, "name", &got), "IndexNotFoundError",
	    "Index _environment_variables.by_name not found.");
	CHECK_EQ(txn_normalize_id(t, S("_environment_variables"), id, &ok, text, &f.err), ST_OK);
	CHECK(!ok);
	txn_free(t);
	t = fix_begin_as(&f, false, true, (struct uid){ { 0 } });
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d != NULL);
	CHECK_QUERY(&f, t, query, "name", "\"A\"");
	CHECK_QUERY(&f, t, index, "value", "\"b\"");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 10. */
TEST(normalize_id)
{
	struct fix  f;
	struct txn *t;
	str         note, task;

	fix_open(&f);
	t = fix_begin(&f);
	note = fix_insert(&f, t, "notes", "{}");
	task = fix_insert(&f, t, "tasks", "{}");
	{
		const struct {
			const char *table;
			str         id;
			bool        ok;
		} rows[] = {
			{ "notes", note, true },
			{ "notes", task, false },
			{ "nowhere", note, false },
			{ "notes", S("garbage"), false },
			{ "_storage", S("kg2000820c20a1g7104gm2rc1m70y674"), true },
			{ "_storage", note, false },
			{ "_file_storage", S("kg2000820c20a1g7104gm2rc1m70y674"), false },
			{ "_scheduled_functions", S("kg2000820c20a1g7104gm2rc1m70y674"), false },
		};

		for (size_t i = 0; i < COUNT_OF(rows); i++) {
			char text[ID_TEXT_MAX];
			bool ok;

			CHECK_EQ(txn_normalize_id(t, str_z(rows[i].table), rows[i].id, &ok, text,
				     &f.err),
			    ST_OK);
			CHECK_EQ(ok, rows[i].ok);
			if (ok)
				CHECK_STR(str_z(text), rows[i].id);
		}
	}
	txn_free(t);
	fix_close(&f);
}

/* An id of one component means nothing in another, whatever its number. */
TEST(components_are_separate)
{
	struct uid  other = { { 1, 2, 3 } };
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, other);
	CHECK_EQ(ddl_create_namespace(t, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	id = fix_insert(&f, t, "notes", "{\"n\":1}");
	CHECK_EQ(txn_set_component(t, other).b[0], 0);
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_QUERY(&f, t, SCAN, "n", "");
	fix_insert(&f, t, "notes", "{\"n\":2}");
	CHECK_QUERY(&f, t, SCAN, "n", "2.0");
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d == NULL); /* same number, other table */
	(void)txn_set_component(t, (struct uid){ { 0 } });
	CHECK_QUERY(&f, t, SCAN, "n", "1.0");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_as(&f, false, false, other);
	CHECK_QUERY(&f, t, SCAN, "n", "2.0");
	txn_free(t);
	fix_close(&f);
}

/* What exists once is found from every component by system functions; what each component has
 * of its own is not confused with the root's. */
TEST(system_tables_in_components)
{
	static const char variables[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_environment_variables\","
	    "\"order\":null},\"operators\":[]}";
	static const char modules[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_modules\",\"order\":null},"
	    "\"operators\":[]}";
	struct uid  other = { { 1, 2, 3 } };
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	id = sys_insert(&f, t, "_environment_variables", fix_val(&f, "{\"name\":\"A\"}"));
	sys_insert(&f, t, "_modules", fix_val(&f, "{\"path\":\"a.js\",\"deleted\":null}"));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_as(&f, true, true, other);
	CHECK_QUERY(&f, t, variables, "name", "\"A\"");
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d != NULL);
	CHECK_QUERY(&f, t, modules, "path", "");
	CHECK_EQ(ddl_create_namespace(t, &f.err), ST_OK);
	sys_insert(&f, t, "_modules", fix_val(&f, "{\"path\":\"b.js\",\"deleted\":null}"));
	CHECK_QUERY(&f, t, modules, "path", "\"b.js\"");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_as(&f, false, true, (struct uid){ { 0 } });
	CHECK_QUERY(&f, t, modules, "path", "\"a.js\"");
	txn_free(t);
	fix_close(&f);
}

static size_t
count_jobs(struct fix *f, struct txn *t)
{
	double n;

	CHECK_EQ(txn_count(t, S("_scheduled_functions"), &n, &f->err), ST_OK);
	return (size_t)n;
}

/* 03 checklist 31: an error that a mutation catches rolls back the writes of the nested one, the
 * functions it scheduled (which are rows) among them, and nothing else; what it read stays read. */
TEST(rollback_of_a_nested_mutation)
{
	struct fix       f;
	struct txn      *t;
	struct txn_mark *m, *inner;
	struct doc      *d;
	str              a, b;
	uint64_t         before;

	fix_open(&f);
	t = fix_begin(&f);
	a = fix_insert(&f, t, "notes", "{\"n\":1}");
	b = fix_insert(&f, t, "notes", "{\"n\":2}");
	CHECK_EQ(fix_end(&f, t), ST_OK);

	t = fix_begin(&f);
	CHECK_EQ(txn_patch(t, STR_EMPTY, a, fix_val(&f, "{\"n\":10}"), &d, &f.err), ST_OK);
	(void)sys_insert(&f, t, "_scheduled_jobs", fix_val(&f, "{\"udfPath\":\"a.js:b\"}"));
	before = txn_usage(t)->intervals;
	m = txn_mark(t);
	CHECK_EQ(txn_patch(t, STR_EMPTY, a, fix_val(&f, "{\"n\":11}"), &d, &f.err), ST_OK);
	CHECK_EQ(txn_delete(t, STR_EMPTY, b, &d, &f.err), ST_OK);
	fix_insert(&f, t, "notes", "{\"n\":3}");
	fix_insert(&f, t, "others", "{\"n\":4}");
	CHECK_EQ(count_jobs(&f, t), 1);
	(void)sys_insert(&f, t, "_scheduled_jobs", fix_val(&f, "{\"udfPath\":\"c.js:d\"}"));
	CHECK_EQ(count_jobs(&f, t), 2);
	CHECK_QUERY(&f, t, SCAN, "n", "11.0 3.0");
	txn_rollback(t, m);
	CHECK_EQ(count_jobs(&f, t), 1);
	CHECK_QUERY(&f, t, SCAN, "n", "10.0 2.0");
	CHECK(!catalog_table(txn_catalog(t), (struct uid){ { 0 } }, S("others")));
	CHECK_EQ(txn_usage(t)->docs_written, 1);
	CHECK(txn_usage(t)->intervals > before);
	/* Nested marks: the inner one is kept, the outer one undone; then a good one. */
	m = txn_mark(t);
	inner = txn_mark(t);
	CHECK_EQ(txn_delete(t, STR_EMPTY, a, &d, &f.err), ST_OK);
	txn_release(t, inner);
	CHECK_QUERY(&f, t, SCAN, "n", "2.0");
	txn_rollback(t, m);
	CHECK_QUERY(&f, t, SCAN, "n", "10.0 2.0");
	m = txn_mark(t);
	fix_insert(&f, t, "others", "{\"n\":5}");
	fix_insert(&f, t, "notes", "{\"n\":6}");
	txn_release(t, m);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_QUERY(&f, t, SCAN, "n", "10.0 2.0 6.0");
	txn_free(t);
	fix_close(&f);
}

/* Many writes to one document are one revision; inserted and deleted again, it leaves nothing
 * to read. */
TEST(writes_coalesce)
{
	struct fix           f;
	struct txn          *t;
	struct doc          *d;
	struct store_log_row row;
	str                  a, b;
	ts_t                 first;

	fix_open(&f);
	t = fix_begin(&f);
	a = fix_insert(&f, t, "notes", "{\"n\":1}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	first = db_latest_ts(f.db);
	t = fix_begin(&f);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(txn_patch(t, STR_EMPTY, a,
			     fix_val(&f, i % 2 ? "{\"n\":7}" : "{\"n\":8}"), &d, &f.err),
		    ST_OK);
	b = fix_insert(&f, t, "notes", "{\"n\":2}");
	CHECK_EQ(txn_delete(t, STR_EMPTY, b, &d, &f.err), ST_OK);
	CHECK_EQ(txn_usage(t)->docs_written, 7);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, a, false, &d, &f.err), ST_OK);
	check_doc(&f, d, "{\"n\":8}");
	fix_pump(&f);
	CHECK_EQ(f.db->store.v->revision(f.db->store.self, d->tablet, d->id.table, d->id.uid, d->ts,
	             &row, &f.err), ST_OK);
	CHECK_EQ(row.prev_ts, first);
	doc_unref(row.doc);
	CHECK_EQ(txn_get(t, STR_EMPTY, b, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	CHECK_QUERY(&f, t, SCAN, "n", "8.0");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 46: db.vars.commitTs becomes the commit's timestamp, and is found by eq before. */
TEST(commit_timestamps)
{
	static const char eq[] =
	    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"notes.by_at\",\"range\":[{"
	    "\"type\":\"Eq\",\"fieldPath\":\"at\",\"value\":{\"$commitTs\":null}}],\"order\":null},"
	    "\"operators\":[]}";
	struct fix      f;
	struct txn     *t;
	struct conflict c;
	struct doc     *d;
	str             id;
	ts_t            ts;

	fix_open(&f);
	fix_push(&f,
	    "{\"tables\":[{\"tableName\":\"notes\",\"indexes\":[{\"indexDescriptor\":\"by_at\","
	    "\"fields\":[\"at\"]}],\"documentType\":null}]}");
	t = fix_begin(&f);
	fix_insert(&f, t, "notes", "{\"at\":{\"$integer\":\"AQAAAAAAAAA=\"},\"n\":1}");
	id = fix_insert(&f, t, "notes", "{\"at\":{\"$commitTs\":null},\"n\":2}");
	CHECK_QUERY(&f, t, eq, "n", "2.0");
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK_EQ(val_kind(val_get(doc_val(d), S("at"))), VAL_COMMIT_TS);
	CHECK_EQ(txn_commit(t, &ts, &c, &f.err), ST_OK);
	txn_free(t);
	t = fix_begin(&f);
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK_EQ(val_kind(val_get(doc_val(d), S("at"))), VAL_INT64);
	CHECK_EQ((ts_t)val_int64(val_get(doc_val(d), S("at"))), ts);
	CHECK_QUERY(&f, t, eq, "n", "");
	CHECK_QUERY(&f, t,
	    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"notes.by_at\",\"range\":[],"
	    "\"order\":\"desc\"},\"operators\":[]}",
	    "n", "2.0 1.0");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 19: an id means the table that has its number in the component of whoever checks. */
TEST(ids_are_checked_in_their_component)
{
	struct uid              root = { { 0 } }, part = { { 9 } };
	struct validator const *v;
	struct table_names      names;
	struct fix              f;
	struct txn             *t;
	str                     user, first;

	fix_open(&f);
	CHECK_EQ(validator_parse_text(f.arena, S("{\"type\":\"id\",\"tableName\":\"users\"}"), &v,
		     &f.err),
	    ST_OK);
	t = fix_begin(&f);
	user = fix_insert(&f, t, "users", "{}"); /* 10001 */
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_as(&f, true, false, part);
	first = fix_insert(&f, t, "things", "{}"); /* 10001 there */
	names = catalog_table_names(txn_catalog(t), &part);
	CHECK_FAILS(&f, validator_check(v, val_of_str(f.arena, user), &names, &f.err),
	    "ValidationError",
	    arena_z(f.arena, arena_fmt(f.arena,
			"Found ID \"%.*s\" from table `things`, which does not match the table "
			"name in validator `v.id(\"users\")`.",
			STR_ARG(user))));
	(void)fix_insert(&f, t, "users", "{}"); /* 10002 there */
	names = catalog_table_names(txn_catalog(t), &part);
	CHECK_EQ(validator_check(v, val_of_str(f.arena, first), &names, &f.err), ST_BAD_REQUEST);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	names = catalog_table_names(txn_catalog(t), &root);
	CHECK_EQ(validator_check(v, val_of_str(f.arena, user), &names, &f.err), ST_OK);
	CHECK_EQ(validator_check(v, val_of_str(f.arena, first), &names, &f.err), ST_OK);
	txn_free(t);
	fix_close(&f);
}

static const char unmounted_text[] =
    "Cannot perform write operations in an unmounted component. Make sure your component is "
    "installed in your `convex.config.ts` file.";

/* Spec 03 section 3.1: the data of an unmounted component can be read and not written; mounted
 * again it can. */
TEST(unmounted_components_are_read_only)
{
	struct fix   f;
	struct txn  *t;
	struct doc  *d;
	struct docid row, id;
	str          note;

	fix_open(&f);
	t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
	CHECK_EQ(txn_sys_insert(t, S("_components"), fix_val(&f, "{\"state\":\"active\"}"), &row,
		     &f.err),
	    ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_as(&f, true, false, row.uid);
	note = fix_insert(&f, t, "notes", "{\"a\":1}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	for (int mounted = 0; mounted < 2; mounted++) {
		t = fix_begin_as(&f, true, true, (struct uid){ { 0 } });
		CHECK_EQ(txn_sys_replace(t, row,
			     fix_val(&f, mounted ? "{\"state\":\"active\"}"
						 : "{\"state\":\"unmounted\"}"),
			     &f.err),
		    ST_OK);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		t = fix_begin_as(&f, true, false, row.uid);
		CHECK_EQ(txn_get(t, STR_EMPTY, note, false, &d, &f.err), ST_OK);
		CHECK(d != NULL);
		if (mounted) {
			CHECK_EQ(txn_delete(t, STR_EMPTY, note, &d, &f.err), ST_OK);
		} else {
			CHECK_FAILS(&f,
			    txn_insert(t, S("notes"), fix_val(&f, "{}"), &id, &f.err),
			    "UnmountedComponent", unmounted_text);
			CHECK_FAILS(&f,
			    txn_patch(t, STR_EMPTY, note, fix_val(&f, "{}"), &d, &f.err),
			    "UnmountedComponent", unmounted_text);
			CHECK_FAILS(&f,
			    txn_replace(t, STR_EMPTY, note, fix_val(&f, "{}"), &d, &f.err),
			    "UnmountedComponent", unmounted_text);
			CHECK_FAILS(&f, txn_delete(t, STR_EMPTY, note, &d, &f.err),
			    "UnmountedComponent", unmounted_text);
		}
		CHECK_EQ(fix_end(&f, t), ST_OK);
	}
	fix_close(&f);
}

/* Counting is free and sees one's own writes; a missing table counts 0. */
TEST(count)
{
	struct fix  f;
	struct txn *t;
	double      n;

	fix_open(&f);
	t = fix_begin(&f);
	for (int i = 0; i < 10; i++)
		fix_insert(&f, t, "notes", "{}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	fix_insert(&f, t, "notes", "{}");
	CHECK_EQ(txn_count(t, S("notes"), &n, &f.err), ST_OK);
	CHECK(n == 11);
	CHECK_EQ(txn_count(t, S("nowhere"), &n, &f.err), ST_OK);
	CHECK(n == 0);
	CHECK_EQ(txn_count(t, S("_modules"), &n, &f.err), ST_OK);
	CHECK(n == 0);
	CHECK_EQ(txn_usage(t)->docs_read, 0);
	txn_free(t);
	fix_close(&f);
}

TEST_RUN(T(first_insert_creates_the_table), T(table_numbers_count_up_and_are_not_reused),
    T(creation_times_increase), T(get_of_what_is_not_there), T(patch_and_replace),
    T(idle_patch_commits_nothing), T(system_fields_may_only_be_repeated), T(refused_writes),
    T(document_bounds), T(virtual_tables), T(virtual_tables_for_old_packages),
    T(private_system_tables), T(normalize_id), T(components_are_separate),
    T(system_tables_in_components), T(rollback_of_a_nested_mutation), T(writes_coalesce),
    T(commit_timestamps), T(ids_are_checked_in_their_component),
    T(unmounted_components_are_read_only), T(count))
