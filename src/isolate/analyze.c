/* analyze.c - what a module registers (spec 02 section 11, spec 04 section 2.2).
 *
 * Each module of a push is imported alone into a fresh engine and its exports are looked at:
 * functions with their validators, HTTP routes of http.js, crons of crons.js.  The result is
 * the AnalyzedModule JSON of spec 02 section 5.2.
 *
 * Thread: the isolate's.  Memory: the caller's arena and buf.
 */
#include "isolate/eval_int.h"
#include "value/pack.h"
#include "value/validator.h"

#define ANALYZE_NS    ((uint64_t)4000000000)
#define FUNCTION_NAME_MAX 64
#define LOG_TAIL      100u

struct function {
	str                     name;
	const char             *type; /* "Query" ... */
	const char             *visibility; /* NULL: neither */
	const struct validator *args, *returns; /* NULL: null */
	bool                    has_pos;
	uint32_t                line, col; /* from 0, in the source */
};

/* All modules of one push. */
struct analysis {
	struct arena            *arena;
	const struct import_env *env;
	struct buf              *out;     /* the object path -> module */
	struct cron_targets      crons;
	VEC(str)                 callable; /* "messages.js:clear", for crons */
	VEC(str)                 queries;
};

/* One module. */
struct module_look {
	struct analysis      *all;
	VEC(struct function)  functions;
	struct buf            routes, crons; /* n == 0: null */
	bool                  reuse_context;
};

/* --- functions --- */

static bool
has(struct eval *ev, JSValueConst v, const char *name)
{
	JSContext *ctx = ev->en->ctx;
	JSAtom     atom = JS_NewAtom(ctx, name);
	int        rc = JS_HasProperty(ctx, v, atom);

	JS_FreeAtom(ctx, atom);
	if (rc < 0)
		JS_FreeValue(ctx, JS_GetException(ctx));
	return rc > 0;
}

static status
parse_validator(struct eval *ev, str name, const char *method, str text,
    const struct validator **ret, struct err *e)
{
	struct json *j;
	struct err   why = err_in(ev->arena);

	if (json_parse(ev->arena, text, &j, &why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Invalid JSON returned from %.*s:%.*s.%s(): %.*s", STR_ARG(ev->path),
		    STR_ARG(name), method, STR_ARG(why.text));
	*ret = NULL;
	if (j->kind == JSON_NULL)
		return ST_OK;
	if (validator_parse(ev->arena, j, ret, &why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Invalid JSON returned from %.*s:%.*s.%s(): %.*s", STR_ARG(ev->path),
		    STR_ARG(name), method, STR_ARG(why.text));
	return ST_OK;
}

/* v.exportArgs() or v.exportReturns(). */
static status
read_validator(struct eval *ev, JSValueConst v, str name, const char *method,
    const struct validator **ret, struct err *e)
{
	JSContext *ctx = ev->en->ctx;
	JSValue    fn = JS_GetPropertyStr(ctx, v, method), text = JS_UNDEFINED;
	str        json;
	status     st = ST_OK;

	*ret = NULL;
	if (JS_IsException(fn))
		return eval_exception(ev, e);
	if (JS_IsUndefined(fn))
		return ST_OK;
	if (!JS_IsFunction(ctx, fn)) {
		st = err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "%.*s:%.*s.%s is not a function or `undefined`.", STR_ARG(ev->path),
		    STR_ARG(name), method);
		goto out;
	}
	text = JS_Call(ctx, fn, v, 0, NULL);
	if (JS_IsException(text))
		st = eval_exception(ev, e);
	else if (!JS_IsString(text) || !js_text(ctx, text, ev->arena, &json))
		st = err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Invalid %s return value: %.*s:%.*s.%s() didn't return a string.", method,
		    STR_ARG(ev->path), STR_ARG(name), method);
	else
		st = parse_validator(ev, name, method, json, ret, e);
out:
	JS_FreeValue(ctx, text);
	JS_FreeValue(ctx, fn);
	return st;
}

/* Where the handler's code begins, if the module itself holds it. */
static void
read_position(struct eval *ev, JSValueConst handler, struct function *f)
{
	JSContext     *ctx = ev->en->ctx;
	struct module *m = ev->en->im->modules.v[0];
	JSValue        line = JS_GetPropertyStr(ctx, handler, "lineNumber");
	JSValue        col = JS_GetPropertyStr(ctx, handler, "columnNumber");
	str            file;

	if (js_text_of(ctx, handler, "fileName", ev->arena, &file) && str_eq(file, m->specifier) &&
	    JS_VALUE_GET_TAG(line) == JS_TAG_INT && JS_VALUE_GET_TAG(col) == JS_TAG_INT)
		f->has_pos = module_position(m, (uint32_t)JS_VALUE_GET_INT(line),
		    (uint32_t)JS_VALUE_GET_INT(col), &f->line, &f->col);
	if (JS_IsException(line) || JS_IsException(col))
		JS_FreeValue(ctx, JS_GetException(ctx));
	JS_FreeValue(ctx, line);
	JS_FreeValue(ctx, col);
}

