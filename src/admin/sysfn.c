/* sysfn.c - the CLI's system functions (spec 02 section 17).
 *
 * Native queries: what they read is in their read set, so a subscription to one is sent again when
 * the data under it changes, like any other.
 *
 * Thread: function workers.  Memory: the call's arena.
 */
#include "admin/sysfn.h"

#include "database/query.h"

#define PAGE_ROWS_MAX  10000
#define PAGE_BYTES_MAX 5000000

typedef void (*build_fn)(struct pack *p, void *arg);

/* Packs one value; limits do not apply to what the server says about itself. */
static status
packed(struct arena *a, build_fn build, void *arg, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	p.trusted = true;
	build(&p, arg);
	st = pack_done_in(&p, a, ret, e);
	pack_clear(&p);
	return st;
}

static str
arg_str(const struct native_call *c, const char *name)
{
	struct val v = val_get(c->args, str_z(name));

	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static str
field_str(struct val doc, const char *name)
{
	struct val v = val_get(doc, str_z(name));

	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static bool
list_doc(void *arg, struct doc *d)
{
	struct pack *p = arg;

	pack_val(p, doc_val(d));
	return true;
}

/* All rows of a table, in the order of an index. */
static status
list_rows(const struct native_call *c, str table, str index, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	p.trusted = true;
	pack_array(&p);
	st = txn_sys_each(c->txn, table, index, NULL, 0, list_doc, &p, e);
	pack_end(&p);
	if (st == ST_OK)
		st = pack_done_in(&p, c->arena, ret, e);
	pack_clear(&p);
	return st;
}

static status
query_environment_variables(const struct native_call *c, struct val *ret, struct err *e)
{
	TRY(identity_require(c->identity, "ViewEnvironmentVariables", e));
	return list_rows(c, S("_environment_variables"), S("by_name"), ret, e);
}

struct variable {
	str name, value;
};

static void
build_variable(struct pack *p, void *arg)
{
	struct variable *v = arg;

	pack_object(p);
	pack_key(p, S("name"));
	pack_str(p, v->name);
	pack_key(p, S("value"));
	pack_str(p, v->value);
	pack_end(p);
}

static status
get_environment_variable(const struct native_call *c, struct val *ret, struct err *e)
{
	const struct sysfn_env *env = c->arg;
	struct variable         v = { .name = arg_str(c, "name") };
	struct doc             *row = NULL;
	struct val              key;

	TRY(identity_require(c->identity, "ViewEnvironmentVariables", e));
	key = val_of_str(c->arena, v.name);
	TRY(txn_sys_first(c->txn, S("_environment_variables"), S("by_name"), &key, 1, &row, e));
	if (row)
		v.value = field_str(doc_val(row), "value");
	else if (str_eq(v.name, S("CONVEX_CLOUD_URL")))
		v.value = env->cloud_url;
	else if (str_eq(v.name, S("CONVEX_SITE_URL")))
		v.value = env->site_url;
	else {
		*ret = val_null;
		return ST_OK;
	}
	return packed(c->arena, build_variable, &v, ret, e);
}

static status
cloud_url(const struct native_call *c, struct val *ret, struct err *e)
{
	const struct sysfn_env *env = c->arg;

	TRY(identity_require(c->identity, "ViewData", e));
	*ret = val_of_str(c->arena, env->cloud_url);
	return ST_OK;
}

/* --- modules:apiSpec --- */

/* The stored validator text as a value; absent text means any. */
static status
pack_validator(struct pack *p, struct arena *a, struct val text, struct err *e)
{
	struct json *j;

	if (val_kind(text) != VAL_STRING) {
		pack_object(p);
		pack_key(p, S("type"));
		pack_str(p, S("any"));
		pack_end(p);
		return ST_OK;
	}
	TRY(json_parse(a, val_str(text), &j, e));
	return vjson_read(p, j, VJSON_PLAIN, e);
}

static status
pack_function(struct pack *p, struct arena *a, str path, struct val f, struct err *e)
{
	struct val visibility = val_get(f, S("visibility"));

	pack_object(p);
	pack_key(p, S("identifier"));
	pack_str(p, arena_fmt(a, "%.*s:%.*s", STR_ARG(path), STR_ARG(field_str(f, "name"))));
	pack_key(p, S("functionType"));
	pack_str(p, field_str(f, "udfType"));
	pack_key(p, S("visibility"));
	if (val_kind(visibility) == VAL_OBJECT) {
		pack_val(p, visibility);
	} else {
		pack_object(p);
		pack_key(p, S("kind"));
		pack_str(p, S("public"));
		pack_end(p);
	}
	pack_key(p, S("args"));
	TRY(pack_validator(p, a, val_get(f, S("args")), e));
	pack_key(p, S("returns"));
	TRY(pack_validator(p, a, val_get(f, S("returns")), e));
	pack_end(p);
	return ST_OK;
}

static void
pack_route(struct pack *p, struct val route)
{
	pack_object(p);
	pack_key(p, S("functionType"));
	pack_str(p, S("HttpAction"));
	pack_key(p, S("method"));
	pack_str(p, field_str(route, "method"));
	pack_key(p, S("path"));
	pack_str(p, field_str(route, "path"));
	pack_end(p);
}

struct spec {
	struct pack   p;
	struct arena *a;
	struct err   *e;
	status        st;
};

static bool
spec_module(void *arg, struct doc *d)
{
	struct spec *s = arg;
	struct val   analyzed = val_get(doc_val(d), S("analyzeResult"));
	struct val   functions = val_get(analyzed, S("functions"));
	struct val   routes = val_get(analyzed, S("httpRoutes"));

	for (size_t i = 0;
	     s->st == ST_OK && val_kind(functions) == VAL_ARRAY && i < val_count(functions); i++)
		s->st = pack_function(
		    &s->p, s->a, field_str(doc_val(d), "path"), val_at(functions, i), s->e);
	for (size_t i = 0; val_kind(routes) == VAL_ARRAY && i < val_count(routes); i++)
		pack_route(&s->p, val_get(val_at(routes, i), S("route")));
	return s->st == ST_OK;
}

static status
api_spec(const struct native_call *c, struct val *ret, struct err *e)
{
	struct spec s = { .a = c->arena, .e = e, .st = ST_OK };
	status      st;

	TRY(identity_require(c->identity, "ViewData", e));
	pack_init(&s.p);
	s.p.trusted = true;
	pack_array(&s.p);
	st =
	    txn_sys_each(c->txn, S("_modules"), S("by_creation_time"), NULL, 0, spec_module, &s, e);
	if (st == ST_OK)
		st = s.st;
	if (st == ST_OK) {
		pack_end(&s.p);
		st = pack_done_in(&s.p, c->arena, ret, e);
	}
	pack_clear(&s.p);
	return st;
}

/* --- tables --- */

static void
finish_page(struct pack *p, bool is_done, str cursor)
{
	pack_key(p, S("isDone"));
	pack_bool(p, is_done);
	pack_key(p, S("continueCursor"));
	pack_str(p, cursor);
	pack_end(p);
}

static bool
list_table(void *arg, struct doc *d)
{
	struct pack *p = arg;
	str          name = field_str(doc_val(d), "name");

	if (str_starts(name, S("_")) || !str_eq(field_str(doc_val(d), "state"), S("active")))
		return true;
	pack_object(p);
	pack_key(p, S("name"));
	pack_str(p, name);
	pack_end(p);
	return true;
}

static status
tables(const struct native_call *c, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	TRY(identity_require(c->identity, "ViewData", e));
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("page"));
	pack_array(&p);
	st = txn_sys_each(c->txn, S("_tables"), S("by_name"), NULL, 0, list_table, &p, e);
	if (st == ST_OK) {
		pack_end(&p);
		finish_page(&p, true, S("end"));
		st = pack_done_in(&p, c->arena, ret, e);
	}
	pack_clear(&p);
	return st;
}

static status
pack_page(const struct native_call *c, const struct page *page, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("page"));
	pack_array(&p);
	for (size_t i = 0; i < page->docs.n; i++)
		pack_val(&p, doc_val(page->docs.v[i]));
	pack_end(&p);
	finish_page(&p, page->is_done, page->continue_cursor);
	st = pack_done_in(&p, c->arena, ret, e);
	pack_clear(&p);
	return st;
}

