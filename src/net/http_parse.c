/* http_parse.c - the input of a connection: from bytes to requests and WebSocket messages.
 *
 * http_parser's callbacks gather the head into one buf; when the headers are complete they move
 * into an exchange, the host says what to do with the body, and the body arrives, decoded if it
 * is compressed.  After the upgrade all bytes go to ws.c.
 *
 * Thread: the loop thread.  Memory: the head and the request that are arriving.
 */
#include "net/http_conn_int.h"

#define HEAD_KEPT 4096 /* bytes of head buffer that an idle connection may keep */

static void
span_add(struct http_conn *c, struct span *s, const char *p, size_t n)
{
	if (s->n == 0)
		s->at = c->head.n;
	buf_add(&c->head, str_of(p, n));
	s->n += n;
}

static int
on_begin(http_parser *p)
{
	struct http_conn *c = p->data;

	buf_reset(&c->head);
	c->url = (struct span){ 0 };
	c->headers.n = 0;
	c->in_head = true;
	c->in_value = false;
	c->head_ms = c->now_ms;
	return 0;
}

static int
on_url(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	span_add(c, &c->url, at, n);
	return buf_ok(&c->head) ? 0 : 1;
}

static int
on_field(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (!c->in_head)
		return 0; /* trailers behind a chunked body */
	if (c->headers.n == 0 || c->in_value) {
		if (c->headers.n == HTTP_HEADERS_MAX) {
			c->head.overflow = true;
			return 1;
		}
		vec_push(&c->headers, ((struct header_span){ 0 }));
		c->in_value = false;
	}
	span_add(c, &c->headers.v[c->headers.n - 1].name, at, n);
	return buf_ok(&c->head) ? 0 : 1;
}

static int
on_value(http_parser *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (!c->in_head)
		return 0;
	c->in_value = true;
	span_add(c, &c->headers.v[c->headers.n - 1].value, at, n);
	return buf_ok(&c->head) ? 0 : 1;
}

static enum http_verb
verb_of(unsigned method)
{
	switch (method) {
	case HTTP_GET:
		return VERB_GET;
	case HTTP_HEAD:
		return VERB_HEAD;
	case HTTP_POST:
		return VERB_POST;
	case HTTP_PUT:
		return VERB_PUT;
	case HTTP_PATCH:
		return VERB_PATCH;
	case HTTP_DELETE:
		return VERB_DELETE;
	case HTTP_OPTIONS:
		return VERB_OPTIONS;
	default:
		return VERB_OTHER;
	}
}

static void
lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 0x20);
	}
}

/* "/a/b?c=d#e" or "http://host/a/b?c=d" -> path and query. */
static void
split_url(struct http_exchange *x, str url)
{
	size_t at;

	if (str_find_char(url, '#', &at))
		url = str_head(url, at);
	if (!str_starts(url, S("/")) && str_find(url, S("://"), &at)) {
		url = str_from(url, at + 3);
		if (!str_find_char(url, '/', &at))
			at = url.n;
		url = str_from(url, at);
	}
	x->path = url;
	x->query = STR_EMPTY;
	if (str_find_char(url, '?', &at)) {
		x->path = str_head(url, at);
		x->query = str_from(url, at + 1);
	}
	if (x->path.n == 0)
		x->path = S("/");
}

/* Moves the head into a new exchange: one copy, which all its slices point into. */
static struct http_exchange *
make_exchange(struct http_conn *c)
{
	struct http_exchange *x = http_exchange_new();
	char                 *base = arena_z(x->arena, buf_str(&c->head));

	x->verb = verb_of(c->parser.method);
	x->site = c->site;
	x->peer = arena_str(x->arena, str_of(c->peer, c->npeer));
	x->http_1_0 = c->parser.http_major == 1 && c->parser.http_minor == 0;
	x->keep_alive = http_should_keep_alive(&c->parser) != 0;
	split_url(x, str_of(base + c->url.at, c->url.n));
	if (c->head.cap > HEAD_KEPT)
		buf_clear(&c->head);
	x->nheaders = c->headers.n;
	x->headers = ARENA_ARRAY(x->arena, struct http_header, c->headers.n);
	for (size_t i = 0; i < c->headers.n; i++) {
		const struct header_span *h = &c->headers.v[i];

		lower(base + h->name.at, h->name.n);
		x->headers[i].name = str_of(base + h->name.at, h->name.n);
		x->headers[i].value = str_trim(str_of(base + h->value.at, h->value.n));
	}
	return x;
}

static bool
length_known(const http_parser *p)
{
	return !(p->flags & F_CHUNKED) && p->content_length != UINT64_MAX;
}

static bool
has_body(const http_parser *p)
{
	return (p->flags & F_CHUNKED) || (length_known(p) && p->content_length > 0);
}

/* The body rule's consequences.  False: the request was refused. */
static bool
prepare_body(struct http_conn *c)
{
	struct http_exchange *x = c->cur;
	enum body_coding      coding = body_coding_of(http_header(x, "content-encoding"));
	bool                  known = length_known(&c->parser);

	if (!has_body(&c->parser))
		return true;
	if (coding == BODY_UNKNOWN && !c->rule.discard) {
		conn_refuse(c, x, 415, "UnsupportedContentEncoding",
		    "Request bodies may be encoded with br, gzip or deflate");
		return false;
	}
	if (known && c->parser.content_length > c->rule.body_max) {
		conn_refuse(c, x, c->rule.over_status, c->rule.over_code, c->rule.over_text);
		return false;
	}
	x->body.max = c->rule.body_max + 1; /* one more: the cap itself is allowed */
	if (coding != BODY_IDENTITY && !c->rule.discard)
		c->decoder = body_decoder_new(coding);
	else if (known && !c->rule.discard && c->parser.content_length <= 65536)
		(void)buf_reserve(&x->body, (size_t)c->parser.content_length);
	conn_continue(c, x);
	return true;
}

