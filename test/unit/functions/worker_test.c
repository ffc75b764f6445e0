/* worker_test.c - one call from its transaction to its result (spec 04 sections 2.1 to 2.4,
 * spec 03 section 5.7, spec 01 sections 6.1 and 11.3). */
#include <stdatomic.h>

#include "fn_fixture.h"
#include "value/vjson.h"

static str
tail(str error) /* without "[Request ID: 0123456789abcdef] " */
{
	CHECK(str_starts(error, S("[Request ID: ")));
	CHECK_EQ(error.p[29], ']');
	return str_from(error, 31);
}

/* Writes a _modules row as a push does; `functions` is the JSON of analyzeResult.functions. */
static void
put_module(struct world *w, str path, str functions)
{
	struct txn     *t = txn_begin(
		&(struct txn_opts){ .snapshot = db_snapshot(w->db), .writable = true,
		    .writer = S("test") });
	struct val      key = app_string(w->arena, path), v;
	struct doc     *old;
	struct docid    id;
	struct conflict conflict;
	ts_t            ts;
	struct err      e = err_in(w->arena);

	CHECK_EQ(vjson_parse(w->arena,
		     arena_fmt(w->arena,
			 "{\"path\":\"%.*s\",\"environment\":\"isolate\",\"analyzeResult\":"
			 "{\"functions\":%.*s}}",
			 STR_ARG(path), STR_ARG(functions)),
		     VJSON_PLAIN, &v, &e),
	    ST_OK);
	CHECK_EQ(txn_sys_first(t, S("_modules"), S("by_path"), &key, 1, &old, &e), ST_OK);
	if (old)
		CHECK_EQ(txn_sys_replace(t, old->id, v, &e), ST_OK);
	else
		CHECK_EQ(txn_sys_insert(t, S("_modules"), v, &id, &e), ST_OK);
	CHECK_EQ(txn_commit(t, &ts, &conflict, &e), ST_OK);
	txn_free(t);
	while (world_disk(w))
		continue;
}

static const char module_functions[] =
    "[{\"name\":\"list\",\"udfType\":\"Query\",\"visibility\":{\"kind\":\"public\"},"
    "\"args\":\"{\\\"type\\\":\\\"object\\\",\\\"value\\\":{\\\"a\\\":{\\\"fieldType\\\":"
    "{\\\"type\\\":\\\"number\\\"},\\\"optional\\\":false}}}\",\"returns\":\"null\"},"
    "{\"name\":\"hidden\",\"udfType\":\"Query\",\"visibility\":{\"kind\":\"internal\"},"
    "\"args\":\"{\\\"type\\\":\\\"any\\\"}\",\"returns\":null},"
    "{\"name\":\"act\",\"udfType\":\"Action\",\"visibility\":{\"kind\":\"public\"},"
    "\"args\":null,\"returns\":null}]";

/* Spec 04 section 2.1: the checks before anything runs, each with its text. */
TEST(refusals_have_their_texts)
{
	const struct {
		const char  *why;
		enum fn_want want;
		const char  *path, *args, *error;
	} rows[] = {
		{ "no module", WANT_QUERY, "nope:f", "{}",
		    "Server Error\nCould not find public function for 'nope:f'.\n" },
		{ "no function", WANT_QUERY, "m:nope", "{}",
		    "Server Error\nCould not find public function for 'm:nope'.\n" },
		{ "default export", WANT_QUERY, "nope", "{}",
		    "Server Error\nCould not find public function for 'nope'.\n" },
		{ "internal function", WANT_QUERY, "m:hidden", "{}",
		    "Server Error\nCould not find public function for 'm:hidden'.\n" },
		{ "system function", WANT_QUERY, "_system/cli/tables", "{}",
		    "Server Error\nCould not find public function for '_system/cli/tables'.\n" },
		{ "wrong type", WANT_MUTATION, "m:list", "{}",
		    "Server Error\nTrying to execute m.js:list as Mutation, but it is defined as "
		    "Query.\n" },
		{ "wrong type, native", WANT_QUERY, "counter:add", "{}",
		    "Server Error\nTrying to execute counter.js:add as Query, but it is defined as "
		    "Mutation.\n" },
		{ "missing argument", WANT_QUERY, "m:list", "{}",
		    "Server Error\nArgumentValidationError: Object is missing the required field "
		    "`a`. Consider wrapping the field validator in `v.optional(...)` if this is "
		    "expected.\n\nObject: {}\nValidator: v.object({a: v.float64()})\n" },
		{ "wrong argument", WANT_QUERY, "m:list", "{\"a\":\"x\"}",
		    "Server Error\nArgumentValidationError: Value does not match validator.\n"
		    "Path: .a\nValue: \"x\"\nValidator: v.float64()\n" },
		{ "argument that is no object", WANT_QUERY, "m:list", "[\"x\"]",
		    "Server Error\nArgumentValidationError: Expected to receive an object as the "
		    "function's argument. Instead received: \"x\"\n" },
		{ "no value at all", WANT_QUERY, "m:list", "[{\"a\":{\"$integer\":\"x\"}}]", NULL },
		{ "reserved name", WANT_QUERY, "m:list", "[{\"$a\":1}]",
		    "Server Error\nInvalid arguments for m.js:list: Field name $a starts with '$', "
		    "which is reserved.\n" },
		{ "action", WANT_ACTION, "m:act", "{}",
		    "Server Error\nActions are not supported by this server yet.\n" },
	};
	struct world w;

	world_open(&w, false);
	put_module(&w, S("m.js"), S(module_functions));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fn_result *r =
		    world_run(&w, rows[i].want, str_z(rows[i].path), str_z(rows[i].args));

		fprintf(stderr, "  %s\n", rows[i].why);
		CHECK_EQ(r->st, ST_OK);
		CHECK(!r->ok);
		if (rows[i].error)
			CHECK_STRZ(tail(r->error), rows[i].error);
		else
			CHECK(str_starts(tail(r->error),
			    S("Server Error\nInvalid arguments for m.js:list: ")));
		fn_result_unref(r);
	}
	world_close(&w);
}

