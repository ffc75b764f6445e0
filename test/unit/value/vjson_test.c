/* vjson_test.c - values as JSON (spec 03 section 1.2, spec 01 section 10). */
#include "unit/value/help.h"

static str
write(struct val v, enum vjson_format f)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, f);
	s = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

/* 03 checklist 1: every form of spec 03 section 1.2 and spec 01 section 10 reads and writes
 * byte for byte, and has its three texts. */
TEST(vjson_forms)
{
	static const struct {
		const char *encoded, *clean, *exported; /* NULL: as encoded */
	} rows[] = {
		{ "null", NULL, NULL },
		{ "true", NULL, NULL },
		{ "false", NULL, NULL },
		{ "1.0", NULL, NULL },
		{ "0.1", NULL, NULL },
		{ "1e21", NULL, NULL },
		{ "\"\"", NULL, NULL },
		{ "\"a\\u0000\\\"\\\\\\n\xc3\xa9\"", NULL, NULL },
		{ "{\"$integer\":\"AAAAAAAAAAA=\"}", "\"0\"", "0" },
		{ "{\"$integer\":\"AQAAAAAAAAA=\"}", "\"1\"", "1" },
		{ "{\"$integer\":\"//////////8=\"}", "\"-1\"", "-1" },
		{ "{\"$integer\":\"ewAAAAAAAAA=\"}", "\"123\"", "123" },
		{ "{\"$integer\":\"AQAAAAAAIAA=\"}", "\"9007199254740993\"", "9007199254740993" },
		{ "{\"$integer\":\"ywT7cR8BAAA=\"}", "\"1234567890123\"", "1234567890123" },
		{ "{\"$integer\":\"/////////38=\"}", "\"9223372036854775807\"",
		    "9223372036854775807" },
		{ "{\"$integer\":\"AAAAAAAAAIA=\"}", "\"-9223372036854775808\"",
		    "-9223372036854775808" },
		{ "{\"$float\":\"AAAAAAAA+H8=\"}", "\"NaN\"", NULL },
		{ "{\"$float\":\"AAAAAAAA8H8=\"}", "\"Infinity\"", NULL },
		{ "{\"$float\":\"AAAAAAAA8P8=\"}", "\"-Infinity\"", NULL },
		{ "{\"$float\":\"AAAAAAAAAIA=\"}", "-0.0", "-0.0" },
		{ "{\"$bytes\":\"ABCD\"}", "\"ABCD\"", NULL },
		{ "{\"$bytes\":\"\"}", "\"\"", NULL },
		{ "[]", NULL, NULL },
		{ "[1.0,[],{}]", NULL, NULL },
		{ "{\"\":1.0,\"A\":null,\"_id\":2.0,\"a\":{\"b\":[true]}}", NULL, NULL },
		{ "{\"$undefined\":null}", NULL, NULL },
		{ "{\"$commitTs\":null}", NULL, NULL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct val  v = V(rows[i].encoded);
		const char *clean = rows[i].clean ? rows[i].clean : rows[i].encoded;
		const char *exported = rows[i].exported ? rows[i].exported : rows[i].encoded;

		CHECK_STRZ(write(v, VJSON_ENCODED), rows[i].encoded);
		CHECK_STRZ(write(v, VJSON_CLEAN), clean);
		CHECK_STRZ(write(v, VJSON_EXPORT), exported);
	}
}

/* 03 checklist 1: a number is a Float64, however it is spelled. */
TEST(vjson_numbers_are_float64)
{
	static const struct {
		const char *text;
		double      want;
	} rows[] = {
		{ "5", 5 },
		{ "1e3", 1000 },
		{ "12345678901234567890", 12345678901234567890.0 },
		{ "-0", -0.0 },
		{ "9223372036854775807", 9223372036854775807.0 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		double d = val_float64(V(rows[i].text));

		assert_memory_equal(&d, &rows[i].want, sizeof d);
	}
}

/* 03 checklist 2, and the other refusals of spec 03 section 1.2. */
TEST(vjson_refusals)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "{\"$float\":\"AAAAAAAA8D8=\"}", "Float64 1 should be encoded as a number" },
		{ "{\"$float\":\"AQAAAAAAAAA=\"}", "Float64 5e-324 should be encoded as a number" },
		{ "{\"$integer\":\"AQAAAAAAAAA=\",\"x\":1}",
		    "Field name $integer starts with '$', which is reserved." },
		{ "{\"x\":1,\"$integer\":\"AQAAAAAAAAA=\"}",
		    "Field name $integer starts with '$', which is reserved." },
		{ "{\"$set\":[]}", "Field name $set starts with '$', which is reserved." },
		{ "{\"$map\":[]}", "Field name $map starts with '$', which is reserved." },
		{ "{\"$integer\":1}", "Field name $integer starts with '$', which is reserved." },
		{ "{\"$bytes\":null}", "Field name $bytes starts with '$', which is reserved." },
		{ "{\"$integer\":\"AQAAAAAAAA==\"}", "$integer must be the base64 of 8 bytes" },
		{ "{\"$integer\":\"AQAAAAAAAAA\"}", "$integer must be the base64 of 8 bytes" },
		{ "{\"$integer\":\"\"}", "$integer must be the base64 of 8 bytes" },
		{ "{\"$float\":\"AAAA\"}", "$float must be the base64 of 8 bytes" },
		{ "{\"$bytes\":\"AB\"}", "$bytes must be base64" },
		{ "{\"$bytes\":\"AB-_\"}", "$bytes must be base64" },
		{ "{\"$undefined\":null}",
		    "Field name $undefined starts with '$', which is reserved." },
		{ "[{\"$commitTs\":null}]",
		    "Field name $commitTs starts with '$', which is reserved." },
		{ "{\"a\":{\"\xc3\xa9\":1}}",
		    "Field name \xc3\xa9 has invalid character '\xc3\xa9': Field names can only "
		    "contain non-control ASCII characters" },
		{ "[1,", "EOF while parsing a value at line 1 column 3" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = err_in(arena);
		struct val v = VAL_NONE;

		CHECK_EQ(vjson_parse(arena, str_z(rows[i].text), VJSON_PLAIN, &v, &e),
		    ST_BAD_REQUEST);
		CHECK_STRZ(e.text, rows[i].want);
		CHECK(!val_some(v));
	}
}

