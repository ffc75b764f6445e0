/* syscall_test.c - the npm helpers' JSON contract, called by hand (spec 04 section 1). */
#include "world.h"

/* A function `f` around the body, which has sync(name, args) and async(name, args) that give
 * the parsed result or the error's message. */
static void
push(struct world *w, const char *kind, const char *body)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, HELPERS "const sync = (n, a) => { try { return JSON.parse(Convex.syscall(n, "
			     "JSON.stringify(a))) }"
			     " catch (e) { return e.message } };"
			     "const async = (n, a) => Convex.asyncSyscall(n, "
			     "JSON.stringify(a)).then(JSON.parse, (e) =>"
			     " e.data === undefined ? e.message : [e.message, e.data]);");
	buf_fmt(&b, "export const f = %s(async (ctx, args) => {", kind);
	buf_addz(&b, body);
	buf_addz(&b, "});");
	buf_add_byte(&b, 0);
	world_push(w, "m.js", b.p);
	buf_clear(&b);
}

static str
eval(struct world *w, enum udf_kind kind, const char *body)
{
	push(w, kind == UDF_MUTATION ? "mutation" : "query", body);
	world_run(w, kind, "m.js", "f", "[{}]");
	return world_outcome(w);
}

#define QUERY(body, want)    CHECK_STRZ(eval(&w, UDF_QUERY, (body)), (want))
#define MUTATION(body, want) CHECK_STRZ(eval(&w, UDF_MUTATION, (body)), (want))

/* 04 checklist 2: names that do not exist here, in the words that clients test for. */
TEST(unknown_operations_say_so)
{
	struct world w;

	world_open(&w);
	QUERY("return [sync('1.0/nope', {}), await async('1.0/nope', {}), sync('1.0/get', {}),"
	      "await async('1.0/queryStream', {}), await async('1.0/actions/query', {}),"
	      "await async('1.0/createServiceToken', {}), await async('1.0/getServiceUrl', {})]",
	    "[\"Unknown operation 1.0/nope\",\"Unknown async operation 1.0/nope\",\"Unknown "
	    "operation 1.0/get\","
	    "\"Unknown async operation 1.0/queryStream\",\"Unknown async operation "
	    "1.0/actions/query\","
	    "\"Unknown async operation 1.0/createServiceToken\",\"Unknown async operation "
	    "1.0/getServiceUrl\"]");
	world_close(&w);
}

/* 04 checklist 1: text that is no JSON is a deterministic error, a wrong arity a system error. */
TEST(arguments_are_checked)
{
	struct world w;
	struct err   e;

	world_open(&w);
	QUERY("const r = []; for (const t of ['', '{', '\"\\ud800\"'])"
	      "try { Convex.syscall('1.0/queryStream', t) } catch (e) { r.push(e.message.slice(0, "
	      "22)) } return r",
	    "[\"Received invalid json:\",\"Received invalid json:\",\"Received invalid json:\"]");
	push(&w, "query", "try { Convex.syscall('1.0/queryStream') } catch { return 1 }");
	e = err_in(w.arena);
	CHECK_EQ(world_run_in(&w, NULL, UDF_QUERY, "m.js", "f", "[{}]", &e), ST_INTERNAL);
	push(&w, "query",
	    "try { await Convex.asyncSyscall('1.0/get', '{}', 1) } catch { return 1 }");
	e = err_in(w.arena);
	CHECK_EQ(world_run_in(&w, NULL, UDF_QUERY, "m.js", "f", "[{}]", &e), ST_INTERNAL);
	world_close(&w);
}

