/* evict_test.c - the budget of the cache, what it drops and what it never drops.
 *
 * The random test of what readers see meanwhile is residency_test.c; the threads' is
 * stress_test.c.
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "core_fixture.h"

#define DOCS   4000
#define BUDGET ((size_t)200000) /* about an eighth of what they take */

static struct {
	const struct store_vtable *real;
	size_t                     scans;
} asked;

static status
counting_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	asked.scans++;
	return asked.real->scan(self, q, ret, e);
}

/* `n` things, thing i with n = i, written; then a cold start with the budget. */
static void
open_cold(struct fixture *f, uint32_t n, size_t cache_bytes)
{
	struct fx_commit c;
	ts_t             ts;

	fx_open(f, 1);
	for (uint32_t i = 0; i < n;) {
		fx_begin(f, &c);
		for (uint32_t k = 0; k < 500 && i < n; k++, i++)
			fx_set(&c, i, i);
		CHECK_EQ(fx_end(f, &c, S("seed"), &ts, NULL), ST_OK);
	}
	fx_flush(f);
	db_close(f->db);
	asked.real = f->store.v;
	f->kept.scan = counting_scan;
	f->cache_bytes = cache_bytes;
	fx_start(f);
	asked.scans = 0;
}

/* Reads the thing on a snapshot of its own, as one query does. */
static int64_t
read_one(struct fixture *f, uint32_t i)
{
	struct snapshot *s = db_snapshot(f->db);
	struct doc      *d = fx_get(s, i);
	int64_t          n = d ? val_int64(val_get(doc_val(d), S("n"))) : -1;

	doc_unref(d);
	snapshot_unref(s);
	return n;
}

/* The number of rows of by_n; *ret_sum is that of the values. */
static size_t
scan_by_n(struct snapshot *s, size_t size_hint, int64_t *ret_sum)
{
	const struct table_info *t = fx_things(s);
	const struct index_info *ix = table_index(t, S("by_n"));
	struct buf               lo, hi;
	struct scan             *sc;
	struct doc              *d;
	str                      key;
	size_t                   n = 0;

	*ret_sum = 0;
	buf_init(&lo, 16);
	buf_init(&hi, 16);
	buf_add_u32be(&lo, ix->no);
	buf_add_u32be(&hi, ix->no + 1);
	sc = scan_open(s, t, ix, buf_str(&lo), buf_str(&hi), false, size_hint);
	for (;; n++) {
		CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK);
		if (!d)
			break;
		*ret_sum += val_int64(val_get(doc_val(d), S("n")));
	}
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	return n;
}

/* Scans all of by_n on a snapshot of its own, where thing i has n = i; how many there are. */
static size_t
scan_all(struct fixture *f, size_t size_hint)
{
	struct snapshot *s = db_snapshot(f->db);
	int64_t          sum;
	size_t           n = scan_by_n(s, size_hint, &sum);

	CHECK_EQ(sum, n * (n - 1) / 2);
	snapshot_unref(s);
	return n;
}

static void
set_one(struct fixture *f, uint32_t i, int64_t n)
{
	struct fx_commit c;
	ts_t             ts;

	f->now += 1000;
	fx_begin(f, &c);
	fx_set(&c, i, n);
	CHECK_EQ(fx_end(f, &c, S("test"), &ts, NULL), ST_OK);
}

static void
check_tree(struct fixture *f)
{
	size_t nodes, depth;

	res_check(f->db->tree);
	tree_check(f->db->tree, &nodes, &depth);
}

/* However much is read, and in whichever way, what is resident stays within the budget, and
 * every answer is right. */