static status
check_handler(struct eval *ev, const struct exported *x, JSValueConst *ret, struct err *e)
{
	JSContext *ctx = ev->en->ctx;

	*ret = JS_IsUndefined(x->handler) ? x->fn : x->handler;
	if (JS_IsFunction(ctx, *ret))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidModules", "`%.*s:%.*s`%s is not a function.",
	    STR_ARG(ev->path), STR_ARG(x->name), JS_IsUndefined(x->handler) ? "" : ".handler");
}

static status
check_function_name(str name, struct err *e)
{
	if (name.n <= FUNCTION_NAME_MAX && identifier_check(name, NULL) == ST_OK)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidFunctionName",
	    "Invalid function name: %.*s. Function names must be identifiers of at most %d "
	    "characters.",
	    STR_ARG(name), FUNCTION_NAME_MAX);
}

static status
look_at_export(struct eval *ev, const struct exported *x, struct err *e)
{
	struct module_look *l = ev->arg;
	struct function     f = { .name = arena_str(ev->arena, x->name) };
	bool                public, internal;
	JSValueConst        handler;

	if (x->is_query + x->is_mutation + x->is_action != 1)
		return ST_OK;
	public = has(ev, x->fn, "isPublic");
	internal = has(ev, x->fn, "isInternal");
	if (public && internal)
		return ST_OK;
	f.type = x->is_query ? "Query" : x->is_mutation ? "Mutation" : "Action";
	f.visibility = public ? "public" : internal ? "internal" : NULL;
	TRY(read_validator(ev, x->fn, x->name, "exportArgs", &f.args, e));
	if (f.args && !validator_is_any(f.args) && !validator_is_object(f.args))
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Invalid exportArgs return value: %.*s:%.*s.exportArgs() must describe an "
		    "object or any.",
		    STR_ARG(ev->path), STR_ARG(x->name));
	TRY(read_validator(ev, x->fn, x->name, "exportReturns", &f.returns, e));
	TRY(check_handler(ev, x, &handler, e));
	TRY(check_function_name(x->name, e));
	read_position(ev, handler, &f);
	vec_push(&l->functions, f);
	return ST_OK;
}

static bool
is_before(const struct function *a, const struct function *b)
{
	if (a->has_pos != b->has_pos)
		return !a->has_pos;
	if (!a->has_pos)
		return false;
	return a->line != b->line ? a->line < b->line : a->col < b->col;
}

/* By position, those without one first; stable. */
static void
sort_functions(struct function *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct function f = v[i];
		size_t          k = i;

		for (; k > 0 && is_before(&f, &v[k - 1]); k--)
			v[k] = v[k - 1];
		v[k] = f;
	}
}

/* --- http.js and crons.js --- */

static status
write_route(struct eval *ev, JSValueConst route, struct buf *b, struct err *e)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };
	JSContext *ctx = ev->en->ctx;
	str        path, method;
	bool       known = false;

	if (!JS_IsObject(route) || !js_text_of(ctx, route, "0", ev->arena, &path) ||
	    !js_text_of(ctx, route, "1", ev->arena, &method))
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "getRoutes() must return an array of [path, method, handler]");
	for (size_t i = 0; i < COUNT_OF(methods); i++)
		known = known || str_eq(method, str_z(methods[i]));
	if (!known)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules", "Unsupported HTTP method: %.*s",
		    STR_ARG(method));
	json_comma(b);
	buf_addz(b, "{\"route\":{\"path\":");
	json_write_str(b, path);
	buf_addz(b, ",\"method\":");
	json_write_str(b, method);
	buf_addz(b, "},\"pos\":null}");
	return ST_OK;
}

static status
write_routes(struct eval *ev, JSValueConst routes, struct buf *b, struct err *e)
{
	JSContext *ctx = ev->en->ctx;
	int64_t    n;

	if (!JS_IsObject(routes) || JS_GetLength(ctx, routes, &n) < 0)
		return err_set(
		    e, ST_BAD_REQUEST, "InvalidModules", "getRoutes() must return an array");
	buf_add_byte(b, '[');
	for (int64_t i = 0; i < n; i++) {
		JSValue route = JS_GetPropertyInt64(ctx, routes, i);
		status  st = write_route(ev, route, b, e);

		JS_FreeValue(ctx, route);
		if (st != ST_OK)
			return st;
	}
	buf_add_byte(b, ']');
	return ST_OK;
}

