/* action_ops_fetch.c - fetch() (spec 04 section 7): from an operation to fetch/ and back.
 *
 * The response's head comes on the fetch thread; its body stream gets its number on the action's
 * thread, when the completion is taken (action_host.c: op->stream).
 *
 * Thread: the action's, then the fetch thread.  Memory: struct fetching, until both are done.
 */
#include "base/json.h"
#include "fetch/fetch.h"
#include "functions/action_int.h"
#include "functions/http_action.h"

struct fetching {
	struct action_state *a;  /* one reference */
	struct async_op     *op;
};

static void
pairs_json(struct buf *b, const struct fetch_response *r)
{
	buf_addz(b, ",\"headers\":[");
	for (size_t i = 0; i < r->nheaders; i++) {
		buf_addz(b, i ? ",[" : "[");
		http_write_latin1(b, r->headers[i].name);
		buf_add_byte(b, ',');
		http_write_latin1(b, r->headers[i].value);
		buf_add_byte(b, ']');
	}
	buf_add_byte(b, ']');
}

static void
on_head(void *arg, const struct fetch_response *r, const struct err *e)
{
	struct fetching *x = arg;
	struct buf       b;

	if (!r) {
		action_fail_err(x->a, x->op, e);
		mem_free(x);
		return;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "{\"status\":%d,\"statusText\":", r->status);
	json_write_str(&b, r->status_text);
	buf_addz(&b, ",\"url\":");
	json_write_str(&b, r->url);
	pairs_json(&b, r);
	buf_addz(&b, ",\"streamId\":");
	x->op->stream = stream_ref(r->body);
	x->op->ret_json = arena_str(x->op->arena, buf_str(&b)); /* the number and '}' follow */
	buf_clear(&b);
	action_complete(x->a, x->op);
	mem_free(x);
}

static status
read_headers(struct async_op *op, const struct json *list, struct fetch_request *q, struct err *e)
{
	struct fetch_header *h;
	size_t               n = list && list->kind == JSON_ARRAY ? list->n : 0;

	h = ARENA_ARRAY(op->arena, struct fetch_header, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct json *pair = &list->items[i];

		if (pair->kind != JSON_ARRAY || pair->n != 2 ||
		    pair->items[0].kind != JSON_STRING || pair->items[1].kind != JSON_STRING ||
		    !http_latin1_of(op->arena, pair->items[0].string, &h[i].name) ||
		    !http_latin1_of(op->arena, pair->items[1].string, &h[i].value))
			return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
			    "a header is not a pair of byte strings");
	}
	q->headers = h;
	q->nheaders = n;
	return ST_OK;
}

static status
read_request(struct action_state *a, struct async_op *op, struct fetch_request *q, struct err *e)
{
	struct json *j;
	str          id;
	uint64_t     number;

	TRY(json_parse(op->arena, op->json, &j, e));
	if (!json_get_str(j, "url", &q->url) || !json_get_str(j, "method", &q->method))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid arguments for `fetch`: missing field `url`");
	q->body = op->bytes;
	if (json_get_str(j, "streamId", &id) && str_to_u64(id, &number))
		q->stream = action_stream(a, number);
	return read_headers(op, json_get(j, "headers"), q, e);
}

void
action_op_fetch(struct action_state *a, struct async_op *op)
{
	struct fetch_request q = { .body = { NULL, 0 } };
	struct err           e = err_in(op->arena);
	struct fetching     *x;

	if (!a->f->services.fetch)
		(void)err_internal(&e, "no fetch here");
	else
		(void)read_request(a, op, &q, &e);
	if (e.st != ST_OK) {
		action_fail_err(a, op, &e);
		return;
	}
	x = MEM_NEW(struct fetching);
	x->a = a;
	x->op = op;
	action_transfer_add(a, op->id, fetch_start(a->f->services.fetch, &q, on_head, x));
}
