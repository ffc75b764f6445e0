/* scan.c - reading a snapshot: resident entries from its tree, absent ranges from the store.
 *
 * A scan walks the tree of its snapshot's view.  Where the view says that a range is absent,
 * it first asks for a fresh view of the same moment (somebody may have loaded the range
 * meanwhile), then reads the range from the store at the snapshot's timestamp, returns
 * those rows and goes on behind them.  Every load is handed to the db, with an island in
 * by_id for each document, since who finds a document usually patches it next.
 *
 * Everything that a scan returned stays valid until it is closed: it keeps its views, and
 * the rows it loaded.
 *
 * Thread: the scan's owner; any number of scans at once.
 * Memory: an arena per scan, besides the views and documents that it refers to.
 */
#include "base/mem.h"
#include "database/db_int.h"
#include "runtime/metrics.h"
#include "runtime/pause.h"
#include "value/sortkey.h"

#define LOAD_MIN     100
#define LOAD_MAX     2048
#define INSTALL_ROWS 32 /* per turn at the db's lock */

static struct metric loads = METRIC_COUNTER("fresnel_cache_loads_total",
    "ranges and keys that were not in memory and read from the store");

struct row {
	str         key; /* full, in the arena */
	struct doc *doc; /* one reference */
};

struct scan {
	struct snapshot           *s;
	const struct table_info   *table;
	struct uid                 tablet;
	uint32_t                   table_number;
	struct uid                 index;
	bool                       is_by_id;
	bool                       desc;
	bool                       done;
	size_t                     size_hint;
	struct arena              *arena;
	str                        prefix;
	str                        lo, hi; /* what is left, where `at` is NULL */
	struct tree_snap          *view;
	VEC(struct tree_snap *)    views;  /* a reference each, but for the snapshot's own */
	struct cursor              cursor; /* at `at` */
	/* asc: the entry that was dealt with last, desc: the one to deal with; NULL: seek. */
	struct entry              *at;
	VEC(struct row)            rows;   /* all that was loaded */
	size_t                     next;   /* rows[next..) are still to be returned */
};

/* --- keys --- */

static str
successor(struct arena *a, str key)
{
	char *p = arena_alloc(a, key.n + 1);

	memcpy(p, key.p, key.n);
	p[key.n] = '\0';
	return str_of(p, key.n + 1);
}

static str
full_key(struct arena *a, str prefix, str key)
{
	char *p = arena_alloc(a, prefix.n + key.n);

	memcpy(p, prefix.p, prefix.n);
	memcpy(p + prefix.n, key.p, key.n);
	return str_of(p, prefix.n + key.n);
}

/* The bounds of a store scan: without the index number; no end instead of one in the next
 * index. */
static void
store_bounds(struct store_scan *q, str prefix, str lo, str hi)
{
	q->lo = str_from(lo, prefix.n);
	q->hi = same_index(hi, prefix) ? str_from(hi, prefix.n) : STR_EMPTY;
}

/* --- loading --- */

/* An island in by_id for one loaded document. */
static void
install_by_id(struct snapshot *s, const struct table_info *t, struct doc *d, struct buf *key)
{
	struct entry *row;

	buf_reset(key);
	index_key(key, t->by_id, doc_val(d));
	row = entry_new_take(buf_str(key), ENTRY_DOC, false, doc_ref(d));
	buf_add_byte(key, 0);
	db_install_take(s, entry_key(row), buf_str(key), &row, 1);
}

/* Installs rows[from..) as the content of [lo, hi), some at a time. */
static void
install(struct scan *sc, size_t from, str lo, str hi)
{
	struct entry *rows[INSTALL_ROWS];
	size_t        n = sc->rows.n - from, done = 0, take;

	do {
		str end = hi;

		take = n - done < INSTALL_ROWS ? n - done : INSTALL_ROWS;
		for (size_t i = 0; i < take; i++) {
			size_t      k = done + i;
			struct row *r = &sc->rows.v[sc->desc ? sc->rows.n - 1 - k : from + k];

			rows[i] = entry_new_take(r->key, ENTRY_DOC, false, doc_ref(r->doc));
			if (i + 1 == take && done + take < n)
				end = successor(sc->arena, r->key);
		}
		pause_point("scan: loaded");
		db_install_take(sc->s, lo, end, rows, take);
		lo = end;
		done += take;
	} while (done < n);
}

/* One blob for a document, whichever index it was found through. */
static void
share(struct scan *sc, struct row *r, struct buf *key)
{
	struct entry *e;
	bool          absent;

	buf_reset(key);
	index_key(key, sc->table->by_id, doc_val(r->doc));
	e = res_lookup(sc->view->root, buf_str(key), &absent);
	if (e && e->doc->ts == r->doc->ts) {
		doc_unref(r->doc);
		r->doc = doc_ref(e->doc);
	} else {
		install_by_id(sc->s, sc->table, r->doc, key);
	}
}

