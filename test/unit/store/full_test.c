/* full_test.c - a full disk is a state of the store, and it passes.
 *
 * The disk is simulated (test/disk) and gets a limit; log and SQLite lie on it together.
 */
#include "power_fixture.h"

enum { SEEDS = 40, OPEN_MAX = 5, BODY_MAX = 700 };

static void
begin(uint64_t seed)
{
	random_state = seed * 2654435761u + 1;
	sim = simdisk_new(seed);
	simvfs_seed(seed);
	simvfs_use(simdisk_table(sim));
}

static void
end(void)
{
	simvfs_use(NULL);
	simdisk_free(sim);
}

static struct store
open_with_frames(bool by_hand, size_t frames)
{
	const struct logged_opts opts = { .segment_bytes = 64 << 10,
		.backlog_bytes = 64 << 20,
		.checkpoint_frames = frames,
		.disk = simdisk_table(sim),
		.by_hand = by_hand };
	struct store s;

	CHECK_EQ(store_open_logged_with(path, &opts, &s, NULL), ST_OK);
	return s;
}

static struct store
open_with(bool by_hand)
{
	return open_with_frames(by_hand, 40);
}

/* One document, with what was promised for it. */
struct put {
	struct store_commit      c;
	struct store_doc_write   doc;
	struct store_index_write key;
	char                     name[24];
};

static void
put_init(struct put *p, ts_t ts, size_t reserved)
{
	static char body[BODY_MAX];

	memset(body, 'x', sizeof body);
	snprintf(p->name, sizeof p->name, "%08d", (int)ts);
	p->doc = doc_write((uint32_t)ts, doc_make((uint32_t)ts, str_of(body, ts % BODY_MAX)), 0);
	p->key = key_write(1, str_z(p->name), false, (uint32_t)ts);
	p->c = (struct store_commit){ .ts = ts, .ndocs = 1, .docs = &p->doc, .nkeys = 1,
		.keys = &p->key, .reserved = reserved };
}

static size_t
cost(ts_t ts)
{
	return 2 * (ts % BODY_MAX) + 400;
}

static void
check_documents(struct store *s, ts_t last)
{
	struct store_scan all = scan_of(1, TS_MAX, S(""), S(""));
	struct store_rows rows;
	char              want[24];

	store_rows_init(&rows);
	CHECK_EQ(store_scan(s, &all, &rows, NULL), ST_OK);
	CHECK_EQ(rows.rows.n, last);
	for (size_t i = 0; i < rows.rows.n; i++) {
		snprintf(want, sizeof want, "%08d", (int)i + 1);
		CHECK_STRZ(rows.rows.v[i].key, want);
		CHECK_EQ(doc_body(rows.rows.v[i].doc).n, (i + 1) % BODY_MAX);
	}
	store_rows_clear(&rows);
}

/* Promises up to n commits, gives some back, writes the others; how many were written. */
static size_t
promise_and_write(struct store *s, ts_t next, size_t n, bool *ret_refused)
{
	struct put                 puts[OPEN_MAX];
	const struct store_commit *list[OPEN_MAX];
	size_t                     kept = 0;

	*ret_refused = false;
	for (size_t i = 0; i < n && !*ret_refused; i++) {
		struct err e = err_in(NULL);
		status     st = store_reserve(s, cost(next + kept), &e);

		if (st != ST_OK) {
			CHECK_EQ(st, ST_OVERLOADED);
			CHECK_STRZ(e.code, "DatabaseFull");
			*ret_refused = true;
		} else if (draw(4) == 0) { /* lost a conflict */
			store_release(s, cost(next + kept));
		} else {
			put_init(&puts[kept], next + kept, cost(next + kept));
			list[kept] = &puts[kept].c;
			kept++;
		}
	}
	/* As one batch or in two. */
	for (size_t at = 0, upto = kept > 1 ? 1 + draw((uint32_t)kept - 1) : kept; at < kept;
	     at = upto, upto = kept)
		CHECK_EQ(store_write(s, &(struct store_batch){ .ncommits = upto - at,
		    .commits = list + at }, NULL), ST_OK);
	for (size_t i = 0; i < kept; i++)
		doc_unref(puts[i].doc.doc);
	return kept;
}

/* What was accepted finds room, whatever the disk has left and whatever is written between; what
 * is refused is refused in time; and when there is space again, all goes on. */
