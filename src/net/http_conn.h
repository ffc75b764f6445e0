/* http_conn.h - one client connection without its socket: bytes in, requests and bytes out.
 *
 * HTTP/1.1 with keep-alive and pipelining (replies leave in the order of their requests),
 * chunked and compressed bodies, streamed bodies in both directions, Expect: 100-continue, and the
 * upgrade to a WebSocket.  Every wait has an end: http_conn_tick().
 *
 * Nothing here knows sockets, so tests and the fuzzers drive it byte by byte.
 *
 * Thread: the loop thread.  Memory: one request being assembled, requests out, and the output.
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include "net/http_exchange.h"
#include "net/out.h"

#define HTTP_HEAD_MAX    65536 /* bytes of request line and headers */
#define HTTP_HEADERS_MAX 128

/* What to do with a request's body, decided when its headers are there. */
struct http_rule {
	size_t      body_max;    /* after decoding */
	bool        discard;     /* count it, do not keep it */
	bool        stream;      /* hand the request out now; its body, of any size and as it is
	                          * encoded, goes to x->upload */
	bool        websocket;   /* a valid handshake: upgrade */
	int         over_status; /* reply to a larger body */
	const char *over_code;
	const char *over_text;
};

struct http_host {
	void *arg;
	/* The headers are complete.  May fill in a reply at once (x->status): the body is then
	 * refused and the connection closed behind the reply. */
	void (*head)(void *arg, struct http_exchange *x, struct http_rule *ret);
	/* A complete request: answer it now or later with http_conn_answer(). */
	void (*request)(void *arg, struct http_exchange *x);
	/* The WebSocket is open; `x` is borrowed. */
	void (*ws_open)(void *arg, const struct http_exchange *x);
	void (*ws_message)(void *arg, struct buf *text); /* may take the bytes */
	void (*ws_over)(void *arg); /* the peer closed, broke or left it; once */
	/* A stream has news: call http_conn_resume() soon.  From any thread, with a lock held;
	 * never again after http_conn_free(). */
	void (*wake)(void *arg);
};

struct http_conn_opts {
	struct http_host host;
	uint64_t         now_ms;
	uint64_t         request_timeout_ms; /* 0: 300 s; then 408 with an empty body */
	bool             site;
	str              peer; /* copied */
};

struct http_conn;

struct http_conn *http_conn_new(const struct http_conn_opts *opts);
/* Requests that are out lose their connection and are freed when they are answered. */
void http_conn_free(struct http_conn *c);
void *http_conn_owner(const struct http_conn *c); /* host.arg */

void http_conn_feed(struct http_conn *c, str bytes, uint64_t now_ms);
void http_conn_eof(struct http_conn *c);
/* Time passes.  False: give the connection up. */
bool http_conn_tick(struct http_conn *c, uint64_t now_ms);

/* Goes on with the streams, as host.wake() asked for. */
void http_conn_resume(struct http_conn *c, uint64_t now_ms);

/* Takes x back with its reply; x->conn == NULL: just frees it. */
void http_conn_answer(struct http_exchange *x);
/* Refuses what is being received (no memory for it) and closes. */
void http_conn_refuse(struct http_conn *c, int http, const char *code, const char *text);
/* No new requests: closes after the replies that are due. */
void http_conn_drain(struct http_conn *c);

/* WebSocket only; the first takes the reference. */
void http_conn_ws_send(struct http_conn *c, struct blob *text, bool mark);
void http_conn_ws_close(struct http_conn *c, int code, str reason);

size_t http_conn_iov(struct http_conn *c, struct iovec *ret, size_t max);
size_t http_conn_wrote(struct http_conn *c, size_t n, uint64_t now_ms); /* marks passed */

enum http_phase {
	HTTP_OPEN,
	HTTP_LINGER, /* all is sent: shut down writing, read to the end */
	HTTP_DEAD    /* close it */
};
enum http_phase http_conn_phase(const struct http_conn *c);
bool   http_conn_wants_input(const struct http_conn *c); /* else stop reading for a while */
size_t http_conn_held(const struct http_conn *c);        /* bytes of bodies and output */
size_t http_conn_unsent(const struct http_conn *c);

#endif
