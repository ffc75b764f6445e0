/* nframe.c - frames between the server and the executor.
 *
 * Thread, memory: nframe.h.
 */
#include "node/nframe.h"

#define PREFIX_BYTES 8

static size_t
read_u32be(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

enum nframe_got
nframe_next(str in, struct nframe *ret, size_t *ret_size)
{
	size_t header, bytes;

	if (in.n < PREFIX_BYTES)
		return NFRAME_MORE;
	header = read_u32be(in.p);
	bytes = read_u32be(in.p + 4);
	if (header > NFRAME_HEADER_MAX || bytes > NFRAME_BYTES_MAX)
		return NFRAME_BAD;
	if (in.n - PREFIX_BYTES < header + bytes)
		return NFRAME_MORE;
	ret->header = str_of(in.p + PREFIX_BYTES, header);
	ret->bytes = str_of(in.p + PREFIX_BYTES + header, bytes);
	*ret_size = PREFIX_BYTES + header + bytes;
	return NFRAME_ONE;
}

void
nframe_add(struct buf *out, str header, str bytes)
{
	buf_add_u32be(out, (uint32_t)header.n);
	buf_add_u32be(out, (uint32_t)bytes.n);
	buf_add(out, header);
	buf_add(out, bytes);
}
