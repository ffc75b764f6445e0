/* validator.c - reading validator definitions, and questions about them.
 *
 * Thread: any.  Memory: everything in the caller's arena.
 */
#include "value/validator.h"

#include <math.h>
#include <stdlib.h>

#include "value/validator_int.h"
#include "value/vjson.h"

#define BAD_VALIDATOR "InvalidValidator"
#define BAD_RECORD    "InvalidRecordType"

static status read_validator(struct arena *a, const struct json *j, struct validator **ret,
    struct err *e);

static status
missing(struct err *e, const char *field)
{
	return err_set(e, ST_BAD_REQUEST, BAD_VALIDATOR, "missing field `%s`", field);
}

/* --- parsing --- */

static void
alloc_members(struct arena *a, struct validator *v, size_t n)
{
	v->n = n;
	v->members = ARENA_ARRAY(a, const struct validator *, n);
}

static status
read_member(struct arena *a, const struct json *j, struct validator *v, size_t i, struct err *e)
{
	struct validator *member;

	TRY(read_validator(a, j, &member, e));
	v->members[i] = member;
	return ST_OK;
}

/* {"fieldType": V, "optional": bool} */
static status
read_field(struct arena *a, const struct json *j, struct validator *v, size_t i,
    bool *ret_optional, struct err *e)
{
	const struct json *type = json_get(j, "fieldType");

	if (!type)
		return missing(e, "fieldType");
	if (!json_get_bool(j, "optional", ret_optional))
		return missing(e, "optional");
	return read_member(a, type, v, i, e);
}

static int
by_key(const void *a, const void *b, void *arg)
{
	const struct json *j = arg;

	return str_cmp(j->keys[*(const size_t *)a], j->keys[*(const size_t *)b]);
}

static status
read_object(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	const struct json *fields = json_get(j, "value");
	size_t            *order;

	if (!fields || fields->kind != JSON_OBJECT)
		return missing(e, "value");
	alloc_members(a, v, fields->n);
	v->names = ARENA_ARRAY(a, str, v->n);
	v->optional = ARENA_ARRAY(a, bool, v->n);
	order = ARENA_ARRAY(a, size_t, v->n);
	for (size_t i = 0; i < v->n; i++)
		order[i] = i;
	qsort_r(order, v->n, sizeof *order, by_key, (void *)(uintptr_t)fields);
	for (size_t i = 0; i < v->n; i++) {
		str    name = fields->keys[order[i]];
		status st = identifier_check(name, e);

		if (st != ST_OK)
			return st;
		v->names[i] = arena_str(a, name);
		st = read_field(a, &fields->items[order[i]], v, i, &v->optional[i], e);
		if (st != ST_OK) {
			err_prefix(e, "Invalid validator for key `%.*s`: ", STR_ARG(name));
			return st;
		}
	}
	return ST_OK;
}

/* Is there a literal among the alternatives of this type? */
static bool
has_literal(const struct validator *v)
{
	if (v->kind == V_UNION)
		for (size_t i = 0; i < v->n; i++)
			if (has_literal(v->members[i]))
				return true;
	return v->kind == V_LITERAL;
}

