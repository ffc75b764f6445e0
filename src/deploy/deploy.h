/* deploy.h - the push pipeline (spec 02 sections 4 to 9, 16).
 *
 * Each call is one request of the CLI: a parsed body in, a JSON reply out.  They run on a
 * function worker as tasks (runner_task) with transactions of their own, and return the
 * timestamp that must be durable before the reply may leave (0: none) through *ret_ts.
 *
 * Between start_push and finish_push the server keeps the parsed push under a token that the
 * CLI echoes (spec 02 section 19 item 1); a lost token means RaceDetected.
 *
 * Thread: function workers; the push table has a lock.
 */
#ifndef DEPLOY_DEPLOY_H
#define DEPLOY_DEPLOY_H

#include "auth/auth.h"
#include "functions/worker.h"

struct deploy;
struct node_executor;

struct deploy_opts {
	struct db      *db;
	struct auth    *auth;
	const struct os *os;
	str             cloud_url, site_url; /* copied */
	struct node_executor *node; /* borrowed; NULL: "use node" modules are refused */
};

struct deploy *deploy_new(const struct deploy_opts *opts);
void           deploy_free(struct deploy *d);

struct deploy_request {
	struct deploy     *deploy;
	const struct json *body;      /* NULL for GET */
	struct identity   *identity;  /* from the header; anonymous if there was none */
	struct arena      *arena;
};

/* Checks the body's adminKey when there is one, else the header's identity. */
typedef status (*deploy_fn)(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e);

status deploy_get_config_hashes(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);
status deploy_start_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e);
status deploy_evaluate_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e);
/* The state now, without waiting.  Whoever calls it holds the long poll: asks again while the reply
 * is "inProgress" and timeoutMs (deploy_wait_ms) has not passed. */
status deploy_wait_for_schema(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);
uint64_t deploy_wait_ms(const struct json *body);
status deploy_finish_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e);
status deploy_report_push_completed(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);

/* One-off queries (spec 04 section 12). */
status deploy_run_test_function(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);

/* Scheduled functions (spec 05 section 2.4). */
status deploy_cancel_job(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e);
status deploy_cancel_all_jobs(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);
status deploy_delete_scheduled_functions_table(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);

/* Environment variables and URLs (spec 02 section 16). */
status deploy_update_environment_variables(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);
status deploy_list_environment_variables(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);
status deploy_get_canonical_urls(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e);

#endif
