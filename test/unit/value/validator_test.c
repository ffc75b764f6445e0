/* validator_test.c - validators of arguments, results and documents (spec 03 section 4). */
#include "unit/value/help.h"

#include "value/validator.h"

/* Table 10001 is "users", 10002 "posts", 540 "_storage", 513 private. */
static enum table_kind
by_number(const void *arg, uint32_t number, str *ret_name)
{
	(void)arg;
	switch (number) {
	case 10001:
		*ret_name = S("users");
		return TABLE_USER;
	case 10002:
		*ret_name = S("posts");
		return TABLE_USER;
	case 540:
		*ret_name = S("_storage");
		return TABLE_SYSTEM;
	case 513:
		*ret_name = S("_tables");
		return TABLE_SYSTEM;
	default:
		return TABLE_UNKNOWN;
	}
}

static const struct table_names names = { NULL, by_number };

/* Single quotes stand for double ones in the tables below. */
static str
quoted(const char *text)
{
	char *s = arena_z(arena, str_z(text));

	for (char *c = s; *c; c++)
		if (*c == '\'')
			*c = '"';
	return str_z(s);
}

static const struct validator *
validator_of(const char *json)
{
	const struct validator *v = NULL;
	struct err              e = err_in(arena);

	if (validator_parse_text(arena, quoted(json), &v, &e) != ST_OK)
		fail_msg("%s: %.*s", json, STR_ARG(e.text));
	return v;
}

#define ANY    "{'type':'any'}"
#define NUL    "{'type':'null'}"
#define NUM    "{'type':'number'}"
#define INT    "{'type':'bigint'}"
#define TS     "{'type':'commitTs'}"
#define BOOLE  "{'type':'boolean'}"
#define STR_   "{'type':'string'}"
#define BYTES  "{'type':'bytes'}"
#define LIT(x) "{'type':'literal','value':" x "}"
#define ID(t)  "{'type':'id','tableName':'" t "'}"
#define ARR(v) "{'type':'array','value':" v "}"
#define OBJ(f) "{'type':'object','value':{" f "}}"
#define REQ(n, v) "'" n "':{'fieldType':" v ",'optional':false}"
#define OPT(n, v) "'" n "':{'fieldType':" v ",'optional':true}"
#define REC(k, v) "{'type':'record','keys':" k ",'values':{'fieldType':" v ",'optional':false}}"
#define UNI(m) "{'type':'union','value':[" m "]}"

#define I(b64)    "{'$integer':'" b64 "'}"
#define ONE       I("AQAAAAAAAAA=")
#define USER_ID   "'j57000820c20a1g7104gm2rc1m70ynr8'"
#define FILE_ID   "'kg2000820c20a1g7104gm2rc1m70y674'"
#define OTHER_ID  "'g2002001081g81860w40j2gb1g6gw3vs74'" /* 16384: no such table */

