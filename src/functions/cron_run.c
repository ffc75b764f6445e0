/* cron_run.c - what a worker does to a cron's rows beside the function's own transaction.
 *
 * Thread: the worker's.  Memory: the transactions'.
 */
#include "base/log.h"
#include "functions/scheduled_int.h"

#define TRIES 8 /* against conflicts with pushes */

static uint64_t
now_ns(const struct fn_worker *w)
{
	return os_now_ns(db_os(w->f->db));
}

status
cron_take(struct fn_worker *w, struct txn *t, const struct fn_call *c, struct cron_row *ret,
    bool *ret_take, struct err *e)
{
	const struct cron_report lost = { .error = S("Transient error while executing action") };
	bool                     found;

	TRY(cron_find(t, c->cron_id, &found, ret, e));
	*ret_take = found && !ret->in_progress && ret->next_ns <= (int64_t)now_ns(w) &&
	    str_eq(ret->path, c->path);
	if (found && ret->in_progress)
		return cron_finish(t, ret, &lost, now_ns(w), e);
	return ST_OK;
}

/* Writes how a run ended, unless the cron is gone or its run is another by now. */
static status
end_run(struct fn_worker *w, str id, bool in_progress, const struct cron_report *r, ts_t *ret_ts,
    struct err *e)
{
	status st = ST_OCC;

	for (int i = 0; i < TRIES && st == ST_OCC; i++) {
		struct txn     *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w->f->db),
		        .writable = true, .system = true, .writer = S("_system/crons.js:note") });
		struct conflict conflict;
		struct cron_row row;
		bool            found = false;

		st = cron_find(t, id, &found, &row, e);
		if (st == ST_OK && found && row.in_progress == in_progress)
			st = cron_finish(t, &row, r, now_ns(w), e);
		if (st == ST_OK && txn_has_writes(t))
			st = txn_commit(t, ret_ts, &conflict, e);
		txn_free(t);
	}
	return st;
}

void
cron_fail(struct fn_worker *w, const struct fn_call *c, struct fn_result *r)
{
	const struct cron_report report = { .error = r->plain_error, .logs = &r->logs,
		.run_ns = r->run_ns };
	struct err               e = err_in(r->arena);
	status                   st = end_run(w, c->cron_id, false, &report, &r->ts, &e);

	if (st == ST_OK)
		return;
	r->st = st;
	r->code = e.code;
	r->text = e.text;
}

bool
cron_note(struct fn_worker *w, str id, const struct fn_result *outcome, ts_t *ret_ts)
{
	const struct cron_report report = { .ok = outcome->st == ST_OK && outcome->ok,
		.value_json = outcome->value_json,
		.error = outcome->st == ST_OK ? outcome->plain_error : outcome->text,
		.logs = &outcome->logs,
		.run_ns = outcome->run_ns };
	struct err               e = err_in(NULL);
	status                   st = end_run(w, id, true, &report, ret_ts, &e);

	if (st != ST_OK)
		log_warn("the outcome of cron %.*s is not written yet: %.*s", STR_ARG(id),
		    STR_ARG(e.text));
	return st == ST_OK;
}
