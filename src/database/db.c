/* db.c - opening and closing, snapshots, pins (db.h).
 *
 * A snapshot object stands for a timestamp and for what was resident when it was made.  The
 * newest one is made when somebody asks for it and forgotten with the next commit; so a
 * commit that nobody looked at costs no copies of nodes.
 *
 * Thread: any.  Memory: a snapshot lives as long as its references; its view keeps the nodes
 *         that it can see.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/enc.h"
#include "base/json.h"
#include "base/mem.h"
#include "database/db_int.h"

#define PIN_NS ((uint64_t)10 * 1000000000)
#define WLOG_BYTES_DEFAULT ((size_t)200 << 20)

static void
read_repeatable(struct db *db, ts_t *ret)
{
	struct buf json;
	uint64_t   ts;

	buf_init(&json, 64);
	if (db->store.v->global(db->store.self, GLOBAL_REPEATABLE, &json, NULL) == ST_OK &&
	    str_to_u64(str_trim(buf_str(&json)), &ts) && ts > *ret)
		*ret = ts;
	buf_clear(&json);
}

/* The newest commits may have left nothing but their traces here: if they only deleted, retention
 * has erased even that. */
static void
read_bound(struct db *db, ts_t *ret)
{
	struct arena *a = arena_new();
	struct json  *j;
	struct buf    json;
	uint64_t      ts;
	str           text;

	buf_init(&json, 64);
	if (db->store.v->global(db->store.self, GLOBAL_INDEX_BOUND, &json, NULL) == ST_OK &&
	    json_parse(a, buf_str(&json), &j, NULL) == ST_OK &&
	    json_get_str(j, "$integer", &text) && dec_u64_base64(text, &ts) && ts > *ret)
		*ret = ts;
	buf_clear(&json);
	arena_free(a);
}

/* Timestamps go on above everything that was ever promised or forgotten, whatever the clock says
 * (spec 03 section 5.9); the promise is written before anybody is served. */
static status
start_time(struct db *db, struct err *e)
{
	ts_t                ts;
	char                text[24];
	struct store_global g = { .key = GLOBAL_REPEATABLE };

	TRY(db->store.v->max_ts(db->store.self, &ts, e));
	read_repeatable(db, &ts);
	read_bound(db, &ts);
	if (os_now_ns(db->os) > ts)
		ts = os_now_ns(db->os);
	g.json = str_of(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)ts));
	TRY(store_write(&db->store, &(struct store_batch){ .nglobals = 1, .globals = &g }, e));
	db->repeatable = ts;
	atomic_store(&db->latest, ts);
	atomic_store(&db->durable, ts);
	return ST_OK;
}

status
db_open(const struct db_opts *opts, struct db **ret, struct err *e)
{
	struct db *db = MEM_NEW(struct db);
	status     st;

	db->os = opts->os;
	db->store = opts->store;
	memcpy(db->cursor_key, opts->cursor_key, sizeof db->cursor_key);
	memcpy(db->journal_key, opts->journal_key, sizeof db->journal_key);
	db->instance_name = mem_zalloc(opts->instance_name.n + 1);
	if (opts->instance_name.n)
		memcpy(db->instance_name, opts->instance_name.p, opts->instance_name.n);
	db->on_commit = opts->on_commit;
	db->on_commit_arg = opts->on_commit_arg;
	must(pthread_mutex_init(&db->lock, NULL) == 0);
	must(pthread_mutex_init(&db->queue_lock, NULL) == 0);
	db->tree = tree_new();
	evict_init(&db->evict, opts->cache_bytes ? opts->cache_bytes : SIZE_MAX);
	st = db_boot(db, e);
	if (st == ST_OK)
		st = start_time(db, e);
	db->wlog = wlog_new(opts->wlog_max_bytes ? opts->wlog_max_bytes : WLOG_BYTES_DEFAULT,
	    atomic_load(&db->latest));
	if (st != ST_OK) {
		db_close(db);
		return st;
	}
	*ret = db;
	return ST_OK;
}

