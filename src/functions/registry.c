/* registry.c - which functions there are.
 *
 * Native functions are a table fixed at start.  Functions of the application are known from
 * the analyzeResult of their module's row in _modules; each worker keeps what it parsed, under
 * the revision of the row, so that a call costs one index lookup and no parsing.
 *
 * Thread: struct functions any; the cache its worker.
 * Memory: an arena per parsed module; the cache is emptied between calls when it is large.
 */
#include "functions/scheduled_int.h"

#define CACHED_MODULES_MAX 4096

/* Writers first: who waits to run alone has waited long enough. */
static pthread_rwlock_t *
turns_new(struct arena *a)
{
	pthread_rwlock_t    *l = ARENA_NEW(a, pthread_rwlock_t);
	pthread_rwlockattr_t attr;

	must(pthread_rwlockattr_init(&attr) == 0);
	must(pthread_rwlockattr_setkind_np(&attr,
	         PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
	must(pthread_rwlock_init(l, &attr) == 0);
	must(pthread_rwlockattr_destroy(&attr) == 0);
	return l;
}

static const struct native_fn due_native = { SCHEDULER_DUE_PATH, UDF_QUERY, scheduled_due, NULL };

struct functions *
functions_new(const struct functions_opts *opts)
{
	struct arena     *a = arena_new();
	struct functions *f = ARENA_NEW(a, struct functions);

	f->arena = a;
	f->db = opts->db;
	f->cloud_url = arena_str(a, opts->cloud_url);
	f->site_url = arena_str(a, opts->site_url);
	f->instance_name = arena_str(a, opts->instance_name);
	f->redact = opts->redact;
	f->storage = opts->storage;
	f->sign_jwt = opts->sign_jwt;
	f->sign_jwt_arg = opts->sign_jwt_arg;
	f->node = opts->node;
	f->placement = opts->tier ? placement_new(opts->tier) : NULL;
	if (opts->last_try_alone)
		f->turns = turns_new(a);
	f->natives = map_new();
	(void)map_put(f->natives, str_z(due_native.path), (void *)&due_native);
	for (size_t i = 0; i < opts->nnatives; i++) {
		const struct native_fn *n = &opts->natives[i];
		void                   *old = map_put(f->natives, str_z(n->path), (void *)n);

		must(!old);
	}
	return f;
}

bool
functions_run_actions(const struct functions *f)
{
	return f->services.gate.post != NULL;
}

void
functions_set_services(struct functions *f, const struct action_services *s)
{
	f->services = *s;
}

void
functions_free(struct functions *f)
{
	if (!f)
		return;
	map_free(f->natives);
	placement_free(f->placement);
	if (f->turns)
		must(pthread_rwlock_destroy(f->turns) == 0);
	arena_free(f->arena);
}

struct db *
functions_db(const struct functions *f)
{
	return f->db;
}

static str
text_or_empty(struct val v)
{
	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static bool
kind_named(str s, enum udf_kind *ret)
{
	static const enum udf_kind kinds[] = { UDF_QUERY, UDF_MUTATION, UDF_ACTION,
		UDF_HTTP_ACTION };

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (str_eq_nocase(s, str_z(udf_kind_name(kinds[i])))) {
			*ret = kinds[i];
			return true;
		}
	}
	return false;
}

/* visibility is {"kind":"public"}, or the bare word. */
static enum udf_visibility
visibility_of(struct val v)
{
	str word = text_or_empty(val_kind(v) == VAL_OBJECT ? val_get(v, S("kind")) : v);

	if (str_eq(word, S("public")))
		return VISIBLE_PUBLIC;
	return str_eq(word, S("internal")) ? VISIBLE_INTERNAL : VISIBLE_NOT;
}

/* NULL for an absent validator, the text "null" and v.any(): nothing to check. */
static status
validator_of(struct arena *a, struct val v, const struct validator **ret, struct err *e)
{
	const struct validator *parsed;
	str                     text = text_or_empty(v);

	*ret = NULL;
	if (text.n == 0 || str_eq(text, S("null")))
		return ST_OK;
	TRY(validator_parse_text(a, arena_str(a, text), &parsed, e));
	if (!validator_is_any(parsed))
		*ret = parsed;
	return ST_OK;
}

static status
function_parse(struct arena *a, struct val v, struct udf_info *ret, bool *ret_known, struct err *e)
{
	ret->name = arena_str(a, text_or_empty(val_get(v, S("name"))));
	ret->visibility = visibility_of(val_get(v, S("visibility")));
	*ret_known = kind_named(text_or_empty(val_get(v, S("udfType"))), &ret->kind);
	TRY(validator_of(a, val_get(v, S("args")), &ret->args, e));
	return validator_of(a, val_get(v, S("returns")), &ret->returns, e);
}

static status
module_parse(struct module_info *m, struct val row, struct err *e)
{
	struct val list = val_get(val_get(row, S("analyzeResult")), S("functions"));
	size_t     n = val_kind(list) == VAL_ARRAY ? val_count(list) : 0;

	m->node = str_eq(text_or_empty(val_get(row, S("environment"))), S("node"));
	m->functions = ARENA_ARRAY(m->arena, struct udf_info, n);
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		TRY(function_parse(m->arena, val_at(list, i), &m->functions[m->nfunctions], &known,
		    e));
		if (known)
			m->nfunctions++;
	}
	return ST_OK;
}

static void
module_free(struct module_info *m)
{
	if (m)
		arena_free(m->arena);
}

/* Parses the revision and puts it in the place of an older one. */
static status
module_load(struct fn_worker *w, str path, const struct doc *d, const struct module_info **ret,
    struct err *e)
{
	struct arena       *a = arena_new();
	struct module_info *m = ARENA_NEW(a, struct module_info);
	status              st;

	m->arena = a;
	m->id = d->id;
	m->ts = d->ts;
	st = module_parse(m, doc_val(d), e);
	if (st != ST_OK) {
		module_free(m);
		return err_internal(e, "_modules row of %.*s cannot be read", STR_ARG(path));
	}
	module_free(map_put(w->modules, path, m));
	*ret = m;
	return ST_OK;
}

status
module_find(struct fn_worker *w, struct txn *t, str path, const struct module_info **ret,
    struct err *e)
{
	struct val                key = val_of_str(txn_arena(t), path);
	const struct module_info *m;
	struct doc               *d;

	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &key, 1, &d, e));
	if (!d) {
		*ret = NULL;
		return ST_OK;
	}
	m = map_get(w->modules, path);
	if (m && m->ts == d->ts && uid_eq(m->id.uid, d->id.uid)) {
		*ret = m;
		return ST_OK;
	}
	return module_load(w, path, d, ret, e);
}

const struct udf_info *
module_function(const struct module_info *m, str name)
{
	for (size_t i = 0; i < m->nfunctions; i++)
		if (str_eq(m->functions[i].name, name))
			return &m->functions[i];
	return NULL;
}

void
module_cache_free(struct fn_worker *w)
{
	size_t pos = 0;
	str    key;
	void  *m;

	while (map_next(w->modules, &pos, &key, &m))
		module_free(m);
	map_free(w->modules);
	w->modules = NULL;
}

void
module_cache_trim(struct fn_worker *w)
{
	if (map_count(w->modules) <= CACHED_MODULES_MAX)
		return;
	module_cache_free(w);
	w->modules = map_new();
}
