/* crons_test.c - crons (spec 05 section 3): when they run, what stays of a run, and what pushes
 * change.
 */
#include "functions/scheduled_int.h"
#include "unit/functions/sched_fixture.h"
#include "value/vjson.h"

#define ADD(name, schedule)                                                   \
	"{\"identifier\":\"" name "\",\"spec\":{\"udfPath\":\"counter.js:add\",\"udfArgs\":[91,"  \
	"123,125,93],\"cronSchedule\":" schedule "}}"
#define RUN(name, path, schedule)                                             \
	"{\"identifier\":\"" name "\",\"spec\":{\"udfPath\":\"" path "\",\"udfArgs\":[91,123,125," \
	"93],\"cronSchedule\":" schedule "}}"
#define EVERY(n)  "{\"type\":\"interval\",\"seconds\":" n "}"
#define AT(h, m)  "{\"type\":\"daily\",\"hourUTC\":" h ",\"minuteUTC\":" m "}"

static str
names(struct arena *a, const str *v, size_t n)
{
	str all = STR_EMPTY;

	for (size_t i = 0; i < n; i++)
		all = arena_fmt(a, "%.*s%.*s ", STR_ARG(all), STR_ARG(v[i]));
	return all;
}

/* "added | updated | deleted", in the world's arena. */
static str
push(struct sched *x, const char *specs)
{
	struct txn      *t = begin_write(x);
	struct cron_diff d = { 0 };
	struct arena    *a = x->w.arena;
	struct json     *j;
	str              text;

	CHECK_EQ(json_parse(a, str_z(specs), &j, NULL), ST_OK);
	CHECK_EQ(crons_replace(t, j, x->w.now_ns, &d, NULL), ST_OK);
	text = arena_fmt(a, "%.*s| %.*s| %.*s", STR_ARG(names(a, d.added.v, d.added.n)),
	    STR_ARG(names(a, d.updated.v, d.updated.n)),
	    STR_ARG(names(a, d.deleted.v, d.deleted.n)));
	cron_diff_clear(&d);
	commit(x, t);
	return text;
}

/* Rows of a table as the texts of one member, each behind a blank. */
struct texts {
	struct arena *a;
	const char   *path;
	str           all;
	size_t        n;
};

static bool
add_text(void *arg, struct doc *d)
{
	struct texts *t = arg;
	struct buf    b;

	buf_init(&b, BUF_MAX_DEFAULT);
	val_print(&b, val_path(doc_val(d), str_z(t->path)));
	t->all = arena_fmt(t->a, "%.*s%.*s ", STR_ARG(t->all), STR_ARG(buf_str(&b)));
	t->n++;
	buf_clear(&b);
	return true;
}

static struct texts
rows(struct sched *x, const char *table, const char *path)
{
	struct txn  *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(x->w.db) });
	struct texts r = { x->w.arena, path, STR_EMPTY, 0 };

	CHECK_EQ(txn_sys_each(t, str_z(table), S("by_creation_time"), NULL, 0, add_text, &r, NULL),
	    ST_OK);
	txn_free(t);
	return r;
}

static void
note_next(void *arg, const struct cron_row *row)
{
	*(int64_t *)arg = row->next_ns;
}

/* Of the only cron. */
static int64_t
next_run(struct sched *x)
{
	struct txn *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(x->w.db),
	    .system = true });
	int64_t     next = 0;

	CHECK_EQ(cron_each_due(t, 1, note_next, &next, NULL), ST_OK);
	txn_free(t);
	return next;
}

/* An interval runs at once and then each time it has passed; five logs stay. */
TEST(intervals) /* 05 checklist 21 */
{
	struct sched x;

	sched_open(&x, 0);
	CHECK_STRZ(push(&x, "[" ADD("a", EVERY("60")) "]"), "a | | ");
	pass(&x, 1 * SECOND);
	CHECK(counter(&x) == 1);
	pass(&x, 58 * SECOND);
	CHECK(counter(&x) == 1);
	pass(&x, 2 * SECOND);
	CHECK(counter(&x) == 2);
	pass(&x, 600 * SECOND);
	CHECK(counter(&x) == 12);
	CHECK_EQ(rows(&x, "_cron_job_logs", "status.type").n, 5);
	CHECK_EQ(rows(&x, "_cron_next_run", "state.type").n, 1);
	sched_close(&x);
}

/* A server that was down runs once and counts the rest. */
TEST(what_was_missed) /* 05 checklist 21 */
{
	struct sched x;
	int64_t      next;

	sched_open(&x, 0);
	push(&x, "[" ADD("a", EVERY("60")) "]");
	pass(&x, 1 * SECOND);
	next = next_run(&x);
	scheduler_stop(x.s);
	scheduler_free(x.s);
	x.w.now_ns += 600 * SECOND;
	x.s = scheduler_new(&(struct scheduler_opts){ .runner = x.w.runner, .os = &x.w.os });
	pass(&x, 1 * SECOND);
	CHECK(counter(&x) == 2);
	CHECK_EQ(next_run(&x), next + 600 * (int64_t)SECOND);
	CHECK_STRZ(rows(&x, "_cron_job_logs", "status.num_canceled").all,
	    "undefined undefined 9 ");
	sched_close(&x);
}