void
db_close(struct db *db)
{
	if (!db)
		return;
	db_forget_current(db);
	for (size_t i = 0; i < db->pins.n; i++)
		snapshot_unref(db->pins.v[i].snapshot);
	while (db->first) {
		struct pending_commit *next = db->first->next;

		pending_commit_free(db->first);
		db->first = next;
	}
	for (size_t i = 0; i < db->backfill.n; i++)
		mem_free((char *)(uintptr_t)db->backfill.v[i].key.key.p);
	vec_clear(&db->backfill);
	vec_clear(&db->pins);
	vec_clear(&db->dropped);
	tree_free(db->tree);
	evict_clear(&db->evict);
	catalog_unref(db->catalog);
	wlog_free(db->wlog);
	counts_clear(&db->counts);
	store_close(&db->store);
	must(pthread_mutex_destroy(&db->lock) == 0);
	must(pthread_mutex_destroy(&db->queue_lock) == 0);
	mem_free(db->instance_name);
	mem_free(db);
}

const struct os *
db_os(const struct db *db)
{
	return db->os;
}

const uint8_t *
db_cursor_key(const struct db *db)
{
	return db->cursor_key;
}

const uint8_t *
db_journal_key(const struct db *db)
{
	return db->journal_key;
}

str
db_instance_name(const struct db *db)
{
	return str_z(db->instance_name);
}

ts_t
db_latest_ts(struct db *db)
{
	return atomic_load(&db->latest);
}

ts_t
db_durable_ts(struct db *db)
{
	return atomic_load(&db->durable);
}

/* --- snapshots --- */

void
db_unlock_and_free(struct db *db)
{
	struct tree_trash trash;

	tree_take_trash(db->tree, &trash);
	must(pthread_mutex_unlock(&db->lock) == 0);
	tree_trash_free(db->tree, &trash);
}

/* The last reference is gone; under the lock. */
static void
snapshot_free(struct snapshot *s)
{
	tree_snap_unref(s->db->tree, s->view);
	if (s->fresh)
		tree_snap_unref(s->db->tree, s->fresh);
	*(s->older ? &s->older->newer : &s->db->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &s->db->newest) = s->older;
	catalog_unref(s->catalog);
	mem_free(s);
}

static bool
drop_ref(struct snapshot *s)
{
	return atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1;
}

void
db_forget_current(struct db *db)
{
	struct snapshot *s = db->current;

	db->current = NULL;
	if (s && drop_ref(s))
		snapshot_free(s);
}

/* Under the lock; one reference for the caller. */
static struct snapshot *
current_snapshot(struct db *db)
{
	struct snapshot *s = db->current;

	if (!s) {
		s = MEM_NEW(struct snapshot);
		s->refs = 1;
		s->db = db;
		s->ts = atomic_load(&db->latest);
		s->catalog = catalog_ref(db->catalog);
		s->view = tree_snapshot(db->tree);
		s->older = db->newest;
		*(s->older ? &s->older->newer : &db->oldest) = s;
		db->newest = s;
		db->current = s;
	}
	return snapshot_ref(s);
}

struct snapshot *
db_snapshot(struct db *db)
{
	MUTEX_GUARD(&db->lock);

	return current_snapshot(db);
}

struct snapshot *
snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
snapshot_unref(struct snapshot *s)
{
	struct db *db;

	if (!s || !drop_ref(s))
		return;
	db = s->db;
	mutex_lock_(&db->lock);
	snapshot_free(s);
	db_unlock_and_free(db);
}

ts_t
snapshot_ts(const struct snapshot *s)
{
	return s->ts;
}

struct catalog *
snapshot_catalog(const struct snapshot *s)
{
	return s->catalog;
}

struct db *
snapshot_db(const struct snapshot *s)
{
	return s->db;
}

/* A view that nobody needs is not taken: after it, every change copies nodes. */
struct tree_snap *
snapshot_fresh(struct snapshot *s, const struct tree_snap *than, str key, bool desc)
{
	struct db        *db = s->db;
	struct tree_snap *fresh = NULL;

	mutex_lock_(&db->lock);
	/* While nothing was committed since, what is in the tree now is the same moment. */
	if (atomic_load(&db->latest) == s->ts && res_is_known(tree_root(db->tree), key, desc)) {
		if (s->fresh)
			tree_snap_unref(db->tree, s->fresh);
		s->fresh = tree_snapshot(db->tree);
	}
	if (s->fresh && s->fresh->version > than->version &&
	    res_is_known(s->fresh->root, key, desc))
		fresh = tree_snap_ref(s->fresh);
	db_unlock_and_free(db);
	return fresh;
}

