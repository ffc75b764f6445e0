/* mem.c - malloc that cannot fail.
 *
 * Zero bytes are a legal request and give a unique pointer, as everywhere in this code
 * base an empty thing is a thing.
 *
 * Thread: any.  Memory: the caller's, mem_free().
 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

static void *
or_die(void *p, size_t n)
{
	if (UNLIKELY(!p)) {
		fprintf(stderr, "out of memory: %zu bytes refused\n", n);
		abort();
	}
	return p;
}

void *
mem_alloc(size_t n)
{
	return or_die(malloc(n ? n : 1), n);
}

void *
mem_zalloc(size_t n)
{
	return or_die(calloc(1, n ? n : 1), n);
}

void *
mem_realloc(void *p, size_t n)
{
	return or_die(realloc(p, n ? n : 1), n);
}

void
mem_free(void *p)
{
	free(p);
}
