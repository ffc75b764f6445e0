/* retention_walk.c - finding history that nobody can read, by walking the document log.
 *
 * Spec 03 section 7.7: if revision R replaced Q and R is at or below the bound, then nobody
 * sees Q any more, nor the index entries that were written with it.  Where R has no entry at a
 * key of Q it left a tombstone there; with what it hides gone, it goes too.  So of each key the
 * newest entry at or below the bound survives, and not even that one if it is a tombstone.
 *
 * Most updates change no key, and the keys of by_id and by_creation_time never change: Q itself
 * is read only where its body matters.  Keys and documents that were written many times in one
 * chunk are erased once.
 *
 * An index that is being filled is treated like any other.  It cannot be erased too much of it:
 * the backfill's entries are those of documents alive at its snapshot, and the bound stays
 * below that until they are settled (retention.c).  Nor too little: the catalogue that we work
 * with is at least as new as the bound, so an index that it does not know has no entries there
 * but those.
 *
 * Checkpoints go with the erasure of what they cover, in one transaction of the store.
 *
 * Thread: retention's.  Memory: an arena per chunk, and a reference to each of its documents.
 */
#include <stdlib.h>

#include "base/map.h"
#include "database/retention_int.h"

#define CHUNK_ROWS  16384
#define CHUNK_BYTES ((size_t)6 << 20)
#define PRUNE_ROWS  65536 /* in one transaction of the store: a chunk, but of giant commits */
#define DOC_KEY     (2 * sizeof(struct uid))

struct walk {
	struct retention *r;
	struct arena     *arena;
	struct snapshot  *snap; /* for its catalogue */
	struct catalog   *catalog;
	bool              keys, docs;    /* which history is erased */
	struct uid        tables, index; /* tablets of _tables and _index */
	size_t            chunk;

	VEC(struct store_log_row) rows;
	size_t      bytes;
	bool        fence;    /* a commit with drops: the chunk ends with it */
	bool        cut;      /* there is more behind the rows */
	size_t      replaced; /* rows that have history */
	struct map *last;     /* by document: the newest revision of the chunk so far */
	struct buf  key, old_key;

	VEC(struct store_dead_key) dead_keys;
	VEC(struct store_dead_doc) dead_docs;
};

/* --- reading a chunk: whole commits, for checkpoints lie between them --- */

static bool
note_drop(struct walk *w, const struct store_log_row *row)
{
	struct retention *r = w->r;

	if (row->doc)
		return false;
	if (w->keys && uid_eq(row->tablet, w->index) && row->ts > r->cleared_indexes) {
		vec_push(&r->dropped_indexes, row->id);
		return true;
	}
	if (w->docs && uid_eq(row->tablet, w->tables) && row->ts > r->cleared_tables) {
		vec_push(&r->dropped_tables, row->id);
		return true;
	}
	return false;
}

static bool
collect(void *arg, const struct store_log_row *row)
{
	struct walk *w = arg;
	size_t       n = w->rows.n;

	if (n > 0 && row->ts != w->rows.v[n - 1].ts &&
	    (w->fence || n >= w->chunk || w->bytes >= CHUNK_BYTES)) {
		doc_unref(row->doc);
		w->cut = true;
		return false;
	}
	w->fence |= note_drop(w, row);
	w->bytes += row->doc ? row->doc->bytes : 0;
	vec_push(&w->rows, *row);
	return true;
}

/* --- one revision --- */

static bool
has_history(const struct store_log_row *row)
{
	return row->prev_ts != 0 || !row->doc;
}

/* Its key says nothing but what never changes of a document. */
static bool
is_constant(const struct index_info *ix)
{
	return ix->def.nfields == 0 ||
	       (ix->def.nfields == 1 && str_eq(ix->def.fields[0], S("_creationTime")));
}

static bool
needs_old(const struct table_info *t, const struct store_log_row *row)
{
	if (!row->doc)
		return true;
	for (size_t i = 0; i < t->nindexes; i++)
		if (t->indexes[i].def.kind == INDEX_DATABASE && !is_constant(&t->indexes[i]))
			return true;
	return false;
}

static str
doc_key(const struct store_log_row *row, uint8_t room[DOC_KEY])
{
	memcpy(room, row->tablet.b, sizeof row->tablet);
	memcpy(room + sizeof row->tablet, row->id.b, sizeof row->id);
	return str_of(room, DOC_KEY);
}

static void
drop_doc(void *doc)
{
	doc_unref(doc);
}

/* The revision that `row` replaced; *ret NULL if it is gone already.  Borrowed. */
static status
find_old(struct walk *w, const struct table_info *t, const struct store_log_row *row,
    struct doc **ret, struct err *e)
{
	struct store        *s = &w->r->db->store;
	struct store_log_row old;
	uint8_t              room[DOC_KEY];
	struct doc          *seen = map_get(w->last, doc_key(row, room));
	status               st;

