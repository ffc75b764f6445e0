/* http_server.c - the loop thread: see http_server.h.
 *
 * Commands to this thread are a linked list under a lock; another thread that makes it non-empty
 * wakes the loop.  After the core's turn the loop takes the whole list, lets every connection of
 * the batch gather its output, and then writes each once: uv_try_write first, and only what the
 * kernel did not take goes through uv_write.
 *
 * The list has no bound of its own: a request has one answer, and a session at most two
 * transitions and its responses waiting.
 *
 * Thread: the loop thread, except where http_server.h says "any".
 * Memory: one struct conn per socket.
 */
#include <stdatomic.h>
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "os/os.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"

#define READ_BUFFER  65536
#define IOV_MAX_USED 64
#define BACKLOG      1024
#define TICK_MS      1000
#define STOP_MS      1000
#define CONNECTIONS_DEFAULT 10000
#define BYTES_DEFAULT ((size_t)1 << 30)
#define CONN_FAIR_BYTES ((size_t)1 << 20) /* a connection below it is never refused for memory */

static struct metric m_requests =
    METRIC_COUNTER("fresnel_http_requests_total", "requests received");
static struct metric m_conns = METRIC_GAUGE("fresnel_connections", "open client connections");
static struct metric m_refused = METRIC_COUNTER("fresnel_connections_refused_total",
    "connections refused because there were too many");

enum command_kind { CMD_ANSWER, CMD_RESUME, CMD_SEND, CMD_CLOSE, CMD_REFUSE_NEW, CMD_STOP };

struct link_command { /* SEND, CLOSE */
	struct net_command command;
	struct ws_link    *link; /* one reference */
	struct blob       *text; /* SEND: the frame; CLOSE: the reason */
	bool               mark;
	int                code;
};

struct listener {
	uv_tcp_t            tcp;
	struct http_server *server;
	bool                site;
	int                 port;
};

struct http_server {
	struct http_server_opts opts;
	uv_loop_t       loop;
	struct listener listeners[2];
	uv_async_t      async;
	uv_prepare_t    prepare;
	uv_timer_t      due; /* the core's next turn */
	uv_timer_t      tick, stop_timer;
	pthread_t       thread; /* that runs the loop */
	bool            posted; /* to the core, since its last turn */
	char           *read_buffer;
	struct conn    *conns; /* doubly linked */
	struct conn    *dirty; /* singly linked: have output to send */
	size_t          nconns;
	size_t          held;  /* bytes of all connections */
	bool            accepting, stopping;
	bool            closed; /* the loop is about to end */
	uint64_t        stop_deadline_ms;

	pthread_mutex_t     lock; /* guards the commands */
	struct net_command *commands, **commands_end;
};

struct conn {
	uv_tcp_t            tcp;
	uv_write_t          write;
	uv_shutdown_t       shutdown;
	struct http_server *server;
	struct http_conn   *http;
	struct ws_link     *link; /* one reference; NULL: no WebSocket */
	struct conn        *prev, *next, *next_dirty;
	size_t              held; /* as counted in server->held */
	size_t              write_bytes;
	bool                is_dirty, reading, writing, shut, closed;
	struct net_command  resume;   /* on the list, or not */
	bool                resuming; /* on it; guarded by the server's lock */
	bool                over;     /* libuv is done with it */
};

/* --- commands, from any thread --- */

/* With the lock held.  True: the loop may have to be woken. */
static bool
command_add(struct http_server *s, struct net_command *cmd, enum command_kind kind)
{
	bool first = !s->commands;

	cmd->next = NULL;
	cmd->kind = (int)kind;
	*s->commands_end = cmd;
	s->commands_end = &cmd->next;
	return first;
}

/* The loop itself looks at the list before it sleeps. */
static void
loop_wake(struct http_server *s)
{
	if (!pthread_equal(pthread_self(), s->thread))
		uv_async_send(&s->async);
}

static void
command_push(struct http_server *s, struct net_command *cmd, enum command_kind kind)
{
	bool wake;

	{
		MUTEX_GUARD(&s->lock);
		wake = command_add(s, cmd, kind);
	}
	if (wake)
		loop_wake(s);
}

