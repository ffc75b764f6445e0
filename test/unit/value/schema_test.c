/* schema_test.c - schemas and index rules (spec 03 sections 4.1 and 4.5). */
#include "unit/value/help.h"

#include "value/schema.h"

static str
quoted(const char *text)
{
	char *s = arena_z(arena, str_z(text));

	for (char *c = s; *c; c++)
		if (*c == '\'')
			*c = '"';
	return str_z(s);
}

static status
parse(const char *text, const struct schema **ret, struct err *e)
{
	struct json *j;

	if (json_parse(arena, quoted(text), &j, e) != ST_OK)
		fail_msg("bad JSON in the test: %s", text);
	return schema_parse(arena, j, ret, e);
}

static const struct schema *
schema_of(const char *text)
{
	const struct schema *s = NULL;
	struct err           e = err_in(arena);

	if (parse(text, &s, &e) != ST_OK)
		fail_msg("%s: %.*s", text, STR_ARG(e.text));
	return s;
}

#define TABLE(name, rest)  "{'tables':[{'tableName':'" name "'," rest "}],'schemaValidation':true}"
#define T_(rest)           TABLE("t", rest)
#define DOC(fields)        ",'documentType':{'type':'object','value':{" fields "}}"
#define FIELD(n, v)        "'" n "':{'fieldType':" v ",'optional':false}"
#define STR_               "{'type':'string'}"
#define VECTOR             "{'type':'array','value':{'type':'number'}}"
#define DB(name, fields)   "{'indexDescriptor':'" name "','fields':[" fields "]}"
#define SE(name, f, flt)                                                                          \
	"{'indexDescriptor':'" name "','searchField':'" f "','filterFields':[" flt "]}"
#define VE(name, f, d)                                                                            \
	"{'indexDescriptor':'" name "','vectorField':'" f "','dimensions':" d ",'filterFields':[]}"
#define NONE               "'indexes':[]"

/* The example of spec 03 section 4.1, as evaluated and as stored; 03 checklist 18: keys that
 * nobody knows are ignored, stagedDocumentType among them. */
TEST(schemas_round_trip)
{
	const struct schema *s = schema_of(
	    "{'tables':[{'tableName':'messages','indexes':[{'indexDescriptor':'by_channel',"
	    "'fields':"
	    "['channel','author.name']}],'stagedDbIndexes':[{'indexDescriptor':'a',"
	    "'fields':['.x.']}],"
	    "'searchIndexes':[{'indexDescriptor':'search_body','searchField':'body',"
	    "'filterFields':["
	    "'b','channel','b']}],'stagedSearchIndexes':null,'vectorIndexes':[{'indexDescriptor':"
	    "'by_emb','vectorField':'emb','dimension':1536,'filterFields':[]}],'documentType':null,"
	    "'stagedDocumentType':{'type':'nonsense'},'color':1},{'tableName':'a','indexes':[]}]}");
	static const char *const stored =
	    "{'tables':[{'tableName':'a','indexes':[],'stagedDbIndexes':[],'searchIndexes':[],"
	    "'stagedSearchIndexes':[],'vectorIndexes':[],'stagedVectorIndexes':[],"
	    "'documentType':null},{'tableName':'messages','indexes':[{'indexDescriptor':"
	    "'by_channel','fields':['channel','author.name','_creationTime']}],"
	    "'stagedDbIndexes':[{'indexDescriptor':'a','fields':['x','_creationTime']}],"
	    "'searchIndexes':[{'indexDescriptor':'search_body','searchField':'body','filterFields':"
	    "['b','channel']}],'stagedSearchIndexes':[],"
	    "'vectorIndexes':[{'indexDescriptor':'by_emb',"
	    "'vectorField':'emb','dimensions':1536,'filterFields':[]}],'stagedVectorIndexes':[],"
	    "'documentType':null}],'schemaValidation':false}";
	const struct schema    *back;
	const struct table_def *t;
	struct buf              b;

	CHECK(!s->validate);
	buf_init(&b, 10000);
	schema_json(&b, s);
	CHECK_STR(buf_str(&b), quoted(stored));
	CHECK_EQ(schema_parse_stored(arena, buf_str(&b), &back, NULL), ST_OK);
	CHECK(schema_equal(s, back));
	t = schema_table(back, S("messages"));
	CHECK_EQ(t->nindexes, 4);
	CHECK_STRZ(t->indexes[0].name, "a");
	CHECK(t->indexes[0].staged && !t->indexes[1].staged);
	CHECK(schema_table(back, S("a")) == &back->tables[0]);
	CHECK(schema_table(back, S("b")) == NULL);
	buf_clear(&b);
}

