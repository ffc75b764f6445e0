/* arena.h - memory that dies with its owner.
 *
 * Lifetimes here belong to an owner (process, session, transaction, request);
 * each owner has an arena and frees everything at once.  Allocation never
 * fails: bookkeeping that cannot be allocated aborts; sizes that a client
 * chooses are admitted against a budget before they get here.
 *
 * Thread: one owner thread at a time; the arena has no lock.
 * Memory: chunks from malloc, doubling from 1 KiB to 256 KiB; larger requests
 *         get a chunk of their own.  arena_reset() keeps the first chunk.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/must.h"
#include "base/str.h"

struct arena;

struct arena *arena_new(void);
void          arena_free(struct arena *a);  /* NULL is fine */
void          arena_reset(struct arena *a); /* frees all but the first chunk */
size_t        arena_bytes(const struct arena *a); /* handed out since the last reset */
size_t        arena_footprint(const struct arena *a); /* what it takes from malloc now */

/* 16-byte aligned */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
#define ARENA_NEW(a, type)        ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n)   ((type *)arena_zalloc((a), (size_t)(n) * sizeof(type)))

str   arena_str(struct arena *a, str s);    /* a copy, NUL-terminated behind its end */
char *arena_z(struct arena *a, str s);      /* the same as a C string */
str   arena_fmt(struct arena *a, const char *fmt, ...) PRINTF(2, 3); /* texts end at a NUL */
str   arena_join(struct arena *a, const str *parts, size_t n); /* of any bytes */

/* Calls fn(arg) when the arena is reset or freed, last registered first. */
void arena_on_free(struct arena *a, void (*fn)(void *), void *arg);

#endif
