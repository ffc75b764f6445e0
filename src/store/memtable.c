/* memtable.c - see memtable.h.
 *
 * Thread: memtable.h.  Memory: the table's arena; it is its writer's until the last reader
 * frees it.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "store/logrecord.h"
#include "store/memtable.h"
#include "store/skiplist_int.h"

/* A row that waits to be sorted, with what decides most comparisons beside it. */
struct ranked {
	uint64_t rank[4];
	void    *item;
};

struct bulk {
	VEC(struct ranked) keys;
	VEC(struct ranked) revisions;
};

static int
u64_cmp(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Up to sixteen bytes as two big-endian numbers, zeros behind. */
static void
put_rank(uint64_t rank[2], const void *p, size_t n)
{
	uint8_t bytes[16] = { 0 };

	if (n > 0)
		memcpy(bytes, p, n < sizeof bytes ? n : sizeof bytes);
	rank[0] = rank[1] = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		rank[i / 8] = rank[i / 8] << 8 | bytes[i];
}

/* Everything that key_cmp() looks at first. */
static void
mem_key_init(struct mem_key *k, struct uid index, str key, ts_t ts, uint64_t number)
{
	*k = (struct mem_key){ .index = index, .key = key, .ts = ts, .number = number };
	put_rank(k->rank, index.b, sizeof index.b);
	put_rank(k->rank + 2, key.p, key.n);
}

static int
key_cmp(const void *x, const void *y)
{
	const struct mem_key *a = x, *b = y;
	int                   c;

	for (size_t i = 0; i < COUNT_OF(a->rank); i++) {
		if (i == 2 && a->past_end != b->past_end)
			return a->past_end - b->past_end;
		if (a->rank[i] != b->rank[i])
			return a->rank[i] < b->rank[i] ? -1 : 1;
	}
	c = str_cmp(a->key, b->key);
	if (c == 0)
		c = u64_cmp(b->ts, a->ts);
	return c ? c : u64_cmp(b->number, a->number);
}

static int
revision_cmp(const void *x, const void *y)
{
	const struct mem_revision *a = x, *b = y;
	int                        c = u64_cmp(a->ts, b->ts);

	if (c == 0)
		c = uid_cmp(a->tablet, b->tablet);
	return c ? c : uid_cmp(a->id, b->id);
}

static int
global_cmp(const void *x, const void *y)
{
	const struct mem_global *a = x, *b = y;
	int                      c = str_cmp(a->name, b->name);

	return c ? c : u64_cmp(b->number, a->number);
}

struct memtable *
memtable_new(void)
{
	struct memtable *t = MEM_NEW(struct memtable);

	t->refs = 1;
	t->arena = arena_new();
	t->keys = skiplist_new_in(t->arena, key_cmp);
	t->revisions = skiplist_new_in(t->arena, revision_cmp);
	t->globals = skiplist_new_in(t->arena, global_cmp);
	return t;
}

struct memtable *
memtable_ref(struct memtable *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

static void
bulk_free(struct memtable *t)
{
	if (!t->bulk)
		return;
	vec_clear(&t->bulk->keys);
	vec_clear(&t->bulk->revisions);
	mem_free(t->bulk);
	t->bulk = NULL;
}

void
memtable_unref(struct memtable *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	bulk_free(t);
	arena_free(t->arena);
	mem_free(t);
}

/* --- filling --- */

static bool
add_doc(struct memtable *t, const struct logrecord_row *row, uint64_t number)
{
	struct mem_revision *r = ARENA_NEW(t->arena, struct mem_revision);

	*r = (struct mem_revision){ .ts = row->ts,
		.tablet = row->tablet,
		.id = row->id,
		.number = number,
		.deleted = row->deleted,
		.prev_ts = row->prev_ts,
		.json = row->json };
	if (row->ts > t->max_ts)
		t->max_ts = row->ts;
	t->has_docs = true;
	if (t->bulk) {
		vec_push(&t->bulk->revisions, ((struct ranked){ { r->ts }, r }));
		return true;
	}
	return skiplist_insert(t->revisions, r);
}

static bool
add_key(struct memtable *t, const struct logrecord_row *row, uint64_t number, bool backfill)
{
	struct mem_key *k = ARENA_NEW(t->arena, struct mem_key);

	mem_key_init(k, row->index, row->key, row->ts, number);
	k->deleted = row->deleted;
	k->backfill = backfill;
	k->tablet = row->tablet;
	k->doc = row->id;
	if (t->bulk) {
		struct ranked ranked = { .item = k };

		memcpy(ranked.rank, k->rank, sizeof ranked.rank);
		vec_push(&t->bulk->keys, ranked);
		return true;
	}
	return skiplist_insert(t->keys, k);
}

static bool
add_global(struct memtable *t, const struct logrecord_row *row, uint64_t number)
{
	struct mem_global *g = ARENA_NEW(t->arena, struct mem_global);

	*g = (struct mem_global){ row->key, row->json, number };
	return skiplist_insert(t->globals, g);
}

static bool
add_row(struct memtable *t, enum logrecord_kind kind, const struct logrecord_row *row,
    uint64_t number)
{
	switch (kind) {
	case LOGRECORD_DOC:
		return add_doc(t, row, number);
	case LOGRECORD_KEY:
	case LOGRECORD_BACKFILL:
		return add_key(t, row, number, kind == LOGRECORD_BACKFILL);
	case LOGRECORD_GLOBAL:
		return add_global(t, row, number);
	case LOGRECORD_END:
		break;
	}
	return true;
}

status
memtable_add(struct memtable *t, uint64_t sequence, str payload, uint64_t *number)
{
	struct logrecord_reader r;
	struct logrecord_row    row;
	enum logrecord_kind     kind;
	status                  st;

	logrecord_reader_init(&r, arena_str(t->arena, payload));
	do {
		st = logrecord_next(&r, &kind, &row);
		if (st == ST_OK && !add_row(t, kind, &row, ++*number))
			st = ST_INTERNAL;
	} while (st == ST_OK && kind != LOGRECORD_END);
	logrecord_reader_clear(&r);
	t->sequence = sequence;
	return st;
}

static int
rank_cmp(const struct ranked *a, const struct ranked *b)
{
	for (size_t i = 0; i < COUNT_OF(a->rank); i++)
		if (a->rank[i] != b->rank[i])
			return a->rank[i] < b->rank[i] ? -1 : 1;
	return 0;
}

static int
ranked_key_cmp(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;
	int                  c = rank_cmp(a, b);

	return c ? c : key_cmp(a->item, b->item);
}

static int
ranked_revision_cmp(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;
	int                  c = rank_cmp(a, b);

	return c ? c : revision_cmp(a->item, b->item);
}

static void *
ranked_item(const void *items, size_t i)
{
	return ((const struct ranked *)items)[i].item;
}

void
memtable_begin_bulk(struct memtable *t)
{
	t->bulk = MEM_NEW(struct bulk);
}

status
memtable_end_bulk(struct memtable *t)
{
	struct bulk *b = t->bulk;
	bool         ok;

	if (b->keys.n)
		qsort(b->keys.v, b->keys.n, sizeof *b->keys.v, ranked_key_cmp);
	if (b->revisions.n)
		qsort(b->revisions.v, b->revisions.n, sizeof *b->revisions.v,
		    ranked_revision_cmp);
	ok = skiplist_fill(t->keys, ranked_item, b->keys.v, b->keys.n) &&
	    skiplist_fill(t->revisions, ranked_item, b->revisions.v, b->revisions.n);
	bulk_free(t);
	return ok ? ST_OK : ST_INTERNAL;
}

/* --- reading --- */

void
memview_clear(struct memview *v)
{
	for (size_t i = 0; i < COUNT_OF(v->tables); i++)
		memtable_unref(v->tables[i]);
	*v = (struct memview){ 0 };
}

const struct mem_revision *
memview_revision(const struct memview *v, ts_t ts, struct uid tablet, struct uid id)
{
	const struct mem_revision probe = { .ts = ts, .tablet = tablet, .id = id };

	for (size_t i = 0; i < COUNT_OF(v->tables); i++) {
		const struct mem_revision *r =
		    v->tables[i] ? skiplist_get(v->tables[i]->revisions, &probe) : NULL;

		if (r && r->number <= v->visible)
			return r;
	}
	return NULL;
}

const struct mem_revision *
memview_next_revision(const struct memview *v, ts_t ts, struct uid tablet, struct uid id,
    bool after)
{
	const struct mem_revision  probe = { .ts = ts, .tablet = tablet, .id = id };
	const struct mem_revision *best = NULL;

	for (size_t i = 0; i < COUNT_OF(v->tables); i++) {
		const struct skiplist     *l = v->tables[i] ? v->tables[i]->revisions : NULL;
		const struct mem_revision *r = NULL;

		if (l)
			r = after ? skiplist_first_gt(l, &probe) : skiplist_first_ge(l, &probe);
		/* Times grow from record to record: what comes behind an invisible one is too. */
		if (r && r->number <= v->visible && (!best || revision_cmp(r, best) < 0))
			best = r;
	}
	return best;
}

struct newest {
	struct uid                 tablet, id;
	ts_t                       at;
	uint64_t                   visible;
	const struct mem_revision *best;
};

static bool
see_revision(void *arg, void *item)
{
	struct newest             *n = arg;
	const struct mem_revision *r = item;

	if (r->ts > n->at || r->number > n->visible)
		return false; /* and so are all behind it */
	if (uid_eq(r->id, n->id) && uid_eq(r->tablet, n->tablet))
		n->best = r;
	return true;
}

const struct mem_revision *
memview_newest_revision(const struct memview *v, struct uid tablet, struct uid id, ts_t at)
{
	struct newest n = { .tablet = tablet, .id = id, .at = at, .visible = v->visible };

	/* The active table is the younger one. */
	for (size_t i = 0; i < COUNT_OF(v->tables) && !n.best; i++)
		if (v->tables[i])
			(void)skiplist_each(v->tables[i]->revisions, see_revision, &n);
	return n.best;
}

const struct mem_global *
memview_global(const struct memview *v, str name)
{
	const struct mem_global *best = NULL;

	for (size_t i = 0; i < COUNT_OF(v->tables); i++) {
		const struct mem_global probe = { name, STR_EMPTY, v->visible };
		const struct mem_global *g =
		    v->tables[i] ? skiplist_first_ge(v->tables[i]->globals, &probe) : NULL;

		if (g && str_eq(g->name, name) && (!best || g->number > best->number))
			best = g;
	}
	return best;
}

static bool
same_key(const struct mem_key *a, const struct mem_key *b)
{
	return uid_eq(a->index, b->index) && str_eq(a->key, b->key);
}

/* The newest visible version of the key that is not above `ts`; NULL: none. */
static const struct mem_key *
find_version(const struct memtable *t, const struct mem_key *key, ts_t ts, uint64_t visible)
{
	const struct mem_key *k;
	struct mem_key        probe;

	mem_key_init(&probe, key->index, key->key, ts, UINT64_MAX);
	k = skiplist_first_ge(t->keys, &probe);
	while (k && k->number > visible && same_key(k, key))
		k = skiplist_first_gt(t->keys, k);
	return k && same_key(k, key) ? k : NULL;
}

/* Some version of the table's next key of the range behind `from` (NULL: the range's beginning),
 * visible or not. */
static const struct mem_key *
step(const struct memtable *t, const struct store_scan *q, const struct mem_key *from)
{
	str                   start = q->desc ? q->hi : q->lo;
	bool                  front = q->desc || !from; /* before all versions of the key */
	struct mem_key        probe;
	const struct mem_key *k;

	mem_key_init(&probe, q->index, from ? from->key : start, front ? UINT64_MAX : 0,
	    front ? UINT64_MAX : 0);
	if (q->desc) {
		probe.past_end = !from && q->hi.n == 0;
		k = skiplist_last_lt(t->keys, &probe);
	} else {
		k = skiplist_first_gt(t->keys, &probe);
	}
	if (!k || !uid_eq(k->index, q->index) || str_cmp(k->key, q->lo) < 0)
		return NULL;
	return q->hi.n == 0 || str_cmp(k->key, q->hi) < 0 ? k : NULL;
}

/* The same, but the key has a visible version in this table. */
static const struct mem_key *
visible_step(const struct memtable *t, const struct memcursor *c, const struct mem_key *from)
{
	const struct mem_key *k = step(t, c->q, from), *found = NULL;

	for (; k && !found; k = found ? k : step(t, c->q, k))
		found = find_version(t, k, UINT64_MAX, c->view->visible);
	return found;
}

static void
advance(struct memcursor *c, const struct mem_key *from)
{
	const struct mem_key *best = NULL;

	for (size_t i = 0; i < COUNT_OF(c->view->tables); i++) {
		const struct memtable *t = c->view->tables[i];
		const struct mem_key  *k = t ? visible_step(t, c, from) : NULL;
		int                    order = k && best ? str_cmp(k->key, best->key) : 0;

		if (k && (!best || (c->q->desc ? order > 0 : order < 0)))
			best = k;
	}
	c->at = best;
}

void
memcursor_open(struct memcursor *c, const struct memview *v, const struct store_scan *q)
{
	*c = (struct memcursor){ .view = v, .q = q };
	advance(c, NULL);
}

void
memcursor_next(struct memcursor *c)
{
	advance(c, c->at);
}

const struct mem_key *
memcursor_version(const struct memcursor *c)
{
	const struct mem_key *best = NULL;

	for (size_t i = 0; i < COUNT_OF(c->view->tables); i++) {
		const struct memtable *t = c->view->tables[i];
		const struct mem_key  *k =
		    t ? find_version(t, c->at, c->q->at, c->view->visible) : NULL;

		if (k && (!best || k->ts > best->ts ||
			     (k->ts == best->ts && k->number > best->number)))
			best = k;
	}
	return best;
}
