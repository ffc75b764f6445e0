/* executor_link.c - one connection to a process of Node.js.
 *
 * The socket does not block: whoever waits also looks whether waiting still makes sense.
 *
 * Thread: the owner of the link.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/executor_int.h"

#define SLICE_MS   100 /* how long nobody looks whether to stop */
#define READ_BYTES ((size_t)64 << 10)

bool
link_open(struct node_link *l, const struct node_process *p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	/* Connecting blocks only while the backlog is full. */
	if (connect(fd, (const struct sockaddr *)&p->address, sizeof p->address) != 0) {
		(void)close(fd);
		return false;
	}
	l->fd = fd;
	buf_init(&l->in, NFRAME_HEADER_MAX + NFRAME_BYTES_MAX);
	l->used = 0;
	return true;
}

void
link_close(struct node_link *l)
{
	(void)close(l->fd);
	buf_clear(&l->in);
}

static bool
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, SLICE_MS) >= 0 || errno == EINTR;
}

bool
link_send(struct node_link *l, str header, str bytes, bool (*stop)(void *arg), void *arg)
{
	struct buf out;
	size_t at = 0;
	bool good = true;

	buf_init(&out, NFRAME_HEADER_MAX + NFRAME_BYTES_MAX);
	nframe_add(&out, header, bytes);
	while (good && at < out.n) {
		ssize_t n = send(l->fd, out.p + at, out.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			good = !stop(arg) && wait_for(l->fd, POLLOUT);
		else
			good = errno == EINTR;
	}
	good = good && buf_ok(&out);
	buf_clear(&out);
	return good;
}

/* True: something came, or the end. */
static bool
receive(struct node_link *l, bool *ret_closed)
{
	char *room = buf_reserve(&l->in, READ_BYTES);
	ssize_t n = room ? recv(l->fd, room, READ_BYTES, MSG_DONTWAIT) : 0;

	if (n > 0) {
		l->in.n += (size_t)n;
		return true;
	}
	*ret_closed = n == 0 || (errno != EAGAIN && errno != EINTR);
	return false;
}

enum link_got
link_next(struct node_link *l, struct nframe *ret)
{
	bool closed = false;

	buf_drop_front(&l->in, l->used);
	l->used = 0;
	for (;;) {
		switch (nframe_next(buf_str(&l->in), ret, &l->used)) {
		case NFRAME_ONE:
			return LINK_FRAME;
		case NFRAME_BAD:
			return LINK_CLOSED;
		case NFRAME_MORE:
			break;
		}
		if (!receive(l, &closed))
			return closed ? LINK_CLOSED : LINK_NOTHING;
	}
}

enum link_got
link_wait(struct node_link *l, struct nframe *ret, uint64_t deadline_ns, bool (*stop)(void *arg),
    void *arg)
{
	for (;;) {
		enum link_got got = link_next(l, ret);

		if (got != LINK_NOTHING)
			return got;
		if (os_mono_ns(os_real()) >= deadline_ns || stop(arg))
			return LINK_NOTHING;
		if (!wait_for(l->fd, POLLIN))
			return LINK_CLOSED;
	}
}
