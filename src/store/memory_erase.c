/* memory_erase.c - what the memory store forgets: history that is pruned, and the writes that a
 * simulated crash takes back.
 *
 * What is pruned is gone at once and for good, also after a crash, and so are the globals that
 * came with it: store.h asks for no more than that they stay together.
 *
 * Thread and memory: memory_int.h.
 */
#include "runtime/thread.h"
#include "store/memory_int.h"

/* --- pruning --- */

static void
prune_key(struct memory_store *m, const struct store_dead_key *k)
{
	const struct entry probe = { .index = k->index, .key = k->key };
	struct entry      *n;

	while ((n = skiplist_first_ge(m->entries, &probe)) && uid_eq(n->index, k->index) &&
	    str_eq(n->key, k->key) && n->ts <= k->upto)
		memory_remove_entry(m, n);
}

static void
prune_doc(struct memory_store *m, const struct store_dead_doc *d)
{
	const struct revision probe = { .tablet = d->tablet, .id = d->id };
	struct revision      *r;

	while ((r = skiplist_first_ge(m->by_doc, &probe)) && uid_eq(r->tablet, d->tablet) &&
	    uid_eq(r->id, d->id) && r->ts <= d->upto)
		memory_remove_revision(m, r);
}

/* In place of all older versions: no crash brings them back. */
static void
prune_global(struct memory_store *m, const struct store_global *g)
{
	struct global *old = map_get(m->globals, g->key);

	while (old && old->newest)
		memory_pop_global(old);
	memory_put_global(m, g, 0);
}

status
memory_prune(void *self, const struct store_prune *p, struct err *e)
{
	struct memory_store *m = self;
	MUTEX_GUARD(&m->lock);

	(void)e;
	for (size_t i = 0; i < p->nkeys; i++) {
		must(p->keys[i].upto <= m->last_ts);
		prune_key(m, &p->keys[i]);
	}
	for (size_t i = 0; i < p->ndocs; i++) {
		must(p->docs[i].upto <= m->last_ts);
		prune_doc(m, &p->docs[i]);
	}
	for (size_t i = 0; i < p->nglobals; i++)
		prune_global(m, &p->globals[i]);
	return ST_OK;
}

status
memory_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased, struct err *e)
{
	struct memory_store *m = self;
	const struct entry   probe = { .index = index };
	struct entry        *n;
	size_t               erased = 0;
	MUTEX_GUARD(&m->lock);

	(void)e;
	while (erased < limit && (n = skiplist_first_ge(m->entries, &probe)) &&
	    uid_eq(n->index, index)) {
		memory_remove_entry(m, n);
		erased++;
	}
	*ret_erased = erased;
	return ST_OK;
}

status
memory_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased, struct err *e)
{
	struct memory_store  *m = self;
	const struct revision probe = { .tablet = tablet };
	struct revision      *r;
	size_t                erased = 0;
	MUTEX_GUARD(&m->lock);

	(void)e;
	while (erased < limit && (r = skiplist_first_ge(m->by_doc, &probe)) &&
	    uid_eq(r->tablet, tablet)) {
		memory_remove_revision(m, r);
		erased++;
	}
	*ret_erased = erased;
	return ST_OK;
}

/* --- the simulator's crash --- */

/* What a backfill has overwritten comes back. */
static void
uncover(struct memory_store *m, struct entry *n, ts_t durable)
{
	struct entry *under = n->overwritten;

	n->overwritten = NULL;
	memory_remove_entry(m, n);
	while (under && under->written > durable) {
		struct entry *next = under->overwritten;

		under->overwritten = NULL;
		memory_entry_free(under);
		under = next;
	}
	if (under)
		must(memory_insert_entry(m, under));
}

static void
forget_entries(struct memory_store *m, ts_t durable)
{
	struct entry *n = skiplist_first(m->entries);

	while (n) {
		struct entry *next = skiplist_first_gt(m->entries, n);

		if (n->written > durable)
			uncover(m, n, durable);
		n = next;
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
			memory_pop_global(g);
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
	while ((r = skiplist_last(m->revisions)) && r->ts > durable)
		memory_remove_revision(m, r);
	forget_globals(m, durable);
	if (m->last_ts > durable)
		m->last_ts = durable;
}
