/* isolation_test.c - what a transaction depends on: read sets and conflicts (spec 03 sections
 * 5.2 and 5.3), limits (5.6).
 */
#include "db_fixture.h"

#define BY_N(range, order, ops)                                               \
	"{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"notes.by_n\",\"range\":[" range \
	"],\"order\":\"" order "\"},\"operators\":[" ops "]}"
#define GTE(n) "{\"type\":\"Gte\",\"fieldPath\":\"n\",\"value\":" #n "}"
#define LT(n)  "{\"type\":\"Lt\",\"fieldPath\":\"n\",\"value\":" #n "}"
#define EQ(n)  "{\"type\":\"Eq\",\"fieldPath\":\"n\",\"value\":" #n "}"
#define LIMIT(n) "{\"limit\":" #n "}"

static const char schema[] =
    "{\"tables\":[{\"tableName\":\"notes\",\"indexes\":[{\"indexDescriptor\":\"by_n\","
    "\"fields\":[\"n\"]}],\"documentType\":null}]}";

/* Notes with n = 10, 20, ... 90. */
static void
open_notes(struct fix *f)
{
	struct txn *t;

	fix_open(f);
	fix_push(f, schema);
	t = fix_begin(f);
	for (int n = 10; n < 100; n += 10)
		fix_insert(f, t, "notes",
		    arena_z(f->arena, arena_fmt(f->arena, "{\"n\":%d}", n)));
	CHECK_EQ(fix_end(f, t), ST_OK);
}

/* What db_changed() says about a query after another transaction inserted {n}. */
static bool
touched_by(struct fix *f, const char *query, int n)
{
	struct txn     *t = fix_begin_query(f), *w;
	struct readset *reads;
	str             got;
	bool            changed;
	ts_t            at;

	CHECK_EQ(fix_query(f, t, query, "n", &got), ST_OK);
	reads = txn_readset(t);
	w = fix_begin(f);
	fix_insert(f, w, "notes", arena_z(f->arena, arena_fmt(f->arena, "{\"n\":%d}", n)));
	CHECK_EQ(fix_end(f, w), ST_OK);
	changed = db_changed(f->db, reads, txn_ts(t), db_latest_ts(f->db), &at);
	readset_unref(reads);
	txn_free(t);
	return changed;
}

/* 03 checklist 28 and 29: a write inside what was read invalidates it, also where nothing was
 * found; a query that a limit ended has not read behind its last row. */
