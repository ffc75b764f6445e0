/* retention.c - how far back the past may be read, and what is done next (retention.h).
 *
 * A bound is a timestamp up to which nobody reads.  It follows the clock at the distance of
 * its window, but stays at or below
 *   - what is durable: a crash may bring the newest snapshot back to that;
 *   - what the store has settled: it can erase nothing that it has not written yet;
 *   - the oldest live snapshot;
 *   - the snapshot of a backfill whose entries are not settled: an entry that arrived behind
 *     the erasure of what replaced it would be taken for the present.
 * It is written to the store first, then it counts.  Readers of the past ask afterwards
 * (db_check_bound); documents are erased only where the index entries that need them are gone.
 *
 * Thread, memory: retention.h.
 */
#include <stdatomic.h>

#include "database/retention_int.h"
#include "runtime/metrics.h"

#define ADVANCE_NS     (30 * RETENTION_SECOND)
#define LOOK_NS        RETENTION_SECOND /* at the size of history */
#define CLEAN_NS       (30 * 60 * RETENTION_SECOND)
#define CLEAN_MORE_NS  RETENTION_SECOND
#define PACE_MAX_NS    (RETENTION_SECOND / 20)
#define BEHIND_NS      (2 * RETENTION_SECOND)

static struct metric index_lag = METRIC_GAUGE("fresnel_retention_index_window_seconds",
    "age of the oldest timestamp at which indexes can be read, 0: no history was given up yet");
static struct metric document_lag = METRIC_GAUGE("fresnel_retention_document_window_seconds",
    "age of the oldest replaced revisions that are kept, 0: none were given up yet");
static struct metric index_behind = METRIC_GAUGE("fresnel_retention_index_behind_seconds",
    "history of indexes that may be erased and is not yet");
static struct metric document_behind = METRIC_GAUGE("fresnel_retention_document_behind_seconds",
    "history of documents that may be erased and is not yet");
static struct metric history = METRIC_GAUGE("fresnel_retention_history_bytes",
    "replaced revisions and their index entries, about");

/* --- opening --- */

status
retention_open(struct db *db, const struct retention_opts *opts, struct retention **ret,
    struct err *e)
{
	struct retention *r = MEM_NEW(struct retention);
	status            st;

	r->db = db;
	r->opts = *opts;
	if (!r->opts.index_ns)
		r->opts.index_ns = RETENTION_INDEX;
	if (!r->opts.document_ns)
		r->opts.document_ns = RETENTION_DOCUMENT;
	if (r->opts.document_ns < r->opts.index_ns)
		r->opts.document_ns = r->opts.index_ns;
	if (!r->opts.slack_bytes)
		r->opts.slack_bytes = RETENTION_SLACK;
	st = retention_load(r, e);
	if (st != ST_OK) {
		retention_close(r);
		return st;
	}
	atomic_store(&db->index_bound, r->state.index_bound);
	atomic_store(&db->document_bound, r->state.document_bound);
	*ret = r;
	return ST_OK;
}

void
retention_close(struct retention *r)
{
	if (!r)
		return;
	vec_clear(&r->dropped_indexes);
	vec_clear(&r->dropped_tables);
	mem_free(r);
}

struct retention_state
retention_state(const struct retention *r)
{
	return r->state;
}

/* --- windows --- */

uint64_t
retention_window(uint64_t used, uint64_t dead, uint64_t slack, uint64_t span_ns)
{
	uint64_t alive = used > dead ? used - dead : 0, most = 2 * alive + slack;
	uint64_t window;

	if (dead <= most)
		return UINT64_MAX;
	/* As if it had gathered evenly; three quarters, or it would be full again at the next
	 * look. */
	window = (uint64_t)((double)span_ns * ((double)most / (double)dead) * 0.75);
	return window > RETENTION_FLOOR ? window : RETENTION_FLOOR;
}

static bool
behind(const struct retention *r)
{
	return r->state.index_done < r->state.index_bound ||
	       r->state.document_done < r->state.document_bound;
}

static status
measure(struct retention *r, struct err *e)
{
	struct db         *db = r->db;
	struct store_stats stats;

	TRY(db->store.v->stats(db->store.self, &stats, e));
	r->state.used_bytes = stats.data_bytes;
	mutex_lock_(&db->lock);
	r->state.history_bytes = db->dead_docs.bytes + db->dead_keys.bytes;
	must(pthread_mutex_unlock(&db->lock) == 0);
	return ST_OK;
}

static uint64_t
size_window(const struct retention *r)
{
	const struct retention_state *s = &r->state;
	ts_t                          latest = db_latest_ts(r->db);

	if (latest <= s->document_done)
		return UINT64_MAX;
	return retention_window(s->used_bytes, s->history_bytes, r->opts.slack_bytes,
	    latest - s->document_done);
}

/* --- bounds --- */

/* Entries of a backfill that nobody waits for any more: its index is gone. */
static bool
is_filling(struct db *db)
{
	struct snapshot         *s = db_snapshot(db);
	const struct table_info *t;
	bool                     found = false;

	for (size_t i = 0; !found && (t = catalog_table_at(snapshot_catalog(s), i)); i++)
		for (size_t k = 0; k < t->nindexes; k++)
			found |= t->indexes[k].state == INDEX_BACKFILLING &&
				 t->indexes[k].def.kind == INDEX_DATABASE;
	snapshot_unref(s);
	return found;
}

