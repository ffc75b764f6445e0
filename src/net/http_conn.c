/* http_conn.c - one client connection without its socket: see http_conn.h.
 *
 * Complete requests (http_parse.c) join the queue of the connection and go to the host, streamed
 * ones behind their headers.  Answers may come in any order; they leave in the queue's.  Refusals
 * (bad syntax, too large) are requests too, answered at birth, so that they keep their place behind
 * earlier replies.
 *
 * Thread: the loop thread.  Memory: see http_conn.h.
 */
#include "base/mem.h"
#include "net/http_conn_int.h"

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

struct http_conn *
http_conn_new(const struct http_conn_opts *opts)
{
	struct http_conn *c = MEM_NEW(struct http_conn);

	c->host = opts->host;
	c->site = opts->site;
	c->npeer = opts->peer.n < PEER_MAX ? opts->peer.n : PEER_MAX;
	memcpy(c->peer, opts->peer.n ? opts->peer.p : "", c->npeer);
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

	conn_client_gone(c);
	conn_streams_forget(c);
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
	mem_free(c);
}

/* --- replies --- */

void
conn_start_closing(struct http_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	c->closing_ms = c->now_ms;
}

static void
send_head(struct http_conn *c, struct http_exchange *x)
{
	struct buf head;

	if (x->close || http_framing(x) == FRAME_CLOSE)
		x->keep_alive = false;
	buf_init(&head, BUF_MAX_DEFAULT);
	http_write_head(&head, x);
	out_take(&c->out, &head);
	buf_clear(&head);
	x->head_sent = true;
	c->progress_ms = c->now_ms;
	if (x->verb != VERB_HEAD)
		out_take(&c->out, &x->reply);
}

/* Sends the replies that are next in line. */
static void
send_ready(struct http_conn *c)
{
	while (c->first && c->first->answered && !c->cut) {
		struct http_exchange *x = c->first;

		if (!x->head_sent)
			send_head(c, x);
		if (x->download && !conn_download(c, x))
			return;
		conn_upload_unwanted(c, x);
		c->first = x->next;
		if (!c->first)
			c->last = &c->first;
		c->npending--;
		c->out_bodies -= x->held;
		if (!x->keep_alive)
			conn_start_closing(c);
		c->progress_ms = c->now_ms;
		http_exchange_free(x);
	}
}

void
http_conn_resume(struct http_conn *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	send_ready(c);
}

void
conn_enqueue(struct http_conn *c, struct http_exchange *x)
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
conn_continue(struct http_conn *c, const struct http_exchange *x)
{
	if (!x->http_1_0 && !c->first &&
	    str_eq_nocase(http_header(x, "expect"), S("100-continue")))
		out_add(&c->out, S("HTTP/1.1 100 Continue\r\n\r\n"));
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
void
conn_refuse(
    struct http_conn *c, struct http_exchange *x, int http, const char *code, const char *text)
{
	if (!x) {
		x = http_exchange_new();
		x->verb = VERB_OTHER;
	}
	c->cur = NULL;
	x->keep_alive = false;
	x->cors = !c->site;
	http_reply_error(x, http, str_z(code), str_z(text));
	conn_enqueue(c, x);
	c->closing = true;
	c->closing_ms = c->now_ms;
	http_conn_answer(x);
}

void
http_conn_refuse(struct http_conn *c, int http, const char *code, const char *text)
{
	if (c->streaming)
		conn_upload_fail(c, text);
	else if (!c->ws && !c->closing)
		conn_refuse(c, c->cur, http, code, text);
	else
		c->dead = true;
}

void
conn_ws_over(void *arg)
{
	struct http_conn *c = arg;

	conn_start_closing(c);
	if (!c->ws_told_over) {
		c->ws_told_over = true;
		c->host.ws_over(c->host.arg);
	}
}

void
http_conn_eof(struct http_conn *c)
{
	c->eof = true;
	conn_client_gone(c);
	if (c->ws && !c->ws_told_over)
		conn_ws_over(c);
	conn_start_closing(c);
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
	conn_start_closing(c);
}
/* --- time --- */

/* The replies that are late become 408 (spec 01 section 11.1). */
static void
expire_requests(struct http_conn *c)
{
	for (struct http_exchange **at = &c->first; *at; at = &(*at)->next) {
		struct http_exchange *x = *at, *late;
		str                   origin = http_header(x, "origin");

		if (x->answered || x->gone || c->now_ms < x->deadline_ms)
			continue; /* what streams has limits of its own */
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
		conn_ws_over(c);
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
	if (c->cur || c->streaming)
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
	conn_start_closing(c);
}

size_t
http_conn_iov(struct http_conn *c, struct iovec *ret, size_t max)
{
	return out_iov(&c->out, ret, max);
}

size_t
http_conn_wrote(struct http_conn *c, size_t n, uint64_t now_ms)
{
	size_t marks;

	c->now_ms = now_ms;
	if (n > 0)
		c->progress_ms = now_ms;
	if (c->closing && c->out.bytes == n)
		c->closing_ms = now_ms; /* lingering begins when all is sent */
	marks = out_wrote(&c->out, n);
	if (c->first && c->first->head_sent)
		send_ready(c); /* there is room for more of a stream */
	return marks;
}

enum http_phase
http_conn_phase(const struct http_conn *c)
{
	if (c->dead || (c->cut && c->out.bytes == 0))
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
	return c->npending < PIPELINE_MAX && c->out.bytes < UNSENT_PAUSE && !conn_upload_full(c);
}

size_t
http_conn_held(const struct http_conn *c)
{
	return (c->cur ? c->cur->body.cap : 0) + c->out_bodies + c->out.bytes +
	    conn_streams_held(c) + (c->ws ? ws_held(c->ws) : 0);
}

size_t
http_conn_unsent(const struct http_conn *c)
{
	return c->out.bytes;
}
