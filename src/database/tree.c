/* tree.c - nodes, search, splitting and merging, dead lists (tree.h).
 *
 * A leaf holds up to FAN entries; an inner node up to FAN children with n-1 separators
 * between them, so that child i holds the keys in [sep i-1, sep i).  Separators are the
 * shortest byte strings that separate, and belong to the tree.
 *
 * Keys are reached by pointer, which would cost a cache miss per comparison.  So a node
 * keeps `skip`, a length up to which all its keys agree, and for each key the next eight bytes
 * as a big-endian number: nearly every comparison is one of two integers.
 *
 * Thread, memory: see tree.h.
 */
#include "database/tree.h"

#include "base/mem.h"
#include "base/must.h"

#define FAN       48
#define FAN_SMALL (FAN / 4) /* a child with fewer looks for a sibling to merge with */

struct node {
	uint64_t      birth;
	uint16_t      n;    /* leaf: entries; inner: children */
	uint16_t      skip; /* all keys of this node agree up to here */
	bool          leaf;
	uint64_t      heads[FAN];
	struct entry *keys[FAN];   /* inner: separators, n-1 of them */
	struct node  *kids[];      /* inner: FAN of them */
};

struct tree {
	struct node      *root;
	uint64_t          version;
	bool              sealed; /* a snapshot of `version` was taken */
	size_t            count;
	struct tree_snap *newest;
	struct tree_trash trash;
};

/* --- entries --- */

