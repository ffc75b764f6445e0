/* fault_test.c - each single operation of the disk fails once, under log and SQLite.
 *
 * One fixed program (open, write, apply, checkpoint, prune, close) runs once for every operation
 * that it performs; that one fails with EIO or ENOSPC, a sync that fails takes the pages with it,
 * all writes are short.  Whatever the store then says, a second life must find everything that was
 * acknowledged; it goes on from there; and when the power is cut at last, nothing may turn out to
 * have been on the disk in appearance only.
 *
 * Of the many writes each eleventh is made to fail; EVERY=1: each.
 */
#include "power_fixture.h"

enum { BATCHES = 36 };

/* What happened while the fault was there. */
struct outcome {
	bool opened, refused, stopped;
};

static void
program(struct model *m, struct outcome *o)
{
	struct store s;
	struct err   e = err_in(NULL);
	status       st = ST_OK;

	*o = (struct outcome){ .opened = open_store(&s, &e) == ST_OK };
	if (!o->opened)
		return;
	for (int i = 0; i < BATCHES && !o->stopped; i++) {
		st = write_batch(&s, m);
		if (st == ST_OVERLOADED) {
			o->refused = true; /* nothing was written */
			m->tried = m->acked;
		} else if (st != ST_OK) {
			o->stopped = true;
		}
		if (i % 5 == 4)
			(void)logged_step(&s);
		if (i % 12 == 11)
			(void)prune(&s, m);
	}
	if (o->stopped) { /* and it stays so */
		struct model other = *m;

		CHECK_EQ(write_batch(&s, &other), ST_INTERNAL);
	}
	if (o->stopped)
		logged_abandon(&s);
	else
		store_close(&s);
}

static struct store
open_again(bool power)
{
	struct store s;
	struct err   e = err_in(NULL);

	simvfs_use(NULL);
	simdisk_boot(sim, power);
	simvfs_use(simdisk_table(sim));
	if (open_store(&s, &e) != ST_OK)
		fail_msg("not opened: %.*s", STR_ARG(e.text));
	return s;
}

static void
second_life(struct model *m)
{
	struct store s = open_again(false);

	check_store(&s, m);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(write_batch(&s, m), ST_OK);
	(void)logged_step(&s);
	CHECK_EQ(write_batch(&s, m), ST_OK);
	check_store(&s, m);
	logged_abandon(&s);

	s = open_again(true);
	check_store(&s, m);
	store_close(&s);
	s = open_again(true);
	check_store(&s, m);
	store_close(&s);
}

/* The n-th operation of these kinds fails; false: there are not so many. */
static bool
run(unsigned ops, uint64_t n, int error, struct outcome *ret)
{
	static struct model m;
	bool                failed;

	m = (struct model){ 0 };
	random_state = 7;
	sim = simdisk_new(n);
	simvfs_use(simdisk_table(sim));
	simvfs_seed(1);
	simdisk_short_writes(sim, true);
	simdisk_fail_in(sim, ops, n, error, 1);
	program(&m, ret);
	failed = simdisk_failed(sim);
	simdisk_fail_in(sim, 0, 0, 0, 0);
	second_life(&m);
	simvfs_use(NULL);
	simdisk_free(sim);
	return failed;
}

/* Acknowledged commits survive a failure of any single operation of the disk: reading, writing,
 * syncing, resizing, naming.  A store that met one either goes on, refuses, or stops. */
TEST(each_operation_fails_once)
{
	const struct {
		const char *why;
		unsigned    ops;
		int         error;
	} rows[] = {
		{ "a sync fails and the pages are gone", SIMDISK_SYNC, EIO },
		{ "a write fails", SIMDISK_WRITE, EIO },
		{ "a write finds no space", SIMDISK_WRITE, ENOSPC },
		{ "a read fails", SIMDISK_READ, EIO },
		{ "a file does not open", SIMDISK_OPEN, EIO },
		{ "a resize finds no space", SIMDISK_RESIZE, ENOSPC },
		{ "a name is not changed", SIMDISK_NAME, EIO },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome o;
		int            n = 1, refused = 0, stopped = 0, closed = 0;

		int step = getenv("EVERY") || !(rows[i].ops & SIMDISK_WRITE) ? 1 : 11;

		for (; run(rows[i].ops, (uint64_t)n, rows[i].error, &o); n += step) {
			closed += !o.opened;
			refused += o.refused;
			stopped += o.stopped;
		}
		print_message("  %s: up to operation %d; not opened %d, refused %d, stopped %d\n",
		    rows[i].why, n - 1, closed, refused, stopped);
		CHECK(n > 3);
	}
}

/* After a failed sync and a restart SQLite reads its log from the cache.  If the power goes while a
 * checkpoint moves that log into the database, it must be there afterwards, too. */
TEST(what_a_failed_sync_left_is_made_sure_of)
{
	for (uint64_t n = 1; n < 60; n++)
		for (uint64_t k = 1; k < 60; k += 13) {
			static struct model m;
			struct outcome      o;
			struct store        s;
			bool                failed;

			m = (struct model){ 0 };
			random_state = n * 100 + k;
			sim = simdisk_new(random_state);
			simvfs_use(simdisk_table(sim));
			simvfs_seed(1);
			simdisk_fail_in(sim, SIMDISK_SYNC, n, EIO, 1);
			program(&m, &o);
			failed = simdisk_failed(sim);
			s = open_again(false);
			check_store(&s, &m);
			for (int i = 0; i < 4; i++)
				CHECK_EQ(write_batch(&s, &m), ST_OK);
			simdisk_crash_in(sim, k);
			logged_checkpoint(&s);
			logged_abandon(&s);
			s = open_again(true);
			check_store(&s, &m);
			store_close(&s);
			simvfs_use(NULL);
			simdisk_free(sim);
			if (!failed)
				return;
		}
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(each_operation_fails_once),
		IN_DIR(what_a_failed_sync_left_is_made_sure_of),
	};

	/* Every fault makes errors that are expected. */
	if (!getenv("LOUD"))
		log_set_level((enum log_level)(LOG_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
