/* scheduled.h - scheduled functions as rows of _scheduled_jobs (spec 05 section 2).
 *
 * A job is pending until its time, then a mutation's run and its success are one commit, and an
 * action's run lies between two: "in progress" before, its outcome after.  Rows are only changed
 * here; scheduler.c decides when.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef FUNCTIONS_SCHEDULED_H
#define FUNCTIONS_SCHEDULED_H

#include "database/txn.h"

enum scheduled_state {
	SCHEDULED_PENDING,
	SCHEDULED_IN_PROGRESS,
	SCHEDULED_SUCCESS,
	SCHEDULED_FAILED,
	SCHEDULED_CANCELED
};

struct scheduled_row {
	struct docid id;
	enum scheduled_state state;
	str component, path; /* of the callee */
	str args_json;       /* an array of one object */
	int64_t next_ns;     /* 0: finished */
	int64_t system_errors;
	struct val doc;
};

/* *ret_found false: there is no such job.  BAD_REQUEST InvalidArgument for other ids. */
NODISCARD status scheduled_find(
    struct txn *t, str id, bool *ret_found, struct scheduled_row *ret, struct err *e);

struct scheduled_new {
	str path; /* canonical */
	str component;
	struct val args; /* one object */
	double at_s;     /* unix seconds */
	uint64_t now_ns; /* of the transaction */
	str parent;      /* the job under which the caller runs; n == 0: none */
};
/* BAD_REQUEST InvalidScheduledFunctionDelay. */
NODISCARD status scheduled_check_time(double at_s, uint64_t now_ns, struct err *e);
/* Rows for a new job, whose time and function were checked. */
NODISCARD status scheduled_add(
    struct txn *t, const struct scheduled_new *j, char ret_id[ID_TEXT_MAX], struct err *e);

/* Pending and running jobs become canceled; others stay what they are. */
NODISCARD status scheduled_cancel(struct txn *t, str id, uint64_t now_ns, struct err *e);

/* --- administrators (scheduled_admin.c); up to `max` rows, *ret_n < max: there are no more --- */

struct scheduled_filter {
	str     path;      /* canonical; n == 0: any */
	str     component; /* of the callee, with a path */
	int64_t from_ns, to_ns; /* [from, to); INT64_MIN, INT64_MAX: open */
};
NODISCARD status scheduled_cancel_all(struct txn *t, const struct scheduled_filter *f,
    uint64_t now_ns, size_t max, size_t *ret_n, struct err *e);
/* Deletes jobs and arguments, whatever their state. */
NODISCARD status scheduled_clear(struct txn *t, size_t max, size_t *ret_n, struct err *e);

/* --- the scheduler's --- */

NODISCARD status scheduled_begin(
    struct txn *t, const struct scheduled_row *j, str request_id, str execution_id, struct err *e);
/* SUCCESS, or FAILED with why. */
NODISCARD status scheduled_finish(struct txn *t, const struct scheduled_row *j,
    enum scheduled_state state, str why, uint64_t now_ns, struct err *e);
/* The server failed it: again at `next_ns`. */
NODISCARD status scheduled_postpone(
    struct txn *t, const struct scheduled_row *j, uint64_t next_ns, struct err *e);
/* Deletes up to `max` jobs that ended before `before_ns`, with their arguments. */
NODISCARD status scheduled_expire(
    struct txn *t, uint64_t before_ns, size_t max, size_t *ret_n, struct err *e);

#endif
