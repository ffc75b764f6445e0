/* client_test.c - the Convex-Client header, and query strings. */
#include "test.h"

#include "base/url.h"
#include "net/client.h"

/* Spec 01 section 2.1: name and version, thresholds, and who gets encoded values by default. */
TEST(client_headers) /* 01 checklist 36, 42; 02 checklist 4 */
{
	const struct {
		const char *header;
		const char *code; /* NULL: accepted */
		const char *name;
		bool        has_version, encoded;
	} rows[] = {
		{ "npm-1.48.0", NULL, "npm", true, false },
		{ "npm-cli-1.48.0", NULL, "npm-cli", true, false },
		{ "npm-1.4.0", NULL, "npm", true, true },
		{ "npm-1.4.1", NULL, "npm", true, false },
		{ "NPM-1.4.0", NULL, "NPM", true, true },
		{ "npm-1.2.3-alpha.1", NULL, "npm", true, true },
		{ "python-0.4.9", NULL, "python", true, true },
		{ "python-convex-0.7.0", NULL, "python-convex", true, false },
		{ "streaming-import-1.0.0", NULL, "streaming-import", true, false },
		{ "rust-0.9.0", NULL, "rust", true, false },
		{ "swift-nightly", NULL, "swift", false, false },
		{ "npm", "InvalidClientVersion", NULL, false, false },
		{ "npm-latest", "ClientVersionUnsupported", NULL, false, false },
		{ "npm-0.19.1", "ClientVersionUnsupported", NULL, false, false },
		{ "npm-0.19.2", NULL, "npm", true, true },
		{ "python-0.0.2", "ClientVersionUnsupported", NULL, false, false },
		{ "rust-0.0.1", "ClientVersionUnsupported", NULL, false, false },
		{ "npm-01.48.0", "ClientVersionUnsupported", NULL, false, false },
		{ "npm-99999999999.0.0", "ClientVersionUnsupported", NULL, false, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct client c;
		struct err    e = err_in(NULL);
		status        st = client_parse(str_z(rows[i].header), &c, &e);

		fprintf(stderr, "  %s\n", rows[i].header);
		if (rows[i].code) {
			CHECK_EQ(st, ST_BAD_REQUEST);
			CHECK_STRZ(e.code, rows[i].code);
			continue;
		}
		CHECK_EQ(st, ST_OK);
		CHECK_STRZ(c.name, rows[i].name);
		CHECK_EQ(c.has_version, rows[i].has_version);
		CHECK_EQ(client_wants_encoded(&c), rows[i].encoded);
	}
}

TEST(no_header_is_an_unknown_client)
{
	struct client c;

	CHECK_EQ(client_parse((str){ NULL, 0 }, &c, NULL), ST_OK);
	CHECK_EQ(c.name.n, 0);
	CHECK(!client_wants_encoded(&c));
}

TEST(versions_in_paths)
{
	const struct {
		const char *segment, *code;
	} rows[] = {
		{ "1.48.0", NULL },
		{ "1.48.0-alpha.0", NULL },
		{ "1.48.0+build.5", NULL },
		{ "0.19.1", "ClientVersionUnsupported" },
		{ "1.48", "InvalidClientVersion" },
		{ "1.48.0.1", "InvalidClientVersion" },
		{ "1.48.0-", "InvalidClientVersion" },
		{ "1.48.0-a..b", "InvalidClientVersion" },
		{ "v1.48.0", "InvalidClientVersion" },
		{ "", "InvalidClientVersion" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct client c;
		struct err    e = err_in(NULL);
		status        st = client_parse_path(str_z(rows[i].segment), &c, &e);

		CHECK_EQ(st, rows[i].code ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].code)
			CHECK_STRZ(e.code, rows[i].code);
	}
}

/* Query strings: the first parameter of the name, decoded; broken encodings are no value. */
TEST(query_parameters)
{
	const struct {
		const char *query, *name, *value; /* value NULL: none */
	} rows[] = {
		{ "a=1&b=2", "b", "2" },
		{ "a=1&a=2", "a", "1" },
		{ "a=x+y%20z%C3%A9", "a", "x y z\xc3\xa9" },
		{ "%61=1", "a", "1" },
		{ "a", "a", "" },
		{ "a=", "a", "" },
		{ "a=b=c", "a", "b=c" },
		{ "&&a=1", "a", "1" },
		{ "ab=1", "a", NULL },
		{ "", "a", NULL },
		{ "a=%4", "a", NULL },
		{ "a=%zz", "a", NULL },
		{ "a=%", "a", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct arena *a = arena_new();
		str           value;
		bool found = url_param(a, str_z(rows[i].query), str_z(rows[i].name), &value);

		CHECK_EQ(found, rows[i].value != NULL);
		if (found)
			CHECK_STRZ(value, rows[i].value);
		arena_free(a);
	}
}

TEST_RUN(T(client_headers), T(no_header_is_an_unknown_client), T(versions_in_paths),
    T(query_parameters))
