/* runner_test.c - calls, sharing, invalidation and durability on the loop thread
 * (spec 01 sections 5, 7 and 8, spec 04 section 9.2). */
#include "fn_fixture.h"

/* What a `done` callback saw. */
struct seen {
	size_t            n;
	struct fn_result *res; /* the last one, one reference */
};

static void
on_done(void *arg, struct fn_result *res)
{
	struct seen *s = arg;

	s->n++;
	fn_result_unref(s->res);
	s->res = fn_result_ref(res);
}

static void
seen_clear(struct seen *s)
{
	fn_result_unref(s->res);
	*s = (struct seen){ 0 };
}

static void
on_invalid(void *arg)
{
	(*(int *)arg)++;
}

static struct pending_call *
call(struct world *w, enum fn_want want, const char *path, const char *args, struct seen *s)
{
	struct fn_call      *c = world_call(w, want, str_z(path), str_z(args));
	struct pending_call *p = runner_call(w->runner, c, on_done, s);

	fn_call_unref(c);
	return p;
}

static struct live_watch *
watch(struct world *w, const char *path, const char *label, int *invalid)
{
	struct fn_call    *c = world_call(w, WANT_QUERY, str_z(path), S("{}"));
	struct live_watch *lw;

	blob_unref(c->identity->label);
	c->identity->label = blob_new(str_z(label));
	lw = live_watch(w->runner, c, on_invalid, invalid);
	fn_call_unref(c);
	return lw;
}

static void
eval(struct world *w, struct live_watch *lw, struct seen *s)
{
	struct snapshot *at = runner_snapshot(w->runner);

	live_eval(lw, at, on_done, s);
	snapshot_unref(at);
}

/* Nothing that a mutation did is told before the disk has it. */
TEST(mutation_waits_for_the_disk)
{
	struct world w;
	struct seen  s = { 0 };

	world_open(&w, false);
	w.disk_off = true;
	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &s);
	world_settle(&w);
	CHECK_EQ(s.n, 0);
	CHECK_EQ(runner_busy(w.runner), 1);
	w.disk_off = false;
	world_settle(&w);
	CHECK_EQ(s.n, 1);
	CHECK(s.res->ok);
	CHECK_EQ(runner_busy(w.runner), 0);
	seen_clear(&s);
	world_close(&w);
}

/* A query that saw a commit which is not durable waits like the commit's own caller. */
TEST(query_of_undurable_data_waits)
{
	struct world w;
	struct seen  m = { 0 }, q = { 0 };

	world_open(&w, false);
	w.disk_off = true;
	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &m);
	world_settle(&w);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &q);
	world_settle(&w);
	CHECK_EQ(q.n, 0);
	w.disk_off = false;
	world_settle(&w);
	CHECK_EQ(q.n, 1);
	CHECK_STRZ(q.res->value_json, "1.0");
	seen_clear(&m);
	seen_clear(&q);
	world_close(&w);
}

/* A valid result answers the next asker without a run, never from inside the call; a commit
 * that touches what it read ends that, one that does not leaves it. */
TEST(valid_results_are_served_from_memory)
{
	struct world w;
	struct seen  s = { 0 };

	world_open(&w, false);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_EQ(w.runs, 1);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	CHECK_EQ(s.n, 1);
	world_settle(&w);
	CHECK_EQ(s.n, 2);
	CHECK_EQ(w.runs, 1);
	CHECK_EQ(w.cached, 1);

	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &s);
	world_settle(&w);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "1.0");
	CHECK_EQ(w.runs, 3);
	(void)call(&w, WANT_MUTATION, "messages:send", "{\"body\":\"x\"}", &s);
	world_settle(&w);
	w.runs = 0;
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "1.0");
	CHECK_EQ(w.runs, 0);
	seen_clear(&s);
	world_close(&w);
}