/* Members called _... at the top of a document type are dropped, unions included. */
TEST(schemas_drop_system_members)
{
	const struct schema *s = schema_of(T_(NONE DOC(FIELD("_id", STR_) "," FIELD("a", STR_) ","
	    FIELD("_creationTime", "{'type':'number'}"))));
	const struct schema *u = schema_of(T_(NONE ",'documentType':{'type':'union','value':["
	    "{'type':'object','value':{" FIELD("_id", STR_) "}},{'type':'object','value':{}}]}"));
	struct buf           b;

	buf_init(&b, 1000);
	validator_print(&b, s->tables[0].document);
	CHECK_STRZ(buf_str(&b), "v.object({a: v.string()})");
	buf_reset(&b);
	validator_print(&b, u->tables[0].document);
	CHECK_STRZ(buf_str(&b), "v.union(v.object({}), v.object({}))");
	buf_clear(&b);
}

/* What may and may not be the type of a table's documents. */
TEST(schemas_check_the_document_type)
{
	static const struct {
		const char *type, *found; /* NULL: fine */
	} rows[] = {
		{ "{'type':'any'}", NULL },
		{ "null", NULL },
		{ "{'type':'object','value':{}}", NULL },
		{ "{'type':'union','value':[]}", NULL },
		{ "{'type':'union','value':[{'type':'object','value':{}}]}", NULL },
		{ "{'type':'string'}", "v.string()" },
		{ "{'type':'union','value':[{'type':'any'}]}", "v.union(v.any())" },
		{ "{'type':'union','value':[{'type':'union','value':[]}]}", "v.union(v.union())" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct schema *s;
		struct err           e = err_in(arena);
		str text = arena_fmt(arena, T_(NONE ",'documentType':%s"), rows[i].type);

		CHECK_EQ(parse(text.p, &s, &e), rows[i].found ? ST_BAD_REQUEST : ST_OK);
		if (!rows[i].found)
			continue;
		CHECK_STRZ(e.code, "InvalidTopLevelTypeInSchemaError");
		CHECK_STR(e.text, arena_fmt(arena,
		    "The document validator in a schema must be an object, a union of objects, or "
		    "`v.any()`. Found %s. To learn more, see the schema documentation at "
		    "https://docs.convex.dev/database/schemas.", rows[i].found));
	}
}

#define F15 "'a','b','c','d','e','f','g','h','i','j','k','l','m','n','o'"

/* 03 checklist 23: every index-definition error of spec 03 section 4.5.
 * long: it is one table of cases. */
TEST(schemas_check_indexes)
{
	static const struct {
		const char *schema, *code, *want;
	} rows[] = {
		{ T_("'indexes':[" DB("i", F15 ",'p'") "]"), "IndexTooManyFields",
		    "Indexes may have up to 16 fields." },
		{ T_("'indexes':[" DB("i", F15 ",'p','q'") "]"), "IndexTooManyFields",
		    "In table 't': In index 'i': Indexes may have up to 16 fields." },
		{ T_(NONE ",'searchIndexes':[" SE("i", "x", F15 ",'p','q'") "]"),
		    "IndexTooManyFilterFields",
		    "In table 't': Search indexes may have up to 16 filter fields." },
		{ T_(NONE ",'vectorIndexes':[" VE("i", "x", "1") "]"),
		    "InvalidVectorDimensionError",
		    "In table 't': Dimensions 1 must be between 2 and 4096." },
		{ T_(NONE ",'stagedVectorIndexes':[" VE("i", "x", "4097") "]"),
		    "InvalidVectorDimensionError",
		    "In table 't': Dimensions 4097 must be between 2 and 4096." },
		{ T_("'indexes':[" DB("i", "") "]"), "EmptyIndex",
		    "In table 't' index 'i' must have at least one field." },
		{ T_(NONE ",'stagedDbIndexes':[" DB("i", "") "]"), "EmptyIndex",
		    "In table 't' staged index 'i' must have at least one field." },
		{ T_("'indexes':[" DB("i", "'a','b','a'") "]"), "FieldsNotUniqueWithinIndex",
		    "In table 't': In index 'i': Duplicate field 'a'. Index fields must be unique "
		    "within an index." },
		{ T_("'indexes':[" DB("b", "'x'") "," DB("a", "'x'") "]"), "IndexNotUnique",
		    "In table 't' index 'b' and index 'a' have the same fields. Indexes must be "
		    "unique "
		    "within a table." },
		{ T_(NONE ",'searchIndexes':[" SE("a", "x", "'f','g'") "],'stagedSearchIndexes':["
			SE("b", "x", "'g','f'") "]"),
		    "SearchIndexFieldNotUnique",
		    "In table 't' search index 'b' and search index 'a' have the same "
		    "`searchField`. "
		    "Search index fields must be unique within a table. You should combine the\n"
		    "             indexes with the same `searchField` into one index containing "
		    "all "
		    "`filterField`s and then use different subsets of the `filterField`s at query "
		    "time." },
		{ T_(NONE ",'vectorIndexes':[" VE("a", "x", "2") "," VE("b", "x", "2") "]"),
		    "VectorIndexFieldNotUnique",
		    "In table 't' vector index 'b' and vector index 'a' have the same "
		    "`vectorField`. "
		    "Vector index fields must be unique within a table. You should combine the\n"
		    "             indexes with the same `vectorField` into one index containing "
		    "all "
		    "`filterField`s and then use different subsets of the `filterField`s at query "
		    "time." },
		{ T_("'indexes':[" DB("i", "'a','_id'") "]"), "IndexFieldsContainId",
		    "In table 't': In index 'i': `_id` is not a valid index field. To load "
		    "documents "
		    "by ID, use `db.get(id)`." },
		{ T_("'indexes':[" DB("i", "'a','_creationTime'") "]"),
		    "IndexFieldsContainCreationTime",
		    "`_creationTime` is automatically added to the end of each index. It should "
		    "not be "
		    "added explicitly in the index definition. See "
		    "https://docs.convex.dev/using/indexes "
		    "for more details." },
		{ T_("'indexes':[" DB("i", "'a._x'") "]"), "IndexFieldNameReserved",
		    "Reserved fields (starting with `_`) are not allowed in indexes." },
		{ T_("'indexes':[" DB("i", "'_x.a'") "]"), "IndexFieldNameReserved",
		    "Reserved fields (starting with `_`) are not allowed in indexes." },
		{ T_("'indexes':[" DB("by_id", "'a'") "]"), "IndexNameReserved",
		    "In table 't' cannot name an index 'by_id' because the name is reserved. "
		    "Indexes may "
		    "not start with an underscore or be named 'by_id' or 'by_creation_time'." },
		{ T_(NONE ",'searchIndexes':[" SE("by_creation_time", "a", "") "]"),
		    "IndexNameReserved",
		    "In table 't' cannot name an index 'by_creation_time' because the name is "
		    "reserved. "
		    "Indexes may not start with an underscore or be named 'by_id' or "
		    "'by_creation_time'." },
		{ T_("'indexes':[" DB("_i", "'a'") "]"), "IndexNameReserved",
		    "In table 't' cannot name an index '_i' because the name is reserved. "
		    "Indexes may "
		    "not start with an underscore or be named 'by_id' or 'by_creation_time'." },
		{ T_("'indexes':[" DB("i", "'a'") "],'searchIndexes':[" SE("i", "a", "") "]"),
		    "IndexNamesNotUnique", "Table 't' has two or more definitions of index 'i'." },
		{ T_("'indexes':[" DB("i", "'a'") "," DB("i", "'b'") "]"), "IndexNamesNotUnique",
		    "Table 't' has two or more definitions of index 'i'." },
		{ T_("'indexes':[" DB("1i", "'a'") "]"), "InvalidIndexName",
		    "In table 't': Invalid index name: '1i'. Identifiers must be 64 characters "
		    "or less, "
		    "start with a letter, and only contain letters, digits, underscores." },
		{ T_("'indexes':[" DB("i", "'a..b'") "]"), "InvalidIndexField",
		    "In table 't': In index 'i': Invalid index field: 'a..b'" },
		{ T_("'indexes':[" DB("i", "'.'") "]"), "InvalidIndexField",
		    "In table 't': In index 'i': Invalid index field: '.'" },
		{ T_(NONE ",'searchIndexes':[" SE("i", "a b", "") "]"), "InvalidIndexField",
		    "In table 't': In index 'i': Invalid index field: 'a b'" },
		{ TABLE("_t", NONE), "TableNameReserved", "_t is a reserved table name." },
		{ TABLE("t-t", NONE), "InvalidTableName",
		    "Invalid table name: 't-t'. Identifiers must start with a letter and can only "
		    "contain letters, digits, and underscores." },
		{ T_("'indexes':[" DB("i", "'a','b'") "]" DOC(FIELD("a", STR_))),
		    "SchemaDefinitionError",
		    "In table 't' the index 'i' is invalid because it references the field 'b' "
		    "that does "
		    "not exist." },
		{ T_(NONE ",'searchIndexes':[" SE("i", "a", "'z'") "]" DOC(FIELD("a", STR_))),
		    "SchemaDefinitionError",
		    "In table 't' the index 'i' is invalid because it references the field 'z' "
		    "that does "
		    "not exist." },
		{ T_(NONE ",'vectorIndexes':[" VE("i", "z", "2") "]" DOC(FIELD("a", STR_))),
		    "SchemaDefinitionError",
		    "In table 't' the index 'i' is invalid because it references the field 'z' "
		    "that does "
		    "not exist." },
		{ T_(NONE ",'vectorIndexes':[" VE("i", "a", "2") "]" DOC(FIELD("a", STR_))),
		    "SchemaDefinitionError",
		    "In table 't' the vector index 'i' is invalid because it references the "
		    "field 'a' "
		    "that is neither an array of float64 or optional array of float64." },
		{ T_(NONE DOC(FIELD("a", "{'type':'record','keys':{'type':'number'},'values':{"
					 "'fieldType':{'type':'any'},'optional':false}}"))),
		    "InvalidRecordType",
		    "Invalid validator for key `a`: Records can only have string keys. Your "
		    "validator "
		    "contains a record with key typed as `v.float64()`, which is not a subtype of "
		    "`v.string()`" },
		{ T_(NONE DOC(FIELD("a", "{}"))), "InvalidSchema",
		    "Invalid validator for key `a`: missing field `type`" },
		{ T_("'x':1"), "InvalidSchema", "In table 't': missing field `indexes`" },
		{ T_(NONE ",'vectorIndexes':[{'indexDescriptor':'i','vectorField':'a',"
			  "'filterFields':[]}]"), "InvalidSchema",
		    "In table 't': Missing dimensions field" },
		{ "{}", "InvalidSchema", "missing field `tables`" },
		{ "{'tables':[{'tableName':'t'," NONE "},{'tableName':'t'," NONE "}]}",
		    "InvalidSchema", "Table 't' is defined more than once." },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct schema *s = NULL;
		struct err           e = err_in(arena);

		if (parse(rows[i].schema, &s, &e) == ST_OK)
			fail_msg("accepted: %s", rows[i].schema);
		CHECK_STR(e.text, quoted(rows[i].want));
		CHECK_STRZ(e.code, rows[i].code);
		CHECK(s == NULL);
	}
}

/* 03 checklist 23: what is just allowed. */
TEST(schemas_accept_the_limits)
{
	static const char *const rows[] = {
		T_("'indexes':[" DB("i", F15) "]"),
		T_("'indexes':[" DB("_fivetran_x", "'a'") "]"),
		T_(NONE ",'searchIndexes':[" SE("i", "_id", F15 ",'_creationTime'") "]"),
		T_(NONE ",'searchIndexes':[" SE("i", "a", "'f'") "," SE("j", "a", "'g'") "]"),
		T_(NONE ",'vectorIndexes':[" VE("i", "a", "2") "," VE("j", "a", "4096") "]"
		   DOC(FIELD("a", VECTOR))),
		/* no document type, or no validation: fields need not exist */
		T_("'indexes':[" DB("i", "'zz'") "]"),
		T_("'indexes':[" DB("i", "'zz'") "],'documentType':{'type':'any'}"),
		"{'tables':[{'tableName':'t','indexes':[" DB("i", "'zz'") "]" DOC("") "}]}",
		"{'tables':[]}",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		schema_of(rows[i]);
}

/* 64 indexes of all kinds, staged ones included. */
TEST(schemas_count_indexes)
{
	for (int n = 64; n <= 65; n++) {
		struct buf           b;
		const struct schema *s;
		struct err           e = err_in(arena);

		buf_init(&b, 100000);
		buf_addz(&b, "{'tables':[{'tableName':'t','indexes':[");
		for (int i = 0; i < n - 2; i++) {
			json_comma(&b);
			buf_fmt(&b, "{'indexDescriptor':'i%d','fields':['f%d']}", i, i);
		}
		buf_addz(&b, "],'stagedDbIndexes':[" DB("s", "'s'") "],'stagedSearchIndexes':["
		    SE("u", "u", "") "]}]}");
		buf_add_byte(&b, 0);
		CHECK_EQ(parse(b.p, &s, &e), n == 64 ? ST_OK : ST_BAD_REQUEST);
		if (n == 65) {
			CHECK_STRZ(e.code, "TooManyIndexes");
			CHECK_STRZ(e.text, "Table \"t\" cannot have more than 64 indexes.");
		}
		buf_clear(&b);
	}
}

/* Any difference that a push would have to act on makes schemas unequal. */
TEST(schemas_compare)
{
	static const char *const rows[] = {
		"{'tables':[]}",
		"{'tables':[],'schemaValidation':true}",
		"{'tables':[{'tableName':'t'," NONE "}]}",
		"{'tables':[{'tableName':'u'," NONE "}]}",
		"{'tables':[{'tableName':'t'," NONE ",'documentType':{'type':'any'}}]}",
		"{'tables':[{'tableName':'t'," NONE DOC("") "}]}",
		"{'tables':[{'tableName':'t','indexes':[" DB("i", "'a'") "]}]}",
		"{'tables':[{'tableName':'t','indexes':[" DB("i", "'b'") "]}]}",
		"{'tables':[{'tableName':'t','indexes':[" DB("j", "'a'") "]}]}",
		"{'tables':[{'tableName':'t'," NONE ",'stagedDbIndexes':[" DB("i", "'a'") "]}]}",
		"{'tables':[{'tableName':'t'," NONE ",'searchIndexes':[" SE("i", "a", "") "]}]}",
		"{'tables':[{'tableName':'t'," NONE ",'searchIndexes':[" SE("i", "a", "'b'") "]}]}",
		"{'tables':[{'tableName':'t'," NONE ",'vectorIndexes':[" VE("i", "a", "2") "]}]}",
		"{'tables':[{'tableName':'t'," NONE ",'vectorIndexes':[" VE("i", "a", "3") "]}]}",
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t j = 0; j < COUNT_OF(rows); j++)
			if (schema_equal(schema_of(rows[i]), schema_of(rows[j])) != (i == j))
				fail_msg("%s and %s", rows[i], rows[j]);
	CHECK(index_def_equal(&schema_of(rows[6])->tables[0].indexes[0],
	    &schema_of(rows[9])->tables[0].indexes[0])); /* staged is state, not identity */
	CHECK(!index_def_equal(&schema_of(rows[6])->tables[0].indexes[0],
	    &schema_of(rows[7])->tables[0].indexes[0]));
}

TEST_RUN_VALUES(T(schemas_round_trip), T(schemas_drop_system_members),
    T(schemas_check_the_document_type), T(schemas_check_indexes), T(schemas_accept_the_limits),
    T(schemas_count_indexes), T(schemas_compare))
