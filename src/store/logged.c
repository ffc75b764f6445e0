/* logged.c - the embedded store: a commit log in front of SQLite.
 *
 * SQLite makes a group of transactions durable with some eleven pages for each of them; the log
 * needs their bytes.  So a write appends to the log, syncs once and is done; its rows go into a
 * memtable, where reads find them, and an applier thread brings them into SQLite in transactions
 * of thousands (logged_apply.c).  A crash leaves the log to be read again: from the first record
 * that SQLite does not have, into a memtable, without waiting for SQLite.
 *
 * What is not applied is bounded: above opts.backlog_bytes a write waits.  That also bounds the
 * time that opening takes after a crash.
 *
 * Format: in the database the table fresnel_log (log id, sequence number of the newest record
 * applied, timestamp of the newest commit) and format version 2, both only while a log exists:
 * a clean close applies everything, takes them back and deletes the log, and leaves a database
 * as the plain store has it.  The order in which that happens is such that a log without the
 * table is rubbish and a table without a log is a loss.
 *
 * Thread: store.h.  Memory: struct logged_store.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "os/os.h"
#include "store/logged_int.h"
#include "store/logrecord.h"

enum { CHECKPOINT_FRAMES = 16384, LINGER_MS = 200 };

/* Some 30,000 small transactions: about 200 ms of work when they have to be read again. */
#define BACKLOG_BYTES ((size_t)16 << 20)

static const struct disk *
disk_of(const struct logged_store *s)
{
	return s->opts.disk ? s->opts.disk : disk_real();
}

/* --- opening --- */

/* The row of fresnel_log. */
struct mark {
	bool     found;
	uint64_t id, applied;
	ts_t     newest;
};

static status
query(struct logged_store *s, const char *sql, sqlite3_int64 *ret, int columns, bool *ret_found,
    struct err *e)
{
	sqlite3      *db = s->sql->writer.db;
	sqlite3_stmt *st = NULL;
	int           rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	for (int i = 0; rc == SQLITE_ROW && i < columns; i++)
		ret[i] = sqlite3_column_int64(st, i);
	*ret_found = rc == SQLITE_ROW;
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : sqlite_refuse(db, e, s->sql->path);
}

