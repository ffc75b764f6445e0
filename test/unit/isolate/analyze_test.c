/* analyze_test.c - what pushes learn from modules: functions, routes, crons, schemas, auth
 * configs, app definitions; and how each of them fails. */
#include "world.h"

#define MAX_MODULES 8

struct push {
	struct isolate      *iso;
	struct arena        *arena;
	struct module_source modules[MAX_MODULES];
	struct env_var       vars[4];
	struct import_env    env;
	struct err           err;
};

static void
push_open(struct push *p)
{
	memset(p, 0, sizeof *p);
	p->iso = isolate_new(&(struct isolate_opts){ .os = os_real() });
	p->arena = arena_new();
	p->err = err_in(p->arena);
	p->env.modules = p->modules;
	p->env.vars = p->vars;
	p->env.now_ns = 1700000000000000000ULL;
	memset(p->env.seed, 3, sizeof p->env.seed);
	p->vars[p->env.nvars++] = (struct env_var){ S("KEY"), S("value") };
	p->vars[p->env.nvars] = (struct env_var){ S(""), { NULL, 0 } };
}

static void
push_close(struct push *p)
{
	isolate_free(p->iso);
	arena_free(p->arena);
}

static void
push_add(struct push *p, const char *path, const char *source)
{
	assert_true(p->env.nmodules < MAX_MODULES);
	p->modules[p->env.nmodules++] = (struct module_source){ .path = str_z(path),
		.source = str_z(source), .source_map = { NULL, 0 } };
}

/* The JSON, or "! code: text". */
static str
push_analyze(struct push *p)
{
	struct buf b;
	str        ret;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (isolate_analyze(p->iso, &p->env, p->arena, &b, &p->err) == ST_OK)
		ret = arena_str(p->arena, buf_str(&b));
	else
		ret =
		    arena_fmt(p->arena, "! %.*s: %.*s", STR_ARG(p->err.code), STR_ARG(p->err.text));
	buf_clear(&b);
	return ret;
}

static str
analyze_one(struct push *p, const char *path, const char *source)
{
	p->env.nmodules = 0;
	push_add(p, path, source);
	return push_analyze(p);
}

#define F(name, type, vis, args, returns)                                     \
	"{\"name\":\"" name "\",\"pos\":null,\"udfType\":\"" type "\",\"visibility\":" vis        \
	",\"args\":" args ",\"returns\":" returns "}"
#define PUBLIC "{\"kind\":\"public\"}"
#define ANY "\"{\\\"type\\\":\\\"any\\\"}\""
#define REST "],\"httpRoutes\":null,\"cronSpecs\":null,\"sourceMapped\":null}"

/* 04 checklist 32: all helper kinds, re-exports, other exports ignored, double ones ignored. */
TEST(functions)
{
	struct push p;

	push_open(&p);
	push_add(&p, "a/b.js",
	    HELPERS
	    "import { other } from '../_deps/X.js';\n"
	    "export const q = query(() => 1), m = mutation(() => 2), act = action(() => 3);\n"
	    "export default query(() => 1, { isPublic: undefined, isInternal: true });\n"
	    "export const fn = () => 1, n = 5, o = {}, nul = null;\n"
	    "export const http = Object.assign(() => 1, { isHttp: true });\n"
	    "export const both = query(() => 1, { isMutation: true });\n"
	    "const i = query(() => 1); delete i.isPublic; i.isInternal = true; export { i as "
	    "internal };\n"
	    "const old = query(() => 1); delete old.isPublic; export { old };\n"
	    "export const noArgs = query(() => 1, { exportArgs: undefined, exportReturns: "
	    "undefined });\n"
	    "export const typed = query(() => 1, { exportArgs: () => "
	    "'{\"type\":\"object\",\"value\":"
	    "{\"n\":{\"fieldType\":{\"type\":\"number\"},\"optional\":true},"
	    "\"body\":{\"fieldType\":{\"type\":\"string\"},\"optional\":false}}}',"
	    " exportReturns: () => '{\"type\":\"null\"}' });\n"
	    "export { other };\n");
	push_add(&p, "_deps/X.js", HELPERS "export const other = query(() => 1);");
	push_add(&p, "auth.config.js", "throw new Error('not evaluated')");
	CHECK_STRZ(push_analyze(&p),
	    "{\"a/b.js\":{\"functions\":[" F("act", "Action", PUBLIC, ANY, "null") "," F(
		"internal", "Query", "{\"kind\":\"internal\"}", ANY, "null") "," F("m", "Mutation",
		PUBLIC, ANY, "null") "," F("noArgs", "Query", PUBLIC, "null", "null") "," F("old",
		"Query", "null", ANY, "null") "," F("other", "Query", PUBLIC, ANY,
		"null") "," F("q", "Query", PUBLIC, ANY, "null") "," F("typed", "Query", PUBLIC,
		"\"{\\\"type\\\":\\\"object\\\",\\\"value\\\":{\\\"body\\\":{\\\"fieldType\\\":"
		"{\\\"type\\\":\\\"string\\\"},\\\"optional\\\":false},\\\"n\\\":{"
		"\\\"fieldType\\\":"
		"{\\\"type\\\":\\\"number\\\"},\\\"optional\\\":true}}}\"",
		"\"{\\\"type\\\":\\\"null\\\"}\"") REST ",\"auth.config.js\":{\"functions\":[" REST
							"}");
	push_close(&p);
}

