/* conformance_test.c - what every store promises (spec 03 section 7.1), asked of each.
 *
 * One suite, run against the memory store, against SQLite without and with the commit log in
 * front of it, each in a directory of its own, and with the log while nothing of it gets into
 * SQLite.  What only one of them has is in a test of its own.
 */
#include "store_each.h"

#include "value/vjson.h"

/* A reader at T sees of each key the newest version that is not above T, and nothing if that is
 * a tombstone. */
static void
reads_see_the_version_of_their_time(void **state)
{
	struct fixture *f = *state;
	const struct {
		ts_t        at;
		const char *want;
	} rows[] = {
		{ 0, "" },        { 9, "" },      { 10, "k=one" },   { 19, "k=one" },
		{ 20, "k=two" },  { 29, "k=two" }, { 30, "" },        { 39, "" },
		{ 40, "k=four" }, { 41, "k=four" }, { TS_MAX, "k=four" },
	};

	put(&f->s, 10, S("k"), 1, S("one"));
	put(&f->s, 20, S("k"), 1, S("two"));
	put(&f->s, 30, S("k"), 1, GONE);
	put(&f->s, 40, S("k"), 2, S("four"));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store_scan q = scan_of(1, rows[i].at, S(""), S(""));

		check_scan(f, &q, rows[i].want);
		q.desc = true;
		check_scan(f, &q, rows[i].want);
		q.hi = S("z");
		check_scan(f, &q, rows[i].want);
	}
}

/* lo is inclusive, hi exclusive, an empty hi is no end; the limit counts returned rows; "more"
 * is said when the limit was reached and keys are left. */
static void
ranges_and_limits(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *why;
		str         lo, hi;
		bool        desc;
		size_t      limit;
		const char *want;
	} rows[] = {
		{ "everything", S(""), S(""), false, 99, "a=1 b=2 d=4 e=5" },
		{ "everything, down", S(""), S(""), true, 99, "e=5 d=4 b=2 a=1" },
		{ "lo is inside", S("b"), S(""), false, 99, "b=2 d=4 e=5" },
		{ "hi is outside", S("a"), S("d"), false, 99, "a=1 b=2" },
		{ "the same, down", S("a"), S("d"), true, 99, "b=2 a=1" },
		{ "a point", S("b"), S("b\0"), false, 99, "b=2" },
		{ "a point, down", S("b"), S("b\0"), true, 99, "b=2" },
		{ "a point without a key", S("bb"), S("bb\0"), false, 99, "" },
		{ "an empty range", S("d"), S("b"), false, 99, "" },
		{ "an empty range, down", S("d"), S("d"), true, 99, "" },
		{ "bounds between keys", S("aa"), S("dd"), false, 99, "b=2 d=4" },
		{ "limit", S(""), S(""), false, 2, "a=1 b=2 +" },
		{ "limit, down", S(""), S(""), true, 2, "e=5 d=4 +" },
		{ "the limit is the range", S("b"), S("c"), false, 1, "b=2" },
		{ "only a tombstone is left", S("b"), S("d"), false, 1, "b=2 +" },
		{ "tombstones do not count", S("b"), S(""), false, 2, "b=2 d=4 +" },
		{ "tombstones do not count, down", S(""), S("e"), true, 2, "d=4 b=2 +" },
		{ "exactly all", S(""), S(""), false, 4, "a=1 b=2 d=4 e=5" },
		{ "exactly all, down", S(""), S(""), true, 4, "e=5 d=4 b=2 a=1" },
	};

	put(&f->s, 10, S("d"), 4, S("4"));
	put(&f->s, 11, S("a"), 1, S("1"));
	put(&f->s, 12, S("c"), 3, S("3"));
	put(&f->s, 13, S("e"), 5, S("5"));
	put(&f->s, 14, S("b"), 2, S("2"));
	put(&f->s, 15, S("c"), 3, GONE);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store_scan q = scan_of(1, 20, rows[i].lo, rows[i].hi);

		print_message("  %s\n", rows[i].why);
		q.desc = rows[i].desc;
		q.limit = rows[i].limit;
		check_scan(f, &q, rows[i].want);
	}
}

