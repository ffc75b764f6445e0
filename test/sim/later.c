/* later.c - transfers that a mutation schedules (spec 05 section 2).
 *
 * `later` commits a row for the future; the scheduler finds it, and the transfer that it stands for
 * is one more commit of the model, under the name of its op and a '+': the checker refuses a
 * second one.  At the end there is an outcome for each row.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#include <stdio.h>

#include "bank.h"
#include "functions/scheduled.h"

static struct val
due_args(const struct native_call *c, const char *op)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("op"));
	pack_str(&p, str_z(op));
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "from", "to", "amount" };

		pack_key(&p, str_z(names[i]));
		pack_val(&p, val_get(c->args, str_z(names[i])));
	}
	pack_end(&p);
	must(pack_done_in(&p, c->arena, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

status
later_schedule(const struct native_call *c, struct val *ret, struct err *e)
{
	struct scheduled_new j = { .path = S("bank.js:due"), .component = STR_EMPTY };
	char                 op[40], id[ID_TEXT_MAX];
	struct run           r;

	run_begin(&r, c);
	snprintf(op, sizeof op, "%s+", r.a->op);
	j.args = due_args(c, op);
	j.now_ns = os_now_ns(&r.s->world.os);
	j.at_s = (double)(j.now_ns + draw(r.s, 200) * MS) / 1e9;
	TRY(scheduled_add(c->txn, &j, id, e));
	if (draw(r.s, 8) == 0) /* second thoughts */
		TRY(scheduled_cancel(c->txn, str_z(id), j.now_ns, e));
	sim_pause(r.s, MS / 5);
	return run_end(&r, 0, ret, e);
}

bool
later_is_due(const char *op)
{
	return str_ends(str_z(op), S("+"));
}

/* How the jobs stand. */
struct jobs {
	size_t n[SCHEDULED_CANCELED + 1];
};

static bool
count_job(void *arg, struct doc *d)
{
	static const char *const names[] = { "pending", "inProgress", "success", "failed",
		"canceled" };
	struct jobs *j = arg;
	struct val   type = val_get(val_get(doc_val(d), S("state")), S("type"));

	for (size_t i = 0; i < COUNT_OF(names); i++)
		j->n[i] += str_eq(val_str(type), str_z(names[i]));
	return true;
}

static struct jobs
count_jobs(struct sim *s)
{
	struct txn *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(s->server.db) });
	struct jobs j = { { 0 } };

	must(txn_sys_each(t, S("_scheduled_jobs"), S("by_creation_time"), NULL, 0, count_job, &j,
	         NULL) == ST_OK);
	txn_free(t);
	return j;
}

bool
later_quiet(struct sim *s)
{
	struct jobs j;

	if (!s->server.up || s->world.steps % 256 != 0)
		return false;
	s->calm++;
	j = count_jobs(s);
	s->calm--;
	return j.n[SCHEDULED_PENDING] == 0;
}

void
later_check_end(struct sim *s)
{
	struct jobs j = count_jobs(s);
	size_t      happened = 0;

	for (size_t i = 0; i < s->checker.history.n; i++)
		happened += later_is_due(s->checker.history.v[i].op);
	if (happened != j.n[SCHEDULED_SUCCESS])
		sim_fail(s, "%zu scheduled transfers happened, %zu say so", happened,
		    j.n[SCHEDULED_SUCCESS]);
	if (j.n[SCHEDULED_PENDING] + j.n[SCHEDULED_IN_PROGRESS] > 0)
		sim_fail(s, "scheduled transfers never ran");
	trace(s, "scheduled: %zu done, %zu failed, %zu canceled", j.n[SCHEDULED_SUCCESS],
	    j.n[SCHEDULED_FAILED], j.n[SCHEDULED_CANCELED]);
}