/* Positions come through the source map; functions are sorted by them. */
TEST(positions)
{
	struct push p;

	push_open(&p);
	push_add(&p, "m.js",
	    HELPERS "export const b = query(() => 1);\nexport const a = query(() => 2);\n");
	p.modules[0].source_map =
	    S("{\"sources\":[\"../convex/m.ts\"],\"mappings\":\";;AAAA;AAKE\"}");
	CHECK_STRZ(push_analyze(&p),
	    "{\"m.js\":{\"functions\":["
	    "{\"name\":\"b\",\"pos\":{\"path\":\"m.js\",\"start_lineno\":0,\"start_col\":0},"
	    "\"udfType\":\"Query\",\"visibility\":" PUBLIC ",\"args\":" ANY ",\"returns\":null},"
	    "{\"name\":\"a\",\"pos\":{\"path\":\"m.js\",\"start_lineno\":5,\"start_col\":2},"
	    "\"udfType\":\"Query\",\"visibility\":" PUBLIC ",\"args\":" ANY
	    ",\"returns\":null}" REST "}");
	push_close(&p);
}

TEST(failures)
{
	const struct {
		const char *source, *want;
	} rows[] = {
		{ "export const f = query(() => 1, { _handler: 5 });",
		    "Failed to analyze m.js: `m.js:f`.handler is not a function." },
		{ "export const f = { isQuery: true, isPublic: true };",
		    "Failed to analyze m.js: `m.js:f` is not a function." },
		{ "export const f = query(() => 1, { exportArgs: 'x' });",
		    "Failed to analyze m.js: m.js:f.exportArgs is not a function or `undefined`." },
		{ "export const f = query(() => 1, { exportReturns: () => 5 });",
		    "Failed to analyze m.js: Invalid exportReturns return value: "
		    "m.js:f.exportReturns() didn't return a string." },
		{ "export const f = query(() => 1, { exportArgs() { throw new Error('undefined v') "
		  "} });",
		    "Failed to analyze m.js: Uncaught Error: undefined v" },
		{ "throw new TypeError('import');",
		    "Failed to analyze m.js: Uncaught TypeError: import" },
		{ "console.log('a'); console.warn({}); throw 'x';",
		    "Failed to analyze m.js: Uncaught x\n\n[LOG] 'a'\n[WARN] {}" },
		{ "await null;",
		    "Failed to analyze m.js: Top-level awaits in source files are unsupported" },
		{ "for (;;) {}",
		    "Failed to analyze m.js: Function execution timed out (maximum duration: 4s)" },
		{ "import './gone.js';",
		    "Couldn't find JavaScript module 'gone.js'. Did you forget to run "
		    "`npx convex dev`?" },
		{ "Convex.syscall('1.0/queryStream', '{}');",
		    "Failed to analyze m.js: Uncaught Error: Syscall 1.0/queryStream unsupported "
		    "at import time" },
		{ "crypto.subtle.generateKey; await crypto.subtle.digest('SHA-256', new "
		  "Uint8Array(1));",
		    "Failed to analyze m.js: Top-level awaits in source files are unsupported" },
	};
	struct push p;

	push_open(&p);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char source[3000], want[400];

		print_message("  %s\n", rows[i].source);
		snprintf(source, sizeof source, HELPERS "%s", rows[i].source);
		snprintf(want, sizeof want, "! InvalidModules: %s", rows[i].want);
		CHECK_STRZ(analyze_one(&p, "m.js", source), want);
		CHECK_EQ(p.err.st, ST_BAD_REQUEST);
	}
	CHECK(str_starts(analyze_one(&p, "m.js",
			     HELPERS "export const f = query(() => 1, { exportArgs: () => '{' });"),
	    S("! InvalidModules: Failed to analyze m.js: Invalid JSON returned from "
	      "m.js:f.exportArgs(): ")));
	push_close(&p);
}