/* An admin sees internal functions, a read-only one those that only read; the tester hears
 * about a missing function in the words that the CLI looks for. */
TEST(visibility_depends_on_the_caller)
{
	struct world      w;
	struct fn_call   *c;
	struct fn_result *r;

	world_open(&w, false);
	put_module(&w, S("m.js"), S(module_functions));
	c = world_call(&w, WANT_ANY, S("m:nope"), S("{}"));
	c->as_http_missing = true;
	r = fn_worker_run(w.worker, c, NULL);
	CHECK_STRZ(tail(r->error),
	    "Server Error\nCould not find function for 'm:nope'. Did you forget to run `npx convex "
	    "dev`?\n");
	fn_result_unref(r);
	fn_call_unref(c);

	c = world_call(&w, WANT_QUERY, S("_system/cli/tables"), S("{}"));
	identity_unref(c->identity);
	c->identity = identity_system();
	r = fn_worker_run(w.worker, c, NULL);
	CHECK(r->ok);
	CHECK_STRZ(r->value_json, "[]");
	fn_result_unref(r);
	fn_call_unref(c);
	world_close(&w);
}

/* A paused deployment refuses functions; the state is in the read set, so that live queries
 * recover on their own. */
TEST(paused_deployment_refuses)
{
	struct world      w;
	struct txn       *t;
	struct doc       *d;
	struct val        v;
	struct conflict   conflict;
	struct fn_result *r;
	ts_t              ts;

	world_open(&w, false);
	put_module(&w, S("m.js"), S(module_functions));
	r = world_run(&w, WANT_QUERY, S("nope:f"), S("{}"));
	t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w.db), .writable = true });
	CHECK_EQ(txn_sys_first(t, S("_backend_state"), S("by_creation_time"), NULL, 0, &d, NULL),
	    ST_OK);
	CHECK(d != NULL);
	CHECK_EQ(vjson_parse(w.arena,
		     S("{\"system\":\"none\",\"usage_limit\":\"none\",\"user\":\"paused\"}"),
		     VJSON_PLAIN, &v, NULL),
	    ST_OK);
	CHECK_EQ(txn_sys_replace(t, d->id, v, NULL), ST_OK);
	CHECK_EQ(txn_commit(t, &ts, &conflict, NULL), ST_OK);
	txn_free(t);
	CHECK(db_changed(w.db, r->reads, r->ts, ts, NULL));
	fn_result_unref(r);

	r = world_run(&w, WANT_QUERY, S("m:list"), S("{\"a\":1}"));
	CHECK_STRZ(tail(r->error),
	    "Server Error\nCannot run functions while this deployment is paused. Resume the "
	    "deployment in the dashboard settings to allow functions to run.\n");
	fn_result_unref(r);
	world_close(&w);
}

/* A function that a push brings makes the failed call of before outdated. */
TEST(missing_function_depends_on_modules)
{
	struct world      w;
	struct fn_result *r;

	world_open(&w, false);
	r = world_run(&w, WANT_QUERY, S("m:list"), S("{}"));
	CHECK(!r->ok);
	CHECK(r->reads != NULL);
	CHECK(!db_changed(w.db, r->reads, r->ts, db_latest_ts(w.db), NULL));
	put_module(&w, S("m.js"), S(module_functions));
	CHECK(db_changed(w.db, r->reads, r->ts, db_latest_ts(w.db), NULL));
	fn_result_unref(r);
	world_close(&w);
}

