/* tree_test.c - the copy-on-write B+tree against a sorted array.
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "database/tree.h"

#define KEY_MAX 24

struct model_row {
	char   key[KEY_MAX];
	size_t n;
	bool   gap;
};

struct model {
	struct model_row *v;
	size_t            n, cap;
};

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

static str
row_key(const struct model_row *r)
{
	return str_of(r->key, r->n);
}

/* First row that is not before `key`. */
static size_t
model_find(const struct model *m, str key)
{
	size_t i = 0;

	while (i < m->n && str_cmp(row_key(&m->v[i]), key) < 0)
		i++;
	return i;
}

static void
model_put(struct model *m, str key, bool gap)
{
	size_t i = model_find(m, key);

	if (i == m->n || !str_eq(row_key(&m->v[i]), key)) {
		vec_reserve(m, m->n + 1);
		memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof *m->v);
		m->n++;
		memcpy(m->v[i].key, key.p, key.n);
		m->v[i].n = key.n;
	}
	m->v[i].gap = gap;
}

static bool
model_del(struct model *m, str key)
{
	size_t i = model_find(m, key);

	if (i == m->n || !str_eq(row_key(&m->v[i]), key))
		return false;
	memmove(m->v + i, m->v + i + 1, (m->n - i - 1) * sizeof *m->v);
	m->n--;
	return true;
}

static struct model
model_copy(const struct model *m)
{
	struct model c = { 0 };

	vec_reserve(&c, m->n + 1);
	memcpy(c.v, m->v, m->n * sizeof *m->v);
	c.n = m->n;
	return c;
}

