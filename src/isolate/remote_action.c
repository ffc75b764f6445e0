/* remote_action.c - what actions wait for, when an engine in another process runs them.
 *
 * The engine numbers its operations; it asks for a completion when it has nothing else to do.  The
 * list of what is out is the same as for actions of the isolate (action_int.h), so that what
 * nobody waited for is told and cancelled alike.
 *
 * Thread: the action's, which blocks here.  Memory: see async.h.
 */
#include "isolate/remote_int.h"


static const struct action_host *
host_of(struct remote *r)
{
	return r->req->actions;
}

/* The place in the list; n: it is not there. */
static size_t
find(const struct action *a, uint32_t id)
{
	size_t i = 0;

	while (i < a->pending.n && a->pending.v[i].id != id)
		i++;
	return i;
}

static void
forget(struct action *a, size_t i)
{
	a->pending_bytes -= a->pending.v[i].bytes;
	a->pending.n--;
	memmove(&a->pending.v[i], &a->pending.v[i + 1],
	    (a->pending.n - i) * sizeof a->pending.v[0]);
}

enum remote_step
remote_op(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct action    *a = &r->action;
	struct pending_op p = { .id = 0 };
	struct async_op  *op;
	str               kind, args, name = STR_EMPTY, label;
	bool              some;

	(void)ret_header, (void)ret_bytes;
	if (!json_get_u32(h, "id", &p.id) || p.id != a->next_id + 1 ||
	    !json_get_str(h, "kind", &kind) || !json_get_str(h, "args", &args))
		return remote_break(r, "op");
	if (str_eq(kind, S("syscall")) && json_get_str(h, "name", &name))
		p.kind = OP_SYSCALL;
	else if (!async_kind_named(kind, &p.kind))
		return remote_break(r, "kind of op");
	p.bytes = args.n + bytes.n;
	if (a->pending.n >= OPERATIONS_MAX || a->pending_bytes + p.bytes > OP_BYTES_MAX) {
		remote_fail(r, S("Too many concurrent operations. See "
		    "https://docs.convex.dev/functions/actions#limits for more information."));
		return REMOTE_BROKEN;
	}
	a->next_id = p.id;
	op = async_op_new(p.id, p.kind);
	op->name = arena_str(op->arena, name);
	op->json = arena_str(op->arena, args);
	if (json_get_bool(h, "some", &some) && some)
		op->bytes = arena_str(op->arena, bytes);
	label = async_op_label(op);
	p.label = label.p ? arena_str(r->req->arena, label) : label;
	vec_push(&a->pending, p);
	a->pending_bytes += p.bytes;
	host_of(r)->start(host_of(r)->arg, op);
	return REMOTE_NOTHING;
}

enum remote_step
remote_cancel(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	uint32_t id;
	size_t   i;

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (!json_get_u32(h, "id", &id))
		return remote_break(r, "cancel");
	i = find(&r->action, id);
	if (i == r->action.pending.n)
		return REMOTE_NOTHING;
	forget(&r->action, i);
	host_of(r)->cancel(host_of(r)->arg, id);
	return REMOTE_NOTHING;
}

static void
write_completion(const struct async_op *op, struct buf *h, struct buf *bytes)
{
	buf_fmt(h, "{\"id\":%u", op->id);
	if (op->st == ST_OK) {
		buf_addz(h, ",\"ok\":");
		json_write_str(h, op->ret_json);
	} else {
		buf_addz(h, ",\"message\":");
		json_write_str(h, op->err.text);
	}
	if (op->st != ST_OK && op->err.data.p) {
		buf_addz(h, ",\"data\":");
		json_write_str(h, op->err.data);
	}
	if (op->st != ST_OK && op->error_class) {
		buf_addz(h, ",\"errorClass\":");
		json_write_str(h, str_z(op->error_class));
	}
	if (op->has_bytes) {
		buf_addz(h, ",\"bytes\":true");
		buf_add(bytes, buf_str(&op->ret_bytes));
	}
	buf_addz(h, "}");
}

enum remote_step
remote_wait(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	const struct action_host *host = host_of(r);
	struct async_op          *op;

	(void)h, (void)bytes;
	while ((op = host->wait(host->arg, r->action.deadline_ns, -1)) != NULL) {
		size_t i = find(&r->action, op->id);

		if (i < r->action.pending.n) {
			forget(&r->action, i);
			write_completion(op, ret_header, ret_bytes);
			async_op_free(op);
			return REMOTE_ANSWER;
		}
		async_op_free(op); /* it was cancelled */
	}
	remote_fail_deadline(r);
	return REMOTE_BROKEN;
}

void
remote_fail_deadline(struct remote *r)
{
	remote_fail(r, action_end_text(r->req));
}

/* --- streams --- */

static bool
stream_id(const struct json *h, uint64_t *ret)
{
	str text;

	return json_get_str(h, "id", &text) && str_to_u64(text, ret);
}

enum remote_step
remote_new_stream(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)h, (void)bytes, (void)ret_bytes;
	buf_fmt(ret_header, "{\"id\":\"%llu\"}",
	    (unsigned long long)host_of(r)->stream_new(host_of(r)->arg));
	return REMOTE_ANSWER;
}

enum remote_step
remote_write_stream(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	bool     some = false, done = false, read;
	uint64_t id;
	str      none = { NULL, 0 };

	(void)ret_bytes;
	(void)json_get_bool(h, "some", &some);
	(void)json_get_bool(h, "done", &done);
	if (!stream_id(h, &id))
		return remote_break(r, "writestream");
	read = host_of(r)->stream_write(host_of(r)->arg, id, some ? bytes : none, done, none);
	buf_fmt(ret_header, "{\"ok\":%s}", read ? "true" : "false");
	return REMOTE_ANSWER;
}

enum remote_step
remote_fail_stream(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	uint64_t id;
	str      why, none = { NULL, 0 };

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (!stream_id(h, &id) || !json_get_str(h, "message", &why))
		return remote_break(r, "failstream");
	(void)host_of(r)->stream_write(host_of(r)->arg, id, none, false, why);
	return REMOTE_NOTHING;
}

enum remote_step
remote_drop_stream(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	uint64_t id;

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (!stream_id(h, &id))
		return remote_break(r, "dropstream");
	host_of(r)->stream_drop(host_of(r)->arg, id);
	return REMOTE_NOTHING;
}

/* --- HTTP actions --- */

enum remote_step
remote_respond(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	str json;

	(void)bytes, (void)ret_bytes;
	if (!r->req->http)
		return remote_break(r, "respond");
	if (!json_get_str(h, "json", &json)) {
		http_refuse(r->req, r->ret, HTTP_NO_RESPONSE);
		return REMOTE_BROKEN;
	}
	if (!http_respond(r->req, r->ret, json))
		return REMOTE_BROKEN;
	buf_addz(ret_header, "{}");
	return REMOTE_ANSWER;
}

enum remote_step
remote_responding(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)h, (void)bytes, (void)ret_bytes;
	if (!r->req->http)
		return remote_break(r, "responding");
	buf_fmt(ret_header, "{\"yes\":%s}",
	    host_of(r)->responding(host_of(r)->arg) ? "true" : "false");
	return REMOTE_ANSWER;
}

enum remote_step
remote_responded(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)h, (void)bytes, (void)ret_header, (void)ret_bytes;
	if (!r->req->http)
		return remote_break(r, "responded");
	r->ret->ok = true;
	return REMOTE_DONE;
}
