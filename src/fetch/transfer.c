/* transfer.c - one outgoing request: from its texts to libcurl's handle, and its end.
 *
 * Streamed request bodies are read as the connection takes them; when nothing is there the handle
 * is paused until the stream has news (transfer_poke).
 *
 * HTTP/1.1 only: in this libcurl one response that is not read stops all others on its HTTP/2
 * connection, and an action that awaits the one before it reads the other would wait for ever.
 *
 * Thread: the fetch thread.  Memory: the transfer's arena, and libcurl's.
 */
#include <errno.h>
#include <unistd.h>

#include "base/http_text.h"
#include "base/mem.h"
#include "fetch/fetch_int.h"

#define CONNECT_MS     30000
#define KEEPALIVE_S    60L

/* --- the request's texts --- */

static status
check_request(struct transfer *t)
{
	const struct fetch_request *r = &t->request;

	if (!http_is_token(r->method))
		return err_set(&t->error, ST_BAD_REQUEST, "FetchFailed",
		    "invalid HTTP method '%.*s'", STR_ARG(r->method));
	if (r->url.n == 0 || !http_is_one_line(r->url))
		return err_set(&t->error, ST_BAD_REQUEST, "FetchFailed", "invalid URL");
	for (size_t i = 0; i < r->nheaders; i++) {
		const struct fetch_header *h = &r->headers[i];

		if (!http_is_token(h->name) || !http_is_one_line(h->value))
			return err_set(&t->error, ST_BAD_REQUEST, "FetchFailed",
			    "invalid HTTP header '%.*s'", STR_ARG(h->name));
	}
	return ST_OK;
}

static void
add_line(struct transfer *t, str line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line.p);

	must(longer != NULL);
	t->headers = longer;
}

/* Headers of this connection only: they are decided here (RFC 9110 section 7.6.1). */
static bool
is_ours(str name)
{
	static const char *const ours[] = { "connection", "content-length", "expect", "keep-alive",
		"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < COUNT_OF(ours); i++) {
		if (str_eq_nocase(name, str_z(ours[i])))
			return true;
	}
	return false;
}

static bool
has_header(const struct fetch_request *r, str name, str *ret)
{
	for (size_t i = 0; i < r->nheaders; i++) {
		if (str_eq_nocase(r->headers[i].name, name)) {
			if (ret)
				*ret = r->headers[i].value;
			return true;
		}
	}
	return false;
}

static void
add_headers(struct transfer *t)
{
	const struct fetch_request *r = &t->request;

	for (size_t i = 0; i < r->nheaders; i++) {
		const struct fetch_header *h = &r->headers[i];

		if (!is_ours(h->name))
			add_line(t, arena_fmt(t->arena, h->value.n > 0 ? "%.*s: %.*s" : "%.*s;%.*s",
			                STR_ARG(h->name), STR_ARG(h->value)));
	}
	t->decode = !has_header(r, S("accept-encoding"), NULL);
	if (t->decode)
		add_line(t, S("Accept-Encoding: gzip"));
	if (!has_header(r, S("content-type"), NULL))
		add_line(t, S("Content-Type:")); /* libcurl would make one up */
	add_line(t, S("Expect:"));
}

/* --- the request's body --- */

static size_t
stop_sending(struct transfer *t, const char *why)
{
	(void)err_set(&t->error, ST_BAD_REQUEST, "FetchFailed", "%s", why);
	return CURL_READFUNC_ABORT;
}

static size_t
end_of_stream(struct transfer *t)
{
	str why;

	if (t->left > 0)
		return stop_sending(t, "the request body is shorter than its Content-Length");
	if (stream_peek(t->request.stream) == STREAM_END) {
		t->sent = true;
		return 0;
	}
	why = stream_error(t->request.stream);
	(void)err_set(&t->error, ST_BAD_REQUEST, "FetchFailed",
	    "the stream of the request body failed: %.*s", STR_ARG(why));
	return CURL_READFUNC_ABORT;
}

