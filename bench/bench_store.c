/* bench_store.c - what the store's write path costs: with the commit log in front of SQLite, and
 * with SQLite alone.
 *
 *     bench_store [DIRECTORY [SECONDS]]
 *
 * A commit is a transfer: two of 100,000 accounts get new revisions, each with its entries in two
 * indexes.  One thread calls write() with groups of 1, 8 and 64 of them, as the server's store
 * thread does under load of so many clients.  The two stores take turns, one after the other in one
 * run; syncs are counted under both, the applier's included.
 *
 * Thread: main, and the store's own.  Memory: one batch.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/disk.h"
#include "os/os.h"
#include "store/logged_int.h"
#include "value/pack.h"

enum { ACCOUNTS = 100000, GROUP_MAX = 64, SAMPLES = 1 << 20 };

static _Atomic uint64_t syncs;

/* In the place of the library's, for SQLite too. */
int
fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

struct transfer {
	struct store_commit      c;
	struct store_doc_write   docs[2];
	struct store_index_write keys[4];
	uint8_t                  key_bytes[4][17];
};

struct bench {
	struct store    store;
	struct transfer group[GROUP_MAX];
	uint64_t        random;
	ts_t            ts;
	uint64_t       *took; /* ns of each write */
	size_t          n;
};

static void
check(status st, const struct err *e)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "%.*s\n", STR_ARG(e->text));
	exit(1);
}

static struct uid
uid_of(uint8_t kind, uint64_t n)
{
	struct uid u = { { kind } };

	n *= 0x9e3779b97f4a7c15ull; /* ids are random */
	memcpy(u.b + 1, &n, sizeof n);
	return u;
}

static struct doc *
account(struct pack *p, struct docid id, uint64_t balance)
{
	char       text[ID_TEXT_MAX];
	struct val v;

	pack_reset(p);
	p->trusted = true;
	pack_object(p);
	pack_key(p, S("_id"));
	pack_str(p, str_of(text, id_format(id, text)));
	pack_key(p, S("_creationTime"));
	pack_float64(p, 1700000000000.25);
	pack_key(p, S("owner"));
	pack_str(p, S("somebody with a name"));
	pack_key(p, S("balance"));
	pack_float64(p, (double)balance);
	pack_end(p);
	must(pack_done(p, &v, NULL) == ST_OK);
	return doc_new(uid_of('t', 1), id, 1700000000000.25, v);
}

/* One side of a transfer: a revision and its entries in by_id and by_creation_time. */
static void
write_account(struct bench *b, struct pack *p, struct transfer *t, size_t side)
{
	uint64_t     n = (b->random = b->random * 6364136223846793005ull + 1442695040888963407ull);
	struct docid id = { 10001, uid_of('d', (n >> 33) % (ACCOUNTS / 2) * 2 + side) };

	t->docs[side] = (struct store_doc_write){ uid_of('t', 1), id,
		account(p, id, n >> 50), b->ts - 1 };
	for (size_t i = 0; i < 2; i++) {
		uint8_t *key = t->key_bytes[2 * side + i];

		key[0] = 0x20;
		memcpy(key + 1, id.uid.b, sizeof id.uid.b);
		t->keys[2 * side + i] = (struct store_index_write){ uid_of('i', i),
			str_of((const char *)key, 17), false, uid_of('t', 1), id.uid };
	}
}

static void
write_group(struct bench *b, struct pack *p, size_t n)
{
	const struct store_commit *list[GROUP_MAX];
	struct err                 e = err_in(NULL);
	uint64_t                   begun;

	for (size_t i = 0; i < n; i++) {
		struct transfer *t = &b->group[i];

		b->ts++;
		write_account(b, p, t, 0);
		write_account(b, p, t, 1);
		t->c = (struct store_commit){
			.ts = b->ts, .ndocs = 2, .docs = t->docs, .nkeys = 4, .keys = t->keys
		};
		list[i] = &t->c;
	}
	begun = os_mono_ns(os_real());
	check(store_write(&b->store, &(struct store_batch){ .ncommits = n, .commits = list }, &e),
	    &e);
	if (b->took && b->n < SAMPLES)
		b->took[b->n++] = os_mono_ns(os_real()) - begun;
	for (size_t i = 0; i < n; i++)
		for (size_t side = 0; side < 2; side++)
			doc_unref(b->group[i].docs[side].doc);
}