/* 04 checklist 4: texts of InvalidArgument. */
TEST(argument_errors_name_argument_and_method)
{
	static const struct {
		const char *name, *args, *want;
	} rows[] = {
		{ "get", "{}", "Invalid arguments for `db.get`: missing field `id`" },
		{ "get", "{id: 5}", "Invalid argument `id` for `db.get`: expected a string" },
		{ "get", "{id: 'x', isSystem: true}",
		    "Invalid argument `id` for `db.system.get`: Unable to decode ID: Invalid ID "
		    "length 1" },
		{ "get", "{id: 'x', version: 'nope'}",
		    "Invalid argument `version` for `db.get`: Invalid client version nope" },
		{ "get", "{id: 'x', version: '1.48'}",
		    "Invalid argument `version` for `db.get`: Invalid client version 1.48" },
		{ "queryPage", "{query: {}, version: 'nope'}", "Invalid client version nope" },
		{ "insert", "{table: 't', value: 5}",
		    "Invalid argument `value` for `db.insert`: Value must be an Object" },
		{ "insert", "{table: 't'}",
		    "Invalid arguments for `db.insert`: missing field `value`" },
		{ "insert", "{table: 't', value: {a: {$undefined: null}}}", NULL },
		{ "insert", "{table: 't', value: {$a: 1}}", NULL },
		{ "shallowMerge", "{id: 'x', value: {}}",
		    "Invalid argument `id` for `db.patch`: Unable to decode ID: Invalid ID length "
		    "1" },
		{ "remove", "{}", "Invalid arguments for `db.delete`: missing field `id`" },
		{ "queryStreamNext", "{queryId: 7}", "in-progress query not found" },
		{ "queryStreamNext", "{}",
		    "Invalid arguments for `queryStreamNext`: missing field `queryId`" },
		{ "queryPage", "{query: 5, cursor: null, pageSize: 1}", NULL },
		{ "runUdf", "{udfType: 'query', args: {}}", "Missing required argument 'name'" },
		{ "runUdf", "{udfType: 'action', args: {}, name: 'a:b'}",
		    "Cannot call a Action function from a Mutation function" },
		{ "runUdf", "{udfType: 'query', args: 5, name: 'a:b'}",
		    "Invalid argument `args` for `runUdf`: Value must be an Object" },
		{ "schedule", "{name: 'a:b', args: {}}",
		    "Invalid argument `ts` for `scheduler`: expected a timestamp in seconds" },
		{ "cancel_job", "{}", "Invalid arguments for `db.cancel_job`: missing field `id`" },
		{ "createFunctionHandle", "{}", "Missing required argument 'name'" },
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[300];
		str  got;

		snprintf(body, sizeof body, "return await async('1.0/%s', %s)", rows[i].name,
		    rows[i].args);
		got = eval(&w, UDF_MUTATION, body);
		CHECK(got.n > 2 && got.p[0] == '"');
		if (rows[i].want)
			CHECK_STRZ(str_head(str_from(got, 1), got.n - 2), rows[i].want);
		else
			CHECK(str_starts(str_from(got, 1), S("Invalid argument")));
	}
	QUERY("return [sync('1.0/queryCleanup', {}), sync('1.0/db/normalizeId', {table: 't'})]",
	    "[\"Invalid arguments for `queryCleanup`: missing field `queryId`\","
	    "\"Invalid arguments for `db.normalizeId`: missing field `idString`\"]");
	world_close(&w);
}

/* 03 checklist 45: one page per function, of at least one row. */
TEST(one_page_per_function)
{
#define PAGE "await ctx.db.query('t').paginate({numItems: 1, cursor: null})"
	struct world w;

	world_open(&w);
	QUERY(PAGE "; try { " PAGE " } catch (e) { return e.message }",
	    "\"This query or mutation function ran multiple paginated queries. Convex only "
	    "supports a single paginated query in each function.\"");
	QUERY("try { await ctx.db.query('t').paginate({numItems: 0, cursor: null}) }"
	      " catch (e) { return e.message }",
	    "\"Must request at least 1 document while paginating\"");
	world_close(&w);
#undef PAGE
}

/* 04 checklist 5: the recorded trace of section 1.9, as far as queries and mutations go. */
TEST(the_recorded_trace_replays)
{
	struct world w;

	world_open(&w);
	MUTATION(
	    "const v = '1.48.0', one = {$integer: 'AQAAAAAAAAA='};"
	    "const {_id} = await async('1.0/insert', {table: 'msgs', value: {b: {$bytes: 'AAA='}, "
	    "t: one}});"
	    "const got = await async('1.0/get', {id: _id, isSystem: false, version: v, table: "
	    "'msgs'});"
	    "const merged = await async('1.0/shallowMerge', {id: _id, value: {b: {$undefined: "
	    "null}, c: 1}});"
	    "const replaced = await async('1.0/replace', {id: _id, value: {z: 1}, table: 'msgs'});"
	    "const page = await async('1.0/queryPage', {query: {source: {type: 'FullTableScan', "
	    "tableName: 'msgs',"
	    " order: null}, operators: []}, cursor: null, endCursor: null, pageSize: 10, "
	    "maximumRowsRead: null, version: v});"
	    "const removed = await async('1.0/remove', {id: _id, table: 'msgs'});"
	    "const names = (d) => Object.keys(d).filter((k) => k[0] !== '_').join();"
	    "return [names(got), JSON.stringify(got.t), names(merged), merged.c, names(replaced), "
	    "page.page.length, page.isDone,"
	    " page.splitCursor, page.pageStatus, names(removed),"
	    " await async('1.0/get', {id: _id, isSystem: false}),"
	    " await async('1.0/getUserIdentity', {requestId: ''}),"
	    " await async('1.0/auditLog', {body: {}, version: v})]",
	    "[\"b,t\",\"{\\\"$integer\\\":\\\"AQAAAAAAAAA=\\\"}\",\"c,t\",1.0,\"z\",1.0,true,null,"
	    "null,"
	    "\"z\",null,null,null]");
	world_close(&w);
}