/* The reader of trees and the reader of text agree on every value and on what is wrong, odd
 * shapes of reserved keys included. */
TEST(vjson_readers_agree)
{
	static const char *const rows[] = {
		"[1,{\"a\":[{\"$integer\":\"AQAAAAAAAAA=\"},{}]},\"x\\n\"]",
		"{\"b\":1,\"a\":2,\"b\":3}",
		"{\"$integer\":\"x\",\"$integer\":\"AQAAAAAAAAA=\"}", /* the last one counts */
		"{\"$integer\":\"AQAAAAAAAAA=\",\"$integer\":[]}",
		"{\"$integer\":\"AQAAAAAAAAA=\",\"$float\":\"AAAAAAAA+H8=\"}",
		"{\"\\u0024bytes\":\"AA==\"}",
		"{\"$undefined\":null,\"$undefined\":null}",
		"{\"$undefined\":null,\"a\":1}",
		"{\"$undefined\":\"\"}",
		"{\"$commitTs\":false}",
		"{\"$integer\":{\"a\":1}}",
		"{\"$other\":\"x\"}",
		"{\"$\":null}",
		"{\"$float\":\"AAAAAAAA8D8=\"}",
	};
	const int allow = VJSON_UNDEFINED | VJSON_COMMIT_TS;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int trusted = 0; trusted < 2; trusted++) {
			struct pack  p[2];
			struct val   v[2];
			struct err   e[2] = { err_in(arena), err_in(arena) };
			status       st[2];
			struct json *j;

			CHECK_EQ(json_parse(arena, str_z(rows[i]), &j, NULL), ST_OK);
			for (int k = 0; k < 2; k++) {
				pack_init(&p[k]);
				p[k].trusted = trusted;
			}
			st[0] = vjson_read(&p[0], j, allow, &e[0]);
			st[1] = vjson_read_text(&p[1], arena, str_z(rows[i]), allow, &e[1]);
			for (int k = 0; k < 2; k++)
				if (st[k] == ST_OK)
					st[k] = pack_done(&p[k], &v[k], &e[k]);
			CHECK_EQ(st[0], st[1]);
			CHECK_STR(e[0].text, e[1].text);
			if (st[0] == ST_OK)
				CHECK(val_eq(v[0], v[1]) && v[0].n == v[1].n);
			pack_clear(&p[0]);
			pack_clear(&p[1]);
		}
	}
}

/* +0 in the wrapped form is tolerated. */
TEST(vjson_tolerates_wrapped_zero)
{
	CHECK(val_eq(V("{\"$float\":\"AAAAAAAAAAA=\"}"), V("0")));
}

