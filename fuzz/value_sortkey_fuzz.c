/* value_sortkey_fuzz.c - any bytes as an index key.
 *
 * There is one key for each value: what reads must encode to the bytes it was read from.
 */
#include "value/sortkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack p;
	struct val  v;
	struct buf  key;
	size_t      used;

	pack_init(&p);
	buf_init(&key, BUF_MAX_DEFAULT);
	if (sortkey_read(str_of(data, size), &p, &used)) {
		must(used <= size);
		if (pack_done(&p, &v, NULL) == ST_OK) {
			sortkey_add(&key, v);
			must(str_eq(buf_str(&key), str_of(data, used)));
		}
	}
	buf_clear(&key);
	pack_clear(&p);
	return 0;
}
