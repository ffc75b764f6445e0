/* http_conn_int.h - one connection, as the files that implement it see it.
 *
 * http_conn.c has its life, its replies, its time and its output; http_parse.c its input;
 * http_stream.c the bodies that are streams.
 *
 * Thread: the loop thread.
 */
#ifndef NET_HTTP_CONN_INT_H
#define NET_HTTP_CONN_INT_H

#include <http_parser.h>

#include "base/vec.h"
#include "net/body_decode.h"
#include "net/http_conn.h"
#include "net/ws.h"

#define PEER_MAX 64 /* bytes of an address */

struct span {
	size_t at, n; /* in head */
};

struct header_span {
	struct span name, value;
};

struct http_conn {
	struct http_host host;
	http_parser      parser;
	bool             site;
	char             peer[PEER_MAX];
	size_t           npeer;
	uint64_t         request_timeout_ms;

	/* the head that is arriving */
	struct buf             head;
	struct span            url;
	VEC(struct header_span) headers;
	bool                   in_head, in_value;

	/* the body that is arriving */
	struct http_exchange *cur;
	struct http_rule      rule;
	struct body_decoder  *decoder;
	size_t                body_raw; /* bytes before decoding */

	/* the body of a streamed request that is arriving */
	bool           streaming;
	bool           close_after; /* its request wants the connection closed */
	struct stream *upload;      /* one reference; NULL: nobody wants it (any more) */
	size_t         skip_left;   /* bytes of it that are read all the same */

	/* requests in the order of arrival, answered or not */
	struct http_exchange *first, **last;
	size_t                npending;
	size_t                out_bodies; /* bytes of bodies of pending requests */

	struct out out;
	struct ws *ws;
	bool       ws_told_over;
	bool       closing;   /* no further requests: input is discarded */
	bool       eof;       /* the peer sends no more */
	bool       dead;
	bool       cut;       /* a reply broke off: close behind what was written */
	uint64_t   now_ms, read_ms, progress_ms, head_ms, closing_ms, ping_ms;
};

/* http_conn.c */
void conn_start_closing(struct http_conn *c);
/* A complete request joins those that wait for their replies. */
void conn_enqueue(struct http_conn *c, struct http_exchange *x);
/* Ends the conversation with an error reply, behind the replies that are due.  x NULL: nothing
 * is known of the request. */
void conn_refuse(struct http_conn *c, struct http_exchange *x, int http, const char *code,
    const char *text);
void conn_ws_over(void *conn); /* tells the host once */
/* Tells a client that waits for it to send its body. */
void conn_continue(struct http_conn *c, const struct http_exchange *x);

/* http_stream.c */
/* The head of a streamed request is there: hands it out. */
void conn_upload_begin(struct http_conn *c, struct http_exchange *x, bool has_body);
/* False: too much that nobody wants. */
bool conn_upload_add(struct http_conn *c, str bytes);
void conn_upload_end(struct http_conn *c);
/* It breaks off, and the connection with it; `why` is for its reader. */
void conn_upload_fail(struct http_conn *c, const char *why);
/* Whether its reader is behind. */
bool conn_upload_full(const struct http_conn *c);
/* The reply to x is complete. */
void conn_upload_unwanted(struct http_conn *c, const struct http_exchange *x);
/* Moves x's reply on.  False: more comes later. */
bool conn_download(struct http_conn *c, struct http_exchange *x);
size_t conn_streams_held(const struct http_conn *c);
/* The client has left, or the connection ends: streams learn it, and forget the connection. */
void conn_client_gone(struct http_conn *c);
void conn_streams_forget(struct http_conn *c);

#endif
