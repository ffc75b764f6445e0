/* commit.c - the committer: checking, splicing, publishing (db.h; spec 03 section 5.3).
 *
 * Everything that can be done before the lock is done before it: tree entries, the log record
 * and the rows for the store are built on the committing thread, and the read set is checked
 * against the log outside the lock until only the last few commits are left.  Under the
 * lock remain those few, the timestamp and the splice.  (Documents with $commitTs tokens
 * are the exception: their keys are known only with the timestamp.)
 *
 * A catalogue change is compared by version: a transaction whose catalogue was derived from
 * another than the present one loses, and so does one that wrote to a table whose indexes
 * changed since.  That is stricter than the intervals on _tables and _index which
 * transactions record anyway, and keeps every index complete.
 *
 * Thread: any.  Memory: one arena per commit, handed on to the store's queue.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "database/db_int.h"
#include "runtime/pause.h"

#define CHECK_UNDER_LOCK 4  /* records that may be checked inside */
#define CHECK_ROUNDS     64 /* slices outside; then inside, however many are left */

/* One index entry that goes, comes or changes; keys are bytes of the record. */
struct change {
	str           removed; /* n == 0: none */
	struct entry *put;     /* NULL: none; ours until it is in the tree */
};

struct index_change_item {
	uint32_t no;
	bool     added; /* else dropped */
	bool     resident;
};

struct work {
	struct db             *db;
	const struct commit   *c;
	struct arena          *arena;   /* of the pending commit */
	struct pending_commit *pending;
	size_t                 nchanges;
	struct change         *changes;
	VEC(struct index_change_item) indexes; /* trees that the catalogue adds or drops */
	size_t                 reserved; /* bytes in the store's log */
};

/* --- preparing --- */

static void
count_keys(const struct write *w, size_t n, size_t *ret_keys, size_t *ret_bytes)
{
	*ret_keys = *ret_bytes = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < w[i].nkeys; j++) {
			*ret_keys += 2;
			*ret_bytes += w[i].keys[j].old_key.n + w[i].keys[j].new_key.n;
		}
	}
}

/* Adds one key to the record and its row; returns the key's lasting copy. */
static str
add_key(struct wlog_record *r, struct pending_commit *p, const struct write *w, size_t i,
    const struct write_key *wk, bool deleted, char **room)
{
	str                       key = deleted ? wk->old_key : wk->new_key;
	struct store_index_write *row = &p->keys[r->nkeys];

	memcpy(*room, key.p, key.n);
	key.p = *room;
	*room += key.n;
	r->keys[r->nkeys++] = (struct wlog_key){ key, (uint32_t)i };
	row->index = wk->index->id;
	row->key = str_from(key, INDEX_PREFIX);
	row->deleted = deleted;
	if (!deleted) {
		row->tablet = w->table->tablet;
		row->doc = w->id.uid;
	}
	return key;
}

/* What stays in the store of a revision that is no more, in bytes of SQLite's pages, about: its
 * entry in one index, and the tombstone that hides it. */
static size_t
key_cost(const struct write_key *k)
{
	size_t entry = k->old_key.n * 6 / 5 + 90;

	return !k->old_key.n ? 0 : str_eq(k->old_key, k->new_key) ? entry : 2 * entry;
}

/* The same of its row in the document log. */
static void
count_history(struct pending_commit *p, const struct write *w)
{
	if (!w->old && w->new)
		return;
	p->dead_docs.rows++;
	p->dead_docs.bytes += 190 + (w->old ? (uint64_t)w->old->bytes * 6 / 5 : 0);
	p->dead_keys.rows++;
}

static void
prepare_write(struct work *w, const struct write *wr, size_t i, char **room)
{
	struct pending_commit *p = w->pending;

	p->record->writes[i] = (struct wlog_write){ wr->table->tablet, wr->id };
	count_history(p, wr);
	p->docs[i] = (struct store_doc_write){ wr->table->tablet, wr->id,
		wr->new ? doc_ref(wr->new) : NULL, wr->old ? wr->old->ts : 0 };
	for (size_t j = 0; j < wr->nkeys; j++) {
		const struct write_key *wk = &wr->keys[j];
		struct change          *ch = &w->changes[w->nchanges++];

		if (wk->old_key.n && !str_eq(wk->old_key, wk->new_key))
			ch->removed = add_key(p->record, p, wr, i, wk, true, room);
		p->dead_keys.bytes += key_cost(wk);
		if (!wk->new_key.n)
			continue;
		must(wr->new);
		add_key(p->record, p, wr, i, wk, false, room);
		ch->put = entry_new_take(wk->new_key, ENTRY_DOC, false, doc_ref(wr->new));
	}
}

