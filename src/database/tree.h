/* tree.h - the copy-on-write B+tree under all indexes.
 *
 * One writer, any number of readers.  A snapshot (tree_snap) is a root that no longer
 * changes; readers walk it without locks.  The writer edits the nodes that it made since the
 * last snapshot was taken in place and copies the others on the way down.
 *
 * Versions are a line, so nothing needs a reference count but the snapshots themselves: each
 * node and entry knows the version that it was born in, and when the writer drops one, the
 * newest snapshot that can still see it keeps it on its dead list.  Releasing a snapshot frees
 * its dead list, save what the next older snapshot still sees, which moves there.  (Counting
 * references per child was rejected: copying a node would touch every child's cache line.)
 *
 * Freed memory collects in the tree's trash, so that the owner can free it outside its lock.
 *
 * For the owner who drops entries to save memory (evict.c), the tree counts the bytes that it
 * holds, dead versions included, readers leave marks on the entries that they use, and each
 * leaf knows the newest commit that changed the ranges beginning in it.  A key that a commit
 * removed is gone without a trace; what knows of it is the leaf of the entry before.
 *
 * Thread: all functions under the owner's lock, except cursors and tree_find_le() on the root
 *         of a snapshot that the caller holds, and tree_trash_free().
 * Memory: an entry holds one reference to its document.
 */
#ifndef DATABASE_TREE_H
#define DATABASE_TREE_H

#include <stdatomic.h>

#include "base/str.h"
#include "base/vec.h"
#include "value/doc.h"

/* What an entry says about its own key. */
enum entry_kind {
	ENTRY_DOC,  /* this document */
	ENTRY_NONE, /* no document */
	ENTRY_MARK, /* whatever its range says: see `gap` */
	ENTRY_SEP   /* private to tree.c: a separator of inner nodes */
};

struct entry {
	uint64_t        birth; /* version; set by tree_put */
	struct doc     *doc;   /* ENTRY_DOC: one reference */
	uint32_t        n;     /* bytes of key */
	uint8_t         kind : 7;
	bool            gap : 1; /* the range from here to the next entry is not in memory */
	_Atomic uint8_t heat;  /* 0: nobody asked for it lately */
	char            key[];
};

#define ENTRY_HEAT_MAX 3

/* A reader used what it says.  Warm entries are not written to, so that readers of the same
 * entry do not fight for its cache line. */
static inline void
entry_touch(struct entry *e)
{
	uint8_t heat = atomic_load_explicit(&e->heat, memory_order_relaxed);

	if (heat < ENTRY_HEAT_MAX)
		atomic_store_explicit(&e->heat, (uint8_t)(heat + 1), memory_order_relaxed);
}

static inline str
entry_key(const struct entry *e)
{
	return str_of(e->key, e->n);
}

/* Copies the key; takes the caller's reference to `doc`. */
struct entry *entry_new_take(str key, enum entry_kind kind, bool gap, struct doc *doc);
void          entry_free(struct entry *e); /* one that no tree has seen */

struct tree;
struct node;

struct tree_garbage {
	uintptr_t what; /* pointer; lowest bit set: a node */
	uint64_t  birth;
	size_t    bytes;
};

struct tree_trash {
	VEC(struct tree_garbage) items;
};

struct tree_snap {
	uint32_t            refs;    /* guarded by the owner's lock */
	uint64_t            version;
	const struct node  *root;
	struct tree_snap   *older, *newer; /* the live ones */
	struct tree_trash   dead;
};

struct tree *tree_new(void);
void         tree_free(struct tree *t); /* every snapshot released */
size_t       tree_count(const struct tree *t);
/* What nodes, entries and their documents take, as malloc rounds it: those of the newest
 * version, and those that wait for older snapshots or in the trash. */
size_t       tree_live_bytes(const struct tree *t);
size_t       tree_dead_bytes(const struct tree *t);

/* --- the writer --- */

/* The changes that follow belong to the commit at `ts`; 0: they only move what is known. */
void tree_stamp(struct tree *t, ts_t ts);

/* Adds the entry or replaces the one with its key.  Takes ownership. */
void tree_put_take(struct tree *t, struct entry *e);
bool tree_del(struct tree *t, str key); /* false: there was none */
const struct node *tree_root(const struct tree *t); /* valid until the next change */

/* The present state; one reference for the caller, the same object while nothing changes. */
struct tree_snap *tree_snapshot(struct tree *t);
struct tree_snap *tree_snap_ref(struct tree_snap *s);
void              tree_snap_unref(struct tree *t, struct tree_snap *s);

/* Moves what can be freed into *ret (empty before). */
void tree_take_trash(struct tree *t, struct tree_trash *ret);
void tree_trash_free(struct tree *t, struct tree_trash *trash); /* any thread */

/* --- thinning out --- */

#define TREE_LEAF_MAX 48

struct tree_leaf {
	size_t               n;
	struct entry *const *v;       /* valid until the next change */
	ts_t                 changed; /* by commits at or before */
};

/* The leaf of the first entry >= key; false: there is none. */
bool tree_leaf_ge(const struct tree *t, str key, struct tree_leaf *ret);
/* The leaf of the last entry < key. */
bool tree_leaf_lt(const struct tree *t, str key, struct tree_leaf *ret);
/* Drops the entries of one leaf whose bits are set in `drop` and marks those in `open` as
 * followed by a gap (new entries take their places).  `key` lies in the leaf. */
void tree_thin(struct tree *t, str key, uint64_t drop, uint64_t open);
/* What dropping it frees: with its document if no other entry holds that. */
size_t entry_bytes(const struct entry *e);

/* Aborts if the structure is broken; for tests.  Counts nodes in *ret_nodes. */
void tree_check(const struct tree *t, size_t *ret_nodes, size_t *ret_depth);

/* --- readers --- */

#define TREE_DEPTH_MAX 12

struct cursor {
	const struct node *path[TREE_DEPTH_MAX];
	uint16_t           at[TREE_DEPTH_MAX];
	int                depth; /* levels in use; 0: nowhere */
};

/* Each returns the entry under the cursor, NULL if there is none. */
struct entry *cursor_le(struct cursor *c, const struct node *root, str key); /* last <= key */
struct entry *cursor_lt(struct cursor *c, const struct node *root, str key); /* last < key */
struct entry *cursor_ge(struct cursor *c, const struct node *root, str key); /* first >= key */
struct entry *cursor_next(struct cursor *c);
struct entry *cursor_prev(struct cursor *c);
/* A scan will go on from here in this direction. */
void cursor_prefetch(const struct cursor *c, bool back);
/* The newest commit that changed the ranges of the leaf under the cursor. */
ts_t cursor_changed(const struct cursor *c);

#endif