/* Query streams: ids count from 0, nothing after the end, cleaning up twice says false. */
TEST(query_streams_open_and_close)
{
	struct world w;

	world_open(&w);
	MUTATION("for (const n of [1, 2]) await async('1.0/insert', {table: 't', value: {n}});"
		 "const query = {source: {type: 'FullTableScan', tableName: 't', order: 'desc'}, "
		 "operators: [{limit: 5},"
		 " {filter: {$gt: [{$field: 'n'}, {$literal: 0}]}}]};"
		 "const a = sync('1.0/queryStream', {query, version: '1.48.0'}), b = "
		 "sync('1.0/queryStream', {query});"
		 "const next = async () => { const {value, done} = await async_(a); return [value "
		 "&& value.n, done] };"
		 "const async_ = (q) => async('1.0/queryStreamNext', q);"
		 "return [a, b, await next(), await next(), await next(), await next(),"
		 " sync('1.0/queryCleanup', a), sync('1.0/queryCleanup', a), await async_(a), "
		 "sync('1.0/queryCleanup', {queryId: 99})]",
	    "[{\"queryId\":0.0},{\"queryId\":1.0},[2.0,false],[1.0,false],[null,true],[null,true],"
	    "true,false,"
	    "\"in-progress query not found\",false]");
	world_close(&w);
}

/* 04 checklist 6: what is missing reads as null or 0. */
TEST(missing_things_are_not_errors)
{
	struct world w;

	world_open(&w);
	QUERY("return [await async('1.0/get', {id: 'j57000820c20a1g7104gm2rc1m70ynr8', isSystem: "
	      "false}),"
	      "await async('1.0/count', {table: 'nothing'}),"
	      "sync('1.0/db/normalizeId', {table: 'nothing', idString: 'no id'})]",
	    "[null,0.0,{\"id\":null}]");
	world_close(&w);
}

static status
nested(void *arg, const struct nested_call *c, struct run_result *caller, struct val *ret,
    struct err *e)
{
	(void)arg, (void)caller;
	if (str_eq(c->name, S("fail:data"))) {
		err_set(e, ST_BAD_REQUEST, "Nested", "Uncaught ConvexError: x\n");
		e->data = S("{\"n\":{\"$integer\":\"AQAAAAAAAAA=\"}}");
		return ST_BAD_REQUEST;
	}
	if (str_eq(c->name, S("fail:system")))
		return err_set(e, ST_OVERLOADED, "Busy", "too busy");
	*ret = c->args;
	return ST_OK;
}

/* 04 checklist 3: messages carry everything; ConvexError data arrives as parsed JSON.  Errors
 * that are not deterministic end the run, whatever the function catches. */
TEST(rejections_carry_message_and_data)
{
	struct world w;
	struct err   e;

	world_open(&w);
	w.host.nested = nested;
	QUERY("return [await async('1.0/runUdf', {udfType: 'query', name: 'a:b', args: {x: 1}}),"
	      "(await async('1.0/runUdf', {udfType: 'query', name: 'fail:data', args: {}}))[0],"
	      "typeof (await async('1.0/runUdf', {udfType: 'query', name: 'fail:data', args: "
	      "{}}))[1].n.$integer,"
	      "await async('1.0/runUdf', {udfType: 'mutation', name: 'a:b', args: {}}),"
	      "await async('1.0/runUdf', {udfType: 'snapshotQuery', name: 'a:b', args: {}})]",
	    "[{\"x\":1.0},\"Uncaught ConvexError: x\\n\",\"string\","
	    "\"Cannot call a Mutation function from a Query function\","
	    "\"Cannot call a SnapshotQuery function from a Query function\"]");
	push(&w, "query",
	    "try { await async('1.0/runUdf', {udfType: 'query', name: 'fail:system', args: {}}) }"
	    " finally { console.log('seen') } return 1");
	e = err_in(w.arena);
	CHECK_EQ(world_run_in(&w, NULL, UDF_QUERY, "m.js", "f", "[{}]", &e), ST_OVERLOADED);
	CHECK_STRZ(e.text, "too busy");
	CHECK_EQ(w.res.logs.lines.n, 0);
	world_close(&w);
}

