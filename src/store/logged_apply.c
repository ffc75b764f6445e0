/* logged_apply.c - SQLite catching up with the log.
 *
 * The applier takes the whole active memtable and writes it in one transaction, in the order of
 * SQLite's trees: neighbouring keys are written one after the other, so that a page that a
 * thousand transactions have touched is read, changed and logged once.  The sequence number of
 * the table's newest record goes into the same transaction, hence every record is applied once.
 *
 * SQLite does not sync in these transactions (synchronous=NORMAL): what it loses in a power
 * failure is still in the commit log.  A checkpoint syncs; segments of the log are reused only
 * after one that moved everything.  Checkpoints happen here and nowhere else: a write never
 * waits for one, unless the backlog is full.
 *
 * The longer the table, the cheaper a row; so the applier lingers for some milliseconds when
 * there is little to do.
 *
 * A failure here is final for the store: writes are refused, and nothing is lost, because the
 * log keeps what could not be applied.
 *
 * Thread: the applier's.  Memory: the table that is applied.
 */
#include <time.h>

#include "base/log.h"
#include "runtime/metrics.h"
#include "store/logged_int.h"
#include "store/skiplist_int.h"

static struct metric applied_commits = METRIC_COUNTER(
    "fresnel_store_applied_commits_total", "records of the commit log that SQLite has");
struct metric logged_backlog = METRIC_GAUGE("fresnel_store_apply_backlog_bytes",
    "bytes of the commit log that SQLite does not have yet");

struct apply {
	struct sqlite_writer    *w;
	const struct mem_key    *last_key;
	const struct mem_global *last_global;
	status                   st;
	struct err              *e;
};

static bool
apply_revision(void *arg, void *item)
{
	struct apply              *a = arg;
	const struct mem_revision *r = item;

	a->st = sqlite_put_doc(a->w, r->ts, &r->tablet, &r->id,
	    r->deleted ? (str){ NULL, 0 } : r->json, r->prev_ts, a->e);
	return a->st == ST_OK;
}

/* Of entries that overwrite each other the newest comes first: the others are left out. */
static bool
apply_key(void *arg, void *item)
{
	struct apply            *a = arg;
	const struct mem_key    *k = item, *last = a->last_key;
	struct store_index_write row = { .index = k->index,
		.key = k->key,
		.deleted = k->deleted,
		.tablet = k->tablet,
		.doc = k->doc };

	if (last && last->ts == k->ts && uid_eq(last->index, k->index) &&
	    str_eq(last->key, k->key))
		return true;
	a->last_key = k;
	a->st = sqlite_put_key(a->w, k->backfill ? WRITE_BACKFILL : WRITE_KEY, k->ts, &row, a->e);
	return a->st == ST_OK;
}

static bool
apply_global(void *arg, void *item)
{
	struct apply            *a = arg;
	const struct mem_global *g = item;
	struct store_global      row = { g->name, g->json };

	if (a->last_global && str_eq(a->last_global->name, g->name))
		return true;
	a->last_global = g;
	a->st = sqlite_put_global(a->w, &row, a->e);
	return a->st == ST_OK;
}

static status
note_applied(struct logged_store *s, const struct memtable *t, struct err *e)
{
	int rc;

	sqlite3_bind_int64(s->note, 1, (sqlite3_int64)t->sequence);
	sqlite3_bind_int64(s->note, 2, (sqlite3_int64)t->newest);
	rc = sqlite3_step(s->note);
	sqlite3_reset(s->note);
	if (rc != SQLITE_DONE || sqlite3_changes(s->sql->writer.db) != 1)
		return sqlite_fail(s->sql->writer.db, e, "note what is applied");
	return ST_OK;
}

static status
apply_rows(struct logged_store *s, const struct memtable *t, struct err *e)
{
	struct apply a = { .w = &s->sql->writer, .e = e };

	TRY(sqlite_run(a.w, WRITE_BEGIN, e));
	(void)(skiplist_each(t->revisions, apply_revision, &a) &&
	    skiplist_each(t->keys, apply_key, &a) && skiplist_each(t->globals, apply_global, &a));
	TRY(a.st);
	TRY(note_applied(s, t, e));
	return sqlite_run(a.w, WRITE_COMMIT, e);
}