/* A scan stays inside its index, whatever the neighbours hold. */
static void
indexes_are_apart(void **state)
{
	struct fixture          *f = *state;
	struct doc              *d = doc_make(1, S("x"));
	struct store_doc_write   dw = doc_write(1, d, 0);
	struct store_index_write keys[] = {
		key_write(1, S("a"), false, 1),
		key_write(2, S("b"), false, 1),
		key_write(4, S(""), false, 1),
		key_write(4, S("\xff\xff"), false, 1),
	};
	struct store_commit c = { .ts = 1, .ndocs = 1, .docs = &dw, .nkeys = 4, .keys = keys };
	const char *const   want[] = { "", "a=x", "b=x", "", "=x \xff\xff=x", "" };

	CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);
	for (uint32_t i = 0; i < COUNT_OF(want); i++) {
		struct store_scan q = scan_of(i, 5, S(""), S(""));

		check_scan(f, &q, want[i]);
	}
	doc_unref(d);
}

/* Keys with any number of versions before and after the asked time: each is answered once, in
 * order, and the scan goes on behind it. */
static void
hot_keys(void **state)
{
	struct fixture *f = *state;
	const struct {
		ts_t        at;
		size_t      limit;
		const char *up, *down;
	} rows[] = {
		{ 1000, 9, "a=a1000 b=b c=c1000 d=d e=e1000", "e=e1000 d=d c=c1000 b=b a=a1000" },
		{ 500, 9, "a=a500 b=b c=c500 d=d e=e500", "e=e500 d=d c=c500 b=b a=a500" },
		{ 4, 9, "a=a4 b=b c=c4 d=d e=e4", "e=e4 d=d c=c4 b=b a=a4" },
		{ 1, 9, "b=b d=d", "d=d b=b" },
		{ 700, 3, "a=a700 b=b c=c700 +", "e=e700 d=d c=c700 +" },
		{ 700, 1, "a=a700 +", "e=e700 +" },
		{ 1100, 9, "a=a1100 b=b d=d e=e1100", "e=e1100 d=d b=b a=a1100" },
	};
	struct store_scan point = scan_of(1, 600, S("c"), S("c\0"));

	put(&f->s, 0, S("b"), 2, S("b"));
	put(&f->s, 1, S("d"), 4, S("d"));
	for (ts_t ts = 2; ts <= 1200; ts++) {
		const char *const names[] = { "a", "c", "e" };
		struct doc       *docs[3];
		struct store_doc_write   dw[3];
		struct store_index_write kw[3];
		struct store_commit c = {
			.ts = ts, .ndocs = 3, .docs = dw, .nkeys = 3, .keys = kw
		};

		for (uint32_t i = 0; i < 3; i++) {
			char body[32];
			bool gone = i == 1 && ts > 1000;

			snprintf(body, sizeof body, "%s%d", names[i], (int)ts);
			docs[i] = gone ? NULL : doc_make(10 + i, str_z(body));
			dw[i] = doc_write(10 + i, docs[i], ts - 1);
			kw[i] = key_write(1, str_z(names[i]), gone, 10 + i);
		}
		CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);
		for (size_t i = 0; i < 3; i++)
			doc_unref(docs[i]);
	}
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store_scan q = scan_of(1, rows[i].at, S(""), S(""));

		q.limit = rows[i].limit;
		check_scan(f, &q, rows[i].up);
		q.desc = true;
		check_scan(f, &q, rows[i].down);
	}
	point.limit = 1;
	check_scan(f, &point, "c=c600");
}

