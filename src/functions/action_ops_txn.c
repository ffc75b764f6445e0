/* action_ops_txn.c - operations of actions that need a transaction: scheduling, stored files.
 *
 * The action has none: a worker does the work in one of its own, and the answer comes when that
 * is durable (spec 05 sections 1.2 and 2.2).
 *
 * Thread: the action's, the loop thread, a worker, the loop thread again.
 * Memory: struct action_task, until the answer.
 */
#include "base/json.h"
#include "functions/action_int.h"
#include "functions/handle.h"
#include "functions/scheduled_int.h"

#define TRIES 8 /* against conflicts */

/* --- on the way --- */

static ts_t
run_task(struct fn_worker *w, void *arg)
{
	struct action_task *t = arg;
	struct err          e = err_in(t->op->arena);
	ts_t                ts = 0;

	t->op->st = t->work(w, t, &ts, &e);
	if (t->op->st == ST_OK)
		return ts;
	t->op->err = e;
	t->op->err.text = arena_str(t->op->arena, e.text);
	return 0;
}

static void
task_done(void *arg)
{
	struct action_task *t = arg;

	action_complete(t->a, t->op);
	mem_free(t);
}

static void
submit(struct gate_post *p)
{
	struct action_task *t = LINK_OWNER(p, struct action_task, post);

	runner_task(t->a->f->services.runner, run_task, task_done, t);
}

void
action_task_start(struct action_task *t)
{
	t->post.run = submit;
	t->a->f->services.gate.post(t->a->f->services.gate.arg, &t->post);
}

struct txn *
action_txn(struct fn_worker *w, bool writable, str writer)
{
	return txn_begin(&(struct txn_opts){
	    .snapshot = db_snapshot(w->f->db), .writable = writable, .writer = writer });
}

static struct action_task *
task_new(struct action_state *a, struct async_op *op, const struct json *args,
    status (*work)(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e))
{
	struct action_task *t = MEM_NEW(struct action_task);

	t->a = a;
	t->op = op;
	t->args = args;
	t->work = work;
	return t;
}

/* --- addresses --- */

status
action_address(struct txn *t, const struct json *args, struct arena *a, str *ret_path,
    struct err *e)
{
	const str function = S("_reference/function/");
	str       text;

	if (json_get_str(args, "functionHandle", &text) && text.n)
		return handle_resolve(t, text, a, ret_path, e);
	if (json_get_str(args, "reference", &text) && text.n) {
		if (str_starts(text, function) &&
		    fn_path_parse(a, str_from(text, function.n), ret_path, NULL) == ST_OK)
			return ST_OK;
		return err_set(e, ST_BAD_REQUEST, "InvalidReference", "Couldn't resolve %.*s",
		    STR_ARG(text));
	}
	if (json_get_str(args, "name", &text) && text.n)
		return fn_path_parse(a, text, ret_path, e);
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument", "Missing required argument 'name'");
}

status
action_address_now(struct action_state *a, const struct json *args, struct arena *arena,
    str *ret_path, str *ret_handle, struct err *e)
{
	struct txn *t = txn_begin(&(struct txn_opts){
	    .snapshot = db_snapshot(a->f->db), .writer = a->call->path });
	status      st = action_address(t, args, arena, ret_path, e);

	if (st == ST_OK && ret_handle)
		st = handle_create(t, *ret_path, arena, ret_handle, e);
	txn_free(t);
	return st;
}

/* --- scheduling --- */

static status
pack_args(const struct action_task *t, struct val *ret, struct err *e)
{
	const struct json *args = json_get(t->args, "args");
	struct pack        p;
	status             st;

	if (!args || args->kind != JSON_OBJECT)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `args` for `scheduler`: Value must be an Object");
	pack_init(&p);
	st = vjson_read(&p, args, VJSON_PLAIN, e);
	if (st == ST_OK)
		st = pack_done_in(&p, t->op->arena, ret, e);
	pack_clear(&p);
	return st;
}

