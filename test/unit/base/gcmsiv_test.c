/* gcmsiv_test.c - the sealing of keys and cursors against published vectors. */
#include "test.h"

#include "base/enc.h"
#include "base/gcmsiv.h"

#define SECRET "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974"

static struct buf
unhex(const char *hex)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_reserve(&b, 1); /* so that p is a pointer even for no bytes */
	CHECK(dec_hex(&b, str_z(hex)));
	return b;
}

static void
check_hex(const struct buf *got, const char *want)
{
	struct buf hex;

	buf_init(&hex, BUF_MAX_DEFAULT);
	enc_hex(&hex, buf_str(got));
	CHECK_STRZ(buf_str(&hex), want);
	buf_clear(&hex);
}

static const uint8_t *
bytes(const struct buf *b)
{
	return (const uint8_t *)b->p;
}

struct sealed {
	const char *key, *nonce, *aad, *plain, *sealed;
};

#define K1 "01000000000000000000000000000000"
#define N3 "030000000000000000000000"
#define B2 "02000000000000000000000000000000"
#define B3 "03000000000000000000000000000000"
#define B4 "04000000000000000000000000000000"
#define B5 "05000000000000000000000000000000"

/* RFC 8452, appendix C.1. */
static const struct sealed rfc8452[] = {
	{ K1, N3, "", "", "dc20e2d83f25705bb49e439eca56de25" },
	{ K1, N3, "", "0100000000000000", "b5d839330ac7b786578782fff6013b815b287c22493a364c" },
	{ K1, N3, "", "010000000000000000000000",
	    "7323ea61d05932260047d942a4978db357391a0bc4fdec8b0d106639" },
	{ K1, N3, "", K1, "743f7c8077ab25f8624e2e948579cf77303aaf90f6fe21199c6068577437a0c4" },
	{ K1, N3, "", K1 B2,
	    "84e07e62ba83a6585417245d7ec413a9fe427d6315c09b57ce45f2e3936a9445"
	    "1a8e45dcd4578c667cd86847bf6155ff" },
	{ K1, N3, "", K1 B2 B3,
	    "3fd24ce1f5a67b75bf2351f181a475c7b800a5b4d3dcf70106b1eea82fa1d64d"
	    "f42bf7226122fa92e17a40eeaac1201b5e6e311dbf395d35b0fe39c2714388f8" },
	{ K1, N3, "", K1 B2 B3 B4,
	    "2433668f1058190f6d43e360f4f35cd8e475127cfca7028ea8ab5c20f7ab2af0"
	    "2516a2bdcbc08d521be37ff28c152bba36697f25b4cd169c6590d1dd39566d3f"
	    "8a263dd317aa88d56bdf3936dba75bb8" },
	{ K1, N3, "01", "0200000000000000", "1e6daba35669f4273b0a1a2560969cdf790d99759abd1508" },
	{ K1, N3, "01", "020000000000000000000000",
	    "296c7889fd99f41917f4462008299c5102745aaa3a0c469fad9e075a" },
	{ K1, N3, "01", B2, "e2b0c5da79a901c1745f700525cb335b8f8936ec039e4e4bb97ebd8c4457441f" },
	{ K1, N3, "01", B2 B3,
	    "620048ef3c1e73e57e02bb8562c416a319e73e4caac8e96a1ecb2933145a1d71"
	    "e6af6a7f87287da059a71684ed3498e1" },
	{ K1, N3, "01", B2 B3 B4,
	    "50c8303ea93925d64090d07bd109dfd9515a5a33431019c17d93465999a8b005"
	    "3201d723120a8562b838cdff25bf9d1e6a8cc3865f76897c2e4b245cf31c51f2" },
	{ K1, N3, "01", B2 B3 B4 B5,
	    "2f5c64059db55ee0fb847ed513003746aca4e61c711b5de2e7a77ffd02da42fe"
	    "ec601910d3467bb8b36ebbaebce5fba30d36c95f48a3e7980f0e7ac299332a80"
	    "cdc46ae475563de037001ef84ae21744" },
	{ K1, N3, "010000000000000000000000", "02000000",
	    "a8fe3e8707eb1f84fb28f8cb73de8e99e2f48a14" },
	{ K1, N3, K1 "0200", B3 "04000000",
	    "6bb0fecf5ded9b77f902c7d5da236a4391dd029724afc9805e976f451e6d87f6fe106514" },
	{ K1, N3, K1 "02000000", B3 "0400",
	    "44d0aaf6fb2f1f34add5e8064e83e12a2adabff9b2ef00fb47920cc72a0c0f13b9fd" },
	{ "e66021d5eb8e4f4066d4adb9c33560e4", "f46e44bb3da0015c94f70887", "", "",
	    "a4194b79071b01a87d65f706e3949578" },
	{ "36864200e0eaf5284d884a0e77d31646", "bae8e37fc83441b16034566b", "46bb91c3c5", "7a806c",
	    "af60eb711bd85bc1e4d3e0a462e074eea428a8" },
	{ "aedb64a6c590bc84d1a5e269e4b47801", "afc0577e34699b9e671fdd4f",
	    "fc880c94a95198874296", "bdc66f146545",
	    "bb93a3e34d3cd6a9c45545cfc11f03ad743dba20f966" },
	{ "d5cc1fd161320b6920ce07787f86743b", "275d1ab32f6d1f0434d8848c",
	    "046787f3ea22c127aaf195d1894728", "1177441f195495860f",
	    "4f37281f7ad12949d01d02fd0cd174c84fc5dae2f60f52fd2b" },
	{ "b3fed1473c528b8426a582995929a149", "9e9ad8780c8d63d0ab4149c0",
	    "c9882e5386fd9f92ec489c8fde2be2cf97e74e93", "9f572c614b4745914474e7c7",
	    "f54673c5ddf710c745641c8bc1dc2f871fb7561da1286e655e24b7b0" },
	{ "2d4ed87da44102952ef94b02b805249b", "ac80e6f61455bfac8308a2d4",
	    "2950a70d5a1db2316fd568378da107b52b0da55210cc1c1b0a", "0d8c84511780823"
	    "55c9e940fea2f58",
	    "c9ff545e07b88a015f05b274540aa183b3449b9f39552de99dc214a1190b0b" },
	{ "bde3b2f204d1e9f8b06bc47f9745b3d1", "ae06556fb6aa7890bebc18fe",
	    "1860f762ebfbd08284e421702de0de18baa9c9596291b08466f37de21c7f",
	    "6b3db4da3d57aa94842b9803a96e07fb6de7",
	    "6298b296e24e8cc35dce0bed484b7f30d5803e377094f04709f64d7b985310a4db84" },
	{ "f901cfe8a69615a93fdf7a98cad48179", "6245709fb18853f68d833640",
	    "7576f7028ec6eb5ea7e298342a94d4b202b370ef9768ec6561c4fe6b7e7296fa859c21",
	    "e42a3c02c25b64869e146d7b233987bddfc240871d",
	    "391cc328d484a4f46406181bcd62efd9b3ee197d052d15506c84a9edd65e13e9d24a2a6e70" },
};

