/* validator_print.c - validators as v.… expressions and as JSON (spec 03 section 4.2).
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "value/print.h"
#include "value/validator_int.h"
#include "value/vjson.h"

/* --- v.object({a: v.string()}) --- */

static void
print_members(struct buf *b, const struct validator *v)
{
	for (size_t i = 0; i < v->n; i++) {
		bool optional = v->kind == V_OBJECT && v->optional[i];

		if (i)
			buf_add(b, S(", "));
		if (v->kind == V_OBJECT) {
			buf_add(b, v->names[i]);
			buf_add(b, S(": "));
		}
		if (optional)
			buf_add(b, S("v.optional("));
		validator_print(b, v->members[i]);
		if (optional)
			buf_add_byte(b, ')');
	}
}

static void
print_literal(struct buf *b, struct val literal)
{
	if (val_kind(literal) == VAL_INT64)
		buf_add(b, S("<bigint>"));
	else
		vjson_write(b, literal, VJSON_EXPORT); /* -0 as -0.0 */
}

void
validator_print(struct buf *b, const struct validator *v)
{
	static const char *const heads[] = {
		[V_ANY] = "v.any(", [V_NULL] = "v.null(", [V_NUMBER] = "v.float64(",
		[V_BIGINT] = "v.int64(", [V_COMMIT_TS] = "v.commitTs(",
		[V_BOOLEAN] = "v.boolean(", [V_STRING] = "v.string(", [V_BYTES] = "v.bytes(",
		[V_LITERAL] = "v.literal(", [V_ID] = "v.id(", [V_ARRAY] = "v.array(",
		[V_RECORD] = "v.record(", [V_OBJECT] = "v.object({", [V_UNION] = "v.union(",
	};

	buf_addz(b, heads[v->kind]);
	if (v->kind == V_LITERAL)
		print_literal(b, v->literal);
	if (v->kind == V_ID)
		print_str(b, v->table);
	print_members(b, v);
	buf_addz(b, v->kind == V_OBJECT ? "})" : ")");
}

/* --- {"type":"object","value":{…}} --- */

static void
write_field(struct buf *b, const struct validator *type, bool optional)
{
	buf_add(b, S("{\"fieldType\":"));
	validator_json(b, type);
	buf_add(b, optional ? S(",\"optional\":true}") : S(",\"optional\":false}"));
}

static void
write_object(struct buf *b, const struct validator *v)
{
	buf_add(b, S(",\"value\":{"));
	for (size_t i = 0; i < v->n; i++) {
		json_comma(b);
		json_write_str(b, v->names[i]);
		buf_add_byte(b, ':');
		write_field(b, v->members[i], v->optional[i]);
	}
	buf_add_byte(b, '}');
}

static void
write_union(struct buf *b, const struct validator *v)
{
	buf_add(b, S(",\"value\":["));
	for (size_t i = 0; i < v->n; i++) {
		json_comma(b);
		validator_json(b, v->members[i]);
	}
	buf_add_byte(b, ']');
}

static void
write_parts(struct buf *b, const struct validator *v)
{
	switch (v->kind) {
	case V_LITERAL:
		buf_add(b, S(",\"value\":"));
		vjson_write(b, v->literal, VJSON_ENCODED);
		return;
	case V_ID:
		buf_add(b, S(",\"tableName\":"));
		json_write_str(b, v->table);
		return;
	case V_ARRAY:
		buf_add(b, S(",\"value\":"));
		validator_json(b, v->members[0]);
		return;
	case V_RECORD:
		buf_add(b, S(",\"keys\":"));
		validator_json(b, v->members[0]);
		buf_add(b, S(",\"values\":"));
		write_field(b, v->members[1], false);
		return;
	case V_OBJECT:
		write_object(b, v);
		return;
	case V_UNION:
		write_union(b, v);
		return;
	default:
		return; /* a scalar is its type */
	}
}

void
validator_json(struct buf *b, const struct validator *v)
{
	static const char *const types[] = {
		[V_ANY] = "any", [V_NULL] = "null", [V_NUMBER] = "number", [V_BIGINT] = "bigint",
		[V_COMMIT_TS] = "commitTs", [V_BOOLEAN] = "boolean", [V_STRING] = "string",
		[V_BYTES] = "bytes", [V_LITERAL] = "literal", [V_ID] = "id", [V_ARRAY] = "array",
		[V_RECORD] = "record", [V_OBJECT] = "object", [V_UNION] = "union",
	};

	buf_add(b, S("{\"type\":\""));
	buf_addz(b, types[v->kind]);
	buf_add_byte(b, '"');
	write_parts(b, v);
	buf_add_byte(b, '}');
}