/* The two tokens are values only where the caller says so, one by one. */
TEST(vjson_tokens_need_permission)
{
	struct val v;

	CHECK_EQ(vjson_parse(arena, S("{\"a\":{\"$undefined\":null}}"), VJSON_UNDEFINED, &v, NULL),
	    ST_OK);
	CHECK_EQ(val_kind(val_get(v, S("a"))), VAL_UNDEFINED);
	CHECK_EQ(vjson_parse(arena, S("{\"$undefined\":null}"), VJSON_COMMIT_TS, &v, NULL),
	    ST_BAD_REQUEST);
	CHECK_EQ(vjson_parse(arena, S("{\"$undefined\":0}"), VJSON_UNDEFINED, &v, NULL),
	    ST_BAD_REQUEST);
	CHECK_EQ(vjson_parse(arena, S("{\"$commitTs\":null}"), VJSON_COMMIT_TS, &v, NULL), ST_OK);
	CHECK_EQ(val_kind(v), VAL_COMMIT_TS);
	CHECK_EQ(vjson_parse(arena, S("{\"$commitTs\":null}"), VJSON_UNDEFINED, &v, NULL),
	    ST_BAD_REQUEST);
}

/* Spec 03 section 1.2, the export form: integral numbers that fit are Int64. */
TEST(vjson_reads_the_export_form)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "5", "{\"$integer\":\"BQAAAAAAAAA=\"}" },
		{ "-9223372036854775808", "{\"$integer\":\"AAAAAAAAAIA=\"}" },
		{ "9223372036854775808", "9223372036854775808" },
		{ "5.0", "5" },
		{ "5e0", "5" },
		{ "-0.0", "{\"$float\":\"AAAAAAAAAIA=\"}" },
		{ "{\"$float\":\"AAAAAAAA+H8=\"}", "{\"$float\":\"AAAAAAAA+H8=\"}" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct val v;

		CHECK_EQ(vjson_parse(arena, str_z(rows[i].text), VJSON_EXPORTED, &v, NULL), ST_OK);
		CHECK(val_eq(v, V(rows[i].want)));
	}
}

/* 03 checklist 7, from JSON: an args array counts as a level. */
TEST(vjson_limits)
{
	char       text[200];
	struct val v;
	struct err e = err_in(arena);

	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	CHECK_EQ(vjson_parse(arena, str_of(text + 1, 128), VJSON_PLAIN, &v, &e), ST_OK);
	CHECK_EQ(vjson_parse(arena, str_of(text, 130), VJSON_PLAIN, &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "TooNestedError");
}

/* 03 checklist 1: random values survive the round trip in the encoded form. */
TEST(vjson_random_round_trip)
{
	uint64_t      state = 7;
	struct pack   p;
	struct arena *keep = arena;

	pack_init(&p);
	for (int i = 0; i < 2000; i++) {
		struct val v, back;
		str        text;

		arena = arena_new();
		pack_reset(&p);
		random_value(&p, &state, 4);
		CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
		text = write(v, VJSON_ENCODED);
		back = val_of(text);
		CHECK(back.n == v.n && memcmp(back.p, v.p, v.n) == 0);
		arena_free(arena);
	}
	arena = keep;
	pack_clear(&p);
}

TEST(vjson_format_names)
{
	static const struct {
		const char       *name;
		enum vjson_format want;
	} rows[] = {
		{ "convex_encoded_json", VJSON_ENCODED },
		{ "convex_json", VJSON_ENCODED },
		{ "json", VJSON_CLEAN },
		{ "convex_clean_json", VJSON_CLEAN },
		{ "export_json", VJSON_EXPORT },
	};
	enum vjson_format f = VJSON_EXPORT;
	struct err        e = err_in(arena);

	CHECK_EQ(vjson_format_named(S("xml"), &f, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "BadFormat");
	CHECK_STRZ(e.text, "format param must be one of [`json`]. Got xml");
	CHECK_EQ(f, VJSON_EXPORT);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CHECK_EQ(vjson_format_named(str_z(rows[i].name), &f, NULL), ST_OK);
		CHECK_EQ(f, rows[i].want);
	}
}

TEST_RUN_VALUES(T(vjson_forms), T(vjson_numbers_are_float64), T(vjson_refusals),
    T(vjson_readers_agree),
    T(vjson_tolerates_wrapped_zero), T(vjson_tokens_need_permission),
    T(vjson_reads_the_export_form), T(vjson_limits), T(vjson_random_round_trip),
    T(vjson_format_names))