/* 03 checklist 19: what each validator accepts and refuses. */
TEST(validators_match)
{
	static const struct {
		const char *v, *value;
		bool        ok;
	} rows[] = {
		{ ANY, "null", true },
		{ ANY, "{'a':[1]}", true },
		{ "{'type':'map'}", "1", true },
		{ "{'type':'set'}", "'x'", true },
		{ NUL, "null", true },
		{ NUL, "0", false },
		{ NUM, "1", true },
		{ NUM, "{'$float':'AAAAAAAA+H8='}", true },
		{ NUM, "{'$float':'AAAAAAAA8P8='}", true },
		{ NUM, ONE, false },
		{ INT, ONE, true },
		{ INT, "1", false },
		{ INT, "{'$commitTs':null}", true }, /* which becomes one */
		{ NUM, "{'$commitTs':null}", false },
		{ TS, ONE, true },
		{ TS, "{'$commitTs':null}", true },
		{ TS, "1", false },
		{ BOOLE, "true", true },
		{ BOOLE, "'true'", false },
		{ STR_, "''", true },
		{ STR_, "{'$bytes':''}", false },
		{ BYTES, "{'$bytes':''}", true },
		{ BYTES, "''", false },
		{ LIT("'a'"), "'a'", true },
		{ LIT("'a'"), "'b'", false },
		{ LIT("1"), "1", true },
		{ LIT("1"), ONE, false },
		{ LIT(ONE), ONE, true },
		{ LIT(ONE), "1", false },
		{ LIT("0"), "{'$float':'AAAAAAAAAIA='}", false },
		{ LIT("true"), "true", true },
		{ LIT("true"), "false", false },
		{ ID("users"), USER_ID, true },
		{ ID("posts"), USER_ID, false },
		{ ID("_storage"), FILE_ID, true },
		{ ID("users"), FILE_ID, false },
		{ ID("users"), OTHER_ID, false },
		{ ID("users"), "'nonsense'", false },
		{ ID("users"), "1", false },
		{ ARR(NUM), "[]", true },
		{ ARR(NUM), "[1,2]", true },
		{ ARR(NUM), "[1,'2']", false },
		{ ARR(ANY), "[1,'2']", true },
		{ ARR(NUM), "{}", false },
		{ OBJ(""), "{}", true },
		{ OBJ(""), "{'a':1}", false },
		{ OBJ(""), "[]", false },
		{ OBJ(REQ("a", NUM)), "{'a':1}", true },
		{ OBJ(REQ("a", NUM)), "{}", false },
		{ OBJ(REQ("a", NUM)), "{'a':1,'b':1}", false },
		{ OBJ(REQ("b", NUM)), "{'a':1,'b':1}", false },
		{ OBJ(REQ("a", NUM)), "{'a':1,'_id':1}", false },
		{ OBJ(OPT("a", NUM)), "{}", true },
		{ OBJ(OPT("a", NUM)), "{'a':1}", true },
		{ OBJ(OPT("a", NUM)), "{'a':null}", false },
		{ OBJ(REQ("b", NUM) "," OPT("a", STR_) "," REQ("c", NUL)),
		    "{'b':1,'c':null}", true },
		{ OBJ(REQ("a", OBJ(REQ("b", NUM)))), "{'a':{'b':1}}", true },
		{ OBJ(REQ("a", OBJ(REQ("b", NUM)))), "{'a':{'b':'x'}}", false },
		{ REC(STR_, NUM), "{}", true },
		{ REC(STR_, NUM), "{'x':1,'_y':2}", true },
		{ REC(STR_, NUM), "{'x':'1'}", false },
		{ REC(STR_, NUM), "[]", false },
		{ REC(ID("users"), NUM), "{" USER_ID ":1}", true },
		{ REC(ID("users"), NUM), "{'x':1}", false },
		{ UNI(""), "null", false },
		{ UNI(NUM), "1", true },
		{ UNI(NUM "," STR_), "1", true },
		{ UNI(NUM "," STR_), "'1'", true },
		{ UNI(NUM "," STR_), "null", false },
		{ UNI(OBJ(REQ("t", LIT("'a'")) "," REQ("x", NUM)) "," OBJ(REQ("t", LIT("'b'")))),
		    "{'t':'b'}", true },
		{ UNI(OBJ(REQ("t", LIT("'a'")) "," REQ("x", NUM)) "," OBJ(REQ("t", LIT("'b'")))),
		    "{'t':'a'}", false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		status st = validator_check(validator_of(rows[i].v), val_of(quoted(rows[i].value)),
		    &names, NULL);

		if ((st == ST_OK) != rows[i].ok)
			fail_msg("%s against %s", rows[i].value, rows[i].v);
	}
}

/* The texts of spec 03 section 4.2, with and without a path. */
TEST(validators_explain)
{
	static const struct {
		const char *v, *value, *want;
	} rows[] = {
		{ OBJ(REQ("a", NUM)), "{'a':'x'}",
		    "Value does not match validator.\nPath: .a\nValue: 'x'\nValidator: "
		    "v.float64()" },
		{ NUM, ONE,
		    "Value does not match validator.\n\nValue: 1\nValidator: v.float64()" },
		{ OBJ(REQ("a", NUM) "," OPT("b", ARR(STR_))), "{}",
		    "Object is missing the required field `a`. Consider wrapping the field "
		    "validator "
		    "in `v.optional(...)` if this is expected.\n\nObject: {}\nValidator: "
		    "v.object({a: v.float64(), b: v.optional(v.array(v.string()))})" },
		{ OBJ(REQ("o", OBJ(""))), "{'o':{'z':1,'y':null}}",
		    "Object contains extra field `y` that is not in the validator.\nPath: "
		    ".o\nObject: "
		    "{y: null, z: 1.0}\nValidator: v.object({})" },
		/* a missing or wrong declared field is reported before an extra one */
		{ OBJ(REQ("b", NUM)), "{'a':1,'b':'x'}",
		    "Value does not match validator.\nPath: .b\nValue: 'x'\nValidator: "
		    "v.float64()" },
		{ OBJ(REQ("a", LIT("'x'"))), "{'a':'y'}",
		    "`'y'` does not match literal validator `v.literal('x')`.Path: .a" },
		{ LIT("1"), "null", "`null` does not match literal validator `v.literal(1.0)`." },
		{ LIT(ONE), "1", "`1.0` does not match literal validator `v.literal(<bigint>)`." },
		{ ARR(ID("posts")), "[" USER_ID "]",
		    "Found ID 'j57000820c20a1g7104gm2rc1m70ynr8' from table `users`, which does "
		    "not "
		    "match the table name in validator `v.id('posts')`.Path: [0]" },
		{ ID("posts"), FILE_ID,
		    "Found ID 'kg2000820c20a1g7104gm2rc1m70y674' from a system table, which does "
		    "not "
		    "match the table name in validator `v.id('posts')`." },
		{ OBJ(REQ("a", ARR(ID("posts")))), "{'a':['x']}",
		    "Value does not match validator.\nPath: .a[0]\nValue: 'x'\nValidator: "
		    "v.id('posts')" },
		{ REC(STR_, NUM), "{'k':null}",
		    "Value does not match validator.\nPath: .values()\nValue: null\nValidator: "
		    "v.float64()" },
		{ OBJ(REQ("r", REC(ID("users"), NUM))), "{'r':{'k':1}}",
		    "Value does not match validator.\nPath: .r.keys()\nValue: 'k'\nValidator: "
		    "v.id('users')" },
		{ UNI(NUM "," OBJ(REQ("a", NUL))), "{'a':1}",
		    "Value does not match validator.\n\nValue: {a: 1.0}\nValidator: "
		    "v.union(v.float64(), v.object({a: v.null()}))" },
		{ UNI(OBJ(REQ("a", NUL))), "{'a':1}", /* one member: delegated */
		    "Value does not match validator.\nPath: .a\nValue: 1.0\nValidator: v.null()" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = err_in(arena);

		CHECK_EQ(validator_check(validator_of(rows[i].v), val_of(quoted(rows[i].value)),
			     &names, &e), ST_BAD_REQUEST);
		CHECK_STR(e.text, quoted(rows[i].want));
		CHECK_STRZ(e.code, "ValidationError");
	}
}

/* Of a document the top-level fields _... do not count, nor are they shown; nested ones do. */
TEST(validators_ignore_system_fields_of_documents)
{
	const struct validator *v = validator_of(OBJ(REQ("a", NUM) "," OPT("o", OBJ(""))));
	struct err              e = err_in(arena);

	CHECK_EQ(validator_check_doc(v, val_of(quoted("{'_id':'x','_creationTime':1,'a':1}")),
		     &names, &e), ST_OK);
	CHECK_EQ(validator_check_doc(v, val_of(quoted("{'_id':'x','_creationTime':1,'b':1}")),
		     &names, &e), ST_BAD_REQUEST);
	CHECK(str_ends(e.text, S("\n\nObject: {b: 1.0}\nValidator: v.object({a: v.float64(), "
				 "o: v.optional(v.object({}))})")));
	CHECK_EQ(validator_check_doc(v, val_of(quoted("{'a':1,'o':{'_x':1}}")), &names, &e),
	    ST_BAD_REQUEST);
	v = validator_of(UNI(OBJ(REQ("a", NUM)) "," OBJ(REQ("b", NUM))));
	CHECK_EQ(validator_check_doc(v, val_of(quoted("{'_id':'x','b':1}")), &names, &e), ST_OK);
	CHECK_EQ(validator_check(v, val_of(quoted("{'_id':'x','b':1}")), &names, &e),
	    ST_BAD_REQUEST);
}

static const char *
repeated(const char *open, const char *item, int n, const char *close)
{
	struct buf  b;
	const char *ret;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, open);
	for (int i = 0; i < n; i++) {
		buf_addz(&b, i ? "," : "");
		buf_addz(&b, item);
	}
	buf_addz(&b, close);
	ret = arena_z(arena, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* Each element is compared with fifteen thousand literals. */
TEST(checking_ends)
{
	const struct validator *v = validator_of(repeated(
	    "{'type':'array','value':{'type':'union','value':[",
	    LIT("1"), 15000, "," LIT("2") "]}}"));
	struct err              e = err_in(arena);

	CHECK_EQ(validator_check(v, val_of(str_z(repeated("[", "2", 1000, "]"))), &names, &e),
	    ST_OK);
	CHECK_EQ(validator_check(v, val_of(str_z(repeated("[", "2", 8000, "]"))), &names, &e),
	    ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "SystemTimeoutError");
}

/* The definition errors of spec 03 section 4.2. */
TEST(validator_definitions_are_checked)
{
	static const struct {
		const char *v, *code, *want;
	} rows[] = {
		{ "{}", "InvalidValidator", "missing field `type`" },
		{ "1", "InvalidValidator", "missing field `type`" },
		{ "{'type':'date'}", "InvalidValidator", "unknown validator type `date`" },
		{ "{'type':'id'}", "InvalidValidator", "missing field `tableName`" },
		{ "{'type':'array'}", "InvalidValidator", "missing field `value`" },
		{ "{'type':'union','value':{}}", "InvalidValidator", "missing field `value`" },
		{ "{'type':'object','value':[]}", "InvalidValidator", "missing field `value`" },
		{ OBJ("'a':{'fieldType':" NUM "}"), "InvalidValidator",
		    "Invalid validator for key `a`: missing field `optional`" },
		{ OBJ("'a':{'optional':true}"), "InvalidValidator",
		    "Invalid validator for key `a`: missing field `fieldType`" },
		{ OBJ(REQ("a b", NUM)), "InvalidIdentifier",
		    "Identifier a b has invalid character ' ': Identifiers can only contain "
		    "alphanumeric characters or underscores" },
		{ OBJ(REQ("", NUM)), "InvalidIdentifier", "Identifier cannot be empty" },
		{ OBJ(REQ("k", OBJ(REQ("j", REC(NUM, NUM))))), "InvalidRecordType",
		    "Invalid validator for key `k`: Invalid validator for key `j`: Records can "
		    "only "
		    "have string keys. Your validator contains a record with key typed as "
		    "`v.float64()`, which is not a subtype of `v.string()`" },
		{ REC(UNI(STR_ "," NUM), NUM), "InvalidRecordType",
		    "Records can only have string keys. Your validator contains a record with key "
		    "typed as `v.union(v.string(), v.float64())`, which is not a subtype of "
		    "`v.string()`" },
		{ REC(LIT("'a'"), NUM), "InvalidRecordType",
		    "Records cannot have string literal keys" },
		{ REC(UNI(ID("users") "," LIT("'a'")), NUM), "InvalidRecordType",
		    "Records cannot have string literal keys" },
		{ "{'type':'record','keys':" STR_ ",'values':{'fieldType':" NUM
		  ",'optional':true}}", "InvalidRecordType",
		    "Records cannot have optional values" },
		{ LIT("{'$float':'AAAAAAAA+H8='}"), "UnsupportedFloatLiteral", NULL },
		{ LIT("{'$float':'AAAAAAAA8H8='}"), "UnsupportedFloatLiteral", NULL },
		{ LIT("null"), "InvalidValidator", NULL },
		{ LIT("[]"), "InvalidValidator", NULL },
		{ LIT("{'a':1}"), "InvalidValidator", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err              e = err_in(arena);
		const struct validator *v = NULL;

		CHECK_EQ(validator_parse_text(arena, quoted(rows[i].v), &v, &e), ST_BAD_REQUEST);
		CHECK_STRZ(e.code, rows[i].code);
		if (rows[i].want)
			CHECK_STRZ(e.text, rows[i].want);
		CHECK(v == NULL);
	}
}

/* JSON goes in and comes out with sorted fields; the printed form is that of the spec. */
TEST(validators_have_two_texts)
{
	static const struct {
		const char *v, *json, *print; /* json NULL: as v */
	} rows[] = {
		{ ANY, NULL, "v.any()" },
		{ "{'type':'map'}", ANY, "v.any()" },
		{ NUL, NULL, "v.null()" },
		{ NUM, NULL, "v.float64()" },
		{ INT, NULL, "v.int64()" },
		{ TS, NULL, "v.commitTs()" },
		{ BOOLE, NULL, "v.boolean()" },
		{ STR_, NULL, "v.string()" },
		{ BYTES, NULL, "v.bytes()" },
		{ LIT("'a'"), NULL, "v.literal('a')" },
		{ LIT("1"), LIT("1.0"), "v.literal(1.0)" },
		{ LIT("true"), NULL, "v.literal(true)" },
		{ LIT(ONE), NULL, "v.literal(<bigint>)" },
		{ ID("users"), NULL, "v.id('users')" },
		{ ARR(NUM), NULL, "v.array(v.float64())" },
		{ REC(STR_, NUM), NULL, "v.record(v.string(), v.float64())" },
		{ OBJ(""), NULL, "v.object({})" },
		{ OBJ(OPT("b", NUM) "," REQ("a", NUL)), OBJ(REQ("a", NUL) "," OPT("b", NUM)),
		    "v.object({a: v.null(), b: v.optional(v.float64())})" },
		{ UNI(""), NULL, "v.union()" },
		{ UNI(NUM "," STR_), NULL, "v.union(v.float64(), v.string())" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct validator *v = validator_of(rows[i].v);
		struct buf              b;

		buf_init(&b, 10000);
		validator_json(&b, v);
		CHECK_STR(buf_str(&b), quoted(rows[i].json ? rows[i].json : rows[i].v));
		buf_reset(&b);
		validator_print(&b, v);
		CHECK_STR(buf_str(&b), quoted(rows[i].print));
		buf_clear(&b);
	}
}

/* Spec 03 section 4.4; never yes when a value could tell the difference. */
TEST(validators_include_each_other)
{
	static const struct {
		const char *a, *b;
		bool        subset, equal;
	} rows[] = {
		{ NUM, NUM, true, true },
		{ NUM, ANY, true, false },
		{ ANY, ANY, true, true },
		{ ANY, NUM, false, false },
		{ ANY, UNI(NUM "," ANY), true, false },
		{ NUM, INT, false, false },
		{ INT, TS, true, false },
		{ TS, INT, true, false },
		{ LIT("'a'"), STR_, true, false },
		{ LIT("'a'"), LIT("'a'"), true, true },
		{ LIT("'a'"), LIT("'b'"), false, false },
		{ LIT("1"), NUM, true, false },
		{ LIT("1"), INT, false, false },
		{ LIT(ONE), INT, true, false },
		{ STR_, LIT("'a'"), false, false },
		{ ID("users"), STR_, true, false },
		{ ID("users"), ID("users"), true, true },
		{ ID("users"), ID("posts"), false, false },
		{ STR_, ID("users"), false, false },
		{ NUM, UNI(STR_ "," NUM), true, false },
		{ UNI(STR_ "," NUM), NUM, false, false },
		{ UNI(NUM "," STR_), UNI(STR_ "," NUM), true, false },
		{ UNI(""), NUM, true, false },
		{ BOOLE, UNI(LIT("true") "," LIT("false")), true, false },
		{ BOOLE, UNI(LIT("true") "," LIT("true")), false, false },
		{ UNI(LIT("true") "," LIT("false")), BOOLE, true, false },
		{ ARR(LIT("1")), ARR(NUM), true, false },
		{ ARR(NUM), ARR(LIT("1")), false, false },
		{ REC(ID("users"), LIT("1")), REC(STR_, NUM), true, false },
		{ REC(STR_, NUM), REC(ID("users"), NUM), false, false },
		{ OBJ(REQ("a", NUM)), OBJ(REQ("a", NUM)), true, true },
		{ OBJ(REQ("a", NUM)), OBJ(OPT("a", NUM)), true, false },
		{ OBJ(OPT("a", NUM)), OBJ(REQ("a", NUM)), false, false },
		{ OBJ(REQ("a", NUM)), OBJ(REQ("a", NUM) "," OPT("b", NUM)), true, false },
		{ OBJ(REQ("a", NUM)), OBJ(REQ("a", NUM) "," REQ("b", NUM)), false, false },
		{ OBJ(REQ("a", NUM) "," OPT("b", NUM)), OBJ(REQ("a", NUM)), false, false },
		{ OBJ(REQ("a", LIT("1"))), UNI(NUM "," OBJ(REQ("a", NUM))), true, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct validator *a = validator_of(rows[i].a), *b = validator_of(rows[i].b);

		if (validator_subset(a, b) != rows[i].subset)
			fail_msg("%s within %s", rows[i].a, rows[i].b);
		if (validator_equal(a, b) != rows[i].equal ||
		    validator_equal(b, a) != rows[i].equal)
			fail_msg("%s equal to %s", rows[i].a, rows[i].b);
	}
}

/* Spec 03 section 4.5: which field paths exist, and which can hold a vector. */
TEST(validators_know_paths)
{
	static const struct {
		const char *v, *path;
		bool        exists, vector;
	} rows[] = {
		{ ANY, "a.b", true, true },
		{ OBJ(REQ("a", NUM)), "a", true, false },
		{ OBJ(REQ("a", NUM)), "b", false, true },
		{ OBJ(REQ("a", NUM)), "a.b", false, false },
		{ OBJ(REQ("a", NUM)), "_id", true, true },
		{ OBJ(REQ("a", NUM)), "_creationTime", true, true },
		{ OBJ(REQ("a", NUM)), "_other", false, true },
		{ OBJ(REQ("a", OBJ(OPT("b", ARR(NUM))))), "a.b", true, true },
		{ OBJ(REQ("a", OBJ(OPT("b", ARR(NUM))))), "a", true, false },
		{ OBJ(REQ("a", OBJ(OPT("b", ARR(NUM))))), "a.c", false, true },
		{ OBJ(REQ("a", ARR(ANY))), "a", true, true },
		{ OBJ(REQ("a", ARR(INT))), "a", true, false },
		{ OBJ(REQ("a", ARR(NUM))), "a.b", false, false },
		{ OBJ(REQ("a", REC(STR_, NUM))), "a.b", false, false },
		{ OBJ(REQ("a", UNI(NUL "," ARR(NUM)))), "a", true, true },
		{ OBJ(REQ("a", ANY)), "a.b.c", true, true },
		{ UNI(OBJ(REQ("a", NUM)) "," OBJ(REQ("b", ARR(NUM)))), "b", true, true },
		{ UNI(OBJ(REQ("a", NUM)) "," OBJ(REQ("a", STR_))), "a", true, false },
		{ UNI(""), "a", false, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct validator *v = validator_of(rows[i].v);

		if (validator_has_path(v, str_z(rows[i].path)) != rows[i].exists)
			fail_msg("%s in %s", rows[i].path, rows[i].v);
		if (validator_vector_path_ok(v, str_z(rows[i].path)) != rows[i].vector)
			fail_msg("vector %s in %s", rows[i].path, rows[i].v);
	}
}

static void
join(void *arg, str table)
{
	buf_add(arg, table);
	buf_add_byte(arg, ' ');
}

TEST(validators_list_their_tables)
{
	struct buf b;

	buf_init(&b, 1000);
	validator_each_id(validator_of(OBJ(REQ("a", ID("users")) ","
	    REQ("b", ARR(UNI(ID("posts") "," NUM))) ","
	    REQ("c", REC(ID("users"), ID("_storage"))))), join, &b);
	CHECK_STRZ(buf_str(&b), "users posts users _storage ");
	CHECK(validator_is_any(validator_of(ANY)) && !validator_is_any(validator_of(NUM)));
	CHECK(validator_is_object(validator_of(OBJ(""))));
	CHECK(!validator_is_object(validator_of(NUM)));
	buf_clear(&b);
}

TEST_RUN_VALUES(T(validators_match), T(validators_explain),
    T(validators_ignore_system_fields_of_documents), T(validator_definitions_are_checked),
    T(validators_have_two_texts), T(validators_include_each_other), T(validators_know_paths),
    T(validators_list_their_tables), T(checking_ends))
