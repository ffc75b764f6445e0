/* metrics.c - counters that the rest of the program adds to, and their text form.
 *
 * Metrics are static variables of the modules that count; the first use links one into a
 * list that is never unlinked.  So counting is one relaxed atomic addition and printing
 * needs no lock.  Prometheus text format 0.0.4.
 *
 * Thread: any.  Memory: the metrics are the modules'; printing sorts a copy of the list.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/vec.h"
#include "runtime/metrics.h"

static struct metric *_Atomic registry;

static void
registered(struct metric *m)
{
	int no = 0;

	if (LIKELY(atomic_load_explicit(&m->registered, memory_order_relaxed)))
		return;
	if (!atomic_compare_exchange_strong(&m->registered, &no, 1))
		return;
	m->next = atomic_load(&registry);
	while (!atomic_compare_exchange_weak(&registry, &m->next, m))
		;
}

void
metric_add(struct metric *m, int64_t by)
{
	registered(m);
	atomic_fetch_add_explicit(&m->value, by, memory_order_relaxed);
}

void
metric_set(struct metric *m, int64_t value)
{
	registered(m);
	atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

/* The first bucket whose bound, 2^i microseconds, is not below ns. */
static size_t
bucket_of(uint64_t ns)
{
	uint64_t us = ns / 1000 + (ns % 1000 != 0);
	size_t   i = us <= 1 ? 0 : 64 - (size_t)__builtin_clzll(us - 1);

	return i < METRIC_BUCKETS - 1 ? i : METRIC_BUCKETS - 1;
}

void
metric_observe_ns(struct metric *m, uint64_t ns)
{
	registered(m);
	atomic_fetch_add_explicit(&m->value, (int64_t)ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->buckets[bucket_of(ns)], 1, memory_order_relaxed);
}

static void
print_histogram(struct buf *b, struct metric *m)
{
	uint64_t total = 0;

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		buf_fmt(b, "%s_bucket{le=\"", m->name);
		if (i == METRIC_BUCKETS - 1)
			buf_addz(b, "+Inf");
		else
			json_write_number(b, (double)(UINT64_C(1) << i) / 1e6);
		buf_fmt(b, "\"} %" PRIu64 "\n", total);
	}
	buf_fmt(b, "%s_sum ", m->name);
	json_write_number(b, (double)atomic_load_explicit(&m->value, memory_order_relaxed) / 1e9);
	buf_fmt(b, "\n%s_count %" PRIu64 "\n", m->name, total);
}

static void
print_one(struct buf *b, struct metric *m)
{
	static const char *const kinds[] = {
		[METRIC_KIND_COUNTER] = "counter",
		[METRIC_KIND_GAUGE] = "gauge",
		[METRIC_KIND_HISTOGRAM] = "histogram",
	};

	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
	if (m->kind == METRIC_KIND_HISTOGRAM)
		print_histogram(b, m);
	else
		buf_fmt(b, "%s %" PRId64 "\n", m->name,
		    atomic_load_explicit(&m->value, memory_order_relaxed));
}

static int
by_name(const void *a, const void *b)
{
	const struct metric *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void
metrics_print(struct buf *b)
{
	VEC(struct metric *) all = { 0 };

	for (struct metric *m = atomic_load(&registry); m; m = m->next)
		vec_push(&all, m);
	if (all.n > 0)
		qsort(all.v, all.n, sizeof *all.v, by_name);
	for (size_t i = 0; i < all.n; i++)
		print_one(b, all.v[i]);
	vec_clear(&all);
}
