/* prune_test.c - what every store promises about its history: revisions, and erasing them
 * (spec 03 section 7.7). */
#include "store_each.h"

#include "runtime/pause.h"

/* Waits until everything up to `ts` may be pruned. */
static void
settle(struct fixture *f, ts_t ts)
{
	while (f->s.v->settled_ts(f->s.self) < ts)
		usleep(1000);
}

static void
check_scan_at(struct fixture *f, ts_t at, const char *want)
{
	struct store_scan q = scan_of(1, at, S(""), S(""));

	check_scan(f, &q, want);
	q.desc = true;
	if (strchr(want, ' ') == NULL)
		check_scan(f, &q, want);
}

static struct store_dead_key
dead_key(uint32_t index, str key, ts_t upto)
{
	return (struct store_dead_key){ index_uid(index), key, upto };
}

static struct store_dead_doc
dead_doc(uint32_t n, ts_t upto)
{
	return (struct store_dead_doc){ tablet_uid(), doc_uid(n), upto };
}

/* The newest revision at or before a time is found, tombstones included; nothing before the
 * first one, nothing of other documents and tables. */
static void
revisions_of_a_time(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *why;
		uint32_t    n;
		ts_t        at;
		status      st;
		ts_t        ts;
		const char *body; /* NULL: a tombstone */
	} rows[] = {
		{ "before the first", 1, 9, ST_NOT_FOUND, 0, NULL },
		{ "the first, exactly", 1, 10, ST_OK, 10, "one" },
		{ "between", 1, 19, ST_OK, 10, "one" },
		{ "the second", 1, 20, ST_OK, 20, "two" },
		{ "the tombstone", 1, 30, ST_OK, 30, NULL },
		{ "after the tombstone", 1, 34, ST_OK, 30, NULL },
		{ "the newest", 1, TS_MAX, ST_OK, 40, "four" },
		{ "another document", 2, 99, ST_OK, 35, "other" },
		{ "no document", 3, 99, ST_NOT_FOUND, 0, NULL },
		{ "time 0", 1, 0, ST_NOT_FOUND, 0, NULL },
	};
	struct store_log_row got;

	put(&f->s, 10, S("k"), 1, S("one"));
	put(&f->s, 20, S("k"), 1, S("two"));
	put(&f->s, 30, S("k"), 1, GONE);
	put(&f->s, 35, S("o"), 2, S("other"));
	put(&f->s, 40, S("k"), 1, S("four"));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("  %s\n", rows[i].why);
		CHECK_EQ(f->s.v->revision(f->s.self, tablet_uid(), i % 2 ? TABLE_NUMBER : 0,
			     doc_uid(rows[i].n), rows[i].at, &got, NULL),
		    rows[i].st);
		if (rows[i].st != ST_OK)
			continue;
		CHECK_EQ(got.ts, rows[i].ts);
		CHECK(uid_eq(got.id, doc_uid(rows[i].n)));
		CHECK_EQ(got.doc != NULL, rows[i].body != NULL);
		if (got.doc) {
			CHECK_STRZ(doc_body(got.doc), rows[i].body);
			CHECK_EQ(got.doc->ts, rows[i].ts);
			CHECK_EQ(got.doc->id.table, TABLE_NUMBER);
		}
		doc_unref(got.doc);
	}
	CHECK_EQ(f->s.v->revision(f->s.self, uid_of('t', 2), TABLE_NUMBER, doc_uid(1), 99, &got,
		     NULL),
	    ST_NOT_FOUND);
}

/* Exactly what is named is erased, and the globals of the call are there with it: every time at
 * or above the bound reads what it did. */
static void
pruning_is_exact(void **state)
{
	struct fixture             *f = *state;
	const struct store_dead_key keys[] = { dead_key(1, S("a"), 20), dead_key(1, S("b"), 30),
		dead_key(1, S("absent"), 50), dead_key(2, S("a"), 50) };
	const struct store_dead_doc docs[] = { dead_doc(1, 19), dead_doc(2, 30), dead_doc(9, 50) };
	const struct store_global   g = { S("bound"), S("40") };
	const struct store_prune    p = { 4, keys, 3, docs, 1, &g };

	put(&f->s, 10, S("a"), 1, S("one"));
	put(&f->s, 15, S("b"), 2, S("gone"));
	put(&f->s, 20, S("a"), 1, S("two"));
	put(&f->s, 25, S("aa"), 3, S("near"));
	put(&f->s, 30, S("b"), 2, GONE);
	put(&f->s, 40, S("a"), 1, S("three"));
	put(&f->s, 50, S("c"), 4, S("new"));
	settle(f, 50);
	CHECK_EQ(f->s.v->prune(f->s.self, &p, NULL), ST_OK);
	check_scan_at(f, 40, "a=three aa=near");
	check_scan_at(f, 50, "a=three aa=near c=new");
	check_scan_at(f, 39, "aa=near");
	check_scan_at(f, 15, "");
	check_log(f, 0, TS_MAX, 99, 99, "20:1=two 25:3=near 40:1=three 50:4=new ");
	CHECK_STR(global(f, S("bound")), S("40"));
	put(&f->s, 60, S("b"), 2, S("back"));
	check_scan_at(f, 60, "a=three aa=near b=back c=new");
}