void
http_server_wake(struct http_server *s)
{
	uv_async_send(&s->async);
}

void
http_server_answer(struct http_exchange *x)
{
	must(x->status != 0);
	command_push(x->server, &x->command, CMD_ANSWER);
}

static struct link_command *
link_command(struct ws_link *l, struct blob *text)
{
	struct link_command *c = MEM_NEW(struct link_command);

	c->link = ws_link_ref(l);
	c->text = text;
	return c;
}

void
ws_link_send(struct ws_link *l, struct blob *text, bool mark)
{
	struct link_command *c = link_command(l, text);

	c->mark = mark;
	command_push(l->server, &c->command, CMD_SEND);
}

void
ws_link_close(struct ws_link *l, int code, str reason)
{
	struct link_command *c = link_command(l, blob_new(reason));

	c->code = code;
	command_push(l->server, &c->command, CMD_CLOSE);
}

struct ws_link *
ws_link_ref(struct ws_link *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void
ws_link_unref(struct ws_link *l)
{
	if (l && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
		mem_free(l);
}

void
http_server_refuse_new(struct http_server *s)
{
	command_push(s, MEM_NEW(struct net_command), CMD_REFUSE_NEW);
}

/* --- events, to the core --- */

static void
ws_event_free(struct ws_event *ev)
{
	buf_clear(&ev->text);
	arena_free(ev->arena);
	ws_link_unref(ev->link);
	mem_free(ev);
}

static void
ws_event_run(struct post *p)
{
	struct ws_event    *ev = (struct ws_event *)p; /* the post is its first member */
	struct http_server *s = ev->link->server;

	s->opts.app.ws_event(s->opts.app.arg, ev);
	ws_event_free(ev);
}

static struct ws_event *
ws_event_new(struct ws_link *l, enum ws_event_kind kind)
{
	struct ws_event *ev = MEM_NEW(struct ws_event);

	ev->post.run = ws_event_run;
	ev->kind = kind;
	ev->link = ws_link_ref(l);
	buf_init(&ev->text, BUF_MAX_DEFAULT);
	return ev;
}

static void
ws_event_post(struct http_server *s, struct ws_event *ev)
{
	if (s->stopping) { /* the core has ended its sessions before it stops us */
		ws_event_free(ev);
		return;
	}
	s->posted = true;
	s->opts.core.post(s->opts.core.arg, &ev->post);
}

/* --- the app's side of a connection --- */

static void
host_wake(void *arg)
{
	struct conn        *c = arg;
	struct http_server *s = c->server;
	bool                wake;

	{
		MUTEX_GUARD(&s->lock);
		if (c->resuming)
			return;
		c->resuming = true;
		wake = command_add(s, &c->resume, CMD_RESUME);
	}
	if (wake)
		uv_async_send(&s->async); /* on the loop's own thread too: see run_commands() */
}

static void
host_head(void *arg, struct http_exchange *x, struct http_rule *ret)
{
	struct conn *c = arg;

	x->server = c->server;
	c->server->opts.app.head(c->server->opts.app.arg, x, ret);
}

static void
host_request(void *arg, struct http_exchange *x)
{
	struct conn *c = arg;

	metric_add(&m_requests, 1);
	c->server->opts.app.request(c->server->opts.app.arg, x);
}

static void
host_ws_open(void *arg, const struct http_exchange *x)
{
	struct conn     *c = arg;
	struct ws_event *ev;

	c->link = MEM_NEW(struct ws_link);
	atomic_init(&c->link->refs, 1);
	c->link->server = c->server;
	c->link->net = c;
	ev = ws_event_new(c->link, WS_OPENED);
	ev->arena = arena_new();
	c->server->opts.app.ws_describe(c->server->opts.app.arg, x, ev);
	ws_event_post(c->server, ev);
}

static void
host_ws_message(void *arg, struct buf *text)
{
	struct conn     *c = arg;
	struct ws_event *ev = ws_event_new(c->link, WS_MESSAGE);

	ev->text = *text;
	buf_init(text, text->max);
	ws_event_post(c->server, ev);
}

static void
host_ws_over(void *arg)
{
	struct conn *c = arg;

	if (c->link)
		ws_event_post(c->server, ws_event_new(c->link, WS_OVER));
}

/* --- sockets --- */

static void conn_settle(struct conn *c);

/* libuv and the list of commands have let it go. */
static void
conn_free(struct conn *c)
{
	bool resuming;

	{
		MUTEX_GUARD(&c->server->lock);
		resuming = c->resuming;
	}
	if (c->over && !resuming)
		mem_free(c);
}

static void
conn_closed(uv_handle_t *h)
{
	struct conn        *c = h->data;
	struct http_server *s = c->server;

	http_conn_free(c->http); /* the last that could have it resumed */
	c->http = NULL;
	c->over = true;
	ws_link_unref(c->link);
	s->held -= c->held;
	s->nconns--;
	metric_set(&m_conns, (int64_t)s->nconns);
	if (s->nconns == 0)
		uv_timer_stop(&s->tick);
	conn_free(c);
}

static void
conn_close(struct conn *c)
{
	struct http_server *s = c->server;

	if (c->closed)
		return;
	c->closed = true;
	http_conn_eof(c->http); /* a session learns that its client is gone */
	if (c->link)
		c->link->net = NULL;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void
conn_count(struct conn *c)
{
	size_t held = http_conn_held(c->http);

	c->server->held += held - c->held;
	c->held = held;
}

static void
conn_wrote(struct conn *c, size_t n)
{
	size_t marks = http_conn_wrote(c->http, n, uv_now(&c->server->loop));

	if (marks > 0 && c->link) {
		struct ws_event *ev = ws_event_new(c->link, WS_SENT);

		ev->marks = marks;
		ws_event_post(c->server, ev);
	}
}

static void
on_written(uv_write_t *req, int result)
{
	struct conn *c = req->data;

	c->writing = false;
	if (c->closed)
		return;
	if (result < 0) {
		conn_close(c);
		return;
	}
	conn_wrote(c, c->write_bytes);
	conn_settle(c);
}

/* Leaves the rest of the output to libuv. */
static void
write_later(struct conn *c, const uv_buf_t *bufs, size_t n)
{
	c->write_bytes = 0;
	for (size_t i = 0; i < n; i++)
		c->write_bytes += bufs[i].len;
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, (unsigned)n, on_written) == 0)
		c->writing = true;
	else
		conn_close(c);
}

static void
conn_flush(struct conn *c)
{
	while (!c->writing && !c->closed && http_conn_unsent(c->http) > 0) {
		struct iovec iov[IOV_MAX_USED];
		size_t       n = http_conn_iov(c->http, iov, IOV_MAX_USED);
		uv_buf_t     bufs[IOV_MAX_USED];
		int          sent;

		for (size_t i = 0; i < n; i++)
			bufs[i] = uv_buf_init(iov[i].iov_base, (unsigned)iov[i].iov_len);
		sent = uv_try_write((uv_stream_t *)&c->tcp, bufs, (unsigned)n);
		if (sent > 0)
			conn_wrote(c, (size_t)sent);
		else if (sent == UV_EAGAIN)
			write_later(c, bufs, n);
		else
			conn_close(c);
	}
}

static void
on_shutdown(uv_shutdown_t *req, int result)
{
	(void)req;
	(void)result; /* the tick closes what lingers */
}

static void
on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct conn *c = h->data;

	(void)suggested; /* one buffer serves all: its bytes are consumed at once */
	*ret = uv_buf_init(c->server->read_buffer, READ_BUFFER);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn        *c = stream->data;
	struct http_server *s = c->server;

	if (n == 0 || c->closed)
		return;
	if (n == UV_EOF) {
		http_conn_eof(c->http);
	} else if (n < 0) {
		conn_close(c);
		return;
	} else {
		http_conn_feed(c->http, str_of(buf->base, (size_t)n), uv_now(&s->loop));
		conn_count(c);
		if (s->held > s->opts.bytes_max && c->held > CONN_FAIR_BYTES)
			http_conn_refuse(c->http, 503, "TooManyConcurrentRequests",
			    "The server has no memory for another large request. Try again later.");
	}
	conn_settle(c);
}

