/* heap.c - the allocator inside a heap's range.
 *
 * Blocks up to 2,048 bytes come from pages of one size class; what a class frees it keeps.
 * Everything larger is a run of pages.  Free runs are coalesced and binned by length; a run
 * that ends at the top gives its pages back to the top, and a block grows in place where the
 * pages behind it are free, which is what growing arrays and buffers do.
 *
 * There are no block headers: the page table says what a page is.  So the table and the state
 * are nearly the only pages that an allocation dirties, and engine blocks of one page (its own
 * small-object arenas) sit on page borders.
 *
 * Two budgets share the range: runs of pages that were allocated as buffers, and all the rest.
 *
 * Thread: one at a time.  Memory: the range; struct heap is malloced.
 */
#include "isolate/heap_int.h"

#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/must.h"

#define HEAP_MAGIC 0x66726573686561ULL
#define SMALL_MAX  2048u
#define BIN_EXACT  32u /* bins below hold runs of exactly that many pages */
#define FRAGMENTS  4   /* this part of a limit is there once more, for gaps between runs */

static uint32_t
pages_of(size_t n)
{
	return (uint32_t)((n + HEAP_PAGE - 1) / HEAP_PAGE);
}

static uint32_t
log2_floor(uint32_t n)
{
	return 31u - (uint32_t)__builtin_clz(n);
}

/* 16, 32 ... 128, then four classes for each doubling. */
static unsigned
class_of(size_t n)
{
	uint32_t m = n ? (uint32_t)n - 1 : 0, l;

	if (m < 128)
		return m / 16;
	l = log2_floor(m);
	return 8 + (l - 7) * 4 + ((m >> (l - 2)) - 4);
}

static size_t
class_size(unsigned c)
{
	return c < 8 ? (c + 1) * 16 : (size_t)(5 + (c - 8) % 4) << (5 + (c - 8) / 4);
}

static char *
page_at(struct heap *h, uint32_t i)
{
	return h->base + (size_t)i * HEAP_PAGE;
}

static unsigned
bin_of(uint32_t len)
{
	return len < BIN_EXACT ? len : BIN_EXACT + log2_floor(len / BIN_EXACT);
}

static void
bin_remove(struct heap_state *s, uint32_t first)
{
	struct page_info *pi = &s->pages[first];
	unsigned          b = bin_of(pi->len);

	if (pi->prev != NO_PAGE)
		s->pages[pi->prev].next = pi->next;
	else
		s->bins[b] = pi->next;
	if (pi->next != NO_PAGE)
		s->pages[pi->next].prev = pi->prev;
	if (s->bins[b] == NO_PAGE)
		s->bin_mask &= ~((uint64_t)1 << b);
}

static void
bin_add(struct heap_state *s, uint32_t first, uint32_t len)
{
	struct page_info *pi = &s->pages[first], *last = &s->pages[first + len - 1];
	unsigned          b = bin_of(len);

	last->kind = PAGE_FREE;
	last->len = len;
	pi->kind = PAGE_FREE;
	pi->len = len;
	pi->prev = NO_PAGE;
	pi->next = s->bins[b];
	if (pi->next != NO_PAGE)
		s->pages[pi->next].prev = first;
	s->bins[b] = first;
	s->bin_mask |= (uint64_t)1 << b;
}

/* The budget that a run of pages is counted in. */
static size_t *
budget_of(struct heap_state *s, uint32_t first)
{
	return s->pages[first].buffer ? &s->buffers : &s->used;
}

static bool
fits(const struct heap *h, size_t counted, uint32_t len)
{
	return (size_t)len * HEAP_PAGE <= h->limit && counted <= h->limit - (size_t)len * HEAP_PAGE;
}

static void
run_mark(struct heap_state *s, uint32_t first, uint32_t len)
{
	s->pages[first].kind = PAGE_RUN;
	s->pages[first].len = len;
	s->pages[first + len - 1].kind = PAGE_RUN;
}

/* Gives [first, first + len) back, joined with its free neighbours. */
static void
run_free(struct heap_state *s, uint32_t first, uint32_t len)
{
	struct page_info *before = &s->pages[first - 1];

	if (first + len < s->top && s->pages[first + len].kind == PAGE_FREE) {
		uint32_t behind = s->pages[first + len].len;

		bin_remove(s, first + len);
		len += behind;
	}
	if (before->kind == PAGE_FREE) {
		uint32_t n = before->len;

		first -= n;
		len += n;
		bin_remove(s, first);
	}
	if (first + len == s->top)
		s->top = first;
	else
		bin_add(s, first, len);
}