/* Nothing to prune is no error; globals alone may be written; a later value replaces. */
static void
pruning_nothing(void **state)
{
	struct fixture           *f = *state;
	const struct store_global one = { S("g"), S("1") }, two = { S("g"), S("2") };

	put(&f->s, 10, S("a"), 1, S("one"));
	CHECK_EQ(f->s.v->prune(f->s.self, &(struct store_prune){ 0 }, NULL), ST_OK);
	CHECK_EQ(f->s.v->prune(f->s.self,
		     &(struct store_prune){ .nglobals = 1, .globals = &one }, NULL),
	    ST_OK);
	CHECK_EQ(f->s.v->prune(f->s.self,
		     &(struct store_prune){ .nglobals = 1, .globals = &two }, NULL),
	    ST_OK);
	CHECK_STR(global(f, S("g")), S("2"));
	check_scan_at(f, 10, "a=one");
}

/* A dropped index goes in portions, all versions of its entries; the others stay. */
static void
erasing_an_index(void **state)
{
	struct fixture   *f = *state;
	struct store_scan q2 = scan_of(2, 99, S(""), S(""));
	size_t            n = 99;

	for (uint32_t i = 0; i < 10; i++) {
		char                     key[8];
		struct doc              *d = doc_make(i, S("x"));
		struct store_doc_write   dw = doc_write(i, d, 0);
		struct store_index_write kw[] = { key_write(1, str_z(key), false, i),
			key_write(2, str_z(key), false, i), key_write(3, S("hot"), false, i) };
		struct store_commit      c = {
			.ts = 10 + i, .ndocs = 1, .docs = &dw, .nkeys = 3, .keys = kw
		};

		snprintf(key, sizeof key, "%u", i);
		kw[0].key = kw[1].key = str_z(key);
		CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);
		doc_unref(d);
	}
	settle(f, 19);
	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(f->s.v->erase_index(f->s.self, index_uid(1), 4, &n, NULL), ST_OK);
		CHECK_EQ(n, 4);
	}
	CHECK_EQ(f->s.v->erase_index(f->s.self, index_uid(1), 4, &n, NULL), ST_OK);
	CHECK_EQ(n, 2);
	CHECK_EQ(f->s.v->erase_index(f->s.self, index_uid(3), 99, &n, NULL), ST_OK);
	CHECK_EQ(n, 10);
	CHECK_EQ(f->s.v->erase_index(f->s.self, index_uid(1), 4, &n, NULL), ST_OK);
	CHECK_EQ(n, 0);
	check_scan_at(f, 99, "");
	check_scan(f, &q2, "0=x 1=x 2=x 3=x 4=x 5=x 6=x 7=x 8=x 9=x");
}

/* A deleted table's documents go in portions, all revisions; those of other tables stay. */
static void
erasing_a_table(void **state)
{
	struct fixture        *f = *state;
	struct doc            *d = doc_make(7, S("kept"));
	struct store_doc_write dw = doc_write(7, d, 0);
	struct store_commit    c = { .ts = 5, .ndocs = 1, .docs = &dw };
	size_t                 n = 99;

	dw.tablet = uid_of('t', 2);
	CHECK_EQ(write_one(&f->s, &c, NULL), ST_OK);
	for (uint32_t i = 0; i < 6; i++)
		put(&f->s, 10 + i, S("k"), i / 2, S("x"));
	put(&f->s, 16, S("k"), 1, GONE);
	settle(f, 16);
	CHECK_EQ(f->s.v->erase_table(f->s.self, tablet_uid(), 4, &n, NULL), ST_OK);
	CHECK_EQ(n, 4);
	CHECK_EQ(f->s.v->erase_table(f->s.self, tablet_uid(), 4, &n, NULL), ST_OK);
	CHECK_EQ(n, 3);
	CHECK_EQ(f->s.v->erase_table(f->s.self, tablet_uid(), 4, &n, NULL), ST_OK);
	CHECK_EQ(n, 0);
	check_log(f, 0, TS_MAX, 99, 99, "5:7=kept ");
	doc_unref(d);
}

