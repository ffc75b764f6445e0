/* value_vjson_fuzz.c - any bytes as the JSON of a value.
 *
 * The first byte chooses which tokens are allowed.  What reads must survive the encoded
 * form byte for byte; the other forms must at least be JSON.
 */
#include "value/vjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_format(struct arena *a, struct val v, enum vjson_format f)
{
	struct json *j;
	struct buf   b;

	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, f);
	must(json_parse(a, buf_str(&b), &j, NULL) == ST_OK);
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct val    v, back;
	struct buf    text;
	int           allow = size ? data[0] & 7 : 0;

	buf_init(&text, BUF_MAX_DEFAULT);
	if (size && vjson_parse(a, str_of(data + 1, size - 1), allow, &v, NULL) == ST_OK) {
		vjson_write(&text, v, VJSON_ENCODED);
		must(vjson_parse(a, buf_str(&text), allow & ~VJSON_EXPORTED, &back, NULL) == ST_OK);
		must(back.n == v.n && memcmp(back.p, v.p, v.n) == 0);
		check_format(a, v, VJSON_CLEAN);
		check_format(a, v, VJSON_EXPORT);
		buf_reset(&text);
		val_print(&text, v);
	}
	buf_clear(&text);
	arena_free(a);
	return 0;
}
