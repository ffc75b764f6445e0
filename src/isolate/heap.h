/* heap.h - a JavaScript heap that can be put back to a remembered state.
 *
 * One reserved range of addresses holds an engine runtime with everything it allocated; the
 * allocator's own state is inside the range.  heap_seal() remembers the state (the image);
 * heap_reset() restores it by copying back the pages that were written since.
 *
 * Sticky dirty pages: after the seal all used pages are read-only.  The first write to one
 * faults; the SIGSEGV handler copies the page aside, marks it writable and puts it on the
 * image's dirty list for good.  A reset copies exactly the pages on the list and drops what
 * was allocated beyond the sealed end, so in steady state a run costs no fault and a few
 * dozen page copies.  Sanitizer builds, and FRESNEL_HEAP=copy in the environment, copy the
 * whole used range instead.
 *
 * Mind: the kernel does not fault for us (a read(2) into a protected page returns EFAULT), so
 * host code never passes heap addresses to system calls.
 *
 * Thread: a heap belongs to one thread at a time; the signal handler is process-wide.
 * Memory: address space; touched pages only, plus copies of dirty pages.
 */
#ifndef ISOLATE_HEAP_H
#define ISOLATE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

struct heap_stats {
	size_t used_bytes;   /* handed out now, buffers included */
	size_t buffer_bytes;
	size_t image_pages;  /* sealed pages */
	size_t dirty_pages;  /* on the sticky list */
	uint64_t resets;
	uint64_t faults;
};

/* `limit_bytes` for buffers (heap_buffers()), and as much for everything else. */
struct heap *heap_new(size_t limit_bytes);
void         heap_free(struct heap *h);

/* malloc family inside the range; NULL when the limit is reached (heap_oom() then says true
 * until the next reset). */
void  *heap_alloc(struct heap *h, size_t n);
void  *heap_zalloc(struct heap *h, size_t n); /* the same, zeroed */
void   heap_release(struct heap *h, void *p);
void  *heap_resize(struct heap *h, void *p, size_t n);
size_t heap_usable(const void *p); /* p came from some heap */
bool   heap_oom(const struct heap *h);
/* What is allocated from now on is the bytes of buffers (spec 04 section 5.1 counts these
 * separately); small ones are counted with the rest all the same. */
void   heap_buffers(struct heap *h, bool on);
bool   heap_contains(const struct heap *h, const void *p);

void heap_seal(struct heap *h);  /* once */
void heap_reset(struct heap *h); /* to the sealed state */
struct heap_stats heap_stats(const struct heap *h);

#endif
