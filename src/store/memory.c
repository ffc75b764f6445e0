/* memory.c - the store without a disk, for tests and the simulator.
 *
 * Keeps the same two logs as the SQLite store, in ordered sets, and answers the same
 * questions with the same words; one conformance suite runs against both.  What it adds is
 * the crash: every row remembers at which timestamp it was written, so that a suffix of the
 * history can be forgotten (memory_erase.c).
 *
 * Thread: any; one lock, held for the whole call but not while a log callback runs.
 * Memory: rows are copies; documents are copies that know their timestamps and are shared with
 *         the readers.
 */
#include "runtime/thread.h"
#include "store/memory_int.h"

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

static int
by_doc_cmp(const void *x, const void *y)
{
	const struct revision *a = x, *b = y;
	int                    c = uid_cmp(a->tablet, b->tablet);

	if (c == 0)
		c = uid_cmp(a->id, b->id);
	return c ? c : ts_cmp(a->ts, b->ts);
}

/* --- rows and the lists that they are in --- */

void
memory_entry_free(void *entry)
{
	struct entry *n = entry;

	while (n) {
		struct entry *under = n->overwritten;

		mem_free(n);
		n = under;
	}
}

static void
revision_free(void *item)
{
	struct revision *r = item;

	doc_unref(r->doc);
	mem_free(r);
}

static void
keep(void *item)
{
	(void)item;
}

static uint64_t
revision_bytes(const struct revision *r)
{
	return sizeof *r + (r->doc ? sizeof *r->doc + r->doc->bytes : 0);
}

bool
memory_insert_entry(struct memory_store *m, struct entry *n)
{
	if (!skiplist_insert(m->entries, n))
		return false;
	m->bytes += sizeof *n + n->key.n;
	return true;
}

void
memory_remove_entry(struct memory_store *m, struct entry *n)
{
	m->bytes -= sizeof *n + n->key.n;
	must(skiplist_remove(m->entries, n));
	memory_entry_free(n);
}

bool
memory_insert_revision(struct memory_store *m, struct revision *r)
{
	if (!skiplist_insert(m->revisions, r))
		return false;
	must(skiplist_insert(m->by_doc, r));
	m->bytes += revision_bytes(r);
	return true;
}

void
memory_remove_revision(struct memory_store *m, struct revision *r)
{
	m->bytes -= revision_bytes(r);
	must(skiplist_remove(m->revisions, r));
	must(skiplist_remove(m->by_doc, r));
	revision_free(r);
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
	}
	return r;
}

/* --- writing --- */

static status
put_commit(struct memory_store *m, const struct store_commit *c, struct undo *undo, struct err *e)
{
	for (size_t i = 0; i < c->ndocs; i++) {
		struct revision *r = revision_new(c->ts, &c->docs[i]);

		if (!memory_insert_revision(m, r)) {
			revision_free(r);
			return err_internal(
			    e, "memory store: a document is written twice at one time");
		}
		vec_push(&undo->revisions, r);
	}
	for (size_t i = 0; i < c->nkeys; i++) {
		struct entry *n = entry_new(c->ts, c->ts, &c->keys[i]);

		if (!memory_insert_entry(m, n)) {
			memory_entry_free(n);
			return err_internal(e, "memory store: a key is written twice at one time");
		}
		vec_push(&undo->entries, n);
	}
	return ST_OK;
}

static void
take_back(struct memory_store *m, struct undo *undo)
{
	for (size_t i = 0; i < undo->revisions.n; i++)
		memory_remove_revision(m, undo->revisions.v[i]);
	for (size_t i = 0; i < undo->entries.n; i++)
		memory_remove_entry(m, undo->entries.v[i]);
}

static void
put_backfill(struct memory_store *m, const struct store_backfill_row *row)
{
	struct entry *n = entry_new(row->ts, m->last_ts, &row->key);
	struct entry *old = skiplist_get(m->entries, n);

	if (old) {
		m->bytes -= sizeof *old + old->key.n;
		must(skiplist_remove(m->entries, old));
		n->overwritten = old;
	}
	must(memory_insert_entry(m, n));
}

void
memory_put_global(struct memory_store *m, const struct store_global *g, ts_t written)
{
	struct global         *box = map_get(m->globals, g->key);
	struct global_version *v = mem_alloc(sizeof *v + g->json.n);

	if (!box) {
		box = MEM_NEW(struct global);
		map_put(m->globals, g->key, box);
	}
	v->older = box->newest;
	v->written = written;
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
		memory_put_global(m, &b->globals[i], m->last_ts);
out:
	vec_clear(&undo.entries);
	vec_clear(&undo.revisions);
	return st;
}

/* --- reading --- */

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
memory_revision(void *self, struct uid tablet, uint32_t table_number, struct uid id, ts_t at,
    struct store_log_row *ret, struct err *e)
{
	struct memory_store  *m = self;
	const struct revision probe = { .tablet = tablet, .id = id, .ts = at + 1 };
	MUTEX_GUARD(&m->lock);
	const struct revision *r = skiplist_last_lt(m->by_doc, &probe);

	(void)table_number; /* the documents here know theirs */
	if (!r || !uid_eq(r->tablet, tablet) || !uid_eq(r->id, id))
		return store_no_revision(e);
	*ret = (struct store_log_row){ r->ts, r->tablet, r->id, NULL, r->prev_ts };
	if (r->doc)
		ret->doc = doc_ref(r->doc);
	return ST_OK;
}

static ts_t
memory_settled_ts(void *self)
{
	struct memory_store *m = self;
	MUTEX_GUARD(&m->lock);

	return m->last_ts;
}

static status
memory_stats(void *self, struct store_stats *ret, struct err *e)
{
	struct memory_store *m = self;
	MUTEX_GUARD(&m->lock);

	(void)e;
	*ret = (struct store_stats){ .file_bytes = m->bytes, .data_bytes = m->bytes };
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

/* --- opening and closing --- */

void
memory_pop_global(struct global *g)
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
			memory_pop_global(g);
		mem_free(g);
	}
	map_free(m->globals);
	skiplist_free(m->entries, memory_entry_free);
	skiplist_free(m->by_doc, keep);
	skiplist_free(m->revisions, revision_free);
	pthread_mutex_destroy(&m->lock);
	mem_free(m);
}

const struct store_vtable memory_vtable = {
	.name = "memory",
	.write = memory_write,
	.scan = memory_scan,
	.log = memory_log,
	.revision = memory_revision,
	.prune = memory_prune,
	.erase_index = memory_erase_index,
	.erase_table = memory_erase_table,
	.settled_ts = memory_settled_ts,
	.stats = memory_stats,
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
	m->by_doc = skiplist_new(by_doc_cmp);
	m->globals = map_new();
	*ret = (struct store){ &memory_vtable, m };
}
