/* evict.c - the hand of the clock: see evict.h.
 *
 * A turn is one leaf: the entries to drop are picked, dropped in one change, and the entry
 * before each dropped run is told that an absent range follows.  The first entry of an index
 * is never dropped, so there always is one.
 *
 * Thread: under the db's lock; db_evict_now() and evict_settle() take it.
 * Memory: what was dropped goes to the tree's trash.
 */
#include "database/evict.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "database/db_int.h"
#include "runtime/metrics.h"
#include "runtime/pause.h"

#define TURNS_LOCKED 8  /* leaves, for those who have nothing else to do */
#define FEW_COLD     8  /* a round that drops less than one in so many cools the rest */
#define GHOST_BYTES  512   /* of the budget for each ghost */
#define GHOSTS_MAX   (1 << 24)

static struct metric resident_bytes = METRIC_GAUGE("fresnel_cache_bytes",
    "memory of the resident ranges: documents, keys and nodes");
static struct metric waiting_bytes = METRIC_GAUGE("fresnel_cache_dead_bytes",
    "dropped or replaced, but still seen by a snapshot");
static struct metric budget_bytes = METRIC_GAUGE("fresnel_cache_budget_bytes",
    "what fresnel_cache_bytes is held below");
static struct metric evicted_bytes = METRIC_COUNTER("fresnel_cache_evicted_bytes_total",
    "memory of the entries and documents that were dropped");
static struct metric evicted_entries = METRIC_COUNTER("fresnel_cache_evicted_entries_total",
    "entries that were dropped");

void
evict_init(struct evictor *ev, size_t budget)
{
	memset(ev, 0, sizeof *ev);
	ev->budget = budget;
	buf_init(&ev->hand, BUF_MAX_DEFAULT);
	if (budget == SIZE_MAX)
		return;
	for (ev->nghosts = 1; ev->nghosts < budget / GHOST_BYTES && ev->nghosts < GHOSTS_MAX;)
		ev->nghosts *= 2;
	ev->ghosts = mem_zalloc(ev->nghosts * sizeof *ev->ghosts);
	metric_set(&budget_bytes, (int64_t)budget);
}

void
evict_clear(struct evictor *ev)
{
	buf_clear(&ev->hand);
	vec_clear(&ev->pins);
	mem_free(ev->ghosts);
}

bool
evict_allows(const struct evictor *ev, ts_t ts)
{
	return ts >= ev->horizon;
}

/* --- ghosts --- */

/* A younger ghost takes the place of an older one: so the table reaches back about as many
 * entries as it has places. */
static void
remember(struct evictor *ev, const struct entry *e)
{
	uint64_t h;

	if (!ev->nghosts || e->kind != ENTRY_DOC)
		return;
	h = hash_bytes(entry_key(e));
	ev->ghosts[h & (ev->nghosts - 1)] = (uint32_t)(h >> 32);
}

void
evict_recall(const struct evictor *ev, struct entry *e)
{
	uint64_t h;

	if (!ev->nghosts)
		return;
	h = hash_bytes(entry_key(e));
	if (ev->ghosts[h & (ev->nghosts - 1)] == (uint32_t)(h >> 32))
		entry_touch(e);
}

/* --- indexes that stay --- */

static uint32_t
index_no(str key)
{
	uint32_t no = 0;

	for (size_t i = 0; i < INDEX_PREFIX; i++)
		no = no << 8 | (uint8_t)key.p[i];
	return no;
}

static int
no_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
refresh_pins(struct db *db)
{
	struct evictor          *ev = &db->evict;
	const struct table_info *t;

	if (ev->pins_of == catalog_version(db->catalog))
		return;
	ev->pins_of = catalog_version(db->catalog);
	ev->pins.n = 0;
	for (size_t i = 0; (t = catalog_table_at(db->catalog, i)) != NULL; i++)
		for (size_t j = 0; table_is_resident(t) && j < t->nindexes; j++)
			vec_push(&ev->pins, t->indexes[j].no);
	if (ev->pins.n)
		qsort(ev->pins.v, ev->pins.n, sizeof *ev->pins.v, no_cmp);
}

