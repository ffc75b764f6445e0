/* http_stream.c - bodies of a connection that are streams.
 *
 * A streamed request is handed out behind its headers.  What arrives of its body goes to a stream;
 * while UPLOAD_HIGH bytes wait there, the socket is not read.  When the reply is complete before
 * the request is, nobody reads the rest any more: a little of it is read all the same, so that
 * the connection can go on, and with more to come it ends.
 *
 * A streamed reply is taken from its stream as the socket takes it.  If it breaks off, so does the
 * connection: that is how HTTP/1.1 tells (RFC 9112 section 8).
 *
 * Thread: the loop thread.  Memory: the streams' (runtime/stream.h).
 */
#include <stdio.h>

#include "base/mem.h"
#include "net/http_conn_int.h"

#define UPLOAD_HIGH   ((size_t)256 << 10)
#define UPLOAD_LOW    ((size_t)64 << 10)
#define SKIP_MAX      ((size_t)1 << 20)
#define DOWNLOAD_HIGH ((size_t)256 << 10) /* of output: more is not taken from the stream */
#define PIECE_MAX     ((size_t)64 << 10)

/* --- requests --- */

void
conn_upload_begin(struct http_conn *c, struct http_exchange *x, bool has_body)
{
	bool wanted = x->verb != VERB_GET && x->verb != VERB_HEAD && x->verb != VERB_OPTIONS;

	if (has_body)
		conn_continue(c, x);
	x->gone = stream_new();
	if (wanted)
		x->upload = stream_new();
	c->streaming = true;
	c->upload = wanted ? stream_ref(x->upload) : NULL;
	c->skip_left = SKIP_MAX;
	c->close_after = !x->keep_alive;
	c->cur = NULL;
	conn_enqueue(c, x);
	if (wanted && !has_body)
		stream_end(c->upload);
	c->host.request(c->host.arg, x); /* which may have been the last of x */
}

bool
conn_upload_add(struct http_conn *c, str bytes)
{
	if (c->upload && stream_write(c->upload, bytes)) {
		if (conn_upload_full(c))
			stream_when_room(c->upload, UPLOAD_LOW, c->host.wake, c->host.arg);
		return true;
	}
	if (bytes.n > c->skip_left) {
		conn_upload_fail(c, "The request body was not read");
		return false;
	}
	c->skip_left -= bytes.n;
	return true;
}

static void
upload_over(struct http_conn *c)
{
	if (c->upload)
		stream_when_room(c->upload, 0, NULL, NULL);
	stream_unref(c->upload);
	c->upload = NULL;
}

void
conn_upload_end(struct http_conn *c)
{
	if (c->upload)
		stream_end(c->upload);
	upload_over(c);
	c->streaming = false;
	if (c->close_after)
		conn_start_closing(c); /* nothing more is read; the reply still leaves */
}

void
conn_upload_fail(struct http_conn *c, const char *why)
{
	if (c->upload)
		stream_fail(c->upload, str_z(why));
	upload_over(c);
	c->streaming = false;
	http_conn_drain(c);
}

bool
conn_upload_full(const struct http_conn *c)
{
	return c->upload && stream_held(c->upload) >= UPLOAD_HIGH;
}

void
conn_upload_unwanted(struct http_conn *c, const struct http_exchange *x)
{
	if (!c->upload || c->upload != x->upload)
		return;
	stream_fail(c->upload, S("The response is complete"));
	upload_over(c);
}

/* --- replies --- */

/* Bytes of a body, framed.  False: more than was announced. */
static bool
send_piece(struct http_conn *c, struct http_exchange *x, struct buf *piece)
{
	char size[20];

	switch (http_framing(x)) {
	case FRAME_CHUNKED:
		snprintf(size, sizeof size, "%zx\r\n", piece->n);
		out_add(&c->out, str_z(size));
		out_take(&c->out, piece);
		out_add(&c->out, S("\r\n"));
		return true;
	case FRAME_LENGTH:
		if (piece->n > (uint64_t)x->length)
			return false;
		x->length -= (int64_t)piece->n;
		out_take(&c->out, piece);
		return true;
	case FRAME_CLOSE:
		out_take(&c->out, piece);
		return true;
	case FRAME_NONE:
		return true;
	}
	return true;
}

static bool
has_no_body(const struct http_exchange *x)
{
	return x->verb == VERB_HEAD || http_framing(x) == FRAME_NONE || x->status == 204 ||
	    x->status == 304;
}

static void
cut_off(struct http_conn *c, struct http_exchange *x)
{
	c->cut = true;
	x->keep_alive = false;
}

static void
end_download(struct http_conn *c, struct http_exchange *x)
{
	if (http_framing(x) == FRAME_CHUNKED)
		out_add(&c->out, S("0\r\n\r\n"));
	else if (http_framing(x) == FRAME_LENGTH && x->length > 0)
		cut_off(c, x); /* less than was announced */
}

bool
conn_download(struct http_conn *c, struct http_exchange *x)
{
	if (has_no_body(x))
		return true; /* freeing x closes the stream */
	while (c->out.bytes < DOWNLOAD_HIGH) {
		struct buf        piece;
		enum stream_state st;
		bool              fits;

		buf_init(&piece, PIECE_MAX);
		st = stream_read(x->download, &piece, PIECE_MAX);
		fits = st != STREAM_DATA || send_piece(c, x, &piece);
		buf_clear(&piece);
		if (st == STREAM_EMPTY) {
			stream_when_ready(x->download, c->host.wake, c->host.arg);
			return false;
		}
		if (st == STREAM_END)
			end_download(c, x);
		else if (st == STREAM_FAILED || !fits)
			cut_off(c, x);
		if (st != STREAM_DATA || !fits)
			return true;
	}
	return false; /* http_conn_wrote() goes on */
}

/* --- both --- */

size_t
conn_streams_held(const struct http_conn *c)
{
	size_t n = c->upload ? stream_held(c->upload) : 0;

	for (const struct http_exchange *x = c->first; x; x = x->next)
		n += x->answered && x->download ? stream_held(x->download) : 0;
	return n;
}

void
conn_client_gone(struct http_conn *c)
{
	for (struct http_exchange *x = c->first; x; x = x->next) {
		if (x->gone)
			stream_end(x->gone);
	}
	if (c->upload)
		stream_fail(c->upload, S("The client has disconnected"));
	upload_over(c);
}

void
conn_streams_forget(struct http_conn *c)
{
	for (struct http_exchange *x = c->first; x; x = x->next) {
		if (x->answered && x->download)
			stream_when_ready(x->download, NULL, NULL);
	}
}