static status
table_data(const struct native_call *c, struct val *ret, struct err *e)
{
	struct val        options = val_get(c->args, S("paginationOpts"));
	struct val        cursor = val_get(options, S("cursor"));
	struct val        items = val_get(options, S("numItems"));
	struct query_spec spec = { .source = QUERY_FULL_SCAN, .table = arg_str(c, "table") };
	struct page_opts  opts = { .max_rows = PAGE_ROWS_MAX, .max_bytes = PAGE_BYTES_MAX,
		.max_rows_given = true, .max_bytes_given = true };
	struct page       page = { 0 };
	status            st;

	TRY(identity_require(c->identity, "ViewData", e));
	spec.desc = str_eq(arg_str(c, "order"), S("desc"));
	opts.page_size = val_kind(items) == VAL_FLOAT64 ? val_float64(items) : 100;
	if (val_kind(cursor) == VAL_STRING)
		opts.cursor = val_str(cursor);
	st = query_page(c->txn, &spec, &opts, &page, e);
	if (st == ST_OK)
		st = pack_page(c, &page, ret, e);
	vec_clear(&page.docs);
	return st;
}

static status
table_size(const struct native_call *c, struct val *ret, struct err *e)
{
	struct pack p;
	double      n;
	status      st;

	TRY(identity_require(c->identity, "ViewData", e));
	TRY(txn_count(c->txn, arg_str(c, "tableName"), &n, e));
	pack_init(&p);
	pack_float64(&p, n);
	st = pack_done_in(&p, c->arena, ret, e);
	pack_clear(&p);
	return st;
}

