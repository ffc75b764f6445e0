/* systables.c - the system tables of spec 03 sections 3.2 to 3.4, as data.
 *
 * Numbers are 512 + N of section 3.2.  Fields are given as stored, so "+ct" of the spec is
 * spelled out.  `resident` says which tables are read completely at start: those that
 * functions and the catalogue depend on at every run; the others grow with use.
 *
 * Thread: any, constants.  Memory: none.
 */
#include "database/catalog_int.h"

#define CT "_creationTime"

const struct system_table system_tables[] = {
	{ "_tables", 513, false, true, { { "by_name", { "name" } } } },
	{ "_index", 514, false, true, { { 0 } } },
	{ "_module_sources", TABLE_NO_MODULE_SOURCES, false, false,
	    { { "by_sha256", { "sha256" } } } },
	{ "_exports", 516, false, true,
	    { { "by_state_and_ts", { "state", "start_ts" } },
	        { "by_requestor", { "requestor", CT } } } },
	{ "_backend_info", 517, false, true, { { 0 } } },
	{ "_udf_config", 518, true, true, { { 0 } } },
	{ "_auth", 519, false, true, { { 0 } } },
	{ "_db", 520, false, true, { { 0 } } },
	{ "_modules", TABLE_NO_MODULES, true, true,
	    { { "by_path", { "path" } }, { "by_deleted", { "deleted", "path" } } } },
	{ "_source_packages", 524, true, true, { { 0 } } },
	{ "_environment_variables", 525, false, true, { { "by_name", { "name" } } } },
	{ "_aws_lambda_versions", 526, false, true, { { 0 } } },
	{ "_deployment_audit_log", 527, false, false,
	    { { "by_action_and_creation_time", { "action", CT } } } },
	{ "_session_requests", 529, false, false,
	    { { "by_session_id_and_request_id", { "sessionId", "requestId" } } } },
	{ "_cron_jobs", 531, true, true, { { "by_name", { "name" } } } },
	{ "_schemas", TABLE_NO_SCHEMAS, true, true, { { "by_state", { "state" } } } },
	{ "_cron_job_logs", 533, true, false, { { "by_name_and_ts", { "name", "ts" } } } },
	{ "_log_sinks", 535, false, true, { { 0 } } },
	{ "_backend_state", 536, false, true, { { 0 } } },
	{ "_external_deps_packages", 537, false, true, { { 0 } } },
	{ "_scheduled_jobs", TABLE_NO_SCHEDULED_JOBS, true, true,
	    { { "by_next_ts", { "nextTs" } },
	        { "by_udf_path_and_next_event_ts", { "udfPath", "nextTs" } },
	        { "by_completed_ts", { "completedTs" } } } },
	{ "_file_storage", TABLE_NO_FILE_STORAGE, true, true,
	    { { "by_storage_id", { "storageId" } } } },
	{ "_snapshot_imports", 541, false, true, { { 0 } } },
	{ "_index_worker_metadata", 542, false, true, { { "by_index_doc_id", { "index_id" } } } },
	{ "_component_definitions", 543, false, true, { { 0 } } },
	{ "_components", TABLE_NO_COMPONENTS, false, true,
	    { { "by_parent_and_name", { "parent", "name" } } } },
	{ "_function_handles", TABLE_NO_FUNCTION_HANDLES, false, true,
	    { { "by_component_path", { "component", "path" } } } },
	{ "_canonical_urls", 546, false, true, { { 0 } } },
	{ "_cron_next_run", 547, true, true,
	    { { "by_next_ts", { "nextTs" } }, { "by_cron_job_id", { "cronJobId" } } } },
	{ "_index_backfills", 548, false, true, { { "by_index_id", { "indexId", CT } } } },
	{ "_schema_validation_progress", 549, true, true,
	    { { "by_schema_id", { "schemaId", CT } } } },
	{ "_scheduled_job_args", 550, true, false, { { 0 } } },
	{ "_audit_log_config", 551, false, true, { { 0 } } },
	{ "_usage_limits", 552, false, true,
	    { { "by_selector", { "metric", "window", "limitType", CT } } } },
	{ "_data_sync_progress", 553, false, true,
	    { { "by_sync_id", { "syncId", CT } },
	        { "by_last_updated", { "lastUpdatedMs", CT } } } },
};

const size_t system_table_count = COUNT_OF(system_tables);

const struct system_table *
system_table_find(str name)
{
	for (size_t i = 0; i < system_table_count; i++)
		if (str_eq(name, str_z(system_tables[i].name)))
			return &system_tables[i];
	return NULL;
}

struct index_def
index_def_by_id(void)
{
	return (struct index_def){ .name = S("by_id"), .kind = INDEX_DATABASE };
}

struct index_def
index_def_by_creation_time(void)
{
	static str fields[] = { { CT, sizeof CT - 1 } };

	return (struct index_def){
		.name = S("by_creation_time"), .kind = INDEX_DATABASE, .nfields = 1,
		.fields = fields,
	};
}

static struct index_def
own_index(struct arena *a, const struct system_index *ix)
{
	struct index_def def = { .name = str_z(ix->name), .kind = INDEX_DATABASE };

	def.fields = ARENA_ARRAY(a, str, COUNT_OF(ix->fields));
	while (def.nfields < COUNT_OF(ix->fields) && ix->fields[def.nfields]) {
		def.fields[def.nfields] = str_z(ix->fields[def.nfields]);
		def.nfields++;
	}
	return def;
}

struct index_def *
system_table_indexes(struct arena *a, const struct system_table *t, size_t *ret_n)
{
	struct index_def *defs = ARENA_ARRAY(a, struct index_def, COUNT_OF(t->indexes) + 2);
	size_t            n = 0;

	defs[n++] = index_def_by_id();
	if (t->number != TABLE_NO_INDEX)
		defs[n++] = index_def_by_creation_time();
	for (size_t i = 0; i < COUNT_OF(t->indexes) && t->indexes[i].name; i++)
		defs[n++] = own_index(a, &t->indexes[i]);
	*ret_n = n;
	return defs;
}
