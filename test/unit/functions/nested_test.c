/* nested_test.c - functions that a running function calls (spec 04 section 8.1, spec 03
 * section 5.5). */
#include "fn_fixture.h"
#include "functions/functions_int.h"

/* A mutation or query that is running, as the isolate would see it. */
struct caller {
	struct world       w;
	struct fn_call    *c;
	struct txn        *t;
	struct nest        n;
	struct run_request req;
	struct run_result  res;
};

static void
caller_open(struct caller *k, enum udf_kind kind, int depth)
{
	struct txn_opts o = { .writable = kind == UDF_MUTATION, .writer = S("test.js:f") };

	memset(k, 0, sizeof *k);
	world_open(&k->w, false);
	k->c = world_call(&k->w, WANT_ANY, S("counter:get"), S("{}"));
	o.snapshot = db_snapshot(k->w.db);
	k->t = txn_begin(&o);
	nest_init(&k->n, k->w.worker, k->c, k->t, k->w.arena, depth);
	k->req.kind = kind;
	k->req.txn = k->t;
	k->req.arena = k->w.arena;
	k->n.req = &k->req;
	loglines_init(&k->res.logs, k->w.arena);
}

static void
caller_close(struct caller *k)
{
	loglines_clear(&k->res.logs);
	txn_free(k->t);
	fn_call_unref(k->c);
	world_close(&k->w);
}

static status
nested(struct caller *k, enum udf_kind kind, bool snapshot, const char *name, struct val *ret,
    struct err *e)
{
	const struct nested_call c = { .kind = kind, .snapshot_query = snapshot,
		.name = str_z(name), .args = val_empty_object, .arena = k->w.arena };

	*e = err_in(k->w.arena);
	return k->n.host.nested(k->n.host.arg, &c, &k->res, ret, e);
}

/* Queries may call queries only; nobody may call an action. */
TEST(who_may_call_whom)
{
	const struct {
		enum udf_kind caller, callee;
		bool          snapshot;
		const char   *name, *error; /* NULL: allowed */
	} rows[] = {
		{ UDF_QUERY, UDF_QUERY, false, "counter:get", NULL },
		{ UDF_MUTATION, UDF_QUERY, false, "counter:get", NULL },
		{ UDF_MUTATION, UDF_QUERY, true, "counter:get", NULL },
		{ UDF_MUTATION, UDF_MUTATION, false, "counter:add", NULL },
		{ UDF_QUERY, UDF_MUTATION, false, "counter:add",
		    "Cannot call a Mutation function from a Query function" },
		{ UDF_QUERY, UDF_QUERY, true, "counter:get",
		    "Cannot call a SnapshotQuery function from a Query function" },
		{ UDF_MUTATION, UDF_ACTION, false, "actions:run",
		    "Cannot call a Action function from a Mutation function" },
		{ UDF_MUTATION, UDF_QUERY, false, "counter:add",
		    "Trying to execute counter.js:add as Query, but it is defined as Mutation." },
		{ UDF_MUTATION, UDF_QUERY, false, "nope:f",
		    "Could not find public function for 'nope:f'." },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct caller k;
		struct val    v;
		struct err    e;
		status        st;

		caller_open(&k, rows[i].caller, 0);
		st = nested(&k, rows[i].callee, rows[i].snapshot, rows[i].name, &v, &e);
		fprintf(stderr, "  %s\n", rows[i].error ? rows[i].error : rows[i].name);
		CHECK_EQ(st, rows[i].error ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].error)
			CHECK_STRZ(e.text, rows[i].error);
		caller_close(&k);
	}
}

/* References and handles: there is nothing but the application's own functions, and a handle is
 * one that a push made. */
TEST(addresses_that_lead_nowhere)
{
	const struct {
		const char *reference, *handle, *error; /* NULL: resolved */
	} rows[] = {
		{ "_reference/function/counter.js:get", NULL, NULL },
		{ "_reference/childComponent/x/y", NULL,
		    "Couldn't resolve _reference/childComponent/x/y" },
		{ "_reference/function/a-b:f", NULL,
		    "Couldn't resolve _reference/function/a-b:f" },
		{ NULL, "function://abc", "Function handle not found" },
	};
	struct caller k;

	caller_open(&k, UDF_QUERY, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct nested_call c = { .kind = UDF_QUERY,
			.reference = str_z(rows[i].reference), .handle = str_z(rows[i].handle),
			.args = val_empty_object, .arena = k.w.arena };
		struct err               e = err_in(k.w.arena);
		struct val               v;
		status st = k.n.host.nested(k.n.host.arg, &c, &k.res, &v, &e);

		CHECK_EQ(st, rows[i].error ? ST_BAD_REQUEST : ST_OK);
		if (rows[i].error)
			CHECK_STRZ(e.text, rows[i].error);
	}
	caller_close(&k);
}

/* 03 checklist 31: a failed mutation's writes are undone, also if it only failed by how much it
 * answered; a successful one's are the caller's.  Both stay inside the caller's transaction. */
