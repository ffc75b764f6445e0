/* core_fixture.h - a database over a memory store, without transactions.
 *
 * The table "things" has documents {n: Int64} with the ids thing_id(i) and an index by_n;
 * commits are put together by hand, so that the committer is tested alone.  Time is virtual:
 * the clock stands where the test puts it.  The store outlives the db, so that tests can
 * restart.
 *
 * Thread: one.  Memory: fx_close() frees everything.
 */
#ifndef TEST_CORE_FIXTURE_H
#define TEST_CORE_FIXTURE_H

#include "test.h"

#include "base/mem.h"
#include "database/db_int.h"
#include "value/pack.h"
#include "value/sortkey.h"

struct fixture {
	struct db          *db;
	struct store        store; /* the real one */
	struct store_vtable kept;  /* its table, with a close that does nothing */
	struct os           os;
	uint64_t            now;   /* ns */
	uint64_t            random;
	struct uid          tablet;
	size_t              cache_bytes; /* from the next start on */
};

#define FX_START ((uint64_t)1700000000000000000)
#define FX_TABLE_NUMBER 10001

static inline uint64_t
fx_now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static inline uint32_t
fx_draw(struct fixture *f, uint32_t below)
{
	f->random = f->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(f->random >> 33) % below;
}

static inline void
fx_random(void *arg, void *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)ret)[i] = (uint8_t)fx_draw(arg, 256);
}

static inline void
fx_keep_open(void *self)
{
	(void)self;
}

static inline void
fx_start(struct fixture *f)
{
	struct db_opts o = { .os = &f->os, .store = { &f->kept, f->store.self },
		.cache_bytes = f->cache_bytes };
	struct err     e = err_in(NULL);

	if (db_open(&o, &f->db, &e) != ST_OK) {
		print_error("db_open: %.*s\n", STR_ARG(e.text));
		fail();
	}
}

/* Writes everything that was committed. */
static inline void
fx_flush(struct fixture *f)
{
	struct pending_batch *b;

	while ((b = db_take_batch(f->db, 1000)) != NULL)
		CHECK_EQ(db_write_batch(f->db, b, NULL), ST_OK);
}

static inline const struct table_info *
fx_things(struct snapshot *s)
{
	return catalog_table(snapshot_catalog(s), (struct uid){ { 0 } }, S("things"));
}

static inline struct docid
thing_id(uint32_t i)
{
	struct docid id = { FX_TABLE_NUMBER, { { 0 } } };

	id.uid.b[0] = (uint8_t)(i * 97); /* not in the order of i */
	id.uid.b[1] = (uint8_t)(i >> 8);
	id.uid.b[2] = (uint8_t)i;
	return id;
}

/* The object that is open in `p` becomes a document. */
static inline struct doc *
fx_doc(struct pack *p, struct uid tablet, struct docid id, double creation_time)
{
	char       text[ID_TEXT_MAX];
	size_t     n = id_format(id, text);
	struct val v;

	pack_key(p, S("_id"));
	pack_str(p, str_of(text, n));
	pack_key(p, S("_creationTime"));
	pack_float64(p, creation_time);
	pack_end(p);
	CHECK_EQ(pack_done(p, &v, NULL), ST_OK);
	return doc_new(tablet, id, creation_time, v);
}

#define THING_COMMIT_TS INT64_MAX /* n is the commit timestamp */

static inline struct doc *
thing_doc(const struct table_info *t, uint32_t i, int64_t n)
{
	struct pack p;
	struct doc *d;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("n"));
	if (n == THING_COMMIT_TS)
		pack_commit_ts(&p);
	else
		pack_int64(&p, n);
	d = fx_doc(&p, t->tablet, thing_id(i), 1000 + i % 7);
	d->has_commit_ts = n == THING_COMMIT_TS;
	pack_clear(&p);
	return d;
}

/* --- commits without a transaction --- */

struct fx_commit {
	struct arena    *arena;
	struct snapshot *base;
	struct catalog  *catalog;
	struct readlog   reads;
	VEC(struct write) writes;
};

static inline void
fx_begin(struct fixture *f, struct fx_commit *c)
{
	memset(c, 0, sizeof *c);
	c->arena = arena_new();
	c->base = db_snapshot(f->db);
	readlog_init(&c->reads, c->arena);
}

static inline str
fx_key(struct fx_commit *c, const struct index_info *ix, const struct doc *d)
{
	struct buf b;
	str        key;

	buf_init(&b, BUF_MAX_DEFAULT);
	index_key(&b, ix, doc_val(d));
	key = arena_str(c->arena, buf_str(&b));
	buf_clear(&b);
	return key;
}

/* Takes both references. */
static inline void
fx_write_take(struct fx_commit *c, const struct table_info *t, struct doc *old, struct doc *new)
{
	struct write w = { .table = t, .id = new ? new->id : old->id, .old = old, .new = new };

	w.keys = ARENA_ARRAY(c->arena, struct write_key, t->nindexes);
	for (size_t i = 0; i < t->nindexes; i++) {
		struct write_key *k = &w.keys[w.nkeys++];

		k->index = &t->indexes[i];
		k->old_key = old ? fx_key(c, k->index, old) : STR_EMPTY;
		k->new_key = new ? fx_key(c, k->index, new) : STR_EMPTY;
	}
	vec_push(&c->writes, w);
}

static inline void
fx_abort(struct fx_commit *c)
{
	for (size_t i = 0; i < c->writes.n; i++) {
		doc_unref(c->writes.v[i].old);
		doc_unref(c->writes.v[i].new);
	}
	vec_clear(&c->writes);
	readlog_clear(&c->reads);
	catalog_unref(c->catalog);
	snapshot_unref(c->base);
	arena_free(c->arena);
}

