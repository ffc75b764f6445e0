/* http_stream_test.c - bodies that are streams, without a socket (spec 04 section 6.4). */
#include "test.h"

#include "base/mem.h"
#include "base/vec.h"
#include "net/http_conn.h"

/* A host that streams below "/s" and keeps every request for the test to answer; others are
 * answered at once. */
struct peer {
	struct http_conn *c;
	struct buf        sent; /* what the connection wrote */
	VEC(struct http_exchange *) held;
	bool              woken;
	uint64_t          now;
};

static void
head(void *arg, struct http_exchange *x, struct http_rule *ret)
{
	(void)arg;
	ret->body_max = 1 << 20;
	ret->stream = str_starts(x->path, S("/s"));
}

static void
request(void *arg, struct http_exchange *x)
{
	struct peer *p = arg;

	if (str_starts(x->path, S("/s")) && !str_eq(x->path, S("/s/now"))) {
		vec_push(&p->held, x);
		return;
	}
	http_reply_text(x, 200, x->path);
	http_conn_answer(x);
}

static void
ws_open(void *arg, const struct http_exchange *x)
{
	(void)arg;
	(void)x;
}

static void
ws_message(void *arg, struct buf *text)
{
	(void)arg;
	(void)text;
}

static void
ws_over(void *arg)
{
	(void)arg;
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
	buf_init(&p->sent, BUF_MAX_DEFAULT);
	p->now = 1000;
	p->c = http_conn_new(&(struct http_conn_opts){ .host = { p, head, request, ws_open,
	                                                   ws_message, ws_over, wake },
	    .now_ms = p->now });
}

static void
peer_close(struct peer *p)
{
	http_conn_free(p->c);
	vec_clear(&p->held);
	buf_clear(&p->sent);
}

/* The socket takes everything. */
static void
pump(struct peer *p)
{
	struct iovec iov[4];

	if (p->woken) {
		p->woken = false;
		http_conn_resume(p->c, p->now);
	}
	while (http_conn_iov(p->c, iov, 4) > 0) {
		buf_add(&p->sent, str_of(iov[0].iov_base, iov[0].iov_len));
		http_conn_wrote(p->c, iov[0].iov_len, p->now);
	}
}

static void
feed(struct peer *p, const char *bytes)
{
	http_conn_feed(p->c, str_z(bytes), p->now);
	pump(p);
}

static str
take_sent(struct peer *p, struct arena *a)
{
	str s;

	pump(p);
	s = arena_str(a, buf_str(&p->sent));
	buf_reset(&p->sent);
	return s;
}

/* The reply to a held request: a stream, which is the caller's. */
static struct stream *
reply(struct peer *p, size_t i, int http, int64_t length)
{
	struct http_exchange *x = p->held.v[i];
	struct stream        *s = stream_new();

	x->status = http;
	x->own_headers = true;
	x->extra_headers = S("x-a: b\r\n");
	x->download = stream_ref(s);
	x->length = length;
	http_conn_answer(x);
	return s;
}

static str
read_all(struct stream *s, struct arena *a, enum stream_state *ret)
{
	struct buf b;
	str        text;

	buf_init(&b, BUF_MAX_DEFAULT);
	while ((*ret = stream_read(s, &b, 1000)) == STREAM_DATA)
		;
	text = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return text;
}

/* A request is handed out behind its headers; its body follows as it comes, and only methods that
 * have one get a stream (spec 04 section 6.1). */
