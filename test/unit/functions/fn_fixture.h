/* fn_fixture.h - a whole core in one thread: database in memory, runner, one worker without an
 * isolate, and a small application of native functions.
 *
 * Time stands still but for a microsecond at each look; dice come from a seed; jobs and disk
 * writes happen when the test says so.
 *
 * Thread: the test's.  Memory: the fixture's arena.
 */
#ifndef TEST_UNIT_FUNCTIONS_FN_FIXTURE_H
#define TEST_UNIT_FUNCTIONS_FN_FIXTURE_H

#include "test.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "database/query.h"
#include "functions/runner.h"

struct world {
	uint64_t          now_ns, dice;
	struct os         os;
	struct arena     *arena;
	struct db        *db;
	struct functions *functions;
	struct fn_worker *worker;
	struct runner    *runner;
	VEC(struct job *) jobs;    /* submitted, in order */
	bool              woken;   /* a flush is due */
	size_t            runs;    /* function runs that came back */
	size_t            cached;
	bool              disk_off, workers_off;
};

/* --- the machine --- */

static inline uint64_t
world_now(void *arg)
{
	struct world *w = arg;

	return w->now_ns += 1000;
}

static inline void
world_random(void *arg, void *ret, size_t n)
{
	struct world *w = arg;

	for (size_t i = 0; i < n; i++) {
		w->dice = w->dice * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)ret)[i] = (uint8_t)(w->dice >> 56);
	}
}

static inline void
world_submit(void *arg, struct job *j)
{
	struct world *w = arg;

	vec_push(&w->jobs, j);
}

static inline void
world_wake(void *arg)
{
	((struct world *)arg)->woken = true;
}

static inline void
world_finished(void *arg, const struct fn_call *c, const struct fn_result *r, bool cached)
{
	struct world *w = arg;

	(void)c, (void)r;
	w->runs += !cached;
	w->cached += cached;
}

/* --- the application --- */

/* The one row of `table`; NULL: none. */
static inline status
app_row(const struct native_call *c, str table, struct doc **ret, struct err *e)
{
	const struct query_spec spec = { .source = QUERY_FULL_SCAN, .table = table };
	struct query           *q;

	TRY(query_open(c->txn, &spec, &q, e));
	TRY(query_next(q, ret, e));
	query_close(q);
	return ST_OK;
}

static inline struct val
app_number(struct arena *a, double d)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_float64(&p, d);
	CHECK_EQ(pack_done_in(&p, a, &v, NULL), ST_OK);
	pack_clear(&p);
	return v;
}

static inline struct val
app_string(struct arena *a, str s)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_str(&p, s);
	CHECK_EQ(pack_done_in(&p, a, &v, NULL), ST_OK);
	pack_clear(&p);
	return v;
}

/* {name: v} */
static inline struct val
app_object(struct arena *a, str name, struct val v)
{
	struct pack p;
	struct val  ret;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, name);
	pack_val(&p, v);
	pack_end(&p);
	CHECK_EQ(pack_done_in(&p, a, &ret, NULL), ST_OK);
	pack_clear(&p);
	return ret;
}

/* The counter named by args.name, or "counters". */
static inline str
app_counter(const struct native_call *c)
{
	struct val name = val_get(c->args, S("name"));

	return val_kind(name) == VAL_STRING ? val_str(name) : S("counters");
}

static inline status
app_get(const struct native_call *c, struct val *ret, struct err *e)
{
	struct doc *d;

	TRY(app_row(c, app_counter(c), &d, e));
	*ret = app_number(c->arena, d ? val_float64(val_get(doc_val(d), S("n"))) : 0);
	return ST_OK;
}

