/* scheduler_test.c - scheduled functions (spec 05 section 2): at their time, once, and what their
 * rows say afterwards.
 */
#include "functions/scheduled_int.h"
#include "unit/functions/sched_fixture.h"

/* A job `in_s` seconds from now; its id lives in the world's arena. */
static str
schedule(struct sched *x, const char *path, const char *args, double in_s, str parent)
{
	struct txn          *t = begin_write(x);
	struct err           e = err_in(x->w.arena);
	struct scheduled_new j = { .path = str_z(path), .component = STR_EMPTY,
		.at_s = (double)x->w.now_ns / 1e9 + in_s, .now_ns = x->w.now_ns,
		.parent = parent };
	char                 id[ID_TEXT_MAX];

	CHECK_EQ(vjson_parse(x->w.arena, str_z(args), VJSON_PLAIN, &j.args, &e), ST_OK);
	CHECK_EQ(scheduled_add(t, &j, id, &e), ST_OK);
	commit(x, t);
	return arena_str(x->w.arena, str_z(id));
}

static void
cancel(struct sched *x, str id)
{
	struct txn *t = begin_write(x);
	struct err  e = err_in(x->w.arena);

	CHECK_EQ(scheduled_cancel(t, id, x->w.now_ns, &e), ST_OK);
	commit(x, t);
}

static struct scheduled_row
row(struct sched *x, str id)
{
	struct txn *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(x->w.db) });
	struct scheduled_row j;
	struct err           e = err_in(x->w.arena);
	bool                 found;
	struct val           error;

	CHECK_EQ(scheduled_find(t, id, &found, &j, &e), ST_OK);
	CHECK(found);
	error = val_get(val_get(j.doc, S("state")), S("error"));
	/* what the test wants to see outlives the transaction */
	j.path = val_kind(error) == VAL_STRING ? arena_str(x->w.arena, val_str(error)) : STR_EMPTY;
	txn_free(t);
	return j;
}

/* A mutation runs once its time has come, not before, and its row says so. */
TEST(runs_at_its_time)
{
	struct sched x;
	str          id;

	sched_open(&x, 0);
	id = schedule(&x, "counter.js:add", "{\"n\":7}", 60, STR_EMPTY);
	pass(&x, 59 * SECOND);
	CHECK(counter(&x) == 0);
	CHECK_EQ(row(&x, id).state, SCHEDULED_PENDING);
	pass(&x, 2 * SECOND);
	CHECK(counter(&x) == 7);
	CHECK_EQ(row(&x, id).state, SCHEDULED_SUCCESS);
	CHECK_EQ(row(&x, id).next_ns, 0);
	pass(&x, 3600 * SECOND);
	CHECK(counter(&x) == 7);
	sched_close(&x);
}

/* What is earlier runs earlier, whatever was scheduled first; the past runs at once. */
TEST(order_and_the_past)
{
	struct sched      x;
	struct fn_result *r;

	sched_open(&x, 1);
	schedule(&x, "messages.js:send", "{\"body\":\"late\"}", 20, STR_EMPTY);
	schedule(&x, "messages.js:send", "{\"body\":\"soon\"}", 10, STR_EMPTY);
	schedule(&x, "messages.js:send", "{\"body\":\"past\"}", -10, STR_EMPTY);
	pass(&x, 1 * SECOND);
	pass(&x, 30 * SECOND);
	r = world_run(&x.w, WANT_QUERY, S("messages:list"), S("[{}]"));
	CHECK_STRZ(r->value_json, "[\"past\",\"soon\",\"late\"]");
	fn_result_unref(r);
	sched_close(&x);
}

/* Failures are noted, nothing of their writes stays, and nobody tries again. */
TEST(failures_are_noted)
{
	static const struct {
		const char *path, *error;
	} cases[] = {
		{ "counter.js:addAndFail", "Uncaught Error: no" },
		{ "counter.js:get",
		    "counter.js:get is a Query: only mutations and actions can be scheduled" },
		{ "nowhere.js:f", "Could not find public function for 'nowhere:f'." },
	};
	struct sched x;

	sched_open(&x, 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		str id = schedule(&x, cases[i].path, "{}", 1, STR_EMPTY);

		pass(&x, 10 * SECOND);
		CHECK_EQ(row(&x, id).state, SCHEDULED_FAILED);
		CHECK_STRZ(row(&x, id).path, cases[i].error);
		CHECK_EQ(row(&x, id).next_ns, 0);
	}
	CHECK(counter(&x) == 0);
	sched_close(&x);
}

