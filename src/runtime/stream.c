/* stream.c - see stream.h.
 *
 * Thread: any; one lock per stream.  Memory: the buffer's front moves forward and is cut off when
 * it is the larger half, so that reading costs no copy per call.
 */
#include "runtime/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "runtime/thread.h"

struct notice {
	void (*fn)(void *arg);
	void *arg;
};

struct stream {
	_Atomic uint32_t refs;
	pthread_mutex_t  lock;
	struct buf       data;
	size_t           at;    /* bytes of data that were read */
	uint64_t         total;
	bool             over;  /* no more writes: end or failure */
	bool             failed, closed;
	struct buf       why;
	struct notice    ready, room, gone;
	size_t           low;
};

struct stream *
stream_new(void)
{
	struct stream *s = MEM_NEW(struct stream);

	atomic_init(&s->refs, 1);
	must(pthread_mutex_init(&s->lock, NULL) == 0);
	buf_init(&s->data, STREAM_HELD_MAX * 2); /* what was read may lie in front */
	buf_init(&s->why, BUF_MAX_DEFAULT);
	return s;
}

struct stream *
stream_ref(struct stream *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
stream_unref(struct stream *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	must(pthread_mutex_destroy(&s->lock) == 0);
	buf_clear(&s->data);
	buf_clear(&s->why);
	mem_free(s);
}

static size_t
held(const struct stream *s)
{
	return s->data.n - s->at;
}

static void
fire(struct notice *n)
{
	struct notice now = *n;

	*n = (struct notice){ NULL, NULL };
	if (now.fn)
		now.fn(now.arg);
}

static void
fire_room(struct stream *s)
{
	if (s->closed || held(s) <= s->low)
		fire(&s->room);
}

/* --- the writer --- */

static void
fail(struct stream *s, str why)
{
	s->over = s->failed = true;
	buf_add(&s->why, why);
	fire(&s->ready);
}

bool
stream_write(struct stream *s, str bytes)
{
	MUTEX_GUARD(&s->lock);
	if (s->closed)
		return false;
	if (s->over || bytes.n == 0)
		return true;
	if (bytes.n > STREAM_HELD_MAX - held(s)) {
		fail(s, S("More than 128 MiB were written to a stream that is not read"));
		return true;
	}
	buf_add(&s->data, bytes);
	must(buf_ok(&s->data)); /* advance() keeps the read part the smaller one */
	s->total += bytes.n;
	fire(&s->ready);
	return true;
}

void
stream_end(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	if (s->over)
		return;
	s->over = true;
	fire(&s->ready);
}

void
stream_fail(struct stream *s, str why)
{
	MUTEX_GUARD(&s->lock);
	if (!s->over)
		fail(s, why);
}

void
stream_when_room(struct stream *s, size_t low, void (*fn)(void *arg), void *arg)
{
	MUTEX_GUARD(&s->lock);
	s->room = (struct notice){ fn, arg };
	s->low = low;
	fire_room(s);
}

void
stream_when_closed(struct stream *s, void (*fn)(void *arg), void *arg)
{
	MUTEX_GUARD(&s->lock);
	s->gone = (struct notice){ fn, arg };
	if (s->closed)
		fire(&s->gone);
}

/* --- the reader --- */

static enum stream_state
state(const struct stream *s)
{
	if (held(s) > 0)
		return STREAM_DATA;
	if (!s->over)
		return STREAM_EMPTY;
	return s->failed ? STREAM_FAILED : STREAM_END;
}

static void
advance(struct stream *s, size_t n)
{
	s->at += n;
	if (s->at == s->data.n) {
		buf_clear(&s->data);
		s->at = 0;
	} else if (s->at > s->data.n / 2) {
		buf_drop_front(&s->data, s->at);
		s->at = 0;
	}
}

enum stream_state
stream_read(struct stream *s, struct buf *ret, size_t max)
{
	MUTEX_GUARD(&s->lock);
	enum stream_state st = state(s);
	size_t            n = held(s) < max ? held(s) : max;

	if (st == STREAM_DATA) {
		buf_add(ret, str_of(s->data.p + s->at, n));
		advance(s, n);
		fire_room(s);
	}
	return st;
}

enum stream_state
stream_peek(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	return state(s);
}

str
stream_error(const struct stream *s)
{
	return buf_str(&s->why);
}

void
stream_when_ready(struct stream *s, void (*fn)(void *arg), void *arg)
{
	MUTEX_GUARD(&s->lock);
	s->ready = (struct notice){ fn, arg };
	if (state(s) != STREAM_EMPTY)
		fire(&s->ready);
}

void
stream_close(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	s->closed = true;
	s->ready = (struct notice){ NULL, NULL };
	buf_clear(&s->data);
	s->at = 0;
	fire_room(s);
	fire(&s->gone);
}

/* --- both --- */

size_t
stream_held(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	return held(s);
}

uint64_t
stream_total(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	return s->total;
}

bool
stream_over(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	return s->over;
}

bool
stream_closed(struct stream *s)
{
	MUTEX_GUARD(&s->lock);
	return s->closed;
}
