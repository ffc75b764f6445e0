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

enum { CHECKPOINT_FRAMES = 16384, LINGER_MS = 50 };

/* Some 30,000 small transactions: about 200 ms of work when they have to be read again. */
#define BACKLOG_BYTES ((size_t)16 << 20)

/* --- the write path --- */

static int
doc_order(const void *x, const void *y)
{
	const struct store_doc_write *a = *(const struct store_doc_write *const *)x;
	const struct store_doc_write *b = *(const struct store_doc_write *const *)y;
	int                           c = uid_cmp(a->tablet, b->tablet);

	return c ? c : uid_cmp(a->id.uid, b->id.uid);
}

static int
key_order(const void *x, const void *y)
{
	const struct store_index_write *a = *(const struct store_index_write *const *)x;
	const struct store_index_write *b = *(const struct store_index_write *const *)y;
	int                             c = uid_cmp(a->index, b->index);

	return c ? c : str_cmp(a->key, b->key);
}

/* Are two of the n rows (of `size` bytes each) equal? */
static bool
has_twins(const void *rows, size_t n, size_t size, int (*order)(const void *, const void *))
{
	const void  *few[32];
	const void **list = n <= COUNT_OF(few) ? few : mem_alloc(n * sizeof *list);
	bool         found = false;

	for (size_t i = 0; i < n; i++)
		list[i] = (const char *)rows + i * size;
	qsort(list, n, sizeof *list, order);
	for (size_t i = 1; i < n && !found; i++)
		found = order(&list[i - 1], &list[i]) == 0;
	if (list != few)
		mem_free(list);
	return found;
}

/* What SQLite would refuse must not get into the log.  Rows of different commits cannot collide,
 * because their times grow; so it is enough to look at each commit by itself. */
static status
check_batch(const struct logged_store *s, const struct store_batch *b, struct err *e)
{
	ts_t newest = s->newest;
	bool any = s->has_commits;

	for (size_t i = 0; i < b->ncommits; i++) {
		const struct store_commit *c = b->commits[i];

		if ((any && c->ts <= newest) || c->ts > TS_MAX)
			return err_internal(e,
			    "store: a commit at %llu does not come after the newest one, %llu",
			    (unsigned long long)c->ts, (unsigned long long)newest);
		if (has_twins(c->docs, c->ndocs, sizeof *c->docs, doc_order))
			return err_internal(e, "store: a document is written twice at one time");
		if (has_twins(c->keys, c->nkeys, sizeof *c->keys, key_order))
			return err_internal(e, "store: a key is written twice at one time");
		newest = c->ts;
		any = true;
	}
	for (size_t i = 0; i < b->nbackfill; i++)
		if (!any || b->backfill[i].ts > newest)
			return err_internal(e, "store: an entry is backfilled in the future");
	return ST_OK;
}

static status
wait_for_room(struct logged_store *s, struct err *e)
{
	MUTEX_GUARD(&s->lock);

	while (s->backlog > s->opts.backlog_bytes && !s->failed)
		must(pthread_cond_wait(&s->applied, &s->lock) == 0);
	if (s->failed)
		return err_internal(e, "the store of '%s' has failed before", s->sql->path);
	return ST_OK;
}

/* The record is durable: readers may see its rows, the applier may take them.  The caller has
 * fill_lock; `t` is the active table with the rows in it. */
static void
publish(struct logged_store *s, struct memtable *t, const struct commitlog_record *r)
{
	MUTEX_GUARD(&s->lock);

	t->bytes += r->disk_bytes;
	t->records++;
	t->newest = s->newest = r->last_ts;
	s->has_commits = s->has_commits || t->has_docs || r->last_ts > 0;
	if (t->has_docs && t->max_ts > s->max_ts)
		s->max_ts = t->max_ts;
	s->visible = s->number;
	s->backlog += r->disk_bytes;
	metric_set(&logged_backlog, (int64_t)s->backlog);
	if (t->records == 1 ||
	    (t->bytes >= LINGER_BYTES && t->bytes - r->disk_bytes < LINGER_BYTES))
		must(pthread_cond_signal(&s->work) == 0);
}

static status
log_and_publish(struct logged_store *s, ts_t first, ts_t last, struct err *e)
{
	struct commitlog_record r;
	MUTEX_GUARD(&s->fill_lock);
	status st = commitlog_append(s->log, &s->record, first, last, &r, e);

	if (st == ST_OK) {
		must(memtable_add(s->active, r.sequence, r.payload, &s->number) == ST_OK);
		publish(s, s->active, &r);
		return ST_OK;
	}
	mutex_lock_(&s->lock);
	s->failed = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	return st;
}

