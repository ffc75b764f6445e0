/* catalog_doc.h - the documents of _tables, _index and _schemas, read (spec 03 section 3.3).
 *
 * Private to catalog.c and its tests; catalog_int.h has the writing side.
 *
 * Thread: any.  Memory: results borrow the document or live in the arena.
 */
#ifndef DATABASE_CATALOG_DOC_H
#define DATABASE_CATALOG_DOC_H

#include "database/catalog.h"

struct table_row {
	str              name; /* borrowed from the document */
	uint32_t         number;
	enum table_state state;
	struct uid       component;
};

struct index_row {
	struct uid       tablet;
	struct index_def def; /* in the arena */
	enum index_state state;
	bool             staged;
};

NODISCARD status table_row_read(const struct doc *d, struct table_row *ret, struct err *e);
NODISCARD status index_row_read(struct arena *a, const struct doc *d, struct index_row *ret,
    struct err *e);
/* *ret_live false: failed or overwritten, nothing else is set. */
NODISCARD status schema_row_read(struct arena *a, const struct doc *d, bool *ret_live,
    enum schema_state *ret_state, const struct schema **ret, struct err *e);

#endif
