/* schema_check.c - the rules on the indexes of a table (spec 03 section 4.5, spec 06
 * section 2.2).
 *
 * Database indexes first, then search, then vector, then names.
 *
 * Thread: any.  Memory: none; texts go to the caller's err.
 */
#include "value/schema_int.h"

/* --- one database index --- */

static bool
has_reserved_part(str path)
{
	size_t dot;

	while (str_find_char(path, '.', &dot)) {
		if (str_starts(path, S("_")))
			return true;
		path = str_from(path, dot + 1);
	}
	return str_starts(path, S("_"));
}

static status
check_database(const struct table_def *t, const struct index_def *x, struct err *e)
{
	if (x->nfields == 0)
		return err_set(e, ST_BAD_REQUEST, "EmptyIndex",
		    "In table \"%.*s\" %sindex \"%.*s\" must have at least one field.",
		    STR_ARG(t->name), x->staged ? "staged " : "", STR_ARG(x->name));
	for (size_t i = 0; i < x->nfields; i++) {
		if (str_eq(x->fields[i], CREATION_TIME))
			return err_set(e, ST_BAD_REQUEST, "IndexFieldsContainCreationTime",
			    "`_creationTime` is automatically added to the end of each index. It "
			    "should not be added explicitly in the index definition. See "
			    "https://docs.convex.dev/using/indexes for more details.");
		if (has_reserved_part(x->fields[i]))
			return err_set(e, ST_BAD_REQUEST, "IndexFieldNameReserved",
			    "Reserved fields (starting with `_`) are not allowed in indexes.");
	}
	if (x->nfields + 1 > INDEX_FIELDS_MAX)
		return err_set(e, ST_BAD_REQUEST, "IndexTooManyFields",
		    "Indexes may have up to %d fields.", INDEX_FIELDS_MAX);
	return ST_OK;
}

/* --- pairs of indexes that differ in name only --- */

static bool
same_paths(const str *a, size_t na, const str *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

/* The vector rule ignores filters, unlike the identity of the spec. */
static bool
collide(const struct index_def *a, const struct index_def *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case INDEX_DATABASE:
		return same_paths(a->fields, a->nfields, b->fields, b->nfields);
	case INDEX_SEARCH:
		return str_eq(a->field, b->field) &&
		    same_paths(a->filters, a->nfilters, b->filters, b->nfilters);
	case INDEX_VECTOR:
		break;
	}
	return str_eq(a->field, b->field) && a->dimensions == b->dimensions;
}

static status
not_unique(const struct table_def *t, const struct index_def *later, const struct index_def *first,
    struct err *e)
{
	bool        search = later->kind == INDEX_SEARCH;
	const char *kind = search ? "search" : "vector";

	if (later->kind == INDEX_DATABASE)
		return err_set(e, ST_BAD_REQUEST, "IndexNotUnique",
		    "In table \"%.*s\" index \"%.*s\" and index \"%.*s\" have the same fields. "
		    "Indexes must be unique within a table.",
		    STR_ARG(t->name), STR_ARG(later->name), STR_ARG(first->name));
	return err_set(e, ST_BAD_REQUEST,
	    search ? "SearchIndexFieldNotUnique" : "VectorIndexFieldNotUnique",
	    "In table \"%.*s\" %s index \"%.*s\" and %s index \"%.*s\" have the same `%sField`. "
	    "%s index fields must be unique within a table. You should combine the\n"
	    "             indexes with the same `%sField` into one index containing all "
	    "`filterField`s and then use different subsets of the `filterField`s at query time.",
	    STR_ARG(t->name), kind, STR_ARG(later->name), kind, STR_ARG(first->name), kind,
	    search ? "Search" : "Vector", kind);
}

static status
check_unique(const struct table_def *t, enum index_kind kind, struct err *e)
{
	for (size_t i = 1; i < t->nindexes; i++) {
		if (t->indexes[i].kind != kind)
			continue;
		for (size_t j = 0; j < i; j++)
			if (collide(&t->indexes[j], &t->indexes[i]))
				return not_unique(t, &t->indexes[i], &t->indexes[j], e);
	}
	return ST_OK;
}

/* --- names --- */

static bool
name_reserved(str name)
{
	return str_eq(name, S("by_id")) || str_eq(name, S("by_creation_time")) ||
	    (str_starts(name, S("_")) && !str_starts(name, S("_fivetran")));
}