struct entry *
entry_new_take(str key, enum entry_kind kind, bool gap, struct doc *doc)
{
	struct entry *e = mem_alloc(sizeof *e + key.n);

	must(key.n < UINT32_MAX && (doc != NULL) == (kind == ENTRY_DOC));
	e->birth = 0;
	e->doc = doc;
	e->n = (uint32_t)key.n;
	e->kind = (uint8_t)kind;
	e->gap = gap;
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

/* --- search --- */

static uint64_t
head_of(str key, size_t skip)
{
	uint64_t h = 0;
	size_t   n = key.n > skip ? key.n - skip : 0;

	if (n >= 8) {
		memcpy(&h, key.p + skip, 8);
		return __builtin_bswap64(h);
	}
	for (size_t i = 0; i < n; i++)
		h |= (uint64_t)(uint8_t)key.p[skip + i] << (56 - 8 * i);
	return h;
}

static size_t
common_prefix(str a, str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	size_t i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	return i;
}

static size_t
node_keys(const struct node *n)
{
	return n->leaf ? n->n : (size_t)n->n - 1;
}

/* First position whose key is >= `key` (upper: > `key`). */
static size_t
node_search(const struct node *n, str key, bool upper)
{
	size_t   lo = 0, hi = node_keys(n);
	uint64_t head;

	if (hi == 0)
		return 0;
	if (n->skip) {
		size_t m = key.n < n->skip ? key.n : n->skip;
		int    c = m ? memcmp(key.p, n->keys[0]->key, m) : 0;

		if (c < 0 || (c == 0 && key.n < n->skip))
			return 0;
		if (c > 0)
			return hi;
	}
	head = head_of(key, n->skip);
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int    c;

		if (n->heads[mid] != head)
			c = n->heads[mid] < head ? -1 : 1;
		else
			c = str_cmp(str_from(entry_key(n->keys[mid]), n->skip),
			    str_from(key, n->skip));
		if (c < 0 || (upper && c == 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- versions and dead lists --- */

static void
retire(struct tree *t, uintptr_t what, uint64_t birth)
{
	struct tree_garbage g = { what, birth };

	if (t->newest && t->newest->version >= birth)
		vec_push(&t->newest->dead.items, g);
	else
		vec_push(&t->trash.items, g);
}

static void
retire_entry(struct tree *t, struct entry *e)
{
	retire(t, (uintptr_t)e, e->birth);
}

static void
retire_node(struct tree *t, struct node *n)
{
	retire(t, (uintptr_t)n | 1, n->birth);
}

/* Every change starts here: what a snapshot has seen is not touched again. */
static void
begin_change(struct tree *t)
{
	if (t->sealed) {
		t->version++;
		t->sealed = false;
	}
}

static size_t
node_bytes(bool leaf)
{
	return sizeof(struct node) + (leaf ? 0 : FAN * sizeof(struct node *));
}

static struct node *
node_new(struct tree *t, bool leaf)
{
	struct node *n = mem_alloc(node_bytes(leaf));

	n->birth = t->version;
	n->n = 0;
	n->skip = 0;
	n->leaf = leaf;
	return n;
}

/* `n` itself if the writer made it in this version, else a copy that takes its place. */
static struct node *
node_own(struct tree *t, struct node *n)
{
	struct node *copy;
	size_t       keys = node_keys(n);

	if (n->birth == t->version)
		return n;
	copy = node_new(t, n->leaf);
	copy->n = n->n;
	copy->skip = n->skip;
	memcpy(copy->heads, n->heads, keys * sizeof *n->heads);
	memcpy(copy->keys, n->keys, keys * sizeof(struct entry *));
	if (!n->leaf)
		memcpy(copy->kids, n->kids, n->n * sizeof(struct node *));
	retire_node(t, n);
	return copy;
}

/* --- arrays inside a node --- */

/* Recomputes skip and heads after the set of keys changed by more than one. */
static void
node_index(struct node *n)
{
	size_t keys = node_keys(n);

	n->skip = 0;
	if (keys == 0)
		return;
	size_t skip = common_prefix(entry_key(n->keys[0]), entry_key(n->keys[keys - 1]));
	n->skip = (uint16_t)(skip < UINT16_MAX ? skip : UINT16_MAX);
	for (size_t i = 0; i < keys; i++)
		n->heads[i] = head_of(entry_key(n->keys[i]), n->skip);
}

/* Opens a slot at `i` in the first `keys` keys and fills it; the caller counts. */
static void
keys_insert(struct node *n, size_t keys, size_t i, struct entry *e)
{
	memmove(n->keys + i + 1, n->keys + i, (keys - i) * sizeof(struct entry *));
	memmove(n->heads + i + 1, n->heads + i, (keys - i) * sizeof *n->heads);
	n->keys[i] = e;
	n->heads[i] = head_of(entry_key(e), n->skip);
}

/* True if the new key agrees with the node's common prefix. */
static bool
fits_skip(const struct node *n, const struct entry *e)
{
	return node_keys(n) > 0 && e->n >= n->skip &&
	    memcmp(e->key, n->keys[0]->key, n->skip) == 0;
}

static void
keys_remove(struct node *n, size_t keys, size_t i)
{
	memmove(n->keys + i, n->keys + i + 1, (keys - i - 1) * sizeof(struct entry *));
	memmove(n->heads + i, n->heads + i + 1, (keys - i - 1) * sizeof *n->heads);
}

static void
leaf_insert(struct node *n, size_t i, struct entry *e)
{
	bool fits = fits_skip(n, e);

	keys_insert(n, n->n, i, e);
	n->n++;
	if (!fits)
		node_index(n);
}

static void
inner_insert(struct node *n, size_t i, struct entry *sep, struct node *right)
{
	size_t keys = node_keys(n);
	bool   fits = fits_skip(n, sep);

	keys_insert(n, keys, i, sep);
	memmove(n->kids + i + 2, n->kids + i + 1, (n->n - i - 1) * sizeof(struct node *));
	n->kids[i + 1] = right;
	n->n++;
	if (!fits)
		node_index(n);
}

/* --- adding --- */

struct split {
	struct entry *sep; /* NULL: no split */
	struct node  *right;
};

static struct entry *
separator(struct tree *t, const struct entry *left, const struct entry *right)
{
	size_t        n = common_prefix(entry_key(left), entry_key(right)) + 1;
	struct entry *sep;

	must(n <= right->n); /* left < right, so right is no prefix of left */
	sep = entry_new_take(str_of(right->key, n), ENTRY_SEP, false, NULL);
	sep->birth = t->version;
	return sep;
}

/* Where to cut a full leaf that gets a key at `i`: keys that come in ascending order leave
 * full leaves behind. */
static size_t
cut_at(size_t i)
{
	return i > FAN * 3 / 4 ? i : FAN / 2;
}

static void
leaf_split(struct tree *t, struct node *n, size_t i, struct entry *e, struct split *ret)
{
	size_t       cut = cut_at(i);
	struct node *right = node_new(t, true);

	right->n = (uint16_t)(FAN - cut);
	memcpy(right->keys, n->keys + cut, right->n * sizeof(struct entry *));
	n->n = (uint16_t)cut;
	node_index(n);
	node_index(right);
	if (i < cut || (i == cut && cut < FAN))
		leaf_insert(n, i, e);
	else
		leaf_insert(right, i - cut, e);
	ret->sep = separator(t, n->keys[n->n - 1], right->keys[0]);
	ret->right = right;
}

static void
inner_split(struct tree *t, struct node *n, size_t i, struct split *kid, struct split *ret)
{
	size_t       cut = cut_at(i) < FAN - 1 ? cut_at(i) : FAN - 2; /* kids that stay */
	struct node *right = node_new(t, false);

	right->n = (uint16_t)(FAN - cut);
	memcpy(right->kids, n->kids + cut, right->n * sizeof(struct node *));
	memcpy(right->keys, n->keys + cut, node_keys(right) * sizeof(struct entry *));
	ret->sep = n->keys[cut - 1];
	ret->right = right;
	n->n = (uint16_t)cut;
	node_index(n);
	node_index(right);
	if (i < cut)
		inner_insert(n, i, kid->sep, kid->right);
	else
		inner_insert(right, i - cut, kid->sep, kid->right);
}

static void
node_put(struct tree *t, struct node **slot, struct entry *e, struct split *ret)
{
	struct node *n = *slot = node_own(t, *slot);
	struct split kid = { NULL, NULL };
	size_t       i;

	ret->sep = NULL;
	if (n->leaf) {
		i = node_search(n, entry_key(e), false);
		if (i < n->n && str_eq(entry_key(n->keys[i]), entry_key(e))) {
			retire_entry(t, n->keys[i]);
			n->keys[i] = e;
			return;
		}
		t->count++;
		if (n->n < FAN)
			leaf_insert(n, i, e);
		else
			leaf_split(t, n, i, e, ret);
		return;
	}
	i = node_search(n, entry_key(e), true);
	node_put(t, &n->kids[i], e, &kid);
	if (!kid.sep)
		return;
	if (n->n < FAN)
		inner_insert(n, i, kid.sep, kid.right);
	else
		inner_split(t, n, i, &kid, ret);
}

void
tree_put_take(struct tree *t, struct entry *e)
{
	struct split s;
	struct node *root;

	begin_change(t);
	e->birth = t->version;
	node_put(t, &t->root, e, &s);
	if (!s.sep)
		return;
	root = node_new(t, false);
	root->kids[0] = t->root;
	root->n = 1;
	inner_insert(root, 0, s.sep, s.right);
	t->root = root;
}

/* --- removing --- */

/* Moves the content of kids[i+1] into kids[i]; both fit into one. */
static void
merge_kids(struct tree *t, struct node *n, size_t i)
{
	struct node *a = n->kids[i] = node_own(t, n->kids[i]);
	struct node *b = n->kids[i + 1];
	size_t       ak = node_keys(a), bk = node_keys(b);

	if (!a->leaf) {
		a->keys[ak++] = n->keys[i]; /* comes down between them */
		memcpy(a->kids + a->n, b->kids, b->n * sizeof(struct node *));
	} else {
		retire_entry(t, n->keys[i]);
	}
	memcpy(a->keys + ak, b->keys, bk * sizeof(struct entry *));
	a->n = (uint16_t)(a->n + b->n);
	node_index(a);
	retire_node(t, b);
	keys_remove(n, node_keys(n), i);
	memmove(n->kids + i + 1, n->kids + i + 2, (n->n - i - 2) * sizeof(struct node *));
	n->n--;
}

static void
drop_empty_kid(struct tree *t, struct node *n, size_t i)
{
	size_t sep = i > 0 ? i - 1 : 0;

	retire_node(t, n->kids[i]);
	if (n->n > 1) {
		retire_entry(t, n->keys[sep]);
		keys_remove(n, node_keys(n), sep);
	}
	memmove(n->kids + i, n->kids + i + 1, (n->n - i - 1) * sizeof(struct node *));
	n->n--;
}

static void
mend_kid(struct tree *t, struct node *n, size_t i)
{
	const struct node *kid = n->kids[i];

	if (kid->n == 0)
		drop_empty_kid(t, n, i);
	else if (kid->n >= FAN_SMALL)
		return;
	else if (i + 1 < n->n && kid->n + n->kids[i + 1]->n <= FAN * 3 / 4)
		merge_kids(t, n, i);
	else if (i > 0 && kid->n + n->kids[i - 1]->n <= FAN * 3 / 4)
		merge_kids(t, n, i - 1);
}

/* The key is known to be there. */
static void
node_del(struct tree *t, struct node **slot, str key)
{
	struct node *n = *slot = node_own(t, *slot);
	size_t       i = node_search(n, key, !n->leaf);

	if (n->leaf) {
		must(i < n->n && str_eq(entry_key(n->keys[i]), key));
		retire_entry(t, n->keys[i]);
		keys_remove(n, n->n, i);
		n->n--;
		if (n->n == 0)
			n->skip = 0;
		return;
	}
	node_del(t, &n->kids[i], key);
	mend_kid(t, n, i);
}

bool
tree_del(struct tree *t, str key)
{
	struct cursor c;
	struct entry *e = cursor_le(&c, t->root, key);

	if (!e || !str_eq(entry_key(e), key))
		return false;
	begin_change(t);
	node_del(t, &t->root, key);
	t->count--;
	while (!t->root->leaf && t->root->n <= 1) {
		struct node *old = t->root;

		t->root = old->n ? old->kids[0] : node_new(t, true);
		retire_node(t, old);
	}
	return true;
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
node_free(struct node *n)
{
	for (size_t i = 0; i < node_keys(n); i++)
		entry_free(n->keys[i]);
	for (size_t i = 0; !n->leaf && i < n->n; i++)
		node_free(n->kids[i]);
	mem_free(n);
}

void
tree_free(struct tree *t)
{
	if (!t)
		return;
	must(!t->newest);
	node_free(t->root);
	tree_trash_free(&t->trash);
	mem_free(t);
}

size_t
tree_count(const struct tree *t)
{
	return t->count;
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
	for (size_t i = 0; i < s->dead.items.n; i++) {
		struct tree_garbage g = s->dead.items.v[i];

		if (older && older->version >= g.birth)
			vec_push(&older->dead.items, g);
		else
			vec_push(&t->trash.items, g);
	}
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
tree_trash_free(struct tree_trash *trash)
{
	for (size_t i = 0; i < trash->items.n; i++) {
		uintptr_t what = trash->items.v[i].what;

		if (what & 1)
			mem_free((void *)(what & ~(uintptr_t)1));
		else
			entry_free((struct entry *)what);
	}
	vec_clear(&trash->items);
}

/* --- cursors --- */

static struct entry *
cursor_entry(const struct cursor *c)
{
	return c->path[c->depth - 1]->keys[c->at[c->depth - 1]];
}

/* Down to the first or last entry below kids[at] of the deepest level. */
static struct entry *
cursor_descend(struct cursor *c, bool last)
{
	const struct node *n = c->path[c->depth - 1];

	while (!n->leaf) {
		n = n->kids[c->at[c->depth - 1]];
		must(c->depth < TREE_DEPTH_MAX && n->n > 0);
		c->path[c->depth] = n;
		c->at[c->depth++] = (uint16_t)(last ? n->n - 1 : 0);
	}
	return cursor_entry(c);
}

struct entry *
cursor_next(struct cursor *c)
{
	while (c->depth > 0) {
		int top = c->depth - 1;

		if (c->at[top] + 1 < c->path[top]->n) {
			c->at[top]++;
			return cursor_descend(c, false);
		}
		c->depth--;
	}
	return NULL;
}

struct entry *
cursor_prev(struct cursor *c)
{
	while (c->depth > 0) {
		int top = c->depth - 1;

		if (c->at[top] > 0) {
			c->at[top]--;
			return cursor_descend(c, true);
		}
		c->depth--;
	}
	return NULL;
}

/* Down to the leaf that `key` belongs to; the position in the leaf may be one past its end. */
static void
cursor_seek(struct cursor *c, const struct node *root, str key, bool upper)
{
	c->depth = 0;
	for (const struct node *n = root;; n = n->kids[c->at[c->depth - 1]]) {
		must(c->depth < TREE_DEPTH_MAX);
		c->path[c->depth] = n;
		c->at[c->depth++] = (uint16_t)node_search(n, key, n->leaf ? upper : true);
		if (n->leaf)
			return;
	}
}

struct entry *
cursor_le(struct cursor *c, const struct node *root, str key)
{
	cursor_seek(c, root, key, true);
	return cursor_prev(c);
}

struct entry *
cursor_lt(struct cursor *c, const struct node *root, str key)
{
	cursor_seek(c, root, key, false);
	return cursor_prev(c);
}

struct entry *
cursor_ge(struct cursor *c, const struct node *root, str key)
{
	int top;

	cursor_seek(c, root, key, false);
	top = c->depth - 1;
	if (c->at[top] < c->path[top]->n)
		return cursor_entry(c);
	return cursor_next(c);
}

/* --- self-check --- */

static size_t
check_node(const struct node *n, const struct entry *lo, const struct entry *hi, size_t depth,
    size_t *nodes, size_t *leaf_depth)
{
	size_t count = 0, keys = node_keys(n);

	(*nodes)++;
	for (size_t i = 0; i < keys; i++) {
		str key = entry_key(n->keys[i]);

		must(n->heads[i] == head_of(key, n->skip));
		must(key.n >= n->skip && memcmp(key.p, n->keys[0]->key, n->skip) == 0);
		must(i == 0 || str_cmp(entry_key(n->keys[i - 1]), key) < 0);
		must(!lo || str_cmp(entry_key(lo), key) <= 0);
		must(!hi || str_cmp(key, entry_key(hi)) < 0);
		must((n->keys[i]->kind == ENTRY_SEP) == !n->leaf);
	}
	if (n->leaf) {
		must(*leaf_depth == 0 || *leaf_depth == depth);
		*leaf_depth = depth;
		return n->n;
	}
	must(n->n >= 1);
	for (size_t i = 0; i < n->n; i++) {
		must(n->kids[i]->n > 0);
		count += check_node(n->kids[i], i ? n->keys[i - 1] : lo,
		    i < keys ? n->keys[i] : hi, depth + 1, nodes, leaf_depth);
	}
	return count;
}

void
tree_check(const struct tree *t, size_t *ret_nodes, size_t *ret_depth)
{
	size_t nodes = 0, depth = 0;

	must(check_node(t->root, NULL, NULL, 1, &nodes, &depth) == t->count);
	*ret_nodes = nodes;
	*ret_depth = depth;
}
