/* net_http_fuzz.c - whatever bytes a client sends, in whatever pieces.
 *
 * The first byte chooses how the input is cut.  Requests are answered at once or kept for a
 * while and answered backwards; time passes.
 */
#include "base/mem.h"
#include "base/vec.h"
#include "net/http_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct http_conn *c;
	bool              hold, woken;
	struct stream    *upload; /* of the newest streamed request: one reference, or NULL */
	struct stream    *reply;  /* the newest streamed reply's, which is not over */
	VEC(struct http_exchange *) held;
};

static void
head(void *arg, struct http_exchange *x, struct http_rule *ret)
{
	(void)arg;
	x->cors = true;
	ret->body_max = 4096;
	ret->discard = str_ends(x->path, S("d"));
	ret->stream = str_ends(x->path, S("s"));
	ret->websocket = str_eq(x->path, S("/ws")) && http_header(x, "sec-websocket-key").n > 0;
}

/* Ends the streamed reply that is out, cleanly or not. */
static void
reply_over(struct peer *p, bool clean)
{
	if (!p->reply)
		return;
	if (clean)
		stream_end(p->reply);
	else
		stream_fail(p->reply, S("boom"));
	stream_unref(p->reply);
	p->reply = NULL;
}

static void
answer(struct peer *p, struct http_exchange *x)
{
	if (x->gone && x->query.n > 0) {
		reply_over(p, x->query.n % 2);
		p->reply = stream_new();
		stream_write(p->reply, x->path);
		x->status = 200;
		x->own_headers = true;
		x->length = x->query.n % 3 ? -1 : (int64_t)x->path.n;
		x->download = stream_ref(p->reply);
	} else if (x->verb == VERB_OPTIONS) {
		http_reply_preflight(x);
	} else {
		http_reply_text(x, 200, buf_str(&x->body));
	}
	http_conn_answer(x);
}

static void
request(void *arg, struct http_exchange *x)
{
	struct peer *p = arg;

	if (x->upload) {
		stream_unref(p->upload);
		p->upload = stream_ref(x->upload);
	}
	if (p->hold) {
		vec_push(&p->held, x);
		return;
	}
	answer(p, x);
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
	struct peer *p = arg;

	http_conn_ws_send(p->c, blob_new(buf_str(text)), true);
}

static void
ws_over(void *arg)
{
	(void)arg;
}

static void
answer_held(struct peer *p)
{
	while (p->held.n > 0) {
		struct http_exchange *x = p->held.v[--p->held.n];

		answer(p, x);
	}
}

static void
wake(void *arg)
{
	struct peer *p = arg;

	p->woken = true;
}

/* The application reads and writes its streams. */
static void
use_streams(struct peer *p, size_t i)
{
	struct buf b;

	buf_init(&b, 64);
	if (p->upload && i % 3)
		(void)stream_read(p->upload, &b, 64);
	if (p->upload && i % 11 == 0)
		stream_close(p->upload);
	if (p->reply)
		stream_write(p->reply, S("more"));
	if (i % 7 == 0)
		reply_over(p, i % 2);
	buf_clear(&b);
}

static void
drain(struct peer *p, uint64_t now)
{
	struct iovec iov[3];
	size_t       n, bytes;

	while ((n = http_conn_iov(p->c, iov, 3)) > 0) {
		bytes = 0;
		for (size_t i = 0; i < n; i++)
			bytes += iov[i].iov_len;
		http_conn_wrote(p->c, bytes > 7 ? bytes - 7 : bytes, now);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer p = { .c = NULL };
	uint64_t    now = 1000;
	size_t      step;

	if (size == 0)
		return 0;
	p.hold = data[0] & 0x80;
	step = (data[0] & 0x7f) + 1u;
	p.c = http_conn_new(&(struct http_conn_opts){ .host = { &p, head, request, ws_open,
	                                                  ws_message, ws_over, wake },
	    .now_ms = now });
	for (size_t i = 1; i < size; i += step) {
		http_conn_feed(p.c, str_of(data + i, size - i < step ? size - i : step), now);
		use_streams(&p, i);
		if (p.woken)
			http_conn_resume(p.c, now);
		p.woken = false;
		drain(&p, now);
		now += 700;
		if (!http_conn_tick(p.c, now) || http_conn_phase(p.c) == HTTP_DEAD)
			break;
		if (i % 5 == 0)
			answer_held(&p);
	}
	http_conn_eof(p.c);
	drain(&p, now);
	http_conn_free(p.c);
	answer_held(&p);
	reply_over(&p, true);
	stream_unref(p.upload);
	vec_clear(&p.held);
	return 0;
}
