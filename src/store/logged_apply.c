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
 * A full disk is waited for (logged_space.c).  Any other failure is final for the store: writes are
 * refused, and nothing is lost, because the log keeps what could not be applied.  A checkpoint
 * whose sync failed is never tried again: the kernel may have dropped the pages.
 *
 * SQLite's page cache and what the tables leave behind in the allocator go back to the system when
 * nothing was written for two seconds: a server that is idle is small, whatever it did before.
 *
 * Thread: the applier's.  Memory: the table that is applied.
 */
#include <errno.h>
#include <malloc.h>

#include "base/log.h"
#include "os/os.h"
#include "store/logged_int.h"
#include "store/skiplist_int.h"

enum {
	RETRY_MS = 1000,
	RELEASE_AFTER_MS = 2000,
	RELEASE_BYTES = 1 << 20 /* of the log: applying less does not leave much behind */
};

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
	return sqlite_commit(a.w, e);
}

/* Moves SQLite's log into its file.  Everything committed is durable if all of it was moved. */
static status
checkpoint(struct logged_store *s, struct err *e)
{
	sqlite3 *db = s->sql->writer.db;
	int      in_log, moved, rc;

	TRY(logged_harden_wal(s, e));
	/* RESTART and not PASSIVE: with readers coming and going all the time SQLite's log would
	 * never begin at its beginning again. */
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, &in_log, &moved);
	if (rc != SQLITE_OK && rc != SQLITE_BUSY)
		return sqlite_fail(db, e, "checkpoint");
	if (rc == SQLITE_OK && in_log == moved) {
		s->frames = 0;
		commitlog_forget(s->log, s->applied_sequence);
		logged_wake_filler(s);
	}
	return ST_OK;
}

static bool
idle(const struct logged_store *s)
{
	return (s->active->records == 0 && !s->applying) || s->paused;
}

/* Gives a table with little in it some time to grow.  The caller has the lock. */
static void
linger(struct logged_store *s)
{
	struct timespec until;

	logged_deadline(&until, s->opts.linger_ns);
	while (!s->stopping && s->active->bytes < LINGER_BYTES &&
	    pthread_cond_timedwait(&s->work, &s->lock, &until) == 0)
		;
}

static void
release_memory(struct logged_store *s)
{
	LOGGED_SQL_GUARD(s);

	(void)sqlite3_db_release_memory(s->sql->writer.db);
	malloc_trim(0);
}

/* False: nothing came for so long that memory should be released. */
static bool
wait_for_rows(struct logged_store *s)
{
	struct timespec until;
	MUTEX_GUARD(&s->lock);

	logged_deadline(&until, RELEASE_AFTER_MS * 1000000ull);
	while (idle(s) && !s->stopping && !s->want_checkpoint) {
		if (s->unreleased < RELEASE_BYTES)
			must(pthread_cond_wait(&s->work, &s->lock) == 0);
		else if (pthread_cond_timedwait(&s->work, &s->lock, &until) == ETIMEDOUT)
			return false;
	}
	if (!idle(s))
		linger(s);
	return true;
}

/* Puts an empty table in the place of the active one.  NULL: there is nothing to apply.  A table
 * that could not be applied before is still there. */
static struct memtable *
take_table(struct logged_store *s)
{
	struct memtable *fresh = memtable_new(), *t = NULL;

	mutex_lock_(&s->fill_lock);
	mutex_lock_(&s->lock);
	if (!s->failed && !idle(s)) {
		if (!s->applying) {
			s->applying = s->active;
			s->active = fresh;
			fresh = NULL;
		}
		t = s->applying;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	must(pthread_mutex_unlock(&s->fill_lock) == 0);
	memtable_unref(fresh);
	return t;
}

/* The table's rows are in SQLite, for whoever looks there from now on. */
static void
drop_table(struct logged_store *s, struct memtable *t, uint64_t took_ns)
{
	mutex_lock_(&s->lock);
	must(s->applying == t);
	s->applying = NULL;
	s->settled = t->newest;
	s->backlog -= t->bytes;
	s->apply_ns_per_kib = took_ns / (t->bytes / 1024 + 1);
	metric_set(&logged_backlog, (int64_t)s->backlog);
	must(pthread_cond_broadcast(&s->applied) == 0);
	must(pthread_mutex_unlock(&s->lock) == 0);
	metric_add(&applied_commits, (int64_t)t->records);
	memtable_unref(t);
}

static status
apply_table(struct logged_store *s, struct memtable *t, struct err *e)
{
	uint64_t begun = os_mono_ns(os_real());
	status   st = apply_rows(s, t, e);

	if (st != ST_OK) {
		sqlite_roll_back(&s->sql->writer);
		return st; /* the table stays: readers go on seeing it */
	}
	s->applied_sequence = t->sequence;
	s->unreleased += t->bytes;
	drop_table(s, t, os_mono_ns(os_real()) - begun);
	return ST_OK;
}

/* Is one due?  If the log has no room it may be that SQLite only has to make its part durable. */
static bool
checkpoint_due(struct logged_store *s)
{
	bool called;
	MUTEX_GUARD(&s->lock);

	called = s->want_checkpoint;
	s->want_checkpoint = false;
	return called || s->frames >= (int)s->opts.checkpoint_frames ||
	    (s->frames > 0 && (atomic_load(&s->full) & FULL_LOG));
}

static status
work(struct logged_store *s, struct memtable *t, struct err *e)
{
	LOGGED_SQL_GUARD(s);

	if (t)
		TRY(apply_table(s, t, e));
	return checkpoint_due(s) ? checkpoint(s, e) : ST_OK;
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

/* SQLite has no space.  At the end the log stays, for the next opening. */
static void
wait_for_space(struct logged_store *s)
{
	struct timespec until;
	MUTEX_GUARD(&s->lock);

	logged_deadline(&until, RETRY_MS * 1000000ull);
	while (!s->stopping && !s->opts.by_hand &&
	    pthread_cond_timedwait(&s->work, &s->lock, &until) == 0)
		;
	s->failed = s->failed || s->stopping;
}

bool
logged_apply_once(struct logged_store *s, bool may_wait)
{
	struct memtable *t;
	status           st;

	while (may_wait && !wait_for_rows(s)) {
		s->unreleased = 0;
		release_memory(s);
	}
	t = take_table(s);
	st = work(s, t, NULL);
	if (st == ST_OK) {
		logged_note_full(s, FULL_SQLITE, false);
	} else if (st == ST_OVERLOADED) {
		logged_note_full(s, FULL_SQLITE, true);
		wait_for_space(s);
	} else {
		fail(s); /* the reason is logged where it arose */
	}
	return t != NULL && st == ST_OK;
}

void
logged_call_checkpoint(struct logged_store *s)
{
	MUTEX_GUARD(&s->lock);

	s->want_checkpoint = true;
	must(pthread_cond_signal(&s->work) == 0);
}

void
logged_apply_thread(void *arg)
{
	struct logged_store *s = arg;
	bool                 stop = false;

	while (!stop) {
		(void)logged_apply_once(s, true);
		mutex_lock_(&s->lock);
		stop = s->failed ||
		    (s->stopping && s->active->records == 0 && s->applying == NULL);
		must(pthread_mutex_unlock(&s->lock) == 0);
	}
}
