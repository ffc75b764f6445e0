/* subs.h - which live queries must run again after a commit.
 *
 * A subscription is the read set of a query.  Points (db.get) sit in a hash table; ranges in
 * an interval tree, keyed by range start and augmented with the largest end below.  A commit
 * stabs them with its written full keys.
 *
 * Invariant: a range is in the index exactly while its subscription is live; subs_check()
 * proves it and runs after each step in simulation.
 *
 * Thread: the loop thread.  Memory: holds a reference to each read set.
 */
#ifndef DATABASE_SUBS_H
#define DATABASE_SUBS_H

#include "database/readset.h"

struct subs;
struct sub;

struct subs *subs_new(void);
void         subs_free(struct subs *s);
/* Takes a reference to `reads`.  `cookie` comes back in subs_stab(). */
struct sub  *subs_add(struct subs *s, struct readset *reads, void *cookie);
void         subs_remove(struct subs *s, struct sub *sub);
/* Calls fn once for each subscription that contains the key (a subscription may be met again
 * with another key).  fn must not add or remove subscriptions. */
void         subs_stab(struct subs *s, str full_key, void (*fn)(void *arg, void *cookie),
    void *arg);
size_t       subs_count(const struct subs *s);
void         subs_check(const struct subs *s); /* aborts if an invariant is broken */

#endif
