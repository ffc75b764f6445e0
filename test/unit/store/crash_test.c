/* crash_test.c - what is left of a store on disk whose process is killed, with the commit log and
 * without it.
 *
 * A child process writes batches as fast as it can and reports each acknowledged timestamp
 * through a pipe; the parent kills it at a random moment, opens what is left and compares.
 * 03 checklist 36: a crash after the acknowledgement loses nothing; a crash before it leaves
 * all or nothing of a transaction.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

#include "os/os.h"
#include "store/logged_int.h"

enum { ROUNDS = 12, BATCH_MAX = 8, KEYS = 3 };

static char dir[64];
static char path[128];
static bool with_log;

/* Small segments and few pages between checkpoints, so that a kill meets every step. */
static status
open_store(struct store *ret)
{
	const struct logged_opts opts = {
		.segment_bytes = 64 << 10, .backlog_bytes = 1 << 20, .checkpoint_frames = 64
	};

	return with_log ? store_open_logged_with(path, &opts, ret, NULL)
			: store_open_sqlite_plain(path, ret, NULL);
}

static int
make_dir(void **state)
{
	with_log = *state != NULL;
	snprintf(dir, sizeof dir, "/tmp/fresnel-crash-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	static const char *const ends[] = { "", ".lock", "-wal", "-shm" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	commitlog_delete(disk_real(), path);
	return rmdir(dir);
}

/* The commit at ts: the hot document 0 at its one key, and a document of its own at KEYS keys. */
struct txn {
	struct store_commit      c;
	struct store_doc_write   docs[2];
	struct store_index_write keys[1 + KEYS];
	char                     names[KEYS][24];
};

static void
txn_init(struct txn *t, ts_t ts)
{
	char body[24];

	snprintf(body, sizeof body, "%d", (int)ts);
	t->docs[0] = doc_write(0, doc_make(0, str_z(body)), ts - 1);
	t->docs[1] = doc_write((uint32_t)ts, doc_make((uint32_t)ts, str_z(body)), 0);
	t->keys[0] = key_write(1, S("hot"), false, 0);
	for (size_t i = 0; i < KEYS; i++) {
		snprintf(t->names[i], sizeof t->names[i], "%d/%08d", (int)i, (int)ts);
		t->keys[1 + i] = key_write(2, str_z(t->names[i]), false, (uint32_t)ts);
	}
	t->c = (struct store_commit){
		.ts = ts, .ndocs = 2, .docs = t->docs, .nkeys = 1 + KEYS, .keys = t->keys
	};
}

static void
txn_clear(struct txn *t)
{
	doc_unref(t->docs[0].doc);
	doc_unref(t->docs[1].doc);
}

/* The child: never returns, never says a timestamp before it is durable. */
static void
write_until_killed(int out, ts_t next, uint32_t seed)
{
	struct store s;

	if (open_store(&s) != ST_OK)
		_exit(1);
	for (;;) {
		static struct txn          txns[BATCH_MAX];
		const struct store_commit *list[BATCH_MAX];
		char                       json[32];
		struct store_global        g = { S("last"), { json, 0 } };
		size_t                     n;

		seed = seed * 1664525u + 1013904223u;
		n = 1 + (seed >> 16) % BATCH_MAX;
		for (size_t i = 0; i < n; i++) {
			txn_init(&txns[i], next++);
			list[i] = &txns[i].c;
		}
		g.json.n = (size_t)snprintf(json, sizeof json, "%d", (int)next - 1);
		if (store_write(&s,
			&(struct store_batch){
			    .ncommits = n, .commits = list, .nglobals = 1, .globals = &g },
			NULL) != ST_OK)
			_exit(2);
		for (size_t i = 0; i < n; i++)
			txn_clear(&txns[i]);
		next--;
		if (write(out, &next, sizeof next) != sizeof next)
			_exit(3);
		next++;
	}
}

/* One life of the child; returns the last timestamp that it acknowledged, or `last`. */
static ts_t
live_and_die(ts_t last, uint32_t seed)
{
	int   ends[2], wstatus;
	pid_t pid;
	ts_t  acked;

	CHECK_EQ(pipe(ends), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		write_until_killed(ends[1], last + 1, seed);
	}
	close(ends[1]);
	if (seed % 4 == 0) {
		usleep(seed % 5000); /* somewhere in opening the store */
	} else {
		CHECK_EQ(read(ends[0], &last, sizeof last), sizeof last);
		usleep(seed % 200000);
	}
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &wstatus, 0), pid);
	CHECK(WIFSIGNALED(wstatus) && WTERMSIG(wstatus) == SIGKILL);
	while (read(ends[0], &acked, sizeof acked) == sizeof acked)
		last = acked;
	close(ends[0]);
	return last;
}

