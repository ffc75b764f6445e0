/* txn.c - a transaction's beginning, accounts and end.
 *
 * Thread: the transaction's.  Memory: one arena, plus references to the snapshot, the
 * catalogue and the documents it met.
 */
#include <stdlib.h>

#include "database/query.h"
#include "database/txn_int.h"

#define MIB ((uint64_t)1 << 20)

static const struct txn_limits limits_default = {
	.bytes_read = 16 * MIB,
	.docs_read = 32000,
	.intervals = 4096,
	.bytes_written = 16 * MIB,
	.docs_written = 16000,
	.functions_scheduled = 1000,
	.scheduled_args_bytes = 16 * MIB,
};

struct txn *
txn_begin(const struct txn_opts *opts)
{
	struct arena *a = arena_new();
	struct txn   *t = ARENA_NEW(a, struct txn);

	t->arena = a;
	t->snap = opts->snapshot; /* the caller's reference */
	t->db = snapshot_db(t->snap);
	t->catalog = catalog_ref(snapshot_catalog(t->snap));
	t->writable = opts->writable;
	t->system = opts->system;
	t->component = opts->component;
	t->writer = arena_str(a, opts->writer);
	t->limits = limits_default;
	readlog_init(&t->reads, a);
	readlog_init(&t->derived, a);
	overlay_init(&t->overlay, a);
	pack_init(&t->pack);
	buf_init(&t->key, BUF_MAX_DEFAULT);
	t->root_tables = catalog_table(t->catalog, (struct uid){ 0 }, S("_tables"));
	t->root_index = catalog_table(t->catalog, (struct uid){ 0 }, S("_index"));
	must(t->root_tables && t->root_index);
	return t;
}

void
txn_free(struct txn *t)
{
	if (!t)
		return;
	while (t->queries)
		query_close(t->queries);
	while (t->mark)
		txn_release(t, t->mark);
	for (size_t i = 0; i < t->held.n; i++)
		doc_unref(t->held.v[i]);
	vec_clear(&t->held);
	vec_clear(&t->tables);
	vec_clear(&t->noted_schemas);
	vec_clear(&t->writes);
	vec_clear(&t->undo);
	map_free(t->by_doc);
	readlog_clear(&t->reads);
	readlog_clear(&t->derived);
	pack_clear(&t->pack);
	buf_clear(&t->key);
	for (size_t i = 0; i < t->undone.n; i++)
		catalog_unref(t->undone.v[i]);
	vec_clear(&t->undone);
	catalog_unref(t->catalog);
	snapshot_unref(t->snap);
	arena_free(t->arena);
}

struct arena *
txn_arena(struct txn *t)
{
	return t->arena;
}

struct catalog *
txn_catalog(struct txn *t)
{
	return t->catalog;
}

struct snapshot *
txn_snapshot(struct txn *t)
{
	return t->snap;
}

ts_t
txn_ts(const struct txn *t)
{
	return snapshot_ts(t->snap);
}

bool
txn_writable(const struct txn *t)
{
	return t->writable;
}

struct uid
txn_component(const struct txn *t)
{
	return t->component;
}

struct uid
txn_set_component(struct txn *t, struct uid component)
{
	struct uid old = t->component;

	t->component = component;
	return old;
}

const struct txn_usage *
txn_usage(struct txn *t)
{
	t->usage.intervals = readlog_count(&t->reads);
	return &t->usage;
}

const struct txn_limits *
txn_limits(const struct txn *t)
{
	return &t->limits;
}

struct txn_limits
txn_set_limits(struct txn *t, const struct txn_limits *l)
{
	struct txn_limits old = t->limits;

	t->limits = *l;
	return old;
}

void
txn_set_npm(struct txn *t, enum npm_age age)
{
	t->npm = age;
}

void
txn_deadline(struct txn *t, uint64_t mono_ns)
{
	t->deadline_ns = mono_ns;
}

struct readlog *
txn_reads(struct txn *t)
{
	return &t->reads;
}

bool
txn_has_writes(const struct txn *t)
{
	return t->active > 0;
}

