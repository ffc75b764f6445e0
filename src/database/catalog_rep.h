/* catalog_rep.h - what a catalogue is made of: for catalog.c and catalog_edit.c.
 *
 * A catalogue is a few sorted arrays of pointers to tables, so a copy is a memcpy and a
 * reference per table.  Tables and schemas are immutable blocks of their own; an edit puts a
 * new block in the place of the old one, which the catalogue keeps for those who still
 * hold a pointer to it.
 *
 * Thread: see catalog_int.h.  Memory: an arena per table and per schema, shared by reference.
 */
#ifndef DATABASE_CATALOG_REP_H
#define DATABASE_CATALOG_REP_H

#include "base/vec.h"
#include "database/catalog_int.h"

struct table {
	struct table_info info; /* first: a table_info is a table */
	_Atomic uint32_t  refs;
	struct arena     *arena; /* owns this block too */
};

struct schema_row {
	struct schema_info info; /* first */
	_Atomic uint32_t   refs;
	struct arena      *arena;
};

/* A component's; what catalog_table_names() hands out. */
struct space {
	const struct catalog *catalog;
	struct uid            component;
	uint32_t              next_number; /* the lowest one free for user tables */
};

struct tables {
	struct table **v;
	size_t         n, cap;
};

struct schema_rows {
	struct schema_row **v;
	size_t              n, cap;
};

struct catalog {
	_Atomic uint32_t    refs;
	bool                sealed;
	uint64_t            version;
	uint64_t            base_version;
	struct tables       by_tablet; /* all states */
	struct tables       by_name;   /* active: component, name */
	struct tables       by_number; /* active: component, number */
	struct tables       numbers;   /* all states: component, number */
	size_t              user_tables; /* active */
	struct schema_rows  schemas;   /* pending, validated, active */
	VEC(struct space *) spaces;
	struct tables       kept;      /* replaced in this chain of copies */
	struct schema_rows  kept_schemas;
};

/* What a table is looked for by; the array says which members count. */
struct table_key {
	struct uid uid;    /* tablet, or component */
	str        name;
	uint32_t   number;
};

typedef int table_cmp(const struct table *t, const struct table_key *k);

int tables_cmp_tablet(const struct table *t, const struct table_key *k);
int tables_cmp_name(const struct table *t, const struct table_key *k);
int tables_cmp_number(const struct table *t, const struct table_key *k);
/* Position of the first table that is not before `k`. */
size_t        tables_search(const struct tables *a, table_cmp *cmp, const struct table_key *k);
struct table *tables_find(const struct tables *a, table_cmp *cmp, const struct table_key *k);

struct table *catalog_find_tablet(const struct catalog *c, struct uid tablet);
/* The component's, made if it is new. */
struct space *catalog_add_space(struct catalog *c, struct uid component);

#endif