/* The figures follow what is stored; room is promised while there is some. */
static void
figures(void **state)
{
	struct fixture    *f = *state;
	struct store_stats before, after;
	char               body[5000];

	memset(body, 'x', sizeof body);
	CHECK_EQ(f->s.v->stats(f->s.self, &before, NULL), ST_OK);
	for (uint32_t i = 0; i < 1000; i++)
		put(&f->s, 10 + i, S("k"), i, str_of(body, sizeof body));
	CHECK_EQ(store_reserve(&f->s, 1000, NULL), ST_OK);
	store_release(&f->s, 1000);
	CHECK_EQ(f->s.v->stats(f->s.self, &after, NULL), ST_OK);
	CHECK(after.file_bytes >= before.file_bytes + 1000 * sizeof body);
	CHECK(after.free_bytes < after.file_bytes);
}

/* --- a reader that is overtaken --- */

static struct fixture *overtaken;
static uint32_t        overtaken_doc; /* 0: has happened */

/* What the reader has in its view is deleted, gets into SQLite and is erased there. */
static void
overtake(const char *name)
{
	uint32_t              n = overtaken_doc;
	struct fixture       *f = overtaken;
	struct store_dead_key key = dead_key(1, S("k"), 10 * n + 5);
	struct store_dead_doc doc = dead_doc(n, 10 * n + 5);

	overtaken_doc = 0;
	if (n == 0 || strcmp(name, "store: view taken") != 0)
		return;
	put(&f->s, 10 * n + 5, S("k"), n, GONE);
	logged_pause(&f->s, false);
	logged_drain(&f->s);
	CHECK_EQ(f->s.v->prune(f->s.self, &(struct store_prune){ 1, &key, 1, &doc, 0, NULL }, NULL),
	    ST_OK);
	logged_pause(&f->s, true);
}

/* A read that began before a deletion was written, and looks into SQLite after all of it was
 * erased there, does not bring the document back. */
static void
overtaken_readers(void **state)
{
	struct fixture      *f = overtaken = *state;
	struct store_log_row row;

	put(&f->s, 10, S("k"), 1, S("one"));
	overtaken_doc = 1;
	pause_hook = overtake;
	check_scan_at(f, 19, "");
	CHECK_EQ(overtaken_doc, 0);
	put(&f->s, 20, S("k"), 2, S("two"));
	overtaken_doc = 2;
	CHECK_EQ(f->s.v->revision(f->s.self, tablet_uid(), TABLE_NUMBER, doc_uid(2), 29, &row,
		     NULL),
	    ST_NOT_FOUND);
	CHECK_EQ(overtaken_doc, 0);
	pause_hook = NULL;
}

static struct fixture *crowded;
static int             overtakings;

/* Each time anew, unless the reader keeps others away. */
static void
overtake_again(const char *name)
{
	struct logged_store  *s = crowded->s.self;
	struct store_dead_key key = dead_key(1, S("gone"), 1);

	if (strcmp(name, "store: view taken") != 0 || overtakings == 50 ||
	    pthread_mutex_trylock(&s->sql_lock) != 0)
		return;
	must(pthread_mutex_unlock(&s->sql_lock) == 0);
	overtakings++;
	put(&crowded->s, 100 + (ts_t)overtakings, S("k"), (uint32_t)overtakings, S("new"));
	logged_pause(&crowded->s, false);
	logged_drain(&crowded->s);
	CHECK_EQ(crowded->s.v->prune(crowded->s.self,
		     &(struct store_prune){ .nkeys = 1, .keys = &key }, NULL),
	    ST_OK);
	logged_pause(&crowded->s, true);
}

/* A read that takes longer than it takes to apply and erase comes to an end all the same. */
static void
readers_do_not_starve(void **state)
{
	struct fixture      *f = crowded = *state;
	struct store_log_row row;

	put(&f->s, 10, S("k"), 1, S("one"));
	pause_hook = overtake_again;
	overtakings = 0;
	check_scan_at(f, 19, "k=one");
	CHECK(overtakings > 0 && overtakings < 20);
	overtakings = 20; /* later times */
	CHECK_EQ(f->s.v->revision(f->s.self, tablet_uid(), TABLE_NUMBER, doc_uid(1), 19, &row,
		     NULL),
	    ST_OK);
	doc_unref(row.doc);
	CHECK(overtakings > 20 && overtakings < 40);
	pause_hook = NULL;
}

/* --- beside other threads --- */

struct churn {
	struct fixture *f;
	_Atomic ts_t    newest, bound;
	_Atomic bool    stop;
	_Atomic int     wrong;
	_Atomic int     prunes, reads;
};

