/* catalog.h - tables, indexes and schemas, parsed from their system documents.
 *
 * A catalogue is immutable and belongs to a snapshot; a commit that writes _tables, _index
 * or _schemas publishes a new one.  A transaction that creates a table works on a private
 * copy (catalog_edit) until it commits.
 *
 * Index numbers: every index has a u32 that prefixes its keys in memory.  They are drawn from
 * one process-wide counter, never reused, never stored.
 *
 * Thread: any, immutable.  Memory: one arena per catalogue, reference-counted.
 */
#ifndef DATABASE_CATALOG_H
#define DATABASE_CATALOG_H

#include "value/doc.h"
#include "value/schema.h"

/* Table numbers of spec 03 section 3.2 that code refers to. */
#define TABLE_NO_TABLES   513
#define TABLE_NO_INDEX    514
#define TABLE_NO_MODULES  521
#define TABLE_NO_SCHEMAS  532
#define TABLE_NO_SCHEDULED_JOBS 539
#define TABLE_NO_FILE_STORAGE   540
#define TABLE_NO_FUNCTION_HANDLES 545
#define TABLE_NO_FIRST_USER     10001

enum table_state { TABLE_ACTIVE, TABLE_HIDDEN, TABLE_DELETING };
enum index_state { INDEX_BACKFILLING, INDEX_BACKFILLED, INDEX_ENABLED };

struct index_info {
	struct uid       id;      /* row in _index */
	uint32_t         no;      /* full-key prefix */
	struct index_def def;     /* by_id: no fields; by_creation_time: _creationTime */
	enum index_state state;
	bool             staged;
};

struct table_info {
	struct uid         tablet;
	uint32_t           number;
	str                name;
	enum table_state   state;
	struct uid         component; /* zero: the root */
	size_t             nindexes;
	struct index_info *indexes;   /* enabled and pending ones; sorted by name, enabled first */
	const struct index_info *by_id;
	const struct index_info *by_creation_time;
	bool               system;    /* name begins with '_' */
};

enum schema_state { SCHEMA_PENDING, SCHEMA_VALIDATED, SCHEMA_ACTIVE };

struct schema_info {
	struct docid         id;      /* row in _schemas */
	struct uid           component;
	enum schema_state    state;
	const struct schema *schema;
};

struct catalog;

struct catalog *catalog_ref(struct catalog *c);
void            catalog_unref(struct catalog *c);
uint64_t        catalog_version(const struct catalog *c); /* differs between any two */

/* Active tables only; NULL if there is none.  component zero: root. */
const struct table_info *catalog_table(const struct catalog *c, struct uid component, str name);
const struct table_info *catalog_table_numbered(const struct catalog *c, struct uid component,
    uint32_t number);
const struct table_info *catalog_tablet(const struct catalog *c, struct uid tablet); /* any state */
/* All tables of that number, whatever their states; NULL at the end. */
const struct table_info *catalog_numbered(const struct catalog *c, struct uid component,
    uint32_t number, size_t nth);
/* All of them, by tablet; NULL at the end. */
const struct table_info *catalog_table_at(const struct catalog *c, size_t i);
/* The index that answers queries under this name: enabled, else pending; NULL if none. */
const struct index_info *table_index(const struct table_info *t, str name);
/* At most one row per state and component; NULL if none. */
const struct schema_info *catalog_schema(const struct catalog *c, struct uid component,
    enum schema_state state);
/* Lowest free user table number. */
uint32_t catalog_next_table_number(const struct catalog *c, struct uid component);
size_t   catalog_count_user_tables(const struct catalog *c);
/* For v.id() checks; virtual names for 539 and 540. */
struct table_names catalog_table_names(const struct catalog *c, const struct uid *component);

/* Draws a fresh index number. */
uint32_t index_number_next(void);

/* Appends the full key of `doc` in `ix`: number, sort keys of the fields, sort key of _id
 * (spec 03 section 1.5). */
void index_key(struct buf *out, const struct index_info *ix, struct val doc);
/* Number prefix alone. */
void index_prefix(struct buf *out, const struct index_info *ix);

#endif
