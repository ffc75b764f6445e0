/* node_push.c - modules for Node.js in a push (spec 02 sections 4.5 and 11.7, spec 04 section 10).
 *
 * They make one package (node/package.h), with the packages of npm that they need.  Node.js says
 * what they register, and that is merged with what the isolate said of the other modules.
 *
 * Rows: each module names the package in sourcePackageId; _source_packages and
 * _external_deps_packages have one row each, from which the package can be made again.
 *
 * Thread: function workers.  Memory: the push's arena.
 */
#include "base/hash.h"
#include "deploy/deploy_int.h"
#include "isolate/srcmap.h"
#include "value/validator.h"

#define DEPS_MAX 1024

status
node_read_deps(struct push *p, const struct json *body, struct err *e)
{
	const struct json *list = json_get(body, "nodeDependencies");

	if (!list || list->kind != JSON_ARRAY)
		return ST_OK;
	if (list->n > DEPS_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidExternalModules",
		    "Too many external packages (%zu > maximum %d)", list->n, DEPS_MAX);
	p->deps = ARENA_ARRAY(p->arena, struct node_dep, list->n + 1);
	for (size_t i = 0; i < list->n; i++) {
		struct node_dep *dep = &p->deps[p->ndeps++];

		if (!json_get_str(&list->items[i], "name", &dep->name) ||
		    !json_get_str(&list->items[i], "version", &dep->version))
			return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
			    "Failed to deserialize the JSON body into the target type: a node "
			    "dependency needs name and version");
		dep->name = arena_str(p->arena, dep->name);
		dep->version = arena_str(p->arena, dep->version);
	}
	return ST_OK;
}

void
node_reply_deps(struct buf *b, const struct push *p)
{
	if (p->package.p && p->ndeps)
		json_write_str(b, node_deps_key(p->arena, p->deps, p->ndeps));
	else
		buf_add(b, S("null"));
}

/* --- analysis --- */

static const struct push_module *
module_at(const struct push *p, str path)
{
	for (size_t i = 0; i < p->nmodules; i++)
		if (str_eq(p->modules[i].source.path, path))
			return &p->modules[i];
	must(false); /* it was asked about modules of this push */
	return NULL;
}

/* As the isolate's analysis writes validators (isolate/analyze.c). */
static status
write_validator(
    struct arena *a, struct buf *b, const char *key, str text, str path, str name, struct err *e)
{
	const struct validator *v;
	struct err why = err_in(a);
	struct buf json;

	json_key(b, key);
	if (!text.p || str_eq(text, S("null"))) {
		buf_addz(b, "null");
		return ST_OK;
	}
	if (validator_parse_text(a, text, &v, &why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvalidModules",
		    "Invalid JSON returned from %.*s:%.*s.%s(): %.*s", STR_ARG(path), STR_ARG(name),
		    strcmp(key, "args") == 0 ? "exportArgs" : "exportReturns", STR_ARG(why.text));
	buf_init(&json, BUF_MAX_DEFAULT);
	validator_json(&json, v);
	json_write_str(b, buf_str(&json));
	buf_clear(&json);
	return ST_OK;
}

static status
write_function(
    struct arena *a, struct buf *b, str path, const struct node_function *f, struct err *e)
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
	buf_addz(b, ",\"udfType\":\"Action\",\"visibility\":");
	if (f->visibility.n)
		buf_fmt(b, "{\"kind\":\"%.*s\"}", STR_ARG(f->visibility));
	else
		buf_addz(b, "null");
	TRY(write_validator(a, b, "args", f->args, path, f->name, e));
	TRY(write_validator(a, b, "returns", f->returns, path, f->name, e));
	buf_add_byte(b, '}');
	return ST_OK;
}

/* Positions in the bundle to positions in what was bundled; a function without one has none. */
static void
map_positions(const struct push_module *m, struct node_analyzed *n)
{
	struct srcmap *map = m->source.source_map.p ? srcmap_parse(m->source.source_map) : NULL;

	for (size_t i = 0; i < n->nfunctions; i++) {
		struct node_function *f = &n->functions[i];
		str file;

		f->has_pos = f->has_pos && map &&
			     srcmap_find(map, f->line, f->col, &file, &f->line, &f->col);
	}
	srcmap_free(map);
}

static bool
is_before(const struct node_function *a, const struct node_function *b)
{
	if (a->has_pos != b->has_pos)
		return !a->has_pos;
	return a->has_pos && (a->line != b->line ? a->line < b->line : a->col < b->col);
}

static void
sort_functions(struct node_function *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct node_function f = v[i];
		size_t k = i;

		for (; k > 0 && is_before(&f, &v[k - 1]); k--)
			v[k] = v[k - 1];
		v[k] = f;
	}
}