/* A free run of at least `len` pages or NO_PAGE. */
static uint32_t
run_find(struct heap_state *s, uint32_t len)
{
	unsigned b = bin_of(len);
	uint64_t mask = s->bin_mask >> b << b;

	while (mask) {
		b = (unsigned)__builtin_ctzll(mask);
		for (uint32_t i = s->bins[b]; i != NO_PAGE; i = s->pages[i].next)
			if (s->pages[i].len >= len)
				return i;
		mask &= mask - 1;
	}
	return NO_PAGE;
}

/* NO_PAGE when a limit is reached.  *ret_zero: the pages are known to be zeroes. */
static uint32_t
run_alloc(struct heap *h, uint32_t len, bool buffer, bool *ret_zero)
{
	struct heap_state *s = h->state;
	uint32_t           first;

	*ret_zero = false;
	if (!fits(h, buffer ? s->buffers : s->used, len)) {
		h->oom = true;
		return NO_PAGE;
	}
	first = run_find(s, len);
	if (first != NO_PAGE) {
		uint32_t have = s->pages[first].len;

		bin_remove(s, first);
		if (have > len)
			bin_add(s, first + len, have - len);
	} else {
		if (len > s->npages - s->top) {
			h->oom = true;
			return NO_PAGE;
		}
		first = s->top;
		s->top += len;
		*ret_zero = first >= h->high;
		if (s->top > h->high)
			h->high = s->top;
	}
	run_mark(s, first, len);
	s->pages[first].buffer = buffer;
	*budget_of(s, first) += (size_t)len * HEAP_PAGE;
	return first;
}

static void *
small_alloc(struct heap *h, unsigned c)
{
	struct small_class *k = &h->state->small[c];
	size_t              size = class_size(c);
	void               *p = k->free;

	if (p) {
		memcpy(&k->free, p, sizeof k->free);
	} else {
		if ((size_t)(k->end - k->bump) < size) {
			bool     zero;
			uint32_t page = run_alloc(h, 1, false, &zero);

			if (page == NO_PAGE)
				return NULL;
			h->state->used -= HEAP_PAGE;
			h->state->pages[page].kind = PAGE_SMALL;
			h->state->pages[page].size_class = (uint8_t)c;
			k->bump = page_at(h, page);
			k->end = k->bump + HEAP_PAGE;
		}
		p = k->bump;
		k->bump += size;
	}
	h->state->used += size;
	return p;
}

static void *
alloc(struct heap *h, size_t n, bool *ret_zero)
{
	uint32_t page;

	*ret_zero = false;
	if (n <= SMALL_MAX)
		return small_alloc(h, class_of(n));
	if (n > h->limit) {
		h->oom = true;
		return NULL;
	}
	page = run_alloc(h, pages_of(n), h->as_buffers, ret_zero);
	return page == NO_PAGE ? NULL : page_at(h, page);
}

void *
heap_alloc(struct heap *h, size_t n)
{
	bool zero;

	return alloc(h, n, &zero);
}

void *
heap_zalloc(struct heap *h, size_t n)
{
	bool  zero;
	void *p = alloc(h, n, &zero);

	if (p && !zero)
		memset(p, 0, n);
	return p;
}

static struct heap_state *
state_of(const void *p)
{
	struct heap_state *s = (struct heap_state *)((uintptr_t)p & ~(HEAP_SPAN - 1));

	must(s->magic == HEAP_MAGIC);
	return s;
}

static uint32_t
page_of(const void *p)
{
	return (uint32_t)(((uintptr_t)p & (HEAP_SPAN - 1)) / HEAP_PAGE);
}

size_t
heap_usable(const void *p)
{
	struct page_info *pi = &state_of(p)->pages[page_of(p)];

	return pi->kind == PAGE_SMALL ? class_size(pi->size_class) : (size_t)pi->len * HEAP_PAGE;
}

void
heap_release(struct heap *h, void *p)
{
	struct heap_state *s = h->state;
	uint32_t           page = page_of(p);
	struct page_info  *pi = &s->pages[page];

	if (!p)
		return;
	debug_must(heap_contains(h, p) && (pi->kind == PAGE_SMALL || pi->kind == PAGE_RUN));
	if (pi->kind == PAGE_SMALL) {
		struct small_class *k = &s->small[pi->size_class];

		s->used -= class_size(pi->size_class);
		memcpy(p, &k->free, sizeof k->free);
		k->free = p;
	} else {
		*budget_of(s, page) -= (size_t)pi->len * HEAP_PAGE;
		run_free(s, page, pi->len);
	}
}

/* Grows the run in place if the pages behind it are free. */
static bool
run_grow(struct heap *h, uint32_t first, uint32_t want)
{
	struct heap_state *s = h->state;
	uint32_t           len = s->pages[first].len, behind = first + len, extra = want - len;

	if (!fits(h, *budget_of(s, first), extra))
		return false;
	if (behind == s->top) {
		if (extra > s->npages - s->top)
			return false;
		s->top += extra;
		if (s->top > h->high)
			h->high = s->top;
	} else {
		uint32_t have = s->pages[behind].kind == PAGE_FREE ? s->pages[behind].len : 0;

		if (have < extra)
			return false;
		bin_remove(s, behind);
		if (have > extra)
			bin_add(s, behind + extra, have - extra);
	}
	run_mark(s, first, want);
	*budget_of(s, first) += (size_t)extra * HEAP_PAGE;
	return true;
}