TEST(failed_callees_roll_back)
{
	struct caller k;
	struct val    v;
	struct err    e;

	caller_open(&k, UDF_MUTATION, 0);
	CHECK_EQ(nested(&k, UDF_MUTATION, false, "counter:add", &v, &e), ST_OK);
	CHECK_EQ(nested(&k, UDF_MUTATION, false, "counter:addAndFail", &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.text, "Uncaught Error: no");
	CHECK_EQ(nested(&k, UDF_MUTATION, false, "counter:addAndBig", &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "FunctionReturnTooLarge");
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:get", &v, &e), ST_OK);
	CHECK(val_float64(v) == 1);
	/* A snapshot query sees the state before the mutation began. */
	CHECK_EQ(nested(&k, UDF_QUERY, true, "counter:get", &v, &e), ST_OK);
	CHECK(val_float64(v) == 0);
	caller_close(&k);
}

/* 03 checklist 46: a pending commit timestamp may leave a query for the mutation that called it
 * (spec 04 section 8.1), but not for a client. */
TEST(pending_timestamps_stay_in_the_mutation)
{
	struct world      w;
	struct caller     k;
	struct fn_result *r;
	struct val        v;
	struct err        e;
	size_t            at;

	caller_open(&k, UDF_MUTATION, 0);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:pending", &v, &e), ST_OK);
	CHECK_EQ(val_kind(v), VAL_COMMIT_TS);
	caller_close(&k);
	world_open(&w, false);
	r = world_run(&w, WANT_QUERY, S("counter:pending"), S("{}"));
	CHECK(!r->ok);
	CHECK(str_find(r->error, S("queries cannot return an unresolved commit timestamp"), &at));
	fn_result_unref(r);
	world_close(&w);
}

/* ConvexError data, null included, comes to the caller as data. */
TEST(error_data_reaches_the_caller)
{
	struct caller k;
	struct val    v;
	struct err    e;

	caller_open(&k, UDF_QUERY, 0);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "fail:data", &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.data, "null");
	caller_close(&k);
}

/* What the callee observed and printed becomes the caller's, its lines with their origin. */
TEST(observations_and_lines_are_merged)
{
	struct caller k;
	struct val    v;
	struct err    e;

	caller_open(&k, UDF_QUERY, 0);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "who:get", &v, &e), ST_OK);
	CHECK(k.res.observed_identity);
	CHECK(!k.res.observed_time);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:log", &v, &e), ST_OK);
	CHECK_EQ(k.res.logs.lines.n, 1);
	CHECK_STRZ(k.res.logs.lines.v[0].messages[0], "n is 0");
	CHECK_STRZ(k.res.logs.lines.v[0].udf_path, "counter.js:log");
	caller_close(&k);
}

/* Eight levels below the top, not nine. */
TEST(calls_nest_eight_deep)
{
	struct caller k;
	struct val    v;
	struct err    e;

	caller_open(&k, UDF_QUERY, 7);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:get", &v, &e), ST_OK);
	caller_close(&k);
	caller_open(&k, UDF_QUERY, 8);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:get", &v, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "MaximumCallDepthExceeded");
	caller_close(&k);
}

/* A callee's own budget can only tighten what the whole transaction may use; it ends with the
 * callee. */
TEST(callees_may_have_a_budget)
{
	struct caller            k;
	struct json             *limits;
	struct nested_call       c = { .kind = UDF_QUERY, .name = S("counter:get"),
		.args = val_empty_object };
	const struct txn_limits *m;
	struct err               e;
	struct val               v;

	caller_open(&k, UDF_MUTATION, 0);
	c.arena = k.w.arena;
	CHECK_EQ(json_parse(k.w.arena, S("{\"documentsRead\":0}"), &limits, NULL), ST_OK);
	CHECK_EQ(nested(&k, UDF_MUTATION, false, "counter:add", &v, &e), ST_OK);
	c.limits = limits;
	e = err_in(k.w.arena);
	CHECK_EQ(k.n.host.nested(k.n.host.arg, &c, &k.res, &v, &e), ST_BAD_REQUEST);
	CHECK(str_starts(e.text, S("Too many documents read")));
	m = txn_limits(k.t);
	CHECK_EQ(m->docs_read, 32000);
	CHECK_EQ(nested(&k, UDF_QUERY, false, "counter:get", &v, &e), ST_OK);
	caller_close(&k);
}

/* Scheduling leaves a row in the caller's transaction; nothing was pushed: there is no handle. */
TEST(scheduling_checks_its_target)
{
	struct caller            k;
	const struct nested_call c = { .kind = UDF_MUTATION, .name = S("counter:add"),
		.args = val_empty_object };
	const struct nested_call missing = { .kind = UDF_MUTATION, .name = S("nowhere:f"),
		.args = val_empty_object };
	struct err               e;
	str                      id;

	caller_open(&k, UDF_MUTATION, 0);
	e = err_in(k.w.arena);
	CHECK_EQ(k.n.host.schedule(k.n.host.arg, &c, 1e12, &id, &e), ST_BAD_REQUEST);
	CHECK(str_ends(e.text, S("is more than 5 years in the future")));
	CHECK_EQ(k.n.host.schedule(k.n.host.arg, &missing, 60, &id, &e), ST_BAD_REQUEST);
	CHECK_STRZ(e.text, "Attempted to schedule function at nonexistent path: nowhere.js");
	CHECK_EQ(k.n.host.schedule(k.n.host.arg, &c, 60, &id, &e), ST_OK);
	CHECK(txn_has_writes(k.t));
	CHECK_EQ(k.n.host.cancel_job(k.n.host.arg, id, &e), ST_OK);
	CHECK_EQ(k.n.host.cancel_job(k.n.host.arg, S("x"), &e), ST_BAD_REQUEST);
	CHECK_EQ(k.n.host.create_handle(k.n.host.arg, &c, &id, &e), ST_BAD_REQUEST);
	caller_close(&k);
}

TEST_RUN(T(who_may_call_whom), T(addresses_that_lead_nowhere), T(failed_callees_roll_back),
    T(pending_timestamps_stay_in_the_mutation),
    T(error_data_reaches_the_caller), T(observations_and_lines_are_merged),
    T(calls_nest_eight_deep), T(callees_may_have_a_budget), T(scheduling_checks_its_target))
