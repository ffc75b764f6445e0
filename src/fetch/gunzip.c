/* gunzip.c - see gunzip.h.
 *
 * Thread: one owner.  Memory: see gunzip.h.
 */
#include <zlib.h>

#include "base/mem.h"
#include "fetch/gunzip.h"

#define PIECE 16384

struct gunzip {
	z_stream   z;
	struct buf in;
	size_t     at;    /* bytes of `in` that were used */
	bool       begun; /* inside of a member */
	bool       more;  /* the decoder holds output back */
	bool       over;  /* whole members, and then something else */
};

struct gunzip *
gunzip_new(void)
{
	struct gunzip *g = MEM_NEW(struct gunzip);

	must(inflateInit2(&g->z, 15 + 16) == Z_OK); /* 16: gzip only */
	buf_init(&g->in, BUF_MAX_DEFAULT);
	return g;
}

void
gunzip_free(struct gunzip *g)
{
	if (!g)
		return;
	inflateEnd(&g->z);
	buf_clear(&g->in);
	mem_free(g);
}

void
gunzip_add(struct gunzip *g, str bytes)
{
	if (g->over)
		return;
	buf_drop_front(&g->in, g->at);
	g->at = 0;
	buf_add(&g->in, bytes);
}

/* Between two members: is this the beginning of another one? */
static bool
next_member(struct gunzip *g)
{
	if (g->begun || g->z.total_in == 0)
		return true;
	if ((uint8_t)g->in.p[g->at] == 0x1f) {
		must(inflateReset(&g->z) == Z_OK);
		return true;
	}
	g->over = true;
	return false;
}

static enum gunzip_state
inflate_piece(struct gunzip *g, struct buf *ret)
{
	int r;

	g->z.next_in = (Bytef *)(g->in.p + g->at);
	g->z.avail_in = (uInt)(g->in.n - g->at);
	g->z.next_out = (Bytef *)buf_reserve(ret, PIECE);
	g->z.avail_out = PIECE;
	if (!g->z.next_out)
		return GUNZIP_BROKEN;
	g->begun = true;
	r = inflate(&g->z, Z_NO_FLUSH);
	g->at = g->in.n - g->z.avail_in;
	ret->n += PIECE - g->z.avail_out;
	if (r == Z_STREAM_END)
		g->begun = false;
	return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? GUNZIP_MORE : GUNZIP_BROKEN;
}

enum gunzip_state
gunzip_read(struct gunzip *g, struct buf *ret, size_t max)
{
	while (!g->over && (g->at < g->in.n || g->more)) {
		size_t before = ret->n;

		if (ret->n >= max)
			return GUNZIP_FULL;
		if (!next_member(g))
			break;
		if (inflate_piece(g, ret) == GUNZIP_BROKEN)
			return GUNZIP_BROKEN;
		g->more = g->begun && ret->n - before == PIECE;
	}
	return GUNZIP_MORE;
}

bool
gunzip_complete(const struct gunzip *g)
{
	return !g->begun;
}
