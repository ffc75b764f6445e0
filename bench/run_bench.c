/* run_bench.c - what one run of a function costs, transaction and heap reset included.
 *
 *     run_bench               an empty query, a transfer, a cold function: medians in microseconds
 *     run_bench read BUNDLE   a query that reads a thousand documents (bench/read.mjs), and what
 *                             ten thousand runs leave in memory
 *
 * Thread: one.  Memory: a database in memory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "isolate/isolate.h"
#include "os/file.h"
#include "value/vjson.h"

#define RUNS      20000
#define COLD_RUNS 300

static const char source[] =
    "const reg = (kind, f) => Object.assign(f, { ['is' + kind]: true, isPublic: true, _handler: f "
    "});\n"
    "export const empty = reg('Query', async () => null);\n"
    "export const insert = reg('Mutation', async (ctx) => ctx.db.insert('accounts', { balance: 100 "
    "}));\n"
    "export const transfer = reg('Mutation', async (ctx, { from, to }) => {\n"
    "  const a = await ctx.db.get(from), b = await ctx.db.get(to);\n"
    "  await ctx.db.patch(from, { balance: a.balance - 1 });\n"
    "  await ctx.db.patch(to, { balance: b.balance + 1 });\n"
    "  return null;\n"
    "});\n";

struct bench {
	struct db        *db;
	struct isolate   *iso;
	struct arena     *arena;
	struct run_result res;
};

static void
check(status st, const struct err *e)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "%.*s\n", STR_ARG(e->text));
	exit(1);
}

static struct txn *
begin(struct bench *b, bool writable)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(b->db), .writable = writable,
	    .writer = S("bench") });
}

static void
commit(struct bench *b, struct txn *t)
{
	struct pending_batch *batch;
	struct conflict       c;
	struct err            e = err_in(NULL);
	ts_t                  ts;

	check(txn_commit(t, &ts, &c, &e), &e);
	if (db_pending_commits(b->db) > 1000 && (batch = db_take_batch(b->db, 100000)) != NULL)
		check(db_write_batch(b->db, batch, &e), &e);
	txn_free(t);
}

static void
insert_row(struct bench *b, str table, str json)
{
	struct txn  *t = begin(b, true);
	struct err   e = err_in(NULL);
	struct docid id;
	struct val   v;

	check(vjson_parse(txn_arena(t), json, VJSON_PLAIN, &v, &e), &e);
	check(txn_sys_insert(t, table, v, &id, &e), &e);
	commit(b, t);
}

static void
push(struct bench *b, str text)
{
	struct buf row;

	buf_init(&row, BUF_MAX_DEFAULT);
	buf_addz(&row, "{\"sha256\":\"x\",\"source\":");
	json_write_str(&row, text);
	buf_add_byte(&row, '}');
	insert_row(b, S("_module_sources"), buf_str(&row));
	buf_clear(&row);
	insert_row(b, S("_modules"),
	    S("{\"path\":\"m.js\",\"environment\":\"isolate\",\"sha256\":\"x\"}"));
}

static uint64_t
run(struct bench *b, enum udf_kind kind, const char *function, str args)
{
	struct run_host    host = { 0 };
	struct run_request q = { .kind = kind, .module = S("m.js"), .function = str_z(function),
		.host = &host, .identity = { NULL, 0 }, .request_id = S("0123456789abcdef"),
		.journal = { NULL, 0 }, .now_ns = 1700000000000000000ULL };
	struct err         e = err_in(b->arena);
	uint64_t           start = os_mono_ns(os_real());

	arena_reset(b->arena);
	q.arena = b->arena;
	check(vjson_parse(b->arena, args, VJSON_PLAIN, &q.args, &e), &e);
	q.txn = begin(b, kind == UDF_MUTATION);
	loglines_init(&b->res.logs, b->arena);
	check(isolate_run(b->iso, &q, &b->res, &e), &e);
	if (!b->res.ok) {
		fprintf(stderr, "%.*s\n", STR_ARG(b->res.error));
		exit(1);
	}
	if (kind == UDF_MUTATION)
		commit(b, q.txn);
	else
		txn_free(q.txn);
	loglines_clear(&b->res.logs);
	return os_mono_ns(os_real()) - start;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
measure(struct bench *b, enum udf_kind kind, const char *function, str args)
{
	uint64_t *ns = mem_alloc(RUNS * sizeof *ns);

	for (size_t i = 0; i < RUNS; i++)
		ns[i] = run(b, kind, function, args);
	qsort(ns, RUNS, sizeof *ns, compare);
	printf("%-10s median %6.1f us   p99 %6.1f us\n", function, (double)ns[RUNS / 2] / 1e3,
	    (double)ns[RUNS / 100 * 99] / 1e3);
	mem_free(ns);
}

/* The first call of a function: its module is evaluated, from bytecode that is at hand; with a
 * prelude that is evaluated too, and with one that was made ready before. */
