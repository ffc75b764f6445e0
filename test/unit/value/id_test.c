/* id_test.c - document ids (spec 03 section 2). */
#include "test.h"

#include "value/id.h"

static struct uid
counting_uid(void)
{
	struct uid u;

	for (uint8_t i = 0; i < 16; i++)
		u.b[i] = i;
	return u;
}

static struct uid
filled_uid(int byte)
{
	struct uid u;

	memset(u.b, byte, sizeof u.b);
	return u;
}

/* 03 checklist 9: the vectors of spec 03 section 2.1, both ways. */
TEST(ids_have_known_texts)
{
	const struct {
		uint32_t    table;
		struct uid  uid;
		const char *text;
	} rows[] = {
		{ 1, counting_uid(), "040020g30g2gc1r81450p30d1r7qke8" },
		{ 540, counting_uid(), "kg2000820c20a1g7104gm2rc1m70y674" },
		{ 10001, counting_uid(), "j57000820c20a1g7104gm2rc1m70ynr8" },
		{ 16384, counting_uid(), "g2002001081g81860w40j2gb1g6gw3vs74" },
		{ 2097152, counting_uid(), "g2080080041061050r3gg28a1c60t3gfz4wg" },
		{ 10001, filled_uid(0), "j5700000000000000000000000001qv0" },
		{ 10001, filled_uid(0xff), "j57fzzzzzzzzzzzzzzzzzzzzzzzzzkyr" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char         text[ID_TEXT_MAX];
		struct docid id;
		size_t       n = id_format((struct docid){ rows[i].table, rows[i].uid }, text);

		CHECK_STRZ(str_of(text, n), rows[i].text);
		CHECK_EQ(text[n], '\0');
		CHECK_EQ(id_parse(str_z(rows[i].text), &id, NULL), ST_OK);
		CHECK_EQ(id.table, rows[i].table);
		CHECK(uid_eq(id.uid, rows[i].uid));
	}
}

/* Length by table number: 1 to 5 bytes of number give 31, 32, 34, 36, 37 characters. */
TEST(ids_have_the_lengths_of_the_spec)
{
	static const struct {
		uint32_t table;
		size_t   n;
	} rows[] = {
		{ 127, 31 },	   { 128, 32 },	      { 16383, 32 },	 { 16384, 34 },
		{ 2097151, 34 },   { 2097152, 36 },   { 268435455, 36 }, { 268435456, 37 },
		{ UINT32_MAX, 37 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char         text[ID_TEXT_MAX];
		struct docid id;
		size_t n = id_format((struct docid){ rows[i].table, counting_uid() }, text);

		CHECK_EQ(n, rows[i].n);
		CHECK_EQ(id_parse(str_of(text, n), &id, NULL), ST_OK);
		CHECK_EQ(id.table, rows[i].table);
	}
}

/* The rejections of spec 03 section 2.2, in the order and with the texts given there. */
TEST(ids_are_rejected_with_the_reason)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "Unable to decode ID: Invalid ID length 0" },
		{ "040020g30g2gc1r81450p30d1r7qke", "Unable to decode ID: Invalid ID length 30" },
		{ "g2080080041061050r3gg28a1c60t3gfz4wg00",
		    "Unable to decode ID: Invalid ID length 38" },
		{ "J57000820c20a1g7104gm2rc1m70ynr8",
		    "Unable to decode ID: ID wasn't valid base32" },
		{ "j57000820c20a1g7104gm2rc1m70ynri",
		    "Unable to decode ID: ID wasn't valid base32" },
		{ "j57000820c20a1g7104gm2rc1m70ynrl",
		    "Unable to decode ID: ID wasn't valid base32" },
		{ "j57000820c20a1g7104gm2rc1m70yoru",
		    "Unable to decode ID: ID wasn't valid base32" },
		{ "j57000820c20a1g7104gm2rc1m70-nr8",
		    "Unable to decode ID: ID wasn't valid base32" },
		/* table number 0, and a number of more than 32 bits */
		{ "0000000000000000000000000000000", "Unable to decode ID: Invalid table number" },
		{ "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "Unable to decode ID: Invalid table number" },
		/* another checksum, as stored and as it should be: 00 57, 08 57 */
		{ "j57000820c20a1g7104gm2rc1m70ynr0",
		    "Unable to decode ID: Invalid ID version 87 (expected 2135)" },
		/* spare bits that are not zero */
		{ "040020g30g2gc1r81450p30d1r7qke9", "Unable to decode ID: Invalid ID length 31" },
		/* truncated, left-over bytes */
		{ "j57000820c20a1g7104gm2rc1m70ynr", "Unable to decode ID: Invalid ID length 31" },
		{ "j57000820c20a1g7104gm2rc1m70ynr80",
		    "Unable to decode ID: Invalid ID length 33" },
		{ "j57000820c20a1g7104gm2rc1m70ynr800",
		    "Unable to decode ID: Invalid ID length 34" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct docid id = { .table = 77 };
		struct err   e = err_in(NULL);

		CHECK_EQ(id_parse(str_z(rows[i].text), &id, &e), ST_BAD_REQUEST);
		CHECK_STRZ(e.text, rows[i].want);
		CHECK_EQ(id.table, 77);
	}
}

/* 03 checklist 9: no other character in any place gives an id. */
TEST(ids_survive_no_change_of_a_character)
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	static const char good[] = "j57000820c20a1g7104gm2rc1m70ynr8";
	size_t            n = sizeof good - 1;

	for (size_t at = 0; at < n; at++) {
		for (const char *c = alphabet; *c; c++) {
			char         text[sizeof good];
			struct docid id;

			memcpy(text, good, sizeof good);
			text[at] = *c;
			if (*c != good[at] && id_parse(str_of(text, n), &id, NULL) == ST_OK)
				fail_msg("%s was accepted", text);
		}
	}
}

