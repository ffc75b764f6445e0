/* fnlog_test.c - the function log that `npx convex logs` reads. */
#include "admin/fnlog.h"
#include "test.h"

static uint64_t fake_now = 1700000000000000000u;

static uint64_t
now_ns(void *arg)
{
	(void)arg;
	return fake_now;
}

static const struct os fake_os = { .now_ns = now_ns, .mono_ns = now_ns };

static void
add(struct fnlog *l, const char *path, const char *line)
{
	struct fn_call   *c = fn_call_new();
	struct fn_result *r = fn_result_new();
	str               message = str_z(line);

	c->path = arena_str(c->arena, str_z(path));
	c->identity = identity_none();
	c->request_id = S("0e0fc3d75de1b1d2");
	r->st = ST_OK;
	r->ok = true;
	r->kind = UDF_QUERY;
	r->kind_known = true;
	r->value_json = S("1");
	loglines_add(
	    &r->logs, &(struct logline){ .level = LINE_LOG, .nmessages = 1, .messages = &message });
	r->nlines = 1;
	r->lines = ARENA_ARRAY(r->arena, str, 1);
	r->lines[0] = arena_fmt(r->arena, "[LOG] %s", line);
	fnlog_add(l, c, r, false);
	fn_result_unref(r);
	fn_call_unref(c);
}

static const struct json *
entries(struct arena *a, const struct buf *b, double *ret_cursor)
{
	struct json *j;

	CHECK_EQ(json_parse(a, buf_str(b), &j, NULL), ST_OK);
	CHECK(json_get_num(j, "newCursor", ret_cursor));
	return json_get(j, "entries");
}

/* A poll returns exactly what is newer than its cursor; cursors never repeat even when the
 * clock stands still (spec 05 section 9.1; 05 checklist 36). */
TEST(polls_see_each_entry_once)
{
	struct fnlog      *l = fnlog_new(&fake_os);
	struct arena      *a = arena_new();
	const struct json *list;
	struct buf         b;
	double             cursor, next;

	buf_init(&b, 1 << 20);
	CHECK(!fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	add(l, "m.js:a", "'one'");
	add(l, "m.js:b", "'two'");
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	list = entries(a, &b, &cursor);
	CHECK_EQ(list->n, 2);
	CHECK(!fnlog_read(l, cursor, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	buf_reset(&b);
	add(l, "m.js:c", "'three'");
	CHECK(fnlog_read(l, cursor, FNLOG_TEXTS, (str){ 0 }, (str){ 0 }, &b));
	list = entries(a, &b, &next);
	CHECK_EQ(list->n, 1);
	CHECK(next > cursor);
	CHECK_STR(json_get(&list->items[0], "logLines")->items[0].string, S("[LOG] 'three'"));
	CHECK_STR(json_get(&list->items[0], "identifier")->string, S("m:c"));
	buf_clear(&b);
	arena_free(a);
	fnlog_free(l);
}

/* A mutation that lost to others tells to whom (spec 05 section 9.1, spec 03 section 5.7). */
TEST(conflicts_are_named)
{
	struct fnlog      *l = fnlog_new(&fake_os);
	struct fn_call    *c = fn_call_new();
	struct fn_result  *r = fn_result_new();
	struct arena      *a = arena_new();
	const struct json *info;
	struct buf         b;
	double             cursor, retries;

	c->path = S("m.js:add");
	c->identity = identity_none();
	c->request_id = S("0e0fc3d75de1b1d2");
	r->st = ST_OCC;
	r->kind = UDF_MUTATION;
	r->kind_known = true;
	r->retries = 4;
	r->conflict = ARENA_NEW(r->arena, struct conflict);
	*r->conflict = (struct conflict){ .table = "notes", .index = "by_id", .doc = "j57",
		.writer = "m.js:set" };
	fnlog_add(l, c, r, false);
	buf_init(&b, 1 << 20);
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	info = json_get(&entries(a, &b, &cursor)->items[0], "occInfo");
	CHECK_STR(json_get(info, "tableName")->string, S("notes"));
	CHECK_STR(json_get(info, "documentId")->string, S("j57"));
	CHECK_STR(json_get(info, "writeSource")->string, S("m.js:set"));
	CHECK(json_get_num(info, "retryCount", &retries));
	CHECK(retries == 4);
	buf_clear(&b);
	fn_result_unref(r);
	fn_call_unref(c);
	arena_free(a);
	fnlog_free(l);
}

/* The CLI and the dashboard get lines as objects, everybody else as strings; system functions
 * are not logged; a filter keeps one client's request (05 checklist 37, 38). */
TEST(forms_and_filters)
{
	const str          session = S("9e2a7f2e-6b1c-4e0a-8a53-0d5d6a1c2b3f");
	struct fnlog      *l = fnlog_new(&fake_os);
	struct arena      *a = arena_new();
	const struct json *list;
	struct buf         b;
	double             cursor;

	buf_init(&b, 1 << 20);
	add(l, "_system/cli/tables.js:default", "'hidden'");
	CHECK(!fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	add(l, "m.js:a", "'x'");
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	list = entries(a, &b, &cursor);
	CHECK_STR(
	    json_get(json_get(&list->items[0], "logLines")->items, "messages")->items[0].string,
	    S("'x'"));
	buf_reset(&b);
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, session, S("4"), &b));
	CHECK_EQ(entries(a, &b, &cursor)->n, 1);
	buf_reset(&b);
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, session, S("5"), &b));
	CHECK_EQ(entries(a, &b, &cursor)->n, 0);
	buf_clear(&b);
	arena_free(a);
	fnlog_free(l);
}

