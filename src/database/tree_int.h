/* tree_int.h - what the files of tree.h share.
 *
 *     tree.c       adding and removing: splits, merges
 *     tree_find.c  search, cursors, the self-check
 *     tree_life.c  entries, versions, dead lists, bytes, snapshots
 *
 * A leaf holds up to FAN entries; an inner node up to FAN children with n-1 separators
 * between them, so that child i holds the keys in [sep i-1, sep i).  Separators are the
 * shortest byte strings that separate, and belong to the tree.
 *
 * Keys are reached by pointer, which would cost a cache miss per comparison.  So a node
 * keeps `skip`, a length up to which all its keys agree, and for each key the next four bytes
 * as a big-endian number: nearly every comparison is one of two integers.  (Eight bytes per key
 * found nothing faster, and cost six more of memory.)
 *
 * Thread, memory: see tree.h.
 */
#ifndef DATABASE_TREE_INT_H
#define DATABASE_TREE_INT_H

#include "base/mem.h"
#include "base/must.h"
#include "database/tree.h"

#define FAN TREE_LEAF_MAX

struct node {
	uint64_t      birth;
	ts_t          changed; /* leaf: the newest commit that changed its ranges */
	uint16_t      n;    /* leaf: entries; inner: children */
	uint16_t      skip; /* all keys of this node agree up to here */
	bool          leaf;
	uint32_t      heads[FAN];
	struct entry *keys[FAN];   /* inner: separators, n-1 of them */
	struct node  *kids[];      /* inner: FAN of them */
};

struct tree {
	struct node      *root;
	uint64_t          version;
	bool              sealed; /* a snapshot of `version` was taken */
	ts_t              stamp; /* of the commit being spliced; 0: none */
	size_t            count;
	size_t            live;  /* bytes */
	_Atomic size_t    dead;
	struct tree_snap *newest;
	struct tree_trash trash;
};

static inline size_t
node_keys(const struct node *n)
{
	return n->leaf ? n->n : (size_t)n->n - 1;
}

/* The four bytes of the key behind `skip`, as a number that sorts like them. */
static inline uint32_t
node_head_of(str key, size_t skip)
{
	uint32_t h = 0;
	size_t   n = key.n > skip ? key.n - skip : 0;

	if (n >= 4) {
		memcpy(&h, key.p + skip, 4);
		return __builtin_bswap32(h);
	}
	for (size_t i = 0; i < n; i++)
		h |= (uint32_t)(uint8_t)key.p[skip + i] << (24 - 8 * i);
	return h;
}

/* --- tree_find.c --- */

size_t key_common_prefix(str a, str b);
/* First position whose key is >= `key` (upper: > `key`). */
size_t node_search(const struct node *n, str key, bool upper);

/* --- tree_life.c --- */

size_t entry_key_bytes(const struct entry *e); /* without its document */
size_t node_bytes(bool leaf);
/* An entry enters the tree.  A document counts once, however many entries share it. */
void tree_charge_entry(struct tree *t, struct entry *e);
/* The writer dropped it: it goes to the newest snapshot that sees it, or to the trash. */
void tree_retire_entry(struct tree *t, struct entry *e);
void tree_retire_node(struct tree *t, struct node *n);
/* Every change starts here: what a snapshot has seen is not touched again. */
void tree_begin_change(struct tree *t);
struct node *node_new(struct tree *t, bool leaf);
/* `n` itself if the writer made it in this version, else a copy that takes its place. */
struct node *node_own(struct tree *t, struct node *n);

#endif
