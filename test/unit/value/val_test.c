/* val_test.c - packed values: building, reading, order, size and limits. */
#include "unit/value/help.h"

/* --- building and reading --- */

/* Fields come out sorted by byte order of names, whatever order they went in, and of a
 * repeated name the last value stays. */
TEST(objects_are_sorted_and_unique)
{
	struct pack p;
	struct val  v;
	str         name;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("b"));
	pack_int64(&p, 1);
	pack_key(&p, S("a"));
	pack_array(&p);
	pack_str(&p, S("lost"));
	pack_end(&p);
	pack_key(&p, S("_id"));
	pack_null(&p);
	pack_key(&p, S("A"));
	pack_bool(&p, true);
	pack_key(&p, S("a"));
	pack_str(&p, S("kept"));
	pack_end(&p);
	CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
	CHECK_EQ(val_count(v), 4);
	CHECK(val_bool(val_field_at(v, 0, &name)));
	CHECK_STRZ(name, "A");
	CHECK_EQ(val_kind(val_field_at(v, 1, &name)), VAL_NULL);
	CHECK_STRZ(name, "_id");
	CHECK_STRZ(val_str(val_field_at(v, 2, &name)), "kept");
	CHECK_STRZ(name, "a");
	CHECK_EQ(val_int64(val_field_at(v, 3, &name)), 1);
	CHECK_EQ(val_nesting(v), 1); /* the array went with its name */
	CHECK_EQ(val_size(v), 2 + (1 + 1 + 1) + (3 + 1 + 1) + (1 + 1 + 6) + (1 + 1 + 9));
	CHECK(val_eq(v, V("{\"A\":true,\"_id\":null,\"a\":\"kept\","
			  "\"b\":{\"$integer\":\"AQAAAAAAAAA=\"}}")));
	pack_clear(&p);
}

/* The packed form is canonical: the order in which fields were added leaves no trace. */
TEST(packed_bytes_are_canonical)
{
	struct val a = V("{\"x\":[1,{\"q\":1,\"p\":2}],\"y\":\"s\",\"\":null}");
	struct val b = V("{\"\":null,\"y\":\"t\",\"x\":[1,{\"p\":2,\"q\":1}],\"y\":\"s\"}");

	CHECK_EQ(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
}

TEST(fields_are_found)
{
	struct val v = V("{\"a\":{\"b\":{\"c\":5}},\"ab\":1,\"arr\":[{\"b\":1}],"
			  "\"\":7,\"z\":\"s\"}");

	CHECK(val_float64(val_get(v, S("ab"))) == 1);
	CHECK(val_float64(val_get(v, S(""))) == 7);
	CHECK(!val_some(val_get(v, S("aa"))));
	CHECK(!val_some(val_get(v, S("zz"))));
	CHECK(!val_some(val_get(val_null, S("a"))));
	CHECK(!val_some(val_get(VAL_NONE, S("a"))));
	/* Paths walk objects only (spec 03 section 1.3). */
	CHECK(val_float64(val_path(v, S("a.b.c"))) == 5);
	CHECK(val_kind(val_path(v, S("a.b"))) == VAL_OBJECT);
	CHECK(!val_some(val_path(v, S("a.b.c.d"))));
	CHECK(!val_some(val_path(v, S("a.x.c"))));
	CHECK(!val_some(val_path(v, S("arr.b"))));
	CHECK(!val_some(val_path(v, S("z.b"))));
}

/* Binary search finds each of many fields and none beside them. */
TEST(fields_are_found_among_many)
{
	for (int n = 0; n < 40; n++) {
		struct pack p;
		struct val  v;
		char        name[16];

		pack_init(&p);
		pack_object(&p);
		for (int i = n - 1; i >= 0; i--) {
			pack_key(&p, str_of(name, (size_t)snprintf(name, 16, "f%d", i * 2)));
			pack_int64(&p, i);
		}
		pack_end(&p);
		CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
		for (int i = 0; i < 2 * n; i++) {
			struct val f = val_get(v,
			    str_of(name, (size_t)snprintf(name, 16, "f%d", i)));

			CHECK_EQ(val_some(f), i % 2 == 0);
			if (val_some(f))
				CHECK_EQ(val_int64(f), i / 2);
		}
		pack_clear(&p);
	}
}

/* A pack can be used again and again, after failures too. */
TEST(packs_are_reusable)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	for (int i = 0; i < 3; i++) {
		pack_object(&p);
		pack_key(&p, S("$bad"));
		pack_array(&p);
		pack_end(&p);
		pack_end(&p);
		CHECK_EQ(pack_done(&p, &v, NULL), ST_BAD_REQUEST);
		pack_reset(&p);
		pack_array(&p);
		pack_val(&p, V("{\"a\":[1]}"));
		pack_undefined(&p);
		pack_end(&p);
		CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
		CHECK(val_eq(v, V("[{\"a\":[1]},{\"$undefined\":null}]")));
		pack_reset(&p);
	}
	pack_clear(&p);
}

