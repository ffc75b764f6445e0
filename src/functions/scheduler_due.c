/* scheduler_due.c - the question that the scheduler watches: which jobs come next?
 *
 * A native query: up to `limit` unfinished jobs by time, and as many runs of crons, or none while
 * the deployment is paused.  Its read set ends at the last job it lists, so that what is
 * scheduled for later does not run it again.
 *
 * Thread: a worker.  Memory: the call's arena.
 */
#include <stdio.h>

#include "database/query.h"
#include "functions/functions_int.h"
#include "functions/scheduled_int.h"

static void
pack_text(struct pack *p, const char *key, str text)
{
	pack_key(p, str_z(key));
	pack_str(p, text);
}

/* {id, path, component, next, cron}: nanoseconds as text, which no client of JSON rounds. */
static void
pack_due(struct pack *p, struct docid docid, str path, str component, int64_t next_ns, bool cron)
{
	char id[ID_TEXT_MAX], ns[32];
	int  n = snprintf(ns, sizeof ns, "%lld", (long long)next_ns);

	pack_object(p);
	pack_text(p, "id", str_of(id, id_format(docid, id)));
	pack_text(p, "path", path);
	pack_text(p, "component", component);
	pack_text(p, "next", str_of(ns, (size_t)n));
	pack_key(p, S("cron"));
	pack_bool(p, cron);
	pack_end(p);
}

static void
pack_job(struct pack *p, struct doc *d)
{
	struct val v = doc_val(d), next = val_get(v, S("nextTs"));

	pack_due(p, d->id, val_str(val_get(v, S("udfPath"))), val_str(val_get(v, S("component"))),
	    val_kind(next) == VAL_INT64 ? val_int64(next) : 0, false);
}

static void
pack_cron(void *arg, const struct cron_row *row)
{
	pack_due(arg, row->id, row->path, STR_EMPTY, row->next_ns, true);
}

static status
list_jobs(struct txn *t, size_t limit, struct pack *p, struct err *e)
{
	const struct range_expr after_null = { RANGE_GT, S("nextTs"), val_null };
	const struct query_spec spec = { .source = QUERY_INDEX_RANGE,
		.table = S("_scheduled_jobs"), .index = S("by_next_ts"), .nrange = 1,
		.range = &after_null };
	struct query           *q;
	struct doc             *d;

	TRY(query_open(t, &spec, &q, e));
	for (size_t i = 0; i < limit; i++) {
		TRY(query_next(q, &d, e));
		if (!d)
			break;
		pack_job(p, d);
	}
	query_close(q);
	return ST_OK;
}

status
scheduled_due(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val  limit = val_get(c->args, S("limit"));
	struct pack p;
	status      st = ST_OK;

	pack_init(&p);
	p.trusted = true;
	pack_array(&p);
	if (backend_running(c->txn, NULL) == ST_OK) {
		st = list_jobs(c->txn, (size_t)val_float64(limit), &p, e);
		if (st == ST_OK)
			st = cron_each_due(
			    c->txn, (size_t)val_float64(limit), pack_cron, &p, e);
	}
	pack_end(&p);
	if (st == ST_OK)
		st = pack_done_in(&p, c->arena, ret, e);
	pack_clear(&p);
	return st;
}
