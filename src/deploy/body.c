/* body.c - the push request as data (spec 02 section 4).
 *
 * Everything found wrong here is InvalidConfig, without the prefix of push errors (section 2.3).
 *
 * Thread: function workers.  Memory: the push's arena.
 */
#include "base/enc.h"
#include "base/hash.h"
#include "deploy/deploy_int.h"

#define MODULES_MAX      8192 /* with _deps */
#define FUNCTIONS_MAX    4096 /* without */
#define COMPONENT_MAX    64   /* of a path component, .js included */

str
module_sha256(struct arena *a, str source, str source_map)
{
	struct sha256 *h = sha256_new();
	struct buf     hex;
	uint8_t        digest[32];
	str            copy;

	sha256_add(h, source);
	if (source_map.p)
		sha256_add(h, source_map);
	sha256_end_free(h, digest);
	buf_init(&hex, 64);
	enc_hex(&hex, str_of(digest, sizeof digest));
	copy = arena_str(a, buf_str(&hex));
	buf_clear(&hex);
	return copy;
}

static status
bad_path(str path, const char *why, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidConfig",
	    "%.*s is not a valid path to a Convex module. %s", STR_ARG(path), why);
}

static status
check_component(str path, str part, struct err *e)
{
	bool alphanumeric = false;

	if (part.n == 0 || str_eq(part, S("..")) || str_eq(part, S(".")))
		return bad_path(path, "Module paths must be relative.", e);
	if (part.n > COMPONENT_MAX)
		return bad_path(path, "Path component is too long (maximum 64).", e);
	for (size_t i = 0; i < part.n; i++) {
		char c = part.p[i];
		bool letter =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		alphanumeric |= letter;
		if (!letter && c != '_' && c != '.')
			return bad_path(path,
			    "Path components can only contain alphanumeric characters, "
			    "underscores, or periods.",
			    e);
	}
	if (!alphanumeric)
		return bad_path(
		    path, "Path components must have at least one alphanumeric character.", e);
	return ST_OK;
}

static status
check_path(str path, struct err *e)
{
	str rest = path;

	if (!str_ends(path, S(".js")))
		return bad_path(path, "Modules must have the extension js.", e);
	if (str_starts(path, S("_system/")))
		return bad_path(path, "The _system folder is reserved.", e);
	for (;;) {
		size_t at;
		bool   more = str_find_char(rest, '/', &at);

		TRY(check_component(path, more ? str_head(rest, at) : rest, e));
		if (!more)
			return ST_OK;
		rest = str_from(rest, at + 1);
	}
}

/* These are evaluated by the server itself (spec 02 section 11.7). */
static bool
may_be_node(str path)
{
	static const char *const never[] = { "http.js", "crons.js", "schema.js", "auth.config.js",
		"convex.config.js" };

	for (size_t i = 0; i < COUNT_OF(never); i++)
		if (str_eq(path, str_z(never[i])))
			return false;
	return true;
}

static status
read_environment(const struct json *j, str path, bool *ret_node, struct err *e)
{
	str environment;

	*ret_node = false;
	if (!json_get_str(j, "environment", &environment) || str_eq(environment, S("isolate")))
		return ST_OK;
	if (!str_eq(environment, S("node")))
		return err_set(e, ST_BAD_REQUEST, "InvalidConfig", "Invalid environment: %.*s",
		    STR_ARG(environment));
	if (!may_be_node(path))
		return err_set(e, ST_BAD_REQUEST, "InvalidConfig",
		    "\"use node\" directive is not allowed for %.*s.", STR_ARG(path));
	*ret_node = true;
	return ST_OK;
}

static status
read_module(struct arena *a, const struct json *j, struct module_source *ret, struct err *e)
{
	struct module_source m = { 0 };

	if (!json_get_str(j, "path", &m.path) || !json_get_str(j, "source", &m.source))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the target type: a module needs path "
		    "and source");
	TRY(check_path(m.path, e));
	TRY(read_environment(j, m.path, &m.node, e));
	m.path = arena_str(a, m.path);
	m.source = arena_str(a, m.source);
	if (json_get_str(j, "sourceMap", &m.source_map))
		m.source_map = arena_str(a, m.source_map);
	*ret = m;
	return ST_OK;
}

static status
read_changed(struct push *p, const struct json *list, struct err *e)
{
	for (size_t i = 0; list && i < list->n; i++) {
		struct push_module *m = &p->modules[p->nmodules];

		TRY(read_module(p->arena, &list->items[i], &m->source, e));
		m->sha256 = module_sha256(p->arena, m->source.source, m->source.source_map);
		p->nmodules++;
	}
	return ST_OK;
}

/* The CLI says that it has not changed since get_config_hashes: check, and take what is
 * stored (section 4.6). */
