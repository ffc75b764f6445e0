/* remote.c - runs whose JavaScript is executed by an engine in another process.
 *
 * The engine's side is js/tier.  Modules are evaluated in every run there, so that nothing has to
 * be remembered about them but what this run's transaction records by itself.
 *
 * Thread: the isolate's.  Memory: the request's arena; what belongs to one header is scratch.
 */
#include "isolate/remote_int.h"

#include "base/enc.h"
#include "base/hash.h"
#include "base/log.h"
#include "isolate/syscall_int.h"

#define RESULT_MAX ((size_t)64 << 20)

static bool
is_http(const struct remote *r)
{
	return r->req->kind == UDF_HTTP_ACTION;
}

static bool
is_action(const struct remote *r)
{
	return r->req->kind == UDF_ACTION || is_http(r);
}

/* --- outcomes --- */

void
remote_fail(struct remote *r, str text)
{
	run_fail_text(r->req, r->ret, text);
}

void
remote_fail_time(struct remote *r)
{
	remote_fail(r, limits_time_text(r->req->arena, r->en.iso->opts.user_time_ns));
}

void
remote_fail_memory(struct remote *r)
{
	remote_fail(r, limits_memory_text(r->req->arena, r->en.iso));
}

uint64_t
remote_time_ns(const struct remote *r)
{
	return is_action(r) ? r->req->action_ns : r->en.iso->opts.user_time_ns;
}

bool
remote_executes(const struct remote *r)
{
	return r->en.phase == PHASE_EXECUTE;
}

bool
remote_spent(struct remote *r, uint64_t ns)
{
	r->spent_ns = ns;
	if (r->spent_ns + r->native_ns <= remote_time_ns(r))
		return false;
	remote_fail_time(r);
	return true;
}

bool
remote_overdue(struct remote *r)
{
	if (!is_action(r) || (os_mono_ns(r->en.iso->opts.os) <= r->action.deadline_ns &&
	                         !r->req->actions->cancelled(r->req->actions->arg)))
		return false;
	remote_fail_deadline(r);
	return true;
}

enum remote_step
remote_break(struct remote *r, const char *why)
{
	log_warn("the full engine said what it may not say: %s", why);
	remote_fail(r, S("JavaScript execution failed inside the engine"));
	return REMOTE_BROKEN;
}

/* An error that is not the function's: no JavaScript runs any more. */
static enum remote_step
end_with(struct remote *r, const struct err *e)
{
	run_fail(&r->en, e);
	return REMOTE_BROKEN;
}

static str
text_of(const struct json *h, const char *key)
{
	str s = { NULL, 0 };

	(void)json_get_str(h, key, &s);
	return s;
}

/* Data of a ConvexError; false: it is no value. */
static bool
take_data(struct remote *r, const struct json *what, str *ret, struct err *e)
{
	str        text = text_of(what, "data"), bad = text_of(what, "bad");
	struct val v;
	struct buf b;

	if (bad.p) {
		err_set_str(e, ST_BAD_REQUEST, "InvalidData", bad);
		return false;
	}
	if (!text.p)
		return true;
	if (vjson_parse(r->req->arena, text, VJSON_COMMIT_TS, &v, e) != ST_OK)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, VJSON_ENCODED);
	*ret = arena_str(r->req->arena, buf_str(&b));
	buf_clear(&b);
	return true;
}

/* As error_describe() of thrown.c, for what js/tier/thrown.js found. */
static void
describe(struct remote *r, const struct json *what)
{
	struct arena *a = r->req->arena;
	struct err    e = err_in(a);
	struct buf    b;
	str           stack = text_of(what, "stack"), data = { NULL, 0 };

	buf_init(&b, BUF_MAX_DEFAULT);
	if (take_data(r, what, &data, &e))
		buf_add(&b, error_text(a, text_of(what, "name"), text_of(what, "message")));
	else
		buf_fmt(&b, "ConvexError with invalid data: %.*s", STR_ARG(e.text));
	buf_add_byte(&b, '\n');
	if (stack.p)
		frames_write(&r->en, stack, &b);
	r->ret->ok = false;
	r->ret->error = arena_str(a, buf_str(&b));
	if (r->en.phase == PHASE_EXECUTE)
		r->ret->error_data = data;
	buf_clear(&b);
}

