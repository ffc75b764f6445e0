/* err_test.c - errors and what they mean on the wires. */
#include "test.h"

#include "base/err.h"
#include "base/log.h"

/* Without an arena a long text is cut at a character border; with one it is whole. */
TEST(err_texts_fit_their_room)
{
	struct arena *a = arena_new();
	struct err    small = err_in(NULL), large = err_in(a);
	char          text[400];

	memset(text, 'x', sizeof text);
	memcpy(text + 230, "\xe2\x82\xac", 3); /* across the end of err.small */
	text[399] = '\0';
	CHECK_EQ(err_set(&small, ST_NOT_FOUND, "Gone", "%s", text), ST_NOT_FOUND);
	CHECK_EQ(err_set(&large, ST_NOT_FOUND, "Gone", "%s", text), ST_NOT_FOUND);
	CHECK_EQ(small.text.n, 230);
	CHECK(str_utf8_valid(small.text));
	CHECK_STRZ(large.text, text);
	CHECK_STRZ(large.code, "Gone");
	CHECK_EQ(large.st, ST_NOT_FOUND);
	CHECK_EQ(err_set(NULL, ST_OCC, "X", "%d", 1), ST_OCC);
	arena_free(a);
}

TEST(err_prefix_goes_in_front)
{
	struct arena *a = arena_new();
	struct err    e[] = { err_in(NULL), err_in(a) };

	for (size_t i = 0; i < COUNT_OF(e); i++) {
		err_set(&e[i], ST_BAD_REQUEST, "C", "cause %d", 7);
		err_prefix(&e[i], "Hit an error while %s:\n", "pushing");
		CHECK_STRZ(e[i].text, "Hit an error while pushing:\ncause 7");
		CHECK_STRZ(e[i].code, "C");
	}
	err_prefix(NULL, "x");
	arena_free(a);
}

TEST(err_texts_may_hold_nul)
{
	struct err e = err_in(NULL);

	err_set_str(&e, ST_BAD_REQUEST, "C", S("a\0b"));
	CHECK_STR(e.text, S("a\0b"));
}

/* The private reason never reaches the client. */
TEST(err_internal_has_the_public_text)
{
	struct err e = err_in(NULL);

	log_set_level((enum log_level)(LOG_ERROR + 1)); /* keep the test's output clean */
	CHECK_EQ(err_internal(&e, "disk %s on fire", "/dev/sda"), ST_INTERNAL);
	CHECK_STRZ(e.code, "InternalServerError");
	CHECK_STRZ(e.text, "Your request couldn't be completed. Try again later.");
	CHECK_EQ(err_os(&e, "open", "/nowhere"), ST_INTERNAL);
	CHECK_EQ(err_os(NULL, "open", NULL), ST_INTERNAL);
	log_set_level(LOG_INFO);
}

/* Spec 03 section 5.7, spec 01 section 11.2. */
TEST(statuses_have_their_codes)
{
	CHECK_EQ(status_http(ST_BAD_REQUEST), 400);
	CHECK_EQ(status_http(ST_OCC), 503);
	CHECK_EQ(status_ws_close(ST_OVERLOADED), 1013);
	CHECK_EQ(status_ws_close(ST_BAD_REQUEST), 0);
	CHECK_EQ(status_ws_close(ST_INTERNAL), 1011);
	CHECK(status_deterministic(ST_CONFLICT));
	CHECK(!status_deterministic(ST_NOT_FOUND));
	assert_string_equal(status_name(ST_RATE_LIMITED), "RATE_LIMITED");
}

TEST_RUN(T(err_texts_fit_their_room), T(err_prefix_goes_in_front), T(err_texts_may_hold_nul),
    T(err_internal_has_the_public_text), T(statuses_have_their_codes))
