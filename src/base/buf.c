/* buf.c - appending to a bounded byte string.
 *
 * Thread: one owner.  Memory: one malloc block, doubling up to `max`.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define CAP_FIRST ((size_t)128)

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_clear(struct buf *b)
{
	mem_free(b->p);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}

/* Room in memory; whether `max` allows it is the caller's question. */
static void
room(struct buf *b, size_t extra)
{
	size_t cap = b->cap ? b->cap : CAP_FIRST;

	while (cap < b->n + extra)
		cap *= 2;
	b->p = mem_realloc(b->p, cap);
	b->cap = cap;
}

char *
buf_reserve(struct buf *b, size_t extra)
{
	if (UNLIKELY(b->overflow || extra > b->max - b->n)) {
		b->overflow = true;
		return NULL;
	}
	if (UNLIKELY(extra > b->cap - b->n || !b->p))
		room(b, extra);
	return b->p + b->n;
}

void
buf_add(struct buf *b, str s)
{
	char *at = buf_reserve(b, s.n);

	if (!at || s.n == 0)
		return;
	memcpy(at, s.p, s.n);
	b->n += s.n;
}

void
buf_addz(struct buf *b, const char *z)
{
	buf_add(b, str_z(z));
}

void
buf_add_byte(struct buf *b, uint8_t c)
{
	char *at = buf_reserve(b, 1);

	if (!at)
		return;
	*at = (char)c;
	b->n++;
}

void
buf_add_u32be(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
	buf_add_u32le(b, v);
}

void
buf_add_u64be(struct buf *b, uint64_t v)
{
	v = __builtin_bswap64(v);
	buf_add_u64le(b, v);
}

/* The machines we build for are little-endian; enc.c and pack.c rely on it too. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian machines only");

void
buf_add_u32le(struct buf *b, uint32_t v)
{
	buf_add(b, str_of(&v, sizeof v));
}

void
buf_add_u64le(struct buf *b, uint64_t v)
{
	buf_add(b, str_of(&v, sizeof v));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int     len;
	size_t  n;

	if (!b->p)
		room(b, 1);
	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	va_end(ap);
	must(len >= 0);
	n = (size_t)len;
	if (b->overflow || n > b->max - b->n) {
		b->overflow = true;
		n = 0;
	} else if (n >= b->cap - b->n) { /* cut: vsnprintf wants room for the NUL too */
		room(b, n + 1);
		vsnprintf(b->p + b->n, n + 1, fmt, again);
	}
	va_end(again);
	b->n += n;
}

void
buf_add_size(struct buf *b, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t                   unit = 0;
	uint64_t                 scale = 1;

	while (unit + 1 < COUNT_OF(units) && bytes / 1024 >= scale) {
		scale *= 1024;
		unit++;
	}
	if (bytes % scale == 0)
		buf_fmt(b, "%llu %s", (unsigned long long)(bytes / scale), units[unit]);
	else
		buf_fmt(b, "%.2f %s", (double)bytes / (double)scale, units[unit]);
}

void
buf_drop_front(struct buf *b, size_t n)
{
	must(n <= b->n);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}