struct fingerprint {
	double   n;
	uint64_t newest;
};

static void
build_fingerprint(struct pack *p, void *arg)
{
	struct fingerprint *f = arg;

	pack_array(p);
	pack_float64(p, f->n);
	pack_int64(p, (int64_t)f->newest);
	pack_end(p);
}

/* A value that differs whenever any document of the table changed: how many there are and the
 * newest revision. */
static status
query_table(const struct native_call *c, struct val *ret, struct err *e)
{
	struct query_spec  spec = { .source = QUERY_FULL_SCAN, .table = arg_str(c, "tableName") };
	struct fingerprint f = { 0, 0 };
	struct query      *q;
	struct doc        *d;

	TRY(identity_require(c->identity, "ViewData", e));
	TRY(query_open(c->txn, &spec, &q, e));
	for (;;) {
		TRY(query_next(q, &d, e));
		if (!d)
			break;
		f.n++;
		f.newest = d->ts > f.newest ? d->ts : f.newest;
	}
	return packed(c->arena, build_fingerprint, &f, ret, e);
}

/* --- what the dashboard's shared pieces ask --- */

static void
build_root_component(struct pack *p, void *arg)
{
	(void)arg;
	pack_array(p);
	pack_object(p);
	pack_key(p, S("id"));
	pack_str(p, S(""));
	pack_key(p, S("path"));
	pack_str(p, S(""));
	pack_key(p, S("args"));
	pack_object(p);
	pack_end(p);
	pack_key(p, S("state"));
	pack_str(p, S("active"));
	pack_key(p, S("httpPrefix"));
	pack_null(p);
	pack_end(p);
	pack_end(p);
}

static status
list_components(const struct native_call *c, struct val *ret, struct err *e)
{
	TRY(identity_require(c->identity, "ViewData", e));
	return packed(c->arena, build_root_component, NULL, ret, e);
}

struct schemas {
	str active, in_progress;
};

static bool
note_schema(void *arg, struct doc *d)
{
	struct schemas *s = arg;
	str             state = field_str(val_get(doc_val(d), S("state")), "state");

	if (str_eq(state, S("active")))
		s->active = field_str(doc_val(d), "schema");
	else if (str_eq(state, S("pending")) || str_eq(state, S("validated")))
		s->in_progress = field_str(doc_val(d), "schema");
	return true;
}

static void
build_schemas(struct pack *p, void *arg)
{
	struct schemas *s = arg;

	pack_object(p);
	if (s->active.n) {
		pack_key(p, S("active"));
		pack_str(p, s->active);
	}
	if (s->in_progress.n) {
		pack_key(p, S("inProgress"));
		pack_str(p, s->in_progress);
	}
	pack_end(p);
}

static status
get_schemas(const struct native_call *c, struct val *ret, struct err *e)
{
	struct schemas s = { STR_EMPTY, STR_EMPTY };

	TRY(identity_require(c->identity, "ViewData", e));
	TRY(txn_sys_each(
	    c->txn, S("_schemas"), S("by_creation_time"), NULL, 0, note_schema, &s, e));
	return packed(c->arena, build_schemas, &s, ret, e);
}

