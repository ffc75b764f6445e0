/* store_each.h - the stores that one conformance suite runs against, and readable questions.
 *
 * The memory store, SQLite without and with the commit log in front of it, each in a directory of
 * its own, and with the log while nothing of it gets into SQLite.
 *
 * Thread: the test's.  Memory: the fixture's.
 */
#ifndef TEST_STORE_EACH_H
#define TEST_STORE_EACH_H

#include <stdlib.h>
#include <unistd.h>

#include "store_fixture.h"

#include "runtime/thread.h"
#include "store/logged_int.h"

struct fixture {
	struct store s;
	struct buf   out;
	char         dir[64];
};

static inline struct fixture *
fixture_new(void)
{
	struct fixture *f = MEM_NEW(struct fixture);

	buf_init(&f->out, BUF_MAX_DEFAULT);
	return f;
}

static inline int
open_memory(void **state)
{
	struct fixture *f = *state = fixture_new();

	store_open_memory(&f->s);
	return 0;
}

static inline struct fixture *
fixture_in_dir(char path[128])
{
	struct fixture *f = fixture_new();

	snprintf(f->dir, sizeof f->dir, "/tmp/fresnel-store-XXXXXX");
	must(mkdtemp(f->dir));
	snprintf(path, 128, "%s/db", f->dir);
	return f;
}

static inline int
open_sqlite(void **state)
{
	char            path[128];
	struct fixture *f = *state = fixture_in_dir(path);

	return store_open_sqlite_plain(path, &f->s, NULL) == ST_OK ? 0 : -1;
}

/* The applier works as soon as there is something. */
static inline int
open_logged(void **state)
{
	const struct logged_opts opts = { .segment_bytes = 1 << 20, .checkpoint_frames = 100 };
	char                     path[128];
	struct fixture          *f = *state = fixture_in_dir(path);

	return store_open_logged_with(path, &opts, &f->s, NULL) == ST_OK ? 0 : -1;
}

/* The applier does nothing. */
static inline int
open_paused(void **state)
{
	const struct logged_opts opts = {
		.segment_bytes = 1 << 20, .backlog_bytes = 1 << 30, .paused = true
	};
	char            path[128];
	struct fixture *f = *state = fixture_in_dir(path);

	return store_open_logged_with(path, &opts, &f->s, NULL) == ST_OK ? 0 : -1;
}

static inline int
close_store(void **state)
{
	static const char *const files[] = { "db", "db.lock", "db-wal", "db-shm" };
	struct fixture          *f = *state;
	char                     path[128];

	store_close(&f->s);
	for (size_t i = 0; i < COUNT_OF(files) && f->dir[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	if (f->dir[0])
		rmdir(f->dir);
	buf_clear(&f->out);
	mem_free(f);
	return 0;
}

static inline void
check_scan(struct fixture *f, const struct store_scan *q, const char *want)
{
	CHECK_STRZ(scan_text(&f->s, q, &f->out), want);
}

struct log_reader {
	struct buf out;
	size_t     stop_after;
};

static inline bool
take_log_row(void *arg, const struct store_log_row *row)
{
	struct log_reader *r = arg;

	buf_fmt(&r->out, "%d:%d", (int)row->ts, row->id.b[15]);
	if (row->prev_ts)
		buf_fmt(&r->out, "<%d", (int)row->prev_ts);
	if (row->doc) {
		CHECK_EQ(row->doc->ts, row->ts);
		CHECK_EQ(row->doc->id.table, TABLE_NUMBER);
		CHECK(uid_eq(row->doc->id.uid, row->id));
		CHECK(uid_eq(row->doc->tablet, row->tablet));
		buf_addz(&r->out, "=");
		buf_add(&r->out, doc_body(row->doc));
	}
	buf_addz(&r->out, " ");
	doc_unref(row->doc);
	return --r->stop_after > 0;
}

static inline void
check_log(struct fixture *f, ts_t from, ts_t to, size_t limit, size_t stop_after, const char *want)
{
	struct log_reader r = { .stop_after = stop_after };

	buf_init(&r.out, BUF_MAX_DEFAULT);
	CHECK_EQ(f->s.v->log(f->s.self, from, to, limit, take_log_row, &r, NULL), ST_OK);
	CHECK_STRZ(buf_str(&r.out), want);
	buf_clear(&r.out);
}

static inline str
global(struct fixture *f, str key)
{
	status st;

	buf_reset(&f->out);
	st = f->s.v->global(f->s.self, key, &f->out, NULL);
	return st == ST_OK ? buf_str(&f->out) : str_z(status_name(st));
}

enum { ACCOUNTS = 8 };

static inline void
write_balances(struct store *s, ts_t ts, const int *who, const int *balance, size_t n)
{
	struct doc              *docs[ACCOUNTS];
	struct store_doc_write   dw[ACCOUNTS];
	struct store_index_write kw[ACCOUNTS];
	char                     key[ACCOUNTS], body[32];

	for (size_t i = 0; i < n; i++) {
		uint32_t id = (uint32_t)who[i];

		snprintf(body, sizeof body, "%d", balance[id]);
		key[i] = (char)('a' + id);
		docs[i] = doc_make(id, str_z(body));
		dw[i] = doc_write(id, docs[i], 0);
		kw[i] = key_write(1, str_of(&key[i], 1), false, id);
	}
	CHECK_EQ(write_one(s, &(struct store_commit){ .ts = ts, .ndocs = n, .docs = dw, .nkeys = n,
			      .keys = kw }, NULL), ST_OK);
	for (size_t i = 0; i < n; i++)
		doc_unref(docs[i]);
}

#define EACH(f)                                                               \
	{ "logged: " #f, f, open_logged, close_store, NULL },                 \
	{ "paused: " #f, f, open_paused, close_store, NULL },                 \
	{ "sqlite: " #f, f, open_sqlite, close_store, NULL },                 \
	{ "memory: " #f, f, open_memory, close_store, NULL }

#endif
