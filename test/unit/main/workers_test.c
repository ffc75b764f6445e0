/* workers_test.c - the function workers: substitutes for those that are busy, a bounded queue, an
 * end to waiting. */
#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"
#include "main/workers.h"
#include "os/os.h"
#include "runtime/queue.h"

#define MS 1000000ull

/* A runner whose jobs go to the workers; what they finish is fetched by hand. */
struct place {
	struct db        *db;
	struct functions *functions;
	struct runner    *runner;
	struct workers   *workers;
	struct queue     *done;
	struct job       *refused[64];
	size_t            nrefused;
	atomic_bool       go_on;
	atomic_int        running, ran;
	int               finished, overloaded;
	str               code;
};

static struct place *place;

static struct fn_worker *
worker_new(void *arg)
{
	return fn_worker_new(((struct place *)arg)->functions, NULL);
}

static void
job_done(void *arg, struct job *j)
{
	queue_push_wait(((struct place *)arg)->done, j);
}

static void
submit(void *arg, struct job *j)
{
	struct place *p = arg;

	if (!workers_submit(p->workers, j))
		p->refused[p->nrefused++] = j;
}

static uint64_t
now_ns(void)
{
	return os_mono_ns(os_real());
}

/* --- what runs --- */

static status
burn(const struct native_call *c, struct val *ret, struct err *e)
{
	struct place *p = place;

	(void)c, (void)e;
	atomic_fetch_add(&p->running, 1);
	while (!atomic_load(&p->go_on))
		;
	atomic_fetch_sub(&p->running, 1);
	atomic_fetch_add(&p->ran, 1);
	*ret = val_null;
	return ST_OK;
}

static status
quick(const struct native_call *c, struct val *ret, struct err *e)
{
	(void)c, (void)e;
	atomic_fetch_add(&place->ran, 1);
	*ret = val_null;
	return ST_OK;
}

static const struct native_fn natives[] = {
	{ "_system/burn.js:default", UDF_MUTATION, burn, NULL },
	{ "_system/quick.js:default", UDF_MUTATION, quick, NULL },
};

/* --- set-up --- */

static void
open_place(struct place *p, int normal, int max, size_t queue_max, uint64_t wait_max_ns)
{
	struct db_opts        o = { .os = os_real(), .instance_name = S("test") };
	struct err            e = err_in(NULL);
	struct functions_opts f = {
		.natives = natives, .nnatives = COUNT_OF(natives), .instance_name = S("test")
	};

	memset(p, 0, sizeof *p);
	place = p;
	store_open_memory(&o.store);
	assert_int_equal(db_open(&o, &p->db, &e), ST_OK);
	f.db = p->db;
	p->functions = functions_new(&f);
	p->done = queue_new(1024);
	p->workers = workers_new(&(struct workers_opts){ .os = os_real(),
	    .normal = normal,
	    .max = max,
	    .queue_max = queue_max,
	    .wait_max_ns = wait_max_ns,
	    .worker_new = worker_new,
	    .worker_arg = p,
	    .done = job_done,
	    .done_arg = p });
	p->runner = runner_new(&(struct runner_opts){
	    .functions = p->functions, .executor = { p, submit }, .os = os_real() });
	workers_start(p->workers);
}

static void
on_done(void *arg, struct fn_result *res)
{
	struct place *p = arg;

	p->finished++;
	if (res->st == ST_OVERLOADED) {
		p->overloaded++;
		p->code = str_eq(res->code, S("ExpiredInQueue"))     ? S("ExpiredInQueue")
			  : str_eq(res->code, S("ExecuteFullError")) ? S("ExecuteFullError")
								     : S("?");
		CHECK_STRZ(res->text, "Too many concurrent requests in a short period of time. "
				      "Spread out your requests out over time or throttle them to "
				      "avoid errors.");
	}
}

static void
call(struct place *p, const char *path)
{
	struct fn_call *c = fn_call_new();

	c->want = WANT_MUTATION;
	c->path = str_z(path);
	c->args_json = S("[{}]");
	c->identity = identity_system();
	c->caller = CALLER_HTTP_API;
	c->internal_ok = true;
	(void)runner_call(p->runner, c, on_done, p);
	fn_call_unref(c);
}

/* Until so many calls are finished, or a second has passed. */
static void
fetch(struct place *p, int finished)
{
	uint64_t end = now_ns() + 3000 * MS;

	while (p->finished < finished && now_ns() < end) {
		struct pending_batch *b;
		void                 *item;

		while (p->nrefused > 0)
			runner_job_done(p->runner, p->refused[--p->nrefused]);
		if (queue_pop(p->done, &item, 1, 10 * MS) == 1)
			runner_job_done(p->runner, item);
		while ((b = db_take_batch(p->db, 1000)) != NULL)
			assert_int_equal(db_write_batch(p->db, b, NULL), ST_OK);
		runner_durable(p->runner);
	}
	CHECK_EQ(p->finished, finished);
}

