/* commit_test.c - what the committer refuses, which timestamps it gives, what it reports.
 *
 * Thread: one.  Memory: everything is freed.
 */
#include "core_fixture.h"

#include <stdlib.h>

static ts_t
set_one(struct fixture *f, uint32_t i, int64_t n, str writer)
{
	struct fx_commit c;
	ts_t             ts;

	fx_begin(f, &c);
	fx_set(&c, i, n);
	CHECK_EQ(fx_end(f, &c, writer, &ts, NULL), ST_OK);
	return ts;
}

/* A transaction conflicts with exactly those later commits that wrote, removed or moved a key
 * inside an interval that it read (spec 03 section 5.3).
 * 03 checklist 28: an insert into an observed empty range counts, one outside does not.
 * 03 checklist 29: what is beyond the last row that was read does not count. */
TEST(conflicts_are_writes_inside_what_was_read)
{
	const struct {
		const char *why;
		int64_t     before, after; /* thing 1 when we begin; what the other makes of it */
		int64_t     lo, hi;        /* what we read in by_n */
		status      want;
	} rows[] = {
		{ "insert into a range that was empty", -1, 5, 0, 10, ST_OCC },
		{ "insert outside", -1, 15, 0, 10, ST_OK },
		{ "the range's end is exclusive", -1, 10, 0, 10, ST_OK },
		{ "the range's start is inclusive", -1, 0, 0, 10, ST_OCC },
		{ "removed from the range", 5, -1, 0, 10, ST_OCC },
		{ "moved out of the range", 5, 50, 0, 10, ST_OCC },
		{ "moved into the range", 50, 5, 0, 10, ST_OCC },
		{ "moved past the range", 50, 60, 0, 10, ST_OK },
		{ "written without a change of its key", 5, 5, 0, 10, ST_OCC },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fixture   f;
		struct fx_commit c;
		struct conflict  conflict;
		ts_t             ts, other;

		print_message("  %s\n", rows[i].why);
		fx_open(&f, i + 1);
		set_one(&f, 1, rows[i].before, S("setup"));
		fx_begin(&f, &c);
		fx_read_n(&c, rows[i].lo, rows[i].hi);
		fx_set(&c, 2, 99);
		other = set_one(&f, 1, rows[i].after, S("mod:other"));
		CHECK_EQ(fx_end(&f, &c, S("mod:me"), &ts, &conflict), rows[i].want);
		if (rows[i].want == ST_OCC) {
			char id[ID_TEXT_MAX];

			id_format(thing_id(1), id);
			assert_string_equal(conflict.table, "things");
			assert_string_equal(conflict.index, "by_n");
			assert_string_equal(conflict.doc, id);
			assert_string_equal(conflict.writer, "mod:other");
			CHECK_EQ(conflict.ts, other);
			CHECK(!conflict.system_table);
		}
		fx_close(&f);
	}
}

/* Two transactions that read each other's range and write into their own: the second loses.
 * 03 checklist 27. */
TEST(write_skew_is_prevented)
{
	struct fixture   f;
	struct fx_commit a, b;
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &a);
	fx_begin(&f, &b);
	fx_read_n(&a, 0, 10);
	fx_read_n(&b, 20, 30);
	fx_set(&a, 1, 25);
	fx_set(&b, 2, 5);
	CHECK_EQ(fx_end(&f, &a, S("a"), &ts, NULL), ST_OK);
	CHECK_EQ(fx_end(&f, &b, S("b"), &ts, NULL), ST_OCC);
	fx_close(&f);
}

/* However many commits lie between: the one that matters is found. */
TEST(a_conflict_far_back_is_found)
{
	struct fixture   f;
	struct fx_commit c;
	struct conflict  conflict;
	ts_t             ts, at;

	fx_open(&f, 1);
	fx_begin(&f, &c);
	fx_read_id(&c, 3);
	fx_set(&c, 9, 1);
	for (uint32_t i = 0; i < 100; i++)
		set_one(&f, 10 + i, 1, S("noise"));
	at = set_one(&f, 3, 1, S("guilty"));
	for (uint32_t i = 0; i < 100; i++)
		set_one(&f, 10 + i, 2, S("noise"));
	CHECK_EQ(fx_end(&f, &c, S("me"), &ts, &conflict), ST_OCC);
	assert_string_equal(conflict.writer, "guilty");
	CHECK_EQ(conflict.ts, at);
	fx_close(&f);
}