/* Read after db_oldest_ts(): a backfill notes it down before it lets go of its snapshot. */
static ts_t
backfill_limit(struct db *db, ts_t settled)
{
	uint64_t turn;
	bool     over;
	ts_t     from;

	mutex_lock_(&db->queue_lock);
	from = db->filling.from;
	turn = db->filling.turn;
	must(pthread_mutex_unlock(&db->queue_lock) == 0);
	if (!from)
		return TS_MAX;
	over = !is_filling(db);
	mutex_lock_(&db->queue_lock);
	if (over && db->filling.until == TS_MAX && db->filling.turn == turn)
		db->filling.until = db_latest_ts(db) + 1; /* any later commit is behind them */
	if (settled >= db->filling.until)
		db->filling.from = 0;
	from = db->filling.from;
	must(pthread_mutex_unlock(&db->queue_lock) == 0);
	return from ? from : TS_MAX;
}

static ts_t
min_ts(ts_t a, ts_t b)
{
	return a < b ? a : b;
}

/* The newest timestamp that both bounds may have. */
static ts_t
ceiling(struct db *db)
{
	ts_t durable = db_durable_ts(db), settled = db->store.v->settled_ts(db->store.self);
	ts_t top = min_ts(min_ts(durable, settled), db_oldest_ts(db));

	return min_ts(top, backfill_limit(db, settled));
}

static ts_t
follow(ts_t bound, ts_t top, uint64_t now, uint64_t window)
{
	ts_t target = now > window ? min_ts(top, now - window) : 0;

	return target > bound ? target : bound;
}

static int64_t
seconds(uint64_t from, uint64_t to)
{
	return to > from ? (int64_t)((to - from) / RETENTION_SECOND) : 0;
}

static void
show(const struct retention *r, uint64_t now)
{
	const struct retention_state *s = &r->state;

	metric_set(&index_lag, s->index_bound ? seconds(s->index_bound, now) : 0);
	metric_set(&document_lag, s->document_bound ? seconds(s->document_bound, now) : 0);
	metric_set(&index_behind, seconds(s->index_done, s->index_bound));
	metric_set(&document_behind, seconds(s->document_done, s->document_bound));
	metric_set(&history, (int64_t)s->history_bytes);
}

static uint64_t
shorter(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static status
set_bounds(struct retention *r, ts_t index, ts_t document, struct err *e)
{
	struct retention_state was = r->state;
	status                 st;

	if (index == was.index_bound && document == was.document_bound)
		return ST_OK;
	r->state.index_bound = index;
	r->state.document_bound = document;
	st = retention_write(r, &(struct store_prune){ 0 }, e);
	if (st != ST_OK) {
		r->state.index_bound = was.index_bound;
		r->state.document_bound = was.document_bound;
		return st;
	}
	atomic_store(&r->db->index_bound, index);
	atomic_store(&r->db->document_bound, document);
	return ST_OK;
}

/* Moves the bounds, if it is time or history takes too much; the walk follows. */
static status
advance(struct retention *r, uint64_t mono, struct err *e)
{
	struct db *db = r->db;
	uint64_t   now = os_now_ns(db->os), most;
	ts_t       top, index;

	TRY(measure(r, e));
	most = size_window(r);
	if (mono >= r->next_advance || most != UINT64_MAX) {
		top = ceiling(db);
		index = follow(r->state.index_bound, top, now, shorter(r->opts.index_ns, most));
		TRY(set_bounds(r, index,
		    follow(r->state.document_bound, min_ts(top, index), now,
			shorter(r->opts.document_ns, most)),
		    e));
		r->next_advance = mono + shorter(ADVANCE_NS, r->opts.index_ns / 4);
	}
	r->next_look = mono + shorter(LOOK_NS, r->opts.index_ns / 4);
	show(r, now);
	return ST_OK;
}

/* --- steps --- */

/* Rows of one dropped index or table. */
static status
erase_dropped(struct retention *r, struct uids *list,
    status (*erase)(void *self, struct uid which, size_t limit, size_t *ret, struct err *e),
    struct err *e)
{
	size_t n;

	TRY(erase(r->db->store.self, list->v[list->n - 1], RETENTION_ERASE_ROWS, &n, e));
	retention_count_rows(r, n);
	list->n -= n < RETENTION_ERASE_ROWS;
	return ST_OK;
}

static status
one_chunk(struct retention *r, struct err *e)
{
	const struct store_vtable *v = r->db->store.v;

	if (r->dropped_indexes.n)
		return erase_dropped(r, &r->dropped_indexes, v->erase_index, e);
	if (r->dropped_tables.n)
		return erase_dropped(r, &r->dropped_tables, v->erase_table, e);
	return retention_walk(r, e);
}

static uint64_t
until(uint64_t then, uint64_t now)
{
	return then > now ? then - now : 0;
}

/* Half of the time is for others, unless it falls behind. */
static uint64_t
pace(struct retention *r, uint64_t began, uint64_t now)
{
	uint64_t took = now - began;

	if (!behind(r))
		return until(r->next_look, now);
	if (r->state.index_bound > r->state.index_done + BEHIND_NS)
		return 0;
	return took < PACE_MAX_NS ? took : PACE_MAX_NS;
}

status
retention_step(struct retention *r, uint64_t *ret_wait_ns, struct err *e)
{
	uint64_t began = os_mono_ns(r->db->os), now, wait;
	bool     more;

	if (began >= r->next_look)
		TRY(advance(r, began, e));
	if (behind(r))
		TRY(one_chunk(r, e));
	if (began >= r->next_clean) {
		TRY(retention_clean(r, &more, e));
		r->next_clean = began + (more ? CLEAN_MORE_NS : CLEAN_NS);
	}
	now = os_mono_ns(r->db->os);
	wait = pace(r, began, now);
	*ret_wait_ns = wait < until(r->next_clean, now) ? wait : until(r->next_clean, now);
	return ST_OK;
}