static inline status
fx_end(struct fixture *f, struct fx_commit *c, str writer, ts_t *ret_ts, struct conflict *conflict)
{
	struct readset *reads = readlog_freeze(&c->reads);
	struct commit   commit = { .base = c->base, .reads = reads, .nwrites = c->writes.n,
		  .writes = c->writes.v, .catalog = c->catalog, .writer = writer };
	struct conflict room;
	status          st;

	st = db_commit(f->db, &commit, ret_ts, conflict ? conflict : &room, NULL);
	readset_unref(reads);
	fx_abort(c);
	return st;
}

/* Adds a catalogue row to the commit and to its private catalogue. */
static inline struct docid
fx_catalog_row(struct fixture *f, struct fx_commit *c, str table, struct pack *p)
{
	const struct table_info *t;
	struct docid             id;
	struct doc              *d;

	if (!c->catalog)
		c->catalog = catalog_copy(snapshot_catalog(c->base));
	t = catalog_table(c->catalog, (struct uid){ { 0 } }, table);
	id.table = t->number;
	fx_random(f, &id.uid, sizeof id.uid);
	d = fx_doc(p, t->tablet, id, 1);
	fx_write_take(c, t, NULL, d);
	CHECK_EQ(catalog_apply(c->catalog, NULL, d, NULL), ST_OK);
	return id;
}

static inline void
fx_add_index(struct fixture *f, struct fx_commit *c, struct uid tablet, struct index_def def,
    enum index_state state)
{
	struct pack p;

	pack_init(&p);
	pack_object(&p);
	catalog_pack_index(&p, tablet, &def, state, false, 0);
	fx_catalog_row(f, c, S("_index"), &p);
	pack_clear(&p);
}

static inline struct uid
fx_add_table(struct fixture *f, struct fx_commit *c, str name, uint32_t number)
{
	static str  fields[] = { { "n", 1 }, { "_creationTime", 13 } };
	struct uid  root = { { 0 } }, tablet;
	struct pack p;

	pack_init(&p);
	pack_object(&p);
	catalog_pack_table(&p, name, number, TABLE_ACTIVE, root);
	tablet = fx_catalog_row(f, c, S("_tables"), &p).uid;
	pack_clear(&p);
	fx_add_index(f, c, tablet, index_def_by_id(), INDEX_ENABLED);
	fx_add_index(f, c, tablet, index_def_by_creation_time(), INDEX_ENABLED);
	fx_add_index(f, c, tablet,
	    (struct index_def){ .name = S("by_n"), .nfields = 2, .fields = fields },
	    INDEX_ENABLED);
	return tablet;
}

static inline void
fx_open(struct fixture *f, uint64_t seed)
{
	struct fx_commit c;
	ts_t             ts;

	memset(f, 0, sizeof *f);
	f->now = FX_START;
	f->random = seed;
	f->os = (struct os){ f, fx_now, fx_now, fx_random };
	store_open_memory(&f->store);
	f->kept = *f->store.v;
	f->kept.close = fx_keep_open;
	fx_start(f);
	fx_begin(f, &c);
	f->tablet = fx_add_table(f, &c, S("things"), FX_TABLE_NUMBER);
	CHECK_EQ(fx_end(f, &c, S("test"), &ts, NULL), ST_OK);
	fx_flush(f);
}

static inline void
fx_close(struct fixture *f)
{
	db_close(f->db);
	store_close(&f->store);
}

/* The thing as the snapshot has it, one reference; NULL if there is none. */
static inline struct doc *
fx_get(struct snapshot *s, uint32_t i)
{
	const struct table_info *t = fx_things(s);
	struct doc              *probe = thing_doc(t, i, 0), *d = NULL;
	struct buf               key;

	buf_init(&key, BUF_MAX_DEFAULT);
	index_key(&key, t->by_id, doc_val(probe));
	CHECK_EQ(snapshot_get(s, t, t->by_id, buf_str(&key), &d, NULL), ST_OK);
	buf_clear(&key);
	doc_unref(probe);
	return d;
}

/* One write that sets the thing to n; n < 0 removes it. */
static inline void
fx_set(struct fx_commit *c, uint32_t i, int64_t n)
{
	const struct table_info *t = fx_things(c->base);
	struct doc              *old = fx_get(c->base, i);

	if (old || n >= 0)
		fx_write_take(c, t, old, n >= 0 ? thing_doc(t, i, n) : NULL);
}

/* [lo, hi) of the index by_n for lo <= n < hi, as read by the commit. */
static inline void
fx_read_n(struct fx_commit *c, int64_t lo, int64_t hi)
{
	const struct table_info *t = fx_things(c->base);
	struct buf               b[2];
	int64_t                  n[2] = { lo, hi };

	for (int i = 0; i < 2; i++) {
		struct pack p;
		struct val  v;

		buf_init(&b[i], BUF_MAX_DEFAULT);
		index_prefix(&b[i], table_index(t, S("by_n")));
		pack_init(&p);
		pack_int64(&p, n[i]);
		CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
		sortkey_add(&b[i], v);
		pack_clear(&p);
	}
	readlog_add(&c->reads, buf_str(&b[0]), buf_str(&b[1]));
	buf_clear(&b[0]);
	buf_clear(&b[1]);
}

/* The by_id point of thing i. */
static inline void
fx_read_id(struct fx_commit *c, uint32_t i)
{
	const struct table_info *t = fx_things(c->base);
	struct doc              *probe = thing_doc(t, i, 0);

	readlog_point(&c->reads, fx_key(c, t->by_id, probe));
	doc_unref(probe);
}

#endif
