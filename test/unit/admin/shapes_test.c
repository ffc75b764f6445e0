/* shapes_test.c - the shapes of tables (spec 03 section 9). */
#include "../database/db_fixture.h"

#include "admin/shapes.h"

static str
shapes(struct fix *f, struct uid component)
{
	struct snapshot *s = db_snapshot(f->db);
	struct buf       b;
	struct json     *j;
	str              text;

	buf_init(&b, BUF_MAX_DEFAULT);
	shapes_write(snapshot_catalog(s), component, &b);
	snapshot_unref(s);
	text = arena_str(f->arena, buf_str(&b));
	buf_clear(&b);
	CHECK_EQ(json_parse(f->arena, text, &j, &f->err), ST_OK);
	CHECK_EQ(j->kind, JSON_OBJECT);
	return text;
}

/* 03 checklist 50: valid JSON with every table of the component, system tables left out. */
TEST(every_table_has_a_shape)
{
	struct uid  component = { { 9 } };
	struct fix  f;
	struct txn *t;

	fix_open(&f);
	CHECK_STRZ(shapes(&f, (struct uid){ { 0 } }), "{}");
	t = fix_begin(&f);
	fix_insert(&f, t, "notes", "{\"a\":1}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	CHECK_STRZ(shapes(&f, (struct uid){ { 0 } }), "{\"notes\":{\"type\":\"Unknown\"}}");
	fix_push(&f, "{\"tables\":[{\"tableName\":\"empty\",\"indexes\":[],"
	             "\"documentType\":null}]}");
	t = fix_begin_as(&f, true, false, component);
	fix_insert(&f, t, "theirs", "{}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	CHECK_STRZ(shapes(&f, component), "{\"theirs\":{\"type\":\"Unknown\"}}");
	CHECK_EQ(shapes(&f, (struct uid){ { 0 } }).n,
	    strlen("{\"notes\":{\"type\":\"Unknown\"},\"empty\":{\"type\":\"Unknown\"}}"));
	CHECK_STRZ(shapes(&f, (struct uid){ { 7 } }), "{}");
	fix_close(&f);
}

TEST_RUN(T(every_table_has_a_shape))
