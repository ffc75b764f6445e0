/* buf.h - a growing byte string with a maximum given at birth.
 *
 * A buf owns its bytes.  Growing past `max` does not fail at the call: the buf
 * goes into the overflow state, ignores further appends, and buf_ok() says so;
 * the writer checks once, at the end.
 *
 * Thread: one owner.  Memory: malloc, doubling.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/must.h"
#include "base/str.h"

struct buf {
	char  *p; /* owned; NULL until the first append */
	size_t n;
	size_t cap;
	size_t max;      /* bytes; appends beyond it set overflow */
	bool   overflow;
};

#define BUF_MAX_DEFAULT ((size_t)1 << 30)

void buf_init(struct buf *b, size_t max);
void buf_clear(struct buf *b);   /* frees; the buf is as after buf_init */
void buf_reset(struct buf *b);   /* n = 0, keeps the memory */
char *buf_reserve(struct buf *b, size_t extra); /* space for extra bytes at p+n; NULL on overflow */
void buf_add(struct buf *b, str s);
void buf_addz(struct buf *b, const char *z);
void buf_add_byte(struct buf *b, uint8_t c);
void buf_add_u32be(struct buf *b, uint32_t v);
void buf_add_u64be(struct buf *b, uint64_t v);
void buf_add_u32le(struct buf *b, uint32_t v);
void buf_add_u64le(struct buf *b, uint64_t v);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Bytes in binary units as in messages: "1 MiB", "1.50 MiB", "17 B" (spec 03 section 1.4). */
void buf_add_size(struct buf *b, uint64_t bytes);
void buf_drop_front(struct buf *b, size_t n); /* removes the first n bytes */

static inline str
buf_str(const struct buf *b)
{
	return str_of(b->p ? b->p : "", b->n);
}

static inline bool
buf_ok(const struct buf *b)
{
	return !b->overflow;
}

#endif
