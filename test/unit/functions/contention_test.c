/* contention_test.c - many threads, one counter (03 checklist 32).
 *
 * With last_try_alone nobody is told of a conflict, however hot the document.
 */
#include <pthread.h>
#include <sched.h>

#include "database/query.h"
#include "functions/worker.h"
#include "os/os.h"
#include "test.h"

#define THREADS 4
#define ADDS    150

struct shared {
	struct functions *functions;
	_Atomic size_t    refused;
};

static status
counter_row(struct txn *t, struct doc **ret, struct err *e)
{
	static const struct query_spec all = { .source = QUERY_FULL_SCAN,
		.table = { "counters", 8 } };
	struct query                  *q;

	TRY(query_open(t, &all, &q, e));
	return query_next(q, ret, e);
}

/* Reads the counter, lets the others run, writes it back plus one. */
static status
counter_add(const struct native_call *c, struct val *ret, struct err *e)
{
	struct doc  *row;
	struct docid id;
	struct pack  p;
	struct val   v;
	double       n = 0;

	TRY(counter_row(c->txn, &row, e));
	if (row)
		n = val_float64(val_get(doc_val(row), S("n")));
	sched_yield();
	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("n"));
	pack_float64(&p, n + 1);
	pack_end(&p);
	must(pack_done_in(&p, c->arena, &v, e) == ST_OK);
	pack_clear(&p);
	*ret = val_null;
	if (row)
		return txn_replace(
		    c->txn, STR_EMPTY, val_str(val_get(doc_val(row), S("_id"))), v, &row, e);
	return txn_insert(c->txn, S("counters"), v, &id, e);
}

static const struct native_fn app[] = {
	{ "counter.js:add", UDF_MUTATION, counter_add, NULL },
};

static struct fn_result *
call_add(struct fn_worker *w)
{
	struct fn_call   *c = fn_call_new();
	struct fn_result *r;

	c->want = WANT_MUTATION;
	c->path = S("counter.js:add");
	c->args_json = S("[{}]");
	c->identity = identity_none();
	c->caller = CALLER_HTTP_API;
	r = fn_worker_run(w, c, NULL);
	fn_call_unref(c);
	return r;
}

static void *
adder(void *arg)
{
	struct shared    *s = arg;
	struct fn_worker *w = fn_worker_new(s->functions, NULL);

	for (int i = 0; i < ADDS; i++) {
		struct fn_result *r = call_add(w);

		s->refused += r->st != ST_OK || !r->ok;
		fn_result_unref(r);
	}
	fn_worker_free(w);
	return NULL;
}

static double
counter_value(struct db *db)
{
	struct txn *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db) });
	struct doc *row = NULL;
	double      n;

	CHECK_EQ(counter_row(t, &row, NULL), ST_OK);
	CHECK(row);
	n = val_float64(val_get(doc_val(row), S("n")));
	txn_free(t);
	return n;
}

/* Every increment of every thread succeeds and is counted once. */
TEST(one_counter_many_threads)
{
	struct db_opts dbo = { .os = os_real(), .instance_name = S("carnitas") };
	struct db     *db;
	struct shared  s = { 0 };
	pthread_t      threads[THREADS];

	store_open_memory(&dbo.store);
	CHECK_EQ(db_open(&dbo, &db, NULL), ST_OK);
	s.functions = functions_new(&(struct functions_opts){ .db = db, .natives = app,
	    .nnatives = COUNT_OF(app), .instance_name = S("carnitas"), .last_try_alone = true });
	struct fn_worker *first = fn_worker_new(s.functions, NULL);

	fn_result_unref(call_add(first)); /* makes the table */
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, adder, &s), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(s.refused, 0);
	CHECK_EQ((int)counter_value(db), 1 + THREADS * ADDS);
	fn_worker_free(first);
	functions_free(s.functions);
	db_close(db);
}

TEST_RUN(T(one_counter_many_threads))