static status
execute(struct logged_store *s, const char *sql, struct err *e)
{
	if (sqlite3_exec(s->sql->writer.db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(s->sql->writer.db, e, s->sql->path);
	return ST_OK;
}

static status
read_mark(struct logged_store *s, struct mark *ret, struct err *e)
{
	sqlite3_int64 v[3] = { 0 };
	bool          table;

	*ret = (struct mark){ 0 };
	TRY(query(s, "SELECT 1 FROM sqlite_schema WHERE name = 'fresnel_log'", v, 1, &table, e));
	if (!table)
		return ST_OK;
	TRY(query(s, "SELECT id, applied, newest FROM fresnel_log", v, 3, &ret->found, e));
	ret->id = (uint64_t)v[0];
	ret->applied = (uint64_t)v[1];
	ret->newest = (ts_t)v[2];
	return ST_OK;
}

static status
start_log(struct logged_store *s, struct commitlog_opts *opts, struct err *e)
{
	char   sql[500];
	size_t stale;

	/* That the database knows no log may itself not be on the disk yet. */
	TRY(logged_harden_database(s, e));
	stale = commitlog_delete(disk_of(s), opts->path);
	if (stale)
		log_warn("deleted %zu files of a commit log that the database '%s' does not know",
		    stale, opts->path);
	os_random(os_real(), &opts->id, sizeof opts->id);
	TRY(commitlog_create(opts, &s->log, e));
	snprintf(sql, sizeof sql,
	    "BEGIN IMMEDIATE; DROP TABLE IF EXISTS fresnel_log;"
	    " CREATE TABLE fresnel_log (id INTEGER NOT NULL, applied INTEGER NOT NULL,"
	    " newest INTEGER NOT NULL);"
	    " INSERT INTO fresnel_log VALUES (%lld, 0, %lld);"
	    " UPDATE persistence_globals SET json_value = '{\"version\":%d}'"
	    " WHERE key = 'fresnel_format'; COMMIT;",
	    (long long)opts->id, (long long)s->newest, SQLITE_FORMAT_LOGGED);
	return execute(s, sql, e);
}

/* A record that SQLite does not have. */
static status
replay(void *arg, const struct commitlog_record *r, struct err *e)
{
	struct logged_store *s = arg;

	if (memtable_add(s->active, r->sequence, r->payload, &s->number) != ST_OK)
		return err_set(e, ST_OPERATIONAL, "CommitLogDamaged",
		    "the commit log of '%s' holds a record that cannot be read: number %llu",
		    s->sql->path, (unsigned long long)r->sequence);
	logged_publish(s, s->active, r);
	return ST_OK;
}

static status
recover_log(struct logged_store *s, const struct commitlog_opts *opts, uint64_t applied,
    struct err *e)
{
	memtable_begin_bulk(s->active);
	TRY(commitlog_open(opts, applied, replay, s, &s->log, e));
	/* Backfilled entries of any time may be among it, and who held history back for them is
	 * gone. */
	if (s->active->records > 0)
		s->settled = 0;
	if (memtable_end_bulk(s->active) == ST_OK)
		return ST_OK;
	return err_set(e, ST_OPERATIONAL, "CommitLogDamaged",
	    "the commit log of '%s' writes a document twice at one time", s->sql->path);
}

static status
open_log(struct logged_store *s, struct err *e)
{
	struct commitlog_opts opts = {
		.path = s->sql->path, .segment_bytes = s->opts.segment_bytes, .disk = s->opts.disk
	};
	sqlite3_int64 max = 0;
	struct mark   mark;

	logged_find_wal(s);
	TRY(query(s, "SELECT max(ts) FROM documents", &max, 1, &s->has_commits, e));
	TRY(query(s, "SELECT 1 FROM documents LIMIT 1", &(sqlite3_int64){ 0 }, 1, &s->has_commits,
	    e));
	s->max_ts = (ts_t)max;
	TRY(read_mark(s, &mark, e));
	s->newest = mark.newest > s->max_ts ? mark.newest : s->max_ts;
	s->settled = s->newest;
	s->has_commits = s->has_commits || s->newest > 0;
	if (!mark.found)
		return start_log(s, &opts, e);
	/* That there is a log must be on the disk before anything is acknowledged.  If something
	 * was applied since, it is. */
	if (mark.applied == 0)
		TRY(logged_harden_database(s, e));
	opts.id = mark.id;
	s->applied_sequence = mark.applied;
	return recover_log(s, &opts, mark.applied, e);
}

static int
count_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct logged_store *s = arg;

	(void)db;
	(void)name;
	s->frames = frames;
	return SQLITE_OK;
}

static status
start_threads(struct logged_store *s, struct err *e)
{
	static const char *const note = "UPDATE fresnel_log SET applied = ?1, newest = ?2";

	TRY(sqlite_prepare(s->sql->writer.db, &note, 1, &s->note, e));
	/* The hook takes the place of automatic checkpoints. */
	TRY(execute(s, "PRAGMA synchronous = NORMAL", e));
	sqlite3_wal_hook(s->sql->writer.db, count_frames, s);
	if (s->opts.by_hand)
		return ST_OK;
	s->applier = thread_start("store-apply", 0, logged_apply_thread, s);
	s->filler = thread_start("store-fill", 0, logged_fill_thread, s);
	return ST_OK;
}

/* --- closing --- */

static void
stop_threads(struct logged_store *s)
{
	mutex_lock_(&s->lock);
	s->stopping = true;
	s->paused = false;
	must(pthread_cond_broadcast(&s->work) == 0);
	must(pthread_cond_broadcast(&s->space) == 0);
	must(pthread_mutex_unlock(&s->lock) == 0);
	if (s->opts.by_hand)
		while (logged_apply_once(s, false))
			;
	if (s->applier)
		thread_join_free(s->applier);
	if (s->filler)
		thread_join_free(s->filler);
	s->applier = s->filler = NULL;
}

/* Makes the file one that needs no log.  The transaction is synced, and with it all before it in
 * SQLite's own log: ours can go. */
static status
retire_log(struct logged_store *s, struct err *e)
{
	char sql[300];

	snprintf(sql, sizeof sql,
	    "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; DROP TABLE fresnel_log;"
	    " UPDATE persistence_globals SET json_value = '{\"version\":%d}'"
	    " WHERE key = 'fresnel_format'; COMMIT;",
	    SQLITE_FORMAT_VERSION);
	return execute(s, sql, e);
}

static void
free_store(struct logged_store *s)
{
	sqlite3_finalize(s->note);
	if (s->sql)
		sqlite_close(s->sql);
	commitlog_close(s->log);
	memtable_unref(s->active);
	memtable_unref(s->applying);
	buf_clear(&s->record);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->applied);
	pthread_cond_destroy(&s->space);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->fill_lock);
	pthread_mutex_destroy(&s->sql_turn);
	pthread_mutex_destroy(&s->sql_lock);
	s->magic = 0;
	mem_free(s);
}

