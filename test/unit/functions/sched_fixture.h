/* sched_fixture.h - a core whose scheduler runs, and whose time passes when the test says so.
 *
 * Thread: the test's.  Memory: the fixture's.
 */
#ifndef TEST_UNIT_FUNCTIONS_SCHED_FIXTURE_H
#define TEST_UNIT_FUNCTIONS_SCHED_FIXTURE_H

#include "functions/scheduler.h"
#include "unit/functions/fn_fixture.h"

#define SECOND 1000000000ull

struct sched {
	struct world      w;
	struct scheduler *s;
};

static inline void
sched_open(struct sched *x, size_t parallel)
{
	world_open(&x->w, false);
	x->s = scheduler_new(&(struct scheduler_opts){
	    .runner = x->w.runner, .os = &x->w.os, .parallel = parallel });
	world_settle(&x->w);
}

/* Lets `ns` pass, with everything that is due on the way. */
static inline void
pass(struct sched *x, uint64_t ns)
{
	uint64_t end = x->w.now_ns + ns;

	while (x->w.now_ns < end) {
		uint64_t next = 0, before;

		do { /* what has run may have brought the next time forward */
			before = next;
			next = scheduler_tick(x->s, x->w.now_ns);
			world_settle(&x->w);
		} while (next != before);
		if (next > x->w.now_ns)
			x->w.now_ns = next < end ? next : end;
	}
	(void)scheduler_tick(x->s, x->w.now_ns);
	world_settle(&x->w);
}

static inline void
sched_close(struct sched *x)
{
	world_settle(&x->w);
	CHECK_EQ(scheduler_busy(x->s), 0);
	scheduler_stop(x->s);
	scheduler_free(x->s);
	world_close(&x->w);
}

static inline struct txn *
begin_write(struct sched *x)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(x->w.db), .writable = true,
	    .writer = S("test.js:write") });
}

static inline void
commit(struct sched *x, struct txn *t)
{
	struct conflict conflict;
	struct err      e = err_in(NULL);
	ts_t            ts;

	CHECK_EQ(txn_commit(t, &ts, &conflict, &e), ST_OK);
	txn_free(t);
	world_settle(&x->w);
}

static inline double
counter(struct sched *x)
{
	struct fn_result *r = world_run(&x->w, WANT_QUERY, S("counter:get"), S("[{}]"));
	double            n = strtod(r->value_json.p, NULL);

	fn_result_unref(r);
	return n;
}

#endif
