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
#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
