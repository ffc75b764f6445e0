/* queue_test.c - order, bounds and waking of the queue between threads. */
#include "test.h"

#include "base/must.h"
#include "os/os.h"
#include "runtime/queue.h"
#include "runtime/thread.h"

#define ITEM(n) ((void *)(uintptr_t)(n))

static uintptr_t
pop_one(struct queue *q, uint64_t timeout_ns)
{
	void *item = NULL;

	return queue_pop(q, &item, 1, timeout_ns) ? (uintptr_t)item : 0;
}

/* First in, first out; push_front goes ahead; the bound holds for both; batches come in order. */
TEST(order_and_bound)
{
	struct queue *q = queue_new(3);
	void         *items[4];

	for (int round = 0; round < 5; round++) { /* the ring's seam moves through all places */
		CHECK(queue_push(q, ITEM(1)));
		CHECK(queue_push(q, ITEM(2)));
		CHECK(queue_push_front(q, ITEM(9)));
		CHECK(!queue_push(q, ITEM(3)));
		CHECK(!queue_push_front(q, ITEM(3)));
		CHECK_EQ(queue_count(q), 3);
		CHECK_EQ(pop_one(q, 0), 9);
		CHECK(queue_push(q, ITEM(3)));
		CHECK_EQ(queue_pop(q, items, 4, 0), 3);
		for (uintptr_t i = 0; i < 3; i++)
			CHECK_EQ((uintptr_t)items[i], i + 1);
		CHECK_EQ(pop_one(q, 0), 0);
		CHECK(queue_push(q, ITEM(1)));
		CHECK_EQ(pop_one(q, 0), 1);
	}
	queue_free(q);
}

/* A pop without items returns after its timeout, not before and not never. */
TEST(timeouts)
{
	struct queue *q = queue_new(1);
	uint64_t      start = os_mono_ns(os_real());

	CHECK_EQ(pop_one(q, 20000000), 0);
	CHECK(os_mono_ns(os_real()) - start >= 20000000);
	CHECK(os_mono_ns(os_real()) - start < 5000000000u);
	queue_free(q);
}

/* A wake counts once, even when nobody waited for it at the time. */
TEST(wake_is_remembered_once)
{
	struct queue *q = queue_new(1);
	uint64_t      start = os_mono_ns(os_real());

	queue_wake(q);
	queue_wake(q);
	CHECK_EQ(pop_one(q, UINT64_MAX), 0);
	CHECK_EQ(pop_one(q, 1000000), 0);
	CHECK(os_mono_ns(os_real()) - start >= 1000000);
	queue_free(q);
}

/* After closing: pushes fail, what is inside comes out, then pops return at once. */
TEST(closing_drains)
{
	struct queue *q = queue_new(2);

	CHECK(queue_push(q, ITEM(1)));
	CHECK(!queue_closed(q));
	queue_close(q);
	CHECK(queue_closed(q));
	CHECK(!queue_push(q, ITEM(2)));
	CHECK(!queue_push_front(q, ITEM(2)));
	CHECK_EQ(pop_one(q, UINT64_MAX), 1);
	CHECK_EQ(pop_one(q, UINT64_MAX), 0);
	CHECK_EQ(pop_one(q, UINT64_MAX), 0);
	queue_free(q);
}

static void
count(void *arg)
{
	++*(int *)arg;
}

/* A loop is notified when the queue stops being empty, not for every item; wakes and closing
 * reach it too. */
TEST(notification_on_the_first_item_only)
{
	struct queue *q = queue_new(8);
	int           calls = 0;

	queue_set_notify(q, count, &calls);
	queue_push(q, ITEM(1));
	CHECK_EQ(calls, 1);
	queue_push(q, ITEM(2));
	queue_push_front(q, ITEM(3));
	CHECK_EQ(calls, 1);
	CHECK_EQ(pop_one(q, 0), 3);
	queue_push(q, ITEM(4));
	CHECK_EQ(calls, 1);
	while (pop_one(q, 0))
		;
	queue_push_wait(q, ITEM(5));
	CHECK_EQ(calls, 2);
	CHECK_EQ(pop_one(q, 0), 5);
	queue_wake(q);
	CHECK_EQ(calls, 3);
	queue_close(q);
	CHECK_EQ(calls, 4);
	queue_free(q);
}

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 30000 };

struct crowd {
	struct queue    *q;
	uintptr_t        first; /* of this producer's items */
	_Atomic uint32_t seen[PRODUCERS * EACH + 1];
	_Atomic int      disorder;
};

static struct crowd crowd;

static void
produce(void *arg)
{
	uintptr_t first = *(uintptr_t *)arg;

	for (uintptr_t i = 0; i < EACH; i++)
		queue_push_wait(crowd.q, ITEM(first + i));
}

static void
consume(void *arg)
{
	uintptr_t last[PRODUCERS] = { 0 };
	void     *items[16];
	size_t    n;

	(void)arg;
	while ((n = queue_pop(crowd.q, items, COUNT_OF(items), UINT64_MAX)) > 0)
		for (size_t i = 0; i < n; i++) {
			uintptr_t id = (uintptr_t)items[i], who = (id - 1) / EACH;

			crowd.seen[id]++;
			if (id <= last[who])
				crowd.disorder++;
			last[who] = id;
		}
}

/* Nothing is lost, doubled or (for one consumer, from one producer) reordered, with producers
 * that wait for room and consumers that wait for items. */
TEST(many_threads)
{
	struct thread *threads[PRODUCERS + CONSUMERS];
	uintptr_t      firsts[PRODUCERS];
	size_t         n = 0;

	crowd.q = queue_new(64);
	for (uintptr_t i = 0; i < PRODUCERS; i++) {
		firsts[i] = i * EACH + 1;
		threads[n++] = thread_start("producer", 0, produce, &firsts[i]);
	}
	for (int i = 0; i < CONSUMERS; i++)
		threads[n++] = thread_start("consumer", 256 * 1024, consume, NULL);
	for (size_t i = 0; i < PRODUCERS; i++)
		thread_join_free(threads[i]);
	queue_close(crowd.q);
	for (size_t i = PRODUCERS; i < n; i++)
		thread_join_free(threads[i]);
	for (size_t i = 1; i <= PRODUCERS * EACH; i++)
		CHECK_EQ(crowd.seen[i], 1);
	CHECK_EQ(crowd.disorder, 0);
	queue_free(crowd.q);
}

TEST_RUN(T(order_and_bound), T(timeouts), T(wake_is_remembered_once), T(closing_drains),
    T(notification_on_the_first_item_only), T(many_threads))