TEST(reads_stay_within_the_budget)
{
	static const struct {
		const char *why;
		bool        scans;
		size_t      slack; /* what one step may bring before the hand has passed */
	} cases[] = {
		{ "points", false, 4000 },
		{ "scans", true, 40000 },
	};

	for (size_t k = 0; k < COUNT_OF(cases); k++) {
		struct fixture f;
		size_t         most = 0;

		open_cold(&f, DOCS, BUDGET);
		for (uint32_t i = 0; i < 3 * DOCS; i++) {
			if (!cases[k].scans)
				CHECK_EQ(read_one(&f, i * 7 % DOCS), i * 7 % DOCS);
			else if (i % DOCS == 0)
				CHECK_EQ(scan_all(&f, 50 + i / 50), DOCS);
			if (tree_live_bytes(f.db->tree) > most)
				most = tree_live_bytes(f.db->tree);
		}
		if (most > BUDGET + cases[k].slack)
			print_error("%s: %zu bytes\n", cases[k].why, most);
		CHECK(most <= BUDGET + cases[k].slack);
		CHECK(most > BUDGET / 2); /* it is used, too */
		CHECK_EQ(tree_dead_bytes(f.db->tree), 0);
		check_tree(&f);
		fx_close(&f);
	}
}

/* Written documents count too: when they are durable, the budget holds again. */
TEST(writes_stay_within_the_budget)
{
	struct fixture   f;
	struct fx_commit c;
	ts_t             ts;

	open_cold(&f, 0, BUDGET);
	for (uint32_t i = 0; i < DOCS;) {
		fx_begin(&f, &c);
		for (uint32_t k = 0; k < 200; k++, i++)
			fx_set(&c, i, i);
		CHECK_EQ(fx_end(&f, &c, S("seed"), &ts, NULL), ST_OK);
		fx_flush(&f);
		CHECK(tree_live_bytes(f.db->tree) <= BUDGET);
	}
	check_tree(&f);
	for (uint32_t i = 0; i < DOCS; i += 13)
		CHECK_EQ(read_one(&f, i), i);
	fx_close(&f);
}

/* What was asked for more than once survives a scan of eight times the budget, and another
 * one, although nobody asks for it meanwhile. */
TEST(a_scan_does_not_flush_the_hot_set)
{
	enum { HOT = 150 };
	struct fixture f;

	open_cold(&f, DOCS, BUDGET);
	for (int pass = 0; pass < 3; pass++)
		for (uint32_t i = 0; i < HOT; i++)
			CHECK_EQ(read_one(&f, i * 26), i * 26);
	CHECK_EQ(asked.scans, HOT);
	for (int pass = 0; pass < 3; pass++)
		CHECK_EQ(scan_all(&f, 2000), DOCS);
	CHECK(asked.scans >= HOT + 6); /* the scans did not find each other's rows */
	asked.scans = 0;
	for (uint32_t i = 0; i < HOT; i++)
		CHECK_EQ(read_one(&f, i * 26), i * 26);
	print_message("  %zu of %d were lost\n", asked.scans, HOT);
	CHECK(asked.scans <= HOT / 20);
	fx_close(&f);
}

/* A hot set that is not asked for any more makes room for the next one. */
TEST(the_hot_set_changes)
{
	enum { HOT = 200 };
	struct fixture f;

	open_cold(&f, DOCS, BUDGET);
	for (uint32_t set = 0; set < 4; set++) {
		for (int pass = 0; pass < 12; pass++) {
			asked.scans = 0;
			for (uint32_t i = 0; i < HOT; i++)
				CHECK_EQ(read_one(&f, set * HOT + i), set * HOT + i);
		}
		print_message("  set %u: %zu of %d missed in the end\n", set, asked.scans, HOT);
		CHECK(asked.scans <= HOT / 10);
	}
	fx_close(&f);
}

/* What the store does not have yet is never dropped: neither documents nor the fact that they
 * were removed; what it has is dropped and read back. */
