/* http_conn_test.c - requests and replies without a socket. */
#include "test.h"

#include <brotli/encode.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "net/http_conn.h"

/* A host that notes what it sees, answers at once or keeps the request, and knows the limits
 * by path: "/small" 10 bytes, "/skip" counted only, "/ws" a WebSocket. */
struct peer {
	struct http_conn *c;
	struct buf        seen;   /* "GET /path?query body\n" per request; "ws:text\n" */
	struct buf        sent;   /* what the connection wrote */
	bool              hold;   /* do not answer */
	bool              with_headers;
	VEC(struct http_exchange *) held;
	bool              ws_over, woken;
	uint64_t          now;
};

static const char *const verbs[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
	"OTHER" };

static void
head(void *arg, struct http_exchange *x, struct http_rule *ret)
{
	(void)arg;
	x->cors = true;
	ret->body_max = 1 << 20;
	if (str_eq(x->path, S("/small")))
		ret->body_max = 10;
	ret->discard = str_eq(x->path, S("/skip"));
	ret->websocket = str_eq(x->path, S("/ws"));
	ret->stream = str_starts(x->path, S("/stream"));
	if (str_eq(x->path, S("/refused")))
		http_reply_error(x, 403, S("No"), S("never"));
}

static void
request(void *arg, struct http_exchange *x)
{
	struct peer *p = arg;

	buf_fmt(&p->seen, "%s %.*s?%.*s ", verbs[x->verb], STR_ARG(x->path), STR_ARG(x->query));
	for (size_t i = 0; p->with_headers && i < x->nheaders; i++)
		buf_fmt(&p->seen, "[%.*s=%.*s]", STR_ARG(x->headers[i].name),
		    STR_ARG(x->headers[i].value));
	buf_add(&p->seen, buf_str(&x->body));
	buf_add_byte(&p->seen, '\n');
	if (p->hold) {
		vec_push(&p->held, x);
		return;
	}
	http_reply_text(x, 200, x->path);
	http_conn_answer(x);
}

static void
ws_open(void *arg, const struct http_exchange *x)
{
	struct peer *p = arg;

	buf_fmt(&p->seen, "open %.*s\n", STR_ARG(x->path));
}

static void
ws_message(void *arg, struct buf *text)
{
	struct peer *p = arg;

	buf_fmt(&p->seen, "ws:%.*s\n", STR_ARG(buf_str(text)));
}

static void
ws_over(void *arg)
{
	struct peer *p = arg;

	must(!p->ws_over);
	p->ws_over = true;
}

static void
wake(void *arg)
{
	struct peer *p = arg;

	p->woken = true;
}

static void
peer_open(struct peer *p)
{
	memset(p, 0, sizeof *p);
	buf_init(&p->seen, 1 << 24);
	buf_init(&p->sent, 1 << 24);
	p->now = 1000;
	p->c = http_conn_new(&(struct http_conn_opts){ .host = { p, head, request, ws_open,
	                                                   ws_message, ws_over, wake },
	    .now_ms = p->now });
}

static void
peer_close(struct peer *p)
{
	http_conn_free(p->c);
	for (size_t i = 0; i < p->held.n; i++)
		http_exchange_free(p->held.v[i]);
	vec_clear(&p->held);
	buf_clear(&p->seen);
	buf_clear(&p->sent);
}

static size_t
pump(struct peer *p)
{
	struct iovec iov[4];
	size_t       marks = 0, n;

	while ((n = http_conn_iov(p->c, iov, 4)) > 0) {
		buf_add(&p->sent, str_of(iov[0].iov_base, iov[0].iov_len));
		marks += http_conn_wrote(p->c, iov[0].iov_len, p->now);
	}
	return marks;
}

static void
feed(struct peer *p, str bytes)
{
	http_conn_feed(p->c, bytes, p->now);
	pump(p);
}

static bool
sent_has(struct peer *p, const char *text)
{
	size_t at;

	return str_find(buf_str(&p->sent), str_z(text), &at);
}

#define OK_REPLY(path, n)                                                                          \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " n         \
	"\r\n\r\n" path

