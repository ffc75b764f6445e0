/* subs.c - the index from keys to the subscriptions that read them (subs.h).
 *
 * Points are nine in ten and cost a tree most, so they sit in a hash table: key to list of
 * items.  Ranges are items of one treap ordered by (range start, age), each node knowing the
 * item with the largest end below it.  One tree serves all indexes, since full keys begin
 * with the index number.  Priorities come from a counter, so that the simulator's runs
 * are alike; clients cannot choose them.
 *
 * A subscription is one block with its items inside; an item is in the tree or in the hash
 * exactly while its subscription lives.
 *
 * Thread: the loop thread.  Memory: see subs.h.
 */
#include "database/subs.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

struct item {
	str                lo, hi;      /* in the read set */
	struct sub        *sub;
	uint64_t           age;
	struct item       *left, *right; /* tree; list: neighbours */
	const struct item *far;          /* of this subtree, the one with the largest hi */
	uint32_t           priority;     /* falls towards the leaves */
	bool               point;
};

struct sub {
	struct readset *reads;
	void           *cookie;
	struct sub     *prev, *next; /* all of them */
	size_t          nitems;
	struct item     items[];
};

struct points { /* subscriptions of one key, oldest first */
	struct item *first, *last;
};

struct subs {
	struct map  *points;
	struct item *root;
	struct sub  *first, *last;
	size_t       count;
	uint64_t     ages;
};

struct subs *
subs_new(void)
{
	struct subs *s = MEM_NEW(struct subs);

	s->points = map_new();
	return s;
}

size_t
subs_count(const struct subs *s)
{
	return s->count;
}

/* --- points --- */

static void
point_add(struct subs *s, struct item *it)
{
	struct points *p = map_get(s->points, it->lo);

	if (!p) {
		p = MEM_NEW(struct points);
		map_put(s->points, it->lo, p);
	}
	it->left = p->last;
	it->right = NULL;
	if (p->last)
		p->last->right = it;
	else
		p->first = it;
	p->last = it;
}

static void
point_remove(struct subs *s, struct item *it)
{
	struct points *p = map_get(s->points, it->lo);

	must(p);
	if (it->left)
		it->left->right = it->right;
	else
		p->first = it->right;
	if (it->right)
		it->right->left = it->left;
	else
		p->last = it->left;
	if (!p->first) {
		map_del(s->points, it->lo);
		mem_free(p);
	}
}

/* --- ranges: a treap by splitting and joining --- */

static int
item_cmp(const struct item *a, const struct item *b)
{
	int c = str_cmp(a->lo, b->lo);

	return c ? c : (a->age > b->age) - (a->age < b->age);
}

static void
find_far(struct item *n)
{
	n->far = n;
	if (n->left && str_cmp(n->left->far->hi, n->far->hi) > 0)
		n->far = n->left->far;
	if (n->right && str_cmp(n->right->far->hi, n->far->hi) > 0)
		n->far = n->right->far;
}

/* Items before `at` and items after it. */
static void
split(struct item *n, const struct item *at, struct item **ret_left, struct item **ret_right)
{
	if (!n) {
		*ret_left = *ret_right = NULL;
		return;
	}
	if (item_cmp(n, at) < 0) {
		split(n->right, at, &n->right, ret_right);
		*ret_left = n;
	} else {
		split(n->left, at, ret_left, &n->left);
		*ret_right = n;
	}
	find_far(n);
}

static struct item *
join(struct item *a, struct item *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->priority >= b->priority) {
		a->right = join(a->right, b);
		find_far(a);
		return a;
	}
	b->left = join(a, b->left);
	find_far(b);
	return b;
}

static void
range_add(struct item **slot, struct item *it)
{
	struct item *n = *slot;

	if (!n || it->priority > n->priority) {
		split(n, it, &it->left, &it->right);
		*slot = n = it;
	} else {
		range_add(item_cmp(it, n) < 0 ? &n->left : &n->right, it);
	}
	find_far(n);
}

static void
range_remove(struct item **slot, struct item *it)
{
	struct item *n = *slot;

	must(n);
	if (n == it) {
		*slot = join(n->left, n->right);
		return;
	}
	range_remove(item_cmp(it, n) < 0 ? &n->left : &n->right, it);
	find_far(n);
}

