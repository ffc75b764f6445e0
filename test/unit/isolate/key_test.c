/* key_test.c - key material of crypto.subtle: DER and back (isolate/key.h). */
#include "test.h"

#include "base/must.h"
#include "isolate/key.h"

struct made {
	uint8_t        bytes[KEY_BYTES_MAX], der[KEY_BYTES_MAX];
	struct key_out packed, written;
};

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static bool
always(void *arg)
{
	(void)arg;
	return true;
}

static void
make(struct made *m, enum key_kind kind)
{
	struct key k;

	m->packed = (struct key_out){ .p = m->bytes, .max = sizeof m->bytes };
	m->written = (struct key_out){ .p = m->der, .max = sizeof m->der };
	assert_true(key_generate(kind, 1024, 65537, never, NULL, &m->packed));
	assert_true(key_unpack(str_of(m->bytes, m->packed.n), kind, true, &k));
	key_to_der(&k, &m->written);
	assert_false(m->written.overflow);
}

/* A key that was written reads back the same; whatever byte is cut off or added, it is none. */
TEST(der_is_read_strictly)
{
	for (int kind = 0; kind < KEY_KINDS; kind++) {
		struct made    m;
		struct key     k;
		uint8_t        again[KEY_BYTES_MAX], longer[KEY_BYTES_MAX];
		struct key_out out = { .p = again, .max = sizeof again };

		make(&m, (enum key_kind)kind);
		assert_true(key_from_der(
		    str_of(m.der, m.written.n), (enum key_kind)kind, true, &k));
		assert_true(key_complete(&k, &out));
		CHECK_STR(str_of(again, out.n), str_of(m.bytes, m.packed.n));
		for (size_t n = 0; n < m.written.n; n++)
			assert_false(
			    key_from_der(str_of(m.der, n), (enum key_kind)kind, true, &k));
		memcpy(longer, m.der, m.written.n);
		longer[m.written.n] = 0;
		assert_false(key_from_der(
		    str_of(longer, m.written.n + 1), (enum key_kind)kind, true, &k));
	}
}

/* A changed byte gives no key, or one whose parts still belong together. */
TEST(changed_bytes_give_no_broken_keys)
{
	for (int kind = KEY_P256; kind < KEY_KINDS; kind++) {
		struct made m;

		make(&m, (enum key_kind)kind);
		for (size_t i = 0; i < m.written.n; i++) {
			uint8_t        again[KEY_BYTES_MAX];
			struct key_out out = { .p = again, .max = sizeof again };
			struct key     k;
			EVP_PKEY      *pkey;

			m.der[i] ^= 0x11;
			if (key_from_der(str_of(m.der, m.written.n), (enum key_kind)kind, true,
				&k) &&
			    key_complete(&k, &out)) {
				assert_true(key_unpack(
				    str_of(again, out.n), (enum key_kind)kind, true, &k));
				pkey = key_open(&k);
				assert_non_null(pkey);
				EVP_PKEY_free(pkey);
			}
			m.der[i] ^= 0x11;
		}
	}
}

/* The search for primes can be stopped, and refuses what it could never find. */
TEST(generation_ends)
{
	static const struct {
		const char *reason;
		unsigned    bits;
		uint64_t    e;
		bool (*stop)(void *);
		bool        want;
	} rows[] = {
		{ "as usual", 1024, 65537, never, true },
		{ "stopped", 4096, 65537, always, false },
		{ "even exponent", 1024, 2, never, false },
		{ "exponent one", 1024, 1, never, false },
		{ "too short", 256, 65537, never, false },
		{ "too long", 16384, 65537, never, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t        bytes[KEY_BYTES_MAX];
		struct key_out out = { .p = bytes, .max = sizeof bytes };

		fprintf(stderr, "  %s\n", rows[i].reason);
		CHECK_EQ(key_generate(KEY_RSA, rows[i].bits, rows[i].e, rows[i].stop, NULL, &out),
		    rows[i].want);
	}
}

/* What does not fit is an overflow, never a write behind the end. */
TEST(outputs_are_bounded)
{
	for (size_t max = 0; max < 100; max++) {
		uint8_t        bytes[100];
		struct key_out out = { .p = bytes, .max = max };
		struct made    m;
		struct key     k;

		make(&m, KEY_ED25519);
		memset(bytes, 0xaa, sizeof bytes);
		assert_true(key_unpack(str_of(m.bytes, m.packed.n), KEY_ED25519, true, &k));
		key_pack(&k, &out);
		CHECK_EQ(out.overflow, max < m.packed.n);
		for (size_t i = max; i < sizeof bytes; i++)
			assert_int_equal(bytes[i], 0xaa);
	}
}

TEST_RUN(T(der_is_read_strictly), T(changed_bytes_give_no_broken_keys), T(generation_ends),
    T(outputs_are_bounded))
