/* admin_key_test.c - admin keys and the Authorization header. */
#include "test.h"

#include "auth/auth.h"
#include "auth/auth_int.h"
#include "base/enc.h"
#include "os/os.h"

static const char dev_secret[] = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";

#define MEMBER_KEY "01000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2adc6f04983839e"
#define READ_ONLY_KEY                                                         \
	"01000102030405060708090a0b9293461285dccc90b288bfa912cae60264829aebb93d6acd1867"
#define SYSTEM_KEY "01000102030405060708090a0b1e0050533b39313fd1b0b727eaf2c146a1c4e8cc9eb197c4"
#define LEGACY_SYSTEM                                                                              \
	"01ec1dc4339bc4a2c653e70016b1e1dea952bcfd707a0cd49c1bddcdfcd4d4a79bb2d6bdfa2f1493a1937cdb" \
	"71e9"                                                                                     \
	"84c4a7"
#define LEGACY_MEMBER                                                                              \
	"0135d8598650f8f5cb0f30c34ec2e2bb62793bc28717c8eb6fb577996d50be5f4281b59181095065c5d0f86a" \
	"2c31"                                                                                     \
	"ddbe9b597ec62b47ded69782cd"

static struct auth *
auth_named(const char *name)
{
	struct auth_opts opts = { .instance_name = str_z(name), .os = os_real() };
	struct err       e = err_in(NULL);

	assert_int_equal(auth_parse_secret(str_z(dev_secret), opts.secret, &e), ST_OK);
	return auth_new(&opts);
}

static void
check_hex(str got, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	enc_hex(&b, got);
	check_str(buf_str(&b), str_z(want), __FILE__, __LINE__);
	buf_clear(&b);
}

/* Sub-keys of the instance secret are the ones that other implementations derive. */
TEST(subkeys_match_the_vectors) /* 02 checklist 8 */
{
	const struct {
		const char *label, *key;
	} rows[] = {
		{ "admin key", "a7526e1715ea4effa55636bee910d731" },
		{ "cursor", "24a1cb7af6bce88c7d8cb1c9ed9546d5" },
		{ "query journal", "e2f09aa78958d793dabb743518982ff3" },
		{ "action callback token", "89e932e075270bf016870ec3e2f2d9d4" },
		{ "store file authorization", "4587503ba79570a0a8097878574ed1f2" },
		{ "data sync cursor", "f31471e4feeeb2590401eb8c7445b1a7" },
	};
	uint8_t secret[32], key[16];

	CHECK_EQ(auth_parse_secret(str_z(dev_secret), secret, NULL), ST_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		auth_subkey(secret, str_z(rows[i].label), key);
		check_hex(str_of(key, 16), rows[i].key);
	}
}

TEST(secret_is_64_hex_characters)
{
	uint8_t secret[32];

	CHECK_EQ(auth_parse_secret(S(""), secret, NULL), ST_BAD_REQUEST);
	CHECK_EQ(auth_parse_secret(S("43"), secret, NULL), ST_BAD_REQUEST);
	CHECK_EQ(auth_parse_secret(str_head(str_z(dev_secret), 63), secret, NULL), ST_BAD_REQUEST);
	CHECK_EQ(
	    auth_parse_secret(S("zz61726e697461732c206c69746572616c6c79206d65616e696e6720226c6974"),
		secret, NULL),
	    ST_BAD_REQUEST);
}

/* A key is good if it opens under the secret and names this instance; what stands before the
 * first ':' of its name does not matter. */