/* --- crons (spec 05 section 11) --- */

static status
list_cron_runs(const struct native_call *c, struct val *ret, struct err *e)
{
	TRY(identity_require(c->identity, "ViewData", e));
	return list_rows(c, S("_cron_job_logs"), S("by_name_and_ts"), ret, e);
}

struct cron_list {
	const struct native_call *call;
	struct pack               pack;
	status                    st;
	struct err               *e;
};

static bool
last_doc(void *arg, struct doc *d)
{
	*(struct doc **)arg = d;
	return true;
}

/* The row, with the newest of its logs and its next run. */
static status
pack_cron(struct cron_list *l, struct doc *job)
{
	struct txn *t = l->call->txn;
	struct val  row = doc_val(job);
	struct doc *log = NULL, *run = NULL;
	char        text[ID_TEXT_MAX];
	struct val  id = val_of_str(l->call->arena, str_of(text, id_format(job->id, text)));
	struct val  name = val_get(row, S("name"));

	TRY(txn_sys_each(
	    t, S("_cron_job_logs"), S("by_name_and_ts"), &name, 1, last_doc, &log, l->e));
	TRY(txn_sys_first(t, S("_cron_next_run"), S("by_cron_job_id"), &id, 1, &run, l->e));
	if (!run)
		return err_internal(l->e, "a row of _cron_jobs has no next run");
	pack_object(&l->pack);
	for (size_t i = 0; i < val_count(row); i++) {
		str        key;
		struct val v = val_field_at(row, i, &key);

		pack_key(&l->pack, key);
		pack_val(&l->pack, v);
	}
	pack_key(&l->pack, S("lastRun"));
	if (log)
		pack_val(&l->pack, doc_val(log));
	else
		pack_null(&l->pack);
	pack_key(&l->pack, S("nextRun"));
	pack_val(&l->pack, doc_val(run));
	pack_end(&l->pack);
	return ST_OK;
}

static bool
each_cron(void *arg, struct doc *d)
{
	struct cron_list *l = arg;

	l->st = pack_cron(l, d);
	return l->st == ST_OK;
}

static status
list_crons(const struct native_call *c, struct val *ret, struct err *e)
{
	struct cron_list l = { .call = c, .e = e };
	status           st;

	TRY(identity_require(c->identity, "ViewData", e));
	pack_init(&l.pack);
	l.pack.trusted = true;
	pack_array(&l.pack);
	st = txn_sys_each(c->txn, S("_cron_jobs"), S("by_name"), NULL, 0, each_cron, &l, e);
	if (st == ST_OK)
		st = l.st;
	pack_end(&l.pack);
	if (st == ST_OK)
		st = pack_done_in(&l.pack, c->arena, ret, e);
	pack_clear(&l.pack);
	return st;
}

static struct native_fn table[] = {
	{ "_system/cli/queryEnvironmentVariables.js:default", UDF_QUERY,
	    query_environment_variables, NULL },
	{ "_system/cli/queryEnvironmentVariables.js:get", UDF_QUERY, get_environment_variable,
	    NULL },
	{ "_system/cli/convexUrl.js:cloudUrl", UDF_QUERY, cloud_url, NULL },
	{ "_system/cli/modules.js:apiSpec", UDF_QUERY, api_spec, NULL },
	{ "_system/cli/tables.js:default", UDF_QUERY, tables, NULL },
	{ "_system/cli/tableData.js:default", UDF_QUERY, table_data, NULL },
	{ "_system/cli/tableSize.js:default", UDF_QUERY, table_size, NULL },
	{ "_system/cli/queryTable.js:default", UDF_QUERY, query_table, NULL },
	{ "_system/frontend/components.js:list", UDF_QUERY, list_components, NULL },
	{ "_system/frontend/getSchemas.js:default", UDF_QUERY, get_schemas, NULL },
	{ "_system/frontend/listCronJobs.js:default", UDF_QUERY, list_crons, NULL },
	{ "_system/frontend/listCronJobRuns.js:default", UDF_QUERY, list_cron_runs, NULL },
};

const struct native_fn *
sysfn_table(const struct sysfn_env *env, size_t *ret_n)
{
	for (size_t i = 0; i < COUNT_OF(table); i++)
		table[i].arg = (void *)(uintptr_t)env;
	*ret_n = COUNT_OF(table);
	return table;
}