/* A transaction without writes never conflicts and has its snapshot's timestamp. */
TEST(read_only_commits_at_its_snapshot)
{
	struct fixture   f;
	struct fx_commit c;
	ts_t             before, ts;

	fx_open(&f, 1);
	fx_begin(&f, &c);
	before = snapshot_ts(c.base);
	fx_read_n(&c, 0, 10);
	set_one(&f, 1, 5, S("other"));
	CHECK_EQ(fx_end(&f, &c, S("me"), &ts, NULL), ST_OK);
	CHECK_EQ(ts, before);
	fx_close(&f);
}

/* Timestamps follow the clock, and go on without it.
 * 03 checklist 35: strictly increasing across restarts and backwards clock steps. */
TEST(timestamps_strictly_increase)
{
	struct fixture f;
	ts_t           last, ts;

	fx_open(&f, 1);
	f.now += 1000000;
	last = set_one(&f, 1, 1, S("t"));
	CHECK_EQ(last, f.now);
	ts = set_one(&f, 1, 2, S("t"));
	CHECK_EQ(ts, last + 1); /* the clock stands */
	last = ts;
	f.now -= 3600 * (uint64_t)1000000000;
	ts = set_one(&f, 1, 3, S("t"));
	CHECK_EQ(ts, last + 1); /* the clock went back */
	last = ts;
	fx_flush(&f);
	for (int i = 0; i < 3; i++) {
		db_close(f.db);
		f.now -= 1000000000;
		fx_start(&f);
		CHECK(db_latest_ts(f.db) >= last);
		ts = set_one(&f, 1, 10 + i, S("t"));
		CHECK(ts > last);
		last = ts;
		fx_flush(&f);
	}
	fx_close(&f);
}

/* A restart promises a time even if nothing is ever committed at it: a snapshot that was
 * handed out must not gain rows afterwards. */
TEST(a_restart_never_reuses_a_time_it_served)
{
	struct fixture f;
	ts_t           served;

	fx_open(&f, 1);
	f.now += 5000000000;
	db_close(f.db);
	fx_start(&f);
	served = db_latest_ts(f.db);
	CHECK_EQ(served, f.now);
	db_close(f.db);
	f.now -= 4000000000;
	fx_start(&f);
	CHECK(set_one(&f, 1, 1, S("t")) > served);
	fx_close(&f);
}

/* The durable timestamp follows the store, not the commit; batches keep the order. */
TEST(durable_follows_the_store)
{
	struct fixture        f;
	struct pending_batch *b;
	ts_t                  at_start, a, c;

	fx_open(&f, 1);
	at_start = db_durable_ts(f.db);
	a = set_one(&f, 1, 1, S("t"));
	set_one(&f, 2, 1, S("t"));
	c = set_one(&f, 3, 1, S("t"));
	CHECK_EQ(db_durable_ts(f.db), at_start);
	CHECK_EQ(db_pending_commits(f.db), 3);
	b = db_take_batch(f.db, 1);
	CHECK_EQ(db_pending_commits(f.db), 3);
	CHECK_EQ(db_write_batch(f.db, b, NULL), ST_OK);
	CHECK_EQ(db_durable_ts(f.db), a);
	b = db_take_batch(f.db, 100);
	CHECK_EQ(db_write_batch(f.db, b, NULL), ST_OK);
	CHECK_EQ(db_durable_ts(f.db), c);
	CHECK(db_take_batch(f.db, 100) == NULL);
	CHECK_EQ(db_pending_commits(f.db), 0);
	fx_close(&f);
}

/* Every revision knows its commit and the revision it replaced. */
TEST(revisions_are_chained)
{
	struct fixture       f;
	struct snapshot     *s;
	struct doc          *d;
	struct store_log_row row;
	ts_t                 a, b;

	fx_open(&f, 1);
	a = set_one(&f, 1, 1, S("t"));
	b = set_one(&f, 1, 2, S("t"));
	s = db_snapshot(f.db);
	d = fx_get(s, 1);
	CHECK_EQ(d->ts, b);
	fx_flush(&f);
	CHECK_EQ(f.store.v->revision(f.store.self, f.tablet, FX_TABLE_NUMBER, d->id.uid, b, &row,
	             NULL), ST_OK);
	CHECK_EQ(row.ts, b);
	CHECK_EQ(row.prev_ts, a);
	doc_unref(row.doc);
	doc_unref(d);
	snapshot_unref(s);
	fx_close(&f);
}

/* A $commitTs token becomes the commit's own timestamp, in the document and in its index keys,
 * before and after a restart. */
