/* base_json_fuzz.c - any bytes at the JSON parser.
 *
 * What parses must write, parse again and write the same text.
 */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct err    e = err_in(a);
	struct json  *j;
	struct buf    once, twice;

	buf_init(&once, BUF_MAX_DEFAULT);
	buf_init(&twice, BUF_MAX_DEFAULT);
	if (json_parse(a, str_of(data, size), &j, &e) == ST_OK) {
		json_write(&once, j);
		must(json_parse(a, buf_str(&once), &j, &e) == ST_OK);
		json_write(&twice, j);
		must(str_eq(buf_str(&once), buf_str(&twice)));
	} else {
		must(e.st == ST_BAD_REQUEST && e.text.n > 0);
	}
	buf_clear(&once);
	buf_clear(&twice);
	arena_free(a);
	return 0;
}
