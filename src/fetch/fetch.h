/* fetch.h - outgoing HTTP: one thread around libcurl, for everybody.
 *
 * Requests and responses have streamed bodies (runtime/stream.h).  Redirects are the caller's
 * (spec 04 section 7: the prelude follows them), content decoding (gzip) is done here unless the
 * caller set Accept-Encoding; a decoded response has lost its Content-Encoding and
 * Content-Length.  Framing is ours: Content-Length and Transfer-Encoding of the caller are dropped,
 * but for a stream whose length the caller knows.  No cookies, no cache.
 *
 * Nothing is loaded and no thread runs before the first request.
 *
 * Thread: any may start and cancel; callbacks come on the fetch thread and must not block.
 * Memory: bounded per transfer: reading stops while the response's reader is behind.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/arena.h"
#include "base/err.h"
#include "runtime/stream.h"

struct fetch; /* the client */

struct fetch_header {
	str name, value; /* value: bytes (latin-1), sent as they are */
};

struct fetch_request {
	str                        url;     /* absolute, http or https */
	str                        method;  /* sent as it is */
	const struct fetch_header *headers;
	size_t                     nheaders;
	str                        body;    /* p == NULL: none or streamed */
	struct stream             *stream;  /* streamed body, which this reads; or NULL */
	uint64_t                   connect_timeout_ms; /* 0: 30 s */
	uint64_t                   timeout_ms;         /* of the whole transfer; 0: none */
	bool                       public_only; /* refuse loopback and private addresses */
};

struct fetch_response {
	int                  status;
	str                  status_text;
	str                  url;
	size_t               nheaders;
	struct fetch_header *headers;  /* names in lower case, in order of arrival */
	struct stream       *body;     /* borrowed: take a reference to read it; closing it
	                                * ends the transfer */
	bool                 empty;    /* there is no body: HEAD, 204, 304, Content-Length: 0 */
	struct arena        *arena;    /* of the texts; dies after the callback */
};

struct fetch_opts {
	const char *user_agent; /* NULL: "Convex/1.0" */
	const char *proxy;      /* NULL: none, and no environment variable is read */
	const char *ca_file;    /* NULL: the system's roots */
};

struct fetch *fetch_new(const struct fetch_opts *opts); /* the texts are copied; NULL: defaults */
/* Ends what is going on: callbacks with errors.  Nobody may start anything any more. */
void          fetch_free(struct fetch *f);

/* Exactly one of the two calls comes, on the fetch thread: the head of the response, or why there
 * is none (text: the chain of causes as for users; code FetchFailed).  After a head, failures go
 * to the body's stream. */
typedef void (*fetch_done)(void *arg, const struct fetch_response *r, const struct err *e);

/* Copies what it needs.  The returned transfer must be released once; cancelling it is allowed
 * until then, at any moment. */
struct transfer;
struct transfer *fetch_start(struct fetch *f, const struct fetch_request *r, fetch_done done,
    void *arg);
void fetch_cancel(struct transfer *t);  /* stops; `done` comes with an error if it has not come */
void fetch_release(struct transfer *t); /* NULL is fine; does not stop it */

#endif