/* Without on_deferred the runner comes back through its executor. */
TEST(cached_results_come_without_a_wake_hook)
{
	struct world       w;
	struct seen        s = { 0 };
	struct runner_opts ro = { 0 };

	world_open(&w, false);
	runner_free(w.runner);
	ro.functions = w.functions;
	ro.executor = (struct executor){ .arg = &w, .submit = world_submit };
	ro.os = &w.os;
	w.runner = runner_new(&ro);
	for (int i = 0; i < 2; i++) {
		(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
		world_settle(&w);
		CHECK_EQ(s.n, (size_t)i + 1);
	}
	seen_clear(&s);
	world_close(&w);
}

/* Errors are not cached; results that looked at the clock are used for 17 s only. */
TEST(some_results_are_not_reused)
{
	struct world w;
	struct seen  s = { 0 };

	world_open(&w, false);
	for (int i = 0; i < 2; i++) {
		(void)call(&w, WANT_QUERY, "fail:data", "{}", &s);
		world_settle(&w);
	}
	CHECK_EQ(w.runs, 2);
	for (int i = 0; i < 3; i++) {
		(void)call(&w, WANT_QUERY, "time:get", "{}", &s);
		world_settle(&w);
		w.now_ns += 10000000000u;
	}
	CHECK_EQ(w.runs, 4);
	CHECK_EQ(w.cached, 1);
	seen_clear(&s);
	world_close(&w);
}

/* However many watch a query, one run answers all, and one commit tells each of them once. */
TEST(watchers_share_one_run)
{
	struct world       w;
	struct live_watch *lw[5];
	struct seen        s[5] = { 0 };
	struct seen        m = { 0 };
	int                invalid[5] = { 0 };

	world_open(&w, false);
	for (int i = 0; i < 5; i++) {
		char label[2] = { (char)('a' + i), 0 };

		lw[i] = watch(&w, "counter:get", label, &invalid[i]);
		eval(&w, lw[i], &s[i]);
	}
	world_settle(&w);
	CHECK_EQ(w.runs, 1);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(s[i].n, 1);
		CHECK(live_valid(lw[i]));
	}
	for (int i = 0; i < 2; i++) {
		(void)call(&w, WANT_MUTATION, "counter:add", "{}", &m);
		world_settle(&w);
	}
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(invalid[i], 1);
		CHECK(!live_valid(lw[i]));
		eval(&w, lw[i], &s[i]);
	}
	world_settle(&w);
	CHECK_EQ(w.runs, 4);
	for (int i = 0; i < 5; i++) {
		CHECK_STRZ(s[i].res->value_json, "2.0");
		CHECK_EQ(invalid[i], 1);
		live_unwatch(lw[i]);
		seen_clear(&s[i]);
	}
	seen_clear(&m);
	world_close(&w);
}

/* A result that looked at the identity belongs to that identity alone. */
TEST(identities_do_not_share_what_saw_them)
{
	struct world       w;
	struct live_watch *lw[4];
	struct seen        s[4] = { 0 };
	const char *const  labels[4] = { "ann", "bob", "ann", "bob" };
	int                invalid = 0;

	world_open(&w, false);
	for (int i = 0; i < 4; i++) {
		lw[i] = watch(&w, "who:get", labels[i], &invalid);
		eval(&w, lw[i], &s[i]);
	}
	world_settle(&w);
	CHECK_EQ(w.runs, 2);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(s[i].n, 1);
		CHECK_STR(s[i].res->value_json,
		    arena_fmt(w.arena, "\"%s\"", labels[i]));
		live_unwatch(lw[i]);
		seen_clear(&s[i]);
	}
	world_close(&w);
}

/* A result that is already out of date when it arrives is still right for its snapshot, and
 * its holder is told at once that it no longer holds. */
TEST(late_results_are_known_to_be_stale)
{
	struct world       w;
	struct live_watch *lw;
	struct seen        s = { 0 }, m = { 0 };
	struct snapshot   *at;
	int                invalid = 0;

	world_open(&w, false);
	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &m);
	world_settle(&w);
	lw = watch(&w, "counter:get", "a", &invalid);
	at = runner_snapshot(w.runner);
	w.workers_off = true;
	live_eval(lw, at, on_done, &s);
	/* The commit overtakes the query's run. */
	fn_result_unref(world_run(&w, WANT_MUTATION, S("counter:add"), S("{}")));
	world_settle(&w);
	w.workers_off = false;
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "1.0");
	CHECK_EQ(invalid, 1);
	CHECK(!live_valid(lw));

	/* The old snapshot again, after the newer result arrived: the old answer. */
	eval(&w, lw, &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "2.0");
	live_eval(lw, at, on_done, &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "1.0");
	snapshot_unref(at);
	live_unwatch(lw);
	seen_clear(&s);
	seen_clear(&m);
	world_close(&w);
}

