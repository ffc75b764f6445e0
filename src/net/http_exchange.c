/* http_exchange.c - requests, replies and their header lines.
 *
 * Thread: one holder at a time.  Memory: see http_exchange.h.
 */
#include "base/http_text.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/http_exchange.h"

#define REPLY_MAX ((size_t)1 << 30)

struct http_exchange *
http_exchange_new(void)
{
	struct arena         *a = arena_new();
	struct http_exchange *x = ARENA_NEW(a, struct http_exchange);

	x->arena = a;
	buf_init(&x->body, BUF_MAX_DEFAULT);
	buf_init(&x->reply, REPLY_MAX);
	x->keep_alive = true;
	x->length = -1;
	return x;
}

void
http_exchange_free(struct http_exchange *x)
{
	if (!x)
		return;
	buf_clear(&x->body);
	buf_clear(&x->reply);
	if (x->download)
		stream_close(x->download); /* nobody will read what is left of it */
	stream_unref(x->download);
	stream_unref(x->upload);
	stream_unref(x->gone);
	arena_free(x->arena); /* x lives in it */
}

str
http_header(const struct http_exchange *x, const char *name)
{
	str want = str_z(name);

	for (size_t i = 0; i < x->nheaders; i++) {
		if (str_eq(x->headers[i].name, want))
			return x->headers[i].value;
	}
	return (str){ NULL, 0 };
}

void
http_reply_text(struct http_exchange *x, int http, str text)
{
	buf_reset(&x->reply);
	buf_add(&x->reply, text);
	x->content_type = "text/plain; charset=utf-8";
	x->status = http;
}

void
http_reply_json(struct http_exchange *x, int http)
{
	x->content_type = "application/json";
	x->status = http;
	if (!buf_ok(&x->reply)) {
		buf_clear(&x->reply);
		http_reply_error(x, 500, S("ResponseTooLarge"),
		    S("The response is larger than 1 GiB, the most that this server sends."));
	}
}

void
http_reply_error(struct http_exchange *x, int http, str code, str message)
{
	buf_reset(&x->reply);
	x->content_type = NULL;
	if (code.n > 0 || message.n > 0) {
		buf_addz(&x->reply, "{\"code\":");
		json_write_str(&x->reply, code);
		buf_addz(&x->reply, ",\"message\":");
		json_write_str(&x->reply, message);
		buf_add_byte(&x->reply, '}');
		x->content_type = "application/json";
	}
	x->status = http;
}

void
http_reply_err(struct http_exchange *x, const struct err *e)
{
	http_reply_error(x, status_http(e->st), e->code, e->text);
}

void
http_reply_empty(struct http_exchange *x, int http)
{
	buf_reset(&x->reply);
	x->content_type = NULL;
	x->status = http;
}

void
http_reply_preflight(struct http_exchange *x)
{
	str asked = http_header(x, "access-control-request-headers");

	http_reply_empty(x, 200);
	x->extra_headers = arena_fmt(x->arena,
	    "Access-Control-Allow-Methods: GET,POST,OPTIONS,PATCH,DELETE,PUT\r\n"
	    "%s%.*s%s"
	    "Access-Control-Max-Age: 86400\r\n",
	    asked.p ? "Access-Control-Allow-Headers: " : "", STR_ARG(asked), asked.p ? "\r\n" : "");
}

enum http_framing
http_framing(const struct http_exchange *x)
{
	if (x->status < 200 || x->status == 204 || x->status == 304)
		return x->own_headers ? FRAME_NONE : FRAME_LENGTH;
	if (!x->download || x->length >= 0)
		return FRAME_LENGTH;
	if (x->verb == VERB_HEAD)
		return FRAME_NONE;
	return x->http_1_0 ? FRAME_CLOSE : FRAME_CHUNKED;
}

void
http_write_head(struct buf *out, const struct http_exchange *x)
{
	str origin = http_header(x, "origin"), reason = http_reason(x->status);

	buf_fmt(out, "HTTP/1.1 %d %s\r\n", x->status, reason.n ? reason.p : "Unknown");
	if (x->content_type)
		buf_fmt(out, "Content-Type: %s\r\n", x->content_type);
	if (http_framing(x) == FRAME_LENGTH)
		buf_fmt(out, "Content-Length: %zu\r\n",
		    x->download ? (size_t)x->length : x->reply.n);
	else if (http_framing(x) == FRAME_CHUNKED)
		buf_addz(out, "Transfer-Encoding: chunked\r\n");
	if (x->cors && origin.p) {
		buf_addz(out, "Access-Control-Allow-Origin: ");
		buf_add(out, origin);
		buf_addz(out, "\r\nAccess-Control-Allow-Credentials: true\r\n"
		              "Vary: origin, access-control-request-method, "
		              "access-control-request-headers\r\n");
	}
	buf_add(out, x->extra_headers);
	if (!x->keep_alive)
		buf_addz(out, "Connection: close\r\n");
	else if (x->http_1_0)
		buf_addz(out, "Connection: keep-alive\r\n");
	buf_addz(out, "\r\n");
}
