/* body_decode.c - brotli and zlib behind one function: see body_decode.h.
 *
 * Thread: the loop thread.  Memory: brotli and zlib allocate their own windows.
 */
#include <brotli/decode.h>
#include <zlib.h>

#include "base/mem.h"
#include "net/body_decode.h"

#define STEP 65536 /* bytes of output per call of the library */

struct body_decoder {
	enum body_coding    coding;
	BrotliDecoderState *brotli;
	z_stream            z;
	unsigned char       first[2]; /* deflate: they tell whether zlib's header is there */
	size_t              nfirst;
	bool                complete;
};

enum body_coding
body_coding_of(str header)
{
	str s = str_trim(header);

	if (s.n == 0 || str_eq_nocase(s, S("identity")))
		return BODY_IDENTITY;
	if (str_eq_nocase(s, S("br")))
		return BODY_BROTLI;
	if (str_eq_nocase(s, S("gzip")) || str_eq_nocase(s, S("x-gzip")))
		return BODY_GZIP;
	if (str_eq_nocase(s, S("deflate")))
		return BODY_DEFLATE;
	return BODY_UNKNOWN;
}

struct body_decoder *
body_decoder_new(enum body_coding coding)
{
	struct body_decoder *d = MEM_NEW(struct body_decoder);

	d->coding = coding;
	if (coding == BODY_BROTLI) {
		d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
		must(d->brotli != NULL);
	} else {
		must(coding == BODY_GZIP || coding == BODY_DEFLATE);
		must(inflateInit2(&d->z, coding == BODY_GZIP ? 16 + MAX_WBITS : MAX_WBITS) == Z_OK);
	}
	return d;
}

void
body_decoder_free(struct body_decoder *d)
{
	if (!d)
		return;
	if (d->brotli)
		BrotliDecoderDestroyInstance(d->brotli);
	else
		inflateEnd(&d->z);
	mem_free(d);
}

static enum body_result
feed_brotli(struct body_decoder *d, str bytes, struct buf *out)
{
	const uint8_t      *in = (const uint8_t *)bytes.p;
	size_t              nin = bytes.n;
	BrotliDecoderResult r;

	do {
		size_t   room = STEP, before;
		uint8_t *to = (uint8_t *)buf_reserve(out, 1);

		if (!to)
			return BODY_TOO_LARGE;
		if (room > out->max - out->n)
			room = out->max - out->n;
		to = (uint8_t *)buf_reserve(out, room);
		must(to != NULL);
		before = room;
		r = BrotliDecoderDecompressStream(d->brotli, &nin, &in, &room, &to, NULL);
		out->n += before - room;
	} while (r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	d->complete = r == BROTLI_DECODER_RESULT_SUCCESS;
	if (r == BROTLI_DECODER_RESULT_ERROR || (d->complete && nin > 0))
		return BODY_BROKEN;
	return BODY_OK;
}

static enum body_result
feed_zlib(struct body_decoder *d, str bytes, struct buf *out)
{
	int r;

	d->z.next_in = (unsigned char *)(uintptr_t)bytes.p;
	d->z.avail_in = (unsigned)bytes.n;
	do {
		size_t room = STEP;

		if (!buf_reserve(out, 1))
			return BODY_TOO_LARGE;
		if (room > out->max - out->n)
			room = out->max - out->n;
		d->z.next_out = (unsigned char *)buf_reserve(out, room);
		d->z.avail_out = (unsigned)room;
		r = inflate(&d->z, Z_NO_FLUSH);
		out->n += room - d->z.avail_out;
	} while (r == Z_OK && (d->z.avail_in > 0 || d->z.avail_out == 0));
	d->complete = r == Z_STREAM_END;
	if (d->complete)
		return d->z.avail_in > 0 ? BODY_BROKEN : BODY_OK;
	return r == Z_OK || r == Z_BUF_ERROR ? BODY_OK : BODY_BROKEN;
}

/* Some clients send "deflate" without the zlib header (RFC 1950) that it should have: the first
 * two bytes decide. */
static enum body_result
feed_deflate(struct body_decoder *d, str bytes, struct buf *out)
{
	enum body_result r;

	if (d->nfirst == 2)
		return feed_zlib(d, bytes, out);
	for (; d->nfirst < 2 && bytes.n > 0; bytes = str_from(bytes, 1))
		d->first[d->nfirst++] = (unsigned char)bytes.p[0];
	if (d->nfirst < 2)
		return BODY_OK;
	if ((d->first[0] & 0x0f) != Z_DEFLATED || (d->first[0] << 8 | d->first[1]) % 31 != 0)
		must(inflateReset2(&d->z, -MAX_WBITS) == Z_OK);
	r = feed_zlib(d, str_of(d->first, 2), out);
	return r == BODY_OK && bytes.n > 0 ? body_decoder_feed(d, bytes, out) : r;
}

enum body_result
body_decoder_feed(struct body_decoder *d, str bytes, struct buf *out)
{
	if (bytes.n == 0)
		return BODY_OK;
	if (d->complete)
		return BODY_BROKEN; /* bytes behind the end */
	if (d->coding == BODY_BROTLI)
		return feed_brotli(d, bytes, out);
	return d->coding == BODY_DEFLATE ? feed_deflate(d, bytes, out) : feed_zlib(d, bytes, out);
}

bool
body_decoder_complete(const struct body_decoder *d)
{
	return d->complete;
}
