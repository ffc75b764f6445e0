/* mem.h - the only door to malloc.
 *
 * Results are never NULL: out of memory for bookkeeping aborts the process
 * (recovery is a restart, and nothing acknowledged is lost by one).
 *
 * Thread: any.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));
void  mem_free(void *p); /* NULL is fine */
/* What a block of n bytes takes, header and rounding included (glibc). */
static inline size_t
mem_chunk(size_t n)
{
	size_t chunk = (n + sizeof(size_t) + 15) & ~(size_t)15;

	return chunk < 32 ? 32 : chunk;
}

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
