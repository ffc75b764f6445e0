/* fetch_test.c - the HTTP client against servers that do what they should, and that do not. */
#include "test.h"

#include <stdlib.h>
#include <zlib.h>

#include "fetch/fetch.h"
#include "os/os.h"
#include "peer.h"

/* --- a request and what came of it --- */

struct call {
	pthread_mutex_t  lock;
	pthread_cond_t   cond;
	int              told;   /* calls of `done` */
	bool             failed, news, empty;
	int              status;
	str              status_text;
	struct buf       headers; /* "name: value\n" */
	struct buf       body, why;
	struct stream   *stream;
	struct transfer *transfer;
};

static struct fetch *client;
static struct peer  *server;

static void
on_done(void *arg, const struct fetch_response *r, const struct err *e)
{
	struct call *c = arg;

	MUTEX_GUARD(&c->lock);
	c->told++;
	if (r) {
		c->status = r->status;
		c->status_text = r->status_text;
		c->empty = r->empty;
		for (size_t i = 0; i < r->nheaders; i++)
			buf_fmt(&c->headers, "%.*s: %.*s\n", STR_ARG(r->headers[i].name),
			    STR_ARG(r->headers[i].value));
		c->stream = stream_ref(r->body);
	} else {
		c->failed = true;
		buf_add(&c->why, e->text);
	}
	pthread_cond_broadcast(&c->cond);
}

static void
on_news(void *arg)
{
	struct call *c = arg;

	MUTEX_GUARD(&c->lock);
	c->news = true;
	pthread_cond_broadcast(&c->cond);
}

static void
call_init(struct call *c)
{
	*c = (struct call){ .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
	buf_init(&c->headers, BUF_MAX_DEFAULT);
	buf_init(&c->body, BUF_MAX_DEFAULT);
	buf_init(&c->why, BUF_MAX_DEFAULT);
}

static void
call_clear(struct call *c)
{
	if (c->stream)
		stream_close(c->stream);
	stream_unref(c->stream);
	fetch_release(c->transfer);
	buf_clear(&c->headers);
	buf_clear(&c->body);
	buf_clear(&c->why);
}

static void
call_start(struct call *c, struct fetch_request *r, const char *path)
{
	char url[128];

	call_init(c);
	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server->port, path);
	r->url = str_z(url);
	if (!r->method.p)
		r->method = S("GET");
	c->transfer = fetch_start(client, r, on_done, c);
	memset(url, 'x', sizeof url); /* everything was copied */
}

static void
call_head(struct call *c)
{
	MUTEX_GUARD(&c->lock);
	while (!c->told)
		pthread_cond_wait(&c->cond, &c->lock);
}

/* Reads at least `n` bytes of the body, or to its end. */
static enum stream_state
call_read(struct call *c, size_t n)
{
	while (c->body.n < n) {
		enum stream_state st = stream_read(c->stream, &c->body, 65536);

		if (st == STREAM_FAILED)
			buf_add(&c->why, stream_error(c->stream));
		if (st == STREAM_END || st == STREAM_FAILED)
			return st;
		if (st == STREAM_DATA)
			continue;
		c->news = false;
		stream_when_ready(c->stream, on_news, c);
		MUTEX_GUARD(&c->lock);
		while (!c->news)
			pthread_cond_wait(&c->cond, &c->lock);
	}
	return STREAM_DATA;
}

/* The whole of it. */
static void
call_run(struct call *c, struct fetch_request *r, const char *path)
{
	call_start(c, r, path);
	call_head(c);
	if (!c->failed)
		c->failed = call_read(c, SIZE_MAX) == STREAM_FAILED;
}

/* --- pages --- */

static bool
reply(struct peer_conn *c, const char *text)
{
	return peer_send(c, str_z(text));
}

static bool
page_hello(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 200 Sure\r\nContent-Length: 5\r\n\r\nhello");
}

/* The request's body; false: it did not come whole. */
static bool
request_body(struct peer_conn *c, struct buf *body)
{
	struct buf line;
	size_t     at, n = 1;
	bool       ok = true;

	if (str_find(c->head, S("Content-Length: "), &at))
		return peer_read(c, strtoul(c->head.p + at + 16, NULL, 10), body);
	if (!str_find(c->head, S("Transfer-Encoding: chunked"), &at))
		return true;
	buf_init(&line, 65536);
	while (ok && n > 0) {
		buf_reset(&line);
		ok = peer_line(c, &line);
		buf_add_byte(&line, 0);
		n = strtoul(line.p, NULL, 16);
		ok = ok && peer_read(c, n + 2, body);
		body->n -= ok ? 2 : 0;
	}
	buf_clear(&line);
	return ok;
}

