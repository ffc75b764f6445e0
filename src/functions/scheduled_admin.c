/* scheduled_admin.c - what administrators do to many jobs at once (spec 05 section 2.4).
 *
 * Backwards: the jobs that run, whose rows change meanwhile, are the first ones.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#include "database/query.h"
#include "functions/scheduled.h"
#include "value/pack.h"

static struct val
int_val(struct arena *a, int64_t n)
{
	struct pack p;
	struct val  v = val_null;

	pack_init(&p);
	pack_int64(&p, n);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

static status
open_jobs(struct txn *t, const struct scheduled_filter *f, struct query **ret, struct err *e)
{
	struct arena      *a = txn_arena(t);
	struct range_expr *range = ARENA_ARRAY(a, struct range_expr, 3);
	struct query_spec *spec = ARENA_NEW(a, struct query_spec);
	size_t             n = 0;

	if (f->path.n)
		range[n++] = (struct range_expr){ RANGE_EQ, S("udfPath"),
			val_of_str(a, f->path) };
	range[n++] = (struct range_expr){ RANGE_GT, S("nextTs"), val_null };
	if (f->from_ns > INT64_MIN)
		range[n - 1] = (struct range_expr){ RANGE_GTE, S("nextTs"),
			int_val(a, f->from_ns) };
	if (f->to_ns < INT64_MAX)
		range[n++] = (struct range_expr){ RANGE_LT, S("nextTs"), int_val(a, f->to_ns) };
	*spec = (struct query_spec){ .source = QUERY_INDEX_RANGE, .table = S("_scheduled_jobs"),
		.index = f->path.n ? S("by_udf_path_and_next_event_ts") : S("by_next_ts"),
		.desc = true, .nrange = n, .range = range };
	return query_open(t, spec, ret, e);
}

static bool
is_in(const struct scheduled_filter *f, struct doc *d)
{
	struct val component = val_get(doc_val(d), S("component"));

	return !f->path.n || (val_kind(component) == VAL_STRING &&
	                         str_eq(val_str(component), f->component));
}

status
scheduled_cancel_all(struct txn *t, const struct scheduled_filter *f, uint64_t now_ns, size_t max,
    size_t *ret_n, struct err *e)
{
	struct query *q;
	struct doc   *d;
	size_t        n = 0;

	TRY(open_jobs(t, f, &q, e));
	while (n < max) {
		char id[ID_TEXT_MAX];

		TRY(query_next(q, &d, e));
		if (!d)
			break;
		if (!is_in(f, d))
			continue;
		TRY(scheduled_cancel(t, str_of(id, id_format(d->id, id)), now_ns, e));
		n++;
	}
	query_close(q);
	*ret_n = n;
	return ST_OK;
}

/* Deletes up to `max` rows of a table. */
static status
clear_table(struct txn *t, str table, size_t max, size_t *ret_n, struct err *e)
{
	const struct query_spec spec = { .source = QUERY_FULL_SCAN, .table = table,
		.desc = true };
	struct query           *q;
	struct doc             *d;
	size_t                  n = 0;

	TRY(query_open(t, &spec, &q, e));
	for (; n < max; n++) {
		TRY(query_next(q, &d, e));
		if (!d)
			break;
		TRY(txn_sys_delete(t, d->id, e));
	}
	query_close(q);
	*ret_n = n;
	return ST_OK;
}

status
scheduled_clear(struct txn *t, size_t max, size_t *ret_n, struct err *e)
{
	size_t jobs, args;

	TRY(clear_table(t, S("_scheduled_jobs"), max, &jobs, e));
	TRY(clear_table(t, S("_scheduled_job_args"), max - jobs, &args, e));
	*ret_n = jobs + args;
	return ST_OK;
}
