/* schema.c - reading what defineSchema() exports (spec 03 section 4.1).
 *
 * The same reader serves both forms: the JSON that a push evaluated, which is checked and
 * gets _creationTime appended to its database indexes, and the text stored in _schemas,
 * which was checked when it was written.
 *
 * Thread: any.  Memory: everything in the caller's arena.
 */
#include "value/schema.h"

#include <stdlib.h>

#include "value/pack.h"
#include "value/schema_int.h"
#include "value/validator_int.h"

#define BAD_SCHEMA     "InvalidSchema"
#define DIMENSIONS_MIN 2
#define DIMENSIONS_MAX 4096

struct reader {
	struct arena *arena;
	bool          stored;
	struct err   *e;
};

/* The six arrays of a table. */
static const struct list {
	const char     *key;
	enum index_kind kind;
	bool            staged;
} lists[] = {
	{ "indexes", INDEX_DATABASE, false },
	{ "stagedDbIndexes", INDEX_DATABASE, true },
	{ "searchIndexes", INDEX_SEARCH, false },
	{ "stagedSearchIndexes", INDEX_SEARCH, true },
	{ "vectorIndexes", INDEX_VECTOR, false },
	{ "stagedVectorIndexes", INDEX_VECTOR, true },
};

static status
missing(const struct reader *r, const char *field)
{
	return err_set(r->e, ST_BAD_REQUEST, BAD_SCHEMA, "missing field `%s`", field);
}

/* --- field paths --- */

/* Trims dots and checks the parts; false if it is no path. */
static bool
path_ok(str *path)
{
	str rest;

	while (path->n && path->p[0] == '.')
		*path = str_from(*path, 1);
	while (path->n && path->p[path->n - 1] == '.')
		path->n--;
	rest = *path;
	for (;;) {
		size_t dot;
		bool   more = str_find_char(rest, '.', &dot);

		if (identifier_check(more ? str_head(rest, dot) : rest, NULL) != ST_OK)
			return false;
		if (!more)
			return true;
		rest = str_from(rest, dot + 1);
	}
}

static status
read_path(const struct reader *r, str index, const struct json *j, str *ret)
{
	str path;

	if (j->kind != JSON_STRING)
		return err_set(r->e, ST_BAD_REQUEST, BAD_SCHEMA, "expected a field path");
	path = j->string;
	if (!path_ok(&path))
		return err_set(r->e, ST_BAD_REQUEST, "InvalidIndexField",
		    "In index \"%.*s\": Invalid index field: \"%.*s\"", STR_ARG(index),
		    STR_ARG(j->string));
	*ret = arena_str(r->arena, path);
	return ST_OK;
}

static bool
holds(const str *paths, size_t n, str path)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(paths[i], path))
			return true;
	return false;
}

/* --- the three kinds of index --- */

/* The rules that the reference applies while reading one field list. */
static status
check_fields(const struct reader *r, const struct index_def *x)
{
	status st = ST_OK;

	if (r->stored)
		return ST_OK;
	if (x->nfields > INDEX_FIELDS_MAX)
		st = err_set(r->e, ST_BAD_REQUEST, "IndexTooManyFields",
		    "Indexes may have up to %d fields.", INDEX_FIELDS_MAX);
	else if (holds(x->fields, x->nfields, S("_id")))
		st = err_set(r->e, ST_BAD_REQUEST, "IndexFieldsContainId",
		    "`_id` is not a valid index field. To load documents by ID, use "
		    "`db.get(id)`.");
	for (size_t i = 0; st == ST_OK && i < x->nfields; i++)
		if (holds(x->fields, i, x->fields[i]))
			st = err_set(r->e, ST_BAD_REQUEST, "FieldsNotUniqueWithinIndex",
			    "Duplicate field \"%.*s\". Index fields must be unique within an "
			    "index.",
			    STR_ARG(x->fields[i]));
	if (st != ST_OK)
		err_prefix(r->e, "In index \"%.*s\": ", STR_ARG(x->name));
	return st;
}

static status
read_database(const struct reader *r, const struct json *j, struct index_def *x)
{
	const struct json *fields = json_get(j, "fields");

	if (!fields || fields->kind != JSON_ARRAY)
		return missing(r, "fields");
	x->nfields = fields->n;
	x->fields = ARENA_ARRAY(r->arena, str, x->nfields + 1); /* + _creationTime */
	for (size_t i = 0; i < x->nfields; i++)
		TRY(read_path(r, x->name, &fields->items[i], &x->fields[i]));
	return check_fields(r, x);
}

