/* schema_int.h - what the schema's files share.
 *
 * schema.c reads a definition, schema_check.c applies the rules that need a whole table,
 * schema_json.c writes and compares.
 *
 * Thread: any.  Memory: the arena's.
 */
#ifndef VALUE_SCHEMA_INT_H
#define VALUE_SCHEMA_INT_H

#include "value/schema.h"

#define INDEX_FIELDS_MAX  16 /* with the implicit _creationTime */
#define INDEX_FILTERS_MAX 16
#define TABLE_INDEXES_MAX 64
#define CREATION_TIME     S("_creationTime")

/* The rules on tables that were read without error, in the order of spec 06 section 2.2;
 * database fields must not have _creationTime appended yet. */
NODISCARD status schema_check_table(const struct table_def *t, struct err *e);
/* The references of indexes into the document type; fields with _creationTime. */
NODISCARD status schema_check_references(const struct table_def *t, struct err *e);

#endif
