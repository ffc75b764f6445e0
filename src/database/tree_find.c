/* tree_find.c - search, cursors and the self-check (tree.h).
 *
 * Thread: any, on a root that does not change meanwhile.  Memory: none.
 */
#include "database/tree_int.h"

#define CACHE_LINE 64
#define AHEAD      8   /* entries of a scan that are fetched before they are due */
#define DOC_AHEAD  256 /* bytes of a document */

/* --- search --- */

size_t
key_common_prefix(str a, str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	size_t i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	return i;
}

size_t
node_search(const struct node *n, str key, bool upper)
{
	size_t   lo = 0, hi = node_keys(n);
	uint32_t head;

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
	head = node_head_of(key, n->skip);
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

/* Entries and documents lie anywhere: without this a scan waits for each of them in turn. */
void
cursor_prefetch(const struct cursor *c, bool back)
{
	const struct node *n = c->path[c->depth - 1];
	size_t             at = c->at[c->depth - 1];
	size_t             far = back ? at - AHEAD : at + AHEAD; /* may wrap around: too large */
	size_t             near = back ? at - AHEAD / 2 : at + AHEAD / 2;

	if (far < n->n) {
		__builtin_prefetch(n->keys[far]);
		__builtin_prefetch((const char *)n->keys[far] + CACHE_LINE);
	}
	if (near < n->n && n->keys[near]->doc)
		for (size_t i = 0; i < DOC_AHEAD; i += CACHE_LINE)
			__builtin_prefetch((const char *)n->keys[near]->doc + i);
}

ts_t
cursor_changed(const struct cursor *c)
{
	return c->path[c->depth - 1]->changed;
}

/* --- leaves --- */

static bool
leaf_at(const struct cursor *c, const struct entry *e, struct tree_leaf *ret)
{
	const struct node *n = e ? c->path[c->depth - 1] : NULL;

	if (!n)
		return false;
	ret->n = n->n;
	ret->v = n->keys;
	ret->changed = n->changed;
	return true;
}

bool
tree_leaf_ge(const struct tree *t, str key, struct tree_leaf *ret)
{
	struct cursor c;
	struct entry *e = cursor_ge(&c, t->root, key);

	return leaf_at(&c, e, ret);
}

bool
tree_leaf_lt(const struct tree *t, str key, struct tree_leaf *ret)
{
	struct cursor c;
	struct entry *e = cursor_lt(&c, t->root, key);

	return leaf_at(&c, e, ret);
}

/* --- self-check --- */

struct check {
	size_t nodes, leaf_depth;
	size_t bytes;     /* of nodes and keys */
	double doc_bytes; /* each entry counts its part */
};

static void
check_bytes(struct check *ck, const struct entry *e)
{
	ck->bytes += entry_key_bytes(e);
	if (!e->doc)
		return;
	must(e->doc->held > 0);
	ck->doc_bytes += (double)doc_bytes(e->doc) / e->doc->held;
}

static size_t
check_node(const struct node *n, const struct entry *lo, const struct entry *hi, size_t depth,
    struct check *ck)
{
	size_t count = 0, keys = node_keys(n);

	ck->nodes++;
	ck->bytes += node_bytes(n->leaf);
	for (size_t i = 0; i < keys; i++) {
		str key = entry_key(n->keys[i]);

		must(n->heads[i] == node_head_of(key, n->skip));
		must(key.n >= n->skip && memcmp(key.p, n->keys[0]->key, n->skip) == 0);
		must(i == 0 || str_cmp(entry_key(n->keys[i - 1]), key) < 0);
		must(!lo || str_cmp(entry_key(lo), key) <= 0);
		must(!hi || str_cmp(key, entry_key(hi)) < 0);
		must((n->keys[i]->kind == ENTRY_SEP) == !n->leaf);
		check_bytes(ck, n->keys[i]);
	}
	if (n->leaf) {
		must(ck->leaf_depth == 0 || ck->leaf_depth == depth);
		ck->leaf_depth = depth;
		return n->n;
	}
	must(n->n >= 1);
	for (size_t i = 0; i < n->n; i++) {
		must(n->kids[i]->n > 0);
		count += check_node(n->kids[i], i ? n->keys[i - 1] : lo,
		    i < keys ? n->keys[i] : hi, depth + 1, ck);
	}
	return count;
}

void
tree_check(const struct tree *t, size_t *ret_nodes, size_t *ret_depth)
{
	struct check ck = { 0 };

	must(check_node(t->root, NULL, NULL, 1, &ck) == t->count);
	must(ck.bytes + (size_t)(ck.doc_bytes + 0.5) == t->live);
	*ret_nodes = ck.nodes;
	*ret_depth = ck.leaf_depth;
}
