/* json_test.c - JSON text to trees and back. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"

static struct arena *arena;

static const struct json *
parse(str text)
{
	struct json *j = NULL;
	struct err   e = err_in(arena);

	if (json_parse(arena, text, &j, &e) != ST_OK)
		fail_msg("%.*s: %.*s", STR_ARG(text), STR_ARG(e.text));
	return j;
}

static str
double_text(double d)
{
	struct buf b;
	str        s;

	buf_init(&b, 100);
	json_write_double(&b, d);
	s = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

/* What is written is what was read, white space aside. */
TEST(json_round_trips)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "null", NULL },
		{ " [ true , false , null ] ", "[true,false,null]" },
		{ "{}", NULL },
		{ "[]", NULL },
		{ "[[],[{}],{\"a\":[]}]", NULL },
		{ "{\"b\":1,\"a\":{\"\":-0.5e-7}}", NULL },
		{ "\"\\u0041\\/\\b\\f\\n\\r\\t\\\\\\\"\"", "\"A/\\b\\f\\n\\r\\t\\\\\\\"\"" },
		{ "\"\\ud83d\\ude00\\u20ac\\u00e9\"", "\"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9\"" },
		{ "\"\\u001f\\u007f\\u0000\"", "\"\\u001f\x7f\\u0000\"" },
		{ "\t\r\n 12345678901234567890 \t\r\n", "12345678901234567890" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b;

		buf_init(&b, 1000);
		json_write(&b, parse(str_z(rows[i].text)));
		CHECK_STRZ(buf_str(&b), rows[i].want ? rows[i].want : rows[i].text);
		buf_clear(&b);
	}
}

/* Errors carry serde_json's words and position. */
TEST(json_errors)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "EOF while parsing a value at line 1 column 0" },
		{ "x", "expected value at line 1 column 1" },
		{ "\n\n x", "expected value at line 3 column 2" },
		{ "[1", "EOF while parsing a list at line 1 column 2" },
		{ "[1,", "EOF while parsing a value at line 1 column 3" },
		{ "{", "EOF while parsing an object at line 1 column 1" },
		{ "{\"a\"", "EOF while parsing an object at line 1 column 4" },
		{ "{\"a\":", "EOF while parsing a value at line 1 column 5" },
		{ "{\"a\":1", "EOF while parsing an object at line 1 column 6" },
		{ "{\"a\":1,", "EOF while parsing a value at line 1 column 7" },
		{ "{a:1}", "key must be a string at line 1 column 2" },
		{ "{\"a\" 1}", "expected `:` at line 1 column 6" },
		{ "[1 2]", "expected `,` or `]` at line 1 column 4" },
		{ "{\"a\":1 2}", "expected `,` or `}` at line 1 column 8" },
		{ "{\"a\":1,}", "trailing comma at line 1 column 8" },
		{ "[1,]", "trailing comma at line 1 column 4" },
		{ "1 2", "trailing characters at line 1 column 3" },
		{ "tru", "EOF while parsing a value at line 1 column 3" },
		{ "trux", "expected ident at line 1 column 4" },
		{ "01", "invalid number at line 1 column 2" },
		{ "-a", "invalid number at line 1 column 2" },
		{ "1.a", "invalid number at line 1 column 3" },
		{ ".5", "expected value at line 1 column 1" },
		{ "1e", "EOF while parsing a value at line 1 column 2" },
		{ "+1", "expected value at line 1 column 1" },
		{ "NaN", "expected value at line 1 column 1" },
		{ "\"a", "EOF while parsing a string at line 1 column 2" },
		{ "\"\\x\"", "invalid escape at line 1 column 3" },
		{ "\"\\u12g4\"", "invalid escape at line 1 column 6" },
		{ "\"\\", "EOF while parsing a string at line 1 column 2" },
		{ "\"a\\u12", "EOF while parsing a string at line 1 column 6" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json *j = NULL;
		struct err   e = err_in(arena);

		CHECK_EQ(json_parse(arena, str_z(rows[i].text), &j, &e), ST_BAD_REQUEST);
		CHECK_STRZ(e.text, rows[i].want);
		CHECK(j == NULL);
	}
}

/* Spec 01 section 1.1: lone surrogates, bad UTF-8, raw control characters and numbers
 * beyond a double are refused. */