static size_t
on_send(char *to, size_t one, size_t max, void *arg)
{
	struct transfer  *t = arg;
	struct buf        b;
	enum stream_state st;
	size_t            n;

	max *= one;
	if (t->left >= 0 && (uint64_t)t->left < max)
		max = (size_t)t->left; /* what is beyond the promised length is not sent */
	if (t->left == 0 || t->sent) {
		t->sent = true;
		return 0;
	}
	buf_init(&b, max);
	st = stream_read(t->request.stream, &b, max);
	n = b.n;
	if (n > 0)
		memcpy(to, b.p, n);
	buf_clear(&b);
	if (st == STREAM_DATA) {
		t->left -= t->left > 0 ? (int64_t)n : 0;
		return n;
	}
	if (st != STREAM_EMPTY)
		return end_of_stream(t);
	t->send_paused = true;
	stream_when_ready(t->request.stream, transfer_poke, t);
	return CURL_READFUNC_PAUSE;
}

static void
send_stream(struct transfer *t)
{
	str      length;
	uint64_t n;

	t->left = -1;
	if (has_header(&t->request, S("content-length"), &length) && str_to_u64(length, &n) &&
	    n <= INT64_MAX)
		t->left = (int64_t)n;
	curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->left);
	/* A kept connection may turn out to be dead, and what was read of a stream is gone. */
	curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
}

static void
set_body(struct transfer *t)
{
	const struct fetch_request *r = &t->request;
	/* Servers may insist on a length where a body could be (Fetch section 4.6, RFC 9110
	 * section 8.6). */
	bool expected = str_eq(r->method, S("POST")) || str_eq(r->method, S("PUT"));

	if (r->stream) {
		send_stream(t);
	} else if (r->body.p || expected) {
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, r->body.p ? r->body.p : "");
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
	} else if (str_eq(r->method, S("HEAD"))) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, r->method.p);
}

/* --- the handle --- */

static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = arg;

	(void)purpose;
	if (t->request.public_only && !address_is_public(&a->addr)) {
		(void)err_set(&t->error, ST_FORBIDDEN, "FetchFailed",
		    "Request to %.*s forbidden", STR_ARG(t->request.url));
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static long
milliseconds(uint64_t ms, long otherwise)
{
	return ms == 0 ? otherwise : ms > 86400000 ? 86400000 : (long)ms;
}

static void
set_up(struct transfer *t)
{
	const struct fetch_request *r = &t->request;
	CURL                       *h = t->easy;

	curl_easy_setopt(h, CURLOPT_URL, r->url.p);
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_PRIVATE, t);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L); /* cancelling waits for no resolver */
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	curl_easy_setopt(
	    h, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(r->connect_timeout_ms, CONNECT_MS));
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, milliseconds(r->timeout_ms, 0));
	curl_easy_setopt(h, CURLOPT_USERAGENT, t->f->user_agent);
	curl_easy_setopt(h, CURLOPT_PROXY, t->f->proxy ? t->f->proxy : "");
	curl_easy_setopt(h, CURLOPT_NOPROXY, ""); /* nor is that variable read */
	curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (t->f->ca_file)
		curl_easy_setopt(h, CURLOPT_CAINFO, t->f->ca_file);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, t);
}

status
transfer_begin(struct transfer *t)
{
	if (atomic_load(&t->cancelled))
		return ST_CLIENT_DISCONNECT;
	TRY(check_request(t));
	t->easy = curl_easy_init();
	must(t->easy != NULL);
	set_up(t);
	add_headers(t);
	set_body(t);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	response_set_up(t);
	stream_when_closed(t->body, transfer_poke, t);
	must(curl_multi_add_handle(t->f->multi, t->easy) == CURLM_OK);
	return ST_OK;
}

static bool
given_up(struct transfer *t)
{
	return atomic_load(&t->cancelled) || (t->done == NULL && stream_closed(t->body));
}