/* Reads [lo, hi) from the store into rows; *ret_end is how far (desc: down to where) it came. */
static status
load(struct scan *sc, str lo, str hi, str *ret_end, struct err *e)
{
	struct store_scan q = { .index = sc->index, .tablet = sc->tablet,
		.table_number = sc->table_number, .at = sc->s->ts, .desc = sc->desc };
	struct store_rows got;
	struct buf        key;
	size_t            from = sc->rows.n;
	status            st;

	q.limit = sc->size_hint < LOAD_MIN ? LOAD_MIN
	    : sc->size_hint > LOAD_MAX     ? LOAD_MAX
	                                   : sc->size_hint;
	metric_add(&loads, 1);
	store_bounds(&q, sc->prefix, lo, hi);
	store_rows_init(&got);
	st = store_scan(&sc->s->db->store, &q, &got, e);
	if (st == ST_OK)
		st = db_check_bound(sc->s->db, sc->s->ts, e);
	if (st != ST_OK)
		goto out;
	buf_init(&key, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < got.rows.n; i++) {
		struct row r = { full_key(sc->arena, sc->prefix, got.rows.v[i].key),
			doc_ref(got.rows.v[i].doc) };

		if (!sc->is_by_id)
			share(sc, &r, &key);
		vec_push(&sc->rows, r);
	}
	buf_clear(&key);
	if (got.more) {
		str last = sc->rows.v[sc->rows.n - 1].key;

		if (sc->desc)
			lo = last;
		else
			hi = successor(sc->arena, last);
	}
	install(sc, from, lo, hi);
	*ret_end = sc->desc ? lo : hi;
out:
	store_rows_clear(&got);
	return st;
}

/* Switches to a fresher view if that brings the scan on. */
static bool
refresh(struct scan *sc)
{
	struct tree_snap *v = snapshot_fresh(sc->s, sc->view, sc->desc ? sc->hi : sc->lo, sc->desc);

	if (!v)
		return false;
	vec_push(&sc->views, v);
	sc->view = v;
	sc->at = NULL;
	return true;
}

/* --- scans --- */

struct scan *
scan_open(struct snapshot *s, const struct table_info *t, const struct index_info *ix, str lo,
    str hi, bool desc, size_t size_hint)
{
	struct arena *a = arena_new();
	struct scan  *sc = ARENA_NEW(a, struct scan);

	must(same_index(lo, lo) && ix->def.kind == INDEX_DATABASE && t->by_id);
	sc->arena = a;
	sc->s = snapshot_ref(s);
	sc->table = t;
	sc->tablet = t->tablet;
	sc->table_number = t->number;
	sc->index = ix->id;
	sc->is_by_id = uid_eq(ix->id, t->by_id->id);
	sc->desc = desc;
	sc->size_hint = size_hint;
	sc->lo = arena_str(a, lo);
	sc->hi = arena_str(a, hi);
	sc->prefix = str_head(sc->lo, INDEX_PREFIX);
	sc->view = s->view;
	return sc;
}

/* The absent range [lo, hi) is in the way: loads it, unless a fresher view knows better. */
static status
cross_gap(struct scan *sc, str lo, str hi, struct err *e)
{
	str end;

	if (sc->desc)
		sc->hi = hi;
	else
		sc->lo = lo;
	if (refresh(sc))
		return ST_OK;
	TRY(load(sc, lo, hi, &end, e));
	if (sc->desc)
		sc->hi = end;
	else
		sc->lo = end;
	sc->at = NULL;
	return ST_OK;
}

static bool
in_scan(const struct scan *sc, const struct entry *e)
{
	return e && same_index(entry_key(e), sc->prefix);
}

/* The beginning of the range behind `e`. */
static str
range_start(struct scan *sc, const struct entry *e)
{
	return e->kind == ENTRY_MARK ? entry_key(e) : successor(sc->arena, entry_key(e));
}

/* Each step moves the scan on by an entry or across an absent range; *ret_e is set where
 * there is a document to return. */
