/* bench_data.c - what reading resident documents costs, and what keeping them costs.
 *
 *     bench_data [--docs 100000,1000000] [--rounds 7] [--only reads|memory]
 *
 * Reads: a point read inside a query (txn_get() of an id's text, as ctx.db.get() does: decode,
 * find the table, record the read, look it up) and an index scan of 1,000 rows (query_open() to
 * query_close()), beside a prepared SELECT of SQLite's C API on the same documents under the
 * same keys, all of it in SQLite's own cache.  The sides take turns in each round, draw the
 * same keys and touch every cache line of what they found; times are the thread's CPU time,
 * since nothing here waits.  Two transactions: a thousand reads in one, and one around each.
 *
 * Memory: what the process grows by for each document that the tree keeps, over its packed
 * bytes and the bytes of its index keys.
 *
 * Thread: one.  Memory: each case runs in a process of its own, whose store forgets what is
 *         written to it, so that documents live in the tree alone.
 */
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "database/catalog.h"
#include "database/ddl.h"
#include "database/query.h"
#include "os/os.h"
#include "value/vjson.h"

#define ROUNDS_MAX 64
#define READS      100000 /* point reads of one side in one round */
#define PER_TXN    1000
#define SCAN_ROWS  1000
#define SCANS      100
#define SEED_ROWS  2000 /* in one transaction */

struct bench {
	struct db          *db;
	struct store_vtable store; /* the memory store's, but for write() */
	struct store        kept;
	struct arena       *arena;
	struct err          err;
	size_t              ndocs, bytes, nrounds;
	char              (*ids)[ID_TEXT_MAX];
	struct docid       *docids;
	uint32_t           *numbers; /* of the field n, by document */
	uint64_t            packed_bytes, key_bytes;
	sqlite3            *sql;
	sqlite3_stmt       *get, *range, *begin, *commit;
	char                dir[64];
	uint64_t            dice, found, touched;
};

struct round {
	double ours[ROUNDS_MAX], theirs[ROUNDS_MAX]; /* ns per operation */
};

static void
check(struct bench *b, status st)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "bench_data: %.*s\n", STR_ARG(b->err.text));
	exit(1);
}

static void
check_sql(struct bench *b, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return;
	fprintf(stderr, "bench_data: %s\n", sqlite3_errmsg(b->sql));
	exit(1);
}

/* xorshift64 (Marsaglia, 2003). */
static uint64_t
draw(struct bench *b)
{
	b->dice ^= b->dice << 13;
	b->dice ^= b->dice >> 7;
	b->dice ^= b->dice << 17;
	return b->dice;
}

/* What both sides do with a document that they found. */
static void
touch(struct bench *b, const void *p, size_t n)
{
	const uint8_t *at = p;

	b->found++;
	for (size_t i = 0; i < n; i += 64)
		b->touched += at[i];
}

/* --- the database --- */

static status
forget(void *self, const struct store_batch *batch, struct err *e)
{
	(void)self;
	(void)batch;
	(void)e;
	return ST_OK;
}

static void
pump(struct bench *b)
{
	struct pending_batch *batch;

	while ((batch = db_take_batch(b->db, 100000)) != NULL)
		check(b, db_write_batch(b->db, batch, &b->err));
}

static struct txn *
begin(struct bench *b, bool writable, bool system)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(b->db), .writable = writable,
	    .system = system, .writer = S("bench") });
}

static void
end(struct bench *b, struct txn *t)
{
	struct conflict c;
	ts_t            ts;

	check(b, txn_commit(t, &ts, &c, &b->err));
	txn_free(t);
	pump(b);
}

static void
push_schema(struct bench *b, const char *text)
{
	const struct schema *s;
	struct index_diff    diff;
	struct docid         id;
	struct json         *j;
	struct txn          *t = begin(b, true, true);
	str                  prev, next;
	bool                 more = true;

	check(b, json_parse(b->arena, str_z(text), &j, &b->err));
	check(b, schema_parse(b->arena, j, &s, &b->err));
	check(b, ddl_prepare_indexes(t, s, false, &diff, &b->err));
	check(b, ddl_submit_schema(t, s, &id, &b->err));
	end(b, t);
	while (more) {
		check(b, ddl_background_step(b->db, &more, &b->err));
		pump(b);
	}
	t = begin(b, true, true);
	check(b, ddl_activate_schema(t, &id, &prev, &next, &b->err));
	check(b, ddl_commit_indexes(t, s, &diff, &b->err));
	end(b, t);
}