static status
look_at_router(struct eval *ev, struct err *e)
{
	struct module_look *l = ev->arg;
	JSContext          *ctx = ev->en->ctx;
	JSValue             router = eval_default(ev), routes = JS_UNDEFINED, global;
	status              st;

	if (JS_IsUndefined(router))
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "`convex/http.js` must have a default export of a Router.");
	if (!eval_is_true(ev, router, "isRouter")) {
		st = err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "The default export of `convex/http.js` is not a Router.");
		goto out;
	}
	global = JS_GetGlobalObject(ctx);
	routes = eval_invoke(ev, router, "getRoutes", global);
	JS_FreeValue(ctx, global);
	st = JS_IsException(routes) ? eval_exception(ev, e) :
	    write_routes(ev, routes, &l->routes, e);
out:
	JS_FreeValue(ctx, routes);
	JS_FreeValue(ctx, router);
	return st;
}

static status
look_at_crons(struct eval *ev, struct err *e)
{
	struct module_look *l = ev->arg;
	JSContext          *ctx = ev->en->ctx;
	JSValue             crons = eval_default(ev), text = JS_UNDEFINED;
	str                 json;
	status              st;

	if (!eval_is_true(ev, crons, "isCrons")) {
		st = err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "The default export of `convex/crons.js` is not a Crons object.");
		goto out;
	}
	text = eval_invoke(ev, crons, "export", crons);
	if (JS_IsException(text))
		st = eval_exception(ev, e);
	else if (!JS_IsString(text) || !js_text(ctx, text, l->all->arena, &json))
		st = err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "The default export of `convex/crons.js` is not a Crons object.");
	else
		st = crons_convert(l->all->arena, json, &l->crons, &l->all->crons, e);
out:
	JS_FreeValue(ctx, text);
	JS_FreeValue(ctx, crons);
	return st;
}

static status
look_at_module(struct eval *ev, struct err *e)
{
	struct module_look *l = ev->arg;
	struct image       *im = ev->en->im;

	image_note_exports(ev->en);
	for (size_t i = 0; i < im->exports.n; i++)
		TRY(look_at_export(ev, &im->exports.v[i], e));
	sort_functions(l->functions.v, l->functions.n);
	if (str_eq(ev->path, S("http.js")))
		TRY(look_at_router(ev, e));
	if (str_eq(ev->path, S("crons.js")))
		TRY(look_at_crons(ev, e));
	l->reuse_context = eval_is_true(ev, im->ns, "experimental_reuseContext");
	return ST_OK;
}

/* --- printing --- */

static void
write_validator(struct buf *b, const char *key, const struct validator *v)
{
	struct buf text;

	json_key(b, key);
	if (!v) {
		buf_addz(b, "null");
		return;
	}
	buf_init(&text, BUF_MAX_DEFAULT);
	validator_json(&text, v);
	json_write_str(b, buf_str(&text));
	buf_clear(&text);
}

static void
write_function(struct buf *b, str path, const struct function *f)
{
	json_comma(b);
	buf_addz(b, "{\"name\":");
	json_write_str(b, f->name);
	if (f->has_pos) {
		buf_addz(b, ",\"pos\":{\"path\":");
		json_write_str(b, path);
		buf_fmt(b, ",\"start_lineno\":%u,\"start_col\":%u}", f->line, f->col);
	} else {
		buf_addz(b, ",\"pos\":null");
	}
	buf_fmt(b, ",\"udfType\":\"%s\",\"visibility\":", f->type);
	if (f->visibility)
		buf_fmt(b, "{\"kind\":\"%s\"}", f->visibility);
	else
		buf_addz(b, "null");
	write_validator(b, "args", f->args);
	write_validator(b, "returns", f->returns);
	buf_add_byte(b, '}');
}

static void
write_module(struct buf *b, str path, const struct module_look *l)
{
	json_comma(b);
	json_write_str(b, path);
	buf_addz(b, ":{\"functions\":[");
	for (size_t i = 0; i < l->functions.n; i++)
		write_function(b, path, &l->functions.v[i]);
	buf_addz(b, "],\"httpRoutes\":");
	buf_add(b, l->routes.n ? buf_str(&l->routes) : S("null"));
	buf_addz(b, ",\"cronSpecs\":");
	buf_add(b, l->crons.n ? buf_str(&l->crons) : S("null"));
	buf_addz(b, ",\"sourceMapped\":null");
	if (l->reuse_context)
		buf_addz(b, ",\"reuseContext\":true");
	buf_add_byte(b, '}');
}

/* --- the push --- */

/* "Failed to analyze PATH: MSG", then the last console lines.  A module that could not be
 * found or resolved keeps its message. */