static inline status
app_add(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val   by = val_get(c->args, S("n"));
	char         id[ID_TEXT_MAX];
	struct doc  *d;
	struct docid fresh;
	double       n;

	TRY(app_row(c, app_counter(c), &d, e));
	n = val_kind(by) == VAL_FLOAT64 ? val_float64(by) : 1;
	*ret = val_null;
	if (!d)
		return txn_insert(c->txn, app_counter(c),
		    app_object(c->arena, S("n"), app_number(c->arena, n)), &fresh, e);
	id_format(d->id, id);
	n += val_float64(val_get(doc_val(d), S("n")));
	return txn_patch(c->txn, STR_EMPTY, str_z(id),
	    app_object(c->arena, S("n"), app_number(c->arena, n)), &d, e);
}

/* true once the counter passed args.n: changes of what it read need not change it. */
static inline status
app_above(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val n;

	TRY(app_get(c, &n, e));
	*ret = val_float64(n) > val_float64(val_get(c->args, S("n"))) ? val_true : val_false;
	return ST_OK;
}

static inline status
app_send(const struct native_call *c, struct val *ret, struct err *e)
{
	struct docid id;
	struct val   body = val_get(c->args, S("body"));

	if (!val_some(body))
		return err_set(e, ST_BAD_REQUEST, "AppError", "no body");
	TRY(txn_insert(c->txn, S("messages"), app_object(c->arena, S("body"), body), &id, e));
	*ret = val_null;
	return ST_OK;
}

static inline status
app_list(const struct native_call *c, struct val *ret, struct err *e)
{
	const struct query_spec spec = { .source = QUERY_FULL_SCAN, .table = S("messages") };
	struct query           *q;
	struct pack             p;
	struct doc             *d;
	status                  st;

	TRY(query_open(c->txn, &spec, &q, e));
	pack_init(&p);
	pack_array(&p);
	while ((st = query_next(q, &d, e)) == ST_OK && d)
		pack_val(&p, val_get(doc_val(d), S("body")));
	pack_end(&p);
	if (st == ST_OK)
		st = pack_done_in(&p, c->arena, ret, e);
	pack_clear(&p);
	return st;
}

/* Writes, then fails: nothing may remain. */
static inline status
app_write_and_fail(const struct native_call *c, struct val *ret, struct err *e)
{
	TRY(app_add(c, ret, e));
	return err_set(e, ST_BAD_REQUEST, "AppError", "Uncaught Error: no");
}

static inline status
app_fail_data(const struct native_call *c, struct val *ret, struct err *e)
{
	status st = err_set(e, ST_BAD_REQUEST, "AppError", "Uncaught ConvexError: null");

	(void)c, (void)ret;
	if (e)
		e->data = S("null");
	return st;
}

/* Prints how often it ran; the value never changes. */
static inline status
app_log(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val     n;
	str            text;
	struct logline line = { .level = LINE_LOG, .nmessages = 1, .messages = &text };

	TRY(app_get(c, &n, e));
	text = arena_fmt(c->arena, "n is %d", (int)val_float64(n));
	loglines_add(&c->res->logs, &line);
	*ret = val_null;
	return ST_OK;
}

static inline status
app_who(const struct native_call *c, struct val *ret, struct err *e)
{
	(void)e;
	c->res->observed_identity = true;
	*ret = app_string(c->arena, blob_str(c->identity->label));
	return ST_OK;
}

/* args.n characters of three bytes each. */
static inline status
app_big(const struct native_call *c, struct val *ret, struct err *e)
{
	size_t     n = (size_t)val_float64(val_get(c->args, S("n")));
	struct buf b;

	(void)e;
	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < n; i++)
		buf_addz(&b, "\xe2\x82\xac");
	*ret = app_string(c->arena, buf_str(&b));
	buf_clear(&b);
	return ST_OK;
}

/* Writes, then answers more than a function may. */
static inline status
app_add_and_big(const struct native_call *c, struct val *ret, struct err *e)
{
	struct native_call big = *c;

	TRY(app_add(c, ret, e));
	big.args = app_object(c->arena, S("n"), app_number(c->arena, 6000000));
	return app_big(&big, ret, e);
}