/* Import sees the push's time, seed and variables (02 section 11.1). */
TEST(import_environment)
{
	struct push p;

	push_open(&p);
	CHECK(str_starts(
	    analyze_one(&p, "m.js",
		HELPERS
		"if (Date.now() !== 1700000000000) throw 'time'; if (performance.now() !== 0) "
		"throw 'perf';\n"
		"if (process.env.KEY !== 'value' || process.env.NONE !== undefined) throw 'env';\n"
		"if (Math.random() === Math.random()) throw 'rng';\n"
		"Promise.reject(1);\n" /* nothing looks at microtasks here */
		"export const f = query(() => 1);"),
	    S("{\"m.js\":{\"functions\":[{\"name\":\"f\"")));
	push_close(&p);
}

TEST(http_routes)
{
	struct push p;

	push_open(&p);
	CHECK_STRZ(analyze_one(&p, "http.js", "export default { isRouter: true, getRoutes() {"
	    " return [['/a', 'GET', () => 1], ['/p/*', 'POST', () => 1]] } };"),
	    "{\"http.js\":{\"functions\":[],\"httpRoutes\":["
	    "{\"route\":{\"path\":\"/a\",\"method\":\"GET\"},\"pos\":null},"
	    "{\"route\":{\"path\":\"/p/*\",\"method\":\"POST\"},\"pos\":null}],"
	    "\"cronSpecs\":null,\"sourceMapped\":null}}");
	CHECK_STRZ(analyze_one(&p, "http.js", "export const x = 1;"),
	    "! InvalidModules: Failed to analyze "
	    "http.js: `convex/http.js` must have a default export of a Router.");
	CHECK_STRZ(analyze_one(&p, "http.js", "export default {};"),
	    "! InvalidModules: Failed to analyze "
	    "http.js: The default export of `convex/http.js` is not a Router.");
	push_close(&p);
}

#define CRONS(json) "export default { isCrons: true, export: () => '" json "' };"
#define ONE(id, name, schedule)                                               \
	"{\"" id "\":{\"name\":\"" name "\",\"args\":[{}],\"schedule\":" schedule "}}"