TEST(json_refuses_what_no_value_can_be)
{
	static const str rows[] = {
		{ "\"\\ud800\"", 8 },
		{ "\"\\udc00\"", 8 },
		{ "\"\\ud800\\u0041\"", 14 },
		{ "\"\\ud800x\"", 9 },
		{ "\"\xff\"", 3 },
		{ "\"\xed\xa0\x80\"", 5 },
		{ "\"\n\"", 3 },
		{ "\"\0\"", 3 },
		{ "1e400", 5 },
		{ "-1e309", 6 },
		{ "1 \0", 3 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct json *j;

		if (json_parse(arena, rows[i], &j, NULL) == ST_OK)
			fail_msg("row %zu was accepted", i);
	}
}

/* Spec 01 section 1.1: 128 levels and no more. */
TEST(json_depth)
{
	char         text[260];
	struct json *j;

	memset(text, '[', 129);
	memset(text + 129, ']', 129);
	CHECK_EQ(json_parse(arena, str_of(text + 1, 256), &j, NULL), ST_OK);
	CHECK_EQ(json_parse(arena, str_of(text, 258), &j, NULL), ST_BAD_REQUEST);
}

/* Spec 01 section 1.1: of duplicate keys the last one wins, in small and large objects. */
TEST(json_last_duplicate_wins)
{
	const struct json *j = parse(S("{\"a\":1,\"b\":2,\"a\":3}"));
	double             d;
	struct buf         b;

	CHECK_EQ(j->n, 2);
	CHECK(json_get_num(j, "a", &d) && d == 3);
	buf_init(&b, 100000);
	buf_add(&b, S("{"));
	for (int i = 0; i < 300; i++)
		buf_fmt(&b, "%s\"k%d\":%d", i ? "," : "", i % 100, i);
	buf_add(&b, S("}"));
	j = parse(buf_str(&b));
	CHECK_EQ(j->n, 100);
	for (size_t i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%zu", i);
		CHECK_STRZ(j->keys[i], key);
		CHECK(j->items[i].number == (double)(200 + i));
	}
	buf_clear(&b);
}

TEST(json_typed_members)
{
	const struct json *j = parse(
	    S("{\"s\":\"x\",\"b\":true,\"n\":1.5,\"u\":4294967295,\"v\":4294967296,\"z\":null}"));
	str                s = STR_EMPTY;
	bool               b = false;
	double             d = 0;
	uint32_t           u = 9;

	CHECK(json_get_str(j, "s", &s));
	CHECK_STRZ(s, "x");
	CHECK(json_get_bool(j, "b", &b) && b);
	CHECK(json_get_num(j, "n", &d) && d == 1.5);
	CHECK(!json_get_u32(j, "n", &u));
	CHECK(!json_get_u32(j, "v", &u));
	CHECK(!json_get_u32(j, "s", &u));
	CHECK_EQ(u, 9);
	CHECK(json_get_u32(j, "u", &u) && u == UINT32_MAX);
	CHECK(json_get(j, "absent") == NULL);
	CHECK(json_get(NULL, "s") == NULL);
	CHECK(json_get(json_get(j, "s"), "s") == NULL);
	CHECK(json_is_null(json_get(j, "z")) && json_is_null(json_get(j, "absent")));
	CHECK(!json_is_null(json_get(j, "s")));
	CHECK_STRZ(json_get(j, "n")->source, "1.5");
	CHECK(json_get(j, "u")->integral && !json_get(j, "n")->integral);
}

/* Doubles print as the shortest text that reads back, always with a fraction or an
 * exponent (spec 01 section 1.1). */
TEST(json_doubles_have_known_texts)
{
	static const struct {
		double      d;
		const char *want;
	} rows[] = {
		{ 0, "0.0" },
		{ -0.0, "-0.0" },
		{ 1, "1.0" },
		{ -1, "-1.0" },
		{ 0.1, "0.1" },
		{ 0.3, "0.3" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1.5, "1.5" },
		{ 100, "100.0" },
		{ 123456.789, "123456.789" },
		{ 1700000000123.4568, "1700000000123.4568" },
		{ 9007199254740991, "9007199254740991.0" },
		{ 9007199254740992, "9007199254740992.0" },
		{ 1e15, "1000000000000000.0" },
		{ 1e16, "1e16" },
		{ 1e21, "1e21" },
		{ 1.25e21, "1.25e21" },
		{ 0.00001, "0.00001" },
		{ 0.0000123, "0.0000123" },
		{ 0.000001, "1e-6" },
		{ 1.5e-7, "1.5e-7" },
		{ 5e-324, "5e-324" },
		{ 2.2250738585072014e-308, "2.2250738585072014e-308" },
		{ 1.7976931348623157e308, "1.7976931348623157e308" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_STRZ(double_text(rows[i].d), rows[i].want);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Digits of the shortest form, found by trying. */
static int
shortest_digits(double d)
{
	char text[40];

	for (int n = 1;; n++) {
		snprintf(text, sizeof text, "%.*e", n - 1, d);
		if (strtod(text, NULL) == d)
			return n;
	}
}

static int
count_digits(str s)
{
	int n = 0, zeros = 0;

	for (size_t i = 0; i < s.n && s.p[i] != 'e'; i++) {
		if (s.p[i] == '.' || s.p[i] == '-' || (s.p[i] == '0' && n == 0))
			continue;
		zeros = s.p[i] == '0' ? zeros + 1 : 0;
		n++;
	}
	return n - zeros;
}

/* Random bits, random decimals, powers of two and their neighbours: our printer and our
 * parser agree with the C library's, and no shorter text would do. */
TEST(json_doubles_agree_with_the_c_library)
{
	uint64_t state = 88172645463325252u;

	for (int i = 0; i < 60000; i++) {
		uint64_t bits = next_random(&state);
		double   d;
		str      text;

		memcpy(&d, &bits, sizeof d);
		if (i % 3 == 1)
			d = (double)(bits % 100000000000000) / (double)(1 + (bits >> 50));
		else if (i % 3 == 2)
			d = nextafter(ldexp(1, (int)(bits % 2000) - 1000), bits & 8 ? 0 : 1e300);
		if (!isfinite(d))
			continue;
		text = double_text(d);
		CHECK(strtod(text.p, NULL) == d);
		CHECK(parse(text)->number == d);
		if (d != 0)
			CHECK_EQ(count_digits(text), shortest_digits(fabs(d)));
		arena_reset(arena);
	}
}

/* Decimals that are hard to round: halfway cases, subnormals, many digits. */
TEST(json_parses_hard_decimals)
{
	static const char *const rows[] = {
		"9007199254740993", "9007199254740992.999999999999999999",
		"9007199254740993.00000000000000000001", "0.1e-1", "123456789012345678901234567890",
		"2.2250738585072011e-308", "2.2250738585072012e-308", "4.9e-324", "2.4e-324",
		"2.5e-324", "1e-400", "1.7976931348623158e308", "8.5e-45", "1e23", "8.5",
		"6.631236846766476e-316", "0.000000000000000000000000000000000001", "1e22", "1E+2",
		"100000000000000016777215",
		"100000000000000016777216", "0e999999999", "7e-999999999",
		"3.518437208883201171875e13", "62.5364939768271845828",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		double want = strtod(rows[i], NULL);

		if (parse(str_z(rows[i]))->number != want)
			fail_msg("%s: %.17g", rows[i], parse(str_z(rows[i]))->number);
	}
	CHECK(signbit(parse(S("-0"))->number));
	CHECK(signbit(parse(S("-0.0"))->number));
}

TEST(json_writers)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_add_byte(&b, '{');
	json_key(&b, "a");
	json_write_number(&b, 1);
	json_key(&b, "b");
	buf_add_byte(&b, '[');
	for (int i = 0; i < 2; i++) {
		json_comma(&b);
		json_write_i64(&b, i ? INT64_MIN : INT64_MAX);
	}
	buf_add(&b, S("]"));
	json_key(&b, "c\"");
	json_write_u64(&b, UINT64_MAX);
	json_key(&b, "d");
	json_write_number(&b, 0.5);
	buf_add_byte(&b, '}');
	CHECK_STRZ(buf_str(&b),
	    "{\"a\":1,\"b\":[9223372036854775807,-9223372036854775808],\"c\\\"\":"
	    "18446744073709551615,\"d\":0.5}");
	buf_clear(&b);
}

/* Strings of every length and place of the odd byte out, across the eight-byte strides. */
TEST(json_strings_round_trip_at_every_offset)
{
	static const char odd[] = { '"', '\\', '\n', 0x1f, 0x20, 0x7f, 0 };

	for (size_t n = 1; n < 24; n++) {
		for (size_t at = 0; at < n; at++) {
			for (size_t k = 0; k < sizeof odd; k++) {
				char       text[24];
				struct buf b;

				memset(text, 'a', n);
				text[at] = odd[k];
				buf_init(&b, 1000);
				json_write_str(&b, str_of(text, n));
				CHECK_STR(parse(buf_str(&b))->string, str_of(text, n));
				buf_clear(&b);
			}
		}
		arena_reset(arena);
	}
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(json_round_trips),
		T(json_errors),
		T(json_refuses_what_no_value_can_be),
		T(json_depth),
		T(json_last_duplicate_wins),
		T(json_typed_members),
		T(json_doubles_have_known_texts),
		T(json_doubles_agree_with_the_c_library),
		T(json_parses_hard_decimals),
		T(json_writers),
		T(json_strings_round_trip_at_every_offset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