/* A newer result serves an older snapshot if nothing that it read changed between them. */
TEST(newer_results_serve_older_snapshots)
{
	struct world     w;
	struct seen      s = { 0 };
	struct fn_call  *c;
	struct snapshot *old;

	world_open(&w, false);
	fn_result_unref(world_run(&w, WANT_MUTATION, S("counter:add"), S("{}")));
	fn_result_unref(world_run(&w, WANT_MUTATION, S("messages:send"), S("{\"body\":\"x\"}")));
	world_settle(&w);
	old = runner_snapshot(w.runner);
	fn_result_unref(world_run(&w, WANT_MUTATION, S("messages:send"), S("{\"body\":\"y\"}")));
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_EQ(w.runs, 1);
	c = world_call(&w, WANT_QUERY, S("counter:get"), S("{}"));
	(void)runner_query_at(w.runner, c, old, on_done, &s);
	fn_call_unref(c);
	world_settle(&w);
	CHECK_EQ(s.n, 2);
	CHECK_EQ(w.runs, 1);
	snapshot_unref(old);
	seen_clear(&s);
	world_close(&w);
}

/* Who gives up is not called; what runs for others goes on. */
TEST(abandoned_calls_stay_silent)
{
	struct world         w;
	struct seen          s = { 0 }, other = { 0 };
	struct pending_call *p[4];
	struct live_watch   *lw;
	int                  invalid = 0;

	world_open(&w, false);
	w.workers_off = true;
	p[0] = call(&w, WANT_MUTATION, "counter:add", "{}", &s);
	p[1] = call(&w, WANT_QUERY, "counter:get", "{}", &s);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &other);
	lw = watch(&w, "counter:get", "a", &invalid);
	eval(&w, lw, &s);
	live_unwatch(lw);
	runner_abandon(p[0]);
	runner_abandon(p[1]);
	w.workers_off = false;
	w.disk_off = true;
	world_settle(&w);
	p[2] = call(&w, WANT_MUTATION, "counter:add", "{}", &s);
	world_settle(&w);
	runner_abandon(p[2]);
	w.disk_off = false;
	world_settle(&w);
	CHECK_EQ(other.n, 1);
	p[3] = call(&w, WANT_QUERY, "counter:get", "{}", &other);
	world_settle(&w);
	p[3] = call(&w, WANT_QUERY, "counter:get", "{}", &s);
	runner_abandon(p[3]);
	world_settle(&w);
	CHECK_EQ(s.n, 0);
	CHECK_STRZ(other.res->value_json, "2.0");
	seen_clear(&other);
	world_close(&w);
}

/* The cache keeps to its budget; what is watched stays with its watcher all the same. */
TEST(cache_stays_within_its_budget)
{
	struct world       w;
	struct runner_opts ro = { 0 };
	struct live_watch *lw;
	struct seen        s = { 0 };
	int                invalid = 0;

	world_open(&w, false);
	runner_free(w.runner);
	ro.functions = w.functions;
	ro.executor = (struct executor){ .arg = &w, .submit = world_submit };
	ro.os = &w.os;
	ro.cache_max_bytes = 100000;
	ro.on_finished = world_finished;
	ro.on_finished_arg = &w;
	w.runner = runner_new(&ro);
	lw = watch(&w, "counter:get", "a", &invalid);
	eval(&w, lw, &s);
	world_settle(&w);
	for (int i = 0; i < 20; i++) {
		str args = arena_fmt(w.arena, "{\"n\":%d}", 10000 + i);

		(void)call(&w, WANT_QUERY, "big:get", args.p, &s);
		world_settle(&w);
	}
	CHECK_EQ(w.runs, 21);
	(void)call(&w, WANT_QUERY, "big:get", "{\"n\":10000}", &s);
	world_settle(&w);
	CHECK_EQ(w.runs, 22);
	CHECK(live_valid(lw));
	eval(&w, lw, &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "0.0");
	CHECK_EQ(w.runs, 22);
	live_unwatch(lw);
	seen_clear(&s);
	world_close(&w);
}