TEST(commit_timestamp_tokens_are_resolved)
{
	struct fixture   f;
	struct fx_commit c;
	struct snapshot *s;
	struct doc      *d;
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &c);
	fx_set(&c, 1, THING_COMMIT_TS);
	CHECK_EQ(fx_end(&f, &c, S("t"), &ts, NULL), ST_OK);
	fx_flush(&f);
	for (int restart = 0; restart < 2; restart++) {
		const struct table_info *t;
		const struct index_info *ix;
		struct fx_commit         room = { .arena = arena_new() };
		struct doc              *probe;

		s = db_snapshot(f.db);
		t = fx_things(s);
		ix = table_index(t, S("by_n"));
		d = fx_get(s, 1);
		CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), (int64_t)ts);
		CHECK(!d->has_commit_ts);
		doc_unref(d);
		probe = thing_doc(t, 1, (int64_t)ts);
		CHECK_EQ(snapshot_get(s, t, ix, fx_key(&room, ix, probe), &d, NULL), ST_OK);
		CHECK(d != NULL);
		doc_unref(d);
		doc_unref(probe);
		arena_free(room.arena);
		snapshot_unref(s);
		db_close(f.db);
		fx_start(&f);
	}
	fx_close(&f);
}

/* A transaction that wrote to a table must know all its indexes, and of two changes of the
 * catalogue from one base the second loses. */
TEST(catalogue_changes_conflict)
{
	struct fixture   f;
	struct fx_commit a, b, c, d;
	struct conflict  conflict;
	static str       fields[] = { { "m", 1 } };
	struct index_def def = { .name = S("by_m"), .nfields = 1, .fields = fields };
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &a);
	fx_begin(&f, &b);
	fx_begin(&f, &c);
	fx_begin(&f, &d);
	fx_add_index(&f, &a, f.tablet, def, INDEX_BACKFILLING);
	CHECK_EQ(fx_end(&f, &a, S("ddl"), &ts, NULL), ST_OK);
	fx_set(&b, 1, 1); /* without a key in by_m */
	CHECK_EQ(fx_end(&f, &b, S("t"), &ts, &conflict), ST_OCC);
	CHECK(conflict.system_table);
	fx_add_table(&f, &c, S("others"), 10002);
	CHECK_EQ(fx_end(&f, &c, S("ddl"), &ts, &conflict), ST_OCC);
	fx_begin(&f, &c);
	fx_add_table(&f, &c, S("others"), 10002);
	CHECK_EQ(fx_end(&f, &c, S("ddl"), &ts, &conflict), ST_OK);
	CHECK_EQ(fx_end(&f, &d, S("reader"), &ts, NULL), ST_OK);
	fx_close(&f);
}

/* A write to a table whose indexes are the same is not disturbed by a change elsewhere. */
TEST(catalogue_changes_elsewhere_do_not_conflict)
{
	struct fixture   f;
	struct fx_commit a, b;
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &a);
	fx_begin(&f, &b);
	fx_add_table(&f, &a, S("others"), 10002);
	CHECK_EQ(fx_end(&f, &a, S("ddl"), &ts, NULL), ST_OK);
	fx_set(&b, 1, 1);
	CHECK_EQ(fx_end(&f, &b, S("t"), &ts, NULL), ST_OK);
	fx_close(&f);
}

/* --- db_changed and db_changes --- */

/* The first commit that touched the read set, within bounds; what the log has forgotten
 * counts as changed. */
TEST(changes_are_reported_in_order)
{
	struct fixture   f;
	struct fx_commit c;
	struct readset  *reads;
	ts_t             base, t1, t2, at = 0;

	fx_open(&f, 1);
	base = db_latest_ts(f.db);
	set_one(&f, 8, 1, S("t"));
	t1 = set_one(&f, 1, 1, S("t"));
	t2 = set_one(&f, 1, 2, S("t"));
	fx_begin(&f, &c);
	fx_read_id(&c, 1);
	reads = readlog_freeze(&c.reads);
	fx_abort(&c);
	CHECK(db_changed(f.db, reads, base, t2, &at));
	CHECK_EQ(at, t1);
	CHECK(db_changed(f.db, reads, t1, t2, &at));
	CHECK_EQ(at, t2);
	CHECK(!db_changed(f.db, reads, base, t1 - 1, &at));
	CHECK(!db_changed(f.db, reads, t2, t2 + 100, &at));
	CHECK(db_changed(f.db, reads, 5, t2, &at)); /* before the log begins */
	CHECK_EQ(at, 0);
	readset_unref(reads);
	fx_close(&f);
}

struct seen {
	size_t n;
	ts_t   last;
};

static void
count_key(void *arg, ts_t ts, str key)
{
	struct seen *s = arg;

	CHECK(ts >= s->last && key.n > INDEX_PREFIX);
	s->last = ts;
	s->n++;
}

