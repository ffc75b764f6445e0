/* memory.c - the store without a disk, for tests and the simulator.
 *
 * Keeps the same two logs as the SQLite store, in ordered sets, and answers the same
 * questions with the same words; one conformance suite runs against both.  What it adds is
 * the crash: every row remembers at which timestamp it was written, so that a suffix of the
 * history can be forgotten.
 *
 * Thread: any; one lock, held for the whole call but not while a log callback runs.
 * Memory: rows are copies; documents are copies that know their timestamps and are shared with
 *         the readers.
 */
#include "base/map.h"
#include "runtime/thread.h"
#include "store/skiplist_int.h"
#include "store/store.h"

struct entry { /* of the index log */
	struct uid index;
	str        key; /* in bytes[], or borrowed by a probe */
	ts_t       ts;
	ts_t       written; /* by the commit or batch of this time */
	bool       deleted;
	bool       past_end; /* a probe behind all keys of its index */
	struct uid doc;
	char       bytes[];
};

struct revision { /* of the document log */
	ts_t        ts;
	struct uid  tablet;
	struct uid  id;
	struct doc *doc; /* NULL: tombstone */
	ts_t        prev_ts;
};

struct global_version {
	struct global_version *older;
	ts_t                   written;
	size_t                 n;
	char                   json[];
};

struct global {
	struct global_version *newest; /* NULL: forgotten by a crash */
};

struct memory_store {
	pthread_mutex_t  lock;
	struct skiplist *entries;
	struct skiplist *revisions;
	struct map      *globals; /* name to struct global */
	ts_t             last_ts; /* of the newest commit */
};

/* What a write has put in so far, to take it out again if a later row is refused. */
struct undo {
	VEC(struct entry *) entries;
	VEC(struct revision *) revisions;
};

static int
ts_cmp(ts_t a, ts_t b)
{
	return (a > b) - (a < b);
}

static int
entry_cmp(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int                 c = uid_cmp(a->index, b->index);

	if (c == 0)
		c = a->past_end - b->past_end;
	if (c == 0)
		c = str_cmp(a->key, b->key);
	return c ? c : ts_cmp(a->ts, b->ts);
}

static int
revision_cmp(const void *x, const void *y)
{
	const struct revision *a = x, *b = y;
	int                    c = ts_cmp(a->ts, b->ts);

	if (c == 0)
		c = uid_cmp(a->tablet, b->tablet);
	return c ? c : uid_cmp(a->id, b->id);
}

static void
revision_free(void *item)
{
	struct revision *r = item;

	doc_unref(r->doc);
	mem_free(r);
}

static struct entry *
entry_new(ts_t ts, ts_t written, const struct store_index_write *k)
{
	struct entry *n = mem_zalloc(sizeof *n + k->key.n);

	n->index = k->index;
	n->key = str_of(n->bytes, k->key.n);
	if (k->key.n > 0)
		memcpy(n->bytes, k->key.p, k->key.n);
	n->ts = ts;
	n->written = written;
	n->deleted = k->deleted;
	if (!k->deleted)
		n->doc = k->doc;
	return n;
}

static struct revision *
revision_new(ts_t ts, const struct store_doc_write *w)
{
	struct revision *r = MEM_NEW(struct revision);

	*r = (struct revision){
		.ts = ts, .tablet = w->tablet, .id = w->id.uid, .prev_ts = w->prev_ts
	};
	if (w->doc) {
		must(!w->doc->has_commit_ts);
		r->doc = doc_new(w->tablet, w->id, w->doc->creation_time, doc_val(w->doc));
		r->doc->ts = ts;
		r->doc->prev_ts = w->prev_ts;
	}
	return r;
}

static status
put_commit(struct memory_store *m, const struct store_commit *c, struct undo *undo, struct err *e)
{
	for (size_t i = 0; i < c->ndocs; i++) {
		struct revision *r = revision_new(c->ts, &c->docs[i]);

		if (!skiplist_insert(m->revisions, r)) {
			revision_free(r);
			return err_internal(
			    e, "memory store: a document is written twice at one time");
		}
		vec_push(&undo->revisions, r);
	}
	for (size_t i = 0; i < c->nkeys; i++) {
		struct entry *n = entry_new(c->ts, c->ts, &c->keys[i]);

		if (!skiplist_insert(m->entries, n)) {
			mem_free(n);
			return err_internal(e, "memory store: a key is written twice at one time");
		}
		vec_push(&undo->entries, n);
	}
	return ST_OK;
}

