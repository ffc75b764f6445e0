/* reply.c - the JSON that the CLI reads of a push (spec 02 sections 5 and 8).
 *
 * Thread: function workers.
 */
#include "base/enc.h"
#include "deploy/deploy_int.h"

static void
write_strs(struct buf *b, const str *v, size_t n)
{
	buf_add(b, S("["));
	for (size_t i = 0; i < n; i++) {
		json_comma(b);
		json_write_str(b, v[i]);
	}
	buf_add(b, S("]"));
}

/* Section 5.4, Ix. */
static void
write_index(struct buf *b, const struct index_change *c)
{
	static const char *types[] = { "database", "search", "vector" };
	const struct index_def *d = &c->def;

	json_comma(b);
	buf_add(b, S("{\"name\":\""));
	buf_fmt(
	    b, "%.*s.%.*s\",\"type\":\"%s\"", STR_ARG(c->table), STR_ARG(d->name), types[d->kind]);
	switch (d->kind) {
	case INDEX_DATABASE:
		json_key(b, "fields");
		write_strs(b, d->fields, d->nfields);
		break;
	case INDEX_SEARCH:
		json_key(b, "searchField");
		json_write_str(b, d->field);
		break;
	case INDEX_VECTOR:
		buf_fmt(b, ",\"dimensions\":%u", d->dimensions);
		json_key(b, "vectorField");
		json_write_str(b, d->field);
		break;
	}
	if (d->kind != INDEX_DATABASE) {
		json_key(b, "filterFields");
		write_strs(b, d->filters, d->nfilters);
	}
	buf_fmt(b, ",\"staged\":%s}", d->staged ? "true" : "false");
}

static void
write_changes(struct buf *b, const char *key, const struct index_change *v, size_t n)
{
	json_key(b, key);
	buf_add(b, S("["));
	for (size_t i = 0; i < n; i++)
		write_index(b, &v[i]);
	buf_add(b, S("]"));
}

void
reply_index_diff(struct buf *b, const struct index_diff *d)
{
	buf_add(b, S("{"));
	write_changes(b, "added_indexes", d->added.v, d->added.n);
	write_changes(b, "removed_indexes", d->removed.v, d->removed.n);
	write_changes(b, "enabled_indexes", d->enabled.v, d->enabled.n);
	write_changes(b, "disabled_indexes", d->disabled.v, d->disabled.n);
	buf_add(b, S("}"));
}

/* Section 5.1, of the root: no children, no mounts, an empty branch of exports. */
static void
write_definition(struct buf *b, const struct json *definition)
{
	const struct json *vars = json_get(definition, "envVars");

	buf_add(b, S("{\"path\":\"\",\"definitionType\":{\"type\":\"app\"},\"childComponents\":[],"
	             "\"httpMounts\":{},\"exports\":{\"type\":\"branch\",\"branch\":[]}"));
	json_key(b, "envVars");
	if (vars && vars->n)
		json_write(b, vars);
	else
		buf_add(b, S("null"));
	buf_add(b, S("}"));
}

static void
write_analysis(struct buf *b, const struct push *p)
{
	struct arena *a = p->arena;
	struct json  *definition = NULL;

	if (p->definition.p)
		must(json_parse(a, p->definition, &definition, NULL) == ST_OK);
	buf_add(b, S("{\"\":{\"definition\":"));
	write_definition(b, definition);
	json_key(b, "schema");
	if (p->schema)
		schema_json(b, p->schema);
	else
		buf_add(b, S("null"));
	json_key(b, "functions");
	buf_add(b, p->analysis);
	json_key(b, "udfConfig");
	buf_add(b, S("{\"serverVersion\":"));
	json_write_str(b, p->server_version);
	buf_add(b, S(",\"importPhaseRngSeed\":{\"$bytes\":\""));
	enc_base64(b, str_of(p->seed, sizeof p->seed));
	buf_add(b, S("\"},\"importPhaseUnixTimestamp\":{\"$integer\":\""));
	enc_u64_base64(b, p->import_ns);
	buf_add(b, S("\"}}}}"));
}

/* The routes of http.js as section 5.3 wants them. */
static void
write_http_routes(struct buf *b, const struct push *p)
{
	const struct json *routes;
	struct json       *analysis;

	must(json_parse(p->arena, p->analysis, &analysis, NULL) == ST_OK);
	routes = json_get(json_get(analysis, "http.js"), "httpRoutes");
	buf_add(b, S("{\"httpModuleRoutes\":"));
	if (!routes || routes->kind != JSON_ARRAY) {
		buf_add(b, S("null"));
	} else {
		buf_add(b, S("["));
		for (size_t i = 0; i < routes->n; i++) {
			const struct json *route = json_get(&routes->items[i], "route");

			json_comma(b);
			if (route)
				json_write(b, route);
			else
				buf_add(b, S("null"));
		}
		buf_add(b, S("]"));
	}
	buf_add(b, S(",\"mounts\":[]}"));
}

void
reply_start_push(struct buf *b, const struct push *p, const struct index_diff *d)
{
	char id[ID_TEXT_MAX];

	buf_add(b, S("{"));
	json_key(b, "environmentVariables");
	buf_add(b, p->environment);
	json_key(b, "externalDepsId");
	node_reply_deps(b, p);
	json_key(b, "componentDefinitionPackages");
	buf_add(b, S("{\"\":null}"));
	json_key(b, "appAuth");
	buf_add(b, p->providers);
	json_key(b, "analysis");
	write_analysis(b, p);
	json_key(b, "app");
	buf_add(
	    b, S("{\"definitionPath\":\"\",\"componentPath\":\"\",\"httpPrefix\":null,\"args\":{},"
		 "\"env\":{},\"childComponents\":{},\"httpRoutes\":"));
	write_http_routes(b, p);
	buf_add(b, S(",\"exports\":{}}"));
	json_key(b, "schemaChange");
	buf_add(b, S("{\"allocatedComponentIds\":{},\"schemaIds\":{\"\":"));
	if (p->has_schema_id)
		buf_fmt(b, "\"%.*s\"", (int)id_format(p->schema_id, id), id);
	else
		buf_add(b, S("null"));
	buf_add(b, S("},\"indexDiffs\":{\"\":"));
	reply_index_diff(b, d);
	buf_add(b, S("}}"));
	json_key(b, "pushToken");
	json_write_str(b, p->token);
	buf_add(b, S("}"));
}
