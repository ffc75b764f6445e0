/* readset.c - collecting, merging and freezing read intervals (readset.h).
 *
 * A log appends what is read and merges now and then: when the unmerged tail has grown as long
 * as the merged part, and when somebody wants to know.  So a transaction of n reads costs
 * n log n in all.
 *
 * Thread, memory: see readset.h.
 */
#include "database/readset.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"

#define TAIL_MIN 64 /* unmerged ranges that are always fine */

struct readset *
readset_ref(struct readset *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void
readset_unref(struct readset *r)
{
	if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
		mem_free(r);
}

bool
readset_has(const struct readset *r, str full_key)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) { /* the first range that begins after the key */
		size_t mid = (lo + hi) / 2;

		if (str_cmp(r->ranges[mid].lo, full_key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && str_cmp(full_key, r->ranges[lo - 1].hi) < 0;
}

static struct readset *
readset_new(const struct key_range *ranges, size_t n)
{
	size_t          bytes = 0;
	struct readset *r;
	char           *p;

	for (size_t i = 0; i < n; i++)
		bytes += ranges[i].lo.n + ranges[i].hi.n;
	r = mem_alloc(sizeof *r + n * sizeof *ranges + bytes);
	r->refs = 1;
	r->n = n;
	p = (char *)(r->ranges + n);
	for (size_t i = 0; i < n; i++) {
		const struct key_range *from = ranges + i;

		memcpy(p, from->lo.p, from->lo.n);
		memcpy(p + from->lo.n, from->hi.p, from->hi.n);
		r->ranges[i].lo = str_of(p, from->lo.n);
		r->ranges[i].hi = str_of(p + from->lo.n, from->hi.n);
		p += from->lo.n + from->hi.n;
	}
	return r;
}

struct readset *
readset_empty(void)
{
	return readset_new(NULL, 0);
}

void
readlog_init(struct readlog *l, struct arena *a)
{
	memset(l, 0, sizeof *l);
	l->arena = a;
}

void
readlog_clear(struct readlog *l)
{
	vec_clear(&l->ranges);
	l->merged = 0;
}

static int
by_lo(const void *a, const void *b)
{
	const struct key_range *x = a, *y = b;
	int                     c = str_cmp(x->lo, y->lo);

	return c ? c : str_cmp(y->hi, x->hi); /* the longer one first */
}

static void
merge(struct readlog *l)
{
	struct key_range *v = l->ranges.v;
	size_t            n = 0;

	if (l->merged == l->ranges.n)
		return;
	qsort(v, l->ranges.n, sizeof *v, by_lo);
	for (size_t i = 0; i < l->ranges.n; i++) {
		if (n == 0 || str_cmp(v[n - 1].hi, v[i].lo) < 0)
			v[n++] = v[i];
		else if (str_cmp(v[n - 1].hi, v[i].hi) < 0)
			v[n - 1].hi = v[i].hi;
	}
	l->ranges.n = l->merged = n;
}

static void
add(struct readlog *l, struct key_range r)
{
	must(r.lo.n > 0 && r.hi.n > 0);
	if (str_cmp(r.lo, r.hi) >= 0)
		return;
	vec_push(&l->ranges, r);
	if (l->ranges.n - l->merged > TAIL_MIN + l->merged)
		merge(l);
}

void
readlog_add(struct readlog *l, str lo, str hi)
{
	if (l->ranges.n) { /* loops over one key or range are common */
		struct key_range last = l->ranges.v[l->ranges.n - 1];

		if (str_eq(last.lo, lo) && str_eq(last.hi, hi))
			return;
	}
	add(l, (struct key_range){ arena_str(l->arena, lo), arena_str(l->arena, hi) });
}

void
readlog_point(struct readlog *l, str full_key)
{
	char *p = arena_alloc(l->arena, full_key.n + 1); /* one copy serves both ends */

	memcpy(p, full_key.p, full_key.n);
	p[full_key.n] = '\0';
	add(l, (struct key_range){ str_of(p, full_key.n), str_of(p, full_key.n + 1) });
}

size_t
readlog_count(struct readlog *l)
{
	merge(l);
	return l->ranges.n;
}

struct readset *
readlog_freeze(struct readlog *l)
{
	merge(l);
	return readset_new(l->ranges.v, l->ranges.n);
}