static int
by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static status
read_filters(const struct reader *r, const struct json *j, struct index_def *x)
{
	const struct json *filters = json_get(j, "filterFields");
	size_t             kept = 0;

	if (!filters || filters->kind != JSON_ARRAY)
		return missing(r, "filterFields");
	x->filters = ARENA_ARRAY(r->arena, str, filters->n);
	for (size_t i = 0; i < filters->n; i++)
		TRY(read_path(r, x->name, &filters->items[i], &x->filters[i]));
	qsort(x->filters, filters->n, sizeof *x->filters, by_text);
	for (size_t i = 0; i < filters->n; i++)
		if (kept == 0 || !str_eq(x->filters[kept - 1], x->filters[i]))
			x->filters[kept++] = x->filters[i];
	x->nfilters = kept;
	if (kept > INDEX_FILTERS_MAX && !r->stored)
		return err_set(r->e, ST_BAD_REQUEST, "IndexTooManyFilterFields",
		    "Search indexes may have up to %d filter fields.", INDEX_FILTERS_MAX);
	return ST_OK;
}

static status
read_search(const struct reader *r, const struct json *j, struct index_def *x)
{
	const struct json *field = json_get(j, "searchField");

	if (!field)
		return missing(r, "searchField");
	TRY(read_path(r, x->name, field, &x->field));
	return read_filters(r, j, x);
}

static status
read_vector(const struct reader *r, const struct json *j, struct index_def *x)
{
	const struct json *field = json_get(j, "vectorField");
	const char        *key = json_get(j, "dimensions") ? "dimensions" : "dimension";

	if (!field)
		return missing(r, "vectorField");
	TRY(read_path(r, x->name, field, &x->field));
	if (!json_get(j, key))
		return err_set(r->e, ST_BAD_REQUEST, BAD_SCHEMA, "Missing dimensions field");
	if (!json_get_u32(j, key, &x->dimensions))
		return err_set(r->e, ST_BAD_REQUEST, BAD_SCHEMA,
		    "invalid value for `%s`: expected u32", key);
	if (x->dimensions < DIMENSIONS_MIN || x->dimensions > DIMENSIONS_MAX)
		return err_set(r->e, ST_BAD_REQUEST, "InvalidVectorDimensionError",
		    "Dimensions %u must be between %d and %d.", x->dimensions, DIMENSIONS_MIN,
		    DIMENSIONS_MAX);
	return read_filters(r, j, x);
}

static status
read_index(const struct reader *r, const struct json *j, const struct list *list,
    struct index_def *x)
{
	str name;

	if (!json_get_str(j, "indexDescriptor", &name))
		return missing(r, "indexDescriptor");
	if (identifier_check(name, NULL) != ST_OK)
		return err_set(r->e, ST_BAD_REQUEST, "InvalidIndexName",
		    "Invalid index name: \"%.*s\". Identifiers must be 64 characters or less, "
		    "start "
		    "with a letter, and only contain letters, digits, underscores.",
		    STR_ARG(name));
	*x = (struct index_def){ .name = arena_str(r->arena, name), .kind = list->kind,
		.staged = list->staged };
	switch (list->kind) {
	case INDEX_DATABASE:
		return read_database(r, j, x);
	case INDEX_SEARCH:
		return read_search(r, j, x);
	case INDEX_VECTOR:
		break;
	}
	return read_vector(r, j, x);
}

/* --- tables --- */

static size_t
count_entries(const struct json *table)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		const struct json *entries = json_get(table, lists[i].key);

		n += entries && entries->kind == JSON_ARRAY ? entries->n : 0;
	}
	return n;
}

static status
read_list(const struct reader *r, const struct json *table, const struct list *list,
    struct table_def *t)
{
	const struct json *entries = json_get(table, list->key);
	bool               required = list == &lists[0];

	if (json_is_null(entries) && !required)
		return ST_OK;
	if (!entries || entries->kind != JSON_ARRAY)
		return missing(r, list->key);
	for (size_t i = 0; i < entries->n; i++)
		TRY(read_index(r, &entries->items[i], list, &t->indexes[t->nindexes++]));
	return ST_OK;
}

static bool
is_document_type(const struct validator *v)
{
	if (v->kind != V_UNION)
		return v->kind == V_ANY || v->kind == V_OBJECT;
	for (size_t i = 0; i < v->n; i++)
		if (v->members[i]->kind != V_OBJECT)
			return false;
	return true;
}