/* Builds everything that depends on the writes alone. */
static void
prepare(struct work *w, const struct write *writes)
{
	size_t                 n = w->c->nwrites, keys, bytes;
	struct pending_commit *p = w->pending;
	char                  *room;

	count_keys(writes, n, &keys, &bytes);
	p->record = wlog_record_new(w->c->writer, n, keys, bytes, &room);
	p->record->nkeys = 0;
	p->docs = ARENA_ARRAY(w->arena, struct store_doc_write, n);
	p->keys = ARENA_ARRAY(w->arena, struct store_index_write, keys);
	w->changes = ARENA_ARRAY(w->arena, struct change, keys);
	for (size_t i = 0; i < n; i++)
		prepare_write(w, &writes[i], i, &room);
	p->rows = (struct store_commit){ .ndocs = n, .docs = p->docs, .nkeys = p->record->nkeys,
		.keys = p->keys };
}

static void
drop_doc(void *doc)
{
	doc_unref(doc);
}

/* The writes with every $commitTs resolved; the documents belong to the arena. */
static const struct write *
resolve_writes(struct work *w, ts_t ts)
{
	const struct commit *c = w->c;
	struct write        *out = ARENA_ARRAY(w->arena, struct write, c->nwrites);
	struct buf           key;

	buf_init(&key, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < c->nwrites; i++) {
		struct write_key *keys;

		out[i] = c->writes[i];
		if (!out[i].new || !out[i].new->has_commit_ts)
			continue;
		out[i].new = doc_resolve_commit_ts(out[i].new, ts);
		arena_on_free(w->arena, drop_doc, out[i].new);
		keys = ARENA_ARRAY(w->arena, struct write_key, out[i].nkeys);
		for (size_t j = 0; j < out[i].nkeys; j++) {
			keys[j] = out[i].keys[j];
			if (!keys[j].new_key.n)
				continue;
			buf_reset(&key);
			index_key(&key, keys[j].index, doc_val(out[i].new));
			keys[j].new_key = arena_str(w->arena, buf_str(&key));
		}
		out[i].keys = keys;
	}
	buf_clear(&key);
	return out;
}

static bool
has_tokens(const struct commit *c)
{
	for (size_t i = 0; i < c->nwrites; i++)
		if (c->writes[i].new && c->writes[i].new->has_commit_ts)
			return true;
	return false;
}

static void
diff_table(struct work *w, const struct table_info *t, const struct table_info *other, bool added)
{
	for (size_t j = 0; j < t->nindexes; j++) {
		const struct index_info *ix = &t->indexes[j];
		const struct index_info *was = other ? table_index_by_id(other, ix->id) : NULL;

		if (ix->def.kind == INDEX_DATABASE && (!was || was->no != ix->no))
			vec_push(&w->indexes,
			    ((struct index_change_item){ ix->no, added, !other }));
	}
}

/* Indexes that `now` has and `than` has not: added if `than` is the older catalogue.  Both are
 * sorted by tablet, and there may be thousands of tables. */
static void
diff_indexes(struct work *w, const struct catalog *now, const struct catalog *than, bool added)
{
	const struct table_info *t, *other = catalog_table_at(than, 0);

	for (size_t i = 0, k = 0; (t = catalog_table_at(now, i)) != NULL; i++) {
		while (other && uid_cmp(other->tablet, t->tablet) < 0)
			other = catalog_table_at(than, ++k);
		if (other == t)
			continue;
		diff_table(w, t, other && uid_eq(other->tablet, t->tablet) ? other : NULL, added);
	}
}

/* --- checking --- */

static const struct table_info *
index_numbered(const struct catalog *c, str key, str *ret_name)
{
	const struct table_info *t;
	uint32_t                 no = 0;

	for (int b = 0; b < INDEX_PREFIX; b++)
		no = no << 8 | (uint8_t)key.p[b];
	for (size_t i = 0; (t = catalog_table_at(c, i)) != NULL; i++) {
		for (size_t j = 0; j < t->nindexes; j++) {
			if (t->indexes[j].no != no)
				continue;
			*ret_name = t->indexes[j].def.name;
			return t;
		}
	}
	return NULL;
}

static void
name_conflict(struct conflict *ret, str table, str index)
{
	snprintf(ret->table, sizeof ret->table, "%.*s", STR_ARG(str_head(table, 64)));
	snprintf(ret->index, sizeof ret->index, "%.*s", STR_ARG(str_head(index, 64)));
	ret->system_table = table.n > 0 && table.p[0] == '_';
}

static status
occ(struct err *e)
{
	return err_set(e, ST_OCC, "OptimisticConcurrencyControlFailure",
	    "Data read or written in this mutation changed while it was being run.");
}