/* Runs `body` in transactions until one commits. */
static status
transact(struct fn_worker *w, struct action_task *t, str writer,
    status (*body)(struct fn_worker *w, struct action_task *t, struct txn *txn, struct err *e),
    ts_t *ret_ts, struct err *e)
{
	struct conflict conflict;
	status          st = ST_OCC;

	for (int i = 0; i < TRIES && st == ST_OCC; i++) {
		struct txn *txn = action_txn(w, true, writer);

		st = body(w, t, txn, e);
		if (st == ST_OK && txn_has_writes(txn))
			st = txn_commit(txn, ret_ts, &conflict, e);
		txn_free(txn);
	}
	return st;
}

static status
schedule_in(struct fn_worker *w, struct action_task *t, struct txn *txn, struct err *e)
{
	double     at;
	struct val args;
	struct buf b;
	str        path, id;

	TRY(action_address(txn, t->args, t->op->arena, &path, e));
	if (!json_get_num(t->args, "ts", &at))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid argument `ts` for `scheduler`: expected a timestamp in seconds");
	TRY(pack_args(t, &args, e));
	TRY(schedule_function(w, txn, t->a->call, path, args, at, os_now_ns(t->a->os), &id, e));
	buf_init(&b, 256);
	json_write_str(&b, id);
	t->op->ret_json = arena_str(t->op->arena, buf_str(&b));
	buf_clear(&b);
	return ST_OK;
}

static status
schedule_work(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e)
{
	return transact(w, t, t->a->call->path, schedule_in, ret_ts, e);
}

void
action_op_schedule(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_task_start(task_new(a, op, args, schedule_work));
}

static status
cancel_in(struct fn_worker *w, struct action_task *t, struct txn *txn, struct err *e)
{
	str id = STR_EMPTY;

	(void)w;
	(void)json_get_str(t->args, "id", &id);
	t->op->ret_json = S("null");
	return scheduled_cancel(txn, id, os_now_ns(t->a->os), e);
}

static status
cancel_work(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e)
{
	return transact(w, t, t->a->call->path, cancel_in, ret_ts, e);
}

void
action_op_cancel_job(struct action_state *a, struct async_op *op, const struct json *args)
{
	action_task_start(task_new(a, op, args, cancel_work));
}

/* --- stored files --- */

static status
storage_in(struct fn_worker *w, struct action_task *t, struct txn *txn, struct err *e)
{
	static const char *const names[] = { [STORAGE_GET_URL] = "storage.getUrl",
		[STORAGE_GET_METADATA] = "storage.getMetadata",
		[STORAGE_DELETE] = "storage.delete" };
	struct buf b;
	status     st;

	if (!w->f->storage)
		return err_internal(e, "this server stores no files");
	buf_init(&b, BUF_MAX_DEFAULT);
	st = storage_call(w->f->storage, txn, &t->storage, &w->made, &b, e);
	t->op->ret_json = arena_str(t->op->arena, buf_str(&b));
	buf_clear(&b);
	if (st != ST_OK && e && str_eq(e->code, S("InvalidArgument")))
		err_prefix(e, "Invalid argument `storageId` for `%s`: ", names[t->storage.op]);
	return st;
}

static status
storage_work(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e)
{
	return transact(w, t, t->a->call->path, storage_in, ret_ts, e);
}

void
action_op_storage(struct action_state *a, struct async_op *op, const struct json *args,
    enum storage_op what)
{
	struct action_task *t;
	str                 id = STR_EMPTY;

	if (what != STORAGE_GENERATE_UPLOAD_URL && !json_get_str(args, "storageId", &id)) {
		action_fail(a, op, "InvalidArgument",
		    "Invalid arguments for `storage`: missing field `storageId`");
		return;
	}
	t = task_new(a, op, args, storage_work);
	t->storage = (struct storage_call){ .op = what, .id = id };
	action_task_start(t);
}