/* {n: 123, body: "xxx..."} of about `bytes` packed bytes. */
static struct val
make_row(struct bench *b, struct pack *p, size_t n)
{
	static const size_t system_fields = 110; /* _id, _creationTime and the object's head */
	char                body[4096];
	size_t              len = b->bytes > system_fields ? b->bytes - system_fields : 1;
	struct val          v;

	len = len < sizeof body ? len : sizeof body;
	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + draw(b) % 26);
	pack_reset(p);
	pack_object(p);
	pack_key(p, S("n"));
	pack_float64(p, (double)n);
	pack_key(p, S("body"));
	pack_str(p, str_of(body, len));
	pack_end(p);
	check(b, pack_done(p, &v, &b->err));
	return v;
}

/* Unique and scattered: neighbours in the index are not neighbours in memory or on pages. */
static void
shuffle_numbers(struct bench *b)
{
	for (size_t i = 0; i < b->ndocs; i++) {
		size_t j = draw(b) % (i + 1);

		b->numbers[i] = b->numbers[j];
		b->numbers[j] = (uint32_t)i;
	}
}

static void
seed(struct bench *b)
{
	struct pack p;

	pack_init(&p);
	for (size_t i = 0; i < b->ndocs;) {
		struct txn *t = begin(b, true, false);

		for (size_t j = 0; j < SEED_ROWS && i < b->ndocs; j++, i++) {
			check(b, txn_insert(t, S("items"), make_row(b, &p, b->numbers[i]),
			             &b->docids[i], &b->err));
			id_format(b->docids[i], b->ids[i]);
		}
		end(b, t);
	}
	pack_clear(&p);
}

static uint64_t ours_scan(struct bench *b, size_t from, size_t rows);

static void
open_db(struct bench *b)
{
	/* The write log has a bound of its own: it must not count as memory of documents. */
	struct db_opts o = { .os = os_real(), .instance_name = S("bench"),
		.wlog_max_bytes = 1 << 18 };

	store_open_memory(&b->kept);
	b->store = *b->kept.v;
	o.store = (struct store){ &b->store, b->kept.self };
	check(b, db_open(&o, &b->db, &b->err));
	push_schema(b,
	    "{\"tables\":[{\"tableName\":\"items\",\"indexes\":[{\"indexDescriptor\":\"by_n\","
	    "\"fields\":[\"n\"]}],\"documentType\":{\"type\":\"any\"}}],"
	    "\"schemaValidation\":true}");
	ours_scan(b, 0, SCAN_ROWS); /* loads the empty index: what follows stays resident */
	b->store.write = forget;
}

/* --- SQLite --- */

static void
sql(struct bench *b, const char *text)
{
	check_sql(b, sqlite3_exec(b->sql, text, NULL, NULL, NULL));
}