static inline status
app_time(const struct native_call *c, struct val *ret, struct err *e)
{
	(void)e;
	c->res->observed_time = true;
	*ret = app_number(c->arena, 1);
	return ST_OK;
}

/* The commit timestamp, pending until the commit. */
static inline status
app_pending(const struct native_call *c, struct val *ret, struct err *e)
{
	struct pack p;

	(void)e;
	pack_init(&p);
	pack_commit_ts(&p);
	CHECK_EQ(pack_done_in(&p, c->arena, ret, NULL), ST_OK);
	pack_clear(&p);
	return ST_OK;
}

static inline status
app_commit_ts(const struct native_call *c, struct val *ret, struct err *e)
{
	TRY(app_add(c, ret, e));
	return app_pending(c, ret, e);
}

/* Answers with the journal that it was given; leaves one that names the counter. */
static inline status
app_page(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val n;

	TRY(app_get(c, &n, e));
	*ret = app_string(c->arena, c->call->journal.p ? c->call->journal : S("none"));
	c->res->journal = arena_fmt(c->arena, "j%d", (int)val_float64(n));
	return ST_OK;
}

/* Lets another commit touch what it read, args.times times in all: conflicts on purpose. */
static inline status
app_contended(const struct native_call *c, struct val *ret, struct err *e)
{
	static bool      started;
	static int       left;
	struct db       *db = snapshot_db(txn_snapshot(c->txn));
	struct txn_opts  o = { .snapshot = db_snapshot(db), .writable = true,
		 .writer = S("other.js:write") };
	struct txn      *t;
	struct conflict  conflict;
	struct native_call other = *c;
	ts_t             ts;

	TRY(app_add(c, ret, e));
	if (!started)
		left = (int)val_float64(val_get(c->args, S("times")));
	started = true;
	t = txn_begin(&o);
	other.txn = t;
	if (left-- > 0) {
		CHECK_EQ(app_add(&other, ret, e), ST_OK);
		CHECK_EQ(txn_commit(t, &ts, &conflict, e), ST_OK);
	}
	txn_free(t);
	return ST_OK;
}

static inline status
app_infra(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val n;

	(void)ret;
	TRY(app_get(c, &n, e));
	if (val_float64(n) > 0) {
		*ret = val_null;
		return ST_OK;
	}
	return err_set(e, ST_OVERLOADED, "ExecuteFullError", "too much");
}

static const struct native_fn app[] = {
	{ "counter.js:get", UDF_QUERY, app_get, NULL },
	{ "counter.js:add", UDF_MUTATION, app_add, NULL },
	{ "counter.js:above", UDF_QUERY, app_above, NULL },
	{ "counter.js:addAndFail", UDF_MUTATION, app_write_and_fail, NULL },
	{ "counter.js:addAndBig", UDF_MUTATION, app_add_and_big, NULL },
	{ "counter.js:log", UDF_QUERY, app_log, NULL },
	{ "counter.js:commitTs", UDF_MUTATION, app_commit_ts, NULL },
	{ "counter.js:pending", UDF_QUERY, app_pending, NULL },
	{ "counter.js:contended", UDF_MUTATION, app_contended, NULL },
	{ "page.js:list", UDF_QUERY, app_page, NULL },
	{ "messages.js:list", UDF_QUERY, app_list, NULL },
	{ "messages.js:send", UDF_MUTATION, app_send, NULL },
	{ "fail.js:data", UDF_QUERY, app_fail_data, NULL },
	{ "fail.js:dataMutation", UDF_MUTATION, app_fail_data, NULL },
	{ "fail.js:overloaded", UDF_QUERY, app_infra, NULL },
	{ "who.js:get", UDF_QUERY, app_who, NULL },
	{ "big.js:get", UDF_QUERY, app_big, NULL },
	{ "time.js:get", UDF_QUERY, app_time, NULL },
	{ "actions.js:run", UDF_ACTION, app_time, NULL },
	{ "_system/cli/tables.js:default", UDF_QUERY, app_list, NULL },
};

