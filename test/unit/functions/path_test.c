/* path_test.c - function paths and request ids (spec 01 sections 1.2 and 11.4). */
#include "fn_fixture.h"

/* A path has one canonical form; whatever has none is refused. */
TEST(paths_become_canonical)
{
	const struct {
		const char *path, *want; /* NULL: refused */
	} rows[] = {
		{ "messages:list", "messages.js:list" },
		{ "messages.js:list", "messages.js:list" },
		{ "messages", "messages.js:default" },
		{ "a/b:f", "a/b.js:f" },
		{ "a//b/./c:f", "a/b/c.js:f" },
		{ "a.b/c:f", "a.b/c.js:f" },
		{ "_system/cli/tables:default", "_system/cli/tables.js:default" },
		{ "m:__f1", "m.js:__f1" },
		{ "", NULL },
		{ ":f", NULL },
		{ "/a:f", NULL },
		{ "./a:f", NULL },
		{ "a/../b:f", NULL },
		{ "a.ts:f", NULL },
		{ "a-b:f", NULL },
		{ "a b:f", NULL },
		{ "_/a:f", NULL },
		{ "a:", NULL },
		{ "a:1f", NULL },
		{ "a:___", NULL },
		{ "a:f-g", NULL },
		{ "a:b:f", NULL },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		str    got = STR_EMPTY;
		status st = fn_path_parse(a, str_z(rows[i].path), &got, NULL);

		fprintf(stderr, "  %s\n", rows[i].path);
		CHECK_EQ(st, rows[i].want ? ST_OK : ST_BAD_REQUEST);
		CHECK_STRZ(got, rows[i].want);
	}
	arena_free(a);
}

/* A part may be 64 bytes long with its ".js", which leaves 61 for the last one. */
TEST(path_parts_are_limited)
{
	struct arena *a = arena_new();
	char          part[70];
	str           got;

	memset(part, 'a', sizeof part);
	CHECK_EQ(fn_path_parse(a, str_of(part, 61), &got, NULL), ST_OK);
	CHECK_EQ(fn_path_parse(a, str_of(part, 62), &got, NULL), ST_BAD_REQUEST);
	CHECK_EQ(fn_path_parse(a, arena_fmt(a, "%.64s/m:f", part), &got, NULL), ST_OK);
	CHECK_EQ(fn_path_parse(a, arena_fmt(a, "%.65s/m:f", part), &got, NULL), ST_BAD_REQUEST);
	CHECK_EQ(fn_path_parse(a, arena_fmt(a, "m:%.64s", part), &got, NULL), ST_OK);
	CHECK_EQ(fn_path_parse(a, arena_fmt(a, "m:%.65s", part), &got, NULL), ST_BAD_REQUEST);
	arena_free(a);
}

/* The refusal names the path as it was given. */
TEST(bad_path_is_named)
{
	struct arena *a = arena_new();
	struct err    e = err_in(a);
	str           got;

	CHECK_EQ(fn_path_parse(a, S("a-b:f"), &got, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "BadConvexFunctionIdentifier");
	CHECK(str_starts(e.text, S("a-b:f is not a valid path to a Convex function. ")));
	arena_free(a);
}

TEST(display_form_drops_what_is_implied)
{
	struct arena *a = arena_new();

	CHECK_STRZ(fn_path_display(a, S("messages.js:list")), "messages:list");
	CHECK_STRZ(fn_path_display(a, S("a/b.js:default")), "a/b");
	arena_free(a);
}

/* A request that is sent again keeps its id (vectors of spec 01 section 11.4). */
TEST(session_request_ids_are_stable)
{
	struct arena *a = arena_new();
	const str     session = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");

	CHECK_STRZ(fn_session_request_id(a, session, 0), "c6ffc6b8b68a1452");
	CHECK_STRZ(fn_session_request_id(a, session, 1), "ab1f8e277b0a86ce");
	arena_free(a);
}

/* A read-only key is refused by the name that the CLI recognises (spec 02 section 15.5). */
TEST(read_only_keys_may_only_look)
{
	struct identity *i = identity_system();
	struct identity *nobody = identity_none();
	struct err       e = err_in(NULL);

	CHECK_EQ(identity_require(i, "Deploy", &e), ST_OK);
	i->read_only = true;
	CHECK_EQ(identity_require(i, "ViewData", &e), ST_OK);
	CHECK_EQ(identity_require(i, "WriteData", &e), ST_FORBIDDEN);
	CHECK_STRZ(e.code, "OperationNotPermitted");
	CHECK_STRZ(e.text,
	    "You do not have permission to perform this operation (`deployment:data:write`).");
	CHECK_EQ(identity_require(nobody, "ViewData", &e), ST_FORBIDDEN);
	CHECK_STRZ(e.code, "BadDeployKey");
	identity_unref(i);
	identity_unref(nobody);
}

TEST_RUN(T(paths_become_canonical), T(path_parts_are_limited), T(bad_path_is_named),
    T(display_form_drops_what_is_implied), T(session_request_ids_are_stable),
    T(read_only_keys_may_only_look))