static sqlite3_stmt *
prepare(struct bench *b, const char *text)
{
	sqlite3_stmt *s = NULL;

	check_sql(b, sqlite3_prepare_v3(b->sql, text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
	return s;
}

static void
run(struct bench *b, sqlite3_stmt *s)
{
	check_sql(b, sqlite3_step(s));
	sqlite3_reset(s);
}

/* The same documents, read from the one side and written to the other: in two tables, since
 * each SELECT is measured on the layout that serves it best. */
static void
copy_to_sqlite(struct bench *b)
{
	sqlite3_stmt *into[] = { prepare(b, "insert into by_id values(?, ?, ?)"),
		prepare(b, "insert into by_n values(?, ?, ?)") };
	struct buf    json;

	buf_init(&json, BUF_MAX_DEFAULT);
	sql(b, "begin");
	for (size_t i = 0; i < b->ndocs;) {
		struct txn *t = begin(b, false, false);

		for (size_t j = 0; j < PER_TXN && i < b->ndocs; j++, i++) {
			struct doc *d;

			check(b, txn_get(t, STR_EMPTY, str_z(b->ids[i]), false, &d, &b->err));
			buf_reset(&json);
			vjson_write(&json, doc_val(d), VJSON_ENCODED);
			for (int k = 0; k < 2; k++) {
				sqlite3_bind_text(into[k], 1, b->ids[i], -1, SQLITE_STATIC);
				sqlite3_bind_double(into[k], 2, (double)b->numbers[i]);
				sqlite3_bind_text(into[k], 3, json.p, (int)json.n, SQLITE_STATIC);
				run(b, into[k]);
			}
		}
		txn_free(t);
	}
	sql(b, "commit");
	sqlite3_finalize(into[0]);
	sqlite3_finalize(into[1]);
	buf_clear(&json);
}

static void
open_sqlite(struct bench *b)
{
	const char *tmp = getenv("TMPDIR");
	char        path[96];

	snprintf(b->dir, sizeof b->dir, "%.40s/bench_data.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(b->dir)) {
		perror(b->dir);
		exit(1);
	}
	snprintf(path, sizeof path, "%s/db", b->dir);
	check_sql(b, sqlite3_open(path, &b->sql));
	sql(b, "pragma journal_mode=wal; pragma synchronous=off; pragma cache_size=-4000000");
	sql(b, "create table by_id(id text primary key, n real, json text) without rowid");
	sql(b, "create table by_n(id text primary key, n real, json text)");
	sql(b, "create index n on by_n(n)");
	copy_to_sqlite(b);
	sql(b, "pragma wal_checkpoint(truncate); analyze");
	b->get = prepare(b, "select json from by_id where id=?");
	b->range = prepare(b, "select json from by_n where n>=? and n<? order by n");
	b->begin = prepare(b, "begin");
	b->commit = prepare(b, "commit");
}

static void
close_sqlite(struct bench *b)
{
	static const char *const names[] = { "db", "db-wal", "db-shm" };
	char                     path[96];

	sqlite3_finalize(b->get);
	sqlite3_finalize(b->range);
	sqlite3_finalize(b->begin);
	sqlite3_finalize(b->commit);
	sqlite3_close(b->sql);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	rmdir(b->dir);
}

/* --- the measured --- */

static uint64_t
ours_points(struct bench *b, size_t reads, size_t per_txn)
{
	uint64_t start = os_thread_cpu_ns();

	for (size_t i = 0; i < reads;) {
		struct txn *t = begin(b, false, false);

		for (size_t j = 0; j < per_txn && i < reads; j++, i++) {
			struct doc *d;

			check(b, txn_get(t, STR_EMPTY, str_z(b->ids[draw(b) % b->ndocs]), false,
			             &d, &b->err));
			if (d)
				touch(b, d->packed, d->bytes);
		}
		txn_free(t);
	}
	return os_thread_cpu_ns() - start;
}

static void
touch_column(struct bench *b, sqlite3_stmt *s)
{
	const void *p = sqlite3_column_blob(s, 0); /* unlike _text(), copies nothing */

	touch(b, p, (size_t)sqlite3_column_bytes(s, 0));
}

static uint64_t
their_points(struct bench *b, size_t reads, size_t per_txn)
{
	uint64_t start = os_thread_cpu_ns();

	for (size_t i = 0; i < reads;) {
		if (per_txn > 1)
			run(b, b->begin);
		for (size_t j = 0; j < per_txn && i < reads; j++, i++) {
			const char *id = b->ids[draw(b) % b->ndocs];

			sqlite3_bind_text(b->get, 1, id, (int)strlen(id), SQLITE_STATIC);
			if (sqlite3_step(b->get) == SQLITE_ROW)
				touch_column(b, b->get);
			sqlite3_reset(b->get);
		}
		if (per_txn > 1)
			run(b, b->commit);
	}
	return os_thread_cpu_ns() - start;
}

static uint64_t
ours_scan(struct bench *b, size_t from, size_t rows)
{
	uint64_t          start = os_thread_cpu_ns();
	struct txn       *t = begin(b, false, false);
	struct range_expr range[] = { { .op = RANGE_GTE, .field = S("n") },
		{ .op = RANGE_LT, .field = S("n") } };
	struct query_spec spec = { .source = QUERY_INDEX_RANGE, .table = S("items"),
		.index = S("by_n"), .nrange = 2, .range = range };
	struct query     *q;
	struct doc       *d;
	struct pack       lo, hi;

	pack_init(&lo);
	pack_init(&hi);
	pack_float64(&lo, (double)from);
	pack_float64(&hi, (double)(from + rows));
	check(b, pack_done(&lo, &range[0].value, &b->err));
	check(b, pack_done(&hi, &range[1].value, &b->err));
	check(b, query_open(t, &spec, &q, &b->err));
	for (;;) {
		check(b, query_next(q, &d, &b->err));
		if (!d)
			break;
		touch(b, d->packed, d->bytes);
	}
	query_close(q);
	txn_free(t);
	pack_clear(&lo);
	pack_clear(&hi);
	return os_thread_cpu_ns() - start;
}

static uint64_t
their_scan(struct bench *b, size_t from, size_t rows)
{
	uint64_t start = os_thread_cpu_ns();

	sqlite3_bind_double(b->range, 1, (double)from);
	sqlite3_bind_double(b->range, 2, (double)(from + rows));
	while (sqlite3_step(b->range) == SQLITE_ROW)
		touch_column(b, b->range);
	sqlite3_reset(b->range);
	return os_thread_cpu_ns() - start;
}

static uint64_t
scans(struct bench *b, uint64_t (*scan)(struct bench *, size_t, size_t), size_t n)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < n; i++)
		ns += scan(b, draw(b) % (b->ndocs - SCAN_ROWS), SCAN_ROWS);
	return ns;
}

