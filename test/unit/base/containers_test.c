/* containers_test.c - arena, buf, vec and map. */
#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"

/* Whatever its size, an allocation is aligned, apart from the others, and stays put. */
TEST(arena_allocations_are_aligned_and_disjoint)
{
	static const size_t sizes[] = { 1, 16, 17, 100, 4000, 5000, 70000, 300000, 3, 0 };
	struct arena       *a = arena_new();
	char               *p[COUNT_OF(sizes) * 20];
	size_t              n = 0, asked = 0;

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < COUNT_OF(sizes); i++) {
			p[n] = arena_alloc(a, sizes[i]);
			CHECK_EQ((uintptr_t)p[n] % 16, 0);
			memset(p[n], (int)(n & 0xFF), sizes[i]);
			asked += sizes[i];
			n++;
		}
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < sizes[i % COUNT_OF(sizes)]; j++)
			if ((uint8_t)p[i][j] != (i & 0xFF))
				fail_msg("allocation %zu was overwritten", i);
	CHECK(arena_bytes(a) >= asked);
	arena_reset(a);
	CHECK_EQ(arena_bytes(a), 0);
	arena_free(a);
	arena_free(NULL);
}

struct trace {
	char   order[8];
	size_t n;
};

static struct trace trace;

static void
note(void *arg)
{
	trace.order[trace.n++] = *(const char *)arg;
}

/* Clean-up functions run once, last registered first, at reset and at free. */
TEST(arena_runs_clean_up_in_reverse)
{
	static char   names[] = "abc";
	struct arena *a = arena_new();

	trace = (struct trace){ 0 };
	arena_on_free(a, note, &names[0]);
	arena_on_free(a, note, &names[1]);
	arena_reset(a);
	arena_on_free(a, note, &names[2]);
	arena_free(a);
	CHECK_STRZ(str_of(trace.order, trace.n), "bac");
}

TEST(arena_copies_are_terminated)
{
	struct arena *a = arena_new();
	str           s = arena_str(a, S("abc"));

	CHECK_STRZ(s, "abc");
	CHECK_EQ(s.p[3], '\0');
	CHECK_EQ(strlen(arena_z(a, STR_EMPTY)), 0);
	CHECK_STRZ(arena_fmt(a, "%d-%s", 12, "x"), "12-x");
	CHECK_EQ(*(char *)arena_zalloc(a, 1), 0);
	arena_free(a);
}

/* A buf never holds more than its maximum; past it, it says so and stays as it was. */
TEST(buf_overflow_is_sticky_until_reset)
{
	struct buf b;

	buf_init(&b, 5);
	buf_add(&b, S("abc"));
	CHECK(buf_ok(&b));
	buf_add(&b, S("def"));
	CHECK(!buf_ok(&b));
	buf_add_byte(&b, 'x'); /* would fit, is ignored */
	CHECK_STRZ(buf_str(&b), "abc");
	CHECK(buf_reserve(&b, 1) == NULL);
	buf_reset(&b);
	buf_add(&b, S("fghij"));
	CHECK(buf_ok(&b));
	CHECK_STRZ(buf_str(&b), "fghij");
	buf_clear(&b);
	CHECK_EQ(b.n, 0);
	CHECK_STRZ(buf_str(&b), "");
}

/* Formatting obeys the maximum to the byte, whatever memory happens to be there. */
TEST(buf_fmt_fits_exactly)
{
	struct buf b;

	buf_init(&b, 6);
	buf_fmt(&b, "%s", "abc");
	buf_fmt(&b, "%d", 123);
	CHECK(buf_ok(&b));
	CHECK_STRZ(buf_str(&b), "abc123");
	buf_fmt(&b, "%s", "x");
	CHECK(!buf_ok(&b));
	CHECK_STRZ(buf_str(&b), "abc123");
	buf_clear(&b);

	buf_init(&b, BUF_MAX_DEFAULT);
	for (int i = 0; i < 100; i++)
		buf_fmt(&b, "%0100d", i);
	CHECK_EQ(b.n, 10000);
	CHECK_STRZ(str_from(buf_str(&b), 9990), "0000000099");
	buf_clear(&b);
}

TEST(buf_integers_have_the_named_byte_order)
{
	struct buf b;

	buf_init(&b, 64);
	buf_add_u32be(&b, 0x01020304);
	buf_add_u32le(&b, 0x01020304);
	buf_add_u64be(&b, 0x0102030405060708);
	buf_add_u64le(&b, 0x0102030405060708);
	CHECK_STR(buf_str(&b), S("\1\2\3\4\4\3\2\1\1\2\3\4\5\6\7\10\10\7\6\5\4\3\2\1"));
	buf_drop_front(&b, 20);
	CHECK_STR(buf_str(&b), S("\4\3\2\1"));
	buf_clear(&b);
}