/* Queries cannot write, schedule or look at the request. */
TEST(queries_are_read_only)
{
	struct world w;

	world_open(&w);
	QUERY("return [await async('1.0/insert', {table: 't', value: {}}),"
	      "await async('1.0/schedule', {name: 'a:b', ts: 1, args: {}}), await "
	      "async('1.0/cancel_job', {id: 'x'}),"
	      "await async('1.0/getRequestMetadata', {})]",
	    "[\"`db.insert` is not allowed here: queries cannot write to the database\","
	    "\"`scheduler` is not allowed here: queries cannot write to the database\","
	    "\"`scheduler` is not allowed here: queries cannot write to the database\","
	    "\"Cannot get request metadata in a Query\"]");
	QUERY("return [sync('1.0/componentArgument', {name: 'x'}), sync('1.0/requireOperation', "
	      "{operation: 'x'})]",
	    "[\"Component arguments are not available within the app\",{}]");
	CHECK(w.res.observed_identity);
	world_close(&w);
}

/* What a run makes the host remember is bounded, like its heap. */
TEST(host_memory_is_bounded)
{
	struct world w;

	world_open(&w);
	QUERY("const text = JSON.stringify({table: 't', idString: 'x'.repeat(1 << 22)});"
	      "for (;;) try { Convex.syscall('1.0/db/normalizeId', text) } catch {}",
	    "! JavaScript execution ran out of memory (maximum memory usage: 64 MB)");
	QUERY("let q = ctx.db.query('t'); for (let i = 0; i < 20000; i++) q = q.limit(1);"
	      "try { await q.collect() } catch (e) { return e.message }",
	    "\"Invalid argument `query` for `queryStream`: Can't construct query with more than "
	    "256 operators\"");
	QUERY(
	    "try { await ctx.db.query('t').withIndex('by_creation_time', (r) => {"
	    "for (let i = 0; i < 20000; i++) r = r.gt('_creationTime', i); return r }).collect() }"
	    "catch (e) { return e.message.slice(0, 5) }",
	    "\"Index\"");
	QUERY(
	    "let x = true; await ctx.db.query('t').filter((q) => { for (let i = 0; i < 100000; i++)"
	    " x = q.not(x); return true }).collect(); const r = [];"
	    "for (const f of [() => x.serialize(), () => ctx.db.query('t').filter(() => x)])"
	    " try { f() } catch (e) { r.push(e.message) } return r",
	    "[\"Received invalid json: recursion limit exceeded\","
	    "\"Received invalid json: recursion limit exceeded\"]");
	world_close(&w);
}

/* Section 1.10: at import, synchronous operations are refused and asynchronous ones wait for
 * the run. */
TEST(import_queues_asynchronous_operations)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS
	    "let refused; try { Convex.syscall('1.0/queryStream', '{}') } catch (e) { refused = "
	    "e.message }"
	    "let seen = 'nothing yet';"
	    "Convex.asyncSyscall('1.0/count', '{\"table\":\"t\"}').then((n) => { seen = n });"
	    "export const f = query(async () => { const before = seen; await null; await null; "
	    "await null; await null;"
	    " return [refused, before, seen] });");
	for (int i = 0; i < 2; i++) {
		world_run(&w, UDF_QUERY, "m.js", "f", "[{}]");
		CHECK_STRZ(world_outcome(&w),
		    "[\"Can't use database at import time\",\"nothing yet\",\"0\"]");
	}
	world_close(&w);
}

TEST_RUN(T(unknown_operations_say_so), T(arguments_are_checked),
    T(argument_errors_name_argument_and_method), T(one_page_per_function),
    T(the_recorded_trace_replays),
    T(query_streams_open_and_close), T(missing_things_are_not_errors),
    T(rejections_carry_message_and_data), T(queries_are_read_only),
    T(host_memory_is_bounded), T(import_queues_asynchronous_operations))
