/* logged_write.c - the write path of the logged store: one record, one sync.
 *
 * Writers and applier are kept in step smoothly.  Up to half of what may be waiting for SQLite
 * a write is not delayed; above it each write is made to take as long as the applier needs for
 * its bytes, times a factor that grows from 0 to 2 with the backlog.  So the two find a balance
 * between half and all of the bound, and no write meets the wall.
 *
 * Thread: the one that writes.  Memory: struct logged_store.
 */
#include <stdlib.h>
#include <time.h>

#include "os/os.h"
#include "store/logged_int.h"
#include "store/logrecord.h"

enum { RETRY_MS = 1000, DELAY_MAX_MS = 50 };

static struct metric throttled = METRIC_COUNTER("fresnel_store_throttled_ns_total",
    "nanoseconds for which writes were delayed because SQLite was behind");

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
failed_before(const struct logged_store *s, struct err *e)
{
	return err_internal(e, "the store of '%s' has failed before", s->sql->path);
}

/* How long the write of so many bytes should take.  The caller has the lock. */
static uint64_t
fair_delay_ns(const struct logged_store *s, size_t bytes)
{
	size_t   half = s->opts.backlog_bytes / 2;
	uint64_t over, ns;

	if (s->backlog <= half || (atomic_load(&s->full) & FULL_SQLITE))
		return 0;
	over = (s->backlog - half) * 256 / half;
	ns = bytes * s->apply_ns_per_kib / 1024 * over / 128;
	return ns < DELAY_MAX_MS * 1000000ull ? ns : DELAY_MAX_MS * 1000000ull;
}

/* A full disk under SQLite is waited for by the backlog and not by writers: the room in the log is
 * what bounds it then. */
static bool
at_the_wall(const struct logged_store *s)
{
	return !s->opts.by_hand && !s->failed && s->backlog > s->opts.backlog_bytes &&
	    !(atomic_load(&s->full) & FULL_SQLITE);
}

static status
wait_for_room(struct logged_store *s, size_t bytes, struct err *e)
{
	uint64_t        delay, begun = os_mono_ns(os_real()), now = begun;
	struct timespec until;
	MUTEX_GUARD(&s->lock);

	delay = s->opts.by_hand ? 0 : fair_delay_ns(s, bytes);
	logged_deadline(&until, delay);
	while (at_the_wall(s))
		must(pthread_cond_wait(&s->applied, &s->lock) == 0);
	/* What is applied meanwhile ends the delay as well as time does. */
	while (delay > 0 && fair_delay_ns(s, bytes) > 0 && now - begun < delay && !s->failed) {
		(void)pthread_cond_timedwait(&s->applied, &s->lock, &until);
		now = os_mono_ns(os_real());
	}
	if (delay > 0)
		metric_add(&throttled, (int64_t)(now - begun));
	return s->failed ? failed_before(s, e) : ST_OK;
}

/* The record is durable: readers may see its rows, the applier may take them.  The caller has
 * fill_lock; `t` is the active table with the rows in it. */
void
logged_publish(struct logged_store *s, struct memtable *t, const struct commitlog_record *r)
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
		logged_publish(s, s->active, &r);
		return ST_OK;
	}
	if (st == ST_OVERLOADED)
		return st;
	mutex_lock_(&s->lock);
	s->failed = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	return st;
}

/* False: the store has failed, or is to be closed. */
static bool
wait_for_space(struct logged_store *s)
{
	struct timespec until;
	MUTEX_GUARD(&s->lock);

	logged_deadline(&until, RETRY_MS * 1000000ull);
	if (!s->failed)
		(void)pthread_cond_timedwait(&s->applied, &s->lock, &until);
	return !s->failed;
}

static void
release(struct logged_store *s, const struct store_batch *b)
{
	for (size_t i = 0; i < b->ncommits; i++)
		if (b->commits[i]->reserved)
			commitlog_release(s->log, b->commits[i]->reserved);
}

status
logged_write(void *self, const struct store_batch *b, struct err *e)
{
	struct logged_store *s = self;
	ts_t                 first = s->newest, last = s->newest;
	status               st;

	must(s->magic == LOGGED_MAGIC);
	TRY(check_batch(s, b, e));
	if (b->ncommits > 0) {
		first = b->commits[0]->ts;
		last = b->commits[b->ncommits - 1]->ts;
	}
	buf_reset(&s->record);
	commitlog_begin(&s->record);
	logrecord_write(&s->record, b);
	TRY(wait_for_room(s, s->record.n, e));
	st = log_and_publish(s, first, last, e);
	/* Only what was not promised, or is larger than a promise holds for, can get here. */
	while (st == ST_OVERLOADED && !s->opts.by_hand) {
		logged_note_full(s, FULL_LOG, true);
		st = wait_for_space(s) ? log_and_publish(s, first, last, e) : failed_before(s, e);
	}
	release(s, b);
	if (st == ST_OK && commitlog_wants_segment(s->log))
		logged_wake_filler(s);
	return st;
}
