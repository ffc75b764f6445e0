/* txn_read.c - reads of a transaction: the snapshot under its own writes.
 *
 * Spec 03 section 5.4: a scan merges the snapshot's rows with the pending keys of the same
 * interval; at equal keys the pending one wins.
 *
 * Thread: the transaction's.  Memory: every document that comes out of here is held by the
 * transaction until its end.
 */
#include "database/txn_int.h"

#define HINT "Consider using smaller limits in your queries, paginating your queries, or using " \
	"indexed queries with a selective index range expressions."

struct doc *
txn_hold(struct txn *t, struct doc *d)
{
	vec_push(&t->held, d);
	return d;
}

/* The snapshot's own description of an index: ours may be of a catalogue that the snapshot
 * has never seen.  NULL: it has no such index. */
static const struct index_info *
snapshot_index(struct txn *t, struct ttable *tt, const struct index_info *ix,
    const struct table_info **ret_table)
{
	const struct table_info *info = tt->info;

	if (!t->catalog_gen) {
		*ret_table = info;
		return ix;
	}
	info = tt->fresh ? NULL : catalog_tablet(snapshot_catalog(t->snap), tt->tablet);
	for (size_t i = 0; info && i < info->nindexes; i++)
		if (info->indexes[i].no == ix->no) {
			*ret_table = info;
			return &info->indexes[i];
		}
	return NULL;
}

status
txn_lookup(struct txn *t, struct ttable *tt, const struct index_info *ix, str full_key,
    struct doc **ret, struct err *e)
{
	struct over_node        *n = t->overlay.n ? overlay_find(&t->overlay, full_key) : NULL;
	const struct table_info *info;
	struct doc              *d = NULL;

	if (n && n->on) {
		*ret = n->doc;
		return ST_OK;
	}
	ix = snapshot_index(t, tt, ix, &info);
	if (ix)
		TRY(snapshot_get(t->snap, info, ix, full_key, &d, e));
	*ret = d ? txn_hold(t, d) : NULL;
	return ST_OK;
}

status
txn_current(struct txn *t, struct ttable *tt, struct docid id, struct doc **ret, struct err *e)
{
	return txn_lookup(t, tt, tt->info->by_id, txn_by_id_key(t, tt->info, id), ret, e);
}

status
txn_charge_read(struct txn *t, const struct table_info *info, struct doc *d, struct err *e)
{
	if (info->system)
		return ST_OK;
	t->usage.docs_read++;
	t->usage.bytes_read += val_size(doc_val(d));
	if (UNLIKELY(t->usage.docs_read > t->limits.docs_read))
		return err_set(e, ST_PAGINATION_LIMIT, "TooManyDocumentsRead",
		    "Too many documents read in a single function execution (limit: %llu). " HINT,
		    (unsigned long long)t->limits.docs_read);
	if (UNLIKELY(t->usage.bytes_read > t->limits.bytes_read))
		return err_set(e, ST_PAGINATION_LIMIT, "TooManyBytesRead",
		    "Too many bytes read in a single function execution (limit: %llu bytes). " HINT,
		    (unsigned long long)t->limits.bytes_read);
	return ST_OK;
}

status
txn_check_intervals(struct txn *t, struct err *e)
{
	/* Merging only makes them fewer: most transactions never need to know. */
	if (LIKELY(t->reads.ranges.n <= t->limits.intervals) ||
	    readlog_count(&t->reads) <= t->limits.intervals)
		return ST_OK;
	return err_set(e, ST_PAGINATION_LIMIT, "TooManyReads",
	    "Too many reads in a single function execution (limit: %llu). " HINT,
	    (unsigned long long)t->limits.intervals);
}

void
tscan_open(struct tscan *s, struct txn *t, struct ttable *tt, const struct index_info *ix,
    str lo, str hi, bool desc, size_t size_hint)
{
	const struct table_info *info;

	*s = (struct tscan){ .t = t, .lo = lo, .hi = hi, .desc = desc,
		.version = t->overlay.version - 1 };
	ix = snapshot_index(t, tt, ix, &info);
	if (ix)
		s->scan = scan_open(t->snap, info, ix, lo, hi, desc, size_hint);
	else
		s->peeked = true;
}

void
tscan_close(struct tscan *s)
{
	if (s->scan)
		scan_close(s->scan);
	s->scan = NULL;
	s->peeked = true;
	s->snap_doc = NULL;
}

static struct over_node *
inside(const struct tscan *s, struct over_node *n)
{
	if (!n)
		return NULL;
	if (s->desc)
		return str_cmp(n->key, s->lo) >= 0 ? n : NULL;
	return str_cmp(n->key, s->hi) < 0 ? n : NULL;
}

/* The next pending key after the position; found again when the overlay has changed. */
static struct over_node *
candidate(struct tscan *s)
{
	struct overlay *o = &s->t->overlay;

	if (s->version == o->version)
		return s->cand;
	s->version = o->version;
	if (s->desc)
		s->cand = inside(s, overlay_lt(o, s->pos.p ? s->pos : s->hi));
	else
		s->cand = inside(s, overlay_ge(o, s->pos.p ? s->pos : s->lo, s->pos.p != NULL));
	return s->cand;
}

static void
advance(struct tscan *s)
{
	s->cand = inside(s, s->desc ? overlay_prev(s->cand) : overlay_next(s->cand));
}

status
tscan_next(struct tscan *s, str *ret_key, struct doc **ret_doc, struct err *e)
{
	for (;;) {
		struct over_node *c;
		int               cmp;

		if (!s->peeked) {
			TRY(scan_next(s->scan, &s->snap_key, &s->snap_doc, e));
			s->peeked = true;
		}
		c = s->t->overlay.n ? candidate(s) : NULL;
		if (!c && !s->snap_doc) {
			*ret_doc = NULL;
			return ST_OK;
		}
		cmp = !c ? -1 : !s->snap_doc ? 1 : str_cmp(s->snap_key, c->key);
		if (s->desc && c && s->snap_doc)
			cmp = -cmp;
		if (cmp < 0) {
			s->peeked = false;
			*ret_key = s->pos = s->snap_key;
			*ret_doc = s->borrow ? s->snap_doc
					     : txn_hold(s->t, doc_ref(s->snap_doc));
			return ST_OK;
		}
		if (cmp == 0)
			s->peeked = false;
		advance(s);
		if (c->doc) {
			*ret_key = s->pos = c->key;
			*ret_doc = c->doc;
			return ST_OK;
		}
	}
}