/* Keys are bytes: zeros, FFs, the empty one; thousands of bytes that differ only at the end. */
static void
odd_keys(void **state)
{
	struct fixture *f = *state;
	static char     longs[4][3000];
	const str keys[] = { /* ascending */
		S(""), S("\0"), S("\0\0"), S("\0\xff"), S("a"), S("a\0"), S("a\0\0"),
		S("a\0\1"), S("a\1"), { longs[3], 2501 }, { longs[0], 2999 },
		{ longs[0], 3000 }, { longs[1], 3000 }, { longs[2], 3000 }, { longs[3], 3000 },
		S("\xfe\xff"), S("\xff"), S("\xff\0"), S("\xff\xff"),
	};
	const size_t      n = COUNT_OF(keys);
	struct store_rows rows;

	for (size_t i = 0; i < 4; i++) {
		memset(longs[i], 'k', sizeof longs[i]);
		longs[i][2998] = i < 3 ? (char)i : 'k';
		longs[i][2999] = (char)i;
	}
	for (size_t i = 0; i < n; i++) /* in a mixed order, a hundred versions of some */
		for (size_t version = 0; version < (i % 4 ? 1 : 20); version++)
			put(&f->s, (i + 1) * 1000 + version, keys[i * 7 % n], (uint32_t)i, S("x"));
	for (int desc = 0; desc < 2; desc++)
		for (size_t from = 0; from < n; from++) {
			struct store_scan q = scan_of(1, TS_MAX, keys[from], S(""));

			q.desc = desc;
			store_rows_init(&rows);
			CHECK_EQ(store_scan(&f->s, &q, &rows, NULL), ST_OK);
			CHECK_EQ(rows.rows.n, n - from);
			for (size_t i = from; i < n; i++)
				CHECK_STR(rows.rows.v[desc ? n - 1 - i : i - from].key, keys[i]);
			store_rows_clear(&rows);
		}
	for (size_t i = 1; i < n; i++) {
		struct store_scan q = scan_of(1, TS_MAX, keys[i - 1], keys[i]);

		store_rows_init(&rows);
		CHECK_EQ(store_scan(&f->s, &q, &rows, NULL), ST_OK);
		CHECK_EQ(rows.rows.n, 1);
		CHECK_STR(rows.rows.v[0].key, keys[i - 1]);
		store_rows_clear(&rows);
	}
}

/* What comes back is the document that went in, and says when it was written. */
static void
documents_come_back_whole(void **state)
{
	static const char json[] =
	    "{\"_creationTime\":1700000000123.4568,\"_id\":\"j57000820c20a1g7104gm2rc1n7ynr8\","
	    "\"b\":{\"$bytes\":\"AP8=\"},\"f\":[-0.0,1e300,{\"$float\":\"AAAAAAAA+H8=\"}],"
	    "\"i\":{\"$integer\":\"AQAAAAAAAIA=\"},\"n\":null,\"o\":{\"\":{\"x\":[[],{}]}},"
	    "\"s\":\"\\u0000\\u001f\\\"\\\\ \xc3\xa9 \xf0\x90\x80\x80\",\"t\":true}";
	struct fixture          *f = *state;
	struct arena            *a = arena_new();
	struct docid             id = { TABLE_NUMBER, doc_uid(7) };
	char                     id_text[ID_TEXT_MAX];
	struct val               v;
	struct doc              *d;
	struct store_doc_write   dw = doc_write(7, NULL, 333);
	struct store_index_write kw = key_write(1, S("k"), false, 7);
	struct store_commit c = { .ts = 555, .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw };
	struct store_scan        q = scan_of(1, 555, S(""), S(""));
	struct store_rows        rows;
	struct buf               text;
	size_t                   at;

	buf_init(&text, BUF_MAX_DEFAULT);
	buf_addz(&text, json);
	id_format(id, id_text);
	CHECK(str_find(buf_str(&text), S("j57000820c20a1g7104gm2rc1n7ynr8"), &at));
	buf_reset(&text); /* the id in the text must be the row's own */
	buf_add(&text, str_of(json, at));
	buf_addz(&text, id_text);
	buf_addz(&text, json + at + strlen("j57000820c20a1g7104gm2rc1n7ynr8"));
	CHECK_EQ(vjson_parse(a, buf_str(&text), VJSON_PLAIN, &v, NULL), ST_OK);
	dw.doc = d = doc_new(tablet_uid(), id, 1700000000123.4568, v);
	CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);

	store_rows_init(&rows);
	CHECK_EQ(store_scan(&f->s, &q, &rows, NULL), ST_OK);
	CHECK_EQ(rows.rows.n, 1);
	CHECK(val_eq(doc_val(rows.rows.v[0].doc), doc_val(d)));
	CHECK_EQ(rows.rows.v[0].doc->ts, 555);
	CHECK_EQ(rows.rows.v[0].doc->id.table, TABLE_NUMBER);
	CHECK(uid_eq(rows.rows.v[0].doc->id.uid, id.uid));
	CHECK(uid_eq(rows.rows.v[0].doc->tablet, tablet_uid()));
	CHECK(rows.rows.v[0].doc->creation_time == 1700000000123.4568);
	store_rows_clear(&rows);
	doc_unref(d);
	buf_clear(&text);
	arena_free(a);
}