TEST(accepted_commits_never_meet_a_full_disk)
{
	int refusals = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct store s;
		ts_t         last = 0;

		begin(seed);
		s = open_with(true);
		for (int i = 0; i < 150; i++) {
			bool refused;

			if (i % 50 == 10)
				simdisk_limit(sim, simdisk_used(sim) + draw(150000));
			if (i % 50 == 40) {
				simdisk_limit(sim, SIZE_MAX);
				(void)logged_step(&s);
				CHECK_EQ(store_reserve(&s, 9000, NULL), ST_OK);
				store_release(&s, 9000);
			}
			last += promise_and_write(&s, last + 1, 1 + draw(OPEN_MAX), &refused);
			refusals += refused;
			if (draw(12) == 0)
				(void)logged_step(&s);
			if (draw(40) == 0)
				check_documents(&s, last);
		}
		simdisk_limit(sim, SIZE_MAX);
		if (draw(2)) {
			logged_abandon(&s);
			simvfs_use(NULL);
			simdisk_boot(sim, true);
			simvfs_use(simdisk_table(sim));
		} else {
			store_close(&s);
		}
		s = open_with(true);
		check_documents(&s, last);
		store_close(&s);
		end();
	}
	CHECK(refusals > SEEDS);
}

/* Segments that only wait for a checkpoint are not held back while commits are refused for want of
 * them, also if nobody writes any more. */
TEST(a_refusal_calls_for_a_checkpoint)
{
	struct store s;
	ts_t         last = 0;
	bool         refused;

	begin(3);
	s = open_with_frames(true, 100000);
	while (last < 100) {
		last += promise_and_write(&s, last + 1, 1, &refused);
		(void)logged_step(&s);
	}
	simdisk_limit(sim, simdisk_used(sim) + 200000);
	CHECK_EQ(store_reserve(&s, 250000, NULL), ST_OVERLOADED);
	(void)logged_step(&s);
	CHECK_EQ(store_reserve(&s, 250000, NULL), ST_OK);
	store_release(&s, 250000);
	check_documents(&s, last);
	simdisk_limit(sim, SIZE_MAX);
	store_close(&s);
	end();
}

/* With the store's own threads: while the disk is full writes are refused and reads go on; a
 * second or so after there is space, they are accepted, by the same process. */
TEST(a_full_disk_passes)
{
	struct store s;
	ts_t         last = 0;
	bool         refused = false;

	begin(1);
	s = open_with(false);
	while (last < 200)
		last += promise_and_write(&s, last + 1, OPEN_MAX, &refused);
	CHECK(!refused);
	simdisk_limit(sim, simdisk_used(sim));
	while (!refused)
		last += promise_and_write(&s, last + 1, OPEN_MAX, &refused);
	check_documents(&s, last);
	usleep(1200000); /* it stays so, while everything is tried again */
	while (!refused)
		last += promise_and_write(&s, last + 1, OPEN_MAX, &refused);
	check_documents(&s, last);

	simdisk_limit(sim, SIZE_MAX);
	for (int i = 0; refused && i < 50; i++) {
		usleep(100000);
		last += promise_and_write(&s, last + 1, 1, &refused);
	}
	CHECK(!refused);
	logged_drain(&s);
	check_documents(&s, last);
	store_close(&s);
	s = open_with(false);
	check_documents(&s, last);
	store_close(&s);
	end();
}

/* A store that is closed while the disk is full leaves its log, and the next opening reads it. */
TEST(closed_on_a_full_disk)
{
	struct store s;
	ts_t         last = 0;
	bool         refused = false;

	begin(2);
	s = open_with(false);
	logged_pause(&s, true);
	simdisk_limit(sim, simdisk_used(sim) + 4096);
	while (!refused)
		last += promise_and_write(&s, last + 1, OPEN_MAX, &refused);
	store_close(&s);
	simdisk_limit(sim, SIZE_MAX);
	s = open_with(false);
	check_documents(&s, last);
	store_close(&s);
	end();
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(accepted_commits_never_meet_a_full_disk),
		IN_DIR(a_refusal_calls_for_a_checkpoint),
		IN_DIR(a_full_disk_passes),
		IN_DIR(closed_on_a_full_disk),
	};

	if (!getenv("LOUD"))
		log_set_level((enum log_level)(LOG_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