struct log_check {
	ts_t   last;
	size_t rows;
};

/* Two revisions for each timestamp: the hot document, then the commit's own. */
static bool
check_log_row(void *arg, const struct store_log_row *row)
{
	struct log_check *c = arg;
	char              body[24];
	bool              hot = c->rows++ % 2 == 0;

	c->last += hot;
	snprintf(body, sizeof body, "%d", (int)c->last);
	CHECK_EQ(row->ts, c->last);
	CHECK(uid_eq(row->id, doc_uid(hot ? 0 : (uint32_t)c->last)));
	CHECK_EQ(row->prev_ts, hot ? c->last - 1 : 0);
	CHECK(row->doc);
	CHECK_STRZ(doc_body(row->doc), body);
	doc_unref(row->doc);
	return true;
}

static void
check_keys(struct store *s, ts_t last)
{
	struct store_scan hot = scan_of(1, TS_MAX, S(""), S("")),
			  own = scan_of(2, TS_MAX, S(""), S(""));
	struct store_rows rows;
	char              want[24];

	store_rows_init(&rows);
	CHECK_EQ(store_scan(s, &hot, &rows, NULL), ST_OK);
	CHECK_EQ(rows.rows.n, last > 0);
	snprintf(want, sizeof want, "%d", (int)last);
	if (last > 0)
		CHECK_STRZ(doc_body(rows.rows.v[0].doc), want);
	store_rows_clear(&rows);

	CHECK_EQ(store_scan(s, &own, &rows, NULL), ST_OK);
	CHECK_EQ(rows.rows.n, KEYS * last);
	for (size_t i = 0; i < rows.rows.n; i++) {
		snprintf(want, sizeof want, "%d/%08d", (int)(i / last), (int)(i % last) + 1);
		CHECK_STRZ(rows.rows.v[i].key, want);
	}
	store_rows_clear(&rows);
}

/* Opens what the child left; returns the last timestamp in it. */
static ts_t
check_remains(ts_t acked)
{
	struct store     s;
	struct log_check c = { 0, 0 };
	struct buf       global;
	uint64_t         last = 0;

	CHECK_EQ(open_store(&s), ST_OK);
	CHECK_EQ(s.v->log(s.self, 0, TS_MAX, SIZE_MAX, check_log_row, &c, NULL), ST_OK);
	CHECK_EQ(c.rows, 2 * c.last);
	CHECK(c.last >= acked);
	CHECK(c.last <= acked + BATCH_MAX); /* one batch at most was under way */
	check_keys(&s, c.last);

	/* The batch's global is there exactly with its last commit. */
	buf_init(&global, 64);
	if (s.v->global(s.self, S("last"), &global, NULL) == ST_OK)
		CHECK(str_to_u64(buf_str(&global), &last));
	CHECK_EQ(last, c.last);
	buf_clear(&global);
	/* Half of the time the next life finds the log as a dead process leaves it. */
	if (with_log && c.last % 2)
		logged_abandon(&s);
	else
		store_close(&s);
	return c.last;
}

TEST(kill_at_any_moment)
{
	ts_t     last = 0;
	uint64_t random;

	for (int round = 0; round < ROUNDS; round++) {
		ts_t acked;

		os_random(os_real(), &random, sizeof random);
		acked = live_and_die(last, (uint32_t)random);
		last = check_remains(acked);
		print_message(
		    "  round %d: acknowledged %d, found %d\n", round, (int)acked, (int)last);
	}
	CHECK(last > ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "sqlite", kill_at_any_moment, make_dir, drop_dir, NULL },
		{ "logged", kill_at_any_moment, make_dir, drop_dir, dir },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