static int
by_size(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static uint64_t
cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ull +
	    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ull;
}

/* Returns commits per second. */
static double
run(const char *path, bool logged, size_t group, double seconds)
{
	static struct bench b;
	struct pack         p;
	struct err          e = err_in(NULL);
	uint64_t            begun, cpu, synced, took;
	double              commits, rate;

	b = (struct bench){ .random = 1, .ts = 1, .took = mem_alloc(SAMPLES * sizeof *b.took) };
	pack_init(&p);
	check(logged ? store_open_sqlite(path, &b.store, &e)
		     : store_open_sqlite_plain(path, &b.store, &e), &e);
	usleep(100000); /* segments are made ahead */
	begun = os_mono_ns(os_real());
	cpu = cpu_ns();
	synced = syncs;
	do {
		write_group(&b, &p, group);
		took = os_mono_ns(os_real()) - begun;
	} while ((double)took < seconds * 1e9);
	commits = (double)(b.n * group);
	rate = commits / ((double)took / 1e9);
	qsort(b.took, b.n, sizeof *b.took, by_size);
	printf("%-7s group %2zu: %8.0f commits/s  %.3f syncs/commit  %5.1f us CPU/commit  "
	       "write p50 %6.2f ms  p99 %6.2f ms  max %7.2f ms\n",
	    logged ? "logged" : "sqlite", group, rate, (double)(syncs - synced) / commits,
	    (double)(cpu_ns() - cpu) / commits / 1e3, (double)b.took[b.n / 2] / 1e6,
	    (double)b.took[b.n * 99 / 100] / 1e6, (double)b.took[b.n - 1] / 1e6);
	fflush(stdout);
	store_close(&b.store);
	pack_clear(&p);
	mem_free(b.took);
	return rate;
}

/* What opening takes after a kill at the worst moment: the backlog is full. */
static void
recover(const char *path)
{
	static struct bench b;
	struct logged_opts  opts = { .backlog_bytes = (size_t)64 << 20, .paused = true };
	struct pack         p;
	struct err          e = err_in(NULL);
	size_t              bytes = 0;
	uint64_t            begun;

	b = (struct bench){ .random = 1, .ts = 1 };
	pack_init(&p);
	check(store_open_logged_with(path, &opts, &b.store, &e), &e);
	for (; bytes < (size_t)16 << 20; bytes = ((struct logged_store *)b.store.self)->backlog)
		write_group(&b, &p, 8);
	logged_abandon(&b.store);
	begun = os_mono_ns(os_real());
	check(store_open_sqlite(path, &b.store, &e), &e);
	printf("opening after a kill, %zu MiB of log behind, %llu commits: %.0f ms\n", bytes >> 20,
	    (unsigned long long)b.ts, (double)(os_mono_ns(os_real()) - begun) / 1e6);
	store_close(&b.store);
	pack_clear(&p);
}

static void
delete_database(const char *path)
{
	static const char *const ends[] = { "", ".lock", "-wal", "-shm" };
	char                     file[512];

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	commitlog_delete(disk_real(), path);
}

int
main(int argc, char **argv)
{
	static const size_t groups[] = { 1, 8, 64 };
	double              seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
	char                path[400];

	snprintf(path, sizeof path, "%s/bench_store.db", argc > 1 ? argv[1] : ".");
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		double rates[2];

		for (int logged = 0; logged < 2; logged++) {
			delete_database(path);
			rates[logged] = run(path, logged, groups[i], seconds);
		}
		printf("        group %2zu: logged / sqlite = %.2f\n", groups[i],
		    rates[1] / rates[0]);
	}
	delete_database(path);
	recover(path);
	delete_database(path);
	return 0;
}
