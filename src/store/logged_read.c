/* logged_read.c - reads that see what is logged, applied or not.
 *
 * Every read takes its view of the memtables first and looks into SQLite afterwards
 * (sqlite_read.c says why that leaves no gap).
 *
 * Thread: any.  Memory: a view holds the tables for the time of the call.
 */
#include "runtime/pause.h"
#include "store/logged_int.h"

enum { TRIES = 4 }; /* of a read, the last one undisturbed */

/* The tables of a view are taken at `erasures`. */
static void
take_view(struct logged_store *s, struct memview *ret, uint64_t *ret_erasures)
{
	MUTEX_GUARD(&s->lock);

	*ret_erasures = s->erasures;
	ret->tables[0] = memtable_ref(s->active);
	ret->tables[1] = s->applying ? memtable_ref(s->applying) : NULL;
	ret->visible = s->visible;
}

static bool
in_front(const struct logged_store *s, const struct memtable *t)
{
	return !t || t == s->active || t == s->applying;
}

/* Drops the view after a read.  false: history was erased meanwhile, and with it perhaps what
 * would have covered a row of the view: the read must be repeated (logged_prune.c). */
static bool
view_held(struct logged_store *s, struct memview *v, uint64_t erasures)
{
	bool ok = true;

	if (s->erasures != erasures) {
		mutex_lock_(&s->lock);
		ok = in_front(s, v->tables[0]) && in_front(s, v->tables[1]);
		must(pthread_mutex_unlock(&s->lock) == 0);
	}
	memview_clear(v);
	return ok;
}

/* As before a read is repeated for the last time: nothing is applied or erased until it is done.
 * Else one that takes longer than these two might be overtaken for ever. */
static void
keep_others_away(struct logged_store *s, int tries)
{
	if (tries == TRIES)
		(void)logged_lock_sql(s);
}

static void
let_others_in(struct logged_store *s, int tries)
{
	if (tries == TRIES)
		must(pthread_mutex_unlock(&s->sql_lock) == 0);
}

status
logged_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	struct logged_store *s = self;
	struct memview       view;
	uint64_t             erasures;
	bool                 held = false;
	status               st = ST_OK;

	must(s->magic == LOGGED_MAGIC);
	for (int tries = 1; !held; tries++) {
		store_rows_clear(ret);
		keep_others_away(s, tries);
		take_view(s, &view, &erasures);
		pause_point("store: view taken");
		st = sqlite_scan_under(s->sql, &view, q, ret, e);
		held = view_held(s, &view, erasures);
		let_others_in(s, tries);
	}
	return st;
}

status
logged_revision(void *self, struct uid tablet, uint32_t table_number, struct uid id, ts_t at,
    struct store_log_row *ret, struct err *e)
{
	const struct sqlite_which which = { tablet, { table_number, id }, at };
	struct logged_store      *s = self;
	struct store_log_row      row = { 0 };
	struct memview            view;
	uint64_t                  erasures;
	ts_t                      settled;
	bool                      held = false;
	status                    st = ST_OK;

	must(s->magic == LOGGED_MAGIC);
	for (int tries = 1; !held; tries++) {
		doc_unref(row.doc);
		row.doc = NULL;
		keep_others_away(s, tries);
		settled = logged_settled_ts(s);
		take_view(s, &view, &erasures);
		pause_point("store: view taken");
		st = sqlite_revision_under(s->sql, &view, settled, &which, &row, e);
		held = view_held(s, &view, erasures);
		let_others_in(s, tries);
	}
	if (st == ST_OK)
		*ret = row;
	return st;
}

status
logged_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e)
{
	struct logged_store *s = self;
	struct memview       view;
	uint64_t             erasures;
	status               st;

	must(s->magic == LOGGED_MAGIC);
	take_view(s, &view, &erasures); /* rows below the bound are the caller's to refuse */
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
	uint64_t                 erasures;
	status                   st = ST_OK;

	must(s->magic == LOGGED_MAGIC);
	take_view(s, &view, &erasures);
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
