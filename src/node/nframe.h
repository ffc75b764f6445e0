/* nframe.h - frames between the server and the executor (js/node/frames.js).
 *
 *     u32 length of the header, u32 length of the bytes, both big endian; header (JSON); bytes
 *
 * Thread: any.  Memory: the caller's; what nframe_next() returns points into the input.
 */
#ifndef NODE_NFRAME_H
#define NODE_NFRAME_H

#include "base/buf.h"

#define NFRAME_HEADER_MAX ((size_t)256 << 20)
#define NFRAME_BYTES_MAX  ((size_t)64 << 20)

struct nframe {
	str header; /* JSON text */
	str bytes;
};

enum nframe_got { NFRAME_MORE, NFRAME_ONE, NFRAME_BAD };

/* The first frame of `in`; *ret_size: what it takes of the input. */
enum nframe_got nframe_next(str in, struct nframe *ret, size_t *ret_size);
void            nframe_add(struct buf *out, str header, str bytes);

#endif