TEST(keys_are_accepted_and_refused) /* 02 checklist 5, 6, 8; 05 checklist 4 */
{
	const struct {
		const char        *why;
		const char        *key;
		bool               ok;
		enum identity_kind kind;
		bool               read_only;
	} rows[] = {
		{ "member", "carnitas|" MEMBER_KEY, true, IDENTITY_ADMIN, false },
		{ "read-only", "carnitas|" READ_ONLY_KEY, true, IDENTITY_ADMIN, true },
		{ "system", "carnitas|" SYSTEM_KEY, true, IDENTITY_SYSTEM, false },
		{ "legacy system", "carnitas|" LEGACY_SYSTEM, true, IDENTITY_SYSTEM, false },
		{ "legacy, name inside", LEGACY_MEMBER, true, IDENTITY_ADMIN, false },
		{ "legacy, both names", "carnitas|" LEGACY_MEMBER, true, IDENTITY_ADMIN, false },
		{ "type prefix", "prod:carnitas|" MEMBER_KEY, true, IDENTITY_ADMIN, false },
		{ "any prefix", "whatever:carnitas|" MEMBER_KEY, true, IDENTITY_ADMIN, false },
		{ "other instance", "barbacoa|" MEMBER_KEY, false, 0, false },
		{ "no name anywhere", MEMBER_KEY, false, 0, false },
		{ "empty name", "|" MEMBER_KEY, false, 0, false },
		{ "not hexadecimal", "carnitas|xyz", false, 0, false },
		{ "empty", "", false, 0, false },
		{ "only a bar", "|", false, 0, false },
		{ "too short", "carnitas|01", false, 0, false },
		{ "cut off",
		    "carnitas|01000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2adc6"
		    "f049838",
		    false, 0, false },
		{ "altered",
		    "carnitas|01000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2adc6f"
		    "04983839f",
		    false, 0, false },
		{ "other version",
		    "carnitas|02000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2"
		    "adc6f04983839e",
		    false, 0, false },
	};
	struct auth *a = auth_named("carnitas");

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct identity *id = NULL;
		struct err       e = err_in(NULL);
		status           st = auth_admin_key(a, str_z(rows[i].key), NULL, &id, &e);

		fprintf(stderr, "  %s\n", rows[i].why);
		CHECK_EQ(st, rows[i].ok ? ST_OK : ST_UNAUTHENTICATED);
		if (rows[i].ok) {
			CHECK_EQ(id->kind, rows[i].kind);
			CHECK_EQ(id->read_only, rows[i].read_only);
			identity_unref(id);
		} else {
			CHECK_STRZ(e.code, "BadAdminKey");
			CHECK_STRZ(e.text, "The provided admin key was invalid for this instance");
		}
	}
	auth_free(a);
}

/* What keygen makes is accepted by the server of that name and secret, and by no other. */
TEST(made_keys_are_accepted) /* 02 checklist 8, 05 checklist 5 */
{
	struct auth     *a = auth_named("happy-animal-123"), *b = auth_named("other");
	struct identity *id = NULL;
	struct buf       key;
	uint8_t          secret[32];

	CHECK_EQ(auth_parse_secret(str_z(dev_secret), secret, NULL), ST_OK);
	for (int read_only = 0; read_only < 2; read_only++) {
		buf_init(&key, 4096);
		auth_make_admin_key(&key, S("happy-animal-123"), secret, os_real(), read_only);
		CHECK(str_starts(buf_str(&key), S("happy-animal-123|01")));
		CHECK_EQ(auth_admin_key(a, buf_str(&key), NULL, &id, NULL), ST_OK);
		CHECK_EQ(id->kind, IDENTITY_ADMIN);
		CHECK_EQ(id->read_only, read_only);
		identity_unref(id);
		CHECK_EQ(auth_admin_key(b, buf_str(&key), NULL, &id, NULL), ST_UNAUTHENTICATED);
		buf_clear(&key);
	}
	auth_free(a);
	auth_free(b);
}

