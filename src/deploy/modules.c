/* modules.c - the application's code in system tables.
 *
 * _modules has a row per path; the text lives once per content in _module_sources, by hash, so
 * that an unchanged module keeps its row and the functions that depend on it their results
 * (spec 04 section 11.1).
 *
 * Thread: function workers.  Memory: the transaction's arena.
 */
#include "base/map.h"
#include "deploy/deploy_int.h"

static status
source_row(struct txn *t, str sha256, struct doc **ret, struct err *e)
{
	struct val key = val_of_str(txn_arena(t), sha256);

	return txn_sys_first(t, S("_module_sources"), S("by_sha256"), &key, 1, ret, e);
}

status
module_source_get(struct txn *t, str sha256, struct module_source *ret, bool *ret_found,
    struct err *e)
{
	struct doc *row = NULL;
	struct val  map;

	TRY(source_row(t, sha256, &row, e));
	*ret_found = row != NULL;
	if (!row)
		return ST_OK;
	*ret = (struct module_source){ .source = deploy_str(doc_val(row), "source") };
	map = val_get(doc_val(row), S("sourceMap"));
	if (val_kind(map) == VAL_STRING)
		ret->source_map = val_str(map);
	return ST_OK;
}

static status
source_put(struct txn *t, const struct push_module *m, struct err *e)
{
	struct doc  *row = NULL;
	struct pack  p;
	struct val   v;
	struct docid id;
	status       st;

	TRY(source_row(t, m->sha256, &row, e));
	if (row)
		return ST_OK;
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("sha256"));
	pack_str(&p, m->sha256);
	pack_key(&p, S("source"));
	pack_str(&p, m->source.source);
	pack_key(&p, S("sourceMap"));
	if (m->source.source_map.p)
		pack_str(&p, m->source.source_map);
	else
		pack_null(&p);
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_sys_insert(t, S("_module_sources"), v, &id, e);
	pack_clear(&p);
	return st;
}

/* The row of _modules as it should be. */
static status
module_value(struct txn *t, const struct push_module *m, const struct json *analyzed,
    struct val *ret, struct err *e)
{
	struct pack p;
	status      st = ST_OK;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("path"));
	pack_str(&p, m->source.path);
	pack_key(&p, S("sourcePackageId"));
	pack_str(&p, m->package.p ? m->package : m->sha256);
	pack_key(&p, S("environment"));
	pack_str(&p, m->source.node ? S("node") : S("isolate"));
	pack_key(&p, S("sha256"));
	pack_str(&p, m->sha256);
	pack_key(&p, S("analyzeResult"));
	if (analyzed)
		st = vjson_read(&p, analyzed, VJSON_PLAIN, e);
	else
		pack_null(&p);
	if (st == ST_OK) {
		pack_end(&p);
		st = pack_done_in(&p, txn_arena(t), ret, e);
	}
	pack_clear(&p);
	return st;
}

/* The same row but for _id and _creationTime: then it must not be touched, or every function
 * that read it would run again. */
static bool
row_is(struct val row, struct val want)
{
	for (size_t i = 0; i < val_count(want); i++) {
		str        name;
		struct val v = val_field_at(want, i, &name);

		if (!val_eq(v, val_get(row, name)))
			return false;
	}
	return true;
}

struct stored {
	struct txn     *t;
	struct map     *by_path; /* path -> doc */
};

static bool
collect(void *arg, struct doc *d)
{
	struct stored *s = arg;

	map_put(s->by_path, deploy_str(doc_val(d), "path"), d);
	return true;
}

static bool
is_listed(str path)
{
	return !str_starts(path, S("_deps/"));
}

static status
put_one(struct stored *s, const struct push_module *m, const struct json *analysis,
    struct module_diff *diff, struct err *e)
{
	struct arena *a = txn_arena(s->t);
	struct doc   *row = map_del(s->by_path, m->source.path);
	struct val    want;
	struct docid  id;

	TRY(module_value(s->t, m, json_get(analysis, arena_z(a, m->source.path)), &want, e));
	if (row && row_is(doc_val(row), want))
		return ST_OK;
	TRY(source_put(s->t, m, e));
	if (row)
		return txn_sys_replace(s->t, row->id, want, e);
	if (is_listed(m->source.path))
		vec_push(&diff->added, m->source.path);
	return txn_sys_insert(s->t, S("_modules"), want, &id, e);
}