/* Fills the report of a hit: names from the base's catalogue. */
static status
conflict_at(const struct commit *c, const struct wlog_record *r, const struct wlog_key *k,
    struct conflict *ret, struct err *e)
{
	str                      index = STR_EMPTY;
	const struct table_info *t = index_numbered(snapshot_catalog(c->base), k->key, &index);

	memset(ret, 0, sizeof *ret);
	if (t)
		name_conflict(ret, t->name, index);
	id_format(r->writes[k->write].id, ret->doc);
	snprintf(ret->writer, sizeof ret->writer, "%.*s", STR_ARG(str_utf8_cut(r->writer, 159)));
	ret->ts = r->ts;
	return occ(e);
}

static status
conflict_catalog(struct db *db, str table, struct conflict *ret, struct err *e)
{
	memset(ret, 0, sizeof *ret);
	name_conflict(ret, table, S("by_id"));
	ret->ts = atomic_load(&db->latest);
	return occ(e);
}

static status
check_slice(const struct commit *c, const struct wlog_slice *s, ts_t *checked,
    struct conflict *ret, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct wlog_key *hit = wlog_record_hit(s->v[i], c->reads);

		if (hit)
			return conflict_at(c, s->v[i], hit, ret, e);
		*checked = s->v[i]->ts;
	}
	return ST_OK;
}

/* Checks everything after *checked, leaving the lock for all but the last few.  Under the lock
 * when it is called and when it returns. */
static status
check_reads(struct db *db, const struct commit *c, ts_t *checked, struct conflict *ret,
    struct err *e)
{
	struct wlog_slice s;
	status            st = ST_OK;
	size_t            left;

	for (int round = 0; st == ST_OK; round++) {
		if (*checked < wlog_floor(db->wlog))
			return err_set(e, ST_OUT_OF_RETENTION, "InternalServerError",
			    "Your request couldn't be completed. Try again later.");
		left = wlog_count_after(db->wlog, *checked);
		if (left == 0)
			return ST_OK;
		wlog_slice_take(db->wlog, *checked, &s);
		if (left <= CHECK_UNDER_LOCK || round > CHECK_ROUNDS) {
			st = check_slice(c, &s, checked, ret, e);
		} else {
			db_unlock_and_free(db);
			st = check_slice(c, &s, checked, ret, e);
			pause_point("commit: checked outside");
			mutex_lock_(&db->lock);
		}
		wlog_slice_clear(&s);
	}
	return st;
}

static status
check_catalog(struct db *db, const struct commit *c, struct conflict *ret, struct err *e)
{
	const struct catalog *base = snapshot_catalog(c->base);

	if (base == db->catalog)
		return ST_OK;
	if (c->catalog)
		return conflict_catalog(db, S("_tables"), ret, e);
	for (size_t i = 0; i < c->nwrites; i++)
		if (catalog_tablet(db->catalog, c->writes[i].table->tablet) != c->writes[i].table)
			return conflict_catalog(db, S("_index"), ret, e);
	return ST_OK;
}

/* --- publishing --- */

static void
splice(struct work *w, ts_t ts)
{
	struct db *db = w->db;

	for (size_t i = 0; i < w->indexes.n; i++) {
		struct index_change_item *ix = &w->indexes.v[i];
		uint8_t                   prefix[INDEX_PREFIX];

		if (!ix->added) {
			vec_push(&db->dropped, ix->no);
			continue;
		}
		for (int b = 0; b < INDEX_PREFIX; b++)
			prefix[b] = (uint8_t)(ix->no >> (24 - 8 * b));
		res_add_index(db->tree, str_of(prefix, sizeof prefix), ix->resident);
	}
	tree_stamp(db->tree, ts);
	for (size_t i = 0; i < w->nchanges; i++) {
		struct change *ch = &w->changes[i];

		if (ch->removed.n)
			res_remove(db->tree, ch->removed);
		if (ch->put)
			res_put_take(db->tree, ch->put);
		ch->put = NULL;
	}
	tree_stamp(db->tree, 0);
}

static void
add_history(struct db_history *to, const struct db_history *from)
{
	to->rows += from->rows;
	to->bytes += from->bytes;
}

static void
stamp(struct pending_commit *p, ts_t ts)
{
	p->rows.ts = ts;
	for (size_t i = 0; i < p->rows.ndocs; i++) {
		struct doc *d = p->docs[i].doc;

		if (!d)
			continue;
		must(d->ts == 0);
		d->ts = ts;
	}
}

/* About what the commit takes in the store's log: documents as JSON text, index entries. */
static size_t
log_bytes(const struct commit *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nwrites; i++) {
		const struct write *w = &c->writes[i];

		n += 64 + (w->new ? 2 * (size_t)w->new->bytes : 0);
		for (size_t k = 0; k < w->nkeys; k++)
			n += 128 + w->keys[k].old_key.n + w->keys[k].new_key.n;
	}
	return n;
}