/* The log is read by time: from inclusive, to exclusive, ordered by time and then by table and
 * id; tombstones and previous revisions are told. */
static void
log_ranges(void **state)
{
	struct fixture        *f = *state;
	struct doc            *a = doc_make(1, S("a")), *b = doc_make(2, S("b"));
	struct store_doc_write first[] = { doc_write(2, b, 0), doc_write(1, a, 0) };
	struct store_doc_write second[] = { doc_write(1, NULL, 10) };
	struct store_doc_write third[] = { doc_write(2, b, 10) };
	struct store_commit    commits[] = {
                { .ts = 10, .ndocs = 2, .docs = first },
                { .ts = 20, .ndocs = 1, .docs = second },
                { .ts = 30, .ndocs = 1, .docs = third },
	};
	const struct store_commit *list[] = { &commits[0], &commits[1], &commits[2] };
	ts_t                       max = 99;

	CHECK_EQ(f->s.v->max_ts(f->s.self, &max, NULL), ST_OK);
	CHECK_EQ(max, 0);
	check_log(f, 0, UINT64_MAX, SIZE_MAX, 99, "");
	CHECK_EQ(store_write(&f->s, &(struct store_batch){ .ncommits = 3, .commits = list }, NULL),
	    ST_OK);
	check_log(f, 0, UINT64_MAX, SIZE_MAX, 99, "10:1=a 10:2=b 20:1<10 30:2<10=b ");
	check_log(f, 10, 30, SIZE_MAX, 99, "10:1=a 10:2=b 20:1<10 ");
	check_log(f, 11, 31, SIZE_MAX, 99, "20:1<10 30:2<10=b ");
	check_log(f, 0, 31, 3, 99, "10:1=a 10:2=b 20:1<10 ");
	check_log(f, 0, 31, 99, 2, "10:1=a 10:2=b ");
	check_log(f, 20, 20, 99, 99, "");
	CHECK_EQ(f->s.v->max_ts(f->s.self, &max, NULL), ST_OK);
	CHECK_EQ(max, 30);
	doc_unref(a);
	doc_unref(b);
}

/* Globals are absent until written and hold what was written last. */
static void
globals(void **state)
{
	struct fixture            *f = *state;
	const struct store_global set[] = { { S("a"), S("1") },
		{ S("k \xc3\xa9"), S("{\"x\":null}") } };
	const struct store_global again[] = { { S("a"), S("\"two\"") } };

	CHECK_STRZ(global(f, S("a")), status_name(ST_NOT_FOUND));
	CHECK_EQ(store_write(&f->s, &(struct store_batch){ .nglobals = 2, .globals = set }, NULL),
	    ST_OK);
	CHECK_STR(global(f, S("a")), S("1"));
	CHECK_STR(global(f, S("k \xc3\xa9")), S("{\"x\":null}"));
	CHECK_EQ(store_write(&f->s, &(struct store_batch){ .nglobals = 1, .globals = again }, NULL),
	    ST_OK);
	CHECK_STR(global(f, S("a")), S("\"two\""));
	CHECK_STRZ(global(f, S("aa")), status_name(ST_NOT_FOUND));
	CHECK_STRZ(global(f, S("")), status_name(ST_NOT_FOUND));
}

/* Backfilled entries stand at the time of the old revision, so old snapshots see them; writing
 * one again overwrites it. */