static status
write_module(struct push *p, struct buf *b, struct node_analyzed *n, struct err *e)
{
	map_positions(module_at(p, n->path), n);
	sort_functions(n->functions, n->nfunctions);
	json_comma(b);
	json_write_str(b, n->path);
	buf_addz(b, ":{\"functions\":[");
	for (size_t i = 0; i < n->nfunctions; i++)
		TRY(write_function(p->arena, b, n->path, &n->functions[i], e));
	buf_addz(b, "],\"httpRoutes\":null,\"cronSpecs\":null,\"sourceMapped\":null}");
	return ST_OK;
}

/* Into the object that the isolate's analysis is. */
static status
merge(struct push *p, struct node_analyzed *v, size_t n, struct err *e)
{
	struct buf b;
	status st = ST_OK;

	must(str_ends(p->analysis, S("}")));
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, str_head(p->analysis, p->analysis.n - 1));
	for (size_t i = 0; st == ST_OK && i < n; i++)
		st = write_module(p, &b, &v[i], e);
	buf_add_byte(&b, '}');
	if (st == ST_OK)
		p->analysis = arena_str(p->arena, buf_str(&b));
	buf_clear(&b);
	return st;
}

/* Crons of the isolate's modules may call what only Node.js knew. */
static bool
has_function(const struct node_analyzed *v, size_t n, str path)
{
	for (size_t i = 0; i < n; i++) {
		str rest = str_from(path, v[i].path.n + 1);

		if (!str_starts(path, v[i].path) || path.n <= v[i].path.n ||
		    path.p[v[i].path.n] != ':')
			continue;
		for (size_t k = 0; k < v[i].nfunctions; k++)
			if (str_eq(v[i].functions[k].name, rest))
				return true;
		return false;
	}
	return true;
}

static status
check_crons(struct push *p, const struct node_analyzed *v, size_t n, struct err *e)
{
	const struct json *crons;
	struct json *j;

	TRY(json_parse(p->arena, p->analysis, &j, e));
	crons = json_get(json_get(j, "crons.js"), "cronSpecs");
	for (size_t i = 0; crons && crons->kind == JSON_ARRAY && i < crons->n; i++) {
		const struct json *spec = json_get(&crons->items[i], "spec");
		str path, name = STR_EMPTY;

		(void)json_get_str(&crons->items[i], "identifier", &name);
		if (!json_get_str(spec, "udfPath", &path) || has_function(v, n, path))
			continue;
		return err_set(e, ST_BAD_REQUEST, "InvalidCron",
		    "The cron job '%.*s' schedules a function that does not exist: %.*s",
		    STR_ARG(name), STR_ARG(path));
	}
	return ST_OK;
}

static size_t
collect(struct push *p, struct node_module *modules, str *paths, size_t *ret_npaths)
{
	size_t n = 0;

	*ret_npaths = 0;
	for (size_t i = 0; i < p->nmodules; i++) {
		const struct module_source *m = &p->modules[i].source;

		if (!m->node)
			continue;
		modules[n++] = (struct node_module){ m->path, m->source, m->source_map };
		if (!str_starts(m->path, S("_deps/")))
			paths[(*ret_npaths)++] = m->path;
	}
	return n;
}

static void
name_package(struct push *p, const struct node_package *package)
{
	p->package = arena_str(p->arena, node_package_name(package));
	p->package_bytes = node_package_bytes(package);
	for (size_t i = 0; i < p->nmodules; i++)
		if (p->modules[i].source.node)
			p->modules[i].package = p->package;
}

static status
analyze(struct deploy *d, struct push *p, struct node_package *package,
    const struct import_env *env, const str *paths, size_t n, struct err *e)
{
	struct node_analyzed *found;
	status st;

	st = node_analyze(d->node, package, env->vars, env->nvars, paths, n, p->arena, &found, e);
	if (st == ST_OK)
		st = merge(p, found, n, e);
	if (st == ST_OK)
		st = check_crons(p, found, n, e);
	if (st != ST_OK && status_deterministic(st))
		err_prefix(e, "Loading the pushed modules encountered the following\n    error:\n");
	return st;
}

