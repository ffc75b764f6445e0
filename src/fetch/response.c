/* response.c - a response: its head, and its body as fast as it is read.
 *
 * Reading stops while more than BODY_HIGH bytes wait in the body's stream; the stream says when
 * there is room again.
 *
 * Thread: the fetch thread.  Memory: the transfer's arena; the body's stream.
 */
#include "base/http_text.h"
#include "base/mem.h"
#include "fetch/fetch_int.h"

/* --- the head --- */

static bool
get_header(const struct transfer *t, str name, str *ret)
{
	for (size_t i = 0; i < t->got.n; i++) {
		if (str_eq(t->got.v[i].name, name)) {
			*ret = t->got.v[i].value;
			return true;
		}
	}
	return false;
}

static void
remove_header(struct transfer *t, str name)
{
	size_t n = 0;

	for (size_t i = 0; i < t->got.n; i++) {
		if (!str_eq(t->got.v[i].name, name))
			t->got.v[n++] = t->got.v[i];
	}
	t->got.n = n;
}

/* Whether there cannot be a body (RFC 9112 section 6.3). */
static bool
is_empty(const struct transfer *t, long http)
{
	str length, chunked;

	if (str_eq(t->request.method, S("HEAD")) || http == 204 || http == 304)
		return true;
	return get_header(t, S("content-length"), &length) && str_eq(length, S("0")) &&
	    !get_header(t, S("transfer-encoding"), &chunked);
}

/* Bytes of a body of announced length; -1: its end is found otherwise. */
static int64_t
announced(const struct transfer *t, bool empty)
{
	str      length, chunked;
	uint64_t n;

	if (empty)
		return 0;
	if (get_header(t, S("transfer-encoding"), &chunked) ||
	    !get_header(t, S("content-length"), &length) || !str_to_u64(length, &n) ||
	    n > INT64_MAX)
		return -1;
	return (int64_t)n;
}

/* A server may answer before it has the whole request.  When the answer is complete, the
 * request is of no use any more; libcurl would go on sending it. */
static void
note_received(struct transfer *t, size_t n)
{
	t->to_receive -= t->to_receive > 0 ? (int64_t)n : 0;
	if (t->to_receive == 0 && t->request.stream && !t->sent) {
		t->complete = true;
		transfer_poke(t);
	}
}

static void
choose_decoder(struct transfer *t, bool empty)
{
	str coding;

	if (!t->decode || empty || !get_header(t, S("content-encoding"), &coding))
		return;
	if (!str_eq_nocase(coding, S("gzip")) && !str_eq_nocase(coding, S("x-gzip")))
		return;
	t->gunzip = gunzip_new();
	remove_header(t, S("content-encoding"));
	remove_header(t, S("content-length")); /* it was that of the encoded form */
}

static bool
head_over(struct transfer *t)
{
	struct fetch_response r = { .url = t->request.url, .body = t->body, .arena = t->arena };
	fetch_done            done = t->done;
	long                  http = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http);
	if (http < 200 && http != 101)
		return true; /* the real one follows */
	if (http == 407 && t->f->proxy) {
		(void)err_set(&t->error, ST_FORBIDDEN, "FetchFailed",
		    "Request to %.*s forbidden", STR_ARG(t->request.url));
		return false;
	}
	t->head_over = true;
	r.empty = is_empty(t, http);
	t->to_receive = announced(t, r.empty);
	choose_decoder(t, r.empty);
	r.status = (int)http;
	r.status_text = http_reason((int)http);
	r.nheaders = t->got.n;
	r.headers = t->got.v;
	t->done = NULL;
	done(t->arg, &r, NULL);
	if (http >= 300 && t->send_paused) { /* nor does libcurl want to send the rest */
		t->sent = true;
		transfer_poke(t);
	}
	note_received(t, 0);
	return true;
}

static str
lower(struct arena *a, str s)
{
	char *p = arena_z(a, s);

	for (size_t i = 0; i < s.n; i++) {
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 0x20);
	}
	return str_of(p, s.n);
}

static void
head_line(struct transfer *t, str line)
{
	size_t colon;

	if (line.p[0] == ' ' || line.p[0] == '\t') { /* folded (RFC 9112 section 5.2) */
		struct fetch_header *last = t->got.n > 0 ? &t->got.v[t->got.n - 1] : NULL;

		if (last) {
			t->head_bytes += last->value.n; /* each line copies it */
			last->value = arena_fmt(t->arena, "%.*s %.*s", STR_ARG(last->value),
			    STR_ARG(str_trim(line)));
		}
	} else if (str_find_char(line, ':', &colon)) {
		vec_push(&t->got,
		    ((struct fetch_header){ lower(t->arena, str_trim(str_head(line, colon))),
		        arena_str(t->arena, str_trim(str_from(line, colon + 1))) }));
	}
}

static size_t
on_head(char *p, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	str              line = str_of(p, one * n);

	if (t->head_over)
		return line.n; /* trailers */
	t->head_bytes += line.n;
	if (t->head_bytes > HEAD_MAX) {
		(void)err_set(&t->error, ST_OPERATIONAL, "FetchFailed",
		    "error sending request for url (%.*s): the response headers are larger than "
		    "256 KiB",
		    STR_ARG(t->request.url));
		return 0;
	}
	if (str_starts(line, S("HTTP/")))
		t->got.n = 0; /* of an interim response */
	else if (str_trim(line).n == 0)
		return head_over(t) ? line.n : 0;
	else
		head_line(t, line);
	return line.n;
}

/* --- the body --- */

enum decode_state
response_decode(struct transfer *t)
{
	enum gunzip_state st = GUNZIP_FULL;
	struct buf        b;

	buf_init(&b, BUF_MAX_DEFAULT);
	while (st == GUNZIP_FULL && stream_held(t->body) < BODY_HIGH) {
		st = gunzip_read(t->gunzip, &b, BODY_LOW);
		stream_write(t->body, buf_str(&b));
		buf_reset(&b);
	}
	buf_clear(&b);
	if (st == GUNZIP_FULL) {
		stream_when_room(t->body, BODY_LOW, transfer_poke, t);
		return DECODE_WAITS;
	}
	if (st == GUNZIP_MORE)
		return DECODE_DONE;
	(void)err_set(&t->error, ST_OPERATIONAL, "StreamFailed",
	    "the gzip encoded response body of url (%.*s) cannot be decoded",
	    STR_ARG(t->request.url));
	return DECODE_STOP;
}

/* libcurl keeps the bytes and brings them again. */
static size_t
pause_receiving(struct transfer *t)
{
	t->recv_paused = true;
	stream_when_room(t->body, BODY_LOW, transfer_poke, t);
	return CURL_WRITEFUNC_PAUSE;
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct transfer  *t = arg;
	str               bytes = str_of(p, one * n);
	enum decode_state st;

	if (stream_closed(t->body))
		return 0;
	if (!t->gunzip) {
		if (stream_held(t->body) >= BODY_HIGH)
			return pause_receiving(t);
		stream_write(t->body, bytes);
		note_received(t, bytes.n);
		return bytes.n;
	}
	st = response_decode(t); /* what waits goes first */
	if (st == DECODE_WAITS)
		return pause_receiving(t);
	if (st == DECODE_DONE) {
		gunzip_add(t->gunzip, bytes);
		note_received(t, bytes.n);
		st = response_decode(t);
	}
	return st == DECODE_STOP ? 0 : bytes.n;
}

void
response_set_up(struct transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
}