static void
range_stab(const struct item *n, str key, void (*fn)(void *arg, void *cookie), void *arg)
{
	while (n && str_cmp(n->far->hi, key) > 0) {
		range_stab(n->left, key, fn, arg);
		if (str_cmp(n->lo, key) > 0)
			return;
		if (str_cmp(n->hi, key) > 0)
			fn(arg, n->sub->cookie);
		n = n->right;
	}
}

/* --- subscriptions --- */

static bool
is_point(struct key_range r)
{
	return r.hi.n == r.lo.n + 1 && r.hi.p[r.lo.n] == 0 &&
	    memcmp(r.lo.p, r.hi.p, r.lo.n) == 0;
}

/* Spreads a counter over 32 bits (the finalizer of MurmurHash3). */
static uint32_t
priority(uint64_t n)
{
	n = (n ^ (n >> 33)) * 0xff51afd7ed558ccdULL;
	n = (n ^ (n >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return (uint32_t)(n >> 32);
}

struct sub *
subs_add(struct subs *s, struct readset *reads, void *cookie)
{
	struct sub *sub = mem_zalloc(sizeof *sub + reads->n * sizeof *sub->items);

	sub->reads = readset_ref(reads);
	sub->cookie = cookie;
	sub->nitems = reads->n;
	for (size_t i = 0; i < reads->n; i++) {
		struct item *it = &sub->items[i];

		it->lo = reads->ranges[i].lo;
		it->hi = reads->ranges[i].hi;
		it->sub = sub;
		it->age = ++s->ages;
		it->priority = priority(it->age);
		it->point = is_point(reads->ranges[i]);
		if (it->point)
			point_add(s, it);
		else
			range_add(&s->root, it);
	}
	sub->prev = s->last;
	if (s->last)
		s->last->next = sub;
	else
		s->first = sub;
	s->last = sub;
	s->count++;
	return sub;
}

void
subs_remove(struct subs *s, struct sub *sub)
{
	for (size_t i = 0; i < sub->nitems; i++) {
		if (sub->items[i].point)
			point_remove(s, &sub->items[i]);
		else
			range_remove(&s->root, &sub->items[i]);
	}
	if (sub->prev)
		sub->prev->next = sub->next;
	else
		s->first = sub->next;
	if (sub->next)
		sub->next->prev = sub->prev;
	else
		s->last = sub->prev;
	s->count--;
	readset_unref(sub->reads);
	mem_free(sub);
}

void
subs_free(struct subs *s)
{
	if (!s)
		return;
	while (s->first)
		subs_remove(s, s->first);
	map_free(s->points);
	mem_free(s);
}

void
subs_stab(struct subs *s, str full_key, void (*fn)(void *arg, void *cookie), void *arg)
{
	struct points *p = map_get(s->points, full_key);

	for (const struct item *it = p ? p->first : NULL; it; it = it->right)
		fn(arg, it->sub->cookie);
	range_stab(s->root, full_key, fn, arg);
}

/* --- self-check --- */

static size_t
check_tree(const struct item *n, const struct item *lo, const struct item *hi)
{
	const struct item *far = n;

	if (!n)
		return 0;
	must(!n->point);
	must((!lo || item_cmp(lo, n) < 0) && (!hi || item_cmp(n, hi) < 0));
	for (int side = 0; side < 2; side++) {
		const struct item *kid = side ? n->right : n->left;

		must(!kid || kid->priority <= n->priority);
		if (kid && str_cmp(kid->far->hi, far->hi) > 0)
			far = kid->far;
	}
	must(str_eq(n->far->hi, far->hi));
	return 1 + check_tree(n->left, lo, n) + check_tree(n->right, n, hi);
}

static size_t
check_points(const struct subs *s)
{
	size_t n = 0, pos = 0;
	str    key;
	void  *value;

	while (map_next(s->points, &pos, &key, &value)) {
		const struct points *p = value;

		must(p->first);
		for (const struct item *it = p->first; it; it = it->right, n++)
			must(it->point && str_eq(it->lo, key) && (it->right || it == p->last));
	}
	return n;
}

void
subs_check(const struct subs *s)
{
	size_t subs = 0, points = 0, ranges = 0;

	for (const struct sub *sub = s->first; sub; sub = sub->next, subs++) {
		must(sub->nitems == sub->reads->n);
		for (size_t i = 0; i < sub->nitems; i++) {
			must(sub->items[i].sub == sub);
			points += sub->items[i].point;
			ranges += !sub->items[i].point;
		}
	}
	must(subs == s->count);
	must(check_points(s) == points);
	must(check_tree(s->root, NULL, NULL) == ranges);
}