/* Sizes in messages: binary units, two digits unless integral (spec 03 section 1.4). */
TEST(buf_sizes_read_as_in_messages)
{
	static const struct {
		uint64_t    bytes;
		const char *want;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.50 KiB" },
		{ 1 << 20, "1 MiB" },
		{ (1 << 20) + (1 << 19), "1.50 MiB" },
		{ 17 << 20, "17 MiB" },
		{ (uint64_t)3 << 40, "3 TiB" },
		{ (uint64_t)5000 << 40, "5000 TiB" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf b;

		buf_init(&b, 64);
		buf_add_size(&b, rows[i].bytes);
		CHECK_STRZ(buf_str(&b), rows[i].want);
		buf_clear(&b);
	}
}

TEST(vec_grows_and_keeps_its_items)
{
	VEC(int) v = { 0 };

	for (int i = 0; i < 1000; i++)
		vec_push(&v, i * 3);
	CHECK_EQ(v.n, 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(v.v[i], i * 3);
	vec_clear(&v);
	CHECK_EQ(v.n, 0);
	CHECK(v.v == NULL);
}

static str
key_of(char room[16], int i)
{
	return str_of(room, (size_t)snprintf(room, 16, "key%d", i));
}

/* The map agrees with a plain array of flags through a long mix of puts and removals, and
 * its iteration visits exactly what it holds. */
TEST(map_agrees_with_a_model)
{
	struct map *m = map_new();
	bool        model[500] = { false };
	size_t      live = 0, seen = 0, pos = 0;
	uint32_t    random = 12345;
	char        room[16];
	str         key;
	void       *value;

	for (int step = 0; step < 20000; step++) {
		int i;

		random = random * 1664525 + 1013904223;
		i = (int)(random >> 16) % 500;
		key = key_of(room, i);
		CHECK(map_get(m, key) == (model[i] ? &model[i] : NULL));
		if (random >> 8 & 1) {
			CHECK(map_put(m, key, &model[i]) == (model[i] ? &model[i] : NULL));
			live += !model[i];
			model[i] = true;
		} else {
			CHECK(map_del(m, key) == (model[i] ? &model[i] : NULL));
			live -= model[i];
			model[i] = false;
		}
		CHECK_EQ(map_count(m), live);
	}
	while (map_next(m, &pos, &key, &value)) {
		bool *flag = value;

		CHECK(*flag);
		CHECK_STR(key, key_of(room, (int)(flag - model)));
		seen++;
	}
	CHECK_EQ(seen, live);
	map_free(m);
	map_free(NULL);
}

/* Without removals iteration is in insertion order, for any hash key. */
TEST(map_iterates_in_insertion_order)
{
	for (uint64_t seed = 0; seed < 3; seed++) {
		struct map *m;
		char        room[16];
		static int  values[300];
		size_t      pos = 0;
		str         key;
		void       *value;

		hash_seed(seed, ~seed);
		m = map_new();
		for (int i = 299; i >= 0; i--)
			map_put(m, key_of(room, i), &values[i]);
		for (int i = 299; i >= 0; i--) {
			CHECK(map_next(m, &pos, &key, &value));
			CHECK(value == &values[i]);
		}
		CHECK(!map_next(m, &pos, &key, &value));
		map_free(m);
	}
	hash_seed(0, 0);
}

TEST(map_takes_empty_and_binary_keys)
{
	struct map *m = map_new();
	int         x, y;

	map_put(m, STR_EMPTY, &x);
	map_put(m, S("\0"), &y);
	CHECK(map_get(m, STR_EMPTY) == &x);
	CHECK(map_get(m, S("\0")) == &y);
	CHECK(map_get(m, S("\0\0")) == NULL);
	map_free(m);
}

TEST_RUN(T(arena_allocations_are_aligned_and_disjoint), T(arena_runs_clean_up_in_reverse),
    T(arena_copies_are_terminated), T(buf_overflow_is_sticky_until_reset), T(buf_fmt_fits_exactly),
    T(buf_integers_have_the_named_byte_order), T(buf_sizes_read_as_in_messages),
    T(vec_grows_and_keeps_its_items), T(map_agrees_with_a_model),
    T(map_iterates_in_insertion_order), T(map_takes_empty_and_binary_keys))
