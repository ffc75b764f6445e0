/* http_conn.c - one client connection without its socket: see http_conn.h.
 *
 * Life of a request: http_parser's callbacks gather the head into one buf; when the headers are
 * complete they move into an exchange, the host says what to do with the body, and the body
 * arrives; the complete exchange joins the queue of this connection and goes to the host.
 * Answers may come in any order; they leave in the queue's.
 *
 * Refusals (bad syntax, too large) are exchanges too, answered at birth, so that they keep their
 * place behind earlier replies.
 *
 * Thread: the net thread.  Memory: see http_conn.h.
 */
#include <http_parser.h>

#include "base/mem.h"
#include "net/body_decode.h"
#include "net/http_conn.h"
#include "net/ws.h"

#define IDLE_MS          120000u /* between requests */
#define HEAD_MS          30000u  /* from the first byte of a head to its end */
#define STALL_MS         60000u  /* without progress of a body or of the output */
#define LINGER_MS        5000u   /* reading what a closed connection still sends */
#define WS_PING_MS       5000u
#define WS_SILENCE_MS    120000u
#define REQUEST_MS       300000u
#define PIPELINE_MAX     32      /* requests out; more are not read */
#define UNSENT_PAUSE     ((size_t)4 << 20)
#define UNSENT_MAX       ((size_t)512 << 20)

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
	struct arena    *arena; /* owned: peer */
	str              peer;
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
	uint64_t   now_ms, read_ms, progress_ms, head_ms, closing_ms, ping_ms;
};

static const http_parser_settings settings;

struct http_conn *
http_conn_new(const struct http_conn_opts *opts)
{
	struct http_conn *c = MEM_NEW(struct http_conn);

	c->host = opts->host;
	c->site = opts->site;
	c->arena = arena_new();
	c->peer = arena_str(c->arena, opts->peer);
	c->request_timeout_ms = opts->request_timeout_ms ? opts->request_timeout_ms : REQUEST_MS;
	http_parser_init(&c->parser, HTTP_REQUEST);
	http_parser_set_max_header_size(HTTP_HEAD_MAX);
	c->parser.data = c;
	buf_init(&c->head, HTTP_HEAD_MAX);
	c->last = &c->first;
	out_init(&c->out);
	c->now_ms = c->read_ms = c->progress_ms = opts->now_ms;
	return c;
}

void
http_conn_free(struct http_conn *c)
{
	struct http_exchange *x, *next;

	for (x = c->first; x; x = next) {
		next = x->next;
		x->conn = NULL;
		if (x->answered)
			http_exchange_free(x);
	}
	http_exchange_free(c->cur);
	body_decoder_free(c->decoder);
	ws_free(c->ws);
	out_clear(&c->out);
	buf_clear(&c->head);
	vec_clear(&c->headers);
	arena_free(c->arena);
	mem_free(c);
}

/* --- replies --- */

static void
start_closing(struct http_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	c->closing_ms = c->now_ms;
}

/* Sends the replies that are next in line. */
static void
send_ready(struct http_conn *c)
{
	while (c->first && c->first->answered) {
		struct http_exchange *x = c->first;
		struct buf            head;

		buf_init(&head, HTTP_HEAD_MAX * 4);
		http_write_head(&head, x);
		out_take(&c->out, &head);
		buf_clear(&head);
		if (x->verb != VERB_HEAD)
			out_take(&c->out, &x->reply);

		c->first = x->next;
		if (!c->first)
			c->last = &c->first;
		c->npending--;
		c->out_bodies -= x->held;
		if (!x->keep_alive)
			start_closing(c);
		c->progress_ms = c->now_ms;
		http_exchange_free(x);
	}
}

static void
enqueue(struct http_conn *c, struct http_exchange *x)
{
	x->conn = c;
	x->next = NULL;
	x->deadline_ms = c->now_ms + c->request_timeout_ms;
	*c->last = x;
	c->last = &x->next;
	c->npending++;
	x->held = x->body.n;
	c->out_bodies += x->held;
}

void
http_conn_answer(struct http_exchange *x)
{
	struct http_conn *c = x->conn;

	must(x->status != 0 && !x->answered);
	if (!c) {
		http_exchange_free(x);
		return;
	}
	x->answered = true;
	send_ready(c);
}

/* Ends the conversation with an error reply, behind the replies that are due. */
static void
refuse(struct http_conn *c, struct http_exchange *x, int http, const char *code, const char *text)
{
	if (!x) {
		x = http_exchange_new();
		x->verb = VERB_OTHER;
	}
	c->cur = NULL;
	x->keep_alive = false;
	x->cors = !c->site;
	http_reply_error(x, http, str_z(code), str_z(text));
	enqueue(c, x);
	c->closing = true;
	c->closing_ms = c->now_ms;
	http_conn_answer(x);
}

