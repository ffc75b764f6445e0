/* sortkey_test.c - the order-preserving encoding (spec 03 section 1.5). */
#include "unit/value/help.h"

#include "base/enc.h"
#include "value/sortkey.h"

static str
key_of(struct val v)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	sortkey_add(&b, v);
	s = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

static str
hex_of(str bytes)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	enc_hex(&b, bytes);
	s = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

static str
unhex(const char *hex)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (!dec_hex(&b, str_z(hex)))
		fail_msg("bad hex in the test: %s", hex);
	s = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return s;
}

/* The vectors of spec 03 section 1.5, in ascending order. */
static const struct {
	const char *json, *key;
} vectors[] = {
	{ "{\"$undefined\":null}", "01" },
	{ "null", "03" },
	{ "{\"$integer\":\"AAAAAAAAAIA=\"}", "048000000000000000" },
	{ "{\"$integer\":\"////f/////8=\"}", "04ffffffff7fffffff" },
	{ "{\"$integer\":\"AAAAgP////8=\"}", "0580000000" },
	{ "{\"$integer\":\"/3////////8=\"}", "05ffff7fff" },
	{ "{\"$integer\":\"AID///////8=\"}", "068000" },
	{ "{\"$integer\":\"f/////////8=\"}", "06ff7f" },
	{ "{\"$integer\":\"gP////////8=\"}", "0780" },
	{ "{\"$integer\":\"//////////8=\"}", "07ff" },
	{ "{\"$integer\":\"AAAAAAAAAAA=\"}", "08" },
	{ "{\"$integer\":\"AQAAAAAAAAA=\"}", "0901" },
	{ "{\"$integer\":\"fwAAAAAAAAA=\"}", "097f" },
	{ "{\"$integer\":\"gAAAAAAAAAA=\"}", "0a0080" },
	{ "{\"$integer\":\"/38AAAAAAAA=\"}", "0a7fff" },
	{ "{\"$integer\":\"AIAAAAAAAAA=\"}", "0b00008000" },
	{ "{\"$integer\":\"////fwAAAAA=\"}", "0b7fffffff" },
	{ "{\"$integer\":\"AAAAgAAAAAA=\"}", "0c0000000080000000" },
	{ "{\"$integer\":\"/////////38=\"}", "0c7fffffffffffffff" },
	{ "{\"$float\":\"AAAAAAAA8P8=\"}", "0d000fffffffffffff" },
	{ "-1.5", "0d4007ffffffffffff" },
	{ "-1", "0d400fffffffffffff" },
	{ "{\"$float\":\"AAAAAAAAAIA=\"}", "0d7fffffffffffffff" },
	{ "0", "0d8000000000000000" },
	{ "5e-324", "0d8000000000000001" },
	{ "1", "0dbff0000000000000" },
	{ "1.5", "0dbff8000000000000" },
	{ "100", "0dc059000000000000" },
	{ "{\"$float\":\"AAAAAAAA8H8=\"}", "0dfff0000000000000" },
	{ "{\"$float\":\"AAAAAAAA+H8=\"}", "0dfff8000000000000" },
	{ "false", "0e" },
	{ "true", "0f" },
	{ "\"\"", "1000" },
	{ "\"a\"", "106100" },
	{ "\"a\\u0000b\"", "106100ff6200" },
	{ "\"ab\"", "10616200" },
	{ "\"\xc3\xa9\"", "10c3a900" },
	{ "{\"$bytes\":\"\"}", "1100" },
	{ "{\"$bytes\":\"AAH/\"}", "1100ff01ff00" },
	{ "[]", "1200" },
	{ "[null]", "120300" },
	{ "[{\"$integer\":\"AQAAAAAAAAA=\"},\"a\"]", "12090110610000" },
	{ "{}", "1500" },
	{ "{\"\":{\"$integer\":\"AQAAAAAAAAA=\"}}", "1500ff090100" },
	{ "{\"a\":{\"$integer\":\"AQAAAAAAAAA=\"}}", "156100090100" },
	{ "{\"a\":\"x\",\"b\":null}", "15610010780062000300" },
};

/* 03 checklist 3: the vectors, their strict order, and that they read back. */
TEST(sortkey_vectors)
{
	str before = { NULL, 0 };

	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		str         key = key_of(V(vectors[i].json));
		struct pack p;
		struct val  back;
		size_t      used;

		CHECK_STRZ(hex_of(key), vectors[i].key);
		CHECK(str_cmp(before, key) < 0);
		before = key;
		pack_init(&p);
		CHECK(sortkey_read(key, &p, &used));
		CHECK_EQ(used, key.n);
		CHECK_EQ(pack_done(&p, &back, NULL), ST_OK);
		CHECK(val_eq(back, V(vectors[i].json)));
		pack_clear(&p);
	}
}

/* The index key of spec 03 section 1.5: name, _creationTime and _id of a document. */
TEST(sortkey_of_an_index_entry)
{
	struct buf b;

	buf_init(&b, 1000);
	sortkey_add_str(&b, S("bob"));
	sortkey_add_float64(&b, 1700000000000.25);
	sortkey_add_str(&b, S("j57000820c20a1g7104gm2rc1n7ycvv1"));
	CHECK_STRZ(hex_of(buf_str(&b)),
	    "10626f6200"
	    "0dc278bcfe56800400"
	    "106a353730303038323063323061316737313034676d327263316e377963767631"
	    "00");
	CHECK_EQ(b.n, 48);
	buf_reset(&b);
	sortkey_add(&b, VAL_NONE); /* a missing field */
	CHECK_STRZ(hex_of(buf_str(&b)), "01");
	buf_clear(&b);
}