static enum remote_step
take_thrown(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct json *what;

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (json_parse(r->scratch, text_of(h, "what"), &what, NULL) != ST_OK)
		return remote_break(r, "thrown");
	describe(r, what);
	return REMOTE_DONE;
}

static enum remote_step
take_value(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	str text = text_of(h, "value");

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (r->en.phase != PHASE_EXECUTE || is_http(r) || !text.p)
		return remote_break(r, "value");
	run_take_json(r->req, r->ret, arena_str(r->req->arena, text));
	return REMOTE_DONE;
}

static enum remote_step
take_wrong(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	str             what = text_of(h, "what");
	struct exported x = { .is_query = str_eq(what, S("query")),
		.is_mutation = str_eq(what, S("mutation")) };

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (is_http(r))
		http_refuse(r->req, r->ret,
		    str_eq(what, S("absent"))         ? HTTP_NO_DEFAULT :
		        str_eq(what, S("unroutable")) ? HTTP_NO_ROUTE :
		                                        HTTP_NO_ROUTER);
	else
		run_refuse(r->req, r->ret, str_eq(what, S("absent")) ? NULL : &x);
	return REMOTE_DONE;
}

static enum remote_step
take_unloaded(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct err e = err_in(r->req->arena);
	str        text;

	(void)h, (void)bytes, (void)ret_header, (void)ret_bytes;
	if (r->en.im->load_error.st == ST_OK)
		return remote_break(r, "unloaded");
	if (module_load_error(r->en.im, &text, &e) != ST_OK) {
		run_fail(&r->en, &e);
		return REMOTE_DONE;
	}
	r->ret->ok = false;
	r->ret->error = arena_str(r->req->arena, text);
	return REMOTE_DONE;
}

static enum remote_step
take_top_level_await(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)h, (void)bytes, (void)ret_header, (void)ret_bytes;
	remote_fail(r, S("Top-level awaits in source files are unsupported"));
	return REMOTE_DONE;
}

static enum remote_step
take_never(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)h, (void)bytes, (void)ret_header, (void)ret_bytes;
	remote_fail(r, S("Returned promise will never resolve"));
	return REMOTE_DONE;
}

static enum remote_step
take_uncatchable(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)bytes, (void)ret_header, (void)ret_bytes;
	remote_fail(r, text_of(h, "text"));
	return REMOTE_BROKEN;
}

static enum remote_step
take_arity(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct err e = err_in(r->req->arena);

	(void)bytes, (void)ret_header, (void)ret_bytes;
	(void)err_internal(&e, "%.*s() takes 2 arguments", STR_ARG(text_of(h, "what")));
	return end_with(r, &e);
}

/* --- modules --- */

/* Actions have a transaction for what import reads, and none while they execute. */
static void
end_txn(struct remote *r)
{
	if (r->txn)
		txn_free(r->txn);
	r->txn = r->import.txn = NULL;
}

/* import() in an action reads what is there now. */
static struct module *
find_module(struct remote *r, str base, str name)
{
	struct run    *run = r->en.run;
	struct module *m;

	if (run->txn)
		return module_request(&r->en, base, name);
	run->txn = r->req->import_txn(r->req->import_arg);
	m = module_request(&r->en, base, name);
	txn_free(run->txn);
	run->txn = NULL;
	return m;
}

/* What identifies the source: what the row says, else its hash. */
static void
write_hash(struct buf *b, const struct module *m)
{
	struct val v = m->row ? val_get(doc_val(m->row), S("sha256")) : VAL_NONE;
	uint8_t    digest[32];
	struct buf hex;

	if (val_kind(v) == VAL_STRING) {
		json_write_str(b, val_str(v));
		return;
	}
	sha256(m->source, digest);
	buf_init(&hex, 100);
	enc_hex(&hex, str_of(digest, sizeof digest));
	json_write_str(b, buf_str(&hex));
	buf_clear(&hex);
}