/* --- reports --- */

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
report(const struct bench *b, const char *title, const struct round *r)
{
	double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
	size_t mid = b->nrounds / 2;

	for (size_t i = 0; i < b->nrounds; i++) {
		ours[i] = r->ours[i];
		theirs[i] = r->theirs[i];
		ratio[i] = r->theirs[i] / r->ours[i];
	}
	qsort(ours, b->nrounds, sizeof *ours, by_size);
	qsort(theirs, b->nrounds, sizeof *theirs, by_size);
	qsort(ratio, b->nrounds, sizeof *ratio, by_size);
	printf("  %9zu x %4zu B  %-36s %9.0f ns %9.0f ns   %5.2fx (%.2f to %.2f)\n", b->ndocs,
	    b->bytes, title, ours[mid], theirs[mid], ratio[mid], ratio[0],
	    ratio[b->nrounds - 1]);
	fflush(stdout);
}

/* Both sides find the same documents, or the comparison is of nothing. */
static void
expect_found(struct bench *b, uint64_t want)
{
	if (b->found == want)
		return;
	fprintf(stderr, "bench_data: found %llu documents instead of %llu\n",
	    (unsigned long long)b->found, (unsigned long long)want);
	exit(1);
}

static void
compare_points(struct bench *b, const char *title, size_t per_txn)
{
	struct round r;

	for (size_t i = 0; i < b->nrounds; i++) {
		uint64_t same = b->dice;

		b->found = 0;
		r.ours[i] = (double)ours_points(b, READS, per_txn) / READS;
		expect_found(b, READS);
		b->dice = same;
		r.theirs[i] = (double)their_points(b, READS, per_txn) / READS;
		expect_found(b, 2 * READS);
	}
	report(b, title, &r);
}

static void
compare_scans(struct bench *b)
{
	struct round r;

	for (size_t i = 0; i < b->nrounds; i++) {
		uint64_t same = b->dice;

		b->found = 0;
		r.ours[i] = (double)scans(b, ours_scan, SCANS) / SCANS;
		expect_found(b, (uint64_t)SCANS * SCAN_ROWS);
		b->dice = same;
		r.theirs[i] = (double)scans(b, their_scan, SCANS) / SCANS;
		expect_found(b, (uint64_t)2 * SCANS * SCAN_ROWS);
	}
	report(b, "index scan of 1,000 rows", &r);
}

/* Everything that is resident, read once so that neither side begins cold. */
static void
warm(struct bench *b)
{
	b->found = 0;
	for (size_t i = 0; i + SCAN_ROWS <= b->ndocs; i += SCAN_ROWS) {
		ours_scan(b, i, SCAN_ROWS);
		their_scan(b, i, SCAN_ROWS);
	}
	their_points(b, b->ndocs, PER_TXN);
}

static void
bench_init(struct bench *b, size_t docs, size_t bytes, size_t rounds)
{
	memset(b, 0, sizeof *b);
	b->arena = arena_new();
	b->err = err_in(b->arena);
	b->ndocs = docs;
	b->bytes = bytes;
	b->nrounds = rounds;
	b->dice = 88172645463325252u;
	b->ids = mem_zalloc(docs * sizeof *b->ids);
	b->docids = mem_zalloc(docs * sizeof *b->docids);
	b->numbers = mem_zalloc(docs * sizeof *b->numbers);
	shuffle_numbers(b);
}