TEST(queries_and_mutations_run)
{
	struct world      w;
	struct fn_result *r;

	world_open(&w, false);
	r = world_run(&w, WANT_MUTATION, S("counter:add"), S("{\"n\":5}"));
	CHECK_EQ(r->st, ST_OK);
	CHECK(r->ok);
	CHECK_STRZ(r->value_json, "null");
	CHECK_EQ(r->ts, db_latest_ts(w.db));
	CHECK(r->reads == NULL);
	fn_result_unref(r);
	r = world_run(&w, WANT_QUERY, S("counter:get"), S("[{}]"));
	CHECK_STRZ(r->value_json, "5.0");
	CHECK(r->reads->n > 0);
	fn_result_unref(r);
	r = world_run(&w, WANT_ANY, S("counter:get"), S("{}"));
	CHECK_EQ(r->kind, UDF_QUERY);
	CHECK(r->ok);
	fn_result_unref(r);
	world_close(&w);
}

/* 01 checklist 14: a mutation that throws writes nothing. */
TEST(failed_mutations_leave_nothing)
{
	struct world      w;
	struct fn_result *r;
	ts_t              before;

	world_open(&w, false);
	before = db_latest_ts(w.db);
	r = world_run(&w, WANT_MUTATION, S("counter:addAndFail"), S("{}"));
	CHECK(!r->ok);
	CHECK_STRZ(tail(r->error), "Server Error\nUncaught Error: no\n");
	CHECK_EQ(db_latest_ts(w.db), before);
	fn_result_unref(r);
	world_close(&w);
}

/* 01 checklist 15 (the worker's part): ConvexError data, null included, with and without
 * redaction; a redacted result shows neither message nor log lines. */
TEST(redaction_hides_text_but_not_data)
{
	for (int redact = 0; redact < 2; redact++) {
		struct world      w;
		struct fn_result *r;

		world_open(&w, redact);
		r = world_run(&w, WANT_MUTATION, S("fail:dataMutation"), S("{}"));
		CHECK_STRZ(r->error_data, "null");
		CHECK_STRZ(tail(r->error),
		    redact ? "Server Error" : "Server Error\nUncaught ConvexError: null\n");
		fn_result_unref(r);
		r = world_run(&w, WANT_QUERY, S("counter:log"), S("{}"));
		CHECK_EQ(r->nlines, redact ? 0 : 1);
		CHECK_EQ(r->logs.lines.n, 1);
		if (!redact)
			CHECK_STRZ(r->lines[0], "[LOG] n is 0");
		fn_result_unref(r);
		world_close(&w);
	}
}

/* The hash tells results apart by value and log lines, not by request id. */
TEST(hash_ignores_the_request_id)
{
	struct world      w;
	struct fn_result *a, *b;

	world_open(&w, false);
	a = world_run(&w, WANT_QUERY, S("nope:f"), S("{}"));
	b = world_run(&w, WANT_QUERY, S("nope:f"), S("{}"));
	CHECK(!str_eq(a->error, b->error));
	CHECK(memcmp(a->hash, b->hash, sizeof a->hash) == 0);
	fn_result_unref(a);
	fn_result_unref(b);
	a = world_run(&w, WANT_QUERY, S("counter:log"), S("{}"));
	fn_result_unref(world_run(&w, WANT_MUTATION, S("counter:add"), S("{}")));
	b = world_run(&w, WANT_QUERY, S("counter:log"), S("{}"));
	CHECK_STR(a->value_json, b->value_json);
	CHECK(memcmp(a->hash, b->hash, sizeof a->hash) != 0);
	fn_result_unref(a);
	fn_result_unref(b);
	world_close(&w);
}

static struct fn_result *
run_request(struct world *w, str path, uint32_t request)
{
	struct fn_call   *c = world_call(w, WANT_MUTATION, path, S("{}"));
	struct fn_result *r;

	c->session_id = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
	c->session_request = request;
	r = fn_worker_run(w->worker, c, NULL);
	fn_call_unref(c);
	return r;
}

/* 03 checklist 33, spec 01 section 6.1: the same request again gives the stored answer and the
 * first commit's timestamp; another request runs; a failed one is not remembered. */
