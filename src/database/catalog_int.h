/* catalog_int.h - how catalogues change: for this folder only.
 *
 * A catalogue is a function of the documents in _tables, _index and _schemas.  So there is one
 * way to edit one: catalog_apply() a document write of those tables to a private copy.  The
 * loader does that at start, a transaction does it for each of its own writes to them, and
 * the committer publishes the transaction's copy.
 *
 * Pointers (table_info, index_info, schema_info) are valid as long as the catalogue that they
 * came from; copies made before publishing keep what their parent kept, so a transaction may
 * hold on to every pointer it ever got from its own chain of copies.  A table that changes
 * gets a new table_info: ask again by name or tablet to see the change.  An unchanged table
 * is the same pointer in both catalogues.
 *
 * Thread: a private copy has one owner; a published one is immutable.
 */
#ifndef DATABASE_CATALOG_INT_H
#define DATABASE_CATALOG_INT_H

#include "database/catalog.h"
#include "value/pack.h"

/* An empty one; one reference for the caller. */
struct catalog *catalog_new(void);
/* A private copy with a version of its own; one reference for the caller. */
struct catalog *catalog_copy(struct catalog *base);
/* No edits any more: called by the committer when it publishes. */
void catalog_seal(struct catalog *c);
/* The published catalogue that this chain of copies began with. */
uint64_t catalog_base_version(const struct catalog *c);

/* True if documents of this table shape the catalogue (_tables, _index, _schemas). */
bool catalog_shaped_by(const struct table_info *t);
/* One document write; old NULL: inserted, new NULL: deleted.  Tables of other names are
 * ignored.  Tables before their indexes when inserting, after them when deleting.
 * INTERNAL if the document cannot be understood. */
NODISCARD status catalog_apply(struct catalog *c, const struct doc *old, const struct doc *new,
    struct err *e);
/* The same, for the loader: what kind of row `d` is, before _tables itself is known. */
NODISCARD status catalog_load_table(struct catalog *c, const struct doc *d, struct err *e);
NODISCARD status catalog_load_index(struct catalog *c, const struct doc *d, struct err *e);
NODISCARD status catalog_load_schema(struct catalog *c, const struct table_info *schemas,
    const struct doc *d, struct err *e);

/* Any state; for state changes by row id. */
const struct index_info *table_index_by_id(const struct table_info *t, struct uid id);
/* Exactly this one, or NULL: an enabled and a pending definition may share a name. */
const struct index_info *table_index_in(const struct table_info *t, str name, bool enabled);

/* --- documents: the members only, into the object that is open in `p` --- */

void catalog_pack_table(struct pack *p, str name, uint32_t number, enum table_state state,
    struct uid component);
/* The on-disk state of spec 03 section 3.3; lower_bound: indexCreatedLowerBound. */
void catalog_pack_index(struct pack *p, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged, ts_t lower_bound);
/* The same while it is Backfilling, with retentionStarted (section 4.6): all entries are there. */
void catalog_pack_filled_index(struct pack *p, struct uid tablet, const struct index_def *def,
    bool staged, ts_t lower_bound);

/* --- the system tables that this server knows (spec 03 sections 3.2 to 3.4) --- */

struct system_index {
	const char *name;
	const char *fields[5]; /* as stored; NULL: end */
};

struct system_table {
	const char         *name;
	uint32_t            number;
	bool                per_component; /* each component owns one (section 3.2) */
	bool                resident;      /* held in memory from the start (section 8) */
	struct system_index indexes[4];    /* beside by_id and by_creation_time; name NULL: end */
};

/* Table number of ours, outside the list of section 3.2. */
#define TABLE_NO_MODULE_SOURCES 515
#define TABLE_NO_COMPONENTS     544

extern const struct system_table system_tables[];
extern const size_t              system_table_count;
const struct system_table *system_table_find(str name); /* NULL: none */
/* Defs of all indexes of `t`, by_id and by_creation_time (but for _index) first; in `a`. */
struct index_def *system_table_indexes(struct arena *a, const struct system_table *t,
    size_t *ret_n);
/* The two that every table has. */
struct index_def index_def_by_id(void);
struct index_def index_def_by_creation_time(void);

#endif
