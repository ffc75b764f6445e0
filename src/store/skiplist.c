/* skiplist.c - see skiplist_int.h.
 *
 * Thread: one writer, readers beside its insertions.  Memory: one block per node, or an arena.
 */
#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/skiplist_int.h"

enum { MAX_HEIGHT = 16 };

struct node {
	void                  *item;
	struct node *_Atomic next[]; /* as many as the node is high */
};

struct skiplist {
	int (*cmp)(const void *a, const void *b);
	uint64_t      seed;
	struct arena *arena; /* NULL: nodes are blocks of their own */
	struct node  *head;  /* MAX_HEIGHT high, no item */
};

/* Where a probe belongs: on each level, the last node below it. */
struct path {
	struct node *before[MAX_HEIGHT];
};

static struct node *
next_of(const struct node *n, size_t level)
{
	return atomic_load_explicit(&n->next[level], memory_order_acquire);
}

static void
link_next(struct node *n, size_t level, struct node *next)
{
	atomic_store_explicit(&n->next[level], next, memory_order_release);
}

static struct node *
node_new(struct arena *a, void *item, size_t height)
{
	size_t       bytes = sizeof(struct node) + height * sizeof(struct node *);
	struct node *n = a ? arena_zalloc(a, bytes) : mem_zalloc(bytes);

	n->item = item;
	return n;
}

static struct skiplist *
list_init(struct skiplist *l, struct arena *a, int (*cmp)(const void *a, const void *b))
{
	l->cmp = cmp;
	l->seed = 0x9e3779b97f4a7c15u;
	l->arena = a;
	l->head = node_new(a, NULL, MAX_HEIGHT);
	return l;
}

struct skiplist *
skiplist_new(int (*cmp)(const void *a, const void *b))
{
	return list_init(MEM_NEW(struct skiplist), NULL, cmp);
}

struct skiplist *
skiplist_new_in(struct arena *a, int (*cmp)(const void *a, const void *b))
{
	return list_init(ARENA_NEW(a, struct skiplist), a, cmp);
}

void
skiplist_free(struct skiplist *l, void (*free_item)(void *item))
{
	must(!l->arena);
	for (struct node *n = l->head; n;) {
		struct node *next = next_of(n, 0);

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
	struct node *at = l->head, *next, *known = NULL; /* not below the probe */

	for (size_t level = MAX_HEIGHT; level-- > 0;) {
		while ((next = next_of(at, level)) && next != known) {
			if (l->cmp(next->item, probe) >= 0) {
				known = next;
				break;
			}
			at = next;
		}
		p.before[level] = at;
	}
	return p;
}

bool
skiplist_insert(struct skiplist *l, void *item)
{
	struct path  p = find(l, item);
	struct node *after = next_of(p.before[0], 0), *n;
	size_t       height;

	if (after && l->cmp(after->item, item) == 0)
		return false;
	height = random_height(l);
	n = node_new(l->arena, item, height);
	for (size_t level = 0; level < height; level++)
		link_next(n, level, next_of(p.before[level], level));
	for (size_t level = 0; level < height; level++)
		link_next(p.before[level], level, n);
	return true;
}

bool
skiplist_fill(struct skiplist *l, void *(*item)(const void *items, size_t i), const void *items,
    size_t n)
{
	struct path tails;

	must(!next_of(l->head, 0));
	for (size_t level = 0; level < MAX_HEIGHT; level++)
		tails.before[level] = l->head;
	for (size_t i = 0; i < n; i++) {
		size_t       height = random_height(l);
		struct node *node = node_new(l->arena, item(items, i), height);

		if (i > 0 && l->cmp(tails.before[0]->item, node->item) >= 0)
			return false;
		for (size_t level = 0; level < height; level++) {
			link_next(tails.before[level], level, node);
			tails.before[level] = node;
		}
	}
	return true;
}

bool
skiplist_remove(struct skiplist *l, const void *probe)
{
	struct path  p = find(l, probe);
	struct node *n = next_of(p.before[0], 0);

	must(!l->arena);
	if (!n || l->cmp(n->item, probe) != 0)
		return false;
	for (size_t level = 0; level < MAX_HEIGHT && next_of(p.before[level], level) == n; level++)
		link_next(p.before[level], level, next_of(n, level));
	mem_free(n);
	return true;
}

/* What was the next node when it was looked at need not be so any more: an insertion may have come
 * between, on the near side of the probe. */
void *
skiplist_first_ge(const struct skiplist *l, const void *probe)
{
	struct node *n = next_of(find(l, probe).before[0], 0);

	while (n && l->cmp(n->item, probe) < 0)
		n = next_of(n, 0);
	return n ? n->item : NULL;
}

void *
skiplist_first_gt(const struct skiplist *l, const void *probe)
{
	struct node *n = next_of(find(l, probe).before[0], 0);

	while (n && l->cmp(n->item, probe) <= 0)
		n = next_of(n, 0);
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
	struct node *n = next_of(l->head, 0);

	return n ? n->item : NULL;
}

void *
skiplist_last(const struct skiplist *l)
{
	struct node *at = l->head, *next;

	for (size_t level = MAX_HEIGHT; level-- > 0;)
		while ((next = next_of(at, level)))
			at = next;
	return at->item;
}

bool
skiplist_each(const struct skiplist *l, bool (*fn)(void *arg, void *item), void *arg)
{
	for (struct node *n = next_of(l->head, 0); n; n = next_of(n, 0))
		if (!fn(arg, n->item))
			return false;
	return true;
}
