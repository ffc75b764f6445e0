/* executor_run.c - one run of a "use node" action.
 *
 * The caller's thread serves the run's connection: frames come in and become operations of the
 * action_host, completions go out as answers, until the outcome comes.  It waits in the host's
 * wait(), which watches the connection as well.
 *
 * A run whose process hangs or dies before the action began is started again in another process.
 *
 * Thread: the action's.  Memory: results in the caller's arena; a frame's in one of its own.
 */
#include <inttypes.h>

#include "base/vec.h"
#include "node/child.h"
#include "node/executor_int.h"
#include "runtime/metrics.h"
#include "value/vjson.h"

#define ATTEMPTS    3
#define TIME_MAX_MS 8.64e15 /* as in JavaScript */

static struct metric runs_started =
    METRIC_COUNTER("fresnel_node_runs_total", "runs of \"use node\" actions");
static struct metric runs_now =
    METRIC_GAUGE("fresnel_node_runs_running", "runs of \"use node\" actions under way");
static struct metric runs_again = METRIC_COUNTER("fresnel_node_runs_restarted_total",
    "runs started again because their process failed before they began");

enum run_end {
	RUN_GOES_ON,
	RUN_OVER,   /* the outcome is in ret */
	RUN_LOST,   /* the process died */
	RUN_SILENT, /* the process does not answer */
	RUN_LATE,
	RUN_CANCELLED
};

struct run {
	struct node_executor *x;
	const struct node_run *r;
	struct run_result *ret;
	struct arena *frame; /* owned: of the frame at hand */
	struct node_link link;
	uint64_t timeout_ns, deadline_ns, hello_ns;
	bool hello, started, poisoned;
	uint32_t last_op, base; /* as the process counts; what the host's numbers are ahead */
	VEC(uint32_t) pending; /* operations at the host */
	VEC(uint64_t) streams; /* that JavaScript has not ended */
};

static bool
should_stop(void *arg)
{
	struct run *run = arg;

	return os_mono_ns(run->x->os) >= run->deadline_ns ||
	       run->r->host->cancelled(run->r->host->arg);
}

static void
fail_text(struct run *run, str text)
{
	run->ret->ok = false;
	run->ret->error = arena_fmt(run->r->arena, "%.*s\n", STR_ARG(text));
}

/* --- operations --- */

static bool
send_answer(struct run *run, const struct async_op *op)
{
	struct buf b;
	bool good;

	buf_init(&b, NFRAME_HEADER_MAX);
	buf_fmt(&b, "{\"t\":\"answer\",\"id\":%" PRIu32 ",\"ok\":%s", op->id - run->base,
	    op->st == ST_OK ? "true" : "false");
	if (op->st == ST_OK) {
		json_key(&b, "json");
		json_write_str(&b, op->ret_json);
	} else {
		json_key(&b, "message");
		json_write_str(&b, op->err.text);
		if (op->err.data.p) {
			json_key(&b, "data");
			json_write_str(&b, op->err.data);
		}
		if (op->error_class) {
			json_key(&b, "class");
			json_write_str(&b, str_z(op->error_class));
		}
	}
	buf_addz(&b, "}");
	good = link_send(&run->link, buf_str(&b),
	    op->has_bytes ? buf_str(&op->ret_bytes) : STR_EMPTY, should_stop, run);
	buf_clear(&b);
	return good;
}

static bool
complete(struct run *run, struct async_op *op)
{
	bool good = true;

	for (size_t i = 0; i < run->pending.n; i++) {
		if (run->pending.v[i] != op->id)
			continue;
		run->pending.v[i] = run->pending.v[--run->pending.n];
		good = send_answer(run, op);
		break;
	}
	async_op_free(op);
	return good;
}

static bool
open_stream(struct run *run, uint32_t id)
{
	uint64_t stream = run->r->host->stream_new(run->r->host->arg);
	struct async_op answer = { .id = run->base + id, .st = ST_OK };

	vec_push(&run->streams, stream);
	answer.ret_json = arena_fmt(run->frame, "{\"streamId\":\"%" PRIu64 "\"}", stream);
	return send_answer(run, &answer);
}

