/* resident.h - which key ranges of the tree are in memory.
 *
 * An entry says something about its own key (enum entry_kind) and, by its `gap` flag, about
 * the keys after it up to the next entry: without the flag they have no documents, with it
 * they are not in memory and the store must be asked.  A mark has nothing to say about its
 * own key, so that key belongs to the range behind it.
 *
 *     prefix        a         c         k          p
 *     MARK gap      DOC       DOC gap   NONE gap   MARK
 *     |--absent-----|-empty---|-absent--|-absent---|-empty------------> next index
 *
 * Every index begins with an entry at its four-byte prefix.  Commits always put what they
 * change into the tree, also inside absent ranges, where a removed key leaves a NONE: so
 * what is absent was not changed since it was last written to the store, and rows read from
 * the store never have to be merged with newer state.
 *
 * Thread: like tree.h.
 */
#ifndef DATABASE_RESIDENT_H
#define DATABASE_RESIDENT_H

#include "database/tree.h"

#define INDEX_PREFIX 4 /* bytes of the index number */

/* --- the writer --- */

void res_add_index(struct tree *t, str prefix, bool resident);
/* Removes up to max entries of the index; true when nothing is left. */
bool res_drop_index(struct tree *t, str prefix, size_t max);
/* The index must exist.  Takes the entry; sets its gap flag. */
void res_put_take(struct tree *t, struct entry *e);
void res_remove(struct tree *t, str key);
/* The range behind the entry is not in memory any more. */
void res_open(struct tree *t, const struct entry *e);
/* What the store said about [lo, hi): `rows`, ascending, and nothing else.  What the tree
 * knows already wins.  Takes the rows.  lo is not before the index's first possible key. */
void res_install_take(struct tree *t, str lo, str hi, struct entry **rows, size_t n);

/* --- readers --- */

/* The entry that decides about `key`: a DOC at it, else NULL.  *ret_absent: ask the store.
 * Warms it. */
struct entry *res_lookup(const struct node *root, str key, bool *ret_absent);
/* The same in the present state, as far as that tells about the moment `ts`. */
struct entry *res_lookup_at(const struct tree *t, str key, ts_t ts, bool *ret_absent);
/* Is the range that begins at `key` (before: that ends there) in memory? */
bool          res_is_known(const struct node *root, str key, bool before);
bool          same_index(str a, str b);

/* Aborts on entries that say nothing or contradict each other; for tests. */
void res_check(const struct tree *t);

#endif
