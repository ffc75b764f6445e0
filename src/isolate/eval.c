/* eval.c - evaluating modules outside of runs: schemas, auth configs, app definitions.
 *
 * Each evaluation has a fresh engine, its own time limit and the refusals of its environment
 * (spec 04 section 1.10); nothing of it is kept.
 *
 * Thread: the isolate's.  Memory: results in the caller's arena.
 */
#include "isolate/eval_int.h"

#define EVAL_NS ((uint64_t)1000000000)

struct attempt {
	struct eval *ev;
	status       st;
	struct err  *e;
};

status
eval_exception(struct eval *ev, struct err *e)
{
	JSValue thrown = JS_GetException(ev->en->ctx);
	str     text, data, ended = run_ended_by(ev->en);

	if (ended.p)
		text = ended;
	else
		error_describe(ev->en, thrown, ev->arena, &text, &data);
	JS_FreeValue(ev->en->ctx, thrown);
	ev->thrown = true;
	return err_set_str(e, ST_BAD_REQUEST, "Error", str_trim(text));
}

JSValue
eval_default(struct eval *ev)
{
	JSValue v = JS_GetPropertyStr(ev->en->ctx, ev->en->im->ns, "default");

	if (!JS_IsException(v))
		return v;
	JS_FreeValue(ev->en->ctx, JS_GetException(ev->en->ctx));
	return JS_UNDEFINED;
}

JSValue
eval_invoke(struct eval *ev, JSValueConst obj, const char *name, JSValueConst this_val)
{
	JSContext *ctx = ev->en->ctx;
	JSValue    fn = JS_GetPropertyStr(ctx, obj, name), ret;

	if (JS_IsException(fn))
		return fn;
	ret = JS_Call(ctx, fn, this_val, 0, NULL);
	JS_FreeValue(ctx, fn);
	return ret;
}

bool
eval_is_true(struct eval *ev, JSValueConst obj, const char *name)
{
	JSContext *ctx = ev->en->ctx;
	JSValue    v = JS_IsObject(obj) ? JS_GetPropertyStr(ctx, obj, name) : JS_UNDEFINED;
	bool       yes = JS_IsBool(v) && JS_ToBool(ctx, v) == 1;

	if (JS_IsException(v))
		JS_FreeValue(ctx, JS_GetException(ctx));
	JS_FreeValue(ctx, v);
	return yes;
}

/* Runs inside guard_call(). */
static void
eval_main(void *arg)
{
	struct attempt *t = arg;
	struct eval    *ev = t->ev;
	str             error;

	t->st = module_import(ev->en, ev->path, &error, t->e);
	if (t->st == ST_OK && error.p) {
		ev->thrown = ev->en->im->load_error.st == ST_OK;
		t->st = err_set_str(t->e, ST_BAD_REQUEST, "Error",
		    arena_str(ev->arena, str_trim(error)));
		if (!ev->thrown && t->e)
			t->e->code = arena_str(ev->arena, ev->en->im->load_error.code);
	}
	if (t->st == ST_OK)
		t->st = ev->look(ev, t->e);
	if (t->st == ST_OK && run_ended_by(ev->en).p)
		t->st = err_set_str(t->e, ST_BAD_REQUEST, "Error", run_ended_by(ev->en));
}

status
eval_run(struct eval *ev, struct err *e)
{
	struct run     r = { .res = &ev->res, .arena = ev->arena, .cpu_limit_ns = ev->limit_ns };
	struct attempt t = { .ev = ev, .e = e };
	enum jump      why;

	TRY(engine_new(ev->iso, ev->environment, ev->env, &ev->en, e));
	loglines_init(&ev->res.logs, ev->arena);
	run_seed(&r, ev->env->seed);
	r.now_ms = (double)(ev->env->now_ns / 1000000);
	engine_enter(ev->en, &r);
	why = guard_call(ev->en, eval_main, &t);
	if (why != JUMP_NONE)
		t.st = err_set_str(e, ST_BAD_REQUEST, "Error", run_broken(ev->en, why));
	if (t.st == ST_OK && r.fatal.st != ST_OK)
		t.st = err_copy(e, &r.fatal);
	engine_leave(ev->en, NULL);
	engine_free(ev->en);
	ev->en = NULL;
	return t.st;
}

/* --- schema --- */

/* obj.export() as text in the arena; false with a pending exception, *ret.p NULL if it
 * returned something else. */
static bool
export_text(struct eval *ev, JSValueConst obj, str *ret)
{
	JSValue v = eval_invoke(ev, obj, "export", obj);
	bool    ok = !JS_IsException(v);

	*ret = str_of(NULL, 0);
	if (JS_IsString(v))
		ok = js_text(ev->en->ctx, v, ev->arena, ret);
	JS_FreeValue(ev->en->ctx, v);
	return ok;
}

static bool
has_method(struct eval *ev, JSValueConst obj, const char *name)
{
	JSValue fn = JS_IsObject(obj) ? JS_GetPropertyStr(ev->en->ctx, obj, name) : JS_UNDEFINED;
	bool    yes = JS_IsFunction(ev->en->ctx, fn);

	if (JS_IsException(fn))
		JS_FreeValue(ev->en->ctx, JS_GetException(ev->en->ctx));
	JS_FreeValue(ev->en->ctx, fn);
	return yes;
}

static status
not_a_schema(struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidSchemaExport",
	    "Default export from schema file isn't a Convex schema. Export the result of "
	    "`defineSchema` as the default export of `schema.ts`.");
}

