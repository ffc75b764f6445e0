/* schema_json.c - the stored form of a schema, and when two schemas are the same.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "value/schema_int.h"

static void
write_paths(struct buf *b, const char *key, const str *paths, size_t n)
{
	json_key(b, key);
	buf_add_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		json_comma(b);
		json_write_str(b, paths[i]);
	}
	buf_add_byte(b, ']');
}

static void
write_index(struct buf *b, const struct index_def *x)
{
	json_comma(b);
	buf_add_byte(b, '{');
	json_key(b, "indexDescriptor");
	json_write_str(b, x->name);
	if (x->kind == INDEX_DATABASE) {
		write_paths(b, "fields", x->fields, x->nfields);
	} else {
		json_key(b, x->kind == INDEX_SEARCH ? "searchField" : "vectorField");
		json_write_str(b, x->field);
		if (x->kind == INDEX_VECTOR) {
			json_key(b, "dimensions");
			json_write_u64(b, x->dimensions);
		}
		write_paths(b, "filterFields", x->filters, x->nfilters);
	}
	buf_add_byte(b, '}');
}

static void
write_list(struct buf *b, const char *key, const struct table_def *t, enum index_kind kind,
    bool staged)
{
	json_key(b, key);
	buf_add_byte(b, '[');
	for (size_t i = 0; i < t->nindexes; i++)
		if (t->indexes[i].kind == kind && t->indexes[i].staged == staged)
			write_index(b, &t->indexes[i]);
	buf_add_byte(b, ']');
}

static void
write_table(struct buf *b, const struct table_def *t)
{
	json_comma(b);
	buf_add_byte(b, '{');
	json_key(b, "tableName");
	json_write_str(b, t->name);
	write_list(b, "indexes", t, INDEX_DATABASE, false);
	write_list(b, "stagedDbIndexes", t, INDEX_DATABASE, true);
	write_list(b, "searchIndexes", t, INDEX_SEARCH, false);
	write_list(b, "stagedSearchIndexes", t, INDEX_SEARCH, true);
	write_list(b, "vectorIndexes", t, INDEX_VECTOR, false);
	write_list(b, "stagedVectorIndexes", t, INDEX_VECTOR, true);
	json_key(b, "documentType");
	if (t->document)
		validator_json(b, t->document);
	else
		buf_add(b, S("null"));
	buf_add_byte(b, '}');
}

void
schema_json(struct buf *b, const struct schema *s)
{
	buf_add(b, S("{\"tables\":["));
	for (size_t i = 0; i < s->ntables; i++)
		write_table(b, &s->tables[i]);
	buf_add_byte(b, ']');
	json_key(b, "schemaValidation");
	buf_add(b, s->validate ? S("true}") : S("false}"));
}

static bool
table_equal(const struct table_def *a, const struct table_def *b)
{
	if (!str_eq(a->name, b->name) || a->nindexes != b->nindexes)
		return false;
	for (size_t i = 0; i < a->nindexes; i++)
		if (!index_def_equal(&a->indexes[i], &b->indexes[i]) ||
		    a->indexes[i].staged != b->indexes[i].staged)
			return false;
	if (!a->document || !b->document)
		return a->document == b->document;
	return validator_equal(a->document, b->document);
}

bool
schema_equal(const struct schema *a, const struct schema *b)
{
	if (a->validate != b->validate || a->ntables != b->ntables)
		return false;
	for (size_t i = 0; i < a->ntables; i++)
		if (!table_equal(&a->tables[i], &b->tables[i]))
			return false;
	return true;
}