TEST(constants)
{
	CHECK_EQ(val_kind(val_undefined), VAL_UNDEFINED);
	CHECK_EQ(val_kind(VAL_NONE), VAL_UNDEFINED);
	CHECK(val_eq(val_undefined, VAL_NONE));
	CHECK(val_eq(val_null, V("null")));
	CHECK(val_eq(val_true, V("true")) && val_bool(val_true));
	CHECK(val_eq(val_false, V("false")) && !val_bool(val_false));
	CHECK(val_eq(val_empty_object, V("{}")));
	CHECK_EQ(val_size(val_empty_object), 2);
	CHECK_EQ(val_nesting(val_empty_object), 1);
}

/* --- order --- */

/* Spec 03 section 1.1, one value per row, each strictly after the one before. */
TEST(values_are_ordered)
{
	static const char *const rows[] = {
		"{\"$undefined\":null}",
		"null",
		"{\"$integer\":\"AAAAAAAAAIA=\"}",
		"{\"$integer\":\"//////////8=\"}",
		"{\"$integer\":\"AAAAAAAAAAA=\"}",
		"{\"$integer\":\"/////////38=\"}",
		"{\"$float\":\"AAAAAAAA+P8=\"}", /* -NaN */
		"{\"$float\":\"AAAAAAAA8P8=\"}",
		"-1e308",
		"-1",
		"-5e-324",
		"{\"$float\":\"AAAAAAAAAIA=\"}", /* 03 checklist 4: -0 before 0 */
		"0",
		"5e-324",
		"1",
		"{\"$float\":\"AAAAAAAA8H8=\"}",
		"{\"$float\":\"AAAAAAAA+H8=\"}",
		"false",
		"true",
		"\"\"",
		"\"\\u0000\"",
		"\"A\"",
		"\"a\"",
		"\"a\\u0000\"",
		"\"aa\"",
		"\"b\"",
		"\"\xef\xbf\xbf\"",     /* 03 checklist 5: U+FFFF before U+10000 */
		"\"\xf0\x90\x80\x80\"",
		"{\"$bytes\":\"\"}",
		"{\"$bytes\":\"AA==\"}",
		"{\"$bytes\":\"/w==\"}",
		"[]",
		"[null]",
		"[null,null]",
		"[1]",
		"[1,null]",
		"[[]]",
		"{}",
		"{\"\":1}",
		"{\"a\":1}",
		"{\"a\":1,\"b\":0}",
		"{\"a\":2}",
		"{\"a\":[]}",
		"{\"b\":null}",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (size_t j = 0; j < COUNT_OF(rows); j++) {
			int c = val_cmp(V(rows[i]), V(rows[j]));

			if ((c > 0) - (c < 0) != (i > j) - (i < j))
				fail_msg("%s against %s gives %d", rows[i], rows[j], c);
			CHECK_EQ(val_eq(V(rows[i]), V(rows[j])), i == j);
		}
	}
}

/* 03 checklist 4: a NaN equals a NaN with the same bits, and only that. */
TEST(nan_equals_its_own_bits)
{
	CHECK(val_eq(V("{\"$float\":\"AAAAAAAA+H8=\"}"), V("{\"$float\":\"AAAAAAAA+H8=\"}")));
	CHECK(!val_eq(V("{\"$float\":\"AAAAAAAA+H8=\"}"), V("{\"$float\":\"AQAAAAAA+H8=\"}")));
}

