/* scheduled_run.c - what a worker does to a job's row beside the function's own transaction.
 *
 * Thread: the worker's.  Memory: the transactions'.
 */
#include "base/log.h"
#include "functions/scheduled_int.h"

#define TRIES 8 /* against conflicts with cancellations */

static struct txn *
begin(struct fn_worker *w)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w->f->db), .writable = true,
	    .system = true, .writer = S("_system/scheduler.js:note") });
}

/* The function must be there now; what kind it is shows when it runs. */
static status
check_target(struct fn_worker *w, struct txn *t, const struct fn_call *by, str path, struct err *e)
{
	const struct module_info *m;
	size_t                    colon;
	str                       module, function;

	must(str_rfind_char(path, ':', &colon));
	module = str_head(path, colon);
	function = str_from(path, colon + 1);
	if (map_get(w->f->natives, path) &&
	    (!str_starts(path, S("_system/")) || identity_is_admin(by->identity)))
		return ST_OK;
	TRY(module_find(w, t, module, &m, e));
	if (!m)
		return err_set(e, ST_BAD_REQUEST, "InvalidScheduledFunction",
		    "Attempted to schedule function at nonexistent path: %.*s", STR_ARG(module));
	if (!module_function(m, function))
		return err_set(e, ST_BAD_REQUEST, "InvalidScheduledFunction",
		    "Attempted to schedule function, but no exported function %.*s found in the "
		    "file: %.*s. Did you forget to export it?",
		    STR_ARG(function), STR_ARG(module));
	return ST_OK;
}

status
schedule_function(struct fn_worker *w, struct txn *t, const struct fn_call *by, str path,
    struct val args, double at_s, uint64_t now_ns, str *ret_id, struct err *e)
{
	const struct scheduled_new j = { .path = path, .component = STR_EMPTY, .args = args,
		.at_s = at_s, .now_ns = now_ns, .parent = by->job_id };
	char                       id[ID_TEXT_MAX];

	TRY(scheduled_check_time(at_s, now_ns, e));
	TRY(check_target(w, t, by, path, e));
	TRY(scheduled_add(t, &j, id, e));
	*ret_id = arena_str(txn_arena(t), str_z(id));
	return ST_OK;
}

/* Runs `change` on the job in transactions of its own until one commits. */
static status
change_row(struct fn_worker *w, str id,
    status (*change)(struct txn *t, const struct scheduled_row *j, void *arg, struct err *e),
    void *arg, ts_t *ret_ts, struct err *e)
{
	status st = ST_OCC;

	for (int i = 0; i < TRIES && st == ST_OCC; i++) {
		struct txn          *t = begin(w);
		struct conflict      conflict;
		struct scheduled_row j;
		bool                 found = false;

		st = scheduled_find(t, id, &found, &j, e);
		if (st == ST_OK && found)
			st = change(t, &j, arg, e);
		if (st == ST_OK && txn_has_writes(t))
			st = txn_commit(t, ret_ts, &conflict, e);
		txn_free(t);
	}
	return st;
}

/* How a job ended. */
struct ending {
	enum scheduled_state from, to; /* a job in another state stays what it is */
	str                  why;
	uint64_t             now_ns;
};

static status
end_row(struct txn *t, const struct scheduled_row *j, void *arg, struct err *e)
{
	const struct ending *x = arg;

	return j->state == x->from ? scheduled_finish(t, j, x->to, x->why, x->now_ns, e) : ST_OK;
}

status
scheduled_take(struct fn_worker *w, struct txn *t, const struct fn_call *c,
    struct scheduled_row *ret, bool *ret_take, struct err *e)
{
	bool found = false;

	TRY(scheduled_find(t, c->job_id, &found, ret, e));
	*ret_take = found && ret->state == SCHEDULED_PENDING;
	if (found && ret->state == SCHEDULED_IN_PROGRESS)
		return scheduled_finish(t, ret, SCHEDULED_FAILED,
		    S("Transient error while executing action"), os_now_ns(db_os(w->f->db)), e);
	return ST_OK;
}

void
scheduled_fail(struct fn_worker *w, const struct fn_call *c, struct fn_result *r)
{
	struct err    e = err_in(r->arena);
	struct ending x = { SCHEDULED_PENDING, SCHEDULED_FAILED, r->plain_error,
		os_now_ns(db_os(w->f->db)) };
	status        st = change_row(w, c->job_id, end_row, &x, &r->ts, &e);

	if (st == ST_OK)
		return;
	r->st = st;
	r->code = e.code;
	r->text = e.text;
}

bool
scheduled_note(struct fn_worker *w, str id, const struct fn_result *outcome, ts_t *ret_ts)
{
	struct err    e = err_in(NULL);
	bool          ok = outcome->st == ST_OK && outcome->ok;
	struct ending x = { SCHEDULED_IN_PROGRESS, ok ? SCHEDULED_SUCCESS : SCHEDULED_FAILED,
		outcome->st == ST_OK ? outcome->plain_error : outcome->text,
		os_now_ns(db_os(w->f->db)) };
	status        st = change_row(w, id, end_row, &x, ret_ts, &e);

	if (st != ST_OK)
		log_warn("the outcome of scheduled function %.*s is not written yet: %.*s",
		    STR_ARG(id), STR_ARG(e.text));
	return st == ST_OK;
}

size_t
scheduled_sweep(struct fn_worker *w, uint64_t before_ns, size_t max, ts_t *ret_ts)
{
	struct txn     *t = begin(w);
	struct err      e = err_in(NULL);
	struct conflict conflict;
	size_t          n = 0;
	status          st = scheduled_expire(t, before_ns, max, &n, &e);

	if (st == ST_OK && n > 0)
		st = txn_commit(t, ret_ts, &conflict, &e);
	txn_free(t);
	if (st != ST_OK)
		log_warn("old scheduled functions were not deleted: %.*s", STR_ARG(e.text));
	return st == ST_OK ? n : 0;
}
