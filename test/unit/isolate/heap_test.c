/* heap_test.c - heaps that remember: allocation against a model, resets, limits, threads. */
#include "test.h"

#include <pthread.h>

#include "base/mem.h"
#include "isolate/heap.h"

#define BLOCKS 300

struct block {
	unsigned char *p;
	size_t         n;
	unsigned char  fill;
};

struct model {
	struct heap *h;
	struct block b[BLOCKS];
	uint64_t     seed;
};

static uint32_t
draw(struct model *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(m->seed >> 33) % below;
}

static size_t
draw_size(struct model *m)
{
	switch (draw(m, 10)) {
	case 0:
		return 1 + draw(m, 200000);
	case 1:
	case 2:
		return 2000 + draw(m, 6000);
	default:
		return 1 + draw(m, 600);
	}
}

static void
check_block(const struct block *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] != b->fill)
			fail_msg("byte %zu of %zu is %u, not %u", i, b->n, b->p[i], b->fill);
}

static void
step(struct model *m)
{
	struct block *b = &m->b[draw(m, BLOCKS)];
	size_t        n = draw_size(m);

	if (!b->p) {
		b->p = draw(m, 2) ? heap_alloc(m->h, n) : heap_zalloc(m->h, n);
		CHECK(b->p && heap_contains(m->h, b->p) && (uintptr_t)b->p % 16 == 0);
	} else if (draw(m, 3)) {
		check_block(b);
		heap_release(m->h, b->p);
		b->p = NULL;
		return;
	} else {
		size_t both = n < b->n ? n : b->n;

		b->p = heap_resize(m->h, b->p, n);
		CHECK(b->p);
		for (size_t i = 0; i < both; i++)
			CHECK_EQ(b->p[i], b->fill);
	}
	CHECK(heap_usable(b->p) >= n);
	b->n = n;
	b->fill = (unsigned char)draw(m, 256);
	memset(b->p, b->fill, n);
}

static void
check_all(const struct model *m)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (m->b[i].p)
			check_block(&m->b[i]);
}

static void
run_model(uint64_t seed)
{
	struct model *m = MEM_NEW(struct model), *sealed = MEM_NEW(struct model);
	size_t        used;

	m->h = heap_new((size_t)64 << 20);
	m->seed = seed;
	for (int i = 0; i < 4000; i++)
		step(m);
	check_all(m);
	used = heap_stats(m->h).used_bytes;
	heap_seal(m->h);
	*sealed = *m;
	for (int run = 0; run < 30; run++) {
		uint64_t next = m->seed;

		for (int i = 0; i < 300; i++)
			step(m);
		check_all(m);
		next += m->seed;
		heap_reset(m->h);
		*m = *sealed;
		m->seed = next;
		check_all(m);
		CHECK_EQ(heap_stats(m->h).used_bytes, used);
	}
	heap_free(m->h);
	mem_free(m);
	mem_free(sealed);
}

/* Blocks keep their bytes, and after a reset everything is as it was at the seal. */
TEST(random_work_against_a_model)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		run_model(seed);
}

/* A run that writes the same pages as the one before costs no fault: the list is sticky. */
TEST(dirty_pages_stabilise)
{
	struct heap *h = heap_new((size_t)8 << 20);
	char        *p = heap_alloc(h, 100 * 4096);
	size_t       pages;
	uint64_t     faults;

	memset(p, 'a', 100 * 4096);
	heap_seal(h);
	for (int run = 0; run < 5; run++) {
		for (int i = 0; i < 10; i++)
			p[i * 3 * 4096] = 'b';
		if (run == 0) {
			pages = heap_stats(h).dirty_pages;
			faults = heap_stats(h).faults;
		}
		CHECK_EQ(heap_stats(h).dirty_pages, pages);
		CHECK_EQ(heap_stats(h).faults, faults);
		heap_reset(h);
		for (int i = 0; i < 100 * 4096; i++)
			CHECK_EQ(p[i], 'a');
	}
	CHECK_EQ(heap_stats(h).resets, 5);
	CHECK(pages == 10 || pages == 0); /* 0: this build copies everything */
	heap_free(h);
}

/* The limit is reached with large blocks and with small ones, says so, and is forgotten by a
 * reset, which also makes the memory available again (04 checklist 35). */
TEST(limit_sets_a_flag_until_the_reset)
{
	const size_t sizes[] = { 48, 1000, 4096, 100000, (size_t)5 << 20 };
	struct heap *h = heap_new((size_t)16 << 20);

	heap_alloc(h, 100);
	heap_seal(h);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t got = 0;
		void  *p;

		CHECK(!heap_oom(h));
		while ((p = heap_alloc(h, sizes[i])) != NULL) {
			memset(p, 1, sizes[i]);
			got += sizes[i];
		}
		CHECK(heap_oom(h));
		CHECK(got > ((size_t)16 << 20) * 8 / 10 || sizes[i] > 1000000);
		CHECK(!heap_alloc(h, (size_t)1 << 40));
		heap_reset(h);
	}
	CHECK(!heap_oom(h));
	heap_free(h);
}

/* A zeroed block is zero although the run before left its bytes there. */
TEST(zeroed_blocks_are_zero)
{
	struct heap *h = heap_new((size_t)16 << 20);

	heap_seal(h);
	for (int run = 0; run < 3; run++) {
		for (size_t n = 10; n < ((size_t)4 << 20); n *= 7) {
			unsigned char *p = heap_zalloc(h, n);

			for (size_t i = 0; i < n; i++)
				CHECK_EQ(p[i], 0);
			memset(p, 0xee, n);
		}
		heap_reset(h);
	}
	heap_free(h);
}

/* A growing array at the end of the heap is not copied over and over. */
TEST(last_block_grows_in_place)
{
	struct heap *h = heap_new((size_t)64 << 20);
	char        *p = heap_alloc(h, 5000), *q = p;

	for (size_t n = 5000; n < ((size_t)60 << 20); n += n / 2)
		CHECK((q = heap_resize(h, q, n)) != NULL);
	CHECK(p == q);
	CHECK(heap_resize(h, q, 5000) == q);
	CHECK(heap_stats(h).used_bytes == 8192);
	heap_free(h);
}

static void *
thread_main(void *arg)
{
	run_model((uint64_t)(uintptr_t)arg);
	return NULL;
}

/* Heaps of different threads fault at the same time without meeting. */
TEST(two_heaps_on_two_threads)
{
	pthread_t t[2];

	for (uintptr_t i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread_main, (void *)(77 + i)), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

TEST_RUN(T(random_work_against_a_model), T(dirty_pages_stabilise),
    T(limit_sets_a_flag_until_the_reset), T(zeroed_blocks_are_zero),
    T(last_block_grows_in_place), T(two_heaps_on_two_threads))
