/* isolate_crons_fuzz.c - what crons.js exports is text of the pushed code's making. */
#include "isolate/eval_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena       *a = arena_new();
	struct cron_targets targets = { 0 };
	struct err          e = err_in(a);
	struct buf          b;

	buf_init(&b, 1 << 20);
	if (crons_convert(a, str_of(data, n), &b, &targets, &e) == ST_OK) {
		struct json *j;

		must(json_parse(a, buf_str(&b), &j, &e) == ST_OK);
	}
	buf_clear(&b);
	vec_clear(&targets.v);
	arena_free(a);
	return 0;
}
