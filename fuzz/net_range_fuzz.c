/* net_range_fuzz.c - whatever stands in the Range and Content-Type headers of stored files. */
#include <string.h>

#include "functions/storage.h"
#include "net/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	str           text, kept, again;
	uint64_t      at, n, bytes;

	if (size >= sizeof bytes) {
		memcpy(&bytes, data, sizeof bytes);
		text = str_of((const char *)data + sizeof bytes, size - sizeof bytes);
		if (range_parse(text, bytes, &at, &n) == RANGE_PART) /* it lies in the file */
			must(n > 0 && at < bytes && n <= bytes - at);
		if (storage_content_type(a, text, &kept)) { /* and is what it is from then on */
			must(storage_content_type(a, kept, &again) && str_eq(kept, again));
			must(memchr(kept.p, '\n', kept.n) == NULL);
		}
	}
	arena_free(a);
	return 0;
}