/* 02 section 11.4, row by row. */
TEST(crons)
{
	const struct {
		const char *schedule, *want; /* '!' begins an error text */
	} rows[] = {
		{ "{\"type\":\"interval\",\"minutes\":2}",
		    "{\"type\":\"interval\",\"seconds\":120}" },
		{ "{\"type\":\"hourly\"}", "{\"type\":\"hourly\"}" },
		{ "{\"type\":\"daily\",\"hourUTC\":3,\"minuteUTC\":15}",
		    "{\"type\":\"daily\",\"hourUTC\":3,\"minuteUTC\":15}" },
		{ "{\"type\":\"weekly\",\"dayOfWeek\":\"monday\",\"hourUTC\":0,\"minuteUTC\":0}",
		    "{\"type\":\"weekly\",\"dayOfWeek\":1,\"hourUTC\":0,\"minuteUTC\":0}" },
		{ "{\"type\":\"monthly\",\"day\":31,\"hourUTC\":23}",
		    "{\"type\":\"monthly\",\"day\":31,\"hourUTC\":23}" },
		{ "{\"type\":\"cron\",\"cron\":\"*/5 0-6,12 * jan-mar 1\"}",
		    "{\"type\":\"cron\",\"cronExpr\":\"*/5 0-6,12 * jan-mar 1\"}" },
		{ "{\"type\":\"cron\",\"cron\":\"5-1 0 LW * fri#2\"}",
		    "{\"type\":\"cron\",\"cronExpr\":\"5-1 0 LW * fri#2\"}" },
		{ "{\"type\":\"interval\",\"minutes\":0}", "!Interval must be a positive integer" },
		{ "{\"type\":\"interval\",\"minutes\":1,\"hours\":1}", "!Exactly one of" },
		{ "{\"type\":\"daily\",\"hourUTC\":24}", "!hourUTC must be 0-23" },
		{ "{\"type\":\"hourly\",\"minuteUTC\":60}",
		    "!minuteUTC must be 0-59 in cron job \"d\"" },
		{ "{\"type\":\"monthly\",\"day\":0,\"hourUTC\":1}", "!day must be 1-31" },
		{ "{\"type\":\"weekly\",\"dayOfWeek\":\"Monday\",\"hourUTC\":1}",
		    "!dayOfWeek must be" },
		{ "{\"type\":\"cron\",\"cron\":\"0 0 30 2 *\"}",
		    "!The cron expression will never match" },
		{ "{\"type\":\"cron\",\"cron\":\"0 0 * *\"}", "!Invalid cron expression" },
		{ "{\"type\":\"cron\",\"cron\":\"61 0 * * *\"}", "!Invalid cron expression" },
		{ "{\"type\":\"cron\",\"cron\":\"0 0 * * 7\"}", "!Invalid cron expression" },
		{ "{\"type\":\"never\"}", "!Unknown schedule type" },
	};
	struct push p;

	push_open(&p);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char source[1000], want[600];
		str  got;

		print_message("  %s\n", rows[i].schedule);
		snprintf(source, sizeof source, CRONS(ONE("d", "messages:clear", "%s")),
		    rows[i].schedule);
		p.env.nmodules = 0;
		push_add(&p, "crons.js", source);
		push_add(&p, "messages.js", HELPERS "export const clear = mutation(() => 1);");
		got = push_analyze(&p);
		if (rows[i].want[0] == '!') {
			snprintf(want, sizeof want,
			    "! InvalidModules: Failed to analyze crons.js: %s", rows[i].want + 1);
			CHECK_STRZ(str_head(got, strlen(want)), want);
			continue;
		}
		snprintf(want, sizeof want,
		    "{\"crons.js\":{\"functions\":[],\"httpRoutes\":null,\"cronSpecs\":["
		    "{\"identifier\":\"d\",\"spec\":{\"udfPath\":\"messages.js:clear\","
		    "\"udfArgs\":[91,123,125,93],\"cronSchedule\":%s}}],\"sourceMapped\":null},",
		    rows[i].want);
		CHECK_STRZ(str_head(got, strlen(want)), want);
	}
	push_close(&p);
}

TEST(cron_targets)
{
	struct push p;

	push_open(&p);
	push_add(&p, "crons.js", CRONS(ONE("d", "messages:gone", "{\"type\":\"hourly\"}")));
	push_add(&p, "messages.js", HELPERS "export const list = query(() => 1);");
	CHECK_STRZ(push_analyze(&p),
	    "! InvalidCron: The cron job 'd' schedules a function that does not "
	    "exist: messages.js:gone");
	p.modules[0].source = S(CRONS(ONE("d", "messages:list", "{\"type\":\"hourly\"}")));
	CHECK_STRZ(push_analyze(&p),
	    "! InvalidCron: The cron job 'd' schedules a query function, only "
	    "actions and mutations can be scheduled");
	CHECK_STRZ(analyze_one(&p, "crons.js", "export default {};"),
	    "! InvalidModules: Failed to analyze "
	    "crons.js: The default export of `convex/crons.js` is not a Crons object.");
	push_close(&p);
}

