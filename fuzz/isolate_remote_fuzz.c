/* isolate_remote_fuzz.c - an engine in another process that says whatever it likes (remote.h).
 *
 * The first byte chooses the kind of function.  Then come frames: a header up to a line feed, in
 * which a byte 1 begins the frame's bytes.
 */
#include "isolate_world.h"

#include "isolate/remote.h"

static const char source[] =
    "export const call = Object.assign(() => 0, {isMutation: true, isPublic: true,"
    "  _handler: () => 0, exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null'});";

static uint64_t streams;

/* A host that performs nothing: operations come back at once, as failures. */
static struct async_op *out;

static void
host_start(void *arg, struct async_op *op)
{
	(void)arg;
	op->next = out;
	out = op;
}

static void
host_cancel(void *arg, uint32_t id)
{
	(void)arg, (void)id;
}

static struct async_op *
host_wait(void *arg, uint64_t until_mono_ns, int fd)
{
	struct async_op *op = out;

	(void)arg, (void)until_mono_ns, (void)fd;
	if (op) {
		out = op->next;
		op->st = err_set(&op->err, ST_BAD_REQUEST, "Fuzz", "no");
	}
	return op;
}

static bool
host_cancelled(void *arg)
{
	(void)arg;
	return false;
}

static uint64_t
host_stream_new(void *arg)
{
	(void)arg;
	return ++streams;
}

static bool
host_stream_write(void *arg, uint64_t id, str bytes, bool done, str why)
{
	(void)arg, (void)bytes, (void)done, (void)why;
	return id <= streams;
}

static void
host_stream_drop(void *arg, uint64_t id)
{
	(void)arg, (void)id;
}

static status
host_respond(void *arg, str json, struct err *e)
{
	(void)arg;
	return json.n % 2 ? ST_OK : err_set(e, ST_BAD_REQUEST, "Fuzz", "no");
}

static void
host_respond_text(void *arg, int http, str text)
{
	(void)arg, (void)http, (void)text;
}

static bool
host_responding(void *arg)
{
	(void)arg;
	return true;
}

static const struct action_host host = { .start = host_start, .cancel = host_cancel,
	.wait = host_wait, .cancelled = host_cancelled, .stream_new = host_stream_new,
	.stream_write = host_stream_write, .stream_drop = host_stream_drop,
	.respond = host_respond, .respond_text = host_respond_text,
	.responding = host_responding };

static struct txn *
import_txn(void *arg)
{
	(void)arg;
	return begin();
}

/* False: the run is over. */
static bool
take(struct remote *r, str frame)
{
	struct buf       header, bytes;
	str              body = STR_EMPTY;
	size_t           at;
	enum remote_step step;

	if (str_find_char(frame, 1, &at)) {
		body = str_from(frame, at + 1);
		frame = str_head(frame, at);
	}
	buf_init(&header, BUF_MAX_DEFAULT);
	buf_init(&bytes, BUF_MAX_DEFAULT);
	step = remote_take(r, frame, body, &header, &bytes);
	buf_clear(&header);
	buf_clear(&bytes);
	return step == REMOTE_ANSWER || step == REMOTE_NOTHING;
}

static void
converse(struct run_request *q, struct run_result *res, str frames)
{
	struct err     e = err_in(q->arena);
	struct remote *r;
	struct buf     header;
	size_t         at;

	must(remote_begin(iso, q, res, &r, &e) == ST_OK);
	buf_init(&header, BUF_MAX_DEFAULT);
	remote_request(r, &header);
	buf_clear(&header);
	while (str_find_char(frames, '\n', &at) && take(r, str_head(frames, at)))
		frames = str_from(frames, at + 1);
	(void)!remote_end(r, &e);
	for (struct async_op *next; out; out = next) {
		next = out->next;
		async_op_free(out);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum udf_kind kinds[] = { UDF_QUERY, UDF_MUTATION, UDF_ACTION,
		UDF_HTTP_ACTION };
	const struct http_call http = { S("GET"), S("/x"), S("{}") };
	struct arena          *a = arena_new();
	struct run_result      res = { 0 };
	struct run_request     q = { .module = S("m.js"),
		    .function = S("call"),
		    .args = val_empty_object,
		    .request_id = S("0123456789abcdef"),
		    .now_ns = 1700000000000000000,
		    .instance_name = S("fuzz"),
		    .arena = a,
		    .actions = &host,
		    .action_ns = 1000000000,
		    .import_txn = import_txn };

	if (!db)
		set_up(S(source), 0);
	if (n > 0) {
		q.kind = kinds[data[0] % COUNT_OF(kinds)];
		q.http = q.kind == UDF_HTTP_ACTION ? &http : NULL;
		q.txn = q.kind < UDF_ACTION ? begin() : NULL;
		loglines_init(&res.logs, a);
		converse(&q, &res, str_of(data + 1, n - 1));
		loglines_clear(&res.logs);
		if (q.txn)
			txn_free(q.txn);
	}
	arena_free(a);
	return 0;
}
