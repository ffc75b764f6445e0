/* sqlite_log.c - reading the document log: what is in SQLite, merged with a view of what is not
 * there yet (sqlite_read.c says why the two overlap and never leave a gap; a row in both is
 * handed out once).
 *
 * Thread: any; each call has a reader of its own.  Memory: one row at a time.
 */
#include "store/sqlite_int.h"

static status
log_row(struct sqlite_reader *r, sqlite3_stmt *st, struct store_log_row *ret, struct err *e)
{
	*ret = (struct store_log_row){
		.ts = (ts_t)sqlite3_column_int64(st, 0),
		.prev_ts = (ts_t)sqlite3_column_int64(st, 5),
	};
	TRY(sqlite_column_uid(st, 1, &ret->tablet, e));
	TRY(sqlite_column_uid(st, 2, &ret->id, e));
	if (sqlite3_column_int(st, 4))
		return ST_OK;
	TRY(sqlite_parse_doc(r, sqlite_column_bytes(st, 3), ret->tablet,
	    (struct docid){ 0, ret->id }, &ret->doc, e));
	ret->doc->ts = ret->ts;
	return ST_OK;
}

static sqlite3_int64
clamp(uint64_t v)
{
	return v > (uint64_t)INT64_MAX ? INT64_MAX : (sqlite3_int64)v;
}

/* What a log read hands out, and how far it has come. */
struct log_walk {
	struct sqlite_reader      *r;
	const struct memview      *view;
	const struct mem_revision *over; /* the view's next one; NULL: none below `to` */
	ts_t                       to;
	size_t                     left;
	bool (*fn)(void *arg, const struct store_log_row *row);
	void *arg;
};

static void
hand_out(struct log_walk *w, const struct store_log_row *row)
{
	w->left = w->fn(w->arg, row) ? w->left - 1 : 0;
}

static void
over_at(struct log_walk *w, const struct mem_revision *r)
{
	w->over = r && r->ts < w->to ? r : NULL;
}

static void
next_over(struct log_walk *w)
{
	over_at(w, memview_next_revision(w->view, w->over->ts, w->over->tablet, w->over->id, true));
}

static status
hand_out_over(struct log_walk *w, struct err *e)
{
	const struct mem_revision *r = w->over;
	struct store_log_row row = { r->ts, r->tablet, r->id, NULL, r->prev_ts };

	if (!r->deleted) {
		TRY(sqlite_parse_doc(w->r, r->json, r->tablet, (struct docid){ 0, r->id },
		    &row.doc, e));
		row.doc->ts = r->ts;
	}
	hand_out(w, &row);
	next_over(w);
	return ST_OK;
}

static int
log_order(const struct mem_revision *r, const struct store_log_row *row)
{
	int c = (r->ts > row->ts) - (r->ts < row->ts);

	if (c == 0)
		c = uid_cmp(r->tablet, row->tablet);
	return c ? c : uid_cmp(r->id, row->id);
}

/* Hands out SQLite's row, and before it what the view has in front of it. */
static status
merge_log_row(struct log_walk *w, struct store_log_row *row, struct err *e)
{
	status st = ST_OK;
	int    c = -1;

	while (st == ST_OK && w->left > 0 && w->over && (c = log_order(w->over, row)) < 0)
		st = hand_out_over(w, e);
	if (st == ST_OK && w->over && c == 0)
		next_over(w); /* applied meanwhile: the same row */
	if (st == ST_OK && w->left > 0)
		hand_out(w, row);
	else
		doc_unref(row->doc);
	return st;
}

static status
walk_log(struct log_walk *w, sqlite3_stmt *walk, struct err *e)
{
	while (w->left > 0) {
		struct store_log_row row;
		int                  rc = sqlite3_step(walk);

		if (rc == SQLITE_DONE)
			break;
		if (rc != SQLITE_ROW)
			return sqlite_fail(w->r->db, e, sqlite_read_sql[READ_LOG]);
		TRY(log_row(w->r, walk, &row, e));
		TRY(merge_log_row(w, &row, e));
	}
	while (w->left > 0 && w->over)
		TRY(hand_out_over(w, e));
	return ST_OK;
}

status
sqlite_log_under(struct sqlite_store *store, const struct memview *view, ts_t from, ts_t to,
    size_t limit, bool (*fn)(void *arg, const struct store_log_row *row), void *arg,
    struct err *e)
{
	struct log_walk w = { .view = view, .to = to, .left = limit, .fn = fn, .arg = arg };
	sqlite3_stmt   *walk;
	status          st;

	TRY(sqlite_reader_take(store, &w.r, e));
	over_at(&w, memview_next_revision(
			view, from, (struct uid){ { 0 } }, (struct uid){ { 0 } }, false));
	walk = w.r->stmts[READ_LOG];
	sqlite3_bind_int64(walk, 1, clamp(from));
	sqlite3_bind_int64(walk, 2, clamp(to));
	sqlite3_bind_int64(walk, 3, clamp(limit));
	st = walk_log(&w, walk, e);
	sqlite3_reset(walk);
	sqlite_reader_give(store, w.r);
	return st;
}

status
sqlite_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e)
{
	return sqlite_log_under(self, &(struct memview){ 0 }, from, to, limit, fn, arg, e);
}