static bool
is_pinned(const struct evictor *ev, str key)
{
	uint32_t no = index_no(key);

	return ev->pins.n && bsearch(&no, ev->pins.v, ev->pins.n, sizeof no, no_cmp);
}

/* --- one leaf --- */

struct turn {
	struct db       *db;
	bool             force;       /* warm or not */
	struct tree_leaf leaf;
	uint64_t         drop, open;
	struct entry    *prior;       /* the last of the leaf before, NULL: none */
	bool             open_prior;  /* it must be opened */
	struct entry    *before;      /* the last one that stays */
	size_t           before_at;   /* in the leaf; n: it is `prior` */
	bool             before_gap;
	ts_t             forgets;     /* the newest commit that might be forgotten */
	size_t           bytes;
};

/* Finds the entry before the leaf; returns whether it may be opened if need be. */
static bool
find_prior(struct turn *w)
{
	struct tree_leaf before;

	if (!tree_leaf_lt(w->db->tree, entry_key(w->leaf.v[0]), &before))
		return true;
	w->before = w->prior = before.v[before.n - 1];
	w->before_gap = w->before->gap;
	if (before.changed > w->forgets)
		w->forgets = before.changed;
	return w->before_gap || before.changed <= db_durable_ts(w->db);
}

/* Between two absent ranges, without a word on its own key. */
static bool
says_nothing(const struct turn *w, const struct entry *e)
{
	return e->kind == ENTRY_MARK && e->gap && w->before_gap;
}

static bool
is_cold(const struct turn *w, struct entry *e)
{
	uint8_t heat = atomic_load_explicit(&e->heat, memory_order_relaxed);

	if (heat == 0 || w->force)
		return true;
	if (w->db->evict.cooling) /* a reader's mark that is lost meanwhile is no loss */
		atomic_store_explicit(&e->heat, (uint8_t)(heat - 1), memory_order_relaxed);
	return false;
}

static void
keep(struct turn *w, size_t i)
{
	w->before = w->leaf.v[i];
	w->before_at = i;
	w->before_gap = w->before->gap;
}

static void
drop(struct turn *w, size_t i)
{
	w->drop |= (uint64_t)1 << i;
	w->bytes += entry_bytes(w->leaf.v[i]);
	remember(&w->db->evict, w->leaf.v[i]);
	if (w->before_gap)
		return;
	if (w->before_at < w->leaf.n)
		w->open |= (uint64_t)1 << w->before_at;
	else
		w->open_prior = true;
	w->before_gap = true;
}

static void
pick(struct turn *w)
{
	struct evictor *ev = &w->db->evict;
	bool            can_open = find_prior(w);

	w->before_at = w->leaf.n;
	for (size_t i = 0; i < w->leaf.n; i++) {
		struct entry *e = w->leaf.v[i];

		if (!w->before || !same_index(entry_key(w->before), entry_key(e)) ||
		    (!can_open && w->before_at == w->leaf.n) || is_pinned(ev, entry_key(e))) {
			keep(w, i);
			continue;
		}
		ev->met++;
		if (!says_nothing(w, e) && !is_cold(w, e)) {
			keep(w, i);
			continue;
		}
		ev->dropped++;
		drop(w, i);
	}
}

static void
carry_out(struct turn *w)
{
	struct evictor *ev = &w->db->evict;
	str             first = entry_key(w->leaf.v[0]); /* lives on in the trash */

	if (!w->drop)
		return;
	metric_add(&evicted_entries, __builtin_popcountll(w->drop));
	metric_add(&evicted_bytes, (int64_t)w->bytes);
	if (w->forgets > ev->horizon)
		ev->horizon = w->forgets;
	db_forget_current(w->db); /* nothing new to see, but it would hold what goes */
	tree_thin(w->db->tree, first, w->drop, w->open);
	if (w->open_prior)
		res_open(w->db->tree, w->prior);
}

