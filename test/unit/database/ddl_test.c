/* ddl_test.c - schemas and indexes through a push (spec 03 sections 4.3 to 4.6, spec 02
 * section 7), with the background work in between.
 */
#include "db_fixture.h"

#define ROOT ((struct uid){ { 0 } })

static const struct schema *
parse_schema(struct fix *f, const char *json)
{
	const struct schema *s;
	struct json         *j;

	CHECK_EQ(json_parse(f->arena, arena_str(f->arena, str_z(json)), &j, &f->err), ST_OK);
	CHECK_EQ(schema_parse(f->arena, j, &s, &f->err), ST_OK);
	return s;
}

#define TABLE(indexes, staged, type)                                          \
	"{\"tables\":[{\"tableName\":\"t\",\"indexes\":[" indexes "],\"stagedDbIndexes\":[" staged \
	"],\"documentType\":" type "}],\"schemaValidation\":true}"
#define IX(name, fields) "{\"indexDescriptor\":\"" name "\",\"fields\":[" fields "]}"
#define OBJECT(members) "{\"type\":\"object\",\"value\":{" members "}}"
#define MEMBER(name, type) "\"" name "\":{\"fieldType\":{\"type\":\"" type "\"},\"optional\":false}"
#define NUMBER OBJECT(MEMBER("n", "number"))
#define STRING OBJECT(MEMBER("n", "string"))

static struct txn *
system_txn(struct fix *f)
{
	return fix_begin_as(f, true, true, ROOT);
}

/* Prepares and submits like start_push; the schema's id. */
static struct docid
start_push(struct fix *f, const char *json, struct index_diff *diff)
{
	struct txn          *t = system_txn(f);
	const struct schema *s = parse_schema(f, json);
	struct index_diff    d;
	struct docid         id;

	CHECK_EQ(ddl_prepare_indexes(t, s, false, &d, &f->err), ST_OK);
	CHECK_EQ(ddl_submit_schema(t, s, &id, &f->err), ST_OK);
	if (diff)
		*diff = d;
	CHECK_EQ(fix_end(f, t), ST_OK);
	return id;
}

static void
background(struct fix *f)
{
	bool more = true;

	while (more) {
		CHECK_EQ(ddl_background_step(f->db, &more, &f->err), ST_OK);
		fix_pump(f);
	}
}

static struct ddl_state
state_of(struct fix *f, struct docid id)
{
	struct txn      *t = system_txn(f);
	struct ddl_state s;

	CHECK_EQ(ddl_schema_state(t, &id, &s, &f->err), ST_OK);
	s.error = arena_str(f->arena, s.error);
	if (s.table.p)
		s.table = arena_str(f->arena, s.table);
	txn_free(t);
	return s;
}

static status
activate(struct fix *f, struct docid id)
{
	struct txn *t = system_txn(f);
	str         prev, next;
	status      st = ddl_activate_schema(t, &id, &prev, &next, &f->err);

	if (st == ST_OK)
		return fix_end(f, t);
	txn_free(t);
	return st;
}