bool
snapshot_peek(struct snapshot *s, str full_key, struct doc **ret)
{
	struct entry *at;
	bool          absent;

	MUTEX_GUARD(&s->db->lock);

	if (!evict_allows(&s->db->evict, s->ts))
		return false; /* what was loaded since then may be newer, and no leaf says so */
	at = res_lookup_at(s->db->tree, full_key, s->ts, &absent);
	if (absent)
		return false;
	*ret = at ? doc_ref(at->doc) : NULL;
	return true;
}

void
snapshot_release_view(struct db *db, struct tree_snap *v)
{
	mutex_lock_(&db->lock);
	tree_snap_unref(db->tree, v);
	db_unlock_and_free(db);
}

void
db_install_take(struct snapshot *s, str lo, str hi, struct entry **rows, size_t n)
{
	struct db *db = s->db;

	mutex_lock_(&db->lock);
	if (evict_allows(&db->evict, s->ts)) {
		/* Readers at this moment find it in the next snapshot object, or by asking
		 * for a fresh view. */
		if (atomic_load(&db->latest) == s->ts)
			db_forget_current(db);
		for (size_t i = 0; i < n; i++)
			evict_recall(&db->evict, rows[i]);
		res_install_take(db->tree, lo, hi, rows, n);
		evict_after(db, n + 1);
	} else {
		for (size_t i = 0; i < n; i++)
			entry_free(rows[i]);
	}
	db_unlock_and_free(db);
}

ts_t
db_oldest_ts(struct db *db)
{
	MUTEX_GUARD(&db->lock);

	return db->oldest ? db->oldest->ts : atomic_load(&db->latest);
}

static status
out_of_retention(struct err *e)
{
	return err_set(e, ST_OUT_OF_RETENTION, "InternalServerError",
	    "Your request couldn't be completed. Try again later.");
}

status
db_check_bound(struct db *db, ts_t at, struct err *e)
{
	return at < atomic_load(&db->index_bound) ? out_of_retention(e) : ST_OK;
}

/* --- pins --- */

/* Under the lock. */
static void
drop_old_pins(struct db *db)
{
	uint64_t now = os_mono_ns(db->os);
	size_t   kept = 0;

	for (size_t i = 0; i < db->pins.n; i++) {
		struct pin p = db->pins.v[i];

		if (p.until_ns > now)
			db->pins.v[kept++] = p;
		else if (drop_ref(p.snapshot))
			snapshot_free(p.snapshot);
	}
	db->pins.n = kept;
}

ts_t
db_pin_latest(struct db *db)
{
	struct pin p;
	ts_t       ts;

	mutex_lock_(&db->lock);
	drop_old_pins(db);
	p.snapshot = current_snapshot(db);
	p.until_ns = os_mono_ns(db->os) + PIN_NS;
	ts = p.snapshot->ts;
	vec_push(&db->pins, p);
	db_unlock_and_free(db);
	return ts;
}

status
db_snapshot_at(struct db *db, ts_t ts, struct snapshot **ret, struct err *e)
{
	struct snapshot *s = NULL;
	ts_t             latest;

	mutex_lock_(&db->lock);
	latest = atomic_load(&db->latest);
	drop_old_pins(db);
	if (ts == latest)
		s = current_snapshot(db);
	for (size_t i = 0; !s && i < db->pins.n; i++)
		if (db->pins.v[i].snapshot->ts == ts)
			s = snapshot_ref(db->pins.v[i].snapshot);
	db_unlock_and_free(db);
	if (s) {
		*ret = s;
		return ST_OK;
	}
	if (ts > latest)
		return err_internal(e, "timestamp %llu is in the future", (unsigned long long)ts);
	return out_of_retention(e);
}

void
db_tidy(struct db *db)
{
	mutex_lock_(&db->lock);
	drop_old_pins(db);
	if (db->dropped.n) {
		uint8_t  prefix[INDEX_PREFIX];
		uint32_t no = db->dropped.v[db->dropped.n - 1];

		for (int i = 0; i < INDEX_PREFIX; i++)
			prefix[i] = (uint8_t)(no >> (24 - 8 * i));
		db_forget_current(db); /* nothing new to see, but its nodes need not be copied */
		if (res_drop_index(db->tree, str_of(prefix, sizeof prefix), 64))
			db->dropped.n--;
	}
	db_unlock_and_free(db);
}