/* Failures of any kind are logged, and the cron goes on. */
TEST(failures)
{
	static const struct {
		const char *spec, *error;
	} cases[] = {
		{ RUN("f", "counter.js:addAndFail", EVERY("60")), "\"Uncaught Error: no\" " },
		{ RUN("f", "counter.js:get", EVERY("60")),
		    "\"counter.js:get is a Query: only mutations and actions can be scheduled\" " },
		{ RUN("f", "nowhere.js:f", EVERY("60")),
		    "\"Could not find public function for 'nowhere:f'.\" " },
	};
	struct sched x;

	sched_open(&x, 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		push(&x, "[]");
		push(&x, arena_fmt(x.w.arena, "[%s]", cases[i].spec).p);
		pass(&x, 1 * SECOND);
		CHECK_STRZ(rows(&x, "_cron_job_logs", "status.error").all, cases[i].error);
		pass(&x, 120 * SECOND);
		CHECK_EQ(rows(&x, "_cron_job_logs", "status.error").n, 3);
	}
	CHECK(counter(&x) == 0);
	sched_close(&x);
}

/* An action that ran when the server died is logged as lost; the next run is another one. */
TEST(interrupted_actions)
{
	struct sched    x;
	struct cron_row row;
	struct txn     *t;
	struct texts    ids;
	bool            found;

	sched_open(&x, 0);
	push(&x, "[" RUN("act", "actions.js:run", AT("0", "0")) "]");
	ids = rows(&x, "_cron_next_run", "_id");
	t = begin_write(&x);
	CHECK_EQ(cron_find(t, str_of(ids.all.p + 1, ids.all.n - 3), &found, &row, NULL), ST_OK);
	CHECK(found && !row.in_progress);
	CHECK_EQ(cron_begin(t, &row, S("r"), S("e"), NULL), ST_OK);
	commit(&x, t);
	CHECK_STRZ(rows(&x, "_cron_next_run", "state.type").all, "\"inProgress\" ");
	pass(&x, 86400 * SECOND);
	CHECK_STRZ(rows(&x, "_cron_job_logs", "status.error").all,
	    "\"Transient error while executing action\" ");
	CHECK_STRZ(rows(&x, "_cron_next_run", "state.type").all, "\"pending\" ");
	sched_close(&x);
}

/* What is new, what differs, what is gone; and whether the next run moves. */
TEST(pushes) /* 05 checklist 22 */
{
	struct sched x;
	int64_t      next;

	sched_open(&x, 0);
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "0")) "," ADD("b", EVERY("3600")) "]"),
	    "a b | | ");
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "0")) "," ADD("b", EVERY("3600")) "]"), "| | ");
	pass(&x, 1 * SECOND);
	CHECK_EQ(rows(&x, "_cron_job_logs", "name").n, 1);
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "0")) "," ADD("c", AT("9", "9")) "]"),
	    "c | | b ");
	CHECK_EQ(rows(&x, "_cron_job_logs", "name").n, 0);
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "0")) "]"), "| | c ");
	next = next_run(&x);
	CHECK_EQ(next % (86400 * (int64_t)SECOND), 3 * 3600 * (int64_t)SECOND);

	/* another function: the same time */
	CHECK_STRZ(push(&x, "[" RUN("a", "counter.js:contended", AT("3", "0")) "]"), "| a | ");
	CHECK_EQ(next_run(&x), next);
	/* another schedule: the first of its times */
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "30")) "]"), "| a | ");
	CHECK_EQ(next_run(&x) % (86400 * (int64_t)SECOND), (3 * 3600 + 1800) * (int64_t)SECOND);
	CHECK_STRZ(push(&x, "[" ADD("a", EVERY("20")) "]"), "| a | ");
	pass(&x, 1 * SECOND);
	CHECK(counter(&x) == 2);
	/* one that comes often keeps its next run, so that pushes do not put it off for ever */
	next = next_run(&x);
	CHECK_STRZ(push(&x, "[" ADD("a", AT("3", "0")) "]"), "| a | ");
	CHECK_EQ(next_run(&x), next);
	pass(&x, 20 * SECOND);
	CHECK(counter(&x) == 3);
	CHECK_EQ(next_run(&x) % (86400 * (int64_t)SECOND), 3 * 3600 * (int64_t)SECOND);
	CHECK_STRZ(push(&x, "[]"), "| | a ");
	CHECK_EQ(rows(&x, "_cron_next_run", "state.type").n, 0);
	sched_close(&x);
}

/* A year of each schedule, counted. */
TEST(a_year)
{
	static const struct {
		const char *schedule;
		double      times;
	} cases[] = {
		{ "{\"type\":\"daily\",\"hourUTC\":5}", 365 },
		{ "{\"type\":\"weekly\",\"dayOfWeek\":0,\"hourUTC\":5,\"minuteUTC\":59}", 52 },
		{ "{\"type\":\"monthly\",\"day\":31,\"hourUTC\":0}", 7 },
		{ "{\"type\":\"cron\",\"cronExpr\":\"0 0 L * *\"}", 12 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sched x;

		sched_open(&x, 0);
		push(&x, arena_fmt(x.w.arena, "[" ADD("y", "%s") "]", cases[i].schedule).p);
		pass(&x, 365ull * 86400 * SECOND);
		fprintf(stderr, "  %s: %g\n", cases[i].schedule, counter(&x));
		CHECK(counter(&x) >= cases[i].times && counter(&x) <= cases[i].times + 1);
		sched_close(&x);
	}
}

TEST_RUN(T(intervals), T(what_was_missed), T(failures), T(interrupted_actions), T(pushes),
    T(a_year))
