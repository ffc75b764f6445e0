/* node_frame_fuzz.c - any bytes as frames from Node.js.
 *
 * What is taken lies within the input, and written again it is the same bytes.
 */
#include "node/nframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str in = str_of(data, size);
	struct nframe f;
	size_t n = 0;
	struct buf again;

	buf_init(&again, size + 1);
	while (nframe_next(in, &f, &n) == NFRAME_ONE) {
		must(n >= 8 && n <= in.n && f.header.n + f.bytes.n + 8 == n);
		buf_reset(&again);
		nframe_add(&again, f.header, f.bytes);
		must(str_eq(buf_str(&again), str_head(in, n)));
		in = str_from(in, n);
	}
	buf_clear(&again);
	return 0;
}
