/* power_test.c - the whole logged store on a disk that loses what was not synced.
 *
 * A life writes random batches, applies them, checkpoints, prunes and closes at random, until the
 * disk stops at a random operation: in the middle of an append, a checkpoint, a recovery, while a
 * segment is made.  Then the power is gone (each sector that was not synced is there or not), or
 * only the process; the store is opened again, perhaps stopped again while it opens, and compared
 * with the model.  Everything follows from one seed.
 *
 * SEED=n runs one seed, with the store's own words; SEEDS=n that many.
 */
#include "power_fixture.h"

enum { SEEDS = 150, LIVES = 8 };

static int crashes;

/* --- lives --- */

/* Random work until something fails or the life is over. */
static void
live(struct store *s, struct model *m)
{
	status st = ST_OK;

	for (int i = 0; i < 50 && st == ST_OK && !simdisk_crashed(sim); i++) {
		uint32_t what = draw(100);

		if (what < 80)
			st = write_batch(s, m);
		else if (what < 92)
			(void)logged_step(s);
		else
			st = prune(s, m);
	}
	CHECK(st == ST_OK || simdisk_crashed(sim));
}

/* Opens until it succeeds: each attempt may be stopped too. */
static struct store
come_back(void)
{
	struct err   e = err_in(NULL);
	struct store s;

	for (;;) {
		simvfs_use(NULL);
		simdisk_boot(sim, draw(3) > 0);
		simvfs_use(simdisk_table(sim));
		if (draw(3) == 0)
			simdisk_crash_in(sim, 1 + draw(150));
		crashes++;
		if (open_store(&s, &e) == ST_OK)
			break;
		if (!simdisk_crashed(sim))
			print_error("refused: %.*s\n", STR_ARG(e.text));
		CHECK(simdisk_crashed(sim));
	}
	if (simdisk_crashed(sim)) { /* it was open just before */
		logged_abandon(&s);
		return come_back();
	}
	simdisk_crash_in(sim, 0);
	return s;
}

static void
run_seed(uint64_t seed)
{
	static struct model m;
	struct store        s;

	random_state = seed * 2654435761u + 1;
	m = (struct model){ 0 };
	sim = simdisk_new(seed);
	simvfs_seed(seed);
	for (int life = 0; life < LIVES; life++) {
		s = come_back();
		check_store(&s, &m);
		simdisk_short_writes(sim, draw(4) == 0);
		if (draw(10) > 0)
			simdisk_crash_in(sim, 1 + draw(draw(2) ? 700 : 100));
		live(&s, &m);
		if (draw(4) == 0)
			store_close(&s);
		else
			logged_abandon(&s);
	}
	s = come_back();
	check_store(&s, &m);
	store_close(&s);
	simvfs_use(NULL);
	simdisk_free(sim);
}

/* 03 checklist 36: what was acknowledged is there after the power was cut at any operation, also
 * at one of the recovery's; of a batch that was not acknowledged all is there or nothing; nothing
 * is there twice. */
TEST(power_is_cut_at_any_operation)
{
	const char *one = getenv("SEED"), *more = getenv("SEEDS");
	uint64_t    from = one ? strtoull(one, NULL, 10) : 1;
	uint64_t    to = one ? from : more ? strtoull(more, NULL, 10) : SEEDS;

	for (uint64_t seed = from; seed <= to; seed++) {
		print_message("%s%d", seed == from ? "  seeds " : " ", (int)seed);
		run_seed(seed);
	}
	print_message("\n  %d crashes\n", crashes);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(power_is_cut_at_any_operation),
	};

	/* Every crash makes errors that are expected. */
	if (!getenv("SEED"))
		log_set_level((enum log_level)(LOG_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
