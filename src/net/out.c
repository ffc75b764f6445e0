/* out.c - bytes on their way to a peer: see out.h.
 *
 * Thread: the loop thread.  Memory: segments in a vector whose used front is dropped when it is
 * empty or half of it.
 */
#include "net/out.h"

#define GATHER_MAX 16384 /* a segment of small pieces */
#define COPY_MAX   4096  /* bodies up to this are copied into it */

void
out_init(struct out *o)
{
	memset(o, 0, sizeof *o);
}

static void
seg_clear(struct out_seg *s)
{
	buf_clear(&s->own);
	blob_unref(s->shared);
}

void
out_clear(struct out *o)
{
	for (size_t i = o->head; i < o->segs.n; i++)
		seg_clear(&o->segs.v[i]);
	vec_clear(&o->segs);
	out_init(o);
}

static str
seg_str(const struct out_seg *s)
{
	return s->shared ? blob_str(s->shared) : buf_str(&s->own);
}

/* The segment that takes another n small bytes. */
static struct out_seg *
gather(struct out *o, size_t n)
{
	struct out_seg  fresh = { .shared = NULL };
	struct out_seg *last = o->segs.n > o->head ? &o->segs.v[o->segs.n - 1] : NULL;

	if (last && o->segs.n > o->frozen && !last->shared && last->marks == 0 &&
	    last->own.n + n <= GATHER_MAX)
		return last;
	buf_init(&fresh.own, BUF_MAX_DEFAULT);
	vec_push(&o->segs, fresh);
	return &o->segs.v[o->segs.n - 1];
}

void
out_add(struct out *o, str s)
{
	if (s.n == 0)
		return;
	buf_add(&gather(o, s.n)->own, s);
	o->bytes += s.n;
}

void
out_take(struct out *o, struct buf *b)
{
	struct out_seg fresh = { .own = *b };

	if (b->n <= COPY_MAX) {
		out_add(o, buf_str(b));
		buf_clear(b);
		return;
	}
	o->bytes += b->n;
	vec_push(&o->segs, fresh);
	buf_init(b, b->max); /* its bytes are the segment's now */
}

void
out_share(struct out *o, struct blob *b)
{
	struct out_seg fresh = { .shared = b };

	if (b->n <= COPY_MAX) {
		out_add(o, blob_str(b));
		blob_unref(b);
		return;
	}
	buf_init(&fresh.own, 0);
	o->bytes += b->n;
	vec_push(&o->segs, fresh);
}

void
out_mark(struct out *o)
{
	must(o->segs.n > o->head);
	o->segs.v[o->segs.n - 1].marks++;
}

size_t
out_iov(struct out *o, struct iovec *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = o->head; i < o->segs.n && n < max; i++) {
		str s = str_from(seg_str(&o->segs.v[i]), i == o->head ? o->offset : 0);

		ret[n++] = (struct iovec){ (void *)(uintptr_t)s.p, s.n };
	}
	o->frozen = o->head + n;
	return n;
}

static void
drop_front(struct out *o)
{
	size_t left = o->segs.n - o->head;

	if (o->head < 32 && left > 0)
		return;
	if (left > o->head)
		return;
	memmove(o->segs.v, o->segs.v + o->head, left * sizeof *o->segs.v);
	o->segs.n = left;
	o->head = 0;
}

size_t
out_wrote(struct out *o, size_t n)
{
	size_t marks = 0;

	must(n <= o->bytes);
	o->bytes -= n;
	while (o->head < o->segs.n) {
		struct out_seg *s = &o->segs.v[o->head];
		size_t          left = seg_str(s).n - o->offset;

		if (n < left) {
			o->offset += n;
			break;
		}
		n -= left;
		marks += s->marks;
		seg_clear(s);
		o->head++;
		o->offset = 0;
	}
	o->frozen = 0;
	drop_front(o);
	return marks;
}