/* The message is written exactly as others write it, and read back whatever its field order. */
TEST(messages_match_the_vectors)
{
	const struct {
		struct admin_token t;
		const char        *hex;
	} rows[] = {
		{ { .issued_s = 1700000000 }, "1080e2cfaa061800" },
		{ { .issued_s = 1700000000, .read_only = true }, "1080e2cfaa0618002801" },
		{ { .issued_s = 1700000000, .system = true }, "1080e2cfaa062200" },
	};
	struct admin_token t;
	struct buf         b;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_init(&b, 4096);
		admin_token_write(&b, &rows[i].t);
		check_hex(buf_str(&b), rows[i].hex);
		CHECK(admin_token_parse(buf_str(&b), &t));
		CHECK_EQ(t.issued_s, rows[i].t.issued_s);
		CHECK_EQ(t.system, rows[i].t.system);
		CHECK_EQ(t.read_only, rows[i].t.read_only);
		buf_clear(&b);
	}
	CHECK(!admin_token_parse(S(""), &t));
	CHECK(!admin_token_parse(S("\x18\x00"), &t));             /* no time */
	CHECK(!admin_token_parse(S("\x10\x01"), &t));             /* nobody */
	CHECK(!admin_token_parse(S("\x10\x01\x18"), &t));         /* cut */
	CHECK(!admin_token_parse(S("\x0a\x7f" "abc"), &t));       /* longer than it is */
	CHECK(admin_token_parse(S("\x10\x01\x18\x00\x3a\x01x"), &t)); /* unknown field */
}

#define ACTING                                                                                     \
	"eyJzdWJqZWN0IjoicyIsImlzc3VlciI6Imh0dHBzOi8vY29udmV4LnRlc3QiLCJ0b2tlbklkZW50aWZpZXIi"     \
	"OiJodHRwczovL2NvbnZleC50ZXN0fHMifQ=="

/* Spec 01 section 9.3, spec 05 section 5.1: one row per form of the header. */
TEST(header_forms) /* 01 checklist 48 */
{
	const struct {
		const char        *why, *header, *param;
		status             st;
		const char        *code;
		enum identity_kind kind;
	} rows[] = {
		{ "nothing", NULL, NULL, ST_OK, NULL, IDENTITY_NONE },
		{ "key", "Convex carnitas|" MEMBER_KEY, NULL, ST_OK, NULL, IDENTITY_ADMIN },
		{ "scheme in other case", "cONVEX carnitas|" MEMBER_KEY, NULL, ST_OK, NULL,
		    IDENTITY_ADMIN },
		{ "prod:", "Convex prod:carnitas|" MEMBER_KEY, NULL, ST_OK, NULL, IDENTITY_ADMIN },
		{ "preview: drops the name", "Convex preview:carnitas|" LEGACY_MEMBER, NULL, ST_OK,
		    NULL, IDENTITY_ADMIN },
		{ "preview: of a nameless key", "Convex preview:carnitas|" MEMBER_KEY, NULL,
		    ST_UNAUTHENTICATED, "BadAdminKey", 0 },
		{ "acting", "Convex carnitas|" MEMBER_KEY ":" ACTING, NULL, ST_OK, NULL,
		    IDENTITY_ADMIN_AS_USER },
		{ "acting, prod:", "Convex prod:carnitas|" MEMBER_KEY ":" ACTING, NULL, ST_OK, NULL,
		    IDENTITY_ADMIN_AS_USER },
		{ "acting as nonsense", "Convex carnitas|" MEMBER_KEY ":%%", NULL, ST_BAD_REQUEST,
		    "HeaderParseFailure", 0 },
		{ "acting as {}", "Convex carnitas|" MEMBER_KEY ":e30=", NULL, ST_BAD_REQUEST,
		    "HeaderParseFailure", 0 },
		{ "a system key cannot act", "Convex carnitas|" SYSTEM_KEY ":" ACTING, NULL,
		    ST_FORBIDDEN, "OperationNotPermitted", 0 },
		{ "short", "Convex", NULL, ST_BAD_REQUEST, "InvalidHeaderFailure", 0 },
		{ "empty", "", NULL, ST_BAD_REQUEST, "InvalidHeaderFailure", 0 },
		{ "no token", "Bearer  ", NULL, ST_BAD_REQUEST, "InvalidAdminKey", 0 },
		{ "other scheme", "Basic abcdef", NULL, ST_BAD_REQUEST, "InvalidAdminKey", 0 },
		{ "not ASCII", "Convex \xc3\xa9", NULL, ST_BAD_REQUEST, "HeaderParseFailure", 0 },
		{ "no JWT", "Bearer garbage", NULL, ST_UNAUTHENTICATED, "InvalidAuthHeader", 0 },
		{ "nobody's JWT", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.AAAA", NULL,
		    ST_UNAUTHENTICATED, "NoAuthProvider", 0 },
		{ "parameter", NULL, "carnitas|" MEMBER_KEY, ST_OK, NULL, IDENTITY_ADMIN },
		{ "the parameter has no acting part", NULL, "carnitas|" MEMBER_KEY ":" ACTING,
		    ST_UNAUTHENTICATED, "BadAdminKey", 0 },
		{ "the header wins", "Convex carnitas|" SYSTEM_KEY, "x", ST_OK, NULL,
		    IDENTITY_SYSTEM },
	};
	struct auth *a = auth_named("carnitas");

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct identity *id = NULL;
		struct err       e = err_in(NULL);
		str header = rows[i].header ? str_z(rows[i].header) : (str){ NULL, 0 };
		str param = rows[i].param ? str_z(rows[i].param) : (str){ NULL, 0 };

		fprintf(stderr, "  %s\n", rows[i].why);
		CHECK_EQ(auth_header(a, header, param, &id, &e), rows[i].st);
		if (rows[i].st == ST_OK)
			CHECK_EQ(id->kind, rows[i].kind);
		else
			CHECK_STRZ(e.code, rows[i].code);
		identity_unref(id);
	}
	auth_free(a);
}

