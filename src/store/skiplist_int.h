/* skiplist_int.h - an ordered set of pointers (Pugh, 1990).
 *
 * The trees of the memory store and of the tables in front of SQLite: insertion, removal and
 * search in O(log n).  Heights come from a fixed seed, so that two runs build the same list.
 *
 * Thread: one at a time; but searches may run on any threads during insertions (not removals):
 *         a node is complete before a release store links it in, level by level.
 * Memory: the nodes; items are the caller's.
 */
#ifndef STORE_SKIPLIST_INT_H
#define STORE_SKIPLIST_INT_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct skiplist;

struct skiplist *skiplist_new(int (*cmp)(const void *a, const void *b));
/* The same with everything in `a`: neither skiplist_free() nor skiplist_remove() apply. */
struct skiplist *skiplist_new_in(struct arena *a, int (*cmp)(const void *a, const void *b));
void             skiplist_free(struct skiplist *l, void (*free_item)(void *item));

bool skiplist_insert(struct skiplist *l, void *item); /* false: an equal item is there already */
/* Puts n ascending items into an empty list.  false: two of them are equal. */
bool skiplist_fill(struct skiplist *l, void *(*item)(const void *items, size_t i),
    const void *items, size_t n);
bool skiplist_remove(struct skiplist *l, const void *probe); /* false: there is none */
/* The items equal to, first not below, first above, last below `probe`; NULL: none. */
void *skiplist_get(const struct skiplist *l, const void *probe);
void *skiplist_first_ge(const struct skiplist *l, const void *probe);
void *skiplist_first_gt(const struct skiplist *l, const void *probe);
void *skiplist_last_lt(const struct skiplist *l, const void *probe);
void *skiplist_first(const struct skiplist *l);
void *skiplist_last(const struct skiplist *l);
/* Calls fn for each item in order until it returns false; false then. */
bool skiplist_each(const struct skiplist *l, bool (*fn)(void *arg, void *item), void *arg);

#endif
