/* heap_int.h - a heap's two halves: what is restored and what is not.
 *
 * heap.c allocates inside the range, heap_dirty.c remembers and restores it.
 *
 * Layout of the range: struct heap_state, the page table, then pages.  The base is aligned to
 * HEAP_SPAN, so that heap_usable() finds the state from a pointer alone.
 */
#ifndef ISOLATE_HEAP_INT_H
#define ISOLATE_HEAP_INT_H

#include "isolate/heap.h"

#define HEAP_PAGE    4096u
#define HEAP_SPAN    ((uintptr_t)1 << 30) /* alignment of a range, and its greatest size */
#define HEAP_CLASSES 24
#define HEAP_BINS    48
#define NO_PAGE      0u /* page 0 is the state: never free */

enum page_kind { PAGE_UNUSED, PAGE_SMALL, PAGE_RUN, PAGE_FREE };

struct page_info {
	uint8_t  kind;
	uint8_t  size_class; /* PAGE_SMALL */
	bool     buffer;     /* PAGE_RUN, in the first page: counted as one */
	uint32_t
	    len; /* PAGE_RUN, PAGE_FREE: pages, in the first one; PAGE_FREE: also in the last */
	uint32_t next, prev; /* PAGE_FREE: neighbours in the bin, by first page */
};

struct small_class {
	void  *free;       /* chain through the first word */
	char  *bump, *end; /* the rest of the newest page */
};

/* In the range: restored by a reset. */
struct heap_state {
	uint64_t           magic;
	uint32_t           npages;   /* of the range */
	uint32_t           top;      /* pages above were never used since the seal */
	size_t             used;     /* bytes, but for buffers */
	size_t             buffers;  /* bytes */
	uint64_t           bin_mask; /* which bins hold something */
	uint32_t           bins[HEAP_BINS];
	struct small_class small[HEAP_CLASSES];
	struct page_info   pages[];
};

/* Outside. */
struct heap {
	char              *base;
	size_t             limit;      /* of each budget */
	size_t             range;      /* bytes of address space */
	struct heap_state *state;      /* == base */
	uint32_t           high;       /* pages above read as zeroes */
	bool               oom;
	bool               as_buffers; /* see heap_buffers() */
	bool               sealed;
	bool               copies_all; /* no write protection: a reset copies every sealed page */
	uint32_t           sealed_pages;
	char              *mirror;     /* originals of dirty pages */
	uint32_t          *dirty;      /* page numbers, in the order of their first write */
	uint8_t           *is_dirty;   /* by page */
	uint32_t           ndirty;
	uint64_t           resets, faults;
};

/* Free blocks and runs are never handed out again: at the seal, so that runs allocate
 * behind the image. */
void heap_forget_free(struct heap *h);
void heap_register(struct heap *h);
void heap_unregister(struct heap *h);

#endif