static enum remote_step
take_module(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	str            name = text_of(h, "name"), base = text_of(h, "base");
	struct module *m;

	(void)bytes, (void)ret_bytes;
	if (!name.p || !base.p)
		return remote_break(r, "module");
	m = find_module(r, base, name);
	if (!m) {
		buf_addz(ret_header, "{\"failed\":true}");
		return REMOTE_ANSWER;
	}
	buf_addz(ret_header, "{\"specifier\":");
	json_write_str(ret_header, m->specifier);
	buf_addz(ret_header, ",\"hash\":");
	write_hash(ret_header, m);
	buf_addz(ret_header, "}");
	return REMOTE_ANSWER;
}

static enum remote_step
take_source(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct module *m = module_by_specifier(&r->en, text_of(h, "specifier"));

	(void)bytes;
	if (!m)
		return remote_break(r, "source");
	buf_addz(ret_header, "{}");
	buf_add(ret_bytes, m->source);
	return REMOTE_ANSWER;
}

static enum remote_step
take_why_unloaded(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct err *e = &r->en.im->load_error;

	(void)h, (void)bytes, (void)ret_bytes;
	if (e->st == ST_OK)
		return remote_break(r, "whyunloaded");
	if (!status_deterministic(e->st))
		return end_with(r, e);
	buf_addz(ret_header, "{\"text\":");
	json_write_str(ret_header, e->text);
	buf_addz(ret_header, "}");
	e->st = ST_OK; /* another import may fail for another reason */
	return REMOTE_ANSWER;
}

/* --- what functions ask for --- */

/* The error as the promise or the call sees it, or the end of the run. */
static enum remote_step
answer_error(struct remote *r, const struct err *e, struct buf *ret_header)
{
	if (!status_deterministic(e->st))
		return end_with(r, e);
	buf_addz(ret_header, "{\"message\":");
	json_write_str(ret_header, e->text);
	if (e->data.p) {
		buf_addz(ret_header, ",\"data\":");
		json_write_str(ret_header, e->data);
	}
	buf_addz(ret_header, "}");
	return REMOTE_ANSWER;
}

static status
syscall(struct remote *r, const struct json *h, bool async, struct buf *out, struct err *e)
{
	str name = text_of(h, "name"), args = text_of(h, "args");

	if (!name.p || !args.p)
		return err_internal(e, "a syscall of the full engine without a name");
	if (arena_bytes(r->req->arena) > RUN_ARENA_MAX)
		return err_set(e, ST_OVERLOADED, "TooManySystemOperations", SYSTEM_TIME_TEXT);
	args = arena_str(r->req->arena, args); /* what is kept of them points into it */
	TRY(syscall_perform(&r->en, name, args, async, out, e));
	if (!buf_ok(out))
		return err_set(e, ST_BAD_REQUEST, "SyscallResultTooLarge",
		    "The result of %.*s is larger than %zu bytes", STR_ARG(name), RESULT_MAX);
	return ST_OK;
}

static enum remote_step
take_any_syscall(struct remote *r, const struct json *h, bool async, struct buf *ret_header)
{
	struct err       e = err_in(r->req->arena);
	struct buf       out;
	enum remote_step step = REMOTE_ANSWER;

	buf_init(&out, RESULT_MAX);
	if (syscall(r, h, async, &out, &e) == ST_OK) {
		buf_addz(ret_header, "{\"ok\":");
		json_write_str(ret_header, buf_str(&out));
		buf_addz(ret_header, "}");
	} else {
		step = answer_error(r, &e, ret_header);
	}
	buf_clear(&out);
	return step;
}

static enum remote_step
take_syscall(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)bytes, (void)ret_bytes;
	return take_any_syscall(r, h, false, ret_header);
}

static enum remote_step
take_async_syscall(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	(void)bytes, (void)ret_bytes;
	return take_any_syscall(r, h, true, ret_header);
}

static enum remote_step
take_env(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct err e = err_in(r->req->arena);
	bool       found;
	str        value;

	(void)bytes, (void)ret_bytes;
	if (run_env_var(&r->en, text_of(h, "name"), &found, &value, &e) != ST_OK)
		return answer_error(r, &e, ret_header);
	buf_addz(ret_header, "{");
	if (found) {
		buf_addz(ret_header, "\"value\":");
		json_write_str(ret_header, value);
	}
	buf_addz(ret_header, "}");
	return REMOTE_ANSWER;
}

