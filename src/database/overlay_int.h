/* overlay_int.h - the index keys that a transaction has written, in order.
 *
 * Reads lay these over the snapshot (spec 03 section 5.4).  A node says what a full key leads
 * to now: a document, nothing (deleted), or, after a rollback, whatever the snapshot says.
 * Nodes are never removed, so that open scans may keep pointers to them; `version` changes
 * whenever a node changes.
 *
 * Thread: the transaction's.  Memory: the transaction's arena; documents are borrowed from it.
 */
#ifndef DATABASE_OVERLAY_INT_H
#define DATABASE_OVERLAY_INT_H

#include "base/arena.h"
#include "value/doc.h"

#define OVER_HEIGHT 12

struct over_node {
	str               key;  /* full key */
	struct doc       *doc;  /* borrowed; NULL: deleted */
	bool              on;   /* false: the snapshot shows through */
	struct over_node *prev; /* NULL: the first */
	struct over_node *next[];
};

struct overlay {
	struct arena     *arena;
	struct over_node *head; /* NULL while empty */
	uint64_t          rng;
	uint64_t          version;
	size_t            n;
};

void overlay_init(struct overlay *o, struct arena *a);
/* The node of exactly this key, created switched off if absent.  `key` must live in the arena. */
struct over_node *overlay_at(struct overlay *o, str key);
struct over_node *overlay_find(const struct overlay *o, str key); /* or NULL */
/* First node with key >= `key` (strict: >), last node with key < `key`; NULL if none.  Nodes
 * that are off are passed over. */
struct over_node *overlay_ge(const struct overlay *o, str key, bool strict);
struct over_node *overlay_lt(const struct overlay *o, str key);
struct over_node *overlay_next(const struct over_node *n);
struct over_node *overlay_prev(const struct over_node *n);
void overlay_set(struct overlay *o, struct over_node *n, bool on, struct doc *doc);

#endif
