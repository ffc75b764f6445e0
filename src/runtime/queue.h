/* queue.h - a bounded queue between threads.
 *
 * Many producers, many consumers, pointers handed over whole.  The consumer side can also
 * be woken without an item (queue_wake) and by a deadline.  Order is first in first out,
 * except queue_push_front for work that goes ahead of newcomers.
 *
 * A consumer with a loop of its own (libuv) sets a notify function instead of blocking.
 *
 * Thread: any.  Memory: a ring of `cap` pointers.
 */
#ifndef RUNTIME_QUEUE_H
#define RUNTIME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue *queue_new(size_t cap);
void          queue_free(struct queue *q); /* must be empty or abandoned */
/* Called after a push into an empty queue, a wake and a close, on the caller's thread; replaces
 * blocking pops.  The consumer then polls until it gets less than it asked for.  Set it before
 * the first push. */
void queue_set_notify(struct queue *q, void (*fn)(void *arg), void *arg);

bool queue_push(struct queue *q, void *item);       /* false: full or closed */
void queue_push_wait(struct queue *q, void *item);  /* waits for room; must not be closed */
bool queue_push_front(struct queue *q, void *item); /* false: full or closed */
/* Up to max items into ret; waits until there is one, the queue is closed or woken, or
 * timeout_ns (UINT64_MAX: forever, 0: poll) has passed.  0 items on the latter. */
size_t queue_pop(struct queue *q, void **ret, size_t max, uint64_t timeout_ns);
void   queue_wake(struct queue *q); /* ends one waiting pop; none waiting: the next one */
void   queue_close(struct queue *q); /* pushes fail; pops drain, then return 0 at once */
bool   queue_closed(struct queue *q);
size_t queue_count(struct queue *q);

#endif
