/* schema.h - what defineSchema() exports (spec 03 sections 4.1 and 4.5).
 *
 * Immutable after parsing; everything lives in the arena.  Tables are sorted by name, indexes
 * by name.  Database index fields include the trailing _creationTime.
 *
 * Thread: any.
 */
#ifndef VALUE_SCHEMA_H
#define VALUE_SCHEMA_H

#include "value/validator.h"

enum index_kind { INDEX_DATABASE, INDEX_SEARCH, INDEX_VECTOR };

struct index_def {
	str             name;
	enum index_kind kind;
	bool            staged;
	size_t          nfields;
	str            *fields;   /* DATABASE: paths in order, with _creationTime */
	str             field;    /* SEARCH: searchField, VECTOR: vectorField */
	uint32_t        dimensions;
	size_t          nfilters;
	str            *filters;  /* sorted, no repeats */
};

struct table_def {
	str                     name;
	size_t                  nindexes;
	struct index_def       *indexes; /* all kinds, staged ones included, by name */
	const struct validator *document; /* NULL: any (no documentType) */
};

struct schema {
	bool              validate; /* schemaValidation */
	size_t            ntables;
	struct table_def *tables;
};

/* `j` is the schema JSON as evaluated (without _creationTime in the fields): adds it.
 * BAD_REQUEST with the codes and texts of spec 03 section 4.5. */
NODISCARD status schema_parse(struct arena *a, const struct json *j, const struct schema **ret,
    struct err *e);
/* `text` is a stored _schemas.schema: fields already end in _creationTime; no checks. */
NODISCARD status schema_parse_stored(struct arena *a, str text, const struct schema **ret,
    struct err *e);
void schema_json(struct buf *b, const struct schema *s); /* the stored form */
bool schema_equal(const struct schema *a, const struct schema *b);
const struct table_def *schema_table(const struct schema *s, str name); /* or NULL */
bool index_def_equal(const struct index_def *a, const struct index_def *b); /* ignores staged */

#endif