	*ret = NULL;
	if (seen && seen->ts == row->prev_ts) {
		*ret = seen;
		return ST_OK;
	}
	st = s->v->revision(s->self, row->tablet, t->number, row->id, row->prev_ts, &old, e);
	if (st == ST_NOT_FOUND)
		return ST_OK;
	if (st != ST_OK || !old.doc)
		return st;
	arena_on_free(w->arena, drop_doc, old.doc);
	if (old.ts == row->prev_ts)
		*ret = old.doc;
	return ST_OK;
}

static str
key_in(struct buf *b, const struct index_info *ix, const struct doc *d)
{
	buf_reset(b);
	index_key(b, ix, doc_val(d));
	return str_from(buf_str(b), INDEX_PREFIX);
}

static void
kill_key(struct walk *w, const struct index_info *ix, const struct store_log_row *row,
    const struct doc *old)
{
	str  now = row->doc ? key_in(&w->key, ix, row->doc) : STR_EMPTY, was = now;
	ts_t upto = row->prev_ts;

	if (!row->doc || !is_constant(ix)) {
		if (!old)
			return;
		was = key_in(&w->old_key, ix, old);
		if (!row->doc || !str_eq(was, now))
			upto = row->ts; /* with the tombstone */
	}
	vec_push(&w->dead_keys,
	    ((struct store_dead_key){ ix->id, arena_str(w->arena, was), upto }));
}

static status
kill_keys(struct walk *w, const struct store_log_row *row, struct err *e)
{
	const struct table_info *t = catalog_tablet(w->catalog, row->tablet);
	struct doc              *old = NULL;

	if (!t || !row->prev_ts)
		return ST_OK;
	if (needs_old(t, row))
		TRY(find_old(w, t, row, &old, e));
	for (size_t i = 0; i < t->nindexes; i++)
		if (t->indexes[i].def.kind == INDEX_DATABASE)
			kill_key(w, &t->indexes[i], row, old);
	return ST_OK;
}

static void
kill_doc(struct walk *w, const struct store_log_row *row)
{
	vec_push(&w->dead_docs,
	    ((struct store_dead_doc){ row->tablet, row->id, row->doc ? row->prev_ts : row->ts }));
}

static status
kill_history(struct walk *w, struct err *e)
{
	uint8_t room[DOC_KEY];

	for (size_t i = 0; i < w->rows.n; i++) {
		const struct store_log_row *row = &w->rows.v[i];

		if (has_history(row)) {
			w->replaced++;
			if (w->keys)
				TRY(kill_keys(w, row, e));
			if (w->docs)
				kill_doc(w, row);
		}
		if (w->keys && row->doc)
			map_put(w->last, doc_key(row, room), row->doc);
	}
	return ST_OK;
}

/* --- erasing: in the order of the store, each key once --- */

static int
key_cmp(const void *pa, const void *pb)
{
	const struct store_dead_key *a = pa, *b = pb;
	int                          c = uid_cmp(a->index, b->index);

	if (c == 0)
		c = str_cmp(a->key, b->key);
	return c ? c : (a->upto < b->upto) - (a->upto > b->upto);
}

static int
dead_doc_cmp(const void *pa, const void *pb)
{
	const struct store_dead_doc *a = pa, *b = pb;
	int                          c = uid_cmp(a->tablet, b->tablet);

	if (c == 0)
		c = uid_cmp(a->id, b->id);
	return c ? c : (a->upto < b->upto) - (a->upto > b->upto);
}

static void
sort_dead(struct walk *w)
{
	size_t n = 0;

	if (w->dead_keys.n)
		qsort(w->dead_keys.v, w->dead_keys.n, sizeof *w->dead_keys.v, key_cmp);
	for (size_t i = 0; i < w->dead_keys.n; i++) {
		const struct store_dead_key *k = &w->dead_keys.v[i];

		if (i == 0 || !uid_eq(k->index, k[-1].index) || !str_eq(k->key, k[-1].key))
			w->dead_keys.v[n++] = *k;
	}
	w->dead_keys.n = n;
	n = 0;
	if (w->dead_docs.n)
		qsort(w->dead_docs.v, w->dead_docs.n, sizeof *w->dead_docs.v, dead_doc_cmp);
	for (size_t i = 0; i < w->dead_docs.n; i++) {
		const struct store_dead_doc *d = &w->dead_docs.v[i];

		if (i == 0 || !uid_eq(d->tablet, d[-1].tablet) || !uid_eq(d->id, d[-1].id))
			w->dead_docs.v[n++] = *d;
	}
	w->dead_docs.n = n;
}

