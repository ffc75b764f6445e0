/* counts_test.c - numbers of documents that commits keep up (spec 03 section 9).
 *
 * Built with the thread sanitizer this is also the test of what the threads share.
 */
#include <stdatomic.h>

#include "db_fixture.h"
#include "database/counts.h"
#include "runtime/thread.h"

/* However counts, commits and old snapshots come together, a count is the number of rows that a
 * scan at that moment finds, own writes included. */
TEST(counts_are_kept_up)
{
	uint64_t    dice = 77;
	struct fix  f;
	struct txn *old = NULL;
	str         ids[300];
	size_t      n = 0, old_n = 0;
	double      got;

	fix_open(&f);
	for (int round = 0; round < 200; round++) {
		struct txn *t = fix_begin(&f);
		struct doc *d;
		size_t      r = (size_t)(fix_draw(&dice) >> 20);

		for (size_t i = 0; i < r % 5 && n < COUNT_OF(ids); i++)
			ids[n++] = fix_insert(&f, t, "notes", "{\"n\":1}");
		if (r % 7 == 0 && n)
			CHECK_EQ(txn_delete(t, STR_EMPTY, ids[--n], &d, &f.err), ST_OK);
		if (r % 3 == 0 && n)
			CHECK_EQ(txn_patch(t, STR_EMPTY, ids[r % n], fix_val(&f, "{\"n\":2}"), &d,
				     &f.err),
			    ST_OK);
		if (r % 2 == 0) {
			CHECK_EQ(txn_count(t, S("notes"), &got, &f.err), ST_OK);
			CHECK_EQ(got, n);
		}
		CHECK_EQ(fix_end(&f, t), ST_OK);
		if (!old) {
			old = fix_begin_query(&f);
			old_n = n;
		}
		if (r % 11 == 0) {
			CHECK_EQ(txn_count(old, S("notes"), &got, &f.err), ST_OK);
			CHECK_EQ(got, old_n);
			txn_free(old);
			old = NULL;
		}
	}
	txn_free(old);
	fix_close(&f);
}

static void
check_count(struct fix *f, struct txn *t, int want)
{
	double got;

	CHECK_EQ(txn_count(t, S("notes"), &got, &f->err), ST_OK);
	CHECK_EQ(got, want);
}

static struct txn *
insert_some(struct fix *f, int n)
{
	while (n-- > 0) {
		struct txn *t = fix_begin(f);

		fix_insert(f, t, "notes", "{}");
		CHECK_EQ(fix_end(f, t), ST_OK);
	}
	return fix_begin_query(f);
}

/* Snapshots from before the first count, and from before more changes than are remembered, are
 * counted by themselves; what they find is not taken for newer. */
TEST(old_snapshots_count_for_themselves)
{
	for (int first = 0; first < 2; first++) {
		struct fix  f;
		struct txn *a, *b, *c;

		fix_open(&f);
		a = insert_some(&f, 3);
		b = insert_some(&f, 4);
		check_count(&f, first ? b : a, first ? 7 : 3);
		check_count(&f, first ? a : b, first ? 3 : 7);
		check_count(&f, b, 7);
		c = insert_some(&f, 100);
		check_count(&f, c, 107);
		check_count(&f, b, 7);
		check_count(&f, a, 3);
		txn_free(a);
		txn_free(b);
		txn_free(c);
		fix_close(&f);
	}
}

/* A count that was kept up depends on the rows like one that was counted. */
TEST(counts_conflict)
{
	struct fix  f;
	struct txn *t;
	double      got;

	fix_open(&f);
	t = fix_begin(&f);
	fix_insert(&f, t, "notes", "{}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	for (int i = 0; i < 2; i++) {
		const struct table_info *table;
		struct txn              *other;
		int64_t                  n;

		t = fix_begin(&f);
		table = catalog_table(txn_catalog(t), (struct uid){ { 0 } }, S("notes"));
		CHECK_EQ(db_count_known(f.db, table->tablet, txn_ts(t), &n), i > 0);
		CHECK_EQ(txn_count(t, S("notes"), &got, &f.err), ST_OK);
		CHECK_EQ(got, 1 + i);
		fix_insert(&f, t, "others", "{}");
		other = fix_begin(&f);
		fix_insert(&f, other, "notes", "{}");
		CHECK_EQ(fix_end(&f, other), ST_OK);
		CHECK_EQ(fix_end(&f, t), ST_OCC);
	}
	fix_close(&f);
}

/* --- from many threads --- */

#define WRITERS 3
#define COMMITS 300

struct shared {
	struct db  *db;
	struct val  body;
	_Atomic int running, failures, checks;
};

static struct txn *
begin(struct shared *s, bool writable)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(s->db), .writable = writable,
	    .writer = S("notes.js:write") });
}

/* Inserts two, deletes one of them at times. */
static void
write_rows(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < COMMITS; i++) {
		struct txn     *t = begin(s, true);
		struct docid    a, b;
		struct conflict c;
		struct doc     *d;
		char            text[ID_TEXT_MAX];
		ts_t            ts;

		if (txn_insert(t, S("notes"), s->body, &a, NULL) != ST_OK ||
		    txn_insert(t, S("notes"), s->body, &b, NULL) != ST_OK)
			s->failures++;
		id_format(a, text);
		if (i % 3 == 0 && txn_delete(t, STR_EMPTY, str_z(text), &d, NULL) != ST_OK)
			s->failures++;
		if (txn_commit(t, &ts, &c, NULL) != ST_OK)
			s->failures++;
		txn_free(t);
	}
	s->running--;
}

static void
count_rows(void *arg)
{
	struct shared          *s = arg;
	const struct query_spec scan = { .source = QUERY_FULL_SCAN, .table = S("notes") };

	do {
		struct txn   *t = begin(s, false);
		struct query *q;
		struct doc   *d;
		double        n = 0, got = 0;

		must(query_open(t, &scan, &q, NULL) == ST_OK);
		if (txn_count(t, S("notes"), &got, NULL) != ST_OK)
			s->failures++;
		while (query_next(q, &d, NULL) == ST_OK && d)
			n++;
		if (n != got)
			s->failures++;
		s->checks++;
		txn_free(t);
	} while (s->running > 0);
}

/* Whoever counts while others write gets the number of rows of its own snapshot. */
TEST(counts_are_of_the_snapshot)
{
	struct fix     f = { .arena = arena_new() };
	struct shared  s = { .running = WRITERS };
	struct thread *threads[WRITERS + 2];
	struct db_opts opts = { .os = os_real() };
	struct txn    *t;

	f.err = err_in(f.arena);
	store_open_memory(&opts.store);
	CHECK_EQ(db_open(&opts, &s.db, &f.err), ST_OK);
	f.db = s.db;
	s.body = fix_val(&f, "{\"n\":1}");
	t = begin(&s, true);
	fix_insert(&f, t, "notes", "{}");
	CHECK_EQ(fix_end(&f, t), ST_OK);
	for (size_t i = 0; i < WRITERS + 2; i++)
		threads[i] = thread_start("test", 0, i < WRITERS ? write_rows : count_rows, &s);
	for (size_t i = 0; i < WRITERS + 2; i++)
		thread_join_free(threads[i]);
	print_message("  %d counts\n", s.checks);
	CHECK_EQ(s.failures, 0);
	fix_pump(&f);
	db_close(s.db);
	arena_free(f.arena);
}

TEST_RUN(T(counts_are_kept_up), T(old_snapshots_count_for_themselves), T(counts_conflict),
    T(counts_are_of_the_snapshot))
