/* http_server.h - the loop thread: sockets around http_conn, and the core's turns between them.
 *
 * One thread, one libuv loop, two listening ports.  Requests go to the app as they are read; it
 * answers them there or posts them to the core, and http_server_answer() brings them back from
 * any thread.  WebSockets are links: the net side knows the socket, the core side the session,
 * and events and frames travel between them.
 *
 * After each round of reading the loop gives the core a turn, and then writes what came of it.
 * (The core once had a thread of its own.  It was busy 6 % of the time, and each request paid two
 * more wake-ups of a sleeping processor for it, twice what running the function costs.)
 *
 * Thread: made, run and freed by the main thread; see each function.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/blob.h"
#include "net/http_conn.h"
#include "net/post.h"

struct http_server;

/* One WebSocket, known to both sides.  Reference-counted. */
struct ws_link {
	_Atomic uint32_t    refs;
	struct http_server *server;
	void               *net;  /* the connection */
	void               *core; /* the session */
};

enum ws_event_kind { WS_OPENED, WS_MESSAGE, WS_SENT, WS_OVER };

/* What happened to a link, on its way to the core.  Its bytes die with it. */
struct ws_event {
	struct post        post;
	enum ws_event_kind kind;
	struct ws_link    *link;      /* one reference */
	struct buf         text;      /* MESSAGE */
	size_t             marks;     /* SENT */
	struct arena      *arena;     /* OPENED: of the strings below */
	str                client;    /* "npm-1.48.0"; empty: unknown */
	str                ip, user_agent; /* p == NULL: unknown */
};

struct http_app {
	void *arg;
	/* While reading: */
	void (*head)(void *arg, struct http_exchange *x, struct http_rule *ret);
	void (*request)(void *arg, struct http_exchange *x);
	void (*ws_describe)(void *arg, const struct http_exchange *x, struct ws_event *ev);
	/* In the core's turn; the event is borrowed. */
	void (*ws_event)(void *arg, struct ws_event *ev);
};

struct http_server_opts {
	const char      *interface; /* IPv4 address */
	int              port, site_port;  /* 0: any free one (tests) */
	struct http_app  app;
	struct core_port core;
	/* The core's turn, between reading and writing: handles what was posted and returns the
	 * monotonic ns of when it wants the next one at the latest; UINT64_MAX: when it is woken.
	 */
	uint64_t       (*turn)(void *arg);
	void            *turn_arg;
	const struct os *os;
	uint64_t         request_timeout_ms; /* 0: 300 s */
	size_t           connections_max;    /* 0: 10,000 */
	size_t           bytes_max;          /* bodies and output of all connections; 0: 1 GiB */
};

/* Binds and listens; nothing is accepted before http_server_run().  OPERATIONAL with the address
 * and the reason. */
NODISCARD status http_server_new(const struct http_server_opts *opts, struct http_server **ret,
    struct err *e);
/* Serves, on the calling thread, until http_server_stop() and at most a second of sending. */
void http_server_run(struct http_server *s);
void http_server_free(struct http_server *s); /* no post may be left */
int  http_server_port(const struct http_server *s, bool site);

/* --- any thread --- */

void http_server_wake(struct http_server *s); /* the core wants a turn */
void http_server_stop(struct http_server *s);
void http_server_answer(struct http_exchange *x); /* with its reply */
void http_server_refuse_new(struct http_server *s); /* closes the listening sockets */
/* Takes the reference to `text`; mark: a WS_SENT follows when it has left. */
void ws_link_send(struct ws_link *l, struct blob *text, bool mark);
void ws_link_close(struct ws_link *l, int code, str reason);
struct ws_link *ws_link_ref(struct ws_link *l);
void            ws_link_unref(struct ws_link *l); /* NULL is fine */

#endif