/* Sealing gives the published bytes; opening them gives the text back. */
TEST(rfc_vectors_seal_and_open)
{
	for (size_t i = 0; i < COUNT_OF(rfc8452); i++) {
		const struct sealed *v = &rfc8452[i];
		struct buf key = unhex(v->key), nonce = unhex(v->nonce), aad = unhex(v->aad);
		struct buf plain = unhex(v->plain), out, back;

		buf_init(&out, BUF_MAX_DEFAULT);
		buf_init(&back, BUF_MAX_DEFAULT);
		gcmsiv_seal(bytes(&key), bytes(&nonce), buf_str(&aad), buf_str(&plain), &out);
		check_hex(&out, v->sealed);
		CHECK(gcmsiv_open(bytes(&key), bytes(&nonce), buf_str(&aad), buf_str(&out), &back));
		CHECK_STR(buf_str(&back), buf_str(&plain));
		buf_clear(&key);
		buf_clear(&nonce);
		buf_clear(&aad);
		buf_clear(&plain);
		buf_clear(&out);
		buf_clear(&back);
	}
}

/* Any flipped bit of text, tag, additional data or nonce makes the whole unreadable, and what
 * was in the output buffer before stays as it was. */
TEST(forgeries_are_refused)
{
	struct buf key = unhex(K1), nonce = unhex(N3), aad = unhex("07"), sealed, out;

	buf_init(&sealed, BUF_MAX_DEFAULT);
	buf_init(&out, BUF_MAX_DEFAULT);
	buf_addz(&out, "kept");
	gcmsiv_seal(
	    bytes(&key), bytes(&nonce), buf_str(&aad), S("a cursor of some length"), &sealed);
	for (size_t bit = 0; bit < sealed.n * 8; bit++) {
		sealed.p[bit / 8] ^= (char)(1 << bit % 8);
		CHECK(!gcmsiv_open(
		    bytes(&key), bytes(&nonce), buf_str(&aad), buf_str(&sealed), &out));
		sealed.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	CHECK(!gcmsiv_open(bytes(&key), bytes(&nonce), S("\x08"), buf_str(&sealed), &out));
	nonce.p[11] ^= 1;
	CHECK(!gcmsiv_open(bytes(&key), bytes(&nonce), buf_str(&aad), buf_str(&sealed), &out));
	nonce.p[11] ^= 1;
	for (size_t n = 0; n < sealed.n; n++)
		CHECK(!gcmsiv_open(bytes(&key), bytes(&nonce), buf_str(&aad),
		    str_head(buf_str(&sealed), n), &out));
	CHECK_STR(buf_str(&out), S("kept"));
	CHECK(gcmsiv_open(bytes(&key), bytes(&nonce), buf_str(&aad), buf_str(&sealed), &out));
	CHECK_STR(buf_str(&out), S("kepta cursor of some length"));
	buf_clear(&key);
	buf_clear(&nonce);
	buf_clear(&aad);
	buf_clear(&sealed);
	buf_clear(&out);
}

/* Every length around the borders of blocks and of the counter batch survives the round trip. */
TEST(all_lengths_round_trip)
{
	struct buf  key = unhex(K1), nonce = unhex(N3), sealed, out;
	static char text[600];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 31);
	buf_init(&sealed, BUF_MAX_DEFAULT);
	buf_init(&out, BUF_MAX_DEFAULT);
	for (size_t n = 0; n <= sizeof text; n++) {
		buf_reset(&sealed);
		buf_reset(&out);
		gcmsiv_seal(
		    bytes(&key), bytes(&nonce), str_of(text, n / 3), str_of(text, n), &sealed);
		CHECK_EQ(sealed.n, n + GCMSIV_TAG);
		CHECK(gcmsiv_open(bytes(&key), bytes(&nonce), str_of(text, n / 3), buf_str(&sealed),
		    &out));
		CHECK_STR(buf_str(&out), str_of(text, n));
	}
	buf_clear(&key);
	buf_clear(&nonce);
	buf_clear(&sealed);
	buf_clear(&out);
}

