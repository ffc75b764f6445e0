/* logged_int.h - what the files of the logged store share.
 *
 * logged.c        opening, closing
 * logged_write.c  the write path
 * logged_space.c  promises of room, full disks
 * logged_wal.c    making sure of SQLite's files
 * logged_apply.c  the applier: from the memtables into SQLite, checkpoints
 * logged_read.c   reads
 * logged_prune.c  erasing history
 *
 * Thread: the writer has `log`, `record`, `number` and fills `active`; the applier has SQLite's
 *         writing connection while it holds `sql_lock`; so does whoever prunes.  `lock` guards
 *         what is marked; `fill_lock` is held by whoever adds to the active table or puts another
 *         one in its place.  Order: sql_lock, fill_lock, lock.
 * Memory: owned by struct logged_store.
 */
#ifndef STORE_LOGGED_INT_H
#define STORE_LOGGED_INT_H

#include <stdatomic.h>
#include <time.h>

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
	const struct disk *disk;  /* of the log; NULL: the real one */
	bool     paused;  /* the applier begins paused (tests) */
	bool     by_hand; /* no threads: logged_step() does their work (tests) */
};

struct logged_store {
	unsigned             magic;
	struct sqlite_store *sql;
	struct commitlog    *log;
	struct logged_opts   opts;
	struct buf           record;
	uint64_t             number; /* of the newest row in any table */

	pthread_mutex_t  sql_turn; /* for who waits for sql_lock: see LOGGED_SQL_GUARD */
	pthread_mutex_t  sql_lock; /* every use of SQLite's writing connection, once it is open */
	_Atomic uint64_t erasures; /* how often history was erased */
	pthread_mutex_t  fill_lock;
	pthread_mutex_t  lock;
	pthread_cond_t   work;     /* for the applier */
	pthread_cond_t   applied;  /* for a writer that waits for room, and logged_drain() */
	struct memtable *active;   /* lock; filled by the writer */
	struct memtable *applying; /* lock; NULL: none */
	uint64_t         visible;  /* lock; number of the newest durable row */
	size_t           backlog;  /* lock; bytes of the records in both tables */
	ts_t             newest;   /* lock; of any commit */
	ts_t             settled;  /* lock; everything up to it is in SQLite; 0: in a replay */
	bool             has_commits; /* lock; `newest` means something */
	ts_t             max_ts;      /* lock; of a document */
	bool             stopping, paused, failed; /* lock */
	bool             fill;            /* lock; the filler is called */
	bool             want_checkpoint; /* lock */
	uint64_t         apply_ns_per_kib; /* lock; of the log, as measured */
	_Atomic unsigned full;            /* written under lock; who lacks space: FULL_* */
	pthread_cond_t   space;           /* for the filler */

	struct thread *applier, *filler;
	sqlite3_stmt  *note;   /* sql_lock; writes what is applied */
	int            frames; /* sql_lock; pages in SQLite's log */
	sqlite3_int64  old_wal; /* sql_lock; bytes of SQLite's log that an earlier process wrote */
	size_t   unreleased;       /* the applier's: bytes applied since memory was released */
	uint64_t       applied_sequence; /* sql_lock; of the newest record that SQLite has */
};

/* A table of this size does not wait for company. */
enum { LINGER_BYTES = 4 << 20 };

enum { FULL_LOG = 1, FULL_SQLITE = 2 };

#define LOGGED_MAGIC 0x109a11edu

NODISCARD status store_open_logged_with(const char *path, const struct logged_opts *opts,
    struct store *ret, struct err *e);
/* Tests: stops and goes on applying; waits until nothing is left to apply. */
void logged_pause(struct store *s, bool paused);
void logged_drain(struct store *s);
/* Tests: as after kill -9: SQLite and the log stay as they are. */
void logged_abandon(struct store *s);

/* Tests, by hand: applies what is logged; false: there was nothing, or it failed. */
bool logged_step(struct store *s);
void logged_checkpoint(struct store *s); /* the same, with a checkpoint */

extern struct metric logged_backlog;

void logged_apply_thread(void *arg);
void logged_fill_thread(void *arg);
void logged_fill(struct logged_store *s);
void logged_wake_filler(struct logged_store *s);
/* Takes and applies one table; false: nothing to do, or it failed.  `may_wait`: for rows. */
bool logged_apply_once(struct logged_store *s, bool may_wait);
/* SQLite's log is long: the applier shall move it into the file. */
void logged_call_checkpoint(struct logged_store *s);
/* Looks how much there is of SQLite's log, at opening. */
void logged_find_wal(struct logged_store *s);
/* sql_lock to the end of the scope.  First come, first served: the applier, which gives it up and
 * takes it again all the time, would leave it to nobody under load. */
static inline pthread_mutex_t *
logged_lock_sql(struct logged_store *s)
{
	mutex_lock_(&s->sql_turn);
	mutex_lock_(&s->sql_lock);
	must(pthread_mutex_unlock(&s->sql_turn) == 0);
	return &s->sql_lock;
}

#define LOGGED_SQL_GUARD(s)                                                   \
	__attribute__((cleanup(mutex_unlock_), unused)) pthread_mutex_t *sql_guard_ = \
	    logged_lock_sql(s)

/* With sql_lock, before any checkpoint: what was found then is on the disk for sure. */
NODISCARD status logged_harden_wal(struct logged_store *s, struct err *e);
/* The same, and the beginning of the database. */
NODISCARD status logged_harden_database(struct logged_store *s, struct err *e);
/* FULL_LOG or FULL_SQLITE came to an end of the disk, or out of it. */
void logged_note_full(struct logged_store *s, unsigned who, bool full);
void logged_deadline(struct timespec *ret, uint64_t from_now_ns);
/* The record is durable: readers may see its rows, the applier may take them.  The caller has
 * fill_lock; `t` is the active table with the rows in it. */
void logged_publish(struct logged_store *s, struct memtable *t, const struct commitlog_record *r);
status logged_write(void *self, const struct store_batch *b, struct err *e);
status logged_reserve(void *self, size_t bytes, struct err *e);
void   logged_release(void *self, size_t bytes);
status logged_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e);
status logged_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e);
status logged_global(void *self, str key, struct buf *ret_json, struct err *e);
status logged_max_ts(void *self, ts_t *ret, struct err *e);
status logged_revision(void *self, struct uid tablet, uint32_t table_number, struct uid id,
    ts_t at, struct store_log_row *ret, struct err *e);
status logged_prune(void *self, const struct store_prune *p, struct err *e);
status logged_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased,
    struct err *e);
status logged_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased,
    struct err *e);
ts_t   logged_settled_ts(void *self);
status logged_stats(void *self, struct store_stats *ret, struct err *e);

#endif
