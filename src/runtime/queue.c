/* queue.c - a ring of pointers under one lock.
 *
 * The lock is held for a few instructions.  What costs in such a queue is waking a sleeping
 * thread, so a push signals only when somebody sleeps, and a consumer takes a whole batch
 * under one lock.  A lock-free ring was not worth its weight: the messages are commits and
 * function runs, tens of thousands per second, not millions.
 *
 * Thread: any.  Memory: the ring is owned; the items are not.
 */
#include <errno.h>
#include <time.h>

#include "base/mem.h"
#include "runtime/queue.h"
#include "runtime/thread.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t  not_empty;
	pthread_cond_t  not_full;
	void          **ring; /* owned */
	size_t          cap;
	size_t          head; /* of the oldest item */
	size_t          n;
	size_t          consumers_asleep;
	size_t          producers_asleep;
	bool            woken; /* a wake that no pop has returned for yet */
	bool            closed;
	void (*notify)(void *arg);
	void *notify_arg;
};

struct queue *
queue_new(size_t cap)
{
	struct queue      *q = MEM_NEW(struct queue);
	pthread_condattr_t attr;

	must(cap > 0);
	q->cap = cap;
	q->ring = mem_alloc(cap * sizeof *q->ring);
	must(pthread_mutex_init(&q->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&q->not_empty, &attr) == 0);
	must(pthread_cond_init(&q->not_full, &attr) == 0);
	pthread_condattr_destroy(&attr);
	return q;
}

void
queue_free(struct queue *q)
{
	if (!q)
		return;
	must(q->consumers_asleep == 0 && q->producers_asleep == 0);
	pthread_cond_destroy(&q->not_full);
	pthread_cond_destroy(&q->not_empty);
	pthread_mutex_destroy(&q->lock);
	mem_free(q->ring);
	mem_free(q);
}

void
queue_set_notify(struct queue *q, void (*fn)(void *arg), void *arg)
{
	MUTEX_GUARD(&q->lock);
	q->notify = fn;
	q->notify_arg = arg;
}

/* Stores the item and gives up the lock; what follows a push happens outside of it, so that
 * the woken thread does not run into a held lock. */
static void
put_and_unlock(struct queue *q, void *item, bool front)
{
	bool was_empty = q->n == 0;
	bool signal = q->consumers_asleep > 0;
	void (*notify)(void *) = was_empty ? q->notify : NULL;
	void *notify_arg = q->notify_arg;

	if (front)
		q->head = (q->head ? q->head : q->cap) - 1;
	q->ring[front ? q->head : (q->head + q->n) % q->cap] = item;
	q->n++;
	must(pthread_mutex_unlock(&q->lock) == 0);
	if (signal)
		pthread_cond_signal(&q->not_empty);
	if (notify)
		notify(notify_arg);
}

static bool
push(struct queue *q, void *item, bool front)
{
	must(pthread_mutex_lock(&q->lock) == 0);
	if (q->closed || q->n == q->cap) {
		must(pthread_mutex_unlock(&q->lock) == 0);
		return false;
	}
	put_and_unlock(q, item, front);
	return true;
}

bool
queue_push(struct queue *q, void *item)
{
	return push(q, item, /* front */ false);
}

bool
queue_push_front(struct queue *q, void *item)
{
	return push(q, item, /* front */ true);
}

void
queue_push_wait(struct queue *q, void *item)
{
	must(pthread_mutex_lock(&q->lock) == 0);
	while (q->n == q->cap) {
		must(!q->closed);
		q->producers_asleep++;
		pthread_cond_wait(&q->not_full, &q->lock);
		q->producers_asleep--;
	}
	must(!q->closed);
	put_and_unlock(q, item, /* front */ false);
}

static struct timespec
deadline_in(uint64_t timeout_ns)
{
	const uint64_t  second = 1000000000u;
	struct timespec at;
	uint64_t        ns;

	must(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
	ns = (uint64_t)at.tv_nsec + timeout_ns % second;
	at.tv_sec += (time_t)(timeout_ns / second + ns / second);
	at.tv_nsec = (long)(ns % second);
	return at;
}

/* Sleeps until there is a reason to return. */
static void
wait_not_empty(struct queue *q, uint64_t timeout_ns)
{
	bool            forever = timeout_ns > (uint64_t)INT64_MAX;
	struct timespec until;
	int             rc = 0;

	if (q->n > 0 || q->closed || q->woken || timeout_ns == 0)
		return;
	if (!forever)
		until = deadline_in(timeout_ns);
	q->consumers_asleep++;
	while (q->n == 0 && !q->closed && !q->woken && rc != ETIMEDOUT)
		rc = forever ? pthread_cond_wait(&q->not_empty, &q->lock)
			     : pthread_cond_timedwait(&q->not_empty, &q->lock, &until);
	q->consumers_asleep--;
}

size_t
queue_pop(struct queue *q, void **ret, size_t max, uint64_t timeout_ns)
{
	MUTEX_GUARD(&q->lock);
	size_t n;

	wait_not_empty(q, timeout_ns);
	q->woken = false;
	n = q->n < max ? q->n : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = q->ring[(q->head + i) % q->cap];
	q->head = (q->head + n) % q->cap;
	q->n -= n;
	if (n > 0 && q->producers_asleep > 0)
		pthread_cond_broadcast(&q->not_full);
	/* A batch may have been signalled to one sleeper only: pass on what it left. */
	if (q->n > 0 && q->consumers_asleep > 0)
		pthread_cond_signal(&q->not_empty);
	return n;
}

void
queue_wake(struct queue *q)
{
	void (*notify)(void *);
	void *arg;

	must(pthread_mutex_lock(&q->lock) == 0);
	q->woken = true;
	notify = q->notify;
	arg = q->notify_arg;
	if (q->consumers_asleep > 0)
		pthread_cond_signal(&q->not_empty);
	must(pthread_mutex_unlock(&q->lock) == 0);
	if (notify)
		notify(arg);
}

void
queue_close(struct queue *q)
{
	void (*notify)(void *);
	void *arg;

	must(pthread_mutex_lock(&q->lock) == 0);
	q->closed = true;
	notify = q->notify;
	arg = q->notify_arg;
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	must(pthread_mutex_unlock(&q->lock) == 0);
	if (notify)
		notify(arg);
}

bool
queue_closed(struct queue *q)
{
	MUTEX_GUARD(&q->lock);
	return q->closed;
}

size_t
queue_count(struct queue *q)
{
	MUTEX_GUARD(&q->lock);
	return q->n;
}
