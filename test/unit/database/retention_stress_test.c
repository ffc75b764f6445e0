/* retention_stress_test.c - history erased behind those who write and read.
 *
 * Transfers among accounts keep their sum.  Every snapshot must see it, through every index,
 * while windows of milliseconds pass, ranges are evicted and come back from the store, and the
 * store is written: in memory, and behind a commit log.  Run it under the thread sanitizer too.
 *
 * Thread: several, through db.h and retention.h alone.  Memory: everything is freed.
 */
#include "core_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "database/retention.h"

#define ACCOUNTS 60
#define BALANCE  1000
#define COMMITS  1500 /* per committer, at least */
#define ERASED   2000 /* keys; a log is applied in large pieces, so it may take a while */

struct stress {
	struct fixture    f;
	struct retention *r;
	_Atomic int       committing;
	_Atomic uint64_t  sums, erased;
};

struct actor {
	struct stress *s;
	uint64_t       random;
	struct thread *thread;
};

static uint32_t
draw(struct actor *a, uint32_t below)
{
	a->random = a->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(a->random >> 33) % below;
}

static void
rest(struct actor *a, uint32_t us)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000L * draw(a, us) }, NULL);
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

	for (int done = 0; done < COMMITS ||
	     (atomic_load(&s->erased) < ERASED && done < 100 * COMMITS);) {
		struct fx_commit c;
		uint32_t         from = draw(a, ACCOUNTS), to = draw(a, ACCOUNTS);
		int64_t          amount = draw(a, 10);
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
		done += st == ST_OK;
		if (done % 16 == 0)
			rest(a, 2000);
	}
	atomic_fetch_sub(&s->committing, 1);
}

static void
check_sum(struct actor *a, struct snapshot *snap)
{
	const struct table_info *t = fx_things(snap);
	const struct index_info *ix = &t->indexes[draw(a, 3)];
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
	sc = scan_open(snap, t, ix, buf_str(&lo), buf_str(&hi), draw(a, 2), 50);
	for (;;) {
		must(scan_next(sc, &key, &d, NULL) == ST_OK);
		if (!d)
			break;
		sum += val_int64(val_get(doc_val(d), S("n")));
		n++;
	}
	must(n == ACCOUNTS && sum == ACCOUNTS * BALANCE);
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	atomic_fetch_add(&a->s->sums, 1);
}

static void
reader(void *arg)
{
	struct actor *a = arg;

	while (atomic_load(&a->s->committing) > 0) {
		struct snapshot *s = db_snapshot(a->s->f.db);

		for (uint32_t i = draw(a, 6); i > 0; i--) { /* a slow one, too */
			rest(a, 4000);
			check_sum(a, s);
		}
		snapshot_unref(s);
	}
}

static void
writer(void *arg)
{
	struct actor *a = arg;
	struct db    *db = a->s->f.db;

	for (;;) {
		bool                  last = atomic_load(&a->s->committing) == 0;
		struct pending_batch *b = db_take_batch(db, 1 + draw(a, 50));

		if (b)
			must(db_write_batch(db, b, NULL) == ST_OK);
		else if (last)
			return;
		else
			rest(a, 200);
	}
}

static void
evictor(void *arg)
{
	struct actor *a = arg;

	while (atomic_load(&a->s->committing) > 0) {
		db_evict_now(a->s->f.db, 1 + draw(a, 20000));
		rest(a, 1000);
	}
}

static void
eraser(void *arg)
{
	struct actor *a = arg;
	uint64_t      wait;

	while (atomic_load(&a->s->committing) > 0) {
		must(retention_step(a->s->r, &wait, NULL) == ST_OK);
		atomic_store(&a->s->erased, retention_state(a->s->r).keys_erased);
		rest(a, 500);
	}
}

static void
open_world(struct stress *s, const char *path)
{
	struct retention_opts o = { .index_ns = 4000000, .document_ns = 9000000, .chunk_rows = 64 };
	struct fx_commit      c;
	ts_t                  ts;

	s->committing = 2;
	s->f.random = 7;
	s->f.os = (struct os){ &s->f, os_real()->now_ns, os_real()->mono_ns, fx_random };
	if (path)
		CHECK_EQ(store_open_sqlite(path, &s->f.store, NULL), ST_OK);
	else
		store_open_memory(&s->f.store);
	s->f.kept = *s->f.store.v;
	s->f.kept.close = fx_keep_open;
	fx_start(&s->f);
	fx_begin(&s->f, &c);
	s->f.tablet = fx_add_table(&s->f, &c, S("things"), FX_TABLE_NUMBER);
	CHECK_EQ(fx_end(&s->f, &c, S("test"), &ts, NULL), ST_OK);
	fx_begin(&s->f, &c);
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		fx_set(&c, i, BALANCE);
	CHECK_EQ(fx_end(&s->f, &c, S("setup"), &ts, NULL), ST_OK);
	fx_flush(&s->f);
	CHECK_EQ(retention_open(s->f.db, &o, &s->r, NULL), ST_OK);
}

static void
run(struct stress *s)
{
	static void (*const parts[])(void *) = { committer, committer, reader, reader, writer,
		evictor, eraser };
	struct actor actors[COUNT_OF(parts)];

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		actors[i] = (struct actor){ .s = s, .random = i + 1 };
		actors[i].thread = thread_start("actor", 1 << 20, parts[i], &actors[i]);
	}
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		thread_join_free(actors[i].thread);
	print_message("  %d sums, %d keys erased\n", (int)s->sums, (int)s->erased);
	CHECK(s->sums > 0 && s->erased >= ERASED);
}

static void
check_end(struct stress *s)
{
	struct actor     a = { .s = s, .random = 3 };
	struct snapshot *snap;

	retention_close(s->r);
	db_close(s->f.db);
	fx_start(&s->f); /* from the store alone */
	snap = db_snapshot(s->f.db);
	for (int i = 0; i < 20; i++)
		check_sum(&a, snap);
	snapshot_unref(snap);
	fx_close(&s->f);
}

TEST(sums_hold_while_history_goes)
{
	struct stress s = { .committing = 2 };

	open_world(&s, NULL);
	run(&s);
	check_end(&s);
}

TEST(sums_hold_behind_a_log)
{
	static const char *const names[] = { "", "-wal", "-shm", ".lock" };
	char          dir[] = "/tmp/retention_stress.XXXXXX", path[80];
	struct stress s = { .committing = 2 };

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/db", dir);
	open_world(&s, path);
	run(&s);
	check_end(&s);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof path, "%s/db%s", dir, names[i]);
		(void)unlink(path);
	}
	CHECK_EQ(rmdir(dir), 0);
}

TEST_RUN(T(sums_hold_while_history_goes), T(sums_hold_behind_a_log))