/* Who asks a thousand different questions once does not push out what is asked again and again. */
TEST(what_is_asked_again_outlives_a_scan)
{
	struct world       w;
	struct runner_opts ro = { 0 };
	struct seen        s = { 0 };
	size_t             runs;

	world_open(&w, false);
	runner_free(w.runner);
	ro.functions = w.functions;
	ro.executor = (struct executor){ .arg = &w, .submit = world_submit };
	ro.os = &w.os;
	ro.cache_max_bytes = 100000;
	ro.on_finished = world_finished;
	ro.on_finished_arg = &w;
	w.runner = runner_new(&ro);
	for (int i = 0; i < 3; i++) {
		(void)call(&w, WANT_QUERY, "big:get", "{\"n\":10000}", &s);
		world_settle(&w);
	}
	CHECK_EQ(w.runs, 1);
	for (int i = 1; i < 50; i++) {
		str args = arena_fmt(w.arena, "{\"n\":%d}", 10000 + i);

		(void)call(&w, WANT_QUERY, "big:get", args.p, &s);
		world_settle(&w);
	}
	CHECK_EQ(w.runs, 50);
	runs = w.runs;
	(void)call(&w, WANT_QUERY, "big:get", "{\"n\":10000}", &s);
	world_settle(&w);
	CHECK_EQ(w.runs, runs);
	(void)call(&w, WANT_QUERY, "big:get", "{\"n\":10001}", &s);
	world_settle(&w);
	CHECK_EQ(w.runs, runs + 1);
	seen_clear(&s);
	world_close(&w);
}

/* A query runs again with the journal that its last run left; who asks without one gets a run
 * without one. */
TEST(journals_stay_with_their_watcher)
{
	struct world       w;
	struct live_watch *lw, *other;
	struct seen        s = { 0 }, t = { 0 }, m = { 0 };
	int                invalid = 0;

	world_open(&w, false);
	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &m);
	world_settle(&w);
	lw = watch(&w, "page:list", "a", &invalid);
	eval(&w, lw, &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "\"none\"");
	CHECK_STRZ(s.res->journal, "j1");
	(void)call(&w, WANT_MUTATION, "counter:add", "{}", &m);
	world_settle(&w);
	eval(&w, lw, &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "\"j1\"");
	CHECK_STRZ(s.res->journal, "j2");
	other = watch(&w, "page:list", "a", &invalid);
	eval(&w, other, &t);
	world_settle(&w);
	CHECK_STRZ(t.res->value_json, "\"none\"");
	live_unwatch(lw);
	live_unwatch(other);
	seen_clear(&s);
	seen_clear(&t);
	seen_clear(&m);
	world_close(&w);
}

/* A failure of the server goes to those who waited, and is forgotten. */
TEST(server_failures_are_not_kept)
{
	struct world w;
	struct seen  s = { 0 };

	world_open(&w, false);
	for (int i = 0; i < 2; i++) {
		(void)call(&w, WANT_QUERY, "fail:overloaded", "{}", &s);
		world_settle(&w);
		CHECK_EQ(s.res->st, ST_OVERLOADED);
	}
	CHECK_EQ(w.runs, 2);
	seen_clear(&s);
	world_close(&w);
}

static ts_t
task_commits(struct fn_worker *fw, void *arg)
{
	struct fn_result *r = world_run(arg, WANT_MUTATION, S("counter:add"), S("{}"));
	ts_t              ts = r->ts;

	CHECK(fw == ((struct world *)arg)->worker);
	fn_result_unref(r);
	return ts;
}