static void
backfill_overwrites(void **state)
{
	struct fixture           *f = *state;
	struct store_backfill_row rows[] = {
		{ .ts = 10, .key = key_write(2, S("x"), false, 1) },
		{ .ts = 20, .key = key_write(2, S("x"), false, 1) },
		{ .ts = 15, .key = key_write(2, S("y"), true, 0) },
	};
	struct store_scan at10 = scan_of(2, 10, S(""), S("")), at30 = scan_of(2, 30, S(""), S(""));

	put(&f->s, 10, S("k"), 1, S("old"));
	put(&f->s, 15, S("l"), 2, S("other"));
	put(&f->s, 20, S("k"), 1, S("new"));
	check_scan(f, &at30, "");
	CHECK_EQ(
	    store_write(&f->s, &(struct store_batch){ .nbackfill = 3, .backfill = rows }, NULL),
	    ST_OK);
	check_scan(f, &at10, "x=old");
	check_scan(f, &at30, "x=new");
	rows[0].key.deleted = true;
	rows[2].key = key_write(2, S("y"), false, 2);
	CHECK_EQ(
	    store_write(&f->s, &(struct store_batch){ .nbackfill = 3, .backfill = rows }, NULL),
	    ST_OK);
	check_scan(f, &at10, "");
	check_scan(f, &at30, "x=new y=other");
}

/* A batch with a collision leaves nothing behind: no row of its other commits, no global; and
 * the store goes on working.  03 checklist 36: all or nothing of a transaction. */
static void
failed_batches_leave_nothing(void **state)
{
	struct fixture          *f = *state;
	struct doc              *d = doc_make(1, S("new"));
	struct store_doc_write   dw = doc_write(1, d, 0), twice[] = { dw, dw };
	struct store_index_write kw = key_write(1, S("n"), false, 1);
	struct store_index_write clash[] = { key_write(1, S("c"), false, 1),
		key_write(1, S("c"), true, 1) };
	const struct store_commit good = {
		.ts = 20, .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw
	};
	const struct {
		const char         *why;
		struct store_commit bad;
	} rows[] = {
		{ "an old revision again", { .ts = 10, .ndocs = 1, .docs = &dw } },
		{ "the same revision twice", { .ts = 30, .ndocs = 2, .docs = twice } },
		{ "an entry twice", { .ts = 30, .nkeys = 2, .keys = clash } },
	};
	const struct store_global g = { S("g"), S("1") };
	struct store_scan         q = scan_of(1, TS_MAX, S(""), S(""));

	put(&f->s, 10, S("o"), 1, S("old"));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct store_commit *list[] = { &good, &rows[i].bad };
		struct store_batch         b = { .ncommits = 2, .commits = list, .nglobals = 1,
			            .globals = &g };
		struct err                 e = err_in(NULL);

		print_message("  %s\n", rows[i].why);
		CHECK_EQ(store_write(&f->s, &b, &e), ST_INTERNAL);
		CHECK_EQ(e.st, ST_INTERNAL);
		check_scan(f, &q, "o=old");
		check_log(f, 0, TS_MAX, 99, 99, "10:1=old ");
		CHECK_STRZ(global(f, S("g")), status_name(ST_NOT_FOUND));
	}
	CHECK_EQ(write_one(&f->s, &good, NULL), ST_OK);
	check_scan(f, &q, "n=new o=old");
	doc_unref(d);
}

enum { MANY = 100000, MANY_BATCH = 1000 };

