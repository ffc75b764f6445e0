/* webapi.h - runs test functions of a bundle that return a list of what went wrong. */
#ifndef TEST_UNIT_ISOLATE_WEBAPI_H
#define TEST_UNIT_ISOLATE_WEBAPI_H

#include "os/file.h"
#include "world.h"

#define BUNDLE JS_BUILD_DIR "/test-webapi.js"

static inline void
push_bundle(struct world *w, const char *path)
{
	struct buf b;
	struct err e = err_in(NULL);

	buf_init(&b, BUF_MAX_DEFAULT);
	if (file_read(path, &b, &e) != ST_OK)
		fail_msg("%s: %.*s", path, STR_ARG(e.text));
	buf_add_byte(&b, 0);
	world_push(w, "m.js", b.p);
	buf_clear(&b);
}

/* Runs each function of the bundle; all failures are shown before the test fails. */
static inline void
check_tables(const char *bundle, const char *const *functions)
{
	struct world w;
	bool         good = true;

	world_open(&w);
	push_bundle(&w, bundle);
	for (; *functions; functions++) {
		str outcome;

		world_run(&w, UDF_QUERY, "m.js", *functions, "[{}]");
		outcome = world_outcome(&w);
		if (!str_eq(outcome, S("[]"))) {
			print_error("%s: %.*s\n", *functions, STR_ARG(outcome));
			good = false;
		}
	}
	world_close(&w);
	assert_true(good);
}

#endif
