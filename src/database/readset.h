/* readset.h - what a transaction read: intervals of index keys (spec 03 section 5.2).
 *
 * All indexes share one key space: a full key is the index's number (u32 big-endian, given
 * out at run time, see catalog.h) followed by its index key.  An interval is [lo, hi) over
 * full keys; hi is never empty.  A point is [k, k 00).
 *
 * A readset under construction belongs to its transaction; a frozen one is immutable,
 * reference-counted and shared with the committer and the subscriptions.
 *
 * Thread: under construction one owner; frozen any.
 */
#ifndef DATABASE_READSET_H
#define DATABASE_READSET_H

#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"

struct key_range {
	str lo; /* inclusive */
	str hi; /* exclusive */
};

/* Sorted, disjoint, merged. */
struct readset {
	_Atomic uint32_t refs;
	size_t           n;
	struct key_range ranges[]; /* bytes follow in the same block */
};

struct readset *readset_ref(struct readset *r);
void            readset_unref(struct readset *r); /* NULL is fine */
bool            readset_has(const struct readset *r, str full_key);
struct readset *readset_empty(void); /* one reference for the caller */

/* The transaction's side. */
struct readlog {
	struct arena          *arena;  /* borrowed: keys are copied into it */
	VEC(struct key_range)  ranges; /* sorted and merged only in the first `merged` */
	size_t                 merged;
	size_t                 uncounted; /* merged count that does not count toward the limit */
};

void   readlog_init(struct readlog *l, struct arena *a);
void   readlog_clear(struct readlog *l);
void   readlog_add(struct readlog *l, str lo, str hi); /* copies */
void   readlog_point(struct readlog *l, str full_key); /* [k, k 00) */
/* Intervals after merging; sorts if something was added, so ask when ranges.n is over a limit. */
size_t readlog_count(struct readlog *l);
struct readset *readlog_freeze(struct readlog *l);     /* one reference for the caller */

#endif