/* What an action printed while it ran is not in its completion, except for those who see only
 * that (spec 02 section 13). */
TEST(progress)
{
	struct fnlog      *l = fnlog_new(&fake_os);
	struct fn_call    *c = fn_call_new();
	struct fn_result  *r = fn_result_new();
	struct arena      *a = arena_new();
	str                message = S("'now'");
	const struct json *list;
	struct buf         b;
	double             cursor;

	c->path = S("m.js:act");
	c->identity = identity_none();
	c->request_id = S("0e0fc3d75de1b1d2");
	loglines_add(&r->logs,
	    &(struct logline){ .level = LINE_WARN, .nmessages = 1, .messages = &message });
	fnlog_add_progress(
	    l, &(struct fn_progress){ .call = c, .kind = UDF_ACTION, .lines = &r->logs });
	r->ok = r->kind_known = r->told = true;
	r->kind = UDF_ACTION;
	r->value_json = S("1");
	fnlog_add(l, c, r, false);
	buf_init(&b, 1 << 20);
	CHECK(fnlog_read(l, 0, FNLOG_TEXTS, (str){ 0 }, (str){ 0 }, &b));
	list = entries(a, &b, &cursor);
	CHECK_EQ(list->n, 2);
	CHECK_STR(json_get(&list->items[0], "kind")->string, S("Progress"));
	CHECK_STR(json_get(&list->items[0], "udfType")->string, S("Action"));
	CHECK_STR(json_get(&list->items[0], "logLines")->items[0].string, S("[WARN] 'now'"));
	CHECK_EQ(json_get(&list->items[1], "logLines")->n, 0);
	buf_reset(&b);
	CHECK(fnlog_read(l, 0, FNLOG_RUNS, (str){ 0 }, (str){ 0 }, &b));
	list = entries(a, &b, &cursor);
	CHECK_EQ(list->n, 1);
	CHECK_STR(json_get(&list->items[0], "logLines")->items[0].string, S("[WARN] 'now'"));
	buf_clear(&b);
	fn_result_unref(r);
	fn_call_unref(c);
	arena_free(a);
	fnlog_free(l);
}

/* The ring keeps the newest thousand. */
TEST(bounded)
{
	struct fnlog *l = fnlog_new(&fake_os);
	struct arena *a = arena_new();
	struct buf    b;
	double        cursor;

	for (int i = 0; i < 1500; i++)
		add(l, "m.js:a", "'x'");
	buf_init(&b, 64 << 20);
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	CHECK_EQ(entries(a, &b, &cursor)->n, 1000);
	buf_clear(&b);
	arena_free(a);
	fnlog_free(l);
}

/* Runs that print much push older ones out before there are a thousand. */
TEST(bounded_in_bytes)
{
	static char   line[32001];
	struct fnlog *l = fnlog_new(&fake_os);
	struct arena *a = arena_new();
	struct buf    b;
	double        cursor;
	size_t        n;

	memset(line, 'x', sizeof line - 1);
	for (int i = 0; i < 1000; i++)
		add(l, "m.js:a", line);
	buf_init(&b, 64 << 20);
	CHECK(fnlog_read(l, 0, FNLOG_OBJECTS, (str){ 0 }, (str){ 0 }, &b));
	n = entries(a, &b, &cursor)->n;
	CHECK(n > 450 && b.n <= 16 << 20); /* in two forms: 32 MiB */
	add(l, "m.js:a", "'x'");
	buf_reset(&b);
	CHECK(fnlog_read(l, 0, FNLOG_RUNS, (str){ 0 }, (str){ 0 }, &b));
	CHECK_EQ(entries(a, &b, &cursor)->n, n + 1);
	buf_clear(&b);
	arena_free(a);
	fnlog_free(l);
}

TEST_RUN(T(polls_see_each_entry_once), T(conflicts_are_named), T(forms_and_filters), T(progress),
    T(bounded), T(bounded_in_bytes))
