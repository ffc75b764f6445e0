/* power_fixture.h - a logged store on a simulated disk, and the model that it is compared with.
 *
 * The commit at time t writes the hot document, which every commit writes, and one of its own; so
 * the model is the time of the last commit that is there.  Log and SQLite lie on the same disk.
 *
 * Thread: the test's.  Memory: static.
 */
#ifndef TEST_POWER_FIXTURE_H
#define TEST_POWER_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_fixture.h"

#include "base/log.h"
#include "disk/simdisk.h"
#include "disk/simvfs.h"
#include "store/logged_int.h"

enum { BATCH_MAX = 6, KEYS = 2, OWN_MAX = 2000 };

static char            dir[64];
static char            path[128];
static struct simdisk *sim;
static uint64_t        random_state;

static inline uint32_t
draw(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % n;
}

/* Only the lock file lies on the real disk. */
static inline int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/fresnel-power-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static inline int
drop_dir(void **state)
{
	char lock[160];

	(void)state;
	snprintf(lock, sizeof lock, "%s.lock", path);
	unlink(lock);
	return rmdir(dir);
}

static inline status
open_store(struct store *ret, struct err *e)
{
	const struct logged_opts opts = { .segment_bytes = 64 << 10,
		.backlog_bytes = 1 << 20,
		.checkpoint_frames = 40,
		.disk = simdisk_table(sim),
		.by_hand = true };

	return store_open_logged_with(path, &opts, ret, e);
}

/* --- what is written --- */

struct txn {
	struct store_commit      c;
	struct store_doc_write   docs[2];
	struct store_index_write keys[1 + KEYS];
	char                     names[KEYS][24];
};

/* The text of the commit's own document: mostly short, sometimes of several pages. */
static inline str
own_body(ts_t ts, char room[OWN_MAX * 8])
{
	size_t n = ts % 37 == 0 ? OWN_MAX * 8 : ts % 5 == 0 ? OWN_MAX : 30;

	for (size_t i = 0; i < n; i++)
		room[i] = (char)('a' + (ts * 31 + i) % 26);
	return str_of(room, n);
}

static inline void
txn_init(struct txn *t, ts_t ts)
{
	static char room[OWN_MAX * 8];
	char        hot[24];

	snprintf(hot, sizeof hot, "%d", (int)ts);
	t->docs[0] = doc_write(0, doc_make(0, str_z(hot)), ts - 1);
	t->docs[1] = doc_write((uint32_t)ts, doc_make((uint32_t)ts, own_body(ts, room)), 0);
	t->keys[0] = key_write(1, S("hot"), false, 0);
	for (size_t i = 0; i < KEYS; i++) {
		snprintf(t->names[i], sizeof t->names[i], "%d/%08d", (int)i, (int)ts);
		t->keys[1 + i] = key_write(2, str_z(t->names[i]), false, (uint32_t)ts);
	}
	t->c = (struct store_commit){
		.ts = ts, .ndocs = 2, .docs = t->docs, .nkeys = 1 + KEYS, .keys = t->keys
	};
}

static inline void
txn_clear(struct txn *t)
{
	doc_unref(t->docs[0].doc);
	doc_unref(t->docs[1].doc);
}

/* What is known: everything up to `acked` is there; what is above it, up to `tried`, is one batch
 * that may be there. */
struct model {
	ts_t acked, tried;
	ts_t pruned; /* tried: history of the hot document up to there */
};

static inline status
write_batch(struct store *s, struct model *m)
{
	struct txn                 txns[BATCH_MAX];
	const struct store_commit *list[BATCH_MAX];
	char                       json[32];
	struct store_global        g = { S("last"), { json, 0 } };
	size_t                     n = 1 + draw(BATCH_MAX);
	status                     st;

	for (size_t i = 0; i < n; i++) {
		txn_init(&txns[i], m->acked + 1 + i);
		list[i] = &txns[i].c;
	}
	m->tried = m->acked + n;
	g.json.n = (size_t)snprintf(json, sizeof json, "%d", (int)m->tried);
	st = store_write(s,
	    &(struct store_batch){ .ncommits = n, .commits = list, .nglobals = 1, .globals = &g },
	    NULL);
	for (size_t i = 0; i < n; i++)
		txn_clear(&txns[i]);
	if (st == ST_OK)
		m->acked = m->tried;
	return st;
}

