/* issue_jwt_test.c - what ctx.auth.signJwt() signs (spec 04 section 1.6, spec 05 section 5.6).
 *
 * 04 checklist 2: 1.0/signJwt is there (its refusal in queries: syscall_test.c). */
#include "test.h"

#include "functions/functions_int.h"

static void
unsigned_token(const void *arg, str payload, struct buf *out)
{
	(void)arg;
	buf_add(out, payload);
}

/* The server says who signed and when; the caller may say anything else, for up to an hour. */
TEST(claims_and_times)
{
#define OK(rest) "{\"iss\":\"http://c\",\"iat\":1700000000,\"exp\":" rest "}"
#define BAD(arg, text) "! Invalid argument `" arg "` for `auth.signJwt`: " text
#define SECONDS BAD("expiresInSeconds", "must be between 1 and 3600 seconds")
#define RESERVED(name) BAD("claims", "the claim `" name "` is reserved")
	static const struct {
		const char *claims; /* NULL: none */
		double      seconds;
		const char *want;
	} rows[] = {
		{ NULL, 60, OK("1700000060") },
		{ NULL, 3600, OK("1700003600") },
		{ NULL, 1, OK("1700000001") },
		{ NULL, 90.7, OK("1700000090") },
		{ NULL, 0.5, SECONDS },
		{ NULL, 0, SECONDS },
		{ NULL, -60, SECONDS },
		{ NULL, 3600.5, SECONDS },
		{ "{}", 60, OK("1700000060") },
		{ "{\"sub\":\"u\",\"aud\":[\"a\"],\"n\":{\"x\":1.5}}", 60,
		    OK("1700000060,\"sub\":\"u\",\"aud\":[\"a\"],\"n\":{\"x\":1.5}") },
		{ "{\"a\\\"b\":null}", 60, OK("1700000060,\"a\\\"b\":null") },
		{ "{\"iss\":\"me\"}", 60, RESERVED("iss") },
		{ "{\"iat\":1}", 60, RESERVED("iat") },
		{ "{\"exp\":1}", 60, RESERVED("exp") },
		{ "{\"nbf\":1}", 60, RESERVED("nbf") },
		{ "{\"sub\":1,\"convex\":1}", 60, RESERVED("convex") },
		{ "{\"CvX_role\":1}", 60, RESERVED("CvX_role") },
		{ "{\"ConvexThing\":1}", 60, RESERVED("ConvexThing") },
		{ "{\"cv\":1}", 60, OK("1700000060,\"cv\":1") },
		{ "[]", 60, BAD("claims", "must be an object") },
		{ "\"x\"", 60, BAD("claims", "must be an object") },
	};
	const struct functions f = { .cloud_url = S("http://c"), .sign_jwt = unsigned_token };
	struct arena          *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err   e = err_in(a);
		struct json *claims = NULL;
		struct buf   out;

		if (rows[i].claims)
			assert_int_equal(json_parse(a, str_z(rows[i].claims), &claims, &e), ST_OK);
		buf_init(&out, BUF_MAX_DEFAULT);
		if (jwt_issue(&f, 1700000000999999999u, claims, rows[i].seconds, &out, &e) != ST_OK)
			buf_fmt(&out, "! %.*s", STR_ARG(e.text));
		CHECK_STRZ(buf_str(&out), rows[i].want);
		buf_clear(&out);
	}
	arena_free(a);
}

TEST_RUN(T(claims_and_times))