/* --- life --- */

static inline void
world_open(struct world *w, bool redact)
{
	struct db_opts     dbo;
	struct runner_opts ro = { 0 };
	struct err         e = err_in(NULL);

	memset(w, 0, sizeof *w);
	memset(&dbo, 0, sizeof dbo);
	w->now_ns = 1754500000000000000u;
	w->dice = 42;
	w->arena = arena_new();
	w->os = (struct os){ .arg = w, .now_ns = world_now, .mono_ns = world_now,
		.random = world_random };
	dbo.os = &w->os;
	store_open_memory(&dbo.store);
	dbo.instance_name = S("carnitas");
	CHECK_EQ(db_open(&dbo, &w->db, &e), ST_OK);
	w->functions = functions_new(&(struct functions_opts){ .db = w->db, .natives = app,
	    .nnatives = COUNT_OF(app), .instance_name = S("carnitas"), .redact = redact });
	w->worker = fn_worker_new(w->functions, NULL);
	ro.functions = w->functions;
	ro.executor = (struct executor){ .arg = w, .submit = world_submit };
	ro.os = &w->os;
	ro.on_finished = world_finished;
	ro.on_finished_arg = w;
	ro.on_deferred = world_wake;
	ro.on_deferred_arg = w;
	w->runner = runner_new(&ro);
}

/* One job, oldest first; false: none. */
static inline bool
world_job(struct world *w)
{
	struct job *j;

	if (w->jobs.n == 0)
		return false;
	j = w->jobs.v[0];
	w->jobs.n--;
	memmove(w->jobs.v, w->jobs.v + 1, w->jobs.n * sizeof *w->jobs.v);
	job_run(j, w->worker);
	runner_job_done(w->runner, j);
	return true;
}

/* Everything committed so far reaches the disk; false: nothing was waiting. */
static inline bool
world_disk(struct world *w)
{
	struct pending_batch *b = db_take_batch(w->db, 1000);
	struct err            e = err_in(NULL);

	if (!b)
		return false;
	CHECK_EQ(db_write_batch(w->db, b, &e), ST_OK);
	runner_durable(w->runner);
	return true;
}

static inline bool
world_flush(struct world *w)
{
	if (!w->woken)
		return false;
	w->woken = false;
	runner_flush(w->runner);
	return true;
}

/* Until nothing moves any more. */
static inline void
world_settle(struct world *w)
{
	runner_commits(w->runner);
	while (world_flush(w) || (!w->workers_off && world_job(w)) ||
	    (!w->disk_off && world_disk(w)))
		runner_check(w->runner);
}

static inline void
world_close(struct world *w)
{
	w->disk_off = w->workers_off = false;
	world_settle(w);
	CHECK_EQ(runner_busy(w->runner), 0);
	runner_free(w->runner);
	fn_worker_free(w->worker);
	functions_free(w->functions);
	db_close(w->db);
	vec_clear(&w->jobs);
	arena_free(w->arena);
}

static inline struct fn_call *
world_call(struct world *w, enum fn_want want, str path, str args)
{
	struct fn_call *c = fn_call_new();

	c->want = want;
	CHECK_EQ(fn_path_parse(c->arena, path, &c->path, NULL), ST_OK);
	c->args_json = arena_str(c->arena, args);
	c->identity = identity_none();
	c->caller = CALLER_HTTP_API;
	c->request_id = fn_request_id(c->arena, &w->os);
	return c;
}

/* Runs one call on the worker, without the runner. */
static inline struct fn_result *
world_run(struct world *w, enum fn_want want, str path, str args)
{
	struct fn_call   *c = world_call(w, want, path, args);
	struct fn_result *r = fn_worker_run(w->worker, c, NULL);

	fn_call_unref(c);
	return r;
}

#endif