static int task_dones;

static void
on_task_done(void *arg)
{
	(void)arg;
	task_dones++;
}

/* A task is done when what it committed is durable. */
TEST(tasks_wait_for_the_disk)
{
	struct world w;

	world_open(&w, false);
	task_dones = 0;
	w.disk_off = true;
	runner_task(w.runner, task_commits, on_task_done, &w);
	world_settle(&w);
	CHECK_EQ(task_dones, 0);
	w.disk_off = false;
	world_settle(&w);
	CHECK_EQ(task_dones, 1);
	world_close(&w);
}

/* Runs of one request follow one another, so that a run left behind by a lost connection
 * cannot commit after the client was told that the request failed. */
TEST(runs_of_one_request_take_turns)
{
	struct world         w;
	struct seen          s[3] = { 0 };
	struct pending_call *p[3];

	world_open(&w, false);
	w.workers_off = true;
	for (int i = 0; i < 3; i++) {
		struct fn_call *c = world_call(&w, WANT_MUTATION, S("counter:add"), S("{}"));

		c->session_id = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
		p[i] = runner_call(w.runner, c, on_done, &s[i]);
		fn_call_unref(c);
	}
	CHECK_EQ(w.jobs.n, 1);
	runner_abandon(p[0]);
	runner_abandon(p[1]);
	w.workers_off = false;
	world_settle(&w);
	CHECK_EQ(s[0].n + s[1].n, 0);
	CHECK_EQ(s[2].n, 1);
	CHECK(s[2].res->ok);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s[0]);
	world_settle(&w);
	CHECK_STRZ(s[0].res->value_json, "1.0");
	seen_clear(&s[0]);
	seen_clear(&s[2]);
	world_close(&w);
}

/* Session requests are forgotten after fourteen days, younger ones are not. */
TEST(old_session_requests_are_deleted)
{
	const uint64_t    day = 24 * 3600 * 1000000000ull;
	struct world      w;
	struct seen       s = { 0 };
	struct fn_call   *c;

	world_open(&w, false);
	for (uint32_t i = 0; i < 3; i++) {
		c = world_call(&w, WANT_MUTATION, S("counter:add"), S("{}"));
		c->session_id = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
		c->session_request = i / 2;
		(void)runner_call(w.runner, c, on_done, &s);
		fn_call_unref(c);
		world_settle(&w);
		w.now_ns += 7 * day + day / 4;
	}
	/* Request 0 ran on the first day and was replayed a week later; request 1 came after
	 * two weeks and made room. */
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "2.0");
	c = world_call(&w, WANT_MUTATION, S("counter:add"), S("{}"));
	c->session_id = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
	(void)runner_call(w.runner, c, on_done, &s);
	fn_call_unref(c);
	world_settle(&w);
	c = world_call(&w, WANT_MUTATION, S("counter:add"), S("{}"));
	c->session_id = S("5d8f2a34-0b0e-4c3e-9f7a-3b1c2d4e5f60");
	c->session_request = 1;
	(void)runner_call(w.runner, c, on_done, &s);
	fn_call_unref(c);
	world_settle(&w);
	(void)call(&w, WANT_QUERY, "counter:get", "{}", &s);
	world_settle(&w);
	CHECK_STRZ(s.res->value_json, "3.0");
	seen_clear(&s);
	world_close(&w);
}

TEST_RUN(T(mutation_waits_for_the_disk), T(query_of_undurable_data_waits),
    T(valid_results_are_served_from_memory), T(cached_results_come_without_a_wake_hook),
    T(some_results_are_not_reused), T(watchers_share_one_run),
    T(identities_do_not_share_what_saw_them), T(late_results_are_known_to_be_stale),
    T(newer_results_serve_older_snapshots), T(abandoned_calls_stay_silent),
    T(cache_stays_within_its_budget), T(what_is_asked_again_outlives_a_scan),
    T(server_failures_are_not_kept), T(journals_stay_with_their_watcher),
    T(tasks_wait_for_the_disk), T(runs_of_one_request_take_turns),
    T(old_session_requests_are_deleted))