static status
step_asc(struct scan *sc, struct entry **ret_e, struct err *e)
{
	struct cursor peek;
	struct entry *next;
	str           start = sc->lo, end = sc->hi;

	if (!sc->at) {
		sc->at = cursor_le(&sc->cursor, sc->view->root, sc->lo);
		if (!in_scan(sc, sc->at)) { /* the index is younger than the snapshot */
			sc->done = true;
			return ST_OK;
		}
		entry_touch(sc->at);
		if (str_eq(entry_key(sc->at), sc->lo) && sc->at->kind != ENTRY_MARK) {
			*ret_e = sc->at;
			return ST_OK;
		}
	} else if (sc->at->gap) {
		start = range_start(sc, sc->at);
	}
	peek = sc->cursor;
	next = cursor_next(&peek);
	if (!in_scan(sc, next) || str_cmp(entry_key(next), sc->hi) >= 0)
		next = NULL;
	if (sc->at->gap) {
		end = next ? entry_key(next) : sc->hi;
		if (str_cmp(start, end) < 0)
			return cross_gap(sc, start, end, e);
	}
	sc->cursor = peek;
	sc->at = *ret_e = next;
	sc->done = !next;
	if (next) {
		cursor_prefetch(&sc->cursor, false);
		entry_touch(next);
	}
	return ST_OK;
}

static status
step_desc(struct scan *sc, struct entry **ret_e, struct err *e)
{
	struct entry *at = sc->at;

	if (!at)
		at = sc->at = cursor_lt(&sc->cursor, sc->view->root, sc->hi);
	if (!in_scan(sc, at)) {
		sc->done = true;
		return ST_OK;
	}
	if (at->gap) {
		str start = range_start(sc, at);

		if (str_cmp(start, sc->lo) < 0)
			start = sc->lo;
		if (str_cmp(start, sc->hi) < 0)
			return cross_gap(sc, start, sc->hi, e);
	}
	entry_touch(at); /* before the range, it is what says that nothing is in it */
	if (str_cmp(entry_key(at), sc->lo) < 0) {
		sc->done = true;
		return ST_OK;
	}
	*ret_e = at;
	sc->hi = entry_key(at);
	sc->at = cursor_prev(&sc->cursor);
	sc->done = !sc->at;
	if (sc->at)
		cursor_prefetch(&sc->cursor, true);
	return ST_OK;
}

status
scan_next(struct scan *sc, str *ret_key, struct doc **ret_doc, struct err *e)
{
	for (;;) {
		struct entry *hit = NULL;

		if (sc->next < sc->rows.n) {
			struct row *r = &sc->rows.v[sc->next++];

			*ret_key = r->key;
			*ret_doc = r->doc;
			return ST_OK;
		}
		if (sc->done || str_cmp(sc->lo, sc->hi) >= 0) {
			*ret_doc = NULL;
			return ST_OK;
		}
		TRY(sc->desc ? step_desc(sc, &hit, e) : step_asc(sc, &hit, e));
		if (hit && hit->kind == ENTRY_DOC) {
			*ret_key = entry_key(hit);
			*ret_doc = hit->doc;
			return ST_OK;
		}
	}
}

void
scan_close(struct scan *sc)
{
	if (!sc)
		return;
	for (size_t i = 0; i < sc->views.n; i++)
		snapshot_release_view(sc->s->db, sc->views.v[i]);
	for (size_t i = 0; i < sc->rows.n; i++)
		doc_unref(sc->rows.v[i].doc);
	vec_clear(&sc->views);
	vec_clear(&sc->rows);
	snapshot_unref(sc->s);
	arena_free(sc->arena);
}

/* --- single keys --- */

static status
load_one(struct snapshot *s, const struct table_info *t, const struct index_info *ix, str key,
    struct doc **ret, struct err *e)
{
	struct store_scan q = { .index = ix->id, .tablet = t->tablet, .table_number = t->number,
		.at = s->ts, .limit = 1 };
	struct store_rows got;
	struct entry     *row = NULL;
	struct buf        end;
	status            st;

	buf_init(&end, BUF_MAX_DEFAULT);
	buf_add(&end, key);
	buf_add_byte(&end, 0);
	metric_add(&loads, 1);
	store_bounds(&q, str_head(key, INDEX_PREFIX), key, buf_str(&end));
	store_rows_init(&got);
	st = store_scan(&s->db->store, &q, &got, e);
	if (st == ST_OK)
		st = db_check_bound(s->db, s->ts, e);
	if (st == ST_OK) {
		pause_point("get: loaded");
		*ret = got.rows.n ? doc_ref(got.rows.v[0].doc) : NULL;
		if (*ret)
			row = entry_new_take(key, ENTRY_DOC, false, doc_ref(*ret));
		db_install_take(s, key, buf_str(&end), &row, row ? 1 : 0);
	}
	store_rows_clear(&got);
	buf_clear(&end);
	return st;
}

status
snapshot_get(struct snapshot *s, const struct table_info *t, const struct index_info *ix,
    str full_key, struct doc **ret, struct err *e)
{
	bool          absent;
	struct entry *at = res_lookup(s->view->root, full_key, &absent);

	if (absent && snapshot_peek(s, full_key, ret))
		return ST_OK;
	if (absent)
		return load_one(s, t, ix, full_key, ret, e);
	*ret = at ? doc_ref(at->doc) : NULL;
	return ST_OK;
}
