/* env.c - environment variables and URLs (spec 02 section 16).
 *
 * Thread: function workers.  Memory: the request's and the transaction's arenas.
 */
#include <stdlib.h>

#include "deploy/deploy_int.h"

#define NAME_MAX_LENGTH   256
#define VARIABLE_MAX_BYTES   8192
#define PUSHED_CONFIG     "The pushed auth config is invalid: " /* of a push, not of a change */
#define VARIABLES_MAX     512
#define TOTAL_MAX_BYTES   (512 * 1024)

static bool
write_one(void *arg, struct doc *d)
{
	struct buf *b = arg;

	json_comma(b);
	json_write_str(b, deploy_str(doc_val(d), "name"));
	buf_add_byte(b, ':');
	json_write_str(b, deploy_str(doc_val(d), "value"));
	return true;
}

status
env_user_json(struct txn *t, struct arena *a, str *ret, struct err *e)
{
	struct buf b;
	status     st;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("{"));
	st = txn_sys_each(t, S("_environment_variables"), S("by_name"), NULL, 0, write_one, &b, e);
	buf_add(&b, S("}"));
	if (st == ST_OK)
		*ret = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return st;
}

struct importing {
	struct arena *a;
	VEC(struct env_var) vars;
};

static bool
import_one(void *arg, struct doc *d)
{
	struct importing *im = arg;
	struct env_var    v = {
		.name = arena_str(im->a, deploy_str(doc_val(d), "name")),
		.value = arena_str(im->a, deploy_str(doc_val(d), "value")),
	};

	vec_push(&im->vars, v);
	return true;
}

status
env_import(struct deploy *d, struct txn *t, struct arena *a, const struct env_var **ret,
    size_t *ret_n, struct err *e)
{
	struct importing im = { .a = a };
	struct env_var  *vars;
	status           st;

	/* The first entry of a name wins: the user's variables come first. */
	st =
	    txn_sys_each(t, S("_environment_variables"), S("by_name"), NULL, 0, import_one, &im, e);
	if (st == ST_OK) {
		vec_push(&im.vars, ((struct env_var){ S("CONVEX_CLOUD_URL"), d->cloud_url }));
		vec_push(&im.vars, ((struct env_var){ S("CONVEX_SITE_URL"), d->site_url }));
		vars = ARENA_ARRAY(a, struct env_var, im.vars.n);
		memcpy(vars, im.vars.v, im.vars.n * sizeof *vars);
		*ret = vars;
		*ret_n = im.vars.n;
	}
	vec_clear(&im.vars);
	return st;
}

static status
find_variable(struct txn *t, str name, struct doc **ret, struct err *e)
{
	struct val key = val_of_str(txn_arena(t), name);

	return txn_sys_first(t, S("_environment_variables"), S("by_name"), &key, 1, ret, e);
}

/* --- declared variables: defineApp({ env }) --- */

static status
check_value(struct txn *t, str name, str value, str validator_text, struct err *e)
{
	const struct validator *v;
	struct val              text;

	TRY(validator_parse_text(txn_arena(t), validator_text, &v, e));
	text = val_of_str(txn_arena(t), value);
	if (validator_check(v, text, NULL, NULL) == ST_OK)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidEnvironmentVariable",
	    "The value of environment variable %.*s does not match its declaration.",
	    STR_ARG(name));
}

status
env_check_declared(struct txn *t, str definition, struct err *e)
{
	const struct json *declared;
	struct json       *j;
	struct buf         missing;
	status             st = ST_OK;

	if (!definition.p)
		return ST_OK;
	TRY(json_parse(txn_arena(t), definition, &j, e));
	declared = json_get(j, "envVars");
	buf_init(&missing, 1 << 20);
	for (size_t i = 0; st == ST_OK && declared && i < declared->n; i++) {
		const struct json *pair = &declared->items[i];
		struct doc        *row = NULL;
		bool               optional = false;
		str                validator;

		if (pair->n != 2 || pair->items[0].kind != JSON_STRING)
			continue;
		st = find_variable(t, pair->items[0].string, &row, e);
		json_get_bool(&pair->items[1], "optional", &optional);
		if (st == ST_OK && !row && !optional) {
			buf_add(&missing, missing.n ? S(", ") : S(""));
			buf_add(&missing, pair->items[0].string);
		} else if (st == ST_OK && row &&
			   json_get_str(&pair->items[1], "value", &validator)) {
			st = check_value(t, pair->items[0].string,
			    deploy_str(doc_val(row), "value"), validator, e);
		}
	}
	if (st == ST_OK && missing.n)
		st = err_set(e, ST_BAD_REQUEST, "MissingEnvironmentVariables",
		    "Required environment variables are not set: %.*s. Set them in the Convex "
		    "dashboard or "
		    "CLI before pushing.",
		    STR_ARG(buf_str(&missing)));
	buf_clear(&missing);
	return st;
}