static bool
kind_named(str name, enum op_kind *ret)
{
	static const struct {
		const char *name;
		enum op_kind kind;
	} kinds[] = { { "syscall", OP_SYSCALL }, { "storageStore", OP_STORAGE_STORE },
		{ "storageGet", OP_STORAGE_GET }, { "read", OP_READ } };

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (str_eq(name, str_z(kinds[i].name))) {
			*ret = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* False: no operation that we know. */
static bool
start_op(struct run *run, const struct json *j, str bytes)
{
	const struct action_host *h = run->r->host;
	struct async_op *op;
	enum op_kind kind;
	bool whole = false; /* the bytes are the file, even if there are none */
	uint32_t id;
	str name, json = STR_EMPTY;

	if (!json_get_str(j, "kind", &name) || !json_get_u32(j, "id", &id) || id <= run->last_op)
		return false;
	run->last_op = id;
	if (str_eq(name, S("stream")))
		return open_stream(run, id);
	if (!kind_named(name, &kind) || !json_get_str(j, "json", &json))
		return false;
	op = async_op_new(run->base + id, kind);
	op->json = arena_str(op->arena, json);
	if (kind == OP_SYSCALL && json_get_str(j, "name", &name))
		op->name = arena_str(op->arena, name);
	(void)json_get_bool(j, "whole", &whole);
	if (whole)
		op->bytes = arena_str(op->arena, bytes);
	vec_push(&run->pending, run->base + id);
	h->start(h->arg, op);
	return true;
}

/* A piece of a stream that this run opened. */
static bool
take_chunk(struct run *run, const struct json *j, str bytes)
{
	const struct action_host *h = run->r->host;
	str text, why = { NULL, 0 };
	uint64_t id;
	bool done = false;

	if (!json_get_str(j, "streamId", &text) || !str_to_u64(text, &id))
		return false;
	(void)json_get_bool(j, "done", &done);
	(void)json_get_str(j, "why", &why);
	for (size_t i = 0; i < run->streams.n; i++) {
		if (run->streams.v[i] != id)
			continue;
		if (done)
			run->streams.v[i] = run->streams.v[--run->streams.n];
		(void)h->stream_write(h->arg, id, bytes.n ? bytes : (str){ NULL, 0 }, done, why);
		return true;
	}
	return false;
}

/* --- console and outcome --- */

static bool
take_line(struct run *run, const struct json *j)
{
	struct logline line = { 0 };
	double ts = 0;
	str level;

	if (!json_get_str(j, "level", &level) || !logline_level(level, &line.level) ||
	    !logline_take(&line, json_get(j, "messages"), run->frame) ||
	    !json_get_num(j, "ts", &ts) || !(ts >= 0 && ts < TIME_MAX_MS))
		return false;
	line.timestamp_ms = (uint64_t)ts;
	loglines_add(&run->ret->logs, &line);
	return true;
}

static void
take_value(struct run *run, str text)
{
	struct arena *a = run->r->arena;
	const struct node_run *r = run->r;
	struct err e = err_in(a);
	struct json *j;
	struct pack p;
	struct val v;

	if (json_parse(run->frame, text, &j, &e) != ST_OK) {
		fail_text(run, arena_fmt(a,
				   "Function %.*s:%.*s failed. Could not parse return value as "
				   "json: %.*s",
				   STR_ARG(r->module), STR_ARG(r->function), STR_ARG(e.text)));
		return;
	}
	pack_init(&p);
	if (vjson_read(&p, j, VJSON_PLAIN, &e) == ST_OK && pack_done_in(&p, a, &v, &e) == ST_OK) {
		run->ret->ok = true;
		run->ret->value = v;
	} else {
		fail_text(run, arena_fmt(a, "Function %.*s:%.*s return value invalid: %.*s",
				   STR_ARG(r->module), STR_ARG(r->function), STR_ARG(e.text)));
	}
	pack_clear(&p);
}

/* ConvexError data is JSON text that the npm helper wrote; empty if it was no text. */
static void
take_error(struct run *run, const struct json *j)
{
	struct arena *a = run->r->arena;
	struct err e = err_in(a);
	struct buf b;
	struct val v;
	str data;

	run->ret->ok = false;
	run->ret->error = node_error_text(run->r->package, j, a);
	if (!json_get_str(j, "data", &data))
		return;
	if (vjson_parse(a, data, VJSON_PLAIN, &v, &e) != ST_OK) {
		fail_text(
		    run, arena_fmt(a, "ConvexError with invalid data: %.*s", STR_ARG(e.text)));
		return;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, VJSON_ENCODED);
	run->ret->error_data = arena_str(a, buf_str(&b));
	buf_clear(&b);
}

static enum run_end
take_outcome(struct run *run, const struct json *j)
{
	bool ok = false;
	str value;

	(void)json_get_bool(j, "exiting", &run->poisoned);
	if (json_get_bool(j, "ok", &ok) && ok && json_get_str(j, "value", &value))
		take_value(run, value);
	else
		take_error(run, j);
	return RUN_OVER;
}

static enum run_end
take_frame(struct run *run, const struct nframe *f)
{
	struct json *j;
	bool good = true;
	str t;

	arena_reset(run->frame);
	if (json_parse(run->frame, f->header, &j, NULL) != ST_OK || !json_get_str(j, "t", &t))
		return RUN_LOST;
	if (str_eq(t, S("done")))
		return take_outcome(run, j);
	if (str_eq(t, S("hello")))
		run->hello = true;
	else if (str_eq(t, S("started")))
		run->started = true;
	else if (str_eq(t, S("log")))
		good = take_line(run, j);
	else if (str_eq(t, S("op")))
		good = start_op(run, j, f->bytes);
	else if (str_eq(t, S("chunk")))
		good = take_chunk(run, j, f->bytes);
	return good ? RUN_GOES_ON : RUN_LOST;
}

/* --- the loop --- */

static bool
send_request(struct run *run)
{
	struct buf b;
	bool good;

	buf_init(&b, NFRAME_HEADER_MAX);
	buf_addz(&b, "{\"t\":\"execute\",\"module\":");
	json_write_str(&b, run->r->module);
	json_key(&b, "function");
	json_write_str(&b, run->r->function);
	json_key(&b, "args");
	json_write_str(&b, run->r->args_json);
	buf_addz(&b, "}");
	good = link_send(&run->link, buf_str(&b), STR_EMPTY, should_stop, run);
	buf_clear(&b);
	return good;
}

/* Everything that came, or why to stop. */
static enum run_end
take_frames(struct run *run)
{
	struct nframe f;
	enum run_end end = RUN_GOES_ON;

	while (end == RUN_GOES_ON) {
		switch (link_next(&run->link, &f)) {
		case LINK_FRAME:
			end = take_frame(run, &f);
			break;
		case LINK_NOTHING:
			return RUN_GOES_ON;
		case LINK_CLOSED:
			return RUN_LOST;
		}
	}
	return end;
}

static enum run_end
give_up(struct run *run)
{
	uint64_t now = os_mono_ns(run->x->os);

	if (run->r->host->cancelled(run->r->host->arg))
		return RUN_CANCELLED;
	if (now >= run->deadline_ns)
		return RUN_LATE;
	return !run->hello && now >= run->hello_ns ? RUN_SILENT : RUN_GOES_ON;
}

static enum run_end
serve(struct run *run)
{
	const struct action_host *h = run->r->host;

	if (!send_request(run))
		return should_stop(run) ? give_up(run) : RUN_LOST;
	for (;;) {
		enum run_end end = take_frames(run);
		uint64_t until = run->deadline_ns;
		struct async_op *op;

		if (end == RUN_GOES_ON)
			end = give_up(run);
		if (end != RUN_GOES_ON)
			return end;
		if (!run->hello && run->hello_ns < until)
			until = run->hello_ns;
		op = h->wait(h->arg, until, run->link.fd);
		if (op && !complete(run, op) && !should_stop(run))
			return RUN_LOST;
	}
}

/* What the action left behind. */
static void
drop_operations(struct run *run)
{
	const struct action_host *h = run->r->host;

	for (size_t i = 0; i < run->pending.n; i++)
		h->cancel(h->arg, run->pending.v[i]);
	for (size_t i = 0; i < run->streams.n; i++)
		(void)h->stream_write(
		    h->arg, run->streams.v[i], (str){ NULL, 0 }, true, S("the action has ended"));
	vec_clear(&run->pending);
	vec_clear(&run->streams);
}

/* One attempt, in one process. */
static enum run_end
attempt(struct run *run, const struct node_env *env, status *ret_st, struct err *e)
{
	struct node_process *p = NULL;
	enum run_end end = RUN_LOST;

	run->hello = run->started = run->poisoned = false;
	run->base += run->last_op; /* a late answer to the one before must not look like ours */
	run->last_op = 0;
	*ret_st = process_acquire(run->x, run->r->package, env, &p, e);
	if (*ret_st != ST_OK)
		return RUN_LOST;
	/* Runs of others, and threads beside JavaScript's, use CPU as well. */
	child_limit_cpu(p->pid, run->timeout_ns / 1000000000u * 4 + 60);
	run->hello_ns = os_mono_ns(run->x->os) + NODE_HELLO_NS;
	if (link_open(&run->link, p)) {
		end = serve(run);
		link_close(&run->link);
	}
	drop_operations(run);
	process_release(run->x, p, run->poisoned || end != RUN_OVER);
	return end;
}

static status
conclude(struct run *run, enum run_end end, struct err *e)
{
	const struct node_run *r = run->r;

	switch (end) {
	case RUN_OVER:
	case RUN_GOES_ON:
		break;
	case RUN_LATE:
		fail_text(run,
		    arena_fmt(r->arena,
			"Action `%.*s:%.*s` execution timed out (maximum duration %" PRIu64 "s)",
			STR_ARG(r->module), STR_ARG(r->function), run->timeout_ns / 1000000000u));
		break;
	case RUN_LOST:
		fail_text(
		    run, S("The Node.js process that ran this action exited unexpectedly. It may "
			   "have run out of memory or been ended by other code that ran in it."));
		break;
	case RUN_SILENT:
		fail_text(
		    run, S("Function execution unexpectedly timed out. Check your function for "
			   "infinite loops or other long-running operations."));
		break;
	case RUN_CANCELLED:
		return err_set(e, ST_REJECTED, "ActionCancelled", "The action was cancelled.");
	}
	return ST_OK;
}

static status
run_attempts(struct run *run, struct err *e)
{
	struct node_env env;
	enum run_end end = RUN_LOST;
	status st = ST_OK;

	node_env_of(run->r->arena, run->r->vars, run->r->nvars, &env);
	for (int i = 0; i < ATTEMPTS; i++) {
		end = attempt(run, &env, &st, e);
		if (st != ST_OK)
			return st;
		if ((end != RUN_LOST && end != RUN_SILENT) || run->started)
			break;
		metric_add(&runs_again, 1);
	}
	return conclude(run, end, e);
}

status
node_run_action(
    struct node_executor *x, const struct node_run *r, struct run_result *ret, struct err *e)
{
	struct run run = { .x = x, .r = r, .ret = ret };
	status st;

	run.timeout_ns = r->timeout_ns ? r->timeout_ns : x->timeout_ns;
	run.deadline_ns = os_mono_ns(x->os) + run.timeout_ns;
	if (r->args_json.n > NODE_ARGS_MAX_BYTES) {
		fail_text(&run,
		    S("Node actions arguments size is too large. The maximum size is 5 MiB. Reduce "
		      "the size of the arguments or consider using Convex runtime actions instead, "
		      "which have a 16 MiB limit. See https://docs.convex.dev/functions/runtimes"));
		return ST_OK;
	}
	if (!node_package_has(r->package, r->module)) {
		fail_text(&run, arena_fmt(r->arena,
				    "Couldn't find JavaScript module '%.*s'. Did you forget to run "
				    "`npx convex dev`?",
				    STR_ARG(r->module)));
		return ST_OK;
	}
	run.frame = arena_new();
	metric_add(&runs_started, 1);
	metric_add(&runs_now, 1);
	st = run_attempts(&run, e);
	metric_add(&runs_now, -1);
	arena_free(run.frame);
	return st;
}