TEST(only_what_is_durable_is_dropped)
{
	struct fixture f;

	open_cold(&f, 500, 0);
	CHECK_EQ(scan_all(&f, 2000), 500); /* resident as a whole: removals leave no trace */
	for (uint32_t i = 0; i < 500; i += 5)
		set_one(&f, i, -1);
	for (uint32_t i = 1; i < 500; i += 5)
		set_one(&f, i, 1000 + i);
	for (int written = 0; written < 2; written++) {
		db_evict_now(f.db, SIZE_MAX);
		check_tree(&f);
		for (int i = 0; i < 500; i++)
			CHECK_EQ(read_one(&f, (uint32_t)i),
			    i % 5 == 0 ? -1 : i % 5 == 1 ? 1000 + i : i);
		fx_flush(&f);
	}
	asked.scans = 0;
	db_evict_now(f.db, SIZE_MAX);
	CHECK_EQ(read_one(&f, 2), 2);
	CHECK_EQ(asked.scans, 1);
	fx_close(&f);
}

static void
put_hand(struct fixture *f, uint32_t i)
{
	struct snapshot         *s = db_snapshot(f->db);
	const struct table_info *t = fx_things(s);
	struct doc              *d = thing_doc(t, i, i);

	buf_reset(&f->db->evict.hand);
	index_key(&f->db->evict.hand, table_index(t, S("by_n")), doc_val(d));
	doc_unref(d);
	snapshot_unref(s);
}

static void
check_without(struct fixture *f, uint32_t n, uint32_t i)
{
	struct snapshot *s = db_snapshot(f->db);
	int64_t          sum;

	CHECK_EQ(scan_by_n(s, 100, &sum), n - 1);
	CHECK_EQ(sum, n * (n - 1) / 2 - i);
	snapshot_unref(s);
	CHECK_EQ(read_one(f, i), -1);
}

/* A removed key leaves no trace but in the leaf of the key before it.  Wherever the borders of
 * leaves are: the removal is not undone by dropping the neighbours, neither before it is in the
 * store nor, by a load that began before it, afterwards. */
TEST(removals_at_the_borders_of_leaves)
{
	enum { N = 200 };
	struct fixture f;

	open_cold(&f, N, 0);
	for (uint32_t i = 1; i < N - 1; i++) {
		struct snapshot *old;
		int64_t          sum;

		db_evict_now(f.db, SIZE_MAX);
		old = db_snapshot(f.db);
		CHECK_EQ(scan_all(&f, 1000), N);
		set_one(&f, i, -1);
		put_hand(&f, i + 1);
		db_evict_now(f.db, 1);
		check_without(&f, N, i);
		db_evict_now(f.db, SIZE_MAX);
		check_without(&f, N, i);
		fx_flush(&f);
		put_hand(&f, i + 1);
		db_evict_now(f.db, 1);
		CHECK_EQ(scan_by_n(old, 1000, &sum), N);
		check_without(&f, N, i);
		snapshot_unref(old);
		set_one(&f, i, i);
		fx_flush(&f);
	}
	check_tree(&f);
	fx_close(&f);
}

/* Dropping everything leaves the tables that are held in memory, and an entry for the beginning
 * of each index (spec 03 section 8). */
TEST(resident_system_tables_stay)
{
	struct fixture           f;
	struct snapshot         *s;
	const struct table_info *t;
	size_t                   rows = 0, i;

	open_cold(&f, 100, 1); /* the least budget there can be */
	CHECK_EQ(scan_all(&f, 2000), 100);
	db_evict_now(f.db, SIZE_MAX);
	asked.scans = 0;
	s = db_snapshot(f.db);
	for (i = 0; (t = catalog_table_at(snapshot_catalog(s), i)) != NULL; i++) {
		struct buf   lo, hi;
		struct scan *sc;
		struct doc  *d;
		str          key;

		if (!table_is_resident(t))
			continue;
		buf_init(&lo, 16);
		buf_init(&hi, 16);
		buf_add_u32be(&lo, t->by_id->no);
		buf_add_u32be(&hi, t->by_id->no + 1);
		sc = scan_open(s, t, t->by_id, buf_str(&lo), buf_str(&hi), false, 100);
		for (CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK); d;
		    CHECK_EQ(scan_next(sc, &key, &d, NULL), ST_OK))
			rows++;
		scan_close(sc);
		buf_clear(&lo);
		buf_clear(&hi);
	}
	snapshot_unref(s);
	CHECK(i > 0 && rows > 20);
	CHECK_EQ(asked.scans, 0);
	check_tree(&f);
	fx_close(&f);
}