static status
wrong_document_type(const struct reader *r, const struct validator *v)
{
	struct buf b;
	status     st;

	buf_init(&b, BUF_MAX_DEFAULT);
	validator_print(&b, v);
	st = err_set(r->e, ST_BAD_REQUEST, "InvalidTopLevelTypeInSchemaError",
	    "The document validator in a schema must be an object, a union of objects, or "
	    "`v.any()`. Found %.*s. To learn more, see the schema documentation at "
	    "https://docs.convex.dev/database/schemas.",
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return st;
}

static status
read_document_type(const struct reader *r, const struct json *table, struct table_def *t)
{
	const struct json      *type = json_get(table, "documentType");
	const struct validator *v;
	status                  st;

	if (json_is_null(type))
		return ST_OK;
	st = validator_parse(r->arena, type, &v, r->e);
	if (st != ST_OK) {
		if (r->e && !str_eq(r->e->code, S("InvalidRecordType")) &&
		    !str_eq(r->e->code, S("UnsupportedFloatLiteral")))
			r->e->code = S(BAD_SCHEMA); /* it had no code of its own */
		return st;
	}
	if (!is_document_type(v))
		return wrong_document_type(r, v);
	t->document = validator_without_system(r->arena, v);
	return ST_OK;
}

static int
index_order(const void *a, const void *b)
{
	const struct index_def *x = a, *y = b;
	int                     c = str_cmp(x->name, y->name);

	if (c)
		return c;
	return x->kind != y->kind ? (int)x->kind - (int)y->kind : (int)x->staged - (int)y->staged;
}

static status
read_table(const struct reader *r, const struct json *j, struct table_def *t)
{
	str    name;
	status st = ST_OK;

	if (!json_get_str(j, "tableName", &name))
		return missing(r, "tableName");
	if (identifier_check(name, NULL) != ST_OK)
		return err_set(r->e, ST_BAD_REQUEST, "InvalidTableName",
		    "Invalid table name: \"%.*s\". Identifiers must start with a letter and can "
		    "only contain letters, digits, and underscores.",
		    STR_ARG(name));
	t->name = arena_str(r->arena, name);
	t->indexes = ARENA_ARRAY(r->arena, struct index_def, count_entries(j));
	for (size_t i = 0; st == ST_OK && i < COUNT_OF(lists); i++)
		st = read_list(r, j, &lists[i], t);
	if (st != ST_OK) {
		err_prefix(r->e, "In table \"%.*s\": ", STR_ARG(name));
		return st;
	}
	qsort(t->indexes, t->nindexes, sizeof *t->indexes, index_order);
	return read_document_type(r, j, t);
}

/* --- the whole --- */

static int
table_order(const void *a, const void *b)
{
	const struct table_def *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static status
read_schema(const struct reader *r, const struct json *j, struct schema *s)
{
	const struct json *tables = json_get(j, "tables");

	if (!tables || tables->kind != JSON_ARRAY)
		return missing(r, "tables");
	json_get_bool(j, "schemaValidation", &s->validate);
	s->ntables = tables->n;
	s->tables = ARENA_ARRAY(r->arena, struct table_def, s->ntables);
	for (size_t i = 0; i < s->ntables; i++)
		TRY(read_table(r, &tables->items[i], &s->tables[i]));
	qsort(s->tables, s->ntables, sizeof *s->tables, table_order);
	for (size_t i = 1; i < s->ntables; i++)
		if (str_eq(s->tables[i - 1].name, s->tables[i].name))
			return err_set(r->e, ST_BAD_REQUEST, BAD_SCHEMA,
			    "Table \"%.*s\" is defined more than once.",
			    STR_ARG(s->tables[i].name));
	return ST_OK;
}

/* Every database index ends in _creationTime, which makes its order total but for ties. */
static void
append_creation_time(struct table_def *t)
{
	for (size_t i = 0; i < t->nindexes; i++)
		if (t->indexes[i].kind == INDEX_DATABASE)
			t->indexes[i].fields[t->indexes[i].nfields++] = CREATION_TIME;
}

status
schema_parse(struct arena *a, const struct json *j, const struct schema **ret, struct err *e)
{
	struct reader  r = { .arena = a, .e = e };
	struct schema *s = ARENA_NEW(a, struct schema);

	TRY(read_schema(&r, j, s));
	for (size_t i = 0; i < s->ntables; i++) {
		struct table_def *t = &s->tables[i];

		TRY(schema_check_table(t, e));
		append_creation_time(t);
		if (s->validate && t->document)
			TRY(schema_check_references(t, e));
	}
	*ret = s;
	return ST_OK;
}

status
schema_parse_stored(struct arena *a, str text, const struct schema **ret, struct err *e)
{
	struct reader  r = { .arena = a, .e = e, .stored = true };
	struct schema *s = ARENA_NEW(a, struct schema);
	struct arena  *tree = arena_new();
	struct json   *j;
	status         st = json_parse(tree, text, &j, e);

	if (st == ST_OK)
		st = read_schema(&r, j, s);
	if (st == ST_OK)
		*ret = s;
	arena_free(tree);
	return st;
}

const struct table_def *
schema_table(const struct schema *s, str name)
{
	size_t lo = 0, hi = s->ntables;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int    c = str_cmp(name, s->tables[mid].name);

		if (c == 0)
			return &s->tables[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