/* Requests that are understood, whole and cut at every byte. */
TEST(requests_survive_any_cut)
{
	const struct {
		const char *why, *in, *seen;
	} rows[] = {
		{ "plain", "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b=c \n" },
		{ "body", "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
		    "POST /a? hello\n" },
		{ "empty body", "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "POST /a? \n" },
		{ "chunks",
		    "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n"
		    "0123456789\r\n0\r\nTrailer: x\r\n\r\n",
		    "POST /a? abc0123456789\n" },
		{ "pipelined",
		    "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"
		    "GET /3 HTTP/1.1\r\n\r\n",
		    "GET /1? \nPOST /2? x\nGET /3? \n" },
		{ "absolute form", "GET http://h:1/p?q HTTP/1.1\r\n\r\n", "GET /p?q \n" },
		{ "no path", "GET http://h HTTP/1.1\r\n\r\n", "GET /? \n" },
		{ "fragment", "GET /p?q#f HTTP/1.1\r\n\r\n", "GET /p?q \n" },
		{ "query with a question mark", "GET /p?a=?&b HTTP/1.1\r\n\r\n",
		    "GET /p?a=?&b \n" },
		{ "h2c is not for us",
		    "GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
		    "GET /b HTTP/1.1\r\n\r\n",
		    "GET /a? \nGET /b? \n" },
		{ "h2c with a body",
		    "POST /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
		    "Content-Length: 2\r\n\r\nhi",
		    "POST /a? hi\n" },
		{ "skipped body",
		    "POST /skip HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n",
		    "POST /skip? \nGET /b? \n" },
		{ "empty lines before", "\r\n\r\nGET /a HTTP/1.1\r\n\r\n", "GET /a? \n" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		str in = str_z(rows[i].in);

		fprintf(stderr, "  %s\n", rows[i].why);
		for (size_t cut = 0; cut <= in.n; cut++) {
			struct peer p;

			peer_open(&p);
			feed(&p, str_head(in, cut));
			feed(&p, str_from(in, cut));
			CHECK_STRZ(buf_str(&p.seen), rows[i].seen);
			CHECK_EQ(http_conn_phase(p.c), HTTP_OPEN);
			peer_close(&p);
		}
		{
			struct peer p;

			peer_open(&p);
			for (size_t k = 0; k < in.n; k++)
				feed(&p, str_of(in.p + k, 1));
			CHECK_STRZ(buf_str(&p.seen), rows[i].seen);
			peer_close(&p);
		}
	}
}

/* Header names are lower case, values are trimmed by the parser, 8-bit bytes pass. */
TEST(headers_arrive)
{
	struct peer p;

	peer_open(&p);
	p.with_headers = true;
	feed(&p, S("GET /a HTTP/1.1\r\nHoSt:  x y \r\nX-Empty:\r\nA: \xc3\xa9\r\n\r\n"));
	CHECK_STRZ(buf_str(&p.seen), "GET /a? [host=x y][x-empty=][a=\xc3\xa9]\n");
	peer_close(&p);
}

/* Bad input gets a clear status, the connection closes behind it, and nothing after it is
 * looked at. */
TEST(bad_requests_are_refused)
{
	struct {
		const char *why;
		str         in;
		const char *status, *code;
	} rows[] = {
		{ "no HTTP", S("hello\r\n\r\n"), "400 Bad Request", "BadRequest" },
		{ "unknown method", S("PRI * HTTP/2.0\r\n\r\n"), "400 Bad Request", "BadRequest" },
		{ "control byte in a header", S("GET / HTTP/1.1\r\nA\x01: b\r\n\r\n"),
		    "400 Bad Request", "BadRequest" },
		{ "two lengths",
		    S("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		    "400 Bad Request", "BadRequest" },
		{ "length and chunks",
		    S("POST / HTTP/1.1\r\nContent-Length: 1\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		    "400 Bad Request", "BadRequest" },
		{ "bad chunk size",
		    S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		    "400 Bad Request", "BadRequest" },
		{ "negative length", S("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
		    "400 Bad Request", "BadRequest" },
		{ "length too large", S("POST /small HTTP/1.1\r\nContent-Length: 11\r\n\r\n"),
		    "413 Payload Too Large", "PayloadTooLarge" },
		{ "chunks too large",
		    S("POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "b\r\n12345678901\r\n0\r\n\r\n"),
		    "413 Payload Too Large", "PayloadTooLarge" },
		{ "refused by its head", S("POST /refused HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
		    "403 Forbidden", "No" },
		{ "unknown encoding",
		    S("POST / HTTP/1.1\r\nContent-Encoding: zstd\r\n"
		      "Content-Length: 1\r\n\r\nx"),
		    "415 Unsupported Media Type", "UnsupportedContentEncoding" },
		{ "no gzip",
		    S("POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: "
		      "5\r\n\r\nhello"),
		    "400 Bad Request", "BadRequestBody" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct peer p;

		fprintf(stderr, "  %s\n", rows[i].why);
		peer_open(&p);
		feed(&p, rows[i].in);
		feed(&p, S("GET /after HTTP/1.1\r\n\r\n"));
		CHECK(str_starts(buf_str(&p.sent), S("HTTP/1.1 ")));
		CHECK(sent_has(&p, rows[i].status));
		CHECK(sent_has(&p, rows[i].code));
		CHECK(sent_has(&p, "Connection: close\r\n"));
		CHECK_EQ(p.seen.n, 0);
		CHECK_EQ(http_conn_phase(p.c), HTTP_LINGER);
		peer_close(&p);
	}
}

/* 64 KiB of head or 128 headers are enough. */
TEST(heads_are_bounded)
{
	for (int many = 0; many < 2; many++) {
		struct peer p;

		peer_open(&p);
		feed(&p, S("GET / HTTP/1.1\r\n"));
		for (int i = 0; i < 3000 && p.sent.n == 0; i++)
			feed(&p, many ? S("a: b\r\n")
				      : S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
		CHECK(sent_has(&p, "HTTP/1.1 431 Request Header Fields Too Large\r\n"));
		peer_close(&p);
	}
}

/* Replies leave in the order of the requests, whatever the order of the answers. */
TEST(replies_keep_their_order)
{
	struct peer p;

	peer_open(&p);
	p.hold = true;
	feed(&p, S("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n"));
	CHECK_EQ(p.held.n, 3);
	for (size_t i = 3; i-- > 0;) {
		http_reply_text(p.held.v[i], 200, p.held.v[i]->path);
		http_conn_answer(p.held.v[i]);
		pump(&p);
		CHECK_EQ(p.sent.n > 0, i == 0);
	}
	p.held.n = 0;
	CHECK_STRZ(buf_str(&p.sent), OK_REPLY("/1", "2") OK_REPLY("/2", "2") OK_REPLY("/3", "2"));
	peer_close(&p);
}

/* A connection that is gone frees what is answered later. */
TEST(answers_outlive_their_connection)
{
	struct peer           p;
	struct http_exchange *x;

	peer_open(&p);
	p.hold = true;
	feed(&p, S("GET /1 HTTP/1.1\r\n\r\n"));
	x = p.held.v[0];
	p.held.n = 0;
	peer_close(&p);
	CHECK(x->conn == NULL);
	http_reply_text(x, 200, S("late"));
	http_conn_answer(x);
}

/* keep-alive and close as HTTP/1.1 and 1.0 have them. */
TEST(connections_close_when_asked)
{
	const struct {
		const char *in, *header;
		bool        closes;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "", false },
		{ "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "Connection: close\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", "Connection: close\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n",
		    false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct peer p;

		peer_open(&p);
		feed(&p, str_z(rows[i].in));
		feed(&p, S("GET /second HTTP/1.1\r\n\r\n"));
		CHECK(sent_has(&p, rows[i].header));
		CHECK_EQ(sent_has(&p, "/second"), !rows[i].closes);
		CHECK_EQ(http_conn_phase(p.c), rows[i].closes ? HTTP_LINGER : HTTP_OPEN);
		peer_close(&p);
	}
}

/* HEAD has the length but not the body; 100-continue is said once, before the body. */
TEST(head_and_continue)
{
	struct peer p;

	peer_open(&p);
	feed(&p, S("HEAD /abc HTTP/1.1\r\n\r\n"));
	CHECK(str_ends(buf_str(&p.sent), S("Content-Length: 4\r\n\r\n")));
	buf_reset(&p.sent);
	feed(&p, S("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	CHECK_STRZ(buf_str(&p.sent), "HTTP/1.1 100 Continue\r\n\r\n");
	feed(&p, S("hi"));
	CHECK(str_ends(buf_str(&p.sent), S(OK_REPLY("/a", "2"))));
	buf_reset(&p.sent);
	feed(&p, S("POST /small HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"));
	CHECK(str_starts(buf_str(&p.sent), S("HTTP/1.1 413 ")));
	peer_close(&p);
}

/* Every reply with an Origin has the headers that browsers need, errors and 408s too. */
TEST(cors_on_every_reply) /* 01 checklist 50 */
{
	static const char *const want = "Access-Control-Allow-Origin: http://app.example\r\n"
	    "Access-Control-Allow-Credentials: true\r\n"
	    "Vary: origin, access-control-request-method, access-control-request-headers\r\n";
	struct peer p;

	peer_open(&p);
	feed(&p, S("GET / HTTP/1.1\r\nOrigin: http://app.example\r\n\r\n"));
	CHECK(sent_has(&p, want));
	buf_reset(&p.sent);
	p.hold = true;
	feed(&p, S("GET / HTTP/1.1\r\nOrigin: http://app.example\r\n\r\n"));
	p.now += 300000;
	CHECK(http_conn_tick(p.c, p.now));
	pump(&p);
	CHECK(str_starts(
	    buf_str(&p.sent), S("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n")));
	CHECK(sent_has(&p, want));
	CHECK(p.held.v[0]->conn == NULL);
	buf_reset(&p.sent);
	feed(&p,
	    S("POST /small HTTP/1.1\r\nOrigin: http://app.example\r\nContent-Length: 11\r\n\r\n"));
	CHECK(sent_has(&p, "HTTP/1.1 413"));
	CHECK(sent_has(&p, want));
	peer_close(&p);
}

/* Nobody keeps a connection for ever: idle, in the head, in the body, lingering. */
TEST(waits_end)
{
	const struct {
		const char *in;
		uint64_t    alive_ms, dead_ms;
	} rows[] = {
		{ "", 119000, 121000 },
		{ "GET / HT", 29000, 31000 },
		{ "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 59000, 61000 },
		{ "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 4000, 6000 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct peer p;

		peer_open(&p);
		feed(&p, str_z(rows[i].in));
		CHECK(http_conn_tick(p.c, p.now + rows[i].alive_ms));
		CHECK(!http_conn_tick(p.c, p.now + rows[i].dead_ms));
		peer_close(&p);
	}
}

/* A peer that sends without reading replies is not read for ever. */
TEST(pipelining_is_bounded)
{
	struct peer p;

	peer_open(&p);
	p.hold = true;
	for (int i = 0; i < 31; i++)
		feed(&p, S("GET / HTTP/1.1\r\n\r\n"));
	CHECK(http_conn_wants_input(p.c));
	feed(&p, S("GET / HTTP/1.1\r\n\r\n"));
	CHECK(!http_conn_wants_input(p.c));
	peer_close(&p);
}

/* --- compressed bodies --- */

static str
brotli(struct buf *out, str plain)
{
	size_t n = out->max;

	assert_true(BrotliEncoderCompress(4, 22, BROTLI_MODE_TEXT, plain.n,
	    (const uint8_t *)plain.p, &n, (uint8_t *)buf_reserve(out, out->max)));
	out->n = n;
	return buf_str(out);
}

/* window_bits: 31 gzip, 15 zlib, -15 raw deflate */
static str
deflated(struct buf *out, str plain, int window_bits)
{
	z_stream z;

	memset(&z, 0, sizeof z);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)plain.p;
	z.avail_in = (unsigned)plain.n;
	z.next_out = (unsigned char *)buf_reserve(out, out->max);
	z.avail_out = (unsigned)out->max;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->n = out->max - z.avail_out;
	deflateEnd(&z);
	return buf_str(out);
}

static void
send_encoded(struct peer *p, const char *path, const char *coding, str body, size_t step)
{
	struct buf h;

	buf_init(&h, 4096);
	buf_fmt(&h, "POST %s HTTP/1.1\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", path,
	    coding, body.n);
	feed(p, buf_str(&h));
	for (size_t i = 0; i < body.n; i += step)
		feed(p, str_head(str_from(body, i), step));
	buf_clear(&h);
}

/* br, gzip and deflate, in pieces of any size; cut and overlong streams are refused. */
TEST(compressed_bodies) /* 02 checklist 3 */
{
	const struct {
		const char *coding;
		int         window_bits; /* 0: brotli */
	} rows[] = { { "br", 0 }, { "gzip", 31 }, { "deflate", 15 }, { "deflate", -15 } };
	struct buf plain, packed;

	buf_init(&plain, 1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_fmt(&plain, "line %d\n", i);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		static const size_t steps[] = { 1, 7, 1000, 1 << 20 };
		str                 body;

		buf_init(&packed, 1 << 18);
		body = rows[i].window_bits ? deflated(&packed, buf_str(&plain), rows[i].window_bits)
					   : brotli(&packed, buf_str(&plain));
		for (size_t k = 0; k < COUNT_OF(steps); k++) {
			struct peer p;

			peer_open(&p);
			send_encoded(&p, "/a", rows[i].coding, body, steps[k]);
			CHECK(str_starts(buf_str(&p.seen), S("POST /a? line 0\n")));
			CHECK_EQ(p.seen.n, 9 + plain.n + 1);
			peer_close(&p);
		}
		{
			struct peer p;

			peer_open(&p);
			send_encoded(&p, "/a", rows[i].coding, str_head(body, body.n - 9), 1 << 20);
			CHECK(sent_has(&p, "HTTP/1.1 400"));
			peer_close(&p);
			peer_open(&p);
			send_encoded(&p, "/small", rows[i].coding, str_head(body, 9), 1 << 20);
			peer_close(&p);
		}
		buf_clear(&packed);
	}
	buf_clear(&plain);
}

/* The cap counts what comes out of a body, not what goes in. */
TEST(bombs_are_stopped) /* 02 checklist 3 */
{
	struct buf zeros, packed;

	buf_init(&zeros, 8 << 20);
	memset(buf_reserve(&zeros, 8 << 20), 0, 8 << 20);
	zeros.n = 8 << 20;
	for (int gzip = 0; gzip < 2; gzip++) {
		struct peer p;
		str         body;

		buf_init(&packed, 1 << 18);
		body = gzip ? deflated(&packed, buf_str(&zeros), 31)
			    : brotli(&packed, buf_str(&zeros));
		CHECK(body.n < 10000);
		peer_open(&p);
		send_encoded(&p, "/a", gzip ? "gzip" : "br", body, 1 << 20);
		CHECK(sent_has(&p, "HTTP/1.1 413"));
		CHECK_EQ(p.seen.n, 0);
		CHECK(http_conn_held(p.c) < (4 << 20));
		peer_close(&p);
		buf_clear(&packed);
	}
	buf_clear(&zeros);
}

/* --- WebSocket over it --- */

#define HANDSHAKE "GET /ws HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* The handshake of RFC 6455, a first ping at once, and frames that come with the handshake. */
TEST(upgrade)
{
	static const char *const reply =
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	str in = S(HANDSHAKE "\x81\x85" "\0\0\0\0" "hello");

	for (size_t cut = 0; cut <= in.n; cut++) {
		struct peer p;

		peer_open(&p);
		feed(&p, str_head(in, cut));
		feed(&p, str_from(in, cut));
		CHECK_STRZ(buf_str(&p.seen), "open /ws\nws:hello\n");
		CHECK(str_starts(buf_str(&p.sent), str_z(reply)));
		CHECK_STR(str_from(buf_str(&p.sent), strlen(reply)), S("\x89\x00"));
		peer_close(&p);
	}
}

/* Ping frames every 5 s; 120 s without a byte from the client end it with 1000. */
TEST(ws_liveness) /* 01 checklist 29 */
{
	struct peer p;
	size_t      pings = 0;

	peer_open(&p);
	feed(&p, S(HANDSHAKE));
	buf_reset(&p.sent);
	for (int s = 1; s < 120; s++) {
		p.now += 1000;
		CHECK(http_conn_tick(p.c, p.now));
		pump(&p);
	}
	for (size_t i = 0; i + 1 < p.sent.n; i += 2) {
		CHECK_STR(str_of(p.sent.p + i, 2), S("\x89\x00"));
		pings++;
	}
	CHECK_EQ(pings, 23); /* 5 s to 115 s */
	CHECK(!p.ws_over);
	buf_reset(&p.sent);
	p.now += 1000;
	CHECK(http_conn_tick(p.c, p.now));
	pump(&p);
	CHECK(p.ws_over);
	CHECK_STR(buf_str(&p.sent), S("\x88\x14\x03\xe8" "ClientDisconnected"));
	CHECK(!http_conn_tick(p.c, p.now + 6000));
	peer_close(&p);
}

/* Marks are reported when the bytes before them have left, not earlier. */
TEST(marks_follow_their_frames)
{
	struct peer  p;
	struct buf   big;
	struct iovec iov[8];
	size_t       n;

	peer_open(&p);
	feed(&p, S(HANDSHAKE));
	buf_init(&big, 1 << 20);
	memset(buf_reserve(&big, 100000), 'x', 100000);
	big.n = 100000;
	http_conn_ws_send(p.c, blob_new(S("small")), true);
	http_conn_ws_send(p.c, blob_new(buf_str(&big)), true);
	http_conn_ws_send(p.c, blob_new(S("tail")), false);
	buf_clear(&big);
	n = http_conn_iov(p.c, iov, 8);
	CHECK(n >= 2);
	CHECK_EQ(http_conn_wrote(p.c, 6, p.now), 0);
	CHECK_EQ(http_conn_wrote(p.c, 1, p.now), 1); /* head 2, "small" 5 */
	CHECK_EQ(http_conn_wrote(p.c, 100009, p.now), 0);
	CHECK_EQ(http_conn_wrote(p.c, 1, p.now), 1);
	CHECK_EQ(pump(&p), 0);
	CHECK(str_ends(buf_str(&p.sent), S("\x81\x04tail")));
	peer_close(&p);
}

/* We close: our frame goes out, data is ignored, the peer's close ends it. */
TEST(closing_from_our_side)
{
	struct peer p;

	peer_open(&p);
	feed(&p, S(HANDSHAKE));
	buf_reset(&p.sent);
	http_conn_ws_close(p.c, 1013, S("Overloaded"));
	http_conn_ws_send(p.c, blob_new(S("never")), true);
	feed(&p, S("\x81\x81" "\0\0\0\0" "x"));
	CHECK_STR(buf_str(&p.sent), S("\x88\x0c\x03\xf5" "Overloaded"));
	CHECK_EQ(http_conn_phase(p.c), HTTP_OPEN);
	feed(&p, S("\x88\x80" "\0\0\0\0"));
	CHECK_EQ(http_conn_phase(p.c), HTTP_DEAD);
	CHECK(!p.ws_over);
	CHECK_STRZ(buf_str(&p.seen), "open /ws\n");
	peer_close(&p);
}

/* The peer closes, or vanishes: told once. */
TEST(closing_from_their_side)
{
	struct peer p;

	peer_open(&p);
	feed(&p, S(HANDSHAKE));
	buf_reset(&p.sent);
	feed(&p, S("\x88\x82" "\0\0\0\0" "\x03\xe9"));
	CHECK(p.ws_over);
	CHECK_STR(buf_str(&p.sent), S("\x88\x02\x03\xe9"));
	CHECK_EQ(http_conn_phase(p.c), HTTP_DEAD);
	http_conn_eof(p.c);
	peer_close(&p);

	peer_open(&p);
	feed(&p, S(HANDSHAKE));
	http_conn_eof(p.c);
	CHECK(p.ws_over);
	CHECK_EQ(http_conn_phase(p.c), HTTP_DEAD);
	peer_close(&p);
}

TEST_RUN(T(requests_survive_any_cut), T(headers_arrive), T(bad_requests_are_refused),
    T(heads_are_bounded), T(replies_keep_their_order), T(answers_outlive_their_connection),
    T(connections_close_when_asked), T(head_and_continue), T(cors_on_every_reply), T(waits_end),
    T(pipelining_is_bounded), T(compressed_bodies), T(bombs_are_stopped), T(upgrade),
    T(ws_liveness), T(marks_follow_their_frames), T(closing_from_our_side),
    T(closing_from_their_side))