/* A load by a snapshot from before a change that was forgotten does not bring the old state back;
 * one from after it is kept. */
TEST(stale_loads_are_not_installed)
{
	struct fixture   f;
	struct snapshot *old;
	struct doc      *d;

	open_cold(&f, 10, 0);
	old = db_snapshot(f.db);
	set_one(&f, 3, 33);
	set_one(&f, 4, -1);
	fx_flush(&f);
	db_evict_now(f.db, SIZE_MAX);
	d = fx_get(old, 3);
	CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), 3);
	doc_unref(d);
	d = fx_get(old, 4);
	CHECK(d != NULL);
	doc_unref(d);
	CHECK_EQ(asked.scans, 2 + 2);
	CHECK_EQ(read_one(&f, 3), 33);
	CHECK_EQ(read_one(&f, 4), -1);
	CHECK_EQ(asked.scans, 4 + 2);
	CHECK_EQ(read_one(&f, 3), 33);
	CHECK_EQ(read_one(&f, 4), -1);
	CHECK_EQ(asked.scans, 4 + 2);
	snapshot_unref(old);
	fx_close(&f);
}

/* While nobody writes, every load is kept, however much is dropped meanwhile, also for a snapshot
 * that was taken long before: it finds what others loaded. */
TEST(loads_without_writes_are_kept)
{
	struct fixture   f;
	struct snapshot *s;
	struct doc      *d;

	open_cold(&f, 100, 0);
	s = db_snapshot(f.db);
	for (int pass = 0; pass < 3; pass++) {
		asked.scans = 0;
		for (uint32_t i = 0; i < 100; i++) {
			d = fx_get(s, i);
			CHECK(d != NULL);
			doc_unref(d);
		}
		CHECK_EQ(asked.scans, pass == 1 ? 0 : 100);
		if (pass == 1)
			db_evict_now(f.db, SIZE_MAX);
	}
	snapshot_unref(s);
	fx_close(&f);
}

/* A snapshot whose ranges were not changed since reads what was loaded after it, though others
 * commit elsewhere. */
TEST(old_snapshots_share_what_did_not_change)
{
	struct fixture   f;
	struct snapshot *s;
	struct doc      *d;
	size_t           before;

	open_cold(&f, DOCS, 0);
	s = db_snapshot(f.db);
	for (uint32_t i = 0; i < DOCS; i += 2)
		CHECK_EQ(read_one(&f, i), i);
	set_one(&f, 1, 7777);
	before = asked.scans;
	for (uint32_t i = 0; i < DOCS; i += 2) {
		d = fx_get(s, i);
		CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), i);
		doc_unref(d);
	}
	CHECK(asked.scans - before < 50); /* all but one leaf */
	d = fx_get(s, 1);
	CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), 1);
	doc_unref(d);
	snapshot_unref(s);
	fx_close(&f);
}

/* "There is no such key" is remembered, counts, and is dropped like everything else. */
TEST(absence_is_cached_within_the_budget)
{
	struct fixture f;
	size_t         most = 0;

	open_cold(&f, 10, BUDGET);
	for (uint32_t i = 1000; i < 1010; i++)
		for (int again = 0; again < 2; again++)
			CHECK_EQ(read_one(&f, i), -1);
	CHECK_EQ(asked.scans, 10);
	for (uint32_t i = 20; i < 20000; i++) {
		CHECK_EQ(read_one(&f, i), -1);
		if (tree_live_bytes(f.db->tree) > most)
			most = tree_live_bytes(f.db->tree);
	}
	CHECK(most > BUDGET / 2 && most <= BUDGET + 4000);
	check_tree(&f);
	fx_close(&f);
}