static int
on_headers_complete(http_parser *p)
{
	struct http_conn     *c = p->data;
	struct http_exchange *x = make_exchange(c);

	c->in_head = false;
	c->cur = x;
	c->body_raw = 0;
	c->progress_ms = c->now_ms;
	c->rule = (struct http_rule){ .over_status = 413, .over_code = "PayloadTooLarge",
		.over_text = "The request body is too large" };
	c->host.head(c->host.arg, x, &c->rule);
	p->upgrade = 0; /* only to a WebSocket, and only where one is served */
	if (x->status != 0) {
		x->keep_alive = false;
		c->cur = NULL;
		conn_enqueue(c, x);
		conn_start_closing(c);
		http_conn_answer(x);
		return -1;
	}
	if (c->rule.websocket && c->first) {
		conn_refuse(c, x, 400, "ConnectionNotUpgradable",
		    "A WebSocket handshake cannot be pipelined behind other requests");
		return -1;
	}
	if (c->rule.websocket) {
		p->upgrade = 1;
		return 1;
	}
	if (c->rule.stream) {
		conn_upload_begin(c, x, has_body(p));
		return 0;
	}
	return prepare_body(c) ? 0 : -1;
}

static int
on_body(http_parser *p, const char *at, size_t n)
{
	struct http_conn     *c = p->data;
	struct http_exchange *x = c->cur;
	enum body_result      r = BODY_OK;

	c->progress_ms = c->now_ms;
	if (c->streaming)
		return conn_upload_add(c, str_of(at, n)) ? 0 : 1;
	c->body_raw += n;
	if (c->rule.discard) {
		r = c->body_raw > c->rule.body_max ? BODY_TOO_LARGE : BODY_OK;
	} else if (c->decoder) {
		r = body_decoder_feed(c->decoder, str_of(at, n), &x->body);
	} else {
		buf_add(&x->body, str_of(at, n));
	}
	if (r == BODY_BROKEN) {
		conn_refuse(
		    c, x, 400, "BadRequestBody", "The compressed request body cannot be decoded");
		return 1;
	}
	if (r == BODY_TOO_LARGE || !buf_ok(&x->body) || x->body.n > c->rule.body_max) {
		conn_refuse(c, x, c->rule.over_status, c->rule.over_code, c->rule.over_text);
		return 1;
	}
	return 0;
}

static void
ws_message(void *arg, struct buf *text)
{
	struct http_conn *c = arg;

	c->host.ws_message(c->host.arg, text);
}

static void
upgrade(struct http_conn *c, struct http_exchange *x)
{
	const struct ws_host host = { c, ws_message, conn_ws_over };
	struct buf           b;

	buf_init(&b, 4096);
	buf_addz(&b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	             "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
	ws_accept_key(&b, http_header(x, "sec-websocket-key"));
	buf_addz(&b, "\r\n\r\n");
	out_take(&c->out, &b);
	buf_clear(&b);
	buf_clear(&c->head);
	vec_clear(&c->headers);
	c->ws = ws_new(&host, &c->out);
	ws_ping(c->ws); /* the first one at once (spec 01 section 2.3) */
	c->ping_ms = c->now_ms;
	c->host.ws_open(c->host.arg, x);
	http_exchange_free(x);
}

static int
on_complete(http_parser *p)
{
	struct http_conn     *c = p->data;
	struct http_exchange *x = c->cur;
	bool                  cut = c->decoder && !body_decoder_complete(c->decoder);

	if (c->streaming) {
		conn_upload_end(c);
		return c->closing ? 1 : 0;
	}
	body_decoder_free(c->decoder);
	c->decoder = NULL;
	if (cut) {
		conn_refuse(
		    c, x, 400, "BadRequestBody", "The compressed request body is incomplete");
		return 1;
	}
	c->cur = NULL;
	if (c->rule.websocket) {
		upgrade(c, x);
		return 0;
	}
	conn_enqueue(c, x);
	if (!x->keep_alive)
		conn_start_closing(c); /* nothing more is read; the reply still leaves */
	c->host.request(c->host.arg, x);
	return c->closing ? 1 : 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* --- input --- */

/* The parser stopped by itself. */
static void
bad_request(struct http_conn *c)
{
	enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
	const char     *text = "The request is not valid HTTP/1.1";

	if (c->streaming)
		conn_upload_fail(c, "The request body is not valid HTTP/1.1");
	else if (err == HPE_HEADER_OVERFLOW || c->head.overflow)
		conn_refuse(c, c->cur, 431, "RequestHeaderFieldsTooLarge",
		    "The request line and headers are larger than 64 KiB or more than 128");
	else
		conn_refuse(c, c->cur, 400, "BadRequest",
		    err == HPE_INVALID_TRANSFER_ENCODING ? "The Transfer-Encoding is not supported"
							 : text);
}

void
http_conn_feed(struct http_conn *c, str bytes, uint64_t now_ms)
{
	size_t used;

	c->now_ms = c->read_ms = now_ms;
	if (c->ws) {
		ws_feed(c->ws, bytes);
		return;
	}
	if (c->closing)
		return;
	used = http_parser_execute(&c->parser, &settings, bytes.p, bytes.n);
	if (c->ws) {
		ws_feed(c->ws, str_from(bytes, used));
		return;
	}
	if (HTTP_PARSER_ERRNO(&c->parser) != HPE_OK && !c->closing)
		bad_request(c);
}