static void
close_place(struct place *p)
{
	atomic_store(&p->go_on, true);
	workers_free(p->workers);
	runner_free(p->runner);
	functions_free(p->functions);
	queue_free(p->done);
	db_close(p->db);
}

/* Jobs that burn CPU get substitutes, which run the jobs that wait; afterwards there are as many
 * threads as before, and all work. */
TEST(who_is_busy_is_replaced)
{
	struct place p;

	open_place(&p, 2, 6, 0, 0);
	for (int i = 0; i < 4; i++)
		call(&p, "_system/burn.js:default");
	for (int i = 0; i < 20; i++)
		call(&p, "_system/quick.js:default");
	fetch(&p, 20);
	CHECK_EQ(atomic_load(&p.running), 4);
	CHECK(workers_stats(p.workers).threads > 4);
	for (int i = 0; i < 300 && workers_stats(p.workers).slow < 4; i++)
		usleep(10000);
	CHECK_EQ(workers_stats(p.workers).slow, 4);
	atomic_store(&p.go_on, true);
	fetch(&p, 24);
	CHECK_EQ(p.overloaded, 0);
	for (int i = 0; i < 50; i++)
		call(&p, "_system/quick.js:default");
	fetch(&p, 74);
	CHECK_EQ(workers_stats(p.workers).slow, 0);
	close_place(&p);
}

/* There is a maximum. */
TEST(substitutes_are_bounded)
{
	struct place p;

	open_place(&p, 1, 3, 0, 0);
	for (int i = 0; i < 6; i++)
		call(&p, "_system/burn.js:default");
	usleep(300000);
	CHECK_EQ(workers_stats(p.workers).threads, 3);
	CHECK_EQ(atomic_load(&p.running), 3);
	CHECK_EQ(workers_stats(p.workers).waiting, 3);
	atomic_store(&p.go_on, true);
	fetch(&p, 6);
	CHECK_EQ(atomic_load(&p.ran), 6);
	close_place(&p);
}

/* 04 checklist 37: a full queue refuses with the documented text instead of growing. */
TEST(a_full_queue_refuses)
{
	struct place p;

	open_place(&p, 1, 1, 3, 0);
	call(&p, "_system/burn.js:default");
	while (atomic_load(&p.running) < 1)
		usleep(1000);
	for (int i = 0; i < 8; i++)
		call(&p, "_system/quick.js:default");
	CHECK_EQ(p.nrefused, 5);
	fetch(&p, 5);
	CHECK_EQ(p.overloaded, 5);
	CHECK_STRZ(p.code, "ExecuteFullError");
	atomic_store(&p.go_on, true);
	fetch(&p, 9);
	CHECK_EQ(p.overloaded, 5);
	CHECK_EQ(atomic_load(&p.ran), 4);
	close_place(&p);
}

/* 04 checklist 37: who waited for too long is refused, not run. */
TEST(waiting_has_an_end)
{
	struct place p;

	open_place(&p, 1, 1, 0, 50 * MS);
	call(&p, "_system/burn.js:default");
	while (atomic_load(&p.running) < 1)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		call(&p, "_system/quick.js:default");
	usleep(100000);
	atomic_store(&p.go_on, true);
	fetch(&p, 4);
	CHECK_EQ(p.overloaded, 3);
	CHECK_STRZ(p.code, "ExpiredInQueue");
	CHECK_EQ(atomic_load(&p.ran), 1);
	call(&p, "_system/quick.js:default");
	fetch(&p, 5);
	CHECK_EQ(p.overloaded, 3);
	close_place(&p);
}

/* Threads in excess and threads that stepped back come and go under load without losing a job. */
TEST(nothing_gets_lost)
{
	struct place p;
	int          n = 0;

	open_place(&p, 2, 8, 0, 0);
	for (int round = 0; round < 8; round++) {
		atomic_store(&p.go_on, false);
		for (int i = 0; i < 3; i++, n++)
			call(&p, "_system/burn.js:default");
		for (int i = 0; i < 60; i++, n++)
			call(&p, "_system/quick.js:default");
		usleep(30000);
		atomic_store(&p.go_on, true);
		fetch(&p, n);
	}
	CHECK_EQ(atomic_load(&p.ran), n);
	close_place(&p);
}

TEST_RUN(T(who_is_busy_is_replaced), T(substitutes_are_bounded), T(a_full_queue_refuses),
    T(waiting_has_an_end), T(nothing_gets_lost))
