/* tree_life.c - entries, versions, dead lists, snapshots and the bytes of it all (tree.h).
 *
 * Bytes are live while the newest version sees them, then dead until they are freed.  A
 * document dies with the last live entry that holds it.
 *
 * Thread, memory: see tree.h.
 */
#include <stddef.h>

#include "database/tree_int.h"

/* --- bytes --- */

size_t
entry_key_bytes(const struct entry *e)
{
	return mem_chunk(offsetof(struct entry, key) + e->n);
}

size_t
entry_bytes(const struct entry *e)
{
	return entry_key_bytes(e) + (e->doc && e->doc->held == 1 ? doc_bytes(e->doc) : 0);
}

void
tree_charge_entry(struct tree *t, struct entry *e)
{
	if (e->doc)
		e->doc->held++;
	t->live += entry_bytes(e);
}

static size_t
discharge_entry(struct tree *t, struct entry *e)
{
	size_t n = entry_bytes(e);

	if (e->doc) {
		must(e->doc->held > 0);
		e->doc->held--;
	}
	t->live -= n;
	return n;
}

/* --- entries --- */

struct entry *
entry_new_take(str key, enum entry_kind kind, bool gap, struct doc *doc)
{
	struct entry *e = mem_alloc(offsetof(struct entry, key) + key.n);

	must(key.n < UINT32_MAX && (doc != NULL) == (kind == ENTRY_DOC));
	e->birth = 0;
	e->doc = doc;
	e->n = (uint32_t)key.n;
	e->kind = (unsigned)kind & 0x7fu;
	e->gap = gap;
	atomic_init(&e->heat, 0);
	if (key.n)
		memcpy(e->key, key.p, key.n);
	return e;
}

void
entry_free(struct entry *e)
{
	if (!e)
		return;
	doc_unref(e->doc);
	mem_free(e);
}

/* --- versions and dead lists --- */

static size_t
node_size(bool leaf)
{
	return sizeof(struct node) + (leaf ? 0 : FAN * sizeof(struct node *));
}

size_t
node_bytes(bool leaf)
{
	return mem_chunk(node_size(leaf));
}

static void
bury(struct tree *t, struct tree_snap *s, struct tree_garbage g)
{
	if (s && s->version >= g.birth)
		vec_push(&s->dead.items, g);
	else
		vec_push(&t->trash.items, g);
}

static void
retire(struct tree *t, struct tree_garbage g)
{
	atomic_fetch_add_explicit(&t->dead, g.bytes, memory_order_relaxed);
	bury(t, t->newest, g);
}

void
tree_retire_entry(struct tree *t, struct entry *e)
{
	retire(t, (struct tree_garbage){ (uintptr_t)e, e->birth, discharge_entry(t, e) });
}

void
tree_retire_node(struct tree *t, struct node *n)
{
	size_t bytes = node_bytes(n->leaf);

	t->live -= bytes;
	retire(t, (struct tree_garbage){ (uintptr_t)n | 1, n->birth, bytes });
}

void
tree_begin_change(struct tree *t)
{
	if (t->sealed) {
		t->version++;
		t->sealed = false;
	}
}

struct node *
node_new(struct tree *t, bool leaf)
{
	struct node *n = mem_alloc(node_size(leaf));

	t->live += node_bytes(leaf);
	n->birth = t->version;
	n->changed = 0;
	n->n = 0;
	n->skip = 0;
	n->leaf = leaf;
	return n;
}

struct node *
node_own(struct tree *t, struct node *n)
{
	struct node *copy;
	size_t       keys = node_keys(n);

	if (n->birth == t->version)
		return n;
	copy = node_new(t, n->leaf);
	copy->n = n->n;
	copy->skip = n->skip;
	copy->changed = n->changed;
	memcpy(copy->heads, n->heads, keys * sizeof *n->heads);
	memcpy(copy->keys, n->keys, keys * sizeof(struct entry *));
	if (!n->leaf)
		memcpy(copy->kids, n->kids, n->n * sizeof(struct node *));
	tree_retire_node(t, n);
	return copy;
}

/* --- the tree and its snapshots --- */

struct tree *
tree_new(void)
{
	struct tree *t = MEM_NEW(struct tree);

	t->version = 1;
	t->root = node_new(t, true);
	return t;
}

static void
node_free(struct tree *t, struct node *n)
{
	for (size_t i = 0; i < node_keys(n); i++) {
		(void)discharge_entry(t, n->keys[i]);
		entry_free(n->keys[i]);
	}
	for (size_t i = 0; !n->leaf && i < n->n; i++)
		node_free(t, n->kids[i]);
	t->live -= node_bytes(n->leaf);
	mem_free(n);
}

void
tree_free(struct tree *t)
{
	if (!t)
		return;
	must(!t->newest);
	node_free(t, t->root);
	tree_trash_free(t, &t->trash);
	must(t->live == 0 && tree_dead_bytes(t) == 0);
	mem_free(t);
}

size_t
tree_count(const struct tree *t)
{
	return t->count;
}

size_t
tree_live_bytes(const struct tree *t)
{
	return t->live;
}

size_t
tree_dead_bytes(const struct tree *t)
{
	return atomic_load_explicit(&t->dead, memory_order_relaxed);
}

void
tree_stamp(struct tree *t, ts_t ts)
{
	t->stamp = ts;
}

const struct node *
tree_root(const struct tree *t)
{
	return t->root;
}

struct tree_snap *
tree_snapshot(struct tree *t)
{
	struct tree_snap *s = t->newest;

	if (t->sealed && s && s->version == t->version)
		return tree_snap_ref(s);
	s = MEM_NEW(struct tree_snap);
	s->refs = 1;
	s->version = t->version;
	s->root = t->root;
	s->older = t->newest;
	if (s->older)
		s->older->newer = s;
	t->newest = s;
	t->sealed = true;
	return s;
}

struct tree_snap *
tree_snap_ref(struct tree_snap *s)
{
	s->refs++;
	return s;
}

void
tree_snap_unref(struct tree *t, struct tree_snap *s)
{
	struct tree_snap *older = s->older;

	must(s->refs > 0);
	if (--s->refs > 0)
		return;
	for (size_t i = 0; i < s->dead.items.n; i++)
		bury(t, older, s->dead.items.v[i]);
	vec_clear(&s->dead.items);
	if (older)
		older->newer = s->newer;
	if (s->newer)
		s->newer->older = older;
	else
		t->newest = older;
	mem_free(s);
}

void
tree_take_trash(struct tree *t, struct tree_trash *ret)
{
	*ret = t->trash;
	memset(&t->trash, 0, sizeof t->trash);
}

void
tree_trash_free(struct tree *t, struct tree_trash *trash)
{
	size_t bytes = 0;

	for (size_t i = 0; i < trash->items.n; i++) {
		struct tree_garbage g = trash->items.v[i];

		bytes += g.bytes;
		if (g.what & 1)
			mem_free((void *)(g.what & ~(uintptr_t)1));
		else
			entry_free((struct entry *)g.what);
	}
	vec_clear(&trash->items);
	atomic_fetch_sub_explicit(&t->dead, bytes, memory_order_relaxed);
}