/* The attributes of an acting-as user are kept, the token identifier is made where it is
 * missing, and wrong types are refused (spec 01 section 3.4). */
TEST(acting_user_attributes)
{
	const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{ "{\"issuer\":\"i\",\"subject\":\"s\"}",
		    "{\"tokenIdentifier\":\"i|s\",\"issuer\":\"i\",\"subject\":\"s\"}" },
		{ "{\"tokenIdentifier\":\"t\",\"email\":null,\"emailVerified\":true,\"x\":{\"y\":["
		  "1]}}",
		    "{\"tokenIdentifier\":\"t\",\"emailVerified\":true,\"x\":{\"y\":[1]}}" },
		{ "{\"issuer\":\"i\"}", NULL },
		{ "{\"tokenIdentifier\":\"t\",\"email\":1}", NULL },
		{ "{\"tokenIdentifier\":\"t\",\"emailVerified\":\"yes\"}", NULL },
		{ "[]", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct arena *a = arena_new();
		struct json  *j = NULL;
		struct buf    out;
		struct err    e = err_in(a);
		str           id;
		status        st;

		buf_init(&out, 4096);
		CHECK_EQ(json_parse(a, str_z(rows[i].in), &j, NULL), ST_OK);
		st = auth_attributes(a, j, &out, &id, &e);
		CHECK_EQ(st, rows[i].out ? ST_OK : ST_BAD_REQUEST);
		if (rows[i].out)
			CHECK_STRZ(buf_str(&out), rows[i].out);
		else
			CHECK_STRZ(e.code, "HeaderParseFailure");
		buf_clear(&out);
		arena_free(a);
	}
}

/* Read-only keys may look, not change (spec 02 section 15.5). */
TEST(read_only_keys) /* 02 checklist 7 */
{
	struct auth     *a = auth_named("carnitas");
	struct identity *id = NULL;
	struct err       e = err_in(NULL);

	CHECK_EQ(auth_admin_key(a, S("carnitas|" READ_ONLY_KEY), NULL, &id, NULL), ST_OK);
	CHECK_EQ(identity_require(id, "ViewData", NULL), ST_OK);
	CHECK_EQ(identity_require(id, "Deploy", &e), ST_FORBIDDEN);
	CHECK_STRZ(e.code, "OperationNotPermitted");
	identity_unref(id);
	auth_free(a);
}

TEST_RUN(T(subkeys_match_the_vectors), T(secret_is_64_hex_characters),
    T(keys_are_accepted_and_refused), T(made_keys_are_accepted), T(messages_match_the_vectors),
    T(header_forms), T(acting_user_attributes), T(read_only_keys))