static status
check_names(const struct table_def *t, struct err *e)
{
	for (size_t i = 0; i < t->nindexes; i++)
		if (name_reserved(t->indexes[i].name))
			return err_set(e, ST_BAD_REQUEST, "IndexNameReserved",
			    "In table \"%.*s\" cannot name an index \"%.*s\" because the name is "
			    "reserved. Indexes may not start with an underscore or be named "
			    "\"by_id\" or \"by_creation_time\".",
			    STR_ARG(t->name), STR_ARG(t->indexes[i].name));
	for (size_t i = 1; i < t->nindexes; i++) /* sorted by name */
		if (str_eq(t->indexes[i - 1].name, t->indexes[i].name))
			return err_set(e, ST_BAD_REQUEST, "IndexNamesNotUnique",
			    "Table \"%.*s\" has two or more definitions of index \"%.*s\".",
			    STR_ARG(t->name), STR_ARG(t->indexes[i].name));
	return ST_OK;
}

status
schema_check_table(const struct table_def *t, struct err *e)
{
	if (str_starts(t->name, S("_")))
		return err_set(e, ST_BAD_REQUEST, "TableNameReserved",
		    "%.*s is a reserved table name.", STR_ARG(t->name));
	if (t->nindexes > TABLE_INDEXES_MAX)
		return err_set(e, ST_BAD_REQUEST, "TooManyIndexes",
		    "Table \"%.*s\" cannot have more than %d indexes.", STR_ARG(t->name),
		    TABLE_INDEXES_MAX);
	for (size_t i = 0; i < t->nindexes; i++)
		if (t->indexes[i].kind == INDEX_DATABASE)
			TRY(check_database(t, &t->indexes[i], e));
	TRY(check_unique(t, INDEX_DATABASE, e));
	TRY(check_unique(t, INDEX_SEARCH, e));
	TRY(check_unique(t, INDEX_VECTOR, e));
	return check_names(t, e);
}

/* --- references into the document type --- */

static status
check_exists(const struct table_def *t, const struct index_def *x, const str *paths, size_t n,
    struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!validator_has_path(t->document, paths[i]))
			return err_set(e, ST_BAD_REQUEST, "SchemaDefinitionError",
			    "In table \"%.*s\" the index \"%.*s\" is invalid because it references "
			    "the field \"%.*s\" that does not exist.",
			    STR_ARG(t->name), STR_ARG(x->name), STR_ARG(paths[i]));
	return ST_OK;
}

/* Filter fields of vector indexes are not looked at. */
static status
check_index_references(const struct table_def *t, const struct index_def *x, struct err *e)
{
	if (x->kind == INDEX_DATABASE)
		return check_exists(t, x, x->fields, x->nfields, e);
	TRY(check_exists(t, x, &x->field, 1, e));
	if (x->kind == INDEX_SEARCH)
		return check_exists(t, x, x->filters, x->nfilters, e);
	if (!validator_vector_path_ok(t->document, x->field))
		return err_set(e, ST_BAD_REQUEST, "SchemaDefinitionError",
		    "In table \"%.*s\" the vector index \"%.*s\" is invalid because it references "
		    "the field \"%.*s\" that is neither an array of float64 or optional array of "
		    "float64.",
		    STR_ARG(t->name), STR_ARG(x->name), STR_ARG(x->field));
	return ST_OK;
}

status
schema_check_references(const struct table_def *t, struct err *e)
{
	static const enum index_kind order[] = { INDEX_DATABASE, INDEX_SEARCH, INDEX_VECTOR };

	for (size_t k = 0; k < COUNT_OF(order); k++)
		for (size_t i = 0; i < t->nindexes; i++)
			if (t->indexes[i].kind == order[k])
				TRY(check_index_references(t, &t->indexes[i], e));
	return ST_OK;
}

bool
index_def_equal(const struct index_def *a, const struct index_def *b)
{
	return a->kind == b->kind && str_eq(a->name, b->name) && str_eq(a->field, b->field) &&
	    a->dimensions == b->dimensions &&
	    same_paths(a->fields, a->nfields, b->fields, b->nfields) &&
	    same_paths(a->filters, a->nfilters, b->filters, b->nfilters);
}