static void
module_error(const struct eval *ev, struct err *e)
{
	struct buf b;
	size_t     n = ev->res.logs.lines.n;

	if (!e || e->st != ST_BAD_REQUEST)
		return;
	if (str_eq(e->code, S("ModuleNotFound")) || str_eq(e->code, S("ModuleResolution")) ||
	    str_eq(e->code, S("UnsupportedScheme")) || str_eq(e->code, S("UnsupportedAuthority"))) {
		e->code = S("InvalidModules");
		return;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "Failed to analyze %.*s: ", STR_ARG(ev->path));
	buf_add(&b, e->text);
	if (ev->res.wants_wasm && !ev->iso->opts.full_engine)
		buf_addz(&b, "\nWebAssembly needs Node.js (program \"node\" in PATH), which this "
		             "server did not find.\n");
	if (n)
		buf_add_byte(&b, '\n');
	for (size_t i = n > LOG_TAIL ? n - LOG_TAIL : 0; i < n; i++) {
		buf_add_byte(&b, '\n');
		logline_pretty(&b, &ev->res.logs.lines.v[i]);
	}
	err_set_str(e, ST_BAD_REQUEST, "InvalidModules", arena_str(ev->arena, buf_str(&b)));
	buf_clear(&b);
}

static void
note_callable(struct analysis *an, str path, const struct module_look *l)
{
	for (size_t i = 0; i < l->functions.n; i++) {
		str name = arena_fmt(an->arena, "%.*s:%.*s", STR_ARG(path),
		    STR_ARG(l->functions.v[i].name));

		if (strcmp(l->functions.v[i].type, "Query") == 0)
			vec_push(&an->queries, name);
		else
			vec_push(&an->callable, name);
	}
}

static status
analyze_module(struct isolate *iso, struct analysis *an, str path, struct err *e)
{
	struct module_look l = { .all = an };
	struct eval ev = { .iso = iso,
		.environment = ENV_ANALYZE,
		.env = an->env,
		.path = path,
		.limit_ns = ANALYZE_NS,
		.arena = an->arena,
		.look = look_at_module,
		.arg = &l };
	status             st = ST_OK;

	buf_init(&l.routes, BUF_MAX_DEFAULT);
	buf_init(&l.crons, BUF_MAX_DEFAULT);
	if (!str_eq(path, S("auth.config.js")))
		st = eval_run(&ev, e);
	if (st == ST_OK) {
		write_module(an->out, path, &l);
		note_callable(an, path, &l);
	} else {
		module_error(&ev, e);
	}
	buf_clear(&l.routes);
	buf_clear(&l.crons);
	vec_clear(&l.functions);
	loglines_clear(&ev.res.logs);
	return st;
}

static bool
contains(const str *v, size_t n, str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i], s))
			return true;
	return false;
}

/* Functions of Node modules are not known here. */
static bool
in_node_module(const struct import_env *env, str path)
{
	for (size_t i = 0; i < env->nmodules; i++)
		if (env->modules[i].node && str_starts(path, env->modules[i].path) &&
		    path.n > env->modules[i].path.n && path.p[env->modules[i].path.n] == ':')
			return true;
	return false;
}

static status
check_crons(const struct analysis *an, struct err *e)
{
	for (size_t i = 0; i < an->crons.v.n; i++) {
		const struct cron_target *t = &an->crons.v.v[i];

		if (contains(an->callable.v, an->callable.n, t->path) ||
		    in_node_module(an->env, t->path))
			continue;
		if (contains(an->queries.v, an->queries.n, t->path))
			return err_set(e, ST_BAD_REQUEST, "InvalidCron",
			    "The cron job '%.*s' schedules a query function, only actions and "
			    "mutations "
			    "can be scheduled",
			    STR_ARG(t->identifier));
		return err_set(e, ST_BAD_REQUEST, "InvalidCron",
		    "The cron job '%.*s' schedules a function that does not exist: %.*s",
		    STR_ARG(t->identifier), STR_ARG(t->path));
	}
	return ST_OK;
}

status
isolate_analyze(struct isolate *iso, const struct import_env *env, struct arena *a,
    struct buf *ret, struct err *e)
{
	struct analysis an = { .arena = a, .env = env, .out = ret };
	size_t          before = ret->n;
	status          st = ST_OK;

	buf_add_byte(ret, '{');
	for (size_t i = 0; st == ST_OK && i < env->nmodules; i++)
		if (!env->modules[i].node && !str_starts(env->modules[i].path, S("_deps/")))
			st = analyze_module(iso, &an, env->modules[i].path, e);
	if (st == ST_OK)
		st = check_crons(&an, e);
	if (st == ST_OK)
		buf_add_byte(ret, '}');
	else
		ret->n = before;
	vec_clear(&an.crons.v);
	vec_clear(&an.callable);
	vec_clear(&an.queries);
	return st;
}