static void
measure_cold(struct bench *b, bool prepared)
{
	struct isolate *warm = b->iso;
	uint64_t       *ns = mem_alloc(COLD_RUNS * sizeof *ns);
	uint64_t       *ready = mem_alloc(COLD_RUNS * sizeof *ready);

	for (size_t i = 0; i < COLD_RUNS; i++) {
		b->iso = isolate_new(&(struct isolate_opts){ .os = os_real() });
		ready[i] = os_mono_ns(os_real());
		if (prepared)
			isolate_prepare(b->iso);
		ready[i] = os_mono_ns(os_real()) - ready[i];
		ns[i] = run(b, UDF_QUERY, "empty", S("[{}]"));
		isolate_free(b->iso);
	}
	b->iso = warm;
	qsort(ns, COLD_RUNS, sizeof *ns, compare);
	qsort(ready, COLD_RUNS, sizeof *ready, compare);
	printf("%-10s median %6.1f us   p99 %6.1f us   (made ready in %.1f us)\n",
	    prepared ? "prepared" : "cold", (double)ns[COLD_RUNS / 2] / 1e3,
	    (double)ns[COLD_RUNS / 100 * 99] / 1e3, (double)ready[COLD_RUNS / 2] / 1e3);
	mem_free(ns);
	mem_free(ready);
}

static str
new_account(struct bench *b, struct arena *a)
{
	run(b, UDF_MUTATION, "insert", S("[{}]"));
	return arena_str(a, val_str(b->res.value));
}

/* --- reading a thousand documents --- */

#define READ_RUNS 400
#define KEPT_RUNS 10000
#define READ_DOCS 1000

static void
insert_items(struct bench *b)
{
	struct txn  *t = begin(b, true);
	struct err   e = err_in(NULL);
	struct docid id;
	struct val   v;

	for (int i = 0; i < READ_DOCS; i++) {
		str json = arena_fmt(txn_arena(t),
		    "{\"n\":%d,\"name\":\"item number %d of the list\",\"even\":%s,"
		    "\"tags\":[\"a\",\"b\",\"c\"],\"at\":{\"x\":%d.5,\"y\":null}}",
		    i, i, i % 2 ? "false" : "true", i);

		check(vjson_parse(txn_arena(t), json, VJSON_PLAIN, &v, &e), &e);
		check(txn_insert(t, S("items"), v, &id, &e), &e);
	}
	commit(b, t);
}

static long
rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long  pages = 0;

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(f);
	return pages * 4;
}

/* With the text of the result, which the other side makes as well. */
static uint64_t
run_read(struct bench *b)
{
	uint64_t   start = os_mono_ns(os_real());
	struct buf json;

	run(b, UDF_QUERY, "read", S("[{}]"));
	buf_init(&json, BUF_MAX_DEFAULT);
	vjson_write(&json, b->res.value, VJSON_ENCODED);
	buf_clear(&json);
	return os_mono_ns(os_real()) - start;
}

static void
measure_read(struct bench *b)
{
	uint64_t *ns = mem_alloc(READ_RUNS * sizeof *ns);
	long      before;

	insert_items(b);
	for (size_t i = 0; i < READ_RUNS; i++)
		ns[i] = run_read(b);
	qsort(ns, READ_RUNS, sizeof *ns, compare);
	before = rss_kib();
	for (size_t i = 0; i < KEPT_RUNS; i++)
		run(b, UDF_QUERY, "read", S("[{}]"));
	printf("read       median %6.1f us   memory after %d more runs: %+ld KiB\n",
	    (double)ns[READ_RUNS / 2] / 1e3, KEPT_RUNS, rss_kib() - before);
	mem_free(ns);
}

static void
push_file(struct bench *b, const char *path)
{
	struct err e = err_in(b->arena);
	struct buf text;

	buf_init(&text, BUF_MAX_DEFAULT);
	check(file_read(path, &text, &e), &e);
	push(b, buf_str(&text));
	buf_clear(&text);
}

int
main(int argc, char **argv)
{
	struct db_opts o = { .os = os_real(), .instance_name = S("bench") };
	struct bench   b = { .arena = arena_new() };
	struct arena  *keep = arena_new();
	struct err     e = err_in(keep);
	str            from, to;

	store_open_memory(&o.store);
	check(db_open(&o, &b.db, &e), &e);
	b.iso = isolate_new(&(struct isolate_opts){ .os = os_real() });
	if (argc == 3) {
		push_file(&b, argv[2]);
		measure_read(&b);
		return 0;
	}
	push(&b, str_z(source));
	from = new_account(&b, keep);
	to = new_account(&b, keep);
	measure(&b, UDF_QUERY, "empty", S("[{}]"));
	measure(&b, UDF_MUTATION, "transfer",
	    arena_fmt(keep, "[{\"from\":\"%.*s\",\"to\":\"%.*s\"}]", STR_ARG(from), STR_ARG(to)));
	measure_cold(&b, false);
	measure_cold(&b, true);
	isolate_free(b.iso);
	arena_free(b.arena);
	arena_free(keep);
	return 0;
}
