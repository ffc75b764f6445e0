/* scheduled_int.h - what the files about scheduled functions and crons share inside this folder.
 *
 * scheduled.c, crons.c: rows.  scheduled_run.c, cron_run.c: a worker runs one.  scheduler.c,
 * scheduler_due.c: the core's side.
 */
#ifndef FUNCTIONS_SCHEDULED_INT_H
#define FUNCTIONS_SCHEDULED_INT_H

#include "functions/crons.h"
#include "functions/functions_int.h"
#include "functions/scheduled.h"

#define SCHEDULER_DUE_PATH "_system/scheduler.js:due"

/* --- scheduled_run.c: on a worker --- */

/* ctx.scheduler.runAfter and runAt of whoever runs `by` at now_ns; `path` is canonical (spec 05
 * section 2.2).  BAD_REQUEST InvalidScheduledFunctionDelay, InvalidScheduledFunction. */
status schedule_function(struct fn_worker *w, struct txn *t, const struct fn_call *by, str path,
    struct val args, double at_s, uint64_t now_ns, str *ret_id, struct err *e);

/* The job that a call of JOB_STEP_TAKE is to run.  *ret_take false: there is nothing to do (it was
 * canceled, or an older server died in the middle of it: then it is marked as failed). */
status scheduled_take(struct fn_worker *w, struct txn *t, const struct fn_call *c,
    struct scheduled_row *ret, bool *ret_take, struct err *e);
/* The function failed, and its transaction with it: notes that in one of its own.  A failure of
 * the server becomes the result's. */
void scheduled_fail(struct fn_worker *w, const struct fn_call *c, struct fn_result *r);
/* The outcome of an action.  False: not now, try again; *ret_ts: what must become durable. */
bool scheduled_note(struct fn_worker *w, str id, const struct fn_result *outcome, ts_t *ret_ts);
/* Deletes old jobs; how many. */
size_t scheduled_sweep(struct fn_worker *w, uint64_t before_ns, size_t max, ts_t *ret_ts);

/* --- cron_run.c: the same for crons --- */

status cron_take(struct fn_worker *w, struct txn *t, const struct fn_call *c, struct cron_row *ret,
    bool *ret_take, struct err *e);
void cron_fail(struct fn_worker *w, const struct fn_call *c, struct fn_result *r);
bool cron_note(struct fn_worker *w, str id, const struct fn_result *outcome, ts_t *ret_ts);

/* --- scheduler_due.c --- */

status scheduled_due(const struct native_call *c, struct val *ret, struct err *e);

#endif