static status
logged_write(void *self, const struct store_batch *b, struct err *e)
{
	struct logged_store *s = self;
	ts_t                 first = s->newest, last = s->newest;

	must(s->magic == LOGGED_MAGIC);
	TRY(check_batch(s, b, e));
	TRY(wait_for_room(s, e));
	if (b->ncommits > 0) {
		first = b->commits[0]->ts;
		last = b->commits[b->ncommits - 1]->ts;
	}
	buf_reset(&s->record);
	commitlog_begin(&s->record);
	logrecord_write(&s->record, b);
	return log_and_publish(s, first, last, e);
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
	size_t stale = commitlog_delete(opts->path);

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
	publish(s, s->active, r);
	return ST_OK;
}

static status
recover_log(struct logged_store *s, const struct commitlog_opts *opts, uint64_t applied,
    struct err *e)
{
	memtable_begin_bulk(s->active);
	TRY(commitlog_open(opts, applied, replay, s, &s->log, e));
	if (memtable_end_bulk(s->active) == ST_OK)
		return ST_OK;
	return err_set(e, ST_OPERATIONAL, "CommitLogDamaged",
	    "the commit log of '%s' writes a document twice at one time", s->sql->path);
}

static status
open_log(struct logged_store *s, struct err *e)
{
	struct commitlog_opts opts = {
		.path = s->sql->path, .segment_bytes = s->opts.segment_bytes, .io = s->opts.io
	};
	sqlite3_int64 max = 0;
	struct mark   mark;

	TRY(query(s, "SELECT max(ts) FROM documents", &max, 1, &s->has_commits, e));
	TRY(query(s, "SELECT 1 FROM documents LIMIT 1", &(sqlite3_int64){ 0 }, 1, &s->has_commits,
	    e));
	s->max_ts = (ts_t)max;
	TRY(read_mark(s, &mark, e));
	s->newest = mark.newest > s->max_ts ? mark.newest : s->max_ts;
	s->has_commits = s->has_commits || s->newest > 0;
	if (!mark.found)
		return start_log(s, &opts, e);
	opts.id = mark.id;
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
start_applier(struct logged_store *s, struct err *e)
{
	static const char *const note = "UPDATE fresnel_log SET applied = ?1, newest = ?2";

	TRY(sqlite_prepare(s->sql->writer.db, &note, 1, &s->note, e));
	/* The hook takes the place of automatic checkpoints. */
	TRY(execute(s, "PRAGMA synchronous = NORMAL", e));
	sqlite3_wal_hook(s->sql->writer.db, count_frames, s);
	s->applier = thread_start("store-apply", 0, logged_apply_thread, s);
	return ST_OK;
}

/* --- closing --- */

static void
stop_applier(struct logged_store *s)
{
	if (!s->applier)
		return;
	mutex_lock_(&s->lock);
	s->stopping = true;
	s->paused = false;
	must(pthread_cond_broadcast(&s->work) == 0);
	must(pthread_mutex_unlock(&s->lock) == 0);
	thread_join_free(s->applier);
	s->applier = NULL;
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
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->fill_lock);
	s->magic = 0;
	mem_free(s);
}

static void
logged_close(void *self)
{
	struct logged_store *s = self;

	must(s->magic == LOGGED_MAGIC);
	stop_applier(s);
	sqlite3_finalize(s->note);
	s->note = NULL;
	/* A store that has failed keeps its log, for the next opening to read. */
	if (!s->failed && retire_log(s, NULL) == ST_OK)
		commitlog_delete(s->sql->path);
	free_store(s);
}

static const struct store_vtable logged_vtable = {
	.name = "sqlite",
	.write = logged_write,
	.scan = logged_scan,
	.log = logged_log,
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
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&s->work, &attr) == 0);
	must(pthread_cond_init(&s->applied, &attr) == 0);
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
		s->opts.backlog_bytes = BACKLOG_BYTES;
	if (!s->opts.checkpoint_frames)
		s->opts.checkpoint_frames = CHECKPOINT_FRAMES;
	s->paused = opts->paused;
	buf_init(&s->record, SIZE_MAX);
	init_waits(s);
	s->active = memtable_new();
	st = sqlite_open(path, SQLITE_FORMAT_LOGGED, &s->sql, e);
	if (st == ST_OK)
		st = open_log(s, e);
	if (st == ST_OK)
		st = start_applier(s, e);
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

void
logged_abandon(struct store *st)
{
	struct logged_store *s = st->self;

	mutex_lock_(&s->lock);
	s->failed = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	store_close(st);
}
