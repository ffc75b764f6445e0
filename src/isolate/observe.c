/* observe.c - what importing reads besides modules, and whether it is still the same.
 *
 * The import phase may depend on the component's _udf_config row (seed and time), on the
 * modules of the graph and on environment variables, on nothing else (spec 04 section 11.1).
 * All of it is remembered while an image is built.  Before each run it is read again through
 * the transaction, which records the reads as the reference would, and compared by identity:
 * the database hands out the same document for the same revision.
 *
 * Thread: the isolate's.  Memory: the image's arena, references to documents.
 */
#include "isolate/engine_int.h"
#include "value/pack.h"

#define VAR_NAME_MAX 256

static bool
same_doc(const struct doc *a, const struct doc *b)
{
	if (a == b)
		return true;
	return a && b && a->ts != 0 && a->ts == b->ts && uid_eq(a->tablet, b->tablet) &&
	    uid_eq(a->id.uid, b->id.uid);
}

static status
read_config(struct txn *t, struct doc **ret, struct err *e)
{
	return txn_sys_first(t, S("_udf_config"), S("by_creation_time"), NULL, 0, ret, e);
}

status
image_read_config(struct image *im, struct txn *t, struct err *e)
{
	struct doc *d;

	TRY(read_config(t, &d, e));
	im->config = d ? doc_ref(d) : NULL;
	im->component = txn_component(t);
	return ST_OK;
}

static status
read_var(struct txn *t, const struct val *key, bool *ret_found, str *ret, struct err *e)
{
	struct doc *d;
	struct val  v;

	TRY(txn_sys_first(t, S("_environment_variables"), S("by_name"), key, 1, &d, e));
	v = d ? val_get(doc_val(d), S("value")) : VAL_NONE;
	*ret_found = val_kind(v) == VAL_STRING;
	if (*ret_found)
		*ret = val_str(v);
	return ST_OK;
}

/* The user's variables come first and belong to the root; then what the system defines. */
static status
look_up(struct txn *t, const struct isolate_opts *opts, str name, const struct val *key,
    bool *ret_found, str *ret, struct err *e)
{
	*ret_found = false;
	if (uid_is_zero(txn_component(t)))
		TRY(read_var(t, key, ret_found, ret, e));
	if (*ret_found)
		return ST_OK;
	if (str_eq(name, S("CONVEX_CLOUD_URL")) && opts->cloud_url.n) {
		*ret = opts->cloud_url;
		*ret_found = true;
	} else if (str_eq(name, S("CONVEX_SITE_URL")) && opts->site_url.n) {
		*ret = opts->site_url;
		*ret_found = true;
	}
	return ST_OK;
}

static status
check_var(const struct observed_var *v, struct txn *t, const struct isolate_opts *opts,
    bool *ret_same, struct err *e)
{
	bool found;
	str  value = STR_EMPTY;

	TRY(look_up(t, opts, v->name, &v->key, &found, &value, e));
	*ret_same = found == v->found && (!found || str_eq(value, v->value));
	return ST_OK;
}

status
image_check(struct image *im, struct txn *t, const struct isolate_opts *opts, bool *ret_same,
    struct err *e)
{
	struct doc *d;
	bool        same;

	TRY(read_config(t, &d, e));
	same = same_doc(d, im->config);
	for (size_t i = 0; same && i < im->modules.n; i++) {
		const struct module *m = im->modules.v[i];

		TRY(txn_sys_first(t, S("_modules"), S("by_path"), &m->key, 1, &d, e));
		same = same_doc(d, m->row);
	}
	for (size_t i = 0; same && i < im->vars.n; i++)
		TRY(check_var(&im->vars.v[i], t, opts, &same, e));
	*ret_same = same;
	return ST_OK;
}

static status
check_name(str name, struct err *e)
{
	bool ok = name.n > 0 && name.n <= VAR_NAME_MAX && !(name.p[0] >= '0' && name.p[0] <= '9');

	for (size_t i = 0; ok && i < name.n; i++) {
		char c = name.p[i];

		ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '_';
	}
	if (ok)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "EnvironmentVariableNameInvalid",
	    "Environment variable name \"%.*s\" is invalid: names start with a letter or an "
	    "underscore and contain letters, digits and underscores only", STR_ARG(name));
}

static status
from_import_env(struct engine *en, str name, bool *ret_found, str *ret, struct err *e)
{
	const struct import_env *env = en->import;

	if (en->env == ENV_SCHEMA)
		return err_set(e, ST_BAD_REQUEST, "NoEnvironmentVariablesInSchema",
		    "Environment variables unsupported when evaluating schema");
	*ret_found = false;
	for (size_t i = 0; i < env->nvars && !*ret_found; i++) {
		if (!str_eq(env->vars[i].name, name))
			continue;
		*ret = env->vars[i].value;
		*ret_found = ret->p != NULL;
	}
	if (!*ret_found && en->env == ENV_AUTH)
		return err_set(e, ST_BAD_REQUEST, "AuthConfigMissingEnvironmentVariable",
		    "Environment variable %.*s is used in auth config file but its value was not "
		    "set",
		    STR_ARG(name));
	return ST_OK;
}

static void
observe(struct image *im, str name, struct val key, bool found, str value)
{
	struct observed_var v = { .name = name, .key = key, .found = found };

	for (size_t i = 0; i < im->vars.n; i++)
		if (str_eq(im->vars.v[i].name, name))
			return;
	if (found)
		v.value = arena_str(im->arena, value);
	vec_push(&im->vars, v);
}

/* Actions know the variables of the moment they started in. */
static void
from_start(const struct run_request *req, str name, bool *ret_found, str *ret)
{
	*ret_found = false;
	for (size_t i = 0; i < req->nvars && !*ret_found; i++) {
		*ret_found = str_eq(req->vars[i].name, name);
		*ret = req->vars[i].value;
	}
}

status
run_env_var(struct engine *en, str name, bool *ret_found, str *ret, struct err *e)
{
	struct arena *a = en->phase == PHASE_IMPORT ? en->im->arena : en->run->arena;
	struct pack   p;
	struct val    key;

	TRY(check_name(name, e));
	if (en->import)
		return from_import_env(en, name, ret_found, ret, e);
	if (en->run->action) {
		from_start(en->run->req, name, ret_found, ret);
		return ST_OK;
	}
	pack_init(&p);
	p.trusted = true;
	pack_str(&p, name);
	must(pack_done_in(&p, a, &key, NULL) == ST_OK);
	pack_clear(&p);
	TRY(look_up(en->run->txn, &en->iso->opts, name, &key, ret_found, ret, e));
	if (en->phase == PHASE_IMPORT)
		observe(en->im, arena_str(a, name), key, *ret_found, *ret);
	return ST_OK;
}
