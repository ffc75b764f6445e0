/* retention.h - forgetting history (spec 03 sections 7.6 and 7.7).
 *
 * Every commit leaves behind the revisions that it replaced and their index entries.  They are
 * kept for a window each, for readers of the past: 4 minutes of index entries, 14 days of
 * documents.  Where a window begins is a bound; it moves in steps, is written to the store
 * before it counts, and never passes a live snapshot.  Behind the bounds a walk over the
 * document log erases what nobody can read any more, a chunk at a time, and notes how far it
 * has come.
 *
 * Under churn the windows yield to the size of the file: once history takes more than twice
 * what is alive and 64 MiB (RETENTION_SLACK), they shrink, down to 15 seconds.
 *
 * What else is cleaned here: the rows of dropped indexes and deleted tables, tables of imports
 * that nobody finished, remembered requests of clients (spec 03 section 3.5).
 *
 * Thread: one; beside ddl_background_step() and commits.  Memory: a chunk of history at a time.
 */
#ifndef DATABASE_RETENTION_H
#define DATABASE_RETENTION_H

#include "database/db.h"

#define RETENTION_SECOND   ((uint64_t)1000000000)
#define RETENTION_INDEX    (240 * RETENTION_SECOND)
#define RETENTION_DOCUMENT (14 * 86400 * RETENTION_SECOND)
#define RETENTION_FLOOR    (15 * RETENTION_SECOND) /* of shrunk windows */
#define RETENTION_SLACK    ((uint64_t)64 << 20)

struct retention_opts {
	uint64_t index_ns;    /* window of index entries; 0: RETENTION_INDEX */
	uint64_t document_ns; /* of documents, at least index_ns; 0: RETENTION_DOCUMENT */
	uint64_t slack_bytes; /* 0: RETENTION_SLACK */
	size_t   chunk_rows;  /* revisions that a step looks at, about; 0: a good number */
};

struct retention;

NODISCARD status retention_open(struct db *db, const struct retention_opts *opts,
    struct retention **ret, struct err *e);
void retention_close(struct retention *r); /* NULL is fine; before db_close() */

/* A bounded bit of work.  *ret_wait_ns: the next step has something to do then, 0: now. */
NODISCARD status retention_step(struct retention *r, uint64_t *ret_wait_ns, struct err *e);

struct retention_state {
	ts_t     index_bound, document_bound; /* what is below is not read any more */
	ts_t     index_done, document_done;   /* and was erased up to here */
	uint64_t history_bytes, used_bytes;   /* estimate; of all rows, live ones included */
	uint64_t keys_erased, revisions_erased, rows_erased; /* by this process; rows: of dropped
	                                                      * indexes and deleted tables */
};

struct retention_state retention_state(const struct retention *r);

/* How far back history may reach so that it is no more than twice what is alive, plus slack:
 * UINT64_MAX if it is not.  `dead` of the `used` bytes gathered in the last `span_ns`. */
uint64_t retention_window(uint64_t used, uint64_t dead, uint64_t slack, uint64_t span_ns);

#endif
