/* http_exchange.h - one HTTP request and its reply.
 *
 * The connection assembles the request; it is immutable from then on.  Whoever answers fills in
 * the reply and gives the exchange back to its server, from any thread.  It travels whole, so
 * there is nothing to lock.
 *
 * Bodies can be streams instead: a request is then handed out behind its headers, and a reply
 * leaves as its stream is written.  Streams have locks of their own.
 *
 * Thread: one holder at a time.  Memory: an arena for the request, two bufs for the bodies.
 */
#ifndef NET_HTTP_EXCHANGE_H
#define NET_HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/post.h"
#include "runtime/stream.h"

enum http_verb {
	VERB_GET,
	VERB_HEAD,
	VERB_POST,
	VERB_PUT,
	VERB_PATCH,
	VERB_DELETE,
	VERB_OPTIONS,
	VERB_OTHER
};

struct http_header {
	str name; /* lower case */
	str value;
};

struct http_conn;
struct http_server;
struct api_route;

/* Its ride back to the connection; see http_server.c. */
struct net_command {
	struct net_command *next;
	int                 kind;
};

struct http_exchange {
	struct post         post;  /* its ride to the core */
	struct net_command  command;
	struct arena       *arena; /* owned */

	/* the request */
	enum http_verb      verb;
	str                 path;  /* as sent: still percent-encoded */
	str                 query; /* without '?' */
	size_t              nheaders;
	struct http_header *headers;
	struct buf          body;  /* decoded: no chunks, no Content-Encoding */
	bool                site;  /* came in at the site port */
	str                 peer;  /* text of the address; empty: unknown */
	struct stream      *upload; /* the body of a streamed request, as it comes: whoever wants
	                             * it takes a reference; NULL: in `body`, or there is none */
	struct stream      *gone;   /* of a streamed request: ends when the client has left before
	                             * it had its reply; else NULL */

	/* the answerer's */
	struct http_server     *server; /* where to give it back */
	const struct api_route *route;
	void                   *state;

	/* the reply */
	int         status;        /* 0: none yet */
	const char *content_type;  /* static; NULL: no body type */
	struct buf  reply;
	str         extra_headers; /* complete lines, in the arena */
	bool           own_headers; /* no others but the framing of the body */
	struct stream *download;    /* the body instead of `reply`; one reference */
	int64_t        length;      /* that the answerer announced for `download`; -1: unknown */
	bool           close;       /* the connection ends with this reply */

	/* the connection's */
	struct http_conn     *conn; /* NULL: nobody waits for the reply any more */
	struct http_exchange *next;
	uint64_t              deadline_ms;
	size_t                held; /* bytes of the body, as the connection counts them */
	bool                  answered;
	bool                  head_sent;
	bool                  keep_alive;
	bool                  http_1_0;
	bool                  cors;
};

struct http_exchange *http_exchange_new(void);
void                  http_exchange_free(struct http_exchange *x); /* NULL is fine */

/* Value of the first header of that name (lower case); p == NULL: absent. */
str http_header(const struct http_exchange *x, const char *name);

/* --- replies; each replaces what was there --- */

void http_reply_text(struct http_exchange *x, int http, str text);
/* x->reply holds JSON already, or nothing. */
void http_reply_json(struct http_exchange *x, int http);
/* {"code":...,"message":...} (spec 01 section 11.1). */
void http_reply_error(struct http_exchange *x, int http, str code, str message);
void http_reply_err(struct http_exchange *x, const struct err *e);
/* An empty body. */
void http_reply_empty(struct http_exchange *x, int http);
/* The answer to any OPTIONS (spec 01 section 14). */
void http_reply_preflight(struct http_exchange *x);

/* How the end of a reply's body is told. */
enum http_framing { FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };
enum http_framing http_framing(const struct http_exchange *x);

/* Status line and header lines of the finished reply. */
void http_write_head(struct buf *out, const struct http_exchange *x);

#endif