static int
sign(int c)
{
	return (c > 0) - (c < 0);
}

/* 03 checklist 3: for random nested values memcmp of keys is the order of values, which is
 * equality of bytes when 0, and every key reads back. */
TEST(sortkey_order_is_value_order)
{
	enum { N = 400 };
	struct arena *scratch = arena_new();
	struct val    v[N];
	str           keys[N];
	uint64_t      state = 42;
	struct pack   p;

	pack_init(&p);
	for (size_t i = 0; i < N; i++) {
		size_t     used;
		struct val back;

		pack_reset(&p);
		random_value(&p, &state, 3);
		CHECK_EQ(pack_done_in(&p, scratch, &v[i], NULL), ST_OK);
		keys[i] = key_of(v[i]);
		pack_reset(&p);
		CHECK(sortkey_read(keys[i], &p, &used) && used == keys[i].n);
		CHECK_EQ(pack_done(&p, &back, NULL), ST_OK);
		CHECK(back.n == v[i].n && memcmp(back.p, v[i].p, back.n) == 0);
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t j = 0; j < N; j++) {
			int c = sign(val_cmp(v[i], v[j]));

			if (sign(str_cmp(keys[i], keys[j])) != c)
				fail_msg("values %zu and %zu sort differently", i, j);
			CHECK_EQ(val_eq(v[i], v[j]), c == 0);
			CHECK_EQ(sign(val_cmp(v[j], v[i])), -c);
		}
	}
	pack_clear(&p);
	arena_free(scratch);
}

/* What no encoder writes is refused: wide or wrongly signed integers, unknown tags, cut
 * keys, bad UTF-8, unsorted or repeated fields. */
TEST(sortkey_reader_is_strict)
{
	static const char *const rows[] = {
		"", "00", "02", "13", "14", "16", "ff", "fe",
		"09", "0900", "09ff", "0a007f", "0a00", "0aff80", "0b00007fff", "0b0000",
		"0c000000007fffffff", "0c00000000", "077f", "0700", "06ff80", "0600",
		"05ffff8000", "04ffffffff80000000", "0d", "0d00", "0dffffffffffffff", "10", "1061",
		"106100ff", "10ff00", "108000", "10c300", "11", "12", "1203",
		"1212", "15", "1561", "156100", "15610003", "1500ff", "1500ff03",
		"1562000361000300",
		"1561000361000300", "1500ff0300ff0300", "1561000300ff0300", "15c3a9000300",
		"1524000300",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pack p;
		size_t      used = 77;

		pack_init(&p);
		if (sortkey_read(unhex(rows[i]), &p, &used))
			fail_msg("%s was read", rows[i]);
		CHECK_EQ(used, 77);
		pack_clear(&p);
	}
}

/* Only the first value is read; the rest of the key is the caller's. */
TEST(sortkey_reads_one_of_many)
{
	str         key = unhex("106100090103");
	struct pack p;
	size_t      at = 0, used;
	const char *want[] = { "\"a\"", "{\"$integer\":\"AQAAAAAAAAA=\"}", "null" };

	pack_init(&p);
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		struct val v;

		pack_reset(&p);
		CHECK(sortkey_read(str_from(key, at), &p, &used));
		CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
		CHECK(val_eq(v, V(want[i])));
		at += used;
	}
	CHECK_EQ(at, key.n);
	pack_clear(&p);
}

/* Keys deeper than any value are refused instead of exhausting the stack. */
TEST(sortkey_depth_is_bounded)
{
	char        deep[100000];
	struct pack p;
	size_t      used;

	memset(deep, 0x12, sizeof deep);
	pack_init(&p);
	CHECK(!sortkey_read(str_of(deep, sizeof deep), &p, &used));
	pack_clear(&p);
	pack_init(&p);
	p.trusted = true;
	CHECK(!sortkey_read(str_of(deep, sizeof deep), &p, &used));
	pack_clear(&p);
}

/* The end of a prefix is above every key that begins with it and below every other greater
 * key, the NUL continuation of the quirk included. */
TEST(sortkey_prefix_end_is_exact)
{
	struct buf end;
	str        bob = key_of(V("\"bob\"")), more;

	buf_init(&end, 100);
	sortkey_prefix_end(&end, bob);
	CHECK_STRZ(hex_of(buf_str(&end)), "10626f6200ff");
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct buf b;

		buf_init(&b, 1000);
		buf_add(&b, bob);
		buf_add(&b, key_of(V(vectors[i].json)));
		CHECK(str_cmp(buf_str(&b), buf_str(&end)) < 0);
		CHECK(str_cmp(buf_str(&b), bob) > 0);
		buf_clear(&b);
	}
	more = key_of(V("\"bob\\u0000x\""));
	CHECK(str_cmp(more, buf_str(&end)) > 0);
	CHECK(str_cmp(key_of(V("\"boba\"")), buf_str(&end)) > 0);
	buf_clear(&end);
}

/* Spec 03 section 1.6: before commit the token has the key of the largest Int64. */
TEST(sortkey_of_the_commit_timestamp_token)
{
	CHECK_STRZ(hex_of(key_of(V("{\"$commitTs\":null}"))), "0c7fffffffffffffff");
}

TEST_RUN_VALUES(T(sortkey_vectors), T(sortkey_of_an_index_entry), T(sortkey_order_is_value_order),
    T(sortkey_reader_is_strict), T(sortkey_reads_one_of_many), T(sortkey_depth_is_bounded),
    T(sortkey_prefix_end_is_exact), T(sortkey_of_the_commit_timestamp_token))
