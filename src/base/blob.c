/* blob.c - immutable shared bytes.
 *
 * Count and bytes share one block, so that handing a frame to a thousand sockets costs a
 * thousand increments and no copy.
 *
 * Thread: any; the count is atomic.  Memory: one malloc block, freed with the last reference.
 */
#include <stdatomic.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/must.h"

struct blob *
blob_new(str s)
{
	struct blob *b = mem_alloc(sizeof *b + s.n + 1);

	atomic_init(&b->refs, 1);
	b->n = s.n;
	if (s.n)
		memcpy(b->bytes, s.p, s.n);
	b->bytes[s.n] = '\0';
	return b;
}

struct blob *
blob_ref(struct blob *b)
{
	must(atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed) > 0);
	return b;
}

void
blob_unref(struct blob *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		mem_free(b);
}
