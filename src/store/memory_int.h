/* memory_int.h - what the files of the memory store share.
 *
 * memory.c        writing and reading
 * memory_erase.c  erasing history; the simulator's crash
 *
 * Thread: `lock` guards everything.  Memory: owned by struct memory_store.
 */
#ifndef STORE_MEMORY_INT_H
#define STORE_MEMORY_INT_H

#include <pthread.h>

#include "base/map.h"
#include "store/skiplist_int.h"
#include "store/store.h"

struct entry { /* of the index log */
	struct uid    index;
	str           key; /* in bytes[], or borrowed by a probe */
	ts_t          ts;
	ts_t          written; /* by the commit or batch of this time */
	bool          deleted;
	bool          past_end; /* a probe behind all keys of its index */
	struct uid    doc;
	struct entry *overwritten; /* by a backfill; NULL: none */
	char          bytes[];
};

struct revision { /* of the document log */
	ts_t        ts;
	struct uid  tablet;
	struct uid  id;
	struct doc *doc; /* NULL: tombstone */
	ts_t        prev_ts;
};

struct global_version {
	struct global_version *older;
	ts_t                   written;
	size_t                 n;
	char                   json[];
};

struct global {
	struct global_version *newest; /* NULL: forgotten by a crash */
};

struct memory_store {
	pthread_mutex_t  lock;
	struct skiplist *entries;
	struct skiplist *revisions; /* by ts, tablet, id */
	struct skiplist *by_doc;    /* the same ones by tablet, id, ts */
	struct map      *globals;   /* name to struct global */
	ts_t             last_ts;   /* of the newest commit */
	uint64_t         bytes;     /* of the rows in the lists */
};

/* Puts a row into its lists, takes it out and frees it.  insert: false: there is one already. */
bool memory_insert_entry(struct memory_store *m, struct entry *n);
void memory_remove_entry(struct memory_store *m, struct entry *n);
bool memory_insert_revision(struct memory_store *m, struct revision *r);
void memory_remove_revision(struct memory_store *m, struct revision *r);
void memory_entry_free(void *entry); /* with what it has overwritten */

void memory_put_global(struct memory_store *m, const struct store_global *g, ts_t written);
void memory_pop_global(struct global *g);

/* Members of the vtable. */
status memory_prune(void *self, const struct store_prune *p, struct err *e);
status memory_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased,
    struct err *e);
status memory_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased,
    struct err *e);

extern const struct store_vtable memory_vtable;

#endif
