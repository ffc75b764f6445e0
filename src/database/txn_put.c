/* txn_put.c - the writes of a transaction, before anybody else sees them.
 *
 * Several writes to one document become one revision (spec 03 section 5.3): a twrite keeps the
 * state before the transaction and the newest one.  The keys of each state are computed here
 * once, for the overlay and for the commit.
 *
 * Thread: the transaction's.  Memory: its arena; documents are held by the transaction.
 */
#include <math.h>

#include "database/txn_int.h"

static str
key_of(const struct tversion *v, uint32_t no)
{
	for (size_t i = 0; v && i < v->nkeys; i++)
		if (v->keys[i].no == no)
			return v->keys[i].key;
	return (str){ NULL, 0 };
}

/* The index key of `doc`, sharing the bytes of `like` where they are the same. */
static str
make_key(struct txn *t, const struct index_info *ix, struct val doc, const struct tversion *like)
{
	str old = key_of(like, ix->no), key;

	buf_reset(&t->key);
	index_key(&t->key, ix, doc);
	key = buf_str(&t->key);
	return old.n && str_eq(old, key) ? old : arena_str(t->arena, key);
}

static const struct tversion *
version_new(struct txn *t, const struct table_info *info, struct doc *doc,
    const struct tversion *like)
{
	size_t           n = doc ? info->nindexes : 0;
	struct tversion *v = arena_alloc(t->arena, sizeof *v + n * sizeof *v->keys);

	v->doc = doc;
	v->gen = t->catalog_gen;
	v->nkeys = 0;
	for (size_t i = 0; i < n; i++) {
		const struct index_info *ix = &info->indexes[i];

		if (ix->def.kind != INDEX_DATABASE)
			continue;
		v->keys[v->nkeys++] =
		    (struct tkey){ ix->no, make_key(t, ix, doc_val(doc), like) };
	}
	return v;
}

static void
set_node(struct txn *t, str key, struct doc *doc)
{
	struct over_node *n = overlay_at(&t->overlay, key);

	if (t->mark)
		vec_push(&t->undo, ((struct undo){ .node = n, .doc = n->doc, .on = n->on }));
	overlay_set(&t->overlay, n, true, doc);
}

static void
lay_over(struct txn *t, const struct tversion *from, const struct tversion *to)
{
	for (size_t i = 0; from && i < from->nkeys; i++)
		if (!str_eq(from->keys[i].key, key_of(to, from->keys[i].no)))
			set_node(t, from->keys[i].key, NULL);
	for (size_t i = 0; i < to->nkeys; i++)
		set_node(t, to->keys[i].key, to->doc);
}

static struct twrite *
write_of(struct txn *t, struct ttable *tt, struct docid id, struct doc *prev)
{
	uint8_t        room[2 * sizeof(struct uid)];
	str            key = str_of(room, sizeof room);
	struct twrite *w;

	memcpy(room, tt->tablet.b, sizeof(struct uid));
	memcpy(room + sizeof(struct uid), id.uid.b, sizeof(struct uid));
	if (!t->by_doc)
		t->by_doc = map_new();
	w = map_get(t->by_doc, key);
	if (w)
		return w;
	w = ARENA_NEW(t->arena, struct twrite);
	w->tablet = tt->tablet;
	w->id = id;
	w->old = prev ? version_new(t, tt->info, prev, NULL) : NULL;
	map_put(t->by_doc, key, w);
	vec_push(&t->writes, w);
	return w;
}

/* The tables that this transaction knows, as the new catalogue describes them. */
static void
refresh_tables(struct txn *t)
{
	for (size_t i = 0; i < t->tables.n; i++) {
		struct ttable           *tt = t->tables.v[i];
		const struct table_info *info = catalog_tablet(t->catalog, tt->tablet);

		if (info == tt->info)
			continue;
		tt->noted_indexes = 0;
		if (info)
			tt->info = info;
	}
}

status
txn_catalog_apply(struct txn *t, const struct doc *old, const struct doc *new, struct err *e)
{
	if (!t->catalog_own) {
		struct catalog *copy = catalog_copy(t->catalog);

		catalog_unref(t->catalog);
		t->catalog = copy;
		t->catalog_own = true;
	}
	TRY(catalog_apply(t->catalog, old, new, e));
	t->catalog_gen = ++t->gen_counter;
	refresh_tables(t);
	return ST_OK;
}

