/* heap_dirty.c - remembering a heap's pages, and putting them back.
 *
 * After the seal the used pages are read-only.  The SIGSEGV handler finds the heap of a
 * faulting address in a registry of plain atomics (no locks in a signal handler), copies the
 * page into the mirror, makes it writable and lists it.  Faults elsewhere go to whoever
 * handled the signal before.
 *
 * Each writable page among read-only ones costs the kernel a mapping.  When it refuses
 * another one, all pages of that heap become writable and are listed: slower, still right.
 *
 * Thread: a heap has one owner at a time; the handler runs on the thread that faulted, which
 *         is the owner.  The registry is written under no lock, by claiming slots.
 * Memory: the mirror is address space; only pages that were dirtied are touched.
 */
#include "isolate/heap_int.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/mem.h"
#include "runtime/thread.h"
#include "runtime/watchdog.h"

#define HEAPS_MAX   16384
#define KEEP_PAGES  256u /* pages beyond the image that stay mapped between runs: 1 MiB */

struct slot {
	_Atomic uintptr_t lo, hi; /* lo 0: free */
	struct heap      *heap;
};

static struct slot      slots[HEAPS_MAX];
static _Atomic uint32_t slots_high; /* slots beyond were never used */
static struct sigaction previous;
static pthread_mutex_t  install_lock = PTHREAD_MUTEX_INITIALIZER;

static struct heap *
registry_find(uintptr_t a)
{
	uint32_t n = atomic_load_explicit(&slots_high, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++) {
		uintptr_t lo = atomic_load_explicit(&slots[i].lo, memory_order_acquire);

		/* A match is a heap of this thread: nobody else may free it meanwhile. */
		if (lo > 1 && a >= lo &&
		    a < atomic_load_explicit(&slots[i].hi, memory_order_relaxed))
			return slots[i].heap;
	}
	return NULL;
}

static void
page_save(struct heap *h, uint32_t page)
{
	size_t at = (size_t)page * HEAP_PAGE;

	memcpy(h->mirror + at, h->base + at, HEAP_PAGE);
	h->is_dirty[page] = 1;
	h->dirty[h->ndirty++] = page;
}

static void
page_dirty(struct heap *h, uint32_t page)
{
	page_save(h, page);
	h->faults++;
	if (mprotect(h->base + (size_t)page * HEAP_PAGE, HEAP_PAGE, PROT_READ | PROT_WRITE) == 0)
		return;
	for (uint32_t i = 0; i < h->sealed_pages; i++)
		if (!h->is_dirty[i])
			page_save(h, i);
	if (mprotect(h->base, (size_t)h->sealed_pages * HEAP_PAGE, PROT_READ | PROT_WRITE) != 0)
		abort();
}

static void
pass_on(int sig, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/* Returning repeats the fault, which then ends the process. */
		signal(SIGSEGV, SIG_DFL);
	} else {
		previous.sa_handler(sig);
	}
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	int          saved = errno;
	struct heap *h = registry_find((uintptr_t)info->si_addr);

	if (h) {
		uint32_t page = (uint32_t)(((char *)info->si_addr - h->base) / HEAP_PAGE);

		if (page < h->sealed_pages && !h->is_dirty[page]) {
			page_dirty(h, page);
			errno = saved;
			return;
		}
	}
	pass_on(sig, info, context);
	errno = saved;
}

/* At each seal, not once: a test framework may have put its own handler over ours. */
static void
install(void)
{
	MUTEX_GUARD(&install_lock);
	struct sigaction sa;

	must(sigaction(SIGSEGV, NULL, &sa) == 0);
	if ((sa.sa_flags & SA_SIGINFO) && sa.sa_sigaction == on_fault)
		return;
	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = on_fault;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, WATCHDOG_SIGNAL); /* its handler may jump */
	must(sigaction(SIGSEGV, &sa, &previous) == 0);
}

void
heap_register(struct heap *h)
{
	for (uint32_t i = 0; i < HEAPS_MAX; i++) {
		uintptr_t none = 0;
		uint32_t  high;

		/* 1 claims the slot without matching any address. */
		if (!atomic_compare_exchange_strong(&slots[i].lo, &none, 1))
			continue;
		slots[i].heap = h;
		atomic_store_explicit(&slots[i].hi, (uintptr_t)h->base + h->range,
		    memory_order_relaxed);
		atomic_store_explicit(&slots[i].lo, (uintptr_t)h->base, memory_order_release);
		high = atomic_load(&slots_high);
		while (high < i + 1 && !atomic_compare_exchange_weak(&slots_high, &high, i + 1))
			;
		return;
	}
	log_fatal("more than %d heap images", HEAPS_MAX);
}

void
heap_unregister(struct heap *h)
{
	uint32_t n = atomic_load(&slots_high);

	for (uint32_t i = 0; i < n; i++) {
		if (atomic_load(&slots[i].lo) == (uintptr_t)h->base) {
			atomic_store(&slots[i].lo, 0);
			return;
		}
	}
}

static bool
wants_copies(void)
{
#ifdef FRESNEL_SANITIZE
	return true; /* sanitizers own SIGSEGV and check what a handler may not */
#else
	const char *how = getenv("FRESNEL_HEAP");

	return how && strcmp(how, "copy") == 0;
#endif
}

void
heap_seal(struct heap *h)
{
	size_t bytes;

	must(!h->sealed);
	heap_forget_free(h);
	h->sealed_pages = h->state->top;
	bytes = (size_t)h->sealed_pages * HEAP_PAGE;
	h->mirror = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(h->mirror != MAP_FAILED);
	h->dirty = mem_alloc(h->sealed_pages * sizeof *h->dirty);
	h->is_dirty = mem_zalloc(h->sealed_pages);
	h->sealed = true;
	h->copies_all = wants_copies();
	if (!h->copies_all) {
		install();
		h->copies_all = mprotect(h->base, bytes, PROT_READ) != 0;
	}
	if (h->copies_all)
		memcpy(h->mirror, h->base, bytes);
	heap_register(h);
}

/* Gives pages beyond the image back to the system if a run used many. */
static void
trim(struct heap *h)
{
	uint32_t keep = h->sealed_pages + KEEP_PAGES;

	if (h->high <= keep)
		return;
	must(madvise(h->base + (size_t)keep * HEAP_PAGE,
	    (size_t)(h->high - keep) * HEAP_PAGE, MADV_DONTNEED) == 0);
	h->high = keep;
}

void
heap_reset(struct heap *h)
{
	must(h->sealed);
	if (h->copies_all) {
		memcpy(h->base, h->mirror, (size_t)h->sealed_pages * HEAP_PAGE);
	} else {
		for (uint32_t i = 0; i < h->ndirty; i++) {
			size_t at = (size_t)h->dirty[i] * HEAP_PAGE;

			memcpy(h->base + at, h->mirror + at, HEAP_PAGE);
		}
	}
	trim(h);
	h->oom = false;
	h->as_buffers = false;
	h->resets++;
}