/* --- update --- */

struct change {
	str name;
	str value; /* p == NULL: remove */
};

struct changes {
	const struct deploy_request *q;
	struct change               *v;
	size_t                       n;
	struct fn_worker            *w;
};

static status
check_name(str name, struct err *e)
{
	bool ok = name.n > 0;

	if (name.n > NAME_MAX_LENGTH)
		return err_set(e, ST_BAD_REQUEST, "EnvironmentVariableNameTooLong",
		    "Environment variable name is too long (%zu > maximum %d)", name.n,
		    NAME_MAX_LENGTH);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		ok &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		    (i > 0 && c >= '0' && c <= '9');
	}
	if (!ok)
		return err_set(e, ST_BAD_REQUEST, "EnvironmentVariableNameInvalid",
		    "Environment variable name '%.*s' is invalid: names start with a letter or "
		    "underscore and "
		    "contain letters, numbers and underscores only",
		    STR_ARG(name));
	if (str_eq(name, S("CONVEX_CLOUD_URL")) || str_eq(name, S("CONVEX_SITE_URL")))
		return err_set(e, ST_BAD_REQUEST, "EnvVarNameForbidden",
		    "Environment variable %.*s is set by the server and cannot be changed",
		    STR_ARG(name));
	return ST_OK;
}

static status
read_changes(const struct json *list, struct changes *c, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		struct change ch = { 0 };

		if (!json_get_str(&list->items[i], "name", &ch.name))
			return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
			    "Failed to deserialize the JSON body into "
			    "the target type: missing field `name`");
		json_get_str(&list->items[i], "value", &ch.value);
		TRY(check_name(ch.name, e));
		if (ch.value.n > VARIABLE_MAX_BYTES)
			return err_set(e, ST_BAD_REQUEST, "EnvironmentVariableValueTooLarge",
			    "The value of environment variable %.*s is too large (%zu > maximum %d "
			    "bytes)",
			    STR_ARG(ch.name), ch.value.n, VARIABLE_MAX_BYTES);
		c->v[c->n++] = ch;
	}
	return ST_OK;
}

/* Removals by name, then sets by name and value: of several for one name the greatest set
 * wins (spec 02 section 16.1). */
static int
change_order(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	int                  c = (a->value.p != NULL) - (b->value.p != NULL);

	if (c == 0)
		c = str_cmp(a->name, b->name);
	return c ? c : str_cmp(a->value, b->value);
}

static status
apply_one(struct txn *t, const struct change *c, struct err *e)
{
	struct doc  *row = NULL;
	struct docid id;
	struct pack  p;
	struct val   v;
	status       st;

	TRY(find_variable(t, c->name, &row, e));
	if (row)
		TRY(txn_sys_delete(t, row->id, e));
	if (!c->value.p)
		return ST_OK;
	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("name"));
	pack_str(&p, c->name);
	pack_key(&p, S("value"));
	pack_str(&p, c->value);
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_sys_insert(t, S("_environment_variables"), v, &id, e);
	pack_clear(&p);
	return st;
}

struct totals {
	size_t n, bytes;
};

static bool
count_one(void *arg, struct doc *d)
{
	struct totals *s = arg;

	s->n++;
	s->bytes += deploy_str(doc_val(d), "name").n + deploy_str(doc_val(d), "value").n;
	return true;
}

