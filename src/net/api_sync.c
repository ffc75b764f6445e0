/* api_sync.c - WebSockets and the sessions behind them (spec 01 section 2).
 *
 * The handshake is checked as it is read.  In the core each link has a session: its
 * events go in, and what it sends goes out through the link.  A session that closes is freed
 * from api_settle(), never from inside its own call.
 *
 * Thread: stated at each part.  Memory: struct api_session per open WebSocket.
 */
#include "base/mem.h"
#include "net/api_int.h"

#define TICK_NS 1000000000ull /* sessions want to be ticked at least so often */

struct api_session {
	struct link     link;
	struct api     *api;
	struct ws_link *ws;      /* one reference */
	struct session *session;
	bool            ended;   /* closed from either side: to be freed */
};

/* --- while reading --- */

static bool
has_token(str list, str token)
{
	while (list.n > 0) {
		size_t at = list.n;

		(void)str_find_char(list, ',', &at);
		if (str_eq_nocase(str_trim(str_head(list, at)), token))
			return true;
		list = str_from(list, at + 1);
	}
	return false;
}

static status
check_handshake(const struct http_exchange *x, str version_segment, struct err *e)
{
	struct client client;
	str           header = http_header(x, "convex-client");

	TRY(client_parse(header, &client, e));
	if (!header.p && version_segment.p)
		TRY(client_parse_path(version_segment, &client, e));
	if (x->verb != VERB_GET)
		return err_set(e, ST_BAD_REQUEST, "MethodNotGet", "Request method must be `GET`");
	if (!has_token(http_header(x, "connection"), S("upgrade")))
		return err_set(e, ST_BAD_REQUEST, "InvalidConnectionHeader",
		    "Connection header did not include 'upgrade'");
	if (!has_token(http_header(x, "upgrade"), S("websocket")))
		return err_set(e, ST_BAD_REQUEST, "InvalidUpgradeHeader",
		    "`Upgrade` header did not include 'websocket'");
	if (!str_eq(http_header(x, "sec-websocket-version"), S("13")))
		return err_set(e, ST_BAD_REQUEST, "InvalidWebSocketVersionHeader",
		    "`Sec-WebSocket-Version` header did not include '13'");
	if (http_header(x, "sec-websocket-key").n == 0)
		return err_set(e, ST_BAD_REQUEST, "WebSocketKeyHeaderMissing",
		    "`Sec-WebSocket-Key` header missing");
	return ST_OK;
}

bool
api_sync_head(struct http_exchange *x, str version_segment)
{
	struct err e = err_in(x->arena);

	if (check_handshake(x, version_segment, &e) == ST_OK)
		return true;
	http_reply_err(x, &e);
	return false;
}

void
api_sync_describe(void *arg, const struct http_exchange *x, struct ws_event *ev)
{
	str header = http_header(x, "convex-client");
	str ip = api_client_ip(x), agent = api_user_agent(x);
	str rest = str_from(x->path, 5); /* behind "/api/" */

	(void)arg;
	if (header.p)
		ev->client = arena_str(ev->arena, header);
	else if (rest.n > 5)
		ev->client = arena_fmt(ev->arena, "npm-%.*s", (int)(rest.n - 5), rest.p);
	else
		ev->client = STR_EMPTY;
	ev->ip = ip.p ? arena_str(ev->arena, ip) : ip;
	ev->user_agent = agent.p ? arena_str(ev->arena, agent) : agent;
}

/* --- in the core's turn --- */

static void
io_send(void *arg, struct blob *message, bool transition)
{
	struct api_session *s = arg;

	if (s->ended)
		blob_unref(message);
	else
		ws_link_send(s->ws, message, transition);
}

static void
end(struct api_session *s)
{
	s->ended = true;
	s->api->sessions_ended = true;
}

static void
io_close(void *arg, int code, str reason)
{
	struct api_session *s = arg;

	if (s->ended)
		return;
	ws_link_close(s->ws, code, reason);
	end(s);
}

static void
session_start(struct api *a, struct ws_event *ev)
{
	struct api_session *s;

	if (a->stopping) {
		ws_link_close(ev->link, 1001, STR_EMPTY);
		return;
	}
	s = MEM_NEW(struct api_session);
	s->api = a;
	s->ws = ws_link_ref(ev->link);
	ev->link->core = s;
	link_before(&a->sessions, &s->link);
	s->session = session_new(&(struct session_opts){
	    .runner = a->opts.runner,
	    .auth = a->opts.auth,
	    .os = a->opts.os,
	    .io = { .arg = s, .send = io_send, .close = io_close },
	    .client = ev->client,
	    .ip = ev->ip,
	    .user_agent = ev->user_agent,
	    .redact = a->opts.redact,
	});
	if (a->next_tick_ns == UINT64_MAX)
		a->next_tick_ns = os_mono_ns(a->opts.os) + TICK_NS;
}

void
api_sync_event(void *arg, struct ws_event *ev)
{
	struct api         *a = arg;
	struct api_session *s = ev->link->core;

	if (ev->kind == WS_OPENED) {
		session_start(a, ev);
		return;
	}
	if (!s || s->ended)
		return;
	if (ev->kind == WS_MESSAGE)
		session_message(s->session, buf_str(&ev->text));
	else if (ev->kind == WS_OVER)
		end(s);
	for (size_t i = 0; ev->kind == WS_SENT && i < ev->marks && !s->ended; i++)
		session_sent(s->session);
}

static void
session_end_free(struct api_session *s)
{
	link_leave(&s->link);
	s->ws->core = NULL;
	session_free(s->session);
	ws_link_unref(s->ws);
	mem_free(s);
}

void
api_sync_settle(struct api *a)
{
	struct link *l, *next;

	for (l = a->sessions.next; l != &a->sessions; l = next) {
		struct api_session *s = LINK_OWNER(l, struct api_session, link);

		next = l->next;
		if (s->ended)
			session_end_free(s);
	}
}

uint64_t
api_sync_tick(struct api *a, uint64_t mono_ns)
{
	uint64_t     next = UINT64_MAX;
	struct link *l;

	for (l = a->sessions.next; l != &a->sessions; l = l->next) {
		struct api_session *s = LINK_OWNER(l, struct api_session, link);
		uint64_t            at = s->ended ? UINT64_MAX : session_tick(s->session, mono_ns);

		next = at < next ? at : next;
		if (mono_ns + TICK_NS < next)
			next = mono_ns + TICK_NS;
	}
	return next;
}

void
api_sync_stop(struct api *a)
{
	struct link *l;

	for (l = a->sessions.next; l != &a->sessions; l = l->next)
		io_close(LINK_OWNER(l, struct api_session, link), 1001, STR_EMPTY);
}
