/* test_query.c - one-off queries of the CLI and the dashboard (spec 04 section 12).
 *
 * The query's module is analysed alone, then it joins the application in a transaction that is
 * never committed: nothing of it stays.
 *
 * Thread: function workers.  Memory: the request's arena.
 */
#include "base/json.h"
#include "deploy/deploy_int.h"

#define TEST_PATH     "testQuery.js"
#define WRAPPERS_PATH "_system/repl/wrappers.js"

extern const unsigned char repl_wrappers_js[];
extern const size_t        repl_wrappers_js_len;

struct test {
	struct fn_worker            *w;
	const struct deploy_request *q;
	struct push_module           modules[2]; /* the query's, and what it imports */
	const struct json           *analyzed;   /* of the query's */
};

static status
read_body(struct test *x, struct err *e)
{
	const struct json    *bundle = json_get(x->q->body, "bundle");
	struct module_source *m = &x->modules[0].source, *wrappers = &x->modules[1].source;

	if (!json_get_str(bundle, "source", &m->source))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody", "`bundle.source` is missing");
	if (!json_get_str(bundle, "sourceMap", &m->source_map))
		m->source_map = (str){ NULL, 0 };
	m->path = S(TEST_PATH);
	wrappers->path = S(WRAPPERS_PATH);
	wrappers->source = str_of((const char *)repl_wrappers_js, repl_wrappers_js_len);
	for (size_t i = 0; i < COUNT_OF(x->modules); i++) {
		m = &x->modules[i].source;
		x->modules[i].sha256 = module_sha256(x->q->arena, m->source, m->source_map);
	}
	return ST_OK;
}

/* Exactly one function, the default export, and it is a query. */
static status
check_functions(struct test *x, struct err *e)
{
	const struct json *functions = json_get(x->analyzed, "functions");
	const struct json *found = NULL;
	str                name, type = STR_EMPTY;

	for (size_t i = 0; functions && i < functions->n; i++) {
		if (!json_get_str(&functions->items[i], "name", &name) ||
		    !str_eq(name, S("default")))
			return err_set(e, ST_BAD_REQUEST, "InvalidTestQuery",
			    "Only `export default` is supported.");
		found = &functions->items[i];
	}
	if (!found)
		return err_set(e, ST_BAD_REQUEST, "InvalidTestQuery",
		    "Default export is not a Convex function.");
	if (json_get_str(found, "udfType", &type) && str_eq(type, S("Query")))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "UnsupportedTestQuery",
	    "%.*ss are not supported in the REPL yet.", STR_ARG(type));
}

static status
analyze(struct test *x, struct txn *t, struct err *e)
{
	struct module_source sources[] = { x->modules[0].source, x->modules[1].source };
	struct import_env    env = { .modules = sources, .nmodules = COUNT_OF(sources) };
	struct buf           b;
	struct json         *all;
	str                  version;
	status               st;

	os_random(x->q->deploy->os, env.seed, sizeof env.seed);
	env.now_ns = os_now_ns(x->q->deploy->os);
	TRY(udf_config_get(t, &version, env.seed, &env.now_ns, e));
	TRY(env_import(x->q->deploy, t, x->q->arena, &env.vars, &env.nvars, e));
	buf_init(&b, BUF_MAX_DEFAULT);
	st = isolate_analyze(fn_worker_isolate(x->w), &env, x->q->arena, &b, e);
	if (st == ST_OK)
		st = json_parse(x->q->arena, arena_str(x->q->arena, buf_str(&b)), &all, e);
	buf_clear(&b);
	if (st == ST_OK)
		x->analyzed = json_get(all, TEST_PATH);
	else if (status_deterministic(st) && e) {
		err_prefix(e, "Could not analyze the given module:\n");
		e->code = S("InvalidModules");
	}
	return st;
}

/* Without a push there is no version and no seed yet. */
static status
pretend_pushed(struct test *x, struct txn *t, struct err *e)
{
	struct push config = { .server_version = S("1000.0.0"),
		.import_ns = os_now_ns(x->q->deploy->os) };
	uint64_t    ns;
	str         version, previous;

	TRY(udf_config_get(t, &version, config.seed, &ns, e));
	if (version.n)
		return ST_OK;
	os_random(x->q->deploy->os, config.seed, sizeof config.seed);
	return udf_config_put(t, &config, &previous, e);
}

static struct fn_call *
call_new(const struct test *x, struct identity *id)
{
	struct fn_call    *c = fn_call_new();
	const struct json *args = json_get(x->q->body, "args");

	c->want = WANT_QUERY;
	c->path = S(TEST_PATH ":default");
	c->args_json = args ? arena_str(c->arena, args->source) : S("{}");
	c->identity = identity_ref(id);
	c->caller = CALLER_TESTER;
	c->internal_ok = true;
	return c;
}

static status
run(struct test *x, struct identity *id, struct buf *reply, struct err *e)
{
	struct txn       *t = deploy_txn(x->q->deploy, true, "_system/test_query.js:run");
	struct fn_call   *c = call_new(x, id);
	struct fn_result *r = NULL;
	status            st;

	st = analyze(x, t, e);
	if (st == ST_OK)
		st = check_functions(x, e);
	if (st == ST_OK)
		st = pretend_pushed(x, t, e);
	if (st == ST_OK)
		st = module_put(t, &x->modules[0], x->analyzed, e);
	if (st == ST_OK)
		st = module_put(t, &x->modules[1], NULL, e);
	if (st == ST_OK)
		r = fn_worker_run_in(x->w, c, t);
	if (r && r->st != ST_OK)
		st = err_set(e, r->st, arena_z(x->q->arena, r->code), "%.*s", STR_ARG(r->text));
	else if (r)
		fn_result_write(reply, r);
	fn_result_unref(r);
	fn_call_unref(c);
	txn_free(t);
	return st;
}

static status
asker(const struct deploy_request *q, struct identity **ret, struct err *e)
{
	str key;

	if (json_get_str(q->body, "adminKey", &key))
		return auth_admin_key(q->deploy->auth, key, NULL, ret, e);
	*ret = identity_ref(q->identity);
	return ST_OK;
}

status
deploy_run_test_function(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct test      x = { .w = w, .q = q };
	struct identity *id;
	status           st;

	(void)ret_ts; /* nothing is written */
	TRY(deploy_authorize(q, "RunTestQuery", e));
	TRY(read_body(&x, e));
	TRY(asker(q, &id, e));
	st = run(&x, id, reply, e);
	identity_unref(id);
	return st;
}
