/* skiplist.c - see skiplist_int.h.
 *
 * Thread: one at a time.  Memory: one block per node.
 */
#include <stdint.h>

#include "base/mem.h"
#include "base/must.h"
#include "store/skiplist_int.h"

enum { MAX_HEIGHT = 16 };

struct node {
	void        *item;
	struct node *next[]; /* as many as the node is high */
};

struct skiplist {
	int (*cmp)(const void *a, const void *b);
	uint64_t     seed;
	struct node *head; /* MAX_HEIGHT high, no item */
};

/* Where a probe belongs: on each level, the last node below it. */
struct path {
	struct node *before[MAX_HEIGHT];
};

static struct node *
node_new(void *item, size_t height)
{
	struct node *n = mem_zalloc(sizeof *n + height * sizeof n->next[0]);

	n->item = item;
	return n;
}

struct skiplist *
skiplist_new(int (*cmp)(const void *a, const void *b))
{
	struct skiplist *l = MEM_NEW(struct skiplist);

	l->cmp = cmp;
	l->seed = 0x9e3779b97f4a7c15u;
	l->head = node_new(NULL, MAX_HEIGHT);
	return l;
}

void
skiplist_free(struct skiplist *l, void (*free_item)(void *item))
{
	for (struct node *n = l->head; n;) {
		struct node *next = n->next[0];

		if (n->item)
			free_item(n->item);
		mem_free(n);
		n = next;
	}
	mem_free(l);
}

/* One in four nodes reaches the next level. */
static size_t
random_height(struct skiplist *l)
{
	size_t   height = 1;
	uint64_t x = l->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	l->seed = x;
	for (; (x & 3) == 0 && height < MAX_HEIGHT; x >>= 2)
		height++;
	return height;
}

static struct path
find(const struct skiplist *l, const void *probe)
{
	struct path  p;
	struct node *at = l->head;

	for (size_t level = MAX_HEIGHT; level-- > 0;) {
		while (at->next[level] && l->cmp(at->next[level]->item, probe) < 0)
			at = at->next[level];
		p.before[level] = at;
	}
	return p;
}

bool
skiplist_insert(struct skiplist *l, void *item)
{
	struct path  p = find(l, item);
	struct node *after = p.before[0]->next[0], *n;
	size_t       height;

	if (after && l->cmp(after->item, item) == 0)
		return false;
	height = random_height(l);
	n = node_new(item, height);
	for (size_t level = 0; level < height; level++) {
		n->next[level] = p.before[level]->next[level];
		p.before[level]->next[level] = n;
	}
	return true;
}

bool
skiplist_remove(struct skiplist *l, const void *probe)
{
	struct path  p = find(l, probe);
	struct node *n = p.before[0]->next[0];

	if (!n || l->cmp(n->item, probe) != 0)
		return false;
	for (size_t level = 0; level < MAX_HEIGHT && p.before[level]->next[level] == n; level++)
		p.before[level]->next[level] = n->next[level];
	mem_free(n);
	return true;
}

void *
skiplist_first_ge(const struct skiplist *l, const void *probe)
{
	struct node *n = find(l, probe).before[0]->next[0];

	return n ? n->item : NULL;
}

void *
skiplist_first_gt(const struct skiplist *l, const void *probe)
{
	struct node *n = find(l, probe).before[0]->next[0];

	if (n && l->cmp(n->item, probe) == 0)
		n = n->next[0];
	return n ? n->item : NULL;
}

void *
skiplist_last_lt(const struct skiplist *l, const void *probe)
{
	return find(l, probe).before[0]->item;
}

void *
skiplist_get(const struct skiplist *l, const void *probe)
{
	void *item = skiplist_first_ge(l, probe);

	return item && l->cmp(item, probe) == 0 ? item : NULL;
}

void *
skiplist_first(const struct skiplist *l)
{
	return l->head->next[0] ? l->head->next[0]->item : NULL;
}

void *
skiplist_last(const struct skiplist *l)
{
	struct node *at = l->head;

	for (size_t level = MAX_HEIGHT; level-- > 0;)
		while (at->next[level])
			at = at->next[level];
	return at->item;
}