static bool
all_pinned(const struct evictor *ev, const struct tree_leaf *leaf)
{
	str first = entry_key(leaf->v[0]);

	return same_index(first, entry_key(leaf->v[leaf->n - 1])) && is_pinned(ev, first);
}

/* Behind the leaf; behind the index if that stays as a whole. */
static void
move_hand(struct evictor *ev, const struct tree_leaf *leaf)
{
	str last = entry_key(leaf->v[leaf->n - 1]);

	buf_reset(&ev->hand);
	if (all_pinned(ev, leaf)) {
		buf_add_u32be(&ev->hand, index_no(last) + 1);
	} else {
		buf_add(&ev->hand, last);
		buf_add_byte(&ev->hand, 0);
	}
}

static void
end_round(struct evictor *ev)
{
	buf_reset(&ev->hand);
	ev->cooling = ev->dropped * FEW_COLD < ev->met;
	ev->met = ev->dropped = 0;
}

/* The hand passes one leaf; returns the bytes dropped.  *rounds counts those that end. */
static size_t
turn(struct db *db, bool force, int *rounds)
{
	struct turn w = { .db = db, .force = force };

	if (!tree_leaf_ge(db->tree, buf_str(&db->evict.hand), &w.leaf)) {
		end_round(&db->evict);
		(*rounds)++;
		return 0;
	}
	move_hand(&db->evict, &w.leaf);
	w.forgets = w.leaf.changed;
	if (w.leaf.changed > db_durable_ts(db) || all_pinned(&db->evict, &w.leaf))
		return 0;
	pick(&w);
	pause_point("evict: chosen");
	carry_out(&w);
	return w.bytes;
}

/* --- the budget --- */

/* What waits for old snapshots counts too, but only so far: dropping entries adds to it until
 * those are gone, and that must not drive out still more. */
static bool
too_much(const struct db *db)
{
	size_t dead = tree_dead_bytes(db->tree), most = db->evict.budget / 8;

	return tree_live_bytes(db->tree) + (dead < most ? dead : most) > db->evict.budget;
}

static void
update_metrics(const struct db *db)
{
	metric_set(&resident_bytes, (int64_t)tree_live_bytes(db->tree));
	metric_set(&waiting_bytes, (int64_t)tree_dead_bytes(db->tree));
}

/* A leaf holds four dozen entries of which, by the rule for rounds, an eighth is cold on average
 * if not over long stretches: twice that rate keeps up. */
void
evict_after(struct db *db, size_t entries)
{
	int    rounds = 0;
	size_t turns = 2 + entries / 3;

	if (!too_much(db))
		return;
	refresh_pins(db);
	for (size_t i = 0; i < turns && rounds < 2 && too_much(db); i++)
		(void)turn(db, false, &rounds);
	update_metrics(db);
}

void
evict_settle(struct db *db)
{
	int  rounds = 0;
	bool more = true;

	/* Warm entries are dropped when they were cooled ENTRY_HEAT_MAX times. */
	while (more && rounds <= 2 * ENTRY_HEAT_MAX + 2) {
		mutex_lock_(&db->lock);
		refresh_pins(db);
		for (int i = 0; i < TURNS_LOCKED && (more = too_much(db)); i++)
			(void)turn(db, false, &rounds);
		update_metrics(db);
		db_unlock_and_free(db);
	}
}

void
db_evict_now(struct db *db, size_t max_bytes)
{
	int    rounds = 0;
	size_t freed = 0;

	while (rounds < 2 && freed < max_bytes) {
		mutex_lock_(&db->lock);
		refresh_pins(db);
		for (int i = 0; i < TURNS_LOCKED && rounds < 2 && freed < max_bytes; i++)
			freed += turn(db, true, &rounds);
		update_metrics(db);
		db_unlock_and_free(db);
	}
}
