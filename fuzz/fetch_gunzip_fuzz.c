/* fetch_gunzip_fuzz.c - whatever a server calls gzip, in pieces, read a little at a time. */
#include "fetch/gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gunzip    *g = gunzip_new();
	enum gunzip_state st = GUNZIP_MORE;
	struct buf        b;
	size_t            step = size ? data[0] + 1u : 1;

	buf_init(&b, 1 << 20);
	for (size_t i = 1; i < size && st != GUNZIP_BROKEN; i += step) {
		gunzip_add(g, str_of(data + i, size - i < step ? size - i : step));
		do {
			buf_reset(&b);
			st = gunzip_read(g, &b, 1000);
			must(b.n < 1000 + 16384);
			must(st != GUNZIP_FULL || b.n >= 1000);
		} while (st == GUNZIP_FULL);
	}
	(void)gunzip_complete(g);
	buf_clear(&b);
	gunzip_free(g);
	return 0;
}