TEST(written_keys_are_listed)
{
	struct fixture f;
	struct seen    seen = { 0 };
	ts_t           base;

	fx_open(&f, 1);
	base = db_latest_ts(f.db);
	set_one(&f, 1, 1, S("t"));
	CHECK(db_changes(f.db, base, count_key, &seen));
	CHECK_EQ(seen.n, 3); /* one in each index */
	set_one(&f, 1, 2, S("t"));
	memset(&seen, 0, sizeof seen);
	CHECK(db_changes(f.db, base, count_key, &seen));
	CHECK_EQ(seen.n, 3 + 4); /* by_n: the old key and the new one */
	CHECK(!db_changes(f.db, 5, count_key, &seen));
	fx_close(&f);
}

/* The log keeps 30 s always and 300 s at most; who began before its floor must restart. */
TEST(old_transactions_are_out_of_retention)
{
	struct fixture   f;
	struct fx_commit young, old;
	ts_t             ts;

	fx_open(&f, 1);
	fx_begin(&f, &old);
	fx_set(&old, 50, 1);
	set_one(&f, 1, 1, S("t"));
	f.now += (uint64_t)29 * 1000000000;
	set_one(&f, 2, 1, S("t"));
	fx_begin(&f, &young);
	fx_set(&young, 51, 1);
	f.now += (uint64_t)272 * 1000000000;
	set_one(&f, 3, 1, S("t"));
	CHECK_EQ(fx_end(&f, &old, S("t"), &ts, NULL), ST_OUT_OF_RETENTION);
	CHECK_EQ(fx_end(&f, &young, S("t"), &ts, NULL), ST_OK);
	fx_close(&f);
}

static struct wlog_record *
record(size_t bytes)
{
	char *room;

	return wlog_record_new(S("w"), 0, 0, bytes, &room);
}

/* The log is bounded in bytes: above a quarter of them old records go, when they are used up
 * as many as there must, however young. */
TEST(the_log_is_bounded)
{
	const ts_t   second = 1000000000;
	struct wlog *w = wlog_new(400000, 10);

	for (ts_t i = 1; i <= 30; i++)
		wlog_append_take(w, record(10000), i * second);
	CHECK_EQ(wlog_floor(w), 10); /* over 100,000, but all are young */
	wlog_append_take(w, record(10000), 35 * second);
	CHECK_EQ(wlog_floor(w), 5 * second);
	wlog_append_take(w, record(200000), 35 * second + 1);
	CHECK(wlog_floor(w) > 10 * second);
	CHECK(wlog_count_after(w, 0) > 5);
	wlog_free(w);
}

/* --- snapshots of a given time --- */

/* A pinned timestamp can be read for ten seconds, another past one cannot, a future one is an
 * internal error. */
TEST(pinned_snapshots_live_ten_seconds)
{
	struct fixture   f;
	struct snapshot *s = NULL;
	struct doc      *d;
	ts_t             pinned, unpinned;

	fx_open(&f, 1);
	set_one(&f, 1, 1, S("t"));
	pinned = db_pin_latest(f.db);
	unpinned = set_one(&f, 1, 2, S("t"));
	set_one(&f, 1, 3, S("t"));
	f.now += (uint64_t)9 * 1000000000;
	CHECK_EQ(db_snapshot_at(f.db, pinned, &s, NULL), ST_OK);
	d = fx_get(s, 1);
	CHECK_EQ(val_int64(val_get(doc_val(d), S("n"))), 1);
	doc_unref(d);
	snapshot_unref(s);
	CHECK_EQ(db_snapshot_at(f.db, unpinned, &s, NULL), ST_OUT_OF_RETENTION);
	CHECK_EQ(db_snapshot_at(f.db, db_latest_ts(f.db) + 1, &s, NULL), ST_INTERNAL);
	f.now += (uint64_t)2 * 1000000000;
	CHECK_EQ(db_snapshot_at(f.db, pinned, &s, NULL), ST_OUT_OF_RETENTION);
	CHECK_EQ(db_snapshot_at(f.db, db_latest_ts(f.db), &s, NULL), ST_OK);
	snapshot_unref(s);
	fx_close(&f);
}

TEST_RUN(T(conflicts_are_writes_inside_what_was_read), T(write_skew_is_prevented),
    T(a_conflict_far_back_is_found), T(read_only_commits_at_its_snapshot),
    T(timestamps_strictly_increase), T(a_restart_never_reuses_a_time_it_served),
    T(durable_follows_the_store), T(revisions_are_chained),
    T(commit_timestamp_tokens_are_resolved), T(catalogue_changes_conflict),
    T(catalogue_changes_elsewhere_do_not_conflict), T(changes_are_reported_in_order),
    T(written_keys_are_listed), T(old_transactions_are_out_of_retention), T(the_log_is_bounded),
    T(pinned_snapshots_live_ten_seconds))