/* Erases the older revisions of the hot document. */
static inline status
prune(struct store *s, struct model *m)
{
	ts_t                  settled = s->v->settled_ts(s->self), upto;
	char                  json[32];
	struct store_global   g = { S("pruned"), { json, 0 } };
	struct store_dead_key key = { index_uid(1), S("hot"), 0 };
	struct store_dead_doc doc = { tablet_uid(), doc_uid(0), 0 };
	struct store_prune    p = { 1, &key, 1, &doc, 1, &g };

	if (settled < m->pruned + 2)
		return ST_OK;
	upto = m->pruned + draw((uint32_t)(settled - m->pruned - 1));
	key.upto = doc.upto = upto;
	g.json.n = (size_t)snprintf(json, sizeof json, "%d", (int)upto);
	m->pruned = upto;
	return s->v->prune(s->self, &p, NULL);
}

/* --- what must be there --- */

struct log_check {
	ts_t   last, pruned;
	size_t rows;
	bool   hot_seen;
};

static inline bool
check_log_row(void *arg, const struct store_log_row *row)
{
	struct log_check *c = arg;
	static char       room[OWN_MAX * 8];
	char              hot[24];

	c->rows++;
	CHECK(row->doc != NULL);
	if (uid_eq(row->id, doc_uid(0))) {
		CHECK(row->ts == c->last + 1 && !c->hot_seen && row->ts > c->pruned);
		c->hot_seen = true;
		CHECK_EQ(row->prev_ts, row->ts - 1);
		snprintf(hot, sizeof hot, "%d", (int)row->ts);
		CHECK_STRZ(doc_body(row->doc), hot);
	} else {
		c->last++;
		CHECK_EQ(row->ts, c->last);
		CHECK(c->hot_seen || row->ts <= c->pruned);
		c->hot_seen = false;
		CHECK(uid_eq(row->id, doc_uid((uint32_t)row->ts)));
		CHECK_STR(doc_body(row->doc), own_body(row->ts, room));
	}
	doc_unref(row->doc);
	return true;
}

static inline ts_t
global_number(struct store *s, str name)
{
	struct buf b;
	uint64_t   n = 0;

	buf_init(&b, 64);
	if (s->v->global(s->self, name, &b, NULL) == ST_OK)
		CHECK(str_to_u64(buf_str(&b), &n));
	buf_clear(&b);
	return n;
}

static inline void
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

/* Compares, and makes what is there what is acknowledged. */
static inline void
check_store(struct store *s, struct model *m)
{
	struct log_check c = { .pruned = global_number(s, S("pruned")) };
	ts_t             max;

	/* Pruning need not be durable, but is all or nothing. */
	CHECK(c.pruned <= m->pruned);
	CHECK_EQ(s->v->log(s->self, 0, TS_MAX, SIZE_MAX, check_log_row, &c, NULL), ST_OK);
	CHECK(!c.hot_seen);
	if (c.last != m->acked && c.last != m->tried)
		print_error("acknowledged %d, tried %d, found %d\n", (int)m->acked, (int)m->tried,
		    (int)c.last);
	CHECK(c.last == m->acked || c.last == m->tried);
	CHECK_EQ(global_number(s, S("last")), c.last);
	CHECK_EQ(s->v->max_ts(s->self, &max, NULL), ST_OK);
	CHECK_EQ(max, c.last);
	check_keys(s, c.last);
	m->acked = m->tried = c.last;
	m->pruned = c.pruned;
}

#endif