static void
run_shrink(struct heap_state *s, uint32_t first, uint32_t want)
{
	uint32_t len = s->pages[first].len;

	run_mark(s, first, want);
	*budget_of(s, first) -= (size_t)(len - want) * HEAP_PAGE;
	run_free(s, first + want, len - want);
}

void *
heap_resize(struct heap *h, void *p, size_t n)
{
	size_t            have;
	struct page_info *pi;
	void             *q;

	if (!p)
		return heap_alloc(h, n);
	pi = &h->state->pages[page_of(p)];
	have = heap_usable(p);
	if (pi->kind == PAGE_SMALL ? n <= have && n * 2 > have : n <= have && n > SMALL_MAX) {
		if (pi->kind == PAGE_RUN && pages_of(n) < pi->len)
			run_shrink(h->state, page_of(p), pages_of(n));
		return p;
	}
	if (pi->kind == PAGE_RUN && n > have && n <= h->limit &&
	    run_grow(h, page_of(p), pages_of(n)))
		return p;
	q = heap_alloc(h, n);
	if (!q)
		return NULL;
	memcpy(q, p, n < have ? n : have);
	heap_release(h, p);
	return q;
}

void
heap_forget_free(struct heap *h)
{
	struct heap_state *s = h->state;

	for (unsigned b = 0; b < HEAP_BINS; b++) {
		for (uint32_t i = s->bins[b], next; i != NO_PAGE; i = next) {
			next = s->pages[i].next;
			run_mark(s, i, s->pages[i].len);
		}
		s->bins[b] = NO_PAGE;
	}
	s->bin_mask = 0;
	memset(s->small, 0, sizeof s->small);
}

bool
heap_oom(const struct heap *h)
{
	return h->oom;
}

bool
heap_contains(const struct heap *h, const void *p)
{
	return (const char *)p >= h->base && (const char *)p < h->base + h->range;
}

void
heap_buffers(struct heap *h, bool on)
{
	h->as_buffers = on;
}

/* `range` bytes at an address that is a multiple of HEAP_SPAN. */
static char *
reserve(size_t range)
{
	char     *raw = mmap(NULL, HEAP_SPAN + range, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t at, up;

	if (raw == MAP_FAILED)
		return NULL;
	at = (uintptr_t)raw;
	up = (at + HEAP_SPAN - 1) & ~(HEAP_SPAN - 1);
	if (up > at)
		must(munmap(raw, up - at) == 0);
	must(munmap((void *)(up + range), at + HEAP_SPAN - up) == 0);
	if (mprotect((void *)up, range, PROT_READ | PROT_WRITE) != 0) {
		munmap((void *)up, range);
		return NULL;
	}
	return (char *)up;
}

struct heap *
heap_new(size_t limit_bytes)
{
	size_t       limit = (limit_bytes + HEAP_PAGE - 1) & ~(size_t)(HEAP_PAGE - 1);
	size_t       range = 2 * limit + limit / FRAGMENTS / HEAP_PAGE * HEAP_PAGE, head;
	uint32_t     npages = pages_of(range);
	struct heap *h;

	head = sizeof(struct heap_state) + (size_t)npages * sizeof(struct page_info);
	must(range <= HEAP_SPAN && limit > 2 * head);
	h = MEM_NEW(struct heap);
	h->limit = limit;
	h->range = range;
	h->base = reserve(range);
	must(h->base); /* address space for bookkeeping: like any allocation that fails */
	h->state = (struct heap_state *)h->base;
	h->state->magic = HEAP_MAGIC;
	h->state->npages = npages;
	h->state->top = pages_of(head);
	/* The page before the first run must not look free. */
	h->state->pages[h->state->top - 1].kind = PAGE_RUN;
	h->high = h->state->top;
	return h;
}

void
heap_free(struct heap *h)
{
	if (!h)
		return;
	if (h->sealed) {
		heap_unregister(h);
		must(munmap(h->mirror, (size_t)h->sealed_pages * HEAP_PAGE) == 0);
		mem_free(h->dirty);
		mem_free(h->is_dirty);
	}
	must(munmap(h->base, h->range) == 0);
	mem_free(h);
}

struct heap_stats
heap_stats(const struct heap *h)
{
	return (struct heap_stats){ .used_bytes = h->state->used + h->state->buffers,
		.buffer_bytes = h->state->buffers, .image_pages = h->sealed_pages,
		.dirty_pages = h->ndirty, .resets = h->resets, .faults = h->faults };
}