status
txn_note_scheduled(struct txn *t, uint64_t args_bytes, struct err *e)
{
	t->usage.functions_scheduled++;
	t->usage.scheduled_args_bytes += args_bytes;
	if (args_bytes > t->usage.scheduled_args_largest)
		t->usage.scheduled_args_largest = args_bytes;
	if (t->usage.functions_scheduled > t->limits.functions_scheduled)
		return err_set(e, ST_BAD_REQUEST, "TooManyFunctionsScheduled",
		    "Too many functions scheduled by this mutation (limit: %llu)",
		    (unsigned long long)t->limits.functions_scheduled);
	if (t->usage.scheduled_args_bytes > t->limits.scheduled_args_bytes)
		return err_set(e, ST_BAD_REQUEST, "ScheduledFunctionsArgumentsTooLarge",
		    "Too large total size of the arguments of scheduled functions from this "
		    "mutation (limit: %llu bytes)",
		    (unsigned long long)t->limits.scheduled_args_bytes);
	return ST_OK;
}

/* Without copying: both live in the transaction's arena. */
static void
add_all(struct readlog *to, const struct readlog *from)
{
	for (size_t i = 0; i < from->ranges.n; i++)
		vec_push(&to->ranges, from->ranges.v[i]);
}

struct readset *
txn_readset(struct txn *t)
{
	struct readlog  all;
	struct readset *r;

	txn_flush_queries(t);
	readlog_init(&all, t->arena);
	add_all(&all, &t->reads);
	add_all(&all, &t->derived);
	r = readlog_freeze(&all);
	readlog_clear(&all);
	return r;
}

/* --- the end --- */

/* The key of one index in one state; computed now if the index appeared after the write. */
static str
commit_key(struct txn *t, const struct tversion *v, const struct index_info *ix)
{
	if (!v || !v->doc)
		return (str){ NULL, 0 };
	for (size_t i = 0; i < v->nkeys; i++)
		if (v->keys[i].no == ix->no)
			return v->keys[i].key;
	buf_reset(&t->key);
	index_key(&t->key, ix, doc_val(v->doc));
	return arena_str(t->arena, buf_str(&t->key));
}

static void
fill_write(struct txn *t, const struct twrite *w, struct write *ret)
{
	const struct table_info *table = catalog_tablet(t->catalog, w->tablet);

	must(table);
	*ret = (struct write){ .table = table, .id = w->id,
		.old = w->old ? w->old->doc : NULL, .new = w->cur->doc };
	if (!ret->old && !ret->new)
		return; /* inserted and deleted again: a tombstone in the log and no keys */
	ret->keys = ARENA_ARRAY(t->arena, struct write_key, table->nindexes);
	for (size_t i = 0; i < table->nindexes; i++) {
		const struct index_info *ix = &table->indexes[i];

		if (ix->def.kind == INDEX_DATABASE)
			ret->keys[ret->nkeys++] = (struct write_key){ ix,
				commit_key(t, w->old, ix), commit_key(t, w->cur, ix) };
	}
}

/* Order of application, spec 03 section 3.5. */
static int
write_class(const struct write *w)
{
	if (str_eq(w->table->name, S("_index")))
		return w->new ? 4 : 0;
	if (!str_eq(w->table->name, S("_tables")))
		return 5;
	if (uid_eq(w->id.uid, w->table->tablet))
		return 2;
	return w->old ? 1 : 3;
}

static int
write_cmp(const void *pa, const void *pb)
{
	const struct write *a = pa, *b = pb;
	int                 ca = write_class(a), cb = write_class(b);

	if (ca != cb)
		return ca - cb;
	return uid_cmp(a->id.uid, b->id.uid);
}

status
txn_commit(struct txn *t, ts_t *ret_ts, struct conflict *ret_conflict, struct err *e)
{
	struct commit   c = { .base = t->snap, .writer = t->writer };
	struct readset *reads;
	status          st;

	must(!t->mark);
	if (!t->active) {
		*ret_ts = txn_ts(t);
		return ST_OK;
	}
	if (t->claimed)
		TRY(import_check_claims(t, ret_conflict, e));
	c.writes = ARENA_ARRAY(t->arena, struct write, t->active);
	for (size_t i = 0; i < t->writes.n; i++)
		if (t->writes.v[i]->cur)
			fill_write(t, t->writes.v[i], &c.writes[c.nwrites++]);
	if (t->catalog_gen) {
		c.catalog = t->catalog;
		qsort(c.writes, c.nwrites, sizeof *c.writes, write_cmp);
	}
	c.reads = reads = txn_readset(t);
	st = db_commit(t->db, &c, ret_ts, ret_conflict, e);
	readset_unref(reads);
	return st;
}