static status
read_unchanged_one(struct txn *t, struct push *p, const struct json *j, struct err *e)
{
	struct push_module *m = &p->modules[p->nmodules];
	struct val          want;
	struct doc         *row = NULL;
	str                 path, sha256;
	bool                found = false, node;

	if (!json_get_str(j, "path", &path) || !json_get_str(j, "sha256", &sha256))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the target type: a module hash needs "
		    "path and sha256");
	TRY(check_path(path, e));
	TRY(read_environment(j, path, &node, e));
	want = val_of_str(p->arena, path);
	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &want, 1, &row, e));
	if (!row)
		return err_set(e, ST_CONFLICT, "MissingExistingModule",
		    "No existing module found for %.*s", STR_ARG(path));
	if (!str_eq(deploy_str(doc_val(row), "sha256"), sha256))
		return err_set(e, ST_CONFLICT, "ExistingModuleHashConflict",
		    "Existing module hash doesn't match for %.*s", STR_ARG(path));
	if (node != str_eq(deploy_str(doc_val(row), "environment"), S("node")))
		return err_set(e, ST_CONFLICT, "ExistingModuleEnvConflict",
		    "Existing module environment doesn't match for %.*s", STR_ARG(path));
	TRY(module_source_get(t, sha256, &m->source, &found, e));
	if (!found)
		return err_set(e, ST_CONFLICT, "MissingExistingModuleMetadata",
		    "No existing source found for %.*s", STR_ARG(path));
	m->source.path = arena_str(p->arena, path);
	m->source.node = node;
	m->source.source = arena_str(p->arena, m->source.source);
	if (m->source.source_map.p)
		m->source.source_map = arena_str(p->arena, m->source.source_map);
	m->sha256 = arena_str(p->arena, sha256);
	m->unchanged = true;
	p->nmodules++;
	return ST_OK;
}

static status
check_counts(const struct push *p, struct err *e)
{
	size_t functions = 0;

	for (size_t i = 0; i < p->nmodules; i++) {
		str path = p->modules[i].source.path;

		functions += !str_starts(path, S("_deps/"));
		for (size_t k = 0; k < i; k++)
			if (str_eq(path, p->modules[k].source.path))
				return err_set(e, ST_BAD_REQUEST, "CanonicalizationConflict",
				    "Two modules have the path %.*s", STR_ARG(path));
	}
	if (functions > FUNCTIONS_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Too many function files (%zu > maximum %d)", functions, FUNCTIONS_MAX);
	return ST_OK;
}

static status
check_node_version(const struct json *body, struct push *p, struct err *e)
{
	str version;

	if (!json_get_str(body, "nodeVersion", &version))
		return ST_OK;
	if (str_eq(version, S("18")))
		return err_set(e, ST_BAD_REQUEST, "InvalidConfig",
		    "Node 18 is no longer supported. "
		    "Upgrade to a newer Node version (20, 22 or 24).");
	if (str_eq(version, S("20")) || str_eq(version, S("22")) || str_eq(version, S("24"))) {
		p->node_version = arena_str(p->arena, version);
		return ST_OK;
	}
	return err_set(e, ST_BAD_REQUEST, "InvalidConfig", "Invalid node version: %.*s",
	    STR_ARG(version));
}

static status
refuse_components(const struct json *body, const struct json *app, struct err *e)
{
	const struct json *definitions = json_get(body, "componentDefinitions");
	const struct json *dependencies = json_get(app, "dependencies");

	if ((definitions && definitions->n) || (dependencies && dependencies->n))
		return err_set(e, ST_BAD_REQUEST, "ComponentsNotSupported",
		    "Components are not supported by this server yet. Remove them from "
		    "convex.config.ts to push.");
	return ST_OK;
}

status
push_read_body(struct txn *t, const struct json *body, struct push *p,
    struct module_source *ret_schema, struct module_source *ret_definition, struct err *e)
{
	const struct json *app = json_get(body, "appDefinition");
	const struct json *changed = json_get(app, "changedModules");
	const struct json *unchanged = json_get(app, "unchangedModuleHashes");
	const struct json *part;

	if (!app || app->kind != JSON_OBJECT)
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into "
		    "the target type: missing field `appDefinition`");
	if (!changed)
		changed = json_get(app, "functions"); /* the field's older name */
	TRY(check_node_version(body, p, e));
	TRY(node_read_deps(p, body, e));
	TRY(refuse_components(body, app, e));
	if ((changed ? changed->n : 0) + (unchanged ? unchanged->n : 0) > MODULES_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules", "Too many modules (maximum %d)",
		    MODULES_MAX);
	p->modules = ARENA_ARRAY(p->arena, struct push_module,
	    (changed ? changed->n : 0) + (unchanged ? unchanged->n : 0) + 1);
	TRY(read_changed(p, changed, e));
	for (size_t i = 0; unchanged && i < unchanged->n; i++)
		TRY(read_unchanged_one(t, p, &unchanged->items[i], e));
	TRY(check_counts(p, e));
	if (!json_get_str(app, "udfServerVersion", &p->server_version))
		p->server_version = S("1.0.0");
	p->server_version = arena_str(p->arena, p->server_version);
	part = json_get(app, "schema");
	if (!json_is_null(part))
		TRY(read_module(p->arena, part, ret_schema, e));
	part = json_get(app, "definition");
	if (!json_is_null(part))
		TRY(read_module(p->arena, part, ret_definition, e));
	return ST_OK;
}
