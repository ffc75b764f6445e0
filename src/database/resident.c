/* resident.c - commits, loads and lookups in terms of resident and absent ranges.
 *
 * Thread, memory: see resident.h.  Changes invalidate cursors, so each step seeks again;
 * that costs some hundred nanoseconds per loaded row, which is nothing beside the load.
 */
#include "database/resident.h"

#include "base/buf.h"
#include "base/must.h"

bool
same_index(str a, str b)
{
	return a.n >= INDEX_PREFIX && b.n >= INDEX_PREFIX && memcmp(a.p, b.p, INDEX_PREFIX) == 0;
}

/* b == a 00 */
static bool
is_successor(str a, str b)
{
	return b.n == a.n + 1 && b.p[a.n] == 0 && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void
put_mark(struct tree *t, str key, enum entry_kind kind, bool gap)
{
	tree_put_take(t, entry_new_take(key, kind, gap, NULL));
}

static void
keep_heat(struct entry *e, const struct entry *from)
{
	atomic_init(&e->heat, atomic_load_explicit(&from->heat, memory_order_relaxed));
}

static void
set_gap(struct tree *t, const struct entry *e, bool gap)
{
	struct doc   *doc = e->doc ? doc_ref(e->doc) : NULL;
	struct entry *again = entry_new_take(entry_key(e), (enum entry_kind)e->kind, gap, doc);

	keep_heat(again, e);
	tree_put_take(t, again);
}

void
res_open(struct tree *t, const struct entry *e)
{
	set_gap(t, e, true);
}

void
res_add_index(struct tree *t, str prefix, bool resident)
{
	must(prefix.n == INDEX_PREFIX);
	put_mark(t, prefix, ENTRY_MARK, !resident);
}

bool
res_drop_index(struct tree *t, str prefix, size_t max)
{
	struct cursor c;

	for (size_t i = 0; i < max; i++) {
		struct entry *e = cursor_ge(&c, tree_root(t), prefix);
		struct buf    key;

		if (!e || !same_index(entry_key(e), prefix))
			return true;
		buf_init(&key, BUF_MAX_DEFAULT);
		buf_add(&key, entry_key(e)); /* the entry dies under tree_del */
		must(tree_del(t, buf_str(&key)));
		buf_clear(&key);
	}
	return false;
}

/* --- commits --- */

void
res_put_take(struct tree *t, struct entry *e)
{
	struct cursor c;
	struct entry *at = cursor_le(&c, tree_root(t), entry_key(e));

	must(at && same_index(entry_key(at), entry_key(e)));
	e->gap = at->gap; /* its own from before, or that of the range it splits */
	if (str_eq(entry_key(at), entry_key(e)))
		keep_heat(e, at);
	tree_put_take(t, e);
}

void
res_remove(struct tree *t, str key)
{
	struct cursor c;
	struct entry *at = cursor_le(&c, tree_root(t), key), *before;

	must(at && same_index(entry_key(at), key));
	if (!str_eq(entry_key(at), key)) {
		must(at->gap); /* else the key would be here */
		put_mark(t, key, ENTRY_NONE, true);
		return;
	}
	before = cursor_prev(&c);
	if (before && !before->gap && !at->gap)
		must(tree_del(t, key));
	else
		put_mark(t, key, ENTRY_NONE, at->gap);
}

/* --- loads --- */

struct install {
	struct tree   *t;
	struct entry **rows;
	size_t         n, next; /* rows[next..n) are still ours */
	str            hi;
	struct buf     pos;     /* everything before it is done */
};

static void
set_pos(struct install *in, str key)
{
	buf_reset(&in->pos);
	buf_add(&in->pos, key);
}

static void
drop_rows_before(struct install *in, str key)
{
	for (; in->next < in->n && str_cmp(entry_key(in->rows[in->next]), key) < 0; in->next++)
		entry_free(in->rows[in->next]);
}

/* Where the range that begins at pos will be resident, its beginning must say so. */
static void
open_segment(struct install *in, const struct entry *at, bool has_before, bool before_gap)
{
	str pos = buf_str(&in->pos), key = entry_key(at);

	/* The key of a mark is part of the range behind it: right after it is inside. */
	if (str_eq(key, pos) || (at->kind != ENTRY_MARK && is_successor(key, pos))) {
		if (at->kind != ENTRY_DOC && has_before && !before_gap)
			must(tree_del(in->t, key));
		else
			set_gap(in->t, at, false);
	} else if (in->next == in->n || !str_eq(entry_key(in->rows[in->next]), pos)) {
		put_mark(in->t, pos, ENTRY_MARK, false);
	}
}

/* The range ends inside what was absent: what follows still is. */
static void
close_segment(struct install *in)
{
	struct cursor c;
	struct entry *last = cursor_lt(&c, tree_root(in->t), in->hi);

	must(last);
	if (!is_successor(entry_key(last), in->hi))
		put_mark(in->t, in->hi, ENTRY_MARK, true);
	else if (last->kind == ENTRY_MARK) /* a single key, found to be empty */
		put_mark(in->t, entry_key(last), ENTRY_NONE, true);
	else
		set_gap(in->t, last, true);
}

/* [pos, end) is absent: now it holds the rows.  goes_on: what follows stays absent; drop_end:
 * the mark at `end` has nothing left to say. */
static void
fill_segment(struct install *in, str end, bool goes_on, bool drop_end)
{
	while (in->next < in->n && str_cmp(entry_key(in->rows[in->next]), end) < 0) {
		in->rows[in->next]->gap = false;
		tree_put_take(in->t, in->rows[in->next++]);
	}
	if (goes_on)
		close_segment(in);
	else if (drop_end)
		must(tree_del(in->t, end));
}

/* One entry's range; moves pos. */
static void
install_step(struct install *in)
{
	struct cursor c, back;
	str           pos = buf_str(&in->pos);
	struct entry *at = cursor_le(&c, tree_root(in->t), pos), *next, *before;
	struct buf    end;
	bool          goes_on, drop_end, has_before, before_gap;

	must(at);
	if (at->kind != ENTRY_MARK && str_eq(entry_key(at), pos)) {
		buf_add_byte(&in->pos, 0); /* known already: go on right after it */
		drop_rows_before(in, buf_str(&in->pos));
		return;
	}
	back = c;
	next = cursor_next(&c);
	if (next && (!same_index(entry_key(next), pos) || str_cmp(entry_key(next), in->hi) > 0))
		next = NULL;
	goes_on = !next && same_index(in->hi, pos); /* else: to the end of the index */
	buf_init(&end, BUF_MAX_DEFAULT);
	buf_add(&end, next ? entry_key(next) : in->hi);
	if (!at->gap) {
		drop_rows_before(in, buf_str(&end));
	} else {
		drop_end = next && next->kind != ENTRY_DOC && !next->gap;
		before = cursor_prev(&back);
		has_before = before && same_index(entry_key(before), pos);
		before_gap = has_before && before->gap;
		open_segment(in, at, has_before, before_gap);
		fill_segment(in, buf_str(&end), goes_on, drop_end);
	}
	set_pos(in, buf_str(&end));
	buf_clear(&end);
}

void
res_install_take(struct tree *t, str lo, str hi, struct entry **rows, size_t n)
{
	struct install in = { .t = t, .rows = rows, .n = n, .hi = hi };
	struct cursor  c;
	struct entry  *at = cursor_le(&c, tree_root(t), lo);

	buf_init(&in.pos, BUF_MAX_DEFAULT);
	if (at && same_index(entry_key(at), lo)) {
		set_pos(&in, lo);
		while (str_cmp(buf_str(&in.pos), hi) < 0)
			install_step(&in);
	}
	for (; in.next < n; in.next++) /* the index is gone */
		entry_free(rows[in.next]);
	buf_clear(&in.pos);
}

/* --- readers --- */

static struct entry *
decide(struct entry *at, str key, bool *ret_absent)
{
	*ret_absent = false;
	if (!at || !same_index(entry_key(at), key))
		return NULL;
	entry_touch(at);
	if (at->kind != ENTRY_MARK && str_eq(entry_key(at), key))
		return at->kind == ENTRY_DOC ? at : NULL;
	*ret_absent = at->gap;
	return NULL;
}

struct entry *
res_lookup(const struct node *root, str key, bool *ret_absent)
{
	struct cursor c;

	return decide(cursor_le(&c, root, key), key, ret_absent);
}

struct entry *
res_lookup_at(const struct tree *t, str key, ts_t ts, bool *ret_absent)
{
	struct cursor c;
	struct entry *at = cursor_le(&c, tree_root(t), key);

	if (at && cursor_changed(&c) <= ts)
		return decide(at, key, ret_absent);
	*ret_absent = true;
	return NULL;
}

bool
res_is_known(const struct node *root, str key, bool before)
{
	struct cursor c;
	struct entry *at = before ? cursor_lt(&c, root, key) : cursor_le(&c, root, key);

	if (!at || !same_index(entry_key(at), key))
		return false;
	return !at->gap || (!before && at->kind != ENTRY_MARK && str_eq(entry_key(at), key));
}

void
res_check(const struct tree *t)
{
	struct cursor c;
	struct entry *e = cursor_ge(&c, tree_root(t), STR_EMPTY), *before = NULL;

	for (; e; before = e, e = cursor_next(&c)) {
		bool first = !before || !same_index(entry_key(before), entry_key(e));

		must((e->kind == ENTRY_DOC) == (e->doc != NULL));
		must(!first || (e->kind == ENTRY_MARK && e->n == INDEX_PREFIX));
		must(first || e->kind == ENTRY_DOC || e->gap || before->gap);
	}
}
