/* action_ops_files.c - storage.store() and storage.get() of actions (spec 05 section 1.2).
 *
 * Storing: the bytes go through the files thread into an object, then a worker writes its row; the
 * answer is an id that is durable.  Loading: a worker finds the row, and the object comes as a
 * stream of which JavaScript reads what it wants.
 *
 * Thread: the action's, the files thread, then as in action_ops_txn.c.
 * Memory: struct storing until the object is there, struct action_task from then on.
 */
#include "base/json.h"
#include "functions/action_int.h"

/* --- store --- */

struct storing {
	struct action_task task; /* first: its end frees both */
	str                content_type, digest; /* in the operation's arena */
};

static status
store_work(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e)
{
	struct storing          *s = LINK_OWNER(t, struct storing, task);
	const struct storage_put put = { .object = t->put, .content_type = s->content_type,
		.digest = s->digest, .writer = t->a->call->path };
	char id[ID_TEXT_MAX];

	TRY(storage_put(w, &put, id, ret_ts, e));
	t->op->ret_json = arena_fmt(t->op->arena, "{\"storageId\":\"%s\"}", id);
	return ST_OK;
}

/* The object is there, or never will be; see files.h for the thread. */
static void
on_object(void *arg, const struct file_info *put, const struct err *e)
{
	struct storing *s = arg;

	if (!put) {
		action_fail_err(s->task.a, s->task.op, e);
		mem_free(s);
		return;
	}
	s->task.put = *put;
	action_task_start(&s->task);
}

/* What JavaScript writes, or what it handed over whole. */
static struct stream *
source_of(struct action_state *a, const struct async_op *op, const struct json *j)
{
	struct stream *s;
	str            id;
	uint64_t       number;

	if (json_get_str(j, "streamId", &id)) {
		s = str_to_u64(id, &number) ? action_stream(a, number) : NULL;
		return s ? stream_ref(s) : NULL;
	}
	s = stream_new();
	(void)stream_write(s, op->bytes);
	stream_end(s);
	return s;
}

static status
read_store(struct action_state *a, struct storing *s, struct stream **ret_from, struct err *e)
{
	struct async_op *op = s->task.op;
	struct json     *j;
	str              type;

	if (!a->f->storage)
		return err_internal(e, "this server stores no files");
	TRY(json_parse(op->arena, op->json, &j, e));
	if (json_get_str(j, "contentType", &type) && type.n &&
	    !storage_content_type(op->arena, type, &s->content_type))
		return err_set(e, ST_BAD_REQUEST, "InvalidContentTypeHeader",
		    "'%.*s' is not a valid content type", STR_ARG(str_head(type, 100)));
	if (!json_get_str(j, "sha256", &s->digest))
		s->digest = (str){ NULL, 0 };
	*ret_from = source_of(a, op, j);
	if (!*ret_from)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "storage.store() names a stream that does not exist");
	return ST_OK;
}

void
action_op_store(struct action_state *a, struct async_op *op)
{
	struct storing *s = MEM_NEW(struct storing);
	struct err      e = err_in(op->arena);
	struct stream  *from;

	s->task.a = a;
	s->task.op = op;
	s->task.work = store_work;
	if (read_store(a, s, &from, &e) != ST_OK) {
		action_fail_err(a, op, &e);
		mem_free(s);
		return;
	}
	files_put(storage_files(a->f->storage), from, on_object, s);
	stream_unref(from);
}

/* --- get --- */

static void
describe(struct async_op *op, const struct stored_file *f)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "{\"size\":%llu,\"contentType\":", (unsigned long long)f->size);
	if (f->content_type.p)
		json_write_str(&b, f->content_type);
	else
		buf_addz(&b, "null");
	buf_addz(&b, ",\"streamId\":"); /* its number and '}' follow */
	op->ret_json = arena_str(op->arena, buf_str(&b));
	buf_clear(&b);
}

static status
load_work(struct fn_worker *w, struct action_task *t, ts_t *ret_ts, struct err *e)
{
	struct async_op   *op = t->op;
	struct stored_file f;
	bool               found;
	status             st;

	st = storage_look(
	    w, (struct uid){ { 0 } }, t->storage.id, op->arena, &found, &f, ret_ts, e);
	if (st != ST_OK && str_eq(e->code, S("InvalidArgument")))
		err_prefix(e, "Invalid argument `storageId` for `storage.get`: ");
	if (st != ST_OK)
		return st;
	if (!found) {
		op->ret_json = S("null");
		return ST_OK;
	}
	describe(op, &f);
	op->stream = stream_new();
	files_get(storage_files(w->f->storage), f.key, 0, f.size, op->stream);
	return ST_OK;
}

static status
read_load(struct action_state *a, struct async_op *op, str *ret_id, struct err *e)
{
	struct json *j;

	if (!a->f->storage)
		return err_internal(e, "this server stores no files");
	TRY(json_parse(op->arena, op->json, &j, e));
	if (!json_get_str(j, "storageId", ret_id))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid arguments for `storage.get`: missing field `storageId`");
	return ST_OK;
}

void
action_op_load(struct action_state *a, struct async_op *op)
{
	struct action_task *t;
	struct err          e = err_in(op->arena);
	str                 id;

	if (read_load(a, op, &id, &e) != ST_OK) {
		action_fail_err(a, op, &e);
		return;
	}
	t = MEM_NEW(struct action_task);
	t->a = a;
	t->op = op;
	t->work = load_work;
	t->storage = (struct storage_call){ .op = STORAGE_GET, .id = id };
	action_task_start(t);
}
