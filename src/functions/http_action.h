/* http_action.h - HTTP requests as functions see them, and what they answer (spec 04 section 6).
 *
 * A request is an ordinary call (functions/call.h) with a struct http_request.  Its reply comes in
 * two steps: the head when the handler's promise has settled, through `answer`, and the body
 * through a stream that the function goes on writing; the call's result comes when all is over.
 *
 * Thread: requests are made on the loop thread and then immutable; `answer` is called on the
 * action's.  Memory: reference-counted, an arena inside.
 */
#ifndef FUNCTIONS_HTTP_ACTION_H
#define FUNCTIONS_HTTP_ACTION_H

#include "base/buf.h"
#include "base/err.h"
#include "runtime/stream.h"

#define HTTP_RESPONSE_MAX ((size_t)20 << 20)

struct http_pair {
	str name, value; /* bytes; in JavaScript each is a character below U+0100 */
};

struct http_head {
	int               http;
	size_t            npairs;
	struct http_pair *pairs; /* legal names and values */
};

struct http_request {
	_Atomic uint32_t  refs;
	struct arena     *arena;  /* owned: of the texts */
	str               method; /* as sent: "HEAD" stays */
	str               path;   /* with a leading slash, percent-encoded, without "/http" */
	str               url;
	size_t            npairs;
	struct http_pair *pairs;
	struct stream    *body; /* one reference; NULL: none */
	struct stream    *gone; /* one reference; ends when the client has left */
	/* Once at most, on the action's thread: the reply's head, borrowed.  `body` is borrowed
	 * too, and is written until it ends or fails. */
	void (*answer)(void *arg, const struct http_head *head, struct stream *body);
	void *arg;
};

struct http_request *http_request_new(void);
struct http_request *http_request_ref(struct http_request *r);
void                 http_request_unref(struct http_request *r);

/* The URL of spec 04 section 6.1, in `a`.  `header` looks one up by its lower-case name; `site` is
 * for requests without a Host. */
str http_request_url(struct arena *a, str (*header)(void *arg, const char *name), void *arg,
    str site, str path, str query);

/* Bytes as a JSON string of the characters with the same numbers, and back; false: there are
 * others. */
void http_write_latin1(struct buf *b, str bytes);
bool http_latin1_of(struct arena *a, str text, str *ret_bytes);

/* The request's JSON of section 6.3; the ids are those of the two streams, body's n == 0: none. */
void http_request_json(struct buf *b, const struct http_request *r, str body_id, str gone_id);

/* What router.runRequest() settled with.  BAD_REQUEST: no reply can be made of it. */
NODISCARD status http_head_parse(struct arena *a, str json, struct http_head *ret,
    str *ret_stream_id, struct err *e);

/* The body of a failure before the head (section 6.5).  `error` is the whole error text, without
 * a request id line; `data` encoded JSON, p == NULL: none. */
void http_failure_json(struct buf *b, str request_id, str error, str data, bool redact);

#endif