/* Sends what is there and brings the socket to what the connection wants now. */
static void
conn_settle(struct conn *c)
{
	enum http_phase phase;
	bool            want;

	conn_flush(c);
	if (c->closed)
		return;
	conn_count(c);
	phase = http_conn_phase(c->http);
	if (phase == HTTP_DEAD) {
		conn_close(c);
		return;
	}
	if (phase == HTTP_LINGER && !c->shut && !c->writing) {
		c->shut = true;
		uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown);
	}
	want = http_conn_wants_input(c->http);
	if (want && !c->reading)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else if (!want && c->reading)
		uv_read_stop((uv_stream_t *)&c->tcp);
	c->reading = want;
}

static void
on_tick(uv_timer_t *timer)
{
	struct http_server *s = timer->data;
	struct conn        *c, *next;

	for (c = s->conns; c; c = next) {
		next = c->next;
		if (http_conn_tick(c->http, uv_now(&s->loop)))
			conn_settle(c);
		else
			conn_close(c);
	}
}

static str
peer_text(uv_tcp_t *tcp, char ret[64])
{
	struct sockaddr_storage addr;
	int                     n = sizeof addr;

	if (uv_tcp_getpeername(tcp, (struct sockaddr *)&addr, &n) != 0 ||
	    addr.ss_family != AF_INET || uv_ip4_name((struct sockaddr_in *)&addr, ret, 64) != 0)
		return STR_EMPTY;
	return str_z(ret);
}

