/* messages_test.c - what clients send (spec 01 section 3). */
#include "test.h"

#include "sync/session_int.h"

static status
parse(struct arena *a, const char *text, struct client_message *m, struct err *e)
{
	*e = err_in(a);
	return client_message_parse(a, str_z(text), m, e);
}

/* Any standard text form of a UUID is the same session. */
TEST(session_ids_have_one_form)
{
	const struct {
		const char *text;
		bool        ok;
	} rows[] = {
		{ "5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60", true },
		{ "5D8F2A34-0B0E-4C3E-9F7A-3B1C2D4E5F60", true },
		{ "5d8f2a340b0e4c3e9f7a3b1c2d4e5f60", true },
		{ "{5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60}", true },
		{ "urn:uuid:5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60", true },
		{ "5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f6", false },
		{ "5d8f2a3-40b0e-4c3e-9f7a-3b1c2d4e5f60", false },
		{ "5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f6g", false },
		{ "5d8f2a34-0b0e-4c3e-9f7a03b1c2d4e5f60", false },
		{ "", false },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct client_message m;
		struct err            e;
		str text = arena_fmt(a, "{\"type\":\"Connect\",\"sessionId\":\"%s\","
			"\"connectionCount\":0}", rows[i].text);
		status st = parse(a, text.p, &m, &e);

		fprintf(stderr, "  %s\n", rows[i].text);
		CHECK_EQ(st, rows[i].ok ? ST_OK : ST_BAD_REQUEST);
		if (rows[i].ok)
			CHECK_STRZ(m.session_id, "5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
	}
	arena_free(a);
}

/* Required fields are required, optional ones may be null, the rest is ignored. */
TEST(fields_are_needed_or_not)
{
	const struct {
		const char *why, *text;
		const char *error; /* NULL: accepted */
	} rows[] = {
		{ "not an object", "[]", "field `type`" },
		{ "type is a number", "{\"type\":1}", "field `type`" },
		{ "last duplicate wins", "{\"type\":\"x\",\"type\":\"Event\"}", NULL },
		{ "no count", "{\"type\":\"Connect\",\"sessionId\":"
			"\"5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60\"}", "`connectionCount`" },
		{ "u32 overflow", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":4294967296,"
			"\"newVersion\":1,\"modifications\":[]}", "`baseVersion`" },
		{ "negative version", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":-1,"
			"\"newVersion\":1,\"modifications\":[]}", "`baseVersion`" },
		{ "fraction", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0.5,"
			"\"newVersion\":1,\"modifications\":[]}", "`baseVersion`" },
		{ "modifications are no list", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0,"
			"\"newVersion\":1,\"modifications\":{}}", "`modifications`" },
		{ "unknown modification", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0,"
			"\"newVersion\":1,\"modifications\":[{\"type\":\"X\",\"queryId\":1}]}",
		    "unknown modification" },
		{ "journal of a wrong type", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0,"
			"\"newVersion\":1,\"modifications\":[{\"type\":\"Add\",\"queryId\":1,"
			"\"udfPath\":\"a:b\",\"args\":[],\"journal\":1}]}", "`journal`" },
		{ "null journal, unknown field", "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0,"
			"\"newVersion\":1,\"modifications\":[{\"type\":\"Add\",\"queryId\":1,"
			"\"udfPath\":\"a:b\",\"args\":[],\"journal\":null,\"z\":1}]}", NULL },
		{ "lone surrogate", "{\"type\":\"Event\",\"event\":\"\\ud800\"}",
		    "Received Invalid JSON on websocket: " },
		{ "token type", "{\"type\":\"Authenticate\",\"baseVersion\":0,"
			"\"tokenType\":\"Robot\"}", "unknown tokenType" },
		{ "token missing", "{\"type\":\"Authenticate\",\"baseVersion\":0,"
			"\"tokenType\":\"User\"}", "`value`" },
		{ "ts of seven bytes", "{\"type\":\"Connect\",\"sessionId\":"
			"\"5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60\",\"connectionCount\":0,"
			"\"maxObservedTimestamp\":\"AAAAAAAAAA==\"}", "maxObservedTimestamp" },
		{ "ts beyond 2^63-1", "{\"type\":\"Connect\",\"sessionId\":"
			"\"5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60\",\"connectionCount\":0,"
			"\"maxObservedTimestamp\":\"//////////8=\"}", "maxObservedTimestamp" },
		{ "digits in a component", "{\"type\":\"Mutation\",\"requestId\":0,\"udfPath\":"
			"\"a:b\",\"args\":[],\"componentPath\":\"1a\"}",
		    "Invalid component path '1a'" },
		{ "root component", "{\"type\":\"Mutation\",\"requestId\":0,\"udfPath\":\"a:b\","
			"\"args\":[],\"componentPath\":\"\"}", NULL },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct client_message m;
		struct err            e;
		size_t                at;

		fprintf(stderr, "  %s\n", rows[i].why);
		CHECK_EQ(parse(a, rows[i].text, &m, &e), rows[i].error ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].error)
			CHECK(str_find(e.text, str_z(rows[i].error), &at));
	}
	arena_free(a);
}

/* Arguments are handed on as they were written, big numbers and all. */
TEST(arguments_keep_their_text)
{
	struct arena         *a = arena_new();
	struct client_message m;
	struct err            e;

	CHECK_EQ(parse(a, "{\"type\":\"Mutation\",\"requestId\":7,\"udfPath\":\"m\","
		"\"args\":[ {\"n\":9007199254740993} ]}", &m, &e), ST_OK);
	CHECK_EQ(m.kind, CLIENT_MUTATION);
	CHECK_EQ(m.request, 7);
	CHECK_STRZ(m.call.path, "m.js:default");
	CHECK_STRZ(m.call.args, "[ {\"n\":9007199254740993} ]");
	CHECK_STRZ(m.call.component, "");
	arena_free(a);
}

/* Both spellings of impersonation. */
TEST(admins_may_act_as_users)
{
	const char *const     names[] = { "impersonating", "acting_as" };
	struct arena         *a = arena_new();
	struct client_message m;
	struct err            e;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		str text = arena_fmt(a, "{\"type\":\"Authenticate\",\"baseVersion\":2,"
			"\"tokenType\":\"Admin\",\"value\":\"k\",\"%s\":{\"subject\":\"s\"}}",
		    names[i]);

		CHECK_EQ(parse(a, text.p, &m, &e), ST_OK);
		CHECK_EQ(m.base, 2);
		CHECK(m.impersonating != NULL);
		CHECK_STRZ(m.impersonating->source, "{\"subject\":\"s\"}");
	}
	arena_free(a);
}

TEST_RUN(T(session_ids_have_one_form), T(fields_are_needed_or_not),
    T(arguments_keep_their_text), T(admins_may_act_as_users))
