/* hash_test.c - digests, table hashes and checksums. */
#include "test.h"

#include "base/enc.h"
#include "base/hash.h"

static void
check_hex(str bytes, const char *want)
{
	struct buf b;

	buf_init(&b, 1000);
	enc_hex(&b, bytes);
	CHECK_STRZ(buf_str(&b), want);
	buf_clear(&b);
}

/* FIPS 180 "abc"; RFC 4231 case 2. */
TEST(digests_have_known_values)
{
	uint8_t        d[32];
	struct sha256 *h = sha256_new();

	sha1(S("abc"), d);
	check_hex(str_of(d, 20), "a9993e364706816aba3e25717850c26c9cd0d89d");
	sha256(S("abc"), d);
	check_hex(str_of(d, 32),
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_add(h, S("a"));
	sha256_add(h, S(""));
	sha256_add(h, S("bc"));
	memset(d, 0, sizeof d);
	sha256_end_free(h, d);
	check_hex(str_of(d, 32),
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hmac_sha256(S("Jefe"), S("what do ya want for nothing?"), d);
	check_hex(str_of(d, 32),
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 3720 appendix B.4; a checksum of parts is the checksum of the whole. */
TEST(crc32c_has_known_values)
{
	char zeros[32] = { 0 };
	char ones[32];

	memset(ones, 0xFF, sizeof ones);
	CHECK(crc32c(0, str_of(zeros, 32)) == 0x8a9136aa);
	CHECK(crc32c(0, str_of(ones, 32)) == 0x62a8ab43);
	CHECK(crc32c(0, S("123456789")) == 0xe3069283);
	CHECK(crc32c(crc32c(0, S("12345")), S("6789")) == 0xe3069283);
	CHECK(crc32c(0, STR_EMPTY) == 0);
}

/* SipHash depends on its key and on every byte, the length included. */
TEST(siphash_separates)
{
	char     bytes[40] = { 0 };
	uint64_t before = hash_bytes(str_of(bytes, 40));

	for (size_t i = 0; i < sizeof bytes; i++) {
		CHECK(hash_bytes(str_of(bytes, i)) != before);
		bytes[i] = 1;
		CHECK(hash_bytes(str_of(bytes, 40)) != before);
		bytes[i] = 0;
	}
	hash_seed(1, 2);
	CHECK(hash_bytes(str_of(bytes, 40)) != before);
	hash_seed(0, 0);
	CHECK(hash_bytes(str_of(bytes, 40)) == before);
}

TEST_RUN(T(digests_have_known_values), T(crc32c_has_known_values), T(siphash_separates))