/* Of a document of so many packed bytes in so many indexes: keys once, packed bytes once, and less
 * than as much again for everything that holds them. */
TEST(a_resident_document_takes_less_than_twice_its_bytes)
{
	static const size_t bodies[] = { 40, 400 };

	for (size_t k = 0; k < COUNT_OF(bodies); k++) {
		struct fixture   f;
		struct fx_commit c;
		struct pack      p;
		char             body[400];
		size_t           before, bytes, useful = 0;
		ts_t             ts;

		memset(body, 'x', sizeof body);
		open_cold(&f, 0, 0);
		CHECK_EQ(scan_all(&f, 10), 0);
		before = tree_live_bytes(f.db->tree);
		for (uint32_t i = 0; i < DOCS;) {
			fx_begin(&f, &c);
			for (uint32_t n = 0; n < 500; n++, i++) {
				const struct table_info *t = fx_things(c.base);
				struct doc              *d;

				pack_init(&p);
				pack_object(&p);
				pack_key(&p, S("body"));
				pack_str(&p, str_of(body, bodies[k]));
				pack_key(&p, S("n"));
				pack_int64(&p, i * 7919 % DOCS);
				d = fx_doc(&p, t->tablet, thing_id(i), i);
				pack_clear(&p);
				useful += d->bytes;
				for (size_t x = 0; x < t->nindexes; x++)
					useful += fx_key(&c, &t->indexes[x], d).n;
				fx_write_take(&c, t, NULL, d);
			}
			CHECK_EQ(fx_end(&f, &c, S("seed"), &ts, NULL), ST_OK);
		}
		bytes = tree_live_bytes(f.db->tree) - before;
		print_message("  %zu bytes for %zu of documents and keys\n", bytes / DOCS,
		    useful / DOCS);
		CHECK(bytes < 2 * useful);
		fx_close(&f);
	}
}

/* What was loaded again after it was dropped says nothing about a moment before the changes that
 * went with it: an older snapshot asks the store. */
TEST(a_reload_is_not_taken_for_an_older_state)
{
	struct fixture   f;
	struct fx_commit c;
	struct snapshot *old;
	ts_t             ts;

	open_cold(&f, DOCS, 0);
	old = db_snapshot(f.db); /* nothing is resident in its view */
	for (uint32_t i = 0; i < DOCS; i++)
		CHECK_EQ(read_one(&f, i), i);
	f.now += 1000;
	fx_begin(&f, &c);
	for (uint32_t i = 0; i < DOCS; i++)
		if (thing_id(i).uid.b[0] >= 128) /* the leaves before those stay as they are */
			fx_set(&c, i, i % 3 ? (int64_t)i + DOCS : -1);
	CHECK_EQ(fx_end(&f, &c, S("test"), &ts, NULL), ST_OK);
	fx_flush(&f);
	for (int step = 0; step < 20; step++) {
		db_evict_now(f.db, 100000);
		for (uint32_t i = 0; i < DOCS; i++)
			(void)read_one(&f, i);
		for (uint32_t i = 0; i < DOCS; i++) {
			struct doc *d = fx_get(old, i);

			CHECK(d && val_int64(val_get(doc_val(d), S("n"))) == i);
			doc_unref(d);
		}
	}
	snapshot_unref(old);
	check_tree(&f);
	fx_close(&f);
}

TEST_RUN(T(reads_stay_within_the_budget), T(writes_stay_within_the_budget),
    T(a_scan_does_not_flush_the_hot_set), T(the_hot_set_changes),
    T(only_what_is_durable_is_dropped), T(removals_at_the_borders_of_leaves),
    T(resident_system_tables_stay),
    T(stale_loads_are_not_installed), T(loads_without_writes_are_kept),
    T(old_snapshots_share_what_did_not_change), T(absence_is_cached_within_the_budget),
    T(a_reload_is_not_taken_for_an_older_state),
    T(a_resident_document_takes_less_than_twice_its_bytes))
