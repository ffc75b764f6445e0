/* evict.h - keeping the resident ranges within a budget.
 *
 * The tree is a cache over the store: entries that nobody asked for lately are dropped, and
 * the ranges that they stood in become absent (resident.h) until somebody loads them again.
 *
 * Which ones: a clock (GCLOCK, Nicola, Dan and Dias, SIGMETRICS 1992) whose hand walks the key
 * space leaf by leaf.  Readers warm the entries that they use; loads and commits bring in cold
 * ones.  Unlike the textbook's, the hand cools nothing as long as its last round found enough
 * cold entries (an eighth of what it met) to drop: so what a scan of a million rows brought is
 * dropped, by however many rounds, and what was asked for twice stays.  A document that is loaded
 * again soon after it was dropped comes in warm, else a new hot set could not establish itself
 * beside an old one (2Q, Johnson and Shasha, VLDB 1994; a table of hashes in place of its
 * queues).
 *
 * What never goes: indexes of the tables that are held in memory (spec 03 section 8), and what
 * the store does not have yet.  Each leaf knows the newest commit that changed its ranges,
 * removals included; when that is durable, all of the leaf can be read back.
 *
 * What a dropped range forgets is that it changed.  A load that began before such a change
 * would bring back the old state; so the newest change that was forgotten is remembered (the
 * horizon), and loads by older snapshots are not installed.  Nor do those look at what others
 * have loaded: a leaf that was dropped has taken its time of change with it.
 *
 * Thread: under the db's lock, where not stated otherwise.
 * Memory: a key, the numbers of the indexes that stay, four bytes for about each document that
 *         the budget has room for.
 */
#ifndef DATABASE_EVICT_H
#define DATABASE_EVICT_H

#include "base/buf.h"
#include "base/vec.h"
#include "database/catalog.h"
#include "database/tree.h"

struct db;

struct evictor {
	size_t     budget;  /* bytes of the tree */
	ts_t       horizon; /* the newest commit whose traces may have been dropped */
	struct buf hand;    /* full key where it goes on */
	bool       cooling; /* in this round */
	uint32_t  *ghosts;  /* hashes of keys that were dropped lately, by their lower bits */
	size_t     nghosts; /* a power of two; 0 without a budget */
	size_t     met, dropped; /* entries in this round */
	uint64_t   pins_of; /* version of the catalogue that `pins` was made from */
	VEC(uint32_t) pins; /* index numbers, ascending */
};

void evict_init(struct evictor *ev, size_t budget);
void evict_clear(struct evictor *ev);
/* The entry is about to be installed: warms it if it was there a while ago. */
void evict_recall(const struct evictor *ev, struct entry *e);
/* So many entries were added: drops about as much if it is too much.  Microseconds. */
void evict_after(struct db *db, size_t entries);
/* Any thread, without the lock: drops what is too much, as far as it can go, by turns. */
void evict_settle(struct db *db);
/* May what was read at `ts` still be installed, and the present state say anything about `ts`? */
bool evict_allows(const struct evictor *ev, ts_t ts);

#endif