/* Under the lock, with nothing left that could refuse. */
static ts_t
publish(struct work *w)
{
	struct db *db = w->db;
	ts_t       ts = atomic_load(&db->latest) + 1, now = os_now_ns(db->os);

	if (now > ts)
		ts = now;
	if (db->promised >= ts)
		ts = db->promised + 1;
	must(ts <= TS_MAX);
	if (!w->pending->record)
		prepare(w, resolve_writes(w, ts));
	w->pending->rows.reserved = w->reserved;
	stamp(w->pending, ts);
	add_history(&db->dead_docs, &w->pending->dead_docs);
	add_history(&db->dead_keys, &w->pending->dead_keys);
	db_forget_current(db); /* before the splice: unwatched nodes are edited in place */
	pause_point("commit: checked");
	splice(w, ts);
	if (w->c->catalog) {
		catalog_seal(w->c->catalog);
		catalog_unref(db->catalog);
		db->catalog = catalog_ref(w->c->catalog);
	}
	wlog_append_take(db->wlog, wlog_record_ref(w->pending->record), ts);
	counts_publish(&db->counts, w->c, ts);
	pause_point("commit: spliced");
	db_enqueue_take(db, w->pending);
	w->pending = NULL;
	pause_point("commit: queued");
	atomic_store(&db->latest, ts);
	if (db->on_commit)
		db->on_commit(db->on_commit_arg);
	return ts;
}

static void
work_clear(struct work *w)
{
	for (size_t i = 0; w->pending && i < w->nchanges; i++)
		entry_free(w->changes[i].put);
	if (w->pending) { /* given up */
		pending_commit_free(w->pending);
		store_release(&w->db->store, w->reserved);
	}
	vec_clear(&w->indexes);
}

status
db_commit(struct db *db, const struct commit *c, ts_t *ret_ts, struct conflict *ret_conflict,
    struct err *e)
{
	struct work w = { .db = db, .c = c };
	ts_t        checked = snapshot_ts(c->base);
	status      st;

	if (c->nwrites == 0) {
		*ret_ts = checked;
		return ST_OK;
	}
	/* Before it is published: what is accepted must not meet a full disk. */
	w.reserved = log_bytes(c);
	TRY(store_reserve(&db->store, w.reserved, e));
	w.arena = arena_new();
	w.pending = ARENA_NEW(w.arena, struct pending_commit);
	w.pending->arena = w.arena;
	if (!has_tokens(c))
		prepare(&w, c->writes);
	if (c->catalog) {
		must(catalog_base_version(c->catalog) ==
		    catalog_version(snapshot_catalog(c->base)));
		diff_indexes(&w, c->catalog, snapshot_catalog(c->base), true);
		diff_indexes(&w, snapshot_catalog(c->base), c->catalog, false);
	}
	pause_point("commit: prepared");
	mutex_lock_(&db->lock);
	st = check_reads(db, c, &checked, ret_conflict, e);
	if (st == ST_OK)
		st = check_catalog(db, c, ret_conflict, e);
	if (st == ST_OK)
		*ret_ts = publish(&w);
	db_unlock_and_free(db);
	work_clear(&w);
	return st;
}

/* --- what changed --- */

/* The next records after `after`; false if the log no longer goes back that far. */
static bool
slice_after(struct db *db, ts_t after, struct wlog_slice *ret)
{
	MUTEX_GUARD(&db->lock);

	if (after < wlog_floor(db->wlog))
		return false;
	wlog_slice_take(db->wlog, after, ret);
	return true;
}

bool
db_changed(struct db *db, const struct readset *reads, ts_t after, ts_t until, ts_t *ret_at)
{
	struct wlog_slice s;
	ts_t              at = 0;
	bool              changed = false, end = false;

	while (!end && !changed) {
		if (!slice_after(db, after, &s)) {
			changed = true;
			break;
		}
		end = s.n == 0;
		for (size_t i = 0; i < s.n && !end && !changed; i++) {
			after = s.v[i]->ts;
			end = after > until;
			changed = !end && wlog_record_hit(s.v[i], reads) != NULL;
			at = changed ? after : 0;
		}
		wlog_slice_clear(&s);
	}
	if (changed && ret_at)
		*ret_at = at;
	return changed;
}

bool
db_changes(struct db *db, ts_t after, void (*fn)(void *arg, ts_t ts, str full_key), void *arg)
{
	struct wlog_slice s;

	for (;;) {
		if (!slice_after(db, after, &s))
			return false;
		if (s.n == 0)
			return true;
		for (size_t i = 0; i < s.n; i++) {
			after = s.v[i]->ts;
			for (size_t k = 0; k < s.v[i]->nkeys; k++)
				fn(arg, after, s.v[i]->keys[k].key);
		}
		wlog_slice_clear(&s);
	}
}