/* An overlong table number (81 00 for 1) is another spelling and refused, although its
 * checksum fits. */
TEST(ids_with_overlong_numbers_are_refused)
{
	uint8_t      bytes[20] = { 0x81, 0x00 };
	char         text[40];
	size_t       n = 0;
	uint8_t      c0 = 0, c1 = 0;
	uint32_t     acc = 0;
	unsigned     have = 0;
	struct docid id;
	struct err   e = err_in(NULL);

	for (size_t i = 0; i < 18; i++) {
		c0 = (uint8_t)(c0 + bytes[i]);
		c1 = (uint8_t)(c1 + c0);
	}
	bytes[18] = c0;
	bytes[19] = c1;
	for (size_t i = 0; i < sizeof bytes; i++) {
		acc = acc << 8 | bytes[i];
		for (have += 8; have >= 5; have -= 5)
			text[n++] = "0123456789abcdefghjkmnpqrstvwxyz"[acc >> (have - 5) & 31];
	}
	CHECK_EQ(n, 32);
	CHECK_EQ(id_parse(str_of(text, n), &id, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.text, "Unable to decode ID: Invalid ID length 32");
}

/* Spec 03 section 2.3: 14 random bytes and the day, as 22 characters of base64url. */
TEST(uids)
{
	uint8_t    random[14];
	struct uid u, back;
	struct buf b;

	for (uint8_t i = 0; i < 14; i++)
		random[i] = i;
	u = uid_make(random, 1767225600); /* 2026-01-01 */
	CHECK_EQ(u.b[14], 0x4f);
	CHECK_EQ(u.b[15], 0xe6);
	buf_init(&b, 100);
	uid_format(&b, u);
	CHECK_STRZ(buf_str(&b), "AAECAwQFBgcICQoLDA1P5g");
	CHECK(uid_parse(buf_str(&b), &back));
	CHECK(uid_eq(u, back));
	CHECK_EQ(uid_cmp(u, back), 0);
	CHECK(uid_cmp(filled_uid(0), u) < 0);
	CHECK(uid_is_zero(filled_uid(0)) && !uid_is_zero(u));
	CHECK(!uid_parse(S("AAECAwQFBgcICQoLDA1P5"), &back));
	CHECK(!uid_parse(S("AAECAwQFBgcICQoLDA1P5h"), &back)); /* stray bits */
	CHECK(!uid_parse(S("AAECAwQFBgcICQoLDA1P+g"), &back));
	buf_clear(&b);
}

TEST_RUN(T(ids_have_known_texts), T(ids_have_the_lengths_of_the_spec),
    T(ids_are_rejected_with_the_reason), T(ids_survive_no_change_of_a_character),
    T(ids_with_overlong_numbers_are_refused), T(uids))