/* Spec 03 section 1.6: the token sorts as the largest Int64 and counts 9 bytes. */
TEST(commit_ts_token)
{
	struct val token = V("{\"$commitTs\":null}");

	CHECK_EQ(val_kind(token), VAL_COMMIT_TS);
	CHECK(val_eq(token, V("{\"$integer\":\"/////////38=\"}")));
	CHECK(val_cmp(token, V("{\"$integer\":\"/v///////38=\"}")) > 0);
	CHECK(val_cmp(token, V("0")) < 0);
	CHECK_EQ(val_size(token), 9);
	CHECK_EQ(val_size(V("[{\"$commitTs\":null}]")), 11);
}

/* --- size and limits --- */

/* 03 checklist 6 and the sizes of spec 03 section 1.4. */
TEST(sizes)
{
	static const struct {
		const char *json;
		size_t      size;
		int         nesting;
	} rows[] = {
		{ "null", 1, 0 },
		{ "true", 1, 0 },
		{ "1", 9, 0 },
		{ "{\"$integer\":\"AAAAAAAAAAA=\"}", 9, 0 },
		{ "\"\"", 2, 0 },
		{ "\"\xc3\xa9\"", 4, 0 },
		{ "{\"$bytes\":\"AAH/\"}", 5, 0 },
		{ "[]", 2, 1 },
		{ "[1,[null]]", 14, 2 },
		{ "{}", 2, 1 },
		{ "{\"\":null}", 4, 1 },
		{ "{\"a\":{\"b\":{}}}", 2 + 2 + 2 + 2 + 2, 3 },
		{ "{\"_creationTime\":1,\"_id\":\"j57000820c20a1g7104gm2rc1m70ynr8\"}", 63, 1 },
		{ "{\"_creationTime\":1,\"_id\":\"j57000820c20a1g7104gm2rc1m70ynr8\","
		  "\"n\":{\"$integer\":\"AQAAAAAAAAA=\"},\"name\":\"bob\",\"tags\":[\"a\",\"b\"]}",
		    97, 2 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CHECK_EQ(val_size(V(rows[i].json)), rows[i].size);
		CHECK_EQ(val_nesting(V(rows[i].json)), rows[i].nesting);
	}
}

static void
pack_nulls(struct pack *p, size_t n)
{
	pack_array(p);
	while (n--)
		pack_null(p);
	pack_end(p);
}

static void
pack_fields(struct pack *p, size_t n, bool downwards)
{
	char name[8];

	pack_object(p);
	for (size_t i = 0; i < n; i++) {
		size_t k = downwards ? n - 1 - i : i;

		pack_key(p, str_of(name, (size_t)snprintf(name, 8, "f%04zu", k)));
		pack_null(p);
	}
	pack_end(p);
}

static void
pack_nested(struct pack *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pack_object(p);
		pack_key(p, S("a"));
	}
	pack_null(p);
	for (size_t i = 0; i < n; i++)
		pack_end(p);
}

static void
pack_wide(struct pack *p, size_t bytes)
{
	static char chunk[1 << 20];

	memset(chunk, 'x', sizeof chunk);
	pack_array(p);
	for (bytes -= 2; bytes >= sizeof chunk + 2; bytes -= sizeof chunk + 2)
		pack_str(p, str_of(chunk, sizeof chunk));
	if (bytes >= 2)
		pack_str(p, str_of(chunk, bytes - 2));
	pack_end(p);
}