/* Answers with the request's head and body as they came. */
static bool
page_echo(struct peer_conn *c)
{
	struct buf body, out;
	bool       ok;

	buf_init(&body, BUF_MAX_DEFAULT);
	buf_init(&out, BUF_MAX_DEFAULT);
	ok = request_body(c, &body);
	if (ok) {
		buf_fmt(&out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
		    c->head.n + body.n);
		buf_add(&out, c->head);
		buf_add(&out, buf_str(&body));
		peer_send(c, buf_str(&out));
	}
	buf_clear(&out);
	buf_clear(&body);
	return ok;
}

static bool
page_headers(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	                "HTTP/1.1 201 Made up\r\nSet-Cookie: a=1\r\nX-Two:  b \r\n"
	                "Set-Cookie: c=\xe9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n");
}

static bool
page_strange_status(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n");
}

static bool
page_no_content(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 204 No Content\r\n\r\n");
}

static bool
page_redirect(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
}

static bool
page_trickle(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		reply(c, "3\r\nabc\r\n");
		usleep(20000);
	}
	return reply(c, "0\r\nX-Trailer: y\r\n\r\n");
}

static bool
page_reset(struct peer_conn *c)
{
	struct linger hard = { 1, 0 };

	reply(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
	usleep(50000);
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	return false;
}

static bool
page_short(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
	return false;
}

static bool
page_close(struct peer_conn *c)
{
	(void)c;
	return false;
}

static bool
page_garbage(struct peer_conn *c)
{
	reply(c, "SMTP 220 hello\r\n\r\n");
	return false;
}

static bool
page_bad_chunk(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
	return false;
}

static bool
page_huge_head(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 10000; i++) {
		if (!reply(c, "X-Header: 0123456789012345678901234567890123456789\r\n"))
			return false;
	}
	reply(c, "Content-Length: 0\r\n\r\n");
	return true;
}

static bool
page_until_close(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\n\r\nthe rest");
	return false;
}

static bool
page_never(struct peer_conn *c)
{
	while (peer_more(c))
		;
	return false;
}

static bool
page_silent_body(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
	return page_never(c);
}

static bool
page_endless(struct peer_conn *c)
{
	static const char block[65536];

	reply(c, "HTTP/1.1 200 OK\r\n\r\n");
	while (peer_send(c, str_of(block, sizeof block)))
		;
	return false;
}

