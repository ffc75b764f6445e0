/* http_run.c - HTTP actions among the actions: what their runs have beyond others (spec 04
 * sections 6.2 to 6.5).
 *
 * The reply's body is a stream that JavaScript writes and the connection reads, at any distance,
 * within the bound of 20 MiB.  A client that leaves is a stream that ends (request.signal); what
 * is written for it is dropped, and the run goes on for a while, since it may be more than an
 * answer.
 *
 * Thread: the action's.  Memory: the request's.
 */
#include <stdio.h>

#include "functions/action_int.h"

#define LEFT_NS     (60ull * 1000000000ull) /* that a run may go on for a client that has left */
#define REFUSED_MAX ((size_t)256 << 20) /* beyond the bound, after which the body is over */
#define REFUSED_FEE ((size_t)1024)      /* of a piece */

status
http_resolve(struct fn_worker *w, struct txn *t, struct target *ret, struct err *e)
{
	const struct module_info *m;

	TRY(backend_running(t, e));
	TRY(module_find(w, t, S("http.js"), &m, e));
	*ret = (struct target){ .kind = UDF_HTTP_ACTION, .path = S("http.js:default"),
		.module = m ? S("http.js") : STR_EMPTY, .function = S("default") };
	return ST_OK;
}

struct http_call
http_begin(struct action_state *a, struct arena *arena)
{
	const struct http_request *r = a->call->http;
	struct http_call           h = { .method = r->method, .path = r->path };
	str                        body = STR_EMPTY, gone;
	struct buf                 b;

	if (r->body)
		body = arena_fmt(arena, "%llu",
		    (unsigned long long)action_stream_add(a, stream_ref(r->body)));
	gone = arena_fmt(
	    arena, "%llu", (unsigned long long)action_stream_add(a, stream_ref(r->gone)));
	buf_init(&b, BUF_MAX_DEFAULT);
	http_request_json(&b, r, body, gone);
	h.json = arena_str(arena, buf_str(&b));
	buf_clear(&b);
	return h;
}

/* --- the reply --- */

static void
answer(struct action_state *a, const struct http_head *head, struct stream *body)
{
	struct http_request *r = a->call->http;

	a->may_leave = false;
	a->reply.http = head->http;
	r->answer(r->arg, head, body);
}

static status
host_respond(void *arg, str json, struct err *e)
{
	struct action_state *a = arg;
	struct arena        *scratch = arena_new();
	struct http_head     head;
	str                  id;
	struct stream       *s = NULL;
	uint64_t             number = 0;
	status               st = http_head_parse(scratch, json, &head, &id, e);

	if (st == ST_OK) {
		(void)str_to_u64(id, &number);
		s = action_stream(a, number);
		if (!s)
			st = err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
			    "HTTP action returned a body that does not exist");
	}
	if (st == ST_OK) {
		a->reply.body = stream_ref(s);
		answer(a, &head, s);
	}
	arena_free(scratch);
	return st;
}

static void
host_respond_text(void *arg, int http, str text)
{
	char             length[20];
	struct http_pair pairs[] = { { S("content-type"), S("text/plain; charset=utf-8") },
		{ S("content-length"), STR_EMPTY } };
	struct http_head head = { http, COUNT_OF(pairs), pairs };
	struct stream   *s = stream_new();

	snprintf(length, sizeof length, "%zu", text.n);
	pairs[1].value = str_z(length);
	stream_write(s, text);
	stream_end(s);
	answer(arg, &head, s);
	stream_unref(s);
}

static bool
host_responding(void *arg)
{
	struct action_state *a = arg;

	return a->reply.body && !stream_over(a->reply.body);
}

/* Smaller pieces may still pass, but whoever goes on for long means never to end. */
static bool
refuse(struct action_state *a, struct stream *s, size_t n)
{
	a->reply.too_large = true;
	a->reply.refused += n + REFUSED_FEE;
	if (a->reply.refused <= REFUSED_MAX)
		return true;
	stream_end(s);
	return false;
}

bool
http_write(struct action_state *a, struct stream *s, str bytes)
{
	if (bytes.n > HTTP_RESPONSE_MAX - stream_total(s))
		return refuse(a, s, bytes.n);
	(void)stream_write(s, bytes);
	return true;
}

bool
http_abandoned(struct action_state *a)
{
	struct http_reply *r = &a->reply;

	if (!r->left && stream_peek(a->call->http->gone) == STREAM_END) {
		r->left = true;
		r->left_ns = os_mono_ns(a->os);
	}
	return r->left && os_mono_ns(a->os) - r->left_ns > LEFT_NS;
}

void
http_host(struct action_host *h)
{
	h->respond = host_respond;
	h->respond_text = host_respond_text;
	h->responding = host_responding;
}

/* --- the end --- */

static void
add_line(struct action_state *a, struct run_result *rr, enum log_line_level level, const char *code,
    str text)
{
	struct logline line = { .level = level, .nmessages = 1, .messages = &text,
		.system_code = str_z(code), .timestamp_ms = os_now_ns(a->os) / 1000000 };

	loglines_add(&rr->logs, &line);
}

/* Spec 04 section 5.1. */
static void
tell_stream_size(struct action_state *a, struct run_result *rr)
{
	struct stream *body = a->call->http->body;

	if (!rr->ok && str_starts(rr->error, S("JavaScript execution ran out of memory")))
		rr->error = arena_fmt(rr->logs.arena, "%.*s: request stream size was %llu bytes\n",
		    STR_ARG(str_trim(rr->error)),
		    (unsigned long long)(body ? stream_total(body) : 0));
}

static void
warn_size(struct action_state *a, struct run_result *rr)
{
	uint64_t n = a->reply.body ? stream_total(a->reply.body) : 0;

	if (n > HTTP_RESPONSE_MAX / 5 * 4 && !a->reply.too_large)
		add_line(a, rr, LINE_WARN, "warning:HttpResponseTooLarge",
		    arena_fmt(rr->logs.arena, "Large response returned from an HTTP action "
		        "(actual: %llu bytes, limit: %zu bytes).", (unsigned long long)n,
		        HTTP_RESPONSE_MAX));
}

void
http_end(struct action_state *a, struct run_result *rr)
{
	(void)http_abandoned(a);
	tell_stream_size(a, rr);
	warn_size(a, rr);
	stream_unref(a->reply.body);
	a->reply.body = NULL;
	if (a->reply.too_large)
		add_line(a, rr, LINE_ERROR, "error:httpAction",
		    S("HttpResponseTooLarge: HTTP actions support responses up to 20 MiB"));
	if (a->reply.http && !rr->ok)
		add_line(a, rr, LINE_ERROR, "error:httpAction", str_trim(rr->error));
	if (a->reply.left)
		add_line(a, rr, LINE_INFO, "info:httpActionClientDisconnect",
		    S("The client disconnected before the response was complete"));
}
