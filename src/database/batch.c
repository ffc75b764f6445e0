/* batch.c - from published to durable: the queue to the store (db.h).
 *
 * Commits wait here in timestamp order.  A batch is what one store transaction writes; when
 * it is written, the durable timestamp moves to its last commit.  Rows of index backfills go
 * with the next batch, so they are durable before any commit that came later.
 *
 * Thread: enqueueing on committing threads, the rest on the store's thread.
 * Memory: a batch owns its commits; each commit's arena goes with it.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "database/db_int.h"
#include "runtime/pause.h"

#define REPEATABLE_NS ((ts_t)5 * 1000000000)
#define REPEATABLE_IDLE_NS ((ts_t)3600 * 1000000000)
#define BATCH_BYTES   ((size_t)1 << 20) /* an eighth of a segment of the log: commitlog.h */

struct pending_batch {
	struct pending_commit             *first;
	VEC(const struct store_commit *)   commits;
	VEC(struct store_backfill_row)     backfill;
	ts_t                               last_ts; /* 0: no commits */
};

void
pending_commit_free(struct pending_commit *p)
{
	for (size_t i = 0; i < p->rows.ndocs; i++)
		doc_unref(p->docs[i].doc);
	wlog_record_unref(p->record);
	arena_free(p->arena);
}

void
db_enqueue_take(struct db *db, struct pending_commit *p)
{
	MUTEX_GUARD(&db->queue_lock);

	p->next = NULL;
	if (db->last)
		db->last->next = p;
	else
		db->first = p;
	db->last = p;
	db->queued++;
}

size_t
db_pending_commits(struct db *db)
{
	MUTEX_GUARD(&db->queue_lock);

	return db->queued + db->taken;
}

void
db_queue_backfill(struct db *db, const struct store_backfill_row *rows, size_t n)
{
	MUTEX_GUARD(&db->queue_lock);

	for (size_t i = 0; i < n; i++) {
		struct store_backfill_row r = rows[i];
		char                     *key = mem_alloc(r.key.key.n);

		memcpy(key, r.key.key.p, r.key.key.n);
		r.key.key.p = key;
		vec_push(&db->backfill, r);
	}
}

/* An entry goes in the batch that holds its document's own commit, or later: the commit may bring
 * the same entry, and must come first. */
static void
take_backfill(struct db *db, struct pending_batch *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < db->backfill.n; i++) {
		struct store_backfill_row r = db->backfill.v[i];

		if (!db->first || r.ts <= b->last_ts)
			vec_push(&b->backfill, r);
		else
			db->backfill.v[kept++] = r;
	}
	db->backfill.n = kept;
}

struct pending_batch *
db_take_batch(struct db *db, size_t max_rows)
{
	struct pending_batch  *b;
	struct pending_commit *p = NULL, **tail;
	size_t                 rows = 0, bytes = 0;

	MUTEX_GUARD(&db->queue_lock);
	if (!db->first && db->backfill.n == 0)
		return NULL;
	b = MEM_NEW(struct pending_batch);
	tail = &b->first;
	while (db->first &&
	    (!p || (rows + db->first->rows.ndocs <= max_rows &&
		       bytes + db->first->rows.reserved <= BATCH_BYTES))) {
		p = db->first;
		db->first = p->next;
		rows += p->rows.ndocs;
		bytes += p->rows.reserved;
		vec_push(&b->commits, &p->rows);
		b->last_ts = p->rows.ts;
		*tail = p;
		tail = &p->next;
	}
	*tail = NULL;
	if (!db->first)
		db->last = NULL;
	db->queued -= b->commits.n;
	db->taken += b->commits.n;
	take_backfill(db, b);
	return b;
}

static void
batch_free(struct pending_batch *b)
{
	while (b->first) {
		struct pending_commit *next = b->first->next;

		pending_commit_free(b->first);
		b->first = next;
	}
	for (size_t i = 0; i < b->backfill.n; i++)
		mem_free((void *)(uintptr_t)b->backfill.v[i].key.key.p);
	vec_clear(&b->commits);
	vec_clear(&b->backfill);
	mem_free(b);
}

static str
ts_text(ts_t ts, char room[24])
{
	return str_of(room, (size_t)snprintf(room, 24, "%llu", (unsigned long long)ts));
}

/* Now and then a batch carries the promise that nothing will be committed at or below its
 * own last timestamp any more (spec 03 section 5.9). */
static bool
repeatable_due(struct db *db, const struct pending_batch *b)
{
	return b->last_ts > 0 && b->last_ts - db->repeatable >= REPEATABLE_NS;
}

status
db_write_batch(struct db *db, struct pending_batch *b, struct err *e)
{
	char                text[24];
	struct store_global g = { .key = GLOBAL_REPEATABLE };
	struct store_batch  sb = { .ncommits = b->commits.n, .commits = b->commits.v,
		 .nbackfill = b->backfill.n, .backfill = b->backfill.v };
	status              st;

	if (repeatable_due(db, b)) {
		g.json = ts_text(b->last_ts, text);
		sb.nglobals = 1;
		sb.globals = &g;
	}
	pause_point("batch: taken");
	st = store_write(&db->store, &sb, e);
	pause_point("batch: written");
	if (st == ST_OK) {
		if (sb.nglobals)
			db->repeatable = b->last_ts;
		if (b->last_ts)
			atomic_store(&db->durable, b->last_ts);
		db_tidy(db);
		evict_settle(db);
	}
	mutex_lock_(&db->queue_lock);
	db->taken -= b->commits.n;
	must(pthread_mutex_unlock(&db->queue_lock) == 0);
	batch_free(b);
	return st;
}

/* The timestamp that may be promised while nothing is queued; 0: it is not time for one. */
static ts_t
idle_promise(struct db *db)
{
	ts_t now = os_now_ns(db->os), latest;
	MUTEX_GUARD(&db->lock);

	latest = atomic_load(&db->latest);
	if (atomic_load(&db->durable) < latest)
		return 0;
	if (latest > db->repeatable && now >= latest + REPEATABLE_NS)
		return latest;
	if (now < db->repeatable + REPEATABLE_IDLE_NS)
		return 0;
	return db->promised = now > latest ? now : latest;
}

status
db_idle(struct db *db, struct err *e)
{
	char                text[24];
	ts_t                ts = idle_promise(db);
	struct store_global g = { GLOBAL_REPEATABLE, STR_EMPTY };
	status              st;

	/* On a full disk it can wait. */
	if (!ts || store_reserve(&db->store, sizeof text, NULL) != ST_OK)
		return ST_OK;
	g.json = ts_text(ts, text);
	st = store_write(&db->store, &(struct store_batch){ .nglobals = 1, .globals = &g }, e);
	store_release(&db->store, sizeof text);
	if (st == ST_OK)
		db->repeatable = ts;
	return st;
}