static enum remote_step
take_frames(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	struct buf b;

	(void)bytes, (void)ret_bytes;
	buf_init(&b, BUF_MAX_DEFAULT);
	frames_write(&r->en, text_of(h, "raw"), &b);
	buf_addz(ret_header, "{\"text\":");
	json_write_str(ret_header, str_head(buf_str(&b), b.n ? b.n - 1 : 0));
	buf_addz(ret_header, "}");
	buf_clear(&b);
	return REMOTE_ANSWER;
}

static enum remote_step
take_native(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	remote_native(r, h, bytes, ret_header, ret_bytes);
	if (r->en.run->terminated) {
		str ended = r->en.run->uncatchable;

		if (ended.p)
			remote_fail(r, ended);
		return REMOTE_BROKEN;
	}
	return REMOTE_ANSWER;
}

static enum remote_step
take_log(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	bool           now = is_action(r) && r->en.phase == PHASE_EXECUTE;
	struct logline line = { .timestamp_ms =
		    (now ? os_now_ns(r->en.iso->opts.os) : r->req->now_ns) / 1000000 };

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (!logline_level(text_of(h, "level"), &line.level) ||
	    !logline_take(&line, json_get(h, "messages"), r->scratch))
		return remote_break(r, "log");
	loglines_add(&r->ret->logs, &line);
	return REMOTE_NOTHING;
}

static enum remote_step
take_execute(struct remote *r, const struct json *h, str bytes, struct buf *ret_header,
    struct buf *ret_bytes)
{
	str route = text_of(h, "route");

	(void)bytes, (void)ret_header, (void)ret_bytes;
	if (route.p)
		r->ret->route = arena_str(r->req->arena, route);
	r->en.phase = PHASE_EXECUTE;
	r->en.run = &r->execute;
	end_txn(r);
	return REMOTE_NOTHING;
}

/* --- dispatch --- */

static const struct {
	const char *t;
	remote_fn  *take;
	bool        in_actions; /* only, while they execute */
} takers[] = {
	{ "module", take_module, false },
	{ "source", take_source, false },
	{ "whyunloaded", take_why_unloaded, false },
	{ "syscall", take_syscall, false },
	{ "asyncsyscall", take_async_syscall, false },
	{ "env", take_env, false },
	{ "frames", take_frames, false },
	{ "native", take_native, false },
	{ "log", take_log, false },
	{ "execute", take_execute, false },
	{ "unloaded", take_unloaded, false },
	{ "toplevelawait", take_top_level_await, false },
	{ "wrong", take_wrong, false },
	{ "thrown", take_thrown, false },
	{ "never", take_never, false },
	{ "value", take_value, false },
	{ "uncatchable", take_uncatchable, false },
	{ "arity", take_arity, false },
	{ "op", remote_op, true },
	{ "cancel", remote_cancel, true },
	{ "wait", remote_wait, true },
	{ "newstream", remote_new_stream, true },
	{ "writestream", remote_write_stream, true },
	{ "failstream", remote_fail_stream, true },
	{ "dropstream", remote_drop_stream, true },
	{ "respond", remote_respond, true },
	{ "responding", remote_responding, true },
	{ "responded", remote_responded, true },
};

static void
take_observed(struct remote *r, const struct json *h)
{
	bool seen;

	if (json_get_bool(h, "time", &seen) && seen)
		r->ret->observed_time = true;
	if (json_get_bool(h, "rng", &seen) && seen)
		r->ret->observed_rng = true;
}

enum remote_step
remote_take(struct remote *r, str header, str bytes, struct buf *ret_header, struct buf *ret_bytes)
{
	struct json     *h;
	str              t;
	enum remote_step step;

	arena_reset(r->scratch);
	if (json_parse(r->scratch, header, &h, NULL) != ST_OK)
		return remote_break(r, "no JSON");
	t = text_of(h, "t");
	for (size_t i = 0; i < COUNT_OF(takers); i++) {
		if (!str_eq(t, str_z(takers[i].t)))
			continue;
		if (takers[i].in_actions && (!is_action(r) || r->en.phase != PHASE_EXECUTE))
			return remote_break(r, takers[i].t);
		step = takers[i].take(r, h, bytes, ret_header, ret_bytes);
		if (step == REMOTE_DONE)
			take_observed(r, h);
		return step;
	}
	return remote_break(r, "an unknown header");
}

