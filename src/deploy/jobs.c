/* jobs.c - the dashboard's requests about scheduled functions (spec 05 section 2.4).
 *
 * Large tables take several transactions: each is a step that stays done if a later one fails.
 *
 * Thread: function workers.  Memory: the request's arena.
 */
#include "base/json.h"
#include "deploy/deploy_int.h"
#include "functions/call.h"
#include "functions/scheduled.h"

#define STEP  1000 /* rows of a transaction; fewer where many are changed meanwhile */
#define TRIES 5

struct steps {
	const struct deploy_request *q;
	struct scheduled_filter      filter;
	str                          id;
	size_t                       max, done; /* rows, of a step */
};

/* Whose tables: only the root has any so far. */
static status
check_component(const struct json *body, struct err *e)
{
	const struct json *id = json_get(body, "componentId");

	if (json_is_null(id) || (id->kind == JSON_STRING && id->string.n == 0))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidComponentId", "There is no such component");
}

static status
admit(const struct deploy_request *q, struct err *e)
{
	TRY(deploy_authorize(q, "WriteData", e));
	return check_component(q->body, e);
}

static uint64_t
now_ns(const struct steps *s)
{
	return os_now_ns(s->q->deploy->os);
}

/* --- one --- */

static status
cancel_one(struct txn *t, void *arg, struct err *e)
{
	struct steps *s = arg;

	return scheduled_cancel(t, s->id, now_ns(s), e);
}

status
deploy_cancel_job(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct steps s = { .q = q };

	(void)w, (void)reply;
	TRY(admit(q, e));
	if (!json_get_str(q->body, "id", &s.id))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the target type: missing field `id`");
	return deploy_transact(
	    q->deploy, "_system/scheduler.js:cancel", TRIES, cancel_one, &s, ret_ts, e);
}

/* --- many --- */

/* Nanoseconds, as a number or as text; exact. */
static bool
read_ns(const struct json *body, const char *name, int64_t *ret)
{
	const struct json *j = json_get(body, name);

	if (json_is_null(j))
		return true;
	if (j->kind == JSON_STRING)
		return str_to_i64(j->string, ret);
	return j->kind == JSON_NUMBER && j->integral && str_to_i64(j->source, ret);
}

static status
read_filter(const struct deploy_request *q, struct scheduled_filter *ret, struct err *e)
{
	str path = STR_EMPTY;

	*ret = (struct scheduled_filter){ .from_ns = INT64_MIN, .to_ns = INT64_MAX };
	if (!read_ns(q->body, "startNextTs", &ret->from_ns))
		return err_set(e, ST_BAD_REQUEST, "InvalidStartNextTs", "Invalid startNextTs");
	if (!read_ns(q->body, "endNextTs", &ret->to_ns))
		return err_set(e, ST_BAD_REQUEST, "InvalidEndNextTs", "Invalid endNextTs");
	if (!json_get_str(q->body, "udfPath", &path))
		return ST_OK;
	if (fn_path_parse(q->arena, path, &ret->path, NULL) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvaildUdfPath", "Invalid UDF path: %.*s",
		    STR_ARG(path)); /* misspelt in the protocol */
	(void)json_get_str(q->body, "componentPath", &ret->component);
	return ST_OK;
}

static status
cancel_many(struct txn *t, void *arg, struct err *e)
{
	struct steps *s = arg;

	return scheduled_cancel_all(t, &s->filter, now_ns(s), s->max, &s->done, e);
}

static status
clear_many(struct txn *t, void *arg, struct err *e)
{
	struct steps *s = arg;

	return scheduled_clear(t, s->max, &s->done, e);
}

static status
in_steps(struct steps *s, const char *writer, deploy_body fn, ts_t *ret_ts, struct err *e)
{
	status st;

	s->max = STEP;
	do {
		st = deploy_transact(s->q->deploy, writer, TRIES, fn, s, ret_ts, e);
		if (st == ST_OCC && s->max > 1) {
			s->max /= 10;
			s->done = s->max;
			st = ST_OK;
		}
	} while (st == ST_OK && s->done == s->max);
	return st;
}

status
deploy_cancel_all_jobs(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct steps s = { .q = q };

	(void)w, (void)reply;
	TRY(admit(q, e));
	TRY(read_filter(q, &s.filter, e));
	return in_steps(&s, "_system/scheduler.js:cancelAll", cancel_many, ret_ts, e);
}

status
deploy_delete_scheduled_functions_table(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e)
{
	struct steps s = { .q = q };

	(void)w, (void)reply;
	TRY(admit(q, e));
	return in_steps(&s, "_system/scheduler.js:clear", clear_many, ret_ts, e);
}
