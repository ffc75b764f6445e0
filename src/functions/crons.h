/* crons.h - cron jobs as rows of _cron_jobs, _cron_next_run and _cron_job_logs (spec 05 section 3).
 *
 * A cron has one next run, which moves on when a run is over: runs of a cron never overlap, and
 * what was missed meanwhile is skipped.  A mutation's run, its log and the next time are one
 * commit; an action's run lies between two.  Rows are only changed here; scheduler.c decides when.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef FUNCTIONS_CRONS_H
#define FUNCTIONS_CRONS_H

#include "base/json.h"
#include "database/txn.h"
#include "isolate/logline.h"

/* A row of _cron_next_run, with its cron. */
struct cron_row {
	struct docid id;
	struct val   doc;
	bool         in_progress;
	int64_t      next_ns;
	str          name, path;
	str          args_json; /* an array of one object */
	struct val   schedule;
};

/* `id`: of the next run.  *ret_found false: the cron was removed. */
NODISCARD status cron_find(struct txn *t, str id, bool *ret_found, struct cron_row *ret,
    struct err *e);
/* Up to `limit` next runs in the order of their times. */
NODISCARD status cron_each_due(struct txn *t, size_t limit,
    void (*fn)(void *arg, const struct cron_row *row), void *arg, struct err *e);

/* An action is about to run. */
NODISCARD status cron_begin(struct txn *t, const struct cron_row *row, str request_id,
    str execution_id, struct err *e);

struct cron_report {
	bool                   ok;
	str                    value_json; /* ok */
	str                    error;      /* !ok */
	const struct loglines *logs;       /* NULL: none */
	uint64_t               run_ns;
};
/* Writes the log and the time of the next run. */
NODISCARD status cron_finish(struct txn *t, const struct cron_row *row, const struct cron_report *r,
    uint64_t now_ns, struct err *e);

/* --- a push --- */

struct cron_diff {
	VEC(str) added, updated, deleted; /* names */
};
/* `specs`: cronSpecs of spec 02 section 5.2; NULL: there are none any more. */
NODISCARD status crons_replace(struct txn *t, const struct json *specs, uint64_t now_ns,
    struct cron_diff *ret, struct err *e);
void cron_diff_clear(struct cron_diff *d);

#endif
