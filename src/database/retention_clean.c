/* retention_clean.c - what has had its time besides history (spec 03 section 3.5).
 *
 *   - tables that were deleted longer ago than documents are kept: their rows, then the row of
 *     _tables, which until then keeps the number occupied;
 *   - tables that an import has left hidden for 14 days, and those of components that nobody
 *     mounts any more after 2 days: deleted;
 *   - progress rows of backfills that are over;
 *   - requests of clients that were remembered for 14 days.
 *
 * A bounded bit at a time, in transactions of its own; one that loses is made again.
 *
 * Thread: retention's.  Memory: a transaction per step.
 */
#include "database/ddl_int.h"
#include "database/retention_int.h"

#define DAY_NS       (86400 * RETENTION_SECOND)
#define HIDDEN_NS    (14 * DAY_NS)
#define ORPHAN_NS    (2 * DAY_NS)
#define REQUEST_NS   (14 * DAY_NS)
#define ROWS_AT_ONCE 256

struct clean {
	struct retention *r;
	struct txn       *t;
	uint64_t          now;
	bool              changed; /* something to commit */
	bool              more;
};

static void
begin(struct clean *c, struct retention *r)
{
	*c = (struct clean){ .r = r, .now = os_now_ns(r->db->os) };
	c->t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(r->db),
	    .writable = true,
	    .system = true,
	    .writer = S("_system/retention") });
}

static status
end(struct clean *c, status st, struct err *e)
{
	struct conflict conflict;
	ts_t            ts;

	if (st == ST_OK && c->changed) {
		c->more = true;
		st = txn_commit(c->t, &ts, &conflict, e);
		if (st == ST_OCC)
			st = ST_OK;
	}
	txn_free(c->t);
	return st;
}

/* --- tables --- */

static bool
older(ts_t ts, uint64_t now, uint64_t age)
{
	return ts && now > age && ts < now - age;
}

static status
table_row(struct clean *c, const struct table_info *t, struct doc **ret, struct err *e)
{
	return txn_sys_get(c->t, (struct docid){ .table = TABLE_NO_TABLES, .uid = t->tablet }, ret,
	    e);
}

/* Of a deleted table whose last reader has gone. */
static status
erase_table(struct clean *c, const struct table_info *t, struct err *e)
{
	struct retention *r = c->r;
	size_t            n;

	TRY(r->db->store.v->erase_table(r->db->store.self, t->tablet, RETENTION_ERASE_ROWS, &n, e));
	retention_count_rows(r, n);
	c->more = true;
	if (n == RETENTION_ERASE_ROWS)
		return ST_OK;
	c->changed = true;
	return txn_sys_delete(c->t, (struct docid){ .table = TABLE_NO_TABLES, .uid = t->tablet },
	    e);
}

static status
is_orphan(struct clean *c, const struct table_info *t, bool *ret, struct err *e)
{
	struct docid id = { .table = TABLE_NO_COMPONENTS, .uid = t->component };
	struct doc  *row;

	*ret = false;
	if (uid_is_zero(t->component))
		return ST_OK;
	TRY(txn_sys_get(c->t, id, &row, e));
	*ret = !row;
	return ST_OK;
}

/* True of most tables, without a look at their rows. */
static bool
is_ordinary(const struct table_info *t)
{
	return t->state == TABLE_ACTIVE && uid_is_zero(t->component);
}

static status
clean_table(struct clean *c, const struct table_info *t, struct err *e)
{
	struct doc *row;
	bool        orphan;

	TRY(table_row(c, t, &row, e));
	if (!row)
		return ST_OK;
	if (t->state == TABLE_DELETING)
		return row->ts && row->ts <= c->r->state.document_bound ? erase_table(c, t, e)
									: ST_OK;
	TRY(is_orphan(c, t, &orphan, e));
	if ((t->state != TABLE_HIDDEN || !older(row->ts, c->now, HIDDEN_NS)) &&
	    (!orphan || !older(row->ts, c->now, ORPHAN_NS)))
		return ST_OK;
	c->changed = true;
	return ddl_discard_table(c->t, t, e);
}

/* The first one that there is something to do for. */
static status
clean_tables(struct retention *r, bool *more, struct err *e)
{
	const struct table_info *t;
	struct clean             c;
	status                   st = ST_OK;

	begin(&c, r);
	for (size_t i = 0; st == ST_OK && !c.more && !c.changed; i++) {
		t = catalog_table_at(c.t->catalog, i);
		if (!t)
			break;
		if (!is_ordinary(t))
			st = clean_table(&c, t, e);
	}
	st = end(&c, st, e);
	*more |= c.more;
	return st;
}

/* --- rows --- */

struct victims {
	struct clean *c;
	size_t        n;
	struct docid  ids[ROWS_AT_ONCE];
};

static bool
note_request(void *arg, struct doc *d)
{
	struct victims *v = arg;

	if (!older(d->ts, v->c->now, REQUEST_NS))
		return false;
	v->ids[v->n++] = d->id;
	return v->n < ROWS_AT_ONCE;
}

static bool
is_over(struct txn *t, const struct doc *progress)
{
	struct val               id = val_get(doc_val(progress), S("indexId"));
	const struct table_info *info;
	struct docid             index;

	if (val_kind(id) != VAL_STRING || id_parse(val_str(id), &index, NULL) != ST_OK)
		return true;
	for (size_t i = 0; (info = catalog_table_at(t->catalog, i)); i++) {
		const struct index_info *ix = table_index_by_id(info, index.uid);

		if (ix)
			return ix->state != INDEX_BACKFILLING;
	}
	return true;
}

static bool
note_progress(void *arg, struct doc *d)
{
	struct victims *v = arg;

	if (is_over(v->c->t, d))
		v->ids[v->n++] = d->id;
	return v->n < ROWS_AT_ONCE;
}

static status
clean_rows(struct retention *r, str table, str index, bool (*note)(void *arg, struct doc *d),
    bool *more, struct err *e)
{
	struct clean   c;
	struct victims v = { .c = &c };
	status         st;

	begin(&c, r);
	st = txn_sys_each(c.t, table, index, NULL, 0, note, &v, e);
	for (size_t i = 0; st == ST_OK && i < v.n; i++)
		st = txn_sys_delete(c.t, v.ids[i], e);
	c.changed = v.n > 0;
	st = end(&c, st, e);
	*more |= c.more;
	return st;
}

status
retention_clean(struct retention *r, bool *ret_more, struct err *e)
{
	bool more = false;

	TRY(clean_tables(r, &more, e));
	TRY(clean_rows(r, S("_index_backfills"), S("by_id"), note_progress, &more, e));
	TRY(clean_rows(r, S("_session_requests"), S("by_creation_time"), note_request, &more, e));
	*ret_more = more;
	return ST_OK;
}