static void
conn_open(struct http_server *s, struct conn *c, bool site)
{
	struct http_conn_opts opts = { .host = { c, host_head, host_request, host_ws_open,
		                           host_ws_message, host_ws_over, host_wake },
		.now_ms = uv_now(&s->loop), .request_timeout_ms = s->opts.request_timeout_ms,
		.site = site };
	char peer[64];

	opts.peer = peer_text(&c->tcp, peer);
	c->http = http_conn_new(&opts);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	if (s->nconns++ == 0)
		uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
	metric_set(&m_conns, (int64_t)s->nconns);
	uv_tcp_nodelay(&c->tcp, 1);
	conn_settle(c);
}

static void
free_handle(uv_handle_t *h)
{
	mem_free(h->data);
}

static void
on_connection(uv_stream_t *stream, int result)
{
	struct listener    *l = stream->data;
	struct http_server *s = l->server;
	struct conn        *c;

	if (result < 0) {
		log_warn("accepting a connection failed: %s", uv_strerror(result));
		return;
	}
	c = MEM_NEW(struct conn);
	c->server = s;
	must(uv_tcp_init(&s->loop, &c->tcp) == 0);
	c->tcp.data = c;
	if (uv_accept(stream, (uv_stream_t *)&c->tcp) != 0 ||
	    s->nconns >= s->opts.connections_max) {
		metric_add(&m_refused, 1);
		uv_close((uv_handle_t *)&c->tcp, free_handle);
		return;
	}
	conn_open(s, c, l->site);
}

/* --- commands, on the loop thread --- */

static void
make_dirty(struct http_server *s, struct conn *c)
{
	if (c->is_dirty || c->closed)
		return;
	c->is_dirty = true;
	c->next_dirty = s->dirty;
	s->dirty = c;
}

static void
run_answer(struct http_server *s, struct http_exchange *x)
{
	struct conn *c = x->conn ? http_conn_owner(x->conn) : NULL;

	http_conn_answer(x);
	if (c)
		make_dirty(s, c);
}

static void
run_resume(struct http_server *s, struct conn *c)
{
	{
		MUTEX_GUARD(&s->lock);
		c->resuming = false; /* what comes from now on is news */
	}
	if (c->over) {
		conn_free(c);
	} else if (!c->closed) {
		http_conn_resume(c->http, uv_now(&s->loop));
		make_dirty(s, c);
	}
}

