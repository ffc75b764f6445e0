/* text_test.c - str and the text encodings. */
#include "test.h"

#include "base/enc.h"

TEST(str_searches)
{
	size_t at = 99;

	CHECK(str_find(S("abcabc"), S("ca"), &at));
	CHECK_EQ(at, 2);
	CHECK(str_find(S("x"), S(""), &at));
	CHECK_EQ(at, 0);
	CHECK(!str_find(S("ab"), S("abc"), &at));
	CHECK(str_find_char(S("a.b.c"), '.', &at));
	CHECK_EQ(at, 1);
	CHECK(str_rfind_char(S("a.b.c"), '.', &at));
	CHECK_EQ(at, 3);
	CHECK(!str_rfind_char(STR_EMPTY, '.', &at));
	CHECK_EQ(at, 3); /* untouched */
	CHECK(str_eq_nocase(S("Content-TYPE"), S("content-type")));
	CHECK(!str_eq_nocase(S("a["), S("A{")));
	CHECK_STRZ(str_trim(S(" \t a b\r\n")), "a b");
	CHECK_STRZ(str_trim(S("  ")), "");
	CHECK(str_cmp(S("a"), S("ab")) < 0);
	CHECK(str_cmp(S("\xff"), S("a")) > 0);
}

/* Integers are decimal digits and nothing else, and never wrap. */
TEST(str_integers)
{
	static const struct {
		const char *text;
		bool        u, i;
		uint64_t    uv;
		int64_t     iv;
	} rows[] = {
		{ "0", true, true, 0, 0 },
		{ "007", true, true, 7, 7 },
		{ "18446744073709551615", true, false, UINT64_MAX, 0 },
		{ "18446744073709551616", false, false, 0, 0 },
		{ "9223372036854775807", true, true, INT64_MAX, INT64_MAX },
		{ "-9223372036854775808", false, true, 0, INT64_MIN },
		{ "-9223372036854775809", false, false, 0, 0 },
		{ "-0", false, true, 0, 0 },
		{ "", false, false, 0, 0 },
		{ "-", false, false, 0, 0 },
		{ "+1", false, false, 0, 0 },
		{ " 1", false, false, 0, 0 },
		{ "1a", false, false, 0, 0 },
	};

	for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
		uint64_t u = 0;
		int64_t  i = 0;

		CHECK_EQ(str_to_u64(str_z(rows[n].text), &u), rows[n].u);
		CHECK_EQ(str_to_i64(str_z(rows[n].text), &i), rows[n].i);
		CHECK(u == rows[n].uv);
		CHECK(i == rows[n].iv);
	}
}