/* 04 checklist 33: schema, auth config and definitions, each in its environment. */
TEST(evaluations)
{
	const struct {
		enum isolate_eval_kind kind;
		const char            *source, *want;
	} rows[] = {
		{ EVAL_SCHEMA, "export default { export: () => '{\"tables\":[]}' };",
		    "{\"tables\":[]}" },
		{ EVAL_SCHEMA, "export const x = 1;", "! MissingSchemaExportError: *" },
		{ EVAL_SCHEMA, "export default null;", "! MissingSchemaExportError: *" },
		{ EVAL_SCHEMA, "export default {};",
		    "! InvalidSchemaExport: Default export from schema file isn't a Convex schema. "
		    "*" },
		{ EVAL_SCHEMA, "export default { export: () => 5 };", "! InvalidSchemaExport: *" },
		{ EVAL_SCHEMA, "throw new Error('boom')", "! Error: Uncaught Error: boom" },
		{ EVAL_SCHEMA, "export default { export() { throw new TypeError('in export') } };",
		    "! Error: Uncaught TypeError: in export" },
		{ EVAL_SCHEMA, "process.env.KEY",
		    "! Error: Uncaught Error: Environment variables unsupported when evaluating "
		    "schema" },
		{ EVAL_SCHEMA, "import './other.js'", "! NoImportModuleInSchema: *" },
		{ EVAL_SCHEMA, "for (;;) {}",
		    "! Error: Function execution timed out (maximum duration: 1s)" },
		{ EVAL_SCHEMA,
		    "if (Math.random() < 0 || Date.now() !== 1700000000000) throw 1;"
		    "export default { export: () => '{}' };",
		    "{}" },
		{ EVAL_AUTH_CONFIG, "export default { providers: [{ domain: process.env.KEY }] };",
		    "{\"providers\":[{\"domain\":\"value\"}]}" },
		{ EVAL_AUTH_CONFIG, "export default { providers: [{ domain: process.env.GONE }] };",
		    "! AuthConfigMissingEnvironmentVariable: Environment variable GONE is used in "
		    "auth "
		    "config file but its value was not set" },
		{ EVAL_AUTH_CONFIG, "throw new Error('x')",
		    "! InvalidAuthConfig: The pushed auth config is invalid: Uncaught Error: x" },
		{ EVAL_AUTH_CONFIG, "export const a = 1;", "! InvalidAuthConfig: *" },
		{ EVAL_AUTH_CONFIG, "const a = {}; a.a = a; export default a;",
		    "! InvalidAuthConfig: *" },
		{ EVAL_APP_DEFINITION,
		    "export default { export() { return { definitionType: { type: 'app' },"
		    " self: this === undefined } } };",
		    "{\"definitionType\":{\"type\":\"app\"},\"self\":false}" },
		{ EVAL_APP_DEFINITION, "export const a = 1; export default { export: () => ({}) };",
		    "! InvalidDefinition: *" },
		{ EVAL_APP_DEFINITION, "export default {};", "! InvalidDefinition: *" },
		{ EVAL_APP_DEFINITION, "export default { export: () => 'x' };",
		    "! InvalidDefinition: *" },
		{ EVAL_APP_DEFINITION,
		    "import c from './_componentDeps/Li4vY29tcA';"
		    "export default { export: () => ({ c: c.defaultName }) };",
		    "{\"c\":\"comp\"}" },
		{ EVAL_APP_DEFINITION, "import './other.js'",
		    "! NoImportModuleDuringDefinitionEvaluation: *" },
	};
	struct push p;

	push_open(&p);
	push_add(&p, "other.js", "");
	push_add(&p, "_componentDeps/Li4vY29tcA", "export default { defaultName: 'comp' };");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct module_source m = { .path = S("x.js"), .source = str_z(rows[i].source),
			.source_map = { NULL, 0 } };
		str want = str_z(rows[i].want), got;

		print_message("  %s\n", rows[i].source);
		if (isolate_eval(p.iso, rows[i].kind, &m, &p.env, p.arena, &got, &p.err) != ST_OK)
			got = arena_fmt(
			    p.arena, "! %.*s: %.*s", STR_ARG(p.err.code), STR_ARG(p.err.text));
		if (str_ends(want, S("*"))) {
			want.n--;
			got = str_head(got, want.n);
		}
		CHECK_STR(got, want);
	}
	push_close(&p);
}

/* However many functions a module has, each keeps its own name (names are read before the engine
 * they come from is put back). */
TEST(many_functions)
{
	struct push  p;
	struct json *j;
	struct buf   source;

	push_open(&p);
	buf_init(&source, 1 << 20);
	buf_addz(&source, HELPERS);
	for (int i = 0; i < 400; i++)
		buf_fmt(&source, "export const f%03d = query(() => %d);\n", i, i);
	buf_add_byte(&source, 0);
	CHECK_EQ(json_parse(p.arena, analyze_one(&p, "m.js", source.p), &j, NULL), ST_OK);
	const struct json *functions = json_get(json_get(j, "m.js"), "functions");

	CHECK_EQ(functions->n, 400);
	for (int i = 0; i < 400; i++)
		CHECK_STR(json_get(&functions->items[i], "name")->string,
		    arena_fmt(p.arena, "f%03d", i));
	buf_clear(&source);
	push_close(&p);
}

TEST_RUN(T(many_functions), T(functions), T(positions), T(failures), T(import_environment),
    T(http_routes), T(crons), T(cron_targets), T(evaluations))