static void
check_same(const struct node *root, const struct model *m)
{
	struct cursor c;
	struct entry *e = cursor_ge(&c, root, STR_EMPTY);

	for (size_t i = 0; i < m->n; i++, e = cursor_next(&c)) {
		CHECK(e != NULL);
		CHECK_STR(entry_key(e), row_key(&m->v[i]));
		CHECK_EQ(e->gap, m->v[i].gap);
	}
	CHECK(e == NULL);
	e = cursor_lt(&c, root, S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
	for (size_t i = m->n; i-- > 0; e = cursor_prev(&c))
		CHECK_STR(entry_key(e), row_key(&m->v[i]));
	CHECK(e == NULL);
}

static void
check_seeks(const struct node *root, const struct model *m, str key)
{
	struct cursor c;
	size_t        i = model_find(m, key);
	bool          exact = i < m->n && str_eq(row_key(&m->v[i]), key);
	struct entry *e = cursor_ge(&c, root, key);

	CHECK((e != NULL) == (i < m->n));
	if (e)
		CHECK_STR(entry_key(e), row_key(&m->v[i]));
	e = cursor_lt(&c, root, key);
	CHECK((e != NULL) == (i > 0));
	if (e)
		CHECK_STR(entry_key(e), row_key(&m->v[i - 1]));
	e = cursor_le(&c, root, key);
	CHECK((e != NULL) == (i > 0 || exact));
	if (e)
		CHECK_STR(entry_key(e), row_key(&m->v[exact ? i : i - 1]));
}

/* Keys that share long prefixes, are prefixes of each other and contain zeros. */
static str
random_key(char room[KEY_MAX], int shape)
{
	size_t n = 0;

	switch (shape) {
	case 0: /* few distinct bytes, any length */
		n = draw(12);
		for (size_t i = 0; i < n; i++)
			room[i] = (char)draw(3);
		break;
	case 1: /* a long common prefix */
		memcpy(room, "\0\0\0\7prefix-prefix-", 18);
		room[18] = (char)draw(200);
		room[19] = (char)draw(200);
		n = 18 + draw(3);
		break;
	default: /* numbers */
		n = 8;
		memset(room, 0, 4);
		for (int i = 4; i < 8; i++)
			room[i] = (char)draw(256);
	}
	return str_of(room, n);
}

/* Whatever the order of puts and deletions, the tree holds what a sorted array holds, and a
 * snapshot goes on holding what it held when it was taken. */
TEST(tree_equals_model_and_snapshots_stay)
{
	struct {
		struct tree_snap *snap;
		struct model      model;
	} held[8] = { 0 };

	for (seed = 1; seed <= 12; seed++) {
		struct tree *t = tree_new();
		struct model m = { 0 };
		uint64_t     start = seed;
		size_t       nodes, depth;

		vec_reserve(&m, 1);
		for (int step = 0; step < 4000; step++) {
			char              room[KEY_MAX];
			str               key = random_key(room, (int)(start % 3));
			uint32_t          what = draw(100);
			size_t            slot = draw(8);
			uint32_t          puts = step < 2500 ? 60 : 25;
			struct tree_trash trash;

			if (what < puts) {
				bool gap = draw(2);

				tree_put_take(t, entry_new_take(key, ENTRY_NONE, gap, NULL));
				model_put(&m, key, gap);
			} else if (what < 90) {
				CHECK_EQ(tree_del(t, key), model_del(&m, key));
			} else if (held[slot].snap) {
				check_same(held[slot].snap->root, &held[slot].model);
				tree_snap_unref(t, held[slot].snap);
				vec_clear(&held[slot].model);
				held[slot].snap = NULL;
			} else {
				held[slot].snap = tree_snapshot(t);
				held[slot].model = model_copy(&m);
			}
			check_seeks(tree_root(t), &m, random_key(room, (int)(start % 3)));
			tree_take_trash(t, &trash);
			tree_trash_free(t, &trash);
			if (step % 50 == 0)
				tree_check(t, &nodes, &depth);
		}
		check_same(tree_root(t), &m);
		for (size_t i = 0; i < 8; i++) {
			if (!held[i].snap)
				continue;
			check_same(held[i].snap->root, &held[i].model);
			tree_snap_unref(t, held[i].snap);
			vec_clear(&held[i].model);
			held[i].snap = NULL;
		}
		tree_free(t);
		vec_clear(&m);
		seed = start;
	}
}

/* Keys in ascending order, in the middle of others, leave full nodes behind. */
TEST(ascending_keys_fill_their_nodes)
{
	struct tree *t = tree_new();
	size_t       nodes, depth;
	char         key[8] = "bbbb";

	tree_put_take(t, entry_new_take(S("a"), ENTRY_MARK, false, NULL));
	tree_put_take(t, entry_new_take(S("c"), ENTRY_MARK, false, NULL));
	for (uint32_t i = 0; i < 48000; i++) {
		for (int b = 0; b < 4; b++)
			key[4 + b] = (char)(i >> (24 - 8 * b));
		tree_put_take(t, entry_new_take(str_of(key, 8), ENTRY_NONE, false, NULL));
	}
	tree_check(t, &nodes, &depth);
	CHECK(nodes < 48000 / 48 * 5 / 4);
	CHECK(depth <= 4);
	tree_free(t);
}

/* Deleting everything gives the nodes back: depth one, one node. */
TEST(emptied_tree_shrinks)
{
	struct tree *t = tree_new();
	size_t       nodes, depth;
	char         key[4];

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < 5000; i++) {
			uint32_t k = i * 7919 % 5000;

			memcpy(key, &k, 4);
			if (pass == 0)
				tree_put_take(t,
				    entry_new_take(str_of(key, 4), ENTRY_NONE, false, NULL));
			else
				CHECK(tree_del(t, str_of(key, 4)));
		}
	}
	tree_check(t, &nodes, &depth);
	CHECK_EQ(tree_count(t), 0);
	CHECK_EQ(nodes, 1);
	CHECK_EQ(depth, 1);
	tree_free(t);
}

/* A snapshot that nobody changed behind is the same object again. */
TEST(unchanged_tree_gives_the_same_snapshot)
{
	struct tree      *t = tree_new();
	struct tree_snap *a, *b, *c;

	tree_put_take(t, entry_new_take(S("k"), ENTRY_NONE, false, NULL));
	a = tree_snapshot(t);
	b = tree_snapshot(t);
	CHECK(a == b);
	tree_put_take(t, entry_new_take(S("l"), ENTRY_NONE, false, NULL));
	c = tree_snapshot(t);
	CHECK(a != c);
	tree_snap_unref(t, a);
	tree_snap_unref(t, c);
	tree_snap_unref(t, b);
	tree_free(t);
}

TEST_RUN(T(tree_equals_model_and_snapshots_stay), T(ascending_keys_fill_their_nodes),
    T(emptied_tree_shrinks), T(unchanged_tree_gives_the_same_snapshot))