void
http_conn_refuse(struct http_conn *c, int http, const char *code, const char *text)
{
	if (!c->ws && !c->closing)
		refuse(c, c->cur, http, code, text);
	else
		c->dead = true;
}

/* --- from the parser --- */

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
	x->peer = arena_str(x->arena, c->peer);
	x->http_1_0 = c->parser.http_major == 1 && c->parser.http_minor == 0;
	x->keep_alive = http_should_keep_alive(&c->parser) != 0;
	split_url(x, str_of(base + c->url.at, c->url.n));
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

/* The body rule's consequences.  False: the request was refused. */
static bool
prepare_body(struct http_conn *c)
{
	struct http_exchange *x = c->cur;
	enum body_coding      coding = body_coding_of(http_header(x, "content-encoding"));
	bool length_known = !(c->parser.flags & F_CHUNKED) && c->parser.content_length != UINT64_MAX;
	bool has_body = (c->parser.flags & F_CHUNKED) || (length_known && c->parser.content_length > 0);

	if (!has_body)
		return true;
	if (coding == BODY_UNKNOWN && !c->rule.discard) {
		refuse(c, x, 415, "UnsupportedContentEncoding",
		    "Request bodies may be encoded with br, gzip or deflate");
		return false;
	}
	if (length_known && c->parser.content_length > c->rule.body_max) {
		refuse(c, x, c->rule.over_status, c->rule.over_code, c->rule.over_text);
		return false;
	}
	x->body.max = c->rule.body_max + 1; /* one more: the cap itself is allowed */
	if (coding != BODY_IDENTITY && !c->rule.discard)
		c->decoder = body_decoder_new(coding);
	else if (length_known && !c->rule.discard && c->parser.content_length <= 65536)
		(void)buf_reserve(&x->body, (size_t)c->parser.content_length);
	if (!x->http_1_0 && !c->first &&
	    str_eq_nocase(http_header(x, "expect"), S("100-continue")))
		out_add(&c->out, S("HTTP/1.1 100 Continue\r\n\r\n"));
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
		enqueue(c, x);
		start_closing(c);
		http_conn_answer(x);
		return -1;
	}
	if (c->rule.websocket && c->first) {
		refuse(c, x, 400, "ConnectionNotUpgradable",
		    "A WebSocket handshake cannot be pipelined behind other requests");
		return -1;
	}
	if (c->rule.websocket) {
		p->upgrade = 1;
		return 1;
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
	c->body_raw += n;
	if (c->rule.discard) {
		r = c->body_raw > c->rule.body_max ? BODY_TOO_LARGE : BODY_OK;
	} else if (c->decoder) {
		r = body_decoder_feed(c->decoder, str_of(at, n), &x->body);
	} else {
		buf_add(&x->body, str_of(at, n));
	}
	if (r == BODY_BROKEN) {
		refuse(c, x, 400, "BadRequestBody", "The compressed request body cannot be decoded");
		return 1;
	}
	if (r == BODY_TOO_LARGE || !buf_ok(&x->body) || x->body.n > c->rule.body_max) {
		refuse(c, x, c->rule.over_status, c->rule.over_code, c->rule.over_text);
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
ws_over(void *arg)
{
	struct http_conn *c = arg;

	start_closing(c);
	if (!c->ws_told_over) {
		c->ws_told_over = true;
		c->host.ws_over(c->host.arg);
	}
}

static void
upgrade(struct http_conn *c, struct http_exchange *x)
{
	const struct ws_host host = { c, ws_message, ws_over };
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

	body_decoder_free(c->decoder);
	c->decoder = NULL;
	if (cut) {
		refuse(c, x, 400, "BadRequestBody", "The compressed request body is incomplete");
		return 1;
	}
	c->cur = NULL;
	if (c->rule.websocket) {
		upgrade(c, x);
		return 0;
	}
	enqueue(c, x);
	if (!x->keep_alive)
		start_closing(c); /* nothing more is read; the reply still leaves */
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

	if (err == HPE_HEADER_OVERFLOW || c->head.overflow)
		refuse(c, c->cur, 431, "RequestHeaderFieldsTooLarge",
		    "The request line and headers are larger than 64 KiB or more than 128");
	else
		refuse(c, c->cur, 400, "BadRequest",
		    err == HPE_INVALID_TRANSFER_ENCODING ? "The Transfer-Encoding is not supported" : text);
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

void
http_conn_eof(struct http_conn *c)
{
	c->eof = true;
	if (c->ws && !c->ws_told_over)
		ws_over(c);
	start_closing(c);
	/* an HTTP client may close its half and still wait for replies */
	if (c->ws || !c->first)
		c->dead = true;
}

void
http_conn_drain(struct http_conn *c)
{
	if (c->ws)
		return;
	for (struct http_exchange *x = c->first; x; x = x->next)
		x->keep_alive = x->keep_alive && x->next;
	start_closing(c);
}

/* --- time --- */

/* The replies that are late become 408 (spec 01 section 11.1). */
static void
expire_requests(struct http_conn *c)
{
	for (struct http_exchange **at = &c->first; *at; at = &(*at)->next) {
		struct http_exchange *x = *at, *late;
		str                   origin = http_header(x, "origin");

		if (x->answered || c->now_ms < x->deadline_ms)
			continue;
		late = http_exchange_new();
		late->verb = x->verb;
		late->cors = x->cors;
		late->keep_alive = x->keep_alive;
		late->http_1_0 = x->http_1_0;
		if (origin.p) {
			late->headers = ARENA_NEW(late->arena, struct http_header);
			late->headers[0] = (struct http_header){ S("origin"),
				arena_str(late->arena, origin) };
			late->nheaders = 1;
		}
		http_reply_empty(late, 408);
		late->conn = c;
		late->answered = true;
		late->next = x->next;
		c->out_bodies -= x->held;
		*at = late;
		if (c->last == &x->next)
			c->last = &late->next;
		x->conn = NULL; /* its answerer frees it */
	}
	send_ready(c);
}

static bool
tick_ws(struct http_conn *c)
{
	if (!ws_open(c->ws))
		return c->now_ms - c->closing_ms < LINGER_MS;
	if (c->now_ms - c->read_ms >= WS_SILENCE_MS) {
		ws_close(c->ws, 1000, S("ClientDisconnected"));
		ws_over(c);
		return true;
	}
	if (c->now_ms - c->ping_ms >= WS_PING_MS) {
		c->ping_ms = c->now_ms;
		ws_ping(c->ws);
	}
	return true;
}

bool
http_conn_tick(struct http_conn *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	if (c->out.bytes > UNSENT_MAX)
		return false;
	if (c->ws)
		return tick_ws(c);
	expire_requests(c);
	if (c->out.bytes > 0)
		return now_ms - c->progress_ms < STALL_MS;
	if (c->first)
		return true;
	if (c->closing)
		return now_ms - c->closing_ms < LINGER_MS;
	if (c->in_head)
		return now_ms - c->head_ms < HEAD_MS;
	if (c->cur)
		return now_ms - c->progress_ms < STALL_MS;
	return now_ms - (c->read_ms > c->progress_ms ? c->read_ms : c->progress_ms) < IDLE_MS;
}

void *
http_conn_owner(const struct http_conn *c)
{
	return c->host.arg;
}

/* --- output --- */

void
http_conn_ws_send(struct http_conn *c, struct blob *text, bool mark)
{
	must(c->ws != NULL);
	if (!ws_open(c->ws)) {
		blob_unref(text);
		return;
	}
	ws_send(c->ws, text);
	if (mark)
		out_mark(&c->out);
}

void
http_conn_ws_close(struct http_conn *c, int code, str reason)
{
	must(c->ws != NULL);
	c->ws_told_over = true; /* whoever closes knows it */
	if (ws_open(c->ws))
		ws_close(c->ws, code, reason);
	start_closing(c);
}

size_t
http_conn_iov(struct http_conn *c, struct iovec *ret, size_t max)
{
	return out_iov(&c->out, ret, max);
}

size_t
http_conn_wrote(struct http_conn *c, size_t n, uint64_t now_ms)
{
	c->now_ms = now_ms;
	if (n > 0)
		c->progress_ms = now_ms;
	if (c->closing && c->out.bytes == n)
		c->closing_ms = now_ms; /* lingering begins when all is sent */
	return out_wrote(&c->out, n);
}

enum http_phase
http_conn_phase(const struct http_conn *c)
{
	if (c->dead)
		return HTTP_DEAD;
	if (!c->closing || c->first || c->out.bytes > 0)
		return HTTP_OPEN;
	if (c->eof || (c->ws && ws_finished(c->ws)))
		return HTTP_DEAD;
	return c->ws ? HTTP_OPEN : HTTP_LINGER;
}

bool
http_conn_wants_input(const struct http_conn *c)
{
	if (c->eof)
		return false;
	return c->npending < PIPELINE_MAX && c->out.bytes < UNSENT_PAUSE;
}

size_t
http_conn_held(const struct http_conn *c)
{
	return (c->cur ? c->cur->body.cap : 0) + c->out_bodies + c->out.bytes +
	    (c->ws ? ws_held(c->ws) : 0);
}

size_t
http_conn_unsent(const struct http_conn *c)
{
	return c->out.bytes;
}