static void
bench_clear(struct bench *b)
{
	db_close(b->db);
	mem_free(b->ids);
	mem_free(b->docids);
	mem_free(b->numbers);
	arena_free(b->arena);
}

static void
case_reads(size_t docs, size_t bytes, size_t rounds)
{
	struct bench b;

	bench_init(&b, docs, bytes, rounds);
	open_db(&b);
	seed(&b);
	open_sqlite(&b);
	warm(&b);
	compare_points(&b, "point read, 1,000 in a transaction", PER_TXN);
	compare_points(&b, "point read, a transaction each", 1);
	compare_scans(&b);
	close_sqlite(&b);
	bench_clear(&b);
}

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long  all = 0, resident = 0;

	if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2)
		exit(1);
	fclose(f);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Packed bytes and index keys of everything in the table. */
static void
count_bytes(struct bench *b)
{
	struct buf key;

	buf_init(&key, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < b->ndocs;) {
		struct txn *t = begin(b, false, false);

		for (size_t j = 0; j < PER_TXN && i < b->ndocs; j++, i++) {
			const struct table_info *info;
			struct doc              *d;

			check(b, txn_get(t, STR_EMPTY, str_z(b->ids[i]), false, &d, &b->err));
			b->packed_bytes += d->bytes;
			info = catalog_tablet(txn_catalog(t), d->tablet);
			for (size_t k = 0; k < info->nindexes; k++) {
				buf_reset(&key);
				index_key(&key, &info->indexes[k], doc_val(d));
				b->key_bytes += key.n;
			}
		}
		txn_free(t);
	}
	buf_clear(&key);
}

static void
case_memory(size_t docs, size_t bytes, size_t rounds)
{
	struct bench b;
	size_t       before, grown;
	double       payload;

	bench_init(&b, docs, bytes, rounds);
	open_db(&b);
	memset(b.ids, 1, docs * sizeof *b.ids); /* resident before the count begins */
	memset(b.docids, 1, docs * sizeof *b.docids);
	malloc_trim(0);
	before = resident_bytes();
	seed(&b);
	malloc_trim(0);
	grown = resident_bytes() - before;
	count_bytes(&b);
	payload = (double)(b.packed_bytes + b.key_bytes) / (double)docs;
	printf("  %9zu x %4zu B  packed %5.0f  keys of 3 indexes %4.0f   resident %6.0f B each   "
	       "%.2fx\n",
	    docs, bytes, (double)b.packed_bytes / (double)docs,
	    (double)b.key_bytes / (double)docs, (double)grown / (double)docs,
	    (double)grown / (double)docs / payload);
	bench_clear(&b);
}

static void
in_child(void (*fn)(size_t, size_t, size_t), size_t docs, size_t bytes, size_t rounds)
{
	pid_t pid;
	int   st = 0;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		fn(docs, bytes, rounds);
		exit(0);
	}
	if (waitpid(pid, &st, 0) != pid || st != 0)
		exit(1);
}

int
main(int argc, char **argv)
{
	size_t      docs[8] = { 100000, 1000000 }, ndocs = 2, rounds = 7;
	const char *only = "";

	for (int i = 1; i + 1 < argc; i += 2) {
		char *at = argv[i + 1];

		if (strcmp(argv[i], "--docs") == 0)
			for (ndocs = 0; *at && ndocs < 8; at += *at == ',')
				docs[ndocs++] = strtoul(at, &at, 10);
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = strtoul(at, NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			only = at;
	}
	rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
	if (!*only || strcmp(only, "reads") == 0) {
		printf("resident reads: ours, SQLite's, and how many times faster ours are\n");
		for (size_t i = 0; i < ndocs; i++)
			in_child(case_reads, docs[i], 500, rounds);
	}
	if (!*only || strcmp(only, "memory") == 0) {
		printf("memory of a resident document over its packed bytes and keys\n");
		for (size_t i = 0; i < ndocs; i++) {
			in_child(case_memory, docs[i], 100, 1);
			in_child(case_memory, docs[i], 500, 1);
		}
	}
	return 0;
}