static void
run_link(struct http_server *s, struct link_command *cmd)
{
	struct conn *c = cmd->link->net;

	if (c && cmd->command.kind == CMD_SEND) {
		http_conn_ws_send(c->http, cmd->text, cmd->mark);
		cmd->text = NULL; /* the connection's */
	} else if (c) {
		http_conn_ws_close(c->http, cmd->code, blob_str(cmd->text));
	}
	if (c)
		make_dirty(s, c);
	blob_unref(cmd->text);
	ws_link_unref(cmd->link);
	mem_free(cmd);
}

static void
refuse_new(struct http_server *s)
{
	if (!s->accepting)
		return;
	s->accepting = false;
	for (size_t i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&s->listeners[i].tcp, NULL);
}

static void
finish(struct http_server *s)
{
	s->closed = true;
	while (s->conns)
		conn_close(s->conns);
	uv_close((uv_handle_t *)&s->async, NULL);
	uv_close((uv_handle_t *)&s->prepare, NULL);
	uv_close((uv_handle_t *)&s->due, NULL);
	uv_close((uv_handle_t *)&s->tick, NULL);
	uv_close((uv_handle_t *)&s->stop_timer, NULL);
}

/* Every 20 ms while stopping: done when everything is sent, or after STOP_MS. */
static void
on_stop_timer(uv_timer_t *timer)
{
	struct http_server *s = timer->data;
	size_t              unsent = 0;

	for (struct conn *c = s->conns; c; c = c->next)
		unsent += http_conn_unsent(c->http);
	if (unsent == 0 || uv_now(&s->loop) >= s->stop_deadline_ms)
		finish(s);
}

static void
stop(struct http_server *s)
{
	struct conn *c, *next;

	if (s->stopping)
		return;
	s->stopping = true;
	s->stop_deadline_ms = uv_now(&s->loop) + STOP_MS;
	refuse_new(s);
	for (c = s->conns; c; c = next) {
		next = c->next;
		if (c->link)
			http_conn_ws_close(c->http, 1001, STR_EMPTY);
		else
			http_conn_drain(c->http);
		conn_settle(c);
	}
	uv_timer_start(&s->stop_timer, on_stop_timer, 0, 20);
}

static void
run_command(struct http_server *s, struct net_command *cmd)
{
	switch ((enum command_kind)cmd->kind) {
	case CMD_ANSWER:
		run_answer(s, (struct http_exchange *)((char *)cmd -
		                  offsetof(struct http_exchange, command)));
		return;
	case CMD_RESUME:
		run_resume(s, (struct conn *)((char *)cmd - offsetof(struct conn, resume)));
		return;
	case CMD_SEND:
	case CMD_CLOSE:
		run_link(s, (struct link_command *)cmd);
		return;
	case CMD_REFUSE_NEW:
		refuse_new(s);
		break;
	case CMD_STOP:
		stop(s);
		break;
	}
	mem_free(cmd);
}

static struct net_command *
commands_take(struct http_server *s)
{
	struct net_command *list;

	MUTEX_GUARD(&s->lock);
	list = s->commands;
	s->commands = NULL;
	s->commands_end = &s->commands;
	return list;
}

static void
run_commands(struct http_server *s)
{
	struct net_command *cmd = commands_take(s), *next;

	for (; cmd; cmd = next) { /* what these add waits for the next round */
		next = cmd->next;
		run_command(s, cmd);
	}
	while (s->dirty) {
		struct conn *c = s->dirty;

		s->dirty = c->next_dirty;
		c->is_dirty = false;
		if (!c->closed)
			conn_settle(c);
	}
}

/* --- the core's turns --- */

static void
on_async(uv_async_t *async)
{
	(void)async; /* on_prepare() comes before the next sleep */
}

static void
on_due(uv_timer_t *timer)
{
	(void)timer;
}