/* UTF-8 means scalar values in their shortest form (RFC 3629). */
TEST(str_utf8)
{
	static const struct {
		const char *text;
		bool        valid;
	} rows[] = {
		{ "", true },
		{ "plain text, longer than eight", true },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true },
		{ "\xef\xbf\xbf", true },      /* U+FFFF */
		{ "\xf4\x8f\xbf\xbf", true },  /* U+10FFFF */
		{ "\xf4\x90\x80\x80", false }, /* beyond */
		{ "\xed\xa0\x80", false },     /* a surrogate */
		{ "\xed\x9f\xbf", true },
		{ "\xc0\x80", false }, /* overlong */
		{ "\xe0\x9f\xbf", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\x80", false },
		{ "abcdefgh\xc3", false }, /* cut */
		{ "\xe2\x82", false },
		{ "\xff", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK_EQ(str_utf8_valid(str_z(rows[i].text)), rows[i].valid);
	CHECK(str_utf8_valid(S("a\0b")));
	CHECK_STRZ(str_utf8_cut(S("a\xe2\x82\xac"), 4), "a\xe2\x82\xac");
	CHECK_STRZ(str_utf8_cut(S("a\xe2\x82\xac"), 3), "a");
	CHECK_STRZ(str_utf8_cut(S("a\xe2\x82\xac"), 1), "a");
	CHECK_STRZ(str_utf8_cut(S("\xe2\x82\xac"), 2), "");
}

typedef void (*encoder)(struct buf *, str);
typedef bool (*decoder)(struct buf *, str);

static void
check_encoding(encoder enc, decoder dec, str bytes, const char *text)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	enc(&b, bytes);
	CHECK_STRZ(buf_str(&b), text);
	buf_reset(&b);
	buf_add(&b, S("<"));
	CHECK(dec(&b, str_z(text)));
	CHECK_STR(str_from(buf_str(&b), 1), bytes);
	buf_clear(&b);
}

/* RFC 4648 section 10, and a byte of each half for hex. */
TEST(encodings_have_known_texts)
{
	check_encoding(enc_base64, dec_base64, S(""), "");
	check_encoding(enc_base64, dec_base64, S("f"), "Zg==");
	check_encoding(enc_base64, dec_base64, S("fo"), "Zm8=");
	check_encoding(enc_base64, dec_base64, S("foo"), "Zm9v");
	check_encoding(enc_base64, dec_base64, S("foob"), "Zm9vYg==");
	check_encoding(enc_base64, dec_base64, S("\xfb\xff\xbf"), "+/+/");
	check_encoding(enc_base64url, dec_base64url, S("\xfb\xff\xbf"), "-_-_");
	check_encoding(enc_base64url, dec_base64url, S("f"), "Zg");
	check_encoding(enc_base64url, dec_base64url, S("fo"), "Zm8");
	check_encoding(enc_hex, dec_hex, S("\0\x9a\xff"), "009aff");
	check_encoding(enc_base32, dec_base32, S("\x91\x4e\0\0\0"), "j5700000");
	check_encoding(enc_base32, dec_base32, S("\xff"), "zw");
}

/* What has a second spelling, a foreign letter or a wrong length is refused, and nothing
 * is appended. */
TEST(decoders_are_strict)
{
	static const struct {
		decoder     dec;
		const char *text;
	} rows[] = {
		{ dec_base64, "Zg" },	 { dec_base64, "Zg=" },	    { dec_base64, "Zh==" },
		{ dec_base64, "Zm9=" },	 { dec_base64, "=" },	    { dec_base64, "====" },
		{ dec_base64, "Z===" },	 { dec_base64, "Zg==Zg==" }, { dec_base64, "Zm-_" },
		{ dec_base64, "Zm 9v" }, { dec_base64url, "Zg==" }, { dec_base64url, "Z" },
		{ dec_base64url, "Zh" }, { dec_base64url, "+/" },   { dec_hex, "0" },
		{ dec_hex, "0g" },	 { dec_hex, "0x" },	    { dec_base32, "i" },
		{ dec_base32, "A" },	 { dec_base32, "0u" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b;

		buf_init(&b, 1000);
		if (rows[i].dec(&b, str_z(rows[i].text)))
			fail_msg("'%s' was decoded", rows[i].text);
		CHECK_EQ(b.n, 0);
		buf_clear(&b);
	}
}

/* Every length from 0 to 70 survives every encoding. */
TEST(encodings_round_trip)
{
	static const struct {
		encoder enc;
		decoder dec;
	} pairs[] = {
		{ enc_base64, dec_base64 },
		{ enc_base64url, dec_base64url },
		{ enc_hex, dec_hex },
		{ enc_base32, dec_base32 },
	};
	char bytes[70];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 89 + 7);
	for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
		for (size_t n = 0; n <= sizeof bytes; n++) {
			struct buf text, back;

			buf_init(&text, 1000);
			buf_init(&back, 1000);
			pairs[p].enc(&text, str_of(bytes, n));
			CHECK(pairs[p].dec(&back, buf_str(&text)));
			CHECK_STR(buf_str(&back), str_of(bytes, n));
			buf_clear(&text);
			buf_clear(&back);
		}
	}
}

/* Timestamps on the wire are the base64 of 8 little-endian bytes. */
TEST(u64_base64)
{
	struct buf b;
	uint64_t   v = 7;

	buf_init(&b, 100);
	enc_u64_base64(&b, 1);
	CHECK_STRZ(buf_str(&b), "AQAAAAAAAAA=");
	CHECK(dec_u64_base64(S("//////////8="), &v));
	CHECK(v == UINT64_MAX);
	v = 7;
	CHECK(!dec_u64_base64(S("//////////9="), &v)); /* stray bits */
	CHECK(!dec_u64_base64(S("AQAAAAAAAAA"), &v));
	CHECK(!dec_u64_base64(S("AQAAAAAAAAAA"), &v));
	CHECK(!dec_u64_base64(S("AQAAAAAAAA=="), &v));
	CHECK(v == 7);
	buf_clear(&b);
}

TEST_RUN(T(str_searches), T(str_integers), T(str_utf8), T(encodings_have_known_texts),
    T(decoders_are_strict), T(encodings_round_trip), T(u64_base64))