static status
check_record_keys(const struct validator *keys, struct err *e)
{
	static const struct validator string = { .kind = V_STRING };
	struct buf                    b;
	status                        st;

	if (validator_subset(keys, &string)) {
		if (has_literal(keys))
			return err_set(e, ST_BAD_REQUEST, BAD_RECORD,
			    "Records cannot have string literal keys");
		return ST_OK;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	validator_print(&b, keys);
	st = err_set(e, ST_BAD_REQUEST, BAD_RECORD,
	    "Records can only have string keys. Your validator contains a record with key typed "
	    "as `%.*s`, which is not a subtype of `v.string()`",
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return st;
}

static status
read_record(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	const struct json *keys = json_get(j, "keys");
	const struct json *values = json_get(j, "values");
	bool               optional;

	if (!keys)
		return missing(e, "keys");
	if (!values)
		return missing(e, "values");
	alloc_members(a, v, 2);
	TRY(read_member(a, keys, v, 0, e));
	TRY(read_field(a, values, v, 1, &optional, e));
	TRY(check_record_keys(v->members[0], e));
	if (optional)
		return err_set(e, ST_BAD_REQUEST, BAD_RECORD,
		    "Records cannot have optional values");
	return ST_OK;
}

static status
read_union(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	const struct json *members = json_get(j, "value");

	if (!members || members->kind != JSON_ARRAY)
		return missing(e, "value");
	alloc_members(a, v, members->n);
	for (size_t i = 0; i < v->n; i++)
		TRY(read_member(a, &members->items[i], v, i, e));
	return ST_OK;
}

static status
read_literal(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	const struct json *value = json_get(j, "value");
	enum val_kind      kind;
	struct pack        p;
	status             st;

	if (!value)
		return missing(e, "value");
	pack_init(&p);
	st = vjson_read(&p, value, VJSON_PLAIN, e);
	if (st == ST_OK)
		st = pack_done_in(&p, a, &v->literal, e);
	pack_clear(&p);
	if (st != ST_OK)
		return st;
	kind = val_kind(v->literal);
	if (kind == VAL_FLOAT64 && !isfinite(val_float64(v->literal)))
		return err_set(e, ST_BAD_REQUEST, "UnsupportedFloatLiteral",
		    "NaN and infinite numbers are not supported as literals");
	if (kind != VAL_FLOAT64 && kind != VAL_INT64 && kind != VAL_BOOL && kind != VAL_STRING)
		return err_set(e, ST_BAD_REQUEST, BAD_VALIDATOR,
		    "A literal must be a boolean, a number, a bigint or a string, not %s",
		    val_type_name(v->literal));
	return ST_OK;
}

static status
read_id(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	str table;

	if (!json_get_str(j, "tableName", &table))
		return missing(e, "tableName");
	TRY(identifier_check(table, e));
	v->table = arena_str(a, table);
	return ST_OK;
}

static status
read_array(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	const struct json *element = json_get(j, "value");

	if (!element)
		return missing(e, "value");
	alloc_members(a, v, 1);
	return read_member(a, element, v, 0, e);
}

static bool
kind_named(str type, enum validator_kind *ret)
{
	static const struct {
		const char         *type;
		enum validator_kind kind;
	} kinds[] = {
		{ "any", V_ANY },
		{ "map", V_ANY }, /* retired types: whatever they held is accepted */
		{ "set", V_ANY },
		{ "null", V_NULL },
		{ "number", V_NUMBER },
		{ "bigint", V_BIGINT },
		{ "commitTs", V_COMMIT_TS },
		{ "boolean", V_BOOLEAN },
		{ "string", V_STRING },
		{ "bytes", V_BYTES },
		{ "literal", V_LITERAL },
		{ "id", V_ID },
		{ "array", V_ARRAY },
		{ "record", V_RECORD },
		{ "object", V_OBJECT },
		{ "union", V_UNION },
	};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (str_eq(type, str_z(kinds[i].type))) {
			*ret = kinds[i].kind;
			return true;
		}
	}
	return false;
}

static status
read_parts(struct arena *a, const struct json *j, struct validator *v, struct err *e)
{
	switch (v->kind) {
	case V_LITERAL:
		return read_literal(a, j, v, e);
	case V_ID:
		return read_id(a, j, v, e);
	case V_ARRAY:
		return read_array(a, j, v, e);
	case V_RECORD:
		return read_record(a, j, v, e);
	case V_OBJECT:
		return read_object(a, j, v, e);
	case V_UNION:
		return read_union(a, j, v, e);
	case V_ANY:
	case V_NULL:
	case V_NUMBER:
	case V_BIGINT:
	case V_COMMIT_TS:
	case V_BOOLEAN:
	case V_STRING:
	case V_BYTES:
		break;
	}
	return ST_OK;
}

static status
read_validator(struct arena *a, const struct json *j, struct validator **ret, struct err *e)
{
	struct validator *v = ARENA_NEW(a, struct validator);
	str               type;

	if (!json_get_str(j, "type", &type))
		return missing(e, "type");
	if (!kind_named(type, &v->kind))
		return err_set(e, ST_BAD_REQUEST, BAD_VALIDATOR, "unknown validator type `%.*s`",
		    STR_ARG(type));
	TRY(read_parts(a, j, v, e));
	*ret = v;
	return ST_OK;
}

status
validator_parse(struct arena *a, const struct json *j, const struct validator **ret, struct err *e)
{
	struct validator *v;

	TRY(read_validator(a, j, &v, e));
	*ret = v;
	return ST_OK;
}

status
validator_parse_text(struct arena *a, str text, const struct validator **ret, struct err *e)
{
	struct arena *tree = arena_new();
	struct json  *j;
	status        st = json_parse(tree, text, &j, e);

	if (st == ST_OK)
		st = validator_parse(a, j, ret, e);
	arena_free(tree);
	return st;
}

/* --- questions --- */

bool
validator_is_any(const struct validator *v)
{
	return v->kind == V_ANY;
}

bool
validator_is_object(const struct validator *v)
{
	return v->kind == V_OBJECT;
}

const struct validator *
validator_member(const struct validator *v, str name, bool *ret_optional)
{
	size_t lo = 0, hi = v->n;

	must(v->kind == V_OBJECT);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int    c = str_cmp(name, v->names[mid]);

		if (c == 0) {
			*ret_optional = v->optional[mid];
			return v->members[mid];
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct validator *
validator_without_system(struct arena *a, const struct validator *v)
{
	struct validator *copy;

	if (v->kind != V_OBJECT && v->kind != V_UNION)
		return v;
	copy = ARENA_NEW(a, struct validator);
	copy->kind = v->kind;
	alloc_members(a, copy, v->n);
	copy->n = 0;
	if (v->kind == V_OBJECT) {
		copy->names = ARENA_ARRAY(a, str, v->n);
		copy->optional = ARENA_ARRAY(a, bool, v->n);
	}
	for (size_t i = 0; i < v->n; i++) {
		if (v->kind == V_UNION) {
			copy->members[copy->n++] = validator_without_system(a, v->members[i]);
		} else if (!str_starts(v->names[i], S("_"))) {
			copy->names[copy->n] = v->names[i];
			copy->optional[copy->n] = v->optional[i];
			copy->members[copy->n++] = v->members[i];
		}
	}
	return copy;
}

/* The first part of a path; the rest goes to *ret_rest, with p == NULL if there is none. */
static str
first_part(str path, str *ret_rest)
{
	size_t dot;

	if (!str_find_char(path, '.', &dot)) {
		*ret_rest = (str){ NULL, 0 };
		return path;
	}
	*ret_rest = str_from(path, dot + 1);
	return str_head(path, dot);
}

static bool
declares(const struct validator *v, str path)
{
	const struct validator *member;
	bool                    optional;
	str                     rest;

	if (!path.p || v->kind == V_ANY)
		return true;
	if (v->kind == V_UNION) {
		for (size_t i = 0; i < v->n; i++)
			if (declares(v->members[i], path))
				return true;
		return false;
	}
	if (v->kind != V_OBJECT)
		return false;
	member = validator_member(v, first_part(path, &rest), &optional);
	return member && declares(member, rest);
}

bool
validator_has_path(const struct validator *v, str path)
{
	return str_eq(path, S("_id")) || str_eq(path, S("_creationTime")) || declares(v, path);
}

static bool
is_vector(const struct validator *v)
{
	return v->kind == V_ARRAY &&
	    (v->members[0]->kind == V_NUMBER || v->members[0]->kind == V_ANY);
}

bool
validator_vector_path_ok(const struct validator *v, str path)
{
	const struct validator *member;
	bool                    optional;
	str                     rest;

	if (v->kind == V_ANY)
		return true;
	if (v->kind == V_UNION) {
		for (size_t i = 0; i < v->n; i++)
			if (validator_vector_path_ok(v->members[i], path))
				return true;
		return false;
	}
	if (!path.p)
		return is_vector(v);
	if (v->kind != V_OBJECT)
		return false;
	member = validator_member(v, first_part(path, &rest), &optional);
	return !member || validator_vector_path_ok(member, rest);
}

void
validator_each_id(const struct validator *v, void (*fn)(void *arg, str table), void *arg)
{
	if (v->kind == V_ID)
		fn(arg, v->table);
	for (size_t i = 0; i < v->n; i++)
		validator_each_id(v->members[i], fn, arg);
}