static void
logged_close(void *self)
{
	struct logged_store *s = self;

	must(s->magic == LOGGED_MAGIC);
	stop_threads(s);
	sqlite3_finalize(s->note);
	s->note = NULL;
	/* A store that has failed keeps its log, for the next opening to read, and SQLite's, which
	 * may not be what the disk has. */
	if (!s->failed && logged_harden_wal(s, NULL) == ST_OK && retire_log(s, NULL) == ST_OK)
		commitlog_delete(disk_of(s), s->sql->path);
	else
		sqlite3_db_config(s->sql->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	free_store(s);
}

static const struct store_vtable logged_vtable = {
	.name = "sqlite",
	.write = logged_write,
	.scan = logged_scan,
	.log = logged_log,
	.revision = logged_revision,
	.prune = logged_prune,
	.erase_index = logged_erase_index,
	.erase_table = logged_erase_table,
	.settled_ts = logged_settled_ts,
	.reserve = logged_reserve,
	.release = logged_release,
	.stats = logged_stats,
	.global = logged_global,
	.max_ts = logged_max_ts,
	.close = logged_close,
};

static void
init_waits(struct logged_store *s)
{
	pthread_condattr_t attr;

	must(pthread_mutex_init(&s->lock, NULL) == 0);
	must(pthread_mutex_init(&s->fill_lock, NULL) == 0);
	must(pthread_mutex_init(&s->sql_turn, NULL) == 0);
	must(pthread_mutex_init(&s->sql_lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&s->work, &attr) == 0);
	must(pthread_cond_init(&s->applied, &attr) == 0);
	must(pthread_cond_init(&s->space, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

status
store_open_logged_with(const char *path, const struct logged_opts *opts, struct store *ret,
    struct err *e)
{
	struct logged_store *s = MEM_NEW(struct logged_store);
	status               st;

	s->magic = LOGGED_MAGIC;
	s->opts = *opts;
	if (!s->opts.backlog_bytes)
		s->opts.backlog_bytes = BACKLOG_BYTES < sqlite_backlog_max() ? BACKLOG_BYTES
									     : sqlite_backlog_max();
	if (!s->opts.checkpoint_frames)
		s->opts.checkpoint_frames = CHECKPOINT_FRAMES;
	s->paused = opts->paused;
	buf_init(&s->record, SIZE_MAX);
	init_waits(s);
	s->active = memtable_new();
	st = sqlite_open(path, true, &s->sql, e);
	if (st == ST_OK)
		st = open_log(s, e);
	if (st == ST_OK)
		st = start_threads(s, e);
	if (st != ST_OK) {
		free_store(s);
		return st;
	}
	*ret = (struct store){ &logged_vtable, s };
	return ST_OK;
}

status
store_open_sqlite(const char *path, struct store *ret, struct err *e)
{
	return store_open_logged_with(
	    path, &(struct logged_opts){ .linger_ns = LINGER_MS * 1000000ull }, ret, e);
}

/* --- for tests --- */

void
logged_pause(struct store *st, bool paused)
{
	struct logged_store *s = st->self;
	MUTEX_GUARD(&s->lock);

	must(s->magic == LOGGED_MAGIC);
	s->paused = paused;
	must(pthread_cond_broadcast(&s->work) == 0);
}

void
logged_drain(struct store *st)
{
	struct logged_store *s = st->self;
	MUTEX_GUARD(&s->lock);

	must(s->magic == LOGGED_MAGIC);
	while (s->backlog > 0 && !s->failed)
		must(pthread_cond_wait(&s->applied, &s->lock) == 0);
}

bool
logged_step(struct store *st)
{
	struct logged_store *s = st->self;

	must(s->magic == LOGGED_MAGIC && s->opts.by_hand);
	logged_fill(s);
	return logged_apply_once(s, false);
}

void
logged_checkpoint(struct store *st)
{
	logged_call_checkpoint(st->self);
	(void)logged_step(st);
}

void
logged_abandon(struct store *st)
{
	struct logged_store *s = st->self;

	mutex_lock_(&s->lock);
	s->failed = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	store_close(st);
}
