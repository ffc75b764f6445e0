/* logged_read.c - reads that see what is logged, applied or not.
 *
 * Every read takes its view of the memtables first and looks into SQLite afterwards
 * (sqlite_read.c says why that leaves no gap).
 *
 * Thread: any.  Memory: a view holds the tables for the time of the call.
 */
#include "store/logged_int.h"

static void
take_view(struct logged_store *s, struct memview *ret)
{
	MUTEX_GUARD(&s->lock);

	ret->tables[0] = memtable_ref(s->active);
	ret->tables[1] = s->applying ? memtable_ref(s->applying) : NULL;
	ret->visible = s->visible;
}

status
logged_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	struct logged_store *s = self;
	struct memview       view;
	status               st;

	must(s->magic == LOGGED_MAGIC);
	take_view(s, &view);
	st = sqlite_scan_under(s->sql, &view, q, ret, e);
	memview_clear(&view);
	return st;
}

status
logged_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e)
{
	struct logged_store *s = self;
	struct memview       view;
	status               st;

	must(s->magic == LOGGED_MAGIC);
	take_view(s, &view);
	st = sqlite_log_under(s->sql, &view, from, to, limit, fn, arg, e);
	memview_clear(&view);
	return st;
}

status
logged_global(void *self, str key, struct buf *ret_json, struct err *e)
{
	struct logged_store     *s = self;
	const struct mem_global *g;
	struct memview           view;
	status                   st = ST_OK;

	must(s->magic == LOGGED_MAGIC);
	take_view(s, &view);
	g = memview_global(&view, key);
	if (g)
		buf_add(ret_json, g->json);
	else
		st = sqlite_global(s->sql, key, ret_json, e);
	memview_clear(&view);
	return st;
}

status
logged_max_ts(void *self, ts_t *ret, struct err *e)
{
	struct logged_store *s = self;
	MUTEX_GUARD(&s->lock);

	(void)e;
	*ret = s->max_ts;
	return ST_OK;
}
