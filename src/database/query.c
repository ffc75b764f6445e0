/* query.c - running a query: index rows through filters and limits.
 *
 * Spec 03 section 6.  A row counts as read when it is pulled from the index, before the
 * operators; a query that a limit ends has read up to the last row pulled, one that ran dry
 * has read its whole interval (section 5.2).
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/query_int.h"

#define ROW_STEPS 64 /* what a row costs, in operators of a filter */

#define HINT_DEFAULT 100

static status
index_error(struct err *e, const char *code, const struct query_spec *s, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, code, "Index %.*s.%.*s %s", STR_ARG(s->table),
	    STR_ARG(s->index), what);
}

static status
find_table(struct query *q, struct err *e)
{
	str backing = q->spec->table;

	if (!str_starts(backing, S("_"))) {
		q->table = ttable_named(q->t, q->t->component, backing);
		return ST_OK;
	}
	q->virt = virtual_named(q->spec->table, &backing);
	if (q->virt)
		TRY(virtual_check_npm(q->npm, e));
	if (q->t->system)
		q->table = ttable_system(q->t, backing);
	else if (q->virt != VIRTUAL_NONE)
		q->table = ttable_named(q->t, q->t->component, backing);
	return ST_OK;
}

static status
check_state(const struct query_spec *s, const struct index_info *ix, struct err *e)
{
	if (ix->def.kind != INDEX_DATABASE)
		return index_error(e, "IndexNotADatabaseIndex", s, "is not a database index");
	if (ix->state == INDEX_ENABLED)
		return ST_OK;
	if (ix->staged)
		return index_error(e, "IndexStagedError", s,
		    "is currently staged and not available to query until it is enabled.");
	return index_error(e, "IndexBackfillingError", s,
	    "is currently backfilling and not available to query yet.");
}

static status
find_index(struct query *q, struct err *e)
{
	const struct query_spec *s = q->spec;

	if (s->source == QUERY_FULL_SCAN) {
		q->index = q->table ? q->table->info->by_creation_time : NULL;
		if (q->table && !q->index) /* _index has none (section 3.3) */
			q->index = q->table->info->by_id;
		return ST_OK;
	}
	if (q->virt && !str_eq(s->index, S("by_id")) && !str_eq(s->index, S("by_creation_time")))
		return err_internal(e, "virtual table %.*s has no index %.*s", STR_ARG(s->table),
		    STR_ARG(s->index));
	q->index = q->table ? table_index(q->table->info, s->index) : NULL;
	if (!q->index) {
		if (q->table)
			txn_note_all_indexes(q->t);
		return index_error(e, "IndexNotFoundError", s, "not found.");
	}
	txn_note_index(q->t, q->table, q->index);
	return check_state(s, q->index, e);
}

static void
list_add(struct query *q)
{
	q->next = q->t->queries;
	if (q->next)
		q->next->prev = q;
	q->t->queries = q;
}

static void
list_remove(struct query *q)
{
	if (q->prev)
		q->prev->next = q->next;
	else if (q->t->queries == q)
		q->t->queries = q->next;
	if (q->next)
		q->next->prev = q->prev;
	q->prev = q->next = NULL;
}

static status
compile(struct query *q, struct err *e)
{
	const struct query_spec *s = q->spec;

	if (s->source == QUERY_SEARCH)
		return err_set(e, ST_BAD_REQUEST, "SearchIndexesUnavailable",
		    "Search indexes are not available on this server: cannot query %.*s.%.*s",
		    STR_ARG(s->table), STR_ARG(s->index));
	TRY(find_table(q, e));
	TRY(find_index(q, e));
	if (!q->index)
		return ST_OK;
	return range_compile(q->t->arena, &q->t->key, s->table, q->index, s->range, s->nrange,
	    &q->range, e);
}

status
query_open(struct txn *t, const struct query_spec *spec, struct query **ret, struct err *e)
{
	struct query *q = ARENA_NEW(t->arena, struct query);

	must(spec->nops <= 256);
	q->t = t;
	q->spec = spec;
	q->desc = spec->desc;
	q->npm = t->npm;
	q->run = (struct expr_run){ t->arena, &t->deadline_ns, db_os(t->db), 0 };
	TRY(compile(q, e));
	if (spec->nops)
		q->left = ARENA_ARRAY(t->arena, uint64_t, spec->nops);
	for (size_t i = 0; i < spec->nops; i++)
		q->left[i] = spec->ops[i].filter ? UINT64_MAX : spec->ops[i].limit;
	q->done = !q->index || str_cmp(q->range.lo, q->range.hi) >= 0;
	list_add(q);
	*ret = q;
	return ST_OK;
}

