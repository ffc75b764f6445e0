/* isolate_srcmap_fuzz.c - source maps come with pushes, from outside. */
#include <stddef.h>
#include <stdint.h>

#include "isolate/srcmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct srcmap *m = srcmap_parse(str_of(data, n));
	uint32_t       line, col;
	str            source;

	if (!m)
		return 0;
	for (uint32_t i = 0; i < 50; i++)
		(void)srcmap_find(m, i, i * 7, &source, &line, &col);
	srcmap_free(m);
	return 0;
}
