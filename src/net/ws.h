/* ws.h - the server's side of one WebSocket, without its socket (RFC 6455, spec 01 section 2).
 *
 * Bytes go in, whole text messages come out; frames to send are appended to an out.  Pings are
 * answered here.  Whatever breaks the framing, binary messages included, closes with 1011.
 *
 * Thread: the loop thread.  Memory: one incoming message, at most its maximum.
 */
#ifndef NET_WS_H
#define NET_WS_H

#include "base/blob.h"
#include "net/out.h"

#define WS_MESSAGE_MAX ((size_t)64 << 20)
#define WS_FRAME_MAX   ((size_t)16 << 20)

struct ws_host {
	void *arg;
	void (*message)(void *arg, struct buf *text); /* may take the bytes */
	/* The conversation is over: the peer closed or broke it.  Once; not after ws_close(). */
	void (*over)(void *arg);
};

struct ws;

struct ws *ws_new(const struct ws_host *host, struct out *out);
void       ws_free(struct ws *w); /* NULL is fine */

void ws_feed(struct ws *w, str bytes);
/* Takes the reference. */
void ws_send(struct ws *w, struct blob *text);
void ws_ping(struct ws *w);
/* Code 0: an empty close frame.  Nothing is sent afterwards. */
void ws_close(struct ws *w, int code, str reason);
bool ws_open(const struct ws *w);     /* no close frame has been sent */
bool ws_finished(const struct ws *w); /* both sides have closed, or the peer cannot any more */
size_t ws_held(const struct ws *w);   /* bytes of the incomplete message */

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
void ws_accept_key(struct buf *out, str key);

#endif
