/* webapi_libs_test.c - common npm packages at their usual work (js/test/libs.js). */
#include "webapi.h"

#define LIBS JS_BUILD_DIR "/test-libs.js"

TEST(packages_work)
{
	check_tables(LIBS, (const char *const[]){ "zod", "serialising", "dates", "ids", "tokens",
	    "asymmetricTokens", "sessions", NULL });
}

TEST(packages_over_streams_and_requests_work)
{
	check_tables(LIBS, (const char *const[]){ "eventStreams", "routers", NULL });
}

TEST_RUN(T(packages_work), T(packages_over_streams_and_requests_work))
