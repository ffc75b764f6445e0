/* api_http.c - HTTP actions: requests to user code, and its replies (spec 04 section 6).
 *
 * The exchange waits for the head of the reply, which the action's thread brings; from then on the
 * connection has it, and sends the body as the function writes it.  The result of the call comes
 * when all is over: only if there was no head it is still to be answered.
 *
 * Thread: the loop thread, but http_answer().
 * Memory: struct http_call_state in the request's arena; the exchange's is gone with the answer.
 */
#include "functions/http_action.h"
#include "net/api_int.h"

struct http_call_state {
	struct api           *api;
	struct fn_call       *call;     /* the exchange's arena holds the reference */
	struct http_request  *request;  /* one reference, while the call is out */
	struct http_exchange *x;        /* NULL: answered */
};

/* --- the reply --- */

/* Headers of the connection, which the server decides. */
static bool
is_hop_header(str name)
{
	static const char *const hop[] = { "connection", "content-length", "keep-alive",
		"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < COUNT_OF(hop); i++) {
		if (str_eq_nocase(name, str_z(hop[i])))
			return true;
	}
	return false;
}

static void
note_hop_header(struct http_exchange *x, const struct http_pair *h)
{
	uint64_t n;

	if (str_eq_nocase(h->name, S("content-length")) && str_to_u64(h->value, &n) &&
	    n <= INT64_MAX && x->length < 0)
		x->length = (int64_t)n;
	else if (str_eq_nocase(h->name, S("connection")) && str_eq_nocase(h->value, S("close")))
		x->close = true;
}

static void
fill_head(struct http_exchange *x, const struct http_head *head)
{
	struct buf lines;

	buf_init(&lines, BUF_MAX_DEFAULT);
	x->status = head->http;
	x->own_headers = true;
	for (size_t i = 0; i < head->npairs; i++) {
		const struct http_pair *h = &head->pairs[i];

		if (is_hop_header(h->name)) {
			note_hop_header(x, h);
			continue;
		}
		buf_add(&lines, h->name);
		buf_addz(&lines, ": ");
		buf_add(&lines, h->value);
		buf_addz(&lines, "\r\n");
	}
	x->extra_headers = arena_str(x->arena, buf_str(&lines));
	buf_clear(&lines);
}

/* On the action's thread. */
static void
http_answer(void *arg, const struct http_head *head, struct stream *body)
{
	struct http_call_state *s = arg;
	struct http_exchange   *x = s->x;

	s->x = NULL;
	fill_head(x, head);
	x->download = stream_ref(body);
	http_server_answer(x);
}

/* There was no head. */
static void
answer_failure(struct http_call_state *s, const struct fn_result *r)
{
	struct http_exchange *x = s->x;
	struct err            e = { .st = r->st, .code = r->code, .text = r->text };

	if (r->st != ST_OK) {
		http_reply_err(x, &e);
	} else {
		http_failure_json(&x->reply, s->call->request_id,
		    r->ok ? S("The HTTP action has not answered") : r->plain_error,
		    r->ok ? (str){ NULL, 0 } : r->error_data, s->call->redact);
		http_reply_json(x, 500);
	}
	http_server_answer(x);
}

static void
http_done(void *arg, struct fn_result *r)
{
	struct http_call_state *s = arg;

	s->api->busy--;
	if (s->x)
		answer_failure(s, r);
	http_request_unref(s->request); /* s lives in it */
}

/* --- the request --- */

static str
header_of(void *arg, const char *name)
{
	return http_header(arg, name);
}

static str
verb_name(enum http_verb v)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
		"OPTIONS", "" };

	return str_z(names[v]);
}

static struct http_request *
request_new(struct api *a, const struct http_exchange *x)
{
	struct http_request *r = http_request_new();
	str                  path = x->path;

	if (!x->site)
		path = x->path.n > 5 ? str_from(x->path, 5) : S("/"); /* "/http" */
	r->method = verb_name(x->verb);
	r->path = arena_str(r->arena, path);
	r->url = http_request_url(
	    r->arena, header_of, (void *)(uintptr_t)x, a->opts.site_origin, r->path, x->query);
	r->pairs = ARENA_ARRAY(r->arena, struct http_pair, x->nheaders);
	r->npairs = x->nheaders;
	for (size_t i = 0; i < x->nheaders; i++)
		r->pairs[i] = (struct http_pair){ arena_str(r->arena, x->headers[i].name),
			arena_str(r->arena, x->headers[i].value) };
	r->body = x->upload ? stream_ref(x->upload) : NULL;
	r->gone = stream_ref(x->gone);
	return r;
}

/* A token that is not valid is the handler's business (section 6.1): its getUserIdentity()
 * throws. */
static struct identity *
identity_of(struct api *a, struct http_exchange *x)
{
	struct err       e = err_in(x->arena);
	struct identity *id;

	if (auth_header(a->opts.auth, http_header(x, "authorization"), (str){ NULL, 0 }, &id,
	        &e) == ST_OK)
		return id;
	return identity_failed(e.text);
}

static void
unref_call(void *call)
{
	fn_call_unref(call);
}

static struct fn_call *
call_new(struct api *a, struct http_exchange *x, struct http_request *r)
{
	struct fn_call *c = fn_call_new();
	str             ip = api_client_ip(x), agent = api_user_agent(x);

	c->want = WANT_ACTION;
	c->path = arena_fmt(c->arena, "%.*s %.*s", STR_ARG(r->method), STR_ARG(r->path));
	c->args_json = S("[]");
	c->identity = identity_of(a, x);
	c->caller = CALLER_HTTP_API;
	c->internal_ok = true;
	c->request_id = fn_request_id(c->arena, a->opts.os);
	c->client_ip = ip.p ? arena_str(c->arena, ip) : ip;
	c->client_user_agent = agent.p ? arena_str(c->arena, agent) : agent;
	c->redact = a->opts.redact;
	c->http = r;
	return c;
}

/* In the core's turn. */
static void
http_begin(struct post *p)
{
	struct http_exchange   *x = api_exchange(p);
	struct http_call_state *s = x->state;

	if (!api_enter(s->api, x))
		return;
	s->request = http_request_ref(s->call->http);
	(void)runner_call(s->api->opts.runner, s->call, http_done, s);
}

void
api_http_action(struct api *a, struct http_exchange *x)
{
	struct http_request    *r;
	struct http_call_state *s;

	if (x->verb == VERB_OTHER) {
		http_reply_text(x, 405, S("Method Not Allowed"));
		api_done(x);
		return;
	}
	r = request_new(a, x);
	s = ARENA_NEW(r->arena, struct http_call_state);
	s->api = a;
	s->x = x;
	s->call = call_new(a, x, r); /* has the reference to r */
	arena_on_free(x->arena, unref_call, s->call);
	r->answer = http_answer;
	r->arg = s;
	x->state = s;
	api_post(a, x, http_begin);
}