static void
forget(struct db_history *h, uint64_t rows)
{
	if (rows >= h->rows) {
		*h = (struct db_history){ 0, 0 };
		return;
	}
	h->bytes -= (uint64_t)((double)h->bytes * (double)rows / (double)h->rows);
	h->rows -= rows;
}

static void
forget_all(struct walk *w)
{
	MUTEX_GUARD(&w->r->db->lock);

	if (w->keys)
		forget(&w->r->db->dead_keys, w->replaced);
	if (w->docs)
		forget(&w->r->db->dead_docs, w->replaced);
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The checkpoints move with the last piece.  Documents go when no index entry needs them. */
static status
erase(struct walk *w, ts_t upto, struct err *e)
{
	struct retention  *r = w->r;
	struct store_prune p = { .keys = w->dead_keys.v, .docs = w->dead_docs.v };
	size_t             keys = w->dead_keys.n, docs = w->dead_docs.n;
	ts_t               index_done = r->state.index_done;
	ts_t               document_done = r->state.document_done;
	status             st;

	while (keys + docs > PRUNE_ROWS) {
		p.nkeys = least(keys, PRUNE_ROWS);
		p.ndocs = keys > PRUNE_ROWS ? 0 : least(docs, PRUNE_ROWS - p.nkeys);
		TRY(retention_write(r, &p, e));
		keys -= p.nkeys;
		docs -= p.ndocs;
		p.keys += p.nkeys;
		p.docs += p.ndocs;
	}
	p.nkeys = keys;
	p.ndocs = docs;
	forget_all(w);
	if (w->keys)
		r->state.index_done = upto;
	if (w->docs)
		r->state.document_done = upto;
	st = retention_write(r, &p, e);
	if (st != ST_OK) {
		r->state.index_done = index_done;
		r->state.document_done = document_done;
	}
	return st;
}

/* --- a chunk --- */

/* One pass does for both logs where they stand at the same place.  Documents that lag behind
 * take most turns, to get there. */
static void
choose(struct walk *w, ts_t *ret_from, ts_t *ret_to)
{
	const struct retention_state *s = &w->r->state;
	ts_t docs_to = s->document_bound < s->index_done ? s->document_bound : s->index_done;

	w->keys = s->index_done < s->index_bound;
	w->docs = s->document_done < s->document_bound;
	*ret_from = s->document_done;
	*ret_to = s->document_bound;
	if (w->docs && (!w->keys || s->document_done == s->index_done))
		return;
	w->docs = s->document_done < docs_to && (!w->keys || ++w->r->turn % 4 != 0);
	w->keys = !w->docs;
	*ret_from = w->keys ? s->index_done : s->document_done;
	*ret_to = w->keys ? s->index_bound : docs_to;
}

static status
walk(struct walk *w, struct err *e)
{
	struct retention *r = w->r;
	struct store     *s = &r->db->store;
	ts_t              from, to;

	choose(w, &from, &to);
	TRY(s->v->log(s->self, from + 1, to + 1, SIZE_MAX >> 1, collect, w, e));
	if (w->cut)
		to = w->rows.v[w->rows.n - 1].ts;
	if (w->fence) {
		if (w->keys)
			r->cleared_indexes = to;
		if (w->docs)
			r->cleared_tables = to;
		return ST_OK; /* and here again when those rows are gone */
	}
	TRY(kill_history(w, e));
	sort_dead(w);
	return erase(w, to, e);
}

status
retention_walk(struct retention *r, struct err *e)
{
	const struct uid root = { { 0 } };
	struct walk      w = { .r = r,
		     .arena = arena_new(),
		     .snap = db_snapshot(r->db),
		     .last = map_new(),
		     .chunk = r->opts.chunk_rows };
	status           st;

	w.catalog = snapshot_catalog(w.snap);
	w.tables = catalog_table(w.catalog, root, S("_tables"))->tablet;
	w.index = catalog_table(w.catalog, root, S("_index"))->tablet;
	if (!w.chunk)
		w.chunk = CHUNK_ROWS;
	buf_init(&w.key, BUF_MAX_DEFAULT);
	buf_init(&w.old_key, BUF_MAX_DEFAULT);
	st = walk(&w, e);
	for (size_t i = 0; i < w.rows.n; i++)
		doc_unref(w.rows.v[i].doc);
	vec_clear(&w.rows);
	vec_clear(&w.dead_keys);
	vec_clear(&w.dead_docs);
	buf_clear(&w.key);
	buf_clear(&w.old_key);
	map_free(w.last);
	snapshot_unref(w.snap);
	arena_free(w.arena);
	return st;
}