/* All balances of some time at or above the bound add up to nothing, and no account is missing.
 * A reader fetches first and looks at the bound afterwards (spec 03 section 7.6). */
static void
audit(void *arg)
{
	struct churn *c = arg;

	for (ts_t step = 0; !c->stop; step++) {
		ts_t              newest = c->newest;
		struct store_scan q = scan_of(1, newest - step % 3 % newest, S(""), S(""));
		struct store_rows rows;
		int64_t           sum = 0, one = 0;
		status            st;

		store_rows_init(&rows);
		q.desc = step % 2;
		st = store_scan(&c->f->s, &q, &rows, NULL);
		for (size_t i = 0; i < rows.rows.n; i++) {
			c->wrong += !str_to_i64(doc_body(rows.rows.v[i].doc), &one);
			sum += one;
		}
		if (q.at > 0 && q.at >= c->bound) {
			c->wrong += st != ST_OK || rows.rows.n != ACCOUNTS || sum != 0;
			c->reads++;
		}
		store_rows_clear(&rows);
	}
}

/* Erases of each account everything before what a reader at the settled time sees. */
static void
prune_behind(void *arg)
{
	struct churn         *c = arg;
	struct store         *s = &c->f->s;
	struct store_dead_key keys[ACCOUNTS];
	struct store_dead_doc docs[ACCOUNTS];

	while (!c->stop) {
		ts_t               settled = s->v->settled_ts(s->self);
		ts_t               bound = settled > 20 ? settled - 10 : 1;
		struct store_scan  q = scan_of(1, bound, S(""), S(""));
		struct store_rows  rows;
		struct store_prune p = { .keys = keys, .docs = docs };

		usleep(500);
		if (settled < 1)
			continue;
		c->bound = bound;
		store_rows_init(&rows);
		CHECK_EQ(store_scan(s, &q, &rows, NULL), ST_OK);
		for (size_t i = 0; i < rows.rows.n; i++) {
			const struct store_row *r = &rows.rows.v[i];

			keys[p.nkeys++] = (struct store_dead_key){ q.index, r->key,
				r->doc->ts - 1 };
			docs[p.ndocs++] = (struct store_dead_doc){ q.tablet, r->doc->id.uid,
				r->doc->ts - 1 };
		}
		c->wrong += s->v->prune(s->self, &p, NULL) != ST_OK;
		c->prunes++;
		store_rows_clear(&rows);
	}
}

static bool
count_row(void *arg, const struct store_log_row *row)
{
	doc_unref(row->doc);
	++*(int *)arg;
	return true;
}

/* Pruning goes on beside writes and reads: no reader of a readable time notices it. */
static void
pruning_under_writes(void **state)
{
	struct churn   c = { .f = *state, .newest = 1 };
	struct thread *threads[3];
	int            all[ACCOUNTS], balance[ACCOUNTS] = { 0 }, left = 0;
	ts_t           ts;

	for (int i = 0; i < ACCOUNTS; i++)
		all[i] = i;
	write_balances(&c.f->s, 1, all, balance, ACCOUNTS);
	threads[0] = thread_start("audit", 0, audit, &c);
	threads[1] = thread_start("audit", 0, audit, &c);
	threads[2] = thread_start("prune", 0, prune_behind, &c);
	for (ts = 2; ts < 600 || c.prunes < 20 || c.reads < 20; ts++) {
		const int two[] = { (int)(ts % ACCOUNTS), (int)((ts + 1) % ACCOUNTS) };

		balance[two[0]] -= (int)ts;
		balance[two[1]] += (int)ts;
		write_balances(&c.f->s, ts, two, balance, 2);
		c.newest = ts;
	}
	c.stop = true;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		thread_join_free(threads[i]);
	CHECK_EQ(c.wrong, 0);
	c.f->s.v->log(c.f->s.self, 0, TS_MAX, SIZE_MAX, count_row, &left, NULL);
	CHECK(left < (int)ts * 2);
}

#define EACH_SETTLING(f)                                      \
	{ "logged: " #f, f, open_logged, close_store, NULL }, \
	{ "sqlite: " #f, f, open_sqlite, close_store, NULL }, \
	{ "memory: " #f, f, open_memory, close_store, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(revisions_of_a_time),
		EACH_SETTLING(pruning_is_exact),
		EACH(pruning_nothing),
		EACH_SETTLING(erasing_an_index),
		EACH_SETTLING(erasing_a_table),
		EACH(figures),
		{ "paused: overtaken_readers", overtaken_readers, open_paused, close_store, NULL },
		{ "paused: readers_do_not_starve", readers_do_not_starve, open_paused, close_store,
		    NULL },
		EACH_SETTLING(pruning_under_writes),
	};

	return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