/* A buffer that may not grow takes neither sealed bytes nor plaintext. */
TEST(full_buffers_overflow_cleanly)
{
	struct buf key = unhex(K1), nonce = unhex(N3), sealed, small;

	buf_init(&small, 20);
	gcmsiv_seal(bytes(&key), bytes(&nonce), S(""), S("12345"), &small);
	CHECK(!buf_ok(&small));
	buf_clear(&small);

	buf_init(&sealed, BUF_MAX_DEFAULT);
	gcmsiv_seal(bytes(&key), bytes(&nonce), S(""), S("12345"), &sealed);
	buf_init(&small, 4);
	CHECK(!gcmsiv_open(bytes(&key), bytes(&nonce), S(""), buf_str(&sealed), &small));
	CHECK_EQ(small.n, 0);
	buf_clear(&small);
	buf_clear(&sealed);
	buf_clear(&key);
	buf_clear(&nonce);
}

/* The sub-keys of spec 02 section 15.3 and spec 05 section 6. */
TEST(sub_keys_of_the_development_secret)
{
	const struct {
		const char *label, *want;
	} rows[] = {
		{ "admin key", "a7526e1715ea4effa55636bee910d731" },
		{ "cursor", "24a1cb7af6bce88c7d8cb1c9ed9546d5" },
		{ "query journal", "e2f09aa78958d793dabb743518982ff3" },
		{ "action callback token", "89e932e075270bf016870ec3e2f2d9d4" },
		{ "store file authorization", "4587503ba79570a0a8097878574ed1f2" },
		{ "data sync cursor", "f31471e4feeeb2590401eb8c7445b1a7" },
	};
	struct buf secret = unhex(SECRET);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t    key[16];
		struct buf got;

		kbkdf16(bytes(&secret), str_z(rows[i].label), key);
		buf_init(&got, 64);
		buf_add(&got, str_of(key, sizeof key));
		check_hex(&got, rows[i].want);
		buf_clear(&got);
	}
	buf_clear(&secret);
}

/* The tokens of spec 02 section 15.3 and spec 05 section 6: version byte, nonce, ciphertext and
 * tag, the version byte being the additional data. */
TEST(tokens_of_the_development_secret)
{
	const struct {
		const char *why, *label, *plain, *token;
	} rows[] = {
		{ "member 0", "admin key", "1080e2cfaa061800",
		    "01000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2adc6f04983839e" },
		{ "member 0, read-only", "admin key", "1080e2cfaa0618002801",
		    "01000102030405060708090a0b9293461285dccc90b288bfa912cae60264829aebb93d"
		    "6acd1867" },
		{ "system", "admin key", "1080e2cfaa062200",
		    "01000102030405060708090a0b1e0050533b39313fd1b0b727eaf2c146a1c4e8cc9eb197c4" },
		{ "store file", "store file authorization", "0a086361726e697461731080e2cfaa061a00",
		    "01000102030405060708090a0b586271ae03427c7241772f825c741943042898f695e630207825"
		    "52a7860fec80c4ec" },
	};
	struct buf secret = unhex(SECRET);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t    key[16];
		struct buf head = unhex("01000102030405060708090a0b"), plain = unhex(rows[i].plain);
		struct buf out;

		print_message("  %s\n", rows[i].why);
		kbkdf16(bytes(&secret), str_z(rows[i].label), key);
		buf_init(&out, 1024);
		buf_add(&out, buf_str(&head));
		gcmsiv_seal(
		    key, bytes(&head) + 1, str_head(buf_str(&head), 1), buf_str(&plain), &out);
		check_hex(&out, rows[i].token);
		buf_clear(&out);
		buf_clear(&plain);
		buf_clear(&head);
	}
	buf_clear(&secret);
}

TEST_RUN(T(rfc_vectors_seal_and_open), T(forgeries_are_refused), T(all_lengths_round_trip),
    T(full_buffers_overflow_cleanly), T(sub_keys_of_the_development_secret),
    T(tokens_of_the_development_secret))