/* Moves SQLite's log into its file.  Everything committed is durable if all of it was moved. */
static status
checkpoint(struct logged_store *s, uint64_t sequence, struct err *e)
{
	sqlite3 *db = s->sql->writer.db;
	int      in_log, moved, rc;

	/* RESTART and not PASSIVE: with readers coming and going all the time SQLite's log would
	 * never begin at its beginning again. */
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, &in_log, &moved);
	if (rc != SQLITE_OK && rc != SQLITE_BUSY)
		return sqlite_fail(db, e, "checkpoint");
	if (rc == SQLITE_OK && in_log == moved) {
		s->frames = 0;
		commitlog_forget(s->log, sequence);
	}
	return ST_OK;
}

static bool
idle(const struct logged_store *s)
{
	return s->active->records == 0 || s->paused;
}

/* Gives a table with little in it some time to grow.  The caller has the lock. */
static void
linger(struct logged_store *s)
{
	struct timespec until;
	uint64_t        ns;

	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = (uint64_t)until.tv_nsec + s->opts.linger_ns;
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	while (!s->stopping && s->active->bytes < LINGER_BYTES &&
	    pthread_cond_timedwait(&s->work, &s->lock, &until) == 0)
		;
}

/* Waits for rows, and puts an empty table in the place of theirs.  NULL: time to end. */
static struct memtable *
take_table(struct logged_store *s)
{
	struct memtable *fresh, *t = NULL;

	mutex_lock_(&s->lock);
	while (idle(s) && !s->stopping)
		must(pthread_cond_wait(&s->work, &s->lock) == 0);
	if (!idle(s))
		linger(s);
	must(pthread_mutex_unlock(&s->lock) == 0);

	fresh = memtable_new();
	mutex_lock_(&s->fill_lock);
	mutex_lock_(&s->lock);
	if (!s->failed && !idle(s)) {
		t = s->applying = s->active;
		s->active = fresh;
		fresh = NULL;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	must(pthread_mutex_unlock(&s->fill_lock) == 0);
	memtable_unref(fresh);
	return t;
}

/* The table's rows are in SQLite, for whoever looks there from now on. */
static void
drop_table(struct logged_store *s, struct memtable *t)
{
	mutex_lock_(&s->lock);
	must(s->applying == t);
	s->applying = NULL;
	s->backlog -= t->bytes;
	metric_set(&logged_backlog, (int64_t)s->backlog);
	must(pthread_cond_broadcast(&s->applied) == 0);
	must(pthread_mutex_unlock(&s->lock) == 0);
	metric_add(&applied_commits, (int64_t)t->records);
	memtable_unref(t);
}

static status
apply_table(struct logged_store *s, struct memtable *t, struct err *e)
{
	uint64_t sequence = t->sequence;
	status   st = commitlog_prepare(s->log, e);

	if (st == ST_OK)
		st = apply_rows(s, t, e);
	if (st != ST_OK) {
		sqlite_roll_back(&s->sql->writer);
		return st; /* the table stays: readers go on seeing it */
	}
	drop_table(s, t);
	return s->frames >= (int)s->opts.checkpoint_frames ? checkpoint(s, sequence, e) : ST_OK;
}

static void
fail(struct logged_store *s)
{
	log_error("the store of '%s' cannot apply its commit log and takes no more writes",
	    s->sql->path);
	mutex_lock_(&s->lock);
	s->failed = true;
	must(pthread_cond_broadcast(&s->applied) == 0);
	must(pthread_mutex_unlock(&s->lock) == 0);
}

void
logged_apply_thread(void *arg)
{
	struct logged_store *s = arg;
	struct memtable     *t;

	for (;;) {
		bool stop;

		t = take_table(s);
		if (t && apply_table(s, t, NULL) != ST_OK) {
			fail(s); /* the reason is logged where it arose */
			return;
		}
		mutex_lock_(&s->lock);
		stop = s->failed || (s->stopping && s->active->records == 0);
		must(pthread_mutex_unlock(&s->lock) == 0);
		if (stop)
			return;
	}
}