status
node_analyze_push(struct deploy *d, struct push *p, const struct import_env *env, struct err *e)
{
	struct node_content c = { .deps = p->deps, .ndeps = p->ndeps };
	struct node_module *modules = ARENA_ARRAY(p->arena, struct node_module, p->nmodules + 1);
	str *paths = ARENA_ARRAY(p->arena, str, p->nmodules + 1);
	struct node_package *package;
	size_t npaths;
	status st;

	c.modules = modules;
	c.nmodules = collect(p, modules, paths, &npaths);
	if (!c.nmodules)
		return ST_OK;
	if (!d->node)
		return err_set(e, ST_BAD_REQUEST, "DeploymentNotConfiguredForNodeActions",
		    "Deployment is not configured to deploy \"use node\" actions.");
	TRY(node_executor_make(d->node, &c, &package, e));
	name_package(p, package);
	st = analyze(d, p, package, env, paths, npaths, e);
	node_package_unref(package);
	return st;
}

/* --- rows --- */

/* The table's only row becomes this one; want NULL: goes away.  *ret_id: the row's. */
static status
put_only_row(struct txn *t, str table, const struct val *want, struct docid *ret_id, struct err *e)
{
	struct doc *row = NULL;

	TRY(txn_sys_first(t, table, S("by_creation_time"), NULL, 0, &row, e));
	if (want && row) {
		*ret_id = row->id;
		return txn_sys_replace(t, row->id, *want, e);
	}
	if (want)
		return txn_sys_insert(t, table, *want, ret_id, e);
	return row ? txn_sys_delete(t, row->id, e) : ST_OK;
}

static void
pack_name(struct pack *pk, str key)
{
	uint8_t digest[32];

	sha256(key, digest);
	pack_key(pk, S("storageKey"));
	pack_str(pk, key);
	pack_key(pk, S("sha256"));
	pack_bytes(pk, str_of(digest, sizeof digest));
}

static void
pack_size(struct pack *pk, uint64_t bytes)
{
	pack_key(pk, S("packageSize"));
	pack_object(pk);
	pack_key(pk, S("zippedSizeBytes")); /* nothing is zipped here */
	pack_int64(pk, (int64_t)bytes);
	pack_key(pk, S("unzippedSizeBytes"));
	pack_int64(pk, (int64_t)bytes);
	pack_end(pk);
}

static status
deps_value(struct txn *t, const struct push *p, struct val *ret, struct err *e)
{
	struct pack pk;
	status st;

	pack_init(&pk);
	pack_object(&pk);
	pack_name(&pk, node_deps_key(txn_arena(t), p->deps, p->ndeps));
	pack_key(&pk, S("deps"));
	pack_array(&pk);
	for (size_t i = 0; i < p->ndeps; i++) {
		pack_object(&pk);
		pack_key(&pk, S("package"));
		pack_str(&pk, p->deps[i].name);
		pack_key(&pk, S("version"));
		pack_str(&pk, p->deps[i].version);
		pack_end(&pk);
	}
	pack_end(&pk);
	pack_size(&pk, 0);
	pack_end(&pk);
	st = pack_done_in(&pk, txn_arena(t), ret, e);
	pack_clear(&pk);
	return st;
}

static void
pack_optional(struct pack *pk, str key, str text)
{
	pack_key(pk, key);
	if (text.n)
		pack_str(pk, text);
	else
		pack_null(pk);
}

static status
package_value(struct txn *t, const struct push *p, str deps_id, struct val *ret, struct err *e)
{
	struct pack pk;
	status st;

	pack_init(&pk);
	pack_object(&pk);
	pack_name(&pk, p->package);
	pack_optional(&pk, S("externalPackageId"), deps_id);
	pack_size(&pk, p->package_bytes);
	pack_optional(&pk, S("nodeVersion"), p->node_version);
	pack_end(&pk);
	st = pack_done_in(&pk, txn_arena(t), ret, e);
	pack_clear(&pk);
	return st;
}

status
node_store_package(struct txn *t, const struct push *p, struct err *e)
{
	bool has_deps = p->package.p && p->ndeps;
	struct val deps, package;
	struct docid id;
	char text[ID_TEXT_MAX];
	str deps_id = STR_EMPTY;

	if (has_deps)
		TRY(deps_value(t, p, &deps, e));
	TRY(put_only_row(t, S("_external_deps_packages"), has_deps ? &deps : NULL, &id, e));
	if (has_deps)
		deps_id = str_of(text, id_format(id, text));
	if (p->package.p)
		TRY(package_value(t, p, deps_id, &package, e));
	return put_only_row(t, S("_source_packages"), p->package.p ? &package : NULL, &id, e);
}

status
node_reply_version(struct txn *t, struct buf *b, struct err *e)
{
	struct doc *row = NULL;
	str         version;

	TRY(txn_sys_first(t, S("_source_packages"), S("by_creation_time"), NULL, 0, &row, e));
	version = row ? deploy_str(doc_val(row), "nodeVersion") : STR_EMPTY;
	if (version.n) {
		json_key(b, "nodeVersion");
		json_write_str(b, version);
	}
	return ST_OK;
}
