/* query_test.c - queries: index ranges, filters, limits (spec 03 sections 6.2 to 6.4); by
 * examples, and at random against a model that knows nothing of keys.
 */
#include "db_fixture.h"

#include <math.h>

static const char schema[] =
    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":["
    "{\"indexDescriptor\":\"by_a\",\"fields\":[\"a\"]},"
    "{\"indexDescriptor\":\"by_a_b\",\"fields\":[\"a\",\"b\"]},"
    "{\"indexDescriptor\":\"by_ox\",\"fields\":[\"o.x\",\"b\"]}],"
    "\"searchIndexes\":[{\"indexDescriptor\":\"find\",\"searchField\":\"a\",\"filterFields\":[]}],"
    "\"documentType\":null}]}";

static void
open_table(struct fix *f)
{
	fix_open(f);
	fix_push(f, schema);
}

#define RANGE(index, range)                                                   \
	"{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t." index "\",\"range\":[" range \
	"],\"order\":null},\"operators\":[]}"
#define R(type, field, value) \
	"{\"type\":\"" type "\",\"fieldPath\":\"" field "\",\"value\":" value "}"
#define UNDEF "{\"$undefined\":null}"

/* 03 checklist 37: bounds of all kinds, undefined ones, results of other types, equalities in
 * any order, the _creationTime and _id behind every index. */
TEST(ranges_by_example)
{
	static const struct {
		const char *why, *query, *want;
	} rows[] = {
		{ "everything", RANGE("by_a", ""), "6 7 1 2 3 8 4 5 9" },
		{ "eq", RANGE("by_a", R("Eq", "a", "1")), "1 2" },
		{ "eq of a missing field", RANGE("by_a", R("Eq", "a", UNDEF)), "6" },
		{ "gt undefined: has the field", RANGE("by_a", R("Gt", "a", UNDEF)),
		    "7 1 2 3 8 4 5 9" },
		{ "gt a number returns other types too", RANGE("by_a", R("Gt", "a", "1")),
		    "3 8 4 5 9" },
		{ "gte", RANGE("by_a", R("Gte", "a", "2")), "3 8 4 5 9" },
		{ "lt a string returns smaller types", RANGE("by_a", R("Lt", "a", "\"bob\"")),
		    "6 7 1 2 3 8" },
		{ "eq is exact for strings with NUL", RANGE("by_a", R("Eq", "a", "\"bob\"")), "4" },
		{ "gt does not skip the continuation", RANGE("by_a", R("Gt", "a", "\"bob\"")),
		    "5 9" },
		{ "lte includes no continuation",
		    RANGE("by_a", R("Gte", "a", "\"bob\"") "," R("Lte", "a", "\"bob\"")), "4" },
		{ "lower and upper", RANGE("by_a", R("Gte", "a", "1") "," R("Lt", "a", "2")),
		    "1 2" },
		{ "two equalities", RANGE("by_a_b", R("Eq", "a", "1") "," R("Eq", "b", "2")), "2" },
		{ "in the other order", RANGE("by_a_b", R("Eq", "b", "2") "," R("Eq", "a", "1")),
		    "2" },
		{ "eq, then a bound", RANGE("by_a_b", R("Gt", "b", "1") "," R("Eq", "a", "1")),
		    "2" },
		{ "creation time behind it",
		    RANGE("by_a", R("Eq", "a", "1") "," R("Gt", "_creationTime", "0")), "1 2" },
		{ "creation time too late",
		    RANGE("by_a", R("Eq", "a", "1") "," R("Gt", "_creationTime", "1e300")), "" },
		{ "crossed bounds", RANGE("by_a", R("Gt", "a", "2") "," R("Lt", "a", "1")), "" },
		{ "nested path", RANGE("by_ox", R("Eq", "o.x", "5")), "8" },
		{ "nested path, missing first", RANGE("by_ox", R("Lt", "o.x", "5")),
		    "3 4 5 6 7 9 1 2" },
		{ "by_creation_time", RANGE("by_creation_time", R("Gt", "_creationTime", "0")),
		    "1 2 3 4 5 6 7 8 9" },
		{ "int64 is not a number",
		    RANGE("by_a", R("Eq", "a", "{\"$integer\":\"AQAAAAAAAAA=\"}")), "7" },
	};
	static const char *const docs[] = {
		"{\"n\":1,\"a\":1,\"b\":1}",
		"{\"n\":2,\"a\":1,\"b\":2}",
		"{\"n\":3,\"a\":2}",
		"{\"n\":4,\"a\":\"bob\"}",
		"{\"n\":5,\"a\":\"bob\\u0000x\"}",
		"{\"n\":6}",
		"{\"n\":7,\"a\":{\"$integer\":\"AQAAAAAAAAA=\"}}",
		"{\"n\":8,\"a\":true,\"o\":{\"x\":5}}",
		"{\"n\":9,\"a\":[1],\"o\":[1]}",
	};

	for (int own = 0; own < 2; own++) {
		struct fix  f;
		struct txn *t;

		open_table(&f);
		t = fix_begin(&f);
		for (size_t i = 0; i < COUNT_OF(docs); i++)
			fix_insert(&f, t, "t", docs[i]);
		if (!own) {
			CHECK_EQ(fix_end(&f, t), ST_OK);
			t = fix_begin(&f);
		}
		for (size_t i = 0; i < COUNT_OF(rows); i++) {
			str         got = STR_EMPTY, want = str_z(rows[i].want);
			struct buf  b;

			print_message("  %s\n", rows[i].why);
			CHECK_EQ(fix_query(&f, t, rows[i].query, "n", &got), ST_OK);
			buf_init(&b, BUF_MAX_DEFAULT);
			for (size_t k = 0; k < want.n; k++)
				buf_fmt(&b, want.p[k] == ' ' ? "%c" : "%c.0", want.p[k]);
			CHECK_STR(got, buf_str(&b));
			buf_clear(&b);
		}
		txn_free(t);
		fix_close(&f);
	}
}

