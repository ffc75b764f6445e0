/* out.h - bytes on their way to a peer.
 *
 * Small pieces gather in one segment so that they leave with one write; large bodies and shared
 * frames are segments of their own and are never copied.  A mark is attached to the byte before
 * it and reported when that byte has left: sessions count their transitions with it.
 *
 * Thread: the loop thread.  Memory: the segments.
 */
#ifndef NET_OUT_H
#define NET_OUT_H

#include <sys/uio.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/vec.h"

struct out_seg {
	struct buf   own;
	struct blob *shared; /* instead of own; one reference */
	size_t       marks;  /* reported when the segment has left */
};

struct out {
	VEC(struct out_seg) segs;
	size_t head;   /* first segment that has not left */
	size_t offset; /* bytes of it that have */
	size_t frozen; /* segments before this one are in a write: they must not move */
	size_t bytes;  /* waiting */
};

void out_init(struct out *o);
void out_clear(struct out *o);
void out_add(struct out *o, str s);
/* Takes the bytes; `b` is empty afterwards. */
void out_take(struct out *o, struct buf *b);
void out_share(struct out *o, struct blob *b); /* takes the reference */
void out_mark(struct out *o);                  /* after the bytes added so far */

/* Up to max pieces of what waits; they stay in place until the next out_wrote(). */
size_t out_iov(struct out *o, struct iovec *ret, size_t max);
/* n bytes have left.  Returns how many marks they passed. */
size_t out_wrote(struct out *o, size_t n);

#endif
