/* durable_test.c - from published to durable: what a batch brings, and what it may not claim.
 *
 * Thread: one.  Memory: each test frees what it opened.
 */
#include "core_fixture.h"

static ts_t
commit_thing(struct fixture *f, uint32_t i, int64_t n)
{
	struct fx_commit c;
	ts_t             ts;

	fx_begin(f, &c);
	fx_set(&c, i, n);
	CHECK_EQ(fx_end(f, &c, S("test"), &ts, NULL), ST_OK);
	return ts;
}

static status
refuse(void *self, const struct store_batch *b, struct err *e)
{
	(void)self, (void)b;
	return err_internal(e, "the disk is gone");
}

/* What the store did not take is not durable (spec 03 section 5.3). */
TEST(a_refused_batch_is_not_durable)
{
	struct fixture        f;
	struct store_vtable   refusing;
	struct pending_batch *b;
	ts_t                  before;

	fx_open(&f, 1);
	before = db_durable_ts(f.db);
	commit_thing(&f, 1, 7);
	b = db_take_batch(f.db, 1000);
	refusing = f.kept;
	refusing.write = refuse;
	f.db->store.v = &refusing;
	CHECK(db_write_batch(f.db, b, NULL) != ST_OK);
	CHECK_EQ(db_durable_ts(f.db), before);
	f.db->store.v = &f.kept;
	fx_close(&f);
}

/* A commit is durable when its own batch is, not when an earlier one is. */
TEST(durability_ends_with_the_batch)
{
	struct fixture        f;
	struct pending_batch *b;
	ts_t                  first, second;

	fx_open(&f, 1);
	first = commit_thing(&f, 1, 7);
	b = db_take_batch(f.db, 1);
	second = commit_thing(&f, 2, 7);
	CHECK(db_durable_ts(f.db) < first);
	CHECK_EQ(db_write_batch(f.db, b, NULL), ST_OK);
	CHECK(db_durable_ts(f.db) >= first && db_durable_ts(f.db) < second);
	fx_flush(&f);
	CHECK(db_durable_ts(f.db) >= second);
	fx_close(&f);
}

/* An index entry of a backfill waits for the commit of its document: that may write the same
 * entry, and a store refuses a commit whose rows are there already. */
TEST(backfill_waits_for_its_commit)
{
	struct fixture           f;
	struct snapshot         *s;
	const struct index_info *ix;
	struct doc              *d;
	struct buf               key;
	ts_t                     second;

	fx_open(&f, 1);
	commit_thing(&f, 1, 7);
	second = commit_thing(&f, 2, 8);
	s = db_snapshot(f.db);
	ix = table_index(fx_things(s), S("by_n"));
	d = fx_get(s, 2);
	buf_init(&key, BUF_MAX_DEFAULT);
	index_key(&key, ix, doc_val(d));
	db_queue_backfill(f.db,
	    &(struct store_backfill_row){ .ts = second,
		.key = { .index = ix->id,
		    .key = str_from(buf_str(&key), INDEX_PREFIX),
		    .tablet = d->tablet,
		    .doc = d->id.uid } },
	    1);
	for (int i = 0; i < 2; i++) { /* a batch each */
		struct pending_batch *b = db_take_batch(f.db, 1);

		CHECK(b != NULL);
		CHECK_EQ(db_write_batch(f.db, b, NULL), ST_OK);
	}
	CHECK(db_durable_ts(f.db) >= second);
	buf_clear(&key);
	doc_unref(d);
	snapshot_unref(s);
	fx_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_batch_is_not_durable),
		cmocka_unit_test(durability_ends_with_the_batch),
		cmocka_unit_test(backfill_waits_for_its_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