static void
wake_at(struct http_server *s, uint64_t due_ns)
{
	uint64_t now = os_mono_ns(s->opts.os);

	if (due_ns == UINT64_MAX)
		uv_timer_stop(&s->due);
	else
		uv_timer_start(
		    &s->due, on_due, due_ns <= now ? 0 : (due_ns - now) / 1000000 + 1, 0);
}

/* Before the loop sleeps: the core's turn, then what it and others want written.  What was
 * written may be news to the core. */
static void
on_prepare(uv_prepare_t *prepare)
{
	struct http_server *s = prepare->data;
	uint64_t            due;

	do {
		s->posted = false;
		due = s->opts.turn(s->opts.turn_arg);
		run_commands(s);
	} while (s->posted);
	if (!s->closed)
		wake_at(s, due);
}

/* --- life --- */

static status
listen_on(struct http_server *s, struct listener *l, bool site, struct err *e)
{
	struct sockaddr_in addr;
	int                n = sizeof addr, r;
	int                port = site ? s->opts.site_port : s->opts.port;

	l->server = s;
	l->site = site;
	l->tcp.data = l;
	r = uv_ip4_addr(s->opts.interface, port, &addr);
	if (r == 0)
		r = uv_tcp_bind(&l->tcp, (struct sockaddr *)&addr, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (r == 0)
		r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&addr, &n);
	if (r != 0)
		return err_set(e, ST_OPERATIONAL, "ListenFailed",
		    "cannot listen on %s:%d: %s (choose "
		    "another one with --%s or --interface)",
		    s->opts.interface, port, uv_strerror(r), site ? "site-proxy-port" : "port");
	l->port = ntohs(addr.sin_port);
	return ST_OK;
}

static void
loop_init(struct http_server *s)
{
	must(uv_loop_init(&s->loop) == 0);
	must(uv_async_init(&s->loop, &s->async, on_async) == 0);
	must(uv_prepare_init(&s->loop, &s->prepare) == 0);
	must(uv_timer_init(&s->loop, &s->due) == 0);
	must(uv_timer_init(&s->loop, &s->tick) == 0);
	must(uv_timer_init(&s->loop, &s->stop_timer) == 0);
	for (size_t i = 0; i < 2; i++)
		must(uv_tcp_init(&s->loop, &s->listeners[i].tcp) == 0);
	s->async.data = s->prepare.data = s->tick.data = s->stop_timer.data = s;
	s->accepting = true;
}

void
http_server_free(struct http_server *s)
{
	struct net_command *cmd, *next;

	for (cmd = commands_take(s); cmd; cmd = next) { /* what came after the loop's end */
		next = cmd->next;
		run_command(s, cmd);
	}
	must(uv_loop_close(&s->loop) == 0);
	pthread_mutex_destroy(&s->lock);
	mem_free(s->read_buffer);
	mem_free(s);
}

status
http_server_new(const struct http_server_opts *opts, struct http_server **ret, struct err *e)
{
	struct http_server *s = MEM_NEW(struct http_server);
	status              st;

	s->opts = *opts;
	if (!s->opts.connections_max)
		s->opts.connections_max = CONNECTIONS_DEFAULT;
	if (!s->opts.bytes_max)
		s->opts.bytes_max = BYTES_DEFAULT;
	s->commands_end = &s->commands;
	must(pthread_mutex_init(&s->lock, NULL) == 0);
	s->read_buffer = mem_alloc(READ_BUFFER);
	loop_init(s);
	st = listen_on(s, &s->listeners[0], false, e);
	if (st == ST_OK)
		st = listen_on(s, &s->listeners[1], true, e);
	if (st == ST_OK) {
		*ret = s;
		return ST_OK;
	}
	refuse_new(s);
	finish(s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	http_server_free(s);
	return st;
}

void
http_server_run(struct http_server *s)
{
	s->thread = pthread_self();
	must(uv_prepare_start(&s->prepare, on_prepare) == 0);
	uv_run(&s->loop, UV_RUN_DEFAULT);
}

void
http_server_stop(struct http_server *s)
{
	command_push(s, MEM_NEW(struct net_command), CMD_STOP);
}

int
http_server_port(const struct http_server *s, bool site)
{
	return s->listeners[site].port;
}