/* Sends each piece of the request's body back at once. */
static bool
page_duplex(struct peer_conn *c)
{
	struct buf line;
	size_t     n;

	reply(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	buf_init(&line, 65536);
	do {
		buf_reset(&line);
		if (!peer_line(c, &line))
			break;
		buf_add_byte(&line, 0);
		n = strtoul(line.p, NULL, 16);
		line.n--;
		buf_addz(&line, "\r\n");
		must(peer_read(c, n + 2, &line));
		peer_send(c, buf_str(&line));
	} while (n > 0);
	buf_clear(&line);
	return true;
}

static void
gzip(struct buf *out, size_t zeros, size_t members)
{
	static const char block[65536];

	for (size_t m = 0; m < members; m++) {
		z_stream z = { 0 };

		must(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
		for (size_t left = zeros; left > 0 || z.avail_in > 0;) {
			size_t n = left < sizeof block ? left : sizeof block;

			z.next_in = (Bytef *)(uintptr_t)block;
			z.avail_in = (uInt)n;
			left -= n;
			do {
				z.next_out = (Bytef *)buf_reserve(out, 65536);
				z.avail_out = 65536;
				deflate(&z, left > 0 ? Z_NO_FLUSH : Z_FINISH);
				out->n += 65536 - z.avail_out;
			} while (z.avail_out == 0);
		}
		deflateEnd(&z);
	}
}

static bool
send_gzip(struct peer_conn *c, size_t zeros, size_t members, size_t cut, str behind)
{
	struct buf b;
	char       head[128];
	bool       ok;

	buf_init(&b, BUF_MAX_DEFAULT);
	gzip(&b, zeros, members);
	b.n -= cut;
	buf_add(&b, behind);
	snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", b.n);
	reply(c, head);
	ok = peer_send(c, buf_str(&b));
	buf_clear(&b);
	return ok;
}

static bool
page_gzip(struct peer_conn *c)
{
	return send_gzip(c, 100000, 2, 0, S("garbage"));
}

static bool
page_gzip_cut(struct peer_conn *c)
{
	return send_gzip(c, 100000, 1, 9, STR_EMPTY);
}

static bool
page_gzip_broken(struct peer_conn *c)
{
	return reply(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
	                "nope");
}

static bool
page_bomb(struct peer_conn *c)
{
	return send_gzip(c, (size_t)200 << 20, 1, 0, STR_EMPTY);
}

static bool
page_early_error(struct peer_conn *c)
{
	reply(c, "HTTP/1.1 413 Too large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
	usleep(20000);
	return false;
}

static const struct peer_route routes[] = {
	{ "/hello", page_hello },
	{ "/echo", page_echo },
	{ "/headers", page_headers },
	{ "/strange", page_strange_status },
	{ "/none", page_no_content },
	{ "/redirect", page_redirect },
	{ "/trickle", page_trickle },
	{ "/reset", page_reset },
	{ "/short", page_short },
	{ "/close", page_close },
	{ "/garbage", page_garbage },
	{ "/badchunk", page_bad_chunk },
	{ "/hugehead", page_huge_head },
	{ "/untilclose", page_until_close },
	{ "/never", page_never },
	{ "/silent", page_silent_body },
	{ "/endless", page_endless },
	{ "/duplex", page_duplex },
	{ "/gzip", page_gzip },
	{ "/gzipcut", page_gzip_cut },
	{ "/gzipbroken", page_gzip_broken },
	{ "/bomb", page_bomb },
	{ "/early", page_early_error },
	{ NULL, NULL },
};

/* --- cases --- */

static bool
holds(const struct buf *b, const char *part)
{
	size_t at;

	return str_find(buf_str(b), str_z(part), &at);
}

/* Status, body, and the reason phrase of the standard, not the server's (spec 04 section 7). */
TEST(plain)
{
	struct fetch_request r = { 0 };
	struct call          c;

	call_run(&c, &r, "/hello");
	CHECK(!c.failed);
	CHECK_EQ(c.status, 200);
	CHECK_STRZ(c.status_text, "OK");
	CHECK_STRZ(buf_str(&c.body), "hello");
	CHECK(!c.empty);
	call_clear(&c);
}

/* Redirects are returned, not followed; unknown statuses have no text. */
TEST(statuses)
{
	static const struct {
		const char *path;
		int         status;
		const char *text;
		bool        empty;
	} cases[] = {
		{ "/redirect", 302, "Found", true },
		{ "/strange", 299, "", true },
		{ "/none", 204, "No Content", true },
		{ "/untilclose", 200, "OK", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fetch_request r = { 0 };
		struct call          c;

		call_run(&c, &r, cases[i].path);
		CHECK(!c.failed);
		CHECK_EQ(c.status, cases[i].status);
		CHECK_STRZ(c.status_text, cases[i].text);
		CHECK_EQ(c.empty, cases[i].empty);
		call_clear(&c);
	}
}

/* Names are lowered, order, duplicates and latin-1 bytes kept, interim responses skipped. */
TEST(response_headers)
{
	struct fetch_request r = { 0 };
	struct call          c;

	call_run(&c, &r, "/headers");
	CHECK_EQ(c.status, 201);
	CHECK_STRZ(buf_str(&c.headers), "set-cookie: a=1\nx-two: b\nset-cookie: c=\xe9\n"
	                                "x-empty: \ncontent-length: 0\n");
	call_clear(&c);
}

/* What is sent: the method as it is, headers in order, and framing that fits the body. */
TEST(request_texts)
{
	const struct fetch_header headers[] = { { S("X-A"), S("1") }, { S("X-a"), S("2") },
		{ S("X-Empty"), S("") }, { S("Content-Length"), S("77") },
		{ S("Transfer-Encoding"), S("chunked") }, { S("Connection"), S("close") } };
	const struct fetch_header own[] = { { S("user-agent"), S("mine") },
		{ S("accept-encoding"), S("identity") }, { S("content-type"), S("a/b") } };
	const struct {
		const char                *why, *method, *body;
		const struct fetch_header *headers;
		size_t                     nheaders;
		const char                *has[5], *hasnot[5];
	} cases[] = {
		{ "a GET", "GET", NULL, NULL, 0,
		    { "GET /echo HTTP/1.1\r\n", "User-Agent: Convex/1.0\r\n",
		        "Accept-Encoding: gzip\r\n" },
		    { "Content-Length", "Transfer-Encoding", "Content-Type", "Expect" } },
		{ "methods pass unchanged", "pAtCh", "xyz", NULL, 0,
		    { "pAtCh /echo HTTP/1.1\r\n", "Content-Length: 3\r\n", "\r\nxyz" },
		    { "Content-Type" } },
		{ "a DELETE without body has no framing", "DELETE", NULL, NULL, 0, { "DELETE " },
		    { "Content-Length", "Transfer-Encoding" } },
		{ "a POST without body says so", "POST", NULL, NULL, 0,
		    { "POST ", "Content-Length: 0\r\n" },
		    { "Transfer-Encoding", "Content-Type", "Expect" } },
		{ "framing headers are ours", "POST", "xyz", headers, COUNT_OF(headers),
		    { "X-A: 1\r\nX-a: 2\r\n", "X-Empty:\r\n", "Content-Length: 3\r\n" },
		    { "77", "Transfer-Encoding", "Connection" } },
		{ "the caller's own", "POST", "xyz", own, COUNT_OF(own),
		    { "user-agent: mine\r\n", "accept-encoding: identity\r\n",
		        "content-type: a/b\r\n" },
		    { "Convex/1.0", "gzip" } },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fetch_request r = { .method = str_z(cases[i].method),
			.headers = cases[i].headers, .nheaders = cases[i].nheaders };
		struct call c;

		if (cases[i].body)
			r.body = str_z(cases[i].body);
		call_run(&c, &r, "/echo");
		CHECK(!c.failed);
		for (size_t k = 0; k < 5 && cases[i].has[k]; k++)
			CHECK(holds(&c.body, cases[i].has[k]));
		for (size_t k = 0; k < 5 && cases[i].hasnot[k]; k++)
			CHECK(!holds(&c.body, cases[i].hasnot[k]));
		call_clear(&c);
	}
}

/* A request that would break the protocol is refused before it is sent. */
TEST(injections)
{
	const struct fetch_header bad[] = { { S("X: y\r\nZ"), S("1") },
		{ S("X"), S("1\r\nY: 2") }, { S(""), S("1") }, { S("X"), { "a\0b", 3 } } };
	struct fetch_request             r = { .method = S("GET x HTTP/1.1\r\nA:") };
	struct call                      c;

	call_run(&c, &r, "/hello");
	CHECK(c.failed);
	CHECK(holds(&c.why, "invalid HTTP method"));
	call_clear(&c);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		r = (struct fetch_request){ .headers = &bad[i], .nheaders = 1 };
		call_run(&c, &r, "/hello");
		CHECK(c.failed);
		CHECK(holds(&c.why, "invalid HTTP header"));
		call_clear(&c);
	}
}

/* Failures say what was tried and why it failed; those behind the head come with the body. */
TEST(failures)
{
	static const struct {
		const char *path;
		bool        head;
		const char *text;
	} cases[] = {
		{ "/reset", true, "Connection reset by peer" },
		{ "/short", true, "90 bytes remaining" },
		{ "/close", false, "Empty reply from server" },
		{ "/garbage", false, "HTTP/0.9" },
		{ "/badchunk", true, "hexadecimal" },
		{ "/hugehead", false, "the response headers are larger than 256 KiB" },
		{ "/gzipcut", true, "ends too early" },
		{ "/gzipbroken", true, "cannot be decoded" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fetch_request r = { 0 };
		struct call          c;

		call_run(&c, &r, cases[i].path);
		CHECK(c.failed);
		CHECK_EQ(c.told, 1);
		CHECK_EQ(c.status != 0, cases[i].head);
		if (!holds(&c.why, cases[i].text))
			print_error("%s: %.*s\n", cases[i].path, STR_ARG(buf_str(&c.why)));
		CHECK(holds(&c.why, cases[i].text));
		call_clear(&c);
	}
}

static void
run_url(struct call *c, struct fetch_request *r, const char *url)
{
	call_init(c);
	r->url = str_z(url);
	r->method = S("GET");
	c->transfer = fetch_start(client, r, on_done, c);
	call_head(c);
}

/* Nobody listens; no such scheme; no such host; an address that may not be reached. */
TEST(unreachable)
{
	static const struct {
		const char *url;
		bool        public_only;
		const char *text;
	} cases[] = {
		{ "http://127.0.0.1:1/x", false,
		    "error sending request for url (http://127.0.0.1:1/x): " },
		{ "http://127.0.0.1:1/x", false, "Connection refused" },
		{ "ftp://127.0.0.1/", false, "rotocol" },
		{ "http://", false, "URL" },
		{ "http://127.0.0.1:1/x", true, "Request to http://127.0.0.1:1/x forbidden" },
		{ "http://[::ffff:10.0.0.1]/", true, "forbidden" },
		{ "http://169.254.169.254/", true, "forbidden" },
		{ "http://localhost:1/", true, "forbidden" },
		{ "http://[::1]:1/", true, "forbidden" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fetch_request r = { .public_only = cases[i].public_only };
		struct call          c;

		run_url(&c, &r, cases[i].url);
		CHECK(c.failed);
		if (!holds(&c.why, cases[i].text))
			print_error("%.*s\n", STR_ARG(buf_str(&c.why)));
		CHECK(holds(&c.why, cases[i].text));
		call_clear(&c);
	}
}

/* The head and each piece come when they were sent, not at the end. */
TEST(pieces_come_early)
{
	struct fetch_request r = { 0 };
	struct call          c;

	call_start(&c, &r, "/trickle");
	call_head(&c);
	call_read(&c, 3);
	CHECK(c.body.n < 15);
	CHECK_EQ(call_read(&c, SIZE_MAX), STREAM_END);
	CHECK_STRZ(buf_str(&c.body), "abcabcabcabcabc");
	CHECK(!holds(&c.headers, "trailer"));
	call_clear(&c);
}

/* A streamed request body is sent as it is written, while the response is read. */
TEST(duplex)
{
	struct fetch_request r = { .method = S("POST"), .stream = stream_new() };
	struct call          c;

	call_start(&c, &r, "/duplex");
	call_head(&c);
	CHECK_EQ(c.status, 200);
	for (size_t i = 1; i <= 5; i++) {
		CHECK(stream_write(r.stream, S("ping")));
		call_read(&c, 4 * i);
		CHECK_EQ(c.body.n, 4 * i);
	}
	stream_end(r.stream);
	CHECK_EQ(call_read(&c, SIZE_MAX), STREAM_END);
	stream_unref(r.stream);
	call_clear(&c);
}

/* A stream is chunked, unless its length is promised; promises are kept. */
TEST(streamed_bodies)
{
	static const struct {
		const char *length, *body, *fail;
		const char *has, *error;
	} cases[] = {
		{ NULL, "abc", NULL, "Transfer-Encoding: chunked\r\n", NULL },
		{ NULL, "", NULL, "Transfer-Encoding: chunked\r\n", NULL },
		{ "3", "abc", NULL, "Content-Length: 3\r\n", NULL },
		{ "3", "abcdef", NULL, "\r\nabc", NULL },
		{ "x", "abc", NULL, "Transfer-Encoding: chunked\r\n", NULL },
		{ "4", "abc", NULL, NULL, "shorter than its Content-Length" },
		{ NULL, "abc", "no more", NULL, "the stream of the request body failed: no more" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fetch_header  h = { S("content-length"), str_z(cases[i].length) };
		struct fetch_request r = { .method = S("POST"), .stream = stream_new(),
			.headers = &h, .nheaders = cases[i].length ? 1 : 0 };
		struct call          c;

		stream_write(r.stream, str_z(cases[i].body));
		if (cases[i].fail)
			stream_fail(r.stream, str_z(cases[i].fail));
		else
			stream_end(r.stream);
		call_run(&c, &r, "/echo");
		CHECK_EQ(c.failed, cases[i].error != NULL);
		CHECK(!cases[i].has || holds(&c.body, cases[i].has));
		CHECK(!cases[i].error || holds(&c.why, cases[i].error));
		stream_unref(r.stream);
		call_clear(&c);
	}
}

/* Megabytes up and down. */
TEST(large_bodies)
{
	size_t               n = (size_t)20 << 20;
	char                *big = mem_alloc(n);
	struct fetch_request r = { .method = S("PUT"), .body = str_of(big, n) };
	struct call          c;

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i * 31 + i / 4096);
	for (int streamed = 0; streamed < 2; streamed++) {
		if (streamed) {
			r.body = (str){ NULL, 0 };
			r.stream = stream_new();
			stream_write(r.stream, str_of(big, n));
			stream_end(r.stream);
		}
		call_run(&c, &r, "/echo");
		CHECK(!c.failed);
		CHECK(str_ends(buf_str(&c.body), str_of(big, n)));
		call_clear(&c);
	}
	stream_unref(r.stream);
	mem_free(big);
}

/* A server that refuses a large upload early is heard, and the writer learns to stop. */
TEST(early_answers)
{
	struct fetch_request r = { .method = S("POST"), .stream = stream_new() };
	struct call          c;

	call_start(&c, &r, "/early");
	call_head(&c);
	CHECK_EQ(c.status, 413);
	CHECK_EQ(call_read(&c, SIZE_MAX), STREAM_END);
	for (int i = 0; i < 2000 && !stream_closed(r.stream); i++)
		usleep(1000);
	CHECK(!stream_write(r.stream, S("more")));
	stream_unref(r.stream);
	call_clear(&c);
}

/* Gzip is decoded, member after member, and its headers are gone; who asked for raw bytes gets
 * them. */
TEST(gzip_bodies)
{
	const struct fetch_header raw = { S("Accept-Encoding"), S("gzip") };
	struct fetch_request             r = { 0 };
	struct call                      c;

	call_run(&c, &r, "/gzip");
	CHECK(!c.failed);
	CHECK_EQ(c.body.n, 200000);
	CHECK_STRZ(buf_str(&c.headers), "");
	call_clear(&c);
	r.headers = &raw;
	r.nheaders = 1;
	call_run(&c, &r, "/gzip");
	CHECK(!c.failed);
	CHECK(c.body.n < 2000);
	CHECK(holds(&c.headers, "content-encoding: gzip\n"));
	call_clear(&c);
}

/* What nobody reads is not received, nor decoded, beyond a bound; reading goes on from there. */
TEST(flow_control)
{
	struct fetch_request r = { 0 };
	struct call          endless, bomb;
	uint64_t             before;

	call_start(&endless, &r, "/endless");
	call_start(&bomb, &r, "/bomb");
	call_head(&endless);
	call_head(&bomb);
	usleep(300000);
	CHECK(stream_held(endless.stream) <= (512 << 10));
	CHECK(stream_held(bomb.stream) <= (512 << 10));
	before = atomic_load(&server->sent);
	usleep(100000);
	CHECK_EQ(atomic_load(&server->sent), before);
	call_read(&endless, (size_t)30 << 20);
	CHECK(endless.body.n >= (size_t)30 << 20);
	CHECK_EQ(call_read(&bomb, SIZE_MAX), STREAM_END);
	CHECK_EQ(bomb.body.n, (size_t)200 << 20);
	call_clear(&endless); /* leaves: the server's writes fail */
	call_clear(&bomb);
}

/* A reader that leaves ends the transfer, even of a silent server. */
TEST(leaving)
{
	struct fetch_request r = { 0 };
	struct call          c;
	int                  alive;

	call_start(&c, &r, "/silent");
	call_head(&c);
	call_read(&c, 1);
	alive = atomic_load(&server->alive);
	stream_close(c.stream);
	for (int i = 0; i < 2000 && atomic_load(&server->alive) >= alive; i++)
		usleep(1000);
	CHECK(atomic_load(&server->alive) < alive);
	call_clear(&c);
}

/* Cancelling before the head gives an error, behind it ends the body; always exactly once. */
TEST(cancelling)
{
	struct fetch_request r = { 0 };
	struct call          c;

	call_start(&c, &r, "/never");
	usleep(20000);
	fetch_cancel(c.transfer);
	fetch_cancel(c.transfer);
	call_head(&c);
	CHECK(c.failed);
	CHECK(holds(&c.why, "cancelled"));
	CHECK_EQ(c.told, 1);
	call_clear(&c);

	call_start(&c, &r, "/silent");
	call_head(&c);
	CHECK_EQ(call_read(&c, 1), STREAM_DATA);
	fetch_cancel(c.transfer);
	CHECK_EQ(call_read(&c, SIZE_MAX), STREAM_FAILED);
	call_clear(&c);

	call_run(&c, &r, "/hello");
	fetch_cancel(c.transfer); /* too late, and harmless */
	CHECK_STRZ(buf_str(&c.body), "hello");
	call_clear(&c);
}

/* Hundreds at once, many of them cancelled at every stage, some let go without waiting. */
TEST(storms)
{
	static const char *const paths[] = { "/hello", "/trickle", "/never", "/silent", "/endless",
		"/close", "/gzip", "/reset" };
	enum { N = 400 };
	struct call *c = mem_alloc(N * sizeof *c);

	for (size_t i = 0; i < N; i++) {
		struct fetch_request r = { 0 };

		call_start(&c[i], &r, paths[i % COUNT_OF(paths)]);
		if (i % 5 == 0)
			fetch_cancel(c[i].transfer);
		if (i >= 50 && i % 3 == 0)
			fetch_cancel(c[i - 50].transfer);
	}
	for (size_t i = 0; i < N; i++) {
		fetch_cancel(c[i].transfer);
		call_head(&c[i]);
		CHECK_EQ(c[i].told, 1);
		call_clear(&c[i]);
	}
	mem_free(c);
}

/* Hundreds of answers at once, over few kept connections afterwards. */
TEST(crowds)
{
	enum { N = 300 };
	struct call *c = mem_alloc(N * sizeof *c);
	int          conns;

	for (size_t i = 0; i < N; i++) {
		struct fetch_request r = { 0 };

		call_start(&c[i], &r, "/hello");
	}
	for (size_t i = 0; i < N; i++) {
		call_head(&c[i]);
		CHECK_EQ(call_read(&c[i], SIZE_MAX), STREAM_END);
		CHECK_STRZ(buf_str(&c[i].body), "hello");
		call_clear(&c[i]);
	}
	conns = atomic_load(&server->conns);
	for (size_t i = 0; i < 20; i++) {
		struct fetch_request r = { 0 };

		call_run(&c[0], &r, "/hello");
		CHECK(!c[0].failed);
		call_clear(&c[0]);
	}
	CHECK_EQ(atomic_load(&server->conns), conns);
	mem_free(c);
}

/* Time limits end what does not answer. */
TEST(timeouts)
{
	struct fetch_request r = { .timeout_ms = 50 };
	struct call          c;

	call_run(&c, &r, "/never");
	CHECK(c.failed);
	CHECK(holds(&c.why, "timed out"));
	call_clear(&c);
}

/* The end of the client is the end of what it was doing; one that never did anything costs
 * nothing. */
TEST(shutdown_ends_all)
{
	enum { N = 20 };
	struct fetch *before = client;
	struct call   c[N];

	fetch_free(fetch_new(NULL));
	client = fetch_new(&(struct fetch_opts){ .user_agent = "test" });
	for (size_t i = 0; i < N; i++) {
		struct fetch_request r = { 0 };

		call_start(&c[i], &r, i % 2 ? "/never" : "/silent");
	}
	call_head(&c[0]);
	fetch_free(client);
	client = before;
	for (size_t i = 0; i < N; i++) {
		CHECK_EQ(c[i].told, 1);
		fetch_cancel(c[i].transfer); /* harmless */
		call_clear(&c[i]);
	}
}

static int
set_up(void **state)
{
	(void)state;
	server = peer_new(routes);
	client = fetch_new(NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fetch_free(client);
	peer_free(server);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(plain), T(statuses), T(response_headers),
		T(request_texts), T(injections), T(failures), T(unreachable), T(pieces_come_early),
		T(duplex), T(streamed_bodies), T(large_bodies), T(early_answers), T(gzip_bodies),
		T(flow_control), T(leaving), T(cancelling), T(storms), T(crowds), T(timeouts),
		T(shutdown_ends_all) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
