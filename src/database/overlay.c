/* overlay.c - a skip list of pending keys (overlay_int.h).
 *
 * A skip list because it only grows, is walked both ways, and its nodes must not move: a
 * sorted array would cost a mutation of 16,000 documents gigabytes of memmove.
 */
#include "database/overlay_int.h"

void
overlay_init(struct overlay *o, struct arena *a)
{
	memset(o, 0, sizeof *o);
	o->arena = a;
	o->rng = 0x9e3779b97f4a7c15u;
}

static struct over_node *
node_new(struct overlay *o, size_t height)
{
	return arena_zalloc(o->arena, sizeof(struct over_node) + height * sizeof(void *));
}

/* One level more with probability 1/4. */
static size_t
draw_height(struct overlay *o)
{
	size_t h = 1;

	o->rng ^= o->rng << 13;
	o->rng ^= o->rng >> 7;
	o->rng ^= o->rng << 17;
	for (uint64_t r = o->rng; h < OVER_HEIGHT && (r & 3) == 0; r >>= 2)
		h++;
	return h;
}

/* The last node with key < `key` (the head if there is none); its predecessors per level in
 * `path` unless NULL. */
static struct over_node *
descend(const struct overlay *o, str key, struct over_node **path)
{
	struct over_node *n = o->head;

	for (size_t level = OVER_HEIGHT; level-- > 0;) {
		while (n->next[level] && str_cmp(n->next[level]->key, key) < 0)
			n = n->next[level];
		if (path)
			path[level] = n;
	}
	return n;
}

struct over_node *
overlay_at(struct overlay *o, str key)
{
	struct over_node *path[OVER_HEIGHT], *n;
	size_t            height;

	if (!o->head)
		o->head = node_new(o, OVER_HEIGHT);
	n = descend(o, key, path)->next[0];
	if (n && str_eq(n->key, key))
		return n;
	height = draw_height(o);
	n = node_new(o, height);
	n->key = key;
	n->prev = path[0] == o->head ? NULL : path[0];
	if (path[0]->next[0])
		path[0]->next[0]->prev = n;
	for (size_t i = 0; i < height; i++) {
		n->next[i] = path[i]->next[i];
		path[i]->next[i] = n;
	}
	o->n++;
	return n;
}

struct over_node *
overlay_find(const struct overlay *o, str key)
{
	struct over_node *n;

	if (!o->head)
		return NULL;
	n = descend(o, key, NULL)->next[0];
	return n && str_eq(n->key, key) ? n : NULL;
}

static struct over_node *
first_on(struct over_node *n)
{
	while (n && !n->on)
		n = n->next[0];
	return n;
}

static struct over_node *
last_on(struct over_node *n)
{
	while (n && !n->on)
		n = n->prev;
	return n;
}

struct over_node *
overlay_ge(const struct overlay *o, str key, bool strict)
{
	struct over_node *n;

	if (!o->head)
		return NULL;
	n = descend(o, key, NULL)->next[0];
	if (strict && n && str_eq(n->key, key))
		n = n->next[0];
	return first_on(n);
}

struct over_node *
overlay_lt(const struct overlay *o, str key)
{
	struct over_node *n;

	if (!o->head)
		return NULL;
	n = descend(o, key, NULL);
	return n == o->head ? NULL : last_on(n);
}

struct over_node *
overlay_next(const struct over_node *n)
{
	return first_on(n->next[0]);
}

struct over_node *
overlay_prev(const struct over_node *n)
{
	return last_on(n->prev);
}

void
overlay_set(struct overlay *o, struct over_node *n, bool on, struct doc *doc)
{
	n->on = on;
	n->doc = doc;
	o->version++;
}
