/* retention_int.h - what the files of retention.h share.
 *
 *     retention.c        bounds, windows, what to do next
 *     retention_state.c  what is kept in the store
 *     retention_walk.c   the walk over the document log
 *     retention_clean.c  deleted tables and rows of system tables that have had their time
 *
 * Thread and memory: retention.h.
 */
#ifndef DATABASE_RETENTION_INT_H
#define DATABASE_RETENTION_INT_H

#include "database/db_int.h"
#include "database/retention.h"

#define RETENTION_ERASE_ROWS 1000 /* of an index or table, in one step */

struct uids {
	struct uid *v;
	size_t      n, cap;
};

struct retention {
	struct db            *db;
	struct retention_opts opts;
	struct retention_state state;

	uint64_t next_look, next_advance, next_clean; /* monotonic */
	unsigned turn; /* of the two walks */
	/* The walk has met commits that dropped indexes or removed tables: their rows go first,
	 * then it passes those commits. */
	struct uids dropped_indexes, dropped_tables;
	ts_t        cleared_indexes, cleared_tables; /* nothing left to drop up to here */
};

/* Looks at the next revisions behind the checkpoints, erases what they replaced.  The caller
 * has made sure that there are some. */
NODISCARD status retention_walk(struct retention *r, struct err *e);
/* What was written last, or the beginning of the log. */
NODISCARD status retention_load(struct retention *r, struct err *e);
/* Writes bounds and checkpoints alone, or with what is to be erased. */
NODISCARD status retention_write(struct retention *r, struct store_prune *p, struct err *e);

/* Of an index or a table. */
void retention_count_rows(struct retention *r, size_t n);

/* Something of what waits to be cleaned; *ret_more: there is more. */
NODISCARD status retention_clean(struct retention *r, bool *ret_more, struct err *e);

#endif