static void
expect(struct pack *p, const char *code, const char *text)
{
	struct val v = VAL_NONE;
	struct err e = err_in(arena);

	CHECK_EQ(pack_done(p, &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, code);
	CHECK_STRZ(e.text, text);
	CHECK(!val_some(v));
	pack_reset(p);
}

static void
expect_ok(struct pack *p)
{
	struct val v;

	CHECK_EQ(pack_done(p, &v, NULL), ST_OK);
	pack_reset(p);
}

/* 03 checklist 7: arrays of 8192, objects of 1024 fields, values of 64 levels and 32 MiB
 * pass, one more of each does not. */
TEST(limits)
{
	struct pack p;

	pack_init(&p);
	pack_nulls(&p, 8192);
	expect_ok(&p);
	pack_nulls(&p, 8193);
	expect(&p, "ArrayTooLong", "Array length is too long (8193 > maximum length 8192)");
	for (int downwards = 0; downwards < 2; downwards++) {
		pack_fields(&p, 1024, downwards);
		expect_ok(&p);
		pack_fields(&p, 1025, downwards);
		expect(&p, "TooManyFieldsError",
		    "Object has too many fields (1025 > maximum number 1024)");
	}
	pack_nested(&p, 64);
	expect_ok(&p);
	pack_nested(&p, 65);
	expect(&p, "TooNestedError",
	    "Value is too nested (nested 65 levels deep > maximum nesting 64)");
	pack_nested(&p, 10000); /* refused on the way down */
	expect(&p, "TooNestedError",
	    "Value is too nested (nested 65 levels deep > maximum nesting 64)");
	pack_wide(&p, 32 << 20);
	expect_ok(&p);
	pack_wide(&p, (32 << 20) + 1);
	expect(&p, "ValueTooLargeError", "Value is too large (32.00 MiB > maximum size 32 MiB)");
	pack_wide(&p, 33 << 20);
	expect(&p, "ValueTooLargeError", "Value is too large (33 MiB > maximum size 32 MiB)");
	pack_clear(&p);
}

/* Nesting counts what was packed before, too. */
TEST(nesting_of_copied_values)
{
	struct pack p;
	struct val  inner;

	pack_init(&p);
	pack_nested(&p, 63);
	CHECK_EQ(pack_done_in(&p, arena, &inner, NULL), ST_OK);
	pack_reset(&p);
	pack_array(&p);
	pack_val(&p, inner);
	pack_end(&p);
	expect_ok(&p);
	pack_array(&p);
	pack_array(&p);
	pack_val(&p, inner);
	pack_end(&p);
	pack_end(&p);
	expect(&p, "TooNestedError",
	    "Value is too nested (nested 65 levels deep > maximum nesting 64)");
	pack_clear(&p);
}

/* A trusted pack takes what the limits refuse, but not more depth than JSON can bring. */
TEST(trusted_packs)
{
	struct pack p;

	pack_init(&p);
	p.trusted = true;
	pack_nulls(&p, 8193);
	expect_ok(&p);
	pack_fields(&p, 1025, true);
	expect_ok(&p);
	pack_nested(&p, 128);
	expect_ok(&p);
	pack_nested(&p, 129);
	expect(&p, "TooNestedError",
	    "Value is too nested (nested 129 levels deep > maximum nesting 128)");
	pack_object(&p);
	pack_key(&p, S("$odd\xc3\xa9"));
	pack_null(&p);
	pack_end(&p);
	expect_ok(&p);
	pack_clear(&p);
}

/* --- names --- */

static char long_name[1100];

/* 03 checklist 8 and the texts of spec 03 section 1.3. */
TEST(field_names)
{
	const struct {
		str         name;
		const char *want; /* NULL: fine */
	} rows[] = {
		{ S(""), NULL },
		{ S("_x"), NULL },
		{ S(" ~!\"#"), NULL },
		{ S("a$"), NULL },
		{ str_of(long_name, 1024), NULL },
		{ str_of(long_name, 1025), "Field name is too long (1025 > maximum 1024)" },
		{ S("$a"), "Field name $a starts with '$', which is reserved." },
		{ S("$"), "Field name $ starts with '$', which is reserved." },
		{ S("a\x1f"),
		    "Field name a\x1f has invalid character '\\u{1f}': Field names can only "
		    "contain "
		    "non-control ASCII characters" },
		{ S("\x7f"),
		    "Field name \x7f has invalid character '\\u{7f}': Field names can only contain "
		    "non-control ASCII characters" },
		{ S("a\nb"),
		    "Field name a\nb has invalid character '\\n': Field names can only contain "
		    "non-control ASCII characters" },
		{ S("h\xc3\xa9"),
		    "Field name h\xc3\xa9 has invalid character '\xc3\xa9': Field names can only "
		    "contain non-control ASCII characters" },
	};
	struct err nul = err_in(arena);

	memset(long_name, 'n', sizeof long_name);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err  e = err_in(arena);
		status      st = field_name_check(rows[i].name, &e);
		struct pack p;
		struct val  v;

		CHECK_EQ(st, rows[i].want ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].want)
			CHECK_STRZ(e.text, rows[i].want);
		pack_init(&p); /* the builder applies the same rule */
		pack_object(&p);
		pack_key(&p, rows[i].name);
		pack_null(&p);
		pack_end(&p);
		CHECK_EQ(pack_done(&p, &v, &e), st);
		if (rows[i].want)
			CHECK_STRZ(e.text, rows[i].want);
		pack_clear(&p);
	}
	CHECK_EQ(field_name_check(S("a\0"), &nul), ST_BAD_REQUEST);
	CHECK_STR(nul.text, S("Field name a\0 has invalid character '\\0': Field names can only "
			      "contain non-control ASCII characters"));
}