static status
look_at_schema(struct eval *ev, struct err *e)
{
	JSValue v = eval_default(ev);
	str    *ret = ev->arg;
	status  st = ST_OK;

	if (JS_IsUndefined(v) || JS_IsNull(v))
		st = err_set(e, ST_BAD_REQUEST, "MissingSchemaExportError",
		    "Default export is missing from schema file. Export the result of "
		    "`defineSchema` "
		    "as the default export of `schema.ts`.");
	else if (!has_method(ev, v, "export"))
		st = not_a_schema(e);
	else if (!export_text(ev, v, ret))
		st = eval_exception(ev, e);
	else if (!ret->p)
		st = not_a_schema(e);
	JS_FreeValue(ev->en->ctx, v);
	return st;
}

/* --- auth config --- */

static status
look_at_auth(struct eval *ev, struct err *e)
{
	JSContext *ctx = ev->en->ctx;
	JSValue    v = eval_default(ev), text;
	str       *ret = ev->arg;
	status     st = ST_OK;

	if (JS_IsUndefined(v))
		return err_set(e, ST_BAD_REQUEST, "InvalidAuthConfig",
		    "auth.config.ts does not have a default export");
	text = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
	if (JS_IsException(text))
		st = eval_exception(ev, e);
	else if (!JS_IsString(text) || !js_text(ctx, text, ev->arena, ret))
		st = err_set(e, ST_BAD_REQUEST, "InvalidAuthConfig",
		    "the default export of auth.config.ts cannot be converted to JSON");
	JS_FreeValue(ctx, text);
	JS_FreeValue(ctx, v);
	return st;
}

/* The codes of spec 02 section 11.6. */
static void
auth_error(struct err *e)
{
	static const char missing[] = "Uncaught Error: Environment variable";

	if (!e || e->st != ST_BAD_REQUEST)
		return;
	e->code = S("InvalidAuthConfig");
	if (str_starts(e->text, str_z(missing))) {
		e->code = S("AuthConfigMissingEnvironmentVariable");
		e->text = str_from(e->text, sizeof "Uncaught Error: " - 1);
	} else {
		err_prefix(e, "The pushed auth config is invalid: ");
	}
}

/* --- app and component definitions --- */

static status
not_a_definition(const char *why, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidDefinition",
	    "The default export of `convex.config.ts` in your app has an invalid value (%s). "
	    "Please "
	    "make sure that you\xe2\x80\x99re exporting the return value of `defineApp()`",
	    why);
}

static status
check_exports(struct eval *ev, struct err *e)
{
	JSContext      *ctx = ev->en->ctx;
	JSPropertyEnum *tab;
	uint32_t        n = 0;

	if (JS_GetOwnPropertyNames(ctx, &tab, &n, ev->en->im->ns, JS_GPN_STRING_MASK) < 0)
		return eval_exception(ev, e);
	JS_FreePropertyEnum(ctx, tab, n);
	if (n != 1)
		return not_a_definition("it must have a default export and no other one", e);
	return ST_OK;
}

static status
look_at_definition(struct eval *ev, struct err *e)
{
	JSContext *ctx = ev->en->ctx;
	JSValue    v = eval_default(ev), out = JS_UNDEFINED, text = JS_UNDEFINED;
	str       *ret = ev->arg;
	status     st = check_exports(ev, e);

	if (st != ST_OK)
		goto out;
	if (!has_method(ev, v, "export")) {
		st = not_a_definition("it has no function `export`", e);
		goto out;
	}
	out = eval_invoke(ev, v, "export", v);
	if (JS_IsException(out)) {
		st = eval_exception(ev, e);
		goto out;
	}
	if (!JS_IsObject(out)) {
		st = not_a_definition("`export` returned no object", e);
		goto out;
	}
	text = JS_JSONStringify(ctx, out, JS_UNDEFINED, JS_UNDEFINED);
	if (JS_IsException(text))
		st = eval_exception(ev, e);
	else if (!JS_IsString(text) || !js_text(ctx, text, ev->arena, ret))
		st = not_a_definition("`export` returned no JSON", e);
out:
	JS_FreeValue(ctx, text);
	JS_FreeValue(ctx, out);
	JS_FreeValue(ctx, v);
	return st;
}

/* The module alone; definitions see the stand-ins of their children as well. */
static struct import_env
alone(enum isolate_eval_kind kind, const struct module_source *m, const struct import_env *env,
    struct arena *a)
{
	struct import_env     ret = *env;
	struct module_source *modules = ARENA_ARRAY(a, struct module_source, env->nmodules + 1);
	size_t                n = 0;

	modules[n++] = *m;
	for (size_t i = 0; kind == EVAL_APP_DEFINITION && i < env->nmodules; i++)
		if (str_starts(env->modules[i].path, S("_componentDeps/")))
			modules[n++] = env->modules[i];
	ret.modules = modules;
	ret.nmodules = n;
	return ret;
}

status
isolate_eval(struct isolate *iso, enum isolate_eval_kind kind, const struct module_source *m,
    const struct import_env *env, struct arena *a, str *ret, struct err *e)
{
	static const struct {
		enum environment environment;
		status (*look)(struct eval *ev, struct err *e);
	} kinds[] = {
		[EVAL_SCHEMA] = { ENV_SCHEMA, look_at_schema },
		[EVAL_AUTH_CONFIG] = { ENV_AUTH, look_at_auth },
		[EVAL_APP_DEFINITION] = { ENV_APP, look_at_definition },
	};
	struct import_env one = alone(kind, m, env, a);
	str               text = str_of(NULL, 0);
	struct eval       ev = { .iso = iso, .environment = kinds[kind].environment, .env = &one,
		      .path = m->path, .limit_ns = EVAL_NS, .arena = a, .look = kinds[kind].look,
		      .arg = &text };
	status            st = eval_run(&ev, e);

	loglines_clear(&ev.res.logs);
	if (st == ST_OK)
		*ret = text;
	else if (kind == EVAL_AUTH_CONFIG)
		auth_error(e);
	return st;
}
