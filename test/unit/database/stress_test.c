/* stress_test.c - committers, readers, the store's thread and evictions at once.
 *
 * Transfers among accounts keep their sum; every snapshot must see that sum, through every
 * index, while others commit, load cold ranges, write batches and drop what is resident: on
 * purpose, and because the budget is a fraction of the data.  Run it under the thread sanitizer
 * too.
 *
 * Thread: several, through db.h alone.  Memory: everything is freed.
 */
#include "core_fixture.h"

#include <stdatomic.h>
#include <time.h>

#define ACCOUNTS 120
#define BALANCE  1000
#define COMMITS  4000 /* per committer */

struct stress {
	struct fixture   f;
	_Atomic int      committing;
	_Atomic uint64_t conflicts, scans;
};

struct actor {
	struct stress *s;
	uint64_t       random;
	struct thread *thread;
};

static uint32_t
actor_draw(struct actor *a, uint32_t below)
{
	a->random = a->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(a->random >> 33) % below;
}

static int64_t
balance(struct snapshot *s, uint32_t i)
{
	struct doc *d = fx_get(s, i);
	int64_t     n;

	must(d);
	n = val_int64(val_get(doc_val(d), S("n")));
	doc_unref(d);
	return n;
}

static void
committer(void *arg)
{
	struct actor  *a = arg;
	struct stress *s = a->s;
	ts_t           last = 0;

	for (int done = 0; done < COMMITS;) {
		struct fx_commit c;
		uint32_t         from = actor_draw(a, ACCOUNTS), to = actor_draw(a, ACCOUNTS);
		int64_t          amount = actor_draw(a, 10);
		ts_t             ts;
		status           st;

		if (from == to)
			continue;
		fx_begin(&s->f, &c);
		fx_read_id(&c, from);
		fx_read_id(&c, to);
		if (balance(c.base, from) >= amount) {
			fx_set(&c, from, balance(c.base, from) - amount);
			fx_set(&c, to, balance(c.base, to) + amount);
		}
		st = fx_end(&s->f, &c, S("transfer"), &ts, NULL);
		must(st == ST_OK || st == ST_OCC);
		if (st == ST_OCC) {
			atomic_fetch_add(&s->conflicts, 1);
			continue;
		}
		must(ts >= last);
		last = ts;
		done++;
	}
	atomic_fetch_sub(&s->committing, 1);
}

static void
check_sum(struct actor *a, struct snapshot *snap)
{
	const struct table_info *t = fx_things(snap);
	const struct index_info *ix = &t->indexes[actor_draw(a, 3)];
	struct buf               lo, hi;
	struct scan             *sc;
	struct doc              *d;
	str                      key;
	int64_t                  sum = 0;
	size_t                   n = 0;

	buf_init(&lo, 16);
	buf_init(&hi, 16);
	index_prefix(&lo, ix);
	buf_add(&hi, buf_str(&lo));
	hi.p[3]++;
	sc = scan_open(snap, t, ix, buf_str(&lo), buf_str(&hi), actor_draw(a, 2), 50);
	for (;;) {
		must(scan_next(sc, &key, &d, NULL) == ST_OK);
		if (!d)
			break;
		must(d->ts <= snapshot_ts(snap));
		sum += val_int64(val_get(doc_val(d), S("n")));
		n++;
	}
	must(n == ACCOUNTS && sum == ACCOUNTS * BALANCE);
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	atomic_fetch_add(&a->s->scans, 1);
}

static void
reader(void *arg)
{
	struct actor    *a = arg;
	struct snapshot *held = NULL;

	while (atomic_load(&a->s->committing) > 0) {
		struct snapshot *s = db_snapshot(a->s->f.db);

		check_sum(a, s);
		if (held)
			check_sum(a, held); /* an older moment, still whole */
		if (actor_draw(a, 4) == 0) {
			snapshot_unref(held);
			held = snapshot_ref(s);
		}
		snapshot_unref(s);
	}
	snapshot_unref(held);
}

static void
writer(void *arg)
{
	struct actor *a = arg;
	struct db    *db = a->s->f.db;

	for (;;) {
		bool                  last = atomic_load(&a->s->committing) == 0;
		struct pending_batch *b = db_take_batch(db, 1 + actor_draw(a, 50));

		if (b)
			must(db_write_batch(db, b, NULL) == ST_OK);
		else if (last)
			return;
	}
}

static void
evictor(void *arg)
{
	struct actor *a = arg;

	while (atomic_load(&a->s->committing) > 0) {
		db_evict_now(a->s->f.db, 1 + actor_draw(a, 20000));
		nanosleep(&(struct timespec){ .tv_nsec = 1000 * actor_draw(a, 1000) }, NULL);
	}
}

/* Under concurrent transfers every snapshot sums up, nothing is lost, and what was committed
 * is what a restart finds. */
TEST(sums_hold_under_concurrency)
{
	struct stress    s = { .committing = 2 };
	struct actor     actors[6];
	struct fx_commit c;
	ts_t             ts, latest;
	struct snapshot *snap;

	fx_open(&s.f, 1);
	fx_begin(&s.f, &c);
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		fx_set(&c, i, BALANCE);
	CHECK_EQ(fx_end(&s.f, &c, S("setup"), &ts, NULL), ST_OK);
	fx_flush(&s.f);
	db_close(s.f.db);
	s.f.cache_bytes = 200000;
	fx_start(&s.f); /* cold */
	for (uint64_t i = 0; i < 6; i++) {
		actors[i] = (struct actor){ .s = &s, .random = i + 1 };
		actors[i].thread = thread_start("actor", 1 << 20,
		    i < 2 ? committer : i < 4 ? reader : i < 5 ? writer : evictor, &actors[i]);
	}
	for (size_t i = 0; i < 6; i++)
		thread_join_free(actors[i].thread);
	print_message("  %d conflicts, %d sums\n", (int)s.conflicts, (int)s.scans);
	CHECK(s.scans > 0);
	res_check(s.f.db->tree);
	latest = db_latest_ts(s.f.db);
	CHECK_EQ(db_durable_ts(s.f.db), latest);
	db_close(s.f.db);
	fx_start(&s.f);
	CHECK(db_latest_ts(s.f.db) >= latest);
	snap = db_snapshot(s.f.db);
	check_sum(&actors[0], snap);
	snapshot_unref(snap);
	fx_close(&s.f);
}

TEST_RUN(T(sums_hold_under_concurrency))