static void
finish_push(struct fix *f, const char *json, struct docid id)
{
	struct txn       *t = system_txn(f);
	struct index_diff diff;
	str               prev, next;

	CHECK_EQ(ddl_activate_schema(t, &id, &prev, &next, &f->err), ST_OK);
	CHECK_EQ(ddl_commit_indexes(t, parse_schema(f, json), &diff, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
}

static str
insert(struct fix *f, const char *table, const char *json)
{
	struct txn *t = fix_begin(f);
	str         id = fix_insert(f, t, table, json);

	CHECK_EQ(fix_end(f, t), ST_OK);
	return id;
}

/* 03 checklist 20: an active schema refuses what does not fit, at the call; without
 * schemaValidation it refuses nothing. */
TEST(active_schema_is_enforced)
{
	struct fix   f;
	struct txn  *t;
	struct docid id;
	struct doc  *d;
	str          text;

	fix_open(&f);
	fix_push(&f, TABLE("", "", NUMBER));
	t = fix_begin(&f);
	text = fix_insert(&f, t, "t", "{\"n\":1}");
	CHECK_FAILS(&f, txn_insert(t, S("t"), fix_val(&f, "{\"n\":\"x\"}"), &id, &f.err),
	    "SchemaEnforcementError",
	    "Failed to insert or update a document in table \"t\" because it does not match the "
	    "schema: Value does not match validator.\nPath: .n\nValue: \"x\"\nValidator: "
	    "v.float64()");
	CHECK_EQ(txn_patch(t, STR_EMPTY, text, fix_val(&f, "{\"m\":1}"), &d, &f.err),
	    ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "SchemaEnforcementError");
	CHECK_EQ(txn_replace(t, STR_EMPTY, text, fix_val(&f, "{}"), &d, &f.err), ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "SchemaEnforcementError");
	CHECK_EQ(txn_patch(t, STR_EMPTY, text, fix_val(&f, "{\"n\":2}"), &d, &f.err), ST_OK);
	CHECK_EQ(txn_insert(t, S("unlisted"), fix_val(&f, "{\"n\":\"x\"}"), &id, &f.err), ST_OK);
	CHECK_EQ(txn_delete(t, STR_EMPTY, text, &d, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	fix_push(&f,
	    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":[],\"documentType\":" NUMBER
	    "}],\"schemaValidation\":false}");
	insert(&f, "t", "{\"n\":\"x\"}");
	fix_close(&f);
}

/* 03 checklist 21: a document that does not fit fails the pending schema and is named, also
 * when it lies behind many that do. */
TEST(existing_documents_are_validated)
{
	static const int sizes[] = { 1, 499, 500, 501, 1300 };

	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		struct fix       f;
		struct txn      *t;
		struct docid     id;
		struct ddl_state s;
		str              bad;

		fix_open(&f);
		t = fix_begin(&f);
		for (int i = 0; i < sizes[k]; i++)
			fix_insert(&f, t, "t", "{\"n\":1}");
		CHECK_EQ(fix_end(&f, t), ST_OK);
		id = start_push(&f, TABLE("", "", NUMBER), NULL);
		s = state_of(&f, id);
		CHECK_EQ(s.progress, DDL_IN_PROGRESS);
		CHECK(!s.schema_complete);
		CHECK_EQ(activate(&f, id), ST_INTERNAL);
		background(&f);
		s = state_of(&f, id);
		CHECK_EQ(s.progress, DDL_COMPLETE);
		CHECK(s.schema_complete);

		/* Fails the validated schema, and goes through. */
		bad = insert(&f, "t", "{\"n\":\"x\"}");
		s = state_of(&f, id);
		CHECK_EQ(s.progress, DDL_FAILED);
		CHECK_STRZ(s.table, "t");
		CHECK_STRZ(s.error,
		    "New document in table \"t\" does not match the schema: Value does not match "
		    "validator.\nPath: .n\nValue: \"x\"\nValidator: v.float64()");
		CHECK_FAILS(&f, activate(&f, id), "SchemaAlreadyFailed",
		    arena_z(f.arena, arena_fmt(f.arena,
				"Schema has already been failed with error: %.*s",
				STR_ARG(s.error))));

		id = start_push(&f, TABLE("", "", NUMBER), NULL);
		background(&f);
		s = state_of(&f, id);
		CHECK_EQ(s.progress, DDL_FAILED);
		CHECK_STR(s.error,
		    arena_fmt(f.arena,
			"Document with ID \"%.*s\" in table \"t\" does not match the schema: Value "
			"does not match validator.\nPath: .n\nValue: \"x\"\nValidator: v.float64()",
			STR_ARG(bad)));
		fix_close(&f);
	}
}

/* 03 checklist 21, the race: a transaction that began before the push and writes what the new
 * schema forbids must be run again, and then fails the schema. */
TEST(a_write_cannot_slip_past_a_pending_schema)
{
	struct fix       f;
	struct txn      *t;
	struct docid     id;
	struct ddl_state s;

	fix_open(&f);
	insert(&f, "t", "{\"n\":1}");
	t = fix_begin(&f);
	fix_insert(&f, t, "t", "{\"n\":\"x\"}");
	id = start_push(&f, TABLE("", "", NUMBER), NULL);
	CHECK_EQ(fix_end(&f, t), ST_OCC);
	insert(&f, "t", "{\"n\":\"x\"}");
	background(&f);
	s = state_of(&f, id);
	CHECK_EQ(s.progress, DDL_FAILED);
	CHECK(str_starts(s.error, S("New document in table \"t\"")));
	fix_close(&f);
}

/* 03 checklist 22: an equal schema keeps its row, whatever its state; another one overwrites
 * what was coming, and the push that waited for that finds out. */
TEST(schema_rows_are_reused_and_overwritten)
{
	struct fix   f;
	struct txn  *t;
	struct docid a, b, none = { .table = 1 };
	str          prev, next;

	fix_open(&f);
	a = start_push(&f, TABLE("", "", NUMBER), NULL);
	b = start_push(&f, TABLE("", "", NUMBER), NULL); /* pending */
	CHECK(uid_eq(a.uid, b.uid));
	background(&f);
	b = start_push(&f, TABLE("", "", NUMBER), NULL); /* validated */
	CHECK(uid_eq(a.uid, b.uid));
	CHECK_EQ(activate(&f, a), ST_OK);
	b = start_push(&f, TABLE("", "", NUMBER), NULL); /* active */
	CHECK(uid_eq(a.uid, b.uid));
	CHECK_EQ(activate(&f, a), ST_OK);

	b = start_push(&f, TABLE("", "", STRING), NULL);
	CHECK(!uid_eq(a.uid, b.uid));
	CHECK_EQ(state_of(&f, b).progress, DDL_IN_PROGRESS);
	(void)start_push(&f, TABLE("", "", NUMBER), NULL); /* the active one again */
	CHECK_EQ(state_of(&f, b).progress, DDL_RACE);
	CHECK_FAILS(&f, activate(&f, b), "SchemaAlreadyOverwritten",
	    "Schema has already been overwritten.");
	CHECK_EQ(activate(&f, none), ST_BAD_REQUEST);
	CHECK_STRZ(f.err.code, "InvalidSchemaId");

	b = start_push(&f, TABLE("", "", STRING), NULL);
	background(&f);
	t = system_txn(&f);
	CHECK_EQ(ddl_activate_schema(t, &b, &prev, &next, &f.err), ST_OK);
	CHECK(str_find(prev, S("number"), &(size_t){ 0 }));
	CHECK(str_find(next, S("string"), &(size_t){ 0 }));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	CHECK_EQ(state_of(&f, a).progress, DDL_RACE);
	t = system_txn(&f);
	CHECK_EQ(ddl_activate_schema(t, NULL, &prev, &next, &f.err), ST_OK);
	CHECK(str_find(prev, S("string"), &(size_t){ 0 }));
	CHECK(next.p == NULL);
	CHECK(!catalog_schema(txn_catalog(t), ROOT, SCHEMA_ACTIVE));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	insert(&f, "t", "{\"n\":[]}");
	fix_close(&f);
}

static size_t
count_schema_rows(struct fix *f)
{
	struct txn *t = system_txn(f);
	double      n;

	CHECK_EQ(txn_count(t, S("_schemas"), &n, &f->err), ST_OK);
	txn_free(t);
	return (size_t)n;
}

/* Failed and overwritten rows go after an hour, not before. */
TEST(schema_history_is_forgotten)
{
	struct fix f;

	fix_open(&f);
	fix_push(&f, TABLE("", "", NUMBER));
	fix_push(&f, TABLE("", "", STRING));
	CHECK_EQ(count_schema_rows(&f), 2);
	background(&f);
	CHECK_EQ(count_schema_rows(&f), 2);
	f.now += (uint64_t)3601 * 1000000000;
	background(&f);
	CHECK_EQ(count_schema_rows(&f), 1);
	fix_close(&f);
}

/* Section 4.3: a table that the active schema lists or refers to cannot be deleted; one that
 * only a coming schema needs can, and fails that schema. */
TEST(deleting_tables_against_schemas)
{
	static const char refers[] =
	    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":[],\"documentType\":" OBJECT(
		"\"r\":{\"fieldType\":{\"type\":\"id\",\"tableName\":\"u\"},\"optional\":true}")
	    "}],\"schemaValidation\":false}";
	struct fix       f;
	struct txn      *t;
	struct docid     id;
	struct ddl_state s;

	fix_open(&f);
	insert(&f, "u", "{}");
	id = start_push(&f, refers, NULL);
	t = system_txn(&f);
	CHECK_EQ(ddl_delete_table(t, S("u"), &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	s = state_of(&f, id);
	CHECK_EQ(s.progress, DDL_FAILED);
	CHECK_STRZ(s.error,
	    "Failed to delete table \"u\" because `v.id(\"u\")` appears in the schema of table "
	    "\"t\"");
	insert(&f, "u", "{}");
	fix_push(&f, refers);
	t = system_txn(&f);
	CHECK_FAILS(&f, ddl_delete_table(t, S("u"), &f.err), "SchemaEnforcementError",
	    "Failed to delete table \"u\" because `v.id(\"u\")` appears in the schema of table "
	    "\"t\"");
	CHECK_FAILS(&f, ddl_delete_table(t, S("t"), &f.err), "SchemaEnforcementError",
	    "Failed to delete table \"t\" because it appears in the schema");
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 49, what of it is seen at once: the rows of a deleted table are gone, and a new
 * table of that name is empty. */
TEST(deleted_tables_disappear)
{
	static const char scan[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"u\",\"order\":null},"
	    "\"operators\":[]}";
	struct fix  f;
	struct txn *t;
	struct doc *d;
	str         id;

	fix_open(&f);
	id = insert(&f, "u", "{\"n\":1}");
	t = system_txn(&f);
	CHECK_EQ(ddl_delete_table(t, S("u"), &f.err), ST_OK);
	CHECK_QUERY(&f, t, scan, "n", "");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_QUERY(&f, t, scan, "n", "");
	CHECK_EQ(txn_get(t, STR_EMPTY, id, false, &d, &f.err), ST_OK);
	CHECK(d == NULL);
	fix_insert(&f, t, "u", "{\"n\":2}");
	CHECK_QUERY(&f, t, scan, "n", "2.0");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_QUERY(&f, t, scan, "n", "2.0");
	txn_free(t);
	fix_close(&f);
}

#define Q(index) "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t." index \
	"\",\"range\":[],\"order\":null},\"operators\":[]}"

static str
names(struct fix *f, const struct index_change *v, size_t n)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%.*s[%.*s]", i ? " " : "", STR_ARG(v[i].def.name),
		    STR_ARG(v[i].def.nfields ? v[i].def.fields[0] : v[i].def.field));
	s = arena_str(f->arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

#define CHECK_DIFF(f, d, added_, removed_, enabled_, disabled_)               \
	do {                                                                  \
		CHECK_STRZ(names((f), (d).added.v, (d).added.n), added_);     \
		CHECK_STRZ(names((f), (d).removed.v, (d).removed.n), removed_); \
		CHECK_STRZ(names((f), (d).enabled.v, (d).enabled.n), enabled_); \
		CHECK_STRZ(names((f), (d).disabled.v, (d).disabled.n), disabled_); \
	} while (0)

/* What the stored indexes of table t look like: name[first field]state, '*' if staged. */
static str
stored(struct fix *f)
{
	struct txn              *t = system_txn(f);
	const struct table_info *info = catalog_table(txn_catalog(t), ROOT, S("t"));
	struct buf               b;
	str                      s;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; info && i < info->nindexes; i++) {
		const struct index_info *ix = &info->indexes[i];

		if (ix != info->by_id && ix != info->by_creation_time)
			buf_fmt(&b, "%s%.*s[%.*s]%s%s", b.n ? " " : "", STR_ARG(ix->def.name),
			    STR_ARG(ix->def.nfields ? ix->def.fields[0] : ix->def.field),
			    ix->state == INDEX_ENABLED      ? "enabled"
				: ix->state == INDEX_BACKFILLED ? "filled"
								: "filling",
			    ix->staged ? "*" : "");
	}
	s = arena_str(f->arena, buf_str(&b));
	buf_clear(&b);
	txn_free(t);
	return s;
}

/* Spec 02 section 7.3, row by row: what is stored, what is wanted, what start_push and
 * finish_push make of it, what the diff of start_push says. */
TEST(index_preparation)
{
#define ANY(indexes, staged) TABLE(indexes, staged, "null")
	static const struct {
		const char *why;
		const char *first;     /* pushed completely; NULL: nothing but documents */
		const char *abandoned; /* start_push only; NULL: none */
		const char *wanted;
		const char *before, *prepared, *finished;
		const char *added, *removed, *enabled, *disabled;
	} rows[] = {
		{ "absent", NULL, NULL, ANY(IX("i", "\"a\""), ""), "", "i[a]filling",
		    "i[a]enabled", "i[a]", "", "", "" },
		{ "absent, staged", NULL, NULL, ANY("", IX("i", "\"a\"")), "", "i[a]filling*",
		    "i[a]filled*", "i[a]", "", "", "" },
		{ "the same", ANY(IX("i", "\"a\""), ""), NULL, ANY(IX("i", "\"a\""), ""),
		    "i[a]enabled", "i[a]enabled", "i[a]enabled", "", "", "", "" },
		{ "the same, staged", ANY("", IX("i", "\"a\"")), NULL, ANY("", IX("i", "\"a\"")),
		    "i[a]filled*", "i[a]filled*", "i[a]filled*", "", "", "", "" },
		{ "staged to normal", ANY("", IX("i", "\"a\"")), NULL, ANY(IX("i", "\"a\""), ""),
		    "i[a]filled*", "i[a]filled", "i[a]enabled", "", "", "i[a]", "" },
		{ "normal to staged", ANY(IX("i", "\"a\""), ""), NULL, ANY("", IX("i", "\"a\"")),
		    "i[a]enabled", "i[a]enabled", "i[a]filled*", "", "", "", "i[a]" },
		{ "changed", ANY(IX("i", "\"a\""), ""), NULL, ANY(IX("i", "\"b\""), ""),
		    "i[a]enabled", "i[a]enabled i[b]filling", "i[b]enabled", "i[b]", "i[a]", "",
		    "" },
		{ "changed while not enabled", NULL, ANY(IX("i", "\"a\""), ""),
		    ANY(IX("i", "\"b\""), ""), "i[a]filling", "i[b]filling", "i[b]enabled", "i[b]",
		    "i[a]", "", "" },
		{ "vanished", ANY(IX("i", "\"a\""), ""), NULL, ANY("", ""), "i[a]enabled",
		    "i[a]enabled", "", "", "i[a]", "", "" },
		{ "vanished while not enabled", NULL, ANY(IX("i", "\"a\""), ""), ANY("", ""),
		    "i[a]filling", "", "", "", "i[a]", "", "" },
		{ "enabled one fits, another is pending", ANY(IX("i", "\"a\""), ""),
		    ANY(IX("i", "\"b\""), ""), ANY(IX("i", "\"a\""), ""),
		    "i[a]enabled i[b]filling", "i[a]enabled", "i[a]enabled", "", "i[b]", "", "" },
		{ "pending one fits, another is enabled", ANY(IX("i", "\"a\""), ""),
		    ANY(IX("i", "\"b\""), ""), ANY(IX("i", "\"b\""), ""),
		    "i[a]enabled i[b]filling", "i[a]enabled i[b]filling", "i[b]enabled", "",
		    "i[a]", "", "" },
		{ "neither fits", ANY(IX("i", "\"a\""), ""), ANY(IX("i", "\"b\""), ""),
		    ANY(IX("i", "\"c\""), ""), "i[a]enabled i[b]filling", "i[a]enabled i[c]filling",
		    "i[c]enabled", "i[c]", "i[b] i[a]", "", "" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fix        f;
		struct txn       *t;
		struct index_diff diff;
		struct docid      id;

		print_message("  %s\n", rows[i].why);
		fix_open(&f);
		insert(&f, "t", "{\"a\":1,\"b\":2,\"c\":3}");
		if (rows[i].first)
			fix_push(&f, rows[i].first);
		if (rows[i].abandoned)
			(void)start_push(&f, rows[i].abandoned, NULL);
		CHECK_STRZ(stored(&f), rows[i].before);

		t = system_txn(&f); /* dry: the same diff, and nothing changes */
		CHECK_EQ(ddl_prepare_indexes(t, parse_schema(&f, rows[i].wanted), true, &diff,
			     &f.err),
		    ST_OK);
		CHECK_DIFF(&f, diff, rows[i].added, rows[i].removed, rows[i].enabled,
		    rows[i].disabled);
		CHECK(!txn_has_writes(t));
		txn_free(t);

		t = system_txn(&f);
		CHECK_EQ(ddl_prepare_indexes(t, parse_schema(&f, rows[i].wanted), false, &diff,
			     &f.err),
		    ST_OK);
		CHECK_DIFF(&f, diff, rows[i].added, rows[i].removed, rows[i].enabled,
		    rows[i].disabled);
		CHECK_EQ(ddl_submit_schema(t, parse_schema(&f, rows[i].wanted), &id, &f.err),
		    ST_OK);
		CHECK_EQ(fix_end(&f, t), ST_OK);
		CHECK_STRZ(stored(&f), rows[i].prepared);
		background(&f);
		finish_push(&f, rows[i].wanted, id);
		CHECK_STRZ(stored(&f), rows[i].finished);
		fix_close(&f);
	}
}

/* No schema: at the start nothing happens, at the end everything goes. */
TEST(pushes_without_schema)
{
	struct fix        f;
	struct txn       *t;
	struct index_diff diff;

	fix_open(&f);
	insert(&f, "t", "{\"a\":1}");
	fix_push(&f, ANY(IX("i", "\"a\"") "," IX("k", "\"b\""), ""));
	t = system_txn(&f);
	CHECK_EQ(ddl_prepare_indexes(t, NULL, false, &diff, &f.err), ST_OK);
	CHECK_DIFF(&f, diff, "", "i[a] k[b]", "", "");
	CHECK(!txn_has_writes(t));
	CHECK_EQ(ddl_commit_indexes(t, NULL, &diff, &f.err), ST_OK);
	CHECK_DIFF(&f, diff, "", "i[a] k[b]", "", "");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	CHECK_STRZ(stored(&f), "");
	fix_close(&f);
}

/* finish_push refuses what start_push did not prepare, or what is not filled yet. */
TEST(finish_needs_prepared_indexes)
{
	static const char wanted[] = ANY(IX("i", "\"a\""), "");
	struct fix        f;
	struct txn       *t;
	struct index_diff diff;

	fix_open(&f);
	insert(&f, "t", "{\"a\":1}");
	t = system_txn(&f);
	CHECK_EQ(ddl_commit_indexes(t, parse_schema(&f, wanted), &diff, &f.err), ST_INTERNAL);
	txn_free(t);
	(void)start_push(&f, wanted, NULL);
	t = system_txn(&f);
	CHECK_EQ(ddl_commit_indexes(t, parse_schema(&f, wanted), &diff, &f.err), ST_INTERNAL);
	txn_free(t);
	background(&f);
	t = system_txn(&f);
	CHECK_EQ(ddl_commit_indexes(t, parse_schema(&f, wanted), &diff, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	fix_close(&f);
}

/* 03 checklist 24: an index whose fields change answers by its old definition until the push
 * has finished; a new one is refused while it fills, a staged one always. */
TEST(queries_during_a_push)
{
	static const char second[] =
	    ANY(IX("i", "\"b\"") "," IX("new", "\"a\""), IX("later", "\"c\""));
	struct fix   f;
	struct txn  *t;
	struct docid id;
	str          got;

	fix_open(&f);
	insert(&f, "t", "{\"a\":1,\"b\":2}");
	insert(&f, "t", "{\"a\":2,\"b\":1}");
	fix_push(&f, ANY(IX("i", "\"a\""), ""));
	id = start_push(&f, second, NULL);
	for (int filled = 0; filled < 2; filled++) {
		t = fix_begin_query(&f);
		CHECK_QUERY(&f, t, Q("i"), "a", "1.0 2.0");
		CHECK_FAILS(&f, fix_query(&f, t, Q("new"), "a", &got), "IndexBackfillingError",
		    "Index t.new is currently backfilling and not available to query yet.");
		CHECK_FAILS(&f, fix_query(&f, t, Q("later"), "a", &got), "IndexStagedError",
		    "Index t.later is currently staged and not available to query until it is "
		    "enabled.");
		txn_free(t);
		background(&f);
	}
	finish_push(&f, second, id);
	t = fix_begin_query(&f);
	CHECK_QUERY(&f, t, Q("i"), "a", "2.0 1.0");
	CHECK_QUERY(&f, t, Q("new"), "a", "1.0 2.0");
	CHECK_FAILS(&f, fix_query(&f, t, Q("later"), "a", &got), "IndexStagedError",
	    "Index t.later is currently staged and not available to query until it is enabled.");
	txn_free(t);
	fix_close(&f);
}

/* A query that failed for want of an index, or over a changing one, is invalidated by the
 * push that brings it. */
TEST(pushes_invalidate_queries)
{
	struct fix      f;
	struct txn     *t;
	struct readset *missing, *changing;
	str             got;
	ts_t            ts;

	fix_open(&f);
	insert(&f, "t", "{\"a\":1,\"b\":2}");
	fix_push(&f, ANY(IX("i", "\"a\""), ""));
	t = fix_begin_query(&f);
	CHECK_EQ(fix_query(&f, t, Q("k"), "a", &got), ST_BAD_REQUEST);
	missing = txn_readset(t);
	ts = txn_ts(t);
	txn_free(t);
	t = fix_begin_query(&f);
	CHECK_EQ(fix_query(&f, t, Q("i"), "a", &got), ST_OK);
	changing = txn_readset(t);
	txn_free(t);
	(void)start_push(&f, ANY(IX("i", "\"b\"") "," IX("k", "\"a\""), ""), NULL);
	CHECK(db_changed(f.db, missing, ts, db_latest_ts(f.db), NULL));
	CHECK(!db_changed(f.db, changing, ts, db_latest_ts(f.db), NULL));
	fix_push(&f, ANY(IX("i", "\"b\"") "," IX("k", "\"a\""), ""));
	CHECK(db_changed(f.db, changing, ts, db_latest_ts(f.db), NULL));
	readset_unref(missing);
	readset_unref(changing);
	fix_close(&f);
}

/* A transaction that began before an index was added must not commit without it. */
TEST(a_new_index_misses_no_write)
{
	struct fix   f;
	struct txn  *t;
	struct docid id;

	fix_open(&f);
	insert(&f, "t", "{\"a\":1}");
	t = fix_begin(&f);
	fix_insert(&f, t, "t", "{\"a\":2}");
	id = start_push(&f, ANY(IX("i", "\"a\""), ""), NULL);
	CHECK_EQ(fix_end(&f, t), ST_OCC);
	insert(&f, "t", "{\"a\":3}");
	background(&f);
	finish_push(&f, ANY(IX("i", "\"a\""), ""), id);
	t = fix_begin_query(&f);
	CHECK_QUERY(&f, t, Q("i"), "a", "1.0 3.0");
	txn_free(t);
	fix_close(&f);
}

static bool
note_state(void *arg, struct doc *d)
{
	struct buf *b = arg;
	struct val  state = val_path(doc_val(d), S("config.onDiskState"));

	if (!str_eq(val_str(val_get(doc_val(d), S("descriptor"))), S("i")))
		return true;
	state = val_get(state, S("backfillState"));
	buf_reset(b);
	if (val_kind(state) == VAL_OBJECT)
		buf_addz(b, val_bool(val_get(state, S("retentionStarted"))) ? "filled" : "filling");
	else
		buf_addz(b, "done");
	return true;
}

/* Section 4.6: Backfilling, the same with retentionStarted when all entries are there, and
 * Backfilled2; staged indexes alike. */
TEST(backfills_go_through_their_states)
{
	static const char *const wanted[] = { ANY(IX("i", "\"a\""), ""),
		ANY("", IX("i", "\"a\"")) };

	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		struct fix  f;
		struct buf  state, seen;
		struct txn *t;
		bool        more = true;

		fix_open(&f);
		insert(&f, "t", "{\"a\":1}");
		(void)start_push(&f, wanted[i], NULL);
		buf_init(&state, 100);
		buf_init(&seen, 1000);
		while (more) {
			t = system_txn(&f);
			CHECK_EQ(txn_sys_each(t, S("_index"), S("by_id"), NULL, 0, note_state,
				     &state, &f.err),
			    ST_OK);
			txn_free(t);
			if (!str_ends(buf_str(&seen), buf_str(&state))) {
				buf_addz(&seen, " ");
				buf_add(&seen, buf_str(&state));
			}
			CHECK_EQ(ddl_background_step(f.db, &more, &f.err), ST_OK);
			fix_pump(&f);
		}
		CHECK_STRZ(buf_str(&seen), " filling filled done");
		buf_clear(&state);
		buf_clear(&seen);
		fix_close(&f);
	}
}

/* An index on a table without documents needs no backfill. */
TEST(empty_tables_need_no_backfill)
{
	struct fix f;

	fix_open(&f);
	(void)start_push(&f, ANY(IX("i", "\"a\""), ""), NULL);
	CHECK_STRZ(stored(&f), "i[a]filled");
	fix_close(&f);
}

/* The backfill of a large table, with documents inserted, changed and deleted between its
 * steps and the store lagging behind, leaves an index with exactly the present documents
 * (03 checklist 25: missing nested fields first). */
TEST(backfill_under_fire)
{
	static const char wanted[] = ANY(IX("i", "\"o.x\""), "");

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct fix   f;
		struct txn  *t;
		struct docid id;
		str          ids[1600];
		size_t       n = 0;
		bool         more = true;
		uint64_t     dice = seed * 0x9e3779b97f4a7c15u;

		fix_open(&f);
		t = fix_begin(&f);
		for (; n < 1300; n++)
			ids[n] = fix_insert(&f, t, "t",
			    n % 7 ? arena_z(f.arena, arena_fmt(f.arena, "{\"o\":{\"x\":%zu}}",
					n * 7919 % 1009))
				  : "{\"k\":0}");
		CHECK_EQ(fix_end(&f, t), ST_OK);
		id = start_push(&f, wanted, NULL);
		for (int step = 0; more; step++) {
			CHECK_EQ(ddl_background_step(f.db, &more, &f.err), ST_OK);
			CHECK(step < 1000);
			if (step < 20) {
				size_t      at = (size_t)(fix_draw(&dice) >> 20) % n;
				struct doc *d;

				t = fix_begin(&f);
				if (ids[at].n)
					CHECK_EQ(txn_replace(t, STR_EMPTY, ids[at],
						     fix_val(&f, "{\"o\":{\"x\":-5}}"), &d, &f.err),
					    ST_OK);
				at = (size_t)(fix_draw(&dice) >> 20) % n;
				if (ids[at].n)
					CHECK_EQ(txn_delete(t, STR_EMPTY, ids[at], &d, &f.err),
					    ST_OK);
				ids[at].n = 0;
				ids[n++] = fix_insert(&f, t, "t", "{\"o\":{\"x\":2000}}");
				CHECK_EQ(fix_end(&f, t), ST_OK);
			}
			if ((fix_draw(&dice) >> 20) % 3 == 0)
				fix_pump(&f);
		}
		finish_push(&f, wanted, id);
		t = fix_begin_query(&f);
		{
			/* Each live document once, in order, in its newest version. */
			struct query *q;
			struct doc   *d;
			struct val    last = VAL_NONE;
			size_t        live = 0, seen = 0;

			for (size_t i = 0; i < n; i++)
				live += ids[i].n > 0;
			CHECK_EQ(query_open(t, fix_spec(&f, Q("i")), &q, &f.err), ST_OK);
			while (query_next(q, &d, &f.err) == ST_OK && d) {
				struct val  x = val_path(doc_val(d), S("o.x"));
				struct doc *same;
				char        text[ID_TEXT_MAX];

				CHECK(val_cmp(last, x) <= 0);
				last = x;
				seen++;
				id_format(d->id, text);
				CHECK_EQ(txn_get(t, STR_EMPTY, str_z(text), false, &same, &f.err),
				    ST_OK);
				CHECK(same && val_eq(doc_val(d), doc_val(same)));
			}
			CHECK_EQ(seen, live);
		}
		txn_free(t);
		t = system_txn(&f);
		CHECK_QUERY(&f, t,
		    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_index_backfills\","
		    "\"order\":null},\"operators\":[]}",
		    "indexId", "");
		txn_free(t);
		fix_close(&f);
	}
}

static void
remove_files(const char *dir)
{
	static const char *const names_[] = { "db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm",
		"db.sqlite3.lock" };
	char                     path[64];

	for (size_t i = 0; i < COUNT_OF(names_); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names_[i]);
		(void)remove(path);
	}
	CHECK_EQ(remove(dir), 0);
}

static void
open_file(struct fix *f, const char *path)
{
	struct store store;
	struct err   e = err_in(NULL);

	CHECK_EQ(store_open_sqlite(path, &store, &e), ST_OK);
	fix_open_store(f, S("carnitas"), store);
}

/* A backfill and a validation that a restart interrupts go on where they were. */
TEST(background_work_survives_restarts)
{
	static const char wanted[] = TABLE(IX("i", "\"n\""), "", NUMBER);
	char              dir[] = "/tmp/ddl_test.XXXXXX", path[64];
	struct fix        f;
	struct txn       *t;
	struct docid      id;
	str               got;
	bool              more = true;
	uint64_t          steps = 0;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/db.sqlite3", dir);
	open_file(&f, path);
	t = fix_begin(&f);
	for (int i = 0; i < 1700; i++)
		fix_insert(&f, t, "t", arena_z(f.arena, arena_fmt(f.arena, "{\"n\":%d}", i % 10)));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	id = start_push(&f, wanted, NULL);
	while (more) {
		uint64_t now = f.now;

		CHECK_EQ(ddl_background_step(f.db, &more, &f.err), ST_OK);
		fix_close(&f);
		open_file(&f, path);
		f.now = now + 1000000000;
		f.dice += ++steps; /* or ids would repeat */
		CHECK(steps < 20);
	}
	CHECK(steps >= 5);
	CHECK_EQ(state_of(&f, id).progress, DDL_COMPLETE);
	finish_push(&f, wanted, id);
	t = fix_begin_query(&f);
	CHECK_EQ(fix_query(&f, t,
		     "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t.i\",\"range\":[{"
		     "\"type\":\"Gte\",\"fieldPath\":\"n\",\"value\":9}],\"order\":null},"
		     "\"operators\":[]}",
		     "n", &got),
	    ST_OK);
	CHECK_EQ(got.n, 170 * 4 - 1);
	txn_free(t);
	fix_close(&f);
	remove_files(dir);
}

/* Search and vector indexes are accepted, have no backfill to wait for, and refuse queries. */
TEST(search_indexes_hold_nothing_yet)
{
	static const char wanted[] =
	    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":[],\"searchIndexes\":[{"
	    "\"indexDescriptor\":\"s\",\"searchField\":\"a\",\"filterFields\":[\"b\"]}],"
	    "\"vectorIndexes\":[{\"indexDescriptor\":\"v\",\"vectorField\":\"e\",\"dimensions\":3,"
	    "\"filterFields\":[]}],\"documentType\":null}]}";
	struct fix  f;
	struct txn *t;
	str         got;

	fix_open(&f);
	insert(&f, "t", "{\"a\":\"x\"}");
	fix_push(&f, wanted);
	CHECK_STRZ(stored(&f), "s[a]enabled v[e]enabled");
	insert(&f, "t", "{\"a\":\"y\"}");
	t = fix_begin_query(&f);
	CHECK_EQ(fix_query(&f, t,
		     "{\"source\":{\"type\":\"Search\",\"indexName\":\"t.s\",\"filters\":[]},"
		     "\"operators\":[]}",
		     "a", &got),
	    ST_BAD_REQUEST);
	txn_free(t);
	fix_push(&f, ANY("", ""));
	CHECK_STRZ(stored(&f), "");
	fix_close(&f);
}

TEST_RUN(T(active_schema_is_enforced), T(existing_documents_are_validated),
    T(a_write_cannot_slip_past_a_pending_schema), T(schema_rows_are_reused_and_overwritten),
    T(schema_history_is_forgotten), T(deleting_tables_against_schemas),
    T(deleted_tables_disappear), T(index_preparation), T(pushes_without_schema),
    T(finish_needs_prepared_indexes), T(queries_during_a_push), T(pushes_invalidate_queries),
    T(a_new_index_misses_no_write), T(empty_tables_need_no_backfill), T(backfill_under_fire),
    T(background_work_survives_restarts), T(backfills_go_through_their_states),
    T(search_indexes_hold_nothing_yet))
