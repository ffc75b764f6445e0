/* map.h - a hash map from byte strings to pointers.
 *
 * Open addressing, keyed siphash so that clients cannot choose collisions.
 * Iteration order is insertion order as long as nothing was removed; with
 * removals it is still deterministic (the simulator depends on that).
 *
 * Thread: one owner.  Memory: keys are copied; values are the caller's.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map;

struct map *map_new(void);
void        map_free(struct map *m); /* NULL is fine; values are not touched */
size_t      map_count(const struct map *m);
void       *map_get(const struct map *m, str key); /* NULL: absent */
/* value must not be NULL.  Returns the value that it replaced or NULL. */
void       *map_put(struct map *m, str key, void *value);
void       *map_del(struct map *m, str key);       /* the removed value or NULL */
/* for (size_t i = 0; map_next(m, &i, &key, &value);) ...  No changes meanwhile. */
bool        map_next(const struct map *m, size_t *pos, str *ret_key, void **ret_value);

#endif