static void
take_back(struct memory_store *m, struct undo *undo)
{
	for (size_t i = 0; i < undo->revisions.n; i++) {
		skiplist_remove(m->revisions, undo->revisions.v[i]);
		revision_free(undo->revisions.v[i]);
	}
	for (size_t i = 0; i < undo->entries.n; i++) {
		skiplist_remove(m->entries, undo->entries.v[i]);
		mem_free(undo->entries.v[i]);
	}
}

static void
put_backfill(struct memory_store *m, const struct store_backfill_row *row)
{
	struct entry *n = entry_new(row->ts, m->last_ts, &row->key);
	struct entry *old = skiplist_get(m->entries, n);

	if (!old) {
		must(skiplist_insert(m->entries, n));
		return;
	}
	old->deleted = n->deleted;
	old->doc = n->doc;
	mem_free(n);
}

static void
put_global(struct memory_store *m, const struct store_global *g)
{
	struct global         *box = map_get(m->globals, g->key);
	struct global_version *v = mem_alloc(sizeof *v + g->json.n);

	if (!box) {
		box = MEM_NEW(struct global);
		map_put(m->globals, g->key, box);
	}
	v->older = box->newest;
	v->written = m->last_ts;
	v->n = g->json.n;
	if (v->n > 0)
		memcpy(v->json, g->json.p, v->n);
	box->newest = v;
}

static status
memory_write(void *self, const struct store_batch *b, struct err *e)
{
	struct memory_store *m = self;
	struct undo          undo = { 0 };
	status               st = ST_OK;
	MUTEX_GUARD(&m->lock);

	for (size_t i = 0; i < b->ncommits && st == ST_OK; i++)
		st = put_commit(m, b->commits[i], &undo, e);
	if (st != ST_OK) {
		take_back(m, &undo);
		goto out;
	}
	for (size_t i = 0; i < b->ncommits; i++)
		if (b->commits[i]->ts > m->last_ts)
			m->last_ts = b->commits[i]->ts;
	for (size_t i = 0; i < b->nbackfill; i++)
		put_backfill(m, &b->backfill[i]);
	for (size_t i = 0; i < b->nglobals; i++)
		put_global(m, &b->globals[i]);
out:
	vec_clear(&undo.entries);
	vec_clear(&undo.revisions);
	return st;
}

/* The newest version of the key that is not above `at`; NULL if there is none. */
static const struct entry *
newest(const struct memory_store *m, const struct entry *some_version, ts_t at)
{
	struct entry        probe = { .index = some_version->index, .key = some_version->key };
	const struct entry *found;

	probe.ts = at + 1;
	found = skiplist_last_lt(m->entries, &probe);
	if (!found || !uid_eq(found->index, probe.index) || !str_eq(found->key, probe.key))
		return NULL;
	return found;
}

/* Some version of the next key of the range, in the scan's direction, behind `at_key` (NULL:
 * at the range's beginning). */
static const struct entry *
next_key(const struct memory_store *m, const struct store_scan *q, const struct entry *at_key)
{
	struct entry        probe = { .index = q->index };
	const struct entry *found;

	if (q->desc) {
		probe.key = at_key ? at_key->key : q->hi;
		probe.past_end = !at_key && q->hi.n == 0;
		found = skiplist_last_lt(m->entries, &probe);
	} else {
		probe.key = at_key ? at_key->key : q->lo;
		probe.ts = at_key ? UINT64_MAX : 0;
		found = skiplist_first_ge(m->entries, &probe);
	}
	if (!found || !uid_eq(found->index, q->index) || str_cmp(found->key, q->lo) < 0)
		return NULL;
	return q->hi.n == 0 || str_cmp(found->key, q->hi) < 0 ? found : NULL;
}

static status
memory_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	struct memory_store *m = self;
	const struct entry  *at_key = NULL;
	MUTEX_GUARD(&m->lock);

	must(q->limit > 0 && ret->rows.n == 0);
	if (!ret->arena)
		ret->arena = arena_new();
	while ((at_key = next_key(m, q, at_key))) {
		const struct entry    *n;
		const struct revision *r;
		struct store_row       row;

		if (ret->rows.n == q->limit) {
			ret->more = true;
			break;
		}
		n = newest(m, at_key, q->at);
		if (!n || n->deleted)
			continue;
		r = skiplist_get(m->revisions,
		    &(struct revision){ .ts = n->ts, .tablet = q->tablet, .id = n->doc });
		if (!r || !r->doc) {
			store_rows_clear(ret);
			return err_internal(e, "memory store: an index entry has no document");
		}
		row.key = arena_str(ret->arena, n->key);
		row.doc = doc_ref(r->doc);
		vec_push(&ret->rows, row);
	}
	return ST_OK;
}