/* What the push no longer has.  Sources stay until nothing refers to them: a row there
 * costs disk only, and going back to an old version is common. */
static status
delete_rest(struct stored *s, struct module_diff *diff, struct err *e)
{
	size_t pos = 0;
	str    path;
	void  *row;

	while (map_next(s->by_path, &pos, &path, &row)) {
		if (is_listed(path))
			vec_push(&diff->removed, arena_str(txn_arena(s->t), path));
		TRY(txn_sys_delete(s->t, ((struct doc *)row)->id, e));
	}
	return ST_OK;
}

status
modules_replace(struct txn *t, const struct push *p, const struct json *analysis,
    struct module_diff *ret, struct err *e)
{
	struct stored s = { t, map_new() };
	status        st;

	st = txn_sys_each(t, S("_modules"), S("by_path"), NULL, 0, collect, &s, e);
	for (size_t i = 0; st == ST_OK && i < p->nmodules; i++)
		st = put_one(&s, &p->modules[i], analysis, ret, e);
	if (st == ST_OK)
		st = delete_rest(&s, ret, e);
	map_free(s.by_path);
	return st;
}

status
module_put(struct txn *t, const struct push_module *m, const struct json *analyzed, struct err *e)
{
	struct val   key = val_of_str(txn_arena(t), m->source.path), want;
	struct doc  *row = NULL;
	struct docid id;

	TRY(module_value(t, m, analyzed, &want, e));
	TRY(source_put(t, m, e));
	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &key, 1, &row, e));
	return row ? txn_sys_replace(t, row->id, want, e)
		   : txn_sys_insert(t, S("_modules"), want, &id, e);
}

static status
udf_config_row(struct txn *t, struct doc **ret, struct err *e)
{
	return txn_sys_first(t, S("_udf_config"), S("by_creation_time"), NULL, 0, ret, e);
}

status
udf_config_get(struct txn *t, str *ret_version, uint8_t ret_seed[32], uint64_t *ret_ns,
    struct err *e)
{
	struct doc *row = NULL;
	struct val  seed;

	*ret_version = STR_EMPTY;
	TRY(udf_config_row(t, &row, e));
	if (!row)
		return ST_OK;
	*ret_version = deploy_str(doc_val(row), "serverVersion");
	seed = val_get(doc_val(row), S("importPhaseRngSeed"));
	if (val_kind(seed) == VAL_BYTES && val_str(seed).n == 32)
		memcpy(ret_seed, val_str(seed).p, 32);
	*ret_ns = (uint64_t)val_int64(val_get(doc_val(row), S("importPhaseUnixTimestamp")));
	return ST_OK;
}

status
udf_config_put(struct txn *t, const struct push *p, str *ret_previous, struct err *e)
{
	struct doc  *row = NULL;
	struct docid id;
	struct pack  pk;
	struct val   v;
	status       st;

	TRY(udf_config_row(t, &row, e));
	*ret_previous = row ? deploy_str(doc_val(row), "serverVersion") : STR_EMPTY;
	/* Every function reads this row: it stays while the version does (spec 04 section 3.2). */
	if (row && str_eq(*ret_previous, p->server_version))
		return ST_OK;
	pack_init(&pk);
	pack_object(&pk);
	pack_key(&pk, S("serverVersion"));
	pack_str(&pk, p->server_version);
	pack_key(&pk, S("importPhaseRngSeed"));
	pack_bytes(&pk, str_of(p->seed, sizeof p->seed));
	pack_key(&pk, S("importPhaseUnixTimestamp"));
	pack_int64(&pk, (int64_t)p->import_ns);
	pack_end(&pk);
	st = pack_done(&pk, &v, e);
	if (st == ST_OK && row)
		st = txn_sys_replace(t, row->id, v, e);
	else if (st == ST_OK)
		st = txn_sys_insert(t, S("_udf_config"), v, &id, e);
	pack_clear(&pk);
	return st;
}