/* The smallest limit, if every row counts toward it. */
static size_t
size_hint(const struct query *q)
{
	uint64_t hint = HINT_DEFAULT;

	for (size_t i = 0; i < q->spec->nops && !q->spec->ops[i].filter; i++)
		hint = q->left[i] < hint ? q->left[i] : hint;
	return (size_t)hint;
}

void
query_flush(struct query *q)
{
	struct buf *b = &q->t->key;

	if (!q->dirty)
		return;
	q->dirty = false;
	if (q->exhausted) {
		readlog_add(&q->t->reads, q->range.lo, q->range.hi);
	} else if (q->desc) {
		readlog_add(&q->t->reads, q->last, q->range.hi);
	} else {
		buf_reset(b);
		buf_add(b, q->last);
		buf_add_byte(b, 0);
		readlog_add(&q->t->reads, q->range.lo, buf_str(b));
	}
}

void
txn_flush_queries(struct txn *t)
{
	for (struct query *q = t->queries; q; q = q->next)
		query_flush(q);
}

/* Nothing more will be read: records, releases, checks the number of intervals. */
static status
finish(struct query *q, struct err *e)
{
	q->done = true;
	query_flush(q);
	if (q->started)
		tscan_close(&q->scan);
	q->started = false;
	return txn_check_intervals(q->t, e);
}

static bool
limit_reached(const struct query *q)
{
	for (size_t i = 0; i < q->spec->nops; i++)
		if (q->left[i] == 0)
			return true;
	return false;
}

static status
pull(struct query *q, struct doc **ret, struct err *e)
{
	if (!q->started) {
		tscan_open(&q->scan, q->t, q->table, q->index, q->range.lo, q->range.hi,
		    q->desc, size_hint(q));
		q->started = true;
	}
	TRY(tscan_next(&q->scan, &q->last, ret, e));
	q->dirty = true;
	if (!*ret) {
		q->exhausted = true;
		return ST_OK;
	}
	TRY(txn_charge_read(q->t, q->table->info, *ret, e));
	return q->virt ? virtual_doc(q->t, q->virt, q->npm, *ret, ret, e) : ST_OK;
}

static status
survives(struct query *q, const struct doc *d, bool *ret, struct err *e)
{
	*ret = true;
	for (size_t i = 0; i < q->spec->nops && *ret; i++) {
		struct val v;

		if (!q->spec->ops[i].filter) {
			q->left[i]--;
			continue;
		}
		TRY(expr_eval(q->spec->ops[i].filter, doc_val(d), &q->run, &v, e));
		TRY(expr_bool(v, q->t->arena, ret, e));
	}
	return ST_OK;
}

status
query_step(struct query *q, const struct query_observer *o, struct doc **ret, struct err *e)
{
	*ret = NULL;
	while (!q->done) {
		struct doc *d;
		bool        keep;

		TRY(expr_spend(&q->run, ROW_STEPS, e));
		if (limit_reached(q))
			return finish(q, e);
		if (o && !o->more(o->arg))
			return ST_OK;
		TRY(pull(q, &d, e));
		if (!d)
			return finish(q, e);
		if (o)
			o->pulled(o->arg, q->last, d);
		TRY(survives(q, d, &keep, e));
		if (!keep)
			continue;
		/* A limit that is used up ends the query now: the caller may never ask again. */
		if (limit_reached(q))
			TRY(finish(q, e));
		*ret = d;
		return ST_OK;
	}
	return ST_OK;
}

status
query_next(struct query *q, struct doc **ret, struct err *e)
{
	return query_step(q, NULL, ret, e);
}

void
query_close(struct query *q)
{
	query_flush(q);
	q->done = true;
	if (q->started)
		tscan_close(&q->scan);
	q->started = false;
	list_remove(q);
}

struct query *
query_newest(const struct txn *t)
{
	return t->queries;
}

void
query_close_since(struct txn *t, const struct query *newest)
{
	while (t->queries && t->queries != newest)
		query_close(t->queries);
}
