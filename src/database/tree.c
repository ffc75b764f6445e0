/* tree.c - adding and removing: splits and merges, on nodes that the writer owns (tree.h).
 *
 * Thread, memory: see tree.h.
 */
#include "database/tree_int.h"

#define FAN_SMALL (FAN / 4) /* a child with fewer looks for a sibling to merge with */

/* --- arrays inside a node --- */

/* Recomputes skip and heads after the set of keys changed by more than one. */
static void
node_index(struct node *n)
{
	size_t keys = node_keys(n);

	n->skip = 0;
	if (keys == 0)
		return;
	size_t skip = key_common_prefix(entry_key(n->keys[0]), entry_key(n->keys[keys - 1]));
	n->skip = (uint16_t)(skip < UINT16_MAX ? skip : UINT16_MAX);
	for (size_t i = 0; i < keys; i++)
		n->heads[i] = node_head_of(entry_key(n->keys[i]), n->skip);
}

/* Opens a slot at `i` in the first `keys` keys and fills it; the caller counts. */
static void
keys_insert(struct node *n, size_t keys, size_t i, struct entry *e)
{
	memmove(n->keys + i + 1, n->keys + i, (keys - i) * sizeof(struct entry *));
	memmove(n->heads + i + 1, n->heads + i, (keys - i) * sizeof *n->heads);
	n->keys[i] = e;
	n->heads[i] = node_head_of(entry_key(e), n->skip);
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
	size_t        n = key_common_prefix(entry_key(left), entry_key(right)) + 1;
	struct entry *sep;

	must(n <= right->n); /* left < right, so right is no prefix of left */
	sep = entry_new_take(str_of(right->key, n), ENTRY_SEP, false, NULL);
	sep->birth = t->version;
	tree_charge_entry(t, sep);
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
	right->changed = n->changed;
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

/* The leaf is ours: it was changed by a commit at `ts`. */
static void
leaf_stamp(struct node *n, ts_t ts)
{
	if (n->changed < ts)
		n->changed = ts;
}

static void
node_put(struct tree *t, struct node **slot, struct entry *e, struct split *ret)
{
	struct node *n = *slot = node_own(t, *slot);
	struct split kid = { NULL, NULL };
	size_t       i;

	ret->sep = NULL;
	if (n->leaf) {
		leaf_stamp(n, t->stamp);
		i = node_search(n, entry_key(e), false);
		if (i < n->n && str_eq(entry_key(n->keys[i]), entry_key(e))) {
			tree_retire_entry(t, n->keys[i]);
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

	tree_begin_change(t);
	e->birth = t->version;
	tree_charge_entry(t, e);
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
		tree_retire_entry(t, n->keys[i]);
		leaf_stamp(a, b->changed);
	}
	memcpy(a->keys + ak, b->keys, bk * sizeof(struct entry *));
	a->n = (uint16_t)(a->n + b->n);
	node_index(a);
	tree_retire_node(t, b);
	keys_remove(n, node_keys(n), i);
	memmove(n->kids + i + 1, n->kids + i + 2, (n->n - i - 2) * sizeof(struct node *));
	n->n--;
}

static void
drop_empty_kid(struct tree *t, struct node *n, size_t i)
{
	size_t sep = i > 0 ? i - 1 : 0;

	tree_retire_node(t, n->kids[i]);
	if (n->n > 1) {
		tree_retire_entry(t, n->keys[sep]);
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

/* A change that takes entries out of one leaf. */
struct thin {
	str      key;        /* in the leaf */
	uint64_t drop, open; /* tree_thin(); drop all ones: only the entry at the key */
};

static struct entry *
entry_opened(struct tree *t, const struct entry *e)
{
	struct doc   *doc = e->doc ? doc_ref(e->doc) : NULL;
	struct entry *open = entry_new_take(entry_key(e), (enum entry_kind)e->kind, true, doc);

	atomic_init(&open->heat, atomic_load_explicit(&e->heat, memory_order_relaxed));
	open->birth = t->version;
	tree_charge_entry(t, open);
	return open;
}

static void
leaf_thin(struct tree *t, struct node *n, const struct thin *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->n; i++) {
		struct entry *e = n->keys[i];

		if (w->drop >> i & 1) {
			tree_retire_entry(t, e);
			continue;
		}
		if (w->open >> i & 1) {
			n->keys[kept++] = entry_opened(t, e);
			tree_retire_entry(t, e);
		} else {
			n->keys[kept++] = e;
		}
	}
	t->count -= n->n - kept;
	n->n = (uint16_t)kept;
	node_index(n);
}

static void
leaf_del(struct tree *t, struct node *n, str key)
{
	size_t i = node_search(n, key, false);

	must(i < n->n && str_eq(entry_key(n->keys[i]), key));
	leaf_stamp(n, t->stamp);
	tree_retire_entry(t, n->keys[i]);
	keys_remove(n, n->n, i);
	t->count--;
	if (--n->n == 0)
		n->skip = 0;
}

static void
node_thin(struct tree *t, struct node **slot, const struct thin *w)
{
	struct node *n = *slot = node_own(t, *slot);
	size_t       i;

	if (n->leaf) {
		if (w->drop == UINT64_MAX)
			leaf_del(t, n, w->key);
		else
			leaf_thin(t, n, w);
		return;
	}
	i = node_search(n, w->key, true);
	node_thin(t, &n->kids[i], w);
	mend_kid(t, n, i);
}

static void
thin(struct tree *t, const struct thin *w)
{
	tree_begin_change(t);
	node_thin(t, &t->root, w);
	while (!t->root->leaf && t->root->n <= 1) {
		struct node *old = t->root;

		t->root = old->n ? old->kids[0] : node_new(t, true);
		tree_retire_node(t, old);
	}
}

void
tree_thin(struct tree *t, str key, uint64_t drop, uint64_t open)
{
	_Static_assert(FAN < 64, "a bit for each entry, and all ones free");
	must(drop != UINT64_MAX && (drop & open) == 0);
	thin(t, &(struct thin){ key, drop, open });
}

static void
node_stamp(struct tree *t, struct node **slot, str key, ts_t ts)
{
	struct node *n = *slot = node_own(t, *slot);

	if (n->leaf)
		leaf_stamp(n, ts);
	else
		node_stamp(t, &n->kids[node_search(n, key, true)], key, ts);
}

/* The range of the entry at the cursor falls to the entry before it.  If that one is in another
 * leaf, the news must go there. */
static void
hand_over(struct tree *t, struct cursor *c)
{
	const struct node *leaf = c->path[c->depth - 1];
	ts_t               changed = leaf->changed < t->stamp ? t->stamp : leaf->changed;
	struct entry      *before;

	if (c->at[c->depth - 1] > 0 || !(before = cursor_prev(c)))
		return;
	if (c->path[c->depth - 1]->changed < changed)
		node_stamp(t, &t->root, entry_key(before), changed);
}

bool
tree_del(struct tree *t, str key)
{
	struct cursor c;
	struct entry *e = cursor_le(&c, t->root, key);

	if (!e || !str_eq(entry_key(e), key))
		return false;
	tree_begin_change(t);
	hand_over(t, &c);
	thin(t, &(struct thin){ key, UINT64_MAX, 0 });
	return true;
}
