/* body_decode.h - compressed request bodies, decoded as they arrive (spec 02 section 2.1).
 *
 * The output buf's maximum is the cap: a small body that would unfold into a huge one is stopped
 * there.
 *
 * Thread: the loop thread.  Memory: the decoder's window, while a body is arriving.
 */
#ifndef NET_BODY_DECODE_H
#define NET_BODY_DECODE_H

#include "base/buf.h"

enum body_coding { BODY_IDENTITY, BODY_BROTLI, BODY_GZIP, BODY_DEFLATE, BODY_UNKNOWN };

/* Of a Content-Encoding header; p == NULL: identity. */
enum body_coding body_coding_of(str header);

struct body_decoder;

enum body_result { BODY_OK, BODY_BROKEN, BODY_TOO_LARGE };

struct body_decoder *body_decoder_new(enum body_coding coding); /* not IDENTITY, not UNKNOWN */
void                 body_decoder_free(struct body_decoder *d); /* NULL is fine */
/* Decodes a piece of the body to the end of `out`. */
enum body_result body_decoder_feed(struct body_decoder *d, str bytes, struct buf *out);
/* True if what was fed is a complete stream. */
bool body_decoder_complete(const struct body_decoder *d);

#endif