status
txn_put(struct txn *t, struct ttable *tt, struct docid id, struct doc *prev, struct doc *next,
    struct err *e)
{
	struct twrite         *w;
	const struct tversion *from;

	must(t->writable);
	if (next)
		txn_hold(t, next);
	if (UNLIKELY(tt->info->system) && catalog_shaped_by(tt->info))
		TRY(txn_catalog_apply(t, prev, next, e));
	w = write_of(t, tt, id, prev);
	from = w->cur ? w->cur : w->old;
	must((from ? from->doc : NULL) == prev);
	if (t->mark)
		vec_push(&t->undo, ((struct undo){ .write = w, .cur = w->cur }));
	if (!w->cur)
		t->active++;
	w->cur = version_new(t, tt->info, next, from);
	lay_over(t, from, w->cur);
	return ST_OK;
}

struct docid
txn_new_id(struct txn *t, uint32_t table_number)
{
	const struct os *os = db_os(t->db);

	if (!t->random_left) {
		os_random(os, t->random, sizeof t->random);
		t->random_left = sizeof t->random / 14;
	}
	t->random_left--;
	if (t->clock == 0)
		(void)txn_next_creation_time(t);
	return (struct docid){ .table = table_number,
		.uid = uid_make(t->random + 14 * t->random_left, (uint64_t)(t->clock / 1000.0)) };
}

/* Section 2.5: from the newer of snapshot and clock, then one representable double on for each
 * insert. */
double
txn_next_creation_time(struct txn *t)
{
	double now;

	if (t->clock == 0) {
		uint64_t ns = os_now_ns(db_os(t->db)), least = txn_ts(t) + 1;

		ns = ns > least ? ns : least;
		t->clock = (double)(ns / 1000000) + (double)(ns % 1000000) * 1e-6;
	}
	now = t->clock;
	t->clock = nextafter(now, INFINITY);
	return now;
}

/* --- marks --- */

struct txn_mark {
	struct txn_mark *outer;
	size_t           undo;
	struct catalog  *catalog; /* one reference */
	uint64_t         catalog_gen;
	uint64_t         docs_written, bytes_written;
	uint64_t         system_docs_written, system_bytes_written;
};

struct txn_mark *
txn_mark(struct txn *t)
{
	struct txn_mark *m = ARENA_NEW(t->arena, struct txn_mark);

	*m = (struct txn_mark){
		.outer = t->mark,
		.undo = t->undo.n,
		.catalog = catalog_ref(t->catalog),
		.catalog_gen = t->catalog_gen,
		.docs_written = t->usage.docs_written,
		.bytes_written = t->usage.bytes_written,
		.system_docs_written = t->system_docs_written,
		.system_bytes_written = t->system_bytes_written,
	};
	t->catalog_own = false;
	t->mark = m;
	return m;
}

static void
undo_one(struct txn *t, const struct undo *u)
{
	if (!u->write) {
		overlay_set(&t->overlay, u->node, u->on, u->doc);
		return;
	}
	u->write->cur = u->cur;
	if (!u->cur)
		t->active--;
}

void
txn_rollback(struct txn *t, struct txn_mark *m)
{
	must(t->mark == m);
	while (t->undo.n > m->undo)
		undo_one(t, &t->undo.v[--t->undo.n]);
	t->usage.docs_written = m->docs_written;
	t->usage.bytes_written = m->bytes_written;
	t->system_docs_written = m->system_docs_written;
	t->system_bytes_written = m->system_bytes_written;
	vec_push(&t->undone, t->catalog);
	t->catalog = m->catalog; /* its reference is ours now */
	t->catalog_own = false;
	t->catalog_gen = m->catalog_gen;
	t->mark = m->outer;
	refresh_tables(t);
}

void
txn_release(struct txn *t, struct txn_mark *m)
{
	must(t->mark == m);
	catalog_unref(m->catalog);
	t->mark = m->outer;
	if (!t->mark)
		t->undo.n = 0;
}