static status
check_totals(struct txn *t, struct err *e)
{
	struct totals s = { 0, 0 };

	TRY(txn_sys_each(t, S("_environment_variables"), S("by_name"), NULL, 0, count_one, &s, e));
	if (s.n > VARIABLES_MAX)
		return err_set(e, ST_BAD_REQUEST, "EnvVarLimitMet",
		    "Too many environment variables (%zu > maximum %d)", s.n, VARIABLES_MAX);
	if (s.bytes > TOTAL_MAX_BYTES)
		return err_set(e, ST_BAD_REQUEST, "EnvVarTotalSizeLimitMet",
		    "Environment variables are too large in total (%zu > maximum %d bytes)",
		    s.bytes, TOTAL_MAX_BYTES);
	return ST_OK;
}

/* auth.config.js may read variables: evaluate it again on the new ones (section 16.1). */
static status
refresh_auth(struct txn *t, struct changes *c, struct err *e)
{
	struct module_source m = { 0 };
	struct import_env    env = { 0 };
	struct arena        *a = txn_arena(t);
	struct doc          *row = NULL;
	struct val           path;
	str                  version, evaluated, providers, added, removed;
	bool                 found;

	path = val_of_str(a, S("auth.config.js"));
	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &path, 1, &row, e));
	if (!row)
		return ST_OK;
	TRY(module_source_get(t, deploy_str(doc_val(row), "sha256"), &m, &found, e));
	if (!found)
		return ST_OK;
	m.path = S("auth.config.js");
	TRY(udf_config_get(t, &version, env.seed, &env.now_ns, e));
	TRY(env_import(c->q->deploy, t, a, &env.vars, &env.nvars, e));
	TRY(isolate_eval(fn_worker_isolate(c->w), EVAL_AUTH_CONFIG, &m, &env, a, &evaluated, e));
	TRY(auth_config_check(a, evaluated, &providers, e));
	return auth_config_store(t, providers, &added, &removed, e);
}

static status
apply(struct txn *t, void *arg, struct err *e)
{
	struct changes *c = arg;
	status          st;

	for (size_t i = 0; i < c->n; i++)
		TRY(apply_one(t, &c->v[i], e));
	TRY(check_totals(t, e));
	st = refresh_auth(t, c, e);
	if (st != ST_OK && str_eq(e->code, S("InvalidAuthConfig"))) {
		if (str_starts(e->text, S(PUSHED_CONFIG)))
			e->text = str_from(e->text, sizeof PUSHED_CONFIG - 1);
		err_prefix(e, "This change would make the auth config invalid: ");
	}
	return st;
}

status
deploy_update_environment_variables(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e)
{
	const struct json *list = json_get(q->body, "changes");
	struct changes     c = { .q = q, .w = w };

	(void)reply; /* 200 with an empty body */
	TRY(deploy_authorize(q, "WriteEnvironmentVariables", e));
	if (!list || list->kind != JSON_ARRAY)
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the "
		    "target type: missing field `changes`");
	c.v = ARENA_ARRAY(q->arena, struct change, list->n + 1);
	TRY(read_changes(list, &c, e));
	qsort(c.v, c.n, sizeof *c.v, change_order);
	return deploy_transact(
	    q->deploy, "_system/update_environment_variables", 4, apply, &c, ret_ts, e);
}

status
deploy_list_environment_variables(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e)
{
	struct txn *t;
	str         vars;
	status      st;

	(void)w;
	TRY(deploy_authorize(q, "ViewEnvironmentVariables", e));
	t = deploy_txn(q->deploy, false, "_system/list_environment_variables");
	*ret_ts = txn_ts(t);
	st = env_user_json(t, q->arena, &vars, e);
	txn_free(t);
	if (st != ST_OK)
		return st;
	buf_add(reply, S("{\"environmentVariables\":"));
	buf_add(reply, vars);
	buf_add(reply, S("}"));
	return ST_OK;
}

status
deploy_get_canonical_urls(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	(void)w;
	(void)ret_ts;
	TRY(deploy_authorize(q, "ViewEnvironmentVariables", e));
	buf_add(reply, S("{"));
	json_key(reply, "convexCloudUrl");
	json_write_str(reply, q->deploy->cloud_url);
	json_key(reply, "convexSiteUrl");
	json_write_str(reply, q->deploy->site_url);
	buf_add(reply, S("}"));
	return ST_OK;
}
