/* peer.h - the other end of a fetch: a server of a few misbehaving pages, on a thread per socket.
 *
 * A page is a function that gets the request's head and the socket, and writes what it likes.
 */
#ifndef FETCH_PEER_H
#define FETCH_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "runtime/thread.h"

struct peer {
	int              fd, port;
	struct thread   *thread;
	_Atomic int      conns, alive; /* ever, now */
	_Atomic uint64_t sent;         /* bytes that pages wrote with peer_send() */
};

struct peer_conn {
	struct peer *peer;
	int          fd;
	struct buf   in; /* what was read and is not used yet */
	str          head;
	struct buf   head_buf;
};

typedef bool (*peer_page)(struct peer_conn *c); /* true: another request may come */

struct peer_route {
	const char *path;
	peer_page   page;
};

static const struct peer_route *peer_routes; /* ends with path NULL */

static inline bool
peer_send(struct peer_conn *c, str s)
{
	while (s.n > 0) {
		ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		atomic_fetch_add(&c->peer->sent, (uint64_t)n);
		s = str_from(s, (size_t)n);
	}
	return true;
}

static inline bool
peer_more(struct peer_conn *c)
{
	char    piece[4096];
	ssize_t n = recv(c->fd, piece, sizeof piece, 0);

	if (n <= 0)
		return false;
	buf_add(&c->in, str_of(piece, (size_t)n));
	return true;
}

/* Reads `n` bytes of body into out. */
static inline bool
peer_read(struct peer_conn *c, size_t n, struct buf *out)
{
	while (c->in.n < n) {
		if (!peer_more(c))
			return false;
	}
	buf_add(out, str_head(buf_str(&c->in), n));
	buf_drop_front(&c->in, n);
	return true;
}

/* A line without its end. */
static inline bool
peer_line(struct peer_conn *c, struct buf *out)
{
	size_t at;

	while (!str_find(buf_str(&c->in), S("\r\n"), &at)) {
		if (!peer_more(c))
			return false;
	}
	buf_add(out, str_head(buf_str(&c->in), at));
	buf_drop_front(&c->in, at + 2);
	return true;
}

static inline bool
peer_head(struct peer_conn *c)
{
	size_t at;

	while (!str_find(buf_str(&c->in), S("\r\n\r\n"), &at)) {
		if (!peer_more(c))
			return false;
	}
	buf_reset(&c->head_buf);
	buf_add(&c->head_buf, str_head(buf_str(&c->in), at + 2));
	buf_drop_front(&c->in, at + 4);
	c->head = buf_str(&c->head_buf);
	return true;
}

static inline peer_page
peer_find(str head)
{
	size_t from, to;

	must(str_find_char(head, ' ', &from));
	head = str_from(head, from + 1);
	must(str_find_char(head, ' ', &to));
	for (const struct peer_route *r = peer_routes; r->path; r++) {
		if (str_eq(str_head(head, to), str_z(r->path)))
			return r->page;
	}
	must_failed(__FILE__, __LINE__, "a page of that name");
}

static void *
peer_serve(void *arg)
{
	struct peer_conn *c = arg;
	int               on = 1;

	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
	while (peer_head(c) && peer_find(c->head)(c))
		;
	close(c->fd);
	buf_clear(&c->in);
	buf_clear(&c->head_buf);
	atomic_fetch_sub(&c->peer->alive, 1);
	mem_free(c);
	return NULL;
}

static inline void
peer_accept(void *arg)
{
	struct peer *p = arg;
	int          fd;

	while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
		struct peer_conn *c = MEM_NEW(struct peer_conn);
		pthread_t         thread;
		pthread_attr_t    attr;

		c->peer = p;
		c->fd = fd;
		buf_init(&c->in, BUF_MAX_DEFAULT);
		buf_init(&c->head_buf, BUF_MAX_DEFAULT);
		atomic_fetch_add(&p->conns, 1);
		atomic_fetch_add(&p->alive, 1);
		must(pthread_attr_init(&attr) == 0);
		must(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
		must(pthread_attr_setstacksize(&attr, 256 << 10) == 0);
		must(pthread_create(&thread, &attr, peer_serve, c) == 0);
		pthread_attr_destroy(&attr);
	}
}

static inline struct peer *
peer_new(const struct peer_route *routes)
{
	struct peer       *p = MEM_NEW(struct peer);
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t          n = sizeof addr;

	peer_routes = routes;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(p->fd, (struct sockaddr *)&addr, sizeof addr) == 0);
	must(listen(p->fd, 1024) == 0);
	must(getsockname(p->fd, (struct sockaddr *)&addr, &n) == 0);
	p->port = ntohs(addr.sin_port);
	p->thread = thread_start("peer", 0, peer_accept, p);
	return p;
}

/* The client must be gone by now: the pages see its sockets closed. */
static inline void
peer_free(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	thread_join_free(p->thread);
	close(p->fd);
	while (atomic_load(&p->alive) > 0)
		usleep(1000);
	mem_free(p);
}

#endif