TEST(identifiers)
{
	const struct {
		str         name;
		const char *want;
	} rows[] = {
		{ S("a"), NULL },
		{ S("_a9Z"), NULL },
		{ str_of(long_name, 64), NULL },
		{ S(""), "Identifier cannot be empty" },
		{ S("9a"), "Invalid first character '9' in 9a: Identifiers must start with an "
			   "alphabetic character or underscore" },
		{ S("'"), "Invalid first character '\\'' in ': Identifiers must start with an "
			  "alphabetic character or underscore" },
		{ S("a-b"),
		    "Identifier a-b has invalid character '-': Identifiers can only contain "
			    "alphanumeric characters or underscores" },
		{ S("a\""),
		    "Identifier a\" has invalid character '\"': Identifiers can only contain "
			    "alphanumeric characters or underscores" },
		{ str_of(long_name, 65), "Identifier is too long (65 > maximum 64)" },
		{ S("__"), "Identifier __ cannot have exclusively underscores" },
	};

	memset(long_name, 'n', sizeof long_name);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = err_in(arena);

		CHECK_EQ(identifier_check(rows[i].name, &e), rows[i].want ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].want)
			CHECK_STRZ(e.text, rows[i].want);
	}
}

/* --- rendering --- */

/* Spec 03 section 1.7. */
TEST(values_print)
{
	static const struct {
		const char *json, *want;
	} rows[] = {
		{ "null", "null" },
		{ "{\"$integer\":\"BQAAAAAAAAA=\"}", "5" },
		{ "1", "1.0" },
		{ "0.5", "0.5" },
		{ "{\"$float\":\"AAAAAAAA+H8=\"}", "NaN" },
		{ "{\"$float\":\"AAAAAAAA8H8=\"}", "inf" },
		{ "{\"$float\":\"AAAAAAAA8P8=\"}", "-inf" },
		{ "{\"$float\":\"AAAAAAAAAIA=\"}", "-0.0" },
		{ "true", "true" },
		{ "\"a\\n\"", "\"a\\n\"" },
		{ "\"'\\\"\\\\\\u0000\\u0007\\u0085\xc3\xa9\"",
		    "\"'\\\"\\\\\\0\\u{7}\\u{85}\xc3\xa9\"" },
		{ "{\"$bytes\":\"AAH/\"}", "b\"AAH/\"" },
		{ "[]", "[]" },
		{ "[1,\"a\"]", "[1.0, \"a\"]" },
		{ "{}", "{}" },
		{ "{\"k2\":{\"x\":[]},\"key\":null}", "{k2: {x: []}, key: null}" },
		{ "{\"$undefined\":null}", "undefined" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b;

		buf_init(&b, 1000);
		val_print(&b, V(rows[i].json));
		CHECK_STRZ(buf_str(&b), rows[i].want);
		buf_clear(&b);
	}
}

TEST(values_name_their_types)
{
	assert_string_equal(val_type_name(VAL_NONE), "undefined");
	assert_string_equal(val_type_name(V("1")), "Float64");
	assert_string_equal(val_type_name(V("{\"$commitTs\":null}")), "Int64");
	assert_string_equal(val_type_name(V("{}")), "Object");
}

TEST_RUN_VALUES(T(objects_are_sorted_and_unique), T(packed_bytes_are_canonical),
    T(fields_are_found), T(fields_are_found_among_many), T(packs_are_reusable), T(constants),
    T(values_are_ordered), T(nan_equals_its_own_bits), T(commit_ts_token), T(sizes), T(limits),
    T(nesting_of_copied_values), T(trusted_packs), T(field_names), T(identifiers),
    T(values_print), T(values_name_their_types))
