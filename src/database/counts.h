/* counts.h - how many documents a table has (spec 03 section 9).
 *
 * Whoever asks first counts the rows; from then on each commit keeps the number up, so that
 * later questions cost nothing.  Nothing is kept for tables that nobody asked about, and
 * nothing is written to disk.
 *
 * Thread: any; the numbers are guarded by the db's lock.
 * Memory: a block per table that was asked about, the db's.
 */
#ifndef DATABASE_COUNTS_H
#define DATABASE_COUNTS_H

#include "base/map.h"
#include "database/db.h"

struct counts {
	struct map *by_tablet; /* struct count; NULL: nobody asked yet */
};

void counts_clear(struct counts *c);
/* Under the db's lock, for each commit that is published. */
void counts_publish(struct counts *c, const struct commit *w, ts_t ts);

/* The number of documents at a snapshot; false: somebody has to count. */
bool db_count_known(struct db *db, struct uid tablet, ts_t at, int64_t *ret);
/* Before counting at `at`: from now on commits are followed.  `all` are the keys of the table.
 * False: the result will be of no use later, and db_count_end() must not be called. */
bool db_count_begin(struct db *db, struct uid tablet, ts_t at, const struct readset *all);
void db_count_end(struct db *db, struct uid tablet, int64_t n); /* n < 0: it failed */

#endif
