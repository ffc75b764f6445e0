/* logged_int.h - what the files of the logged store share.
 *
 * logged.c        opening, closing, the write path
 * logged_apply.c  the applier: from the memtables into SQLite, checkpoints
 * logged_read.c   reads
 *
 * Thread: the writer has `log`, `record`, `number` and fills `active`; the applier has SQLite's
 *         writing connection.  `lock` guards what is marked; `fill_lock` is held by whoever adds
 *         to the active table or puts another one in its place, and is taken before `lock`.
 * Memory: owned by struct logged_store.
 */
#ifndef STORE_LOGGED_INT_H
#define STORE_LOGGED_INT_H

#include "runtime/metrics.h"
#include "runtime/thread.h"
#include "store/commitlog.h"
#include "store/memtable.h"
#include "store/sqlite_int.h"

struct logged_opts {
	size_t   segment_bytes; /* 0: the default */
	size_t   backlog_bytes; /* of the log, not applied yet: writes wait above it; 0: default */
	size_t   checkpoint_frames; /* pages in SQLite's log that make a checkpoint worth it; 0 */
	uint64_t linger_ns;         /* how long the applier waits for a large transaction */
	const struct commitlog_io *io; /* NULL: the system's */
	bool                       paused; /* the applier begins paused (tests) */
};

struct logged_store {
	unsigned             magic;
	struct sqlite_store *sql;
	struct commitlog    *log;
	struct logged_opts   opts;
	struct buf           record;
	uint64_t             number; /* of the newest row in any table */

	pthread_mutex_t  fill_lock;
	pthread_mutex_t  lock;
	pthread_cond_t   work;     /* for the applier */
	pthread_cond_t   applied;  /* for a writer that waits for room, and logged_drain() */
	struct memtable *active;   /* lock; filled by the writer */
	struct memtable *applying; /* lock; NULL: none */
	uint64_t         visible;  /* lock; number of the newest durable row */
	size_t           backlog;  /* lock; bytes of the records in both tables */
	ts_t             newest;   /* lock; of any commit */
	bool             has_commits; /* lock; `newest` means something */
	ts_t             max_ts;      /* lock; of a document */
	bool             stopping, paused, failed; /* lock */

	struct thread *applier;
	sqlite3_stmt  *note; /* the applier's: writes what is applied */
	int            frames; /* the applier's: pages in SQLite's log */
};

/* A table of this size does not wait for company. */
enum { LINGER_BYTES = 4 << 20 };

#define LOGGED_MAGIC 0x109a11edu

NODISCARD status store_open_logged_with(const char *path, const struct logged_opts *opts,
    struct store *ret, struct err *e);
/* Tests: stops and goes on applying; waits until nothing is left to apply. */
void logged_pause(struct store *s, bool paused);
void logged_drain(struct store *s);
/* Tests: as after kill -9: SQLite and the log stay as they are. */
void logged_abandon(struct store *s);

extern struct metric logged_backlog;

void logged_apply_thread(void *arg);
status logged_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e);
status logged_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e);
status logged_global(void *self, str key, struct buf *ret_json, struct err *e);
status logged_max_ts(void *self, ts_t *ret, struct err *e);

#endif
