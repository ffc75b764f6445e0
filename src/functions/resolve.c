/* resolve.c - from a path to the function that may be called (spec 04 section 2.1).
 *
 * The checks come in the order of that section's table and read through the transaction, so
 * that a query which failed one of them runs again when a push, a pause or an unpause changes
 * the answer.
 *
 * Thread: the worker's.  Memory: the transaction's arena.
 */
#include "functions/functions_int.h"

static bool
kind_wanted(enum fn_want want, enum udf_kind kind)
{
	switch (want) {
	case WANT_QUERY:
		return kind == UDF_QUERY;
	case WANT_MUTATION:
		return kind == UDF_MUTATION;
	case WANT_ACTION:
		return kind == UDF_ACTION;
	case WANT_ANY:
		return kind != UDF_HTTP_ACTION;
	}
	return false;
}

static const char *
want_name(enum fn_want want)
{
	switch (want) {
	case WANT_QUERY:
		return "Query";
	case WANT_MUTATION:
		return "Mutation";
	default:
		return "Action";
	}
}

/* Row 6: a function that is missing and one that may not be seen read the same. */
static status
not_found(struct txn *t, const struct lookup *l, struct err *e)
{
	str path = fn_path_display(txn_arena(t), l->path);
	str in = STR_EMPTY;

	if (l->component.n)
		in = arena_fmt(txn_arena(t), " in '%.*s'", STR_ARG(l->component));
	if (l->as_http_missing)
		return err_set(e, ST_BAD_REQUEST, "FunctionNotFound",
		    "Could not find function for '%.*s'%.*s. Did you forget to run `npx convex "
		    "dev`?",
		    STR_ARG(path), STR_ARG(in));
	return err_set(e, ST_BAD_REQUEST, "FunctionNotFound",
	    "Could not find public function for '%.*s'%.*s.", STR_ARG(path), STR_ARG(in));
}

static bool
state_is(struct val row, str field, str word)
{
	struct val v = val_get(row, field);

	return val_kind(v) == VAL_STRING && str_eq(val_str(v), word);
}

/* Row 2; precedence of spec 05 section 12: disabled, usage limit, suspended, paused. */
status
backend_running(struct txn *t, struct err *e)
{
	struct doc *d = NULL;
	struct val  row;

	TRY(txn_sys_first(t, S("_backend_state"), S("by_creation_time"), NULL, 0, &d, e));
	if (!d)
		return ST_OK;
	row = doc_val(d);
	if (state_is(row, S("system"), S("disabled")))
		return err_set(e, ST_BAD_REQUEST, "BackendIsNotRunning",
		    "Cannot run functions while this deployment is disabled.");
	if (state_is(row, S("usage_limit"), S("disabled")))
		return err_set(e, ST_BAD_REQUEST, "BackendIsNotRunning",
		    "Cannot run functions while this deployment is over its usage limit.");
	if (state_is(row, S("system"), S("suspended")))
		return err_set(e, ST_BAD_REQUEST, "BackendIsNotRunning",
		    "Cannot run functions while this deployment is suspended.");
	if (state_is(row, S("user"), S("paused")))
		return err_set(e, ST_BAD_REQUEST, "BackendIsNotRunning",
		    "Cannot run functions while this deployment is paused. Resume the deployment "
		    "in the dashboard settings to allow functions to run.");
	return ST_OK;
}

static status
wrong_type(struct txn *t, const struct lookup *l, enum udf_kind kind, struct err *e)
{
	str in = STR_EMPTY;

	if (l->component.n)
		in = arena_fmt(txn_arena(t), " in '%.*s'", STR_ARG(l->component));
	return err_set(e, ST_BAD_REQUEST, "FunctionPathWrongType",
	    "Trying to execute %.*s%.*s as %s, but it is defined as %s.", STR_ARG(l->path),
	    STR_ARG(in), want_name(l->want), udf_kind_name(kind));
}

/* Row 6 for a function that exists. */
static status
visibility_check(struct txn *t, const struct lookup *l, const struct udf_info *u, struct err *e)
{
	static const char *const ops[] = { [UDF_QUERY] = "RunInternalQueries",
		[UDF_MUTATION] = "RunInternalMutations", [UDF_ACTION] = "RunInternalActions",
		[UDF_HTTP_ACTION] = "RunInternalActions" };

	if (l->any_visibility || u->visibility == VISIBLE_PUBLIC)
		return ST_OK;
	if (u->visibility == VISIBLE_NOT)
		return err_internal(e, "%.*s has no visibility", STR_ARG(l->path));
	if (!identity_is_admin(l->identity))
		return not_found(t, l, e);
	return identity_require(l->identity, ops[u->kind], e);
}

/* Rows 2 to 7 for a function of the application. */
static status
resolve_module(struct fn_worker *w, struct txn *t, const struct lookup *l, struct target *ret,
    struct err *e)
{
	const struct module_info *m;

	TRY(backend_running(t, e));
	if (l->component.n)
		return err_set(e, ST_BAD_REQUEST, "ComponentPathNotFound",
		    "Component path '%.*s' not found", STR_ARG(l->component));
	if (str_starts(ret->module, S("_deps/")))
		return err_internal(e, "call of %.*s", STR_ARG(l->path));
	TRY(module_find(w, t, ret->module, &m, e));
	ret->udf = m ? module_function(m, ret->function) : NULL;
	if (!ret->udf)
		return not_found(t, l, e);
	TRY(visibility_check(t, l, ret->udf, e));
	ret->kind = ret->udf->kind;
	if (!kind_wanted(l->want, ret->kind))
		return wrong_type(t, l, ret->kind, e);
	if (m->node && ret->kind != UDF_ACTION)
		return err_set(e, ST_BAD_REQUEST, "WrongEnvironment",
		    "Trying to execute %.*s in isolate, but it is bundled for Node",
		    STR_ARG(l->path));
	return ST_OK;
}

status
target_resolve(struct fn_worker *w, struct txn *t, const struct lookup *l, struct target *ret,
    struct err *e)
{
	struct target g = { .path = l->path };
	size_t        colon;

	must(str_rfind_char(l->path, ':', &colon));
	g.module = str_head(l->path, colon);
	g.function = str_from(l->path, colon + 1);
	g.system = str_starts(l->path, S("_system/"));
	g.native = map_get(w->f->natives, l->path);
	if (g.system && !l->any_visibility && !identity_is_admin(l->identity))
		return not_found(t, l, e);
	if (g.native) {
		g.kind = g.native->kind;
		if (!kind_wanted(l->want, g.kind))
			return wrong_type(t, l, g.kind, e);
	} else if (g.system) {
		return not_found(t, l, e);
	} else {
		TRY(resolve_module(w, t, l, &g, e));
	}
	*ret = g;
	return ST_OK;
}
