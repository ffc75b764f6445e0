/* session.h - one WebSocket client, as a state machine without sockets.
 *
 * Implements the sync worker of spec 01 section 7: messages in, messages out, everything else
 * through the runner.  Rules of section 5 that shape the code: the version chain, one
 * timestamp per transition, responses before effects, nothing before it is durable.
 *
 * Thread: the loop thread.  Memory: one session; at most 2 transitions in the outgoing buffer.
 */
#ifndef SYNC_SESSION_H
#define SYNC_SESSION_H

#include "auth/auth.h"
#include "base/blob.h"
#include "functions/runner.h"

struct session;

/* Neither may call back into the session or free it: later, from the owner's own loop. */
struct session_io {
	void *arg;
	/* A text message for the client; takes the reference.  `transition`: tell
	 * session_sent() when it left, so that at most two wait. */
	void (*send)(void *arg, struct blob *message, bool transition);
	/* Close: code 0 means an empty close frame.  Nothing is sent afterwards; the session
	 * is freed by its owner. */
	void (*close)(void *arg, int code, str reason);
};

struct session_opts {
	struct runner   *runner;
	struct auth     *auth;
	const struct os *os;
	struct session_io io;
	str  client;         /* "npm-1.48.0"; empty: unknown */
	str  ip, user_agent; /* p == NULL: unknown */
	bool redact;
};

struct session *session_new(const struct session_opts *opts);
void            session_free(struct session *s); /* gone clients: queued mutations are dropped */

void session_message(struct session *s, str text);   /* one text message from the client */
void session_sent(struct session *s);                /* one transition left the outgoing buffer */
/* Advances timers (app-level Ping after 15 s of silence); returns the monotonic ns of the next
 * timer, UINT64_MAX: none.  Events may bring a timer forward: tick at least once a second. */
uint64_t session_tick(struct session *s, uint64_t mono_ns);

#endif
