/* api_batch.c - queries at one moment: query_ts, query_at_ts, query_batch (spec 01 section 9.1).
 *
 * Thread: the loop thread: handlers while reading, the rest in the core's turn.
 * Memory: the exchange's arena; results are kept until the last one is there.
 */
#include "base/enc.h"
#include "base/json.h"
#include "net/api_int.h"

#define BATCH_MAX 1000 /* queries in one request */

/* --- query_ts --- */

struct ts_wait {
	struct api           *api;
	struct http_exchange *x;
};

static void
ts_durable(void *arg)
{
	struct ts_wait *w = arg;

	http_reply_json(w->x, 200);
	api_answer(w->api, w->x);
}

/* A timestamp that a crash could take back must not be shown (spec 01 section 5, rule 7). */
static void
run_query_ts(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct ts_wait       *w = x->state;
	ts_t                  ts = db_pin_latest(w->api->opts.db);

	if (!api_enter(w->api, x))
		return;
	buf_addz(&x->reply, "{\"ts\":\"");
	enc_u64_base64(&x->reply, ts);
	buf_addz(&x->reply, "\"}");
	(void)runner_when_durable(w->api->opts.runner, ts, ts_durable, w);
}

void
api_query_ts(struct api *a, struct http_exchange *x)
{
	struct ts_wait *w = ARENA_NEW(x->arena, struct ts_wait);

	w->api = a;
	w->x = x;
	x->state = w;
	api_post(a, x, run_query_ts);
}

/* --- several queries, or one, at one snapshot --- */

struct batch {
	struct api           *api;
	struct http_exchange *x;
	bool                  single;  /* query_at_ts: the result itself, not a list */
	ts_t                  ts;      /* query_at_ts */
	size_t                n, left;
	struct batch_item {
		struct batch     *batch;
		struct api_call   call;
		struct fn_result *result; /* one reference */
	} *items;
};

static void
release_results(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		fn_result_unref(b->items[i].result);
}

/* An error of one item, or a wrong format, fails the whole request. */
static bool
batch_failed(struct batch *b)
{
	struct err e = err_in(b->x->arena);

	for (size_t i = 0; i < b->n; i++) {
		const struct batch_item *it = &b->items[i];

		if (it->result->st != ST_OK) {
			http_reply_error(b->x, status_http(it->result->st), it->result->code,
			    it->result->text);
			return true;
		}
		if (it->call.bad_format) {
			api_bad_format(it->call.format, &e);
			http_reply_err(b->x, &e);
			return true;
		}
	}
	return false;
}

static void
batch_finish(struct batch *b)
{
	struct http_exchange *x = b->x;

	if (!batch_failed(b)) {
		if (!b->single)
			buf_addz(&x->reply, "{\"results\":[");
		for (size_t i = 0; i < b->n; i++) {
			json_comma(&x->reply);
			fn_result_write(&x->reply, b->items[i].result);
		}
		if (!b->single)
			buf_addz(&x->reply, "]}");
		http_reply_json(x, 200);
	}
	release_results(b);
	api_answer(b->api, x);
}

static void
item_done(void *arg, struct fn_result *r)
{
	struct batch_item *it = arg;

	it->result = fn_result_ref(r);
	if (--it->batch->left == 0)
		batch_finish(it->batch);
}

static void
batch_start(struct batch *b, struct snapshot *at)
{
	b->left = b->n;
	for (size_t i = 0; i < b->n; i++)
		(void)runner_query_at(b->api->opts.runner, b->items[i].call.call, at, item_done,
		    &b->items[i]);
}

static void
run_batch(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct batch         *b = x->state;
	struct snapshot      *at = NULL;
	struct err            e = err_in(x->arena);
	status                st = ST_OK;

	if (!api_enter(b->api, x))
		return;
	if (b->single)
		st = db_snapshot_at(b->api->opts.db, b->ts, &at, &e);
	else
		at = runner_snapshot(b->api->opts.runner);
	if (st != ST_OK) {
		http_reply_err(x, &e);
		api_answer(b->api, x);
	} else if (b->n == 0) {
		batch_finish(b);
	} else {
		batch_start(b, at);
	}
	snapshot_unref(at);
}

/* --- handlers, while reading --- */

static struct batch *
batch_new(struct api *a, struct http_exchange *x, size_t n)
{
	struct batch *b = ARENA_NEW(x->arena, struct batch);

	b->api = a;
	b->x = x;
	b->n = n;
	b->items = ARENA_ARRAY(x->arena, struct batch_item, n ? n : 1);
	for (size_t i = 0; i < n; i++)
		b->items[i].batch = b;
	x->state = b;
	return b;
}

static status
prepare_at_ts(struct api *a, struct http_exchange *x, struct identity *id, struct err *e)
{
	const struct json *body = NULL;
	struct batch      *b = batch_new(a, x, 1);
	str                ts;

	TRY(api_json(x, &body, e));
	TRY(api_member_str(body, "ts", &ts, e));
	b->single = true;
	if (!dec_u64_base64(ts, &b->ts) || b->ts > TS_MAX)
		return err_internal(
		    e, "query_at_ts: '%.*s' is not a timestamp", STR_ARG(str_head(ts, 64)));
	return api_call_make(a, x, id, body, WANT_QUERY, &b->items[0].call, e);
}

static status
prepare_batch(struct api *a, struct http_exchange *x, struct identity *id, struct err *e)
{
	const struct json *body = NULL, *queries;
	struct batch      *b;

	TRY(api_json(x, &body, e));
	queries = json_get(body, "queries");
	if (!queries || queries->kind != JSON_ARRAY)
		return api_members_missing("queries", e);
	if (queries->n > BATCH_MAX)
		return err_set(e, ST_BAD_REQUEST, "TooManyQueries",
		    "query_batch takes at most %d queries, not %zu", BATCH_MAX, queries->n);
	b = batch_new(a, x, queries->n);
	for (size_t i = 0; i < queries->n; i++)
		TRY(api_call_make(a, x, id, &queries->items[i], WANT_QUERY, &b->items[i].call, e));
	return ST_OK;
}

static void
submit(struct api *a, struct http_exchange *x,
    status (*prepare)(struct api *, struct http_exchange *, struct identity *, struct err *))
{
	struct identity *id = NULL;
	struct err       e = err_in(x->arena);
	status           st = api_identity(a, x, &id, &e);

	if (st == ST_OK)
		st = prepare(a, x, id, &e);
	identity_unref(id);
	if (st == ST_OK) {
		api_post(a, x, run_batch);
		return;
	}
	api_fail(x, &e);
}

void
api_query_at_ts(struct api *a, struct http_exchange *x)
{
	submit(a, x, prepare_at_ts);
}

void
api_query_batch(struct api *a, struct http_exchange *x)
{
	submit(a, x, prepare_batch);
}
