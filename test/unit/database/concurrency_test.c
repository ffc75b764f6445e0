/* concurrency_test.c - many threads on one database, with a thread that writes to the store.
 *
 * Built with the thread sanitizer this is also the test of what the threads share.
 */
#include <stdatomic.h>

#include "db_fixture.h"
#include "runtime/thread.h"

#define ACCOUNTS  10
#define TRANSFERS 300
#define WORKERS   4

struct bank {
	struct fix     fix; /* its clock and dice are not used: they belong to one thread */
	struct db     *db;
	str            ids[ACCOUNTS];
	_Atomic int    running;
	_Atomic int    retries;
	_Atomic int    checks;
	_Atomic int    failures;
};

static struct txn *
begin(struct bank *b, bool writable)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(b->db), .writable = writable,
	    .writer = S("bank.js:transfer") });
}

static double
balance(const struct doc *d)
{
	return val_float64(val_get(doc_val(d), S("balance")));
}

static status
add(struct txn *t, struct bank *b, size_t account, double amount)
{
	struct pack p;
	struct val  v;
	struct doc *d;

	TRY(txn_get(t, STR_EMPTY, b->ids[account], false, &d, NULL));
	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("balance"));
	pack_float64(&p, balance(d) + amount);
	pack_end(&p);
	must(pack_done_in(&p, txn_arena(t), &v, NULL) == ST_OK);
	pack_clear(&p);
	return txn_patch(t, STR_EMPTY, b->ids[account], v, &d, NULL);
}

static void
transfer(struct bank *b, size_t from, size_t to)
{
	for (;;) {
		struct txn     *t = begin(b, true);
		struct conflict c;
		ts_t            ts;
		status          st = add(t, b, from, -1);

		if (st == ST_OK)
			st = add(t, b, to, 1);
		if (st == ST_OK)
			st = txn_commit(t, &ts, &c, NULL);
		txn_free(t);
		if (st == ST_OK)
			return;
		if (st != ST_OCC)
			b->failures++;
		b->retries++;
	}
}

static void
work(void *arg)
{
	struct bank *b = arg;
	uint64_t     dice = 88172645463325252u + (uint64_t)(uintptr_t)&dice;

	for (int i = 0; i < TRANSFERS; i++) {
		size_t from = (size_t)(fix_draw(&dice) >> 20) % ACCOUNTS;

		transfer(b, from, (from + 1 + (size_t)(fix_draw(&dice) >> 20) % (ACCOUNTS - 1)) %
			ACCOUNTS);
	}
	b->running--;
}

/* Sums up all accounts through an index, again and again. */
static void
audit(void *arg)
{
	struct bank             *b = arg;
	const struct query_spec s = { .source = QUERY_FULL_SCAN, .table = S("accounts") };

	do {
		struct txn   *t = begin(b, false);
		struct query *q;
		struct doc   *d;
		double        sum = 0;
		size_t        n = 0;

		if (query_open(t, &s, &q, NULL) != ST_OK)
			b->failures++;
		while (query_next(q, &d, NULL) == ST_OK && d) {
			sum += balance(d);
			n++;
		}
		if (sum != 100.0 * ACCOUNTS || n != ACCOUNTS)
			b->failures++;
		b->checks++;
		txn_free(t);
	} while (b->running > 0);
}

static void
store(void *arg)
{
	struct bank *b = arg;

	while (b->running > 0 || db_pending_commits(b->db)) {
		struct pending_batch *batch = db_take_batch(b->db, 64);

		if (batch && db_write_batch(b->db, batch, NULL) != ST_OK)
			b->failures++;
	}
}

/* 03 checklist 26 and 27: money is neither made nor lost, at no moment, whoever looks. */
TEST(transfers_keep_the_sum)
{
	struct bank    b;
	struct thread *threads[WORKERS + 2];
	struct db_opts opts;
	struct txn    *t;

	memset(&b, 0, sizeof b);
	memset(&opts, 0, sizeof opts);
	b.fix.arena = arena_new();
	b.fix.err = err_in(b.fix.arena);
	opts.os = os_real();
	store_open_memory(&opts.store);
	CHECK_EQ(db_open(&opts, &b.db, &b.fix.err), ST_OK);
	b.fix.db = b.db;
	t = begin(&b, true);
	for (size_t i = 0; i < ACCOUNTS; i++)
		b.ids[i] = fix_insert(&b.fix, t, "accounts", "{\"balance\":100}");
	CHECK_EQ(fix_end(&b.fix, t), ST_OK);
	b.running = WORKERS;
	for (size_t i = 0; i < WORKERS; i++)
		threads[i] = thread_start("worker", 0, work, &b);
	threads[WORKERS] = thread_start("audit", 0, audit, &b);
	threads[WORKERS + 1] = thread_start("store", 0, store, &b);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		thread_join_free(threads[i]);
	print_message("  %d retries, %d audits\n", b.retries, b.checks);
	CHECK_EQ(b.failures, 0);
	CHECK_EQ(db_durable_ts(b.db), db_latest_ts(b.db));
	db_close(b.db);
	arena_free(b.fix.arena);
}

TEST_RUN(T(transfers_keep_the_sum))