/* A canceled job never runs, and what it would have scheduled is canceled with it. */
TEST(canceled_jobs)
{
	struct sched x;
	str          id, child;

	sched_open(&x, 0);
	id = schedule(&x, "counter.js:add", "{}", 5, STR_EMPTY);
	cancel(&x, id);
	CHECK_EQ(row(&x, id).state, SCHEDULED_CANCELED);
	child = schedule(&x, "counter.js:add", "{}", 5, id);
	CHECK_EQ(row(&x, child).state, SCHEDULED_CANCELED);
	pass(&x, 60 * SECOND);
	CHECK(counter(&x) == 0);
	cancel(&x, id); /* again: no effect */
	CHECK_EQ(row(&x, id).state, SCHEDULED_CANCELED);
	sched_close(&x);
}

/* Two hundred at one moment all run, once each, a few at a time. */
TEST(many_at_once)
{
	struct sched x;

	sched_open(&x, 4);
	for (int i = 0; i < 200; i++)
		schedule(&x, "counter.js:add", "{}", 5, STR_EMPTY);
	pass(&x, 6 * SECOND);
	pass(&x, 60 * SECOND);
	CHECK(counter(&x) == 200);
	sched_close(&x);
}

/* Conflicts are no failures: the job is run until it commits. */
TEST(conflicts_are_retried)
{
	struct sched x;
	str          id;

	sched_open(&x, 0);
	schedule(&x, "counter.js:add", "{}", 0, STR_EMPTY);
	pass(&x, 1 * SECOND);
	id = schedule(&x, "counter.js:contended", "{\"times\":7}", 1, STR_EMPTY);
	pass(&x, 600 * SECOND);
	CHECK_EQ(row(&x, id).state, SCHEDULED_SUCCESS);
	CHECK(counter(&x) == 1 + 7 + 1);
	sched_close(&x);
}

/* An action that ran when the server died is not run again. */
TEST(interrupted_actions_fail)
{
	struct sched         x;
	struct scheduled_row j;
	struct txn          *t;
	struct err           e = err_in(NULL);
	bool                 found;
	str                  id;

	sched_open(&x, 0);
	id = schedule(&x, "actions.js:run", "{}", 60, STR_EMPTY);
	t = begin_write(&x);
	CHECK_EQ(scheduled_find(t, id, &found, &j, &e), ST_OK);
	CHECK_EQ(scheduled_begin(t, &j, S("r"), S("e"), &e), ST_OK);
	commit(&x, t);
	pass(&x, 61 * SECOND);
	CHECK_EQ(row(&x, id).state, SCHEDULED_FAILED);
	CHECK_STRZ(row(&x, id).path, "Transient error while executing action");
	sched_close(&x);
}

/* Jobs wait for a scheduler that comes later (a restart), and finished ones go after a week. */
TEST(restarts_and_old_jobs)
{
	struct sched x;
	struct txn  *t;
	struct err   e = err_in(NULL);
	bool         found;
	struct scheduled_row j;
	str          id;

	sched_open(&x, 0);
	id = schedule(&x, "counter.js:add", "{}", 60, STR_EMPTY);
	scheduler_stop(x.s);
	scheduler_free(x.s);
	x.w.now_ns += 120 * SECOND;
	x.s = scheduler_new(&(struct scheduler_opts){ .runner = x.w.runner, .os = &x.w.os });
	pass(&x, 1 * SECOND);
	CHECK(counter(&x) == 1);
	CHECK_EQ(row(&x, id).state, SCHEDULED_SUCCESS);
	pass(&x, 6ull * 24 * 3600 * SECOND);
	CHECK_EQ(row(&x, id).state, SCHEDULED_SUCCESS);
	pass(&x, 2ull * 24 * 3600 * SECOND);
	t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(x.w.db) });
	CHECK_EQ(scheduled_find(t, id, &found, &j, &e), ST_OK);
	CHECK(!found);
	txn_free(t);
	sched_close(&x);
}

/* Five years each way are allowed; what is no number is not. */
TEST(times)
{
	static const struct {
		double days;
		bool   ok;
	} cases[] = { { 0, true }, { 1829, true }, { -1829, true }, { 1831, false },
		{ -1831, false }, { 1e300, false } };
	const uint64_t now = 1754500000ull * SECOND;

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		CHECK_EQ(scheduled_check_time((double)now / 1e9 + cases[i].days * 86400, now, NULL),
		    cases[i].ok ? ST_OK : ST_BAD_REQUEST);
	CHECK_EQ(scheduled_check_time((double)(0.0 / 0.0), now, NULL), ST_BAD_REQUEST);
}

TEST_RUN(T(runs_at_its_time), T(order_and_the_past), T(failures_are_noted), T(canceled_jobs),
    T(many_at_once), T(conflicts_are_retried), T(interrupted_actions_fail),
    T(restarts_and_old_jobs), T(times))