/* A hundred thousand keys in no particular order are written, read and paged in seconds. */
static void
many_rows(void **state)
{
	struct fixture           *f = *state;
	struct doc               *d = doc_make(1, S("x"));
	struct store_doc_write   *dw = mem_zalloc(MANY_BATCH * sizeof *dw);
	struct store_index_write *kw = mem_zalloc(MANY_BATCH * sizeof *kw);
	char(*keys)[16] = mem_zalloc(MANY_BATCH * sizeof *keys);
	struct store_commit c = {
		.ndocs = MANY_BATCH, .docs = dw, .nkeys = MANY_BATCH, .keys = kw
	};
	struct store_scan q = scan_of(1, TS_MAX, S(""), S(""));
	struct store_rows rows;
	struct buf        lo;
	size_t            total = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t at = i % MANY_BATCH;

		snprintf(keys[at], sizeof keys[at], "%08x", i * 2654435761u);
		dw[at] = doc_write(i, d, 0);
		kw[at] = key_write(1, str_z(keys[at]), false, i);
		c.ts = i;
		if (at == MANY_BATCH - 1)
			CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);
	}
	buf_init(&lo, BUF_MAX_DEFAULT);
	q.limit = 7777;
	do {
		store_rows_init(&rows);
		q.lo = buf_str(&lo);
		CHECK_EQ(store_scan(&f->s, &q, &rows, NULL), ST_OK);
		for (size_t i = 1; i < rows.rows.n; i++)
			CHECK(str_cmp(rows.rows.v[i - 1].key, rows.rows.v[i].key) < 0);
		total += rows.rows.n;
		q.limit = rows.more ? q.limit : 0;
		buf_reset(&lo);
		buf_add(&lo, rows.rows.v[rows.rows.n - 1].key);
		buf_add_byte(&lo, 0);
		store_rows_clear(&rows);
	} while (q.limit);
	CHECK_EQ(total, MANY);
	buf_clear(&lo);
	mem_free(dw);
	mem_free(kw);
	mem_free(keys);
	doc_unref(d);
}

enum { TRANSFERS = 1500, READERS = 3 };

struct bank {
	struct fixture *f;
	_Atomic ts_t    newest;
	_Atomic bool    stop;
	_Atomic int     wrong;
	_Atomic int     reads;
};

/* Each account's balance is the text of its document; a snapshot's sum is always zero. */
static void
audit(void *arg)
{
	struct bank *b = arg;

	for (ts_t step = 0; !b->stop; step++) {
		ts_t              newest = b->newest;
		struct store_scan q = scan_of(1, newest - step * 37 % newest, S(""), S(""));
		struct store_rows rows;
		int64_t           sum = 0, one;

		store_rows_init(&rows);
		q.desc = step % 2;
		if (store_scan(&b->f->s, &q, &rows, NULL) != ST_OK || rows.rows.n != ACCOUNTS)
			b->wrong++;
		for (size_t i = 0; i < rows.rows.n; i++) {
			if (!str_to_i64(doc_body(rows.rows.v[i].doc), &one))
				b->wrong++;
			sum += one;
		}
		b->wrong += sum != 0;
		b->reads++;
		store_rows_clear(&rows);
	}
}

/* Readers on other threads see whole commits and a standing snapshot, however old, while the
 * writer goes on. */
static void
readers_see_whole_commits(void **state)
{
	struct bank    bank = { .f = *state, .newest = 1 };
	struct thread *readers[READERS];
	int            all[ACCOUNTS], balance[ACCOUNTS] = { 0 };

	for (int i = 0; i < ACCOUNTS; i++)
		all[i] = i;
	write_balances(&bank.f->s, 1, all, balance, ACCOUNTS);
	for (size_t i = 0; i < READERS; i++)
		readers[i] = thread_start("audit", 0, audit, &bank);
	for (ts_t ts = 2; ts < TRANSFERS; ts++) {
		const int two[] = { (int)(ts % ACCOUNTS), (int)(ts * 5 % 7 + ts + 1) % ACCOUNTS };

		if (two[0] == two[1])
			continue;
		balance[two[0]] -= (int)ts;
		balance[two[1]] += (int)ts;
		write_balances(&bank.f->s, ts, two, balance, 2);
		bank.newest = ts;
	}
	while (bank.reads <= 10)
		usleep(1000); /* a busy machine has not let them begin */
	bank.stop = true;
	for (size_t i = 0; i < READERS; i++)
		thread_join_free(readers[i]);
	CHECK_EQ(bank.wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(reads_see_the_version_of_their_time),
		EACH(ranges_and_limits),
		EACH(indexes_are_apart),
		EACH(hot_keys),
		EACH(odd_keys),
		EACH(documents_come_back_whole),
		EACH(log_ranges),
		EACH(globals),
		EACH(backfill_overwrites),
		EACH(failed_batches_leave_nothing),
		EACH(many_rows),
		EACH(readers_see_whole_commits),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