TEST(requests_stream)
{
	static const struct {
		const char *why, *head, *first, *rest;
		bool        stream;
		const char *body;
	} cases[] = {
		{ "a length", "POST /s HTTP/1.1\r\nContent-Length: 6\r\n\r\n", "abc", "def", true,
		    "abcdef" },
		{ "chunks", "PUT /s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n",
		    "2\r\nde\r\n0\r\n\r\n", true, "abcde" },
		{ "an empty body", "DELETE /s HTTP/1.1\r\n\r\n", "", "", true, "" },
		{ "none", "GET /s HTTP/1.1\r\n\r\n", "", "", false, "" },
		{ "sent for nothing", "GET /s HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "abc", "",
		    false, "" },
		{ "compressed bodies stay as they are",
		    "PATCH /s HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n",
		    "a", "bc", true, "abc" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena         *a = arena_new();
		struct http_exchange *x;
		struct stream        *body = NULL;
		struct peer           p;
		enum stream_state     st;

		peer_open(&p);
		feed(&p, cases[i].head);
		CHECK_EQ(p.held.n, 1);
		x = p.held.v[0];
		CHECK_EQ(x->upload != NULL, cases[i].stream);
		if (x->upload)
			body = stream_ref(x->upload);
		feed(&p, cases[i].first);
		feed(&p, cases[i].rest);
		if (body) {
			CHECK_STRZ(read_all(body, a, &st), cases[i].body);
			CHECK_EQ(st, STREAM_END);
		}
		http_reply_text(x, 200, S("ok"));
		http_conn_answer(x);
		feed(&p, "GET /next HTTP/1.1\r\n\r\n"); /* the connection goes on */
		CHECK(str_ends(take_sent(&p, a), S("/next")));
		stream_unref(body);
		peer_close(&p);
		arena_free(a);
	}
}

/* The socket is not read while the body's reader is behind, and is again when it is not. */
TEST(requests_wait_for_their_reader)
{
	char          *big = mem_zalloc(300000);
	struct arena  *a = arena_new();
	struct peer    p;
	struct buf     b;

	peer_open(&p);
	buf_init(&b, BUF_MAX_DEFAULT);
	feed(&p, "POST /s HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
	CHECK(http_conn_wants_input(p.c));
	http_conn_feed(p.c, str_of(big, 300000), p.now);
	CHECK(!http_conn_wants_input(p.c));
	CHECK(http_conn_held(p.c) >= 300000);
	p.now += 200000; /* it is not the client's fault */
	CHECK(http_conn_tick(p.c, p.now));
	CHECK(!p.woken);
	CHECK_EQ(stream_read(p.held.v[0]->upload, &b, 290000), STREAM_DATA);
	CHECK(p.woken);
	pump(&p);
	CHECK(http_conn_wants_input(p.c));
	http_reply_empty(p.held.v[0], 200);
	http_conn_answer(p.held.v[0]);
	peer_close(&p);
	buf_clear(&b);
	arena_free(a);
	mem_free(big);
}

/* Heads and pieces leave as they are written; how the end is told depends. */
TEST(replies_stream)
{
	static const struct {
		const char *why, *request;
		int         http;
		int64_t     length;
		const char *head, *body;
		bool        alive;
	} cases[] = {
		{ "chunks", "GET /s HTTP/1.1\r\n\r\n", 200, -1,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-a: b\r\n\r\n",
		    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", true },
		{ "an announced length", "GET /s HTTP/1.1\r\n\r\n", 200, 5,
		    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-a: b\r\n\r\n", "abcde", true },
		{ "HTTP/1.0", "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, -1,
		    "HTTP/1.1 200 OK\r\nx-a: b\r\nConnection: close\r\n\r\n", "abcde", false },
		{ "HEAD", "HEAD /s HTTP/1.1\r\n\r\n", 200, 5,
		    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-a: b\r\n\r\n", "", true },
		{ "HEAD, no length", "HEAD /s HTTP/1.1\r\n\r\n", 200, -1,
		    "HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", "", true },
		{ "a status without body", "GET /s HTTP/1.1\r\n\r\n", 204, -1,
		    "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", "", true },
		{ "another one", "GET /s HTTP/1.1\r\n\r\n", 304, 5,
		    "HTTP/1.1 304 Not Modified\r\nx-a: b\r\n\r\n", "", true },
		{ "close when asked", "GET /s HTTP/1.1\r\nConnection: close\r\n\r\n", 200, -1,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-a: b\r\n"
		    "Connection: close\r\n\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena  *a = arena_new();
		struct stream *s;
		struct peer    p;
		str            body, rest;

		peer_open(&p);
		feed(&p, cases[i].request);
		s = reply(&p, 0, cases[i].http, cases[i].length);
		CHECK_STRZ(take_sent(&p, a), cases[i].head);
		CHECK_EQ(stream_write(s, S("abc")), cases[i].body[0] != '\0');
		body = take_sent(&p, a);
		stream_write(s, S("de"));
		stream_end(s);
		CHECK(cases[i].body[0] == '\0' || body.n > 0); /* did not wait for the end */
		rest = take_sent(&p, a);
		body = arena_fmt(a, "%.*s%.*s", STR_ARG(body), STR_ARG(rest));
		CHECK_STRZ(body, cases[i].body);
		CHECK_EQ(http_conn_phase(p.c), cases[i].alive ? HTTP_OPEN : HTTP_LINGER);
		stream_unref(s);
		peer_close(&p);
		arena_free(a);
	}
}

/* A reply that breaks off behind its head breaks the connection: never a clean end. */
TEST(replies_break_off)
{
	static const struct {
		const char *why;
		int64_t     length;
		const char *write;
		bool        fail;
		const char *sent;
	} cases[] = {
		{ "the stream failed", -1, "abc", true, "3\r\nabc\r\n" },
		{ "before any byte", -1, "", true, "" },
		{ "less than announced", 5, "abc", false, "abc" },
		{ "more than announced", 2, "abc", false, "" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena  *a = arena_new();
		struct stream *s;
		struct peer    p;

		peer_open(&p);
		feed(&p, "GET /s HTTP/1.1\r\n\r\nGET /s/2 HTTP/1.1\r\n\r\n");
		s = reply(&p, 0, 200, cases[i].length);
		take_sent(&p, a);
		stream_write(s, str_z(cases[i].write));
		if (cases[i].fail)
			stream_fail(s, S("boom"));
		else
			stream_end(s);
		CHECK_STRZ(take_sent(&p, a), cases[i].sent);
		CHECK_EQ(http_conn_phase(p.c), HTTP_DEAD);
		http_reply_text(p.held.v[1], 200, S("x"));
		http_conn_answer(p.held.v[1]); /* no more of the others */
		CHECK_STRZ(take_sent(&p, a), "");
		stream_unref(s);
		peer_close(&p);
		arena_free(a);
	}
}

/* Pipelined: a later reply waits for the whole of the earlier one. */
TEST(order_is_kept)
{
	struct arena  *a = arena_new();
	struct stream *one, *two;
	struct peer    p;

	peer_open(&p);
	feed(&p, "POST /s/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /s/2 HTTP/1.1\r\n\r\n"
	         "GET /three HTTP/1.1\r\n\r\n");
	CHECK_EQ(p.held.n, 2);
	two = reply(&p, 1, 200, 1);
	stream_write(two, S("2"));
	stream_end(two);
	CHECK_STRZ(take_sent(&p, a), "");
	one = reply(&p, 0, 200, 1);
	stream_write(one, S("1"));
	CHECK(str_ends(take_sent(&p, a), S("\r\n\r\n1")));
	stream_end(one);
	CHECK(str_ends(take_sent(&p, a), S("/three")));
	CHECK_EQ(http_conn_phase(p.c), HTTP_OPEN);
	stream_unref(one);
	stream_unref(two);
	peer_close(&p);
	arena_free(a);
}

/* A reply that is complete before its request: a little more is read, a lot closes. */
TEST(early_replies)
{
	static const struct {
		const char *why;
		size_t      length;
		bool        alive;
	} cases[] = { { "a little", 100000, true }, { "a lot", 10000000, false } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena  *a = arena_new();
		char          *zeros = mem_zalloc(100000);
		struct stream *body;
		struct peer    p;
		size_t         left = cases[i].length;

		peer_open(&p);
		feed(&p, arena_fmt(a, "POST /s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
		             left).p);
		body = stream_ref(p.held.v[0]->upload);
		http_reply_text(p.held.v[0], 401, S("no"));
		http_conn_answer(p.held.v[0]);
		CHECK_EQ(stream_peek(body), STREAM_FAILED);
		for (; left > 0; left -= 100000)
			http_conn_feed(p.c, str_of(zeros, 100000), p.now);
		take_sent(&p, a);
		CHECK_EQ(http_conn_phase(p.c), cases[i].alive ? HTTP_OPEN : HTTP_LINGER);
		if (cases[i].alive) {
			feed(&p, "GET /next HTTP/1.1\r\n\r\n");
			CHECK(str_ends(take_sent(&p, a), S("/next")));
		}
		stream_unref(body);
		mem_free(zeros);
		peer_close(&p);
		arena_free(a);
	}
}

/* The client leaves: before the reply, in the middle of it, in the middle of its own body. */
TEST(clients_leave)
{
	struct arena     *a = arena_new();
	struct stream    *gone, *upload, *s;
	struct http_exchange *x;
	struct peer       p;
	enum stream_state st;

	peer_open(&p);
	feed(&p, "POST /s HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc");
	x = p.held.v[0];
	gone = stream_ref(x->gone);
	upload = stream_ref(x->upload);
	CHECK_EQ(stream_peek(gone), STREAM_EMPTY);
	http_conn_eof(p.c);
	CHECK_EQ(stream_peek(gone), STREAM_END);
	CHECK_STRZ(read_all(upload, a, &st), "abc");
	CHECK_EQ(st, STREAM_FAILED);
	peer_close(&p);
	CHECK(x->conn == NULL);
	http_reply_empty(x, 200);
	http_conn_answer(x); /* to nobody */
	stream_unref(gone);
	stream_unref(upload);

	peer_open(&p);
	feed(&p, "GET /s HTTP/1.1\r\n\r\n");
	gone = stream_ref(p.held.v[0]->gone);
	s = reply(&p, 0, 200, -1);
	CHECK(stream_write(s, S("abc")));
	peer_close(&p);
	CHECK_EQ(stream_peek(gone), STREAM_END);
	CHECK(!stream_write(s, S("def"))); /* nobody reads */
	stream_unref(gone);
	stream_unref(s);
	arena_free(a);
}

/* A finished exchange tells nobody that the client has left, though it leaves later. */
TEST(done_is_not_gone)
{
	struct arena  *a = arena_new();
	struct stream *gone, *s;
	struct peer    p;

	peer_open(&p);
	feed(&p, "GET /s HTTP/1.1\r\n\r\n");
	gone = stream_ref(p.held.v[0]->gone);
	s = reply(&p, 0, 200, -1);
	stream_end(s);
	take_sent(&p, a);
	http_conn_eof(p.c);
	peer_close(&p);
	CHECK_EQ(stream_peek(gone), STREAM_EMPTY);
	stream_unref(gone);
	stream_unref(s);
	arena_free(a);
}

/* Broken framing of a request that is already out fails its body and ends the connection behind
 * its reply, with no second one. */
TEST(broken_requests)
{
	struct arena     *a = arena_new();
	struct stream    *upload;
	struct peer       p;
	enum stream_state st;
	str               sent;
	size_t            at;

	peer_open(&p);
	feed(&p, "POST /s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
	upload = stream_ref(p.held.v[0]->upload);
	CHECK_STRZ(read_all(upload, a, &st), "abc");
	CHECK_EQ(st, STREAM_FAILED);
	CHECK_EQ(stream_peek(p.held.v[0]->gone), STREAM_EMPTY);
	http_reply_text(p.held.v[0], 200, S("ok"));
	http_conn_answer(p.held.v[0]);
	sent = take_sent(&p, a);
	CHECK(str_starts(sent, S("HTTP/1.1 200 OK\r\n")));
	CHECK(!str_find(str_from(sent, 10), S("HTTP/1.1"), &at));
	CHECK_EQ(http_conn_phase(p.c), HTTP_LINGER);
	stream_unref(upload);
	peer_close(&p);
	arena_free(a);
}

/* A client that wants to hear 100 Continue hears it; one that stops in the middle is given up
 * when nobody works on its request any more. */
TEST(patience)
{
	struct arena *a = arena_new();
	struct peer   p;

	peer_open(&p);
	feed(&p, "POST /s HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	CHECK_STRZ(take_sent(&p, a), "HTTP/1.1 100 Continue\r\n\r\n");
	p.now += 400000; /* longer than any request that does not stream may take */
	CHECK(http_conn_tick(p.c, p.now));
	CHECK_STRZ(take_sent(&p, a), "");
	http_reply_text(p.held.v[0], 200, S("ok"));
	http_conn_answer(p.held.v[0]);
	take_sent(&p, a);
	CHECK(http_conn_tick(p.c, p.now + 59000));
	CHECK(!http_conn_tick(p.c, p.now + 61000));
	peer_close(&p);
	arena_free(a);
}

/* Answered while it is handed out, its body yet to come. */
TEST(answered_at_once)
{
	struct arena *a = arena_new();
	struct peer   p;

	peer_open(&p);
	feed(&p, "POST /s/now HTTP/1.1\r\nContent-Length: 3\r\n\r\n");
	CHECK(str_ends(take_sent(&p, a), S("/s/now")));
	feed(&p, "abcPOST /s/now HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
	CHECK(str_ends(take_sent(&p, a), S("/s/now")));
	CHECK_EQ(http_conn_phase(p.c), HTTP_LINGER);
	feed(&p, "abc");
	peer_close(&p);
	arena_free(a);
}

/* What is not sent stays in the stream, but for a bound, and counts as held. */
TEST(slow_clients)
{
	char          *big = mem_zalloc(5 << 20);
	struct stream *s;
	struct peer    p;
	struct iovec   iov[4];

	peer_open(&p);
	feed(&p, "GET /s HTTP/1.1\r\n\r\n");
	s = reply(&p, 0, 200, -1);
	stream_write(s, str_of(big, 5 << 20));
	http_conn_resume(p.c, p.now);
	CHECK(http_conn_unsent(p.c) < (400 << 10));
	CHECK(http_conn_held(p.c) >= (5 << 20));
	CHECK(http_conn_iov(p.c, iov, 4) > 0);
	http_conn_wrote(p.c, 1, p.now);
	CHECK(!http_conn_tick(p.c, p.now + 61000)); /* stuck */
	stream_unref(s);
	peer_close(&p);
	mem_free(big);
}

TEST_RUN(T(requests_stream), T(requests_wait_for_their_reader), T(replies_stream),
    T(replies_break_off), T(order_is_kept), T(early_replies), T(clients_leave), T(done_is_not_gone),
    T(broken_requests), T(patience), T(answered_at_once), T(slow_clients))