/* --- begin and end --- */

/* The state of the generator of random.c, which js/tier/random.js goes on with. */
static void
write_random(struct buf *b, const char *key, const struct run *run)
{
	struct buf hex;

	buf_init(&hex, 100);
	enc_hex(&hex, str_of(run->rng, sizeof run->rng));
	json_key(b, key);
	json_write_str(b, buf_str(&hex));
	buf_clear(&hex);
}

void
remote_request(struct remote *r, struct buf *b)
{
	static const char *const kinds[] = { "query", "mutation", "action", "http" };
	struct buf               args;

	buf_init(&args, BUF_MAX_DEFAULT);
	if (is_http(r))
		buf_add(&args, r->req->http->json);
	else
		vjson_write(&args, r->req->args, VJSON_ENCODED);
	buf_fmt(b, "{\"kind\":\"%s\",\"entry\":", kinds[r->req->kind]);
	json_write_str(b, r->req->module);
	buf_addz(b, ",\"function\":");
	json_write_str(b, r->req->function);
	buf_addz(b, ",\"args\":");
	json_write_str(b, buf_str(&args));
	if (is_http(r)) {
		buf_addz(b, ",\"method\":");
		json_write_str(b, r->req->http->method);
		buf_addz(b, ",\"path\":");
		json_write_str(b, r->req->http->path);
	}
	buf_fmt(b, ",\"importMs\":%.0f,\"nowMs\":%.0f", r->import.now_ms, r->execute.now_ms);
	buf_fmt(b, ",\"firstOp\":%u", r->req->first_op);
	write_random(b, "importState", &r->import);
	write_random(b, "state", &r->execute);
	buf_addz(b, "}");
	buf_clear(&args);
}

static void
set_up(struct remote *r, struct isolate *iso, const struct run_request *req,
    struct run_result *ret)
{
	r->req = req;
	r->ret = ret;
	r->import = (struct run){ .req = req, .res = ret, .arena = req->arena, .txn = req->txn,
		.cpu_limit_ns = iso->opts.user_time_ns,
		.system_limit_ns = run_system_limit(iso, req) };
	if (is_action(r)) {
		r->txn = r->import.txn = req->import_txn(req->import_arg);
		r->action = (struct action){ .en = &r->en, .req = req, .ret = ret,
			.deadline_ns = os_mono_ns(iso->opts.os) + req->action_ns,
			.next_id = req->first_op };
		r->import.action = &r->action; /* for the variables */
	}
	r->execute = r->import;
	if (is_action(r))
		r->execute.txn = NULL;
	r->en = (struct engine){ .iso = iso, .env = ENV_UDF, .phase = PHASE_IMPORT,
		.run = &r->import, .im = image_new() };
	r->en.im->entry = req->module;
	r->scratch = arena_new();
}

static void
tear_down(struct remote *r)
{
	end_txn(r);
	image_free(r->en.im);
	arena_free(r->scratch);
}

status
remote_begin(struct isolate *iso, const struct run_request *req, struct run_result *ret,
    struct remote **out, struct err *e)
{
	struct remote *r = ARENA_NEW(req->arena, struct remote);
	status         st;

	ret->ok = false;
	ret->value = VAL_NONE;
	ret->error_data = str_of(NULL, 0);
	set_up(r, iso, req, ret);
	st = image_read_config(r->en.im, r->import.txn, e);
	if (st != ST_OK) {
		tear_down(r);
		return st;
	}
	image_import_settings(r->en.im, &r->import);
	run_seed(&r->execute, req->seed);
	r->execute.now_ms = (double)(req->now_ns / 1000000);
	*out = r;
	return ST_OK;
}

status
remote_end(struct remote *r, struct err *e)
{
	const struct err *fatal =
	    r->execute.fatal.st != ST_OK ? &r->execute.fatal : &r->import.fatal;
	status st = fatal->st == ST_OK ? ST_OK : err_copy(e, fatal);

	if (is_action(r))
		action_finish(&r->action);
	tear_down(r);
	return st;
}