TEST(read_intervals_are_exact)
{
	static const struct {
		const char *why, *query;
		int         n;
		bool        touched;
	} rows[] = {
		{ "inside a range", BY_N(GTE(20) "," LT(40), "asc", ""), 35, true },
		{ "its lower end", BY_N(GTE(20) "," LT(40), "asc", ""), 20, true },
		{ "its upper end", BY_N(GTE(20) "," LT(40), "asc", ""), 40, false },
		{ "below it", BY_N(GTE(20) "," LT(40), "asc", ""), 19, false },
		{ "empty range, inside", BY_N(GTE(21) "," LT(29), "asc", ""), 25, true },
		{ "empty range, outside", BY_N(GTE(21) "," LT(29), "asc", ""), 29, false },
		{ "a range that cannot match", BY_N(GTE(50) "," LT(20), "asc", ""), 30, false },
		{ "first(): before the row", BY_N("", "asc", LIMIT(1)), 5, true },
		{ "first(): behind the row", BY_N("", "asc", LIMIT(1)), 15, false },
		{ "take(3): inside", BY_N("", "asc", LIMIT(3)), 25, true },
		{ "take(3): behind", BY_N("", "asc", LIMIT(3)), 35, false },
		{ "take(100): ran dry", BY_N("", "asc", LIMIT(100)), 1000, true },
		{ "desc take(2): inside", BY_N("", "desc", LIMIT(2)), 85, true },
		{ "desc take(2): above", BY_N("", "desc", LIMIT(2)), 95, true },
		{ "desc take(2): below", BY_N("", "desc", LIMIT(2)), 75, false },
		{ "filtered rows count as read",
		    BY_N("", "asc",
			"{\"filter\":{\"$eq\":[{\"$field\":\"n\"},{\"$literal\":50}]}}," LIMIT(1)),
		    45, true },
		{ "but not behind the match",
		    BY_N("", "asc",
			"{\"filter\":{\"$eq\":[{\"$field\":\"n\"},{\"$literal\":50}]}}," LIMIT(1)),
		    55, false },
		{ "unique: another value", BY_N(EQ(30), "asc", LIMIT(2)), 31, false },
		{ "unique: the same value", BY_N(EQ(30), "asc", LIMIT(2)), 30, true },
		{ "limit 0 reads nothing", BY_N("", "asc", LIMIT(0)), 10, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct fix f;

		print_message("  %s\n", rows[i].why);
		open_notes(&f);
		CHECK_EQ(touched_by(&f, rows[i].query, rows[i].n), rows[i].touched);
		fix_close(&f);
	}
}

/* The same for an iteration that was abandoned and never closed. */
TEST(open_iterations_are_recorded)
{
	struct fix         f;
	struct txn        *t;
	struct query      *q;
	struct doc        *d;
	struct readset    *reads;
	const struct table_info *info;
	struct buf         key;

	open_notes(&f);
	t = fix_begin_query(&f);
	CHECK_EQ(query_open(t, fix_spec(&f, BY_N("", "asc", "")), &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	reads = txn_readset(t);
	info = catalog_table(txn_catalog(t), (struct uid){ { 0 } }, S("notes"));
	buf_init(&key, BUF_MAX_DEFAULT);
	index_key(&key, table_index(info, S("by_n")), doc_val(d));
	CHECK(readset_has(reads, buf_str(&key)));
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	buf_reset(&key);
	index_key(&key, table_index(info, S("by_n")), doc_val(d));
	CHECK(!readset_has(reads, buf_str(&key)));
	buf_clear(&key);
	readset_unref(reads);
	txn_free(t);
	fix_close(&f);
}

/* A query on a table that does not exist yet is invalidated when it appears, and by nothing
 * that happens to other tables. */
TEST(missing_tables_are_watched)
{
	static const char scan[] =
	    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"later\",\"order\":null},"
	    "\"operators\":[]}";
	struct fix      f;
	struct txn     *t, *w;
	struct readset *reads;
	str             got;

	open_notes(&f);
	t = fix_begin_query(&f);
	CHECK_EQ(fix_query(&f, t, scan, "n", &got), ST_OK);
	reads = txn_readset(t);
	w = fix_begin(&f);
	fix_insert(&f, w, "notes", "{}");
	CHECK_EQ(fix_end(&f, w), ST_OK);
	CHECK(!db_changed(f.db, reads, txn_ts(t), db_latest_ts(f.db), NULL));
	w = fix_begin(&f);
	fix_insert(&f, w, "later", "{}");
	CHECK_EQ(fix_end(&f, w), ST_OK);
	CHECK(db_changed(f.db, reads, txn_ts(t), db_latest_ts(f.db), NULL));
	readset_unref(reads);
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 27 and 32: two transactions that read each other's range and both write cannot
 * both commit; the loser is told what changed and by whom. */
TEST(write_skew_is_prevented)
{
	struct fix      f;
	struct txn     *a, *b;
	struct conflict c;
	str             got;
	ts_t            ts;

	open_notes(&f);
	a = fix_begin(&f);
	b = fix_begin(&f);
	CHECK_EQ(fix_query(&f, a, BY_N(GTE(10) "," LT(20), "asc", ""), "n", &got), ST_OK);
	CHECK_EQ(fix_query(&f, b, BY_N(GTE(20) "," LT(30), "asc", ""), "n", &got), ST_OK);
	fix_insert(&f, a, "notes", "{\"n\":25}");
	fix_insert(&f, b, "notes", "{\"n\":15}");
	CHECK_EQ(txn_commit(a, &ts, &c, &f.err), ST_OK);
	CHECK_EQ(txn_commit(b, &ts, &c, &f.err), ST_OCC);
	CHECK_STRZ(str_z(c.table), "notes");
	CHECK_STRZ(str_z(c.writer), "messages.js:send");
	CHECK(!c.system_table);
	txn_free(a);
	txn_free(b);
	/* Disjoint ones both commit. */
	a = fix_begin(&f);
	b = fix_begin(&f);
	CHECK_EQ(fix_query(&f, a, BY_N(GTE(10) "," LT(20), "asc", ""), "n", &got), ST_OK);
	CHECK_EQ(fix_query(&f, b, BY_N(GTE(20) "," LT(30), "asc", ""), "n", &got), ST_OK);
	fix_insert(&f, a, "notes", "{\"n\":12}");
	fix_insert(&f, b, "notes", "{\"n\":28}");
	CHECK_EQ(fix_end(&f, a), ST_OK);
	CHECK_EQ(fix_end(&f, b), ST_OK);
	fix_close(&f);
}

/* 03 checklist 26: what a transaction reads does not move while others commit. */
TEST(snapshots_do_not_move)
{
	struct fix  f;
	struct txn *t, *w;

	open_notes(&f);
	t = fix_begin_query(&f);
	CHECK_QUERY(&f, t, BY_N(LT(40), "asc", ""), "n", "10.0 20.0 30.0");
	w = fix_begin(&f);
	fix_insert(&f, w, "notes", "{\"n\":15}");
	CHECK_EQ(fix_end(&f, w), ST_OK);
	fix_pump(&f);
	CHECK_QUERY(&f, t, BY_N(LT(40), "asc", ""), "n", "10.0 20.0 30.0");
	CHECK_QUERY(&f, t, BY_N(LT(40), "desc", ""), "n", "30.0 20.0 10.0");
	CHECK_EQ(fix_end(&f, t), ST_OK); /* and reading alone never conflicts */
	fix_close(&f);
}

/* Two writers of one document conflict through the read that each write makes; two insertions
 * do not. */
TEST(writers_of_one_document_conflict)
{
	struct fix      f;
	struct txn     *a, *b;
	struct conflict c;
	struct doc     *d;
	str             id;
	ts_t            ts;

	open_notes(&f);
	a = fix_begin(&f);
	id = fix_insert(&f, a, "notes", "{\"n\":1}");
	CHECK_EQ(fix_end(&f, a), ST_OK);
	a = fix_begin(&f);
	b = fix_begin(&f);
	CHECK_EQ(txn_patch(a, STR_EMPTY, id, fix_val(&f, "{\"n\":2}"), &d, &f.err), ST_OK);
	CHECK_EQ(txn_patch(b, STR_EMPTY, id, fix_val(&f, "{\"m\":2}"), &d, &f.err), ST_OK);
	CHECK_EQ(fix_end(&f, a), ST_OK);
	CHECK_EQ(txn_commit(b, &ts, &c, &f.err), ST_OCC);
	CHECK_STR(str_z(c.doc), id);
	txn_free(b);
	a = fix_begin(&f);
	b = fix_begin(&f);
	fix_insert(&f, a, "notes", "{\"n\":1}");
	fix_insert(&f, b, "notes", "{\"n\":1}");
	CHECK_EQ(fix_end(&f, a), ST_OK);
	CHECK_EQ(fix_end(&f, b), ST_OK);
	fix_close(&f);
}

/* Two transactions that both create a table conflict. */
TEST(table_creations_serialise)
{
	struct fix  f;
	struct txn *a, *b;

	open_notes(&f);
	a = fix_begin(&f);
	b = fix_begin(&f);
	fix_insert(&f, a, "fresh", "{}");
	fix_insert(&f, b, "fresh", "{}");
	CHECK_EQ(fix_end(&f, a), ST_OK);
	CHECK_EQ(fix_end(&f, b), ST_OCC);
	fix_close(&f);
}

/* A read that a caught failure made still conflicts (section 5.5). */
TEST(rolled_back_reads_count)
{
	struct fix       f;
	struct txn      *a, *b;
	struct txn_mark *m;
	str              got;

	open_notes(&f);
	a = fix_begin(&f);
	b = fix_begin(&f);
	m = txn_mark(a);
	CHECK_EQ(fix_query(&f, a, BY_N(EQ(10), "asc", ""), "n", &got), ST_OK);
	txn_rollback(a, m);
	fix_insert(&f, a, "notes", "{\"n\":1000}");
	fix_insert(&f, b, "notes", "{\"n\":10}");
	CHECK_EQ(fix_end(&f, b), ST_OK);
	CHECK_EQ(fix_end(&f, a), ST_OCC);
	fix_close(&f);
}

/* --- limits --- */

static void
limits(struct fix *f, struct txn *t, struct txn_limits l)
{
	struct txn_limits all = *txn_limits(t);

	(void)f;
	all.docs_read = l.docs_read ? l.docs_read : all.docs_read;
	all.bytes_read = l.bytes_read ? l.bytes_read : all.bytes_read;
	all.intervals = l.intervals ? l.intervals : all.intervals;
	all.docs_written = l.docs_written ? l.docs_written : all.docs_written;
	all.bytes_written = l.bytes_written ? l.bytes_written : all.bytes_written;
	(void)txn_set_limits(t, &all);
}

#define HINT " Consider using smaller limits in your queries, paginating your queries, or using " \
	"indexed queries with a selective index range expressions."

/* 03 checklist 34: the defaults are those of section 5.6; each limit lets exactly its number
 * through and fails on the next one; system tables are not counted. */
TEST(read_limits)
{
	struct fix         f;
	struct txn        *t;
	struct query      *q;
	struct doc        *d;
	str                got;

	open_notes(&f);
	t = fix_begin_query(&f);
	CHECK_EQ(txn_limits(t)->docs_read, 32000);
	CHECK_EQ(txn_limits(t)->bytes_read, 16777216);
	CHECK_EQ(txn_limits(t)->intervals, 4096);
	CHECK_EQ(txn_limits(t)->docs_written, 16000);
	CHECK_EQ(txn_limits(t)->bytes_written, 16777216);
	CHECK_EQ(txn_limits(t)->functions_scheduled, 1000);
	CHECK_EQ(txn_limits(t)->scheduled_args_bytes, 16777216);
	limits(&f, t, (struct txn_limits){ .docs_read = 3 });
	CHECK_QUERY(&f, t, BY_N("", "asc", LIMIT(3)), "n", "10.0 20.0 30.0");
	CHECK_EQ(txn_usage(t)->docs_read, 3);
	CHECK_FAILS(&f, fix_query(&f, t, BY_N(EQ(90), "asc", ""), "n", &got),
	    "TooManyDocumentsRead",
	    "Too many documents read in a single function execution (limit: 3)." HINT);
	CHECK_EQ(txn_usage(t)->docs_read, 4); /* and it stays counted */
	txn_free(t);

	t = fix_begin_query(&f); /* a note is 63 + 2 + 9 bytes */
	limits(&f, t, (struct txn_limits){ .bytes_read = 148 });
	CHECK_EQ(query_open(t, fix_spec(&f, BY_N("", "asc", "")), &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK_EQ(txn_usage(t)->bytes_read, 148);
	CHECK_EQ(query_next(q, &d, &f.err), ST_PAGINATION_LIMIT);
	CHECK_STRZ(f.err.code, "TooManyBytesRead");
	CHECK_STRZ(f.err.text,
	    "Too many bytes read in a single function execution (limit: 148 bytes)." HINT);
	txn_free(t);

	t = fix_begin_query(&f);
	limits(&f, t, (struct txn_limits){ .intervals = 2 });
	CHECK_QUERY(&f, t, BY_N(EQ(10), "asc", ""), "n", "10.0");
	CHECK_QUERY(&f, t, BY_N(EQ(30), "asc", ""), "n", "30.0");
	CHECK_QUERY(&f, t, BY_N(EQ(30), "asc", ""), "n", "30.0"); /* merged */
	CHECK_FAILS(&f, fix_query(&f, t, BY_N(EQ(50), "asc", ""), "n", &got), "TooManyReads",
	    "Too many reads in a single function execution (limit: 2)." HINT);
	txn_free(t);

	t = fix_begin_as(&f, false, true, (struct uid){ { 0 } });
	limits(&f, t, (struct txn_limits){ .docs_read = 1 });
	CHECK_EQ(fix_query(&f, t,
		     "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"_index\",\"order\":"
		     "null},\"operators\":[]}",
		     "descriptor", &got),
	    ST_OK);
	CHECK(got.n > 100);
	CHECK_EQ(txn_usage(t)->docs_read, 0);
	txn_free(t);
	fix_close(&f);
}

TEST(write_limits)
{
	struct fix   f;
	struct txn  *t;
	struct docid id;
	struct doc  *d;
	str          text;

	open_notes(&f);
	t = fix_begin(&f);
	limits(&f, t, (struct txn_limits){ .docs_written = 2 });
	text = fix_insert(&f, t, "notes", "{\"n\":1}");
	CHECK_EQ(txn_patch(t, STR_EMPTY, text, fix_val(&f, "{\"n\":2}"), &d, &f.err), ST_OK);
	CHECK_FAILS(&f, txn_delete(t, STR_EMPTY, text, &d, &f.err), "TooManyWrites",
	    "Too many writes in a single function execution (limit: 2)");
	txn_free(t);
	t = fix_begin(&f);
	limits(&f, t, (struct txn_limits){ .bytes_written = 148 });
	fix_insert(&f, t, "notes", "{\"n\":1}");
	fix_insert(&f, t, "notes", "{\"n\":2}");
	CHECK_FAILS(&f, txn_insert(t, S("notes"), fix_val(&f, "{}"), &id, &f.err),
	    "TooManyBytesWritten",
	    "Too many bytes written in a single function execution (limit: 148 B)");
	txn_free(t);
	t = fix_begin(&f);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(txn_note_scheduled(t, 10, &f.err), ST_OK);
	CHECK_FAILS(&f, txn_note_scheduled(t, 10, &f.err), "TooManyFunctionsScheduled",
	    "Too many functions scheduled by this mutation (limit: 1000)");
	txn_free(t);
	t = fix_begin(&f);
	CHECK_EQ(txn_note_scheduled(t, 16777216, &f.err), ST_OK);
	CHECK_FAILS(&f, txn_note_scheduled(t, 1, &f.err), "ScheduledFunctionsArgumentsTooLarge",
	    "Too large total size of the arguments of scheduled functions from this mutation "
	    "(limit: 16777216 bytes)");
	txn_free(t);
	fix_close(&f);
}

TEST_RUN(T(read_intervals_are_exact), T(open_iterations_are_recorded),
    T(missing_tables_are_watched), T(write_skew_is_prevented), T(snapshots_do_not_move),
    T(writers_of_one_document_conflict), T(table_creations_serialise),
    T(rolled_back_reads_count), T(read_limits), T(write_limits))