TEST(requests_happen_exactly_once)
{
	struct world      w;
	struct fn_result *first, *again, *r;

	world_open(&w, false);
	first = run_request(&w, S("counter:commitTs"), 7);
	CHECK(first->ok);
	again = run_request(&w, S("counter:commitTs"), 7);
	CHECK(again->ok);
	CHECK_EQ(again->ts, first->ts);
	CHECK_STR(again->value_json, first->value_json);
	CHECK(str_starts(again->value_json, S("{\"$integer\":")));
	r = run_request(&w, S("counter:commitTs"), 8);
	CHECK(r->ts > first->ts);
	fn_result_unref(r);
	r = world_run(&w, WANT_QUERY, S("counter:get"), S("{}"));
	CHECK_STRZ(r->value_json, "2.0");
	fn_result_unref(r);
	CHECK(!(r = run_request(&w, S("counter:addAndFail"), 9))->ok);
	fn_result_unref(r);
	CHECK((r = run_request(&w, S("counter:add"), 9))->ok);
	fn_result_unref(r);
	fn_result_unref(first);
	fn_result_unref(again);
	world_close(&w);
}

/* 03 checklist 32: four retries at once, each on a new snapshot; then the error of spec 03
 * section 5.7, which names table, writer and document. */
TEST(conflicts_are_retried_four_times)
{
	struct world      w;
	struct fn_result *r;
	struct fn_call   *c;

	world_open(&w, false);
	fn_result_unref(world_run(&w, WANT_MUTATION, S("counter:add"), S("{}")));
	c = world_call(&w, WANT_MUTATION, S("counter:contended"), S("{\"times\":9}"));
	r = fn_worker_run(w.worker, c, NULL);
	CHECK_EQ(r->st, ST_OCC);
	CHECK_STRZ(r->code, "OptimisticConcurrencyControlFailure");
	CHECK(str_starts(r->text,
	    S("Documents read from or written to the \"counters\" table changed while this "
	      "mutation was being run and on every subsequent retry. A call to "
	      "\"other.js:write\" changed the document with ID \"")));
	CHECK(str_ends(r->text, S("\". See https://docs.convex.dev/error#1")));
	CHECK_STRZ(str_z(r->conflict->table), "counters");
	CHECK_STRZ(str_z(r->conflict->index), "by_creation_time");
	CHECK_STRZ(str_z(r->conflict->writer), "other.js:write");
	CHECK(r->conflict->doc[0]);
	CHECK_EQ(r->retries, 4);
	CHECK(!atomic_load(&c->committing));
	fn_result_unref(r);
	/* Four conflicts are left to come; the fifth attempt gets through. */
	r = fn_worker_run(w.worker, c, NULL);
	CHECK_EQ(r->st, ST_OK);
	CHECK(r->ok);
	CHECK(atomic_load(&c->committing));
	CHECK_EQ(atomic_load(&c->commit_ts), r->ts);
	fn_result_unref(r);
	fn_call_unref(c);
	r = world_run(&w, WANT_QUERY, S("counter:get"), S("{}"));
	CHECK_STRZ(r->value_json, "11.0");
	fn_result_unref(r);
	world_close(&w);
}

/* Errors that are not the function's come back as the server's. */
TEST(server_errors_are_not_results)
{
	struct world      w;
	struct fn_result *r;

	world_open(&w, false);
	r = world_run(&w, WANT_QUERY, S("fail:overloaded"), S("{}"));
	CHECK_EQ(r->st, ST_OVERLOADED);
	CHECK_STRZ(r->code, "ExecuteFullError");
	fn_result_unref(r);
	world_close(&w);
}

/* Spec 04 sections 2.3 and 2.8: results beyond 16 MiB fail, beyond 80 % of it they warn. */
TEST(large_results_warn_then_fail)
{
	struct world      w;
	struct fn_result *r;

	world_open(&w, false);
	r = world_run(&w, WANT_QUERY, S("big:get"), S("{\"n\":4600000}"));
	CHECK(r->ok);
	CHECK_EQ(r->nlines, 1);
	CHECK_STRZ(r->lines[0],
	    "[WARN] Large size of the function return value (actual: 13800002 bytes, limit: "
	    "16777216 bytes).");
	fn_result_unref(r);
	r = world_run(&w, WANT_QUERY, S("big:get"), S("{\"n\":6000000}"));
	CHECK_STRZ(tail(r->error),
	    "Server Error\nFunction big.js:get return value is too large (actual: 17.17 MiB, "
	    "limit: 16 MiB)\n");
	fn_result_unref(r);
	world_close(&w);
}

TEST_RUN(T(refusals_have_their_texts), T(visibility_depends_on_the_caller),
    T(paused_deployment_refuses), T(missing_function_depends_on_modules),
    T(queries_and_mutations_run), T(failed_mutations_leave_nothing),
    T(redaction_hides_text_but_not_data), T(hash_ignores_the_request_id),
    T(requests_happen_exactly_once), T(conflicts_are_retried_four_times),
    T(server_errors_are_not_results), T(large_results_warn_then_fail))