static status
memory_log(void *self, ts_t from, ts_t to, size_t limit,
    bool (*fn)(void *arg, const struct store_log_row *row), void *arg, struct err *e)
{
	struct memory_store *m = self;
	struct revision      probe = { .ts = from };
	VEC(struct store_log_row) rows = { 0 };
	const struct revision *r;
	bool                   more = true;

	(void)e;
	mutex_lock_(&m->lock);
	r = skiplist_first_ge(m->revisions, &probe);
	for (; r && r->ts < to && rows.n < limit; r = skiplist_first_gt(m->revisions, r)) {
		struct store_log_row row = { r->ts, r->tablet, r->id, NULL, r->prev_ts };

		if (r->doc)
			row.doc = doc_ref(r->doc);
		vec_push(&rows, row);
	}
	must(pthread_mutex_unlock(&m->lock) == 0);
	for (size_t i = 0; i < rows.n; i++) {
		if (more)
			more = fn(arg, &rows.v[i]);
		else
			doc_unref(rows.v[i].doc);
	}
	vec_clear(&rows);
	return ST_OK;
}

static status
memory_global(void *self, str key, struct buf *ret_json, struct err *e)
{
	struct memory_store *m = self;
	MUTEX_GUARD(&m->lock);
	const struct global *g = map_get(m->globals, key);

	if (!g || !g->newest)
		return err_set(e, ST_NOT_FOUND, "GlobalNotFound", "there is no global '%.*s'",
		    STR_ARG(key));
	buf_add(ret_json, str_of(g->newest->json, g->newest->n));
	return ST_OK;
}

static status
memory_max_ts(void *self, ts_t *ret, struct err *e)
{
	struct memory_store *m = self;
	MUTEX_GUARD(&m->lock);
	const struct revision *r = skiplist_last(m->revisions);

	(void)e;
	*ret = r ? r->ts : 0;
	return ST_OK;
}

static void
pop_global(struct global *g)
{
	struct global_version *v = g->newest;

	g->newest = v->older;
	mem_free(v);
}

static void
memory_close(void *self)
{
	struct memory_store *m = self;
	size_t               pos = 0;
	str                  key;
	void                *box;

	while (map_next(m->globals, &pos, &key, &box)) {
		struct global *g = box;

		while (g->newest)
			pop_global(g);
		mem_free(g);
	}
	map_free(m->globals);
	skiplist_free(m->entries, mem_free);
	skiplist_free(m->revisions, revision_free);
	pthread_mutex_destroy(&m->lock);
	mem_free(m);
}

static const struct store_vtable memory_vtable = {
	.name = "memory",
	.write = memory_write,
	.scan = memory_scan,
	.log = memory_log,
	.global = memory_global,
	.max_ts = memory_max_ts,
	.close = memory_close,
};

void
store_open_memory(struct store *ret)
{
	struct memory_store *m = MEM_NEW(struct memory_store);

	must(pthread_mutex_init(&m->lock, NULL) == 0);
	m->entries = skiplist_new(entry_cmp);
	m->revisions = skiplist_new(revision_cmp);
	m->globals = map_new();
	*ret = (struct store){ &memory_vtable, m };
}

static void
forget_entries(struct memory_store *m, ts_t durable)
{
	struct entry *n = skiplist_first(m->entries), *next;

	for (; n; n = next) {
		next = skiplist_first_gt(m->entries, n);
		if (n->written > durable) {
			skiplist_remove(m->entries, n);
			mem_free(n);
		}
	}
}

static void
forget_globals(struct memory_store *m, ts_t durable)
{
	size_t pos = 0;
	str    key;
	void  *box;

	while (map_next(m->globals, &pos, &key, &box)) {
		struct global *g = box;

		while (g->newest && g->newest->written > durable)
			pop_global(g);
	}
}

void
store_memory_crash(struct store *s, ts_t durable)
{
	struct memory_store *m = s->self;
	struct revision     *r;

	must(s->v == &memory_vtable);
	MUTEX_GUARD(&m->lock);
	forget_entries(m, durable);
	while ((r = skiplist_last(m->revisions)) && r->ts > durable) {
		skiplist_remove(m->revisions, r);
		revision_free(r);
	}
	forget_globals(m, durable);
	if (m->last_ts > durable)
		m->last_ts = durable;
}