/* by_id takes an equality on _id, and so does the end of any other index. */
TEST(ranges_on_ids)
{
	struct fix        f;
	struct txn       *t;
	struct doc       *d;
	struct query     *q;
	struct range_expr r[3];
	struct query_spec s = { .source = QUERY_INDEX_RANGE, .table = S("t") };
	str               ids[3];

	open_table(&f);
	t = fix_begin(&f);
	for (int i = 0; i < 3; i++)
		ids[i] = fix_insert(&f, t, "t", "{\"a\":1}");
	CHECK_EQ(txn_get(t, STR_EMPTY, ids[1], false, &d, &f.err), ST_OK);
	r[0] = (struct range_expr){ RANGE_EQ, S("_id"), val_get(doc_val(d), S("_id")) };
	r[1] = (struct range_expr){ RANGE_EQ, S("_creationTime"),
		val_get(doc_val(d), S("_creationTime")) };
	r[2] = (struct range_expr){ RANGE_EQ, S("a"), val_get(doc_val(d), S("a")) };
	s.range = r;
	s.index = S("by_id");
	s.nrange = 1;
	CHECK_EQ(query_open(t, &s, &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(d && str_eq(val_str(val_get(doc_val(d), S("_id"))), ids[1]));
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(!d);
	s.index = S("by_a");
	s.nrange = 3;
	CHECK_EQ(query_open(t, &s, &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(d && str_eq(val_str(val_get(doc_val(d), S("_id"))), ids[1]));
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(!d);
	r[0].op = RANGE_GT;
	CHECK_EQ(query_open(t, &s, &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(!d);
	r[0].op = RANGE_LTE;
	CHECK_EQ(query_open(t, &s, &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(d != NULL);
	txn_free(t);
	fix_close(&f);
}

/* 03 checklist 38 and the lookups of section 4.5: codes and texts. */
TEST(range_errors)
{
#define SEE "https://docs.convex.dev/using/indexes"
	static const struct {
		const char *query, *code, *text;
	} rows[] = {
		{ RANGE("by_a", R("Eq", "a", "1") "," R("Eq", "a", "2")), "AlreadyDefinedBound",
		    "Already defined equality bound in index range. Can't add \"a\" == 1.0." },
		{ RANGE("by_a", R("Gt", "a", "1") "," R("Gte", "a", "2")), "AlreadyDefinedBound",
		    "Already defined lower bound in index range. Can't add \"a\" >= 2.0." },
		{ RANGE("by_a", R("Lt", "a", "1") "," R("Lte", "a", "\"x\"")),
		    "AlreadyDefinedBound",
		    "Already defined upper bound in index range. Can't add \"a\" <= \"x\"." },
		{ RANGE("by_a", R("Lt", "a", "1") "," R("Eq", "a", "2")), "AlreadyDefinedBound",
		    "Already defined inequality bound in index range. Can't add \"a\" == 2.0." },
		{ RANGE("by_a_b", R("Gt", "a", "1") "," R("Lt", "b", "2")),
		    "BoundsOnMultipleFields",
		    "Upper and lower bounds in `range` can only be applied to a single index "
		    "field. This query against index t.by_a_b attempted to set a range bound on "
		    "both \"a\" and \"b\". Consider using `filter` instead. See " SEE
		    " for more info." },
		{ RANGE("by_a", R("Eq", "b", "1")), "FieldNotInIndex",
		    "The index range included a comparison with \"b\", but t.by_a with fields "
		    "[\"a\", \"_creationTime\"] doesn't index this field. For more information see "
		    SEE "." },
		{ RANGE("by_a_b", R("Eq", "b", "1")), "InvalidIndexRange",
		    "Tried to query index t.by_a_b but the query didn't use the index fields in "
		    "order.\nIndex fields: [\"a\", \"b\", \"_creationTime\"]\nQuery fields: "
		    "[\"b\"]\nFirst incorrect field: \"b\"\nFor more information see " SEE "." },
		{ RANGE("by_a_b", R("Eq", "a", "1") "," R("Gt", "_creationTime", "1")),
		    "InvalidIndexRange",
		    "Tried to query index t.by_a_b but the query didn't use the index fields in "
		    "order.\nIndex fields: [\"a\", \"b\", \"_creationTime\"]\nQuery fields: "
		    "[\"a\", \"_creationTime\"]\nFirst incorrect field: \"_creationTime\"\nFor "
		    "more information see " SEE "." },
		{ RANGE("nope", ""), "IndexNotFoundError", "Index t.nope not found." },
		{ RANGE("find", ""), "IndexNotADatabaseIndex",
		    "Index t.find is not a database index" },
	};
	struct fix  f;
	struct txn *t;
	str         got;

	open_table(&f);
	t = fix_begin_query(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_FAILS(&f, fix_query(&f, t, rows[i].query, "n", &got), rows[i].code,
		    rows[i].text);
	txn_free(t);
	fix_close(&f);
}

static status
parse(struct fix *f, const char *text)
{
	struct query_spec s;
	struct json      *j;

	CHECK_EQ(json_parse(f->arena, arena_str(f->arena, str_z(text)), &j, &f->err), ST_OK);
	return query_spec_parse(f->arena, j, "queryStream", &s, &f->err);
}

/* Malformed query JSON is InvalidArgument and names the method. */
TEST(malformed_queries)
{
	static const struct {
		const char *query, *text; /* behind the common beginning; NULL: any */
	} rows[] = {
		{ "{}", NULL },
		{ "{\"source\":{\"type\":\"Nope\"},\"operators\":[]}", NULL },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":\"up\"},"
		  "\"operators\":[]}", NULL },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"a b\",\"order\":null},"
		  "\"operators\":[]}",
		    "Identifier a b has invalid character ' ': Identifiers can only contain "
		    "alphanumeric characters or underscores" },
		{ "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t\",\"range\":[]},"
		  "\"operators\":[]}", "Insufficient components in index name t" },
		{ "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t.a.b\",\"range\":[]},"
		  "\"operators\":[]}", "Too many components in index name t.a.b" },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\"},"
		  "\"operators\":[{\"limit\":-1}]}", NULL },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\"},"
		  "\"operators\":[{\"filter\":{\"$pow\":[1,2]}}]}", NULL },
		{ "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\"},"
		  "\"operators\":[{\"filter\":{\"$literal\":{\"$commitTs\":null}}}]}", NULL },
		{ RANGE("by_a", "{\"type\":\"Ne\",\"fieldPath\":\"a\",\"value\":1}"), NULL },
	};
	static const char head[] = "Invalid argument `query` for `queryStream`: ";
	struct fix        f;

	fix_open(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CHECK_EQ(parse(&f, rows[i].query), ST_BAD_REQUEST);
		CHECK_STRZ(f.err.code, "InvalidArgument");
		CHECK(str_starts(f.err.text, str_z(head)));
		if (rows[i].text)
			CHECK_STRZ(str_from(f.err.text, sizeof head - 1), rows[i].text);
	}
	fix_close(&f);
}

/* 03 checklist 40: operators apply left to right; at most 256 of them. */
TEST(operators_in_order)
{
#define ODD "{\"filter\":{\"$eq\":[{\"$mod\":[{\"$field\":\"n\"},{\"$literal\":2}]}," \
	"{\"$literal\":1}]}}"
#define OPS(list) "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":null}," \
	"\"operators\":[" list "]}"
	static const struct {
		const char *query, *want;
	} rows[] = {
		{ OPS(""), "0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0" },
		{ OPS(ODD ",{\"limit\":2}"), "1.0 3.0" },
		{ OPS("{\"limit\":4}," ODD), "1.0 3.0" },
		{ OPS("{\"limit\":2}," ODD), "1.0" },
		{ OPS("{\"limit\":6}," ODD ",{\"limit\":2}"), "1.0 3.0" },
		{ OPS("{\"limit\":0}"), "" },
		{ OPS("{\"limit\":3},{\"limit\":2}"), "0.0 1.0" },
	};
	struct fix  f;
	struct txn *t;
	struct buf  b;

	open_table(&f);
	t = fix_begin(&f);
	for (int i = 0; i < 8; i++)
		fix_insert(&f, t, "t", arena_z(f.arena, arena_fmt(f.arena, "{\"n\":%d}", i)));
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_QUERY(&f, t, rows[i].query, "n", rows[i].want);
	buf_init(&b, BUF_MAX_DEFAULT);
	for (int n = 256; n <= 257; n++) {
		buf_reset(&b);
		for (int i = 0; i < n; i++)
			buf_addz(&b, i ? ",{\"limit\":1}" : "{\"limit\":1}");
		CHECK_EQ(parse(&f, arena_z(f.arena, arena_fmt(f.arena, OPS("%.*s"),
				       STR_ARG(buf_str(&b))))),
		    n == 256 ? ST_OK : ST_BAD_REQUEST);
	}
	buf_clear(&b);
	txn_free(t);
	fix_close(&f);
}

static status
eval_parsed(struct fix *f, const struct expr *x, struct val doc, struct val *ret)
{
	static const uint64_t for_ever = 0;
	struct expr_run       run = { f->arena, &for_ever, os_real(), 0 };

	return expr_eval(x, doc, &run, ret, &f->err);
}

static status
eval(struct fix *f, const char *text, struct val doc, struct val *ret)
{
	const struct expr *x;
	struct json       *j;

	CHECK_EQ(json_parse(f->arena, arena_str(f->arena, str_z(text)), &j, &f->err), ST_OK);
	CHECK_EQ(expr_parse(f->arena, j, &x, &f->err), ST_OK);
	return eval_parsed(f, x, doc, ret);
}

#define MIN "{\"$literal\":{\"$integer\":\"AAAAAAAAAIA=\"}}"
#define MAX "{\"$literal\":{\"$integer\":\"/////////38=\"}}"
#define ONE "{\"$literal\":{\"$integer\":\"AQAAAAAAAAA=\"}}"
#define NEG "{\"$literal\":{\"$integer\":\"//////////8=\"}}"
#define NIL "{\"$literal\":{\"$integer\":\"AAAAAAAAAAA=\"}}"

/* Filters compare with the total order of values and compute within one number type. */
TEST(filters_by_example)
{
	static const struct {
		const char *expr, *want;
	} rows[] = {
		{ "{\"$eq\":[{\"$field\":\"a\"},{\"$literal\":1}]}", "true" },
		{ "{\"$eq\":[{\"$field\":\"a\"}," ONE "]}", "false" },
		{ "{\"$neq\":[{\"$literal\":0},{\"$literal\":{\"$float\":\"AAAAAAAAAIA=\"}}]}",
		    "true" },
		{ "{\"$lt\":[{\"$field\":\"missing\"},{\"$literal\":null}]}", "true" },
		{ "{\"$eq\":[{\"$field\":\"missing\"},{\"$literal\":{\"$undefined\":null}}]}",
		    "true" },
		{ "{\"$eq\":[{\"$field\":\"o.x\"},{\"$literal\":\"y\"}]}", "true" },
		{ "{\"$eq\":[{\"$field\":\".o.x.\"},{\"$literal\":\"y\"}]}", "true" },
		{ "{\"$gte\":[{\"$literal\":[]},{\"$literal\":\"z\"}]}", "true" },
		{ "{\"$lte\":[{\"$literal\":2},{\"$literal\":1}]}", "false" },
		{ "{\"$gt\":[{\"$literal\":2},{\"$literal\":1}]}", "true" },
		{ "{\"$add\":[{\"$literal\":1},{\"$literal\":2}]}", "3.0" },
		{ "{\"$sub\":[" ONE "," NEG "]}", "{\"$integer\":\"AgAAAAAAAAA=\"}" },
		{ "{\"$mul\":[{\"$literal\":3},{\"$field\":\"a\"}]}", "3.0" },
		{ "{\"$div\":[{\"$literal\":1},{\"$literal\":4}]}", "0.25" },
		{ "{\"$div\":[{\"$literal\":1},{\"$literal\":0}]}",
		    "{\"$float\":\"AAAAAAAA8H8=\"}" },
		{ "{\"$mod\":[{\"$literal\":-5},{\"$literal\":3}]}", "-2.0" },
		{ "{\"$neg\":{\"$literal\":5}}", "-5.0" },
		{ "{\"$neg\":" ONE "}", "{\"$integer\":\"//////////8=\"}" },
		{ "{\"$and\":[]}", "true" },
		{ "{\"$or\":[]}", "false" },
		{ "{\"$or\":[{\"$literal\":true},{\"$literal\":5}]}", "true" },
		{ "{\"$and\":[{\"$literal\":false},{\"$literal\":5}]}", "false" },
		{ "{\"$not\":{\"$literal\":false}}", "true" },
	};
	struct fix f;

	fix_open(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct val doc = fix_val(&f, "{\"a\":1,\"o\":{\"x\":\"y\"}}"), v;
		struct buf b;

		print_message("  %s\n", rows[i].expr);
		CHECK_EQ(eval(&f, rows[i].expr, doc, &v), ST_OK);
		buf_init(&b, BUF_MAX_DEFAULT);
		vjson_write(&b, v, VJSON_ENCODED);
		CHECK_STRZ(buf_str(&b), rows[i].want);
		buf_clear(&b);
	}
	fix_close(&f);
}

/* 03 checklist 39. */
TEST(filter_errors)
{
	static const struct {
		const char *expr, *text;
	} rows[] = {
		{ "{\"$add\":[{\"$literal\":1}," ONE "]}",
		    "Cannot add 1.0 (type Float64) and 1 (type Int64)" },
		{ "{\"$sub\":[{\"$literal\":\"a\"},{\"$field\":\"zz\"}]}",
		    "Cannot subtract \"a\" (type String) and undefined (type undefined)" },
		{ "{\"$mul\":[" MAX "," MAX "]}",
		    "Cannot multiply 9223372036854775807 and 9223372036854775807: the result is "
		    "out of range for Int64" },
		{ "{\"$add\":[" MAX "," ONE "]}",
		    "Cannot add 9223372036854775807 and 1: the result is out of range for Int64" },
		{ "{\"$div\":[" MIN "," NEG "]}",
		    "Cannot divide -9223372036854775808 and -1: the result is out of range for "
		    "Int64" },
		{ "{\"$mod\":[" MIN "," NEG "]}",
		    "Cannot mod -9223372036854775808 and -1: the result is out of range for "
		    "Int64" },
		{ "{\"$div\":[" ONE "," NIL "]}", "Cannot divide 1 by zero" },
		{ "{\"$mod\":[" ONE "," NIL "]}", "Cannot mod 1 by zero" },
		{ "{\"$neg\":{\"$literal\":null}}", "Cannot negate null (type Null)" },
		{ "{\"$neg\":" MIN "}",
		    "Cannot negate -9223372036854775808: the result is out of range for Int64" },
		{ "{\"$not\":{\"$literal\":5}}",
		    "Cannot use value 5.0 (type Float64) as a Boolean" },
		{ "{\"$and\":[{\"$literal\":true},{\"$field\":\"zz\"}]}",
		    "Cannot use value undefined (type undefined) as a Boolean" },
	};
	struct fix  f;
	struct txn *t;
	struct val  v;
	str         got;

	open_table(&f);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		CHECK_FAILS(&f, eval(&f, rows[i].expr, fix_val(&f, "{}"), &v), "EvalError",
		    rows[i].text);
	t = fix_begin(&f);
	fix_insert(&f, t, "t", "{\"n\":1}");
	CHECK_FAILS(&f, fix_query(&f, t, OPS("{\"filter\":{\"$field\":\"n\"}}"), "n", &got),
	    "EvalError", "Cannot use value 1.0 (type Float64) as a Boolean");
	txn_free(t);
	fix_close(&f);
}

/* An open iteration sees what the transaction writes ahead of it, and nothing twice. */
TEST(iterations_see_writes_ahead)
{
	struct fix    f;
	struct txn   *t;
	struct query *q;
	struct doc   *d;
	str           ids[5];

	open_table(&f);
	t = fix_begin(&f);
	for (int i = 0; i < 5; i++)
		ids[i] = fix_insert(&f, t, "t",
		    arena_z(f.arena, arena_fmt(f.arena, "{\"a\":%d}", i * 10)));
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin(&f);
	CHECK_EQ(query_open(t, fix_spec(&f, RANGE("by_a", "")), &q, &f.err), ST_OK);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(val_float64(val_get(doc_val(d), S("a"))) == 0);
	CHECK_EQ(txn_patch(t, STR_EMPTY, ids[0], fix_val(&f, "{\"a\":5}"), &d, &f.err), ST_OK);
	CHECK_EQ(txn_delete(t, STR_EMPTY, ids[1], &d, &f.err), ST_OK);
	fix_insert(&f, t, "t", "{\"a\":-1}");
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(val_float64(val_get(doc_val(d), S("a"))) == 5);
	CHECK_EQ(query_next(q, &d, &f.err), ST_OK);
	CHECK(val_float64(val_get(doc_val(d), S("a"))) == 20);
	txn_free(t);
	fix_close(&f);
}

/* --- at random --- */

static const char *const pool[] = {
	UNDEF, "null", "{\"$integer\":\"AQAAAAAAAAA=\"}", "{\"$integer\":\"//////////8=\"}",
	"{\"$integer\":\"AAAAAAAAAIA=\"}", "0", "{\"$float\":\"AAAAAAAAAIA=\"}", "1", "-1", "2.5",
	"{\"$float\":\"AAAAAAAA+H8=\"}", "{\"$float\":\"AAAAAAAA8P8=\"}", "true", "false", "\"\"",
	"\"a\"", "\"a\\u0000b\"", "\"ab\"", "\"b\"", "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"",
	"{\"$bytes\":\"\"}", "{\"$bytes\":\"AAE=\"}", "[]", "[null]", "[1,\"a\"]", "{}",
	"{\"x\":1}", "{\"x\":\"a\",\"y\":null}", "{\"\":1}",
};

#define MODEL_MAX 400

struct model {
	struct fix *f;
	uint64_t    dice;
	struct val  values[COUNT_OF(pool)];
	struct doc *docs[MODEL_MAX]; /* NULL: deleted */
	size_t      n;
};

static size_t
draw(struct model *m, size_t below)
{
	return (size_t)(fix_draw(&m->dice) >> 20) % below;
}

static struct val
any_value(struct model *m)
{
	return m->values[draw(m, COUNT_OF(pool))];
}

static struct val
any_doc(struct model *m)
{
	struct pack p;
	struct val  v, a = any_value(m), b = any_value(m), x = any_value(m);

	pack_init(&p);
	pack_object(&p);
	if (val_kind(a) != VAL_UNDEFINED) {
		pack_key(&p, S("a"));
		pack_val(&p, a);
	}
	if (val_kind(b) != VAL_UNDEFINED) {
		pack_key(&p, S("b"));
		pack_val(&p, b);
	}
	pack_key(&p, S("o"));
	if (val_kind(x) == VAL_UNDEFINED) {
		pack_null(&p);
	} else {
		pack_object(&p);
		pack_key(&p, S("x"));
		pack_val(&p, x);
		pack_end(&p);
	}
	pack_end(&p);
	CHECK_EQ(pack_done_in(&p, m->f->arena, &v, NULL), ST_OK);
	pack_clear(&p);
	return v;
}

static void
any_write(struct model *m, struct txn *t)
{
	size_t       at = m->n ? draw(m, m->n) : 0, what = draw(m, 10);
	char         text[ID_TEXT_MAX];
	struct docid id;
	struct doc  *d;

	if ((what < 5 || m->n < 20) && m->n < MODEL_MAX) {
		CHECK_EQ(txn_insert(t, S("t"), any_doc(m), &id, &m->f->err), ST_OK);
		id_format(id, text);
		CHECK_EQ(txn_get(t, STR_EMPTY, str_z(text), false, &d, &m->f->err), ST_OK);
		m->docs[m->n++] = doc_ref(d);
		return;
	}
	if (!m->docs[at])
		return;
	id_format(m->docs[at]->id, text);
	if (what < 8) {
		CHECK_EQ(txn_replace(t, STR_EMPTY, str_z(text), any_doc(m), &d, &m->f->err), ST_OK);
		doc_ref(d);
	} else {
		CHECK_EQ(txn_delete(t, STR_EMPTY, str_z(text), &d, &m->f->err), ST_OK);
		d = NULL;
	}
	doc_unref(m->docs[at]);
	m->docs[at] = d;
}

static const struct {
	const char *name, *fields[3];
} indexes[] = {
	{ "by_a", { "a", "_creationTime", "_id" } },
	{ "by_a_b", { "a", "b", "_creationTime" } },
	{ "by_ox", { "o.x", "b", "_creationTime" } },
	{ "by_creation_time", { "_creationTime", "_id", NULL } },
};

/* Bounds around a document that may exist, so that ranges are not all empty. */
static struct val
any_bound(struct model *m, const char *field)
{
	struct doc *d = m->n ? m->docs[draw(m, m->n)] : NULL;

	if (d && (field[0] == '_' || draw(m, 3)))
		return val_path(doc_val(d), str_z(field));
	return any_value(m);
}

static size_t
any_range(struct model *m, size_t index, struct range_expr ret[4])
{
	size_t neq = draw(m, 4), n = 0, k;

	for (k = 0; k < neq && k < 2; k++) {
		const char *field = indexes[index].fields[k];

		ret[n++] = (struct range_expr){ RANGE_EQ, str_z(field), any_bound(m, field) };
	}
	if (draw(m, 2) && indexes[index].fields[k]) {
		const char *field = indexes[index].fields[k];

		if (draw(m, 3))
			ret[n++] = (struct range_expr){ draw(m, 2) ? RANGE_GT : RANGE_GTE,
				str_z(field), any_bound(m, field) };
		if (draw(m, 3))
			ret[n++] = (struct range_expr){ draw(m, 2) ? RANGE_LT : RANGE_LTE,
				str_z(field), any_bound(m, field) };
	}
	if (n > 1 && draw(m, 2)) { /* in any order */
		struct range_expr x = ret[0];

		ret[0] = ret[n - 1];
		ret[n - 1] = x;
	}
	return n;
}

static bool
matches(const struct doc *d, const struct range_expr *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int c = val_cmp(val_path(doc_val(d), r[i].field), r[i].value);

		if (!(r[i].op == RANGE_EQ ? c == 0 : r[i].op == RANGE_GT ? c > 0 :
			r[i].op == RANGE_GTE ? c >= 0 : r[i].op == RANGE_LT ? c < 0 : c <= 0))
			return false;
	}
	return true;
}

static size_t sort_index; /* of by_fields(): qsort() has no argument for it */

static int
by_fields(const void *pa, const void *pb)
{
	const struct doc *a = *(struct doc *const *)pa, *b = *(struct doc *const *)pb;

	for (size_t i = 0; i < 3 && indexes[sort_index].fields[i]; i++) {
		str field = str_z(indexes[sort_index].fields[i]);
		int c = val_cmp(val_path(doc_val(a), field), val_path(doc_val(b), field));

		if (c)
			return c;
	}
	return val_cmp(val_get(doc_val(a), S("_id")), val_get(doc_val(b), S("_id")));
}

static size_t
expected(struct model *m, const struct query_spec *s, size_t index, struct doc **ret)
{
	size_t   n = 0, k = 0;
	uint64_t limit = UINT64_MAX;
	struct doc *all[MODEL_MAX];

	for (size_t i = 0; i < m->n; i++)
		if (m->docs[i] && matches(m->docs[i], s->range, s->nrange))
			all[n++] = m->docs[i];
	sort_index = index;
	qsort(all, n, sizeof *all, by_fields);
	for (size_t i = 0; i < s->nops; i++)
		if (!s->ops[i].filter)
			limit = s->ops[i].limit;
	for (size_t i = 0; i < n && k < limit; i++) {
		struct doc *d = all[s->desc ? n - 1 - i : i];
		struct val  keep = val_true;

		if (s->nops && s->ops[0].filter)
			CHECK_EQ(eval_parsed(m->f, s->ops[0].filter, doc_val(d), &keep), ST_OK);
		if (val_bool(keep))
			ret[k++] = d;
	}
	return k;
}

static void
compare(struct model *m, struct txn *t)
{
	struct expr          field = { .op = EXPR_FIELD, .field = S("b") };
	struct expr          literal = { .op = EXPR_LITERAL, .literal = any_value(m) };
	const struct expr   *args[] = { &field, &literal };
	struct expr          filter = { .op = EXPR_GTE, .n = 2, .args = args };
	size_t               index = draw(m, COUNT_OF(indexes)), n;
	struct range_expr    range[4];
	struct query_op      ops[2];
	struct query_spec    s = { .source = QUERY_INDEX_RANGE, .table = S("t"), .range = range,
		   .index = str_z(indexes[index].name), .desc = draw(m, 2), .ops = ops };
	struct doc          *want[MODEL_MAX], *d;
	struct query        *q;

	s.nrange = any_range(m, index, range);
	if (draw(m, 3) == 0)
		ops[s.nops++] = (struct query_op){ .filter = &filter };
	if (draw(m, 3) == 0)
		ops[s.nops++] = (struct query_op){ .limit = draw(m, 12) };
	n = expected(m, &s, index, want);
	CHECK_EQ(query_open(t, &s, &q, &m->f->err), ST_OK);
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(query_next(q, &d, &m->f->err), ST_OK);
		CHECK(d != NULL);
		CHECK(val_eq(doc_val(d), doc_val(want[i])));
	}
	CHECK_EQ(query_next(q, &d, &m->f->err), ST_OK);
	CHECK(d == NULL);
	query_close(q);
}

/* 03 checklist 30 and 37: whatever was committed and written since, a query returns what a
 * search through all documents with val_cmp() finds, in the order of val_cmp(). */
TEST(queries_agree_with_brute_force)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct fix   f;
		struct model m;

		print_message("  seed %d\n", (int)seed);
		memset(&m, 0, sizeof m);
		open_table(&f);
		m.f = &f;
		m.dice = seed * 0x9e3779b97f4a7c15u;
		for (size_t i = 0; i < COUNT_OF(pool); i++)
			m.values[i] = fix_val(&f, pool[i]);
		for (int round = 0; round < 12; round++) {
			struct txn *t = fix_begin(&f);

			for (int i = 0; i < 120; i++) {
				if (draw(&m, 3) == 0)
					any_write(&m, t);
				else
					compare(&m, t);
			}
			CHECK_EQ(fix_end(&f, t), ST_OK);
			if (draw(&m, 2))
				fix_pump(&f);
		}
		for (size_t i = 0; i < m.n; i++)
			doc_unref(m.docs[i]);
		fix_close(&f);
	}
}

TEST_RUN(T(ranges_by_example), T(ranges_on_ids), T(range_errors), T(malformed_queries),
    T(operators_in_order), T(filters_by_example), T(filter_errors),
    T(iterations_see_writes_ahead), T(queries_agree_with_brute_force))