static void
drop_handle(struct transfer *t)
{
	if (!t->easy)
		return;
	curl_multi_remove_handle(t->f->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	t->easy = NULL;
	t->headers = NULL;
}

bool
transfer_resume(struct transfer *t)
{
	enum decode_state decoded = DECODE_DONE;
	int               paused = CURLPAUSE_CONT;

	if (given_up(t))
		return false;
	if (t->gunzip)
		decoded = response_decode(t);
	if (t->complete)
		drop_handle(t);
	if (decoded == DECODE_STOP || !t->easy)
		return decoded == DECODE_WAITS;
	if (!t->recv_paused && !t->send_paused)
		return true;
	t->recv_paused = t->recv_paused && decoded == DECODE_WAITS;
	t->send_paused = t->send_paused && !t->sent &&
	    stream_peek(t->request.stream) == STREAM_EMPTY;
	paused |= t->recv_paused ? CURLPAUSE_RECV : 0;
	paused |= t->send_paused ? CURLPAUSE_SEND : 0;
	curl_easy_pause(t->easy, paused); /* a failure comes back as the transfer's */
	return true;
}

bool
transfer_received(struct transfer *t, CURLcode code)
{
	if (code != CURLE_OK || !t->gunzip || response_decode(t) != DECODE_WAITS)
		return false;
	drop_handle(t);
	return true;
}

/* --- the end --- */

static bool
proxy_refused(struct transfer *t)
{
	long code = 0;

	if (!t->f->proxy || !t->easy)
		return false;
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &code);
	return code == 407;
}

/* Why it failed, as users read it. */
static void
explain(struct transfer *t, CURLcode code)
{
	long        os = 0;
	const char *text = t->text[0] ? t->text : curl_easy_strerror(code);
	bool        sending = t->done != NULL;

	if (t->easy)
		curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os);
	if (proxy_refused(t))
		(void)err_set(&t->error, ST_FORBIDDEN, "FetchFailed",
		    "Request to %.*s forbidden", STR_ARG(t->request.url));
	else
		(void)err_set(&t->error, ST_OPERATIONAL, sending ? "FetchFailed" : "StreamFailed",
		    "%s url (%.*s): %s%s%s",
		    sending ? "error sending request for" : "error reading the response body of",
		    STR_ARG(t->request.url), text, os ? ": " : "", os ? strerror((int)os) : "");
}

static void
settle_error(struct transfer *t, CURLcode code)
{
	if (t->error.text.n > 0)
		return; /* we stopped it, for a reason that was said */
	if (given_up(t))
		(void)err_set(&t->error, ST_CLIENT_DISCONNECT, "FetchFailed",
		    "the request was cancelled");
	else if (code != CURLE_OK || t->done)
		explain(t, code);
	else if (t->gunzip && !gunzip_complete(t->gunzip))
		(void)err_set(&t->error, ST_OPERATIONAL, "StreamFailed",
		    "the gzip encoded response body ends too early");
}

/* The streams forget us before we are gone. */
static void
leave_streams(struct transfer *t)
{
	struct stream *upload = t->request.stream;

	stream_when_room(t->body, 0, NULL, NULL);
	stream_when_closed(t->body, NULL, NULL);
	if (upload) {
		stream_when_ready(upload, NULL, NULL);
		stream_close(upload);
		stream_unref(upload);
	}
	t->request.stream = NULL;
}

void
transfer_finish(struct transfer *t, CURLcode code)
{
	fetch_done done = t->done;

	settle_error(t, code);
	drop_handle(t);
	leave_streams(t);
	t->done = NULL;
	if (done)
		done(t->arg, NULL, &t->error);
	else if (t->error.text.n > 0)
		stream_fail(t->body, t->error.text);
	else
		stream_end(t->body);
	gunzip_free(t->gunzip);
	stream_unref(t->body);
	vec_clear(&t->got);
}
